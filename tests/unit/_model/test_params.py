from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from atomhttp._model.params import (
    ParamsSerializer,
    append_query,
    encode_component,
    encode_form_component,
    merge_params,
    serialize_params,
)
from atomhttp.errors import AtomHTTPOptionError


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


# What axios 1.21.1 gave for these, run on Node 20: (params, paramsSerializer, query).
AXIOS = [
    ({"a": 1, "b": "x y"}, {}, "a=1&b=x+y"),
    ({"a": {"b": 1, "c": [1, 2]}}, {}, "a%5Bb%5D=1&a%5Bc%5D%5B0%5D=1&a%5Bc%5D%5B1%5D=2"),
    ({"a": [1, 2]}, {"indexes": False}, "a%5B%5D=1&a%5B%5D=2"),
    ({"a": [1, 2]}, {"indexes": None}, "a=1&a=2"),
    ({"a": [1, 2]}, {"indexes": True}, "a%5B0%5D=1&a%5B1%5D=2"),
    ({"a": [1, 2]}, {"indexes": True, "dots": True}, "a.0=1&a.1=2"),
    ({"a": [{"b": 1}, 2]}, {}, "a%5B0%5D%5Bb%5D=1&a%5B1%5D=2"),
    ({"a": [[1, 2], 3]}, {}, "a%5B0%5D%5B0%5D=1&a%5B0%5D%5B1%5D=2&a%5B1%5D=3"),
    ({"a": {"b": {"c": 1}}}, {"dots": True}, "a.b.c=1"),
    ({"a": {"b": [1, {"c": 2}]}}, {"dots": True}, "a.b.0=1&a.b.1.c=2"),
    ({"a": None, "b": [1, None, 2], "c": {"d": None}}, {"indexes": False}, "b%5B%5D=1&b%5B%5D=2"),
    ({"a": True, "b": False}, {}, "a=true&b=false"),
    ({"a": [], "b": {}}, {}, ""),
    ({"a b&=": "ü/?#:$,+[]@!'()*~-_."}, {}, "a+b%26%3D=%C3%BC%2F%3F%23:$,%2B%5B%5D%40!'()*~-_."),
    ({"a{}": {"b": [1, "ü", None]}}, {}, "a%7B%7D=%7B%22b%22:%5B1,%22%C3%BC%22,null%5D%7D"),
    ({"a{}": {"b": 1}}, {"metaTokens": False}, "a=%7B%22b%22:1%7D"),
    ({"a{}": [1, 2]}, {}, "a%7B%7D=%5B1,2%5D"),
    ({"a{}": 5}, {}, "a%7B%7D=5"),
    ({"a[]": [1, 2]}, {"indexes": False}, "a%5B%5D=1&a%5B%5D=2"),
    ({"a[]": [1, 2]}, {"indexes": None}, "a=1&a=2"),
    ({"a[]": [1, 2]}, {"indexes": True}, "a%5B0%5D=1&a%5B1%5D=2"),
    ({"a[]": {"x": 1}}, {}, "a%5Bx%5D=1"),
    ({" a ": 1}, {}, "a=1"),
    ({" a ": {" b ": 1}}, {}, "+a+%5Bb%5D=1"),
    ({"": 1}, {}, "=1"),
    ({"a": {"b[]": [1, 2]}}, {}, "a%5Bb%5D%5B0%5D=1&a%5Bb%5D%5B1%5D=2"),
    ({"a": ""}, {}, "a="),
    ({"x": {"y{}": {"z": 1}}}, {}, "x%5By%7B%7D%5D%5Bz%5D=1"),
    ({"a": [1, [2, [3]]]}, {"indexes": None}, "a%5B0%5D=1&a%5B1%5D%5B0%5D=2&a%5B1%5D%5B1%5D%5B0%5D=3"),
    ({"a": {0: "x", 1: "y"}}, {}, "a%5B0%5D=x&a%5B1%5D=y"),
]


@pytest.mark.parametrize(("params", "serializer", "query"), AXIOS)
def test_as_axios(params: Any, serializer: Any, query: str) -> None:
    assert serialize_params(params, serializer) == query


@pytest.mark.parametrize(("params", "serializer", "query"), [case for case in AXIOS if "indexes" not in case[1]])
def test_mapping_and_pairs_are_one(params: Any, serializer: Any, query: str) -> None:
    assert serialize_params(list(params.items()), serializer) == query
    assert serialize_params(MappingProxyType(params), serializer) == query


def test_a_flat_list_repeats_its_key() -> None:
    assert serialize_params({"a": [1, 2]}) == "a=1&a=2"
    assert serialize_params({"a": (1, None, 2), "b": 3}) == "a=1&a=2&b=3"
    assert serialize_params({"a[]": [1, 2]}) == "a%5B%5D=1&a%5B%5D=2"
    assert serialize_params({"a[]": ["x"], "b": []}, ParamsSerializer(dots=True)) == "a%5B%5D=x"


