"""The reactor: one poller that serves all sockets of one event loop, or of one synchronous unit.

Theory of operation. A loop that watched every socket itself would build an event, a handle and a context switch for
each; ours watches one descriptor, the poller's, and when that fires `run_ready` serves every ready socket in one pass.
Inside a pass bytes are moved and waiters woken; no user code runs. What follows are the rules that keep it true:

* A pass serves one batch of at most `BATCH` events, whole (what a pass leaves out of a batch would starve for ever).
  What else is ready is served in the loop's next turn, after the tasks that this batch woke: those find the state of
  their connections in the caches still. (512 in flight cost half as much again as 64 when a pass went on for 5 ms.)
* A handler that raises is told so (`fail`) and goes on being nobody's problem; a BaseException is raised again after.
* During a batch a descriptor is closed only when the batch has ended, and a handler that was registered during it is
  not called in it: a stale event would otherwise reach the new owner of a descriptor number.
* A handler that does not want to be called unregisters: a mask of 0 would still report errors and spin.
* The wake-up descriptor is open only while a thread owes an answer.
"""

from __future__ import annotations

import os
import socket
from abc import ABCMeta, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from atomhttp._compiled import mypyc_attr
from atomhttp._net.live import Life, live_reactors
from atomhttp._net.pollers import IN, Poller
from atomhttp._net.timers import FewTimers, TimerWheel

if TYPE_CHECKING:
    from atomhttp._net.drivers import Driver

BATCH: Final = 32
BUFFER_SIZE: Final = 256 * 1024

# Seconds for which it is good enough to have looked: what comes later is as if it were still under way.
RECENT: Final = 0.001
# What `look` can tell apart; there is more only where thousands are ready at once.
IN_SIGHT: Final = 512
_NONE: Final[Mapping[int, int]] = MappingProxyType({})

# Longer waits are taken in turns: poll(2) counts milliseconds in an int.
LONGEST_POLL: Final = 86_400.0


@mypyc_attr(allow_interpreted_subclasses=True)
class Handler(metaclass=ABCMeta):
    """The owner of a registered descriptor."""

    __slots__ = ()

    @abstractmethod
    def on_ready(self, mask: int) -> None:
        """The descriptor is ready as `mask` says."""

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """`on_ready` raised `error`: close, and tell whoever waits."""


class Flushed(Protocol):
    """Gathers what it is going to send."""

    def flush(self) -> None:
        """Sends it."""

    def fail(self, error: BaseException) -> None:
        """`flush` raised `error`: close, and tell whoever waits."""


