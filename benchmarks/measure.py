"""How the rows of rows.py are measured.

A row's clients run in turn, round after round, so that whatever the machine does meanwhile (two speeds, a noisy
neighbour) meets all of them; the report takes medians over the rounds. Every client has a process of its own for the
row, so that its memory is the row's, too.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.client import ClientProcess
from benchmarks.environments import MissingEnvironmentError
from benchmarks.job import Failure, Job, Outcome, Sample
from benchmarks.limits import LIMITS
from benchmarks.origin import Origin
from benchmarks.rows import Row
from benchmarks.table import Table


def measure_row(origin: Origin, row: Row, rounds: int, seconds: float, clients: Sequence[str]) -> Table:
    """Run the row's clients, as far as they are wanted, and its limit, so many rounds of so many seconds each."""
    measurement = Measurement(origin, row, clients, seconds)
    try:
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}: {row.name}", file=sys.stderr)
            measurement.run_round(number)
    finally:
        measurement.stop()
    return measurement.table


class Measurement:
    """One row on its way to a table."""

    def __init__(self, origin: Origin, row: Row, clients: Sequence[str], seconds: float) -> None:
        self.origin = origin
        self.row = row
        self.clients = [client for client in row.clients if client in clients or client == row.limit]
        self.seconds = seconds
        self.processes: dict[str, ClientProcess] = {}
        self.table = Table(row.name, row.title, row.unit, "more", row.baseline, samples={}, cpu={}, memory={})

    def run_round(self, number: int) -> None:
        # Another one begins each round: nobody always runs behind the same neighbour.
        start = number % max(1, len(self.clients))
        for client in self.clients[start:] + self.clients[:start]:
            if client in self.table.failures or client in self.table.unsupported:
                continue
            before = self.origin.count_connections()
            match self.run_client(client):
                case Sample() as sample:
                    self.take(client, sample)
                    if client != self.row.limit:
                        # One of them is that of the question.
                        self.table.connections[client] = self.origin.count_connections() - before - 1
                case Failure(reason=None):
                    self.table.unsupported.append(client)
                case Failure(reason=str(reason)):
                    self.table.failures[client] = reason

    def take(self, client: str, sample: Sample) -> None:
        table = self.table
        table.samples.setdefault(client, []).append(sample.requests / sample.seconds * self.row.scale)
        table.cpu.setdefault(client, []).append(sample.cpu / sample.requests * 1e6)
        if sample.memory:
            table.memory[client] = max(sample.memory, table.memory.get(client, 0))

    def run_client(self, client: str) -> Outcome:
        row = self.row
        job = Job(row.task, self.origin.targets[row.find_target(client)], row.in_flight, self.seconds)
        if client == row.limit:
            return LIMITS[client](job)
        try:
            process = self.find_process(client)
        except MissingEnvironmentError as error:
            return Failure(str(error))
        if not row.one_core:
            return process.run(job)
        pids = [*self.origin.pids, process.pid]
        every_core = os.sched_getaffinity(0)
        pin(pids, {max(every_core)})
        try:
            return process.run(job)
        finally:
            pin(pids, every_core)

    def find_process(self, client: str) -> ClientProcess:
        if client not in self.processes:
            self.processes[client] = ClientProcess(client, self.row.mode)
        return self.processes[client]

    def stop(self) -> None:
        for process in self.processes.values():
            process.stop()


def pin(pids: list[int], cores: set[int]) -> None:
    """Bind every thread of the processes: an affinity belongs to a thread, and some clients work in several."""
    for pid in pids:
        # A process that just died is reported by whoever waits for it.
        with suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cores)
