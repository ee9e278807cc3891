"""Content-Length, and messages that end by themselves or not at all (RFC 9112 sections 6.2 and 6.3)."""

from __future__ import annotations

from collections.abc import Iterator

from hostile.row import Answer, CutShort, Refused, Row, UntilEnd

BROKEN = Refused("broken response head")


def reply(fields: bytes, content: bytes = b"ok", line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """Field lines without the end of the last one; without any, just a head."""
    return line + b"\r\n" + fields + (b"\r\n" if fields else b"") + b"\r\n" + content


# A length is 1*DIGIT, whatever white space is around it.
LENGTHS = {
    "plain": b"Content-Length: 2",
    "lower-case name": b"content-length: 2",
    "upper-case name": b"CONTENT-LENGTH: 2",
    "mixed-case name": b"cOnTeNt-lEnGtH: 2",
    "no space before it": b"Content-Length:2",
    "a tab before it": b"Content-Length:\t2",
    "spaces before it": b"Content-Length:     2",
    "a space behind it": b"Content-Length: 2 ",
    "spaces behind it": b"Content-Length: 2     ",
    "a leading zero": b"Content-Length: 02",
    "eighteen leading zeros": b"Content-Length: " + b"0" * 18 + b"2",
    "before other fields": b"Content-Length: 2\r\nX: v",
    "behind other fields": b"X: v\r\nContent-Length: 2",
    "beside lookalikes": b"Content_Length: 9\r\nContent-Length: 2\r\nX-Content-Length: 9",
    "beside TE": b"TE: chunked\r\nContent-Length: 2",
}

NO_LENGTHS = {
    "empty": b"",
    "a sign": b"+2",
    "negative": b"-2",
    "negative zero": b"-0",
    "hexadecimal": b"0x2",
    "octal": b"0o2",
    "a fraction": b"2.0",
    "an exponent": b"2e0",
    "an underscore": b"1_0",
    "a unit": b"2B",
    "a parameter": b"2;x=1",
    "a semicolon behind it": b"2;",
    "a comma behind it": b"2,",
    "a comma before it": b",2",
    "a comma alone": b",",
    "quoted": b'"2"',
    "two numbers": b"2 2",
    "a word": b"two",
    "Arabic digits": "٢".encode(),
    "full-width digits": "２".encode(),
    "a superscript of Latin-1": b"\xb2",
    "a no-break space before it": b"\xa02",
    "a vertical tab before it": b"\x0b2",
    "a form feed behind it": b"2\x0c",
    "NUL behind it": b"2\0",
    "infinite": b"inf",
    "a list of different ones": b"2, 3",
    # "All values in the list are the same": the RFC allows to go on there. We do not, as llhttp does not.
    "a list of equal ones": b"2, 2",
    "a list of equal ones, no space": b"2,2",
}

NO_SUCH_PAIRS = {
    "equal": (b"2", b"2"),
    "different": (b"2", b"3"),
    "different, the larger first": (b"3", b"2"),
    "one empty": (b"2", b""),
    "the first empty": (b"", b"2"),
    "one broken": (b"2", b"x"),
    "equal but for a zero": (b"2", b"02"),
    "zero and more": (b"0", b"2"),
}

# Taken at its word, but nobody reserves memory for it: the message is just unfinished.
HUGE = {"2**31": 2**31, "2**32": 2**32, "2**53": 2**53, "2**63 - 1": 2**63 - 1, "19 digits": 10**19 - 1}
# Twenty digits and more: h11 stops there too (curl ignores the field, and reads to the end of the connection).
TOO_HUGE = {
    "2**64 - 1": b"%d" % (2**64 - 1),
    "2**64": b"%d" % 2**64,
    "2**64 + 2": b"%d" % (2**64 + 2),
    "2**128": b"%d" % 2**128,
    "500 digits": b"9" * 500,
    "500 zeros and a two": b"0" * 500 + b"2",
}


def lengths() -> Iterator[Row]:
    for name, lines in LENGTHS.items():
        yield Row(f"length: {name}", reply(lines), Answer(200, b"ok"), "RFC 9110 8.6, RFC 9112 6.3")
    for name, value in NO_LENGTHS.items():
        yield Row(f"length: {name}", reply(b"Content-Length: " + value), BROKEN, "RFC 9112 6.3, llhttp")
    for name, (first, second) in NO_SUCH_PAIRS.items():
        lines = b"Content-Length: %b\r\nContent-Length: %b" % (first, second)
        yield Row(f"two lengths: {name}", reply(lines), BROKEN, "RFC 9112 6.3, llhttp")
    apart = b"Content-Length: 2\r\nX: v\r\ncontent-length: 2"
    yield Row("two lengths: apart, in two spellings", reply(apart), BROKEN, "RFC 9112 6.3, llhttp")
    for name, size in HUGE.items():
        yield Row(f"length: {name}", reply(b"Content-Length: %d" % size), CutShort(), "RFC 9112 6.3, h11")
    for name, digits in TOO_HUGE.items():
        outcome = Refused("Content-Length")
        yield Row(f"length: {name}", reply(b"Content-Length: " + digits), outcome, "RFC 9110 8.6, h11")


# Responses without content, whatever their fields say (rule 1). `Connection: close` where content follows all the same,
# because what comes of the next exchange is another table's.

BODILESS: dict[str, tuple[bytes, bytes]] = {
    "nothing": (b"", b""),
    "a length": (b"Content-Length: 5", b""),
    "a huge length": (b"Content-Length: 9223372036854775807", b""),
    "a length of zero": (b"Content-Length: 0", b""),
    "chunked": (b"Transfer-Encoding: chunked", b""),
    "a content coding": (b"Content-Encoding: gzip", b""),
    "a content coding nobody knows": (b"Content-Encoding: x-unheard-of", b""),
    "a type": (b"Content-Type: application/json", b""),
    "content all the same": (b"Content-Length: 2\r\nConnection: close", b"ok"),
    "a response as its content": (
        b"Content-Length: 38\r\nConnection: close",
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
    ),
    "chunks all the same": (b"Transfer-Encoding: chunked\r\nConnection: close", b"2\r\nok\r\n0\r\n\r\n"),
}

WITHOUT_CONTENT = (
    ("HEAD", b"HTTP/1.1 200 OK", 200),
    ("HEAD", b"HTTP/1.1 404 Not Found", 404),
    ("GET", b"HTTP/1.1 204 No Content", 204),
    ("GET", b"HTTP/1.1 304 Not Modified", 304),
)


def without_content() -> Iterator[Row]:
    for method, line, status in WITHOUT_CONTENT:
        for name, (fields, content) in BODILESS.items():
            answer = Answer(status, b"", kept=not content)
            title = f"no content: {method} {status}, {name}"
            yield Row(title, reply(fields, content, line), answer, "RFC 9112 6.3", method)


# Responses that have content even where one might not expect it, and those that end with the connection.

NONE = b"Content-Length: 0"

ROWS: list[Row] = [
    *lengths(),
    *without_content(),
    Row("length: zero", reply(NONE, b""), Answer(200, b""), "RFC 9112 6.3"),
    Row("length: many zeros", reply(b"Content-Length: 0000", b""), Answer(200, b""), "RFC 9110 8.6, h11"),
    Row("length: zero, to a POST", reply(NONE, b""), Answer(200, b""), "RFC 9112 6.3", "POST"),
    Row("length: of a DELETE", reply(b"Content-Length: 2"), Answer(200, b"ok"), "RFC 9112 6.3", "DELETE"),
    Row("length: of OPTIONS", reply(b"Content-Length: 2"), Answer(200, b"ok"), "RFC 9112 6.3", "OPTIONS"),
    Row("length: of an unknown method", reply(b"Content-Length: 2"), Answer(200, b"ok"), "RFC 9112 6.3", "FROB"),
    Row("205: zero", reply(NONE, b"", b"HTTP/1.1 205 Reset Content"), Answer(205), "RFC 9110 15.3.6"),
    Row(
        "205: an empty chunked message",
        reply(b"Transfer-Encoding: chunked", b"0\r\n\r\n", b"HTTP/1.1 205 Reset Content"),
        Answer(205),
        "RFC 9110 15.3.6",
    ),
    Row("205: no length", reply(b"", b"", b"HTTP/1.1 205 Reset Content"), UntilEnd(205), "RFC 9112 6.3, h11"),
    Row(
        "205: content all the same",
        reply(b"Content-Length: 2", b"ok", b"HTTP/1.1 205 Reset Content"),
        Answer(205, b"ok"),
        "RFC 9112 6.3, curl, h11",
    ),
    Row("end: no length", reply(b"X: v", b"ok"), UntilEnd(200, b"ok"), "RFC 9112 6.3"),
    Row("end: no length and no content", reply(b"X: v", b""), UntilEnd(200, b""), "RFC 9112 6.3"),
    Row("end: no length, close", reply(b"Connection: close"), UntilEnd(200, b"ok"), "RFC 9112 6.3"),
    Row("end: no length, an error", reply(b"", b"no", b"HTTP/1.1 500 No"), UntilEnd(500, b"no"), "RFC 9112 6.3"),
    Row("end: no length, to a POST", reply(b"", b"ok"), UntilEnd(200, b"ok"), "RFC 9112 6.3", "POST"),
    Row(
        "end: content that looks like a response",
        reply(b"X: v", b"HTTP/1.1 200 OK\r\n\r\n"),
        UntilEnd(200, b"HTTP/1.1 200 OK\r\n\r\n"),
        "RFC 9112 6.3, llhttp",
    ),
    Row("end: content of every octet", reply(b"", bytes(range(256))), UntilEnd(200, bytes(range(256))), "RFC 9112 6"),
    Row(
        "length: content of every octet",
        reply(b"Content-Length: 256", bytes(range(256))),
        Answer(200, bytes(range(256))),
        "RFC 9112 6",
    ),
    Row(
        "length: content of line ends",
        reply(b"Content-Length: 8", b"\r\n\r\n\r\n\r\n"),
        Answer(200, b"\r\n\r\n\r\n\r\n"),
        "RFC 9112 6",
    ),
    Row(
        "length: content that looks like a response",
        reply(b"Content-Length: 19", b"HTTP/1.1 200 OK\r\n\r\n"),
        Answer(200, b"HTTP/1.1 200 OK\r\n\r\n"),
        "RFC 9112 6",
    ),
    # Unfinished.
    Row("cut: no content", reply(b"Content-Length: 2", b""), CutShort(), "RFC 9112 8"),
    Row("cut: inside the content", reply(b"Content-Length: 3", b"ok"), CutShort(), "RFC 9112 8"),
    Row("cut: HTTP/1.0", reply(b"Content-Length: 3", b"ok", b"HTTP/1.0 200 OK"), CutShort(), "RFC 9112 8"),
    Row("cut: an error", reply(b"Content-Length: 3", b"no", b"HTTP/1.1 500 No"), CutShort(), "RFC 9112 8"),
]
