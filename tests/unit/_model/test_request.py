from __future__ import annotations

import pytest

from atomhttp._model.outline import FieldBlock
from atomhttp.errors import AtomHTTPOptionError


def test_fields_that_frame_or_route_are_taken_out() -> None:
    block = FieldBlock(
        [
            ("Accept", "a"),
            ("HOST", "other"),
            ("content-TYPE", "text/plain"),
            ("Content-Length", "5"),
            ("Connection", "Close"),
            ("Expect", "100-Continue"),
            ("accept", "b"),
        ]
    )
    assert block.fields == [("Accept", "a"), ("accept", "b")]
    assert (block.host, block.content_type, block.content_length) == ("other", "text/plain", 5)
    assert (block.keep_alive, block.expects_continue) == (False, True)


def test_without_them() -> None:
    block = FieldBlock([("Accept", "a")])
    assert (block.host, block.content_type, block.content_length) == (None, None, None)
    assert (block.keep_alive, block.expects_continue) == (True, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Transfer-Encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("Upgrade", "websocket"),
        ("TE", "trailers"),
        ("Trailer", "X"),
        ("Connection", "upgrade"),
        ("Connection", "keep-alive, close"),
        ("Connection", "X-Token"),
        ("Connection", ""),
        ("Expect", "200-ok"),
        ("Expect", ""),
        ("Content-Length", ""),
        ("Content-Length", "-1"),
        ("Content-Length", "+1"),
        ("Content-Length", "1.0"),
        ("Content-Length", "0x5"),
        ("Content-Length", "5, 5"),
        ("Content-Length", "5 5"),
        ("Content-Length", "\u0665"),
        ("Content-Length", "\u00b2"),
        ("Content-Length", "9" * 19),
        ("Content-Length", "9" * 5000),
    ],
)
def test_framing_is_not_for_the_caller(name: str, value: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=f"(?i)^headers: {name}: ") as caught:
        FieldBlock([(name, value)])
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "fields",
    [
        [("Host", "a"), ("host", "b")],
        [("Host", "a"), ("host", "a")],
        [("Content-Length", "5"), ("content-length", "6")],
    ],
)
def test_twice_is_too_often(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(AtomHTTPOptionError):
        FieldBlock(fields)


def test_close_is_not_taken_back() -> None:
    assert not FieldBlock([("Connection", "close"), ("Connection", "keep-alive")]).keep_alive
    assert not FieldBlock([("Connection", "keep-alive"), ("Connection", "close")]).keep_alive
    assert FieldBlock([("Connection", "keep-alive")]).keep_alive
