"""The client's side of a measurement: a process that holds one client under one loop and takes jobs by pipe."""

import asyncio
import gc
import importlib
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.exercises import IsRight, WrongReplyError, build_exercise, build_proof, is_small
from benchmarks.job import Failure, Job, Mode, Outcome, Sample
from benchmarks.peers import HTTP2_PEERS, SYNC_PEERS, AsyncPeer, SyncPeer, UnsupportedError

# Long enough to open every connection and fill every cache before the clock starts.
WARM_UP = 0.2


def serve(pipe: Connection, client: str, mode: Mode) -> None:
    """Run jobs until the pipe says None."""
    loop_factory = importlib.import_module("uvloop").new_event_loop if mode == "uvloop" else None
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        while (job := pipe.recv()) is not None:
            pipe.send(run_job(runner, client, mode, job))


def run_job(runner: asyncio.Runner, client: str, mode: Mode, job: Job) -> Outcome:
    forget_peak_memory()
    try:
        if mode == "sync":
            sample = measure_sync(SYNC_PEERS[client](), job)
        else:
            sample = runner.run(measure_async(HTTP2_PEERS[client](), job))
    except UnsupportedError:
        return Failure(None)
    except BaseExceptionGroup as group:
        # A group of the tasks that were in flight.
        if group.subgroup(UnsupportedError):
            return Failure(None)
        return Failure(traceback.format_exc())
    except Exception:
        return Failure(traceback.format_exc())
    return replace(sample, memory=peak_memory())


# Asynchronous


async def measure_async(peer: AsyncPeer, job: Job) -> Sample:
    await peer.setup(job.target, job.connections)
    try:
        await drive(*build_proof(peer, job), 1, 0)
        exercise = build_exercise(peer, job)
        await drive(*exercise, job.in_flight, WARM_UP)
        gc.collect()
        return await drive(*exercise, job.in_flight, job.seconds)
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
            # What was received is not kept while the next is: it may be 100 MB.
            del reply
            count += 1
            if now() >= deadline:
                return count

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(repeat()) for _ in range(in_flight)]
    return Sample(sum(task.result() for task in tasks), now() - begin, time.process_time() - begin_cpu)


# Synchronous


def measure_sync(peer: SyncPeer, job: Job) -> Sample:
    peer.setup(job.target)
    try:
        call = partial(peer.get, job.url)
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
        del reply
        count += 1
    return Sample(count, now() - begin, time.process_time() - begin_cpu)


# Memory


def forget_peak_memory() -> None:
    """Let the peak begin anew, so that it belongs to the job; where that is forbidden it is the process's."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> float:
    """The most that was resident, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
