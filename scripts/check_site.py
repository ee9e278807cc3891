"""Checks a site that has been built.

    python scripts/check_site.py build/docs

Every link inside leads to a file, and to an anchor that is there; links to others are https, and there are no others
than links: a page asks no other host for anything, so that it works without a network and from the file system. Links
to others are not followed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

# Attributes that make a browser fetch what they name, by the element; None: of any.
FETCHED = {
    ("link", "href"),
    ("img", "srcset"),
    ("source", "srcset"),
    ("object", "data"),
    ("use", "href"),
    (None, "src"),
}
CSS_FETCHES = re.compile(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)")
# What is no fetch: the page's own address, and the forms that say where else it may be found.
NO_FETCH = {"canonical", "alternate"}


class Reference(NamedTuple):
    target: str
    is_fetched: bool


class Page(HTMLParser):
    """What a page refers to, and what in it can be referred to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.references: list[Reference] = []
        self.styles: list[str] = []
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.styles.append(given.get("style", ""))
        self._in_style = tag == "style"
        for name, value in given.items():
            is_fetched = (tag, name) in FETCHED or (None, name) in FETCHED
            if given.get("rel") in NO_FETCH:
                is_fetched = False
            if is_fetched or name == "href":
                self.references.append(Reference(value, is_fetched))

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.styles.append(data)


def check_site(folder: Path) -> list[str]:
    """What is wrong with the site in `folder`, a line each."""
    pages = {path: Page(path.read_text()) for path in sorted(folder.rglob("*.html"))}
    wrong = [] if folder / "index.html" in pages else [f"{folder}: there is no index.html"]
    for path, page in pages.items():
        found = [problem for each in page.references if (problem := _check(path, each, pages))]
        found += [f"asks another host: {target}" for style in page.styles for target in CSS_FETCHES.findall(style)]
        wrong += [f"{path.relative_to(folder)}: {problem}" for problem in dict.fromkeys(found)]
    return [*wrong, *_check_styles(folder)]


def _check(page: Path, reference: Reference, pages: dict[Path, Page]) -> str | None:
    """What is wrong with a reference; None when nothing is."""
    target = urlsplit(reference.target)
    if target.scheme == "data":
        return None
    if target.scheme or target.netloc:
        if reference.is_fetched:
            return f"asks another host: {reference.target}"
        is_fine = (target.scheme == "https" and re.fullmatch(r"[\w-]+(\.[\w-]+)+", target.netloc)) or (
            target.scheme == "mailto" and "@" in target.path
        )
        return None if is_fine else f"not an address: {reference.target}"
    path = (page.parent / unquote(target.path)).resolve() if target.path else page.resolve()
    if path.is_dir():
        path /= "index.html"
    if not path.is_file():
        return f"leads nowhere: {reference.target}"
    other = pages.get(path)
    anchor = unquote(target.fragment)
    return f"no such anchor: {reference.target}" if anchor and other and anchor not in other.anchors else None


def _check_styles(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.css")):
        for target in CSS_FETCHES.findall(path.read_text()):
            yield f"{path.relative_to(folder)}: asks another host: {target}"


def main() -> None:
    """Checks the site that is named."""
    folder = Path(sys.argv[1]).resolve()
    wrong = check_site(folder)
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
