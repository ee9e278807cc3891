"""`python -m benchmarks.growth`: what a request costs as there are more of them, and more origins.

Client and server have a core each, or the scheduler tells another story: with few requests in flight it lets them share
one core, where each finds the other's sockets in its cache (a quarter cheaper), and with many it does not.

The parts of system and user time are sampled by the kernel at each tick, 4 ms or so: they need a second at least.
"""

import argparse
import asyncio
import contextlib
import gc
import itertools
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.apart import run_apart
from benchmarks.exercises import WrongReplyError, is_small
from benchmarks.job import Failure
from benchmarks.measure import pin
from benchmarks.origin import (
    Origin,
    Target,
    child_pids,
    find_nginx,
    free_ports,
    raise_descriptor_limit,
    run_origin,
    wait_until_ready,
)
from benchmarks.payloads import SMALL_BYTES
from benchmarks.peers import ASYNC_PEERS, PRODUCT, YARDSTICK, AsyncPeer
from benchmarks.report import print_table
from benchmarks.table import Table

IN_FLIGHT = (1, 4, 16, 64, 256, 1_024, 4_096, 10_000)
ORIGINS = (1, 10, 100, 1_000)
# Some of these take long for ten thousand: those that are near.
GROWING = (PRODUCT, YARDSTICK, "pyreqwest", "wreq", "aiohttp")
SPLIT = (PRODUCT, YARDSTICK)

ROWS = (
    *(f"growth-{client}{part}" for client in GROWING for part in ("", *(["-system"] if client in SPLIT else []))),
    *(f"growth-origins-{client}" for client in GROWING),
)

ORIGINS_IN_FLIGHT = 64
# So many connections are opened at a time: a listener's backlog holds 4,096.
WAVE = 256
# Descriptors beside those of the connections.
SPARE = 200
LONGEST = 120.0

CROWD = """
{user}
worker_processes 1;
daemon off;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    default_type application/json;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    server {{
        {listen}
        location = /json {{ return 200 '{small}'; }}
    }}
}}
"""

# Total and system CPU of a request in µs, by how many there were.
Costs = dict[int, tuple[float, float]]


# In the client's process


def measure_in_flight(client: str, target: Target, seconds: float, levels: Sequence[int], cores: set[int]) -> Costs:
    urls: Iterator[str] = itertools.repeat(f"{target.origin}/json")
    return asyncio.run(climb(client, target, cores, [(level, urls, level) for level in levels], seconds))


def measure_origins(client: str, target: Target, seconds: float, origins: Sequence[str], cores: set[int]) -> Costs:
    steps = []
    for count in ORIGINS:
        urls = itertools.cycle([f"{origin}/json" for origin in origins[:count]])
        steps.append((count, urls, ORIGINS_IN_FLIGHT))
    return asyncio.run(climb(client, target, cores, steps, seconds))


async def climb(
    client: str, target: Target, cores: set[int], steps: Sequence[tuple[int, Iterator[str], int]], seconds: float
) -> Costs:
    os.sched_setaffinity(0, cores)
    peer = ASYNC_PEERS[client]()
    # Each origin may keep what is idle, and a few may need a second connection.
    await peer.setup(target, max(2 * count if count in ORIGINS else in_flight for count, _, in_flight in steps))
    costs = {}
    try:
        for count, urls, in_flight in steps:
            costs[count] = await measure_step(peer, urls, in_flight, max(2 * in_flight, 3 * count), seconds)
    finally:
        await peer.close()
    return costs


async def measure_step(
    peer: AsyncPeer, urls: Iterator[str], in_flight: int, warm_up: int, seconds: float
) -> tuple[float, float]:
    """Total and system CPU of a request in µs, once every connection is open."""
    await drive(peer, urls, in_flight, warm_up, 0.1)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF)
    requests = await drive(peer, urls, in_flight, 2 * in_flight, seconds)
    after = resource.getrusage(resource.RUSAGE_SELF)
    system = after.ru_stime - before.ru_stime
    return (after.ru_utime - before.ru_utime + system) / requests * 1e6, system / requests * 1e6


async def drive(peer: AsyncPeer, urls: Iterator[str], in_flight: int, least: int, seconds: float) -> int:
    """Keep so many under way until `seconds` have gone and `least` were begun; the number of requests."""
    deadline = time.perf_counter() + seconds
    begun = 0

    async def repeat() -> None:
        nonlocal begun
        while begun < least or time.perf_counter() < deadline:
            begun += 1
            reply = await peer.get(next(urls))
            if not is_small(reply):
                raise WrongReplyError(repr(reply)[:500])

    async with asyncio.TaskGroup() as group:
        for number in range(in_flight):
            group.create_task(repeat())
            if number % WAVE == WAVE - 1:
                await asyncio.sleep(0)
    return begun


