from __future__ import annotations

import math
import sys
from collections.abc import Awaitable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp import progress
from atomhttp._body.encode import FileBody, IteratorBody, LimitedBody
from atomhttp._body.meter import STEP, WINDOW, Meter, MeteredBody, MeteredReader, Throttle
from atomhttp.errors import AtomHTTPLimitError, AtomHTTPOptionError
from atomhttp.progress import ProgressBar, ProgressEvent

T = TypeVar("T")


class FakeDriver:
    """Time passes only in `sleep`, which wakes `late` seconds after it should."""

    def __init__(self, late: float = 0.0) -> None:
        self.time = 100.0
        self.late = late
        self.slept: list[float] = []
        self.dues: list[float | None] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        assert 0 < seconds < math.inf
        self.slept.append(seconds)
        self.time += seconds + self.late

    async def foreign(self, awaitable: Awaitable[T], due: float | None) -> T:
        self.dues.append(due)
        if due is not None and self.time >= due:
            awaitable.close()  # type: ignore[attr-defined]  # a coroutine
            raise TimeoutError
        return await awaitable

    async def run_blocking(self, function: Any, *arguments: Any) -> Any:
        return function(*arguments)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs what never has to wait."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise AssertionError("it waited")


@pytest.fixture
def driver() -> FakeDriver:
    return FakeDriver()


class Calls(list[tuple[int, int]]):
    """A callback that remembers what it was told."""

    def __call__(self, loaded: int, total: int) -> None:
        self.append((loaded, total))

    def check(self, final: int, total: int) -> None:
        """What every transfer's calls must look like."""
        counts = [loaded for loaded, _ in self]
        assert counts[-1] == final
        assert all(given == total for _, given in self)
        if final:
            steps = [after - before for before, after in zip([0, *counts], counts, strict=False)]
            assert all(0 < step <= STEP for step in steps)
        else:
            assert counts == [0]


# Meter


def transfer(meter: Meter, counts: list[int]) -> None:
    async def main() -> None:
        for count in counts:
            await meter.add(count)
        await meter.finish()

    run(main())


def test_each_growth_is_reported(driver: FakeDriver) -> None:
    calls = Calls()
    transfer(Meter(calls, 60, driver, None, upload=True), [10, 20, 0, 30])
    assert calls == [(10, 60), (30, 60), (60, 60)]


def test_a_large_growth_is_reported_in_steps(driver: FakeDriver) -> None:
    calls = Calls()
    transfer(Meter(calls, None, driver, None, upload=False), [STEP, 2 * STEP + 1, STEP - 1])
    assert [loaded for loaded, _ in calls] == [STEP, 2 * STEP, 3 * STEP, 3 * STEP + 1, 4 * STEP]


@pytest.mark.parametrize("total", [None, 0])
def test_an_unknown_total_is_0_to_the_end(driver: FakeDriver, total: int | None) -> None:
    calls = Calls()
    transfer(Meter(calls, total, driver, None, upload=False), [5, 6])
    assert calls == [(5, 0), (11, 0)]


@pytest.mark.parametrize("total", [None, 0, 1000])
@pytest.mark.parametrize("counts", [[], [0], [0, 0]])
def test_empty_content_is_one_call_whatever_was_announced(
    driver: FakeDriver, total: int | None, counts: list[int]
) -> None:
    calls = Calls()
    meter = Meter(calls, total, driver, None, upload=False)
    transfer(meter, counts)
    assert calls == [(0, 0)]
    run(meter.finish())
    assert calls == [(0, 0)]


def test_finishing_twice_is_reported_once(driver: FakeDriver) -> None:
    calls = Calls()
    meter = Meter(calls, 5, driver, None, upload=False)
    transfer(meter, [5])
    run(meter.finish())
    assert calls == [(5, 5)]


@given(st.lists(st.integers(0, 3 * STEP), max_size=20), st.booleans())
def test_counts_grow_and_end_with_the_final_one(counts: list[int], known: bool) -> None:
    calls = Calls()
    total = sum(counts)
    transfer(Meter(calls, total if known else None, FakeDriver(), None, upload=True), counts)
    calls.check(total, total if known else 0)


