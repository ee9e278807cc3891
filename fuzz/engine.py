"""What a server sends, and the engine that reads it (`_wire/http1.py`)."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from atomhttp._model.headers import Headers
from atomhttp._wire.chunked import FREE_LINE, MAX_METADATA, MAX_TRAILERS
from atomhttp._wire.events import EndOfMessage, Event, ResponseHead
from atomhttp._wire.http1 import CLOSED, DEFAULT_MAX_HEADER_SIZE, IDLE, MAX_INTERIM_RESPONSES, Http1Engine
from atomhttp._wire.http1_parser import MAX_FIELDS
from atomhttp.errors import AtomHTTPProtocolError
from fuzz.promises import check_message
from fuzz.reader import Reader, cut

METHODS: Final = ("GET", "HEAD", "CONNECT", "POST")
CLEAN, CUT_OFF, OPEN = "clean", "cut off", "open"
# Small ones too, so that limits are reached by inputs of a few hundred bytes.
HEADER_SIZES: Final = (DEFAULT_MAX_HEADER_SIZE, 64, 300, DEFAULT_MAX_HEADER_SIZE)

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Outcome(NamedTuple):
    """What an exchange came to, however its bytes arrived.

    Attributes:
        heads: of every response, interim ones first: status, HTTP version, reason and fields.
        content, trailers: as delivered.
        completed: whether the message ended as it should.
        reusable: whether another exchange may follow.
        code: of the error, None when there was none.
    """

    heads: tuple[Any, ...]
    content: bytes
    trailers: tuple[tuple[bytes, bytes], ...]
    completed: bool
    reusable: bool
    code: str | None


def run(data: bytes) -> None:
    """Control bytes: method, end, header size, whether content is moved past the engine, cuts."""
    reader = Reader(data)
    method = reader.pick(METHODS)
    end = reader.pick((CLEAN, CUT_OFF, OPEN))
    size = reader.pick(HEADER_SIZES)
    skips = reader.flag()
    places = reader.cuts()
    check(reader.rest(), method, end, size, skips, places)


def check(wire: bytes, method: str, end: str, size: int, skips: bool, places: list[int]) -> None:
    """The same exchange with the bytes in one piece, in some, and one by one."""
    whole = receive([wire] if wire else [], method, end, size)
    for pieces in (cut(wire, places), [wire[index : index + 1] for index in range(len(wire))]):
        compare(whole, receive(pieces, method, end, size, skips))


def receive(pieces: list[bytes], method: str, end: str, size: int, skips: bool = False) -> Outcome:
    """One exchange, fed as a connection feeds it."""
    engine = Http1Engine(size)
    engine.expect(method)
    events: list[Event] = []
    surplus = False
    try:
        for piece in pieces:
            if _has_ended(events):
                # A connection is idle then, and closed by whatever comes.
                surplus = True
                break
            if skips and events and engine.content_left >= len(piece):
                events.append(piece)
                if engine.skip_content(len(piece)):
                    events.append(EndOfMessage())
            else:
                events += engine.receive(piece)
            _check_held(engine, size)
        if end != OPEN and not _has_ended(events):
            events += engine.receive_eof(end == CLEAN)
    except AtomHTTPProtocolError as error:
        check_message(error)
        _check_spent(engine)
        return _outcome(events, False, error.code)
    reusable = engine.reusable and not surplus and _has_ended(events)
    if reusable:
        _check_next(engine)
    return _outcome(events, reusable, None)


def compare(whole: Outcome, pieces: Outcome) -> None:
    """How bytes arrive must not matter; what came before an error may have been delivered or not."""
    assert whole.code == pieces.code, f"whole: {whole}\nin pieces: {pieces}"
    if whole.code is None:
        assert whole == pieces, f"whole: {whole}\nin pieces: {pieces}"
        return
    assert not whole.completed
    assert not pieces.completed
    assert not whole.reusable
    assert not pieces.reusable
    assert whole.heads == pieces.heads[: len(whole.heads)], f"whole: {whole}\nin pieces: {pieces}"
    assert pieces.content.startswith(whole.content)


def _has_ended(events: list[Event]) -> bool:
    last = events[-1] if events else None
    return isinstance(last, EndOfMessage) or (isinstance(last, ResponseHead) and last.content is not None)


def _outcome(events: list[Event], reusable: bool, code: str | None) -> Outcome:
    heads = [event for event in events if isinstance(event, ResponseHead)]
    for head in heads:
        _check_head(head)
    content = b"".join(
        event if isinstance(event, bytes) else getattr(event, "content", None) or b"" for event in events
    )
    assert all(event for event in events if isinstance(event, bytes)), "an empty piece of content"
    assert len(heads) <= MAX_INTERIM_RESPONSES + 1
    assert not any(head.interim for head in heads[-1:]) or not _has_ended(events)
    assert all(head.interim for head in heads[:-1]), "two final responses"
    completed = _has_ended(events)
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    if completed:
        if isinstance(events[-1], EndOfMessage):
            trailers = events[-1].trailers
        length = heads[-1].content_length
        if length is not None and content:
            assert len(content) == length
    told = tuple((head.status, head.http_version, head.reason, tuple(head.fields)) for head in heads)
    return Outcome(told, content, trailers, completed, reusable, code)


def _check_head(head: ResponseHead) -> None:
    """What is found by searching the head is what its fields say, taken apart."""
    assert 100 <= head.status <= 599
    assert head.http_version in ("1.0", "1.1")
    assert _VALUE.fullmatch(head.reason)
    fields = head.fields
    assert len(fields) <= MAX_FIELDS
    for name, value in fields:
        assert _TOKEN.fullmatch(name), name
        assert _VALUE.fullmatch(value), value
    assert len(Headers.from_raw(fields).multi_items()) == len(fields)

    def values(wanted: bytes) -> list[bytes]:
        return [value for name, value in fields if name.lower() == wanted]

    for wanted in {name.lower() for name, _ in fields}:
        assert head.find(wanted) == b", ".join(values(wanted)).decode("latin-1"), wanted
    lengths = values(b"content-length")
    assert [head.content_length] == [int(each) for each in lengths] or (head.content_length is None and not lengths)
    assert head.sets_cookies == bool(values(b"set-cookie"))
    codings = values(b"content-encoding")
    assert [each.strip(b" \t") for each in head.content_encoding.split(b",") if each.strip(b" \t")] == [
        each.strip(b" \t") for each in b",".join(codings).split(b",") if each.strip(b" \t")
    ]
    options = {each.strip(b" \t").lower() for each in b",".join(values(b"connection")).split(b",")}
    kept = b"close" not in options and (head.http_version == "1.1" or b"keep-alive" in options)
    assert head.keep_alive == kept, fields
    assert head.keep_alive_timeout is None or 0 <= head.keep_alive_timeout < 1e6


def _check_held(engine: Http1Engine, size: int) -> None:
    """What is kept of an incomplete head or line has a bound, whatever the peer sends."""
    assert len(engine._held) <= size
    if engine._chunks is not None:
        assert len(engine._chunks._held) <= max(MAX_METADATA, MAX_TRAILERS) + FREE_LINE
        assert len(engine._chunks.trailers) <= MAX_FIELDS


def _check_spent(engine: Http1Engine) -> None:
    """After an error nothing is taken any more."""
    assert engine.state == CLOSED
    assert not engine.reusable
    for attempt in (lambda: engine.receive(_OK), lambda: engine.expect("GET")):
        try:
            attempt()
        except (AtomHTTPProtocolError, RuntimeError):
            continue
        raise AssertionError("an engine goes on after an error")


def _check_next(engine: Http1Engine) -> None:
    """Nothing of one exchange is seen in the next."""
    engine.expect("GET")
    events = engine.receive(_OK)
    assert [type(event) for event in events] == [ResponseHead]
    assert isinstance(events[0], ResponseHead)
    assert (events[0].status, events[0].content, engine.state) == (200, b"ok", IDLE)


def _seed(wire: bytes, method: str = "GET", end: str = CLEAN, size: int = 0, skips: int = 0) -> bytes:
    """An input; cut in the middle of the head and in the middle of what follows."""
    places = (len(wire) // 3, 2 * len(wire) // 3)
    control = [METHODS.index(method), (CLEAN, CUT_OFF, OPEN).index(end), size, skips, len(places)]
    return bytes(control) + b"".join(place.to_bytes(2) for place in places) + wire


WIRES: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\n0\r\nX-T: 1\r\n\r\n',
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5, max=9\r\nContent-Length: 2\r\n\r\nhi",
    b"HTTP/1.1 404 Not Found\r\n\r\nuntil the end",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nLink: </a>\r\n\r\nHTTP/1.1 204 x\r\nSet-Cookie: a=b\r\n\r\n",
    b"HTTP/1.1 200\r\nConnection: close\r\ncontent-encoding: br\r\nContent-Encoding:gzip\r\nContent-Length: 1\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
    b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
    b'HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\nETag: "\xe9"\r\n\r\n',
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    b"\r\nHTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    b"HTTP/1.1 103 x\r\nTransfer-Encoding: gzip, chunked\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: x,\tClose\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10a\r\n%b\r\n0\r\n\r\n" % (b"." * 0x10A),
)

SEEDS: Final = (
    *(_seed(wire) for wire in WIRES),
    _seed(WIRES[0], "HEAD", OPEN),
    _seed(WIRES[0], "CONNECT", OPEN),
    _seed(WIRES[0], end=CUT_OFF, skips=1),
    _seed(WIRES[3], "POST", CUT_OFF),
    _seed(WIRES[4], size=1),
)
