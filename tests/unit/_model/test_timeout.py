from __future__ import annotations

import copy
import math
import pickle
from datetime import timedelta
from typing import Any

import pytest

from atomhttp._model.timeout import Timeout
from atomhttp.errors import AtomHTTPOptionError

PHASES = ("total", "connect", "read", "write", "pool")


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (5, 5.0),
        (0.25, 0.25),
        (timedelta(milliseconds=1500), 1.5),
        (None, None),
        (0, None),
        (0.0, None),
        (timedelta(0), None),
        (math.inf, None),
        (10**400, None),
    ],
)
def test_a_plain_value_is_the_total_and_for_streams_the_gap(given: Any, seconds: float | None) -> None:
    timeout = Timeout.of(given)
    assert (timeout.total, timeout.stream_gap, timeout.has_phases) == (seconds, seconds, False)
    assert timeout.connect is timeout.read is timeout.write is timeout.pool is None
    for name in PHASES:
        assert getattr(Timeout(**{name: given}), name) == seconds


def test_a_timeout_s_own_total_bounds_streams_too() -> None:
    assert (Timeout(5).total, Timeout(5).stream_gap) == (5.0, None)
    assert Timeout(5) != Timeout.of(5)
    assert Timeout.of(Timeout(5)) == Timeout(5)


@pytest.mark.parametrize("name", ["connect", "read", "write", "pool"])
def test_phases(name: str) -> None:
    timeout = Timeout.of({"total": 9, name: 2})
    assert (timeout.total, getattr(timeout, name), timeout.has_phases) == (9.0, 2.0, True)
    assert timeout == Timeout(9, **{name: 2})
    assert not Timeout(9, **{name: 0}).has_phases


@pytest.mark.parametrize(
    "bad", [True, False, "5", b"5", -1, -0.001, math.nan, -math.inf, [5], (5, 5), object(), timedelta(-1), 1j]
)
def test_bad_values_name_the_option_and_what_was_given(bad: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"timeout: expected .*seconds.* got ") as caught:
        Timeout.of(bad)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    for name in PHASES:
        with pytest.raises(AtomHTTPOptionError, match=f"timeout.{name}: "):
            Timeout.of({name: bad})


@pytest.mark.parametrize("keys", [{"conect": 1}, {"total": 1, "sock_read": 2}, {5: 1}])
def test_unknown_phases_are_refused(keys: dict[Any, Any]) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"unknown key .*known: total, connect, read, write, pool") as caught:
        Timeout.of(keys)
    assert caught.value.code == "ERR_BAD_OPTION"


def test_it_cannot_be_changed() -> None:
    timeout = Timeout(5)
    with pytest.raises(AttributeError, match="make a new one"):
        timeout.total = 6
    with pytest.raises(AttributeError):
        del timeout.total
    assert timeout.total == 5


@pytest.mark.parametrize(
    "timeout", [Timeout(), Timeout(5), Timeout.of(5), Timeout.of(0), Timeout(9, 1, 2, 3, 4), Timeout(read=1)]
)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda timeout: pickle.loads(pickle.dumps(timeout))])
def test_copies_are_equal(timeout: Timeout, duplicate: Any) -> None:
    twin = duplicate(timeout)
    assert twin == timeout
    assert hash(twin) == hash(timeout)
    assert (twin.stream_gap, twin.has_phases) == (timeout.stream_gap, timeout.has_phases)


def test_repr() -> None:
    assert repr(Timeout(9, read=0.5)) == "Timeout(total=9, read=0.5)"
    assert repr(Timeout()) == "Timeout()"
    assert Timeout() != 5
