"""A virtual clock, so that a test of a 30-second deadline takes milliseconds and cannot be late.

The loop's time stands still while anything happens and jumps to the next timer when nothing does. Sockets stay real:
before each jump they get a short real-time chance, because the server's answer may be on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import selectors
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from support.leaks import IDLE_THREADS
from support.server import PATIENCE

T = TypeVar("T")

# Real seconds without any I/O before time jumps, for servers in other processes, whose state we do not see. A jump too
# early would turn their answer into a time-out; a late one costs this much, once a jump.
QUIET = 0.05


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose `time()` starts at 0 and moves only when nothing is ready."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += seconds


class _JumpingSelector(selectors.BaseSelector):
    """The platform's selector, except that waiting moves the virtual clock instead of the real one."""

    def __init__(self, loop: VirtualClockLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()
        self._threads = frozenset(threading.enumerate())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return self._real.select(0)
        if timeout is None:  # no timer at all: only a thread or a socket can go on
            if ready := self._real.select(PATIENCE):
                return ready
            raise TimeoutError(f"nothing happened for {PATIENCE} real seconds, and no timer is armed")
        ready = self._quietly()
        if not ready:
            self._loop.jump(timeout)
        return ready

    def _quietly(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait until I/O is ready, or until neither it nor a test server's thread has anything to do."""
        if self._is_alone():
            return self._real.select(0)
        give_up = time.monotonic() + PATIENCE
        while True:
            if ready := self._real.select(QUIET):
                return ready
            if not _others_run() or time.monotonic() > give_up:
                return self._real.select(0)

    def _is_alone(self) -> bool:
        """Whether only a timer can make the loop go on: it watches nobody, and no thread is there to call it."""
        if len(self._real.get_map()) > 1:  # the first one is the loop's own wake-up socket
            return False
        # The engine's threads outlive a test, and work for the next one too.
        return all(each in self._threads and not each.name.startswith(IDLE_THREADS) for each in threading.enumerate())

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


def _others_run() -> bool:
    """Whether another thread of this process is running or waits for a CPU: then an answer may be under way."""
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) != threading.get_native_id():
            with contextlib.suppress(OSError):  # the thread has ended meanwhile
                # "tid (name) state ...": the name may hold anything, parentheses too
                if (task / "stat").read_text().rpartition(") ")[2].startswith("R"):
                    return True
    return False


@contextlib.contextmanager
def engine_clock(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let the engine read `loop.time` as its clock. Does nothing while there is no engine."""
    if importlib.util.find_spec("atomhttp._net") is None:
        yield
        return
    from atomhttp._net.drivers.aio import AsyncioDriver

    with mock.patch.object(AsyncioDriver, "clock", staticmethod(loop.time)):
        yield


def run_virtual(coroutine: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on a virtual clock; the engine's clock is virtual too. For use in synchronous tests."""
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner, engine_clock(runner.get_loop()):
        return runner.run(coroutine)
