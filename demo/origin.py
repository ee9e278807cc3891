"""A small origin for the demonstration: one thread, one event loop, the standard library (and trustme for TLS).

It listens on TCP, on TCP with TLS, and on a unix socket where there are any:

/hello          a greeting, as JSON
/echo           what was received, as JSON
/download       `DOWNLOAD_SIZE` bytes at `DOWNLOAD_RATE` bytes a second at most; their SHA-256 in `X-Sha256`
/after/SECONDS  an answer that takes that long
anything else   404
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import ssl
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import trustme

PIECE = random.Random(1).randbytes(128 * 1024)
PIECES = 256
DOWNLOAD_SIZE = PIECES * len(PIECE)
DOWNLOAD_RATE = 24_000_000


@dataclass(frozen=True)
class Origin:
    """Where it listens. `ca` is the certificate of the authority behind its own, as a file."""

    url: str
    tls_url: str
    socket_path: str | None
    ca: str


@contextlib.contextmanager
def run_origin() -> Iterator[Origin]:
    """The origin, listening as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="atomhttp-demo-") as directory:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="origin", daemon=True)
        thread.start()
        servers: list[asyncio.Server] = []
        connections: set[Connection] = set()
        try:
            yield asyncio.run_coroutine_threadsafe(_listen(Path(directory), servers, connections), loop).result()
        finally:
            asyncio.run_coroutine_threadsafe(_close(servers, connections), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def _listen(directory: Path, servers: list[asyncio.Server], connections: set[Connection]) -> Origin:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)

    loop = asyncio.get_running_loop()
    servers.append(await loop.create_server(lambda: Connection(connections), "127.0.0.1", 0))
    servers.append(await loop.create_server(lambda: Connection(connections), "127.0.0.1", 0, ssl=context))
    port, tls_port = (server.sockets[0].getsockname()[1] for server in servers)
    socket_path = None
    if hasattr(asyncio, "start_unix_server"):
        socket_path = str(directory / "socket")
        servers.append(await loop.create_unix_server(lambda: Connection(connections), socket_path))
    return Origin(f"http://127.0.0.1:{port}", f"https://localhost:{tls_port}", socket_path, str(directory / "ca.pem"))


async def _close(servers: list[asyncio.Server], connections: set[Connection]) -> None:
    for server in servers:
        server.close()
    for connection in list(connections):
        connection.transport.abort()


class Request(NamedTuple):
    method: str
    target: str
    fields: dict[str, str]
    body: bytes
    received: bytes  # all of it


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as the demonstration needs it: one request after the other, bodies with Content-Length."""

    transport: asyncio.Transport

    def __init__(self, connections: set[Connection]) -> None:
        self._connections = connections
        self._received = b""
        self._paused = False
        self._greetings: dict[bytes, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # the loop makes a Transport for a server
        self._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False

    def data_received(self, data: bytes) -> None:
        if (
            not self._received and data in self._greetings
        ):  # the throughput is meant to be the client's, not that of this parser
            self.transport.write(self._greetings[data])
            return
        self._received += data
        while request := self._take_request():
            self._answer(request)

    def _take_request(self) -> Request | None:
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(fields.get("content-length", 0))
        if len(rest) < size:
            return None
        received, self._received = self._received[: len(head) + 4 + size], rest[size:]
        method, target, _ = first.split(" ")
        return Request(method, target, fields, rest[:size], received)

    def _answer(self, request: Request) -> None:
        _, name, *argument = request.target.partition("?")[0].split("/")
        match name:
            case "hello":
                answer = _json_answer({"greeting": "Hello from the demo's own origin", "target": request.target})
                self._greetings = {request.received: answer}
                self.transport.write(answer)
            case "echo":
                self.transport.write(_json_answer(_describe(request)))
            case "after":
                answer = _json_answer({"after": argument[0]})
                asyncio.get_running_loop().call_later(float(argument[0]), self.transport.write, answer)
            case "download":
                whole = hashlib.sha256()
                for _ in range(PIECES):
                    whole.update(PIECE)
                digest = f"X-Sha256: {whole.hexdigest()}\r\n"
                self.transport.write(_head(200, "application/octet-stream", DOWNLOAD_SIZE, digest))
                self._send_pieces(PIECES)
            case _:
                self.transport.write(_json_answer({"error": f"there is no {request.target}"}, 404))

    def _send_pieces(self, left: int) -> None:
        if self.transport.is_closing():
            return
        if not self._paused:
            self.transport.write(PIECE)
            left -= 1
        if left:
            asyncio.get_running_loop().call_later(len(PIECE) / DOWNLOAD_RATE, self._send_pieces, left)


def _head(status: int, content_type: str, size: int, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nServer: demo\r\nContent-Type: {content_type}\r\n"
    return f"{head}Content-Length: {size}\r\n{more}\r\n".encode()


def _json_answer(value: Any, status: int = 200) -> bytes:
    body = json.dumps(value).encode()
    return _head(status, "application/json", len(body)) + body


def _describe(request: Request) -> dict[str, Any]:
    shown = ("content-type", "authorization", "x-demo")
    return {
        "method": request.method,
        "target": request.target,
        "headers": {name: request.fields[name] for name in shown if name in request.fields},
        "body": request.body.decode(errors="replace"),
    }
