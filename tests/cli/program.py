"""The program as people start it: with pipes, or at a terminal."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import pyte

from support.server import PATIENCE

# Warnings are errors here too; what is printed of one at the end would be seen in stderr.
COMMAND = (sys.executable, "-W", "error", "-m", "atomhttp")


class Done(NamedTuple):
    """How the program ended."""

    code: int
    out: bytes
    err: str


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    # Nothing of the developer's terminal; and compiled files are kept, or every start would compile the package.
    unwanted = ("NO_COLOR", "TERM", "COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **(more or {})}


def run(*words: object, stdin: bytes = b"", cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Done:
    """Runs `atomhttp` with pipes."""
    done = subprocess.run(
        [*COMMAND, *map(str, words)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env=environment(env),
        timeout=PATIENCE * 3,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr.decode())


class Terminal:
    """`atomhttp`, or another program, at a terminal of its own. A context manager.

    Attributes:
        written: every byte that it was sent.
    """

    def __init__(
        self,
        *words: object,
        program: Sequence[str] = COMMAND,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        columns: int = 100,
        lines: int = 40,
        stdout: int | None = None,
    ) -> None:
        self.written = b""
        self._screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        # A leader of a session that opens a terminal gets it for its own: where passwords are asked for, and Ctrl+C.
        output = ">&0" if stdout is None else ""
        shell = ["sh", "-c", f'exec "$@" <>"$0" {output} 2>&0', os.ttyname(slave)]
        self.process = subprocess.Popen(
            [*shell, *program, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            cwd=cwd,
            env=environment(env),
            start_new_session=True,
        )
        self._slave = slave

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Ctrl+C."""
        self.type("\x03")

    def wait_for(self, text: str) -> None:
        """Until `text` has been written."""
        deadline = time.monotonic() + PATIENCE
        while text.encode() not in self.written:
            assert time.monotonic() < deadline, self.written
            self._read(0.05)

    def wait(self) -> int:
        """Until the program has ended: its exit code."""
        deadline = time.monotonic() + PATIENCE * 3
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.written
            # A program that writes more than the terminal holds waits for us.
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.returncode

    @property
    def rows(self) -> list[str]:
        """What stands on the screen, and above it, without what is empty at the end."""
        gone = ["".join(line[x].data for x in range(self._screen.columns)) for line in self._screen.history.top]
        rows = [row.rstrip() for row in (*gone, *self._screen.display)]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    @property
    def text(self) -> str:
        return "\n".join(self.rows)

    def color_of(self, text: str) -> str:
        """The colour of `text` where it stands on the screen."""
        for y, row in enumerate(self._screen.display):
            if text in row:
                return self._screen.buffer[y][row.index(text)].fg
        raise AssertionError(f"{text!r} is not on the screen: {self.text}")

    def _read(self, patience: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], patience)
        if not ready:
            return False
        try:
            block = os.read(self._master, 65536)
        except OSError as error:
            # How Linux says that the other end is closed.
            if error.errno != errno.EIO:
                raise
            return False
        self.written += block
        self._stream.feed(block)
        return bool(block)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE)
        os.close(self._master)
        os.close(self._slave)


def at_terminal(*words: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> tuple[int, Terminal]:
    """Runs `atomhttp` at a terminal to its end: its exit code, and the terminal to look at."""
    with Terminal(*words, cwd=cwd, env=env) as terminal:
        return terminal.wait(), terminal
