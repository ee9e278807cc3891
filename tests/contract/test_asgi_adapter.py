"""ASGIAdapter: an application answers in process, for every kind of client (contract: adapters)."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import gzip
import json
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from atomhttp import (
    AbortController,
    AtomHTTP,
    AtomHTTPCanceledError,
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
from atomhttp._adapters import asgi
from atomhttp.adapters import Adapter, ASGIAdapter
from contract.flavours import Api, close, collect, entered, wait
from support.clock import VirtualClockLoop
from support.origin import pattern

BASE = "http://testserver"
App = Callable[[Any, Any, Any], Any]


def client_of(api: Api, adapter: ASGIAdapter, **options: Any) -> Any:
    return api.client(adapter=adapter, base_url=BASE, **options)


async def failure(call: Any, kind: type[BaseException] = AtomHTTPError) -> Any:
    with pytest.raises(kind) as caught:
        await call
    return caught.value


async def read_body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        assert message["type"] == "http.request"
        body, more = body + message["body"], message["more_body"]
    return body


async def answer(send: Any, body: bytes = b"", status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


def http_only(handle: App) -> App:
    """`handle` as an application that knows nothing of lifespans."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await handle(scope, receive, send)

    return app


@http_only
async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Everything of the request that JSON can hold."""
    body = await read_body(receive)
    shown = {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode(),
        "query": scope["query_string"].decode(),
        "headers": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        "body": body.decode("latin-1"),
        **{name: scope[name] for name in ("type", "asgi", "http_version", "scheme", "root_path")},
        "client": list(scope["client"]),
        "server": list(scope["server"]),
        "state": "state" in scope,
    }
    await answer(send, json.dumps(shown).encode(), 200, (b"content-type", b"application/json"))


# What the application is given


async def test_the_scope(api: Api) -> None:
    async with entered(ASGIAdapter(echo, client=("10.0.0.1", 5), root_path="/api"), api) as adapter:
        client = api.client(adapter=adapter)
        got = (
            await client.post(
                "https://user:pass@Example.COM:8443/api/a%20b/ü%2F?q=1&q=ü#part",
                {"a": 1},
                headers={"X-Many": ["1", "2"]},
            )
        ).data
        headers = dict(got["headers"])
        assert (got["method"], got["scheme"], got["server"]) == ("POST", "https", ["example.com", 8443])
        assert (got["path"], got["raw_path"]) == ("/api/a b/ü/", "/api/a%20b/%C3%BC%2F")
        assert got["query"] == "q=1&q=%C3%BC"
        assert (got["type"], got["http_version"], got["root_path"]) == ("http", "1.1", "/api")
        assert got["asgi"] == {"version": "3.0", "spec_version": "2.3"}
        assert got["client"] == ["10.0.0.1", 5]
        assert [value for name, value in got["headers"] if name == "x-many"] == ["1", "2"]
        assert headers["host"] == "example.com:8443"
        assert (headers["content-type"], headers["content-length"]) == ("application/json", "7")
        assert headers["authorization"].startswith("Basic ")
        assert all(name == name.lower() for name in headers)
        got = (await client.get(BASE)).data
        assert (got["path"], got["server"], got["query"]) == ("/", ["testserver", 80], "")


@pytest.mark.parametrize("kind", ["none", "bytes", "iterator", "form"])
async def test_content_arrives(api: Api, kind: str) -> None:
    whole = pattern(300_000)
    form = FormData()
    form.append("file", whole, "a.bin")
    data = {
        "none": None,
        "bytes": whole,
        "iterator": api.iterator([whole[:100_000], whole[100_000:]]),
        "form": form,
    }[kind]
    async with entered(ASGIAdapter(echo), api) as adapter:
        seen: list[tuple[int, int]] = []
        client = client_of(api, adapter, on_upload_progress=lambda loaded, total: seen.append((loaded, total)))
        got = (await client.post("/x", data)).data
        body = got["body"].encode("latin-1")
        headers = dict(got["headers"])
        assert body == whole if kind in ("bytes", "iterator") else whole in body if kind == "form" else body == b""
        if kind == "iterator":
            assert headers["transfer-encoding"] == "chunked"
        else:
            assert headers["content-length"] == str(len(body))
        assert (seen[-1][0] if seen else 0) == len(body)


async def test_content_is_asked_for_as_the_application_takes_it(api: Api) -> None:
    events: list[str] = []

    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for number in range(3):
            message = await receive()
            events.append(f"took {message['body'].decode()}")
            assert message["more_body"] or number == 3
        message = await receive()
        assert (message["body"], message["more_body"]) == (b"", False)
        await answer(send)

    def pieces() -> Any:
        for number in range(3):
            events.append(f"gave {number}")
            yield str(number).encode()

    async def async_pieces() -> AsyncIterator[bytes]:
        for piece in pieces():
            yield piece

    async with entered(ASGIAdapter(app), api) as adapter:
        await client_of(api, adapter).post("/", pieces() if api.is_sync else async_pieces())
    # From thread to thread it may be asked for the next while the application has only begun to look at this one.
    ahead = 2 if api.is_sync else 1
    events += ["gave 3", "gave 4"]
    for number in range(3):
        assert events.index(f"took {number}") < events.index(f"gave {number + ahead}")


@pytest.mark.parametrize(("announced", "message"), [("3", "longer than"), ("5", "shorter than")])
async def test_content_has_the_announced_length(api: Api, announced: str, message: str) -> None:
    async with entered(ASGIAdapter(echo), api) as adapter:
        call = client_of(api, adapter).post("/", api.iterator([b"ab", b"cd"]), headers={"Content-Length": announced})
        assert message in str(await failure(call, AtomHTTPOptionError))


async def test_an_answer_may_come_before_the_content_has_been_read(api: Api) -> None:
    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"too large", 413)
        # Nobody sends the rest any more.
        assert (await receive())["type"] == "http.disconnect"

    def endless() -> Any:
        while True:
            yield b"x" * 1000

    async def async_endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    async with entered(ASGIAdapter(app), api) as adapter:
        response = await client_of(api, adapter).post("/", endless() if api.is_sync else async_endless())
        assert (response.status, response.data) == (413, "too large")


async def test_what_the_content_raises_reaches_the_caller_and_the_application_sees_a_disconnect(api: Api) -> None:
    seen: list[str] = []

    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] == "http.request":
            pass
        seen.append(message["type"])

    def broken() -> Any:
        yield b"x"
        raise ZeroDivisionError

    async def async_broken() -> AsyncIterator[bytes]:
        for piece in broken():
            yield piece

    async with entered(ASGIAdapter(app), api) as adapter:
        call = client_of(api, adapter).post("/", broken() if api.is_sync else async_broken())
        await failure(call, ZeroDivisionError)
        await until(lambda: seen == ["http.disconnect"], api)


async def until(condition: Callable[[], bool], api: Api) -> None:
    """Waits for what happens in the application's loop."""
    done = threading.Event()
    for _ in range(5000):
        if condition():
            return
        if api.is_sync:
            done.wait(0.002)
        else:
            await asyncio.sleep(0.002)
    raise AssertionError("it did not happen")


