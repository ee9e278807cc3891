"""`transformRequest`, `transformResponse` (contract: Transformers; part 2: a2 "transforms")."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPDecodeError,
    AtomHTTPLimitError,
    AtomHTTPOptionError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    FormData,
    Headers,
    Response,
    SyncAtomHTTP,
)
from contract.flavours import Api, collect, wait
from support.origin import Answer, Origin, Received, pattern
from support.peer import Peer, expect_end, expect_head, hold, send

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
KINDS = ["def", "async def"]


class MineError(Exception):
    """An error that is not atomhttp's."""


def made(kind: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`function`, or an `async def` of it."""
    if kind == "def":
        return function

    async def call(data: Any) -> Any:
        return function(data)

    return call


def mine(_data: Any) -> None:
    raise MineError("mine")


class Shapes:
    """Functions of all sorts; each gives what it was called with."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def _note(self, *arguments: Any) -> Any:
        self.seen.append(arguments)
        return arguments[0]

    def method(self, data: Any) -> Any:
        return self._note(data)

    def method_of_two(self, data: Any, headers: Any) -> Any:
        return self._note(data, headers)

    def __call__(self, data: Any, headers: Any) -> Any:
        return self._note(data, headers)

    def functions(self) -> dict[str, tuple[Any, int]]:
        """Each with the number of arguments that it should be called with, as far as there are so many."""
        note = self._note

        def wrapped(data: Any, headers: Any) -> Any:
            return note(data, headers)

        @functools.wraps(wrapped)
        def wrapper(*arguments: Any) -> Any:
            return wrapped(*arguments)

        async def two(data: Any, headers: Any) -> Any:
            return note(data, headers)

        def three_with_partial(extra: Any, data: Any, headers: Any) -> Any:
            assert extra == "extra"
            return note(data, headers)

        return {
            "one": (lambda data: note(data), 1),  # noqa: PLW0108  # its signature is what is tested
            "two": (lambda data, headers: note(data, headers), 2),  # noqa: PLW0108  # its signature is what is tested
            "async two": (two, 2),
            "one and a default": (lambda data, headers=None: note(data), 1),
            "defaults only": (lambda data=None, headers=None: note(data), 1),
            "two and a default": (lambda data, headers, status=None: note(data, headers), 2),
            "any": (lambda *arguments: note(*arguments), 1),  # noqa: PLW0108  # its signature is what is tested
            "one and any": (lambda data, *rest: note(data, *rest), 1),  # noqa: PLW0108  # its signature is what is tested
            "one and keywords": (lambda data, *, headers=None, **_more: note(data), 1),
            "method": (self.method, 1),
            "method of two": (self.method_of_two, 2),
            "callable object": (self, 2),
            "partial": (functools.partial(three_with_partial, "extra"), 2),
            "decorated": (wrapper, 2),
        }


SHAPES = list(Shapes().functions())


# One function or a list; sync or async


@pytest.mark.parametrize("kind", KINDS)
async def test_one_function(client: Any, origin: Origin, kind: str) -> None:
    response = await client.post(
        f"{origin.url}/echo",
        {"a": 1},
        transformRequest=made(kind, lambda data: {**data, "b": 2}),
        transformResponse=made(kind, lambda data: json.loads(data["body"])),
    )
    assert response.data == {"a": 1, "b": 2}


@pytest.mark.parametrize("container", [list, tuple])
async def test_a_list_runs_in_its_order(client: Any, origin: Origin, container: Any) -> None:
    def add(letter: str, kind: str) -> Callable[[Any], Any]:
        return made(kind, lambda data: data + letter)

    response = await client.post(
        f"{origin.url}/echo",
        "x",
        transformRequest=container([add("a", "def"), add("b", "async def"), add("c", "def")]),
        transformResponse=container([lambda data: data["body"], add("d", "async def"), add("e", "def")]),
    )
    assert response.data == "xabcde"
    assert origin.requests[0].body == b"xabc"


async def test_an_empty_list_changes_nothing(client: Any, origin: Origin) -> None:
    response = await client.post(f"{origin.url}/echo", {"a": 1}, transformRequest=[], transformResponse=[])
    assert response.data["body"] == '{"a":1}'


@pytest.mark.parametrize("option", ["transformRequest", "transform_request", "transformResponse", "transform_response"])
@pytest.mark.parametrize("value", [5, "name", [5], [mine, "name"], {"a": mine}])
async def test_what_is_no_function_is_refused_by_name(api: Api, client: Any, option: str, value: Any) -> None:
    for refused in (lambda: api.client({option: value}), lambda: setattr(client.defaults, option, value)):
        with pytest.raises(AtomHTTPOptionError, match=option) as caught:
            refused()
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    with pytest.raises(AtomHTTPOptionError, match=option):
        await client.get("http://never.sent.invalid/", **{option: value})


async def test_a_calls_list_replaces_the_clients_and_none_switches_it_off(api: Api, origin: Origin) -> None:
    client = api.client(transformRequest=[lambda data: data + "1"] * 2, transformResponse=lambda data: data["body"])
    url = f"{origin.url}/echo"
    assert (await client.post(url, "x")).data == "x11"
    assert (await client.post(url, "x", transformRequest=lambda data: data + "2")).data == "x2"
    assert (await client.post(url, "x", transformRequest=None)).data == "x"
    assert (await client.post(url, "x", transformResponse=None)).data["body"] == "x11"
    client.defaults.transformRequest = lambda data: data + "3"
    assert (await client.post(url, "x")).data == "x3"


# Called with (data), (data, headers) or (data, headers, status)


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_request_function_gets_as_much_as_it_requires(client: Any, origin: Origin, shape: str) -> None:
    shapes = Shapes()
    function, count = shapes.functions()[shape]
    given = {"a": 1}
    response = await client.post(f"{origin.url}/echo", given, headers={"X-Own": "o"}, transformRequest=function)
    [arguments] = shapes.seen
    assert len(arguments) == count
    assert arguments[0] is given
    if count == 2:
        assert isinstance(arguments[1], Headers)
        assert arguments[1]["X-Own"] == "o"
    assert json.loads(response.data["body"]) == given


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_response_function_gets_as_much_as_it_requires(client: Any, answer: Any, shape: str) -> None:
    shapes = Shapes()
    function, count = shapes.functions()[shape]
    url = answer(b'{"a": 1}', headers=[("X-Own", "o")])
    response = await client.get(url, transformResponse=function)
    [arguments] = shapes.seen
    assert len(arguments) == count
    assert arguments[0] == response.data == {"a": 1}
    if count == 2:
        assert arguments[1] is response.headers
        assert arguments[1]["x-own"] == "o"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_response_function_of_three_gets_the_status(client: Any, origin: Origin, kind: str) -> None:
    def describe(data: Any, headers: Headers, status: int) -> Any:
        return [data, headers["content-length"], status]

    async def describe_later(data: Any, headers: Headers, status: int) -> Any:
        return describe(data, headers, status)

    function: Any = describe if kind == "def" else describe_later
    assert (await client.get(f"{origin.url}/nothing", transformResponse=function)).data == ["no such path", "12", 404]


async def test_a_function_that_wants_more_than_there_is_is_a_clear_error(client: Any, origin: Origin) -> None:
    def greedy(data: Any, headers: Any, status: Any, more: Any) -> Any:
        return data

    def of_three(data: Any, headers: Any, status: Any) -> Any:
        return data

    with pytest.raises(AtomHTTPOptionError, match=r"transformRequest: .*of_three wants 3 arguments.* 2") as caught:
        await client.post(f"{origin.url}/echo", "x", transformRequest=of_three)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert caught.value.config.url == f"{origin.url}/echo"
    assert origin.requests == []
    with pytest.raises(AtomHTTPOptionError, match=r"transformResponse: .*greedy wants 4 arguments.* 3"):
        await client.get(f"{origin.url}/bytes/1", transformResponse=greedy)


async def test_built_ins_will_do(client: Any, origin: Origin) -> None:
    response = await client.post(
        f"{origin.url}/echo", {"a": 1}, transformRequest=[json.dumps, str.upper], transformResponse=[dict, len]
    )
    assert origin.requests[0].body == b'{"A": 1}'
    assert response.data == 6


# Added around the built-in step


@pytest.mark.parametrize(
    ("given", "returned", "body", "content_type"),
    [
        ({"a": 1}, {"b": 2}, b'{"b":2}', "application/json"),
        ({"a": 1}, "text", b"text", "text/plain; charset=utf-8"),
        ("text", {"b": 2}, b'{"b":2}', "application/json"),
        ("text", b"bytes", b"bytes", "application/octet-stream"),
        ({"a": 1}, [1, 2], b"[1,2]", "application/json"),
        (None, {"b": 2}, b'{"b":2}', "application/json"),
        (b"x", 5, b"5", "application/json"),
    ],
)
async def test_yours_then_encoding(
    client: Any, origin: Origin, given: Any, returned: Any, body: bytes, content_type: str
) -> None:
    seen: list[Any] = []

    def change(data: Any) -> Any:
        seen.append(data)
        return returned

    await client.post(f"{origin.url}/echo", given, transformRequest=change)
    assert seen == [given]
    assert (origin.requests[0].body, origin.requests[0].get("Content-Type")) == (body, content_type)


async def test_what_it_returns_may_be_a_form_a_file_or_an_iterator(
    client: Any, api: Api, origin: Origin, tmp_path: Path
) -> None:
    def form(data: Any) -> FormData:
        made_form = FormData()
        made_form.append("a", data["a"])
        return made_form

    path = tmp_path / "file.txt"
    path.write_bytes(b"from a file")
    await client.post(f"{origin.url}/echo", {"a": "1"}, transformRequest=form)
    await client.post(f"{origin.url}/echo", {"a": "1"}, transformRequest=lambda _data: path)
    await client.post(f"{origin.url}/echo", {"a": "1"}, transformRequest=lambda _data: api.iterator([b"ab", b"cd"]))
    multipart, file, chunked = origin.requests
    assert (multipart.get("Content-Type") or "").startswith("multipart/form-data; boundary=")
    assert b'name="a"\r\n\r\n1\r\n' in multipart.body
    assert (file.body, file.get("Content-Type")) == (b"from a file", "text/plain")
    assert (chunked.body, chunked.get("Transfer-Encoding")) == (b"abcd", "chunked")


@pytest.mark.parametrize(
    ("option", "given", "returned", "body", "content_type"),
    [
        ("json", "text", ["text"], b'["text"]', "application/json"),
        ("json", {"a": 1}, "quoted", b'"quoted"', "application/json"),
        ("form", {"a": 1}, {"b": 2}, b"b=2", "application/x-www-form-urlencoded"),
    ],
)
async def test_json_and_form_are_transformed_and_stay_what_they_are(
    client: Any, origin: Origin, option: str, given: Any, returned: Any, body: bytes, content_type: str
) -> None:
    seen: list[Any] = []

    def change(data: Any) -> Any:
        seen.append(data)
        return returned

    response = await client.post(f"{origin.url}/echo", transformRequest=change, **{option: given})
    assert seen == [given]
    assert (origin.requests[0].body, origin.requests[0].get("Content-Type")) == (body, content_type)
    assert response.config[option] is given


async def test_more_than_one_of_data_json_and_form_stays_an_error(client: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="data and json"):
        await client.post("http://never.sent.invalid/", "x", json="y", transformRequest=mine)


@pytest.mark.parametrize(
    ("response_type", "expected"),
    [("json", {"a": 1}), ("text", '{"a": 1}'), ("blob", b'{"a": 1}'), ("arraybuffer", b'{"a": 1}'), (dict, {"a": 1})],
)
@pytest.mark.parametrize("kind", KINDS)
async def test_decoding_then_yours(client: Any, answer: Any, response_type: Any, expected: Any, kind: str) -> None:
    seen: list[Any] = []

    def change(data: Any) -> Any:
        seen.append(data)
        return "changed"

    response = await client.get(answer(b'{"a": 1}'), response_type=response_type, transformResponse=made(kind, change))
    assert seen == [expected]
    assert (response.data, response.content, response.text) == ("changed", b'{"a": 1}', '{"a": 1}')


async def test_decoding_that_fails_comes_before_yours(client: Any, answer: Any) -> None:
    with pytest.raises(AtomHTTPDecodeError):
        await client.get(answer(b"no json"), transitional={"silentJSONParsing": False}, transformResponse=mine)


async def test_content_codings_are_taken_off_before_yours(client: Any, answer: Any) -> None:
    import gzip

    url = answer(gzip.compress(b"[1, 2]"), headers=[("Content-Encoding", "gzip")])
    assert (await client.get(url, transformResponse=sum)).data == 3


async def test_a_request_function_runs_for_every_method_and_gets_none_without_data(client: Any, origin: Origin) -> None:
    seen: list[Any] = []
    for method in ("GET", "HEAD", "OPTIONS", "DELETE", "POST", "PUT", "PATCH", "QUERY"):
        await client.request(method, f"{origin.url}/echo", transformRequest=seen.append)
    assert seen == [None] * 8
    assert all(each.body == b"" and each.get("Content-Type") is None for each in origin.requests)


async def test_max_body_length_counts_what_is_sent(client: Any, origin: Origin) -> None:
    url = f"{origin.url}/echo"
    await client.post(url, "x" * 100, transformRequest=lambda data: data[:10], maxBodyLength=10)
    with pytest.raises(AtomHTTPLimitError):
        await client.post(url, "x", transformRequest=lambda data: data * 11, maxBodyLength=10)
    assert [len(each.body) for each in origin.requests] == [10]


# What it returns is used, None included


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_function_that_returns_none_sends_no_body(client: Any, origin: Origin, kind: str) -> None:
    await client.post(f"{origin.url}/echo", {"a": 1}, transformRequest=made(kind, lambda _data: None))
    received = origin.requests[0]
    assert (received.body, received.get("Content-Type"), received.get("Content-Length")) == (b"", None, "0")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [None, 0, "", [], False])
