"""asyncio and every loop that speaks its language (uvloop). The only file that imports asyncio."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any, ClassVar, Final, TypeVar

from atomhttp._model.abort import AbortSignal
from atomhttp._net.drivers.aio_waiter import AioWaiter, WakingDriver
from atomhttp._net.drivers.together import close_coroutines, collect_tasks, refusal
from atomhttp._net.pollers import build_nested_poller
from atomhttp._net.reactor import Reactor

T = TypeVar("T")
_logger = logging.getLogger("atomhttp.connection")

# Strong references, because a loop can die without a word: `current` drops those that have closed. Keyed by the loop
# itself: its id returns under uvloop, and a weak key would never go (the driver refers to the loop).
_drivers: dict[asyncio.AbstractEventLoop, AsyncioDriver] = {}
# Each call asks.
_get_running_loop: Final = asyncio.get_running_loop


def current() -> AsyncioDriver:
    """The driver of the running loop.

    Raises:
        RuntimeError: no loop is running in this thread.
    """
    try:
        loop = _get_running_loop()
    except RuntimeError:
        raise _no_loop() from None
    driver = _drivers.get(loop)
    if driver is None:
        _sweep()
        driver = _drivers[loop] = AsyncioDriver(loop)
    return driver


def _no_loop() -> RuntimeError:
    return RuntimeError(
        "AtomHTTP needs a running event loop, and none runs here: await it from a coroutine, or use SyncAtomHTTP"
    )


def _sweep() -> None:
    """Closes what closed loops have left behind."""
    for loop, driver in list(_drivers.items()):
        # Another thread may be sweeping as well.
        if loop.is_closed() and _drivers.pop(loop, None) is not None:
            # Ends the waiting thread, where there is one; a closed loop itself has nothing left to be told.
            driver.unwatch()
            driver.reactor.close_all()


class AsyncioDriver(WakingDriver):
    """Nests the reactor in a loop: the loop watches the poller's descriptor and one timer, whatever happens inside."""

    clock: ClassVar[staticmethod[[], float]] = staticmethod(time.monotonic)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        finished: asyncio.Future[None] = asyncio.Future(loop=loop)
        finished.set_result(None)
        super().__init__(loop, asyncio.CancelledError, finished)
        self.now = type(self).clock
        self.pool_scope = self
        self.thread = threading.get_ident()
        self._poller = build_nested_poller()
        self.reactor = Reactor(self._poller, self)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._waiting_thread: _PollerThread | None = None

    # Descriptors

    def watch(self) -> None:
        fd = self._poller.fileno()
        if fd is not None:
            try:
                # A context of its own: this may be called by a task that `run_ready` woke, inside `_context`.
                contextvars.Context().run(self.loop.add_reader, fd, self.run_ready)
                return
            except NotImplementedError:
                _logger.debug("%s has no add_reader: a thread waits for it", type(self.loop).__name__)
        self._waiting_thread = _PollerThread(self.loop, self.reactor, self.context, self.run_ready)

    def unwatch(self) -> None:
        if self.reactor.timers.next_due() is None:
            self.disarm()
        thread, self._waiting_thread = self._waiting_thread, None
        if thread is not None:
            thread.stop()
            return
        if self.loop.is_closed():
            return
        fd = self._poller.fileno()
        if fd is not None:
            self.loop.remove_reader(fd)

    # Timers

    def arm(self, due: float) -> None:
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        delay = max(0.0, due - self.now())
        self._timer = self.loop.call_at(self.loop.time() + delay, self._on_timer, context=self.context)

    def _on_timer(self) -> None:
        self._timer = None
        # uvloop fires up to 1.25 ms early; what is not due yet is armed again by run_timers.
        self.reactor.run_timers()

    def disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    # Waiting

    def retire(self) -> None:
        self.disarm()
        _drivers.pop(self.loop, None)
        self.reactor.close_all()

    def is_closed(self) -> bool:
        return self.loop.is_closed() or self.reactor.closed

    def _is_current(self) -> bool:
        try:
            return asyncio.get_running_loop() is self.loop
        except RuntimeError:
            return False

    def check(self) -> None:
        if not self._is_current():
            raise RuntimeError("this stream belongs to another event loop, the one that made the request")

    def run_soon(self, function: Callable[[], None]) -> None:
        if self._is_current():
            function()
        else:
            self.call_soon(function)

    def call_soon(self, function: Callable[[], None]) -> None:
        self.loop.call_soon_threadsafe(function, context=self.context)

    async def breathe(self) -> None:
        waiter = AioWaiter(self)
        self.loop.call_soon(waiter.set_result, None)
        await waiter

    async def abortable(self, coroutine: Coroutine[Any, Any, T], signal: AbortSignal) -> T:
        task = asyncio.current_task()
        if task is None or signal.aborted:
            return await super().abortable(coroutine, signal)
        scope = _AbortScope(self, task, signal)
        scope.enter()
        try:
            result = await coroutine
        except asyncio.CancelledError:
            if scope.exit():
                error = signal.error()
                raise error from error.__cause__
            raise
        except BaseException:
            scope.exit()
            raise
        scope.exit()
        return result

    async def foreign(self, awaitable: Awaitable[T], due: float | None) -> T:
        if due is None:
            return await awaitable
        # The allowance: uvloop's clock ticks once a millisecond, and nothing may be early.
        async with asyncio.timeout_at(self.loop.time() + max(0.0, due - self.now()) + 0.002):
            return await awaitable


