"""Secrets against errors: every class and code of the tree, provoked for real, with secrets in every carrier there is.

A row is a way to fail; a load is a request with secrets in as many carriers as go together. Each row is played with
each load, and then nothing that anybody can see of the error, of the log and of the client may hold a canary. That the
loads do carry them is a test too: they arrive.

What errors of the options themselves show is in `test_canaries_in_options`, what servers put into them in
`test_canaries_of_servers`. In other flavours than asyncio a few of these rows are played by `contract/test_secrets.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import pprint
import resource
import socket
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization

import atomhttp
from atomhttp import (
    AbortController,
    AbortSignal,
    AtomHTTP,
    AtomHTTPCanceledError,
    AtomHTTPChecksumError,
    AtomHTTPClosedError,
    AtomHTTPDecodeError,
    AtomHTTPError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPProtocolError,
    AtomHTTPProxyError,
    AtomHTTPRedirectError,
    AtomHTTPRequestError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    AtomHTTPTLSError,
    AtomHTTPURLError,
    BasicAuth,
    BearerAuth,
    CookieJar,
    DigestAuth,
    FormData,
    Headers,
    NetrcAuth,
    RefreshingAuth,
    RequestConfig,
    Response,
    SyncAtomHTTP,
    Timeout,
)
from atomhttp._model.proxies import check_proxy
from atomhttp._model.proxy_choice import read_environment
from atomhttp._model.route import Route
from atomhttp._model.url import parse_url
from atomhttp.testing import MockAdapter
from hostile.canaries import CORE, canary, everything_logged, find, leaks, parts, views
from support.certificates import CLIENT_AUTH, Certificates, Issued
from support.clock import VirtualClockLoop
from support.origin import Answer, Origin
from support.peer import Peer, close, expect_body, expect_head, hold, reset, send
from support.scripted_proxy import Reply, ScriptedProxy
from support.socks import REFUSED, SocksServer

Options = dict[str, Any]
HERE = "IP:127.0.0.1"
# Nobody listens there.
CLOSED = "http://127.0.0.1:1/"
CREDENTIALS = ("ada", canary("proxy"))


# With HOSTILE=full every row is played with every load, else with three of them in turn.
IS_FULL = os.environ.get("HOSTILE") == "full"
STEPS = (0, 2, 5)


# What goes along


@dataclass(frozen=True)
class Lab:
    """The files of this run."""

    directory: Path
    certificates: Certificates
    root: Issued
    stranger: Issued

    @classmethod
    def make(cls, directory: Path, certificates: Certificates) -> Lab:
        lab = cls(
            directory,
            certificates,
            Issued.make(ca=True, common_name="trusted root", days=(-3000, 3000)),
            Issued.make(ca=True, common_name="unknown root"),
        )
        (directory / "root.pem").write_bytes(lab.root.pem)
        (directory / "netrc").write_text(f"machine 127.0.0.1 login ada password {canary('netrc')}\n")
        (directory / "netrc").chmod(0o600)
        (directory / "upload.txt").write_bytes(canary("file").encode())
        own = lab.root.issue(common_name="a customer", usages=(CLIENT_AUTH,))
        (directory / "own.pem").write_bytes(own.pem)
        # In the old form, which costs nothing to try.
        how = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL)
        locked = own.key.private_bytes(*how, serialization.BestAvailableEncryption(b"another"))
        (directory / "own.key").write_bytes(locked)
        return lab

    def path(self, name: str) -> str:
        return str(self.directory / name)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Lab:
    return Lab.make(tmp_path_factory.mktemp("canaries"), certificates)


@dataclass(frozen=True)
class Load:
    """A request with secrets in it.

    Attributes:
        sent: the carriers whose secret arrives at the origin, as itself or in Basic's base64.
        kept: those whose secret does not: it is hashed, or not for the origin.
        url: what becomes of a URL.
        call: the options of the call.
        client: the options of the client; it is given the URL.
    """

    name: str
    sent: Sequence[str]
    call: Callable[[Lab], Options]
    kept: Sequence[str] = ()
    url: Callable[[str], str] = str
    client: Callable[[str], Options] = lambda _url: {}

    @property
    def carriers(self) -> frozenset[str]:
        return frozenset((*self.sent, *self.kept))


FIELDS = (
    *("Authorization", "Cookie", "X-API-Key", "X-Auth-Token", "X-Amz-Security-Token", "X-CSRF-Token", "Private-Token"),
    *("X-Session-Id", "X-Client-Secret", "X-Hub-Signature-256"),
)
# Names of parameters, each of which a service out there has for a secret.
NAMES = (
    *("token", "password", "api_key", "apikey", "access_token", "refresh_token", "id_token", "sig", "signature", "key"),
    *("client_secret", "session_id", "X-Amz-Signature", "X-Amz-Credential", "X-Goog-Signature"),
)


def with_secrets(url: str) -> str:
    """`url` with userinfo, and a query of secrets behind the one that it has."""
    url = url.replace("://", f"://ada:{canary('userinfo')}@")
    query = "&".join(f"{name}={canary(f'query_{name}')}" for name in NAMES)
    return f"{url}{'&' if '?' in url else '?'}a=1&{query}"


def in_fields(_lab: Lab) -> Options:
    fields = {name: canary(name.lower()) for name in FIELDS}
    return {
        "headers": {**fields, "Proxy-Authorization": canary("proxy-authorization")},
        "params": {"token": canary("params"), "deep": {"password": [canary("nested-params")]}, "plain": "1"},
        "json": {"password": canary("json"), "deep": [{"token": canary("nested-json")}], "text": canary("json-text")},
        "meta": {"token": canary("meta"), "deep": [{"password": canary("meta")}]},
    }


def in_form_data(lab: Lab) -> Options:
    form = FormData()
    form.append("password", canary("form-data"))
    form.append("note", canary("form-data-text"))
    form.append("upload", canary("form-data-bytes").encode(), filename="notes.txt")
    form.append("path", Path(lab.path("upload.txt")))
    return {"auth": BearerAuth(canary("bearer")), "data": form}


def in_client(url: str) -> Options:
    jar = CookieJar({"session": canary("jar")}, url=url)
    return {
        "headers": {"common": {"X-API-Key": canary("client-field")}, "post": {"X-Auth-Token": canary("layer-field")}},
        "params": {"api_key": canary("client-params")},
        "auth": {"username": "ada", "password": canary("client-auth")},
        "cookies": jar,
        "transformRequest": lambda data: data,
    }


async def pieces() -> AsyncIterator[bytes]:
    yield canary("stream").encode()


LOADS = (
    Load(
        "fields",
        (*map(str.lower, FIELDS), "params", "nested-params", "json", "nested-json", "json-text"),
        in_fields,
        kept=("proxy-authorization", "meta"),
    ),
    Load(
        "URL",
        ("userinfo", *(f"query_{name}" for name in NAMES), "cookies", "form"),
        lambda _lab: {"cookies": {"session": canary("cookies")}, "form": {"password": canary("form")}},
        url=with_secrets,
    ),
    Load(
        "pair",
        ("pair", "params-pairs", "text"),
        lambda _lab: {
            "auth": ("ada", canary("pair")),
            "params": [("token", canary("params-pairs")), ("a", 1)],
            "data": f"plain text with {canary('text')} in it",
        },
    ),
    Load("FormData", ("bearer", "form-data", "form-data-text", "form-data-bytes", "file"), in_form_data),
    Load(
        "digest",
        ("params-text", "bytes"),
        lambda _lab: {
            "auth": DigestAuth("ada", canary("digest")),
            "params": f"token={canary('params-text')}&a=1",
            "data": canary("bytes").encode(),
        },
        kept=("digest",),
    ),
    Load(
        "refreshing",
        ("refreshing", "stream"),
        lambda _lab: {
            "auth": RefreshingAuth(lambda: canary("refreshed"), canary("refreshing"), statuses=(499,)),
            "data": pieces(),
        },
        kept=("refreshed",),
    ),
    Load(
        "netrc",
        ("netrc", "file"),
        lambda lab: {"auth": NetrcAuth(lab.path("netrc")), "data": Path(lab.path("upload.txt"))},
    ),
    Load(
        "client",
        ("client-field", "layer-field", "client-params", "client-auth", "jar", "urlencoded"),
        lambda _lab: {
            "data": {"password": canary("urlencoded")},
            "headers": {"Content-Type": "application/x-www-form-urlencoded"},
        },
        client=in_client,
    ),
)
# Carriers that belong to a row, and not to a request.
OF_ROWS = frozenset(("proxy", "proxy mapping", "proxy environment", "socks", "cert password", "signal", "Set-Cookie"))
# What the issue names, and what each is called here: what is missing there, nobody looks for.
CARRIERS = {
    "userinfo": ("userinfo",),
    "query": ("query_token", "query_access_token", "query_sig", "query_key", "params", "params-pairs", "params-text"),
    "headers": ("x-api-key", "x-auth-token", "client-field", "layer-field"),
    "cookies": ("cookie", "cookies", "jar", "Set-Cookie"),
    "auth": ("authorization", "pair", "bearer", "digest", "refreshing", "netrc", "client-auth", "cert password"),
    "proxy": ("proxy", "proxy mapping", "proxy environment", "socks", "proxy-authorization"),
    "body": ("json", "form", "form-data", "text", "bytes", "stream", "file", "urlencoded"),
    "own words": ("meta", "signal"),
}


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
async def test_the_secrets_of_a_load_arrive(origin: Origin, lab: Lab, load: Load) -> None:
    """Without this, a load that carries nothing would pass everything else."""
    with everything_logged() as lines:
        async with AtomHTTP(**load.client(origin.url)) as client:
            response = await client.post(load.url(f"{origin.url}/echo"), **load.call(lab))
            shown = {"client": repr(client), "defaults": repr(client.defaults), "stats": repr(client.pool_stats)}
            shown |= {"headers": repr(client.defaults.headers), "dict": repr(client.defaults.to_dict())}
            shown |= {"jar": repr(client.cookies), "interceptors": repr(client.interceptors)}
    received = origin.requests[-1]
    wire = repr((received.target, received.headers, received.body))
    for carrier in load.sent:
        secret = canary(carrier)
        basic = b64encode(f"ada:{secret}".encode()).decode()
        assert secret in wire or basic in wire or quote(secret) in wire or quote_plus(secret) in wire, carrier
    for carrier in load.kept:
        assert canary(carrier) not in wire, carrier
    assert leaks({**shown, **parts("its", response), "response": repr(response), "log": "\n".join(lines)}) == []


def test_every_carrier_is_loaded() -> None:
    loaded = frozenset().union(OF_ROWS, *(load.carriers for load in LOADS))
    assert frozenset(name for names in CARRIERS.values() for name in names) <= loaded
    played = {carrier for row in ROWS for carrier in row.carriers}
    assert played == OF_ROWS


# What fails


async def call(lab: Lab, load: Load, url: str, of_client: Mapping[str, Any] | None = None, **options: Any) -> Any:
    """The request of `load`, with `options` over its own; a body of theirs takes the place of its own."""
    given = load.call(lab)
    if BODIES & options.keys():
        given = without_body(given)
    if "headers" in options:
        options["headers"] = {**given.get("headers", {}), **options["headers"]}
    async with AtomHTTP(**{"timeout": 10, **load.client(url), **(of_client or {})}) as client:
        return await client.post(load.url(url), **{**given, **options})


def without_body(options: Options) -> Options:
    return {name: value for name, value in options.items() if name not in BODIES}


BODIES = {"data", "json", "form"}
Play = Callable[[Lab, Load], Coroutine[Any, Any, Any]]


@dataclass(frozen=True)
class Row:
    """A way to fail: the error's class and code, how it comes about, and the secrets of its own that it has."""

    name: str
    kind: type[AtomHTTPError]
    code: str
    play: Play
    carriers: Sequence[str] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


