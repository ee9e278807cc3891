"""Loops that come and go, clients that are dropped, what `close` leaves behind, and forks."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import select
import threading
from collections.abc import Callable

import pytest
import uvloop

from atomhttp import AtomHTTP, AtomHTTPClosedError, SyncAtomHTTP
from atomhttp._net.drivers import aio
from atomhttp._net.live import live_reactors
from support.certificates import Certificates
from support.forks import run_in_fork
from support.nginx import Nginx
from support.origin import Origin
from support.server import silent_address

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


def descriptors() -> set[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:
            continue
    return found


# Loops


@pytest.mark.parametrize("kind", LOOPS)
def test_a_thousand_loops_one_after_the_other(nginx: Nginx, kind: str) -> None:
    client = AtomHTTP(base_url=nginx.url)

    async def once() -> None:
        assert (await client.get("/json")).data["id"] == 1

    def run() -> None:
        with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
            runner.run(once())

    run()
    run()
    # Compared with what there was: all but the pools is the process's, not this client's alone.
    gc.collect()
    before = len(descriptors()), len(aio._drivers), len(live_reactors())
    for _ in range(1_000 if kind == "asyncio" else 300):
        run()
    gc.collect()
    after = len(descriptors()), len(aio._drivers), len(live_reactors())
    assert all(now <= then for now, then in zip(after, before, strict=True)), (before, after)
    assert len(client._adapter._pools) == 1
    asyncio.run(client.close())


@pytest.mark.parametrize("kind", LOOPS)
def test_two_loops_at_once_have_a_pool_each(nginx: Nginx, kind: str) -> None:
    client = AtomHTTP(base_url=nginx.url)
    runners = [asyncio.Runner(loop_factory=LOOPS[kind]) for _ in range(2)]

    async def once() -> bool:
        return (await client.get("/json")).ok

    for _ in range(5):
        for runner in runners:
            assert runner.run(once())
    assert len(client._adapter.pools) == 2
    assert [each.open_count for each in client._adapter.pools] == [1, 1]
    runners[0].close()
    runners[1].run(client.close())
    runners[1].close()


# Dropped clients


@pytest.mark.parametrize("kind", LOOPS)
def test_a_dropped_client_lets_go_while_its_loop_runs(nginx: Nginx, kind: str) -> None:
    async def main() -> None:
        before = descriptors()
        client = AtomHTTP(base_url=nginx.url)
        await asyncio.gather(*(client.get("/json") for _ in range(5)))
        assert len(descriptors() - before) >= 5
        del client
        gc.collect()
        for _ in range(3):
            await asyncio.sleep(0)
        left = [each for each in descriptors() - before if "socket:" in each]
        assert not left
        reactor = aio.current().reactor
        assert (reactor.handler_count, reactor.timer_count) == (0, 0)

    with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
        runner.run(main())


@pytest.mark.parametrize("kind", LOOPS)
def test_a_dropped_client_lets_go_after_its_loop_was_closed(nginx: Nginx, kind: str) -> None:
    def run() -> AtomHTTP:
        client = AtomHTTP(base_url=nginx.url)

        async def use() -> None:
            await asyncio.gather(*(client.get("/json") for _ in range(5)))

        with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
            runner.run(use())
        return client

    before = {each for each in descriptors() if "socket:" in each}
    client = run()
    assert len({each for each in descriptors() if "socket:" in each} - before) == 5
    del client
    gc.collect()
    assert {each for each in descriptors() if "socket:" in each} <= before


def test_a_dropped_sync_client_lets_go(nginx: Nginx) -> None:
    before = descriptors()
    client = SyncAtomHTTP(base_url=nginx.url)
    client.get("/json")
    assert len(descriptors() - before) == 1
    del client
    gc.collect()
    assert descriptors() <= before


def test_a_client_dropped_in_another_thread_than_its_loops(nginx: Nginx) -> None:
    """The loop's own thread must do the closing."""

    async def main() -> None:
        before = {each for each in descriptors() if "socket:" in each}
        clients = [AtomHTTP(base_url=nginx.url)]
        await clients[0].get("/json")
        thread = threading.Thread(target=lambda: (clients.clear(), gc.collect()))
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.001)
        for _ in range(3):
            await asyncio.sleep(0.001)
        assert {each for each in descriptors() if "socket:" in each} <= before

    asyncio.run(main())


async def test_a_client_dropped_while_a_call_is_in_flight_finishes_it(origin: Origin) -> None:
    task = asyncio.create_task(AtomHTTP(base_url=origin.url).get("/delay/60"))
    while not origin.requests:
        await asyncio.sleep(0.001)
    gc.collect()
    origin.release.set()
    assert (await task).data == "late"
    del task
    gc.collect()
    await asyncio.sleep(0)


