from __future__ import annotations

import hashlib
from typing import Any

import pytest

from atomhttp._model.checksum import Checksum, parse_checksum
from atomhttp.errors import AtomHTTPOptionError

DIGEST = hashlib.sha256(b"").hexdigest()


def test_none_is_none() -> None:
    assert parse_checksum(None) is None


@pytest.mark.parametrize(
    "given",
    [
        f"sha256:{DIGEST}",
        f"SHA256:{DIGEST.upper()}",
        f"sha-256:{DIGEST}",
        f"SHA-256: {DIGEST}",
        f" sha256 : {DIGEST} ",
    ],
)
def test_the_algorithm_and_its_digest(given: str) -> None:
    assert parse_checksum(given) == Checksum("sha256", DIGEST)


@pytest.mark.parametrize("algorithm", sorted(hashlib.algorithms_available))
def test_every_algorithm_of_hashlib_is_one_or_says_why_not(algorithm: str) -> None:
    """Some have digests of any length, and some are there in name only."""
    try:
        digest = hashlib.new(algorithm, b"", usedforsecurity=False).hexdigest()
    except (ValueError, TypeError):
        with pytest.raises(AtomHTTPOptionError, match=r"^checksum: "):
            parse_checksum(f"{algorithm}:00")
    else:
        assert parse_checksum(f"{algorithm}:{digest}") == Checksum(algorithm, digest)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "'sha256:' and a hexadecimal digest"),
        (":", "'sha256:' and a hexadecimal digest"),
        (DIGEST, "'sha256:' and a hexadecimal digest"),
        (f"sha257:{DIGEST}", "'sha256:' and a hexadecimal digest"),
        (f"sha256={DIGEST}", "'sha256:' and a hexadecimal digest"),
        ("sha256", "64 hexadecimal digits after 'sha256:'"),
        ("sha256:", "64 hexadecimal digits after 'sha256:'"),
        (f"sha256:{DIGEST[:-1]}", "64 hexadecimal digits after 'sha256:'"),
        (f"sha256:{DIGEST}0", "64 hexadecimal digits after 'sha256:'"),
        (f"sha256:{DIGEST[:-1]}g", "64 hexadecimal digits after 'sha256:'"),
        (f"sha256:{DIGEST[:-1]}\u0660", "64 hexadecimal digits after 'sha256:'"),
        (f"sha256:0x{DIGEST[2:]}", "64 hexadecimal digits after 'sha256:'"),
        (f"md5:{DIGEST}", "32 hexadecimal digits after 'md5:'"),
        ("shake_128:00", "an algorithm whose digests have one length"),
    ],
)
def test_anything_else_is_an_error_that_names_both(given: str, expected: str) -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        parse_checksum(given)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert str(caught.value).startswith("checksum: expected ")
    assert expected in str(caught.value)
    assert f"got {given!r}" in str(caught.value)


@pytest.mark.parametrize("given", [5, True, b"sha256:00", ("sha256", DIGEST), {"sha256": DIGEST}])
def test_another_type_is_named(given: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=f"^checksum: expected .*, got {type(given).__name__}$"):
        parse_checksum(given)


def test_what_is_shown_has_an_end() -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        parse_checksum("x" * 100_000)
    assert len(str(caught.value)) < 300
