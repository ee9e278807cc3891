"""Where bars stand on a terminal, and who draws them.

A terminal shows a block of lines, one for each transfer under way, with the cursor behind the last one; a redraw goes
up to the first and writes them all. The line of a transfer that has ended is written once more, above the block, and
left alone.

Bars are called from any thread, from functions that a signal interrupted, and from the garbage collector, which may
come in the middle of a redraw. So nobody waits for a lock: who has news puts it into a queue and then draws, unless
somebody else is at it, who finds the news there before leaving.
"""

from __future__ import annotations

import atexit
import os
from collections import deque
from collections.abc import Callable, Hashable
from math import inf
from threading import Lock
from typing import Final, TextIO

from atomhttp._bars.line import Line, columns_of, draw_plain, lay_out

# Seconds between two redraws.
_REDRAW: Final = 0.1

_UP: Final = "\x1b[{}A"
_ERASE_REST: Final = "\x1b[K"
_ERASE_BELOW: Final = "\x1b[J"


class Row:
    """One transfer. Its bar writes `counts` and `has_ended`, and who draws reads them.

    Args:
        label: a printable description.
        file: the terminal.
        measure: gives the rate, by the clock's reading and the bytes so far.

    Attributes:
        counts: bytes so far, and in all.
        has_ended: nothing more will pass.
        is_over: it has been written for the last time.
        redraw_at: nobody needs to `tell` of new counts before this time.
    """

    __slots__ = ("columns", "counts", "file", "has_ended", "is_over", "label", "measure", "redraw_at", "terminal")

    def __init__(self, label: str, file: TextIO, measure: Callable[[float, int], float | None]) -> None:
        self.label = label
        self.columns = columns_of(label)
        self.file = file
        self.terminal = _identify(file)
        self.measure = measure
        self.counts: tuple[int, int] = (0, 0)
        self.has_ended = self.is_over = False
        self.redraw_at = -inf if _can_move() else inf

    def tell(self, now: float) -> None:
        """There is something new of it: it begins, its counts have changed, or it has ended."""
        _news.append((self, now))
        # After the release there may be news again, whose bearer found the lock taken.
        while _news and _drawing.acquire(blocking=False):
            try:
                while _news:
                    _show(*_news.popleft())
            finally:
                _drawing.release()

    def lay_out(self, label_columns: int, columns: int, now: float) -> Line:
        """As it stands."""
        counts = self.counts
        rate = self.measure(now, counts[0])
        if self.has_ended and not rate:
            # Of what came at once, or came to a standstill, there is no rate to remember.
            rate = None
        return lay_out(self.label, label_columns, counts, rate, columns)


def is_terminal(file: TextIO | None) -> bool:
    """Whether a bar can be seen there."""
    try:
        # Under pythonw there is no stderr, and some replacements know nothing of terminals.
        return file is not None and hasattr(file, "isatty") and file.isatty()
    except (OSError, ValueError):
        # Expected: it is closed.
        return False


