"""An HTTP/2 peer that does exactly what the test says, frame by frame.

    with Http2Peer([greet(), expect_request(), respond(200, body=b"hello"), expect_close()]) as peer:
        ...  # talk to peer.url, with http2="only"

It is a `Peer`, so its steps stand beside these, `send` above all: `send(headers(1, (b":status", b"200")) + b"\\0")`.
What makes bytes of a frame (`frame`, `headers`, `data`, `settings`, ...) takes any value, also such as no decent server
sends; header blocks made by them hold literals only, so that they can be written down without a connection's state.

What the client sends is held to the RFC, whatever the script: a frame that is too large, a stream that is not new, a
field that may not be there, or a byte more than the window let through fails the test. Windows are known to the peer
where they were opened by steps (`greet`, `change_settings`, `grant`, `serve`), not by bytes that a test sends.

`serve` is the decent server behind a script's oddities: it answers, acknowledges, and minds every window.
"""

from __future__ import annotations

import enum
import socket
import ssl
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import hpack

from support.certificates import Certificates
from support.framing import read_exactly
from support.peer import Conversation, Peer, Script, ScriptError, Step, drain_ciphertext
from support.server import PATIENCE

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# Kinds of frames (RFC 9113 section 6, RFC 7838 section 4, RFC 8336 section 2, RFC 9218 section 7.1)
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ALTSVC, ORIGIN, PRIORITY_UPDATE = 0xA, 0xC, 0x10
_KINDS: Final = (
    *("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS"),
    *("PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION"),
)

# Flags
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

# Settings
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)

DEFAULT_WINDOW: Final = 65_535
# What a client sends in one frame at most, unless it is told otherwise.
DEFAULT_FRAME: Final = 16_384


class Code(enum.IntEnum):
    """Error codes of RST_STREAM and GOAWAY (RFC 9113 section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


Field = tuple[bytes, bytes]


# Bytes of frames


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """Any frame; `length` is what it says that it has, if that is not so."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def block(*fields: Field) -> bytes:
    """A header block of literals, without Huffman codes and without the dynamic table: any name, any value."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields)


def headers(
    stream: int, *fields: Field, end: bool = False, flags: int = END_HEADERS, raw: bytes | None = None
) -> bytes:
    """HEADERS with `fields`, or with the header block `raw`; `end` ends the stream."""
    payload = block(*fields) if raw is None else raw
    return frame(HEADERS, flags | (END_STREAM if end else 0), stream, payload)


def continuation(stream: int, payload: bytes, *, end_headers: bool = False) -> bytes:
    return frame(CONTINUATION, END_HEADERS if end_headers else 0, stream, payload)


def data(stream: int, content: bytes = b"", *, end: bool = False, padding: int | None = None) -> bytes:
    """DATA, with the field of the padding's length if `padding` is not None."""
    flags = END_STREAM if end else 0
    if padding is None:
        return frame(DATA, flags, stream, content)
    return frame(DATA, flags | PADDED, stream, bytes([padding]) + content + bytes(padding))


def response(stream: int, status: int = 200, fields: Iterable[Field] = (), body: bytes = b"") -> bytes:
    """A whole response, in literals; `body` must not be larger than a frame."""
    head = headers(stream, (b":status", b"%d" % status), *fields, end=not body)
    return head + data(stream, body, end=True) if body else head


def settings(values: Mapping[int, int] | Sequence[tuple[int, int]] = (), *, ack: bool = False) -> bytes:
    pairs = values.items() if isinstance(values, Mapping) else values
    return frame(SETTINGS, ACK if ack else 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def ping(payload: bytes = b"peer's 8", *, ack: bool = False) -> bytes:
    return frame(PING, ACK if ack else 0, 0, payload)


def goaway(last: int = 0, code: int = Code.NO_ERROR, debug: bytes = b"") -> bytes:
    """GOAWAY: the streams beyond `last` have not been looked at."""
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + debug)


