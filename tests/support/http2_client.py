"""nghttp2 as a client, for the tests of our servers of HTTP/2: they are made of `h2`, which must not talk to itself."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Self

import ngh2

from support.server import PATIENCE, LocalServer


class Exchange:
    """What came of one request."""

    def __init__(self) -> None:
        self.interim: list[str] = []
        self.fields: dict[str, str] = {}
        self.content = bytearray()
        self.ended: int | None = None
        """How, by HTTP/2's error codes."""

    @property
    def body(self) -> bytes:
        return bytes(self.content)


class Client:
    """A connection of nghttp2's to a server of the test's, told by the test when to look what came."""

    def __init__(
        self, server: LocalServer, context: ssl.SSLContext | None = None, *, auto_window_update: bool = True
    ) -> None:
        self.server = server
        self.scheme = "http" if context is None else "https"
        self.socket = socket.create_connection((server.host, server.port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.engine = ngh2.Connection(ngh2.Role.CLIENT, ngh2.Configuration(auto_window_update=auto_window_update))
        self.engine.initiate_connection({})
        self.exchanges: dict[int, Exchange] = {}
        self.sent = 0
        """Bytes, frames and all."""
        self.last_stream: int | None = None
        """What GOAWAY said."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, end: TracebackType | None
    ) -> None:
        self.socket.close()

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        method: str = "GET",
        *fields: tuple[str, str],
        ends: bool = True,
    ) -> Exchange:
        """Send a request; unless it `ends`, there may be more content."""
        authority = f"{self.server.host}:{self.server.port}"
        pseudo = [(":method", method), (":scheme", self.scheme), (":authority", authority), (":path", path)]
        encoded = [(name.encode(), value.encode()) for name, value in (*pseudo, *fields)]
        number = self.engine.send_request(encoded, end_stream=body is None)
        if body is not None:
            self.engine.send_data(number, body, end_stream=ends)
        exchange = self.exchanges[number] = Exchange()
        self.send()
        return exchange

    def send(self) -> None:
        while data := self.engine.data_to_send():
            self.socket.sendall(data)
            self.sent += len(data)
        self._take_events()  # of what was sent: an end, or a reset of nghttp2's own

    def look_until(self, condition: Callable[[], object]) -> None:
        while not condition():
            data = self.socket.recv(65_536)
            assert data, "the server closed"
            self._look_at(data)

    def look_until_the_end(self) -> None:
        """Until the server closes."""
        while data := self.socket.recv(65_536):
            self._look_at(data)

    def finish(self, *exchanges: Exchange) -> None:
        self.look_until(lambda: all(each.ended is not None for each in exchanges))

    def _look_at(self, data: bytes) -> None:
        self.engine.receive_data(data)
        self._take_events()
        self.send()

    def _take_events(self) -> None:
        for event in self.engine.events():
            self._take(event)

    def _take(self, event: ngh2.Event) -> None:
        match event:
            case ngh2.InformationalResponseReceived():
                self.exchanges[event.stream_id].interim.append(_fields(event.headers)[":status"])
            case ngh2.ResponseReceived():
                self.exchanges[event.stream_id].fields = _fields(event.headers)
            case ngh2.TrailersReceived():
                self.exchanges[event.stream_id].fields |= _fields(event.headers)
            case ngh2.DataReceived():
                self.exchanges[event.stream_id].content += event.data
            case ngh2.StreamClosed():
                self.exchanges[event.stream_id].ended = event.error_code
            case ngh2.GoAwayReceived():
                self.last_stream = event.last_stream_id


def _fields(headers: tuple[ngh2.Header, ...]) -> dict[str, str]:
    return {bytes(name).decode(): bytes(value).decode() for name, value, *_ in headers}
