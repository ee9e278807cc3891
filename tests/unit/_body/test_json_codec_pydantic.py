"""With the real pydantic, where it is installed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from atomhttp._body.decode import decode_typed
from atomhttp._body.json_codec import dumps
from atomhttp.errors import AtomHTTPDecodeError, AtomHTTPOptionError

pydantic = pytest.importorskip("pydantic")


class User(pydantic.BaseModel):  # type: ignore[name-defined,misc]
    name: str
    born: date = date(2000, 1, 1)
    score: float = 0


@dataclass
class Page:
    users: list[User]


def test_models_are_sent_as_they_dump_themselves() -> None:
    text = b'{"name":"x","born":"2000-01-01","score":0.0}'
    assert dumps(User(name="x")) == text
    assert dumps({"u": [User(name="x")]}) == b'{"u":[' + text + b"]}"
    assert dumps(Page([User(name="x")])) == b'{"users":[' + text + b"]}"
    with pytest.raises(AtomHTTPOptionError, match=r"^data\.u\.score is NaN"):
        dumps({"u": User(name="x", score=float("nan"))})


@pytest.mark.parametrize(
    ("type_", "content", "value"),
    [
        (User, b'{"name": "x"}', User(name="x")),
        (list[User], b'[{"name": "x"}]', [User(name="x")]),
        (dict[str, User], b'{"a": {"name": "x"}}', {"a": User(name="x")}),
        (User | None, b"null", None),
        (User | int, b"5", 5),
        (Page, b'{"users": [{"name": "x"}]}', Page([User(name="x")])),
        (User, b'\xef\xbb\xbf{"name": "x"}', User(name="x")),
    ],
)
def test_decoding_into_models(type_: Any, content: bytes, value: Any) -> None:
    assert decode_typed(content, type_) == value


@pytest.mark.parametrize(
    ("type_", "content", "path"),
    [
        (User, b'{"name": 5}', r"\$\.name"),
        (list[User], b'[{"name": "x"}, {}]', r"\$\[1\]\.name"),
        (Page, b'{"users": [{"name": "x", "born": "hunter2"}]}', r"\$\.born - at `\$\.users\[0\]|\$\.born"),
        (User, b"<html>", "Invalid JSON"),
    ],
)
def test_a_mismatch_names_the_path_and_no_value(type_: Any, content: bytes, path: str) -> None:
    with pytest.raises(AtomHTTPDecodeError, match=path) as caught:
        decode_typed(content, type_)
    assert "hunter2" not in str(caught.value)


def test_a_type_that_pydantic_cannot_handle() -> None:
    class Odd:
        pass

    with pytest.raises(AtomHTTPOptionError, match="response_type"):
        decode_typed(b"1", User | Odd)
