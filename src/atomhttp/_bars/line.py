"""What the line of a progress bar says, and how much of it where there are few columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

# A bar with its two ends.
_WIDEST: Final = 42
_NARROWEST: Final = 7
# What a description gets, if it is so long, before anything but the percentage: one must know which bar is which.
_LABEL: Final = 12
# What is longer than this is no forecast.
_LONGEST: Final = 100 * 3600


class _Form(NamedTuple):
    """What is shown beside description and percentage, and the columns kept for the numbers among it.

    They are kept for `999.9 MB/999.9 MB  999.9 MB/s  99:59:59` or a part of it: a bar must not change its length.
    """

    has_bar: bool
    has_sizes: bool
    has_rate: bool
    has_left: bool
    reserved: int


# The first that fits is taken.
_FORMS: Final = (
    _Form(True, True, True, True, 39),
    _Form(True, False, True, True, 20),
    _Form(False, False, True, True, 20),
    _Form(False, False, False, True, 8),
    _Form(False, False, False, False, 0),
)
_FORMS_WITHOUT_TOTAL: Final = (
    _Form(False, True, True, False, 0),
    _Form(False, True, False, False, 0),
    _Form(False, False, False, False, 0),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line that fits where it was laid out for. What is empty, or 0, is not shown.

    Attributes:
        label: as much of the description as there is room for, and blanks that align what follows it.
        label_columns: the columns that `label` takes.
        percent: how much has passed.
        bar: the columns of the bar, with its ends.
        loaded, total: bytes.
        sizes, rate, left: the numbers behind the bar.
    """

    label: str
    label_columns: int
    percent: str
    bar: int
    loaded: int
    total: int
    sizes: str
    rate: str
    left: str

    @property
    def numbers(self) -> list[tuple[str, str]]:
        """Those that are shown, by name."""
        named = (("sizes", self.sizes), ("rate", self.rate), ("left", self.left))
        return [each for each in named if each[1]]

    @property
    def columns(self) -> int:
        """How many it takes."""
        numbers = sum(len(text) + 2 for _, text in self.numbers) - 2
        parts = [each for each in (self.label_columns, len(self.percent), self.bar, numbers) if each > 0]
        return sum(parts) + max(0, len(parts) - 1)


def lay_out(label: str, label_columns: int, counts: tuple[int, int], rate: float | None, columns: int) -> Line:
    """The line that says the most on so many columns.

    Args:
        label: the description.
        label_columns: what the longest of the descriptions takes that stand above each other.
        counts: bytes so far, and in all; 0: unknown.
        rate: bytes per second; None: unknown.
        columns: may be written on.
    """
    # Whoever calls a bar by himself may count in floats; one row that cannot be drawn would stop all the others.
    loaded, total = map(int, counts)
    # Rounded down: 100% is the end.
    percent = f"{min(100, loaded * 100 // total):3d}%" if total and columns >= len("100%") else ""
    # Each part costs a blank besides, so there is one column more to give away.
    given = columns + 1 - _cost(len(percent))
    forms = _FORMS if total else _FORMS_WITHOUT_TOTAL
    tried = [(form, numbers := _numbers(form, loaded, total, rate), given - _needs(form, numbers)) for form in forms]
    least = _cost(min(label_columns, _LABEL))
    form, numbers, room = next((each for each in tried if each[2] >= least), tried[-1])
    label_columns = max(0, min(label_columns, room - 1))
    shown, taken = _cut(label, label_columns)
    bar = min(_WIDEST, room - _cost(label_columns) + _NARROWEST) if form.has_bar else 0
    return Line(shown + " " * (label_columns - taken), label_columns, percent, bar, loaded, total, *numbers)


def draw_plain(line: Line) -> str:
    """The line in the characters that every terminal has."""
    bar = ""
    if line.bar:
        room = line.bar - 2
        full = min(room, line.loaded * room // line.total)
        bar = f"[{'#' * full}{'-' * (room - full)}]"
    numbers = "  ".join(text for _, text in line.numbers)
    return " ".join(part for part in (line.label, line.percent, bar, numbers) if part)


def columns_of(text: str) -> int:
    """How many columns `text` takes on a terminal: East Asian characters take two, accents none."""
    return len(text) if text.isascii() else _cut(text, 2 * len(text))[1]


def _cut(text: str, columns: int) -> tuple[str, int]:
    """As much of `text` as fits, and the columns that it takes."""
    if text.isascii():
        kept = text[:columns]
        return kept, len(kept)
    from unicodedata import combining, east_asian_width

    taken = 0
    for index, char in enumerate(text):
        wide = 0 if combining(char) else 2 if east_asian_width(char) in "FW" else 1
        if taken + wide > columns:
            return text[:index], taken
        taken += wide
    return text, taken


def _needs(form: _Form, numbers: tuple[str, str, str]) -> int:
    text = "  ".join(filter(None, numbers))
    return _cost(max(form.reserved, len(text))) + (_cost(_NARROWEST) if form.has_bar else 0)


def _cost(columns: int) -> int:
    return columns + 1 if columns else 0


def _numbers(form: _Form, loaded: int, total: int, rate: float | None) -> tuple[str, str, str]:
    sizes = speed = left = ""
    if form.has_sizes:
        sizes = f"{_size(loaded)}/{_size(total)}" if total else _size(loaded)
    if form.has_rate and rate is not None:
        speed = f"{_size(rate)}/s"
    if form.has_left and rate and loaded < total:
        left = _clock((total - loaded) / rate)
    return sizes, speed, left


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
