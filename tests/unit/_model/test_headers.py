from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._model.headers import Headers
from atomhttp.errors import AtomHTTPOptionError

# Reading


def test_names_match_in_any_case_and_keep_their_first_spelling() -> None:
    headers = Headers({"X-Name": "1"})
    headers["x-NAME"] = "2"
    assert (headers["X-name"], list(headers), "x-name" in headers, len(headers)) == ("2", ["X-Name"], True, 1)
    headers.append("X-NAME", "3")
    assert (list(headers), len(headers)) == (["X-Name"], 1)


def test_values_of_one_name_are_joined_and_listed() -> None:
    headers = Headers([("Via", "a"), ("X", "1"), ("via", "b")])
    assert (headers["Via"], headers.get("via"), headers.get_all("VIA")) == ("a, b", "a, b", ["a", "b"])


def test_set_cookie_is_never_joined() -> None:
    headers = Headers([("Set-Cookie", "a=1, x"), ("set-cookie", "b=2")])
    assert headers["set-cookie"] == headers.get("Set-Cookie") == "a=1, x"
    assert headers.get_set_cookie() == headers.get_all("Set-Cookie") == ["a=1, x", "b=2"]


def test_what_is_missing() -> None:
    headers = Headers()
    assert (headers.get("X"), headers.get("X", 5), headers.get_all("X"), headers.get_set_cookie()) == (None, 5, [], [])
    assert not headers.has("X")
    assert 5 not in headers
    with pytest.raises(KeyError):
        headers["X"]
    with pytest.raises(KeyError):
        del headers["X"]


def test_iteration_goes_over_names_and_multi_items_over_lines() -> None:
    headers = Headers([("A", "1"), ("B", "2"), ("a", "3")])
    assert (list(headers), list(headers.values())) == (["A", "B"], ["1, 3", "2"])
    assert dict(headers) == {"A": "1, 3", "B": "2"}
    assert headers.multi_items() == [("A", "1"), ("B", "2"), ("a", "3")]
    assert headers.to_json() == {"A": ["1", "3"], "B": "2"}


def test_equality_ignores_the_case_of_names() -> None:
    assert Headers({"A": "1"}) == Headers({"a": "1"}) == {"A": 1}
    assert Headers({"A": "1"}) != Headers({"A": "2"})
    assert Headers({"A": "1"}) != "A"
    with pytest.raises(TypeError):
        hash(Headers())


@pytest.mark.parametrize(
    ("matcher", "found"),
    [
        (None, True),
        ("JSON", True),
        ("xml", False),
        (re.compile("^application"), True),
        (re.compile("^json"), False),
        (lambda value, name: (value, name) == ("application/json", "content-TYPE"), True),
        (lambda value, name: 0, False),
    ],
)
def test_matchers(matcher: Any, found: bool) -> None:
    headers = Headers({"Content-Type": "application/json"})
    assert headers.has("content-TYPE", matcher) is found
    assert headers.delete("content-TYPE", matcher) is found
    assert ("Content-Type" in headers) is not found


# Writing


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ("text", ["text"]),
        (" \t text \t ", ["text"]),
        ("", [""]),
        (5, ["5"]),
        (1.5, ["1.5"]),
        (b"bytes", ["bytes"]),
        ("é€".encode(), ["é€"]),
        (b"\xe9", ["é"]),
        ("é", ["é"]),
        (["a", 5, b"c"], ["a", "5", "c"]),
        (("a", "b"), ["a", "b"]),
        ([], []),
        ("a\tb", ["a\tb"]),
    ],
)
def test_values_become_text(value: Any, lines: list[str]) -> None:
    assert Headers({"X": value}).get_all("x") == lines
    headers = Headers({"x": ["old", "older"]})
    headers["X"] = value
    assert headers.get_all("x") == lines


@pytest.mark.parametrize("value", [True, {"a": 1}, {"a"}, object(), [None], [False], [["a"]], 1j])
def test_values_of_other_types_are_refused(value: Any) -> None:
    headers = Headers({"X": "old"})
    with pytest.raises(AtomHTTPOptionError, match="'X'") as caught:
        headers["X"] = value
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert headers.get_all("X") == ["old"]


