"""A small origin for the demonstration: one thread, one event loop, standard library only.

It listens on TCP, on TCP with TLS, and on a unix socket:

/hello          a greeting, as JSON
/echo           what was received, as JSON
/download       `DOWNLOAD_SIZE` bytes, at about `DOWNLOAD_RATE` bytes a second, their SHA-256 in `X-Sha256`
/after/SECONDS  an answer that takes so long
anything else   404
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import ssl
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

PIECE = random.Random(1).randbytes(256 * 1024)
PIECES = 128
DOWNLOAD_SIZE = PIECES * len(PIECE)
DOWNLOAD_RATE = 25_000_000
HAS_UNIX_SOCKETS = hasattr(asyncio.get_event_loop_policy(), "get_child_watcher") or hasattr(asyncio, "open_unix_connection")


@dataclass(frozen=True)
class Origin:
    """Where it listens; `ca` is the file of the authority behind its certificate."""

    url: str
    tls_url: str
    socket_path: str | None
    ca: str


@contextlib.contextmanager
def run_origin() -> Iterator[Origin]:
    """The origin, listening while the block runs."""
    with tempfile.TemporaryDirectory(prefix="atomhttp-demo-") as directory:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="origin", daemon=True)
        thread.start()
        try:
            yield asyncio.run_coroutine_threadsafe(_listen(Path(directory)), loop).result()
        finally:
            asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
