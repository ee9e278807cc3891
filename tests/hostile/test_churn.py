"""Thousands of calls that are broken off at random, all over one pool of ten connections; then it works as before.

Other than in `test_every_suspension` the servers, sockets and clocks are real, and calls are in each other's way.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from atomhttp import AtomHTTP, AtomHTTPTimeoutError, SyncAtomHTTP
from atomhttp._net.drivers import aio
from support.certificates import Certificates
from support.origin import Answer, Origin, pattern
from support.server import PATIENCE

SEED = 20260711
IS_FULL = os.environ.get("HOSTILE") == "full"
# By default uvloop has a quarter of them.
CANCELLATIONS = {"asyncio": 4_000, "uvloop": 4_000 if IS_FULL else 1_000}
# At once: several for each connection there may be. Many wait for one, and are cancelled there, or as they get it.
TOGETHER = 60
UPLOAD = 300_000


@pytest.fixture
def origins(certificates: Certificates) -> Iterator[tuple[Origin, Origin]]:
    """A plain one and one behind TLS, which lead to each other."""
    with Origin() as plain, Origin(tls=certificates.server_context()) as encrypted:
        for each, other in ((plain, encrypted), (encrypted, plain)):
            each.routes["/moved"] = lambda request: Answer(status=302, headers=[("Location", "/bytes/50")])
            each.routes["/away"] = _redirect_to(f"{other.url}/bytes/60")
            each.routes["/pause"] = lambda request, each=each: (each.release.wait(0.002), Answer(b"paused"))[1]
        yield plain, encrypted


def _redirect_to(url: str) -> Callable[[Any], Answer]:
    return lambda request: Answer(status=302, headers=[("Location", url)])


# What is done, with a client and the URL of an origin; each looks at its own answer.


async def plain(client: AtomHTTP, url: str) -> None:
    assert (await client.get(f"{url}/bytes/40", response_type="blob")).data == pattern(40)


async def chunked(client: AtomHTTP, url: str) -> None:
    assert (await client.get(f"{url}/chunked/30000", response_type="blob")).data == pattern(30_000)


async def paused(client: AtomHTTP, url: str) -> None:
    assert (await client.get(f"{url}/pause", response_type="text")).data == "paused"


async def redirected(client: AtomHTTP, url: str) -> None:
    assert (await client.get(f"{url}/moved", response_type="blob")).data == pattern(50)


async def sent_away(client: AtomHTTP, url: str) -> None:
    assert (await client.get(f"{url}/away", response_type="blob")).data == pattern(60)


async def streamed(client: AtomHTTP, url: str) -> None:
    response = await client.get(f"{url}/chunked/30000", response_type="stream")
    async with response.data as stream:
        assert b"".join([piece async for piece in stream]) == pattern(30_000)


async def left(client: AtomHTTP, url: str) -> None:
    response = await client.get(f"{url}/chunked/30000", response_type="stream")
    async with response.data as stream:
        assert await stream.read(1_000) == pattern(1_000)


async def uploaded(client: AtomHTTP, url: str) -> None:
    response = await client.put(f"{url}/bytes/70", bytes(UPLOAD), response_type="blob")
    assert response.data == pattern(70)


# Each as often as it stands here.
DEEDS = (plain, plain, chunked, paused, paused, redirected, sent_away, streamed, left, uploaded)


async def test_thousands_of_cancellations_and_then_twenty_good_calls(
    loop_kind: str, origins: tuple[Origin, Origin], certificates: Certificates
) -> None:
    rng = random.Random(SEED)
    loop = asyncio.get_running_loop()
    ends: Counter[str] = Counter()

    def cancel(task: asyncio.Task[None], again: bool) -> None:
        task.cancel()
        if again:
            loop.call_soon(task.cancel)

    async def one() -> None:
        deed = rng.choice(DEEDS)
        # One in sixteen begins behind TLS: that is where the time goes.
        url = origins[rng.random() < 0.0625].url
        task = asyncio.create_task(deed(client, url))
        # Every tenth is left alone: what the others leave behind would be in its way.
        delay = rng.random() ** 3 / 30 if rng.random() < 0.9 else PATIENCE
        timer = loop.call_later(delay, cancel, task, rng.random() < 0.2)
        await asyncio.wait([task])
        timer.cancel()
        if task.cancelled():
            ends["cancelled"] += 1
            assert 1 <= task.cancelling() <= 2
        else:
            task.result()
            assert task.cancelling() == 0, "a cancellation was swallowed"
            ends["answered"] += 1

    async with AtomHTTP(max_connections=10, verify=str(certificates.ca), timeout=PATIENCE) as client:
        while ends["cancelled"] < CANCELLATIONS[loop_kind]:
            await asyncio.gather(*(one() for _ in range(TOGETHER)))
            stats = client.pool_stats()
            assert (stats.open, stats.waiting) == (stats.idle, 0)
            assert stats.open <= 10
        assert ends["answered"] > ends["cancelled"] / 20
        urls = [f"{origins[number % 2].url}/echo?number={number}" for number in range(20)]
        responses = await asyncio.gather(*map(client.get, urls))
        assert [response.data["target"] for response in responses] == [f"/echo?number={number}" for number in range(20)]
        stats = client.pool_stats()
        assert (stats.open, stats.waiting) == (stats.idle, 0)
        driver = aio.current()
        assert driver.reactor.handler_count == stats.idle
        # The pool's own, for what is idle.
        assert driver.reactor.timer_count <= 1
        assert driver.users == 1


def test_a_thousand_calls_out_of_time_in_threads_and_then_twenty_good_ones(origin: Origin) -> None:
    """Nobody cancels a thread; what breaks its calls off at random is their deadline."""
    origin.routes["/pause"] = lambda request: (origin.release.wait(0.002), Answer(b"paused"))[1]
    paths = ("/bytes/40", "/chunked/30000", "/pause")
    answers = {"/bytes/40": pattern(40), "/chunked/30000": pattern(30_000), "/pause": b"paused"}
    ends: list[object] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(100):
            path = rng.choice(paths)
            timeout = rng.random() ** 3 / 50 + 1e-6 if rng.random() < 0.8 else PATIENCE
            try:
                response = client.get(path, response_type="blob", timeout=timeout)
            except AtomHTTPTimeoutError:
                ends.append("out of time")
            except BaseException as error:
                ends.append(error)
            else:
                ends.append("answered" if response.data == answers[path] else response)

    with SyncAtomHTTP(base_url=origin.url, max_connections=3) as client:
        threads = [threading.Thread(target=work, args=[SEED + number]) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(ends) == 1_000
        assert set(ends) == {"answered", "out of time"}
        assert ends.count("answered") >= 150
        stats = client.pool_stats()
        assert (stats.open, stats.waiting) == (stats.idle, 0)
        echoed = [client.get(f"/echo?number={number}").data["target"] for number in range(20)]
        assert echoed == [f"/echo?number={number}" for number in range(20)]
