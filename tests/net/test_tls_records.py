"""What TLSStream makes of records, without a network: several in one read, and what goes out together."""

from __future__ import annotations

import contextlib
import ssl

import pytest

from atomhttp._net.tls import MAX_PLAINTEXT, TLSStream
from atomhttp._net.tls_context import build_context
from support.certificates import Certificates


class Wire:
    """The stream underneath, and the peer at its other end."""

    session = None
    receive_bytes = None
    pending = unflushed = False
    clean_eof = True

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.peer = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.sent: list[bytes] = []
        self.full = False

    def fileno(self) -> int:
        return -1

    def send(self, data: bytes | memoryview) -> int:
        if self.full:
            raise BlockingIOError
        self.sent.append(bytes(data))
        self.incoming.write(data)
        return len(data)

    def receive(self, buffer: memoryview) -> int:
        data = self.outgoing.read(len(buffer))
        if not data:
            raise BlockingIOError
        buffer[: len(data)] = data
        return len(data)


class Line:
    def __init__(self, certificates: Certificates, version: str) -> None:
        context = certificates.server_context()
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        self.wire = Wire(context)
        self.buffer = memoryview(bytearray(262_144))
        self.stream = TLSStream(self.wire, build_context(str(certificates.ca), None), "localhost")  # type: ignore[arg-type]  # as much of a Stream as is needed
        while not self.stream.handshake(self.buffer):
            self.answer()

    def answer(self) -> None:
        try:
            self.wire.peer.do_handshake()
        except ssl.SSLWantReadError:
            pass

    def finish(self) -> None:
        self.stream.send(b"GET")
        self.wire.peer.do_handshake()
        assert self.wire.peer.read(100) == b"GET"
        # Tickets, which hold no content.
        with pytest.raises(BlockingIOError):
            self.stream.receive(self.buffer)

    def receive(self) -> bytes:
        return bytes(self.buffer[: self.stream.receive(self.buffer)])


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def line(request: pytest.FixtureRequest, certificates: Certificates) -> Line:
    return Line(certificates, request.param)


def test_the_last_word_of_the_handshake_leaves_with_the_request(certificates: Certificates) -> None:
    line = Line(certificates, "TLSv1_3")
    assert len(line.wire.sent) == 1
    line.finish()
    assert len(line.wire.sent) == 2


def test_a_goodbye_brings_the_last_word_too(certificates: Certificates) -> None:
    """Where no request followed."""
    line = Line(certificates, "TLSv1_3")
    line.stream.shutdown()
    line.wire.peer.do_handshake()
    assert line.wire.peer.read(1) == b""


def test_records_that_have_come_are_one_read(line: Line) -> None:
    line.finish()
    for _ in range(10):
        line.wire.peer.write(b"x" * 10_000)
    assert line.receive() == b"x" * 100_000
    assert not line.stream.pending
    with pytest.raises(BlockingIOError):
        line.receive()


def test_what_does_not_fit_is_pending(line: Line) -> None:
    line.finish()
    line.buffer = line.buffer[:25_000]
    for _ in range(4):
        line.wire.peer.write(b"x" * 10_000)
    received = line.receive()
    assert line.stream.pending
    while len(received) < 40_000:
        with contextlib.suppress(BlockingIOError):
            received += line.receive()
    assert received == b"x" * 40_000


def test_what_a_peer_does_not_take_stays_plaintext(line: Line) -> None:
    """OpenSSL would encrypt all of it, into a buffer that has no limit and never shrinks."""
    line.finish()
    line.wire.sent.clear()
    line.wire.full = True
    body = memoryview(bytes(100 * MAX_PLAINTEXT))
    taken = line.stream.send(body)
    assert 0 < taken <= MAX_PLAINTEXT
    assert line.stream.send(body[taken:]) == 0
    line.wire.full = False
    assert line.stream.flush()
    # Records have 16 KiB, and 22 to 29 bytes more than they bring.
    assert taken < sum(map(len, line.wire.sent)) < taken + 1000


def test_part_of_a_record_waits_for_the_rest(line: Line) -> None:
    line.finish()
    line.wire.peer.write(b"one")
    line.wire.peer.write(b"two")
    ciphertext = line.wire.outgoing.read()
    line.wire.outgoing.write(ciphertext[:-1])
    assert line.receive() == b"one"
    # Whoever is at the end of a response has to know: what follows would be taken for the next one.
    assert line.stream.pending
    with pytest.raises(BlockingIOError):
        line.receive()
    assert not line.stream.pending
    line.wire.outgoing.write(ciphertext[-1:])
    assert line.receive() == b"two"


def test_a_goodbye_behind_content_comes_after_it(line: Line) -> None:
    line.finish()
    line.wire.peer.write(b"content")
    with pytest.raises(ssl.SSLWantReadError):
        line.wire.peer.unwrap()
    assert line.receive() == b"content"
    assert line.stream.pending
    assert line.receive() == b""
    assert line.stream.clean_eof


def test_what_is_wrong_behind_content_comes_after_it(line: Line) -> None:
    line.finish()
    line.wire.peer.write(b"content")
    # A record that no key fits.
    line.wire.outgoing.write(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert line.receive() == b"content"
    assert line.stream.pending
    assert line.stream.session is not None
    with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac"):
        line.receive()
    assert line.stream.session is None
