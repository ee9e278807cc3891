"""Scripts of HTTP/1.1 behind the gateway, seen by nghttp2."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import Certificates
from support.http2_client import Client, Exchange
from support.http2_gateway import Http2Gateway
from support.origin import pattern
from support.peer import (
    Conversation,
    Peer,
    Step,
    close,
    drain,
    end,
    expect,
    expect_body,
    expect_end,
    expect_head,
    hold,
    reset,
    send,
    signal,
    wait,
)
from support.server import PATIENCE

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR = 0, 1, 2
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True)
def gateway() -> Iterator[None]:
    with Http2Gateway.before_every_peer():
        yield


def told(*exchanges: Exchange) -> list[tuple[str, bytes, int | None]]:
    return [(each.fields.get(":status", ""), each.body, each.ended) for each in exchanges]


def meet(others: threading.Barrier) -> Step:
    """A step that waits until all scripts have come to theirs."""

    def meet(_on: Conversation) -> None:
        others.wait(PATIENCE)

    return meet


# Requests and responses


def test_a_script_reads_what_it_always_reads() -> None:
    fields = [("cookie", "a=1"), ("x-up", "1"), ("cookie", "b=2")]
    script = [expect_head(), send(OK), expect_head(), expect_body(), send(OK), expect_end()]
    with Peer(script) as peer:
        with Client(peer) as client:
            client.finish(first := client.ask("/a?b=c", None, "GET", *fields))
            client.finish(second := client.ask("/d", b"hello", "PUT", ("content-length", "5")))
        host = b"Host: 127.0.0.1:%d\r\n" % peer.port
    assert told(first, second) == [("200", b"ok", NO_ERROR)] * 2
    assert peer.received() == (
        b"GET /a?b=c HTTP/1.1\r\n" + host + b"Cookie: a=1; b=2\r\nX-Up: 1\r\n\r\n"
        b"PUT /d HTTP/1.1\r\n" + host + b"Content-Length: 5\r\n\r\nhello"
    )


def test_content_of_unknown_length_is_chunked() -> None:
    with Peer([expect_head(), expect_body(), send(OK), expect_end()]) as peer, Client(peer) as client:
        client.finish(client.ask("/", b"hello", "PUT"))
        client.socket.close()
    assert peer.received().endswith(b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")


def test_every_kind_of_response_is_translated() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
    script = [
        *(expect_head(), send(early + CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n")),
        *(expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")),
        *(expect_head(), send(b"HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=5\r\n\r\n"), drain()),
    ]
    with Peer(script) as peer, Client(peer) as client:
        client.finish(first := client.ask("/"))
        client.finish(second := client.ask("/", None, "HEAD"))
        client.finish(third := client.ask("/"))
        client.socket.close()
    assert told(first, second, third) == [("200", b"ok", NO_ERROR), ("200", b"", NO_ERROR), ("204", b"", NO_ERROR)]
    assert (first.interim, first.fields) == (["103"], {":status": "200", "x-sum": "7"})
    assert (second.fields["content-length"], third.fields) == ("9", {":status": "204"})


def test_what_a_script_sends_is_passed_on_at_once() -> None:
    go_on = threading.Event()
    with Peer([expect_head(), send(HALF), wait(go_on), send(b", all"), hold()]) as peer, Client(peer) as client:
        got = client.ask("/")
        client.look_until(lambda: got.body)
        assert told(got) == [("200", b"half", None)]
        go_on.set()
        client.finish(got)
    assert got.body == b"half, all"


def test_streams_have_connections_of_their_own_while_they_last() -> None:
    script = [expect_head(), meet(threading.Barrier(2)), send(OK)]
    with Peer([[*script, expect_head(), send(OK), drain()], [*script, drain()]]) as peer, Client(peer) as client:
        client.finish(client.ask("/1"), client.ask("/2"))
        client.finish(client.ask("/3"))
        client.socket.close()
    assert [each.target for each in peer.heads] == ["/1", "/3", "/2"]


@pytest.mark.parametrize("tls", [False, True])
def test_large_bodies_go_both_ways_within_the_windows(tls: bool, certificates: Certificates) -> None:
    content = pattern(3_000_000)
    context = certificates.client_context()
    context.set_alpn_protocols(["h2"])
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content)
    script = [expect_head(), expect(len(content)), send(head + content), drain()]
    with (
        Peer(script, tls=certificates.server_context() if tls else None) as peer,
        Client(peer, context if tls else None) as client,
    ):
        assert peer.url.startswith("https:" if tls else "http:")
        assert (client.scheme, peer.server_names) == (("https", ["localhost"]) if tls else ("http", []))
        client.finish(got := client.ask("/", content, "PUT", ("content-length", str(len(content)))))
        client.socket.close()
    assert peer.received().endswith(b"\r\n\r\n" + content)
    assert got.body == content


def test_what_a_script_does_not_read_is_not_read_from_the_client() -> None:
    size = 50_000_000  # several times what kernels hold
    read = threading.Event()
    with Peer([expect_head(), wait(read), expect(size), send(OK), hold()]) as peer, Client(peer) as client:
        got = client.ask("/", bytes(size), "PUT", ("content-length", str(size)))
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.finish(got)
        assert client.sent < size / 2
        client.socket.settimeout(PATIENCE)
        read.set()
        client.finish(got)
    assert told(got) == [("200", b"ok", NO_ERROR)]


def test_what_the_client_does_not_take_is_not_read_from_the_script() -> None:
    size = 30_000_000  # several times what kernels hold
    sent = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    with Peer([expect_head(), send(head + bytes(size)), signal(sent), hold()]) as peer, Client(peer) as client:
        got = client.ask("/")
        client.look_until(lambda: got.body)
        assert not sent.wait(0.2)
        client.finish(got)
        assert (len(got.body), sent.wait(PATIENCE)) == (size, True)


def test_a_stream_that_is_not_read_holds_only_itself() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    large = [expect_head(), send(head % 100_000 + bytes(100_000)), hold()]
    with Peer([large, [expect_head(), send(head % 0), hold()]]) as peer:
        with Client(peer, auto_window_update=False) as client:
            held = client.ask("/")
            client.look_until(lambda: len(held.body) == 65_535)
            client.finish(other := client.ask("/"))
            assert told(other) == [("200", b"", NO_ERROR)]
            client.engine.acknowledge_received_data(65_535, 1)
            client.send()
            client.finish(held)
        assert held.body == bytes(100_000)


def test_a_unix_socket(tmp_path: Path) -> None:
    frames = PREFACE + b"\0\0\0\4\0\0\0\0\0"
    with Peer([expect_end()], unix=tmp_path / "s") as peer, socket.socket(socket.AF_UNIX) as client:
        assert (peer.url, peer.socket_path) == ("http://localhost", tmp_path / "s")
        client.settimeout(PATIENCE)
        client.connect(str(tmp_path / "s"))
        client.sendall(frames)
        assert client.recv(9)[3] == 4  # SETTINGS
    assert not (tmp_path / "s").exists()


def test_connections_come_from_the_clients_address() -> None:
    seen: list[str] = []
    with Peer([lambda on: seen.append(on.socket.getpeername()[0]), expect_end()]) as peer:
        socket.create_connection((peer.host, peer.port), PATIENCE, ("127.0.0.2", 0)).close()
    assert seen == ["127.0.0.2"]


# Ends


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", b"HTTP/1.1 200 OK\r\n\r\nok"],
    ids=["field", "content"],
)
def test_the_last_response_of_a_connection_is_announced(answer: bytes) -> None:
    with Peer([expect_head(), send(answer), close()]) as peer, Client(peer) as client:
        client.finish(got := client.ask("/"))
        assert (told(got), client.last_stream) == ([("200", b"ok", NO_ERROR)], 1)
        client.look_until_the_end()


def test_what_comes_before_the_last_response_ends_is_answered() -> None:
    asked, answered = threading.Event(), threading.Event()
    last = [expect_head(), send(b"HTTP/1.1 200 OK\r\n\r\no"), wait(asked), send(b"k"), close()]
    other = [expect_head(), signal(asked), wait(answered), send(OK), drain()]
    with Peer([last, other]) as peer, Client(peer) as client:
        first, second = client.ask("/"), client.ask("/")
        client.finish(first)
        assert client.last_stream == 3
        answered.set()
        client.finish(second)
        client.look_until_the_end()
    assert told(first, second) == [("200", b"ok", NO_ERROR)] * 2


def test_an_end_between_two_requests_ends_the_connection() -> None:
    with Peer([expect_head(), send(OK)]) as peer, Client(peer) as client:
        client.finish(got := client.ask("/"))
        client.look_until_the_end()
        assert (got.body, client.last_stream) == (b"ok", None)


def test_an_end_of_one_of_several_is_not_noticed() -> None:
    answer = [expect_head(), send(OK)]
    scripts = [answer, [expect_head(), hold()], [*answer, *answer, hold()]]
    with Peer(scripts) as peer, Client(peer) as client:
        first, held = client.ask("/"), client.ask("/")
        client.finish(first)
        peer.threads[1].join(PATIENCE)  # the first script's
        for _ in range(2):
            client.finish(third := client.ask("/"))
            assert told(first, held, third) == [("200", b"ok", NO_ERROR), ("", b"", None), ("200", b"ok", NO_ERROR)]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", HALF], ids=["nothing", "half a head", "half"])
def test_an_end_in_the_middle_is_an_end_of_the_connection(answer: bytes) -> None:
    with Peer([expect_head(), send(answer), close()]) as peer, Client(peer) as client:
        got = client.ask("/")
        client.look_until_the_end()
        assert (got.body, got.ended) == (b"half" if answer == HALF else b"", None)


@pytest.mark.parametrize("answer", [b"", HALF], ids=["nothing", "half"])
def test_a_reset_in_the_middle_is_a_reset_of_the_connection(answer: bytes) -> None:
    with Peer([expect_head(), send(answer), reset()]) as peer, Client(peer) as client:
        got = client.ask("/")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            client.look_until_the_end()
        assert (got.body, got.ended) == (b"half" if answer else b"", None)


@pytest.mark.parametrize("last", [close(), reset()], ids=["close", "reset"])
def test_beside_other_streams_it_is_a_reset_of_the_stream(last: Step) -> None:
    both = threading.Barrier(2)
    scripts = [[expect_head(), meet(both), send(HALF), last], [expect_head(), meet(both), hold()]]
    with Peer(scripts) as peer, Client(peer) as client:
        lost, held = client.ask("/"), client.ask("/")
        client.finish(lost)
        assert told(lost, held) == [("200", b"half", INTERNAL_ERROR), ("", b"", None)]


def test_an_early_response_and_an_end_stop_the_upload() -> None:
    with Peer([expect_head(), send(OK), end(), drain()]) as peer, Client(peer) as client:
        got = client.ask("/", b"some", "PUT", ends=False)
        client.finish(got)
        assert told(got) == [("200", b"ok", NO_ERROR)]
    assert b"some" in peer.received()


def test_an_early_response_alone_does_not() -> None:
    script = [expect_head(), send(OK), expect_body(), expect_head(), send(OK), drain()]
    with Peer(script) as peer, Client(peer) as client:
        got = client.ask("/", b"some", "PUT", ends=False)
        client.look_until(lambda: got.body)
        client.engine.send_data(1, b" more", end_stream=True)
        client.send()
        client.finish(got)
        client.finish(again := client.ask("/"))
        client.socket.close()
    assert told(got, again) == [("200", b"ok", NO_ERROR)] * 2
    assert b"some\r\n5\r\n more\r\n0\r\n\r\n" in peer.received()


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"SSH-2.0-OpenSSH\r\n\r\n", ""), (CHUNKED + b"2\r\nok\r\nno size\r\n", "200")],
    ids=["head", "chunk"],
)
def test_what_is_not_http_is_that_to_the_client(answer: bytes, status: str) -> None:
    scripts = [[expect_head(), send(answer), send(answer), expect_end()], [expect_head(), send(OK), drain()]]
    with Peer(scripts) as peer, Client(peer) as client:
        client.finish(got := client.ask("/"))
        client.finish(other := client.ask("/"))
        client.socket.close()
    assert told(got, other) == [(status, b"ok" if status else b"", PROTOCOL_ERROR), ("200", b"ok", NO_ERROR)]


# The client's ends


def test_a_stream_that_the_client_resets_is_the_end_of_its_script() -> None:
    scripts = [[expect_head(), send(HALF), expect_end()], [expect_head(), send(OK), drain()]]
    with Peer(scripts) as peer, Client(peer) as client:
        got = client.ask("/")
        client.look_until(lambda: got.body)
        client.engine.reset_stream(1)
        client.finish(client.ask("/"))
        peer.threads[1].join(PATIENCE)  # the first script's
        assert not peer.threads[1].is_alive()
        client.socket.close()
    assert peer.connections == 2


@pytest.mark.parametrize("goodbye", [False, True])
def test_the_end_of_the_client_is_that_of_every_script(goodbye: bool) -> None:
    both = threading.Barrier(3)
    idle = [expect_head(), meet(both), send(OK), expect_end()]
    asked = [expect_head(), meet(both), expect_end()]
    with Peer([idle, asked, asked]) as peer, Client(peer) as client:
        answered, *waiting = [client.ask("/") for _ in range(3)]
        client.finish(answered)
        if goodbye:
            client.engine.terminate_connection()
            client.send()
        client.socket.close()
    assert told(*waiting) == [("", b"", None)] * 2


def test_a_client_that_connects_and_goes_is_seen() -> None:
    with Peer([expect_end()]) as peer:
        socket.create_connection((peer.host, peer.port), PATIENCE).close()
    assert peer.connections == 1


# What fails the test


def test_http_1_1_fails_the_test() -> None:
    with (
        pytest.raises(AssertionError, match="preamble"),
        Peer([drain()]) as peer,
        socket.create_connection((peer.host, peer.port), PATIENCE) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        # To the end: its SETTINGS come before it has looked at anything.
        assert b"HTTP" not in b"".join(iter(lambda: client.recv(65_536), b""))


def test_a_connection_that_no_script_expects_fails_the_test() -> None:
    with (
        pytest.raises(AssertionError, match="no script expects"),
        Peer([expect_head(), hold()]) as peer,
        Client(peer) as client,
    ):
        held, lost = client.ask("/"), client.ask("/")
        client.finish(lost)
        assert told(held, lost) == [("", b"", None), ("", b"", INTERNAL_ERROR)]


def test_a_response_that_was_not_asked_for_fails_the_test() -> None:
    later = threading.Event()
    for more in ([send(OK + OK)], [send(OK), wait(later), send(OK)]):
        with (
            pytest.raises(AssertionError, match="the script sends"),
            Peer([expect_head(), *more, drain()]) as peer,
            Client(peer) as client,
            contextlib.suppress(ConnectionResetError),
        ):
            client.finish(client.ask("/"))
            later.set()
            client.look_until_the_end()


def test_what_a_client_must_not_send_fails_the_test() -> None:
    with (
        pytest.raises(AssertionError, match="ProtocolError"),
        Peer([drain()]) as peer,
        Client(peer) as client,
        contextlib.suppress(ConnectionResetError),
    ):
        client.send()
        client.socket.sendall(b"\0\0\0\0\1\0\0\0\1")  # DATA on a stream that is not there
        client.look_until_the_end()


def test_it_stands_before_peers_only_for_so_long() -> None:
    told_to_flush = threading.Event()
    with Http2Gateway.before_every_peer(told_to_flush.set), Peer([expect_end()]) as peer:
        socket.create_connection((peer.host, peer.port), PATIENCE).close()
        assert not told_to_flush.is_set()
    assert told_to_flush.is_set()
    with Peer([send(b"bytes")]) as peer, socket.create_connection((peer.host, peer.port), PATIENCE) as client:
        assert client.recv(5) == b"bytes"


def test_threads_end_with_the_peer() -> None:
    before = set(threading.enumerate())
    with Peer([expect_head(), send(OK), hold()]) as peer:
        client = Client(peer)
        client.finish(client.ask("/"))
    assert set(threading.enumerate()) <= before
    client.look_until_the_end()
    client.socket.close()
