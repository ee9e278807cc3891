"""Injection in HTTP/2: what `test_injection` and `test_injection_wire` say of HTTP/1.1, on connections of HTTP/2.

There are no line ends to smuggle, but an intermediary that goes on in HTTP/1.1 makes lines of what it got: a CR LF that
passes here is its injection. What must come of each text is the same, with names in lower case and `:authority`
for Host; the peer holds every request to RFC 9113 by itself, whatever the text was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import pytest

from atomhttp import AtomHTTP, AtomHTTPError, AtomHTTPOptionError, AtomHTTPURLError, SyncAtomHTTP
from contract.flavours import wait
from hostile.injection import (
    BARE,
    CANARY,
    CODES,
    IS_FULL,
    Outcome,
    Refused,
    Sent,
    a_tenth,
    basic,
    chance_for,
    every_text,
    field_value,
    has_control,
    is_token,
    is_unicode,
    report,
)
from hostile.test_injection_wire import POSITIONS, Position
from support.http2_peer import Http2Peer, Reply, Request, greet, serve

OPTIONS: Final[dict[str, Any]] = {
    "http2": "only",
    "timeout": 10,
    "trust_env": False,
    "headers": BARE,
    "resolver": lambda host, port: ["127.0.0.1"],
}


class Recorder(Http2Peer):
    """Keeps every request, and answers it with an empty 200."""

    def __init__(self) -> None:
        super().__init__([greet(), serve(self._record)])
        self._taken: list[Request] = []

    def _record(self, request: Request) -> Reply:
        self._taken.append(request)
        return Reply()

    def take(self) -> list[Request]:
        """The requests since last time."""
        taken, self._taken = self._taken, []
        return taken


def read(request: Request, host: bytes) -> Sent:
    """As the tests of HTTP/1.1 write a request down."""
    own = (b":method", b":path", b":authority", b":scheme", b"content-length")
    assert request.get(b":scheme") == b"http"
    length = request.get(b"content-length")
    assert length is None or int(length) == len(request.body)
    assert sum(name == b"content-length" for name, _ in request.fields) <= 1
    assert not request.trailers
    authority = request.get(b":authority") or b""
    return Sent(
        request.method,
        request.path,
        tuple(pair for pair in request.fields if pair[0] not in own),
        authority.replace(host, b"h.test:8080"),
        bytes(request.body),
    )


def complain(expected: Outcome, requests: list[Request], error: AtomHTTPError | None, host: bytes) -> str | None:
    """What is not as expected, or None."""
    if isinstance(expected, Refused):
        if error is None or requests:
            return f"expected to be refused, sent {requests} ({error!r})"
        if (type(error), error.code) != (expected.kind, expected.code) or expected.names not in str(error):
            return f"expected {expected}, got {error!r}"
        return f"the message shows the secret: {error}" if CANARY in str(error) else None
    if error is not None:
        return f"expected {expected}, got {error!r}"
    if len(requests) != 1:
        return f"expected one request, got {requests}"
    lower = replace(expected, fields=tuple((name.lower(), value) for name, value in expected.fields))
    got = read(requests[0], host)
    return None if got == lower else f"expected {lower}, got {got}"


# Positions


def _authority(text: str) -> Outcome:
    value = field_value(text)
    return Refused("headers") if value is None else Sent(host=value)


def _named(name: str) -> Callable[[str], Outcome]:
    def expect(text: str) -> Outcome:
        value = field_value(text)
        return Refused("headers") if value is None else Sent(fields=((name.encode(), value),))

    return expect


def _in_list(text: str) -> Outcome:
    value = field_value(text)
    if value is None:
        return Refused("headers")
    return Sent(fields=((b"X-Field", b"first"), (b"X-Field", value), (b"X-Field", b"7")))


def _user(text: str) -> Outcome:
    if has_control(text) or not is_unicode(text) or ":" in text:
        return Refused("username")
    return Sent(fields=(basic(text, "p"),))


FIELDS = ("User-Agent", "Cookie", "Authorization", "Content-Type", "Referer", "Accept", "Origin", "Priority")
MORE: dict[str, Position] = {
    "host field": Position("other.test", lambda text, url: {"headers": {"Host": text}}, _authority),
    "list": Position(CANARY, lambda text, url: {"headers": {"X-Field": ["first", text, 7]}}, _in_list),
    "user": Position("user", lambda text, url: {"auth": (text, "p")}, _user),
    **{
        name: Position(CANARY, lambda text, url, name=name: {"headers": {name: text}}, _named(name))  # type: ignore[misc]  # the third argument has a default
        for name in FIELDS
    },
}
ALL: Final = {**POSITIONS, **MORE}


def texts_of(name: str, *, all_of_them: bool) -> Iterator[str] | list[str]:
    chance = chance_for("http2", name)
    texts = every_text(ALL[name].text, chance)
    return texts if all_of_them else a_tenth(texts, chance)


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("name", ALL)
async def test_one_request_or_none(kind: str, name: str) -> None:
    """Every code point, on one connection: what is refused does not cost it, what is sent leaves it clean."""
    complaints: list[str] = []
    cells = 0
    with Recorder() as recorder:
        url = f"http://h.test:{recorder.port}"
        host = f"h.test:{recorder.port}".encode()
        client: Any = AtomHTTP(**OPTIONS) if kind == "async" else SyncAtomHTTP(**OPTIONS)
        await wait(client.get(url))
        recorder.take()
        for text in texts_of(name, all_of_them=kind == "async"):
            cells += 1
            error = None
            try:
                await wait(client.request({"method": "GET", "url": f"{url}/a", **ALL[name].options(text, url)}))
            except AtomHTTPError as caught:
                error = caught
            if complaint := complain(ALL[name].expect(text), recorder.take(), error, host):
                complaints.append(f"{text!a}: {complaint}")
        await wait(client.close())
    assert cells >= 20
    assert recorder.connections == 1
    report(complaints, cells)


# Carriers that come late: behind the checks of a call


def by_interceptor(client: Any, fields: dict[str, Any]) -> dict[str, Any]:
    client.interceptors.use(lambda config: config.headers.update(fields))
    return {}


def by_function(client: Any, fields: dict[str, Any]) -> dict[str, Any]:
    return {"auth": lambda request: request.headers.update(fields)}


def by_defaults(client: Any, fields: dict[str, Any]) -> dict[str, Any]:
    for name, value in fields.items():
        client.defaults.headers[name] = value
    return {}


@pytest.mark.parametrize("carrier", [by_interceptor, by_function, by_defaults])
@pytest.mark.parametrize("where", ["name", "value"])
async def test_whoever_brings_it(carrier: Callable[..., dict[str, Any]], where: str) -> None:
    complaints: list[str] = []
    cells = 0
    with Recorder() as recorder:
        url = f"http://h.test:{recorder.port}/a"
        host = f"h.test:{recorder.port}".encode()
        async with AtomHTTP(**OPTIONS) as first:
            await first.get(url)
            for text in a_tenth(every_text("X-Name", chance_for(where)), chance_for(where, "tenth")):
                cells += 1
                recorder.take()
                fields = {text: "v"} if where == "name" else {"X-Field": text}
                expected: Outcome = _named("X-Field")(text)
                if where == "name":
                    expected = Sent(fields=((text.encode(), b"v"),)) if is_token(text) else Refused("headers")
                error = None
                client = first.create(**OPTIONS)
                try:
                    await client.get(url, **carrier(client, fields))
                except AtomHTTPError as caught:
                    error = caught
                if complaint := complain(expected, recorder.take(), error, host):
                    complaints.append(f"{text!a}: {complaint}")
                await client.close()
    assert cells >= 20
    report(complaints, cells)


# What HTTP/2 has of its own


PSEUDO = (
    ":method",
    ":path",
    ":scheme",
    ":authority",
    ":status",
    ":protocol",
    ":",
    ":unknown",
    ":Path",
    " :path",
    ":path ",
)


@pytest.mark.parametrize("name", PSEUDO)
async def test_pseudo_fields_of_a_caller_are_refused(name: str) -> None:
    with Recorder() as recorder:
        url = f"http://h.test:{recorder.port}/a"
        async with AtomHTTP(**OPTIONS) as client:
            await client.get(url)
            recorder.take()
            for options in (
                {"headers": {name: "/evil"}},
                {"auth": lambda request: request.headers.update({name: "/evil"})},
            ):
                with pytest.raises(AtomHTTPOptionError) as caught:
                    await client.get(url, **options)
                assert caught.value.code == "ERR_BAD_OPTION_VALUE"
            assert recorder.take() == []


CONNECTION_SPECIFIC = {
    "Connection": ("close", "keep-alive", "X-Field", "te, close", "upgrade"),
    "Keep-Alive": ("timeout=5", "300"),
    "Proxy-Connection": ("keep-alive", "close"),
    "Transfer-Encoding": ("chunked", "identity"),
    "Upgrade": ("h2c", "websocket"),
    "HTTP2-Settings": ("AAMAAABkAAQAAP__",),
    "TE": ("trailers", "gzip"),
    "Trailer": ("X-Sum",),
    "Host": ("other.test",),
    "Content-Length": ("3", "4", "0"),
}


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("name", CONNECTION_SPECIFIC)
async def test_what_concerns_a_connection_never_reaches_the_wire(kind: str, name: str) -> None:
    """Refused, as in HTTP/1.1, or not sent; what it asks of the connection is a matter of the client's."""
    for value in CONNECTION_SPECIFIC[name]:
        for spelt in (name, name.lower(), name.upper()):
            # A connection each: some of these close it.
            with Recorder() as recorder:
                url = f"http://h.test:{recorder.port}/a"
                client: Any = AtomHTTP(**OPTIONS) if kind == "async" else SyncAtomHTTP(**OPTIONS)
                await wait(client.get(url, keepAlive=True))
                recorder.take()
                refusal = None
                try:
                    await wait(client.post(url, b"abc", headers={spelt: value}))
                except AtomHTTPOptionError as error:
                    refusal = str(error)
                await wait(client.close())
            requests = recorder.take()
            assert len(requests) == (1 if refusal is None else 0)
            assert refusal is None or "headers" in refusal
            for request in requests:
                names = [key for key, _ in request.fields]
                assert name.lower().encode() not in names or name == "Content-Length", request.fields
                assert request.body == b"abc"
                assert request.get(b"content-length") == b"3"
                assert request.get(b":authority") == (
                    b"other.test" if name == "Host" else f"h.test:{recorder.port}".encode()
                )


