"""`checksum="sha256:…"`: what a download has to come to."""

from __future__ import annotations

from typing import NamedTuple

from atomhttp.errors import AtomHTTPOptionError


class Checksum(NamedTuple):
    """A digest, in lower-case hexadecimal, and the algorithm's name for `hashlib`."""

    algorithm: str
    digest: str


def parse_checksum(given: object) -> Checksum | None:
    """A `checksum` argument: `algorithm:hexadecimal digest`, with any algorithm of `hashlib`; None for None.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE.
    """
    if given is None:
        return None
    import hashlib  # 3 ms of every start

    if not isinstance(given, str):
        raise _bad("'sha256:' and a hexadecimal digest, or None", type(given).__name__)
    algorithm, _, digest = given.partition(":")
    algorithm, digest = algorithm.strip().lower().replace("sha-", "sha"), digest.strip().lower()
    if algorithm not in hashlib.algorithms_available:
        raise _bad("'sha256:' and a hexadecimal digest (or another algorithm of hashlib)", repr(given[:80]))
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size * 2
    if not size:
        raise _bad("an algorithm whose digests have one length", repr(given[:80]))
    if len(digest) != size or not set(digest) <= set("0123456789abcdef"):
        raise _bad(f"{size} hexadecimal digits after '{algorithm}:'", repr(given[:200]))
    return Checksum(algorithm, digest)


def _bad(expected: str, shown: str) -> AtomHTTPOptionError:
    return AtomHTTPOptionError(f"checksum: expected {expected}, got {shown}", "ERR_BAD_OPTION_VALUE")
