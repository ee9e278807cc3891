"""The pages as a site: its navigation, and what they link to outside of docs/.

The pages are read in the repository as well, so that they are plain Markdown: README.md is the index there, and a link
may lead to a test or to an example. On the site, README.md stands in the index page, its tables are the navigation, and
each file that is linked to becomes a page.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.osutil import relative_uri

INDEX: Final = "README.md"
# Where the files that are linked to are shown.
FILES: Final = "files"
LEXERS: Final = {".py": "python", ".md": "markdown", ".toml": "toml", "": "bash"}


# Navigation


def write_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """A table of contents for each section of README.md, with the pages that are linked to in its table."""
    if page == app.config.root_doc:
        index = (Path(app.srcdir) / INDEX).read_text()
        source[0] += "".join(map(_toctree, read_sections(index)))
    source[0] = re.sub(rf"\]\(((?:\.\./)*){re.escape(INDEX)}(?=[#)])", r"](\1index.md", source[0])


def read_sections(index: str) -> Iterator[tuple[str, list[str]]]:
    """(title, pages) of the sections of `index` that have a table of pages."""
    for section in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        pages = re.findall(r"^\| \[[^]]+\]\(([\w/.-]+)\.md\) \|", section, re.MULTILINE)
        if pages:
            yield section.partition("\n")[0], pages


def _toctree(section: tuple[str, list[str]]) -> str:
    title, pages = section
    return "\n".join(("\n", "```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```", ""))


# Files


class FileLinks(SphinxTransform):
    """Links to files that are no pages become links to pages that show them: they would be downloads, or unknown."""

    default_priority = 5

    def apply(self, **kwargs: Any) -> None:
        for link in [*self.document.findall(_is_link)]:
            path = self._find_file(link["reftarget"], is_page=link["refdomain"] == "doc")
            if path is not None:
                name = str(path.relative_to(self.config.repository))
                linked_files(self.env)[name] = self.env.docname
                here = self.app.builder.get_target_uri(self.env.docname)
                uri = relative_uri(here, _uri(name))
                link.replace_self(nodes.reference("", "", *link.children, refuri=uri, internal=True))

    def _find_file(self, target: str, *, is_page: bool) -> Path | None:
        """The file that a link leads to; None for a page of the site, for an anchor, and for what is not there."""
        if is_page:
            return None if target in self.env.found_docs else Path(self.env.srcdir, f"{target}.md")
        # From the source's root where it begins with a slash, as Sphinx has it.
        start = Path(self.env.srcdir if target.startswith("/") else self.env.doc2path(self.env.docname).parent)
        found = (start / target.lstrip("/")).resolve()
        found = found / INDEX if found.is_dir() else found
        return found if found.is_file() else None


def _is_link(node: nodes.Node) -> bool:
    is_link = isinstance(node, addnodes.download_reference | addnodes.pending_xref)
    return is_link and node.get("reftype") == "myst" and node["reftarget"] != ""


def linked_files(env: Any) -> dict[str, str]:
    """By its path, a file that is linked to, and a page that does."""
    if not hasattr(env, "linked_files"):
        env.linked_files = {}
    found: dict[str, str] = env.linked_files
    return found


def _uri(name: str) -> str:
    return quote(f"{FILES}/{name}" + ("" if name.endswith(".svg") else ".html"))


def show_files(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for each file that is linked to; an image is there as it is."""
    highlight: Any = app.builder.highlighter.highlight_block
    for name in sorted(linked_files(app.env)):
        path = app.config.repository / name
        if path.suffix == ".svg":
            copy = Path(app.outdir) / FILES / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            continue
        code = highlight(path.read_text(), LEXERS.get(path.suffix, "text"), location=name)
        yield f"{FILES}/{name}", {"title": name, "body": f"<h1>{name}</h1>\n{code}"}, "page.html"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("repository", None, "env")
    app.add_transform(FileLinks)
    app.connect("source-read", write_navigation)
    app.connect("html-collect-pages", show_files)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