# What the application answers


async def test_the_response(api: Api) -> None:
    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        fields = [
            (b"Set-Cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"X-Latin", b"gr\xfc\xdf"),
            (b"content-length", b"4"),
        ]
        await answer(send, b"text", 201, *fields)

    async with entered(ASGIAdapter(app), api) as adapter:
        client = client_of(api, adapter)
        response = await client.get("/")
        assert (response.status, response.status_text, response.http_version) == (201, "Created", "1.1")
        assert response.data == "text"
        assert response.headers.get_set_cookie() == ["a=1", "b=2"]
        assert response.headers["x-latin"] == "grüß"
        assert "transfer-encoding" not in response.headers
        assert response.timings.total > 0
        # The jar is the client's business, and works.
        assert dict(client.cookies) == {"a": "1", "b": "2"}


@pytest.mark.parametrize("response_type", ["blob", "stream"])
async def test_it_is_streamed_with_back_pressure(api: Api, response_type: str) -> None:
    sent: list[int] = []

    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(100):
            await send({"type": "http.response.body", "body": bytes([number]) * 10_000, "more_body": True})
            sent.append(number)
        await send({"type": "http.response.body"})

    whole = b"".join(bytes([number]) * 10_000 for number in range(100))
    async with entered(ASGIAdapter(app), api) as adapter:
        response = await client_of(api, adapter).get("/", response_type=response_type)
        assert response.headers["transfer-encoding"] == "chunked"
        if response_type == "stream":
            received = await wait(response.data.read(50_000))
            # What was taken, what lies ready, and one piece on its way.
            assert len(sent) <= (50_000 + 10_000 + asgi.AHEAD) // 10_000 + 1
            assert received + await wait(response.data.read()) == whole
        else:
            assert response.data == whole
        assert len(sent) == 100


async def test_large_pieces_are_handed_out_in_small_ones(api: Api) -> None:
    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, pattern(300_000))

    async with entered(ASGIAdapter(app), api) as adapter:
        response = await client_of(api, adapter).get("/", response_type="stream")
        pieces = await collect(response.data)
        assert b"".join(pieces) == pattern(300_000)
        assert max(map(len, pieces)) <= 64 * 1024


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_what_has_no_content_has_none(api: Api, method: str, status: int, response_type: str) -> None:
    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"" if status != 200 else b"content", status, (b"content-length", b"7"))

    async with entered(ASGIAdapter(app), api) as adapter:
        response = await client_of(api, adapter).request(method, "/", response_type=response_type)
        if response_type == "stream":
            assert await collect(response.data) == []
        else:
            assert response.data is None
        assert response.headers["content-length"] == "7"


