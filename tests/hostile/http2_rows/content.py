"""Content that is not what its head says (RFC 9113 section 8.1.1)."""

from __future__ import annotations

from hostile.http2_rows.row import OK, Answer, CutShort, Row, StreamRefused
from support.http2_peer import data, headers, ping, response

MALFORMED = StreamRefused()


def sized(*lengths: bytes, body: bytes = b"hello") -> bytes:
    return response(1, 200, [(b"content-length", length) for length in lengths], body)


def ended(status: bytes, *fields: tuple[bytes, bytes]) -> bytes:
    return headers(1, (b":status", status), *fields, end=True)


def with_data(status: bytes, content: bytes, *fields: tuple[bytes, bytes]) -> bytes:
    return headers(1, (b":status", status), *fields) + data(1, content, end=True)


NO_LENGTHS = {
    "a sign": b"+5",
    "negative": b"-5",
    "hexadecimal": b"0x5",
    "an underscore": b"0_5",
    "a point": b"5.0",
    "a list of one": b"5,",
    "a list": b"5, 5",
    "a space inside": b"0 5",
    "letters": b"five",
    "empty": b"",
    "other digits": "５".encode(),
    "2 to the 64": b"18446744073709551616",
    "500 digits": b"5" * 500,
}

ROWS = [
    *(Row(f"a content-length: {name}", sized(value), MALFORMED, "RFC 9110 8.6") for name, value in NO_LENGTHS.items()),
    Row("a content-length that fits", sized(b"5"), Answer(200, b"hello"), "8.1.1"),
    Row("less than its content-length", sized(b"6"), MALFORMED, "8.1.1"),
    Row("nothing of its content-length", ended(b"200", (b"content-length", b"5")), MALFORMED, "8.1.1"),
    Row("more than its content-length", sized(b"4"), MALFORMED, "8.1.1"),
    Row("much more than its content-length", sized(b"1", body=bytes(16_000)), MALFORMED, "8.1.1"),
    Row("content for a content-length of 0", sized(b"0"), MALFORMED, "8.1.1"),
    Row(
        "more than its content-length, later",
        headers(1, OK, (b"content-length", b"2")) + data(1, b"ok") + data(1, b"x") + data(1, b"", end=True),
        MALFORMED,
        "8.1.1",
    ),
    Row(
        "less than its content-length, then trailers",
        headers(1, OK, (b"content-length", b"3")) + data(1, b"ok") + headers(1, (b"x", b"y"), end=True),
        MALFORMED,
        "8.1.1",
    ),
    Row("two content-lengths", sized(b"5", b"6"), MALFORMED, "8.1.1"),
    Row("two content-lengths, the first fits not", sized(b"6", b"5"), MALFORMED, "8.1.1"),
    Row("content-length twice", sized(b"5", b"5"), MALFORMED, "as in HTTP/1.1"),
    Row(
        "padding is no content",
        headers(1, OK, (b"content-length", b"5")) + data(1, b"", padding=5, end=True),
        MALFORMED,
        "6.1",
    ),
    # No content by method or status
    Row(
        "HEAD with a content-length",
        ended(b"200", (b"content-length", b"5")),
        Answer(fields=(("content-length", "5"),)),
        "8.1.1",
        "HEAD",
    ),
    Row("HEAD and an empty end", with_data(b"200", b"", (b"content-length", b"5")), Answer(), "8.1.1", "HEAD"),
    Row("HEAD with content", with_data(b"200", b"hello", (b"content-length", b"5")), MALFORMED, "8.1.1", "HEAD"),
    Row("HEAD with content and no length", with_data(b"200", b"hello"), MALFORMED, "8.1.1", "HEAD"),
    Row("204", ended(b"204"), Answer(204), "RFC 9110 15.3.5"),
    Row("204 and an empty end", with_data(b"204", b""), Answer(204), "8.1.1"),
    Row("204 with content", with_data(b"204", b"hello"), MALFORMED, "8.1.1"),
    Row("204 with content of a length", with_data(b"204", b"hello", (b"content-length", b"5")), MALFORMED, "8.1.1"),
    Row("304 with a content-length", ended(b"304", (b"content-length", b"5")), Answer(304), "8.1.1"),
    Row("304 with content", with_data(b"304", b"hello"), MALFORMED, "8.1.1"),
    Row("304 with content of a length", with_data(b"304", b"hello", (b"content-length", b"5")), MALFORMED, "8.1.1"),
    Row("200 without DATA", ended(b"200"), Answer(), "8.1"),
    # Unfinished
    Row("nothing at all", b"", CutShort(), "8.1"),
    Row("a head without the end", headers(1, OK), CutShort(begun=True), "8.1"),
    Row("204 without the end", headers(1, (b":status", b"204")), CutShort(begun=True), "8.1"),
    Row(
        "all of its content without the end",
        headers(1, OK, (b"content-length", b"5")) + data(1, b"hello"),
        CutShort(begun=True),
        "8.1",
    ),
    Row(
        "a part of its content",
        headers(1, OK, (b"content-length", b"6")) + data(1, b"hello"),
        CutShort(begun=True),
        "8.1",
    ),
    Row("an interim head alone", headers(1, (b":status", b"103")), CutShort(), "8.1"),
    Row(
        "half of a head of a frame",
        headers(1, OK) + data(1, b"x")[:4],
        CutShort(between_frames=False, begun=True),
        "4.1",
    ),
    Row("half of HEADERS", headers(1, OK)[:11], CutShort(between_frames=False), "4.1"),
    Row(
        "half of DATA",
        headers(1, OK) + data(1, b"hello", end=True)[:-2],
        CutShort(between_frames=False, begun=True),
        "4.1",
    ),
    Row("a header block without its end", headers(1, OK, flags=0), CutShort(between_frames=False), "6.2"),
    Row("half of PING", headers(1, OK) + ping()[:-3], CutShort(between_frames=False, begun=True), "4.1"),
]
