"""What the pool decides, as pure functions of a few numbers: no connection, no waiter, no lock in sight.

A snapshot of the whole pool would cost 12-184 µs a decision; these facts are kept by counting.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

# Numbers of those who have gone that are kept, whatever there is: putting them out costs more than passing them over.
SPARE: Final = 64


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
        any_idle: whether another route has one that is idle.
        open_total: connections of all routes.
        limit, route_limit: how many there may be, in all and of one route (0: no limit of its own).
        coming: how many requests the connections that are being made will take (HTTP/2), as far as can be known.
        waiting: how many others wait for them.
    """

    idle: int
    open: int
    any_idle: bool
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
    return Decision.EVICT_THEN_OPEN if facts.any_idle else Decision.WAIT


class Turns:
    """Whose turn it is: queues by the number of whoever is first in each, the oldest first.

    First come, first served, except that nobody waits behind one whose own route is full. A heap: with a thousand
    routes waiting, to look at each of them for every connection that comes free took 0.1 s.
    """

    def __init__(self) -> None:
        self._order: list[int] = []
        self._queues: dict[int, Any] = {}

    def offer(self, number: int, queue: Any) -> None:
        """`number` is the first in `queue`. Twice is fine."""
        if number not in self._queues:
            # In this order: a number without a queue is passed over.
            heappush(self._order, number)
            self._queues[number] = queue

    def withdraw(self, number: int) -> None:
        """`number` is not the first in its queue any more."""
        self._queues.pop(number, None)
        if len(self._order) > 2 * len(self._queues) + SPARE:
            self._order = sorted(self._queues)

    def find(self, judge: Callable[[Any], Decision]) -> tuple[Any, Decision] | None:
        """The queue whose turn it is, and what its first gets; None when all of them have to wait."""
        order = self._order
        while order and order[0] not in self._queues:
            heappop(order)
        if not order:
            return None
        # Nothing is taken out to be put back: an interrupt may come between any two lines.
        first = self._queues[order[0]]
        decision = judge(first)
        if decision is not Decision.WAIT:
            return first, decision
        for number in sorted(self._queues):
            queue = self._queues[number]
            if queue is not first:
                decision = judge(queue)
                if decision is not Decision.WAIT:
                    return queue, decision
        return None