# The crowd of origins


@contextlib.contextmanager
def run_crowd(count: int) -> Iterator[tuple[list[str], list[int]]]:
    """nginx on so many addresses of this machine: their origins, and its processes."""
    addresses = [f"127.0.{1 + number // 250}.{1 + number % 250}" for number in range(count)]
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="atomhttp-crowd-") as name:
        directory = Path(name)
        (directory / "nginx.conf").write_text(
            CROWD.format(
                user="user root;" if os.geteuid() == 0 else "",
                listen=" ".join(f"listen {address}:{port};" for address in addresses),
                small=SMALL_BYTES.decode(),
            )
        )
        process = subprocess.Popen([find_nginx(), "-p", name, "-c", "nginx.conf", "-e", "error.log"])
        try:
            wait_until_ready(process, Target(addresses[-1], port, 0), directory)
            yield [f"http://{address}:{port}" for address in addresses], [process.pid, *child_pids(process.pid)]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


# The tables


def measure(origin: Origin, rounds: int, seconds: float, clients: Sequence[str]) -> list[Table]:
    """CPU of a request by the number in flight, and by the number of origins, a table for each client."""
    growing = [client for client in GROWING if client in clients]
    room = raise_descriptor_limit() - SPARE
    # Ten thousand take seconds by themselves: not when somebody only wants to see it run.
    levels = [level for level in IN_FLIGHT if level <= room and (seconds >= 0.3 or level <= 1_024)]
    target = origin.targets["plain"]
    tables = {name: build_table(name) for name in ROWS}
    with run_crowd(max(ORIGINS)) as (origins, pids), apart([*origin.pids, *pids]) as cores:
        for _ in range(rounds):
            for client in growing:
                limit = LONGEST + 10 * seconds * len(IN_FLIGHT)
                costs = run_apart(client, limit, measure_in_flight, target, seconds, levels, cores)
                take(tables, f"growth-{client}", client, costs)
                crowd = Target(origins[0].removeprefix("http://").partition(":")[0], port_of(origins[0]), 0)
                costs = run_apart(client, limit, measure_origins, crowd, seconds, origins, cores)
                take(tables, f"growth-origins-{client}", client, costs)
    return [table for table in tables.values() if table.samples or table.failures]


def port_of(origin: str) -> int:
    return int(origin.rpartition(":")[2])


@contextlib.contextmanager
def apart(servers: list[int]) -> Iterator[set[int]]:
    """Servers on the first core, and the other ones for the client; all of it for both where there is only one."""
    every_core = os.sched_getaffinity(0)
    first = {min(every_core)}
    pin(servers, first)
    try:
        yield every_core - first or every_core
    finally:
        pin(servers, every_core)


def build_table(name: str) -> Table:
    client = name.removeprefix("growth-").removeprefix("origins-").removesuffix("-system")
    what = "System CPU" if name.endswith("-system") else "CPU"
    if name.startswith("growth-origins-"):
        title, x = f"{what} of a small GET, {ORIGINS_IN_FLIGHT} in flight, over many origins: {client}", "origins"
    else:
        title, x = f"{what} of a small GET, many in flight: {client}", "requests in flight"
    return Table(name, title, "µs", "less", "", samples={}, cpu={}, memory={}, x=x)


def take(tables: dict[str, Table], name: str, client: str, costs: Costs | Failure) -> None:
    if isinstance(costs, Failure):
        if costs.reason is None:
            tables[name].unsupported.append(client)
        else:
            tables[name].failures[client] = costs.reason
        return
    for count, (total, system) in costs.items():
        tables[name].samples.setdefault(str(count), []).append(total)
        if f"{name}-system" in tables:
            tables[f"{name}-system"].samples.setdefault(str(count), []).append(system)


Measure = Callable[[Origin, int, float, Sequence[str]], list[Table]]


def run_alone(name: str, description: str, function: Measure, choices: Sequence[str], seconds: float) -> None:
    """The command line of a module of measurements."""
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument("--seconds", type=float, default=seconds, help=f"of each measurement (default {seconds:g})")
    parser.add_argument("--clients", nargs="+", choices=choices, default=choices, metavar="CLIENT")
    arguments: Any = parser.parse_args()
    with run_origin() as origin:
        tables = function(origin, arguments.rounds, arguments.seconds, arguments.clients)
    for table in tables:
        print_table(table)
        for client, reason in table.failures.items():
            print(f"{client} failed:\n{reason}")


if __name__ == "__main__":
    run_alone("growth", "CPU of a request, by requests in flight and by origins", measure, GROWING, 1.0)
