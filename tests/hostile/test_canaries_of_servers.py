"""What a server puts into our words: its own secrets are as secret as ours, and what it says is data.

Secrets: response content, Set-Cookie, tokens in a Location. A message, a log line or a traceback has none of them.
Everything else that is quoted of a peer is escaped and short: nothing in it moves a terminal's cursor, begins a line of
its own in a log, or fills the disk.
"""

from __future__ import annotations

import dataclasses
import enum
import pickle
import re
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest

from atomhttp import AtomHTTP, AtomHTTPDecodeError, AtomHTTPError, AtomHTTPProtocolError, AtomHTTPStatusError
from hostile.canaries import CORE, everything_logged, leaks, parts, views
from support.peer import Peer, close, expect_head, send
from support.scripted_proxy import Reply, ScriptedProxy

SECRET = CORE.encode()
JSON = b'{"password": "%b"}' % SECRET


def reply(
    content: bytes = b"", *fields: bytes, status: bytes = b"200 OK", content_type: bytes = b"application/json"
) -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Type: " + content_type, b"Content-Length: %d" % len(content), *fields]
    return b"\r\n".join([*lines, b"", content])


async def fail(answer: bytes, **options: Any) -> tuple[AtomHTTPError, list[str]]:
    """The error that comes of `answer`, and the log."""
    with Peer([expect_head(), send(answer), close()], repeat=True) as server, everything_logged() as lines:
        async with AtomHTTP(timeout=10) as client:
            with pytest.raises(AtomHTTPError) as caught:
                await client.get(server.url, **options)
    return caught.value, lines


# Content


class Model(pydantic.BaseModel):
    password: int


@dataclasses.dataclass
class Holder:
    model: Model


class Colour(enum.Enum):
    RED = "red"


class Choice(msgspec.Struct):
    password: Literal["one", "other"]


class Tagged(msgspec.Struct, tag_field="password", tag="x"):
    id: int = 0


class Patterned(msgspec.Struct):
    password: Annotated[str, msgspec.Meta(pattern="^x$")]


STRICT = {"transitional": {"silentJSONParsing": False}}
UNDECODED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "pydantic": (JSON, {"response_type": Model}),
    "pydantic, in a list": (b"[%b]" % JSON, {"response_type": list[Model]}),
    "pydantic, in a dataclass": (b'{"model": %b}' % JSON, {"response_type": Holder}),
    "Literal": (JSON, {"response_type": Choice}),
    "Enum": (b'"%b"' % SECRET, {"response_type": Colour}),
    "tag": (JSON, {"response_type": Tagged}),
    "pattern": (JSON, {"response_type": Patterned}),
    "int": (b'"%b"' % SECRET, {"response_type": int}),
    "UUID": (b'"%b"' % SECRET, {"response_type": uuid.UUID}),
    "Decimal": (b'"%b"' % SECRET, {"response_type": Decimal}),
    "values of a dict": (JSON, {"response_type": dict[str, int]}),
    "keys of a dict": (b'{"%b": 1}' % SECRET, {"response_type": dict[int, int]}),
    "not JSON": (SECRET, STRICT),
    "nearly JSON": (JSON[:-1], STRICT),
    "JSON and more": (JSON + b" x", STRICT),
    "NaN": (b'{"password": "%b", "x": NaN}' % SECRET, STRICT),
    "not UTF-8": (JSON[:-1] + b"\xff", STRICT),
    "no number": (b'{"password": 1%b}' % SECRET, {"response_type": dict[str, int]}),
}


@pytest.mark.parametrize("name", UNDECODED)
async def test_content_that_does_not_fit_is_not_shown(name: str) -> None:
    content, options = UNDECODED[name]
    error, lines = await fail(reply(content), **options)
    assert type(error) is AtomHTTPDecodeError
    assert leaks({**views(error), "log": "\n".join(lines)}) == []


async def test_content_that_is_no_gzip_is_not_shown() -> None:
    error, lines = await fail(reply(JSON, b"Content-Encoding: gzip"))
    assert leaks({**views(error), "log": "\n".join(lines)}) == []


