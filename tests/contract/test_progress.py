"""`on_upload_progress`, `on_download_progress` (contract: Progress; part 2: a4 "progress event")."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import gzip
import io
import itertools
import random
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    FormData,
    ProgressBar,
    ProgressEvent,
    SyncAtomHTTP,
    Timeout,
)
from contract.flavours import Api, close, collect, wait
from support.certificates import Certificates
from support.origin import Answer, Origin, pattern
from support.peer import Peer, drain, end, expect_body, expect_end, expect_head, hold, send
from support.peer import wait as wait_step

STEP = 256 * 1024
BODY = random.Random(1).randbytes(700_001)
TEXT = b"a line of text, again and again\n" * 40_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
GZIP = [("Content-Encoding", "gzip")]


class MineError(Exception):
    """An error that is not atomhttp's."""


class Calls(list[tuple[int, int]]):
    """A callback that remembers what it was told."""

    def __call__(self, loaded: int, total: int) -> None:
        self.append((loaded, total))

    def check(self, final: int, total: int) -> None:
        """One transfer: strictly growing, at least one call each 256 KiB, one total, a last call that is final."""
        assert self, "it was not called"
        counts = [loaded for loaded, _ in self]
        assert counts[-1] == final
        assert {given for _, given in self} == {total}
        if final:
            steps = [after - before for before, after in itertools.pairwise([0, *counts])]
            assert all(0 < step <= STEP for step in steps), steps
        else:
            assert counts == [0]

    def transfers(self) -> list[Calls]:
        """Each transfer by itself: a count that does not grow begins another one."""
        found: list[Calls] = []
        for loaded, total in self:
            if not found or loaded <= found[-1][-1][0]:
                found.append(Calls())
            found[-1].append((loaded, total))
        return found


def fails(_loaded: int, _total: int) -> None:
    raise MineError("mine")


async def fails_later(_loaded: int, _total: int) -> None:
    raise MineError("mine")


async def read(response: Any) -> bytes:
    """The content, read from the stream if it is one."""
    if hasattr(response.data, "iter_bytes"):
        return b"".join(await collect(response.data))
    return response.content  # type: ignore[no-any-return]  # bytes


# What is sent


class Again:
    """Can be iterated as often as one likes."""

    def __iter__(self) -> Iterator[bytes]:
        return pieces()


def pieces(size: int = 100_000) -> Iterator[bytes]:
    return (BODY[start : start + size] for start in range(0, len(BODY), size))


async def pieces_later() -> AsyncIterator[bytes]:
    for piece in pieces():
        yield piece


def file_in(directory: Path) -> Path:
    path = directory / "file.bin"
    path.write_bytes(BODY)
    return path


def form_of(value: Any) -> FormData:
    form = FormData()
    form.append("text", "t" * 300_000)
    form.append("file", value, "file.bin")
    return form


WITH_LENGTH = {"headers": {"Content-Length": str(len(BODY))}}
# How it is made (given a directory), the options that go with it, and whether its length is known.
SENT: dict[str, tuple[Callable[[Path], Any], dict[str, Any], bool]] = {
    "bytes": (lambda _: BODY, {}, True),
    "one byte": (lambda _: b"x", {}, True),
    "bytearray": (lambda _: bytearray(BODY), {}, True),
    "memoryview": (lambda _: memoryview(BODY), {}, True),
    "str": (lambda _: "ä" * 300_000, {}, True),
    "JSON": (lambda _: {"a": ["x" * 1000] * 500}, {}, True),
    "json=": (lambda _: None, {"json": ["x" * 1000] * 500}, True),
    "form=": (lambda _: None, {"form": {"a": "x" * 500_000}}, True),
    "FormData": (lambda _: form_of(BODY), {}, True),
    "FormData of a Path": (lambda directory: form_of(file_in(directory)), {}, True),
    "FormData of an iterator": (lambda _: form_of(pieces_later()), {}, False),
    "Path": (file_in, {}, True),
    "BytesIO": (lambda _: io.BytesIO(BODY), {}, True),
    "iterator": (lambda _: pieces(), {}, False),
    "iterator with length": (lambda _: pieces(), WITH_LENGTH, True),
    "iterable": (lambda _: Again(), {}, False),
    "iterator of one large piece": (lambda _: iter([BODY]), {}, False),
    "iterator of small pieces": (lambda _: pieces(7_001), {}, False),
    "async iterator": (lambda _: pieces_later(), {}, False),
    "async iterator with length": (lambda _: pieces_later(), WITH_LENGTH, True),
}


@pytest.mark.parametrize("kind", SENT)
async def test_upload_is_exact_on_every_body_kind(client: Any, origin: Origin, tmp_path: Path, kind: str) -> None:
    build, options, is_known = SENT[kind]
    calls = Calls()
    await client.post(f"{origin.url}/bytes/1", build(tmp_path), on_upload_progress=calls, **options)
    [received] = origin.requests
    size = len(received.body)
    assert size > 0
    assert received.get("Content-Length") == (str(size) if is_known else None)
    calls.check(size, size if is_known else 0)


