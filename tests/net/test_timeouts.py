"""Deadlines: every phase has its name, nothing is early, and only waiting is counted."""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from typing import Any

import pytest

from atomhttp import AtomHTTP, AtomHTTPTimeoutError, Timeout
from atomhttp._net.drivers import aio
from support.clock import VirtualClockLoop
from support.origin import Origin, pattern
from support.peer import Conversation, Peer, drain, expect_head, hold, send
from support.server import PATIENCE, silent_address

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# The wheel's slots: what a timer may be late.
LATE = 2 / 32


def check(error: AtomHTTPTimeoutError, phase: str, limit: float, elapsed: float | None = None) -> None:
    assert error.phase == phase
    assert error.limit == limit
    assert error.code == "ECONNABORTED"
    assert isinstance(error, TimeoutError)
    expected = limit if elapsed is None else elapsed
    assert expected <= error.elapsed <= expected + LATE
    assert phase in str(error)
    assert error.url.startswith("http")


async def timed_out(call: Any) -> AtomHTTPTimeoutError:
    with pytest.raises(AtomHTTPTimeoutError) as caught:
        await call
    return caught.value


# Phases


async def test_connect(virtual_clock: VirtualClockLoop) -> None:
    with silent_address() as (host, port):
        async with AtomHTTP() as client:
            check(await timed_out(client.get(f"http://{host}:{port}/", timeout=Timeout(connect=3))), "connect", 3)
            check(await timed_out(client.get(f"http://{host}:{port}/", timeout=7)), "connect", 7)
            # Whichever comes first.
            both = Timeout(total=4, connect=6)
            check(await timed_out(client.get(f"http://{host}:{port}/", timeout=both)), "connect", 4)
            assert client._adapter.pools[0].open_count == 0


