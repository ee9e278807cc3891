"""What the real HTTP/2 servers have to give: the same content for all of them, and for the tests to compare with."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

JSON = json.dumps({"id": 1, "name": "atomhttp", "ok": True}).encode()
TEXT = b"Hello from a server.\n"
GZIP_JSON = json.dumps([{"id": number, "name": f"item {number}"} for number in range(500)]).encode()
# By a hash, which is the fastest source of bytes that cannot be compressed: each start of a server asks for all of it.
BLOB = hashlib.shake_128(b"blob").digest(1 << 20)
# Two and a half times the largest window that the client gives a stream: what nobody reads does not fit into that.
BIG = hashlib.shake_128(b"big").digest(10 << 20)
FILES = {"json": JSON, "text": TEXT, "gzip": GZIP_JSON, "blob": BLOB, "big": BIG}


def write_files(directory: Path, huge_size: int) -> None:
    """All of it as files, for servers that have such; and a huge one, of zeros."""
    directory.mkdir()
    for name, content in FILES.items():
        (directory / name).write_bytes(content)
    (directory / "huge").touch()
    os.truncate(directory / "huge", huge_size)  # sparse: no block of it is on the disk
    # Its address without a slash at the end is a redirect to the one with it.
    (directory / "directory").mkdir()
    (directory / "directory" / "index.html").write_bytes(TEXT)
