"""Header lists that are larger than anybody needs, however they are coded: the stream's end, or the connection's."""

from __future__ import annotations

from hostile.http2_rows.legal import interim, of_size, split
from hostile.http2_rows.row import OK, ConnectionRefused, Row, StreamRefused
from support.http2_peer import CONTINUATION, DEFAULT_FRAME, Code, Field, block, data, frame, headers

KIB = 1024
OVERFLOW = StreamRefused(code="HPE_HEADER_OVERFLOW")
# It does not matter how we say that this is too much.
TOO_MUCH = ConnectionRefused(
    code="HPE_HEADER_OVERFLOW",
    goaway=(Code.ENHANCE_YOUR_CALM, Code.PROTOCOL_ERROR, Code.COMPRESSION_ERROR, Code.INTERNAL_ERROR),
)
BROKEN_BLOCK = ConnectionRefused(goaway=(Code.COMPRESSION_ERROR,))
FRAGMENTED = ConnectionRefused("CONTINUATION", goaway=())
END = data(1, b"ok", end=True)


def bomb(times: int) -> bytes:
    """A field of 4,000 bytes goes into the dynamic table, and each further byte of the block is that field again."""
    size = 4_000 - 127
    entry = b"\x40\x01x\x7f" + bytes([size % 128 | 128, size // 128]) + b"v" * 4_000
    return split(block(OK) + entry + b"\xbe" * times, DEFAULT_FRAME) + END


def large(size: int, *pseudo: Field) -> tuple[Field, ...]:
    """A list of fields that is counted as more than `size` bytes, none of which is large by itself."""
    return (*pseudo, *[(b"x", b"v" * 8_000)] * (size // 8_000 + 1))


def said(*fields: Field) -> bytes:
    return split(block(*fields), DEFAULT_FRAME)


ROWS = [
    Row("a head of twice the limit", of_size(128 * KIB + 1_000), TOO_MUCH, "6.5.2"),
    Row("a head of ten times the limit", said(*large(640 * KIB, OK)) + END, TOO_MUCH, "6.5.2"),
    Row("10,000 fields", said(OK, *[(b"x", b"y")] * 10_000) + END, TOO_MUCH, "10.5.1"),
    Row(
        "100,000 fields of the static table",
        split(block(OK) + b"\x90" * 100_000, DEFAULT_FRAME) + END,
        TOO_MUCH,
        "10.5.1",
    ),
    Row("an HPACK bomb of 80 KiB", bomb(20), OVERFLOW, "RFC 7541 7.3"),
    Row("an HPACK bomb of 64 MiB", bomb(16_000), TOO_MUCH, "RFC 7541 7.3"),
    Row(
        "trailers of ten times the limit", headers(1, OK) + data(1, b"ok") + said(*large(640 * KIB)), TOO_MUCH, "10.5.1"
    ),
    Row("an interim head of ten times the limit", said(*large(640 * KIB, (b":status", b"103"))), TOO_MUCH, "10.5.1"),
    # nghttp2 takes no longer string, whatever the limit is.
    Row("a value of more than 64 KiB", said(OK, (b"x", b"v" * 66_000)) + END, BROKEN_BLOCK, "RFC 7541 7.4"),
    Row("a name of more than 64 KiB", said(OK, (b"x" * 66_000, b"v")) + END, BROKEN_BLOCK, "RFC 7541 7.4"),
    Row("21 interim heads", interim(21) + headers(1, OK, end=True), StreamRefused("interim"), "as in HTTP/1.1"),
    # nghttp2 takes eight, and ends without a word.
    Row("1,000 empty CONTINUATIONs", headers(1, OK, flags=0) + frame(CONTINUATION, 0, 1) * 1_000, FRAGMENTED, "10.5"),
    Row("a head byte by byte", split(block(OK, (b"x", b"y")), 1) + END, FRAGMENTED, "10.5"),
]