def test_nothing() -> None:
    assert serialize_params(None) == serialize_params({}) == serialize_params([]) == serialize_params("") == ""
    assert serialize_params({"a": None}) == serialize_params([("a", None)]) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (5, "5"),
        (-5, "-5"),
        (10**30, "1" + "0" * 30),
        (1.5, "1.5"),
        (1e21, "1e%2B21"),
        (True, "true"),
        (date(2024, 2, 3), "2024-02-03"),
        (datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC), "2024-02-03T04:05:06%2B00:00"),
        (time(4, 5), "04:05:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.50"), "1.50"),
        (Colour.RED, "red"),
        (Level.HIGH, "3"),
        ("", ""),
        ("\x00\r\n\t", "%00%0D%0A%09"),
        ("😀", "%F0%9F%98%80"),
        ("100%", "100%25"),
        ("%20", "%2520"),
    ],
)
def test_values(value: Any, text: str) -> None:
    assert serialize_params({"a": value}) == f"a={text}"
    assert serialize_params({"a": {"b": value}}) == f"a%5Bb%5D={text}"


@pytest.mark.parametrize(
    "value",
    [b"x", bytearray(b"x"), {1, 2}, frozenset(), math.nan, math.inf, Decimal("NaN"), object(), 1j, timedelta(1), print],
)
def test_values_without_a_form(value: Any) -> None:
    for params, place in (
        ({"q": value}, "params.q"),
        ({"q": [0, value]}, "params.q[1]"),
        ([("q", {"r": [0, [value]]})], "params.q.r[1][0]"),
        ({"q{}": {"r": [value]}}, "params.q{}.r[0]"),
    ):
        with pytest.raises(AtomHTTPOptionError) as caught:
            serialize_params(params)
        assert str(caught.value).startswith(place + " ")
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"


@pytest.mark.parametrize("params", [{"a": "\ud800"}, {"\udfff": 1}, {"a": {"b": "x\ud800"}}, {"k{}": ["\ud800"]}])
def test_lone_surrogates(params: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^params.*surrogate") as caught:
        serialize_params(params)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_an_integer_beyond_pythons_digits() -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^params\.a"):
        serialize_params({"a": 10**5000})


@pytest.mark.parametrize("params", [b"a=1", {("a", 1)}, 5, ["ab"], [("a",)], [("a", 1, 2)], [1], object()])
def test_params_of_the_wrong_kind(params: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^params") as caught:
        serialize_params(params)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_values_never_show_in_messages() -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        serialize_params({"token": b"hunter2"})
    assert "hunter2" not in str(caught.value)


# Text


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("a=1&b=2", "a=1&b=2"),
        ("?a=1", "a=1"),
        ("a=%41%zz", "a=%41%zz"),
        ("a=b#c", "a=b%23c"),
        ("a=ü x", "a=%C3%BC%20x"),
        ("a=\r\n", "a=%0D%0A"),
    ],
)
def test_a_str_is_a_query_already(text: str, query: str) -> None:
    assert serialize_params(text) == query


def test_a_str_with_a_lone_surrogate() -> None:
    with pytest.raises(AtomHTTPOptionError, match="surrogate"):
        serialize_params("a=\ud800")


def test_pairs_from_a_generator_and_a_multi_dict() -> None:
    assert serialize_params((key, 1) for key in "ab") == "a=1&b=1"
    assert serialize_params(MultiDict([("a", "1"), ("b", "2"), ("a", "3")])) == "a=1&b=2&a=3"


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(texts.map(str.strip), texts | st.integers()))
def test_any_flat_dict_can_be_read_back(params: dict[str, Any]) -> None:
    query = serialize_params(params)
    assert query.isascii()
    if query:
        assert parse_qsl(query, keep_blank_values=True, strict_parsing=True) == [
            (key, str(value)) for key, value in params.items()
        ]


@given(st.dictionaries(texts.map(str.strip), texts | st.integers() | st.none() | st.booleans()))
def test_the_short_cut_and_the_walk_agree(params: dict[str, Any]) -> None:
    assert serialize_params(params) == serialize_params(params, ParamsSerializer())


def test_encode_component_is_javascripts_with_four_exceptions() -> None:
    for code in range(0x250):
        char = chr(code)
        expected = "+" if char == " " else quote(char, safe="-_.!~*'():$,")
        assert encode_component(char) == expected


def test_encode_form_component_is_whatwgs() -> None:
    for code in range(0x250):
        char = chr(code)
        expected = "+" if char == " " else quote(char, safe="*-._").replace("~", "%7E")
        assert encode_form_component(char) == expected


# ParamsSerializer


