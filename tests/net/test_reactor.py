"""The reactor on real pollers and real descriptors: fairness, stale events, failures, and what a loop sees of it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import itertools
import os
import select
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from atomhttp import AtomHTTP
from atomhttp._net.drivers import aio
from atomhttp._net.drivers.blocking import BlockingDriver
from atomhttp._net.http1 import Http1Connection
from atomhttp._net.pollers import IN, PollPoller, SelectPoller, build_nested_poller
from atomhttp._net.reactor import BATCH, IN_SIGHT, RECENT, Reactor
from atomhttp._net.reactor import Handler as AnyHandler
from support.origin import Origin, pattern
from support.peer import Peer, expect_head, send, wait
from support.server import PATIENCE

POLLERS = {"epoll": select.epoll, "poll": PollPoller, "select": SelectPoller}


class Handler(AnyHandler):
    """Reads its socket, and does what the test says."""

    def __init__(self, reactor: Reactor, act: Callable[[Handler], None] = lambda _: None) -> None:
        self.reactor = reactor
        self.act = act
        self.sock, self.peer = socket.socketpair()
        self.sock.setblocking(False)
        self.fd = self.sock.fileno()
        self.calls = 0
        self.received = b""
        self.failure: BaseException | None = None
        reactor.register(self.fd, IN, self)

    def on_ready(self, mask: int) -> None:
        self.calls += 1
        self.received += self.sock.recv(100)
        self.act(self)

    def fail(self, error: BaseException) -> None:
        self.failure = error
        self.drop()

    def drop(self) -> None:
        if self.sock.fileno() >= 0:
            self.reactor.unregister(self.fd)
            self.reactor.close(self.sock)

    def close(self) -> None:
        self.drop()
        self.peer.close()


@pytest.fixture
def driver() -> Iterator[BlockingDriver]:
    """It has a reactor of its own, which is closed at the end."""
    made = BlockingDriver()
    yield made
    made.reactor.close_all()


@pytest.fixture(params=list(POLLERS))
def reactor(request: pytest.FixtureRequest, driver: BlockingDriver) -> Iterator[Reactor]:
    made = Reactor(POLLERS[request.param](), driver)
    yield made
    made.close_all()


@pytest.fixture
def handlers() -> Iterator[list[Handler]]:
    """Handlers that are closed at the end."""
    made: list[Handler] = []
    yield made
    for each in made:
        each.close()


# Fairness


class CountingEpoll:
    """epoll, with the size of each batch written down."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.register = self._epoll.register
        self.modify = self._epoll.modify
        self.unregister = self._epoll.unregister
        self.fileno = self._epoll.fileno
        self.close = self._epoll.close
        self.batches: list[int] = []

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        events = self._epoll.poll(timeout, most)
        self.batches.append(len(events))
        return events


def test_serves_all_that_is_ready_a_batch_a_pass(handlers: list[Handler], driver: BlockingDriver) -> None:
    poller = CountingEpoll()
    reactor = Reactor(poller, driver)
    handlers += [Handler(reactor) for _ in range(100)]
    for each in handlers:
        each.peer.send(b"x")
    served = []
    while sum(served) < 100:
        before = sum(each.calls for each in handlers)
        reactor.run_ready()
        served.append(sum(each.calls for each in handlers) - before)
    # Every batch whole, and nobody served twice before all were once.
    assert served == poller.batches == [BATCH, BATCH, BATCH, 100 - 3 * BATCH]
    assert [each.calls for each in handlers] == [1] * 100
    reactor.close_all()


def test_what_is_too_much_to_look_at_is_not_looked_at_again_for_a_while(
    handlers: list[Handler], driver: BlockingDriver
) -> None:
    poller = CountingEpoll()
    reactor = Reactor(poller, driver)
    handlers += [Handler(reactor) for _ in range(IN_SIGHT)]
    for each in handlers:
        each.peer.send(b"x")
    assert [reactor.look(1000 + part * RECENT) for part in (0, 0.5, 0.9, 1.5, 1.6)] == [False] * 5
    assert len(poller.batches) == 2
    handlers[0].close()
    assert reactor.look(1000 + 3 * RECENT)
    assert set(reactor.readable) == {each.fd for each in handlers[1:]}
    reactor.close_all()


