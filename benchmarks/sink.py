"""The server of uploads: it answers when it has received the whole body, and says what that was.

nginx cannot: `return` answers before it has read the body, and everything that reads one stores it, which takes longer
than sending it. Plain bodies are discarded inside the kernel (MSG_TRUNC), so that this end is faster than any client.

/count    how many bytes came
/digest   and their CRC-32: slower than sending them, so it is asked once, before the clock starts
/form     the size and the CRC-32 of each part of a multipart form
/echo     the body itself
"""

import json
import re
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from typing import Any

PIECE = 1024 * 1024
READ_AHEAD = 64 * 1024


def serve_sink(plain: socket.socket, tls: socket.socket, certificate: str, key: str) -> None:
    """Serve both listeners until the process is ended."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    threading.Thread(target=accept, args=(tls, context), daemon=True).start()
    accept(plain, None)


def accept(listener: socket.socket, context: ssl.SSLContext | None) -> None:
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=converse, args=(sock, context), daemon=True).start()


def converse(sock: socket.socket, context: ssl.SSLContext | None) -> None:
    # A client that goes away has got what it wanted, or tells so itself.
    with suppress(OSError):
        if context:
            sock = context.wrap_socket(sock, server_side=True)
        with sock, sock.makefile("rb") as reader:
            while Exchange(sock, reader).serve():
                pass


class Exchange:
    """One request and its answer."""

    def __init__(self, sock: socket.socket, reader: BufferedReader) -> None:
        self.sock = sock
        self.reader = reader
        self.fields: dict[str, str] = {}

    def serve(self) -> bool:
        """Whether there was a request at all."""
        line = self.reader.readline().decode()
        if not line:
            return False
        _, path, _ = line.split(" ")
        while line := self.reader.readline().decode().rstrip():
            name, _, value = line.partition(":")
            self.fields[name.lower()] = value.strip()
        if self.fields.get("expect") == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        content = self.answer(path)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        self.sock.sendall(head.encode() + content)
        return True

    def answer(self, path: str) -> bytes:
        match path:
            case "/count":
                receipt: Any = {"received": self.count()}
            case "/digest":
                received = checksum = 0
                for piece in self.pieces():
                    received, checksum = received + len(piece), zlib.crc32(piece, checksum)
                receipt = {"received": received, "crc32": checksum}
            case "/form":
                receipt = describe_form(self.fields["content-type"], b"".join(map(bytes, self.pieces())))
            case "/echo":
                return b"".join(map(bytes, self.pieces()))
            case _:
                raise OSError(f"nothing is at {path}")
        return json.dumps(receipt).encode()

    def count(self) -> int:
        if "content-length" not in self.fields or isinstance(self.sock, ssl.SSLSocket):
            return sum(len(piece) for piece in self.pieces())
        size = left = int(self.fields["content-length"])
        if left:
            left -= len(self.reader.read1(min(left, READ_AHEAD)))
        place = bytearray(PIECE)
        while left:
            count = self.sock.recv_into(place, min(left, PIECE), socket.MSG_TRUNC)
            if not count:
                raise ConnectionResetError
            left -= count
        return size

    def pieces(self) -> Iterator[memoryview]:
        if "content-length" in self.fields:
            yield from self.read(int(self.fields["content-length"]))
            return
        while size := int(self.reader.readline().split(b";")[0], 16):
            yield from self.read(size)
            self.reader.readline()
        while self.reader.readline().rstrip():
            pass

    def read(self, size: int) -> Iterator[memoryview]:
        place = memoryview(bytearray(min(size, PIECE)))
        while size:
            count = self.reader.readinto(place[:size])
            if not count:
                raise ConnectionResetError
            yield place[:count]
            size -= count


def describe_form(content_type: str, body: bytes) -> dict[str, tuple[int, int]]:
    """Name, size and CRC-32 of each part."""
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    parts = {}
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.removesuffix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'[; ]name="?([^";]+)', head)
        parts[name[1].decode() if name else ""] = len(content), zlib.crc32(content)
    return parts
