"""Hostile and odd peers whose point is not what they say but when, in what order, and how they leave.

A `Behaviour` is the script of each connection, what is asked, and exactly what comes of each request. All are played
to both clients; those with a `clock` only to the asynchronous one, on the virtual clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import os
import re
import select
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPDecodeError,
    AtomHTTPError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPProtocolError,
    AtomHTTPRedirectError,
    AtomHTTPTimeoutError,
    AtomHTTPTLSError,
    DigestAuth,
    SyncAtomHTTP,
    Timeout,
)
from support.async_tests import run_test
from support.certificates import Certificates
from support.clock import VirtualClockLoop, engine_clock
from support.peer import (
    Conversation,
    Peer,
    Script,
    Step,
    close,
    drain,
    end,
    expect,
    expect_body,
    expect_end,
    expect_head,
    hold,
    reset,
    send,
)
from support.server import PATIENCE

# How much later than due an error may come, in seconds of the virtual clock.
LATE = 0.1


@dataclass(frozen=True)
class Got:
    status: int = 200
    body: bytes = b"ok"


@dataclass(frozen=True)
class Failed:
    """`why` is a part of the message; `phase` is a timeout's, `sent` a network error's `request_sent`."""

    kind: type[AtomHTTPError]
    code: str
    why: str = ""
    phase: str | None = None
    sent: str | None = None


@dataclass(frozen=True)
class Ask:
    method: str = "GET"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Behaviour:
    """
    Attributes:
        scripts: one a connection; all of them are used, and no more connections come.
        outcomes: one for each of `asks`, which are sent one after the other by the same client.
        source: the clause, or the client that does so too.
        clock: what the virtual clock says in the end; None where no time has to pass.
        tls: whether the peer speaks TLS.
        https: whether it is asked for by https.
        pauses: whether the peer does something between the first and the second request (`while_idle`).
        is_async_only: whether only a client whose event loop goes on can notice it in between.
        left: the connections that may still be used when the last request has failed.
    """

    name: str
    scripts: Sequence[Script]
    outcomes: tuple[Got | Failed, ...]
    source: str
    asks: tuple[Ask, ...] = (Ask(),)
    clock: float | None = None
    tls: bool = False
    https: bool | None = None
    pauses: bool = False
    is_async_only: bool = False
    left: int = 0


def one(
    name: str, script: Script, outcome: Got | Failed, source: str, ask: Ask | None = None, **more: Any
) -> Behaviour:
    """One request on one connection."""
    return Behaviour(name, [script], (outcome,), source, (ask or Ask(),), **more)


# What comes of it

OK = Got()
LOST = Failed(AtomHTTPNetworkError, "ECONNRESET", "before a response came", sent="maybe")
LOST_MIDWAY = Failed(AtomHTTPNetworkError, "ECONNRESET", "in the middle of the response")
MAY_HAVE_BEEN_SENT = Failed(AtomHTTPNetworkError, "ECONNRESET", "may have been sent", sent="maybe")
ENDED = "the connection ended"
NOT_TLS = Failed(AtomHTTPTLSError, "ERR_TLS", "what came is not TLS", sent="no")
HANDSHAKE_CUT = Failed(AtomHTTPTLSError, "ERR_TLS", "during the TLS handshake", sent="no")
HANDSHAKE_RESET = Failed(AtomHTTPNetworkError, "ECONNRESET", "during the TLS handshake", sent="no")


def broken(why: str, code: str = "ERR_BAD_RESPONSE") -> Failed:
    return Failed(AtomHTTPProtocolError, code, why, sent="yes")


def timed_out(phase: str) -> Failed:
    return Failed(AtomHTTPTimeoutError, "ECONNABORTED", phase=phase)


# What is said

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SHORT = b"HTTP/1.1 204 \r\n\r\n"
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_END = b"HTTP/1.1 200 OK\r\n\r\n"
LARGE_CHUNK = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge"


def status(line: str, *fields: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {line}", *fields, f"Content-Length: {len(body)}", "", ""]).encode() + body


# What is asked

POST = Ask("POST", {"data": b"x"})
EXPECTING = Ask("POST", {"data": b"body", "headers": {"Expect": "100-continue"}})


@functools.cache
def much() -> bytes:
    """More than a kernel buffers for a peer that does not read."""
    return b"x" * 20_000_000


def asking(method: str = "GET", **options: Any) -> Ask:
    return Ask(method, options)


class Uploading(Ask):
    """Of so much that it does not leave before the answer comes."""

    def __init__(self, **options: Any) -> None:
        super().__init__("POST", {"data": much, **options})


# Steps


class StagedPeer(Peer):
    """A peer whose scripts keep pace with the requests, and with the seconds of the virtual clock."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.idle = threading.Event()
        """Set when the first answer has been read."""
        self.moved = threading.Event()
        """Set when the peer has done what it does then."""
        self.waited_for += [self.idle, self.moved]
        self._turn = threading.Semaphore(0)
        self._taken = threading.Semaphore(0)
        self._is_followed = False
        self._is_over = False

    async def pass_seconds(self) -> None:
        """Lets each script that waits for a second go on, once a second."""
        try:
            while True:
                await asyncio.sleep(1)
                if self._is_followed:
                    self._turn.release()
                    while not self._taken.acquire(blocking=False):
                        await asyncio.sleep(0)
        finally:
            self._is_over = True
            self._turn.release()

    def each_second(self) -> Iterator[None]:
        """Yields once a second of the virtual clock, as long as the client is there."""
        self._is_followed = True
        while self._turn.acquire(timeout=PATIENCE) and not self._is_over:
            yield
            self._taken.release()


def staged(on: Conversation) -> StagedPeer:
    assert isinstance(on.peer, StagedPeer)
    return on.peer