def rst(stream: int, code: int = Code.CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def priority(stream: int, parent: int = 0, weight: int = 15) -> bytes:
    return frame(PRIORITY, 0, stream, struct.pack(">IB", parent, weight))


def push_promise(stream: int, promised: int, *fields: Field) -> bytes:
    return frame(PUSH_PROMISE, END_HEADERS, stream, struct.pack(">I", promised) + block(*fields))


def _text(text: bytes) -> bytes:
    """A string literal of HPACK (RFC 7541 section 5)."""
    size = len(text)
    if size < 127:
        return bytes([size]) + text
    rest, coded = size - 127, b"\x7f"
    while rest >= 128:
        coded += bytes([rest % 128 | 128])
        rest //= 128
    return coded + bytes([rest]) + text


# What came


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of the client's."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        """The error code of RST_STREAM and GOAWAY."""
        return int.from_bytes(self.payload[4:8] if self.kind == GOAWAY else self.payload[:4], "big")

    def has(self, flag: int) -> bool:
        return bool(self.flags & flag)

    def __str__(self) -> str:
        name = _KINDS[self.kind] if self.kind < len(_KINDS) else f"kind {self.kind}"
        code = f" {Code(self.code).name}" if self.kind in (RST_STREAM, GOAWAY) else ""
        return f"{name}{code} on {self.stream} (flags {self.flags:#x}, {len(self.payload)} bytes)"


@dataclass(slots=True)
class Request:
    """A request as far as it has come."""

    stream: int
    fields: tuple[Field, ...]
    body: bytearray = field(default_factory=bytearray)
    trailers: tuple[Field, ...] = ()
    is_complete: bool = False
    reset: int | None = None
    """The error code by which the client ended it."""

    def get(self, name: bytes) -> bytes | None:
        """The value of the first field of that name."""
        return next((value for key, value in self.fields if key == name), None)

    @property
    def method(self) -> bytes:
        return self.get(b":method") or b""

    @property
    def path(self) -> bytes:
        return self.get(b":path") or b""


class Session:
    """One connection, as far as its frames were read."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        """Every frame that was read, in order."""
        self.requests: dict[int, Request] = {}
        """By stream."""
        self.goaway: Frame | None = None
        """The client's."""
        self.settings: dict[int, int] = {}
        """The client's, those that it sent."""
        self.open: set[int] = set()
        """The streams that neither the client nor a step of ours has ended."""
        self.most_open = 0
        self.answered: set[int] = set()
        """The streams that `serve` has nothing to say on."""
        self.expected: list[int] = []
        """The streams that `expect_request` has handed out."""
        self.window = DEFAULT_WINDOW
        """How many bytes of content we may send on the connection."""
        self.encoder = hpack.Encoder()
        self._decoder = hpack.Decoder(max_header_list_size=1 << 24)
        self._windows: dict[int, int] = {}
        self._sent: dict[int, int] = {}
        self._unacknowledged: list[Mapping[int, int]] = []
        self._own: dict[int, int] = {}
        self._granted = DEFAULT_WINDOW
        self._granted_to: dict[int, int] = {}
        self._block: tuple[Frame, bytearray] | None = None

    @property
    def last(self) -> Request:
        """The request that was expected last; the one that came last, where none was."""
        if not self.requests:
            raise ScriptError("no request has come")
        return self.requests[self.expected[-1] if self.expected else max(self.requests)]

    def window_of(self, stream: int) -> int:
        """How many bytes of content the client lets us send on `stream`, before the connection's window is minded."""
        initial = self.settings.get(INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)
        return initial + self._windows.get(stream, 0) - self._sent.get(stream, 0)

    # What we send

    def set(self, values: Mapping[int, int]) -> None:
        """Our settings go out; they hold when the client has acknowledged them."""
        self._unacknowledged.append(values)

    def grant(self, stream: int, size: int) -> None:
        """WINDOW_UPDATE goes out."""
        if stream:
            self._granted_to[stream] = self._granted_to.get(stream, 0) + size
        else:
            self._granted += size

    def sent_on(self, stream: int) -> int:
        """How many bytes of content went out on `stream`."""
        return self._sent.get(stream, 0)

    def spend(self, stream: int, size: int) -> None:
        """So many bytes of content go out."""
        self.window -= size
        self._sent[stream] = self._sent.get(stream, 0) + size

    def end(self, stream: int) -> None:
        """We have ended `stream`."""
        self.open.discard(stream)

    # What the client sends

    def take(self, came: Frame) -> None:
        """Account for a frame; ScriptError when it should not have been sent."""
        self.frames.append(came)
        if len(came.payload) > self._own.get(MAX_FRAME_SIZE, DEFAULT_FRAME):
            raise ScriptError(f"larger than SETTINGS_MAX_FRAME_SIZE: {came}")
        if (self._block is not None) is not (came.kind == CONTINUATION):
            raise ScriptError(f"between or outside of header blocks: {came}")
        if came.kind in (HEADERS, CONTINUATION):
            self._take_headers(came)
        elif came.kind == DATA:
            self._take_data(came)
        elif came.kind == SETTINGS:
            self._take_settings(came)
        elif came.kind == WINDOW_UPDATE:
            self._take_window(came.stream, int.from_bytes(came.payload, "big"))
        elif came.kind == RST_STREAM:
            self._known(came).reset = came.code
            self.open.discard(came.stream)
        elif came.kind == GOAWAY:
            self.goaway = came
        elif came.kind == PUSH_PROMISE:
            raise ScriptError(f"a client cannot push: {came}")

    def _known(self, came: Frame) -> Request:
        if came.stream not in self.requests:
            raise ScriptError(f"on a stream that was never opened: {came}")
        return self.requests[came.stream]

    def _take_headers(self, came: Frame) -> None:
        if came.kind == HEADERS:
            self._block = (came, bytearray(_unpadded(came)[5 if came.has(WITH_PRIORITY) else 0 :]))
        assert self._block is not None
        first, collected = self._block
        if came.stream != first.stream:
            raise ScriptError(f"inside of the header block of stream {first.stream}: {came}")
        if came.kind == CONTINUATION:
            collected += came.payload
        if came.has(END_HEADERS):
            self._block = None
            pairs = self._decoder.decode(bytes(collected), raw=True)
            self._take_fields(first, tuple((bytes(name), bytes(value)) for name, value, *_ in map(tuple, pairs)))

    def _take_fields(self, first: Frame, fields: tuple[Field, ...]) -> None:
        stream = first.stream
        if stream in self.requests:
            request = self.requests[stream]
            if request.is_complete or not first.has(END_STREAM):
                raise ScriptError(f"trailers that are none: {first}")
            _check_fields(fields)
            request.trailers = fields
        else:
            if stream % 2 == 0 or stream <= max(self.requests, default=0):
                raise ScriptError(f"not a new stream of a client: {first}")
            _check_request(fields)
            request = self.requests[stream] = Request(stream, fields)
            self.open.add(stream)
            self.most_open = max(self.most_open, len(self.open))
        request.is_complete = first.has(END_STREAM)

    def _take_data(self, came: Frame) -> None:
        request = self._known(came)
        if request.is_complete or request.reset is not None:
            raise ScriptError(f"on a stream that the client has ended: {came}")
        size = len(came.payload)
        self._granted -= size
        self._granted_to[came.stream] = self._granted_to.get(came.stream, 0) - size
        initial = self._own.get(INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)
        if size and (self._granted < 0 or self._granted_to[came.stream] + initial < 0):
            raise ScriptError(f"more than the window lets through: {came}")
        request.body += _unpadded(came)
        request.is_complete = came.has(END_STREAM)

    def _take_settings(self, came: Frame) -> None:
        if came.has(ACK):
            if self._unacknowledged:  # else they were a test's own bytes
                self._own.update(self._unacknowledged.pop(0))
            return
        values = dict(struct.iter_unpack(">HI", came.payload))
        self.settings.update(values)
        if HEADER_TABLE_SIZE in values:
            self.encoder.header_table_size = min(4096, values[HEADER_TABLE_SIZE])

    def _take_window(self, stream: int, size: int) -> None:
        if not size:
            raise ScriptError(f"WINDOW_UPDATE of nothing on {stream}")
        if stream:
            self._windows[stream] = self._windows.get(stream, 0) + size
        else:
            self.window += size


_FORBIDDEN: Final = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))
_REQUIRED: Final = (b":method", b":scheme", b":path")
_TOKEN: Final = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


