from __future__ import annotations

import re
import time
from itertools import pairwise

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atomhttp._wire.chunked import FREE_LINE, MAX_METADATA, MAX_TRAILERS, ChunkedDecoder
from atomhttp._wire.http1_parser import MAX_FIELDS
from atomhttp.errors import AtomHTTPProtocolError

HELLO = b"5\r\nhello\r\n0\r\n\r\n"


def decode(*pieces: bytes) -> tuple[bytes, ChunkedDecoder]:
    decoder = ChunkedDecoder()
    content = b"".join(piece for data in pieces for piece in decoder.feed(data))
    return content, decoder


def bytewise(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def outcome(*pieces: bytes) -> tuple[object, ...]:
    """What a body comes to, however it arrives."""
    try:
        content, decoder = decode(*pieces)
    except AtomHTTPProtocolError as error:
        return (error.code,)
    return content, decoder.done, decoder.trailers, decoder.surplus


class Sink:
    """What llhttp, the judge, reports."""

    def __init__(self) -> None:
        self.body = b""
        self.done = False

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.done = True


def llhttp(coded: bytes) -> tuple[bytes, bool] | None:
    """(content, whether it ended) as llhttp reads it; None when it refuses."""
    sink = Sink()
    parser = httptools.HttpResponseParser(sink)
    parser.feed_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    try:
        parser.feed_data(coded)
    except httptools.HttpParserError:
        # What follows a complete message is the next one for it, and not our subject.
        return (sink.body, True) if sink.done else None
    return sink.body, sink.done


# Content


@pytest.mark.parametrize(
    ("coded", "content"),
    [
        (b"0\r\n\r\n", b""),
        (HELLO, b"hello"),
        (b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
        (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"0000000000000005\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n0000\r\n\r\n", b"hello"),
        (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
        (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
        (b"5;name\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5;name=value\r\nhello\r\n0;last\r\n\r\n", b"hello"),
        (b'5;a=b;c="d;\\"e"\r\nhello\r\n0\r\n\r\n', b"hello"),
        (b'5;a="\xc3\xa9\t"\r\nhello\r\n0\r\n\r\n', b"hello"),
    ],
)
@pytest.mark.parametrize("cut", ["whole", "bytewise"])
def test_content_is_what_the_chunks_hold(coded: bytes, content: bytes, cut: str) -> None:
    found, decoder = decode(*([coded] if cut == "whole" else bytewise(coded)))
    assert (found, decoder.done, decoder.surplus, decoder.trailers) == (content, True, 0, [])


def test_content_is_passed_on_as_it_arrives() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"ffffffffffffffff\r\nab") == [b"ab"]
    assert decoder.feed(b"c") == [b"c"]
    assert not decoder.done


@pytest.mark.parametrize("length", range(len(HELLO)))
def test_a_body_that_ends_early_is_never_done(length: int) -> None:
    content, decoder = decode(HELLO[:length])
    assert not decoder.done
    assert b"hello".startswith(content)


REFUSED = {
    "bare LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "bare LF after the data": b"5\r\nhello\n0\r\n\r\n",
    "bare LF after the last size": b"5\r\nhello\r\n0\n\r\n",
    "bare LF at the end": b"5\r\nhello\r\n0\r\n\n",
    "bare CR after the size": b"5\rhello\r\n0\r\n\r\n",
    "bare CR after the data": b"5\r\nhello\rX0\r\n\r\n",
    "CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "no line end after the data": b"5\r\nhello0\r\n\r\n",
    "chunk shorter than its size": b"6\r\nhello\r\n0\r\n\r\n",
    "chunk longer than its size": b"4\r\nhello\r\n0\r\n\r\n",
    "empty size": b"\r\nhello\r\n0\r\n\r\n",
    "17 hex digits": b"00000000000000005\r\nhello\r\n0\r\n\r\n",
    "size of 2**64": b"10000000000000000\r\nhello",
    "0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "no hex digit": b"g\r\nhello\r\n0\r\n\r\n",
    "blank before the size": b" 5\r\nhello\r\n0\r\n\r\n",
    "blank inside the size": b"0 5\r\nhello\r\n0\r\n\r\n",
    "extension without a name": b"5;\r\nhello\r\n0\r\n\r\n",
    "NUL in an extension": b"5;a=\x00\r\nhello\r\n0\r\n\r\n",
    "open quote in an extension": b'5;a="b\r\nhello\r\n0\r\n\r\n',
    "trailer without colon": b"0\r\nX\r\n\r\n",
    "trailer without name": b"0\r\n: a\r\n\r\n",
    "blank before a trailer's colon": b"0\r\nX : a\r\n\r\n",
    "folded trailer": b"0\r\nX: a\r\n b\r\n\r\n",
    "NUL in a trailer": b"0\r\nX: \x00\r\n\r\n",
    "CR in a trailer": b"0\r\nX: a\rb\r\n\r\n",
    "bare LF after a trailer": b"0\r\nX: a\n\r\n",
}


@pytest.mark.parametrize("coded", REFUSED.values(), ids=REFUSED)
def test_broken_coding_is_refused(coded: bytes) -> None:
    assert outcome(coded) == ("ERR_BAD_RESPONSE",)
    assert outcome(*bytewise(coded)) == ("ERR_BAD_RESPONSE",)
    assert llhttp(coded) is None or coded.startswith(b"0000")


# Surplus


@pytest.mark.parametrize("surplus", [b"\r", b"\r\n", b"H", b"HTTP/1.1 200 OK\r\n\r\n", HELLO])
def test_bytes_after_the_last_chunk_are_counted(surplus: bytes) -> None:
    assert outcome(HELLO + surplus) == (b"hello", True, [], len(surplus))
    assert outcome(HELLO, surplus) == (b"hello", True, [], len(surplus))
    assert outcome(*bytewise(HELLO + surplus)) == (b"hello", True, [], len(surplus))


# Trailers


def test_trailers_are_kept_in_order_with_white_space_removed() -> None:
    coded = b"0\r\nX-Sum: \t abc \t\r\nx-sum:def\r\nEmpty:\r\nLatin: \xe9\r\n\r\n"
    assert decode(coded)[1].trailers == [(b"X-Sum", b"abc"), (b"x-sum", b"def"), (b"Empty", b""), (b"Latin", b"\xe9")]


@pytest.mark.parametrize(
    "name",
    [
        *("Transfer-Encoding", "Content-Length", "Host", "Connection", "Keep-Alive", "TE", "Upgrade", "Trailer"),
        *("Content-Encoding", "Content-Type", "Content-Range", "Cache-Control", "Location", "Cookie", "Set-Cookie"),
        *("Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate"),
    ],
)
def test_trailers_that_frame_authorise_or_route_are_dropped(name: str) -> None:
    coded = f"0\r\n{name}: 1\r\n{name.upper()}: 1\r\nX-Kept: 1\r\n\r\n".encode()
    assert decode(coded)[1].trailers == [(b"X-Kept", b"1")]


# Budgets


def _trailer_section(size: int) -> bytes:
    """Trailers of `size` bytes, the empty line included."""
    return b"X: " + b"a" * (size - 7) + b"\r\n\r\n"


def test_trailers_of_exactly_the_limit_pass_and_one_byte_more_does_not() -> None:
    content, decoder = decode(b"0\r\n" + _trailer_section(MAX_TRAILERS))
    assert (content, decoder.done) == (b"", True)
    assert outcome(b"0\r\n" + _trailer_section(MAX_TRAILERS + 1)) == ("HPE_HEADER_OVERFLOW",)


def test_trailers_that_never_end_are_cut_off_while_they_arrive() -> None:
    decoder = ChunkedDecoder()
    decoder.feed(b"0\r\nX: ")
    decoder.feed(b"a" * (MAX_TRAILERS - 3))
    with pytest.raises(AtomHTTPProtocolError) as caught:
        decoder.feed(b"a")
    assert caught.value.code == "HPE_HEADER_OVERFLOW"


def test_dropped_trailers_count_as_well() -> None:
    one = b"Cookie: " + b"a" * 1000 + b"\r\n"
    assert outcome(b"0\r\n" + one * 17 + b"\r\n") == ("HPE_HEADER_OVERFLOW",)


def test_number_of_trailers_is_limited() -> None:
    assert len(decode(b"0\r\n" + b"X: 1\r\n" * MAX_FIELDS + b"\r\n")[1].trailers) == MAX_FIELDS
    assert len(outcome(b"0\r\n" + b"X: 1\r\n" * (MAX_FIELDS + 1) + b"\r\n")) == 1


def _extended_chunk(metadata: int) -> bytes:
    """A chunk whose line goes `metadata` bytes beyond what is free."""
    return b"1;" + b"e" * (FREE_LINE + metadata - 4) + b"\r\nx\r\n"


def test_chunk_metadata_of_exactly_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert outcome(_extended_chunk(MAX_METADATA) + b"0\r\n\r\n") == (b"x", True, [], 0)
    assert outcome(_extended_chunk(MAX_METADATA + 1)) == ("HPE_HEADER_OVERFLOW",)
    assert outcome(*bytewise(_extended_chunk(MAX_METADATA + 1))) == ("HPE_HEADER_OVERFLOW",)


def test_chunk_metadata_is_added_up_over_the_chunks() -> None:
    quarter = _extended_chunk(MAX_METADATA // 4)
    assert outcome(quarter * 4 + b"0\r\n\r\n") == (b"xxxx", True, [], 0)
    assert outcome(quarter * 4 + _extended_chunk(1)) == ("HPE_HEADER_OVERFLOW",)


def test_a_line_that_an_honest_peer_sends_is_free() -> None:
    chunk = b"00000000000001\r\nx\r\n"
    assert outcome(chunk * 5000 + b"0\r\n\r\n") == (b"x" * 5000, True, [], 0)


def test_a_long_line_that_fails_at_its_end_costs_no_more_than_reading_it() -> None:
    # A pattern that tries every place where blanks could end would take seconds (16 KiB squared).
    began = time.process_time()
    for line in (b"X:" + b" " * 16000 + b"\x00", b"X" * 16000, b"X:" + b"\t " * 8000 + b"\x7f"):
        assert outcome(b"0\r\n" + line + b"\r\n\r\n") == ("ERR_BAD_RESPONSE",)
    assert time.process_time() - began < 0.5


# Properties

CHUNK_PARTS = st.one_of(
    st.sampled_from(
        [
            b"0",
            b"5",
            b"a",
            b"F",
            b"00",
            b"\r\n",
            b"\r",
            b"\n",
            b";",
            b"=",
            b'"',
            b"\\",
            b" ",
            b"\t",
            b":",
            b"x",
            b"X: y",
        ]
    ),
    st.sampled_from([b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\n", b"Content-Type: a\r\n", b"3;n=v\r\nabc\r\n"]),
    st.binary(max_size=3),
)
CODED = st.lists(CHUNK_PARTS, max_size=14).map(b"".join)


@st.composite
def legal_bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """(coded, content)."""
    coded, content = b"", b""
    for piece in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=5)):
        extension = draw(st.sampled_from([b"", b";a", b";a=b", b';a="\\"; \t\xff"', b";a=b;c"]))
        size = b"%x" % len(piece)
        coded += draw(st.sampled_from([size, size.upper(), b"00" + size])) + extension + b"\r\n" + piece + b"\r\n"
        content += piece
    trailers = draw(st.lists(st.sampled_from([b"X: 1\r\n", b"Y:\r\n", b"Z: \xe9 \r\n"]), max_size=3))
    return coded + b"0\r\n" + b"".join(trailers) + b"\r\n", content


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start != end]


@given(legal_bodies(), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_split_of_a_legal_body_gives_its_content(body: tuple[bytes, bytes], places: list[int]) -> None:
    coded, content = body
    found, decoder = decode(*cut(coded, places))
    assert (found, decoder.done, decoder.surplus) == (content, True, 0)
    assert llhttp(coded) == (content, True)


@given(CODED, st.lists(st.integers(0, 10_000), max_size=8))
def test_any_split_of_any_bytes_gives_the_same(coded: bytes, places: list[int]) -> None:
    expected = outcome(coded)
    assert outcome(*cut(coded, places)) == expected
    assert outcome(*bytewise(coded)) == expected


@given(CODED)
@example(b"5;a\r\nhello\r\n0\r\n\r\n")
@example(b"5 ;a\r\nhello\r\n0\r\n\r\n")
@example(b"0\r\nX: \xff\r\n\r\n")
def test_whatever_is_accepted_llhttp_accepts_with_the_same_content(coded: bytes) -> None:
    found = outcome(coded)
    if len(found) > 1 and found[1]:
        assert llhttp(without_blanks(coded)) == (found[0], True)


def without_blanks(coded: bytes) -> bytes:
    """Valid `coded` without the white space that RFC 9112 section 7.1.1 and padding servers put into chunk lines."""
    kept, position, size = b"", 0, 1
    while size:
        end = coded.index(b"\r\n", position)
        line = re.sub(rb'("(?:[^"\\]|\\.)*")|[ \t]+', lambda found: found[1] or b"", coded[position:end])
        size = int(line.partition(b";")[0], 16)
        position = end + 2 + size + 2 if size else end
        kept += line + coded[end:position]
    return kept + coded[position:]


BLANKS = [b"5 \r\n", b"5\t \r\n", b"5 ;a\r\n", b"5; a\r\n", b"5;a =b\r\n", b'5;a= "b c" ; d\r\n']


@pytest.mark.parametrize("line", BLANKS)
def test_blanks_in_a_chunk_line_say_nothing(line: bytes) -> None:
    """Behind the size real servers pad; elsewhere recipients must take them (RFC 9110 section 5.6.3)."""
    coded = line + b"hello\r\n0\r\n\r\n"
    assert outcome(coded) == outcome(*bytewise(coded)) == (b"hello", True, [], 0)


def test_many_blanks_cost_no_more_than_reading_them() -> None:
    for line in (b"5" + b" " * 16_000 + b"x", b"5" + b" ;a" * 5_000 + b"\x00", b"5;a" + b"\t" * 16_000 + b"\x00"):
        began = time.process_time()
        assert outcome(line + b"\r\n") == ("ERR_BAD_RESPONSE",)
        assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    "coded",
    [
        # Digits beyond what a size can need: padding is how smugglers hide.
        b"00000000000000005\r\nhello\r\n0\r\n\r\n",
        # Extensions that are not RFC 9112's grammar: no name, no value.
        b"5;=\r\nhello\r\n0\r\n\r\n",
        b"5;a=\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_what_is_refused_although_llhttp_accepts_it(coded: bytes) -> None:
    assert llhttp(coded) == (b"hello", True)
    assert outcome(coded) == ("ERR_BAD_RESPONSE",)


def test_a_trailer_that_llhttp_takes_for_framing_is_dropped_here() -> None:
    assert llhttp(b"0\r\nContent-Length: 5\r\n\r\n") is None
    assert outcome(b"0\r\nContent-Length: 5\r\n\r\n") == (b"", True, [], 0)
