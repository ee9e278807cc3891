"""Whether work grows in proportion to its input: found by doing it at two sizes, never by a speed."""

from __future__ import annotations

import time
from collections.abc import Callable

# What is in proportion takes four times as long for four times the input; what is quadratic, sixteen times.
TIMES = 4
BOUND = 10
# Seconds: shorter work than this is dominated by what else the machine does, and proves nothing.
NOTICEABLE = 0.02


def check_proportion(work: Callable[[int], object], size: int) -> None:
    """AssertionError when `work(4 * size)` takes more than ten times as long as `work(size)`, and that can be noticed.

    By the processor's clock of this thread: who else is busy does not count. What seems out of proportion is measured
    again.
    """
    small = large = 0.0
    for _ in range(3):
        large = cost(work, TIMES * size)
        if large <= NOTICEABLE:
            return
        small = cost(work, size)
        if large <= BOUND * small:
            return
    raise AssertionError(f"{TIMES} times the input costs {large / small:.1f} times as much: {small} s, {large} s")


def cost(work: Callable[[int], object], size: int) -> float:
    """Seconds of processor time."""
    began = time.thread_time()
    work(size)
    return time.thread_time() - began
