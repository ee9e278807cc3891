"""Fields of a head: their grammar (RFC 9112 section 5, RFC 9110 section 5), their number and size, and what they say of
the connection (RFC 9110 section 7.6.1, RFC 9112 section 9.3)."""

from __future__ import annotations

import string
from collections.abc import Iterator

from hostile.row import Answer, CutShort, Refused, Row, UntilEnd

LENGTH = b"Content-Length: 2\r\n"

BROKEN = Refused("broken response head")
TOO_LARGE = Refused("maxHeaderSize", code="HPE_HEADER_OVERFLOW")
TOO_MANY = Refused("more than 200 fields", code="HPE_HEADER_OVERFLOW")

MAX_HEADER_SIZE = 64 * 1024


def reply(fields: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    """Field lines, whose last one ends here."""
    return version + b" 200 OK\r\n" + fields + b"\r\n" + LENGTH + b"\r\nok"


def having(*fields: tuple[str, str]) -> Answer:
    return Answer(200, b"ok", fields)


# Names

TOKEN_CHARACTERS = {"punctuation": "!#$%&'*+-.^_`|~", "digits": string.digits, "letters": string.ascii_letters}

# Octets that no name may have in it. CR and LF: see below; the colon ends the name.
NO_TOKEN_OCTETS = b'"(),/;<=>?@[\\]{} \t' + b"\x00\x01\x0b\x0c\x1f\x7f\x80\xa0\xff"


def names() -> Iterator[Row]:
    for kind, characters in TOKEN_CHARACTERS.items():
        lines = [f"{character}: {character}" for character in characters]
        fields = [(character, character) for character in characters]
        yield Row(f"name: {kind}", reply("\r\n".join(lines).encode()), having(*fields), "RFC 9110 5.6.2")
    for octet in NO_TOKEN_OCTETS:
        yield Row(f"name: 0x{octet:02x} in it", reply(b"X%cY: v" % octet), BROKEN, "RFC 9110 5.1, h11")


ODD_NAMES: dict[str, tuple[bytes, tuple[str, str]]] = {
    "one character": (b"Q: v", ("q", "v")),
    "a kibibyte": (b"X" * 1024 + b": v", ("X" * 1024, "v")),
    "lower case": (b"x-lower: v", ("X-Lower", "v")),
    "mixed case": (b"x-MiXeD: v", ("X-Mixed", "v")),
    "like a version": (b"HTTP: 1.1 404 No", ("HTTP", "1.1 404 No")),
    "like a number": (b"200: OK", ("200", "OK")),
    "almost Content-Length": (b"Content_Length: 9", ("Content_Length", "9")),
    "longer than Content-Length": (b"X-Content-Length: 9\r\nContent-Length2: 9", ("Content-Length2", "9")),
    "almost Transfer-Encoding": (b"Transfer_Encoding: chunked", ("Transfer_Encoding", "chunked")),
    "longer than Transfer-Encoding": (b"X-Transfer-Encoding: chunked", ("X-Transfer-Encoding", "chunked")),
    "almost Connection": (b"Connections: close", ("Connections", "close")),
    "reserved: Close": (b"Close: yes", ("Close", "yes")),
    "of a request": (b"Host: other.test\r\nExpect: 100-continue", ("Host", "other.test")),
}

BAD_NAMES = {
    "none": b": v",
    "none, and no value": b":",
    "no colon": b"nonsense",
    "no colon, with a value": b"X v",
    "a space behind it": b"X : v",
    "a tab behind it": b"X\t: v",
    "a space before it, in the first line": b" X: v",
    "a tab before it, in the first line": b"\tX: v",
    "non-ASCII": "Größe: 1".encode(),
    "a status line": b"HTTP/1.1 404 No",
}

# Values

ODD_VALUES: dict[str, tuple[bytes, str]] = {
    "empty": (b"X:", ""),
    "white space only": (b"X: \t \t", ""),
    "no space before it": (b"X:v", "v"),
    "a tab before it": (b"X:\tv", "v"),
    "many blanks around it": (b"X: \t  v\t  \t", "v"),
    "64 blanks around it": (b"X:" + b" " * 64 + b"v" + b" " * 64, "v"),
    "blanks inside": (b"X: a \t b", "a \t b"),
    "a colon before it": (b"X:: v", ": v"),
    "colons inside": (b"X: a:b: c", "a:b: c"),
    "like a field": (b"X: Content-Length: 9", "Content-Length: 9"),
    "like a status line": (b"X: HTTP/1.1 404 No", "HTTP/1.1 404 No"),
    "an open quote": (b'X: "a, b', '"a, b'),
    "a quoted CRLF, escaped": (b'X: "a\\r\\nb"', '"a\\r\\nb"'),
    "commas only": (b"X: ,, ,", ",, ,"),
    "every visible character": (b"X: " + bytes(range(0x21, 0x7F)), bytes(range(0x21, 0x7F)).decode()),
    "every octet of obs-text": (b"X: " + bytes(range(0x80, 0x100)), bytes(range(0x80, 0x100)).decode("latin-1")),
    "UTF-8": ("X: schön ✓".encode(), "schön ✓"),
    "Latin-1": ("X: schön".encode("latin-1"), "schön"),
    "broken UTF-8": (b"X: a\xe2\x9c", "a\xe2\x9c"),
    "16 KiB": (b"X: " + b"v" * 16_384, "v" * 16_384),
    "percent-encoded CRLF": (b"X: a%0d%0aY: b", "a%0d%0aY: b"),
}

# CR and LF: see below.
CONTROLS = b"\x00\x01\x07\x08\x0b\x0c\x0e\x1b\x1f\x7f"


def values() -> Iterator[Row]:
    for name, (line, value) in ODD_VALUES.items():
        yield Row(f"value: {name}", reply(line), having(("X", value)), "RFC 9110 5.5, RFC 9112 5.1")
    for octet in CONTROLS:
        yield Row(f"value: 0x{octet:02x} in it", reply(b"X: a%cb" % octet), BROKEN, "RFC 9110 5.5, llhttp")
    yield Row("value: NUL for all of it", reply(b"X: \0"), BROKEN, "RFC 9110 5.5")
    yield Row("value: NUL behind it", reply(b"X: v\0"), BROKEN, "RFC 9110 5.5")


# Ends of lines: a recipient may take LF for one, and must not take CR for one.

NO_CR = Refused("ends without CR")

BARE_LF = {
    "behind a field": reply(b"X: a\nY: b"),
    "behind the last field": b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nok",
    "for the empty line": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok",
    "everywhere": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "in a name": reply(b"X\nY: v"),
    "before the colon": reply(b"X\n: v"),
    "behind the colon": reply(b"X:\nv"),
    "and CR behind it": reply(b"X: a\n\rY: b"),
}

BARE_CR = {
    "behind a field": reply(b"X: a\rY: b"),
    "before CR LF": reply(b"X: a\r\r\nY: b"),
    "behind CR LF": reply(b"X: a\r\n\rY: b"),
    "in a value": reply(b"X: a\rb"),
    "in a name": reply(b"X\rY: v"),
    "behind the colon": reply(b"X:\rv"),
    "for all of the value": reply(b"X:\r\r\nY: b"),
}

# Folded lines (RFC 9112 section 5.2). A user agent should join them; we refuse them as Node does: what one reader
# joins is a field of its own to the next, and where a fold decides how the message is framed, nobody agrees with
# anybody (curl reads one byte of "1 CRLF SP 0").

FOLDS = {
    "a space": b"X: a\r\n b",
    "a tab": b"X: a\r\n\tb",
    "many blanks": b"X: a \t\r\n \t b",
    "before the value": b"X:\r\n a",
    "three lines": b"X: a\r\n b\r\n c",
    "an empty line": b"X: a\r\n \r\n b",
    "like a field": b"X: a\r\n Content-Length: 9",
    "like a field without a name": b"X: a\r\n : b",
    "like a framing field": b"X: a\r\n Transfer-Encoding: chunked",
}

FRAMING_FOLDS = {
    "a length, before it": b"Content-Length:\r\n 2\r\nX: a",
    "a length, inside": b"Content-Length: 1\r\n 0\r\nX: a",
    "a coding, before it": b"Transfer-Encoding:\r\n chunked\r\nX: a",
    "a coding, behind it": b"Transfer-Encoding: chunked\r\n , identity\r\nX: a",
    "no field yet": b" folded\r\nX: a",
    "no field yet, a tab": b"\tfolded\r\nX: a",
}


def folds() -> Iterator[Row]:
    for name, line in FOLDS.items():
        yield Row(f"fold: {name}", reply(line), BROKEN, "llhttp")
    for name, lines in FRAMING_FOLDS.items():
        yield Row(f"fold: {name}", b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n\r\nok", BROKEN, "RFC 9112 5.2, llhttp")


# Number and size

# What a status line and its end, LENGTH and the empty line take from the size, and "X-Pad: " and its end.
_FRAME = len(reply(b"X-Pad: ")) - len(b"ok")


def padded(size: int) -> bytes:
    """A reply whose head has `size` bytes."""
    return reply(b"X-Pad: " + b"x" * (size - _FRAME))


def many(count: int) -> bytes:
    """A reply with `count` fields, Content-Length among them."""
    return reply(b"\r\n".join(b"X-%d: v" % number for number in range(count - 1)))


def large(name: str, says: bytes, outcome: Answer | Refused) -> Row:
    """Byte by byte over TLS it takes seconds, on a busy machine more than a test's usual patience."""
    return Row(f"large: {name}", says, outcome, "RFC 9110 5.4, CVE-2023-38039", options={"timeout": 60})


# Fields whose content is not for the engine: nonsense in them must not cost the response.
NONSENSE = {
    "Content-Type": b"Content-Type: ;;;=",
    "Date": b"Date: yesterday",
    "Set-Cookie": b"Set-Cookie: =;;;=\r\nSet-Cookie:\r\nSet-Cookie: a=b; Max-Age=x; Domain=..; Path",
    "Location of no redirect": b"Location: http://[",
    "Retry-After": b"Retry-After: soon",
    "Age": b"Age: -1",
    "Alt-Svc": b'Alt-Svc: h2="',
    "Keep-Alive": b"Keep-Alive: for ever",
    "WWW-Authenticate": b'WWW-Authenticate: Basic realm="',
    "Strict-Transport-Security": b"Strict-Transport-Security: x",
    "Trailer of no chunked message": b"Trailer: X-Sum",
    "Upgrade": b"Connection: Upgrade\r\nUpgrade: h2c, websocket",
    "ETag": b'ETag: W/"',
    "Content-Disposition": b"Content-Disposition: attachment; filename*=x''%",
    "Link": b"Link: <",
    "Content-Range of no part": b"Content-Range: bytes 0-1/1",
}


def nonsense() -> Iterator[Row]:
    for name, line in NONSENSE.items():
        yield Row(f"nonsense: {name}", reply(line), Answer(200, b"ok"), "RFC 9112 5.1, curl, h11")


# What they say of the connection

KEPT_BY_1_1 = {
    "keep-alive": b"Connection: keep-alive",
    "Keep-Alive": b"Connection: Keep-Alive",
    "empty": b"Connection:",
    "another option": b"Connection: X-Option",
    "a longer word": b"Connection: closed",
    "a word with a dash": b"Connection: not-close",
    "quoted": b'Connection: "close"',
    "with a parameter": b"Connection: close;x=1",
    "two words": b"Connection: foo close",
    "Proxy-Connection": b"Proxy-Connection: close",
    "a field called close": b"Close:",
    "Keep-Alive of two seconds": b"Keep-Alive: timeout=2",
    "Keep-Alive of a century": b"Keep-Alive: timeout=3153600000, max=100",
    "Keep-Alive without a time": b"Keep-Alive: max=100",
    "a framing field named": b"Connection: Content-Length",
}

CLOSED_BY_1_1 = {
    "close": b"Connection: close",
    "CLOSE": b"Connection: CLOSE",
    "lower-case name": b"connection: close",
    "upper-case name": b"CONNECTION: Close",
    "no space before it": b"Connection:close",
    "tabs around it": b"Connection:\tclose\t",
    "first of a list": b"Connection: close, X-Option",
    "last of a list": b"Connection: X-Option,close",
    "with empty elements": b"Connection: , ,close,,",
    "before keep-alive": b"Connection: close, keep-alive",
    "behind keep-alive": b"Connection: keep-alive, close",
    "in a second field": b"Connection: keep-alive\r\nConnection: close",
    "in a first field": b"Connection: close\r\nConnection: keep-alive",
    "twice": b"Connection: close\r\nX: v\r\nConnection: close",
    "with Keep-Alive": b"Connection: close\r\nKeep-Alive: timeout=60",
    "a server that closes at once": b"Keep-Alive: timeout=0",
    "a server that closes in a second": b"Keep-Alive: timeout=1",
}

KEPT_BY_1_0 = {
    "keep-alive": b"Connection: keep-alive",
    "Keep-Alive": b"Connection: Keep-Alive",
    "in a list": b"Connection: X-Option, keep-alive",
    "in a second field": b"Connection: X-Option\r\nConnection: keep-alive",
    "with Keep-Alive": b"Connection: keep-alive\r\nKeep-Alive: timeout=5, max=99",
}

CLOSED_BY_1_0 = {
    "nothing": b"X: v",
    "close": b"Connection: close",
    "both": b"Connection: keep-alive, close",
    "another option": b"Connection: X-Option",
    "Keep-Alive only": b"Keep-Alive: timeout=5",
    "Proxy-Connection only": b"Proxy-Connection: keep-alive",
}


def connections() -> Iterator[Row]:
    for version, kept, lines in (
        (b"HTTP/1.1", True, KEPT_BY_1_1),
        (b"HTTP/1.1", False, CLOSED_BY_1_1),
        (b"HTTP/1.0", True, KEPT_BY_1_0),
        (b"HTTP/1.0", False, CLOSED_BY_1_0),
    ):
        said = f"{'kept' if kept else 'closed'} by {version[5:].decode()}"
        for name, line in lines.items():
            yield Row(f"{said}: {name}", reply(line, version), Answer(200, b"ok", kept=kept), "RFC 9112 9.3")


ROWS: list[Row] = [
    *names(),
    *(Row(f"name: {name}", reply(line), having(field), "RFC 9110 5.1") for name, (line, field) in ODD_NAMES.items()),
    *(Row(f"name: {name}", reply(line), BROKEN, "RFC 9112 5.1, h11") for name, line in BAD_NAMES.items()),
    *values(),
    *(Row(f"bare LF: {name}", says, NO_CR, "RFC 9112 2.2, llhttp") for name, says in BARE_LF.items()),
    *(Row(f"bare CR: {name}", says, BROKEN, "RFC 9112 2.2, llhttp") for name, says in BARE_CR.items()),
    *folds(),
    # Order, number, size.
    Row(
        "repeated: three times, in two spellings",
        reply(b"X: a\r\nx: b\r\nX: a"),
        having(("X", "a"), ("X", "b")),
        "RFC 9110 5.3",
    ),
    Row("many: 200 fields", many(200), having(("X-0", "v"), ("X-198", "v")), "RFC 9110 5.4"),
    Row("many: 201 fields", many(201), TOO_MANY, "RFC 9110 5.4, CVE-2023-24534"),
    Row("many: 201 of the shortest", reply(b"\r\n".join([b"x:"] * 200)), TOO_MANY, "RFC 9110 5.4, CVE-2023-24534"),
    large("64 KiB", padded(MAX_HEADER_SIZE), having(("Content-Length", "2"))),
    large("64 KiB and a byte", padded(MAX_HEADER_SIZE + 1), TOO_LARGE),
    large("a name without end", b"HTTP/1.1 200 OK\r\n" + b"x" * 65_600, TOO_LARGE),
    *nonsense(),
    *connections(),
    Row(
        "kept by 1.0: but without a length",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nok",
        UntilEnd(200, b"ok"),
        "RFC 9112 9.3, llhttp",
    ),
    Row(
        "kept by 1.1: but without a length",
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nok",
        UntilEnd(200, b"ok"),
        "RFC 9112 9.3, llhttp",
    ),
    # Unfinished.
    Row("cut: inside a name", b"HTTP/1.1 200 OK\r\nConte", CutShort(), "RFC 9112 8"),
    Row("cut: inside a value", b"HTTP/1.1 200 OK\r\nContent-Length: 2", CutShort(), "RFC 9112 8"),
    Row("cut: inside the end of a field", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r", CutShort(), "RFC 9112 8"),
    Row("cut: before the empty line", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", CutShort(), "RFC 9112 8"),
    Row("cut: inside the empty line", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r", CutShort(), "RFC 9112 8"),
]
