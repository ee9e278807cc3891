"""Status lines (RFC 9112 section 4), and what else a peer may greet with."""

from __future__ import annotations

from collections.abc import Iterator

from hostile.row import Answer, CutShort, Refused, Row, UntilEnd

REST = b"\r\nContent-Length: 2\r\n\r\nok"

# What begins like HTTP/1 and is broken further on.
BROKEN = Refused("broken response head")
# What is no such thing, by its first bytes or by its whole line.
NOT_HTTP = Refused("not an HTTP/1.1 response")
TOO_LARGE = Refused("maxHeaderSize", code="HPE_HEADER_OVERFLOW")


def status_line(name: str, line: bytes, outcome: Answer | Refused, source: str) -> Row:
    return Row(name, line + REST, outcome, source)


# Status codes

# Registered or not, they are what their first digit says (RFC 9110 section 15).
UNUSUAL_CODES = (
    *(203, 206, 207, 208, 218, 226, 250, 299),
    *(300, 301, 302, 303, 305, 306, 307, 308, 310, 399),  # without a Location there is nowhere to go
    *(401, 402, 407, 408, 418, 421, 425, 429, 444, 451, 460, 499),
    *(500, 503, 509, 511, 520, 530, 599),
)

# Invalid by RFC 9110 section 15, which would have them taken for a 5xx; here such a line is no status line.
CODES_ABOVE_599 = (600, 666, 799, 999)

CODES_BELOW_100 = (b"000", b"001", b"099")

NO_CODES = {
    "1000": b"1000",
    "one digit": b"2",
    "two digits": b"20",
    "twelve digits": b"200000000200",
    "none": b"",
    "letters": b"OKE",
    "a letter O": b"2O0",
    "hexadecimal": b"0xC8",
    "signed": b"+200",
    "negative": b"-200",
    "a fraction": b"200.1",
    "an exponent": b"2e2",
    "digits of another script": "２００".encode(),
    "with an underscore": b"2_0",
    "split by a space": b"2 00",
    "a comma behind it": b"200,",
}


def codes() -> Iterator[Row]:
    for number in UNUSUAL_CODES:
        outcome = Answer(number, b"ok")
        yield status_line(f"status: {number}", b"HTTP/1.1 %d Odd" % number, outcome, "RFC 9110 15, curl, h11")
    for number in CODES_ABOVE_599:
        yield status_line(f"status: {number}", b"HTTP/1.1 %d Odd" % number, NOT_HTTP, "RFC 9110 15")
    for code in CODES_BELOW_100:
        yield status_line(f"status: {code.decode()}", b"HTTP/1.1 %b Odd" % code, NOT_HTTP, "RFC 9110 15, curl, h11")
    for name, code in NO_CODES.items():
        yield status_line(f"status: {name}", b"HTTP/1.1 %b Odd" % code, BROKEN, "RFC 9112 4, h11")


# Versions

# "SHOULD process the message as if it were in the highest minor version" (RFC 9110 section 6.2): but no such version
# exists or ever will, so whoever says so is no HTTP server. curl and llhttp refuse it, h11 does not.
NO_MINOR_VERSIONS = {"1.2": b"HTTP/1.2", "1.3": b"HTTP/1.3", "1.9": b"HTTP/1.9"}

NO_VERSIONS = {
    "0.9": b"HTTP/0.9",
    "2.0": b"HTTP/2.0",
    "3.0": b"HTTP/3.0",
    "2": b"HTTP/2",
    "1": b"HTTP/1",
    "1.": b"HTTP/1.",
    ".1": b"HTTP/.1",
    "11.1": b"HTTP/11.1",
    "01.1": b"HTTP/01.1",
    "1.10": b"HTTP/1.10",
    "1.01": b"HTTP/1.01",
    "1.1.1": b"HTTP/1.1.1",
    "1,1": b"HTTP/1,1",
    "+1.1": b"HTTP/+1.1",
    "1.x": b"HTTP/1.x",
    "digits of another script": "HTTP/１.１".encode(),
    "no slash": b"HTTP 1.1",
    "a backslash": b"HTTP\\1.1",
    "two slashes": b"HTTP//1.1",
    "a space before the slash": b"HTTP /1.1",
    "a space behind the slash": b"HTTP/ 1.1",
    "a space behind the dot": b"HTTP/1. 1",
    "a NUL behind it": b"HTTP/1.1\0",
    "lower case": b"http/1.1",
    "mixed case": b"Http/1.1",
    "HTTPS": b"HTTPS/1.1",
    "HTP": b"HTP/1.1",
    "none": b"",
}


def versions() -> Iterator[Row]:
    for name, version in NO_MINOR_VERSIONS.items():
        yield status_line(f"version: {name}", version + b" 200 OK", BROKEN, "curl, llhttp")
    for name, version in NO_VERSIONS.items():
        outcome = BROKEN if version.startswith(b"HTTP/1.") else NOT_HTTP
        yield status_line(f"version: {name}", version + b" 200 OK", outcome, "RFC 9112 2.3")


# Reason phrases

# By the octets: what `status_text` says. Where there is none, that is the code's usual one.
REASONS: dict[str, tuple[bytes, str]] = {
    "empty": (b" ", "OK"),
    "a word in lower case": (b" ok", "ok"),
    "that of another code": (b" Not Found", "Not Found"),
    "digits": (b" 404", "404"),
    "white space only": (b"  \t ", "OK"),
    "two spaces before it": (b"  OK", "OK"),
    "a tab in it": (b" a\tb", "a\tb"),
    "white space behind it": (b" OK \t", "OK"),
    "a colon in it": (b" Content-Length: 5", "Content-Length: 5"),
    "like a status line": (b" HTTP/1.1 404 No", "HTTP/1.1 404 No"),
    "UTF-8": (" schön ✓".encode(), "schön ✓"),
    "Latin-1": (" schön".encode("latin-1"), "schön"),
    "every visible character": (b" " + bytes(range(0x21, 0x7F)), bytes(range(0x21, 0x7F)).decode()),
    "every octet of obs-text": (b" " + bytes(range(0x80, 0x100)), bytes(range(0x80, 0x100)).decode("latin-1")),
    "8 KiB": (b" " + b"x" * 8192, "x" * 8192),
}


def reasons() -> Iterator[Row]:
    for name, (reason, text) in REASONS.items():
        outcome = Answer(200, b"ok", reason=text)
        yield status_line(f"reason: {name}", b"HTTP/1.1 200" + reason, outcome, "RFC 9112 4")
    for octet in b"\x00\x01\x08\x0b\x0c\x1b\x1f\x7f":
        line = b"HTTP/1.1 200 O%cK" % octet
        yield status_line(f"reason: 0x{octet:02x} in it", line, NOT_HTTP, "RFC 9112 4, RFC 9110 5.5")


# Other protocols

GREETINGS = {
    "nothing but blank lines": b"\r\n\r\n\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "SMTP": b"220 mail.test ESMTP ready\r\n",
    "FTP": b"220-Welcome\r\n220 ready\r\n",
    "POP3": b"+OK POP3 ready\r\n",
    "IMAP": b"* OK IMAP4rev1 ready\r\n",
    "RTSP": b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n",
    "SIP": b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "ICY": b"ICY 200 OK\r\nicy-name: radio\r\n\r\n",
    "ICE": b"ICE/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "ICAP": b"ICAP/1.0 204 No Content\r\n\r\n",
    "HTTP/2 SETTINGS": b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "TLS handshake": b"\x16\x03\x03\x00\x31\x02\x00\x00\x2d\x03\x03",
    "SOCKS5": b"\x05\x00",
    "WebSocket frame": b"\x81\x05Hello",
    "Redis": b"-ERR unknown command 'GET'\r\n",
    "MySQL": b"\x4a\x00\x00\x00\x0a8.0.36\x00",
    "memcached": b"ERROR\r\n",
    "PROXY protocol": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 80\r\n",
    "PROXY protocol, version 2": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c",
    "our own request": b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "CGI": b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nok",
    "HTML without a head (HTTP/0.9)": b"<html>hello</html>\r\n\r\n",
    "JSON without a head": b'{"ok": true}',
    "gzip without a head": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "UTF-16": "HTTP/1.1 200 OK\r\n\r\n".encode("utf-16-le"),
}