async def test_what_comes_after_the_response_is_done_when_the_call_is(api: Api) -> None:
    done: list[str] = []

    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        await answer(send, b"x")
        # Its response is complete: for it the client has gone.
        assert (await receive())["type"] == "http.disconnect"
        await asyncio.sleep(0.01)
        done.append("background")

    async with entered(ASGIAdapter(app), api) as adapter:
        client = client_of(api, adapter)
        await client.get("/")
        assert done == ["background"]
        response = await client.get("/", response_type="stream")
        assert await collect(response.data) == [b"x"]
        assert done == ["background"] * 2


async def test_policies_hold(api: Api) -> None:
    asked: list[str] = []

    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        asked.append(path)
        if path == "/old":
            await answer(send, b"", 302, (b"location", b"/new"))
        elif path == "/flaky":
            await answer(send, b"", 503 if asked.count("/flaky") < 3 else 200)
        elif path == "/gzip":
            await answer(send, gzip.compress(b'{"a": 1}'), 200, (b"content-encoding", b"gzip"))
        else:
            await answer(send, b"x" * 100_000, 200, (b"content-length", b"100000"))

    async with entered(ASGIAdapter(app), api) as adapter:
        client = client_of(api, adapter)
        assert len((await client.get("/old")).history) == 1
        assert len((await client.get("/flaky", retry_config={"backoff_factor": 0})).attempts) == 3
        assert (await client.get("/gzip")).data == {"a": 1}
        await failure(client.get("/", max_content_length=1000), AtomHTTPLimitError)
        seen: list[tuple[int, int]] = []
        await client.get("/", on_download_progress=lambda loaded, total: seen.append((loaded, total)))
        assert seen[-1] == (100_000, 100_000)


# Leaving early


async def test_a_stream_that_is_closed_early_is_a_disconnect(api: Api) -> None:
    ended: list[str] = []

    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await read_body(receive)
        if scope["path"] == "/waits":
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            ended.append((await receive())["type"])
            return
        while not ended or len(ended) < 2:
            await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
            if adapter_seen.is_set():
                ended.append((await receive())["type"])

    adapter_seen = threading.Event()
    async with entered(ASGIAdapter(app), api) as adapter:
        client = client_of(api, adapter)
        for path in ("/waits", "/sends"):
            response = await client.get(path, response_type="stream")
            assert await wait(response.data.read(1)) == b"x"
            adapter_seen.set()
            await close(response.data)
            await until(lambda path=path: len(ended) == ("/waits", "/sends").index(path) + 1, api)
    assert ended == ["http.disconnect"] * 2


async def test_one_that_does_not_heed_it_is_cancelled(virtual_clock: VirtualClockLoop) -> None:
    ended: list[float] = []

    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while scope["path"] == "/sends":
                await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
            await asyncio.sleep(3600)
        finally:
            ended.append(virtual_clock.time())

    async with ASGIAdapter(app) as adapter, AtomHTTP(adapter=adapter, base_url=BASE) as client:
        for path in ("/sends", "/sleeps"):
            before = virtual_clock.time()
            response = await client.get(path, response_type="stream")
            await response.data.aclose()
            await asyncio.sleep(5)
            assert ended.pop() == pytest.approx(before + asgi.GRACE, abs=0.1)


