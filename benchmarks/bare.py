"""The yardstick: the engine of atomhttp with nothing around it.

It shows what nested polling, raw sockets and llhttp cost by themselves, so that the price of everything a
user gets on top is a ratio and not an opinion. A request is bytes made beforehand, a response is a status and
a body; there are no header values, deadlines, limits or retries, and a broken connection is simply an error.

One epoll object holds every socket. Under an event loop the loop watches that one descriptor and `run_ready`
serves whatever became ready; without a loop the same coroutines block on the poller itself.
"""

import asyncio
import select
import socket
import ssl
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

from httptools import HttpResponseParser

BATCH = 32
BUFFER_SIZE = 256 * 1024

Address = tuple[str, int] | str
T = TypeVar("T")


class Waiter(Protocol):
    """The part of `asyncio.Future` that a connection needs."""

    def set_result(self, result: Any, /) -> None: ...
    def set_exception(self, exception: BaseException, /) -> None: ...
    def __await__(self) -> Generator[Any, None, Any]: ...


class Reactor:
    """One poller and the handlers of its descriptors; they share one receive buffer."""

    def __init__(self) -> None:
        self.poller = select.epoll()
        self.buffer = memoryview(bytearray(BUFFER_SIZE))
        self.handlers: dict[int, Callable[[], None]] = {}

    def watch(self, fd: int, handler: Callable[[], None]) -> None:
        self.handlers[fd] = handler
        self.poller.register(fd, select.EPOLLIN)

    def forget(self, fd: int) -> None:
        del self.handlers[fd]
        self.poller.unregister(fd)

    def run_ready(self, timeout: float | None = 0) -> None:
        poll, handlers = self.poller.poll, self.handlers
        events = poll(timeout, BATCH)
        while events:
            for fd, _ in events:
                handlers[fd]()
            # A batch that is not full means nothing else was ready: asking again is a system call for nothing.
            if len(events) < BATCH:
                return
            events = poll(0, BATCH)


class Connection:
    """One HTTP/1.1 connection and the parser's callbacks, one exchange at a time."""

    waiter: Waiter
    status = 0

    def __init__(self, sock: socket.socket, reactor: Reactor) -> None:
        self.sock = sock
        self.reactor = reactor
        self.buffer = reactor.buffer
        self.pieces: list[bytes] = []
        self.deliver: Callable[[bytes], object] = self.pieces.append
        self.parser = HttpResponseParser(self)
        self.feed: Callable[[memoryview], object] = self.parser.feed_data
        sock.setblocking(False)
        reactor.watch(sock.fileno(), self.on_readable)

    def send(self, payload: bytes) -> None:
        # Every request of the benchmarks fits an empty socket buffer.
        if self.sock.send(payload) != len(payload):
            raise BlockingIOError("the request did not fit the socket buffer")

    def on_readable(self) -> None:
        count = self.sock.recv_into(self.buffer)
        if count:
            self.feed(self.buffer[:count])
        else:
            self.on_eof()

    def on_eof(self) -> None:
        self.close()
        self.waiter.set_exception(ConnectionResetError("the server closed the connection"))

    def on_body(self, data: bytes) -> None:
        self.deliver(data)

    def on_message_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.waiter.set_result(None)

    def take_body(self) -> bytes:
        pieces = self.pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def close(self) -> None:
        self.reactor.forget(self.sock.fileno())
        self.sock.close()


