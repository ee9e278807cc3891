"""`RefreshingAuth` (contract: Auth): one refresh for all, however many calls, threads and event loops there are."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from atomhttp import (
    AbortController,
    AtomHTTP,
    AtomHTTPCanceledError,
    AtomHTTPClosedError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    Request,
    SyncAtomHTTP,
)
from atomhttp._net.drivers import aio
from atomhttp.auth import RefreshingAuth
from atomhttp.auth.refreshing import Refresh
from contract.flavours import Api, collect, wait
from support.async_tests import loop_factory
from support.clock import VirtualClockLoop
from support.origin import Answer, Origin, Received, pattern
from support.server import PATIENCE

CANARY = "c4n4ry"
BAD = "ERR_BAD_OPTION_VALUE"


class Door:
    """A route that lets in who has the token, and remembers who came."""

    def __init__(self, token: str = "new") -> None:
        self.token = token
        self.barrier: threading.Barrier | None = None
        """Refused requests meet here, before they are told."""
        self.seen: list[str | None] = []
        self._lock = threading.Lock()

    def __call__(self, request: Received) -> Answer:
        sent = request.get("authorization")
        with self._lock:
            self.seen.append(sent)
        if sent == f"Bearer {self.token}":
            return Answer(request.body or b"welcome", headers=[("Content-Type", "text/plain")])
        if self.barrier is not None:
            self.barrier.wait(PATIENCE)
        return Answer(b"who are you?", 401)


class Source:
    """A `refresh` that counts. It gives the tokens in order; an exception among them is raised."""

    def __init__(self, *tokens: Any, before: Callable[[], Any] | None = None) -> None:
        self.tokens = iter(tokens or ("new",))
        self.before = before
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.before is not None:
            self.before()
        return self.next()

    def next(self) -> str:
        token = next(self.tokens)
        if isinstance(token, BaseException):
            raise token
        return token  # type: ignore[no-any-return]  # anything, in the tests of that

    async def later(self) -> str:
        """The same, for those who wait."""
        self.calls += 1
        if self.before is not None:
            await self.before()
        return self.next()

    def of(self, api: Api) -> Any:
        """As somebody would write it who has such a client."""
        return self if api.is_sync else self.later


def poll(condition: Callable[[], Any]) -> None:
    """Waits, in a thread, for what another thread does."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it has not come about"
        time.sleep(0.001)


