"""The limits of single phases: each has its name, its limit, and nothing to do with the others.

Those of connecting, writing, headers and body are in test_timeouts.py, on the virtual clock as here; so is the total.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from atomhttp import AtomHTTP, AtomHTTPNetworkError, AtomHTTPTimeoutError, SyncAtomHTTP, Timeout
from support.clock import VirtualClockLoop
from support.origin import Origin, pattern
from support.peer import Conversation, Peer, drain, expect, expect_head, hold, send
from support.scripted_proxy import Reply, ScriptedProxy
from support.server import silent_address
from support.socks import SocksServer

# The wheel's slots, and uvloop's ticks: what a timer may be late.
LATE = 2 / 32
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


async def timed_out(call: Any) -> AtomHTTPTimeoutError:
    with pytest.raises(AtomHTTPTimeoutError) as caught:
        await call
    return caught.value


def check(error: AtomHTTPTimeoutError, phase: str, limit: float, elapsed: float | None = None) -> None:
    assert (error.phase, error.limit, error.code) == (phase, limit, "ECONNABORTED")
    expected = limit if elapsed is None else elapsed
    assert expected <= error.elapsed <= expected + LATE
    assert phase in str(error)


async def never(*_: Any) -> Any:
    await asyncio.Event().wait()


# Waiting for a connection


async def test_pool(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url, max_connections=1) as client:
        held = asyncio.create_task(client.get("/delay/60", timeout=None))
        await asyncio.sleep(1)
        error = await timed_out(client.get("/bytes/1", timeout=Timeout(pool=3)))
        check(error, "pool", 3)
        assert "1 connections busy of 1, 0 of them unread streams" in str(error)
        # Whichever comes first.
        check(await timed_out(client.get("/bytes/1", timeout=Timeout(total=2, pool=3))), "pool", 2)
        check(await timed_out(client.get("/bytes/1", timeout=Timeout(total=5, pool=3))), "pool", 3)
        # Of no concern to it.
        waiting = asyncio.create_task(client.get("/bytes/1", timeout=Timeout(connect=1, read=1, write=1)))
        await asyncio.sleep(50)
        assert not waiting.done()
        assert client.pool_stats() == (1, 0, 1, 0)
        origin.release.set()
        assert (await waiting).ok
        assert (await held).ok


async def test_the_pools_limit_is_over_with_the_wait(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        task = asyncio.create_task(client.get("/delay/60", timeout=Timeout(pool=1)))
        await asyncio.sleep(50)
        assert not task.done()
        origin.release.set()
        assert (await task).ok


# Resolving


async def test_dns(virtual_clock: VirtualClockLoop) -> None:
    async with AtomHTTP(resolver=never) as client:
        check(await timed_out(client.get("http://a.test/", timeout=Timeout(connect=5))), "dns", 5)
        check(await timed_out(client.get("http://a.test/", timeout=4)), "dns", 4)
        check(await timed_out(client.get("http://a.test/", timeout=Timeout(total=2, connect=5))), "dns", 2)
        task = asyncio.create_task(client.get("http://a.test/", timeout=Timeout(read=1, write=1, pool=1)))
        await asyncio.sleep(50)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client.pool_stats() == (0, 0, 0, 0)


async def test_a_resolvers_own_timeout_is_its_own(virtual_clock: VirtualClockLoop) -> None:
    async def resolve(host: str, port: int) -> Any:
        async with asyncio.timeout(2):
            await never()

    async with AtomHTTP(resolver=resolve) as client:
        with pytest.raises(TimeoutError) as caught:
            await client.get("http://a.test/", timeout=Timeout(connect=5))
        assert type(caught.value) is TimeoutError
        check(await timed_out(client.get("http://a.test/", timeout=Timeout(connect=1))), "dns", 1)


async def test_a_resolver_that_comes_in_time_leaves_the_rest_of_the_limit(virtual_clock: VirtualClockLoop) -> None:
    """Resolving, connecting and the handshake share `connect`."""

    async def resolve(host: str, port: int) -> Any:
        await asyncio.sleep(3)
        return ["127.0.0.1"]

    with silent_address() as (_, port):
        async with AtomHTTP(resolver=resolve) as client:
            began = virtual_clock.time()
            error = await timed_out(client.get(f"http://a.test:{port}/", timeout=Timeout(connect=5)))
            assert (error.phase, error.limit) == ("connect", 5)
            assert 5 <= virtual_clock.time() - began <= 5 + LATE
    with Peer([expect(5), hold()]) as peer:
        async with AtomHTTP(resolver=resolve) as client:
            began = virtual_clock.time()
            error = await timed_out(client.get(f"https://a.test:{peer.port}/", timeout=Timeout(connect=5)))
            assert (error.phase, error.limit) == ("tls", 5)
            assert 5 <= virtual_clock.time() - began <= 5 + LATE


# The handshake


async def test_tls(virtual_clock: VirtualClockLoop) -> None:
    with Peer([expect(5), hold()], repeat=True) as peer:
        url = f"https://127.0.0.1:{peer.port}/"
        async with AtomHTTP() as client:
            check(await timed_out(client.get(url, timeout=Timeout(connect=3))), "tls", 3)
            check(await timed_out(client.get(url, timeout=7)), "tls", 7)
            check(await timed_out(client.get(url, timeout=Timeout(total=2, connect=6))), "tls", 2)
            task = asyncio.create_task(client.get(url, timeout=Timeout(read=1, write=1, pool=1)))
            await asyncio.sleep(50)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert client.pool_stats() == (0, 0, 0, 0)


# Through proxies


async def test_a_proxy_that_does_not_answer(virtual_clock: VirtualClockLoop) -> None:
    with ScriptedProxy(replies=[Reply(then="hold")]) as proxy, SocksServer(instead={"method": b"\x05"}) as socks:
        for kind, port in (("http", proxy.port), ("socks5h", socks.port)):
            async with AtomHTTP(proxy=f"{kind}://127.0.0.1:{port}") as client:
                check(await timed_out(client.get("https://a.test/", timeout=Timeout(connect=3))), "connect", 3)
                check(await timed_out(client.get("https://a.test/", timeout=4)), "connect", 4)
                assert client.pool_stats() == (0, 0, 0, 0)


# What each of them is not about


async def test_a_slow_answer_is_no_matter_of_the_other_phases(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        task = asyncio.create_task(client.get("/delay/600", timeout=Timeout(connect=1, write=1, pool=1)))
        await asyncio.sleep(100)
        assert not task.done()
        origin.release.set()
        assert (await task).data == "late"


async def test_a_slow_body_is_no_matter_of_the_other_phases(virtual_clock: VirtualClockLoop) -> None:
    go = threading.Event()

    def pause(on: Conversation) -> None:
        on.wait(go)

    with Peer([expect_head(), send(HEAD + b"01"), pause, send(b"23456789"), drain()]) as peer:
        async with AtomHTTP() as client:
            task = asyncio.create_task(client.get(peer.url, timeout=Timeout(connect=1, write=1, pool=1)))
            await asyncio.sleep(100)
            assert not task.done()
            go.set()
            assert (await task).content == b"0123456789"


async def test_a_slow_reader_is_no_matter_of_the_other_phases(virtual_clock: VirtualClockLoop) -> None:
    """An upload that is not taken: only `write`, and the total, are about that."""
    go = threading.Event()

    def pause(on: Conversation) -> None:
        on.wait(go)

    with Peer([expect_head(), pause, expect(20_000_000), send(HEAD + b"0123456789"), drain()]) as peer:
        async with AtomHTTP() as client:
            options = {"data": pattern(20_000_000), "timeout": Timeout(connect=1, read=1, pool=1)}
            task = asyncio.create_task(client.post(peer.url, **options))
            await asyncio.sleep(100)
            assert not task.done()
            go.set()
            assert (await task).content == b"0123456789"


# Every phase once, by the real clock


def in_the_pool(client: Any, stack: contextlib.ExitStack) -> tuple[str, dict[str, Any]]:
    peer = stack.enter_context(Peer([expect_head(), send(HEAD), drain()]))
    client.defaults.max_connections = 1
    stack.callback(client.get(peer.url, response_type="stream", timeout=None).data.close)
    return peer.url, {}


def in_a_handshake(client: Any, stack: contextlib.ExitStack) -> tuple[str, dict[str, Any]]:
    peer = stack.enter_context(Peer([expect(5), hold()], repeat=True))
    with contextlib.suppress(AtomHTTPNetworkError):
        # The first context of a process takes its time, which is of no interest here.
        client.get("https://127.0.0.1:1/")
    return f"https://127.0.0.1:{peer.port}/", {}


def while_connecting(client: Any, stack: contextlib.ExitStack) -> tuple[str, dict[str, Any]]:
    host, port = stack.enter_context(silent_address())
    return f"http://{host}:{port}/", {}


def at_a_peer(*script: Any, **options: Any) -> Callable[..., tuple[str, dict[str, Any]]]:
    def stage(client: Any, stack: contextlib.ExitStack) -> tuple[str, dict[str, Any]]:
        peer = stack.enter_context(Peer([expect_head(), *script, hold()], repeat=True))
        return peer.url, options

    return stage


STAGES = {
    "pool": ("pool", "pool", in_the_pool),
    "connect": ("connect", "connect", while_connecting),
    "tls": ("tls", "connect", in_a_handshake),
    "write": ("write", "write", at_a_peer(method="PUT", data=bytes(50_000_000))),
    "headers": ("headers", "read", at_a_peer()),
    "half a head": ("headers", "read", at_a_peer(send(HEAD[:20]))),
    "body": ("body", "read", at_a_peer(send(HEAD + b"01"))),
    "body in pieces": ("body", "read", at_a_peer(send(HEAD + b"01"), maxContentLength=100)),
}


@pytest.fixture
def client() -> Iterator[SyncAtomHTTP]:
    with SyncAtomHTTP() as client:
        yield client


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", ["phase", "total"])
def test_by_the_real_clock(client: SyncAtomHTTP, stage: str, kind: str) -> None:
    phase, name, enter = STAGES[stage]
    # The total runs from the start: there has to be time left when the phase is reached, on a busy machine too.
    limit = 0.1 if kind == "phase" else 0.3
    timeout = Timeout(**{name: limit}) if kind == "phase" else Timeout(limit)
    with contextlib.ExitStack() as stack:
        url, options = enter(client, stack)
        began = time.monotonic()
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            client.request({"url": url, "timeout": timeout, **options})
        took = time.monotonic() - began
        error = caught.value
        assert (error.phase, error.limit) == (phase, limit)
        assert limit <= error.elapsed <= took < 5