def test_one_required_parameter_gets_an_event(driver: FakeDriver) -> None:
    events: list[ProgressEvent] = []
    meter = Meter(lambda event, extra=5: events.append(event), 1000, driver, None, upload=True)
    for count in (100, 300, 600):
        driver.time += 2
        run(meter.add(count))
    run(meter.finish())
    assert events == [
        ProgressEvent(loaded=100, total=1000, progress=0.1, bytes=100, rate=50.0, estimated=18.0, upload=True),
        ProgressEvent(loaded=400, total=1000, progress=0.4, bytes=300, rate=100.0, estimated=6.0, upload=True),
        ProgressEvent(
            loaded=1000, total=1000, progress=1.0, bytes=600, rate=1000 / 6, estimated=0.0, upload=True, download=False
        ),
    ]


def test_an_event_says_what_it_does_not_know(driver: FakeDriver) -> None:
    events: list[ProgressEvent] = []
    meter = Meter(events.append, None, driver, None, upload=False)
    run(meter.add(10))
    driver.time += 2
    run(meter.add(10))
    assert events == [
        ProgressEvent(loaded=10, bytes=10, download=True),
        ProgressEvent(loaded=20, bytes=10, rate=10.0, download=True),
    ]


def test_the_event_of_empty_content(driver: FakeDriver) -> None:
    events: list[ProgressEvent] = []
    driver.time += 1
    transfer(Meter(events.append, 50, driver, None, upload=False), [])
    (event,) = events
    assert (event.loaded, event.total, event.progress, event.bytes, event.estimated) == (0, 0, None, 0, None)


def test_only_required_positional_parameters_decide(driver: FakeDriver) -> None:
    given: list[Any] = []

    def anything(*arguments: Any) -> None:
        given.append(arguments)

    def keyword(event: Any, *, note: str = "") -> None:
        given.append(event)

    def defaults(loaded: int = 1, total: int = 2) -> None:
        given.append((loaded, total))

    for callback in (anything, keyword, defaults):
        transfer(Meter(callback, 5, driver, None, upload=True), [5])
    assert given[0] == given[2] == (5, 5)
    assert isinstance(given[1], ProgressEvent)


def test_async_callbacks_are_awaited_until_the_deadline(driver: FakeDriver) -> None:
    calls = Calls()

    async def report(loaded: int, total: int) -> None:
        calls(loaded, total)
        driver.time += 10

    async def report_event(event: ProgressEvent) -> None:
        calls(event.loaded, event.total)

    transfer(Meter(report, 20, driver, 115.0, upload=True), [5, 15])
    transfer(Meter(report_event, 7, driver, None, upload=True), [7])
    assert calls == [(5, 20), (20, 20), (7, 7)]
    assert driver.dues == [115.0, 115.0, None]
    with pytest.raises(TimeoutError):
        transfer(Meter(report, 20, driver, 115.0, upload=True), [5])
    assert calls[3:] == []


@pytest.mark.parametrize("error", [ValueError("theirs"), TimeoutError("theirs"), KeyboardInterrupt()])
def test_what_a_callback_raises_passes_through(driver: FakeDriver, error: BaseException) -> None:
    def fails(loaded: int, total: int) -> None:
        raise error

    async def fails_later(event: ProgressEvent) -> None:
        raise error

    for callback in (fails, fails_later):
        with pytest.raises(type(error)) as caught:
            transfer(Meter(callback, 20, driver, None, upload=True), [5])
        assert caught.value is error


def test_the_driver_may_change(driver: FakeDriver) -> None:
    async def report(loaded: int, total: int) -> None:
        return

    other = FakeDriver()
    meter = Meter(report, 20, driver, None, upload=False)
    run(meter.add(5))
    meter.driver, meter.due = other, 200.0
    run(meter.add(5))
    assert (driver.dues, other.dues) == ([None], [200.0])


