"""How exchanges, streams and connections of HTTP/2 end: resets, refusals, farewells, settings in between, and loss."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from atomhttp import (
    AbortController,
    AtomHTTP,
    AtomHTTPCanceledError,
    AtomHTTPError,
    AtomHTTPNetworkError,
    AtomHTTPTimeoutError,
    Timeout,
)
from atomhttp._pipeline.resend import MAX_FAREWELLS
from contract.flavours import wait
from support.clock import VirtualClockLoop
from support.http2_only import opened
from support.http2_peer import (
    HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    PING,
    SETTINGS,
    Code,
    Http2Peer,
    Reply,
    Request,
    change_settings,
    data,
    expect_close,
    expect_content,
    expect_frame,
    expect_preface,
    expect_request,
    expect_requests,
    expect_rst,
    frame,
    goaway,
    grant,
    greet,
    headers,
    ping,
    read_frame,
    read_on,
    respond,
    response,
    rst,
    send_as_answer,
    serve,
    session_of,
    settings,
)
from support.peer import Conversation, Step, close, end, hold, reset, send, signal
from support.peer import wait as wait_for
from support.server import PATIENCE

MIB = 1024 * 1024
both = pytest.mark.parametrize("kind", ["async", "sync"])


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


# The caller gives up: RST_STREAM(CANCEL), and the connection lives


async def cancel(client: AtomHTTP, url: str, asked: Callable[[], Any]) -> None:
    task = asyncio.create_task(client.get(url))
    await until(asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def abort(client: AtomHTTP, url: str, asked: Callable[[], Any]) -> None:
    controller = AbortController()
    task = asyncio.create_task(client.get(url, signal=controller.signal))
    await until(asked)
    controller.abort()
    with pytest.raises(AtomHTTPCanceledError):
        await task


async def time_out(client: AtomHTTP, url: str, asked: Callable[[], Any]) -> None:
    with pytest.raises(AtomHTTPTimeoutError):
        await client.get(url, timeout=0.05)


@pytest.mark.parametrize("give_up", [cancel, abort, time_out])
@pytest.mark.parametrize("state", ["asked", "begun"])
async def test_who_gives_up_resets_the_stream_alone(give_up: Callable[..., Any], state: str) -> None:
    begun, alive = threading.Event(), threading.Event()
    script = [greet(), expect_request()]
    if state == "begun":
        script.append(respond(200, [(b"content-length", b"5")], b"he", end=False))
    script.append(signal(begun))
    if give_up is time_out:
        # It has been silent for most of that: it is asked whether it is there.
        script += [expect_frame(PING), answer_ping()]
    script += [expect_rst(1, Code.CANCEL), signal(alive), serve()]
    with Http2Peer(script) as peer:
        async with opened() as client:
            await give_up(client, f"{peer.url}/a", begun.is_set)
            await until(alive.is_set)
            for number in range(3):
                assert (await client.get(f"{peer.url}/{number}")).data == f"GET /{number}"
            assert client.pool_stats()[:3] == (1, 1, 0)
        assert peer.connections == 1


@both
async def test_who_comes_after_a_timeout_does_not_wait_for_a_silent_peer(kind: str) -> None:
    """TCP does not tell that nobody is there any more: each further call would find out by its own timeout."""
    with Http2Peer([[greet(), expect_request(), read_on()], [greet(), serve()]]) as peer:
        async with opened(kind) as client:
            with pytest.raises(AtomHTTPTimeoutError):
                await wait(client.get(f"{peer.url}/a", timeout=0.05))
            assert (await wait(client.get(f"{peer.url}/b"))).data == "GET /b"
            assert client.pool_stats()[:3] == (1, 1, 0)
    assert peer.connections == 2


async def test_neighbours_of_a_call_that_timed_out_are_not_disturbed_and_new_ones_wait_for_nobody() -> None:
    first, late = threading.Event(), threading.Event()
    script = [greet(), expect_requests(2), signal(first), expect_frame(PING), wait_for(late), answer_ping()]
    script += [expect_rst(3), serve()]
    with Http2Peer([script, [greet(), serve()]]) as peer:
        async with opened() as client:
            patient = asyncio.create_task(client.get(f"{peer.url}/patient"))
            await until(lambda: bool(peer.requests))
            with pytest.raises(AtomHTTPTimeoutError):
                await client.get(f"{peer.url}/hurried", timeout=0.2)
            await until(first.is_set)
            assert (await client.get(f"{peer.url}/new")).data == "GET /new"
            assert client.pool_stats().open == 2
            late.set()
            assert (await patient).data == "GET /patient"
    assert peer.paths == ["/patient", "/hurried", "/new"]
    assert len(peer.sessions[0].requests) == 2


@pytest.mark.parametrize("waiting", [1, 2, 5])
async def test_those_who_wait_for_a_place_get_it_when_a_silent_peer_is_given_up(waiting: int) -> None:
    """And do not hand a promise of it to each other for ever."""
    dead = [greet({MAX_CONCURRENT_STREAMS: 1}), expect_request(), read_on()]
    with Http2Peer([dead, [greet({MAX_CONCURRENT_STREAMS: 1}), serve()]]) as peer:
        async with opened(maxConnectionsPerOrigin=1) as client:
            first = asyncio.create_task(client.get(f"{peer.url}/a", timeout=0.3))
            await until(lambda: bool(peer.requests))
            others = [asyncio.create_task(client.get(f"{peer.url}/{number}")) for number in range(waiting)]
            with pytest.raises(AtomHTTPTimeoutError):
                await first
            assert [(await each).data for each in others] == [f"GET /{number}" for number in range(waiting)]
    assert peer.connections == 2


async def test_who_hoped_for_a_stream_of_a_connection_that_takes_but_one_gets_another_connection() -> None:
    """One is what is assumed until the server has said it: that it says the same is news."""

    def answer(request: Request) -> Reply | None:
        return None if request.path == b"/held" else Reply(body=b"ok")

    with Http2Peer([greet({MAX_CONCURRENT_STREAMS: 1}), serve(answer)], repeat=True) as peer:
        async with opened() as client:
            first = asyncio.create_task(client.get(f"{peer.url}/held"))
            others = await asyncio.gather(*(client.get(f"{peer.url}/{number}") for number in range(3)))
            assert [each.status for each in others] == [200] * 3
            assert not first.done()
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)


async def test_a_gap_in_a_long_response_raises_a_doubt_too(virtual_clock: VirtualClockLoop) -> None:
    go = threading.Event()
    begun = [respond(200, [], b"he", end=False), wait_for(go), send_as_answer(data(1, b"x")), read_on()]
    with Http2Peer([[greet(), expect_request(), *begun], [greet(), serve()]]) as peer:
        async with opened(timeout=Timeout(60, read=6)) as client:
            asked = asyncio.create_task(client.get(f"{peer.url}/a"))
            await asyncio.sleep(5)
            go.set()
            with pytest.raises(AtomHTTPTimeoutError):
                await asked
            assert (await client.get(f"{peer.url}/b")).data == "GET /b"


async def test_a_neighbour_is_not_disturbed() -> None:
    """Twenty requests, of which every second one is cancelled while all of them wait."""
    script = [greet(), expect_requests(20), *map(expect_rst, range(1, 40, 4)), serve()]
    with Http2Peer(script) as peer:
        async with opened() as client:
            tasks = [asyncio.create_task(client.get(f"{peer.url}/{number}")) for number in range(20)]
            await until(lambda: sum(request.is_complete for request in peer.requests) == 20)
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
            assert [result.data for result in results[1::2]] == [f"GET /{number}" for number in range(1, 20, 2)]
        resets = [request.reset for request in peer.requests]
    assert resets == [Code.CANCEL, None] * 10
    assert peer.connections == 1


async def test_a_stream_that_is_closed_early_is_reset() -> None:
    script = [greet(), expect_request(), respond(200, (), b"hello", end=False), expect_rst(1, Code.CANCEL), serve()]
    with Http2Peer(script) as peer:
        async with opened() as client:
            async with await client.get(peer.url, response_type="stream") as got:
                assert await got.data.read(2) == b"he"
            assert (await client.get(f"{peer.url}/b")).data == "GET /b"
        assert peer.connections == 1


async def test_a_synchronous_stream_that_is_closed_early_closes_its_connection() -> None:
    """It may be given up in any thread, and it had the connection for itself."""
    first = [greet(), expect_request(), respond(200, (), b"hello", end=False), read_on()]
    with Http2Peer([first, [greet(), serve()]]) as peer:
        async with opened("sync") as client:
            with client.get(peer.url, response_type="stream") as got:
                assert got.data.read(2) == b"he"
            assert client.get(f"{peer.url}/b").data == "GET /b"


async def test_what_still_comes_for_a_stream_that_was_reset_is_passed_over() -> None:
    """HEADERS and DATA were on their way; they count for the connection's window all the same."""

    def say_it_all_the_same(on: Conversation) -> None:
        session = session_of(on)
        on.socket.sendall(headers(1, (b":status", b"200"), (b"x-late", b"yes")))
        # As much as the stream's window lets it.
        for _ in range(64):
            while session.window < 16_384:
                assert read_frame(on) is not None
            session.spend(1, 16_384)
            on.socket.sendall(data(1, bytes(16_384)))
        on.socket.sendall(data(1, end=True))

    begun = threading.Event()
    script = [greet(), expect_request(), signal(begun), expect_rst(1), say_it_all_the_same, serve()]
    with Http2Peer(script) as peer:
        async with opened() as client:
            await cancel(client, f"{peer.url}/a", begun.is_set)
            assert (await client.get(f"{peer.url}/b")).data == "GET /b"
        assert peer.connections == 1


