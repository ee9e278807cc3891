"""The scenarios of HTTP/2, entered into the table of all: calls that share a connection, and what that asks of each."""

from __future__ import annotations

import asyncio
from typing import Any

from atomhttp import AtomHTTP, AtomHTTPNetworkError, AtomHTTPTimeoutError, Timeout
from hostile.http2_suspension_peers import MIDDLING, large, middling
from hostile.suspension_peers import expected
from hostile.suspension_scenarios import (
    LARGE,
    SCENARIOS,
    ask,
    begin_and_leave,
    collect,
    fails,
    pieces,
    scenario,
    stream,
    wait_a_moment,
)
from hostile.suspensions import Stage

__all__ = ["SCENARIOS"]

# In clear; one that takes a single stream at a time; and over TLS.
HTTP2, FEW, HTTPS2 = "http://origin.test:81", "http://origin.test:82", "https://origin.test:445"
ONLY: dict[str, Any] = {"origins": (HTTP2,), "http2": "only"}


# One call


@scenario("HTTP/2", 2, 9, **ONLY)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP2}/plain/a")


@scenario("HTTP/2: HEAD", 2, 7, **ONLY)
async def _(stage: Stage) -> None:
    await ask(stage, "HEAD", f"{HTTP2}/plain/a")


@scenario("HTTP/2 over TLS", 3, 20, origins=(HTTPS2,), http2=True)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTPS2}/plain/a")


@scenario("HTTP/2 on a kept connection", 1, 4, **ONLY)
async def _(stage: Stage) -> None:
    await stage.client.get(f"{HTTP2}/next/x")
    await ask(stage, "GET", f"{HTTP2}/plain/a")


@scenario("HTTP/2 with trailers", 2, 10, **ONLY)
async def _(stage: Stage) -> None:
    response = await ask(stage, "GET", f"{HTTP2}/trailers/a")
    stage.compare(dict(response.trailers), {"x-trailer": "yes"})


@scenario("HTTP/2, an interim response", 2, 10, **ONLY)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP2}/interim/a")


@scenario("HTTP/2, keepAlive off", 2, 10, ends_connections=True, **ONLY)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP2}/plain/a", keep_alive=False)


@scenario("HTTP/2, out of time", 2, 7, may_fail=(AtomHTTPTimeoutError,), **ONLY)
async def _(stage: Stage) -> None:
    await fails(stage, AtomHTTPTimeoutError, stage.client.get(f"{HTTP2}/held/a", timeout=5))


@scenario("HTTP/2, larger than a window", 2, 28, **ONLY)
async def _(stage: Stage) -> None:
    response = await stage.step(stage.client.get(f"{HTTP2}/large/a", response_type="blob"))
    stage.compare(response.data, large("GET /large/a"))


@scenario("HTTP/2: a refused stream is asked for again", 3, 11, repeats=True, **ONLY)
async def _(stage: Stage) -> None:
    await ask(stage, "POST", f"{HTTP2}/refused/a", 3, data=b"abc")


@scenario("HTTP/2: a stream that is broken", 2, 9, **ONLY)
async def _(stage: Stage) -> None:
    await fails(stage, AtomHTTPNetworkError, stage.client.get(f"{HTTP2}/broken/a"))


@scenario(
    "HTTP/2: what comes behind a GOAWAY is asked for elsewhere", 3, 11, repeats=True, ends_connections=True, **ONLY
)
async def _(stage: Stage) -> None:
    await stage.client.get(f"{HTTP2}/elsewhere/x")
    await ask(stage, "POST", f"{HTTP2}/elsewhere/a", 3, data=b"abc")


@scenario("HTTP/2: the last answer of a connection", 2, 10, ends_connections=True, **ONLY)
async def _(stage: Stage) -> None:
    await ask(stage, "GET", f"{HTTP2}/goodbye/a")


# Uploads


@scenario("HTTP/2: POST, small", 2, 9, **ONLY)
async def _(stage: Stage) -> None:
    await ask(stage, "POST", f"{HTTP2}/plain/a", 7, data=b"content")


@scenario("HTTP/2: POST, larger than a window", 3, 38, **ONLY)
async def _(stage: Stage) -> None:
    await ask(stage, "POST", f"{HTTP2}/plain/a", LARGE, data=bytes(LARGE))


