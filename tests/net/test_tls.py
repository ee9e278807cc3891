"""TLS over TCP and unix sockets: who is trusted, what errors are called, and how streams of it end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import re
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPNetworkError,
    AtomHTTPProtocolError,
    AtomHTTPTimeoutError,
    AtomHTTPTLSError,
    SyncAtomHTTP,
    Timeout,
)
from atomhttp._adapters.network_response import NetworkResponse
from atomhttp._net.http1 import Http1Connection
from atomhttp._net.tls import TLSStream
from atomhttp._net.tls_context import build_context
from atomhttp._net.tls_errors import explain
from support.certificates import CLIENT_AUTH, Certificates, Issued
from support.clock import VirtualClockLoop
from support.nginx import BLOB, Nginx
from support.origin import Origin, pattern
from support.peer import Conversation, Peer, close, end, expect_end, expect_head, hold, reset, send, signal, wait
from support.server import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
INSECURE = pytest.mark.filterwarnings("ignore::atomhttp.InsecureRequestWarning")


def only_connection(client: AtomHTTP) -> Http1Connection:
    (pool,) = client._adapter.pools
    (connection,) = pool.connections
    return connection


# Trust


async def test_a_trusted_server(loop_kind: str, nginx: Nginx, certificates: Certificates) -> None:
    async with AtomHTTP(verify=str(certificates.ca), base_url=nginx.tls_url) as client:
        responses = await asyncio.gather(*(client.get("/json") for _ in range(30)))
        assert all(each.data["ok"] for each in responses)
        assert (await client.get("/blob", response_type="blob")).data == BLOB
        assert responses[0].timings.ssl > 0


def test_a_trusted_server_without_a_loop(nginx: Nginx, certificates: Certificates) -> None:
    with SyncAtomHTTP(verify=str(certificates.ca), base_url=nginx.tls_url) as client:
        for _ in range(10):
            assert client.get("/json").data["ok"]
        assert (client.get("/blob", response_type="blob")).data == BLOB


@pytest.mark.parametrize("size", [270_000, 300_000, 400_000])
def test_what_tls_still_holds_when_the_socket_has_nothing_more(certificates: Certificates, size: int) -> None:
    """What OpenSSL has taken in gives no event any more: a read that resumes must ask for it."""
    arrived = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    go = threading.Event()
    script = [expect_head(), send(head), wait(go), send(pattern(size)), signal(arrived), _drain_tls]
    client = SyncAtomHTTP(verify=str(certificates.ca), timeout=2)
    with Peer(script, tls=certificates.server_context()) as peer, client:
        stream = client.get(peer.url, response_type="stream").data
        go.set()
        assert arrived.wait(PATIENCE)
        received = b""
        while piece := stream.read(9_000):
            received += piece
        assert received == pattern(size)


def test_a_stream_in_small_pieces(tls_origin: Origin, certificates: Certificates) -> None:
    with SyncAtomHTTP(verify=str(certificates.ca), base_url=tls_origin.url, timeout=PATIENCE) as client:
        stream = client.get("/bytes/1500000", response_type="stream").data
        received = b""
        while piece := stream.read(7_000):
            received += piece
        assert received == pattern(1_500_000)


@pytest.mark.parametrize("kind", ["file", "directory", "context"])
async def test_what_verify_may_be(tls_origin: Origin, certificates: Certificates, tmp_path: Path, kind: str) -> None:
    verify: Any = str(certificates.ca)
    if kind == "directory":
        (tmp_path / f"{_subject_hash(certificates.ca)}.0").write_bytes(certificates.ca.read_bytes())
        verify = str(tmp_path)
    elif kind == "context":
        verify = certificates.client_context()
    async with AtomHTTP(verify=verify) as client:
        assert (await client.get(tls_origin.url + "/bytes/1")).ok


def _subject_hash(certificate: Path) -> str:
    """The name under which OpenSSL looks for a CA in a directory."""
    command = ["openssl", "x509", "-subject_hash", "-noout", "-in", str(certificate)]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except FileNotFoundError:
        pytest.skip("the openssl program is not installed")


async def refused(client: AtomHTTP, url: str) -> AtomHTTPTLSError:
    with pytest.raises(AtomHTTPTLSError) as caught:
        await client.get(url)
    assert caught.value.request_sent == "no"
    (pool,) = client._adapter.pools
    assert pool.open_count == 0
    return caught.value


async def test_a_ca_that_nobody_knows(tls_origin: Origin) -> None:
    async with AtomHTTP() as client:
        error = await refused(client, tls_origin.url)
    assert error.code in ("UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "UNABLE_TO_VERIFY_LEAF_SIGNATURE")
    assert f"127.0.0.1:{tls_origin.port}" in str(error)


@INSECURE
async def test_a_self_signed_certificate() -> None:
    with Origin(tls=Issued.make("localhost").server_context()) as origin:
        async with AtomHTTP() as client:
            assert (await refused(client, origin.url)).code == "DEPTH_ZERO_SELF_SIGNED_CERT"
            assert (await client.get(origin.url + "/bytes/1", verify=False)).ok


@INSECURE
async def test_verify_false_trusts_anybody_and_only_there(tls_origin: Origin) -> None:
    async with AtomHTTP(verify=False) as client:
        assert (await client.get(f"https://localhost:{tls_origin.port}/bytes/1")).ok
        with pytest.raises(AtomHTTPTLSError):
            await client.get(f"https://localhost:{tls_origin.port}/bytes/1", verify=True)


async def test_sni_is_the_name_and_never_an_address(tls_origin: Origin, certificates: Certificates) -> None:
    async with AtomHTTP(verify=str(certificates.ca)) as client:
        for host in ("localhost", "127.0.0.1"):
            await client.get(f"https://{host}:{tls_origin.port}/bytes/1")
    assert tls_origin.server_names == ["localhost", None]


async def test_a_trailing_dot_is_the_resolvers_not_the_certificates(
    tls_origin: Origin, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: look_up(host.rstrip("."), *rest, **more))
    async with AtomHTTP(verify=str(certificates.ca)) as client:
        assert (await client.get(f"https://localhost.:{tls_origin.port}/bytes/1")).ok
    assert tls_origin.server_names == ["localhost"]


async def test_tls_over_a_unix_socket(certificates: Certificates, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Origin(tls=certificates.server_context(), unix=path) as origin:
        async with AtomHTTP(verify=str(certificates.ca), socket_path=str(path)) as client:
            assert (await client.get("https://localhost/bytes/5", response_type="blob")).data == pattern(5)
            assert origin.server_names == ["localhost"]
            with pytest.raises(AtomHTTPTLSError) as caught:
                await client.get("https://elsewhere.test/bytes/5")
            assert caught.value.code == "ERR_TLS_CERT_ALTNAME_INVALID"


def test_contexts_are_shared_by_what_they_trust(certificates: Certificates) -> None:
    one = build_context(str(certificates.ca), None)
    assert build_context(str(certificates.ca), None) is one
    assert build_context(str(certificates.ca), (str(certificates.client),)) is not one
    assert build_context(False, None) is not build_context(True, None)
    assert build_context(False, None).verify_mode == ssl.CERT_NONE
    assert build_context(True, None).check_hostname
    mine = certificates.client_context()
    assert build_context(mine, None) is mine


# Client certificates


VERSIONS = pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])


def asking(certificates: Certificates, version: str) -> ssl.SSLContext:
    """A server that wants a client certificate of the run's own authority."""
    context = certificates.server_context(ask_client=True)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    return context