def to(url: str, of_client: Mapping[str, Any] | None = None, **options: Any) -> Play:
    return lambda lab, load: call(lab, load, url, of_client, **options)


def peer(*steps: Any, path: str = "/", scheme: str = "http", **options: Any) -> Play:
    """A server of one script."""

    async def play(lab: Lab, load: Load) -> None:
        with Peer(list(steps), repeat=True) as server:
            await call(lab, load, f"{scheme}://127.0.0.1:{server.port}{path}", **options)

    return play


def answer(data: bytes, **options: Any) -> Play:
    return peer(expect_head(), expect_body(), send(data), close(), **options)


def origin_at(path: str, of_client: Mapping[str, Any] | None = None, **options: Any) -> Play:
    async def play(lab: Lab, load: Load) -> None:
        with Origin(routes=ROUTES) as server:
            await call(lab, load, server.url + path, of_client, **options)

    return play


ROUTES = {
    "/refused": lambda _request: Answer(
        b"{}", 401, [("Set-Cookie", f"session={canary('Set-Cookie')}"), ("WWW-Authenticate", 'Bearer realm="x"')]
    ),
    "/loop": lambda _request: Answer(b"", 307, [("Location", f"/loop?token={canary('location')}")]),
    "/nowhere": lambda _request: Answer(b"", 302, [("Location", f"ftp://ada:{canary('location')}@h/?token=x")]),
    "/several": lambda _request: Answer(b"", 302, [("Location", f"/?token={canary('location')}"), ("Location", "/b")]),
    "/again": lambda _request: Answer(b"", 307, [("Location", "/echo")]),
}


