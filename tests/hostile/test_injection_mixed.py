"""Injection by what no alphabet holds: any text in several positions at once, objects that are not what they say."""

from __future__ import annotations

import base64
import contextlib
import enum
import http
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atomhttp import (
    AtomHTTPError,
    AtomHTTPOptionError,
    AtomHTTPURLError,
    BasicAuth,
    BearerAuth,
    DigestAuth,
    FormData,
    Headers,
    SyncAtomHTTP,
)
from atomhttp.adapters import AdapterResponse
from hostile.injection import (
    BARE,
    Bench,
    Tap,
    basic,
    every_text,
    field_value,
    is_token,
    is_unicode,
    read_by_h11,
    read_request,
    report,
)

URL = "http://h.test:8080/a"
FORM = "multipart/form-data; boundary=b"


# Any text, anywhere

Change = Callable[[dict[str, Any], str], None]


def _set(*path: str) -> Change:
    def change(options: dict[str, Any], text: str) -> None:
        for name in path[:-1]:
            options = options.setdefault(name, {})
        options[path[-1]] = text

    return change


def _add_to_url(before: str, behind: str) -> Change:
    def change(options: dict[str, Any], text: str) -> None:
        options["url"] = f"{before}{text}{behind}"

    return change


def _add_name(option: str) -> Change:
    return lambda options, text: options.setdefault(option, {}).update({text: "v"})


def _append(*where: int) -> Change:
    def change(options: dict[str, Any], text: str) -> None:
        part: list[Any] = ["n", b"v", "f", "a/b"]
        for index in where:
            part[index] = text
        form = options.setdefault("data", FormData())
        form.append(*part)
        options["method"] = "POST"

    return change


def _authenticate(build: Callable[[str], Any]) -> Change:
    return lambda options, text: options.update(auth=build(text))


CHANGES: Mapping[str, Change] = {
    "method": _set("method"),
    "path": _add_to_url("http://h.test:8080/", ""),
    "query": _add_to_url("http://h.test:8080/a?", ""),
    "host": _add_to_url("http://", "/a"),
    "userinfo": _add_to_url("http://", "@h.test/a"),
    "base": _set("baseURL"),
    "params": _set("params", "p"),
    "param name": _add_name("params"),
    "field": _set("headers", "X-Field"),
    "field name": _add_name("headers"),
    "agent": _set("headers", "User-Agent"),
    "host field": _set("headers", "Host"),
    "type": _set("headers", "Content-Type"),
    "length": _set("headers", "Content-Length"),
    "connection": _set("headers", "Connection"),
    "cookie field": _set("headers", "Cookie"),
    "cookie": _set("cookies", "c"),
    "cookie name": _add_name("cookies"),
    "password": _authenticate(lambda text: BasicAuth("u", text)),
    "token": _authenticate(BearerAuth),
    "function": _authenticate(lambda text: lambda request: request.headers.update({"X-Auth": text, text: "v"})),
    "part name": _append(0),
    "file name": _append(2),
    "part type": _append(3),
    "form": _set("form", "f"),
    "json": _set("json", "j"),
    "proxy": lambda options, text: options.update(proxy=f"http://u:{text}@p.test:3128"),
}
# What is made of delimiters is more to the point than what is made of all of Unicode.
TEXTS = st.one_of(
    st.text(max_size=8),
    st.text("\r\n\t \0:;,=/?#@%&\"'\\<>[]{}aZ0\x7f\x85\xa0\u010a\u010d\u2028\ud800", max_size=12),
    st.sampled_from(
        ("\r\n\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n", "a\r\nX-Evil: 1", "0\r\n\r\n", "chunked", "3", "close")
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(CHANGES)), TEXTS, min_size=3, max_size=3))
def test_any_three_texts_give_one_request_or_none(texts: dict[str, str]) -> None:
    tap = Tap()
    client = SyncAtomHTTP(adapter=tap, timeout=None, trust_env=False, headers=BARE)
    refused = False
    try:
        options: dict[str, Any] = {"method": "GET", "url": URL}
        for name, text in texts.items():
            CHANGES[name](options, text)
        client.request(options)
    except (AtomHTTPOptionError, AtomHTTPURLError):
        refused = True
    assert len(tap.raw) == (0 if refused else 1)
    for raw in tap.raw:
        read_by_h11(raw)
        assert b"X-Evil" not in [name for name, _ in read_request(raw).fields]


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS, TEXTS)
@example("/", "", "\ud800")
def test_any_words_of_a_server_give_one_more_request_or_none(location: str, cookie: str, realm: str) -> None:
    """As an adapter hands them on: not even the grammar of a head stands before them."""
    tap = Tap()
    client = SyncAtomHTTP(adapter=tap, timeout=None, trust_env=False, headers=BARE, auth=DigestAuth("u", "p"))
    try:
        said = {
            "Location": location,
            "Set-Cookie": f"n={cookie}",
            "WWW-Authenticate": f'Digest realm="{realm}", nonce="n"',
        }
        tap.answers = [AdapterResponse(302, said), AdapterResponse(401, said)]
    except AtomHTTPOptionError:
        return  # that is no head
    with contextlib.suppress(AtomHTTPError):
        client.get(URL)
    for raw in tap.raw:
        read_by_h11(raw)
    assert 1 <= len(tap.raw) <= 3


