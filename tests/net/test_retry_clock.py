"""When a retry happens: backoff, jitter, Retry-After, attempt timeouts, the deadline. On a virtual clock."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from atomhttp import (
    AdapterResponse,
    AtomHTTP,
    AtomHTTPClosedError,
    AtomHTTPNetworkError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    Response,
    RetryInfo,
    Timeout,
)
from atomhttp._net.drivers import aio
from support.clock import VirtualClockLoop
from support.origin import Answer, Origin, Received, pattern
from support.peer import Peer, drain, expect_end, expect_head, hold, send
from support.server import silent_address

URL = "http://service.test/"
# The wheel's slots: what a timer may be late.
LATE = 2 / 32
EXACT = {"jitter": False}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Canned:
    """An adapter that answers at once; the last answer for ever. Notes when it was asked."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.asked_at: list[float] = []

    async def send(self, _request: Any) -> AdapterResponse:
        self.asked_at.append(asyncio.get_running_loop().time())
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, int):
            return AdapterResponse(outcome)
        return AdapterResponse(503, outcome) if isinstance(outcome, dict) else outcome

    async def close(self) -> None:
        pass

    @property
    def waits(self) -> list[float]:
        """Seconds between two sends."""
        return [later - sooner for sooner, later in zip(self.asked_at, self.asked_at[1:], strict=False)]


def check_waits(adapter: Canned, answered: Any, expected: list[float]) -> None:
    """Never less than was planned, and no more than the wheel needs; the attempts say what was planned."""
    assert [each.wait for each in answered.attempts] == pytest.approx([0.0, *expected])
    for waited, planned in zip(adapter.waits, expected, strict=True):
        assert planned <= waited + 1e-9
        assert waited <= planned + LATE


async def retried(outcomes: list[Any], config: Any, **options: Any) -> tuple[Canned, Response[Any]]:
    adapter = Canned(*outcomes)
    async with AtomHTTP(adapter=adapter) as client:
        return adapter, await client.get(URL, retryConfig=config, **options)


# Backoff


async def test_the_first_wait_is_backoff_factor_and_each_next_one_is_twice_as_long(
    virtual_clock: VirtualClockLoop,
) -> None:
    adapter, response = await retried([503], {**EXACT, "max_retries": 5})
    check_waits(adapter, response, [0.3, 0.6, 1.2, 2.4, 4.8])


@pytest.mark.parametrize("word", ["backoff_factor", "backoffFactor", "delay"])
async def test_backoff_factor_is_the_first_wait_in_seconds(virtual_clock: VirtualClockLoop, word: str) -> None:
    adapter, response = await retried([503], {**EXACT, word: 1.5})
    check_waits(adapter, response, [1.5, 3, 6])
    adapter, response = await retried([503], {**EXACT, word: timedelta(seconds=1)})
    check_waits(adapter, response, [1, 2, 4])


async def test_no_wait_is_longer_than_max_backoff(virtual_clock: VirtualClockLoop) -> None:
    adapter, response = await retried([503], {**EXACT, "delay": 10, "total": 5}, timeout=None)
    check_waits(adapter, response, [10, 20, 30, 30, 30])
    adapter, response = await retried([503], {**EXACT, "delay": 10, "max_backoff": 12}, timeout=None)
    check_waits(adapter, response, [10, 12, 12])


async def test_a_thousand_retries_are_no_overflow(virtual_clock: VirtualClockLoop) -> None:
    adapter, response = await retried([503], {**EXACT, "delay": 0.001, "max_backoff": 0, "total": 1100})
    assert len(response.attempts) == len(adapter.asked_at) == 1101


async def test_a_backoff_factor_of_0_does_not_wait(virtual_clock: VirtualClockLoop) -> None:
    adapter, response = await retried([503], {"delay": 0})
    check_waits(adapter, response, [0, 0, 0])
    assert virtual_clock.time() == 0


async def test_errors_wait_as_long_as_statuses(virtual_clock: VirtualClockLoop) -> None:
    lost = AtomHTTPNetworkError("lost", "ECONNRESET", request_sent="maybe")
    adapter, response = await retried([lost, 503, 200], EXACT)
    check_waits(adapter, response, [0.3, 0.6])


