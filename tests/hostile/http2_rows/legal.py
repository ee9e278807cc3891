"""Odd, but legal: it must succeed, and the connection lives."""

from __future__ import annotations

import struct

import hpack

from hostile.http2_rows.row import OK, Answer, LastAnswer, Row, StreamRefused
from support.http2_peer import (
    ALTSVC,
    DATA,
    DEFAULT_FRAME,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    ORIGIN,
    PADDED,
    PING,
    SETTINGS,
    WITH_PRIORITY,
    Code,
    block,
    continuation,
    data,
    frame,
    goaway,
    headers,
    ping,
    priority,
    response,
    rst,
    settings,
    window_update,
)

KIB = 1024
RESERVED = 1 << 31
FIELDS = ((b"x-a", b"1"), (b"x-b", b"2"))
SAID = response(1, 200, FIELDS, b"hello")
HELLO = Answer(200, b"hello", (("x-a", "1"), ("x-b", "2")))
WHOLE_BLOCK = block(OK, *FIELDS)
END = data(1, b"hello", end=True)
OVERFLOW = StreamRefused(code="HPE_HEADER_OVERFLOW")


def interim(count: int, status: bytes = b"103") -> bytes:
    return headers(1, (b":status", status), (b"link", b"</a>")) * count


def of_size(size: int, *fields: tuple[bytes, bytes]) -> bytes:
    """A head whose list is counted as `size` bytes (name, value and 32 each), over as many frames as it takes."""
    fields = (OK, *[(b"x", b"v" * 16_000)] * (size // 16_032 - 1), *fields)
    rest = size - sum(len(name) + len(value) + 32 for name, value in fields) - 33
    return split(block(*fields, (b"x", b"v" * rest)), DEFAULT_FRAME) + END


def split(whole: bytes, size: int) -> bytes:
    """A header block in frames of that size."""
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    said = frame(HEADERS, END_HEADERS if len(pieces) == 1 else 0, 1, pieces[0])
    for piece in pieces[1:-1]:
        said += continuation(1, piece)
    return said + (continuation(1, pieces[-1], end_headers=True) if pieces[1:] else b"")


def by_hpack(*fields: tuple[bytes, bytes]) -> bytes:
    """With Huffman codes and the dynamic table, which the next head of the connection may not know of: see the rows."""
    return hpack.Encoder().encode(list(fields), huffman=True)


LEGAL: dict[str, bytes] = {
    "a plain response": SAID,
    "padded DATA": headers(1, OK, *FIELDS) + data(1, b"hello", padding=255, end=True),
    "DATA of padding alone": headers(1, OK, *FIELDS) + data(1, b"", padding=200) + END,
    "padded HEADERS": frame(HEADERS, PADDED | END_HEADERS, 1, b"\x09" + WHOLE_BLOCK + bytes(9)) + END,
    "HEADERS with a priority": frame(
        HEADERS, WITH_PRIORITY | END_HEADERS, 1, struct.pack(">IB", 0x80000003, 200) + WHOLE_BLOCK
    )
    + END,
    "padded HEADERS with a priority": frame(
        HEADERS, PADDED | WITH_PRIORITY | END_HEADERS, 1, b"\x03" + bytes(5) + WHOLE_BLOCK + bytes(3)
    )
    + END,
    "a head over nine frames": split(WHOLE_BLOCK, -(-len(WHOLE_BLOCK) // 9)) + END,
    "a head that begins with nothing": frame(HEADERS, 0, 1) + continuation(1, WHOLE_BLOCK, end_headers=True) + END,
    "a head that ends with nothing": frame(HEADERS, 0, 1, WHOLE_BLOCK) + continuation(1, b"", end_headers=True) + END,
    "Huffman codes": headers(1, raw=by_hpack(OK, *FIELDS)) + END,
    "the table made empty first": headers(1, raw=b"\x20" + block(OK, *FIELDS)) + END,
    "the table made empty and large again": headers(1, raw=b"\x20\x3f\xe1\x1f" + block(OK, *FIELDS)) + END,
    "a field that is never indexed": headers(1, raw=b"\x88\x10\x03x-a\x011" + block(FIELDS[1])) + END,
    "a field from the dynamic table": headers(1, raw=b"\x88\x40\x03x-b\x012" + block(FIELDS[0]) + b"\xbe") + END,
    "unknown frames": frame(0xBB, 0xFF, 0, b"x" * 99) + frame(0xBC, 0xFF, 1, b"x") + SAID + frame(0xBD, 0, 1),
    "an unknown frame on an idle stream": frame(0xBB, 0xFF, 99, b"x") + SAID,
    "unknown flags": frame(HEADERS, 0xC2 | END_HEADERS, 1, WHOLE_BLOCK) + frame(DATA, 0xF6 | END_STREAM, 1, b"hello"),
    "unknown flags of PING and SETTINGS": frame(PING, 0xFE, 0, bytes(8)) + frame(SETTINGS, 0xFE, 0) + SAID,
    "the reserved bit": frame(HEADERS, END_HEADERS, 1 | RESERVED, WHOLE_BLOCK) + frame(DATA, 1, 1 | RESERVED, b"hello"),
    "the reserved bit of an increment": window_update(0, RESERVED | 5) + window_update(1, RESERVED | 5) + SAID,
    "unknown settings": settings([(0xABCD, 1), (0, 0), (0xFFFF, 0xFFFFFFFF)]) + SAID,
    "32 settings": settings([(0x1000 + number, number) for number in range(32)]) + SAID,
    "a setting twice": settings([(MAX_FRAME_SIZE, 20_000), (MAX_FRAME_SIZE, 30_000)]) + SAID,
    "settings at their limits": settings(
        {
            HEADER_TABLE_SIZE: 0xFFFFFFFF,
            MAX_CONCURRENT_STREAMS: 0xFFFFFFFF,
            INITIAL_WINDOW_SIZE: 0x7FFFFFFF,
            MAX_FRAME_SIZE: 0xFFFFFF,
            MAX_HEADER_LIST_SIZE: 0xFFFFFFFF,
        }
    )
    + SAID,
    "settings at their other limits": settings({HEADER_TABLE_SIZE: 0, INITIAL_WINDOW_SIZE: 0, MAX_FRAME_SIZE: 16_384})
    + SAID,
    "no push by a server": settings({2: 0}) + SAID,
    "PING": ping() + SAID,
    "an answer to no PING": ping(ack=True) + SAID,
    "PRIORITY": priority(1, 3) + priority(99, 1) + priority(2) + SAID,
    "PRIORITY on stream 0, which nobody minds any more": priority(0, 1) + SAID,
    "ALTSVC": frame(ALTSVC, 0, 0, b"\x00\x08http://ah2=a") + frame(ALTSVC, 0, 1, b"\x00\x00h2=b") + SAID,
    "ORIGIN": frame(ORIGIN, 0, 0, b"\x00\x09https://a") + frame(ORIGIN, 0, 1, b"x") + SAID,
    "ORIGIN that is cut": frame(ORIGIN, 0, 0, b"\x00\x99https://a") + SAID,
    "an interim head": interim(1) + SAID,
    "100": interim(1, b"100") + SAID,
    "102": interim(1, b"102") + SAID,
    "199": interim(1, b"199") + SAID,
    "20 interim heads": interim(20) + SAID,
    "empty DATA": headers(1, OK, *FIELDS) + data(1) * 5 + END,
    "the end in empty DATA": headers(1, OK, *FIELDS) + data(1, b"hello") + data(1, end=True),
    "DATA byte by byte": headers(1, OK, *FIELDS)
    + b"".join(data(1, bytes([each])) for each in b"hello")
    + data(1, end=True),
    "WINDOW_UPDATE on both": window_update(0, 1) + window_update(1, 1) + SAID,
    "a window as large as it gets": window_update(0, 0x7FFFFFFF - 65_535)
    + window_update(1, 0x7FFFFFFF - 65_535)
    + SAID,
    "frames between": headers(1, OK, *FIELDS)
    + ping()
    + settings()
    + data(1, b"hel")
    + priority(1)
    + data(1, b"lo", end=True),
}

ROWS = [
    *(Row(name, said, HELLO, "4.1, 5.5, 6") for name, said in LEGAL.items()),
    Row(
        "trailers",
        headers(1, OK) + data(1, b"ok") + headers(1, (b"x", b"y"), end=True),
        Answer(200, b"ok", trailers=(("x", "y"),)),
        "8.1",
    ),
    Row(
        "trailers without DATA",
        headers(1, OK) + headers(1, (b"x", b"y"), end=True),
        Answer(trailers=(("x", "y"),)),
        "8.1",
    ),
    Row(
        "trailers over two frames",
        headers(1, OK) + frame(HEADERS, END_STREAM, 1, block((b"x", b"y"))) + continuation(1, b"", end_headers=True),
        Answer(trailers=(("x", "y"),)),
        "8.1",
    ),
    Row("empty values", response(1, 200, [(b"x", b"")]), Answer(fields=(("x", ""),)), "RFC 9110 5.5"),
    Row(
        "a value with blanks inside",
        response(1, 200, [(b"x", b"a \tb")]),
        Answer(fields=(("x", "a \tb"),)),
        "RFC 9110 5.5",
    ),
    Row("a value in Latin-1", response(1, 200, [(b"x", b"\xe4")]), Answer(fields=(("x", "ä"),)), "as in HTTP/1.1"),
    Row("a value in UTF-8", response(1, 200, [(b"x", "ä".encode())]), Answer(fields=(("x", "ä"),)), "as in HTTP/1.1"),
    Row(
        "a field twice",
        response(1, 200, [(b"set-cookie", b"a=b"), (b"set-cookie", b"c=d")]),
        Answer(fields=(("set-cookie", "a=b"), ("set-cookie", "c=d"))),
        "8.2.3",
    ),
    Row(
        "every letter of a name",
        response(1, 200, [(b"!#$%&'*+-.^_`|~09az", b"v")]),
        Answer(fields=(("!#$%&'*+-.^_`|~09az", "v"),)),
        "RFC 9110 5.6.2",
    ),
    *(Row(f"status {status}", response(1, status), Answer(status), "RFC 9110 15") for status in (201, 299, 404, 599)),
    Row("200 fields", response(1, 200, [(b"x", b"y")] * 199), Answer(), "as in HTTP/1.1"),
    Row("201 fields", response(1, 200, [(b"x", b"y")] * 201), OVERFLOW, "as in HTTP/1.1"),
    Row("a head just within the limit", of_size(64 * KIB), Answer(200, b"hello"), "6.5.2"),
    Row("a head just beyond the limit", of_size(64 * KIB + 1), OVERFLOW, "6.5.2"),
    Row("a head of the limit and a half", of_size(96 * KIB), OVERFLOW, "6.5.2"),
    Row(
        "trailers beyond the limit",
        headers(1, OK) + data(1, b"ok") + headers(1, *[(b"x", b"y")] * 201, end=True),
        OVERFLOW,
        "6.5.2",
    ),
    # The end of the connection, announced
    Row("GOAWAY behind", SAID + goaway(3), LastAnswer(200, b"hello"), "6.8"),
    Row("GOAWAY before", goaway(0x7FFFFFFF) + SAID, LastAnswer(200, b"hello"), "6.8"),
    Row("GOAWAY with words", goaway(3, Code.NO_ERROR, b"\r\n\0bye" * 99) + SAID, LastAnswer(200, b"hello"), "6.8"),
    Row("GOAWAY in the middle", headers(1, OK) + goaway(3) + END, LastAnswer(200, b"hello"), "6.8"),
    Row(
        "GOAWAY with an error, and the response",
        goaway(3, Code.ENHANCE_YOUR_CALM) + SAID,
        LastAnswer(200, b"hello"),
        "6.8",
    ),
    Row(
        "GOAWAY with unknown flags",
        frame(GOAWAY, 0xFF, 0, struct.pack(">II", 3, 0)) + SAID,
        LastAnswer(200, b"hello"),
        "6.8",
    ),
    Row("an unknown error behind", SAID + rst(1, 0xABCDEF), Answer(200, b"hello"), "7"),
]
