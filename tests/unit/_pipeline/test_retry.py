"""Which outcomes are tried again, and when: the loop alone, without a network and without a clock that runs."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from atomhttp._adapters.base import AdapterResponse
from atomhttp._body.encode import IteratorBody
from atomhttp._model.config import Defaults
from atomhttp._model.request import Request
from atomhttp._model.retry_config import IDEMPOTENT
from atomhttp._pipeline.exchange import Exchange
from atomhttp._pipeline.plan import Plan
from atomhttp._pipeline.resend import can_replay, check_resend, may_repeat
from atomhttp._pipeline.response import Response
from atomhttp._pipeline.retry import read_retry_after, retry
from atomhttp.errors import (
    AtomHTTPCanceledError,
    AtomHTTPClosedError,
    AtomHTTPDecodeError,
    AtomHTTPError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPProtocolError,
    AtomHTTPProxyError,
    AtomHTTPRedirectError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    AtomHTTPTLSError,
    AtomHTTPURLError,
)
from support.naming import described

URL = "http://service.test/x"


class Driver:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    async def foreign(self, awaitable: Any, due: float | None) -> Any:
        return await awaitable


class Scripted:
    """An adapter: outcomes in order, the last one for ever; what is callable is called with the request."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.requests: list[Request] = []

    async def send(self, request: Request) -> AdapterResponse:
        self.requests.append(request)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if callable(outcome):
            outcome = outcome(request)
        if isinstance(outcome, BaseException):
            raise outcome
        return AdapterResponse(outcome) if isinstance(outcome, int) else outcome

    async def close(self) -> None:
        pass


class Played:
    """What came of one request."""

    def __init__(self, adapter: Scripted, driver: Driver, exchange: Exchange, outcome: Any) -> None:
        self.adapter, self.driver, self.exchange, self.outcome = adapter, driver, exchange, outcome

    @property
    def count(self) -> int:
        return len(self.adapter.requests)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits for somebody")


def play(*outcomes: Any, config: Any = True, method: str = "GET", **options: Any) -> Played:
    adapter, driver = Scripted(*outcomes), Driver()
    if isinstance(config, dict):
        config = {"jitter": False, **config}
    plan = Plan(Defaults({}, {}))
    options = {"retryConfig": config, **options}
    request = plan.build_request(plan.build_config(method, URL, None, options), driver, driver.now())
    exchange = Exchange(adapter, driver)
    outcome: Any
    try:
        outcome = run(retry(exchange.send, exchange, driver, request))
    except AtomHTTPError as error:
        outcome = error
    return Played(adapter, driver, exchange, outcome)


def lost(sent: str = "maybe", code: str = "ECONNRESET", **more: Any) -> Callable[[Any], AtomHTTPNetworkError]:
    return lambda _request: AtomHTTPNetworkError("lost", code, request_sent=sent, **more)


def late(phase: str) -> Callable[[Any], AtomHTTPTimeoutError]:
    return lambda _request: AtomHTTPTimeoutError("late", phase=phase, limit=1.0, elapsed=1.0, url=URL)


def caused(error: AtomHTTPError, cause: BaseException) -> AtomHTTPError:
    error.__cause__ = cause
    return error


# Outcomes


@pytest.mark.parametrize("sent", ["no", "maybe", "yes"])
@pytest.mark.parametrize("method", [*sorted(IDEMPOTENT), "POST", "PATCH", "PURGE"])
def test_a_lost_connection(method: str, sent: str) -> None:
    played = play(lost(sent), method=method)
    assert played.count == (4 if sent == "no" or method in IDEMPOTENT else 1)