def test_control_characters_in_values_are_refused_everywhere() -> None:
    for code in [*range(0x20), 0x7F]:
        for value in (f"a{chr(code)}b", bytes([97, code, 98]), ["fine", f"a{chr(code)}b"]):
            if code == 9:
                assert Headers({"X": value})["X"].endswith("a\tb")
                continue
            for write in (Headers().__setitem__, Headers().set, Headers().append):
                with pytest.raises(AtomHTTPOptionError, match="control character") as caught:
                    write("X", value)  # type: ignore[arg-type]
                assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_names_are_tokens() -> None:
    allowed = set("!#$%&'*+-.^_`|~") | {chr(code) for code in range(128) if chr(code).isalnum()}
    for code in range(0x180):
        name = f"X{chr(code)}"
        if chr(code) in allowed:
            assert name in Headers({name: "1"})
        else:
            with pytest.raises(AtomHTTPOptionError, match="not a field name"):
                Headers({name: "1"})
    for bad in ("", None, 5, b"X"):
        with pytest.raises(AtomHTTPOptionError, match="not a field name"):
            Headers([(bad, "1")])  # type: ignore[list-item]


class Liar(str):
    """A str that says something else than it is."""

    __slots__ = ()

    def __str__(self) -> str:
        return "x\r\nInjected: 1"

    __format__ = __repr__ = strip = lambda self, *_: "x\r\nInjected: 1"  # type: ignore[assignment]


def test_a_subclass_of_str_is_taken_as_the_text_it_holds() -> None:
    value = Headers({"X": Liar("plain")})["X"]
    assert (value, type(value), f"{value}") == ("plain", str, "plain")


def test_a_refused_value_does_not_stand_in_the_message() -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        Headers({"Authorization": "Bearer canary\n"})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("given_headers", [5, "a: b", [("a",)], [("a", "b", "c")], ["abc"], True])
def test_other_inputs_are_refused(given_headers: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="mapping or") as caught:
        Headers(given_headers)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_pairs_that_repeat_a_name_are_all_kept() -> None:
    assert Headers([("A", "1"), ("a", "2"), ("A", "3")]).get_all("a") == ["1", "2", "3"]


def test_update_replaces_what_is_there_and_keeps_the_rest() -> None:
    headers = Headers({"A": ["1", "2"], "B": "3"})
    headers.update([("a", "4"), ("C", "5"), ("A", "6")])
    assert headers.to_json() == {"A": ["4", "6"], "B": "3", "C": "5"}
    headers.update(B="7", X=None)
    assert (headers["B"], "X" in headers) == ("7", False)
    headers.update()
    headers.update(None)
    assert len(headers) == 3


def test_none_removes() -> None:
    headers = Headers({"A": ["1", "2"], "B": "3"})
    headers["a"] = None
    assert headers.to_json() == {"B": "3"}
    headers["a"] = "back"
    assert headers["A"] == "back"


def test_false_removes_and_keeps_it_removed_until_rewritten() -> None:
    headers = Headers({"A": "1"})
    headers["A"] = False
    headers["a"] = "2"
    headers.update({"A": "3"})
    assert "A" not in headers
    headers.set("a", "4", rewrite=False)
    assert "A" not in headers
    headers.set("a", "5", rewrite=True)
    assert headers["A"] == "5"
    headers["a"] = "6"
    assert headers["A"] == "6"


def test_rewrite_false_sets_only_what_is_absent() -> None:
    headers = Headers({"A": "1"})
    assert headers.set("a", "2", rewrite=False).set("b", "3", rewrite=False) is headers
    assert headers.to_json() == {"A": "1", "b": "3"}


def test_a_list_replaces_all_lines() -> None:
    headers = Headers({"A": ["1", "2", "3"], "B": "x"})
    headers["a"] = ["4", "5"]
    assert (headers.get_all("A"), list(headers).count("A")) == (["4", "5"], 1)


def test_append_adds_a_line() -> None:
    headers = Headers({"A": "1"})
    headers.append("a", "2")
    headers.append("A", ["3", 4])
    headers.append("A", None)
    assert headers.get_all("a") == ["1", "2", "3", "4"]


def test_delete_takes_a_name_or_several_and_says_whether_it_did() -> None:
    headers = Headers({"A": ["1", "2"], "B": "3", "C": "4"})
    assert headers.delete("a") is True
    assert headers.delete("a") is False
    assert headers.delete(["B", "missing", "C"]) is True
    assert len(headers) == 0


def test_clear_takes_all_or_the_names_that_match() -> None:
    headers = Headers({"X-A": "1", "X-B": "2", "C": "3"})
    assert headers.clear("x-") is True
    assert headers.clear("x-") is False
    assert headers.to_json() == {"C": "3"}
    assert headers.clear() is True
    assert headers.to_json() == {}


