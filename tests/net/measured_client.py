"""Transfers in a fresh process, and what they cost: the program behind the tests of memory.

Its argument is a list of `Job`s as JSON, its output a list of `Outcome`s as JSON; tests call `run_jobs`. It measures
its memory itself: nobody else knows when its imports and its warm-up are over. All jobs are measured from there, so
what one of them leaves behind is held against the next one too.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import hashlib
import inspect
import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import atomhttp
from atomhttp import AtomHTTP, AtomHTTPError, FormData, SyncAtomHTTP
from support.counting_server import TESTS, pattern_pieces

PAGE = os.sysconf("SC_PAGE_SIZE")

# Seconds. No list of jobs takes as long on any machine, and pytest gives up a little later.
TIMEOUT = 75

# How a body is uploaded, and how a stream is read.
UPLOADS = ("file", "path", "form", "iterator", "async_iterator")
DOWNLOADS = ("pieces", "iter_bytes", "sized", "read", "lines")
# A stream of which `READ_ON` bytes are read, before and after a sleep; and a call for the whole response.
OTHERS = ("sleeping", "whole")

# For sized reads; it divides nothing.
PIECE = 99_991
BLOCK = 65_536
READ_ON = 4 * 1024 * 1024
# Seconds of sleep, twice: in the second half nothing may move.
SLEEP = 0.4


@dataclass(frozen=True, slots=True)
class Job:
    """What to transfer.

    Attributes:
        client: "async" or "sync".
        kind: one of `UPLOADS`, `DOWNLOADS` or `OTHERS`.
        url: where to.
        warm_up_url: a small answer of the same server.
        size: the upload's, in bytes.
        path: a file of that size, for the bodies that are one.
        ca: whom to trust, for TLS.
        counts: of a "sleeping" one: where a server tells, as JSON, what it has sent.
        piece: how much a sized read asks for, in bytes.
        options: more of them, for the call.
    """

    client: str
    kind: str
    url: str
    warm_up_url: str
    size: int = 0
    path: str = ""
    ca: str | None = None
    counts: str = ""
    piece: int = PIECE
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Progress:
    """A callback that keeps the account of its calls.

    Attributes:
        calls: how many there were.
        last: the count that the last one gave.
        largest_gap: the most bytes that one call reported.
        growing: whether each gave more than the one before.
        totals: the totals they gave, each once.
    """

    calls: int = 0
    last: int = 0
    largest_gap: int = 0
    growing: bool = True
    totals: tuple[int, ...] = ()

    def __call__(self, loaded: int, total: int) -> None:
        self.growing = self.growing and (loaded > self.last or not self.calls)
        self.calls += 1
        self.largest_gap = max(self.largest_gap, loaded - self.last)
        self.last = loaded
        if total not in self.totals:
            self.totals += (total,)


@dataclass(slots=True)
class Outcome:
    """What came of a job.

    Attributes:
        growth: how much more memory there was at its peak than before the first job, in bytes.
        progress: the calls of its callback.
        size: how much was downloaded, in bytes.
        sha256: the hash of what was downloaded; a call with options has no more than its `crc32`.
        status: the response's.
        received: what the server said of an upload; the counts of a "sleeping" job, in the middle and at the end.
        error: class, code and limit of the error that it ended in.
        response: status, size and `truncated` of the error's response.
    """

    growth: int = 0
    progress: Progress = field(default_factory=Progress)
    size: int = 0
    sha256: str | None = None
    crc32: int = 0
    status: int = 0
    received: Any = None
    error: list[Any] | None = None
    response: list[Any] | None = None

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Outcome:
        """As it was before it became JSON."""
        progress = fields.pop("progress")
        return cls(progress=Progress(**{**progress, "totals": tuple(progress["totals"])}), **fields)


def run_jobs(jobs: Sequence[Job]) -> list[Outcome]:
    """What comes of `jobs`, done one after the other in a process of their own; AssertionError when that fails."""
    packages = os.pathsep.join([str(TESTS), str(Path(atomhttp.__file__).parent.parent)])
    done = subprocess.run(
        [sys.executable, "-W", "error", str(Path(__file__)), json.dumps([asdict(job) for job in jobs])],
        env={**os.environ, "PYTHONPATH": packages},
        capture_output=True,
        text=True,
        timeout=TIMEOUT + 5,
        check=False,
    )
    if done.returncode or done.stderr:
        raise AssertionError(f"the measured client ended with {done.returncode}:\n{done.stderr}")
    return [Outcome.from_fields(fields) for fields in json.loads(done.stdout)]


# Memory


class Memory:
    """How much more memory is resident than when this was made."""

    def __init__(self) -> None:
        gc.collect()
        self._start = _resident()
        self.restart()

    def restart(self) -> None:
        """Forgets the peak, but not what it is measured from. What was freed goes back to the system first."""
        ctypes.CDLL(None).malloc_trim(0)
        self._has_mark = _reset_high_water()
        self._peak = _resident()

    def sample(self) -> None:
        """Looks at it now, where the kernel's own high-water mark cannot be reset."""
        if not self._has_mark:
            self._peak = max(self._peak, _resident())

    @property
    def growth(self) -> int:
        """In bytes, at the peak."""
        return (_high_water() if self._has_mark else self._peak) - self._start


def _reset_high_water() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        # Expected where /proc is read-only.
        return False
    return _high_water() > 0


def _high_water() -> int:
    with open("/proc/self/status") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:")), 0)


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


# Bodies