@pytest.mark.parametrize("phase", ["pool", "dns", "connect", "tls", "write", "headers", "body"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_phase_timeout(method: str, phase: str) -> None:
    is_before = phase in ("pool", "dns", "connect", "tls")
    assert play(late(phase), method=method).count == (4 if method == "GET" or is_before else 1)
    assert play(late(phase), method=method, config={"on_timeout": False}).count == 1
    assert play(late(phase), method=method, config={"on_connect_error": False}).count == (
        4 if method == "GET" or is_before else 1
    )


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("ECONNREFUSED", 4),
        ("ECONNRESET", 4),
        ("EPIPE", 4),
        ("EHOSTUNREACH", 4),
        ("ENETUNREACH", 4),
        ("ETIMEDOUT", 4),
        ("EAI_AGAIN", 4),
        ("ENOTFOUND", 1),
        ("ERR_ADDRESS_REFUSED", 1),
    ],
)
def test_codes_of_the_network(code: str, count: int) -> None:
    for method in ("GET", "POST"):
        assert play(lost("no", code), method=method).count == count
        always = {"condition": lambda outcome, attempt: True}
        assert play(lost("no", code), method=method, config=always).count == count


@pytest.mark.parametrize(
    "error",
    [
        AtomHTTPLimitError("x", limit=1, size=2),
        AtomHTTPDecodeError("x"),
        AtomHTTPOptionError("x"),
        AtomHTTPURLError("x"),
        AtomHTTPStatusError("x"),
        AtomHTTPRedirectError("x"),
        AtomHTTPClosedError("x"),
        AtomHTTPCanceledError("x"),
        *(AtomHTTPTLSError("x", code) for code in AtomHTTPTLSError.codes if code != "ERR_TLS"),
        caused(AtomHTTPTLSError("of no code that is known"), ssl.SSLCertVerificationError()),
        caused(AtomHTTPTLSError("no such file"), FileNotFoundError()),
    ],
    ids=lambda error: f"{type(error).__name__}-{error.code}",
)
def test_what_would_fail_again_is_never_retried_whatever_the_condition_says(error: AtomHTTPError) -> None:
    asked: list[Any] = []
    for config in ({}, {"condition": lambda *given: asked.append(given) or True}):
        assert play(error, config=config).count == 1
        error.request = None
    assert asked == []


@pytest.mark.parametrize(
    "error",
    [
        caused(AtomHTTPTLSError("ended during the handshake"), ssl.SSLEOFError()),
        caused(AtomHTTPTLSError("an alert of the server"), ssl.SSLError()),
        AtomHTTPProxyError("x"),
        AtomHTTPProtocolError("x", request_sent="yes"),
        AtomHTTPProtocolError("x", "HPE_HEADER_OVERFLOW", request_sent="yes"),
    ],
    ids=described,
)
def test_other_errors_of_the_network_are(error: AtomHTTPError) -> None:
    assert play(error).count == 4


def test_what_is_no_error_of_ours_passes_through() -> None:
    for error in (ValueError("mine"), KeyboardInterrupt(), TimeoutError("mine")):
        with pytest.raises(type(error)) as caught:
            play(error)
        assert caught.value is error


def test_an_error_that_belongs_to_another_request_passes_through() -> None:
    error = AtomHTTPNetworkError("of a token's request", "ECONNREFUSED")
    error.request = play(200).adapter.requests[0]
    played = play(error, config={"condition": lambda outcome, attempt: True})
    assert played.count == 1
    assert played.outcome is error


def test_without_a_policy_it_is_sent_once() -> None:
    for config in (None, False):
        assert play(503, config=config).count == 1


# The loop


def test_the_last_outcome_is_the_calls() -> None:
    played = play(lost(), 503, lost(code="EPIPE"), 500, config={"total": 3})
    assert isinstance(played.outcome, Response)
    assert played.outcome.status == 500
    played = play(503, lost(), config={"total": 1})
    assert isinstance(played.outcome, AtomHTTPNetworkError)
    assert [(each.status, each.error) for each in played.exchange.attempts] == [(503, None), (None, "ECONNRESET")]


