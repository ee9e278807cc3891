"""Several bars at once, as a person sees them."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomhttp import progress
from atomhttp._bars import screen
from atomhttp.progress import ProgressBar
from support.terminal import Pty

MB = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "monotonic", clock)
    return clock


@pytest.fixture(params=["plain", "rich"], autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With rich, and as if it were not installed."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "atomhttp._bars.rich_lines", None)
    return str(request.param)


@pytest.fixture
def open_pty() -> Iterator[Callable[..., Pty]]:
    opened: list[Pty] = []

    def open_one(*args: Any) -> Pty:
        opened.append(Pty(*args))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()
    left = len(screen._screens)
    screen._screens.clear()
    assert not left, "a transfer of this test has not ended"


@pytest.fixture
def pty(open_pty: Callable[..., Pty]) -> Pty:
    return open_pty()


def brief(rows: list[str]) -> list[str]:
    """The rows without bars and numbers."""
    return [" ".join(row.split()[:2]) for row in rows]


# Lines


def test_each_has_its_line_and_what_has_ended_stands_above(pty: Pty, clock: Clock, kind: str) -> None:
    bars = [ProgressBar(name, pty.file) for name in ("a.iso", "bb.iso", "ccc.iso")]
    for step in range(10):
        for speed, bar in enumerate(bars, 1):
            bar(step * speed * MB, 100 * MB)
        clock.now += 1
    for bar in bars:
        bar(30 * MB, 100 * MB)
    clock.now += 0.1
    bars[0](30 * MB, 100 * MB)
    assert brief(pty.rows) == ["a.iso 30%", "bb.iso 30%", "ccc.iso 30%"]
    assert [row.index("%") for row in pty.rows] == [11] * 3
    assert "30.0 MB/100.0 MB  3.0 MB/s  0:24" in pty.rows[2]
    bars[1](100 * MB, 100 * MB)
    assert brief(pty.rows) == ["bb.iso 100%", "a.iso 30%", "ccc.iso 30%"]
    bars[2].finish()
    assert brief(pty.rows) == ["bb.iso 100%", "ccc.iso 30%", "a.iso 30%"]
    clock.now += 1
    bars[1](50 * MB, 100 * MB)
    assert brief(pty.rows) == ["bb.iso 100%", "ccc.iso 30%", "a.iso 30%", "bb.iso 50%"]
    bars[0](100 * MB, 100 * MB)
    bars[1].finish()
    assert brief(pty.rows) == ["bb.iso 100%", "ccc.iso 30%", "a.iso 100%", "bb.iso 50%", ""]
    assert pty.cursor == (0, 4)


def test_what_stood_there_before_stays(pty: Pty, clock: Clock) -> None:
    pty.file.write("$ program\nhello\n")
    bars = [ProgressBar(str(number), pty.file) for number in range(3)]
    for count in (1, 2, 3):
        for bar in bars:
            bar(count, 3)
        clock.now += 1
    pty.file.write("$ ")
    pty.file.flush()
    assert brief(pty.rows) == ["$ program", "hello", "0 100%", "1 100%", "2 100%", "$"]


def test_at_the_bottom_of_the_terminal_the_lines_scroll(open_pty: Callable[..., Pty], clock: Clock) -> None:
    pty = open_pty(80, 5)
    pty.file.write("\n".join("abcdef"))
    pty.file.write("\n")
    bars = [ProgressBar(f"bar{number}", pty.file) for number in range(3)]
    for count in (1, 2, 3):
        for bar in bars:
            bar(count, 3)
        clock.now += 1
    assert brief(pty.rows) == [*"abcdef", "bar0 100%", "bar1 100%", "bar2 100%", ""]


def test_more_bars_than_the_terminal_has_lines(open_pty: Callable[..., Pty], clock: Clock) -> None:
    pty = open_pty(80, 5)
    bars = [ProgressBar(f"bar{number}", pty.file) for number in range(9)]
    for count in (1, 2, 2):
        for bar in bars:
            bar(count, 3)
        clock.now += 1
    assert brief(pty.rows) == ["bar0 66%", "bar1 66%", "bar2 66%", "and 6"]
    assert pty.rows[3] == "and 6 more"
    for bar in reversed(bars):
        bar(3, 3)
    assert brief(pty.rows) == [*(f"bar{number} 100%" for number in range(8, -1, -1)), ""]


@pytest.mark.parametrize("lines", [1, 2])
def test_a_terminal_of_so_few_lines(open_pty: Callable[..., Pty], clock: Clock, lines: int) -> None:
    pty = open_pty(80, lines)
    bars = [ProgressBar(f"bar{number}", pty.file) for number in range(4)]
    for count in (1, 2, 3):
        for bar in bars:
            bar(count, 3)
        clock.now += 1
    assert brief(pty.rows) == ["bar0 100%", "bar1 100%", "bar2 100%", "bar3 100%", ""]


def test_a_known_and_an_unknown_total(pty: Pty, clock: Clock) -> None:
    with ProgressBar("known", pty.file) as known, ProgressBar("unknown", pty.file) as unknown:
        known(MB, 2 * MB)
        unknown(MB, 0)
        clock.now += 1
        unknown(3 * MB, 0)
        assert pty.rows[0].split() == ["known", "50%", *pty.rows[0].split()[2:]]
        assert pty.rows[1] == "unknown 3.0 MB  2.0 MB/s"
    assert brief(pty.rows) == ["unknown 3.0", "known 50%", ""]


def test_a_total_that_changes_belongs_to_the_same_transfer(pty: Pty, clock: Clock) -> None:
    bar = ProgressBar("file", pty.file)
    for loaded, total in ((1, 0), (2, 10), (3, 20), (4, 0), (20, 20)):
        bar(loaded * MB, total * MB)
        clock.now += 1
    assert brief(pty.rows) == ["file 100%", ""]
    assert "20.0 MB/20.0 MB  4.8 MB/s" in pty.rows[0]


def test_a_transfer_that_is_continued_has_the_speed_of_its_rest(pty: Pty, clock: Clock) -> None:
    bar = ProgressBar("file", pty.file)
    bar(900 * MB, 1000 * MB)
    assert pty.rows[0].endswith("900.0 MB/1.0 GB")
    clock.now += 1
    bar(901 * MB, 1000 * MB)
    assert pty.rows[0].endswith("901.0 MB/1.0 GB  1.0 MB/s  1:39")
    bar.finish()


def test_two_files_that_are_one_terminal(pty: Pty, clock: Clock) -> None:
    with open(os.ttyname(pty.slave), "w", encoding="utf-8") as other:
        bars = [ProgressBar("err", pty.file), ProgressBar("out", other)]
        for count in (1, 2, 3):
            for bar in bars:
                bar(count, 3)
            clock.now += 1
    assert brief(pty.rows) == ["err 100%", "out 100%", ""]


def test_two_terminals_have_their_own_lines(open_pty: Callable[..., Pty], clock: Clock) -> None:
    terminals = [open_pty(), open_pty(40)]
    bars = [ProgressBar(f"bar{number}", terminals[number % 2].file) for number in range(4)]
    for count in (1, 2, 3):
        for bar in bars:
            bar(count, 3)
        clock.now += 1
    assert [brief(each.rows) for each in terminals] == [
        ["bar0 100%", "bar2 100%", ""],
        ["bar1 100%", "bar3 100%", ""],
    ]


@pytest.mark.parametrize("columns", [1, 2, 5, 20, 33, 40, 60, 79, 80, 200])
def test_no_line_is_wider_than_the_terminal(open_pty: Callable[..., Pty], clock: Clock, columns: int) -> None:
    pty = open_pty(columns)
    names = ("a long description", "名前の長いファイル.zip", "cafe\u0301 " * 9, "x")
    bars = [ProgressBar(name, pty.file) for name in names]
    for count in (100, 10_000, 123_456):
        for bar in bars:
            bar(count, MB)
        clock.now += 1
    for bar in bars:
        bar.finish()
    # A line that was too wide would have become two.
    assert len(pty.rows) == len(names) + 1
    if columns >= 20:
        assert [row[:1] for row in pty.rows] == ["a", "名", "c", "x", ""]
        assert all(" 12%" in row for row in pty.rows[:-1])


def test_a_terminal_that_becomes_wider(pty: Pty, clock: Clock) -> None:
    pty.resize(40)
    bars = [ProgressBar(f"bar{number}", pty.file) for number in range(2)]
    lengths = []
    for columns in (40, 60, 200):
        pty.resize(columns)
        clock.now += 1
        for bar in bars:
            bar(columns, 1000)
        lengths.append([len(row) for row in pty.rows])
    assert lengths[0] < lengths[1] < lengths[2]
    assert {len(each) for each in lengths} == {2}
    for bar in bars:
        bar.finish()


def test_a_terminal_that_becomes_narrower_has_wrapped_its_lines(pty: Pty, clock: Clock) -> None:
    bars = [ProgressBar(f"bar{number}", pty.file) for number in range(2)]
    for count in (1, 2):
        for bar in bars:
            bar(count, 3)
        clock.now += 1
    taken = sum(-(-len(row) // 20) for row in pty.rows)
    seen = len(pty.written)
    pty.resize(20)
    bars[0](2, 3)
    pty.look()
    # What were two lines has become so many, and the cursor is in the last one.
    assert taken >= 6
    assert f"\r\x1b[{taken - 1}A\x1b[J" in pty.written[seen:]
    for bar in bars:
        bar.finish()


ACTIONS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["go on", "go on", "complete", "finish", "forget"])), max_size=25
)


@settings(max_examples=15, deadline=None)
@given(ACTIONS)
def test_whatever_happens_each_transfer_has_one_line(actions: list[tuple[int, str]]) -> None:
    clock = vars(progress)["monotonic"]
    with Pty(60, 9) as pty:
        pty.file.write("before\n")
        bars: dict[int, ProgressBar] = {}
        going: list[int] = []
        ended: list[int] = []
        for number, action in actions:
            clock.now += 1
            bar = bars.setdefault(number, ProgressBar(f"bar{number}", pty.file))
            if action in ("go on", "complete") and number not in going:
                going.append(number)
            if action == "go on":
                bar(1, 2)
            elif action == "complete":
                bar(2, 2)
            elif action == "finish":
                bar.finish()
            else:
                # The last reference, which ends it as well.
                del bars[number], bar
            if action != "go on" and number in going:
                going.remove(number)
                ended.append(number)
            expected = ["before", *(f"bar{each}" for each in (*ended, *going))]
            assert [row.partition(" ")[0] for row in pty.rows if row] == expected
            assert (pty.rows[-1] == "") is (not going)
        for bar in bars.values():
            bar.finish()


# Descriptions


@pytest.mark.parametrize("name", ["[red]file[/red]", "[/]", ":rocket:", "\\[bold]x"])
def test_a_description_is_no_markup(pty: Pty, name: str) -> None:
    ProgressBar(name, pty.file)(1, 1)
    assert pty.rows[0].startswith(f"{name} 100% ")


def test_a_description_cannot_control_the_terminal(pty: Pty) -> None:
    with ProgressBar("first", pty.file) as first:
        first(1, 2)
        ProgressBar("\x1b[2J\x1b]0;title\x07a\nb\r\x9b5Ac\u202ed\udc80e\u2028", pty.file)(1, 1)
        assert brief(pty.rows) == ["[2J ]0;title", "first 50%"]
        assert pty.rows[0].startswith("[2J ]0;title a b  5Ac d e 100% ")


def test_what_the_terminal_has_no_characters_for_is_replaced(open_pty: Callable[..., Pty], kind: str) -> None:
    pty = open_pty(80, 24, "ascii")
    ProgressBar("Größe", pty.file)(1, 2)
    assert pty.rows[0].startswith("Gr??e  50% ")
    assert "-" * 10 in pty.rows[0] or kind == "rich"
    gc.collect()
    assert all(row.isascii() for row in pty.rows)


# The kind of drawing


def test_which_kind_is_drawn(pty: Pty, kind: str) -> None:
    with ProgressBar("file", pty.file) as bar:
        bar(1, 2)
        if kind == "plain":
            assert "[#############--------------]" in pty.rows[0]
            assert pty.color_of("50%") == "default"
        else:
            assert "━━━━━━━━━━━━" in pty.rows[0]
            assert pty.color_of("50%") != "default"


def test_no_color(pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with ProgressBar("file", pty.file) as bar:
        bar(1, 2)
        assert {pty.color_of(text) for text in ("file", "50%", "1 B/2 B")} == {"default"}


@pytest.mark.parametrize("term", ["dumb", "DUMB", "unknown"])
def test_a_dumb_terminal_gets_a_line_when_a_transfer_is_over(
    pty: Pty, clock: Clock, monkeypatch: pytest.MonkeyPatch, term: str
) -> None:
    monkeypatch.setenv("TERM", term)
    bars = [ProgressBar(name, pty.file) for name in ("a", "b", "c")]
    for count in (1, 2, 3):
        for bar in bars[:2]:
            bar(count, 3)
            bars[2](count, 0)
        clock.now += 1
    pty.look()
    assert [line.split()[:2] for line in pty.written.split("\r\n")] == [["a", "100%"], ["b", "100%"], []]
    bars[2].finish()
    bars[2].finish()
    assert pty.rows[2:] == ["c 3 B  1 B/s", ""]
    assert "\x1b" not in pty.written


def test_off_a_terminal_rich_is_not_imported() -> None:
    program = (
        "import sys\nfrom atomhttp import ProgressBar\n"
        "with ProgressBar('file') as bar: bar(1, 2); bar(2, 2); bar(1, 0)\n"
        "assert not {'rich', 'atomhttp._bars.rich_lines'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# Tasks, threads, processes


async def test_tasks(pty: Pty, clock: Clock) -> None:
    async def transfer(name: str, size: int) -> None:
        bar = ProgressBar(name, pty.file)
        for count in range(1, size + 1):
            bar(count, size)
            clock.now += 0.05
            await asyncio.sleep(0)

    await asyncio.gather(transfer("short", 10), transfer("long", 60), transfer("middle", 30))
    assert brief(pty.rows) == ["short 100%", "middle 100%", "long 100%", ""]


class Terminal(io.StringIO):
    """A terminal that is no file of the system's, and remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


