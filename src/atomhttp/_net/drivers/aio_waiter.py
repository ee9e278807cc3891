"""What one task of an event loop awaits, and how it is woken. It knows asyncio's protocol, and not asyncio."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Generator
from typing import Any

from atomhttp._compiled import mypyc_attr
from atomhttp._net.drivers.driver import Driver, Waiter


@mypyc_attr(allow_interpreted_subclasses=True)
class WakingDriver(Driver):
    """What each turn of an event loop passes through: the reactor's pass, and the tasks that it wakes.

    Attributes:
        loop: the event loop.
        cancelled_error: what a cancelled task finds where it waits.
        finished: a future of the loop that is done and holds nothing.
        context: for callbacks, which keep the one in which they were added for as long as they stand: not a caller's.
        will_wake: somebody is going to look at `woken`: the pass under way, or a callback of the loop.
        woken: waiters whose tasks are to go on.
    """

    def __init__(self, loop: Any, cancelled_error: type[BaseException], finished: Any) -> None:
        self.loop = loop
        self.cancelled_error = cancelled_error
        self.finished = finished
        self.context = contextvars.Context()
        self.woken: list[AioWaiter] = []
        self.will_wake = False
        # Whether a turn of ours is under way, at whose end the reactor flushes.
        self._in_turn = False

    def waiter(self) -> AioWaiter:
        return AioWaiter(self)

    def run_ready(self) -> None:
        """One pass of the reactor, then the tasks that it woke: they run outside the reactor, each in its context."""
        self.will_wake = self._in_turn = True
        try:
            self.reactor.run_ready()
        finally:
            self._wake_all()

    def wake(self, waiter: AioWaiter) -> None:
        """Has the task of `waiter` run soon, never at once."""
        self.woken.append(waiter)
        if not self.will_wake:
            self.will_wake = True
            self.loop.call_soon(self._wake_all, context=self.context)

    def _wake_all(self) -> None:
        woken, self.woken = self.woken, []
        self.will_wake = False
        waiting = iter(woken)
        self._in_turn = True
        try:
            for waiter in waiting:
                waiter.step()
        except BaseException:
            # KeyboardInterrupt in a task: the others still get their turn.
            for waiter in waiting:
                self.wake(waiter)
            raise
        finally:
            self._in_turn = False
            if self.reactor.dirty:
                self.reactor.flush()

    def flush_soon(self) -> None:
        if not self._in_turn:
            self.loop.call_soon(self.reactor.flush, context=self.context)


def create_waiter(driver: Driver) -> Waiter:
    """`driver.waiter()`, by the short way where that is known (compiled: 100 instructions instead of 600)."""
    return AioWaiter(driver) if isinstance(driver, WakingDriver) else driver.waiter()


@mypyc_attr(free_list_len=1)
class AioWaiter(Waiter):
    """What one task awaits: a future that wakes its task itself.

    `asyncio.Future` asks the loop to call the task later, by a handle of its own for each. Ours are woken in one go
    when the reactor has finished its pass: a third less work for a small request. It speaks the protocol by which
    tasks wait for futures that are not asyncio's own (`_asyncio_future_blocking`, `add_done_callback`, `result`).
    """

    # Defaults on the class and no __slots__: making one sets a single attribute.
    _asyncio_future_blocking = False
    _callback: Callable[[Any], object] | None = None
    _context: contextvars.Context | None = None
    _done = False
    _error: BaseException | None = None
    _result: Any = None

    def __init__(self, driver: WakingDriver) -> None:
        self._driver = driver

    def __await__(self) -> Generator[AioWaiter, None, Any]:
        if not self._done:
            self._asyncio_future_blocking = True
            yield self
        if self._error is not None:
            raise self._error
        return self._result

    def get_loop(self) -> Any:
        return self._driver.loop

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: contextvars.Context | None = None
    ) -> None:
        self._callback = callback
        self._context = context if context is not None else contextvars.copy_context()
        if self._done:
            self._driver.wake(self)

    def remove_done_callback(self, callback: object) -> int:
        self._callback = None
        return 1

    def done(self) -> bool:
        return self._done

    def cancelled(self) -> bool:
        return isinstance(self._error, self._driver.cancelled_error)

    def cancel(self, msg: Any = None) -> bool:
        if self._done:
            return False
        kind = self._driver.cancelled_error
        self.set_exception(kind() if msg is None else kind(msg))
        return True

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result

    def exception(self) -> BaseException | None:
        return self._error

    def set_result(self, result: Any) -> None:
        if result is not None:
            self._result = result
        self._done = True
        if self._callback is not None:
            driver = self._driver
            if driver.will_wake:
                driver.woken.append(self)
            else:
                driver.wake(self)

    def set_exception(self, error: BaseException) -> None:
        self._error = error
        self._done = True
        if self._callback is not None:
            self._driver.wake(self)

    def step(self) -> None:
        """Runs the task up to its next wait."""
        callback = self._callback
        if callback is not None:
            self._callback = None
            # The task asks what it is called with how its wait ended, and then whoever awaits this asks again. Where
            # that is good news, a future that asyncio knows saves the question by name (1,300 instructions).
            outcome = self if self._error is not None else self._driver.finished
            self._context.run(callback, outcome)  # type: ignore[union-attr]  # tasks always give theirs
