"""Ctrl+C at any line of ours, for the synchronous client."""

from __future__ import annotations

import dis
import linecache
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

# A coroutine that was interrupted before its first step, a response's stream after its last: nothing of ours is open.
EXPECTED = ("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")


class Stepper:
    """Raises KeyboardInterrupt at the n-th line that is executed inside atomhttp, or the next one where it can come."""

    def __init__(self, countdown: int) -> None:
        self.countdown = countdown
        self.where = ""

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if not str(frame.f_globals.get("__name__", "")).startswith("atomhttp"):
            return None
        if event == "line":
            self.countdown -= 1
            if self.countdown <= 0 and not self.where and not _is_with_exit(frame):
                self.where = f"{frame.f_globals['__name__']}:{frame.f_lineno} ({frame.f_code.co_name})"
                raise KeyboardInterrupt
        return self

    def run(self, function: Callable[[], Any]) -> bool:
        """Whether `function` was interrupted."""
        previous = sys.gettrace()
        sys.settrace(self)
        try:
            function()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(previous)
        return False


def _is_with_exit(frame: FrameType) -> bool:
    """Whether a `with` block is about to be left. A real signal cannot come between that and `__exit__`."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    operation = dis.opname[frame.f_code.co_code[frame.f_lasti]]
    # Entering begins with loading the context manager.
    return line.startswith("with ") and not operation.startswith(("LOAD_FAST", "LOAD_GLOBAL", "LOAD_DEREF"))


def steps(function: Callable[[int], Callable[[], Any]], stride: int = 1) -> Iterator[tuple[int, str]]:
    """Interrupts one call after the other, each a line later, until one gets through."""
    number = 1
    while True:
        stepper = Stepper(number)
        # Else it may have come in a place that lets no exception out (a finalizer): as good as none.
        if not stepper.run(function(number)) and stepper.countdown > 0:
            return
        yield number, stepper.where
        number += stride