# The server refuses, or gives up


def chunks() -> Iterator[bytes]:
    yield b"one"
    yield b"two"


@both
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refused_stream_is_sent_again_once(kind: str, method: str) -> None:
    """The server has proven that it did nothing with it (RFC 9113 section 8.7), whatever the method."""
    script = [greet(), expect_request(), send_as_answer(rst(1, Code.REFUSED_STREAM)), serve()]
    with Http2Peer(script, repeat=True) as peer:
        async with opened(kind) as client:
            body = {"data": b"hello"} if method == "POST" else {}
            got = await wait(client.request(method, f"{peer.url}/a", **body))
            assert got.data == f"{method} /a"
    assert [bytes(request.body) for request in peer.requests] == [b"hello" if method == "POST" else b""] * 2


@both
async def test_a_refused_stream_with_a_body_that_is_spent_is_not_sent_again(kind: str) -> None:
    script = [greet(), expect_request(), send_as_answer(rst(1, Code.REFUSED_STREAM)), serve()]
    with Http2Peer(script) as peer:
        async with opened(kind) as client:
            with pytest.raises(AtomHTTPNetworkError, match=r"REFUSED_STREAM.*can be read once") as caught:
                await wait(client.post(f"{peer.url}/a", chunks()))
            assert (caught.value.code, caught.value.request_sent) == ("ECONNRESET", "no")
    assert len(peer.requests) == 1


