"""Draws docs/images/life-of-a-request.svg.

    python scripts/life_of_a_request.py

One column, so that it can be read on a phone; its own background and colours for light and dark, and the reader's own
fonts. `tests/api/test_life_of_a_request.py` fails when the image is not what this would draw.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import NamedTuple

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "life-of-a-request.svg"

WIDTH = 386
LEFT, RIGHT = 48, 302  # the edges of the boxes: lines of loops run to their left, phases to their right
STEP, GAP, BAND = 44, 12, 34

STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
.name { font-size: 14.5px; font-weight: 600; }
.note, .phase { font-size: 12px; }
.band { font-size: 12.5px; font-weight: 600; }
.box, .arrow, .edge, .loop { stroke-width: 1.3; }
.arrow, .loop { fill: none; }
.edge { stroke-dasharray: 3 4; }
"""
# Property, classes, and the colour in light and in dark.
COLOURS = (
    ("fill", ".ground", "#fbfbf9", "#16191d"),
    ("fill", ".box", "#ffffff", "#20252b"),
    ("stroke", ".box, .arrow", "#9aa3ad", "#6a7480"),
    ("fill", ".name, .phase", "#1d242b", "#eef1f4"),
    ("fill", ".note", "#56616c", "#b3bcc6"),
    ("fill", ".pill", "#e1eff5", "#1d3641"),
    ("fill", ".band", "#0b5f86", "#7fcdec"),
    ("stroke", ".edge", "#0b5f86", "#7fcdec"),
    ("stroke", ".loop", "#8a5a00", "#e0ad55"),
)


class Step(NamedTuple):
    """A box: what happens, in a word and in a line; the field of `timings` that counts it."""

    name: str
    note: str
    phase: str = ""


class Band(NamedTuple):
    """A line across: where the clock starts and ends."""

    text: str


STORY: tuple[Step | Band, ...] = (
    Step("verb", "options checked and merged"),
    Step("request interceptors", "in the order added"),
    Step("transformRequest", "the data, still as you gave it"),
    Band("the timeout starts"),
    Step("encode", "URL, header fields, body, its size"),
    Step("redirect", "what may go along, where to"),
    Step("retry", "again, after a wait"),
    Step("auth", "signs, or answers a challenge"),
    Step("cookies", "those that belong to this URL"),
    Step("pool", "an idle one goes on with send", "blocked"),
    Step("resolve", "hosts, resolver, addressGuard", "dns"),
    Step("connect", "TCP, unix socket, proxy", "connect"),
    Step("TLS", "certificate and name verified", "ssl"),
    Step("send", "upload progress, maxRate", "send"),
    Step("wait", "for the head of the response", "wait"),
    Step("receive", "HTTP parsed, download progress", "receive"),
    Step("decompress, limit", "cookies kept, maxContentLength"),
    Step("decode", "JSON, text, your type, a stream"),
    Step("transformResponse", "the data, as you get it"),
    Step("validateStatus", "returned, or raised"),
    Band("the timeout ends"),
    Step("response interceptors", "in the order added"),
    Step("response, or an error", "with config, attempts, timings"),
)
# What sends once more goes back from here to its own step; how far to the left its line runs.
END = "decompress, limit"
LOOPS = (("redirect", 12), ("retry", 23), ("auth", 34))
TITLE = "The life of a request"
DESCRIPTION = (
    "One column of steps, from the verb to the response: "
    + ", ".join(item.name if isinstance(item, Step) else f"({item.text})" for item in STORY)
    + ". Three lines lead back from the received response: an auth exchange, a retry and a redirect each send "
    "once more from their own step. The page has all of it as a table."
)


def draw() -> str:
    """The image."""
    tops, height = _lay_out()
    shapes = [*_draw_steps(tops), *_draw_loops(tops)]
    return "\n".join(
        (
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
                f'height="{height}" role="img" aria-labelledby="title description">'
            ),
            f'<title id="title">{escape(TITLE)}</title>',
            f'<desc id="description">{escape(DESCRIPTION)}</desc>',
            f"<style>{STYLE}{_colours(2)}@media (prefers-color-scheme: dark) {{\n{_colours(3)}}}\n</style>",
            f'<rect width="{WIDTH}" height="{height}" class="ground"/>',
            *shapes,
            "</svg>\n",
        )
    )


def _colours(column: int) -> str:
    return "".join(f"{row[1]} {{ {row[0]}: {row[column]}; }}\n" for row in COLOURS)


def _lay_out() -> tuple[list[int], int]:
    """Where each item begins, and where all of them end."""
    tops, top = [], 16
    for item in STORY:
        tops.append(top)
        top += (STEP if isinstance(item, Step) else BAND) + GAP
    return tops, top + 4


def _draw_steps(tops: list[int]) -> Iterable[str]:
    middle = (LEFT + RIGHT) // 2
    for number, (item, top) in enumerate(zip(STORY, tops, strict=True)):
        if number:
            above = tops[number - 1] + (STEP if isinstance(STORY[number - 1], Step) else BAND)
            yield _arrow(middle, above, top)
        if isinstance(item, Band):
            y = top + BAND // 2
            yield f'<path d="M 12 {y} H {WIDTH - 12}" class="edge"/>'
            width = round(7.2 * len(item.text)) + 20
            x = middle - width // 2
            yield f'<rect x="{x}" y="{top + 5}" width="{width}" height="24" rx="12" class="pill"/>'
            yield f'<text x="{middle}" y="{top + 21}" text-anchor="middle" class="band">{item.text}</text>'
            continue
        yield (f'<rect x="{LEFT}" y="{top}" width="{RIGHT - LEFT}" height="{STEP}" rx="7" class="box"/>')
        yield f'<text x="{LEFT + 12}" y="{top + 19}" class="name">{escape(item.name)}</text>'
        yield f'<text x="{LEFT + 12}" y="{top + 36}" class="note">{escape(item.note)}</text>'
        if item.name == "pool":
            yield f'<text x="{RIGHT + 41}" y="{top - 4}" text-anchor="middle" class="note">timings</text>'
        if item.phase:
            x, y = RIGHT + 8, top + 10
            yield f'<rect x="{x}" y="{y}" width="66" height="24" rx="12" class="pill"/>'
            yield f'<text x="{x + 33}" y="{y + 16}" text-anchor="middle" class="phase">{item.phase}</text>'


def _arrow(x: int, top: int, bottom: int) -> str:
    return f'<path d="M {x} {top} V {bottom - 1} m -4 -5 l 4 5 l 4 -5" class="arrow"/>'


def _draw_loops(tops: list[int]) -> Iterable[str]:
    """What happens again: from the response back to the step."""
    places = {item.name: top for item, top in zip(STORY, tops, strict=True) if isinstance(item, Step)}
    for place, (name, x) in enumerate(LOOPS):
        top, bottom = places[name] + STEP // 2, places[END] + 12 + 10 * place
        yield f'<path d="M {LEFT} {bottom} H {x} V {top} H {LEFT - 1} m -5 -4 l 5 4 l -5 4" class="loop"/>'


def main() -> int:
    """Writes the image, if it has changed."""
    image = draw()
    if IMAGE.exists() and IMAGE.read_text() == image:
        print(f"{IMAGE.name} is up to date")
        return 0
    IMAGE.parent.mkdir(exist_ok=True)
    IMAGE.write_text(image)
    print(f"{IMAGE.name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
