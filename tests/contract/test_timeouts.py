"""`timeout` (contract: Limits and timeouts)."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from atomhttp import AtomHTTP, AtomHTTPTimeoutError, Timeout
from contract.flavours import Api, collect, wait
from support.origin import Origin
from support.peer import Peer, drain, expect_head, hold, send, signal
from support.peer import wait as wait_step
from support.server import silent_address

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


async def test_a_timeout_error_says_phase_limit_elapsed_and_url(client: Any, origin: Origin) -> None:
    url = f"http://user:s3cret@127.0.0.1:{origin.port}/delay/9?token=s3cret&a=1"
    began = time.monotonic()
    with pytest.raises(AtomHTTPTimeoutError) as caught:
        await client.get(url, timeout=0.1)
    took = time.monotonic() - began
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert (error.code, error.phase, error.limit) == ("ECONNABORTED", "headers", 0.1)
    # Never early.
    assert 0.1 <= error.elapsed <= took < 5
    assert error.url == f"{origin.url}/delay/9?token=[redacted]&a=1"
    assert error.url in str(error)
    assert "0.1" in str(error)
    assert "s3cret" not in f"{error} {error!r} {error.to_dict()}"
    assert error.config.timeout == 0.1


@pytest.mark.parametrize(
    "timeout", [0.1, timedelta(milliseconds=100), Timeout(0.1), {"total": 0.1}, {"read": 0.1}, Timeout(9, read=0.1)]
)
async def test_every_kind_of_timeout_ends_the_call(client: Any, origin: Origin, timeout: Any) -> None:
    with pytest.raises(AtomHTTPTimeoutError) as caught:
        await client.get(f"{origin.url}/delay/9", timeout=timeout)
    assert caught.value.limit == 0.1
    assert caught.value.phase == "headers"


async def test_the_clients_timeout_holds_for_its_calls(api: Api, origin: Origin) -> None:
    client = api.client(timeout=0.1)
    with pytest.raises(AtomHTTPTimeoutError):
        await client.get(f"{origin.url}/delay/9")
    client.defaults.timeout = None
    origin.release.set()
    assert (await client.get(f"{origin.url}/delay/9")).data == "late"


async def test_connecting_may_time_out(client: Any) -> None:
    with silent_address() as (host, port):
        for timeout in (0.1, Timeout(connect=0.1)):
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.get(f"http://{host}:{port}/", timeout=timeout)
            assert (caught.value.phase, caught.value.limit) == ("connect", 0.1)


async def test_the_body_may_time_out(client: Any) -> None:
    for timeout in (0.1, Timeout(read=0.1)):
        with Peer([expect_head(), send(HEAD + b"01"), hold()]) as peer:
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.get(peer.url, timeout=timeout)
            assert caught.value.limit == 0.1


async def test_writing_may_time_out(client: Any) -> None:
    with Peer([expect_head(), hold()]) as peer, pytest.raises(AtomHTTPTimeoutError) as caught:
        await client.post(peer.url, b"x" * 50_000_000, timeout=Timeout(write=0.1))
    assert caught.value.phase == "write"


async def test_a_plain_number_bounds_a_stream_until_its_headers(client: Any, origin: Origin) -> None:
    with pytest.raises(AtomHTTPTimeoutError) as caught:
        await client.get(f"{origin.url}/delay/9", timeout=0.1, response_type="stream")
    assert caught.value.phase == "headers"


async def test_a_plain_number_is_then_the_longest_gap_of_a_stream(client: Any) -> None:
    with Peer([expect_head(), send(HEAD + b"01"), hold()]) as peer:
        stream = (await client.get(peer.url, timeout=0.1, response_type="stream")).data
        assert await wait(stream.read(2)) == b"01"
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await wait(stream.read(2))
        assert (caught.value.phase, caught.value.limit) == ("body", 0.1)


async def test_no_gap_is_counted_while_the_consumer_holds_back(client: Any) -> None:
    sent = threading.Event()
    with Peer([expect_head(), send(HEAD + b"01"), wait_step(sent), send(b"23456789"), drain()]) as peer:
        stream = (await client.get(peer.url, timeout=0.2, response_type="stream")).data
        assert await wait(stream.read(2)) == b"01"
        held_until = time.monotonic() + 0.3
        while time.monotonic() < held_until:  # the consumer is busy for longer than the gap
            pass
        sent.set()
        assert await wait(stream.read()) == b"23456789"
        await client.close()


async def test_a_timeouts_total_bounds_a_stream_too(client: Any) -> None:
    with Peer([expect_head(), send(HEAD + b"01"), hold()]) as peer:
        response = await client.get(peer.url, timeout=Timeout(0.2), response_type="stream")
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await collect(response.data)
        assert (caught.value.phase, caught.value.limit) == ("body", 0.2)


async def test_a_pool_wait_that_times_out_says_what_is_busy(api: Api, client: Any) -> None:
    client.defaults.maxConnections = 1
    with Peer([expect_head(), send(HEAD + b"0"), drain()]) as peer:
        stream = (await client.get(peer.url, response_type="stream")).data
        for timeout in (0.1, Timeout(pool=0.1)):
            with pytest.raises(AtomHTTPTimeoutError, match=r"1 .*busy.*1 .*unread stream") as caught:
                await client.get(peer.url, timeout=timeout)
            assert (caught.value.phase, caught.value.limit) == ("pool", 0.1)
        await wait(stream.close() if api.is_sync else stream.aclose())


async def test_a_body_iterator_that_stalls_is_timed_out(origin: Origin, loop_kind: str) -> None:
    async def stall() -> Any:
        yield b"a"
        await asyncio.Event().wait()

    async with AtomHTTP() as client:
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.post(f"{origin.url}/echo", stall(), timeout=0.1)
    assert caught.value.limit == 0.1


async def test_a_timeout_leaves_the_client_usable(client: Any, origin: Origin) -> None:
    with pytest.raises(AtomHTTPTimeoutError):
        await client.get(f"{origin.url}/delay/9", timeout=0.05)
    assert (await client.get(f"{origin.url}/echo", timeout=5)).status == 200


async def test_a_default_timeout_of_30_seconds_ends_the_call_then(virtual_clock: Any) -> None:
    with Peer([expect_head(), hold()]) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.get(peer.url)
    assert caught.value.limit == 30
    assert 30 <= virtual_clock.time() < 31


async def test_timeout_none_waits(client: Any) -> None:
    asked = threading.Event()
    with Peer([expect_head(), signal(asked), wait_step(asked), send(HEAD + b"0123456789"), drain()]) as peer:
        for_ever = Timeout()
        assert (for_ever.total, for_ever.read) == (None, None)
        assert (await client.get(peer.url, timeout=None)).content == b"0123456789"
        await client.close()


def test_a_timeout_cannot_be_changed_and_tells_what_it_is() -> None:
    timeout = Timeout(5, read=1)
    with pytest.raises(AttributeError):
        timeout.total = 6  # type: ignore[misc]
    assert repr(timeout) == "Timeout(total=5, read=1)"
    assert timeout == Timeout(5, read=1)
    assert hash(timeout) == hash(Timeout(5, read=1))
    assert timeout != Timeout(5)
