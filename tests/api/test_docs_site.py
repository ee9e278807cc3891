"""The site that ./scripts/docs makes: what can be said of it before it is built, and the check that follows."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import typing
from pathlib import Path
from types import ModuleType

import pytest

from atomhttp import AtomHTTP, SyncAtomHTTP, types
from atomhttp._model.options import OPTIONS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MODULES = ("atomhttp", "atomhttp.auth", "atomhttp.adapters", "atomhttp.testing")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_site = load(ROOT / "scripts" / "check_site.py")
docstrings = load(DOCS / "_extensions" / "docstrings.py")
verb_types = load(DOCS / "_extensions" / "verb_types.py")


# The reference


def find(name: str) -> object:
    """What a dotted name stands for."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def documented() -> list[str]:
    """The names that the pages of the reference have a directive for."""
    pages = "\n".join(page.read_text() for page in sorted((DOCS / "reference").glob("*.md")))
    generated = re.findall(r"^\.\. auto\w+:: ([\w.]+)$", pages, re.MULTILINE)
    by_hand = re.findall(r"^\.\. py:\w+:: (\w+)\n   :module: (atomhttp(?:\.[a-z]+)?)$", pages, re.MULTILINE)
    return generated + [f"{module}.{name}" for name, module in by_hand]


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_in_the_reference(module: str) -> None:
    names = documented()
    # A class may be public in two modules; once is enough.
    things = [find(name) for name in names]
    for name in importlib.import_module(module).__all__:
        thing = find(f"{module}.{name}")
        if not inspect.ismodule(thing):
            assert f"{module}.{name}" in names or any(thing is each for each in things), f"{module}.{name}"


def test_nothing_is_in_the_reference_twice() -> None:
    names = documented()
    assert len(set(names)) == len(names)
    for name in names:
        find(name)


def test_every_verb_has_a_signature_with_types() -> None:
    verbs = [name for name, value in vars(AtomHTTP).items() if inspect.iscoroutinefunction(value)]
    assert {"request", "get", "options", "post_form"} <= set(verbs)
    for client, cls in (("AtomHTTP", AtomHTTP), ("SyncAtomHTTP", SyncAtomHTTP)):
        signatures = verb_types.verb_signatures(client)
        for name in signatures:
            assert callable(getattr(cls, name)), name
        untyped = [
            name
            for name, value in vars(cls).items()
            if inspect.isfunction(value) and not name.startswith("_") and not inspect.get_annotations(value)
        ]
        assert set(untyped) <= set(signatures)
    parameters, returns = verb_types.verb_signatures("AtomHTTP")["get"]
    assert parameters == (
        "url: URL, params: Params=None, *, response_type: ResponseTypeInput=..., **options: Unpack[ParamsOptions]"
    )
    assert returns == "Response[Any]"


def test_every_option_has_its_type() -> None:
    types = verb_types.option_types()
    for option in OPTIONS:
        assert types[option.name] == types[option.alias], option.name


def test_aliases_are_shown_as_they_are_written() -> None:
    aliases = {alias.name: alias for alias in verb_types.type_aliases("atomhttp._verbs")}
    assert aliases["Params"].value == "ParamsInput | None"
    assert aliases["ProgressCallback"].comment == "(loaded, total), or one ProgressEvent."
    # Its aliases are all that is public there, and are shown together.
    public = {name for name in vars(types) if name[0].isupper() and name not in vars(typing)}
    imported = {"AsyncIterable", "Callable", "Iterable", "Mapping", "PathLike", "Sequence"}
    assert {alias.name for alias in verb_types.type_aliases("atomhttp.types")} == public - imported


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("see `timeout`, in s", "see ``timeout``, in s"),
        ("all `Headers` and `head`", "all :py:obj:`Headers <atomhttp.Headers>` and ``head``"),
        ("by `Timeout()`", "by :py:obj:`Timeout() <atomhttp.Timeout>`"),
        ("`MockCall`s", "``MockCall``\\ s"),
        ("of `a\n b`", "of ``a\n b``"),
        ("``there``", "``there``"),
    ],
)
def test_code_in_docstrings(markdown: str, shown: str) -> None:
    assert docstrings.mark_code(markdown, ["Headers", "Timeout", "head"]) == shown


def test_each_error_is_named_by_itself() -> None:
    lines = [
        "Raises:",
        "    AError, BError.",
        "    CError, ssl.SSLError: it",
        "        went, on",
        "",
        "Args:",
        "    a, b: c",
    ]
    assert [*docstrings.name_each_error(lines)] == [
        *("Raises:", "    AError: ", "    BError: ", "    CError: it", "    ssl.SSLError: it", "        went, on", ""),
        *("Args:", "    a, b: c"),
    ]


# The check of a site


@pytest.fixture
def site(tmp_path: Path) -> Path:
    pages = {
        "index.html": '<h1 id="top">T</h1><a href="guide/a.html#b">A</a><a href="#top">Up</a><img src="i.svg">'
        '<link rel="stylesheet" href="s.css"><a href="https://www.rfc-editor.org/rfc/rfc9110">RFC</a>'
        '<a href="guide/">G</a>',
        "guide/index.html": '<a href="../index.html">Up</a>',
        "guide/a.html": '<h2 id="b">B</h2><a href="../index.html?x=1#top">Up</a>',
        "i.svg": '<svg xmlns="http://www.w3.org/2000/svg"/>',
        "s.css": "body { background: url(i.svg) }",
    }
    for name, content in pages.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_a_site_that_holds_together_has_nothing_wrong(site: Path) -> None:
    assert check_site.check_site(site) == []


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ('<a href="gone.html">', "leads nowhere: gone.html"),
        ('<a href="../index.html">', "leads nowhere: ../index.html"),
        ('<a href="guide/a.html#c">', "no such anchor: guide/a.html#c"),
        ('<a href="#c">', "no such anchor: #c"),
        ('<img src="gone.png">', "leads nowhere: gone.png"),
        ('<a href="http://www.rfc-editor.org/">', "not an address: http://www.rfc-editor.org/"),
        ('<a href="https://nowhere/">', "not an address: https://nowhere/"),
        ('<a href="javascript:x()">', "not an address: javascript:x()"),
        ('<script src="https://cdn.example.net/x.js">', "asks another host: https://cdn.example.net/x.js"),
        ('<link rel="stylesheet" href="//fonts.example.net/x">', "asks another host: //fonts.example.net/x"),
        ('<p style="background: url(https://e.net/x.png)">', "asks another host: https://e.net/x.png"),
        ("<style>@import 'https://e.net/x.css';</style>", "asks another host: https://e.net/x.css"),
    ],
)
def test_what_is_wrong_with_a_page_is_said(site: Path, html: str, problem: str) -> None:
    (site / "other.html").write_text(html)
    assert check_site.check_site(site) == [f"other.html: {problem}"]


def test_a_style_that_asks_another_host_is_seen(site: Path) -> None:
    (site / "s.css").write_text('@font-face { src: url("https://fonts.example.net/f.woff2") }')
    assert check_site.check_site(site) == ["s.css: asks another host: https://fonts.example.net/f.woff2"]


def test_no_site_is_no_good_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["check_site.py", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        check_site.main()
    assert ended.value.code
    assert "there is no index.html" in capsys.readouterr().err
