"""The blocking driver: the same coroutines without a loop, in many threads, and interrupted anywhere."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
import types
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from atomhttp import AtomHTTPClosedError, AtomHTTPNetworkError, AtomHTTPTimeoutError, SyncAtomHTTP, Timeout
from atomhttp._net.drivers.blocking import BlockingDriver, Units
from atomhttp._net.pool import Pool
from support.interrupts import EXPECTED, steps
from support.nginx import BLOB, Nginx
from support.origin import Answer, Origin, Received, pattern
from support.peer import Peer, expect_head, hold, send, wait
from support.server import PATIENCE


def the_pool(client: SyncAtomHTTP) -> Pool:
    (pool,) = client._adapter.pools
    return pool


# Running a coroutine


def test_a_foreign_awaitable_is_refused_by_name() -> None:
    class Foreign:
        def __await__(self) -> Generator[Any, Any, None]:
            yield self

    async def main() -> str:
        try:
            await Foreign()
        except RuntimeError as error:
            # At that await, so that the coroutine may go on.
            return str(error)
        return "not refused"

    message = BlockingDriver().run(main())
    assert "Foreign" in message
    assert "no event loop" in message
    assert "AtomHTTP" in message


def test_a_future_of_a_running_loop_is_refused_by_name() -> None:
    async def inside() -> str:
        async def main() -> None:
            await asyncio.sleep(1)

        try:
            BlockingDriver().run(main())
        except RuntimeError as error:
            return str(error)
        return "not refused"

    assert "Future" in asyncio.run(inside())


def test_a_bare_yield_is_accepted() -> None:
    async def main() -> int:
        for _ in range(5):
            await asyncio.sleep(0)
        return 5

    @types.coroutine
    def bare() -> Generator[None, None, str]:
        yield
        yield
        return "done"

    async def other() -> str:
        return await bare()

    assert BlockingDriver().run(main()) == 5
    assert BlockingDriver().run(other()) == "done"


def test_a_body_that_needs_a_loop_is_refused_and_the_client_lives(origin: Origin) -> None:
    class Foreign:
        def __await__(self) -> Generator[Any, Any, None]:
            yield self

    async def body() -> Any:
        yield b"one"
        await Foreign()
        yield b"two"

    with SyncAtomHTTP(base_url=origin.url) as client:
        with pytest.raises(RuntimeError, match="Foreign"):
            client.post("/echo", data=body())
        assert client.get("/bytes/1").ok
        assert the_pool(client).open_count == the_pool(client).idle_count == 1


def test_no_thread_and_no_loop_stands_behind_it(origin: Origin) -> None:
    seen: list[list[str]] = []
    # Those that have looked up names for earlier tests stay for a while.
    before = set(threading.enumerate())

    def count(_request: Received) -> Answer:
        seen.append([each.name for each in set(threading.enumerate()) - before if each.name.startswith("atomhttp")])
        return Answer(b"ok")

    origin.routes["/count"] = count
    with SyncAtomHTTP(base_url=origin.url) as client:
        for _ in range(3):
            client.get("/count")
        # The origin has one of its own for each connection.
        assert set(threading.enumerate()) - before <= set(origin.threads)
    assert seen == [[], [], []]


def test_streams_uploads_and_downloads(nginx: Nginx, origin: Origin) -> None:
    with SyncAtomHTTP() as client:
        assert client.get(nginx.url + "/blob", response_type="blob").data == BLOB
        stream = client.get(nginx.url + "/blob", response_type="stream").data
        assert b"".join(stream) == BLOB
        body = pattern(2_000_000)
        assert client.post(origin.url + "/echo", data=body).data["body"].encode("latin-1") == body
        pieces = (b"%d" % number for number in range(1_000))
        expected = "".join(map(str, range(1_000)))
        assert client.post(origin.url + "/echo", data=pieces).data["body"] == expected


def test_inside_a_running_loop(origin: Origin) -> None:
    async def main() -> None:
        with SyncAtomHTTP(base_url=origin.url) as client:
            for size in range(20):
                assert client.get(f"/bytes/{size}", response_type="blob").data == pattern(size)

    asyncio.run(main())


def test_a_deadline_on_the_real_clock_is_never_early(origin: Origin) -> None:
    with SyncAtomHTTP(base_url=origin.url) as client:
        for limit in (0.05, 0.11):
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                client.get("/delay/60", timeout=limit)
            assert limit <= caught.value.elapsed < limit + 1
        assert the_pool(client).open_count == 0


# Threads


def test_eight_threads_share_a_client(origin: Origin) -> None:
    # A busy machine may leave one of the three idle for seconds.
    with SyncAtomHTTP(base_url=origin.url, max_connections=3, keep_alive_timeout=60) as client:

        def work(number: int) -> int:
            done = 0
            for turn in range(1_000):
                size = (number * 1_000 + turn) % 97
                assert client.get(f"/bytes/{size}", response_type="blob").data == pattern(size)
                done += 1
            return done

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(work, range(8))) == [1_000] * 8
        assert len(origin.requests) == 8_000
        assert origin.high_water <= 3
        assert origin.connections <= 3
        pool = the_pool(client)
        assert pool.open_count == pool.idle_count <= 3


def test_threads_that_switch_at_every_opportunity(nginx: Nginx) -> None:
    """Lost wake-ups and torn bookkeeping show when the interpreter switches threads a thousand times as often."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with SyncAtomHTTP(base_url=nginx.url, max_connections=2, timeout=PATIENCE) as client:

            def work(_: int) -> int:
                return sum(client.get("/json").data["id"] for _ in range(150))

            with ThreadPoolExecutor(6) as threads:
                assert list(threads.map(work, range(6))) == [150] * 6
            pool = the_pool(client)
            assert pool.open_count == pool.idle_count <= 2
    finally:
        sys.setswitchinterval(interval)


