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
    """What a decision rests on.

    Attributes:
        idle: connections of the wanted route that can take a request now: idle ones, or (HTTP/2) with room for it.
        open: connections of the wanted route, those being made included.
        idle_total, open_total: the same of all routes.
        limit, route_limit: how many there may be, in all and of one route (0: no limit of its own).
        coming: how many requests the connections that are being made will take (HTTP/2), as far as can be known.
        waiting: how many others wait for them.
    """

    idle: int
    open: int
    idle_total: int
    open_total: int
    limit: int
    route_limit: int
    coming: int = 0
    waiting: int = 0


def decide(facts: Facts) -> Decision:
    """A connection that is free first; then one that is being made and has room for all who wait; else a new one, if
    need be in the place of another route's idle one; else wait."""
    if facts.idle:
        return Decision.REUSE
    if facts.waiting < facts.coming:
        return Decision.WAIT
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
