"""Medians and ratios of the samples: as a table for people, as JSON for whoever compares runs."""

import importlib.metadata
import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.limits import LIMITS
from benchmarks.measure import Failures, Row, Samples
from benchmarks.origin import FILE_SIZE
from benchmarks.peers import ASYNC_PEERS, PRODUCT, SYNC_PEERS, YARDSTICK
from benchmarks.worker import Sample

NO_PEERS = {PRODUCT, YARDSTICK, *LIMITS}


@dataclass(frozen=True)
class Result:
    """One client on one row: requests a second and CPU microseconds a request, both medians over the rounds."""

    client: str
    rate: float
    slowest: float
    fastest: float
    cpu: float
    to_fastest_peer: float | None
    to_baseline: float | None
    cpu_to_bare: float | None


def build_results(row: Row, samples: Samples) -> list[Result]:
    """The row's clients, the fastest first."""
    found = {client: samples[row.name, client] for client in row.clients if (row.name, client) in samples}
    rates = {client: [rate(sample) for sample in taken] for client, taken in found.items()}
    medians = {client: statistics.median(values) for client, values in rates.items()}
    cpus = {client: statistics.median(cpu_micros(sample) for sample in taken) for client, taken in found.items()}
    fastest_peer = max((value for client, value in medians.items() if client not in NO_PEERS), default=None)
    return [
        Result(
            client=client,
            rate=medians[client],
            slowest=min(rates[client]),
            fastest=max(rates[client]),
            cpu=cpus[client],
            to_fastest_peer=ratio(medians[client], fastest_peer),
            to_baseline=ratio(medians[client], medians.get(row.baseline)),
            cpu_to_bare=ratio(cpus[client], cpus.get(YARDSTICK)),
        )
        for client in sorted(medians, key=medians.__getitem__, reverse=True)
    ]


def rate(sample: Sample) -> float:
    return sample.requests / sample.seconds


def cpu_micros(sample: Sample) -> float:
    return sample.cpu / sample.requests * 1e6


def ratio(value: float, other: float | None) -> float | None:
    return value / other if other else None


# The table


def print_table(row: Row, results: list[Result]) -> None:
    is_download = row.task in ("stream", "blob")
    speed, cpu = ("MB/s", "CPU ms") if is_download else ("req/s", "CPU µs")
    print(f"\n{row.title}")
    print(
        f"  {'':<12}{speed:>9}{'spread':>18}{cpu:>10}{'× fastest peer':>17}{f'× {row.baseline}':>13}{'CPU × bare':>13}"
    )
    for result in results:
        scale, cpu_scale = (FILE_SIZE / 1e6, 1e-3) if is_download else (1.0, 1.0)
        spread = f"{result.slowest * scale:,.0f}–{result.fastest * scale:,.0f}"
        print(
            f"  {result.client:<12}{result.rate * scale:>9,.0f}{spread:>18}{result.cpu * cpu_scale:>10.1f}"
            f"{show(result.to_fastest_peer):>17}{show(result.to_baseline):>13}{show(result.cpu_to_bare):>13}"
        )


def show(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


# The file


def write_json(path: Path, rows: list[Row], samples: Samples, failures: Failures, settings: dict[str, Any]) -> None:
    document = {
        "machine": {"python": platform.python_version(), "system": platform.system(), "cpus": os.cpu_count()},
        "settings": settings,
        "versions": find_versions(),
        "rows": {
            row.name: {
                "title": row.title,
                "baseline": row.baseline,
                "results": [asdict(result) for result in build_results(row, samples)],
                "samples": {client: [asdict(s) for s in samples.get((row.name, client), [])] for client in row.clients},
            }
            for row in rows
        },
        "failures": [{"row": row, "client": client, "reason": reason} for (row, client), reason in failures.items()],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def find_versions() -> dict[str, str]:
    versions = {}
    for package in sorted({*ASYNC_PEERS, *SYNC_PEERS, "uvloop", "httptools"} - {YARDSTICK}):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions
