"""Interceptors (contract: Interceptors; part 2: a3)."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import threading
import traceback
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPDecodeError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    Headers,
    RequestConfig,
    Response,
    SyncAtomHTTP,
)
from contract.flavours import Api, close, collect, wait
from support.origin import Answer, Origin, Received, pattern
from support.peer import Peer, drain, expect_end, expect_head, hold, send

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
KINDS = ["def", "async def"]


class MineError(Exception):
    """An error that is not atomhttp's."""


def made(kind: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`function`, or an `async def` of it."""
    if kind == "def":
        return function

    async def call(argument: Any) -> Any:
        return function(argument)

    call.__qualname__ = function.__qualname__
    return call


def mine(_given: Any) -> None:
    raise MineError("mine")


def marks(log: list[Any], *names: Any) -> list[Callable[[Any], None]]:
    """Functions that leave their name in `log`."""

    def mark(name: Any) -> Callable[[Any], None]:
        return lambda _given: log.append(name)

    return [mark(name) for name in names]


async def all_of(api: Api, client: Any, urls: list[str], **options: Any) -> list[Any]:
    """GETs, in flight together."""
    if api.is_sync:
        return client.real.all([client.real.defer.get(url, **options) for url in urls])  # type: ignore[no-any-return]  # a list
    return await AtomHTTP.all([client.get(url, **options) for url in urls])


def together(origin: Origin, count: int, path: str = "/together") -> str:
    """A URL that answers only when `count` requests have arrived."""

    def reply(_request: Received) -> Answer:
        origin.wait_for_requests(count)
        return Answer(b"{}", headers=[("Content-Type", "application/json")])

    origin.routes[path] = reply
    return f"{origin.url}{path}"


# use, eject, clear


def test_one_counter_for_both_lists_from_0_never_reused(api: Api) -> None:
    interceptors = api.client().interceptors
    assert interceptors.use(mine) == 0
    assert interceptors.use(mine, is_response=True) == 1
    assert interceptors.request.use(mine) == 2
    assert interceptors.response.use(None, mine) == 3
    assert interceptors.eject(3) is True
    interceptors.clear()
    assert interceptors.use(mine) == 4


async def test_eject_keeps_the_ids_of_others_valid_and_an_unknown_one_is_false(client: Any, origin: Origin) -> None:
    log: list[str] = []
    ids = [client.interceptors.use(each) for each in marks(log, "a", "b", "c")]
    assert client.interceptors.eject(ids[0]) is True
    assert client.interceptors.eject(ids[0]) is False
    assert client.interceptors.eject(99) is False
    assert client.interceptors.eject(-1) is False
    await client.get(f"{origin.url}/bytes/1")
    assert log == ["b", "c"]
    assert client.interceptors.eject(ids[2]) is True
    await client.get(f"{origin.url}/bytes/1")
    assert log == ["b", "c", "b"]


def test_eject_looks_in_the_list_that_is_named(api: Api) -> None:
    interceptors = api.client().interceptors
    request, response = interceptors.use(mine), interceptors.use(mine, True)
    assert interceptors.eject(request, True) is False
    assert interceptors.eject(response, is_response=False) is False
    assert interceptors.request.eject(response) is False
    assert interceptors.response.eject(request) is False
    assert len(interceptors) == 2
    assert interceptors.eject(request, is_response=False) is True
    assert interceptors.response.eject(response) is True
    assert len(interceptors) == 0


def test_numeric_strings_are_accepted_by_eject(api: Api) -> None:
    interceptors = api.client().interceptors
    index = interceptors.use(mine)
    assert interceptors.eject("one") is False
    assert interceptors.eject(str(index)) is True
    assert interceptors.eject(str(interceptors.response.use(mine)), True) is True


async def test_clear_removes_all_of_them_or_of_one_list(client: Any, origin: Origin) -> None:
    log: list[str] = []
    request, response = marks(log, "request", "response")
    for clear, left in (
        (client.interceptors.request.clear, ["response"]),
        (client.interceptors.response.clear, ["request"]),
        (client.interceptors.clear, []),
    ):
        client.interceptors.use(request)
        client.interceptors.use(response, is_response=True)
        clear()
        log.clear()
        await client.get(f"{origin.url}/bytes/1")
        assert log == left
        client.interceptors.clear()


@pytest.mark.parametrize("value", [None, 5, "name", {"ok": mine}])
def test_what_is_no_function_is_refused_by_name(api: Api, value: Any) -> None:
    interceptors = api.client().interceptors
    with pytest.raises(AtomHTTPOptionError, match="interceptor: expected a callable") as caught:
        interceptors.use(value)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    for use in (interceptors.request.use, interceptors.response.use):
        if value is not None:
            with pytest.raises(AtomHTTPOptionError, match="ok: expected a callable"):
                use(value)
            with pytest.raises(AtomHTTPOptionError, match="err: expected a callable"):
                use(None, value)
    if value is not None:
        with pytest.raises(AtomHTTPOptionError, match="run_when: expected a callable"):
            interceptors.use(mine, run_when=value)
    with pytest.raises(AtomHTTPOptionError, match="is_response: expected True or False"):
        interceptors.use(mine, mine)
    assert len(interceptors) == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_sync_or_async(client: Any, origin: Origin, kind: str) -> None:
    def add(config: RequestConfig) -> RequestConfig:
        config.headers["X-Added"] = kind
        return config

    def double(response: Response[Any]) -> Response[Any]:
        response.data = response.data * 2
        return response

    client.interceptors.use(made(kind, add))
    client.interceptors.use(made(kind, double), is_response=True)
    assert (await client.get(f"{origin.url}/delay/0")).data == "latelate"
    assert origin.requests[0].get("X-Added") == kind


@pytest.mark.parametrize("kind", ["method", "callable object", "partial", "lambda over async def"])
async def test_any_callable_will_do(client: Any, origin: Origin, kind: str) -> None:
    class Adder:
        def add(self, config: RequestConfig) -> None:
            config.headers["X-Added"] = "yes"

        def __call__(self, config: RequestConfig) -> None:
            self.add(config)

    adder = Adder()
    functions: dict[str, Any] = {
        "method": adder.add,
        "callable object": adder,
        "partial": partial(Adder.add, adder),
        "lambda over async def": lambda config: made("async def", adder.add)(config),  # noqa: PLW0108  # it is what is tested
    }
    client.interceptors.use(functions[kind])
    await client.get(f"{origin.url}/bytes/1")
    assert origin.requests[0].get("X-Added") == "yes"


async def test_a_client_made_by_create_has_interceptors_of_its_own(client: Any, api: Api, origin: Origin) -> None:
    log: list[str] = []
    own, other = marks(log, "parent", "child")
    client.interceptors.use(own)
    child = client.create()
    child.interceptors.use(other)
    await child.get(f"{origin.url}/bytes/1")
    assert log == ["child"]
    await child.close()


# Order


async def test_request_and_response_interceptors_run_in_the_order_added(client: Any, origin: Origin) -> None:
    log: list[str] = []
    a, b, c, d, e, f = marks(log, *"abcdef")
    client.interceptors.response.use(d)
    client.interceptors.use(a)
    client.interceptors.request.use(b)
    client.interceptors.use(e, is_response=True)
    client.interceptors.use(c)
    client.interceptors.response.use(f)
    await client.get(f"{origin.url}/bytes/1")
    assert log == [*"abcdef"]


async def test_they_run_once_a_call_not_per_hop_or_retry(client: Any, origin: Origin) -> None:
    statuses = iter([503, 302])
    origin.routes["/flaky"] = lambda _: Answer(status=next(statuses), headers=[("Location", "/bytes/3")])
    log: list[str] = []
    before, after = marks(log, "before", "after")
    client.interceptors.use(before)
    client.interceptors.use(after, is_response=True)
    response = await client.get(f"{origin.url}/flaky", retryConfig={"max_retries": 2, "backoff_factor": 0})
    assert response.content == pattern(3)
    assert len(origin.requests) == 3
    assert log == ["before", "after"]


async def test_the_order_of_all_of_the_callers_functions(client: Any, origin: Origin) -> None:
    log: list[str] = []
    before, transform_request, validate, transform_response, after = marks(
        log, "request interceptor", "transformRequest", "validateStatus", "transformResponse", "response interceptor"
    )
    client.interceptors.use(before)
    client.interceptors.response.use(after)
    await client.post(
        f"{origin.url}/bytes/1",
        transformRequest=transform_request,
        transformResponse=transform_response,
        validateStatus=lambda status: validate(status) is None,
    )
    assert log == [
        "request interceptor",
        "transformRequest",
        "validateStatus",
        "transformResponse",
        "response interceptor",
    ]


# A call uses the lists as they stood when it began


async def test_an_interceptor_that_adds_one_while_a_call_is_under_way_adds_it_for_the_next(
    client: Any, origin: Origin
) -> None:
    log: list[str] = []
    late_request, late_response = marks(log, "late request", "late response")

    def add(_config: RequestConfig) -> None:
        log.append("first")
        if len(log) == 1:
            client.interceptors.use(late_request)
            client.interceptors.use(late_response, is_response=True)

    client.interceptors.use(add)
    await client.get(f"{origin.url}/bytes/1")
    assert log == ["first"]
    await client.get(f"{origin.url}/bytes/1")
    assert log == ["first", "first", "late request", "late response"]


async def test_an_interceptor_that_ejects_itself_or_others_does_so_for_the_next_call(
    client: Any, origin: Origin
) -> None:
    log: list[str] = []

    def once(_config: RequestConfig) -> None:
        log.append("once")
        assert client.interceptors.eject(own) is True
        assert client.interceptors.eject(other) is True
        client.interceptors.response.clear()

    own = client.interceptors.use(once)
    others = marks(log, "other", "response")
    other = client.interceptors.use(others[0])
    client.interceptors.use(others[1], is_response=True)
    await client.get(f"{origin.url}/bytes/1")
    assert log == ["once", "other", "response"]
    await client.get(f"{origin.url}/bytes/1")
    assert log == ["once", "other", "response"]


async def test_calls_in_flight_keep_their_lists(loop_kind: str, origin: Origin) -> None:
    log: list[str] = []
    first, second = marks(log, "first", "second")
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def pause(_config: RequestConfig) -> None:
        entered.set()
        await go_on.wait()

    async with AtomHTTP() as client:
        pausing = client.interceptors.use(pause)
        client.interceptors.use(first, is_response=True)
        call = asyncio.create_task(client.get(f"{origin.url}/bytes/1"))
        await entered.wait()
        client.interceptors.eject(pausing)
        client.interceptors.response.clear()
        client.interceptors.use(second, is_response=True)
        await client.get(f"{origin.url}/bytes/1")
        assert log == ["second"]
        go_on.set()
        await call
        assert log == ["second", "first"]


# The walk through the response list


async def test_validate_status_is_asked_first_and_a_refusal_puts_a_status_error_in_hand(
    client: Any, origin: Origin
) -> None:
    log: list[Any] = []
    client.interceptors.response.use(lambda _: log.append("ok"), lambda error: log.append(error) or "recovered")
    assert await client.get(f"{origin.url}/status/404", validateStatus=True) == "recovered"
    assert [type(error) for error in log] == [AtomHTTPStatusError]
    assert (log[0].code, log[0].status, log[0].config.url) == ("ERR_BAD_REQUEST", 404, f"{origin.url}/status/404")
    log.clear()
    assert (await client.get(f"{origin.url}/status/404")).status == 404
    assert log == ["ok"]


@pytest.mark.parametrize(("status", "code"), [(302, "RESPONSE"), (400, "REQUEST"), (499, "REQUEST"), (500, "RESPONSE")])
async def test_the_code_is_bad_request_for_4xx_and_bad_response_for_everything_else(
    client: Any, origin: Origin, status: int, code: str
) -> None:
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get(f"{origin.url}/status/{status}", validateStatus=True)
    assert caught.value.code == f"ERR_BAD_{code}"


@pytest.mark.parametrize("validate", [None, True])
@pytest.mark.parametrize("status", [200, 404, 500])
async def test_is_response_handlers_run_for_every_received_response_good_or_bad(
    client: Any, origin: Origin, validate: Any, status: int
) -> None:
    seen: list[Any] = []
    client.interceptors.use(seen.append, is_response=True)
    client.interceptors.use(seen.append, is_response=True)
    try:
        response = await client.get(f"{origin.url}/status/{status}", validateStatus=validate)
    except AtomHTTPStatusError as error:
        assert validate
        assert status != 200
        response = error.response
    assert [each.status for each in seen] == [status, status]
    assert seen[0] is seen[1] is response


async def test_is_response_handlers_do_not_run_when_nothing_was_received(client: Any) -> None:
    seen: list[Any] = []
    client.interceptors.use(seen.append, is_response=True)
    with Peer([[expect_head()]]) as peer, pytest.raises(AtomHTTPNetworkError):
        await client.get(peer.url, retryConfig=False)
    client.interceptors.use(mine)
    with pytest.raises(MineError):
        await client.get("http://never.sent.invalid/")
    assert seen == []


async def test_is_response_handlers_do_not_run_for_a_status_error_without_a_response(
    client: Any, origin: Origin
) -> None:
    own = AtomHTTPStatusError("made by hand")

    def refuse(_response: Any) -> None:
        raise own

    seen: list[Any] = []
    client.interceptors.response.use(refuse)
    client.interceptors.use(seen.append, is_response=True)
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get(f"{origin.url}/bytes/1")
    assert caught.value is own
    assert seen == []


async def test_what_they_return_is_validated_again(client: Any, origin: Origin) -> None:
    def change(response: Response[Any]) -> Response[Any]:
        return Response({"was": response.status}, 200 if response.status == 404 else 500)

    client.interceptors.use(change, is_response=True)
    good = await client.get(f"{origin.url}/status/404", validateStatus=True)
    assert (good.status, good.data) == (200, {"was": 404})
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get(f"{origin.url}/status/200", validateStatus=True)
    assert (caught.value.status, caught.value.response.data) == (500, {"was": 200})
    assert caught.value.config.url == f"{origin.url}/status/200"


async def test_a_status_changed_in_place_is_validated_again(client: Any, origin: Origin) -> None:
    def forgive(response: Response[Any]) -> None:
        response.status = 200

    client.interceptors.use(forgive, is_response=True)
    assert (await client.get(f"{origin.url}/status/404", validateStatus=True)).status == 200


async def test_a_refusal_that_stays_one_is_raised_as_the_same_error(client: Any, origin: Origin) -> None:
    errors: list[Any] = []

    def keep(error: Any) -> None:
        errors.append(error)
        raise error

    client.interceptors.response.use(None, keep)
    client.interceptors.use(lambda response: response, is_response=True)
    client.interceptors.response.use(None, keep)
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get(f"{origin.url}/status/404", validateStatus=True)
    assert len(errors) == 2
    assert errors[0] is errors[1] is caught.value


async def test_ok_runs_when_no_error_is_in_hand_and_err_when_one_is(client: Any, origin: Origin) -> None:
    log: list[str] = []
    ok_1, ok_2, ok_3 = marks(log, "ok 1", "ok 2", "ok 3")

    def fail(_response: Any) -> None:
        log.append("fails")
        raise MineError

    client.interceptors.response.use(ok_1, lambda _: log.append("err 1"))
    client.interceptors.response.use(fail, lambda _: log.append("its own err"))
    client.interceptors.response.use(ok_2)
    client.interceptors.response.use(ok_3, lambda error: log.append(type(error).__name__) or 5)
    client.interceptors.response.use(log.append, lambda _: log.append("err 5"))
    assert await client.get(f"{origin.url}/bytes/1") == 5
    assert log == ["ok 1", "fails", "MineError", 5]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_err_that_returns_recovers_and_later_oks_run(client: Any, origin: Origin, kind: str) -> None:
    client.interceptors.response.use(None, made(kind, lambda error: error.response))
    client.interceptors.response.use(made(kind, lambda response: response.status + 1))
    assert await client.get(f"{origin.url}/status/404", validateStatus=True) == 405


@pytest.mark.parametrize("kind", KINDS)
async def test_an_ok_that_raises_goes_on_to_the_next_err(client: Any, origin: Origin, kind: str) -> None:
    log: list[Any] = []
    client.interceptors.response.use(made(kind, mine), log.append)
    client.interceptors.response.use(None, made(kind, lambda error: f"caught {error}"))
    assert await client.get(f"{origin.url}/bytes/1") == "caught mine"
    assert log == []


async def test_an_err_may_raise_another_error(client: Any, origin: Origin) -> None:
    def other(_error: Any) -> None:
        raise KeyError("other")

    client.interceptors.response.use(mine)
    client.interceptors.response.use(None, other)
    with pytest.raises(KeyError, match="other"):
        await client.get(f"{origin.url}/bytes/1")


async def test_what_is_in_hand_at_the_end_is_returned_or_raised(client: Any, origin: Origin) -> None:
    index = client.interceptors.response.use(lambda response: response.content)
    assert await client.get(f"{origin.url}/bytes/4") == pattern(4)
    client.interceptors.eject(index)
    client.interceptors.response.use(mine)
    with pytest.raises(MineError):
        await client.get(f"{origin.url}/bytes/4")


async def test_a_request_failure_skips_dispatch_and_goes_to_the_response_errs(client: Any, origin: Origin) -> None:
    log: list[str] = []
    later, ok = marks(log, "later ok", "response ok")
    client.interceptors.request.use(mine)
    client.interceptors.request.use(later)
    client.interceptors.response.use(ok, lambda error: f"caught {error}")
    assert await client.get(f"{origin.url}/bytes/1") == "caught mine"
    assert log == []
    assert origin.requests == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_failure_goes_to_the_next_request_err_which_recovers(
    client: Any, origin: Origin, kind: str
) -> None:
    def recover(error: Exception) -> dict[str, Any]:
        return {"headers": {"X-Recovered": str(error)}}

    log: list[Any] = []
    client.interceptors.request.use(made(kind, mine), log.append)
    client.interceptors.request.use(None, made(kind, recover))
    client.interceptors.request.use(lambda config: log.append(config.headers["X-Recovered"]))
    response = await client.get(f"{origin.url}/bytes/3")
    assert response.content == pattern(3)
    assert log == ["mine"]
    assert origin.requests[0].get("X-Recovered") == "mine"


async def test_a_request_err_that_returns_none_recovers_with_the_config_as_it_stands(
    client: Any, origin: Origin
) -> None:
    def change_and_fail(config: RequestConfig) -> None:
        config.headers["X-Changed"] = "before the failure"
        raise MineError

    client.interceptors.request.use(change_and_fail)
    client.interceptors.request.use(None, lambda _error: None)
    assert (await client.get(f"{origin.url}/bytes/1")).status == 200
    assert origin.requests[0].get("X-Changed") == "before the failure"


async def test_a_request_err_may_answer_the_call(client: Any, origin: Origin) -> None:
    client.interceptors.request.use(mine)
    client.interceptors.request.use(None, lambda error: Response(str(error), 203))
    response = await client.get(f"{origin.url}/bytes/1")
    assert (response.status, response.data) == (203, "mine")
    assert origin.requests == []


async def test_a_return_value_that_is_refused_goes_to_the_next_request_err_too(client: Any, origin: Origin) -> None:
    seen: list[Any] = []
    client.interceptors.request.use(lambda _config: 5)
    client.interceptors.request.use(None, seen.append)
    assert (await client.get(f"{origin.url}/bytes/1")).status == 200
    assert [type(error) for error in seen] == [AtomHTTPOptionError]


@pytest.mark.parametrize(
    ("path", "options", "expected"),
    [
        ("/status/500", {"validateStatus": True}, AtomHTTPStatusError),
        ("/delay/9", {"timeout": 0.05}, AtomHTTPTimeoutError),
        ("/bytes/100", {"maxContentLength": 10}, AtomHTTPLimitError),
        ("/echo", {"method": "POST", "data": b"x" * 100, "maxBodyLength": 10}, AtomHTTPLimitError),
        ("/bytes/10", {"transitional": {"silentJSONParsing": False}}, AtomHTTPDecodeError),
        ("/bytes/10", {"params": {"bad": object()}, "paramsSerializer": mine}, MineError),
        ("/bytes/10", {"transformResponse": mine}, MineError),
        ("/bytes/10", {"transformRequest": mine}, MineError),
        ("/bytes/10", {"on_download_progress": mine}, MineError),
        ("/nowhere", {"baseURL": "ftp://127.0.0.1"}, None),
    ],
)
async def test_err_runs_for_whatever_ends_a_call(
    client: Any, origin: Origin, path: str, options: dict[str, Any], expected: Any
) -> None:
    seen: list[Any] = []
    client.interceptors.response.use(mine, lambda error: seen.append(error) or "recovered")
    url = path if "baseURL" in options else f"{origin.url}{path}"
    assert await client.request({"method": "GET", "url": url, **options}) == "recovered"
    assert len(seen) == 1
    assert type(seen[0]) is (expected or type(seen[0]))
    if isinstance(seen[0], (AtomHTTPStatusError, AtomHTTPTimeoutError, AtomHTTPLimitError)):
        assert seen[0].config.url == url


async def test_err_runs_for_the_network(client: Any) -> None:
    seen: list[Any] = []
    client.interceptors.response.use(None, lambda error: seen.append(error) or "recovered")
    with Peer([[expect_head()]]) as peer:
        assert await client.get(peer.url, retryConfig=False) == "recovered"
        assert isinstance(seen[0], AtomHTTPNetworkError)
        assert seen[0].config.url == peer.url


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["request", "response"])
@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_err_never_runs_for_a_base_exception(
    client: Any, origin: Origin, place: str, error: type[BaseException], kind: str
) -> None:
    def interrupt(_given: Any) -> None:
        raise error

    seen: list[Any] = []
    getattr(client.interceptors, place).use(made(kind, interrupt))
    client.interceptors.request.use(None, seen.append)
    client.interceptors.response.use(None, seen.append)
    client.interceptors.use(seen.append, is_response=True)
    with pytest.raises(error):
        await client.get(f"{origin.url}/bytes/1")
    assert seen == []
    client.interceptors.clear()
    assert (await client.get(f"{origin.url}/bytes/1")).status == 200


async def test_a_cancelled_task_passes_through_err_handlers(loop_kind: str, origin: Origin) -> None:
    loop, asked = asyncio.get_running_loop(), asyncio.Event()

    def reply(_request: Received) -> Answer:
        loop.call_soon_threadsafe(asked.set)
        origin.release.wait(9)
        return Answer()

    origin.routes["/slow"] = reply
    seen: list[Any] = []
    async with AtomHTTP() as client:
        client.interceptors.request.use(None, seen.append)
        client.interceptors.response.use(seen.append, seen.append)
        call = asyncio.create_task(client.get(f"{origin.url}/slow"))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert seen == []


@pytest.mark.parametrize("is_response", [False, True])
async def test_a_task_cancelled_inside_an_interceptor_leaves_nothing_behind(
    loop_kind: str, origin: Origin, is_response: bool
) -> None:
    entered = asyncio.Event()

    async def wait_for_ever(_given: Any) -> None:
        entered.set()
        await asyncio.Event().wait()

    async with AtomHTTP() as client:
        index = client.interceptors.use(wait_for_ever, is_response)
        call = asyncio.create_task(client.get(f"{origin.url}/chunked/500000", response_type="stream"))
        await entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        client.interceptors.eject(index)
        assert (await client.get(f"{origin.url}/bytes/3")).content == pattern(3)


# What a request interceptor returns


async def test_a_request_interceptor_returns_the_config_it_was_given(client: Any, origin: Origin) -> None:
    def change(config: RequestConfig) -> RequestConfig:
        assert (config.method, config.url) == ("POST", f"{origin.url}/bytes/1")
        config.url = f"{origin.url}/echo"
        config.method = "PUT"
        config.data = {"changed": True}
        config.params = {"a": 1}
        config["timeout"] = 7
        return config

    client.interceptors.use(change)
    response = await client.post(f"{origin.url}/bytes/1", {"given": True})
    assert (response.data["method"], response.data["target"]) == ("PUT", "/echo?a=1")
    assert json.loads(response.data["body"]) == {"changed": True}
    assert response.config.timeout == 7


@pytest.mark.parametrize("how", ["in place", "mapping", "config"])
async def test_what_an_interceptor_sets_holds_for_the_call(
    api: Api, client: Any, origin: Origin, answer: Any, how: str
) -> None:
    calls: list[Any] = []
    options: dict[str, Any] = {
        "baseURL": origin.url,
        "auth": ("me", "pw"),
        "responseType": "text",
        "validateStatus": lambda status: status == 404,
        "maxRedirects": 0,
        "on_download_progress": lambda loaded, total: calls.append((loaded, total)),
        "transformResponse": lambda data: [data],
        "timeout": None,
    }

    def change(config: RequestConfig) -> Any:
        if how == "in place":
            for name, value in options.items():
                config[name] = value
            return None
        return options if how == "mapping" else RequestConfig(options, url=config.url, method=config.method)

    index = client.interceptors.use(change)
    response = await client.put("nothing")
    assert (response.status, response.data) == (404, ["no such path"])
    assert calls == [(12, 12)]
    assert (origin.requests[0].method, origin.requests[0].path) == ("PUT", "/nothing")
    assert (origin.requests[0].get("Authorization") or "").startswith("Basic ")
    with pytest.raises(AtomHTTPStatusError):
        await client.get("bytes/1")
    client.interceptors.eject(index)
    assert (await client.get(answer(b"[1]"))).data == [1]


async def test_a_request_interceptor_returns_another_config_which_the_defaults_complete(
    api: Api, origin: Origin
) -> None:
    client = api.client(
        baseURL=origin.url, headers={"X-Default": "d"}, params={"d": 1}, timeout=9, meta={"m": 1}, validateStatus=True
    )
    seen: list[RequestConfig] = []
    client.interceptors.use(lambda config: RequestConfig(method="PUT", url="/echo", data=b"new", headers={"X-Own": 1}))
    client.interceptors.use(seen.append)
    response = await client.get("/status/404", headers={"X-Call": "gone"}, timeout=3)
    assert (response.data["method"], response.data["target"], response.data["body"]) == ("PUT", "/echo?d=1", "new")
    received = origin.requests[0]
    assert (received.get("X-Default"), received.get("X-Own"), received.get("X-Call")) == ("d", "1", None)
    assert (seen[0].timeout, seen[0].meta, seen[0].validate_status) == (9, {"m": 1}, True)


@pytest.mark.parametrize("how", ["copy", "deepcopy"])
async def test_a_request_interceptor_returns_a_copy_of_its_config(api: Api, origin: Origin, how: str) -> None:
    import copy

    def change(config: RequestConfig) -> RequestConfig:
        twin: RequestConfig = getattr(copy, how)(config)
        twin.headers["X-Twin"] = how
        return twin

    client = api.client(baseURL=origin.url, params={"d": 1}, headers={"X-Default": "d"})
    client.interceptors.use(change)
    response = await client.get("/echo", {"c": 2}, timeout=None, headers={"X-Call": "c"})
    received = origin.requests[0]
    assert received.target == "/echo?d=1&c=2"
    assert [received.get(name) for name in ("X-Default", "X-Call", "X-Twin")] == ["d", "c", how]
    assert response.config.timeout is None


async def test_a_request_interceptor_returns_a_mapping_which_is_merged_over_its_config(
    api: Api, origin: Origin
) -> None:
    client = api.client(baseURL=origin.url, params={"d": {"x": 1}})
    client.interceptors.use(
        lambda _config: {
            "headers": {"X-Merged": "m", "x-call": None},
            "params": {"d": {"y": 2}},
            "responseType": "text",
            "timeout": None,
            "meta": {"b": 2},
        }
    )
    response = await client.get("/bytes/1", headers={"X-Call": "c", "X-Kept": "k"}, meta={"a": 1})
    received = origin.requests[0]
    assert received.target in ("/bytes/1?d[x]=1&d[y]=2", "/bytes/1?d%5Bx%5D=1&d%5By%5D=2")
    assert [received.get(name) for name in ("X-Merged", "X-Call", "X-Kept")] == ["m", None, "k"]
    config = response.config
    assert (config.response_type, config.timeout, config.meta) == ("text", None, {"a": 1, "b": 2})


async def test_a_mapping_is_checked_like_any_options(client: Any, origin: Origin) -> None:
    index = client.interceptors.use(lambda _config: {"follow_redirects": True})
    with pytest.raises(AtomHTTPOptionError, match="maxRedirects") as caught:
        await client.get(f"{origin.url}/bytes/1")
    assert caught.value.code == "ERR_BAD_OPTION"
    client.interceptors.eject(index)
    client.interceptors.use(lambda _config: {"timeout": "soon"})
    with pytest.raises(AtomHTTPOptionError, match="timeout"):
        await client.get(f"{origin.url}/bytes/1")
    assert origin.requests == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_interceptor_returns_none_for_the_config_changed_in_place(
    client: Any, origin: Origin, kind: str
) -> None:
    def change(config: RequestConfig) -> None:
        config.headers["X-In-Place"] = "yes"

    client.interceptors.use(made(kind, change))
    await client.get(f"{origin.url}/bytes/1")
    assert origin.requests[0].get("X-In-Place") == "yes"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_interceptor_returns_a_response_which_answers_the_call_without_network(
    client: Any, origin: Origin, kind: str
) -> None:
    log: list[str] = []
    cached = Response({"cached": True}, headers={"X-Cache": "hit"})
    client.interceptors.use(made(kind, lambda _config: cached))
    client.interceptors.use(*marks(log, "later request interceptor"))
    client.interceptors.use(*marks(log, "response interceptor"), is_response=True)
    url = f"{origin.url}/bytes/1"
    response = await client.get(url)
    assert response is cached
    assert (response.status, response.data, response.config.url) == (200, {"cached": True}, url)
    assert log == ["response interceptor"]
    assert origin.connections == 0


async def test_validate_status_is_asked_about_an_interceptors_response_too(client: Any, origin: Origin) -> None:
    asked: list[int] = []
    client.interceptors.use(lambda _config: Response("no", 451))
    client.interceptors.response.use(None, lambda error: error)
    error = await client.get(f"{origin.url}/bytes/1", validateStatus=asked.append)
    assert type(error) is AtomHTTPStatusError
    assert (error.status, error.response.data, error.code, asked) == (451, "no", "ERR_BAD_REQUEST", [451])
    assert error.config.url == f"{origin.url}/bytes/1"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [5, "text", False, [("method", "GET")], object(), mine])
async def test_anything_else_is_an_option_error_that_names_the_function(
    client: Any, origin: Origin, value: Any, kind: str
) -> None:
    def wrong_return(_config: RequestConfig) -> Any:
        return value

    client.interceptors.use(made(kind, wrong_return))
    with pytest.raises(AtomHTTPOptionError, match="wrong_return") as caught:
        await client.get(f"{origin.url}/bytes/1")
    assert type(value).__name__ in str(caught.value)
    assert caught.value.code in ("ERR_BAD_OPTION", "ERR_BAD_OPTION_VALUE")
    assert caught.value.config.url == f"{origin.url}/bytes/1"
    assert origin.requests == []


# What a response interceptor returns


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_pair", [False, True])
@pytest.mark.parametrize("value", [5, "text", False, 0, [], {}, {"status": 500}, Response("other", 418)])
async def test_a_response_interceptor_may_return_anything(
    client: Any, origin: Origin, value: Any, is_pair: bool, kind: str
) -> None:
    seen: list[Any] = []

    def give(_response: Any) -> Any:
        return value

    if is_pair:
        client.interceptors.response.use(made(kind, give))
        client.interceptors.response.use(seen.append)
    else:
        client.interceptors.use(made(kind, give), is_response=True)
        client.interceptors.use(seen.append, is_response=True)
    result = await client.get(f"{origin.url}/bytes/1")
    assert result is value
    assert len(seen) == 1
    assert seen[0] is value


async def test_return_response_data_is_axioss_habit(client: Any, answer: Any) -> None:
    client.interceptors.use(lambda response: response.data, is_response=True)
    assert await client.get(answer(b'{"a": 1}')) == {"a": 1}


@pytest.mark.parametrize("is_pair", [False, True])
async def test_none_keeps_the_response(client: Any, origin: Origin, is_pair: bool) -> None:
    seen: list[Any] = []
    for _ in range(2):
        if is_pair:
            client.interceptors.response.use(seen.append)
        else:
            client.interceptors.use(seen.append, is_response=True)
    response = await client.get(f"{origin.url}/bytes/1")
    assert seen == [response, response]


# Exceptions of user functions


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["request", "response", "is_response", "err", "run_when"])
async def test_exceptions_of_user_functions_pass_through_unwrapped_with_their_own_traceback(
    client: Any, origin: Origin, place: str, kind: str
) -> None:
    function = made(kind, mine)
    if place == "is_response":
        client.interceptors.use(function, is_response=True)
    elif place == "err":
        client.interceptors.response.use(None, function)
    elif place == "run_when":
        client.interceptors.use(lambda config: config, run_when=function)
    else:
        getattr(client.interceptors, place).use(function)
    with pytest.raises(MineError) as caught:
        await client.get(f"{origin.url}/status/404", validateStatus=True if place == "err" else None)
    error = caught.value
    assert (error.args, error.__cause__) == (("mine",), None)
    assert traceback.extract_tb(error.__traceback__)[-1].name == "mine"
    # And the client is as good as before, on the same connection if there was one.
    client.interceptors.clear()
    assert (await client.get(f"{origin.url}/bytes/3")).content == pattern(3)
    assert origin.connections == 1


@pytest.mark.parametrize("place", ["request", "response", "is_response"])
async def test_an_error_keeps_nothing_of_the_call_for_the_garbage_collector(
    client: Any, origin: Origin, place: str
) -> None:
    class Local:
        pass

    held: list[weakref.ref[Local]] = []

    def fail(_given: Any) -> None:
        local = Local()
        held.append(weakref.ref(local))
        raise MineError

    if place == "is_response":
        client.interceptors.use(fail, is_response=True)
    else:
        getattr(client.interceptors, place).use(fail)
    gc.collect()
    gc.disable()
    try:
        try:
            await client.get(f"{origin.url}/bytes/1")
        except MineError:
            pass
        assert held[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("place", ["response", "is_response"])
async def test_the_stream_of_a_call_that_an_interceptor_fails_is_closed(client: Any, place: str) -> None:
    if place == "response":
        client.interceptors.response.use(mine)
    else:
        client.interceptors.use(mine, is_response=True)
    with Peer([expect_head(), send(HEAD + b"0"), expect_end()]) as peer:
        with pytest.raises(MineError):
            await client.get(peer.url, response_type="stream")
        gc.collect()


async def test_the_stream_of_a_call_whose_interceptor_answers_otherwise_is_the_interceptors(client: Any) -> None:
    streams: list[Any] = []

    def keep(response: Response[Any]) -> str:
        streams.append(response.data)
        return "kept"

    client.interceptors.response.use(keep)
    with Peer([expect_head(), send(HEAD + b"0123456789"), drain()]) as peer:
        assert await client.get(peer.url, response_type="stream") == "kept"
        assert b"".join(await collect(streams[0])) == b"0123456789"
        await client.close()


async def test_a_body_that_is_a_stream_is_not_closed_by_a_request_interceptor_that_fails(
    client: Any, origin: Origin
) -> None:
    source = (await client.get(f"{origin.url}/chunked/3000", response_type="stream")).data
    client.interceptors.use(mine)
    with pytest.raises(MineError):
        await client.post(f"{origin.url}/echo", source)
    assert not source.closed
    assert await wait(source.read()) == pattern(3000)


# run_when


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("result", "runs"), [(False, False), (True, True), (None, True), (0, True), ("", True), ("no", True)]
)
async def test_run_when_false_skips(client: Any, origin: Origin, kind: str, result: Any, runs: bool) -> None:
    log: list[str] = []
    first, second = marks(log, "use", "pair")
    client.interceptors.use(first, run_when=made(kind, lambda _config: result))
    client.interceptors.request.use(second, None, made(kind, lambda _config: result))
    await client.get(f"{origin.url}/bytes/1")
    assert log == (["use", "pair"] if runs else [])


async def test_run_when_is_evaluated_on_the_merged_config_before_any_interceptor_runs(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, headers={"X-Default": "d"})
    seen: list[Any] = []

    def change(config: RequestConfig) -> None:
        config.headers["X-Changed"] = "yes"
        config.method = "DELETE"

    def asked(config: RequestConfig) -> bool:
        seen.append((config.method, config.url, config.headers.get("X-Default"), config.headers.get("X-Changed")))
        return True

    client.interceptors.use(change)
    client.interceptors.use(change, run_when=asked)
    client.interceptors.use(change, run_when=asked)
    await client.put("/echo")
    assert seen == [("PUT", "/echo", "d", None)] * 2


async def test_run_when_skips_the_err_of_its_pair_too(client: Any, origin: Origin) -> None:
    seen: list[Any] = []
    client.interceptors.request.use(mine)
    client.interceptors.request.use(None, seen.append, lambda _config: False)
    with pytest.raises(MineError):
        await client.get(f"{origin.url}/bytes/1")
    assert seen == []


def test_run_when_is_for_requests_only(api: Api) -> None:
    interceptors = api.client().interceptors
    with pytest.raises(AtomHTTPOptionError, match="run_when"):
        interceptors.use(mine, is_response=True, run_when=mine)
    with pytest.raises(AtomHTTPOptionError, match="run_when"):
        interceptors.response.use(mine, None, mine)
    assert len(interceptors) == 0


# Calls never see each other's edits


@pytest.mark.parametrize("count", [2, 5])
async def test_concurrent_requests_never_see_each_others_edits(api: Api, origin: Origin, count: int) -> None:
    client = api.client(
        headers={"X-Base": "base"},
        params={"base": [1], "deep": {"k": "base"}},
        meta={"list": [], "own": "base"},
        retryConfig={"max_retries": 1},
    )
    number = iter(range(count))

    def edit(config: RequestConfig) -> None:
        own = str(next(number))
        assert config.headers.get("X-Own") is None
        assert config.meta == {"list": [], "own": "base"}
        config.headers["X-Own"] = own
        config.headers["X-Base"] += own
        config.params["own"] = own
        config.params["deep"]["k"] = own
        config.params["base"].append(own)
        config.meta["own"] = own
        config.meta["list"].append(own)
        config.retryConfig = {"max_retries": int(own)}

    def compare(response: Response[Any]) -> None:
        config = response.config
        own = config.meta["own"]
        assert config.meta["list"] == [own]
        assert (config.headers["X-Own"], config.headers["X-Base"]) == (own, f"base{own}")
        assert config.params == {"base": [1, own], "deep": {"k": own}, "own": own}
        assert config.retryConfig["max_retries"] == int(own)

    client.interceptors.use(edit)
    client.interceptors.use(compare, is_response=True)
    responses = await all_of(api, client, [together(origin, count)] * count)
    assert sorted(each.config.meta["own"] for each in responses) == [str(own) for own in range(count)]
    sent = sorted((each.target, each.get("X-Own"), each.get("X-Base")) for each in origin.requests)
    for own, (target, header, base) in enumerate(sent):
        assert (header, base) == (str(own), f"base{own}")
        assert f"own={own}" in target
    defaults = client.defaults
    assert (defaults.params, defaults.meta) == ({"base": [1], "deep": {"k": "base"}}, {"list": [], "own": "base"})
    assert defaults.headers["X-Base"] == "base"
    assert "X-Own" not in defaults.headers
    assert defaults.retryConfig["max_retries"] == 1


async def test_tasks_inside_the_same_interceptor_never_see_each_others_edits(loop_kind: str, origin: Origin) -> None:
    arrived, all_there = [], asyncio.Event()

    async def edit(config: RequestConfig) -> None:
        own = config.url[-1]
        config.headers["X-Own"] = own
        config.params["own"] = own
        config.meta["own"] = own
        arrived.append(own)
        if len(arrived) == 3:
            all_there.set()
        await all_there.wait()
        assert (config.headers["X-Own"], config.params, config.meta) == (own, {"p": 1, "own": own}, {"own": own})

    async with AtomHTTP(params={"p": 1}) as client:
        client.interceptors.use(edit)
        await AtomHTTP.all([client.get(f"{origin.url}/bytes/{own}") for own in "123"])
    for request in origin.requests:
        own = request.get("X-Own")
        assert request.target == f"/bytes/{own}?p=1&own={own}"


def test_threads_inside_the_same_interceptor_never_see_each_others_edits(origin: Origin) -> None:
    barrier = threading.Barrier(3, timeout=9)
    failures: list[BaseException] = []

    def edit(config: RequestConfig) -> None:
        own = config.url[-1]
        config.headers["X-Own"] = own
        config.params["own"] = own
        config.meta["own"] = own
        barrier.wait()
        assert (config.headers["X-Own"], config.params, config.meta) == (own, {"p": 1, "own": own}, {"own": own})

    def call(own: str) -> None:
        try:
            client.get(f"{origin.url}/bytes/{own}")
        except BaseException as error:  # a thread has no caller
            failures.append(error)

    with SyncAtomHTTP(params={"p": 1}) as client:
        client.interceptors.use(edit)
        threads = [threading.Thread(target=call, args=(own,)) for own in "123"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert sorted(each.target for each in origin.requests) == [f"/bytes/{own}?p=1&own={own}" for own in "123"]


def test_threads_that_add_interceptors_get_ids_of_their_own() -> None:
    barrier = threading.Barrier(8, timeout=9)
    ids: list[int] = []

    def add() -> None:
        barrier.wait()
        ids.extend(client.interceptors.use(mine) for _ in range(50))

    with SyncAtomHTTP() as client:
        threads = [threading.Thread(target=add) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(ids) == list(range(400))
        assert len(client.interceptors) == 400


@pytest.mark.parametrize(
    ("option", "value", "key"),
    [
        ("params", {"a": {"b": 1}}, "a"),
        ("headers", {"A": "1"}, "A"),
        ("meta", {"a": {"b": 1}}, "a"),
        ("retryConfig", {"max_retries": 1}, "max_retries"),
        ("transitional", {"silentJSONParsing": True}, "silentJSONParsing"),
        pytest.param("timeout", {"total": 5}, "total"),
        pytest.param("formSerializer", {"dots": True}, "dots"),
        pytest.param("paramsSerializer", {"dots": True}, "dots"),
    ],
)
async def test_editing_a_mapping_of_the_config_changes_no_default(
    api: Api, origin: Origin, option: str, value: dict[str, Any], key: str
) -> None:
    client = api.client({option: value})
    before = dict(client.defaults[option])

    def edit(config: RequestConfig) -> None:
        try:
            config[option][key] = "2"
        except TypeError:
            return  # cannot be changed in place, which is as good

    client.interceptors.use(edit)
    with_edits = await client.get(f"{origin.url}/bytes/1", validateStatus=None)
    assert with_edits.status == 200
    assert dict(client.defaults[option]) == before
    client.interceptors.clear()
    assert dict((await client.get(f"{origin.url}/bytes/1")).config[option]).get(key) == before[key]


@pytest.mark.parametrize(
    "given",
    [
        "mapping",
        "keywords",
        pytest.param("config"),
    ],
)
async def test_edits_do_not_reach_what_the_caller_gave(client: Any, origin: Origin, given: str) -> None:
    def edit(config: RequestConfig) -> None:
        config.headers["X-Edited"] = "yes"
        config.params["edited"] = "yes"
        config.meta["edited"] = "yes"
        config.timeout = 3

    client.interceptors.use(edit)
    options: dict[str, Any] = {
        "headers": {"X-Given": "g"},
        "params": {"p": 1},
        "meta": {"m": 1},
        "timeout": 9,
    }
    url = f"{origin.url}/bytes/1"
    if given == "config":
        config = RequestConfig(options, url=url)
        await client.request(config)
        await client.request(config)
        kept: Any = config
    else:
        for _ in range(2):
            await (client.get(url, config=options) if given == "mapping" else client.get(url, **options))
        kept = options
    assert dict(kept["headers"]) == {"X-Given": "g"}
    assert (kept["params"], kept["meta"], kept["timeout"]) == ({"p": 1}, {"m": 1}, 9)
    assert origin.requests[0].target == origin.requests[1].target


async def test_edits_inside_params_do_not_reach_what_the_caller_gave(client: Any, origin: Origin) -> None:
    client.interceptors.use(lambda config: config.params["deep"]["list"].append("edited"))
    params: dict[str, Any] = {"deep": {"list": ["given"]}}
    await client.get(f"{origin.url}/bytes/1", params)
    assert params == {"deep": {"list": ["given"]}}


# Context


async def test_context_variables_are_the_callers(client: Any, origin: Origin) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    async def set_later(_given: Any) -> None:
        seen.append(variable.get())
        variable.set("set by an async one")

    def set_now(_given: Any) -> None:
        seen.append(variable.get())
        variable.set("set by a sync one")

    variable.set("the caller's")
    client.interceptors.use(set_later)
    client.interceptors.use(set_now)
    client.interceptors.use(set_later, is_response=True)
    client.interceptors.use(lambda _: seen.append(variable.get()), is_response=True)
    await client.get(
        f"{origin.url}/bytes/1",
        transformResponse=lambda _data: seen.append(variable.get()),
        on_download_progress=lambda _loaded, _total: seen.append(variable.get()),
    )
    assert seen == [
        *("the caller's", "set by an async one"),  # the request interceptors
        *("set by a sync one", "set by a sync one"),  # progress and transformResponse
        *("set by a sync one", "set by an async one"),  # the response interceptors
    ]
    assert variable.get() == "set by an async one"


async def test_a_context_variable_set_in_an_interceptor_does_not_reach_another_task(
    loop_kind: str, origin: Origin
) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: dict[str, str] = {}

    def name(config: RequestConfig) -> None:
        variable.set(config.url[-1])

    async def call(client: AtomHTTP, own: str) -> None:
        await client.get(f"{together(origin, 2, f'/{own}')}")
        seen[own] = variable.get()

    async with AtomHTTP() as client:
        client.interceptors.use(name)
        await AtomHTTP.all([call(client, "1"), call(client, "2")])
    assert seen == {"1": "1", "2": "2"}
    assert variable.get() == "unset"


async def test_interceptors_run_in_the_callers_own_task(loop_kind: str, origin: Origin) -> None:
    tasks: list[Any] = []

    async def note(_given: Any) -> None:
        tasks.append(asyncio.current_task())

    async with AtomHTTP() as client:
        client.interceptors.use(note)
        client.interceptors.use(note, is_response=True)
        await client.get(f"{origin.url}/bytes/1")
    assert tasks == [asyncio.current_task()] * 2


# An interceptor that calls the client again


async def test_an_interceptor_may_call_its_client_again(client: Any, origin: Origin) -> None:
    client.defaults.max_connections = 1
    origin.routes["/token"] = lambda _: Answer(b'"t0ken"')

    async def authorize(config: RequestConfig) -> None:
        token = (await client.get(f"{origin.url}/token", meta={"inner": True})).data
        config.headers["Authorization"] = f"Bearer {token}"

    async def follow(response: Response[Any]) -> Any:
        if response.config.meta.get("inner"):
            return None
        return await client.get(f"{origin.url}/bytes/3", meta={"inner": True})

    client.interceptors.use(authorize, run_when=lambda config: not config.meta.get("inner"))
    client.interceptors.use(follow, is_response=True)
    response = await client.get(f"{origin.url}/bytes/1")
    assert response.content == pattern(3)
    assert [each.path for each in origin.requests] == ["/token", "/bytes/1", "/bytes/3"]
    assert [each.get("Authorization") for each in origin.requests] == [None, "Bearer t0ken", None]


async def test_a_401_is_answered_by_a_new_token_and_the_same_call_again(client: Any, origin: Origin) -> None:
    tokens = iter(["old", "new"])
    state = {"token": next(tokens)}

    def protected(request: Received) -> Answer:
        return Answer(request.body, 200 if request.get("Authorization") == "Bearer new" else 401)

    origin.routes["/protected"] = protected

    def authorize(config: RequestConfig) -> None:
        config.headers["Authorization"] = f"Bearer {state['token']}"

    async def refresh(error: Exception) -> Any:
        if not isinstance(error, AtomHTTPStatusError) or error.status != 401 or error.config.meta.get("again"):
            raise error
        state["token"] = next(tokens)
        error.config.meta["again"] = True
        return await client.request(error.config)

    client.interceptors.use(authorize)
    client.interceptors.response.use(None, refresh)
    client.defaults.validate_status = True
    response = await client.post(f"{origin.url}/protected", {"a": [1, 2]}, params={"p": 1})
    assert (response.status, response.data) == (200, {"a": [1, 2]})
    first, second = origin.requests
    assert (first.method, first.target, first.body) == (second.method, second.target, second.body)
    assert [each.get("Authorization") for each in origin.requests] == ["Bearer old", "Bearer new"]


# The clock, and slow interceptors


async def test_the_clock_of_timeout_starts_after_request_interceptors(virtual_clock: Any, origin: Origin) -> None:
    async def slow(_given: Any) -> None:
        await asyncio.sleep(100)

    async with AtomHTTP(timeout=30) as client:
        client.interceptors.use(slow)
        client.interceptors.use(slow)
        client.interceptors.use(slow, is_response=True)
        assert (await client.get(f"{origin.url}/bytes/3")).content == pattern(3)
        assert 300 <= virtual_clock.time() < 301
        with Peer([expect_head(), hold()]) as peer, pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.get(peer.url)
    assert (caught.value.phase, caught.value.limit) == ("headers", 30)
    assert 30 <= caught.value.elapsed < 31
    # 200 before the request, 30 for it; a response interceptor sees no response.
    assert 530 <= virtual_clock.time() < 531


# In the synchronous client


class Waits:
    """Async functions that wait for something of asyncio's."""

    @staticmethod
    async def sleep(_given: Any) -> None:
        await asyncio.sleep(1)

    @staticmethod
    async def event(_given: Any) -> None:
        await asyncio.Event().wait()

    @staticmethod
    async def thread(_given: Any) -> None:
        await asyncio.to_thread(print)


@pytest.mark.parametrize("is_response", [False, True])
@pytest.mark.parametrize(
    "waits",
    [
        Waits.sleep,
        Waits.thread,
        pytest.param(Waits.event),
    ],
)
def test_an_async_interceptor_that_needs_an_event_loop_is_a_clear_error(
    origin: Origin, waits: Any, is_response: bool
) -> None:
    with SyncAtomHTTP() as client:
        client.interceptors.use(waits, is_response)
        with pytest.raises((RuntimeError, AttributeError)) as caught:
            client.get(f"{origin.url}/bytes/1")
        assert "event loop" in " ".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
        client.interceptors.clear()
        assert client.get(f"{origin.url}/bytes/3").content == pattern(3)


@pytest.mark.parametrize("waits", [Waits.sleep, Waits.event])
async def test_so_it_is_inside_a_running_loop(origin: Origin, loop_kind: str, waits: Any) -> None:
    with SyncAtomHTTP() as client:
        client.interceptors.use(waits)
        with pytest.raises(RuntimeError, match=r"synchronous client.*no event loop; use AtomHTTP"):
            client.get(f"{origin.url}/bytes/1")


async def test_an_async_interceptor_may_await_what_does_not_wait(client: Any, origin: Origin) -> None:
    async def inner() -> str:
        return "awaited"

    async def add(config: RequestConfig) -> None:
        config.headers["X-Added"] = await inner()

    client.interceptors.use(add)
    await client.get(f"{origin.url}/bytes/1")
    assert origin.requests[0].get("X-Added") == "awaited"


# The same call again


@pytest.mark.parametrize("outcome", ["response", "error"])
async def test_a_config_sends_the_same_call_again_after_interceptors_and_transformers(
    api: Api, origin: Origin, outcome: str
) -> None:
    client = api.client(baseURL=f"{origin.url}/v1", params={"d": [1, 2]}, headers={"X-Default": "d"}, auth=("me", "pw"))
    origin.routes["/v1/things"] = lambda _: Answer(b'{"n": 1}', 409 if outcome == "error" else 200)
    seen: list[Any] = []

    def sign(config: RequestConfig) -> None:
        config.headers["X-Signed"] = str(len(config.url))
        config.params["page"] = 3

    def wrap(data: Any, headers: Headers) -> Any:
        seen.append(data)
        headers["X-Wrapped"] = "yes"
        return {"wrapped": data}

    client.interceptors.use(sign)
    client.interceptors.use(lambda _config: {"headers": {"X-Merged": "m"}, "meta": {"n": 1}})
    options: dict[str, Any] = {"transformRequest": [wrap, wrap], "transformResponse": lambda data: [data]}
    if outcome == "error":
        with pytest.raises(AtomHTTPStatusError) as caught:
            await client.post("things", {"a": 1}, validateStatus=True, **options)
        config = caught.value.config
        with pytest.raises(AtomHTTPStatusError) as again:
            await client.request(config)
        assert again.value.response.data == caught.value.response.data == [{"n": 1}]
    else:
        response = await client.post("things", {"a": 1}, **options)
        config = response.config
        assert (await client.request(config)).data == response.data == [{"n": 1}]
    assert (config.url, config.data, config.base_url) == ("things", {"a": 1}, f"{origin.url}/v1")
    assert seen == [{"a": 1}, {"wrapped": {"a": 1}}] * 2
    first, second = origin.requests
    assert (first.method, first.target, first.body) == (second.method, second.target, second.body)
    assert first.headers == second.headers
    assert json.loads(first.body) == {"wrapped": {"wrapped": {"a": 1}}}


async def test_a_config_can_be_sent_again_by_another_client_of_the_same_kind(api: Api, origin: Origin) -> None:
    first = api.client(baseURL=origin.url, headers={"X-Default": "d"}, params={"p": 1})
    first.interceptors.use(lambda config: config.headers.set("X-Intercepted", "i") and None)
    response = await first.put("echo", {"a": 1})
    other = api.client(headers={"X-Other": "o"}, params={"o": 1})
    await other.request(response.config)
    assert origin.requests[0].headers == origin.requests[1].headers
    assert origin.requests[0].target == origin.requests[1].target == "/echo?p=1"


# Streams


async def test_a_response_interceptor_may_read_the_stream(client: Any, origin: Origin) -> None:
    async def read(response: Response[Any]) -> None:
        response.data = await wait(response.data.read())

    client.interceptors.use(read, is_response=True)
    response = await client.get(f"{origin.url}/chunked/3000", response_type="stream")
    assert response.data == pattern(3000)


async def test_a_response_interceptor_leaves_an_unread_stream_to_the_caller(client: Any, origin: Origin) -> None:
    client.interceptors.use(lambda response: response, is_response=True)
    response = await client.get(f"{origin.url}/chunked/3000", response_type="stream")
    assert await wait(response.data.read(10)) == pattern(3000)[:10]
    await close(response.data)


async def test_an_interceptor_manager_tells_what_it_holds(api: Api) -> None:
    interceptors = api.client().interceptors
    assert interceptors
    assert len(interceptors) == len(interceptors.request) == 0
    interceptors.use(mine)
    interceptors.use(mine, is_response=True)
    assert (len(interceptors), len(interceptors.request), len(interceptors.response)) == (2, 1, 1)
    assert repr(interceptors) == "<InterceptorManager 1 request, 1 response>"


# Options that an interceptor takes away


@pytest.mark.parametrize("name", ["params", "cookies", "headers", "data", "meta", "timeout", "base_url", "auth"])
@pytest.mark.parametrize("how", ["None", "del"])
async def test_an_option_that_is_taken_away_is_the_clients_again(api: Api, origin: Origin, name: str, how: str) -> None:
    client = api.client(base_url=origin.url, timeout=7)

    def take_away(config: Any) -> None:
        if how == "del":
            delattr(config, name)
        elif name not in ("timeout", "base_url", "auth"):  # with these None is a value
            setattr(config, name, None)

    client.interceptors.request.use(take_away)
    response = await client.get("/echo", headers={"X-Mine": "1"})
    assert response.status == 200
    assert response.config.timeout == 7
