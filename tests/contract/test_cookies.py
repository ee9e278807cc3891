"""Cookies in the clients (contract: Cookies; hazards: A1 to A4, C5, E4, F4).

What the jar itself does is in tests/unit/_model/test_cookies.py; the XSRF token has a file of its own.
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import logging
import os
import pickle
import stat
import threading
import traceback
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from atomhttp import (
    AdapterResponse,
    AtomHTTP,
    AtomHTTPDecodeError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPRedirectError,
    AtomHTTPStatusError,
    CookieJar,
    Headers,
    Request,
    RequestConfig,
    Response,
    SyncAtomHTTP,
    merge_config,
)
from atomhttp._model import cookies as jar_module
from contract.flavours import Api, collect
from support.certificates import Certificates
from support.origin import Answer, Origin, Received
from support.peer import Peer, expect_head, send
from support.peer import close as close_step

CANARY = "c4n4ry"
BAD = "ERR_BAD_OPTION_VALUE"
LOCAL = "127.0.0.1"
HOSTS = dict.fromkeys(
    ("example.com", "a.example.com", "b.example.com", "x.a.example.com", "other.org", "evilexample.com", "a.co.uk"),
    LOCAL,
)
REDIRECTS = (301, 302, 303, 307, 308)

Route = Callable[[Received], Answer]


def sets(*cookies: str, status: int = 200, to: str | None = None, body: bytes = b"{}", **more: Any) -> Route:
    """A route that sets `cookies`, and leads `to` another URL where one is given."""
    fields = [("Set-Cookie", cookie) for cookie in cookies]
    if to is not None:
        fields.append(("Location", to))
        status = status if status in REDIRECTS else 302
    return lambda _request: Answer(body, status, fields, **more)


def sent(origin: Origin) -> list[str | None]:
    """The Cookie field of every request that `origin` got."""
    return [request.get("cookie") for request in origin.requests]


def named(origin: Origin, host: str, path: str = "/echo") -> str:
    """A URL of `origin` by that name."""
    scheme = origin.url.partition("://")[0]
    return f"{scheme}://{host}:{origin.port}{path}"


@pytest.fixture
def away() -> Iterator[Origin]:
    """Another origin: the same host, another port."""
    with Origin() as running:
        yield running


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The jars' clock; `now[0] += 60` lets a minute pass."""
    clock = [1_800_000_000.0]
    monkeypatch.setattr(jar_module, "time", lambda: clock[0])
    return clock


# Set, kept, sent


async def test_what_a_response_sets_is_sent_from_then_on(client: Any, origin: Origin) -> None:
    origin.routes["/login"] = sets("sid=one", "theme=dark")
    await client.get(f"{origin.url}/echo")
    response = await client.get(f"{origin.url}/login")
    for _ in range(3):
        await client.get(f"{origin.url}/echo")
    assert sent(origin) == [None, None, *["sid=one; theme=dark"] * 3]
    assert client.cookies == {"sid": "one", "theme": "dark"}
    assert response.cookies == {"sid": "one", "theme": "dark"}
    assert response.request.headers.get("cookie") is None


async def test_a_request_says_what_was_sent(client: Any, origin: Origin) -> None:
    client.cookies.set("sid", "one", url=origin.url)
    response = await client.get(f"{origin.url}/echo")
    assert response.request.headers["Cookie"] == "sid=one"
    assert "cookie" not in response.config.headers


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY", "PURGE"])
async def test_any_method_brings_and_sends_them(client: Any, origin: Origin, method: str) -> None:
    origin.routes["/"] = sets("sid=one", body=b"")
    data = {} if method in ("GET", "HEAD") else {"data": {"a": 1}}
    for _ in range(2):
        await client.request(method, f"{origin.url}/", **data)
    assert sent(origin) == [None, "sid=one"]
    assert [request.body for request in origin.requests] == [b'{"a":1}' if data else b""] * 2


@pytest.mark.parametrize("status", [201, 204, 304, 400, 401, 403, 404, 418, 500, 503])
@pytest.mark.parametrize("validate", [None, True])
async def test_any_status_brings_them(api: Api, origin: Origin, status: int, validate: Any) -> None:
    origin.routes["/"] = sets("sid=one", status=status, body=b"")
    client = api.client(validateStatus=validate)
    try:
        response = await client.get(f"{origin.url}/")
    except AtomHTTPStatusError as error:
        assert validate
        response = error.response
    assert response.cookies == client.cookies == {"sid": "one"}


# Every way by which a call can go other than the plain one.
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stream": {"response_type": "stream"},
    "limited": {"maxContentLength": 1000},
    "with progress": {"on_download_progress": lambda loaded, total: None},
    "retried": {"retryConfig": True},
    "transformed": {"transformResponse": lambda data: data},
    "authenticated": {"auth": lambda request: request},
    "not decompressed": {"decompress": False},
    "text": {"response_type": "text"},
}


@pytest.mark.parametrize("way", WAYS)
async def test_any_way_brings_and_sends_them(api: Api, origin: Origin, way: str) -> None:
    origin.routes["/"] = sets("sid=one", chunked=True)
    client = api.client(**WAYS[way])
    for _ in range(2):
        response = await client.get(f"{origin.url}/")
        if way == "stream":
            assert b"".join(await collect(response.data)) == b"{}"
        assert response.cookies == {"sid": "one"}
    assert sent(origin) == [None, "sid=one"]
    assert response.request.headers["Cookie"] == "sid=one"


async def test_a_stream_brings_them_with_its_head(client: Any, origin: Origin) -> None:
    origin.routes["/"] = sets("sid=one", chunked=True, body=b"x" * 5000)
    response = await client.get(f"{origin.url}/", response_type="stream")
    assert client.cookies == {"sid": "one"}
    assert len(b"".join(await collect(response.data))) == 5000


async def test_content_that_cannot_be_decoded_takes_nothing_back(client: Any, origin: Origin) -> None:
    origin.routes["/"] = lambda _request: Answer(
        gzip.compress(b"{}")[:8], headers=[("Set-Cookie", "sid=one"), ("Content-Encoding", "gzip")]
    )
    with pytest.raises(AtomHTTPDecodeError):
        await client.get(f"{origin.url}/")
    assert client.cookies == {"sid": "one"}


async def test_cookies_of_a_response_are_its_own_and_those_that_it_may_set(api: Api, origin: Origin) -> None:
    client = api.client(hosts=HOSTS)
    origin.routes["/"] = sets("mine=1", "theirs=2; Domain=other.org", "gone=; Max-Age=0", "secure=3; Secure")
    client.cookies.set("before", "0", url=named(origin, "a.example.com"))
    response = await client.get(named(origin, "a.example.com", "/"))
    assert response.cookies == {"mine": "1"}
    assert client.cookies == {"before": "0", "mine": "1"}
    response.cookies.clear()
    assert response.cookies == {"mine": "1"}, "a new jar each time"
    assert (await client.get(named(origin, "a.example.com"))).cookies == {}


