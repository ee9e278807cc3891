from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from atomhttp import AtomHTTPOptionError
from atomhttp._model.checks import bad_value, camel_case, check_callable, check_count, check_flag, check_seconds
from support.naming import described


def test_the_error_names_the_option_what_was_given_and_what_was_expected() -> None:
    error = bad_value("maxRedirects", "five", "a whole number")
    assert isinstance(error, AtomHTTPOptionError)
    assert isinstance(error, ValueError)
    assert error.code == "ERR_BAD_OPTION_VALUE"
    assert str(error) == "maxRedirects: expected a whole number, got 'five'"


def test_what_was_given_is_cut_short_and_its_secrets_are_masked() -> None:
    assert len(str(bad_value("x", "y" * 10_000, "less"))) < 120
    for value in ({"password": "s3cret"}, {"Authorization": "Bearer s3cret"}, {"a": {"api-key": "s3cret"}}):
        assert "s3cret" not in str(bad_value("x", value, "something else"))
    assert "s3cret" not in str(bad_value("password", "s3cret", "something else"))


@pytest.mark.parametrize("value", [True, False])
def test_flags(value: bool) -> None:
    assert check_flag("x", value) is value


@pytest.mark.parametrize("value", [0, 1, "True", None, [], 1.0], ids=described)
def test_what_is_no_flag(value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^x: expected True or False, got"):
        check_flag("x", value)


@pytest.mark.parametrize("value", [0, 1, 2**80])
def test_counts(value: int) -> None:
    assert check_count("x", value) == value


@pytest.mark.parametrize("value", [-1, True, False, 1.0, "1", None, float("inf")], ids=described)
def test_what_is_no_count(value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^x: expected a whole number, 0 or more, got"):
        check_count("x", value)


@pytest.mark.parametrize(
    ("value", "seconds"), [(0, 0.0), (1, 1.0), (0.5, 0.5), (timedelta(minutes=1), 60.0), (1e300, 1e300)], ids=described
)
def test_seconds(value: Any, seconds: float) -> None:
    kept = check_seconds("x", value)
    assert kept == seconds
    assert type(kept) is float


@pytest.mark.parametrize(
    "value",
    [-1, -1e-9, timedelta(seconds=-1), True, "1", None, float("nan"), float("inf"), 10**400, [1]],
    ids=lambda value: described(value)[:30],
)
def test_what_are_no_seconds(value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^x: expected seconds, 0 or more, or a timedelta, got"):
        check_seconds("x", value)


def test_callables() -> None:
    assert check_callable("x", None) is None
    for value in (len, lambda: None, type, test_callables):
        assert check_callable("x", value) is value
    for wrong in (1, "len", [len], ()):
        with pytest.raises(AtomHTTPOptionError, match=r"^x: expected a callable or None, got"):
            check_callable("x", wrong)


def test_axios_spelling() -> None:
    assert [camel_case(name) for name in ("timeout", "max_retries", "respect_retry_after")] == [
        "timeout",
        "maxRetries",
        "respectRetryAfter",
    ]
