from __future__ import annotations

import math
from typing import Any

import pytest

from atomhttp._model.walker import Walker, WalkOptions, describe_path, leaf_text, render_key
from atomhttp.errors import AtomHTTPOptionError


def walk(data: Any, **options: Any) -> list[tuple[str, Any]]:
    return Walker(WalkOptions(**options), lambda value: value, "form").walk(data)


def test_leaves_go_through_convert() -> None:
    assert Walker(WalkOptions(), lambda value: value * 2, "form").walk({"a": [1, 2], "b": {"c": 3}}) == [
        ("a", 2),
        ("a", 4),
        ("b[c]", 6),
    ]


def test_keys_may_come_twice_in_pairs() -> None:
    assert walk([("a", 1), ("b", 2), ("a", {"x": 3})]) == [("a", 1), ("b", 2), ("a[x]", 3)]


def test_input_is_not_changed() -> None:
    data = {"a": [1, {"b": None}], "c{}": {"d": [1]}}
    before = repr(data)
    walk(data)
    assert repr(data) == before


def test_order_is_depth_first() -> None:
    names = [name for name, _ in walk({"a": {"x": {"y": 1}, "z": 2}, "b": 3, "c": [{"d": 4}, 5]})]
    assert names == ["a[x][y]", "a[z]", "b", "c[0][d]", "c[1]"]


def test_visitor_decides() -> None:
    seen = []

    def visitor(value: Any, key: Any, path: Any, walker: Walker) -> bool | None:
        seen.append((key, path))
        if value == "skip":
            return False
        if value == "rename":
            walker.append("renamed", walker.convert_value(value))
            return None
        return walker.default_visitor(value, key, path)

    assert walk({"a": "skip", "b": {"c": "rename", "d": 1}, "e": [5]}, visitor=visitor) == [
        ("renamed", "rename"),
        ("b[d]", 1),
        ("e", 5),
    ]
    assert seen == [("a", ()), ("b", ()), ("c", ("b",)), ("d", ("b",)), ("e", ())]


def test_visitor_has_axios_names_too() -> None:
    def visitor(value: Any, key: Any, path: Any, walker: Walker) -> bool:
        assert walker.isVisitable([1])
        assert not walker.isVisitable("text")
        assert walker.convertValue(None) == ""
        return walker.defaultVisitor(value, key, path)

    assert walk({"a": {"b": 1}}, visitor=visitor) == [("a[b]", 1)]


def test_visitor_that_walks_into_a_leaf() -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"form\.a is no mapping"):
        walk({"a": 5}, visitor=lambda *_: True)


def test_exceptions_of_a_visitor_pass_unwrapped() -> None:
    def visitor(*_: Any) -> bool:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        walk({"a": 5}, visitor=visitor)


def test_convert_errors_name_the_place() -> None:
    def convert(value: Any) -> Any:
        raise ValueError("is odd")

    with pytest.raises(AtomHTTPOptionError) as caught:
        Walker(WalkOptions(), convert, "form").walk({"a": {"b": [{"c": 1}]}})
    assert str(caught.value) == "form.a.b[0].c is odd"
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def test_depth_limit_is_axioss() -> None:
    assert len(walk(nested(101))) == 1
    with pytest.raises(AtomHTTPOptionError, match=r"too deeply nested \(101 levels") as caught:
        walk(nested(102))
    assert caught.value.code == "ERR_FORM_DATA_DEPTH_EXCEEDED"
    with pytest.raises(AtomHTTPOptionError):
        walk({"a": {"b": 1}}, max_depth=0)
    assert walk({"a": {"b": 1}}, max_depth=1) == [("a[b]", 1)]


def test_depth_limit_of_json_text_is_axioss() -> None:
    assert len(walk({"k{}": nested(100)})) == 1
    with pytest.raises(AtomHTTPOptionError) as caught:
        walk({"k{}": nested(101)})
    assert caught.value.code == "ERR_FORM_DATA_DEPTH_EXCEEDED"


@pytest.mark.parametrize("key", ["k", "k{}"])
def test_very_deep_is_no_recursion_error(key: str) -> None:
    deep = nested(100_000)
    with pytest.raises(AtomHTTPOptionError) as caught:
        walk({key: deep})
    assert caught.value.code == "ERR_FORM_DATA_DEPTH_EXCEEDED"
    release(deep)


def test_no_limit_at_all() -> None:
    deep = nested(3000)
    assert len(walk(deep, max_depth=math.inf)[0][0]) == 1 + 2999 * 3
    with pytest.raises(AtomHTTPOptionError) as caught:
        walk({"k{}": nested(3000)}, max_depth=math.inf)
    assert caught.value.code == "ERR_FORM_DATA_DEPTH_EXCEEDED"


def release(deep: Any) -> None:
    """Takes a deep value apart from the outside, which needs no recursion."""
    while isinstance(deep, dict):
        deep = deep.pop("a")


@pytest.mark.parametrize("key", ["k", "k{}"])
def test_circular_values(key: str) -> None:
    loop: dict[str, Any] = {}
    loop["self"] = [loop]
    with pytest.raises(AtomHTTPOptionError, match=r"form\.k.*circular") as caught:
        walk({key: loop})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_circular_at_the_top() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    with pytest.raises(AtomHTTPOptionError, match=r"form\.self holds itself"):
        walk(loop)


def test_the_same_value_twice_is_not_circular() -> None:
    twice = {"x": 1}
    assert walk({"a": twice, "b": [twice, twice], "c{}": [twice, twice]}) == [
        ("a[x]", 1),
        ("b[0][x]", 1),
        ("b[1][x]", 1),
        ("c{}", '[{"x":1},{"x":1}]'),
    ]


@pytest.mark.parametrize("key", [None, True, 1.5, b"a", (1,), object()])
def test_odd_keys(key: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"form\.a has a key of type"):
        walk({"a": {key: 1}})
    with pytest.raises(AtomHTTPOptionError, match=r"form\.a\{\} has a key of type"):
        walk({"a{}": {key: 1}})


def test_render_key() -> None:
    assert render_key((), "a[]", dots=False) == "a[]"
    assert render_key(("a[]", "b"), 0, dots=False) == "a[b][0]"
    assert render_key(("a", "b"), 0, dots=True) == "a.b.0"


def test_describe_path_shows_no_control_characters() -> None:
    assert describe_path("params", ("a", 0, "b\n\x00\ud800")) == r"params.a[0].b\n\x00\ud800"
    assert len(describe_path("params", ("x" * 10_000,))) < 60


def test_leaf_text_uses_no_overridden_spelling() -> None:
    class Odd(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "something else"

    assert type(leaf_text(Odd("text"))) is str
    assert leaf_text(Odd("text")) == "text"
