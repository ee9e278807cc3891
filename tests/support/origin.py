"""A well-behaved origin that remembers what it was sent: for tests about *our* bytes, where nginx only knows its own.

It speaks HTTP/1.1, and HTTP/2 with a client that begins in it: by prior knowledge in clear, over TLS by ALPN.

/echo            the request as JSON (the body as latin-1 text)
/status/N        an empty-handed answer of that status
/bytes/N         N known bytes (`pattern(N)`) with Content-Length
/chunked/N       the same, chunked, in pieces of at most 1,000 bytes
/delay/S         answers when the test sets `origin.release`, at the latest after S seconds
/close           answers `Connection: close`, and does it
anything else    404, or what the test put into `routes`
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar, Literal

from support.framing import Head, read_body, read_head
from support.http2_origin import Http2Conversation
from support.server import PATIENCE, LocalServer, send_close_notify

CHUNK = 1_000


def pattern(size: int) -> bytes:
    """`size` bytes in which a lost, doubled or moved piece shows: the position, four bytes at a time."""
    positions = array("I", range(0, size, 4))
    if sys.byteorder == "little":
        positions.byteswap()
    return positions.tobytes()[:size]


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived; `connection` counts the accepted connections from 0."""

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def get(self, name: str) -> str | None:
        """All fields of that name, joined as RFC 9110 5.3 has it; None when there is none."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None


@dataclass(slots=True)
class Answer:
    """What a route gives back. The framing (Content-Length, chunked, close) is the origin's."""

    body: bytes = b""
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    chunked: bool = False
    close: bool = False


class Origin(LocalServer):
    """The recording origin.

    `version="HTTP/1.0"` answers in that version with bodies that end at EOF; with `keep_alive` a 1.0 client or server
    may agree on `Connection: keep-alive`, and then there is a Content-Length. `keep_alive=False` closes after each
    answer, in either version. `http2=False` leaves HTTP/2 out, as HTTP/1.0 does.
    """

    _only_http2: ClassVar = False

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        unix: Path | None = None,
        host: str = "127.0.0.1",
        version: Literal["HTTP/1.1", "HTTP/1.0"] = "HTTP/1.1",
        keep_alive: bool = True,
        http2: bool = True,
        routes: Mapping[str, Callable[[Received], Answer]] | None = None,
    ) -> None:
        super().__init__(tls=tls, unix=unix, host=host)
        self.http2 = http2 and version == "HTTP/1.1"
        if tls is not None:
            tls.set_alpn_protocols(["h2", "http/1.1"] if self.http2 else ["http/1.1"])
        self.version = version
        self.keep_alive = keep_alive
        self.routes = dict(routes or {})
        self.requests: list[Received] = []
        """Every request whose body is complete, in order of arrival."""
        self.concurrent = 0
        self.high_water = 0
        """The most requests that were in the origin at the same time."""
        self.release = threading.Event()

    @classmethod
    @contextlib.contextmanager
    def require_http2(cls) -> Iterator[None]:
        """For that long, a request that comes to any origin in HTTP/1.1 fails the test."""
        cls._only_http2 = True
        try:
            yield
        finally:
            cls._only_http2 = False

    def wait_for_requests(self, count: int, timeout: float = PATIENCE) -> None:
        """Block until `count` requests have arrived: how a test knows, without sleeping, that they are under way."""
        with self.change:
            if not self.change.wait_for(lambda: len(self.requests) >= count, timeout):
                raise AssertionError(f"{len(self.requests)} of {count} requests arrived in {timeout} s")

    def close(self) -> None:
        self.release.set()
        super().close()

    # One connection

    def serve(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as stream:
            while (head := read_head(stream)) is not None:
                if self._is_http2(connection, head):
                    Http2Conversation(self, connection, number).run(head.raw + stream.peek())
                    return
                self._entered()
                try:
                    if head.get("expect").lower() == "100-continue" and self.version == "HTTP/1.1":
                        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    request = self._received(head, read_body(stream, head), number)
                    answer = self._answer(request)
                finally:
                    self._left()
                wire, closes = self._encode(head, answer)
                connection.sendall(wire)
                if closes:
                    break
        send_close_notify(connection)

    def _is_http2(self, connection: socket.socket, head: Head) -> bool:
        """Whether `head` is the beginning of HTTP/2's preface (RFC 9113 section 3.4); what ALPN chose is held to."""
        begins = head.method == "PRI"
        if begins and not self.http2:
            raise ValueError("the client speaks HTTP/2 to an origin that does not")
        if self._only_http2 and not begins:
            raise ValueError(f"the test is about HTTP/2, and the client begins {head.raw!r}")
        if isinstance(connection, ssl.SSLSocket) and begins != (connection.selected_alpn_protocol() == "h2"):
            raise ValueError(f"ALPN chose {connection.selected_alpn_protocol()}, and the client begins {head.raw!r}")
        return begins

    def _received(self, head: Head, body: bytes, number: int) -> Received:
        request = Received(head.method, head.target, head.version, head.headers, body, number)
        with self.change:
            self.requests.append(request)
            self.change.notify_all()
        return request

    def _entered(self) -> None:
        with self.change:
            self.concurrent += 1
            self.high_water = max(self.high_water, self.concurrent)

    def _left(self) -> None:
        # Before the answer is sent: once the client has it, the request is no longer "in" the origin.
        with self.change:
            self.concurrent -= 1

    def _answer(self, request: Received) -> Answer:
        name, _, argument = request.path.removeprefix("/").partition("/")
        match name:
            case _ if request.path in self.routes:
                answer = self.routes[request.path](request)
            case "echo":
                answer = _json(request)
            case "status":
                answer = Answer(status=int(argument))
            case "bytes" | "chunked":
                answer = Answer(pattern(int(argument)), chunked=name == "chunked")
            case "delay":
                self.release.wait(float(argument))
                answer = Answer(b"late")
            case "close":
                answer = Answer(b"bye", close=True)
            case _:
                answer = Answer(b"no such path", status=404)
        return answer

    def _encode(self, head: Head, answer: Answer) -> tuple[bytes, bool]:
        """The answer's bytes, and whether the connection ends with it."""
        body, fields = answer.body, list(answer.headers)
        wanted = head.get("connection").lower()
        closes = answer.close or not self.keep_alive or wanted == "close"
        if "HTTP/1.0" in (self.version, head.version):
            closes = closes or wanted != "keep-alive"
        bodiless = answer.status in (204, 304)

        if self.version == "HTTP/1.0":
            if not closes:
                fields += [("Connection", "keep-alive"), ("Content-Length", str(len(body)))]
        elif answer.chunked and head.version == "HTTP/1.1":
            fields += [("Transfer-Encoding", "chunked")]
            body = _chunked(body)
        elif not bodiless:
            fields += [("Content-Length", str(len(body)))]
        if closes:
            fields += [("Connection", "close")]

        lines = [f"{self.version} {answer.status} {_reason(answer.status)}", *(f"{k}: {v}" for k, v in fields)]
        wire = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
        return (wire if bodiless or head.method == "HEAD" else wire + body), closes


def _json(request: Received) -> Answer:
    shown = {
        "method": request.method,
        "target": request.target,
        "version": request.version,
        "headers": request.headers,
        "body": request.body.decode("latin-1"),
        "connection": request.connection,
    }
    return Answer(json.dumps(shown).encode(), headers=[("Content-Type", "application/json")])


def _chunked(body: bytes) -> bytes:
    pieces = [body[start : start + CHUNK] for start in range(0, len(body), CHUNK)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _reason(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else "Unnamed"
