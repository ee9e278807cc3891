"""What would block (name resolution, cold file reads) runs on daemon threads of our own.

Not on the loop's default executor: the interpreter waits for that one at exit, and a hung lookup held it for seconds.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from atomhttp._net.drivers import Driver

T = TypeVar("T")

MAX_THREADS: Final = 32
# A thread with nothing to do ends after this many seconds.
IDLE: Final = 2.0


class _Threads:
    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._count = 0
        self._idle = 0
        self._made = 0

    def submit(self, job: Callable[[], None]) -> None:
        with self._lock:
            self._jobs.put(job)
            if self._idle >= self._jobs.qsize() or self._count >= MAX_THREADS:
                return
            self._count += 1
            self._made += 1
            name = f"atomhttp-blocking-{self._made}"
        try:
            threading.Thread(target=self._work, name=name, daemon=True).start()
        except BaseException:
            with self._lock:
                self._count -= 1
            raise

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                job = self._jobs.get(timeout=IDLE)
            except queue.Empty:
                with self._lock:
                    self._idle -= 1
                    if self._jobs.empty():
                        self._count -= 1
                        return
                continue
            with self._lock:
                self._idle -= 1
            job()
            del job


_threads = _Threads()


class Delivery:
    """Where a thread leaves what it found, for one coroutine that waits for it."""

    __slots__ = ("_reactor", "waiter")

    def __init__(self, driver: Driver) -> None:
        self.waiter = driver.waiter()
        self._reactor = driver.reactor
        self._reactor.expect_calls()

    def deliver(self, result: Any, error: BaseException | None) -> None:
        """From any thread, once. A coroutine that has gone away misses nothing."""

        def finish() -> None:
            self._reactor.calls_done()
            if self.waiter.done():
                return
            if error is not None:
                self.waiter.set_exception(error)
            else:
                self.waiter.set_result(result)

        self._reactor.call_soon_threadsafe(finish)


def submit(job: Callable[[], None]) -> None:
    """Runs `job`, which must not raise, on one of the threads."""
    _threads.submit(job)


async def run_blocking(driver: Driver, function: Callable[..., T], *arguments: Any) -> T:
    """`function(*arguments)` on a thread: its result or exception. It is finished even if nobody waits any more."""
    delivery = Delivery(driver)

    def job() -> None:
        try:
            result = function(*arguments)
        except BaseException as error:
            delivery.deliver(None, error)
        else:
            delivery.deliver(result, None)

    submit(job)
    return await delivery.waiter  # type: ignore[no-any-return]  # what `function` returned


def _forget_after_fork() -> None:
    global _threads  # the parent's threads do not exist here
    _threads = _Threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