BROKEN = {
    "a field in the place of the status": b"Set-Cookie: session=%b\r\n\r\n" % SECRET,
    "lines without CR": b"HTTP/1.1 200 OK\nSet-Cookie: session=%b\n\n" % SECRET,
    "one line without CR": b"HTTP/1.1 200 OK\r\nSet-Cookie: session=%b\n\r\n" % SECRET,
    "a blank before the colon": b"HTTP/1.1 200 OK\r\nSet-Cookie : session=%b\r\n\r\n" % SECRET,
    "a head that is cut": b"HTTP/1.1 200 OK\r\nSet-Cookie: session=%b" % SECRET,
    "no head at all": JSON,
    "a form": b"token=%b&a=1" % SECRET,
    "a broken length behind a cookie": b"HTTP/1.1 200 OK\r\nSet-Cookie: a=%b\r\nContent-Length: x\r\n\r\n" % SECRET,
    "content in the place of a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b\r\n" % JSON,
    "content behind a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n%b\r\n" % SECRET,
    "text between chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n%b\r\n" % SECRET,
    "a chunk's extension": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;token=%b\n" % SECRET,
    "a trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nSet-Cookie : a=%b\r\n\r\n" % SECRET,
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_breaks_http_is_not_shown_where_it_may_be_a_secret(name: str) -> None:
    error, lines = await fail(BROKEN[name])
    assert type(error) is AtomHTTPProtocolError
    assert leaks({**views(error), "log": "\n".join(lines)}) == []


FIELDS = (
    b"Set-Cookie: session=" + SECRET,
    b"Set-Cookie: __Host-other=" + SECRET + b"; Secure; Path=/",
    b"X-Auth-Token: " + SECRET,
    b"X-Amz-Security-Token: " + SECRET,
    b"Location: http://ada:" + SECRET + b"@h/?token=" + SECRET + b"#access_token=" + SECRET,
    b"Content-Location: /x?access_token=" + SECRET,
    b"Link: </x?page=2&token=" + SECRET + b">; rel=next, <http://ada:" + SECRET + b"@h/>; rel=prev",
    b"Refresh: 0; url=/x?token=" + SECRET,
)
LOCATIONS = (
    b"/back#access_token=" + SECRET,
    b"back?token=" + SECRET,
    b"//ada:" + SECRET + b"@h/",
    b"http://ada:x/" + SECRET + b"@h/",
    b"http:/ada:" + SECRET + b"@h/",
    b"https://h/back#state=1&id_token=" + SECRET,
)


@pytest.mark.parametrize("field", [*FIELDS, *(b"Location: " + each for each in LOCATIONS)])
async def test_a_field_of_a_response_shows_no_secret(field: bytes) -> None:
    error, lines = await fail(reply(b"", field, status=b"401 no"), validateStatus=True)
    assert leaks({**views(error), "log": "\n".join(lines)}) == []


@pytest.mark.parametrize(
    "location", [*LOCATIONS[3:5], b"http://ada:" + SECRET + b"%0A@h/", b"ftp://h/?token=" + SECRET]
)
async def test_a_location_that_cannot_be_followed_shows_no_secret(location: bytes) -> None:
    error, lines = await fail(reply(b"", b"Location: " + location, status=b"302 Found"))
    assert error.code == "ERR_BAD_REDIRECT"
    assert leaks({**views(error), "log": "\n".join(lines)}) == []


async def test_a_location_that_is_followed_shows_no_secret() -> None:
    """The userinfo of a Location becomes Basic; then nobody answers there."""
    where = b"http://ada:%b@127.0.0.1:1/?a=1&token=%b#access_token=%b" % (SECRET, SECRET, SECRET)
    error, lines = await fail(reply(b"", b"Location: " + where, status=b"302 Found"))
    assert error.code == "ECONNREFUSED"
    assert leaks({**views(error), "log": "\n".join(lines)}) == []


async def test_a_response_shows_no_secret_of_its_fields() -> None:
    with Peer([expect_head(), send(reply(JSON, *FIELDS)), close()]) as server, everything_logged() as lines:
        async with AtomHTTP() as client:
            response = await client.get(server.url)
            shown = parts("its", response) | {"jar": repr(client.cookies), "cookies": repr(list(client.cookies))}
    shown |= {"raw": repr(response._raw), "response": repr(response), "log": "\n".join(lines)}
    assert response.data == {"password": CORE}
    assert leaks(shown) == []


async def test_the_content_of_a_refused_response_is_in_its_pickle_and_nowhere_else() -> None:
    """Whoever receives it wants to know why; what of it is a secret, by the name it goes by, stays behind."""
    content = b'{"error": "expired", "access_token": "%b", "deep": [{"password": "%b"}]}' % (SECRET, SECRET)
    error, lines = await fail(reply(content, status=b"401 no"), validateStatus=True)
    assert type(error) is AtomHTTPStatusError
    assert error.response.data["access_token"] == CORE
    revived = pickle.loads(pickle.dumps(error))
    assert revived.response.data["error"] == "expired"
    assert leaks({**views(error), "log": "\n".join(lines)}) == []


# Escaped, and short

# What a terminal or a reader of logs would obey: C0 and C1 controls, line and paragraph separators, directions.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LONGEST = 1_000
# A line break of Unicode's, escape sequences of C1 (as UTF-8, and as Latin-1), a line separator, an override.
ODD = b"x\xc2\x85ERROR forged \xc2\x9b31m\xe2\x80\xa8\xe2\x80\xae end \x9b2J\x85"
ESCAPE = b"\x1b[31m\nERROR forged\x1b[2J"
LONG = b"A" * 60_000
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSED = {"validateStatus": True}
RETRIED = {**REFUSED, "retryConfig": {"max_retries": 1, "backoff_factor": 0}}

QUOTED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "reason, odd": (reply(status=b"401 " + ODD), REFUSED),
    "reason, long": (reply(status=b"401 " + LONG), REFUSED),
    "reason, logged by retry": (reply(status=b"503 " + ODD), RETRIED),
    "reason, long, logged by retry": (reply(status=b"503 " + LONG), RETRIED),
    "Location, odd": (reply(b"", b"Location: http://h:x/" + ODD, status=b"302 Found"), {}),
    "Location, long": (reply(b"", b"Location: http://h:x/" + LONG, status=b"302 Found"), {}),
    "Location, long scheme": (reply(b"", b"Location: " + LONG + b"://h/", status=b"302 Found"), {}),
    "Location, followed": (reply(b"", b"Location: http://127.0.0.1:1/" + LONG, status=b"302 Found"), {}),
    "Location, a loop": (reply(b"", b"Location: /" + LONG, status=b"302 Found"), {"maxRedirects": 0, **REFUSED}),
    "Location, two": (reply(b"", b"Location: /a", b"Location: /" + LONG, status=b"302 Found"), {}),
    "challenge": (reply(b"", b'WWW-Authenticate: Digest realm="' + ODD + LONG + b'"', status=b"401 no"), REFUSED),
    "Transfer-Encoding, odd": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + ODD + b"\r\n\r\n", {}),
    "Transfer-Encoding, long": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + LONG + b"\r\n\r\n", {}),
    "Content-Length, odd": (b"HTTP/1.1 200 OK\r\nContent-Length: " + ODD + b"\r\n\r\n", {}),
    "Content-Length, long": (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"1" * 60_000 + b"\r\n\r\n", {}),
    "codings": (reply(b"x", b"Content-Encoding: a,b,c,d,e,f," + ODD + LONG), {}),
    "charset": (reply(b"x", content_type=b"application/json; charset=" + ODD + LONG), {"response_type": int}),
    "JSON": (reply(ODD + LONG), STRICT),
    "value": (reply(b'"a\\u001b[31m\\nforged\\u0085%b"' % LONG), {"response_type": Colour}),
    "key": (reply(b'{"\\u001b[31m%b": "x"}' % LONG), {"response_type": dict[str, int]}),
    "no HTTP": (ESCAPE + b"\r\n\r\n", {}),
    "no HTTP, long": (LONG + b"\r\n\r\n", {}),
    "field name": (b"HTTP/1.1 200 OK\r\n" + LONG + b"\x01: x\r\n\r\n", {}),
    "field value": (b"HTTP/1.1 200 OK\r\nX: " + ESCAPE + b"\r\n\r\n", {}),
    "chunk size": (CHUNKED + ODD + b"\x1b[2J\r\n", {}),
    "chunk size, long": (CHUNKED + LONG[:9_000] + b"\r\n", {}),
    "trailer": (CHUNKED + b"0\r\n" + ODD + b"\x1b[2J\r\n\r\n", {}),
    "gzip": (reply(ODD, b"Content-Encoding: gzip"), {}),
}


