"""Where a message ends, and replies that end before: cut in every state, and never taken for whole."""

from __future__ import annotations

import gzip
from collections.abc import Mapping

from hostile.row import CutShort, Row, UntilEnd

STATUS = b"HTTP/1.1 200 OK\r\n"
SIZED = STATUS + b"Content-Length: 5\r\n\r\n"
CHUNKED = STATUS + b"Transfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
INCOMPLETE = "RFC 9112 8"

# Replies that stop in the middle. Behind "|" comes what is missing.
HEADS: Mapping[str, bytes] = {
    "inside the protocol's name": b"HT|TP/1.1 200 OK\r\n\r\n",
    "behind the protocol's name": b"HTTP|/1.1 200 OK\r\n\r\n",
    "behind the version": b"HTTP/1.1| 200 OK\r\n\r\n",
    "behind the status": b"HTTP/1.1 200| OK\r\n\r\n",
    "before the reason": b"HTTP/1.1 200 |OK\r\n\r\n",
    "behind the reason": b"HTTP/1.1 200 OK|\r\n\r\n",
    "inside a name": STATUS + b"Content-Len|gth: 5\r\n\r\nhello",
    "behind a name": STATUS + b"Content-Length|: 5\r\n\r\nhello",
    "behind a colon": STATUS + b"Content-Length:| 5\r\n\r\nhello",
    "before a value": STATUS + b"Content-Length: |5\r\n\r\nhello",
    "inside a value": STATUS + b"Content-Length: 1|0\r\n\r\nhellohello",
    "behind a value": STATUS + b"Content-Length: 5|\r\n\r\nhello",
    "inside a line's end": STATUS + b"Content-Length: 5\r|\n\r\nhello",
    "behind a field": STATUS + b"Content-Length: 5\r\n|\r\nhello",
    "inside the empty line": STATUS + b"Content-Length: 5\r\n\r|\nhello",
    "inside a second field": STATUS + b"Content-Length: 5\r\nDate: Thu, 01|\r\n\r\nhello",
    "inside an interim response": b"HTTP/1.1 103 Early Hints\r\nLink: </a|>\r\n\r\n",
    "inside the head behind an interim response": INTERIM + b"HTTP/1.1 200 OK\r\nContent-|Length: 5\r\n\r\nhello",
    "inside the second interim response": INTERIM + b"HTTP/1.1 103 Early| Hints\r\n\r\n",
    "inside the head of an HTTP/1.0 response": b"HTTP/1.0 200 OK\r\nContent-Type|: text/plain\r\n\r\nhello",
}

CONTENT: Mapping[str, bytes] = {
    "before the content": SIZED + b"|hello",
    "behind the first byte of content": SIZED + b"h|ello",
    "before the last byte of content": SIZED + b"hell|o",
    "inside much content": STATUS + b"Content-Length: 1000000\r\n\r\n" + b"x" * 999,
    "inside endless content": STATUS + b"Content-Length: 9223372036854775807\r\n\r\n" + b"x" * 10,
    "inside the content of HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhel|lo",
    "inside the content, and about to close": STATUS + b"Connection: close\r\nContent-Length: 5\r\n\r\nhel|lo",
    "inside the content of a 404": b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhel|lo",
    "inside the content of a redirect": b"HTTP/1.1 302 Found\r\nContent-Length: 5\r\n\r\nhel|lo",
    "inside coded content": STATUS
    + b"Content-Encoding: gzip\r\nContent-Length: 25\r\n\r\n"
    + gzip.compress(b"hello")[:20],
    "inside content of an unknown coding": STATUS + b"Content-Encoding: x\r\nContent-Length: 5\r\n\r\nhel|lo",
    "inside a part of a range": (
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/10\r\nContent-Length: 5\r\n\r\nhel|lo"
    ),
    "inside the content, behind an interim response": INTERIM + SIZED + b"hel|lo",
    "inside content that was JSON so far": STATUS + b"Content-Length: 5\r\n\r\n[]|   ",
}

CHUNKS: Mapping[str, bytes] = {
    "inside a size": b"1|0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "behind a size": b"5|\r\nhello\r\n0\r\n\r\n",
    "behind the semicolon of an extension": b"5;|a\r\nhello\r\n0\r\n\r\n",
    "inside an extension": b"5;a|b\r\nhello\r\n0\r\n\r\n",
    "inside a quoted extension": b'5;a="b|"\r\nhello\r\n0\r\n\r\n',
    "inside the end of a chunk line": b"5\r|\nhello\r\n0\r\n\r\n",
    "before the data of a chunk": b"5\r\n|hello\r\n0\r\n\r\n",
    "inside the data of a chunk": b"5\r\nhel|lo\r\n0\r\n\r\n",
    "behind the data of a chunk": b"5\r\nhello|\r\n0\r\n\r\n",
    "inside the end of a chunk": b"5\r\nhello\r|\n0\r\n\r\n",
    "between two chunks": b"3\r\nhel\r\n|2\r\nlo\r\n0\r\n\r\n",
    "inside the second chunk": b"3\r\nhel\r\n2\r\nl|o\r\n0\r\n\r\n",
    "before the last chunk": b"5\r\nhello\r\n|0\r\n\r\n",
    "behind the last size": b"5\r\nhello\r\n0|\r\n\r\n",
    "inside the extension of the last chunk": b"5\r\nhello\r\n0;a|=b\r\n\r\n",
    "inside the last chunk's line end": b"5\r\nhello\r\n0\r|\n\r\n",
    "before the very last line": b"5\r\nhello\r\n0\r\n|\r\n",
    "inside the very last line": b"5\r\nhello\r\n0\r\n\r|\n",
    "inside the name of a trailer": b"5\r\nhello\r\n0\r\nDig|est: x\r\n\r\n",
    "inside the value of a trailer": b"5\r\nhello\r\n0\r\nDigest: x|\r\n\r\n",
    "inside the line end of a trailer": b"5\r\nhello\r\n0\r\nDigest: x\r|\n\r\n",
    "behind a trailer": b"5\r\nhello\r\n0\r\nDigest: x\r\n|\r\n",
    "inside the very last line, behind a trailer": b"5\r\nhello\r\n0\r\nDigest: x\r\n\r|\n",
}