async def test_upload_is_exact_on_an_open_file_from_where_it_stands(
    client: Any, origin: Origin, tmp_path: Path
) -> None:
    calls = Calls()
    with file_in(tmp_path).open("rb") as file:
        file.seek(1000)
        await client.put(f"{origin.url}/bytes/1", file, on_upload_progress=calls)
    assert origin.requests[0].body == BODY[1000:]
    calls.check(len(BODY) - 1000, len(BODY) - 1000)


@pytest.mark.parametrize("data", [None, {}, "text"])
async def test_no_body_to_send_is_no_upload_call(client: Any, origin: Origin, data: Any) -> None:
    calls = Calls()
    transform = None if data is None else (lambda _data: None)
    await client.post(f"{origin.url}/bytes/1", data, transformRequest=transform, on_upload_progress=calls)
    await client.get(f"{origin.url}/bytes/1", on_upload_progress=calls)
    assert calls == []


@pytest.mark.parametrize("build", [bytes, str, io.BytesIO, lambda: iter(()), lambda: iter([b"", b""])])
async def test_an_empty_body_is_one_call_0_0(client: Any, origin: Origin, build: Callable[[], Any]) -> None:
    calls = Calls()
    await client.post(f"{origin.url}/bytes/1", build(), on_upload_progress=calls)
    assert origin.requests[0].body == b""
    assert calls == [(0, 0)]


async def test_upload_over_tls_counts_content(api: Api, tls_origin: Origin, certificates: Certificates) -> None:
    client = api.client(verify=certificates.ca)
    up, down = Calls(), Calls()
    response = await client.post(
        f"{tls_origin.url}/bytes/600000", BODY, on_upload_progress=up, on_download_progress=down
    )
    assert response.content == pattern(600_000)
    assert tls_origin.requests[0].body == BODY
    up.check(len(BODY), len(BODY))
    down.check(600_000, 600_000)


@pytest.mark.parametrize("secure", [False, True])
async def test_sent_bytes_count_when_the_socket_took_them(api: Api, certificates: Certificates, secure: bool) -> None:
    client = api.client(verify=certificates.ca)
    size = 64 * 1024 * 1024
    calls = Calls()
    context = certificates.server_context() if secure else None
    with Peer([expect_head(), hold()], tls=context) as peer, pytest.raises(AtomHTTPTimeoutError):
        await client.post(peer.url, bytes(size), timeout=0.3, on_upload_progress=calls)
    # What the kernel's buffers hold, and no more.
    assert 0 < calls[-1][0] < size / 2
    calls.check(calls[-1][0], size)


async def test_an_answer_that_comes_early_ends_the_count(client: Any) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    calls = Calls()
    size = 64 * 1024 * 1024
    with Peer([expect_head(), send(refusal), end(), drain()]) as peer:
        response = await client.post(peer.url, bytes(size), on_upload_progress=calls)
    assert response.status == 413
    if calls:
        calls.check(calls[-1][0], size)
        assert calls[-1][0] < size


# What is received

EMPTY: dict[str, Answer] = {
    "empty": Answer(b""),
    "empty chunked": Answer(b"", chunked=True),
    "204": Answer(b"", 204),
    "304": Answer(b"", 304),
    "304 with the length of what was not sent": Answer(b"", 304, [("Content-Length", "1000")]),
    "empty error": Answer(b"", 500),
}
RECEIVED: dict[str, tuple[Answer, int]] = {
    "Content-Length": (Answer(BODY), len(BODY)),
    "one byte": (Answer(b"x"), 1),
    "chunked": (Answer(BODY, chunked=True), 0),
    "gzip": (Answer(gzip.compress(BODY), headers=GZIP), len(gzip.compress(BODY))),
    "gzip of text": (Answer(gzip.compress(TEXT), headers=GZIP), len(gzip.compress(TEXT))),
    "gzip chunked": (Answer(gzip.compress(TEXT), headers=GZIP, chunked=True), 0),
    "JSON": (Answer(b'["' + b"x" * 700_000 + b'"]', headers=[("Content-Type", "application/json")]), 700_004),
    "error": (Answer(BODY, 404), len(BODY)),
    "a coding nobody knows": (Answer(BODY, headers=[("Content-Encoding", "made-up")]), len(BODY)),
}
RESPONSE_TYPES = ["json", "text", "blob", "stream"]


def answered(origin: Origin, answer: Answer) -> str:
    origin.routes["/answer"] = lambda _: Answer(answer.body, answer.status, list(answer.headers), answer.chunked)
    return f"{origin.url}/answer"


