"""Which rows there are, and how they are measured.

A round runs every client once on every row, so that whatever the machine does meanwhile (two speeds, a noisy
neighbour) meets all of them; the report takes medians over the rounds. Every client lives in a process of its
own, one for each kind of loop, which sleeps while the others run.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.limits import LIMITS
from benchmarks.origin import Origin
from benchmarks.peers import ASYNC_PEERS, SYNC_PEERS
from benchmarks.worker import Failure, Job, Mode, Outcome, Sample, Task, serve

# A client that has not answered so long after its time was over never will.
GRACE = 60.0


@dataclass(frozen=True)
class Row:
    """One line of questions: the same work for every client, compared with `baseline`."""

    name: str
    title: str
    mode: Mode = "asyncio"
    task: Task = "get"
    target: str = "plain"
    in_flight: int = 1
    one_core: bool = False
    baseline: str = "aiohttp"
    limit: str = ""

    @property
    def clients(self) -> list[str]:
        peers = list(SYNC_PEERS if self.mode == "sync" else ASYNC_PEERS)
        return [*peers, self.limit] if self.limit in LIMITS else peers


ROWS = {
    row.name: row
    for row in (
        Row("get-1", "GET of 102 bytes of JSON, 1 in flight, asyncio"),
        Row("get-64", "GET of 102 bytes of JSON, 64 in flight, asyncio", in_flight=64, limit="wrk"),
        Row("get-512", "GET of 102 bytes of JSON, 512 in flight, asyncio", in_flight=512),
        Row("uvloop-64", "the same, 64 in flight, uvloop", mode="uvloop", in_flight=64),
        Row("tls-64", "the same over TLS, 64 in flight, asyncio", target="tls", in_flight=64),
        Row("unix-64", "the same over a unix socket, 64 in flight, asyncio", target="unix", in_flight=64),
        Row("post-64", "POST of 10 KB of JSON, 64 in flight, asyncio", task="post", in_flight=64),
        Row(
            "sync-one-core",
            "synchronous GET, client and server on one core",
            mode="sync",
            one_core=True,
            baseline="requests",
        ),
        Row("sync", "synchronous GET, client and server free", mode="sync", baseline="requests"),
        Row("stream", "100 MB download by chunks, asyncio", task="stream", baseline="curl", limit="curl"),
        Row("blob", "100 MB download as one value, asyncio", task="blob", baseline="curl", limit="curl"),
    )
}

Samples = dict[tuple[str, str], list[Sample]]
Failures = dict[tuple[str, str], str]


class ClientProcess:
    """A client in a process of its own, and the pipe that gives it jobs."""

    def __init__(self, client: str, mode: Mode) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, client, mode), daemon=True)
        self.process.start()
        theirs.close()

    def run(self, job: Job) -> Outcome:
        try:
            self.pipe.send(job)
            if self.pipe.poll(job.seconds + GRACE):
                outcome: Outcome = self.pipe.recv()
                return outcome
        except (EOFError, OSError):
            self.process.join()
            return Failure(f"the client's process ended with {self.process.exitcode}")
        self.process.kill()
        return Failure("no answer")

    def stop(self) -> None:
        with suppress(OSError):
            self.pipe.send(None)
        self.process.join(5)
        self.process.kill()


class Measurement:
    """Samples and failures by (row, client), gathered round by round."""

    def __init__(self, origin: Origin, rows: list[Row], clients: Iterable[str], seconds: float) -> None:
        self.origin = origin
        self.rows = rows
        self.wanted = set(clients)
        self.seconds = seconds
        self.samples: Samples = {}
        self.failures: Failures = {}
        self.unsupported: set[tuple[str, str]] = set()
        self.processes: dict[tuple[str, Mode], ClientProcess] = {}

    def run(self, rounds: int) -> None:
        try:
            for number in range(rounds):
                for row in self.rows:
                    print(f"round {number + 1} of {rounds}: {row.name}", file=sys.stderr)
                    self.run_row(row, number)
        finally:
            for process in self.processes.values():
                process.stop()

    def run_row(self, row: Row, number: int) -> None:
        clients = [client for client in row.clients if client in self.wanted or client == row.limit]
        # Another one begins each round: nobody always runs behind the same neighbour.
        start = number % max(1, len(clients))
        for client in clients[start:] + clients[:start]:
            key = row.name, client
            if key in self.failures or key in self.unsupported:
                continue
            match self.run_client(row, client):
                case Sample() as sample:
                    self.samples.setdefault(key, []).append(sample)
                case Failure(reason=None):
                    self.unsupported.add(key)
                case Failure(reason=str(reason)):
                    self.failures[key] = reason

    def run_client(self, row: Row, client: str) -> Outcome:
        job = Job(row.task, self.origin.targets[row.target], row.in_flight, self.seconds)
        if client == row.limit:
            return LIMITS[client](job)
        process = self.find_process(client, row.mode)
        if not row.one_core:
            return process.run(job)
        pids = [*self.origin.pids, process.process.pid or 0]
        every_core = os.sched_getaffinity(0)
        pin(pids, {max(every_core)})
        try:
            return process.run(job)
        finally:
            pin(pids, every_core)

    def find_process(self, client: str, mode: Mode) -> ClientProcess:
        key = client, mode
        if key not in self.processes or not self.processes[key].process.is_alive():
            self.processes[key] = ClientProcess(client, mode)
        return self.processes[key]


def pin(pids: list[int], cores: set[int]) -> None:
    """Bind every thread of the processes: an affinity belongs to a thread, and some clients work in several."""
    for pid in pids:
        # A process that just died is reported by whoever waits for it.
        with suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cores)
