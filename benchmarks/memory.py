"""`python -m benchmarks.memory`: what a connection costs the client's process, idle, busy, and as an open stream.

The server is a process of its own, made for this: it answers when it is told to, so that all requests wait at the same
time, and begins bodies that it does not end. What is counted is the growth of the client's process (PSS, from
/proc/self/smaps_rollup), so the tasks of the program that wait for the replies are in it, for every client alike.
"""

import asyncio
import contextlib
import gc
import http.client
import multiprocessing
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.apart import run_apart
from benchmarks.exercises import WrongReplyError, is_small
from benchmarks.growth import run_alone
from benchmarks.job import Failure
from benchmarks.origin import HOST, Origin, Target, raise_descriptor_limit
from benchmarks.payloads import SMALL_BYTES
from benchmarks.peers import ASYNC_PEERS, AsyncPeer
from benchmarks.table import Table

CONNECTIONS = 1_000
STREAMS = 10_000
# Descriptors beside those of the connections.
SPARE = 200
# So many are opened at a time: a listener's backlog holds 4,096, and more than that wait a second for another try.
WAVE = 256
# Seconds without another one after which a client has opened what it can.
PATIENCE = 15.0
# Well inside of everyone's timeout for the next piece: those that open slowly must not lose the first ones meanwhile.
PULSE = 2.0
LONGEST = 240.0

ROWS = ("memory-idle", "memory-active", "memory-streams", "open-streams")

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SMALL_REPLY = HEAD + b"Content-Length: %d\r\n\r\n" % len(SMALL_BYTES) + SMALL_BYTES
# One piece of a body that will never be whole.
STREAM_REPLY = HEAD + b"Content-Length: 1000000\r\n\r\n" + b"[" + b" " * 99


# The server


class Crowd:
    """Who is connected, by what they wait for."""

    def __init__(self) -> None:
        self.waiting: set[asyncio.Transport] = set()
        self.streams: set[asyncio.Transport] = set()

    def release(self) -> None:
        for transport in self.waiting:
            transport.write(SMALL_REPLY)
        self.waiting.clear()

    async def keep_alive(self) -> None:
        while True:
            await asyncio.sleep(PULSE)
            for transport in list(self.streams):
                transport.write(b" ")


class Converse(asyncio.Protocol):
    """GET /json at once, /wait when /release is asked for, /stream never whole; /count how many wait."""

    transport: asyncio.Transport

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.received.endswith(b"\r\n\r\n"):
            return
        path = self.received.split(b" ", 2)[1]
        self.received = b""
        match path:
            case b"/wait":
                self.crowd.waiting.add(self.transport)
            case b"/stream":
                self.crowd.streams.add(self.transport)
                self.transport.write(STREAM_REPLY)
            case b"/count":
                count = b"%d" % len(self.crowd.waiting)
                self.transport.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(count) + count)
            case b"/release":
                self.crowd.release()
                self.transport.write(SMALL_REPLY)
            case _:
                self.transport.write(SMALL_REPLY)

    def connection_lost(self, error: Exception | None) -> None:
        self.crowd.waiting.discard(self.transport)
        self.crowd.streams.discard(self.transport)


def serve(listener: socket.socket) -> None:
    """Serve until the process is ended."""
    asyncio.run(serve_crowd(listener))


async def serve_crowd(listener: socket.socket) -> None:
    crowd = Crowd()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Converse(crowd), sock=listener, backlog=4096)
    async with server:
        await crowd.keep_alive()


@contextlib.contextmanager
def run_server() -> Iterator[Target]:
    with socket.create_server((HOST, 0), backlog=4096) as listener:
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(listener,), daemon=True)
        process.start()
        try:
            yield Target(HOST, listener.getsockname()[1], 0)
        finally:
            process.kill()
            process.join()


# In the client's process


@dataclass(frozen=True)
class Grown:
    """KiB a connection, and the milliseconds that all of them took to open."""

    idle: float = 0.0
    active: float = 0.0
    opened_in: float = 0.0


class IncompleteError(Exception):
    """The client opened fewer than it was asked for."""


def measure_connections(client: str, target: Target, count: int) -> Grown | Failure:
    return tell_incomplete(grow_connections(client, target, count))


def measure_streams(client: str, target: Target, count: int) -> Grown | Failure:
    return tell_incomplete(grow_streams(client, target, count))


def tell_incomplete(growing: Awaitable[Grown]) -> Grown | Failure:
    # A loop that is not closed: the process ends at once, and ten thousand streams need not be cancelled one by one.
    try:
        return asyncio.new_event_loop().run_until_complete(growing)
    except IncompleteError as error:
        return Failure(str(error))


