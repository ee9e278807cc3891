"""Every example in README.md and docs/ is run, and prints what the page says that it prints.

A page is like a console: its examples are run from top to bottom with one set of names, in one event loop. Where a
```text block follows an example, it is the example's output; where none does, there must be none. Hosts, the unix
socket and files are those of the test. An example that cannot be run says why, in a line before it:
`<!-- not run: because … -->`.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import hashlib
import inspect
import io
import json
import re
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import pytest

from atomhttp import AtomHTTP, SyncAtomHTTP, errors
from support.async_tests import loop_factory
from support.certificates import Certificates
from support.origin import Answer, Origin, Received, pattern
from support.scripted_proxy import ScriptedProxy
from support.seed_origin import TITLES, answer, show_parts
from support.tutorial import serve_tutorial

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Pages of their own kind: the site's first one is made of README.md, the reference of docstrings.
GENERATED = [DOCS / "index.md", *(DOCS / "reference").glob("*.md")]
PAGES = [ROOT / "README.md", *sorted(page for page in DOCS.rglob("*.md") if page not in GENERATED)]
OTHERS = [
    *(ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "examples" / "README.md"),
    *(DOCS / "reference").glob("*.md"),
]
GUIDES = [page for page in PAGES if page.parent == DOCS]
API, CDN, SOCKET = "https://api.example.com", "https://cdn.example.net", "/var/run/docker.sock"
# The one place that is really there: the first thing a reader types has to work.
HTTPBIN = "https://httpbin.org"
INTERNAL, PROXY = "https://internal.example.com", "proxy.example.com:3128"
# The server that comes with the tutorial.
TUTORIAL = "http://localhost:8000"
OUTSIDE = re.compile(r"https?://(?!(?:[\w:]+@)?127\.0\.0\.1:)[\w.-]+")
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>.*?) -->\n)?^```python\n(?P<code>.*?)^```$(?:\n\n^```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


class Example(NamedTuple):
    line: int
    code: str
    output: str
    reason: str | None


def read_examples(text: str) -> list[Example]:
    return [
        Example(text.count("\n", 0, found.start("code")) + 1, found["code"], found["output"] or "", found["reason"])
        for found in BLOCK.finditer(text)
    ]


# What the examples talk to


class Api:
    """The servers that the pages name, made anew for each page."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        self.folder = folder
        self._certificates = certificates
        self._servers = contextlib.ExitStack()

    def __enter__(self) -> Api:
        enter = self._servers.enter_context
        self.cdn = enter(Origin(routes={"/file.bin": show_own_fields}))
        self.api = enter(Origin())
        self.api.routes = self._routes()
        # Short: a path of more than 107 bytes is no address.
        self.socket = self.folder / "s"
        enter(Origin(unix=self.socket, routes={"/version": lambda _: answer({"ApiVersion": "1.47"})}))
        self.tutorial = enter(serve_tutorial())
        self.proxy = enter(ScriptedProxy(credentials=("user", "password")))
        # Its authority is nobody's but the test's.
        self.internal = enter(Origin(tls=self._certificates.server_context()))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._servers.close()

    def localize(self, code: str) -> str:
        """`code` with the pages' places replaced by ours."""
        local = code.replace(API, self.api.url).replace(CDN, self.cdn.url).replace(SOCKET, str(self.socket))
        local = local.replace(HTTPBIN, self.api.url).replace(TUTORIAL, self.tutorial)
        local = local.replace(INTERNAL, self.internal.url).replace(PROXY, f"127.0.0.1:{self.proxy.port}")
        assert not OUTSIDE.findall(local), OUTSIDE.findall(local)
        return local

    def generalize(self, output: str) -> str:
        """`output` as the page has it."""
        return output.replace(self.api.url, API).replace(self.cdn.url, CDN).replace(self.tutorial, TUTORIAL)

    def _routes(self) -> dict[str, Callable[[Received], Answer]]:
        return {
            "/users": users,
            "/users/2": lambda _: answer({"error": "no such user"}, 404),
            "/private": private,
            "/keys": lambda request: Answer(status=200 if request.get("X-API-Key") == "valid" else 401),
            "/whoami": lambda request: text(request.get("Authorization") or "nobody"),
            "/digest": digest,
            "/form": lambda request: text(request.body.decode()),
            "/shout": lambda request: answer({"received": request.body.decode()}),
            "/upload": show_parts,
            "/files/note.txt": lambda request: stored(request, b"a few words"),
            "/files/video.mp4": lambda request: stored(request, VIDEO),
            "/icon.png": lambda _: Answer(pattern(400), headers=[("Content-Type", "image/png")]),
            "/video.mp4": lambda _: Answer(VIDEO, headers=[("Content-Type", "video/mp4")]),
            "/log": lambda _: Answer(b"started\nstopped\n", chunked=True),
            "/events": lambda _: Answer(EVENTS, chunked=True),
            # httpbin's.
            "/post": show_post,
            "/status/404": lambda _: Answer(status=404),
            "/slow": self._slow,
            "/flaky": in_turn(503, 503, 200),
            "/report": in_turn(202, 200),
            "/login": lambda _: Answer(headers=[("Set-Cookie", each) for each in SESSION]),
            "/account": lambda request: answer(cookies_of(request)),
            "/cart": lambda _: Answer(headers=[("Set-Cookie", "XSRF-TOKEN=t0k3n; Path=/")]),
            "/orders": order,
            "/download": lambda _: Answer(status=302, headers=[("Location", f"{self.cdn.url}/file.bin")]),
            **dict.fromkeys(TITLES, lambda request: answer({"id": 1, "title": TITLES[request.path]})),
        }

    def _slow(self, _: Received) -> Answer:
        assert self.api.release.wait(10)
        return Answer()


