"""The HTTP/2 engine, against an independent implementation: how the bytes arrive must never matter."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._wire.chunked import MAX_TRAILERS
from atomhttp._wire.events import END_OF_MESSAGE, EndOfMessage, ResponseHead
from atomhttp._wire.http1 import MAX_INTERIM_RESPONSES
from atomhttp._wire.http1_parser import MAX_FIELDS
from atomhttp._wire.http2 import (
    ASSUMED_STREAMS,
    CANCEL,
    IDLE_TALK_RATE,
    MAX_IDLE_TALK,
    MAX_STREAMS,
    OUTPUT,
    REFUSED_STREAM,
    SPARE_WINDOW,
    STREAM_WINDOW,
    WIDE_WINDOW,
    Http2Engine,
    Http2Head,
    StreamFailed,
    name_of,
)
from atomhttp._wire.http2_writer import Field

OK = [(b":status", b"200")]
GET: list[Field] = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a.test"), (b":path", b"/")]
HEAD: list[Field] = [(b":method", b"HEAD"), *GET[1:]]
POST: list[Field] = [(b":method", b"POST"), *GET[1:]]


class Pair:
    """An engine and the server it talks to."""

    def __init__(self, max_header_size: int = 64 * 1024, settings: dict[int, int] | None = None) -> None:
        self.engine = Http2Engine(max_header_size)
        # It is to say what we tell it to, right or wrong.
        config = h2.config.H2Configuration(
            client_side=False,
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
        )
        self.server = h2.connection.H2Connection(config)
        self.server.local_settings = h2.settings.Settings(client=False, initial_values=settings or {})
        self.server.initiate_connection()
        self.seen: list[h2.events.Event] = []

    def to_server(self) -> None:
        """What the engine has to send arrives."""
        while data := self.engine.data_to_send():
            self.seen += self.server.receive_data(data)

    def to_engine(self, now: float = 0.0) -> list[Any]:
        """What the server has to send arrives, in one piece."""
        data = self.server.data_to_send()
        events = self.engine.receive(data, now) if data else []
        return events + self.engine.events(now)

    def settle(self) -> list[Any]:
        """Until neither has anything left to say."""
        events: list[Any] = []
        while True:
            self.to_server()
            came = self.to_engine()
            events += came
            if not came and not self.engine.wants_to_send:
                return events

    def ask(self, key: object = "one", fields: list[Field] = GET, end_stream: bool = True) -> int:
        stream = self.engine.send_request(key, fields, end_stream)
        self.to_server()
        return stream

    def what_server_saw(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.seen if isinstance(event, kind)]


def spelled_out(events: list[Any]) -> dict[Any, list[Any]]:
    """By key: head, content, end; however it was reported."""
    found: dict[Any, list[Any]] = {}
    for key, event in events:
        told = found.setdefault(key, [])
        if isinstance(event, ResponseHead):
            told.append((event.status, tuple(event.fields)))
            if event.content is not None:
                told += [event.content, ()]
        elif isinstance(event, bytes):
            if told and isinstance(told[-1], bytes):
                told[-1] += event
            else:
                told.append(event)
        elif isinstance(event, EndOfMessage):
            if not isinstance(told[-1], bytes):
                told.append(b"")
            told.append(event.trailers)
        else:
            told.append(event)
    return found


# Responses


def test_a_response_that_comes_whole_is_one_event() -> None:
    pair = Pair()
    stream = pair.ask()
    pair.server.send_headers(stream, [*OK, (b"content-length", b"5"), (b"content-encoding", b"gzip")])
    pair.server.send_data(stream, b"hello", end_stream=True)
    [(key, head)] = pair.to_engine()
    assert (key, type(head), head.status, head.content) == ("one", Http2Head, 200, b"hello")
    assert (head.content_length, head.content_encoding, head.sets_cookies) == (5, b"gzip", False)
    assert (head.http_version, head.reason, head.interim) == ("2", b"", False)
    assert head.fields == [(b"content-length", b"5"), (b"content-encoding", b"gzip")]
    assert pair.engine.open_streams == 0


def test_fields_are_found_by_name_and_repeated_ones_are_a_list() -> None:
    pair = Pair()
    stream = pair.ask()
    repeated = [(b"content-encoding", b"gzip"), (b"x", b"1"), (b"content-encoding", b"br"), (b"set-cookie", b"a=b")]
    pair.server.send_headers(stream, [*OK, *repeated], end_stream=True)
    [(_, head)] = pair.to_engine()
    assert head.find(b"content-encoding") == "gzip, br"
    assert head.content_encoding == b"gzip, br"
    assert head.sets_cookies
    assert head.find(b"y") == ""
    assert head.content == b""


def test_in_pieces_there_are_head_content_and_end() -> None:
    pair = Pair()
    stream = pair.ask()
    pair.server.send_headers(stream, OK)
    [(_, head)] = pair.to_engine()
    assert head.content is None
    pair.server.send_data(stream, b"one")
    pair.server.send_data(stream, b"two")
    assert pair.to_engine() == [("one", b"onetwo")]
    pair.server.send_headers(stream, [(b"x-sum", b"7"), (b"content-length", b"6"), (b"set-cookie", b"a=b")], True)
    [(_, end)] = pair.to_engine()
    # A trailer must not frame, nor set cookies.
    assert end.trailers == ((b"x-sum", b"7"),)


def test_trailers_in_one_piece_with_the_rest() -> None:
    pair = Pair()
    stream = pair.ask()
    pair.server.send_headers(stream, OK)
    pair.server.send_data(stream, b"content")
    pair.server.send_headers(stream, [(b"x-sum", b"7")], end_stream=True)
    assert spelled_out(pair.to_engine()) == {"one": [(200, ()), b"content", ((b"x-sum", b"7"),)]}


@pytest.mark.parametrize(("request_fields", "status"), [(HEAD, b"200"), (GET, b"204"), (GET, b"304")])
def test_a_response_without_content(request_fields: list[Field], status: bytes) -> None:
    pair = Pair()
    stream = pair.ask(fields=request_fields)
    length = [] if status == b"204" else [(b"content-length", b"99")]
    pair.server.send_headers(stream, [(b":status", status), *length], end_stream=True)
    [(_, head)] = pair.to_engine()
    assert (head.status, head.content) == (int(status), b"")


def test_interim_responses_come_before() -> None:
    pair = Pair()
    stream = pair.ask()
    for _ in range(2):
        pair.server.send_headers(stream, [(b":status", b"103"), (b"link", b"</a>")])
    assert pair.engine.has_begun(stream) is False
    assert [event.status for _, event in pair.to_engine()] == [103, 103]
    assert pair.engine.has_begun(stream) is True
    pair.server.send_headers(stream, OK, end_stream=True)
    assert [event.status for _, event in pair.to_engine()] == [200]


def scene(pair: Pair) -> list[bytes]:
    """A server's side of several exchanges, mixed; it says all of it at once, which it may after the requests."""
    first, second, third, fourth = (pair.ask(key) for key in ("a", "b", "c", "d"))
    server = pair.server
    server.send_headers(first, [(b":status", b"103"), (b"link", b"</x>")])
    server.send_headers(first, [*OK, (b"content-length", b"6")])
    server.send_headers(second, [(b":status", b"404"), (b"x", b"y" * 300)])
    server.send_data(first, b"abc")
    server.ping(b"12345678")
    server.send_data(second, b"z" * 20_000 if server.max_outbound_frame_size >= 20_000 else b"z" * 16_000)
    server.send_headers(third, [(b":status", b"204")], end_stream=True)
    server.send_data(first, b"def", end_stream=True)
    server.reset_stream(fourth, 0x2)
    server.send_headers(second, [(b"trailer-one", b"1")], end_stream=True)
    return [server.data_to_send()]


