"""The user's page, cut into what the tests compare with: its code blocks, its sentences, its tables' rows.

`seed_page.txt` is the page as it came, character by character. It came without its indentation and without the line
breaks between a block and what follows it, so a section's last line of code ends in the next section's title.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = (Path(__file__).parent / "seed_page.txt").read_text(encoding="utf-8")
EXAMPLES = Path(__file__).parents[2] / "examples" / "seed"

# The page's sections, in its order, and the example that holds each one's code.
SECTIONS = {
    "Interceptors": "interceptors",
    "Progress Tracking": "progress",
    "FormData & File Uploads": "form_data",
    "Concurrent Requests": "concurrent_requests",
    "Data Transformers": "transformers",
    "Authentication": "authentication",
    "Blob & ArrayBuffer": "blob_and_arraybuffer",
    "Limits & Timeouts": "limits_and_timeouts",
}

HEADINGS = {"Parameters", "Returns", "Methods", "Classes", "Response Types", "Configuration Options"}


@dataclass(frozen=True, slots=True)
class Section:
    """One feature of the page."""

    title: str
    code: tuple[str, ...]
    """The lines of its example; the page kept none of their indentation."""
    sentences: tuple[str, ...]
    """Every sentence about it, its "Returns" line among them."""
    rows: tuple[str, ...]
    """Every row of its table, without the head."""


def sections() -> dict[str, Section]:
    """The page's sections, by the name of their example's file."""
    ends = [PAGE.index(f"{title}\n") for title in SECTIONS]
    starts = [end + len(title) + 1 for title, end in zip(SECTIONS, ends, strict=True)]
    texts = [PAGE[start:end] for start, end in zip(starts, [*ends[1:], len(PAGE)], strict=True)]
    return {name: _section(title, text) for (title, name), text in zip(SECTIONS.items(), texts, strict=True)}


def _section(title: str, text: str) -> Section:
    about, example, code = text.partition("Example\n")
    assert example, f"{title} has no example"
    sentences: list[str] = []
    rows: list[str] = []
    for line in about.splitlines():
        if line.startswith("|---"):
            rows.pop()  # the row above was the head
        elif line.startswith("| "):
            rows.append(line)
        elif line not in HEADINGS:
            sentences += re.split(r"(?<=\.) ", line)
    return Section(title, tuple(code.splitlines()), tuple(filter(None, sentences)), tuple(rows))