def test_encode_with_one_or_two_arguments() -> None:
    assert serialize_params({"a b": "c/d"}, {"encode": lambda text: text.upper()}) == "A B=C/D"
    assert serialize_params({"a": "x y!'()~:$,"}, {"encode": lambda text, default: default(text)}) == (
        "a=x+y%21%27%28%29%7E%3A%24%2C"  # what axios gives
    )
    # `safe` of urllib's quote is a second positional parameter, and optional.
    assert serialize_params({"a": "b c/d"}, ParamsSerializer(encode=quote)) == "a=b%20c/d"


def test_encode_must_return_str() -> None:
    with pytest.raises(AtomHTTPOptionError, match="must return str, not bytes"):
        serialize_params({"a": 1}, {"encode": lambda text: text.encode()})


def test_serialize() -> None:
    assert serialize_params({"a": 1}, lambda params: f"?n={len(params)}") == "n=1"
    assert serialize_params({"a": 1}, {"serialize": lambda params, options: f"d={options.maxDepth}"}) == "d=100"
    with pytest.raises(AtomHTTPOptionError, match="must return str, not NoneType"):
        serialize_params({"a": 1}, lambda params: None)
    assert serialize_params(None, lambda params: "a=1") == ""


def test_both_spellings() -> None:
    assert ParamsSerializer(metaTokens=False).meta_tokens is False
    assert ParamsSerializer(meta_tokens=False, metaTokens=False).metaTokens is False
    assert ParamsSerializer(max_depth=3) == ParamsSerializer(maxDepth=3)
    with pytest.raises(AtomHTTPOptionError, match="given twice") as caught:
        ParamsSerializer(max_depth=3, maxDepth=4)
    assert caught.value.code == "ERR_BAD_OPTION"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("index", "indexes"), ("metaToken", "metaTokens"), ("max_dept", "max_depth"), ("encoder", "encode")],
)
def test_unknown_options(name: str, hint: str) -> None:
    for build in (lambda: ParamsSerializer(**{name: None}), lambda: serialize_params({"a": 1}, {name: None})):
        with pytest.raises(AtomHTTPOptionError, match=f"did you mean {hint}") as caught:
            build()
        assert caught.value.code == "ERR_BAD_OPTION"
    with pytest.raises(AtomHTTPOptionError, match="it takes encode, serialize, indexes"):
        ParamsSerializer(zzz=1)


@pytest.mark.parametrize(
    "options",
    [
        {"encode": "x"},
        {"serialize": 1},
        {"visitor": []},
        {"indexes": "brackets"},
        {"indexes": 1},
        {"dots": None},
        {"metaTokens": 0},
        {"maxDepth": -1},
        {"maxDepth": True},
        {"maxDepth": "5"},
        {"maxDepth": math.nan},
    ],
)
def test_options_of_the_wrong_kind(options: dict[str, Any]) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^paramsSerializer\.") as caught:
        ParamsSerializer(**options)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_a_serializer_of_the_wrong_kind() -> None:
    with pytest.raises(AtomHTTPOptionError, match="must be a ParamsSerializer, a mapping or a function, not int"):
        serialize_params({"a": 1}, 5)  # type: ignore[arg-type]


def test_a_serializer_survives_copies() -> None:
    serializer = ParamsSerializer(indexes=True, dots=True)
    assert copy.deepcopy(serializer) == pickle.loads(pickle.dumps(serializer)) == serializer
    assert hash(serializer) == hash(copy.copy(serializer))
    with pytest.raises(AttributeError):
        serializer.dots = False  # type: ignore[misc]


def test_max_depth() -> None:
    assert serialize_params({"a": {"b": 1}}, {"maxDepth": 1}) == "a%5Bb%5D=1"
    with pytest.raises(AtomHTTPOptionError) as caught:
        serialize_params({"a": {"b": {"c": 1}}}, {"maxDepth": 1})
    assert caught.value.code == "ERR_FORM_DATA_DEPTH_EXCEEDED"


def test_a_visitor_may_append_anything_with_a_form() -> None:
    def visitor(value: Any, key: Any, path: Any, walker: Any) -> bool:
        walker.append(key, value)
        return False

    assert serialize_params({"a": 5, "b": True}, {"visitor": visitor}) == "a=5&b=true"
    with pytest.raises(AtomHTTPOptionError, match=r"^params\.a is of type set"):
        serialize_params({"a": {1}}, {"visitor": visitor})


# Appending


def test_append_query() -> None:
    assert append_query("", "a=1") == append_query("a=1", "") == "a=1"
    assert append_query("a=1", "b=2") == append_query("a=1&", "b=2") == "a=1&b=2"


# Merging