def refuse_all(times: list[int]) -> Step:
    def refuse_all(on: Conversation) -> None:
        session = session_of(on)
        while read_frame(on) is not None:
            for stream in sorted(session.open - session.answered):
                session.answered.add(stream)
                session.end(stream)
                times.append(stream)
                on.socket.sendall(rst(stream, Code.REFUSED_STREAM))

    return refuse_all


@both
async def test_refused_again_and_again(kind: str) -> None:
    times: list[int] = []
    with Http2Peer([greet(), refuse_all(times)], repeat=True) as peer:
        async with opened(kind) as client:
            with pytest.raises(AtomHTTPNetworkError, match="REFUSED_STREAM"):
                await wait(client.get(peer.url))
            assert len(times) == 2
            times.clear()
            with pytest.raises(AtomHTTPNetworkError, match="REFUSED_STREAM"):
                await wait(client.post(peer.url, b"x", retryConfig={"total": 3, "backoff_factor": 0}))
            # Each attempt of the retry policy has its safe resend, or is one: never more than twice as many.
            assert 4 <= len(times) <= 8


@both
@pytest.mark.parametrize("code", [code for code in Code if code not in (Code.NO_ERROR, Code.REFUSED_STREAM)])
@pytest.mark.parametrize("state", ["before", "in the middle"])
async def test_a_stream_that_the_server_resets(kind: str, code: Code, state: str) -> None:
    """Its code is in the message; the connection lives."""
    said = rst(1, code)
    if state == "in the middle":
        said = headers(1, (b":status", b"200")) + data(1, b"hel") + said
    with Http2Peer([greet(), expect_request(), send_as_answer(said), serve()]) as peer:
        async with opened(kind) as client:
            with pytest.raises(AtomHTTPNetworkError, match=code.name) as caught:
                await wait(client.get(f"{peer.url}/a"))
            assert (type(caught.value), caught.value.code) == (AtomHTTPNetworkError, "ECONNRESET")
            assert (await wait(client.get(f"{peer.url}/b"))).data == "GET /b"
    assert peer.connections == 1
    assert peer.paths == ["/a", "/b"]


