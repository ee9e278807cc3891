"""Waiting without an event loop: a unit runs a coroutine by waiting on its reactor's poller itself."""

from __future__ import annotations

import logging
import threading
import time
import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextvars import Context, copy_context
from threading import get_ident
from typing import Any, ClassVar, Final, TypeVar

from atomhttp._compiled import mypyc_attr
from atomhttp._net.drivers.driver import Driver, Waiter
from atomhttp._net.pollers import build_nested_poller, build_plain_poller
from atomhttp._net.reactor import BATCH, Reactor
from atomhttp._net.timers import FewTimers, TimerWheel

T = TypeVar("T")
D = TypeVar("D", bound="BlockingDriver")
_logger: Final = logging.getLogger("atomhttp.connection")

# Every unit of one client may use every connection of it: they share one pool.
SHARED_SCOPE = "synchronous"


class BlockingWaiter(Waiter):
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


@mypyc_attr(allow_interpreted_subclasses=True)
class BlockingDriver(Driver):
    """A unit: one reactor, borrowed by one call at a time."""

    clock: ClassVar[staticmethod[[], float]] = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.now = type(self).clock
        # The thread that has borrowed it.
        self.thread = get_ident()
        self.pool_scope = SHARED_SCOPE
        self.reactor = self._build_reactor()

    def _build_reactor(self) -> Reactor:
        return Reactor(build_plain_poller(), self, FewTimers)

    def waiter(self) -> BlockingWaiter:
        return BlockingWaiter()

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
                return stop.value  # type: ignore[no-any-return]  # StopIteration carries what the coroutine returned
            error = None
            if type(waiter) is BlockingWaiter:
                try:
                    while waiter.pending:
                        wait(-1.0)
                except BaseException as interrupt:
                    # KeyboardInterrupt while waiting: the coroutine learns of it where it waits, and closes up.
                    error = interrupt
                    self.interrupted = not isinstance(interrupt, Exception)
            elif waiter is not None:
                error = _foreign_error(waiter)

    # The reactor waits by itself here: there is nothing to tell an event loop.

    def watch(self) -> None:
        """Nothing watches this poller but `run`."""

    def unwatch(self) -> None:
        """See `watch`."""

    def arm(self, due: float) -> None:
        """`Reactor.wait` asks for the next due time each time."""

    def disarm(self) -> None:
        """See `arm`."""

    def flush_soon(self) -> None:
        """`Reactor.wait` does it, before it waits."""

    def is_closed(self) -> bool:
        return self.reactor.closed

    def check(self) -> None:
        """Any unit may wait for any connection."""

    def run_soon(self, function: Callable[[], None]) -> None:
        function()

    def call_soon(self, function: Callable[[], None]) -> None:
        function()

    async def foreign(self, awaitable: Awaitable[T], due: float | None) -> T:
        try:
            return await awaitable
        except (AttributeError, RuntimeError) as error:
            # asyncio's own code, which has looked for its event loop in vain: its words for that help nobody.
            if _raised_in(error).partition(".")[0] == "asyncio":
                raise _foreign_error(awaitable) from error
            raise


def _raised_in(error: BaseException) -> str:
    """The name of the module whose code raised `error`."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return "" if traceback is None else str(traceback.tb_frame.f_globals.get("__name__", ""))


def _foreign_error(awaited: object) -> RuntimeError:
    return RuntimeError(
        f"a synchronous client cannot wait for {type(awaited).__module__}.{type(awaited).__qualname__}: "
        "it has no event loop; use AtomHTTP for callbacks and bodies that await"
    )


# Many at once


class QueuedWaiter(BlockingWaiter):
    """A waiter of one coroutine among many: completed, it puts that on the queue of those that can go on."""

    runner: Runner | None = None

    def __init__(self, ready: deque[Runner]) -> None:
        self._ready = ready

    def set_result(self, result: Any) -> None:
        super().set_result(result)
        self._hand_on()

    def set_exception(self, error: BaseException) -> None:
        super().set_exception(error)
        self._hand_on()

    def _hand_on(self) -> None:
        # Once: being completed again must not wake it from what it waits for next.
        runner, self.runner = self.runner, None
        if runner is not None:
            self._ready.append(runner)


class Runner:
    """A coroutine on its way, in a context of its own as a task would be."""

    __slots__ = ("context", "coroutine", "error", "place")

    def __init__(self, place: int, coroutine: Coroutine[Any, Any, Any], context: Context) -> None:
        self.place = place
        self.coroutine = coroutine
        self.context = context
        # What it finds at its await instead of a result.
        self.error: BaseException | None = None


class ManyDriver(BlockingDriver):
    """A unit that runs many coroutines at once, on the thread that asks for it.

    Nobody looks through those that wait: the reactor completes waiters, and each puts its coroutine on the queue. The
    poller and the timers are those of an event loop, whose cost does not grow with what is registered either.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ready: deque[Runner] = deque()

    def waiter(self) -> QueuedWaiter:
        return QueuedWaiter(self.ready)

    def _build_reactor(self) -> Reactor:
        return Reactor(build_nested_poller(), self, TimerWheel)

    async def breathe(self) -> None:
        await _pause()

    def run_many(
        self,
        starts: Sequence[Callable[[BlockingDriver], Coroutine[Any, Any, Any]]],
        limit: int | None = None,
        return_exceptions: bool = False,
        give_up: Callable[[Any], None] = lambda result: None,
    ) -> list[Any]:
        """Runs the coroutine of every `start(self)` to its end, at most `limit` at once; their results, in order.

        With `return_exceptions` an Exception is a result. Without, the first one ends the others and is raised; a
        BaseException does so in any case.

        Args:
            give_up: what is done with the results there were when the whole of it fails: nobody else will see them.
        """
        return _Together(self, starts, limit, return_exceptions).run(give_up)


