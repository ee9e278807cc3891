"""Files with validators and ranges, sent as far as the test says."""

from __future__ import annotations

import hashlib
import socket
import threading

from support.framing import Head, read_head
from support.server import PATIENCE, LocalServer


class FileServer(LocalServer):
    """Serves `files`, each at its name.

    Attributes:
        stall: a file's name, and after how many bytes its sending waits for `release`.
        cut: a file's name, and after how many bytes the connection is closed, the first time.
        asked: what was asked for: the name, and the value of Range, "" when there was none.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__()
        self.files = files
        self.stall: dict[str, int] = {}
        self.cut: dict[str, int] = {}
        self.asked: list[tuple[str, str]] = []
        self.release = threading.Event()

    def close(self) -> None:
        self.release.set()
        super().close()

    def serve(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as stream:
            while (head := read_head(stream)) is not None:
                name = head.target.removeprefix("/")
                with self.change:
                    self.asked.append((name, head.get("Range")))
                if name not in self.files:
                    connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone")
                elif not self._send(connection, head, name):
                    return

    def _send(self, connection: socket.socket, head: Head, name: str) -> bool:
        """Sends a file, or the rest of it; whether the connection is to be used on."""
        content = self.files[name]
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        start = int(head.get("Range")[6:-1]) if head.get("If-Range") == tag else 0
        fields = [f"Content-Length: {len(content) - start}", f"ETag: {tag}"]
        if start:
            fields.append(f"Content-Range: bytes {start}-{len(content) - 1}/{len(content)}")
        status = "206 Partial Content" if start else "200 OK"
        connection.sendall("\r\n".join([f"HTTP/1.1 {status}", *fields, "\r\n"]).encode())
        if not start and (end := self.cut.pop(name, 0)):
            connection.sendall(content[:end])
            return False
        end = self.stall.get(name, len(content))
        connection.sendall(content[start:end])
        if end < len(content):
            self.release.wait(PATIENCE)
            connection.sendall(content[max(start, end) :])
        return True
