"""Sessions that are taken up again: what they save, and that they let nobody past the verification."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atomhttp import AtomHTTP, AtomHTTPTLSError, SyncAtomHTTP
from atomhttp._net import tls_session
from atomhttp._net.stream import SocketStream
from atomhttp._net.tls import TLSStream
from atomhttp._net.tls_context import build_context
from atomhttp._net.tls_session import TLSSession
from support.certificates import Certificates, Issued
from support.origin import Origin
from support.peer import Conversation, Peer, close
from support.server import PATIENCE

VERSIONS = pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
REQUEST = b"GET /bytes/3 HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Witness(Origin):
    """An origin that notes of each connection whether its session was an earlier one's."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(tls=context)
        self.resumed: list[bool] = []

    def serve(self, connection: socket.socket, number: int) -> None:
        assert isinstance(connection, ssl.SSLSocket)
        self.resumed.append(bool(connection.session_reused))
        super().serve(connection, number)


def server_context(certificates: Certificates, version: str) -> ssl.SSLContext:
    context = certificates.server_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    return context


class Line:
    """A connection by TLSStream, waited for as the reactor would."""

    def __init__(
        self, port: int, context: ssl.SSLContext, name: str = "localhost", session: TLSSession | None = None
    ) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.sock.setblocking(False)
        self.buffer = memoryview(bytearray(65_536))
        self.stream = TLSStream(SocketStream(self.sock), context, name, session)

    def shake_hands(self) -> None:
        while not self.stream.handshake(self.buffer):
            self._wait()

    def request(self) -> bytes:
        """A whole answer; the tickets come before it."""
        assert self.stream.send(REQUEST) == len(REQUEST)
        received = b""
        while not received.endswith(b"\r\n\r\n\x00\x00\x00"):
            received += self.read()
        return received

    def read(self) -> bytes:
        while True:
            try:
                return bytes(self.buffer[: self.stream.receive(self.buffer)])
            except BlockingIOError:
                self._wait()

    def _wait(self) -> None:
        poller = select.poll()
        poller.register(self.sock, select.POLLIN)
        assert poller.poll(PATIENCE * 1000), "nothing came"


@contextmanager
def line(
    port: int, context: ssl.SSLContext, session: TLSSession | None = None, *, name: str = "localhost"
) -> Iterator[Line]:
    opened = Line(port, context, name, session)
    try:
        opened.shake_hands()
        yield opened
        opened.stream.shutdown()
    finally:
        opened.sock.close()


def visit(port: int, context: ssl.SSLContext, session: TLSSession | None = None) -> tuple[bool, TLSSession | None]:
    """A request on a connection of its own: whether it was resumed, and what it leaves behind."""
    with line(port, context, session) as opened:
        opened.request()
    return opened.stream.resumed, opened.stream.session


@pytest.fixture
def context(certificates: Certificates) -> ssl.SSLContext:
    return build_context(str(certificates.ca), None)


# It works


@VERSIONS
def test_the_next_connection_takes_the_session_up(
    certificates: Certificates, context: ssl.SSLContext, version: str
) -> None:
    with Witness(server_context(certificates, version)) as origin:
        session = None
        for expected in (False, True, True, True):
            resumed, session = visit(origin.port, context, session)
            assert resumed is expected
        assert origin.resumed == [False, True, True, True]


@VERSIONS
def test_connections_side_by_side_may_share_one(
    certificates: Certificates, context: ssl.SSLContext, version: str
) -> None:
    with Witness(server_context(certificates, version)) as origin:
        with line(origin.port, context) as first:
            first.request()
            for _ in range(3):
                with line(origin.port, context, first.stream.session) as opened:
                    opened.request()
            first.request()
        assert origin.resumed == [False, True, True, True]


def test_a_ticket_may_come_after_the_session_was_asked_for(certificates: Certificates, context: ssl.SSLContext) -> None:
    """TLS 1.3: it comes after the handshake. What was kept of the connection finds it when it is needed."""
    with Witness(server_context(certificates, "TLSv1_3")) as origin, line(origin.port, context) as first:
        session = first.stream.session
        assert session is not None
        assert session.find(first.stream._verified) is None
        with line(origin.port, context, session) as second:
            second.request()
        assert not second.stream.resumed
        first.request()
        with line(origin.port, context, session) as third:
            third.request()
        assert third.stream.resumed