# Objects


class Liar(str):
    """A str that says something else than it is, whatever it is asked."""

    __slots__ = ()

    def _lie(self, *_: object, **__: object) -> str:
        return "x\r\nX-Evil: 1"

    # None of them has the signature that it should have: hence what mypy is told.
    __str__ = __format__ = __add__ = __radd__ = __mod__ = _lie  # type: ignore[assignment]
    lower = upper = strip = lstrip = rstrip = removeprefix = removesuffix = translate = replace = _lie  # type: ignore[assignment]
    title = capitalize = casefold = format = join = _lie  # type: ignore[assignment]

    def encode(self, *_: object, **__: object) -> bytes:
        return b"x\r\nX-Evil: 1"


LIARS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "method": lambda: {"method": Liar("PURGE")},
    "url": lambda: {"url": Liar(URL)},
    "base": lambda: {"baseURL": Liar("http://h.test:8080"), "url": "/a"},
    "params": lambda: {"params": {Liar("a"): Liar("b")}},
    "params text": lambda: {"params": Liar("a=b")},
    "field": lambda: {"headers": {"X-Field": Liar("v")}},
    "field name": lambda: {"headers": {Liar("X-Field"): "v"}},
    "host": lambda: {"headers": {"Host": Liar("h")}},
    "list": lambda: {"headers": {"X-Field": [Liar("v"), Liar("w")]}},
    "cookie": lambda: {"cookies": {"a": Liar("b")}},
    "cookie name": lambda: {"cookies": {Liar("a"): "b"}},
    "basic": lambda: {"auth": (Liar("u"), Liar("p"))},
    "bearer": lambda: {"auth": BearerAuth(Liar("t"))},
    "xsrf": lambda: {
        "baseURL": URL,
        "withXSRFToken": True,
        "xsrfHeaderName": Liar("X"),
        "cookies": {"XSRF-TOKEN": "t"},
    },
    "proxy": lambda: {"proxy": Liar("http://u:p@p.test:3128")},
    "text": lambda: {"method": "POST", "data": Liar("text")},
    "form": lambda: {"method": "POST", "form": {Liar("a"): Liar("b")}},
    "form text": lambda: {"method": "POST", "form": Liar("a=b")},
    "json": lambda: {"method": "POST", "json": {Liar("a"): Liar("b")}},
    "part": lambda: {"method": "POST", "data": form_of(Liar("n"), Liar("v"))},
    "file": lambda: {"method": "POST", "data": form_of("n", b"v", Liar("f"), "a/b")},
    "part type": lambda: {"method": "POST", "data": form_of("n", b"v", "f", Liar("a/b"))},
}


