"""A pseudo-terminal, and what a person sees on it."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import termios
from types import TracebackType
from typing import Self

import pyte


class Pty:
    """A pseudo-terminal whose output is obeyed as a terminal obeys it. A context manager.

    Args:
        columns, lines: its size; 0: it does not know.
        encoding: of `file`.

    Attributes:
        file: a text file that is the terminal.
        written: what came, when it was last looked at.
    """

    def __init__(self, columns: int = 80, lines: int = 24, encoding: str = "utf-8") -> None:
        self._master, self.slave = os.openpty()
        os.set_blocking(self._master, False)
        self.file = os.fdopen(self.slave, "w", encoding=encoding, newline="")
        self.written = ""
        self._screen = pyte.HistoryScreen(columns or 80, lines or 24, history=1000)
        self._stream = pyte.ByteStream(self._screen)
        self._set_size(columns, lines)

    def resize(self, columns: int, lines: int = 24) -> None:
        """Gives it another size. Nothing is wrapped anew, as in xterm."""
        self.look()
        self._set_size(columns, lines)
        self._screen.resize(lines, columns)

    @property
    def rows(self) -> list[str]:
        """All lines, those that have scrolled away too, up to the one that the cursor is in."""
        self.look()
        gone = ["".join(line[x].data for x in range(self._screen.columns)) for line in self._screen.history.top]
        there = self._screen.display[: self._screen.cursor.y + 1]
        return [row.rstrip() for row in (*gone, *there)]

    @property
    def cursor(self) -> tuple[int, int]:
        """Its column and line, from 0."""
        self.look()
        return self._screen.cursor.x, self._screen.cursor.y

    def color_of(self, text: str) -> str:
        """The colour of the first character of `text` where it stands on the screen."""
        self.look()
        for y, row in enumerate(self._screen.display):
            if text in row:
                return self._screen.buffer[y][row.index(text)].fg
        raise AssertionError(f"{text!r} is not on the screen")

    def look(self) -> None:
        """Takes what was written since the last look."""
        written = b""
        try:
            while block := os.read(self._master, 65536):
                written += block
        except BlockingIOError:
            pass
        except OSError as error:
            # How Linux says that the other end is closed.
            if error.errno != errno.EIO:
                raise
        self.written += written.decode(self.file.encoding, "replace")
        self._stream.feed(written)

    def hang_up(self) -> None:
        """The terminal goes away: what is written from now on fails."""
        self.look()
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        """Closes both ends; twice is fine."""
        try:
            self.file.close()
        except OSError:
            # Expected: it has been hung up, and something was left to write.
            pass
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