async def test_a_forgotten_stream_warns_and_ends_the_application(api: Api) -> None:
    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass
        seen.append("disconnect")

    seen: list[str] = []
    async with entered(ASGIAdapter(app), api) as adapter:
        client = client_of(api, adapter)
        response = await client.get("/", response_type="stream")
        with pytest.warns(ResourceWarning, match="neither read to its end nor closed"):
            del response
        if not api.is_sync:
            await until(lambda: seen == ["disconnect"], api)


async def test_a_cancelled_call_is_a_disconnect(virtual_clock: VirtualClockLoop) -> None:
    seen: list[str] = []

    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        seen.append((await receive())["type"])

    async with ASGIAdapter(app) as adapter, AtomHTTP(adapter=adapter, base_url=BASE, timeout=None) as client:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(5):
                await client.get("/")
        assert not isinstance(caught.value, AtomHTTPError)
        await asyncio.sleep(0.1)
        assert seen == ["http.disconnect"]


async def test_an_abort_signal_ends_the_call(api: Api) -> None:
    controller = AbortController()
    seen: list[str] = []

    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        controller.abort()
        seen.append((await receive())["type"])

    async with entered(ASGIAdapter(app), api) as adapter:
        await failure(client_of(api, adapter).get("/", signal=controller.signal), AtomHTTPCanceledError)
        await until(lambda: seen == ["http.disconnect"], api)


# Time


@pytest.mark.parametrize(
    ("options", "limit", "phase"),
    [
        ({"timeout": 30}, 30, "headers"),
        ({"timeout": Timeout(60, read=5)}, 5, "headers"),
        ({"timeout": 30, "response_type": "stream"}, 30, "headers"),
    ],
)
async def test_the_calls_timeouts_bound_it(
    virtual_clock: VirtualClockLoop, options: dict[str, Any], limit: float, phase: str
) -> None:
    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(3600)

    async with ASGIAdapter(app) as adapter, AtomHTTP(adapter=adapter, base_url=BASE) as client:
        error = await failure(client.get("/", **options), AtomHTTPTimeoutError)
        assert virtual_clock.time() == pytest.approx(limit, abs=0.1)
        assert (error.phase, error.limit) == (phase, limit)


async def test_the_content_is_bounded_as_well(virtual_clock: VirtualClockLoop) -> None:
    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for pause in (20, 20, 20, 3600):
            await asyncio.sleep(pause)
            await send({"type": "http.response.body", "body": b"x", "more_body": True})

    async with ASGIAdapter(app) as adapter, AtomHTTP(adapter=adapter, base_url=BASE, timeout=30) as client:
        error = await failure(client.get("/"), AtomHTTPTimeoutError)
        assert (error.phase, error.response.status, virtual_clock.time()) == ("body", 200, pytest.approx(30, abs=0.1))
        # A plain number is the longest gap of a stream.
        response = await client.get("/", response_type="stream")
        assert await response.data.read(3) == b"xxx"
        assert (await failure(response.data.read(1), AtomHTTPTimeoutError)).phase == "body"


async def test_uploads_are_bounded(virtual_clock: VirtualClockLoop) -> None:
    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await asyncio.sleep(3600)

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"x"

    async with ASGIAdapter(app) as adapter, AtomHTTP(adapter=adapter, base_url=BASE, timeout=30) as client:
        error = await failure(client.post("/", pieces()), AtomHTTPTimeoutError)
        assert (error.phase, virtual_clock.time()) == ("write", pytest.approx(30, abs=0.1))


def test_a_synchronous_call_ends_with_its_timeout() -> None:
    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(3600)

    with (
        ASGIAdapter(app) as adapter,
        SyncAtomHTTP(adapter=adapter) as client,
        pytest.raises(AtomHTTPTimeoutError, match=r"0\.05 s exceeded"),
    ):
        client.get(BASE, timeout=0.05)


# Exceptions


async def boom(scope: Any, receive: Any, send: Any) -> None:
    path = scope["path"]
    if path == "/before":
        raise ZeroDivisionError("before")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if path == "/begun":
        raise ZeroDivisionError("begun")
    await send({"type": "http.response.body", "body": b"part", "more_body": path != "/after"})
    raise ZeroDivisionError(path[1:])


@pytest.mark.parametrize("path", ["/before", "/begun", "/inside", "/after"])
@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_what_the_application_raises_is_raised_by_the_call(api: Api, path: str, response_type: str) -> None:
    async with entered(ASGIAdapter(http_only(boom)), api) as adapter:
        client = client_of(api, adapter, retry_config=True)

        async def read() -> Any:
            response = await client.get(path, response_type=response_type)
            return await collect(response.data)

        error = await failure(read(), ZeroDivisionError)
        assert str(error) == path[1:]


