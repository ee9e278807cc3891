"""Bodies larger than memory: what a transfer costs in a fresh process, what its progress says, and who is held back.

The claim is that nothing grows with the body, so bodies need only be several times larger than what they may use: each
is four times that, one of each direction more. (Measured: 0.1 to 2.2 MiB, the same for 2 GiB as for 64 MiB.)
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pytest

from atomhttp import AtomHTTP, FormData, SyncAtomHTTP
from net.measured_client import READ_ON, UPLOADS, Job, Progress, build_form, run_jobs, settled
from support.certificates import Certificates
from support.counting_server import (
    CountingServer,
    Receipt,
    compressed_pieces,
    pattern_digest,
    pattern_pieces,
    run_counting_server,
    write_sparse,
)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="NO MEMORY WAS MEASURED: only Linux has a /proc that tells it"
)

MIB = 1024 * 1024
LARGE = 256 * MIB
SMALL = 64 * MIB
# What a consumer that sleeps was promised: it costs nobody anything, so it may be more than 32 bits count.
ANNOUNCED = 8192 * MIB

# How much more may be resident than before the transfer.
BAR = 16 * MIB
# How far one side may get ahead of the other: the kernel's buffers of both sides, and ours.
AHEAD = 16 * MIB
# Progress is reported at least once for so many bytes.
STEP = 256 * 1024

# Seconds.
SLEEP = 1.0


@pytest.fixture(scope="module")
def server(certificates: Certificates) -> Iterator[CountingServer]:
    with run_counting_server(certificates.server) as running:
        yield running


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Path]]:
    """`sparse(size)`: a file of the pattern that takes next to nothing of the disk."""
    directory = tmp_path_factory.mktemp("sparse")

    @functools.cache
    def make(size: int) -> Path:
        path = directory / str(size)
        write_sparse(path, size)
        used = path.stat().st_blocks * 512
        assert used < max(size // 20, MIB), f"{directory} is on a file system without sparse files: {used} bytes used"
        return path

    yield make
    for path in directory.iterdir():
        path.unlink()


@functools.cache
def digest_of(size: int) -> str:
    return pattern_digest(size)


# Memory


def test_no_two_blocks_of_the_pattern_are_equal(sparse: Callable[[int], Path]) -> None:
    seen = set()
    with sparse(SMALL).open("rb") as file:
        while block := file.read(STEP):
            seen.add(hash(block))
    assert len(seen) == SMALL // STEP


class Case(NamedTuple):
    """A transfer: see `Job` for its kind; `query` says how the server sends a download."""

    kind: str
    size: int = SMALL
    query: str = ""
    tls: bool = False


CASES = {
    "async": [
        Case("path"),
        Case("file", LARGE),
        Case("form"),
        Case("async_iterator"),
        Case("pieces", LARGE),
        Case("iter_bytes"),
        Case("sized"),
        Case("pieces", query="&framing=chunked"),
        Case("pieces", query="&framing=close&coding=gzip"),
        Case("file", tls=True),
        Case("pieces", tls=True),
    ],
    "sync": [
        Case("path"),
        Case("form"),
        Case("iterator"),
        Case("pieces"),
        Case("iter_bytes"),
        Case("read"),
        Case("pieces", query="&framing=chunked"),
    ],
}


def name_of(case: Case) -> str:
    words = [case.kind, f"{case.size // MIB}MiB", *case.query.split("&")[1:], "tls" if case.tls else ""]
    return "-".join(filter(None, words))


@pytest.mark.parametrize("client", CASES)
def test_memory_does_not_grow_with_the_body(
    client: str, server: CountingServer, sparse: Callable[[int], Path], certificates: Certificates
) -> None:
    jobs = [build_job(client, case, server, sparse, certificates) for case in CASES[client]]
    outcomes = dict(zip(CASES[client], run_jobs(jobs), strict=True))

    assert not {name_of(case): outcome.growth for case, outcome in outcomes.items() if outcome.growth >= BAR}
    for case, outcome in outcomes.items():
        name = name_of(case)
        assert outcome.error is None, name
        content, total = case.size, case.size
        if case.kind in UPLOADS:
            receipt = Receipt.of(outcome.received)
            content, total = receipt.size, 0 if receipt.framing == "chunked" else receipt.size
            assert receipt.framing == ("chunked" if "iterator" in case.kind else "length"), name
            if case.kind == "form":
                assert receipt.parts == parts_of(case.size)
            else:
                assert (receipt.size, receipt.sha256) == (case.size, digest_of(case.size)), name
        else:
            assert (outcome.size, outcome.sha256) == (case.size, digest_of(case.size)), name
            if "gzip" in case.query:
                content = sum(map(len, compressed_pieces(pattern_pieces(case.size))))
            if case.query:
                total = 0
        check_progress(outcome.progress, content, total)


def build_job(
    client: str, case: Case, server: CountingServer, sparse: Callable[[int], Path], certificates: Certificates
) -> Job:
    origin = server.tls_url if case.tls else server.url
    return Job(
        client,
        case.kind,
        url=f"{origin}/upload" if case.kind in UPLOADS else f"{origin}/download?size={case.size}{case.query}",
        warm_up_url=f"{origin}/empty",
        size=case.size,
        path=str(sparse(case.size)) if case.kind in ("file", "path", "form") else "",
        ca=str(certificates.ca) if case.tls else None,
    )


def parts_of(size: int) -> list[tuple[str, str | None, int, str]]:
    """What the server should find in `build_form`."""
    return [
        ("before", None, 5, hashlib.sha256(b"first").hexdigest()),
        ("file", "content.bin", size, digest_of(size)),
        ("behind", None, 4, hashlib.sha256(b"last").hexdigest()),
    ]


def check_progress(progress: Progress, content: int, total: int) -> None:
    assert progress.growing
    assert progress.last == content
    assert progress.totals == (total,)
    assert progress.largest_gap <= STEP
    if not content:
        assert progress.calls == 1


# Progress


@contextlib.asynccontextmanager
async def opened(kind: str, **options: Any) -> AsyncIterator[Any]:
    """A client. The synchronous one blocks the test's loop, but not the server, which is another process."""
    client: Any = AtomHTTP(**options) if kind == "async" else SyncAtomHTTP(**options)
    try:
        yield client
    finally:
        await settled(client.close())