def test_threads(clock: Clock) -> None:
    terminal = Terminal()
    ready = threading.Barrier(8)

    def transfer(number: int) -> None:
        bar = ProgressBar(f"bar{number}", terminal)
        ready.wait(10)
        for count in range(1, 301):
            bar(count, 300)
            clock.now += 0.03

    threads = [threading.Thread(target=transfer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Pty(100, 40) as pty:
        for text in terminal.writes:
            pty.file.write(text)
            pty.file.flush()
            pty.look()
        assert sorted(brief(pty.rows)) == ["", *(f"bar{number} 100%" for number in range(8))]
    assert not screen._screens


def test_nobody_waits_for_a_thread_that_writes_to_a_slow_terminal(clock: Clock) -> None:
    writing, resume = threading.Event(), threading.Event()

    class Slow(Terminal):
        def write(self, text: str) -> int:
            if threading.current_thread() is thread:
                writing.set()
                assert resume.wait(10)
            return super().write(text)

    terminal = Slow()
    slow, fast = ProgressBar("slow", terminal), ProgressBar("fast", terminal)
    thread = threading.Thread(target=slow, args=(1, 2))
    thread.start()
    assert writing.wait(10)
    fast(1, 2)
    clock.now += 1
    fast(2, 2)
    assert terminal.writes == []
    resume.set()
    thread.join()
    # The one that was at it has written what came meanwhile.
    assert "fast" in terminal.writes[-1]
    assert "100%" in terminal.writes[-1]
    slow.finish()
    assert terminal.writes[-1].endswith("\n")


def test_a_bar_may_be_called_while_a_bar_is_being_drawn(clock: Clock) -> None:
    """As a signal's handler does, or the garbage collector."""
    inner: list[ProgressBar] = []

    class Interrupting(Terminal):
        def write(self, text: str) -> int:
            if not inner:
                inner.append(ProgressBar("inner", self))
                inner[0](1, 2)
            return super().write(text)

    terminal = Interrupting()
    with ProgressBar("outer", terminal) as outer:
        outer(1, 2)
        assert ["inner" in text for text in terminal.writes] == [False, True]
        inner[0].finish()


def test_a_forked_process_has_bars_of_its_own(pty: Pty) -> None:
    with ProgressBar("parent", pty.file) as bar:
        bar(1, 2)
        screen._drawing.acquire()  # as if another thread were drawing
        program = os.fork()
        if not program:
            status = 1
            try:
                ProgressBar("child", pty.file)(1, 1)
                status = 0
            finally:
                os._exit(status)
        screen._drawing.release()
        assert os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]) == 0
        pty.look()
        assert "child" in pty.written