def _check_request(fields: tuple[Field, ...]) -> None:
    """RFC 9113 section 8.3.1, without CONNECT, which no client of ours sends on a stream."""
    pseudo = [name for name, _ in fields if name.startswith(b":")]
    if any(pseudo.count(name) != 1 for name in _REQUIRED) or len(set(pseudo)) != len(pseudo):
        raise ScriptError(f"pseudo fields: {fields}")
    if not set(pseudo) <= {*_REQUIRED, b":authority"} or any(
        name.startswith(b":") for name, _ in fields[len(pseudo) :]
    ):
        raise ScriptError(f"pseudo fields: {fields}")
    _check_fields(fields[len(pseudo) :])


def _check_fields(fields: tuple[Field, ...]) -> None:
    """RFC 9113 sections 8.2.1 and 8.2.2."""
    for name, value in fields:
        if not name or not _TOKEN.issuperset(name) or name in _FORBIDDEN or (name == b"te" and value != b"trailers"):
            raise ScriptError(f"a field that may not be there: {name!r}: {value!r}")
        if value.strip(b" \t") != value or any(byte in b"\0\r\n" for byte in value):
            raise ScriptError(f"a value that is none: {name!r}: {value!r}")


def _unpadded(came: Frame) -> bytes:
    if not came.has(PADDED):
        return came.payload
    return came.payload[1 : len(came.payload) - came.payload[0]]