@both
async def test_an_early_answer_ends_the_upload(kind: str) -> None:
    """413 in the middle of 10 MB, and RST_STREAM(NO_ERROR): the answer counts (RFC 9113 section 8.1)."""
    answer = response(1, 413, [(b"x", b"y")], b"too much") + rst(1, Code.NO_ERROR)
    script = [greet(), expect_request(whole=False), expect_content(30_000), send_as_answer(answer), serve()]
    with Http2Peer(script) as peer:
        async with opened(kind, validate_status=None) as client:
            got = await wait(client.post(f"{peer.url}/a", bytes(10_000_000)))
            assert (got.status, got.data) == (413, "too much")
            assert (await wait(client.get(f"{peer.url}/b"))).data == "GET /b"
        assert len(peer.requests[0].body) < 200_000
    assert peer.connections == 1


@both
async def test_an_early_answer_without_a_reset_ends_the_upload_too(kind: str) -> None:
    script = [greet(), expect_request(whole=False), expect_content(30_000), respond(413, (), b"no"), serve()]
    with Http2Peer(script) as peer:
        async with opened(kind, validate_status=None) as client:
            got = await wait(client.post(f"{peer.url}/a", bytes(10_000_000)))
            assert (got.status, got.data) == (413, "no")
            assert (await wait(client.get(f"{peer.url}/b"))).data == "GET /b"
        assert peer.requests[0].reset in (Code.NO_ERROR, Code.CANCEL)
    assert peer.connections == 1


@both
async def test_a_server_that_answers_as_it_reads_gets_all_of_it(kind: str) -> None:
    begun, rest = headers(1, (b":status", b"200")) + data(1, b"first"), data(1, b" last", end=True)
    script = [greet(), expect_request(whole=False), send(begun), grant(1_000_000), expect_content()]
    with Http2Peer([*script, send_as_answer(rest), serve()]) as peer:
        async with opened(kind) as client:
            assert (await wait(client.post(f"{peer.url}/a", (bytes(50_000) for _ in range(20))))).data == "first last"
            assert (await wait(client.get(f"{peer.url}/b"))).data == "GET /b"
        assert peer.requests[0].body == bytes(1_000_000)
    assert peer.connections == 1


# GOAWAY


@both
async def test_after_a_farewell_new_requests_go_elsewhere(kind: str) -> None:
    # Together: what is sent before it is heard of may be on its way still.
    first = [greet(), expect_request(), send(goaway(1) + response(1, 200, (), b"one")), expect_close()]
    with Http2Peer([first, [greet(), serve()]]) as peer:
        async with opened(kind) as client:
            assert (await wait(client.get(peer.url))).data == "one"
            await asyncio.to_thread(peer.wait_until, lambda: peer.connections == 1)
            assert (await wait(client.get(f"{peer.url}/b"))).data == "GET /b"


async def test_streams_below_a_farewell_finish_and_those_beyond_are_sent_again() -> None:
    def part(on: Conversation) -> None:
        on.socket.sendall(goaway(3) + response(1, 200, (), b"/0 here") + response(3, 200, (), b"/1 here"))

    first = [greet(), expect_requests(4), part, expect_close()]
    second = [greet(), serve(lambda request: Reply(body=request.path + b" there"))]
    with Http2Peer([first, second]) as peer:
        async with opened() as client:
            calls = [client.request("POST", f"{peer.url}/{number}", data=b"x") for number in range(4)]
            results = await client.all(calls)
            assert [result.data for result in results] == ["/0 here", "/1 here", "/2 there", "/3 there"]
            assert (await client.get(f"{peer.url}/4")).data == "/4 there"
    assert sorted(peer.paths) == ["/0", "/1", "/2", "/2", "/3", "/3", "/4"]


async def test_a_gentle_farewell_in_two_steps() -> None:
    """First the largest number, then the true one (RFC 9113 section 6.8)."""

    def part(on: Conversation) -> None:
        on.socket.sendall(goaway(0x7FFFFFFF) + goaway(1) + response(1, 200, (), b"here"))

    with Http2Peer([[greet(), expect_requests(2), part, expect_close()], [greet(), serve()]]) as peer:
        async with opened() as client:
            results = await client.all([client.get(f"{peer.url}/{number}") for number in range(2)])
            assert [result.data for result in results] == ["here", "GET /1"]


@both
async def test_a_farewell_with_an_error_is_told(kind: str) -> None:
    first = [greet(), expect_request(), send_as_answer(goaway(1, Code.ENHANCE_YOUR_CALM, b"slow down")), close()]
    with Http2Peer([first, [greet(), serve()]]) as peer:
        async with opened(kind) as client:
            with pytest.raises(AtomHTTPNetworkError, match=r"ENHANCE_YOUR_CALM.*slow down"):
                await wait(client.post(peer.url, b"x"))
            assert (await wait(client.get(f"{peer.url}/b"))).data == "GET /b"


