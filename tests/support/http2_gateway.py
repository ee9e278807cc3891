"""A `Peer`'s scripts of HTTP/1.1, played to a client of HTTP/2: while `before_every_peer()` holds, this stands there.

Each stream is asked for on a connection of HTTP/1.1 to the peer that no other stream uses at that time. So a script is
what it always is, one after the other in the order of connections, kept for the next request if the script keeps it.
The first one is made with the client's connection, and all come from the client's address, though not from its port.
Between the two sides `h2` and `h11` stand,
which share nothing with the client under test. What `h2` refuses fails the test, and so does what no request has asked
for.

Nothing is made better here. What the script sends is passed on at once, what it does not read is not read from the
client (beyond the protocol's first window and the kernel's buffers), and an end means in HTTP/2 what it means there:

* `Connection: close`, or content that ends with the connection: GOAWAY before the end of the stream. What has come by
  then is answered.
* An end between two requests: the end of the client's connection, if no other stream or connection is left.
* An end, or a reset, before the response is complete: the same to the client's connection when all that the script sent
  has arrived, if no other stream is on it: it is lost as the script's was. Otherwise, since the other scripts go on,
  RST_STREAM(INTERNAL_ERROR).
* An end after the response and before the request is complete: RST_STREAM(NO_ERROR).
* What is not HTTP/1.1: a header block that is not HTTP/2's either. The client has to give the stream up.
* RST_STREAM by the client: the end of the script's connection; the client's own end or reset: that of all of them.
"""

from __future__ import annotations

import contextlib
import enum
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, cast

import h11
from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from hyperframe.frame import Frame, GoAwayFrame, HeadersFrame

from support.http2_origin import AHEAD, WOULD_BLOCK, read_request
from support.peer import Peer, reset_connection
from support.server import PATIENCE, LocalServer, leave

# Fields of the script's that are about its connection, which the client does not see.
_HOP_BY_HOP = (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")

# What no field of HTTP/2 may be called, as a literal that leaves the table of fields alone.
_GARBLED = b"\x00\x04:not\x04HTTP"


class End(enum.Enum):
    """How a response, or the client's connection, ends."""

    COMPLETE = enum.auto()
    CLOSED = enum.auto()
    RESET = enum.auto()
    GARBLED = enum.auto()
    BY_CLIENT = enum.auto()


@dataclass(slots=True, eq=False)
class Stream:
    """One request and its response."""

    number: int
    unpaid: int = 0
    """Bytes of the client's DATA that the script's connection has not taken yet."""
    request_ended: bool = False
    content: bytearray = field(default_factory=bytearray)
    """What of the response's is still to be sent."""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    end: End | None = None
    """What comes behind the content; None before that is known."""
    finished: bool = False
    """Whether the end of the response has been sent."""


@dataclass(slots=True, eq=False)
class Upstream:
    """A connection to the peer."""

    socket: socket.socket
    engine: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT))
    stream: Stream | None = None
    """What it serves; None between two requests."""
    used: bool = False
    unsent: bytearray = field(default_factory=bytearray)
    deaf: bool = False
    """Nothing can be sent to it any more."""


class Http2Gateway(LocalServer):
    """What the client takes for the peer."""

    flush: ClassVar[staticmethod[[], None]]

    def __init__(self, peer: Peer, *, tls: ssl.SSLContext | None, unix: Path | None, host: str) -> None:
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        super().__init__(tls=tls, unix=unix, host=host)
        self._address = peer.address
        self.failures, self.broken = peer.failures, peer.broken

    @classmethod
    @contextlib.contextmanager
    def before_every_peer(cls, flush: Callable[[], None] = lambda: None) -> Iterator[None]:
        """For that long, a `Peer` that is made is reached by HTTP/2 alone.

        `flush` is called when a test's ``with`` block has ended: it has to send what the client would send at the end
        of its event loop's turn, since the peer holds the loop up while it lets its scripts end.
        """
        cls.flush = staticmethod(flush)
        Peer.gateway = cls
        try:
            yield
        finally:
            Peer.gateway = None

    def serve(self, connection: socket.socket, number: int) -> None:
        Http2Relay(connection, self._address).run()


