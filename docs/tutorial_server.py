"""The server that the tutorial talks to: `python docs/tutorial_server.py` serves http://localhost:8000.

It needs nothing but Python's standard library, keeps nothing, and listens on this machine only.

GET  /books          the books; `?author=` chooses
GET  /books/N        the book number N, or 404
POST /books          the book that was sent, with a number
POST /covers         what the parts of a form were
GET  /catalogue.csv  a megabyte of text
GET  /slow           an answer after five seconds
GET  /private        200 for whoever signs, else 401
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import threading
from email import policy
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SECRET = b"the tutorial's secret"
BOOKS = [
    {"id": 1, "title": "Notes on the Analytical Engine", "author": "Lovelace", "year": 1843},
    {"id": 2, "title": "The Education of a Computer", "author": "Hopper", "year": 1952},
    {"id": 3, "title": "Automatic Programming", "author": "Hopper", "year": 1955},
]
CATALOGUE = b"".join(b"%05d,a title of some length,an author,1955\n" % number for number in range(25_000))


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    server: Server

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The books, one book, a large file, a slow answer, a private page."""
        url = urlsplit(self.path)
        if url.path == "/books":
            authors = parse_qs(url.query).get("author")
            self.answer([book for book in BOOKS if authors is None or book["author"] in authors])
        elif url.path.startswith("/books/"):
            found = [book for book in BOOKS if str(book["id"]) == url.path.removeprefix("/books/")]
            self.answer(found[0] if found else {"error": "no such book"}, 200 if found else 404)
        elif url.path == "/catalogue.csv":
            self.send(200, "text/csv", CATALOGUE)
        elif url.path == "/slow":
            self.server.closing.wait(5)
            self.answer("at last")
        elif url.path == "/private":
            expected = hmac.new(SECRET, f"GET {url.path}".encode(), hashlib.sha256).hexdigest()
            signed = hmac.compare_digest(self.headers.get("X-Signature", ""), expected)
            self.answer({"welcome": "reader"} if signed else {"error": "not signed"}, 200 if signed else 401)
        else:
            self.answer({"error": "no such page"}, 404)

    def do_POST(self) -> None:
        """A new book, or a form with a cover."""
        content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/books":
            self.answer({"id": len(BOOKS) + 1, **json.loads(content)}, 201)
        elif self.path == "/covers":
            self.answer([self.describe(part) for part in self.read_parts(content)])
        else:
            self.answer({"error": "no such page"}, 404)

    def read_parts(self, content: bytes) -> list[Any]:
        """The parts of a multipart form."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        return list(BytesParser(policy=policy.HTTP).parsebytes(head + content).iter_parts())

    def describe(self, part: Any) -> dict[str, Any]:
        """A field's name and value, or a file's name and size."""
        name = part.get_param("name", header="Content-Disposition")
        content = part.get_payload(decode=True)
        if part.get_filename() is None:
            return {"name": name, "value": content.decode()}
        return {"name": name, "file": part.get_filename(), "size": len(content)}

    def answer(self, value: Any, status: int = 200) -> None:
        """`value` as JSON."""
        self.send(status, "application/json", json.dumps(value).encode())

    def send(self, status: int, content_type: str, content: bytes) -> None:
        """A whole response."""
        try:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except ConnectionError:
            # The client has given up, as it does in the chapter about time.
            self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    """The server, listening but not serving yet; port 0 takes a free one."""

    def __init__(self, port: int = 8000) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        # Ends the slow answer when the server ends.
        self.closing = threading.Event()


def main() -> None:
    """Serves until Ctrl-C."""
    try:
        running = Server()
    except OSError as error:
        sys.exit(f"port 8000: {error.strerror}; is there one running already?")
    with running:
        print("http://localhost:8000 is there; Ctrl-C ends it")
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            print("ended")


if __name__ == "__main__":
    main()
