"""What a client has to be able to do; what it does not offer stays as it is here."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.origin import Target

Reply = tuple[int, Any]
Sink = Callable[[Any], object]


class UnsupportedError(Exception):
    """The client cannot do what the row asks for."""


class AsyncPeer:
    """One asynchronous client: set up, asked, closed.

    `connections` is how many may be open at a time; a reply is the status and the decoded JSON, or the bytes of `blob`.
    """

    async def setup(self, target: Target, connections: int) -> None:
        raise UnsupportedError

    async def get(self, url: str) -> Reply:
        raise UnsupportedError

    async def post(self, url: str, value: Any) -> Reply:
        """Send a value as JSON."""
        raise UnsupportedError

    async def form(self, url: str, title: str, content: bytes) -> Reply:
        """Send a multipart form: the field `title`, and `content` as the file `file`."""
        raise UnsupportedError

    async def upload(self, url: str, path: str) -> Reply:
        """Send a file as a body."""
        raise UnsupportedError

    async def stream(self, url: str, sink: Sink) -> int:
        """Hand a body to `sink` piece by piece, and return the status."""
        raise UnsupportedError

    async def blob(self, url: str) -> Reply:
        raise UnsupportedError

    async def close(self) -> None:
        raise UnsupportedError


class SyncPeer:
    """One synchronous client."""

    def setup(self, target: Target) -> None:
        raise UnsupportedError

    def get(self, url: str) -> Reply:
        raise UnsupportedError

    def close(self) -> None:
        raise UnsupportedError


def trust(target: Target) -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=target.ca) if target.ca else None


def without_unix(target: Target) -> Target:
    if target.unix:
        raise UnsupportedError
    return target


def without_http2(target: Target) -> Target:
    if target.http2:
        raise UnsupportedError
    return target


def read_file(path: str) -> bytes:
    """For clients that send bytes only, or send them faster than anything else."""
    return Path(path).read_bytes()
