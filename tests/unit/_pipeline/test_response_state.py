"""What may be done to a response: the same whether its attributes are compiled or not."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from atomhttp import Response


class Strict(Response[Any]):
    """One whose `__new__` asks for something."""

    def __new__(cls, data: Any) -> Strict:
        return super().__new__(cls)

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.data,)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_is_made_as_its_class_asks(again: Any) -> None:
    twin = again(Strict({"a": 1}))
    assert (type(twin), twin.data, twin.status) == (Strict, {"a": 1}, 200)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_takes_along_what_was_changed_and_what_was_added(again: Any) -> None:
    response: Any = Response({"a": 1}, 201)
    response.own, response.status, response.remark = 7, 202, "x"
    twin = again(response)
    assert (twin.own, twin.status, twin.remark, twin.data) == (7, 202, "x", {"a": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [("status", "odd"), ("attempts", []), ("accepted", 1), ("remark", None), ("history", []), ("truncated", 1)],
)
def test_an_interceptor_may_set_what_it_likes(name: str, value: Any) -> None:
    response: Any = Response()
    setattr(response, name, value)
    assert getattr(response, name) == value