async def test_the_loop_gets_its_turn_between_passes(handlers: list[Handler]) -> None:
    loop = asyncio.get_running_loop()
    reactor = aio.AsyncioDriver(loop).reactor
    turns: list[int] = []

    def turn() -> None:
        turns.append(sum(each.calls for each in handlers))
        if turns[-1] < 4 * BATCH:
            loop.call_soon(turn)

    handlers += [Handler(reactor) for _ in range(4 * BATCH)]
    for each in handlers:
        each.peer.send(b"x")
    turn()
    async with asyncio.timeout(PATIENCE):
        while turns[-1] < 4 * BATCH:
            await asyncio.sleep(0)
    assert sorted(set(turns)) == [0, BATCH, 2 * BATCH, 3 * BATCH, 4 * BATCH]
    for each in handlers:
        each.close()
    reactor.close_all()


# Stale events


def test_a_handler_may_close_another_one_of_its_batch(reactor: Reactor, handlers: list[Handler]) -> None:
    """The event of the closed one is stale; its number must not reach a new owner inside the batch."""
    successors: list[Handler] = []

    def kill_others(killer: Handler) -> None:
        for victim in [each for each in pair if each is not killer and each.sock.fileno() >= 0]:
            victim.drop()
            # Still open, so that the number is not given out again before the batch has ended.
            assert victim.sock.fileno() == victim.fd
            successors.append(Handler(reactor))
            assert successors[-1].fd != victim.fd

    pair = [Handler(reactor, kill_others), Handler(reactor, kill_others)]
    handlers += pair
    for each in pair:
        each.peer.send(b"x")
    reactor.run_ready()
    handlers += successors
    assert sorted(each.calls for each in pair) == [0, 1]
    victim = min(pair, key=lambda each: each.calls)
    assert victim.sock.fileno() == -1, "closed once the batch had ended"
    assert [each.calls for each in successors] == [0]
    successors[0].peer.send(b"y")
    reactor.run_ready()
    assert successors[0].received == b"y"


def test_a_handler_registered_during_a_batch_is_not_called_in_it(reactor: Reactor, handlers: list[Handler]) -> None:
    """Even when it has the very number for which an event is still held."""
    fresh: list[Handler] = []

    def take_over(killer: Handler) -> None:
        if fresh:
            return
        victim = next(each for each in pair if each is not killer)
        reactor.unregister(victim.fd)
        new = Handler(reactor)
        reactor.unregister(new.fd)
        # What a thread of the caller's might do at any moment: the number belongs to something else now.
        number = victim.sock.detach()
        socket.close(number)
        victim.sock = socket.socket(fileno=_move(new.sock, number))
        victim.act = lambda _: None
        fresh.append(victim)
        new.peer.close()
        reactor.register(number, IN, victim)

    pair = [Handler(reactor, take_over), Handler(reactor, take_over)]
    handlers += pair
    for each in pair:
        each.peer.send(b"x")
    reactor.run_ready()
    assert [each.calls for each in fresh] == [0]


def _move(sock: socket.socket, number: int) -> int:
    os.dup2(sock.fileno(), number)
    sock.close()
    return number


def test_an_unregistered_handler_is_not_called_by_the_events_of_its_batch(
    reactor: Reactor, handlers: list[Handler]
) -> None:
    def unregister_others(one: Handler) -> None:
        for other in handlers:
            if other is not one:
                reactor.unregister(other.fd)

    handlers += [Handler(reactor, unregister_others) for _ in range(5)]
    for each in handlers:
        each.peer.send(b"x")
    reactor.run_ready()
    assert sum(each.calls for each in handlers) == 1


# Failures


def test_an_exception_fails_its_own_handler_only(reactor: Reactor, handlers: list[Handler]) -> None:
    def explode(_: Handler) -> None:
        raise ZeroDivisionError("in a handler")

    handlers += [Handler(reactor, explode if number == 2 else lambda _: None) for number in range(5)]
    for each in handlers:
        each.peer.send(b"x")
    reactor.run_ready()
    assert [each.calls for each in handlers] == [1] * 5
    assert [isinstance(each.failure, ZeroDivisionError) for each in handlers] == [False, False, True, False, False]
    assert reactor.handler_count == 4


