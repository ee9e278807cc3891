"""Peers of HTTP/2 that are broken, or mean to harm: every row of the tables, floods, and ends in every state.

Each row is played whole and byte by byte in clear, ended as its kind wants it, and in a seeded part of all other ways
(cut at random, ended by EOF, RST or silence, over TLS, to the synchronous client). ``HOSTILE=full`` plays all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import os
import select
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from atomhttp import AtomHTTP, AtomHTTPError, AtomHTTPNetworkError, AtomHTTPProtocolError, SyncAtomHTTP
from contract.flavours import wait
from hostile.case import EOF, RST, SILENCE, play_chosen
from hostile.http2_rows.row import (
    DECENT,
    OK,
    Answer,
    Case,
    ConnectionRefused,
    CutShort,
    Row,
    StreamRefused,
    every_case,
    is_always_played,
)
from hostile.http2_rows.table import ROWS
from hostile.row import CUT, RESET, TIMED_OUT
from support.async_tests import run_test
from support.certificates import Certificates
from support.clock import VirtualClockLoop, engine_clock
from support.http2_only import opened
from support.http2_peer import (
    ALTSVC,
    MAX_FRAME_SIZE,
    ORIGIN,
    Code,
    Http2Peer,
    Reply,
    block,
    continuation,
    data,
    expect_close,
    expect_preface,
    expect_request,
    expect_requests,
    frame,
    goaway,
    greet,
    headers,
    http2_context,
    ping,
    priority,
    read_frame,
    read_on,
    respond,
    response,
    rst,
    send_as_answer,
    serve,
    session_of,
    settings,
    window_update,
)
from support.peer import Conversation, ScriptError, Step, end, hold, reset, send
from support.server import PATIENCE

KIB = 1024
MIB = 1024 * KIB
# Of the virtual clock's seconds.
TIMEOUT = 5.0

both = pytest.mark.parametrize("kind", ["async", "sync"])
only_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="NO MEMORY WAS MEASURED: only Linux has a /proc that tells it"
)


# The rows


def test_the_table_is_as_large_as_promised() -> None:
    assert len(ROWS) >= 350
    assert sum(isinstance(row.outcome, Answer) for row in ROWS) >= 80
    assert all(row.source for row in ROWS)
    names = [row.name for row in ROWS]
    assert sorted(names) == sorted(set(names))
    replies = [(row.method, row.instead_of_settings, row.says) for row in ROWS]
    assert len(replies) == len(set(replies))


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_row(row: Row, certificates: Certificates) -> None:
    play_chosen(every_case(row), is_always_played, 0.05, lambda case: play(case, certificates))


def play(case: Case, certificates: Certificates) -> None:
    tls = server_context(certificates) if case.tls else None
    with BadPeer(case, tls) as peer:
        options = {
            "http2": "only",
            "timeout": TIMEOUT if case.ending == SILENCE else PATIENCE,
            "response_type": "blob",
            "verify": str(certificates.ca),
            "validate_status": None,
        }
        if case.is_sync:
            talk(case, peer, options)
        elif case.ending == SILENCE:
            loop = VirtualClockLoop()
            with engine_clock(loop):
                run_test(converse(case, peer, options), lambda: loop)
        else:
            run_test(converse(case, peer, options), asyncio.SelectorEventLoop)
    judge_connections(case, peer)


@functools.cache
def server_context(certificates: Certificates) -> ssl.SSLContext:
    """One for all cases: the key costs more to load than most of them to play."""
    return http2_context(certificates)


class BadPeer(Http2Peer):
    """Its first connection says the row; every further one is a decent server's.

    `is_over` is set when the first connection is in its last step: it has been ended, where that is what is played.
    """

    def __init__(self, case: Case, tls: ssl.SSLContext | None) -> None:
        super().__init__([self._play], repeat=True, tls=tls)
        self.is_over = threading.Event()
        self._case = case

    def _play(self, on: Conversation) -> None:
        if on.number == 0:
            say_row(self._case, self.is_over)(on)
        else:
            be_decent(on)


def be_decent(on: Conversation) -> None:
    for step in (greet(), serve()):
        step(on)


def say_row(case: Case, is_over: threading.Event) -> Step:
    def say_row(on: Conversation) -> None:
        # Else the kernel would hold small writes back, and RST would overtake them.
        on.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        (expect_preface() if case.row.instead_of_settings else greet())(on)
        # Before SETTINGS have come, the neighbour waits to see how many streams there may be.
        expect_requests(1 if case.is_sync or case.row.instead_of_settings else 2)(on)
        session = session_of(on)
        assert session.requests[1].path == b"/row", session.requests
        session.answered.add(1)
        # The client closes as soon as it has refused what it got: the rest need not be said.
        with contextlib.suppress(OSError, EOFError):
            for piece in case.pieces():
                on.socket.sendall(piece)
            finish(case, on, is_over)
        is_over.set()

    return say_row


def finish(case: Case, on: Conversation, is_over: threading.Event) -> None:
    if case.ending == RST:
        reset()(on)
        return
    if case.ending == SILENCE and isinstance(case.row.outcome, CutShort):
        while any(request.reset is None for request in session_of(on).requests.values()):
            if read_frame(on) is None:
                return
        if not case.row.outcome.between_frames:
            end()(on)
        elif case.row.instead_of_settings and not case.row.says:
            on.socket.sendall(settings())
    elif case.ending == EOF:
        end()(on)
    is_over.set()
    (read_on() if on_its_way_out(case) else serve())(on)


def on_its_way_out(case: Case) -> bool:
    """Whether the peer has ended the connection."""
    outcome = case.row.outcome
    stuck = case.ending == SILENCE and isinstance(outcome, CutShort) and not outcome.between_frames
    return case.ending in (EOF, RST) or stuck


async def converse(case: Case, peer: BadPeer, options: dict[str, Any]) -> None:
    async with AtomHTTP(**options) as client:
        calls = [client.request(case.row.method, f"{peer.url}/row"), client.get(f"{peer.url}/neighbour")]
        mine, neighbour = await client.all(calls, return_exceptions=True)
        judge(case, mine)
        judge_neighbour(case, neighbour)
        if on_its_way_out(case):
            # Else the next request may leave before the end of the connection has come.
            await asyncio.to_thread(peer.is_over.wait, PATIENCE)
            while client.pool_stats().open >= peer.connections:
                await asyncio.sleep(0.001)
        following = await client.get(f"{peer.url}/next")
        assert following.content == b"GET /next"
        assert client.pool_stats().waiting == 0


def talk(case: Case, peer: BadPeer, options: dict[str, Any]) -> None:
    with SyncAtomHTTP(**options) as client:
        try:
            got: Any = client.request(case.row.method, f"{peer.url}/row")
        except AtomHTTPError as error:
            got = error
        judge(case, got)
        assert peer.is_over.wait(PATIENCE)
        assert client.get(f"{peer.url}/next").content == b"GET /next"


def judge(case: Case, got: Any) -> None:
    outcome = case.row.outcome
    if isinstance(outcome, Answer):
        if isinstance(got, AtomHTTPError):
            raise AssertionError(f"expected {outcome}, got {got!r}") from got
        assert (got.status, got.content, got.http_version) == (outcome.status, outcome.body, "2")
        for name, value in outcome.fields:
            assert value in got.headers.get_all(name), got.headers
        assert tuple(got.trailers.multi_items()) == outcome.trailers
        return
    assert isinstance(got, AtomHTTPError), f"expected {outcome}, got {got.status} {got.content!r}"
    expected: Any = outcome
    if isinstance(outcome, CutShort):
        expected = TIMED_OUT if case.ending == SILENCE else CUT if case.ending == EOF and outcome.begun else RESET
    codes = [expected.code]
    if expected is RESET and case.ending == RST:
        # Whichever is noticed first: that nothing comes any more, or that nothing can be sent.
        codes.append("EPIPE")
    assert type(got) is expected.kind, repr(got)
    assert got.code in codes, repr(got)
    assert expected.why in str(got)
    # Bytes of the peer's in a message are few, and escaped.
    assert len(str(got)) < 400
    assert str(got).isprintable()


def judge_neighbour(case: Case, got: Any) -> None:
    outcome = case.row.outcome
    if isinstance(got, AtomHTTPError):
        lives = case.ending == DECENT and type(outcome) in (Answer, StreamRefused)
        assert not lives, f"it was drawn into it: {got!r}"
        assert isinstance(got, AtomHTTPNetworkError) or case.ending == SILENCE, repr(got)
        return
    assert got.content == b"GET /neighbour"


def judge_connections(case: Case, peer: Http2Peer) -> None:
    outcome = case.row.outcome
    session = peer.sessions[0]
    if isinstance(outcome, ConnectionRefused):
        assert peer.connections == 2
        if session.goaway is not None and outcome.goaway:
            assert session.goaway.code in outcome.goaway, session.goaway
    elif type(outcome) in (Answer, StreamRefused) and case.ending == DECENT:
        assert peer.connections == 1
    assert peer.paths.count("/row") == 1, "it was asked for again"


# The end of the connection, everywhere

UP_TO_THE_HEAD = (
    settings({MAX_FRAME_SIZE: 20_000})
    + settings(ack=True)
    + ping()
    + headers(1, (b":status", b"103"), (b"link", b"</a>"))
    + headers(1, OK, (b"content-length", b"5"), flags=0)
    + continuation(1, block((b"x", b"y")), end_headers=True)
)
WHOLE_TALK = (
    UP_TO_THE_HEAD
    + window_update(1, 5)
    + data(1, b"hel", padding=2)
    + data(1, b"lo")
    + headers(1, (b"t", b"u"), end=True)
)


@both
@pytest.mark.parametrize("ending", [EOF, RST])
async def test_the_connection_ends_behind_every_byte(kind: str, ending: str) -> None:
    """Of a response with all that there is: in the head of a frame, in each kind of frame, and between them."""

    def break_off(on: Conversation) -> None:
        expect_preface()(on)
        expect_requests(1)(on)
        on.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            if on.number < len(WHOLE_TALK):
                on.socket.sendall(WHOLE_TALK[: on.number])
            else:
                on.socket.sendall(WHOLE_TALK)
            for step in (reset(),) if ending == RST else (end(), read_on()):
                step(on)

    with Http2Peer([break_off], repeat=True) as peer:
        async with opened(kind, response_type="blob") as client:
            for size in range(len(WHOLE_TALK)):
                with pytest.raises(AtomHTTPNetworkError) as caught:
                    await wait(client.get(f"{peer.url}/{size}"))
                is_cut = ending == EOF and size >= len(UP_TO_THE_HEAD)
                expected = CUT if is_cut else RESET
                assert (type(caught.value), caught.value.code) == (expected.kind, expected.code), size
            got = await wait(client.get(f"{peer.url}/whole"))
            assert (got.content, got.headers["x"], got.trailers["t"]) == (b"hello", "y", "u")
    # Each was asked for once: none of them on a connection that had served another.
    assert peer.paths == [*(f"/{size}" for size in range(len(WHOLE_TALK))), "/whole"]


@both
async def test_the_connection_ends_between_two_requests(kind: str) -> None:
    """A server that closes what is idle: the next request finds out before it is sent, or is sent again."""
    answer = [greet(), expect_request(), respond(200, (), b"ok")]
    for last in ([end(), read_on()], [send(goaway(1)), end(), read_on()], [reset()]):
        with Http2Peer([[*answer, *last], [*answer, hold()]]) as peer:
            async with opened(kind) as client:
                for _ in range(2):
                    assert (await wait(client.get(peer.url))).data == "ok"


# Floods

# How much more a peer can send than what is refused: what we read at once, and the kernel's buffers of both sides.
AHEAD = 16 * MIB
# How much memory a flood may cost.
BAR = 24 * MIB
# As much as is sent before a flood counts as taken.
ENDLESS = 256 * MIB
BEGUN = headers(1, OK)


class Flood(NamedTuple):
    """What a peer sends, the first once and the second without end, and the code of the error that must come of it."""

    before: bytes
    again: bytes
    code: str = "ERR_BAD_RESPONSE"
    goaway: tuple[Code, ...] = (Code.ENHANCE_YOUR_CALM,)


FLOODS = {
    "PING": Flood(b"", ping()),
    "PING, acknowledged": Flood(b"", ping(ack=True)),
    "SETTINGS": Flood(b"", settings()),
    "SETTINGS that change something": Flood(b"", settings({4: 70_000}) + settings({4: 60_000})),
    "RST_STREAM on a closed stream": Flood(response(1), rst(1)),
    "empty DATA": Flood(BEGUN, data(1)),
    "empty DATA, padded": Flood(BEGUN, data(1, padding=0)),
    "DATA of padding alone": Flood(BEGUN, data(1, padding=255)),
    "WINDOW_UPDATE": Flood(b"", window_update(0, 1)),
    "WINDOW_UPDATE on a stream": Flood(b"", window_update(1, 1)),
    "WINDOW_UPDATE on a closed stream": Flood(response(1), window_update(1, 1)),
    "PRIORITY": Flood(b"", priority(1, 3)),
    "PRIORITY on idle streams": Flood(b"", b"".join(priority(each) for each in range(1001, 1201, 2))),
    "ALTSVC": Flood(b"", frame(ALTSVC, 0, 0, b"\x00\x08http://ah2=a")),
    "ORIGIN": Flood(b"", frame(ORIGIN, 0, 0, b"\x00\x09https://a")),
    "unknown frames": Flood(b"", frame(0xBB, 0, 0, b"x")),
    "unknown frames on a stream": Flood(b"", frame(0xBB, 0, 1)),
    "GOAWAY": Flood(b"", goaway(3)),
    "interim heads": Flood(b"", headers(1, (b":status", b"103"))),
    "CONTINUATION": Flood(headers(1, OK, flags=0), continuation(1, block((b"x", b"y"))), goaway=()),
    "empty CONTINUATION": Flood(headers(1, OK, flags=0), continuation(1, b""), goaway=()),
    "large CONTINUATION": Flood(
        headers(1, OK, flags=0), continuation(1, block(*[(b"x", b"v" * 4_000)] * 16)), "HPE_HEADER_OVERFLOW", ()
    ),
}
# What has its end with its stream, and not with the connection.
ONE_STREAM = ("interim heads",)


def flood_from(flood: Flood, sent: list[int], *, reads: bool) -> Step:
    """Sends it without end; `reads`: what the client says meanwhile."""

    def flood_from(on: Conversation) -> None:
        greet()(on)
        expect_requests(1)(on)
        poller = select.poll()
        poller.register(on.socket, select.POLLIN)
        piece = flood.again * max(1, 16 * KIB // len(flood.again))
        sent.append(0)
        try:
            on.socket.sendall(flood.before)
            while sent[-1] < ENDLESS:
                on.socket.sendall(piece)
                sent[-1] += len(piece)
                while reads and poller.poll(0) and on.socket.recv(64 * KIB):
                    pass
        except TimeoutError:
            raise ScriptError("the client neither reads nor closes") from None
        except OSError:
            return  # it has closed

    return flood_from


@both
@pytest.mark.parametrize("reads", [True, False], ids=["reading", "deaf"])
@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_is_ended(kind: str, name: str, reads: bool) -> None:
    flood = FLOODS[name]
    sent: list[int] = []

    def answer(on: Conversation) -> None:
        (flood_from(flood, sent, reads=reads) if on.number == 0 else be_decent)(on)

    with Http2Peer([answer], repeat=True) as peer:
        async with opened(kind) as client:
            # Where the flood comes behind the response, or is its stream's alone, it meets the next request.
            outcomes = []
            for _ in range(3):
                try:
                    outcomes.append((await wait(client.get(f"{peer.url}/a"))).data)
                except AtomHTTPNetworkError as error:
                    outcomes.append(error.code)
            assert outcomes[-1] == "GET /a"
            assert peer.connections == 2
    assert flood.code in outcomes or flood.before == response(1), outcomes
    assert max(sent) < AHEAD


@only_linux
async def test_floods_cost_little_memory() -> None:
    for flood in FLOODS.values():
        sent: list[int] = []

        def answer(on: Conversation, flood: Flood = flood, sent: list[int] = sent) -> None:
            (flood_from(flood, sent, reads=False) if on.number == 0 else be_decent)(on)

        with Http2Peer([answer], repeat=True) as peer:
            async with opened("async", timeout=2) as client:
                await client.get(f"{peer.url}/a") if flood.before == response(1) else None
                before = resident()
                forget_peak()
                for _ in range(2):
                    with contextlib.suppress(AtomHTTPError):
                        await client.get(f"{peer.url}/a")
                assert peak() - before < BAR, flood


def resident() -> int:
    """Bytes of memory in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """The most that it was since it was forgotten."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * KIB for line in status.splitlines() if line.startswith("VmHWM:"))


# Flow control


async def test_more_than_a_stream_s_window_is_refused() -> None:
    """The caller does not read: what comes beyond the window breaks HTTP/2 (RFC 9113 section 6.9.1)."""

    def overrun(on: Conversation) -> None:
        session = session_of(on)
        with contextlib.suppress(OSError):
            while True:
                on.socket.sendall(data(1, bytes(16 * KIB)))
                session.spend(1, 16 * KIB)

    script = [greet(), expect_request(), respond(200, end=False), overrun, read_on()]
    with Http2Peer([script, [greet(), serve()]]) as peer:
        async with opened("async") as client:
            got = await client.get(f"{peer.url}/a", response_type="stream")
            await until_broken(peer)
            with pytest.raises(AtomHTTPProtocolError, match="FLOW_CONTROL"):
                await got.data.read()
            assert (await client.get(f"{peer.url}/b")).data == "GET /b"


async def until_broken(peer: Http2Peer) -> None:
    """The script's first connection has come to an end."""
    await asyncio.to_thread(peer.wait_until, lambda: peer.sessions[0].goaway is not None)


