"""The yardstick of HTTP/2: bare.py's poller and TLS under one connection of nghttp2 (by ngh2), with nothing around it.

A request is a list of fields made beforehand, a response is a status and a body. What one turn of the loop asks for
leaves by one send. Streams beyond what the server allows at a time wait inside nghttp2.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import ngh2

from benchmarks.bare import Reactor, TLSConnection, Waiter

Fields = list[tuple[bytes, bytes]]
Sink = Callable[[bytes], object]

# What atomhttp has: so large that a server on loopback hardly ever waits for an acknowledgement.
STREAM_WINDOW = 1024 * 1024
CONNECTION_WINDOW = 16 * 1024 * 1024


class Stream:
    """One request under way."""

    __slots__ = ("deliver", "pieces", "status", "waiter")

    def __init__(self, waiter: Waiter, sink: Sink | None) -> None:
        self.waiter = waiter
        self.pieces: list[bytes] = []
        self.deliver = sink or self.pieces.append
        self.status = b""


class Http2Connection(TLSConnection):
    """All of a client's requests; nghttp2 acknowledges what was received as soon as it has been handed over."""

    def __init__(self, sock: socket.socket, reactor: Reactor, context: ssl.SSLContext, host: str) -> None:
        self.streams: dict[int, Stream] = {}
        self.call_soon = asyncio.get_running_loop().call_soon
        self.is_flush_due = False
        super().__init__(sock, reactor, context, host)
        if self.tls.selected_alpn_protocol() != "h2":
            raise ConnectionError("the server does not speak HTTP/2")
        self.engine = ngh2.Connection(ngh2.Role.CLIENT)
        self.engine.initiate_connection({ngh2.Setting.INITIAL_WINDOW_SIZE: STREAM_WINDOW, ngh2.Setting.ENABLE_PUSH: 0})
        self.engine.set_local_window_size(CONNECTION_WINDOW)
        self.feed = self.engine.receive_data
        self.flush()

    def start(self, fields: Fields, stream: Stream) -> None:
        self.streams[self.engine.send_request(fields, end_stream=True)] = stream
        if not self.is_flush_due:
            self.is_flush_due = True
            self.call_soon(self.flush)

    def flush(self) -> None:
        self.is_flush_due = False
        if data := self.engine.data_to_send():
            self.send(data)

    def on_readable(self) -> None:
        super().on_readable()
        event: Any  # its kinds are told apart by the fastest comparison, which type checkers do not follow
        for event in self.engine.events():
            kind = type(event)
            if kind is ngh2.DataReceived:
                self.streams[event.stream_id].deliver(event.data)
            elif kind is ngh2.ResponseReceived:
                self.streams[event.stream_id].status = event.headers[0][1]
            elif kind is ngh2.StreamClosed:
                self.on_closed(event)
        self.flush()

    def on_closed(self, event: ngh2.StreamClosed) -> None:
        waiter = self.streams.pop(event.stream_id).waiter
        if event.error_code:
            waiter.set_exception(ConnectionResetError(f"the stream ended with error {event.error_code}"))
        else:
            waiter.set_result(None)

    def on_eof(self) -> None:
        self.close()
        for stream in self.streams.values():
            stream.waiter.set_exception(ConnectionResetError("the server closed the connection"))


class Http2Client:
    """One connection inside the running event loop (asyncio's or uvloop)."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        self.create_waiter = loop.create_future
        self.reactor = Reactor()
        loop.add_reader(self.reactor.poller.fileno(), self.reactor.run_ready)
        context = context or ssl.create_default_context()
        context.set_alpn_protocols(["h2"])
        # Blocking, even under a loop: it happens on loopback and before the clock starts.
        sock = socket.create_connection(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = Http2Connection(sock, self.reactor, context, address[0])

    async def exchange(self, request: Fields, sink: Sink | None = None) -> tuple[int, bytes]:
        """Send one request and return the response's status and body."""
        waiter = self.create_waiter()
        stream = Stream(waiter, sink)
        self.connection.start(request, stream)
        await waiter
        pieces = stream.pieces
        return int(stream.status), pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def drain(self, request: Fields, sink: Sink) -> int:
        """Send one request, hand the response's body to `sink` piece by piece, and return its status."""
        status, _ = await self.exchange(request, sink)
        return status

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.reactor.poller.fileno())
        self.connection.close()
        self.reactor.poller.close()


def build_fields(method: str, host: str, path: str) -> Fields:
    """The fields of a request, made once and sent again and again."""
    return [
        (b":method", method.encode()),
        (b":scheme", b"https"),
        (b":authority", host.encode()),
        (b":path", path.encode()),
        (b"accept", b"application/json"),
    ]
