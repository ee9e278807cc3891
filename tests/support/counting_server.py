"""A server for bodies larger than memory, in a process of its own: neither its memory nor its CPU are the client's.

POST /upload            what was received, as JSON: see `Receipt`; a multipart body is taken apart
  ?hold=NAME            reads nothing of the body before `CountingServer.release(NAME)`
GET  /download?size=N   `pattern_pieces(N)`
  &framing=             length (the default), chunked, or close
  &coding=gzip          compressed
  &name=NAME            as which `CountingServer.counts` knows it
HEAD /download          its head
GET  /empty             204
GET  /counts            `{name: bytes}`: what the sockets have accepted of each download, framing included
POST /release?hold=NAME lets an upload go on

Tests use `run_counting_server`; the process is this module, run by itself, and ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import parse_qs, urlsplit

from support.framing import Head, read_head
from support.server import PATIENCE, LocalServer

# Where `support` and the tests' own programs are found.
TESTS = Path(__file__).resolve().parent.parent

# Known content, mostly zeros: a file of it is sparse, 35 MB on the disk for 2 GiB. The stamps are all different and so
# close to each other that no two blocks of 256 KiB are equal: what was lost, doubled or moved has another hash.
STRIDE = 250_000
STAMP = b"%015d\n"

# What is read at once; small enough for the processor's cache.
BLOCK = 256 * 1024


# Known content


def pattern_pieces(size: int) -> Iterator[bytes]:
    """`size` known bytes, a stamp and its zeros at a time."""
    zeros = bytes(STRIDE - len(STAMP % 0))
    for start in range(0, size, STRIDE):
        yield (STAMP % start + zeros)[: size - start]


def pattern_digest(size: int) -> str:
    """The SHA-256 of `pattern_pieces(size)`."""
    digest = hashlib.sha256()
    for piece in pattern_pieces(size):
        digest.update(piece)
    return digest.hexdigest()


def write_sparse(path: Path, size: int) -> None:
    """A file of `pattern_pieces(size)` that takes a page of the disk for each stamp, and nothing for the zeros."""
    with path.open("wb") as file:
        file.truncate(size)
        for start in range(0, size, STRIDE):
            file.seek(start)
            file.write((STAMP % start)[: size - start])


def compressed_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """`pieces`, as gzip."""
    compressor = zlib.compressobj(1, wbits=16 + zlib.MAX_WBITS)
    for piece in pieces:
        if compressed := compressor.compress(piece):
            yield compressed
    yield compressor.flush()


# What a test holds


class Receipt(NamedTuple):
    """What the server received.

    Attributes:
        size: the content's bytes, without chunk framing.
        framing: "chunked" or "length".
        sha256: the content's hash; of a form, None.
        parts: of a form, name, file name, size and hash of each part, in order.
    """

    size: int
    framing: str
    sha256: str | None
    parts: list[tuple[str, str | None, int, str]]

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Receipt:
        return cls(answer["size"], answer["framing"], answer["sha256"], [tuple(part) for part in answer["parts"]])


class CountingServer:
    """The running server: `url` and, given a certificate, `tls_url`."""

    def __init__(self, ports: list[int]) -> None:
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.tls_url = f"https://127.0.0.1:{ports[1]}" if len(ports) > 1 else None
        self._port = ports[0]

    def counts(self) -> dict[str, int]:
        """How many bytes the server's socket has accepted so far, by the name of the download."""
        counts: dict[str, int] = json.loads(self._ask("GET", "/counts"))
        return counts

    def release(self, name: str) -> None:
        """Lets the upload that is held by that name go on, or not be held at all."""
        self._ask("POST", f"/release?hold={name}")

    def _ask(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            connection.request(method, path)
            return connection.getresponse().read()
        finally:
            connection.close()


@contextlib.contextmanager
def run_counting_server(certificate: Path | None = None) -> Iterator[CountingServer]:
    """The server for the time of the block; AssertionError when something went wrong inside it.

    Args:
        certificate: a PEM file with key and chain: the server then listens with TLS as well.
    """
    arguments = [] if certificate is None else [str(certificate)]
    with subprocess.Popen(
        [sys.executable, "-P", "-W", "error", "-m", "support.counting_server", *arguments],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            ports = process.stdout.readline()
            if not ports:
                raise AssertionError(f"the counting server did not start:\n{process.stderr.read()}")
            yield CountingServer(json.loads(ports))
            process.stdin.close()
            process.wait(PATIENCE)
        finally:
            process.kill()
            complaints = process.stderr.read()
        if process.returncode or complaints:
            raise AssertionError(f"the counting server ended with {process.returncode}:\n{complaints}")


# What runs in the other process


class _Transfers:
    """What all of the server's connections share."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.releases: defaultdict[str, threading.Event] = defaultdict(threading.Event)


class _Server(LocalServer):
    def __init__(self, transfers: _Transfers, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self._transfers = transfers

    def serve(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as stream:
            while (head := read_head(stream)) is not None:
                if not self._answer(connection, stream, head):
                    return

    def _answer(self, connection: socket.socket, stream: BinaryIO, head: Head) -> bool:
        """Whether the connection can be used again."""
        target = urlsplit(head.target)
        query = {name: values[0] for name, values in parse_qs(target.query, keep_blank_values=True).items()}
        if target.path == "/upload":
            if "hold" in query and not self._transfers.releases[query["hold"]].wait(PATIENCE):
                raise ValueError(f"nobody released {head.target}")
            _send_json(connection, _receive(stream, head)._asdict())
        elif target.path == "/download":
            name = query.pop("name", "")
            head_bytes, pieces = _build_download(**query)
            connection.sendall(head_bytes)
            if head.method != "HEAD":
                _send_counted(connection, pieces, self._transfers.counts, name)
            return query.get("framing") != "close"
        elif target.path == "/empty":
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif target.path == "/counts":
            _send_json(connection, self._transfers.counts.copy())  # other threads add to it
        elif target.path == "/release":
            self._transfers.releases[query["hold"]].set()
            _send_json(connection, None)
        else:
            raise ValueError(f"unknown: {head.target}")
        return True


def _send_json(connection: socket.socket, value: object) -> None:
    body = json.dumps(value).encode()
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def _build_download(size: str, framing: str = "length", coding: str = "") -> tuple[bytes, Iterable[bytes]]:
    """The head of the answer, and what comes behind it."""
    pieces: Iterable[bytes] = pattern_pieces(int(size))
    length = int(size)
    if coding:
        pieces = compressed_pieces(pieces)
    if coding and framing == "length":
        pieces = list(pieces)
        length = sum(map(len, pieces))
    fields = {
        "length": b"Content-Length: %d\r\n" % length,
        "chunked": b"Transfer-Encoding: chunked\r\n",
        "close": b"Connection: close\r\n",
    }
    coded = b"Content-Encoding: gzip\r\n" if coding else b""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n%b%b\r\n" % (fields[framing], coded)
    return head, _chunk(pieces) if framing == "chunked" else pieces


def _send_counted(connection: socket.socket, pieces: Iterable[bytes], counts: dict[str, int], name: str) -> None:
    counts[name] = 0
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            # The socket has a timeout: this sends what fits, and never waits for all of it to fit.
            sent = connection.send(rest)
            counts[name] += sent
            rest = rest[sent:]


def _chunk(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _receive(stream: BinaryIO, head: Head) -> Receipt:
    size = 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for block in _read_blocks(stream, head):
            size += len(block)
            yield block

    boundary = re.search(r'multipart/form-data; boundary="?([^";]+)', head.get("content-type"))
    framing = "chunked" if head.get("transfer-encoding").lower() == "chunked" else "length"
    if boundary is not None:
        parts = list(_read_parts(counted(), boundary[1].encode()))
        return Receipt(size, framing, None, parts)
    sha256 = _measure(counted())[1]
    return Receipt(size, framing, sha256, [])


def _read_blocks(stream: BinaryIO, head: Head) -> Iterator[bytes]:
    """The content of a request, in blocks that need no memory to speak of."""
    if head.get("transfer-encoding").lower() != "chunked":
        yield from _read_sized(stream, int(head.get("content-length", "0")))
        return
    while size := int(_read_line(stream), 16):
        yield from _read_sized(stream, size)
        if _read_line(stream):
            raise ValueError("the chunk is longer than its size says")
    if _read_line(stream):
        raise ValueError("trailers, which nobody sent")


def _read_sized(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        block = stream.read(min(size, BLOCK))
        if not block:
            raise EOFError(f"the client closed {size} bytes before the end")
        size -= len(block)
        yield block


def _read_line(stream: BinaryIO) -> bytes:
    line = stream.readline(1000)
    if not line.endswith(b"\r\n"):
        raise EOFError(f"no line of chunked framing: {line[:40]!r}")
    return line[:-2]


def _read_parts(blocks: Iterator[bytes], boundary: bytes) -> Iterator[tuple[str, str | None, int, str]]:
    scanner = _Scanner(blocks)
    delimiter = b"\r\n--" + boundary
    if any(scanner.until(delimiter)):
        raise ValueError("the form does not begin with its boundary")
    while (behind := b"".join(scanner.until(b"\r\n"))) != b"--":
        if behind:
            raise ValueError(f"behind a boundary: {behind[:40]!r}")
        head = b"".join(scanner.until(b"\r\n\r\n")).decode()
        names = re.search(r'form-data; name="([^"]*)"(?:; filename="([^"]*)")?', head)
        if names is None:
            raise ValueError(f"a part without a name: {head!r}")
        yield names[1], names[2], *_measure(scanner.until(delimiter))
    if rest := next(blocks, b"") or scanner.held:
        raise ValueError(f"behind the form: {rest[:40]!r}")


class _Scanner:
    """Finds marks in a stream of blocks, without holding more than one of them."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        # Each boundary has a line break before it, the first one too.
        self.held = b"\r\n"

    def until(self, mark: bytes) -> Iterator[bytes]:
        """What comes before `mark`, and passes over it."""
        kept = len(mark) - 1
        while (at := self.held.find(mark)) < 0:
            before, self.held = self.held[:-kept], self.held[-kept:]
            if before:
                yield before
            block = next(self._blocks, b"")
            if not block:
                raise EOFError(f"the form ends before {mark!r}")
            self.held += block
        before, self.held = self.held[:at], self.held[at + len(mark) :]
        if before:
            yield before


def _measure(pieces: Iterable[bytes]) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    for piece in pieces:
        size += len(piece)
        digest.update(piece)
    return size, digest.hexdigest()


def main() -> None:
    """Serves until standard input ends, which it also does when the tests are killed."""
    transfers = _Transfers()
    servers = [_Server(transfers)]
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1])
        servers.append(_Server(transfers, context))
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(server).port for server in servers]
        print(json.dumps(ports), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