@both
async def test_padding_gives_back_its_window(kind: str) -> None:
    """3 MiB of padding around 12 kB of content, in a window of 1 MiB."""
    piece = data(1, b"x", padding=255)

    def pad(on: Conversation) -> None:
        session = session_of(on)
        for _ in range(12_000):
            while min(session.window, session.window_of(1)) < 257:
                if read_frame(on) is None:
                    raise ScriptError("the client closed")
            session.spend(1, 257)
            on.socket.sendall(piece)
        on.socket.sendall(data(1, end=True))
        session.end(1)

    with Http2Peer([greet(), expect_request(), respond(200, end=False), pad, serve()]) as peer:
        async with opened(kind, response_type="blob") as client:
            assert (await wait(client.get(peer.url))).content == b"x" * 12_000


@both
async def test_frames_larger_than_what_is_asked_for_are_refused(kind: str) -> None:
    """Whatever the client says that it takes: a byte more is too much."""

    def oversize(on: Conversation) -> None:
        size = session_of(on).settings.get(MAX_FRAME_SIZE, 16_384) + 1
        with contextlib.suppress(OSError):
            on.socket.sendall(BEGUN + data(1, bytes(size), end=True))

    with Http2Peer([[greet(), expect_request(), oversize, read_on()], [greet(), serve()]]) as peer:
        async with opened(kind) as client:
            with pytest.raises(AtomHTTPProtocolError, match="FRAME_SIZE"):
                await wait(client.get(f"{peer.url}/a"))
            assert (await wait(client.get(f"{peer.url}/b"))).data == "GET /b"


