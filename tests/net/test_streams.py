"""Bytes in and out of TCP and unix sockets: partial writes, back-pressure both ways, and how a socket is set up."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from atomhttp import AtomHTTP, AtomHTTPNetworkError, SyncAtomHTTP
from atomhttp._net.http1 import HIGH_WATER, Http1Connection
from support.certificates import Certificates
from support.nginx import BIG_SIZE, BLOB, Nginx
from support.origin import Origin, pattern
from support.peer import Conversation, Peer, drain, expect_head, reset, send, send_bytewise, wait
from support.server import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def connections(client: AtomHTTP) -> list[Http1Connection]:
    return [each for pool in client._adapter.pools for each in pool.connections]


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


@functools.cache
def large_body() -> bytes:
    return pattern(20_000_000)


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_unix_sockets(loop_kind: str, nginx: Nginx) -> None:
    async with AtomHTTP(socket_path=str(nginx.socket_path)) as client:
        assert (await client.get("http://any.test/json")).data["ok"]
        assert (await client.get("/json")).data["ok"]
        assert (await client.get("http://any.test/blob", response_type="blob")).data == BLOB
        # None on a call uses TCP.
        assert (await client.get(nginx.url + "/json", socket_path=None)).data["ok"]


def test_unix_sockets_without_a_loop(nginx: Nginx) -> None:
    with SyncAtomHTTP(socket_path=nginx.socket_path) as client:
        for _ in range(5):
            assert client.get("http://any.test/json").data["ok"]


async def test_the_host_over_a_unix_socket(tmp_path: Path) -> None:
    with Origin(unix=tmp_path / "s") as origin:
        async with AtomHTTP(socket_path=str(tmp_path / "s")) as client:
            await client.get("/echo")
            await client.get("http://name.test/echo")
        assert [each.get("host") for each in origin.requests] == ["localhost", "name.test"]


async def test_tcp_nodelay_is_set(origin: Origin) -> None:
    async with AtomHTTP() as client:
        await client.get(origin.url + "/bytes/1")
        (connection,) = connections(client)
        sock = connection._stream.sock
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not sock.getblocking()
        assert not os.get_inheritable(sock.fileno())


async def test_a_response_byte_by_byte(loop_kind: str) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nbody\r\n0\r\nA: b\r\n\r\n"
    with Peer([expect_head(), send_bytewise(chunked), expect_head(), send_bytewise(OK), drain()]) as peer:
        async with AtomHTTP() as client:
            response = await client.get(peer.url)
            assert response.text == "body"
            assert response.trailers["a"] == "b"
            assert (await client.get(peer.url)).text == "ok"
    assert peer.connections == 1


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("kind", ["bytes", "iterator"])
async def test_an_upload_is_held_back_by_its_reader(
    loop_kind: str, certificates: Certificates, kind: str, secure: bool
) -> None:
    """20 MB to a peer that does not read: neither side takes more than the kernel's buffers hold."""
    body = large_body()
    given = 0
    go = threading.Event()

    async def pieces() -> Any:
        nonlocal given
        for start in range(0, len(body), 100_000):
            given = start + 100_000
            yield body[start:given]

    def read(on: Conversation) -> None:
        remaining = len(body)
        assert on.stream.read(remaining) == body

    script = [expect_head(), wait(go), read, send(OK), drain()]
    with Peer(script, tls=certificates.server_context() if secure else None) as peer:
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            headers = {"Content-Length": str(len(body))}
            data = body if kind == "bytes" else pieces()
            task = asyncio.create_task(client.post(peer.url, data=data, headers=headers))
            await until(lambda: peer.heads and connections(client) and not connections(client)[0].writable)
            before = resident()
            # The loop is idle now: turn it, and see that nothing moves.
            for _ in range(200):
                await asyncio.sleep(0)
            stuck = given
            for _ in range(200):
                await asyncio.sleep(0)
            assert given == stuck
            assert stuck < 15_000_000
            assert resident() - before < 4_000_000
            assert len(peer.received(0)) < 2_000_000
            go.set()
            assert (await task).text == "ok"
    assert peer.connections == 1


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
async def test_a_download_is_held_back_by_its_consumer(
    loop_kind: str, certificates: Certificates, secure: bool
) -> None:
    sent = 0
    total = 30_000_000

    def pour(on: Conversation) -> None:
        nonlocal sent
        block = b"x" * 100_000
        while sent < total:
            on.socket.sendall(block)
            sent += len(block)

    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total
    script = [expect_head(), send(head), pour, drain()]
    with Peer(script, tls=certificates.server_context() if secure else None) as peer:
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            stream = (await client.get(peer.url, response_type="stream")).data
            first = await stream.read(1)
            (connection,) = connections(client)
            await until(lambda: not connection._mask)
            # The kernel's buffers fill up, then the peer stands still.
            previous = -1
            while sent != previous:
                previous = sent
                await asyncio.sleep(0.05)
            assert sent < 20_000_000
            assert connection.call is not None
            assert connection.call.buffered <= HIGH_WATER + 256 * 1024
            received = len(first)
            while piece := await stream.read(1_000_000):
                received += len(piece)
            assert received == total
            assert not connection.closed


async def test_a_hundred_megabytes_in_little_memory(nginx: Nginx) -> None:
    async with AtomHTTP(base_url=nginx.url) as client:
        await client.get("/json")
        before = resident()
        stream = (await client.get("/big", response_type="stream")).data
        received = 0
        most = 0
        async for piece in stream:
            received += len(piece)
            most = max(most, resident())
        assert received == BIG_SIZE
        assert most - before < 20_000_000


async def test_a_stream_that_is_closed_early_closes_its_connection(loop_kind: str, nginx: Nginx) -> None:
    async with AtomHTTP(base_url=nginx.url) as client:
        async with await client.get("/big", response_type="stream") as response:
            assert len(await response.data.read(10)) == 10
        assert connections(client) == []
        assert (await client.get("/json")).data["ok"]


async def test_a_stream_that_is_read_to_its_end_gives_its_connection_back(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        for path in ("/bytes/500000", "/chunked/500000"):
            stream = (await client.get(path, response_type="stream")).data
            assert await stream.read() == pattern(500_000)
        await client.get("/bytes/1")
    assert origin.connections == 1


async def test_a_forgotten_stream_is_closed_with_a_warning(nginx: Nginx) -> None:
    async with AtomHTTP(base_url=nginx.url) as client:
        responses = [await client.get("/big", response_type="stream")]
        with pytest.warns(ResourceWarning, match="test_streams.py"):
            responses.clear()
        await asyncio.sleep(0)
        assert connections(client) == []


async def test_a_reset_in_the_middle_of_a_body(loop_kind: str) -> None:
    script = [expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), reset()]
    with Peer([script, script]) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPNetworkError) as caught:
                await client.get(peer.url)
            assert caught.value.code in ("ECONNRESET", "ERR_BAD_RESPONSE")
            stream = (await client.get(peer.url, response_type="stream")).data
            with pytest.raises(AtomHTTPNetworkError):
                while await stream.read(4):
                    pass
            assert connections(client) == []
