"""Trailers (RFC 9112 section 7.1.2, RFC 9110 section 6.5): kept apart from the fields of the head, counted, and judged
by the same grammar. Those that would change framing, routing, authentication or caching are dropped."""

from __future__ import annotations

import gzip
from collections.abc import Mapping

from hostile.row import Answer, Refused, Row

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CONTENT = b"5\r\nhello\r\n0\r\n"
CLAUSE = "RFC 9112 7.1.2"

NOT_A_TRAILER = "not a trailer field"
NO_CR = "ends without CR"

MAX_BYTES = 16 * 1024
MAX_FIELDS = 200


def read(
    name: str, section: bytes, *trailers: tuple[str, str], source: str = CLAUSE, head: bytes = HEAD, kept: bool = True
) -> Row:
    outcome = Answer(200, b"hello", trailers=trailers, kept=kept)
    return Row(f"trailers: {name}", head + CONTENT + section + b"\r\n", outcome, source)


def refused(name: str, section: bytes, why: str = NOT_A_TRAILER, source: str = "RFC 9112 5") -> Row:
    return Row(f"trailers: {name}", HEAD + CONTENT + section + b"\r\n", Refused(why), source)


def too_many(name: str, section: bytes, why: str) -> Row:
    outcome = Refused(why, code="HPE_HEADER_OVERFLOW")
    return Row(f"trailers: {name}", HEAD + CONTENT + section + b"\r\n", outcome, "RFC 9110 5.4")


def with_field(line: bytes) -> bytes:
    return HEAD[:-2] + line + b"\r\n\r\n"


# What a value may be, and what is read of it.
VALUES: Mapping[str, tuple[bytes, str]] = {
    "a value": (b" b", "b"),
    "a value without a blank": (b"b", "b"),
    "a value between blanks": (b"   b   ", "b"),
    "a value between tabs": (b"\tb\t", "b"),
    "a value with blanks inside": (b" b  c\td", "b  c\td"),
    "no value": (b"", ""),
    "no value but blanks": (b" \t ", ""),
    "a value of colons": (b" ::b:", "::b:"),
    "a quoted value": (b' "b, c"', '"b, c"'),
    "a value of all visible characters": (b" " + bytes(range(0x21, 0x7F)), bytes(range(0x21, 0x7F)).decode()),
    "a value in UTF-8": (b" caf\xc3\xa9", "café"),
    "a value in Latin-1": (b" caf\xe9", "café"),
    "a value that looks like a chunk": (b" 5", "5"),
    "a value that looks like a status line": (b" HTTP/1.1 200 OK", "HTTP/1.1 200 OK"),
}


