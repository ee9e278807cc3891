"""The walk through the lists, against a model of a promise chain; what the manager tells its client."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._model.config import RequestConfig
from atomhttp._pipeline.interceptors import Interceptor, InterceptorManager, Interceptors, intercept
from atomhttp._pipeline.response import Response, status_error
from atomhttp.errors import AtomHTTPStatusError

T = TypeVar("T")


class Driver:
    """Waits for what never has to wait."""

    async def foreign(self, awaitable: Awaitable[T], due: float | None) -> T:
        assert due is None
        return await awaitable


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # T
    coroutine.close()
    raise AssertionError("it waited")


class NumberedError(Exception):
    """Errors that can be told apart."""


def noop(_given: Any) -> None:
    """Does nothing."""


# The manager


def test_the_client_is_told_of_changes_only() -> None:
    changes: list[None] = []
    manager = InterceptorManager(lambda: changes.append(None))
    manager.use(noop)
    manager.response.use(noop)
    assert len(changes) == 2
    assert manager.eject(7) is False
    assert len(changes) == 2
    manager.eject(0)
    assert len(changes) == 3


def test_a_snapshot_is_none_when_there_is_nothing_to_run() -> None:
    manager = InterceptorManager()
    assert manager.snapshot() is None
    index = manager.use(noop)
    assert manager.snapshot() is not None
    manager.eject(index)
    assert manager.snapshot() is None


def test_a_snapshot_never_changes() -> None:
    manager = InterceptorManager()
    manager.use(noop)
    manager.response.use(None, noop)
    snapshot = manager.snapshot()
    assert snapshot is not None
    manager.use(noop)
    manager.clear()
    assert [(entry.number, entry.ok, entry.err) for entry in snapshot.request] == [(0, noop, None)]
    assert [(entry.number, entry.ok, entry.err) for entry in snapshot.response] == [(1, None, noop)]


def test_ejecting_while_others_add_loses_none() -> None:
    manager = InterceptorManager()
    barrier = threading.Barrier(4, timeout=9)
    kept: list[int] = []

    def work() -> None:
        barrier.wait()
        for _ in range(200):
            kept.append(manager.use(noop))
            assert manager.eject(manager.use(noop)) is True

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    snapshot = manager.snapshot()
    assert snapshot is not None
    assert sorted(entry.number for entry in snapshot.request) == sorted(kept)
    assert len(kept) == 800


# The walk, against a model

# What a function does: give back what it got ("same"), return None, return something else, raise; or it is missing.
DEEDS = st.sampled_from(["missing", "same", "none", "other", "raise"])
PAIRS = st.lists(st.tuples(DEEDS, DEEDS, st.booleans()), max_size=6)


class Script:
    """Functions that do as they are told, and leave in `log` what they were called with."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.errors: dict[Any, NumberedError] = {}

    def function(self, deed: str, name: Any, is_async: bool, other: Any) -> Any:
        if deed == "missing":
            return None
        self.errors[name] = NumberedError(name)

        def call(given: Any) -> Any:
            self.log.append((name, given))
            if deed == "raise":
                raise self.errors[name]
            return {"same": given, "none": None, "other": other}[deed]

        async def call_later(given: Any) -> Any:
            return call(given)

        return call_later if is_async else call


@given(PAIRS, st.booleans())
def test_the_response_list_is_a_promise_chain(pairs: list[tuple[str, str, bool]], sent_well: bool) -> None:
    script = Script()
    entries = tuple(
        Interceptor(
            number,
            script.function(ok, ("ok", number), is_async, f"value {number}"),
            script.function(err, ("err", number), is_async, f"recovered {number}"),
        )
        for number, (ok, err, is_async) in enumerate(pairs)
    )
    response, failure = Response("sent"), NumberedError("send")

    async def send(_config: RequestConfig) -> Response[Any]:
        if not sent_well:
            raise failure
        return response

    expected_log: list[Any] = []
    value: Any = response
    error: Exception | None = None if sent_well else failure
    for number, (ok, err, _) in enumerate(pairs):
        kind, deed, taken = ("ok", ok, value) if error is None else ("err", err, error)
        if deed == "missing":
            continue
        expected_log.append(((kind, number), taken))
        if deed == "raise":
            error = script.errors[kind, number]
        elif kind == "ok":
            value = f"value {number}" if deed == "other" else taken
        else:
            value, error = {"same": taken, "none": None, "other": f"recovered {number}"}[deed], None

    walk = intercept(Interceptors((), entries), RequestConfig(url="/"), RequestConfig, send, Driver())
    if error is None:
        assert run(walk) == value
    else:
        with pytest.raises(NumberedError) as caught:
            run(walk)
        assert caught.value is error
    assert script.log == expected_log


@given(PAIRS)
def test_the_request_list_is_a_promise_chain(pairs: list[tuple[str, str, bool]]) -> None:
    script = Script()
    config = RequestConfig(url="/")
    entries = tuple(
        Interceptor(
            number,
            # What gives back what it got would give back an error here, which is none of what may be returned.
            script.function("none" if ok == "same" else ok, ("ok", number), is_async, {"timeout": number + 1}),
            script.function("none" if err == "same" else err, ("err", number), is_async, {"timeout": number + 1}),
        )
        for number, (ok, err, is_async) in enumerate(pairs)
    )
    sent: list[Any] = []

    async def send(given: RequestConfig) -> Response[Any]:
        sent.append((given, given.timeout))
        return Response("sent")

    timeout: Any = config.timeout
    error: Exception | None = None
    called: list[Any] = []
    for number, (ok, err, _) in enumerate(pairs):
        kind, deed = ("ok", ok) if error is None else ("err", err)
        if deed == "missing":
            continue
        called.append((kind, number))
        error = script.errors[kind, number] if deed == "raise" else None
        timeout = number + 1 if deed == "other" else timeout

    walk = intercept(Interceptors(entries, ()), config, RequestConfig, send, Driver())
    if error is None:
        assert run(walk).data == "sent"
        assert sent == [(config, timeout)]
    else:
        with pytest.raises(NumberedError) as caught:
            run(walk)
        assert caught.value is error
        assert sent == []
    assert [name for name, _ in script.log] == called


@given(st.lists(DEEDS.filter(lambda deed: deed != "missing"), max_size=5), st.sampled_from([200, 404]))
def test_functions_for_every_response_are_followed_by_the_question_each_time(deeds: list[str], status: int) -> None:
    """Those that return another response turn a good status into a bad one, and a bad one into a good one."""
    script, entries, expected = Script(), [], []
    current, failed = status, False
    for number, deed in enumerate(deeds):
        other = Response(number, 404 if current == 200 else 200)
        entries.append(Interceptor(number, received=script.function(deed, number, False, other)))
        if not failed:
            expected.append((number, current))
            current = other.status if deed == "other" else current
            failed = deed == "raise"

    async def send(given: RequestConfig) -> Response[Any]:
        response = Response("sent", status, config=given)
        if status != 200:
            raise status_error(response)
        return response

    config = RequestConfig(url="/", validate_status=True)
    walk = intercept(Interceptors((), tuple(entries)), config, RequestConfig, send, Driver())
    if failed:
        with pytest.raises(NumberedError):
            run(walk)
    elif current != 200:
        with pytest.raises(AtomHTTPStatusError) as caught:
            run(walk)
        assert caught.value.status == current
    else:
        assert run(walk).status == current
    assert [(number, given.status) for number, given in script.log] == expected
