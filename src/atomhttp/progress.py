"""Progress: what a callback may be told of a transfer, and a bar that is a ready callback."""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TextIO

from atomhttp._redact import quote_peer
from atomhttp.errors import AtomHTTPOptionError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from atomhttp._bars.screen import Row

# A rate is that of the last five seconds, in so many samples. By time and not, as axios has it, by the number of
# events: a fast transfer reports hundreds a second.
_SPACING: Final = 0.25
_SAMPLES: Final = 20


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

    One line with percentage, sizes, rate and the time that is left (size and rate when the total is unknown). A bar is
    for one transfer at a time and, when that has ended, for the next one. Bars of several transfers, in tasks or in
    threads, stand below each other as long as one of them is under way; what has ended stands above them.

    It is drawn in rich's colours where `rich` is installed, and plain where it is not. On a terminal that cannot move
    its cursor (`TERM=dumb`) each transfer gets its line when it has ended. On anything but a terminal nothing is
    written. An output that fails ends no transfer: the bar is not drawn any more.

    Rate and time left count from the first call on, as a transfer that is continued does not begin with 0.

    Args:
        description: stands in front of the bar; what is not printable in it is shown as a blank.
        file: the terminal to draw on; `sys.stderr` by default, the one there is when a transfer begins.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE.
    """

    # Where a constructor failed, or a copy was made, there is no transfer.
    _loaded: int | None = None
    _row: Row | None = None

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

    def __call__(self, loaded: int, total: int) -> None:
        """So many bytes of so many (0: unknown) have passed. A count that falls begins a new transfer."""
        now = monotonic()
        if self._loaded is None or loaded < self._loaded:
            self._begin(now, loaded)
        self._loaded = loaded
        has_ended = 0 < total <= loaded
        row = self._row
        if row is not None:
            row.counts = (loaded, total)
            if now >= row.redraw_at and not has_ended:
                row.tell(now)
        if has_ended:
            self._end(now)

    def __repr__(self) -> str:
        return f"<ProgressBar {quote_peer(self._label)}>" if self._label else "<ProgressBar>"

    def finish(self) -> None:
        """Ends the line of a transfer that is over, or given up. Nothing happens when there is none.

        A transfer of unknown size does not tell its end by its count. The client calls this by itself when the bar
        itself is the callback; when the bar is called by a function of yours, call it, or use the bar in a `with`
        statement, which does.
        """
        self._end(monotonic())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.finish()

    def __del__(self) -> None:
        row = self._row
        if row is not None and not row.is_over:
            self._end(monotonic())

    def __getstate__(self) -> dict[str, Any]:
        # The line of a transfer belongs to one bar.
        return {name: value for name, value in vars(self).items() if name not in ("_loaded", "_row")}

    def _begin(self, now: float, loaded: int) -> None:
        self._end(now)
        # Most programs that are told of progress draw no bar.
        from atomhttp._bars.screen import Row, is_terminal

        file = sys.stderr if self._file is None else self._file
        if is_terminal(file):
            self._row = Row(self._label, file, Speedometer(now, loaded).measure)

    def _end(self, now: float) -> None:
        row, self._row, self._loaded = self._row, None, None
        if row is not None:
            row.has_ended = True
            row.tell(now)