# The peer


class Http2Peer(Peer):
    """A `Peer` that keeps what its connections' frames meant: `sessions[number]`, and `requests` of all of them."""

    def __init__(self, scripts: Sequence[Script] | Script, **options: Any) -> None:
        super().__init__(scripts, **options)
        self.sessions: dict[int, Session] = {}

    @property
    def requests(self) -> list[Request]:
        """Every request of which a step has read the head, connection by connection."""
        with self.change:
            return [each for number in sorted(self.sessions) for each in self.sessions[number].requests.values()]

    @property
    def paths(self) -> list[str]:
        """Those of `requests`."""
        return [request.path.decode() for request in self.requests]

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Block until frames that were read have made it so. In an `async def` test: by `asyncio.to_thread`."""
        with self.change:
            if not self.change.wait_for(is_so, PATIENCE):
                raise AssertionError(f"it has not come: {self.paths}, {self.failures}")


def http2_context(certificates: Certificates, *protocols: str) -> ssl.SSLContext:
    """A server's context that chooses "h2", or the first of `protocols` that the client offers."""
    context = certificates.server_context()
    context.set_alpn_protocols(list(protocols or ("h2",)))
    return context


def session_of(on: Conversation) -> Session:
    """For steps of a test's own."""
    peer = on.peer
    assert isinstance(peer, Http2Peer), "these steps are for an Http2Peer"
    with peer.change:
        return peer.sessions.setdefault(on.number, Session())


def read_frame(on: Conversation) -> Frame | None:
    """The next frame; None when the client closed instead. EOFError when it closed inside one."""
    session = session_of(on)
    start = on.stream.read(9)
    if not start:
        return None
    if len(start) < 9:
        raise EOFError(f"the client closed inside of a frame's head: {start!r}")
    payload = read_exactly(on.stream, int.from_bytes(start[:3], "big"))
    came = Frame(start[3], start[4], int.from_bytes(start[5:], "big"), payload)
    with on.peer.change:
        session.take(came)
        on.peer.change.notify_all()
    return came


# Steps that begin