@pytest.mark.parametrize("response_type", RESPONSE_TYPES)
@pytest.mark.parametrize("kind", RECEIVED)
async def test_download_is_exact_on_every_kind(client: Any, origin: Origin, kind: str, response_type: str) -> None:
    answer, total = RECEIVED[kind]
    calls = Calls()
    response = await client.get(answered(origin, answer), response_type=response_type, on_download_progress=calls)
    content = await read(response)
    expected = gzip.decompress(answer.body) if answer.headers == GZIP else answer.body
    assert content == expected
    calls.check(len(answer.body), total)


@pytest.mark.parametrize("response_type", RESPONSE_TYPES)
@pytest.mark.parametrize("kind", EMPTY)
async def test_an_empty_answer_is_one_call_0_0(client: Any, origin: Origin, kind: str, response_type: str) -> None:
    calls = Calls()
    response = await client.get(answered(origin, EMPTY[kind]), response_type=response_type, on_download_progress=calls)
    assert await read(response) == b""
    assert calls == [(0, 0)]


@pytest.mark.parametrize("response_type", RESPONSE_TYPES)
@pytest.mark.parametrize("path", ["/bytes/1000", "/chunked/1000"])
async def test_head_is_one_call_0_0(client: Any, origin: Origin, path: str, response_type: str) -> None:
    calls = Calls()
    response = await client.head(f"{origin.url}{path}", response_type=response_type, on_download_progress=calls)
    assert await read(response) == b""
    assert calls == [(0, 0)]


@pytest.mark.parametrize("response_type", RESPONSE_TYPES)
async def test_content_that_ends_with_the_connection_has_no_total(client: Any, response_type: str) -> None:
    calls = Calls()
    with Origin(version="HTTP/1.0") as old:
        response = await client.get(f"{old.url}/bytes/700001", response_type=response_type, on_download_progress=calls)
        assert await read(response) == pattern(700_001)
    calls.check(700_001, 0)


async def test_decompress_false_counts_the_same(client: Any, origin: Origin) -> None:
    packed = gzip.compress(TEXT)
    calls = Calls()
    url = answered(origin, Answer(packed, headers=GZIP))
    response = await client.get(url, decompress=False, response_type="blob", on_download_progress=calls)
    assert response.data == packed
    calls.check(len(packed), len(packed))


async def test_a_compressed_download_never_passes_total_whatever_it_holds(client: Any, origin: Origin) -> None:
    packed = gzip.compress(bytes(20_000_000))
    calls = Calls()
    url = answered(origin, Answer(packed, headers=GZIP))
    stream = (await client.get(url, response_type="stream", on_download_progress=calls)).data
    size = 0
    while piece := await wait(stream.read(100_000)):
        size += len(piece)
        assert calls[-1][0] <= len(packed)
    assert size == 20_000_000
    calls.check(len(packed), len(packed))


async def test_it_is_told_while_the_content_arrives(api: Api, client: Any) -> None:
    go_on = threading.Event()

    def first_then_all(loaded: int, total: int) -> None:
        calls(loaded, total)
        go_on.set()

    calls = Calls()
    script = [expect_head(), send(HEAD + b"01234"), wait_step(go_on), send(b"56789"), drain()]
    with Peer(script) as peer:
        response = await client.get(peer.url, on_download_progress=first_then_all)
        assert response.content == b"0123456789"
        await client.close()
    assert calls == [(5, 10), (10, 10)]


async def test_of_a_stream_it_is_told_as_it_is_read(client: Any, nginx: Any) -> None:
    calls = Calls()
    response = await client.get(f"{nginx.url}/big", response_type="stream", on_download_progress=calls)
    assert calls == []
    await wait(response.data.read(1000))
    assert 0 < calls[-1][0] < calls[-1][1] / 2
    told = len(calls)
    await close(response.data)
    assert len(calls) == told


@pytest.mark.parametrize("how", ["read", "sized", "lines", "pieces"])
async def test_whatever_reads_the_stream_it_is_exact(client: Any, origin: Origin, how: str) -> None:
    calls = Calls()
    url = answered(origin, Answer(TEXT))
    stream = (await client.get(url, response_type="stream", on_download_progress=calls)).data
    match how:
        case "read":
            await wait(stream.read())
        case "sized":
            await collect(stream.iter_bytes(1000))
        case "lines":
            await collect(stream.iter_lines())
        case _:
            await collect(stream)
    calls.check(len(TEXT), len(TEXT))


@pytest.mark.parametrize("response_type", RESPONSE_TYPES)
async def test_of_a_refused_status_too(client: Any, origin: Origin, response_type: str) -> None:
    calls = Calls()
    url = answered(origin, Answer(BODY, 404))
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get(url, response_type=response_type, validateStatus=True, on_download_progress=calls)
    assert caught.value.response.content == BODY
    calls.check(len(BODY), len(BODY))