class Reactor:
    """Registered descriptors, timers, and the buffer that everything is received into."""

    def __init__(self, poller: Poller, driver: Driver, timers: type[TimerWheel | FewTimers] = TimerWheel) -> None:
        self.poller = poller
        self.now = driver.now
        self.timers = timers(self._on_earlier)
        self.buffer = memoryview(bytearray(BUFFER_SIZE))
        # When the poller was asked last, and what it said then that nobody has served since.
        self.polled_at = 0.0
        self.readable: Mapping[int, int] = _NONE
        # When there was too much to be told apart.
        self._crowded_at = 0.0
        self.closed = False
        self._driver = driver
        self._poll = poller.poll
        self._handlers: dict[int, Handler] = {}
        self._in_batch = False
        self._fresh: set[int] = set()
        self._closing: list[socket.socket] = []
        self._calls: deque[Callable[[], None]] = deque()
        self._waker: _Waker | None = None
        # Connections that have something to send, once everybody who runs in this turn has had a say.
        self.dirty: deque[Flushed] = deque()
        self._life = Life(self)

    @property
    def thread(self) -> int:
        """The identifier of the thread that it is served in."""
        return self._driver.thread

    # Descriptors

    def register(self, fd: int, mask: int, handler: Handler) -> None:
        """Calls `handler.on_ready` when `fd` is ready, until it is unregistered."""
        self.poller.register(fd, mask)
        if self._in_batch:
            self._fresh.add(fd)
        if not self._handlers:
            self._driver.watch()
        self._handlers[fd] = handler

    def modify(self, fd: int, mask: int) -> None:
        """Changes what `fd` is watched for; `mask` is not 0."""
        self.poller.modify(fd, mask)

    def unregister(self, fd: int) -> None:
        """Forgets `fd`. The caller owns it again, but closes it by `close`."""
        if self._handlers.pop(fd, None) is None or self.closed:
            return
        if not self._handlers:
            self._driver.unwatch()
        self.poller.unregister(fd)

    def close(self, sock: socket.socket) -> None:
        """Closes a socket that is no longer registered; its number must not return while events of it may be held."""
        if self._in_batch:
            self._closing.append(sock)
        else:
            sock.close()

    # Serving

    def look(self, now: float) -> bool:
        """Notes in `readable` what is ready, without serving it; False when there is too much of it to tell."""
        if now - self._crowded_at < RECENT:
            return False
        events = self._poll(0, IN_SIGHT)
        if len(events) >= IN_SIGHT:
            # Remembered: thousands that ask would get the same answer, at 70 µs each.
            self._crowded_at = now
            return False
        self.polled_at = now
        self.readable = dict(events)
        return True

    def run_ready(self) -> None:
        """Serves what is ready now, one batch of it."""
        now = self.now()
        events = self._poll(0, BATCH)
        self.readable = _NONE
        if len(events) < BATCH:
            self.polled_at = now
        self._serve(events)

    def wait(self, timeout: float) -> None:
        """Waits until something is ready or `timeout` seconds have gone (negative: never), serves it, runs timers."""
        if self.dirty:
            self.flush()
            # What was waited for may have been that.
            return
        due = self.timers.next_due()
        if due is not None:
            left = due - self.now()
            if left < 0:
                left = 0.0
            elif left > LONGEST_POLL:
                left = LONGEST_POLL
            if timeout < 0 or left < timeout:
                timeout = left
        events = self._poll(timeout, BATCH)
        if events:
            self._serve(events)
        if due is not None and self.now() >= due:
            self.timers.run(self.now())

    def flush_soon(self, connection: Flushed) -> None:
        """Has `connection` flushed when everybody who runs in this turn has had a say."""
        self.dirty.append(connection)
        if len(self.dirty) == 1:
            self._driver.flush_soon()

    def forget_flush(self, connection: Flushed) -> None:
        """It has seen to that itself."""
        if connection in self.dirty:
            self.dirty.remove(connection)

    def flush(self) -> None:
        """Flushes the connections that asked for it."""
        # Those that ask again meanwhile have had their turn.
        for _ in range(len(self.dirty)):
            if not self.dirty:
                return
            connection = self.dirty.popleft()
            try:
                connection.flush()
            except Exception as error:
                connection.fail(error)
        if self.dirty:
            self._driver.flush_soon()

    def run_timers(self) -> None:
        """Expires what is due and arms the driver for what comes next."""
        try:
            self.timers.run(self.now())
        finally:
            due = self.timers.next_due()
            if due is not None:
                self._driver.arm(due)

    def _serve(self, events: Sequence[tuple[int, int]]) -> None:
        handlers, fresh = self._handlers, self._fresh
        self._in_batch = True
        try:
            for fd, mask in events:
                handler = handlers.get(fd)
                if handler is None or (fresh and fd in fresh):
                    continue
                try:
                    handler.on_ready(mask)
                except Exception as error:
                    handler.fail(error)
                except BaseException as error:
                    handler.fail(error)
                    raise
        finally:
            self._in_batch = False
            if fresh:
                fresh.clear()
            while self._closing:
                self._closing.pop().close()

    def _on_earlier(self) -> None:
        due = self.timers.next_due()
        if due is not None:
            self._driver.arm(due)

    # Other threads

    def expect_calls(self) -> None:
        """A thread is going to `call_soon_threadsafe`: opens the wake-up descriptor. Pairs with `calls_done`."""
        if self._waker is None:
            self._waker = _Waker(self)
        self._waker.users += 1

    def calls_done(self) -> None:
        """One thread fewer owes a call."""
        waker = self._waker
        if waker is not None:
            waker.users -= 1
            if waker.users <= 0:
                self._waker = None
                waker.close()

    def call_soon_threadsafe(self, function: Callable[[], None]) -> None:
        """Has `function` called by the reactor's own thread. From any thread, after `expect_calls`."""
        self._calls.append(function)
        waker = self._waker
        if waker is not None:
            waker.wake()

    def run_calls(self) -> None:
        """Runs what other threads have asked for."""
        while self._calls:
            self._calls.popleft()()

    # Ends

    def let_go(self) -> None:
        """Closes the reactor but not the connections that lie idle with it: another unit may take them."""
        for handler in list(self._handlers.values()):
            detach = getattr(handler, "detach", None)
            if detach is not None:
                detach()
        self.close_all()

    def close_all(self) -> None:
        """The loop is gone, or the process forked: closes descriptors without a word to peer, poller or loop."""
        self.closed = True
        handlers, self._handlers = self._handlers, {}
        for handler in handlers.values():
            abandon = getattr(handler, "abandon", None)
            if abandon is not None:
                abandon()
        waker, self._waker = self._waker, None
        if waker is not None:
            waker.abandon()
        while self._closing:
            self._closing.pop().close()
        self.poller.close()
        self._life.end()

    @property
    def handler_count(self) -> int:
        """Registered descriptors, the wake-up one included."""
        return len(self._handlers)

    @property
    def timer_count(self) -> int:
        """Armed timers."""
        return len(self.timers)


class _Waker(Handler):
    """A socket pair in the poller: one byte on it and the reactor looks at its calls."""

    def __init__(self, reactor: Reactor) -> None:
        self.users = 0
        self._reactor = reactor
        self._inner, self._outer = socket.socketpair()
        self._inner.setblocking(False)
        self._outer.setblocking(False)
        reactor.register(self._inner.fileno(), IN, self)

    def wake(self) -> None:
        try:
            self._outer.send(b"\0")
        except (BlockingIOError, OSError):
            # Full: a wake-up is under way already. Closed: nobody waits any more.
            return

    def on_ready(self, mask: int) -> None:
        try:
            self._inner.recv(4096)
        except BlockingIOError:
            return
        self._reactor.run_calls()

    def fail(self, error: BaseException) -> None:
        self.close()
        raise error

    def close(self) -> None:
        self._reactor.unregister(self._inner.fileno())
        self._reactor.close(self._inner)
        self._outer.close()

    def abandon(self) -> None:
        self._inner.close()
        self._outer.close()


def _forget_after_fork() -> None:
    # The parent goes on with these descriptors: no epoll_ctl, no close_notify, only our copies are closed.
    for reactor in live_reactors():
        reactor.close_all()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