def form_of(*part: Any) -> FormData:
    form = FormData()
    form.append(*part)
    return form


@pytest.mark.parametrize("position", LIARS)
def test_objects_are_sent_as_the_text_that_was_checked(position: str) -> None:
    """Or refused: nothing that a method of theirs says gets past the check of what they are (C1)."""
    bench = Bench("liar")
    refused = False
    try:
        bench.client.request({"method": "GET", "url": URL, **LIARS[position]()})
    except (AtomHTTPOptionError, AtomHTTPURLError):
        refused = True
    assert len(bench.tap.raw) == (0 if refused else 1)
    for raw in bench.tap.raw:
        read_by_h11(raw)
        if position not in ("text", "form text"):  # a body of its own may say what it likes
            assert b"\r\nX-Evil" not in raw


class Word(str, enum.Enum):  # noqa: UP042  # StrEnum has not the trap that this is about
    """What everybody wrote before StrEnum: format() and str() give its name, it is its value."""

    VALUE = "value"
    TYPE = "image/png"
    METHOD = "PURGE"


class Count(enum.IntEnum):
    SEVEN = 7


class Odd(int):
    def __str__(self) -> str:
        return "7\r\nX-Evil: 1"


class Bytes(bytes):
    def decode(self, *_: object, **__: object) -> str:
        return "v\r\nX-Evil: 1"


@pytest.mark.parametrize(
    ("value", "sent"), [(Count.SEVEN, b"7"), (http.HTTPStatus.OK, b"200"), (Word.VALUE, b"value"), (7.5, b"7.5")]
)
def test_numbers_and_words_as_values(value: Any, sent: bytes) -> None:
    bench = Bench("enum")
    bench.client.get(URL, headers={"X-Field": value})
    assert read_request(bench.tap.raw[0]).fields == ((b"X-Field", sent),)


@pytest.mark.parametrize("value", [Odd(7), Bytes(b"v"), True, None.__class__, object(), {}, {"v"}, bytearray(b"v")])
def test_what_is_no_value_is_refused(value: Any) -> None:
    bench = Bench("no value")
    with pytest.raises(AtomHTTPOptionError, match=r"^headers: ") as caught:
        bench.client.get(URL, headers={"X-Field": value})
    assert (caught.value.code, bench.tap.raw) == ("ERR_BAD_OPTION_VALUE", [])


WORDS: Mapping[str, tuple[Callable[[], dict[str, Any]], Callable[[bytes], object], object]] = {
    "method": (lambda: {"method": Word.METHOD}, lambda raw: read_request(raw).method, b"PURGE"),
    "field name": (lambda: {"headers": {Word.VALUE: "v"}}, lambda raw: read_request(raw).fields, ((b"value", b"v"),)),
    "params": (lambda: {"params": {Word.VALUE: Word.VALUE}}, lambda raw: read_request(raw).target, b"/a?value=value"),
    "cookie": (
        lambda: {"cookies": {"a": Word.VALUE}},
        lambda raw: read_request(raw).fields,
        ((b"Cookie", b"a=value"),),
    ),
    "cookie name": (
        lambda: {"cookies": {Word.VALUE: "b"}},
        lambda raw: read_request(raw).fields,
        ((b"Cookie", b"value=b"),),
    ),
    "basic": (
        lambda: {"auth": BasicAuth(Word.VALUE, Word.VALUE)},
        lambda raw: read_request(raw).fields,
        (basic("value", "value"),),
    ),
    "bearer": (
        lambda: {"auth": BearerAuth(Word.VALUE)},
        lambda raw: read_request(raw).fields,
        ((b"Authorization", b"Bearer value"),),
    ),
    "part type": (
        lambda: {"method": "POST", "data": form_of("n", b"v", "f", Word.TYPE)},
        lambda raw: b"\r\nContent-Type: image/png\r\n" in raw,
        True,
    ),
    "part": (
        lambda: {"method": "POST", "data": form_of(Word.VALUE, Word.VALUE, Word.VALUE)},
        lambda raw: b'name="value"; filename="value"\r\nContent-Type: application/octet-stream\r\n\r\nvalue\r\n' in raw,
        True,
    ),
    "form": (
        lambda: {"method": "POST", "form": {Word.VALUE: Word.VALUE}},
        lambda raw: read_request(raw).body,
        b"value=value",
    ),
    "base": (lambda: {"baseURL": Word.VALUE, "url": URL}, lambda raw: read_request(raw).target, b"/a"),
}


