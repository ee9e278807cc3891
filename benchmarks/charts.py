"""`python -m benchmarks.charts RESULTS.json DIRECTORY`: the tables as pictures, SVG, from a run's JSON.

Medians, with the least and the most as a thin line; every axis of bars begins at 0. atomhttp stands first, its peers
follow from the best to the worst, and below them, in grey, what is no peer: the bare engine, and programs in C.
The same tables give the same bytes. A picture brings its own background, so a dark page does not matter.
"""

import argparse
import importlib
import json
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks.peers import PRODUCT, YARDSTICK
from benchmarks.report import show
from benchmarks.results import PEERS, PRODUCTS, Result, build_results, build_summaries
from benchmarks.table import Table

PAPER = "#fcfcfa"
INK = "#1f2430"
FAINT = "#6b7280"
RULE = "#d9dce1"
OURS = "#2457c5"
BEHIND = "#c2571a"
THEIRS = "#9fb2cf"
LIMIT = "#d3d6db"
# Lines: told apart by more than their colour, since each is named where it ends.
LINES = {PRODUCT: OURS, YARDSTICK: "#8a9099", "pyreqwest": "#1b8a5a", "wreq": "#c2571a", "aiohttp": "#8b3fa8"}
OTHERS = "#444444"

WIDTH = 8.6
BAR = 0.34
# A summary bar that is longer than this ends there, and says so.
LONGEST_RATIO = 6.0
MARGIN_BOTTOM = 0.62


def draw(tables: Sequence[Table], machine: dict[str, Any], directory: Path) -> None:
    """Write a picture for each table of clients, and one each for the summary, the features and the growth."""
    directory.mkdir(parents=True, exist_ok=True)
    filled = [table for table in tables if table.samples]
    place = describe_machine(machine)
    with style() as pyplot:
        studio = Studio(pyplot, directory, place)
        for table in filled:
            if table.name == "features":
                studio.draw_features(table)
            elif not table.x and table.name != "features-least":
                studio.draw_row(table)
        studio.draw_summary(filled)
        studio.draw_growth(filled)


@contextmanager
def style() -> Iterator[Any]:
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    settings = {
        # Text stays text: small, searchable, and in the reader's font.
        "svg.fonttype": "none",
        "svg.hashsalt": "atomhttp",
        "font.family": "sans-serif",
        "font.size": 9.5,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": FAINT,
        "ytick.color": INK,
        "figure.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "axes.facecolor": PAPER,
        "axes.edgecolor": RULE,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": RULE,
        "grid.linewidth": 0.6,
    }
    with matplotlib.rc_context(settings):
        yield importlib.import_module("matplotlib.pyplot")


def describe_machine(machine: dict[str, Any]) -> str:
    versions = machine.get("versions", {})
    parts = [
        machine.get("cpu"),
        f"{machine['cores']} cores" if "cores" in machine else None,
        machine.get("memory"),
        machine.get("kernel"),
        machine.get("python"),
        *(f"{name} {versions[name]}" for name in ("nginx", PRODUCT) if name in versions),
    ]
    return ", ".join(str(part) for part in parts if part)