@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_or_it_is_what_a_server_makes_of_it(api: Api, response_type: str) -> None:
    async with entered(ASGIAdapter(http_only(boom), raise_app_exceptions=False), api) as adapter:
        client = client_of(api, adapter)

        async def read(path: str) -> Any:
            response = await client.get(path, response_type=response_type)
            data = response.data if response_type == "json" else b"".join(await collect(response.data)).decode()
            return response.status, data

        assert await read("/before") == (500, "Internal Server Error")
        for path in ("/begun", "/inside"):
            error = await failure(read(path), AtomHTTPProtocolError)
            assert "ended inside its response" in str(error)
            if response_type == "json":
                assert error.response.status == 200
        assert await read("/after") == (200, "part")


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([], "the application has ended without a response"),
        ([{"type": "http.response.body"}], "before http.response.start"),
        ([{"type": "http.response.start", "status": 200}] * 2, "a second time"),
        (
            [
                {"type": "http.response.start", "status": 200},
                {"type": "http.response.body"},
                {"type": "http.response.body"},
            ],
            "after the end of the response",
        ),
        ([{"type": "http.response.start", "status": "200"}], "status: expected an int"),
        ([{"type": "http.response.start", "status": 100}], "status: expected an int"),
        ([{"type": "http.response.start", "status": 200, "headers": [("a", "b")]}], "headers: expected pairs of bytes"),
        ([{"type": "http.response.start", "status": 200}, {"type": "http.response.body", "body": "x"}], "got str"),
        ([{"type": "websocket.accept"}], "'websocket.accept' is no message"),
        (
            [
                {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]},
                {"type": "http.response.body", "body": b"12345"},
            ],
            "2 bytes longer than its Content-Length",
        ),
    ],
)
async def test_what_breaks_the_rules_is_told(api: Api, messages: list[dict[str, Any]], error: str) -> None:
    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    async with entered(ASGIAdapter(app), api) as adapter:
        assert error in str(await failure(client_of(api, adapter).get("/"), RuntimeError))
    async with entered(ASGIAdapter(app, raise_app_exceptions=False), api) as adapter:
        begun = messages and messages[0].get("status") == 200 and "headers" not in error
        if not begun:
            assert (await client_of(api, adapter).get("/")).status == 500


async def test_less_than_was_announced_is_a_connection_that_was_cut_off(api: Api) -> None:
    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"12345", 200, (b"content-length", b"10"))

    async with entered(ASGIAdapter(app), api) as adapter:
        error = await failure(client_of(api, adapter).get("/"), AtomHTTPProtocolError)
        assert "5 bytes before the end" in str(error)