def expect_preface() -> Step:
    """The client's connection preface: the magic words and a SETTINGS frame (RFC 9113 section 3.4)."""

    def expect_preface(on: Conversation) -> None:
        if on.socket.family != socket.AF_UNIX:
            # Frames are small writes, and the kernel would hold them back for 40 ms each.
            on.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        magic = read_exactly(on.stream, len(PREFACE))
        if magic != PREFACE:
            raise ScriptError(f"not a preface: {magic!r}")
        first = read_frame(on)
        if first is None or first.kind != SETTINGS or first.has(ACK):
            raise ScriptError(f"the preface ends with {first}")

    return expect_preface


def greet(values: Mapping[int, int] | None = None) -> Step:
    """Both prefaces: the client's, then ours with these settings, and an acknowledgement of the client's."""

    def greet(on: Conversation) -> None:
        expect_preface()(on)
        session_of(on).set(values or {})
        on.socket.sendall(settings(values or {}) + settings(ack=True))

    return greet


# Steps that read

# What a client may send at any time, and a script need not mention.
_HOUSEKEEPING: Final = (SETTINGS, WINDOW_UPDATE, PRIORITY)


def expect_frame(kind: int, stream: int | None = None, *, ack: bool = False) -> Step:
    """Read on to a frame of `kind`; before it nothing may come but SETTINGS, WINDOW_UPDATE and PRIORITY."""

    def expect_frame(on: Conversation) -> None:
        while True:
            came = _read(on, (kind,), _KINDS[kind])
            if stream is not None and came.stream != stream:
                raise ScriptError(f"expected it on stream {stream}: {came}")
            if kind not in (SETTINGS, PING) or came.has(ACK) is ack:
                return

    expect_frame.__name__ = f"expect_frame({_KINDS[kind]})"
    return expect_frame


def expect_request(*, whole: bool = True) -> Step:
    """The next request, in the order of the streams: its head, or all of it (a body must fit the windows)."""

    def expect_request(on: Conversation) -> None:
        session = session_of(on)
        while not (new := sorted(session.requests.keys() - set(session.expected))):
            _read(on, (HEADERS, CONTINUATION), "HEADERS")
        session.expected.append(new[0])
        while whole and not session.requests[new[0]].is_complete:
            _read(on, (DATA, HEADERS, CONTINUATION), f"the end of stream {new[0]}")

    return expect_request


def expect_requests(count: int) -> Step:
    """Read on until `count` requests have come whole on this connection, in whatever order their frames come."""

    def expect_requests(on: Conversation) -> None:
        requests = session_of(on).requests
        while sum(request.is_complete for request in requests.values()) < count:
            _read(on, (HEADERS, CONTINUATION, DATA), f"{count} requests")

    return expect_requests


def expect_content(size: int | None = None, stream: int | None = None) -> Step:
    """Read on until so many bytes of a request's content have come, of the last one's by default; None: all of it."""

    def expect_content(on: Conversation) -> None:
        request = session_of(on).requests[stream] if stream else session_of(on).last
        while not request.is_complete if size is None else len(request.body) < size:
            _read(on, (DATA, HEADERS, CONTINUATION), f"content of stream {request.stream}")

    return expect_content


def expect_rst(stream: int | None = None, code: int = Code.CANCEL) -> Step:
    """The client resets `stream`, by default that of the last request. Its DATA may come before."""

    def expect_rst(on: Conversation) -> None:
        number = stream or session_of(on).last.stream
        while (came := _read(on, (RST_STREAM, DATA), f"RST_STREAM on {number}")).kind != RST_STREAM:
            pass
        if (came.stream, came.code) != (number, code):
            raise ScriptError(f"expected RST_STREAM {Code(code).name} on {number}, got {came}")

    return expect_rst


def expect_goaway(*codes: int) -> Step:
    """The client says GOAWAY with one of `codes` (none: whatever code), and then closes. RST_STREAM may come before."""

    def expect_goaway(on: Conversation) -> None:
        while (came := _read(on, (RST_STREAM, GOAWAY, PING), "GOAWAY")).kind != GOAWAY:
            pass
        if codes and came.code not in codes:
            raise ScriptError(f"expected GOAWAY with one of {codes}, got {came}")
        expect_close()(on)

    return expect_goaway


