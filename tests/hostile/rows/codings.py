"""Transfer-Encoding: which codings frame a message, and which only seem to (RFC 9112 sections 6.1, 6.3 and 7)."""

from __future__ import annotations

from collections.abc import Iterator

from hostile.row import Answer, CutShort, Refused, Row

CHUNKS = b"2\r\nok\r\n0\r\n\r\n"

NOT_FRAMED = Refused("a Transfer-Encoding that cannot be framed")
BROKEN = Refused("broken response head")


def reply(fields: bytes, body: bytes = CHUNKS, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return line + b"\r\n" + fields + b"\r\n\r\n" + body


# Exactly `chunked`, in any case, with any white space around it that the field's grammar allows.
CHUNKED = {
    "plain": b"Transfer-Encoding: chunked",
    "Chunked": b"Transfer-Encoding: Chunked",
    "CHUNKED": b"Transfer-Encoding: CHUNKED",
    "cHuNkEd": b"Transfer-Encoding: cHuNkEd",
    "lower-case name": b"transfer-encoding: chunked",
    "upper-case name": b"TRANSFER-ENCODING: chunked",
    "mixed-case name and value": b"tRANSFER-eNCODING: cHUNKED",
    "no space before it": b"Transfer-Encoding:chunked",
    "a tab before it": b"Transfer-Encoding:\tchunked",
    "spaces before it": b"Transfer-Encoding:     chunked",
    "a space behind it": b"Transfer-Encoding: chunked ",
    "spaces behind it": b"Transfer-Encoding: chunked     ",
    "before other fields": b"Transfer-Encoding: chunked\r\nX: v",
    "behind other fields": b"X: v\r\nTransfer-Encoding: chunked",
    "with TE and Trailer": b"TE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum",
    "with a field that looks like a length": b"Content_Length: 2\r\nTransfer-Encoding: chunked",
    "named by Connection": b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
}

# What others take for chunked, or read to the end of the connection: where two recipients can differ, the message is
# not to be trusted.
NOT_CHUNKED = {
    "identity": b"identity",
    "gzip": b"gzip",
    "a coding nobody knows": b"x-unheard-of",
    "gzip, chunked": b"gzip, chunked",
    "identity, chunked": b"identity, chunked",
    "chunked, identity": b"chunked, identity",
    "chunked, gzip": b"chunked, gzip",
    "chunked, chunked": b"chunked, chunked",
    "chunked,chunked": b"chunked,chunked",
    "xchunked": b"xchunked",
    "chunkedx": b"chunkedx",
    "chunkedchunked": b"chunkedchunked",
    "x-chunked": b"x-chunked",
    "chunk": b"chunk",
    "two words": b"chunked x",
    "two words, it second": b"x chunked",
    "quoted": b'"chunked"',
    "single quotes": b"'chunked'",
    "a parameter": b"chunked;q=1",
    "a weight": b"chunked; q=0.5",
    "a semicolon behind it": b"chunked;",
    "an empty element before it": b", chunked",
    "an empty element behind it": b"chunked,",
    "empty elements around it": b",,chunked,,",
    "a comma alone": b",",
    "a non-breaking space behind it": b"chunked\xa0",
    "a Kelvin sign in it": "chunKed".replace("K", "\N{KELVIN SIGN}").encode(),
    "full-width letters": "ｃhunked".encode(),
}

# White space to the RFC, curl and h11, but a part of the name to Node: the one blank that recipients differ about.
WITH_A_TAB = {"a tab behind it": b"chunked\t", "a space and a tab behind it": b"chunked \t"}

BROKEN_CODINGS = {
    "empty": b"",
    "white space only": b" \t",
    "a vertical tab before it": b"\x0bchunked",
    "a form feed behind it": b"chunked\x0c",
    "NUL behind it": b"chunked\0",
    "NUL in it": b"chun\0ked",
    "a CR behind it": b"chunked\r",
    "a CR before it": b"\rchunked",
}

TWO_FIELDS = {
    "chunked twice": (b"chunked", b"chunked", NOT_FRAMED),
    "gzip and chunked": (b"gzip", b"chunked", NOT_FRAMED),
    "chunked and gzip": (b"chunked", b"gzip", NOT_FRAMED),
    "identity and chunked": (b"identity", b"chunked", NOT_FRAMED),
    "chunked and identity": (b"chunked", b"identity", NOT_FRAMED),
    "chunked and what nobody knows": (b"chunked", b"cow", NOT_FRAMED),
    "an empty one and chunked": (b"", b"chunked", BROKEN),
    "chunked and an empty one": (b"chunked", b"", BROKEN),
}

# A message with both "ought to be handled as an error".
BOTH = {
    "length first": b"Content-Length: 2\r\nTransfer-Encoding: chunked",
    "length second": b"Transfer-Encoding: chunked\r\nContent-Length: 2",
    "length first, zero": b"Content-Length: 0\r\nTransfer-Encoding: chunked",
    "length second, zero": b"Transfer-Encoding: chunked\r\nContent-Length: 0",
    "that of all the chunks": b"Content-Length: 12\r\nTransfer-Encoding: chunked",
    "apart": b"Content-Length: 2\r\nX: v\r\nTransfer-Encoding: chunked",
    "mixed case": b"cOnTeNt-LeNgTh: 2\r\ntRaNsFeR-eNcOdInG: Chunked",
    "identity, length first": b"Content-Length: 2\r\nTransfer-Encoding: identity",
    "identity, length second": b"Transfer-Encoding: identity\r\nContent-Length: 2",
    "a broken coding": b"Content-Length: 2\r\nTransfer-Encoding: xchunked",
    "an empty coding": b"Content-Length: 2\r\nTransfer-Encoding:",
    "a broken length": b"Transfer-Encoding: chunked\r\nContent-Length: x",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 2\r\nTransfer-Encoding: chunked",
    "a length on both sides": b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\nContent-Length: 2",
}


def codings() -> Iterator[Row]:
    for name, lines in CHUNKED.items():
        yield Row(f"coding: {name}", reply(lines), Answer(200, b"ok"), "RFC 9112 5.1, 6.1 and 7, h11")
    for name, value in NOT_CHUNKED.items():
        yield Row(f"coding: {name}", reply(b"Transfer-Encoding: " + value), NOT_FRAMED, "RFC 9112 6.3, h11")
    for name, value in WITH_A_TAB.items():
        yield Row(f"coding: {name}", reply(b"Transfer-Encoding: " + value), NOT_FRAMED, "RFC 9112 11.2")
    for name, value in BROKEN_CODINGS.items():
        yield Row(f"coding: {name}", reply(b"Transfer-Encoding: " + value), BROKEN, "RFC 9110 5.5, h11")
    for name, (first, second, outcome) in TWO_FIELDS.items():
        lines = b"Transfer-Encoding: %b\r\nTransfer-Encoding: %b" % (first, second)
        yield Row(f"two codings: {name}", reply(lines), outcome, "RFC 9112 6.3, h11")
    for name, lines in BOTH.items():
        yield Row(f"length and coding: {name}", reply(lines), BROKEN, "RFC 9112 6.3, llhttp")


# HTTP/1.0 does not know the field: "treat the message as if the framing is faulty".

OLD = b"HTTP/1.0 200 OK"

FAULTY_1_0 = {
    "alone": b"Transfer-Encoding: chunked",
    "with keep-alive": b"Connection: keep-alive\r\nTransfer-Encoding: chunked",
    "with close": b"Connection: close\r\nTransfer-Encoding: chunked",
    "identity": b"Transfer-Encoding: identity",
}

# Nothing to frame where there is no content ("regardless of the header fields present"), and still no peer to trust.
NO_CONTENT: dict[str, tuple[str, bytes]] = {
    "HEAD": ("HEAD", b"HTTP/1.1 200 OK"),
    "304": ("GET", b"HTTP/1.1 304 Not Modified"),
    "204": ("GET", b"HTTP/1.1 204 No Content"),
    "HEAD of HTTP/1.0": ("HEAD", b"HTTP/1.0 200 OK"),
}


def without_content() -> Iterator[Row]:
    for name, (method, line) in NO_CONTENT.items():
        for coding in (b"gzip, chunked", b"identity", b"chunked, chunked"):
            says = reply(b"Transfer-Encoding: " + coding, b"", line)
            yield Row(f"coding of no content: {name}, {coding.decode()}", says, NOT_FRAMED, "h11", method)


ROWS: list[Row] = [
    *codings(),
    *(
        Row(f"HTTP/1.0 coding: {name}", reply(lines, line=OLD), NOT_FRAMED, "RFC 9112 6.1")
        for name, lines in FAULTY_1_0.items()
    ),
    Row(
        "HTTP/1.0 coding: with a length",
        reply(b"Content-Length: 12\r\nTransfer-Encoding: chunked", line=OLD),
        BROKEN,
        "RFC 9112 6.1",
    ),
    *without_content(),
    Row("coding: no content", reply(b"Transfer-Encoding: chunked", b"0\r\n\r\n"), Answer(200), "RFC 9112 7.1"),
    Row(
        "coding: an error",
        reply(b"Transfer-Encoding: chunked", line=b"HTTP/1.1 500 No"),
        Answer(500, b"ok"),
        "RFC 9112 6.3",
    ),
    Row(
        "coding: of a POST",
        reply(b"Transfer-Encoding: chunked", line=b"HTTP/1.1 201 Created"),
        Answer(201, b"ok"),
        "RFC 9112 6.3",
        "POST",
    ),
    Row(
        "coding: with close",
        reply(b"Transfer-Encoding: chunked\r\nConnection: close"),
        Answer(200, b"ok", kept=False),
        "RFC 9112 9.3",
    ),
    Row("cut: a coding and no chunk", reply(b"Transfer-Encoding: chunked", b""), CutShort(), "RFC 9112 8"),
]
