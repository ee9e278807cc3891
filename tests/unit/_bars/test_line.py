from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcwidth

from atomhttp._bars.line import Line, columns_of, draw_plain, lay_out

HALF = (50_000_000, 100_000_000)
COUNTS = st.one_of(
    st.tuples(st.integers(0, 10**18), st.just(0)),
    st.integers(1, 10**18).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))),
)


def shown(columns: int, label: str = "debian.iso", counts: tuple[int, int] = HALF) -> str:
    return draw_plain(lay_out(label, columns_of(label), counts, 1_000_000.0, columns))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (200, f"debian.iso  50% [{'#' * 20}{'-' * 20}] 50.0 MB/100.0 MB  1.0 MB/s  0:50"),
        (79, f"debian.iso  50% [{'#' * 10}{'-' * 11}] 50.0 MB/100.0 MB  1.0 MB/s  0:50"),
        (63, "debian.iso  50% [##---] 50.0 MB/100.0 MB  1.0 MB/s  0:50"),
        (62, "debian.iso  50% [###########------------] 1.0 MB/s  0:50"),
        (44, "debian.iso  50% [##---] 1.0 MB/s  0:50"),
        (43, "debian.iso  50% 1.0 MB/s  0:50"),
        (36, "debian.iso  50% 1.0 MB/s  0:50"),
        (35, "debian.iso  50% 0:50"),
        (24, "debian.iso  50% 0:50"),
        (23, "debian.iso  50%"),
        (15, "debian.iso  50%"),
        (10, "debia  50%"),
        (6, "d  50%"),
        (5, " 50%"),
        (4, " 50%"),
        (3, "deb"),
        (0, ""),
    ],
)
def test_the_less_room_the_less_is_said(columns: int, expected: str) -> None:
    assert shown(columns) == expected


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (79, "debian.iso 50.0 MB  1.0 MB/s"),
        (28, "debian.iso 50.0 MB  1.0 MB/s"),
        (27, "debian.iso 50.0 MB"),
        (18, "debian.iso 50.0 MB"),
        (17, "debian.iso"),
        (4, "debi"),
    ],
)
def test_and_without_a_total(columns: int, expected: str) -> None:
    assert shown(columns, counts=(50_000_000, 0)) == expected


def test_a_long_description_gets_what_is_left() -> None:
    assert shown(79, "a" * 200) == f"{'a' * 26}  50% [##---] 50.0 MB/100.0 MB  1.0 MB/s  0:50"
    assert shown(40, "a" * 200) == f"{'a' * 14}  50% 1.0 MB/s  0:50"


def test_what_stands_above_each_other_is_aligned() -> None:
    lines = [lay_out(label, 12, HALF, None, 79) for label in ("", "a", "名前", "cafe\u0301", "twelve chars")]
    assert len({columns_of(draw_plain(line).partition("50%")[0]) for line in lines}) == 1
    assert {line.label_columns for line in lines} == {12}


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])), COUNTS, st.integers(0, 120), st.integers(0, 200))
def test_it_always_fits(label: str, counts: tuple[int, int], columns: int, longest: int) -> None:
    longest = max(longest, columns_of(label))
    line = lay_out(label, longest, counts, 123_456.7, columns)
    assert 0 <= line.columns <= columns
    assert columns_of(draw_plain(line)) == line.columns


@given(COUNTS.filter(all), st.one_of(st.none(), st.floats(0, 1e12)), st.integers(20, 120))
def test_a_bar_keeps_its_length(counts: tuple[int, int], rate: float | None, columns: int) -> None:
    if counts[1] < 10**15:  # there are no larger units
        assert lay_out("file", 4, counts, rate, columns).bar == lay_out("file", 4, (0, 1), None, columns).bar


def test_floats_are_counted_down() -> None:
    line = lay_out("a", 1, (1.5, 3.9), None, 80)  # type: ignore[arg-type]  # as somebody may
    assert draw_plain(line).startswith("a  33% [")
    assert line.sizes == "1 B/3 B"


def test_the_last_percent_is_the_end() -> None:
    line = lay_out("", 0, (999_999, 1_000_000), None, 79)
    assert line.percent == " 99%"
    assert draw_plain(line).count("-") == 1
    assert lay_out("", 0, (7, 5), None, 79).percent == "100%"
    assert "-]" not in draw_plain(lay_out("", 0, (7, 5), None, 79))


@pytest.mark.parametrize(
    "text", ["", "plain", "名前の長いファイル.zip", "cafe\u0301", "Größe", "ﾊﾝｶｸ", "🚀.tar", "한글"]
)
def test_columns_are_those_of_the_terminal(text: str) -> None:
    assert columns_of(text) == sum(wcwidth(char) for char in text)


def test_numbers_have_names() -> None:
    line = Line("", 0, "", 0, 1, 0, "1 B", "", "0:01")
    assert line.numbers == [("sizes", "1 B"), ("left", "0:01")]
    assert line.columns == len("1 B  0:01")