# What close leaves


async def test_close_leaves_nothing(loop_kind: str, nginx: Nginx) -> None:
    before = descriptors()
    loop = asyncio.get_running_loop()
    client = AtomHTTP(base_url=nginx.url)
    await asyncio.gather(*(client.get("/json") for _ in range(10)))
    stream = await client.get("/blob", response_type="stream")
    await client.close()
    reactor = aio.current().reactor
    # The loop's reactor itself stays with the loop: one poller that nobody watches.
    left = [each for each in descriptors() - before if "eventpoll" not in each]
    assert not left
    assert (reactor.handler_count, reactor.timer_count) == (0, 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert [each for each in getattr(loop, "_scheduled", ()) if not each.cancelled()] == []
    assert aio.current()._timer is None
    with pytest.raises(AtomHTTPClosedError):
        while await stream.data.read(500_000):
            pass
    with pytest.raises(AtomHTTPClosedError):
        await client.get("/json")
    await client.close()
    await client.aclose()


async def test_close_ends_calls_in_flight_and_waiting(loop_kind: str, origin: Origin) -> None:
    client = AtomHTTP(base_url=origin.url, max_connections=3)
    calls = [asyncio.create_task(client.get("/delay/60")) for _ in range(8)]
    while len(origin.requests) < 3:
        await asyncio.sleep(0.001)
    await client.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each) for each in results] == [AtomHTTPClosedError] * 8
    assert {each.code for each in results if isinstance(each, AtomHTTPClosedError)} == {"ERR_CLIENT_CLOSED"}
    assert aio.current().reactor.handler_count == 0
    assert len(origin.requests) == 3


