"""HTTP/2 (RFC 9113) as an `Origin` speaks it: by `h2`, which shares nothing with the engine of the client under test.

One thread a connection does all its reading and writing, since OpenSSL allows no two. Each answer is made in a thread
of its own, so that one that waits for the test holds no other up. Every window of ours is the protocol's default,
64 KiB: a client that sends more than it may is found out soon.

A request is recorded as if it had come in HTTP/1.1, so that one test can look at either: `:authority` is the field
`Host`, and comes first; names are written `X-Request-Id`; the pieces of a cookie are one field (section 8.2.3). What a
client must not send is refused, and fails the test: by `h2`, or here by `read_request`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import ssl
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, cast

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from hyperframe.frame import GoAwayFrame

from support.framing import Head
from support.server import PATIENCE, leave

if TYPE_CHECKING:
    from support.origin import Answer, Origin, Received

# It logs every field that it sees, and some tests look through all that is logged.
logging.getLogger("hpack").setLevel(logging.WARNING)

# Framed ahead of what the socket has taken: more of it would make the client's windows a fiction.
AHEAD = 128 * 1024
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(slots=True)
class Stream:
    """One request and its answer."""

    head: Head
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False
    """Whether the request is."""
    left: memoryview | None = None
    """What of the answer's content is still to be sent; None before there is an answer."""
    closes: bool = False
    """Whether the connection ends with the answer."""