async def test_a_limit_that_is_crossed_ends_it(client: Any, origin: Origin) -> None:
    calls = Calls()
    with pytest.raises(AtomHTTPLimitError):
        await client.get(f"{origin.url}/chunked/700000", maxContentLength=300_000, on_download_progress=calls)
    assert 300_000 < calls[-1][0] < 700_000
    calls.check(calls[-1][0], 0)
    calls.clear()
    with pytest.raises(AtomHTTPLimitError):
        await client.post(
            f"{origin.url}/bytes/1", iter([bytes(200_000)] * 3), maxBodyLength=300_000, on_upload_progress=calls
        )
    calls.check(200_000, 0)


async def test_an_adapters_own_bodies_are_counted_too(api: Api) -> None:
    from atomhttp import AdapterResponse

    bodies = {"bytes": lambda: BODY, "iterable": pieces, "async iterable": pieces_later, "nothing": lambda: b""}

    class Canned:
        async def send(self, request: Any) -> AdapterResponse:
            if request.has_body:
                self.sent = b"".join([piece async for piece in request.body])
            return AdapterResponse(200, {}, bodies[request.url.rpartition("/")[2].replace("_", " ")]())

        async def close(self) -> None:
            """Holds nothing."""

    adapter = Canned()
    client = api.client(adapter=adapter)
    for name in bodies:
        up, down = Calls(), Calls()
        url = f"http://canned.invalid/{name.replace(' ', '_')}"
        response = await client.post(url, BODY, on_upload_progress=up, on_download_progress=down)
        assert adapter.sent == BODY
        up.check(len(BODY), len(BODY))
        assert response.content == (b"" if name == "nothing" else BODY)
        down.check(len(response.content), 0)


# Sent again


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_that_resends_starts_again_from_0(client: Any, origin: Origin, status: int) -> None:
    origin.routes["/old"] = lambda _: Answer(BODY, status, [("Location", "/bytes/600000")])
    up, down = Calls(), Calls()
    response = await client.put(f"{origin.url}/old", BODY, on_upload_progress=up, on_download_progress=down)
    assert response.content == pattern(600_000)
    assert [len(each.body) for each in origin.requests] == [len(BODY)] * 2
    first, second = up.transfers()
    first.check(len(BODY), len(BODY))
    second.check(len(BODY), len(BODY))
    # Of the redirect's own content, which nobody gets, nobody is told.
    down.check(600_000, 600_000)


async def test_a_redirect_that_drops_the_body_does_not(client: Any, origin: Origin) -> None:
    origin.routes["/old"] = lambda _: Answer(b"", 303, [("Location", "/bytes/1")])
    calls = Calls()
    await client.post(f"{origin.url}/old", BODY, on_upload_progress=calls)
    calls.check(len(BODY), len(BODY))


@pytest.mark.parametrize("response_type", ["blob", "stream"])
async def test_a_retry_starts_again_from_0(client: Any, origin: Origin, response_type: str, tmp_path: Path) -> None:
    statuses = iter([503, 500, 200])
    origin.routes["/flaky"] = lambda _: Answer(BODY, next(statuses))
    up, down = Calls(), Calls()
    response = await client.put(
        f"{origin.url}/flaky",
        file_in(tmp_path),
        response_type=response_type,
        retryConfig={"max_retries": 2, "backoff_factor": 0},
        on_upload_progress=up,
        on_download_progress=down,
    )
    assert await read(response) == BODY
    assert [each.body for each in origin.requests] == [BODY] * 3
    assert len(up.transfers()) == 3
    # A stream that is retried is thrown away unread.
    assert len(down.transfers()) == (1 if response_type == "stream" else 3)
    for transfer in (*up.transfers(), *down.transfers()):
        transfer.check(len(BODY), len(BODY))


async def test_the_one_safe_resend_starts_again_from_0(client: Any) -> None:
    first = [expect_head(), send(HEAD + b"0123456789"), expect_head(), expect_body()]
    second = [expect_head(), expect_body(), send(HEAD + b"0123456789"), drain()]
    calls = Calls()
    with Peer([first, second]) as peer:
        await client.get(peer.url)
        assert (await client.put(peer.url, BODY, on_upload_progress=calls)).status == 200
        await client.close()
    assert len(calls.transfers()) == 2
    for transfer in calls.transfers():
        transfer.check(len(BODY), len(BODY))


async def test_each_request_of_an_auth_flow_starts_again_from_0(client: Any, origin: Origin) -> None:
    class Twice:
        def auth_flow(self, request: Any) -> Iterator[Any]:
            for number in range(2):
                request.headers["X-Number"] = str(number)
                yield request

    up, down = Calls(), Calls()
    await client.post(
        f"{origin.url}/bytes/300000", BODY, auth=Twice(), on_upload_progress=up, on_download_progress=down
    )
    assert [each.get("X-Number") for each in origin.requests] == ["0", "1"]
    assert (len(up.transfers()), len(down.transfers())) == (2, 2)
    for transfer in up.transfers():
        transfer.check(len(BODY), len(BODY))
    for transfer in down.transfers():
        transfer.check(300_000, 300_000)


