"""The client's side of a measurement: a process that holds one client under one loop and takes jobs by pipe."""

import asyncio
import gc
import importlib
import time
import traceback
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Literal

from benchmarks.origin import FILE_SIZE, SMALL, UPLOAD, UPLOAD_SIZES, Target
from benchmarks.peers import ASYNC_PEERS, SYNC_PEERS, AsyncPeer, Reply, SyncPeer, UnsupportedError

# Long enough to open every connection and fill every cache before the clock starts.
WARM_UP = 0.2

Mode = Literal["asyncio", "uvloop", "sync"]
Task = Literal["get", "post", "stream", "blob"]


@dataclass(frozen=True)
class Job:
    """Do `task` against `target`, `in_flight` at a time, for so many seconds."""

    task: Task
    target: Target
    in_flight: int
    seconds: float


@dataclass(frozen=True)
class Sample:
    """What one job came to; `cpu` is that of the whole process, all threads, in seconds."""

    requests: int
    seconds: float
    cpu: float


@dataclass(frozen=True)
class Failure:
    """Why there is no sample: a reason, or None where the client does not offer what the row asks for."""

    reason: str | None


Outcome = Sample | Failure


class WrongReplyError(Exception):
    """A client handed out something else than the server sent."""


def serve(pipe: Connection, client: str, mode: Mode) -> None:
    """Run jobs until the pipe says None."""
    loop_factory = importlib.import_module("uvloop").new_event_loop if mode == "uvloop" else None
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        while (job := pipe.recv()) is not None:
            pipe.send(run_job(runner, client, mode, job))


def run_job(runner: asyncio.Runner, client: str, mode: Mode, job: Job) -> Outcome:
    try:
        if mode == "sync":
            return measure_sync(SYNC_PEERS[client](), job)
        return runner.run(measure_async(ASYNC_PEERS[client](), job))
    except UnsupportedError:
        return Failure(None)
    except Exception:
        return Failure(traceback.format_exc())


# What is asked, and what the answer must be

IsRight = Callable[[Any], bool]
Exercise = tuple[Callable[[], Awaitable[Any]], IsRight]


def build_exercise(peer: AsyncPeer, job: Job, thorough: bool) -> Exercise:
    """The call to repeat, and the test that every reply of it has to pass.

    `thorough` sums a download up as well. The measured ones are only counted: the sum takes as long as the download.
    """
    origin, checksum = job.target.origin, job.target.file_checksum
    match job.task:
        case "get":
            return partial(peer.get, f"{origin}/json"), is_small
        case "post":
            return partial(peer.post, f"{origin}/upload", UPLOAD), is_receipt
        case "stream":
            return partial(drain, peer, f"{origin}/100mb", thorough), partial(is_drained, checksum, thorough)
        case "blob":
            return partial(peer.blob, f"{origin}/100mb"), partial(is_file, checksum, thorough)


def is_small(reply: Reply) -> bool:
    return reply == (200, SMALL)


def is_receipt(reply: Reply) -> bool:
    return reply[0] == 200 and reply[1]["received"] in UPLOAD_SIZES


def is_file(checksum: int, thorough: bool, reply: Reply) -> bool:
    status, body = reply
    return status == 200 and len(body) == FILE_SIZE and not (thorough and zlib.crc32(body) != checksum)


def is_drained(checksum: int, thorough: bool, reply: Reply) -> bool:
    return reply == (200, (FILE_SIZE, checksum if thorough else 0))


async def drain(peer: AsyncPeer, url: str, thorough: bool) -> Reply:
    size = checksum = 0

    def sink(chunk: Any) -> None:
        nonlocal size, checksum
        size += len(chunk)
        if thorough:
            checksum = zlib.crc32(chunk, checksum)

    status = await peer.stream(url, sink)
    return status, (size, checksum)


# The clock


async def measure_async(peer: AsyncPeer, job: Job) -> Sample:
    await peer.setup(job.target, job.in_flight)
    try:
        await drive(*build_exercise(peer, job, thorough=True), job.in_flight, WARM_UP)
        gc.collect()
        return await drive(*build_exercise(peer, job, thorough=False), job.in_flight, job.seconds)
    finally:
        await peer.close()


async def drive(call: Callable[[], Awaitable[Any]], is_right: IsRight, in_flight: int, seconds: float) -> Sample:
    """Keep `in_flight` tasks busy with one request after another until the time is over."""
    now = time.perf_counter
    begin, begin_cpu = now(), time.process_time()
    deadline = begin + seconds

    async def repeat() -> int:
        count = 0
        while True:
            reply = await call()
            if not is_right(reply):
                raise WrongReplyError(repr(reply)[:500])
            count += 1
            if now() >= deadline:
                return count

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(repeat()) for _ in range(in_flight)]
    return Sample(sum(task.result() for task in tasks), now() - begin, time.process_time() - begin_cpu)


def measure_sync(peer: SyncPeer, job: Job) -> Sample:
    peer.setup(job.target)
    try:
        call = partial(peer.get, f"{job.target.origin}/json")
        drive_sync(call, is_small, WARM_UP)
        gc.collect()
        return drive_sync(call, is_small, job.seconds)
    finally:
        peer.close()


def drive_sync(call: Callable[[], Any], is_right: IsRight, seconds: float) -> Sample:
    """One request after another until the time is over."""
    now = time.perf_counter
    begin, begin_cpu = now(), time.process_time()
    deadline = begin + seconds
    count = 0
    while now() < deadline:
        reply = call()
        if not is_right(reply):
            raise WrongReplyError(repr(reply)[:500])
        count += 1
    return Sample(count, now() - begin, time.process_time() - begin_cpu)