def tls(chain: Callable[[Lab], Sequence[Issued]], **options: Any) -> Play:
    """A server that shows these certificates; `root.pem` is trusted."""

    async def play(lab: Lab, load: Load) -> None:
        own, *others = chain(lab)
        with Origin(tls=own.server_context(*others)) as server:
            await call(lab, load, f"{server.url}/echo", verify=lab.path("root.pem"), **options)

    return play


async def without_its_password(lab: Lab, load: Load) -> None:
    cert = (lab.path("own.pem"), lab.path("own.key"), canary("cert password"))
    await call(lab, load, "https://127.0.0.1:1/", cert=cert)


async def downgrade(lab: Lab, load: Load) -> None:
    leads_down = {"/down": lambda _request: Answer(b"", 307, [("Location", f"{CLOSED}?token={canary('location')}")])}
    with Origin(tls=lab.certificates.server_context(), routes=leads_down) as server:
        await call(lab, load, f"{server.url}/down", verify=str(lab.certificates.ca), data="its body")


def proxied(make: Callable[[], Any], url: Callable[[int], Any], target: str = "https://secure.test/x") -> Play:
    async def play(lab: Lab, load: Load) -> None:
        with make() as server:
            await call(lab, load, target, proxy=url(server.port))

    return play


def http_proxy(port: int) -> str:
    return f"http://ada:{canary('proxy')}@127.0.0.1:{port}"