async def grow_connections(client: str, target: Target, count: int) -> Grown:
    peer = await set_up(client, target, count)
    before = own_memory()
    tasks = [asyncio.create_task(get_small(peer, f"{target.origin}/wait")) for _ in range(count)]
    await wait_until(tasks, lambda: int(ask(target, "/count")), count)
    active = own_memory()
    ask(target, "/release")
    await asyncio.gather(*tasks)
    tasks.clear()
    idle = own_memory()
    return Grown(idle=(idle - before) / count, active=(active - before) / count)


async def grow_streams(client: str, target: Target, count: int) -> Grown:
    peer = await set_up(client, target, count)
    opened = 0
    gate = asyncio.Semaphore(WAVE)

    async def hold() -> None:
        nonlocal opened
        fresh = True

        def sink(piece: object) -> None:
            nonlocal opened, fresh
            if fresh:
                fresh = False
                opened += 1
                gate.release()

        await gate.acquire()
        await peer.stream(f"{target.origin}/stream", sink)
        raise IncompleteError("a stream ended that has no end")

    before, begin = own_memory(), time.perf_counter()
    tasks = [asyncio.create_task(hold()) for _ in range(count)]
    await wait_until(tasks, lambda: opened, count)
    elapsed = time.perf_counter() - begin
    return Grown(active=(own_memory() - before) / count, opened_in=elapsed * 1e3)


async def set_up(client: str, target: Target, connections: int) -> AsyncPeer:
    """The client once it has done everything that it does only once."""
    peer = ASYNC_PEERS[client]()
    await peer.setup(target, connections)
    for _ in range(3):
        await get_small(peer, f"{target.origin}/json")
    return peer


async def get_small(peer: AsyncPeer, url: str) -> None:
    reply = await peer.get(url)
    if not is_small(reply):
        raise WrongReplyError(repr(reply)[:500])


async def wait_until(tasks: list[asyncio.Task[None]], count: Callable[[], int], wanted: int) -> None:
    """Until so many are open.

    Raises:
        IncompleteError: no more came for a while.
        Exception: what one of the tasks raised.
    """
    ended = asyncio.get_running_loop().create_future()

    def on_end(task: asyncio.Task[None]) -> None:
        if not ended.done() and not task.cancelled():
            ended.set_result(task)

    for task in tasks:
        task.add_done_callback(on_end)
    reached, since = -1, time.monotonic()
    while (now := count()) < wanted:
        if now > reached:
            reached, since = now, time.monotonic()
        if time.monotonic() - since > PATIENCE:
            raise IncompleteError(f"opened {reached:,} of {wanted:,}")
        if ended.done():
            ended.result().result()
        await asyncio.sleep(0.005)


def ask(target: Target, path: str) -> str:
    """Ask the server on a connection that is closed again."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def own_memory() -> float:
    """KiB of this process: its share of what is resident."""
    gc.collect()
    found = re.search(r"^Pss:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return float(found[1])


# The tables


def measure(origin: Origin, rounds: int, seconds: float, clients: Sequence[str]) -> list[Table]:
    """KiB a connection or stream, and the time in which the streams were opened."""
    room = raise_descriptor_limit() - SPARE
    # Ten thousand take seconds by themselves: not when somebody only wants to see it run.
    connections, streams = min(CONNECTIONS, room), min(STREAMS if seconds >= 0.3 else CONNECTIONS, room)
    idle, active, held, opened = tables = [
        build_table("memory-idle", f"Memory of an idle connection, of {connections:,}", "KiB"),
        build_table("memory-active", f"Memory of a connection with a request under way, of {connections:,}", "KiB"),
        build_table("memory-streams", f"Memory of an open stream, of {streams:,}", "KiB"),
        build_table("open-streams", f"Time to open {streams:,} streams, {WAVE} at a time", "ms"),
    ]
    with run_server() as target:
        # It hardly differs from one time to the next.
        for _ in range(min(rounds, 3)):
            for client in (client for client in ASYNC_PEERS if client in clients):
                if client not in {*idle.failures, *idle.unsupported}:
                    grown = run_apart(client, LONGEST, measure_connections, target, connections)
                    take(client, grown, {"idle": idle, "active": active})
                if client not in {*held.failures, *held.unsupported}:
                    grown = run_apart(client, LONGEST, measure_streams, target, streams)
                    take(client, grown, {"active": held, "opened_in": opened})
    return tables


def build_table(name: str, title: str, unit: str) -> Table:
    return Table(name, title, unit, "less", "aiohttp", samples={}, cpu={}, memory={})


def take(client: str, grown: Grown | Failure, tables: dict[str, Table]) -> None:
    for field, table in tables.items():
        if not isinstance(grown, Failure):
            table.samples.setdefault(client, []).append(getattr(grown, field))
        elif grown.reason is None:
            table.unsupported.append(client)
        else:
            table.failures[client] = grown.reason


if __name__ == "__main__":
    run_alone("memory", "memory of connections and streams", measure, list(ASYNC_PEERS), 1.0)