def play(places: list[int]) -> tuple[dict[Any, list[Any]], bytes]:
    pair = Pair()
    [data] = scene(pair)
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    events: list[Any] = []
    for start, end in pairwise(edges):
        if start != end:
            events += pair.engine.receive(data[start:end], 0.0)
    assert pair.engine.failure is None
    assert pair.engine.open_streams == 0
    answer = pair.engine.data_to_send()
    return spelled_out(events), answer


WHOLE = play([])


def test_the_scene_is_what_it_should_be() -> None:
    told, _ = WHOLE
    assert [item[0] if isinstance(item, tuple) and item else item for item in told["a"]] == [103, 200, b"abcdef", ()]
    assert told["b"][0][0] == 404
    assert set(told["b"][1]) == {ord("z")}
    assert told["b"][2] == ((b"trailer-one", b"1"),)
    assert told["c"] == [(204, ()), b"", ()]
    assert told["d"] == [StreamFailed(0x2)]
    assert told["d"][0].reason == "INTERNAL_ERROR"


@given(st.lists(st.integers(0, 40_000), max_size=12))
def test_any_split_of_the_bytes_gives_the_same(places: list[int]) -> None:
    assert play(places) == WHOLE


def test_byte_by_byte_gives_the_same() -> None:
    size = 1_500
    assert play(list(range(size))) == WHOLE