async def test_what_a_response_function_returns_is_used(client: Any, answer: Any, value: Any, kind: str) -> None:
    response = await client.get(answer(b'{"a": 1}'), transformResponse=made(kind, lambda _data: value))
    assert response.data is value


async def test_none_is_what_the_next_one_gets(client: Any, origin: Origin) -> None:
    seen: list[Any] = []
    functions = [lambda _data: None, lambda data: seen.append(data) or "x"]
    response = await client.post(
        f"{origin.url}/echo", {"a": 1}, transformRequest=functions, transformResponse=functions
    )
    assert seen == [None, None]
    assert (origin.requests[0].body, response.data) == (b"x", "x")


# headers is live


async def test_the_headers_of_a_request_function_are_those_that_are_sent(client: Any, origin: Origin) -> None:
    def change(data: Any, headers: Headers) -> Any:
        headers["X-Length"] = len(data)
        headers["X-Replaced"] = "new"
        del headers["X-Removed"]
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return data

    response = await client.post(
        f"{origin.url}/echo",
        {"a": 1, "b": 2},
        headers={"X-Replaced": "old", "X-Removed": "r"},
        transformRequest=change,
    )
    received = origin.requests[0]
    assert [received.get(name) for name in ("X-Length", "X-Replaced", "X-Removed")] == ["2", "new", None]
    # And it decides how the data is encoded, as any Content-Type of the caller's.
    assert (received.get("Content-Type"), received.body) == ("application/x-www-form-urlencoded", b"a=1&b=2")
    assert response.config.headers["X-Length"] == "2"


