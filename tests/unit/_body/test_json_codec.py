from __future__ import annotations

import collections
import json
import math
import sys
import types
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._body import json_codec
from atomhttp._body.json_codec import UnsupportedTypeError, dumps, loads, loads_as
from atomhttp.errors import AtomHTTPOptionError

# Decoding


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        " \t\r\n[1, 2] ",
        '{"a": {"b": [1, 2.5, true, false, null, "x"]}}',
        '"\\u00e9\\ud83d\\ude00"',
        "12345678901234567890123",
        "-9223372036854775809",
        '{"id": 18446744073709551617}',
        '{"a": 1, "a": 2}',
        "1e5",
        "-0.0",
        '"\\ud800"',
        '{"a": "x\\udc00y"}',
        "1e400",
        "1" * 400 + ".0",
        "9" * 4000,
    ],
)
def test_legal_json_is_what_the_standard_library_says(text: str) -> None:
    assert repr(loads(text.encode())) == repr(json.loads(text))


def test_a_byte_order_mark_is_dropped() -> None:
    assert loads(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert loads(b'\xef\xbb\xbf \n"\\ud800"') == "\ud800"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"NaN",
        b"[NaN]",
        b'{"a": Infinity}',
        b"-Infinity",
        b"01",
        b"1.",
        b"[1,]",
        b"{}x",
        b'"\x00"',
        b'"\t"',
        b"{'a': 1}",
        b"<html>",
        b"nul",
        b"undefined",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'{"a": "\\ud800", "b": NaN}',
        b"9" * 5000,
        '{"a": 1}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'["\\ud800",' + b"[" * 100_000,
    ],
)
def test_what_is_not_json(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the subclass says nothing
        loads(content)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_whatever_the_standard_library_writes_is_read(value: Any) -> None:
    assert loads(json.dumps(value).encode()) == value


# Encoding


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Word(StrEnum):
    YES = "yes"


class Half(Enum):
    HALF = 0.5
    NONE = None


@dataclass
class Item:
    price: Any
    tags: Any = field(default_factory=list)


@dataclass(slots=True)
class SlottedItem:
    price: Any


@attrs.define
class AttrsItem:
    price: Any


class StructItem(msgspec.Struct, rename="camel"):
    unit_price: Any
    note: Any = msgspec.UNSET


class TupleItem(NamedTuple):
    price: Any
    count: int


class OddText(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class OddInt(int):
    def __int__(self) -> int:
        return 0


class OddFloat(float):
    pass


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "{}"),
        ({"a": [1, (2, 3.5), None, True, "é"]}, '{"a":[1,[2,3.5],null,true,"é"]}'),
        (5, "5"),
        (True, "true"),
        ("x", '"x"'),
        (2**70, str(2**70)),
        (-(2**70), str(-(2**70))),
        ([2**63, 2**64, -(2**63) - 1], f"[{2**63},{2**64},{-(2**63) - 1}]"),
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), '"2024-01-02T03:04:05Z"'),
        (datetime(2024, 1, 2, 3, 4, 5), '"2024-01-02T03:04:05"'),  # noqa: DTZ001 - naive on purpose
        ({"d": date(2024, 1, 2)}, '{"d":"2024-01-02"}'),
        (time(3, 4), '"03:04:00"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Decimal("1.50"), '"1.50"'),
        ([Colour.RED, Level.HIGH, Word.YES, Half.HALF, Half.NONE], '["red",3,"yes",0.5,null]'),
        (Item(1, ["x"]), '{"price":1,"tags":["x"]}'),
        (SlottedItem(1), '{"price":1}'),
        (AttrsItem(1), '{"price":1}'),
        (StructItem(1), '{"unitPrice":1}'),
        ({"items": [Item(StructItem(AttrsItem(1)))]}, '{"items":[{"price":{"unitPrice":{"price":1}},"tags":[]}]}'),
        (TupleItem(1, 2), "[1,2]"),
        (collections.OrderedDict(a=1), '{"a":1}'),
        (collections.Counter("a"), '{"a":1}'),
        (types.MappingProxyType({"a": {"b": 1}}), '{"a":{"b":1}}'),
        ([OddText("x"), OddInt(5), OddFloat(1.5)], '["x",5,1.5]'),
        ({1: "a", -2: "b", 2**70: "c", 1.5: "d"}, f'{{"1":"a","-2":"b","{2**70}":"c","1.5":"d"}}'),
        ({Colour.RED: 1, Level.HIGH: 2, OddText("t"): 3}, '{"red":1,"3":2,"t":3}'),
        ({UUID(int=1): 1, date(2024, 1, 2): 2}, '{"00000000-0000-0000-0000-000000000001":1,"2024-01-02":2}'),
        (msgspec.Raw(b'{"a": 1}'), '{"a": 1}'),
    ],
)
def test_what_has_a_form(value: Any, text: str) -> None:
    assert dumps(value).decode() == text


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        OddFloat("nan"),
        Decimal("NaN"),
        Decimal("Infinity"),
        b"x",
        bytearray(b"x"),
        memoryview(b"x"),
        {1, 2},
        frozenset((1,)),
        1j,
        object(),
        len,
        Item,
        iter([1]),
        range(3),
        collections.deque([1]),
        {}.keys(),
        "\ud800",
        OddText("\ud800"),
        10**5000,
        Enum("Bad", {"A": b"x"}).A,  # type: ignore[attr-defined]
        Enum("Bad", {"A": math.nan}).A,  # type: ignore[attr-defined]
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_none_is_named_by_its_place(value: Any) -> None:
    for whole, place in (
        (value, "data"),
        ({"items": [0, None, {"price": value}]}, "data.items[2].price"),
        ([[[value]]], "data[0][0][0]"),
        ((1, (value,)), "data[1][0]"),
        (Item(1, {"a": value}), "data.tags.a"),
        ({"x": SlottedItem([value])}, "data.x.price[0]"),
        (AttrsItem(AttrsItem(value)), "data.price.price"),
        ([StructItem({"a": value})], "data[0].unit_price.a"),
        (TupleItem(value, 1), "data[0]"),
        (types.MappingProxyType({"a": value}), "data.a"),
        (collections.OrderedDict(a={"b": value}), "data.a.b"),
    ):
        with pytest.raises(AtomHTTPOptionError) as caught:
            dumps(whole)
        assert str(caught.value).startswith(f"{place} ")
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"