async def test_a_response_made_by_hand_has_no_cookies(client: Any, origin: Origin) -> None:
    assert Response(headers={"Set-Cookie": "sid=one"}).cookies == {}


async def test_a_server_replaces_and_deletes_cookies(client: Any, origin: Origin) -> None:
    origin.routes["/one"] = sets("sid=one; Path=/", "other=1")
    origin.routes["/two"] = sets("sid=two; Path=/")
    origin.routes["/out"] = sets("sid=; Path=/; Max-Age=0")
    origin.routes["/past"] = sets("other=; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    for path in ("one", "two", "out", "past", "echo"):
        await client.get(f"{origin.url}/{path}")
    assert sent(origin) == [None, "sid=one; other=1", "sid=two; other=1", "other=1", None]
    assert client.cookies == {}


async def test_they_end_when_their_time_has_come(client: Any, origin: Origin, now: list[float]) -> None:
    origin.routes["/"] = sets("short=1; Max-Age=60", "long=2; Max-Age=3600", "session=3")
    await client.get(f"{origin.url}/")
    await client.get(f"{origin.url}/echo")
    now[0] += 59
    await client.get(f"{origin.url}/echo")
    now[0] += 1
    await client.get(f"{origin.url}/echo")
    now[0] += 3600
    await client.get(f"{origin.url}/echo")
    assert sent(origin)[1:] == [*["short=1; long=2; session=3"] * 2, "long=2; session=3", "session=3"]
    assert client.cookies == {"session": "3"}


# By the names of hosts, paths and schemes


@pytest.mark.parametrize(
    ("cookie", "goes_to"),
    [
        ("c=1", {"a.example.com"}),
        ("c=1; Domain=a.example.com", {"a.example.com", "x.a.example.com"}),
        ("c=1; Domain=example.com", {"example.com", "a.example.com", "b.example.com", "x.a.example.com"}),
        ("c=1; Domain=.Example.COM", {"example.com", "a.example.com", "b.example.com", "x.a.example.com"}),
        ("c=1; Domain=b.example.com", set()),
        ("c=1; Domain=x.a.example.com", set()),
        ("c=1; Domain=other.org", set()),
        ("c=1; Domain=com", set()),
        ("c=1; Domain=COM.", set()),
        ("c=1; Domain=ample.com", set()),
    ],
)
async def test_which_hosts_they_go_to(api: Api, origin: Origin, cookie: str, goes_to: set[str]) -> None:
    client = api.client(hosts=HOSTS)
    origin.routes["/"] = sets(cookie)
    await client.get(named(origin, "a.example.com", "/"))
    got = set()
    for host in HOSTS:
        response = await client.get(named(origin, host))
        if any(name == "Cookie" for name, _ in response.data["headers"]):
            got.add(host)
    assert got == goes_to


async def test_a_public_suffix_owns_no_cookies(api: Api, origin: Origin) -> None:
    client = api.client(hosts=HOSTS)
    origin.routes["/"] = sets("c=1; Domain=co.uk", "d=1; Domain=Co.Uk.", "e=1; Domain=.CO.UK")
    await client.get(named(origin, "a.co.uk", "/"))
    assert client.cookies == {}


async def test_an_address_shares_nothing(api: Api, origin: Origin) -> None:
    client = api.client(hosts={"localhost": LOCAL})
    origin.routes["/"] = sets("mine=1", "parent=1; Domain=0.0.1", "own=1; Domain=127.0.0.1")
    await client.get(f"{origin.url}/")
    await client.get(f"{origin.url}/echo")
    await client.get(named(origin, "localhost"))
    assert sent(origin) == [None, "mine=1; own=1", None]


async def test_a_host_header_of_the_caller_has_no_say_in_whose_they_are(api: Api, origin: Origin) -> None:
    """CVE-2026-6276: it is the URL's host that they belong to."""
    client = api.client(hosts=HOSTS)
    origin.routes["/"] = sets("mine=1", "theirs=1; Domain=example.com")
    client.cookies.set("ours", "1", url="http://a.example.com/")
    await client.get(named(origin, "other.org", "/"), headers={"Host": "a.example.com"})
    assert sent(origin) == [None]
    assert [cookie.domain for cookie in client.cookies.cookies] == ["a.example.com", "other.org"]


async def test_which_paths_they_go_to(client: Any, origin: Origin) -> None:
    origin.routes["/shop/login"] = sets("root=1; Path=/", "shop=2", "cart=3; Path=/shop/cart", "else=4; Path=/else")
    await client.get(f"{origin.url}/shop/login")
    for path in ("/", "/shop", "/shop/", "/shopping", "/shop/cart", "/shop/cart/1?a=/b", "/shop/cartoon", "/else"):
        await client.get(f"{origin.url}{path}")
    assert sent(origin)[1:] == [
        "root=1",
        "shop=2; root=1",
        "shop=2; root=1",
        "root=1",
        "cart=3; shop=2; root=1",
        "cart=3; shop=2; root=1",
        "shop=2; root=1",
        "else=4; root=1",
    ]


@pytest.fixture
def secure(certificates: Certificates) -> Iterator[Origin]:
    """Behind TLS, by the names of `HOSTS`."""
    with Origin(tls=certificates.server_context(certificates.issue("a.example.com", "b.example.com"))) as running:
        yield running


async def test_secure_cookies_keep_to_tls(api: Api, origin: Origin, secure: Origin, certificates: Certificates) -> None:
    client = api.client(hosts=HOSTS, verify=str(certificates.ca))
    secure.routes["/"] = sets("s=1; Secure", "plain=2", "__Host-h=3; Secure; Path=/", "__Secure-x=4; Secure")
    origin.routes["/"] = sets("t=1; Secure", "__Host-t=2; Secure; Path=/", "__Secure-t=3; Secure", "s=overlaid", "ok=4")
    await client.get(named(secure, "a.example.com", "/"))
    await client.get(named(origin, "a.example.com", "/"))
    await client.get(named(origin, "a.example.com"))
    await client.get(named(secure, "a.example.com"))
    assert sent(origin) == ["plain=2", "plain=2; ok=4"]
    assert sent(secure) == [None, "s=1; plain=2; __Host-h=3; __Secure-x=4; ok=4"]


async def test_promises_of_a_name_are_kept(api: Api, secure: Origin, certificates: Certificates) -> None:
    client = api.client(hosts=HOSTS, verify=str(certificates.ca))
    secure.routes["/"] = sets(
        "__Host-domain=1; Secure; Path=/; Domain=a.example.com",
        "__Host-path=2; Secure; Path=/sub",
        "__Host-plain=3; Path=/",
        "__Secure-plain=4",
        "__hOsT-case=5; Path=/",
    )
    await client.get(named(secure, "a.example.com", "/"))
    assert client.cookies == {}


async def test_a_redirect_from_tls_takes_no_secure_cookie_along(
    api: Api, origin: Origin, secure: Origin, certificates: Certificates
) -> None:
    client = api.client(hosts=HOSTS, verify=str(certificates.ca))
    secure.routes["/"] = sets("s=1; Secure", "plain=2", to=named(origin, "a.example.com"))
    await client.get(named(secure, "a.example.com", "/"))
    assert sent(origin) == ["plain=2"]


# Redirects


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("way", ["plain", "stream", "retried"])
async def test_each_hop_sends_what_those_before_have_set(api: Api, origin: Origin, way: str, status: int) -> None:
    origin.routes["/1"] = sets("one=1; Path=/", to="/2", status=status)
    origin.routes["/2"] = sets("two=2; Path=/", "one=; Path=/; Max-Age=0", to="/echo", status=status)
    client = api.client(**WAYS[way])
    response = await client.get(f"{origin.url}/1")
    if way == "stream":
        await collect(response.data)
    assert sent(origin) == [None, "one=1", "two=2"]
    assert [dict(hop.cookies) for hop in response.history] == [{"one": "1"}, {"two": "2"}]
    assert response.cookies == {}
    assert [hop.stripped for hop in response.history] == [(), ()]


async def test_a_login_by_post_that_leads_on(client: Any, origin: Origin) -> None:
    origin.routes["/login"] = sets("sid=one; Path=/; HttpOnly", to="/home", status=303)
    origin.routes["/home"] = lambda request: Answer(status=200 if request.get("cookie") == "sid=one" else 401)
    response = await client.post(f"{origin.url}/login", {"user": "ada"})
    assert (response.status, response.url) == (200, f"{origin.url}/home")
    assert [request.method for request in origin.requests] == ["POST", "GET"]


async def test_a_redirect_that_is_not_followed_brings_them(client: Any, origin: Origin) -> None:
    origin.routes["/"] = sets("sid=one", to="/echo")
    response = await client.get(f"{origin.url}/", maxRedirects=0)
    assert response.status == 302
    assert client.cookies == {"sid": "one"}


@pytest.mark.parametrize("location", ["/", "ftp://other.org/", "http://["])
async def test_a_redirect_that_fails_brings_them(client: Any, origin: Origin, location: str) -> None:
    origin.routes["/"] = sets("sid=one", to=location)
    with pytest.raises(AtomHTTPRedirectError):
        await client.get(f"{origin.url}/")
    assert client.cookies == {"sid": "one"}


@pytest.mark.parametrize("status", REDIRECTS)
async def test_another_host_gets_its_own_and_nothing_else(api: Api, origin: Origin, away: Origin, status: int) -> None:
    client = api.client(hosts=HOSTS)
    client.cookies.set("theirs", "1", url=named(away, "other.org"))
    origin.routes["/"] = sets("mine=1; Path=/", to=named(away, "other.org", "/"), status=status)
    origin.routes["/back"] = sets()
    away.routes["/"] = sets("second=2; Path=/", "mine=overlaid", to=named(origin, "a.example.com", "/back"))
    client.cookies.set("before", "0", url=named(origin, "a.example.com"))
    await client.get(named(origin, "a.example.com", "/"))
    await client.get(named(away, "other.org"))
    assert sent(away) == ["theirs=1", "theirs=1; second=2; mine=overlaid"]
    assert sent(origin) == ["before=0", "before=0; mine=1"], "the jar decides for each hop, on the way back too"


async def test_a_hop_away_may_not_set_them_for_home(api: Api, origin: Origin, away: Origin) -> None:
    client = api.client(hosts=HOSTS)
    origin.routes["/"] = sets(to=named(away, "other.org", "/"))
    away.routes["/"] = sets("sid=fixed; Domain=a.example.com", to=named(origin, "a.example.com"))
    await client.get(named(origin, "a.example.com", "/"))
    assert sent(origin) == [None, None]


# Retries, resends, auth


async def test_a_retry_sends_what_the_refusal_has_set(api: Api, origin: Origin) -> None:
    answers = iter([503, 503, 200])

    def route(request: Received) -> Answer:
        return Answer(status=next(answers), headers=[("Set-Cookie", f"seen={len(origin.requests)}")])

    origin.routes["/"] = route
    client = api.client(retryConfig={"backoff_factor": 0})
    response = await client.get(f"{origin.url}/")
    assert response.status == 200
    assert sent(origin) == [None, "seen=1", "seen=2"]
    assert [attempt.status for attempt in response.attempts] == [503, 503, 200]


@pytest.mark.parametrize("retry_config", [None, {"backoff_factor": 0}])
async def test_the_safe_resend_and_a_retry_of_the_network_take_them_along(api: Api, retry_config: Any) -> None:
    """Everything that fails with cookies on it is tried again as it would be without."""
    first = [expect_head(), send(b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=one\r\nContent-Length: 0\r\n\r\n")]
    again = [expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), close_step()]
    with Peer([[*first, expect_head(), close_step()], again]) as peer:
        client = api.client(retryConfig=retry_config, response_type="text")
        await client.get(peer.url)
        response = await client.get(peer.url)
        assert [head.get("Cookie") for head in peer.heads] == ["", "sid=one", "sid=one"]
    assert response.data == "ok"
    assert [attempt.status for attempt in response.attempts] == [None, 200]
    assert response.request.headers["Cookie"] == "sid=one"


@pytest.mark.parametrize("by_the_short_way", [True, False])
async def test_the_safe_resend_does_not_try_one_dead_connection_after_the_other(
    api: Api, by_the_short_way: bool
) -> None:
    """It goes out on a new connection, whatever has been added to the request on its way."""
    client = api.client()
    client.cookies.set("sid", "one", url="http://dead.test/")
    dead = DeadConnections(by_the_short_way)
    response = await client.get("http://dead.test/", adapter=dead)
    assert response.status == 200
    assert dead.asked == [(False, "sid=one"), (True, "sid=one")]


async def test_an_error_of_the_network_has_the_request_that_was_sent(api: Api) -> None:
    with Peer([[expect_head(), close_step()]]) as peer:
        client = api.client()
        client.cookies.set("sid", "one", url=peer.url)
        with pytest.raises(AtomHTTPNetworkError) as caught:
            await client.post(peer.url, b"x")
    assert caught.value.request.headers["Cookie"] == "sid=one"
    assert len(caught.value.attempts) == 1


class DeadConnections:
    """An adapter all of whose idle connections are dead."""

    def __init__(self, joins_driver: bool) -> None:
        self.joins_driver = joins_driver
        self.asked: list[tuple[bool, str]] = []

    async def send(self, request: Request) -> AdapterResponse:
        self.asked.append((request.fresh, request.headers["Cookie"]))
        if request.fresh:
            return AdapterResponse(200, {}, b"{}")
        error = AtomHTTPNetworkError("lost", "ECONNRESET")
        error.reused = True
        raise error

    async def close(self) -> None:
        """Nothing is open."""


class Challenged:
    """Answers a 401, as Digest and others do."""

    def auth_flow(self, request: Request) -> Generator[Request, Response[Any], None]:
        response = yield request
        if response.status == 401:
            request.headers["Authorization"] = "answer"
            yield request


async def test_what_a_challenge_sets_goes_with_its_answer(api: Api, origin: Origin) -> None:
    origin.routes["/"] = lambda request: Answer(
        status=200 if request.get("Authorization") else 401,
        headers=[("Set-Cookie", f"seen={len(origin.requests)}")],
    )
    client = api.client(auth=Challenged())
    response = await client.get(f"{origin.url}/")
    assert response.status == 200
    assert sent(origin) == [None, "seen=1"]
    assert client.cookies == {"seen": "2"}


# Cookies of one call


@pytest.mark.parametrize(
    ("stored", "given", "expected"),
    [
        ({}, {"a": "1"}, "a=1"),
        ({"sid": "one"}, {"a": "1"}, "sid=one; a=1"),
        ({"sid": "one", "b": "2"}, {"sid": "mine"}, "b=2; sid=mine"),
        ({"sid": "one"}, {}, "sid=one"),
        ({}, {"a": ""}, "a="),
        ({}, {"a": '"quoted"', "b": "x=y"}, 'a="quoted"; b=x=y'),
    ],
)
async def test_a_calls_own_are_laid_over_the_jars_by_name(
    client: Any, origin: Origin, stored: dict[str, str], given: dict[str, str], expected: str
) -> None:
    for name, value in stored.items():
        client.cookies.set(name, value, url=origin.url)
    response = await client.get(f"{origin.url}/echo", cookies=given)
    await client.get(f"{origin.url}/echo")
    kept = "; ".join(f"{name}={value}" for name, value in stored.items()) or None
    assert sent(origin) == [expected, kept], "and they are not stored"
    assert client.cookies == stored
    assert response.config.cookies == given


async def test_a_calls_own_go_along_on_its_origin(client: Any, origin: Origin) -> None:
    origin.routes["/1"] = sets("jar=1; Path=/", to="/2")
    origin.routes["/2"] = sets("own=set; Path=/", to=f"{origin.url}/echo")
    await client.get(f"{origin.url}/1", cookies={"own": "given"})
    assert sent(origin) == ["own=given", "jar=1; own=given", "jar=1; own=given"]
    assert client.cookies == {"jar": "1", "own": "set"}


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("way", ["plain", "stream", "retried"])
async def test_a_calls_own_do_not_leave_their_origin_and_do_not_come_back(
    api: Api, origin: Origin, away: Origin, way: str, status: int
) -> None:
    """Hazards A1 and A4, CVE-2026-47265: another port is another origin, and it must not choose what is asked for."""
    origin.routes["/"] = sets("jar=1; Path=/", to=f"{away.url}/", status=status)
    away.routes["/"] = sets(to=f"{origin.url}/echo", status=status)
    client = api.client(**WAYS[way])
    response = await client.get(f"{origin.url}/", cookies={"own": CANARY})
    if way == "stream":
        await collect(response.data)
    assert sent(origin) == [f"own={CANARY}", "jar=1"]
    assert CANARY not in repr(away.requests)


async def test_a_calls_own_belong_to_the_origin_that_it_names_whatever_the_base(
    api: Api, origin: Origin, away: Origin
) -> None:
    client = api.client(base_url=origin.url)
    away.routes["/"] = sets(to=f"{origin.url}/echo")
    await client.get(f"{away.url}/", cookies={"own": "1"})
    assert (sent(away), sent(origin)) == (["own=1"], [None])


@pytest.mark.parametrize("way", ["retried", "authenticated", "transformed"])
async def test_a_calls_own_go_with_every_attempt(api: Api, origin: Origin, way: str) -> None:
    statuses = iter([503, 200])
    origin.routes["/"] = lambda _request: Answer(status=next(statuses))
    client = api.client(**(WAYS[way] | {"retryConfig": {"backoff_factor": 0}}))
    await client.get(f"{origin.url}/", cookies={"own": "1"})
    assert sent(origin) == ["own=1", "own=1"]


@pytest.mark.parametrize("stored", [{}, {"sid": "one"}])
async def test_false_for_a_call_sends_and_keeps_nothing(client: Any, origin: Origin, stored: dict[str, str]) -> None:
    for name, value in stored.items():
        client.cookies.set(name, value, url=origin.url)
    origin.routes["/"] = sets("new=1; Path=/", to="/2")
    origin.routes["/2"] = sets("newer=1; Path=/")
    response = await client.get(f"{origin.url}/", cookies=False)
    assert sent(origin) == [None, None]
    assert client.cookies == stored
    assert response.cookies == {"newer": "1"}, "what the response says is no matter of the jar"


async def test_a_jar_for_a_call_takes_the_place_of_the_clients(client: Any, origin: Origin) -> None:
    client.cookies.set("sid", "clients", url=origin.url)
    jar = CookieJar({"sid": "calls"}, url=origin.url)
    origin.routes["/"] = sets("new=1; Path=/", to="/echo")
    await client.get(f"{origin.url}/", cookies=jar)
    await client.get(f"{origin.url}/echo")
    assert sent(origin) == ["sid=calls", "sid=calls; new=1", "sid=clients"]
    assert client.cookies == {"sid": "clients"}
    assert jar == {"sid": "calls", "new": "1"}


async def test_an_empty_jar_for_a_call_is_filled(client: Any, origin: Origin) -> None:
    origin.routes["/"] = sets("new=1")
    jar = CookieJar()
    await client.get(f"{origin.url}/", cookies=jar)
    assert jar == {"new": "1"}
    assert client.cookies == {}


async def test_none_for_a_call_is_not_given(api: Api, origin: Origin) -> None:
    client = api.client()
    client.cookies.set("sid", "one", url=origin.url)
    await client.get(f"{origin.url}/echo", cookies=None)
    config = RequestConfig(url=f"{origin.url}/echo", cookies={"own": "1"})
    await client.request(config, cookies=None)
    await client.request(merge_config(config, {"cookies": None}))
    await client.request(merge_config(config, {"cookies": {"other": "2"}}))
    assert sent(origin) == ["sid=one", *["sid=one; own=1"] * 2, "sid=one; other=2"]


class Subject:
    def __str__(self) -> str:
        return CANARY


REFUSED: tuple[Any, ...] = (
    True,
    0,
    "",
    f"sid={CANARY}",
    CANARY.encode(),
    [("sid", CANARY)],
    Subject(),
    {"sid": 5, "token": CANARY},
    {"sid": None, "token": CANARY},
    {5: CANARY},
    {"": CANARY},
    {"sid": f"{CANARY}\r\nX-Evil: 1"},
    {"sid": f"{CANARY};admin=1"},
    {"sid": f"{CANARY}, admin=1"},
    {"sid": f"{CANARY}\x00"},
    {"sid": f"{CANARY} x"},
    {"sid": f"{CANARY}\u00e9"},
    {f"s=i{CANARY[:2]}": CANARY},
    {"si d": CANARY},
    {"s\r\nid": CANARY},
    {"sid": CANARY * 1000},
)
WHERE = ("call", "client", "defaults", "config", "interceptor")


@pytest.mark.parametrize(
    ("where", "number"),
    # One check serves all places: a value of each kind shows that it is asked.
    [(where, number) for where in WHERE for number in (range(len(REFUSED)) if where == "call" else (3, 7, 11))],
)
async def test_what_cannot_be_sent_is_refused_where_it_is_given(
    api: Api, origin: Origin, where: str, number: int
) -> None:
    client, value = api.client(base_url=origin.url), REFUSED[number]

    def intercept(config: RequestConfig) -> None:
        config.cookies = value

    with pytest.raises(AtomHTTPOptionError, match=r"^cookies: ") as caught:
        match where:
            case "call":
                await client.get("/echo", cookies=value)
            case "client":
                api.client(base_url=origin.url, cookies=value)
            case "defaults":
                client.defaults.cookies = value
            case "config":
                RequestConfig(cookies=value)
            case "interceptor":
                client.interceptors.use(intercept)
                await client.get("/echo")
    assert caught.value.code == BAD
    assert CANARY not in f"{caught.value} {caught.value!r} {caught.value.to_dict()}"
    assert origin.requests == []
    if where == "defaults":
        await client.get("/echo")
        assert sent(origin) == [None], "and nothing has changed"


# Cookies of a client


async def test_a_clients_mapping_goes_to_the_origin_of_its_base_url_only(
    api: Api, origin: Origin, away: Origin
) -> None:
    client = api.client(base_url=f"{origin.url}/api", cookies={"sid": CANARY, "a": "1"}, hosts=HOSTS)
    assert client.cookies == {"sid": CANARY, "a": "1"}
    origin.routes["/api/away"] = sets(to=f"{away.url}/")
    away.routes["/"] = sets(to=f"{origin.url}/echo")
    for url in ("/x", f"{origin.url}/echo", f"{away.url}/echo", named(away, "a.example.com"), "/away"):
        await client.get(url)
    both = f"sid={CANARY}; a=1"
    assert sent(origin) == [both, both, both, both]
    assert CANARY not in repr(away.requests)


async def test_a_server_may_replace_a_clients_own(api: Api, origin: Origin, away: Origin) -> None:
    client = api.client(base_url=origin.url, cookies={"sid": "given", "a": "1"})
    origin.routes["/rotate"] = sets("sid=rotated; Path=/", "a=; Path=/; Max-Age=0")
    await client.get("/rotate")
    await client.get("/echo")
    await client.get(f"{away.url}/echo")
    assert sent(origin) == ["sid=given; a=1", "sid=rotated"]
    assert sent(away) == ["sid=rotated"], "this one is the server's, and cookies know no ports"


@pytest.mark.parametrize("base", [{}, {"base_url": None}, {"base_url": ""}])
async def test_a_clients_mapping_needs_a_base_url(api: Api, base: dict[str, Any]) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^cookies: .*baseURL") as caught:
        api.client(cookies={"sid": CANARY}, **base)
    assert caught.value.code == BAD
    assert CANARY not in str(caught.value)
    assert api.client(cookies={}, **base).cookies == {}, "an empty one belongs to nobody"


async def test_the_order_of_the_options_does_not_matter(api: Api, origin: Origin) -> None:
    client = api.client({"cookies": {"sid": "one"}, "baseURL": origin.url})
    await client.get("/echo")
    client.defaults.base_url = None
    client.defaults.cookies = {"sid": "two"}
    client.defaults.base_url = origin.url
    await client.get("/echo")
    assert sent(origin) == ["sid=one", "sid=two"]


async def test_a_mapping_stays_where_it_was_given_when_the_base_changes(api: Api, origin: Origin, away: Origin) -> None:
    client = api.client(base_url=origin.url, cookies={"sid": CANARY})
    client.defaults.base_url = away.url
    await client.get("/echo")
    await client.get(f"{origin.url}/echo")
    assert (sent(away), sent(origin)) == ([None], [f"sid={CANARY}"])


async def test_two_clients_may_share_a_jar(api: Api, origin: Origin) -> None:
    jar = CookieJar()
    one, two = api.client(cookies=jar), api.client(cookies=jar)
    assert one.cookies is jar
    assert two.cookies is jar
    origin.routes["/"] = sets("sid=one")
    await one.get(f"{origin.url}/")
    await two.get(f"{origin.url}/echo")
    assert sent(origin) == [None, "sid=one"]


async def test_clients_share_nothing_else(api: Api, origin: Origin) -> None:
    one, two = api.client(), api.client()
    origin.routes["/"] = sets("sid=one")
    await one.get(f"{origin.url}/")
    await two.get(f"{origin.url}/echo")
    assert sent(origin) == [None, None]
    assert two.cookies == {}


async def test_false_for_a_client_sends_and_keeps_nothing(api: Api, origin: Origin) -> None:
    client = api.client(cookies=False)
    origin.routes["/"] = sets("new=1; Path=/", to="/echo")
    response = await client.get(f"{origin.url}/")
    assert sent(origin) == [None, None]
    assert client.cookies == {}
    assert response.history[0].cookies == {"new": "1"}
    await client.get(f"{origin.url}/echo", cookies={"own": "1"})
    jar = CookieJar()
    await client.get(f"{origin.url}/", cookies=jar)
    assert sent(origin)[2:] == ["own=1", None, "new=1"]
    assert client.cookies == {}


async def test_a_clients_cookies_are_live(api: Api, origin: Origin) -> None:
    client = api.client(base_url=origin.url)
    client.cookies.set("sid", "own", url=origin.url)
    first = client.cookies
    seen = []
    for value in (None, False, {"sid": "mapped"}, CookieJar({"sid": "jar"}, url=origin.url), False, None):
        client.defaults.cookies = value
        response = await client.get("/echo")
        seen.append(response.request.headers.get("cookie"))
    assert seen == ["sid=own", None, "sid=mapped", "sid=jar", None, "sid=own"]
    assert client.cookies is first, "the client's own was there all the time"
    del client.defaults.cookies
    await client.get("/echo")
    assert sent(origin)[-1] == "sid=own"


async def test_a_clients_cookies_are_no_attribute_to_set(client: Any) -> None:
    with pytest.raises(AttributeError, match=r"client\.defaults\.cookies"):
        client.cookies = {}


@pytest.mark.parametrize("kind", ["none", "mapping", "jar", "subclass"])
async def test_a_child_has_a_jar_of_its_own(api: Api, origin: Origin, kind: str) -> None:
    class Subclass(CookieJar):
        pass

    makers = {"jar": CookieJar, "subclass": Subclass}
    options: dict[str, Any] = {}
    if kind == "mapping":
        options["cookies"] = {"given": "1"}
    elif kind in makers:
        options["cookies"] = makers[kind]({"given": "1"}, url=origin.url)
    parent = api.client(base_url=origin.url, **options)
    child = api.keep(parent.create())
    child = getattr(child, "real", child)
    start = {} if kind == "none" else {"given": "1"}
    assert child.cookies == parent.cookies == start
    parent.cookies.set("parents", "1", url=origin.url)
    child.cookies.set("childs", "1", url=origin.url)
    assert parent.cookies == {**start, "parents": "1"}
    assert child.cookies == {**start, "childs": "1"}
    assert type(child.cookies) is type(parent.cookies)


async def test_a_child_may_have_other_cookies(api: Api, origin: Origin) -> None:
    off = api.client(base_url=origin.url, cookies=False)
    cases = [({}, None), ({"cookies": None}, None), ({"cookies": {"a": "1"}}, "a=1")]
    for options, expected in cases:
        await off.create(**options).get("/echo")
        assert sent(origin)[-1] == expected
    await api.client(base_url=origin.url, cookies={"a": "1"}).create(cookies=False).get("/echo")
    assert sent(origin)[-1] is None


async def test_a_childs_mapping_is_bound_to_its_own_base(api: Api, origin: Origin, away: Origin) -> None:
    parent = api.client(base_url=origin.url, cookies={"a": "1"})
    child = parent.create(base_url=away.url)
    await child.get("/echo")
    await child.get(f"{origin.url}/echo")
    assert (sent(away), sent(origin)) == (["a=1"], [None])


# An explicit Cookie field


@pytest.mark.parametrize("where", ["call", "client", "defaults", "method", "interceptor", "auth"])
@pytest.mark.parametrize("extra", [{}, {"cookies": {"own": "1"}}, {"cookies": False}])
async def test_an_explicit_field_goes_as_it_is(api: Api, origin: Origin, where: str, extra: dict[str, Any]) -> None:
    field = {"cOOkie": 'x="a b"; y=\u00e9, z'}
    client = api.client(headers={"client": field, "method": {"get": field}}.get(where, {}))
    call = {"headers": field} if where == "call" else {}
    if where == "defaults":
        client.defaults.headers.update(field)
    elif where == "interceptor":
        client.interceptors.use(lambda config: config.headers.update(field))
    elif where == "auth":

        def sign(request: Request) -> None:
            request.headers.update(field)

        client.defaults.auth = sign
    client.cookies.set("sid", "one", url=origin.url)
    origin.routes["/"] = sets("new=1; Path=/", to="/echo")
    await client.get(f"{origin.url}/", **call, **extra)
    expected = field["cOOkie"].encode().decode("latin-1")
    assert sent(origin) == [expected, expected]
    stored = {"sid": "one"} if extra.get("cookies") is False else {"sid": "one", "new": "1"}
    assert client.cookies == stored, "what comes back is kept all the same"


async def test_several_explicit_fields_go_as_they_are(client: Any, origin: Origin) -> None:
    client.cookies.set("sid", "one", url=origin.url)
    await client.get(f"{origin.url}/echo", headers=[("Cookie", "a=1"), ("cookie", "b=2")])
    assert [value for name, value in origin.requests[0].headers if name.lower() == "cookie"] == ["a=1", "b=2"]


async def test_an_explicit_field_stays_at_home_and_the_jar_takes_over(api: Api, origin: Origin, away: Origin) -> None:
    client = api.client(hosts=HOSTS)
    client.cookies.set("theirs", "1", url="http://other.org/")
    client.cookies.set("mine", "1", url="http://a.example.com/")
    origin.routes["/"] = sets(to=named(away, "other.org", "/"))
    away.routes["/"] = sets(to=named(origin, "a.example.com"))
    response = await client.get(named(origin, "a.example.com", "/"), headers={"Cookie": CANARY})
    assert sent(origin) == [CANARY, "mine=1"]
    assert sent(away) == ["theirs=1"]
    assert [hop.stripped for hop in response.history] == [("Cookie",), ()]


@pytest.mark.parametrize("where", ["call", "client"])
async def test_a_field_that_is_none_is_not_given_and_one_that_is_false_stays_away(
    api: Api, origin: Origin, where: str
) -> None:
    for value, expected in ((None, "sid=one"), (False, None)):
        headers = {"headers": {"Cookie": value}}
        client = api.client(**(headers if where == "client" else {"headers": {"Cookie": "default=1"}}))
        client.cookies.set("sid", "one", url=origin.url)
        origin.routes["/"] = sets(to="/echo")
        await client.get(f"{origin.url}/", **(headers if where == "call" else {}))
        assert sent(origin)[-2:] == [expected, expected]


async def test_before_redirect_may_write_the_field(client: Any, origin: Origin) -> None:
    origin.routes["/"] = sets("sid=one; Path=/", to="/echo")
    await client.get(f"{origin.url}/", beforeRedirect=lambda request, response: {"Cookie": "mine=1"})
    assert sent(origin) == [None, "mine=1"]


# `client.cookies`


async def test_it_is_a_mapping_to_read_set_and_clear(client: Any, origin: Origin) -> None:
    origin.routes["/"] = sets("a=1", "b=2; Path=/deep", "c=3")
    await client.get(f"{origin.url}/")
    jar = client.cookies
    assert client.cookies is jar
    assert dict(jar) == {"a": "1", "b": "2", "c": "3"}
    assert (jar["b"], jar.get("b"), jar.get("z"), "a" in jar, len(jar)) == ("2", "2", None, True, 3)
    assert [(cookie.name, cookie.path) for cookie in jar.cookies] == [("a", "/"), ("b", "/deep"), ("c", "/")]
    jar.set("d", "4", url=origin.url)
    assert jar.delete("a") == 1
    await client.get(f"{origin.url}/echo")
    jar.clear()
    await client.get(f"{origin.url}/echo")
    assert sent(origin)[1:] == ["c=3; d=4", None]


@pytest.mark.parametrize("format", ["json", "netscape"])
async def test_a_session_goes_on_in_another_client(
    api: Api, origin: Origin, away: Origin, tmp_path: Path, format: Any
) -> None:
    path = tmp_path / "cookies"
    one = api.client(hosts=HOSTS)
    origin.routes["/"] = sets("sid=one; HttpOnly", "wide=2; Domain=example.com; Max-Age=900; SameSite=Lax")
    await one.get(named(origin, "a.example.com", "/"))
    one.cookies.save(path, format)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    two = api.client(hosts=HOSTS)
    two.cookies.load(path)
    assert dict(two.cookies) == dict(one.cookies) == {"sid": "one", "wide": "2"}
    for host in ("a.example.com", "x.a.example.com", "b.example.com", "other.org"):
        await two.get(named(away, host))
    assert sent(away) == ["sid=one; wide=2", "wide=2", "wide=2", None], "host-only stays host-only (CVE-2026-54279)"


# Configs, copies, secrets


async def test_what_the_caller_gave_is_in_the_config_and_is_sent_again(api: Api, origin: Origin, away: Origin) -> None:
    one, two = api.client(), api.client()
    one.cookies.set("first", CANARY, url=origin.url)
    two.cookies.set("second", "2", url=origin.url)
    for given in (None, {"own": "1"}):
        response = await one.get(f"{origin.url}/echo", cookies=given)
        for config in (response.config, RequestConfig(response.config), copy.deepcopy(response.config)):
            assert config.cookies == given
            assert (await two.request(config)).request.headers["Cookie"] == "; ".join(
                ["second=2", *(["own=1"] if given else [])]
            )
    again = await one.request(response.config)
    assert again.request.headers["Cookie"] == f"first={CANARY}; own=1"
    assert CANARY not in repr(away.requests)


async def test_an_interceptor_sees_and_sets_a_calls_own(client: Any, origin: Origin) -> None:
    seen = []

    def intercept(config: RequestConfig) -> None:
        seen.append(config.cookies)
        config.cookies = {**(config.cookies or {}), "added": "1"}

    client.interceptors.use(intercept)
    client.cookies.set("sid", "one", url=origin.url)
    await client.get(f"{origin.url}/echo")
    await client.get(f"{origin.url}/echo", cookies={"own": "1"})
    assert sent(origin) == ["sid=one; added=1", "sid=one; own=1; added=1"]
    assert seen == [None, {"own": "1"}]


async def test_a_callers_mapping_is_neither_changed_nor_kept(client: Any, origin: Origin) -> None:
    given = {"own": "1"}
    response = await client.get(f"{origin.url}/echo", cookies=given)
    given["own"] = "changed"
    await client.request(response.config)
    assert sent(origin) == ["own=1", "own=1"]
    assert given == {"own": "changed"}


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("cookies", [None, {"own": "1"}])
async def test_copies_do_not_carry_the_clients_jar(
    api: Api, origin: Origin, how: str, cookies: dict[str, str] | None
) -> None:
    client = api.client()
    client.cookies.set("elsewhere", CANARY, url="http://elsewhere.test/")
    client.cookies.set("here", "1", url=origin.url)
    response = await client.get(f"{origin.url}/echo", cookies=cookies)
    for value in (response, response.config):
        assert CANARY.encode() not in pickle.dumps(value)
        twin = COPIES[how](value)
        config = twin.config if isinstance(twin, Response) else twin
        assert config.cookies == cookies
        assert api.client().cookies == {}
        other = await api.client().request(config)
        assert other.request.headers.get("cookie") == ("own=1" if cookies else None)


@pytest.mark.parametrize("how", COPIES)
async def test_a_jar_of_a_call_is_copied_with_its_config(client: Any, origin: Origin, how: str) -> None:
    jar = CookieJar({"sid": "one"}, url=origin.url)
    response = await client.get(f"{origin.url}/echo", cookies=jar)
    assert response.config.cookies is jar
    twin = COPIES[how](response.config)
    assert twin.cookies == jar
    await client.request(twin)
    assert sent(origin) == ["sid=one", "sid=one"]


@pytest.mark.parametrize("given", ["jar", "client", "call", "field", "received"])
@pytest.mark.parametrize("way", ["plain", "retried"])
async def test_values_are_shown_nowhere(
    api: Api, origin: Origin, caplog: pytest.LogCaptureFixture, given: str, way: str
) -> None:
    caplog.set_level(logging.DEBUG)
    origin.routes["/"] = sets(f"sid={CANARY}; Path=/" if given == "received" else "x=1", to="/status/500")
    options: dict[str, Any] = {"cookies": {"sid": CANARY}} if given == "client" else {}
    client = api.client(
        base_url=origin.url, validateStatus=True, **({"retryConfig": 1} if way == "retried" else {}), **options
    )
    if way == "retried":
        client.defaults.retry_config = {"max_retries": 1, "backoff_factor": 0}
    if given == "jar":
        client.cookies.set("sid", CANARY, url=origin.url)
    call: dict[str, Any] = {"cookies": {"sid": CANARY}} if given == "call" else {}
    if given == "field":
        call = {"headers": {"Cookie": f"sid={CANARY}"}}
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get("/", **call)
    assert CANARY in repr(sent(origin)), "it was sent"
    error = caught.value
    response, config = error.response, error.config
    shown = [
        *(str(error), repr(error), repr(error.to_dict()), "".join(traceback.format_exception(error))),
        *(repr(response), repr(response.headers), repr(response.cookies), repr(response.history[0].headers)),
        *(repr(config), repr(config.to_dict()), repr(response.request), repr(response.request.headers)),
        *(repr(response.request.outline.cookies), repr(response.request.outline)),
        *(repr(client.cookies), repr(client.cookies.cookies), repr(client.defaults), repr(client)),
        *(repr(client.defaults.to_dict()), pickle.dumps(error).decode("latin-1"), caplog.text),
    ]
    assert [text for text in shown if CANARY in text] == []


async def test_a_pickled_error_can_be_sent_again_without_its_secrets(api: Api, origin: Origin) -> None:
    client = api.client(validateStatus=True)
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get(f"{origin.url}/status/500", cookies={"sid": CANARY}, xsrfCookieName="other")
    config = pickle.loads(pickle.dumps(caught.value)).config
    assert (config.cookies, config.xsrf_cookie_name) == (None, "other"), "a name is no secret"
    response = await client.request(config, validateStatus=None)
    assert response.status == 500
    assert sent(origin) == [f"sid={CANARY}", None]


# Much of it


async def test_a_flood_costs_what_the_limits_let_through(client: Any, origin: Origin) -> None:
    origin.routes["/"] = sets(*(f"c{number}={number}" for number in range(150)))
    await client.get(f"{origin.url}/")
    assert len(client.cookies) == 50
    await client.get(f"{origin.url}/echo")
    assert sent(origin)[1] == "; ".join(f"c{number}={number}" for number in range(100, 150))


async def test_a_flood_beyond_the_limits_of_a_head_is_refused(api: Api, origin: Origin) -> None:
    origin.routes["/"] = sets(*(f"c{number}={number}" for number in range(10_000)))
    client = api.client()
    with pytest.raises(AtomHTTPNetworkError) as caught:
        await client.get(f"{origin.url}/")
    assert caught.value.code == "HPE_HEADER_OVERFLOW"
    assert client.cookies == {}
    assert (await client.get(f"{origin.url}/echo")).status == 200


async def test_long_cookies_do_not_make_a_site_unusable(client: Any, origin: Origin) -> None:
    origin.routes["/"] = sets(*(f"c{number}={'v' * 4000}" for number in range(10)), "sid=one", f"big={'v' * 5000}")
    await client.get(f"{origin.url}/")
    await client.get(f"{origin.url}/echo", cookies={"own": "1"})
    field = sent(origin)[1]
    assert field is not None
    assert len(field) <= 8190 - len("Cookie: ")
    assert "sid=one" in field
    assert "own=1" in field


class Flooding:
    """An adapter without any limits."""

    async def send(self, request: Request) -> AdapterResponse:
        fields = [("Set-Cookie", f"c{number}={number}; Max-Age=9") for number in range(10_000)]
        return AdapterResponse(200, Headers(fields), b"{}")

    async def close(self) -> None:
        """Nothing is open."""


async def test_an_adapter_may_bring_any_number(api: Api) -> None:
    client = api.client(adapter=Flooding())
    await client.get("http://flood.test/")
    assert len(client.cookies) == 50


async def test_an_empty_jar_costs_nothing(api: Api, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of it, neither on the way out nor back."""
    client = api.client()
    await client.get(f"{origin.url}/echo")

    def forbidden(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("the jar was asked")

    for name in ("header_for", "matching", "store"):
        monkeypatch.setattr(CookieJar, name, forbidden)
    for _ in range(2):
        assert (await client.get(f"{origin.url}/echo")).status == 200
        assert (await client.post(f"{origin.url}/echo", {"a": 1})).status == 200
        assert (await client.get(f"{origin.url}/echo", headers={"X-A": "1"})).status == 200


async def test_cookies_that_change_are_sent_as_they_are(client: Any, origin: Origin) -> None:
    """What was worked out for one request must not be sent with the next."""
    for number in range(5):
        client.cookies.set("n", str(number), url=origin.url)
        await client.get(f"{origin.url}/echo")
        await client.post(f"{origin.url}/echo", {"n": number})
        await client.get(f"{origin.url}/echo", cookies={"own": str(number)})
    client.cookies.clear()
    await client.get(f"{origin.url}/echo")
    expected = [each for n in range(5) for each in (f"n={n}", f"n={n}", f"n={n}; own={n}")]
    assert sent(origin) == [*expected, None]


# Together


async def test_fifty_at_once_over_one_jar(origin: Origin) -> None:
    origin.routes["/set"] = lambda request: Answer(headers=[("Set-Cookie", f"{request.get('X-N')}=1; Path=/")])
    async with AtomHTTP(base_url=origin.url) as client:
        await asyncio.gather(*(client.get("/set", headers={"X-N": f"c{number % 25}"}) for number in range(50)))
        await client.get("/echo")
        await asyncio.gather(*(client.get("/echo", cookies={"own": str(number)}) for number in range(50)))
    assert set(client.cookies) == {f"c{number}" for number in range(25)}
    jar = "; ".join(f"{name}=1" for name in client.cookies)
    assert sent(origin)[50] == jar
    assert sorted(str(field) for field in sent(origin)[51:]) == sorted(f"{jar}; own={number}" for number in range(50))


def test_threads_over_one_jar(origin: Origin) -> None:
    origin.routes["/set"] = lambda request: Answer(headers=[("Set-Cookie", f"{request.get('X-N')}=1; Path=/")])
    failures: list[BaseException] = []
    with SyncAtomHTTP(base_url=origin.url) as client:

        def work(thread: int) -> None:
            try:
                for number in range(10):
                    client.get("/set", headers={"X-N": f"t{thread}n{number % 3}"})
                    response = client.get("/echo", cookies={"own": str(thread)})
                    field = response.request.headers["Cookie"]
                    assert f"t{thread}n{number % 3}=1" in field
                    assert field.endswith(f"; own={thread}")
                    if number == 5:
                        client.defaults.timeout = 20 + thread
                        dict(client.cookies)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert set(client.cookies) == {f"t{thread}n{number}" for thread in range(8) for number in range(3)}


def test_a_mapping_set_while_other_threads_call_is_one_jar_for_all(origin: Origin) -> None:
    with SyncAtomHTTP(base_url=origin.url) as client:
        jars = []
        start = threading.Barrier(8)

        def work() -> None:
            start.wait()
            client.get("/echo")
            jars.append(client.cookies)

        client.defaults.cookies = {"sid": "one"}
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({id(jar) for jar in jars}) == 1
    assert sent(origin) == ["sid=one"] * 8


async def test_a_limit_that_ends_a_call_leaves_the_jar_usable(api: Api, origin: Origin) -> None:
    client = api.client(maxContentLength=10)
    client.cookies.set("sid", "one", url=origin.url)
    with pytest.raises(AtomHTTPLimitError):
        await client.get(f"{origin.url}/bytes/100")
    await client.get(f"{origin.url}/bytes/5")
    assert sent(origin) == ["sid=one", "sid=one"]


@pytest.mark.parametrize("options", [{"maxContentLength": 1}, {"response_type": "stream", "maxContentLength": 1}])
async def test_a_response_that_is_refused_has_set_its_cookies(
    api: Api, origin: Origin, options: dict[str, Any]
) -> None:
    origin.routes["/big"] = lambda _: Answer(b"too much", headers=[("Set-Cookie", "sid=1")])
    client = api.client()
    with pytest.raises(AtomHTTPLimitError):
        await client.get(f"{origin.url}/big", **options)
    assert dict(client.cookies) == {"sid": "1"}


async def test_a_calls_own_cookies_are_credentials_on_the_way_down_to_http(
    api: Api, origin: Origin, certificates: Certificates
) -> None:
    with Origin(tls=certificates.server_context()) as secure:
        secure.routes["/down"] = lambda _: Answer(status=302, headers=[("Location", f"{origin.url}/echo")])
        client = api.client(verify=str(certificates.ca))
        with pytest.raises(AtomHTTPRedirectError, match="from https to http with credentials"):
            await client.get(f"{secure.url}/down", cookies={"sid": "1"})
        assert origin.requests == []
        assert (await client.get(f"{secure.url}/down")).status == 200
