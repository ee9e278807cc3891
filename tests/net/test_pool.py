"""The pool as a client sees it: who gets a connection, who waits, what is kept, and what is never shared."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPClosedError,
    AtomHTTPNetworkError,
    AtomHTTPTimeoutError,
    AtomHTTPTLSError,
    HTTPAdapter,
    SyncAtomHTTP,
    Timeout,
)
from atomhttp._net import pool as pools
from atomhttp._net.drivers import aio
from atomhttp._net.http1 import Http1Connection
from atomhttp._net.pool import Pool
from atomhttp._net.pool_policy import Decision, Facts, Turns, decide
from atomhttp._net.reactor import RECENT
from support.certificates import Certificates
from support.clock import VirtualClockLoop
from support.nginx import Nginx
from support.origin import Answer, Origin, Received, pattern
from support.peer import Peer, drain, expect_end, expect_head, send, signal, wait
from support.server import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
INSECURE = pytest.mark.filterwarnings("ignore::atomhttp.InsecureRequestWarning")


def the_pool(client: AtomHTTP) -> Pool:
    (pool,) = client._adapter.pools
    return pool


def counts(client: AtomHTTP) -> tuple[int, int]:
    """Open, and idle among them."""
    return the_pool(client).open_count, the_pool(client).idle_count


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


# Decisions


def test_decisions() -> None:
    def facts(idle: int = 0, opened: int = 0, any_idle: bool = False, open_total: int = 0, per_route: int = 0) -> Facts:
        return Facts(idle, opened, any_idle, open_total, 10, per_route)

    assert decide(facts(idle=1, opened=1, any_idle=True, open_total=10)) is Decision.REUSE
    assert decide(facts()) is Decision.OPEN
    assert decide(facts(open_total=9)) is Decision.OPEN
    assert decide(facts(open_total=10)) is Decision.WAIT
    assert decide(facts(open_total=10, any_idle=True)) is Decision.EVICT_THEN_OPEN
    assert decide(facts(opened=2, open_total=2, per_route=2)) is Decision.WAIT
    # A route at its own limit evicts nobody: it would gain nothing.
    assert decide(facts(opened=2, open_total=10, any_idle=True, per_route=2)) is Decision.WAIT
    assert decide(facts(opened=1, open_total=5, per_route=2)) is Decision.OPEN


# Reuse


async def test_one_connection_serves_all_that_come_in_turn(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        for _ in range(200):
            await client.get("/bytes/1")
        assert counts(client) == (1, 1)
    assert origin.connections == 1
    assert len(origin.requests) == 200


async def test_the_newest_idle_connection_is_taken_first(origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        await asyncio.gather(*(client.get("/bytes/1") for _ in range(5)))
        used = [(await client.get("/echo")).data["connection"] for _ in range(6)]
        assert len(set(used)) == 1
        assert counts(client) == (5, 5)


async def test_keep_alive_false_reuses_nothing(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url, keep_alive=False) as client:
        for _ in range(3):
            response = await client.get("/echo")
            assert ["Connection", "close"] in response.data["headers"]
            assert counts(client) == (0, 0)
    assert origin.connections == 3


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: Upgrade, CLOSE\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", True),
    ],
)
async def test_what_the_server_says_about_keeping(head: bytes, kept: bool) -> None:
    with Peer([expect_head(), send(head + b"Content-Length: 2\r\n\r\nok"), drain()]) as peer:
        async with AtomHTTP() as client:
            assert (await client.get(peer.url)).text == "ok"
            assert counts(client) == ((1, 1) if kept else (0, 0))


async def test_a_server_of_the_old_version(loop_kind: str) -> None:
    with Origin(version="HTTP/1.0") as origin:
        async with AtomHTTP(base_url=origin.url, response_type="blob") as client:
            for size in (0, 1, 300_000):
                response = await client.get(f"/bytes/{size}")
                assert response.data == pattern(size)
                assert response.http_version == "1.0"
            assert counts(client) == (0, 0)
    assert origin.connections == 3


async def test_two_clients_may_share_an_adapter(origin: Origin) -> None:
    adapter = HTTPAdapter()
    first, second = AtomHTTP(adapter=adapter), AtomHTTP(adapter=adapter)
    await first.get(origin.url + "/bytes/1")
    await second.get(origin.url + "/bytes/1")
    await first.close()
    # A caller's own adapter is the caller's to close.
    await second.get(origin.url + "/bytes/1")
    assert origin.connections == 1
    await adapter.close()


async def test_a_reused_connection_is_not_haunted_by_the_timers_of_its_past(
    virtual_clock: VirtualClockLoop, origin: Origin
) -> None:
    async with AtomHTTP(base_url=origin.url, keep_alive_timeout=None, timeout=Timeout(read=2, total=60)) as client:
        for _ in range(4):
            await client.get("/bytes/1")
            await asyncio.sleep(10)
    assert origin.connections == 1


# Limits


async def test_the_total_limit_is_kept(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url, max_connections=7) as client:
        await asyncio.gather(*(client.get("/bytes/1") for _ in range(200)))
        assert counts(client) == (7, 7)
    assert origin.connections == 7
    assert origin.high_water <= 7


async def test_the_limit_of_an_origin_is_kept(loop_kind: str) -> None:
    with Origin() as first, Origin() as second:
        async with AtomHTTP(max_connections_per_origin=2) as client:
            await asyncio.gather(*(client.get(each.url + "/bytes/1") for _ in range(40) for each in (first, second)))
        assert first.connections == second.connections == 2


async def test_waiters_are_served_in_the_order_they_came(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url, max_connections=1) as client:
        tasks = [asyncio.create_task(client.get(f"/bytes/{number}")) for number in range(30)]
        await asyncio.gather(*tasks)
    assert [each.path for each in origin.requests] == [f"/bytes/{number}" for number in range(30)]


async def test_nobody_waits_behind_a_full_origin() -> None:
    """The oldest waiter belongs to an origin at its limit; a younger one of another origin goes first."""
    with Origin() as busy, Origin() as free:
        async with AtomHTTP(max_connections=2, max_connections_per_origin=1) as client:
            held = asyncio.create_task(client.get(busy.url + "/delay/60"))
            await until(lambda: len(busy.requests) == 1)
            behind = asyncio.create_task(client.get(busy.url + "/bytes/1"))
            await asyncio.sleep(0)
            assert (await client.get(free.url + "/bytes/1")).ok
            assert not behind.done()
            busy.release.set()
            await asyncio.gather(held, behind)


async def test_the_oldest_gets_the_place_of_another_origins_idle_connection() -> None:
    with Origin() as first, Origin() as second, Origin() as third:
        async with AtomHTTP(max_connections=2) as client:
            await client.get(first.url + "/bytes/1")
            await client.get(second.url + "/bytes/1")
            assert counts(client) == (2, 2)
            assert (await client.get(third.url + "/bytes/1")).ok
            assert counts(client) == (2, 2)
            # The one that had been idle longest went: the second's is still there.
            assert (await client.get(second.url + "/echo")).data["connection"] == 0
            assert (await client.get(first.url + "/echo")).data["connection"] == 1
            assert counts(client) == (2, 2)


async def test_of_one_origins_idle_connections_the_one_that_was_idle_longest_goes() -> None:
    with Origin() as first, Origin() as second:
        async with AtomHTTP(max_connections=2) as client:
            held = asyncio.create_task(client.get(first.url + "/delay/60"))
            await until(lambda: len(first.requests) == 1)
            assert (await client.get(first.url + "/echo")).data["connection"] == 1
            first.release.set()
            await held
            assert counts(client) == (2, 2)
            await client.get(second.url + "/bytes/1")
            assert counts(client) == (2, 2)
            assert (await client.get(first.url + "/echo")).data["connection"] == 0


async def test_a_place_that_comes_free_goes_to_another_origins_waiter() -> None:
    """The connection given back is of no use to who waits: it makes room."""
    with Origin() as first, Origin() as second:
        async with AtomHTTP(max_connections=1) as client:
            held = asyncio.create_task(client.get(first.url + "/delay/60"))
            await until(lambda: len(first.requests) == 1)
            waiting = [asyncio.create_task(client.get(second.url + f"/bytes/{number}")) for number in range(3)]
            await asyncio.sleep(0)
            first.release.set()
            await asyncio.gather(held, *waiting)
            assert counts(client) == (1, 1)


async def test_a_refused_connect_gives_its_place_to_the_next(origin: Origin) -> None:
    async with AtomHTTP(max_connections=1) as client:
        results = await asyncio.gather(
            *(client.get("http://127.0.0.1:1/" if number % 2 else origin.url + "/bytes/1") for number in range(20)),
            return_exceptions=True,
        )
        assert [isinstance(each, AtomHTTPNetworkError) for each in results] == [False, True] * 10
        assert counts(client)[0] == counts(client)[1] <= 1


@pytest.mark.parametrize("limits", [{"max_connections": 5}, {"max_connections": 400, "max_connections_per_origin": 1}])
async def test_what_a_grant_looks_at_does_not_grow_with_the_origins_that_wait(
    monkeypatch: pytest.MonkeyPatch, origin: Origin, limits: dict[str, int]
) -> None:
    """Each looked at all of them, and for each counted all connections: a thousand origins took two minutes."""
    looks: list[Facts] = []

    def look(*facts: Any) -> Facts:
        looks.append(Facts(*facts))
        return looks[-1]

    monkeypatch.setattr(pools, "Facts", look)
    names = [f"h{number}.test" for number in range(200)]
    async with AtomHTTP(hosts=dict.fromkeys(names, "127.0.0.1"), **limits) as client:
        urls = [f"http://{name}:{origin.url.rpartition(':')[2]}/bytes/1" for name in names]
        results = await asyncio.gather(*(client.get(url) for url in urls * 3))
        assert [each.status for each in results] == [200] * 600
        assert not the_pool(client)._queues
    # For who comes, who is first, and what is left; and for those who are passed over.
    assert len(looks) <= 10 * len(results)


async def test_who_was_given_a_connection_that_closed_waits_in_its_old_place(origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url, max_connections=1) as client:
        held = asyncio.create_task(client.get("/delay/60"))
        await until(lambda: len(origin.requests) == 1)
        tasks = [asyncio.create_task(client.get(f"/bytes/{number}")) for number in range(4)]
        await asyncio.sleep(0)
        pool = the_pool(client)
        serve, closed = pool._serve_waiters, []

        def serve_and_close(changed: Any) -> None:
            [given] = pool.connections
            serve(changed)
            if not closed:
                closed.append(given)
                pool._serve_waiters = serve  # type: ignore[method-assign]  # as it was
                given.close()

        pool._serve_waiters = serve_and_close  # type: ignore[method-assign]  # the moment between grant and use
        origin.release.set()
        await asyncio.gather(held, *tasks)
        assert closed
    # The place of the one that closed was the second's; the first comes right after, not last.
    assert [each.path for each in origin.requests[1:]] == [f"/bytes/{number}" for number in (1, 0, 2, 3)]


async def test_a_limit_that_was_lowered_is_reached_under_load() -> None:
    """One that came free was given up for a new one, as long as anybody waited."""
    with Origin() as first, Origin() as second:
        async with AtomHTTP(max_connections=8) as client:
            await asyncio.gather(*(client.get(each.url + "/bytes/1") for each in (first, second) * 4))
            assert counts(client)[0] == 8
            client.defaults.max_connections = 2
            await asyncio.gather(*(client.get(each.url + "/bytes/1") for each in (first, second) * 40))
            assert counts(client)[0] <= 2


def test_an_interrupt_among_the_turns_is_the_end_of_one_call_only(
    monkeypatch: pytest.MonkeyPatch, origin: Origin
) -> None:
    """What it left there was met by every later grant."""
    armed: list[bool] = []
    usual = Turns.offer

    def offer(self: Turns, number: int, queue: Any) -> None:
        usual(self, number, queue)
        if armed:
            armed.clear()
            raise KeyboardInterrupt

    monkeypatch.setattr(Turns, "offer", offer)
    with SyncAtomHTTP(base_url=origin.url, max_connections=1, timeout=PATIENCE) as client:
        with client.get("/bytes/9000000", response_type="stream") as held:
            armed.append(True)
            with pytest.raises(KeyboardInterrupt):
                client.get("/bytes/1")
            assert not armed
            assert len(held.data.read()) == 9_000_000
        with Origin() as other:
            assert client.get(other.url + "/bytes/1").ok
        assert client.get("/bytes/1").ok
        (pool,) = client._adapter.pools
        assert not pool._queues
        assert not pool._turns._queues


def test_who_reads_on_while_the_client_closes_is_told(monkeypatch: pytest.MonkeyPatch, origin: Origin) -> None:
    """Its stream has lost its connection by then, and nobody would wake it."""
    found: list[BaseException] = []
    usual = Pool.forget

    def forget(self: Pool, connection: Any) -> None:
        def read() -> None:
            try:
                stream.read(1_000_000)
            except AtomHTTPClosedError as error:
                found.append(error)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(PATIENCE)
        assert not reader.is_alive()
        usual(self, connection)

    with SyncAtomHTTP(base_url=origin.url, timeout=None) as client:
        stream = client.get("/bytes/2000000", response_type="stream").data
        assert stream.read(1) == b"\0"
        monkeypatch.setattr(Pool, "forget", forget)
        client.close()
    assert [str(error) for error in found] == ["the client has been closed"]


# Cancelled waiters


async def test_a_grant_that_meets_a_cancellation_is_passed_on(loop_kind: str, origin: Origin) -> None:
    """The connection is given back and the waiter cancelled in the same tick: the next one gets it."""
    async with AtomHTTP(base_url=origin.url, max_connections=1) as client:
        held = asyncio.create_task(client.get("/delay/60"))
        await until(lambda: len(origin.requests) == 1)
        first = asyncio.create_task(client.get("/bytes/1"))
        second = asyncio.create_task(client.get("/bytes/2"))
        await asyncio.sleep(0)
        pool = the_pool(client)
        serve, granted = pool._serve_waiters, []

        def serve_and_cancel(changed: Any) -> None:
            serve(changed)
            if not granted:
                granted.append(True)
                first.cancel()

        pool._serve_waiters = serve_and_cancel  # type: ignore[method-assign]
        origin.release.set()
        assert (await held).data == "late"
        assert granted
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await second).ok
        assert counts(client) == (1, 1)
    assert [each.path for each in origin.requests] == ["/delay/60", "/bytes/2"]
    assert origin.connections == 1


async def test_a_granted_place_that_meets_a_cancellation_is_passed_on(origin: Origin) -> None:
    """The same where no connection was given, but the right to open one."""
    async with AtomHTTP(base_url=origin.url, max_connections=1) as client:
        held = asyncio.create_task(client.get("/delay/60", keep_alive=False))
        await until(lambda: len(origin.requests) == 1)
        tasks = [asyncio.create_task(client.get(f"/bytes/{number}")) for number in range(3)]
        await asyncio.sleep(0)
        pool = the_pool(client)
        serve, granted = pool._serve_waiters, []

        def serve_and_cancel(changed: Any) -> None:
            serve(changed)
            if not granted:
                granted.append(True)
                tasks[0].cancel()

        pool._serve_waiters = serve_and_cancel  # type: ignore[method-assign]
        origin.release.set()
        await held
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each).__name__ for each in results] == ["CancelledError", "Response", "Response"]
        assert counts(client) == (1, 1)


async def test_a_passed_on_connection_still_expires(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    """One that nobody wants after all is idle like any other, its time included."""
    async with AtomHTTP(base_url=origin.url, max_connections=1) as client:
        held = asyncio.create_task(client.get("/delay/60"))
        await until(lambda: len(origin.requests) == 1)
        only = asyncio.create_task(client.get("/bytes/1"))
        await asyncio.sleep(0)
        pool = the_pool(client)
        serve = pool._serve_waiters

        def serve_and_cancel(changed: Any) -> None:
            serve(changed)
            only.cancel()

        pool._serve_waiters = serve_and_cancel  # type: ignore[method-assign]
        origin.release.set()
        await held
        with pytest.raises(asyncio.CancelledError):
            await only
        assert counts(client) == (1, 1)
        await asyncio.sleep(4.2)
        assert counts(client) == (0, 0)


async def test_four_thousand_cancellations_and_then_all_is_well(loop_kind: str, origin: Origin) -> None:
    chance = random.Random(11)
    async with AtomHTTP(base_url=origin.url, max_connections=10) as client:
        cancelled = 0
        while cancelled < 4_000:
            tasks = [asyncio.create_task(client.get("/bytes/1")) for _ in range(100)]
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            for each in tasks:
                if chance.random() < 0.9:
                    each.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            cancelled += sum(isinstance(each, asyncio.CancelledError) for each in results)
            assert not [each for each in results if isinstance(each, Exception)]
            opened, idle = counts(client)
            assert opened == idle <= 10
        results = await asyncio.gather(*(client.get("/bytes/1") for _ in range(20)))
        assert [each.status for each in results] == [200] * 20
        pool = the_pool(client)
        assert pool.open_count == pool.idle_count == len(pool.connections) <= 10
        assert not pool._queues


# Time


async def test_idle_connections_are_closed_after_four_seconds(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        await client.get("/bytes/1")
        await asyncio.sleep(3.9)
        assert counts(client) == (1, 1)
        await client.get("/bytes/1")
        await asyncio.sleep(3.9)
        assert counts(client) == (1, 1), "counted from its last use"
        await asyncio.sleep(0.2)
        assert counts(client) == (0, 0)
        assert aio.current().reactor.timer_count == 0
    assert origin.connections == 1


async def test_the_servers_keep_alive_less_one_second_wins(virtual_clock: VirtualClockLoop) -> None:
    def answer(request: Received) -> Answer:
        return Answer(b"ok", headers=[("Keep-Alive", f"timeout={request.path[1:]}, max=100")])

    with Origin(routes={f"/{seconds}": answer for seconds in (1, 3, 60)}) as origin:
        async with AtomHTTP(base_url=origin.url) as client:
            await client.get("/3")
            await asyncio.sleep(1.9)
            assert counts(client) == (1, 1)
            await asyncio.sleep(0.2)
            assert counts(client) == (0, 0)
            await client.get("/60")
            await asyncio.sleep(58.9)
            assert counts(client) == (1, 1)
            await asyncio.sleep(0.2)
            assert counts(client) == (0, 0)
            # Nothing would be left of one second: not kept at all.
            await client.get("/1")
            assert counts(client) == (0, 0)


async def test_each_idle_connection_has_its_own_time(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url, keep_alive_timeout=10) as client:
        await asyncio.gather(*(client.get("/bytes/1") for _ in range(4)))
        await asyncio.sleep(6)
        await client.get("/bytes/1")
        await asyncio.sleep(5)
        assert counts(client) == (1, 1)
        await asyncio.sleep(5.2)
        assert counts(client) == (0, 0)


async def test_a_connection_has_a_life_time(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url, connection_lifetime=10) as client:
        for _ in range(8):
            await client.get("/bytes/1")
            await asyncio.sleep(3)
    assert origin.connections == 2


async def test_waiting_too_long_says_who_is_busy(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url, max_connections=3) as client:
        stream = await client.get("/bytes/5000000", response_type="stream")
        held = [asyncio.create_task(client.get("/delay/60", timeout=None)) for _ in range(2)]
        await until(lambda: len(origin.requests) == 3)
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.get("/bytes/1", timeout=Timeout(pool=1.5, total=20))
        assert caught.value.phase == "pool"
        assert caught.value.limit == 1.5
        assert 1.5 <= caught.value.elapsed < 1.6
        assert "3 connections busy of 3, 1 of them unread streams" in str(caught.value)
        # Who went away is not served.
        await stream.data.aclose()
        assert (await client.get("/bytes/1")).ok
        origin.release.set()
        await asyncio.gather(*held)


# The key


@INSECURE
async def test_verify_is_part_of_the_key(tls_origin: Origin, certificates: Certificates) -> None:
    """verify=False must not stick to a connection that a call with verify=True then gets."""
    async with AtomHTTP(base_url=tls_origin.url) as client:
        assert (await client.get("/bytes/1", verify=False)).ok
        for verify in (True, False, True):
            if verify:
                with pytest.raises(AtomHTTPTLSError):
                    await client.get("/bytes/1", verify=True)
            else:
                assert (await client.get("/echo", verify=False)).data["connection"] == 0
        assert (await client.get("/echo", verify=str(certificates.ca))).data["connection"] > 0


async def test_everything_that_changes_the_peer_is_part_of_the_key(certificates: Certificates, tmp_path: Path) -> None:
    with (
        Origin(unix=tmp_path / "one") as one,
        Origin(unix=tmp_path / "two") as two,
        Origin(tls=certificates.server_context(), unix=tmp_path / "secure") as secure,
        Origin() as plain,
    ):
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            for _ in range(2):
                for path, server in (("one", one), ("two", two)):
                    await client.get("http://localhost/bytes/1", socket_path=str(tmp_path / path))
                    assert len(server.requests)
                await client.get("https://localhost/bytes/1", socket_path=str(tmp_path / "secure"))
                await client.get(
                    "https://localhost/bytes/1",
                    socket_path=str(tmp_path / "secure"),
                    cert=str(certificates.client),
                )
                await client.get(plain.url + "/bytes/1")
                await client.get(plain.url.replace("127.0.0.1", "localhost") + "/bytes/1")
        # Twice each, by a connection each.
        assert [len(each.requests) for each in (one, two, secure, plain)] == [2, 2, 4, 4]
        assert [each.connections for each in (one, two, secure, plain)] == [1, 1, 2, 2]


# Idle ends


async def test_the_end_of_an_idle_connection_is_noticed_at_once(loop_kind: str) -> None:
    go, gone = threading.Event(), threading.Event()
    with Peer([[expect_head(), send(OK), wait(go), signal(gone)], [expect_head(), send(OK), drain()]]) as peer:
        async with AtomHTTP() as client:
            await client.get(peer.url)
            assert counts(client) == (1, 1)
            go.set()
            await until(lambda: counts(client) == (0, 0))
            assert (await client.post(peer.url, data=b"x")).text == "ok"


async def test_a_408_on_an_idle_connection_answers_nobody(loop_kind: str) -> None:
    """A server that says why it closes, before anybody asks."""
    go = threading.Event()
    farewell = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    scripts = [[expect_head(), send(OK), wait(go), send(farewell)], [expect_head(), send(OK), drain()]]
    with Peer(scripts) as peer:
        async with AtomHTTP() as client:
            await client.get(peer.url)
            go.set()
            await until(lambda: counts(client) == (0, 0))
            assert (await client.post(peer.url, data=b"x")).status == 200


async def test_checkout_looks_once_more(origin: Origin) -> None:
    """The end has come, and the loop has not had its turn since: the connection is not used."""
    go, gone = threading.Event(), threading.Event()
    scripts = [[expect_head(), send(OK), wait(go)], [expect_head(), send(OK), drain()]]
    with Peer(scripts) as peer:
        async with AtomHTTP() as client:
            await client.get(peer.url)
            go.set()
            for thread in peer._threads[1:]:
                thread.join(PATIENCE)
            gone.wait(2 * RECENT)  # past what counts as "just now"
            assert counts(client) == (1, 1)
            assert (await client.post(peer.url, data=b"x")).text == "ok"


async def test_a_connection_is_given_back_exactly_once(nginx: Nginx, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Http1Connection] = []
    release = Pool.release

    def spy(self: Pool, connection: Http1Connection) -> None:
        assert connection.call is None
        assert connection not in connection.bucket.idle
        given.append(connection)
        release(self, connection)

    monkeypatch.setattr(Pool, "release", spy)
    async with AtomHTTP(base_url=nginx.url, max_connections=5) as client:
        await asyncio.gather(*(client.get("/json") for _ in range(100)))
    assert len(given) == 100


async def test_surplus_that_comes_with_a_response_spoils_the_connection() -> None:
    with Peer([[expect_head(), send(OK + b"x"), expect_end()], [expect_head(), send(OK), drain()]]) as peer:
        async with AtomHTTP() as client:
            assert (await client.get(peer.url)).text == "ok"
            assert counts(client) == (0, 0)
            assert (await client.get(peer.url)).text == "ok"
