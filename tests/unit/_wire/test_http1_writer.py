from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._wire.http1_writer import LAST_CHUNK, encode_chunk, encode_fields, encode_method, encode_request_line
from atomhttp.errors import AtomHTTPOptionError

# Everything that has ever been used to smuggle is below; what is above ASCII goes out as UTF-8.
CODE_POINTS = range(0x180)
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def head(method: str, target: str, name: str, value: str) -> bytes | None:
    """A whole head; None when the writer refuses."""
    try:
        return encode_request_line(method, target) + encode_fields([("Host", "h"), (name, value)]) + b"\r\n"
    except AtomHTTPOptionError:
        return None


def only_one_request(data: bytes) -> h11.Request:
    """What a server reads; fails unless it is exactly one request without content."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(data)
    request = server.next_event()
    assert isinstance(request, h11.Request), request
    assert isinstance(server.next_event(), h11.EndOfMessage)
    assert server.trailing_data[0] == b""
    return request


@pytest.mark.parametrize("place", ["first", "middle", "last", "alone"])
def test_methods(place: str) -> None:
    for code in CODE_POINTS:
        method = _at(place, "GET", chr(code))
        data = head(method, "/", "X", "1")
        assert (data is not None) == (chr(code) in TOKEN), code
        if data is not None:
            assert only_one_request(data).method == method.encode()


@pytest.mark.parametrize("place", ["first", "middle", "last", "alone"])
def test_targets(place: str) -> None:
    for code in CODE_POINTS:
        target = _at(place, "/path", chr(code))
        data = head("GET", target, "X", "1")
        assert (data is not None) == (0x21 <= code <= 0x7E), code
        if data is not None:
            assert only_one_request(data).target == target.encode()


@pytest.mark.parametrize("place", ["first", "middle", "last", "alone"])
def test_field_names(place: str) -> None:
    for code in CODE_POINTS:
        name = _at(place, "X-Name", chr(code))
        data = head("GET", "/", name, "1")
        assert (data is not None) == (chr(code) in TOKEN), code
        if data is not None:
            assert only_one_request(data).headers.raw_items()[1] == (name.encode(), b"1")


@pytest.mark.parametrize("place", ["first", "middle", "last", "alone"])
def test_field_values(place: str) -> None:
    for code in CODE_POINTS:
        value = _at(place, "value", chr(code))
        data = head("GET", "/", "X", value)
        assert (data is not None) == (code == 9 or (code >= 32 and code != 127)), code
        if data is not None:
            assert only_one_request(data).headers.raw_items()[1] == (b"X", value.encode().strip(b" \t"))


def _at(place: str, text: str, char: str) -> str:
    middle = len(text) // 2
    return {
        "first": char + text,
        "middle": text[:middle] + char + text[middle:],
        "last": text + char,
        "alone": char,
    }[place]


@pytest.mark.parametrize("text", ["", "a\r\nX: 1", "a\nX: 1", "a b", "a\u2028b", "\ud800", "\uff21"])
def test_what_is_no_token_or_target_is_refused(text: str) -> None:
    with pytest.raises(AtomHTTPOptionError):
        encode_request_line(text, "/")
    with pytest.raises(AtomHTTPOptionError):
        encode_request_line("GET", text)
    with pytest.raises(AtomHTTPOptionError):
        encode_fields([(text, "1")])


@pytest.mark.parametrize("method", [None, b"GET", 1])
def test_a_method_that_is_no_str_is_refused(method: object) -> None:
    with pytest.raises(AtomHTTPOptionError):
        encode_method(method)  # type: ignore[arg-type]


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(AtomHTTPOptionError):
        encode_fields([("X", "\ud800")])


def test_values_beyond_ascii_are_sent_as_utf8_and_empty_ones_as_they_are() -> None:
    assert encode_fields([("A", "é€😀"), ("B", "")]) == "A: é€😀\r\nB: \r\n".encode()
    assert encode_fields([]) == b""


class Liar(str):
    """A str that says something else than it is."""

    __slots__ = ()

    def __str__(self) -> str:
        return "x\r\nInjected: 1"

    def __format__(self, spec: str) -> str:
        return "x\r\nInjected: 1"

    def __add__(self, other: str) -> str:
        return "x\r\nInjected: 1"

    __radd__ = __repr__ = encode = upper = lower = __add__  # type: ignore[assignment]


def test_a_subclass_of_str_is_sent_as_the_text_that_was_validated() -> None:
    assert head(Liar("GET"), Liar("/"), Liar("X"), Liar("1")) == b"GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n"


def test_a_refused_value_does_not_stand_in_the_message() -> None:
    with pytest.raises(AtomHTTPOptionError, match="Authorization") as caught:
        encode_fields([("Authorization", "Bearer canary\n")])
    assert "canary" not in str(caught.value)


@given(st.text(), st.text(), st.text(), st.text())
def test_any_text_is_refused_or_gives_one_request(method: str, target: str, name: str, value: str) -> None:
    data = head(method, target, name, value)
    if data is not None:
        only_one_request(data)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
def test_chunks_are_read_as_what_was_written(pieces: list[bytes]) -> None:
    server = h11.Connection(h11.SERVER)
    server.receive_data(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    server.receive_data(b"".join(encode_chunk(memoryview(piece)) for piece in pieces) + LAST_CHUNK)
    assert isinstance(server.next_event(), h11.Request)
    content = b""
    while isinstance(event := server.next_event(), h11.Data):
        content += bytes(event.data)
    assert (content, type(event), server.trailing_data[0]) == (b"".join(pieces), h11.EndOfMessage, b"")