async def test_names_are_sent_in_lower_case_and_values_as_they_are() -> None:
    with Recorder() as recorder:
        async with AtomHTTP(**OPTIONS) as client:
            await client.get(f"http://h.test:{recorder.port}/A?B=C", headers={"X-FIELD": "VaLuE", "x-other": "ÄÖ"})
        (request,) = recorder.take()
    assert (request.path, request.get(b"x-field"), request.get(b"x-other")) == (b"/A?B=C", b"VaLuE", "ÄÖ".encode())


@pytest.mark.parametrize("code", [code for code in CODES if code < 0x20 or code in (0x7F, 0x85, 0x10A, 0x10D, 0x560A)])
async def test_methods_and_paths_as_such(code: int) -> None:
    """What stands in the request line of HTTP/1.1 is a field like any other here."""
    char = chr(code)
    with Recorder() as recorder:
        url = f"http://h.test:{recorder.port}"
        async with AtomHTTP(**OPTIONS) as client:
            await client.get(url)
            recorder.take()
            with pytest.raises((AtomHTTPOptionError, AtomHTTPURLError)):
                await client.request(f"GE{char}T", url)
            if code < 0x80:
                with pytest.raises((AtomHTTPOptionError, AtomHTTPURLError)):
                    await client.get(f"{url}/a{char}b")
            assert recorder.take() == []


async def test_many_at_once_are_as_many_streams() -> None:
    with Recorder() as recorder:
        url = f"http://h.test:{recorder.port}/a"
        chance = chance_for("http2 at once")
        texts = [text for text in every_text(CANARY, chance) if IS_FULL or chance.random() < 0.3]
        async with AtomHTTP(**OPTIONS) as client:
            calls = [client.get(url, headers={"X-Field": text}) for text in texts]
            results = await client.all(calls, return_exceptions=True)
        values = [field_value(text) for text in texts]
        sent = [request.get(b"x-field") for request in recorder.take()]
        assert sorted(filter(None, sent)) == sorted(value for value in values if value is not None)
        assert [isinstance(result, AtomHTTPError) for result in results] == [value is None for value in values]
