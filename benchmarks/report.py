"""Tables for people, and JSON for whoever compares runs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.bars import FASTEST_PEER
from benchmarks.results import Result, Summary, Verdict, build_results, build_summaries
from benchmarks.table import Table


def print_table(table: Table) -> None:
    results = build_results(table)
    columns = ["", table.unit, "spread"]
    if any(result.cpu is not None for result in results):
        columns.append("CPU µs")
    if any(result.memory is not None for result in results):
        columns.append("peak MiB")
    if any(result.connections is not None for result in results):
        columns.append("connections")
    if any(result.to_fastest_peer is not None for result in results):
        columns.append("× fastest peer")
    if table.baseline in table.samples:
        columns.append(f"× {table.baseline}")
    if any(result.cpu_to_bare is not None for result in results):
        columns.append("CPU × bare")
    print(f"\n{table.name}: {table.title}" + (f" (by {table.x})" if table.x else ""))
    print_columns([columns, *([describe(table, result)[column] for column in columns] for result in results)])
    if table.unsupported:
        print(f"  not offered by {', '.join(table.unsupported)}")
    if table.failures:
        print(f"  failed: {', '.join(table.failures)}")


def describe(table: Table, result: Result) -> dict[str, str]:
    """The cells of one line, by column."""
    return {
        "": result.client,
        table.unit: show(result.median),
        "spread": f"{show(result.least)}–{show(result.most)}",
        "CPU µs": show(result.cpu),
        "peak MiB": show(result.memory),
        "connections": "–" if result.connections is None else str(result.connections),
        "× fastest peer": show_ratio(result.to_fastest_peer),
        f"× {table.baseline}": show_ratio(result.to_baseline),
        "CPU × bare": show_ratio(result.cpu_to_bare),
    }


def print_summary(tables: Sequence[Table]) -> None:
    """One line a table: atomhttp, its fastest rival, and how it stands to what was demanded."""
    summaries = [summary for table in tables for summary in build_summaries(table)]
    if not summaries:
        return
    print("\natomhttp beside the fastest peer of each row")
    header = ["", "atomhttp", "fastest peer", "", "ratio", "bar"]
    print_columns([header, *map(summarize, summaries)])


def summarize(summary: Summary) -> list[str]:
    peer = summary.fastest_peer
    return [
        summary.name,
        f"{show(summary.product.median)} {summary.table.unit}",
        show(peer.median) if peer else "–",
        peer.client if peer else "",
        show_ratio(summary.product.to_fastest_peer),
        "; ".join(map(show_verdict, summary.verdicts)),
    ]


def show_verdict(verdict: Verdict) -> str:
    bar = verdict.bar
    sign = {"at least": "≥", "more than": ">", "at most": "≤"}[bar.kind]
    if bar.kind == "at most" or bar.against == FASTEST_PEER:
        demand = f"{sign} {bar.factor:g}"
    else:
        demand = f"{verdict.reached:.2f} × {bar.against} {sign} {bar.factor:g}"
    return f"{demand} {'yes' if verdict.met else 'NO'}"


def print_columns(lines: list[list[str]]) -> None:
    """The first column and the last one of words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        first, *others = (
            f"{cell:<{width}}" if not at else f"{cell:>{width}}"
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print(f"  {first}  {'   '.join(others)}".rstrip())


def show(value: float | None) -> str:
    """Three figures at least."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def show_ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def write_json(path: Path, tables: Sequence[Table], machine: dict[str, Any], settings: dict[str, Any]) -> None:
    document = {
        "machine": machine,
        "settings": settings,
        "tables": [describe_table(table) for table in tables],
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def describe_table(table: Table) -> dict[str, Any]:
    return {
        **asdict(table),
        "results": [asdict(result) for result in build_results(table)],
        "bars": [
            {"client": summary.product.client, **asdict(verdict)}
            for summary in build_summaries(table)
            for verdict in summary.verdicts
        ],
    }