VIDEO = pattern(300_000)
EVENTS = b'{"id": 1, "kind": "login"}\n{"id": 2, "kind": "logout"}\n'
SESSION = ("session=abc; Path=/; HttpOnly", "theme=dark; Path=/")
NETRC = b"machine 127.0.0.1 login ada password secret"
FILES = {"profile.jpg": pattern(2048), "video.mp4": VIDEO, "netrc": NETRC}


def text(value: str) -> Answer:
    return Answer(value.encode(), headers=[("Content-Type", "text/plain")])


def users(request: Received) -> Answer:
    if request.method == "POST":
        return answer({"id": 2, **json.loads(request.body)}, 201)
    assert request.target in ("/users", "/users?born=1815")
    return answer([{"id": 1, "name": "Ada"}])


def show_post(request: Received) -> Answer:
    query = dict(parse_qsl(request.target.partition("?")[2]))
    return answer({"args": query, "json": json.loads(request.body)})


def private(request: Received) -> Answer:
    if request.get("Authorization") != "Bearer a-new-token":
        return answer({"error": "who are you?"}, 401)
    return answer({"welcome": "Ada"})


def digest(request: Received) -> Answer:
    """Whoever knows Ada's password (RFC 7616)."""
    said = dict(re.findall(r'(\w+)="?([^",]+)"?', request.get("Authorization") or ""))
    if "response" not in said:
        return Answer(
            status=401, headers=[("WWW-Authenticate", 'Digest realm="api", nonce="n", qop="auth", algorithm=MD5')]
        )

    def hashed(*parts: str) -> str:
        return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()

    who, what = hashed("ada", "api", "secret"), hashed(request.method, request.target)
    good = hashed(who, "n", said["nc"], said["cnonce"], said["qop"], what)
    return Answer(status=200 if said["response"] == good else 403)


def cookies_of(request: Received) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in (request.get("Cookie") or "").split("; ") if pair)


def order(request: Received) -> Answer:
    token = request.get("X-XSRF-TOKEN")
    return Answer(status=201 if token and token == cookies_of(request).get("XSRF-TOKEN") else 403)


def stored(request: Received, content: bytes) -> Answer:
    assert request.method == "PUT"
    assert request.body == content
    return Answer(status=204)


def show_own_fields(request: Received) -> Answer:
    return answer({name: value for name, value in request.headers if name.startswith("X-")})


def in_turn(*statuses: int) -> Callable[[Received], Answer]:
    """Answers with each of them, and then with the last one."""
    left = chain(statuses, repeat(statuses[-1]))
    return lambda _: Answer(status=next(left))


# A page