def cut(where: str, whole: bytes) -> Row:
    return Row(f"cut {where}", whole.partition(b"|")[0], CutShort(), INCOMPLETE)


def cuts() -> list[Row]:
    packed = gzip.compress(b"hello", mtime=0)
    coded = CHUNKED[:-2] + b"Content-Encoding: gzip\r\n\r\n"
    return [
        *(cut(where, whole) for where, whole in HEADS.items()),
        *(cut(where, whole) for where, whole in CONTENT.items()),
        *(cut(where, CHUNKED + chunks) for where, chunks in CHUNKS.items()),
        # All of the coded content is there, and still the message is not.
        cut("before the last chunk of coded content", coded + b"%x\r\n%b\r\n|" % (len(packed), packed)),
        cut("inside a chunk of coded content", coded + b"%x\r\n%b|" % (len(packed), packed[:9])),
        Row(
            "cut inside the head of an answer to HEAD",
            STATUS + b"Content-Length: 5\r\n",
            CutShort(),
            INCOMPLETE,
            "HEAD",
        ),
        Row("cut inside the head of a 304", b"HTTP/1.1 304 Not Modified\r\nETag: ", CutShort(), INCOMPLETE),
        Row("cut inside the answer to POST", SIZED + b"he", CutShort(), INCOMPLETE, "POST"),
    ]


# Nothing says where it ends, so it ends with its connection: RFC 9112 section 6.3, rule 8.
ENDED_BY_THE_CONNECTION: Mapping[str, tuple[bytes, int, bytes]] = {
    "content": (STATUS + b"\r\nhello", 200, b"hello"),
    "a field and content": (STATUS + b"Content-Type: text/plain\r\n\r\nhello", 200, b"hello"),
    "content, and closing is announced": (STATUS + b"Connection: close\r\n\r\nhello", 200, b"hello"),
    "content, and keeping is announced": (STATUS + b"Connection: keep-alive\r\n\r\nhello", 200, b"hello"),
    "content of HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello", 200, b"hello"),
    "nothing, of HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\n", 200, b""),
    "content of HTTP/1.0 that would keep": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello", 200, b"hello"),
    "content of an error": (b"HTTP/1.1 500 Oh\r\n\r\nhello", 500, b"hello"),
    "content of a 201": (b"HTTP/1.1 201 Created\r\n\r\nhello", 201, b"hello"),
    "content of a 205": (b"HTTP/1.1 205 Reset Content\r\n\r\nhello", 205, b"hello"),
    "content of a range": (
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/9\r\n\r\nhello",
        206,
        b"hello",
    ),
    "content of a redirect without Location": (b"HTTP/1.1 302 Found\r\n\r\nhello", 302, b"hello"),
    "content behind an interim response": (INTERIM + STATUS + b"\r\nhello", 200, b"hello"),
    "content of one byte": (STATUS + b"\r\nx", 200, b"x"),
    "content of a line end": (STATUS + b"\r\n\r\n", 200, b"\r\n"),
    "content of chunks": (STATUS + b"\r\n5\r\nhello\r\n0\r\n\r\n", 200, b"5\r\nhello\r\n0\r\n\r\n"),
    "content of a response": (STATUS + b"\r\n" + SIZED + b"hello", 200, SIZED + b"hello"),
    "content of NULs": (STATUS + b"\r\n" + bytes(10), 200, bytes(10)),
    "much content": (STATUS + b"\r\n" + b"x" * 5000, 200, b"x" * 5000),
}


def ended_by_the_connection() -> list[Row]:
    return [
        *(
            Row(f"ended by the connection: {name}", says, UntilEnd(status, body), "RFC 9112 6.3")
            for name, (says, status, body) in ENDED_BY_THE_CONNECTION.items()
        ),
        Row("ended by the connection: an answer to DELETE", STATUS + b"\r\n", UntilEnd(), "RFC 9112 6.3", "DELETE"),
    ]


ROWS: list[Row] = [*cuts(), *ended_by_the_connection()]