async def test_close_during_connect_and_lookup(loop_kind: str) -> None:
    with silent_address() as (host, port):
        client = AtomHTTP()
        calls = [asyncio.create_task(client.get(f"http://{host}:{port}/")) for _ in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        await client.close()
        assert [type(each) for each in await asyncio.gather(*calls, return_exceptions=True)] == (
            [AtomHTTPClosedError] * 3
        )
    assert aio.current().reactor.handler_count == 0
    assert aio.current().reactor.timer_count == 0


def test_close_from_another_loop_after_the_first_was_closed(nginx: Nginx) -> None:
    before = descriptors()
    client = AtomHTTP(base_url=nginx.url)
    asyncio.run(client.get("/json"))
    asyncio.run(client.close())
    assert descriptors() <= before


def test_two_clients_share_a_reactor_and_close_alone(nginx: Nginx) -> None:
    async def main() -> None:
        first, second = AtomHTTP(base_url=nginx.url), AtomHTTP(base_url=nginx.url)
        await asyncio.gather(first.get("/json"), second.get("/json"))
        await first.close()
        assert (await second.get("/json")).ok
        assert second._adapter.pools[0].open_count == 1
        await second.close()

    asyncio.run(main())


# fork


FORK = """
    import asyncio, os, sys
    from atomhttp import AtomHTTP, SyncAtomHTTP

    kind, url, ca = sys.argv[1:4]
    options = {"base_url": url, "verify": ca or True}

    def check(response, who, number):
        echo = response.data
        assert echo["target"] == f"/echo?who={who}&n={number}", echo["target"]
        return echo["connection"]

    if kind == "sync":
        client = SyncAtomHTTP(**options)
        def run(who, count):
            for number in range(count):
                check(client.get(f"/echo?who={who}&n={number}"), who, number)
    else:
        client = AtomHTTP(**options)
        if kind == "uvloop":
            import uvloop
            factory = uvloop.new_event_loop
        else:
            factory = asyncio.new_event_loop
        runner = asyncio.Runner(loop_factory=factory)
        async def ask(who, number):
            check(await client.get(f"/echo?who={who}&n={number}"), who, number)
        async def several(who, count):
            for start in range(0, count, 10):
                await asyncio.gather(*(ask(who, number) for number in range(start, min(start + 10, count))))
        def run(who, count):
            # The child cannot go on in the parent's loop: it makes one of its own.
            global runner
            if who == "child":
                runner = asyncio.Runner(loop_factory=factory)
            runner.run(several(who, count))

    run("before", 10)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            run("child", 100)
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    run("parent", 100)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child failed"
    run("after", 10)
    """


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind", ["sync", "asyncio", "uvloop"])
def test_parent_and_child_go_their_own_ways(request: pytest.FixtureRequest, kind: str, secure: bool) -> None:
    origin: Origin = request.getfixturevalue("tls_origin" if secure else "origin")
    ca = str(request.getfixturevalue("certificates").ca) if secure else ""
    done = run_in_fork(FORK, kind, origin.url, ca)
    assert done.returncode == 0, done.stderr
    used: dict[str, set[int]] = {}
    for each in origin.requests:
        who = each.target.partition("who=")[2].partition("&")[0]
        used.setdefault(who, set()).add(each.connection)
    counts = {who: sum(f"who={who}&" in each.target for each in origin.requests) for who in used}
    assert counts == {"before": 10, "child": 100, "parent": 100, "after": 10}
    assert not used["child"] & (used["before"] | used["parent"] | used["after"]), json.dumps(str(used))
    # The parent's connections were not hurt: it went on with those it had.
    assert used["before"] & used["parent"] & used["after"]


def test_a_lookup_under_way_at_the_fork_is_forgotten_by_the_child(origin: Origin) -> None:
    """The thread that would have answered does not exist there: joining its lookup would wait for ever."""
    done = run_in_fork(
        """
        import os, socket, sys, threading
        from atomhttp import SyncAtomHTTP

        parent = os.getpid()
        asked, answer = threading.Event(), threading.Event()
        look_up = socket.getaddrinfo

        def slow(*arguments, **options):
            if os.getpid() == parent:
                asked.set()
                answer.wait(20)
            return look_up(*arguments, **options)

        socket.getaddrinfo = slow
        client = SyncAtomHTTP(timeout=10)
        thread = threading.Thread(target=client.get, args=(sys.argv[1],))
        thread.start()
        asked.wait(10)
        child = os.fork()
        if not child:
            status = 1
            try:
                status = 0 if SyncAtomHTTP(timeout=5).get(sys.argv[1]).ok else 2
            finally:
                os._exit(status)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        answer.set()
        thread.join()
        sys.exit(code)
        """,
        origin.url.replace("127.0.0.1", "localhost") + "/bytes/1",
    )
    assert done.returncode == 0, done.stderr


def test_the_places_of_the_parents_connections_are_free_in_the_child(origin: Origin) -> None:
    """The reactor has closed what it watched; a pool that still counted it would have the child wait for ever."""
    done = run_in_fork(
        """
        import os, sys
        from atomhttp import SyncAtomHTTP

        client = SyncAtomHTTP(base_url=sys.argv[1], max_connections=1, timeout=5)
        client.get("/bytes/1")
        child = os.fork()
        if not child:
            status = 1
            try:
                status = 0 if client.get("/bytes/1").ok else 2
            finally:
                sys.stderr.flush()
                os._exit(status)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        origin.url,
    )
    assert done.returncode == 0, done.stderr


def test_a_stream_that_nobody_reads_at_the_fork_is_the_parents_alone(
    tls_origin: Origin, certificates: Certificates
) -> None:
    """No reactor watches it. The child's goodbye would be of the parent's connection, and use up a record's number."""
    done = run_in_fork(
        """
        import gc, os, sys
        from atomhttp import SyncAtomHTTP

        client = SyncAtomHTTP(base_url=sys.argv[1], verify=sys.argv[2], timeout=5)
        response = client.get("/bytes/2000000", response_type="stream")
        size = len(response.data.read(1000))
        child = os.fork()
        if not child:
            status = 1
            try:
                response.data.close()
                del response, client
                gc.collect()
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child failed"
        while piece := response.data.read(100_000):
            size += len(piece)
        assert size == 2_000_000, size
        assert client.get("/echo").data["connection"] == 0
        """,
        tls_origin.url,
        certificates.ca,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="other pollers are not shared with a child")
def test_the_child_puts_nothing_into_the_parents_poller(origin: Origin) -> None:
    """A forked process has the same epoll: what it registered there would wake the parent."""
    done = run_in_fork(
        """
        import os, sys
        from atomhttp import SyncAtomHTTP

        def watched():
            found = []
            for name in os.listdir("/proc/self/fd"):
                try:
                    if "eventpoll" in os.readlink(f"/proc/self/fd/{name}"):
                        lines = open(f"/proc/self/fdinfo/{name}").read().splitlines()
                        found += [line for line in lines if line.startswith("tfd:")]
                except FileNotFoundError:
                    continue
            return sorted(found)

        client = SyncAtomHTTP(base_url=sys.argv[1], timeout=5)
        client.all([client.defer.get("/bytes/1") for _ in range(3)])
        before = watched()
        assert before
        (asked, ask), (answer, reply) = os.pipe(), os.pipe()
        child = os.fork()
        if not child:
            status = 1
            try:
                client.all([client.defer.get("/bytes/1") for _ in range(3)])
                os.write(ask, b"x")
                # Its connections are open as long as the parent looks.
                os.read(answer, 1)
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        os.close(ask)
        os.read(asked, 1)
        after = watched()
        os.write(reply, b"x")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child failed"
        assert after == before, (before, after)
        """,
        origin.url,
    )
    assert done.returncode == 0, done.stderr
