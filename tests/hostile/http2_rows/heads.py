"""What a head may not hold (RFC 9113 section 8): the stream is malformed, its neighbours are not."""

from __future__ import annotations

from collections.abc import Iterator

from hostile.http2_rows.row import OK, Row, StreamRefused
from support.http2_peer import DATA, END_STREAM, Field, data, frame, headers, response

MALFORMED = StreamRefused()


def field(name: bytes, value: bytes = b"v") -> bytes:
    return response(1, 200, [(name, value)], b"ok")


NAMES = {
    "upper case": b"X-Field",
    "one letter in upper case": b"x-fielD",
    "a space": b"x field",
    "a space in front": b" x",
    "a space behind": b"x ",
    "a tab": b"x\ty",
    "a colon inside": b"x:y",
    "a colon behind": b"x:",
    "NUL": b"x\0y",
    "CR LF": b"x\r\ny",
    "LF": b"x\ny",
    "DEL": b"x\x7f",
    "0x80": b"x\x80",
    "UTF-8": "ü".encode(),
    "nothing": b"",
    "a quote": b'x"y',
    "a slash": b"x/y",
    "a bracket": b"x[y",
    "Connection in upper case": b"CONNECTION",
    "a whole field line": b"set-cookie: a=b\r\nx",
}

VALUES = {
    "NUL": b"a\0b",
    "CR": b"a\rb",
    "LF": b"a\nb",
    "CR LF": b"a\r\nset-cookie: b=c",
    "CR at the end": b"a\r",
    "LF at the end": b"a\n",
    "NUL at the start": b"\0a",
    "a space in front": b" a",
    "a space behind": b"a ",
    "a tab in front": b"\ta",
    "a tab behind": b"a\t",
    "a space alone": b" ",
    "DEL": b"a\x7fb",
    "0x01": b"a\x01b",
    "ESC": b"\x1b[31m",
}

CONNECTION_SPECIFIC: tuple[Field, ...] = (
    (b"connection", b"close"),
    (b"connection", b"keep-alive"),
    (b"connection", b"x-field"),
    (b"keep-alive", b"timeout=5"),
    (b"proxy-connection", b"keep-alive"),
    (b"transfer-encoding", b"chunked"),
    (b"transfer-encoding", b"identity"),
    (b"upgrade", b"websocket"),
    (b"te", b"gzip"),
)

# Behind :status, unless they hold one
PSEUDO: dict[str, tuple[Field, ...]] = {
    "no status": ((b"x", b"y"),),
    "no field at all": (),
    "status twice": (OK, OK),
    "status twice, differently": (OK, (b":status", b"404")),
    "status behind a field": ((b"x", b"y"), OK),
    "status again behind a field": (OK, (b"x", b"y"), OK),
    "a path": (OK, (b":path", b"/")),
    "a method": (OK, (b":method", b"GET")),
    "a scheme": (OK, (b":scheme", b"http")),
    "an authority": (OK, (b":authority", b"a")),
    "a protocol": (OK, (b":protocol", b"websocket")),
    "an unknown one": (OK, (b":unknown", b"v")),
    "a colon alone": (OK, (b":", b"v")),
    "a path in front": ((b":path", b"/"), OK),
    "a request": ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")),
    "status in upper case": ((b":Status", b"200"),),
    "status without its colon": ((b"status", b"200"),),
}

STATUSES = {
    "empty": b"",
    "letters": b"abc",
    "two digits": b"99",
    "one digit": b"2",
    "four digits": b"1000",
    "five digits": b"20000",
    "below 100": b"099",
    "zero": b"000",
    "a sign": b"+20",
    "a minus": b"-20",
    "a space in front": b" 200",
    "a space behind": b"200 ",
    "a space inside": b"2 0",
    "a phrase": b"200 OK",
    "hexadecimal": b"0xc",
    "a point": b"2.0",
    "other digits": "２００".encode(),
    "a digit and its zeros": b"2e2",
    "NUL": b"20\0",
    "a line": b"200\r\nx: y",
    "switching protocols": b"101",
    "600": b"600",
    "999": b"999",
}


def _rows() -> Iterator[Row]:
    for name, each in NAMES.items():
        yield Row(f"a field name with {name}", field(each), MALFORMED, "8.2.1")
    for name, each in VALUES.items():
        yield Row(f"a field value with {name}", field(b"x", each), MALFORMED, "8.2.1, RFC 9110 5.5")
        if name in ("NUL", "CR LF", "a space behind"):
            trailers = headers(1, OK) + data(1, b"ok") + headers(1, (b"x", each), end=True)
            yield Row(f"a trailer with {name}", trailers, MALFORMED, "8.2.1")
            early = headers(1, (b":status", b"103"), (b"x", each)) + response(1)
            yield Row(f"an interim head with {name}", early, MALFORMED, "8.2.1")
    for key, value in CONNECTION_SPECIFIC:
        name = f"{key.decode()}: {value.decode()}"
        yield Row(name, field(key, value), MALFORMED, "8.2.2")
        trailers = headers(1, OK) + data(1, b"ok") + headers(1, (key, value), end=True)
        yield Row(f"{name} in the trailers", trailers, MALFORMED, "8.2.2")
        early = headers(1, (b":status", b"103"), (key, value)) + response(1)
        yield Row(f"{name} in an interim head", early, MALFORMED, "8.2.2")
    for name, fields in PSEUDO.items():
        yield Row(f"pseudo fields: {name}", headers(1, *fields) + data(1, b"ok", end=True), MALFORMED, "8.3")
    for name, value in STATUSES.items():
        said = headers(1, (b":status", value)) + data(1, b"ok", end=True)
        yield Row(f"a status: {name}", said, MALFORMED, "8.3.2, 8.6")
    for pseudo in (OK, (b":path", b"/"), (b":unknown", b"v")):
        said = headers(1, OK) + data(1, b"ok") + headers(1, pseudo, end=True)
        yield Row(f"{pseudo[0].decode()} in the trailers", said, MALFORMED, "8.1")


ROWS = [
    *_rows(),
    Row("trailers that end nothing", headers(1, OK) + data(1, b"ok") + headers(1, (b"x", b"y")), MALFORMED, "8.1"),
    Row("a second head", headers(1, OK) + headers(1, OK) + data(1, b"ok", end=True), MALFORMED, "8.1"),
    Row("a second head with the end", headers(1, OK) + headers(1, (b":status", b"204"), end=True), MALFORMED, "8.1"),
    Row(
        "an interim head behind the head",
        headers(1, OK) + headers(1, (b":status", b"103")) + data(1, b"ok", end=True),
        MALFORMED,
        "8.1",
    ),
    Row("an interim head with the end", headers(1, (b":status", b"103"), end=True), MALFORMED, "8.1"),
    Row("100 with the end", headers(1, (b":status", b"100"), end=True), MALFORMED, "8.1"),
    Row(
        "DATA behind an interim head",
        headers(1, (b":status", b"103")) + frame(DATA, END_STREAM, 1, b"ok"),
        MALFORMED,
        "8.1",
    ),
]
