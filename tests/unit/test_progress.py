from __future__ import annotations

import copy
import inspect
import io
import pickle
import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp import progress
from atomhttp._bars.line import columns_of
from atomhttp.errors import AtomHTTPOptionError
from atomhttp.progress import ProgressBar, ProgressEvent, Speedometer
from support.terminal import Pty

# The event


def test_an_event_is_a_value() -> None:
    event = ProgressEvent(loaded=50, total=200, progress=0.25, bytes=10, rate=5.0, estimated=30.0, upload=True)
    assert (event.loaded, event.total, event.progress, event.bytes, event.rate, event.estimated) == (
        *(50, 200, 0.25, 10, 5.0, 30.0),
    )
    assert (event.upload, event.download) == (True, False)
    with pytest.raises(AttributeError):
        event.loaded = 1  # type: ignore[misc]  # it must not work
    assert event == copy.deepcopy(event) == pickle.loads(pickle.dumps(event))
    assert hash(event) == hash(copy.copy(event))
    assert "loaded=50, total=200" in repr(event)


def test_what_is_not_known_is_none() -> None:
    event = ProgressEvent(5)
    assert (event.total, event.progress, event.bytes, event.rate, event.estimated) == (0, None, 0, None, None)


# Speed


def test_without_time_there_is_no_speed() -> None:
    speed = Speedometer(10.0)
    assert speed.measure(10.0, 500) is None
    assert speed.measure(10.5, 500) == 1000


def test_the_speed_is_that_of_the_last_seconds() -> None:
    speed = Speedometer(0.0)
    loaded = 0
    for tick in range(1, 1001):  # 10 seconds at 100 bytes a second
        loaded += 1
        assert speed.measure(tick / 100, loaded) == pytest.approx(100)
    for tick in range(1, 1001):  # and 10 at 1000
        loaded += 10
        rate = speed.measure(10 + tick / 100, loaded)
        assert rate is not None
        if tick < 400:
            assert 100 <= rate < 1000
    assert rate == pytest.approx(1000)


def test_what_was_loaded_before_does_not_count() -> None:
    assert Speedometer(1.0, 1000).measure(2.0, 1500) == 500


# The bar


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if rich were not installed; `_bars/test_screen.py` draws with it too."""
    monkeypatch.setitem(sys.modules, "atomhttp._bars.rich_lines", None)
    monkeypatch.setenv("TERM", "xterm")


class Terminal(io.StringIO):
    """What would be on the screen: `rows`, with `\\r` and what erases obeyed."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(newline="")
        self._encoding = encoding
        self.redraws = 0

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        text.encode(self.encoding)
        self.redraws += text.startswith("\r")
        return super().write(text)

    @property
    def rows(self) -> list[str]:
        rows = []
        for line in self.getvalue().split("\n"):
            row = ""
            for drawn in line.split("\r"):
                row = drawn.removesuffix("\x1b[J") if "\x1b" in drawn else drawn + row[len(drawn) :]
            rows.append(row.rstrip())
        return rows


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "monotonic", clock)
    return clock


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def test_it_has_two_required_parameters() -> None:
    required = [each for each in inspect.signature(ProgressBar()).parameters.values() if each.default is each.empty]
    assert [each.name for each in required] == ["loaded", "total"]


def test_a_transfer_from_begin_to_end(clock: Clock, terminal: Terminal) -> None:
    bar = ProgressBar("Sending", terminal)
    bar(0, 10_000_000)
    assert terminal.rows == ["Sending   0% [------------------------] 0 B/10.0 MB"]
    for tenth in range(1, 10):
        clock.now += 1
        bar(tenth * 1_000_000, 10_000_000)
    assert terminal.rows == ["Sending  90% [#####################---] 9.0 MB/10.0 MB  1.0 MB/s  0:01"]
    clock.now += 1
    bar(10_000_000, 10_000_000)
    assert terminal.rows == ["Sending 100% [########################] 10.0 MB/10.0 MB  1.0 MB/s", ""]


