from __future__ import annotations

import copy
import gc
import pickle
import threading
import time
import weakref
from datetime import timedelta
from typing import Any

import pytest

from atomhttp import AbortController, AbortSignal, AtomHTTPCanceledError, AtomHTTPOptionError
from atomhttp._model.abort import check_signal
from support.naming import described


def listeners(signal: AbortSignal) -> int:
    return len(signal._listeners)


# Controllers


def test_a_controller_aborts_its_signal_once() -> None:
    controller = AbortController()
    signal = controller.signal
    assert (signal.aborted, signal.reason, signal.seconds_left) == (False, None, None)
    signal.throw_if_aborted()
    controller.abort("first")
    controller.abort("second")
    assert (signal.aborted, signal.reason) == (True, "first")
    with pytest.raises(AtomHTTPCanceledError, match=r"^canceled: first$"):
        signal.throw_if_aborted()


def test_a_controller_and_a_signal_say_what_they_are() -> None:
    controller = AbortController()
    assert repr(controller) == "<AbortController>"
    assert repr(controller.signal) == "<AbortSignal>"
    controller.abort("s3cret")
    assert repr(controller) == "<AbortController aborted>"
    assert repr(controller.signal) == "<AbortSignal aborted>"


@pytest.mark.parametrize("reason", [None, "why", 0, "", ValueError("v"), {"a": 1}], ids=described)
def test_the_error_of_a_signal(reason: Any) -> None:
    error = AbortSignal.abort(reason).error()
    assert (error.code, error.reason) == ("ERR_CANCELED", reason)
    assert str(error) == ("canceled" if reason is None else f"canceled: {reason}")
    assert error.__cause__ is (reason if isinstance(reason, BaseException) else None)


def test_every_call_gets_an_error_of_its_own() -> None:
    signal = AbortSignal.abort(ValueError("shared"))
    one, other = signal.error(), signal.error()
    assert one is not other
    assert one.__cause__ is other.__cause__


# Listeners


def test_listeners_are_called_once_and_in_order() -> None:
    controller, called = AbortController(), list[int]()
    for number in range(5):
        controller.signal.add_listener(lambda number=number: called.append(number))  # type: ignore[misc]  # bound early
    controller.abort()
    controller.abort()
    assert called == [0, 1, 2, 3, 4]
    assert listeners(controller.signal) == 0


def test_a_listener_that_comes_late_is_called_at_once() -> None:
    called: list[int] = []
    signal = AbortSignal.abort()
    signal.add_listener(lambda: called.append(1))
    assert called == [1]
    assert listeners(signal) == 0


def test_a_removed_listener_is_not_called() -> None:
    controller, called = AbortController(), list[int]()

    def listener() -> None:
        called.append(1)

    controller.signal.add_listener(listener)
    controller.signal.remove_listener(listener)
    controller.signal.remove_listener(listener)
    controller.abort()
    assert called == []


def test_a_listener_may_add_remove_and_abort() -> None:
    controller, called = AbortController(), list[str]()
    signal = controller.signal

    def last() -> None:
        called.append("last")

    def removed() -> None:
        called.append("removed")

    def first() -> None:
        called.append("first")
        signal.remove_listener(removed)
        controller.abort("again")
        signal.add_listener(last)

    signal.add_listener(first)
    signal.add_listener(removed)
    controller.abort("once")
    # Aborting again, or adding, calls nobody twice; what was removed before its turn is not called.
    assert called == ["first", "last"]
    assert signal.reason == "once"


