"""Ctrl+C at any line of a synchronous client that speaks HTTP/2: what it was in the middle of is nobody else's.

By default at each 17th line; ``HOSTILE=full`` at each.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from atomhttp import SyncAtomHTTP
from hostile.http2_suspension_peers import http2_origin, middling
from hostile.http2_suspension_scenarios import HTTP2
from hostile.suspension_network import Network, installed
from hostile.suspension_peers import expected
from hostile.suspension_scenarios import HOSTS
from hostile.suspensions import shared_connections
from hostile.test_every_suspension import IS_FULL
from support.interrupts import EXPECTED, steps


def get(client: SyncAtomHTTP) -> None:
    assert client.get(f"{HTTP2}/trailers/a").data == expected("GET", "/trailers/a")


def get_once(client: SyncAtomHTTP) -> None:
    assert client.get(f"{HTTP2}/plain/a", keep_alive=False).data == expected("GET", "/plain/a")


def download(client: SyncAtomHTTP) -> None:
    stream = client.get(f"{HTTP2}/middling/a", response_type="stream").data
    assert stream.read(1_000) + stream.read() == middling("GET /middling/a")


def upload(client: SyncAtomHTTP) -> None:
    content = iter([b"one", bytes(70_000)])
    assert client.post(f"{HTTP2}/plain/a", content).data == expected("POST", "/plain/a", 70_003)


def together(client: SyncAtomHTTP) -> None:
    paths = [f"/plain/{name}" for name in "abcd"]
    responses = client.all([client.defer.get(HTTP2 + path) for path in paths])
    assert [response.data for response in responses] == [expected("GET", path) for path in paths]


CALLS: dict[str, Callable[[SyncAtomHTTP], None]] = {
    "GET": get,
    "GET, and no more": get_once,
    "stream": download,
    "upload": upload,
    "all": together,
}


@pytest.fixture
def network() -> Iterator[Network]:
    names = {name: [address] for name, address in HOSTS.items()}
    network = Network(peers={("10.0.0.1", 81): http2_origin()}, names=names)
    with installed(lambda: network):
        yield network


@pytest.mark.filterwarnings(*EXPECTED)
@pytest.mark.parametrize("name", CALLS)
def test_an_interrupt_at_any_line(network: Network, name: str) -> None:
    count = 0
    with SyncAtomHTTP(http2="only", timeout=30) as client:
        client.get(f"{HTTP2}/next/0")
        for number, where in steps(lambda _: lambda: CALLS[name](client), 1 if IS_FULL else 17):
            count += 1
            # As many events as for a run of its own.
            network._count = 0
            assert client.get(f"{HTTP2}/next/{number}").data == expected("GET", f"/next/{number}"), where
            while network.advance():
                pass
            problem = find_problem(client, network)
            assert not problem, f"line {number}, {where}: {problem}"
        gc.collect()
    while network.advance():
        pass
    assert count > 30
    assert not network.open


def find_problem(client: Any, network: Network) -> str:
    """What is not as it should be where nothing is under way and one connection is kept."""
    stats = client.pool_stats()
    if (stats.open, stats.idle, stats.waiting, len(network.open)) != (1, 1, 0, 1):
        return f"{stats}, and {len(network.open)} sockets"
    (kept,) = shared_connections(client)
    if kept.streams or kept.engine.open_streams or kept.room != kept.limit:
        return f"{kept!r}, room for {kept.room} of {kept.limit}"
    if busy := sum(wire.busy for wire in network.wires if not wire.gone):
        return f"{busy} peers in the middle of a request"
    if timers := [unit for unit in client._units._free if unit.reactor.timer_count or unit.reactor.dirty]:
        return f"units with something left to do: {timers}"
    return ""
