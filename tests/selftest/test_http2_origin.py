"""The recording origin in HTTP/2, seen by nghttp2."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from support.certificates import Certificates
from support.http2_client import Client
from support.origin import Answer, Origin, Received, pattern
from support.server import PATIENCE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def test_echo_tells_and_records_everything(origin: Origin) -> None:
    fields = [("x-twice", "a"), ("cookie", "a=1"), ("x-late", "b"), ("cookie", "b=2"), ("x-twice", "c")]
    with Client(origin) as client:
        got = client.ask("/echo?q=1", b"\x00\xff", "POST", *fields)
        client.finish(got)
    told = json.loads(got.body)
    assert (told["method"], told["target"], told["version"], told["body"]) == ("POST", "/echo?q=1", "HTTP/2", "\0\xff")
    assert [tuple(each) for each in told["headers"]] == [
        ("Host", f"127.0.0.1:{origin.port}"),
        ("X-Twice", "a"),
        ("Cookie", "a=1; b=2"),
        ("X-Late", "b"),
        ("X-Twice", "c"),
    ]
    (seen,) = origin.requests
    assert (seen.path, seen.body, seen.connection, seen.get("x-twice")) == ("/echo", b"\x00\xff", 0, "a, c")
    assert got.fields[":status"] == "200"
    assert got.fields["content-type"] == "application/json"


def test_answers_that_wait_hold_no_other_up(origin: Origin) -> None:
    with Client(origin) as client:
        waiting = [client.ask("/delay/60") for _ in range(3)]
        client.finish(quick := client.ask("/bytes/5001"))
        assert (quick.body, [each.ended for each in waiting]) == (pattern(5001), [None] * 3)
        origin.wait_for_requests(4)
        assert origin.concurrent == 3
        origin.release.set()
        client.finish(*waiting)
    assert [each.body for each in waiting] == [b"late"] * 3
    assert (origin.high_water >= 3, origin.concurrent, origin.connections) == (True, 0, 1)


@pytest.mark.parametrize("tls", [False, True])
def test_large_bodies_go_both_ways_within_the_windows(tls: bool, certificates: Certificates) -> None:
    context = certificates.client_context()
    context.set_alpn_protocols(["h2"])
    content = pattern(1_000_000)
    with (
        Origin(tls=certificates.server_context() if tls else None) as origin,
        Client(origin, context if tls else None) as client,
    ):
        down = [client.ask(path) for path in ("/bytes/3000000", "/chunked/3000000")]
        up = [client.ask("/status/200", content, "PUT") for _ in range(3)]
        client.finish(*down, *up)
        assert [each.body == pattern(3_000_000) for each in down] == [True, True]
        assert [each.fields.get("content-length") for each in down] == ["3000000", None]
        uploads = [request.body == content for request in origin.requests if request.method == "PUT"]
        assert uploads == [True] * 3


def test_a_stream_that_is_not_read_holds_only_itself(origin: Origin) -> None:
    with Client(origin, auto_window_update=False) as client:
        unread = client.ask("/bytes/60000")
        client.look_until(lambda: len(unread.body) == 60_000)
        held = client.ask("/bytes/60000")
        client.look_until(lambda: len(held.body) == 65_535 - 60_000)
        client.finish(empty := client.ask("/status/204"))
        assert (held.ended, empty.fields[":status"]) == (None, "204")
        client.engine.acknowledge_received_data(60_000, 1)
        client.send()
        client.finish(held)
        assert held.body == pattern(60_000)


def test_head_and_bodiless_answers_send_no_body(origin: Origin) -> None:
    with Client(origin) as client:
        client.finish(head := client.ask("/bytes/7", method="HEAD"))
        assert (head.fields["content-length"], head.body) == ("7", b"")
        for status in ("204", "304", "599"):
            client.finish(bare := client.ask(f"/status/{status}"))
            assert (bare.fields[":status"], bare.body, bare.fields.get("content-length", "0")) == (status, b"", "0")


def test_expect_continue(origin: Origin) -> None:
    with Client(origin) as client:
        client.finish(got := client.ask("/echo", b"hi", "PUT", ("expect", "100-continue")))
    assert (got.interim, got.fields[":status"], origin.requests[0].body) == (["100"], "200", b"hi")


def test_an_answer_that_closes_is_followed_by_goaway(origin: Origin) -> None:
    with Client(origin) as client:
        waiting, last = client.ask("/delay/60"), client.ask("/close")
        client.look_until(lambda: client.last_stream is not None)
        assert (last.body, client.last_stream, waiting.ended) == (b"bye", 3, None)
        origin.release.set()
        client.finish(waiting)
        assert (waiting.body, client.socket.recv(1)) == (b"late", b"")
    assert origin.broken == []


def test_without_keep_alive_the_first_answer_is_the_last() -> None:
    with Origin(keep_alive=False) as origin, Client(origin) as client:
        client.finish(got := client.ask("/bytes/4"))
        client.look_until(lambda: client.last_stream == 1)
        assert (got.body, client.socket.recv(1)) == (pattern(4), b"")


def test_a_stream_that_is_reset_is_only_noted(origin: Origin) -> None:
    with Client(origin) as client:
        client.ask("/delay/60")
        origin.wait_for_requests(1)
        client.engine.reset_stream(1)
        client.finish(client.ask("/status/204"))
    assert "CANCEL" in origin.broken[0]


def test_breaking_off_is_only_noted(origin: Origin) -> None:
    with Client(origin) as client:
        client.ask("/delay/60")
        origin.wait_for_requests(1)
        client.socket.shutdown(socket.SHUT_WR)  # a close would be a reset, where SETTINGS lie unread
        for thread in origin.threads[1:2]:  # the connection's own
            thread.join(PATIENCE)
    assert "1 streams under way" in origin.broken[0]


def test_a_client_may_say_goodbye_in_the_middle(origin: Origin) -> None:
    with Client(origin) as client:
        client.ask("/bytes/1000000")
        client.look_until(lambda: client.exchanges[1].body)
        fields = [(b":method", b"PUT"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")]
        client.engine.send_request(fields)
        client.engine.send_data(3, b"half")
        client.send()
        client.engine.terminate_connection()
        client.send()
        assert client.socket.recv(1_000_000)
    for thread in origin.threads[1:2]:  # the connection's own
        thread.join(PATIENCE)
    assert "2 streams under way" in origin.broken[0]


def test_an_answer_that_fails_fails_the_test() -> None:
    def fail(_request: Received) -> Answer:
        raise RuntimeError("of the route")

    with (
        pytest.raises(AssertionError, match="of the route"),
        Origin(routes={"/fail": fail}) as origin,
        Client(origin) as client,
        pytest.raises((AssertionError, ConnectionError)),
    ):
        client.finish(client.ask("/fail"))


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([(":authority", "a"), (":scheme", "https")], "'https' on a connection of http"),
        ([("host", "a"), (":scheme", "http")], "Host"),
        ([(":authority", "a"), (":scheme", "http"), ("host", "a")], "besides it"),
        ([(":authority", "a"), (":scheme", "http"), ("connection", "close")], "ProtocolError"),
        ([(":authority", "a"), (":scheme", "http"), ("X-Up", "1")], "ProtocolError"),
    ],
)
def test_what_no_client_may_send_fails_the_test(headers: list[tuple[str, str]], reason: str) -> None:
    fields = [(":method", "GET"), (":path", "/echo"), *sorted(headers, key=lambda field: field[0][0] != ":")]
    block = b"".join(b"\0%c%b%c%b" % (len(k), k.encode(), len(v), v.encode()) for k, v in fields)
    frames = b"\0\0\0\4\0\0\0\0\0" + len(block).to_bytes(3, "big") + b"\1\5\0\0\0\1" + block
    with (
        pytest.raises(AssertionError, match=reason),
        Origin() as origin,
        socket.create_connection((origin.host, origin.port), PATIENCE) as client,
    ):
        client.sendall(PREFACE + frames)
        while client.recv(65_536):
            pass


def test_alpn_decides_and_is_held_to(certificates: Certificates) -> None:
    def speak(origin: Origin, *offered: str) -> tuple[str | None, bytes]:
        context = certificates.client_context()
        context.set_alpn_protocols([*offered])
        plain = socket.create_connection((origin.host, origin.port), PATIENCE)
        with context.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(b"GET /bytes/4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return client.selected_alpn_protocol(), client.recv(12)

    with Origin(tls=certificates.server_context()) as origin:
        assert speak(origin, "http/1.1") == ("http/1.1", b"HTTP/1.1 200")
    with Origin(tls=certificates.server_context(), http2=False) as origin:
        assert speak(origin, "h2", "http/1.1") == ("http/1.1", b"HTTP/1.1 200")
    with pytest.raises(AssertionError, match="ALPN chose h2"), Origin(tls=certificates.server_context()) as origin:
        speak(origin, "http/1.1", "h2")


def test_an_origin_without_it_takes_no_preface() -> None:
    with (
        pytest.raises(AssertionError, match="to an origin that does not"),
        Origin(http2=False) as origin,
        socket.create_connection((origin.host, origin.port), PATIENCE) as client,
    ):
        client.sendall(PREFACE)
        assert client.recv(1) == b""


def test_where_http2_is_required_another_version_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="about HTTP/2"), Origin.require_http2(), Origin() as origin:
        with Client(origin) as client:
            client.finish(client.ask("/status/204"))
        with socket.create_connection((origin.host, origin.port), PATIENCE) as other:
            other.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert other.recv(1) == b""


def test_threads_end_with_their_connection(origin: Origin) -> None:
    with Client(origin) as client:
        client.finish(*[client.ask(f"/bytes/{size}") for size in range(20)])
    origin.close()
    assert not any(isinstance(each, threading.Thread) and each.is_alive() for each in origin.threads)