async def poll_async(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it has not come about"
        await asyncio.sleep(0)


def waiting(auth: RefreshingAuth) -> int:
    """How many wait for the refresh that is under way."""
    return 0 if auth._running is None else len(auth._running._waiting)


def later(client: Any) -> Any:
    return getattr(client, "defer", client)


@pytest.fixture
def door(origin: Origin) -> Door:
    origin.routes["/"] = found = Door()
    return found


# One call


async def test_a_refused_token_is_replaced(api: Api, origin: Origin, door: Door) -> None:
    source = Source()
    client = api.client(base_url=origin.url, auth=RefreshingAuth(source.of(api), "old"))
    response = await client.get("/")
    assert (response.status, response.data) == (200, "welcome")
    assert [each.status for each in response.attempts] == [401, 200]
    assert (await client.get("/")).status == 200
    assert door.seen == ["Bearer old", "Bearer new", "Bearer new"]
    assert source.calls == 1


async def test_without_a_token_the_first_request_asks_for_one(api: Api, origin: Origin, door: Door) -> None:
    source = Source()
    auth = RefreshingAuth(source.of(api))
    assert auth.token is None
    for _ in range(2):
        assert (await api.client().get(f"{origin.url}/", auth=auth)).status == 200
    assert door.seen == ["Bearer new", "Bearer new"]
    assert (source.calls, auth.token) == (1, "new")


async def test_a_second_refusal_is_the_response(api: Api, origin: Origin, door: Door) -> None:
    source = Source("second", "third")
    client = api.client(base_url=origin.url, auth=RefreshingAuth(source.of(api), "first"))
    response = await client.get("/")
    assert (response.status, response.data) == (401, "who are you?")
    assert (await client.get("/")).status == 401
    assert door.seen == ["Bearer first", "Bearer second", "Bearer second", "Bearer third"]
    assert source.calls == 2


async def test_a_server_may_give_the_same_token_again(api: Api, origin: Origin, door: Door) -> None:
    source = Source("old", "new")
    client = api.client(base_url=origin.url, auth=RefreshingAuth(source.of(api), "old"))
    assert [(await client.get("/")).status for _ in range(2)] == [401, 200]
    assert source.calls == 2


@pytest.mark.parametrize("status", [200, 403, 500])
async def test_other_statuses_mean_nothing(api: Api, origin: Origin, status: int) -> None:
    source = Source()
    response = await api.client().get(f"{origin.url}/status/{status}", auth=RefreshingAuth(source.of(api), "old"))
    assert (response.status, source.calls, len(origin.requests)) == (status, 0, 1)


async def test_statuses_header_and_scheme(api: Api, origin: Origin) -> None:
    source = Source()
    origin.routes["/"] = lambda request: Answer(status=200 if request.get("x-api-key") == "new" else 403)
    auth = RefreshingAuth(source.of(api), "old", statuses=[401, 403], header="X-API-Key", scheme=None)
    assert (await api.client().get(f"{origin.url}/", auth=auth)).status == 200
    assert [request.get("x-api-key") for request in origin.requests] == ["old", "new"]
    assert {request.get("authorization") for request in origin.requests} == {None}
    token = RefreshingAuth(source.of(api), "abc", scheme="token")
    await api.client().get(f"{origin.url}/echo", auth=token)
    assert origin.requests[-1].get("authorization") == "token abc"


class Method:
    def __init__(self) -> None:
        self.given: list[Any] = []

    def no_argument(self) -> str:
        self.given.append("nothing")
        return "new"

    def old_token(self, token: str | None) -> str:
        self.given.append(token)
        return "new"

    def optional(self, token: str = "default") -> str:
        return self.old_token(token)

    async def awaited(self, token: str | None) -> str:
        return self.old_token(token)

    def __call__(self, token: str | None) -> str:
        return self.old_token(token)


@pytest.mark.parametrize(
    ("choose", "given"),
    [
        (lambda it: it.no_argument, "nothing"),
        (lambda it: it.old_token, "old"),
        (lambda it: it.optional, "default"),
        (lambda it: it.awaited, "old"),
        (lambda it: it, "old"),
        (lambda it: partial(it.old_token, "bound"), "bound"),
        (lambda it: lambda *tokens: it.old_token(len(tokens)), 0),
    ],
)
async def test_what_refresh_is_called_with(api: Api, origin: Origin, door: Door, choose: Any, given: Any) -> None:
    method = Method()
    auth = RefreshingAuth(choose(method), "old")
    assert (await api.client().get(f"{origin.url}/", auth=auth)).status == 200
    assert method.given == [given]


async def test_the_first_token_is_asked_for_with_none(api: Api, origin: Origin, door: Door) -> None:
    method = Method()
    await api.client().get(f"{origin.url}/", auth=RefreshingAuth(method.old_token))
    assert method.given == [None]


# Many at once


async def test_fifty_refused_at_once_are_one_refresh(api: Api, origin: Origin, door: Door) -> None:
    # A mock answers on threads, of which there are no more than that.
    count = 30 if api.flavour == "mock" else 50
    door.barrier = threading.Barrier(count)
    source = Source()
    auth = RefreshingAuth(source.of(api), "old")
    if not api.is_sync:
        # It ends when all the others wait for it; a synchronous one keeps the whole thread.
        source.before = lambda: poll_async(lambda: waiting(auth) == count - 1)
    client = api.client(base_url=origin.url, auth=auth)
    responses = await wait(client.all([later(client).get(f"/?n={number}") for number in range(count)]))
    assert [each.status for each in responses] == [200] * count
    assert [[attempt.status for attempt in each.attempts] for each in responses] == [[401, 200]] * count
    assert sorted(map(str, door.seen)) == ["Bearer new"] * count + ["Bearer old"] * count
    assert source.calls == 1
    assert auth._running is None


async def test_twenty_without_a_token_are_one_refresh(api: Api, origin: Origin, door: Door) -> None:
    source = Source()
    auth = RefreshingAuth(source.of(api))
    if not api.is_sync:
        source.before = lambda: poll_async(lambda: waiting(auth) == 19)
    client = api.client(base_url=origin.url, auth=auth)
    responses = await wait(client.all([later(client).get("/") for _ in range(20)]))
    assert [each.status for each in responses] == [200] * 20
    assert (door.seen, source.calls) == (["Bearer new"] * 20, 1)


def run_threads(count: int, work: Callable[[], Any]) -> list[Any]:
    """What came of `work` in each of `count` threads, exceptions included."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_eight_threads_are_one_refresh(origin: Origin, door: Door) -> None:
    door.barrier = threading.Barrier(8)
    source = Source(before=lambda: poll(lambda: waiting(auth) == 7))
    auth = RefreshingAuth(source, "old")
    with SyncAtomHTTP(base_url=origin.url, auth=auth) as client:
        assert run_threads(8, lambda: client.get("/").status) == [200] * 8
        assert source.calls == 1
        assert sorted(map(str, door.seen)) == ["Bearer new"] * 8 + ["Bearer old"] * 8


def test_loops_and_threads_together_are_one_refresh(origin: Origin, door: Door) -> None:
    """Four event loops with five calls each, and four synchronous clients."""
    door.barrier = threading.Barrier(24)
    source = Source(before=lambda: poll(lambda: waiting(auth) > 0))
    auth = RefreshingAuth(source, "old")
    url = f"{origin.url}/"

    async def get_five() -> list[int]:
        async with AtomHTTP(auth=auth) as client:
            return [each.status for each in await client.all([client.get(url) for _ in range(5)])]

    def run_loop(kind: str) -> list[int]:
        with asyncio.Runner(loop_factory=loop_factory(kind)) as runner:
            return runner.run(get_five())

    def run_synchronously() -> list[int]:
        with SyncAtomHTTP(auth=auth) as client:
            return [client.get(url).status]

    kinds = iter([partial(run_loop, kind) for kind in ("asyncio", "uvloop") * 2] + [run_synchronously] * 4)
    lock = threading.Lock()

    def work() -> list[int]:
        with lock:
            chosen = next(kinds)
        return chosen()

    assert sorted(run_threads(8, work)) == [[200]] * 4 + [[200] * 5] * 4
    assert source.calls == 1
    assert sorted(map(str, door.seen)) == ["Bearer new"] * 24 + ["Bearer old"] * 24


async def test_a_late_refusal_of_an_older_token_is_no_refresh(origin: Origin, loop_kind: str) -> None:
    released = threading.Event()
    slow, door = Door(), Door()

    def answer_late(request: Received) -> Answer:
        answer = slow(request)
        if answer.status == 401:
            assert released.wait(PATIENCE)
        return answer

    origin.routes.update({"/late": answer_late, "/": door})
    source = Source("new", "never")
    async with AtomHTTP(base_url=origin.url, auth=RefreshingAuth(source.later, "old")) as client:
        first = asyncio.create_task(client.get("/late"))
        await poll_async(lambda: slow.seen)
        assert (await client.get("/")).status == 200
        released.set()
        assert (await first).status == 200
    assert (slow.seen, source.calls) == (["Bearer old", "Bearer new"], 1)


# Failures


class RefusedError(Exception):
    """The token endpoint's."""


async def test_what_refresh_raises_reaches_every_call(api: Api, origin: Origin, door: Door) -> None:
    door.barrier = threading.Barrier(10)
    source = Source(RefusedError("no"), "new")
    auth = RefreshingAuth(source.of(api), "old")
    if not api.is_sync:
        source.before = lambda: poll_async(lambda: waiting(auth) == 9)
    client = api.client(base_url=origin.url, auth=auth)
    # On one thread, each asks by itself when the one before has failed.
    source.tokens = iter([*[RefusedError("no")] * (10 if api.is_sync else 1), "new"])
    found = await wait(client.all([later(client).get("/") for _ in range(10)], return_exceptions=True))
    assert [type(each) for each in found] == [RefusedError] * 10
    assert len(door.seen) == 10
    source.before = door.barrier = None
    calls = source.calls
    assert (await client.get("/")).status == 200
    assert (source.calls, auth.token) == (calls + 1, "new")


def test_what_refresh_raises_reaches_every_thread(origin: Origin, door: Door) -> None:
    door.barrier = threading.Barrier(8)
    source = Source(RefusedError("no"), before=lambda: poll(lambda: waiting(auth) == 7))
    auth = RefreshingAuth(source, "old")
    with SyncAtomHTTP(base_url=origin.url, auth=auth) as client:
        assert [type(each) for each in run_threads(8, lambda: client.get("/"))] == [RefusedError] * 8
    assert source.calls == 1


@pytest.mark.parametrize("kind", [TimeoutError, KeyError, RuntimeError, StopIteration])
async def test_errors_are_the_callers_own(api: Api, origin: Origin, door: Door, kind: type[Exception]) -> None:
    source = Source(kind("own"))
    expected = RuntimeError if kind is StopIteration else kind
    with pytest.raises(expected) as caught:
        await api.client().get(f"{origin.url}/", auth=RefreshingAuth(source.of(api), "old"), retryConfig=3)
    assert type(caught.value) is expected
    assert (source.calls, len(door.seen)) == (1, 1)


class Nowhere:
    """An adapter that cannot reach anybody."""

    async def send(self, request: Request) -> Any:
        raise AtomHTTPNetworkError("nobody is there", "ECONNREFUSED", request_sent="no")

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_failed_call_in_refresh_is_not_the_calls_own(api: Api, origin: Origin, door: Door) -> None:
    """So retryConfig does not repeat it, and it keeps its own request."""
    inner = api.client(adapter=Nowhere())

    async def refresh_async() -> str:
        return str((await inner.get("http://auth.test/token")).data)

    def refresh() -> str:
        return str(inner.real.get("http://auth.test/token").data)

    auth = RefreshingAuth(refresh if api.is_sync else refresh_async, "old")
    with pytest.raises(AtomHTTPNetworkError) as caught:
        await api.client().get(f"{origin.url}/", auth=auth, retryConfig={"max_retries": 3, "backoff_factor": 0})
    assert caught.value.request.url == "http://auth.test/token"
    assert len(door.seen) == 1


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (None, "must return a token, a str, not NoneType"),
        (b"new", "must return a token, a str, not bytes"),
        ({"access_token": CANARY}, "must return a token, a str, not dict"),
        ("", "it is empty"),
        (f"{CANARY}\r\nX: 1", "control characters"),
        (f"Bearer {CANARY}", "leave out 'Bearer'"),
    ],
)
async def test_what_refresh_may_not_return(api: Api, origin: Origin, door: Door, token: Any, message: str) -> None:
    source = Source(token, "new")
    auth = RefreshingAuth(source.of(api), "old")
    with pytest.raises(AtomHTTPOptionError, match=message) as caught:
        await api.client().get(f"{origin.url}/", auth=auth)
    assert caught.value.code == BAD
    assert "refresh" in str(caught.value)
    assert CANARY not in str(caught.value)
    assert (await api.client().get(f"{origin.url}/", auth=auth)).status == 200