@pytest.mark.parametrize("key", [None, True, b"a", (1,), math.nan, math.inf, Decimal("NaN"), "\ud800", frozenset()])
def test_odd_keys(key: Any) -> None:
    for whole, place in (({key: 1}, "data"), ({"a": [{"b": 1, key: 1}]}, "data.a[0]"), (Item({key: {}}), "data.price")):
        with pytest.raises(AtomHTTPOptionError) as caught:
            dumps(whole)
        assert str(caught.value).startswith(f"{place} has ")


def test_the_root_can_be_named() -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^json\.a is "):
        dumps({"a": {1}}, "json")


def test_values_never_show_in_messages() -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        dumps({"password": b"hunter2", "x": {"hunter2"}})
    assert "hunter2" not in str(caught.value)


def test_circular_values() -> None:
    looped: list[Any] = []
    looped.append({"x": looped})
    item = Item(None)
    item.price = {"again": item}
    for value, place in ((looped, "data[0].x"), (item, "data.price.again"), ({"a": looped}, "data.a[0].x")):
        with pytest.raises(AtomHTTPOptionError) as caught:
            dumps(value)
        assert str(caught.value) == f"{place} holds itself (circular reference)"


def test_the_same_value_twice_is_not_circular() -> None:
    twice = Item([1])
    assert dumps([twice, twice]) == b'[{"price":[1],"tags":[]},{"price":[1],"tags":[]}]'


def test_deep_values_are_no_recursion_error() -> None:
    for wrap in (lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: (inner,)):
        deep: Any = 1
        for _ in range(100_000):
            deep = wrap(deep)
        with pytest.raises(AtomHTTPOptionError) as caught:
            dumps({"x": deep})
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
        assert "nested too deeply" in str(caught.value)
        while isinstance(deep, (list, tuple, dict)):
            deep = deep["a"] if isinstance(deep, dict) else deep[0]


@given(values)
def test_plain_values_are_encoded_as_msgspec_does(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    assert dumps(value) == msgspec.json.encode(value)
    assert loads(dumps(value)) == value


bad_leaves = st.sampled_from([math.nan, math.inf, b"x", {1}, object(), "\ud800", Decimal("NaN")])
good_leaves = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.just("null")


@given(
    st.recursive(
        good_leaves, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("abc"), inner), max_leaves=20
    ),
    bad_leaves,
    st.data(),
)
def test_one_bad_value_is_found_wherever_it_is(value: Any, bad: Any, data: st.DataObject) -> None:
    def plant(value: Any) -> Any:
        if isinstance(value, list) and value:
            index = data.draw(st.integers(0, len(value) - 1))
            return [plant(item) if place == index else item for place, item in enumerate(value)]
        if isinstance(value, dict) and value:
            chosen = data.draw(st.sampled_from(sorted(value)))
            return {key: plant(item) if key == chosen else item for key, item in value.items()}
        return bad

    assert dumps(value)
    with pytest.raises(AtomHTTPOptionError):
        dumps(plant(value))


