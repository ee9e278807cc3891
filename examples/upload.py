"""Uploads a file with a progress bar, and checks that it has arrived.

    python examples/upload.py video.mp4 https://api.example.com/files --field file

sends the file as a field of a form, `multipart/form-data`, as a browser does; without `--field`, as the content of a
PUT. It is read as it is sent, so it may be larger than memory. The server answers with JSON, `{"size": …, "sha256":
"…"}`, and what it has received has to be what was sent. A token in API_TOKEN, an environment variable, goes along.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from atomhttp import AtomHTTPError, BearerAuth, SyncAtomHTTP, Timeout
from atomhttp.progress import ProgressBar


@dataclass
class Receipt:
    """What the server says that it has received."""

    size: int
    sha256: str | None = None


def upload(url: str, path: Path, field: str | None) -> Receipt:
    """Sends the file; what the server says to it.

    Raises:
        AtomHTTPError: it could not be sent, or was refused, or the answer is none.
    """
    token = os.environ.get("API_TOKEN")
    with SyncAtomHTTP(auth=BearerAuth(token) if token else None) as client:
        response = client.upload(
            url,
            path,
            field=field,
            on_upload_progress=ProgressBar(path.name),
            # However long all of it takes; but a server that neither takes a byte nor answers is given up.
            timeout=Timeout(connect=10, write=60, read=60),
        )
        return response.json(Receipt)


def find_difference(receipt: Receipt, path: Path) -> str | None:
    """What the server has received otherwise than it was sent; None: nothing."""
    size = path.stat().st_size
    if receipt.size != size:
        return f"the server received {receipt.size} bytes, {size} were sent"
    with path.open("rb") as file:
        if receipt.sha256 not in (None, hashlib.file_digest(file, "sha256").hexdigest()):
            return "the server received something else than was sent"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description="Upload a file, and check that it has arrived.")
    parser.add_argument("file", type=Path)
    parser.add_argument("url")
    parser.add_argument("--field", help="the name of the form's field; without it, no form is sent")
    arguments = parser.parse_args()
    try:
        difference = find_difference(upload(arguments.url, arguments.file, arguments.field), arguments.file)
    except (AtomHTTPError, OSError) as error:
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    if difference is not None:
        sys.exit(f"{parser.prog}: {difference}")
    print(f"{arguments.file.name} has arrived")


if __name__ == "__main__":
    main()