# What we send


def test_a_request_and_its_content() -> None:
    pair = Pair()
    pair.settle()
    stream = pair.engine.send_request("one", [*POST, (b"content-length", b"11")], end_stream=False)
    pair.engine.send_content(stream, b"hello ")
    pair.engine.send_content(stream, memoryview(b"world"), end_stream=True)
    pair.settle()
    [request] = pair.what_server_saw(h2.events.RequestReceived)
    assert request.headers == [*POST, (b"content-length", b"11")]
    assert b"".join(event.data for event in pair.what_server_saw(h2.events.DataReceived)) == b"hello world"
    assert len(pair.what_server_saw(h2.events.StreamEnded)) == 1


def test_output_comes_in_portions() -> None:
    pair = Pair(settings={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
    pair.server.increment_flow_control_window(2**20)
    pair.settle()
    stream = pair.engine.send_request("one", POST, end_stream=False)
    pair.engine.send_content(stream, b"x" * 300_000, end_stream=True)
    sizes = []
    while data := pair.engine.data_to_send():
        sizes.append(len(data))
    assert max(sizes) <= OUTPUT
    assert sum(sizes) > 300_000
    assert pair.engine.queued(stream) == 0


def test_content_waits_for_the_peers_window() -> None:
    pair = Pair()
    pair.settle()
    stream = pair.engine.send_request("one", POST, end_stream=False)
    pair.engine.send_content(stream, b"x" * 100_000, end_stream=True)
    pair.to_server()
    assert pair.engine.queued(stream) == 100_000 - 65_535
    for event in pair.what_server_saw(h2.events.DataReceived):
        pair.server.acknowledge_received_data(event.flow_controlled_length, stream)
    pair.settle()
    assert pair.engine.queued(stream) == 0


def test_settings_say_what_we_take() -> None:
    pair = Pair(max_header_size=5_000)
    pair.to_server()
    [changed] = pair.what_server_saw(h2.events.RemoteSettingsChanged)
    said = {int(code): setting.new_value for code, setting in changed.changed_settings.items()}
    assert said[0x2] == 0  # no push
    assert said[0x4] == STREAM_WINDOW
    assert said[0x6] == 5_000
    [update] = pair.what_server_saw(h2.events.WindowUpdated)
    assert update.stream_id == 0
    # More than all streams together can hold.
    assert update.delta + 65_535 > MAX_STREAMS * STREAM_WINDOW


# Flow control


def test_what_is_not_acknowledged_holds_back_its_stream_and_no_other() -> None:
    pair = Pair()
    slow, fast = pair.ask("slow"), pair.ask("fast")
    for stream in (slow, fast):
        pair.server.send_headers(stream, OK)
    sent = 0
    while size := min(16_384, pair.server.local_flow_control_window(slow)):
        pair.server.send_data(slow, b"s" * size)
        sent += size
        pair.settle()
    assert sent == STREAM_WINDOW
    for _ in range(200):
        pair.server.send_data(fast, b"f" * 16_384)
        for key, piece in pair.settle():
            assert key == "fast"
            pair.engine.acknowledge(fast, len(piece))
        pair.settle()
    assert pair.server.local_flow_control_window(slow) == 0
    pair.engine.acknowledge(slow, STREAM_WINDOW)
    pair.settle()
    assert pair.server.local_flow_control_window(slow) == STREAM_WINDOW


def consume(pair: Pair, stream: int, size: int) -> None:
    """The server sends so much, and whoever reads keeps up with it."""
    while size > 0:
        pair.server.send_data(stream, bytes(min(size, 16_384)))
        size -= 16_384
        for _, piece in pair.settle():
            pair.engine.acknowledge(stream, len(piece))
        pair.settle()


def test_a_stream_whose_consumer_keeps_up_gets_a_wider_window() -> None:
    pair = Pair()
    stream = pair.ask()
    pair.server.send_headers(stream, OK)
    pair.settle()
    consume(pair, stream, STREAM_WINDOW - 16_384)
    assert pair.server.local_flow_control_window(stream) <= STREAM_WINDOW
    consume(pair, stream, 16_384 + STREAM_WINDOW)
    assert WIDE_WINDOW // 2 < pair.server.local_flow_control_window(stream) <= WIDE_WINDOW
    sent = 0
    while size := min(16_384, pair.server.local_flow_control_window(stream)):
        pair.server.send_data(stream, bytes(size))
        sent += size
        pair.settle()
    # Nobody consumes any more: that is all that is held.
    assert WIDE_WINDOW // 2 < sent <= WIDE_WINDOW


@pytest.mark.parametrize("end", ["end", "reset by us", "reset by the server"])
def test_wide_windows_are_as_many_as_the_connections_has_room_for(end: str) -> None:
    """So that streams that nobody reads can never hold up the others."""
    pair = Pair()
    streams = [pair.ask(str(number)) for number in range(20)]
    for stream in streams:
        pair.server.send_headers(stream, OK)
        pair.settle()
        consume(pair, stream, 2 * STREAM_WINDOW)
    wide = [each for each in streams if pair.server.local_flow_control_window(each) > STREAM_WINDOW]
    assert wide == streams[:8]
    assert SPARE_WINDOW // (WIDE_WINDOW - STREAM_WINDOW) == 8
    consume(pair, streams[8], STREAM_WINDOW)
    assert pair.server.local_flow_control_window(streams[8]) <= STREAM_WINDOW
    # What one that ends had is for another.
    if end == "end":
        pair.server.end_stream(streams[0])
    elif end == "reset by us":
        pair.engine.reset(streams[0])
    else:
        pair.server.reset_stream(streams[0])
    pair.settle()
    consume(pair, streams[8], STREAM_WINDOW)
    assert pair.server.local_flow_control_window(streams[8]) > STREAM_WINDOW
    consume(pair, streams[9], STREAM_WINDOW)
    assert pair.server.local_flow_control_window(streams[9]) <= STREAM_WINDOW


@pytest.mark.parametrize("end", ["end", "reset by us", "reset by the server"])
def test_the_connections_window_gets_back_what_a_stream_held(end: str) -> None:
    pair = Pair()
    stream = pair.ask()
    pair.server.send_headers(stream, OK)
    pair.server.send_data(stream, b"x" * 10_000)
    pair.settle()
    pair.server.send_data(stream, b"x" * 10_000)
    if end == "end":
        pair.server.end_stream(stream)
    elif end == "reset by the server":
        pair.server.reset_stream(stream)
    else:
        pair.engine.reset(stream)
    pair.settle()
    # nghttp2 knows of nothing that is still to be acknowledged.
    with pytest.raises(ValueError, match="unacknowledged"):
        pair.engine._connection.acknowledge_received_data(1, stream)


# Ends


def test_a_stream_that_we_give_up_says_nothing_more() -> None:
    pair = Pair()
    stream = pair.ask()
    pair.server.send_headers(stream, OK)
    pair.server.send_data(stream, b"hello", end_stream=True)
    pair.engine.reset(stream)
    assert pair.engine.open_streams == 0
    assert pair.settle() == []
    [reset] = pair.what_server_saw(h2.events.StreamReset) or [None]
    assert reset is None or reset.error_code == CANCEL


def test_a_request_that_never_left_is_given_up_without_a_trace() -> None:
    pair = Pair()
    pair.settle()
    stream = pair.engine.send_request("one", GET, end_stream=True)
    pair.engine.reset(stream)
    assert pair.settle() == []
    assert pair.engine.open_streams == 0
    assert pair.what_server_saw(h2.events.RequestReceived) == []
    assert pair.ask("two")
    assert len(pair.what_server_saw(h2.events.RequestReceived)) == 1


def test_refused_is_proven_to_be_unprocessed_and_other_codes_are_not() -> None:
    pair = Pair()
    first, second, third = pair.ask("a"), pair.ask("b"), pair.ask("c")
    pair.server.reset_stream(first, REFUSED_STREAM)
    pair.server.reset_stream(second, 0x8)
    # Not after a part of its response.
    pair.server.send_headers(third, OK)
    pair.server.reset_stream(third, REFUSED_STREAM)
    told = spelled_out(pair.to_engine())
    assert told["a"] == [StreamFailed(REFUSED_STREAM, unprocessed=True)]
    assert told["b"] == [StreamFailed(0x8)]
    assert told["c"] == [(200, ()), StreamFailed(REFUSED_STREAM)]


def test_goaway_refuses_what_is_beyond_it_and_lets_the_rest_finish() -> None:
    pair = Pair()
    first, second = pair.ask("a"), pair.ask("b")
    pair.server.close_connection(0, b"bye", last_stream_id=first)
    assert pair.to_engine() == [("b", StreamFailed(REFUSED_STREAM, unprocessed=True, elsewhere=True))]
    assert second
    assert (pair.engine.going_away, pair.engine.closed, pair.engine.failure) == (True, False, None)
    assert pair.engine.farewell == "NO_ERROR: b'bye'"


@pytest.mark.parametrize("end_stream", [True, False])
def test_a_gentle_goaway_before_a_request_has_left_refuses_it(end_stream: bool) -> None:
    """The largest number says that no stream is beyond it yet (RFC 9113 section 6.8)."""
    pair = Pair()
    pair.settle()
    pair.engine.send_request("one", POST, end_stream)
    pair.server.close_connection(0, last_stream_id=2**31 - 1)
    assert pair.to_engine() == []
    assert pair.engine.data_to_send() == b""
    assert pair.to_engine() == [("one", StreamFailed(REFUSED_STREAM, unprocessed=True, elsewhere=True))]
    assert (pair.engine.going_away, pair.engine.failure) == (True, None)


def test_a_stream_that_is_cut_short_by_no_error_has_failed() -> None:
    pair = Pair()
    stream = pair.ask()
    pair.server.send_headers(stream, OK)
    pair.server.send_data(stream, b"half")
    pair.server.reset_stream(stream, 0)
    assert spelled_out(pair.to_engine())["one"] == [(200, ()), b"half", StreamFailed(0)]


def test_an_answer_before_the_content_is_sent_is_an_answer() -> None:
    pair = Pair()
    stream = pair.ask(fields=POST, end_stream=False)
    pair.engine.send_content(stream, b"x" * 1_000)
    pair.to_server()
    pair.server.send_headers(stream, [(b":status", b"413")])
    pair.server.send_data(stream, b"no", end_stream=True)
    pair.server.reset_stream(stream, 0)
    assert spelled_out(pair.to_engine()) == {"one": [(413, ()), b"no", ()]}
    # What comes late is no error.
    pair.engine.send_content(stream, b"more", end_stream=True)
    pair.engine.reset(stream, 0)
    assert pair.settle() == []


def test_ping() -> None:
    pair = Pair()
    pair.settle()
    pair.engine.ping()
    assert pair.engine.unanswered == 1
    pair.settle()
    assert pair.engine.unanswered == 0


def test_close_says_goodbye() -> None:
    pair = Pair()
    pair.settle()
    pair.engine.close()
    pair.to_server()
    [end] = pair.what_server_saw(h2.events.ConnectionTerminated)
    assert end.error_code == 0
    assert pair.engine.failure is None


# Limits


def test_how_many_streams_there_may_be() -> None:
    pair = Pair(settings={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 7})
    assert (pair.engine.limit, pair.engine.settled) == (ASSUMED_STREAMS, False)
    pair.settle()
    assert (pair.engine.limit, pair.engine.settled) == (7, True)
    pair.server.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 0})
    pair.settle()
    assert pair.engine.limit == 0
    # One that does not mention it changes nothing.
    pair.server.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1_000})
    pair.settle()
    assert pair.engine.limit == 0
    pair.server.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 2**31})
    pair.settle()
    assert pair.engine.limit == MAX_STREAMS


