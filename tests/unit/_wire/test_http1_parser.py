from __future__ import annotations

import pytest

from atomhttp._wire import events
from atomhttp._wire.events import EndOfMessage, ResponseHead, split_fields
from atomhttp._wire.http1_parser import parse_head, shown
from atomhttp.errors import AtomHTTPProtocolError


def head_of(*lines: str) -> ResponseHead:
    return parse_head("\r\n".join([*lines, "", ""]).encode("latin-1"))


@pytest.mark.parametrize(
    ("line", "status", "version", "reason"),
    [
        ("HTTP/1.1 200 OK", 200, "1.1", b"OK"),
        ("HTTP/1.0 404 Not Found", 404, "1.0", b"Not Found"),
        ("HTTP/1.1 100", 100, "1.1", b""),
        ("HTTP/1.1 599 ", 599, "1.1", b""),
        ("HTTP/1.1 200 \t spaced  out \t", 200, "1.1", b"spaced  out"),
        ("HTTP/1.1 200 \xe9", 200, "1.1", b"\xe9"),
    ],
)
def test_status_line(line: str, status: int, version: str, reason: bytes) -> None:
    head = head_of(line)
    assert (head.status, head.http_version, head.reason, head.interim) == (status, version, reason, status < 200)


def test_framing_fields_are_found_in_any_case_and_order() -> None:
    head = head_of("HTTP/1.1 200 OK", "X-Content-Length: 9", "CONTENT-length:\t7 \t", "Content-Length-X: 8")
    assert (head.content_length, head.transfer_encoding, head.content_encoding) == (7, None, b"")
    head = head_of("HTTP/1.1 200 OK", "transfer-ENCODING: a", "X: Transfer-Encoding: b", "Transfer-Encoding:chunked")
    assert (head.content_length, head.transfer_encoding) == (None, b"a,chunked")
    head = head_of("HTTP/1.1 200 OK", "content-ENCODING: gzip", "Content-Length: 0", "Content-Encoding:br")
    assert (head.content_length, head.content_encoding) == (0, b"gzip,br")


def test_framing_words_inside_other_lines_are_not_fields() -> None:
    head = head_of("HTTP/1.1 200 Content-Length: 5", "X: Content-Length: 6", "Y: Connection: close")
    assert (head.content_length, head.transfer_encoding, head.keep_alive) == (None, None, True)


@pytest.mark.parametrize(
    ("version", "fields", "kept"),
    [
        ("1.1", [], True),
        ("1.1", ["close"], False),
        ("1.1", ["Close"], False),
        ("1.1", ["upgrade, \tclose\t "], False),
        ("1.1", ["upgrade", "close"], False),
        ("1.1", ["keep-alive"], True),
        ("1.1", ["x-close", "close-x", "clo se"], True),
        ("1.1", [""], True),
        ("1.0", [], False),
        ("1.0", ["keep-alive"], True),
        ("1.0", ["x", "Keep-Alive"], True),
        ("1.0", ["keep-alive, close"], False),
        ("1.0", ["keep-alives"], False),
    ],
)
def test_whether_the_connection_persists(version: str, fields: list[str], kept: bool) -> None:
    head = head_of(f"HTTP/{version} 200 OK", *(f"Connection: {field}" for field in fields))
    assert head.keep_alive is kept


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("timeout=5", 5.0),
        ("timeout=5, max=100", 5.0),
        ("max=100,timeout=15", 15.0),
        ("max=100; TIMEOUT=15", 15.0),
        ('timeout="7"', 7.0),
        ("timeout=0", 0.0),
        ("max=100", None),
        ("xtimeout=5", None),
        ("timeout=x", None),
        ("timeout=-5", None),
        ("", None),
    ],
)
def test_how_long_the_server_keeps_it(value: str, seconds: float | None) -> None:
    assert head_of("HTTP/1.1 200 OK", f"Keep-Alive: {value}").keep_alive_timeout == seconds


def test_no_keep_alive_field_says_nothing() -> None:
    assert head_of("HTTP/1.1 200 OK").keep_alive_timeout is None


def test_fields_keep_order_case_and_inner_white_space() -> None:
    head = head_of("HTTP/1.1 200 OK", "B: \t1  2\t ", "a:", "B:3:4", "C: \xe9")
    assert head.fields == [(b"B", b"1  2"), (b"a", b""), (b"B", b"3:4"), (b"C", b"\xe9")]
    assert split_fields(b"HTTP/1.1 200 OK\r\n\r\n") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [(b"b", "1, 3:4"), (b"a", ""), (b"c", "\xe9"), (b"missing", ""), (b"200 ok", "")],
)
def test_one_field_is_found_without_taking_the_others_apart(name: bytes, value: str) -> None:
    assert head_of("HTTP/1.1 200 OK", "B: 1", "a:", "b:3:4", "C: \xe9", "XB: 9").find(name) == value


def test_reprs_tell_the_state_and_nothing_a_peer_wrote() -> None:
    assert repr(head_of("HTTP/1.1 200 OK", "Set-Cookie: canary")) == "<ResponseHead 200 HTTP/1.1, 39 bytes>"
    assert repr(EndOfMessage(((b"X", b"canary"),))) == "<EndOfMessage trailers=1>"


def test_a_parser_remembers_nothing_of_the_last_head() -> None:
    with pytest.raises(AtomHTTPProtocolError):
        head_of("HTTP/1.1 200 OK", "Content-Length: x")
    assert head_of("HTTP/1.0 200 OK", "Content-Length: 5", "Keep-Alive: timeout=5").content_length == 5
    head = head_of("HTTP/1.1 200 OK")
    assert (head.content_length, head.keep_alive, head.keep_alive_timeout) == (None, True, None)


def test_shown_escapes_and_cuts() -> None:
    assert shown(b"a\x00\x1b\xff") == r"'a\x00\x1b\xff'"
    assert shown(b"a\x00\x1b\xff\r\nsecond line") == r"'a\x00\x1b\xff…'"
    assert len(shown(b"a" * 10_000)) == 83


def test_shown_stops_before_what_may_be_a_value() -> None:
    assert shown(b"Set-Cookie: a=b") == "'Set-Cookie…'"
    assert shown(b'{"password": "x"}') == "'…'"


@pytest.mark.skipif(not str(events.__file__).endswith(".py"), reason="a compiled class cannot be patched")
def test_an_interrupt_while_fields_are_handed_over_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ResponseHead, "on_header", interrupt)
    with pytest.raises(KeyboardInterrupt):
        head_of("HTTP/1.1 200 OK", "Content-Length: 1")
