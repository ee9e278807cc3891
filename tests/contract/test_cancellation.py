"""`signal`: AbortController and AbortSignal (contract: Cancellation)."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import pickle
import signal as signals
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from atomhttp import (
    AbortController,
    AbortSignal,
    AtomHTTP,
    AtomHTTPCanceledError,
    AtomHTTPCancelError,
    AtomHTTPError,
    AtomHTTPOptionError,
    AtomHTTPTimeoutError,
    FormData,
    SyncAtomHTTP,
    is_cancel,
)
from atomhttp._net.drivers import aio
from contract.flavours import Api, collect, each, wait
from support.naming import described
from support.origin import Answer, Origin, Received, pattern
from support.peer import Peer, Script, drain, expect, expect_head, send, signal
from support.server import PATIENCE, silent_address

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


def until(condition: Callable[[], Any]) -> None:
    """Blocks until `condition()` is true: for the thread that aborts."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never became true"
        threading.Event().wait(0.001)


@contextlib.contextmanager
def aborting(controller: AbortController, when: Callable[[], Any], reason: Any = None) -> Iterator[None]:
    """Aborts from another thread as soon as `when` returns."""

    def run() -> None:
        when()
        controller.abort(reason)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(PATIENCE)


async def canceled(call: Any) -> AtomHTTPCanceledError:
    """The error by which `call` ends: an awaitable, or a function to call."""
    with pytest.raises(AtomHTTPCanceledError) as caught:
        await wait(call() if callable(call) else call)
    return caught.value


def listeners(given: AbortSignal) -> int:
    return len(given._listeners)


# Before


async def test_nothing_happens_when_it_has_been_aborted_before(api: Api, origin: Origin) -> None:
    client, controller = api.client(baseURL=origin.url), AbortController()
    asked: list[Any] = []
    controller.abort("no longer wanted")

    def pieces() -> Iterator[bytes]:
        asked.append("body")
        yield b"x"

    error = await canceled(
        client.post("/echo", pieces(), signal=controller.signal, transformRequest=lambda data: asked.append("data"))
    )
    assert (error.code, error.reason, str(error)) == (
        "ERR_CANCELED",
        "no longer wanted",
        "canceled: no longer wanted",
    )
    assert is_cancel(error)
    assert error.config.url == "/echo"
    assert error.attempts == ()
    assert (asked, origin.connections) == ([], 0)
    assert client.pool_stats() == (0, 0, 0, 0)


async def test_a_body_that_was_not_sent_can_be_sent_by_another_call(api: Api, origin: Origin, tmp_path: Any) -> None:
    client, aborted = api.client(baseURL=origin.url), AbortSignal.abort()
    (tmp_path / "file").write_bytes(b"file")
    body, form = api.iterator([b"one", b"shot"]), FormData()
    form.append("a", api.iterator([b"in a form"]))
    with (tmp_path / "file").open("rb") as file:
        for data in (body, form, file):
            await canceled(client.post("/echo", data, signal=aborted))
        for data, expected in ((body, "oneshot"), (form, "in a form"), (file, "file")):
            assert expected in (await client.post("/echo", data)).data["body"]


async def test_a_defaults_signal_that_was_aborted_ends_every_call(api: Api, origin: Origin) -> None:
    controller = AbortController()
    client = api.client(baseURL=origin.url, signal=controller.signal)
    for _ in range(2):  # the second time the client remembers what such a request looks like
        assert (await client.get("/echo")).status == 200
    controller.abort()
    for _ in range(2):
        error = await canceled(client.get("/echo"))
        assert (error.config.url, error.request.url) == ("/echo", f"{origin.url}/echo")
    assert (await client.get("/echo", signal=None)).status == 200
    client.defaults.signal = None
    assert (await client.get("/echo")).status == 200
    assert len(origin.requests) == 4


# While it goes on


class Stage(NamedTuple):
    """A call that waits somewhere: how to start it, how to know that it waits, and what may stay open."""

    client: Any
    start: Callable[[AbortSignal], Any]
    when: Callable[[], Any]
    stays_open: int = 0


