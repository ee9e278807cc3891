"""What the real HTTP/2 servers have to give: the same content for all of them, and for the tests to compare with."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

JSON = json.dumps({"id": 1, "name": "atomhttp", "ok": True}).encode()
TEXT = b"Hello from a server.\n"
GZIP_JSON = json.dumps([{"id": number, "name": f"item {number}"} for number in range(500)]).encode()
BLOB = random.Random(1).randbytes(1 << 20)
BIG = random.Random(2).randbytes(20 << 20)
# Of zeros, and for those only that send files.
HUGE_SIZE = 1 << 30

FILES = {"json": JSON, "text": TEXT, "gzip": GZIP_JSON, "blob": BLOB, "big": BIG}


def write_files(directory: Path) -> None:
    """All of it as files, for servers that have such."""
    directory.mkdir()
    for name, content in FILES.items():
        (directory / name).write_bytes(content)
    (directory / "huge").touch()
    os.truncate(directory / "huge", HUGE_SIZE)  # sparse: no block of it is on the disk
    # Its address without a slash at the end is a redirect to the one with it.
    (directory / "directory").mkdir()
    (directory / "directory" / "index.html").write_bytes(TEXT)
