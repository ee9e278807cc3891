"""Progress: what a callback may be told of a transfer, and a bar that is a ready callback."""

from __future__ import annotations

import os
import sys
from collections import deque
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, TextIO

from atomhttp.errors import AtomHTTPOptionError

# A rate is that of the last five seconds, in so many samples. By time and not, as axios has it, by the number of
# events: a fast transfer reports hundreds a second.
_SPACING: Final = 0.25
_SAMPLES: Final = 20

# Seconds between two redraws of a bar.
_REDRAW: Final = 0.1
_WIDEST: Final = 40
_NARROWEST: Final = 5
# Columns kept for the numbers, as in `999.9 MB/999.9 MB  999.9 MB/s  99:59:59`: a bar must not change its length.
_NUMBERS: Final = 39
# What is longer than this is no forecast.
_LONGEST: Final = 100 * 3600


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """What a progress callback with one required parameter is given (axios: AxiosProgressEvent). Immutable.

    Attributes:
        loaded: bytes so far; content as it travels, that is after compression.
        total: bytes in all; 0 when unknown.
        progress: `loaded / total`, 0 to 1; None when the total is unknown.
        bytes: bytes since the event before.
        rate: bytes per second, over the last seconds; None while no time has passed.
        estimated: seconds that are left at this rate; None when the total or the rate is unknown.
        upload: whether it is the request's content.
        download: whether it is the response's content.
    """

    loaded: int
    total: int = 0
    progress: float | None = None
    bytes: int = 0
    rate: float | None = None
    estimated: float | None = None
    upload: bool = False
    download: bool = False


class Speedometer:
    """How fast a transfer is at the moment.

    Args:
        now: the clock's reading at its start, in seconds.
        loaded: the bytes that had passed by then.
    """

    __slots__ = ("_samples",)

    def __init__(self, now: float, loaded: int = 0) -> None:
        self._samples = deque([(now, loaded)], maxlen=_SAMPLES)

    def measure(self, now: float, loaded: int) -> float | None:
        """Bytes per second over the last seconds; None while no time has passed."""
        since, before = self._samples[0]
        if now - self._samples[-1][0] >= _SPACING:
            self._samples.append((now, loaded))
        return (loaded - before) / (now - since) if now > since else None


