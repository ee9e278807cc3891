"""The scripted peer does what its script says, and says so when the client does not."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from support.certificates import Certificates
from support.peer import (
    Conversation,
    Peer,
    Script,
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
    send_bytewise,
    signal,
    start_tls,
    wait,
)
from support.server import PATIENCE

REQUEST = b"GET /path HTTP/1.1\r\nHost: peer\r\n\r\n"


def dial(peer: Peer) -> socket.socket:
    return socket.create_connection((peer.host, peer.port), PATIENCE)


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_plays_one_script_a_connection_and_records_what_came() -> None:
    with Peer([[expect_head(), send(b"one")], [expect_head(), send_bytewise(b"two")]]) as peer:
        for expected in (b"one", b"two"):
            with dial(peer) as client:
                client.sendall(REQUEST)
                assert read_all(client) == expected
    assert peer.connections == 2
    assert peer.received(0) == peer.received(1) == REQUEST
    assert [(head.method, head.target, head.get("host")) for head in peer.heads] == [("GET", "/path", "peer")] * 2


def test_a_single_script_needs_no_list_and_may_repeat() -> None:
    with Peer([send(b"again")], repeat=True) as peer:
        for _ in range(3):
            with dial(peer) as client:
                assert read_all(client) == b"again"
    assert peer.connections == 3


@pytest.mark.parametrize(
    "framed",
    [
        pytest.param(b"Content-Length: 5\r\n\r\nhello", id="sized"),
        pytest.param(
            b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: t\r\n\r\n", id="chunked"
        ),
    ],
)
def test_reads_bodies(framed: bytes) -> None:
    with Peer([expect_head(), expect_body(), send(b"ok"), expect(3), expect_end()]) as peer, dial(peer) as client:
        client.sendall(b"POST / HTTP/1.1\r\n" + framed)
        assert client.recv(2) == b"ok"
        client.sendall(b"end")


def test_reset_and_close_look_different() -> None:
    with Peer([[expect_head(), reset()], [expect_head(), close()]]) as peer:
        with dial(peer) as client:
            client.sendall(REQUEST)
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        with dial(peer) as client:
            client.sendall(REQUEST)
            assert client.recv(1) == b""


def test_end_keeps_reading_so_that_the_answer_survives() -> None:
    with Peer([expect_head(), send(b"413"), end(), drain()]) as peer, dial(peer) as client:
        client.sendall(REQUEST)
        assert read_all(client) == b"413"
        client.sendall(b"more of the upload")  # a closed peer would answer this with RST


def test_events_order_test_and_script() -> None:
    ready, go = threading.Event(), threading.Event()
    with Peer([signal(ready), wait(go), send(b"gone on")]) as peer, dial(peer) as client:
        assert ready.wait(PATIENCE)
        go.set()
        assert read_all(client) == b"gone on"


def test_hold_lasts_until_the_block_ends() -> None:
    with Peer([hold(), send(b"released")]) as peer:
        client = dial(peer)
    with client:
        assert read_all(client) == b"released"


def test_a_test_may_bring_its_own_step() -> None:
    def count(on: Conversation) -> None:
        on.socket.sendall(b"%d" % on.number)

    with Peer([count]) as peer, dial(peer) as client:
        assert read_all(client) == b"0"


def test_unix_socket(tmp_path: Path) -> None:
    with Peer([send_bytewise(b"hi")], unix=tmp_path / "s") as peer, socket.socket(socket.AF_UNIX) as client:
        assert peer.url == "http://localhost"
        client.connect(str(tmp_path / "s"))
        assert read_all(client) == b"hi"
    assert not (tmp_path / "s").exists()


def test_ipv6() -> None:
    with Peer([send(b"six")], host="::1") as peer, dial(peer) as client:
        assert peer.url == f"http://[::1]:{peer.port}"
        assert read_all(client) == b"six"


# TLS


@pytest.mark.parametrize("notify", [True, False])
def test_tls_close_with_and_without_notify(certificates: Certificates, notify: bool) -> None:
    context = certificates.client_context()
    script = [expect_head(), send(b"half"), close(notify=notify)]
    with (
        Peer(script, tls=certificates.server_context()) as peer,
        dial(peer) as raw,
        context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False) as client,
    ):
        assert peer.url.startswith("https://")
        client.sendall(REQUEST)
        assert client.recv(4) == b"half"
        if notify:
            assert client.recv(1) == b""
        else:
            with pytest.raises(ssl.SSLError, match="UNEXPECTED_EOF"):  # SSLEOFError, in newer versions of Python
                client.recv(1)
    assert peer.server_names == ["localhost"]


def test_expect_end_over_tls_wants_a_close_notify(certificates: Certificates) -> None:
    context = certificates.client_context()
    with (
        pytest.raises(AssertionError, match=r"in expect_end: SSL.*UNEXPECTED_EOF"),
        Peer([send(b"x"), expect_end()], tls=certificates.server_context()) as peer,
        dial(peer) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as client,
    ):
        assert client.recv(1) == b"x"  # and then only the socket is closed


def test_tls_can_start_inside_a_tunnel(certificates: Certificates) -> None:
    script = [expect_head(), send(b"tunnel"), start_tls(certificates.server_context()), expect_head(), send(b"inside")]
    with Peer(script) as peer, dial(peer) as raw:
        raw.sendall(REQUEST)
        assert raw.recv(6) == b"tunnel"
        with certificates.client_context().wrap_socket(raw, server_hostname="localhost") as client:
            client.sendall(REQUEST)
            assert client.recv(6) == b"inside"
    assert peer.received() == REQUEST * 2


def test_a_script_whose_handshake_failed_was_not_used(certificates: Certificates) -> None:
    with (
        pytest.raises(AssertionError, match=r"script 0 was never used\nconnection 0: "),
        Peer([send(b"never")], tls=certificates.server_context()) as peer,
        dial(peer) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(raw, server_hostname="localhost")


# What fails the test


def fails(message: str, *scripts: Script, sent: bytes = b"", dials: int = 1) -> None:
    with pytest.raises(AssertionError, match=message), Peer(scripts) as peer:
        for _ in range(dials):
            with dial(peer) as client:
                client.sendall(sent)


def test_unmet_expectations_fail() -> None:
    fails("instead of sending a request", [expect_head()])
    fails("closed inside the head", [expect_head()], sent=b"GET / HTTP")
    fails(r"in expect\(9\): EOFError: the client closed after 3", [expect(9)], sent=b"abc")
    fails("b'x' and more instead of closing", [expect_end()], sent=b"x")


def test_an_unexpected_connection_fails() -> None:
    fails("connection 1: ScriptError: a connection that no script expects", [drain()], dials=2)


def test_unused_scripts_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.peer.SETTLING", 0.1)
    fails("script 1 was never used", [drain()], [send(b"x")])


def test_unfinished_scripts_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.peer.SETTLING", 0.1)
    with (
        pytest.raises(AssertionError, match=r"connection 0: still in wait\(\)"),
        Peer([send(b"x"), wait(threading.Event())]) as peer,
        dial(peer) as client,
    ):
        assert client.recv(1) == b"x"


def test_the_tests_own_failure_comes_first() -> None:
    with pytest.raises(KeyError) as caught, Peer([expect(1)]) as peer, dial(peer) as client:
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""  # the script has failed
        raise KeyError("the story")
    assert "in expect(1)" in caught.value.__notes__[0]


def test_a_script_cut_off_by_a_failing_test_adds_nothing() -> None:
    with pytest.raises(KeyError) as caught, Peer([wait(threading.Event())]) as peer:
        client = dial(peer)
        raise KeyError("the story")
    client.close()
    assert not hasattr(caught.value, "__notes__")