async def test_what_fails_when_the_client_has_gone_is_logged(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass
        raise ZeroDivisionError("nobody is there")

    async with entered(ASGIAdapter(app), api) as adapter:
        response = await client_of(api, adapter).get("/", response_type="stream")
        await close(response.data)
        await until(lambda: "nobody is there" in caplog.text, api)
    assert [(record.name, record.levelname) for record in caplog.records] == [("atomhttp.connection", "WARNING")]


# Lifespan


class Living:
    """An application with a lifespan that remembers what happened."""

    def __init__(self, fails: str = "", message: bool = True, pause: float = 0.01) -> None:
        self.events: list[str] = []
        self._pause = pause
        self._fails = fails
        self._message = message

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["state"]["own"] = "of this request"
            self.events.append("request")
            await answer(send, json.dumps(scope["state"]).encode())
            return
        self.loop = asyncio.get_running_loop()
        for phase in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{phase}"
            self.events.append(phase)
            await asyncio.sleep(self._pause)
            if self._fails == phase:
                if self._message:
                    await send({"type": f"lifespan.{phase}.failed", "message": f"no {phase} today"})
                raise ZeroDivisionError(phase)
            if phase == "startup":
                scope["state"]["db"] = "open"
            await send({"type": f"lifespan.{phase}.complete"})
        self.events.append("end")


async def test_startup_and_shutdown_run_once_and_share_their_state(api: Api) -> None:
    app = Living()
    async with entered(ASGIAdapter(app, state={"given": 1}), api) as adapter:
        client = client_of(api, adapter)
        assert app.events == []
        for _ in range(2):
            # Each request has a copy of its own.
            assert (await client.get("/")).data == {"given": 1, "db": "open", "own": "of this request"}
        await client.close()
        assert app.events == ["startup", "request", "request"]
    assert app.events == ["startup", "request", "request", "shutdown", "end"]


async def test_many_first_requests_wait_for_one_startup(virtual_clock: VirtualClockLoop) -> None:
    app = Living()
    async with ASGIAdapter(app) as adapter, AtomHTTP(adapter=adapter, base_url=BASE) as client:
        await AtomHTTP.all([client.get("/") for _ in range(5)])
    assert app.events == ["startup", *["request"] * 5, "shutdown", "end"]
    # One that gives up does not take the startup from the others.
    app = Living(pause=10)
    async with ASGIAdapter(app) as adapter, AtomHTTP(adapter=adapter, base_url=BASE) as client:
        await failure(client.get("/", timeout=5), AtomHTTPTimeoutError)
        assert (await client.get("/")).status == 200
        assert virtual_clock.time() == pytest.approx(10, abs=0.2)
    assert app.events == ["startup", "request", "shutdown", "end"]


async def test_without_a_request_nothing_is_started(api: Api) -> None:
    app = Living()
    async with entered(ASGIAdapter(app), api):
        pass
    assert app.events == []


async def test_lifespan_false_leaves_it_out(api: Api) -> None:
    app = Living()
    async with entered(ASGIAdapter(app, lifespan=False, state={"given": 1}), api) as adapter:
        assert (await client_of(api, adapter).get("/")).data == {"given": 1, "own": "of this request"}
    assert app.events == ["request"]
    async with entered(ASGIAdapter(echo, lifespan=False), api) as adapter:
        assert (await client_of(api, adapter).get("/")).data["state"] is False


@pytest.mark.parametrize("raises", [False, True])
async def test_a_startup_that_fails_fails_every_call(api: Api, raises: bool) -> None:
    app = Living("startup")
    async with entered(ASGIAdapter(app, raise_app_exceptions=raises), api) as adapter:
        client = client_of(api, adapter)
        for _ in range(2):
            error = await failure(client.get("/"), RuntimeError)
            assert str(error) == "the application's startup failed: no startup today"
    assert app.events == ["startup"]


@pytest.mark.parametrize("message", [True, False])
async def test_a_shutdown_that_fails_is_raised_by_close(api: Api, message: bool) -> None:
    app = Living("shutdown", message)
    adapter = ASGIAdapter(app)
    await client_of(api, adapter).get("/")
    expected = "no shutdown today" if message else "ZeroDivisionError"
    with pytest.raises(RuntimeError, match=f"the application's shutdown failed: .*{expected}"):
        async with entered(adapter, api):
            pass
    await adapter.close()


@pytest.mark.parametrize("how", ["raises", "returns"])
async def test_an_application_without_a_lifespan_does_without(api: Api, how: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            if how == "raises":
                raise NotImplementedError
            return
        await answer(send, b"fine")

    async with entered(ASGIAdapter(app), api) as adapter:
        assert (await client_of(api, adapter).get("/")).data == "fine"


async def test_a_lifespan_that_does_not_end_is_ended(virtual_clock: VirtualClockLoop) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await answer(send)
            return
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        await asyncio.sleep(3600)

    async with ASGIAdapter(app) as adapter, AtomHTTP(adapter=adapter, base_url=BASE) as client:
        await client.get("/")
    assert virtual_clock.time() == pytest.approx(asgi.GRACE, abs=0.1)


# Life


async def test_close_ends_what_is_under_way(api: Api) -> None:
    started = threading.Event()
    ended: list[str] = []

    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            started.set()
            await asyncio.sleep(3600)
        finally:
            ended.append("app")

    adapter = ASGIAdapter(app, raise_app_exceptions=False)
    errors: list[Exception] = []
    if api.is_sync:

        def call() -> None:
            try:
                client.real.get("/")
            except AtomHTTPClosedError as error:
                errors.append(error)

        client = client_of(api, adapter)
        thread = threading.Thread(target=call)
        thread.start()
        assert started.wait(10)
        with adapter:
            pass
        thread.join()
    else:
        client = client_of(api, adapter)
        task = asyncio.ensure_future(client.get("/"))
        await until(started.is_set, api)
        await adapter.close()
        errors.append(await failure(task, AtomHTTPClosedError))
    assert (len(errors), ended) == (1, ["app"])
    # And nothing begins any more.
    await adapter.close()
    await failure(client.get("/"), AtomHTTPClosedError)


def test_each_event_loop_has_its_own_lifespan() -> None:
    app = Living()
    adapter = ASGIAdapter(app)

    async def call() -> int:
        async with AtomHTTP(adapter=adapter, base_url=BASE) as client:
            return int((await client.get("/")).status)

    assert asyncio.run(call()) == 200
    assert asyncio.run(call()) == 200
    with SyncAtomHTTP(adapter=adapter, base_url=BASE) as client:
        assert client.get("/").status == 200
    # Two loops have ended without it, and took their part with them.
    with adapter:
        pass
    assert app.events == ["startup", "request"] * 3 + ["shutdown", "end"]


async def test_the_synchronous_client_works_inside_a_running_loop() -> None:
    with ASGIAdapter(echo) as adapter, SyncAtomHTTP(adapter=adapter, base_url=BASE) as client:
        assert client.get("/x").data["path"] == "/x"
    with ASGIAdapter(echo) as adapter, SyncAtomHTTP(adapter=adapter, base_url=BASE) as client:
        assert client.get("/x").data["path"] == "/x"
        await adapter.close()


async def test_what_belongs_to_this_loop_is_closed_by_await() -> None:
    async with ASGIAdapter(Living()) as adapter, AtomHTTP(adapter=adapter, base_url=BASE) as client:
        await client.get("/")
        with pytest.raises(RuntimeError, match=r"await adapter\.close\(\)"), adapter:
            pass


def test_threads_share_it() -> None:
    app = Living()
    seen: list[int] = []

    def work() -> None:
        with SyncAtomHTTP(adapter=adapter, base_url=BASE) as client:
            seen.extend(client.get("/").status for _ in range(10))

    with ASGIAdapter(app) as adapter:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == [200] * 40
    assert (app.events.count("startup"), app.events.count("shutdown")) == (1, 1)


def test_the_synchronous_all_has_them_in_flight_together() -> None:
    meeting = asyncio.Barrier(3)

    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await meeting.wait()
        await answer(send, scope["path"].encode())

    with ASGIAdapter(app) as adapter, SyncAtomHTTP(adapter=adapter, base_url=BASE) as client:
        responses = client.all([client.defer.get(f"/{number}", response_type="text") for number in range(3)])
        assert [response.data for response in responses] == ["/0", "/1", "/2"]


def test_one_that_nobody_closes_ends_its_thread() -> None:
    adapter = ASGIAdapter(Living())
    with SyncAtomHTTP(adapter=adapter, base_url=BASE) as client:
        client.get("/")
    forgotten = weakref.ref(adapter)
    threads = [thread for thread in threading.enumerate() if thread.name == "atomhttp-loop"]
    assert len(threads) == 1
    del adapter, client
    # The thread may be about to leave the last request's callbacks, which know their adapter.
    for _ in range(100):
        gc.collect()
        threads[0].join(0.1)
        if not threads[0].is_alive():
            break
    assert forgotten() is None
    assert not threads[0].is_alive()


async def test_the_application_sees_the_callers_context(api: Api) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")

    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, variable.get().encode())
        variable.set("changed by the application")

    async with entered(ASGIAdapter(app), api) as adapter:
        client = client_of(api, adapter)
        variable.set("the caller's")
        assert (await client.get("/")).data == "the caller's"
        assert variable.get() == "the caller's"


@pytest.mark.parametrize("app", [None, "module:app", type("Flask", (), {"wsgi_app": 1, "__call__": print})()])
def test_what_is_no_application_is_refused(app: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="ASGIAdapter: app: expected an ASGI application"):
        ASGIAdapter(app)


def test_its_repr_and_copies() -> None:
    adapter = ASGIAdapter(Living())
    assert repr(adapter) == "<ASGIAdapter of Living>"
    assert isinstance(adapter, Adapter)
    with pytest.raises(TypeError, match="cannot be copied"):
        copy.deepcopy(adapter)


# Frameworks


def build_fastapi(events: list[str]) -> Any:
    from fastapi import BackgroundTasks, FastAPI, Request
    from fastapi.responses import StreamingResponse
    from pydantic import BaseModel

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[dict[str, str]]:
        events.append("startup")
        yield {"db": "open"}
        events.append("shutdown")

    app = FastAPI(lifespan=lifespan)

    class User(BaseModel):
        name: str

    async def create(user: User) -> dict[str, Any]:
        return {"id": 1, **user.model_dump()}

    def read(user: int, request: Request) -> dict[str, Any]:
        # Not asynchronous: it runs on a thread of anyio's.
        return {"id": user, "db": request.state.db}

    async def upload(request: Request) -> int:
        return sum([len(piece) async for piece in request.stream()])

    async def numbers() -> AsyncIterator[bytes]:
        try:
            for number in range(1_000_000):
                yield b"%d\n" % number
        finally:
            events.append("stream ended")

    async def mail(tasks: BackgroundTasks) -> str:
        tasks.add_task(events.append, "mail sent")
        return "queued"

    async def fail() -> None:
        raise LookupError("the application's own")

    # Their annotations are names of this function, which FastAPI cannot look up as texts.
    create.__annotations__["user"], upload.__annotations__["request"] = User, Request
    read.__annotations__["request"], mail.__annotations__["tasks"] = Request, BackgroundTasks
    app.post("/users", status_code=201)(create)
    app.get("/users/{user}")(read)
    app.post("/upload")(upload)
    app.get("/numbers")(lambda: StreamingResponse(numbers()))
    app.post("/mail")(mail)
    app.get("/fail")(fail)
    return app


@pytest.mark.parametrize("middleware", [False, True])
async def test_fastapi(api: Api, middleware: bool) -> None:
    from starlette.middleware.base import BaseHTTPMiddleware

    events: list[str] = []
    app = build_fastapi(events)
    if middleware:

        async def mark(request: Any, call_next: Any) -> Any:
            response = await call_next(request)
            response.headers["x-marked"] = "yes"
            return response

        app.add_middleware(BaseHTTPMiddleware, dispatch=mark)
    async with entered(ASGIAdapter(app), api) as adapter:
        client = client_of(api, adapter)
        created = await client.post("/users", {"name": "Ada"})
        assert (created.status, created.data) == (201, {"id": 1, "name": "Ada"})
        assert created.headers.get("x-marked") == ("yes" if middleware else None)
        assert (await client.post("/users", {"no": 1})).status == 422
        assert (await client.get("/users/7")).data == {"id": 7, "db": "open"}
        assert (await client.post("/upload", api.iterator([pattern(70_000)] * 3), response_type=int)).data == 210_000
        assert (await client.post("/mail")).data == "queued"
        assert events == ["startup", "mail sent"]
        response = await client.get("/numbers", response_type="stream")
        assert await wait(response.data.read(4)) == b"0\n1\n"
        await close(response.data)
        # Starlette leaves the generator to the garbage collector, in a cycle.
        await until(lambda: gc.collect() >= 0 and "stream ended" in events, api)
        error = await failure(client.get("/fail"), LookupError)
        assert str(error) == "the application's own"
        assert events.count("startup") == 1
    assert "shutdown" in events
    async with entered(ASGIAdapter(app, raise_app_exceptions=False), api) as adapter:
        response = await client_of(api, adapter).get("/fail")
        assert (response.status, response.data) == (500, "Internal Server Error")


async def test_starlette_with_a_task_group(api: Api) -> None:
    import anyio
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def together(_request: Any) -> Any:
        done: list[int] = []

        async def work(number: int) -> None:
            await anyio.sleep(0.001)
            done.append(number)

        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(work, number)
        return PlainTextResponse(f"{sorted(done)}")

    async def fail(_request: Any) -> Any:
        async with anyio.create_task_group() as group:
            group.start_soon(broken)

    async def broken() -> None:
        raise ZeroDivisionError

    app = Starlette(routes=[Route("/together", together), Route("/fail", fail)])
    async with entered(ASGIAdapter(app), api) as adapter:
        client = client_of(api, adapter)
        assert (await client.get("/together", response_type="text")).data == "[0, 1, 2]"
        error = await failure(client.get("/fail"), ExceptionGroup)
        assert isinstance(error.exceptions[0], ZeroDivisionError)
        assert (await client.get("/nowhere")).status == 404


def test_network_errors_are_not_invented() -> None:
    # What an application raises of the network's kind is its own, and nothing is tried again for it.
    calls: list[str] = []

    @http_only
    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["path"])
        raise AtomHTTPNetworkError("of a client inside the application")

    adapter = ASGIAdapter(app)
    with adapter, SyncAtomHTTP(adapter=adapter, base_url=BASE) as client, pytest.raises(AtomHTTPNetworkError):
        client.get("/x", retry_config={"backoff_factor": 0})
    assert calls == ["/x"]
