"""An HTTP proxy in the test's own process: it remembers every byte that it was sent, and may be told to misbehave.

    with Origin(tls=…) as origin, ScriptedProxy(destinations={"secure.test:443": origin.port}) as proxy:
        ...  # through proxy.url to https://secure.test/
    assert proxy.requests[0].raw == b"CONNECT secure.test:443 HTTP/1.1\\r\\nHost: secure.test:443\\r\\n\\r\\n"

It tunnels for CONNECT, and forwards requests in absolute form, one after the other on each connection. A response is
read as a whole before it is passed on.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from support.framing import Head, read_body, read_head
from support.server import PATIENCE, send_close_notify
from support.tunnels import ExactReader, TunnelServer

# Fields for the proxy, not for the origin (RFC 9110 section 7.6.1).
HOP_BY_HOP = ("connection", "proxy-connection", "proxy-authorization", "keep-alive", "te", "expect")
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """What CONNECT is answered in place of the truth: these bytes, and what happens `then`.

    close: the connection ends; hold: nothing more, until the client ends it; again: the next request is read; tunnel:
    a tunnel is opened, whatever was said.
    """

    data: bytes = b""
    then: Literal["close", "hold", "again", "tunnel"] = "close"


class ScriptedProxy(TunnelServer):
    """The proxy.

    Args:
        tls: makes it an https proxy.
        credentials: who may use it (Basic); everyone else gets 407.
        destinations: where `host:port`, or `host` at any port, really is: a port of this machine.
        replies: answers to CONNECT, in the order they come; the last one stands for all further ones.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        credentials: tuple[str, str] | None = None,
        destinations: Mapping[str, int] | None = None,
        replies: Sequence[Reply] = (),
    ) -> None:
        super().__init__(tls=tls, host=host, destinations=destinations)
        self.credentials = credentials
        self.replies = list(replies)
        self.requests: list[Head] = []
        """Every head that was addressed to the proxy, refused ones too, in order of arrival."""

    @property
    def tunnels(self) -> list[str]:
        """What was asked for by CONNECT."""
        return [head.target for head in self.requests if head.method == "CONNECT"]

    @property
    def forwarded(self) -> list[str]:
        """What was asked for in absolute form, or in any other that is not CONNECT's."""
        return [f"{head.method} {head.target}" for head in self.requests if head.method != "CONNECT"]

    def wait_for_requests(self, count: int, timeout: float = PATIENCE) -> None:
        """Block until `count` heads have arrived."""
        with self.change:
            if not self.change.wait_for(lambda: len(self.requests) >= count, timeout):
                raise AssertionError(f"{len(self.requests)} of {count} requests arrived in {timeout} s")

    # One connection

    def serve(self, connection: socket.socket, number: int) -> None:
        stream = self.read_from(connection, number)
        while (head := read_head(stream)) is not None:
            with self.change:
                self.requests.append(head)
                self.change.notify_all()
            if not self._handle(connection, stream, head, number):
                break
        send_close_notify(connection)

    def _handle(self, connection: socket.socket, stream: ExactReader, head: Head, number: int) -> bool:
        """Whether the connection goes on."""
        if head.method == "CONNECT" and self.replies:
            return self._misbehave(connection, head, number)
        if not self._is_known(head):
            read_body(stream, head)
            connection.sendall(
                b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="scripted"\r\n'
                b"Content-Length: 6\r\n\r\nwho?\r\n"
            )
            return True
        if head.method == "CONNECT":
            return self._tunnel(connection, head, number, b"HTTP/1.1 200 Connection established\r\n\r\n")
        return self._forward(connection, stream, head, number)

    def _is_known(self, head: Head) -> bool:
        if self.credentials is None:
            return True
        return head.get("proxy-authorization") == f"Basic {b64encode(':'.join(self.credentials).encode()).decode()}"

    def _misbehave(self, connection: socket.socket, head: Head, number: int) -> bool:
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if reply.then == "tunnel":
            return self._tunnel(connection, head, number, reply.data)
        connection.sendall(reply.data)
        if reply.then == "hold":
            while data := connection.recv(65_536):
                self.received[number] += data
        return reply.then == "again"

    def _tunnel(self, connection: socket.socket, head: Head, number: int, welcome: bytes) -> bool:
        host, _, port = head.target.rpartition(":")
        with contextlib.ExitStack() as stack:
            try:
                origin = stack.enter_context(self.dial(host.strip("[]"), int(port), number))
            except OSError:
                connection.sendall(BAD_GATEWAY)
                return True
            connection.sendall(welcome)
            self.relay(connection, origin, number)
        return False

    def _forward(self, connection: socket.socket, stream: ExactReader, head: Head, number: int) -> bool:
        if head.get("expect").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = read_body(stream, head)
        parts = urlsplit(head.target)
        if parts.scheme != "http" or parts.hostname is None:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return True
        with contextlib.ExitStack() as stack:
            try:
                origin = stack.enter_context(self.dial(parts.hostname, parts.port or 80, number))
            except OSError:
                connection.sendall(BAD_GATEWAY)
                return True
            origin.sendall(_for_origin(head, body))
            response = b"".join(iter(lambda: origin.recv(65_536), b""))
        # The origin was asked to close; our client was not.
        fields, end, content = response.partition(b"\r\n\r\n")
        lines = [line for line in fields.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        connection.sendall(b"\r\n".join(lines) + end + content)
        return any(line.lower().startswith((b"content-length:", b"transfer-encoding:")) for line in lines)


def _for_origin(head: Head, body: bytes) -> bytes:
    """The request in origin form, unchunked, and the last one on its connection."""
    parts = urlsplit(head.target)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    dropped = (*HOP_BY_HOP, "content-length", "transfer-encoding")
    fields = [(name, value) for name, value in head.headers if name.lower() not in dropped]
    if body or head.get("content-length") or head.get("transfer-encoding"):
        fields.append(("Content-Length", str(len(body))))
    fields += [("Via", "1.1 scripted"), ("Connection", "close")]
    lines = [f"{head.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