@VERSIONS
def test_a_cut_does_not_spoil_it(certificates: Certificates, context: ssl.SSLContext, version: str) -> None:
    """Servers that never say close_notify are many; RFC 4346 section 7.2.1 has allowed it since TLS 1.1."""

    def cut(on: Conversation) -> None:
        on.socket.recv(65_536)
        on.socket.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        socket.socket.shutdown(on.socket, socket.SHUT_WR)

    with Peer([[cut, close(notify=False)]] * 2, tls=server_context(certificates, version)) as peer:
        session = None
        for expected in (False, True):
            with line(peer.port, context, session) as opened:
                opened.stream.send(REQUEST)
                while opened.read():
                    pass
                assert not opened.stream.clean_eof
            assert opened.stream.resumed is expected
            session = opened.stream.session


# A server that has forgotten


@VERSIONS
def test_a_ticket_that_is_refused_costs_a_full_handshake_and_nothing_else(
    certificates: Certificates, context: ssl.SSLContext, version: str
) -> None:
    with Witness(server_context(certificates, version)) as origin:
        _, session = visit(origin.port, context)
    # Another one has other keys for its tickets.
    with Witness(server_context(certificates, version)) as restarted:
        resumed, newer = visit(restarted.port, context, session)
        assert not resumed
        assert visit(restarted.port, context, newer)[0]
        assert restarted.resumed == [False, True]


@pytest.mark.parametrize("versions", [("TLSv1_2", "TLSv1_3"), ("TLSv1_3", "TLSv1_2")], ids=["newer", "older"])
def test_a_server_that_changes_its_version(
    certificates: Certificates, context: ssl.SSLContext, versions: tuple[str, str]
) -> None:
    server = server_context(certificates, versions[0])
    with Witness(server) as origin:
        _, session = visit(origin.port, context)
        server.minimum_version, server.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
        server.minimum_version = server.maximum_version = ssl.TLSVersion[versions[1]]
        resumed, _ = visit(origin.port, context, session)
        assert not resumed


def test_a_server_without_tickets(certificates: Certificates, context: ssl.SSLContext) -> None:
    server = server_context(certificates, "TLSv1_3")
    server.num_tickets = 0
    with Witness(server) as origin:
        _, session = visit(origin.port, context)
        assert not visit(origin.port, context, session)[0]


# Nobody gets past the verification


def refused(port: int, context: ssl.SSLContext, session: TLSSession | None, name: str = "localhost") -> int:
    """OpenSSL's code for why."""
    with pytest.raises(ssl.SSLCertVerificationError) as caught, line(port, context, session, name=name):
        pass
    return caught.value.verify_code


@VERSIONS
def test_openssl_by_itself_would_verify_nothing(
    certificates: Certificates, context: ssl.SSLContext, version: str
) -> None:
    """Why a session is bound to what was verified: the same one, under a name that the certificate is not for."""
    with Witness(server_context(certificates, version)) as origin, line(origin.port, context) as first:
        first.request()
        raw = first.stream.tls.session
        with (
            socket.create_connection(("127.0.0.1", origin.port), PATIENCE) as sock,
            context.wrap_socket(sock, server_hostname="elsewhere.test", session=raw) as fooled,
        ):
            assert fooled.session_reused
            assert fooled.getpeercert()["subjectAltName"][0] == ("DNS", "localhost")


@VERSIONS
def test_a_session_is_for_the_name_that_was_verified(
    certificates: Certificates, context: ssl.SSLContext, version: str
) -> None:
    with Witness(server_context(certificates, version)) as origin:
        _, session = visit(origin.port, context)
        assert refused(origin.port, context, session, "elsewhere.test") == 62
        # Not even for another name that would pass.
        with line(origin.port, context, session, name="127.0.0.1") as opened:
            opened.request()
        assert not opened.stream.resumed
        # A name has no case.
        with line(origin.port, context, session, name="LOCALHOST") as opened:
            opened.request()
        assert opened.stream.resumed


