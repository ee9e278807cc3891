"""Proxies: which one, what it is told, what it is not told, and what its answers are taken for.

The proxies are scripted ones, which remember every byte; real ones are in tests/net/test_proxies.py.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import pickle
import sys
import traceback
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atomhttp import (
    AtomHTTPError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPProxyError,
    AtomHTTPTLSError,
    DigestAuth,
    HTTPAdapter,
    Proxy,
)
from contract.flavours import Api, collect
from support.certificates import Certificates
from support.origin import Answer, Origin, Received, pattern
from support.peer import Peer, close, expect_head, reset, send
from support.scripted_proxy import Reply, ScriptedProxy
from support.socks import SocksServer, socks_address

KINDS = ("http", "https", "socks5", "socks5h")
SCHEMES = ("http", "https")
CANARY = "c4n4ry"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
HAS_IPV6 = Path("/proc/net/if_inet6").exists() and bool(Path("/proc/net/if_inet6").read_text())
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture(autouse=True)
def _network(certificates: Certificates) -> Certificates:
    """Every test here is about a network: there is none with a mock."""
    return certificates


@contextlib.contextmanager
def proxy_of(kind: str, certificates: Certificates, **options: Any) -> Iterator[Any]:
    if kind.startswith("socks"):
        with SocksServer(**options) as server:
            yield server
    else:
        with ScriptedProxy(tls=certificates.server_context() if kind == "https" else None, **options) as proxy:
            yield proxy


@contextlib.contextmanager
def origin_of(scheme: str, certificates: Certificates, **options: Any) -> Iterator[Origin]:
    with Origin(tls=certificates.server_context() if scheme == "https" else None, **options) as origin:
        yield origin


def url_of(kind: str, proxy: Any, userinfo: str = "") -> str:
    return f"{kind}://{userinfo}{'@' if userinfo else ''}127.0.0.1:{proxy.port}"


def basic(username: str, password: str) -> str:
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"


def saw(proxy: Any) -> int:
    """How many requests the proxy was asked to pass on."""
    return len(proxy.asked) if isinstance(proxy, SocksServer) else len(proxy.requests)


def leading_to(location: str, status: int = 302) -> Any:
    return lambda _: Answer(status=status, headers=[("Location", location)])


# Through every kind of proxy


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("kind", KINDS)
async def test_everything_goes_through_every_kind(api: Api, certificates: Certificates, kind: str, scheme: str) -> None:
    with origin_of(scheme, certificates) as origin, proxy_of(kind, certificates, credentials=("me", "p:w/@")) as proxy:
        client = api.client(baseURL=origin.url, verify=certificates.ca, proxy=url_of(kind, proxy, "me:p%3Aw%2F%40"))
        response = await client.get("/echo", params={"a": "1 2"})
        assert (response.status, response.data["target"]) == (200, "/echo?a=1+2")
        assert response.url == f"{origin.url}/echo?a=1+2"
        sent = pattern(300_000)
        assert (await client.post("/echo", sent)).data["body"] == sent.decode("latin-1")
        chunks = api.iterator([b"one ", b"two ", b"three"])
        assert (await client.put("/echo", chunks)).data["body"] == "one two three"
        assert (await client.get("/chunked/70000", response_type="blob")).data == pattern(70_000)
        stream = await client.get("/bytes/300000", response_type="stream")
        assert b"".join(await collect(stream.data)) == pattern(300_000)
        assert (await client.head("/bytes/500")).headers["content-length"] == "500"
        assert (await client.get("/status/204")).data is None
        assert (await client.get("/status/502")).status == 502
        assert (await client.get("/echo")).status == 200
    assert saw(proxy) == (9 if kind in SCHEMES and scheme == "http" else 1)
    # What the proxy is told is for the proxy alone. One connection to it was enough; the scripted proxy ends one itself
    # when it has passed on a response without a length (204).
    assert proxy.connections == (2 if saw(proxy) == 9 else 1)
    assert {each.get("proxy-authorization") for each in origin.requests} == {None}
    assert {each.target for each in origin.requests} <= {
        *("/echo?a=1+2", "/echo", "/chunked/70000", "/bytes/300000", "/bytes/500", "/status/204", "/status/502")
    }


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("kind", KINDS)
async def test_an_origin_of_http_1_0_behind_a_proxy(
    api: Api, certificates: Certificates, kind: str, scheme: str
) -> None:
    with (
        origin_of(scheme, certificates, version="HTTP/1.0") as origin,
        proxy_of(kind, certificates) as proxy,
    ):
        client = api.client(verify=certificates.ca, proxy=url_of(kind, proxy))
        for _ in range(2):
            response = await client.get(f"{origin.url}/bytes/100000", response_type="blob")
            assert response.data == pattern(100_000)
    # The end of the content is the end of the connection.
    assert proxy.connections == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_timings_tell_what_the_way_through_the_proxy_cost(
    api: Api, certificates: Certificates, kind: str
) -> None:
    with origin_of("https", certificates) as origin, proxy_of(kind, certificates) as proxy:
        client = api.client(verify=certificates.ca, proxy=url_of(kind, proxy))
        first, second = [(await client.get(f"{origin.url}/echo")).timings for _ in range(2)]
    assert first.connect > 0
    assert first.ssl > 0
    assert first.connect + first.ssl <= first.total
    assert (second.connect, second.ssl) == (0, 0)


# What exactly is said


async def test_the_bytes_of_connect(api: Api, certificates: Certificates) -> None:
    leaf = certificates.issue("secure.test", "xn--bcher-kva.test", "::1")
    with Origin(tls=certificates.server_context(leaf)) as origin:
        places = {"secure.test:443": origin.port, "secure.test": origin.port, "::1:443": origin.port}
        places |= {"[::1]": origin.port, "xn--bcher-kva.test": origin.port, "::1": origin.port}
        with ScriptedProxy(destinations=places) as proxy:
            client = api.client(verify=certificates.ca, headers={"Authorization": CANARY, "X-Own": CANARY})
            options = {"proxy": proxy.url, "cookies": {"a": CANARY}}
            await client.post(f"https://user:{CANARY}@secure.test/p?q=1#f", CANARY, **options)
            await client.get("https://secure.test:8443/", **options)
            await client.get("https://[::1]/", **options)
            await client.get("https://Bücher.test/", **options)
            await client.get("https://secure.test/", **options | {"proxy": url_of("http", proxy, "us%20er:")})
    plain = "CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n"
    assert [head.raw.decode() for head in proxy.requests] == [
        *map(plain.format, ("secure.test:443", "secure.test:8443", "[::1]:443", "xn--bcher-kva.test:443")),
        f"{plain.format('secure.test:443')[:-2]}Proxy-Authorization: {basic('us er', '')}\r\n\r\n",
    ]
    # All that a proxy can read of a tunnel is the server's name.
    assert CANARY.encode() not in b"".join([*proxy.received.values(), *proxy.tunnelled.values()])
    assert origin.requests[0].target == "/p?q=1"
    assert origin.requests[0].get("host") == "secure.test"
    assert origin.server_names == ["secure.test", "secure.test", None, "xn--bcher-kva.test", "secure.test"]


async def test_the_bytes_of_the_absolute_form(api: Api) -> None:
    with Origin() as origin:
        places = dict.fromkeys(("plain.test", "xn--bcher-kva.test", "::1"), origin.port)
        with ScriptedProxy(destinations=places) as proxy:
            client = api.client(headers={"Accept": "*/*", "User-Agent": "x", "Accept-Encoding": "identity"})
            ways = {"proxy": url_of("http", proxy, "u:p")}
            await client.get("http://user:secret@plain.test/a%2Fb?q=1&r#fragment", **ways)
            await client.get("http://plain.test:80", **ways)
            await client.get("http://plain.test:8080?x", **ways)
            await client.get("http://[::1]/", **ways)
            await client.get("http://Bücher.test/ü", headers={"Host": "other.test"}, **ways)
            await client.post("http://plain.test/", b"12", **ways)
            await client.options("http://plain.test/*", keepAlive=False, **ways)
    own = f"Accept: */*\r\nUser-Agent: x\r\nAccept-Encoding: identity\r\n{{}}Proxy-Authorization: {basic('u', 'p')}\r\n"
    authorization = f"Authorization: {basic('user', 'secret')}\r\n"
    expected = [
        ("GET http://plain.test/a%2Fb?q=1&r", "plain.test", authorization, ""),
        ("GET http://plain.test/", "plain.test", "", ""),
        ("GET http://plain.test:8080/?x", "plain.test:8080", "", ""),
        ("GET http://[::1]/", "[::1]", "", ""),
        ("GET http://xn--bcher-kva.test/%C3%BC", "other.test", "", ""),
        (
            "POST http://plain.test/",
            "plain.test",
            "",
            "Content-Type: application/octet-stream\r\nContent-Length: 2\r\n",
        ),
        ("OPTIONS http://plain.test/*", "plain.test", "", "Connection: close\r\n"),
    ]
    assert [head.raw.decode() for head in proxy.requests] == [
        f"{line} HTTP/1.1\r\nHost: {host}\r\n{own.format(more)}{ending}\r\n" for line, host, more, ending in expected
    ]


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_what_a_socks_proxy_is_asked(api: Api, certificates: Certificates, scheme: str) -> None:
    leaf = certificates.issue("name.test", "xn--bcher-kva.test", "127.0.0.1", "::1")
    with Origin(tls=certificates.server_context(leaf) if scheme == "https" else None) as origin:
        places = dict.fromkeys(("name.test", "xn--bcher-kva.test", "::1", "127.0.0.9", "2001:db8::1"), origin.port)
        with SocksServer(destinations=places) as proxy:
            both = {"name.test": ["2001:db8::1", "127.0.0.9"], "xn--bcher-kva.test": ["2001:db8::1"]}
            client = api.client(verify=certificates.ca, hosts=both)
            for kind in ("socks5", "socks5h"):
                for host in ("name.test", "Bücher.test", "[::1]"):
                    ways = {"proxy": url_of(kind, proxy)}
                    assert (await client.get(f"{scheme}://{host}:8443/echo", **ways)).status == 200
    assert [(each.kind, each.host, each.port) for each in proxy.asked] == [
        ("ipv4", "127.0.0.9", 8443),  # by the client's table, and by IPv4 where there is a choice
        ("ipv6", "2001:db8::1", 8443),
        ("ipv6", "::1", 8443),
        ("name", "name.test", 8443),
        ("name", "xn--bcher-kva.test", 8443),
        ("ipv6", "::1", 8443),
    ]
    # No more is offered than there is: b"\x00" is "no authentication".
    assert set(proxy.offered) == {b"\x00"}


async def test_socks_credentials_are_offered_and_used_when_asked_for(api: Api) -> None:
    with Origin() as origin, SocksServer(credentials=("ü", "p")) as asks, SocksServer() as does_not:
        for proxy in (asks, does_not):
            await api.client(proxy=url_of("socks5", proxy, "%C3%BC:p")).get(f"{origin.url}/echo")
            assert proxy.offered == [b"\x00\x02"]
    assert [each.asked[0].credentials for each in (asks, does_not)] == [("ü", "p"), None]


@pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 here")
async def test_a_proxy_at_an_ipv6_address(api: Api, certificates: Certificates, tls_origin: Origin) -> None:
    with (
        ScriptedProxy(host="::1", tls=certificates.server_context()) as https,
        SocksServer(host="::1") as socks,
    ):
        for url in (
            https.url,
            {"host": "::1", "port": https.port, "protocol": "https"},
            f"socks5://[::1]:{socks.port}",
        ):
            assert (await api.client(verify=certificates.ca, proxy=url).get(f"{tls_origin.url}/echo")).status == 200
        assert https.server_names == [None, None]
    with pytest.raises(AtomHTTPProxyError, match=r"http://\[::1\]:1 cannot be reached"):
        await api.client(proxy="http://[::1]:1").get("http://127.0.0.1:1/")


# Which proxy


async def test_a_proxy_is_given_in_many_ways(api: Api, origin: Origin) -> None:
    with ScriptedProxy(credentials=("u", "p")) as proxy:
        port = proxy.port
        given: list[Any] = [
            f"http://u:p@127.0.0.1:{port}",
            f"u:p@127.0.0.1:{port}/",
            f"HTTP://u:p@127.1:{port}",
            {"host": "127.0.0.1", "port": port, "auth": {"username": "u", "password": "p"}},
            {"protocol": "http:", "hostname": "127.0.0.1", "port": str(port), "auth": ("u", "p")},
            {"host": f"http://u:p@127.0.0.1:{port}"},
            {"http://": f"http://u:p@127.0.0.1:{port}", "https://": "http://127.0.0.1:1"},
            {"all://127.0.0.1": f"u:p@127.0.0.1:{port}"},
            Proxy("http", "127.0.0.1", port, authorization=basic("u", "p")),
        ]
        for number, proxy_option in enumerate(given, 1):
            assert (await api.client(proxy=proxy_option).get(f"{origin.url}/echo")).status == 200
            assert (await api.client().get(f"{origin.url}/echo", proxy=proxy_option)).status == 200
            assert len(proxy.forwarded) == 2 * number


async def test_the_calls_proxy_is_nearer_than_the_clients(api: Api, origin: Origin) -> None:
    with ScriptedProxy() as first, ScriptedProxy() as second:
        client = api.client(proxy=first.url)
        await client.get(f"{origin.url}/echo", proxy=second.url)
        assert (len(first.requests), len(second.requests)) == (0, 1)
        await client.get(f"{origin.url}/echo", proxy=False)
        assert (len(first.requests), len(second.requests), len(origin.requests)) == (0, 1, 2)
        await client.get(f"{origin.url}/echo")
        await client.create(proxy=second.url).get(f"{origin.url}/echo")
        assert (len(first.requests), len(second.requests)) == (1, 2)
        client.defaults.proxy = second.url
        await client.get(f"{origin.url}/echo")
        assert (len(first.requests), len(second.requests)) == (1, 3)
        client.defaults.proxy = False
        await client.get(f"{origin.url}/echo")
        assert (len(first.requests), len(second.requests), len(origin.requests)) == (1, 3, 6)


async def test_an_interceptor_may_choose_the_proxy(api: Api, origin: Origin) -> None:
    with ScriptedProxy() as proxy:
        client = api.client()
        client.interceptors.use(lambda config: {"proxy": proxy.url})
        assert (await client.get(f"{origin.url}/echo")).status == 200
        assert len(proxy.forwarded) == 1


async def test_targets_have_proxies_of_their_own(api: Api) -> None:
    with Origin() as origin, contextlib.ExitStack() as stack:
        names = ("a.test", "b.test", "c.b.test", "d.test")
        hosts = dict.fromkeys(names, "127.0.0.1")
        one, two, three = [
            stack.enter_context(ScriptedProxy(destinations=dict.fromkeys(names, origin.port))) for _ in range(3)
        ]
        table = {"http://": one.url, "all://*.b.test": two.url, "http://b.test:8080": three.url, "all://d.test": None}
        client = api.client(proxy=table, hosts=hosts)
        for host in ("a.test", "b.test", "c.b.test", "b.test:8080", f"d.test:{origin.port}"):
            assert (await client.get(f"http://{host}/echo")).status == 200
        assert [proxy.forwarded for proxy in (one, two, three)] == [
            ["GET http://a.test/echo", "GET http://b.test/echo"],
            ["GET http://c.b.test/echo"],
            ["GET http://b.test:8080/echo"],
        ]
        assert origin.requests[-1].get("host") == f"d.test:{origin.port}"


async def test_the_environment_names_proxies(
    api: Api, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Origin() as plain,
        Origin(tls=certificates.server_context()) as secure,
        ScriptedProxy() as http,
        ScriptedProxy() as https,
        SocksServer() as everything,
    ):
        for lower in (False, True):
            for name, value in zip(
                VARIABLES, (http.url, https.url, f"socks5://127.0.0.1:{everything.port}"), strict=False
            ):
                monkeypatch.setenv(name.lower() if lower else name, value)
            client = api.client(verify=certificates.ca)
            await client.get(f"{plain.url}/echo")
            await client.get(f"{secure.url}/echo")
            for name in VARIABLES[:2]:
                monkeypatch.delenv(name.lower() if lower else name)
            # It is read once a client: by an old one not again, by a new one anew.
            await client.get(f"{plain.url}/status/201")
            await api.client().get(f"{plain.url}/echo")
            monkeypatch.delenv("all_proxy" if lower else "ALL_PROXY")
        assert (len(http.forwarded), len(https.tunnels), len(everything.asked)) == (4, 2, 2)


async def test_the_environment_is_not_asked_where_it_has_no_say(
    api: Api, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES[:3]:
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    await api.client(trustEnv=False).get(f"{origin.url}/echo")
    await api.client().get(f"{origin.url}/echo", trustEnv=False)
    await api.client(proxy=False).get(f"{origin.url}/echo")
    await api.client().get(f"{origin.url}/echo", proxy=False)
    with ScriptedProxy() as proxy:
        await api.client(proxy=proxy.url).get(f"{origin.url}/echo")
        # None on a call is not "none": it is the environment's turn again.
        with pytest.raises(AtomHTTPProxyError):
            await api.client(proxy=proxy.url).get(f"{origin.url}/echo", proxy=None)
    with pytest.raises(AtomHTTPProxyError):
        await api.client().get(f"{origin.url}/echo")
    assert len(origin.requests) == 5


async def test_a_cgi_programs_http_proxy_is_the_attackers(
    api: Api, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert (await api.client().get(f"{origin.url}/echo")).status == 200
    with ScriptedProxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert (await api.client().get(f"{origin.url}/echo")).status == 200
        assert len(proxy.forwarded) == 1


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("*", True),
        ("127.0.0.1", True),
        ("localhost", True),
        ("10.0.0.0/8, 127.0.0.0/8", True),
        ("a.test .b.test", False),
        ("127.0.0.1:1", False),
        ("127.0.0.1:{port}", True),
        ("0x7f.1,[::ffff:10.0.0.1]", True),
        ("", False),
    ],
)
async def test_no_proxy_goes_past_the_environments_proxies(
    api: Api, origin: Origin, monkeypatch: pytest.MonkeyPatch, no_proxy: str, direct: bool
) -> None:
    with ScriptedProxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("NO_PROXY", no_proxy.format(port=origin.port))
        await api.client().get(f"{origin.url}/echo")
        assert len(proxy.requests) == (0 if direct else 1)
        # It is the environment's, and says nothing about a proxy that the program names.
        await api.client(proxy=proxy.url).get(f"{origin.url}/echo")
        assert len(proxy.requests) == (1 if direct else 2)


async def test_a_slip_in_a_variable_is_told_when_it_matters(
    api: Api, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", f"ftp://user:{CANARY}@proxy.test")
    client = api.client()
    assert (await client.get(f"{origin.url}/echo")).status == 200
    with pytest.raises(AtomHTTPOptionError, match="https_proxy") as caught:
        await client.get("https://127.0.0.1/")
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert CANARY not in str(caught.value)


async def test_a_unix_socket_is_nearer_than_a_proxy(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with Origin(unix=tmp_path / "s") as there:
        for proxy in (None, "http://127.0.0.1:1"):
            client = api.client(proxy=proxy, socketPath=tmp_path / "s", headers={"Proxy-Authorization": CANARY})
            assert (await client.get("http://service.test/echo")).data["target"] == "/echo"
    assert {each.get("proxy-authorization") for each in there.requests} == {None}


# Connections are not shared by who must not share them


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_unequal_ways_have_unequal_connections(api: Api, certificates: Certificates, scheme: str) -> None:
    with (
        origin_of(scheme, certificates) as origin,
        ScriptedProxy() as one,
        ScriptedProxy() as two,
        SocksServer() as socks,
    ):
        client = api.client(verify=certificates.ca)
        field = {"headers": {"Proxy-Authorization": "Bearer 1"}}
        ways: list[dict[str, Any]] = [
            {"proxy": False},
            {"proxy": one.url},
            {"proxy": two.url},
            {"proxy": url_of("http", one, "u:p")},
            {"proxy": url_of("http", one, "u:q")},
            {"proxy": one.url} | field,
            {"proxy": one.url, "headers": {"Proxy-Authorization": "Bearer 2"}},
            {"proxy": url_of("http", one, "u:p")} | field,
            {"proxy": url_of("socks5", socks)},
            {"proxy": url_of("socks5h", socks)},
            {"proxy": url_of("socks5", socks, "u:p")},
        ]
        for _ in range(2):
            for way in ways:
                assert (await client.get(f"{origin.url}/echo", **way)).status == 200
        assert client.pool_stats().open == len(ways)
        assert (one.connections, two.connections, socks.connections) == (6, 1, 3)
        # The same credentials spelt otherwise are the same.
        auth = {"host": "127.0.0.1", "port": one.port, "auth": ("u", "p")}
        await client.get(f"{origin.url}/echo", proxy=auth)
        await client.get(f"{origin.url}/echo", proxy=one.url, headers={"Proxy-Authorization": "Bearer 1"})
        assert client.pool_stats().open == len(ways)


# A Proxy-Authorization of the caller's


@pytest.mark.parametrize("spelling", ["Proxy-Authorization", "pROXY-aUTHORIZATION"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("where", ["call", "client", "interceptor"])
async def test_the_callers_proxy_authorization_is_the_proxys_alone(
    api: Api, certificates: Certificates, scheme: str, where: str, spelling: str
) -> None:
    field = {spelling: f"Bearer {CANARY}"}
    with origin_of(scheme, certificates) as origin, ScriptedProxy() as proxy:
        client = api.client(verify=certificates.ca, headers=field if where == "client" else None)
        if where == "interceptor":
            client.interceptors.use(lambda config: config.headers.update(field))
        options = {"headers": field} if where == "call" else {}
        await client.get(f"{origin.url}/echo", proxy=url_of("http", proxy, "u:p"), **options)
        response = await client.get(f"{origin.url}/echo", proxy=url_of("http", proxy, "u:p"), **options)
        await client.get(f"{origin.url}/echo", **options)
        heads = proxy.requests
        assert len(heads) == (1 if scheme == "https" else 2)
        values = [[value for name, value in head.headers if name.lower() == "proxy-authorization"] for head in heads]
        # It is nearer than what the proxy's URL says.
        assert values == [[f"Bearer {CANARY}"]] * len(heads)
    assert len(origin.requests) == 3
    assert {each.get("proxy-authorization") for each in origin.requests} == {None}
    assert "proxy-authorization" not in response.request.headers


async def test_it_reaches_no_origin_behind_socks(api: Api, origin: Origin) -> None:
    with SocksServer() as proxy:
        options = {"proxy": url_of("socks5", proxy), "headers": {"Proxy-Authorization": CANARY}}
        await api.client().get(f"{origin.url}/echo", **options)
    assert origin.requests[0].get("proxy-authorization") is None
    assert CANARY.encode() not in b"".join(proxy.received.values())


async def test_what_sets_it_late_sets_it_nowhere(api: Api, origin: Origin) -> None:
    """An auth flow and beforeRedirect see requests to origins: what they add for a proxy is dropped."""

    class Flow:
        def auth_flow(self, request: Any) -> Any:
            request.headers["Proxy-Authorization"] = CANARY
            yield request

    origin.routes["/away"] = leading_to("/echo")
    await api.client(auth=Flow()).get(f"{origin.url}/echo")
    await api.client(beforeRedirect=lambda *_: {"Proxy-Authorization": CANARY}).get(f"{origin.url}/away")
    assert {each.get("proxy-authorization") for each in origin.requests} == {None}


async def test_an_exchange_with_the_origin_keeps_what_the_proxy_is_told(api: Api, origin: Origin) -> None:
    def ask(request: Received) -> Answer:
        challenge = [("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')]
        return Answer() if request.get("authorization") else Answer(status=401, headers=challenge)

    origin.routes["/digest"] = ask
    with ScriptedProxy() as proxy:
        client = api.client(proxy=proxy.url, auth=DigestAuth("u", "p"), headers={"Proxy-Authorization": CANARY})
        assert (await client.post(f"{origin.url}/digest", b"x")).status == 200
        assert [head.get("proxy-authorization") for head in proxy.requests] == [CANARY] * 2
    assert {each.get("proxy-authorization") for each in origin.requests} == {None}


# Redirects


@pytest.mark.parametrize(("first", "second"), [("http", "https"), ("https", "http"), ("http", "http")])
async def test_a_redirect_keeps_the_proxy_and_what_it_is_told(
    api: Api, certificates: Certificates, first: str, second: str
) -> None:
    with (
        origin_of(first, certificates) as here,
        origin_of(second, certificates) as there,
        ScriptedProxy() as proxy,
    ):
        here.routes["/away"] = leading_to(f"{there.url}/echo")
        for options in (
            {"proxy": url_of("http", proxy, "u:p")},
            {"proxy": proxy.url, "headers": {"Proxy-Authorization": basic("u", "p")}},
        ):
            response = await api.client(verify=certificates.ca).get(f"{here.url}/away", **options)
            assert response.url == f"{there.url}/echo"
        heads = proxy.requests
        assert len(heads) == 4
        assert {head.get("proxy-authorization") for head in heads} == {basic("u", "p")}
        by_scheme = {"http": "GET http://127.0.0.1:{}/{} HTTP/1.1", "https": "CONNECT 127.0.0.1:{} HTTP/1.1"}
        lines = [head.raw.partition(b"\r\n")[0].decode() for head in heads]
        hops = [by_scheme[first].format(here.port, "away"), by_scheme[second].format(there.port, "echo")]
        assert lines == hops * 2
    assert {each.get("proxy-authorization") for each in [*here.requests, *there.requests]} == {None}


async def test_a_redirect_leaves_the_proxy_with_its_credentials(api: Api, origin: Origin) -> None:
    with Origin() as other, ScriptedProxy() as one, ScriptedProxy() as two:
        here, there, directly = [f"http://{name}.test" for name in ("here", "there", "directly")]
        names = {"here.test": origin.port, "there.test": other.port}
        one.destinations = two.destinations = names
        origin.routes["/"] = leading_to(f"{there}/on")
        other.routes["/on"] = leading_to(f"{directly}:{other.port}/back")
        other.routes["/back"] = leading_to(f"{here}/echo")
        options: dict[str, Any] = {
            "proxy": {f"{here}": url_of("http", one, "u:p"), f"{there}": two.url},
            "hosts": {"directly.test": "127.0.0.1"},
        }
        response = await api.client(**options, headers={"Proxy-Authorization": f"Bearer {CANARY}"}).get(f"{here}/")
        assert response.status == 200
        assert len(response.history) == 3
    # Once left behind it stays behind; the proxy's own are there again.
    assert [head.get("proxy-authorization") for head in one.requests] == [f"Bearer {CANARY}", basic("u", "p")]
    assert [head.get("proxy-authorization", "none") for head in two.requests] == ["none"]
    assert {each.get("proxy-authorization") for each in [*origin.requests, *other.requests]} == {None}
    assert other.requests[1].target == "/back"


async def test_one_proxy_with_two_accounts_is_asked_in_the_name_that_belongs_to_the_target(api: Api) -> None:
    with Origin() as origin, ScriptedProxy(destinations={}) as proxy:
        proxy.destinations = dict.fromkeys(("a.test", "b.test"), origin.port)
        origin.routes["/"] = leading_to("http://b.test/echo")
        table = {"all://a.test": url_of("http", proxy, "a:1"), "all://b.test": url_of("http", proxy, "b:2")}
        assert (await api.client(proxy=table).get("http://a.test/")).status == 200
        assert [head.get("proxy-authorization") for head in proxy.requests] == [basic("a", "1"), basic("b", "2")]
        await api.client(proxy=table).get("http://a.test/", headers={"Proxy-Authorization": CANARY})
        assert [head.get("proxy-authorization") for head in proxy.requests[2:]] == [CANARY, basic("b", "2")]


async def test_no_proxy_holds_on_every_hop(api: Api, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedProxy(destinations={"proxied.test": origin.port}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        origin.routes["/out"] = leading_to("http://proxied.test/back")
        origin.routes["/back"] = leading_to(f"{origin.url}/echo")
        assert (await api.client().get(f"{origin.url}/out")).status == 200
        assert proxy.forwarded == ["GET http://proxied.test/back"]


async def test_a_redirect_from_a_unix_socket_goes_through_the_proxy(api: Api, origin: Origin, tmp_path: Path) -> None:
    with Origin(unix=tmp_path / "s") as there, ScriptedProxy() as proxy:
        there.routes["/"] = leading_to(f"{origin.url}/echo")
        client = api.client(socketPath=tmp_path / "s", proxy=proxy.url)
        assert (await client.get("http://service.test/")).status == 200
        assert len(proxy.forwarded) == 1


async def test_a_proxys_redirect_of_a_forwarded_request_is_an_ordinary_one(api: Api, origin: Origin) -> None:
    """For plain http a proxy speaks for the origin, as anybody on the way could."""
    with ScriptedProxy() as proxy:
        origin.routes["/"] = leading_to("/echo", 307)
        response = await api.client(proxy=proxy.url).post(f"{origin.url}/", b"x" * 300_000)
        assert len(response.data["body"]) == 300_000
        assert len(proxy.forwarded) == 2


# A tunnel that does not stand

REFUSALS = {
    "407": (b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 2\r\n\r\nno", 407),
    "302": (b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", 302),
    "401": (b"HTTP/1.1 401 U\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n", 401),
    "403 until EOF": (b"HTTP/1.1 403 Forbidden\r\n\r\n<html>", 403),
    "502": (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", 502),
    "304": (b"HTTP/1.1 304 Not Modified\r\n\r\n", 304),
    "chunked 500": (b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 500),
    "HTTP/1.0 503": (b"HTTP/1.0 503 X\r\n\r\n", 503),
    "503 after 100": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 X\r\n\r\n", 503),
    "no reason": (b"HTTP/1.1 503\r\n\r\n", 503),
    "escapes": (b"HTTP/1.1 503 \x1b[31m\xff\r\n\r\n", None),
}
BROKEN = {
    "content": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "chunked content": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "another response": ESTABLISHED + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "one byte more": ESTABLISHED + b"\x16",
    "a coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\n\n",
    "obs-fold": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
    "blank before colon": b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>",
    "SOCKS": b"\x05\x00",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x28",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "status 999": b"HTTP/1.1 999 X\r\n\r\n",
    "no end": b"HTTP/1.1 200 OK\r\nA: b",
    "nothing": b"",
    "large head": b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000,
    "many fields": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n",
    "interim flood": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 100,
}


async def refused(api: Api, certificates: Certificates, reply: Reply, tls: bool = False) -> AtomHTTPProxyError:
    """The error of a call whose CONNECT is answered by `reply`; not a byte of the request has gone to the proxy."""
    with ScriptedProxy(tls=certificates.server_context() if tls else None, replies=[reply]) as proxy:
        client = api.client(verify=certificates.ca, proxy=url_of("https" if tls else "http", proxy), timeout=5)
        with pytest.raises(AtomHTTPProxyError) as caught:
            await client.post("https://127.0.0.1:1/secret", CANARY, headers={"X-Api-Key": CANARY})
        assert client.pool_stats().open == 0
    assert [bytes(each) for each in proxy.received.values()] == [proxy.requests[0].raw]
    assert proxy.requests[0].raw == b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n"
    error = caught.value
    assert (error.code, error.request_sent, error.response) == ("ERR_PROXY", "no", None)
    assert str(error).isprintable()
    assert error.config.url == "https://127.0.0.1:1/secret"
    return error


async def test_a_refusal_is_an_error_with_the_proxys_status(api: Api, certificates: Certificates) -> None:
    for answer, (data, status) in REFUSALS.items():
        error = await refused(api, certificates, Reply(data, "hold"))
        assert (error.proxy_status, error.status) == (status, None), answer
        if status is not None:
            assert str(status) in str(error)
        assert ("credentials" in str(error)) == (status == 407)
    await refused(api, certificates, Reply(REFUSALS["407"][0], "hold"), tls=True)


@pytest.mark.parametrize("ending", ["hold", "close"])
async def test_a_broken_answer_to_connect_is_an_error(api: Api, certificates: Certificates, ending: Any) -> None:
    for answer, data in BROKEN.items():
        # Where nothing is wrong yet it is the timeout's business.
        if ending == "close" or answer not in ("no end", "nothing", "SOCKS"):
            error = await refused(api, certificates, Reply(data, ending))
            assert error.proxy_status is None, answer
    await refused(api, certificates, Reply(BROKEN["content"], ending), tls=True)


@pytest.mark.parametrize(
    "welcome",
    [
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 299 Fine\r\nContent-Length: 100\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\n\r\n",
    ],
)
async def test_any_2xx_opens_the_tunnel(
    api: Api, certificates: Certificates, tls_origin: Origin, welcome: bytes
) -> None:
    """What it says about content means nothing (RFC 9110 section 9.3.6), and its cookies are the proxy's."""
    with ScriptedProxy(replies=[Reply(welcome, "tunnel")]) as proxy:
        client = api.client(verify=certificates.ca, proxy=proxy.url)
        for _ in range(2):
            assert (await client.post(f"{tls_origin.url}/echo", b"x")).data["body"] == "x"
        assert proxy.connections == 1
        assert list(client.cookies) == []