class _AbortScope:
    """Breaks off what a task does, as a cancellation, and knows it from others (the way of `asyncio.timeout`)."""

    def __init__(self, driver: AsyncioDriver, task: asyncio.Task[Any], signal: AbortSignal) -> None:
        self._driver = driver
        self._task = task
        self._signal = signal
        self._cancelling = task.cancelling()
        self._timer: asyncio.TimerHandle | None = None
        self._entered = self._aborted = False

    def enter(self) -> None:
        self._entered = True
        self._signal.add_listener(self._on_abort)
        seconds = self._signal.seconds_left
        if seconds is not None:
            # The allowance: uvloop's clock ticks once a millisecond, and nothing may be early.
            self._timer = self._driver.loop.call_later(seconds + 0.002, self._abort, context=contextvars.Context())

    def exit(self) -> bool:
        """Whether the task was cancelled by the signal, and by nobody else."""
        self._entered = False
        self._signal.remove_listener(self._on_abort)
        if self._timer is not None:
            self._timer.cancel()
        return self._aborted and self._task.uncancel() <= self._cancelling

    def _on_abort(self) -> None:
        try:
            self._driver.call_soon(self._abort)
        except RuntimeError:
            # The loop has closed: the task that would be told has ended.
            return

    def _abort(self) -> None:
        # By the loop, never by the task itself: it waits somewhere, and finds the cancellation there.
        if self._entered and not self._aborted:
            self._aborted = True
            self._task.cancel()