def test_it_waits_as_its_policy_says() -> None:
    assert play(503, config={"delay": 2}).driver.slept == [2, 4, 8]
    assert play(503, 200, config={"delay": 2}).driver.slept == [2]


def test_every_attempt_is_recorded() -> None:
    played = play(503, lost(), 200, config={"delay": 2})
    assert [tuple(each)[:5] for each in played.exchange.attempts] == [
        (1, URL, 503, None, 0.0),
        (2, URL, None, "ECONNRESET", 2.0),
        (3, URL, 200, None, 4.0),
    ]


def test_an_attempt_has_a_deadline_of_its_own_and_the_call_keeps_its() -> None:
    deadlines: list[float | None] = []

    def note(request: Request) -> int:
        deadlines.append(request.deadline)
        return 503

    for timeout, expected in ((30, [1005, 1007, 1011]), (None, [1005, 1007, 1011]), (8, [1005, 1007, 1008])):
        deadlines.clear()
        played = play(note, config={"attempt_timeout": 5, "delay": 2, "total": 2}, timeout=timeout)
        assert deadlines == expected
        [request] = set(played.adapter.requests)
        assert request.deadline == (None if timeout is None else 1000 + timeout)


def test_a_new_connection_is_asked_for_where_a_kept_one_has_died() -> None:
    fresh: list[bool] = []

    def note(outcome: Any) -> Callable[[Request], Any]:
        def send(request: Request) -> Any:
            fresh.append(request.fresh)
            return outcome

        return send

    died = AtomHTTPNetworkError("died", "ECONNRESET", request_sent="maybe", reused=True)
    play(note(died), note(200))
    play(note(lost()(None)), note(200))
    assert fresh == [False, True, False, False]


def test_a_body_that_is_used_up_ends_it() -> None:
    def use_up(request: Request) -> AtomHTTPError:
        body: Any = request.body
        body.open()
        return lost()(None)

    played = play(use_up, method="PUT", data=iter([b"x"]))
    assert played.count == 1
    assert str(played.outcome) == "lost; not tried again: the body is a stream that can be read once"
    # Nothing was read of it.
    assert play(lost(), method="PUT", data=iter([b"x"])).count == 4
    assert play(use_up, method="PUT", data=type("Pieces", (), {"__iter__": lambda self: iter([b"x"])})()).count == 4


def test_the_condition_is_asked_before_the_body_is_looked_at() -> None:
    """Who does not want another attempt is not told of a body."""

    def use_up(request: Request) -> AtomHTTPError:
        body: Any = request.body
        body.open()
        return lost()(None)

    played = play(use_up, method="PUT", data=iter([b"x"]), config={"condition": lambda outcome, attempt: False})
    assert str(played.outcome) == "lost"


def test_no_wait_for_what_comes_too_late() -> None:
    played = play(503, config={"delay": 4}, timeout=10)
    # 4, then 8 would be 12.
    assert played.driver.slept == [4]
    # Not even just in time: nothing could be sent.
    assert play(503, config={"delay": 10}, timeout=10).driver.slept == []


def test_a_wait_begins_when_it_is_decided() -> None:
    driver: list[Any] = []

    def take_time(info: Any) -> None:
        driver[0].time += 3

    class Noting(Scripted):
        async def send(self, request: Request) -> AdapterResponse:
            driver[:] = [request.driver]
            return await super().send(request)

    adapter, clock = Noting(503, 200), Driver()
    plan = Plan(Defaults({}, {}))
    options = {"retryConfig": {"jitter": False, "delay": 5, "on_retry": take_time}}
    request = plan.build_request(plan.build_config("GET", URL, None, options), clock, clock.now())
    exchange = Exchange(adapter, clock)
    assert run(retry(exchange.send, exchange, clock, request)).status == 200
    assert clock.slept == [2]
    assert exchange.attempts[1].wait == 5


# Retry-After


