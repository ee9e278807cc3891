from __future__ import annotations

import copy
import errno
import fcntl
import inspect
import io
import os
import pickle
import re
import struct
import sys
import termios
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp import progress
from atomhttp.errors import AtomHTTPOptionError
from atomhttp.progress import ProgressBar, ProgressEvent, Speedometer

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


class Terminal(io.StringIO):
    """What would be on the screen: `rows`, with `\\r` obeyed."""

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
                row = drawn + row[len(drawn) :]
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
    assert terminal.rows == ["100% [###############################] 500 B/500 B", ""]


def test_it_can_be_used_again(clock: Clock, terminal: Terminal) -> None:
    bar = ProgressBar("", terminal)
    for _ in range(2):
        bar(100, 200)
        clock.now += 1
        bar(200, 200)
        clock.now += 60
    assert [row.partition("]")[2] for row in terminal.rows] == [" 200 B/200 B  100 B/s"] * 2 + [""]


@pytest.mark.parametrize(("loaded", "total"), [(10, 1000), (10, 0), (700, 2000)])
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


class Pty:
    """A pseudo-terminal so many columns wide."""

    def __init__(self, columns: int) -> None:
        self._master, slave = os.openpty()
        self.file = os.fdopen(slave, "w", encoding="utf-8", newline="")
        self.resize(columns)

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.file.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read(self) -> str:
        """All that was written; nothing can be written any more."""
        self.file.close()
        written = b""
        try:
            while block := os.read(self._master, 65536):
                written += block
        except OSError as error:
            # How Linux says that the other end is closed.
            if error.errno != errno.EIO:
                raise
        return written.decode()

    def close(self) -> None:
        self.file.close()
        os.close(self._master)


@pytest.fixture
def make_pty() -> Iterator[Any]:
    opened: list[Pty] = []

    def make(columns: int) -> Pty:
        opened.append(Pty(columns))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.mark.parametrize("columns", [1, 2, 10, 20, 33, 40, 60, 80, 200])
@pytest.mark.parametrize("label", ["", "a long description", "名前の長いファイル.zip", "cafe\u0301 " * 9])
@pytest.mark.parametrize("total", [0, 1_000_000])
def test_a_line_is_never_wider_than_the_terminal(
    make_pty: Any, clock: Clock, columns: int, label: str, total: int
) -> None:
    pty = make_pty(columns)
    bar = ProgressBar(label, pty.file)
    for count in (100, 10_000, 123_456):
        bar(count, total)
        clock.now += 1
    drawn = pty.read().split("\r")[1:]
    assert len(drawn) == 3
    for line in drawn:
        assert screen_width(line) <= columns - 1
        if columns >= 60 and label:
            assert line.startswith(label[:3])
        if columns >= 60 and total:
            assert "[" in line


@pytest.mark.parametrize(("label", "columns"), [("cafe\u0301", 4), ("名前", 4), ("Größe", 5), ("", 0)])
def test_a_description_takes_as_much_room_as_it_shows(terminal: Terminal, label: str, columns: int) -> None:
    ProgressBar(label, terminal)(1, 1)
    assert terminal.rows[0].count("#") == 31 - columns


def screen_width(text: str) -> int:
    return sum(0 if char == "\u0301" else 1 if char < "\u1100" else 2 for char in text)


def test_a_terminal_that_does_not_know_its_width_has_80_columns(make_pty: Any) -> None:
    pty = make_pty(0)
    ProgressBar("", pty.file)(1, 1)
    assert "[" + "#" * 31 + "]" in pty.read()


def test_a_terminal_may_be_resized(make_pty: Any, clock: Clock) -> None:
    pty = make_pty(120)
    bar = ProgressBar("Receiving", pty.file)
    bar(1, 1000)
    pty.resize(40)
    clock.now += 1
    bar(2, 1000)
    assert [screen_width(line) <= 39 for line in pty.read().split("\r")[1:]] == [False, True]


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
    for twin in (copy.deepcopy(bar), pickle.loads(pickle.dumps(bar))):
        twin(2, 2)
    assert terminal.rows[0].startswith("Sending 100%")


@given(st.lists(st.tuples(st.integers(0, 10**9), st.sampled_from([0, 1, 10**6, 10**9])), max_size=30), st.text())
def test_it_takes_any_numbers(calls: list[tuple[int, int]], label: str) -> None:
    terminal = Terminal()
    bar = ProgressBar(label, terminal)
    for loaded, total in calls:
        bar(loaded, total)
    bar.finish()
    assert terminal.rows[-1] == ""
    assert all(screen_width(row) <= 2 * 79 for row in terminal.rows)
    assert terminal.getvalue().isprintable() or set(terminal.getvalue()) & set("\r\n")
