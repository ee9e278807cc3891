"""A stream of an HTTP/2 connection: what carries one exchange. See `http2` for how the two work together."""

from __future__ import annotations

from collections import deque
from io import BytesIO
from typing import TYPE_CHECKING, Final

from atomhttp._compiled import mypyc_attr
from atomhttp._net.call import Call
from atomhttp._net.large_content import EARNED, LARGE, LargeContent
from atomhttp._wire.http2 import MAX_QUEUED, STREAM_WINDOW, StreamID
from atomhttp._wire.http2_writer import Field

if TYPE_CHECKING:
    from atomhttp._net.http2 import Http2Connection
    from atomhttp._net.reactor import Reactor

# Consumed content is acknowledged at the latest when it makes up this much.
ACKNOWLEDGED: Final = STREAM_WINDOW // 4


@mypyc_attr(free_list_len=1)
class Http2Stream:
    """Carries one exchange. See `Carrier`, and the module's docstring.

    Args:
        alone: it has the connection for itself.

    Attributes:
        number: HTTP/2's identifier of it, 0 until the exchange has begun.
    """

    multiplexes = True

    # Defaults on the class and no __slots__: making one sets two attributes.
    call: Call | None = None
    closed = False
    number: StreamID = 0
    # Whether there is content to send.
    has_content = False
    # Content that the engine has not been given yet, and whether that is all.
    _pieces: deque[memoryview] | None = None
    _ends = False
    # How much the connection had given out when the last of it left the engine; -1: it has not.
    _mark = 0
    _left = 0
    # Content that the consumer has, or will get, and that has not been acknowledged.
    _held = 0

    def __init__(self, connection: Http2Connection, alone: bool) -> None:
        self._connection = connection
        self.alone = alone

    def __repr__(self) -> str:
        return f"<Http2Stream {self.number} of {self._connection!r}>"

    @property
    def reactor(self) -> Reactor | None:
        return self._connection.reactor

    def is_usable(self, now: float) -> bool:
        """Whether the promise still holds; if not, it is given back."""
        if not self.closed and not self._connection.can_open:
            self.close()
        return not self.closed

    def attach(self, reactor: Reactor) -> None:
        self._connection.attach(reactor)

    def detach(self) -> None:
        if self.alone:
            self._connection.flush()
            self._connection.detach()

    # Sending

    def start(self, call: Call, method: str, head: list[Field], content: list[bytes] | None = None) -> None:
        """Begins the exchange; see `Carrier`."""
        if content is None:
            self._begin(call, head, not call.uploading)
            return
        pieces = deque(memoryview(piece) for piece in content if piece)
        self._begin(call, head, not pieces)
        if pieces and not self.closed:
            self._ends = True
            self._queue(pieces)

    def start_whole(self, call: Call, method: str, head: list[Field], content: bytes) -> None:
        self._begin(call, head, not content)
        if content and not self.closed:
            self.has_content = True
            self._connection.engine.send_content(self.number, content, end_stream=True)

    def _begin(self, call: Call, head: list[Field], is_all: bool) -> None:
        connection = self._connection
        self.call = call
        call.connection = self
        connection.served += 1
        self.number = connection.engine.send_request(self, head, is_all)
        if not self.number:
            connection.refuse(self, call)
            return
        connection.flush_soon()

    def write_piece(self, piece: bytes | memoryview, sized: bool) -> None:
        self._queue(deque((memoryview(piece),)))
        self._connection.flush()

    def end_content(self, sized: bool) -> None:
        if not self.closed:
            self._connection.engine.send_content(self.number, b"", end_stream=True)
            self._connection.flush_soon()

    def _queue(self, pieces: deque[memoryview]) -> None:
        self._pieces = pieces
        self.has_content = True
        self._mark = -1
        self._connection.feed_from(self)

    def feed(self) -> None:
        """Gives the engine more content, if it can do with some."""
        pieces = self._pieces
        if not pieces:
            return
        engine = self._connection.engine
        room = MAX_QUEUED - engine.queued(self.number)
        while pieces and room > 0:
            piece = pieces[0]
            portion = piece[:room]
            room -= len(portion)
            if len(portion) == len(piece):
                pieces.popleft()
            else:
                pieces[0] = piece[len(portion) :]
            engine.send_content(self.number, portion, end_stream=self._ends and not pieces)

    def note(self, produced: int) -> None:
        """The connection has given out so much: is the last of our content among it?"""
        if self._mark < 0 and not self._pieces and not self._connection.engine.queued(self.number):
            self._mark = produced

    def has_left(self, sent: int) -> bool:
        """Whether the socket has taken all of our content, when it has taken `sent` bytes of the connection's."""
        return 0 <= self._mark <= sent

    def has_advanced(self) -> bool:
        """Whether some of it has gone since this was asked last."""
        left = self._connection.engine.queued(self.number) + sum(map(len, self._pieces or ()))
        before, self._left = self._left, left
        return left != before

    @property
    def writable(self) -> bool:
        return self.has_left(self._connection.sent)

    @property
    def write_failed(self) -> bool:
        return self.closed or self._connection.write_failed

    # Receiving

    def take_content(self, call: Call, piece: bytes) -> None:
        """A piece of content has come."""
        if call.streaming:
            self._held += len(piece)
            call.take_piece(piece)
            # What has been consumed since the last one.
            self._acknowledge(call)
            return
        collected = call.collected
        if collected is None:
            collected = call.collected = BytesIO()
        collected.write(piece)
        self._connection.engine.acknowledge(self.number, len(piece))
        if type(collected) is BytesIO and collected.tell() >= EARNED and call.head is not None:
            length = call.head.content_length
            if length is not None and length >= LARGE:
                call.collected = LargeContent(collected, length)

    def _acknowledge(self, call: Call) -> None:
        size = self._held - call.buffered
        if size > 0:
            self._held -= size
            self._connection.engine.acknowledge(self.number, size)

    def consumed(self) -> None:
        call = self.call
        if call is not None and self._held - call.buffered >= ACKNOWLEDGED:
            self._acknowledge(call)
            self._connection.flush_soon()

    def resume(self) -> None:
        call = self.call
        if call is not None:
            self._acknowledge(call)
            self._connection.resume()

    # Ends

    def close(self) -> None:
        if not self.closed:
            self._connection.drop(self)

    def abandon(self) -> None:
        self._connection.abandon()