def listen_and_abort_together() -> tuple[AbortController, list[int]]:
    """Two threads add twenty listeners each while two others abort."""
    controller, called, barrier = AbortController(), list[int](), threading.Barrier(4)

    def listen() -> None:
        barrier.wait()
        for number in range(20):
            controller.signal.add_listener(lambda number=number: called.append(number))  # type: ignore[misc]  # bound early

    def abort(reason: str) -> None:
        barrier.wait()
        controller.abort(reason)

    threads = [threading.Thread(target=listen) for _ in range(2)]
    threads += [threading.Thread(target=abort, args=[reason]) for reason in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return controller, called


def test_threads_that_abort_and_listen_at_once() -> None:
    """Every listener is called exactly once, whoever is first."""
    for _ in range(200):
        controller, called = listen_and_abort_together()
        assert sorted(called) == sorted([*range(20)] * 2)
        assert controller.signal.reason in ("one", "other")
        assert listeners(controller.signal) == 0


def test_an_abort_in_the_middle_of_an_abort_does_not_wait_for_it() -> None:
    """As a handler of the system's signals might, in the very same thread."""
    controller = AbortController()

    class Interrupting(dict[Any, Any]):
        def __iter__(self) -> Any:
            controller.abort("in between")
            return super().__iter__()

    called: list[int] = []
    controller.signal._listeners = Interrupting()
    controller.signal.add_listener(lambda: called.append(1))
    controller.abort("first")
    assert (controller.signal.reason, called) == ("first", [1])


# Timeouts


def test_a_timeout_aborts_by_itself() -> None:
    signal = AbortSignal.timeout(0.01)
    assert signal.seconds_left is not None
    assert 0 < signal.seconds_left <= 0.01
    end = time.monotonic() + 5
    while not signal.aborted:
        assert time.monotonic() < end
    assert isinstance(signal.reason, TimeoutError)
    assert str(signal.reason) == "the signal's timeout of 0.01 s has passed"
    assert signal.seconds_left == 0
    assert signal.reason is signal.reason


def test_a_timeout_of_nothing_has_passed() -> None:
    assert AbortSignal.timeout(0).aborted
    assert AbortSignal.timeout(timedelta()).aborted


def test_a_timeout_may_be_a_timedelta_and_long() -> None:
    for seconds in (timedelta(days=400), 1e300, 10**12):
        signal = AbortSignal.timeout(seconds)
        assert not signal.aborted
        assert signal.seconds_left is not None
        assert signal.seconds_left > 1e6


@pytest.mark.parametrize("value", [None, -1, -0.001, "1", True, float("nan"), float("inf"), [1]], ids=described)
def test_wrong_timeouts(value: Any) -> None:
    with pytest.raises(
        AtomHTTPOptionError, match="seconds: expected seconds, 0 or more, or a timedelta, got"
    ) as caught:
        AbortSignal.timeout(value)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_a_timeout_that_nobody_asked_about_calls_its_listeners_when_somebody_does() -> None:
    signal, called = AbortSignal.timeout(0), list[int]()
    signal.add_listener(lambda: called.append(1))
    assert called == []
    assert signal.aborted
    assert called == [1]


def test_the_error_of_a_timeout_that_has_passed_by_another_clock() -> None:
    """Whoever waits by a clock of its own may come here a moment too early."""
    signal = AbortSignal.timeout(60)
    error = signal.error()
    assert isinstance(error.reason, TimeoutError)
    assert signal.aborted
    both = AbortSignal.any([AbortController().signal, AbortSignal.timeout(60)])
    assert isinstance(both.error().reason, TimeoutError)
    assert both.aborted


# Any


def test_any_aborts_with_the_first_for_its_reason() -> None:
    one, other = AbortController(), AbortController()
    signal = AbortSignal.any([one.signal, other.signal])
    assert not signal.aborted
    other.abort("other")
    one.abort("one")
    assert (signal.aborted, signal.reason) == (True, "other")
    assert not AbortController().signal.aborted


def test_any_of_one_that_has_been_aborted_is_aborted() -> None:
    one = AbortController()
    signal = AbortSignal.any(iter([one.signal, AbortSignal.abort("first"), AbortSignal.abort("second")]))
    assert (signal.aborted, signal.reason) == (True, "first")
    assert listeners(one.signal) == 0


def test_any_of_none_never_aborts() -> None:
    signal = AbortSignal.any([])
    assert (signal.aborted, signal.seconds_left) == (False, None)


def test_any_has_the_nearest_timeout_and_its_reason() -> None:
    near = AbortSignal.timeout(0.001)
    signal = AbortSignal.any([AbortSignal.timeout(60), near, AbortController().signal])
    assert signal.seconds_left is not None
    assert signal.seconds_left <= 0.001
    end = time.monotonic() + 5
    while not signal.aborted:
        assert time.monotonic() < end
    assert isinstance(signal.reason, TimeoutError)
    assert signal.reason is near.reason


def test_a_timeout_that_passed_first_is_the_reason_although_nobody_asked() -> None:
    controller = AbortController()
    signal = AbortSignal.any([controller.signal, AbortSignal.timeout(0.001)])
    end = time.monotonic() + 0.002
    while time.monotonic() < end:
        pass
    controller.abort("too late")
    assert isinstance(signal.reason, TimeoutError)


def test_any_may_be_nested() -> None:
    controller = AbortController()
    inner = AbortSignal.any([controller.signal])
    outer = AbortSignal.any([AbortController().signal, inner])
    called: list[int] = []
    outer.add_listener(lambda: called.append(1))
    inner_is_kept = weakref.ref(inner)
    del inner
    gc.collect()
    assert inner_is_kept() is not None
    controller.abort("deep")
    assert (outer.reason, called) == ("deep", [1])


def test_any_is_not_kept_alive_by_its_sources() -> None:
    controller = AbortController()
    for _ in range(1000):
        AbortSignal.any([controller.signal, AbortSignal.timeout(60)])
    assert listeners(controller.signal) == 0


@pytest.mark.parametrize("value", [None, 1, AbortSignal(), [1], [None], [AbortController()], "ab"], ids=described)
def test_wrong_signals_for_any(value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^signals: expected") as caught:
        AbortSignal.any(value)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_any_with_a_wrong_one_has_touched_none() -> None:
    controller = AbortController()
    with pytest.raises(AtomHTTPOptionError):
        AbortSignal.any([controller.signal, None])  # type: ignore[list-item]  # on purpose
    assert listeners(controller.signal) == 0


# Copies


def test_a_copy_is_the_signal_itself() -> None:
    signal = AbortController().signal
    assert copy.copy(signal) is signal
    assert copy.deepcopy({"signal": signal})["signal"] is signal


def test_a_pickled_signal_is_one_of_its_own() -> None:
    controller = AbortController()
    loaded = pickle.loads(pickle.dumps(controller.signal))
    controller.abort("why")
    assert not loaded.aborted
    loaded = pickle.loads(pickle.dumps(controller.signal))
    assert (loaded.aborted, loaded.reason) == (True, "why")
    timed = pickle.loads(pickle.dumps(AbortSignal.timeout(0)))
    assert isinstance(timed.reason, TimeoutError)


# The option


def test_the_option_takes_a_signal_or_none() -> None:
    signal = AbortSignal()
    assert check_signal("signal", signal) is signal
    assert check_signal("signal", None) is None
    with pytest.raises(AtomHTTPOptionError, match=r"signal: expected an AbortSignal or None, got 'x'"):
        check_signal("signal", "x")
    with pytest.raises(AtomHTTPOptionError, match=r"did you mean controller\.signal"):
        check_signal("signal", AbortController())