class Http2Conversation:
    """One connection, from the client's preface on."""

    def __init__(self, origin: Origin, connection: socket.socket, number: int) -> None:
        self._origin = origin
        self._connection = connection
        self._number = number
        # Not normalised: that would move cookies to the end.
        settings = H2Configuration(client_side=False, header_encoding="latin-1", normalize_inbound_headers=False)
        self._engine = H2Connection(settings)
        self._streams: dict[int, Stream] = {}
        self._answers: SimpleQueue[tuple[int, Answer | Exception]] = SimpleQueue()
        self._unsent = bytearray()
        self._newest = 0
        # The last stream that is answered, once that has been said (GOAWAY).
        self._last: int | None = None
        # The client has closed its side, or said that it does.
        self._ended = False
        self._waker = os.eventfd(0, os.EFD_NONBLOCK)
        self._waker_open = True

    def run(self, begun: bytes) -> None:
        """Serve until the client closes, or an answer ends the connection. `begun` is what was read to recognise it."""
        try:
            self._connection.settimeout(0)
            if self._connection.family != socket.AF_UNIX:
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # frames are small and many
            self._engine.initiate_connection()
            self._take(begun)
            while not self._ended:
                self._send()
                if self._last is not None and not self._streams and not self._unsent:
                    break
                self._await()
        finally:
            self._tidy()
        if self._streams:
            raise EOFError(f"the client closed with {len(self._streams)} streams under way")
        leave(self._connection)

    def _await(self) -> None:
        """Wait for the socket and for answers, and take what there is."""
        poller = select.poll()
        poller.register(self._connection, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        poller.register(self._waker, select.POLLIN)
        ready = dict(poller.poll(PATIENCE * 1000))
        if not ready and not any(stream.complete and stream.left is None for stream in self._streams.values()):
            raise TimeoutError("the client neither sent nor took anything")
        if self._waker in ready:
            os.eventfd_read(self._waker)
            while not self._answers.empty():
                self._begin_answer(*self._answers.get())
        if self._connection.fileno() in ready:
            self._receive()

    def _tidy(self) -> None:
        with self._origin.change:  # an answer that comes now has nobody to wake
            self._waker_open = False
            os.close(self._waker)
        for stream in self._streams.values():
            if not stream.complete:
                self._origin._left()

    # The client's frames

    def _receive(self) -> None:
        with contextlib.suppress(*WOULD_BLOCK):
            while not self._ended:
                if data := self._connection.recv(65_536):
                    self._take(data)
                else:
                    self._ended = True

    def _take(self, data: bytes) -> None:
        happened = self._engine.receive_data(data)
        # From then on `h2` sends nothing, also not before it.
        self._ended = any(isinstance(event, events.ConnectionTerminated) for event in happened)
        for event in happened:
            match event:
                case events.RequestReceived():
                    self._begin(event)
                case events.DataReceived():
                    if not self._ended:
                        self._engine.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    if stream := self._streams.get(event.stream_id):
                        stream.body += event.data
                case events.StreamEnded():
                    self._complete(event.stream_id)
                case events.StreamReset():
                    self._reset(event)
                case events.ConnectionTerminated() if event.error_code:
                    raise ValueError(f"the client says {event.error_code!r}: {event.additional_data!r}")

    def _begin(self, event: events.RequestReceived) -> None:
        if self._last is not None:
            return  # it was told that this one will not be answered, or is about to be
        fields = cast("list[tuple[str, str]]", event.headers)  # decoded: the configuration says in what
        head = read_request(fields, "https" if isinstance(self._connection, ssl.SSLSocket) else "http")
        self._newest = event.stream_id
        self._streams[event.stream_id] = Stream(head)
        self._origin._entered()
        if head.get("expect").lower() == "100-continue" and not self._ended:
            self._engine.send_headers(event.stream_id, [(":status", "100")])

    def _complete(self, number: int) -> None:
        if (stream := self._streams.get(number)) is None:
            return
        stream.complete = True
        request = self._origin._received(stream.head, bytes(stream.body), self._number)
        self._origin._start(self._make_answer, number, request)

    def _reset(self, event: events.StreamReset) -> None:
        if (stream := self._streams.pop(event.stream_id, None)) is None:
            return
        self._origin.broken.append(f"connection {self._number}: stream {event.stream_id}: {event.error_code!r}")
        if not stream.complete:
            self._origin._left()

    # The answers

    def _make_answer(self, number: int, request: Received) -> None:
        answer: Answer | Exception
        try:
            answer = self._origin._answer(request)
        except Exception as error:  # raised again in the connection's own thread: there it means what it means always
            answer = error
        finally:
            self._origin._left()
        with self._origin.change:
            self._answers.put((number, answer))
            if self._waker_open:
                os.eventfd_write(self._waker, 1)

    def _begin_answer(self, number: int, answer: Answer | Exception) -> None:
        if isinstance(answer, Exception):
            raise answer
        if (stream := self._streams.get(number)) is None:
            return
        bodiless = answer.status in (204, 304)
        fields = [(":status", str(answer.status)), *answer.headers]
        if not answer.chunked and not bodiless:
            fields.append(("content-length", str(len(answer.body))))
        content = b"" if bodiless or stream.head.method == "HEAD" else answer.body
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        self._engine.send_headers(number, encoded, end_stream=not content)
        stream.left = memoryview(content)
        stream.closes = answer.close or not self._origin.keep_alive

    def _send(self) -> None:
        """Send what the client's windows and the socket take: of each stream in turn a frame."""
        while True:
            self._unsent += self._engine.data_to_send()
            if len(self._unsent) <= AHEAD:
                sending = [number for number, stream in self._streams.items() if stream.left is not None]
                framed = [self._frame(number) for number in sending]
                if any(framed):
                    continue
            if not self._unsent or not self._flush():
                return

    def _flush(self) -> bool:
        """Whether all has gone."""
        with contextlib.suppress(*WOULD_BLOCK):
            while self._unsent:
                del self._unsent[: self._connection.send(self._unsent)]
        return not self._unsent

    def _frame(self, number: int) -> bool:
        """Whether anything came of it."""
        stream = self._streams[number]
        assert stream.left is not None
        if stream.left:
            size = min(self._engine.local_flow_control_window(number), self._engine.max_outbound_frame_size)
            piece, stream.left = stream.left[:size], stream.left[size:]
            if not piece:
                return False
            self._engine.send_data(number, bytes(piece), end_stream=not stream.left)
        if not stream.left:
            del self._streams[number]
            if stream.closes and self._last is None:
                self._say_goodbye()
        return True

    def _say_goodbye(self) -> None:
        """GOAWAY: what has come is answered, and nothing more. (`h2` could answer nothing after its own.)"""
        self._last = self._newest
        self._unsent += self._engine.data_to_send()
        self._unsent += GoAwayFrame(0, last_stream_id=self._last).serialize()


def read_request(fields: list[tuple[str, str]], scheme: str) -> Head:
    """The head as HTTP/1.1 would have it; ValueError for what `h2` lets pass."""
    pseudo = {name: value for name, value in fields if name.startswith(":")}
    others = [(name, value) for name, value in fields if not name.startswith(":")]
    if pseudo[":scheme"] != scheme:
        raise ValueError(f"the client says {pseudo[':scheme']!r} on a connection of {scheme}")
    if ":authority" not in pseudo or any(name == "host" for name, _ in others):
        raise ValueError(f"Host in place of :authority, or besides it: {fields}")
    recorded = [("Host", pseudo[":authority"])]
    cookies = [value for name, value in others if name == "cookie"]
    for name, value in others:
        if name != "cookie":
            recorded.append(("-".join(part.capitalize() for part in name.split("-")), value))
        elif cookies:
            recorded.append(("Cookie", "; ".join(cookies)))
            cookies = []
    return Head(b"", pseudo[":method"], pseudo[":path"], "HTTP/2", recorded)
