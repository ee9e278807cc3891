"""Runs a program of `examples/` as a person does: a process of its own, its arguments, its output, its exit status.

Warnings are errors in it, and it works in a folder of the test's.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import atomhttp
from support.server import PATIENCE
from support.terminal import Pty

EXAMPLES = Path(__file__).parents[3] / "examples"
# A program may have to wait for its retries, on a machine that is busy.
LONGEST = 6 * PATIENCE


class Done(NamedTuple):
    """What a program has left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it printed. It must have had nothing to complain of."""
        assert (self.code, self.err) == (0, ""), self
        return self.out.splitlines()

    def check_failure(self, pattern: str, code: int = 1) -> None:
        """It failed as a program should: one line that says why, matched by `pattern`, and no traceback."""
        assert self.code == code, self
        assert self.err.count("\n") == 1, self
        assert re.search(pattern, self.err), self


def run(name: str, *arguments: object, folder: Path, **environment: str) -> Done:
    """Runs `examples/NAME` to its end."""
    with start(name, *arguments, folder=folder, **environment) as process:
        return finish(process)


def finish(process: subprocess.Popen[str]) -> Done:
    """Waits for the end of a program."""
    out, err = process.communicate(timeout=LONGEST)
    return Done(process.returncode, out, err or "")


@contextlib.contextmanager
def start(
    name: str, *arguments: object, folder: Path, terminal: Pty | None = None, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """`examples/NAME` while it runs, its errors on a terminal if there is one. The end of the block is its end."""
    stderr = subprocess.PIPE if terminal is None else terminal.slave
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)]
    variables = {**os.environ, "PYTHONPATH": str(Path(atomhttp.__file__).parents[1]), **environment}
    # A shell that runs this in the background has it ignore Ctrl+C, and a program inherits that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=stderr, text=True, encoding="utf-8"
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield process
        finally:
            process.kill()


def watch(process: subprocess.Popen[str], terminal: Pty, until: Callable[[str], object] | None = None) -> list[str]:
    """Looks at the terminal until it is as `until` wants it, or else the program has ended; what stands on it."""
    end = time.monotonic() + LONGEST
    while not until("\n".join(terminal.rows)) if until else process.poll() is None:
        assert time.monotonic() < end, f"it did not come to that: {terminal.rows}"
        assert until is None or process.poll() is None, f"it has ended: {terminal.rows}"
        time.sleep(0.01)  # another process draws, and nothing but the terminal tells of it
    return terminal.rows