async def test_the_headers_of_a_response_function_are_the_responses(client: Any, answer: Any) -> None:
    def change(data: Any, headers: Headers) -> Any:
        headers["X-Seen"] = headers["X-Own"]
        return data

    response = await client.get(answer(b"x", headers=[("X-Own", "o")]), transformResponse=change)
    assert response.headers["X-Seen"] == "o"


async def test_header_edits_stay_with_their_call(api: Api, origin: Origin) -> None:
    def change(data: Any, headers: Headers) -> Any:
        assert "X-Own" not in headers
        headers["X-Own"] = data
        return data

    client = api.client(transformRequest=change, headers={"X-Base": "b"})
    for own in ("1", "2"):
        await client.post(f"{origin.url}/echo", own)
    await client.post(f"{origin.url}/echo", "3", headers={"X-Call": "c"})
    assert [each.get("X-Own") for each in origin.requests] == ["1", "2", "3"]
    assert "X-Own" not in client.defaults.headers


# Streams, statuses, once a call


async def test_for_stream_it_gets_the_stream(client: Any, origin: Origin) -> None:
    seen: list[Any] = []

    async def read(stream: Any, headers: Headers, status: int) -> Any:
        seen.append((type(stream).__name__, status))
        return await wait(stream.read(4)), stream

    response = await client.get(f"{origin.url}/chunked/3000", response_type="stream", transformResponse=read)
    start, stream = response.data
    assert start == pattern(4)
    assert await wait(stream.read()) == pattern(3000)[4:]
    assert [status for _, status in seen] == [200]
    assert "Stream" in seen[0][0]