class Http2Relay:
    """One connection of the client's, and those to the peer that belong to it; all in one thread."""

    def __init__(self, connection: socket.socket, address: tuple[str, int]) -> None:
        self._connection = connection
        self._address = address
        # Not normalised: that would move cookies to the end. Not validated: what a script sends is for the client to
        # judge, as far as HTTP/2 has bytes for it.
        self._engine = H2Connection(
            H2Configuration(
                client_side=False,
                header_encoding="latin-1",
                normalize_inbound_headers=False,
                validate_outbound_headers=False,
            )
        )
        self._streams: dict[int, Stream] = {}
        self._upstreams: list[Upstream] = []
        self._unsent = bytearray()
        self._newest = 0
        self._said_goodbye = False
        # How it ends, as soon as no stream is left.
        self._end: End | None = None

    def run(self) -> None:
        """Serve until the client ends its connection, or the scripts have ended theirs."""
        self._connection.settimeout(0)
        _send_at_once(self._connection)
        try:
            self._dial()
            self._engine.initiate_connection()
            self._send()
            while not self._is_over():
                self._await()
                self._send()
            self._leave()
        finally:
            for upstream in self._upstreams:
                upstream.socket.close()

    def _is_over(self) -> bool:
        if self._end is End.BY_CLIENT:
            return True
        return (self._end is not None or self._said_goodbye) and not self._streams and not self._unsent

    def _await(self) -> None:
        """Wait for any of the sockets, and take what there is."""
        poller = select.poll()
        poller.register(self._connection, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        for upstream in self._upstreams:
            # What has not been asked for anything may say what it likes: it is heard with the first request.
            listens = upstream.used and (upstream.stream is None or len(upstream.stream.content) < AHEAD)
            if wanted := (select.POLLIN if listens else 0) | (select.POLLOUT if upstream.unsent else 0):
                poller.register(upstream.socket, wanted)
        ready = dict(poller.poll())
        if self._connection.fileno() in ready:
            self._receive()
        for upstream in [*self._upstreams]:
            happened = ready.get(upstream.socket.fileno(), 0)  # -1 when it has been closed just now
            if happened & select.POLLOUT:
                self._send_upstream(upstream)
            if happened & ~select.POLLOUT and upstream in self._upstreams:
                self._receive_upstream(upstream)

    def _leave(self) -> None:
        if self._end is End.RESET:
            reset_connection(self._connection)
        elif self._end is not End.BY_CLIENT:
            leave(self._connection)

    # The client's frames

    def _receive(self) -> None:
        with contextlib.suppress(*WOULD_BLOCK):
            while self._end is not End.BY_CLIENT:
                if data := self._connection.recv(65_536):
                    self._take(data)
                else:
                    self._end = End.BY_CLIENT

    def _take(self, data: bytes) -> None:
        happened = self._engine.receive_data(data)
        if any(isinstance(event, events.ConnectionTerminated) for event in happened):
            self._end = End.BY_CLIENT  # from then on `h2` sends nothing, also not before it
        for event in happened:
            match event:
                case events.RequestReceived():
                    self._begin(event)
                case events.DataReceived():
                    self._take_content(event)
                case events.StreamEnded():
                    self._end_request(event.stream_id)
                case events.StreamReset():
                    self._forget(event.stream_id)
                case events.ConnectionTerminated() if event.error_code:
                    raise ValueError(f"the client says {event.error_code!r}: {event.additional_data!r}")

    def _begin(self, event: events.RequestReceived) -> None:
        if self._said_goodbye or self._end is not None:
            return  # it was told that this one will not be answered, or is about to be
        fields = cast("list[tuple[str, str]]", event.headers)  # decoded: the configuration says in what
        head = read_request(fields, "https" if isinstance(self._connection, ssl.SSLSocket) else "http")
        if event.stream_ended is None and not head.get("content-length"):
            head.headers.append(("Transfer-Encoding", "chunked"))
        self._newest = event.stream_id
        stream = self._streams[event.stream_id] = Stream(event.stream_id)
        upstream = next((each for each in self._upstreams if _is_idle(each)), None) or self._dial()
        upstream.stream, upstream.used = stream, True
        self._ask(upstream, h11.Request(method=head.method, target=head.target, headers=head.headers))

    def _take_content(self, event: events.DataReceived) -> None:
        stream, upstream = self._find(event.stream_id)
        if stream is None or upstream is None or upstream.deaf:
            self._acknowledge(event.stream_id, event.flow_controlled_length)
            return
        stream.unpaid += event.flow_controlled_length
        self._ask(upstream, h11.Data(data=event.data))

    def _acknowledge(self, number: int, size: int) -> None:
        if self._end is not End.BY_CLIENT:
            self._engine.acknowledge_received_data(size, number)

    def _end_request(self, number: int) -> None:
        stream, upstream = self._find(number)
        if stream is None:
            return
        stream.request_ended = True
        if upstream is not None and not upstream.deaf:
            self._ask(upstream, h11.EndOfMessage())
        if stream.finished:
            self._part(stream)  # the next request may have come together with this one's end

    def _forget(self, number: int) -> None:
        """The client has reset the stream."""
        _, upstream = self._find(number)
        self._streams.pop(number, None)
        if upstream is not None:
            self._drop(upstream)

    # The connections to the peer

    def _dial(self) -> Upstream:
        local = self._connection.family == socket.AF_UNIX
        source = None if local else (self._connection.getpeername()[0], 0)
        connection = socket.create_connection(self._address, PATIENCE, source)
        connection.settimeout(0)
        _send_at_once(connection)
        upstream = Upstream(connection)
        self._upstreams.append(upstream)
        return upstream

    def _find(self, number: int) -> tuple[Stream | None, Upstream | None]:
        """The stream, if it is not over, and its connection to the peer, if it still has it."""
        if (stream := self._streams.get(number)) is None:
            return None, None
        return stream, next((each for each in self._upstreams if each.stream is stream), None)

    def _drop(self, upstream: Upstream) -> None:
        self._upstreams.remove(upstream)
        with contextlib.suppress(OSError):  # what is left unread would make a reset of the end
            upstream.socket.recv(1_000_000)
        upstream.socket.close()

    def _ask(self, upstream: Upstream, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        upstream.unsent += upstream.engine.send(event) or b""
        self._send_upstream(upstream)

    def _send_upstream(self, upstream: Upstream) -> None:
        try:
            while upstream.unsent:
                del upstream.unsent[: upstream.socket.send(upstream.unsent)]
        except BlockingIOError:
            return
        except OSError:  # there may be a response nevertheless
            upstream.deaf = True
            upstream.unsent.clear()
        if upstream.stream is not None and upstream.stream.unpaid:
            self._acknowledge(upstream.stream.number, upstream.stream.unpaid)
            upstream.stream.unpaid = 0

    def _receive_upstream(self, upstream: Upstream) -> None:
        stream = upstream.stream
        try:
            data = upstream.socket.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data, end = b"", End.RESET
        else:
            end = End.CLOSED
        if stream is not None and stream.end is None:
            upstream.engine.receive_data(data)
            self._take_response(upstream, stream, ended=not data)
        elif data and (stream is None or stream.end is not End.GARBLED):
            raise ValueError(f"the script sends what no request asked for: {data!r}")
        if not data:
            self._lose(upstream, end)

    def _take_response(self, upstream: Upstream, stream: Stream, *, ended: bool) -> None:
        while stream.end is None:
            try:
                event = upstream.engine.next_event()
            except h11.RemoteProtocolError:
                stream.end = None if ended else End.GARBLED
                return
            match event:
                case h11.InformationalResponse() | h11.Response():
                    fields = [field for field in event.headers if field[0] not in _HOP_BY_HOP]
                    self._engine.send_headers(stream.number, [(b":status", b"%d" % event.status_code), *fields])
                case h11.Data():
                    stream.content += event.data
                case h11.EndOfMessage():
                    stream.trailers, stream.end = list(event.headers), End.COMPLETE
                    if more := upstream.engine.trailing_data[0]:
                        raise ValueError(f"the script sends more than its response: {more!r}")
                    if ended or upstream.engine.their_state is h11.MUST_CLOSE:
                        self._say_goodbye()
                case _:  # no more for now
                    return

    def _free(self, upstream: Upstream) -> None:
        """Make it ready for the next exchange, unless this was its last one."""
        upstream.stream = None
        if upstream.engine.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
            upstream.engine.start_next_cycle()

    def _lose(self, upstream: Upstream, end: End) -> None:
        """The script has ended its connection, in the middle of something or not."""
        self._drop(upstream)
        if upstream.stream is not None and upstream.stream.end is None:
            upstream.stream.end = end
        elif not self._upstreams and not self._said_goodbye:
            self._end = self._end or end

    # What goes to the client

    def _send(self) -> None:
        """Send what the client's windows and the socket take: of each stream in turn a frame."""
        while self._end is not End.BY_CLIENT:
            self._unsent += self._engine.data_to_send()
            if len(self._unsent) <= AHEAD and self._frame_each():
                continue
            if not self._unsent or not self._flush():
                return

    def _flush(self) -> bool:
        """Whether all has gone."""
        try:
            while self._unsent:
                del self._unsent[: self._connection.send(self._unsent)]
        except WOULD_BLOCK:
            return False
        return True

    def _frame_each(self) -> bool:
        framed = [self._frame(stream) for stream in [*self._streams.values()]]
        return any(framed)

    def _frame(self, stream: Stream) -> bool:
        """Whether anything came of it."""
        if stream.content:
            size = min(self._engine.local_flow_control_window(stream.number), self._engine.max_outbound_frame_size)
            piece = bytes(stream.content[:size])
            del stream.content[:size]
            if piece:
                self._engine.send_data(stream.number, piece)
            return bool(piece)
        if stream.end is None:
            return False
        if not stream.finished:
            stream.finished = True
            self._finish(stream, stream.end)
        else:
            return self._part(stream)
        return True

    def _part(self, stream: Stream) -> bool:
        """Whether its response, which has been sent, was all there is to it."""
        _, upstream = self._find(stream.number)
        if stream.end is End.GARBLED or (upstream is not None and not stream.request_ended):
            return False
        del self._streams[stream.number]
        if upstream is not None:
            self._free(upstream)
        elif not stream.request_ended:
            self._engine.reset_stream(stream.number, ErrorCodes.NO_ERROR)
        return True

    def _finish(self, stream: Stream, end: End) -> None:
        if end is End.COMPLETE and stream.trailers:
            self._engine.send_headers(stream.number, stream.trailers, end_stream=True)
        elif end is End.COMPLETE:
            self._engine.end_stream(stream.number)
        elif end is End.GARBLED:
            self._send_frame(HeadersFrame(stream.number, _GARBLED, flags=["END_HEADERS"]))
        else:
            del self._streams[stream.number]
            self._break_off(stream, end)

    def _break_off(self, stream: Stream, end: End) -> None:
        if self._streams:
            self._engine.reset_stream(stream.number, ErrorCodes.INTERNAL_ERROR)
        else:
            self._end = end

    def _say_goodbye(self) -> None:
        """GOAWAY. (`h2` could send nothing after its own.)"""
        if not self._said_goodbye:
            self._said_goodbye = True
            self._send_frame(GoAwayFrame(0, last_stream_id=self._newest))

    def _send_frame(self, frame: Frame) -> None:
        """Send what `h2` would not."""
        self._unsent += self._engine.data_to_send() + frame.serialize()


def _is_idle(upstream: Upstream) -> bool:
    """Whether it takes a request: nothing is under way, and it has not ended since it was looked at."""
    poller = select.poll()
    poller.register(upstream.socket, select.POLLIN if upstream.used else 0)
    return upstream.engine.our_state is h11.IDLE and not poller.poll(0)


def _send_at_once(connection: socket.socket) -> None:
    if connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
