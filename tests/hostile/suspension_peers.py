"""Who serves in a network in memory: an origin, with TLS too, and proxies. Each answer says what it is an answer to.

An origin's paths: `/KIND/anything`, and KIND says how it answers (see `ANSWERS`). What it is asked goes into
`Network.requests` as soon as the head is there.
"""

from __future__ import annotations

import gzip
import ipaddress
import ssl
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from hostile.suspension_network import Network, Peer

Steps = Generator[None, None, None]


@dataclass(frozen=True)
class Asked:
    """A request's head."""

    method: str
    target: str
    fields: dict[str, str]
    # What came right behind the head.
    surplus: bytes

    @property
    def kind(self) -> str:
        return self.target.split("/")[1].partition("?")[0]

    @property
    def line(self) -> str:
        return f"{self.method} {self.target}"


class Reader:
    """Reads requests from a wire."""

    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self._held = b""

    def head(self) -> Generator[None, None, Asked | None]:
        """The next head; None when the client has left."""
        while b"\r\n\r\n" not in self._held:
            received = yield from self.wire.receive()
            if not received:
                return None
            self.wire.busy = True
            self._held += received
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        fields = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        return Asked(method, target, fields, self._held)

    def body(self, asked: Asked) -> Generator[None, None, bytes | None]:
        """The content of the request whose head was read last; None when the client has left before its end."""
        if asked.fields.get("transfer-encoding") != "chunked":
            return (yield from self._exactly(int(asked.fields.get("content-length", 0))))
        body = b""
        while True:
            line = yield from self._line()
            if line is None:
                return None
            chunk = yield from self._exactly(int(line, 16) + 2)
            if chunk is None:
                return None
            if chunk == b"\r\n":
                return body
            body += chunk[:-2]

    def _line(self) -> Generator[None, None, bytes | None]:
        while b"\r\n" not in self._held:
            if not (yield from self._more()):
                return None
        line, _, self._held = self._held.partition(b"\r\n")
        return line

    def _exactly(self, size: int) -> Generator[None, None, bytes | None]:
        while len(self._held) < size:
            if not (yield from self._more()):
                return None
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def _more(self) -> Generator[None, None, bool]:
        received = yield from self.wire.receive()
        self._held += received
        return bool(received)


class TLSWire:
    """A wire inside TLS."""

    def __init__(self, wire: Any, context: ssl.SSLContext) -> None:
        self.network: Network = wire.network
        self._wire = wire
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    @property
    def busy(self) -> bool:
        return bool(self._wire.busy)

    @busy.setter
    def busy(self, value: bool) -> None:
        self._wire.busy = value

    def handshake(self) -> Generator[None, None, bool]:
        """Whether there is TLS from here on."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                received = yield from self._wire.receive()
                if not received:
                    return False
                self._incoming.write(received)
            except ssl.SSLError:
                self._flush()
                return False
            else:
                self._flush()
                return True

    def poll(self) -> bytes | None:
        while True:
            try:
                return self._tls.read(65_536)
            except ssl.SSLWantReadError:
                received: bytes | None = self._wire.poll()
                if not received:
                    return received
                self._incoming.write(received)
            except ssl.SSLError:
                # close_notify, or what a broken connection leaves.
                return b""

    def has_its_say(self) -> None:
        self._wire.has_its_say()

    def receive(self) -> Generator[None, None, bytes]:
        while (received := self.poll()) is None:
            yield
        return received

    def send(self, data: bytes) -> None:
        self._tls.write(data)
        self._flush()

    def _flush(self) -> None:
        # In two pieces: whoever waits for a record, or for a step of the handshake, waits twice.
        data = self._outgoing.read()
        for piece in (data[: len(data) // 2], data[len(data) // 2 :]):
            if piece:
                self._wire.send(piece)

    def end(self) -> None:
        try:
            self._tls.unwrap()
        except (ssl.SSLError, ValueError):
            pass  # the client's answer is not waited for
        self._flush()
        self._wire.end()

    def reset(self) -> None:
        self._wire.reset()


# The origin


def origin(wire: Any) -> Steps:
    """Serves HTTP/1.1 on `wire` until the client has left, or an answer says that the connection ends."""
    reader = Reader(wire)
    served = 0
    while True:
        asked = yield from reader.head()
        if asked is None:
            return
        if asked.target.startswith("http://"):
            # To a proxy.
            asked = Asked(asked.method, "/" + asked.target.split("/", 3)[3], asked.fields, asked.surplus)
        wire.network.requests.append(asked.line)
        served += 1
        stays = yield from ANSWERS[asked.kind](wire, asked, reader, served)
        if not stays:
            return
        wire.busy = False


def echo(asked: Asked, body: bytes = b"") -> bytes:
    """What the answer to `asked` holds."""
    return f"{asked.line} {len(body)}".encode()


def expected(method: str, path: str, size: int = 0) -> str:
    """The same, from the client's side."""
    return f"{method} {path} {size}"