async def test_a_stream_may_be_wrapped(client: Any, api: Api, origin: Origin) -> None:
    async def upper(stream: Any) -> Any:
        async for piece in stream:
            yield piece.hex()

    def upper_now(stream: Any) -> Any:
        return (piece.hex() for piece in stream)

    response = await client.get(
        f"{origin.url}/chunked/3000", response_type="stream", transformResponse=upper_now if api.is_sync else upper
    )
    assert "".join(await collect(response.data)) == pattern(3000).hex()


@pytest.mark.parametrize("status", [200, 204, 304, 404, 500])
async def test_it_runs_for_any_status(client: Any, origin: Origin, status: int) -> None:
    response = await client.get(
        f"{origin.url}/status/{status}", transformResponse=lambda data, _headers, code: [data, code]
    )
    assert (response.status, response.data) == (status, [None, status])


@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_it_runs_on_a_refused_response_too(client: Any, answer: Any, response_type: str) -> None:
    url = answer(b'{"why": "no"}', "application/json", 403)
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get(
            url, validateStatus=True, response_type=response_type, transformResponse=lambda data: data["why"]
        )
    assert caught.value.response.data == "no"


async def test_it_runs_for_head(client: Any, origin: Origin) -> None:
    response = await client.head(f"{origin.url}/bytes/10", transformResponse=lambda data: [data])
    assert response.data == [None]


