"""From the manner of our docstrings, which is Markdown's, to reStructuredText. No Sphinx is needed for it."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from functools import partial


def mark_code(text: str, documented: Container[str]) -> str:
    """`text` with its code marked as reStructuredText has it; a class in `documented` becomes a link."""
    return re.sub(r"(\w?)(?<!`)`([^`]+)`(?!`)(\w?)", partial(_as_code, documented), text)


def _as_code(documented: Container[str], found: re.Match[str]) -> str:
    before, text, after = found.groups()
    name = text.removesuffix("()")
    is_link = name in documented and name[0].isupper()
    code = f":py:obj:`{text} <atomhttp.{name}>`" if is_link else f"``{text}``"
    # Markup ends where a word does.
    return (f"{before}\\ " if before else "") + code + (f"\\ {after}" if after else "")


def name_each_error(lines: Iterable[str]) -> Iterator[str]:
    """`AError, BError: text` under `Raises:` is about two errors; so it is without a text."""
    in_raises = False
    for line in lines:
        if line and not line.startswith(" "):
            in_raises = line == "Raises:"
        found = re.fullmatch(r"    (\w[\w.]*(?:, \w[\w.]*)*)[.,;:] ?(.*)", line) if in_raises else None
        if found is None:
            yield line
        else:
            yield from (f"    {name}: {found[2]}" for name in found[1].split(", "))