def _head(status: int = 200, fields: str = "", length: int | None = None) -> bytes:
    framing = "" if length is None else f"Content-Length: {length}\r\n"
    return f"HTTP/1.1 {status} Status\r\nContent-Type: text/plain\r\n{framing}{fields}\r\n".encode()


def _in_pieces(wire: Any, *pieces: bytes) -> None:
    for piece in pieces:
        if piece:
            wire.send(piece)


Answer = Generator[None, None, bool]


def _plain(wire: Any, asked: Asked, reader: Reader, served: int, **head: Any) -> Answer:
    body = yield from reader.body(asked)
    if body is None:
        return False
    content = echo(asked, body)
    answer = _head(length=len(content), **head) + (b"" if asked.method == "HEAD" else content)
    middle = len(answer) - 5
    _in_pieces(wire, answer[:20], answer[20:middle], answer[middle:])
    return True


def _chunked(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    body = yield from reader.body(asked)
    if body is None:
        return False
    content = echo(asked, body)
    half = len(content) // 2
    first, second = content[:half], content[half:]
    _in_pieces(
        wire,
        _head(fields="Transfer-Encoding: chunked\r\n"),
        b"%x\r\n%b\r\n%x" % (len(first), first, len(second)),
        b"\r\n%b\r\n" % second,
        b"0\r\nX-Trailer: yes\r\n\r\n",
    )
    return True


def _close(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    """Content up to the end of the connection."""
    yield from reader.body(asked)
    content = echo(asked)
    _in_pieces(wire, _head(), content[:4], content[4:])
    wire.end()
    return False


def _gzip(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    yield from reader.body(asked)
    content = gzip.compress(echo(asked), mtime=0)
    _in_pieces(wire, _head(fields="Content-Encoding: gzip\r\n", length=len(content)), content[:12], content[12:])
    return True


def _large(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    """600,000 bytes, more than the engine holds for a stream that nobody reads."""
    yield from reader.body(asked)
    content = echo(asked).ljust(600_000, b".")
    _in_pieces(wire, _head(length=len(content)), *(content[at : at + 150_000] for at in range(0, 600_000, 150_000)))
    return True


def _lines(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    yield from reader.body(asked)
    content = b"one\ntw" + b"o\r\nthree"
    _in_pieces(wire, _head(length=len(content)), content[:6], content[6:])
    return True


def _interim(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    _in_pieces(wire, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    return (yield from _plain(wire, asked, reader, served))


def _continue(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    if asked.fields.get("expect") == "100-continue":
        _in_pieces(wire, b"HTTP/1.1 100 Continue\r\n\r\n")
    return (yield from _plain(wire, asked, reader, served))


def _early(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    """Refuses the content before it is there, and reads no more of it."""
    content = echo(asked)
    _in_pieces(wire, _head(413, "Connection: close\r\n", len(content)), content)
    wire.end()
    return False
    yield  # as all of them


def _eager(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    """Answers before the content is there, and reads it all the same."""
    content = echo(asked)
    _in_pieces(wire, _head(length=len(content)), content)
    return (yield from reader.body(asked)) is not None


def _refuse(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    return (yield from _plain(wire, asked, reader, served, status=500))


def _redirect(status: int, location: str) -> Callable[..., Answer]:
    def answer(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
        where = location + asked.target.split("/", 2)[2]
        return (yield from _plain(wire, asked, reader, served, status=status, fields=f"Location: {where}\r\n"))

    return answer


def _busy(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    """503 for the first, a good answer for those that come after it."""
    status = 503 if wire.network.requests.count(asked.line) == 1 else 200
    return (yield from _plain(wire, asked, reader, served, status=status))


def _broken(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    """The first one breaks off in the middle of the answer."""
    if wire.network.requests.count(asked.line) > 1:
        return (yield from _plain(wire, asked, reader, served))
    _in_pieces(wire, _head(length=100), b"half")
    wire.end()
    return False


def _stale(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    """Closes instead of answering, where it has served before: the race of an idle connection."""
    if served == 1:
        return (yield from _plain(wire, asked, reader, served))
    wire.end()
    return False


def _refuses_token(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    good = asked.fields.get("authorization") == "Bearer new"
    return (yield from _plain(wire, asked, reader, served, status=200 if good else 401))


def _digest(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    if asked.fields.get("authorization", "").startswith("Digest "):
        return (yield from _plain(wire, asked, reader, served))
    challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256\r\n'
    return (yield from _plain(wire, asked, reader, served, status=401, fields=challenge))


def _cookie(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    return (yield from _plain(wire, asked, reader, served, fields="Set-Cookie: a=b; Path=/\r\n"))


def _held(wire: Any, asked: Asked, reader: Reader, served: int) -> Answer:
    """Answers when the network is released."""
    while not wire.network.released:
        yield
    return (yield from _plain(wire, asked, reader, served))


ANSWERS: dict[str, Callable[..., Answer]] = {
    "plain": _plain,
    "next": _plain,
    "chunked": _chunked,
    "close": _close,
    "gzip": _gzip,
    "large": _large,
    "lines": _lines,
    "interim": _interim,
    "continue": _continue,
    "early": _early,
    "eager": _eager,
    "refuse": _refuse,
    "moved": _redirect(301, "/plain/"),
    "kept": _redirect(307, "/plain/"),
    "other": _redirect(302, "http://other.test/plain/"),
    "twice": _redirect(302, "/moved/"),
    "busy": _busy,
    "broken": _broken,
    "stale": _stale,
    "token": _refuses_token,
    "digest": _digest,
    "cookie": _cookie,
    "held": _held,
}


# TLS and proxies


def behind_tls(context: ssl.SSLContext, peer: Callable[[Any], Steps]) -> Peer:
    """`peer`, but one speaks TLS with it."""

    def serve(wire: Any) -> Steps:
        encrypted = TLSWire(wire, context)
        if (yield from encrypted.handshake()):
            yield from peer(encrypted)
            encrypted.end()

    return serve


def connect_proxy(peers: dict[str, Callable[[Any], Steps]]) -> Callable[[Any], Steps]:
    """A proxy for CONNECT; behind `host:port` of `peers` stands who is given there."""

    def serve(wire: Any) -> Steps:
        asked = yield from Reader(wire).head()
        if asked is None:
            return
        wire.network.requests.append(asked.line)
        wire.busy = False
        _in_pieces(wire, b"HTTP/1.1 200 Conn", b"ection established\r\n\r\n")
        yield from peers[asked.target](wire)

    return serve


def socks_proxy(peers: dict[str, Callable[[Any], Steps]]) -> Callable[[Any], Steps]:
    """A SOCKS5 proxy that wants no credentials; `peers` as for `connect_proxy`."""

    def serve(wire: Any) -> Steps:
        reader = Reader(wire)
        greeting = yield from reader._exactly(2)
        if greeting is None or (yield from reader._exactly(greeting[1])) is None:
            return
        _in_pieces(wire, b"\x05", b"\x00")
        start = yield from reader._exactly(5)
        if start is None:
            return
        size = {1: 4, 3: start[4] + 1, 4: 16}[start[3]] - 1
        rest = yield from reader._exactly(size + 2)
        if rest is None:
            return
        host = rest[:-2].decode() if start[3] == 3 else str(ipaddress.ip_address(start[4:] + rest[:-2]))
        wire.network.requests.append(f"SOCKS {host}:{int.from_bytes(rest[-2:], 'big')}")
        _in_pieces(wire, b"\x05\x00\x00\x01", bytes(6))
        yield from peers[f"{host}:{int.from_bytes(rest[-2:], 'big')}"](wire)

    return serve