def test_short_lived_threads_use_few_connections(origin: Origin) -> None:
    with SyncAtomHTTP(base_url=origin.url) as client:
        for _ in range(300):
            thread = threading.Thread(target=client.get, args=("/bytes/1",))
            thread.start()
            thread.join()
        assert len(origin.requests) == 300
        assert origin.connections == 1
        assert len(client._units._free) == 1


def test_a_stream_may_be_read_in_another_thread(nginx: Nginx) -> None:
    """And the thread that opened it may go on using the client meanwhile."""
    with SyncAtomHTTP(base_url=nginx.url) as client:
        stream = client.get("/blob", response_type="stream").data
        found: list[bytes] = []
        thread = threading.Thread(target=lambda: found.append(stream.read()))
        thread.start()
        for _ in range(50):
            assert client.get("/json").data["id"] == 1
        thread.join(PATIENCE)
        assert found == [BLOB]


def test_an_unread_stream_is_nobodys_business_but_its_readers(nginx: Nginx) -> None:
    """Between two reads no unit watches it: another call must not be woken by it, nor take it along when it ends."""
    with SyncAtomHTTP(base_url=nginx.url) as client:
        stream = client.get("/blob", response_type="stream").data
        (unit,) = client._units._free
        assert unit.reactor.handler_count == 0
        first = stream.read(10)
        assert unit.reactor.handler_count == 0
        assert first + stream.read() == BLOB


def test_waiters_of_other_threads_are_woken(origin: Origin) -> None:
    with SyncAtomHTTP(base_url=origin.url, max_connections=1) as client, ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(client.get, "/delay/60") for _ in range(4)]
        origin.wait_for_requests(1)
        origin.release.set()
        assert [call.result(PATIENCE).data for call in calls] == ["late"] * 4
        assert origin.connections == 1


def test_close_from_another_thread_ends_calls_and_waiters(origin: Origin) -> None:
    client = SyncAtomHTTP(base_url=origin.url, max_connections=2)
    with ThreadPoolExecutor(5) as threads:
        calls = [threads.submit(client.get, "/delay/60") for _ in range(5)]
        origin.wait_for_requests(2)
        pool = the_pool(client)
        with origin.change:
            origin.change.wait_for(lambda: sum(len(each.waiting) for each in pool._queues) == 3, 2)
        client.close()
        assert [type(call.exception(PATIENCE)) for call in calls] == [AtomHTTPClosedError] * 5
    with pytest.raises(AtomHTTPClosedError):
        client.get("/bytes/1")
    client.close()


def test_close_from_another_thread_does_not_pass_for_the_end_of_a_body() -> None:
    """A body that the end of the stream delimits must not look complete because we ended it ourselves."""
    go = threading.Event()
    with Peer([expect_head(), send(b"HTTP/1.1 200 OK\r\n\r\nhalf"), wait(go), hold()]) as peer:
        client = SyncAtomHTTP()
        with ThreadPoolExecutor(1) as threads:
            call = threads.submit(client.get, peer.url)
            pool = None
            while pool is None or not any(each.call and each.call.head for each in list(pool.connections)):
                pool = next(iter(client._adapter.pools), None)
            client.close()
            assert type(call.exception(PATIENCE)) is AtomHTTPClosedError
        go.set()


# Interrupts