@VERSIONS
async def test_a_client_certificate(certificates: Certificates, version: str) -> None:
    with Origin(tls=asking(certificates, version)) as origin:
        async with AtomHTTP(verify=str(certificates.ca), base_url=origin.url) as client:
            with pytest.raises(AtomHTTPTLSError):
                await client.get("/bytes/1")
            assert (await client.get("/bytes/1", cert=str(certificates.client))).ok
            # It is part of what decides who we are: the connection is not lent to a call without it.
            with pytest.raises(AtomHTTPTLSError):
                await client.get("/bytes/1")
    assert len(origin.requests) == 1


@VERSIONS
async def test_a_server_that_wants_a_client_certificate_and_gets_none(
    certificates: Certificates, version: str, loop_kind: str
) -> None:
    """In TLS 1.3 it says so after the handshake, when the request may have been sent already."""
    with Origin(tls=asking(certificates, version)) as origin:
        async with AtomHTTP(verify=str(certificates.ca), base_url=origin.url) as client:
            with pytest.raises(AtomHTTPTLSError, match="certificate") as caught:
                await client.post("/echo", data=b"x" * 100_000)
    assert caught.value.code == "ERR_TLS"
    assert caught.value.request_sent == ("no" if version == "TLSv1_2" else "maybe")
    assert origin.requests == []


