"""A SOCKS5 server (RFC 1928, RFC 1929) in the test's own process: it remembers what it was asked for, address or name.

with SocksServer(destinations={"origin.test": origin.port}) as socks:
    ...  # through f"socks5h://127.0.0.1:{socks.port}" to http://origin.test/
assert [(each.kind, each.host, each.port) for each in socks.asked] == [("name", "origin.test", 80)]
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

from support.framing import read_exactly
from support.tunnels import ExactReader, TunnelServer

NO_AUTH, PASSWORD, NONE_ACCEPTABLE = 0, 2, 0xFF
SUCCEEDED, HOST_UNREACHABLE, REFUSED = 0, 4, 5
KINDS: dict[int, Literal["ipv4", "name", "ipv6"]] = {1: "ipv4", 3: "name", 4: "ipv6"}

Stage = Literal["method", "auth", "request"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived: the kind of address that it names, and by whom (None: without credentials)."""

    kind: Literal["ipv4", "name", "ipv6"]
    host: str
    port: int
    credentials: tuple[str, str] | None
    connection: int


def socks_address(host: str, port: int) -> bytes:
    """An address as the protocol writes it: kind, host, port."""
    try:
        address = ip_address(host)
    except ValueError:
        return bytes([3, len(host)]) + host.encode() + port.to_bytes(2, "big")
    return bytes([1 if address.version == 4 else 4]) + address.packed + port.to_bytes(2, "big")


class SocksServer(TunnelServer):
    """The server.

    Args:
        credentials: who may use it; without, nobody is asked.
        destinations: where `host:port`, or `host` at any port, really is: a port of this machine.
        refusal: the code that every request is answered with, in place of a connection (RFC 1928 section 6).
        bound: the address that a success names; `socks_address` writes one.
        instead: by stage, the bytes that are sent in place of the answer; then nothing more comes until the client
            ends the connection. No bytes: it is ended at once.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        credentials: tuple[str, str] | None = None,
        destinations: Mapping[str, int] | None = None,
        refusal: int | None = None,
        bound: bytes | None = None,
        instead: Mapping[Stage, bytes] | None = None,
    ) -> None:
        super().__init__(host=host, destinations=destinations)
        self.credentials = credentials
        self.refusal = refusal
        self.bound = socks_address("0.0.0.0", 0) if bound is None else bound
        self.instead: dict[Stage, bytes] = dict(instead or {})
        self.asked: list[Asked] = []
        """Every request, in order of arrival."""
        self.offered: list[bytes] = []
        """The methods that each client offered."""

    # One connection

    def serve(self, connection: socket.socket, number: int) -> None:
        stream = self.read_from(connection, number)
        version = stream.read(1)
        if not version:
            return  # it was only tried whether somebody is here
        if version != b"\x05":
            raise ValueError(f"the client speaks version {version!r}, not 5")
        offered = read_exactly(stream, read_exactly(stream, 1)[0])
        self.offered.append(offered)
        wanted = NO_AUTH if self.credentials is None else PASSWORD
        method = wanted if wanted in offered else NONE_ACCEPTABLE
        if not self._answer(connection, stream, "method", bytes([5, method])) or method == NONE_ACCEPTABLE:
            return
        given = None
        if method == PASSWORD:
            given = _read_credentials(stream)
            known = given == self.credentials
            if not self._answer(connection, stream, "auth", bytes([1, 0 if known else 1])) or not known:
                return
        kind, host, port = _read_request(stream)
        with self.change:
            self.asked.append(Asked(kind, host, port, given, number))
            self.change.notify_all()
        self._serve_request(connection, stream, host, port, number)

    def _serve_request(self, connection: socket.socket, stream: ExactReader, host: str, port: int, number: int) -> None:
        if self.refusal is not None:
            self._answer(connection, stream, "request", bytes([5, self.refusal, 0]) + self.bound)
            return
        with contextlib.ExitStack() as stack:
            try:
                origin = stack.enter_context(self.dial(host, port, number))
            except OSError as error:
                code = REFUSED if isinstance(error, ConnectionRefusedError) else HOST_UNREACHABLE
                self._answer(connection, stream, "request", bytes([5, code, 0]) + self.bound)
                return
            if self._answer(connection, stream, "request", bytes([5, SUCCEEDED, 0]) + self.bound):
                self.relay(connection, origin, number)

    def _answer(self, connection: socket.socket, stream: ExactReader, stage: Stage, answer: bytes) -> bool:
        """Whether the conversation goes on."""
        if stage not in self.instead:
            connection.sendall(answer)
            return True
        connection.sendall(self.instead[stage])
        while self.instead[stage] and stream.read(1):
            pass
        return False


def _read_credentials(stream: ExactReader) -> tuple[str, str]:
    if (version := read_exactly(stream, 1)) != b"\x01":
        raise ValueError(f"the client's authentication is of version {version!r}, not 1")
    username = read_exactly(stream, read_exactly(stream, 1)[0])
    password = read_exactly(stream, read_exactly(stream, 1)[0])
    return username.decode(), password.decode()


def _read_request(stream: ExactReader) -> tuple[Literal["ipv4", "name", "ipv6"], str, int]:
    start = read_exactly(stream, 4)
    if start[:3] != b"\x05\x01\x00" or start[3] not in KINDS:
        raise ValueError(f"no CONNECT request: {start!r}")
    kind = KINDS[start[3]]
    if kind == "name":
        host = read_exactly(stream, read_exactly(stream, 1)[0]).decode("ascii")
    elif kind == "ipv4":
        host = str(IPv4Address(read_exactly(stream, 4)))
    else:
        host = str(IPv6Address(read_exactly(stream, 16)))
    return kind, host, int.from_bytes(read_exactly(stream, 2), "big")
