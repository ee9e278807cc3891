"""One response never answers another request: every way of sending too much, too late or too little we could think of.

A `Layout` is what a server sends on the first connection; a test below `LAYOUTS` is a situation in which something is
left over. Whatever it is, the next requests must be answered by what was meant for them: on a fresh connection, or on
the old one only where nothing at all was wrong. Replies say which request they answer. The numbers in brackets are
those of the hazards: D1 is surplus, D2 content that cannot be there, D3 to D6 framing, D9 early answers, D10 content
that nobody reads, D11 connections that end, D13 content that ends too soon.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from atomhttp import (
    AbortController,
    AtomHTTP,
    AtomHTTPCanceledError,
    AtomHTTPDecodeError,
    AtomHTTPError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPProxyError,
    AtomHTTPTimeoutError,
    DigestAuth,
)
from atomhttp._net.drivers.aio import AsyncioDriver
from atomhttp._net.drivers.blocking import BlockingDriver
from atomhttp._net.http1 import SLICE
from atomhttp._net.reactor import BUFFER_SIZE, RECENT
from contract.flavours import Api
from contract.flavours import wait as waited
from support.certificates import Certificates
from support.clock import VirtualClockLoop
from support.framing import read_body
from support.peer import (
    Conversation,
    Peer,
    Script,
    Step,
    close,
    drain,
    end,
    expect_head,
    hold,
    reset,
    send,
    signal,
    wait,
)
from support.scripted_proxy import Reply, ScriptedProxy
from support.server import PATIENCE
from support.socks import SocksServer

POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nSet-Cookie: poisoned=1\r\n\r\npoison"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
# What a connection ends by, among the pieces of a layout.
END, RESET = "end", "reset"


@dataclass(frozen=True)
class Layout:
    """The first `at_once` pieces answer the first request; each further one follows when its answer has been read."""

    name: str
    sends: Sequence[bytes | str]
    method: str = "GET"
    body: bytes | None = b"ok"
    """What the first request gets; None for an error."""
    reused: bool = False
    """Whether nothing was wrong, and the connection may go on."""
    at_once: int = 1


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n", more: bytes = b"") -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + more + b"\r\n" + body + end


def fields(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """A head."""
    return b"".join(line + b"\r\n" for line in (start, *lines)) + b"\r\n"


def filling(size: int) -> tuple[bytes, bytes]:
    """A response of exactly `size` bytes, and its content."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    content = b"z" * (size - len(head))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content)
    head = head[:-4] + b" " * (size - len(head) - len(content)) + b"\r\n\r\n"
    assert len(head + content) == size
    return head + content, content


# Responses that end where a read ends, so that what follows comes to the engine by itself.
SLICEFUL, SLICE_CONTENT = filling(SLICE)
BUFFERFUL, BUFFER_CONTENT = filling(BUFFER_SIZE)
CLAIMS_POISON = b"Content-Length: %d" % len(POISON)
GZIP = b"Content-Encoding: gzip"

