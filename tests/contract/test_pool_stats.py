"""`client.pool_stats()`, and whose turn it is when connections are few."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from atomhttp import AtomHTTP, AtomHTTPError, AtomHTTPNetworkError, HTTPAdapter, SyncAtomHTTP
from contract.flavours import Api, close
from support.async_tests import loop_factory
from support.origin import Answer, Origin
from support.peer import Peer, drain, expect_head, send
from support.server import PATIENCE


def until(condition: Callable[[], Any]) -> None:
    """Blocks until `condition()` is true."""
    for _ in range(int(PATIENCE * 1000)):
        if condition():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it never became true")


async def together(api: Api, client: Any, urls: list[str], **options: Any) -> list[Any]:
    """GETs in flight at once; errors are results."""
    if api.is_sync:
        calls = [client.real.defer.get(url, **options) for url in urls]
        return client.real.all(calls, return_exceptions=True)
    return await AtomHTTP.all([client.get(url, **options) for url in urls], return_exceptions=True)


# What is counted


async def test_a_new_client_has_nothing(api: Api) -> None:
    stats = api.client().pool_stats()
    assert stats == (0, 0, 0, 0)
    assert (stats.open, stats.idle, stats.waiting, stats.reused) == (0, 0, 0, 0)
    assert repr(stats) == "PoolStats(open=0, idle=0, waiting=0, reused=0)"


async def test_calls_in_turn(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url)
    seen = []
    for _ in range(4):
        await client.get("/bytes/1")
        seen.append(client.pool_stats())
    assert seen == [(1, 1, 0, 0), (1, 1, 0, 1), (1, 1, 0, 2), (1, 1, 0, 3)]
    # A connection that is closed takes nothing of the count along.
    await client.get("/bytes/1", keepAlive=False)
    assert client.pool_stats() == (0, 0, 0, 4)
    await client.get("/close")
    assert client.pool_stats() == (0, 0, 0, 4)
    await client.get("/bytes/1")
    assert client.pool_stats() == (1, 1, 0, 4)
    await client.get(f"http://localhost:{origin.port}/bytes/1")
    assert client.pool_stats() == (2, 2, 0, 4)


async def test_calls_at_once(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url)
    seen: list[Any] = []

    def look() -> None:
        origin.wait_for_requests(5)
        seen.append(client.pool_stats())
        origin.release.set()

    thread = threading.Thread(target=look)
    thread.start()
    await together(api, client, ["/delay/60"] * 5)
    thread.join(PATIENCE)
    assert seen == [(5, 0, 0, 0)]
    assert client.pool_stats() == (5, 5, 0, 0)


async def test_waiting_is_counted(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, maxConnections=2)
    seen: list[Any] = []

    def look() -> None:
        until(lambda: client.pool_stats().waiting == 5)
        origin.wait_for_requests(2)
        seen.append(client.pool_stats())
        origin.release.set()

    thread = threading.Thread(target=look)
    thread.start()
    responses = await together(api, client, ["/delay/60"] * 7)
    thread.join(PATIENCE)
    assert seen == [(2, 0, 5, 0)]
    assert [response.status for response in responses] == [200] * 7
    assert client.pool_stats() == (2, 2, 0, 5)
    assert origin.connections == 2
    assert origin.high_water <= 2


async def test_an_open_stream_is_not_idle(api: Api) -> None:
    client = api.client()
    with Peer([expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n01"), drain()]) as peer:
        stream = (await client.get(peer.url, response_type="stream")).data
        assert client.pool_stats() == (1, 0, 0, 0)
        await close(stream)
        assert client.pool_stats() == (0, 0, 0, 0)


async def test_calls_that_fail_are_not_reuse(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url)
    await client.get("/bytes/1")
    with pytest.raises(AtomHTTPError):
        await client.get("/delay/60", timeout=0.05)
    assert client.pool_stats() == (0, 0, 0, 1)  # it had found a connection ready
    with pytest.raises(AtomHTTPNetworkError):
        await client.get("http://127.0.0.1:1/")
    assert client.pool_stats() == (0, 0, 0, 1)
    await client.get("/status/404")
    with pytest.raises(AtomHTTPError):
        await client.get("/status/404", validateStatus=True)
    assert client.pool_stats() == (1, 1, 0, 2)


async def test_redirects_and_retries_count_each(api: Api, origin: Origin) -> None:
    statuses = [503, 503, 200]
    origin.routes["/flaky"] = lambda request: Answer(status=statuses.pop(0))
    origin.routes["/moved"] = lambda request: Answer(status=302, headers=[("Location", "/flaky")])
    client = api.client(baseURL=origin.url, retryConfig={"backoff_factor": 0})
    assert (await client.get("/moved")).status == 200
    assert client.pool_stats() == (1, 1, 0, 3)


async def test_a_closed_client_has_nothing_open(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url)
    for _ in range(3):
        await client.get("/bytes/1")
    await client.close()
    assert client.pool_stats() == (0, 0, 0, 2)


async def test_clients_that_share_an_adapter_share_the_count(api: Api, origin: Origin) -> None:
    adapter = HTTPAdapter()
    one, other = api.client(adapter=adapter), api.client(adapter=adapter)
    await one.get(f"{origin.url}/bytes/1")
    await other.get(f"{origin.url}/bytes/1")
    assert one.pool_stats() == other.pool_stats() == adapter.pool_stats() == (1, 1, 0, 1)
    alone = api.client()
    assert alone.pool_stats() == (0, 0, 0, 0)
    await adapter.close()


async def test_an_adapter_without_a_count_says_nothing(api: Api) -> None:
    class Silent:
        async def send(self, request: Any) -> Any: ...

        async def close(self) -> None: ...

    assert api.client(adapter=Silent()).pool_stats() == (0, 0, 0, 0)


# Loops and threads


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_all_loops_are_counted(origin: Origin, kind: str) -> None:
    client = AtomHTTP(base_url=origin.url)
    ready, go = threading.Barrier(4), threading.Event()

    async def use() -> None:
        for _ in range(3):
            await client.get("/bytes/1")

    def run_loop() -> None:
        with asyncio.Runner(loop_factory=loop_factory(kind)) as runner:
            runner.run(use())
            ready.wait(PATIENCE)
            go.wait(PATIENCE)

    threads = [threading.Thread(target=run_loop) for _ in range(3)]
    for thread in threads:
        thread.start()
    ready.wait(PATIENCE)
    assert client.pool_stats() == (3, 3, 0, 6)
    go.set()
    for thread in threads:
        thread.join(PATIENCE)
    # The loops are gone, and what they had open with them; what was is not forgotten.
    assert client.pool_stats() == (0, 0, 0, 6)
    asyncio.run(use())
    assert client.pool_stats() == (0, 0, 0, 8)
    asyncio.run(client.close())
    assert client.pool_stats() == (0, 0, 0, 8)


def test_all_threads_are_counted(origin: Origin) -> None:
    with SyncAtomHTTP(base_url=origin.url, max_connections=4) as client:
        seen: list[Any] = []

        def use() -> None:
            client.get("/delay/60")

        threads = [threading.Thread(target=use) for _ in range(6)]
        for thread in threads:
            thread.start()
        until(lambda: client.pool_stats().waiting == 2)
        origin.wait_for_requests(4)
        seen.append(client.pool_stats())
        origin.release.set()
        for thread in threads:
            thread.join(PATIENCE)
        assert seen == [(4, 0, 2, 0)]
        stats = client.pool_stats()
        assert (stats.idle, stats.waiting, stats.reused) == (stats.open, 0, 2)
        for _ in range(10):
            client.get("/bytes/1")
        assert client.pool_stats().reused == 12
        # One of them ran out, or was not needed, at most.
        assert origin.connections == 4


def test_it_may_be_asked_at_any_time_from_any_thread(origin: Origin) -> None:
    with SyncAtomHTTP(base_url=origin.url, max_connections=3) as client:
        done, problems = threading.Event(), list[Any]()

        def look() -> None:
            last = 0
            while not done.wait(0.0002):
                stats = client.pool_stats()
                # Who evicts an idle connection has its place already, a moment before that is closed.
                if not (0 <= stats.idle <= stats.open <= 6 and stats.waiting <= 5 and stats.reused >= last):
                    problems.append((last, stats))
                last = stats.reused

        def use() -> None:
            for number in range(100):
                client.get("/bytes/1", keep_alive=bool(number % 5))

        watcher = threading.Thread(target=look)
        workers = [threading.Thread(target=use) for _ in range(5)]
        for thread in (watcher, *workers):
            thread.start()
        for thread in workers:
            thread.join(60)
        done.set()
        watcher.join(PATIENCE)
        assert problems == []
        stats = client.pool_stats()
        assert (stats.open, stats.waiting) == (stats.idle, 0)
        assert stats.reused == 500 - origin.connections
        assert origin.high_water <= 3


# Whose turn it is


async def test_they_are_served_in_the_order_they_came(api: Api, origin: Origin) -> None:
    for limits in ({"maxConnections": 1}, {"maxConnectionsPerOrigin": 1}, {"maxConnections": 1, "keepAlive": False}):
        client = api.client(baseURL=origin.url, **limits)
        before = len(origin.requests)
        await together(api, client, [f"/bytes/{number}" for number in range(25)])
        assert [request.target for request in origin.requests[before:]] == [f"/bytes/{number}" for number in range(25)]
        assert client.pool_stats().waiting == 0


async def test_one_origin_does_not_starve_another(api: Api, origin: Origin) -> None:
    """By the order in which they came, whatever origin they are for."""
    with Origin(host="127.0.0.2") as other:
        order: list[str] = []
        for each in (origin, other):
            each.routes["/"] = lambda request: (order.append(request.get("x-number")), Answer())[1]
        client = api.client(maxConnections=1, transformRequest=lambda data, headers: data)
        urls = [origin.url] * 10 + [other.url] + [origin.url] * 5 + [other.url]
        if api.is_sync:
            defer = client.real.defer
            client.real.all([defer.get(url, headers={"X-Number": n}) for n, url in enumerate(urls)])
        else:
            await AtomHTTP.all([client.get(url, headers={"X-Number": n}) for n, url in enumerate(urls)])
        assert order == [str(number) for number in range(17)]


async def test_the_limit_of_an_origin_is_its_own(api: Api, origin: Origin) -> None:
    """Who waits for a busy origin does not hold up who wants another."""
    with Origin() as other:
        client = api.client(maxConnectionsPerOrigin=1)
        seen: list[Any] = []

        def look() -> None:
            other.wait_for_requests(1)
            origin.wait_for_requests(1)
            until(lambda: client.pool_stats().waiting == 2)
            seen.append(client.pool_stats().open)
            origin.release.set()

        thread = threading.Thread(target=look)
        thread.start()
        urls = [f"{origin.url}/delay/60"] * 3 + [f"{other.url}/bytes/1"]
        responses = await together(api, client, urls)
        thread.join(PATIENCE)
        assert [response.status for response in responses] == [200] * 4
        assert seen == [2]
        assert (origin.connections, other.connections) == (1, 1)


async def test_a_wait_that_ends_early_leaves_the_queue(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, maxConnections=1)
    results: list[Any] = []

    def look() -> None:
        until(lambda: client.pool_stats().waiting == 0 and client.pool_stats().open == 1 and origin.requests)
        origin.release.set()

    if api.is_sync:
        defer = client.real.defer
        calls = [defer.get("/delay/60"), *(defer.get("/bytes/1", timeout=0.05) for _ in range(3))]
    else:
        calls = [client.get("/delay/60"), *(client.get("/bytes/1", timeout=0.05) for _ in range(3))]
    thread = threading.Timer(0.1, look)
    thread.start()
    results = await _all(api, client, calls)
    thread.join(PATIENCE)
    assert results[0].data == "late"
    assert {error.phase for error in results[1:]} == {"pool"}
    assert client.pool_stats() == (1, 1, 0, 0)


async def _all(api: Api, client: Any, calls: list[Any]) -> list[Any]:
    if api.is_sync:
        return client.real.all(calls, return_exceptions=True)
    return await AtomHTTP.all(calls, return_exceptions=True)