async def each(pieces: Any) -> AsyncIterator[bytes]:
    if hasattr(pieces, "__aiter__"):
        async for piece in pieces:
            yield piece
    else:
        for piece in pieces:
            yield piece


BODY = 3_000_000
UPLOADED_PATTERNS = (
    *("bytes", "bytearray", "str", "file", "file in memory", "path"),
    *("iterator", "iterator of known length", "one large piece", "async iterator"),
)
UPLOADED_OTHERWISE = (
    *("small bytes", "no bytes", "empty iterator", "json", "urlencoded"),
    *("small form", "empty form", "form of bytes", "form of a file in memory", "form of a path", "form of an iterator"),
)


async def ready_pieces(size: int) -> AsyncIterator[bytes]:
    """An async iterator that never waits: the synchronous client takes it too."""
    for piece in pattern_pieces(size):
        yield piece


def body_options(path: Path, file: BinaryIO) -> dict[str, dict[str, Any]]:
    """The options for every kind of body; `path` and `file` are `BODY` bytes of the pattern."""
    content = path.read_bytes()
    return {
        "bytes": {"data": content},
        "bytearray": {"data": bytearray(content)},
        "str": {"data": content.decode()},
        "file": {"data": file},
        "file in memory": {"data": BytesIO(content)},
        "path": {"data": path},
        "iterator": {"data": pattern_pieces(BODY)},
        "iterator of known length": {"data": pattern_pieces(BODY), "headers": {"Content-Length": str(BODY)}},
        "one large piece": {"data": iter([content])},
        "async iterator": {"data": ready_pieces(BODY)},
        "small bytes": {"data": b"small"},
        "no bytes": {"data": b""},
        "empty iterator": {"data": iter(())},
        "json": {"json": list(range(300_000))},
        "urlencoded": {"form": {"field": "x" * BODY}},
        "small form": {"data": build_form(b"small")},
        "empty form": {"data": FormData()},
        "form of bytes": {"data": build_form(content)},
        "form of a file in memory": {"data": build_form(BytesIO(content))},
        "form of a path": {"data": build_form(path)},
        "form of an iterator": {"data": build_form(ready_pieces(BODY))},
    }


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("body", [*UPLOADED_PATTERNS, *UPLOADED_OTHERWISE])
async def test_upload_progress_is_exact(kind: str, body: str, server: CountingServer, tmp_path: Path) -> None:
    path, progress = tmp_path / "body", Progress()
    write_sparse(path, BODY)
    async with opened(kind) as client:
        with path.open("rb") as file:
            options = body_options(path, file)[body]
            response = await settled(client.post(f"{server.url}/upload", on_upload_progress=progress, **options))
    receipt = Receipt.of(response.data)
    if body in UPLOADED_PATTERNS:
        assert receipt.sha256 == digest_of(BODY)
    check_progress(progress, receipt.size, 0 if receipt.framing == "chunked" else receipt.size)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_no_body_has_no_upload_progress(kind: str, server: CountingServer) -> None:
    progress = Progress()
    async with opened(kind) as client:
        await settled(client.post(f"{server.url}/upload", on_upload_progress=progress))
    assert progress.calls == 0


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("response_type", ["stream", "blob"])
@pytest.mark.parametrize("coding", ["", "gzip"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_download_progress_is_exact(
    kind: str, response_type: str, coding: str, framing: str, server: CountingServer
) -> None:
    url, progress, digest = f"{server.url}/download?size={BODY}&framing={framing}", Progress(), hashlib.sha256()
    sent = pattern_pieces(BODY)
    if coding:
        url, sent = f"{url}&coding={coding}", compressed_pieces(sent)
    async with opened(kind, response_type=response_type) as client:
        response = await settled(client.get(url, on_download_progress=progress))
        async for piece in each(response.data if response_type == "stream" else [response.data]):
            digest.update(piece)
    assert digest.hexdigest() == digest_of(BODY)
    content = sum(map(len, sent))
    check_progress(progress, content, content if framing == "length" else 0)


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/empty"),
        ("GET", "/download?size=0"),
        ("GET", "/download?size=0&framing=chunked"),
        ("GET", "/download?size=0&framing=close"),
        ("HEAD", f"/download?size={BODY}"),
    ],
)
@pytest.mark.parametrize("response_type", ["stream", "blob"])
async def test_nothing_to_download_is_one_call(
    kind: str, method: str, target: str, response_type: str, server: CountingServer
) -> None:
    progress = Progress()
    async with opened(kind, response_type=response_type) as client:
        response = await settled(client.request(method, server.url + target, on_download_progress=progress))
        if response_type == "stream":
            assert not [piece async for piece in each(response.data)]
    check_progress(progress, 0, 0)


