"""Lines in rich's colours and characters. The only importer of `rich`.

Rich draws one line, and has no terminal: its own live displays run a thread, replace sys.stdout, and hide the
cursor, which a program that is killed does not show again.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Final

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.segment import Segment, Segments

from atomhttp._bars.line import Line

# Of the theme that rich's own bars have.
_STYLES: Final = {"sizes": "progress.download", "rate": "progress.data.speed", "left": "progress.remaining"}


class RichPen:
    """Draws lines for a terminal: with its colours, or without where NO_COLOR is set, and in ASCII where it must be.

    Args:
        encoding: of the terminal.
    """

    def __init__(self, encoding: str) -> None:
        self._paper = _Paper(encoding)
        self._console = Console(file=self._paper, force_terminal=True, force_jupyter=False, legacy_windows=False)

    def __call__(self, line: Line) -> str:
        # Segments are taken as they are: markup is read, and lines are wrapped, in texts only.
        self._console.print(Segments(self._segments(line)), end="", crop=False)
        return self._paper.take()

    def _segments(self, line: Line) -> Iterator[Segment]:
        blank = ""
        if line.label:
            yield self._segment(line.label, "progress.description")
            blank = " "
        if line.percent:
            yield self._segment(blank + line.percent, "progress.percentage")
            blank = " "
        if line.bar:
            yield Segment(blank)
            yield from self._bar(line)
        for name, text in line.numbers:
            yield self._segment(blank + text, _STYLES[name])
            blank = "  "

    def _bar(self, line: Line) -> Iterator[Segment]:
        bar = ProgressBar(total=line.total, completed=line.loaded, width=line.bar)
        left = line.bar
        for segment in self._console.render(bar, self._console.options.update(width=line.bar)):
            left -= segment.cell_length
            yield segment
        # Without colours rich leaves away what is still to come.
        yield Segment(" " * left)

    def _segment(self, text: str, style: str) -> Segment:
        return Segment(text, self._console.get_style(style))


class _Paper(StringIO):
    """What rich writes on. The terminal itself may fail, also at the nothing that rich writes to what it captures."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute, according to the stubs
        return self._encoding

    def take(self) -> str:
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text
