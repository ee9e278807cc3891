"""HTTP/2 (RFC 9113): one engine a connection, many exchanges at once. The only importer of `ngh2` (nghttp2).

Theory of operation. nghttp2 frames, compresses fields, and judges what the peer sends; this engine says what that means
for an exchange, in the events that HTTP/1.1's engine has too, each with the key of the exchange that it belongs to:

    send_request(key) ──▶ open ──▶ ResponseHead, bytes …, EndOfMessage ──▶ gone
                           │    ──▶ StreamFailed (the peer gave it up, or broke HTTP in it) ──▶ gone
                           └ reset() (we give it up) ──▶ gone, without a word

A message that came whole is one event, a head with `content`. What belongs to the connection changes its attributes:
`limit`, `going_away`, `closed`, `failure`. Bytes for the peer may appear at any call, and events when bytes are taken
(`data_to_send`), so both are asked for until there are none.

What nghttp2 leaves to us: it queues requests beyond the peer's limit and never speaks again of one that is cancelled
there, so streams are counted and kept in a table here; it takes any number of PINGs, SETTINGS and the like, so they
are paid for from a budget; it acknowledges content only as we say, which is how a slow consumer holds back its own
stream; and a connection that ends leaves it to us to fail what was open.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, Final, NamedTuple, TypeAlias

import ngh2

from atomhttp._compiled import mypyc_attr
from atomhttp._wire.chunked import FORBIDDEN_TRAILERS, MAX_TRAILERS
from atomhttp._wire.digits import read_digits
from atomhttp._wire.events import END_OF_MESSAGE, EndOfMessage, ResponseHead
from atomhttp._wire.http1 import MAX_INTERIM_RESPONSES
from atomhttp._wire.http1_parser import MAX_FIELDS
from atomhttp._wire.http2_writer import Field
from atomhttp.errors import AtomHTTPProtocolError

# Content that the peer may send in a stream before it is consumed: fills 80 ms of a line of 100 Mbit/s.
STREAM_WINDOW: Final = 1024 * 1024
# The same for a stream whose consumer has kept up with all that a window holds: four times the line, and a quarter of
# the WINDOW_UPDATEs (100 MB over loopback: 3 % less time).
WIDE_WINDOW: Final = 4 * STREAM_WINDOW
# Streams in use at once, whatever a peer allows. Times the window of each, that is less than the connection's window:
# streams that nobody reads can never hold back the others. What is left over is lent to the wide ones, eight at a time.
MAX_STREAMS: Final = 1000
CONNECTION_WINDOW: Final = 1024 * STREAM_WINDOW
SPARE_WINDOW: Final = CONNECTION_WINDOW - MAX_STREAMS * STREAM_WINDOW
# Until the peer has said how many it allows, one. Nearly all take 100 and more, but those that do not refuse the rest,
# or even give up the connection; their word is one round trip away.
ASSUMED_STREAMS: Final = 1
# What the peer may put into one frame: each is an event, and a copy.
MAX_FRAME_SIZE: Final = 64 * 1024
# What is taken from nghttp2 at once, and what it may hold of a stream's content.
OUTPUT: Final = 64 * 1024
MAX_QUEUED: Final = 64 * 1024
# Frames that bring nothing (PING, SETTINGS, WINDOW_UPDATE, empty DATA …): so many at once, so many a second, and one
# for each that does bring something. A decent peer sends a few for each request.
MAX_IDLE_TALK: Final = 2000
IDLE_TALK_RATE: Final = 200.0
# Content that we send is answered by WINDOW_UPDATEs: as many for each portion, and one more for so many bytes of it.
TALK_PER_PORTION: Final = 4
BYTES_PER_TALK: Final = 2048
# Bytes of frames that nghttp2 passes over in silence, such as those of closed streams and unknown kinds. The largest
# frame that it speaks of comes in fewer.
MAX_UNHEARD: Final = 1024 * 1024
# The most that is on its way for streams that have been given up.
MAX_PARDONED: Final = 64 * STREAM_WINDOW
# An identifier is never used again (RFC 9113 section 5.1.1).
LAST_STREAM_ID: Final = 2**31 - 1

NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0x0, 0x1, 0x7, 0x8, 0xB

# What every response brings.
_RESPONSE: Final = ngh2.ResponseReceived
_DATA: Final = ngh2.DataReceived
_CLOSED: Final = ngh2.StreamClosed

# The number of a stream, an int. Any: where this is compiled it stays the object that it is, and is not unpacked to be
# packed again for each look into a table (70 instructions; eight a request).
StreamID: TypeAlias = Any


@mypyc_attr(free_list_len=1)
class Http2Head(ResponseHead):
    """The head of a response that came by HTTP/2: fields in lower case, `:status` the first.

    Attributes:
        size: of the list, as RFC 9113 section 6.5.2 counts: 32 bytes more a field.
    """

    def __init__(self, fields: tuple[Field, ...]) -> None:
        self._fields = fields
        # nghttp2 has seen to it that it is there, the first, and that it has three digits.
        status = fields[0][1]
        self.status = 200 if status == b"200" else int(status)
        # By hand: a dictionary of them, and joining them for their size, took twice as long (compiled: nine times).
        total = 0
        is_coded = False
        for name, value in fields:
            length = len(name)
            total += length + len(value)
            if length == 14 and name == b"content-length":
                # Digits, and once: nghttp2 has seen to it, and holds the content to it.
                self.content_length = read_digits(value)
            elif length == 10 and name == b"set-cookie":
                self.sets_cookies = True
            elif length == 16 and name == b"content-encoding":
                is_coded = True
        self.size = total + 32 * len(fields)
        if is_coded:
            # Repeated fields are one list.
            self.content_encoding = self.find(b"content-encoding").encode("latin-1")

    @property
    def http_version(self) -> str:
        """ "2"."""
        return "2"

    @property
    def reason(self) -> bytes:
        """Empty: HTTP/2 has none (RFC 9113 section 8.3.2)."""
        return b""

    @property
    def count(self) -> int:
        """How many fields there are."""
        return len(self._fields) - 1

    @property
    def fields(self) -> list[Field]:
        """The fields in the order received."""
        return list(self._fields[1:])

    def find(self, name: bytes) -> str:
        """The values of one field, joined by ", " ("" when there is none)."""
        return b", ".join([value for key, value in self._fields if key == name]).decode("latin-1")

    def __repr__(self) -> str:
        return f"<Http2Head {self.status}, {len(self._fields) - 1} fields>"


class StreamFailed(NamedTuple):
    """The response will not come, or not to its end.

    Attributes:
        code: HTTP/2's error code (RFC 9113 section 7).
        unprocessed: the peer has proven that it did nothing with the request (section 8.7).
        elsewhere: because it was beyond a GOAWAY.
        error: the peer broke HTTP, this is how; None: the peer gave the stream up.
    """

    code: int
    unprocessed: bool = False
    error: AtomHTTPProtocolError | None = None
    elsewhere: bool = False

    @property
    def reason(self) -> str:
        """The name of its code."""
        return name_of(self.code)


def name_of(code: int) -> str:
    """What RFC 9113 section 7 calls an error code."""
    try:
        return ngh2.ErrorCode(code).name
    except ValueError:
        return f"error {code}"


StreamEvent: TypeAlias = "tuple[Any, ResponseHead | bytes | EndOfMessage | StreamFailed]"


@mypyc_attr(free_list_len=1)
class _Incoming:
    """What has come of one response."""

    # Defaults on the class and no __slots__: making one sets a single attribute.
    # A head that has not been reported, and content likewise.
    head: Http2Head | None = None
    pieces: list[bytes] | None = None
    begun = False
    content_length: int | None = None
    interims = 0
    # Content that has been reported, and not been acknowledged; and what has been.
    unacknowledged = 0
    acknowledged = 0
    window = STREAM_WINDOW
    reset = False

    def __init__(self, key: object) -> None:
        self.key = key


class Http2Engine:
    """See the module's docstring.

    Args:
        max_header_size: the largest header list, counted as RFC 9113 section 6.5.2 does: 32 bytes more a field.

    Attributes:
        limit: how many streams there may be at once; an assumption until `settled`.
        settled: the peer has said what it allows.
        going_away: no further streams: the peer said so, or there are no identifiers left.
        closed: nothing will be received or sent any more.
        failure: the peer broke HTTP/2: how. The connection is of no more use.
        unanswered: pings that the peer owes an answer to.
    """

    def __init__(self, max_header_size: int = 64 * 1024) -> None:
        self.settled = False
        self.going_away = False
        self.closed = False
        self.failure: AtomHTTPProtocolError | None = None
        self.unanswered = 0
        self._max_header_size = max_header_size
        self._streams: dict[StreamID, _Incoming] = {}
        # Those of which something has come since events were given out last.
        self._unreported: list[_Incoming] = []
        self.limit = ASSUMED_STREAMS
        self._goaway = ""
        # Whether an end of the connection is one by agreement.
        self._agreed = False
        # nghttp2 takes no more orders; it may still have something to send.
        self._mute = False
        # It has given up: neither does it give anything any more.
        self._dead = False
        # Bytes that have come since nghttp2 had something to say, and whether it just had.
        self._unheard = 0
        self._was_heard = False
        # What no stream has been lent of the connection's window.
        self._spare_window = SPARE_WINDOW
        self._talk = 0.0
        self._talked_at = 0.0
        self._connection = ngh2.Connection(
            ngh2.Role.CLIENT,
            ngh2.Configuration(
                auto_window_update=False,
                # Counted here.
                peer_max_concurrent_streams=MAX_STREAMS,
                max_send_header_block_length=2**24,
                # As many frames as make up the largest list, and a few more.
                max_continuations=2 * max_header_size // 2**14 + 8,
                # Beyond this the connection is given up; up to it only the stream is, and its neighbours live.
                max_inbound_header_list_size=2 * max_header_size + 64,
            ),
        )
        self._connection.initiate_connection(
            {
                ngh2.Setting.ENABLE_PUSH: 0,
                ngh2.Setting.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                ngh2.Setting.MAX_FRAME_SIZE: MAX_FRAME_SIZE,
                ngh2.Setting.MAX_HEADER_LIST_SIZE: max_header_size,
                ngh2.Setting.NO_RFC7540_PRIORITIES: 1,
            }
        )
        self._connection.set_local_window_size(CONNECTION_WINDOW)

    def __repr__(self) -> str:
        return f"<Http2Engine {len(self._streams)} streams of {self.limit}>"

    # What there is

    @property
    def open_streams(self) -> int:
        """Exchanges that have not ended."""
        return len(self._streams)

    @property
    def farewell(self) -> str:
        """What the peer's GOAWAY said, for a message; "" when there was none, or nothing in it."""
        return self._goaway

    def has_begun(self, stream_id: StreamID) -> bool:
        """Whether anything of its response has come, be it an interim one."""
        incoming = self._streams.get(stream_id)
        return incoming is not None and incoming.begun

    # Sending

    def send_request(self, key: object, fields: list[Field], end_stream: bool) -> StreamID:
        """A request goes out, there being less than `limit`; the number of its stream, 0 where it could not.

        Args:
            key: what its events are to carry.
            fields: validated, the pseudo fields first. nghttp2 would send a CR LF in them.
        """
        try:
            stream_id: StreamID = self._connection.send_request(fields, end_stream=end_stream)
        except (ngh2.ConnectionClosingError, ngh2.ConnectionStateError, ngh2.NoAvailableStreamIDError):
            # nghttp2 has seen an end coming of which it has not spoken yet.
            self.going_away = True
            return 0
        self._streams[stream_id] = _Incoming(key)
        if stream_id >= LAST_STREAM_ID - 2:
            self.going_away = True
        return stream_id

    def send_content(self, stream_id: StreamID, data: bytes | memoryview, end_stream: bool = False) -> None:
        """Content of a request whose end has not been sent. It waits until the peer's windows let it go."""
        if stream_id in self._streams and not self._mute:
            self._talk = max(0.0, self._talk - TALK_PER_PORTION - len(data) / BYTES_PER_TALK)
            self._connection.send_data(stream_id, data, end_stream=end_stream)

    def queued(self, stream_id: StreamID) -> int:
        """Bytes of content that still wait to be framed."""
        return self._connection.queued_body_size(stream_id)

    def reset(self, stream_id: StreamID, code: int = CANCEL) -> None:
        """Gives an exchange up, or, after its response, the rest of its content. No event of it will come any more."""
        incoming = self._streams.pop(stream_id, None)
        if self._mute:
            return
        # What is on its way is passed over.
        on_its_way = 2 * (STREAM_WINDOW if incoming is None else incoming.window)
        self._unheard = max(self._unheard - on_its_way, -MAX_PARDONED)
        self._connection.reset_stream(stream_id, code)
        if incoming is not None:
            self._acknowledge_rest(stream_id, incoming)

    def acknowledge(self, stream_id: StreamID, size: int) -> None:
        """`size` bytes of content have been consumed: the peer may send as much again."""
        incoming = self._streams.get(stream_id)
        if incoming is not None and not self._mute:
            # The end of the message has acknowledged what was left.
            held = incoming.unacknowledged
            size = min(size, held)
            incoming.unacknowledged -= size
            incoming.acknowledged += size
            self._connection.acknowledge_received_data(size, stream_id)
            if incoming.acknowledged >= STREAM_WINDOW and held <= STREAM_WINDOW // 2:
                self._widen(stream_id, incoming)

    def _widen(self, stream_id: StreamID, incoming: _Incoming) -> None:
        """Lets more of a stream be on its way: its consumer keeps up. As long as there is window to spare."""
        more = WIDE_WINDOW - incoming.window
        if 0 < more <= self._spare_window:
            self._spare_window -= more
            incoming.window = WIDE_WINDOW
            self._connection.set_local_window_size(WIDE_WINDOW, stream_id=stream_id)

    def ping(self) -> None:
        """Asks the peer whether it is there; see `unanswered`."""
        self.unanswered += 1
        if not self._mute:
            self._connection.ping()

    def close(self) -> None:
        """Says goodbye: GOAWAY."""
        if not self._mute:
            self._mute = self.going_away = self.closed = self._agreed = True
            self._connection.terminate_connection(NO_ERROR)

    def data_to_send(self) -> bytes:
        """What is to be sent next, at most `OUTPUT` bytes; b"" when there is nothing now. Then there may be events."""
        return b"" if self._dead else self._connection.data_to_send(OUTPUT)

    @property
    def wants_to_send(self) -> bool:
        """Whether `data_to_send` would give anything, as far as windows and limits are known."""
        return not self._dead and self._connection.want_write

    # Receiving

    def receive(self, data: memoryview | bytes, now: float) -> list[StreamEvent]:
        """The events in `data`, and perhaps a `failure`, which comes after them. `now`: in seconds, on any clock."""
        if self.failure is not None:
            return []
        try:
            self._connection.receive_data(data)
        except ngh2.NGH2Error as error:
            self._mute = self._dead = True
            events = self.events(now)
            self._fail(_explain(error), _is_overflow(error))
            return events
        events = self.events(now)
        if self._was_heard:
            self._unheard = min(self._unheard, 0)
        else:
            self._unheard += len(data)
            if self._unheard > MAX_UNHEARD:
                self._hang_up()
        return events

    def events(self, now: float) -> list[StreamEvent]:
        """What has happened since it was asked last."""
        happened: list[StreamEvent] = []
        # The stream that content came for last, and where more of it goes.
        number: StreamID = 0
        pieces: list[bytes] | None = None
        events: list[Any] = self._connection.events()
        self._was_heard = bool(events)
        if events and type(events[-1]) is ngh2.ConnectionClosed:
            # Known now: what comes before it must not answer any more.
            self._mute = True
        for event in events:
            # `kind` says what it is, in one comparison instead of isinstance's call.
            kind = type(event)  # pyright: ignore[reportUnknownVariableType]  # checkers cannot follow
            if kind is _DATA:
                data = event.data
                if pieces is not None and event.stream_id == number and data and not event.end_stream:
                    # Nearly every frame of a large body (two thirds of what it cost by the long way).
                    pieces.append(data)
                    continue
                number = event.stream_id
                pieces = self._take_data(event, number, data, now, happened)
                continue
            pieces = None
            if kind is _RESPONSE:
                self._take_head(event, happened)
            elif kind is _CLOSED:
                self._take_closed(event, happened)
            else:
                self._take_other(event, now, happened)
        if self._unreported:
            for incoming in self._unreported:
                self._report(incoming, happened)
            self._unreported = []
        return happened

    # Responses

    def _take_head(self, event: Any, happened: list[StreamEvent]) -> None:
        """A final head."""
        if self._talk > 0:
            # Something of use has come.
            self._talk -= 1
        stream_id = event.stream_id
        incoming = self._streams.get(stream_id)
        if incoming is None:
            return
        head = Http2Head(event.headers)
        problem = self._judge(head)
        if problem is not None:
            self._give_up(stream_id, incoming, problem, happened)
            return
        incoming.begun = True
        incoming.head = head
        if head.content_length is not None:
            incoming.content_length = head.content_length
        if event.end_stream:
            self._end(stream_id, incoming, END_OF_MESSAGE, happened)
        else:
            self._unreported.append(incoming)

    def _take_data(
        self, event: Any, stream_id: StreamID, data: bytes, now: float, happened: list[StreamEvent]
    ) -> list[bytes] | None:
        """A frame of content; where further ones of the stream go, if there are to be any."""
        incoming = self._streams.get(stream_id)
        if incoming is None:
            # Given up meanwhile; the connection's window wants it back.
            self._acknowledge(stream_id, len(data))
            return None
        pieces = incoming.pieces
        if event.end_stream:
            head = incoming.head
            if head is not None and pieces is None:
                # Nearly every small response: the head, its content in one frame, and that was all.
                incoming.head = None
                if self._unreported[-1] is incoming:
                    self._unreported.pop()
                head.content = data
                happened.append((incoming.key, head))
                del self._streams[stream_id]
                self._acknowledge(stream_id, len(data))
                return None
            if data:
                self._add_piece(incoming, data)
            self._end(stream_id, incoming, END_OF_MESSAGE, happened)
            return None
        if not data:
            self._pay(now)
            return pieces
        return self._add_piece(incoming, data)

    def _add_piece(self, incoming: _Incoming, data: bytes) -> list[bytes]:
        pieces = incoming.pieces
        if pieces is None:
            pieces = incoming.pieces = []
            if incoming.head is None:
                self._unreported.append(incoming)
        pieces.append(data)
        return pieces

    def _take_closed(self, event: Any, happened: list[StreamEvent]) -> None:
        # One that has ended by its END_STREAM is no more in the table.
        stream_id = event.stream_id
        incoming = self._streams.get(stream_id)
        if incoming is not None:
            del self._streams[stream_id]
            self._report(incoming, happened)
            self._acknowledge_rest(stream_id, incoming)
            happened.append((incoming.key, _why_closed(event, incoming)))

    def _judge(self, head: Http2Head) -> AtomHTTPProtocolError | None:
        """What is wrong with a head."""
        if head.size > self._max_header_size:
            return _too_large(self._max_header_size)
        # As small as a field can be, so many are larger.
        if head.size > 32 * MAX_FIELDS and head.count > MAX_FIELDS:
            return AtomHTTPProtocolError(f"more than {MAX_FIELDS} fields in the response head", "HPE_HEADER_OVERFLOW")
        if not 100 <= head.status <= 599:
            return AtomHTTPProtocolError(f"not a status code: {head.status}")
        return None

    def _take_interim(self, event: Any, happened: list[StreamEvent]) -> None:
        incoming = self._streams.get(event.stream_id)
        if incoming is None:
            return
        incoming.begun = True
        incoming.interims += 1
        head = Http2Head(event.headers)
        problem = self._judge(head)
        if incoming.interims > MAX_INTERIM_RESPONSES:
            problem = AtomHTTPProtocolError(f"more than {MAX_INTERIM_RESPONSES} interim responses")
        if problem is not None:
            self._give_up(event.stream_id, incoming, problem, happened)
        else:
            happened.append((incoming.key, head))

    def _take_trailers(self, event: Any, happened: list[StreamEvent]) -> None:
        incoming = self._streams.get(event.stream_id)
        if incoming is None:
            return
        fields: tuple[Field, ...] = event.headers
        problem = None
        if len(fields) > MAX_FIELDS:
            problem = AtomHTTPProtocolError(f"more than {MAX_FIELDS} trailers", "HPE_HEADER_OVERFLOW")
        elif sum(map(len, chain.from_iterable(fields))) > MAX_TRAILERS:
            problem = AtomHTTPProtocolError(f"more than {MAX_TRAILERS} bytes of trailers", "HPE_HEADER_OVERFLOW")
        if problem is not None:
            self._give_up(event.stream_id, incoming, problem, happened)
        else:
            trailers = tuple((name, value) for name, value in fields if name not in FORBIDDEN_TRAILERS)
            self._end(event.stream_id, incoming, EndOfMessage(trailers) if trailers else END_OF_MESSAGE, happened)

    def _end(self, stream_id: StreamID, incoming: _Incoming, end: EndOfMessage, happened: list[StreamEvent]) -> None:
        """The response is complete. (The stream, perhaps, is not: then whoever still sends in it resets it.)"""
        head = incoming.head
        if head is not None and not end.trailers:
            content = head.content = b"".join(incoming.pieces or ())
            incoming.unacknowledged += len(content)
            incoming.head = incoming.pieces = None
            happened.append((incoming.key, head))
        else:
            self._report(incoming, happened)
            happened.append((incoming.key, end))
        self._acknowledge_rest(stream_id, incoming)
        del self._streams[stream_id]

    def _report(self, incoming: _Incoming, happened: list[StreamEvent]) -> None:
        head = incoming.head
        if head is not None:
            incoming.head = None
            happened.append((incoming.key, head))
        if incoming.pieces is not None:
            content = b"".join(incoming.pieces)
            incoming.pieces = None
            incoming.unacknowledged += len(content)
            happened.append((incoming.key, content))

    def _give_up(
        self, stream_id: StreamID, incoming: _Incoming, problem: AtomHTTPProtocolError, happened: list[StreamEvent]
    ) -> None:
        """The response breaks a rule of ours: its stream ends, and no other."""
        happened.append((incoming.key, StreamFailed(PROTOCOL_ERROR, error=problem)))
        incoming.unacknowledged += sum(map(len, incoming.pieces or ()))
        incoming.head = incoming.pieces = None
        self.reset(stream_id, PROTOCOL_ERROR)

    def _acknowledge_rest(self, stream_id: StreamID, incoming: _Incoming) -> None:
        """A stream has ended: what it held of the connection's window is given back."""
        self._spare_window += incoming.window - STREAM_WINDOW
        size, incoming.unacknowledged = incoming.unacknowledged, 0
        self._acknowledge(stream_id, size)

    def _acknowledge(self, stream_id: StreamID, size: int) -> None:
        if size and not self._mute:
            self._connection.acknowledge_received_data(size, stream_id)

    # The connection

    def _take_other(self, event: ngh2.Event, now: float, happened: list[StreamEvent]) -> None:
        if isinstance(event, ngh2.WindowUpdated):
            # The first to be asked for: an upload has a thousand.
            self._pay(now)
        elif isinstance(event, ngh2.InformationalResponseReceived):
            self._take_interim(event, happened)
        elif isinstance(event, ngh2.TrailersReceived):
            self._take_trailers(event, happened)
        elif isinstance(event, ngh2.SettingsReceived):
            self._pay(now)
            # Where the first one says nothing of it, there is no limit.
            unsaid = self.limit if self.settled else MAX_STREAMS
            self.limit = min(event.settings.get(ngh2.Setting.MAX_CONCURRENT_STREAMS, unsaid), MAX_STREAMS)
            self.settled = True
        elif isinstance(event, ngh2.GoAwayReceived):
            self._take_goaway(event, now, happened)
        elif isinstance(event, ngh2.ConnectionClosed):
            self._take_end(event)
        elif isinstance(event, ngh2.PingAcknowledged):
            if not self.unanswered:
                self._pay(now)
            self.unanswered = 0
        elif isinstance(event, ngh2.StreamReset):
            incoming = self._streams.get(event.stream_id)
            if incoming is not None:
                incoming.reset = True
            self._pay(now)
        elif not isinstance(event, ngh2.SettingsAcknowledged):
            self._pay(now)

    def _take_goaway(self, event: ngh2.GoAwayReceived, now: float, happened: list[StreamEvent]) -> None:
        if self.going_away:
            self._pay(now)
        self.going_away = self._agreed = True
        if event.error_code or event.debug_data:
            said = f": {event.debug_data[:80]!r}" if event.debug_data else ""
            self._goaway = name_of(event.error_code) + said
        for stream_id in [each for each in self._streams if each > event.last_stream_id]:
            incoming = self._streams.pop(stream_id)
            self._report(incoming, happened)
            self._acknowledge_rest(stream_id, incoming)
            happened.append((incoming.key, StreamFailed(REFUSED_STREAM, not incoming.begun, elsewhere=True)))

    def _take_end(self, event: ngh2.ConnectionClosed) -> None:
        if not self._agreed or event.error_code:
            # nghttp2 has said goodbye because of what the peer did, and says here what that was.
            what = event.debug_data.decode("latin-1", "replace")
            if not self.settled:
                # SETTINGS come first, whatever happens then (RFC 9113 section 3.4).
                self._fail(f"the server does not speak HTTP/2: what it sent first is something else ({what})")
            elif event.error_code == ENHANCE_YOUR_CALM:
                self._fail(_TALKATIVE)
            else:
                self._fail(f"the server broke HTTP/2: {name_of(event.error_code)}{f' ({what})' if what else ''}")
        self.closed = self.going_away = True

    def _fail(self, message: str, is_overflow: bool = False) -> None:
        if self.failure is None:
            self.failure = _too_large(self._max_header_size) if is_overflow else AtomHTTPProtocolError(message)
        self.closed = self.going_away = True

    def _pay(self, now: float) -> None:
        """A frame has come that brings nothing."""
        self._talk = max(0.0, self._talk - (now - self._talked_at) * IDLE_TALK_RATE) + 1
        self._talked_at = now
        if self._talk > MAX_IDLE_TALK:
            self._hang_up()

    def _hang_up(self) -> None:
        """The peer only talks."""
        if not self._mute:
            self._mute = True
            self._connection.terminate_connection(ENHANCE_YOUR_CALM)
            self._fail(_TALKATIVE)