class Studio:
    """Where pictures are drawn and saved."""

    def __init__(self, pyplot: Any, directory: Path, place: str) -> None:
        self.pyplot = pyplot
        self.directory = directory
        self.place = place

    # Frames

    @contextmanager
    def picture(self, name: str, title: str, height: float, note: str, left: float = 1.5) -> Iterator[Any]:
        """Axes of so many inches of height, under a title, over the note and the machine."""
        lines = [line for text in (note, self.place) if text for line in textwrap.wrap(text, 135)]
        below = MARGIN_BOTTOM + 0.17 * len(lines)
        titles = textwrap.wrap(title, 88)
        above = 0.3 + 0.24 * len(titles)
        whole = above + height + below
        figure = self.pyplot.figure(figsize=(WIDTH, whole))
        axes = figure.add_axes((left / WIDTH, below / whole, (WIDTH - left - 0.35) / WIDTH, height / whole))
        for number, line in enumerate(titles):
            figure.text(0.018, 1 - (0.29 + 0.24 * number) / whole, line, fontsize=11.5, fontweight="bold")
        for number, line in enumerate(lines):
            at = (0.14 + 0.17 * (len(lines) - 1 - number)) / whole
            figure.text(0.018, at, line, fontsize=7.8, color=FAINT)
        yield axes
        figure.savefig(self.directory / f"{name}.svg", metadata={"Date": None, "Creator": None})
        self.pyplot.close(figure)

    # Clients beside each other

    def draw_row(self, table: Table) -> None:
        results = order(build_results(table))
        note = f"{describe_rounds(table)} {describe_missing(table)}"
        with self.picture(table.name, table.title, BAR * len(results) + 0.1, note) as axes:
            draw_bars(axes, table, results)

    # All rows at once

    def draw_summary(self, tables: Sequence[Table]) -> None:
        summaries = [summary for table in tables for summary in build_summaries(table) if summary.fastest_peer]
        if not summaries:
            return
        title = f"{PRODUCT} beside the fastest peer of each row: how many times as good"
        note = (
            f"Ratio of medians; above 1 {PRODUCT} is ahead. Beside the bar: the ratio, and who the fastest peer was. "
            f"Bars end at {LONGEST_RATIO:g}, whatever the ratio is."
        )
        with self.picture("summary", title, BAR * len(summaries) + 0.1, note, left=1.9) as axes:
            for at, summary in enumerate(summaries):
                peer, ratio = summary.fastest_peer, summary.product.to_fastest_peer or 0.0
                shown = min(ratio, LONGEST_RATIO)
                axes.barh(at, shown, 0.66, color=OURS if ratio >= 1 else BEHIND, zorder=2)
                more = " »" if ratio > shown else ""
                text = f"{ratio:.2f}{more} · {peer.client if peer else ''}"
                axes.text(max(shown, 1) + 0.06, at, text, va="center", fontsize=8.5)
            finish_bars(axes, [summary.name for summary in summaries], 0, LONGEST_RATIO * 1.25)
            axes.axvline(1, color=INK, linewidth=0.9, zorder=3)
            axes.set_xlabel("times as good as the fastest peer")

    # Features

    def draw_features(self, table: Table) -> None:
        results = build_results(table)
        note = f"Medians of the differences between neighbouring slices of 50 ms. {describe_rounds(table)}"
        title, height = table.title.partition(":")[0], 0.27 * len(results) + 0.1
        with self.picture(table.name, title, height, note, left=2.75) as axes:
            most = max(1.0, *(result.most for result in results))
            for at, result in enumerate(results):
                axes.barh(at, result.median, 0.62, color=LIMIT if "noise" in result.client else OURS, zorder=2)
                draw_spread(axes, at, result)
                label = f"{result.median:.1f} µs"
                axes.text(max(result.most, 0) + most * 0.012, at, label, va="center", fontsize=8.5)
            least = min(0.0, *(result.least for result in results))
            finish_bars(axes, [result.client for result in results], least * 1.1, most * 1.13)
            axes.axvline(0, color=INK, linewidth=0.9, zorder=3)
            axes.set_xlabel("µs of CPU more than without")

    # Growth

    def draw_growth(self, tables: Sequence[Table]) -> None:
        growing = {table.name: table for table in tables if table.x}
        flights = {name: table for name, table in growing.items() if not name.startswith("growth-origins-")}
        origins = [table for name, table in growing.items() if name.startswith("growth-origins-")]
        whole = [table for name, table in flights.items() if not name.endswith("-system")]
        self.draw_lines("growth", "CPU of a small GET, by the number of requests in flight", whole)
        for client in (PRODUCT, YARDSTICK):
            pair = [table for name, table in flights.items() if name in (f"growth-{client}", f"growth-{client}-system")]
            title = f"CPU of a small GET of {client}, and the part of it that is the system's"
            self.draw_lines(f"growth-{client}", title, pair if len(pair) > 1 else [])
        self.draw_lines("growth-origins", "CPU of a small GET, 64 in flight, by the number of origins", origins)

    def draw_lines(self, name: str, title: str, tables: Sequence[Table]) -> None:
        if not tables:
            return
        with self.picture(name, title, 3.3, describe_rounds(tables[0]), left=0.75) as axes:
            points = [int(key) for key in tables[0].samples]
            ends = [draw_line(axes, table) for table in tables]
            label_ends(axes, ends)
            axes.set_xscale("log")
            axes.set_xticks(points, [f"{point:,}" for point in points])
            axes.minorticks_off()
            axes.set_xlim(points[0] / 1.15, points[-1] * (points[-1] / points[0]) ** 0.22)
            axes.grid(axis="y", zorder=0)
            axes.set_axisbelow(True)
            axes.tick_params(length=0)
            axes.set_xlabel(tables[0].x)
            axes.set_ylabel("µs of CPU a request")


# Bars


def order(results: Sequence[Result]) -> list[Result]:
    """atomhttp, its peers, and below them what is no peer."""

    def rank(result: Result) -> int:
        return 0 if result.client in PRODUCTS else 1 if is_peer(result) else 2

    return sorted(results, key=rank)