class _PollerThread:
    """Waits on the poller for a loop that cannot (Windows' proactor), and wakes the loop when something is ready.

    It waits again only when the loop has served: without that handshake it would wake the loop for the same event over
    and over (0.6 of the speed of a nested poller; 0.85 with it).
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reactor: Reactor,
        context: contextvars.Context,
        run_ready: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._reactor = reactor
        self._run_ready = run_ready
        self.context = context
        self._served = threading.Event()
        # Set by another thread at any time: typed so that no checker concludes otherwise.
        self._stopped: Any = False
        self._stop_read, self._stop_write = os.pipe()
        self._worker = threading.Thread(target=self._run, name="atomhttp-poller", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        self._stopped = True
        self._served.set()
        os.write(self._stop_write, b"\0")
        self._worker.join()
        os.close(self._stop_read)
        os.close(self._stop_write)

    def _run(self) -> None:
        fd: Any = self._reactor.poller
        while not self._stopped:
            select.select([fd, self._stop_read], [], [])
            if self._stopped:
                return
            self._served.clear()
            if self._stopped:
                # `stop` may have set the event just before it was cleared, and waits for this thread by now.
                return
            try:
                self._loop.call_soon_threadsafe(self._serve, context=self.context)
            except RuntimeError:
                # The loop has closed: the next reactor sweeps what is left here.
                return
            self._served.wait()

    def _serve(self) -> None:
        try:
            if not self._stopped:
                self._run_ready()
        finally:
            self._served.set()


# Many at once


async def run_all(
    tasks: Any, limit: Any, return_exceptions: Any, give_up: Callable[[Any], Awaitable[None]]
) -> list[Any]:
    """Awaits `tasks` together; `AtomHTTP.all` says how.

    Args:
        give_up: what is done with the results there were when the whole of it fails: nobody else will see them.
    """
    items = collect_tasks(tasks, limit, return_exceptions)
    return await _Together(items, limit, return_exceptions).run(give_up)


class _Together:
    """The tasks of one `all`: futures are the caller's and only waited for, everything else is started here.

    All that is decided is decided in `run`, by the task that awaits it. What is called when a future is done counts,
    and wakes that task when there may be something to decide.
    """

    def __init__(self, items: list[Any], limit: int | None, return_exceptions: bool) -> None:
        self._items = items
        self._limit = limit
        self._return_exceptions = return_exceptions
        # By identity: what was given twice runs once, and its result stands in both places (as with asyncio.gather).
        self._waiting: deque[Any] = deque({id(item): item for item in items if isawaitable(item)}.values())
        self._left = len(self._waiting)
        self._futures: dict[int, asyncio.Future[Any]] = {}
        self._theirs: list[asyncio.Future[Any]] = []
        self._started: list[asyncio.Future[Any]] = []
        self._running: set[asyncio.Future[Any]] = set()
        self._failed: asyncio.Future[Any] | None = None
        self._waker: asyncio.Future[None] | None = None
        # `run` is being closed where it waits: it must not wait again.
        self._closed = False

    async def run(self, give_up: Callable[[Any], Awaitable[None]]) -> list[Any]:
        """What came of each, in order."""
        try:
            self._join_futures()
            while True:
                self._start()
                if self._failed is not None:
                    self._failed.result()
                if not self._left:
                    return [self._outcome(item) for item in self._items]
                await self._wait()
        except BaseException:
            self._let_go()
            if not self._closed:
                await self._settle(give_up)
            raise
        finally:
            # An error refers to the frames that it has passed through, and through them to all this.
            self._items, self._futures, self._theirs, self._started = [], {}, [], []
            self._failed = None

    # Beginning

    def _join_futures(self) -> None:
        """Begins to wait for what runs already: it counts for no limit, so it need not wait for its turn."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise _no_loop() from None
        waiting, self._waiting = self._waiting, deque()
        for awaitable in waiting:
            if not asyncio.isfuture(awaitable):
                self._waiting.append(awaitable)
        for future in filter(asyncio.isfuture, waiting):
            if future.get_loop() is not loop:
                raise refusal("all: tasks", "futures of the running event loop, and one belongs to another", future)
            self._futures[id(future)] = future
            self._theirs.append(future)
            self._watch(future)

    def _start(self) -> None:
        """Starts what the limit allows. Called by `run`, so that each gets a copy of the caller's context."""
        while self._waiting and self._failed is None and (self._limit is None or len(self._running) < self._limit):
            awaitable = self._waiting[0]
            given = awaitable  # tested under another name, so that its own type stays
            coroutine: Coroutine[Any, Any, Any] = awaitable if isinstance(given, Coroutine) else _await(awaitable)
            try:
                task = asyncio.create_task(coroutine)
            except BaseException:
                coroutine.close()
                raise
            self._waiting.popleft()
            self._futures[id(awaitable)] = task
            self._started.append(task)
            self._running.add(task)
            self._watch(task)

    def _watch(self, future: asyncio.Future[Any]) -> None:
        # An eager task may have ended before there is a chance to ask for being called.
        if future.done():
            self._on_done(future)
        else:
            future.add_done_callback(self._on_done)

    # Waiting

    def _on_done(self, future: asyncio.Future[Any]) -> None:
        self._left -= 1
        self._running.discard(future)
        # Asked for in any case: asyncio reports errors that nobody has asked for.
        failed = future.cancelled() or future.exception() is not None
        if failed and self._failed is None and not self._return_exceptions:
            self._failed = future
        waker = self._waker
        if waker is not None and not waker.done() and (self._failed or self._waiting or not self._running):
            waker.set_result(None)

    async def _wait(self) -> None:
        self._waker = asyncio.get_running_loop().create_future()
        try:
            await self._waker
        except GeneratorExit:
            self._closed = True
            raise
        finally:
            self._waker = None

    # Ending

    def _outcome(self, item: Any) -> Any:
        future = self._futures.get(id(item))
        if future is None:
            return item
        try:
            return future.exception() or future.result()
        except asyncio.CancelledError as error:
            return error

    def _let_go(self) -> None:
        """Ends what was started, and has nothing more to do with the rest."""
        close_coroutines(self._waiting)
        self._waiting.clear()
        for future in self._theirs:
            future.remove_done_callback(self._on_done)
        self._cancel()

    def _cancel(self) -> None:
        for task in list(self._running):
            if not task.get_loop().is_closed():
                task.cancel()

    async def _settle(self, give_up: Callable[[Any], Awaitable[None]]) -> None:
        """Waits until all that was started has ended."""
        cancelled: asyncio.CancelledError | None = None
        while self._running:
            try:
                await self._wait()
            except asyncio.CancelledError as error:
                # Handed on, for those that did not heed the first one; but none is left alone for it.
                cancelled = error
                self._cancel()
        for task in self._started:
            if not task.cancelled() and task.exception() is None:
                await give_up(task.result())
        if cancelled is not None:
            raise cancelled


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


