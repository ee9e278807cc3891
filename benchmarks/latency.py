"""`python -m benchmarks.latency`: how long a reply takes when requests come at a fixed rate, whatever the client does.

Requests begin by a schedule that waits for no reply (an open loop), and each is timed from when it was due: a client
that stalls pays for it with every request that came due meanwhile (no coordinated omission). A process of its own
beats the time: a loop's own timers are a millisecond wide.
"""

import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.apart import run_apart
from benchmarks.exercises import WrongReplyError, is_small
from benchmarks.growth import run_alone
from benchmarks.job import Failure
from benchmarks.origin import Origin, Target
from benchmarks.peers import ASYNC_PEERS, AsyncPeer
from benchmarks.table import Table

# Requests a second. The first one every client here can serve; the second one separates them.
RATES = (500, 4_000)
PERCENTILES = (50.0, 99.0, 99.9)
# A thousandth has to be more than one request.
LENGTH = 4.0
WARM_UP = 0.5
# Seconds after the last one was due; a client that is still behind then does not hold the rate.
GRACE = 0.5
CONNECTIONS = 1_000

ROWS = tuple(f"latency-{rate}-p{percentile:g}" for rate in RATES for percentile in PERCENTILES)

# Writes a byte whenever a request is due; argv: the rate, how many.
METRONOME = """
import os, sys, time
rate, count = float(sys.argv[1]), int(sys.argv[2])
begin = time.perf_counter() + 0.05
os.write(1, repr(begin).encode().ljust(32))
for number in range(count):
    left = begin + number / rate - time.perf_counter()
    if left > 0:
        time.sleep(left)
    os.write(1, b".")
"""


# In the client's process


def measure_latency(client: str, target: Target, rate: int, seconds: float) -> list[float] | Failure:
    """Every latency in seconds, in order of size."""
    try:
        return asyncio.run(keep_time(client, target, rate, seconds))
    except TooSlowError as error:
        return Failure(f"does not hold {rate:,} requests a second: {error}")


async def keep_time(client: str, target: Target, rate: int, seconds: float) -> list[float]:
    peer = ASYNC_PEERS[client]()
    await peer.setup(target, CONNECTIONS)
    try:
        await run_schedule(peer, f"{target.origin}/json", rate, round(rate * WARM_UP))
        gc.collect()
        return sorted(await run_schedule(peer, f"{target.origin}/json", rate, round(rate * seconds)))
    finally:
        await peer.close()


async def run_schedule(peer: AsyncPeer, url: str, rate: int, count: int) -> list[float]:
    command = [sys.executable, "-I", "-S", "-c", METRONOME, str(rate), str(count)]
    metronome = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220  # before the clock runs: it may block
    assert metronome.stdout is not None
    schedule = Schedule(peer, url, rate, count, metronome.stdout.fileno())
    try:
        await asyncio.wait_for(schedule.run(), schedule.begin + count / rate + GRACE - time.perf_counter())
    except TimeoutError:
        raise TooSlowError(f"{GRACE:g} s after the last of {count:,} was due, not all were answered") from None
    finally:
        metronome.kill()
        metronome.wait()
        metronome.stdout.close()
    return schedule.latencies


class TooSlowError(Exception):
    """The client cannot serve the rate."""


class Schedule:
    """So many requests, each begun when the metronome says so."""

    def __init__(self, peer: AsyncPeer, url: str, rate: int, count: int, beat: int) -> None:
        self.peer = peer
        self.url = url
        self.rate = rate
        self.count = count
        self.beat = beat
        self.begin = float(os.read(beat, 32))
        self.begun = 0
        self.latencies: list[float] = []
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self.done = loop.create_future()
        loop.add_reader(self.beat, self.on_beat)
        try:
            await self.done
        finally:
            loop.remove_reader(self.beat)
            for task in self.tasks:
                task.cancel()

    def on_beat(self) -> None:
        for _ in os.read(self.beat, 65_536):
            task = asyncio.create_task(self.ask(self.begin + self.begun / self.rate))
            self.begun += 1
            self.tasks.add(task)
            task.add_done_callback(self.on_end)

    async def ask(self, due: float) -> None:
        reply = await self.peer.get(self.url)
        self.latencies.append(time.perf_counter() - due)
        if not is_small(reply):
            raise WrongReplyError(repr(reply)[:500])

    def on_end(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if self.done.done():
            return
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.done.set_exception(error)
        elif len(self.latencies) == self.count:
            self.done.set_result(None)


# The tables


def measure(origin: Origin, rounds: int, seconds: float, clients: Sequence[str]) -> list[Table]:
    """Percentiles in ms, a table for each rate and percentile."""
    chosen = [client for client in ASYNC_PEERS if client in clients]
    tables = {(rate, percentile): build_table(rate, percentile) for rate in RATES for percentile in PERCENTILES}
    for number in range(rounds):
        start = number % max(1, len(chosen))
        for rate in RATES:
            ours = [tables[rate, percentile] for percentile in PERCENTILES]
            for client in chosen[start:] + chosen[:start]:
                if client in ours[0].failures or client in ours[0].unsupported:
                    continue
                length = LENGTH * seconds
                arguments = origin.targets["plain"], rate, length
                take(ours, client, run_apart(client, length + 30, measure_latency, *arguments))
    return list(tables.values())


def build_table(rate: int, percentile: float) -> Table:
    title = f"Latency of a small GET at {rate:,} requests a second, p{percentile:g}, asyncio"
    return Table(f"latency-{rate}-p{percentile:g}", title, "ms", "less", "aiohttp", samples={}, cpu={}, memory={})


def take(tables: list[Table], client: str, outcome: list[float] | Failure) -> None:
    for table, percentile in zip(tables, PERCENTILES, strict=True):
        if not isinstance(outcome, Failure):
            at = min(len(outcome) - 1, round(percentile / 100 * len(outcome)))
            table.samples.setdefault(client, []).append(outcome[at] * 1e3)
        elif outcome.reason is None:
            table.unsupported.append(client)
        else:
            table.failures[client] = outcome.reason
            table.samples.pop(client, None)


if __name__ == "__main__":
    run_alone("latency", "latency at a fixed rate", measure, list(ASYNC_PEERS), 1.0)
