"""The timer wheel: cheap, and never early."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from atomhttp._net.drivers import aio
from atomhttp._net.timers import SLOTS_PER_SECOND, TimerWheel


class Entry:
    def __init__(self, due: float, again: float | None = None) -> None:
        self.slot: Any = None
        self.due = due
        self.again = again
        self.fired: list[float] = []

    def expire(self, now: float) -> float | None:
        self.fired.append(now)
        again, self.again = self.again, None
        return again


def test_never_early_and_late_by_one_slot_at_most() -> None:
    chance = random.Random(7)
    wheel = TimerWheel(lambda: None)
    entries = [Entry(chance.uniform(0, 40)) for _ in range(2_000)]
    for each in entries:
        wheel.add(each, each.due)
    now = 0.0
    while len(wheel):
        due = wheel.next_due()
        assert due is not None
        assert due > now
        now = due
        wheel.run(now)
    for each in entries:
        assert len(each.fired) == 1
        assert 0 < each.fired[0] - each.due <= 1 / SLOTS_PER_SECOND


def test_on_earlier_is_told_only_when_the_next_one_moves_forward() -> None:
    told: list[float | None] = []
    wheel = TimerWheel(lambda: told.append(wheel.next_due()))
    for due in (10.0, 12.0, 5.0, 7.0, 5.001, 1.0):
        wheel.add(Entry(due), due)
    assert [round(each or 0) for each in told] == [10, 5, 1]


def test_a_discarded_entry_never_fires_and_its_slot_goes() -> None:
    wheel = TimerWheel(lambda: None)
    entries = [Entry(1.0 + number / 100) for number in range(1_000)]
    for each in entries:
        wheel.add(each, each.due)
    for each in entries:
        wheel.discard(each)
        wheel.discard(each)  # twice is fine
    assert len(wheel) == 0
    assert wheel.next_due() is None
    wheel.run(1e9)
    assert not any(each.fired for each in entries)


def test_an_entry_may_ask_to_be_armed_again() -> None:
    wheel = TimerWheel(lambda: None)
    one = Entry(1.0, again=3.0)
    wheel.add(one, 1.0)
    wheel.run(2.0)
    assert len(one.fired) == 1
    wheel.run(2.9)
    assert len(one.fired) == 1
    wheel.run(3.1)
    assert len(one.fired) == 2
    assert one.slot is None


def test_many_distinct_dues_cost_few_slots() -> None:
    """200,000 different remaining budgets once left 200,000 queues behind."""
    wheel = TimerWheel(lambda: None)
    for number in range(50_000):
        one = Entry(30 + number / 50_000)
        wheel.add(one, one.due)
        wheel.discard(one)
    assert len(wheel._slots) <= SLOTS_PER_SECOND + 1


async def test_a_loop_that_fires_early_is_asked_again() -> None:
    """uvloop fires up to 1.25 ms early: what is not due yet must be armed once more, not expired."""
    loop = asyncio.get_running_loop()
    driver = aio.AsyncioDriver(loop)
    now = 100.0
    driver.now = driver.reactor.now = lambda: now
    one = Entry(100.5)
    driver.reactor.timers.add(one, one.due)
    due = driver.reactor.timers.next_due()
    assert due is not None
    assert driver._timer is not None
    driver._timer.cancel()
    now = due - 0.00125
    driver._on_timer()
    assert not one.fired
    assert driver._timer is not None, "armed again"
    driver._timer.cancel()
    now = due
    driver._on_timer()
    assert one.fired == [now]
    driver.disarm()
    driver.reactor.close_all()
