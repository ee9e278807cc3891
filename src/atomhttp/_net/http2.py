"""An HTTP/2 connection: one engine joined to one stream of bytes, serving many calls at once.

Theory of operation. `Http2Connection` is the reactor's handler for its socket; `Http2Stream` carries one exchange and
has for it what an HTTP/1.1 connection has, so nobody above knows the difference. A connection is

    busy      it has streams: those that carry a call, and those that the pool has promised to one.
    idle      it has none, and is kept by the pool. It stays watched: PING, SETTINGS and GOAWAY come at any time.
    retired   it takes no further streams (GOAWAY, `keepAlive=False`) and closes with the last one.
    closed    for good.

What is to be sent waits until everybody who runs in this turn has had a say (`Reactor.flush_soon`), and leaves in one
system call. Content goes to the engine in portions, so that no more of it than a window is copied ahead of its time.

Received content is acknowledged when it has been consumed: a consumer who lags holds back its own stream, by the
stream's window, and nobody else's, the connection's window being larger than all of theirs together. The connection
itself is never paused.

Synchronous clients have a thread for each unit. There, one unit at a time uses a connection, with all its calls
(`client.all`), and a stream that is handed to the caller (`response_type="stream"`) has a connection for itself, since
it may be read in any thread.
"""

from __future__ import annotations

import copy
import errno
import logging
import ssl
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from atomhttp._net.call import Call
from atomhttp._net.connection import BREATH, Connection, Owner
from atomhttp._net.http2_stream import Http2Stream
from atomhttp._net.pollers import IN, OUT
from atomhttp._net.reactor import BUFFER_SIZE
from atomhttp._net.stream import Stream
from atomhttp._net.tls_errors import explain
from atomhttp._wire.events import EndOfMessage
from atomhttp._wire.http2 import (
    CANCEL,
    NO_ERROR,
    Http2Engine,
    Http2Head,
    StreamEvent,
    StreamFailed,
)
from atomhttp.errors import (
    AtomHTTPError,
    AtomHTTPNetworkError,
    AtomHTTPProtocolError,
    AtomHTTPTimeoutError,
    AtomHTTPTLSError,
)

if TYPE_CHECKING:
    from atomhttp._net.reactor import Reactor

_logger: Final = logging.getLogger("atomhttp.connection")

# How often it is read before a call is given to it: what still comes then is a server's that has a lot to say.
LOOKS: Final = 4