def test_plain_values_take_no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    def inspect(*_: Any) -> None:
        raise AssertionError("walked")

    monkeypatch.setattr(json_codec._Inspection, "run", inspect)
    dumps({"a": [1, 2.5, None, True, "x", {"b": ()}], "d": date(2024, 1, 2), "t": datetime.now(UTC)})
    with pytest.raises(AssertionError):
        dumps({1.5: {2}})


# Decoding into types


class Point(TypedDict):
    x: int
    y: int


@pytest.mark.parametrize(
    ("type_", "content", "value"),
    [
        (Item, b'{"price": 1}', Item(1)),
        (AttrsItem, b'{"price": 1}', AttrsItem(1)),
        (StructItem, b'{"unitPrice": 1}', StructItem(1)),
        (Point, b'{"x": 1, "y": 2}', {"x": 1, "y": 2}),
        (TupleItem, b"[1, 2]", TupleItem(1, 2)),
        (list[int], b"[1, 2]", [1, 2]),
        (dict[str, list[Point]], b'{"a": [{"x": 1, "y": 2}]}', {"a": [{"x": 1, "y": 2}]}),
        (int | None, b"null", None),
        (int | str, b'"x"', "x"),
        (list[datetime], b'["2024-01-02T03:04:05Z"]', [datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)]),
        (UUID, b'"00000000-0000-0000-0000-000000000001"', UUID(int=1)),
        (Colour, b'"red"', Colour.RED),
        (Decimal, b'"1.50"', Decimal("1.50")),
        (int, b"12345678901234567890123", 12345678901234567890123),
        # What only the standard library reads goes the long way, with the same rules.
        (list[str], b'["\\ud800"]', ["\ud800"]),
        (dict[int, str], b'{"1": "\\ud800"}', {1: "\ud800"}),
        (Item, b'\xef\xbb\xbf{"price": 1}', Item(1)),
        (list[datetime], b'\xef\xbb\xbf["2024-01-02T03:04:05Z"]', [datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)]),
    ],
)
def test_loads_as(type_: Any, content: bytes, value: Any) -> None:
    assert loads_as(content, type_) == value


def test_a_mismatch_names_the_path() -> None:
    with pytest.raises(ValueError, match=r"Expected `int`, got `str` - at `\$\[1\]\.x`"):
        loads_as(b'[{"x": 1, "y": 2}, {"x": "hunter2", "y": 2}]', list[Point])
    with pytest.raises(ValueError, match=r"Expected `int`, got `str` - at `\$\[0\]\.x`"):
        loads_as(b'\xef\xbb\xbf[{"x": "hunter2", "y": 1}]', list[Point])


@pytest.mark.parametrize("content", [b"<html>", b"", b"[" * 100_000, b'"\xff"', b"[NaN]"])
def test_what_is_not_json_fits_no_type(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the subclass says nothing
        loads_as(content, list[Any])


@pytest.mark.parametrize("type_", ["text", 5, list["Nowhere"], int | AttrsItem | Item])  # type: ignore[name-defined]  # noqa: F821
def test_what_is_no_type(type_: Any) -> None:
    with pytest.raises(UnsupportedTypeError):
        loads_as(b"1", type_)


def test_a_class_without_rules() -> None:
    class Unknown:
        pass

    with pytest.raises(ValueError, match="Expected `Unknown`"):
        loads_as(b"{}", Unknown | None)
    with pytest.raises(ValueError, match=r"Expected `Unknown`, got `dict` - at `\$\[0\]`"):
        loads_as(b"[{}]", list[Unknown])


# pydantic, by a stand-in where it is not installed


class FakeModel:
    """What of pydantic's BaseModel is used."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def model_dump(self, *, mode: str) -> Any:
        assert mode == "json"
        if "fail" in self.fields:
            raise ValueError("hunter2")
        return self.fields


@pytest.fixture
def fake_pydantic(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("pydantic")
    module.BaseModel = FakeModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pydantic", module)


@pytest.mark.usefixtures("fake_pydantic")
def test_models_are_dumped_by_pydantic() -> None:
    model = FakeModel(a=1, b=[2])
    assert dumps(model) == b'{"a":1,"b":[2]}'
    assert dumps({"m": [model]}) == b'{"m":[{"a":1,"b":[2]}]}'
    with pytest.raises(AtomHTTPOptionError, match=r"^data\.m\[1\]\.x is NaN"):
        dumps({"m": [model, FakeModel(x=math.nan)]})
    with pytest.raises(AtomHTTPOptionError, match=r"^data\.m could not be dumped by pydantic: ValueError$"):
        dumps({"m": FakeModel(fail=True)})


def test_without_pydantic_a_model_is_any_object() -> None:
    with pytest.raises(AtomHTTPOptionError, match="FakeModel, which has no JSON form"):
        dumps(FakeModel())
