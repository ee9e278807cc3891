"""The guard around every test: what it opened, it must have closed.

Counted are descriptors (sockets, pollers, wake-up descriptors, pipes), threads, unfinished asyncio tasks, and what the
engine's reactors still hold. What was there before the test, or belongs to a session-scoped fixture, is not its leak.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import uvloop

# Plain files are left out: pytest, coverage and lazy imports open them as they like.
WATCHED = ("socket:", "pipe:", "anon_inode:[eventpoll]", "anon_inode:[eventfd]", "anon_inode:[timerfd]")

# The engine's threads for name resolution and cold file reads outlive a call on purpose and end when idle.
IDLE_THREADS = "atomhttp-blocking-"

# For a thread or descriptor whose end is under way in another thread. Only a leak waits this long.
GRACE = 1.0

_owned: set[str] = set()


def own(descriptor: int) -> None:
    """Declare that `descriptor` belongs to a session-scoped fixture and may outlive the test that opened it."""
    _owned.add(_describe(descriptor))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What exists now. Taken before a test, and asked for `leaks` after it."""

    descriptors: frozenset[str]
    threads: frozenset[int | None]

    @classmethod
    def take(cls) -> Snapshot:
        # The collector never looks again at what is frozen: the collection and the search for tasks after the test
        # then see that test's objects only, and cost 0.3 ms instead of 9.
        gc.freeze()
        return cls(frozenset(_descriptors()), frozenset(thread.ident for thread in threading.enumerate()))

    def leaks(self) -> list[str]:
        """One line for everything that is there now and was not there before."""
        gc.collect()  # what is only unreachable is no leak here; ResourceWarnings, which are errors, tell on it
        reactors = list(_reactors())
        _sweep_closed_loops()
        threads = [thread for thread in threading.enumerate() if self._is_new(thread)]
        for thread in threads:
            thread.join(GRACE)
        return [
            *(f"descriptor {each}" for each in sorted(set(_descriptors()) - self.descriptors - _owned)),
            *(f"thread {thread.name}" for thread in threads if thread.is_alive()),
            *(f"task {task!r}" for task in _unfinished_tasks()),
            *reactors,
        ]

    def _is_new(self, thread: threading.Thread) -> bool:
        return thread.ident not in self.threads and not (thread.daemon and thread.name.startswith(IDLE_THREADS))


def begin() -> None:
    """Once, before the first test: get what lasts for the whole run out of the way."""
    # libuv opens a pipe for signals with the first loop of the process, and never closes it.
    uvloop.new_event_loop().close()
    gc.collect()  # before the first snapshot freezes what is there


def _descriptors() -> Iterator[str]:
    for name in os.listdir("/proc/self/fd"):
        try:
            described = _describe(int(name))
        except OSError:
            continue  # the listing's own descriptor
        if described.partition(" ")[2].startswith(WATCHED):
            yield described


def _describe(descriptor: int) -> str:
    return f"{descriptor} {os.readlink(f'/proc/self/fd/{descriptor}')}"


def _unfinished_tasks() -> list[asyncio.Task[object]]:
    # asyncio.all_tasks() knows one loop only, and a leaked task is often one whose loop nobody has any more.
    # Tasks from before the snapshot are frozen, which hides them here.
    return [each for each in gc.get_objects() if issubclass(type(each), asyncio.Task) and not each.done()]


def _reactors() -> Iterator[str]:
    module = sys.modules.get("atomhttp._net.live")
    for reactor in module.live_reactors() if hasattr(module, "live_reactors") else ():
        if reactor.handler_count or reactor.timer_count:
            yield f"reactor {reactor!r}: {reactor.handler_count} handlers, {reactor.timer_count} timers"


def _sweep_closed_loops() -> None:
    # The engine lets go of a closed loop when the next loop comes; until then the loop's poller is no leak.
    if module := sys.modules.get("atomhttp._net.drivers.aio"):
        module._sweep()
