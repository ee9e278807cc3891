"""The table of scenarios: what a client can be in the middle of when it is broken off, or when its network fails."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPClosedError,
    AtomHTTPDecodeError,
    AtomHTTPError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPProxyError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    AtomHTTPTLSError,
    DigestAuth,
    FormData,
    RefreshingAuth,
    Timeout,
)
from contract.flavours import close, wait
from hostile.http2_suspension_peers import http2_origin
from hostile.suspension_network import Network
from hostile.suspension_peers import behind_tls, connect_proxy, expected, origin, socks_proxy
from hostile.suspensions import Scenario, Stage

HTTP, OTHER, HTTPS = "http://origin.test", "http://other.test", "https://origin.test"
SOCKET_PATH = "/run/origin.sock"
HOSTS = {"origin.test": "10.0.0.1", "other.test": "10.0.0.2", "proxy.test": "10.0.0.3"}
# More than what is joined to its head (256 KiB), and than what a socket takes at once.
LARGE = 270_000

SCENARIOS: dict[str, Scenario] = {}


def build_network(tls: ssl.SSLContext, wrong_tls: ssl.SSLContext, http2_tls: ssl.SSLContext) -> Network:
    """Who is there in every scenario; `wrong_tls` has a certificate for another name, `http2_tls` chooses "h2"."""
    behind: dict[str, Any] = {"origin.test:80": origin, "10.0.0.1:80": origin}
    behind |= {"origin.test:443": behind_tls(tls, origin), "10.0.0.1:443": behind_tls(tls, origin)}
    peers: dict[Any, Any] = {
        ("10.0.0.1", 80): origin,
        ("10.0.0.1", 443): behind_tls(tls, origin),
        ("10.0.0.1", 444): behind_tls(wrong_tls, origin),
        ("10.0.0.1", 81): http2_origin(),
        ("10.0.0.1", 82): http2_origin(streams=1),
        ("10.0.0.1", 445): behind_tls(http2_tls, http2_origin()),
        ("10.0.0.2", 80): origin,
        ("10.0.0.3", 3128): connect_proxy(behind),
        ("10.0.0.3", 3129): behind_tls(tls, connect_proxy(behind)),
        ("10.0.0.3", 8080): origin,
        ("10.0.0.3", 1080): socks_proxy(behind),
        # Nobody ever answers there; at 10.0.0.10 it is refused.
        ("10.0.0.9", 80): None,
        SOCKET_PATH: origin,
    }
    return Network(peers=peers, names={name: [address] for name, address in HOSTS.items()})


def scenario(
    name: str,
    suspensions: int,
    operations: int,
    *,
    origins: tuple[str, ...] = (HTTP,),
    is_sync: bool = True,
    may_fail: tuple[type[AtomHTTPError], ...] = (),
    repeats: bool = False,
    outlasts_abort: bool = False,
    ends_connections: bool = False,
    **options: Any,
) -> Callable[[Callable[[Stage], Coroutine[Any, Any, Any]]], Callable[[Stage], Coroutine[Any, Any, Any]]]:
    """Enters a function into the table; see `Scenario`."""

    def enter(act: Callable[[Stage], Coroutine[Any, Any, Any]]) -> Callable[[Stage], Coroutine[Any, Any, Any]]:
        assert name not in SCENARIOS
        row = (suspensions, operations, origins, is_sync, may_fail, repeats, outlasts_abort, ends_connections)
        SCENARIOS[name] = Scenario(name, act, {"hosts": HOSTS, "timeout": 30, **options}, *row)
        return act

    return enter


async def ask(stage: Stage, method: str, url: str, size: int = 0, **options: Any) -> Any:
    """A request, stepped, whose answer is looked at."""
    response = await stage.step(stage.client.request(method, url, **options))
    path = "/" + url.split("/", 3)[3]
    wanted = None if method == "HEAD" else expected(method, path, size)
    stage.compare(response.data, wanted)
    return response


async def begin_and_leave(stage: Stage, url: str) -> None:
    """A stream, stepped, of which no more than the beginning is read."""

    async def read() -> bytes:
        response = await stage.client.get(url, response_type="stream")
        beginning: bytes = await wait(response.data.read(3))
        await close(response.data)
        return beginning

    stage.compare(await stage.step(read()), b"GET")


async def fails(stage: Stage, kind: type[AtomHTTPError], coroutine: Awaitable[Any]) -> AtomHTTPError:
    """What must end in an error of that kind; when the network fails as well, in that."""
    with pytest.raises((kind, AtomHTTPNetworkError)) as caught:
        await stage.step(coroutine)
    assert isinstance(caught.value, kind) or stage.network.fault is not None
    return caught.value


# Answers


@scenario("GET", 2, 6)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP}/plain/a")


@scenario("HEAD", 2, 6)
async def _(stage: Stage) -> None:
    await ask(stage, "HEAD", f"{HTTP}/plain/a")


@scenario("chunked, with trailers", 2, 7)
async def _(stage: Stage) -> None:
    response = await ask(stage, "GET", f"{HTTP}/chunked/a")
    stage.compare(dict(response.trailers), {"X-Trailer": "yes"})


@scenario("content up to the end of the connection", 2, 7)
async def _(stage: Stage) -> None:
    url = f"{HTTP}/close/a"
    response = await stage.step(stage.client.get(url))
    # Nobody can tell such an end from a cut.
    stage.compare(response.data, expected("GET", "/close/a"), may_be_cut=True)


@scenario("interim response", 2, 7)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP}/interim/a")


@scenario("gzip", 2, 6, may_fail=(AtomHTTPDecodeError,))
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP}/gzip/a")


@scenario("larger than maxContentLength", 3, 5, may_fail=(AtomHTTPLimitError,))
async def _(stage: Stage) -> None:
    await fails(stage, AtomHTTPLimitError, stage.client.get(f"{HTTP}/chunked/a", max_content_length=5))


@scenario("a refused status, its content read", 2, 6, may_fail=(AtomHTTPStatusError,))
async def _(stage: Stage) -> None:
    error = await fails(stage, AtomHTTPStatusError, stage.client.get(f"{HTTP}/refuse/a", validate_status=True))
    if isinstance(error, AtomHTTPStatusError):
        stage.compare(error.response.data, expected("GET", "/refuse/a"))


@scenario("keepAlive off", 2, 6)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP}/plain/a", keep_alive=False)


@scenario("limits for each phase", 2, 6)
async def _(stage: Stage) -> None:
    limits = Timeout(60, connect=20, read=20, write=20, pool=20)
    await ask(stage, "POST", f"{HTTP}/plain/a", 3, data=b"abc", timeout=limits)


@scenario("out of time", 2, 3, may_fail=(AtomHTTPTimeoutError,))
async def _(stage: Stage) -> None:
    await fails(stage, AtomHTTPTimeoutError, stage.client.get(f"{HTTP}/held/a", timeout=5))


# Connecting


@scenario("lookup by the system", 3, 7, hosts=None)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP}/plain/a")


@scenario("lookup that fails", 1, 1, hosts=None)
async def _(stage: Stage) -> None:
    await fails(stage, AtomHTTPNetworkError, stage.client.get("http://unknown.test/plain/a"))


@scenario("a resolver of the caller's", 4, 6)
async def _(stage: Stage) -> None:
    find = stage.callback(lambda host, port: ["10.0.0.1"])
    stage.client.defaults.resolver = find
    try:
        await ask(stage, "GET", "http://resolved.test/plain/a")
    finally:
        stage.client.defaults.resolver = None


@scenario(
    "the first address is silent",
    2,
    7,
    may_fail=(AtomHTTPTimeoutError,),
    hosts={**HOSTS, "both.test": ["10.0.0.9", "10.0.0.1"]},
)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", "http://both.test/plain/a")


@scenario("the first address refuses", 2, 8, hosts={**HOSTS, "both.test": ["10.0.0.10", "10.0.0.1"]})
async def _(stage: Stage) -> None:
    await ask(stage, "GET", "http://both.test/plain/a")


@scenario("all addresses refuse", 1, 4, hosts={**HOSTS, "none.test": ["10.0.0.10", "10.0.0.11"]})
async def _(stage: Stage) -> None:
    await fails(stage, AtomHTTPNetworkError, stage.client.get("http://none.test/plain/a"))


@scenario("connecting takes too long", 1, 1, may_fail=(AtomHTTPTimeoutError,), hosts={**HOSTS, "no.test": "10.0.0.9"})
async def _(stage: Stage) -> None:
    await fails(stage, AtomHTTPTimeoutError, stage.client.get("http://no.test/plain/a", timeout=Timeout(30, connect=3)))


@scenario("unix socket", 1, 5)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP}/plain/a", socket_path=SOCKET_PATH)


# TLS


@scenario("TLS", 3, 14, origins=(HTTPS,))
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTPS}/plain/a")


@scenario("TLS, chunked, after an upload", 4, 35, origins=(HTTPS,))
async def _(stage: Stage) -> None:
    await ask(stage, "PUT", f"{HTTPS}/chunked/a", LARGE, data=bytes(LARGE))


@scenario("TLS, taking up a session", 3, 14, origins=(HTTPS,))
async def _(stage: Stage) -> None:
    await stage.client.get(f"{HTTPS}/next/x", keep_alive=False)
    await ask(stage, "GET", f"{HTTPS}/plain/a")


@scenario("TLS, on a kept connection", 1, 7, origins=(HTTPS,))
async def _(stage: Stage) -> None:
    await stage.client.get(f"{HTTPS}/next/x")
    await ask(stage, "GET", f"{HTTPS}/plain/a")


@scenario("TLS, content up to the end of the connection", 3, 17, origins=(HTTPS,))
async def _(stage: Stage) -> None:
    # Here an end can be told from a cut.
    await ask(stage, "GET", f"{HTTPS}/close/a")


@scenario("TLS, a stream", 6, 16, origins=(HTTPS,))
async def _(stage: Stage) -> None:
    stage.compare(await stage.step(stream(stage, f"{HTTPS}/chunked/a")), expected("GET", "/chunked/a").encode())


@scenario("TLS with a certificate for somebody else", 2, 6, origins=(HTTPS,))
async def _(stage: Stage) -> None:
    await fails(stage, AtomHTTPTLSError, stage.client.get("https://origin.test:444/plain/a"))


# Proxies


@scenario("a proxy that forwards", 2, 6, proxy="http://proxy.test:8080")
async def _(stage: Stage) -> None:
    response = await stage.step(stage.client.get(f"{HTTP}/plain/a"))
    stage.compare(response.data, expected("GET", "/plain/a"))


@scenario("CONNECT", 5, 17, origins=(HTTPS,), proxy="http://proxy.test:3128")
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTPS}/plain/a")


@scenario("CONNECT, TLS in TLS", 6, 35, origins=(HTTPS,), proxy="https://proxy.test:3129")
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTPS}/plain/a")


@scenario("CONNECT, TLS in TLS, a stream", 9, 39, origins=(HTTPS,), proxy="https://proxy.test:3129")
async def _(stage: Stage) -> None:
    stage.compare(await stage.step(stream(stage, f"{HTTPS}/chunked/a")), expected("GET", "/chunked/a").encode())


@scenario("a proxy that cannot be reached", 1, 2, origins=(), proxy="http://proxy.test:9")
async def _(stage: Stage) -> None:
    await fails(stage, AtomHTTPProxyError, stage.client.get(f"{HTTPS}/plain/a"))


@scenario("SOCKS, by name", 6, 12, proxy="socks5h://proxy.test:1080")
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP}/plain/a")


@scenario("SOCKS, by address, and TLS", 7, 20, origins=(HTTPS,), proxy="socks5://proxy.test:1080")
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTPS}/plain/a")


# Kept connections


@scenario("a kept connection", 1, 4)
async def _(stage: Stage) -> None:
    await stage.client.get(f"{HTTP}/next/x")
    await ask(stage, "GET", f"{HTTP}/plain/a")


@scenario("a kept connection that the peer closes: resent", 3, 8)
async def _(stage: Stage) -> None:
    await stage.client.get(f"{HTTP}/stale/x")
    await ask(stage, "GET", f"{HTTP}/stale/a")


@scenario("a kept connection that the peer closes: POST", 1, 2)
async def _(stage: Stage) -> None:
    await stage.client.get(f"{HTTP}/stale/x")
    await fails(stage, AtomHTTPNetworkError, stage.client.post(f"{HTTP}/stale/a", b"once"))
    assert stage.network.requests.count("POST /stale/a") <= 1


@scenario("a kept connection that the peer closes: Idempotency-Key", 3, 8, repeats=True)
async def _(stage: Stage) -> None:
    await stage.client.get(f"{HTTP}/stale/x")
    await ask(stage, "POST", f"{HTTP}/stale/a", 4, data=b"once", headers={"Idempotency-Key": "1"})
    assert stage.network.requests.count("POST /stale/a") <= 2


@scenario("a kept connection that the peer closes: an upload that can be read once", 1, 4)
async def _(stage: Stage) -> None:
    await stage.client.get(f"{HTTP}/stale/x")
    try:
        await stage.step(stage.client.put(f"{HTTP}/stale/a", iter([b"once"])))
    except AtomHTTPNetworkError:
        return
    # It was not read yet when the connection was lost: then it can be sent again.
    assert stage.network.fault is not None


# Uploads


@scenario("POST, small", 2, 6)
async def _(stage: Stage) -> None:
    await ask(stage, "POST", f"{HTTP}/plain/a", 7, data=b"content")


@scenario("POST, larger than what a socket takes", 3, 14)
async def _(stage: Stage) -> None:
    await ask(stage, "POST", f"{HTTP}/plain/a", LARGE, data=bytes(LARGE))


@scenario("POST from an iterator", 11, 12)
async def _(stage: Stage) -> None:
    content = pieces(stage, [b"one", b"two", bytes(70_000)])
    await ask(stage, "POST", f"{HTTP}/plain/a", 70_006, data=content)


@scenario("PUT from an iterable, of a known length", 3, 11)
async def _(stage: Stage) -> None:
    content = _Repeatable([b"one", b"two", bytes(70_000)])
    await ask(stage, "PUT", f"{HTTP}/plain/a", 70_006, data=content, headers={"Content-Length": "70006"})


@scenario("POST from a file of ours", 3, 19)
async def _(stage: Stage) -> None:
    size = HERE_SIZE + LARGE
    body = FormData()
    body.append("file", stage.path(HERE))
    body.append("more", io.BytesIO(bytes(LARGE)), filename="zeros")
    response = await stage.step(stage.client.post(f"{HTTP}/plain/a", body))
    *asked, sent = response.data.split()
    stage.compare((asked, int(sent) > size if sent.isdigit() else None), (["POST", "/plain/a"], True))


@scenario("POST of a path", 2, 7)
async def _(stage: Stage) -> None:
    await ask(stage, "POST", f"{HTTP}/plain/a", HERE_SIZE, data=stage.path(HERE))


@scenario("POST from a file that is read on a thread", 4, 9)
async def _(stage: Stage) -> None:
    await ask(stage, "POST", f"{HTTP}/plain/a", 70_000, data=_SlowFile(bytes(70_000)))


@scenario("Expect: 100-continue", 3, 8)
async def _(stage: Stage) -> None:
    await ask(stage, "POST", f"{HTTP}/continue/a", 5, data=b"12345", headers={"Expect": "100-continue"})


@scenario("Expect: 100-continue, and nobody says so", 3, 7)
async def _(stage: Stage) -> None:
    await ask(stage, "POST", f"{HTTP}/plain/a", 5, data=b"12345", headers={"Expect": "100-continue"})


@scenario("an answer before the upload has ended", 3, 5)
async def _(stage: Stage) -> None:
    response = await stage.step(stage.client.post(f"{HTTP}/early/a", pieces(stage, [bytes(100_000)] * 4)))
    stage.compare(response.status, 413)
    stage.compare(response.data, expected("POST", "/early/a"))


@scenario("an answer before the upload of a file has ended", 3, 10)
async def _(stage: Stage) -> None:
    body = FormData()
    body.append("zeros", io.BytesIO(bytes(LARGE)), filename="zeros")
    body.append("file", stage.path(HERE))
    response = await stage.step(stage.client.post(f"{HTTP}/early/a", body))
    stage.compare(response.status, 413)


@scenario("an answer before the upload has ended, which could go on", 3, 5)
async def _(stage: Stage) -> None:
    response = await stage.step(stage.client.post(f"{HTTP}/eager/a", pieces(stage, [bytes(50_000)] * 6)))
    stage.compare(response.data, expected("POST", "/eager/a"))


# Progress, and rates


@scenario("upload progress", 6, 16)
async def _(stage: Stage) -> None:
    await ask(
        stage, "PUT", f"{HTTP}/plain/a", 300_000, data=bytes(300_000), on_upload_progress=stage.callback(_nothing)
    )


@scenario("download progress", 7, 7)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP}/chunked/a", on_download_progress=stage.callback(_nothing))


@scenario("maxRate of an upload", 7, 12)
async def _(stage: Stage) -> None:
    await ask(stage, "POST", f"{HTTP}/plain/a", 3_000, data=bytes(3_000), max_rate=(1_000, None))


@scenario("maxRate of a download", 6, 7)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP}/chunked/a", max_rate=(None, 10))


# Redirects


async def _follow(stage: Stage, method: str, path: str, end: str, size: int = 0, **options: Any) -> None:
    response = await stage.step(stage.client.request(method, HTTP + path, **options))
    stage.compare(response.data, expected(*end.split(" "), size))
    assert response.history


@scenario("redirect", 4, 10)
async def _(stage: Stage) -> None:
    await _follow(stage, "GET", "/moved/a", "GET /plain/a")


@scenario("redirect with its content", 6, 26)
async def _(stage: Stage) -> None:
    await _follow(stage, "POST", "/kept/a", "POST /plain/a", LARGE, data=bytes(LARGE))


@scenario("redirect to another origin", 5, 12, origins=(HTTP, OTHER))
async def _(stage: Stage) -> None:
    await _follow(stage, "GET", "/other/a", "GET /plain/a")


@scenario("two redirects, and beforeRedirect", 10, 14)
async def _(stage: Stage) -> None:
    await _follow(
        stage, "GET", "/twice/a", "GET /plain/a", before_redirect=stage.callback(lambda request, response: None)
    )


@scenario("redirect, the end a stream", 5, 10)
async def _(stage: Stage) -> None:
    stage.compare(await stage.step(stream(stage, f"{HTTP}/moved/a")), expected("GET", "/plain/a").encode())


# Retries

RETRY = {"max_retries": 2, "jitter": False}


@scenario("retry of a status", 6, 10, repeats=True)
async def _(stage: Stage) -> None:
    options = {**RETRY, "on_retry": stage.callback(lambda info: None)}
    await ask(stage, "GET", f"{HTTP}/busy/a", retry_config=options)


@scenario("retry of a lost connection", 5, 12, repeats=True)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP}/broken/a", retry_config=RETRY)


@scenario("retry, asked for by a condition", 8, 10, repeats=True)
async def _(stage: Stage) -> None:
    condition = stage.callback(lambda outcome, attempt: getattr(outcome, "status", 503) == 503)
    await ask(stage, "POST", f"{HTTP}/busy/a", 3, data=b"abc", retry_config={**RETRY, "condition": condition})


@scenario("retry of a stream", 6, 10, repeats=True)
async def _(stage: Stage) -> None:
    read = stream(stage, f"{HTTP}/busy/a", retry_config=RETRY)
    stage.compare(await stage.step(read), expected("GET", "/busy/a").encode())


@scenario("retry of a stream, asked for by a condition", 8, 10, repeats=True)
async def _(stage: Stage) -> None:
    condition = stage.callback(lambda outcome, attempt: getattr(outcome, "status", 503) == 503)
    read = stream(stage, f"{HTTP}/busy/a", retry_config={**RETRY, "condition": condition})
    stage.compare(await stage.step(read), expected("GET", "/busy/a").encode())


@scenario("retry of what cannot be connected to", 5, 6, repeats=True, hosts={**HOSTS, "none.test": "10.0.0.10"})
async def _(stage: Stage) -> None:
    await fails(stage, AtomHTTPNetworkError, stage.client.post("http://none.test/plain/a", b"x", retry_config=RETRY))


@scenario("retry with a limit for each attempt", 8, 9, repeats=True, may_fail=(AtomHTTPTimeoutError,))
async def _(stage: Stage) -> None:
    await fails(
        stage, AtomHTTPTimeoutError, stage.client.get(f"{HTTP}/held/a", retry_config={**RETRY, "attempt_timeout": 2})
    )


# Auth and cookies


@scenario("auth by a function", 4, 6)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP}/plain/a", auth=stage.callback(lambda request: request))


@scenario("digest", 3, 10, repeats=True)
async def _(stage: Stage) -> None:
    await ask(stage, "POST", f"{HTTP}/digest/a", 3, data=b"abc", auth=DigestAuth("user", "password"))


@scenario("digest for a stream", 5, 10, repeats=True)
async def _(stage: Stage) -> None:
    read = stream(stage, f"{HTTP}/digest/a", auth=DigestAuth("user", "password"))
    stage.compare(await stage.step(read), expected("GET", "/digest/a").encode())


@scenario("a token that is refreshed", 5, 10, repeats=True)
async def _(stage: Stage) -> None:
    auth = RefreshingAuth(stage.callback(lambda *_: "new"), "old")
    await ask(stage, "GET", f"{HTTP}/token/a", auth=auth)


@scenario("a token that is refreshed, for a stream", 7, 10, repeats=True)
async def _(stage: Stage) -> None:
    auth = RefreshingAuth(stage.callback(lambda *_: "new"), "old")
    read = stream(stage, f"{HTTP}/token/a", auth=auth)
    stage.compare(await stage.step(read), expected("GET", "/token/a").encode())


@scenario("a token that somebody else refreshes", 4, 14, is_sync=False, repeats=True)
async def _(stage: Stage) -> None:
    auth = RefreshingAuth(stage.callback(lambda *_: "new"), "old")
    await stage.hold("/token/b", auth=auth)
    await ask(stage, "GET", f"{HTTP}/token/a", auth=auth)


@scenario("a cookie that is set, and sent on", 3, 10)
async def _(stage: Stage) -> None:
    async def both() -> Any:
        await stage.client.get(f"{HTTP}/cookie/a")
        return await stage.client.get(f"{HTTP}/plain/a")

    stage.compare((await stage.step(both())).data, expected("GET", "/plain/a"))


# Functions of the caller's


@scenario("transformRequest", 4, 6)
async def _(stage: Stage) -> None:
    transform = stage.callback(lambda data, *_: data + b"!")
    await ask(stage, "POST", f"{HTTP}/plain/a", 4, data=b"abc", transform_request=transform)


@scenario("transformResponse", 4, 6)
async def _(stage: Stage) -> None:
    transform = stage.callback(lambda data, *_: data)
    await ask(stage, "GET", f"{HTTP}/plain/a", transform_response=transform)


@scenario("transformResponse of a stream", 4, 7)
async def _(stage: Stage) -> None:
    transform = stage.callback(lambda data, *_: data)
    read = stream(stage, f"{HTTP}/chunked/a", transform_response=transform)
    stage.compare(await stage.step(read), expected("GET", "/chunked/a").encode())


@scenario("interceptors", 6, 6, outlasts_abort=True)
async def _(stage: Stage) -> None:
    stage.client.interceptors.use(stage.callback(_nothing))
    stage.client.interceptors.use(stage.callback(_nothing), True)
    try:
        await ask(stage, "GET", f"{HTTP}/plain/a")
    finally:
        stage.client.interceptors.clear()


@scenario("interceptors of a stream", 4, 7, outlasts_abort=True)
async def _(stage: Stage) -> None:
    stage.client.interceptors.use(stage.callback(_nothing), True)
    try:
        stage.compare(await stage.step(stream(stage, f"{HTTP}/chunked/a")), expected("GET", "/chunked/a").encode())
    finally:
        stage.client.interceptors.clear()


# Streams


async def stream(stage: Stage, url: str, **options: Any) -> bytes:
    response = await stage.client.get(url, response_type="stream", **options)
    return b"".join(await collect(response.data))


async def collect(items: Any) -> list[Any]:
    """All of them. Without an async generator in between: one that is closed where it waits stays half open in 3.11."""
    return [item async for item in items] if hasattr(items, "__aiter__") else list(items)


@scenario("a stream, read to its end", 5, 7)
async def _(stage: Stage) -> None:
    stage.compare(await stage.step(stream(stage, f"{HTTP}/chunked/a")), expected("GET", "/chunked/a").encode())


@scenario("a stream, up to the end of its connection", 5, 7)
async def _(stage: Stage) -> None:
    read = await stage.step(stream(stage, f"{HTTP}/close/a"))
    stage.compare(read, expected("GET", "/close/a").encode(), may_be_cut=True)


@scenario("a stream, read by size and then closed", 3, 5)
async def _(stage: Stage) -> None:
    await begin_and_leave(stage, f"{HTTP}/chunked/a")


@scenario("a stream that is left half-way", 3, 5)
async def _(stage: Stage) -> None:
    async def read() -> None:
        response = await stage.client.get(f"{HTTP}/chunked/a", response_type="stream")
        try:
            if stage.is_sync:
                next(response.data)
            else:
                await anext(response.data)
        finally:
            await close(response.data)

    await stage.step(read())


@scenario("a stream, by lines", 4, 6)
async def _(stage: Stage) -> None:
    async def read() -> list[str]:
        response = await stage.client.get(f"{HTTP}/lines/a", response_type="stream")
        return await collect(response.data.iter_lines())

    stage.compare(await stage.step(read()), ["one", "two", "three"])


@scenario("a stream that is coded", 7, 6, may_fail=(AtomHTTPDecodeError,))
async def _(stage: Stage) -> None:
    read = stream(stage, f"{HTTP}/gzip/a", on_download_progress=stage.callback(_nothing))
    stage.compare(await stage.step(read), expected("GET", "/gzip/a").encode())


@scenario("a large stream with a slow consumer", 18, 11, is_sync=False)
async def _(stage: Stage) -> None:
    pause = stage.callback(_nothing)

    async def read() -> int:
        response = await stage.client.get(f"{HTTP}/large/a", response_type="stream")
        size = 0
        async with response.data:
            async for piece in response.data:
                size += len(piece)
                await pause()
        return size

    stage.compare(await stage.step(read()), 600_000)


@scenario("a stream with a limit", 3, 5, may_fail=(AtomHTTPLimitError,))
async def _(stage: Stage) -> None:
    await fails(stage, AtomHTTPLimitError, stream(stage, f"{HTTP}/chunked/a", max_content_length=5))


@scenario("a stream of a refused status", 3, 6, may_fail=(AtomHTTPStatusError,))
async def _(stage: Stage) -> None:
    await fails(stage, AtomHTTPStatusError, stream(stage, f"{HTTP}/refuse/a", validate_status=True))


# The pool


@scenario("waiting for the only connection", 2, 7, is_sync=False, max_connections=1)
async def _(stage: Stage) -> None:
    await stage.hold("/held/b")
    stage.network.post(stage.network.release)
    await ask(stage, "GET", f"{HTTP}/plain/a")


@scenario("waiting for a place, and connecting", 3, 9, is_sync=False, max_connections=1, origins=(HTTP, OTHER))
async def _(stage: Stage) -> None:
    await stage.hold("/held/b")
    stage.network.post(stage.network.release)
    await ask(stage, "GET", f"{OTHER}/plain/a")


@scenario("waiting for the only connection of an origin", 3, 9, is_sync=False, max_connections_per_origin=1)
async def _(stage: Stage) -> None:
    await stage.hold("/held/b", keep_alive=False)
    stage.network.post(stage.network.release)
    await ask(stage, "GET", f"{HTTP}/plain/a")


@scenario("waiting for a connection that is closed as it comes free", 3, 9, is_sync=False, max_connections=1)
async def _(stage: Stage) -> None:
    await stage.hold("/held/b", headers={"Connection": "close"})
    stage.network.post(stage.network.release)
    await ask(stage, "GET", f"{HTTP}/plain/a")


@scenario("in the middle of those that wait", 2, 12, is_sync=False, max_connections=1)
async def _(stage: Stage) -> None:
    await stage.hold("/held/b")
    stage.beside(stage.client.get(f"{HTTP}/plain/c", signal=None))
    while not stage.client.pool_stats().waiting:
        await wait_a_moment()
    stage.network.post(lambda: stage.beside(stage.client.get(f"{HTTP}/plain/d", signal=None)))
    stage.network.post(lambda: stage.network.post(stage.network.release))
    await ask(stage, "GET", f"{HTTP}/plain/a")


@scenario("waiting too long for a connection", 1, 0, is_sync=False, max_connections=1)
async def _(stage: Stage) -> None:
    await stage.hold("/held/b", timeout=None)
    await fails(stage, AtomHTTPTimeoutError, stage.client.get(f"{HTTP}/plain/a", timeout=Timeout(20, pool=1)))


@scenario("another origin's idle connection has to go", 2, 6, max_connections=1, origins=(HTTP, OTHER))
async def _(stage: Stage) -> None:
    await stage.client.get(f"{HTTP}/next/x")
    await ask(stage, "GET", f"{OTHER}/plain/a")


@scenario("closing the client", 2, 3, is_sync=False, may_fail=(AtomHTTPClosedError,))
async def _(stage: Stage) -> None:
    async def close_client() -> None:
        while "GET /held/a" not in stage.network.requests and not stage.over:
            await wait_a_moment()
        await stage.client.close()

    stage.beside(close_client())
    try:
        await stage.step(stage.client.get(f"{HTTP}/held/a"))
    except AtomHTTPClosedError:
        return
    raise AssertionError("it was answered")


# Together


@scenario("all", 1, 19, is_sync=False, may_fail=(AtomHTTPDecodeError,))
async def _(stage: Stage) -> None:
    calls = [stage.client.get(f"{HTTP}/{kind}/a") for kind in ("plain", "chunked", "gzip")]
    responses = await stage.step(AtomHTTP.all(calls))
    for kind, response in zip(("plain", "chunked", "gzip"), responses, strict=True):
        stage.compare(response.data, expected("GET", f"/{kind}/a"))


@scenario("one call of all", 2, 12, is_sync=False)
async def _(stage: Stage) -> None:
    mine = stage.step(stage.client.get(f"{HTTP}/plain/a"))
    await AtomHTTP.all([stage.client.get(f"{HTTP}/chunked/b"), mine])


@scenario("all, one after the other", 3, 15, is_sync=False, may_fail=(AtomHTTPDecodeError,))
async def _(stage: Stage) -> None:
    calls = [stage.client.get(f"{HTTP}/{kind}/a") for kind in ("plain", "chunked", "gzip")]
    assert len(await stage.step(AtomHTTP.all(calls, limit=1))) == 3


@scenario("all, with streams", 1, 10, is_sync=False)
async def _(stage: Stage) -> None:
    calls = [stage.client.get(f"{HTTP}/{kind}/a", response_type="stream") for kind in ("plain", "chunked")]
    for response in await stage.step(AtomHTTP.all(calls)):
        await response.data.aclose()


@scenario("all, and one of them fails", 2, 5, is_sync=False, outlasts_abort=True)
async def _(stage: Stage) -> None:
    calls = [stage.client.get(f"{HTTP}/held/a"), stage.client.get(f"{HTTP}:9/plain/b")]
    await fails(stage, AtomHTTPNetworkError, AtomHTTP.all(calls))


# What they are made of

HERE = Path(__file__)
HERE_SIZE = HERE.stat().st_size


def _nothing(*_: Any) -> None:
    """For callbacks whose result nobody wants."""


async def wait_a_moment() -> None:
    await asyncio.sleep(0.01)


class _SlowFile(io.BytesIO):
    """No real file, and no BytesIO for those who look twice: it is read on a thread."""


class _Repeatable:
    """An iterable that can be read again."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = list(pieces)

    def __iter__(self) -> Any:
        return iter(self._pieces)


def pieces(stage: Stage, items: Iterable[bytes]) -> Any:
    """A one-shot body, whose pieces have to be waited for where that can be."""
    if stage.is_sync:
        return (item for item in items)
    return _SlowPieces(items, stage.callback(_nothing))


class _SlowPieces:
    """An async iterator that waits before each piece. No async generator: see `collect`."""

    def __init__(self, pieces: Iterable[bytes], pause: Callable[[], Awaitable[Any]]) -> None:
        self._pieces = iter(pieces)
        self._pause = pause

    def __aiter__(self) -> _SlowPieces:
        return self

    async def __anext__(self) -> bytes:
        await self._pause()
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration
