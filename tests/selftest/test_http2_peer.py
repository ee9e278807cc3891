"""The scripted HTTP/2 peer does what its script says, and says so when the client breaks HTTP/2 or the script."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import hpack
import pytest

from support.certificates import Certificates
from support.http2_peer import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    PREFACE,
    SETTINGS,
    Code,
    Http2Peer,
    Reply,
    block,
    change_settings,
    continuation,
    data,
    expect_close,
    expect_content,
    expect_frame,
    expect_goaway,
    expect_request,
    expect_requests,
    expect_rst,
    frame,
    goaway,
    grant,
    greet,
    headers,
    http2_context,
    ping,
    priority,
    push_promise,
    read_on,
    respond,
    response,
    rst,
    send_as_answer,
    serve,
    settings,
    window_update,
)
from support.peer import Step, hold, send
from support.server import PATIENCE, send_close_notify

GET = ((":method", "GET"), (":scheme", "http"), (":path", "/a"), (":authority", "peer"))
POST = ((":method", "POST"), *GET[1:])


class Client:
    """h2's client on a blocking socket."""

    def __init__(self, peer: Http2Peer, context: ssl.SSLContext | None = None) -> None:
        self.socket: socket.socket = socket.create_connection((peer.host, peer.port), PATIENCE)
        if context is not None:
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        self.h2.initiate_connection()
        self.flush()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        send_close_notify(self.socket)
        self.socket.close()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def ask(self, fields: Sequence[tuple[str, str]] = GET, body: bytes | None = None) -> int:
        stream: int = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, list(fields), end_stream=body is None)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=True)
        self.flush()
        return stream

    def read_until(self, kind: type[h2.events.Event]) -> list[Any]:
        """The events up to one of that kind; DATA is acknowledged."""
        events: list[Any] = []
        while not any(isinstance(event, kind) for event in events):
            received = self.socket.recv(65_536)
            assert received, f"the peer closed: {events}"
            for event in self.h2.receive_data(received):
                events.append(event)
                if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.flush()
        return events


def content_of(events: list[Any]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, h2.events.DataReceived))


def fields_of(events: list[Any], kind: type[Any] = h2.events.ResponseReceived) -> list[Any]:
    return [tuple(pair) for event in events if isinstance(event, kind) for pair in event.headers]


# What a script is for


@pytest.mark.parametrize("is_tls", [False, True])
def test_answers_what_was_asked(is_tls: bool, certificates: Certificates) -> None:
    tls = http2_context(certificates) if is_tls else None
    script = [
        greet(),
        expect_request(),
        respond(201, [(b"x", b"y")], b"hello", trailers=[(b"t", b"u")]),
        expect_close(),
    ]
    with (
        Http2Peer(script, tls=tls) as peer,
        Client(peer, certificates.client_context() if is_tls else None) as client,
    ):
        client.ask(POST, b"body")
        events = client.read_until(h2.events.StreamEnded)
        if isinstance(client.socket, ssl.SSLSocket):
            assert client.socket.selected_alpn_protocol() == "h2"
    assert fields_of(events) == [(b":status", b"201"), (b"x", b"y")]
    assert fields_of(events, h2.events.TrailersReceived) == [(b"t", b"u")]
    assert content_of(events) == b"hello"
    (request,) = peer.requests
    assert (request.stream, request.method, request.path, bytes(request.body)) == (1, b"POST", b"/a", b"body")
    assert request.is_complete


def test_bytes_of_frames_are_what_another_library_reads() -> None:
    long = b"v" * 400
    said = (
        settings({INITIAL_WINDOW_SIZE: 70_000})
        + ping(b"12345678")
        + window_update(0, 7)
        + window_update(1, 9)
        + priority(1, 3)
        + headers(1, (b":status", b"103"), (b"link", b"</a>"))
        + frame(HEADERS, 0, 1, block((b":status", b"200")))
        + continuation(1, block((b"long", long)))
        + continuation(1, block((b"x", b"")), end_headers=True)
        + data(1, b"one", padding=3)
        + data(1, b"two", end=True)
        + rst(3, Code.REFUSED_STREAM)
        + goaway(3, Code.ENHANCE_YOUR_CALM, b"calm")
    )
    with (
        Http2Peer([greet(), expect_requests(2), send_as_answer(said), read_on()]) as peer,
        Client(peer) as client,
    ):
        client.ask()
        client.ask()
        events = client.read_until(h2.events.ConnectionTerminated)
    by_kind = {type(event): event for event in events}
    assert by_kind[h2.events.PingReceived].ping_data == b"12345678"
    assert {event.delta for event in events if isinstance(event, h2.events.WindowUpdated)} == {7, 9}
    assert fields_of(events, h2.events.InformationalResponseReceived) == [(b":status", b"103"), (b"link", b"</a>")]
    assert fields_of(events) == [(b":status", b"200"), (b"long", long), (b"x", b"")]
    assert content_of(events) == b"onetwo"
    assert (by_kind[h2.events.StreamReset].stream_id, by_kind[h2.events.StreamReset].error_code) == (3, 7)
    end = by_kind[h2.events.ConnectionTerminated]
    assert (end.last_stream_id, end.error_code, end.additional_data) == (3, 11, b"calm")