def response_with(**fields: str) -> Response[Any]:
    return Response(None, 503, headers={name.replace("_", "-"): value for name, value in fields.items()})


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("007", 7),
        ("120", 120),
        ("9" * 30, 1e30),
        ("", 0),
        ("-7", 0),
        ("+7", 0),
        ("7.5", 0),
        ("7s", 0),
        ("٧", 0),
        ("²", 0),
        ("7, 8", 0),
        ("soon", 0),
        ("Wed, 32 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 99999 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 25:61:61 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ],
)
def test_seconds(field: str, seconds: float) -> None:
    assert read_retry_after(response_with(Retry_After=field)) == pytest.approx(seconds)


def test_none_at_all() -> None:
    assert read_retry_after(response_with()) == 0


@pytest.mark.parametrize(
    "field", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_dates_in_every_form_and_zone(field: str, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for date in ("Sun, 06 Nov 1994 08:49:30 GMT", "Sun Nov  6 08:49:30 1994"):
            assert read_retry_after(response_with(Date=date, Retry_After=field)) == 7
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_a_date_without_a_good_one_to_compare_is_compared_with_ours(date: str) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 90 < read_retry_after(response_with(Date=date, Retry_After=then)) <= 100


# The one safe resend


def request_of(method: str = "GET", **options: Any) -> Request:
    driver = Driver()
    plan = Plan(Defaults({}, {}))
    return plan.build_request(plan.build_config(method, URL, None, options), driver, 0.0)


def died(request: Request | None, **more: Any) -> AtomHTTPNetworkError:
    error = AtomHTTPNetworkError("died", "ECONNRESET", request_sent="maybe", **{"reused": True, **more})
    error.request = request
    return error


@pytest.mark.parametrize("method", sorted(IDEMPOTENT))
def test_a_dead_kept_connection_is_replaced(method: str) -> None:
    request = request_of(method)
    check_resend(request, died(request))
    assert request.fresh


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"method": "POST"}, {}, "died; the request may have been sent, and a second time might do it twice"),
        ({"retryConfig": False}, {}, "died"),
        ({"retryConfig": True}, {}, "died"),
        ({"retryConfig": 0}, {}, "died"),
        ({}, {"reused": False}, "died"),
    ],
)
def test_other_errors_stand(options: Any, error: Any, says: str) -> None:
    request = request_of(**options)
    with pytest.raises(AtomHTTPNetworkError) as caught:
        check_resend(request, died(request, **error))
    assert str(caught.value) == says
    assert not request.fresh


def test_a_body_that_is_used_up_is_named() -> None:
    untouched = request_of("PUT", data=iter([b"x"]))
    check_resend(untouched, died(untouched))
    request = request_of("PUT", data=iter([b"x"]))
    body: Any = request.body
    body.open()
    with pytest.raises(AtomHTTPNetworkError, match="not tried again: the body is a stream that can be read once"):
        check_resend(request, died(request))


def test_an_error_of_another_request_stands_as_it_is() -> None:
    request = request_of("POST")
    with pytest.raises(AtomHTTPNetworkError) as caught:
        check_resend(request, died(request_of()))
    assert str(caught.value) == "died"


def test_what_may_be_repeated() -> None:
    assert may_repeat(request_of("GET"), IDEMPOTENT)
    assert not may_repeat(request_of("POST"), IDEMPOTENT)
    assert may_repeat(request_of("POST"), frozenset(("POST",)))
    assert may_repeat(request_of("purge"), frozenset(("PURGE",)))
    for name in ("Idempotency-Key", "IDEMPOTENCY-KEY"):
        assert may_repeat(request_of("POST", headers={name: "1"}), IDEMPOTENT)


def test_what_can_be_replayed() -> None:
    assert can_replay(request_of("PUT"))
    assert can_replay(request_of("PUT", data=b"x"))
    request = request_of("PUT", data=iter([b"x"]))
    assert isinstance(request.body, IteratorBody)
    assert can_replay(request)
    request.body.open()
    assert not can_replay(request)