class Bar(ProgressBar):
    """Remembers its calls, and when its line ended."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def __call__(self, loaded: int, total: int) -> None:
        self.seen.append((loaded, total))

    def finish(self) -> None:
        self.seen.append("end")


def test_a_bar_is_told_of_the_end(driver: FakeDriver) -> None:
    bar = Bar()
    transfer(Meter(bar, None, driver, None, upload=False), [5, 6])
    assert bar.seen == [(5, 0), (11, 0), "end"]
    given_up = Meter(bar, None, driver, None, upload=False)
    run(given_up.add(7))
    given_up.close()
    assert bar.seen[3:] == [(7, 0), "end"]


# Throttle


def spend(throttle: Throttle, count: int) -> None:
    run(throttle.spend(count))


def test_half_a_second_is_free(driver: FakeDriver) -> None:
    throttle = Throttle(1000, driver, None)
    for _ in range(5):
        spend(throttle, 100)
    assert driver.slept == []
    spend(throttle, 1)
    assert driver.slept == [pytest.approx(0.001)]


def test_a_transfer_takes_its_time(driver: FakeDriver) -> None:
    throttle = Throttle(1000, driver, None)
    for _ in range(30):
        spend(throttle, 100)
    # axios: windows at 0, 0.5, 1, 1.5, 2 and 2.5 s
    assert driver.time == pytest.approx(102.5)


def test_waking_late_costs_nothing_in_the_end() -> None:
    driver = FakeDriver(late=1 / 32)
    throttle = Throttle(1000, driver, None)
    for _ in range(1000):
        spend(throttle, 10)
    assert driver.time == pytest.approx(109.5, abs=1 / 32)


def test_what_was_not_used_for_long_is_not_saved_up(driver: FakeDriver) -> None:
    throttle = Throttle(1000, driver, None)
    spend(throttle, 500)
    driver.time += 3600
    spend(throttle, 500)
    assert driver.slept == []
    spend(throttle, 500)
    assert driver.slept == [pytest.approx(0.5)]


def test_more_than_a_window_at_once_waits_for_all_of_it(driver: FakeDriver) -> None:
    spend(Throttle(100, driver, None), 1050)
    assert sum(driver.slept) == pytest.approx(10)


@pytest.mark.parametrize(
    ("rate", "piece"), [(1000, 500), (1001, 500), (1, 1), (0.001, 1), (5e-324, 1), (1e9, 500_000_000)]
)
def test_the_size_of_a_piece(driver: FakeDriver, rate: float, piece: int) -> None:
    assert Throttle(rate, driver, None).piece == piece


def test_the_deadline_ends_the_wait(driver: FakeDriver) -> None:
    throttle = Throttle(100, driver, 101.0)
    spend(throttle, 100)
    assert driver.time == pytest.approx(100.5)
    with pytest.raises(TimeoutError, match="maxRate") as caught:
        spend(throttle, 100)
    assert type(caught.value) is TimeoutError
    # Then, and not before: who looks at the clock now sees that the deadline has come.
    assert driver.time == 101.0


def test_a_deadline_that_has_passed_is_no_wait(driver: FakeDriver) -> None:
    throttle = Throttle(100, driver, 90.0)
    spend(throttle, 50)
    with pytest.raises(TimeoutError):
        spend(throttle, 1)
    assert driver.slept == []


def test_a_wait_that_ends_before_the_deadline_is_no_timeout(driver: FakeDriver) -> None:
    spend(Throttle(100, driver, 101.0), 150)
    assert driver.time == 101.0


def test_the_smallest_rate_ends_by_the_deadline(driver: FakeDriver) -> None:
    throttle = Throttle(5e-324, driver, 100.0 + 3 * 86400)
    with pytest.raises(TimeoutError):
        spend(throttle, 1)
    assert driver.slept == [86400] * 3


def test_the_throttles_driver_may_change(driver: FakeDriver) -> None:
    throttle = Throttle(100, driver, None)
    spend(throttle, 50)
    other = throttle.driver = FakeDriver()
    spend(throttle, 10)
    assert driver.slept == []
    assert other.slept == [pytest.approx(0.1)]


@given(
    st.floats(1, 1e7),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 2)), min_size=1, max_size=40),
    st.sampled_from([0.0, 1 / 32]),
)
def test_no_stretch_of_time_passes_more_than_its_share(
    rate: float, pieces: list[tuple[float, float]], late: float
) -> None:
    driver = FakeDriver(late)
    throttle = Throttle(rate, driver, None)
    passed = []
    for share, pause in pieces:
        count = max(1, int(throttle.piece * share))
        spend(throttle, count)
        passed.append((driver.time, count))
        driver.time += pause
    for index, (begin, _) in enumerate(passed):
        size = 0
        for end, count in passed[index:]:
            size += count
            # Half a second's worth saved up, and as much for a piece that was late itself.
            assert size <= (end - begin + 2 * WINDOW) * rate + 1
    total, taken = sum(count for _, count in passed), passed[-1][0] - 100
    assert total <= (taken + WINDOW) * rate + 1


# MeteredBody


async def collect(reader: MeteredReader) -> list[bytes]:
    pieces = []
    while piece := await reader.read():
        pieces.append(piece)
    return pieces


def send(body: MeteredBody, driver: FakeDriver, due: float | None = None) -> list[bytes]:
    body.bind(driver, due)
    reader = body.open()
    assert isinstance(reader, MeteredReader)
    try:
        return run(collect(reader))
    finally:
        reader.close()


def test_it_is_as_long_and_as_replayable_as_what_it_wraps(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    for wrapped, length, replayable in [
        (b"abc", 3, True),
        (b"", 0, True),
        (FileBody.from_path(file), 5, True),
        (IteratorBody([b"a"]), None, True),
        (IteratorBody(iter([b"a"]), 1), 1, False),
    ]:
        body = MeteredBody(wrapped, None, None)
        assert (body.length, body.replayable) == (length, replayable)


def test_a_piece_is_reported_when_the_next_is_asked_for(driver: FakeDriver) -> None:
    calls = Calls()
    body = MeteredBody(IteratorBody([b"ab", b"cde"], 5), calls, None)
    body.bind(driver, None)
    reader = body.open()
    assert run(reader.read()) == b"ab"
    assert calls == []
    assert run(reader.read()) == b"cde"
    assert calls == [(2, 5)]
    assert run(reader.read()) == b""
    assert calls == [(2, 5), (5, 5)]
    assert run(reader.read()) == b""
    reader.close()
    assert calls == [(2, 5), (5, 5)]


def test_its_events_are_those_of_an_upload(driver: FakeDriver) -> None:
    events: list[ProgressEvent] = []
    send(MeteredBody(b"x" * 1000, events.append, 1000), driver)
    assert events == [
        ProgressEvent(loaded=500, total=1000, progress=0.5, bytes=500, upload=True),
        ProgressEvent(loaded=1000, total=1000, progress=1.0, bytes=500, rate=2000.0, estimated=0.0, upload=True),
    ]


def test_who_does_not_ask_again_may_say_so(driver: FakeDriver) -> None:
    calls = Calls()
    body = MeteredBody(b"abc", calls, None)
    body.bind(driver, None)
    reader = body.open()
    assert isinstance(reader, MeteredReader)
    run(reader.settle())
    assert calls == []
    run(reader.read())
    run(reader.settle())
    run(reader.settle())
    assert calls == [(3, 3)]
    assert run(reader.read()) == b""
    assert calls == [(3, 3)]


@pytest.mark.parametrize("empty", [b"", IteratorBody([]), IteratorBody([b"", b""])])
def test_an_empty_body_is_one_call(driver: FakeDriver, empty: Any) -> None:
    calls = Calls()
    assert send(MeteredBody(empty, calls, 10), driver) == []
    assert calls == [(0, 0)]


def test_each_opening_counts_from_0(driver: FakeDriver) -> None:
    calls = Calls()
    body = MeteredBody(b"abc", calls, None)
    for _ in range(2):
        assert send(body, driver) == [b"abc"]
    assert calls == [(3, 3)] * 2


def test_what_is_used_up_cannot_be_opened_again(driver: FakeDriver) -> None:
    body = MeteredBody(IteratorBody(iter([b"a"])), Calls(), None)
    send(body, driver)
    with pytest.raises(AtomHTTPOptionError, match="used up"):
        body.open()


@given(
    st.lists(st.sampled_from([0, 1, 100, STEP - 1, STEP, STEP + 1, 3 * STEP]), max_size=8),
    st.booleans(),
    st.sampled_from([None, 1e6, 50_000]),
)
def test_pieces_are_those_of_the_body_reported_step_by_step(sizes: list[int], known: bool, rate: float | None) -> None:
    content = [bytes([65 + index]) * size for index, size in enumerate(sizes)]
    total = sum(sizes)
    calls, driver = Calls(), FakeDriver()
    pieces = send(MeteredBody(IteratorBody(content, total if known else None), calls, rate), driver)
    assert b"".join(pieces) == b"".join(content)
    assert all(0 < len(piece) <= STEP for piece in pieces)
    calls.check(total, total if known and total else 0)
    if rate is not None:
        assert all(len(piece) <= rate * WINDOW for piece in pieces)
        assert driver.time - 100 == pytest.approx(max(0.0, total / rate - WINDOW))
    else:
        assert driver.slept == []


def test_bytes_are_not_copied_when_they_are_one_piece(driver: FakeDriver) -> None:
    content = b"x" * STEP
    assert send(MeteredBody(content, Calls(), None), driver)[0] is content


def test_without_a_callback_it_only_limits_the_rate(driver: FakeDriver) -> None:
    pieces = send(MeteredBody(b"x" * 3000, None, 1000), driver)
    assert [len(piece) for piece in pieces] == [500] * 6
    assert driver.time == pytest.approx(102.5)


def test_a_piece_waits_before_it_is_given_away(driver: FakeDriver) -> None:
    calls = Calls()
    body = MeteredBody(b"x" * 1000, calls, 1000)
    body.bind(driver, None)
    reader = body.open()
    run(reader.read())
    assert driver.time == 100.0
    run(reader.read())
    assert driver.time == pytest.approx(100.5)
    assert calls == [(500, 1000)]


def test_the_deadline_ends_the_wait_for_a_piece(driver: FakeDriver) -> None:
    calls = Calls()
    with pytest.raises(TimeoutError):
        send(MeteredBody(b"x" * 3000, calls, 1000), driver, due=101.2)
    assert driver.time == 101.2
    assert calls[-1] == (1500, 3000)


def test_it_binds_what_it_wraps(driver: FakeDriver) -> None:
    async def pieces() -> Any:
        yield b"a"
        yield b"bc"

    calls = Calls()
    assert send(MeteredBody(IteratorBody(pieces()), calls, None), driver, due=500.0) == [b"a", b"bc"]
    assert driver.dues == [500.0] * 3
    assert calls == [(1, 0), (3, 0)]


def test_it_closes_what_it_opened(driver: FakeDriver, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    opened: list[Any] = []

    def open_file() -> Any:
        opened.append(file.open("rb"))
        return opened[-1]

    bar = Bar()
    body = MeteredBody(FileBody(open_file, 0, 5, close=True), bar, None)
    body.bind(driver, None)
    reader = body.open()
    run(reader.read())
    assert not opened[0].closed
    reader.close()
    assert opened[0].closed
    assert bar.seen == ["end"]


def test_a_bodys_own_error_passes_through(driver: FakeDriver) -> None:
    calls = Calls()
    with pytest.raises(AtomHTTPLimitError):
        send(MeteredBody(LimitedBody(IteratorBody([b"abc", b"def"]), 5), calls, None), driver)
    assert calls == [(3, 0)]


@pytest.mark.parametrize("fail_at", [1, 2, 3])
def test_an_error_of_the_callback_ends_the_reading(driver: FakeDriver, fail_at: int) -> None:
    count = 0

    def fails(loaded: int, total: int) -> None:
        nonlocal count
        count += 1
        if count == fail_at:
            raise ValueError("theirs")

    with pytest.raises(ValueError, match="theirs"):
        send(MeteredBody(IteratorBody([b"a", b"b", b"c"]), fails, None), driver)
    assert count == fail_at


def test_a_bar_shows_an_upload(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = iter(range(100))
    monkeypatch.setattr(progress, "monotonic", lambda: next(shown))
    monkeypatch.setitem(sys.modules, "atomhttp._bars.rich_lines", None)  # plain, also where rich is installed
    monkeypatch.setenv("TERM", "xterm")
    lines = Screen()
    bar = ProgressBar("Sending", lines)  # type: ignore[arg-type]  # all that it needs of a file
    for body in (IteratorBody([b"ab", b"cd"]), IteratorBody([b"ab", b"cd"], 4)):
        send(MeteredBody(body, bar, None), driver)
    assert [line.removesuffix("\x1b[J").split() for line in lines.drawn] == [
        ["Sending", "2", "B"],
        ["Sending", "4", "B", "2", "B/s"],
        ["Sending", "4", "B", "1", "B/s"],
        [],
        ["Sending", "50%", "[############------------]", "2", "B/4", "B"],
        ["Sending", "100%", "[########################]", "4", "B/4", "B", "2", "B/s"],
        [],
    ]


class Screen:
    """A terminal: what was written to it, piece by piece."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.written.append(text)

    def flush(self) -> None:
        """Nothing is held back."""

    @property
    def drawn(self) -> list[str]:
        return [line for text in self.written for line in text.removeprefix("\r").split("\n")]