# Ends


def test_in_a_with_statement_the_line_ends(pty: Pty) -> None:
    with pytest.raises(ZeroDivisionError), ProgressBar("a", pty.file) as a, ProgressBar("b", pty.file) as b:
        a(1, 0)
        b(1, 2)
        raise ZeroDivisionError
    assert brief(pty.rows) == ["b 50%", "a 1", ""]


def test_a_bar_that_is_forgotten_ends_its_line(pty: Pty, clock: Clock) -> None:
    with ProgressBar("kept", pty.file) as kept:
        kept(1, 2)
        forgotten = ProgressBar("forgotten", pty.file)
        forgotten(1, 2)
        del forgotten
        gc.collect()
        assert brief(pty.rows) == ["forgotten 50%", "kept 50%"]
    ProgressBar("alone", pty.file)(1, 2)
    gc.collect()
    assert brief(pty.rows)[1:] == ["kept 50%", "alone 50%", ""]


EXITS = {
    "at the end": ("", 0),
    "by an error": ("raise ZeroDivisionError", 1),
    "by Ctrl+C": ("os.kill(os.getpid(), signal.SIGINT)", -2),
    "by sys.exit": ("sys.exit(3)", 3),
}


@pytest.mark.parametrize("way", EXITS)
def test_a_program_that_ends_leaves_the_cursor_at_the_begin_of_a_line(pty: Pty, kind: str, way: str) -> None:
    statement, status = EXITS[way]
    program = (
        "import os, signal, sys\n"
        f"if {kind == 'plain'}: sys.modules['rich'] = None\n"
        "from atomhttp import ProgressBar\n"
        "bars = [ProgressBar('a'), ProgressBar('b')]\n"
        f"for bar in bars: bar(1, 2)\n{statement}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stderr=pty.slave, timeout=30, check=False)
    assert done.returncode == status
    assert brief(pty.rows)[0] == "a 50%"
    assert pty.rows[1].startswith("b  50%")
    assert pty.rows[-1] == ""
    assert pty.cursor[0] == 0
    traceback = pty.written.partition("Traceback")[2]
    assert ("ZeroDivisionError" in traceback) == (status == 1)
    # Nothing overwrote it, and nothing was complained about.
    assert traceback.count("\x1b") == 0 or sys.version_info >= (3, 13)  # which colours its tracebacks
    assert "Exception ignored" not in pty.written


# Outputs that fail


def test_a_terminal_that_goes_away_ends_no_transfer(pty: Pty, clock: Clock) -> None:
    bars = [ProgressBar(name, pty.file) for name in ("a", "b")]
    for bar in bars:
        bar(1, 3)
    pty.hang_up()
    for count in (2, 3, 1):
        clock.now += 1
        for bar in bars:
            bar(count, 3)
    for bar in bars:
        bar.finish()


def test_a_file_that_is_closed_ends_no_transfer(clock: Clock) -> None:
    terminal = Terminal()
    bar = ProgressBar("file", terminal)
    bar(1, 3)
    terminal.write = io.StringIO.write.__get__(terminal)  # type: ignore[method-assign]  # the one that knows
    terminal.close()
    clock.now += 1
    bar(2, 3)
    bar(3, 3)
    bar(1, 3)
    bar.finish()
    assert len(terminal.writes) == 1


@pytest.mark.parametrize(
    "error", [OSError(errno.EPIPE, "pipe"), BlockingIOError(errno.EAGAIN, "full"), ValueError("closed")]
)
def test_after_a_failure_nothing_is_written_until_all_have_ended(clock: Clock, error: Exception) -> None:
    class Failing(Terminal):
        fails = True

        def write(self, text: str) -> int:
            super().write(text)
            if self.fails:
                raise error
            return len(text)

    terminal = Failing()
    first, second = ProgressBar("first", terminal), ProgressBar("second", terminal)
    first(1, 2)
    second(1, 2)
    terminal.fails = False
    first(2, 2)
    second(2, 2)
    assert len(terminal.writes) == 1
    first(1, 1)
    assert len(terminal.writes) == 2


def test_what_is_no_failure_of_an_output_passes(clock: Clock) -> None:
    """Ctrl+C in the middle of a redraw."""

    class Interrupted(Terminal):
        def flush(self) -> None:
            if len(self.writes) == 2:
                raise KeyboardInterrupt

    terminal = Interrupted()
    bar = ProgressBar("file", terminal)
    bar(1, 4)
    clock.now += 1
    with pytest.raises(KeyboardInterrupt):
        bar(2, 4)
    bar.finish()
    assert terminal.writes[-1].endswith("\n")