def test_frames_may_say_what_they_like() -> None:
    assert frame(9, 0xFF, 1 << 31, b"x", length=0xFFFFFF) == b"\xff\xff\xff\x09\xff\x80\0\0\0x"
    assert push_promise(1, 2)[3:9] == bytes([5, END_HEADERS, 0, 0, 0, 1])
    assert hpack.Decoder().decode(block((b"A\r\n", b"\0" * 300)), raw=True) == [(b"A\r\n", b"\0" * 300)]


def test_reads_resets_and_goodbyes() -> None:
    script = [greet(), expect_request(), expect_rst(code=Code.CANCEL), expect_goaway(Code.NO_ERROR)]
    with Http2Peer(script) as peer, Client(peer) as client:
        client.read_until(h2.events.SettingsAcknowledged)  # what is left unread would make an RST of the end
        stream = client.ask()
        client.h2.reset_stream(stream, Code.CANCEL)
        client.h2.close_connection()
        client.flush()
    assert peer.requests[0].reset == Code.CANCEL
    session = peer.sessions[0]
    assert session.goaway is not None
    assert not session.open


def test_scripts_keep_pace_by_frames() -> None:
    script = [
        greet({MAX_CONCURRENT_STREAMS: 1}),
        change_settings({MAX_CONCURRENT_STREAMS: 5}),
        expect_request(whole=False),
        expect_content(50_000),
        grant(60_000),
        expect_content(),
        send(ping()),
        expect_frame(6, ack=True),
        respond(204),
        hold(),
    ]
    with Http2Peer(script) as peer, Client(peer) as client:
        client.read_until(h2.events.RemoteSettingsChanged)
        stream = client.h2.get_next_available_stream_id()
        client.h2.send_headers(stream, list(POST))
        left = 100_000
        while left:
            size = min(left, client.h2.local_flow_control_window(stream), 16_384)
            if not size:
                client.read_until(h2.events.WindowUpdated)
                continue
            left -= size
            client.h2.send_data(stream, bytes(size), end_stream=not left)
            client.flush()
        client.read_until(h2.events.StreamEnded)
    assert len(peer.requests[0].body) == 100_000


# The decent server


def test_serves_until_the_client_closes() -> None:
    with Http2Peer([greet(), serve()]) as peer, Client(peer) as client:
        client.h2.ping(b"12345678")
        for number in range(3):
            client.ask(POST, b"x" * 100)
            events = client.read_until(h2.events.StreamEnded)
            assert content_of(events) == b"POST /a"
            assert number or any(isinstance(event, h2.events.PingAckReceived) for event in events)
    assert peer.paths == ["/a"] * 3
    assert peer.sessions[0].most_open == 1


def test_serves_more_than_a_window_at_once() -> None:
    body = bytes(range(256)) * 2_000
    with Http2Peer([greet(), serve(lambda _: Reply(200, (), body, ((b"t", b"u"),)))]) as peer, Client(peer) as client:
        client.ask()
        events = client.read_until(h2.events.StreamEnded)
    assert content_of(events) == body
    assert fields_of(events, h2.events.TrailersReceived) == [(b"t", b"u")]


def test_leaves_alone_what_has_an_answer_or_shall_have_none() -> None:
    script = [greet(), expect_requests(2), send_as_answer(response(3, 204)), serve(lambda _: None, requests=0)]
    with Http2Peer([*script, serve(), read_on()]) as peer, Client(peer) as client:
        client.ask()
        client.ask()
        assert fields_of(client.read_until(h2.events.StreamEnded)) == [(b":status", b"204")]
        client.ask()
        assert content_of(client.read_until(h2.events.StreamEnded)) == b"GET /a"
    assert len(peer.requests) == 3


# What fails a test


def say(peer: Http2Peer, said: bytes) -> None:
    """Send that, then FIN, and wait until the peer has ended."""
    with socket.create_connection((peer.host, peer.port), PATIENCE) as client:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):  # the peer left bytes unread
            while client.recv(65_536):
                pass


START = PREFACE + settings()
REQUEST = tuple((name.encode(), value.encode()) for name, value in GET)
ASKED = START + headers(1, *REQUEST, end=True)
UPLOAD = START + headers(1, *REQUEST)