class _Screen:
    """The block of lines on one terminal. Used by one thread at a time.

    After an output that failed nothing more is written, until all of its transfers have ended.
    """

    def __init__(self, file: TextIO) -> None:
        self._draw = _pick_pen(file)
        self._rows: list[Row] = []
        # The columns that each line of the block takes.
        self._drawn: list[int] = []
        self._redraw_at = 0.0
        self._has_failed = False

    @property
    def is_empty(self) -> bool:
        return not self._rows

    def show(self, row: Row, now: float) -> None:
        if row not in self._rows:
            self._rows.append(row)
        elif not row.has_ended and now < self._redraw_at:
            return
        self._redraw(now)

    def leave(self) -> None:
        """The program ends: what comes next on the terminal begins on a line of its own.

        Without a redraw: a traceback may stand there by now, and going up would overwrite it.
        """
        if self._drawn and not self._has_failed:
            _write(self._rows[0].file, "\n")
        for row in self._rows:
            row.is_over = True

    def _redraw(self, now: float) -> None:
        file = self._rows[0].file
        columns, height = _size_of(file)
        over = [row for row in self._rows if row.has_ended]
        rest = [row for row in self._rows if not row.has_ended]
        shown = rest if len(rest) < height else rest[: max(1, height - 2)]
        label_columns = max(row.columns for row in (*over, *shown))
        # The last column stays empty: some terminals go to the next line when it is written.
        lines = [row.lay_out(label_columns, columns - 1, now) for row in (*over, *shown)]
        drawn = [self._draw(line) for line in lines]
        taken = [line.columns for line in lines]
        if len(shown) < len(rest) and height > 2:
            drawn.append(f"and {len(rest) - len(shown)} more"[: columns - 1])
            taken.append(len(drawn[-1]))
        text = self._go_up(columns) + f"{_ERASE_REST}\n".join(drawn) + _ERASE_BELOW + ("" if rest else "\n")
        self._settle(over, rest, taken[len(over) :], now + _REDRAW)
        if not self._has_failed:
            self._has_failed = not _write(file, text)

    def _go_up(self, columns: int) -> str:
        # Where the terminal has become narrower, it has broken the lines that are longer than it is wide now.
        heights = [max(1, -(-each // columns)) for each in self._drawn]
        above = sum(heights) - 1
        up = _UP.format(above) if above > 0 else ""
        # What it has broken it would join again when it becomes wider, whatever stands there by then.
        return "\r" + up + (_ERASE_BELOW if any(each > 1 for each in heights) else "")

    def _settle(self, over: list[Row], rest: list[Row], drawn: list[int], redraw_at: float) -> None:
        self._rows = rest
        self._drawn = drawn
        self._redraw_at = redraw_at
        for row in over:
            row.is_over = True
        for row in rest:
            row.redraw_at = redraw_at


_news: deque[tuple[Row, float]] = deque()
_drawing = Lock()
_screens: dict[Hashable, _Screen] = {}


def _show(row: Row, now: float) -> None:
    if row.is_over:
        return
    if row.redraw_at == inf:
        if row.has_ended:
            row.is_over = True
            _write(row.file, draw_plain(row.lay_out(row.columns, _size_of(row.file)[0] - 1, now)) + "\n")
        return
    screen = _screens.get(row.terminal)
    if screen is None:
        screen = _screens[row.terminal] = _Screen(row.file)
    screen.show(row, now)
    if screen.is_empty:
        del _screens[row.terminal]


@atexit.register
def _leave() -> None:
    for screen in _screens.values():
        screen.leave()
    _screens.clear()


def _forget() -> None:
    """In a forked process: the bars there are the other one's, and so may be the lock."""
    global _drawing
    _drawing = Lock()
    _news.clear()
    _screens.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


# Terminals


def _identify(file: TextIO) -> Hashable:
    """What is the same for two files that are one terminal, as sys.stdout and sys.stderr mostly are."""
    try:
        device = os.fstat(file.fileno()).st_rdev
    except (AttributeError, OSError, ValueError):
        # Expected: a terminal that is not the system's, such as that of a notebook.
        device = 0
    return ("device", device) if device else ("file", id(file))


def _can_move() -> bool:
    """Whether the terminal can move its cursor up. If not, a transfer gets its line when it is over."""
    if os.environ.get("TERM", "").lower() in ("dumb", "unknown"):
        return False
    # The older console of Windows takes escape sequences for text.
    return os.name != "nt" or "WT_SESSION" in os.environ


def _size_of(file: TextIO) -> tuple[int, int]:
    """Columns and lines."""
    try:
        columns, lines = os.get_terminal_size(file.fileno())
    except (AttributeError, OSError, ValueError):
        columns = lines = 0
    # 0 from terminals that do not know, such as some consoles of CI systems.
    return columns or 80, lines or 24


def _pick_pen(file: TextIO) -> Callable[[Line], str]:
    try:
        from atomhttp._bars.rich_lines import RichPen
    except ImportError:
        return draw_plain
    return RichPen(_encoding_of(file))


def _write(file: TextIO, text: str) -> bool:
    """Whether it could be written. A terminal that has gone must not end a transfer."""
    encoding = _encoding_of(file)
    try:
        # Nor may a name that it has no characters for.
        file.write(text.encode(encoding, "replace").decode(encoding))
        file.flush()
    except (OSError, ValueError):
        return False
    return True


def _encoding_of(file: TextIO) -> str:
    # io.StringIO has none.
    return getattr(file, "encoding", None) or "utf-8"
