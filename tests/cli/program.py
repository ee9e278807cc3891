"""The program as people start it: with pipes, or at a terminal."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TextIO
from unittest import mock

import pyte

from atomhttp._cli.run import main
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


def run(*words: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Done:
    """Runs `atomhttp` in this process, writing into memory: a process costs half a second. What is about processes
    (pipes, signals, how Python ends) takes `run_apart`."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    code = _call(words, out, err, cwd, env)
    return Done(code, out.detach().getvalue(), err.detach().getvalue().decode())


def _call(words: Sequence[object], out: TextIO, err: TextIO, cwd: Path | None, env: Mapping[str, str] | None) -> int:
    with (
        mock.patch.dict(os.environ, environment(env), clear=True),
        mock.patch.object(sys, "stdin", None),
        contextlib.chdir(cwd or "."),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        return main([str(word) for word in words])


def run_apart(
    *words: object, stdin: bytes = b"", cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Done:
    """Runs `atomhttp` in a process of its own, with pipes."""
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


class Screen:
    """A terminal, and what stands on it. A context manager.

    Attributes:
        written: every byte that it was sent.
    """

    def __init__(self, columns: int = 100, lines: int = 40) -> None:
        self.written = b""
        self._screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.ByteStream(self._screen)
        self._master, self._slave = os.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

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

    @contextlib.contextmanager
    def open(self, encoding: str) -> Iterator[TextIO]:
        """A file that writes on it. Whoever writes more than the terminal holds waits for a reader: a thread reads."""
        is_over = threading.Event()
        reader = threading.Thread(target=self._follow, args=(is_over,))
        reader.start()
        try:
            with open(os.dup(self._slave), "w", encoding=encoding) as file:
                yield file
        finally:
            is_over.set()
            reader.join()

    def _follow(self, is_over: threading.Event) -> None:
        while not is_over.is_set():
            self._read(0.01)
        while self._read(0):
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._master)
        os.close(self._slave)


class Terminal(Screen):
    """`atomhttp`, or another program, in a process of its own at a terminal of its own."""

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
        super().__init__(columns, lines)
        # A leader of a session that opens a terminal gets it for its own: where passwords are asked for, and Ctrl+C.
        output = ">&0" if stdout is None else ""
        shell = ["sh", "-c", f'exec "$@" <>"$0" {output} 2>&0', os.ttyname(self._slave)]
        self.process = subprocess.Popen(
            [*shell, *program, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            cwd=cwd,
            env=environment(env),
            start_new_session=True,
        )

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

    def wait(self, *, interrupt: bool = False) -> int:
        """Until the program has ended: its exit code.

        Args:
            interrupt: press Ctrl+C every three seconds. The first one comes to nothing where it meets Python between
                its last look at signals and a read that blocks.
        """
        begun = pressed = time.monotonic()
        while self.process.poll() is None:
            now = time.monotonic()
            assert now < begun + PATIENCE * 3, self.written
            if interrupt and now > pressed + 3:
                self.interrupt()
                pressed = now
            # A program that writes more than the terminal holds waits for us.
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.returncode

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE)
        super().__exit__(kind, error, traceback)


def at_terminal(*words: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> tuple[int, Screen]:
    """Runs `atomhttp` in this process at a terminal, to its end: its exit code, and the terminal to look at. What is
    about keys and signals takes `Terminal`."""
    with Screen() as screen, screen.open(environment(env)["PYTHONIOENCODING"]) as file:
        code = _call(words, file, file, cwd, env)
    return code, screen
