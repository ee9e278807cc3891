"""Heads for HTTP/2: what is validated is what HTTP/1.1's writer validates (test_http1_writer)."""

from __future__ import annotations

from typing import Any

import pytest

from atomhttp._wire.http2_writer import encode_field_list, encode_pseudo_fields
from atomhttp.errors import AtomHTTPOptionError


class Odd(str):
    """A str that lies about itself."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        return b"evil\r\n"

    def lower(self) -> str:
        return "evil\r\n"

    def __str__(self) -> str:
        return "evil\r\n"


def test_pseudo_fields_stand_for_request_line_and_host() -> None:
    assert encode_pseudo_fields("GET", "https", "a.test:8443", "/x?y=1") == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"a.test:8443"),
        (b":path", b"/x?y=1"),
    ]


def test_names_are_in_lower_case_and_values_are_trimmed() -> None:
    fields = [("User-Agent", "atom"), ("X-Blanks", "\t one two "), ("X-Ünicode".replace("Ü", "U"), "grüße")]
    assert encode_field_list(fields) == [
        (b"user-agent", b"atom"),
        (b"x-blanks", b"one two"),
        (b"x-unicode", "grüße".encode()),
    ]


def test_what_is_about_a_connection_of_http1_is_left_out() -> None:
    names = ("Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "HTTP2-Settings", "Host")
    assert encode_field_list([(name, "x") for name in names] + [("Accept", "y")]) == [(b"accept", b"y")]


@pytest.mark.parametrize("name", ["", "a b", "a:b", ":path", "a\r\nb", "a\0", "ä"])
def test_names(name: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match="not a field name"):
        encode_field_list([(name, "x")])


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\n", "\r", "a\0b", "\x7f"])
def test_values(value: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match="control character in the value of 'x'"):
        encode_field_list([("x", value)])
    with pytest.raises(AtomHTTPOptionError, match="control character"):
        encode_pseudo_fields("GET", "https", value, "/")


@pytest.mark.parametrize(("method", "target"), [("GE T", "/"), ("GET\r\n", "/"), ("GET", "/ x"), ("GET", "/\r\n")])
def test_methods_and_targets(method: str, target: str) -> None:
    with pytest.raises(AtomHTTPOptionError):
        encode_pseudo_fields(method, "https", "a.test", target)


def test_a_lone_surrogate_is_no_text() -> None:
    with pytest.raises(AtomHTTPOptionError, match="not Unicode text"):
        encode_field_list([("x", "\ud800")])


def test_what_has_been_validated_is_what_is_sent() -> None:
    assert encode_field_list([(Odd("Name"), Odd("value"))]) == [(b"name", b"value")]
    assert encode_pseudo_fields(Odd("GET"), "https", Odd("a.test"), Odd("/")) == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"a.test"),
        (b":path", b"/"),
    ]
