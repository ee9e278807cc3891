"""What one task of an event loop awaits. It knows asyncio's protocol, and not asyncio."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Generator
from typing import Any, Protocol


class WakingDriver(Protocol):
    """Who steps the tasks of waiters that are done (`AsyncioDriver`).

    Attributes:
        loop: the event loop.
        cancelled_error: what a cancelled task finds where it waits.
        will_wake: somebody is going to look at `woken`.
        woken: waiters whose tasks are to go on.
    """

    loop: Any
    cancelled_error: type[BaseException]
    will_wake: bool
    woken: list[AioWaiter]

    def wake(self, waiter: AioWaiter) -> None:
        """Has the task of `waiter` run soon, never at once."""


class AioWaiter:
    """What one task awaits: a future that wakes its task itself.

    `asyncio.Future` asks the loop to call the task later, by a handle of its own for each. Ours are woken in one go
    when the reactor has finished its pass: a third less work for a small request. It speaks the protocol by which
    tasks wait for futures that are not asyncio's own (`_asyncio_future_blocking`, `add_done_callback`, `result`).
    """

    # Defaults on the class and no __slots__: making one sets a single attribute.
    _asyncio_future_blocking = False
    _callback: Callable[[AioWaiter], object] | None = None
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
        self, callback: Callable[[AioWaiter], object], *, context: contextvars.Context | None = None
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
            self._context.run(callback, self)  # type: ignore[union-attr]  # tasks always give theirs
