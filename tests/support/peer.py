"""A peer that does exactly what the test says, byte by byte: for everything that no decent server would do.

    with Peer([expect_head(), send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhel"), reset()]) as peer:
        ...  # talk to peer.url

One script for each connection, in the order they are accepted. A script is a list of steps; a step is a callable that
gets the `Conversation`, so a test may bring its own. A script that ends closes its connection.

The scripts are part of the test: it fails when a step fails, when a script was not used or not finished by the end of
the ``with`` block (``hold()`` is released there), or when a connection came that has no script.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import select
import socket
import ssl
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

from support.framing import Head, read_body, read_exactly, read_head
from support.server import PATIENCE, LocalServer, drain_socket, send_close_notify

if TYPE_CHECKING:
    from support.http2_gateway import Http2Gateway

# What a finished test grants its scripts to notice that the client has gone.
SETTLING = 2.0


class ScriptError(AssertionError):
    """A step did not get what it expected."""


class Conversation:
    """One connection of the peer, as its steps see it."""

    def __init__(self, peer: Peer, connection: socket.socket, number: int) -> None:
        self.peer = peer
        self.socket = connection
        self.number = number
        self.heads: list[Head] = []
        self.received = bytearray()
        """Every byte that arrived on this connection (after TLS), read by a step or not."""
        self.step = "before the first step"
        self.stream = io.BufferedReader(_Recorder(self))

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.socket = self.peer.start_tls(self.socket, self.number, context)

    def wait(self, event: threading.Event) -> None:
        with self.peer.change:
            if self.peer.closing.is_set():
                return  # the test is over: nobody sets events any more
            self.peer.waited_for.append(event)
        if not event.wait(PATIENCE):
            raise ScriptError("the event was not set")


class Peer(LocalServer):
    """Plays `scripts`, one a connection; with `repeat` the last one serves every further connection too.

    Where `gateway` is set, clients are at that one's address, and speak HTTP/2 to it: see `http2_gateway`.
    """

    gateway: ClassVar[type[Http2Gateway] | None] = None

    def __init__(
        self,
        scripts: Sequence[Script] | Script,
        *,
        repeat: bool = False,
        tls: ssl.SSLContext | None = None,
        unix: Path | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._front: Http2Gateway | None = None
        if self.gateway is None:
            super().__init__(tls=tls, unix=unix, host=host)
        else:
            super().__init__(host=host)
            self.address: tuple[str, int] = self._listener.getsockname()[:2]
            """Where the gateway finds it."""
            self._front = self.gateway(self, tls=tls, unix=unix, host=host)
            self.host, self.port, self.socket_path = self._front.host, self._front.port, self._front.socket_path
            self.server_names = self._front.server_names
        single = bool(scripts) and callable(scripts[0])
        self.scripts: list[Script] = [scripts] if single else list(scripts)  # type: ignore[list-item, arg-type]
        self.conversations: dict[int, Conversation] = {}
        self.waited_for: list[threading.Event] = []
        self.ended = threading.Event()
        """Set when the test's ``with`` block has ended: what `hold` waits for."""
        self._repeat = repeat

    @property
    def url(self) -> str:
        return super().url if self._front is None else self._front.url

    def received(self, number: int = 0) -> bytes:
        """The bytes that arrived on that connection so far."""
        return bytes(self.conversations[number].received)

    @property
    def heads(self) -> list[Head]:
        """Every request head that a step read, connection by connection."""
        return [head for number in sorted(self.conversations) for head in self.conversations[number].heads]

    def __enter__(self) -> Self:
        if self._front is not None:
            self._front.__enter__()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        if self._front is not None:
            self._front.flush()
        if error is None:
            self._settle()
        super().__exit__(kind, error, trace)

    def close(self) -> None:
        with self.change:
            self.closing.set()
            for event in [self.ended, *self.waited_for]:
                event.set()
        super().close()
        if self._front is not None:
            self._front.close()

    def serve(self, connection: socket.socket, number: int) -> None:
        conversation = Conversation(self, connection, number)
        self.conversations[number] = conversation
        if number >= len(self.scripts) and not self._repeat:
            raise ScriptError("a connection that no script expects")
        try:
            for step in self.scripts[min(number, len(self.scripts) - 1)]:
                conversation.step = getattr(step, "__name__", repr(step))
                step(conversation)
            send_close_notify(conversation.socket)
        except (OSError, EOFError, ValueError, AssertionError) as error:
            raise ScriptError(f"in {conversation.step}: {type(error).__name__}: {error}") from error

    def _settle(self) -> None:
        """Let the scripts end by themselves, and name those that do not."""
        expected = sum(1 for script in self.scripts if script)
        with self.change:
            self.change.wait_for(lambda: self.connections >= expected and not self.is_dialled(), SETTLING)
        for thread in self._threads[1:]:  # the first one accepts, and ends with the server
            thread.join(SETTLING)
        for number in sorted(self._sockets):
            self.failures.append(f"connection {number}: still in {self.conversations[number].step}")
        for number, script in enumerate(self.scripts):
            if script and number not in self.conversations:
                self.failures.append("\n".join([f"script {number} was never used", *self.broken]))


