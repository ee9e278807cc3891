"""The part that every threaded test server shares: a listener on a free port, a thread a connection, and a clean end.

Threads, not an event loop: a server must answer while the client under test blocks its own thread, or owns the loop.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

# How long anything in the test servers waits before it is called a failure. Never reached in a passing test, so it may
# be generous; it must stay below pytest's own `faulthandler_timeout`.
PATIENCE = 10.0

# Enough for the tests that open hundreds of connections at once.
BACKLOG = 1024


class LocalServer:
    """Accepts until closed. Subclasses write `serve`, which owns one connection in a thread of its own."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, unix: Path | None = None, host: str = "127.0.0.1") -> None:
        self.socket_path = unix
        self.host = host
        self.connections = 0
        """How many connections were accepted."""
        self.server_names: list[str | None] = []
        """The SNI name of each TLS handshake."""
        self.failures: list[str] = []
        """What went wrong inside the server; any of it fails the test when the server is closed."""
        self.broken: list[str] = []
        """Connections that ended in the middle of something: the client broke off, or refused the handshake."""
        self.closing = threading.Event()
        self.change = threading.Condition()
        """Guards what the server's threads share; notified whenever a connection or a request has arrived."""
        self._tls = tls
        self._sockets: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        if tls is not None:
            tls.sni_callback = lambda _connection, name, _context: self.server_names.append(name)
        self._listener = _listen(unix, host)
        self._listener.setblocking(False)
        self.port: int = 0 if unix else self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """The origin, without a trailing slash; over a unix socket the host is only a name."""
        scheme = "http" if self._tls is None else "https"
        if self.socket_path is not None:
            return f"{scheme}://localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    # Life

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if self.failures:
            report = "\n".join([f"{type(self).__name__} failed:", *self.failures])
            if error is None:
                raise AssertionError(report)
            error.add_note(report)  # the test's own failure is the story; this may be its cause

    def close(self) -> None:
        """Cut every connection and wait until the last thread has ended. May be called twice."""
        with self.change:
            self.closing.set()
            doomed = [self._listener, *self._sockets.values()]
        # Linux wakes a thread that waits in poll() or recv() by shutdown(); close() would leave it waiting.
        for each in doomed:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listener.close()
        if self.socket_path is not None:
            self.socket_path.unlink(missing_ok=True)

    # Connections

    def serve(self, connection: socket.socket, number: int) -> None:
        """Talk on `connection`, the `number`-th one, counted from 0. It is closed when this returns."""
        raise NotImplementedError

    def start_tls(self, connection: socket.socket, number: int, context: ssl.SSLContext) -> ssl.SSLSocket:
        """The handshake, as a server. Later a missing close_notify is an error, not an EOF."""
        # Wrapping takes the descriptor over, so `close` has to find the new owner while the handshake still waits.
        with self.change:
            if self.closing.is_set():
                raise ConnectionAbortedError("the server is being closed")
            wrapped = self._sockets[number] = context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
        wrapped.settimeout(PATIENCE)
        wrapped.do_handshake()
        return wrapped

    @property
    def threads(self) -> list[threading.Thread]:
        """The server's own."""
        return list(self._threads)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        name = f"{type(self).__name__}-{len(self._threads)}"
        thread = threading.Thread(target=target, args=args, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            self.is_dialled(None)
            with self.change:  # accepting and counting are one step: see `is_dialled`
                if self.closing.is_set():
                    return
                try:
                    connection, _ = self._listener.accept()
                except OSError:
                    continue  # the client has gone again
                connection.settimeout(PATIENCE)
                number, self.connections = self.connections, self.connections + 1
                self._sockets[number] = connection
                self._start(self._converse, connection, number)
                self.change.notify_all()

    def is_dialled(self, timeout: float | None = 0) -> bool:
        """Whether a connection waits to be accepted. Under `change`, False means that all of them are counted."""
        poller = select.poll()
        poller.register(self._listener, select.POLLIN)
        return bool(poller.poll(timeout))

    def _converse(self, connection: socket.socket, number: int) -> None:
        try:
            if self._tls is not None:
                connection = self.start_tls(connection, number, self._tls)
            self.serve(connection, number)
        except (OSError, EOFError) as error:  # what that means is for the test to say
            self.broken.append(f"connection {number}: {type(error).__name__}: {error}")
        except Exception as error:  # a thread has no caller: reported where the test sees it
            if not self.closing.is_set():
                self.failures.append(f"connection {number}: {type(error).__name__}: {error}")
        finally:
            with self.change:
                self._sockets.pop(number).close()


def send_close_notify(connection: socket.socket) -> None:
    """End the TLS side of `connection` as RFC 8446 6.1 asks, without waiting for the other side to do the same."""
    if isinstance(connection, ssl.SSLSocket):
        with contextlib.suppress(OSError, ValueError):  # "would block" is the expected outcome; or it is closed already
            connection.settimeout(0)
            connection.unwrap()


def leave(connection: socket.socket) -> None:
    """End our side, and read until the client has ended its own."""
    send_close_notify(connection)
    with contextlib.suppress(OSError):  # the client may have gone already
        socket.socket.shutdown(connection, socket.SHUT_WR)
        drain_socket(connection)


def drain_socket(connection: socket.socket) -> None:
    """Read to the end, of TLS whatever comes. Who closes before that may have the kernel take back what was sent."""
    connection.settimeout(PATIENCE)
    while socket.socket.recv(connection, 65_536):
        pass


@contextlib.contextmanager
def silent_address(host: str = "127.0.0.1") -> Iterator[tuple[str, int]]:
    """`(host, port)` where a connect() neither succeeds nor fails: Linux drops what a full accept queue cannot take."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listen(None, host, backlog=0))
        address: tuple[str, int] = listener.getsockname()[:2]
        # A backlog of 0 still holds one connection; the second is one to spare.
        for _ in range(2):
            filler = stack.enter_context(socket.socket(listener.family))
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address


def _listen(unix: Path | None, host: str, backlog: int = BACKLOG) -> socket.socket:
    family = socket.AF_UNIX if unix else socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.bind(str(unix) if unix else (host, 0))
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    return listener
