"""One response never answers another request: every way of sending too much, too late or too little we could think of.

Each layout is what a server sends on the first connection. Whatever it is, the second request must be answered by
what was meant for it: on a fresh connection, or on the old one only where nothing at all was wrong.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from atomhttp import AtomHTTP, AtomHTTPNetworkError, SyncAtomHTTP
from atomhttp._net.drivers.blocking import BlockingDriver
from atomhttp._net.http1 import FRESH, SLICE
from support.peer import Conversation, Peer, drain, expect_head, send, signal, wait
from support.server import PATIENCE

POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Layout:
    """`sends[0]` answers the first request; each further piece follows when the answer has been read."""

    name: str
    sends: Sequence[bytes]
    method: str = "GET"
    body: bytes | None = b"ok"
    """What the first request gets; None for an error."""
    reused: bool = False
    """Whether nothing was wrong, and the connection may go on."""
    headers: tuple[tuple[str, str], ...] = ()


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + end


# A response of exactly one slice, so that what follows it comes to the engine by itself.
LARGE = b"z" * (SLICE - len(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"))
SLICE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE)
assert len(SLICE_HEAD + LARGE) == SLICE

LAYOUTS = [
    # Nothing wrong: the control group.
    Layout("sized", [OK], reused=True),
    Layout("chunked", [chunked(b"o", b"k")], reused=True),
    Layout("chunked with extensions and trailers", [chunked(b"ok", end=b"0;a=b\r\nX: y\r\n\r\n")], reused=True),
    Layout("204", [b"HTTP/1.1 204 No Content\r\n\r\n"], body=b"", reused=True),
    Layout("304", [b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"], body=b"", reused=True),
    Layout("HEAD", [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"], method="HEAD", body=b"", reused=True),
    Layout("HEAD, chunked", [chunked(end=b"")], method="HEAD", body=b"", reused=True),
    Layout("interim responses", [b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 3 + OK], reused=True),
    # A second response in the same segment.
    Layout("sized, and a response", [OK + POISON]),
    Layout("chunked, and a response", [chunked(b"ok") + POISON]),
    Layout("chunked with a trailer, and a response", [chunked(b"ok", end=b"0\r\nX: y\r\n\r\n") + POISON]),
    Layout("empty, and a response", [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + POISON], body=b""),
    Layout("204, and a response", [b"HTTP/1.1 204 No Content\r\n\r\n" + POISON], body=b""),
    Layout("304, and its content", [b"HTTP/1.1 304 Not Modified\r\nContent-Length: 47\r\n\r\n" + POISON], body=b""),
    Layout("HEAD, and content", [b"HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n" + POISON], method="HEAD", body=b""),
    Layout("HEAD, and chunked content", [chunked(POISON)], method="HEAD", body=b""),
    Layout("a response at a slice's end", [SLICE_HEAD + LARGE + POISON], body=LARGE),
    # A little too much.
    Layout("one byte", [OK + b"x"]),
    Layout("one line end", [OK + b"\r\n"]),
    Layout("one line feed", [OK + b"\n"]),
    Layout("a NUL", [OK + b"\0"]),
    Layout("half a status line", [OK + b"HTTP/1.1 2"]),
    Layout("chunked, and a line end", [chunked(b"ok") + b"\r\n"]),
    Layout("chunked, and a second end", [chunked(b"ok") + b"0\r\n\r\n"]),
    Layout("204, and a line end", [b"HTTP/1.1 204 No Content\r\n\r\n\r\n"], body=b""),
    # Later, on the idle connection.
    Layout("later: a response", [OK, POISON]),
    Layout("later: a response, after chunked", [chunked(b"ok"), POISON]),
    Layout("later: one byte", [OK, b"x"]),
    Layout("later: one line end", [OK, b"\r\n"]),
    Layout("later: the content of a HEAD", [b"HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n", POISON], "HEAD", b""),
    Layout("later: the content of a 304", [b"HTTP/1.1 304 Not Modified\r\n\r\n", POISON], body=b""),
    Layout("later: the content of a 204", [b"HTTP/1.1 204 No Content\r\n\r\n", POISON], body=b""),
    Layout("later: a 408", [OK, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 6\r\n\r\npoison"]),
    Layout("later: an interim response", [OK, b"HTTP/1.1 100 Continue\r\n\r\n"]),
    # Framing that cannot be trusted.
    Layout("two lengths", [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"], body=None),
    Layout(
        "two different lengths",
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 44\r\n\r\nok" + POISON],
        body=None,
    ),
    Layout("a list of lengths", [b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok" + POISON], body=None),
    Layout("a signed length", [b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok" + POISON], body=None),
    Layout("a hexadecimal length", [b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok" + POISON], body=None),
    Layout("a length without end", [b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\nok"], body=None),
    Layout(
        "length and coding",
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + POISON],
        body=None,
    ),
    Layout("an unknown coding", [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n" + POISON], body=None),
    Layout(
        "a coding and a tab", [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n" + POISON], body=None
    ),
    Layout(
        "two codings", [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + POISON], body=None
    ),
    Layout("a coding in 1.0", [b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + POISON], body=None),
    Layout("a chunk with a sign", [chunked(end=b"-2\r\nok\r\n0\r\n\r\n")], body=None),
    Layout("a chunk in disguise", [chunked(end=b"0x2\r\nok\r\n0\r\n\r\n")], body=None),
    Layout("a chunk too long", [chunked(end=b"2\r\nokay\r\n0\r\n\r\n")], body=None),
    Layout("a chunk of 17 digits", [chunked(end=b"00000000000000002\r\nok\r\n0\r\n\r\n")], body=None),
    Layout("bare line feeds in chunks", [chunked(end=b"2\nok\n0\n\n" + POISON)], body=None),
    # Misplaced.
    Layout("a line end first", [b"\r\n" + OK], body=None),
    Layout("content before the head", [b"poison" + OK], body=None),
    Layout("101 that nobody asked for", [b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n" + POISON], body=None),
    Layout("bare line feeds in the head", [b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok" + POISON], body=None),
    Layout("another protocol", [b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"], body=None),
    Layout("a space before the colon", [b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok" + POISON], body=None),
    Layout("a folded field", [b"HTTP/1.1 200 OK\r\nA: b\r\n Content-Length: 2\r\n\r\nok" + POISON], body=None),
]

EACH = pytest.mark.parametrize("layout", LAYOUTS, ids=[each.name for each in LAYOUTS])


def test_there_are_enough_layouts() -> None:
    assert len(LAYOUTS) >= 40


def scripts(layout: Layout, idle: threading.Event, sent: threading.Event) -> list[list[Any]]:
    first = [expect_head(), send(layout.sends[0])]
    for later in layout.sends[1:]:
        first += [wait(idle), _send_quietly(later), signal(sent)]
    if layout.reused:
        return [[*first, expect_head(), send(GOOD), drain()]]
    return [[*first, drain()], [expect_head(), send(GOOD), drain()]]


def _send_quietly(data: bytes) -> Any:
    def send_quietly(on: Conversation) -> None:
        on.socket.sendall(data)

    return send_quietly


@EACH
async def test_the_next_request_never_sees_it(layout: Layout) -> None:
    idle, sent = threading.Event(), threading.Event()
    with Peer(scripts(layout, idle, sent)) as peer:
        async with AtomHTTP(response_type="blob", timeout=PATIENCE) as client:
            if layout.body is None:
                with pytest.raises(AtomHTTPNetworkError):
                    await client.request(layout.method, peer.url)
            else:
                assert (await client.request(layout.method, peer.url)).data == layout.body
            if len(layout.sends) > 1:
                idle.set()
                while not sent.is_set():
                    await asyncio.sleep(0.0005)
                await asyncio.sleep(0)
            # Not idempotent: nothing is sent twice behind our back.
            second = await client.post(peer.url, data=b"x")
            assert second.data == b"good"
    assert peer.connections == (1 if layout.reused else 2)


@EACH
def test_the_next_request_never_sees_it_without_a_loop(layout: Layout) -> None:
    idle, sent = threading.Event(), threading.Event()
    with Peer(scripts(layout, idle, sent)) as peer, SyncAtomHTTP(response_type="blob", timeout=PATIENCE) as client:
        if layout.body is None:
            with pytest.raises(AtomHTTPNetworkError):
                client.request(layout.method, peer.url)
        else:
            assert client.request(layout.method, peer.url).data == layout.body
        if len(layout.sends) > 1:
            idle.set()
            assert sent.wait(PATIENCE)
            threading.Event().wait(2 * FRESH)  # past what counts as "just now"; the test below is about that
        second = client.post(peer.url, data=b"x")
        assert second.data == b"good"
    assert peer.connections == (1 if layout.reused else 2)


def test_without_a_loop_every_checkout_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has watched the connection since, however little time has gone."""
    monkeypatch.setattr(BlockingDriver, "clock", staticmethod(lambda: 1_000.0))
    idle, sent = threading.Event(), threading.Event()
    layout = Layout("", [OK, POISON])
    with Peer(scripts(layout, idle, sent)) as peer, SyncAtomHTTP(response_type="blob") as client:
        assert client.get(peer.url).data == b"ok"
        idle.set()
        assert sent.wait(PATIENCE)
        assert client.post(peer.url, data=b"x").data == b"good"


AT_ONCE = [each for each in LAYOUTS if len(each.sends) == 1]


@pytest.mark.parametrize("layout", AT_ONCE, ids=[each.name for each in AT_ONCE])
async def test_who_waits_for_the_connection_never_sees_it(layout: Layout) -> None:
    """The same with the second request queued already: it gets the connection the moment it is given back."""
    idle, sent = threading.Event(), threading.Event()
    with Peer(scripts(layout, idle, sent)) as peer:
        async with AtomHTTP(response_type="blob", timeout=PATIENCE, max_connections=1) as client:
            first = asyncio.create_task(client.request(layout.method, peer.url))
            await asyncio.sleep(0)
            second = asyncio.create_task(client.post(peer.url, data=b"x"))
            results = await asyncio.gather(first, second, return_exceptions=True)
            assert getattr(results[1], "data", results[1]) == b"good"
    assert peer.connections == (1 if layout.reused else 2)


async def test_surplus_during_a_streamed_response_is_not_its_content(loop_kind: str) -> None:
    with Peer([[expect_head(), send(OK + POISON), drain()], [expect_head(), send(GOOD), drain()]]) as peer:
        async with AtomHTTP() as client:
            stream = (await client.get(peer.url, response_type="stream")).data
            assert await stream.read() == b"ok"
            assert (await client.get(peer.url)).text == "good"


async def test_an_unread_stream_is_never_given_back() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    with Peer([[expect_head(), send(head + POISON), drain()], [expect_head(), send(GOOD), drain()]]) as peer:
        async with AtomHTTP() as client:
            async with await client.get(peer.url, response_type="stream") as response:
                assert await response.data.read(6) == POISON[:6]
            assert (await client.get(peer.url)).text == "good"