@both
async def test_farewells_without_end(kind: str) -> None:
    """A server that answers everything by GOAWAY: a request goes from one connection to the next, but not for ever."""
    with Http2Peer([greet(), expect_request(), send_as_answer(goaway(0)), read_on()], repeat=True) as peer:
        async with opened(kind) as client:
            with pytest.raises(AtomHTTPNetworkError):
                await wait(client.get(peer.url))
        assert peer.connections == MAX_FAREWELLS + 1


@both
async def test_a_request_that_several_connections_have_no_time_for(kind: str) -> None:
    first = [greet(), expect_request(), send_as_answer(goaway(0)), read_on()]
    with Http2Peer([first, first, first, [greet(), serve()]]) as peer:
        async with opened(kind) as client:
            assert (await wait(client.post(f"{peer.url}/a", b"x"))).data == "POST /a"
        assert peer.connections == 4


async def test_a_response_that_was_given_up_has_been_one() -> None:
    """So the connection counts as used, and a harmless request that it does not answer any more is sent again."""
    begun = respond(200, (), b"one", end=False)
    first = [greet(), expect_request(), begun, expect_rst(), expect_request(), end(), read_on()]
    with Http2Peer([first, [greet(), serve()]]) as peer:
        async with opened() as client:
            response = await client.get(f"{peer.url}/a", response_type="stream")
            await response.data.read(3)
            await response.data.aclose()
            assert (await client.get(f"{peer.url}/b")).data == "GET /b"


# Settings in between


async def test_the_limit_of_streams_is_kept_and_others_wait() -> None:
    """With one connection allowed: never more at once than the server says, and all are served."""
    with Http2Peer([greet({MAX_CONCURRENT_STREAMS: 3}), serve()]) as peer:
        async with opened(maxConnections=1) as client:
            await client.get(peer.url)  # the limit is known now
            results = await client.all([client.get(f"{peer.url}/{number}") for number in range(50)])
            assert [result.data for result in results] == [f"GET /{number}" for number in range(50)]
        assert peer.sessions[0].most_open <= 3


async def test_beyond_the_limit_of_streams_further_connections_open() -> None:
    asked = threading.Event()
    with Http2Peer([greet({MAX_CONCURRENT_STREAMS: 2}), hold_until(asked), serve()], repeat=True) as peer:
        async with opened(timeout=PATIENCE) as client:
            warm = asyncio.create_task(client.get(f"{peer.url}/warm"))
            await until(lambda: peer.connections == 1)
            asked.set()
            await warm
            results = await client.all([client.get(f"{peer.url}/{number}") for number in range(10)])
            assert len(results) == 10
        assert all(session.most_open <= 2 for session in peer.sessions.values())


def hold_until(event: threading.Event) -> Step:
    return wait_for(event)


async def test_a_limit_that_is_lowered_while_idle() -> None:
    """To one: the connection does for one request after the other. To none: it does for nobody."""
    first = [
        greet(),
        expect_request(),
        change_settings({MAX_CONCURRENT_STREAMS: 1}),
        respond(200, (), b"one"),
        expect_request(),
        change_settings({MAX_CONCURRENT_STREAMS: 0}),
        respond(200, (), b"two"),
        read_on(),
    ]
    with Http2Peer([first, [greet(), serve()]]) as peer:
        async with opened() as client:
            assert (await client.get(peer.url)).data == "one"
            assert (await client.get(peer.url)).data == "two"
            results = await client.all([client.get(f"{peer.url}/{number}") for number in range(3)])
            assert [result.data for result in results] == ["GET /0", "GET /1", "GET /2"]


async def test_a_limit_that_is_lowered_to_nothing_and_raised_while_requests_wait() -> None:
    lowered, raised = threading.Event(), threading.Event()
    script = [
        greet(),
        expect_request(),
        change_settings({MAX_CONCURRENT_STREAMS: 0}),
        signal(lowered),
        wait_for(raised),
        change_settings({MAX_CONCURRENT_STREAMS: 10}),
        serve(),
    ]
    with Http2Peer(script) as peer:
        async with opened(maxConnections=1) as client:
            first = asyncio.create_task(client.get(f"{peer.url}/first"))
            await until(lowered.is_set)
            calls = [asyncio.create_task(client.get(f"{peer.url}/{number}")) for number in range(3)]
            await until(lambda: client.pool_stats().waiting == 3)
            raised.set()
            assert [(await call).data for call in calls] == ["GET /0", "GET /1", "GET /2"]
            assert (await first).data == "GET /first"