def answered(fields: list[Field], max_header_size: int = 2_000) -> tuple[Pair, list[Any]]:
    """One stream is answered with these fields, another one decently, in one piece."""
    pair = Pair(max_header_size)
    bad, good = pair.ask("bad"), pair.ask("good")
    pair.server.send_headers(bad, fields, end_stream=True)
    pair.server.send_headers(good, OK, end_stream=True)
    return pair, pair.settle()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ([*OK, (b"x", b"y" * 2_000)], "HPE_HEADER_OVERFLOW"),
        # 32 bytes more for each field: RFC 9113 section 6.5.2.
        ([*OK, *[(b"x", b"y")] * 60], "HPE_HEADER_OVERFLOW"),
        ([(b":status", b"600")], "ERR_BAD_RESPONSE"),
        ([(b":status", b"099")], "ERR_BAD_RESPONSE"),
    ],
)
def test_what_breaks_our_rules_ends_its_stream_and_no_other(fields: list[Field], code: str) -> None:
    pair, events = answered(fields)
    told = spelled_out(events)
    [failed] = told["bad"]
    assert failed.error.code == code
    assert told["good"] == [(200, ()), b"", ()]
    assert pair.engine.failure is None
    assert len(pair.what_server_saw(h2.events.StreamReset)) <= 1