async def test_each_call_begins_anew(virtual_clock: VirtualClockLoop) -> None:
    adapter = Canned(503)
    async with AtomHTTP(adapter=adapter, retryConfig={**EXACT, "total": 1}) as client:
        for _ in range(3):
            assert [each.wait for each in (await client.get(URL)).attempts] == [0.0, 0.3]


async def test_full_jitter_draws_evenly_between_0_and_the_wait(virtual_clock: VirtualClockLoop) -> None:
    calls = 400
    async with AtomHTTP(adapter=Canned(503)) as client:
        responses = await asyncio.gather(*(client.get(URL, retryConfig=True) for _ in range(calls)))
    for number, longest in ((1, 0.3), (2, 0.6), (3, 1.2)):
        waits = [response.attempts[number].wait / longest for response in responses]
        assert all(0 <= each <= 1 for each in waits)
        # Even: the mean of 400 is off by more than 0.1 once in 10^11, a tenth of the range is empty once in 10^18.
        assert statistics.fmean(waits) == pytest.approx(0.5, abs=0.1)
        assert {int(each * 10) for each in waits} >= set(range(10))


async def test_jitter_is_drawn_for_each_wait(virtual_clock: VirtualClockLoop) -> None:
    _, response = await retried([503], {"max_retries": 8, "delay": 1, "max_backoff": 1})
    assert len({each.wait for each in response.attempts[1:]}) == 8


# Retry-After


async def test_retry_after_in_seconds_is_a_floor(virtual_clock: VirtualClockLoop) -> None:
    adapter, response = await retried([{"Retry-After": "7"}, 200], EXACT)
    check_waits(adapter, response, [7])
    # What would be waited anyway may be longer.
    adapter, response = await retried([{"Retry-After": "7"}, 200], {**EXACT, "delay": 9})
    check_waits(adapter, response, [9])


async def test_retry_after_is_a_floor_for_jitter_too(virtual_clock: VirtualClockLoop) -> None:
    for _ in range(10):
        _, response = await retried([{"Retry-After": "2"}, 200], {"delay": 1})
        assert response.attempts[1].wait == 2


async def test_max_backoff_does_not_shorten_retry_after(virtual_clock: VirtualClockLoop) -> None:
    adapter, response = await retried([{"Retry-After": "20"}, 200], {**EXACT, "max_backoff": 1})
    check_waits(adapter, response, [20])


async def test_retry_after_0_waits_no_longer_than_otherwise(virtual_clock: VirtualClockLoop) -> None:
    adapter, response = await retried([{"Retry-After": "0"}, 200], EXACT)
    check_waits(adapter, response, [0.3])


async def test_a_date_is_counted_from_the_servers_own(virtual_clock: VirtualClockLoop) -> None:
    """Its clock may be years off: only the distance counts."""
    fields = {"Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Retry-After": "Wed, 21 Oct 2015 07:28:09 GMT"}
    adapter, response = await retried([fields, 200], EXACT)
    check_waits(adapter, response, [9])


async def test_a_date_without_the_servers_own_is_counted_from_now(virtual_clock: VirtualClockLoop) -> None:
    then = datetime.now(UTC) + timedelta(seconds=20)
    _, response = await retried([{"Retry-After": format_datetime(then, usegmt=True)}, 200], EXACT)
    # Its fraction of a second is lost on the way; the rest is what these lines took.
    assert 15 < response.attempts[1].wait <= 20


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The time zone of the process."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "date",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
    ids=["IMF-fixdate", "RFC 850", "asctime"],
)
async def test_all_three_forms_of_a_date_are_in_utc(virtual_clock: VirtualClockLoop, zone: str, date: str) -> None:
    fields = {"Date": "Sun, 06 Nov 1994 08:49:30 GMT", "Retry-After": date}
    adapter, response = await retried([fields, 200], EXACT)
    check_waits(adapter, response, [7])