async def test_they_run_once_a_call_not_per_hop_or_retry(client: Any, origin: Origin) -> None:
    statuses = iter([503, 307])
    origin.routes["/flaky"] = lambda _: Answer(b'"no"', next(statuses), [("Location", "/echo")])
    log: list[str] = []

    def wrap(data: Any) -> Any:
        log.append("request")
        return {"wrapped": data}

    def unwrap(data: Any) -> Any:
        log.append("response")
        return json.loads(data["body"])

    response = await client.put(
        f"{origin.url}/flaky",
        "x",
        transformRequest=wrap,
        transformResponse=unwrap,
        retryConfig={"max_retries": 1, "backoff_factor": 0},
    )
    assert response.data == {"wrapped": "x"}
    assert [each.body for each in origin.requests] == [b'{"wrapped":"x"}'] * 3
    assert log == ["request", "response"]


async def test_response_type_stays_what_the_builtin_step_goes_by(client: Any, answer: Any) -> None:
    response = await client.get(answer(b"[1]"), response_type="text", transformResponse=lambda data: data + "!")
    assert response.data == "[1]!"


# Errors


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("option", ["transformRequest", "transformResponse"])
async def test_what_they_raise_passes_through_unwrapped_with_its_own_traceback(
    client: Any, origin: Origin, option: str, kind: str
) -> None:
    with pytest.raises(MineError) as caught:
        await client.post(f"{origin.url}/bytes/1", "x", **{option: made(kind, mine)})
    assert (caught.value.args, caught.value.__cause__) == (("mine",), None)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "mine"
    assert len(origin.requests) == (0 if option == "transformRequest" else 1)
    # The connection is as good as before.
    assert (await client.get(f"{origin.url}/bytes/3")).content == pattern(3)
    assert origin.connections == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_the_stream_of_a_call_that_a_response_function_fails_is_closed(client: Any, kind: str) -> None:
    with Peer([expect_head(), send(HEAD + b"0"), expect_end()]) as peer:
        with pytest.raises(MineError):
            await client.get(peer.url, response_type="stream", transformResponse=made(kind, mine))
        gc.collect()


