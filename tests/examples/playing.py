"""Runs an example of `examples/seed` in the test's own process, and keeps what it made.

The examples name the page's hosts and paths, because they are to be read beside the page. Nothing of that is reachable
from a test, so their text is read, the hosts and paths in it are replaced by a local server's, and the rest is run as
it stands. An example with a setting for the host would not need that, but it would no longer be the page's code.

The page gives one name to several responses in turn, and returns none. So one thing more is added before the code runs:
a note of every value that a name was given, for the test to look at.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from examples.page import EXAMPLES

HTTPBIN = "https://httpbin.org"
API = "https://api.example.com"

OUTSIDE = re.compile(r"https?://(?!127\.0\.0\.1:)[\w.-]+")


def text_of(name: str, places: Mapping[str, str], *, is_local: bool = True) -> str:
    """An example's text with the page's hosts and paths replaced; `is_local`: none of another machine's may be left."""
    text = (EXAMPLES / f"{name}.py").read_text()
    for theirs, ours in places.items():
        assert theirs in text, f"{name}.py does not mention {theirs}"
        text = text.replace(theirs, ours)
    assert not is_local or not OUTSIDE.findall(text), OUTSIDE.findall(text)
    return text


def synchronous(text: str) -> str:
    """The same example for SyncAtomHTTP: without its async and await, and otherwise unchanged."""
    text = text.replace("asyncio.run(main())", "main()").replace("import asyncio\n", "")
    return re.sub(r"\b(async|await) ", "", text).replace("AtomHTTP", "SyncAtomHTTP")


class Example:
    """An example that is there to be run."""

    def __init__(self, text: str, name: str) -> None:
        self.values: dict[str, list[Any]] = {}
        """Every value that a name of the example was given by `name = …`, in order."""
        tree = ast.fix_missing_locations(_NoteAssignments().visit(ast.parse(text)))
        self.names: dict[str, Any] = {"__name__": name, "_note": self._note}
        """The example's own globals."""
        exec(compile(tree, f"{name}.py", "exec"), self.names)

    def _note(self, name: str, value: Any) -> None:
        self.values.setdefault(name, []).append(value)

    @property
    def client(self) -> Any:
        """The client of the example, to send more with."""
        return self.values["client"][-1]

    @property
    def responses(self) -> list[Any]:
        """What the example's `response` was, one after the other."""
        return self.values["response"]

    async def run(self) -> None:
        """Run its `main`."""
        await settled(self.names["main"]())

    async def close(self) -> None:
        """Close its clients: the page leaves them open, and the tests look for what stays open."""
        for client in self.values.get("client", ()):
            await settled(client.close())


class _NoteAssignments(ast.NodeTransformer):
    """Puts `_note("x", x)` behind every `x = …`."""

    def visit_Assign(self, node: ast.Assign) -> list[ast.stmt]:
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        notes = [ast.parse(f"_note({name!r}, {name})").body[0] for name in names]
        return [node, *(ast.copy_location(note, node) for note in notes)]


async def settled(value: Any) -> Any:
    """The value, awaited where there is something to await: AtomHTTP's calls, and not SyncAtomHTTP's."""
    return await value if inspect.isawaitable(value) else value


class Player:
    """Runs examples as they are, or their synchronous twins."""

    def __init__(self, *, is_sync: bool) -> None:
        self.is_sync = is_sync

    def load(self, name: str, places: Mapping[str, str], *, is_local: bool = True) -> Example:
        """The example `name`, not run yet."""
        text = text_of(name, places, is_local=is_local)
        return Example(synchronous(text) if self.is_sync else text, name)

    @contextlib.asynccontextmanager
    async def play(self, name: str, places: Mapping[str, str], *, is_local: bool = True) -> AsyncIterator[Example]:
        """Run the example `name`; its clients are closed at the end of the block."""
        example = self.load(name, places, is_local=is_local)
        try:
            await example.run()
            yield example
        finally:
            await example.close()