def proxy_mapping(port: int) -> Options:
    return {"host": "127.0.0.1", "port": port, "auth": {"username": "ada", "password": canary("proxy mapping")}}


async def proxy_of_the_environment(lab: Lab, load: Load) -> None:
    with ScriptedProxy(credentials=("ada", "another")) as server:
        value = http_proxy(server.port).replace(canary("proxy"), canary("proxy environment"))
        with patch.dict(os.environ, {"HTTPS_PROXY": value}):
            await call(lab, load, "https://secure.test/")


async def without_socksio(lab: Lab, load: Load) -> None:
    with patch.dict(sys.modules, {"socksio": None}):
        await call(lab, load, "http://x.test/", proxy=f"socks5://ada:{canary('socks')}@127.0.0.1:1")


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """The process may open none."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    fillers: list[int] = []
    with socket.socket() as last:
        resource.setrlimit(resource.RLIMIT_NOFILE, (last.fileno() + 20, limits[1]))
        try:
            with contextlib.suppress(OSError):
                while True:
                    fillers.append(os.dup(last.fileno()))
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for each in fillers:
                os.close(each)


async def out_of_files(lab: Lab, load: Load) -> None:
    given = {**without_body(load.call(lab)), "data": "its body"}
    async with AtomHTTP(**load.client(CLOSED)) as client:
        # What a first call has to import, and what it opens for its loop, is there before.
        with contextlib.suppress(AtomHTTPNetworkError):
            await client.post(load.url(CLOSED), **given)
        with no_more_files():
            await client.post(load.url(CLOSED), **given)


async def busy_pool(lab: Lab, load: Load) -> None:
    with Peer([expect_head(), send(CUT), hold()]) as server:
        client = AtomHTTP(**{**load.client(server.url), "max_connections": 1})
        async with client, await client.get(server.url, response_type="stream"):
            await client.post(load.url(server.url), **load.call(lab), timeout=Timeout(pool=5))


async def nobody_reads(lab: Lab, load: Load) -> None:
    with Peer([hold()]) as server:
        await call(lab, load, server.url, timeout=Timeout(write=5), data=bytes(32 * 1024 * 1024))


async def never(_host: str, _port: int) -> list[str]:
    await asyncio.Event().wait()
    return []


def unknown(number: int) -> Callable[[str, int], list[str]]:
    def resolver(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(number, "as told")

    return resolver


async def proxy_that_is_silent(lab: Lab, load: Load) -> None:
    with ScriptedProxy(replies=[Reply(then="hold")]) as server:
        await call(lab, load, "https://secure.test/", proxy=http_proxy(server.port), timeout=Timeout(connect=5))


async def aborted(lab: Lab, load: Load) -> None:
    controller = AbortController()
    controller.abort({"token": canary("signal")})
    await call(lab, load, CLOSED, signal=controller.signal)


async def aborted_by_an_exception(lab: Lab, load: Load) -> None:
    controller = AbortController()
    controller.abort(LookupError("no longer wanted"))
    await call(lab, load, CLOSED, signal=controller.signal)


async def aborted_under_way(lab: Lab, load: Load) -> None:
    with Peer([expect_head(), expect_body(), hold()], repeat=True) as server:
        await call(lab, load, server.url, signal=AbortSignal.timeout(0.02))


async def closed_client(lab: Lab, load: Load) -> None:
    client = AtomHTTP(**load.client(CLOSED))
    await client.close()
    await client.post(load.url(CLOSED), **load.call(lab))


async def read_twice(lab: Lab, load: Load) -> None:
    with Origin() as server:
        async with AtomHTTP(**load.client(server.url)) as client:
            url = load.url(f"{server.url}/bytes/50")
            response = await client.post(url, **{**load.call(lab), "response_type": "stream"})
            assert find(repr(response.data)) == ""
            await response.data.read()
            await response.data.read()


async def wrong_checksum(lab: Lab, load: Load) -> None:
    with Origin() as server:
        async with AtomHTTP(**load.client(server.url)) as client:
            url = load.url(f"{server.url}/bytes/50")
            await client.download(url, lab.path("a file"), checksum=f"md5:{'0' * 32}", **without_body(load.call(lab)))


async def line_too_long(lab: Lab, load: Load) -> None:
    with Origin() as server:
        async with AtomHTTP(**load.client(server.url)) as client:
            url = load.url(f"{server.url}/bytes/50")
            async with await client.post(url, **{**load.call(lab), "response_type": "stream"}) as response:
                async for _line in response.data.iter_lines(max_line=5):
                    pass


def nested(depth: int) -> Any:
    value: Any = canary("json")
    for _ in range(depth):
        value = {"password": value}
    return value


async def several_pieces() -> AsyncIterator[bytes]:
    for _ in range(3):
        yield canary("stream").encode()


async def too_large_as_it_goes(lab: Lab, load: Load) -> None:
    await origin_at("/echo", data=several_pieces(), maxBodyLength=20)(lab, load)


async def one_shot_body(lab: Lab, load: Load) -> None:
    await origin_at("/again", data=several_pieces())(lab, load)


def told_by_the_mock(kind: type[AtomHTTPError], code: str, **attributes: Any) -> Play:
    """What this machine cannot be made to do; the error goes the same way as any other."""

    async def play(lab: Lab, load: Load) -> None:
        adapter = MockAdapter()
        adapter.on(None, None, error=kind("it failed", code, **attributes))
        await call(lab, load, "http://mock.test/", adapter=adapter)

    return play


class Struct(msgspec.Struct):
    id: int


NET, TLS, PROXY, PROTOCOL, TIMEOUT = (
    AtomHTTPNetworkError,
    AtomHTTPTLSError,
    AtomHTTPProxyError,
    AtomHTTPProtocolError,
    AtomHTTPTimeoutError,
)
OPTION, REDIRECT, LIMIT, DECODE = (
    AtomHTTPOptionError,
    AtomHTTPRedirectError,
    AtomHTTPLimitError,
    AtomHTTPDecodeError,
)
HEAD = b"HTTP/1.1 200 OK\r\n"
CUT = HEAD + b"Content-Length: 10\r\n\r\n01"

ROWS = (
    # The network
    Row("refused", NET, "ECONNREFUSED", to(CLOSED)),
    Row("reset", NET, "ECONNRESET", peer(expect_head(), expect_body(), reset())),
    Row("hung up", NET, "ECONNRESET", peer(expect_head(), expect_body(), close())),
    Row("unknown name", NET, "ENOTFOUND", to("http://x.test/", {"resolver": lambda _host, _port: []})),
    Row("resolver fails", NET, "EAI_AGAIN", to("http://x.test/", {"resolver": unknown(socket.EAI_AGAIN)})),
    Row("unreachable", NET, "ENETUNREACH", to("http://x.test/", {"hosts": {"x.test": "127.255.255.255"}})),
    Row("no such address", NET, "EADDRNOTAVAIL", to(CLOSED, {"localAddress": "192.0.2.1"})),
    Row("no such socket", NET, "ENOENT", to(CLOSED, socketPath="/nowhere/at/all")),
    Row("out of files", NET, "EMFILE", out_of_files),
    Row("guarded address", NET, "ERR_ADDRESS_REFUSED", to(CLOSED, addressGuard="public")),
    *(
        Row(f"mock: {code}", NET, code, told_by_the_mock(NET, code))
        for code in ("ERR_NETWORK", "ECONNABORTED", "EPIPE", "EHOSTUNREACH", "EACCES", "ETIMEDOUT")
    ),
    # TLS
    Row("not TLS", TLS, "ERR_TLS", peer(send(b"220 mail.test ESMTP\r\n"), hold(), scheme="https")),
    Row("expired", TLS, "CERT_HAS_EXPIRED", tls(lambda lab: [lab.root.issue(HERE, days=(-9, -3))])),
    Row("not yet valid", TLS, "CERT_NOT_YET_VALID", tls(lambda lab: [lab.root.issue(HERE, days=(3, 9))])),
    Row("self-signed", TLS, "DEPTH_ZERO_SELF_SIGNED_CERT", tls(lambda _lab: [Issued.make(HERE)])),
    Row(
        "unknown root",
        TLS,
        "SELF_SIGNED_CERT_IN_CHAIN",
        tls(lambda lab: [lab.stranger.issue(HERE), lab.stranger]),
    ),
    Row("unknown issuer", TLS, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", tls(lambda lab: [lab.stranger.issue(HERE)])),
    Row("another name", TLS, "ERR_TLS_CERT_ALTNAME_INVALID", tls(lambda lab: [lab.root.issue("other.test")])),
    Row("no server", TLS, "INVALID_PURPOSE", tls(lambda lab: [lab.root.issue(HERE, usages=(CLIENT_AUTH,))])),
    Row("impostor", TLS, "CERT_SIGNATURE_FAILURE", tls(lambda lab: [lab.root.issue(HERE, signer=lab.stranger)])),
    Row("its own certificate's password", TLS, "ERR_TLS", without_its_password, ["cert password"]),
    *(
        Row(f"mock: {code}", TLS, code, told_by_the_mock(TLS, code))
        for code in (
            *("CERT_REVOKED", "CERT_REJECTED", "CERT_UNTRUSTED", "UNABLE_TO_GET_ISSUER_CERT", "INVALID_CA"),
            *("UNABLE_TO_VERIFY_LEAF_SIGNATURE", "PATH_LENGTH_EXCEEDED"),
        )
    ),
    # Proxies
    Row("proxy is not there", PROXY, "ERR_PROXY", to("http://x.test/", proxy=http_proxy(1)), ["proxy"]),
    Row(
        "proxy: 407",
        PROXY,
        "ERR_PROXY",
        proxied(lambda: ScriptedProxy(credentials=("ada", "another")), http_proxy),
        attributes={"proxy_status": 407},
    ),
    Row(
        "proxy of a mapping: 407",
        PROXY,
        "ERR_PROXY",
        proxied(lambda: ScriptedProxy(credentials=("ada", "another")), proxy_mapping),
        ["proxy mapping"],
    ),
    Row(
        "proxy by target: 502",
        PROXY,
        "ERR_PROXY",
        proxied(ScriptedProxy, lambda port: {"https://": http_proxy(port)}),
        attributes={"proxy_status": 502},
    ),
    Row("proxy of the environment: 407", PROXY, "ERR_PROXY", proxy_of_the_environment, ["proxy environment"]),
    Row(
        "proxy that speaks something else",
        PROXY,
        "ERR_PROXY",
        proxied(lambda: ScriptedProxy(replies=[Reply(b"220 mail.test ESMTP\r\n")]), http_proxy),
    ),
    Row(
        "SOCKS: who are you?",
        PROXY,
        "ERR_PROXY",
        proxied(
            lambda: SocksServer(credentials=("ada", "another")),
            lambda port: f"socks5h://ada:{canary('socks')}@127.0.0.1:{port}",
        ),
        ["socks"],
    ),
    Row(
        "SOCKS: no way",
        PROXY,
        "ERR_PROXY",
        proxied(
            lambda: SocksServer(credentials=("ada", canary("socks")), refusal=REFUSED),
            lambda port: f"socks5h://ada:{canary('socks')}@127.0.0.1:{port}",
        ),
    ),
    # HTTP
    Row("not HTTP", PROTOCOL, "ERR_BAD_RESPONSE", answer(b"220 mail.test ESMTP\r\n\r\n")),
    Row("cut off", PROTOCOL, "ERR_BAD_RESPONSE", answer(CUT)),
    Row("two lengths", PROTOCOL, "ERR_BAD_RESPONSE", answer(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n")),
    Row("large head", PROTOCOL, "HPE_HEADER_OVERFLOW", answer(HEAD + b"X: %b\r\n\r\n" % (b"x" * 70_000))),
    # Timeouts
    Row("timeout: pool", TIMEOUT, "ECONNABORTED", busy_pool, attributes={"phase": "pool"}),
    Row(
        "timeout: dns",
        TIMEOUT,
        "ECONNABORTED",
        to("http://x.test/", {"resolver": never}, timeout=5),
        attributes={"phase": "dns"},
    ),
    Row("timeout: connect", TIMEOUT, "ECONNABORTED", proxy_that_is_silent, attributes={"phase": "connect"}),
    Row(
        "timeout: tls",
        TIMEOUT,
        "ECONNABORTED",
        peer(hold(), scheme="https", timeout=5),
        attributes={"phase": "tls"},
    ),
    Row(
        "timeout: write",
        TIMEOUT,
        "ECONNABORTED",
        nobody_reads,
        attributes={"phase": "write"},
    ),
    Row(
        "timeout: headers",
        TIMEOUT,
        "ECONNABORTED",
        peer(expect_head(), expect_body(), hold(), timeout=Timeout(read=5)),
        attributes={"phase": "headers"},
    ),
    Row(
        "timeout: body",
        TIMEOUT,
        "ECONNABORTED",
        peer(expect_head(), expect_body(), send(CUT), hold(), timeout=5),
        attributes={"phase": "body"},
    ),
    # Signals
    Row("aborted", AtomHTTPCanceledError, "ERR_CANCELED", aborted, ["signal"]),
    Row("aborted by an exception", AtomHTTPCanceledError, "ERR_CANCELED", aborted_by_an_exception),
    Row(
        "aborted under way",
        AtomHTTPCanceledError,
        "ERR_CANCELED",
        aborted_under_way,
    ),
    # Limits
    Row("body too large", LIMIT, "ERR_MAX_BODY_LENGTH", origin_at("/echo", maxBodyLength=5)),
    Row(
        "body too large as it comes",
        LIMIT,
        "ERR_MAX_BODY_LENGTH",
        too_large_as_it_goes,
    ),
    Row("content too large", LIMIT, "ERR_MAX_CONTENT_LENGTH", origin_at("/bytes/100", maxContentLength=5)),
    Row("content too large as it comes", LIMIT, "ERR_MAX_CONTENT_LENGTH", origin_at("/chunked/99", maxContentLength=5)),
    Row("line too long", LIMIT, "ERR_MAX_CONTENT_LENGTH", line_too_long),
    # Statuses and redirects
    Row("401", AtomHTTPStatusError, "ERR_BAD_REQUEST", origin_at("/refused", validateStatus=True), ["Set-Cookie"]),
    Row("500", AtomHTTPStatusError, "ERR_BAD_RESPONSE", origin_at("/status/500", validateStatus=True)),
    Row(
        "503 again and again",
        AtomHTTPStatusError,
        "ERR_BAD_RESPONSE",
        origin_at(
            "/status/503",
            validateStatus=True,
            data="its body",
            retryConfig={"max_retries": 2, "backoff_factor": 0, "methods": ["POST"]},
        ),
    ),
    Row("loop", REDIRECT, "ERR_FR_TOO_MANY_REDIRECTS", origin_at("/loop", data="its body", maxRedirects=2)),
    Row("leads nowhere", REDIRECT, "ERR_BAD_REDIRECT", origin_at("/nowhere")),
    Row("leads to several", REDIRECT, "ERR_BAD_REDIRECT", origin_at("/several")),
    Row("leads down", REDIRECT, "ERR_BAD_REDIRECT", downgrade),
    Row(
        "one-shot body",
        REDIRECT,
        "ERR_BAD_REDIRECT",
        one_shot_body,
    ),
    # Decoding
    Row("does not fit", DECODE, "ERR_BAD_RESPONSE", origin_at("/echo", response_type=Struct)),
    Row(
        "not JSON",
        DECODE,
        "ERR_BAD_RESPONSE",
        origin_at("/bytes/100", transitional={"silentJSONParsing": False}),
    ),
    Row("not gzip", DECODE, "ERR_BAD_RESPONSE", answer(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx")),
    # Files
    Row("another file", AtomHTTPChecksumError, "ERR_CHECKSUM", wrong_checksum, attributes={"expected": "0" * 32}),
    # Use
    Row("closed", AtomHTTPClosedError, "ERR_CLIENT_CLOSED", closed_client),
    Row("read twice", AtomHTTPClosedError, "ERR_STREAM_CONSUMED", read_twice),
    Row("misspelt", OPTION, "ERR_BAD_OPTION", to(CLOSED, pasword=canary("option"), tokn=canary("option"))),
    Row("bad value", OPTION, "ERR_BAD_OPTION_VALUE", to(CLOSED, timeout="soon")),
    Row("too deep", OPTION, "ERR_FORM_DATA_DEPTH_EXCEEDED", to(CLOSED, form=nested(200))),
    Row("no SOCKS", OPTION, "ERR_NOT_SUPPORT", without_socksio),
    Row("another scheme", AtomHTTPURLError, "ERR_INVALID_URL", to("ftp://service.test/")),
    # Classes that are there to be caught; an adapter may raise them.
    Row("mock: of no kind", AtomHTTPError, "ERR_NETWORK", told_by_the_mock(AtomHTTPError, "ERR_NETWORK")),
    Row(
        "mock: refused",
        AtomHTTPRequestError,
        "ERR_BAD_REQUEST",
        told_by_the_mock(AtomHTTPRequestError, "ERR_BAD_REQUEST"),
    ),
)


def tree() -> set[tuple[type[AtomHTTPError], str]]:
    """Every class of errors, with every code of its own."""
    found: set[tuple[type[AtomHTTPError], str]] = set()
    waiting: list[type[AtomHTTPError]] = [AtomHTTPError]
    while waiting:
        kind = waiting.pop()
        found |= {(kind, code) for code in kind.codes}
        waiting += [each for each in kind.__subclasses__() if each.__module__ == AtomHTTPError.__module__]
    return found


def test_every_class_and_code_is_provoked() -> None:
    assert {(row.kind, row.code) for row in ROWS} == tree()
    public = {each for each in vars(atomhttp).values() if isinstance(each, type) and issubclass(each, AtomHTTPError)}
    assert {kind for kind, _ in tree()} == public


def test_every_phase_of_a_timeout_is_played() -> None:
    phases = {row.attributes["phase"] for row in ROWS if row.kind is AtomHTTPTimeoutError}
    assert phases == {"pool", "dns", "connect", "tls", "write", "headers", "body"}


def rows_of(*, timeouts: bool) -> Any:
    """The rows with their numbers: those of timeouts, which need a clock that jumps, or all others."""
    chosen = [(number, row) for number, row in enumerate(ROWS) if (row.kind is AtomHTTPTimeoutError) is timeouts]
    return pytest.mark.parametrize(("number", "row"), chosen, ids=[row.name for _, row in chosen])


@rows_of(timeouts=False)
async def test_no_error_shows_a_secret(lab: Lab, number: int, row: Row) -> None:
    await check(lab, number, row)


@rows_of(timeouts=True)
async def test_no_timeout_shows_a_secret(lab: Lab, number: int, row: Row, virtual_clock: VirtualClockLoop) -> None:
    await check(lab, number, row)


async def check(lab: Lab, number: int, row: Row) -> None:
    found = []
    for load in LOADS if IS_FULL else [LOADS[(number + step) % len(LOADS)] for step in STEPS]:
        with everything_logged() as lines, pytest.raises(AtomHTTPError) as caught:
            await row.play(lab, load)
        error = caught.value
        assert (type(error), error.code) == (row.kind, row.code), load.name
        for name, value in row.attributes.items():
            assert getattr(error, name) == value, load.name
        found += [f"{load.name}: {leak}" for leak in leaks({**views(error), "log": "\n".join(lines)})]
    assert found == []


async def test_a_first_call_that_may_open_no_file_is_an_error_of_ours() -> None:
    """The loop's own poller is one more file."""
    with SyncAtomHTTP() as other, pytest.raises(AtomHTTPNetworkError):
        other.get(CLOSED)
    async with AtomHTTP() as client:
        with no_more_files(), pytest.raises(AtomHTTPNetworkError) as caught:
            await client.get(CLOSED)
    assert caught.value.code == "EMFILE"