@contextlib.contextmanager
def open_body(job: Job) -> Iterator[Any]:
    """The `data` of an upload."""
    if job.kind == "file":
        with open(job.path, "rb") as file:
            yield file
    elif job.kind == "path":
        yield Path(job.path)
    elif job.kind == "form":
        yield build_form(Path(job.path))
    else:
        yield pattern_pieces(job.size) if job.kind == "iterator" else async_pieces(job.size)


def build_form(content: Any) -> FormData:
    """A form of a file between two fields."""
    form = FormData()
    form.append("before", "first")
    form.append("file", content, filename="content.bin")
    form.append("behind", "last")
    return form


async def async_pieces(size: int) -> AsyncIterator[bytes]:
    """`pattern_pieces`, by an async generator that does wait."""
    for piece in pattern_pieces(size):
        await asyncio.sleep(0)
        yield piece


# The transfers: one text for both clients, of which the synchronous one never makes its caller wait


class Transfer:
    """One job, measured by `memory`."""

    def __init__(self, job: Job, memory: Memory) -> None:
        self.job = job
        self.outcome = Outcome()
        self._memory = memory
        self._sha256 = hashlib.sha256() if job.kind in (*DOWNLOADS, "sleeping") and not job.options else None

    async def run(self) -> Outcome:
        job, kind = self.job, AtomHTTP if self.job.client == "async" else SyncAtomHTTP
        client: Any = kind(timeout=TIMEOUT, verify=job.ca or True)
        try:
            await settled(client.get(job.warm_up_url))
            self._memory.restart()
            try:
                await self._transfer(client)
            except AtomHTTPError as error:
                self._take_error(error)
            self.outcome.growth = self._memory.growth
        finally:
            await settled(client.close())
        if self._sha256 is not None:
            self.outcome.sha256 = self._sha256.hexdigest()
        return self.outcome

    async def _transfer(self, client: Any) -> None:
        job, options = self.job, dict(self.job.options)
        if job.kind in UPLOADS:
            with open_body(job) as body:
                response = await settled(client.post(job.url, data=body, on_upload_progress=self._watch, **options))
            self.outcome.received = response.data
            return
        method = options.pop("method", "GET")
        if job.kind != "whole":
            options["response_type"] = "stream"
        response = await settled(client.request(method, job.url, on_download_progress=self._watch, **options))
        self.outcome.status = response.status
        if job.kind == "whole":
            self._take(response.content)
        elif job.kind == "sleeping":
            await self._sleep_over(response.data)
        else:
            async for piece in each_piece(response.data, job.kind, job.piece):
                self._take(piece)

    async def _sleep_over(self, stream: Any) -> None:
        """The consumer sleeps in the middle; then it goes on, and gives up a little later."""
        await self._read_on(stream)
        self.outcome.received = []
        for _ in range(2):
            # The loop goes on meanwhile, and would read ahead if nothing held it back.
            await settled((asyncio.sleep if self.job.client == "async" else time.sleep)(SLEEP))
            if self.job.counts:
                self.outcome.received.append(_ask(self.job.counts))
        await self._read_on(stream)
        await settled(stream.close() if hasattr(stream, "close") else stream.aclose())

    async def _read_on(self, stream: Any) -> None:
        for _ in range(READ_ON // BLOCK):
            self._take(await settled(stream.read(BLOCK)))

    def _watch(self, loaded: int, total: int) -> None:
        self._memory.sample()
        self.outcome.progress(loaded, total)

    def _take(self, piece: bytes) -> None:
        self._memory.sample()
        self.outcome.size += len(piece)
        if self._sha256 is not None:
            self._sha256.update(piece)
        else:
            self.outcome.crc32 = zlib.crc32(piece, self.outcome.crc32)

    def _take_error(self, error: AtomHTTPError) -> None:
        self.outcome.error = [type(error).__name__, error.code, getattr(error, "limit", None)]
        if error.response is not None:
            self.outcome.response = [error.response.status, len(error.response.content), error.response.truncated]


async def settled(value: Any) -> Any:
    """What the synchronous client gives, and what comes of what the other one gives."""
    return await value if inspect.isawaitable(value) else value


async def each_piece(stream: Any, kind: str, size: int) -> AsyncIterator[bytes]:
    """The content of `stream`, read in one of the ways of `DOWNLOADS`."""
    if kind == "read":
        while piece := await settled(stream.read(size)):
            yield piece
        return
    ways: dict[str, Callable[[], Any]] = {
        "pieces": lambda: stream,
        "iter_bytes": stream.iter_bytes,
        "sized": lambda: stream.iter_bytes(size),
        "lines": stream.iter_lines,
    }
    pieces = ways[kind]()
    if hasattr(pieces, "__aiter__"):
        async for piece in pieces:
            yield piece.encode() if kind == "lines" else piece
    else:
        for piece in pieces:
            yield piece.encode() if kind == "lines" else piece


def _ask(url: str) -> Any:
    with urlopen(url, timeout=TIMEOUT) as answer:
        return json.load(answer)


def run_by_hand(coroutine: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Runs what uses the synchronous client, which never makes it wait: without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome
    coroutine.close()
    raise AssertionError("the synchronous client made its caller wait")


def main() -> None:
    jobs = [Job(**fields) for fields in json.loads(sys.argv[1])]
    memory: Memory | None = None
    outcomes = []
    for job in [jobs[0], *jobs]:
        # The first one is done twice: what it imports and sets up is nobody's growth.
        transfer = Transfer(job, memory or Memory())
        outcome = (asyncio.run if job.client == "async" else run_by_hand)(transfer.run())
        outcomes.append(outcome)
        memory = memory or Memory()
    print(json.dumps([asdict(outcome) for outcome in outcomes[1:]]))


if __name__ == "__main__":
    main()