@both
async def test_a_window_that_shrinks_below_nothing_and_grows_during_an_upload(kind: str) -> None:
    """The client has sent 65,535 bytes; at 1,000 a stream its window is -64,535 (RFC 9113 section 6.9.2)."""
    script = [
        greet(),
        expect_request(whole=False),
        expect_content(65_535),
        change_settings({INITIAL_WINDOW_SIZE: 1_000}),
        grant(64_535),
        # Still nothing.
        send(ping()),
        expect_frame(PING, ack=True),
        grant(5_000),
        expect_content(70_535),
        change_settings({INITIAL_WINDOW_SIZE: 1_000_000}),
        grant(1_000_000),
        expect_content(),
        serve(),
    ]
    with Http2Peer(script) as peer:
        async with opened(kind) as client:
            got = await wait(client.post(f"{peer.url}/a", bytes(range(256)) * 1_000))
            assert got.data == "POST /a"
        assert bytes(peer.requests[0].body) == bytes(range(256)) * 1_000


@both
async def test_larger_frames_are_used_when_they_are_allowed(kind: str) -> None:
    script = [greet({MAX_FRAME_SIZE: 100_000}), serve()]
    with Http2Peer(script) as peer:
        async with opened(kind) as client:
            await wait(client.get(peer.url))
            assert (await wait(client.post(f"{peer.url}/a", bytes(500_000)))).data == "POST /a"
        assert len(peer.requests[1].body) == 500_000


@both
async def test_a_table_of_nothing(kind: str) -> None:
    """The client's heads may not refer to what they have said before."""
    with Http2Peer([greet({HEADER_TABLE_SIZE: 0}), serve()]) as peer:
        async with opened(kind, headers={"X-Field": "value"}) as client:
            for number in range(5):
                assert (await wait(client.get(f"{peer.url}/{number}"))).data == f"GET /{number}"
        assert all(request.get(b"x-field") == b"value" for request in peer.requests)


# Messages


@both
async def test_trailers_interim_heads_and_no_content(kind: str) -> None:
    def answer(request: Request) -> Reply:
        return {
            b"/trailers": Reply(200, (), b"ok", ((b"x-sum", b"1"),)),
            b"/204": Reply(204),
            b"/304": Reply(304, ((b"content-length", b"5"),)),
            b"/head": Reply(200, ((b"content-length", b"5"),)),
        }[request.path]

    with Http2Peer([greet(), serve(answer)]) as peer:
        async with opened(kind, validate_status=None, response_type="blob") as client:
            got = await wait(client.get(f"{peer.url}/trailers"))
            assert (got.content, got.trailers["x-sum"]) == (b"ok", "1")
            assert (await wait(client.get(f"{peer.url}/204"))).status == 204
            assert (await wait(client.get(f"{peer.url}/304"))).status == 304
            got = await wait(client.head(f"{peer.url}/head"))
            assert (got.headers["content-length"], got.content) == ("5", b"")
    assert peer.connections == 1


@both
async def test_expect_100_continue(kind: str) -> None:
    """The content waits for the 100, or for the final answer that makes it pointless."""
    script = [
        greet(),
        expect_request(whole=False),
        send(headers(1, (b":status", b"100"))),
        expect_content(),
        respond(200, (), b"taken"),
        expect_request(whole=False),
        respond(417, (), b"not taken"),
        serve(),
    ]
    with Http2Peer(script) as peer:
        async with opened(kind, validate_status=None, headers={"Expect": "100-continue"}) as client:
            assert (await wait(client.post(peer.url, b"hello"))).data == "taken"
            assert (await wait(client.post(peer.url, b"hello"))).data == "not taken"
        assert [bytes(request.body) for request in peer.requests] == [b"hello", b""]


# The connection is lost


LOST: dict[str, list[Step]] = {
    "before SETTINGS": [expect_preface()],
    "before the request": [greet()],
    "before the response": [greet(), expect_request()],
    "behind an interim head": [greet(), expect_request(), send(headers(1, (b":status", b"103")))],
    "in the content": [greet(), expect_request(), respond(200, (), b"hel", end=False)],
}