@pytest.mark.parametrize("position", WORDS)
def test_words_of_an_enum_are_their_values_everywhere(position: str) -> None:
    build, read, expected = WORDS[position]
    bench = Bench("word")
    bench.client.request({"method": "GET", "url": URL, **build()})
    (raw,) = bench.tap.raw
    read_by_h11(raw)
    assert read(raw) == expected


# Faults, each by itself


@pytest.mark.parametrize("char", ["\n", "\t", "\x1f"])
def test_no_part_of_a_secret_query_value_is_shown(char: str) -> None:
    """A line break at the end of a key that was read from a file, in front of another: all of it is the value."""
    bench = Bench("query")
    with pytest.raises(AtomHTTPURLError) as caught:
        bench.client.get(f"{URL}?token=one{char}two")
    assert "two" not in str(caught.value)


def test_userinfo_that_is_no_utf8_is_refused_or_sent_as_it_is() -> None:
    """Never as U+FFFD: that is another password."""
    bench = Bench("userinfo")
    try:
        bench.client.get("http://user:%FFpass@h.test:8080/a")
    except AtomHTTPURLError:
        assert bench.tap.raw == []
    else:
        (raw,) = bench.tap.raw
        assert "user:\ufffdpass" not in basic_text(raw)


def basic_text(raw: bytes) -> str:
    ((_, value),) = read_request(raw).fields
    return base64.b64decode(value.removeprefix(b"Basic ")).decode("utf-8", "surrogateescape")


def test_fields_are_refused_where_they_are_given() -> None:
    """Not first by the writer, a call or a thousand later (contract: Options)."""
    bench = Bench("given")
    cells = 0
    for target in (Headers(), bench.client.defaults.headers, bench.client.defaults.headers.post):
        for text in every_text("value", bench.chance):
            if not is_unicode(text):
                continue  # see the test below
            for name, value, is_good in (("X-Field", text, field_value(text) is not None), (text, "v", is_token(text))):
                cells += 1
                refused = False
                try:
                    target[name] = value
                except AtomHTTPOptionError:
                    refused = True
                if refused is is_good:
                    bench.complaints.append(f"{name!a}: {value!a}")
    report(bench.complaints, cells)


@pytest.mark.parametrize("carrier", ["headers", "defaults", "layer"])
def test_a_lone_surrogate_in_a_field_is_refused_where_it_was_given(carrier: str) -> None:
    """By its field's name; a client's default would otherwise break every later call (contract: Options)."""
    bench = Bench("surrogate")
    fields: Any = {
        "headers": {},
        "defaults": bench.client.defaults.headers,
        "layer": bench.client.defaults.headers.common,
    }[carrier]
    with pytest.raises(AtomHTTPOptionError, match="X-Field"):
        if carrier == "headers":
            bench.client.get(URL, headers={"X-Field": "a\ud800b"})
        else:
            fields["X-Field"] = "a\ud800b"


def test_a_connection_option_is_ascii() -> None:
    """KELVIN SIGN in lower case is a k."""
    bench = Bench("kelvin")
    with pytest.raises(AtomHTTPOptionError):
        bench.client.get(URL, headers={"Connection": "\u212aeep-alive"})