async def test_a_date_that_has_passed_asks_for_nothing(virtual_clock: VirtualClockLoop) -> None:
    adapter, response = await retried([{"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 200], EXACT)
    check_waits(adapter, response, [0.3])


@pytest.mark.parametrize("field", ["61", "Wed, 21 Oct 2015 07:29:01 GMT"])
async def test_longer_than_max_retry_after_gives_up_now(virtual_clock: VirtualClockLoop, field: str) -> None:
    fields = {"Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Retry-After": field}
    adapter, response = await retried([fields, 200], EXACT, timeout=None)
    assert (response.status, len(adapter.asked_at), virtual_clock.time()) == (503, 1, 0)
    adapter, response = await retried([fields, 200], {**EXACT, "max_retry_after": 61}, timeout=None)
    check_waits(adapter, response, [61])


async def test_as_long_as_max_retry_after_is_waited_for(virtual_clock: VirtualClockLoop) -> None:
    adapter, response = await retried([{"Retry-After": "60"}, 200], EXACT, timeout=None)
    check_waits(adapter, response, [60])


async def test_retry_after_of_a_real_server(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    answers = [Answer(b"busy", 429, [("Retry-After", "5")]), Answer(b"fine")]
    origin.routes["/"] = lambda _: answers.pop(0)
    async with AtomHTTP() as client:
        response = await client.get(origin.url, retryConfig=True)
    assert (response.text, response.attempts[1].wait) == ("fine", 5)
    assert 5 <= virtual_clock.time() <= 5 + LATE


# The deadline


async def test_no_wait_that_would_outlast_the_deadline(virtual_clock: VirtualClockLoop) -> None:
    adapter, response = await retried([503], {**EXACT, "delay": 1, "total": 9}, timeout=8)
    # 1 + 2 fit into 8 s, and 4 more do; another 8 do not.
    check_waits(adapter, response, [1, 2, 4])
    assert virtual_clock.time() <= 7 + 3 * LATE


async def test_no_retry_after_that_would_outlast_the_deadline(virtual_clock: VirtualClockLoop) -> None:
    adapter, response = await retried([{"Retry-After": "8"}, 200], EXACT, timeout=8)
    assert (response.status, len(adapter.asked_at), virtual_clock.time()) == (503, 1, 0)


async def test_an_error_is_raised_at_once_when_its_wait_would_outlast_the_deadline(
    virtual_clock: VirtualClockLoop,
) -> None:
    async with AtomHTTP() as client:
        with pytest.raises(AtomHTTPNetworkError) as caught:
            await client.get("http://127.0.0.1:1/", retryConfig={**EXACT, "delay": 9}, timeout=5)
    assert caught.value.code == "ECONNREFUSED"
    assert virtual_clock.time() < 1


async def test_what_on_retry_takes_is_part_of_the_wait(virtual_clock: VirtualClockLoop) -> None:
    """Else a wait that fitted would not any more."""

    async def dawdle(_info: RetryInfo) -> None:
        await asyncio.sleep(3)

    adapter, response = await retried([503, 200], {**EXACT, "delay": 4, "on_retry": dawdle}, timeout=5)
    assert response.status == 200
    assert 4 <= adapter.waits[0] <= 4 + LATE
    adapter, response = await retried([503, 200], {**EXACT, "delay": 1, "on_retry": dawdle}, timeout=5)
    assert 3 <= adapter.waits[0] <= 3 + LATE


@pytest.mark.parametrize("option", ["condition", "on_retry"])
async def test_condition_and_on_retry_have_the_time_of_the_call(virtual_clock: VirtualClockLoop, option: str) -> None:
    async def dawdle(*_arguments: Any) -> bool:
        await asyncio.sleep(100)
        return True

    with pytest.raises(AtomHTTPTimeoutError) as caught:
        await retried([503, 200], {option: dawdle}, timeout=5)
    assert caught.value.limit == 5
    assert 5 <= caught.value.elapsed <= 5 + LATE
    assert [each.status for each in caught.value.attempts] == [503]


async def test_a_timeout_error_of_the_users_own_is_not_ours(virtual_clock: VirtualClockLoop) -> None:
    async def give_up(*_arguments: Any) -> bool:
        raise TimeoutError("mine")

    for option in ("condition", "on_retry"):
        with pytest.raises(TimeoutError, match="mine") as caught:
            await retried([503, 200], {option: give_up}, timeout=5)
        assert type(caught.value) is TimeoutError


async def test_the_total_deadline_is_never_retried(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url, retryConfig={**EXACT, "delay": 0}) as client:
        for timeout in (3, Timeout(3)):
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.get("/delay/60", timeout=timeout)
            assert caught.value.limit == 3
            assert [each.error for each in caught.value.attempts] == ["ECONNABORTED"]
    assert 6 <= virtual_clock.time() <= 6 + 2 * LATE


async def test_the_total_covers_attempts_and_waits(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    config = {**EXACT, "delay": 1, "attempt_timeout": 2, "total": 9}
    async with AtomHTTP(base_url=origin.url) as client:
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.get("/delay/60", timeout=7, retryConfig=config)
    # 0-2, wait 1, 3-5, and waiting 2 more would be the end.
    assert [each.wait for each in caught.value.attempts] == [0, 1]
    assert virtual_clock.time() <= 5 + 3 * LATE
    assert caught.value.limit == 2


async def test_the_last_attempt_has_what_is_left_of_the_total(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    config = {**EXACT, "delay": 1, "attempt_timeout": 3}
    async with AtomHTTP(base_url=origin.url) as client:
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.get("/delay/60", timeout=5, retryConfig=config)
    assert len(caught.value.attempts) == 2
    assert caught.value.limit == 5
    assert 5 <= caught.value.elapsed <= 5 + LATE
    assert 5 <= virtual_clock.time() <= 5 + LATE


# Phase and attempt timeouts


@pytest.mark.parametrize("word", ["attempt_timeout", "attemptTimeout"])
async def test_attempt_timeout_ends_an_attempt_and_not_the_call(
    virtual_clock: VirtualClockLoop, origin: Origin, word: str
) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.get("/delay/60", retryConfig={**EXACT, word: 2, "delay": 1, "total": 2})
    error = caught.value
    # 2, wait 1, 2, wait 2, 2.
    assert 9 <= virtual_clock.time() <= 9 + 5 * LATE
    assert [each.error for each in error.attempts] == ["ECONNABORTED"] * 3
    assert [each.wait for each in error.attempts] == [0, 1, 2]
    assert all(2 <= each.elapsed <= 2 + LATE for each in error.attempts)


async def test_the_error_of_an_attempt_timeout_names_it(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        for timeout in (30, None, Timeout(30), Timeout(read=20)):
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.get("/delay/60", timeout=timeout, retryConfig={**EXACT, "attempt_timeout": 2, "total": 1})
            error = caught.value
            assert (error.limit, error.phase) == (2, "headers")
            # Since the call began: 2 + 0.3 + 2.
            assert 4.3 <= error.elapsed <= 4.3 + 3 * LATE
            assert "2 s" in str(error)
            assert "attempt_timeout" in str(error)
            assert f"{origin.url}/delay/60" in str(error)


async def test_attempt_timeout_0_and_none_are_no_limit(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        for limit in (0, None):
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.get("/delay/60", timeout=5, retryConfig={"attempt_timeout": limit})
            assert caught.value.limit == 5


async def test_each_attempt_has_all_of_its_time(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    """Also where a callback, a rate or a body watches the clock."""

    async def notice(_loaded: int, _total: int) -> None:
        await asyncio.sleep(0.5)

    class Slow:
        async def __aiter__(self) -> Any:
            await asyncio.sleep(1)
            yield b"abc"

    answers = [Answer(b"", 503), Answer(b"", 503), Answer(b"fine")]
    origin.routes["/"] = lambda _: answers.pop(0) if len(answers) > 1 else answers[0]
    config = {**EXACT, "delay": 3, "attempt_timeout": 2}
    for options in (
        {"data": b"x" * 1000, "on_upload_progress": notice},
        {"data": b"x" * 1000, "max_rate": [1000, None]},
        {"data": Slow()},
        {"data": Slow(), "on_upload_progress": notice, "on_download_progress": notice},
    ):
        answers[:] = [Answer(b"", 503), Answer(b"", 503), Answer(b"fine")]
        async with AtomHTTP(base_url=origin.url) as client:
            response = await client.put("/", retryConfig=config, **options)
        assert [each.status for each in response.attempts] == [503, 503, 200]
        assert response.text == "fine"
        assert len({request.body for request in origin.requests}) == 1
        origin.requests.clear()


async def test_attempt_timeout_covers_a_body_that_is_waited_for(virtual_clock: VirtualClockLoop) -> None:
    class Stuck:
        async def __aiter__(self) -> Any:
            yield b"a"
            await asyncio.sleep(100)
            yield b"b"

    with Peer([[expect_head(), drain()], [expect_head(), drain()]]) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.put(peer.url, Stuck(), timeout=50, retryConfig={**EXACT, "attempt_timeout": 2, "total": 1})
    assert caught.value.limit == 2
    assert len(caught.value.attempts) == 2


async def test_a_phase_timeout_is_retried_and_named(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    config = {**EXACT, "delay": 1, "total": 1, "attempt_timeout": 5}
    async with AtomHTTP(base_url=origin.url) as client:
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.get("/delay/60", timeout=Timeout(30, read=2), retryConfig=config)
        assert (caught.value.phase, caught.value.limit) == ("headers", 2)
        assert len(caught.value.attempts) == 2
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.post("/delay/60", b"x", timeout=Timeout(30, read=2), retryConfig=config)
        assert len(caught.value.attempts) == 1
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.get("/delay/60", timeout=Timeout(30, read=2), retryConfig={**config, "on_timeout": False})
        assert len(caught.value.attempts) == 1


async def test_a_connect_timeout_is_retried_with_any_method(virtual_clock: VirtualClockLoop) -> None:
    with silent_address() as (host, port):
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.post(
                    f"http://{host}:{port}/", b"x", timeout=Timeout(connect=3), retryConfig={**EXACT, "total": 2}
                )
    assert (caught.value.phase, caught.value.limit) == ("connect", 3)
    assert len(caught.value.attempts) == 3


async def test_a_wait_for_a_connection_is_retried_with_any_method(
    virtual_clock: VirtualClockLoop, origin: Origin
) -> None:
    async with AtomHTTP(base_url=origin.url, max_connections=1) as client:
        held = asyncio.create_task(client.get("/delay/60", timeout=None))
        await asyncio.sleep(1)
        call = client.post("/echo", b"x", timeout=Timeout(pool=3), retryConfig={**EXACT, "delay": 1, "total": 5})
        waiting = asyncio.create_task(call)
        await asyncio.sleep(5)
        origin.release.set()
        await held
        response = await waiting
    assert [each.error for each in response.attempts] == ["ECONNABORTED", None]


# Streams


async def test_a_refused_stream_is_not_waited_for(virtual_clock: VirtualClockLoop) -> None:
    """The rest of what was refused may never come: a second, and its connection is closed."""
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 40\r\n\r\nbusy"
    for timeout in (30, None, Timeout(30), Timeout(read=25)):
        with Peer([[expect_head(), send(busy), expect_end()], [expect_head(), send(OK), drain()]]) as peer:
            async with AtomHTTP() as client:
                before = virtual_clock.time()
                response = await client.get(
                    peer.url, response_type="stream", retryConfig={**EXACT, "delay": 0}, timeout=timeout
                )
                assert virtual_clock.time() - before <= 1 + LATE
                assert await response.data.read() == b"ok"


async def test_an_attempt_timeout_does_not_cut_off_a_stream(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url, retryConfig={"attempt_timeout": 2}) as client:
        for timeout in (300, None, Timeout(300), Timeout(read=200)):
            response = await client.get("/bytes/3000000", response_type="stream", timeout=timeout)
            received = b""
            while piece := await response.data.read(500_000):
                received += piece
                await asyncio.sleep(10)
            assert received == pattern(3_000_000)


async def test_a_total_bounds_a_retried_stream_too(virtual_clock: VirtualClockLoop) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"
    with Peer(
        [[expect_head(), send(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), expect_head(), send(head), hold()]]
    ) as peer:
        async with AtomHTTP() as client:
            response = await client.get(
                peer.url,
                response_type="stream",
                timeout=Timeout(6),
                retryConfig={**EXACT, "delay": 2, "attempt_timeout": 1},
            )
            assert await response.data.read(1) == b"x"
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await response.data.read(1)
    assert caught.value.limit == 6
    assert 6 <= virtual_clock.time() <= 6 + LATE


# What comes in between


async def test_a_cancelled_wait_passes_through_and_leaves_nothing(virtual_clock: VirtualClockLoop) -> None:
    adapter = Canned(503)
    async with AtomHTTP(adapter=adapter) as client:
        task = asyncio.create_task(client.get(URL, retryConfig={**EXACT, "delay": 10}))
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert aio.current().reactor.timer_count == 0
        await asyncio.sleep(50)
    assert len(adapter.asked_at) == 1


async def test_a_cancelled_attempt_is_not_retried(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url, retryConfig={"condition": lambda outcome, attempt: True}) as client:
        task = asyncio.create_task(client.get("/delay/60"))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(origin.requests) == 1


async def test_a_client_that_is_closed_meanwhile_sends_nothing_more(
    virtual_clock: VirtualClockLoop, origin: Origin
) -> None:
    origin.routes["/"] = lambda _: Answer(b"", 503)
    client = AtomHTTP(base_url=origin.url)
    task = asyncio.create_task(client.get("/", retryConfig={**EXACT, "delay": 10}))
    await asyncio.sleep(5)
    await client.close()
    with pytest.raises(AtomHTTPClosedError) as caught:
        await task
    assert caught.value.code == "ERR_CLIENT_CLOSED"
    assert len(origin.requests) == 1


async def test_defaults_that_change_meanwhile_are_for_the_next_call(virtual_clock: VirtualClockLoop) -> None:
    adapter = Canned(503)
    async with AtomHTTP(adapter=adapter, retryConfig={**EXACT, "delay": 1, "total": 2}) as client:
        task = asyncio.create_task(client.get(URL))
        await asyncio.sleep(0.5)
        client.defaults.retryConfig = None
        assert len((await task).attempts) == 3
        assert len((await client.get(URL)).attempts) == 1


async def test_others_go_on_while_one_waits(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    answers = [Answer(b"", 503), Answer(b"fine")]
    origin.routes["/"] = lambda _: answers.pop(0)
    async with AtomHTTP(base_url=origin.url) as client:
        task = asyncio.create_task(client.get("/", retryConfig={**EXACT, "delay": 10}))
        await asyncio.sleep(1)
        # Its connection is not held while it waits.
        for _ in range(3):
            assert (await client.get("/echo")).status == 200
        assert origin.connections == 1
        assert (await task).text == "fine"


async def test_a_crowd_waits_each_for_itself(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    seen: dict[str, int] = {}

    def fail_twice(request: Received) -> Answer:
        seen[request.target] = seen.get(request.target, 0) + 1
        return Answer(b"", 503 if seen[request.target] < 3 else 200)

    origin.routes["/"] = fail_twice
    async with AtomHTTP(base_url=origin.url, max_connections=7) as client:
        responses = await asyncio.gather(*(client.get("/", {"n": n}, retryConfig=True) for n in range(40)))
    assert {len(each.attempts) for each in responses} == {3}
    assert set(seen.values()) == {3}


async def test_a_hop_has_retries_of_its_own(virtual_clock: VirtualClockLoop) -> None:
    there = AdapterResponse(302, {"Location": "/there"})
    _, response = await retried([503, 503, there, 503, 503, 200], {**EXACT, "delay": 1, "total": 2})
    assert [each.status for each in response.attempts] == [503, 503, 302, 503, 503, 200]
    # The last hop begins at once, and its waits begin anew.
    assert [each.wait for each in response.attempts] == [0, 1, 2, 0, 1, 2]


async def test_a_refused_status_comes_when_all_is_over(virtual_clock: VirtualClockLoop) -> None:
    with pytest.raises(AtomHTTPStatusError) as caught:
        await retried([503], EXACT, validateStatus=True)
    assert [each.wait for each in caught.value.attempts] == pytest.approx([0, 0.3, 0.6, 1.2])
    assert [each.number for each in caught.value.response.attempts] == [1, 2, 3, 4]


# What an attempt is not told of those before it


def answer_from(statuses: Iterator[int]) -> Answer:
    return Answer(status=next(statuses, 200))


async def test_the_timings_of_an_attempt_hold_neither_the_wait_nor_what_came_before(
    virtual_clock: VirtualClockLoop,
) -> None:
    statuses = iter((503,))
    with Origin(routes={"/flaky": lambda _: answer_from(statuses)}) as origin:
        async with AtomHTTP(baseURL=origin.url, timeout=None) as client:
            response = await client.get("/flaky", retryConfig={"backoff_factor": 3, "jitter": False})
    assert response.attempts[1].wait == pytest.approx(3, abs=0.1)
    assert response.timings.send < 1
    assert response.timings.total < 1


async def test_an_idle_connection_is_judged_by_the_time_of_the_attempt(virtual_clock: VirtualClockLoop) -> None:
    statuses = iter((503,))
    with Origin(routes={"/flaky": lambda _: answer_from(statuses)}) as origin:
        async with AtomHTTP(baseURL=origin.url, timeout=None, keepAliveTimeout=2) as client:
            await client.get("/flaky", retryConfig={"backoff_factor": 10, "jitter": False})
        # 10 s have passed: the first connection was not to be used again.
        assert [request.connection for request in origin.requests] == [0, 1]