# Those who leave


class Gate:
    """An asynchronous `refresh` that waits in its first call, for ever."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.calls == 1:
            await asyncio.Event().wait()
        return "new"


async def test_when_the_one_who_refreshes_is_cancelled_another_does(origin: Origin, door: Door, loop_kind: str) -> None:
    gate = Gate()
    auth = RefreshingAuth(gate, "old")
    async with AtomHTTP(base_url=origin.url, auth=auth) as client:
        first = asyncio.create_task(client.get("/"))
        await poll_async(lambda: gate.calls)
        others = [asyncio.create_task(client.get("/")) for _ in range(5)]
        await poll_async(lambda: waiting(auth) == 5)
        first.cancel()
        assert [each.status for each in await asyncio.gather(*others)] == [200] * 5
        assert first.cancelled()
    assert (gate.calls, auth._running) == (2, None)


async def test_when_nobody_waits_the_next_call_refreshes(origin: Origin, door: Door, loop_kind: str) -> None:
    gate = Gate()
    auth = RefreshingAuth(gate, "old")
    async with AtomHTTP(base_url=origin.url, auth=auth) as client:
        first = asyncio.create_task(client.get("/"))
        await poll_async(lambda: gate.calls)
        first.cancel()
        await asyncio.wait([first])
        assert (await client.get("/")).status == 200


async def test_when_the_one_who_refreshes_runs_out_of_time_another_does(
    virtual_clock: VirtualClockLoop, origin: Origin, door: Door
) -> None:
    gate = Gate()
    auth = RefreshingAuth(gate, "old")
    async with AtomHTTP(base_url=origin.url, auth=auth) as client:
        first = asyncio.create_task(client.get("/", timeout=5))
        await poll_async(lambda: gate.calls)
        second = asyncio.create_task(client.get("/", timeout=30))
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await first
        assert 5 <= virtual_clock.time() < 5.2
        assert (caught.value.limit, caught.value.request.url) == (5, f"{origin.url}/")
        assert (await second).status == 200
    assert gate.calls == 2


async def test_one_who_waits_runs_out_of_time_alone(
    virtual_clock: VirtualClockLoop, origin: Origin, door: Door
) -> None:
    released = asyncio.Event()
    source = Source(before=released.wait)
    auth = RefreshingAuth(source.later, "old")
    async with AtomHTTP(base_url=origin.url, auth=auth) as client:
        first = asyncio.create_task(client.get("/"))
        await poll_async(lambda: source.calls)
        second = asyncio.create_task(client.get("/", timeout=5))
        third = asyncio.create_task(client.get("/", timeout=None))
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await second
        assert 5 <= virtual_clock.time() < 5.2
        assert caught.value.limit == 5
        assert waiting(auth) == 1
        released.set()
        assert [(await each).status for each in (first, third)] == [200, 200]
    assert source.calls == 1


def test_one_who_waits_runs_out_of_time_alone_in_a_thread(origin: Origin, door: Door) -> None:
    done = threading.Event()
    source = Source(before=lambda: done.wait(PATIENCE))
    auth = RefreshingAuth(source, "old")
    statuses: list[int] = []
    with SyncAtomHTTP(base_url=origin.url, auth=auth) as client:
        first = threading.Thread(target=lambda: statuses.append(client.get("/").status))
        first.start()
        try:
            poll(lambda: source.calls)
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                client.get("/", timeout=0.2)
        finally:
            done.set()
            first.join()
        assert (caught.value.limit, caught.value.request.url) == (0.2, f"{origin.url}/")
        assert client.get("/").status == 200
    assert (statuses, source.calls) == ([200], 1)


async def test_one_who_waits_is_cancelled_alone(origin: Origin, door: Door, loop_kind: str) -> None:
    released = asyncio.Event()
    source = Source(before=released.wait)
    auth = RefreshingAuth(source.later, "old")
    async with AtomHTTP(base_url=origin.url, auth=auth) as client:
        tasks = [asyncio.create_task(client.get("/"))]
        await poll_async(lambda: source.calls)
        tasks += [asyncio.create_task(client.get("/")) for _ in range(4)]
        await poll_async(lambda: waiting(auth) == 4)
        tasks[2].cancel()
        await asyncio.wait([tasks[2]])
        assert waiting(auth) == 3
        released.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        # The pool's, for its idle connections.
        assert aio.current().reactor.timer_count == 1
    assert [type(each) is asyncio.CancelledError for each in found] == [False, False, True, False, False]
    assert source.calls == 1


async def test_when_the_one_who_refreshes_is_aborted_another_does(origin: Origin, door: Door, loop_kind: str) -> None:
    gate, controller = Gate(), AbortController()
    auth = RefreshingAuth(gate, "old")
    async with AtomHTTP(base_url=origin.url, auth=auth) as client:
        first = asyncio.create_task(client.get("/", signal=controller.signal))
        await poll_async(lambda: gate.calls)
        others = [asyncio.create_task(client.get("/")) for _ in range(3)]
        await poll_async(lambda: waiting(auth) == 3)
        controller.abort()
        with pytest.raises(AtomHTTPCanceledError):
            await first
        assert [each.status for each in await asyncio.gather(*others)] == [200] * 3
    assert gate.calls == 2


def test_one_who_waits_is_aborted_alone(origin: Origin, door: Door) -> None:
    done, controller = threading.Event(), AbortController()
    source = Source(before=lambda: done.wait(PATIENCE))
    auth = RefreshingAuth(source, "old")
    with SyncAtomHTTP(base_url=origin.url, auth=auth) as client:
        found: list[Any] = []
        first = threading.Thread(target=lambda: found.append(client.get("/").status))
        first.start()
        try:
            poll(lambda: source.calls)
            aborting = threading.Thread(target=lambda: (poll(lambda: waiting(auth) == 1), controller.abort()))
            aborting.start()
            with pytest.raises(AtomHTTPCanceledError):
                client.get("/", signal=controller.signal)
            aborting.join()
            assert waiting(auth) == 0
        finally:
            done.set()
            first.join()
    assert (found, source.calls) == ([200], 1)


async def test_one_who_waits_may_be_forgotten(origin: Origin, door: Door) -> None:
    """A coroutine that is dropped in the middle is closed by the garbage collector, wherever that runs."""
    released = asyncio.Event()
    source = Source(before=released.wait)
    auth = RefreshingAuth(source.later, "old")
    async with AtomHTTP(base_url=origin.url, auth=auth) as client:
        first = asyncio.create_task(client.get("/"))
        await poll_async(lambda: source.calls)
        second = asyncio.create_task(client.get("/"))
        await poll_async(lambda: waiting(auth) == 1)
        second.get_coro().close()
        assert waiting(auth) == 0
        second.cancel()
        released.set()
        assert (await first).status == 200
        with pytest.raises(RuntimeError, match="already awaited"):
            await second


async def test_closing_the_client_does_not_hang_who_waits(origin: Origin, door: Door, loop_kind: str) -> None:
    released = asyncio.Event()
    source = Source(before=released.wait)
    auth = RefreshingAuth(source.later, "old")
    client, other = AtomHTTP(base_url=origin.url, auth=auth), AtomHTTP(base_url=origin.url, auth=auth)
    async with other:
        first = asyncio.create_task(other.get("/"))
        await poll_async(lambda: source.calls)
        second = asyncio.create_task(client.get("/"))
        await poll_async(lambda: waiting(auth) == 1)
        await client.close()
        released.set()
        assert (await first).status == 200
        with pytest.raises(AtomHTTPClosedError):
            await second


def test_an_interrupt_in_refresh_leaves_everything_usable(origin: Origin, door: Door) -> None:
    source = Source(KeyboardInterrupt(), "new")
    auth = RefreshingAuth(source, "old")
    with SyncAtomHTTP(base_url=origin.url, auth=auth) as client:
        with pytest.raises(KeyboardInterrupt):
            client.get("/")
        assert client.get("/").status == 200


FORKING = """
import os, sys
from atomhttp import SyncAtomHTTP
from atomhttp.auth import RefreshingAuth, refreshing