# The state of HPACK


@both
async def test_a_head_that_is_refused_leaves_the_table_as_the_peer_knows_it(kind: str) -> None:
    """Refused for its size, it was decoded all the same: its entries are what later heads refer to."""
    entry = b"\x40\x05x-one\x03yes"
    refused = headers(1, raw=block(OK) + entry + block(*[(b"x", b"y")] * 200), end=True)
    good = headers(3, raw=block(OK) + b"\xbe", end=True)
    script = [
        greet(),
        expect_request(),
        send_as_answer(refused),
        expect_request(),
        send_as_answer(good),
        expect_close(),
    ]
    with Http2Peer(script) as peer:
        async with opened(kind) as client:
            with pytest.raises(AtomHTTPProtocolError) as caught:
                await wait(client.get(peer.url))
            assert caught.value.code == "HPE_HEADER_OVERFLOW"
            assert (await wait(client.get(peer.url))).headers["x-one"] == "yes"


@both
@pytest.mark.parametrize("limit", [2_000, 300_000])
async def test_max_header_size_moves_the_limit(kind: str, limit: int) -> None:
    """Counted as RFC 9113 section 6.5.2 does: 32 bytes more a field."""
    for beyond in (0, 1):
        fields = [(b"x", b"v" * 2_967)] * (limit // 3_000 - 1)
        rest = limit + beyond - 3_000 * len(fields) - len(b":status200") - 32
        fields.append((b"y", b"v" * (rest - 33)))
        with Http2Peer([greet(), expect_request(), in_many_frames(fields), serve()]) as peer:
            async with opened(kind, maxHeaderSize=limit) as client:
                if beyond:
                    with pytest.raises(AtomHTTPProtocolError, match=str(limit)) as caught:
                        await wait(client.get(peer.url))
                    assert caught.value.code == "HPE_HEADER_OVERFLOW"
                else:
                    assert len((await wait(client.get(peer.url))).headers["y"]) == rest - 33
                assert (await wait(client.get(f"{peer.url}/b"))).data == "GET /b"


def in_many_frames(fields: list[tuple[bytes, bytes]]) -> Step:
    """The head of stream 1, in frames as small as every client must take them, and its end."""
    whole = block(OK, *fields)
    pieces = [whole[at : at + 16_384] for at in range(0, len(whole), 16_384)]
    said = headers(1, raw=pieces[0], flags=0)
    for piece in pieces[1:]:
        said += continuation(1, piece)
    return send_as_answer(said + continuation(1, b"", end_headers=True) + data(1, end=True))


# Other parts of it


async def test_a_silent_peer_is_given_up(virtual_clock: VirtualClockLoop) -> None:
    """Not a byte, not even SETTINGS: the timeout is the caller's."""
    with Http2Peer([expect_preface(), hold()]) as peer:
        async with opened("async", timeout=30) as client:
            with pytest.raises(AtomHTTPError) as caught:
                await client.get(peer.url)
    assert (caught.value.code, type(caught.value).__name__) == ("ECONNABORTED", "AtomHTTPTimeoutError")
    assert virtual_clock.time() == pytest.approx(30, abs=0.1)


async def test_a_peer_that_only_pings_is_given_up(virtual_clock: VirtualClockLoop) -> None:
    """That it is there is no answer."""

    def keep_pinging(on: Conversation) -> None:
        with contextlib.suppress(OSError):
            while True:
                on.socket.sendall(ping())
                if read_frame(on) is None:
                    return

    with Http2Peer([greet(), expect_request(), keep_pinging]) as peer:
        async with opened("async", timeout=30) as client:
            with pytest.raises(AtomHTTPError) as caught:
                await client.get(peer.url)
    assert isinstance(caught.value, AtomHTTPNetworkError) or caught.value.code == "ECONNABORTED"


@both
async def test_what_a_server_pushes_is_not_taken(kind: str) -> None:
    """It was told not to (ENABLE_PUSH is 0), and a client that took it would have to keep it."""
    with Http2Peer([greet(), serve()]) as peer:
        async with opened(kind) as client:
            await wait(client.get(peer.url))
    assert peer.sessions[0].settings[2] == 0


@both
async def test_bytes_of_a_peer_are_escaped_in_errors(kind: str) -> None:
    words = b"\x1b[31m\r\nHTTP/1.1 200 OK\r\n\r\n" * 50
    for said in (goaway(1, Code.INTERNAL_ERROR, words), goaway(0x7FFFFFFF, 0xDEADBEEF, words)):
        with Http2Peer([greet(), expect_request(), send_as_answer(said), end(), read_on()]) as peer:
            async with opened(kind) as client:
                with pytest.raises(AtomHTTPNetworkError) as caught:
                    await wait(client.get(peer.url))
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400


@both
async def test_a_content_bomb_is_held_to_the_limit(kind: str) -> None:
    """What is decoded counts, as in HTTP/1.1, and only this stream ends."""
    bomb = gzip.compress(bytes(64 * MIB))

    def answer(request: Any) -> Reply:
        return Reply(200, ((b"content-encoding", b"gzip"),), bomb) if request.path == b"/bomb" else Reply(body=b"ok")

    with Http2Peer([greet(), serve(answer)]) as peer:
        async with opened(kind, maxContentLength=MIB, response_type="blob") as client:
            with pytest.raises(AtomHTTPError) as caught:
                await wait(client.get(f"{peer.url}/bomb"))
            assert caught.value.code == "ERR_MAX_CONTENT_LENGTH"
            assert (await wait(client.get(f"{peer.url}/b"))).content == b"ok"
