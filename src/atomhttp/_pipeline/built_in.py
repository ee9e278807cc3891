"""The header fields that every client begins with."""

from __future__ import annotations

from atomhttp._body.compression import accept_encoding
from atomhttp._version import __version__


def built_in_headers() -> dict[str, str]:
    """What every request says of its client unless told otherwise."""
    return {
        "Accept": "application/json, text/plain, */*",
        "User-Agent": f"atomhttp/{__version__}",
        "Accept-Encoding": accept_encoding(),
    }