@scenario("HTTP/2 over TLS: POST, larger than a window", 4, 67, origins=(HTTPS2,), http2=True)
async def _(stage: Stage) -> None:
    await ask(stage, "POST", f"{HTTPS2}/plain/a", LARGE, data=bytes(LARGE))


@scenario("HTTP/2: POST from an iterator", 11, 20, **ONLY)
async def _(stage: Stage) -> None:
    content = pieces(stage, [b"one", b"two", bytes(70_000)])
    await ask(stage, "POST", f"{HTTP2}/plain/a", 70_006, data=content)


@scenario("HTTP/2, Expect: 100-continue", 3, 12, **ONLY)
async def _(stage: Stage) -> None:
    await ask(stage, "POST", f"{HTTP2}/continue/a", 5, data=b"12345", headers={"Expect": "100-continue"})


@scenario("HTTP/2: an answer before the upload has ended", 3, 10, **ONLY)
async def _(stage: Stage) -> None:
    response = await stage.step(stage.client.post(f"{HTTP2}/early/a", pieces(stage, [bytes(50_000)] * 4)))
    stage.compare(response.status, 413)
    stage.compare(response.data, expected("POST", "/early/a"))


# Streams


@scenario("HTTP/2: a stream, read to its end", 5, 10, **ONLY)
async def _(stage: Stage) -> None:
    stage.compare(await stage.step(stream(stage, f"{HTTP2}/trailers/a")), expected("GET", "/trailers/a").encode())


@scenario("HTTP/2: a stream, larger than a window", 21, 28, **ONLY)
async def _(stage: Stage) -> None:
    stage.compare(await stage.step(stream(stage, f"{HTTP2}/large/a")), large("GET /large/a"))


@scenario("HTTP/2 over TLS: a stream", 5, 20, origins=(HTTPS2,), http2=True)
async def _(stage: Stage) -> None:
    stage.compare(await stage.step(stream(stage, f"{HTTPS2}/plain/a")), expected("GET", "/plain/a").encode())


@scenario("HTTP/2: a large stream with a slow consumer", 28, 27, is_sync=False, **ONLY)
async def _(stage: Stage) -> None:
    pause = stage.callback()

    async def read() -> bytes:
        response = await stage.client.get(f"{HTTP2}/large/a", response_type="stream")
        async with response.data:
            content = b""
            while piece := await response.data.read(100_000):
                content += piece
                await pause()
            return content

    stage.compare(await stage.step(read()), large("GET /large/a"))


@scenario("HTTP/2: a stream that is left half-way", 3, 9, **ONLY)
async def _(stage: Stage) -> None:
    await begin_and_leave(stage, f"{HTTP2}/large/a")


# Neighbours


async def neighbour(stage: Stage, path: str) -> None:
    """A call on the same connection, which nobody breaks off."""
    response = await stage.client.get(f"{HTTP2}{path}", signal=None)
    stage.compare(response.data, expected("GET", path))


async def streaming_neighbour(stage: Stage, path: str) -> None:
    """The same, with a stream that is read in pieces."""
    response = await stage.client.get(f"{HTTP2}{path}", signal=None, response_type="stream")
    stage.compare(b"".join(await collect(response.data)), middling(f"GET {path}"))


async def uploading_neighbour(stage: Stage, path: str) -> None:
    response = await stage.client.post(f"{HTTP2}{path}", bytes(MIDDLING), signal=None)
    stage.compare(response.data, expected("POST", path, MIDDLING))


async def surround(stage: Stage) -> None:
    """Has neighbours of all kinds, on a connection that is there."""
    await stage.client.get(f"{HTTP2}/next/x")
    await stage.hold("/held/n", HTTP2)
    for each in (
        neighbour(stage, "/trailers/n"),
        streaming_neighbour(stage, "/middling/n"),
        uploading_neighbour(stage, "/plain/n"),
    ):
        stage.beside(each)


@scenario("HTTP/2, among others: GET", 1, 13, is_sync=False, **ONLY)
async def _(stage: Stage) -> None:
    await surround(stage)
    await ask(stage, "GET", f"{HTTP2}/plain/a")
    assert len(stage.network.wires) == 1 or stage.network.fault is not None


@scenario("HTTP/2, among others: a stream", 3, 13, is_sync=False, **ONLY)
async def _(stage: Stage) -> None:
    await surround(stage)
    stage.compare(await stage.step(stream(stage, f"{HTTP2}/middling/a")), middling("GET /middling/a"))