def legal() -> list[Row]:
    close = with_field(b"Connection: close")
    return [
        *(read(f"{name}", b"A:" + raw + b"\r\n", ("A", value)) for name, (raw, value) in VALUES.items()),
        read("two", b"A: b\r\nC: d\r\n", ("A", "b"), ("C", "d")),
        read("one name twice", b"A: b\r\nA: c\r\n", ("A", "b"), ("A", "c"), source="RFC 9110 5.3"),
        read("one name in two cases", b"a: b\r\nA: c\r\n", ("a", "b"), ("A", "c"), source="RFC 9110 5.1"),
        read(
            "a name of every character of a token",
            b"!#$%&'*+-.^_`|~0azAZ: b\r\n",
            ("!#$%&'*+-.^_`|~0azAZ", "b"),
            source="RFC 9110 5.6.2",
        ),
        read("a name of one digit", b"5: b\r\n", ("5", "b"), source="RFC 9110 5.6.2"),
        read("a name that looks like a last chunk", b"0: \r\n", ("0", ""), source="RFC 9110 5.6.2"),
        read("announced", b"A: b\r\n", ("A", "b"), head=with_field(b"Trailer: A"), source="RFC 9110 6.6.2"),
        read("announced and not sent", b"", head=with_field(b"Trailer: A, B"), source="RFC 9110 6.6.2"),
        read("others than announced", b"C: d\r\n", ("C", "d"), head=with_field(b"Trailer: A"), source="RFC 9110 6.6.2"),
        read(
            "a name that the head has too", b"A: c\r\n", ("A", "c"), head=with_field(b"A: b"), source="RFC 9110 6.5.1"
        ),
        read("the last of the connection", b"A: b\r\n", ("A", "b"), head=close, kept=False, source="RFC 9112 9.3"),
        read("that ask to close", b"Connection: close\r\n", source="RFC 9110 6.5.1"),
        read(
            "a digest", b"Content-Digest: sha-256=:AA==:\r\n", ("Content-Digest", "sha-256=:AA==:"), source="RFC 9530 2"
        ),
        read("timings", b"Server-Timing: db;dur=53\r\n", ("Server-Timing", "db;dur=53"), source="RFC 9110 6.5"),
        read("an ETag", b'ETag: "a"\r\n', ("ETag", '"a"'), source="RFC 9110 8.8.3"),
        read(
            "of gRPC-Web's kind",
            b"grpc-status: 0\r\ngrpc-message: \r\n",
            ("grpc-status", "0"),
            ("grpc-message", ""),
            source="RFC 9110 6.5",
        ),
        # The engine has read its message: what follows is nobody's, and this connection was to be closed anyway.
        Row(
            "trailers: a response behind the last of the connection",
            close + CONTENT + b"A: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
            Answer(200, b"hello", trailers=(("A", "b"),), kept=False),
            "RFC 9112 9.3",
        ),
        Row(
            "trailers: behind coded content",
            HEAD[:-2]
            + b"Content-Encoding: gzip\r\n\r\n"
            + chunks_of(gzip.compress(b"hello", mtime=0))
            + b"0\r\nA: b\r\n\r\n",
            Answer(200, b"hello", trailers=(("A", "b"),)),
            "RFC 9112 7.1.2",
        ),
        Row(
            "trailers: behind no content",
            HEAD + b"0\r\nA: b\r\n\r\n",
            Answer(200, b"", trailers=(("A", "b"),)),
            CLAUSE,
        ),
        Row(
            "trailers: behind an extension",
            HEAD + b'5\r\nhello\r\n0;a="b"\r\nA: b\r\n\r\n',
            Answer(200, b"hello", trailers=(("A", "b"),)),
            CLAUSE,
        ),
        Row(
            "trailers: of an error",
            HEAD.replace(b"200 OK", b"500 Oh") + CONTENT + b"A: b\r\n\r\n",
            Answer(500, b"hello", trailers=(("A", "b"),)),
            CLAUSE,
        ),
    ]


def chunks_of(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


# RFC 9110 section 6.5.1: framing, routing, request modifiers, authentication, response control, content format.
DROPPED = (
    *("Transfer-Encoding: chunked", "Content-Length: 100", "Host: evil.test", "Trailer: A"),
    *("Connection: upgrade", "Keep-Alive: timeout=100", "TE: trailers", "Upgrade: h2c"),
    *("Content-Encoding: gzip", "Content-Type: text/html", "Content-Range: bytes 0-4/5"),
    *("Authorization: Basic YTpi", "Proxy-Authorization: Basic YTpi"),
    *("WWW-Authenticate: Basic realm=a", "Proxy-Authenticate: Basic realm=a"),
    *("Cookie: a=b", "Set-Cookie: a=b", "Cache-Control: max-age=100", "Expires: 0", "Location: http://evil.test/"),
)


def dropped() -> list[Row]:
    return [
        *(
            read(f"{name}, which is dropped", line.encode() + b"\r\nA: b\r\n", ("A", "b"), source="RFC 9110 6.5.1")
            for line in DROPPED
            for name in [line.partition(":")[0]]
        ),
        read("Content-Length in any case", b"cOnTeNt-LeNgTh: 1\r\n", source="RFC 9110 6.5.1"),
        read("a Content-Length that is none", b"Content-Length: -1\r\n", source="RFC 9110 6.5.1"),
        read("nothing but what is dropped", b"Content-Length: 1\r\nTransfer-Encoding: x\r\n", source="RFC 9110 6.5.1"),
        read("between those that are dropped", b"Host: a\r\nA: b\r\nHost: c\r\n", ("A", "b"), source="RFC 9110 6.5.1"),
    ]


BROKEN: Mapping[str, bytes] = {
    "without a colon": b"A",
    "without a colon, with a value": b"A b",
    "without a name": b": b",
    "of a colon alone": b":",
    "with a blank before the colon": b"A : b",
    "with a tab before the colon": b"A\t: b",
    "with a blank in the name": b"A B: c",
    "with a blank before the name": b" A: b",
    "with a tab before the name": b"\tA: b",
    "folded": b"A: b\r\n c",
    "folded by a tab": b"A: b\r\n\tc",
    "folded into nothing": b"A: b\r\n ",
    "folded into a framing field": b"A: b\r\n Content-Length: 5",
    "with a NUL in the value": b"A: b\0c",
    "with a NUL in the name": b"A\0: b",
    "with a control character in the value": b"A: \x01",
    "with DEL in the value": b"A: \x7f",
    "with an escape sequence in the value": b"A: \x1b[31m",
    "with CR in the value": b"A: b\rC: d",
    "with CR in the name": b"A\r: b",
    "with CR twice at its end": b"A: b\r",
    "with a name beyond ASCII": b"caf\xc3\xa9: b",
    "that is a status line": b"HTTP/1.1 200 OK",
    "that is a chunk": b"5\r\nhello",
    "that is JSON": b'{"a": 1}',
}


def broken() -> list[Row]:
    return [
        *(
            refused(f"one {name}", line + b"\r\n", source="llhttp" if "folded" in name else "RFC 9110 5.1, 5.5")
            for name, line in BROKEN.items()
        ),
        *(
            refused(f"one with {chr(separator)!r} in its name", b"A%cB: c\r\n" % separator, source="RFC 9110 5.6.2")
            for separator in b'"(,/=@{'
        ),
        refused("a good one, and one without a colon", b"A: b\r\nC\r\n"),
        refused("a forbidden one that is broken", b"Content-Length : 5\r\n"),
        refused("LF alone behind one", b"A: b\n", NO_CR, "llhttp"),
        refused("LF alone between two", b"A: b\nC: d\r\n", NO_CR, "llhttp"),
        refused("LF alone in front of one", b"\nA: b\r\n", NO_CR, "llhttp"),
        Row("trailers: LF alone as their end", HEAD + CONTENT + b"A: b\r\n\n", Refused(NO_CR), "llhttp"),
        Row(
            "trailers: CR twice as their end",
            HEAD + CONTENT + b"A: b\r\n\r\r\n",
            Refused(NOT_A_TRAILER),
            "RFC 9112 2.2",
        ),
    ]


def limits() -> list[Row]:
    """Of 16 KiB, and 200 fields as in a head."""
    names = [b"A%d" % number for number in range(MAX_FIELDS)]
    longest = b"A: " + b"b" * (MAX_BYTES - len(b"A: \r\n\r\n"))
    share = b"A: " + b"b" * (1024 - len(b"A: \r\n")) + b"\r\n"
    value = share[3:-2].decode()
    bytes_of, fields_of = "bytes of trailers", f"more than {MAX_FIELDS}"
    return [
        read("200", b"".join(name + b":\r\n" for name in names), *((name.decode(), "") for name in names)),
        read("as long as may be", longest + b"\r\n", ("A", longest[3:].decode())),
        read("as long as may be together", share * 15, *[("A", value)] * 15),
        too_many("201", b"".join(name + b":\r\n" for name in [*names, b"B"]), fields_of),
        too_many("201, all to be dropped", b"Host:\r\n" * (MAX_FIELDS + 1), fields_of),
        too_many("one that is too long", longest + b"bbb\r\n", bytes_of),
        too_many("one without an end", b"A: " + b"b" * MAX_BYTES, bytes_of),
        too_many("a name without an end", b"A" * (MAX_BYTES + 1), bytes_of),
        too_many("too long together", share * 16 + b"A: b\r\n", bytes_of),
    ]


ROWS: list[Row] = [*legal(), *dropped(), *broken(), *limits()]