Step = Callable[[Conversation], None]
Script = Sequence[Step]


# Steps that read


def expect_head() -> Step:
    """Read one request head, up to and with its empty line."""

    def expect_head(on: Conversation) -> None:
        head = read_head(on.stream)
        if head is None:
            raise ScriptError("the client closed instead of sending a request")
        on.heads.append(head)

    return expect_head


def expect_body() -> Step:
    """Read the body of the head read last: by Content-Length, or chunked."""
    return _step("expect_body()", lambda on: read_body(on.stream, on.heads[-1]))


def expect(size: int) -> Step:
    """Read exactly `size` bytes."""
    return _step(f"expect({size})", lambda on: read_exactly(on.stream, size))


def expect_end() -> Step:
    """The client must close now, without another byte; over TLS with a close_notify."""

    def expect_end(on: Conversation) -> None:
        if surplus := on.stream.read(1):
            raise ScriptError(f"the client sent {surplus!r} and more instead of closing")

    return expect_end


def drain() -> Step:
    """Read and drop everything until the client closes, cleanly or not."""

    def drain(on: Conversation) -> None:
        try:
            while on.stream.read1(65_536):
                pass
        except ConnectionError:
            pass
        except ssl.SSLError:
            drain_ciphertext(on)

    return drain


def drain_ciphertext(on: Conversation) -> None:
    """Read on where OpenSSL does not any more: it has ended its own side in the middle of the client's record."""
    with contextlib.suppress(ConnectionError):
        drain_socket(on.socket)


def unless_gone(step: Step) -> Step:
    """`step`, where a client may close as soon as it has refused, or got, what it needs: the rest need not be said."""

    def unless_gone(on: Conversation) -> None:
        with contextlib.suppress(OSError):
            step(on)

    return unless_gone


# Steps that send


def send(data: bytes) -> Step:
    """Send `data` in one piece."""
    return _step(f"send({data[:40]!r})", lambda on: on.socket.sendall(data))


def send_bytewise(data: bytes) -> Step:
    """Send `data` one byte a segment, as far as the kernel lets us."""

    def send_bytewise(on: Conversation) -> None:
        if on.socket.family != socket.AF_UNIX:
            on.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            on.socket.sendall(bytes([byte]))

    return send_bytewise


# Steps that keep pace with the test


def wait(event: threading.Event) -> Step:
    """Go on when the test has set `event`."""
    return _step("wait()", lambda on: on.wait(event))


def signal(event: threading.Event) -> Step:
    """Tell the test that the script has come this far."""
    return _step("signal()", lambda on: event.set())


def hold() -> Step:
    """Keep the connection open and silent until the test's ``with`` block ends."""
    return _step("hold()", lambda on: on.peer.ended.wait())


def start_tls(context: ssl.SSLContext) -> Step:
    """Become a TLS server from here on (inside a CONNECT tunnel, say)."""
    return _step("start_tls()", lambda on: on.start_tls(context))


# Steps that end


def close(*, notify: bool = True) -> Step:
    """Close. `notify=False` leaves the close_notify out, which over TLS is a truncation.

    The kernel answers with RST instead of FIN when bytes of the client were left unread: `drain()` or `end()` first
    where that matters.
    """

    def close(on: Conversation) -> None:
        if notify:
            send_close_notify(on.socket)
        on.socket.close()

    return close


def end(*, notify: bool = True) -> Step:
    """Send FIN but keep reading: the polite end of an answer while the client still uploads. `drain()` comes next.

    `notify=False` leaves the close_notify out, which over TLS is a truncation.
    """

    def end(on: Conversation) -> None:
        if notify:
            send_close_notify(on.socket)
        socket.socket.shutdown(on.socket, socket.SHUT_WR)
        on.socket.settimeout(PATIENCE)

    return end


def reset() -> Step:
    """Close with RST, when all that was sent has arrived: RST throws away what is still on its way."""

    def reset(on: Conversation) -> None:
        reset_connection(on.socket)

    return reset


def reset_connection(connection: socket.socket) -> None:
    """What `reset` does."""
    deadline = time.monotonic() + PATIENCE
    while _unacknowledged(connection) and time.monotonic() < deadline:
        time.sleep(0.001)  # the kernel gives no other sign
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _unacknowledged(connection: socket.socket) -> int:
    """How many bytes the other side's kernel has not got yet, and still may."""
    poller = select.poll()
    poller.register(connection, 0)  # what it always reports: ERR and HUP
    if connection.family == socket.AF_UNIX or poller.poll(0):
        return 0
    return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def _step(name: str, action: Callable[[Conversation], object]) -> Step:
    """A step whose name a failure can show."""

    def step(on: Conversation) -> None:
        action(on)

    step.__name__ = name
    return step


class _Recorder(io.RawIOBase):
    """The receiving half of the connection's present socket (TLS may replace it), keeping a copy of every byte."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = self._conversation.socket.recv_into(buffer)
        self._conversation.received += buffer[:size]
        return size
