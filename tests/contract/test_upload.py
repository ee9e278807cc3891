"""`client.upload`: a file as the content of a request, or as a field of a form."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading
from collections.abc import Callable
from email.message import Message
from email.parser import BytesParser
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from atomhttp import (
    AbortController,
    AtomHTTP,
    AtomHTTPCanceledError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPStatusError,
    ProgressBar,
    ProgressEvent,
    RequestConfig,
    Response,
    SyncAtomHTTP,
)
from contract.flavours import Api, wait
from support.origin import Answer, Origin, Received
from support.peer import Peer, drain, end, expect, expect_body, expect_head, reset, send
from support.peer import signal as signal_step
from support.peer import wait as wait_step
from support.server import PATIENCE

CONTENT = random.Random(3).randbytes(700_001)
SIZE = len(CONTENT)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FAST = {"backoff_factor": 0}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "report.csv"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def url(origin: Origin) -> str:
    return f"{origin.url}/status/201"


async def fails(call: Callable[[], Any], kind: type[BaseException]) -> Any:
    with pytest.raises(kind) as caught:
        await wait(call())
    return caught.value


def parts(request: Received) -> list[Message]:
    """The parts of a multipart form."""
    head = f"Content-Type: {request.get('content-type')}\r\n\r\n".encode()
    return list(BytesParser().parsebytes(head + request.body).get_payload())


class Calls(list[tuple[int, int]]):
    def __call__(self, loaded: int, total: int) -> None:
        self.append((loaded, total))


# As the content


async def test_a_file_is_the_content_of_a_put(client: Any, origin: Origin, url: str, file: Path) -> None:
    response = await client.upload(url, file)
    assert isinstance(response, Response)
    assert response.status == 201
    [request] = origin.requests
    assert (request.method, request.body) == ("PUT", CONTENT)
    assert (request.get("content-type"), request.get("content-length")) == ("text/csv", str(SIZE))


@pytest.mark.parametrize("method", ["POST", "PATCH", "put", "PURGE"])
async def test_with_another_method(client: Any, origin: Origin, url: str, file: Path, method: str) -> None:
    await client.upload(url, file, method=method)
    assert (origin.requests[0].method, origin.requests[0].body) == (method.upper(), CONTENT)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.json", "application/json"),
        ("a.txt", "text/plain"),
        ("a.png", "image/png"),
        ("a.unheard-of", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
async def test_its_name_tells_its_type(
    client: Any, origin: Origin, url: str, tmp_path: Path, name: str, content_type: str
) -> None:
    (tmp_path / name).write_bytes(b"content")
    await client.upload(url, tmp_path / name)
    assert origin.requests[0].get("content-type") == content_type
    await client.upload(url, tmp_path / name, headers={"Content-Type": "x/y"})
    assert origin.requests[1].get("content-type") == "x/y"


class Like:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


@pytest.mark.parametrize("kind", [str, Path, Like])
async def test_kinds_of_paths(client: Any, origin: Origin, url: str, file: Path, kind: Callable[[Path], Any]) -> None:
    await client.upload(url, kind(file))
    assert origin.requests[0].body == CONTENT


@pytest.mark.parametrize("field", [None, "file"])
async def test_an_empty_file(client: Any, origin: Origin, url: str, tmp_path: Path, field: str | None) -> None:
    (tmp_path / "empty.txt").touch()
    await client.upload(url, tmp_path / "empty.txt", field=field)
    [request] = origin.requests
    assert request.get("transfer-encoding") is None
    if field is None:
        assert (request.body, request.get("content-length")) == (b"", "0")
    else:
        assert parts(request)[0].get_payload(decode=True) == b""


# As a field of a form


async def test_a_field_makes_a_form_of_it(client: Any, origin: Origin, url: str, file: Path) -> None:
    await client.upload(url, file, field="document")
    [request] = origin.requests
    assert request.method == "POST"
    assert str(request.get("content-type")).startswith("multipart/form-data; boundary=")
    assert request.get("content-length") == str(len(request.body))
    [part] = parts(request)
    assert part["content-disposition"] == 'form-data; name="document"; filename="report.csv"'
    assert part["content-type"] == "text/csv"
    # Not `get_payload`: it is for text, and takes line ends for its own.
    assert CONTENT in request.body


async def test_a_form_may_be_put(client: Any, origin: Origin, url: str, file: Path) -> None:
    await client.upload(url, file, field="document", method="PUT")
    assert origin.requests[0].method == "PUT"


async def test_names_are_escaped(client: Any, origin: Origin, url: str, tmp_path: Path) -> None:
    odd = tmp_path / 'a"b\r\nc ü.txt'
    odd.write_bytes(b"content")
    await client.upload(url, odd, field='f"\r\nx')
    head = origin.requests[0].body.partition(b"\r\n\r\n")[0].decode()
    assert 'name="f%22%0D%0Ax"; filename="a%22b%0D%0Ac ü.txt"' in head


@pytest.mark.parametrize("field", [5, b"file", ["file"], True])
async def test_a_field_is_a_name(client: Any, origin: Origin, url: str, file: Path, field: Any) -> None:
    error = await fails(partial(client.upload, url, file, field=field), AtomHTTPOptionError)
    assert (error.code, str(error)) == (
        "ERR_BAD_OPTION_VALUE",
        f"field: expected a name or None, got {type(field).__name__}",
    )
    assert origin.requests == []


# What is no file


@pytest.mark.parametrize("field", [None, "file"])
@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(lambda root: root / "missing", "No such file or directory", id="missing"),
        pytest.param(lambda root: root / "missing" / "file", "No such file or directory", id="in a missing directory"),
        pytest.param(lambda root: root / "report.csv" / "file", "Not a directory", id="below a file"),
        pytest.param(lambda root: root, "it is a directory", id="directory"),
        pytest.param(lambda _root: "", "it is a directory", id="empty"),
        pytest.param(lambda root: root / ("n" * 256), "File name too long", id="too long"),
        pytest.param(lambda root: f"{root}/a\0b", "null", id="nul"),
        pytest.param(lambda root: f"{root}/\ud800", "surrogates", id="half of a character"),
        pytest.param(lambda root: root / "loop", "Too many levels", id="loop of links"),
    ],
)
async def test_what_cannot_be_sent(
    client: Any, origin: Origin, url: str, file: Path, make: Callable[[Path], Any], says: str, field: str | None
) -> None:
    (file.parent / "loop").symlink_to("loop")
    error = await fails(partial(client.upload, url, make(file.parent), field=field), AtomHTTPOptionError)
    assert error.code == "ERR_BAD_OPTION_VALUE"
    assert str(error).startswith("path: ")
    assert says in str(error)
    assert origin.requests == []


@pytest.mark.parametrize("path", [None, 5, b"bytes", ["a"], object()])
async def test_what_is_no_path(client: Any, origin: Origin, url: str, path: Any) -> None:
    error = await fails(partial(client.upload, url, path), AtomHTTPOptionError)
    assert str(error).startswith("path: expected the path of a file, got ")
    assert origin.requests == []


async def test_a_link_is_followed(client: Any, origin: Origin, url: str, file: Path) -> None:
    (file.parent / "link.txt").symlink_to("report.csv")
    await client.upload(url, file.parent / "link.txt")
    assert (origin.requests[0].body, origin.requests[0].get("content-type")) == (CONTENT, "text/plain")


async def test_what_has_no_size_is_sent_in_chunks(client: Any, origin: Origin, url: str, tmp_path: Path) -> None:
    """A pipe, as a shell makes one of `<(command)`."""
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(CONTENT,))
    writer.start()
    await client.upload(url, tmp_path / "pipe")
    writer.join()
    assert (origin.requests[0].body, origin.requests[0].get("transfer-encoding")) == (CONTENT, "chunked")


async def test_a_pipe_that_nobody_writes_to_holds_nobody_up(origin: Origin, url: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    async with AtomHTTP() as client:
        upload = asyncio.create_task(client.upload(url, pipe))
        # Goes through while the other one waits for somebody to open the pipe.
        assert (await client.get(f"{origin.url}/status/200")).status == 200
        await asyncio.to_thread(pipe.write_bytes, CONTENT)
        await upload
    assert [request.body for request in origin.requests if request.method == "PUT"] == [CONTENT]


async def test_the_method_of_a_config_counts(client: Any, origin: Origin, url: str, file: Path) -> None:
    await client.upload(url, file, config={"method": "PATCH"})
    await client.upload(url, file, method="POST", config={"method": "PATCH"})
    assert [request.method for request in origin.requests] == ["PATCH", "POST"]


async def test_a_file_that_goes_meanwhile(api: Api, origin: Origin, url: str, file: Path) -> None:
    client = api.client()
    client.interceptors.use(lambda _config: file.unlink())
    await fails(partial(client.upload, url, file), AtomHTTPOptionError)
    assert origin.requests == []


# Statuses


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_good_statuses(client: Any, origin: Origin, file: Path, status: int) -> None:
    assert (await client.upload(f"{origin.url}/status/{status}", file)).status == status


@pytest.mark.parametrize("status", [304, 400, 401, 413, 500, 503])
async def test_other_statuses_are_errors(client: Any, origin: Origin, file: Path, status: int) -> None:
    origin.routes["/file"] = lambda _: Answer(b'{"why": "so"}', status)
    error = await fails(partial(client.upload, f"{origin.url}/file", file), AtomHTTPStatusError)
    assert error.response.status == status
    if status != 304:
        assert error.response.data == {"why": "so"}


async def test_the_call_may_say_which_are_good(client: Any, origin: Origin, file: Path) -> None:
    url = f"{origin.url}/status/404"
    for rule in (None, lambda status: status == 404):
        assert (await client.upload(url, file, validate_status=rule)).status == 404
        assert (await client.upload(url, file, validateStatus=rule)).status == 404
        assert (await client.upload(url, file, config={"validate_status": rule})).status == 404
    await fails(
        partial(client.upload, f"{origin.url}/status/200", file, validate_status=lambda status: status == 404),
        AtomHTTPStatusError,
    )


async def test_the_client_may_say_which_are_good(api: Api, origin: Origin, file: Path) -> None:
    client = api.client(validate_status=lambda status: status in (200, 404))
    assert (await client.upload(f"{origin.url}/status/404", file)).status == 404
    await fails(partial(client.upload, f"{origin.url}/status/201", file), AtomHTTPStatusError)
    await fails(partial(client.upload, f"{origin.url}/status/404", file, validate_status=True), AtomHTTPStatusError)


# Options


async def test_the_answer_is_read_as_response_type_says(client: Any, origin: Origin, file: Path) -> None:
    origin.routes["/file"] = lambda _: Answer(b'{"id": 5}', headers=[("Content-Type", "application/json")])
    url = f"{origin.url}/file"
    assert (await client.upload(url, file)).data == {"id": 5}
    assert (await client.upload(url, file, response_type="text")).data == '{"id": 5}'
    assert (await client.upload(url, file, responseType="blob")).data == b'{"id": 5}'
    assert (await client.upload(url, file, response_type=dict[str, int])).data == {"id": 5}


async def test_params_headers_and_base_url(api: Api, origin: Origin, file: Path) -> None:
    origin.routes["/api/files"] = lambda _: Answer(b"")
    client = api.client(base_url=f"{origin.url}/api", auth=("user", "pass"))
    for config in ({"headers": {"X-Mine": "1"}}, RequestConfig(headers={"X-Mine": "1"})):
        await client.upload("files", file, params={"a": 1}, config=config)
        request = origin.requests[-1]
        assert (request.target, request.get("x-mine")) == ("/api/files?a=1", "1")
        assert request.get("authorization") == "Basic dXNlcjpwYXNz"
        assert request.body == CONTENT


@pytest.mark.parametrize("name", ["data", "json", "form"])
@pytest.mark.parametrize("field", [None, "file"])
async def test_other_content_is_refused(
    client: Any, origin: Origin, url: str, file: Path, name: str, field: str | None
) -> None:
    for given in ({name: {"a": "b"}}, {"config": {name: {"a": "b"}}}):
        error = await fails(partial(client.upload, url, file, field=field, **given), AtomHTTPOptionError)
        assert error.code == "ERR_BAD_OPTION"
        assert "data" in str(error)
    assert origin.requests == []


@pytest.mark.parametrize("method", [5, "NO GOOD", "CONNECT", "A\r\nB"])
async def test_a_bad_method(client: Any, origin: Origin, url: str, file: Path, method: Any) -> None:
    error = await fails(partial(client.upload, url, file, method=method), AtomHTTPOptionError)
    assert str(error).startswith("method: ")
    assert origin.requests == []


async def test_an_unknown_option(client: Any, origin: Origin, url: str, file: Path) -> None:
    error = await fails(partial(client.upload, url, file, resume=True), AtomHTTPOptionError)
    assert "resume" in str(error)
    assert origin.requests == []


async def test_what_is_too_large_is_not_sent(client: Any, origin: Origin, url: str, file: Path) -> None:
    await fails(partial(client.upload, url, file, maxBodyLength=SIZE - 1), AtomHTTPLimitError)
    assert origin.requests == []
    await client.upload(url, file, maxBodyLength=SIZE)


async def test_the_config_sends_it_again(client: Any, origin: Origin, url: str, file: Path) -> None:
    response = await client.upload(url, file, field="file")
    await client.request(response.config)
    assert [CONTENT in each.body for each in origin.requests] == [True, True]


# Progress


@pytest.mark.parametrize("field", [None, "file"])
async def test_progress(client: Any, origin: Origin, url: str, file: Path, field: str | None) -> None:
    told = Calls()
    await client.upload(url, file, field=field, on_upload_progress=told)
    total = len(origin.requests[0].body)
    assert told[-1] == (total, total)
    assert told == sorted(set(told))
    events: list[ProgressEvent] = []

    async def callback(event: ProgressEvent) -> None:
        events.append(event)

    await client.upload(url, file, field=field, onUploadProgress=callback)
    assert sum(each.bytes for each in events) == len(origin.requests[1].body)
    await client.upload(url, file, field=field, on_upload_progress=ProgressBar("file"))


# Sent again


async def test_a_retry_sends_all_of_it_again(api: Api, file: Path) -> None:
    told = Calls()
    half = [expect_head(), expect(1000), reset()]
    whole = [expect_head(), expect_body(), send(OK)]
    with Peer([half, whole]) as peer:
        client = api.client(retry_config=FAST)
        await client.upload(f"{peer.url}/file", file, on_upload_progress=told)
        assert peer.received(1).endswith(b"\r\n\r\n" + CONTENT)
    assert told[-1] == (SIZE, SIZE)


async def test_a_retry_for_its_status(api: Api, origin: Origin, file: Path) -> None:
    answers = [503, 200]
    origin.routes["/file"] = lambda _: Answer(b"", answers.pop(0))
    response = await api.client(retry_config=FAST).upload(f"{origin.url}/file", file)
    assert response.status == 200
    assert [each.body for each in origin.requests] == [CONTENT] * 2


async def test_a_post_that_may_have_arrived_is_not_sent_twice(api: Api, file: Path) -> None:
    with Peer([expect_head(), expect_body(), reset()]) as peer:
        call = partial(api.client(retry_config=FAST).upload, f"{peer.url}/file", file, field="file")
        await fails(call, AtomHTTPNetworkError)
        assert len(peer.heads) == 1


@pytest.mark.parametrize("field", [None, "file"])
@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_takes_it_along(
    client: Any, origin: Origin, url: str, file: Path, status: int, field: str | None
) -> None:
    origin.routes["/here"] = lambda _: Answer(b"", status, [("Location", "/status/201")])
    response = await client.upload(f"{origin.url}/here", file, field=field)
    assert (response.status, response.url) == (201, url)
    method = "PUT" if field is None else "POST"
    assert [each.method for each in origin.requests] == [method] * 2
    assert [CONTENT in each.body for each in origin.requests] == [True, True]


async def test_an_answer_that_comes_early(client: Any, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.touch()
    os.truncate(large, 50_000_000)
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with Peer([expect_head(), send(early), end(), drain()]) as peer:
        error = await fails(partial(client.upload, f"{peer.url}/file", large), AtomHTTPStatusError)
    assert error.response.status == 413


# Given up


async def test_cancelled_in_the_middle(tmp_path: Path, loop_kind: str) -> None:
    large = tmp_path / "large"
    large.touch()
    os.truncate(large, 50_000_000)
    began = threading.Event()
    gone = threading.Event()
    with Peer([expect_head(), expect(1000), signal_step(began), wait_step(gone), drain()]) as peer:
        async with AtomHTTP() as client:
            task = asyncio.create_task(client.upload(f"{peer.url}/file", large))
            assert await asyncio.to_thread(began.wait, PATIENCE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            gone.set()
            assert not is_open(large)


def is_open(path: Path) -> bool:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return str(path) in found


async def test_aborted_by_a_callback(client: Any, file: Path) -> None:
    controller = AbortController()
    with Peer([expect_head(), drain()]) as peer:
        call = partial(
            client.upload,
            f"{peer.url}/file",
            file,
            signal=controller.signal,
            on_upload_progress=lambda _loaded, _total: controller.abort(),
        )
        await fails(call, AtomHTTPCanceledError)
    assert not is_open(file)


# What others have to say


async def test_a_subclass_that_overrides_request_sees_it(api: Api, origin: Origin, url: str, file: Path) -> None:
    seen: list[Any] = []
    base: Any = api.client_class

    class Mine(base):  # type: ignore[misc]  # one class or the other
        def request(self, method: Any = None, url: Any = None, /, **options: Any) -> Any:
            seen.append(method)
            return super().request(method, url, **options)

    await api.client(of=Mine).upload(url, file)
    assert [(each.method, each.url) for each in seen] == [("PUT", url)]
    assert origin.requests[0].body == CONTENT


async def test_interceptors_see_the_file(client: Any, url: str, file: Path) -> None:
    seen: list[Any] = []
    client.interceptors.use(lambda config: seen.append((config.method, config.data)))
    await client.upload(url, file)
    assert seen == [("PUT", file)]


def test_deferred_uploads_are_sent_together(origin: Origin, url: str, file: Path) -> None:
    with SyncAtomHTTP() as client:
        calls = [client.defer.upload(url, file), client.defer.upload(url, file, field="file")]
        assert repr(calls[0]) == f"<Deferred upload {url}>"
        responses = client.all(calls)
        assert [each.status for each in responses] == [201, 201]
        with pytest.raises(AtomHTTPStatusError):
            client.all([client.defer.upload(f"{origin.url}/status/404", file)])
        with pytest.raises(AtomHTTPOptionError, match="No such file"):
            client.all([client.defer.upload(url, file.parent / "missing")])
    assert sorted(each.method for each in origin.requests[:2]) == ["POST", "PUT"]
    assert all(CONTENT in each.body for each in origin.requests[:2])


async def test_many_together(origin: Origin, url: str, file: Path) -> None:
    async with AtomHTTP() as client:
        responses = await AtomHTTP.all([client.upload(url, file) for _ in range(10)])
    assert [each.status for each in responses] == [201] * 10
    assert [each.body for each in origin.requests] == [CONTENT] * 10