def test_too_many_fields() -> None:
    _, events = answered([*OK, *[(b"x", b"")] * (MAX_FIELDS + 1)], 64 * 1024)
    assert spelled_out(events)["bad"][0].error.code == "HPE_HEADER_OVERFLOW"
    _, events = answered([*OK, *[(b"x", b"")] * MAX_FIELDS], 64 * 1024)
    assert spelled_out(events)["bad"][0][0] == 200


def test_far_beyond_the_limit_the_connection_has_failed() -> None:
    pair, _ = answered([*OK, *[(b"x", b"y" * 1_000)] * 5])
    assert pair.engine.failure is not None
    assert pair.engine.failure.code == "HPE_HEADER_OVERFLOW"
    assert pair.engine.closed
    assert pair.engine.data_to_send() == b""
    assert pair.engine.receive(b"whatever", 0.0) == []


def test_too_many_interim_responses() -> None:
    pair = Pair()
    stream = pair.ask()
    for _ in range(MAX_INTERIM_RESPONSES + 1):
        pair.server.send_headers(stream, [(b":status", b"103")])
    events = pair.settle()
    assert len(events) == MAX_INTERIM_RESPONSES + 1
    assert "interim" in str(events[-1][1].error)


def test_trailers_beyond_their_limit() -> None:
    pair = Pair()
    stream = pair.ask()
    pair.server.send_headers(stream, OK)
    pair.server.send_headers(stream, [(b"x", b"y" * MAX_TRAILERS)], end_stream=True)
    [(_, failed)] = [pair.settle()[-1]]
    assert failed.error.code == "HPE_HEADER_OVERFLOW"