def expect_close() -> Step:
    """The client must close now; before it, GOAWAY may come, and what may come at any time."""

    def expect_close(on: Conversation) -> None:
        while (came := read_frame(on)) is not None:
            if came.kind not in (GOAWAY, *_HOUSEKEEPING):
                raise ScriptError(f"instead of closing: {came}")

    return expect_close


def read_on() -> Step:
    """Read whatever comes until the client closes, cleanly or not."""

    def read_on(on: Conversation) -> None:
        try:
            while read_frame(on) is not None:
                pass
        except (ConnectionError, EOFError):
            pass
        except ssl.SSLError:
            drain_ciphertext(on)

    return read_on


def _read(on: Conversation, kinds: Sequence[int], awaited: str) -> Frame:
    """The next frame that is not housekeeping; it must be of `kinds`."""
    while True:
        came = read_frame(on)
        if came is None:
            raise ScriptError(f"the client closed instead of {awaited}")
        if came.kind in kinds:
            return came
        if came.kind not in _HOUSEKEEPING:
            raise ScriptError(f"instead of {awaited}: {came}")


# Steps that send


def respond(
    status: int = 200,
    fields: Iterable[Field] = (),
    body: bytes = b"",
    *,
    stream: int | None = None,
    trailers: Iterable[Field] = (),
    end: bool = True,
) -> Step:
    """Answer `stream`, by default that of the last request. The windows are not minded: that is the script's to do.

    `end=False` leaves the response unfinished.
    """

    def respond(on: Conversation) -> None:
        session = session_of(on)
        number = stream or session.last.stream
        session.answered.add(number)
        pieces = [body[at : at + DEFAULT_FRAME] for at in range(0, len(body), DEFAULT_FRAME)]
        last = end and not trailers
        said = _head(session, number, status, fields, end=last and not pieces)
        for index, piece in enumerate(pieces):
            said += data(number, piece, end=last and index == len(pieces) - 1)
            session.spend(number, len(piece))
        if trailers:
            said += _fields(session, number, tuple(trailers), end=end)
        if end:
            session.end(number)
        on.socket.sendall(said)

    respond.__name__ = f"respond({status})"
    return respond


def send_as_answer(said: bytes, stream: int | None = None) -> Step:
    """Send bytes of the test's own; `serve` then leaves `stream` alone, by default that of the last request."""

    def send_as_answer(on: Conversation) -> None:
        session = session_of(on)
        number = stream or session.last.stream
        session.answered.add(number)
        session.end(number)
        on.socket.sendall(said)

    return send_as_answer


def grant(size: int, stream: int | None = None) -> Step:
    """Let the client send `size` more bytes on `stream` (by default that of the last request) and on the connection."""

    def grant(on: Conversation) -> None:
        number = stream or session_of(on).last.stream
        for each in (0, number):
            session_of(on).grant(each, size)
        on.socket.sendall(window_update(0, size) + window_update(number, size))

    return grant


def change_settings(values: Mapping[int, int]) -> Step:
    """Send SETTINGS, and read on until the client has acknowledged them; requests may come before."""

    def change_settings(on: Conversation) -> None:
        session_of(on).set(values)
        known = sum(came.kind == SETTINGS and came.has(ACK) for came in session_of(on).frames)
        unseen = len(session_of(on)._unacknowledged)
        on.socket.sendall(settings(values))
        while sum(came.kind == SETTINGS and came.has(ACK) for came in session_of(on).frames) < known + unseen:
            _read(on, (SETTINGS, HEADERS, CONTINUATION, DATA, RST_STREAM), "an acknowledgement of SETTINGS")

    return change_settings


def _head(session: Session, stream: int, status: int, fields: Iterable[Field], *, end: bool) -> bytes:
    return _fields(session, stream, ((b":status", b"%d" % status), *fields), end=end)