@VERSIONS
def test_a_server_that_refuses_the_client_certificate(certificates: Certificates, version: str, tmp_path: Path) -> None:
    stranger = Issued.make("stranger.test", usages=[CLIENT_AUTH])
    (tmp_path / "stranger.pem").write_bytes(stranger.key_pem() + stranger.pem)
    with (
        Origin(tls=asking(certificates, version)) as origin,
        SyncAtomHTTP(verify=str(certificates.ca), cert=tmp_path / "stranger.pem") as client,
        pytest.raises(AtomHTTPTLSError, match="unknown ca"),
    ):
        client.get(f"{origin.url}/bytes/1")


def test_a_client_certificate_that_is_asked_for_later(certificates: Certificates) -> None:
    """RFC 8446 section 4.6.2: TLS 1.3 asks in a message of its own, once it has seen what is wanted."""

    def ask(on: Conversation) -> None:
        assert isinstance(on.socket, ssl.SSLSocket)
        on.socket.verify_client_post_handshake()

    def check(on: Conversation) -> None:
        assert isinstance(on.socket, ssl.SSLSocket)
        assert on.socket.getpeercert()["subjectAltName"] == (("email", "client@atomhttp.test"),)

    context = asking(certificates, "TLSv1_3")
    context.verify_mode = ssl.CERT_OPTIONAL
    context.post_handshake_auth = True
    scripts = [[expect_head(), ask, send(OK), expect_head(), check, send(OK), _drain_tls]]
    client = SyncAtomHTTP(verify=str(certificates.ca), cert=str(certificates.client))
    with Peer(scripts, tls=context) as peer, client:
        assert client.get(peer.url).text == "ok"
        assert client.get(peer.url).text == "ok"


