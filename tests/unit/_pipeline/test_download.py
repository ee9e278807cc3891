from __future__ import annotations

import pytest

from atomhttp._pipeline.download import last_segment


@pytest.mark.parametrize(
    ("uri", "segment"),
    [
        ("http://host/name", "name"),
        ("http://host/a/b/name.tar.gz", "name.tar.gz"),
        ("http://host/name?query=a/b#c/d", "name"),
        ("http://host/name#c?d/e", "name"),
        ("http://host/a%20b", "a b"),
        ("http://host/%c3%bc", "ü"),
        ("http://host/..%2f..%2fname", "../../name"),
        ("http://host/%252e%252e", "%2e%2e"),
        ("http://host/a/", ""),
        ("http://host/", ""),
        ("http://host", ""),
        ("http://host?name", ""),
        ("http://user:a%2fb@host/name", "name"),
        ("http://[::1]:80/name", "name"),
        ("http://host/a:b", "a:b"),
    ],
)
def test_thelast_segment_of_a_url(uri: str, segment: str) -> None:
    assert last_segment(uri) == segment