def test_nothing_stays_of_a_longer_line(clock: Clock, terminal: Terminal) -> None:
    bar = ProgressBar("", terminal)
    bar(1, 0)
    clock.now += 0.001
    bar(100_000, 0)
    clock.now += 0.2
    bar(100_001, 0)
    assert "kB/s" in terminal.rows[0]
    clock.now += 1000
    bar(100_002, 0)
    assert terminal.rows == ["100.0 kB  100 B/s"]


def test_without_a_total_it_shows_size_and_rate_and_ends_when_told(clock: Clock, terminal: Terminal) -> None:
    bar = ProgressBar("Receiving", terminal)
    bar(250_000, 0)
    assert terminal.rows == ["Receiving 250.0 kB"]
    clock.now += 1
    bar(1_750_000, 0)
    assert terminal.rows == ["Receiving 1.8 MB  1.5 MB/s"]
    clock.now += 0.05
    bar(1_850_000, 0)
    assert terminal.rows == ["Receiving 1.8 MB  1.5 MB/s"]
    bar.finish()
    assert terminal.rows == ["Receiving 1.9 MB  1.5 MB/s", ""]
    bar.finish()
    assert terminal.rows[1:] == [""]


def test_it_is_redrawn_ten_times_a_second_and_at_the_end(clock: Clock, terminal: Terminal) -> None:
    bar = ProgressBar("", terminal)
    for count in range(1, 3000):
        bar(count, 3000)
        clock.now += 0.001
    assert 28 <= terminal.redraws <= 30
    before = terminal.redraws
    bar(3000, 3000)
    assert terminal.redraws == before + 1
    assert terminal.rows[0].startswith("100% ")


def test_one_call_is_enough(clock: Clock, terminal: Terminal) -> None:
    ProgressBar("", terminal)(500, 500)
    assert terminal.redraws == 1
    assert terminal.rows == ["100% [################################] 500 B/500 B", ""]


def test_it_can_be_used_again(clock: Clock, terminal: Terminal) -> None:
    bar = ProgressBar("", terminal)
    for _ in range(2):
        bar(100, 200)
        clock.now += 1
        bar(200, 200)
        clock.now += 60
    assert [row.partition("]")[2] for row in terminal.rows] == [" 200 B/200 B  100 B/s"] * 2 + [""]


@pytest.mark.parametrize(("loaded", "total"), [(10, 1000), (10, 0), (499, 2000)])
def test_what_was_given_up_keeps_its_line(clock: Clock, terminal: Terminal, loaded: int, total: int) -> None:
    bar = ProgressBar("", terminal)
    bar(300, 1000)
    bar(500, 1000)
    bar(loaded, total)
    assert len(terminal.rows) == 2
    assert " 500 B/1.0 kB" in terminal.rows[0]
    assert f"{loaded} B" in terminal.rows[1]


def test_an_empty_transfer(terminal: Terminal) -> None:
    bar = ProgressBar("", terminal)
    bar(0, 0)
    bar.finish()
    assert terminal.rows == ["0 B", ""]


def test_off_a_terminal_it_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    file = io.StringIO()
    for bar in (ProgressBar("", file), ProgressBar()):
        for count in range(1, 5):
            bar(count, 4)
        bar(5, 0)
        bar.finish()
    assert file.getvalue() == ""
    assert capsys.readouterr() == ("", "")


def test_where_there_is_no_stderr_it_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    bar = ProgressBar()
    bar(1, 2)
    bar(2, 2)