class ServerByHand:
    """A server by MemoryBIO: the test sends its ciphertext, in whatever pieces."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def step(self, on: Conversation, action: Callable[[], Any], keep: bool = False) -> Any:
        while True:
            try:
                result = action()
            except ssl.SSLWantReadError:
                if data := self.outgoing.read():
                    on.socket.sendall(data)
                received = on.socket.recv(65_536)
                if not received:
                    raise EOFError("the client closed") from None
                self.incoming.write(received)
                continue
            if not keep and (data := self.outgoing.read()):
                on.socket.sendall(data)
            return result


def test_a_certificate_leaves_although_content_came_with_the_question(certificates: Certificates) -> None:
    """The server goes on when it has it, and there is nothing more that we would write."""
    context = asking(certificates, "TLSv1_3")
    context.verify_mode, context.post_handshake_auth, context.num_tickets = ssl.CERT_OPTIONAL, True, 0
    server = ServerByHand(context)

    def serve(on: Conversation) -> None:
        server.step(on, server.tls.do_handshake)
        assert server.step(on, lambda: server.tls.read(65_536)).startswith(b"GET")
        server.tls.verify_client_post_handshake()
        server.tls.write(OK[:-1])
        on.socket.sendall(server.outgoing.read())
        while not server.tls.getpeercert():
            received = on.socket.recv(65_536)
            assert received, "the client closed"
            server.incoming.write(received)
            with pytest.raises(ssl.SSLWantReadError):
                server.tls.read(1)
        server.tls.write(OK[-1:])
        on.socket.sendall(server.outgoing.read())
        _drain_all(on)

    client = SyncAtomHTTP(verify=str(certificates.ca), cert=str(certificates.client), timeout=PATIENCE)
    with Peer([serve]) as peer, client:
        assert client.get(peer.url.replace("http:", "https:")).text == "ok"


# Versions, ciphers, protocols


def limited(certificates: Certificates, first: str, last: str) -> ssl.SSLContext:
    context = certificates.server_context()
    # What the versions before 1.2 sign with is too weak for the default.
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion[first], ssl.TLSVersion[last]
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
async def test_a_server_of_yesterday(certificates: Certificates) -> None:
    with Origin(tls=limited(certificates, "TLSv1", "TLSv1_1")) as origin:
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            error = await refused(client, origin.url)
            assert "no version of TLS in common; we offer TLS 1.2 and newer: " in str(error)
            lenient = certificates.client_context()
            lenient.minimum_version = ssl.TLSVersion.TLSv1
            lenient.set_ciphers("DEFAULT@SECLEVEL=0")
            assert (await client.get(origin.url + "/bytes/1", verify=lenient)).ok


@pytest.mark.parametrize(
    ("first", "last", "offered"),
    [("TLSv1_3", "MAXIMUM_SUPPORTED", "TLS 1.3 and newer"), ("TLSv1_3", "TLSv1_3", "TLS 1.3")],
)
async def test_a_caller_who_asks_for_more(certificates: Certificates, first: str, last: str, offered: str) -> None:
    demanding = certificates.client_context()
    demanding.minimum_version, demanding.maximum_version = ssl.TLSVersion[first], ssl.TLSVersion[last]
    with Origin(tls=limited(certificates, "TLSv1_2", "TLSv1_2")) as origin:
        async with AtomHTTP(verify=demanding) as client:
            error = await refused(client, origin.url)
            assert f"no version of TLS in common; we offer {offered}: " in str(error)


async def test_no_cipher_in_common(certificates: Certificates) -> None:
    server = limited(certificates, "TLSv1_2", "TLSv1_2")
    server.set_ciphers("ECDHE+AESGCM")
    picky = certificates.client_context()
    picky.set_ciphers("ECDHE+CHACHA20")
    with Origin(tls=server) as origin:
        async with AtomHTTP(verify=picky) as client:
            assert "no cipher in common" in str(await refused(client, origin.url))


async def test_a_server_that_does_not_know_the_name(tls_origin: Origin, certificates: Certificates) -> None:
    async with AtomHTTP(verify=str(certificates.ca)) as client:
        tls_origin._tls.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        error = await refused(client, f"https://localhost:{tls_origin.port}/")
        assert f"TLS with localhost:{tls_origin.port} failed: the server does not know that name" in str(error)
        tls_origin._tls.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        error = await refused(client, f"https://localhost:{tls_origin.port}/")
        assert str(error).endswith("failed: tlsv1 alert internal error")


async def test_what_we_offer_by_alpn(certificates: Certificates) -> None:
    server = certificates.server_context()
    server.set_alpn_protocols(["h2", "http/1.1"])
    chosen = []

    def note(on: Conversation) -> None:
        assert isinstance(on.socket, ssl.SSLSocket)
        chosen.append(on.socket.selected_alpn_protocol())

    with Peer([expect_head(), note, send(OK), _drain_tls], tls=server) as peer:
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            assert (await client.get(peer.url)).text == "ok"
    assert chosen == ["http/1.1"]


async def test_a_callers_context_that_offers_what_we_do_not_speak(certificates: Certificates) -> None:
    server, mine = certificates.server_context(), certificates.client_context()
    mine.set_alpn_protocols(["sword/2", "http/1.1"])
    with Origin(tls=server) as origin:
        server.set_alpn_protocols(["sword/2"])
        async with AtomHTTP(verify=mine) as client:
            error = await refused(client, origin.url)
    assert "127.0.0.1 chose the protocol 'sword/2', which the SSLContext offers" in str(error)
    assert origin.requests == []


async def test_the_log_tells_version_and_cipher(
    tls_origin: Origin, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "atomhttp.tls")
    async with AtomHTTP(verify=str(certificates.ca)) as client:
        await client.get(tls_origin.url)
    [record] = [each for each in caplog.records if each.name == "atomhttp.tls"]
    assert re.search(rf"127\.0\.0\.1:{tls_origin.port}: TLSv1\.3 TLS_\w+", record.getMessage())


class OpenSSLServer:
    """`openssl s_server`, for what Python's servers cannot do. What is typed is sent; "R" asks for a renegotiation."""

    def __init__(self, file: Path, *arguments: str) -> None:
        command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", str(file), "-key", str(file), *arguments]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
            )
        except FileNotFoundError:
            pytest.skip("the openssl program is not installed")
        self._said = b""
        self.port = 0

    def __enter__(self) -> OpenSSLServer:
        self.wait_for(rb"ACCEPT 127\.0\.0\.1:(\d+)")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.communicate()

    def say(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)

    def wait_for(self, pattern: bytes) -> None:
        """Until it has printed this; what was before is forgotten."""
        assert self._process.stdout is not None
        while (found := re.search(pattern, self._said)) is None:
            assert select.select([self._process.stdout], [], [], PATIENCE)[0], self._said
            data = os.read(self._process.stdout.fileno(), 65_536)
            assert data, self._said
            self._said += data
        if found.groups():
            self.port = int(found[1])
        self._said = self._said[found.end() :]


