"""What a review found broken: one test for each rule that was not kept."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import weakref
from typing import Any

import pytest

import atomhttp.client
from atomhttp import AtomHTTP, AtomHTTPError, AtomHTTPNetworkError, AtomHTTPTimeoutError, SyncAtomHTTP
from support.async_tests import loop_factory
from support.clock import VirtualClockLoop
from support.nginx import Nginx
from support.origin import Answer, Origin, pattern
from support.peer import Conversation, Peer, Script, drain, expect_head, send, send_bytewise, signal, wait

# Seconds that something may take that takes milliseconds: what used to hang or to last fails after them.
SOON = 1.5

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# Content that never comes whole.
PART = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"
SIX_CODINGS = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Encoding: " + b"gzip, " * 5 + b"gzip\r\n\r\nabc"

MIXED_LINES = b"one\r\n\r\n\ntwo\nthree\r\n\r\nf\rour\n\n\r\nlast"


def drip(on: Conversation) -> None:
    """A byte each 20 ms until the client has gone; for a client that stays, it ends one day."""
    with contextlib.suppress(OSError):
        for _ in range(round(2 * SOON / 0.02)):
            if on.peer.ended.wait(0.02):
                break
            on.socket.sendall(b"x")


def in_chunks(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def descriptors() -> set[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
    return found


def lines_of(body: bytes) -> list[str]:
    return [line.removesuffix("\r") for line in body.decode().split("\n")]


def sevens_of(body: bytes) -> list[bytes]:
    return [body[start : start + 7] for start in range(0, len(body), 7)]


async def turn() -> None:
    """Lets every task run until it waits for a socket."""
    for _ in range(10):
        await asyncio.sleep(0)


# A response that is not wanted gives its connection up


def refuse(_status: int) -> bool:
    raise ZeroDivisionError


REFUSALS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "six codings": (SIX_CODINGS, {}),
    "validate_status raises": (PART, {"validate_status": refuse}),
}
WAYS: dict[str, dict[str, Any]] = {
    "stream": {"response_type": "stream"},
    "limited": {"max_content_length": 1_000_000},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_refused_response_gives_its_connection_up(loop_kind: str, refusal: str, way: str) -> None:
    answer, options = REFUSALS[refusal]
    refused: Script = [expect_head(), send(answer), drain()]
    with Peer([refused, refused, refused, [expect_head(), send(OK), drain()]]) as peer:
        async with AtomHTTP(max_connections=1, timeout=SOON) as client:
            for _ in range(3):
                with pytest.raises((AtomHTTPError, ZeroDivisionError)) as caught:
                    await client.get(peer.url, **options, **WAYS[way])
                assert not isinstance(caught.value, AtomHTTPTimeoutError)
            assert (await client.get(peer.url)).text == "ok"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refused_response_gives_its_connection_up_without_a_loop(refusal: str, way: str) -> None:
    answer, options = REFUSALS[refusal]
    refused: Script = [expect_head(), send(answer), drain()]
    scripts = [refused, refused, refused, [expect_head(), send(OK), drain()]]
    with Peer(scripts) as peer, SyncAtomHTTP(max_connections=1, timeout=SOON) as client:
        for _ in range(3):
            with pytest.raises((AtomHTTPError, ZeroDivisionError)) as caught:
                client.get(peer.url, **options, **WAYS[way])
            assert not isinstance(caught.value, AtomHTTPTimeoutError)
        assert client.get(peer.url).text == "ok"


# The total holds for content that is read in pieces

DRIPPING: dict[str, tuple[bytes, dict[str, Any]]] = {
    "limited": (b"200 OK", {"max_content_length": 1_000_000}),
    "refused stream": (b"500 No", {"response_type": "stream", "validate_status": True}),
}


@pytest.mark.parametrize("kind", DRIPPING)
async def test_the_total_bounds_content_that_is_read_in_pieces(loop_kind: str, kind: str) -> None:
    status, options = DRIPPING[kind]
    head = b"HTTP/1.1 " + status + b"\r\nContent-Length: 100000\r\n\r\n"
    with Peer([expect_head(), send(head), drip]) as peer:
        async with AtomHTTP() as client, asyncio.timeout(SOON):
            with pytest.raises(AtomHTTPTimeoutError):
                await client.get(peer.url, timeout=0.2, **options)


@pytest.mark.parametrize("kind", DRIPPING)
def test_the_total_bounds_content_that_is_read_in_pieces_without_a_loop(kind: str) -> None:
    status, options = DRIPPING[kind]
    head = b"HTTP/1.1 " + status + b"\r\nContent-Length: 100000\r\n\r\n"
    with Peer([expect_head(), send(head), drip]) as peer, SyncAtomHTTP() as client:
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            client.get(peer.url, timeout=0.2, **options)
        assert 0.2 <= caught.value.elapsed < SOON


# Idle connections


@pytest.mark.parametrize("first", ["patient", "plain"])
async def test_a_patient_server_does_not_keep_the_connections_of_others(
    virtual_clock: VirtualClockLoop, first: str
) -> None:
    patient_answer = Answer(b"{}", headers=[("Keep-Alive", "timeout=600")])
    with Origin(routes={"/": lambda _: patient_answer}) as patient, Origin() as plain:
        async with AtomHTTP(keep_alive_timeout=4) as client:
            urls = [f"{patient.url}/", f"{plain.url}/bytes/1"]
            for url in urls if first == "patient" else reversed(urls):
                await client.get(url)
            await asyncio.gather(*(client.get(urls[1]) for _ in range(3)))
            (pool,) = client._adapter.pools
            assert pool.idle_count == 1 + plain.connections
            began = virtual_clock.time()
            await asyncio.sleep(4.5)
            assert virtual_clock.time() < began + 5
            assert [each.bucket.route.port for each in pool.connections] == [patient.port]


# Who reads a stream


async def test_closing_a_stream_wakes_who_reads_it(loop_kind: str) -> None:
    with Peer([expect_head(), send(PART), drain()]) as peer:
        async with AtomHTTP() as client:
            stream = (await client.get(peer.url, response_type="stream")).data
            assert await stream.read(3) == b"abc"
            reader = asyncio.create_task(stream.read(1))
            await turn()
            assert not reader.done()
            await stream.aclose()
            async with asyncio.timeout(SOON):
                with pytest.raises(AtomHTTPNetworkError, match="closed"):
                    await reader


async def test_a_stream_survives_a_read_from_another_loop(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP() as client:
        stream = (await client.get(f"{origin.url}/bytes/500000", response_type="stream")).data
        with pytest.raises(RuntimeError, match="another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(stream.read()))
        assert await stream.read() == pattern(500_000)
        await client.get(f"{origin.url}/bytes/1")
    assert origin.connections == 1


async def test_a_stream_has_one_reader_at_a_time(loop_kind: str) -> None:
    go = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
    with Peer([expect_head(), send(head), wait(go), send(b"0123456789"), drain()]) as peer:
        async with AtomHTTP() as client, asyncio.timeout(SOON):
            stream = (await client.get(peer.url, response_type="stream")).data
            first = asyncio.create_task(stream.read(5))
            await turn()
            with pytest.raises(RuntimeError, match="already being read"):
                await stream.read(5)
            go.set()
            assert await first == b"01234"
            assert await stream.read() == b"56789"


def test_a_stream_has_one_reader_at_a_time_among_threads() -> None:
    """Of two threads one is refused, and only that lets the content come that the other one waits for."""
    go = threading.Event()
    outcomes: list[Any] = []
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    script = [expect_head(), send(head), wait(go), send(b"01234"), drain()]
    with Peer(script) as peer, SyncAtomHTTP(timeout=SOON) as client:
        stream = client.get(peer.url, response_type="stream").data

        def read() -> None:
            try:
                outcomes.append(stream.read(5))
            except RuntimeError as error:
                outcomes.append(str(error))
                go.set()
            except AtomHTTPError as error:
                outcomes.append(error)

        threads = [threading.Thread(target=read, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * SOON)
        assert not any(thread.is_alive() for thread in threads)
        refusal, content = outcomes
        assert "already being read" in refusal
        assert content == b"01234"
        assert stream.read() == b""


async def test_a_stream_outlives_its_dropped_client(loop_kind: str, origin: Origin) -> None:
    async def fetch() -> Any:
        return await AtomHTTP().get(f"{origin.url}/bytes/500000", response_type="stream")

    response = await fetch()
    gc.collect()
    assert await response.data.read() == pattern(500_000)
    del response
    gc.collect()
    await turn()


# Pieces and lines of a stream


async def test_many_lines(loop_kind: str, origin: Origin) -> None:
    origin.routes["/lines"] = lambda _: Answer(b"\n" * 300_000)
    async with AtomHTTP(base_url=origin.url, response_type="stream") as client:
        stream = (await client.get("/lines")).data
        assert [line async for line in stream.iter_lines()] == [""] * 300_000


def test_many_lines_without_a_loop(origin: Origin) -> None:
    origin.routes["/lines"] = lambda _: Answer(b"\n" * 300_000)
    with SyncAtomHTTP(base_url=origin.url, response_type="stream") as client:
        assert list(client.get("/lines").data.iter_lines()) == [""] * 300_000


async def test_many_pieces(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url, response_type="stream") as client:
        stream = (await client.get("/bytes/100000")).data
        assert [piece async for piece in stream.iter_bytes(1)] == [bytes([byte]) for byte in pattern(100_000)]


def test_many_pieces_without_a_loop(origin: Origin) -> None:
    with SyncAtomHTTP(base_url=origin.url, response_type="stream") as client:
        pieces = list(client.get("/bytes/100000").data.iter_bytes(1))
        assert pieces == [bytes([byte]) for byte in pattern(100_000)]


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 7, 100])
async def test_pieces_and_lines_of_content_cut_anywhere(loop_kind: str, cut: int) -> None:
    with Peer([*[expect_head(), send_bytewise(in_chunks(MIXED_LINES, cut))] * 2, drain()]) as peer:
        async with AtomHTTP(base_url=peer.url, response_type="stream") as client:
            assert [line async for line in (await client.get("/")).data.iter_lines()] == lines_of(MIXED_LINES)
            assert [piece async for piece in (await client.get("/")).data.iter_bytes(7)] == sevens_of(MIXED_LINES)


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 7, 100])
def test_pieces_and_lines_of_content_cut_anywhere_without_a_loop(cut: int) -> None:
    script = [*[expect_head(), send_bytewise(in_chunks(MIXED_LINES, cut))] * 2, drain()]
    with Peer(script) as peer, SyncAtomHTTP(base_url=peer.url, response_type="stream") as client:
        assert list(client.get("/").data.iter_lines()) == lines_of(MIXED_LINES)
        assert list(client.get("/").data.iter_bytes(7)) == sevens_of(MIXED_LINES)


# What is kept, and what is let go


async def test_the_config_of_a_response_does_not_lead_to_the_defaults(loop_kind: str, origin: Origin) -> None:
    transitional = {"silentJSONParsing": True}
    async with AtomHTTP(transitional=transitional, meta={"m": {"a": 1}}) as client:
        response = await client.get(f"{origin.url}/bytes/1")
        with contextlib.suppress(TypeError):
            response.config.transitional["silentJSONParsing"] = False
        with contextlib.suppress(TypeError):
            response.config.meta["m"]["z"] = 1
        assert client.defaults.transitional["silentJSONParsing"] is True
        assert client.defaults.meta == {"m": {"a": 1}}
        later = await client.get(f"{origin.url}/bytes/1")
        assert later.config.transitional["silentJSONParsing"] is True
        assert later.config.meta == {"m": {"a": 1}}


def test_a_kept_response_does_not_keep_its_loop(loop_kind: str, origin: Origin) -> None:
    client = AtomHTTP(base_url=origin.url)
    kept = []

    async def fetch() -> None:
        kept.append(await client.get("/bytes/7"))

    def run_and_close() -> weakref.ref[asyncio.AbstractEventLoop]:
        loop = loop_factory(loop_kind)()
        loop.run_until_complete(fetch())
        loop.close()
        return weakref.ref(loop)

    loop = run_and_close()

    async def use_again() -> None:
        async with client:
            await fetch()
            gc.collect()
            assert loop() is None

    with asyncio.Runner(loop_factory=loop_factory(loop_kind)) as runner:
        runner.run(use_again())
    assert [response.content for response in kept] == [pattern(7)] * 2


async def test_closing_leaves_no_descriptor_while_the_loop_runs(loop_kind: str, nginx: Nginx) -> None:
    before = descriptors()
    for _ in range(2):
        async with AtomHTTP(base_url=nginx.url) as client:
            await asyncio.gather(*(client.get("/json") for _ in range(3)))
            assert descriptors() > before
        assert descriptors() == before


async def test_closing_leaves_the_other_clients_of_the_loop_alone(loop_kind: str, nginx: Nginx) -> None:
    before = descriptors()
    async with AtomHTTP(base_url=nginx.url) as other:
        assert (await other.get("/json")).data["ok"]
        async with AtomHTTP(base_url=nginx.url) as client:
            await client.get("/json")
        async with asyncio.timeout(SOON):
            assert (await other.get("/json")).data["ok"]
    assert descriptors() == before


def test_a_stream_collected_under_its_pools_lock_does_not_deadlock() -> None:
    """The collector may run anywhere, in the middle of the pool's bookkeeping too."""
    closed = threading.Event()
    scripts: list[Script] = [
        [expect_head(), send(PART), drain(), signal(closed)],
        [expect_head(), send(OK), drain()],
    ]
    with Peer(scripts) as peer, SyncAtomHTTP(max_connections=1, timeout=SOON) as client:
        responses = [client.get(peer.url, response_type="stream")]
        (pool,) = client._adapter.pools

        def drop() -> None:
            with pool._lock:
                responses.clear()
                gc.collect()

        def drop_in_a_thread() -> bool:
            """Whether it came back: a deadlock is then a failure, and no hang."""
            thread = threading.Thread(target=drop, daemon=True)
            thread.start()
            thread.join(SOON)
            if stuck := thread.is_alive():
                pool._lock.release()
                thread.join(SOON)
            return not stuck

        with pytest.warns(ResourceWarning, match=r"test_review\.py"):
            assert drop_in_a_thread()
        assert client.get(peer.url).text == "ok"
        assert closed.wait(SOON)