def refresh():
    # In the middle of it, and whoever held the lock does not exist in the child either.
    with refreshing._lock:
        child = os.fork()
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    again = RefreshingAuth.__new__(RefreshingAuth)
    again.__dict__.update(auth.__dict__, _refresh=lambda: "new")
    with SyncAtomHTTP() as client:
        # A call of its own, and not one of the refresh.
        refreshing._inside.set(())
        os._exit(client.get(sys.argv[1], auth=again, timeout=10).status)

auth = RefreshingAuth(refresh, "old")
SyncAtomHTTP().get(sys.argv[1], auth=auth)
"""


def test_a_refresh_of_the_process_before_a_fork_is_waited_for_by_nobody(origin: Origin, door: Door) -> None:
    done = subprocess.run([sys.executable, "-c", FORKING, f"{origin.url}/"], timeout=PATIENCE, check=False)
    assert done.returncode == 200


# Inside of refresh


async def test_refresh_may_use_the_same_client(api: Api, origin: Origin, door: Door) -> None:
    origin.routes["/token"] = lambda request: Answer(b"new" if request.get("authorization") is None else b"wrong")

    async def refresh_async() -> str:
        return str((await client.post("/token", response_type="text")).data)

    def refresh() -> str:
        return str(client.real.post("/token", response_type="text").data)

    client = api.client(base_url=origin.url, auth=RefreshingAuth(refresh if api.is_sync else refresh_async, "old"))
    assert (await client.get("/")).status == 200
    assert [request.target for request in origin.requests] == ["/", "/token", "/"]


async def test_what_refresh_is_refused_is_its_own_business(api: Api, origin: Origin, door: Door) -> None:
    statuses: list[int] = []

    async def refresh_async() -> str:
        statuses.append((await client.get("/")).status)
        return "new"

    def refresh() -> str:
        statuses.append(client.real.get("/").status)
        return "new"

    client = api.client(base_url=origin.url, auth=RefreshingAuth(refresh if api.is_sync else refresh_async, "old"))
    assert (await client.get("/")).status == 200
    assert statuses == [401]
    assert door.seen == ["Bearer old", None, "Bearer new"]


@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_refresh_through_a_pool_of_one(api: Api, origin: Origin, response_type: str) -> None:
    """Who waits for a refresh holds no connection."""
    door = Door()

    def large(request: Received) -> Answer:
        answer = door(request)
        return answer if answer.status == 200 else Answer(pattern(1_000_000), 401, chunked=True)

    origin.routes.update({"/": large, "/token": lambda _: Answer(b"new")})

    async def refresh_async() -> str:
        return str((await client.get("/token", response_type="text")).data)

    def refresh() -> str:
        return str(client.real.get("/token", response_type="text").data)

    auth = RefreshingAuth(refresh if api.is_sync else refresh_async, "old")
    client = api.client(base_url=origin.url, auth=auth, maxConnections=1, timeout=10)
    response = await client.get("/", response_type=response_type)
    if response_type == "stream":
        assert b"".join(await collect(response.data)) == b"welcome"
    assert response.status == 200


async def test_two_of_them_in_each_other(api: Api, origin: Origin) -> None:
    outer, inner = Door("outer"), Door("inner")
    origin.routes.update({"/": outer, "/token": inner})

    async def refresh_async() -> str:
        assert (await client.get("/token", auth=second)).status == 200
        return "outer"

    def refresh() -> str:
        assert client.real.get("/token", auth=second).status == 200
        return "outer"

    second = RefreshingAuth(Source("inner").of(api), "old")
    client = api.client(base_url=origin.url, auth=RefreshingAuth(refresh if api.is_sync else refresh_async, "old"))
    assert (await client.get("/")).status == 200
    assert inner.seen == ["Bearer old", "Bearer inner"]


async def test_a_task_that_outlives_its_refresh_has_the_token(origin: Origin, door: Door, loop_kind: str) -> None:
    started: list[asyncio.Task[Any]] = []
    released = asyncio.Event()

    async def work() -> int:
        await released.wait()
        return int((await client.get("/")).status)

    async def refresh() -> str:
        started.append(asyncio.create_task(work()))
        return "new"

    async with AtomHTTP(base_url=origin.url, auth=RefreshingAuth(refresh, "old")) as client:
        assert (await client.get("/")).status == 200
        released.set()
        assert await started[0] == 200
    assert door.seen == ["Bearer old", "Bearer new", "Bearer new"]


async def test_a_task_that_outlives_its_refresh_waits_for_the_next(origin: Origin, door: Door, loop_kind: str) -> None:
    started: list[asyncio.Task[Any]] = []
    released = asyncio.Event()

    async def work() -> int:
        await poll_async(lambda: auth.token == "second" and auth._running is not None)
        return int((await client.get("/")).status)

    async def refresh() -> str:
        if not started:
            started.append(asyncio.create_task(work()))
            return "second"
        await released.wait()
        return "third"

    auth = RefreshingAuth(refresh, "first")
    async with AtomHTTP(base_url=origin.url, auth=auth) as client:
        door.token = "second"
        assert (await client.get("/")).status == 200
        door.token = "third"
        other = asyncio.create_task(client.get("/"))
        await poll_async(lambda: waiting(auth) == 1)
        released.set()
        assert ((await other).status, await started[0]) == (200, 200)
    assert door.seen.count("Bearer second") == 3


def test_between_a_look_and_the_next_a_token_may_come() -> None:
    auth = RefreshingAuth(Source(), "old")
    old = auth._token
    other, mine = Refresh(SimpleNamespace(thread=1)), Refresh(SimpleNamespace(thread=1))
    assert auth._begin_or_join(other, old, None) is None
    assert auth._running is other
    auth._end(other, "new")
    assert auth._begin_or_join(mine, old, None) is None
    assert auth._running is None


def test_nobody_waits_for_what_their_own_waiting_holds_up() -> None:
    loop = SimpleNamespace(thread=1)
    running = Refresh(loop)
    assert running.can_end_for(loop)
    assert running.can_end_for(SimpleNamespace(thread=2))
    # Another loop, or a synchronous client, of the thread that has left the first one in the middle.
    assert not running.can_end_for(SimpleNamespace(thread=1))


# Policies around it


async def test_content_is_sent_again(api: Api, origin: Origin, door: Door) -> None:
    source = Source()
    response = await api.client().post(
        f"{origin.url}/", {"a": 1}, auth=RefreshingAuth(source.of(api), "old"), response_type="json"
    )
    assert response.data == {"a": 1}
    assert [request.body for request in origin.requests] == [b'{"a":1}'] * 2


async def test_content_that_can_be_read_once_is_a_clear_error(api: Api, origin: Origin, door: Door) -> None:
    auth = RefreshingAuth(Source().of(api), "old")
    client = api.client(base_url=origin.url, auth=auth)
    with pytest.raises(AtomHTTPOptionError, match="the body cannot be sent again") as caught:
        await client.post("/", api.iterator([b"once"]))
    assert (caught.value.code, caught.value.response.status) == (BAD, 401)
    assert (await client.post("/", api.iterator([b"once"]))).data == "once"


async def test_a_redirect_elsewhere_gets_no_token_and_no_refresh(api: Api, origin: Origin) -> None:
    source = Source()
    with Origin() as other:
        other.routes["/"] = lambda _: Answer(status=401)
        origin.routes["/"] = lambda _: Answer(status=302, headers=[("Location", f"{other.url}/")])
        response = await api.client().get(f"{origin.url}/", auth=RefreshingAuth(source.of(api), "old"))
        assert (response.status, source.calls) == (401, 0)
        assert [request.get("authorization") for request in other.requests] == [None]


async def test_a_redirect_at_home(api: Api, origin: Origin, door: Door) -> None:
    source = Source()
    origin.routes["/away"] = lambda _: Answer(status=307, headers=[("Location", "/")])
    assert (await api.client().get(f"{origin.url}/away", auth=RefreshingAuth(source.of(api), "old"))).status == 200
    assert [request.get("authorization") for request in origin.requests] == ["Bearer old", "Bearer old", "Bearer new"]


async def test_each_attempt_has_the_token_of_its_time(api: Api, origin: Origin, door: Door) -> None:
    left = iter([False, True])

    def flaky(request: Received) -> Answer:
        answer = door(request)
        return answer if answer.status == 401 or next(left) else Answer(status=503)

    origin.routes["/"] = flaky
    source = Source()
    retry = {"max_retries": 2, "backoff_factor": 0}
    auth = RefreshingAuth(source.of(api), "old")
    response = await api.client().get(f"{origin.url}/", auth=auth, retryConfig=retry)
    assert [each.status for each in response.attempts] == [401, 503, 200]
    assert source.calls == 1


async def test_the_refused_response_may_be_a_long_stream(api: Api, origin: Origin, door: Door) -> None:
    origin.routes["/"] = lambda request: (
        Answer(pattern(200_000), chunked=True)
        if request.get("authorization") == "Bearer new"
        else Answer(pattern(500_000), 401, chunked=True)
    )
    auth = RefreshingAuth(Source().of(api), "old")
    response = await api.client().get(f"{origin.url}/", auth=auth, response_type="stream")
    assert b"".join(await collect(response.data)) == pattern(200_000)


# The object


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((None,), {}, "refresh: expected a function that returns a token, got NoneType"),
        (("token",), {}, "refresh: expected a function that returns a token, got str"),
        ((lambda a, b: "x",), {}, "refresh: expected a function of nothing or of the old token, it takes 2"),
        ((str, ""), {}, "token: it is empty"),
        ((str, b"x"), {}, "token: expected str, got bytes"),
        ((str, f"Bearer {CANARY}"), {}, "token: leave out 'Bearer'"),
        ((str, f"{CANARY}\n"), {}, "token: control characters"),
        ((str,), {"statuses": 401}, "statuses: expected statuses such as"),
        ((str,), {"statuses": []}, "statuses: expected statuses such as"),
        ((str,), {"statuses": ["401"]}, "statuses: expected statuses such as"),
        ((str,), {"statuses": [True]}, "statuses: expected statuses such as"),
        ((str,), {"header": "no name"}, "not a field name"),
        ((str,), {"scheme": "a\n"}, "scheme: control characters"),
        ((str,), {"scheme": 5}, "scheme: expected str, got int"),
    ],
)
def test_arguments_are_checked(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=message) as caught:
        RefreshingAuth(*arguments, **options)
    assert caught.value.code == BAD
    assert CANARY not in str(caught.value)


def give_token() -> str:
    return "new"


async def test_copies_are_it_and_pickles_are_like_it(api: Api, origin: Origin, door: Door) -> None:
    auth = RefreshingAuth(give_token, "old", statuses=[401, 403])
    assert copy.copy(auth) is copy.deepcopy(auth) is auth
    client = api.client(base_url=origin.url, auth=auth)
    assert (await client.create().get("/")).status == 200
    assert auth.token == "new"
    twin = pickle.loads(pickle.dumps(auth))
    assert twin is not auth
    assert (twin.token, repr(twin)) == ("new", "RefreshingAuth(give_token, [redacted])")
    assert (await client.get("/", auth=twin)).status == 200


async def test_tokens_are_never_shown(api: Api, origin: Origin, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    auth = RefreshingAuth(lambda: f"{CANARY}-2", f"{CANARY}-1")
    origin.routes["/"] = lambda _: Answer(status=401)
    with pytest.raises(AtomHTTPStatusError) as caught:
        await api.client().get(f"{origin.url}/", auth=auth, validateStatus=True)
    assert len(origin.requests) == 2
    error = caught.value
    assert (
        CANARY not in f"{auth!r} {error!r} {error.to_dict()} {error.config!r} {error.request.headers!r} {caplog.text}"
    )
