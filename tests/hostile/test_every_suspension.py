"""Every scenario, broken off at each of its suspensions, and with a network that fails at each of its operations.

By default CancelledError is thrown at each suspension, early and late; ECONNRESET, EPIPE, EOF and garbage come at each
operation of the scenarios that `is_thorough` chooses, more than 40. Of everything else (other ways to break off, other
faults, the other scenarios' operations, the synchronous client) there is a part, which goes round: ``HOSTILE_SEED``
begins elsewhere. ``HOSTILE=full`` (`./scripts/hostile --full`) does everything everywhere.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from atomhttp import AtomHTTPNetworkError
from atomhttp._net.drivers import aio
from hostile.http2_suspension_scenarios import SCENARIOS
from hostile.suspension_scenarios import build_network
from hostile.suspensions import BREAKS, FAULTS, Count, Injection, Scenario, Stage, Theatre
from support.certificates import Certificates
from support.clock import VirtualClockLoop

IS_FULL = os.environ.get("HOSTILE") == "full"
SEED = int(os.environ.get("HOSTILE_SEED", "1"))
NETWORK = ("reset", "pipe", "eof", "garbage")
REST = tuple(kind for kind in FAULTS if kind not in NETWORK)
NAMES = ("origin.test", "other.test", "proxy.test")


@pytest.fixture(scope="module")
def build(certificates: Certificates) -> tuple[object, ...]:
    """What networks are made of; a certificate takes as long as a scenario."""
    good = certificates.server_context(certificates.issue(*NAMES))
    wrong = certificates.server_context(certificates.issue("somebody.test"))
    http2 = certificates.server_context(certificates.issue(*NAMES))
    http2.set_alpn_protocols(["h2"])
    return good, wrong, http2


@pytest.fixture
def theatre(build: tuple[object, ...], certificates: Certificates) -> Iterator[Theatre]:
    options = {"verify": str(certificates.ca), "trust_env": False}
    with Theatre(lambda: build_network(*build), options) as running:  # type: ignore[arg-type]  # contexts
        yield running


def some(places: range, kinds: tuple[str, ...], start: int, step: int = 1) -> Iterator[Injection]:
    """At every `step`-th place one of `kinds`, each in its turn; with HOSTILE=full all of them at each."""
    for at in places:
        if IS_FULL:
            yield from (Injection(kind, at) for kind in kinds)
        elif (at + start) % step == 0:
            yield Injection(kinds[(at + start) // step % len(kinds)], at)


def breaks(scenario: Scenario, count: Count) -> Iterator[Injection]:
    places = range(count.suspensions)
    yield from (Injection(kind, at) for at in places for kind in BREAKS[:2])
    yield from some(places, BREAKS[2:], start(scenario), step=3)


def faults(scenario: Scenario, count: Count) -> Iterator[Injection]:
    if not is_thorough(scenario):
        return some(operations(count), FAULTS, start(scenario), step=2)
    always = (Injection(kind, at) for at in operations(count) for kind in NETWORK)
    return itertools.chain(always, some(operations(count), REST, start(scenario), step=4))


def without_a_loop(scenario: Scenario, count: Count) -> Iterator[Injection]:
    yield from some(range(count.suspensions), ("wait",), start(scenario), step=3)
    yield from some(operations(count), ("interrupt", *FAULTS), start(scenario), step=3)


def is_thorough(scenario: Scenario) -> bool:
    """Whether all four faults come at each of its operations by default: where they are few, and of each kind some."""
    is_dear = any(origin.startswith("https:") for origin in scenario.origins)
    return (scenario.operations <= 7 and not is_dear) or scenario.name in (
        "TLS",
        "CONNECT",
        "redirect",
        "digest",
        "HTTP/2",
    )


def start(scenario: Scenario) -> int:
    return SEED + len(scenario.name)


def operations(count: Count) -> range:
    return range(count.first_operation, count.first_operation + count.operations)


@pytest.mark.parametrize("name", SCENARIOS)
def test_broken_off_at_each_suspension(theatre: Theatre, name: str) -> None:
    scenario = SCENARIOS[name]
    count = theatre.count(scenario)
    for injection in breaks(scenario, count):
        theatre.run(scenario, injection, count)


@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if scenario.operations])
def test_failing_at_each_operation(theatre: Theatre, name: str) -> None:
    scenario = SCENARIOS[name]
    count = theatre.count(scenario)
    for injection in faults(scenario, count):
        theatre.run(scenario, injection, count)


@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if scenario.is_sync])
def test_without_an_event_loop(theatre: Theatre, name: str) -> None:
    scenario = SCENARIOS[name]
    count = theatre.count(scenario, is_sync=True)
    for injection in without_a_loop(scenario, count):
        theatre.run(scenario, injection, count, is_sync=True)


def test_there_is_enough_of_it(theatre: Theatre) -> None:
    """A scenario that never waits, or a harness that counts nothing, would show nothing."""
    counts = {scenario: theatre.count(scenario) for scenario in SCENARIOS.values()}
    for scenario, count in counts.items():
        assert count.suspensions >= scenario.suspensions > 0, scenario.name
        assert count.operations >= scenario.operations, scenario.name
    assert len(counts) >= 90
    assert sum(count.suspensions for count in counts.values()) >= 360
    assert sum(count.operations for count in counts.values()) >= 900
    assert sum(map(is_thorough, counts)) >= 40
    assert sum(len(list(breaks(*each))) for each in counts.items()) >= 800
    assert sum(len(list(faults(*each))) for each in counts.items()) >= 1_400


# What it has found


def test_a_resend_that_cannot_connect_does_not_say_that_nothing_was_sent(theatre: Theatre) -> None:
    async def act(stage: Stage) -> None:
        await stage.client.get("http://origin.test/stale/x")
        del stage.network.peers["10.0.0.1", 80]
        with pytest.raises(AtomHTTPNetworkError) as caught:
            await stage.step(stage.client.get("http://origin.test/stale/a"))
        assert stage.network.requests == ["GET /stale/x", "GET /stale/a"]
        assert caught.value.request_sent == "maybe"

    theatre.count(replace(SCENARIOS["GET"], act=act, origins=()))


def test_a_connect_that_raises_closes_its_socket(theatre: Theatre) -> None:
    """MemoryError here; KeyboardInterrupt and what an audit hook raises come the same way."""
    count = theatre.count(SCENARIOS["GET"])
    theatre.run(SCENARIOS["GET"], Injection("memory", 0), count)


def test_a_connect_of_a_timer_that_raises_ends_its_call(theatre: Theatre) -> None:
    scenario = SCENARIOS["the first address is silent"]
    theatre.run(scenario, Injection("memory", 1), theatre.count(scenario))


async def test_an_expiry_that_raises_does_not_stop_the_clock(virtual_clock: VirtualClockLoop) -> None:
    class Broken:
        slot: Any = None

        def expire(self, now: float) -> None:
            raise MemoryError

    reports: list[Any] = []
    virtual_clock.set_exception_handler(lambda _, context: reports.append(context["exception"]))
    driver = aio.current()
    driver.reactor.timers.add(Broken(), driver.now() + 1)
    await asyncio.wait_for(driver.sleep(2), 10)
    assert [type(report) for report in reports] == [MemoryError]


@pytest.mark.parametrize("is_sync", [False, True], ids=["asyncio", "sync"])
def test_a_goodbye_that_raises_leaves_nothing_open(theatre: Theatre, is_sync: bool) -> None:
    """The last operation is the one that sends close_notify."""
    scenario = SCENARIOS["TLS, content up to the end of the connection"]
    count = theatre.count(scenario, is_sync)
    theatre.run(scenario, Injection("memory", operations(count)[-1]), count, is_sync)
