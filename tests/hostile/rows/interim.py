"""Interim responses: some, many, strange, and the one that changes the protocol (RFC 9110 section 15.2)."""

from __future__ import annotations

from collections.abc import Iterator

from hostile.row import Answer, CutShort, Refused, Row, UntilEnd

FINAL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OK = Answer(200, b"ok")

MAX_INTERIM = 20

TOO_MANY = Refused(f"more than {MAX_INTERIM} interim responses")
TOO_LARGE = Refused("maxHeaderSize", code="HPE_HEADER_OVERFLOW")
NOT_HTTP = Refused("not an HTTP/1.1 response")
BROKEN = Refused("broken response head")
# Whoever switches to another protocol has said so in its status line.
SWITCHED = Refused("101")


def interim(code: int, fields: bytes = b"") -> bytes:
    """`fields` with the end of each line."""
    return b"HTTP/1.1 %d Interim\r\n%b\r\n" % (code, fields)


# All codes of the class but 101, as many in one row as may come.
CODES = [code for code in range(100, 200) if code != 101]
GROUPS = [CODES[start : start + MAX_INTERIM] for start in range(0, len(CODES), MAX_INTERIM)]

BEFORE_THE_FINAL = {
    "100": CONTINUE,
    "100 without a reason": b"HTTP/1.1 100 \r\n\r\n",
    "100 without a reason and its space": b"HTTP/1.1 100\r\n\r\n",
    "100 of HTTP/1.0": b"HTTP/1.0 100 Continue\r\n\r\n",
    "100 with fields": interim(100, b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nServer: x\r\n"),
    "100 with empty fields": interim(100, b"X:\r\nY: \r\n"),
    "102": interim(102),
    "103 with links": interim(103, b"Link: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n"),
    "103 twice": interim(103, b"Link: </a.css>\r\n") + interim(103, b"Link: </b.js>\r\n"),
    "104": interim(104, b"Upload-Draft-Interop-Version: 6\r\n"),
    "199": interim(199),
    "100, 102, 103": interim(100) + interim(102) + interim(103),
    "with a length": interim(100, b"Content-Length: 5\r\n"),
    "with a length of zero": interim(100, b"Content-Length: 0\r\n"),
    "with a coding": interim(100, b"Transfer-Encoding: chunked\r\n"),
    "with a coding nobody knows": interim(103, b"Transfer-Encoding: x-unheard-of\r\n"),
    "with close": interim(100, b"Connection: close\r\n"),
    "with a content coding": interim(103, b"Content-Encoding: gzip\r\n"),
    "with a cookie": interim(103, b"Set-Cookie: a=b\r\n"),
    "with Upgrade": interim(103, b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    "with Keep-Alive": interim(100, b"Keep-Alive: timeout=0\r\n"),
    "with a Location": interim(103, b"Location: /elsewhere\r\n"),
    "199 fields": interim(103, b"".join(b"X-%d: v\r\n" % number for number in range(199))),
    "as many as may be": CONTINUE * MAX_INTERIM,
    "16 KiB in one": interim(103, b"X: " + b"x" * 16_384 + b"\r\n"),
}

# What the 101 may say along: it was not asked for, whatever follows.
SWITCHES = {
    "without a word": b"",
    "to websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "to h2c": b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    "to TLS": b"Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n",
    "Upgrade alone": b"Upgrade: websocket\r\n",
    "Connection alone": b"Connection: Upgrade\r\n",
    "with a length": b"Content-Length: 2\r\n",
    "with close": b"Connection: close\r\n",
}

BROKEN_ONES: dict[str, tuple[bytes, Refused, str]] = {
    "a broken name": (interim(100, b"X Y: v\r\n"), BROKEN, "RFC 9112 5.1, h11"),
    "NUL in a value": (interim(100, b"X: \0\r\n"), BROKEN, "RFC 9110 5.5, h11"),
    "LF for CRLF": (b"HTTP/1.1 100 Continue\r\nX: v\n\r\n", Refused("ends without CR"), "RFC 9112 2.2, llhttp"),
    "a length and a coding": (
        interim(100, b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"),
        BROKEN,
        "RFC 9112 6.3, llhttp",
    ),
    "two lengths": (interim(100, b"Content-Length: 0\r\nContent-Length: 0\r\n"), BROKEN, "RFC 9112 6.3, llhttp"),
    "a control character in the reason": (b"HTTP/1.1 100 \x01\r\n\r\n", NOT_HTTP, "RFC 9112 4"),
    "HTTP/2": (b"HTTP/2 100\r\n\r\n", NOT_HTTP, "RFC 9112 2.3, h11"),
    "content behind it": (interim(100, b"Content-Length: 2\r\n") + b"ok", NOT_HTTP, "RFC 9112 6.3, curl, h11"),
    "a blank line behind it": (CONTINUE + b"\r\n", NOT_HTTP, "RFC 9112 2.2, curl, h11"),
    "a chunk behind it": (
        interim(100, b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
        NOT_HTTP,
        "RFC 9112 6.3, curl, h11",
    ),
    "201 fields": (
        interim(103, b"".join(b"X-%d: v\r\n" % number for number in range(201))),
        Refused("more than 200 fields", code="HPE_HEADER_OVERFLOW"),
        "RFC 9110 5.4",
    ),
}


def rows() -> Iterator[Row]:
    for group in GROUPS:
        says = b"".join(interim(code) for code in group) + FINAL
        yield Row(f"interim: all from {group[0]} to {group[-1]}", says, OK, "RFC 9110 15.2, curl, h11")
    for name, before in BEFORE_THE_FINAL.items():
        yield Row(f"interim: {name}", before + FINAL, OK, "RFC 9110 15.2, RFC 9112 6.3, curl")
    for name, fields in SWITCHES.items():
        yield Row(f"101: {name}", interim(101, fields) + FINAL, SWITCHED, "RFC 9110 7.8 and 15.2.2, h11")
    for name, (before, outcome, source) in BROKEN_ONES.items():
        yield Row(f"interim: {name}", before + FINAL, outcome, source)


ROWS: list[Row] = [
    *rows(),
    # Who comes after it.
    Row(
        "interim: before a 404",
        CONTINUE + b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
        Answer(404),
        "RFC 9110 15.2",
    ),
    Row("interim: before a 204", CONTINUE + b"HTTP/1.1 204 No\r\n\r\n", Answer(204), "RFC 9110 15.2"),
    Row("interim: before a 304", CONTINUE + b"HTTP/1.1 304 No\r\n\r\n", Answer(304), "RFC 9110 15.2"),
    Row("interim: before no length", CONTINUE + b"HTTP/1.1 200 OK\r\n\r\nok", UntilEnd(200, b"ok"), "RFC 9112 6.3"),
    Row("interim: before HTTP/1.0", CONTINUE + b"HTTP/1.0 200 OK\r\n\r\nok", UntilEnd(200, b"ok"), "curl, h11"),
    Row(
        "interim: before chunks",
        CONTINUE + b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        OK,
        "RFC 9110 15.2",
    ),
    Row(
        "interim: to a HEAD",
        CONTINUE + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        Answer(200),
        "RFC 9110 15.2, RFC 9112 6.3",
        "HEAD",
    ),
    Row("interim: to a POST", CONTINUE + FINAL, OK, "RFC 9110 15.2", "POST"),
    Row("interim: to a PUT", interim(102) * 3 + FINAL, OK, "RFC 9110 15.2", "PUT"),
    # Floods.
    Row("interim: one more than may be", CONTINUE * (MAX_INTERIM + 1) + FINAL, TOO_MANY, "CVE-2024-24791"),
    Row("interim: a thousand", CONTINUE * 1000, TOO_MANY, "CVE-2024-24791"),
    Row("interim: 103, one more than may be", interim(103, b"Link: </a>\r\n") * 21 + FINAL, TOO_MANY, "CVE-2024-24791"),
    Row(
        "interim: 64 KiB in five",
        interim(103, b"X: " + b"x" * 13_100 + b"\r\n") * 5 + FINAL,
        TOO_LARGE,
        "RFC 9110 5.4, CVE-2023-38039",
        options={"timeout": 60},  # byte by byte over TLS it takes seconds
    ),
    # Unfinished.
    Row("cut: inside an interim response", CONTINUE[:-2], CutShort(), "RFC 9112 8"),
    Row("cut: inside the second interim response", CONTINUE + CONTINUE[:-1], CutShort(), "RFC 9112 8"),
    Row("cut: inside the final response", CONTINUE + FINAL[:-10], CutShort(), "RFC 9112 8"),
    Row("cut: inside the final response's content", CONTINUE + FINAL[:-1], CutShort(), "RFC 9112 8"),
]
