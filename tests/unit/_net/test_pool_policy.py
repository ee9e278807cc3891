from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._net.pool_policy import Decision, Facts, decide, oldest_servable

REUSE, OPEN, EVICT, WAIT = Decision.REUSE, Decision.OPEN, Decision.EVICT_THEN_OPEN, Decision.WAIT


@pytest.mark.parametrize(
    ("facts", "decision"),
    [
        # An idle connection of the route is taken, whatever the limits say.
        (Facts(idle=1, open=1, idle_total=1, open_total=1, limit=100, route_limit=0), REUSE),
        (Facts(idle=1, open=1, idle_total=1, open_total=1, limit=1, route_limit=1), REUSE),
        (Facts(idle=3, open=9, idle_total=5, open_total=100, limit=100, route_limit=9), REUSE),
        # A new one, up to the limit and not beyond.
        (Facts(idle=0, open=0, idle_total=0, open_total=0, limit=1, route_limit=0), OPEN),
        (Facts(idle=0, open=99, idle_total=0, open_total=99, limit=100, route_limit=0), OPEN),
        (Facts(idle=0, open=100, idle_total=0, open_total=100, limit=100, route_limit=0), WAIT),
        # In the place of another route's idle one only when there is no room.
        (Facts(idle=0, open=0, idle_total=5, open_total=99, limit=100, route_limit=0), OPEN),
        (Facts(idle=0, open=0, idle_total=5, open_total=100, limit=100, route_limit=0), EVICT),
        (Facts(idle=0, open=95, idle_total=1, open_total=100, limit=100, route_limit=0), EVICT),
        # The route's own limit: nobody else's idle connection helps.
        (Facts(idle=0, open=1, idle_total=0, open_total=1, limit=100, route_limit=2), OPEN),
        (Facts(idle=0, open=2, idle_total=0, open_total=2, limit=100, route_limit=2), WAIT),
        (Facts(idle=0, open=2, idle_total=5, open_total=100, limit=100, route_limit=2), WAIT),
        (Facts(idle=0, open=1, idle_total=5, open_total=100, limit=100, route_limit=2), EVICT),
        # HTTP/2: a connection that is being made has room for those who wait, as far as can be known …
        (Facts(0, 1, 0, 1, 100, 0, coming=100, waiting=0), WAIT),
        (Facts(0, 1, 0, 1, 100, 0, coming=100, waiting=99), WAIT),
        (Facts(1, 2, 1, 2, 100, 0, coming=100, waiting=0), REUSE),
        # … and when there are more of them, another one is opened, within the limits.
        (Facts(0, 1, 0, 1, 100, 0, coming=100, waiting=100), OPEN),
        (Facts(0, 2, 0, 2, 100, 2, coming=200, waiting=300), WAIT),
        (Facts(0, 1, 3, 100, 100, 0, coming=100, waiting=100), EVICT),
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
    idle_total = idle + draw(st.integers(0, open_total - opened))
    return Facts(idle, opened, idle_total, open_total, limit, draw(st.integers(0, 5)))


@given(possible_facts())
def test_no_decision_breaks_a_limit_or_opens_what_is_idle_already(facts: Facts) -> None:
    decision = decide(facts)
    assert (decision is REUSE) == (facts.idle > 0)
    if decision in (OPEN, EVICT):
        assert facts.open_total + 1 - (decision is EVICT) <= facts.limit
        assert not facts.route_limit or facts.open < facts.route_limit
        # What is evicted belongs to another route: this one has nothing idle.
        assert decision is OPEN or facts.idle_total > 0


@given(possible_facts())
def test_nobody_waits_without_a_reason(facts: Facts) -> None:
    if decide(facts) is WAIT:
        busy_elsewhere = facts.open_total == facts.limit and facts.idle_total == 0
        assert busy_elsewhere or 0 < facts.route_limit <= facts.open


FULL = Facts(idle=0, open=1, idle_total=0, open_total=1, limit=1, route_limit=0)
ROUTE_FULL = Facts(idle=0, open=1, idle_total=1, open_total=2, limit=2, route_limit=1)
FREE = Facts(idle=1, open=1, idle_total=1, open_total=1, limit=1, route_limit=0)
ROOM = Facts(idle=0, open=0, idle_total=0, open_total=0, limit=1, route_limit=0)


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        ([], None),
        ([(1, FULL)], None),
        ([(1, FULL), (2, ROUTE_FULL)], None),
        ([(7, FREE)], (7, REUSE)),
        ([(2, FREE), (1, ROOM)], (1, OPEN)),
        ([(1, ROUTE_FULL), (2, FREE)], (2, REUSE)),
        ([(3, FREE), (1, ROUTE_FULL), (2, ROOM)], (2, OPEN)),
        ([(0, FREE), (1, FREE)], (0, REUSE)),
    ],
)
def test_whose_turn_it_is(heads: list[tuple[int, Facts]], expected: tuple[int, Decision] | None) -> None:
    assert oldest_servable(heads) == expected


@given(
    st.lists(st.tuples(st.integers(0, 50), possible_facts()), unique_by=lambda head: head[0], max_size=8), st.randoms()
)
def test_the_oldest_that_can_be_served_is_served_in_whatever_order_routes_are_asked(heads, random) -> None:
    servable = sorted(number for number, facts in heads if decide(facts) is not WAIT)
    random.shuffle(heads)
    found = oldest_servable(heads)
    assert (found[0] if found else None) == (servable[0] if servable else None)
    assert found is None or found[1] is decide(dict(heads)[found[0]])
