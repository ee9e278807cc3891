"""What is sent back and forth, the same for every client; each is built once and compared as a whole."""

import hashlib
import json
import random
from typing import Any

FILE_SIZE = 100_000_000

SMALL: dict[str, Any] = {
    "id": 4711815,
    "name": "Ada Lovelace",
    "email": "ada@example.org",
    "active": True,
    "tags": ["analyst", "poet"],
}


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


SMALL_BYTES = compact(SMALL)
assert len(SMALL_BYTES) == 102

UPLOAD: list[dict[str, Any]] = [{"id": number, "name": f"item {number}", "price": number / 4} for number in range(240)]
# Some clients write JSON compactly and some with a blank after each comma and colon; both are right.
UPLOAD_SIZES = {len(json.dumps(UPLOAD)), len(compact(UPLOAD))}


def build_record(number: int) -> dict[str, Any]:
    """A row as an API hands it out: some of it repeats, some does not, so that gzip makes a fifth or so of it."""
    return {
        "id": number,
        "key": hashlib.md5(b"%d" % number, usedforsecurity=False).hexdigest(),
        "name": f"customer {number * 7919 % 1000}",
        "email": f"customer{number}@example.org",
        "balance": number * 7919 % 100_000 / 4,
        "active": number % 3 > 0,
        "tags": ["analyst", "poet", "mathematician"][: number % 4],
        "address": {"street": f"{number % 90} St James's Square", "city": "London", "zip": f"SW1Y {number % 10}LE"},
    }


LARGE: list[dict[str, Any]] = [build_record(number) for number in range(420)]
LARGE_BYTES = compact(LARGE)
assert 95_000 < len(LARGE_BYTES) < 105_000

# A form of one field and one file. The rest of what is sent is boundaries and part headers, each client's own.
FORM_TITLE = "the analytical engine"
FORM_FILE = random.Random(2).randbytes(1_000_000)
FORM_OVERHEAD = 2_000
