"""The phases of a call, one under the other, each where it began."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from atomhttp._cli.terminal import Color, Paint
from atomhttp._pipeline.response import Timings

_WIDTH: Final = 40
# What would be shown as 0.0 ms.
_SHORTEST: Final = 0.00005
# In the order in which they follow each other, with the words of people for HAR's.
_PHASES: Final = (
    ("blocked", "queue", "waiting for a free connection"),
    ("dns", "dns", "looking up the name"),
    ("connect", "connect", "connecting"),
    ("ssl", "tls", "agreeing on TLS"),
    ("send", "send", "sending the request"),
    ("wait", "wait", "waiting for the answer"),
    ("receive", "receive", "receiving its content"),
)


def show_timings(timings: Timings, paint: Paint, encoding: str) -> Iterator[str]:
    """The lines of the waterfall. A phase that did not happen has none."""
    block = _block(encoding)
    began = 0.0
    for field, word, meaning in _PHASES:
        seconds: float = getattr(timings, field)
        if seconds < _SHORTEST:
            began += seconds
            continue
        bar = _bar(began, seconds, timings.total, block)
        yield f"{word:<8}{paint(Color.NAME, f'{bar:<{_WIDTH}}')} {_show_time(seconds)}  {paint(Color.WEAK, meaning)}"
        began += seconds
    yield f"{'total':<8}{'':<{_WIDTH}} {_show_time(timings.total)}"


def _bar(began: float, seconds: float, total: float, block: str) -> str:
    scale = _WIDTH / total if total > 0 else 0
    start = min(_WIDTH - 1, int(began * scale))
    # What happened is seen, however short.
    length = max(1, min(_WIDTH - start, round(seconds * scale)))
    return " " * start + block * length


def _block(encoding: str) -> str:
    try:
        "█".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return "#"
    return "█"


def _show_time(seconds: float) -> str:
    return f"{seconds * 1000:8.1f} ms" if seconds < 10 else f"{seconds:8.2f} s "