class Http2Connection(Connection):
    """See the module's docstring.

    Args:
        ping_interval: seconds without a word from the peer after which it is asked whether it is there; None: never.
    """

    __slots__ = (
        "_doubted",
        "_feeders",
        "_freed",
        "_heard_at",
        "_is_dirty",
        "_known_limit",
        "_ping_interval",
        "_pinged_at",
        "_produced",
        "_proven",
        "_reset_by",
        "_retired",
        "_unsent",
        "engine",
        "sent",
        "slot",
        "streams",
    )

    multiplexes = True

    def __init__(
        self,
        stream: Stream,
        owner: Owner,
        bucket: Any,
        max_header_size: int,
        now: float,
        ping_interval: float | None = None,
    ) -> None:
        super().__init__(stream, owner, bucket, now)
        self.engine = Http2Engine(max_header_size)
        self.streams: set[Http2Stream] = set()
        # Those that still have content to send.
        self._feeders: dict[Http2Stream, None] = {}
        self._unsent: memoryview | None = None
        # Bytes that the engine has given, and that the socket has taken.
        self._produced = 0
        self.sent = 0
        self._is_dirty = False
        # What the pool has been told; nothing yet.
        self._known_limit = -1
        self._retired = False
        # A stream has ended since the pool was told.
        self._freed = False
        # A response has come on it.
        self._proven = False
        self._reset_by: OSError | None = None
        self._ping_interval = ping_interval
        self._heard_at = self._pinged_at = now
        # A call has run out of time on it, and nothing has been heard from the peer since.
        self._doubted = False
        self.slot: Any = None

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self.streams)} streams" if self.streams else "idle"
        return f"<Http2Connection {state}, {self.served} served>"

    # What the pool asks

    @property
    def calls(self) -> list[Call]:
        return [call for _, call in self._carried()]

    @property
    def calls_expected(self) -> bool:
        return bool(self.streams)

    @property
    def room(self) -> int:
        """How many more streams it takes; never less than 0."""
        engine = self.engine
        if self._retired or self._doubted or engine.going_away or self.closed:
            return 0
        return max(0, engine.limit - len(self.streams))

    @property
    def limit(self) -> int:
        """How many streams the peer allows at once."""
        return self.engine.limit

    @property
    def settled(self) -> bool:
        """Whether the peer has said how many streams it allows, or is not expected to."""
        return self.engine.settled or self._doubted

    @property
    def can_open(self) -> bool:
        """Whether a promised stream can still begin."""
        return not self.closed and not self.engine.going_away and not self._doubted

    def is_quiet(self, reactor: Reactor, now: float) -> bool:
        return not self._doubted and super().is_quiet(reactor, now)

    def is_usable(self, now: float) -> bool:
        if super().is_usable(now) and self._doubted:
            # Whoever were given it might have to find out by their own timeout that nobody is there.
            self.close()
        return not self.closed

    def open_stream(self, alone: bool = False) -> Http2Stream:
        """A stream for a call; it counts from now on. `alone`: there is to be no other one until it ends."""
        stream = Http2Stream(self, alone)
        self.streams.add(stream)
        return stream

    # Where it is watched

    def attach(self, reactor: Reactor) -> None:
        if self.reactor is not reactor:
            self.move(reactor)
        if not self._mask:
            self._watch(IN if self._has_left else IN | OUT)
        if self._ping_interval is not None and self.slot is None:
            reactor.timers.add(self, reactor.now() + self._ping_interval)
        if self._produced == 0:
            self.flush_soon()

    def detach(self) -> None:
        if self.reactor is not None:
            self.reactor.timers.discard(self)
        super().detach()

    def _look(self) -> None:
        # An end may stand behind what is read: nothing is left that a poller would tell of.
        for _ in range(LOOKS):
            self._receive()
            if self.closed or self._probe is None or not self._probe(0):
                break
        if not self.closed and self.engine.going_away:
            self.close()

    # Sending

    @property
    def _has_left(self) -> bool:
        return self._unsent is None and not self._stream.unflushed

    def flush_soon(self) -> None:
        """Has what is to be sent leave when everybody who runs in this turn has had a say."""
        if not self._is_dirty and self.reactor is not None:
            self._is_dirty = True
            self.reactor.flush_soon(self)

    def flush(self) -> None:
        """Sends what there is, as far as the socket takes it."""
        self._is_dirty = False
        if self.closed or self.reactor is None:
            return
        more = False
        try:
            more = self._send_all()
        except BlockingIOError:
            pass  # the rest waits for the next event
        except OSError as error:
            # Why, the peer may have said already: reading tells.
            self._reset_by = error
            self._unsent = None
            self._watch(IN)
            self._wake_feeders()
            return
        now = self.reactor.now()
        self._tell_feeders(now)
        self._watch(IN | OUT if more or not self._has_left else IN)
        events = self.engine.events(now)
        self._take(events, now)
        if self.engine.closed:
            self._broken()
        else:
            if events and self.engine.wants_to_send and not more and self._has_left:
                # What has happened is to be answered.
                self.flush_soon()
            self._settle(now)

    def _send_all(self) -> bool:
        """Whether there is more, and the socket may take it: others have a turn first."""
        stream = self._stream
        if not stream.flush():
            return False
        self._note_sent()
        breath = BREATH
        while breath > 0:
            data: bytes | memoryview | None = self._unsent
            if data is None:
                for feeder in self._feeders:
                    feeder.feed()
                data = self.engine.data_to_send()
                if not data:
                    return False
                self._produced += len(data)
                for feeder in self._feeders:
                    feeder.note(self._produced)
                # Until it is known what the socket takes: an error may come first.
                self._unsent = memoryview(data)
            sent = stream.send(data)
            breath -= sent
            if sent == len(data):
                self._unsent = None
            else:
                self._unsent = memoryview(data)[sent:]
                if not sent:
                    return False
            self._note_sent()
        return True

    def feed_from(self, stream: Http2Stream) -> None:
        """`stream` has content to send."""
        self._feeders[stream] = None

    @property
    def write_failed(self) -> bool:
        """Whether the peer takes no more."""
        return self._reset_by is not None

    def _note_sent(self) -> None:
        # What TLS has taken and the socket has not is still here.
        if not self._stream.unflushed:
            self.sent = self._produced - (0 if self._unsent is None else len(self._unsent))

    def _tell_feeders(self, now: float) -> None:
        """Wakes the uploads whose content has left."""
        for stream in list(self._feeders):
            call = stream.call
            if call is None:
                del self._feeders[stream]
            elif stream.has_left(self.sent):
                del self._feeders[stream]
                if call.uploading:
                    call.wake()
            elif stream.has_advanced() and call.phase == "write" and call.phase_due is not None:
                # The peer takes bytes: slow, but no stall.
                call.phase_due = now + call.phase_limit

    def _wake_feeders(self) -> None:
        for stream in list(self._feeders):
            if stream.call is not None and stream.call.uploading:
                stream.call.wake()
        self._feeders.clear()

    # The reactor's side

    def on_ready(self, mask: int) -> None:
        if mask & OUT:
            self.flush()
        if mask != OUT and self._mask:
            self._receive()

    def _receive(self) -> None:
        stream, engine = self._stream, self.engine
        buffer = self.reactor.buffer if self.reactor is not None else memoryview(bytearray(16 * 1024))
        now = self.drained_at if self.reactor is None else self.reactor.now()
        heard = False
        try:
            while True:
                size = stream.receive(buffer)
                if not size:
                    self._ended()
                    return
                heard = True
                self._take(engine.receive(buffer[:size], now), now)
                if size == BUFFER_SIZE and self.reactor is not None:
                    # There may be more than fitted.
                    self.drained_at = self.reactor.polled_at = 0.0
                if not stream.pending or not self._mask or engine.closed:
                    break
        except BlockingIOError:
            pass  # a part of a record, or one that holds no content
        except OSError as error:
            self._lost(error)
            return
        self._heard_at = now
        if engine.closed:
            self._broken()
            return
        if engine.wants_to_send:
            self.flush_soon()
        if heard:
            self._trust()
        self._settle(now)
        if engine.settled and engine.limit != self._known_limit and not self.closed:
            self._known_limit = engine.limit
            if not engine.limit and not self.streams:
                self.close()
            self._owner.limit_changed(self)

    def _take(self, events: list[StreamEvent], now: float) -> None:
        # Any: what it is says `kind`, in one comparison instead of isinstance's call; type checkers cannot follow.
        stream: Http2Stream
        event: Any
        for stream, event in events:
            call = stream.call
            if call is None:
                continue
            kind = type(event)  # pyright: ignore[reportUnknownVariableType]  # see above
            if kind is Http2Head:
                head: Http2Head = event
                content = head.content
                if content is not None:
                    call.head = head
                    call.first_at = now
                    call.content = content
                    self._finish(stream, call, now)
                    continue
                self._proven = True
                call.take_head(head, now)
            elif kind is bytes:
                stream.take_content(call, event)
            elif kind is EndOfMessage:
                call.received_trailers = event.trailers
                self._finish(stream, call, now)
            else:
                self._fail_stream(stream, call, event)
            if call.phase_due is not None:
                call.phase_due = now + call.phase_limit

    def _finish(self, stream: Http2Stream, call: Call, now: float) -> None:
        """A response is complete."""
        self._proven = True
        call.ended = True
        call.ended_at = now
        self._remove(stream, call)
        if call.uploading or (stream.has_content and self.engine.queued(stream.number)):
            # Nobody wants the rest (RFC 9113 section 8.1).
            self.engine.reset(stream.number, NO_ERROR)
        waiter = call.wakeable
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _remove(self, stream: Http2Stream, call: Call | None) -> None:
        stream.closed = True
        stream.call = None
        if call is not None:
            call.connection = None
            if not call.keep_alive:
                self._retired = True
        self.streams.discard(stream)
        if self._feeders:
            self._feeders.pop(stream, None)
        self._freed = True

    def drop(self, stream: Http2Stream) -> None:
        """A stream is given up, or a promise of one."""
        begun, call = stream.number, stream.call
        self._remove(stream, call)
        if self.closed:
            return
        if begun:
            self.engine.reset(begun, CANCEL)
            if call is not None and isinstance(call.error, AtomHTTPTimeoutError):
                self._doubt(call)
        if (stream.alone and begun) or (not begun and self._doubted and not self.streams):
            # Whoever gives it up may run in any thread. And a promise that a doubt has broken would be made to the next
            # who waits, and broken again.
            self.close()
            return
        self.flush_soon()
        self._settle(self.idle_since if self.reactor is None else self.reactor.now())

    def _doubt(self, call: Call) -> None:
        """`call` has run out of time. A peer that was silent for most of that may be gone for good, and TCP does not
        tell: no further call waits for it before it has answered a PING."""
        now = self._heard_at if self.reactor is None else self.reactor.now()
        began = call.started
        if call.phase_due is not None and call.phase_due <= now:
            # What has passed is the limit of a phase, or of a gap in a long stream.
            began = max(began, call.phase_due - call.phase_limit)
        if now - self._heard_at < self._heard_at - began:
            return
        self._doubted = True
        if not self.engine.unanswered:
            self.engine.ping()
            self._pinged_at = now

    def _trust(self) -> None:
        """The peer has said something."""
        if self._doubted:
            self._doubted = False
            self._freed = self._freed or bool(self.streams)

    def refuse(self, stream: Http2Stream, call: Call) -> None:
        """There was no room any more for a stream that had been promised: its request was not sent."""
        self._remove(stream, call)
        call.interrupt(_unprocessed("the connection is going away", elsewhere=True))
        self.flush_soon()

    def _settle(self, now: float) -> None:
        """Tells the pool what has come free."""
        if not self._freed or self.closed:
            return
        self._freed = False
        if self.streams:
            self._owner.serve_waiters(self)
        elif self._retired or self.engine.going_away or not self.engine.limit:
            self._retire()
        else:
            self._become_idle(now)

    def _retire(self) -> None:
        _logger.debug("%r: takes no more streams, and the last one has ended; closed", self)
        self.close()

    def _become_idle(self, now: float) -> None:
        self.idle_since = self.drained_at = now
        self._owner.release(self)

    def resume(self) -> None:
        """A consumer has caught up: what it has consumed is acknowledged, and it waits for more."""
        if self.closed or self.reactor is None:
            return
        if not self._mask:
            self._watch(IN if self._has_left else IN | OUT)
        if self.engine.wants_to_send:
            self.flush_soon()
        if self._stream.pending:
            self._receive()

    # Ends

    def _ended(self) -> None:
        """The peer has closed its side."""
        self._lost(self._reset_by or _closed_by_peer(), is_end=self._reset_by is None)

    def _broken(self) -> None:
        """The engine has closed: the peer broke HTTP/2, or it said goodbye and all has been said."""
        if self.closed:
            # By us: what has come has ended a call that gave the connection up.
            return
        failure = self.engine.failure
        if failure is not None:
            failure.request_sent = "yes"
            _logger.debug("%r: %s; closed", self, failure.message)
            self.fail(failure)
        elif self.calls:
            # nghttp2 does not end before its streams; should it, nobody is left waiting.
            self._lost(_closed_by_peer(), is_end=True)
        else:
            # nghttp2 owed the peer no word any more when the last stream ended.
            self._retire()

    def _lost(self, error: OSError, is_end: bool = False) -> None:
        """It has failed; `is_end`: the peer has closed it, and the network is not to blame."""
        # What nghttp2 has found out and would say once it had answered.
        now = self._heard_at
        while self.engine.data_to_send():
            pass
        self._take(self.engine.events(now), now)
        if self.engine.failure is not None:
            self._broken()
            return
        if not self.closed:
            # Not by what has just come: a call may have given it up.
            _logger.debug("%r: %s; closed", self, error.strerror or error)
        failed = [(call, self._describe_loss(error, is_end, stream, call)) for stream, call in self._carried()]
        try:
            self.close()
        finally:
            for call, problem in failed:
                call.interrupt(problem)

    def _carried(self) -> list[tuple[Http2Stream, Call]]:
        # Another thread may be promising a stream: not while iterating over the set itself.
        return [(stream, stream.call) for stream in list(self.streams) if stream.call is not None]

    def _describe_loss(self, error: OSError, is_end: bool, stream: Http2Stream, call: Call) -> AtomHTTPNetworkError:
        begun = self.engine.has_begun(stream.number)
        when = "in the middle of the response" if begun else "before a response came"
        farewell = f" (the server said: {self.engine.farewell})" if self.engine.farewell else ""
        problem: AtomHTTPNetworkError
        if isinstance(error, ssl.SSLError):
            problem = AtomHTTPTLSError(f"TLS failed {when}: {explain(error)}{farewell}", request_sent="maybe")
        elif call.head is not None and is_end:
            # As HTTP/1.1 has it: a response that was cut off.
            return AtomHTTPProtocolError(f"the connection ended inside a response{farewell}", request_sent="yes")
        else:
            problem = AtomHTTPNetworkError(
                f"the connection was lost {when}: {error.strerror or error}{farewell}{self._hint}",
                errno.errorcode.get(error.errno or 0, "ECONNRESET"),
                request_sent="maybe",
                reused=self._proven and not begun,
            )
        problem.__cause__ = error
        return problem

    @property
    def _hint(self) -> str:
        """In clear nobody has been asked."""
        if self.engine.settled or self._stream.protocol is not None:
            return ""
        return "; perhaps the server does not speak HTTP/2, and http2='only' speaks nothing else"

    def _fail_stream(self, stream: Http2Stream, call: Call, failed: StreamFailed) -> None:
        error = failed.error
        problem: AtomHTTPNetworkError
        if error is not None:
            error.request_sent = "yes"
            problem = error
        elif failed.unprocessed:
            problem = _unprocessed(failed.reason, failed.elsewhere)
        else:
            when = "before a response came" if call.head is None else "in the middle of the response"
            hint = ": http2=False speaks it" if failed.reason == "HTTP_1_1_REQUIRED" else ""
            problem = AtomHTTPNetworkError(
                f"the server reset the stream {when} ({failed.reason}){hint}", "ECONNRESET", request_sent="maybe"
            )
        # It takes part in HTTP, be it wrongly.
        self._proven = True
        self._remove(stream, call)
        call.interrupt(problem)

    def fail(self, error: BaseException) -> None:
        calls = self.calls
        try:
            self.close()
        finally:
            for call in calls:
                # Each gets its own: an error knows its request.
                call.interrupt(copy.copy(error) if isinstance(error, AtomHTTPError) else error)

    def close(self) -> None:
        """Closes for good. The calls that were served here, if any, are not told: that is `fail`."""
        if self.closed:
            return
        self.closed = True
        streams, self.streams = self.streams, set()
        self._feeders.clear()
        for stream in streams:
            stream.closed = True
            if stream.call is not None:
                stream.call.connection = None
                stream.call = None
        if self.reactor is not None:
            self.reactor.timers.discard(self)
        try:
            if self._reset_by is None:
                self._say_goodbye()
        finally:
            self._unsent = None
            self._close_socket()

    def _say_goodbye(self) -> None:
        self.engine.close()
        try:
            if self._unsent is None and self._stream.flush():
                data = self.engine.data_to_send()
                if data:
                    self._stream.send(data)
        except OSError:
            # Expected: the peer has gone first, or takes nothing now. Nobody waits for it.
            pass
        self._stream.shutdown()

    # PING

    def expire(self, now: float) -> float | None:
        """The timer: asks a silent peer whether it is there; returns when to look again."""
        interval = self._ping_interval
        if interval is None or self.closed:
            return None
        if self.engine.unanswered:
            due = max(self._pinged_at, self._heard_at) + interval
            if due <= now:
                _logger.debug("%r: no answer to PING in %g s; closed", self, interval)
                self._lost(TimeoutError(errno.ETIMEDOUT, f"no answer to PING in {interval:g} s (pingInterval)"))
                return None
            return due
        due = self._heard_at + interval
        if due > now:
            return due
        self.engine.ping()
        self._pinged_at = now
        self.flush_soon()
        return now + interval


