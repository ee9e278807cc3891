"""The receiving half of HTTP/1.1 (RFC 9112), one engine a connection, one exchange after the other.

Theory of operation. The engine waits in one of these states:

    IDLE ──expect()──▶ HEAD ──▶ SIZED   (Content-Length: counts down)          ──▶ IDLE
                        │  ▶ CHUNKED (ChunkedDecoder)                          ──▶ IDLE
                        │  ▶ UNTIL_EOF (neither: the end of the stream ends it)──▶ CLOSED
                        └─ 1xx: stays in HEAD
    any error, or a byte that belongs to no exchange ──▶ CLOSED

A message that arrives whole is one event, a head with `content`; any other is a head, pieces, and an end.

A head is collected to its empty line and parsed in one piece. What follows is framed by the engine itself, so it
always knows where a message ends, and `surplus` says whether the peer sent a byte more: such a connection must never
carry another exchange, because the next response would be one that nobody asked for (response queue poisoning).
"""

from __future__ import annotations

from typing import Final

from atomhttp._wire.chunked import ChunkedDecoder
from atomhttp._wire.events import END_OF_MESSAGE, EndOfMessage, Event, ResponseHead
from atomhttp._wire.http1_parser import parse_head, shown
from atomhttp.errors import AtomHTTPProtocolError

DEFAULT_MAX_HEADER_SIZE: Final = 64 * 1024
# Nobody needs more, and each one could keep a caller waiting (CVE-2024-24791's kind).
MAX_INTERIM_RESPONSES: Final = 20

_NO_CONTENT: Final = (204, 304)
# Requests whose responses are framed by the method.
_SPECIAL: Final = frozenset(("HEAD", "CONNECT"))

IDLE: Final = 0
HEAD: Final = 1
SIZED: Final = 2
CHUNKED: Final = 3
UNTIL_EOF: Final = 4
CLOSED: Final = 5