def test_concat_makes_a_new_one() -> None:
    headers = Headers({"A": "1"})
    joined = headers.concat({"a": "2"}, None, [("B", "3")])
    assert (joined.to_json(), headers.to_json()) == ({"A": "2", "B": "3"}, {"A": "1"})


def test_removals_go_along_when_fields_are_merged_over_others() -> None:
    over = Headers({"A": None, "B": False, "C": "3"})
    merged = Headers({"A": "1", "B": "2", "D": "4"}).concat(over)
    assert merged.to_json() == {"D": "4", "C": "3"}
    merged.update({"A": "5", "B": "6"})
    assert (merged.get("A"), merged.get("B")) == ("5", None)


def test_normalize_joins_lines_under_one_spelling() -> None:
    headers = Headers([("x-a", "1"), ("Set-Cookie", "a"), ("X-A", "2"), ("set-cookie", "b")])
    assert headers.normalize() is headers
    assert sorted(headers.multi_items()) == [("Set-Cookie", "a"), ("Set-Cookie", "b"), ("x-a", "1, 2")]
    assert sorted(headers.normalize(format=True)) == ["Set-Cookie", "X-A"]


def test_mapping_methods() -> None:
    headers = Headers({"A": "1"})
    assert headers.setdefault("a", "2") == "1"
    assert headers.pop("A") == "1"
    assert headers.pop("A", None) is None
    assert "A" not in headers


def test_a_listener_hears_of_every_change() -> None:
    heard: list[str] = []
    headers = Headers({"A": "1", "B": ["2", "3"]})
    headers._on_change = lambda: heard.append("")
    for change in (
        lambda: headers.__setitem__("A", "2"),
        lambda: headers.append("A", "3"),
        lambda: headers.update({"C": "4"}),
        headers.normalize,
        lambda: headers.delete("C"),
        lambda: headers.pop("B"),
        headers.clear,
    ):
        heard.clear()
        change()
        assert heard
    heard.clear()
    headers.copy()["A"] = "5"
    assert not heard


# Copies


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, Headers.copy, lambda headers: pickle.loads(pickle.dumps(headers))],
)
def test_copies_are_equal_and_independent(duplicate: Any) -> None:
    headers = Headers([("A", "1"), ("a", "2"), ("Set-Cookie", "x")])
    headers["Locked"] = False
    twin = duplicate(headers)
    assert twin == headers
    assert twin.multi_items() == headers.multi_items()
    twin["Locked"] = "1"
    assert "Locked" not in twin
    twin["A"] = "3"
    assert headers.get_all("a") == ["1", "2"]


# Received fields


def test_received_fields_are_utf8_or_else_latin1() -> None:
    headers = Headers.from_raw([(b"A", "é".encode()), (b"B", b"\xe9"), (b"a", b"2")])
    assert headers.multi_items() == [("A", "é"), ("B", "é"), ("a", "2")]


@given(st.binary())
def test_no_received_value_fails(value: bytes) -> None:
    assert isinstance(Headers.from_raw([(b"A", value)])["A"], str)


# Secrets


def test_repr_hides_secrets_only() -> None:
    headers = Headers(
        {
            "Authorization": "canary",
            "cookie": "canary",
            "X-Api-Key": "canary",
            "Set-Cookie": ["canary"],
            "Accept": "shown",
        }
    )
    assert "canary" not in repr(headers)
    assert "shown" in repr(headers)


NAMES = st.sampled_from(["A", "a", "B", "Set-Cookie", "set-cookie"])
VALUES = st.one_of(
    st.none(), st.just(False), st.sampled_from(["1", "2", ""]), st.lists(st.sampled_from("xyz"), max_size=3)
)


@given(st.lists(st.tuples(NAMES, VALUES, st.sampled_from([None, True, False]))))
def test_set_is_like_a_plain_dict_of_lists(operations: list[tuple[str, Any, bool | None]]) -> None:
    headers = Headers()
    model: dict[str, list[str]] = {}
    locked: set[str] = set()
    for name, value, rewrite in operations:
        headers.set(name, value, rewrite)
        key = name.lower()
        if (key in locked and rewrite is not True) or (rewrite is False and key in model):
            continue
        model.pop(key, None)
        if value is not None:
            locked.discard(key)
        if value is False:
            locked.add(key)
        elif value:
            model[key] = value if isinstance(value, list) else [value]
        elif value == "":
            model[key] = [""]
    assert {name.lower(): headers.get_all(name) for name in headers} == model