def is_peer(result: Result) -> bool:
    return result.client in PEERS


def draw_bars(axes: Any, table: Table, results: Sequence[Result]) -> None:
    most = max(result.most for result in results)
    product = next((result for result in results if result.client == PRODUCT), None)
    for at, result in enumerate(results):
        colour = OURS if result.client in PRODUCTS else THEIRS if is_peer(result) else LIMIT
        axes.barh(at, result.median, 0.66, color=colour, zorder=2)
        draw_spread(axes, at, result)
        label = f"{show(result.median)} {table.unit}"
        if product is not None and result is not product:
            label += f" · {compare(table, result.median, product.median)}"
        bold = "bold" if result is product else "normal"
        axes.text(result.most + most * 0.012, at, label, va="center", fontsize=8.5, fontweight=bold)
    finish_bars(axes, [result.client for result in results], 0, most * 1.36)
    for label in axes.get_yticklabels():
        if label.get_text() in PRODUCTS:
            label.set_fontweight("bold")
    axes.set_xlabel(f"{table.unit} ({table.better} is better)")


def compare(table: Table, value: float, product: float) -> str:
    """What a peer is beside atomhttp, in words."""
    if not value or not product:
        return ""
    ratio = value / product
    more, less = ("faster", "slower") if table.better == "more" else ("slower", "faster")
    if table.unit in ("KiB", "MiB"):
        more, less = "more", "less"
    factor, word = (ratio, more) if ratio >= 1 else (1 / ratio, less)
    return "the same" if factor < 1.005 else f"{factor:.2f}× {word}"


def draw_spread(axes: Any, at: int, result: Result) -> None:
    if result.most > result.least:
        axes.plot([result.least, result.most], [at, at], color=INK, linewidth=1.0, zorder=4, solid_capstyle="butt")


def finish_bars(axes: Any, names: Sequence[str], least: float, most: float) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(least, most)
    axes.spines["left"].set_color(INK if least == 0 else RULE)
    axes.spines["bottom"].set_visible(False)
    axes.grid(axis="x", zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")


# Lines


def draw_line(axes: Any, table: Table) -> tuple[float, float, str, str]:
    """The line; where it ends, its name and its colour."""
    client = table.title.rpartition(": ")[2]
    is_part = table.name.endswith("-system")
    results = build_results(table)
    points = [int(result.client) for result in results]
    medians = [result.median for result in results]
    colour = LINES.get(client, OTHERS)
    axes.fill_between(
        points,
        [result.least for result in results],
        [result.most for result in results],
        color=colour,
        alpha=0.13,
        linewidth=0,
    )
    axes.plot(
        points,
        medians,
        color=colour,
        linewidth=2.4 if client == PRODUCT else 1.5,
        linestyle="--" if is_part else "-",
        marker="o",
        markersize=3.5,
        zorder=3,
    )
    return points[-1], medians[-1], "system" if is_part else client, colour


def label_ends(axes: Any, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Names where the lines end, moved apart where they would lie on each other."""
    top = axes.get_ylim()[1] * 1.04
    axes.set_ylim(0, top)
    height = -top
    for x, y, name, colour in sorted(ends, key=lambda end: end[1]):
        height = max(y, height + top * 0.062)
        weight = "bold" if name == PRODUCT else "normal"
        axes.annotate(
            f"{name} · {show(y)}",
            (x, height),
            textcoords="offset points",
            xytext=(8, 0),
            va="center",
            color=colour,
            fontsize=8.8,
            fontweight=weight,
            annotation_clip=False,
        )


# Words


def describe_rounds(table: Table) -> str:
    rounds = max(len(values) for values in table.samples.values())
    if rounds == 1:
        return "One round only: no medians."
    return f"Medians of {rounds} rounds; thin lines or bands: the least and the most."


def describe_missing(table: Table) -> str:
    words = []
    if table.unsupported:
        words.append(f"Not offered by {', '.join(table.unsupported)}.")
    if table.failures:
        words.append(f"Failed: {', '.join(table.failures)}.")
    return " ".join(words)


def main() -> None:
    parser = argparse.ArgumentParser(prog="charts", description="draw the tables of a run")
    parser.add_argument("results", type=Path, help="what --json has written")
    parser.add_argument("directory", type=Path, help="where the pictures go")
    arguments = parser.parse_args()
    document = json.loads(arguments.results.read_text())
    names = [field.name for field in fields(Table)]
    tables = [Table(**{name: table[name] for name in names}) for table in document["tables"]]
    draw(tables, document["machine"], arguments.directory)


if __name__ == "__main__":
    main()