# Credentials


async def test_userinfo_beats_the_clients_authorization_but_not_the_calls(loop_kind: str, origin: Origin) -> None:
    url = origin.url.replace("//", "//u:p@") + "/echo"
    async with AtomHTTP(headers={"Authorization": "Bearer client"}) as client:
        await client.get(f"{origin.url}/echo")
        await client.get(url)
        await client.get(url, headers={"Authorization": "Bearer call"})
        await client.get(f"{origin.url}/echo")
    sent = [each.get("authorization") for each in origin.requests]
    assert sent == ["Bearer client", "Basic dTpw", "Bearer call", "Bearer client"]


# Defaults


def test_a_default_that_is_set_while_a_plan_is_built_is_not_lost(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = atomhttp.client.Plan
    with SyncAtomHTTP(base_url=origin.url) as client:

        def slow_plan(*arguments: Any) -> Any:
            plan = real(*arguments)
            monkeypatch.setattr(atomhttp.client, "Plan", real)
            # What another thread may do just here, when the plan has read the old value.
            client.defaults.timeout = 9
            return plan

        client.defaults.timeout = 7
        monkeypatch.setattr(atomhttp.client, "Plan", slow_plan)
        client.get("/bytes/1")
        assert atomhttp.client.Plan is real
        assert client.get("/bytes/1").config.timeout == 9