def while_idle(*steps: Step) -> list[Step]:
    """`steps` when the first answer has been read; the second request waits for them."""
    return [
        lambda on: on.wait(staged(on).idle),
        *steps,
        lambda on: staged(on).moved.set(),
    ]


def trickle(data: bytes, size: int = 1) -> Step:
    """`size` bytes of `data` a second, then nothing; what the client does not stay for is not sent."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]

    def trickle(on: Conversation) -> None:
        rest = iter(pieces)
        for _ in staged(on).each_second():
            with contextlib.suppress(OSError):
                on.socket.sendall(next(rest, b""))

    return trickle


def says(data: bytes, *then: Step) -> list[Step]:
    """The script that answers a request with `data`; then it is silent, or does as told."""
    return [expect_head(), send(data), *(then or [drain()])]


def pour(piece: bytes) -> Step:
    """`piece` again and again, until the client has had enough."""

    def pour(on: Conversation) -> None:
        with contextlib.suppress(OSError):
            while True:
                on.socket.sendall(piece)

    return pour


def raw(data: bytes) -> Step:
    """`data` on the wire as it is, under the nose of TLS."""

    def raw(on: Conversation) -> None:
        with socket.socket(fileno=socket.dup(on.socket.fileno())) as wire:
            wire.sendall(data)

    return raw


def read_some(on: Conversation) -> None:
    """What comes first: a ClientHello, say."""
    assert on.socket.recv(65_536)


def until_gone(on: Conversation) -> None:
    """Reads whatever comes until the client has left, however."""
    with contextlib.suppress(OSError):
        while on.socket.recv(65_536):
            pass


# The table: connections that come to nothing


LEAVING = [
    one("it accepts and closes", [close()], LOST, "axios"),
    one("it accepts and resets", [reset()], Failed(AtomHTTPNetworkError, "ECONNRESET"), "axios"),
    one("it closes when it has read the request", [expect_head(), close()], LOST, "axios"),
    one("it resets when it has read the request", [expect_head(), reset()], LOST, "axios"),
    one("it resets after half the request", [expect(20), reset()], LOST, "axios"),
    one("it closes after half the request", [expect(20), close()], LOST, "axios"),
    one("it resets after the head of a POST", [expect_head(), reset()], LOST, "axios", POST),
    one("it resets in the middle of an upload", [expect_head(), expect(65_536), reset()], LOST, "axios", Uploading()),
    one("it ends its side before the request", [end(), drain()], LOST, "axios"),
    one("it ends its side behind the request", [expect_head(), end(), drain()], LOST, "axios"),
    one("it ends its side, then resets", [expect_head(), end(), reset()], LOST, "axios"),
    one("it answers, ends its side and reads on", says(REPLY, end(), drain()), OK, "RFC 9112 9.6"),
    one("it answers and resets", says(REPLY, reset()), OK, "RFC 9112 9.6"),
    one("it answers and closes over unread bytes", [expect(10), send(REPLY), reset()], OK, "RFC 9112 9.6"),
    one("it leaves after a 100", says(CONTINUE, end(), drain()), LOST, "RFC 9110 15.2"),
    one("it leaves after a 103", says(HINTS, end(), drain()), LOST, "RFC 9110 15.2"),
    one("it resets after a 103", says(HINTS, reset()), LOST, "RFC 9110 15.2"),
    one("it leaves after a line end", says(b"\r\n", end(), drain()), broken("not an HTTP/1.1"), "llhttp"),
    one("it leaves after a byte", says(b"H", end(), drain()), broken(ENDED), "RFC 9112 8"),
    one("it resets after a byte", says(b"H", reset()), LOST, "RFC 9112 8"),
    one("it resets in the middle of the content", says(SIZED + b"x", reset()), LOST_MIDWAY, "RFC 9112 8"),
    one("it resets at the end of content without a length", says(UNTIL_END + b"x", reset()), LOST_MIDWAY, "RFC 9112 8"),
    one(
        "it leaves in the middle of gzip without a length",
        says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"ok")[:15], end(), drain()),
        Failed(AtomHTTPDecodeError, "ERR_BAD_RESPONSE", "gzip body is truncated"),
        "RFC 1952 2.3",
    ),
]


# Order


EARLY = [
    one("it answers before it reads", [send(REPLY), drain()], OK, "RFC 9112 9.5"),
    one(
        "it greets like a mail server",
        [send(b"220 mail ESMTP\r\n"), drain()],
        broken("not an HTTP/1.1"),
        "RFC 9112 2.2",
    ),
    one("it answers half of the request", [expect(10), send(REPLY), drain()], OK, "RFC 9112 9.5"),
    one("it answers 200 while we upload", says(REPLY), OK, "RFC 9112 9.5", Uploading()),
    one(
        "it answers 413 while we upload, and leaves",
        [expect_head(), expect(65_536), send(TOO_LARGE), end(), drain()],
        Got(413, b"large"),
        "RFC 9112 9.5",
        Uploading(),
    ),
    one(
        "it answers 413 while we upload, and resets",
        [expect_head(), expect(65_536), send(TOO_LARGE), reset()],
        Got(413, b"large"),
        "RFC 9112 9.6",
        Uploading(),
    ),
    one(
        "it answers 413 and is silent while we upload",
        [expect_head(), expect(65_536), send(TOO_LARGE), hold(), drain()],
        Got(413, b"large"),
        "RFC 9112 9.5",
        Uploading(),
    ),
    one(
        "it says that it closes, and does not",
        says(status("200 OK", "Connection: close", body=b"ok"), expect_end()),
        OK,
        "RFC 9112 9.6",
    ),
    Behaviour(
        "it answers one request twice", [says(REPLY + POISON), says(REPLY)], (OK, OK), "RFC 9112 9.2", (Ask(), Ask())
    ),
    Behaviour(
        # It does not read on before the client has what it came for: a peer that takes 20 MB while one system call
        # lasts has the whole upload, and may be asked again on the same connection.
        "it answers an upload early, and the next request",
        [says(REPLY, hold(), drain()), says(REPLY)],
        (OK, OK),
        "RFC 9112 9.5",
        (Uploading(), Ask()),
    ),
]

CONTINUING = [
    one("100: at once", says(CONTINUE, expect_body(), send(REPLY), drain()), OK, "RFC 9110 10.1.1", EXPECTING),
    one("100: never", [expect_head(), expect_body(), send(REPLY), drain()], OK, "RFC 9110 10.1.1", EXPECTING, clock=1),
    one(
        "100: when the body has gone",
        [expect_head(), expect_body(), send(CONTINUE + REPLY), drain()],
        OK,
        "RFC 9110 10.1.1",
        EXPECTING,
        clock=1,
    ),
    one("100: twenty times", says(CONTINUE * 20, expect_body(), send(REPLY), drain()), OK, "RFC 9110 15.2", EXPECTING),
    one(
        "100: without having been asked",
        [expect_head(), expect_body(), send(CONTINUE + REPLY), drain()],
        OK,
        "RFC 9110 15.2",
        POST,
    ),
    one(
        "100: a 103 instead, and the answer later",
        says(HINTS, expect_body(), send(REPLY), drain()),
        OK,
        "RFC 9110 15.2",
        EXPECTING,
        clock=1,
    ),
    one(
        "100: 417 instead",
        says(status("417 Expectation Failed"), expect_end()),
        Got(417, b""),
        "RFC 9110 10.1.1",
        EXPECTING,
    ),
    one("100: 200 instead", says(REPLY, expect_end()), OK, "RFC 9110 10.1.1", EXPECTING),
    one(
        "100: 401 instead, closing",
        says(status("401 No", "Connection: close", body=b"no"), end(), expect_end()),
        Got(401, b"no"),
        "RFC 9110 10.1.1",
        EXPECTING,
    ),
    one("100: nothing, but the end", [expect_head(), end(), expect_end()], LOST, "RFC 9110 10.1.1", EXPECTING),
    one("100: nothing, but RST", [expect_head(), reset()], LOST, "RFC 9110 10.1.1", EXPECTING),
    one(
        "100: and nothing more",
        says(CONTINUE),
        timed_out("headers"),
        "RFC 9110 15.2",
        asking("POST", data=b"body", headers={"Expect": "100-continue"}, timeout=5),
        clock=5,
    ),
    one(
        "100: for ever",
        [expect_head(), pour(CONTINUE), until_gone],
        broken("more than 20 interim responses"),
        "Go CVE-2024-24791",
        POST,
    ),
    one(
        "103: for ever",
        [expect_head(), pour(HINTS), until_gone],
        broken("more than 20 interim responses"),
        "Go CVE-2024-24791",
    ),
    one(
        "101: without having been asked",
        says(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
        broken("101"),
        "RFC 9110 15.2.2",
    ),
]


# Time: a plain number bounds the whole call, whatever moves


def slow(name: str, start: bytes, data: bytes, phase: str) -> Behaviour:
    """A byte a second, which is never a stall, and never an end."""
    script = says(start, trickle(data)) if start else [expect_head(), trickle(data)]
    return one(f"a byte a second: {name}", script, timed_out(phase), "axios", asking(timeout=5), clock=5)


SILENT = [
    one("it accepts and never speaks", [drain()], timed_out("headers"), "axios", asking(timeout=5), clock=5),
    one(
        "it never answers a POST",
        [drain()],
        timed_out("headers"),
        "axios",
        asking("POST", data=b"x", timeout=5),
        clock=5,
    ),
    one("it is silent behind the head", says(SIZED), timed_out("body"), "axios", asking(timeout=5), clock=5),
    one(
        "it is silent in the middle of the head",
        says(SIZED[:20]),
        timed_out("headers"),
        "axios",
        asking(timeout=5),
        clock=5,
    ),
    one(
        "it is silent before the last chunk",
        says(CHUNKED + b"2\r\nok\r\n"),
        timed_out("body"),
        "axios",
        asking(timeout=5),
        clock=5,
    ),
    one(
        "it is silent, and the longest gap is 2 s",
        says(SIZED + b"x"),
        timed_out("body"),
        "axios",
        asking(timeout=Timeout(total=60, read=2)),
        clock=2,
    ),
    one("it never reads", [hold()], timed_out("write"), "axios", Uploading(timeout=5), clock=5),
    one(
        "it never reads, and the longest stall is 3 s",
        [expect_head(), hold()],
        timed_out("write"),
        "axios",
        Uploading(timeout=Timeout(total=60, write=3)),
        clock=3,
    ),
    one(
        "it reads all of an upload, and is silent",
        [drain()],
        timed_out("headers"),
        "axios",
        Uploading(timeout=5),
        clock=5,
    ),
    slow("the status line", b"", b"HTTP/1.1 200 OK", "headers"),
    slow("fields", b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 3, "headers"),
    slow("the reason", b"HTTP/1.1 200 ", b"O" * 50, "headers"),
    slow("content", SIZED, b"x" * 50, "body"),
    slow("content without a length", UNTIL_END, b"x" * 50, "body"),
    slow("a chunk size", CHUNKED, b"000000000000001", "body"),
    slow("an extension", CHUNKED + b"5;", b"a" * 50, "body"),
    slow("a chunk", CHUNKED + b"ff\r\n", b"x" * 50, "body"),
    slow("a trailer", CHUNKED + b"0\r\n", b"x" * 50, "body"),
    slow("gzip", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b"x" * 50), "body"),
    one(
        "a response a second: 103",
        [expect_head(), trickle(HINTS * 20, len(HINTS))],
        timed_out("headers"),
        "Go CVE-2024-24791",
        asking(timeout=5),
        clock=5,
    ),
    one(
        "a chunk a second",
        says(CHUNKED, trickle(b"1\r\nx\r\n" * 20, 6)),
        timed_out("body"),
        "axios",
        asking(timeout=5),
        clock=5,
    ),
    one(
        "a byte a second: faster than the longest gap, slower than the whole",
        [expect_head(), trickle(SIZED)],
        timed_out("headers"),
        "axios",
        asking(timeout=Timeout(total=5, read=3)),
        clock=5,
    ),
    one(
        "a byte a second: all of a response, in time",
        [expect_head(), trickle(SHORT)],
        Got(204, b""),
        "RFC 9112 2.2",
        asking(timeout=100),
        clock=len(SHORT),
    ),
    one(
        "a byte a second: all of a response, and no gap too long",
        [expect_head(), trickle(SHORT)],
        Got(204, b""),
        "RFC 9112 2.2",
        asking(timeout=Timeout(read=2)),
        clock=len(SHORT),
    ),
]


# Connections that were idle


def idle_close(method: str, ending: Step, outcomes: tuple[Got | Failed, ...], name: str, **options: Any) -> Behaviour:
    """It ends what was idle just when the next request has come: a race that no client can win."""
    is_resent = outcomes[-1] == OK
    again: list[Script] = [[expect_head(), expect_body(), send(REPLY), drain()]] if is_resent else []
    return Behaviour(
        f"idle: {name}",
        [says(REPLY, expect_head(), expect_body(), ending), *again],
        outcomes,
        "RFC 9110 9.2.2",
        (Ask(), asking(method, **options)),
    )


IDLE = [
    idle_close("GET", close(), (OK, OK), "closed under a GET"),
    idle_close("GET", reset(), (OK, OK), "reset under a GET"),
    idle_close("PUT", close(), (OK, OK), "closed under a PUT", data=b"x"),
    idle_close("DELETE", close(), (OK, OK), "closed under a DELETE"),
    idle_close("QUERY", close(), (OK, OK), "closed under a QUERY", data=b"x"),
    idle_close("POST", close(), (OK, MAY_HAVE_BEEN_SENT), "closed under a POST", data=b"x"),
    idle_close("POST", reset(), (OK, MAY_HAVE_BEEN_SENT), "reset under a POST", data=b"x"),
    idle_close("PATCH", close(), (OK, MAY_HAVE_BEEN_SENT), "closed under a PATCH", data=b"x"),
    idle_close(
        "POST", close(), (OK, OK), "closed under a POST that has a key", data=b"x", headers={"Idempotency-Key": "k"}
    ),
    Behaviour(
        "idle: closed under a GET that may not be sent again",
        [says(REPLY, expect_head(), close())],
        (OK, Failed(AtomHTTPNetworkError, "ECONNRESET", sent="maybe")),
        "RFC 9110 9.2.2",
        (Ask(), asking(retryConfig=False)),
    ),
    Behaviour(
        "idle: a byte of an answer, and closed",
        [says(REPLY, expect_head(), send(b"H"), close())],
        (OK, broken(ENDED)),
        "RFC 9110 9.2.2",
        (Ask(), Ask()),
    ),
    Behaviour(
        "idle: a 103, and closed",
        [says(REPLY, expect_head(), send(HINTS), close())],
        (OK, LOST),
        "RFC 9110 9.2.2",
        (Ask(), Ask()),
    ),
    Behaviour(
        "idle: 408 to the second request",
        [says(REPLY, expect_head(), send(status("408 Late")), end(), drain())],
        (OK, Got(408, b"")),
        "RFC 9110 15.5.9",
        (Ask(), Ask()),
    ),
    Behaviour(
        "idle: closed in time",
        [says(REPLY, *while_idle(close())), says(REPLY)],
        (OK, OK),
        "RFC 9112 9.5",
        (Ask(), Ask()),
        pauses=True,
    ),
    Behaviour(
        "idle: reset in time",
        [says(REPLY, *while_idle(reset())), says(REPLY)],
        (OK, OK),
        "RFC 9112 9.5",
        (Ask(), Ask()),
        pauses=True,
    ),
    Behaviour(
        "idle: closed in time for a POST",
        [says(REPLY, *while_idle(close())), [expect_head(), expect_body(), send(REPLY), drain()]],
        (OK, OK),
        "RFC 9112 9.5",
        (Ask(), POST),
        pauses=True,
        is_async_only=True,
    ),
    Behaviour(
        "idle: a 408 that nobody asked for",
        [
            says(REPLY, *while_idle(send(status("408 Request Timeout"))), drain()),
            [expect_head(), expect_body(), send(REPLY), drain()],
        ],
        (OK, OK),
        "RFC 9110 15.5.9",
        (Ask(), POST),
        pauses=True,
        is_async_only=True,
    ),
    Behaviour(
        "idle: an answer that nobody asked for",
        [says(REPLY, *while_idle(send(POISON)), drain()), [expect_head(), expect_body(), send(REPLY), drain()]],
        (OK, OK),
        "RFC 9112 9.2",
        (Ask(), POST),
        pauses=True,
        is_async_only=True,
    ),
    Behaviour(
        "idle: closed after each answer, without a word",
        [says(REPLY, close()), says(REPLY, close()), says(REPLY, close())],
        (OK, OK, OK),
        "RFC 9112 9.5",
        (Ask(), Ask(), Ask()),
    ),
    Behaviour(
        "idle: closed after each answer of HTTP/1.0",
        [says(b"HTTP/1.0 200 OK\r\n\r\nok", close()), says(b"HTTP/1.0 200 OK\r\n\r\nok", close())],
        (OK, OK),
        "RFC 9112 9.3",
        (Ask(), Ask()),
    ),
    Behaviour(
        "idle: kept, and asked three times",
        [says(REPLY, expect_head(), expect_body(), send(REPLY), expect_head(), send(REPLY), drain())],
        (OK, OK, OK),
        "RFC 9112 9.3",
        (Ask(), POST, Ask()),
    ),
]


# Redirects, challenges, limits


def location(place: str, code: int = 302, body: bytes = b"") -> bytes:
    return status(f"{code} Go", f"Location: {place}", body=body)


def again(count: int, *steps: Step) -> list[Step]:
    return [*steps] * count


TOO_MANY = Failed(AtomHTTPRedirectError, "ERR_FR_TOO_MANY_REDIRECTS", "maxRedirects, 5")


def leads_astray(name: str, place: str) -> Behaviour:
    script = says(location(place))
    return one(f"redirect: to {name}", script, Failed(AtomHTTPRedirectError, "ERR_BAD_REDIRECT"), "RFC 9110 15.4")


FOLLOWED = [says(REPLY)]

REDIRECTS = [
    one("redirect: to itself", [*again(6, expect_head(), send(location("/"))), drain()], TOO_MANY, "RFC 9110 15.4"),
    one(
        "redirect: back and forth",
        [*again(3, expect_head(), send(location("/a")), expect_head(), send(location("/b"))), drain()],
        TOO_MANY,
        "RFC 9110 15.4",
    ),
    one(
        "redirect: to itself, a POST by 307",
        [*again(6, expect_head(), expect_body(), send(location("/", 307))), drain()],
        TOO_MANY,
        "RFC 9110 15.4.8",
        POST,
    ),
    one(
        "redirect: to itself, a POST by 303",
        [
            expect_head(),
            expect_body(),
            send(location("/", 303)),
            *again(5, expect_head(), send(location("/", 303))),
            drain(),
        ],
        TOO_MANY,
        "RFC 9110 15.4.4",
        POST,
    ),
    one(
        "redirect: to itself, with content",
        [*again(6, expect_head(), send(location("/", body=b"x" * 5000))), drain()],
        TOO_MANY,
        "RFC 9110 15.4",
    ),
    one(
        "redirect: with chunked content",
        says(
            b"HTTP/1.1 302 Go\r\nLocation: /a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: y\r\n\r\n",
            expect_head(),
            send(REPLY),
            drain(),
        ),
        OK,
        "RFC 9112 7.1",
    ),
    one(
        "redirect: with content that is no gzip",
        says(
            status("302 Go", "Location: /a", "Content-Encoding: gzip", body=b"no gzip"),
            expect_head(),
            send(REPLY),
            drain(),
        ),
        OK,
        "urllib3 CVE-2026-21441",
    ),
    one(
        "redirect: the same place twice",
        says(status("302 Go", "Location: /a", "Location: /a"), expect_head(), send(REPLY), drain()),
        OK,
        "Fetch",
    ),
    one(
        "redirect: two places",
        says(status("302 Go", "Location: /a", "Location: /b")),
        Failed(AtomHTTPRedirectError, "ERR_BAD_REDIRECT", "several Locations"),
        "Fetch",
    ),
    Behaviour("redirect: and closed", [says(location("/a"), close()), *FOLLOWED], (OK,), "RFC 9112 9.3"),
    Behaviour(
        "redirect: content until the end",
        [says(b"HTTP/1.1 302 Go\r\nLocation: /a\r\n\r\nbye", end(), drain()), *FOLLOWED],
        (OK,),
        "RFC 9112 6.3",
    ),
    # Nobody wants this content: as little as it is worth to wait for it, as little it matters that it is missing.
    Behaviour(
        "redirect: content that is cut",
        [says(location("/a", body=b"x" * 9)[:-3], end(), drain()), *FOLLOWED],
        (OK,),
        "Go",
    ),
    Behaviour(
        "redirect: content without end",
        [
            says(
                b"HTTP/1.1 302 Go\r\nLocation: /a\r\nContent-Length: 1000000000000\r\n\r\n",
                pour(b"x" * 65_536),
                until_gone,
            ),
            *FOLLOWED,
        ],
        (OK,),
        "Go",
        (asking(timeout=2),),
    ),
    Behaviour(
        "redirect: content without end, and a limit",
        [
            says(
                b"HTTP/1.1 302 Go\r\nLocation: /a\r\nTransfer-Encoding: chunked\r\n\r\n",
                pour(LARGE_CHUNK),
                until_gone,
            )
        ],
        (Failed(AtomHTTPLimitError, "ERR_MAX_CONTENT_LENGTH"),),
        "node-fetch CVE-2020-15168",
        (asking(maxContentLength=1000),),
    ),
    one(
        "redirect: to where nobody listens",
        says(location("http://127.0.0.1:1/")),
        Failed(AtomHTTPNetworkError, "ECONNREFUSED", sent="no"),
        "axios",
        left=1,
    ),
    leads_astray("another scheme", "ftp://127.0.0.1/"),
    leads_astray("a file", "file:///etc/passwd"),
    leads_astray("a script", "javascript:alert(1)"),
    leads_astray("data", "data:text/plain,x"),
    leads_astray("a socket", "http+unix://%2Frun%2Fx.sock/"),
    leads_astray("a host that is none", "http://[::1"),
    leads_astray("a port that is none", "http://127.0.0.1:99999/"),
    one(
        "challenge: Digest, stale for ever",
        [
            *again(
                3,
                expect_head(),
                send(status("401 No", 'WWW-Authenticate: Digest realm="a", nonce="n", stale=true, qop="auth"')),
            ),
            drain(),
        ],
        Got(401, b""),
        "RFC 7616 3.3",
        asking(auth=DigestAuth("u", "p")),
    ),
    one(
        "retry: 503 for ever",
        [*again(3, expect_head(), send(status("503 Later", "Retry-After: 2"))), drain()],
        Got(503, b""),
        "RFC 9110 10.2.3",
        asking(retryConfig={"max_retries": 2, "jitter": False}),
        clock=4,
    ),
    one(
        "retry: 503 until next year",
        says(status("503 Later", "Retry-After: 31536000")),
        Got(503, b""),
        "RFC 9110 10.2.3",
        asking(retryConfig={"max_retries": 2}),
        clock=0,
    ),
    one(
        "limit: content without end",
        says(CHUNKED, pour(LARGE_CHUNK), until_gone),
        Failed(AtomHTTPLimitError, "ERR_MAX_CONTENT_LENGTH"),
        "axios",
        asking(maxContentLength=1000),
    ),
    one(
        "limit: content that is announced",
        says(SIZED),
        Failed(AtomHTTPLimitError, "ERR_MAX_CONTENT_LENGTH"),
        "axios",
        asking(maxContentLength=99),
    ),
    one(
        "limit: fields without end",
        says(b"HTTP/1.1 200 OK\r\n", pour(b"X: y\r\n"), until_gone),
        broken("maxHeaderSize", "HPE_HEADER_OVERFLOW"),
        "RFC 9110 5.4",
    ),
    one(
        "limit: a field without end",
        says(b"HTTP/1.1 200 OK\r\nX: ", pour(b"x" * 1000), until_gone),
        broken("maxHeaderSize", "HPE_HEADER_OVERFLOW"),
        "RFC 9110 5.4",
    ),
    one(
        "limit: trailers without end",
        says(CHUNKED + b"0\r\nX: ", pour(b"x" * 1000), until_gone),
        broken("bytes of trailers", "HPE_HEADER_OVERFLOW"),
        "RFC 9110 5.4",
    ),
    one(
        "limit: an extension without end",
        says(CHUNKED + b"5;a=", pour(b"x" * 1000), until_gone),
        broken("bytes of chunk metadata", "HPE_HEADER_OVERFLOW"),
        "Go CVE-2023-39326",
    ),
    one(
        "range: answered with all, by gzip",
        says(status("200 OK", "Content-Encoding: gzip", body=gzip.compress(b"ok"))),
        OK,
        "RFC 9110 14.2",
        asking(headers={"Range": "bytes=0-1"}),
    ),
    one(
        "range: answered with a part of gzip",
        says(
            status("206 Part", "Content-Encoding: gzip", "Content-Range: bytes 0-9/22", body=gzip.compress(b"ok")[:10])
        ),
        Failed(AtomHTTPDecodeError, "ERR_BAD_RESPONSE", "gzip body is truncated"),
        "RFC 9110 14.4",
        asking(headers={"Range": "bytes=0-9"}),
    ),
    one(
        "range: answered with a part of gzip, as it is",
        says(status("206 Part", "Content-Encoding: gzip", "Content-Range: bytes 0-1/22", body=b"ok")),
        Got(206, b"ok"),
        "RFC 9110 14.4",
        asking(headers={"Range": "bytes=0-1"}, decompress=False),
    ),
]


# TLS


def handshake(name: str, script: Script, outcome: Failed, source: str = "RFC 8446 6", **more: Any) -> Behaviour:
    """A peer that speaks no TLS, or not well."""
    return one(f"TLS: {name}", script, outcome, source, https=True, **more)


def over_tls(name: str, script: Script, outcome: Got | Failed, source: str, **more: Any) -> Behaviour:
    return one(f"TLS: {name}", script, outcome, source, tls=True, https=True, **more)


def alert(level: int, description: int) -> bytes:
    return b"\x15\x03\x03\x00\x02" + bytes([level, description])


ALERT_FAILED = Failed(AtomHTTPTLSError, "ERR_TLS", sent="no")
BAD_RECORD = b"\x17\x03\x03\x00\x20" + bytes(32)
LONG_RECORD = b"\x17\x03\x03\xff\xff" + bytes(70_000)

TLS = [
    handshake("plain HTTP", [send(status("400 Bad Request")), until_gone], NOT_TLS),
    handshake("plain HTTP, when it has read", [read_some, send(status("400 Bad Request")), until_gone], NOT_TLS),
    handshake("a mail server", [send(b"220 mail.test ESMTP\r\n"), until_gone], NOT_TLS),
    handshake("zeros", [read_some, send(bytes(64)), until_gone], NOT_TLS),
    handshake(
        "an empty ServerHello", [read_some, send(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00"), until_gone], ALERT_FAILED
    ),
    handshake("content before there are keys", [read_some, send(b"\x17\x03\x03\x00\x02ok"), until_gone], ALERT_FAILED),
    handshake("a record that is too large", [read_some, send(b"\x16" + LONG_RECORD[1:]), until_gone], ALERT_FAILED),
    handshake("an alert: handshake_failure", [read_some, send(alert(2, 40)), until_gone], ALERT_FAILED),
    handshake("an alert: internal_error", [read_some, send(alert(2, 80)), until_gone], ALERT_FAILED),
    handshake(
        "an alert: unrecognized_name",
        [read_some, send(alert(2, 112)), until_gone],
        Failed(AtomHTTPTLSError, "ERR_TLS", "does not know that name", sent="no"),
    ),
    handshake("an alert: close_notify", [read_some, send(alert(1, 0)), until_gone], HANDSHAKE_CUT),
    handshake("it ends its side at once", [end(), until_gone], HANDSHAKE_CUT),
    handshake("it ends its side behind the ClientHello", [read_some, end(), until_gone], HANDSHAKE_CUT),
    handshake("it resets behind the ClientHello", [read_some, reset()], HANDSHAKE_RESET),
    handshake(
        "it ends its side in the middle of a record",
        [read_some, send(b"\x16\x03\x03\x10\x00\x02"), end(), until_gone],
        HANDSHAKE_CUT,
    ),
    one("TLS: it never speaks", [until_gone], timed_out("tls"), "axios", asking(timeout=5), https=True, clock=5),
    one(
        "TLS: it never speaks, and connecting may take 2 s",
        [until_gone],
        timed_out("tls"),
        "axios",
        asking(timeout=Timeout(total=60, connect=2)),
        https=True,
        clock=2,
    ),
    one(
        "TLS: a byte of the handshake a second",
        [trickle(b"\x16\x03\x03\x10\x00\x02\x00\x0f\xfc\x03\x03")],
        timed_out("tls"),
        "axios",
        asking(timeout=5),
        https=True,
        clock=5,
    ),
    one("TLS: on the plain port", says(alert(2, 70)), broken("not an HTTP/1.1"), "RFC 9112 2.2"),
    one(
        "TLS: a ServerHello on the plain port",
        says(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00"),
        broken("not an HTTP/1.1"),
        "RFC 9112 2.2",
    ),
    over_tls("it answers", says(REPLY, until_gone), OK, "RFC 9110 4.2.2"),
    over_tls("nothing but tickets", [expect_head(), close()], LOST, "RFC 8446 4.6.1"),
    over_tls(
        "nothing but tickets, and no close_notify", [expect_head(), end(notify=False), until_gone], LOST, "RFC 9112 9.8"
    ),
    over_tls("it resets when it has read the request", [expect_head(), reset()], LOST, "axios"),
    over_tls(
        "close_notify in the middle of content",
        says(SIZED + b"x", end(), until_gone),
        broken("99 bytes before the end"),
        "RFC 9112 8",
    ),
    over_tls(
        "close_notify in the middle of a chunk",
        says(CHUNKED + b"5\r\nx", end(), until_gone),
        broken("inside a chunked response"),
        "RFC 9112 8",
    ),
    over_tls(
        "close_notify in the middle of a head",
        says(SIZED[:20], end(), until_gone),
        broken("inside a response head"),
        "RFC 9112 8",
    ),
    over_tls("close_notify as the end of content", says(UNTIL_END + b"ok", end(), until_gone), OK, "RFC 9112 9.8"),
    over_tls(
        "a FIN as the end of content",
        says(UNTIL_END + b"ok", end(notify=False), until_gone),
        broken("cut off"),
        "RFC 9112 9.8",
    ),
    over_tls("a FIN behind the end of content", says(REPLY, end(notify=False), until_gone), OK, "RFC 9112 9.8"),
    over_tls("RST in the middle of content", says(SIZED + b"x", reset()), LOST_MIDWAY, "RFC 9112 8"),
    over_tls(
        "a bad record instead of an answer",
        [expect_head(), raw(BAD_RECORD), until_gone],
        Failed(AtomHTTPTLSError, "ERR_TLS", sent="maybe"),
        "RFC 8446 5.2",
    ),
    over_tls(
        "a bad record in the middle of a head",
        says(SIZED[:20], raw(BAD_RECORD), until_gone),
        Failed(AtomHTTPTLSError, "ERR_TLS", sent="maybe"),
        "RFC 8446 5.2",
    ),
    over_tls(
        "a bad record in the middle of content",
        says(SIZED + b"x", raw(BAD_RECORD), until_gone),
        Failed(AtomHTTPTLSError, "ERR_TLS"),
        "RFC 8446 5.2",
    ),
    over_tls(
        "a record that is too large, in the middle of content",
        says(SIZED + b"x", raw(LONG_RECORD), until_gone),
        Failed(AtomHTTPTLSError, "ERR_TLS"),
        "RFC 8446 5.1",
    ),
    over_tls(
        "plain text in the middle of content",
        says(SIZED + b"x", raw(b"x" * 99), until_gone),
        Failed(AtomHTTPTLSError, "ERR_TLS"),
        "RFC 8446 5.1",
    ),
    over_tls("a bad record behind the content", says(REPLY, raw(BAD_RECORD), until_gone), OK, "RFC 8446 5.2"),
    Behaviour(
        "TLS: a bad record while idle",
        [says(REPLY, *while_idle(raw(BAD_RECORD)), until_gone), says(REPLY, until_gone)],
        (OK, OK),
        "RFC 8446 5.2",
        (Ask(), Ask()),
        tls=True,
        https=True,
        pauses=True,
        is_async_only=True,
    ),
]

BEHAVIOURS = [*LEAVING, *EARLY, *CONTINUING, *SILENT, *IDLE, *REDIRECTS, *TLS]

EACH = pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=[each.name for each in BEHAVIOURS])
EACH_IN_REAL_TIME = pytest.mark.parametrize(
    "behaviour",
    [each for each in BEHAVIOURS if each.clock is None and not each.is_async_only],
    ids=[each.name for each in BEHAVIOURS if each.clock is None and not each.is_async_only],
)


def test_there_are_enough_and_each_has_a_name() -> None:
    names = [behaviour.name for behaviour in BEHAVIOURS]
    assert len(names) >= 50
    assert sorted(names) == sorted(set(names))
    assert all(behaviour.source for behaviour in BEHAVIOURS)


@EACH
def test_behaviour(behaviour: Behaviour, certificates: Certificates) -> None:
    loop = asyncio.SelectorEventLoop() if behaviour.clock is None else VirtualClockLoop()
    with staged_peer(behaviour, certificates) as peer, engine_clock(loop):
        run_test(converse(behaviour, peer, certificates), lambda: loop)
    assert peer.connections == len(behaviour.scripts)


@EACH_IN_REAL_TIME
def test_behaviour_without_a_loop(behaviour: Behaviour, certificates: Certificates) -> None:
    with staged_peer(behaviour, certificates) as peer, SyncAtomHTTP(verify=str(certificates.ca)) as client:
        for number, (ask, outcome) in enumerate(zip(behaviour.asks, behaviour.outcomes, strict=True)):
            if number == 1 and behaviour.pauses:
                peer.idle.set()
                assert peer.moved.wait(PATIENCE)
            try:
                got: Any = client.request(ask.method, url_of(behaviour, peer), **options_of(ask))
            except AtomHTTPError as error:
                got = error
            judge(outcome, got)
        check_what_is_left(behaviour, client.pool_stats().open)
    assert peer.connections == len(behaviour.scripts)


def staged_peer(behaviour: Behaviour, certificates: Certificates) -> StagedPeer:
    return StagedPeer(list(behaviour.scripts), tls=certificates.server_context() if behaviour.tls else None)


def url_of(behaviour: Behaviour, peer: Peer) -> str:
    return peer.url.replace("http:", "https:") if behaviour.https else peer.url


def options_of(ask: Ask) -> dict[str, Any]:
    options = {"timeout": PATIENCE, "response_type": "blob", **ask.options}
    if callable(options.get("data")):
        options["data"] = options["data"]()
    return options


async def converse(behaviour: Behaviour, peer: StagedPeer, certificates: Certificates) -> None:
    loop = asyncio.get_running_loop()
    async with AtomHTTP(verify=str(certificates.ca)) as client, passing_seconds(behaviour, peer):
        for number, (ask, outcome) in enumerate(zip(behaviour.asks, behaviour.outcomes, strict=True)):
            if number == 1 and behaviour.pauses:
                await pause(peer, client)
            try:
                got: Any = await client.request(ask.method, url_of(behaviour, peer), **options_of(ask))
            except AtomHTTPError as error:
                got = error
            judge(outcome, got)
        if behaviour.clock is not None:
            assert behaviour.clock <= loop.time() < behaviour.clock + LATE
        check_what_is_left(behaviour, client.pool_stats().open)


@contextlib.asynccontextmanager
async def passing_seconds(behaviour: Behaviour, peer: StagedPeer) -> Any:
    """The peer's seconds pass with those of the virtual clock."""
    if behaviour.clock is None:
        yield
        return
    ticking = asyncio.create_task(peer.pass_seconds())
    try:
        yield
    finally:
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking


async def pause(peer: StagedPeer, client: AtomHTTP) -> None:
    """Until the peer has done what it does while its connection is idle, and the client has noticed."""
    peer.idle.set()
    async with asyncio.timeout(PATIENCE):
        while not peer.moved.is_set() or client.pool_stats().open:
            await asyncio.sleep(0.001)


def judge(outcome: Got | Failed, got: Any) -> None:
    if isinstance(outcome, Got):
        if isinstance(got, AtomHTTPError):
            raise AssertionError(f"expected {outcome}, got {got!r}") from got
        assert (got.status, got.content) == (outcome.status, outcome.body)
        return
    assert isinstance(got, AtomHTTPError), f"expected {outcome}, got {got.status} {got.content!r}"
    assert (type(got), got.code) == (outcome.kind, outcome.code), repr(got)
    assert outcome.why in str(got)
    for name, expected in (("phase", outcome.phase), ("request_sent", outcome.sent)):
        assert expected is None or getattr(got, name) == expected, repr(got)


def check_what_is_left(behaviour: Behaviour, open_connections: int) -> None:
    """What ended in an error of the connection does not go back into the pool."""
    last = behaviour.outcomes[-1]
    if isinstance(last, Failed) and issubclass(last.kind, AtomHTTPNetworkError | AtomHTTPTimeoutError):
        assert open_connections == behaviour.left