def pings(pair: Pair, count: int) -> None:
    for _ in range(count):
        pair.server.ping(b"12345678")


def empty_data(pair: Pair, count: int) -> None:
    for _ in range(count):
        pair.server.send_data(1, b"")


def window_updates(pair: Pair, count: int) -> None:
    for _ in range(count):
        pair.server.increment_flow_control_window(1)


def settings_frames(pair: Pair, count: int) -> None:
    for _ in range(count):
        pair.server.update_settings({})


@pytest.mark.parametrize("flood", [pings, empty_data, window_updates, settings_frames])
def test_frames_that_bring_nothing_are_paid_for(flood: Callable[[Pair, int], None]) -> None:
    pair = Pair()
    stream = pair.ask()
    pair.server.send_headers(stream, OK)
    pair.settle()
    now = 100.0
    # As many as the time allows, for a long time.
    for _ in range(10):
        now += 1.0
        flood(pair, int(IDLE_TALK_RATE) // 2)
        pair.to_engine(now)
        pair.to_server()
    assert pair.engine.failure is None
    for _ in range(2 * MAX_IDLE_TALK // 100):
        flood(pair, 100)
        pair.to_engine(now)
        if pair.engine.failure is not None:
            break
        pair.to_server()
    assert pair.engine.failure is not None
    assert "bring nothing" in str(pair.engine.failure)
    assert pair.engine.closed
    pair.to_server()
    [end] = pair.what_server_saw(h2.events.ConnectionTerminated)
    assert name_of(end.error_code) == "ENHANCE_YOUR_CALM"


# Broken peers


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0" * 100,
        b"\xff" * 100,
        # DATA on a stream that never was.
        b"\0\0\1\0\0\0\0\0\x09x",
        # PING of seven bytes.
        b"\0\0\7\6\0\0\0\0\0abcdefg",
    ],
)
def test_what_is_no_http2_is_a_failure(data: bytes) -> None:
    for pieces in ([data], [data[index : index + 1] for index in range(len(data))]):
        pair = Pair()
        pair.ask()
        for piece in pieces:
            pair.engine.receive(piece, 0.0)
        while pair.engine.data_to_send():
            pass
        pair.engine.events(0.0)
        assert pair.engine.failure is not None
        assert pair.engine.failure.code == "ERR_BAD_RESPONSE"
        assert "HTTP/2" in str(pair.engine.failure)
        assert pair.engine.closed


def test_a_malformed_response_is_the_streams_alone() -> None:
    pair, events = answered([*OK, (b"connection", b"close")])
    told = spelled_out(events)
    assert isinstance(told["bad"][0], StreamFailed)
    assert told["bad"][0].error.code == "ERR_BAD_RESPONSE"
    assert told["good"] == [(200, ()), b"", ()]
    assert pair.engine.failure is None


def test_reprs() -> None:
    pair = Pair()
    stream = pair.ask()
    assert repr(pair.engine) == "<Http2Engine 1 streams of 1>"
    pair.server.send_headers(stream, [*OK, (b"a", b"secret")], end_stream=True)
    [(_, head)] = pair.to_engine()
    assert repr(head) == "<Http2Head 200, 1 fields>"
    assert name_of(0x99) == "error 153"
    assert END_OF_MESSAGE.trailers == ()