@both
@pytest.mark.parametrize("ending", ["end", "reset"])
@pytest.mark.parametrize("state", LOST)
async def test_a_fresh_connection_that_is_lost_is_an_error(kind: str, state: str, ending: str) -> None:
    """Nothing is sent again: it may have been the request that broke it."""
    last = [reset()] if ending == "reset" else [end(), read_on()]
    with Http2Peer([[*LOST[state], *last], [greet(), serve()]]) as peer:
        async with opened(kind) as client:
            with pytest.raises(AtomHTTPNetworkError) as caught:
                await wait(client.get(f"{peer.url}/a"))
            is_cut = (state, ending) == ("in the content", "end")
            assert caught.value.code in (("ERR_BAD_RESPONSE",) if is_cut else ("ECONNRESET", "EPIPE"))
            await until(lambda: not client.pool_stats().open)
            assert (await wait(client.get(f"{peer.url}/b"))).data == "GET /b"
        assert "/a" not in [request.path.decode() for request in peer.sessions[1].requests.values()]


@both
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_a_used_connection_that_is_lost(kind: str, method: str) -> None:
    """Before a byte of the response: what may be done twice is sent again, the rest is an error that says so."""
    first = [greet(), expect_request(), respond(200, (), b"one"), expect_request(), end(), read_on()]
    scripts = [first, [greet(), serve()]] if method != "POST" else [first]
    with Http2Peer(scripts) as peer:
        async with opened(kind) as client:
            await wait(client.get(peer.url))
            if method == "POST":
                with pytest.raises(AtomHTTPNetworkError, match="may have been sent"):
                    await wait(client.post(f"{peer.url}/a", b"x"))
            else:
                assert (await wait(client.request(method, f"{peer.url}/a"))).data == f"{method} /a"


async def test_every_stream_of_a_lost_connection_is_told() -> None:
    with Http2Peer([greet(), expect_requests(30), reset()]) as peer:
        async with opened() as client:
            calls = [client.get(f"{peer.url}/{number}") for number in range(30)]
            results = await client.all(calls, return_exceptions=True)
    assert {type(result) for result in results} == {AtomHTTPNetworkError}
    assert len({id(result) for result in results}) == 30
    assert {result.code for result in results} == {"ECONNRESET"}
    assert [str(result.config.url).rpartition("/")[2] for result in results] == [str(number) for number in range(30)]


# PING


async def test_ping_is_answered_also_while_idle() -> None:
    script = [
        greet(),
        expect_request(),
        respond(200, (), b"one"),
        send(ping(b"are you?")),
        expect_frame(PING, ack=True),
    ]
    with Http2Peer([*script, serve()]) as peer:
        async with opened() as client:
            await client.get(peer.url)
            await until(lambda: any(came.kind == PING for came in peer.sessions[0].frames))
            assert (await client.get(f"{peer.url}/b")).data == "GET /b"
        (answer,) = [came for came in peer.sessions[0].frames if came.kind == PING]
        assert answer.payload == b"are you?"


async def test_a_silent_peer_is_asked_and_given_up(virtual_clock: VirtualClockLoop) -> None:
    """After `pingInterval` a PING, after as long again the end; the calls' own timeouts are far away."""
    script = [greet(), expect_request(), expect_frame(PING), hold()]
    with Http2Peer(script) as peer:
        async with opened(timeout=1000, pingInterval=10) as client:
            with pytest.raises(AtomHTTPNetworkError, match="pingInterval") as caught:
                await client.get(peer.url)
            assert caught.value.code == "ETIMEDOUT"
    assert virtual_clock.time() == pytest.approx(20, abs=1)


async def test_a_peer_that_answers_pings_is_waited_for(virtual_clock: VirtualClockLoop) -> None:
    script = [greet(), expect_request()]
    for _ in range(5):
        script += [expect_frame(PING), answer_ping()]
    with Http2Peer([*script, serve()]) as peer:
        async with opened(timeout=1000, pingInterval=10) as client:
            assert (await client.get(f"{peer.url}/a")).data == "GET /a"
    assert virtual_clock.time() == pytest.approx(50, abs=1)


def answer_ping() -> Step:
    def answer_ping(on: Conversation) -> None:
        on.socket.sendall(ping(session_of(on).frames[-1].payload, ack=True))

    return answer_ping


async def test_no_pings_without_being_told(virtual_clock: VirtualClockLoop) -> None:
    with Http2Peer([greet(), expect_request(), read_on()]) as peer:
        async with opened(timeout=1000) as client:
            with pytest.raises(AtomHTTPTimeoutError):
                await client.get(peer.url)
        assert PING not in [came.kind for came in peer.sessions[0].frames]


