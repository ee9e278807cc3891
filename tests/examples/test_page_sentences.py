"""Every sentence of the page and every row of its tables, each with a test that is named after it.

A test says which of them it holds to the page by `@page(…)`, word for word. The last tests see to it that none of them
was forgotten: what no test can decide stands in `OPINIONS`.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import inspect
import json
import threading
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPRedirectError,
    AtomHTTPTimeoutError,
    AtomHTTPTLSError,
    InsecureRequestWarning,
    SyncAtomHTTP,
)
from atomhttp.auth import BasicAuth, BearerAuth
from examples.page import PAGE, sections
from support.httpbin import Httpbin, png
from support.origin import Answer, Origin, Received, pattern
from support.peer import Peer, drain, expect_head, hold, reset, send, wait
from support.seed_origin import SeedOrigin, answer, parts
from support.server import PATIENCE

PARTS = sections()
CLAIMS = [claim for part in PARTS.values() for claim in (*part.sentences, *part.rows)]

# Of the page's sentences, those that say what something is good for and no more.
OPINIONS = {
    "This is essential for large file transfers, providing user feedback and enabling features like progress bars.",
    "This is essential for working with images, PDFs, audio files, or any other binary data format.",
}

HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"
WHOLE = HALF + b"56789"

Test = TypeVar("Test", bound=Callable[..., object])
held: set[str] = set()


def page(*claims: str) -> Callable[[Test], Test]:
    """The test is about these sentences or rows of the page; of a row, its first cells are enough."""
    for claim in claims:
        found = [each for each in CLAIMS if each == claim or (claim.startswith("| ") and each.startswith(claim))]
        assert len(found) == 1, f"the page does not say: {claim}"
        held.update(found)
    return lambda test: test


# Interceptors


@page(
    "Interceptors are functions that can modify requests before they are sent or modify responses before they are "
    "returned to the caller."
)
async def test_interceptors_can_modify_requests_before_they_are_sent_and_responses_before_they_are_returned(
    origin: Origin,
) -> None:
    def change_request(config: Any) -> Any:
        config.url = f"{origin.url}/echo"
        config.method = "PUT"
        config.headers["X-Added"] = "1"
        config.data = {"changed": True}
        return config

    def change_response(response: Any) -> Any:
        response.status = 299
        response.data = {"was": response.data["method"]}
        return response

    async with AtomHTTP() as client:
        client.interceptors.use(change_request)
        client.interceptors.use(change_response, is_response=True)
        response = await client.post(f"{origin.url}/status/500", data={"changed": False})
    [request] = origin.requests
    assert (request.method, request.path, request.get("X-Added")) == ("PUT", "/echo", "1")
    assert json.loads(request.body) == {"changed": True}
    assert (response.status, response.data) == (299, {"was": "PUT"})


@page(
    "This is useful for adding authentication headers, logging, retry logic, error handling, or transforming data "
    "globally."
)
async def test_useful_for_authentication_logging_retry_error_handling_and_transforming(origin: Origin) -> None:
    log: list[str] = []
    replies = iter([answer({"error": "busy"}, 503), answer({"id": 1}), answer({"error": "gone"}, 410)])
    origin.routes["/flaky"] = lambda _: next(replies)

    async with AtomHTTP() as client:

        def authenticate(config: Any) -> Any:
            config.headers["Authorization"] = "Bearer t"
            return config

        def write_log(config: Any) -> None:
            log.append(f"{config.method} {config.url}")

        async def retry(response: Any) -> Any:
            return await client.request(response.config) if response.status == 503 else response

        def handle_errors(response: Any) -> Any:
            if response.status == 410:
                raise LookupError(response.data["error"])
            return response

        def transform(response: Any) -> Any:
            response.data = {**response.data, "transformed": True}
            return response

        client.interceptors.use(authenticate)
        client.interceptors.use(write_log)
        for interceptor in (retry, handle_errors, transform):
            client.interceptors.use(interceptor, is_response=True)

        response = await client.get(f"{origin.url}/flaky")
        assert (response.status, response.data) == (200, {"id": 1, "transformed": True})
        with pytest.raises(LookupError, match="gone"):
            await client.get(f"{origin.url}/flaky")
    assert log == [f"GET {origin.url}/flaky"] * 3
    assert [request.get("Authorization") for request in origin.requests] == ["Bearer t"] * 3


@page("Request interceptors run in the order they are added.")
async def test_request_interceptors_run_in_the_order_they_are_added(origin: Origin) -> None:
    order: list[int] = []
    async with AtomHTTP() as client:
        for number in range(5):
            client.interceptors.use(lambda config, number=number: order.append(number) or config)
        await client.get(origin.url)
    assert order == [0, 1, 2, 3, 4]


@page("Response interceptors run in the order they are added.")
async def test_response_interceptors_run_in_the_order_they_are_added(origin: Origin) -> None:
    order: list[int] = []
    async with AtomHTTP() as client:
        for number in range(5):
            client.interceptors.use(lambda response, number=number: order.append(number) or response, is_response=True)
        await client.get(origin.url)
    assert order == [0, 1, 2, 3, 4]


@page(
    "You can remove interceptors using the index returned by the use() method.",
    "int — Index of the added interceptor (can be used with eject())",
)
async def test_you_can_remove_interceptors_using_the_index_returned_by_the_use_method(origin: Origin) -> None:
    calls: list[str] = []
    async with AtomHTTP() as client:
        indices = [
            client.interceptors.use(lambda config: calls.append("request 1") or config),
            client.interceptors.use(lambda response: calls.append("response 1") or response, is_response=True),
            client.interceptors.use(lambda config: calls.append("request 2") or config),
            client.interceptors.use(lambda response: calls.append("response 2") or response, True),
        ]
        assert [type(index) for index in indices] == [int] * 4
        assert len(set(indices)) == 4
        client.interceptors.eject(indices[0])
        client.interceptors.eject(indices[3])
        await client.get(origin.url)
    assert calls == ["request 2", "response 1"]


@page("| interceptor | Callable | Required |")
@pytest.mark.parametrize("is_async", [True, False])
async def test_interceptor_async_or_sync_function_that_receives_and_returns_config_or_response(
    origin: Origin, is_async: bool
) -> None:
    received: list[Any] = []

    def keep(value: Any) -> Any:
        received.append(value)
        return value

    async def keep_async(value: Any) -> Any:
        await asyncio.sleep(0)
        return keep(value)

    async with AtomHTTP() as client:
        with pytest.raises(TypeError):
            client.interceptors.use()
        client.interceptors.use(keep_async if is_async else keep)
        client.interceptors.use(keep_async if is_async else keep, is_response=True)
        response = await client.get(origin.url)
    assert [type(value).__name__ for value in received] == ["RequestConfig", "Response"]
    assert received[1] is response


@page("| is_response | bool | False |")
async def test_is_response_false_adds_to_request_interceptors_and_true_to_response_interceptors(origin: Origin) -> None:
    received: list[str] = []

    def note(value: Any) -> Any:
        received.append(type(value).__name__)
        return value

    async with AtomHTTP() as client:
        for arguments in ({}, {"is_response": False}, {"is_response": True}):
            index = client.interceptors.use(note, **arguments)
            await client.get(origin.url)
            client.interceptors.eject(index)
        assert inspect.signature(client.interceptors.use).parameters["is_response"].default is False
    assert received == ["RequestConfig", "RequestConfig", "Response"]


# Progress Tracking


@page("Monitor upload and download progress with real-time callbacks.")
async def test_monitor_download_progress_with_real_time_callbacks() -> None:
    go_on = threading.Event()
    calls: list[tuple[int, int]] = []

    def on_download(loaded: int, total: int) -> None:
        calls.append((loaded, total))
        go_on.set()  # the second half is sent only now

    with Peer([expect_head(), send(HALF), wait(go_on), send(b"56789"), hold()]) as peer:
        async with AtomHTTP() as client:
            response = await client.get(peer.url, on_download_progress=on_download, response_type="blob")
    assert response.data == b"0123456789"
    assert calls == [(5, 10), (10, 10)]


async def test_monitor_upload_progress_with_real_time_callbacks(origin: Origin) -> None:
    go_on = asyncio.Event()
    calls: list[tuple[int, int]] = []

    def on_upload(loaded: int, total: int) -> None:
        calls.append((loaded, total))
        go_on.set()  # the second half exists only now

    async def body() -> AsyncIterator[bytes]:
        yield b"01234"
        async with asyncio.timeout(PATIENCE):
            await go_on.wait()
        yield b"56789"

    async with AtomHTTP() as client:
        await client.post(origin.url, body(), on_upload_progress=on_upload)
    assert origin.requests[0].body == b"0123456789"
    assert calls == [(5, 0), (10, 0)]


@page(
    "The callback receives two parameters: loaded (bytes transferred so far) and total (total bytes expected, may be "
    "0 if unknown).",
    "| on_upload_progress | Callable | None |",
    "| on_download_progress | Callable | None |",
)
async def test_the_callback_receives_loaded_and_total_which_may_be_0_if_unknown(origin: Origin) -> None:
    calls: list[tuple[Any, ...]] = []
    async with AtomHTTP() as client:
        assert client.defaults.on_upload_progress is None
        assert client.defaults.on_download_progress is None
        for path in ("/bytes/5000", "/chunked/5000"):
            calls.clear()
            await client.get(f"{origin.url}{path}", on_download_progress=lambda *given: calls.append(given))
            total = 5000 if path == "/bytes/5000" else 0
            assert calls[-1] == (5000, total)
            assert {(type(loaded), given) for loaded, given in calls} == {(int, total)}


async def test_a_callback_is_called_again_and_again_until_all_is_sent(origin: Origin) -> None:
    calls: list[tuple[int, int]] = []

    def on_upload(loaded: int, total: int) -> None:
        calls.append((loaded, total))

    async with AtomHTTP() as client:
        await client.post(f"{origin.url}/echo", data=b"x" * 700_000, on_upload_progress=on_upload)
    loaded = [each for each, _ in calls]
    assert [total for _, total in calls] == [700_000] * len(calls)
    assert loaded == sorted(set(loaded))
    assert loaded[-1] == 700_000
    assert len(calls) >= 3


@page("Progress tracking works with both request bodies (upload) and response bodies (download).")
async def test_progress_tracking_works_with_both_request_bodies_and_response_bodies(origin: Origin) -> None:
    up: list[tuple[int, int]] = []
    down: list[tuple[int, int]] = []
    async with AtomHTTP() as client:
        response = await client.post(
            f"{origin.url}/echo",
            data="hello",
            on_upload_progress=lambda loaded, total: up.append((loaded, total)),
            on_download_progress=lambda loaded, total: down.append((loaded, total)),
        )
    assert up == [(5, 5)]
    size = len(response.content)
    assert down[-1] == (size, size)


@page(
    '| response_type | str | "json" |',
    "Response — Response object with data (bytes for blob, async iterator for stream)",
)
@pytest.mark.parametrize("size", [0, 300_000])
async def test_response_object_with_data_bytes_for_blob_async_iterator_for_stream(origin: Origin, size: int) -> None:
    async with AtomHTTP() as client:
        assert client.defaults.response_type == "json"
        parsed = await client.get(f"{origin.url}/echo")
        assert parsed.data["method"] == "GET"

        calls: list[tuple[int, int]] = []
        options = {"on_download_progress": lambda loaded, total: calls.append((loaded, total))}
        blob = await client.get(f"{origin.url}/bytes/{size}", response_type="blob", **options)
        assert type(blob).__name__ == "Response"
        assert (type(blob.data), blob.data) == (bytes, pattern(size))
        assert calls[-1] == (size, size)

        calls.clear()
        stream = await client.get(f"{origin.url}/bytes/{size}", response_type="stream", **options)
        assert type(stream).__name__ == "Response"
        assert isinstance(stream.data, AsyncIterator)
        assert b"".join([chunk async for chunk in stream.data]) == pattern(size)
        assert calls[-1] == (size, size)


# FormData & File Uploads


@page("Send multipart/form-data requests including both text fields and file uploads.")
async def test_send_multipart_form_data_requests_including_both_text_fields_and_file_uploads(origin: Origin) -> None:
    form = AtomHTTP.FormData()
    form.append("field", "a text: ü")
    form.append("file", b"\x00\xff", filename="data.bin")
    async with AtomHTTP() as client:
        await client.post(origin.url, data=form)
    [request] = origin.requests
    assert (request.get("Content-Type") or "").startswith("multipart/form-data; boundary=")
    field, file = parts(request)
    assert (field.name, field.filename, field.content.decode()) == ("field", None, "a text: ü")
    assert (file.name, file.filename, file.content) == ("file", "data.bin", b"\x00\xff")


@page("This follows the browser FormData API, making it easy to construct complex form submissions.")
def test_this_follows_the_browser_formdata_api() -> None:
    form = AtomHTTP.FormData()
    form.append("a", "1")
    form.append("b", "2")
    form.append("a", "3")
    # As a browser does: `set` replaces all of them, where the first one stood.
    form.set("a", "4")
    assert form.items() == [("a", "4"), ("b", "2")]
    form.set("c", "5")
    assert list(form) == [("a", "4"), ("b", "2"), ("c", "5")]
    # A name that is not there is no error.
    assert form.get("missing") is None
    assert form.get_all("missing") == []
    form.delete("missing")
    assert form.values() == ["4", "2", "5"]


@page("Files can be provided as bytes, file objects, or Path objects.")
async def test_files_can_be_provided_as_bytes_file_objects_or_path_objects(origin: Origin, tmp_path: Path) -> None:
    path = tmp_path / "file.pdf"
    path.write_bytes(pattern(100_000))
    with path.open("rb") as file:
        form = AtomHTTP.FormData()
        form.append("bytes", pattern(100_000), filename="file.pdf")
        form.append("file object", file)
        form.append("path", path)
        async with AtomHTTP() as client:
            await client.post(origin.url, data=form)
        assert not file.closed
    received = parts(origin.requests[0])
    assert [part.name for part in received] == ["bytes", "file object", "path"]
    assert {part[1:] for part in received} == {("file.pdf", "application/pdf", pattern(100_000))}


@page("The content-type is automatically detected from file extensions.")
async def test_the_content_type_is_automatically_detected_from_file_extensions(origin: Origin) -> None:
    types = {
        "picture.png": "image/png",
        "PICTURE.JPG": "image/jpeg",
        "page.html": "text/html",
        "data.json": "application/json",
        "sound.mp3": "audio/mpeg",
        "archive.zip": "application/zip",
        "what.this-is-none": "application/octet-stream",
        "none": "application/octet-stream",
    }
    form = AtomHTTP.FormData()
    for name in types:
        form.append("file", b"x", filename=name)
    form.append("file", b"x", filename="picture.png", content_type="application/x-other")
    async with AtomHTTP() as client:
        await client.post(origin.url, data=form)
    received = [(part.filename, part.content_type) for part in parts(origin.requests[0])]
    assert received == [*types.items(), ("picture.png", "application/x-other")]


@page(
    "Multiple values can be appended to the same field name.",
    "| append(name, value, filename, content_type) |",
    "| get(name) |",
    "| get_all(name) |",
)
async def test_multiple_values_can_be_appended_to_the_same_field_name(origin: Origin) -> None:
    form = AtomHTTP.FormData()
    for value in ("python", "http", "async"):
        form.append("tags", value)
    assert form.get("tags") == "python"
    assert form.get_all("tags") == ["python", "http", "async"]
    async with AtomHTTP() as client:
        await client.post(origin.url, data=form)
    assert [(part.name, part.content) for part in parts(origin.requests[0])] == [
        ("tags", b"python"),
        ("tags", b"http"),
        ("tags", b"async"),
    ]


def test_append_takes_name_value_filename_content_type_in_this_order() -> None:
    parameters = list(inspect.signature(AtomHTTP.FormData.append).parameters.values())[1:]
    assert [parameter.name for parameter in parameters] == ["name", "value", "filename", "content_type"]
    assert [parameter.default for parameter in parameters[2:]] == [None, None]


@page("| delete(name) |", "| has(name) |")
def test_delete_removes_all_values_for_a_field_and_has_checks_if_a_field_exists() -> None:
    form = AtomHTTP.FormData()
    form.append("a", "1")
    form.append("b", "2")
    form.append("a", "3")
    assert (form.has("a"), form.has("b"), form.has("c")) == (True, True, False)
    form.delete("a")
    assert (form.has("a"), form.has("b")) == (False, True)
    assert form.get_all("a") == []


@page("| keys() |", "| items() |")
def test_keys_returns_all_field_names_and_items_all_name_value_pairs() -> None:
    form = AtomHTTP.FormData()
    form.append("a", "1")
    form.append("b", "2")
    form.append("a", "3")
    assert form.keys() == ["a", "b"]
    assert form.items() == [("a", "1"), ("b", "2"), ("a", "3")]
    assert type(form.keys()) is type(form.items()) is list


# Concurrent Requests


@page(
    "Execute multiple requests in parallel to significantly improve performance when you need to fetch multiple "
    "resources.",
    "| AtomHTTP.all(tasks) |",
)
async def test_all_executes_multiple_requests_concurrently_and_returns_a_list_of_responses() -> None:
    with SeedOrigin(together=3) as origin:  # no answer before the third request
        async with AtomHTTP(baseURL=origin.url) as client:
            responses = await AtomHTTP.all([client.get(f"/posts/{number}") for number in (3, 1, 2)])
    assert type(responses) is list
    assert [response.data["id"] for response in responses] == [3, 1, 2]
    assert origin.high_water == 3


def _three_paths(origin: Origin) -> dict[str, threading.Event]:
    """`/0`, `/1`, `/2` of `origin`, each of which answers when its event is set."""
    events = {f"/{number}": threading.Event() for number in range(3)}

    def reply(request: Received) -> Answer:
        assert events[request.path].wait(PATIENCE)
        return answer(request.path)

    origin.routes.update(dict.fromkeys(events, reply))
    return events


@page(
    "AtomHTTP provides helper utilities similar to Promise.all() from JavaScript.",
    "The all() method runs all requests concurrently and waits for all to complete.",
)
async def test_the_all_method_runs_all_requests_concurrently_and_waits_for_all_to_complete(origin: Origin) -> None:
    events = _three_paths(origin)
    done: list[str] = []
    async with AtomHTTP(baseURL=origin.url) as client:

        async def get(path: str) -> Any:
            response = await client.get(path)
            done.append(path)
            # The last one first: each is answered when the one behind it has come back.
            events.get(f"/{int(path[1:]) - 1}", threading.Event()).set()
            return response

        events["/2"].set()
        responses = await AtomHTTP.all([get(path) for path in events])
    assert done == ["/2", "/1", "/0"]
    assert [response.data for response in responses] == ["/0", "/1", "/2"]


async def test_all_fails_with_the_first_failure_as_promise_all_does(origin: Origin) -> None:
    with Peer([expect_head(), reset()]) as peer:
        async with AtomHTTP() as client, asyncio.timeout(PATIENCE):
            with pytest.raises(AtomHTTPNetworkError):
                await AtomHTTP.all([client.get(f"{origin.url}/delay/60", timeout=None), client.get(peer.url)])
    origin.release.set()
    assert await AtomHTTP.all([]) == []
    assert await AtomHTTP.all([1, asyncio.sleep(0, "two")]) == [1, "two"]


@page(
    "The spread() method allows you to destructure the response array into individual arguments for cleaner callback "
    "code.",
    "| AtomHTTP.spread(callback, *responses) |",
    "List[Response] (all) — Any (spread - result of callback)",
)
async def test_spread_gives_the_responses_to_individual_arguments_and_returns_the_result_of_the_callback(
    seed_origin: SeedOrigin,
) -> None:
    async with AtomHTTP(baseURL=seed_origin.url) as client:
        responses = await AtomHTTP.all([client.get("/posts/1"), client.get("/posts/2")])
    assert type(responses) is list
    assert {type(response).__name__ for response in responses} == {"Response"}
    assert await AtomHTTP.spread(lambda one, two: (one, two), *responses) == tuple(responses)

    async def titles(one: Any, two: Any) -> str:
        return f"{one.data['title']} {two.data['title']}"

    assert await AtomHTTP.spread(titles, *responses) == "one two"
    assert SyncAtomHTTP.spread(lambda one, two: one.status + two.status, *responses) == 400


# Data Transformers


@page(
    "Transform request data before sending or response data after receiving.",
    "transformRequest is called with the request data before it is sent.",
    "transformResponse is called with the response data before it is returned to your code.",
    "| transformRequest | Callable | None |",
    "| transformResponse | Callable | None |",
)
async def test_transform_request_data_before_sending_or_response_data_after_receiving(seed_origin: SeedOrigin) -> None:
    given: list[Any] = []

    def transform_request(data: Any) -> Any:
        given.append(data)
        assert seed_origin.requests == []
        return {**data, "sent": True}

    def transform_response(data: Any) -> Any:
        given.append(data)
        return data["id"]

    async with AtomHTTP(baseURL=seed_origin.url) as client:
        assert client.defaults.transformRequest is None
        assert client.defaults.transformResponse is None
        client.defaults.transformRequest = transform_request
        client.defaults.transformResponse = transform_response
        response = await client.post("/api/message", data={"text": "hello"})
    assert given == [{"text": "hello"}, {"id": 7, "text": "received"}]
    assert json.loads(seed_origin.requests[0].body) == {"text": "hello", "sent": True}
    assert response.data == 7


@page("This is useful for normalization, validation, serialization, or adding metadata to all requests/responses.")
async def test_useful_for_normalization_validation_serialization_and_metadata(seed_origin: SeedOrigin) -> None:
    def normalize(data: dict[str, str]) -> dict[str, str]:
        return {name.strip().lower(): value for name, value in data.items()}

    def validate(data: dict[str, str]) -> dict[str, str]:
        if "name" not in data:
            raise ValueError("a name is needed")
        return data

    def serialize(data: dict[str, str]) -> str:
        return ";".join(f"{name}={value}" for name, value in data.items())

    async with AtomHTTP(baseURL=seed_origin.url) as client:
        client.defaults.transformRequest = [normalize, validate, serialize]
        client.defaults.transformResponse = lambda data: {"data": data, "version": "v2"}
        response = await client.post("/api/message", data={" Name": "Ada", "AGE ": "36"})
        assert seed_origin.requests[0].body == b"name=Ada;age=36"
        assert response.data == {"data": {"id": 7, "text": "received"}, "version": "v2"}
        with pytest.raises(ValueError, match="a name is needed"):
            await client.post("/api/message", data={"age": "36"})
    assert len(seed_origin.requests) == 1


@page("Both can be synchronous or asynchronous functions.")
async def test_both_can_be_synchronous_or_asynchronous_functions(seed_origin: SeedOrigin) -> None:
    async def transform_request(data: str) -> str:
        await asyncio.sleep(0)
        return data.upper()

    async def transform_response(data: Any) -> Any:
        await asyncio.sleep(0)
        return list(data)

    options = [
        {"transformRequest": transform_request, "transformResponse": transform_response},
        {"transformRequest": lambda data: data.upper(), "transformResponse": lambda data: [*data]},
    ]
    async with AtomHTTP(baseURL=seed_origin.url) as client:
        for given in options:
            response = await client.post("/api/message", data="hello", **given)
            assert response.data == ["id", "text"]
    assert [request.body for request in seed_origin.requests] == [b"HELLO", b"HELLO"]


# Authentication


@page(
    "Built-in support for standard authentication mechanisms including Basic Authentication and Bearer Token "
    "authentication.",
    "These handlers automatically format the Authorization header correctly.",
)
async def test_built_in_support_for_basic_authentication_and_bearer_token_authentication(httpbin: Httpbin) -> None:
    async with AtomHTTP(baseURL=httpbin.url) as client:
        for user, password, expected in (("user", "pass wörd", 200), ("user", "wrong", 401)):
            response = await client.get("/basic-auth/user/pass wörd", headers=BasicAuth(user, password).get_header())
            assert response.status == expected
        response = await client.get("/bearer", headers=BearerAuth("a.b-c").get_header())
        assert response.data == {"authenticated": True, "token": "a.b-c"}
        assert (await client.get("/bearer")).status == 401


@page("Basic Auth encodes credentials as base64.", "| BasicAuth(username, password) |")
def test_basic_auth_encodes_credentials_as_base64() -> None:
    assert BasicAuth("username", "password").get_header() == {"Authorization": "Basic dXNlcm5hbWU6cGFzc3dvcmQ="}
    [encoded] = BasicAuth("Grüße", "a:b").get_header().values()
    assert base64.b64decode(encoded.removeprefix("Basic ")).decode() == "Grüße:a:b"


@page("Bearer Token adds the token directly.", "| BearerAuth(token) |")
def test_bearer_token_adds_the_token_directly() -> None:
    assert BearerAuth("your-jwt-token-here").get_header() == {"Authorization": "Bearer your-jwt-token-here"}


@page("Both return a dictionary ready to be merged into request headers.")
async def test_both_return_a_dictionary_ready_to_be_merged_into_request_headers(origin: Origin) -> None:
    async with AtomHTTP() as client:
        for auth in (BasicAuth("a", "b"), BearerAuth("t")):
            header = auth.get_header()
            assert type(header) is dict
            await client.get(origin.url, headers={"X-Other": "1", **header})
            assert origin.requests[-1].get("Authorization") == header["Authorization"]
            assert origin.requests[-1].get("X-Other") == "1"
            # A dictionary of the caller's own: changing it changes nothing else.
            header["Authorization"] = "none"
            assert auth.get_header() != header


@page("For more complex authentication, you can use request interceptors to add custom headers.")
async def test_for_more_complex_authentication_you_can_use_request_interceptors_to_add_custom_headers(
    origin: Origin,
) -> None:
    async def sign(config: Any) -> Any:
        await asyncio.sleep(0)
        config.headers["X-Signature"] = f"{config.method}:{len(config.data)}"
        return config

    async with AtomHTTP() as client:
        client.interceptors.use(sign)
        await client.post(origin.url, data="12345")
    assert origin.requests[0].get("X-Signature") == "POST:5"


# Blob & ArrayBuffer


@page("Handle binary data with different response types.")
async def test_handle_binary_data_with_different_response_types(httpbin: Httpbin) -> None:
    async with AtomHTTP(baseURL=httpbin.url) as client:
        for response_type in ("blob", "arraybuffer"):
            assert (await client.get("/image/png", response_type=response_type)).data == png()
        stream = await client.get("/image/png", response_type="stream")
        assert b"".join([chunk async for chunk in stream.data]) == png()


@page(
    "blob and arraybuffer both return binary data as bytes (arraybuffer is an alias for compatibility).",
    "| blob |",
    "| arraybuffer |",
)
@pytest.mark.parametrize("body", [b"\x00\xff\xfe", b'{"looks": "like JSON"}', "text: ü".encode("latin-1"), b""])
async def test_blob_and_arraybuffer_both_return_binary_data_as_bytes(origin: Origin, body: bytes) -> None:
    origin.routes["/"] = lambda _: Answer(body, headers=[("Content-Type", "application/json; charset=latin-1")])
    async with AtomHTTP() as client:
        for response_type in ("blob", "arraybuffer"):
            response = await client.get(origin.url, response_type=response_type)
            assert (type(response.data), response.data) == (bytes, body)


@page(
    "stream returns an async iterator for processing large files without loading entire content into memory.",
    "| stream | Returns async iterator |",
)
async def test_stream_returns_an_async_iterator_without_loading_entire_content_into_memory() -> None:
    go_on = threading.Event()
    with Peer([expect_head(), send(HALF), wait(go_on), send(b"56789"), hold()]) as peer:
        async with AtomHTTP() as client:
            response = await client.get(peer.url, response_type="stream")
            assert isinstance(response.data, AsyncIterator)
            assert await anext(response.data) == b"01234"
            go_on.set()  # the rest is sent only now
            assert [chunk async for chunk in response.data] == [b"56789"]


# Limits & Timeouts


@page(
    "Configure maximum sizes for requests and responses to protect your application from overly large payloads.",
    "maxBodyLength limits the request body size.",
    "| maxBodyLength | int | -1 |",
)
async def test_max_body_length_limits_the_request_body_size(origin: Origin) -> None:
    async with AtomHTTP() as client:
        assert client.defaults.maxBodyLength == -1
        await client.post(origin.url, data=b"x" * 3_000_000)
        client.defaults.maxBodyLength = 10
        await client.post(origin.url, data=b"x" * 10)
        with pytest.raises(AtomHTTPLimitError) as caught:
            await client.post(origin.url, data=b"x" * 11)
        assert caught.value.code == "ERR_MAX_BODY_LENGTH"
        await client.post(origin.url, data=b"x" * 11, maxBodyLength=-1)
    assert [len(request.body) for request in origin.requests] == [3_000_000, 10, 11]


@page("maxContentLength limits the response body size.", "| maxContentLength | int | -1 |")
@pytest.mark.parametrize("framing", ["bytes", "chunked"])
async def test_max_content_length_limits_the_response_body_size(origin: Origin, framing: str) -> None:
    async with AtomHTTP(baseURL=f"{origin.url}/{framing}", response_type="blob") as client:
        assert client.defaults.maxContentLength == -1
        assert len((await client.get("3000000")).data) == 3_000_000
        client.defaults.maxContentLength = 10
        assert len((await client.get("10")).data) == 10
        with pytest.raises(AtomHTTPLimitError) as caught:
            await client.get("11")
        assert caught.value.code == "ERR_MAX_CONTENT_LENGTH"
        assert len((await client.get("11", maxContentLength=-1)).data) == 11


@page("Set timeouts to prevent hanging requests from blocking your application indefinitely.")
async def test_set_timeouts_to_prevent_hanging_requests_from_blocking_indefinitely(virtual_clock: Any) -> None:
    with Peer([expect_head(), hold()]) as peer:
        async with AtomHTTP(timeout=2.5) as client:
            with pytest.raises(AtomHTTPTimeoutError):
                await client.get(peer.url)
    assert virtual_clock.time() == pytest.approx(2.5, abs=0.1)


@page("timeout can be set globally and overridden per request.")
async def test_timeout_can_be_set_globally_and_overridden_per_request(virtual_clock: Any) -> None:
    with Peer([[expect_head(), hold()]] * 3) as peer:
        async with AtomHTTP(timeout=7) as client:
            waited = []
            for options in ({}, {"timeout": 3}, {"timeout": 60}):
                began = virtual_clock.time()
                with pytest.raises(AtomHTTPTimeoutError):
                    await client.get(peer.url, **options)
                waited.append(virtual_clock.time() - began)
    assert waited == [pytest.approx(seconds, abs=0.1) for seconds in (7, 3, 60)]


@page("| timeout | int/float | 30 | Request timeout in seconds (total duration) |")
async def test_timeout_30_seconds_total_duration(virtual_clock: Any) -> None:
    go_on = threading.Event()
    with Peer([expect_head(), send(HALF[:-5]), wait(go_on), send(b"01234"), hold()]) as peer:
        async with AtomHTTP() as client:
            assert client.defaults.timeout == 30
            # After 20 seconds something comes. What counts is the whole, not the time since then.
            virtual_clock.call_later(20, go_on.set)
            with pytest.raises(AtomHTTPTimeoutError):
                await client.get(peer.url)
    assert go_on.is_set()
    assert virtual_clock.time() == pytest.approx(30, abs=0.1)


@page("| maxRedirects | int | 5 | Maximum number of redirects to follow |")
async def test_max_redirects_5_maximum_number_of_redirects_to_follow(httpbin: Httpbin) -> None:
    async with AtomHTTP(baseURL=httpbin.url) as client:
        assert client.defaults.maxRedirects == 5
        response = await client.get("/redirect/5")
        assert (response.status, response.data["url"], len(response.history)) == (200, f"{httpbin.url}/get", 5)
        with pytest.raises(AtomHTTPRedirectError) as caught:
            await client.get("/redirect/6")
        assert caught.value.code == "ERR_FR_TOO_MANY_REDIRECTS"
        assert (await client.get("/redirect/6", maxRedirects=6)).status == 200
        assert (await client.get("/redirect/1", maxRedirects=0)).status == 302


@page("keepAlive reuses connections for better performance.", "| keepAlive | bool | True |")
async def test_keep_alive_reuses_connections(origin: Origin) -> None:
    async with AtomHTTP() as client:
        assert client.defaults.keepAlive is True
        for _ in range(3):
            await client.get(origin.url)
        assert origin.connections == 1
    async with AtomHTTP(keepAlive=False) as client:
        for _ in range(3):
            await client.get(origin.url)
    assert origin.connections == 4
    assert [request.get("Connection") for request in origin.requests[3:]] == ["close"] * 3


@page("socketPath allows connection via Unix domain sockets instead of TCP/IP.", "| socketPath | str | None |")
async def test_socket_path_allows_connection_via_unix_domain_sockets_instead_of_tcp_ip(
    seed_origin: SeedOrigin, tmp_path: Path
) -> None:
    with SeedOrigin(unix=tmp_path / "s") as origin:
        async with AtomHTTP() as client:
            assert client.defaults.socketPath is None
            await client.get(f"{seed_origin.url}/posts/1", socketPath=str(tmp_path / "s"))
            assert (origin.connections, seed_origin.connections) == (1, 0)
            await client.get(f"{seed_origin.url}/posts/1")
            assert (origin.connections, seed_origin.connections) == (1, 1)


@page("| verify | bool | True | Enable SSL certificate verification for HTTPS requests |")
async def test_verify_enables_ssl_certificate_verification_for_https_requests(tls_origin: Origin) -> None:
    async with AtomHTTP() as client:
        assert client.defaults.verify is True
        with pytest.raises(AtomHTTPTLSError):
            await client.get(tls_origin.url)
        assert tls_origin.requests == []
        with pytest.warns(InsecureRequestWarning):
            assert (await client.get(tls_origin.url, verify=False)).status == 404


RETRY = {"max_retries": 2, "backoff_factor": 0}


@page("| retryConfig | dict | None | Retry settings for transient errors and server retries |")
async def test_retry_config_retry_settings_for_transient_errors_and_server_retries(origin: Origin) -> None:
    replies = iter([503, 503, 200])
    origin.routes["/"] = lambda _: Answer(status=next(replies))
    async with AtomHTTP() as client:
        assert client.defaults.retryConfig is None
        assert (await client.get(origin.url)).status == 503
        assert len(origin.requests) == 1
        response = await client.get(origin.url, retryConfig=RETRY)
        assert response.status == 200
        assert [attempt.status for attempt in response.attempts] == [503, 200]
    assert len(origin.requests) == 3


async def test_retry_config_for_transient_errors() -> None:
    with Peer([[expect_head(), reset()], [expect_head(), reset()], [expect_head(), send(WHOLE), drain()]]) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPNetworkError):
                await client.get(peer.url)
            response = await client.get(peer.url, retryConfig=RETRY)
    assert response.text == "0123456789"
    assert len(peer.heads) == 3


@page("| decompress | bool | True | Automatically decompress gzip/deflate responses |")
@pytest.mark.parametrize(("coding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_decompress_automatically_decompresses_gzip_and_deflate_responses(
    origin: Origin, coding: str, encode: Callable[[bytes], bytes]
) -> None:
    coded = encode(b'{"id": 1}')
    origin.routes["/"] = lambda _: Answer(coded, headers=[("Content-Encoding", coding)])
    async with AtomHTTP() as client:
        assert client.defaults.decompress is True
        assert (await client.get(origin.url)).data == {"id": 1}
        assert (await client.get(origin.url, decompress=False, response_type="blob")).data == coded
    assert coding in (origin.requests[0].get("Accept-Encoding") or "")


@pytest.mark.parametrize(("coding", "word"), [("gzip", "gzipped"), ("deflate", "deflated")])
async def test_decompress_what_httpbin_compresses(httpbin: Httpbin, coding: str, word: str) -> None:
    async with AtomHTTP() as client:
        response = await client.get(f"{httpbin.url}/{coding}")
    assert response.headers["Content-Encoding"] == coding
    assert response.data[word] is True


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("timeout", "30"),
        ("maxRedirects", "5"),
        ("maxBodyLength", "10MB"),
        ("maxContentLength", 1.5),
        ("keepAlive", "yes"),
        ("verify", 1),
        ("retryConfig", "often"),
        ("socketPath", 7),
        ("decompress", "no"),
    ],
)
def test_an_option_of_another_type_than_the_table_has_is_refused(option: str, value: object) -> None:
    with pytest.raises(AtomHTTPOptionError, match=option) as caught:
        AtomHTTP({option: value})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert isinstance(caught.value, AtomHTTPError)


# The page as a whole


def test_every_sentence_of_the_page_has_its_test() -> None:
    assert len(CLAIMS) == len(set(CLAIMS)) == 73
    assert [claim for claim in CLAIMS if claim not in held | OPINIONS] == []
    assert held.isdisjoint(OPINIONS)


def test_what_no_test_can_decide_is_on_the_page_and_says_what_something_is_good_for() -> None:
    for opinion in OPINIONS:
        assert opinion in PAGE
        assert "is essential for" in opinion