class Http1Engine:
    """Turns what a server sends into events. Feed it, and read `reusable` when the message has ended."""

    __slots__ = (
        "_chunks",
        "_held",
        "_interim",
        "_max_header_size",
        "_method",
        "_remaining",
        "_used",
        "keep_alive",
        "state",
    )

    def __init__(self, max_header_size: int = DEFAULT_MAX_HEADER_SIZE) -> None:
        self.state = IDLE
        self.keep_alive = True
        self._max_header_size = max_header_size
        self._method = ""
        self._held = bytearray()
        self._used = 0
        self._interim = 0
        self._remaining = 0
        self._chunks: ChunkedDecoder | None = None

    @property
    def reusable(self) -> bool:
        """Whether another exchange may follow on this connection, as far as the peer's bytes tell."""
        return self.state == IDLE

    @property
    def begun(self) -> bool:
        """Whether a part of a response, or an interim one, has come."""
        return bool(self._held or self._used)

    def expect(self, method: str) -> None:
        """A request with `method` goes out: its response is next. The method decides how that is framed."""
        if self.state != IDLE:
            raise RuntimeError("the engine is in the middle of an exchange")
        self.state = HEAD
        self._method = method

    def receive(self, data: bytes) -> list[Event]:
        """The events in `data`, which must not be empty.

        Raises:
            AtomHTTPProtocolError: the peer broke HTTP. The engine is CLOSED.
        """
        state = self.state
        try:
            if state == HEAD:
                return self._receive_head(data) if self._held or self._used else self._receive_first(data)
            if state == SIZED:
                return self._receive_sized(data, [])
            if state == CHUNKED:
                return self._receive_chunked(data, [])
            if state == UNTIL_EOF:
                return [data]
            raise AtomHTTPProtocolError(f"the server sent bytes that belong to no response: {shown(data)}")
        except AtomHTTPProtocolError:
            self.state = CLOSED
            raise

    def receive_eof(self, clean: bool = True) -> list[Event]:
        """The events that the end of the stream causes; `clean` is False for TLS without close_notify.

        Raises:
            AtomHTTPProtocolError: the message was cut off.
        """
        state, self.state = self.state, CLOSED
        if state == UNTIL_EOF:
            if clean:
                return [END_OF_MESSAGE]
            raise AtomHTTPProtocolError("the TLS stream was cut off: the response may be incomplete")
        if state == HEAD and self._held:
            raise AtomHTTPProtocolError(f"the connection ended inside a response head: {shown(bytes(self._held))}")
        if state == SIZED:
            raise AtomHTTPProtocolError(f"the connection ended {self._remaining} bytes before the end of the response")
        if state == CHUNKED:
            raise AtomHTTPProtocolError("the connection ended inside a chunked response")
        return []

    # Content that its reader moves by itself

    @property
    def content_left(self) -> int:
        """How many bytes of content are still to come, where a Content-Length says so; else 0."""
        return self._remaining if self.state == SIZED else 0

    def skip_content(self, size: int) -> bool:
        """`size` bytes of content, at most `content_left`, have gone past the engine; whether the message has ended."""
        self._remaining -= size
        if self._remaining:
            return False
        self.state = IDLE if self.keep_alive else CLOSED
        return True

    # Head

    def _receive_first(self, data: bytes) -> list[Event]:
        """The first bytes of a response. A small one comes whole, and is one event; any other goes the long way."""
        end = data.find(b"\r\n\r\n") + 4
        if end == 3 or end > self._max_header_size:
            return self._receive_head(data)
        head = parse_head(data[:end])
        length = head.content_length
        if head.status == 200 and length is not None and length == len(data) - end and self._method not in _SPECIAL:
            head.content = data[end:]
            self.state = IDLE if head.keep_alive else CLOSED
            return [head]
        return self._take_head(head, data[end:], end)

    def _receive_head(self, data: bytes) -> list[Event]:
        seen = len(self._held)
        if seen:
            # What is held grows in place and is not looked at again: a head that comes byte by byte costs no more
            # than its bytes (64 KiB of it: 4.5 s of CPU otherwise).
            self._held += data
            end = self._held.find(b"\r\n\r\n", max(0, seen - 3)) + 4
        else:
            end = data.find(b"\r\n\r\n") + 4
        if end == 3 or self._used + end > self._max_header_size:
            self._hold(data, end, seen)
            return []
        if seen:
            data = bytes(self._held)
            self._held = bytearray()
        return self._take_head(parse_head(data[:end]), data[end:], end)

    def _take_head(self, head: ResponseHead, rest: bytes, size: int) -> list[Event]:
        if head.status >= 200:
            return self._start_body(head, rest, [head])
        self._used += size
        self._interim += 1
        if self._interim > MAX_INTERIM_RESPONSES:
            raise AtomHTTPProtocolError(f"more than {MAX_INTERIM_RESPONSES} interim responses")
        return [head, *self._receive_head(rest)] if rest else [head]

    def _hold(self, data: bytes, end: int, seen: int) -> None:
        """Keeps an incomplete head, unless it can never become one: a caller should not wait for its timeout then.

        `data` came now, after `seen` bytes that are held, and fine.
        """
        if not seen:
            self._held += data
        room = self._max_header_size - self._used
        too_large = (end if end > 3 else len(self._held)) > room
        # What is no head at all is called that, however it arrives.
        del self._held[room:]
        line = b"HTTP/1."
        if seen < len(line) and self._held[: len(line)] != line[: len(self._held)]:
            raise AtomHTTPProtocolError(f"not an HTTP/1.1 response: {shown(bytes(self._held))}")
        new = self._held[seen:]
        ends = new.count(b"\r\n") + (new[:1] == b"\n" and self._held[seen - 1 : seen] == b"\r")
        if new.count(b"\n") != ends:
            raise AtomHTTPProtocolError(f"a line of the response head ends without CR: {shown(bytes(self._held))}")
        if too_large:
            raise AtomHTTPProtocolError(
                f"the response head is larger than {self._max_header_size} bytes (maxHeaderSize)", "HPE_HEADER_OVERFLOW"
            )

    def _start_body(self, head: ResponseHead, rest: bytes, events: list[Event]) -> list[Event]:
        """How the content is framed: RFC 9112 section 6.3, in its order."""
        self.keep_alive = head.keep_alive
        if self._used:
            self._used = self._interim = 0
        status, coding, length = head.status, head.transfer_encoding, head.content_length
        if coding is not None and (coding.rstrip(b" ").lower() != b"chunked" or head.http_version != "1.1"):
            raise AtomHTTPProtocolError(f"a Transfer-Encoding that cannot be framed: {shown(coding)}")
        if status in _NO_CONTENT or self._never_has_content(status):
            return self._end(rest, END_OF_MESSAGE, events)
        if length is not None:
            self._remaining = length
            self.state = SIZED
            return self._receive_sized(rest, events) if rest or not length else events
        if coding is not None:
            self.state = CHUNKED
            self._chunks = ChunkedDecoder()
            return self._receive_chunked(rest, events) if rest else events
        self.state = UNTIL_EOF
        self.keep_alive = False
        if rest:
            events.append(rest)
        return events

    def _never_has_content(self, status: int) -> bool:
        return self._method == "HEAD" or (self._method == "CONNECT" and status < 300)

    # Content

    def _receive_sized(self, data: bytes, events: list[Event]) -> list[Event]:
        remaining = self._remaining - len(data)
        if remaining > 0:
            self._remaining = remaining
            events.append(data)
            return events
        if self._remaining:
            events.append(data[: self._remaining])
        return self._end(data[self._remaining :], END_OF_MESSAGE, events)

    def _receive_chunked(self, data: bytes, events: list[Event]) -> list[Event]:
        chunks = self._chunks
        assert chunks is not None
        events.extend(chunks.feed(data))
        if chunks.done:
            self._chunks = None
            end = EndOfMessage(tuple(chunks.trailers)) if chunks.trailers else END_OF_MESSAGE
            return self._end(b"surplus" if chunks.surplus else b"", end, events)
        return events

    def _end(self, rest: bytes, end: EndOfMessage, events: list[Event]) -> list[Event]:
        events.append(end)
        self.state = IDLE if self.keep_alive and not rest else CLOSED
        return events