def at_a_peer(*script: Any, **options: Any) -> Callable[..., Iterator[Stage]]:
    """Waits for a peer that has said so much; the peer sees the connection end."""

    def stage(api: Api, **_: Any) -> Iterator[Stage]:
        there = threading.Event()
        steps: Script = [*script, signal(there), drain()]
        with Peer(steps) as peer:
            client = api.client()
            given = {"method": "GET", "url": peer.url, **options}
            if given.get("data") == "pieces":
                given["data"] = api.iterator([bytes(100_000)] * 500)
            yield Stage(client, lambda signal: client.request(given, signal=signal), lambda: there.wait(PATIENCE))

    return stage


def in_the_pool(api: Api, origin: Origin, **_: Any) -> Iterator[Stage]:
    there = threading.Event()
    with Peer([expect_head(), send(HEAD), signal(there), drain()]) as peer:
        client = api.client(maxConnections=1)
        hog = api.client(adapter=client._adapter)

        async def start(signal: AbortSignal) -> Any:
            stream = (await hog.get(peer.url, response_type="stream")).data
            try:
                await wait(client.get(f"{origin.url}/echo", signal=signal))
            finally:
                assert client.pool_stats() == (1, 0, 0, 0)
                assert origin.connections == 0
                await wait(stream.close() if api.is_sync else stream.aclose())

        yield Stage(client, start, lambda: until(lambda: client.pool_stats().waiting))


def while_connecting(api: Api, **_: Any) -> Iterator[Stage]:
    with silent_address() as (host, port):
        client = api.client()
        yield Stage(
            client,
            lambda signal: client.get(f"http://{host}:{port}/", signal=signal),
            lambda: until(lambda: client.pool_stats().open),
        )


def in_a_handshake(api: Api, **_: Any) -> Iterator[Stage]:
    there = threading.Event()
    with Peer([expect(5), signal(there), drain()]) as peer:
        client = api.client()
        yield Stage(
            client,
            lambda signal: client.get(f"https://127.0.0.1:{peer.port}/", signal=signal),
            lambda: there.wait(PATIENCE),
        )


def before_a_retry(api: Api, origin: Origin, **_: Any) -> Iterator[Stage]:
    there = threading.Event()
    retry = {"backoff_factor": 1000, "max_backoff": 1000, "jitter": False, "on_retry": lambda info: there.set()}
    client = api.client(timeout=None)
    url = f"{origin.url}/status/503"
    yield Stage(
        client, lambda signal: client.get(url, retryConfig=retry, signal=signal), lambda: there.wait(PATIENCE), 1
    )
    assert len(origin.requests) <= 2


def while_held_back(api: Api, origin: Origin, **_: Any) -> Iterator[Stage]:
    client = api.client(timeout=None)
    url = f"{origin.url}/bytes/500000"
    yield Stage(
        client, lambda signal: client.get(url, maxRate=1000, signal=signal), lambda: origin.wait_for_requests(1)
    )


REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
STAGES = {
    "pool": in_the_pool,
    "connect": while_connecting,
    "tls": in_a_handshake,
    "write": at_a_peer(expect_head(), method="POST", data=bytes(50_000_000), timeout=None),
    "write in pieces": at_a_peer(expect_head(), method="POST", data="pieces", timeout=None),
    "expect": at_a_peer(expect_head(), method="POST", data=b"x", headers={"Expect": "100-continue"}),
    "headers": at_a_peer(expect_head()),
    "half a head": at_a_peer(expect_head(), send(HEAD[:20])),
    "body": at_a_peer(expect_head(), send(HEAD + b"01")),
    "limited body": at_a_peer(expect_head(), send(HEAD + b"01"), maxContentLength=100),
    "progress": at_a_peer(expect_head(), send(HEAD + b"01"), onDownloadProgress=lambda loaded, total: None),
    "refused body": at_a_peer(
        expect_head(), send(HEAD.replace(b"200 OK", b"404 None") + b"01"), validateStatus=lambda status: False
    ),
    "stream's head": at_a_peer(expect_head(), response_type="stream"),
    "redirect": at_a_peer(expect_head(), send(REDIRECT), expect_head()),
    "redirect's body": at_a_peer(expect_head(), send(REDIRECT.replace(b"h: 0", b"h: 9") + b"x")),
    "retry": before_a_retry,
    "maxRate": while_held_back,
}


