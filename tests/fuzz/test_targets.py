"""Every fuzz target by hypothesis: the inputs it begins with, those edited, and messages made by grammar.

`FUZZ_EXAMPLES=20000` runs each that often, other inputs every time; the suite runs a few, the same every time.
"""

from __future__ import annotations

import os

import pytest
from fuzz.engine import CLEAN, CUT_OFF, METHODS, OPEN
from fuzz.grammar import inputs, responses
from fuzz.targets import TARGETS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fuzz import engine

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))


def effort(examples: int) -> settings:
    """Seeded and few, unless asked for more."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@pytest.mark.parametrize("name", TARGETS)
def test_what_a_target_begins_with_breaks_nothing(name: str) -> None:
    assert TARGETS[name].seeds
    for seed in TARGETS[name].seeds:
        TARGETS[name].run(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_a_promise(name: str) -> None:
    @effort(25)
    @given(inputs(name))
    def run(data: bytes) -> None:
        TARGETS[name].run(data)

    run()


@effort(70)
@given(
    responses(),
    st.sampled_from(METHODS),
    st.sampled_from([CLEAN, CUT_OFF, OPEN]),
    st.sampled_from([64, 300, 64 * 1024]),
    st.booleans(),
    st.lists(st.integers(0, 2**16), max_size=7),
)
def test_how_the_bytes_of_a_response_arrive_does_not_matter(
    wire: bytes, method: str, end: str, size: int, skips: bool, places: list[int]
) -> None:
    engine.check(wire, method, end, size, skips, places)


@effort(70)
@given(responses(), st.sampled_from(range(len(METHODS))))
def test_h11_reads_the_same_unless_a_reason_is_written_down(wire: bytes, method: int) -> None:
    TARGETS["h11"].run(bytes([method]) + wire)


@effort(25)
@given(responses(), st.booleans(), st.integers(0, 200))
def test_what_a_proxy_may_answer_to_connect(wire: bytes, has_credentials: bool, place: int) -> None:
    TARGETS["tunnel"].run(bytes([has_credentials, 1, 0, place]) + wire)