# Back-pressure


@pytest.mark.parametrize("client", ["async", "sync"])
def test_a_sleeping_consumer_stops_the_server_and_holds_memory_flat(
    client: str, server: CountingServer, certificates: Certificates
) -> None:
    """8 GiB are announced; 4 MiB of it are read before the sleep, and 4 behind it."""
    ways = {
        "plain": (server.url, "length"),
        "chunked": (server.url, "chunked"),
        "tls": (server.tls_url, "length"),
        "tls-chunked": (server.tls_url, "chunked"),
        "close": (server.url, "close"),
    }
    jobs = [
        Job(
            client,
            "sleeping",
            url=f"{origin}/download?size={ANNOUNCED}&framing={framing}&name={client}-{name}",
            warm_up_url=f"{origin}/empty",
            ca=str(certificates.ca),
            counts=f"{server.url}/counts",
        )
        for name, (origin, framing) in ways.items()
    ]
    digest = digest_of(2 * READ_ON)
    for name, outcome in zip(ways, run_jobs(jobs), strict=True):
        assert outcome.growth < BAR, name
        halfway, end = (counts[f"{client}-{name}"] for counts in outcome.received)
        assert READ_ON < halfway == end < READ_ON + AHEAD, name
        assert (outcome.size, outcome.sha256) == (2 * READ_ON, digest), name


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_an_iterator_waits_for_a_server_that_does_not_read(
    kind: str, server: CountingServer, certificates: Certificates
) -> None:
    size = 4 * AHEAD
    origins = {"plain": server.url, "tls": server.tls_url}
    asked, progress = dict.fromkeys(origins, 0), {name: Progress() for name in origins}

    async def count(name: str) -> AsyncIterator[bytes]:
        for piece in pattern_pieces(size):
            asked[name] += len(piece)
            yield piece

    async with opened(kind, verify=str(certificates.ca)) as client:
        uploads = []
        for name, origin in origins.items():
            url, options = f"{origin}/upload?hold={kind}-{name}", {"on_upload_progress": progress[name]}
            # The synchronous client would wait in here, and nobody would let its uploads go on.
            sending = asyncio.to_thread if kind == "sync" else lambda send, *args, **options: send(*args, **options)
            uploads.append(asyncio.ensure_future(sending(client.post, url, data=count(name), **options)))
        try:
            await asyncio.sleep(SLEEP / 2)
            halfway = dict(asked)
            await asyncio.sleep(SLEEP / 2)
            for name in origins:
                assert 0 < asked[name] < AHEAD
                assert asked[name] == halfway[name]
                # What the socket has not taken is not reported.
                assert progress[name].last < asked[name]
        finally:
            for name in origins:
                server.release(f"{kind}-{name}")
            responses = await asyncio.gather(*uploads)
        for name, response in zip(origins, responses, strict=True):
            receipt = Receipt.of(response.data)
            assert receipt.sha256 == digest_of(size)
            check_progress(progress[name], size, 0)
