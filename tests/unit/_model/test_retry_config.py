"""What `retryConfig` may hold."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import pytest

from atomhttp import HttpStatusCode, RequestConfig, merge_config
from atomhttp._model.config import merge_option
from atomhttp._model.retry_config import IDEMPOTENT, RetryPolicy, build_retry_policy, check_retry_config
from atomhttp.errors import AtomHTTPOptionError
from support.naming import described

NAME = "retryConfig"


def policy(given: Any) -> RetryPolicy | None:
    return build_retry_policy(check_retry_config(NAME, given))


def refused(given: Any) -> AtomHTTPOptionError:
    with pytest.raises(AtomHTTPOptionError) as caught:
        check_retry_config(NAME, given)
    return caught.value


# What is kept


@pytest.mark.parametrize("given", [None, False])
def test_none_and_false_are_no_policy(given: Any) -> None:
    assert check_retry_config(NAME, given) is given
    assert policy(given) is None


def test_true_and_an_empty_mapping_are_the_defaults() -> None:
    assert policy(True) == policy({}) == RetryPolicy()


def test_the_defaults() -> None:
    defaults = RetryPolicy()
    assert (defaults.max_retries, defaults.backoff_factor, defaults.max_backoff, defaults.jitter) == (3, 0.3, 30, True)
    assert defaults.status_forcelist == {408, 425, 429, 500, 502, 503, 504}
    assert defaults.methods == IDEMPOTENT == {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"}
    assert (defaults.on_timeout, defaults.on_connect_error, defaults.respect_retry_after) == (True, True, True)
    assert (defaults.max_retry_after, defaults.attempt_timeout) == (60, None)
    assert (defaults.condition, defaults.on_retry) == (None, None)


@pytest.mark.parametrize("count", [0, 1, 7, 10**9])
def test_an_int_is_the_number_of_retries(count: int) -> None:
    assert policy(count) == RetryPolicy(max_retries=count)


SPELLINGS = {
    "max_retries": ("max_retries", "maxRetries", "retries", "total"),
    "backoff_factor": ("backoff_factor", "backoffFactor", "delay"),
    "max_backoff": ("max_backoff", "maxBackoff"),
    "jitter": ("jitter",),
    "status_forcelist": ("status_forcelist", "statusForcelist", "statuses"),
    "methods": ("methods", "allowed_methods", "allowedMethods", "method_whitelist", "methodWhitelist"),
    "on_timeout": ("on_timeout", "onTimeout"),
    "on_connect_error": ("on_connect_error", "onConnectError"),
    "respect_retry_after": ("respect_retry_after", "respectRetryAfter"),
    "max_retry_after": ("max_retry_after", "maxRetryAfter"),
    "attempt_timeout": ("attempt_timeout", "attemptTimeout"),
    "condition": ("condition", "retry_condition", "retryCondition"),
    "on_retry": ("on_retry", "onRetry"),
}
VALUES: dict[str, Any] = {
    "max_retries": 5,
    "backoff_factor": 1.5,
    "max_backoff": 9.0,
    "jitter": False,
    "status_forcelist": frozenset((418,)),
    "methods": frozenset(("POST",)),
    "on_timeout": False,
    "on_connect_error": False,
    "respect_retry_after": False,
    "max_retry_after": 7.0,
    "attempt_timeout": 2.0,
    "condition": print,
    "on_retry": repr,
}


def test_the_table_of_this_test_has_every_key() -> None:
    assert list(SPELLINGS) == list(VALUES) == list(RetryPolicy._fields)


@pytest.mark.parametrize(("key", "spelling"), [(key, each) for key, words in SPELLINGS.items() for each in words])
def test_every_key_has_its_spellings(key: str, spelling: str) -> None:
    value = VALUES[key]
    assert check_retry_config(NAME, {spelling: value}) == {key: value}
    assert policy({spelling: value}) == RetryPolicy(**{key: value})


@pytest.mark.parametrize("key", VALUES)
def test_two_spellings_may_agree_and_not_differ(key: str) -> None:
    words = SPELLINGS[key]
    assert policy(dict.fromkeys(words, VALUES[key])) == RetryPolicy(**{key: VALUES[key]})
    if len(words) > 1:
        other = getattr(RetryPolicy(), key)
        error = refused({words[0]: VALUES[key], words[-1]: other})
        assert error.code == "ERR_BAD_OPTION"
        assert key in str(error)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"delay": 1}, {"backoff_factor": 1.0}),
        ({"delay": 0}, {"backoff_factor": 0.0}),
        ({"delay": timedelta(milliseconds=250)}, {"backoff_factor": 0.25}),
        ({"attempt_timeout": timedelta(seconds=3)}, {"attempt_timeout": 3.0}),
        ({"attempt_timeout": None}, {"attempt_timeout": None}),
        # As `timeout`.
        ({"attempt_timeout": 0}, {"attempt_timeout": None}),
        ({"statuses": 503}, {"status_forcelist": {503}}),
        ({"statuses": (500, 503, 500)}, {"status_forcelist": {500, 503}}),
        ({"statuses": range(500, 503)}, {"status_forcelist": {500, 501, 502}}),
        ({"statuses": iter([500])}, {"status_forcelist": {500}}),
        ({"statuses": []}, {"status_forcelist": frozenset()}),
        ({"statuses": [HTTPStatus.CONFLICT, HttpStatusCode.NotFound]}, {"status_forcelist": {409, 404}}),
        ({"methods": "post"}, {"methods": {"POST"}}),
        ({"methods": ["get", "Purge"]}, {"methods": {"GET", "PURGE"}}),
        ({"methods": {"PUT"}}, {"methods": {"PUT"}}),
        ({"methods": ()}, {"methods": frozenset()}),
        ({"condition": None, "on_retry": None}, {"condition": None, "on_retry": None}),
    ],
)
def test_values_are_kept_in_one_form(given: Any, kept: Any) -> None:
    assert check_retry_config(NAME, given) == kept
    assert policy(given) is not None
    types = {type(value) for value in check_retry_config(NAME, given).values()}  # type: ignore[union-attr]  # a mapping
    assert types <= {int, float, bool, frozenset, type(None)}


# What is refused


@pytest.mark.parametrize("given", ["", "always", 1.5, b"3", [], [3], (), {3}, object(), float("nan")])
def test_what_is_no_retry_config_is_refused(given: Any) -> None:
    error = refused(given)
    assert error.code == "ERR_BAD_OPTION_VALUE"
    assert str(error).startswith("retryConfig: expected True, False, None, a number of retries or a mapping, got ")


@pytest.mark.parametrize("key", ["tries", "max_retry", "maxretries", "MAX_RETRIES", "", 5, None, "backoff", "timeout"])
def test_unknown_keys_are_refused(key: Any) -> None:
    error = refused({key: 1})
    assert error.code == "ERR_BAD_OPTION"
    assert str(error).startswith(f"retryConfig: unknown key {str(key)!r}; it may hold max_retries, ")


WRONG: dict[str, tuple[Any, ...]] = {
    "max_retries": (-1, 1.0, "3", True, None, [3]),
    "backoff_factor": (-0.1, "1", True, None, float("nan"), float("inf"), timedelta(seconds=-1), 10**400, 1j),
    "max_backoff": (-1, "1", False, None, float("inf")),
    "jitter": (0, 1, 0.5, "full", None),
    "status_forcelist": (
        None,
        "503",
        b"503",
        [99],
        [1000],
        ["503"],
        [503.0],
        [True],
        [None],
        [[503]],
        {503: 1},
        99,
        True,
    ),
    "methods": (None, b"GET", "", [""], [5], [None], [b"GET"], {"GET": 1}, 5, [["GET"]], False),
    "on_timeout": (0, "yes", None),
    "on_connect_error": (1, "no", None),
    "respect_retry_after": (1, None),
    "max_retry_after": (-1, "60", None, True),
    "attempt_timeout": (-1, "2", True, float("nan"), float("inf")),
    "condition": (True, "x", 5),
    "on_retry": (False, [], {}),
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, each) for key, values in WRONG.items() for each in values], ids=described
)
def test_wrong_values_are_refused_by_name(key: str, value: Any) -> None:
    for spelling in SPELLINGS[key]:
        error = refused({spelling: value})
        assert error.code == "ERR_BAD_OPTION_VALUE"
        assert str(error).startswith(f"retryConfig.{spelling}: expected ")
        assert ", got " in str(error)


def test_a_negative_int_is_refused() -> None:
    assert str(refused(-1)).startswith("retryConfig.max_retries: expected a whole number, 0 or more, got -1")


def test_a_long_value_is_not_shown_whole() -> None:
    assert len(str(refused("x" * 10_000))) < 300
    assert len(str(refused({"x" * 10_000: 1}))) < 500


# How it is kept


def test_what_is_kept_cannot_be_changed() -> None:
    kept: Any = check_retry_config(NAME, {"total": 2, "methods": ["GET"]})
    assert isinstance(kept, MappingProxyType)
    with pytest.raises(TypeError):
        kept["max_retries"] = 9
    with pytest.raises(AttributeError):
        kept["methods"].add("POST")


def test_the_callers_mapping_is_copied() -> None:
    methods = ["GET"]
    given = {"total": 2, "methods": methods}
    kept = check_retry_config(NAME, given)
    given["total"] = 9
    methods.append("POST")
    assert kept == {"max_retries": 2, "methods": {"GET"}}


def test_any_mapping_will_do() -> None:
    class Foreign(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return {"total": 4}[key]

        def __iter__(self) -> Any:
            return iter(["total"])

        def __len__(self) -> int:
            return 1

    assert policy(Foreign()) == RetryPolicy(max_retries=4)


def test_what_is_kept_may_be_given_again() -> None:
    kept = check_retry_config(NAME, {spelling[-1]: VALUES[key] for key, spelling in SPELLINGS.items()})
    assert check_retry_config(NAME, kept) == kept


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        RetryPolicy().max_retries = 5  # type: ignore[misc]  # that is what is tested


# Merging


@pytest.mark.parametrize(
    ("base", "given", "merged"),
    [
        ({"total": 2, "delay": 1}, {"retries": 5}, {"max_retries": 5, "backoff_factor": 1}),
        ({"total": 2}, True, {"max_retries": 2}),
        ({"total": 2}, {}, {"max_retries": 2}),
        ({"delay": 2}, 1, {"backoff_factor": 2, "max_retries": 1}),
        ({"total": 2}, None, None),
        ({"total": 2}, False, False),
        (None, {"total": 2}, {"max_retries": 2}),
        (False, {"total": 2}, {"max_retries": 2}),
        (True, 4, {"max_retries": 4}),
        (False, None, None),
        (None, False, False),
        # Lists replace each other.
        ({"methods": ["GET"]}, {"methods": ["POST"]}, {"methods": {"POST"}}),
    ],
    ids=described,
)
def test_keys_meet_by_name(base: Any, given: Any, merged: Any) -> None:
    kept = merge_option("retry_config", check_retry_config(NAME, base), check_retry_config(NAME, given))
    assert kept == merged
    config = merge_config({"retryConfig": base}, {"retryConfig": given})
    assert config.retry_config == merged
    if isinstance(kept, Mapping):
        assert isinstance(kept, MappingProxyType)


def test_merging_changes_neither() -> None:
    base, given = check_retry_config(NAME, {"total": 2}), check_retry_config(NAME, {"delay": 1})
    merge_option("retry_config", base, given)
    assert (base, given) == ({"max_retries": 2}, {"backoff_factor": 1})


# In a config


def test_a_config_checks_it_wherever_it_is_set() -> None:
    config = RequestConfig(retryConfig=2)
    assert config.retry_config == {"max_retries": 2}
    config["retryConfig"] = {"total": 3}
    assert config["retry_config"] == config.retryConfig == {"max_retries": 3}
    for wrong in ({"tries": 1}, "x"):
        with pytest.raises(AtomHTTPOptionError):
            config.retryConfig = wrong
    assert config.retry_config == {"max_retries": 3}


def test_a_config_with_it_survives() -> None:
    config = RequestConfig(retryConfig={"total": 2, "methods": ["GET"], "condition": print})
    for twin in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert twin.retry_config == config.retry_config
        assert build_retry_policy(twin.retry_config) == RetryPolicy(
            max_retries=2, methods=frozenset(("GET",)), condition=print
        )


def test_a_config_shows_it() -> None:
    config = RequestConfig(retryConfig={"total": 2})
    assert "max_retries" in repr(config)
    assert dict(config.to_dict()["retry_config"]) == {"max_retries": 2}


# Backoff


def test_backoff_doubles_up_to_its_longest() -> None:
    policy = RetryPolicy(backoff_factor=1, max_backoff=10, jitter=False)
    assert [policy.backoff(number, 0.123) for number in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_jitter_is_full() -> None:
    policy = RetryPolicy(backoff_factor=1, max_backoff=10)
    assert [policy.backoff(4, fraction) for fraction in (0, 0.25, 0.5, 1)] == [0, 2, 4, 8]
    assert policy.backoff(9, 0.5) == 5


@pytest.mark.parametrize("number", [64, 65, 66, 1024, 10**6])
def test_backoff_never_overflows(number: int) -> None:
    assert RetryPolicy(jitter=False).backoff(number, 0) == 30
    assert RetryPolicy(jitter=False, backoff_factor=0).backoff(number, 0) == 0
    assert RetryPolicy(jitter=False, backoff_factor=1e300).backoff(number, 0) == 30