@pytest.mark.parametrize(
    ("base", "extra", "merged"),
    [
        (None, None, None),
        ({"a": 1}, None, {"a": 1}),
        (None, {"a": 1}, {"a": 1}),
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, {"a": 1, "b": 3, "c": 4}),
        ({"a": {"x": 1, "y": {"z": 1}}}, {"a": {"y": {"w": 2}}}, {"a": {"x": 1, "y": {"z": 1, "w": 2}}}),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
        ({"a": {"x": 1}}, {"a": 2}, {"a": 2}),
        ({"a": 2}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": None}}, {"a": {"y": 2}}),
        ({"a": None, "b": 1}, {"c": None}, {"b": 1}),
        ([("a", 1)], [("a", 2)], [("a", 1), ("a", 2)]),
        ({"a": 1}, [("a", 2)], [("a", 1), ("a", 2)]),
        ([("a", 1)], {"a": 2}, [("a", 1), ("a", 2)]),
        ([("a", 1), ("b", 1), ("a", 2)], {"a": None}, [("b", 1)]),
        ({"a": 1, "b": 2}, [("a", None), ("c", 3)], [("b", 2), ("c", 3)]),
        ("a=1", "?b=2", "a=1&b=2"),
        ("a=1", None, "a=1"),
        (None, [("a", 1)], [("a", 1)]),
    ],
)
def test_merge(base: Any, extra: Any, merged: Any) -> None:
    before = repr((base, extra))
    assert merge_params(base, extra) == merged
    assert repr((base, extra)) == before


def test_merged_text_stays_as_it_is() -> None:
    merged = merge_params({"key": "x y"}, "a=%41+b&flag")
    assert serialize_params(merged) == "key=x+y&a=%41+b&flag"
    again = copy.deepcopy(pickle.loads(pickle.dumps(merge_params(merged, {"z": 1}))))
    assert serialize_params(again) == "key=x+y&a=%41+b&flag&z=1"
    assert serialize_params(merge_params("a=1", {"a": None})) == "a=1"
    assert serialize_params(merge_params("", {"b": 1})) == "b=1"


def test_merging_keeps_order() -> None:
    assert list(merge_params({"a": 1, "b": 2, "c": 3}, {"d": 4, "b": 5})) == ["a", "b", "c", "d"]


def test_merging_a_multi_dict_keeps_every_pair() -> None:
    assert merge_params({"a": 0}, MultiDict([("a", 1), ("a", 2)])) == [("a", 0), ("a", 1), ("a", 2)]


def test_the_result_shares_no_container() -> None:
    base: dict[str, Any] = {"a": {"x": [1, {"y": 1}]}, "t": ([1],)}
    for merged in (merge_params(base, None), merge_params(None, base), merge_params(base, {"b": 1})):
        assert merged["a"] == base["a"]
        merged["a"]["x"][1]["y"] = 2
        merged["a"]["x"].append(3)
        merged["t"][0].append(2)
    pairs = [("a", [1])]
    merge_params(None, pairs)[0][1].append(2)
    assert base == {"a": {"x": [1, {"y": 1}]}, "t": ([1],)}
    assert pairs == [("a", [1])]


def test_merging_circular_values() -> None:
    loop: dict[str, Any] = {"n": {}}
    loop["n"]["self"] = loop
    looped: list[Any] = []
    looped.append(looped)
    for extra in (loop, {"x": looped}, [("x", looped)]):
        for base in (None, {"n": {"self": {"n": 1}}}, [("a", 1)]):
            with pytest.raises(AtomHTTPOptionError, match="holds itself") as caught:
                merge_params(base, extra)
            assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    with pytest.raises(AtomHTTPOptionError):
        merge_params(loop, None)


def test_merging_what_is_merged_with_itself() -> None:
    params = {"a": {"b": [1]}}
    assert merge_params(params, params) == params


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def test_merging_deep_values() -> None:
    assert merge_params(None, nested(100)) == nested(100)
    deep = nested(100_000)
    for base, extra in ((None, deep), (deep, None), (deep, {"b": 1}), ({"a": {}}, deep), ([("a", 1)], deep)):
        with pytest.raises(AtomHTTPOptionError) as caught:
            merge_params(base, extra)
        assert caught.value.code == "ERR_FORM_DATA_DEPTH_EXCEEDED"
    while deep:
        deep = deep.pop("a")


trees = st.recursive(
    st.none() | st.integers() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=8
)


def without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return [without_none(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(texts, trees))
def test_merging_with_nothing_only_drops_none(params: dict[str, Any]) -> None:
    assert merge_params(params, {}) == merge_params({}, params) == without_none(params)
    # Not `params` itself: what a name that ends in "{}" stands for is sent as JSON, null and all.
    assert serialize_params(merge_params(params, params)) == serialize_params(without_none(params))


def test_a_million_characters_take_no_time() -> None:
    for char in "&=+%[]{}. \n?#ü":
        assert serialize_params({"a": char * 1_000_000, char * 1_000: 1})
        assert serialize_params(char * 1_000_000)
