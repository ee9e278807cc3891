from __future__ import annotations

import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._bars.line import columns_of, lay_out
from atomhttp._bars.rich_lines import RichPen

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(autouse=True)
def _colorful(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "COLORTERM", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def drawn(columns: int = 79, label: str = "file", counts: tuple[int, int] = (5, 10), encoding: str = "utf-8") -> str:
    return RichPen(encoding)(lay_out(label, columns_of(label), counts, 1.0, columns))


def test_a_line_is_the_plain_one_in_colours() -> None:
    line = drawn()
    assert ESCAPES.sub("", line) == f"file  50% {'━' * 14}╸{'━' * 14} 5 B/10 B  1 B/s  0:05"
    assert len(set(ESCAPES.findall(line))) >= 4
    assert line.endswith("\x1b[0m")


def test_a_finished_bar_has_another_colour() -> None:
    done, going = (ESCAPES.findall(drawn(counts=(count, 10)).partition("━")[0])[-1] for count in (10, 9))
    assert done != going


def test_without_a_total_there_is_no_bar() -> None:
    assert ESCAPES.sub("", drawn(counts=(5, 0))) == "file 5 B  1 B/s"


@pytest.mark.parametrize(
    "label", ["[red]file[/red]", "[/]", ":rocket:", "\\[bold]", "https://example.com/a 12 'x' None"]
)
def test_a_description_is_no_markup(label: str) -> None:
    assert ESCAPES.sub("", drawn(200, label)).startswith(label + "  50% ")


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert drawn() == f"file  50% {'━' * 14}╸{' ' * 14} 5 B/10 B  1 B/s  0:05"


def test_a_terminal_without_these_characters_gets_others() -> None:
    assert drawn(encoding="ascii").isascii()
    assert not drawn(encoding="utf-8").isascii()


@given(
    st.sampled_from(["", "file", "名前" * 9, "[red]"]), st.integers(0, 99), st.sampled_from([0, 99]), st.integers(0, 99)
)
def test_it_takes_the_columns_that_it_was_given(label: str, loaded: int, total: int, columns: int) -> None:
    line = lay_out(label, columns_of(label), (loaded, total), 1.0, columns)
    pen = RichPen("utf-8")
    assert columns_of(ESCAPES.sub("", pen(line))) == line.columns


def test_a_line_may_be_drawn_in_any_thread() -> None:
    pen = RichPen("utf-8")
    line = lay_out("file", 4, (5, 10), 1.0, 79)
    lines = [pen(line)]
    thread = threading.Thread(target=lambda: lines.append(pen(line)))
    thread.start()
    thread.join()
    assert lines[0] == lines[1]
    assert isinstance(lines[0], str)