@VERSIONS
def test_a_session_is_for_the_context_that_made_it(certificates: Certificates, tmp_path: Path, version: str) -> None:
    """`ssl` raises ValueError for it; here it is as if there were none."""
    (tmp_path / "other.pem").write_bytes(Issued.make(ca=True, common_name="another authority").pem)
    nobody = build_context(False, None)
    other = build_context(str(tmp_path / "other.pem"), None)
    with Witness(server_context(certificates, version)) as origin:
        _, session = visit(origin.port, build_context(str(certificates.ca), None))
        assert refused(origin.port, other, session) in (19, 20, 21)
    with Witness(server_context(certificates, version)) as origin:
        with line(origin.port, nobody) as first:
            first.request()
            with pytest.raises(ValueError, match="different SSLContext"):
                ssl.create_default_context().wrap_bio(
                    ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost", session=first.stream.tls.session
                )
        session = first.stream.session
        assert refused(origin.port, other, session) in (19, 20, 21)
        assert visit(origin.port, nobody, session)[0]


@VERSIONS
def test_what_was_not_verified_is_not_taken_for_it(certificates: Certificates, version: str) -> None:
    """A context of the caller's, who verifies from now on."""
    mine = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    mine.check_hostname = False
    mine.verify_mode = ssl.CERT_NONE
    with Witness(server_context(certificates, version)) as origin:
        _, session = visit(origin.port, mine)
        assert visit(origin.port, mine, session)[0]
        mine.verify_mode = ssl.CERT_REQUIRED
        assert refused(origin.port, mine, session) in (19, 20, 21)
        mine.load_verify_locations(certificates.ca)
        _, session = visit(origin.port, mine)
        mine.check_hostname = True
        assert not visit(origin.port, mine, session)[0]
        _, session = visit(origin.port, mine)
        mine.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        assert refused(origin.port, mine, session) == 3


@VERSIONS
def test_a_server_that_forgot_shows_its_certificate_and_it_is_verified(
    certificates: Certificates, context: ssl.SSLContext, version: str
) -> None:
    with Witness(server_context(certificates, version)) as origin:
        _, session = visit(origin.port, context)
    impostor = Issued.make("localhost").server_context()
    impostor.minimum_version = impostor.maximum_version = ssl.TLSVersion[version]
    with Witness(impostor) as other:
        assert refused(other.port, context, session) == 18
        assert other.resumed == []


