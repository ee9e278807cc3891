"""Reading HTTP/1.1 requests from a blocking stream. On purpose it shares nothing with the engine that writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Head:
    """One request head, and the exact bytes it came in."""

    raw: bytes
    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]

    def get(self, name: str, default: str = "") -> str:
        """The first field of that name, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), default)


def read_head(stream: BinaryIO) -> Head | None:
    """The next head; None when the client closed before its first byte. EOFError when it closed inside one."""
    lines: list[bytes] = []
    while not lines or lines[-1] != b"\r\n":
        line = stream.readline()
        if not line and not lines:
            return None
        if not line.endswith(b"\r\n"):
            raise EOFError(f"the client closed inside the head: {b''.join([*lines, line])!r}")
        lines.append(line)
    method, target, version = lines[0].decode("latin-1").rstrip("\r\n").split(" ")
    fields = [line.decode("latin-1").rstrip("\r\n").partition(":") for line in lines[1:-1]]
    return Head(b"".join(lines), method, target, version, [(name, value.strip()) for name, _, value in fields])


def read_body(stream: BinaryIO, head: Head) -> bytes:
    """The body that belongs to `head`, unchunked; trailers are read and dropped."""
    if head.get("transfer-encoding").lower() != "chunked":
        return read_exactly(stream, int(head.get("content-length", "0")))
    body = bytearray()
    while size := int(_line(stream).partition(b";")[0], 16):
        body += read_exactly(stream, size)
        if _line(stream):
            raise ValueError("the chunk is longer than its size says")
    while _line(stream):
        pass
    return bytes(body)


def read_exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError(f"the client closed after {len(data)} of {size} bytes")
    return data


def _line(stream: BinaryIO) -> bytes:
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise EOFError(f"the client closed inside a line: {line!r}")
    return line[:-2]