def test_a_server_that_does_not_speak_http_over_tls(certificates: Certificates) -> None:
    with (
        OpenSSLServer(certificates.server, "-alpn", "sword/2") as server,
        SyncAtomHTTP(verify=str(certificates.ca)) as client,
        pytest.raises(AtomHTTPTLSError, match=r"does not speak HTTP/1\.1 here \(ALPN\)"),
    ):
        client.get(f"https://localhost:{server.port}/")


@contextlib.contextmanager
def in_a_thread(function: Callable[[], Any]) -> Iterator[list[Any]]:
    """Runs `function` beside the block; afterwards the list holds its result, or its error."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(function())
        except Exception as error:  # told to the test
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield outcome
    finally:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_a_renegotiation_is_refused(certificates: Certificates) -> None:
    """RFC 9325 section 3.5: TLS 1.2 can begin anew in the middle of a response, with other parameters."""
    with (
        OpenSSLServer(certificates.server, "-tls1_2") as server,
        SyncAtomHTTP(verify=str(certificates.ca), timeout=PATIENCE) as client,
    ):
        with in_a_thread(lambda: client.get(f"https://localhost:{server.port}/")) as outcome:
            server.wait_for(b"GET / HTTP")
            server.say(b"r\n")
            server.wait_for(b"no renegotiation")
        [error] = outcome
        assert isinstance(error, AtomHTTPTLSError)
        assert error.request_sent == "maybe"


def test_a_renegotiation_that_asks_for_the_certificate_that_we_have(certificates: Certificates) -> None:
    """TLS 1.2 has no other way to ask for it once the request is known."""
    with (
        OpenSSLServer(
            certificates.server, "-tls1_2", "-CAfile", str(certificates.ca), "-no_ticket", "-no_cache", "-msg"
        ) as server,
        SyncAtomHTTP(verify=str(certificates.ca), cert=str(certificates.client), timeout=PATIENCE) as client,
    ):
        with in_a_thread(lambda: client.get(f"https://localhost:{server.port}/")) as outcome:
            server.wait_for(b"GET / HTTP")
            server.say(b"R\n")
            server.wait_for(rb"<<< TLS 1\.2, Handshake \[length \w+\], CertificateVerify")
            server.wait_for(rb"Read BLOCK")
            server.say(OK)
        [response] = outcome
        assert response.text == "ok", response


# Handshakes that go wrong


async def test_plain_http_on_the_tls_port(loop_kind: str) -> None:
    with Peer([send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), _drain_all]) as peer:
        async with AtomHTTP() as client:
            error = await refused(client, peer.url.replace("http:", "https:"))
    assert "plain HTTP port" in str(error)
    assert error.code == "ERR_TLS"


async def test_tls_on_the_plain_port(tls_origin: Origin) -> None:
    async with AtomHTTP() as client:
        with pytest.raises(AtomHTTPNetworkError):
            await client.get(tls_origin.url.replace("https:", "http:"))


def _drain_all(on: Conversation) -> None:
    try:
        while on.socket.recv(65_536):
            pass
    except OSError:
        return


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_an_end_in_the_middle_of_the_handshake(ending: str) -> None:
    def read_hello(on: Conversation) -> None:
        on.socket.recv(100_000)

    with Peer([read_hello, close() if ending == "close" else reset()]) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPNetworkError) as caught:
                await client.get(peer.url.replace("http:", "https:"))
            assert caught.value.request_sent == "no"
            assert client._adapter.pools[0].open_count == 0


async def test_a_handshake_that_stalls(virtual_clock: VirtualClockLoop) -> None:
    with Peer([hold()]) as peer:
        async with AtomHTTP(timeout=Timeout(connect=3)) as client:
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.get(peer.url.replace("http:", "https:"))
    assert caught.value.phase == "tls"
    assert caught.value.limit == 3
    assert 3 <= virtual_clock.time() < 3.1


async def test_a_handshake_that_stalls_halfway(virtual_clock: VirtualClockLoop, certificates: Certificates) -> None:
    """The server's first half has come; the second one never does."""
    server = certificates.server_context()

    def begin(on: Conversation) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = server.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(on.socket.recv(65_536))
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        flight = outgoing.read()
        on.socket.sendall(flight[: len(flight) // 2])

    with Peer([begin, hold()]) as peer:
        async with AtomHTTP(timeout=Timeout(connect=3), verify=str(certificates.ca)) as client:
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.get(peer.url.replace("http:", "https:"))
            assert client._adapter.pools[0].open_count == 0
    assert caught.value.phase == "tls"
    assert 3 <= virtual_clock.time() < 3.1


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 64,
        b"\x80" * 64,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"220 mail.example.test ESMTP\r\n",
        b"\x16\x03\x03\x00\x04\x02\x00\x00\x00",  # a ServerHello with nothing in it
        b"\x16\x03\x03\xff\xff" + b"\x00" * 70_000,  # a record longer than any may be
        b"\x15\x03\x03\x00\x02\x02\x28",  # an alert: handshake failure
        b"\x17\x03\x03\x00\x02ok",  # content before there are keys
    ],
    ids=["zeros", "ones", "ssh", "smtp", "empty hello", "long record", "alert", "content"],
)
async def test_garbage_in_the_place_of_a_handshake(garbage: bytes) -> None:
    def read_hello(on: Conversation) -> None:
        on.socket.recv(65_536)

    with Peer([read_hello, send(garbage), _drain_all]) as peer:
        async with AtomHTTP() as client:
            error = await refused(client, peer.url.replace("http:", "https:"))
    assert error.code == "ERR_TLS"
    assert str(error).startswith(f"TLS with 127.0.0.1:{peer.port} failed: ")


