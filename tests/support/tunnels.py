"""What the scripted proxies share: reading exactly so much, and carrying bytes between two connections."""

from __future__ import annotations

import contextlib
import io
import select
import socket
import ssl
from collections.abc import Iterator, Mapping

from support.server import PATIENCE, LocalServer


class TunnelServer(LocalServer):
    """A server that connects its clients to others.

    Args:
        destinations: where `host:port`, or `host` at any port, really is: a port of this machine.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        destinations: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(tls=tls, host=host)
        self.destinations = dict(destinations or {})
        self.received: dict[int, bytearray] = {}
        """By connection: every byte that was addressed to the server."""
        self.tunnelled: dict[int, bytearray] = {}
        """By connection: what the client sent into its tunnel."""

    def read_from(self, connection: socket.socket, number: int) -> ExactReader:
        """What is read is kept in `received`."""
        return ExactReader(connection, self.received.setdefault(number, bytearray()))

    @contextlib.contextmanager
    def dial(self, host: str, port: int, number: int) -> Iterator[socket.socket]:
        """A connection to the destination; `close` cuts it too, or its thread would wait for the other end for ever."""
        local = self.destinations.get(f"{host}:{port}", self.destinations.get(host))
        address = (host, port) if local is None else ("127.0.0.1", local)
        with socket.create_connection(address, PATIENCE) as origin:
            with self.change:
                if self.closing.is_set():
                    raise ConnectionAbortedError("the server is being closed")
                self._sockets[~number] = origin
            try:
                yield origin
            finally:
                with self.change:
                    del self._sockets[~number]

    def relay(self, client: socket.socket, origin: socket.socket, number: int) -> None:
        """Carry bytes both ways, and each side's end too, until both have ended.

        In one thread: a TLS connection must not be used by two. So one side's reading may wait for the other's writing.
        """
        sent = self.tunnelled.setdefault(number, bytearray())
        other = {client: origin, origin: client}
        poller = select.poll()
        by_descriptor = {side.fileno(): side for side in other}
        for descriptor in by_descriptor:
            poller.register(descriptor, select.POLLIN)
        while by_descriptor:
            ready = [side for side in by_descriptor.values() if isinstance(side, ssl.SSLSocket) and side.pending()]
            for side in ready or [by_descriptor[descriptor] for descriptor, _ in poller.poll()]:
                data = _receive(side)
                if data is None:
                    continue
                if data:
                    if side is client:
                        sent += data
                    other[side].sendall(data)
                    continue
                poller.unregister(side.fileno())
                del by_descriptor[side.fileno()]
                # TLS has no half-closed state that both ends would honour: its end is that of the connection.
                if isinstance(other[side], ssl.SSLSocket):
                    return
                with contextlib.suppress(OSError):  # that side has gone as well
                    other[side].shutdown(socket.SHUT_WR)


class ExactReader(io.BufferedReader):
    """Reads no byte more than it is asked for, so that a tunnel may begin behind a head; keeps a copy in `received`."""

    def __init__(self, connection: socket.socket, received: bytearray) -> None:
        super().__init__(_Recorder(connection, received), buffer_size=1)


class _Recorder(io.RawIOBase):
    def __init__(self, connection: socket.socket, received: bytearray) -> None:
        self._connection = connection
        self._received = received

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any writable buffer, says typeshed
        size = self._connection.recv_into(buffer)
        self._received += buffer[:size]
        return size


def _receive(side: socket.socket) -> bytes | None:
    """What has arrived; None when it was nothing for us (a part of a TLS record), b"" at the end."""
    side.settimeout(0)
    try:
        return side.recv(65_536)
    except (BlockingIOError, ssl.SSLWantReadError):
        return None
    finally:
        side.settimeout(PATIENCE)