def unsafe(shown: dict[str, str]) -> list[str]:
    found = [f"{view}: {ascii(text)[:200]}" for view, text in shown.items() if UNSAFE.search(text)]
    return [*found, *(f"{view}: {len(text)} characters" for view, text in shown.items() if len(text) > LONGEST)]


def lines_about(error: AtomHTTPError, lines: list[str]) -> dict[str, str]:
    shown = {"str": str(error), "repr": repr(error), "to_dict": error.to_dict()["message"]}
    shown |= {"request": repr(error.request), "response": repr(error.response)}
    return {**shown, **{f"line {number} of the log": line for number, line in enumerate(lines)}}


@pytest.mark.parametrize("name", QUOTED)
async def test_what_a_server_says_is_escaped_and_short(name: str) -> None:
    answer, options = QUOTED[name]
    assert unsafe(lines_about(*await fail(answer, **options))) == []


PROXIED: dict[str, bytes] = {
    "reason, odd": b"HTTP/1.1 502 " + ODD + b"\r\n\r\n",
    "reason, long": b"HTTP/1.1 502 " + LONG + b"\r\n\r\n",
    "no HTTP": ESCAPE + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", PROXIED)
async def test_what_a_proxy_says_is_escaped_and_short(name: str) -> None:
    with ScriptedProxy(replies=[Reply(PROXIED[name])]) as proxy, everything_logged() as lines:
        async with AtomHTTP(proxy=proxy.url) as client:
            with pytest.raises(AtomHTTPError) as caught:
                await client.get("https://secure.test/")
    assert unsafe(lines_about(caught.value, lines)) == []


async def test_a_reason_is_what_was_received() -> None:
    """It is escaped where it is quoted, and only there."""
    with Peer([expect_head(), send(reply(status=b"200 " + b"B" * 200)), close()]) as server:
        async with AtomHTTP() as client:
            response = await client.get(server.url)
    assert response.status_text == "B" * 200
