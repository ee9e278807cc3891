"""An HTTP/1.1 connection: one engine joined to one stream, serving one call at a time.

Theory of operation. The connection is the reactor's handler for its socket and is always in one of these conditions:

    idle      `call` is None, kept by the pool, watched. Application data or the end of the stream closes it;
              TLS's own messages (session tickets come long after the handshake) do not.
    busy      `call` is set. Bytes become events, events fill the call, its coroutine is woken.
    paused    busy, but the consumer is behind: not watched, so the peer is held back by its own window.
    closed    for good.

It becomes idle in one place, `_finish`, and only when the response ended by our own framing, the request was written
whole, not a byte was left over, and nobody asked for `close`. Everything else closes it. Errors of the socket are
judged by reading: after a failed send the peer's 413 may still be there to read.
"""

from __future__ import annotations

import errno
import logging
import ssl
from collections.abc import Callable
from io import BytesIO
from threading import get_ident
from typing import Any, Final

from atomhttp._net.call import Call
from atomhttp._net.connection import BREATH, Connection, Owner
from atomhttp._net.large_content import EARNED, LARGE, LargeContent
from atomhttp._net.pollers import IN, OUT
from atomhttp._net.reactor import BUFFER_SIZE, Reactor
from atomhttp._net.stream import SocketStream, Stream
from atomhttp._net.tls_errors import explain
from atomhttp._wire.events import ResponseHead
from atomhttp._wire.http1 import IDLE, Http1Engine
from atomhttp._wire.http1_writer import LAST_CHUNK, encode_chunk
from atomhttp.errors import AtomHTTPNetworkError, AtomHTTPProtocolError, AtomHTTPTLSError

_logger: Final = logging.getLogger("atomhttp.connection")

# Content that a stream may hold before its connection is paused.
HIGH_WATER: Final = 256 * 1024
# What is handed on in one piece: few enough of them, and small enough that malloc does not map fresh pages for each
# (128 KiB; 100 MB took 75 ms of CPU in pieces of 64 KiB, 57 in these).
SLICE: Final = 120 * 1024
# What is received in one piece by a consumer that keeps up.
WIDE_SLICE: Final = 480 * 1024