class Console:
    """Runs examples one after the other, as somebody would who types them in."""

    def __init__(self, api: Api, page: Path) -> None:
        self._api = api
        self._page = page
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._unseen: list[str] = []

    def __enter__(self) -> Console:
        self._runner = asyncio.Runner(loop_factory=loop_factory("asyncio"))
        self._runner.get_loop().set_exception_handler(lambda _, context: self._unseen.append(str(context)))
        return self

    def run(self, example: Example) -> None:
        # As many lines before it as on the page: a traceback then names the page's own line.
        code = "\n" * (example.line - 1) + self._api.localize(example.code)
        compiled = compile(code, str(self._page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            # An example without `await` runs outside of the loop, as asyncio.run needs it.
            result = eval(compiled, self._names)
            if inspect.iscoroutine(result):
                self._runner.run(result)
        where = f"{self._page.name}:{example.line}"
        assert self._api.generalize(printed.getvalue()) == example.output, where

    def __exit__(self, *exc_info: object) -> None:
        for value in [*self._names.values()]:
            if isinstance(value, AtomHTTP):
                self._runner.run(value.close())
            elif isinstance(value, SyncAtomHTTP):
                value.close()
        # What an example keeps, an unread response for one, goes before the loop does.
        self._names.clear()
        self._runner.close()
        assert self._unseen == []


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificates: Certificates) -> Iterator[Api]:
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    with Api(tmp_path, certificates) as running:
        yield running


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_examples_of_a_page_do_what_it_says(page: Path, api: Api) -> None:
    content = page.read_text()
    examples = read_examples(content)
    assert len(examples) == content.count("```python"), "an example is not written as the others are"
    with Console(api, page) as console:
        for example in examples:
            if example.reason is None:
                console.run(example)
            else:
                compile(example.code, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def synchronous(example: Example) -> Example:
    """The example as somebody writes it who has SyncAtomHTTP."""
    code = re.sub(r"\b(async|await) ", "", re.sub(r"\bAtomHTTP\b", "SyncAtomHTTP", example.code))
    return example._replace(code=code)


# They have examples for both, and are about what differs.
FOR_BOTH = ("concurrency.md", "sync.md", "tutorial.md")


@pytest.mark.parametrize("page", [page for page in PAGES[1:] if page.name not in FOR_BOTH], ids=name_of)
def test_the_examples_do_the_same_synchronously(page: Path, api: Api) -> None:
    with Console(api, page) as console:
        for example in read_examples(page.read_text()):
            # What is about asyncio is for those who have it.
            if example.reason is None and "asyncio" not in example.code:
                console.run(synchronous(example))


def test_files_that_examples_write_are_complete(api: Api) -> None:
    page = DOCS / "streaming.md"
    with Console(api, page) as console:
        for example in read_examples(page.read_text()):
            console.run(example)
    assert Path("copy.mp4").read_bytes() == VIDEO


# The tests of these tests


def test_a_wrong_example_is_seen(api: Api) -> None:
    page = Path("page.md")
    with Console(api, page) as console:
        console.run(Example(1, "x = 1\nprint(x)", "1\n", None))
        console.run(Example(1, f"import asyncio\nawait asyncio.sleep(0)\nprint(x, '{API}')", f"1 {API}\n", None))
        with pytest.raises(AssertionError, match=r"page\.md:7"):
            console.run(Example(7, "print(x)", "2\n", None))
        with pytest.raises(AssertionError, match=r"page\.md:7"):
            console.run(Example(7, "print(x)", "", None))
        with pytest.raises(NameError) as failed:
            console.run(Example(9, "nothing", "", None))
        assert failed.traceback[-1].lineno == 8  # counted from 0
        with pytest.raises(AssertionError, match=r"example\.org"):
            console.run(Example(1, "'https://example.org/get'", "", None))


def test_examples_are_found_with_their_marks() -> None:
    page = "# T\n\n```python\na\n```\n\n```text\nb\n```\n\n<!-- not run: it needs a printer -->\n```python\nc\n```\n"
    assert read_examples(page) == [
        Example(4, "a\n", "b\n", None),
        Example(13, "c\n", "", "it needs a printer"),
    ]


def test_what_is_not_run_says_why() -> None:
    for page in PAGES:
        for example in read_examples(page.read_text()):
            assert example.reason is None or len(example.reason.split()) >= 3, f"{page.name}:{example.line}"


# What else the pages say


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub links to them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=name_of)
def test_its_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https:)([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        found = page.parent / path if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_every_promise_leads_to_a_test_that_is_there() -> None:
    page = DOCS / "protection.md"
    rows = [
        line for line in page.read_text().splitlines() if re.match(r"\| (?!Promise|-)", line.replace("|---", "| -"))
    ]
    assert len(rows) > 30
    for row in rows:
        tests = re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", row)
        assert tests, row
        for name, path in tests:
            assert f"def {name}(" in (page.parent / path).read_text(), f"{path}: {name}"


def test_every_page_is_in_a_table_of_the_index() -> None:
    listed = re.findall(r"^\| \[[^]]+\]\(([^)]+)\) \|", (DOCS / "README.md").read_text(), re.MULTILINE)
    there = [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")]
    # The index itself is README.md, or on the site index.md.
    assert sorted([*listed, "README.md", "index.md"]) == sorted(there)


def test_every_guide_has_a_sentence_on_the_synchronous_client() -> None:
    for page in GUIDES:
        assert "`SyncAtomHTTP`" in page.read_text(), page.name


def test_the_readme_leads_to_every_page_and_stays_short() -> None:
    content = PAGES[0].read_text()
    assert len(content.splitlines()) < 150
    for page in GUIDES:
        assert f"(docs/{page.name})" in content, page.name


def test_the_tree_of_errors_is_the_drawn_one() -> None:
    assert errors.__doc__ is not None
    tree = errors.__doc__.split("```\n")[1]
    assert f"```text\n{tree}```\n" in (DOCS / "errors.md").read_text()
