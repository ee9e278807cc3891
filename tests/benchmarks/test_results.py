"""Medians, ratios and bars: whose figure stands above whose, and when a run has failed."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.__main__ import report_failures
from benchmarks.results import build_results, build_summaries
from benchmarks.table import Table

RATES = {
    "atomhttp": [30.0, 10.0, 20.0],
    "bare": [90.0],
    "wrk": [100.0],
    "aiohttp": [5.0],
    "wreq": [10.0],
}


def build_table(**changes: Any) -> Table:
    given = {"name": "get-64", "title": "", "unit": "req/s", "better": "more", "baseline": "aiohttp", "samples": RATES}
    return Table(**{**given, "cpu": {}, "memory": {}, **changes})


def test_the_best_comes_first_and_is_compared_with_the_fastest_peer_and_the_baseline() -> None:
    results = build_results(build_table(cpu={"atomhttp": [30.0], "bare": [20.0]}))
    assert [result.client for result in results] == ["wrk", "bare", "atomhttp", "wreq", "aiohttp"]
    ours = results[2]
    assert (ours.median, ours.least, ours.most) == (20, 10, 30)
    assert (ours.to_fastest_peer, ours.to_baseline, ours.cpu_to_bare) == (2, 4, 1.5)


def test_where_less_is_better_a_ratio_above_one_is_still_the_better_one() -> None:
    table = build_table(better="less", samples={"atomhttp": [2.0], "aiohttp": [8.0], "wreq": [4.0]})
    assert [(result.client, result.to_fastest_peer) for result in build_results(table)] == [
        ("atomhttp", 2),
        ("wreq", 1),
        ("aiohttp", 0.5),
    ]


def test_bars_are_judged_by_the_medians() -> None:
    (summary,) = build_summaries(build_table())
    assert summary.fastest_peer is not None
    assert summary.fastest_peer.client == "wreq"
    assert [(verdict.reached, verdict.met) for verdict in summary.verdicts] == [(2, True), (4, False)]


def test_the_compiled_build_has_a_line_of_its_own_and_is_no_peer() -> None:
    summaries = build_summaries(build_table(samples={**RATES, "atomhttp compiled": [60.0]}))
    assert [summary.name for summary in summaries] == ["get-64", "get-64 compiled"]
    assert [[verdict.reached for verdict in summary.verdicts] for summary in summaries] == [[2, 4], [6, 12]]


def test_the_product_by_another_version_is_no_peer_either() -> None:
    (summary,) = build_summaries(build_table(name="stream-http2", samples={**RATES, "atomhttp HTTP/1.1": [25.0]}))
    assert summary.fastest_peer is not None
    assert summary.fastest_peer.client == "wreq"
    assert [(verdict.reached, verdict.met) for verdict in summary.verdicts] == [(0.8, False)]


def test_a_bar_against_someone_who_was_not_there_is_not_judged() -> None:
    (summary,) = build_summaries(build_table(samples={"atomhttp": [20.0], "wreq": [10.0]}))
    assert [verdict.bar.against for verdict in summary.verdicts] == [""]


def test_a_growth_table_keeps_its_order_and_is_not_summed_up() -> None:
    table = build_table(x="origins", better="less", samples={"1": [3.0], "10": [2.0]})
    assert [result.client for result in build_results(table)] == ["1", "10"]
    assert build_summaries(table) == []


@pytest.mark.parametrize(
    ("client", "reason", "smoke", "status"),
    [
        ("wreq", "benchmarks.exercises.WrongReplyError: (200, {})", False, 1),
        ("wreq", "TimeoutError", False, 0),
        ("wreq", "TimeoutError", True, 1),
        ("atomhttp", "TimeoutError", False, 1),
    ],
)
def test_a_wrong_reply_fails_the_run_and_a_peer_that_breaks_does_not(
    client: str, reason: str, smoke: bool, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report_failures([build_table(failures={client: reason})], any_counts=smoke) == status
    assert reason in capsys.readouterr().err
