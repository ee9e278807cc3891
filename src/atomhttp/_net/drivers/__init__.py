"""Drivers: the only code that knows how the process waits. One file a way of waiting.

Everything else awaits what `Driver.waiter()` gives, so the same coroutines run under an event loop and without one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

from atomhttp._model.abort import AbortSignal
from atomhttp._net.reactor import Reactor
from atomhttp._net.threads import Delivery, run_blocking

T = TypeVar("T")


class Waiter(Protocol):
    """Something one coroutine awaits and somebody else completes, once."""

    def done(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def set_result(self, result: Any, /) -> None: ...
    def set_exception(self, error: BaseException, /) -> None: ...
    def exception(self) -> BaseException | None: ...
    def __await__(self) -> Generator[Any, Any, Any]: ...


class Driver(Protocol):
    """How one event loop, or one synchronous unit, waits.

    Attributes:
        reactor: its sockets and timers.
        now: the clock, in seconds; every time in the engine is read from it.
        waiter: makes a Waiter.
        pool_scope: drivers with the same scope may hand connections to each other (synchronous units do).
        users: how many pools are open on it, and calls that may open one.
        thread: the identifier of the thread that it waits in.
    """

    reactor: Reactor
    now: Callable[[], float]
    waiter: Callable[[], Waiter]
    pool_scope: object
    thread: int
    users: int = 0
    # An interrupt (Ctrl+C) has passed through: it will be thrown away with all that it uses.
    interrupted: bool = False

    def watch(self) -> None:
        """The reactor holds a descriptor: call its `run_ready` when its poller is ready."""

    def unwatch(self) -> None:
        """The reactor holds no descriptor any more."""

    def arm(self, due: float) -> None:
        """Call the reactor's `run_timers` at `due`; replaces what was armed."""

    def disarm(self) -> None:
        """No timer is left."""

    def flush_soon(self) -> None:
        """Call the reactor's `flush` at the end of this turn; at once, where a turn has no end."""
        self.reactor.flush()

    def join(self) -> None:
        """Somebody relies on it; pairs with `leave`."""
        self.users += 1

    def leave(self, stay: bool = False) -> None:
        """One user fewer. Retires with the last one, unless it is to `stay` for who comes next."""
        self.users -= 1
        if not stay:
            self.retire_unused()

    def retire_unused(self) -> None:
        """Retires when nobody relies on it and nothing is registered."""
        if not self.users and not self.reactor.handler_count:
            self.retire()

    def retire(self) -> None:
        """No pool uses it any more, and nothing is registered: let go of what the system gave."""
        return

    def is_closed(self) -> bool:
        """Whether nothing will ever be served here again."""
        ...

    def check(self) -> None:
        """Raises RuntimeError when the caller does not run where this driver waits."""

    def run_soon(self, function: Callable[[], None]) -> None:
        """Calls `function` at once when the caller runs where this driver waits, else by `call_soon`."""

    def call_soon(self, function: Callable[[], None]) -> None:
        """Calls `function` in the thread that serves the reactor, from any thread."""

    def delivery(self) -> Delivery:
        """Where any thread leaves something for one coroutine that waits here. To be delivered, come what may."""
        return Delivery(self)

    async def run_blocking(self, function: Callable[..., T], *arguments: Any) -> T:
        """`function(*arguments)` on a daemon thread of ours."""
        return await run_blocking(self, function, *arguments)

    async def breathe(self) -> None:
        """Serves what is ready, and lets others run, in the middle of work that never has to wait."""
        self.reactor.run_ready()

    async def sleep(self, seconds: float) -> None:
        """Waits `seconds` by the driver's clock: never less, and up to 1/32 s more. 0 or less: not at all."""
        if seconds <= 0:
            return
        alarm = _Alarm(self.waiter())
        timers = self.reactor.timers
        # A driver whose last pool is closed meanwhile must not retire: nobody would serve its timers.
        self.join()
        try:
            timers.add(alarm, self.now() + seconds)
            await alarm.waiter
        finally:
            timers.discard(alarm)
            if timers.next_due() is None:
                self.disarm()
            self.leave()

    async def abortable(self, coroutine: Coroutine[Any, Any, T], signal: AbortSignal) -> T:
        """What `coroutine` gives, unless `signal` is aborted first: then it is broken off where it waits.

        Raises:
            AtomHTTPCanceledError: the signal was aborted.
        """
        return await _Abortable(self, coroutine, signal)

    async def foreign(self, awaitable: Awaitable[T], due: float | None) -> T:
        """Awaits what belongs to the caller, until `due` at the latest (then: the built-in TimeoutError)."""
        ...


class _Alarm:
    """Completes a waiter when its time has come."""

    __slots__ = ("slot", "waiter")

    def __init__(self, waiter: Waiter) -> None:
        self.waiter = waiter
        self.slot: Any = None

    def expire(self, now: float) -> None:
        if not self.waiter.done():
            self.waiter.set_result(None)


class BrokenOff(BaseException):
    """What a coroutine finds where it waits when its signal has been aborted. Like a cancellation, it is no error."""


class _Abortable(Awaitable[T]):
    """A coroutine that an AbortSignal can break off, for drivers whose waiters anybody may complete."""

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