BROKEN: dict[str, tuple[bytes, str]] = {
    "no preface": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "not a preface"),
    "no settings": (PREFACE + ping(), "the preface ends with PING"),
    "even stream": (START + headers(2, *REQUEST), "not a new stream"),
    "old stream": (START + headers(3, *REQUEST) + headers(1, *REQUEST), "not a new stream"),
    "no path": (START + headers(1, *REQUEST[:2]), "pseudo fields"),
    "path twice": (START + headers(1, *REQUEST, REQUEST[2]), "pseudo fields"),
    "pseudo field behind": (START + headers(1, *REQUEST[:3], (b"a", b"b"), REQUEST[3]), "pseudo fields"),
    "unknown pseudo field": (START + headers(1, *REQUEST, (b":status", b"200")), "pseudo fields"),
    "upper case": (START + headers(1, *REQUEST, (b"Accept", b"a")), "a field that may not be there"),
    "connection": (START + headers(1, *REQUEST, (b"connection", b"close")), "a field that may not be there"),
    "te": (START + headers(1, *REQUEST, (b"te", b"gzip")), "a field that may not be there"),
    "line break": (START + headers(1, *REQUEST, (b"a", b"b\r\nc")), "a value that is none"),
    "blank": (START + headers(1, *REQUEST, (b"a", b" b")), "a value that is none"),
    "large frame": (UPLOAD + data(1, bytes(16_385)), "larger than SETTINGS_MAX_FRAME_SIZE"),
    "beyond the window": (UPLOAD + data(1, bytes(16_384)) * 4, "more than the window"),
    "after its end": (ASKED + data(1, b"x"), "on a stream that the client has ended"),
    "idle stream": (START + data(1, b"x"), "never opened"),
    "between blocks": (START + headers(1, *REQUEST, flags=0) + ping(), "between or outside"),
    "lone continuation": (START + continuation(1, b""), "between or outside"),
    "window of nothing": (START + window_update(0, 0), "WINDOW_UPDATE of nothing"),
    "push": (START + push_promise(1, 2, *REQUEST), "a client cannot push"),
    "cut short": (START + data(1, b"abc")[:-1], "EOFError"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_client_that_breaks_http2_fails_the_test(name: str) -> None:
    said, complaint = BROKEN[name]
    with pytest.raises(AssertionError, match=complaint), Http2Peer([greet(), expect_request(), serve()]) as peer:
        say(peer, said)


UNEXPECTED: dict[str, tuple[Callable[[], Step], bytes, str]] = {
    "request": (expect_request, START, "closed instead of HEADERS"),
    "whole request": (expect_request, UPLOAD, "closed instead of the end of stream 1"),
    "ping first": (expect_request, START + ping() + headers(1, *REQUEST, end=True), "instead of HEADERS: PING"),
    "requests": (lambda: expect_requests(2), ASKED, "closed instead of 2 requests"),
    "close": (expect_close, ASKED, "instead of closing: HEADERS"),
    "frame": (lambda: expect_frame(DATA, 3), UPLOAD[:0] + START, "closed instead of DATA"),
    "ack": (lambda: expect_frame(SETTINGS, ack=True), START + settings(), "closed instead of SETTINGS"),
    "code": (lambda: expect_goaway(Code.NO_ERROR), START + goaway(0, 2), "got GOAWAY INTERNAL_ERROR"),
}


@pytest.mark.parametrize("name", UNEXPECTED)
def test_a_client_that_does_not_keep_to_the_script_fails_the_test(name: str) -> None:
    step, said, complaint = UNEXPECTED[name]
    with pytest.raises(AssertionError, match=complaint), Http2Peer([greet(), step()]) as peer:
        say(peer, said)


def test_another_stream_or_another_code_fails_the_test() -> None:
    for step in (expect_rst(1, Code.NO_ERROR), expect_rst(3, Code.CANCEL)):
        peer = Http2Peer([greet(), expect_request(), step])
        with pytest.raises(AssertionError, match="got RST_STREAM CANCEL on 1"), peer:
            say(peer, ASKED + rst(1, Code.CANCEL))


def test_settings_hold_when_they_are_acknowledged() -> None:
    """A client may send what the old window lets through until then; afterwards the new one counts."""
    script = [greet({INITIAL_WINDOW_SIZE: 10}), expect_request(whole=False), expect_content(11), read_on()]
    upload = headers(1, *REQUEST) + data(1, bytes(11))
    with Http2Peer(script) as peer:
        say(peer, START + upload)
    with pytest.raises(AssertionError, match="more than the window"), Http2Peer(script) as peer:
        say(peer, START + settings(ack=True) + upload)


def test_waiting_for_what_does_not_come_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.http2_peer.PATIENCE", 0.01)
    with Http2Peer([]) as peer, pytest.raises(AssertionError, match="it has not come"):
        peer.wait_until(lambda: False)


def test_kinds_and_flags_are_those_of_the_rfc() -> None:
    assert (DATA, HEADERS, SETTINGS, CONTINUATION) == (0, 1, 4, 9)
    assert (ACK, END_HEADERS) == (1, 4)
    assert [code.value for code in Code] == list(range(14))