SCENARIOS: dict[str, Callable[[SyncAtomHTTP], Any]] = {
    "warm": lambda client: client.get("/bytes/9"),
    "cold": lambda client: client.get("/bytes/9", keep_alive=False),
    "stream": lambda client: client.get("/bytes/9", response_type="stream").data.read(),
    "upload": lambda client: client.post("/echo", data=iter([b"one", b"two"])),
}


@pytest.mark.filterwarnings(*EXPECTED)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_an_interrupt_at_any_line_leaves_the_client_usable(origin: Origin, scenario: str) -> None:
    client = SyncAtomHTTP(base_url=origin.url, max_connections=1_000)
    count = 0
    for _, where in steps(lambda _: lambda: SCENARIOS[scenario](client), stride=3):
        count += 1
        assert client.get("/bytes/3", response_type="blob").data == pattern(3), where
    assert count > 30
    client.close()
    gc.collect()
    assert not [each for each in client._units._free if not each.reactor.closed]


@pytest.mark.filterwarnings(*EXPECTED)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_an_interrupt_at_any_line_leaves_the_counts_true(origin: Origin, scenario: str) -> None:
    with SyncAtomHTTP(base_url=origin.url, max_connections=1_000) as client:
        client.get("/bytes/1")
        problems = []
        for number, where in steps(lambda _: lambda: SCENARIOS[scenario](client), stride=1):
            client.get("/bytes/3")
            pool = the_pool(client)
            alive = sum(not each.closed for each in pool.connections)
            if not pool.open_count == pool.idle_count == alive == 1:
                problems.append(
                    f"line {number}, {where}: open {pool.open_count}, idle {pool.idle_count}, {alive} alive"
                )
                pool.abandon()
        gc.collect()
        assert not problems, "\n".join(problems)


def test_a_signal_while_waiting(origin: Origin) -> None:
    """Control-C during the wait for a response."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with SyncAtomHTTP(base_url=origin.url) as client:
            stream = client.get("/bytes/1000000", response_type="stream").data
            for _ in range(5):
                requests = len(origin.requests)

                def knock(requests: int = requests) -> None:
                    origin.wait_for_requests(requests + 1)
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

                thread = threading.Thread(target=knock)
                thread.start()
                with pytest.raises(KeyboardInterrupt):
                    client.get("/delay/60")
                thread.join()
                assert client.get("/bytes/3").ok
            # What somebody else had open is not touched by it.
            assert stream.read() == pattern(1_000_000)
            assert the_pool(client).open_count == the_pool(client).idle_count
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_a_unit_that_was_interrupted_is_thrown_away() -> None:
    units = Units(lambda reactor: None)
    used: list[BlockingDriver] = []

    async def fine(unit: BlockingDriver) -> None:
        used.append(unit)

    async def interrupted(unit: BlockingDriver) -> None:
        used.append(unit)
        raise KeyboardInterrupt

    async def failing(unit: BlockingDriver) -> None:
        used.append(unit)
        raise ValueError

    units.run(fine)
    with pytest.raises(ValueError):  # noqa: PT011  # no message: it is the test's own
        units.run(failing)
    with pytest.raises(KeyboardInterrupt):
        units.run(interrupted)
    units.run(fine)
    assert used[0] is used[1] is used[2]
    assert used[3] is not used[0]
    assert used[0].reactor.closed
    units.close()
    assert used[3].reactor.closed


def test_pool_wait_times_out_with_the_reason(origin: Origin) -> None:
    with SyncAtomHTTP(base_url=origin.url, max_connections=1) as client:
        stream = client.get("/bytes/3000000", response_type="stream").data
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            client.get("/bytes/1", timeout=Timeout(pool=0.05))
        assert caught.value.phase == "pool"
        assert "1 connections busy of 1, 1 of them unread streams" in str(caught.value)
        stream.close()
        assert client.get("/bytes/1").ok


def test_an_idle_end_is_seen_at_checkout(origin: Origin) -> None:
    """Nobody watches an idle connection here: it is looked at when it is taken."""
    ends = [expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]
    with Peer([ends, ends]) as peer, SyncAtomHTTP() as client:
        assert client.get(peer.url).content == b"ok"
        # POST would not be sent twice: that it succeeds shows that the end was seen before.
        for thread in peer._threads[1:]:
            thread.join(PATIENCE)
        assert client.post(peer.url, data=b"x").content == b"ok"


def test_a_refused_connect_does_not_use_the_limit_up() -> None:
    with SyncAtomHTTP(max_connections=1) as client:
        for _ in range(3):
            with pytest.raises(AtomHTTPNetworkError, match="ECONNREFUSED"):
                client.get("http://127.0.0.1:1/")
        assert the_pool(client).open_count == 0