async def test_headers(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        check(await timed_out(client.get("/delay/60", timeout=Timeout(read=2))), "headers", 2)
        check(await timed_out(client.get("/delay/60", timeout=5)), "headers", 5)
        assert client._adapter.pools[0].open_count == 0


async def test_the_default_is_thirty_seconds(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        check(await timed_out(client.get("/delay/60")), "headers", 30)


async def test_none_and_zero_wait_for_ever(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        for timeout in (None, 0):
            task = asyncio.create_task(client.get("/delay/60", timeout=timeout))
            await asyncio.sleep(100_000)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_body(virtual_clock: VirtualClockLoop) -> None:
    script = [expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), hold()]
    with Peer([script, script]) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.get(peer.url, timeout=Timeout(read=2))
            assert caught.value.limit == 2
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.get(peer.url, timeout=6)
            assert caught.value.limit == 6
            assert client._adapter.pools[0].open_count == 0


async def test_write(virtual_clock: VirtualClockLoop) -> None:
    with Peer([expect_head(), hold(), drain()]) as peer:
        async with AtomHTTP() as client:
            error = await timed_out(client.post(peer.url, data=pattern(20_000_000), timeout=Timeout(write=3)))
            check(error, "write", 3)
            assert client._adapter.pools[0].open_count == 0


class Tap:
    """A peer that reads, or sends, a piece whenever the test says so."""

    def __init__(self) -> None:
        self._turns = threading.Semaphore(0)
        self._done = threading.Semaphore(0)

    async def turn(self) -> None:
        self._turns.release()
        while not self._done.acquire(blocking=False):
            await asyncio.sleep(0)

    def read(self, count: int, size: int) -> Any:
        def read(on: Conversation) -> None:
            for _ in range(count):
                assert self._turns.acquire(timeout=PATIENCE)
                on.stream.read(size)
                self._done.release()

        return read

    def send(self, pieces: list[bytes]) -> Any:
        def send(on: Conversation) -> None:
            for piece in pieces:
                assert self._turns.acquire(timeout=PATIENCE)
                on.socket.sendall(piece)
                self._done.release()

        return send


async def test_writing_slowly_is_not_a_stall(virtual_clock: VirtualClockLoop) -> None:
    """`write` is the longest time in which the peer takes no byte, not the time for all of them."""
    body = pattern(24_000_000)
    tap = Tap()
    with Peer([expect_head(), tap.read(6, 3_500_000), drain()]) as peer:
        async with AtomHTTP() as client:
            task = asyncio.create_task(client.post(peer.url, data=body, timeout=Timeout(write=3)))
            for _ in range(6):
                await asyncio.sleep(2)
                assert not task.done()
                await tap.turn()
            assert virtual_clock.time() >= 12
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_reading_slowly_is_not_a_stall(virtual_clock: VirtualClockLoop) -> None:
    """`read` is the longest gap: one byte every two seconds is slow, but alive."""
    tap = Tap()
    pieces = [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 4\r\n\r\n", b"b", b"o", b"d", b"y"]
    with Peer([expect_head(), tap.send(pieces), drain()]) as peer:
        async with AtomHTTP() as client:
            task = asyncio.create_task(client.get(peer.url, timeout=Timeout(read=3)))
            for _ in pieces:
                await asyncio.sleep(2)
                await tap.turn()
            assert (await task).text == "body"
            assert virtual_clock.time() >= 12


async def test_the_total_is_not_moved_by_a_slow_peer(virtual_clock: VirtualClockLoop) -> None:
    """One byte a second, for ever: the total runs on."""
    tap = Tap()
    with Peer([expect_head(), tap.send([b"H", b"T", b"T", b"P"]), hold()]) as peer:
        async with AtomHTTP() as client:
            task = asyncio.create_task(client.get(peer.url, timeout=Timeout(total=5, read=3)))
            for _ in range(4):
                await asyncio.sleep(1)
                await tap.turn()
            check(await timed_out(task), "headers", 5)


async def test_the_total_covers_waiting_for_a_connection(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url, max_connections=1) as client:
        held = asyncio.create_task(client.get("/delay/60", timeout=None))
        await asyncio.sleep(1)
        check(await timed_out(client.get("/bytes/1", timeout=3)), "pool", 3)
        origin.release.set()
        await held


async def test_many_deadlines_at_once_are_each_kept(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    limits = [0.5 + number / 7 for number in range(40)]
    async with AtomHTTP(base_url=origin.url) as client:
        errors = await asyncio.gather(*(timed_out(client.get("/delay/60", timeout=each)) for each in limits))
        for limit, error in zip(limits, errors, strict=True):
            check(error, "headers", limit)
        assert aio.current().reactor.timer_count == 0


async def test_a_kept_deadline_leaves_no_timer(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url, keep_alive=False) as client:
        for _ in range(5):
            await client.get("/bytes/1")
        assert aio.current().reactor.timer_count == 0


# Streams


async def test_a_plain_number_is_the_gap_of_a_stream(virtual_clock: VirtualClockLoop) -> None:
    """Total until the headers, then the longest gap: a stream may take longer than that altogether."""
    tap = Tap()
    pieces = [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *(b"x" for _ in range(5))]
    with Peer([expect_head(), tap.send(pieces), hold()]) as peer:
        async with AtomHTTP() as client:
            opened = asyncio.create_task(client.get(peer.url, timeout=3, response_type="stream"))
            await asyncio.sleep(2)
            await tap.turn()
            stream = (await opened).data
            for _ in range(5):
                read = asyncio.create_task(stream.read(1))
                await asyncio.sleep(2)
                await tap.turn()
                assert await read == b"x"
            assert virtual_clock.time() >= 12
            error = await timed_out(stream.read(1))
            assert (error.phase, error.limit) == ("body", 3)
            assert client._adapter.pools[0].open_count == 0


async def test_the_headers_of_a_stream_come_within_the_number(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        check(await timed_out(client.get("/delay/60", timeout=3, response_type="stream")), "headers", 3)


async def test_a_total_bounds_a_stream_too(virtual_clock: VirtualClockLoop) -> None:
    tap = Tap()
    pieces = [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *(b"x" for _ in range(3))]
    with Peer([expect_head(), tap.send(pieces), hold()]) as peer:
        async with AtomHTTP() as client:
            opened = asyncio.create_task(client.get(peer.url, timeout=Timeout(total=7), response_type="stream"))
            await asyncio.sleep(1)
            await tap.turn()
            stream = (await opened).data
            for _ in range(3):
                read = asyncio.create_task(stream.read(1))
                await asyncio.sleep(1)
                await tap.turn()
                assert await read == b"x"
            error = await timed_out(stream.read(1))
            assert (error.phase, error.limit) == ("body", 7)
            assert 7 <= virtual_clock.time() <= 7 + LATE


async def test_a_consumer_that_takes_its_time_is_not_timed_out(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    """No gap is counted while it is the consumer who holds back."""
    async with AtomHTTP(base_url=origin.url, timeout=3) as client:
        stream = (await client.get("/bytes/3000000", response_type="stream")).data
        received = b""
        while piece := await stream.read(500_000):
            received += piece
            await asyncio.sleep(100)
        assert received == pattern(3_000_000)


async def test_a_body_that_takes_its_time_is_not_a_write_stall(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    """What the caller's own iterator waits for is the caller's time: only the total counts it."""

    async def slow() -> Any:
        for _ in range(3):
            await asyncio.sleep(10)
            yield b"x"

    async with AtomHTTP(base_url=origin.url) as client:
        response = await client.post("/echo", data=slow(), timeout=Timeout(write=2, read=2, total=60))
        assert response.data["body"] == "xxx"
        assert virtual_clock.time() >= 30
        error = await timed_out(client.post("/echo", data=slow(), timeout=Timeout(total=15)))
        assert error.limit == 15


# The real clock, once


@pytest.mark.parametrize("limit", [0.03, 0.1, 0.25])
async def test_never_early_on_the_real_clock(loop_kind: str, origin: Origin, limit: float) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        await client.get("/bytes/1")
        for _ in range(3):
            began = time.monotonic()
            error = await timed_out(client.get("/delay/60", timeout=limit))
            elapsed = time.monotonic() - began
            assert elapsed >= limit
            assert error.elapsed >= limit
            assert elapsed < limit + 1


def test_the_error_survives_a_copy() -> None:
    error = AtomHTTPTimeoutError("late", phase="dns", limit=1.0, elapsed=1.5, url="http://a.test/")
    other = copy.copy(error)
    assert (other.phase, other.limit, other.elapsed, other.url) == ("dns", 1.0, 1.5, "http://a.test/")
