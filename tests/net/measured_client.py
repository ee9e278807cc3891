"""One transfer in a fresh process, and what it cost: the program behind `test_memory`.

Its argument is a `Job` as JSON, its output an `Outcome` as JSON. It measures its memory itself: nobody else knows when
its imports and its warm-up are over.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from atomhttp import AtomHTTP, FormData, SyncAtomHTTP
from support.counting_server import pattern_pieces

PAGE = os.sysconf("SC_PAGE_SIZE")

# Seconds. No transfer takes as long on any machine, and pytest gives up a little later.
TIMEOUT = 75

# How a body is uploaded, and how a stream is read.
UPLOADS = ("file", "path", "form", "iterator", "async_iterator")
DOWNLOADS = ("pieces", "iter_bytes", "sized", "read")

# For sized reads; it divides nothing.
PIECE = 99_991


@dataclass(frozen=True, slots=True)
class Job:
    """What to transfer.

    Attributes:
        client: "async" or "sync".
        kind: one of `UPLOADS` or `DOWNLOADS`.
        url: where to.
        warm_up_url: a small answer of the same server.
        size: the body's, in bytes.
        path: a file of that size, for the bodies that are one.
        ca: whom to trust, for TLS.
    """

    client: str
    kind: str
    url: str
    warm_up_url: str
    size: int
    path: str = ""
    ca: str | None = None


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job.

    Attributes:
        growth: how much the memory grew at its peak, in bytes.
        progress: the calls of its callback.
        sha256: the hash of what was downloaded.
        received: what the server said of an upload.
    """

    growth: int
    progress: Progress
    sha256: str | None = None
    received: Any = None

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        fields = json.loads(text)
        progress = fields.pop("progress")
        return cls(progress=Progress(**{**progress, "totals": tuple(progress["totals"])}), **fields)


# Memory


class Memory:
    """How much more memory is resident than when this was made."""

    def __init__(self) -> None:
        self._has_mark = _reset_high_water()
        self._start = self._peak = _resident()

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


# The two clients


async def transfer(job: Job) -> Outcome:
    """The job, done by AtomHTTP."""
    async with AtomHTTP(timeout=TIMEOUT, verify=job.ca or True) as client:
        await client.get(job.warm_up_url)
        memory, progress, watch = _begin()
        if job.kind in UPLOADS:
            with open_body(job) as body:
                response = await client.post(job.url, data=body, on_upload_progress=watch)
            return Outcome(memory.growth, progress, received=response.data)
        response = await client.get(job.url, response_type="stream", on_download_progress=watch)
        digest = hashlib.sha256()
        if job.kind == "read":
            while piece := await response.data.read(PIECE):
                digest.update(piece)
        else:
            async for piece in _iterate(response.data, job.kind):
                digest.update(piece)
        return Outcome(memory.growth, progress, digest.hexdigest())


def transfer_sync(job: Job) -> Outcome:
    """The job, done by SyncAtomHTTP."""
    with SyncAtomHTTP(timeout=TIMEOUT, verify=job.ca or True) as client:
        client.get(job.warm_up_url)
        memory, progress, watch = _begin()
        if job.kind in UPLOADS:
            with open_body(job) as body:
                response = client.post(job.url, data=body, on_upload_progress=watch)
            return Outcome(memory.growth, progress, received=response.data)
        response = client.get(job.url, response_type="stream", on_download_progress=watch)
        digest = hashlib.sha256()
        if job.kind == "read":
            while piece := response.data.read(PIECE):
                digest.update(piece)
        else:
            for piece in _iterate(response.data, job.kind):
                digest.update(piece)
        return Outcome(memory.growth, progress, digest.hexdigest())


def _begin() -> tuple[Memory, Progress, Callable[[int, int], None]]:
    """From here on memory and progress count; the last is the callback that has them do so."""
    progress, memory = Progress(), Memory()

    def watch(loaded: int, total: int) -> None:
        memory.sample()
        progress(loaded, total)

    return memory, progress, watch


def _iterate(stream: Any, kind: str) -> Any:
    if kind == "pieces":
        return stream
    return stream.iter_bytes() if kind == "iter_bytes" else stream.iter_bytes(PIECE)


if __name__ == "__main__":
    given = Job(**json.loads(sys.argv[1]))
    outcome = asyncio.run(transfer(given)) if given.client == "async" else transfer_sync(given)
    print(json.dumps(asdict(outcome)))
