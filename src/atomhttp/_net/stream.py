"""Byte streams over sockets: TCP and unix. Never blocks, never waits; the reactor says when to try."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final, Protocol

from atomhttp._net.tls_session import TLSSession

# One system call takes no more (IOV_MAX, 1024 on Linux), and on Windows there is none such.
MAX_PIECES: Final = 512
CAN_GATHER: Final = hasattr(socket.socket, "sendmsg")


class Stream(Protocol):
    """A connected byte stream.

    Attributes:
        pending: bytes have been received that `receive` would give without any event (TLS).
        unflushed: bytes taken by `send` wait for the socket (TLS).
        clean_eof: at the end of the stream: whether it was announced, as far as the stream can tell.
    """

    pending: bool
    unflushed: bool
    clean_eof: bool

    def fileno(self) -> int: ...

    def receive(self, buffer: memoryview, /) -> int:
        """Receives into `buffer`: how many bytes, 0 at the end. Raises BlockingIOError when there is nothing now."""
        ...

    def holds_part(self, buffer: memoryview, /) -> bool:
        """Whether the `receive` into `buffer` that has just raised BlockingIOError, the first one since the stream was
        at the end of a record, ended inside of one (TLS)."""
        ...

    receive_bytes: Callable[[int], bytes] | None
    """Receives a new bytes object of at most that size; None where that is no cheaper than `receive`."""

    def send(self, data: bytes | memoryview, /) -> int:
        """How many bytes of `data` were taken. Raises BlockingIOError when none can be now (or says 0)."""
        ...

    def send_together(self, pieces: list[bytes], /) -> int:
        """`send`, of pieces behind each other, without joining them: how many bytes of them all were taken."""
        ...

    def flush(self) -> bool:
        """Sends what waits; True when nothing does. Raises OSError."""
        ...

    def shutdown(self) -> None:
        """Says goodbye where the protocol has a word for it, without waiting."""

    @property
    def session(self) -> TLSSession | None:
        """The TLS session, to be taken up again by a later stream; None without one."""
        ...

    @property
    def protocol(self) -> str | None:
        """What the two sides have agreed to speak over it (ALPN); None when nobody asked."""
        ...

    @property
    def sock(self) -> socket.socket:
        """The socket at the bottom, for closing."""
        ...


class SocketStream:
    """A stream that is a socket: its methods are the socket's own."""

    session: TLSSession | None = None
    protocol: str | None = None

    __slots__ = ("clean_eof", "fileno", "pending", "receive", "receive_bytes", "send", "sock", "unflushed")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fileno = sock.fileno
        self.receive = sock.recv_into
        self.receive_bytes: Callable[[int], bytes] | None = sock.recv
        self.send = sock.send
        self.pending = False
        self.unflushed = False
        self.clean_eof = True

    def send_together(self, pieces: list[bytes]) -> int:
        return self.sock.sendmsg(pieces[:MAX_PIECES]) if CAN_GATHER else self.send(pieces[0])

    def flush(self) -> bool:
        return True

    def holds_part(self, buffer: memoryview) -> bool:
        return False

    def shutdown(self) -> None:
        """TCP's own end says enough."""
