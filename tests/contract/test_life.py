"""Life of a client: create, close, loops, threads, `with`, copies (contract: Client)."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from typing import Any

import pytest

import atomhttp
from atomhttp import (
    AsyncAtomHTTP,
    AtomHTTP,
    AtomHTTPClosedError,
    AtomHTTPError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPTimeoutError,
    BasicAuth,
    BearerAuth,
    Headers,
    RequestConfig,
    Response,
    SyncAtomHTTP,
    Timeout,
)
from contract.flavours import Api, AwaitableClient, collect, entered, wait
from support.naming import described
from support.nginx import JSON, Nginx
from support.origin import Origin
from support.peer import Peer, expect_end, expect_head, send

# create


async def test_create_copies_the_defaults_as_they_stand(api: Api, origin: Origin) -> None:
    parent = api.client(baseURL=origin.url, headers={"X-One": "1", "post": {"X-Post": "1"}}, params={"a": {"b": [1]}})
    parent.defaults.timeout = 9
    child = api.keep(getattr(parent, "real", parent).create())
    parent.defaults.headers["X-One"] = "parent"
    parent.defaults.headers.post["X-Post"] = "parent"
    parent.defaults.params["a"]["b"].append(2)
    parent.defaults.timeout = 10
    child.defaults.headers["X-Child"] = "1"
    await child.post("/echo")
    await parent.post("/echo")
    ours, theirs = origin.requests
    assert (ours.get("x-one"), ours.get("x-post"), ours.get("x-child")) == ("1", "1", "1")
    assert ours.target == "/echo?a%5Bb%5D%5B0%5D=1"
    assert (theirs.get("x-one"), theirs.get("x-post"), theirs.get("x-child")) == ("parent", "parent", None)
    assert child.defaults.timeout == 9


async def test_create_puts_its_options_over_the_copy(api: Api, origin: Origin) -> None:
    parent = api.client(baseURL=origin.url, headers={"X-One": "1", "X-Two": "1"}, params={"a": 1, "b": 1})
    child = api.keep(
        getattr(parent, "real", parent).create({"headers": {"x-two": "2"}, "params": {"b": 2}}, responseType="blob")
    )
    response = await child.get("/echo")
    assert isinstance(response.data, bytes)
    assert (origin.requests[0].get("x-one"), origin.requests[0].get("x-two")) == ("1", "2")
    assert origin.requests[0].get("user-agent") is not None
    assert origin.requests[0].target == "/echo?a=1&b=2"


async def test_create_shares_the_parents_adapter(api: Api, origin: Origin) -> None:
    parent = api.client(baseURL=origin.url)
    child = api.keep(getattr(parent, "real", parent).create(headers={"X-Child": "1"}))
    await parent.get("/echo")
    await child.get("/echo")
    await child.close()
    await parent.get("/echo")
    assert origin.connections == 1


async def test_create_on_the_class_makes_a_client(api: Api, origin: Origin) -> None:
    client = api.keep(api.client_class.create({"baseURL": origin.url}, timeout=9))
    assert (await client.get("/echo")).config.timeout == 9


async def test_create_returns_the_same_type(api: Api) -> None:
    mine = type("Mine", (api.client_class,), {})
    parent = mine()
    child, other = parent.create(), mine.create()
    for client in (parent, child, other):
        assert type(client) is mine
        api.keep(client)


def test_async_atomhttp_is_atomhttp() -> None:
    assert AsyncAtomHTTP is AtomHTTP


# Closing


async def test_a_closed_client_raises_and_closing_twice_is_fine(api: Api, origin: Origin) -> None:
    client = api.client()
    await client.get(f"{origin.url}/echo")
    await client.close()
    await client.close()
    with pytest.raises(AtomHTTPClosedError) as caught:
        await client.get(f"{origin.url}/echo")
    assert caught.value.code == "ERR_CLIENT_CLOSED"
    assert isinstance(caught.value, RuntimeError)
    assert "closed" in repr(client) or api.is_sync


async def test_closing_closes_the_connections(api: Api) -> None:
    with Peer([expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), expect_end()]) as peer:
        client = api.client()
        await client.get(peer.url)
        await client.close()


async def test_with_gives_the_client_and_closes_it(api: Api, origin: Origin) -> None:
    client = api.client()
    async with entered(client, api) as entry:
        assert entry is getattr(client, "real", client)
    with pytest.raises(AtomHTTPClosedError):
        await client.get(f"{origin.url}/echo")


async def test_aclose_is_close() -> None:
    client = AtomHTTP()
    await client.aclose()
    with pytest.raises(AtomHTTPClosedError):
        await client.get("http://service.test/")


def test_the_wrong_with_names_the_right_one() -> None:
    client = AtomHTTP()
    with pytest.raises(TypeError, match=r"async with.*SyncAtomHTTP"), client:
        pass


async def test_the_wrong_async_with_names_the_right_one() -> None:
    with SyncAtomHTTP() as client, pytest.raises(TypeError, match=r"'with'.*AtomHTTP"):
        async with client:
            pass


async def test_calls_in_flight_raise_when_the_client_is_closed(origin: Origin) -> None:
    client = AtomHTTP()
    call = asyncio.create_task(client.get(f"{origin.url}/delay/9"))
    await asyncio.to_thread(origin.wait_for_requests, 1)
    await client.close()
    with pytest.raises(AtomHTTPClosedError) as caught:
        await call
    assert caught.value.code == "ERR_CLIENT_CLOSED"


def test_a_call_in_another_thread_raises_when_the_client_is_closed(origin: Origin) -> None:
    client = SyncAtomHTTP()
    raised: list[BaseException] = []

    def call() -> None:
        try:
            client.get(f"{origin.url}/delay/9")
        except AtomHTTPError as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    origin.wait_for_requests(1)
    client.close()
    thread.join(5)
    origin.release.set()
    thread.join()
    assert [type(each) for each in raised] == [AtomHTTPClosedError]


def test_a_client_never_closed_gives_no_warning(nginx: Nginx) -> None:
    SyncAtomHTTP().get(f"{nginx.url}/json")
    asyncio.run(AtomHTTP().get(f"{nginx.url}/json"))


# Loops and threads


def test_without_a_running_loop_a_runtime_error_names_the_synchronous_client() -> None:
    coroutine = AtomHTTP().get("http://service.test/")
    with pytest.raises(RuntimeError, match="SyncAtomHTTP"):
        coroutine.send(None)


def test_a_client_works_over_two_loops_one_after_the_other(nginx: Nginx) -> None:
    client = AtomHTTP()
    for _ in range(2):
        assert asyncio.run(client.get(f"{nginx.url}/json")).content == JSON
    asyncio.run(client.close())


async def test_the_synchronous_client_works_inside_a_running_loop(nginx: Nginx, loop_kind: str) -> None:
    with SyncAtomHTTP() as client:
        assert client.get(f"{nginx.url}/json").content == JSON


def test_the_synchronous_client_may_be_shared_by_threads(nginx: Nginx) -> None:
    answers: list[bytes] = []
    with SyncAtomHTTP() as client:
        threads = [
            threading.Thread(target=lambda: answers.append(client.get(f"{nginx.url}/json").content)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [JSON] * 8


async def test_a_body_that_needs_a_loop_is_refused_by_the_synchronous_client(origin: Origin) -> None:
    async def body() -> Any:
        await asyncio.Event().wait()
        yield b"a"

    with SyncAtomHTTP() as client, pytest.raises(RuntimeError, match="AtomHTTP"):
        client.post(f"{origin.url}/echo", body())


# One-shots


@pytest.mark.parametrize("verb", ["get", "delete", "head", "options", "post", "put", "patch", "query"])
def test_the_one_shots_are_synchronous_calls(origin: Origin, verb: str) -> None:
    response = getattr(atomhttp, verb)(f"{origin.url}/echo", headers={"X-One": "1"})
    assert response.status == 200
    assert (origin.requests[0].method, origin.requests[0].get("x-one")) == (verb.upper(), "1")


def test_the_one_shot_request_takes_what_request_takes(origin: Origin) -> None:
    atomhttp.request("DELETE", f"{origin.url}/echo")
    atomhttp.request({"url": f"{origin.url}/echo", "method": "put"})
    assert [each.method for each in origin.requests] == ["DELETE", "PUT"]


def test_a_one_shot_that_fails_leaves_nothing_open(origin: Origin) -> None:
    with pytest.raises(AtomHTTPError):
        atomhttp.get(f"{origin.url}/status/500", validateStatus=True)


# Copies

TWINS = [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize(
    "value",
    [
        Headers({"A": ["1", "2"], "B": "3"}),
        Timeout(5, connect=1),
        Timeout.of(5),
        Timeout(),
        BasicAuth("user", "pw"),
        BearerAuth("t"),
    ],
    ids=described,
)
def test_headers_timeouts_and_auth_objects_survive(twin: Any, value: Any) -> None:
    copied = twin(value)
    assert copied == value
    assert repr(copied) == repr(value)


@pytest.mark.parametrize("twin", TWINS)
def test_a_locked_or_removed_header_stays_so_in_a_copy(twin: Any) -> None:
    copied = twin(Headers({"A": False, "B": None}))
    assert "a" not in copied.set("A", "1")
    assert dict(Headers({"A": "1", "B": "2", "C": "3"}).concat(copied)) == {"C": "3"}


@pytest.mark.parametrize("twin", TWINS)
def test_a_request_config_survives(twin: Any) -> None:
    config = RequestConfig(
        url="/x",
        method="put",
        json={"a": [1]},
        headers={"X": "1"},
        timeout=None,
        meta={"k": 1},
        baseURL="http://h.test",
    )
    copied = twin(config)
    for name in ("url", "method", "json", "headers", "timeout", "meta", "baseURL", "data", "response_type"):
        assert copied[name] == config[name]
    copied.headers["X"] = "2"
    assert config.headers["X"] == "1"


@pytest.mark.parametrize("twin", TWINS)
async def test_a_config_from_a_response_survives_and_can_be_sent(api: Api, origin: Origin, twin: Any) -> None:
    client = api.client(baseURL=origin.url, params=[("a", 1)], headers={"X-One": "1", "X-Two": "2"})
    response = await client.post("/echo", {"b": 2}, params=[("c", 3)], headers={"X-Two": None})
    await client.request(twin(response.config))
    one, two = origin.requests
    assert (one.method, one.target, one.headers, one.body) == (two.method, two.target, two.headers, two.body)


@pytest.mark.parametrize("twin", TWINS)
async def test_a_response_survives(client: Any, answer: Any, twin: Any) -> None:
    url = answer(b'{"a": 1}', "application/json", headers=[("X-One", "1")])
    response = await client.get(url, headers={"X-Sent": "1"})
    copied = twin(response)
    for name in (
        "data",
        "status",
        "status_text",
        "headers",
        "url",
        "content",
        "text",
        "ok",
        "http_version",
        "timings",
        "trailers",
    ):
        assert getattr(copied, name) == getattr(response, name), name
    assert copied.request.headers["x-sent"] == "1"
    assert copied.json() == {"a": 1}
    assert repr(copied) == repr(response)
    copied.headers["X-One"] = "2"
    if twin is not copy.copy:
        assert response.headers["X-One"] == "1"


@pytest.mark.parametrize("twin", TWINS)
def test_a_response_by_hand_survives(twin: Any) -> None:
    copied = twin(Response({"a": 1}, 404, "Mine", {"X": "1"}))
    assert (copied.data, copied.status, copied.status_text, dict(copied.headers)) == ({"a": 1}, 404, "Mine", {"X": "1"})


ERRORS = [
    AtomHTTPOptionError("message", "ERR_BAD_OPTION_VALUE"),
    AtomHTTPLimitError("message", limit=5, size=6),
    AtomHTTPTimeoutError("message", phase="pool", limit=1.0, elapsed=1.5, url="http://h.test/"),
    AtomHTTPNetworkError("message", "ECONNRESET", request_sent="yes", reused=True),
    AtomHTTPClosedError("message"),
    AtomHTTPError("message", config=RequestConfig(url="/x"), response=Response(5, 500)),
]


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_survive(twin: Any, error: Any) -> None:
    copied = twin(error)
    assert type(copied) is type(error)
    assert (str(copied), repr(copied), copied.code, copied.status) == (
        str(error),
        repr(error),
        error.code,
        error.status,
    )
    for name in ("limit", "size", "phase", "elapsed", "url", "request_sent", "reused"):
        assert getattr(copied, name, None) == getattr(error, name, None)


@pytest.mark.parametrize("twin", TWINS)
async def test_a_status_error_survives_with_its_response(client: Any, answer: Any, twin: Any) -> None:
    with pytest.raises(AtomHTTPError) as caught:
        await client.get(answer(b'{"a": 1}', "application/json", 404), validateStatus=True)
    copied = twin(caught.value)
    assert (copied.response.data, copied.status, str(copied)) == ({"a": 1}, 404, str(caught.value))


@pytest.mark.parametrize("twin", TWINS)
async def test_a_status_error_about_an_open_stream_survives_without_it(client: Any, origin: Origin, twin: Any) -> None:
    response = await client.get(f"{origin.url}/status/404", response_type="stream")
    with pytest.raises(AtomHTTPError) as caught:
        response.raise_for_status()
    copied = twin(caught.value)
    assert (copied.response.data, copied.status) == (None, 404)
    assert await collect(response.data) == []


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize("client_class", [AtomHTTP, SyncAtomHTTP])
def test_a_client_says_what_to_do_instead_of_a_copy(twin: Any, client_class: Any) -> None:
    with pytest.raises(TypeError, match=r"create\(\)"):
        twin(client_class())


def test_the_proxy_of_these_tests_is_no_client() -> None:
    assert not issubclass(AwaitableClient, SyncAtomHTTP)


async def test_wait_takes_values_and_awaitables(client: Any, origin: Origin) -> None:
    assert await wait(5) == 5
    assert (await wait(client.get(f"{origin.url}/echo"))).status == 200
