"""Waiting without an event loop: a unit runs a coroutine by waiting on its reactor's poller itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from threading import get_ident
from typing import Any, TypeVar

from atomhttp._net.drivers import Driver
from atomhttp._net.pollers import build_plain_poller
from atomhttp._net.reactor import Reactor
from atomhttp._net.timers import FewTimers

T = TypeVar("T")

# Every unit of one client may use every connection of it: they share one pool.
SHARED_SCOPE = "synchronous"


class BlockingWaiter:
    """The smallest thing that can be awaited and completed."""

    # Defaults on the class: making one sets nothing.
    pending = True
    _error: BaseException | None = None
    _result: Any = None

    def done(self) -> bool:
        return not self.pending

    def cancelled(self) -> bool:
        return False

    def exception(self) -> BaseException | None:
        return self._error

    def set_result(self, result: Any) -> None:
        self._result = result
        self.pending = False

    def set_exception(self, error: BaseException) -> None:
        self._error = error
        self.pending = False

    def __await__(self) -> Generator[BlockingWaiter, None, Any]:
        if self.pending:
            yield self
        if self._error is not None:
            raise self._error
        return self._result


class BlockingDriver(Driver):
    """A unit: one reactor, borrowed by one call (or one `all`) at a time."""

    clock = staticmethod(time.monotonic)
    waiter = BlockingWaiter

    def __init__(self) -> None:
        self.now: Callable[[], float] = type(self).clock
        # The thread that has borrowed it.
        self.thread = get_ident()
        self.pool_scope: object = SHARED_SCOPE
        self.reactor = Reactor(build_plain_poller(), self, FewTimers)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs `coroutine` to its end.

        Raises:
            RuntimeError: it awaited something that needs an event loop.
        """
        error: BaseException | None = None
        wait = self.reactor.wait
        while True:
            try:
                waiter = coroutine.send(None) if error is None else coroutine.throw(error)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            error = None
            if type(waiter) is BlockingWaiter:
                try:
                    while waiter.pending:
                        wait(-1.0)
                except BaseException as interrupt:
                    # KeyboardInterrupt while waiting: the coroutine learns of it where it waits, and closes up.
                    error = interrupt
            elif waiter is not None:
                error = RuntimeError(
                    f"a synchronous client cannot wait for {type(waiter).__module__}.{type(waiter).__qualname__}: "
                    "it has no event loop; use AtomHTTP for callbacks and bodies that await"
                )

    # The reactor waits by itself here: there is nothing to tell an event loop.

    def watch(self) -> None:
        """Nothing watches this poller but `run`."""

    def unwatch(self) -> None:
        """See `watch`."""

    def arm(self, due: float) -> None:
        """`Reactor.wait` asks for the next due time each time."""

    def disarm(self) -> None:
        """See `arm`."""

    def is_closed(self) -> bool:
        return self.reactor.closed

    def check(self) -> None:
        """Any unit may wait for any connection."""

    def run_soon(self, function: Callable[[], None]) -> None:
        function()

    def call_soon(self, function: Callable[[], None]) -> None:
        function()

    async def foreign(self, awaitable: Awaitable[T], due: float | None) -> T:
        return await awaitable


class Units:
    """The units of one synchronous client: as many as calls run at once, kept for the next.

    Args:
        drop: told the reactor of a unit that an interrupt has passed through: what it used must not be used again.
    """

    def __init__(self, drop: Callable[[Reactor], None]) -> None:
        self._drop = drop
        self._lock = threading.Lock()
        self._free: list[BlockingDriver] = []
        self.closed = False

    def run(self, start: Callable[[BlockingDriver], Coroutine[Any, Any, T]]) -> T:
        """Runs `start(unit)` on a borrowed unit. One that an interrupt has passed through is thrown away."""
        try:
            unit = self._free.pop()
            if unit.reactor.closed:
                unit = BlockingDriver()
        except IndexError:
            unit = BlockingDriver()
        unit.thread = get_ident()
        try:
            result = unit.run(start(unit))
        except Exception:
            self._give_back(unit)
            raise
        except BaseException:
            self._drop(unit.reactor)
            unit.reactor.close_all()
            raise
        self._give_back(unit)
        return result

    def _give_back(self, unit: BlockingDriver) -> None:
        if self.closed:
            unit.reactor.let_go()
        else:
            self._free.append(unit)

    def close(self) -> None:
        """Closes the free units; those in use follow when they come back."""
        self.closed = True
        while self._free:
            self._free.pop().reactor.let_go()
