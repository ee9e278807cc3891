"""Medians and ratios of a table's samples."""

import statistics
from dataclasses import dataclass

from benchmarks.bars import BARS, FASTEST_PEER, Bar
from benchmarks.peers import CLIENTS, COMPILED, OVER_HTTP1, PRODUCT, YARDSTICK
from benchmarks.table import Table

PRODUCTS = (PRODUCT, COMPILED)
PEERS = set(CLIENTS) - {*PRODUCTS, OVER_HTTP1, YARDSTICK}


@dataclass(frozen=True)
class Result:
    """One client, or one case, of a table. Values are medians; a ratio above 1 is the better one, but for CPU."""

    client: str
    median: float
    least: float
    most: float
    cpu: float | None
    memory: float | None
    to_fastest_peer: float | None
    to_baseline: float | None
    cpu_to_bare: float | None
    connections: int | None


@dataclass(frozen=True)
class Verdict:
    """A bar, and what was reached."""

    bar: Bar
    reached: float
    met: bool


@dataclass(frozen=True)
class Summary:
    """A line of the last table: atomhttp's, or that of its compiled build."""

    table: Table
    product: Result
    fastest_peer: Result | None
    verdicts: list[Verdict]

    @property
    def name(self) -> str:
        return self.table.name + self.product.client.removeprefix(PRODUCT)


def build_results(table: Table) -> list[Result]:
    """The best first; those of a growth table in their own order."""
    medians = find_medians(table)
    cpus = {client: statistics.median(values) for client, values in table.cpu.items() if values}
    peer = find_fastest_peer(table)
    results = [
        Result(
            client=client,
            median=median,
            least=min(table.samples[client]),
            most=max(table.samples[client]),
            cpu=cpus.get(client),
            memory=table.memory.get(client),
            to_fastest_peer=compare(table, median, medians.get(peer or "")),
            to_baseline=compare(table, median, medians.get(table.baseline)),
            cpu_to_bare=divide(cpus.get(client), cpus.get(YARDSTICK)),
            connections=table.connections.get(client),
        )
        for client, median in medians.items()
    ]
    if not table.x:
        results.sort(key=lambda result: result.median, reverse=table.better == "more")
    return results


def find_medians(table: Table) -> dict[str, float]:
    return {client: statistics.median(values) for client, values in table.samples.items() if values}


def find_fastest_peer(table: Table) -> str | None:
    """Whom atomhttp is compared with; nobody where the table is not about clients."""
    medians = find_medians(table)
    peers = [client for client in medians if client in PEERS] if any(client in medians for client in PRODUCTS) else []
    if not peers:
        return None
    return max(peers, key=medians.__getitem__) if table.better == "more" else min(peers, key=medians.__getitem__)


def compare(table: Table, value: float, other: float | None) -> float | None:
    """How many times as good as the other."""
    if other is None:
        return None
    return divide(value, other) if table.better == "more" else divide(other, value)


def divide(value: float | None, other: float | None) -> float | None:
    return value / other if value is not None and other else None


def build_summaries(table: Table) -> list[Summary]:
    if table.x:
        return []
    results = {result.client: result for result in build_results(table)}
    peer = results.get(find_fastest_peer(table) or "")
    bars = [bar for bar in BARS if bar.row == table.name]
    return [
        Summary(table, results[client], peer, [verdict for bar in bars if (verdict := judge(table, bar, client))])
        for client in PRODUCTS
        if client in results
    ]


def judge(table: Table, bar: Bar, client: str = PRODUCT) -> Verdict | None:
    """None where the one to compare with is missing."""
    medians = find_medians(table)
    value = medians[client]
    if bar.kind == "at most":
        return Verdict(bar, value, value <= bar.factor)
    against = find_fastest_peer(table) if bar.against == FASTEST_PEER else bar.against
    reached = compare(table, value, medians.get(against or ""))
    if reached is None:
        return None
    return Verdict(bar, reached, reached > bar.factor if bar.kind == "more than" else reached >= bar.factor)