async def test_a_reset_during_connect(api: Api, certificates: Certificates) -> None:
    with Peer([expect_head(), send(b"HTTP/1.1 2"), reset()]) as peer, pytest.raises(AtomHTTPProxyError) as caught:
        await api.client(proxy=peer.url).get("https://127.0.0.1:1/")
    assert caught.value.code == "ERR_PROXY"
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_tunnel_that_ends_before_tls_is_no_clear_text(api: Api, certificates: Certificates) -> None:
    with Peer([expect_head(), send(ESTABLISHED), close()], repeat=True) as peer:
        with pytest.raises(AtomHTTPNetworkError) as caught:
            await api.client(proxy=peer.url).post("https://127.0.0.1:1/", CANARY)
        assert CANARY.encode() not in peer.received()
    assert caught.value.request_sent == "no"


async def test_clear_text_behind_the_tunnels_welcome_is_a_tls_error(
    api: Api, certificates: Certificates, origin: Origin
) -> None:
    with ScriptedProxy(destinations={"secure.test": origin.port}) as proxy, pytest.raises(AtomHTTPTLSError):
        await api.client(proxy=proxy.url).get("https://secure.test/")
    assert origin.requests == []


async def test_a_proxy_that_is_not_there(api: Api, certificates: Certificates) -> None:
    for url in ("http://127.0.0.1:1/", "https://127.0.0.1:1/"):
        for kind in KINDS:
            with pytest.raises(AtomHTTPProxyError) as caught:
                await api.client(proxy=f"{kind}://u:{CANARY}@127.0.0.1:1").get(url)
            assert (caught.value.code, caught.value.request_sent) == ("ERR_PROXY", "no")
            assert f"{kind}://127.0.0.1:1" in str(caught.value)
            cause = caught.value.__cause__
            assert isinstance(cause, AtomHTTPNetworkError)
            assert cause.code == "ECONNREFUSED"
            assert CANARY not in str(caught.value)
            with pytest.raises(AtomHTTPProxyError, match=r"nowhere\.test") as caught:
                await api.client(proxy=f"{kind}://nowhere.test:1").get(url)
            assert getattr(caught.value.__cause__, "code", None) == "ENOTFOUND"


async def test_what_a_proxy_answers_for_plain_http_is_a_response(api: Api, origin: Origin) -> None:
    with ScriptedProxy(credentials=("u", "p")) as proxy:
        client = api.client()
        response = await client.post(f"{origin.url}/echo", b"x", proxy=proxy.url)
        assert (response.status, response.headers["proxy-authenticate"]) == (407, 'Basic realm="scripted"')
        response = await client.get("http://127.0.0.1:1/", proxy=url_of("http", proxy, "u:p"))
        assert response.status == 502
        # One who speaks HTTP goes on: the connection is used again.
        await client.get(f"{origin.url}/echo", proxy=proxy.url)
        assert proxy.connections == 2
    assert origin.requests == []


# SOCKS that does not work


def socks_reply(code: int = 0, *, version: int = 5, reserved: int = 0, address: bytes | None = None) -> bytes:
    return bytes([version, code, reserved]) + (socks_address("0.0.0.0", 0) if address is None else address)


async def test_every_refusal_of_socks_is_an_error(api: Api, origin: Origin) -> None:
    for code in (*range(1, 10), 0x80, 0xFF):
        with SocksServer(refusal=code) as proxy, pytest.raises(AtomHTTPProxyError) as caught:
            await api.client(proxy=url_of("socks5h", proxy)).get(f"{origin.url}/echo")
        error = caught.value
        assert (error.code, error.proxy_status, error.request_sent) == ("ERR_PROXY", None, "no"), code
        if code == 2:
            assert "connection not allowed by ruleset" in str(error)
    assert origin.requests == []