def test_what_was_wrong_is_told_even_if_the_peer_does_not_stay_to_hear_it(certificates: Certificates) -> None:
    """Our alert cannot be sent any more; the error is still the certificate's."""
    server = certificates.server_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = server.wrap_bio(incoming, outgoing, server_side=True)

    class Gone:
        """A stream whose other end hears one message, answers it and goes."""

        heard = False

        def send(self, data: bytes) -> int:
            if self.heard:
                raise BrokenPipeError
            self.heard = True
            incoming.write(data)
            with pytest.raises(ssl.SSLWantReadError):
                peer.do_handshake()
            return len(data)

        def receive(self, buffer: memoryview) -> int:
            data = outgoing.read(len(buffer))
            buffer[: len(data)] = data
            return len(data)

    stream = TLSStream(Gone(), certificates.client_context(), "elsewhere.test")  # type: ignore[arg-type]  # enough of one
    with pytest.raises(ssl.SSLCertVerificationError):
        stream.handshake(memoryview(bytearray(65_536)))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"),
            "what came is not TLS (is it a plain HTTP port?): wrong version number",
        ),
        (
            ssl.SSLError(1, "[SSL] tlsv1 alert no application protocol (_ssl.c:1006)"),
            "the server speaks nothing that it is offered (ALPN): tlsv1 alert no application protocol",
        ),
        (ssl.SSLError(1, "[SSL] something new (_ssl.c:1006)"), "something new"),
        (ssl.SSLError(1, "words"), "words"),
    ],
)
def test_reasons_that_python_has_no_name_for(error: ssl.SSLError, expected: str) -> None:
    assert explain(error) == expected