def _unprocessed(reason: str, elsewhere: bool) -> AtomHTTPNetworkError:
    """The server has not done anything with the request."""
    return AtomHTTPNetworkError(
        f"the server did not take the request ({reason})",
        "ECONNRESET",
        request_sent="no",
        unprocessed=True,
        elsewhere=elsewhere,
    )


def _closed_by_peer() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "closed by the peer")


class SharedHttp2Connection(Http2Connection):
    """A connection that the units of a synchronous client, in whatever threads, hand to each other.

    It stays registered with the unit that used it last, whose thread may be polling when another one takes it: a stale
    event must then not touch it.
    """

    __slots__ = ()

    def flush_soon(self) -> None:
        if self.streams:
            super().flush_soon()
        else:
            # Whose turn it is next, and in which thread, nobody knows.
            self.flush()

    def _become_idle(self, now: float) -> None:
        # Nobody waits here any more: what is to be said is said now, and nothing is left to a thread that may not be
        # the next one's.
        if self.reactor is not None:
            self.reactor.timers.discard(self)
            self.reactor.forget_flush(self)
        self.flush()
        if not self.closed:
            if self._has_left and not self.write_failed:
                super()._become_idle(now)
            else:
                self.close()

    def on_ready(self, mask: int) -> None:
        reactor = self.reactor
        if reactor is None or reactor.thread != get_ident():
            return
        if not self.streams:
            self._owner.check_idle(self)
        else:
            super().on_ready(mask)