def test_a_base_exception_is_told_raised_again_and_does_not_spin(reactor: Reactor, handlers: list[Handler]) -> None:
    def interrupt(_: Handler) -> None:
        raise KeyboardInterrupt

    def hit(_mask: int) -> None:
        one.calls += 1  # and nothing is consumed: the descriptor stays readable
        raise KeyboardInterrupt

    one = Handler(reactor, interrupt)
    one.on_ready = hit  # type: ignore[method-assign]
    handlers.append(one)
    one.peer.send(b"x")
    with pytest.raises(KeyboardInterrupt):
        reactor.run_ready()
    assert isinstance(one.failure, KeyboardInterrupt)
    for _ in range(100):
        reactor.run_ready()
    assert one.calls == 1
    # What was to be closed after the batch has been, and the next batch is like any other.
    assert one.sock.fileno() == -1
    other = Handler(reactor)
    handlers.append(other)
    other.peer.send(b"y")
    reactor.run_ready()
    assert other.received == b"y"


async def test_a_broken_handler_of_a_client_fails_one_request(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    on_ready = Http1Connection.on_ready

    def explode(self: Http1Connection, mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            if b" 404 " in self._stream.sock.recv(20, socket.MSG_PEEK):
                raise ZeroDivisionError("a bug of ours")
        on_ready(self, mask)

    monkeypatch.setattr(Http1Connection, "on_ready", explode)
    async with AtomHTTP(base_url=origin.url) as client:
        await client.get("/bytes/1")
        results = await asyncio.gather(
            *(client.get("/nothing" if number == 3 else f"/bytes/{number}") for number in range(8)),
            return_exceptions=True,
        )
        assert [type(each).__name__ for each in results] == ["Response"] * 3 + ["ZeroDivisionError"] + ["Response"] * 4
        (pool,) = client._adapter.pools
        assert pool.open_count == pool.idle_count == 7
        assert (await client.get("/bytes/5")).ok


# What the loop sees


class Watched(BlockingDriver):
    """Says when it is told to watch, and what the poller held then."""

    def __init__(self) -> None:
        super().__init__()
        self.story: list[str] = []

    def watch(self) -> None:
        self.story.append("watch")

    def unwatch(self) -> None:
        self.story.append("unwatch")


def test_is_watched_only_while_it_holds_a_descriptor(handlers: list[Handler]) -> None:
    driver = Watched()
    poller = CountingEpoll()
    unregister = poller.unregister
    poller.unregister = lambda fd: (driver.story.append("unregister"), unregister(fd))  # type: ignore[method-assign]
    reactor = Reactor(poller, driver)
    assert driver.story == []
    handlers += [Handler(reactor) for _ in range(3)]
    assert driver.story == ["watch"]
    for each in handlers:
        each.close()
    # The loop first, then the poller.
    assert driver.story == ["watch", "unregister", "unregister", "unwatch", "unregister"]
    handlers.append(Handler(reactor))
    assert driver.story[5:] == ["watch"]
    handlers[-1].close()
    assert driver.story[6:] == ["unwatch", "unregister"]
    reactor.close_all()
    driver.reactor.close_all()


async def test_the_loop_holds_no_reader_without_connections(origin: Origin) -> None:
    selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]

    def readers() -> set[int]:
        return set(selector.get_map())

    before = readers()
    client = AtomHTTP(base_url=origin.url)
    for _ in range(3):
        await client.get("/bytes/1")
        # Ten connections or one: the loop watches one descriptor more.
        await asyncio.gather(*(client.get("/bytes/1") for _ in range(10)))
        assert len(readers() - before) == 1
        for pool in client._adapter.pools:
            pool.limits.keep_alive_timeout = 0
        await asyncio.gather(*(client.get("/close") for _ in range(20)))
        assert readers() == before
        for pool in client._adapter.pools:
            pool.limits.keep_alive_timeout = 4
    await client.close()


async def test_a_callers_context_is_not_kept_alive(loop_kind: str, origin: Origin) -> None:
    """add_reader and call_at keep the context they were called in; ours must be an empty one."""

    class Marked:
        pass

    variable: contextvars.ContextVar[Marked] = contextvars.ContextVar("variable")
    seen: list[int] = []
    reactor = aio.current().reactor
    run_ready = reactor.run_ready

    def spy() -> None:
        seen.append(len(contextvars.copy_context()))
        run_ready()

    reactor.run_ready = spy  # type: ignore[method-assign]
    client = AtomHTTP(base_url=origin.url)

    async def call() -> weakref.ref[Marked]:
        marked = Marked()
        variable.set(marked)
        await client.get("/bytes/1")
        return weakref.ref(marked)

    alive = await asyncio.create_task(call(), context=contextvars.Context())
    await asyncio.sleep(0)  # the loop itself holds on to a task until the turn after it ended
    gc.collect()
    assert alive() is None
    assert set(seen) == {0}
    await client.close()


async def count_calls(client: AtomHTTP, url: str, then: Callable[[], Any]) -> list[int]:
    """How often the reactor ran in 500 turns of the loop, once the stream is full and nobody reads it."""
    reactor = aio.current().reactor
    calls = itertools.count()
    run_ready = reactor.run_ready

    def counted() -> None:
        next(calls)
        run_ready()

    reactor.run_ready = counted  # type: ignore[method-assign]
    response = await client.get(url, response_type="stream")
    async with asyncio.timeout(PATIENCE):
        while reactor.handler_count:
            await asyncio.sleep(0)
    before = next(calls)
    then()
    for _ in range(500):
        await asyncio.sleep(0)
    after = next(calls)
    await response.data.aclose()
    return [before, after]


async def test_a_paused_connection_does_not_spin(loop_kind: str) -> None:
    """A descriptor whose mask is 0 would still report the peer's end, for ever."""
    gone = threading.Event()
    body = b"x" * 2_000_000

    with Peer([expect_head(), send(b"HTTP/1.1 200 OK\r\n\r\n"), _send_some(body), wait(gone)]) as peer:
        async with AtomHTTP() as client:
            before, after = await count_calls(client, peer.url, gone.set)
    assert after - before == 1, "one for our own count, none for the reactor"


def _send_some(body: bytes) -> Callable[[Any], None]:
    def send_some(on: Any) -> None:
        on.socket.setblocking(False)
        sent = 0
        try:
            while sent < 600_000:
                sent += on.socket.send(body[sent:])
        except BlockingIOError:
            pass
        on.socket.settimeout(PATIENCE)

    return send_some


async def test_an_idle_connection_costs_nothing(origin: Origin) -> None:
    reactor = aio.current().reactor
    calls = itertools.count()
    run_ready = reactor.run_ready

    def counted() -> None:
        next(calls)
        run_ready()

    reactor.run_ready = counted  # type: ignore[method-assign]
    async with AtomHTTP(base_url=origin.url) as client:
        await asyncio.gather(*(client.get("/bytes/1") for _ in range(20)))
        before = next(calls)
        for _ in range(300):
            await asyncio.sleep(0)
        assert next(calls) - before == 1


# The shared buffer


async def test_what_one_connection_received_is_not_overwritten_by_another(origin: Origin) -> None:
    """All receive into one buffer."""
    async with AtomHTTP(base_url=origin.url, response_type="blob") as client:
        sizes = [1, 1000, 65_536, 65_537, 262_144, 300_000] * 4
        responses = await asyncio.gather(*(client.get(f"/bytes/{size}") for size in sizes))
    for size, response in zip(sizes, responses, strict=True):
        assert response.data == pattern(size)


# Calls from threads


def test_the_wake_up_descriptor_exists_only_while_a_thread_owes_an_answer(reactor: Reactor) -> None:
    story: list[str] = []
    assert reactor.handler_count == 0
    reactor.expect_calls()
    reactor.expect_calls()
    assert reactor.handler_count == 1
    reactor.call_soon_threadsafe(lambda: story.append("called"))
    reactor.run_ready()
    assert story == ["called"]
    reactor.calls_done()
    assert reactor.handler_count == 1
    reactor.calls_done()
    assert reactor.handler_count == 0


def test_a_nested_poller_can_be_waited_on() -> None:
    poller = build_nested_poller()
    assert isinstance(poller.fileno(), int)
    poller.close()