class ProgressBar:
    """A progress bar that is a ready callback, for `on_upload_progress` and `on_download_progress`.

    One line with percentage, sizes, rate and the time that is left (size and rate when the total is unknown). It is
    for one transfer at a time and, when that has ended, for the next one.

    Args:
        description: stands in front of the bar.
        file: the terminal to draw on; `sys.stderr` by default. On anything but a terminal nothing is written.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE.
    """

    def __init__(self, description: str = "", file: TextIO | None = None) -> None:
        if not isinstance(description, str):
            raise AtomHTTPOptionError(
                f"description: expected str, got {repr(description)[:80]}", "ERR_BAD_OPTION_VALUE"
            )
        if file is not None and not all(callable(getattr(file, name, None)) for name in ("write", "flush", "isatty")):
            raise AtomHTTPOptionError(
                f"file: expected an open text file such as sys.stderr, got {repr(file)[:80]}", "ERR_BAD_OPTION_VALUE"
            )
        # A line break would make two lines of it, and an escape sequence anything.
        self._label = "".join(char if char.isprintable() else " " for char in description).strip()
        self._file = file
        self._speed: Speedometer | None = None
        self._loaded = self._total = 0
        self._shown = False
        self._drawn: int | None = None
        self._redraw_at = 0.0
        self._width = 0

    def __call__(self, loaded: int, total: int) -> None:
        """So many bytes of so many (0: unknown) have passed. A count that falls begins a new transfer."""
        now = monotonic()
        if self._speed is None or loaded < self._loaded or total != self._total:
            self._begin(now, loaded, total)
        self._loaded = loaded
        last = 0 < total <= loaded
        if last or now >= self._redraw_at:
            self._draw(now)
        if last:
            self.finish()

    def finish(self) -> None:
        """Ends the line of a transfer that is over, or given up. Nothing happens when there is none.

        A transfer of unknown size does not tell its end by its count. The client calls this by itself when the bar
        itself is the callback; call it when the bar is called by a function of yours.
        """
        if self._speed is None:
            return
        if self._drawn != self._loaded:
            self._draw(monotonic())
        self._speed = None
        if self._shown:
            self._write("\n")

    def _begin(self, now: float, loaded: int, total: int) -> None:
        self.finish()
        self._speed = Speedometer(now, loaded)
        self._total = total
        self._drawn = None
        self._redraw_at = now
        self._width = 0
        # Under pythonw there is no stderr.
        out: TextIO | None = self._out
        self._shown = out is not None and out.isatty()

    # Drawing

    @property
    def _out(self) -> Any:
        # Looked up each time: programs replace sys.stderr, and a bar that holds no file can be copied and pickled.
        return sys.stderr if self._file is None else self._file

    def _draw(self, now: float) -> None:
        self._redraw_at = now + _REDRAW
        self._drawn = self._loaded
        if self._shown:
            # The last column stays empty: some terminals go to the next line when it is written.
            columns = _columns(self._out) - 1
            line, width = self._line(now, columns)
            # Blanks over what was there before, as not every terminal can erase.
            self._write("\r" + line + " " * (min(self._width, columns) - width))
            self._width = width

    def _write(self, text: str) -> None:
        out = self._out
        # A name that the terminal has no characters for must not end the transfer.
        encoding = getattr(out, "encoding", None) or "utf-8"
        out.write(text.encode(encoding, "replace").decode(encoding))
        out.flush()

    def _line(self, now: float, columns: int) -> tuple[str, int]:
        """The line and how many columns it takes, at most `columns`."""
        assert self._speed is not None
        rate = self._speed.measure(now, self._loaded)
        speed = f"  {_size(rate)}/s" if rate is not None else ""
        if not self._total:
            head, tail = "", _size(self._loaded) + speed
        else:
            # Rounded down: 100% is the end.
            head = f"{min(100, self._loaded * 100 // self._total):3d}%"
            left = f"  {_clock((self._total - self._loaded) / rate)}" if rate and self._loaded < self._total else ""
            tail = f"{_size(self._loaded)}/{_size(self._total)}{speed}{left}"
        room = columns - len(head) - 3 - (max(len(tail), _NUMBERS) if head else len(tail))
        label, taken = _cut(self._label, room - _NARROWEST - 2 if head else room)
        bar = self._bar(room - taken) if head else ""
        parts = [part for part in (label, head, bar, tail) if part]
        width = taken + len(head) + len(bar) + len(tail) + len(parts) - 1
        # Where there is no room even for the numbers there is no label, and a character is a column.
        return " ".join(parts)[: max(0, columns)], min(width, max(0, columns))

    def _bar(self, columns: int) -> str:
        room = min(columns - 2, _WIDEST)
        if room < _NARROWEST:
            return ""
        full = min(room, self._loaded * room // self._total)
        return f"[{'#' * full}{'-' * (room - full)}]"


def _columns(out: Any) -> int:
    try:
        # 0 from terminals that do not know, such as some consoles of CI systems.
        return os.get_terminal_size(out.fileno()).columns or 80
    except (AttributeError, OSError, ValueError):
        # Expected: a terminal that is not the system's, such as that of a notebook.
        return 80


def _cut(text: str, columns: int) -> tuple[str, int]:
    """As much of `text` as fits, and how many columns it takes: East Asian characters take two, accents none."""
    if text.isascii():
        kept = text[: max(0, columns)]
        return kept, len(kept)
    from unicodedata import combining, east_asian_width

    taken = 0
    for index, char in enumerate(text):
        wide = 0 if combining(char) else 2 if east_asian_width(char) in "FW" else 1
        if taken + wide > columns:
            return text[:index], taken
        taken += wide
    return text, taken


def _size(count: float) -> str:
    if count < 999.5:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 999.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} PB"


def _clock(seconds: float) -> str:
    if seconds >= _LONGEST:
        return "-:--"
    # Rounded up: 0:00 is the end.
    minutes, rest = divmod(int(-(-seconds // 1)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