async def test_they_are_never_retried(client: Any, origin: Origin) -> None:
    calls: list[Any] = []

    def fail(data: Any) -> None:
        calls.append(data)
        raise MineError

    for option in ("transformRequest", "transformResponse"):
        calls.clear()
        with pytest.raises(MineError):
            await client.get(f"{origin.url}/bytes/1", **{option: fail}, retryConfig={"backoff_factor": 0})
        assert len(calls) == 1


async def test_a_task_cancelled_inside_one_leaves_nothing_behind(loop_kind: str, origin: Origin) -> None:
    entered = asyncio.Event()

    async def wait_for_ever(_data: Any) -> None:
        entered.set()
        await asyncio.Event().wait()

    async with AtomHTTP() as client:
        for options in (
            {"transformRequest": wait_for_ever},
            {"transformResponse": wait_for_ever},
            {"transformResponse": wait_for_ever, "response_type": "stream"},
        ):
            entered.clear()
            call = asyncio.create_task(client.get(f"{origin.url}/chunked/300000", **options))
            await entered.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert (await client.get(f"{origin.url}/bytes/3")).content == pattern(3)


# The clock


async def test_the_clock_of_timeout_starts_after_transform_request(virtual_clock: Any, origin: Origin) -> None:
    async def slow(data: Any) -> Any:
        await asyncio.sleep(100)
        return data

    async with AtomHTTP(timeout=30, transformRequest=[slow, slow]) as client:
        assert (await client.post(f"{origin.url}/bytes/3", "x")).content == pattern(3)
        assert 200 <= virtual_clock.time() < 201
        with Peer([expect_head(), hold()]) as peer, pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.post(peer.url, "x")
    assert (caught.value.phase, caught.value.limit) == ("headers", 30)
    assert 30 <= caught.value.elapsed < 31
    assert 430 <= virtual_clock.time() < 431


async def test_a_deadline_that_passes_inside_transform_response_is_a_timeout_error(
    virtual_clock: Any, origin: Origin
) -> None:
    async def slow(data: Any) -> Any:
        await asyncio.sleep(100)
        return data

    async with AtomHTTP(timeout=30) as client:
        try:
            await client.get(f"{origin.url}/bytes/3", transformResponse=slow)
        except AtomHTTPTimeoutError as error:
            assert (error.limit, error.config.url) == (30, f"{origin.url}/bytes/3")  # noqa: PT017  # see the mark
        else:
            pytest.fail("no error")
        assert 30 <= virtual_clock.time() < 31


# Context


async def test_context_variables_are_the_callers(client: Any, origin: Origin) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    async def note(data: Any) -> Any:
        seen.append(variable.get())
        variable.set(f"{variable.get()}+")
        return data

    variable.set("caller")
    await client.post(f"{origin.url}/echo", "x", transformRequest=[note, note], transformResponse=note)
    assert seen == ["caller", "caller+", "caller++"]
    assert variable.get() == "caller+++"


# The config keeps what the caller gave


