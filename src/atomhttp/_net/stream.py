"""Byte streams over sockets: TCP and unix. Never blocks, never waits; the reactor says when to try."""

from __future__ import annotations

import socket
from typing import Protocol


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

    def receive(self, buffer: memoryview) -> int | None:
        """Receives into `buffer`: how many bytes, 0 at the end, None when there is nothing now. Raises OSError."""

    def send(self, data: bytes | memoryview) -> int:
        """How many bytes of `data` were taken, 0 when none can be now. Raises OSError."""

    def flush(self) -> bool:
        """Sends what waits; True when nothing does. Raises OSError."""

    def shutdown(self) -> None:
        """Says goodbye where the protocol has a word for it, without waiting."""

    @property
    def sock(self) -> socket.socket:
        """The socket at the bottom, for closing."""


class SocketStream:
    """A stream that is a socket."""

    __slots__ = ("_recv_into", "_send", "clean_eof", "pending", "sock", "unflushed")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.pending = False
        self.unflushed = False
        self.clean_eof = True
        self._recv_into = sock.recv_into
        self._send = sock.send

    def fileno(self) -> int:
        return self.sock.fileno()

    def receive(self, buffer: memoryview) -> int | None:
        try:
            return self._recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return None

    def send(self, data: bytes | memoryview) -> int:
        try:
            return self._send(data)
        except (BlockingIOError, InterruptedError):
            return 0

    def flush(self) -> bool:
        return True

    def shutdown(self) -> None:
        """TCP's own end says enough."""