async def test_an_alert_in_the_middle_of_a_body(certificates: Certificates) -> None:
    def spoil(on: Conversation) -> None:
        # A record that no key fits, straight onto the wire.
        raw = socket.socket(fileno=socket.dup(on.socket.fileno()))
        with raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"\x00" * 32)

    script = [expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), spoil, _drain_tls]
    with Peer(script, tls=certificates.server_context()) as peer:
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            with pytest.raises(AtomHTTPNetworkError):
                await client.get(peer.url)
            assert client._adapter.pools[0].open_count == 0


def _drain_tls(on: Conversation) -> None:
    try:
        while on.socket.recv(65_536):
            pass
    except OSError:
        return


# Ends


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("framing", ["sized", "chunked", "until the end"])
@pytest.mark.parametrize("notify", [True, False], ids=["close_notify", "cut"])
async def test_truncation_is_told_from_the_end(
    certificates: Certificates, framing: str, notify: bool, version: str
) -> None:
    head = {
        "sized": b"Content-Length: 4\r\n\r\nbody",
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "until the end": b"\r\nbody",
    }[framing]
    context = certificates.server_context()
    context.maximum_version = context.minimum_version = ssl.TLSVersion[version]
    script = [expect_head(), send(b"HTTP/1.1 200 OK\r\n" + head), _end if notify else _cut, _drain_tls]
    with Peer(script, tls=context) as peer:
        async with AtomHTTP(verify=str(certificates.ca), response_type="blob") as client:
            if framing == "until the end" and not notify:
                with pytest.raises(AtomHTTPProtocolError, match="cut off"):
                    await client.get(peer.url)
            else:
                assert (await client.get(peer.url)).data == b"body"


def _end(on: Conversation) -> None:
    """close_notify and FIN; the client may have gone first."""
    with contextlib.suppress(OSError):
        end()(on)


def _cut(on: Conversation) -> None:
    """FIN without close_notify."""
    socket.socket.shutdown(on.socket, socket.SHUT_WR)


async def test_a_callers_own_context_tells_truncation_too(certificates: Certificates) -> None:
    script = [expect_head(), send(b"HTTP/1.1 200 OK\r\n\r\nbody"), _cut, _drain_tls]
    with Peer(script, tls=certificates.server_context()) as peer:
        async with AtomHTTP(verify=certificates.client_context()) as client:
            with pytest.raises(AtomHTTPProtocolError, match="cut off"):
                await client.get(peer.url)


async def test_we_say_goodbye(certificates: Certificates) -> None:
    """`expect_end` over TLS fails without our close_notify."""
    with Peer([expect_head(), send(OK), expect_end()], tls=certificates.server_context()) as peer:
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            assert (await client.get(peer.url)).text == "ok"


async def test_what_was_received_goes_without_the_garbage_collector(certificates: Certificates) -> None:
    """It may be 100 MB. The call that opened a connection must not stay with what was said to open it."""
    with Peer([expect_head(), send(OK), expect_end()], tls=certificates.server_context()) as peer:
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            gc.collect()
            gc.disable()
            try:
                assert (await client.get(peer.url)).text == "ok"
                assert not [item for item in gc.get_objects() if type(item) is NetworkResponse]
            finally:
                gc.enable()


# Idle