async def test_every_attempt_has_its_own_time_for_its_callbacks(virtual_clock: Any, origin: Origin) -> None:
    statuses = iter([503, 503, 200])
    origin.routes["/flaky"] = lambda _: Answer(status=next(statuses))

    async def slow(_loaded: int, _total: int) -> None:
        await asyncio.sleep(3)

    async with AtomHTTP(timeout=None) as client:
        response = await client.put(
            f"{origin.url}/flaky",
            b"x",
            retryConfig={"max_retries": 2, "backoff_factor": 0, "attempt_timeout": 5},
            on_upload_progress=slow,
        )
    assert response.status == 200
    assert 9 <= virtual_clock.time() < 10


async def test_the_same_call_again_is_told_again(client: Any, origin: Origin) -> None:
    calls = Calls()
    response = await client.post(f"{origin.url}/bytes/1", BODY, on_upload_progress=calls)
    await client.request(response.config)
    assert len(calls.transfers()) == 2
    for transfer in calls.transfers():
        transfer.check(len(BODY), len(BODY))


# What the callback is called with


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_sync_or_async(client: Any, origin: Origin, kind: str) -> None:
    up, down = Calls(), Calls()

    def later(calls: Calls) -> Any:
        async def call(loaded: int, total: int) -> None:
            calls(loaded, total)

        return call if kind == "async def" else calls

    await client.post(
        f"{origin.url}/bytes/600000", BODY, on_upload_progress=later(up), on_download_progress=later(down)
    )
    up.check(len(BODY), len(BODY))
    down.check(600_000, 600_000)


@pytest.mark.parametrize("kind", ["def", "async def", "list.append", "method", "one and defaults", "keywords"])
async def test_with_one_required_parameter_it_gets_an_event(client: Any, origin: Origin, kind: str) -> None:
    events: list[ProgressEvent] = []

    def call(event: ProgressEvent) -> None:
        events.append(event)

    async def call_later(event: ProgressEvent) -> None:
        events.append(event)

    class Owner:
        def method(self, event: ProgressEvent) -> None:
            events.append(event)

    def with_default(event: ProgressEvent, total: int = 5) -> None:
        assert total == 5
        events.append(event)

    def with_keywords(event: ProgressEvent, *, note: str = "", **_more: Any) -> None:
        events.append(event)

    callback = {
        "def": call,
        "async def": call_later,
        "list.append": events.append,
        "method": Owner().method,
        "one and defaults": with_default,
        "keywords": with_keywords,
    }[kind]
    await client.post(f"{origin.url}/chunked/5000", BODY, on_upload_progress=callback)
    await client.get(f"{origin.url}/chunked/5000", on_download_progress=callback)
    up = [event for event in events if event.upload]
    down = [event for event in events if event.download]
    assert len(up) + len(down) == len(events)
    assert (up[-1].loaded, up[-1].total, up[-1].progress) == (len(BODY), len(BODY), 1.0)
    assert sum(event.bytes for event in up) == len(BODY)
    assert (down[-1].loaded, down[-1].total, down[-1].progress, down[-1].estimated) == (5000, 0, None, None)
    assert sum(event.bytes for event in down) == 5000
    assert all(event.progress == event.loaded / event.total for event in up)


@pytest.mark.parametrize("kind", ["two", "three with a default", "defaults", "any", "callable object", "partial"])
async def test_with_any_other_number_it_gets_loaded_and_total(client: Any, origin: Origin, kind: str) -> None:
    calls = Calls()

    def three(note: str, loaded: int, total: int) -> None:
        assert note == "note"
        calls(loaded, total)

    callback: Any = {
        "two": lambda loaded, total: calls(loaded, total),  # noqa: PLW0108  # its signature is what is tested
        "three with a default": lambda loaded, total, note="": calls(loaded, total),
        "defaults": lambda loaded=None, total=None: calls(loaded, total),
        "any": lambda *arguments: calls(*arguments),  # noqa: PLW0108  # its signature is what is tested
        "callable object": calls,
        "partial": partial(three, "note"),
    }[kind]
    await client.get(f"{origin.url}/bytes/5000", on_download_progress=callback)
    calls.check(5000, 5000)


@pytest.mark.parametrize("option", ["on_upload_progress", "onUploadProgress", "onDownloadProgress"])
@pytest.mark.parametrize("value", [5, True, "print", [print]])
async def test_what_is_no_function_is_refused_by_name(api: Api, client: Any, option: str, value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=option) as caught:
        api.client({option: value})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    with pytest.raises(AtomHTTPOptionError, match=option):
        await client.get("http://never.sent.invalid/", **{option: value})


async def test_the_clients_callback_is_told_of_every_call_and_none_switches_it_off(api: Api, origin: Origin) -> None:
    calls = Calls()
    client = api.client(on_download_progress=calls.__call__, onUploadProgress=calls.__call__)
    await client.post(f"{origin.url}/bytes/7", b"12345")
    assert calls == [(5, 5), (7, 7)]
    await client.post(f"{origin.url}/bytes/7", b"12345", onDownloadProgress=None, on_upload_progress=None)
    assert calls == [(5, 5), (7, 7)]