class TLSConnection(Connection):
    """The same over TLS by memory BIOs, as atomhttp does it."""

    def __init__(self, sock: socket.socket, reactor: Reactor, context: ssl.SSLContext, host: str) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=host)
        self.handshake(sock)
        super().__init__(sock, reactor)

    def handshake(self, sock: socket.socket) -> None:
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(self.outgoing.read())
                self.incoming.write(sock.recv(BUFFER_SIZE))
        sock.sendall(self.outgoing.read())

    def send(self, payload: bytes) -> None:
        self.tls.write(payload)
        super().send(self.outgoing.read())

    def on_readable(self) -> None:
        buffer, tls, incoming = self.buffer, self.tls, self.incoming
        count = self.sock.recv_into(buffer)
        if not count:
            self.on_eof()
            return
        incoming.write(buffer[:count])
        # The ciphertext now lives in the BIO, so the plaintext may use the same buffer.
        while incoming.pending or tls.pending():
            try:
                count = tls.read(BUFFER_SIZE, buffer)  # type: ignore[assignment]  # given a buffer, it counts
            except ssl.SSLWantReadError:  # half a record, or a session ticket
                return
            self.feed(buffer[:count])


class Client:
    """Idle connections to one address; every exchange takes one and gives it back."""

    def __init__(
        self,
        reactor: Reactor,
        create_waiter: Callable[[], Waiter],
        address: Address,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.reactor = reactor
        self.create_waiter = create_waiter
        self.address = address
        self.context = context
        self.idle: list[Connection] = []
        self.connections: list[Connection] = []

    async def exchange(self, payload: bytes) -> tuple[int, bytes]:
        """Send one request and return the response's status and body."""
        connection = self.idle.pop() if self.idle else self.connect()
        connection.waiter = waiter = self.create_waiter()
        connection.send(payload)
        await waiter
        self.idle.append(connection)
        return connection.status, connection.take_body()

    async def drain(self, payload: bytes, sink: Callable[[bytes], object]) -> int:
        """Send one request, hand the response's body to `sink` piece by piece, and return its status."""
        connection = self.idle.pop() if self.idle else self.connect()
        connection.waiter = waiter = self.create_waiter()
        connection.deliver = sink
        connection.send(payload)
        await waiter
        connection.deliver = connection.pieces.append
        self.idle.append(connection)
        return connection.status

    def connect(self) -> Connection:
        # Blocking, even under a loop: it happens on loopback and before the clock starts.
        if isinstance(self.address, str):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(self.address)
        else:
            sock = socket.create_connection(self.address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is None:
            connection = Connection(sock, self.reactor)
        else:
            connection = TLSConnection(sock, self.reactor, self.context, self.address[0])
        self.connections.append(connection)
        return connection

    def close(self) -> None:
        for connection in self.connections:
            connection.close()
        self.connections.clear()


class AsyncClient(Client):
    """The client inside the running event loop (asyncio's or uvloop)."""

    def __init__(self, address: Address, context: ssl.SSLContext | None = None) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(Reactor(), loop.create_future, address, context)
        loop.add_reader(self.reactor.poller.fileno(), self.reactor.run_ready)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.reactor.poller.fileno())
        super().close()
        self.reactor.poller.close()


class BlockingWaiter:
    """A future for one coroutine that nobody schedules: `SyncClient.run` resumes it."""

    __slots__ = ("done", "exception")

    def __init__(self) -> None:
        self.done = False
        self.exception: BaseException | None = None

    def set_result(self, result: Any, /) -> None:
        self.done = True

    def set_exception(self, exception: BaseException, /) -> None:
        self.done = True
        self.exception = exception

    def __await__(self) -> Generator["BlockingWaiter", None, None]:
        if not self.done:
            yield self
        if self.exception is not None:
            raise self.exception


class SyncClient(Client):
    """The same coroutines without an event loop."""

    def __init__(self, address: Address, context: ssl.SSLContext | None = None) -> None:
        super().__init__(Reactor(), BlockingWaiter, address, context)

    def run(self, coroutine: Coroutine[BlockingWaiter, None, T]) -> T:
        run_ready = self.reactor.run_ready
        try:
            while True:
                waiter = coroutine.send(None)
                while not waiter.done:
                    run_ready(None)
        except StopIteration as finished:
            result: T = finished.value
            return result

    def close(self) -> None:
        super().close()
        self.reactor.poller.close()


def build_request(method: str, host: str, path: str, body: bytes = b"") -> bytes:
    """The bytes of a request, made once and sent again and again."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body
