"""Where a request differs from what was expected, and how that is shown; the rest is in contract/test_mock_adapter."""

from __future__ import annotations

import re
from typing import Any
from unittest.mock import ANY

import pytest

from atomhttp import AtomHTTPOptionError, MockAdapter, SyncAtomHTTP
from atomhttp._adapters.mock_matcher import SHOWN, Matcher, UrlMatcher, find_difference


@pytest.mark.parametrize(
    ("expected", "actual", "difference"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, "data.a.b[1].c is 3, expected 2"),
        ({"a": 1}, {}, "data.a is missing"),
        ({}, {"a": 1}, "data.a was not expected"),
        ([1], [1, 2], "data has 2 items, expected 1"),
        ([1, 2], [1], "data has 1 items, expected 2"),
        ({"a": 1}, [1], "data is [1], expected {'a': 1}"),
        (None, 0, "data is 0, expected None"),
        # JSON's true is no 1, though Python's is; its 1.0 is its 1.
        (1, True, "data is True, expected 1"),
        (True, 1, "data is 1, expected True"),
        (0, False, "data is False, expected 0"),
        (1, 1.0, ""),
        ({"a": ANY}, {"a": True}, ""),
        ({"a": re.compile("^x")}, {"a": "xy"}, ""),
        ({"a": re.compile("^x")}, {"a": "y"}, "data.a is 'y', expected re.compile('^x')"),
        ({"a": str.isdigit}, {"a": "x"}, "data.a is 'x', expected isdigit"),
        # Secrets are named and not shown, however deep.
        ({"user": {"password": "p1"}}, {"user": {"password": "p2"}}, "data.user.password is not what was expected"),
        ({"tokens": ["t1"]}, {"tokens": ["t2"]}, "data.tokens[0] is not what was expected"),
        ([{"password": "p1"}], 5, "data is 5, expected [{'password': '[redacted]'}]"),
    ],
)
def test_the_first_difference(expected: Any, actual: Any, difference: str) -> None:
    assert find_difference(expected, actual) == difference


def test_a_long_value_is_cut() -> None:
    assert len(find_difference("x", "y" * 10_000)) < SHOWN + 50


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (None, "*"),
        ("*", "*"),
        ("/users/*?a=1", "/users/*?a=1"),
        ("https://user:pass@h/x?token=t", "https://h/x?token=[redacted]"),
        (re.compile("/x$"), "re.compile('/x$')"),
    ],
)
def test_a_url_is_shown_without_secrets(url: Any, shown: str) -> None:
    assert str(UrlMatcher(url)) == shown


def test_the_same_conditions_are_the_same() -> None:
    def build(**changes: Any) -> Matcher:
        given: dict[str, Any] = {"method": "GET", "url": "/x", "params": {"a": 1}, "headers": None, "data": {"b": [1]}}
        return Matcher(**{**given, **changes})

    assert build().is_same(build(method="get"))
    assert build(url=re.compile("x")).is_same(build(url=re.compile("x")))
    for changes in ({"method": "POST"}, {"url": "/y"}, {"params": None}, {"headers": {"A": "b"}}, {"data": {"b": [2]}}):
        assert not build().is_same(build(**changes))


def test_a_matcher_is_shown_with_its_conditions() -> None:
    matcher = Matcher("post", "/x", {"a": 1}, {"Authorization": "Bearer t", "X-A": re.compile("1")}, {"password": "p"})
    assert str(matcher) == (
        "POST /x with params={'a': ['1']}, "
        "match_headers={'Authorization': '[redacted]', 'X-A': re.compile('1')}, match_data={'password': '[redacted]'}"
    )


@pytest.mark.parametrize("method", ["/users", "", "GET ", 5])
def test_what_is_no_method_is_refused(method: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="method: expected a method"):
        MockAdapter().on(method, "/users")


def test_a_secret_that_differs_is_not_shown() -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/", match_headers={"Authorization": "Bearer right"})
    with SyncAtomHTTP(adapter=adapter) as client, pytest.raises(AssertionError) as caught:
        client.get("http://a.test/", headers={"Authorization": "Bearer wrong"})
    assert "the header 'Authorization' is not what was expected" in str(caught.value)
    assert "wrong" not in str(caught.value)
