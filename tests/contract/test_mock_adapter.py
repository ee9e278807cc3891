"""MockAdapter: registering, matching, answering, asserting (contract: adapters).

That policies hold with it is shown by the flavour "mock" of the other files here (`contract.mocked`).
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import pickle
import re
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

import atomhttp.adapters
from atomhttp import (
    AdapterResponse,
    AtomHTTP,
    AtomHTTPClosedError,
    AtomHTTPError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPProtocolError,
    AtomHTTPTimeoutError,
    FormData,
    SyncAtomHTTP,
    Timeout,
)
from atomhttp.testing import MockAdapter, MockRequest, UnexpectedRequestError
from contract import mocked
from contract.flavours import Api, close, collect, wait
from support.clock import VirtualClockLoop
from support.origin import Origin, pattern

BASE = "https://api.example.com/v1"
FAST = {"backoff_factor": 0}


def client_of(api: Api, adapter: MockAdapter, **options: Any) -> Any:
    return api.client(adapter=adapter, base_url=BASE, **options)


async def failure(call: Any, kind: type[BaseException] = AtomHTTPError) -> Any:
    with pytest.raises(kind) as caught:
        await call
    return caught.value


# As the published 1.x had it


async def test_as_users_of_1_x_know_it(api: Api) -> None:
    adapter = atomhttp.adapters.MockAdapter()
    adapter.on("GET", "https://api.test/users", {"users": []}, 200)
    adapter.on("POST", "https://api.test/users", {"id": 1}, 201)
    client = api.client({"adapter": adapter})
    assert (await client.get("https://api.test/users")).data == {"users": []}
    created = await client.post("https://api.test/users", {"name": "Ada"})
    assert (created.status, created.status_text, created.data) == (201, "Created", {"id": 1})
    await adapter.close()


# Answers


@pytest.mark.parametrize(
    ("data", "content", "content_type"),
    [
        ({"id": 1, "ü": [None, True, 1.5]}, '{"id":1,"ü":[null,true,1.5]}'.encode(), "application/json"),
        ([], b"[]", "application/json"),
        ((1, 2), b"[1,2]", "application/json"),
        (0, b"0", "application/json"),
        (False, b"false", "application/json"),
        ("grüß", "grüß".encode(), "text/plain; charset=utf-8"),
        (b"\x00\xff", b"\x00\xff", "application/octet-stream"),
        (bytearray(b"abc"), b"abc", "application/octet-stream"),
        (None, b"", None),
    ],
)
async def test_data_is_sent_as_a_server_would(api: Api, data: Any, content: bytes, content_type: str | None) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/x", data)
    response = await client_of(api, adapter).get("/x", response_type="blob")
    assert response.content == content
    assert response.headers.get("content-type") == content_type
    assert response.headers["content-length"] == str(len(content))
    assert (response.http_version, response.status_text) == ("1.1", "OK")


async def test_headers_override_repeat_and_remove(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/a", "<x/>", headers={"content-type": "text/xml", "Set-Cookie": ["a=1", "b=2"]})
    adapter.on("GET", "/b", "x", headers={"Content-Type": None})
    client = client_of(api, adapter)
    response = await client.get("/a")
    assert response.headers.get_all("content-type") == ["text/xml"]
    assert response.headers.get_set_cookie() == ["a=1", "b=2"]
    assert "content-type" not in (await client.get("/b")).headers


async def test_what_is_registered_is_what_it_was_then(api: Api) -> None:
    users = [{"id": 1}]
    adapter = MockAdapter()
    adapter.on("GET", "/users", users)
    users.clear()
    client = client_of(api, adapter)
    (await client.get("/users")).data.append("changed by the caller")
    assert (await client.get("/users")).data == [{"id": 1}]


@pytest.mark.parametrize("kind", ["list", "generator", "async generator", "Path"])
async def test_streams_are_read_piece_by_piece(api: Api, tmp_path: Path, kind: str) -> None:
    whole = pattern(300_000)
    pieces = [whole[:100_000], b"", whole[100_000:]]
    (tmp_path / "x.png").write_bytes(whole)

    async def generate() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    data = {"list": pieces, "generator": iter(pieces), "async generator": generate(), "Path": tmp_path / "x.png"}[kind]
    adapter = MockAdapter()
    adapter.on("GET", "/x", data)
    response = await client_of(api, adapter).get("/x", response_type="stream")
    received = await collect(response.data)
    assert b"".join(received) == whole
    assert max(map(len, received)) <= 64 * 1024
    if kind == "Path":
        assert (response.headers["content-length"], response.headers["content-type"]) == ("300000", "image/png")
    else:
        assert response.headers["transfer-encoding"] == "chunked"


async def test_a_list_and_a_path_may_be_sent_again_an_iterator_not(api: Api, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"file")
    adapter = MockAdapter()
    adapter.on("GET", "/list", [b"a", b"b"])
    adapter.on("GET", "/path", tmp_path / "x")
    adapter.on("GET", "/iterator", iter([b"a", b"b"]))
    client = client_of(api, adapter, response_type="text")
    for path, content in (("/list", "ab"), ("/path", "file")):
        assert [(await client.get(path)).data for _ in range(2)] == [content, content]
    assert (await client.get("/iterator")).data == "ab"
    assert "used up" in str(await failure(client.get("/iterator"), AtomHTTPOptionError))


async def test_a_stream_that_is_closed_early_closes_what_it_came_from(api: Api) -> None:
    ended = []

    def generate() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
        finally:
            ended.append("generator")

    async def generate_async() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
        finally:
            ended.append("async generator")

    adapter = MockAdapter()
    adapter.on("GET", "/a", reply=generate)
    adapter.on("GET", "/b", reply=generate_async)
    client = client_of(api, adapter)
    for path in ("/a", "/b"):
        response = await client.get(path, response_type="stream")
        assert await wait(response.data.read(1500)) == b"x" * 1500
        await close(response.data)
        await failure(client.get(path, max_content_length=5000), AtomHTTPLimitError)
    assert ended == ["generator"] * 2 + ["async generator"] * 2


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_what_has_no_content_has_none(api: Api, method: str, status: int) -> None:
    adapter = MockAdapter()
    adapter.on(method, "/x", b"content", status)
    response = await client_of(api, adapter).request(method, "/x", response_type="blob")
    assert (response.content, response.data) == (b"", b"")
    # The length of what a GET would give.
    assert response.headers.get("content-length") == ("7" if method == "HEAD" else None)


async def test_content_coding_is_the_policies_business(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/x", gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"})
    assert (await client_of(api, adapter).get("/x")).data == {"a": 1}


async def test_progress_has_totals_both_ways(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("POST", "/x", pattern(600_000))
    up, down = [], []
    await client_of(api, adapter).post(
        "/x",
        pattern(700_000),
        on_upload_progress=lambda loaded, total: up.append((loaded, total)),
        on_download_progress=lambda loaded, total: down.append((loaded, total)),
    )
    assert up[-1] == (700_000, 700_000)
    assert down[-1] == (600_000, 600_000)
    assert len(up) > 1 < len(down)


@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_a_content_length_that_is_not_reached_is_a_connection_that_was_cut_off(
    api: Api, response_type: str
) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/x", [b"12345"], headers={"Content-Length": 10})
    adapter.on("GET", "/longer", "1234567890", headers={"Content-Length": 5})
    client = client_of(api, adapter)

    async def read(path: str) -> Any:
        response = await client.get(path, response_type=response_type)
        return response.data if response_type == "json" else b"".join(await collect(response.data))

    error = await failure(read("/x"), AtomHTTPProtocolError)
    assert "5 bytes before the end of the response" in str(error)
    if response_type == "json":
        assert error.response.status == 200
    assert await read("/longer") in ("12345", b"12345")


async def test_an_adapter_response_is_sent_as_it_is(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/x", AdapterResponse(418, {"X-A": "1"}, b"tea", "Short And Stout", "1.0"))
    client = client_of(api, adapter)
    for _ in range(2):
        response = await client.get("/x", response_type="text")
        assert (response.status, response.status_text, response.http_version) == (418, "Short And Stout", "1.0")
        assert (response.data, response.headers["x-a"]) == ("tea", "1")


# Functions and sequences


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_function_answers(api: Api, is_async: bool) -> None:
    def answer(request: MockRequest) -> Any:
        sent = request.json()
        assert request.body == b'{"name":"Ada"}'
        assert (request.method, request.path, request.params) == ("POST", "/v1/users", {"a": ["1", "2"], "b": ""})
        assert request.headers["X-Key"] == "k"
        return 201, {"id": 7, **sent}, {"Location": "/users/7"}

    async def answer_later(request: MockRequest) -> Any:
        return answer(request)

    adapter = MockAdapter()
    adapter.on("POST", "/users", reply=answer_later if is_async else answer)
    response = await client_of(api, adapter).post("/users?a=1&a=2&b=", {"name": "Ada"}, headers={"X-Key": "k"})
    assert (response.status, response.data) == (201, {"id": 7, "name": "Ada"})
    assert response.headers["location"] == "/users/7"


@pytest.mark.parametrize(
    ("given", "status", "data"),
    [
        ({"a": 1}, 200, {"a": 1}),
        ("text", 200, "text"),
        (None, 200, None),
        ((404,), 404, None),
        ((404, {"error": "none"}), 404, {"error": "none"}),
        ((200, "x", {"X-A": "1"}), 200, "x"),
        (("not", "a status"), 200, ["not", "a status"]),
        (AdapterResponse(202), 202, None),
    ],
)
async def test_what_a_function_may_return(api: Api, given: Any, status: int, data: Any) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/x", reply=lambda: given)
    response = await client_of(api, adapter).get("/x")
    assert (response.status, response.data) == (status, data)


async def test_a_number_may_be_a_status_or_data_and_has_to_say_which(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/x", reply=lambda: 404)
    assert "(404, None)" in str(await failure(client_of(api, adapter).get("/x"), AtomHTTPOptionError))
    with pytest.raises(AtomHTTPOptionError, match="may be a status"):
        adapter.on("GET", "/y", reply=[503, 200])


async def test_what_a_function_raises_passes_through_and_errors_of_ours_are_the_networks(api: Api) -> None:
    def broken() -> Any:
        raise ZeroDivisionError("the test's own")

    answers = [AtomHTTPNetworkError("gone", "ECONNRESET", request_sent="yes"), "fine"]

    def flaky() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    adapter = MockAdapter()
    adapter.on("GET", "/broken", reply=broken)
    adapter.on("GET", "/flaky", reply=flaky)
    client = client_of(api, adapter, retry_config=FAST)
    await failure(client.get("/broken"), ZeroDivisionError)
    assert (await client.get("/flaky")).data == "fine"
    assert [call.error is None for call in adapter.calls] == [False, False, True]


async def test_sequences_end_with_their_last_answer(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/a", reply=[(503, None), AtomHTTPNetworkError, lambda: "third", {"n": 4}])
    adapter.on("GET", "/b", "first").then("second", 201).then(error="reset").then(reply=lambda: "fourth")
    client = client_of(api, adapter)
    assert (await client.get("/a")).status == 503
    await failure(client.get("/a"), AtomHTTPNetworkError)
    assert [(await client.get("/a")).data for _ in range(3)] == ["third", {"n": 4}, {"n": 4}]
    assert [(await client.get("/b")).data for _ in range(2)] == ["first", "second"]
    assert (await failure(client.get("/b"))).code == "ECONNRESET"
    assert [(await client.get("/b")).data for _ in range(2)] == ["fourth", "fourth"]


async def test_times_hands_on_to_the_next_that_matches(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/x", status=503, times=2)
    last = adapter.on("GET", "/x", "fine", times=1)
    client = client_of(api, adapter)
    response = await client.get("/x", retry_config=FAST)
    assert [attempt.status for attempt in response.attempts] == [503, 503, 200]
    assert "as often as it was registered for" in str(await failure(client.get("/x"), UnexpectedRequestError))
    assert (last.called, last.call_count, last.last_call.status) == (True, 1, 200)


async def test_the_same_conditions_again_take_the_place_of_those_without_times(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/x", "first", params={"a": 1})
    adapter.on("GET", "/x", "other")
    adapter.on("get", "/x", "second", params={"a": 1})
    client = client_of(api, adapter)
    assert (await client.get("/x?a=1")).data == "second"
    assert (await client.get("/x")).data == "other"
    assert len(adapter.routes) == 2


# Errors and time


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ("timeout", AtomHTTPTimeoutError, "ECONNABORTED"),
        (AtomHTTPTimeoutError, AtomHTTPTimeoutError, "ECONNABORTED"),
        ("network", AtomHTTPNetworkError, "ERR_NETWORK"),
        (AtomHTTPNetworkError, AtomHTTPNetworkError, "ERR_NETWORK"),
        ("refused", AtomHTTPNetworkError, "ECONNREFUSED"),
        ("reset", AtomHTTPNetworkError, "ECONNRESET"),
        (AtomHTTPNetworkError("no such host", "ENOTFOUND"), AtomHTTPNetworkError, "ENOTFOUND"),
        (AtomHTTPProtocolError, AtomHTTPProtocolError, "ERR_BAD_RESPONSE"),
    ],
)
async def test_errors_are_those_of_the_network(api: Api, error: Any, kind: type[AtomHTTPError], code: str) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/x", error=error)
    client = client_of(api, adapter)
    first, second = [await failure(client.get("/x", timeout=3), kind) for _ in range(2)]
    for raised in (first, second):
        assert raised.code == code
        assert raised.config.url == "/x"
        assert raised.request.url == f"{BASE}/x"
        assert len(raised.attempts) == 1
    # Each tells of its own call.
    assert first is not second
    assert first.request is not second.request
    if isinstance(first, AtomHTTPTimeoutError):
        assert (first.phase, first.limit, first.elapsed) == ("headers", 3.0, 3.0)


async def test_other_exceptions_are_raised_as_they_are(api: Api) -> None:
    own = KeyError("own")
    adapter = MockAdapter()
    adapter.on("GET", "/a", error=own)
    adapter.on("GET", "/b", error=OSError)
    client = client_of(api, adapter, retry_config=FAST)
    assert await failure(client.get("/a"), KeyError) is own
    assert type(await failure(client.get("/b"), OSError)) is OSError


async def test_errors_are_retried_as_the_networks_are(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("*", "/x", error="reset", times=2)
    adapter.on("*", "/x", "fine")
    adapter.on("POST", "/refused", error="refused", times=1)
    adapter.on("POST", "/refused", "connected")
    client = client_of(api, adapter, retry_config=FAST)
    assert (await client.get("/x")).data == "fine"
    # Before a byte was sent, any method may be repeated.
    assert (await client.post("/refused", "x")).data == "connected"
    adapter.on("POST", "/reset", error="reset")
    assert len((await failure(client.post("/reset", "x"))).attempts) == 1


@pytest.mark.parametrize(
    ("options", "limit", "message"),
    [
        ({"timeout": 30}, 30, "total limit"),
        ({"timeout": Timeout(60, read=5)}, 5, "read limit"),
        ({"timeout": 30, "response_type": "stream"}, 30, "total limit"),
        ({"timeout": 30, "max_content_length": 5}, 30, "total limit"),
    ],
)
async def test_a_delay_is_within_the_timeouts(
    virtual_clock: VirtualClockLoop, options: dict[str, Any], limit: float, message: str
) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/slow", "x", delay=3600)
    adapter.on("GET", "/quick", "x", delay=limit - 1)
    async with AtomHTTP(adapter=adapter, base_url=BASE) as client:
        error = await failure(client.get("/slow", **options), AtomHTTPTimeoutError)
        assert virtual_clock.time() == pytest.approx(limit, abs=0.1)
        assert (error.phase, error.limit) == ("headers", limit)
        assert message in str(error)
        async with await client.get("/quick", **options) as response:
            assert response.status == 200
        assert response.timings.wait == pytest.approx(limit - 1, abs=0.1)
        assert virtual_clock.time() == pytest.approx(2 * limit - 1, abs=0.2)


async def test_a_function_and_a_stream_are_within_the_timeouts(virtual_clock: VirtualClockLoop) -> None:
    async def answer() -> str:
        await asyncio.sleep(3600)
        return "never"

    async def generate() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(3600)
        yield b"never"

    async def patient() -> AsyncIterator[bytes]:
        for _ in range(10):
            await asyncio.sleep(20)
            yield b"x"

    adapter = MockAdapter()
    adapter.on("GET", "/function", reply=answer)
    adapter.on("GET", "/stream", reply=generate)
    adapter.on("GET", "/patient", reply=patient)
    async with AtomHTTP(adapter=adapter, base_url=BASE, timeout=30) as client:
        assert (await failure(client.get("/function"), AtomHTTPTimeoutError)).phase == "headers"
        error = await failure(client.get("/stream"), AtomHTTPTimeoutError)
        assert (error.phase, error.response.status) == ("body", 200)
        # A plain number is the longest gap of a stream.
        response = await client.get("/patient", response_type="stream")
        assert await response.data.read() == b"x" * 10
        response = await client.get("/stream", response_type="stream")
        assert await response.data.read(1) == b"x"
        assert (await failure(response.data.read(1), AtomHTTPTimeoutError)).phase == "body"


async def test_a_delay_of_the_synchronous_client_ends_with_its_timeout() -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/x", delay=3600)
    with SyncAtomHTTP(adapter=adapter) as client, pytest.raises(AtomHTTPTimeoutError, match=r"0\.05 s exceeded"):
        client.get("http://h/x", timeout=0.05)


# What matches


@pytest.mark.parametrize(
    ("registered", "path", "matches"),
    [
        (("get", "/users"), "/users", True),
        (("*", "/users"), "/users", True),
        ((None, "/users"), "/users", True),
        (("POST", "/users"), "/users", False),
        (("GET", "users"), "/users", True),
        # The whole path, and at any host.
        (("GET", "/v1/users"), "/users", True),
        (("GET", "/users"), "https://other.example/users", True),
        (("GET", "/users"), "https://other.example/v1/users", False),
        (("GET", "/users/"), "/users", False),
        (("GET", "/users"), "/users/1", False),
        (("GET", "/"), "", True),
        (("GET", "/v1"), "", True),
        # With its origin.
        (("GET", f"{BASE}/users"), "/users", True),
        (("GET", "HTTPS://API.example.com:443/v1/users"), "/users", True),
        (("GET", "http://api.example.com/v1/users"), "/users", False),
        (("GET", "https://api.example.com:8443/v1/users"), "/users", False),
        (("GET", "https://api.example.com/users"), "/users", False),
        (("GET", "//api.example.com/v1/users"), "/users", True),
        (("GET", "//api.example.com:8443/v1/users"), "/users", False),
        (("GET", "//example.com/v1/users"), "/users", False),
        (("GET", "https://*.example.com/**"), "/users", True),
        (("GET", "https://*.com/**"), "/users", False),
        (("GET", "https://**.com/**"), "/users", True),
        # Any of several.
        (("GET", "/users/*"), "/users/1", True),
        (("GET", "/users/*"), "/users/1/posts", False),
        (("GET", "/users/*/posts"), "/users/1/posts", True),
        (("GET", "/users/**"), "/users/1/posts", True),
        (("GET", "*"), "/users/1/posts?a=1", True),
        (("GET", None), "/users/1/posts?a=1", True),
        (("GET",), "/users", True),
        # Spelled otherwise.
        (("GET", "/a b/ü"), "/a b/ü", True),
        (("GET", "/a%20b/%C3%BC"), "/a b/ü", True),
        (("GET", "https://bücher.example/"), "https://xn--bcher-kva.example/", True),
        (("GET", "/a/../users"), "/users", True),
        # Patterns.
        (("GET", re.compile(r"/users/\d+$")), "/users/12", True),
        (("GET", re.compile(r"^/users/\d+$")), "/users/12", True),
        (("GET", re.compile(r"^/v1/users/\d+$")), "/users/12", True),
        (("GET", re.compile(r"^https://api\.example\.com/v1/users/\d+$")), "/users/12", True),
        (("GET", re.compile(r"/users/\d+$")), "/users/x", False),
        (("GET", re.compile(r"page=2")), "/users?page=2", True),
        # The query.
        (("GET", "/users"), "/users?page=2", True),
        (("GET", "/users?page=2"), "/users?page=2", True),
        (("GET", "/users?page=2"), "/users?page=3", False),
        (("GET", "/users?page=2"), "/users", False),
        (("GET", "/users?page=2"), "/users?page=2&size=1", False),
        (("GET", "/users?a=1&b=2"), "/users?b=2&a=1", True),
        (("GET", "/users?a=1&a=2"), "/users?a=2&a=1", False),
    ],
)
async def test_method_and_url(api: Api, registered: tuple[Any, ...], path: str, matches: bool) -> None:
    adapter = MockAdapter(strict=False)
    adapter.on(*registered, status=201)
    assert (await client_of(api, adapter).get(path)).status == (201 if matches else 404)


@pytest.mark.parametrize(
    ("params", "sent", "matches"),
    [
        ({"a": 1}, {"a": 1}, True),
        ({"a": "1"}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1, "b": None}, {"a": 1}, True),
        ({}, {}, True),
        ({}, {"a": 1}, False),
        ({"a": [1, 2]}, {"a": [1, 2]}, True),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": True}, {"a": True}, True),
        ({"a": ""}, {"a": ""}, True),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, True),
        ([("a", 1), ("a", 2)], {"a": [1, 2]}, True),
        ("a=1", {"a": 1}, True),
        ({"a": re.compile(r"^\d+$")}, {"a": 12}, True),
        ({"a": re.compile(r"^\d+$")}, {"a": "x"}, False),
        ({"a": lambda value: int(value) > 3}, {"a": 4}, True),
        ({"a": lambda value: int(value) > 3}, {"a": 3}, False),
        ({"a": [1, re.compile("x")]}, {"a": [1, "x"]}, True),
    ],
)
async def test_params_are_the_whole_query(api: Api, params: Any, sent: Any, matches: bool) -> None:
    adapter = MockAdapter(strict=False)
    adapter.on("GET", "/x", status=201, params=params)
    assert (await client_of(api, adapter).get("/x", sent)).status == (201 if matches else 404)


@pytest.mark.parametrize(
    ("headers", "matches"),
    [
        ({"x-key": "k"}, True),
        ({"X-KEY": "other"}, False),
        ({"X-Number": 5}, True),
        ({"X-Key": re.compile("^k$")}, True),
        ({"X-Key": re.compile("^x$")}, False),
        ({"X-Key": lambda value: value == "k"}, True),
        ({"X-Key": str.isdigit}, False),
        ({"X-Missing": "x"}, False),
        ({"X-Missing": None, "X-Key": "k"}, True),
        ({"X-Key": None}, False),
        ({"X-Many": ["a", "b"]}, True),
        ({"X-Many": "a, b"}, True),
        ({"X-Many": ["b", "a"]}, False),
        ({"Host": "api.example.com", "Accept": re.compile("json")}, True),
    ],
)
async def test_headers_have_to_be_among_those_sent(api: Api, headers: dict[str, Any], matches: bool) -> None:
    adapter = MockAdapter(strict=False)
    adapter.on("GET", "/x", status=201, match_headers=headers)
    sent = {"X-Key": "k", "X-Number": 5, "X-Many": ["a", "b"]}
    assert (await client_of(api, adapter).get("/x", headers=sent)).status == (201 if matches else 404)


def file_form() -> FormData:
    form = FormData()
    form.append("name", "Ada")
    form.append("file", b"\x00\r\n\xff", "a.bin")
    return form


@pytest.mark.parametrize(
    ("match", "sent", "matches"),
    [
        ({"a": 1, "b": [1, {"c": None}]}, {"data": {"b": [1, {"c": None}], "a": 1}}, True),
        ({"a": 1}, {"data": {"a": 1, "b": 2}}, False),
        ({"a": 1, "b": ANY}, {"data": {"a": 1, "b": 2}}, True),
        ({"a": 1}, {"data": {"a": True}}, False),
        ({"a": 1}, {"data": {"a": 1.0}}, True),
        ({"a": lambda value: value > 3}, {"data": {"a": 4}}, True),
        ({"a": re.compile("^x")}, {"data": {"a": "yx"}}, False),
        ([1, 2], {"data": [1, 2]}, True),
        ((1, 2), {"data": [1, 2]}, True),
        ([1, 2], {"data": [1, 2, 3]}, False),
        (5, {"data": 5}, True),
        # Whoever forgets to say that it is JSON.
        ({"a": 1}, {"data": '{"a": 1}'}, True),
        ({"a": 1}, {"data": "a"}, False),
        ({"a": 1}, {}, False),
        ({"a": 1, "b": [True, "x"], "c": {"d": 2}}, {"form": {"a": 1, "b": [True, "x"], "c": {"d": 2}}}, True),
        ({"a": 2}, {"form": {"a": 1}}, False),
        ({"name": "Ada", "file": b"\x00\r\n\xff"}, {"data": file_form()}, True),
        ({"name": "Ada", "file": b"other"}, {"data": file_form()}, False),
        ("text", {"data": "text"}, True),
        ("grüß", {"data": "grüß"}, True),
        ("text", {"data": "texts"}, False),
        (b"\x00\xff", {"data": b"\x00\xff"}, True),
        (bytearray(b"x"), {"data": b"x"}, True),
        (b"", {}, True),
        (b"", {"data": "x"}, False),
        (re.compile("a+"), {"data": "baab"}, True),
        (re.compile(b"\xff"), {"data": b"\x00\xff"}, True),
        (re.compile("a+"), {"data": "x"}, False),
        (lambda data: data["a"] == 1, {"data": {"a": 1}}, True),
        (lambda data: data == "text", {"data": "text"}, True),
        (lambda data: data == b"\x00", {"data": b"\x00"}, True),
        (lambda data: data is None, {}, True),
        (lambda data: data["name"] == "Ada", {"data": file_form()}, True),
    ],
)
async def test_data(api: Api, match: Any, sent: dict[str, Any], matches: bool) -> None:
    adapter = MockAdapter(strict=False)
    adapter.on("POST", "/x", status=201, match_data=match)
    assert (await client_of(api, adapter).request("POST", "/x", **sent)).status == (201 if matches else 404)


async def test_streamed_content_is_matched_whole(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("POST", "/x", "fine", match_data=b"abcd")
    client = client_of(api, adapter)
    assert (await client.post("/x", api.iterator([b"ab", b"cd"]))).data == "fine"
    assert adapter.calls[0].headers["transfer-encoding"] == "chunked"
    error = await failure(
        client.post("/x", api.iterator([b"abcd"]), headers={"Content-Length": "5"}), AtomHTTPOptionError
    )
    assert "shorter than its Content-Length" in str(error)
    error = await failure(client.post("/x", api.iterator([b"abcd"]), max_body_length=3), AtomHTTPLimitError)
    assert error.limit == 3


# Unexpected requests


async def test_an_unexpected_request_says_what_was_registered_and_why_it_does_not_match(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/other")
    adapter.on("POST", "/users?page=1", match_data={"name": "Ada"})
    adapter.on("POST", "/users", params={"page": "2", "token": "t1"}, status=201)
    adapter.on("POST", "/users", params={"page": "1", "token": lambda value: False}, match_data={"name": "Bob"})
    adapter.on("POST", "/users", match_data={"name": "Ada", "password": "p1"})
    client = client_of(api, adapter)
    error = await failure(
        client.post("/users", {"name": "Ada", "password": "p2"}, params={"page": 1, "token": "t2"}),
        UnexpectedRequestError,
    )
    lines = str(error).splitlines()
    assert (
        lines[0] == f"unexpected request: POST {BASE}/users?page=1&token=[redacted] with 30 bytes of application/json"
    )
    assert lines[1] == "registered:"
    # The nearest first.
    assert lines[2] == (
        "  POST /users with match_data={'name': 'Ada', 'password': '[redacted]'} -> 200: "
        "data.password is not what was expected"
    )
    assert "the parameter 'token' was not expected" in str(error)
    assert "the parameter 'page' is '1', expected '2'" in str(error)
    assert lines[-1] == "  GET /other -> 200: the method is POST"
    for secret in ("p1", "p2", "t1", "t2"):
        assert secret not in str(error)
    assert error.request.json() == {"name": "Ada", "password": "p2"}
    assert [call.error for call in adapter.unexpected] == [error]


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({"url": "http://h/x"}, "the origin is https://api.example.com"),
        ({"url": "/y"}, "the path is /v1/x"),
        ({"url": re.compile("y$")}, "the URL does not match"),
        ({"url": "/x", "params": {"a": 1, "b": 2}}, "the parameter 'b' is missing"),
        ({"url": "/x", "match_headers": {"X-A": "1"}}, "the header 'X-A' is missing"),
        (
            {"url": "/x", "match_headers": {"Authorization": "Basic x"}},
            "the header 'Authorization' is not what was expected",
        ),
        (
            {"url": "/x", "match_headers": {"X-Token": "2"}},
            "the header 'X-Token' is not what was expected",
        ),
        (
            {"url": "/x", "match_headers": {"X-Id": re.compile("2")}},
            "the header 'X-Id' is '1', expected re.compile('2')",
        ),
        ({"url": "/x", "match_headers": {"X-Id": None}}, "the header 'X-Id' was not expected"),
        ({"url": "/x", "match_data": {"b": [1, 2]}}, "data.b[1] is 3, expected 2"),
        ({"url": "/x", "match_data": {"b": [1]}}, "data.b has 2 items, expected 1"),
        ({"url": "/x", "match_data": {"b": [1, 3], "c": 1}}, "data.c is missing"),
        ({"url": "/x", "match_data": {}}, "data.b was not expected"),
        ({"url": "/x", "match_data": "text"}, "the content is '{\"b\":[1,3]}', expected 'text'"),
        ({"url": "/x", "match_data": re.compile("z")}, "the content does not match 'z'"),
        ({"url": "/x", "match_data": isinstance}, ""),
    ],
)
async def test_each_reason(api: Api, conditions: dict[str, Any], reason: str) -> None:
    adapter = MockAdapter()
    if not reason:
        conditions["match_data"], reason = (lambda data: False), "match_data, <lambda>, said no to the content"
    adapter.on("POST", **conditions)
    client = client_of(api, adapter, auth=("user", "pass"))
    error = await failure(
        client.post("/x", {"b": [1, 3]}, params={"a": 1}, headers={"X-Token": "1", "X-Id": "1"}), UnexpectedRequestError
    )
    assert f": {reason}" in str(error)


async def test_nothing_takes_it_for_a_failed_request(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/start", status=302, headers={"Location": "/nowhere"})
    client = client_of(
        api, adapter, retry_config={**FAST, "condition": lambda outcome, attempt: isinstance(outcome, BaseException)}
    )
    error = await failure(client.get("/start"), UnexpectedRequestError)
    assert isinstance(error, AssertionError)
    assert not isinstance(error, AtomHTTPError)
    assert "nothing" not in str(error)
    # Not retried, and seen by whoever asks even if the code under test catches everything.
    assert [call.url for call in adapter.calls] == [f"{BASE}/start", "https://api.example.com/nowhere"]
    with pytest.raises(AssertionError, match=r"unexpected request: GET https://api\.example\.com/nowhere"):
        adapter.assert_no_unexpected()
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(twin), str(twin)) == (UnexpectedRequestError, str(error))


async def test_with_nothing_registered(api: Api) -> None:
    error = await failure(client_of(api, MockAdapter()).get("/x"), UnexpectedRequestError)
    assert str(error) == f"unexpected request: GET {BASE}/x\nnothing is registered"


async def test_not_strict_is_404(api: Api) -> None:
    adapter = MockAdapter(strict=False)
    response = await client_of(api, adapter).get("/x")
    assert (response.status, response.data) == (404, None)
    assert len(adapter.calls) == 1
    adapter.assert_no_unexpected()


@pytest.mark.parametrize("how", ["adapter", "intercept"])
async def test_passthrough_sends_the_rest_to_another_adapter(api: Api, origin: Origin, how: str) -> None:
    network = atomhttp.adapters.HTTPAdapter()
    adapter = MockAdapter(passthrough=network)
    adapter.on("GET", "/mocked", "mocked")
    client = api.client(base_url=origin.url, **({"adapter": adapter} if how == "adapter" else {}))

    async def use() -> None:
        assert (await client.get("/mocked")).data == "mocked"
        assert (await client.get("/bytes/8", response_type="blob")).data == pattern(8)
        echoed = (await client.post("/echo", api.iterator([b"ab", b"cd"]))).data
        assert echoed["body"] == "abcd"
        response = await client.get("/chunked/9000", response_type="stream")
        assert b"".join(await collect(response.data)) == pattern(9000)

    if how == "adapter":
        await use()
    else:
        with adapter.intercept():
            await use()
    assert [request.path for request in origin.requests] == ["/bytes/8", "/echo", "/chunked/9000"]
    assert [call.status for call in adapter.calls] == [200] * 4
    adapter.assert_no_unexpected()
    await adapter.close()
    await network.close()


# Instead of the network


async def test_intercept_answers_clients_that_know_nothing_of_it(api: Api, origin: Origin) -> None:
    client = api.client(base_url=origin.url)
    outer, inner = MockAdapter(), MockAdapter()
    outer.on("*", "*", "outer")
    inner.on("*", "*", "inner")
    with outer.intercept() as given:
        assert given is outer
        assert (await client.get("/x")).data == "outer"
        with pytest.raises(ZeroDivisionError), inner.intercept():
            assert (await client.get("/x")).data == "inner"
            raise ZeroDivisionError
        assert (await api.client().get("http://elsewhere.example/")).data == "outer"
        # One with an adapter of its own has said what it wants.
        assert (await client_of(api, inner).get("/x")).data == "inner"
    assert origin.requests == []
    assert (await client.get("/bytes/4", response_type="blob")).data == pattern(4)


# What was sent


async def test_calls(api: Api) -> None:
    adapter = MockAdapter()
    route = adapter.on("POST", "/x", {"ok": True}, 201)
    form = FormData()
    form.append("name", "Ada")
    form.append('fi"le', b"\x00\xff", 'a"b.bin')
    client = client_of(api, adapter)
    await client.post("/x?q=1", {"a": 1}, headers={"X-A": "1"})
    await client.post("/x", form)
    await client.post("/x", form={"a": [1, 2]})
    json_call, multipart, urlencoded = adapter.calls
    assert (json_call.method, json_call.url, json_call.params) == ("POST", f"{BASE}/x?q=1", {"q": "1"})
    assert json_call.headers["x-a"] == "1"
    assert (json_call.content, json_call.text, json_call.json()) == (b'{"a":1}', '{"a":1}', {"a": 1})
    assert (json_call.status, json_call.error, json_call.route) == (201, None, route)
    assert json_call.request.body == json_call.content
    assert json_call.request.config.url == "/x?q=1"
    assert repr(json_call) == f"<MockCall POST {BASE}/x?q=1 -> 201>"
    sent = multipart.form()
    assert sent["name"] == "Ada"
    assert [(part.name, part.value, part.filename) for part in sent.parts][1] == ('fi"le', b"\x00\xff", 'a"b.bin')
    assert urlencoded.form().get_all("a") or urlencoded.form().get_all("a[]") == ["1", "2"]
    with pytest.raises(ValueError, match="is no form"):
        json_call.form()
    with pytest.raises(ValueError, match="decode"):
        multipart.json()
    assert route.calls == adapter.calls


async def test_headers_are_those_that_would_be_on_the_wire(api: Api, origin: Origin) -> None:
    adapter = MockAdapter()
    adapter.on("*", "*")
    # A client's own Host: what is sent to either is then the same.
    options: dict[str, Any] = {"keep_alive": False, "headers": {"Host": "h", "X-A": ["1", "2"]}}
    for method, more in (
        ("GET", {}),
        ("POST", {}),
        ("POST", {"data": {"a": 1}}),
        ("PUT", {"data": api.iterator([b"x"])}),
    ):
        mocked_client = client_of(api, adapter, **options)
        await mocked_client.request(method, "/x", **(more if method != "PUT" else {"data": [b"x"].__iter__()}))
        await api.client(base_url=origin.url, **options).request(method, "/x", **more)
    assert [call.headers.multi_items() for call in adapter.calls] == [request.headers for request in origin.requests]


async def test_assertions_about_calls(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("*", "*", "x")
    client = client_of(api, adapter)
    with pytest.raises(AssertionError, match="nothing was sent"):
        adapter.assert_called("GET", "/a")
    adapter.assert_not_called()
    await client.get("/a?n=1")
    await client.get("/a?n=2&token=t")
    await client.post("/b", {"k": 1})
    assert adapter.assert_called("GET", "/a").params == {"n": "2", "token": "t"}
    assert adapter.assert_called("GET", "/a", times=2)
    assert adapter.assert_called(times=3)
    assert adapter.assert_called_once("POST", "/b", match_data={"k": 1}, match_headers={"Host": "api.example.com"})
    assert adapter.assert_called_once("GET", "/a", params={"n": 1}) is adapter.calls[0]
    assert adapter.find_calls("GET") == adapter.calls[:2]
    adapter.assert_not_called("DELETE")
    with pytest.raises(AssertionError) as caught:
        adapter.assert_called("POST", "/b", match_data={"k": 2})
    assert str(caught.value).splitlines() == [
        "expected POST /b with match_data={'k': 2} to be sent at least once, it was sent not at all",
        "sent:",
        f"  GET {BASE}/a?n=1: the method is GET",
        f"  GET {BASE}/a?n=2&token=[redacted]: the method is GET",
        f"  POST {BASE}/b with 7 bytes of application/json: data.k is 1, expected 2",
    ]
    with pytest.raises(AssertionError, match="to be sent once, it was sent twice"):
        adapter.assert_called_once("GET", "/a")
    with pytest.raises(AssertionError, match="expected no such request, it was sent once"):
        adapter.assert_not_called("POST")
    with pytest.raises(TypeError):
        adapter.assert_called("GET", "/a", param={"n": 1})


async def test_assert_all_called(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/any")
    adapter.on("GET", "/twice", times=2)
    adapter.on("GET", "/optional", optional=True)
    client = client_of(api, adapter)
    await client.get("/any")
    await client.get("/any")
    await client.get("/twice")
    with pytest.raises(AssertionError) as caught:
        adapter.assert_all_called()
    assert "GET /twice -> 200: used 1 of 2 times" in str(caught.value)
    assert "GET /any ->" not in str(caught.value)
    await client.get("/twice")
    adapter.assert_all_called()
    unused = adapter.on("GET", "/unused")
    with pytest.raises(AssertionError, match="GET /unused -> 200: used not at all"):
        adapter.assert_all_called()
    with pytest.raises(AssertionError, match="never called: GET /unused"):
        _ = unused.last_call


async def test_reset(api: Api) -> None:
    adapter = MockAdapter()
    route = adapter.on("GET", "/x", times=1)
    client = client_of(api, adapter)
    await client.get("/x")
    adapter.reset_history()
    assert (adapter.calls, route.calls) == ([], [])
    await client.get("/x")
    adapter.clear()
    assert (adapter.routes, len(adapter.calls)) == ([], 1)
    await failure(client.get("/x"), UnexpectedRequestError)
    adapter.reset()
    assert (adapter.routes, adapter.calls, adapter.unexpected) == ([], [], [])


# Bad registrations


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": 5}, r"method: .*got 5"),
        ({"method": ""}, "method"),
        ({"url": 5}, r"url: .*got 5"),
        ({"url": re.compile(b"x")}, "url: a pattern for text"),
        ({"url": "http://[x/"}, "url: not a URL"),
        ({"url": "ftp://h/"}, "url: .*only http and https"),
        ({"response_data": "a", "data": "b"}, "data: it is another word"),
        ({"response_data": {"a": b"x"}}, r"response_data\.a"),
        ({"response_data": {1, 2}}, "response_data"),
        ({"response_data": object()}, "response_data"),
        ({"response_data": FormData()}, "response_data: a FormData"),
        ({"response_data": Path("/no/such/file")}, "response_data: there is no file"),
        ({"status": 100}, "status: expected a final status"),
        ({"status": "200"}, "status: .*got '200'"),
        ({"status": True}, "status"),
        ({"headers": {"X": "a\nb"}}, "X"),
        ({"params": {"a": {1}}}, "params"),
        ({"match_headers": ["X"]}, "match_headers: expected a mapping, got list"),
        ({"match_headers": {"X": True}}, "match_headers: 'X'"),
        ({"match_data": FormData()}, "match_data: .*a form is matched by a dict"),
        ({"match_data": object()}, "match_data"),
        ({"reply": "text"}, "reply: expected a function, or a list"),
        ({"reply": []}, "reply: an empty list"),
        ({"reply": [(1, 2, 3, 4)]}, "reply"),
        ({"reply": lambda: 1, "response_data": "x"}, "reply: it gives status, headers and data itself"),
        ({"reply": lambda: 1, "status": 201}, "reply: it gives"),
        ({"error": "kaputt"}, "error: .*timeout, network, refused, reset, got 'kaputt'"),
        ({"error": "timeout", "data": "x"}, "error: there is either"),
        ({"times": 0}, "times: .*got 0"),
        ({"times": True}, "times"),
        ({"times": 1.5}, "times"),
        ({"delay": -1}, "delay: expected seconds"),
        ({"delay": "1"}, "delay"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], message: str) -> None:
    adapter = MockAdapter()
    with pytest.raises(AtomHTTPOptionError, match=message) as caught:
        adapter.on(**{"method": "GET", "url": "/x", **arguments})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert adapter.routes == []


def test_a_passthrough_that_is_none_is_refused() -> None:
    with pytest.raises(AtomHTTPOptionError, match="passthrough: expected an adapter, got str"):
        MockAdapter(passthrough="network")  # type: ignore[arg-type]  # what it is about


# Life


async def test_closed_it_says_so(api: Api) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/x", "fine")
    client = client_of(api, adapter)
    await client.get("/x")
    await client.close()
    # A client closes no adapter that it was given.
    assert (await client_of(api, adapter).get("/x")).data == "fine"
    await adapter.close()
    await adapter.close()
    await failure(client_of(api, adapter).get("/x"), AtomHTTPClosedError)
    assert len(adapter.calls) == 2


async def test_one_adapter_serves_both_kinds_of_clients_and_their_copies() -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/x", "fine")
    async with AtomHTTP(adapter=adapter, base_url=BASE) as client:
        with SyncAtomHTTP(adapter=adapter, base_url=BASE) as sync_client:
            assert (await client.get("/x")).data == sync_client.get("/x").data == "fine"
            assert sync_client.create(timeout=5).get("/x").data == "fine"
            assert [response.data for response in sync_client.all([sync_client.defer.get("/x")] * 3)] == ["fine"] * 3
    assert len(adapter.calls) == 6
    with pytest.raises(TypeError, match="cannot be copied"):
        copy.deepcopy(adapter)


def test_threads_share_it() -> None:
    adapter = MockAdapter()
    limited = adapter.on("GET", "/x", "limited", times=50)
    adapter.on("GET", "/x", "rest")
    seen: list[str] = []

    def work() -> None:
        with SyncAtomHTTP(adapter=adapter, base_url=BASE) as client:
            seen.extend(client.get("/x").data for _ in range(25))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (seen.count("limited"), seen.count("rest")) == (50, 150)
    assert (limited.call_count, len(adapter.calls)) == (50, 200)


async def test_a_cancelled_call_leaves_it_usable(virtual_clock: VirtualClockLoop) -> None:
    adapter = MockAdapter()
    adapter.on("GET", "/slow", delay=3600)
    adapter.on("GET", "/x", "fine")
    async with AtomHTTP(adapter=adapter, base_url=BASE, timeout=None) as client:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(5):
                await client.get("/slow")
        assert not isinstance(caught.value, AtomHTTPError)
        assert isinstance(adapter.calls[0].error, asyncio.CancelledError)
        assert (await client.get("/x")).data == "fine"


def test_its_repr_says_what_there_is() -> None:
    adapter = MockAdapter(strict=True)
    route = adapter.on("GET", "/x?token=abc", {"a": 1}, match_headers={"Authorization": "Bearer s3cret"}, times=3)
    shown = "GET /x?token=[redacted] with match_headers={'Authorization': '[redacted]'} -> 200"
    assert repr(route) == f"<MockRoute {shown}; used 0 of 3>"
    assert repr(adapter) == "<MockAdapter 1 registered, 0 calls>"
    assert isinstance(adapter, atomhttp.adapters.Adapter)


# The table of what is not run without a network


def test_what_is_left_out_of_the_mock_flavour_exists() -> None:
    folder = Path(__file__).parent
    for name in mocked.LEFT_OUT_FILES:
        assert (folder / f"{name}.py").exists(), name
    for files in mocked.LEFT_OUT.values():
        for name, tests in files.items():
            source = (folder / f"{name}.py").read_text()
            for test in tests:
                assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE), f"{name}: {test}"
