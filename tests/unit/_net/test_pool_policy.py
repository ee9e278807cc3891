from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._net.pool_policy import SPARE, Decision, Facts, Turns, decide

REUSE, OPEN, EVICT, WAIT = Decision.REUSE, Decision.OPEN, Decision.EVICT_THEN_OPEN, Decision.WAIT


@pytest.mark.parametrize(
    ("facts", "decision"),
    [
        # An idle connection of the route is taken, whatever the limits say.
        (Facts(idle=1, open=1, any_idle=True, open_total=1, limit=100, route_limit=0), REUSE),
        (Facts(idle=1, open=1, any_idle=True, open_total=1, limit=1, route_limit=1), REUSE),
        (Facts(idle=3, open=9, any_idle=True, open_total=100, limit=100, route_limit=9), REUSE),
        # A new one, up to the limit and not beyond.
        (Facts(idle=0, open=0, any_idle=False, open_total=0, limit=1, route_limit=0), OPEN),
        (Facts(idle=0, open=99, any_idle=False, open_total=99, limit=100, route_limit=0), OPEN),
        (Facts(idle=0, open=100, any_idle=False, open_total=100, limit=100, route_limit=0), WAIT),
        # In the place of another route's idle one only when there is no room.
        (Facts(idle=0, open=0, any_idle=True, open_total=99, limit=100, route_limit=0), OPEN),
        (Facts(idle=0, open=0, any_idle=True, open_total=100, limit=100, route_limit=0), EVICT),
        (Facts(idle=0, open=95, any_idle=True, open_total=100, limit=100, route_limit=0), EVICT),
        # The route's own limit: nobody else's idle connection helps.
        (Facts(idle=0, open=1, any_idle=False, open_total=1, limit=100, route_limit=2), OPEN),
        (Facts(idle=0, open=2, any_idle=False, open_total=2, limit=100, route_limit=2), WAIT),
        (Facts(idle=0, open=2, any_idle=True, open_total=100, limit=100, route_limit=2), WAIT),
        (Facts(idle=0, open=1, any_idle=True, open_total=100, limit=100, route_limit=2), EVICT),
        # HTTP/2: a connection that is being made has room for those who wait, as far as can be known …
        (Facts(0, 1, False, 1, 100, 0, coming=100, waiting=0), WAIT),
        (Facts(0, 1, False, 1, 100, 0, coming=100, waiting=99), WAIT),
        (Facts(1, 2, True, 2, 100, 0, coming=100, waiting=0), REUSE),
        # … and when there are more of them, another one is opened, within the limits.
        (Facts(0, 1, False, 1, 100, 0, coming=100, waiting=100), OPEN),
        (Facts(0, 2, False, 2, 100, 2, coming=200, waiting=300), WAIT),
        (Facts(0, 1, True, 100, 100, 0, coming=100, waiting=100), EVICT),
    ],
)
def test_decision(facts: Facts, decision: Decision) -> None:
    assert decide(facts) is decision


@st.composite
def possible_facts(draw: st.DrawFn, limit: int | None = None) -> Facts:
    limit = draw(st.integers(1, 5)) if limit is None else limit
    open_total = draw(st.integers(0, limit))
    opened = draw(st.integers(0, open_total))
    idle = draw(st.integers(0, opened))
    any_idle = idle > 0 or (open_total > opened and draw(st.booleans()))
    return Facts(idle, opened, any_idle, open_total, limit, draw(st.integers(0, 5)))


@given(possible_facts())
def test_no_decision_breaks_a_limit_or_opens_what_is_idle_already(facts: Facts) -> None:
    decision = decide(facts)
    assert (decision is REUSE) == (facts.idle > 0)
    if decision in (OPEN, EVICT):
        assert facts.open_total + 1 - (decision is EVICT) <= facts.limit
        assert not facts.route_limit or facts.open < facts.route_limit
        # What is evicted belongs to another route: this one has nothing idle.
        assert decision is OPEN or facts.any_idle


@given(possible_facts())
def test_nobody_waits_without_a_reason(facts: Facts) -> None:
    if decide(facts) is WAIT:
        busy_elsewhere = facts.open_total == facts.limit and not facts.any_idle
        assert busy_elsewhere or 0 < facts.route_limit <= facts.open


class Queues:
    """What `Turns` is told, in the plainest way: every queue is looked at each time."""

    def __init__(self) -> None:
        self.first: dict[str, int] = {}
        self.turns = Turns()

    def change(self, name: str, number: int | None) -> None:
        if name in self.first:
            self.turns.withdraw(self.first.pop(name))
        if number is not None:
            self.first[name] = number
            self.turns.offer(number, name)

    def find(self, decisions: dict[str, Decision]) -> tuple[str, Decision] | None:
        servable = [(number, name) for name, number in self.first.items() if decisions[name] is not WAIT]
        return (min(servable)[1], decisions[min(servable)[1]]) if servable else None


NAMES = "abcde"


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(NAMES), st.booleans()),
            st.fixed_dictionaries({name: st.sampled_from(Decision) for name in NAMES}),
        ),
        max_size=60,
    )
)
def test_the_oldest_that_can_be_served_is_served(steps) -> None:
    queues = Queues()
    for number, step in enumerate(steps):
        if isinstance(step, dict):
            expected = queues.find(step)
            asked: list[str] = []
            found = queues.turns.find(lambda name, step=step, asked=asked: asked.append(name) or step[name])
            assert found == expected
            assert len(asked) == len(set(asked)), "nobody is asked twice"
            assert found is None or asked[-1] == found[0], "and nobody who came later"
            if found is not None:
                # Served; whoever is next in that queue has come at any time since.
                queues.change(found[0], None)
        else:
            # Somebody is the first in that queue now, or it is empty.
            queues.change(step[0], number if step[1] else None)


def test_one_that_has_gone_is_passed_over_and_one_that_is_there_twice_counts_once() -> None:
    turns = Turns()
    turns.offer(1, "a")
    turns.offer(2, "b")
    turns.offer(2, "b")
    turns.withdraw(1)
    turns.withdraw(1)
    assert turns.find(lambda name: OPEN) == ("b", OPEN)
    turns.withdraw(2)
    assert turns.find(lambda name: OPEN) is None


def test_those_who_have_gone_are_not_kept_for_ever() -> None:
    turns = Turns()
    turns.offer(0, "waits")
    for number in range(1, 10_000):
        turns.offer(number, "comes and goes")
        turns.withdraw(number)
        assert len(turns._order) <= SPARE + 3
    assert turns.find(lambda name: REUSE) == ("waits", REUSE)


@pytest.mark.parametrize("broken", [0, 1])
def test_an_interrupted_question_forgets_nobody(broken: int) -> None:
    turns = Turns()
    for number in range(3):
        turns.offer(number, number)

    def interrupted(number: int) -> Decision:
        if number == broken:
            raise KeyboardInterrupt
        return WAIT

    with pytest.raises(KeyboardInterrupt):
        turns.find(interrupted)
    assert turns.find(lambda number: OPEN) == (0, OPEN)