SOCKS_NONSENSE: dict[str, dict[Any, bytes]] = {
    "version 4": {"method": b"\x04\x00"},
    "HTTP": {"method": b"HTTP/1.1 400 Bad Request\r\n\r\n"},
    "a method that nobody offered": {"method": b"\x05\x01"},
    "a private method": {"method": b"\x05\x80"},
    "the password that nobody has": {"method": b"\x05\x02"},
    "none": {"method": b"\x05\xff"},
    "an answer before the question": {"method": b"\x05\x00" + socks_reply()},
    "one byte more after the method": {"method": b"\x05\x00\x05"},
    "version 4 in the reply": {"request": socks_reply(version=4)},
    "an unknown kind of address": {"request": b"\x05\x00\x00\x02\x00\x00\x00\x00\x00\x00"},
    "no kind of address": {"request": b"\x05\x00\x00\x00\x7f"},
    "surplus": {"request": socks_reply() + b"H"},
    "a response behind the reply": {"request": socks_reply() + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
    "a refusal with a long name": {"request": socks_reply(5, address=b"\x03\xff" + b"x" * 255 + b"\0\0")},
}


async def test_a_server_that_speaks_no_socks5(api: Api, origin: Origin) -> None:
    for nonsense, instead in SOCKS_NONSENSE.items():
        with SocksServer(instead=instead) as proxy, pytest.raises(AtomHTTPProxyError) as caught:
            await api.client(proxy=url_of("socks5", proxy), timeout=5).post(f"{origin.url}/echo", CANARY)
        assert caught.value.code == "ERR_PROXY", nonsense
        assert CANARY.encode() not in b"".join(proxy.received.values()), nonsense
    assert origin.requests == []


@pytest.mark.parametrize("bound", [socks_address("::1", 9), socks_address("bound.test", 9), b"\x03\x00\x00\x00"])
async def test_the_address_that_a_success_names_may_be_any(api: Api, origin: Origin, bound: bytes) -> None:
    with SocksServer(bound=bound) as proxy:
        assert (await api.client(proxy=url_of("socks5", proxy)).get(f"{origin.url}/echo")).status == 200


@pytest.mark.parametrize("answer", [b"\x01\x01", b"\x01\xff", b"\x05\x00"])
async def test_socks_refuses_the_credentials(api: Api, origin: Origin, answer: bytes) -> None:
    with SocksServer(credentials=("u", "p"), instead={"auth": answer}) as proxy:
        with pytest.raises(AtomHTTPProxyError) as caught:
            await api.client(proxy=url_of("socks5", proxy, f"u:{CANARY}")).get(f"{origin.url}/echo")
        assert CANARY not in str(caught.value)
    with SocksServer(credentials=("u", "p")) as proxy:
        for userinfo in ("", f"u:{CANARY}"):
            with pytest.raises(AtomHTTPProxyError, match=r"credentials|password"):
                await api.client(proxy=url_of("socks5", proxy, userinfo)).get(f"{origin.url}/echo")
    assert proxy.asked == []


async def test_what_socks_cannot_say_is_refused_before_anything_is_said(api: Api) -> None:
    with SocksServer() as proxy:
        with pytest.raises(AtomHTTPOptionError) as caught:
            await api.client(proxy=url_of("socks5", proxy, f"u:{'x' * 256}"))
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
        for url in (f"http://{'.'.join(['x' * 60] * 5)}/", f"http://{'a.' * 200}test/"):
            with pytest.raises(AtomHTTPError):
                await api.client(proxy=url_of("socks5h", proxy)).get(url)
        assert proxy.asked == []


async def test_without_the_extra_socks_is_not_supported(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    for kind in ("socks5", "socks5h"):
        with pytest.raises(AtomHTTPOptionError, match=r"atomhttp\[socks\]") as caught:
            await api.client(proxy=f"{kind}://127.0.0.1:1", retryConfig=2).get("http://127.0.0.1:1/")
        assert caught.value.code == "ERR_NOT_SUPPORT"


# Certificates: the proxy's outside, the origin's inside


async def test_each_is_verified_by_its_own_name(api: Api, certificates: Certificates) -> None:
    origin_tls = certificates.server_context(certificates.issue("origin.test"))
    proxy_tls = certificates.server_context(certificates.issue("proxy.test"))
    with Origin(tls=origin_tls) as origin, ScriptedProxy(tls=proxy_tls) as proxy:
        proxy.destinations = dict.fromkeys(("origin.test", "origin.test.", "proxy.test", "other.test"), origin.port)
        hosts = dict.fromkeys(("proxy.test", "origin.test", "other.test"), "127.0.0.1")
        client = api.client(verify=certificates.ca, hosts=hosts)
        way = f"https://proxy.test:{proxy.port}"
        assert (await client.get("https://origin.test/echo", proxy=way)).status == 200
        assert (await client.get("https://origin.test./echo", proxy=f"https://proxy.test.:{proxy.port}")).status == 200
        assert (proxy.server_names, origin.server_names) == (["proxy.test"] * 2, ["origin.test"] * 2)
        tunnels = len(proxy.tunnels)
        # The origin's name is not the proxy's, nor the other way round.
        with pytest.raises(AtomHTTPTLSError, match=r"other\.test") as caught:
            await client.get("https://other.test/echo", proxy=way)
        assert caught.value.code == "ERR_TLS_CERT_ALTNAME_INVALID"
        with pytest.raises(AtomHTTPTLSError, match=r"proxy\.test") as caught:
            await client.get("https://proxy.test/echo", proxy=way)
        assert len(proxy.tunnels) == tunnels + 2
        for url in ("https://origin.test/echo", "http://origin.test/echo"):
            with pytest.raises(AtomHTTPTLSError, match=rf"other\.test:{proxy.port}") as caught:
                await client.get(url, proxy=f"https://u:p@other.test:{proxy.port}")
            assert caught.value.code == "ERR_TLS_CERT_ALTNAME_INVALID"
            assert caught.value.request_sent == "no"
        # It was told nothing: neither whereto nor who asks.
        assert len(proxy.tunnels) == tunnels + 2
        assert proxy.forwarded == []
    assert len(origin.requests) == 2


async def test_an_authority_nobody_trusts_on_either_side(api: Api, certificates: Certificates, tmp_path: Path) -> None:
    strange = Certificates(tmp_path)
    for origin_of_whom, proxy_of_whom in ((strange, certificates), (certificates, strange)):
        with (
            Origin(tls=origin_of_whom.server_context()) as origin,
            ScriptedProxy(tls=proxy_of_whom.server_context()) as proxy,
        ):
            client = api.client(verify=certificates.ca, proxy=url_of("https", proxy))
            with pytest.raises(AtomHTTPTLSError):
                await client.get(f"{origin.url}/echo")
            assert len(proxy.tunnels) == (1 if proxy_of_whom is certificates else 0)
            assert origin.requests == []


async def test_verify_false_is_said_once_and_holds_for_both(api: Api, certificates: Certificates) -> None:
    with Origin(tls=certificates.server_context()) as origin, ScriptedProxy(tls=certificates.server_context()) as proxy:
        client = api.client(proxy=url_of("https", proxy))
        with pytest.warns(match="verify"):
            assert (await client.get(f"{origin.url}/echo", verify=False)).status == 200
        # And it does not stick.
        with pytest.raises(AtomHTTPTLSError):
            await client.get(f"{origin.url}/echo")


async def test_the_client_certificate_is_the_origins(api: Api, certificates: Certificates) -> None:
    asks = certificates.server_context(ask_client=True)
    options = {"verify": certificates.ca, "cert": certificates.client}
    with Origin(tls=asks) as origin, ScriptedProxy(tls=certificates.server_context()) as proxy:
        client = api.client(**options, proxy=url_of("https", proxy))
        assert (await client.get(f"{origin.url}/echo")).status == 200
    with (
        Origin(tls=certificates.server_context()) as origin,
        ScriptedProxy(tls=certificates.server_context(ask_client=True)) as proxy,
    ):
        with pytest.raises(AtomHTTPNetworkError):
            await api.client(**options, proxy=url_of("https", proxy)).get(f"{origin.url}/echo")
        assert proxy.requests == []


async def test_the_adapters_verify_holds_for_proxies(api: Api, certificates: Certificates, tls_origin: Origin) -> None:
    adapter = HTTPAdapter(verify=certificates.ca)
    with ScriptedProxy(tls=certificates.server_context()) as proxy:
        client = api.client(adapter=adapter, proxy=url_of("https", proxy))
        assert (await client.get(f"{tls_origin.url}/echo")).status == 200
    await adapter.close()


# Trying again


@pytest.mark.parametrize(("status", "attempts"), [(407, 1), (403, 1), (400, 1), (302, 3), (502, 3), (503, 3)])
async def test_a_refusal_that_will_not_change_is_not_tried_again(api: Api, status: int, attempts: int) -> None:
    reply = Reply(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status, "close")
    asked = []
    with ScriptedProxy(replies=[reply]) as proxy:
        client = api.client(proxy=proxy.url)
        for method in ("get", "post"):
            config = {"max_retries": 2, "backoff_factor": 0, "condition": None}
            with pytest.raises(AtomHTTPProxyError) as caught:
                await getattr(client, method)("https://127.0.0.1:1/", retryConfig=config)
            assert len(caught.value.attempts) == attempts
        with pytest.raises(AtomHTTPProxyError):
            config = {"max_retries": 2, "backoff_factor": 0, "condition": lambda *given: not asked.append(given)}
            await client.get("https://127.0.0.1:1/", retryConfig=config)
        assert len(asked) == (0 if attempts == 1 else 2)
        assert len(proxy.tunnels) == 3 * attempts


async def test_a_tunnel_that_failed_for_a_moment_is_tried_again(
    api: Api, certificates: Certificates, tls_origin: Origin
) -> None:
    replies = [Reply(), Reply(b"HTTP/1.1 503 Busy\r\n\r\n"), Reply(ESTABLISHED, "tunnel")]
    with ScriptedProxy(replies=replies) as proxy:
        client = api.client(verify=certificates.ca, proxy=proxy.url, retryConfig={"backoff_factor": 0})
        # Not a byte of it had been sent: any method will do.
        response = await client.post(f"{tls_origin.url}/echo", b"x")
        assert response.status == 200
        assert [(each.error, each.status) for each in response.attempts] == [("ERR_PROXY", None)] * 2 + [(None, 200)]
    assert len(tls_origin.requests) == 1


async def test_a_proxy_without_an_address_is_not_looked_for_again(api: Api) -> None:
    client = api.client(proxy="http://nowhere.test:1", retryConfig={"backoff_factor": 0})
    with pytest.raises(AtomHTTPProxyError) as caught:
        await client.get("http://127.0.0.1:1/")
    assert len(caught.value.attempts) == 1
    with pytest.raises(AtomHTTPProxyError) as caught:
        await client.get("http://127.0.0.1:1/", proxy="http://127.0.0.1:1")
    assert len(caught.value.attempts) == 4


async def test_a_forwarded_answer_is_tried_again_as_any_other(api: Api, origin: Origin) -> None:
    with ScriptedProxy() as proxy:
        client = api.client(proxy=proxy.url, retryConfig={"max_retries": 2, "backoff_factor": 0})
        assert (await client.get(f"{origin.url}/status/502")).status == 502
        assert len(proxy.forwarded) == 3
        assert (await client.get(f"{origin.url}/status/407")).status == 407
        assert len(proxy.forwarded) == 4


async def test_a_connection_that_died_in_the_pool_is_replaced(api: Api, certificates: Certificates) -> None:
    content = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with Peer([[expect_head(), send(content), expect_head(), close()], [expect_head(), send(content)]]) as peer:
        client = api.client(proxy=f"http://u:p@127.0.0.1:{peer.port}")
        for _ in range(2):
            assert (await client.get("http://plain.test/")).data == "ok"
        assert {head.target for head in peer.heads} == {"http://plain.test/"}
        assert {head.get("proxy-authorization") for head in peer.heads} == {basic("u", "p")}


# addressGuard


async def test_the_guard_and_a_proxy(api: Api, origin: Origin) -> None:
    with ScriptedProxy() as http, SocksServer() as socks:
        client = api.client(addressGuard="public", hosts={"inside.test": "127.0.0.1"})
        for kind, proxy in (("http", http), ("socks5", socks), ("socks5h", socks)):
            for host in ("127.0.0.1", "inside.test"):
                with pytest.raises(AtomHTTPNetworkError) as caught:
                    await client.get(f"http://{host}:{origin.port}/echo", proxy=url_of(kind, proxy))
                assert caught.value.code == "ERR_ADDRESS_REFUSED"
                assert not isinstance(caught.value, AtomHTTPProxyError)
        # The proxy itself is the caller's own choice, wherever it is.
        allowing = api.client(addressGuard=lambda address, port: port == origin.port)
        assert (await allowing.get(f"{origin.url}/echo", proxy=http.url)).status == 200
        assert (await allowing.get(f"{origin.url}/echo", proxy=url_of("socks5", socks))).status == 200
    assert (len(http.requests), len(socks.asked), len(origin.requests)) == (1, 1, 2)


# Secrets


def everything_about(error: BaseException) -> str:
    shown = [str(error), repr(error), "".join(traceback.format_exception(error))]
    if isinstance(error, AtomHTTPError):
        pickled = pickle.dumps(error)
        revived = pickle.loads(pickled)
        shown += [repr(error.to_dict()), pickled.decode("latin-1"), str(revived), repr(revived.to_dict())]
        shown += [repr(error.config), repr(error.request), repr(error.response)]
        if error.config is not None:
            shown += [repr(error.config.to_dict())]
    return "\n".join(shown)


def secrets_in(text: str) -> list[str]:
    forms = (
        CANARY,
        CANARY.encode().hex(),
        b64encode(f"user:{CANARY}".encode()).decode(),
        b64encode(CANARY.encode()).decode(),
    )
    return [form for form in forms if form in text]


GIVEN: dict[str, Any] = {
    "URL": lambda kind, port: f"{kind}://user:{CANARY}@127.0.0.1:{port}",
    "mapping": lambda kind, port: {"host": "127.0.0.1", "port": port, "protocol": kind, "auth": ("user", CANARY)},
    "table": lambda kind, port: {"all://": f"{kind}://user:{CANARY}@127.0.0.1:{port}"},
}


@pytest.mark.parametrize("kind", KINDS)
async def test_no_error_shows_who_asked_the_proxy(
    api: Api, certificates: Certificates, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.DEBUG)
    faults: list[dict[str, Any]] = [{"credentials": ("u", "p")}, {"refusal": 1}, {"instead": {"method": b""}}]
    if kind in SCHEMES:
        answers = [b"HTTP/1.1 407 No\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nsurplus", b"", b"x" * 100]
        faults = [{"replies": [Reply(each)]} for each in answers]
    shown = []
    for number, fault in enumerate(faults):
        with proxy_of(kind, certificates, **fault) as proxy:
            for way in GIVEN.values():
                options = {"proxy": way(kind, proxy.port), "headers": {"Proxy-Authorization": CANARY}}
                client = api.client(verify=certificates.ca if number else True, **options)
                with pytest.raises(AtomHTTPError) as caught:
                    await client.get("https://127.0.0.1:1/")
                defaults = client.defaults
                shown += [everything_about(caught.value), repr(client), repr(defaults), repr(defaults.proxy)]
    assert secrets_in("\n".join(shown) + caplog.text) == []


async def test_no_response_shows_who_asked_the_proxy(
    api: Api, origin: Origin, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedProxy(credentials=("user", CANARY)) as proxy:
        for options in ({"proxy": GIVEN["URL"]("http", proxy.port)}, {"proxy": GIVEN["table"]("http", proxy.port)}, {}):
            monkeypatch.setenv("http_proxy", GIVEN["URL"]("http", proxy.port))
            response = await api.client().get(f"{origin.url}/echo", **options)
            assert response.status == 200
            route = response.request.outline.route
            shown = [repr(response), str(response), repr(response.config), repr(response.config.to_dict())]
            shown += [repr(response.request), repr(response.request.headers), repr(route), str(route), str(route.proxy)]
            shown += [repr(route.proxy), f"{route.proxy}"]
            shown += [repr(response.config.redacted()), repr(response.config.redacted().to_dict())]
            assert secrets_in("\n".join(shown) + caplog.text) == []


async def test_no_bad_option_shows_who_would_have_asked(api: Api) -> None:
    bad: list[Any] = [
        f"ftp://user:{CANARY}@host",
        f"http://user:{CANARY}@host:99999",
        f"http://user:{CANARY}@ho st",
        f"http://user:{CANARY}@host/path",
        {"host": "h", "port": 0, "auth": ("user", CANARY)},
        {"host": f"http://user:{CANARY}@h", "auth": ("user", CANARY)},
        {"https": f"http://user:{CANARY}@h"},
        {"ftp://": f"http://user:{CANARY}@h"},
        {"http://": f"ftp://user:{CANARY}@h"},
        ["http", f"user:{CANARY}@h"],
        f"http://user:{CANARY}\r\n@h",
    ]
    for value in bad:
        for call in (False, True):
            with pytest.raises(AtomHTTPOptionError) as caught:
                await api.client().get("http://127.0.0.1:1/", proxy=value) if call else api.client(proxy=value)
            assert caught.value.code == "ERR_BAD_OPTION_VALUE"
            assert "proxy" in str(caught.value)
            assert secrets_in(everything_about(caught.value)) == []


# Injection


async def test_no_character_gets_out_of_its_place(api: Api) -> None:
    """One request, or none: whatever stands in a proxy's host, user, password, or in the field for it."""
    with Origin() as origin, ScriptedProxy() as proxy:
        where = f"127.0.0.1:{proxy.port}"
        for code in (*range(0x20), 0x7F, 0x85, 0x2028):
            char = chr(code)
            given: list[dict[str, Any]] = [
                {"proxy": f"http://u{char}v:p@{where}"},
                {"proxy": f"http://u:p{char}q@{where}"},
                {"proxy": f"http://u%{code & 255:02x}v:p@{where}"},
                {"proxy": {"host": "127.0.0.1", "port": proxy.port, "auth": (f"u{char}v", "p")}},
                {"proxy": {"host": "127.0.0.1", "port": proxy.port, "auth": ("u", f"p{char}q")}},
                {"proxy": f"http://{where}{char}X: y"},
                {"proxy": {"host": f"127.0.0.1{char}", "port": proxy.port}},
                {"proxy": f"http://{where}", "headers": {"Proxy-Authorization": f"a{char}b"}},
            ]
            for options in given:
                before = len(proxy.requests)
                with contextlib.suppress(AtomHTTPOptionError):
                    await api.client().get(f"{origin.url}/echo", **options)
                    assert len(proxy.requests) == before + 1
                assert len(proxy.requests) <= before + 1
        fields = {name for head in proxy.requests for name, _ in head.headers}
        assert fields == {"Host", "Accept", "User-Agent", "Accept-Encoding", "Proxy-Authorization"}
        assert proxy.broken == []


# Behind it


async def test_a_response_behind_the_last_one_poisons_nothing(api: Api) -> None:
    content = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    with Peer(
        [[expect_head(), send(content + b"ok" + content + b"no")], [expect_head(), send(content + b"ok")]]
    ) as peer:
        client = api.client(proxy=f"http://127.0.0.1:{peer.port}")
        for _ in range(2):
            assert (await client.get("http://plain.test/")).data == "ok"


async def test_expect_continue_through_a_proxy(api: Api, certificates: Certificates) -> None:
    for scheme in SCHEMES:
        with origin_of(scheme, certificates) as origin, ScriptedProxy() as proxy:
            client = api.client(verify=certificates.ca, proxy=proxy.url)
            options = {"headers": {"Expect": "100-continue"}}
            assert (await client.post(f"{origin.url}/echo", b"x" * 10, **options)).data["body"] == "x" * 10


async def test_progress_and_limits_hold(api: Api, tls_origin: Origin, certificates: Certificates) -> None:
    with ScriptedProxy(tls=certificates.server_context()) as proxy:
        client = api.client(verify=certificates.ca, proxy=url_of("https", proxy))
        seen: list[tuple[int, int]] = []
        options = {"on_download_progress": lambda loaded, total: seen.append((loaded, total))}
        await client.get(f"{tls_origin.url}/bytes/300000", response_type="blob", **options)
        assert seen[-1] == (300_000, 300_000)
        with pytest.raises(AtomHTTPError) as caught:
            await client.get(f"{tls_origin.url}/bytes/300000", maxContentLength=1000)
        assert caught.value.code == "ERR_MAX_CONTENT_LENGTH"


async def test_a_config_that_has_travelled_finds_its_proxy(api: Api, origin: Origin) -> None:
    with ScriptedProxy(credentials=("u", "p")) as proxy:
        client = api.client()
        response = await client.get(f"{origin.url}/echo", proxy=url_of("http", proxy, "u:p"))
        for copied in (copy.deepcopy(response.config), pickle.loads(pickle.dumps(response.config))):
            assert (await client.request(copied)).status == 200
        # An error's, which may be read by anybody, has only where it is.
        assert response.config.redacted().proxy in (None, f"http://127.0.0.1:{proxy.port}")
        assert len(proxy.forwarded) == 3
