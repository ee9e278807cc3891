"""A coroutine that an AbortSignal can break off, where a driver has nothing better."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from atomhttp._model.abort import AbortSignal

if TYPE_CHECKING:
    from atomhttp._net.drivers.driver import Driver, Waiter

T = TypeVar("T")


class BrokenOff(BaseException):
    """What a coroutine finds where it waits when its signal has been aborted. Like a cancellation, it is no error."""


class Abortable(Awaitable[T]):
    """See the module's docstring: for drivers whose waiters anybody may complete."""

    def __init__(self, driver: Driver, coroutine: Coroutine[Any, Any, T], signal: AbortSignal) -> None:
        self._driver = driver
        self._coroutine = coroutine
        self._signal = signal
        # What the coroutine waits for.
        self._waiter: Waiter | None = None
        # Set between two looks at it, by whoever aborts.
        self._aborted: Any = False
        self.slot: Any = None

    def __await__(self) -> Generator[Any, Any, T]:
        signal, reactor = self._signal, self._driver.reactor
        if signal.aborted:
            self._coroutine.close()
            raise signal.error()
        reactor.expect_calls()
        signal.add_listener(self._on_abort)
        if signal.seconds_left is not None:
            reactor.timers.add(self, self._driver.now() + signal.seconds_left)
        try:
            return (yield from self._run())
        except BrokenOff:
            error = signal.error()
            raise error from error.__cause__
        finally:
            signal.remove_listener(self._on_abort)
            reactor.timers.discard(self)
            reactor.calls_done()

    def _run(self) -> Generator[Any, Any, T]:
        error: BaseException | None = None
        thrown = False
        while True:
            try:
                waiter = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]  # StopIteration carries what the coroutine returned
            error = None
            if thrown or not self._aborted:
                self._waiter = waiter
                try:
                    yield waiter
                except BaseException as interrupt:
                    error = interrupt
                finally:
                    self._waiter = None
            if waiter is None and self._signal.aborted:
                # A bare yield, for which nobody looks at what other threads have asked for.
                self._aborted = True
            if self._aborted and not thrown and error is None:
                # Once: whoever catches it has been told.
                thrown, error = True, BrokenOff()

    def _on_abort(self) -> None:
        self._driver.reactor.call_soon_threadsafe(self._break_off)

    def _break_off(self) -> None:
        self._aborted = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def expire(self, now: float) -> None:
        self._break_off()