async def test_both_directions_at_once(client: Any, origin: Origin) -> None:
    up, down = Calls(), Calls()
    response = await client.post(f"{origin.url}/echo", BODY, on_upload_progress=up, on_download_progress=down)
    up.check(len(BODY), len(BODY))
    down.check(len(response.content), len(response.content))


async def test_calls_of_one_client_do_not_mix(api: Api, client: Any, origin: Origin) -> None:
    sizes = [1, 300_000, 600_000]
    calls = [Calls() for _ in sizes]
    urls = [f"{origin.url}/bytes/{size}" for size in sizes]
    if api.is_sync:
        get = client.real.defer.get
        client.real.all([get(url, on_download_progress=each) for url, each in zip(urls, calls, strict=True)])
    else:
        await AtomHTTP.all([client.get(url, on_download_progress=each) for url, each in zip(urls, calls, strict=True)])
    for size, each in zip(sizes, calls, strict=True):
        each.check(size, size)


# An exception in it


@pytest.mark.parametrize("callback", [fails, fails_later])
@pytest.mark.parametrize("data", [b"x", BODY, "iterator"])
async def test_an_exception_in_an_upload_callback_aborts_and_reaches_the_caller(
    client: Any, callback: Any, data: Any
) -> None:
    with Peer([[expect_head(), drain()], [expect_head(), send(HEAD + b"0123456789"), drain()]]) as peer:
        with pytest.raises(MineError) as caught:
            await client.put(
                peer.url,
                pieces() if data == "iterator" else data,
                on_upload_progress=callback,
                retryConfig={"max_retries": 2, "backoff_factor": 0},
            )
        assert (caught.value.args, caught.value.__cause__) == (("mine",), None)
        assert traceback.extract_tb(caught.value.__traceback__)[-1].name == callback.__name__
        # The connection was closed; the client is as good as before.
        assert (await client.get(peer.url)).content == b"0123456789"
        await client.close()
    assert peer.connections == 2


@pytest.mark.parametrize("callback", [fails, fails_later])
@pytest.mark.parametrize("response_type", RESPONSE_TYPES)
async def test_an_exception_in_a_download_callback_aborts_and_reaches_the_caller(
    client: Any, callback: Any, response_type: str
) -> None:
    with Peer(
        [[expect_head(), send(HEAD + b"01234"), expect_end()], [expect_head(), send(HEAD + b"0123456789"), drain()]]
    ) as peer:
        with pytest.raises(MineError) as caught:
            response = await client.get(
                peer.url,
                response_type=response_type,
                on_download_progress=callback,
                retryConfig={"max_retries": 2, "backoff_factor": 0},
            )
            await read(response)
        assert (caught.value.args, caught.value.__cause__) == (("mine",), None)
        assert traceback.extract_tb(caught.value.__traceback__)[-1].name == callback.__name__
        gc.collect()
        assert (await client.get(peer.url)).content == b"0123456789"
        await client.close()
    assert peer.connections == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError, SystemExit])
@pytest.mark.parametrize("direction", ["upload", "download"])
async def test_a_base_exception_in_it_passes_through(
    client: Any, origin: Origin, direction: str, error: type[BaseException]
) -> None:
    def interrupt(_loaded: int, _total: int) -> None:
        raise error

    with pytest.raises(error):
        await client.post(f"{origin.url}/bytes/5000", b"x", **{f"on_{direction}_progress": interrupt})
    assert (await client.get(f"{origin.url}/bytes/3")).content == pattern(3)


async def test_an_exception_in_the_last_call_reaches_the_caller_too(client: Any, origin: Origin) -> None:
    def at_the_end(loaded: int, total: int) -> None:
        if loaded == total:
            raise MineError

    for options in ({"on_upload_progress": at_the_end}, {"on_download_progress": at_the_end}):
        with pytest.raises(MineError):
            await client.post(f"{origin.url}/bytes/600000", BODY, **options)
    for method, path in (("HEAD", "/bytes/5"), ("GET", "/status/204")):
        with pytest.raises(MineError):
            await client.request(method, f"{origin.url}{path}", on_download_progress=at_the_end)


async def test_a_timeout_error_of_its_own_is_not_ours(client: Any, origin: Origin) -> None:
    def times_out(_loaded: int, _total: int) -> None:
        raise TimeoutError("its own")

    for direction in ("upload", "download"):
        with pytest.raises(TimeoutError, match="its own") as caught:
            await client.post(f"{origin.url}/bytes/5", b"x", **{f"on_{direction}_progress": times_out})
        assert type(caught.value) is TimeoutError