@pytest.mark.parametrize("outcome", ["response", "error"])
async def test_what_the_caller_gave_is_transformed_once_at_each_send(client: Any, origin: Origin, outcome: str) -> None:
    status = 409 if outcome == "error" else 200
    origin.routes["/things"] = lambda request: Answer(request.body, status)
    given = {"a": [1]}

    def wrap(data: Any, headers: Headers) -> Any:
        headers["X-Size"] = len(data)
        return {"wrapped": data}

    async def call(*arguments: Any, **options: Any) -> Any:
        try:
            return await client.request(*arguments, **options)
        except AtomHTTPStatusError as error:
            assert outcome == "error"
            return error

    first = await call("POST", f"{origin.url}/things", data=given, transformRequest=[wrap, wrap], validateStatus=True)
    second = await call(first.config)
    await call(second.config)
    assert [each.body for each in origin.requests] == [b'{"wrapped":{"wrapped":{"a":[1]}}}'] * 3
    assert origin.requests[0].headers == origin.requests[1].headers == origin.requests[2].headers
    assert first.config.data is second.config.data is given


async def test_what_was_sent_is_in_the_request(client: Any, origin: Origin) -> None:
    response = await client.post(f"{origin.url}/echo", "given", transformRequest=lambda _data: "sent")
    assert (response.config.data, response.request.body) == ("given", b"sent")


# In the synchronous client


@pytest.mark.parametrize("option", ["transformRequest", "transformResponse"])
def test_an_async_one_that_needs_an_event_loop_is_a_clear_error(origin: Origin, option: str) -> None:
    async def sleep(data: Any) -> Any:
        await asyncio.sleep(1)
        return data

    with SyncAtomHTTP() as client:
        with pytest.raises(RuntimeError, match="event loop"):
            client.post(f"{origin.url}/bytes/1", "x", **{option: sleep})
        assert client.get(f"{origin.url}/bytes/3").content == pattern(3)


@pytest.mark.parametrize("option", ["transformRequest", "transformResponse"])
async def test_so_it_is_inside_a_running_loop(origin: Origin, loop_kind: str, option: str) -> None:
    async def sleep(data: Any) -> Any:
        await asyncio.sleep(1)
        return data

    with SyncAtomHTTP() as client, pytest.raises(RuntimeError, match="synchronous client cannot wait for"):
        client.post(f"{origin.url}/bytes/1", "x", **{option: sleep})


# Others that take part


async def test_one_that_calls_the_client_again(client: Any, origin: Origin) -> None:
    origin.routes["/key"] = lambda _: Answer(b'"k3y"')

    async def sign(data: Any, headers: Headers) -> Any:
        headers["X-Key"] = (await client.get(f"{origin.url}/key")).data
        return data

    async def enrich(data: Any) -> Any:
        return [data, (await client.get(f"{origin.url}/key")).data]

    response = await client.post(f"{origin.url}/delay/0", "x", transformRequest=sign, transformResponse=enrich)
    assert response.data == ["late", "k3y"]
    assert [(each.path, each.get("X-Key")) for each in origin.requests][1] == ("/delay/0", "k3y")


async def test_a_response_that_an_interceptor_gave_is_not_transformed(client: Any) -> None:
    client.interceptors.use(lambda _config: Response("cached"))
    response = await client.get("http://never.sent.invalid/", transformRequest=mine, transformResponse=mine)
    assert response.data == "cached"


async def test_tasks_never_see_each_others_data(loop_kind: str, origin: Origin) -> None:
    arrived, all_there = [], asyncio.Event()

    async def stamp(data: Any, headers: Headers) -> Any:
        headers["X-Own"] = data
        arrived.append(data)
        if len(arrived) == 3:
            all_there.set()
        await all_there.wait()
        assert headers["X-Own"] == data
        return f"{data}{data}"

    async with AtomHTTP(transformRequest=stamp, headers={"X-Base": "b"}) as client:
        await AtomHTTP.all([client.post(f"{origin.url}/echo", own) for own in "123"])

    def sent(request: Received) -> tuple[str | None, bytes]:
        return request.get("X-Own"), request.body

    assert sorted(map(sent, origin.requests)) == [("1", b"11"), ("2", b"22"), ("3", b"33")]