def test_stderr_is_the_one_of_the_moment(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    bar = ProgressBar("late")
    monkeypatch.setattr(sys, "stderr", terminal)
    bar(2, 2)
    assert terminal.rows[0].startswith("late 100%")


def test_a_description_cannot_break_the_line(terminal: Terminal) -> None:
    ProgressBar("\ta\nb\x1b[2Jc\r\x00", terminal)(1, 1)
    assert terminal.rows[0].startswith("a b [2Jc 100% [")


def test_what_the_terminal_cannot_write_is_replaced() -> None:
    terminal = Terminal("ascii")
    ProgressBar("Größe", terminal)(1, 1)
    assert terminal.rows[0].startswith("Gr??e 100% [")


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        *((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_951, "1.0 MB")),
        *(
            (1_500_000, "1.5 MB"),
            (2_000_000_000, "2.0 GB"),
            (10**12, "1.0 TB"),
            (10**15, "1.0 PB"),
            (10**18, "1000.0 PB"),
        ),
    ],
)
def test_sizes(count: int, shown: str) -> None:
    terminal = Terminal()
    bar = ProgressBar("", terminal)
    bar(count, 0)
    bar.finish()
    assert terminal.rows == [shown, ""]


@pytest.mark.parametrize(
    ("left", "shown"),
    [(1, "0:01"), (60, "1:00"), (3599, "59:59"), (3600, "1:00:00"), (90_061, "25:01:01"), (360_000, "-:--")],
)
def test_the_time_that_is_left(clock: Clock, terminal: Terminal, left: int, shown: str) -> None:
    bar = ProgressBar("", terminal)
    bar(0, 1 + left)
    clock.now += 1
    bar(1, 1 + left)
    assert terminal.rows[0].endswith("  " + shown)


def test_the_bar_keeps_its_length(clock: Clock, terminal: Terminal) -> None:
    bar = ProgressBar("", terminal)
    for count in (0, 1, 10_000, 10_001, 300_000_000, 999_000_000, 1_000_000_000):
        bar(count, 1_000_000_000)
        clock.now += 20
    lengths = {line.index("]") - line.index("[") for line in terminal.getvalue().split("\r")[1:]}
    assert len(lengths) == 1


def test_the_end_is_not_announced_too_early(clock: Clock, terminal: Terminal) -> None:
    bar = ProgressBar("", terminal)
    bar(999_999, 1_000_000)
    assert terminal.rows[0].startswith(" 99% [")
    assert "-]" in terminal.rows[0]


# On a real terminal


def test_a_terminal_that_does_not_know_its_width_has_80_columns() -> None:
    with Pty(0, 0) as pty:
        ProgressBar("", pty.file)(1, 1)
        assert pty.rows == ["100% [################################] 1 B/1 B", ""]


def test_a_terminal_may_be_resized(clock: Clock) -> None:
    with Pty(120) as pty:
        bar = ProgressBar("Receiving", pty.file)
        bar(1, 1000)
        assert "[----------------------------------------] 1 B/1.0 kB" in pty.rows[0]
        pty.resize(40)
        clock.now += 1
        bar(2, 1000)
        assert pty.rows[-1] == "Receiving   0% 1 B/s  16:38"
        bar.finish()


# Misuse, copies


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"description": 5}, "description: expected str, got 5"),
        ({"file": "log.txt"}, "file: expected an open text file such as sys.stderr, got 'log.txt'"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=f"^{re.escape(message)}$") as caught:
        ProgressBar(**options)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_it_can_be_copied_and_pickled_in_the_middle_of_a_transfer(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = ProgressBar("Sending")
    bar(1, 2)
    for twin in (copy.copy(bar), copy.deepcopy(bar), pickle.loads(pickle.dumps(bar))):
        twin(2, 2)
    bar(2, 2)
    # They are bars of their own, whose lines have ended before that of this one.
    assert terminal.getvalue().count("Sending 100%") == 4
    assert terminal.rows[-1] == ""


@given(st.lists(st.tuples(st.integers(0, 10**9), st.sampled_from([0, 1, 10**6, 10**9])), max_size=30), st.text())
def test_it_takes_any_numbers(calls: list[tuple[int, int]], label: str) -> None:
    terminal = Terminal()
    bar = ProgressBar(label, terminal)
    for loaded, total in calls:
        bar(loaded, total)
    bar.finish()
    assert terminal.rows[-1] == ""
    assert all(columns_of(row) <= 79 for row in terminal.rows)
    assert re.sub("\r|\n|\x1b\\[J", "", terminal.getvalue()).isprintable()
