from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._net.timers import SLOTS_PER_SECOND, TimerWheel

SLOT = 1 / SLOTS_PER_SECOND


class Entry:
    """Remembers when it expired; may arm itself again, or disarm others, when it does."""

    def __init__(self, name: str = "", again: float | None = None, discards: Entry | None = None) -> None:
        self.slot = None
        self.name = name
        self.again = again
        self.discards = discards
        self.expired: list[float] = []

    def expire(self, now: float) -> float | None:
        self.expired.append(now)
        if self.discards is not None:
            TimerWheel.discard(self.discards)
        again, self.again = self.again, None
        return again


class Alarm:
    """Counts how often the wheel asked for an earlier call."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def wheel() -> TimerWheel:
    return TimerWheel(Alarm())


@pytest.mark.parametrize("due", [0.0, 0.001, SLOT, SLOT * 1.5, 1.0, 30.0, 86400.3])
def test_never_early_and_at_most_one_slot_late(wheel: TimerWheel, due: float) -> None:
    entry = Entry()
    wheel.add(entry, due)
    promised = wheel.next_due()
    assert promised is not None
    assert due < promised <= due + SLOT
    wheel.run(due)
    wheel.run(math.nextafter(promised, 0))
    assert entry.expired == []
    wheel.run(promised)
    assert entry.expired == [promised]


def test_what_has_expired_is_not_armed_any_more(wheel: TimerWheel) -> None:
    entry = Entry()
    wheel.add(entry, 1)
    wheel.run(5)
    wheel.run(9)
    assert (entry.expired, entry.slot, len(wheel), wheel.next_due()) == ([5], None, 0, None)


def test_a_late_run_expires_everything_due_in_order(wheel: TimerWheel) -> None:
    order: list[str] = []
    for name, due in [("c", 3), ("a", 1), ("d", 9), ("b", 2)]:
        entry = Entry(name)
        entry.expire = lambda now, name=name: order.append(name)  # type: ignore[method-assign]
        wheel.add(entry, due)
    wheel.run(5)
    assert (order, len(wheel)) == (["a", "b", "c"], 1)


def test_discarded_entries_do_not_expire(wheel: TimerWheel) -> None:
    entry, neighbour = Entry(), Entry()
    wheel.add(entry, 1)
    wheel.add(neighbour, 1)
    wheel.discard(entry)
    wheel.run(9)
    assert (entry.expired, neighbour.expired) == ([], [9])


def test_discarding_twice_or_before_arming_is_nothing(wheel: TimerWheel) -> None:
    entry = Entry()
    wheel.discard(entry)
    wheel.add(entry, 1)
    wheel.discard(entry)
    wheel.discard(entry)
    assert (entry.slot, len(wheel)) == (None, 0)


def test_discarding_what_has_expired_touches_nobody_else(wheel: TimerWheel) -> None:
    entry, other = Entry(), Entry()
    wheel.add(entry, 1)
    wheel.run(2)
    wheel.add(other, 1)
    wheel.discard(entry)
    assert len(wheel) == 1


def test_an_entry_may_be_armed_again(wheel: TimerWheel) -> None:
    entry = Entry()
    wheel.add(entry, 1)
    wheel.discard(entry)
    wheel.add(entry, 2)
    wheel.run(1.9)
    assert entry.expired == []
    wheel.run(3)
    assert entry.expired == [3]


def test_an_entry_that_asks_for_it_is_armed_again(wheel: TimerWheel) -> None:
    entry = Entry(again=7)
    wheel.add(entry, 1)
    wheel.run(2)
    assert (entry.expired, len(wheel)) == ([2], 1)
    wheel.run(7)
    assert entry.expired == [2]
    wheel.run(7 + SLOT)
    assert (entry.expired, len(wheel)) == ([2, 7 + SLOT], 0)


def test_armed_again_in_the_past_it_expires_in_the_same_run(wheel: TimerWheel) -> None:
    entry = Entry(again=0.5)
    wheel.add(entry, 1)
    wheel.run(5)
    assert entry.expired == [5, 5]


def test_an_entry_of_another_slot_that_is_disarmed_by_an_expiry_does_not_expire(wheel: TimerWheel) -> None:
    victim = Entry()
    wheel.add(Entry(discards=victim), 1)
    wheel.add(victim, 2)
    wheel.run(5)
    assert (victim.expired, len(wheel)) == ([], 0)


@pytest.mark.parametrize("first", [0, 1])
def test_neighbours_in_a_slot_that_disarm_each_other_expire_once_in_all(wheel: TimerWheel, first: int) -> None:
    one, other = Entry("one"), Entry("other")
    one.discards, other.discards = other, one
    for entry in (one, other) if first else (other, one):
        wheel.add(entry, 1)
    wheel.run(5)
    assert len(one.expired) + len(other.expired) == 1


def test_emptied_slots_are_dropped_when_the_next_due_time_is_asked_for(wheel: TimerWheel) -> None:
    entries = [Entry() for _ in range(100)]
    for second, entry in enumerate(entries):
        wheel.add(entry, second)
    for entry in entries[:-1]:
        wheel.discard(entry)
    assert wheel.next_due() == 99 + SLOT
    assert len(wheel._slots) == len(wheel._order) == 1
    wheel.discard(entries[-1])
    assert wheel.next_due() is None
    assert len(wheel._slots) == len(wheel._order) == 0


def test_equal_due_times_share_one_slot(wheel: TimerWheel) -> None:
    for _ in range(1000):
        wheel.add(Entry(), 5)
    assert (len(wheel), len(wheel._order)) == (1000, 1)


def test_the_owner_is_told_of_earlier_times_only() -> None:
    alarm = Alarm()
    wheel = TimerWheel(alarm)
    told = []
    for due in (5, 9, 5, 3, 4, 1):
        wheel.add(Entry(), due)
        told.append(alarm.count)
    assert told == [1, 1, 1, 2, 2, 3]


def test_the_owner_is_told_again_once_the_wheel_has_been_empty() -> None:
    alarm = Alarm()
    wheel = TimerWheel(alarm)
    entry = Entry()
    wheel.add(entry, 1)
    wheel.discard(entry)
    assert wheel.next_due() is None
    wheel.add(entry, 2)
    assert alarm.count == 2


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 9), st.floats(0, 20)),
        st.tuples(st.just("discard"), st.integers(0, 9), st.just(0.0)),
        st.tuples(st.just("run"), st.just(0), st.floats(0, 2)),
    ),
    max_size=60,
)


@given(OPERATIONS)
def test_like_a_plain_list_of_due_times(operations: list[tuple[str, int, float]]) -> None:
    wheel = TimerWheel(Alarm())
    entries = [Entry(str(number)) for number in range(10)]
    due: dict[int, float] = {}
    now = 0.0
    for operation, number, value in operations:
        if operation == "run":
            now += value
            wheel.run(now)
            for armed in list(due):
                if entries[armed].slot is None:
                    assert due.pop(armed) < now
                    assert entries[armed].expired[-1] == now
                else:
                    assert now < due[armed] + SLOT
        elif operation == "add" and number not in due:
            wheel.add(entries[number], now + value)
            due[number] = now + value
        elif operation == "discard":
            wheel.discard(entries[number])
            due.pop(number, None)
        assert len(wheel) == len(due)
    promised = wheel.next_due()
    assert (promised is None) == (not due)
    if promised is not None:
        assert min(due.values()) < promised <= min(due.values()) + SLOT


def test_an_expiry_that_raises_loses_no_other_timer(wheel: TimerWheel) -> None:
    def fail(now: float) -> None:
        raise ZeroDivisionError

    entries = [Entry() for _ in range(3)]
    entries[1].expire = fail  # type: ignore[assignment,method-assign]
    for entry in entries:
        wheel.add(entry, 1)
    with pytest.raises(ZeroDivisionError):
        wheel.run(5)
    wheel.run(6)
    assert len(entries[0].expired) == len(entries[2].expired) == 1
