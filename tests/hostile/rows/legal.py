"""Replies that are odd, and legal: content of every kind, statuses that promise what does not come, fields that say
more, less or other than the content does. None of them is for the engine to judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hostile.row import Answer, Row

SEMANTICS = "RFC 9110 15"


def reply(status: str, *fields: str, body: bytes = b"ok") -> bytes:
    lines = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def legal(
    name: str,
    says: bytes,
    body: bytes = b"ok",
    source: str = SEMANTICS,
    *,
    status: int = 200,
    method: str = "GET",
    fields: tuple[tuple[str, str], ...] = (),
    **options: Any,
) -> Row:
    return Row(f"legal: {name}", says, Answer(status, body, fields), source, method, options)


# Content

BODIES: Mapping[str, bytes] = {
    "one byte": b"x",
    "a blank": b" ",
    "a NUL": b"\0",
    "NULs": bytes(500),
    "0xFF": b"\xff" * 100,
    "a line end": b"\r\n",
    "an empty line": b"\r\n\r\n",
    "line ends": b"\r\n" * 100,
    "CRs": b"\r" * 10,
    "LFs": b"\n" * 10,
    "a line end first": b"\r\nok",
    "a CR last": b"ok\r",
    "a response": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "fields": b"Content-Length: 0\r\n\r\n",
    "chunks": b"5\r\nhello\r\n0\r\n\r\n",
    "TLS": b"\x16\x03\x01\x00\x05hello",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "much": b"0123456789" * 2000,
}

# Content-Type, and content that fits, or does not. `content` is what was sent, whatever becomes of `data`.
TYPES: Mapping[str, tuple[str, bytes]] = {
    "JSON": ("application/json", b'{"a": 1}'),
    "JSON with a byte order mark": ("application/json", b'\xef\xbb\xbf{"a": 1}'),
    "JSON in UTF-16": ("application/json", '{"a": "é"}'.encode("utf-16")),
    "JSON that is none": ("application/json", b"{"),
    "JSON and more": ("application/json", b'{"a": 1} {"b": 2}'),
    "JSON of NaN": ("application/json", b"[NaN, Infinity]"),
    "JSON of a huge number": ("application/json", b"1" * 400),
    "JSON very deep": ("application/json", b"[" * 3000 + b"]" * 3000),
    "JSON of a lone surrogate": ("application/json", b'"\\ud800"'),
    "JSON with one name twice": ("application/json", b'{"a": 1, "a": 2}'),
    "JSON of nothing": ("application/json", b""),
    "JSON of blanks": ("application/json", b" \r\n "),
    "JSON of bytes": ("application/json", b"\x80\x81"),
    "JSON lines": ("application/x-ndjson", b'{"a": 1}\n{"b": 2}\n'),
    "a problem": ("application/problem+json", b'{"status": 400}'),
    "HTML as JSON": ("application/json", b"<html></html>"),
    "JSON as HTML": ("text/html", b'{"a": 1}'),
    "JSON with an odd type": ("application/json;;charset=;=x; charset", b'{"a": 1}'),
    "text in Latin-1": ("text/plain; charset=iso-8859-1", b"caf\xe9"),
    "text in quotes' Latin-1": ('text/plain; charset="ISO-8859-1"', b"caf\xe9"),
    "text in UTF-16": ("text/plain; charset=utf-16", "é".encode("utf-16")),
    "text in UTF-8 that is none": ("text/plain; charset=utf-8", b"caf\xe9"),
    "text in Shift JIS": ("text/html; charset=Shift_JIS", "日本".encode("shift_jis")),
    "text in an unknown charset": ("text/plain; charset=klingon", b"caf\xe9"),
    "text in no charset": ("text/plain; charset=", b"caf\xe9"),
    "text in a codec that is no charset": ("text/plain; charset=base64", b"b2s="),
    "text in a codec that is dangerous": ("text/plain; charset=unicode_escape", b"\\x41"),
    "text in two charsets": ("text/plain; charset=utf-8; charset=latin-1", b"caf\xc3\xa9"),
    "text with a byte order mark": ("text/plain", b"\xef\xbb\xbfok"),
    "an image that is none": ("image/png", b"no image"),
    "no type at all": ("", b"ok"),
    "a type without a subtype": ("text", b"ok"),
    "a type of a slash": ("/", b"ok"),
    "a type of parameters": ("; charset=utf-8", b"ok"),
    "a type of bytes": ("caf\xe9/\xff", b"ok"),
    "a type of any": ("*/*", b"ok"),
    "two types in one field": ("text/html, application/json", b'{"a": 1}'),
    "server-sent events": ("text/event-stream", b"data: a\n\n"),
    "a message": ("message/http", b"HTTP/1.1 200 OK\r\n\r\n"),
}

RANGES = b"--a\r\nContent-Range: bytes 0-0/9\r\n\r\nh\r\n--a\r\nContent-Range: bytes 4-4/9\r\n\r\no\r\n--a--\r\n"


def contents() -> list[Row]:
    return [
        *(
            legal(f"content of {name}", reply("200 OK", body=body), body, "RFC 9112 6.2")
            for name, body in BODIES.items()
        ),
        *(
            legal(
                f"{kind}, for {name}",
                reply("200 OK", f"Content-Type: {kind_of}", body=body),
                body,
                "RFC 9110 8.3",
                response_type=kind,
            )
            for name, (kind_of, body) in TYPES.items()
            for kind in ["json" if "JSON" in name else "text"]
        ),
        legal("two types in two fields", reply("200 OK", "Content-Type: a/b", "Content-Type: c/d"), source="Fetch"),
    ]


# Statuses

STATUSES: Mapping[str, tuple[str, ...]] = {
    "200 OK": ("Location: /elsewhere",),
    "201 Created": ("Location: /elsewhere",),
    "202 Accepted": ("Location: /elsewhere", "Retry-After: 120"),
    "203 Non-Authoritative Information": ("Warning: 214 - x",),
    "206 Partial Content": ("Content-Range: bytes 0-1/9",),
    "206 Partial": ("Content-Range: bytes 0-1/*",),
    "206 Part": (),
    "206 Of What": ("Content-Range: bytes 5-4/0",),
    "206 Other Units": ("Content-Range: seconds 0-1/9",),
    "207 Multi-Status": ("Content-Type: application/xml",),
    "226 IM Used": ("IM: vcdiff",),
    "300 Multiple Choices": ("Alternates: x",),
    "300 With Location": ("Location: /elsewhere",),
    "301 Nowhere": ("Location:",),
    "302 Nowhere": ("Location:  \t ",),
    "305 Use Proxy": ("Location: http://127.0.0.1:1/",),
    "306 Unused": ("Location: /elsewhere",),
    "310 Unknown": ("Location: /elsewhere",),
    "401 Without A Challenge": (),
    "401 Basic": ('WWW-Authenticate: Basic realm="a"',),
    "401 Unknown Scheme": ("WWW-Authenticate: Hawk",),
    "401 Broken Challenge": ('WWW-Authenticate: Digest realm="',),
    "401 Empty Challenge": ("WWW-Authenticate:",),
    "404 Not Found": ("Location: /elsewhere",),
    "405 Method Not Allowed": ("Allow:",),
    "406 Not Acceptable": ("Content-Type: x/y",),
    "407 Of An Origin": ('Proxy-Authenticate: Basic realm="a"',),
    "407 Without A Challenge": (),
    "409 Conflict": ('ETag: "a"',),
    "410 Gone": ("Cache-Control: max-age=1",),
    "412 Precondition Failed": ("ETag: W/",),
    "413 Content Too Large": ("Retry-After: soon",),
    "415 Unsupported Media Type": ("Accept-Encoding: identity",),
    "416 Range Not Satisfiable": ("Content-Range: bytes */9",),
    "426 Upgrade Required": ("Connection: upgrade", "Upgrade: TLS/1.0, HTTP/2.0"),
    "429 Too Many Requests": ("Retry-After: 3600",),
    "451 Unavailable For Legal Reasons": ('Link: <https://a.test/>; rel="blocked-by"',),
    "502 Bad Gateway": ("Via: 1.1 a",),
    "503 Service Unavailable": ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT",),
    "511 Network Authentication Required": ("Location: http://portal.test/",),
    "520 Of A CDN": ("CF-RAY: x",),
}


def statuses() -> list[Row]:
    followed = ("301", "302", "303", "307", "308")
    return [
        *(
            legal(
                f"a {status}, {fields[0].partition(':')[0]}" if fields else f"a {status}",
                reply(status, "X: y", *fields),
                status=int(status[:3]),
            )
            for status, fields in STATUSES.items()
        ),
        *(
            legal(
                f"a {status} that nobody follows",
                reply(f"{status} Go", "Location: /elsewhere"),
                status=int(status),
                source="RFC 9110 15.4",
                fields=(("location", "/elsewhere"),),
                maxRedirects=0,
            )
            for status in followed
        ),
        *(
            legal(
                f"a {status} without a Location",
                reply(f"{status} Go", "X: y"),
                status=int(status),
                source="RFC 9110 15.4",
            )
            for status in followed
        ),
        legal(
            "a 302 to POST that nobody follows",
            reply("302 Go", "Location: /a"),
            status=302,
            method="POST",
            maxRedirects=0,
        ),
        legal(
            "a 302 to an odd place that nobody follows",
            reply("302 Go", "Location: ht!tp:// x"),
            status=302,
            maxRedirects=0,
        ),
        legal(
            "a 206 in parts",
            reply("206 Parts", "Content-Type: multipart/byteranges; boundary=a", body=RANGES),
            RANGES,
            "RFC 9110 14.6",
            status=206,
        ),
        legal(
            "a 206 in parts without a boundary",
            reply("206 Parts", "Content-Type: multipart/byteranges", body=RANGES),
            RANGES,
            "RFC 9110 14.6",
            status=206,
        ),
        legal(
            "a 304 with all its fields",
            b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nVary: *\r\nContent-Type: a/b\r\nContent-Length: 99\r\n\r\n',
            b"",
            "RFC 9110 15.4.5",
            status=304,
            fields=(("content-length", "99"), ("vary", "*")),
        ),
        legal(
            "a 304 to who did not ask",
            b"HTTP/1.1 304 Not Modified\r\nDate: x\r\n\r\n",
            b"",
            "RFC 9110 15.4.5",
            status=304,
        ),
        legal(
            "a 304 to POST",
            b"HTTP/1.1 304 Not Modified\r\nDate: x\r\n\r\n",
            b"",
            "RFC 9112 6.3",
            status=304,
            method="POST",
        ),
        legal(
            "a 204 with a type",
            b"HTTP/1.1 204 No Content\r\nContent-Type: text/html\r\n\r\n",
            b"",
            "RFC 9110 15.3.5",
            status=204,
        ),
    ]


# Methods


def methods() -> list[Row]:
    length = b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 1000000\r\n\r\n"
    missing = b"HTTP/1.1 404 Not Found\r\nX: y\r\nContent-Length: 9\r\n\r\n"
    return [
        legal("HEAD, and a large Content-Length", length, b"", "RFC 9110 9.3.2", method="HEAD"),
        legal(
            "HEAD, and nothing about content", b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n", b"", "RFC 9110 9.3.2", method="HEAD"
        ),
        legal("HEAD of nothing", reply("200 OK", "X: y", body=b""), b"", "RFC 9110 9.3.2", method="HEAD"),
        legal("HEAD of what is missing", missing, b"", "RFC 9110 9.3.2", status=404, method="HEAD"),
        legal(
            "HEAD of HTTP/1.0 that keeps",
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n",
            b"",
            "RFC 9112 9.3",
            method="HEAD",
        ),
        legal("HEAD, and a redirect without Location", reply("301 Go", body=b""), b"", status=301, method="HEAD"),
        *(
            legal(f"{method} with content", reply("200 OK", "X: y"), method=method)
            for method in (*WITH_CONTENT, "REPORT")
        ),
        *(
            legal(f"{method} without content", reply("200 OK", "X: y", body=b""), b"", method=method)
            for method in WITH_CONTENT
        ),
        *(
            legal(f"{method} and a 204", b"HTTP/1.1 204 No\r\nX: y\r\n\r\n", b"", status=204, method=method)
            for method in WITH_CONTENT
        ),
    ]


WITH_CONTENT = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "TRACE")


# Fields that ask for something, or contradict the content

FIELDS: Mapping[str, str] = {
    "an upgrade that is offered": "Connection: Upgrade, Keep-Alive\r\nUpgrade: h2,h2c",
    "another protocol elsewhere": 'Alt-Svc: h3=":443"; ma=86400',
    "HTTPS from now on": "Strict-Transport-Security: max-age=31536000; includeSubDomains",
    "a reload": "Refresh: 0; url=http://evil.test/",
    "a wrong digest": "Content-MD5: AAAAAAAAAAAAAAAAAAAAAA==",
    "a wrong structured digest": "Content-Digest: sha-256=:AA==:",
    "a range in a 200": "Content-Range: bytes 0-0/1",
    "a date of before the epoch": "Last-Modified: Thu, 01 Jan 0001 00:00:00 GMT",
    "an age beyond all": f"Age: {'9' * 100}",
    "a cookie without a name": "Set-Cookie: =x",
    "a cookie of nothing": "Set-Cookie:",
    "a cookie of another host": "Set-Cookie: a=b; Domain=evil.test",
    "a cookie of attributes": "Set-Cookie: ; Path=/; Secure",
    "a cookie of semicolons": "Set-Cookie: ;;;;;",
    "a cookie with a broken date": "Set-Cookie: a=b; Expires=never; Max-Age=x",
    "a cookie that is too large": f"Set-Cookie: a={'x' * 5000}",
    "a cookie of bytes": "Set-Cookie: a=\xff\xfe",
    "a place": "Content-Location: //[",
    "a file name": 'Content-Disposition: attachment; filename="../../etc/passwd"',
    "a request's field": "Host: evil.test",
    "trailers that cannot come": "Trailer: Digest",
    "an answer to another": "X-Request-Id: 1\r\nX-Request-Id: 2",
}


def fields() -> list[Row]:
    return [
        legal(f"fields of {name}", reply("200 OK", *text.split("\r\n")), source="RFC 9110 5.1")
        for name, text in FIELDS.items()
    ]


ROWS: list[Row] = [*contents(), *statuses(), *methods(), *fields()]
