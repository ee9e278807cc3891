"""The servers that the page names and nobody runs: `api.example.com`, `slow-api.com`, a large file, three posts.

POST /upload          200
GET  /protected       who may come in, as JSON
GET  /posts/N         the post N, as JSON; with `together=3` only when three requests have arrived
POST /api/message     `REPLY`, whatever was sent
GET  /large-file.zip  `LARGE_FILE`, chunked
GET  /                `{"slow": true}`

and everything of `Origin`, which also remembers what it was sent.
"""

from __future__ import annotations

import json
import ssl
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any, NamedTuple

from support.origin import Answer, Origin, Received, pattern

REPLY = {"id": 7, "text": "received"}
LARGE_FILE = b"PK\x03\x04" + pattern(1_000_000)
TITLES = {"/posts/1": "one", "/posts/2": "two", "/posts/3": "three"}


class SeedOrigin(Origin):
    """`together`: how many requests for posts have to have arrived before the first is answered."""

    def __init__(self, *, together: int = 1, tls: ssl.SSLContext | None = None, unix: Path | None = None) -> None:
        super().__init__(tls=tls, unix=unix)
        self._together = together
        self.routes = {
            "/": lambda _: answer({"slow": True}),
            "/upload": lambda _: answer({"stored": True}),
            "/protected": lambda request: answer({"welcome": request.get("Authorization")}),
            "/api/message": lambda _: answer(REPLY),
            "/large-file.zip": lambda _: Answer(
                LARGE_FILE, headers=[("Content-Type", "application/zip")], chunked=True
            ),
            **dict.fromkeys(TITLES, self._post),
        }

    def _post(self, request: Received) -> Answer:
        self.wait_for_requests(self._together)
        return answer({"id": int(request.path.removeprefix("/posts/")), "title": TITLES[request.path]})


def answer(value: Any, status: int = 200) -> Answer:
    """`value` as JSON."""
    return Answer(json.dumps(value).encode(), status, [("Content-Type", "application/json")])


class Part(NamedTuple):
    """One part of a multipart body."""

    name: str
    filename: str | None
    content_type: str | None
    content: bytes


def parts(request: Received) -> list[Part]:
    """The parts of a multipart request, as Python's own mail parser finds them."""
    head = f"Content-Type: {request.get('Content-Type')}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = BytesParser(policy=policy.HTTP).parsebytes(head + request.body)
    assert message.get_content_type() == "multipart/form-data"
    # A mail may have text before and behind its parts, and may lack the end; RFC 7578 knows nothing of that.
    boundary = (message.get_boundary() or "").encode()
    assert request.body.startswith(b"--" + boundary + b"\r\n")
    assert request.body.removesuffix(b"\r\n").endswith(b"\r\n--" + boundary + b"--")
    assert not message.defects
    return [_part(each) for each in message.iter_parts()]


def _part(part: Any) -> Part:
    assert not part.defects
    assert part.get_content_disposition() == "form-data"
    name = part.get_param("name", header="Content-Disposition")
    kind = part.get_content_type() if "Content-Type" in part else None
    return Part(name, part.get_filename(), kind, part.get_payload(decode=True))


def show_parts(request: Received) -> Answer:
    """The form that was uploaded, as JSON: values, and of files name, type and size."""
    shown: list[dict[str, Any]] = []
    for part in parts(request):
        if part.filename is None:
            shown.append({"name": part.name, "value": part.content.decode()})
        else:
            file = {"filename": part.filename, "type": part.content_type, "size": len(part.content)}
            shown.append({"name": part.name, **file})
    return answer(shown)