@scenario("HTTP/2, among others: POST, larger than a window", 2, 52, is_sync=False, **ONLY)
async def _(stage: Stage) -> None:
    await surround(stage)
    await ask(stage, "POST", f"{HTTP2}/plain/a", LARGE, data=bytes(LARGE))


@scenario("HTTP/2, among others: POST from an iterator", 8, 30, is_sync=False, **ONLY)
async def _(stage: Stage) -> None:
    await surround(stage)
    await ask(stage, "POST", f"{HTTP2}/plain/a", 70_003, data=pieces(stage, [b"one", bytes(70_000)]))


# The pool


@scenario("HTTP/2, waiting for a connection that somebody else makes", 2, 11, is_sync=False, **ONLY)
async def _(stage: Stage) -> None:
    stage.beside(neighbour(stage, "/plain/b"))
    await asyncio.sleep(0)
    await ask(stage, "GET", f"{HTTP2}/plain/a")


@scenario("HTTP/2, making a connection for which others wait", 2, 9, is_sync=False, **ONLY)
async def _(stage: Stage) -> None:
    for name in "bcd":
        stage.network.post(lambda path=f"/plain/{name}": stage.beside(neighbour(stage, path)))
    await ask(stage, "GET", f"{HTTP2}/plain/a")


@scenario(
    "HTTP/2 over TLS, waiting for a connection that somebody else makes",
    2,
    25,
    is_sync=False,
    origins=(HTTPS2,),
    http2=True,
)
async def _(stage: Stage) -> None:
    stage.beside(stage.client.get(f"{HTTPS2}/plain/b", signal=None))
    await asyncio.sleep(0)
    await ask(stage, "GET", f"{HTTPS2}/plain/a")


@scenario("HTTP/2, waiting for a stream", 2, 7, is_sync=False, origins=(FEW,), http2="only", max_connections=1)
async def _(stage: Stage) -> None:
    await stage.hold("/held/b", FEW)
    stage.network.post(stage.network.release)
    await ask(stage, "GET", f"{FEW}/plain/a")


@scenario(
    "HTTP/2, in the middle of those that wait for a stream",
    2,
    12,
    is_sync=False,
    origins=(FEW,),
    http2="only",
    max_connections=1,
)
async def _(stage: Stage) -> None:
    await stage.hold("/held/b", FEW)
    stage.beside(stage.client.get(f"{FEW}/plain/c", signal=None))
    while not stage.client.pool_stats().waiting:
        await wait_a_moment()
    stage.network.post(lambda: stage.beside(stage.client.get(f"{FEW}/plain/d", signal=None)))
    stage.network.post(lambda: stage.network.post(stage.network.release))
    await ask(stage, "GET", f"{FEW}/plain/a")


@scenario("HTTP/2, waiting too long for a stream", 1, 0, is_sync=False, origins=(FEW,), http2="only", max_connections=1)
async def _(stage: Stage) -> None:
    await stage.hold("/held/b", FEW, timeout=None)
    await fails(stage, AtomHTTPTimeoutError, stage.client.get(f"{FEW}/plain/a", timeout=Timeout(20, pool=1)))


@scenario(
    "HTTP/2: another connection has to go",
    2,
    10,
    max_connections=1,
    origins=(HTTP2, FEW),
    http2="only",
    ends_connections=True,
)
async def _(stage: Stage) -> None:
    await stage.client.get(f"{HTTP2}/next/x")
    await ask(stage, "GET", f"{FEW}/plain/a")


# Together


@scenario("HTTP/2: all", 1, 17, is_sync=False, **ONLY)
async def _(stage: Stage) -> None:
    kinds = ("plain", "trailers", "interim")
    responses = await stage.step(AtomHTTP.all([stage.client.get(f"{HTTP2}/{kind}/a") for kind in kinds]))
    for kind, response in zip(kinds, responses, strict=True):
        stage.compare(response.data, expected("GET", f"/{kind}/a"))


@scenario("HTTP/2: all, and one of them fails", 2, 10, is_sync=False, outlasts_abort=True, **ONLY)
async def _(stage: Stage) -> None:
    calls = [stage.client.get(f"{HTTP2}/{kind}/a") for kind in ("held", "broken", "held")]
    await fails(stage, AtomHTTPNetworkError, AtomHTTP.all(calls))