# Nothing wrong: the control group.
CONTROLS = [
    Layout("sized", [OK], reused=True),
    Layout("empty", [EMPTY], body=b"", reused=True),
    Layout("chunked", [chunked(b"o", b"k")], reused=True),
    Layout("chunked with extensions and trailers", [chunked(b"ok", end=b"0;a=b\r\nX: y\r\n\r\n")], reused=True),
    Layout("framing fields as trailers", [chunked(b"ok", end=b"0\r\nContent-Length: 99\r\n\r\n")], reused=True),
    Layout("204", [NO_CONTENT], body=b"", reused=True),
    Layout("304", [b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"], body=b"", reused=True),
    Layout("205 with content", [OK.replace(b"200 OK", b"205 Reset")], reused=True),
    Layout("HEAD", [fields(b"Content-Length: 6")], method="HEAD", body=b"", reused=True),
    Layout("HEAD, chunked", [chunked(end=b"")], method="HEAD", body=b"", reused=True),
    Layout("HEAD, compressed", [fields(b"Content-Length: 6", GZIP)], method="HEAD", body=b"", reused=True),
    Layout("interim responses", [INTERIM * 3 + OK], reused=True),
    Layout("a length with zeros in front", [fields(b"Content-Length: 002") + b"ok"], reused=True),
    Layout(
        "1.0 that stays", [b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"], reused=True
    ),
    Layout(
        "content that is a response",
        [fields(b"Content-Length: %d" % (2 + len(POISON))) + b"ok" + POISON],
        body=b"ok" + POISON,
        reused=True,
    ),
    Layout("chunks that are a response", [chunked(b"ok", POISON)], body=b"ok" + POISON, reused=True),
]

# [D1] More than the response, in the same segment.
SURPLUS = [
    Layout("sized, and a response", [OK + POISON]),
    Layout("sized, and two responses", [OK + POISON + POISON]),
    Layout("sized, and a response without a length", [OK + b"HTTP/1.1 200 OK\r\n\r\npoison"]),
    Layout("sized, and an error", [OK + b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 6\r\n\r\npoison"]),
    Layout("sized, a line end, and a response", [OK + b"\r\n" + POISON]),
    Layout("sized, and a request", [OK + b"GET /poison HTTP/1.1\r\nHost: x\r\n\r\n"]),
    Layout("sized, and an interim response", [OK + INTERIM]),
    Layout("sized, and 100 Continue", [OK + b"HTTP/1.1 100 Continue\r\n\r\n"]),
    Layout("sized, and another protocol", [OK + b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"]),
    Layout("interim, sized, interim, sized", [INTERIM + OK + INTERIM + POISON]),
    Layout("chunked, and a response", [chunked(b"ok") + POISON]),
    Layout("chunked with a trailer, and a response", [chunked(b"ok", end=b"0\r\nX: y\r\n\r\n") + POISON]),
    Layout("chunked, and chunks", [chunked(b"ok") + b"6\r\npoison\r\n0\r\n\r\n"]),
    Layout("empty, and a response", [EMPTY + POISON], body=b""),
    Layout("a response at a slice's end", [SLICEFUL + POISON], body=SLICE_CONTENT),
    Layout("1.0 that stays, and a response", [CONTROLS[13].sends[0] + POISON]),  # type: ignore[operator]  # bytes
    # A little too much.
    Layout("one byte", [OK + b"x"]),
    Layout("one line end", [OK + b"\r\n"]),
    Layout("one line feed", [OK + b"\n"]),
    Layout("one blank", [OK + b" "]),
    Layout("a NUL", [OK + b"\0"]),
    Layout("half a status line", [OK + b"HTTP/1.1 2"]),
    Layout("half a head", [OK + POISON[:40]]),
    Layout("half a response", [OK + POISON[:-3]]),
    Layout("chunked, and a line end", [chunked(b"ok") + b"\r\n"]),
    Layout("chunked, and a second end", [chunked(b"ok") + b"0\r\n\r\n"]),
    Layout("chunked with a trailer, and a line end", [chunked(b"ok", end=b"0\r\nX: y\r\n\r\n\r\n")]),
    Layout("204, and a line end", [NO_CONTENT + b"\r\n"], body=b""),
    # In another segment, cut anywhere in the response.
    *(Layout(f"cut at {at}", [(OK + POISON)[:at], (OK + POISON)[at:]], at_once=2) for at in (1, 9, 17, 36, 38, 39)),
    Layout("cut in a chunk", [chunked(b"ok")[:-6], chunked(b"ok")[-6:] + POISON], at_once=2),
    Layout("cut in the last chunk", [chunked(b"ok")[:-2], b"\r\n" + POISON], at_once=2),
]

# [D2] Content where there is none, whatever its fields say.
NOT_CONTENT = [
    Layout("204, and a response", [NO_CONTENT + POISON], body=b""),
    Layout("204, and its content", [fields(CLAIMS_POISON, start=b"HTTP/1.1 204 No") + POISON], body=b""),
    Layout("204, and compressed content", [fields(GZIP, CLAIMS_POISON, start=b"HTTP/1.1 204 No") + POISON], body=b""),
    Layout("204, and chunks", [chunked(POISON).replace(b"200 OK", b"204 No")], body=b""),
    Layout("304, and its content", [fields(CLAIMS_POISON, start=b"HTTP/1.1 304 Not") + POISON], body=b""),
    Layout("304, and compressed content", [fields(GZIP, CLAIMS_POISON, start=b"HTTP/1.1 304 Not") + POISON], body=b""),
    Layout("304, and chunks", [chunked(POISON).replace(b"200 OK", b"304 Not")], body=b""),
    Layout("HEAD, and content", [fields(CLAIMS_POISON) + POISON], "HEAD", b""),
    Layout("HEAD, and compressed content", [fields(GZIP, CLAIMS_POISON) + POISON], "HEAD", b""),
    Layout("HEAD, and chunked content", [chunked(POISON)], "HEAD", b""),
    Layout("HEAD, and the end of chunks", [chunked()], "HEAD", b""),
    Layout("HEAD, without a length, and content", [fields() + POISON], "HEAD", b""),
    # A 1xx has no content either (RFC 9112 section 6.3): what follows it is the response.
    Layout("103 with content", [fields(CLAIMS_POISON, start=b"HTTP/1.1 103 Early") + POISON + OK], body=b"poison"),
]

# [D1] Later, on the idle connection.
LATER = [
    Layout("later: a response", [OK, POISON]),
    Layout("later: a response, after chunked", [chunked(b"ok"), POISON]),
    Layout("later: a response, in two pieces", [OK, POISON[:20], POISON[20:]]),
    Layout("later: one byte", [OK, b"x"]),
    Layout("later: one line end", [OK, b"\r\n"]),
    Layout("later: half a response", [OK, POISON[:-3]]),
    Layout("later: the content of a HEAD", [fields(CLAIMS_POISON), POISON], "HEAD", b""),
    Layout("later: the chunks of a HEAD", [chunked(end=b""), b"6\r\npoison\r\n0\r\n\r\n"], "HEAD", b""),
    Layout("later: the content of a 304", [fields(start=b"HTTP/1.1 304 Not"), POISON], body=b""),
    Layout("later: the content of a 204", [NO_CONTENT, POISON], body=b""),
    Layout("later: a 408", [OK, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 6\r\n\r\npoison"]),
    Layout("later: a 408, and the end", [OK, b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", END]),
    Layout("later: an interim response", [OK, b"HTTP/1.1 100 Continue\r\n\r\n"]),
    Layout("later: a response, at a buffer's end", [BUFFERFUL, POISON], body=BUFFER_CONTENT),
    Layout("later: one byte, at a buffer's end", [BUFFERFUL, b"x"], body=BUFFER_CONTENT),
    # Connections end as well [D11].
    Layout("later: the end", [OK, END]),
    Layout("later: a reset", [OK, RESET]),
    Layout("later: a response and the end", [OK, POISON, END]),
    Layout("later: a response and a reset", [OK, POISON, RESET]),
]

# The server says that the connection ends: what follows is nobody's.
CLOSING = [
    Layout("close", [fields(b"Connection: close", b"Content-Length: 2") + b"ok"]),
    Layout("close, and a response", [fields(b"Connection: close", b"Content-Length: 2") + b"ok" + POISON]),
    Layout("close in a list", [fields(b"Connection: x, CLOSE", b"Content-Length: 2") + b"ok" + POISON]),
    Layout("close, chunked, and a response", [chunked(b"ok", more=b"Connection: close\r\n") + POISON]),
    Layout("close, 204, and a response", [NO_CONTENT[:-2] + b"Connection: close\r\n\r\n" + POISON], body=b""),
    Layout("close, HEAD, and content", [fields(b"Connection: close", CLAIMS_POISON) + POISON], "HEAD", b""),
    Layout("close, and silence", [fields(b"Connection: close", b"Content-Length: 2") + b"ok"]),
    Layout("1.0, and a response", [b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok" + POISON]),
    Layout("no time to idle", [fields(b"Keep-Alive: timeout=0", b"Content-Length: 2") + b"ok"]),
    Layout("until the end", [fields() + b"ok" + POISON, END], body=b"ok" + POISON, at_once=2),
]

# [D3-D6] Framing that cannot be trusted, and bytes in the wrong place.
BROKEN = [
    Layout("two lengths", [fields(b"Content-Length: 2", b"Content-Length: 2") + b"ok"], body=None),
    Layout("two different lengths", [fields(b"Content-Length: 2", b"Content-Length: 44") + b"ok" + POISON], body=None),
    Layout("two lengths of a HEAD", [fields(b"Content-Length: 2", b"Content-Length: 44")], "HEAD", None),
    Layout("a list of lengths", [fields(b"Content-Length: 2, 2") + b"ok" + POISON], body=None),
    Layout("lengths without a comma", [fields(b"Content-Length: 2 2") + b"ok" + POISON], body=None),
    Layout("no length at all", [fields(b"Content-Length:") + b"ok" + POISON], body=None),
    Layout("a signed length", [fields(b"Content-Length: +2") + b"ok" + POISON], body=None),
    Layout("a negative length", [fields(b"Content-Length: -2") + b"ok" + POISON], body=None),
    Layout("a hexadecimal length", [fields(b"Content-Length: 0x2") + b"ok" + POISON], body=None),
    Layout("a length without end", [fields(b"Content-Length: " + b"9" * 40) + b"ok"], body=None),
    Layout(
        "length and coding",
        [fields(b"Content-Length: 2", b"Transfer-Encoding: chunked") + b"2\r\nok\r\n0\r\n\r\n" + POISON],
        body=None,
    ),
    Layout(
        "coding and length",
        [fields(b"Transfer-Encoding: chunked", b"Content-Length: 2") + b"2\r\nok\r\n0\r\n\r\n" + POISON],
        body=None,
    ),
    Layout("an unknown coding", [fields(b"Transfer-Encoding: xchunked") + POISON], body=None),
    Layout("a coding and a tab", [fields(b"Transfer-Encoding: chunked\t") + b"0\r\n\r\n" + POISON], body=None),
    Layout("two codings", [fields(b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n" + POISON], body=None),
    Layout("identity", [fields(b"Transfer-Encoding: identity", b"Content-Length: 2") + b"ok" + POISON], body=None),
    Layout("a coding in 1.0", [b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + POISON], body=None),
    Layout("a chunk with a sign", [chunked(end=b"-2\r\nok\r\n0\r\n\r\n")], body=None),
    Layout("a chunk in disguise", [chunked(end=b"0x2\r\nok\r\n0\r\n\r\n")], body=None),
    Layout("a chunk too long", [chunked(end=b"2\r\nokay\r\n0\r\n\r\n")], body=None),
    Layout("a chunk too short", [chunked(end=b"9\r\nok\r\n0\r\n\r\n" + POISON)], body=None),
    Layout("a chunk of 17 digits", [chunked(end=b"00000000000000002\r\nok\r\n0\r\n\r\n")], body=None),
    Layout("bare line feeds in chunks", [chunked(end=b"2\nok\n0\n\n" + POISON)], body=None),
    Layout("chunks that end without one", [chunked(b"ok", end=POISON)], body=None),
    Layout("a line end first", [b"\r\n" + OK], body=None),
    Layout("content before the head", [b"poison" + OK], body=None),
    Layout("101 that nobody asked for", [b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n" + POISON], body=None),
    Layout("bare line feeds in the head", [b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok" + POISON], body=None),
    Layout("another version", [b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"], body=None),
    Layout("a space before the colon", [fields(b"Content-Length : 2") + b"ok" + POISON], body=None),
    Layout("a folded field", [fields(b"A: b", b" Content-Length: 2") + b"ok" + POISON], body=None),
    Layout("interim responses without end", [INTERIM * 21 + OK], body=None),
]

# [D13] Too little, and then the end.
MISSING = [
    *(
        Layout(f"{name}, {ending}", [*sends, ending], body=None, at_once=1 + len(sends))
        for ending in (END, RESET)
        for name, sends in [
            ("nothing", []),
            ("half a head", [OK[:20]]),
            ("an interim response", [INTERIM]),
            ("a head", [fields(b"Content-Length: 2")]),
            ("a byte of two", [OK[:-1]]),
            ("no chunk", [chunked(end=b"")]),
            ("half a chunk", [chunked(end=b"2\r\no")]),
            ("no last chunk", [chunked(b"ok", end=b"")]),
            ("half a last chunk", [chunked(b"ok", end=b"0\r\n")]),
            ("half a trailer", [chunked(b"ok", end=b"0\r\nX: y\r\n")]),
        ]
    ),
    Layout("without a length, reset", [fields() + b"ok", RESET], body=None, at_once=2),
]

LAYOUTS = [*CONTROLS, *SURPLUS, *NOT_CONTENT, *LATER, *CLOSING, *BROKEN, *MISSING]
NAMES = [each.name for each in LAYOUTS]
IS_FULL = os.environ.get("HOSTILE") == "full"
EACH = pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)


def test_there_are_enough_layouts() -> None:
    assert len(set(NAMES)) == len(LAYOUTS) >= 140
    assert sum(not each.reused for each in LAYOUTS) >= 120


# What the peer does


def at_once(on: Conversation) -> None:
    """Have the kernel send what it is given, when it is given it."""
    if on.socket.family != socket.AF_UNIX:
        on.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def answer(poisoned: Callable[[str], bool] = lambda target: False) -> Step:
    """Read one request, and say which it was; with a surplus where `poisoned` says so of its target."""

    def answer(on: Conversation) -> None:
        at_once(on)
        expect_head()(on)
        head = on.heads[-1]
        read_body(on.stream, head)
        content = f"for {head.method} {head.target}".encode()
        response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)
        on.socket.sendall(response + POISON if poisoned(head.target) else response)

    return answer


def send_apart(piece: bytes | str) -> Step:
    """Send in a segment of its own, or end; the client may have gone."""

    def send_apart(on: Conversation) -> None:
        at_once(on)
        with contextlib.suppress(OSError):
            if isinstance(piece, bytes):
                on.socket.sendall(piece)
            else:
                (end() if piece == END else reset())(on)

    return send_apart


GOES_ON: Script = [answer(), answer(), drain()]


def scripts(layout: Layout, idle: threading.Event, sent: threading.Event) -> list[Script]:
    first: list[Step] = [expect_head(), *map(send_apart, layout.sends[: layout.at_once])]
    if len(layout.sends) > layout.at_once:
        first += [wait(idle), *map(send_apart, layout.sends[layout.at_once :]), signal(sent)]
    if layout.reused:
        return [[*first, *GOES_ON]]
    return [first if RESET in layout.sends else [*first, drain()], GOES_ON]


# What the client does

BOTH = ("asyncio", "sync")
FLAVOURS = pytest.mark.parametrize("flavour", BOTH)
POST, GET = b"for POST /2", b"for GET /3"


def run(flavour: str, body: Callable[[Api], Coroutine[Any, Any, None]]) -> None:
    """`body` with the asynchronous client, or by hand with the synchronous one."""
    api = Api(flavour)
    api.run(body(api))


async def until(api: Api, condition: Callable[[], Any]) -> None:
    for _ in range(int(PATIENCE * 2000)):
        if condition():
            return
        if api.is_sync:
            threading.Event().wait(0.0005)
        else:
            await asyncio.sleep(0.0005)
    raise AssertionError("it never became true")


async def go_on(client: Any, url: str) -> None:
    """The next requests. The first of them is not idempotent: nothing is sent twice behind our back."""
    second = await client.post(f"{url}/2", data=b"x", response_type="blob")
    assert second.data == POST
    third = await client.get(f"{url}/3", response_type="blob")
    assert third.data == GET
    assert "poison" not in f"{second.headers} {third.headers}"


async def ask_whole(client: Any, layout: Layout, url: str) -> Any:
    return (await client.request(layout.method, f"{url}/1", response_type="blob")).data


async def ask_with_progress(client: Any, layout: Layout, url: str) -> Any:
    response = await client.request(
        layout.method, f"{url}/1", response_type="blob", on_download_progress=lambda _loaded, _total: None
    )
    return response.data


async def ask_in_pieces(client: Any, layout: Layout, url: str) -> Any:
    response = await client.request(layout.method, f"{url}/1", response_type="stream")
    return await waited(response.data.read())


ASK = (ask_whole, ask_with_progress, ask_in_pieces)


async def check(api: Api, layout: Layout, ask: Any, options: dict[str, Any], **place: Any) -> None:
    """The layout on the first connection, and what comes after it."""
    idle, sent = threading.Event(), threading.Event()
    with Peer(scripts(layout, idle, sent), **place) as peer:
        client = api.client(timeout=PATIENCE, **options)
        if layout.body is None:
            with pytest.raises(AtomHTTPNetworkError):
                await ask(client, layout, peer.url)
        else:
            assert await ask(client, layout, peer.url) == layout.body
        if len(layout.sends) > layout.at_once:
            assert client.pool_stats().idle == 1
            idle.set()
            await until(api, sent.is_set)
            if not api.is_sync:
                # Between its calls nobody watches for the synchronous client: it looks when it takes the connection.
                await until(api, lambda: client.pool_stats().open == 0)
        await go_on(client, peer.url)
        assert list(client.cookies) == (["poisoned"] if layout.body == b"poison" else [])
        await client.close()
    assert peer.connections == (1 if layout.reused else 2)


async def check_queued(api: Api, layout: Layout) -> None:
    """The same with the next request queued already: it gets the connection the moment it is given back."""
    never = threading.Event()
    with Peer(scripts(layout, never, never)) as peer:
        client = api.client(response_type="blob", timeout=PATIENCE, max_connections=1)
        sender = client.real.defer if api.is_sync else client
        calls = [sender.request(layout.method, f"{peer.url}/1"), sender.post(f"{peer.url}/2", data=b"x")]
        together = client.real.all if api.is_sync else client.all
        first, second = await waited(together(calls, return_exceptions=True))
        assert isinstance(first, AtomHTTPNetworkError) if layout.body is None else first.data == layout.body
        assert getattr(second, "data", second) == POST
        assert (await client.get(f"{peer.url}/3")).data == GET
        await client.close()
    assert peer.connections == (1 if layout.reused else 2)


@pytest.fixture(scope="module")
def tls(certificates: Certificates) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's and the client's."""
    return certificates.server_context(), certificates.client_context()


@EACH
def test_the_next_request_never_sees_it(layout: Layout, tls: Any) -> None:
    chance = random.Random(layout.name)

    async def watched(api: Api) -> None:
        for ask in (ask_whole, ask_in_pieces):
            await check(api, layout, ask, {})
        if len(layout.sends) == layout.at_once:
            await check_queued(api, layout)

    async def unwatched(api: Api) -> None:
        await check(api, layout, chance.choice(ASK), {})
        if len(layout.sends) == layout.at_once:
            await check_queued(api, layout)

    async def encrypted(api: Api) -> None:
        for ask in ASK if IS_FULL else (chance.choice(ASK),):
            await check(api, layout, ask, {"verify": tls[1]}, tls=tls[0])

    run("asyncio", watched)
    run("sync", unwatched)
    for flavour in BOTH if IS_FULL else (chance.choice(BOTH),):
        run(flavour, encrypted)


# There is no RST on a unix socket, and proxies do not pass it on.
NOT_RESET = [each for each in LAYOUTS if RESET not in each.sends]


def some(layouts: list[Layout]) -> list[Layout]:
    """A twelfth; HOSTILE=full: all of them."""
    return layouts if IS_FULL else random.Random(5).sample(layouts, len(layouts) // 12)


@FLAVOURS
def test_nor_over_a_unix_socket(flavour: str, tmp_path: Path) -> None:
    async def body(api: Api) -> None:
        for layout in some(NOT_RESET):
            path = tmp_path / "s"
            await check(api, layout, ask_whole, {"socketPath": path}, unix=path)

    run(flavour, body)


@FLAVOURS
def test_nor_through_proxies(flavour: str, tls: Any) -> None:
    """Inside a tunnel (TLS in CONNECT, plain in SOCKS)."""

    async def body(api: Api) -> None:
        # Nobody knows when a proxy has passed on what came last: only who watches the connection is told.
        for layout in some([each for each in NOT_RESET if not api.is_sync or len(each.sends) == each.at_once]):
            with ScriptedProxy() as proxy, SocksServer() as socks:
                await check(api, layout, ask_whole, {"proxy": proxy.url, "verify": tls[1]}, tls=tls[0])
                await check(api, layout, ask_whole, {"proxy": f"socks5://127.0.0.1:{socks.port}"})

    run(flavour, body)


# [D1] Exactly at checkout, and before anything was asked


def poisoned_while_idle(idle: threading.Event, sent: threading.Event) -> list[Script]:
    return [[answer(), wait(idle), send(POISON), signal(sent), drain()], GOES_ON]


@FLAVOURS
def test_every_checkout_looks(flavour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are there, and nobody has had the time to look: the loop was busy."""
    now = [1_000.0]
    for driver in (AsyncioDriver, BlockingDriver):
        monkeypatch.setattr(driver, "clock", staticmethod(lambda: now[0]))
    idle, sent = threading.Event(), threading.Event()

    async def body(api: Api) -> None:
        with Peer(poisoned_while_idle(idle, sent)) as peer:
            client = api.client()
            assert (await client.get(f"{peer.url}/1")).text == "for GET /1"
            idle.set()
            assert sent.wait(PATIENCE)  # no await in between
            now[0] += 2 * RECENT
            await go_on(client, peer.url)
            await client.close()

    run(flavour, body)


@contextlib.contextmanager
def when_connected(action: Callable[[], object]) -> Iterator[None]:
    """Has `action` called in the middle of every connect, when the socket is there and nothing has been sent."""

    class Hook(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("connected to"):
                action()

    logger, hook = logging.getLogger("atomhttp.connection"), Hook()
    level = logger.level
    logger.addHandler(hook)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(hook)
        logger.setLevel(level)


@FLAVOURS
def test_who_speaks_first_is_not_listened_to_a_second_time(flavour: str) -> None:
    """A response before the request, on a fresh connection. hyper refuses it; curl and Node take it for the answer.

    So do we: a server that is overloaded may say so at once. But then every answer is that to the request before: curl
    and Node go on like that. We must not.
    """
    sent = threading.Event()

    def speaks_first(on: Conversation) -> None:
        at_once(on)
        on.socket.sendall(OK)
        sent.set()
        expect_head()(on)
        with contextlib.suppress(OSError, AssertionError):  # the client is to end it
            while True:
                expect_head()(on)
                on.socket.sendall(OK.replace(b"ok", b"no"))

    async def body(api: Api) -> None:
        with Peer([[speaks_first], GOES_ON]) as peer, when_connected(lambda: sent.wait(PATIENCE)):
            client = api.client(timeout=PATIENCE)
            assert (await client.get(f"{peer.url}/1")).text == "ok"
            await go_on(client, peer.url)
            await client.close()

    run(flavour, body)


@FLAVOURS
@pytest.mark.parametrize("data", [b"a" * 4_000_000, b"a" * 400], ids=["large", "small"])
def test_a_response_in_the_middle_of_the_next_request_is_the_last_of_its_connection(flavour: str, data: bytes) -> None:
    """[D1, D9] It cannot be told from an early answer to that request; but nothing follows on that connection."""

    async def body(api: Api) -> None:
        early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nearly"
        begun: Script = [answer(), expect_head(), send(early + POISON), drain()]
        with Peer([begun, GOES_ON]) as peer:
            client = api.client(timeout=PATIENCE)
            assert (await client.get(f"{peer.url}/1")).text == "for GET /1"
            assert (await client.post(f"{peer.url}/early", data=data)).text == "early"
            await go_on(client, peer.url)
            await client.close()
            assert b"/2" not in peer.received(0)

    run(flavour, body)


# [D1] Surplus behind an answer that the client itself acts upon

REDIRECTS = {
    "empty": fields(b"Location: /2", b"Content-Length: 0", start=b"HTTP/1.1 %d Moved") + POISON,
    "with content": fields(b"Location: /2", b"Content-Length: 2", start=b"HTTP/1.1 %d Moved") + b"no" + POISON,
    "chunked": fields(b"Location: /2", b"Transfer-Encoding: chunked", start=b"HTTP/1.1 %d Moved")
    + b"0\r\n\r\n"
    + POISON,
    "closing": fields(b"Location: /2", b"Connection: close", b"Content-Length: 0", start=b"HTTP/1.1 %d Moved") + POISON,
    "without an end": fields(b"Location: /2", b"Content-Length: 1000", start=b"HTTP/1.1 %d Moved") + POISON,
    "by a byte": fields(b"Location: /2", b"Content-Length: 0", start=b"HTTP/1.1 %d Moved") + b"\n",
}


@FLAVOURS
@pytest.mark.parametrize("kind", REDIRECTS)
def test_the_hop_of_a_redirect_does_not_see_what_is_behind_it(flavour: str, kind: str) -> None:
    async def body(api: Api) -> None:
        for status in (301, 302, 303, 307, 308):
            for response_type in ("blob", "stream"):
                end_of_it = [end()] if kind == "without an end" else []
                first: Script = [expect_head(), send(REDIRECTS[kind] % status), *end_of_it, drain()]
                with Peer([first, GOES_ON]) as peer:
                    client = api.client(timeout=PATIENCE, response_type=response_type)
                    method = "POST" if status in (307, 308) else "GET"
                    # What nobody will read of a redirect may well be cut off.
                    response = await client.request(method, f"{peer.url}/1")
                    data = response.data if response_type == "blob" else await waited(response.data.read())
                    assert data == f"for {method} /2".encode()
                    assert (await client.get(f"{peer.url}/3", response_type="blob")).data == GET
                    await client.close()

    run(flavour, body)


@FLAVOURS
@pytest.mark.parametrize("surplus", [POISON, b"x", POISON[:30]])
def test_the_retry_does_not_see_what_is_behind_the_refusal(flavour: str, surplus: bytes) -> None:
    async def body(api: Api) -> None:
        refusal = fields(b"Content-Length: 2", start=b"HTTP/1.1 503 Busy") + b"no" + surplus
        first: Script = [expect_head(), send(refusal), drain()]
        with Peer([first, first, GOES_ON]) as peer:
            client = api.client(timeout=PATIENCE)
            retry = {"max_retries": 3, "backoff_factor": 0, "methods": ["POST"]}
            response = await client.post(f"{peer.url}/2", data=b"x", retryConfig=retry)
            assert (response.text, len(response.attempts)) == ("for POST /2", 3)
            assert (await client.get(f"{peer.url}/3", response_type="blob")).data == GET
            await client.close()

    run(flavour, body)


@FLAVOURS
@pytest.mark.parametrize("surplus", [POISON, b"x", POISON[:30]])
def test_the_answer_to_a_challenge_does_not_see_what_is_behind_it(flavour: str, surplus: bytes) -> None:
    async def body(api: Api) -> None:
        challenge = fields(
            b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256',
            b"Content-Length: 2",
            start=b"HTTP/1.1 401 Who",
        )
        for response_type in ("blob", "stream"):
            with Peer([[expect_head(), send(challenge + b"no" + surplus), drain()], GOES_ON]) as peer:
                client = api.client(timeout=PATIENCE, auth=DigestAuth("user", "password"))
                response = await client.post(f"{peer.url}/2", data=b"x", response_type=response_type)
                assert (response.data if response_type == "blob" else await waited(response.data.read())) == POST
                assert (await client.get(f"{peer.url}/3", response_type="blob")).data == GET
                await client.close()

    run(flavour, body)


# [D10] Content that nobody reads


@FLAVOURS
def test_a_stream_that_is_not_read_to_its_end_takes_its_connection_along(flavour: str) -> None:
    content = fields(b"Content-Length: 1000") + POISON
    pieces = chunked(POISON, end=b"3e8\r\n") + POISON

    async def body(api: Api) -> None:
        for sends in (content, pieces):
            for size in (0, 6):
                with Peer([[expect_head(), send(sends), drain()], GOES_ON]) as peer:
                    client = api.client(timeout=PATIENCE)
                    stream = (await client.get(f"{peer.url}/1", response_type="stream")).data
                    if size:
                        assert await waited(stream.read(size)) == POISON[:size]
                    await waited(stream.close() if api.is_sync else stream.aclose())
                    await go_on(client, peer.url)
                    await client.close()

    run(flavour, body)


@FLAVOURS
def test_a_consumer_that_fails_takes_its_connection_along(flavour: str) -> None:
    async def body(api: Api) -> None:
        with Peer([[expect_head(), send(fields(b"Content-Length: 1000") + POISON), drain()], GOES_ON]) as peer:
            client = api.client(timeout=PATIENCE)
            response = await client.get(f"{peer.url}/1", response_type="stream")
            with pytest.raises(ZeroDivisionError):
                if api.is_sync:
                    with response:
                        raise ZeroDivisionError
                async with response:
                    raise ZeroDivisionError
            await go_on(client, peer.url)
            await client.close()

    run(flavour, body)


class OurOwnError(Exception):
    """Of a function of the caller's."""


def fail(*_: Any) -> Any:
    raise OurOwnError


def fail_later(loaded: int, _total: int) -> None:
    if loaded >= 256 * 1024:
        raise OurOwnError


LONG = fields(b"Content-Length: %d" % (400_000 + len(POISON)))
# What breaks a call off; the answer to it; the error.
BREAKS: dict[str, tuple[dict[str, Any], bytes, type[Exception]]] = {
    "progress at the start": ({"on_download_progress": fail}, LONG + POISON, OurOwnError),
    "progress later": ({"on_download_progress": fail_later}, LONG + b"z" * 400_000 + POISON, OurOwnError),
    "progress at the end": ({"on_download_progress": fail}, OK + POISON, OurOwnError),
    "validateStatus": ({"validateStatus": fail}, OK + POISON, OurOwnError),
    "validateStatus, early": ({"validateStatus": fail, "on_download_progress": print}, LONG + POISON, OurOwnError),
    "transformResponse": ({"transformResponse": fail}, OK + POISON, OurOwnError),
    "jsonDecoder": ({"jsonDecoder": fail, "response_type": "json"}, OK + POISON, OurOwnError),
    "not gzip": ({}, fields(b"Content-Length: 2", GZIP) + b"ok" + POISON, AtomHTTPDecodeError),
    "not gzip, chunked": ({}, chunked(b"ok", more=GZIP + b"\r\n") + POISON, AtomHTTPDecodeError),
    "too long": ({"maxContentLength": 9}, LONG + POISON, AtomHTTPLimitError),
    "too long, and whole": ({"maxContentLength": 1}, OK + POISON, AtomHTTPLimitError),
    "too long, chunked": ({"maxContentLength": 9}, chunked(POISON, end=b"999\r\n") + POISON, AtomHTTPLimitError),
    "too long, chunked, and whole": ({"maxContentLength": 9}, chunked(POISON) + POISON, AtomHTTPLimitError),
    "too long, without an end": ({"maxContentLength": 9}, fields() + POISON, AtomHTTPLimitError),
    "a status refused": (
        {"validateStatus": True},
        fields(CLAIMS_POISON, start=b"HTTP/1.1 404 No") + POISON + POISON,
        AtomHTTPError,
    ),
    "too many redirects": (
        {"maxRedirects": 1},
        fields(b"Location: /", b"Content-Length: 0", start=b"HTTP/1.1 302 Moved") + POISON,
        AtomHTTPError,
    ),
    "a Location that is none": (
        {},
        fields(b"Location: http://", CLAIMS_POISON, start=b"HTTP/1.1 302 Moved") + POISON + POISON,
        AtomHTTPError,
    ),
    "a redirect too long": (
        {"maxContentLength": 9},
        fields(b"Location: /2", CLAIMS_POISON, start=b"HTTP/1.1 302 Moved") + POISON + POISON,
        AtomHTTPLimitError,
    ),
}


@FLAVOURS
@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_a_call_off_leaves_nothing_to_the_next(flavour: str, name: str) -> None:
    options, sends, expected = BREAKS[name]

    async def body(api: Api) -> None:
        first: Script = [expect_head(), send(sends), drain()]
        hops = 2 if name == "too many redirects" else 1
        with Peer([*[first] * hops, GOES_ON]) as peer:
            client = api.client(timeout=PATIENCE)
            with pytest.raises(expected):
                await client.get(f"{peer.url}/1", **{"response_type": "blob", **options})
            await go_on(client, peer.url)
            await client.close()

    run(flavour, body)


# A request that has not gone out whole: what is missing of it must not be the next one


@FLAVOURS
def test_a_request_that_was_broken_off_is_not_completed_by_the_next(flavour: str) -> None:
    def pieces(api: Api, error: bool) -> Any:
        def numbers() -> Iterator[bytes]:
            yield b"abc"
            if error:
                raise OurOwnError

        async def counted() -> Any:
            for piece in numbers():
                yield piece

        return numbers() if api.is_sync else counted()

    async def body(api: Api) -> None:
        for error, options, expected in [
            (True, {}, OurOwnError),
            (True, {"headers": {"Content-Length": "200"}}, OurOwnError),
            (False, {"headers": {"Content-Length": "200"}}, AtomHTTPOptionError),
            (False, {"headers": {"Content-Length": "2"}}, AtomHTTPOptionError),
            (False, {"on_upload_progress": fail}, OurOwnError),
        ]:
            with Peer([[answer(), drain()], GOES_ON]) as peer:
                client = api.client(timeout=PATIENCE)
                await client.get(f"{peer.url}/0")
                with pytest.raises(expected):
                    await client.post(f"{peer.url}/1", data=pieces(api, error), **options)
                await go_on(client, peer.url)
                await client.close()
                assert b"/2" not in peer.received(0)

    run(flavour, body)


EARLY = b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nearly"


@FLAVOURS
@pytest.mark.parametrize(
    "answer_of", [EARLY, EARLY + POISON, EARLY + b"\n"], ids=["alone", "with poison", "and a byte"]
)
def test_an_early_answer_is_the_last_of_its_connection(flavour: str, answer_of: bytes) -> None:
    """[D9] However polite the server was about it: it waits for content that will never come."""

    async def body(api: Api) -> None:
        for data, options in [
            (b"a" * 8_000_000, {}),
            (api.iterator([b"a" * 100_000] * 80), {}),
            (b"a", {"headers": {"Expect": "100-continue"}}),
        ]:
            with Peer([[expect_head(), send(answer_of), hold()], GOES_ON]) as peer:
                client = api.client(timeout=PATIENCE)
                assert (await client.post(f"{peer.url}/1", data=data, **options)).text == "early"
                await go_on(client, peer.url)
                await client.close()
                assert b"/2" not in peer.received(0)

    run(flavour, body)


# Given up: the answer comes when nobody waits for it any more

MOMENTS = {
    "before the head": b"",
    "after an interim response": INTERIM,
    "in the head": POISON[:30],
    "in the content": POISON[:-3],
    "in a chunk": chunked(b"ok", end=b"2f\r\nH"),
}


def give_up(action: Callable[[], object]) -> Step:
    def give_up(on: Conversation) -> None:
        action()

    return give_up


def late(first: bytes, action: Callable[[], object], gone: threading.Event) -> list[Script]:
    """A part of the response, then `action`, then the rest."""
    return [
        [
            expect_head(),
            send_apart(first),
            give_up(action),
            wait(gone),
            send_apart(POISON.removeprefix(first)),
            send_apart(POISON),
            drain(),
        ],
        GOES_ON,
    ]


@FLAVOURS
@pytest.mark.parametrize("moment", MOMENTS)
def test_the_answer_to_an_aborted_request_is_nobodys(flavour: str, moment: str) -> None:
    async def body(api: Api) -> None:
        controller, gone = AbortController(), threading.Event()
        with Peer(late(MOMENTS[moment], controller.abort, gone)) as peer:
            client = api.client(timeout=PATIENCE)
            with pytest.raises(AtomHTTPCanceledError):
                await client.get(f"{peer.url}/1", signal=controller.signal)
            gone.set()
            await go_on(client, peer.url)
            await client.close()

    run(flavour, body)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_the_answer_to_a_cancelled_request_is_nobodys(moment: str) -> None:
    loop, gone = asyncio.get_running_loop(), threading.Event()
    async with AtomHTTP(timeout=PATIENCE) as client:
        with Peer(late(MOMENTS[moment], lambda: loop.call_soon_threadsafe(task.cancel), gone)) as peer:
            task = asyncio.create_task(client.get(f"{peer.url}/1"))
            with pytest.raises(asyncio.CancelledError):
                await task
            gone.set()
            await go_on(client, peer.url)
            await client.close()


@pytest.mark.parametrize("moment", MOMENTS)
async def test_the_answer_to_a_request_that_took_too_long_is_nobodys(
    moment: str, virtual_clock: VirtualClockLoop
) -> None:
    gone = threading.Event()
    with Peer(late(MOMENTS[moment], lambda: None, gone)) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPTimeoutError):
                await client.get(f"{peer.url}/1", timeout=5)
            gone.set()
            await go_on(client, peer.url)


async def test_tagged_replies_reach_who_asked_for_them(tls: Any) -> None:
    """400 requests by four connections: answered, poisoned, broken off, cancelled and limited in any order."""
    chance = random.Random(1)

    def serve(on: Conversation) -> None:
        with contextlib.suppress(OSError, EOFError, AssertionError):
            while True:
                answer(lambda target: "poison" in target)(on)

    async def ask(client: AtomHTTP, url: str, number: int) -> None:
        kind = chance.choice(["plain"] * 4 + ["poison", "cancel", "limit", "stream"])
        place = f"/{number}/{kind}"
        options: dict[str, Any] = {"maxContentLength": 3} if kind == "limit" else {}
        task = asyncio.create_task(
            client.get(url + place, response_type="stream" if kind == "stream" else "text", **options)
        )
        if kind == "cancel":
            for _ in range(chance.randrange(12)):
                await asyncio.sleep(0)
            task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        match kind:
            case "cancel":
                assert isinstance(result, asyncio.CancelledError) or result.data == f"for GET {place}"
            case "limit":
                assert isinstance(result, AtomHTTPLimitError)
            case "stream":
                half = chance.randrange(2)
                assert (await result.data.read(3 if half else -1)) == f"for GET {place}".encode()[: 3 if half else None]
                await result.data.aclose()
            case _:
                assert result.data == f"for GET {place}"

    for options, place in (({}, {}), ({"verify": tls[1]}, {"tls": tls[0]})):
        with Peer([serve], repeat=True, **place) as peer:  # type: ignore[arg-type]  # only tls
            async with AtomHTTP(timeout=PATIENCE, max_connections=4, **options) as client:
                await asyncio.gather(*(ask(client, peer.url, number) for number in range(200)))


# [D11] The connection ends at the worst moment


@FLAVOURS
@pytest.mark.parametrize("ending", [close(), reset()], ids=["end", "reset"])
def test_the_end_between_checkout_and_the_first_byte(flavour: str, ending: Step) -> None:
    async def body(api: Api) -> None:
        with Peer([[answer(), expect_head(), ending], GOES_ON]) as peer:
            client = api.client(timeout=PATIENCE)
            await client.get(f"{peer.url}/1")
            with pytest.raises(AtomHTTPNetworkError, match="may have been sent"):
                await client.post(f"{peer.url}/lost", data=b"x")
            await go_on(client, peer.url)
            await client.close()
        with Peer([[answer(), expect_head(), ending], [answer(), answer(), answer(), drain()]]) as peer:
            client = api.client(timeout=PATIENCE)
            await client.get(f"{peer.url}/1")
            response = await client.get(f"{peer.url}/again")
            assert (response.text, len(response.attempts)) == ("for GET /again", 2)
            await go_on(client, peer.url)
            await client.close()

    run(flavour, body)


@FLAVOURS
@pytest.mark.parametrize("ending", [close(), reset()], ids=["end", "reset"])
@pytest.mark.parametrize("start", [b"H", INTERIM, POISON[:-1]])
def test_the_end_after_the_first_byte_is_told(flavour: str, ending: Step, start: bytes) -> None:
    async def body(api: Api) -> None:
        with Peer([[answer(), expect_head(), send(start), ending], GOES_ON]) as peer:
            client = api.client(timeout=PATIENCE)
            await client.get(f"{peer.url}/1")
            with pytest.raises(AtomHTTPNetworkError):
                await client.get(f"{peer.url}/lost")
            await go_on(client, peer.url)
            await client.close()

    run(flavour, body)


# [B5, D2] Behind the answer of a proxy

GLUED = {
    "a response": b"HTTP/1.1 200 Yes\r\n\r\n" + POISON,
    "a byte": b"HTTP/1.1 200 Yes\r\n\r\nx",
    "content": fields(CLAIMS_POISON, start=b"HTTP/1.1 200 Yes") + POISON,
    "chunks": chunked(POISON),
    "an interim response, a response": INTERIM + b"HTTP/1.1 200 Yes\r\n\r\n" + POISON,
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n" + POISON,
    "a redirect": fields(b"Location: http://evil.test/", CLAIMS_POISON, start=b"HTTP/1.1 302 Moved") + POISON,
    "a challenge": fields(b"Proxy-Authenticate: Basic", CLAIMS_POISON, start=b"HTTP/1.1 407 Who") + POISON,
    "nothing but a response": POISON + POISON,
}


@FLAVOURS
@pytest.mark.parametrize("name", GLUED)
def test_what_is_glued_to_the_answer_of_a_proxy_is_never_the_origins(flavour: str, name: str, tls: Any) -> None:
    async def body(api: Api) -> None:
        welcome = Reply(b"HTTP/1.1 200 Yes\r\n\r\n", then="tunnel")
        replies = [Reply(GLUED[name], then="hold"), welcome]
        with Peer(GOES_ON, tls=tls[0]) as peer, ScriptedProxy(replies=replies) as proxy:
            client = api.client(timeout=PATIENCE, verify=tls[1], proxy=proxy.url)
            with pytest.raises(AtomHTTPProxyError):
                await client.get(f"{peer.url}/1")
            await go_on(client, peer.url)
            await client.close()
        assert len(proxy.tunnels) == 2

    run(flavour, body)


@FLAVOURS
def test_what_is_glued_to_the_answer_of_a_socks_proxy_is_never_the_origins(flavour: str) -> None:
    async def body(api: Api) -> None:
        done = b"\x05\x00\x00\x01" + bytes(6)
        with SocksServer(instead={"request": done + POISON}) as socks:
            client = api.client(timeout=PATIENCE, proxy=f"socks5://127.0.0.1:{socks.port}")
            with pytest.raises(AtomHTTPProxyError):
                await client.post("http://127.0.0.1:9/2", data=b"x")
            assert client.pool_stats().open == 0
            await client.close()
        assert all(b"HTTP" not in received for received in socks.received.values())

    run(flavour, body)


@FLAVOURS
def test_behind_a_forwarding_proxy_one_origin_does_not_answer_for_another(flavour: str) -> None:
    async def body(api: Api) -> None:
        for surplus in (POISON, b"x", b""):
            first: Script = [expect_head(), send(OK + surplus), drain()]
            with Peer([first, GOES_ON]) as proxy:
                client = api.client(timeout=PATIENCE, proxy=proxy.url)
                assert (await client.get("http://a.test/1")).text == "ok"
                response = await client.post("http://b.test/2", data=b"x", response_type="text")
                assert response.data == "for POST http://b.test/2"
                assert (await client.get("http://b.test/3", response_type="text")).data == "for GET http://b.test/3"
                await client.close()

    run(flavour, body)


# TLS, record by record


class Records:
    """A TLS server's side whose records are the test's: what `seal` gives may be sent in any pieces."""

    def __init__(self, on: Conversation, context: ssl.SSLContext) -> None:
        at_once(on)
        self._socket = on.socket
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._wait_for(self._tls.do_handshake)

    def seal(self, data: bytes) -> bytes:
        self._tls.write(data)
        return self._outgoing.read()

    def goodbye(self) -> bytes:
        """A close_notify."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        return self._outgoing.read()

    def answer(self) -> bytes:
        request = b""
        while b"\r\n\r\n" not in request:
            request += self._wait_for(lambda: self._tls.read(65_536))
        method, target, _ = request.split(b" ", 2)
        if method == b"POST" and not request.endswith(b"x"):
            self._wait_for(lambda: self._tls.read(65_536))
        content = b"for %b %b" % (method, target)
        return self.seal(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content))

    def _wait_for(self, action: Callable[[], Any]) -> Any:
        while True:
            try:
                result = action()
            except ssl.SSLWantReadError:
                self._flush()
                received = self._socket.recv(65_536)
                if not received:
                    raise EOFError("the client has closed") from None
                self._incoming.write(received)
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._socket.sendall(self._outgoing.read())


def records(
    tls: Any, idle: threading.Event, sent: threading.Event, play: Callable[[Records], Sequence[bytes]]
) -> list[Script]:
    """`play` gives what is sent after the first request, what while the connection is idle, what after a second."""

    def first(on: Conversation) -> None:
        server = Records(on, tls[0])
        now, while_idle, at_last = play(server)
        on.socket.sendall(now)
        on.wait(idle)
        with contextlib.suppress(OSError):
            on.socket.sendall(while_idle)
            sent.set()
            while on.socket.recv(65_536):
                # The next request has come, on this very connection.
                on.socket.sendall(at_last)
        sent.set()

    def goes_on(on: Conversation) -> None:
        server = Records(on, tls[0])
        for _ in range(2):
            on.socket.sendall(server.answer())
        drain()(on)

    return [[first], [goes_on]]


def halves(server: Records, at: int) -> tuple[bytes, bytes, bytes]:
    """Of a record with poison, the first `at` bytes while the connection is idle, the rest when a request comes."""
    now, record = server.answer(), server.seal(POISON)
    return now, record[:at], record[at:]


RECORDS: dict[str, Callable[[Records], Sequence[bytes]]] = {
    "two records in one segment": lambda server: (server.answer() + server.seal(POISON), b"", b""),
    "a record and a part of one": lambda server: (server.answer() + server.seal(POISON)[:20], b"", b""),
    "a record and a byte of one": lambda server: (server.answer() + server.seal(POISON)[:1], b"", b""),
    "an empty record, a record": lambda server: (server.answer() + server.seal(b"") + server.seal(POISON), b"", b""),
    "later: a record": lambda server: (server.answer(), server.seal(POISON), b""),
    "later: two records": lambda server: (server.answer(), server.seal(b"HTTP/1.1 2") + server.seal(POISON[10:]), b""),
    "later: a byte of a record": lambda server: halves(server, 1),
    "later: the head of a record": lambda server: halves(server, 5),
    "later: half a record": lambda server: halves(server, 30),
    "later: a record but for a byte": lambda server: halves(server, -1),
    "later: close_notify": lambda server: (server.answer(), server.goodbye(), b""),
    "later: close_notify and more": lambda server: (server.answer(), server.goodbye() + POISON, POISON),
    "later: garbage": lambda server: (server.answer(), b"HTTP/1.1 200 OK\r\n\r\npoison", b""),
}


@FLAVOURS
@pytest.mark.parametrize("name", RECORDS)
def test_nothing_of_a_record_is_left_for_the_next_request(flavour: str, name: str, tls: Any) -> None:
    idle, sent = threading.Event(), threading.Event()

    async def body(api: Api) -> None:
        with Peer(records(tls, idle, sent, RECORDS[name])) as peer:
            url = peer.url.replace("http:", "https:")
            client = api.client(timeout=PATIENCE, verify=tls[1])
            assert (await client.get(f"{url}/1", response_type="text")).data == "for GET /1"
            idle.set()
            await until(api, sent.is_set)
            if not api.is_sync:
                # The loop has looked at what came, once at least.
                for _ in range(3):
                    await asyncio.sleep(0.0005)
            await go_on(client, url)
            await client.close()
        assert peer.connections == 2

    run(flavour, body)