@types.coroutine
def _pause() -> Generator[None, None, None]:
    yield


class _Together:
    """The coroutines of one `run_many`."""

    def __init__(
        self,
        driver: ManyDriver,
        starts: Sequence[Callable[[BlockingDriver], Coroutine[Any, Any, Any]]],
        limit: int | None,
        return_exceptions: bool,
    ) -> None:
        self._driver = driver
        self._ready = driver.ready
        self._waiting = deque(enumerate(starts))
        self._limit = len(starts) if limit is None else limit
        self._return_exceptions = return_exceptions
        self._results: list[Any] = [None] * len(starts)
        # In the order in which they began.
        self._running: dict[Runner, None] = {}

    def run(self, give_up: Callable[[Any], None]) -> list[Any]:
        ready, wait = self._ready, self._driver.reactor.wait
        try:
            while True:
                self._start()
                # Those that are put on the queue meanwhile come after the sockets have had their turn.
                for _ in range(len(ready)):
                    self._step(ready.popleft())
                if not self._running and not self._waiting:
                    return self._results
                wait(0.0 if ready or self._may_start else -1.0)
        except BaseException as error:
            self._driver.interrupted = not isinstance(error, Exception)
            self._end(give_up)
            raise
        finally:
            # Errors among them refer to the frames that they have passed through, and through them to all this.
            self._results = []

    @property
    def _may_start(self) -> bool:
        return bool(self._waiting) and len(self._running) < self._limit

    def _start(self) -> None:
        """Starts what the limit allows, as many as the poller reports at once: the sockets are not to wait for long."""
        for _ in range(BATCH):
            if not self._may_start:
                return
            place, start = self._waiting.popleft()
            context = copy_context()
            try:
                runner = Runner(place, context.run(start, self._driver), context)
            except Exception as failure:
                if not self._return_exceptions:
                    raise
                self._results[place] = failure
            else:
                self._running[runner] = None
                self._step(runner)

    def _step(self, runner: Runner) -> None:
        """Runs a coroutine up to its next wait."""
        if runner not in self._running:
            # Of an earlier `run_many` that failed: a thread has only now answered what was waited for there.
            return
        error, runner.error = runner.error, None
        try:
            if error is None:
                awaited = runner.context.run(runner.coroutine.send, None)
            else:
                awaited = runner.context.run(runner.coroutine.throw, error)
        except StopIteration as stop:
            del self._running[runner]
            self._results[runner.place] = stop.value
        except Exception as failure:
            del self._running[runner]
            if not self._return_exceptions:
                raise
            self._results[runner.place] = failure
        else:
            if type(awaited) is QueuedWaiter:
                awaited.runner = runner
                return
            if awaited is not None:
                runner.error = _foreign_error(awaited)
            self._ready.append(runner)

    def _end(self, give_up: Callable[[Any], None]) -> None:
        """Closes what is under way, each coroutine where it waits: there its connection is given back or closed."""
        interrupt: BaseException | None = None
        for runner in list(self._running):
            try:
                runner.context.run(runner.coroutine.close)
            except Exception:
                # What made us end is what the caller is told of.
                _logger.debug("a call that was broken off failed as well", exc_info=True)
            except BaseException as error:
                interrupt = error
        self._running.clear()
        self._ready.clear()
        for result in self._results:
            give_up(result)
        if interrupt is not None:
            raise interrupt


def run_awaitable(awaitable: Awaitable[T]) -> T:
    """The result of what a callback gave, awaited without an event loop.

    Raises:
        RuntimeError: it awaited something that needs one.
    """
    unit = BlockingDriver()
    try:
        return unit.run(_await(awaitable))
    finally:
        unit.reactor.close_all()


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


# Units


class Units:
    """The units of one synchronous client: as many as calls run at once, kept for the next.

    Args:
        drop: told the reactor of a unit that an interrupt has passed through: what it used must not be used again.
    """

    def __init__(self, drop: Callable[[Reactor], None]) -> None:
        self._drop = drop
        self._lock = threading.Lock()
        self._free: list[BlockingDriver] = []
        self._free_for_many: list[ManyDriver] = []
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
            self._give_back(unit, self._free)
            raise
        except BaseException:
            self._drop(unit.reactor)
            unit.reactor.close_all()
            raise
        self._give_back(unit, self._free)
        return result

    def run_many(
        self,
        starts: Sequence[Callable[[BlockingDriver], Coroutine[Any, Any, Any]]],
        limit: int | None,
        return_exceptions: bool,
        give_up: Callable[[Any], None],
    ) -> list[Any]:
        """`ManyDriver.run_many` on a borrowed unit; as for `run`, an interrupt is the end of that."""
        try:
            unit = self._free_for_many.pop()
            if unit.reactor.closed:
                unit = ManyDriver()
        except IndexError:
            unit = ManyDriver()
        unit.thread = get_ident()
        try:
            results = unit.run_many(starts, limit, return_exceptions, give_up)
        except Exception:
            self._give_back(unit, self._free_for_many)
            raise
        except BaseException:
            self._drop(unit.reactor)
            unit.reactor.close_all()
            raise
        self._give_back(unit, self._free_for_many)
        return results

    def _give_back(self, unit: D, free: list[D]) -> None:
        if self.closed:
            unit.reactor.let_go()
        else:
            free.append(unit)

    def close(self) -> None:
        """Closes the free units; those in use follow when they come back."""
        self.closed = True
        for free in (self._free, self._free_for_many):
            while True:
                try:
                    unit = free.pop()
                except IndexError:
                    # None left, or another thread has just borrowed the last.
                    break
                unit.reactor.let_go()