class Http1Connection(Connection):
    """See the module's docstring. Used by one call at a time."""

    __slots__ = ("_engine", "_holds", "_later", "_receive_into", "_reset_by", "_send", "_unsent", "call")

    # Whatever goes on here is one exchange's.
    multiplexes = False

    def __init__(self, stream: Stream, owner: Owner, bucket: Any, max_header_size: int, now: float) -> None:
        super().__init__(stream, owner, bucket, now)
        self._send = stream.send
        self._receive_into = stream.receive
        # Whether the stream may hold bytes, received or to be sent (TLS).
        self._holds = not isinstance(stream, SocketStream)
        self._engine = Http1Engine(max_header_size)
        self._unsent: memoryview | None = None
        # What comes behind that.
        self._later: list[bytes] = []
        self._reset_by: OSError | None = None
        self.call: Call | None = None

    def __repr__(self) -> str:
        state = "closed" if self.closed else "idle" if self.call is None else "busy"
        return f"<Http1Connection {state}, {self.served} served>"

    @property
    def calls(self) -> list[Call]:
        return [] if self.call is None else [self.call]

    def _look(self) -> None:
        # Anything but TLS's own messages ends an idle connection.
        buffer = self.reactor.buffer if self.reactor is not None else memoryview(bytearray(16 * 1024))
        try:
            self._stream.receive(buffer)
        except BlockingIOError:
            if not self._stream.pending and not self._stream.holds_part(buffer):
                return
        except OSError:
            # Expected: the peer has reset it. It is of no more use, and nobody was using it.
            self.close()
            return
        self.close()

    # One exchange

    def start(self, call: Call, method: str, data: bytes, content: list[bytes] | None = None) -> None:
        """Begins an exchange: `data` is the head, and the content when that is small and known.

        Content that is in memory and not that small is `content`: it goes out behind the head, in one system call with
        it as far as the socket takes it. (A form of 1 MB took four.)

        The sending is that of `write`, written out: every request comes through here (0.15 µs).
        """
        self.call = call
        call.connection = self
        self.served += 1
        if self.served == 1 and self._speaks_first():
            call.keep_alive = False
        self._engine.expect(method)
        if content is not None:
            self._write_together([data, *content])
            return
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._cannot_write(error)
            return
        if sent != len(data) or (self._holds and self._stream.unflushed):
            self._keep(data, sent)

    def _speaks_first(self) -> bool:
        """Whether an answer is here before the request: it will do, but each further one would be to the one before."""
        return not self._holds and self._probe is not None and bool(self._probe(0))

    def start_whole(self, call: Call, method: str, head: bytes, content: bytes) -> None:
        """Begins an exchange whose content is small: one write, one packet train."""
        self.start(call, method, head + content)

    def write_piece(self, piece: bytes | memoryview, sized: bool) -> None:
        """Sends content: as it is, where a Content-Length has announced it, else as a chunk."""
        self.write(piece if sized else encode_chunk(piece))

    def end_content(self, sized: bool) -> None:
        """There is no more content."""
        if not sized:
            self.write(LAST_CHUNK)

    def write(self, data: bytes | memoryview) -> None:
        """Sends `data` as far as the socket takes it; the rest follows when it can. Nothing else may be unsent."""
        if self._reset_by is None:
            try:
                sent = self._send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self._cannot_write(error)
                return
            self._keep(data, sent)

    def _write_together(self, pieces: list[bytes]) -> None:
        try:
            sent = self._stream.send_together(pieces)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._cannot_write(error)
            return
        for place, piece in enumerate(pieces):
            if sent < len(piece):
                self._later = [later for later in pieces[place + 1 :] if later]
                self._keep(piece, sent)
                return
            sent -= len(piece)
        self._keep(b"", 0)

    def _keep(self, data: bytes | memoryview, sent: int) -> None:
        """What the socket did not take waits for it."""
        if sent != len(data):
            self._unsent = memoryview(data)[sent:]
            self._flush()
        elif self._stream.unflushed:
            self._watch(IN | OUT)

    @property
    def writable(self) -> bool:
        """Whether all that was written has left."""
        return self._unsent is None and not self._stream.unflushed

    def _flush(self) -> None:
        stream = self._stream
        try:
            if stream.flush():
                breath = BREATH
                while self._unsent is not None and breath > 0:
                    sent = stream.send(self._unsent)
                    if not sent:
                        break
                    breath -= sent
                    if sent < len(self._unsent):
                        self._unsent = self._unsent[sent:]
                    else:
                        self._unsent = memoryview(self._later.pop(0)) if self._later else None
        except BlockingIOError:
            pass  # the rest waits for the next event
        except OSError as error:
            self._cannot_write(error)
            return
        call = self.call
        if call is not None and call.phase == "write" and call.phase_due is not None:
            # The peer takes bytes: slow, but no stall.
            call.phase_due = call.driver.now() + call.phase_limit
        if not self.writable:
            self._watch(IN | OUT)
            return
        if self._mask:
            self._watch(IN)
        if self.call is not None and self.call.uploading:
            self.call.wake()

    def _cannot_write(self, error: OSError) -> None:
        """The peer takes no more. Why, it may have said already: reading tells."""
        self._reset_by = error
        self._unsent = None
        self._later = []
        call = self.call
        if call is not None:
            call.keep_alive = False
            if self.closed:
                # Closed by another thread since it was taken: there is nothing left to read.
                self.call = call.connection = None
                call.interrupt(self._network_error(error, call))
                return
        if self._mask:
            self._watch(IN)
        if self.call is not None and self.call.uploading:
            self.call.wake()

    @property
    def write_failed(self) -> bool:
        return self._reset_by is not None

    # The reactor's side

    def on_ready(self, mask: int) -> None:
        if mask & OUT:
            # Even when all has left meanwhile: TLS may have flushed while it read, and the uploader waits to be told.
            self._flush()
        if mask != OUT and self._mask:
            self._receive()

    def fail(self, error: BaseException) -> None:
        call = self.call
        self.close()
        if call is not None:
            call.interrupt(error)

    def _receive(self) -> None:
        reactor: Reactor = self.reactor  # type: ignore[assignment]  # only a watched connection receives: there is one
        buffer = reactor.buffer
        try:
            while True:
                call = self.call
                if call is not None and (call.streaming or call.collected is not None) and self._receive_content(call):
                    return
                size = self._receive_into(buffer)
                if not size:
                    self._ended()
                    return
                if call is not None and call.collected is not None and self._engine.content_left >= size:
                    self._collect(call, buffer[:size])
                elif size <= SLICE:
                    self._take(bytes(buffer[:size]))
                else:
                    self._take_slices(buffer[:size])
                if size == BUFFER_SIZE:
                    # There may be more than fitted: nothing that ended here is known to be drained.
                    self.drained_at = reactor.polled_at = 0.0
                if not self._holds or not self._stream.pending or not self._mask:
                    return
        except BlockingIOError:
            self._nothing_yet(buffer)
        except AtomHTTPProtocolError as error:
            self._broken(error)
        except OSError as error:
            self._lost(error)

    def _nothing_yet(self, buffer: memoryview) -> None:
        if self.call is None and self._stream.holds_part(buffer):
            # It may be of a ticket, or the beginning of an answer to a request that is still to come.
            self.close()

    def _receive_content(self, call: Call) -> bool:
        """Receives content to where it is wanted, without a copy in between; False where that is of no use."""
        if self._engine.content_left <= SLICE:
            return False
        if not call.streaming:
            return self._receive_large(call)
        receive = self._stream.receive_bytes
        if receive is None:
            return False
        self._receive_pieces(call, receive)
        return True

    def _receive_large(self, call: Call) -> bool:
        """Content of a large response that is wanted whole."""
        collected: Any = call.collected
        left = self._engine.content_left
        if type(collected) is BytesIO:
            size = collected.tell()
            if size < EARNED or size + left < LARGE:
                return False
            collected = call.collected = LargeContent(collected, size + left)
        while True:
            # Never up to the end: the read that ends a message must see what comes behind it.
            size = self._stream.receive(collected.window(left - 1))
            if not size:
                self._ended()
                return True
            collected.received(size)
            left -= size
            self._engine.skip_content(size)
            if call.phase_due is not None:
                call.phase_due = call.driver.now() + call.phase_limit
            if not self._stream.pending or left <= SLICE:
                return not self._stream.pending

    def _receive_pieces(self, call: Call, receive: Callable[[int], bytes]) -> None:
        """Content of a stream, from the socket into the pieces that the consumer gets: no copy in between."""
        if call.buffered > HIGH_WATER:
            # Only now: whoever has kept up would be paused and resumed in each pass (two system calls).
            self._watch(0)
            return
        # A wide piece only where much came the last time and nothing waits to be consumed. They save passes (100 MB: 41
        # ms of CPU with them, 54 without), but where little comes, pages would be mapped for each.
        size = WIDE_SLICE if call.flowing and not call.buffered else SLICE
        # Never up to the end: the read that ends a message must see what comes behind it.
        piece = receive(min(size, self._engine.content_left - 1))
        if not piece:
            self._ended()
            return
        call.flowing = len(piece) >= SLICE
        self._engine.skip_content(len(piece))
        call.take_piece(piece)
        if call.phase_due is not None:
            call.phase_due = call.driver.now() + call.phase_limit

    def _collect(self, call: Call, content: memoryview) -> None:
        """Content of a response that is wanted whole: copied once, to where it stays."""
        call.collected.write(content)  # type: ignore[union-attr]  # there is one, or this would not be called
        if self._engine.skip_content(len(content)):
            self._finish(call, call.driver.now())
        elif call.phase_due is not None:
            call.phase_due = call.driver.now() + call.phase_limit

    def _take_slices(self, data: memoryview) -> None:
        for start in range(0, len(data), SLICE):
            self._take(bytes(data[start : start + SLICE]))

    def _take(self, data: bytes) -> None:
        call = self.call
        if call is None:
            if not self.closed:
                _logger.debug("%r: bytes that belong to no response; closed", self)
                self.close()
            return
        now = call.driver.now()
        # Any: what it is says `kind`, in one comparison instead of isinstance's call; type checkers cannot follow.
        event: Any
        for event in self._engine.receive(data):
            kind = type(event)  # pyright: ignore[reportUnknownVariableType]  # see above
            if kind is ResponseHead:
                head: ResponseHead = event
                content = head.content
                if content is None:
                    call.take_head(head, now)
                else:
                    call.head = head
                    call.first_at = now
                    call.content = content
                    self._finish(call, now)
            elif kind is bytes:
                if call.streaming:
                    self._hand_on(call, event)
                else:
                    if call.collected is None:
                        call.collected = BytesIO()
                    call.collected.write(event)
            else:
                call.received_trailers = event.trailers
                self._finish(call, now)
        if call.phase_due is not None:
            call.phase_due = now + call.phase_limit

    def _hand_on(self, call: Call, piece: bytes) -> None:
        call.take_piece(piece)
        if call.buffered > HIGH_WATER:
            self._watch(0)

    def consumed(self) -> None:
        """The consumer has taken a piece: nobody waits for that here."""

    def resume(self) -> None:
        """The consumer has caught up: watch again, after what TLS still holds."""
        if self.closed or self.reactor is None:
            return
        if not self._mask:
            self._watch(IN if self.writable else IN | OUT)
        if self._stream.pending:
            self._receive()

    def _finish(self, call: Call, now: float) -> None:
        """The response is complete: the only way back into the pool."""
        call.ended = True
        call.ended_at = now
        call.connection = None
        self.call = None
        if not self._mask and not self.closed:
            # Paused by what came just before the end.
            self._watch(IN)
        # Watched for reading only: it is open, and all that was written has left.
        if (
            self._engine.state == IDLE
            and self._mask == IN
            and call.keep_alive
            and not call.uploading
            and not (self._holds and self._stream.pending)
        ):
            self.keep_alive_timeout = call.head.keep_alive_timeout  # type: ignore[union-attr]  # it has ended: it has a head
            self.idle_since = self.drained_at = now
            self._owner.release(self)
        else:
            try:
                self.close()
            except Exception as error:
                call.interrupt(error)
        waiter = call.wakeable
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # Ends

    def _ended(self) -> None:
        """The peer has closed its side."""
        call = self.call
        if call is None:
            self.close()
            return
        try:
            if self._engine.receive_eof(self._stream.clean_eof):
                self._finish(call, call.driver.now())
                return
        except AtomHTTPProtocolError as error:
            self._broken(error)
            return
        self._lost(self._reset_by or ConnectionResetError(errno.ECONNRESET, "closed by the peer"))

    def _lost(self, error: OSError) -> None:
        call = self.call
        if call is None:
            self.close()
        elif isinstance(error, ssl.SSLError):
            # The request may have been read, and done, before this.
            when = "" if call.head is None else " in the middle of the response"
            problem = AtomHTTPTLSError(f"TLS failed{when}: {explain(error)}", request_sent="maybe")
            problem.__cause__ = error
            self.fail(problem)
        else:
            self.fail(self._network_error(error, call))

    def _network_error(self, error: OSError, call: Call) -> AtomHTTPNetworkError:
        code = errno.errorcode.get(error.errno or 0, "ECONNRESET")
        fresh = call.head is None
        # An interim response is an answer too: the request has been seen.
        reused = fresh and not call.answered and not self._engine.begun and self.served > 1
        when = "before a response came" if fresh else "in the middle of the response"
        sent = "maybe"
        problem = AtomHTTPNetworkError(
            f"the connection was lost {when}: {error.strerror or error}", code, request_sent=sent, reused=reused
        )
        problem.__cause__ = error
        return problem

    def _broken(self, error: AtomHTTPProtocolError) -> None:
        """The peer broke HTTP. What it did after the end of a message harms nobody but itself."""
        call = self.call
        if call is not None:
            error.request_sent = "yes"
            self.fail(error)
        else:
            self.close()

    def close(self) -> None:
        """Closes for good. The call that was served here, if any, is not told: that is `fail`."""
        if self.closed:
            return
        self.closed = True
        call, self.call = self.call, None
        if call is not None:
            call.connection = None
        self._unsent = None
        self._later = []
        try:
            if self._reset_by is None:
                self._stream.shutdown()
        finally:
            self._close_socket()


class SharedHttp1Connection(Http1Connection):
    """A connection that the units of a synchronous client, in whatever threads, hand to each other.

    It stays registered with the unit that used it last, whose thread may be polling when another one takes it: a stale
    event must then not touch it.
    """

    __slots__ = ()

    def on_ready(self, mask: int) -> None:
        call = self.call
        if call is None:
            self._owner.check_idle(self)
        elif call.driver.thread == get_ident():
            super().on_ready(mask)