@pytest.mark.parametrize("direction", ["upload", "download"])
async def test_a_network_error_that_it_raises_itself_is_not_retried(
    client: Any, origin: Origin, direction: str
) -> None:
    raised: list[Any] = []

    def call_elsewhere(_loaded: int, _total: int) -> None:
        raised.append(AtomHTTPNetworkError("of another call", "ECONNRESET"))
        raise raised[-1]

    with pytest.raises(AtomHTTPNetworkError):
        await client.put(
            f"{origin.url}/bytes/5",
            b"x",
            retryConfig={"max_retries": 2, "backoff_factor": 0},
            **{f"on_{direction}_progress": call_elsewhere},
        )
    assert len(raised) == 1


# Awaited: it may slow the transfer down, and the deadline holds


async def test_an_async_callback_slows_the_transfer_down(virtual_clock: Any, origin: Origin) -> None:
    calls = Calls()

    async def slow(loaded: int, total: int) -> None:
        calls(loaded, total)
        await asyncio.sleep(60)

    async with AtomHTTP(timeout=None) as client:
        for options in ({"on_upload_progress": slow}, {"on_download_progress": slow}):
            began = virtual_clock.time()
            calls.clear()
            await client.post(f"{origin.url}/bytes/{len(BODY)}", BODY, **options)
            calls.check(len(BODY), len(BODY))
            assert 60 * len(calls) <= virtual_clock.time() - began < 60 * len(calls) + 1


async def test_a_slow_callback_holds_the_server_back(client: Any, nginx: Any) -> None:
    response = await client.get(f"{nginx.url}/big", response_type="stream", on_download_progress=Calls())
    await wait(response.data.read(1000))
    assert response._raw.body._call.buffered < 4 * 1024 * 1024
    await close(response.data)


async def hang(_loaded: int, _total: int) -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("options", "phase"),
    [
        ({"on_upload_progress": hang}, "write"),
        ({"on_upload_progress": hang, "timeout": Timeout(30, read=90)}, "write"),
        ({"on_download_progress": hang}, "body"),
        ({"on_download_progress": hang, "timeout": {"total": 30}}, "body"),
        ({"on_download_progress": hang, "timeout": Timeout(30), "response_type": "stream"}, "body"),
        ({"on_download_progress": hang, "maxContentLength": 10_000}, "body"),
        ({"on_download_progress": hang, "validateStatus": lambda _status: False}, "body"),
        ({"on_download_progress": hang, "validateStatus": lambda _: False, "response_type": "stream"}, "body"),
    ],
)
async def test_a_deadline_that_passes_inside_an_async_callback_is_a_timeout_error(
    virtual_clock: Any, origin: Origin, options: dict[str, Any], phase: str
) -> None:
    async with AtomHTTP(timeout=30) as client:
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await read(await client.post(f"{origin.url}/bytes/5000", b"x" * 5000, **options))
        error = caught.value
        assert (error.code, error.phase, error.limit) == ("ECONNABORTED", phase, 30)
        assert error.url == f"{origin.url}/bytes/5000"
        assert 30 <= error.elapsed < 31
        assert 30 <= virtual_clock.time() < 31
        assert (await client.get(f"{origin.url}/bytes/3")).content == pattern(3)


@pytest.mark.parametrize("direction", ["upload", "download"])
async def test_so_it_is_on_both_loops(loop_kind: str, origin: Origin, direction: str) -> None:
    async with AtomHTTP(timeout=0.05) as client:
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.post(f"{origin.url}/bytes/5000", b"x", **{f"on_{direction}_progress": hang})
    assert caught.value.limit == 0.05
    assert caught.value.elapsed >= 0.05


@pytest.mark.parametrize("direction", ["upload", "download"])
async def test_callbacks_that_block_use_up_the_time_too(client: Any, origin: Origin, direction: str) -> None:
    calls = Calls()

    def block(loaded: int, total: int) -> None:
        calls(loaded, total)
        until = time.monotonic() + 0.2
        while time.monotonic() < until:  # busy for as long as the whole call may take
            pass

    body = pattern(2_000_000)
    origin.routes["/big"] = lambda request: Answer(b"" if request.body else body)
    options: dict[str, Any] = {"data": body} if direction == "upload" else {}
    with pytest.raises(AtomHTTPTimeoutError) as caught:
        await client.request("PUT", f"{origin.url}/big", timeout=0.2, **{f"on_{direction}_progress": block}, **options)
    assert caught.value.limit == 0.2
    assert len(calls) <= 1


async def test_a_callbacks_time_is_no_gap_of_a_stream(virtual_clock: Any, origin: Origin) -> None:
    async def slow(_loaded: int, _total: int) -> None:
        await asyncio.sleep(100)

    async with AtomHTTP(timeout=30) as client:
        url = f"{origin.url}/bytes/700000"
        response = await client.get(url, response_type="stream", on_download_progress=slow)
        assert await response.data.read() == pattern(700_000)
    assert virtual_clock.time() >= 300