# What Python's servers cannot do


@pytest.mark.parametrize("command", [b"k\n", b"K\n"], ids=["new keys", "new keys, and ours are wanted"])
def test_keys_that_change_in_the_middle_of_a_response(certificates: Certificates, command: bytes) -> None:
    """RFC 8446 section 4.6.3: a message of TLS's own, between two pieces of content."""
    with OpenSSLServer(certificates) as server, SyncAtomHTTP(verify=str(certificates.ca), timeout=PATIENCE) as client:
        answering = threading.Thread(target=server.answer, args=(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe",))
        answering.start()
        with client.get(server.url, response_type="stream") as response:
            assert response.data.read(2) == b"he"
            answering.join(PATIENCE)
            server.say(command)
            server.wait_for(rb">>> TLS 1\.3, Handshake \[length 0005\], KeyUpdate")
            server.say(b"re")
            assert response.data.read() == b"re"


class OpenSSLServer:
    """`openssl s_server` for one connection. What is typed is sent, but for commands: "k" changes its keys."""

    def __init__(self, certificates: Certificates) -> None:
        file = str(certificates.server)
        command = [
            "openssl",
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-cert",
            file,
            "-key",
            file,
            "-naccept",
            "1",
            "-msg",
        ]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
            )
        except FileNotFoundError:
            pytest.skip("the openssl program is not installed")
        self._said = b""
        self.url = ""

    def __enter__(self) -> OpenSSLServer:
        self.url = f"https://localhost:{int(self.wait_for(rb'ACCEPT 127.0.0.1:([0-9]+)'))}/"
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.communicate()

    def answer(self, data: bytes) -> None:
        self.wait_for(b"GET / HTTP")
        self.say(data)

    def say(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)

    def wait_for(self, pattern: bytes) -> bytes:
        """Until it has printed this; what its group matched."""
        assert self._process.stdout is not None
        while (found := re.search(pattern, self._said)) is None:
            assert select.select([self._process.stdout], [], [], PATIENCE)[0], self._said
            data = os.read(self._process.stdout.fileno(), 65_536)
            assert data, self._said
            self._said += data
        self._said = self._said[found.end() :]
        return found[found.lastindex or 0]
