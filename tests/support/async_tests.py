"""Running `async def` tests, and what has to be true when one ends.

Sixty lines instead of a plugin, because no plugin does what these tests are for: pick the loop for each test (asyncio,
uvloop, virtual clock), and look at the loop *before* it is closed. `asyncio.run` cancels forgotten tasks without a
word, and an exception in a callback is only logged.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def loop_factory(kind: str) -> LoopFactory:
    """The factory for "asyncio" (the platform's selector loop) or "uvloop"."""
    return uvloop.new_event_loop if kind == "uvloop" else asyncio.SelectorEventLoop


def run_test(test: Coroutine[Any, Any, object], factory: LoopFactory) -> None:
    """Run one test on a fresh loop; AssertionError when it leaves tasks, timers or unseen errors behind."""
    unseen: list[str] = []

    def collect(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        unseen.append(f"{context['message']}: {context.get('exception')!r}")

    async def watched() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(collect)
        await test
        if left := [*_tasks(loop), *_timers(loop)]:
            raise AssertionError("left behind on the event loop:\n" + "\n".join(left))

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(watched())
        gc.collect()  # a failed task or future that nobody asked reports when it is freed
    if unseen:
        raise AssertionError("reported to the event loop, and to nobody else:\n" + "\n".join(unseen))


def _tasks(loop: asyncio.AbstractEventLoop) -> list[str]:
    return [repr(task) for task in asyncio.all_tasks(loop) - {asyncio.current_task(loop)}]


def _timers(loop: asyncio.AbstractEventLoop) -> list[str]:
    # uvloop keeps its timers to itself; what is true under asyncio is checked there only.
    return [repr(timer) for timer in getattr(loop, "_scheduled", ()) if not timer.cancelled()]