async def test_a_task_cancelled_inside_a_callback_leaves_nothing_behind(loop_kind: str, origin: Origin) -> None:
    entered = asyncio.Event()

    async def wait_for_ever(_loaded: int, _total: int) -> None:
        entered.set()
        await asyncio.Event().wait()

    async with AtomHTTP() as client:
        for direction in ("upload", "download"):
            entered.clear()
            options = {f"on_{direction}_progress": wait_for_ever}
            call = asyncio.create_task(client.post(f"{origin.url}/bytes/600000", BODY, **options))
            await entered.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert (await client.get(f"{origin.url}/bytes/3")).content == pattern(3)


# Whose context, whose loop


async def test_a_callback_sees_the_callers_context(client: Any, origin: Origin) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    async def note(loaded: int, _total: int) -> None:
        seen.append(variable.get())
        variable.set(f"set by the callback at {loaded}")

    variable.set("the caller's")
    await client.post(f"{origin.url}/bytes/5", b"123", on_upload_progress=note, on_download_progress=note)
    assert seen == ["the caller's", "set by the callback at 3"]
    assert variable.get() == "set by the callback at 5"


async def test_the_callback_of_a_stream_runs_in_the_task_that_reads_it(loop_kind: str, origin: Origin) -> None:
    tasks: list[Any] = []

    async with AtomHTTP() as client:
        url = f"{origin.url}/bytes/5"
        options: dict[str, Any] = {"on_download_progress": lambda _l, _t: tasks.append(asyncio.current_task())}
        response = await client.get(url, response_type="stream", **options)
        reader = asyncio.create_task(response.data.read())
        assert await reader == pattern(5)
    assert tasks == [reader]


async def test_a_callback_may_call_the_client_again(client: Any, origin: Origin) -> None:
    origin.routes["/log"] = lambda _: Answer()

    async def tell(loaded: int, total: int) -> None:
        await client.get(f"{origin.url}/log", {"loaded": loaded, "total": total})

    await client.post(f"{origin.url}/bytes/5", b"123", on_upload_progress=tell, on_download_progress=tell)
    assert [each.target for each in origin.requests if each.path == "/log"] == [
        "/log?loaded=3&total=3",
        "/log?loaded=5&total=5",
    ]


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_in_the_synchronous_client_an_async_one_that_needs_an_event_loop_is_a_clear_error(
    origin: Origin, direction: str
) -> None:
    async def sleep(_loaded: int, _total: int) -> None:
        await asyncio.sleep(1)

    with SyncAtomHTTP() as client:
        with pytest.raises(RuntimeError, match="event loop"):
            client.post(f"{origin.url}/bytes/5", b"x", **{f"on_{direction}_progress": sleep})
        assert client.get(f"{origin.url}/bytes/3").content == pattern(3)


@pytest.mark.parametrize("direction", ["upload", "download"])
async def test_so_it_is_inside_a_running_loop(origin: Origin, loop_kind: str, direction: str) -> None:
    async def sleep(_loaded: int, _total: int) -> None:
        await asyncio.sleep(1)

    with SyncAtomHTTP() as client, pytest.raises(RuntimeError, match="synchronous client cannot wait for"):
        client.post(f"{origin.url}/bytes/5", b"x", **{f"on_{direction}_progress": sleep})


def test_a_synchronous_stream_may_be_read_by_another_thread(origin: Origin) -> None:
    calls, got = Calls(), []
    with SyncAtomHTTP() as client:
        stream = client.get(f"{origin.url}/bytes/700000", response_type="stream", on_download_progress=calls).data
        start = stream.read(10)
        thread = threading.Thread(target=lambda: got.append(stream.read()))
        thread.start()
        thread.join()
    assert start + got[0] == pattern(700_000)
    calls.check(700_000, 700_000)


# The bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("path", ["/bytes/5000", "/chunked/5000"])
@pytest.mark.parametrize("response_type", ["blob", "stream"])
async def test_a_progress_bar_is_a_ready_callback(client: Any, origin: Origin, path: str, response_type: str) -> None:
    out = Terminal()
    bar = ProgressBar("file.bin", out)
    for _ in range(2):
        response = await client.get(f"{origin.url}{path}", response_type=response_type, on_download_progress=bar)
        await read(response)
    lines = out.getvalue().split("\n")
    # Its line ends with the transfer, also where the total was unknown.
    assert len(lines) == 3
    assert lines[2] == ""
    assert all("file.bin" in line and "5.0 kB" in line for line in lines[:2])


async def test_a_progress_bar_is_silent_off_a_terminal(client: Any, origin: Origin) -> None:
    out = io.StringIO()
    await client.get(f"{origin.url}/bytes/5000", on_download_progress=ProgressBar("file.bin", out))
    assert out.getvalue() == ""


async def test_the_line_of_a_bar_ends_when_the_transfer_fails(client: Any) -> None:
    out = Terminal()
    with Peer([expect_head(), send(HEAD + b"01234")]) as peer, pytest.raises(AtomHTTPNetworkError):
        await client.get(peer.url, on_download_progress=ProgressBar("file.bin", out), retryConfig=False)
    assert out.getvalue().endswith("\n")