# Clients differ from servers here: none of them may have sent a blank line before (RFC 9112 section 2.2).
LEADING = {
    "CRLF": b"\r\n",
    "two CRLF": b"\r\n\r\n",
    "LF": b"\n",
    "CR": b"\r",
    "a space": b" ",
    "a tab": b"\t",
    "NUL": b"\0",
    "a byte order mark": b"\xef\xbb\xbf",
    "a field": b"Content-Length: 2\r\n",
}

# Between the parts of the line.
BLANKS = {
    "two spaces behind the version": b"HTTP/1.1  200 OK",
    "a tab behind the version": b"HTTP/1.1\t200 OK",
    "nothing behind the version": b"HTTP/1.1200 OK",
    "a tab behind the code": b"HTTP/1.1 200\tOK",
    "nothing behind the code": b"HTTP/1.1 200OK",
    "a form feed behind the version": b"HTTP/1.1\x0c200 OK",
    "a CR behind the code": b"HTTP/1.1 200\rOK",
    "two CR at its end": b"HTTP/1.1 200 OK\r",
    "a CR in the reason": b"HTTP/1.1 200 O\rK",
}


def other_beginnings() -> Iterator[Row]:
    for name, greeting in GREETINGS.items():
        yield Row(f"greeting: {name}", greeting, NOT_HTTP, "RFC 9112 2.1, curl")
    for name, octets in LEADING.items():
        yield status_line(f"before the line: {name}", octets + b"HTTP/1.1 200 OK", NOT_HTTP, "RFC 9112 2.2, curl, h11")
    for name, line in BLANKS.items():
        yield status_line(f"in the line: {name}", line, BROKEN, "RFC 9112 4, h11")


ROWS: list[Row] = [
    # Odd but legal.
    status_line("reason: none", b"HTTP/1.1 200", Answer(200, b"ok", reason="OK"), "curl, h11"),
    status_line("version: 1.0", b"HTTP/1.0 200 OK", Answer(200, b"ok", kept=False), "RFC 9112 9.3"),
    Row("end: no field at all", b"HTTP/1.1 200 OK\r\n\r\nok", UntilEnd(200, b"ok"), "RFC 9112 6.3"),
    Row("end: no field, reason or content", b"HTTP/1.1 200\r\n\r\n", UntilEnd(200, b""), "RFC 9112 6.3, curl"),
    Row("end: HTTP/1.0 and nothing else", b"HTTP/1.0 200\r\n\r\nok", UntilEnd(200, b"ok"), "RFC 9112 6.3, curl"),
    # Odd or not.
    *codes(),
    *versions(),
    *reasons(),
    *other_beginnings(),
    Row("end of line: LF", b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok", Refused("ends without CR"), "llhttp"),
    Row("end of line: CR", b"HTTP/1.1 200 OK\rContent-Length: 2\r\n\r\nok", BROKEN, "RFC 9112 2.2, h11"),
    Row(
        "endless: a reason of 64 KiB",
        b"HTTP/1.1 200 " + b"x" * 65_536,
        TOO_LARGE,
        "RFC 9110 5.4, CVE-2023-38039",
        options={"timeout": 60},  # byte by byte over TLS it takes seconds
    ),
    # Unfinished.
    Row("cut: inside the version", b"HTTP/1.", CutShort(), "RFC 9112 8"),
    Row("cut: behind the version", b"HTTP/1.1 ", CutShort(), "RFC 9112 8"),
    Row("cut: inside the code", b"HTTP/1.1 20", CutShort(), "RFC 9112 8"),
    Row("cut: inside the reason", b"HTTP/1.1 200 O", CutShort(), "RFC 9112 8"),
    Row("cut: inside the end of the status line", b"HTTP/1.1 200 OK\r", CutShort(), "RFC 9112 8"),
    Row("cut: behind the status line", b"HTTP/1.1 200 OK\r\n", CutShort(), "RFC 9112 8"),
]