# What a person prints while looking for something else

PROXY_URL = f"http://ada:{CORE}@127.0.0.1:3128"


def filled_form() -> FormData:
    form = FormData({"password": CORE})
    form.append("upload", CORE.encode(), filename="notes.txt")
    return form


def mocked_call() -> Any:
    adapter = MockAdapter()
    adapter.on("POST", "/x", match_data={"password": CORE}, match_headers={"Authorization": CORE})
    with SyncAtomHTTP(adapter=adapter) as client:
        client.post(with_secrets("http://h/x"), {"password": CORE}, headers={"Authorization": CORE})
    return adapter, adapter.calls, adapter.routes


OBJECTS: dict[str, Callable[[], Any]] = {
    "BasicAuth": lambda: BasicAuth("ada", CORE),
    "BearerAuth": lambda: BearerAuth(CORE),
    "DigestAuth": lambda: DigestAuth("ada", CORE),
    "RefreshingAuth": lambda: RefreshingAuth(lambda: CORE, CORE),
    "CookieJar": lambda: CookieJar({"session": CORE}, url=CLOSED),
    "its cookies": lambda: list(CookieJar({"session": CORE}, url=CLOSED)),
    "FormData": filled_form,
    "its parts": lambda: filled_form().parts,
    "Headers": lambda: Headers({"Authorization": CORE, "Cookie": CORE, "Set-Cookie": [CORE, CORE]}),
    "RequestConfig": lambda: RequestConfig(
        url=with_secrets(CLOSED), auth=("ada", CORE), cookies={"a": CORE}, data=CORE
    ),
    "Proxy": lambda: check_proxy("proxy", PROXY_URL),
    "Proxy of SOCKS": lambda: check_proxy("proxy", PROXY_URL.replace("http:", "socks5:")),
    "proxies by target": lambda: check_proxy("proxy", {"http://": PROXY_URL, "all://*.test": PROXY_URL}),
    "proxies of the environment": lambda: read_environment({"HTTP_PROXY": PROXY_URL, "all_proxy": PROXY_URL}),
    "Route": lambda: Route("https", "h", 443, None, True, ("a.pem", "a.key", CORE), check_proxy("proxy", PROXY_URL)),
    "Target": lambda: parse_url(with_secrets(CLOSED)),
    "Response": lambda: Response({"password": CORE}, headers={"Set-Cookie": CORE}),
    "AbortSignal": lambda: AbortSignal.abort({"token": CORE}),
    "MockAdapter": mocked_call,
    "deferred call": lambda: SyncAtomHTTP().defer.post(with_secrets(CLOSED), {"password": CORE}),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_no_object_shows_a_secret(name: str) -> None:
    made = OBJECTS[name]()
    assert leaks({"repr": repr(made), "str": str(made), "pprint": pprint.pformat(made)}) == []


# The search itself


@pytest.mark.parametrize(
    "form",
    [
        *(f"before {CORE} behind", CORE.upper(), repr(f"\n{CORE}\x00"), f"%22{CORE}%22", json.dumps({CORE: CORE})),
        *(b64encode(f"{before}{CORE}:x".encode()) for before in ("", "u:", "us:", "use:")),
        *(CORE.encode().hex(), CORE.encode("utf-16"), "".join(f"%{ord(char):02X}" for char in CORE)),
        *(pickle.dumps({"x": [CORE]}, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
    ],
)
def test_a_canary_is_found_in_every_form(form: str | bytes) -> None:
    assert find(form)


def test_every_view_is_looked_at() -> None:
    """A message that shows everything is seen everywhere but in what is not made of it."""
    error = AtomHTTPNetworkError(CORE)
    error.add_note(CORE)
    error.attempts = (CORE,)
    seen = views(error)
    assert {leak.partition(":")[0] for leak in leaks(seen)} == seen.keys()
    response = Response(status=500, headers={"X-Plain": CORE}, status_text=CORE, config=RequestConfig(url=f"/{CORE}"))
    seen = parts("its", AtomHTTPStatusError("no", response=response, config=response.config))
    assert [view for view in seen if "headers" in view and "config" not in view and not find(seen[view])] == []
    assert find(seen["its config"])
    assert find(seen["its response"])