async def test_tickets_that_come_in_two_halves(loop_kind: str, certificates: Certificates) -> None:
    """One before the request, one with its response. (A key update on an idle connection: hostile/test_behaviours.)"""
    context = certificates.server_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3

    server = ServerByHand(context)

    def serve(on: Conversation) -> None:
        server.step(on, server.tls.do_handshake, keep=True)
        tickets = server.outgoing.read()
        assert len(tickets) > 100, "TLS 1.3 sends its tickets at the end of the handshake"
        # They carry the first sequence numbers: what is written after them must follow them.
        on.socket.sendall(tickets[: len(tickets) // 2])
        request = server.step(on, lambda: server.tls.read(65_536), keep=True)
        assert request.startswith(b"GET")
        server.tls.write(OK)
        on.socket.sendall(tickets[len(tickets) // 2 :] + server.outgoing.read())
        server.step(on, lambda: server.tls.read(65_536), keep=True)
        server.tls.write(OK)
        on.socket.sendall(server.outgoing.read())
        _drain_all(on)

    with Peer([serve]) as peer:
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            url = peer.url.replace("http:", "https:")
            assert (await client.get(url)).text == "ok"
            assert (await client.get(url)).text == "ok"
        assert peer.connections == 1


async def test_tickets_that_come_with_the_first_response(nginx: Nginx, certificates: Certificates) -> None:
    async with AtomHTTP(verify=str(certificates.ca), base_url=nginx.tls_url) as client:
        await client.get("/json")
        first = only_connection(client)
        for _ in range(3):
            await asyncio.sleep(0.002)
            await client.get("/json")
        assert only_connection(client) is first
        assert first.served == 4


async def test_a_part_of_a_record_behind_a_response_is_not_for_the_next_request(certificates: Certificates) -> None:
    """Nor where the part is as long as it has to be to look like the end of a record.

    The buffer that the records came in begins with what was decrypted by then: "HTTP/", whose "P/" stands where a
    record has its length. A read of 5 + 0x502f bytes seems to end with that record.
    """
    context = certificates.server_context()
    context.minimum_version, context.num_tickets = ssl.TLSVersion.TLSv1_3, 0
    server = ServerByHand(context)

    def answer(body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def serve(on: Conversation) -> None:
        server.step(on, server.tls.do_handshake)
        assert server.step(on, lambda: server.tls.read(65_536)).startswith(b"GET")
        server.tls.write(answer(b"first" * 2_000))
        server.tls.write(answer(b"nobody has asked for this" * 600))
        ciphertext, size = server.outgoing.read(), 5 + int.from_bytes(b"P/")
        on.socket.sendall(ciphertext[:size])
        with contextlib.suppress(EOFError):
            if server.step(on, lambda: server.tls.read(65_536), keep=True):
                on.socket.sendall(ciphertext[size:])
                _drain_all(on)

    def serve_again(on: Conversation) -> None:
        on.start_tls(certificates.server_context())
        for step in (expect_head(), send(OK), _drain_tls):
            step(on)

    with Peer([[serve], [serve_again]]) as peer:
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            url = peer.url.replace("http:", "https:")
            assert (await client.get(url)).text == "first" * 2_000
            assert client.pool_stats().open == 0
            assert (await client.get(url)).text == "ok"


@pytest.mark.parametrize("what", ["data", "close_notify", "cut", "reset"])
async def test_an_idle_connection_ends_by_data_or_the_end(certificates: Certificates, what: str) -> None:
    go = threading.Event()
    ending: dict[str, list[Any]] = {
        "data": [send(b"x"), _drain_tls],
        "close_notify": [_end, _drain_tls],
        "cut": [_cut, _drain_tls],
        "reset": [reset()],
    }
    scripts = [[expect_head(), send(OK), wait(go), *ending[what]], [expect_head(), send(OK), _drain_tls]]
    with Peer(scripts, tls=certificates.server_context()) as peer:
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            await client.get(peer.url)
            connection = only_connection(client)
            go.set()
            async with asyncio.timeout(PATIENCE):
                while not connection.closed:
                    await asyncio.sleep(0.001)
            assert (await client.post(peer.url, data=b"x")).text == "ok"


# Large bodies


async def test_a_large_upload_over_tls_to_a_peer_that_reads_late(loop_kind: str, certificates: Certificates) -> None:
    """Ciphertext waits for the socket, plaintext for the ciphertext; nothing is lost or sent twice."""
    body = pattern(8_000_000)
    stuck = threading.Event()

    def read(on: Conversation) -> None:
        assert on.stream.read(len(body)) == body

    script = [expect_head(), wait(stuck), read, send(OK), _drain_tls]
    with Peer(script, tls=certificates.server_context()) as peer:
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            task = asyncio.create_task(client.post(peer.url, data=body))
            while not client._adapter.pools or not only_connections(client) or only_connection(client).writable:
                await asyncio.sleep(0.001)
            stuck.set()
            assert (await task).text == "ok"


def only_connections(client: AtomHTTP) -> list[Http1Connection]:
    return [each for each in client._adapter.pools[0].connections if each.call is not None]
