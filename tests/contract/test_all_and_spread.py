"""Many calls at once: `all`, `spread`, and the synchronous client's `defer` (contract: all, spread)."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    RequestConfig,
    Response,
    SyncAtomHTTP,
)
from contract.flavours import Api, wait
from support.origin import Answer, Origin, Received, pattern
from support.peer import Peer, expect_end, expect_head, send, signal
from support.server import PATIENCE

REFUSED = "http://127.0.0.1:1/"


def later(client: Any, verb: str, *arguments: Any, **options: Any) -> Any:
    """What `all` is given for one call: a coroutine here, a deferred call there."""
    return getattr(getattr(client, "defer", client), verb)(*arguments, **options)


async def together(client: Any, tasks: Any, *arguments: Any, **options: Any) -> Any:
    return await wait(client.all(tasks, *arguments, **options))


def hold_until(origin: Origin, count: int) -> str:
    """A path that answers no request before `count` of them are in."""
    barrier = threading.Barrier(count)

    def meet(_request: Received) -> Answer:
        barrier.wait(PATIENCE)
        return Answer(b"met")

    origin.routes["/meet"] = meet
    return "/meet"


@pytest.fixture
def client(api: Api, origin: Origin) -> Any:
    return api.client(base_url=origin.url)


# Results


async def test_results_in_order(client: Any, origin: Origin) -> None:
    tasks = [later(client, "get", f"/bytes/{size}", response_type="blob") for size in (30, 10, 20)]
    assert [each.data for each in await together(client, tasks)] == [pattern(30), pattern(10), pattern(20)]


async def test_nothing_gives_an_empty_list(client: Any) -> None:
    assert await together(client, []) == []
    assert await together(client, (), limit=3, return_exceptions=True) == []


async def test_values_are_their_own_results(client: Any) -> None:
    first, second, third = await together(client, ["value", later(client, "get", "/bytes/4"), None])
    assert (first, third) == ("value", None)
    assert second.content == pattern(4)


async def test_any_iterable(client: Any) -> None:
    results = await together(client, (later(client, "get", f"/bytes/{size}") for size in range(5)))
    assert [each.content for each in results] == [pattern(size) for size in range(5)]


async def test_every_verb(client: Any, origin: Origin) -> None:
    tasks = [
        *(later(client, verb, "/echo", {"a": "1"}) for verb in ("get", "delete", "options")),
        *(later(client, verb, "/echo", {"a": "1"}) for verb in ("post", "put", "patch", "query")),
        later(client, "head", "/echo"),
        later(client, "request", "PUT", "/echo", data=b"x", headers={"X-One": "1"}),
        later(client, "request", {"url": "/echo", "method": "PATCH"}),
    ]
    results = await together(client, tasks, limit=1)
    assert all(each.ok for each in results)
    methods = ["GET", "DELETE", "OPTIONS", "POST", "PUT", "PATCH", "QUERY", "HEAD", "PUT", "PATCH"]
    assert [each.method for each in origin.requests] == methods
    assert [each.target for each in origin.requests[:3]] == ["/echo?a=1"] * 3
    assert [each.body for each in origin.requests[3:7]] == [b'{"a":"1"}'] * 4
    assert origin.requests[8].get("x-one") == "1"


# In flight together


async def test_without_a_limit_all_are_in_flight_at_once(client: Any, origin: Origin) -> None:
    path = hold_until(origin, 40)
    results = await together(client, [later(client, "get", path, response_type="text") for _ in range(40)])
    assert [each.data for each in results] == ["met"] * 40
    assert origin.high_water == 40


@pytest.mark.parametrize("limit", [1, 3, 8])
async def test_with_a_limit_exactly_that_many_are_in_flight(client: Any, origin: Origin, limit: int) -> None:
    path = hold_until(origin, limit)
    results = await together(client, [later(client, "get", path) for _ in range(24)], limit=limit)
    assert len(results) == 24
    assert origin.high_water == limit
    assert origin.connections == limit


async def test_a_thousand_over_a_pool_of_a_hundred(api: Api, origin: Origin) -> None:
    client = api.client(base_url=origin.url, maxConnections=100)
    path = hold_until(origin, 100)
    results = await together(client, [later(client, "get", path, {"n": number}) for number in range(1_000)])
    assert [each.url.partition("?")[2] for each in results] == [f"n={number}" for number in range(1_000)]
    assert origin.high_water == origin.connections == 100


async def test_interceptors_see_every_call(client: Any, origin: Origin) -> None:
    """And they may wait, without keeping the calls from being in flight together."""
    seen: list[Any] = []

    async def note(config: Any) -> None:
        await asyncio.sleep(0)
        seen.append(config.url)

    client.interceptors.use(note)
    client.interceptors.use(lambda response: seen.append(response.status), is_response=True)
    path = hold_until(origin, 5)
    await together(client, [later(client, "get", path) for _ in range(5)])
    assert seen == [path] * 5 + [200] * 5


async def test_large_bodies_both_ways_at_once(client: Any) -> None:
    body = pattern(1_500_000)
    tasks = [
        *(later(client, "get", "/bytes/2000000", response_type="blob") for _ in range(4)),
        *(later(client, "post", "/echo", data=iter([body[:700_000], body[700_000:]])) for _ in range(4)),
    ]
    results = await together(client, tasks)
    assert [each.data for each in results[:4]] == [pattern(2_000_000)] * 4
    assert [each.data["body"].encode("latin-1") for each in results[4:]] == [body] * 4


async def test_over_tls(api: Api, tls_origin: Origin, certificates: Any) -> None:
    client = api.client(base_url=tls_origin.url, verify=certificates.ca)
    path = hold_until(tls_origin, 10)
    results = await together(client, [later(client, "get", path) for _ in range(50)], limit=10)
    assert all(each.ok for each in results)
    assert tls_origin.high_water == tls_origin.connections == 10


async def test_streams_are_open_when_it_returns(client: Any) -> None:
    results = await together(client, [later(client, "get", "/bytes/900000", response_type="stream") for _ in range(3)])
    for each in results:
        assert await wait(each.data.read()) == pattern(900_000)


# Failure


async def test_the_first_failure_is_raised_and_ends_the_others(api: Api, origin: Origin) -> None:
    """What was in flight is given up: its server sees the end of the connection. What was not sent never is."""
    half_sent = threading.Event()

    def fail(_request: Received) -> Answer:
        assert half_sent.wait(PATIENCE)
        return Answer(status=500)

    origin.routes["/fail"] = fail
    half = send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    with Peer([expect_head(), half, signal(half_sent), expect_end()]) as peer:
        client = api.client(base_url=origin.url, validateStatus=True)
        tasks = [later(client, "get", peer.url), later(client, "get", "/fail"), later(client, "get", "/never")]
        with pytest.raises(AtomHTTPStatusError) as caught:
            await together(client, tasks, limit=2)
        assert caught.value.status == 500
        assert [each.path for each in origin.requests] == ["/fail"]
        # The client is as good as before.
        assert (await client.get("/bytes/3")).content == pattern(3)


async def test_those_that_wait_for_a_connection_are_ended_as_well(api: Api, origin: Origin) -> None:
    client = api.client(base_url=origin.url, maxConnections=2)
    tasks = [
        *(later(client, "get", "/delay/60") for _ in range(6)),
        later(client, "get", "/echo", headers={"X-Bad": "line\nbreak"}),
    ]
    with pytest.raises(AtomHTTPOptionError):
        await together(client, tasks)
    origin.release.set()
    # Both places are free again.
    path = hold_until(origin, 2)
    assert all(each.ok for each in await together(client, [later(client, "get", path) for _ in range(2)]))
    (pool,) = client._adapter.pools
    assert pool.open_count == pool.idle_count <= 2


async def test_a_stream_that_nobody_will_see_is_closed(api: Api, origin: Origin) -> None:
    """It had come before something else failed: without its end it would hold its connection, and warn later."""
    client = api.client(base_url=origin.url)
    tasks = [
        later(client, "get", "/bytes/5000000", response_type="stream"),
        later(client, "get", "/status/404", validateStatus=True),
    ]
    with pytest.raises(AtomHTTPStatusError):
        await together(client, tasks, limit=1)
    (pool,) = client._adapter.pools
    assert pool.open_count == pool.idle_count


async def test_errors_as_results(api: Api, origin: Origin) -> None:
    client = api.client(base_url=origin.url, validateStatus=True)
    tasks = [
        later(client, "get", "/status/404"),
        later(client, "get", REFUSED),
        later(client, "get", "/bytes/5"),
        later(client, "get", "/echo", headers={"X-Bad": "line\nbreak"}),
        later(client, "get", "/bytes/90", maxContentLength=10),
        "value",
    ]
    results = await together(client, tasks, return_exceptions=True)
    kinds = [AtomHTTPStatusError, AtomHTTPNetworkError, Response, AtomHTTPOptionError, AtomHTTPLimitError, str]
    assert [type(each) for each in results] == kinds
    assert results[2].content == pattern(5)


async def test_each_has_its_own_deadline(client: Any, origin: Origin) -> None:
    tasks = [
        later(client, "get", "/delay/60", timeout=0.05),
        later(client, "get", "/delay/60", timeout=0.11),
        later(client, "get", "/bytes/1"),
    ]
    first, second, third = await together(client, tasks, return_exceptions=True)
    for error, limit in ((first, 0.05), (second, 0.11)):
        assert type(error) is AtomHTTPTimeoutError
        assert error.limit == limit
        assert error.elapsed >= limit
    assert third.ok


async def test_a_failing_error_is_the_calls_own(api: Api, origin: Origin) -> None:
    client = api.client(base_url=origin.url)
    with pytest.raises(AtomHTTPNetworkError) as caught:
        await together(client, [later(client, "get", REFUSED, meta={"which": 7})])
    assert caught.value.config.meta == {"which": 7}
    # It can be sent again, as any error's config.
    with pytest.raises(AtomHTTPNetworkError):
        await client.request(caught.value.config)


async def test_a_closed_client(api: Api, origin: Origin) -> None:
    client = api.client(base_url=origin.url)
    await client.close()
    with pytest.raises(AtomHTTPError) as caught:
        await together(client, [later(client, "get", "/bytes/1")])
    assert caught.value.code == "ERR_CLIENT_CLOSED"


# What is given


@pytest.mark.parametrize("limit", [0, -3, 2.0, "2", False])
async def test_a_limit_must_be_a_whole_number_of_one_or_more(client: Any, origin: Origin, limit: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="all: limit: expected a whole number of 1 or more") as caught:
        await together(client, [later(client, "get", "/echo")], limit=limit)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert origin.requests == []


async def test_what_is_no_iterable_of_tasks(api: Api, client: Any, origin: Origin) -> None:
    async def generate() -> Any:
        yield later(client, "get", "/echo")

    one = later(client, "get", "/echo")
    for wrong in (None, 7, "text", b"bytes", one, generate(), {"a": later(client, "get", "/echo")}):
        with pytest.raises(AtomHTTPOptionError, match="all: tasks: expected an iterable") as caught:
            await together(client, wrong)
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert origin.requests == []


async def test_a_failure_while_the_tasks_are_made(client: Any, origin: Origin) -> None:
    def tasks() -> Iterator[Any]:
        yield later(client, "get", "/echo")
        raise KeyError("while iterating")

    with pytest.raises(KeyError, match="while iterating"):
        await together(client, tasks())
    assert origin.requests == []


# spread


async def test_spread_calls_a_function(api: Api, client: Any) -> None:
    tasks = [later(client, "get", f"/bytes/{size}") for size in (1, 2, 3)]
    responses = await together(client, tasks)

    def process(first: Any, second: Any, third: Any) -> dict[str, int]:
        return {"first": len(first.content), "second": len(second.content), "third": len(third.content)}

    expected = {"first": 1, "second": 2, "third": 3}
    assert await wait(client.spread(process, *responses)) == expected
    assert await wait(api.client_class.spread(process, *responses)) == expected


async def test_spread_awaits_an_asynchronous_callback(api: Api, client: Any) -> None:
    async def add(first: int, second: int) -> int:
        await asyncio.sleep(0)
        return first + second

    assert await wait(api.client_class.spread(add, 1, 2)) == 3
    assert await wait(client.spread(add, 3, 4)) == 7
    assert await wait(client.spread(lambda: 5)) == 5


async def test_spread_passes_the_callbacks_error_on(api: Api) -> None:
    def fail() -> None:
        raise KeyError("sync")

    async def fail_later() -> None:
        raise KeyError("async")

    for callback, text in ((fail, "sync"), (fail_later, "async")):
        with pytest.raises(KeyError, match=text):
            await wait(api.client_class.spread(callback))
    with pytest.raises(TypeError, match="argument"):
        await wait(api.client_class.spread(fail, 1))


@pytest.mark.parametrize("callback", [None, "name", 3, [len]])
async def test_spread_needs_something_to_call(api: Api, callback: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="spread: callback: expected a function") as caught:
        await wait(api.client_class.spread(callback, 1))
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


# Asynchronous only


async def test_all_and_spread_need_no_client(loop_kind: str, origin: Origin) -> None:
    assert inspect.iscoroutinefunction(AtomHTTP.all)
    assert inspect.iscoroutinefunction(AtomHTTP.spread)
    async with AtomHTTP() as one, AtomHTTP() as other:
        responses = await AtomHTTP.all([one.get(f"{origin.url}/bytes/1"), other.get(f"{origin.url}/bytes/2")])
    assert await AtomHTTP.spread(lambda a, b: a.content + b.content, *responses) == pattern(1) + pattern(2)


async def test_cancelling_it_closes_what_was_in_flight(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        mine = asyncio.create_task(client.get("/delay/60", response_type="text"))
        tasks = [mine, *(client.get("/delay/60") for _ in range(10))]
        together = asyncio.create_task(AtomHTTP.all(tasks, limit=4))
        while len(origin.requests) < 5:
            await asyncio.sleep(0.001)
        together.cancel()
        with pytest.raises(asyncio.CancelledError):
            await together
        (pool,) = client._adapter.pools
        assert pool.open_count == 1
        assert len(origin.requests) == 5
        origin.release.set()
        assert (await mine).data == "late"


async def test_the_callers_tasks_go_on_after_a_failure(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        mine = asyncio.create_task(client.get("/delay/60", response_type="text"))
        with pytest.raises(AtomHTTPNetworkError):
            await AtomHTTP.all([mine, client.get("/delay/60"), client.get(REFUSED)])
        origin.release.set()
        assert (await mine).data == "late"


# Synchronous only: deferred calls


@pytest.fixture
def sync_client(origin: Origin) -> Iterator[SyncAtomHTTP]:
    with SyncAtomHTTP(base_url=origin.url) as client:
        yield client


def test_defer_has_the_clients_verbs_and_nothing_else(sync_client: SyncAtomHTTP) -> None:
    coroutine_functions = {
        name
        for name in dir(AtomHTTP)
        if not name.startswith("_") and inspect.iscoroutinefunction(getattr(AtomHTTP, name))
    }
    verbs = {name for name in dir(sync_client.defer) if not name.startswith("_")}
    # A download is as many calls as it takes.
    assert verbs == coroutine_functions - {"close", "aclose", "all", "spread", "download"}
    assert {"get", "delete", "head", "options", "post", "put", "patch", "query", "request"} <= verbs
    for wrong in ("gett", "close", "all", "get_uri", "create", "download"):
        with pytest.raises(AttributeError, match=f"client.defer has no '{wrong}'; it has .*get"):
            getattr(sync_client.defer, wrong)


def test_a_deferred_call_is_not_sent_before_all(sync_client: SyncAtomHTTP, origin: Origin) -> None:
    call = sync_client.defer.get("/bytes/3")
    assert origin.connections == 0
    assert sync_client.all([call])[0].content == pattern(3)
    # It may be sent again, and again in one go; each time with the defaults as they stand then.
    sync_client.defaults.headers["X-Now"] = "1"
    assert [each.content for each in sync_client.all([call, call])] == [pattern(3)] * 2
    assert [each.get("x-now") for each in origin.requests] == [None, "1", "1"]


def test_its_arguments_are_checked_when_it_is_sent(sync_client: SyncAtomHTTP) -> None:
    calls = [
        sync_client.defer.get("/bytes/1", timeuot=3),
        sync_client.defer.get("/bytes/1", {"headers": {"a": "b"}}),
        sync_client.defer.get("/bytes/1", None, None),
        sync_client.defer.get(),
        sync_client.defer.post("/echo", data={1: object()}),
    ]
    results = sync_client.all(calls, return_exceptions=True)
    assert [type(each) for each in results[:3]] == [AtomHTTPOptionError] * 3
    assert type(results[3]) is TypeError
    assert type(results[4]) is AtomHTTPOptionError


def test_what_a_deferred_call_looks_like(sync_client: SyncAtomHTTP) -> None:
    defer = sync_client.defer
    assert repr(defer.get("/a")) == "<Deferred get /a>"
    for call in (
        defer.get("http://user:canary@host/a?token=canary&page=2", headers={"Authorization": "canary"}),
        defer.get(url="http://user:canary@host/a?token=canary&page=2", auth=("user", "canary")),
        defer.get(config={"url": "http://user:canary@host/a?token=canary&page=2"}, data="canary"),
    ):
        assert repr(call) == str(call) == "<Deferred get http://host/a?token=[redacted]&page=2>"
    url = "/a?password=canary"
    for call in (
        defer.request("GET", url, json={"password": "canary"}),
        defer.request("GET", url=url),
        defer.request(method="GET", url=url),
        defer.request({"url": url, "data": "canary"}),
        defer.request(RequestConfig(url=url, data="canary")),
        defer.request(config={"url": url}),
    ):
        assert repr(call) == "<Deferred request /a?password=[redacted]>"
    assert repr(defer.request()) == "<Deferred request>"
    assert repr(defer.post("/a", {"b": "canary"})) == "<Deferred post /a>"


def test_a_deferred_call_cannot_be_awaited_or_given_to_others(sync_client: SyncAtomHTTP, origin: Origin) -> None:
    call = sync_client.defer.get("/bytes/1?token=canary")

    async def mistakes() -> None:
        with pytest.raises(TypeError, match=r"<Deferred get .*> belongs to a synchronous client") as caught:
            await call
        assert "canary" not in str(caught.value)
        with pytest.raises(TypeError, match="belongs to a synchronous client"):
            await AtomHTTP.all([call])

    asyncio.run(mistakes())
    with (
        SyncAtomHTTP(base_url=origin.url) as other,
        pytest.raises(AtomHTTPOptionError, match=r"all: tasks\[1\]: expected a call that this client has deferred"),
    ):
        other.all([other.defer.get("/bytes/1"), call])
    assert origin.requests == []
    assert sync_client.all([copy.copy(call)])[0].ok
    with pytest.raises(TypeError, match="create"):
        pickle.dumps(call)


def test_coroutines_belong_to_the_asynchronous_client(sync_client: SyncAtomHTTP, origin: Origin) -> None:
    async def coroutine() -> None:
        """Never run."""

    class Awaitable:
        def __await__(self) -> Iterator[None]:
            yield

    given = coroutine()
    for wrong, name in ((given, "coroutine"), (Awaitable(), "Awaitable"), (AtomHTTP().get("/"), "coroutine")):
        with pytest.raises(
            AtomHTTPOptionError, match=rf"tasks\[1\]: .*client.defer.get\(url\).*, got {name}"
        ) as caught:
            sync_client.all([sync_client.defer.get("/echo"), wrong])
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert given.cr_frame is None
    assert origin.requests == []


def test_it_all_happens_on_one_thread(sync_client: SyncAtomHTTP, origin: Origin) -> None:
    seen: list[set[str]] = []
    barrier = threading.Barrier(30)

    def meet(_request: Received) -> Answer:
        barrier.wait(PATIENCE)
        seen.append({each.name for each in threading.enumerate() if not each.name.startswith("Origin")})
        return Answer(b"met")

    origin.routes["/meet"] = meet
    before = {each.name for each in threading.enumerate() if not each.name.startswith("Origin")}
    sync_client.all([sync_client.defer.get("/meet") for _ in range(30)])
    assert seen == [before] * 30
    assert origin.high_water == 30


def test_in_a_running_loop_and_in_other_threads(sync_client: SyncAtomHTTP, origin: Origin) -> None:
    calls = [sync_client.defer.get(f"/bytes/{size}") for size in range(10)]

    async def main() -> list[Any]:
        return sync_client.all(calls, limit=3)

    found: list[list[Any]] = [asyncio.run(main())]
    thread = threading.Thread(target=lambda: found.append(sync_client.all(calls)))
    thread.start()
    thread.join(PATIENCE)
    for results in found:
        assert [each.content for each in results] == [pattern(size) for size in range(10)]


def test_an_asynchronous_body_that_yields_and_one_that_needs_a_loop(sync_client: SyncAtomHTTP) -> None:
    async def yielding(name: bytes) -> Any:
        for _ in range(3):
            await asyncio.sleep(0)
            yield name

    class Foreign:
        def __await__(self) -> Iterator[Any]:
            yield self

    async def needing() -> Any:
        yield b"one"
        await Foreign()

    defer = sync_client.defer
    calls = [defer.post("/echo", data=body) for body in (yielding(b"a"), needing(), yielding(b"b"))]
    first, second, third = sync_client.all(calls, return_exceptions=True)
    assert (first.data["body"], third.data["body"]) == ("aaa", "bbb")
    assert type(second) is RuntimeError
    assert "Foreign" in str(second)


def test_spread_refuses_what_needs_a_loop_by_name() -> None:
    class Foreign:
        def __await__(self) -> Iterator[Any]:
            yield self

    async def callback(_: Any) -> None:
        await Foreign()

    async def inside() -> str:
        async def sleep() -> None:
            await asyncio.sleep(60)

        with pytest.raises(RuntimeError, match=r"synchronous client cannot wait for .*Future") as caught:
            SyncAtomHTTP.spread(sleep)
        return str(caught.value)

    with pytest.raises(RuntimeError, match=r"synchronous client cannot wait for .*Foreign"):
        SyncAtomHTTP.spread(callback, 1)
    assert "no event loop" in asyncio.run(inside())


# Synchronous only: overridden verbs


class Counting(SyncAtomHTTP):
    """Sees every call, and what comes of it."""

    def request(self, *arguments: Any, **options: Any) -> Any:
        seen = self.__dict__.setdefault("seen", [])
        seen.append("begins")
        try:
            response = super().request(*arguments, **options)
        except AtomHTTPNetworkError:
            seen.append("fails")
            return "instead"
        seen.append(response.status)
        response.data = "changed"
        return response


def test_overriding_request_sees_every_call_and_its_result(origin: Origin) -> None:
    """Its code has to have the response before it goes on: so one call is made after the other, in order."""
    with Counting(base_url=origin.url) as client:
        defer = client.defer
        calls = [defer.get("/bytes/1"), defer.post("/status/404"), "value", defer.get(REFUSED), defer.get("/bytes/2")]
        results = client.all(calls, limit=3)
        assert client.seen == ["begins", 200, "begins", 404, "begins", "fails", "begins", 200]
        assert results[2:4] == ["value", "instead"]
        assert [results[place].data for place in (0, 1, 4)] == ["changed"] * 3
        assert origin.high_water == 1


def test_an_overriding_request_that_fails_ends_it(origin: Origin) -> None:
    class Strict(SyncAtomHTTP):
        def request(self, *arguments: Any, **options: Any) -> Any:
            return super().request(*arguments, **options).raise_for_status()

    with Strict(base_url=origin.url) as client:
        calls = [
            client.defer.get("/bytes/5000000", response_type="stream"),
            client.defer.get("/status/500"),
            client.defer.get("/bytes/2"),
        ]
        with pytest.raises(AtomHTTPStatusError):
            client.all(calls)
        assert [each.path for each in origin.requests] == ["/bytes/5000000", "/status/500"]
        (pool,) = client._adapter.pools
        assert pool.open_count == pool.idle_count, "the stream that nobody will see is closed"
        first, second, third = client.all(calls, return_exceptions=True)
        assert type(second) is AtomHTTPStatusError
        assert third.content == pattern(2)
        first.data.close()


def test_overriding_another_verb_counts_as_well(origin: Origin) -> None:
    class Prefixed(SyncAtomHTTP):
        def get(self, url: Any, *arguments: Any, **options: Any) -> Any:
            return super().get(f"/bytes{url}", *arguments, **options)

    with Prefixed(base_url=origin.url) as client:
        results = client.all([client.defer.get("/3"), client.defer.request("GET", "/bytes/4"), client.defer.get("/5")])
        assert [each.content for each in results] == [pattern(3), pattern(4), pattern(5)]
        assert origin.high_water == 1


@pytest.mark.parametrize("where", ["instance", "class"])
def test_a_verb_that_was_replaced_sees_every_call(origin: Origin, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """As instrumentation and tests do it."""
    seen: list[int] = []

    def watch(function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            response = function(*arguments, **options)
            seen.append(response.status)
            return response

        return watched

    with SyncAtomHTTP(base_url=origin.url) as client:
        owner: Any = client if where == "instance" else SyncAtomHTTP
        monkeypatch.setattr(owner, "request", watch(owner.request))
        results = client.all([client.defer.get("/bytes/3"), client.defer.get("/status/201")])
        assert [each.status for each in results] == seen == [200, 201]


def test_a_subclass_with_verbs_as_they_are_is_in_flight_at_once(origin: Origin) -> None:
    class Named(SyncAtomHTTP):
        def fetch(self, url: str) -> Any:
            return self.get(url)

        def get_uri(self, *arguments: Any, **options: Any) -> str:
            return super().get_uri(*arguments, **options)

    path = hold_until(origin, 5)
    with Named(base_url=origin.url) as client:
        assert all(each.ok for each in client.all([client.defer.get(path) for _ in range(5)]))
    assert origin.high_water == 5