# Flow control follows the consumer


async def test_a_stream_that_nobody_reads_holds_back_itself_alone() -> None:
    """It gets a window's content, 1 MiB, and no more; 200 requests on the same connection go past it."""

    def answer(request: Request) -> Reply:
        return Reply(body=bytes(20 * MIB)) if request.path == b"/large" else says(request)

    def says(request: Request) -> Reply:
        return Reply(body=request.path * 1_000)

    with Http2Peer([greet(), serve(answer)]) as peer:
        async with opened() as client:
            got = await client.get(f"{peer.url}/large", response_type="stream")
            for start in range(0, 200, 50):
                paths = [f"/{number}" for number in range(start, start + 50)]
                results = await client.all([client.get(peer.url + path) for path in paths])
                assert [result.data for result in results] == [path * 1_000 for path in paths]
            sent = peer.sessions[0].sent_on(1)
            assert sent <= MIB
            assert len(await got.data.read()) == 20 * MIB
    assert peer.connections == 1


async def test_windows_open_as_the_consumer_reads() -> None:
    with Http2Peer([greet(), serve(lambda _: Reply(body=bytes(20 * MIB)))]) as peer:
        async with opened() as client:
            got = await client.get(peer.url, response_type="stream")
            total = 0
            while piece := await got.data.read(100_000):
                total += len(piece)
                # What was consumed, a wide window beyond it, and what we hold to hand on.
                assert peer.sessions[0].sent_on(1) <= total + 5 * MIB
            assert total == 20 * MIB


# One connection for all


async def test_a_hundred_requests_at_once_open_one_connection() -> None:
    with Http2Peer([greet(), serve()]) as peer:
        async with opened() as client:
            results = await client.all([client.get(f"{peer.url}/{number}") for number in range(100)])
            assert [result.data for result in results] == [f"GET /{number}" for number in range(100)]
    assert peer.connections == 1


async def test_who_waits_for_a_connection_that_fails_is_told_or_makes_its_own() -> None:
    with Http2Peer([expect_preface(), close()], repeat=True) as peer:
        async with opened() as client:
            results = await client.all([client.get(peer.url) for _ in range(20)], return_exceptions=True)
    assert all(isinstance(result, AtomHTTPError) for result in results)


async def test_keep_alive_false_closes_after_the_response() -> None:
    with Http2Peer([greet(), expect_request(), respond(200, (), b"ok"), expect_close()]) as peer:
        async with opened() as client:
            assert (await client.get(peer.url, keepAlive=False)).data == "ok"
            assert client.pool_stats().open == 0
    assert b"connection" not in [name for name, _ in peer.requests[0].fields]


async def test_settings_that_change_nothing_are_acknowledged() -> None:
    with Http2Peer([greet(), expect_request(), send(settings()), respond(200, (), b"ok"), serve()]) as peer:
        async with opened() as client:
            await client.get(peer.url)
            await client.get(peer.url)
        acknowledged = [came for came in peer.sessions[0].frames if came.kind == 4 and came.flags & 1]
        assert len(acknowledged) == 2


# The log


@pytest.mark.parametrize(
    ("ends", "line"),
    [
        ([send_as_answer(goaway(1) + response(1)), read_on()], "takes no more streams, and the last.* ended; closed"),
        # There nghttp2 has nothing left to say when the response has come, and ends on the spot.
        (
            [expect_frame(SETTINGS, ack=True), send_as_answer(goaway(1) + response(1)), read_on()],
            "takes no more streams, and the last.* ended; closed",
        ),
        ([end(), read_on()], "closed by the peer; closed"),
        ([send(frame(0, 0, 0, b"DATA of no stream"))], r"the server broke HTTP/2: PROTOCOL_ERROR.*; closed"),
    ],
    ids=["goodbye", "goodbye-with-nothing-owed", "lost", "broken"],
)
async def test_the_log_tells_how_a_connection_ended(
    caplog: pytest.LogCaptureFixture, ends: list[Step], line: str
) -> None:
    caplog.set_level(logging.DEBUG, "atomhttp.connection")
    with Http2Peer([greet(), expect_request(), *ends]) as peer:
        async with opened() as client:
            with contextlib.suppress(AtomHTTPError):
                await client.get(peer.url)
            await until(lambda: client.pool_stats().open == 0)
    first, *_, last = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(rf"connected to 127\.0\.0\.1:{peer.port} in \d+\.\d ms, by HTTP/2", first), first
    assert re.fullmatch(rf"<Http2Connection .*>: {line}", last), last