@VERSIONS
def test_now_and_then_the_certificate_is_shown_again(
    certificates: Certificates, context: ssl.SSLContext, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every connection gives a new ticket; the age counts from the last handshake that verified anything."""
    now = 1_000.0
    monkeypatch.setattr(tls_session.time, "monotonic", lambda: now)
    with Witness(server_context(certificates, version)) as origin:
        session = None
        for seconds, expected in ((0, False), (2_000, True), (1_500, True), (200, False), (3_000, True)):
            now += seconds
            resumed, session = visit(origin.port, context, session)
            assert resumed is expected
        assert origin.resumed == [False, True, True, False, True]


# Where there is none


def test_there_is_none_before_the_handshake_nor_after_one_that_failed(
    certificates: Certificates, context: ssl.SSLContext
) -> None:
    with Witness(server_context(certificates, "TLSv1_3")) as origin:
        opened = Line(origin.port, context, "elsewhere.test")
        try:
            assert opened.stream.session is None
            with pytest.raises(ssl.SSLCertVerificationError):
                opened.shake_hands()
            assert opened.stream.session is None
        finally:
            opened.sock.close()


@VERSIONS
def test_there_is_none_after_tls_failed(certificates: Certificates, context: ssl.SSLContext, version: str) -> None:
    """RFC 5246 section 7.2.2: a session that ended in a fatal alert is not resumed."""
    spoiled = threading.Event()

    def spoil(on: Conversation) -> None:
        on.socket.recv(65_536)
        with socket.socket(fileno=socket.dup(on.socket.fileno())) as raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"\x00" * 32)
        spoiled.wait(PATIENCE)

    server = server_context(certificates, version)
    with Peer([spoil, close(notify=False)], tls=server) as peer, line(peer.port, context) as opened:
        assert opened.stream.session is not None
        opened.stream.send(REQUEST)
        with pytest.raises(ssl.SSLError):
            opened.read()
        assert opened.stream.session is None
        spoiled.set()


# Through the clients


async def test_a_client_takes_sessions_up(loop_kind: str, certificates: Certificates) -> None:
    for version in ("TLSv1_2", "TLSv1_3"):
        with Witness(server_context(certificates, version)) as origin:
            async with AtomHTTP(verify=str(certificates.ca), keep_alive=False) as client:
                for _ in range(3):
                    assert (await client.get(origin.url + "/bytes/3")).ok
            assert origin.resumed == [False, True, True]


@VERSIONS
def test_a_client_without_a_loop_takes_sessions_up(certificates: Certificates, version: str) -> None:
    with Witness(server_context(certificates, version)) as origin:
        with SyncAtomHTTP(verify=str(certificates.ca), keep_alive=False) as client:
            for _ in range(3):
                assert client.get(origin.url + "/bytes/3").ok
        assert origin.resumed == [False, True, True]


async def test_a_connection_that_is_open_has_a_session_for_the_next_one(certificates: Certificates) -> None:
    with Witness(server_context(certificates, "TLSv1_3")) as origin:
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            await client.get(origin.url + "/bytes/3")
            await asyncio.gather(*(client.get(origin.url + "/bytes/3") for _ in range(4)))
        assert origin.resumed == [False, *[True] * (origin.connections - 1)]
        assert origin.connections > 1


def test_many_threads_and_one_client(certificates: Certificates) -> None:
    """Sessions are handed from thread to thread while tickets come in on other connections."""
    with Witness(server_context(certificates, "TLSv1_3")) as origin:
        with SyncAtomHTTP(verify=str(certificates.ca), base_url=origin.url) as client:
            errors: list[BaseException] = []

            def work() -> None:
                try:
                    for number in range(20):
                        assert client.get("/bytes/3", keep_alive=number % 3 > 0).ok
                except BaseException as error:  # told to the test
                    errors.append(error)

            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
            assert errors == []
        assert len(origin.requests) == 80
        assert any(origin.resumed)


@pytest.mark.filterwarnings("ignore::atomhttp.InsecureRequestWarning")
@VERSIONS
def test_a_session_is_for_the_route_that_made_it(certificates: Certificates, version: str) -> None:
    """What is verified, as whom, and under which name: whoever asks for something else begins anew."""
    with Witness(server_context(certificates, version)) as origin, SyncAtomHTTP(keep_alive=False) as client:
        trusting = {"verify": str(certificates.ca)}
        url = f"https://localhost:{origin.port}/bytes/3"
        assert client.get(url, verify=False).ok
        with pytest.raises(AtomHTTPTLSError):
            client.get(url)
        assert client.get(url, **trusting).ok
        assert client.get(url, **trusting, cert=str(certificates.client)).ok
        assert client.get(url.replace("localhost", "127.0.0.1"), **trusting).ok
        assert origin.resumed == [False] * 4
        assert client.get(url, verify=False).ok
        assert client.get(url, **trusting).ok
        assert client.get(url, **trusting, cert=str(certificates.client)).ok
        assert client.get(url.replace("localhost", "127.0.0.1"), **trusting).ok
        assert origin.resumed[4:] == [True] * 4


def test_another_client_begins_anew(certificates: Certificates) -> None:
    with Witness(server_context(certificates, "TLSv1_3")) as origin:
        for _ in range(2):
            with SyncAtomHTTP(verify=str(certificates.ca)) as client:
                assert client.get(origin.url + "/bytes/3").ok
        assert origin.resumed == [False, False]


async def test_a_server_that_was_replaced_by_an_impostor(certificates: Certificates) -> None:
    """The client has a session; the server does not know it, and what it shows instead is verified."""
    own, impostor = server_context(certificates, "TLSv1_3"), Issued.make("localhost", "IP:127.0.0.1").server_context()
    with Witness(own) as origin:
        async with AtomHTTP(verify=str(certificates.ca), keep_alive=False) as client:
            for expected in (False, True):
                await client.get(origin.url + "/bytes/3")
                assert origin.resumed[-1] is expected
            origin._tls = impostor
            with pytest.raises(AtomHTTPTLSError) as caught:
                await client.get(origin.url + "/bytes/3")
            assert caught.value.code == "DEPTH_ZERO_SELF_SIGNED_CERT"
            origin._tls = own
            assert (await client.get(origin.url + "/bytes/3")).ok