@pytest.mark.parametrize("stage", STAGES)
async def test_it_ends_a_call_wherever_that_waits(api: Api, origin: Origin, stage: str) -> None:
    controller = AbortController()
    reason = LookupError("enough")
    with contextlib.contextmanager(STAGES[stage])(api=api, origin=origin) as at:
        with aborting(controller, at.when, reason):
            error = await canceled(at.start(controller.signal))
        assert type(error) is AtomHTTPCanceledError is AtomHTTPCancelError
        assert (error.code, error.reason, str(error)) == ("ERR_CANCELED", reason, "canceled: enough")
        assert error.__cause__ is reason
        assert is_cancel(error)
        assert isinstance(error, AtomHTTPError)
        assert not isinstance(error, (ConnectionError, TimeoutError))
        assert error.config.signal is controller.signal
        assert error.request.url.startswith("http")
        assert error.response is None
        stats = at.client.pool_stats()
        assert (stats.open, stats.idle, stats.waiting) == (at.stays_open, at.stays_open, 0)
        assert listeners(controller.signal) == 0
        # The client goes on.
        assert (await at.client.get(f"{origin.url}/echo")).status == 200


async def test_it_ends_a_call_that_waits_for_a_lookup(
    api: Api, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lookup itself goes on, and nobody waits for it."""
    asked, release = threading.Event(), threading.Event()
    system = socket.getaddrinfo

    def hang(host: Any, *rest: Any, **more: Any) -> Any:
        if host != "slow.test":
            return system(host, *rest, **more)
        asked.set()
        release.wait(PATIENCE)
        raise socket.gaierror(socket.EAI_NONAME, "too late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    client, controller = api.client(), AbortController()
    with aborting(controller, lambda: asked.wait(PATIENCE)):
        await canceled(lambda: client.get("http://slow.test/", signal=controller.signal))
    assert client.pool_stats() == (0, 0, 0, 0)
    assert (await client.get(f"{origin.url}/echo")).status == 200
    release.set()
    # Its answer comes, and is dropped.
    while not api.is_sync and aio.current().reactor.handler_count > 1:
        await asyncio.sleep(0.001)


async def test_the_error_tells_of_what_had_been_tried(api: Api, origin: Origin) -> None:
    there, controller = threading.Event(), AbortController()
    origin.routes["/flaky"] = lambda request: Answer(status=503)
    retry = {"backoff_factor": 1000, "max_backoff": 1000, "jitter": False, "on_retry": lambda info: there.set()}
    with aborting(controller, lambda: there.wait(PATIENCE)):
        client = api.client(timeout=None)
        error = await canceled(client.get(f"{origin.url}/flaky", retryConfig=retry, signal=controller.signal))
    assert [(one.number, one.status) for one in error.attempts] == [(1, 503)]


async def test_an_abort_is_never_retried(api: Api, origin: Origin) -> None:
    asked: list[Any] = []
    controller = AbortController()

    def condition(outcome: Any, attempt: Any) -> bool:
        asked.append(outcome)
        return True

    retry = {"condition": condition, "on_retry": asked.append, "backoff_factor": 0}
    with aborting(controller, lambda: origin.wait_for_requests(1)):
        await canceled(api.client().get(f"{origin.url}/delay/60", retryConfig=retry, signal=controller.signal))
    assert asked == []
    assert len(origin.requests) == 1


async def test_nothing_secret_is_in_the_error(api: Api, origin: Origin) -> None:
    controller = AbortController()
    url = f"http://ada:s3cret@127.0.0.1:{origin.port}/delay/60?token=s3cret"
    with aborting(controller, lambda: origin.wait_for_requests(1)):
        error = await canceled(api.client().get(url, headers={"X-API-Key": "s3cret"}, signal=controller.signal))
    assert "s3cret" not in f"{error} {error!r} {error.to_dict()}"
    assert str(error) == "canceled"
    assert b"s3cret" not in pickle.dumps(error)


# By a callback, in the middle of the call


def aborts(controller: AbortController, result: Any = None) -> Callable[..., Any]:
    """A callback of any number of arguments that aborts."""

    def callback(*_: Any) -> Any:
        controller.abort("by a callback")
        return result

    return callback


class AbortingAuth:
    """Aborts when it has seen the first answer."""

    def __init__(self, controller: AbortController) -> None:
        self._controller = controller

    def auth_flow(self, request: Any) -> Any:
        yield request
        self._controller.abort("by a callback")
        yield request


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (lambda c: {"url": "/echo", "transformRequest": lambda data: aborts(c, data)()}, []),
        (lambda c: {"url": "/echo", "auth": aborts(c)}, []),
        (lambda c: {"url": "/moved", "beforeRedirect": lambda request, response: aborts(c)()}, ["/moved"]),
        (lambda c: {"url": "/echo", "auth": AbortingAuth(c)}, ["/echo"]),
        (
            lambda c: {"url": "/status/503", "retryConfig": {"on_retry": aborts(c), "backoff_factor": 0}},
            ["/status/503"],
        ),
        (
            lambda c: {
                "url": "/status/503",
                "retryConfig": {"condition": lambda outcome, attempt: aborts(c, True)(), "backoff_factor": 0},
            },
            ["/status/503"],
        ),
        (lambda c: {"url": "/echo", "onUploadProgress": lambda loaded, total: aborts(c)()}, None),
        (lambda c: {"url": "/echo", "onDownloadProgress": lambda loaded, total: aborts(c)()}, ["/echo"]),
        (lambda c: {"url": "/echo", "validateStatus": aborts(c, True)}, ["/echo"]),
        (lambda c: {"url": "/echo", "validateStatus": aborts(c, False)}, ["/echo"]),
        (lambda c: {"url": "/echo", "jsonDecoder": lambda data: aborts(c)()}, ["/echo"]),
        (lambda c: {"url": "/echo", "transformResponse": lambda data: aborts(c)()}, ["/echo"]),
        (
            lambda c: {"url": "/echo", "transformResponse": lambda data: aborts(c, data)(), "response_type": "stream"},
            ["/echo"],
        ),
    ],
    ids=[
        *("transformRequest", "auth", "beforeRedirect", "auth flow", "on_retry", "condition", "upload progress"),
        *("progress", "validateStatus", "validateStatus refuses", "jsonDecoder", "transformResponse", "stream"),
    ],
)
async def test_a_callback_may_abort_its_own_call(api: Api, origin: Origin, options: Any, sent: Any) -> None:
    """No further request goes out, and there is no response, whether or not anything had to be waited for."""
    origin.routes["/moved"] = lambda request: Answer(status=307, headers=[("Location", "/echo")])
    client, controller = api.client(baseURL=origin.url), AbortController()
    error = await canceled(
        client.request({"method": "PUT", "data": {"a": 1}, **options(controller)}, signal=controller.signal)
    )
    assert error.reason == "by a callback"
    assert listeners(controller.signal) == 0
    if sent is not None:
        assert [request.path for request in origin.requests] == sent
    assert (await client.get("/echo")).status == 200
    assert client.pool_stats().waiting == 0


async def test_a_body_may_abort_its_own_call(api: Api, origin: Origin) -> None:
    client, controller = api.client(), AbortController()

    def pieces() -> Iterator[bytes]:
        yield b"a"
        controller.abort()
        yield b"b"

    await canceled(client.post(f"{origin.url}/echo", pieces(), signal=controller.signal))
    assert (await client.get(f"{origin.url}/echo")).status == 200


async def test_interceptors_are_not_broken_off_and_see_the_abort(api: Api, origin: Origin) -> None:
    """Request interceptors run to their end before anything is sent; an `err` of the response list sees the error."""
    client, controller = api.client(baseURL=origin.url), AbortController()
    seen: list[Any] = []

    def interceptor(config: Any) -> Any:
        controller.abort("by an interceptor")
        seen.append("request")

    def see(error: Any) -> Any:
        seen.append((type(error), error.reason, error.config.url))
        raise error

    client.interceptors.use(interceptor)
    client.interceptors.use(lambda config: seen.append("next"))
    client.interceptors.use(lambda response: seen.append("response"), is_response=True)
    client.interceptors.response.use(None, see)
    error = await canceled(client.get("/echo", signal=controller.signal))
    assert error.reason == "by an interceptor"
    assert seen == ["request", "next", (AtomHTTPCanceledError, "by an interceptor", "/echo")]
    assert origin.requests == []


async def test_a_response_interceptor_may_recover_from_an_abort(api: Api, origin: Origin) -> None:
    client, controller = api.client(baseURL=origin.url), AbortController()
    client.interceptors.response.use(None, lambda error: "recovered" if is_cancel(error) else error)
    with aborting(controller, lambda: origin.wait_for_requests(1)):
        assert await client.get("/delay/60", signal=controller.signal) == "recovered"


async def test_an_abort_in_a_response_interceptor_comes_too_late(api: Api, origin: Origin) -> None:
    client, controller = api.client(baseURL=origin.url), AbortController()
    client.interceptors.use(lambda response: controller.abort(), is_response=True)
    assert (await client.get("/echo", signal=controller.signal)).status == 200


async def test_an_interceptor_may_give_the_signal(api: Api, origin: Origin) -> None:
    client, controller = api.client(baseURL=origin.url), AbortController()
    client.interceptors.use(lambda config: {"signal": controller.signal})
    with aborting(controller, lambda: origin.wait_for_requests(1), "late"):
        assert (await canceled(client.get("/delay/60"))).reason == "late"


# Streams


@pytest.mark.parametrize(
    "read",
    [
        lambda stream: stream.read(),
        collect,
        lambda stream: collect(stream.iter_bytes(4)),
        lambda stream: collect(stream.iter_lines()),
    ],
    ids=["read", "iterate", "iter_bytes", "iter_lines"],
)
async def test_every_way_to_read_a_stream_is_ended(api: Api, read: Any) -> None:
    client, controller, there = api.client(), AbortController(), threading.Event()
    with Peer([expect_head(), send(HEAD + b"01"), signal(there), drain()]) as peer:
        stream = (await client.get(peer.url, response_type="stream", signal=controller.signal)).data
        with aborting(controller, lambda: there.wait(PATIENCE), "enough"):
            error = await canceled(lambda: read(stream))
        assert error.reason == "enough"
        assert error.request.url.startswith(peer.url)
        assert error.config.signal is controller.signal
        assert stream.closed
        assert client.pool_stats().open == 0
        assert listeners(controller.signal) == 0
        with pytest.raises(AtomHTTPError) as caught:
            await wait(stream.read())
        assert caught.value.code == "ERR_STREAM_CONSUMED"


async def test_a_stream_that_is_not_being_read_ends_with_the_next_read(api: Api) -> None:
    client, controller = api.client(), AbortController()
    with Peer([expect_head(), send(HEAD + b"0123"), drain()]) as peer:
        stream = (await client.get(peer.url, response_type="stream", signal=controller.signal)).data
        assert await wait(stream.read(1)) == b"0"
        controller.abort()
        received = []
        with pytest.raises(AtomHTTPCanceledError):
            while piece := await wait(stream.read(3)):
                received.append(piece)
        assert received in ([], [b"123"])  # what had been received may still be taken
        assert stream.closed
        assert client.pool_stats().open == 0


async def test_a_stream_that_has_been_read_is_not_touched(api: Api, origin: Origin) -> None:
    client, controller = api.client(), AbortController()
    response = await client.get(f"{origin.url}/bytes/100000", response_type="stream", signal=controller.signal)
    assert b"".join([piece async for piece in each(response.data)]) == pattern(100_000)
    controller.abort()
    assert client.pool_stats()[:2] == (1, 1)


async def test_a_limit_and_progress_hold_in_a_stream_with_a_signal(api: Api, origin: Origin) -> None:
    client, controller = api.client(), AbortController()
    loaded: list[int] = []
    with pytest.raises(AtomHTTPError) as caught:
        response = await client.get(
            f"{origin.url}/chunked/300000",
            response_type="stream",
            signal=controller.signal,
            maxContentLength=200_000,
            onDownloadProgress=lambda done, total: loaded.append(done),
        )
        await collect(response.data)
    assert caught.value.code == "ERR_MAX_CONTENT_LENGTH"
    assert loaded == sorted(loaded)
    assert loaded


# After


async def test_afterwards_nothing_happens(api: Api, origin: Origin) -> None:
    client, controller = api.client(baseURL=origin.url), AbortController()
    for _ in range(300):
        await client.get("/bytes/1", signal=controller.signal)
    assert listeners(controller.signal) == 0
    controller.abort()
    controller.abort("again")
    assert controller.signal.aborted
    assert controller.signal.reason is None
    stats = client.pool_stats()
    assert (stats.open, stats.idle, stats.reused) == (1, 1, 299)
    assert (await client.get("/bytes/1")).status == 200
    assert origin.connections == 1


async def test_a_call_that_fails_otherwise_leaves_no_listener(api: Api, origin: Origin) -> None:
    client, controller = api.client(), AbortController()
    for options in (
        {"url": f"{origin.url}/delay/60", "timeout": 0.02},
        {"url": f"{origin.url}/status/404", "validateStatus": True},
        {"url": f"{origin.url}/bytes/100", "maxContentLength": 1},
        {"url": "http://127.0.0.1:1/"},
        {"url": f"{origin.url}/echo", "transformResponse": lambda data: 1 / 0},
        {"url": f"{origin.url}/echo", "transformRequest": lambda data: 1 / 0},
    ):
        with pytest.raises((AtomHTTPError, ZeroDivisionError)) as caught:
            await client.request(options, signal=controller.signal)
        assert not is_cancel(caught.value)
        assert listeners(controller.signal) == 0


# Timeouts


async def test_a_timeout_signal_ends_a_call(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url)
    began = time.monotonic()
    error = await canceled(client.get("/delay/60", signal=AbortSignal.timeout(0.05)))
    assert time.monotonic() - began >= 0.05
    assert isinstance(error.reason, TimeoutError)
    assert error.__cause__ is error.reason
    assert str(error) == "canceled: the signal's timeout of 0.05 s has passed"
    assert client.pool_stats().open == 0
    # It counts from when it was made: what is sent afterwards is not.
    late = AbortSignal.timeout(0)
    await canceled(client.get("/echo", signal=late))
    assert "/echo" not in [request.path for request in origin.requests]


async def test_the_earlier_of_a_signals_timeout_and_the_calls_own_wins(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url)
    await canceled(client.get("/delay/60", signal=AbortSignal.timeout(0.05), timeout=30))
    with pytest.raises(AtomHTTPTimeoutError) as caught:
        await client.get("/delay/60", signal=AbortSignal.timeout(30), timeout=0.05)
    assert caught.value.limit == 0.05


async def test_one_timeout_ends_all_that_wait(api: Api, origin: Origin) -> None:
    client, shared = api.client(baseURL=origin.url), AbortSignal.timeout(0.05)
    if api.is_sync:
        calls = [client.real.defer.get("/delay/60", signal=shared) for _ in range(5)]
        results = client.real.all(calls, return_exceptions=True)
    else:
        calls = [client.get("/delay/60", signal=shared) for _ in range(5)]
        results = await AtomHTTP.all(calls, return_exceptions=True)
    assert {type(result) for result in results} == {AtomHTTPCanceledError}
    assert len({id(result.reason) for result in results}) == 1
    assert client.pool_stats().open == 0


async def test_a_timeout_that_did_not_pass_leaves_no_timer(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url)
    for seconds in (60, 1e9, 1e300):
        assert (await client.get("/echo", signal=AbortSignal.timeout(seconds))).status == 200


async def test_a_timeout_ends_the_reading_of_a_stream(api: Api) -> None:
    client = api.client()

    async def read() -> None:
        stream = (await client.get(peer.url, response_type="stream", signal=AbortSignal.timeout(0.1))).data
        assert await wait(stream.read(2)) == b"01"
        await wait(stream.read())

    with Peer([expect_head(), send(HEAD + b"01"), drain()]) as peer:
        error = await canceled(read())
        assert isinstance(error.reason, TimeoutError)
        assert client.pool_stats().open == 0


async def test_any_ends_with_the_first(api: Api, origin: Origin) -> None:
    client, one, other = api.client(baseURL=origin.url), AbortController(), AbortController()
    both = AbortSignal.any([one.signal, other.signal, AbortSignal.timeout(60)])
    with aborting(other, lambda: origin.wait_for_requests(1), "the other"):
        assert (await canceled(client.get("/delay/60", signal=both))).reason == "the other"
    timed = AbortSignal.any([one.signal, AbortSignal.timeout(0.05)])
    error = await canceled(client.get("/delay/60", signal=timed))
    assert isinstance(error.reason, TimeoutError)
    assert not one.signal.aborted


# Many


async def test_one_signal_ends_many_calls(api: Api, origin: Origin) -> None:
    client, controller = api.client(baseURL=origin.url), AbortController()
    with aborting(controller, lambda: origin.wait_for_requests(10), "all of you"):
        if api.is_sync:
            calls = [client.real.defer.get("/delay/60", signal=controller.signal) for _ in range(10)]
            results = client.real.all([*calls, 7], return_exceptions=True)
        else:
            calls = [client.get("/delay/60", signal=controller.signal) for _ in range(10)]
            results = await AtomHTTP.all([*calls, 7], return_exceptions=True)
    assert results.pop() == 7
    assert [(type(result), result.reason) for result in results] == [(AtomHTTPCanceledError, "all of you")] * 10
    assert client.pool_stats().open == 0
    assert listeners(controller.signal) == 0
    assert (await client.get("/echo")).status == 200


async def test_all_ends_with_the_first_call_that_is_aborted(api: Api, origin: Origin) -> None:
    client, controller = api.client(baseURL=origin.url), AbortController()
    with aborting(controller, lambda: origin.wait_for_requests(3)), pytest.raises(AtomHTTPCanceledError):
        if api.is_sync:
            defer = client.real.defer
            client.real.all(
                [defer.get("/delay/60"), defer.get("/delay/60", signal=controller.signal), defer.get("/delay/60")]
            )
        else:
            await AtomHTTP.all(
                [
                    client.get("/delay/60"),
                    client.get("/delay/60", signal=controller.signal),
                    client.get("/delay/60"),
                ]
            )
    assert client.pool_stats()[:3] == (0, 0, 0)


async def test_only_the_calls_of_the_signal_are_ended(api: Api, origin: Origin) -> None:
    client, controller = api.client(baseURL=origin.url), AbortController()

    def abort_then_release() -> None:
        origin.wait_for_requests(6)
        controller.abort()
        until(lambda: client.pool_stats().open == 3)
        origin.release.set()

    thread = threading.Thread(target=abort_then_release)
    thread.start()
    signals = [controller.signal, None] * 3
    if api.is_sync:
        calls = [client.real.defer.get("/delay/60", signal=each) for each in signals]
        results = client.real.all(calls, return_exceptions=True)
    else:
        calls = [client.get("/delay/60", signal=each) for each in signals]
        results = await AtomHTTP.all(calls, return_exceptions=True)
    thread.join(PATIENCE)
    assert [is_cancel(result) for result in results] == [True, False] * 3
    assert {result.data for result in results[1::2]} == {"late"}


# Values


@pytest.mark.parametrize(
    "value",
    [True, 1, "signal", [], AbortSignal, threading.Event(), AbortController()],
    ids=["bool", "int", "str", "list", "class", "Event", "controller"],
)
async def test_wrong_signals(api: Api, value: Any) -> None:
    for make in (
        lambda: api.client_class(signal=value),
        lambda: setattr(api.client_class().defaults, "signal", value),
        lambda: api.client_class().create(signal=value),
    ):
        with pytest.raises(AtomHTTPOptionError, match="signal: expected an AbortSignal or None") as caught:
            make()
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    with pytest.raises(AtomHTTPOptionError) as caught:
        await api.client().get("http://127.0.0.1:1/", signal=value)
    assert ("did you mean controller.signal?" in str(caught.value)) is isinstance(value, AbortController)


async def test_configs_that_hold_a_signal_are_copied_and_pickled(api: Api, origin: Origin) -> None:
    client, controller = api.client(baseURL=origin.url), AbortController()
    response = await client.get("/echo", signal=controller.signal)
    for twin in (copy.copy(response.config), copy.deepcopy(response.config)):
        assert twin.signal is controller.signal
    for loaded in (pickle.loads(pickle.dumps(response)), copy.deepcopy(response)):
        assert loaded.data == response.data
    # Elsewhere nobody can abort it any more.
    loaded = pickle.loads(pickle.dumps(response.config))
    assert not loaded.signal.aborted
    controller.abort("why")
    assert not loaded.signal.aborted
    loaded = pickle.loads(pickle.dumps(response.config))
    assert (loaded.signal.aborted, loaded.signal.reason) == (True, "why")
    # The config can be sent again, and then the signal still counts.
    error = await canceled(client.request(response.config))
    assert (await client.request(error.config, signal=None)).status == 200
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(twin), twin.code, twin.reason, str(twin)) == (
            AtomHTTPCanceledError,
            "ERR_CANCELED",
            "why",
            "canceled: why",
        )


async def test_a_created_client_has_its_parents_signal(api: Api, origin: Origin) -> None:
    controller = AbortController()
    parent = api.client(baseURL=origin.url, signal=controller.signal)
    child = parent.create() if api.is_sync else api.keep(parent.create())
    if api.is_sync:
        api.keep(child.real)
    controller.abort()
    await canceled(child.get("/echo"))


@pytest.mark.parametrize(
    "reason",
    [None, "text", 7, ValueError("a value"), ValueError, {"a": 1}, KeyboardInterrupt()],
    ids=described,
)
async def test_any_reason(api: Api, origin: Origin, reason: Any) -> None:
    controller = AbortController()
    with aborting(controller, lambda: origin.wait_for_requests(1), reason):
        error = await canceled(api.client().get(f"{origin.url}/delay/60", signal=controller.signal))
    assert error.reason is reason
    assert error.__cause__ is (reason if isinstance(reason, BaseException) else None)
    assert error.__suppress_context__ or error.__context__ is None


# What a callback of the caller's does with it


async def test_a_body_that_swallows_everything_does_not_hang_the_call(api: Api, origin: Origin) -> None:
    """Whoever catches the cancellation has been told; the call ends all the same, with the next thing it does."""
    client, controller, there = api.client(), AbortController(), threading.Event()
    seen: list[BaseException] = []

    async def pieces() -> Any:
        yield b"a"
        try:
            there.set()
            while not seen:
                await asyncio.sleep(0)
        except BaseException as error:
            seen.append(error)
        yield b"b"

    with aborting(controller, lambda: there.wait(PATIENCE)):
        await canceled(client.post(f"{origin.url}/echo", pieces(), signal=controller.signal))
    assert len(seen) == 1
    assert not isinstance(seen[0], Exception)
    assert client.pool_stats().waiting == 0
    assert (await client.get(f"{origin.url}/echo")).status == 200


async def test_a_signal_is_freed_with_its_calls(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url)
    signal = AbortSignal.timeout(60)
    await client.get("/echo", signal=signal)
    gone = weakref.ref(signal)
    del signal
    gc.collect()
    assert gone() is None


def test_a_handler_of_the_systems_signals_may_abort(origin: Origin) -> None:
    controller = AbortController()
    before = signals.signal(signals.SIGUSR1, lambda *_: controller.abort("by SIGUSR1"))
    main = threading.main_thread().ident
    assert main is not None

    def kill() -> None:
        origin.wait_for_requests(1)
        signals.pthread_kill(main, signals.SIGUSR1)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        with SyncAtomHTTP() as client, pytest.raises(AtomHTTPCanceledError) as caught:
            client.get(f"{origin.url}/delay/60", signal=controller.signal)
        assert caught.value.reason == "by SIGUSR1"
    finally:
        thread.join(PATIENCE)
        signals.signal(signals.SIGUSR1, before)


async def test_what_was_received_counts(api: Api, origin: Origin) -> None:
    """A signal changes nothing else: the response is the same, on every way through the engine."""
    client, controller = api.client(baseURL=origin.url), AbortController()
    origin.routes["/moved"] = lambda request: Answer(status=302, headers=[("Location", "/echo")])

    def reply(request: Received) -> Answer:
        return Answer(b'{"a": 1}', 404)

    origin.routes["/no"] = reply
    for options, expected in (
        ({"url": "/bytes/10"}, 200),
        ({"url": "/moved"}, 200),
        ({"url": "/no"}, 404),
        ({"url": "/bytes/1000000", "maxContentLength": 1_000_000}, 200),
        ({"url": "/echo", "method": "POST", "data": bytes(1_000_000)}, 200),
    ):
        response = await client.request(options, signal=controller.signal)
        assert response.status == expected
        assert response.config.signal is controller.signal
    assert client.pool_stats()[:2] == (1, 1)