_TALKATIVE: Final = "the server keeps sending frames that bring nothing"


def _too_large(limit: int) -> AtomHTTPProtocolError:
    return AtomHTTPProtocolError(
        f"the response head is larger than {limit} bytes (maxHeaderSize)", "HPE_HEADER_OVERFLOW"
    )


def _is_overflow(error: ngh2.NGH2Error) -> bool:
    return isinstance(error, ngh2.DenialOfServiceError) and "header list" in str(error)


def _explain(error: ngh2.NGH2Error) -> str:
    return f"the server broke HTTP/2: {str(error).removeprefix('HTTP/2 engine error: ')}"


def _why_closed(event: ngh2.StreamClosed, incoming: _Incoming) -> StreamFailed:
    code: int = event.error_code
    if incoming.reset:
        return StreamFailed(code, unprocessed=code == REFUSED_STREAM and not incoming.begun)
    if isinstance(event.local_error, ngh2.ConnectionClosingError):
        # A gentle farewell, which names no stream, has come before the request left.
        return StreamFailed(code, unprocessed=True, elsewhere=True)
    if event.local_error is not None:
        return StreamFailed(code, error=AtomHTTPProtocolError(_explain(event.local_error)))
    if code == REFUSED_STREAM:
        # nghttp2's own word for streams beyond a GOAWAY.
        return StreamFailed(code, unprocessed=not incoming.begun)
    # It does not say what was wrong; after a head there is little else.
    length = incoming.content_length
    hint = "" if length is None else f", or its content is not of the announced {length} bytes"
    return StreamFailed(code, error=AtomHTTPProtocolError(f"the response breaks HTTP/2 ({name_of(code)}){hint}"))