def _fields(session: Session, stream: int, fields: tuple[Field, ...], *, end: bool) -> bytes:
    """By HPACK with all that it has: Huffman codes and the dynamic table."""
    return headers(stream, end=end, raw=session.encoder.encode(list(fields)))


# A decent server


@dataclass(frozen=True, slots=True)
class Reply:
    """What `serve` answers; its content may be of any size."""

    status: int = 200
    fields: tuple[Field, ...] = ()
    body: bytes = b""
    trailers: tuple[Field, ...] = ()


Handler = Callable[[Request], Reply | None]


def says_path(request: Request) -> Reply:
    """Its method and path."""
    return Reply(body=request.method + b" " + request.path)


def serve(handler: Handler = says_path, *, requests: int | None = None, grants: bool = True) -> Step:
    """Answer every complete request that has no answer yet, until the client closes, or until `requests` are answered.

    Acknowledges SETTINGS and PING; sends as much as the windows let through; gives back what it received, unless
    `grants` is False. A handler that returns None leaves its request open.
    """

    def serve(on: Conversation) -> None:
        try:
            _Server(on, handler, grants).run(requests)
        except ConnectionError:
            if not _is_over(on):
                raise

    return serve


def _is_over(on: Conversation) -> bool:
    """Whether the client had said that it ends."""
    return session_of(on).goaway is not None or on.peer.ended.is_set()


class _Server:
    def __init__(self, on: Conversation, handler: Handler, grants: bool) -> None:
        self._on = on
        self._session = session_of(on)
        self._handler = handler
        self._grants = grants
        self._answered = 0
        self._content: dict[int, tuple[memoryview, tuple[Field, ...]]] = {}

    def run(self, requests: int | None) -> None:
        self._answer()
        while requests is None or self._answered < requests or self._content:
            came = read_frame(self._on)
            if came is None:
                return
            self._acknowledge(came)
            self._answer()
            self._pump()

    def _acknowledge(self, came: Frame) -> None:
        if came.kind == DATA and came.payload and self._grants:
            for stream in (0, came.stream):
                self._session.grant(stream, len(came.payload))
            size = len(came.payload)
            self._on.socket.sendall(window_update(0, size) + window_update(came.stream, size))
        elif came.kind == SETTINGS and not came.has(ACK):
            self._on.socket.sendall(settings(ack=True))
        elif came.kind == PING and not came.has(ACK):
            self._on.socket.sendall(ping(came.payload, ack=True))
        elif came.kind == RST_STREAM:
            self._content.pop(came.stream, None)

    def _answer(self) -> None:
        for stream in sorted(self._session.open - self._session.answered):
            request = self._session.requests[stream]
            if not request.is_complete:
                continue
            self._session.answered.add(stream)
            reply = self._handler(request)
            if reply is None:
                continue
            self._answered += 1
            ends = not reply.body and not reply.trailers
            said = _head(self._session, stream, reply.status, reply.fields, end=ends)
            if ends:
                self._session.end(stream)
            else:
                self._content[stream] = (memoryview(reply.body), reply.trailers)
            self._on.socket.sendall(said)
        self._pump()

    def _pump(self) -> None:
        """Send what the windows let through, a frame a stream in turn."""
        moved = True
        while moved:
            moved = False
            for stream in list(self._content):
                moved = self._send_some(stream) or moved

    def _send_some(self, stream: int) -> bool:
        content, trailers = self._content[stream]
        size = min(len(content), self._session.window, self._session.window_of(stream), DEFAULT_FRAME)
        if content and size <= 0:
            return False
        piece, rest = content[:size], content[size:]
        said = data(stream, bytes(piece), end=not rest and not trailers) if content else b""
        if not rest and trailers:
            said += _fields(self._session, stream, trailers, end=True)
        self._session.spend(stream, len(piece))
        if rest:
            self._content[stream] = (rest, trailers)
        else:
            del self._content[stream]
            self._session.end(stream)
        self._on.socket.sendall(said)
        return True