# Applications in process


class LoopThread:
    """An event loop in a daemon thread: where an application runs that a synchronous client talks to in process.

    Attributes:
        loop: the event loop.
    """

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop
        self._pid = os.getpid()
        self._started = threading.Event()
        self._worker = threading.Thread(target=self._run, name="atomhttp-loop", daemon=True)
        self._worker.start()
        self._started.wait()

    def _run(self) -> None:
        # Ends what is left on the loop, asynchronous generators and executor included.
        asyncio.run(self._main())

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stopped = self.loop.create_future()
        self._started.set()
        await self._stopped

    @property
    def is_alive(self) -> bool:
        """Whether it is there: a fork leaves it behind."""
        return self._pid == os.getpid() and self._worker.is_alive()

    def stop(self) -> None:
        """Cancels what runs there, and ends the thread. From any thread; once."""
        if not self.is_alive:
            return
        self.loop.call_soon_threadsafe(self._stopped.set_result, None)
        # The garbage collector may run in the very thread that is to end.
        if threading.current_thread() is not self._worker:
            self._worker.join()


def runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether `loop` runs in this thread."""
    return _running_loop() is loop


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def run_in_loop(
    loop: asyncio.AbstractEventLoop, start: Callable[[], Coroutine[Any, Any, None]], blocking: bool = False
) -> None:
    """Runs `start()` in `loop`, which may be this one or run in another thread, and waits until it has ended.

    Nothing happens in a loop that does not run: nothing of it can be reached.

    Args:
        blocking: blocks this thread meanwhile, whatever runs in it; not for a loop that does.
    """
    if runs_here(loop):
        await start()
        return
    if not loop.is_running():
        return
    future = asyncio.run_coroutine_threadsafe(start(), loop)
    if blocking or _running_loop() is None:
        future.result()
    else:
        await asyncio.wrap_future(future)


def _forget_after_fork() -> None:
    _drivers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
