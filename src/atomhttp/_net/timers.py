"""A timer wheel: due times rounded up to 1/32 s, so that arming and disarming cost one set operation each.

Never early. Entries that share a slot share a set; slots are ordered by a heap that sees one push per 31 ms of
distinct due times, however many requests there are.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final, Protocol

SLOTS_PER_SECOND: Final = 32


class Slot(Protocol):
    """Where an armed entry lies."""

    def discard(self, entry: Any, /) -> None: ...


class TimerEntry(Protocol):
    """What waits on the wheel."""

    slot: Slot | None

    def expire(self, now: float) -> float | None:
        """Its time has come. A returned time arms it again."""


class TimerWheel:
    """Entries by due time. `on_earlier` is called when an entry is due before all others."""

    __slots__ = ("_last", "_last_index", "_on_earlier", "_order", "_slots")

    def __init__(self, on_earlier: Callable[[], None]) -> None:
        self._slots: dict[int, set[TimerEntry]] = {}
        self._order: list[int] = []
        self._on_earlier = on_earlier
        # The slot of the entry before: calls that begin together are due together.
        self._last_index = -1
        self._last: set[TimerEntry] = set()

    def add(self, entry: TimerEntry, due: float) -> None:
        """Arms `entry`, which must not be armed, for `due` on the reactor's clock."""
        index = int(due * SLOTS_PER_SECOND) + 1
        if index == self._last_index and self._last:
            self._last.add(entry)
            entry.slot = self._last
            return
        slot = self._slots.get(index)
        if slot is None:
            slot = self._slots[index] = set()
            heappush(self._order, index)
            slot.add(entry)
            entry.slot = slot
            if self._order[0] == index:
                self._on_earlier()
        else:
            slot.add(entry)
            entry.slot = slot
        self._last_index, self._last = index, slot

    @staticmethod
    def discard(entry: TimerEntry) -> None:
        """Disarms `entry`; nothing happens when it is not armed."""
        slot = entry.slot
        if slot is not None:
            slot.discard(entry)
            entry.slot = None

    def next_due(self) -> float | None:
        """When the next entry is due; slots that have emptied are dropped on the way."""
        order, slots = self._order, self._slots
        while order:
            if slots[order[0]]:
                return order[0] / SLOTS_PER_SECOND
            del slots[heappop(order)]
        return None

    def run(self, now: float) -> None:
        """Expires what is due."""
        order, slots = self._order, self._slots
        while order and order[0] <= now * SLOTS_PER_SECOND:
            slot = slots[order[0]]
            if not slot:
                del slots[heappop(order)]
                continue
            # One at a time, looking again each time: an expiry may disarm its neighbours, arm others, or raise.
            entry = slot.pop()
            entry.slot = None
            again = entry.expire(now)
            if again is not None:
                self.add(entry, again)

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))


class FewTimers:
    """The same for a reactor that waits by itself, with a few entries at most: no slots, no order, exact times."""

    __slots__ = ("_due",)

    def __init__(self, on_earlier: Callable[[], None]) -> None:
        self._due: dict[TimerEntry, float] = {}

    def add(self, entry: TimerEntry, due: float) -> None:
        """See `TimerWheel.add`."""
        self._due[entry] = due
        entry.slot = self

    def discard(self, entry: TimerEntry) -> None:
        """See `TimerWheel.discard`."""
        if self._due.pop(entry, None) is not None:
            entry.slot = None

    def next_due(self) -> float | None:
        """When the next entry is due."""
        due = self._due
        # Not by a loop of ours, in the middle of which another thread may disarm something.
        return min(due.values()) if due else None

    def run(self, now: float) -> None:
        """Expires what is due."""
        while (due := self.next_due()) is not None and due <= now:
            entry = next(entry for entry, when in self._due.items() if when == due)
            self.discard(entry)
            again = entry.expire(now)
            if again is not None:
                self.add(entry, again)

    def __len__(self) -> int:
        return len(self._due)
