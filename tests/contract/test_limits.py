"""`maxBodyLength` and `maxContentLength` (contract: Limits and timeouts): on every hop, type, status, coding, adapter.

The sizes of compression bombs are in `test_content_codings`.
"""

from __future__ import annotations

import copy
import gzip
import io
import pickle
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brotli
import pytest
from backports import zstd

from atomhttp import AdapterResponse, AtomHTTPLimitError, AtomHTTPStatusError, FormData
from contract.flavours import Api, collect, wait
from support.naming import described
from support.origin import Answer, Origin, Received
from support.peer import Peer, drain, expect_body, expect_end, expect_head, send

# Valid as text, as JSON and as list[int].
CONTENT = b"[" + b"1," * 4_000 + b"1]"
SIZE = len(CONTENT)

TYPES: tuple[Any, ...] = ("json", "text", "blob", "arraybuffer", "stream", list[int])
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
FRAMINGS = ("length", "chunked", "eof")


async def limit_error(call: Any) -> AtomHTTPLimitError:
    with pytest.raises(AtomHTTPLimitError) as caught:
        await call
    return caught.value


def check(error: AtomHTTPLimitError, code: str, limit: int, size: int | None = None) -> None:
    assert (error.code, error.limit) == (code, limit)
    assert error.size == size if size is not None else error.size > limit
    assert str(limit) in str(error)
    assert error.response is None


async def fetch(client: Any, url: str, **options: Any) -> bytes:
    """The content, read to its end whatever the type."""
    response = await client.get(url, **options)
    if options.get("response_type") == "stream":
        return b"".join(await collect(response.data))
    return response.content


class Server:
    """An origin that sends CONTENT in one framing."""

    def __init__(self, framing: str) -> None:
        self.framing = framing
        self.origin = Origin(version="HTTP/1.0" if framing == "eof" else "HTTP/1.1")

    def answer(self, body: bytes, status: int = 200, **fields: str) -> str:
        headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
        self.origin.routes["/"] = lambda _: Answer(body, status, headers, chunked=self.framing == "chunked")
        return f"{self.origin.url}/"


@pytest.fixture(params=FRAMINGS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    made = Server(request.param)
    with made.origin:
        yield made


# maxContentLength


@pytest.mark.parametrize("response_type", TYPES, ids=described)
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("progress", [False, True], ids=["", "progress"])
async def test_max_content_length_holds_on_every_type_coding_and_framing(
    client: Any, server: Server, response_type: Any, coding: str, progress: bool
) -> None:
    url = server.answer(CODINGS[coding](CONTENT), Content_Encoding=coding)
    seen: list[int] = []
    options: dict[str, Any] = {"response_type": response_type}
    if progress:
        options["on_download_progress"] = lambda loaded, total: seen.append(loaded)
    assert await fetch(client, url, maxContentLength=SIZE, **options) == CONTENT
    seen.clear()
    error = await limit_error(fetch(client, url, maxContentLength=SIZE - 1, **options))
    check(error, "ERR_MAX_CONTENT_LENGTH", SIZE - 1)
    assert seen == sorted(set(seen))
    # What was refused is not in the way of what comes next.
    assert await fetch(client, url, maxContentLength=SIZE) == CONTENT


@pytest.mark.parametrize("status", [200, 201, 206, 300, 304, 400, 404, 418, 500, 503])
async def test_max_content_length_holds_on_every_status(client: Any, server: Server, status: int) -> None:
    url = server.answer(b"" if status == 304 else b"12345", status)
    if status == 304:
        assert (await client.get(url, maxContentLength=0)).status == 304
        return
    assert (await client.get(url, maxContentLength=5)).status == status
    for response_type in ("json", "stream"):
        error = await limit_error(fetch(client, url, maxContentLength=4, response_type=response_type))
        check(error, "ERR_MAX_CONTENT_LENGTH", 4, 5)


@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_a_refused_status_shows_what_the_limit_allows(client: Any, server: Server, response_type: str) -> None:
    url = server.answer(b"it is not here", 404)
    for limit, shown in ((4, b"it i"), (0, b""), (14, b"it is not here"), (-1, b"it is not here")):
        with pytest.raises(AtomHTTPStatusError) as caught:
            await client.get(url, maxContentLength=limit, response_type=response_type, validateStatus=True)
        response = caught.value.response
        assert (response.content, response.truncated) == (shown, len(shown) < 14)


@pytest.mark.parametrize("limit", [-1, None])
@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_minus_one_and_none_are_no_limit(
    api: Api, client: Any, server: Server, limit: Any, response_type: str
) -> None:
    url = server.answer(CONTENT)
    assert await fetch(client, url, maxContentLength=limit, response_type=response_type) == CONTENT
    limited = api.client(max_content_length=5)
    assert await fetch(limited, url, maxContentLength=limit, response_type=response_type) == CONTENT
    await limit_error(fetch(limited, url, response_type=response_type))


@pytest.mark.parametrize("response_type", ["json", "blob", "stream"])
async def test_0_is_a_real_limit(client: Any, server: Server, response_type: str) -> None:
    assert await fetch(client, server.answer(b""), maxContentLength=0, response_type=response_type) == b""
    error = await limit_error(fetch(client, server.answer(b"x"), maxContentLength=0, response_type=response_type))
    check(error, "ERR_MAX_CONTENT_LENGTH", 0, 1)


@pytest.mark.parametrize("response_type", TYPES, ids=described)
@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("progress", [False, True], ids=["", "progress"])
async def test_content_length_fails_early(client: Any, response_type: Any, status: int, progress: bool) -> None:
    """Before any content is waited for; the connection is closed, not drained."""
    head = b"HTTP/1.1 %d X\r\nContent-Length: 1000000\r\n\r\n" % status
    calls: list[Any] = []
    options = {"on_download_progress": lambda loaded, total: calls.append(loaded)} if progress else {}
    with Peer([expect_head(), send(head), expect_end()]) as peer:
        error = await limit_error(
            client.get(peer.url, maxContentLength=999_999, response_type=response_type, **options)
        )
    check(error, "ERR_MAX_CONTENT_LENGTH", 999_999, 1_000_000)
    assert calls == []


async def test_coded_content_does_not_fail_by_its_content_length(client: Any, answer: Any) -> None:
    """Small content may be larger in gzip: what counts is what comes of it."""
    packed = gzip.compress(b"0123456789")
    assert len(packed) > 10
    url = answer(packed, headers=[("Content-Encoding", "gzip")])
    for response_type in ("text", "stream"):
        assert await fetch(client, url, maxContentLength=10, response_type=response_type) == b"0123456789"
        error = await limit_error(fetch(client, url, maxContentLength=9, response_type=response_type))
        check(error, "ERR_MAX_CONTENT_LENGTH", 9, 10)


@pytest.mark.parametrize("response_type", ["text", "stream"])
async def test_without_decompress_bytes_are_counted_as_they_are(
    client: Any, server: Server, response_type: str
) -> None:
    packed = gzip.compress(b"x" * 10_000)
    url = server.answer(packed, Content_Encoding="gzip")
    options = {"decompress": False, "response_type": response_type}
    assert await fetch(client, url, maxContentLength=len(packed), **options) == packed
    error = await limit_error(fetch(client, url, maxContentLength=len(packed) - 1, **options))
    check(error, "ERR_MAX_CONTENT_LENGTH", len(packed) - 1)


async def test_an_unknown_coding_is_counted_as_it_is(client: Any, server: Server) -> None:
    url = server.answer(b"made up", Content_Encoding="made-up")
    assert await fetch(client, url, maxContentLength=7, response_type="blob") == b"made up"
    check(
        await limit_error(fetch(client, url, maxContentLength=6, response_type="blob")), "ERR_MAX_CONTENT_LENGTH", 6, 7
    )


async def test_head_and_what_has_no_content_have_no_length(client: Any, origin: Origin) -> None:
    assert (await client.head(f"{origin.url}/bytes/100000", maxContentLength=0)).status == 200
    response = await client.head(f"{origin.url}/bytes/100000", maxContentLength=0, response_type="stream")
    assert await collect(response.data) == []
    assert (await client.get(f"{origin.url}/status/204", maxContentLength=0)).status == 204


@pytest.mark.parametrize("response_type", ["text", "stream"])
async def test_max_content_length_holds_on_every_hop(client: Any, server: Server, response_type: str) -> None:
    there = f"{server.origin.url}/there"
    here = server.answer(b"moved away", 302, Location=there)
    server.origin.routes["/there"] = lambda _: Answer(b"fine", chunked=server.framing == "chunked")
    assert await fetch(client, here, maxContentLength=10, response_type=response_type) == b"fine"
    error = await limit_error(fetch(client, here, maxContentLength=9, response_type=response_type))
    check(error, "ERR_MAX_CONTENT_LENGTH", 9, 10)
    server.answer(b"", 302, Location=there)
    error = await limit_error(fetch(client, here, maxContentLength=3, response_type=response_type))
    check(error, "ERR_MAX_CONTENT_LENGTH", 3, 4)


async def test_a_redirect_that_is_not_followed_has_content_like_any_other(client: Any, server: Server) -> None:
    url = server.answer(b"moved away", 302, Location="/there")
    response = await client.get(url, maxContentLength=10, maxRedirects=0)
    assert (response.status, response.content) == (302, b"moved away")
    await limit_error(client.get(url, maxContentLength=9, maxRedirects=0))


async def test_a_stream_fails_where_it_crosses_and_not_before(client: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"5\r\n01234\r\n5\r\n56789\r\n1\r\n!\r\n0\r\n\r\n"
    with Peer([expect_head(), send(head + chunks), drain()]) as peer:
        stream = (await client.get(peer.url, maxContentLength=10, response_type="stream")).data
        assert await wait(stream.read(10)) == b"0123456789"
        with pytest.raises(AtomHTTPLimitError) as caught:
            await wait(stream.read())
        assert stream.closed
        await client.close()
    error = caught.value
    assert (error.code, error.limit, error.size) == ("ERR_MAX_CONTENT_LENGTH", 10, 11)


@pytest.mark.parametrize("response_type", ["text", "stream"])
@pytest.mark.parametrize("kind", ["bytes", "list", "async"])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_max_content_length_holds_on_every_adapter(api: Api, response_type: str, kind: str, coding: str) -> None:
    packed = CODINGS[coding](CONTENT)

    async def pieces() -> Any:
        yield packed[:10]
        yield packed[10:]

    class Adapter:
        async def send(self, _request: Any) -> AdapterResponse:
            body: Any = {"bytes": packed, "list": [packed[:10], packed[10:]], "async": pieces()}[kind]
            return AdapterResponse(200, {"Content-Encoding": coding}, body)

        async def close(self) -> None:
            pass

    client = api.client(adapter=Adapter())
    options = {"response_type": response_type}
    assert await fetch(client, "http://service.test/", maxContentLength=SIZE, **options) == CONTENT
    error = await limit_error(fetch(client, "http://service.test/", maxContentLength=SIZE - 1, **options))
    check(error, "ERR_MAX_CONTENT_LENGTH", SIZE - 1)


# maxBodyLength, known sizes


def form_of(tmp_path: Path) -> FormData:
    path = tmp_path / "file.txt"
    path.write_bytes(b"x" * 1000)
    form = FormData({"field": "value"})
    form.append("path", path)
    form.append("memory", io.BytesIO(b"y" * 1000), "memory.bin")
    return form


def file_of(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(b"0123456789")
    return path


KNOWN: dict[str, Callable[[Path], dict[str, Any]]] = {
    "bytes": lambda tmp_path: {"data": b"0123456789"},
    "bytearray": lambda tmp_path: {"data": bytearray(b"0123456789")},
    "str": lambda tmp_path: {"data": "grün"},
    "dict": lambda tmp_path: {"data": {"a": [1, 2]}},
    "json": lambda tmp_path: {"json": "text"},
    "form": lambda tmp_path: {"form": {"a": "b c", "d": "ü"}},
    "Path": lambda tmp_path: {"data": file_of(tmp_path)},
    "FormData": lambda tmp_path: {"data": FormData({"a": "b"})},
    "FormData with files": lambda tmp_path: {"data": form_of(tmp_path)},
    "multipart": lambda tmp_path: {"data": {"a": 1}, "headers": {"Content-Type": "multipart/form-data"}},
    "transformed": lambda tmp_path: {"data": "x", "transformRequest": lambda data: data * 7},
    "declared": lambda tmp_path: {"data": iter([b"01234", b"56789"]), "headers": {"Content-Length": "10"}},
}


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("progress", [False, True], ids=["", "progress"])
async def test_bodies_of_known_size_fail_before_a_byte_is_sent(
    client: Any, origin: Origin, tmp_path: Path, kind: str, progress: bool
) -> None:
    calls: list[Any] = []
    more = {"on_upload_progress": lambda loaded, total: calls.append(loaded)} if progress else {}
    await client.post(f"{origin.url}/echo", **KNOWN[kind](tmp_path))
    size = len(origin.requests[0].body)
    await client.post(f"{origin.url}/echo", maxBodyLength=size, **KNOWN[kind](tmp_path))
    assert len(origin.requests[1].body) == size
    assert origin.connections == 1
    for limit in (size - 1, 0):
        # A name that nobody is asked for.
        call = client.post("http://nowhere.test/", maxBodyLength=limit, **KNOWN[kind](tmp_path), **more)
        check(await limit_error(call), "ERR_MAX_BODY_LENGTH", limit, size)
    assert calls == []


async def test_a_file_counts_from_its_position(client: Any, origin: Origin, tmp_path: Path) -> None:
    with file_of(tmp_path).open("rb") as file:
        file.seek(7)
        await client.post(f"{origin.url}/echo", file, maxBodyLength=3)
        assert origin.requests[0].body == b"789"
        check(
            await limit_error(client.post("http://nowhere.test/", file, maxBodyLength=2)), "ERR_MAX_BODY_LENGTH", 2, 3
        )
        assert not file.closed


async def test_no_body_fits_into_0(client: Any, origin: Origin) -> None:
    for method in ("get", "post", "delete"):
        assert (await client.request(method, f"{origin.url}/echo", maxBodyLength=0)).status == 200
    for empty in (b"", ""):
        assert (await client.post(f"{origin.url}/echo", empty, maxBodyLength=0)).status == 200
    check(await limit_error(client.post("http://nowhere.test/", b"x", maxBodyLength=0)), "ERR_MAX_BODY_LENGTH", 0, 1)


@pytest.mark.parametrize("limit", [-1, None])
async def test_minus_one_and_none_let_every_body_pass(api: Api, origin: Origin, limit: Any) -> None:
    client = api.client(max_body_length=5, baseURL=origin.url)
    await client.post("/echo", b"x" * 100_000, maxBodyLength=limit)
    await client.post("/echo", api.iterator([b"x" * 100_000]), maxBodyLength=limit)
    assert [len(each.body) for each in origin.requests] == [100_000, 100_000]
    await limit_error(client.post("/echo", b"123456"))


# maxBodyLength, streams


def streams(api: Api) -> dict[str, Callable[[list[bytes]], Any]]:
    class Iterable:
        def __init__(self, pieces: list[bytes]) -> None:
            self.pieces = pieces

        def __iter__(self) -> Iterator[bytes]:
            return iter(self.pieces)

    def form(pieces: list[bytes]) -> FormData:
        form = FormData()
        form.append("stream", api.iterator(pieces))
        return form

    return {"iterator": api.iterator, "iterable": Iterable, "form": form}


@pytest.mark.parametrize("kind", ["iterator", "iterable", "form"])
@pytest.mark.parametrize("progress", [False, True], ids=["", "progress"])
async def test_streams_fail_when_they_cross(api: Api, client: Any, origin: Origin, kind: str, progress: bool) -> None:
    make = streams(api)[kind]
    seen: list[int] = []
    more = {"on_upload_progress": lambda loaded, total: seen.append(loaded)} if progress else {}
    await client.post(f"{origin.url}/echo", make([b"01234", b"56789"]))
    size = len(origin.requests[0].body)
    await client.post(f"{origin.url}/echo", make([b"01234", b"56789"]), maxBodyLength=size, **more)
    assert len(origin.requests[1].body) == size
    assert not progress or seen[-1] == size
    seen.clear()
    error = await limit_error(
        client.post(f"{origin.url}/echo", make([b"01234", b"56789"]), maxBodyLength=size - 1, **more)
    )
    check(error, "ERR_MAX_BODY_LENGTH", size - 1, size)
    assert all(each < size for each in seen)
    # The server has not taken it for whole, and the client goes on.
    assert (await client.get(f"{origin.url}/echo")).status == 200
    assert [each.method for each in origin.requests] == ["POST", "POST", "GET"]


async def test_what_crosses_is_not_sent(api: Api, client: Any) -> None:
    with Peer([expect_head(), drain()]) as peer:
        error = await limit_error(
            client.post(peer.url, api.iterator([b"first", b"second", b"never read"]), maxBodyLength=10)
        )
    check(error, "ERR_MAX_BODY_LENGTH", 10, 11)
    body = peer.received().partition(b"\r\n\r\n")[2]
    assert b"second" not in body
    assert b"\r\n0\r\n\r\n" not in body


async def test_an_endless_stream_ends_at_the_limit(api: Api, client: Any) -> None:
    taken: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield b"x" * 1000

    with Peer([expect_head(), drain()]) as peer:
        error = await limit_error(client.post(peer.url, endless(), maxBodyLength=100_000))
    check(error, "ERR_MAX_BODY_LENGTH", 100_000, 101_000)
    assert len(taken) == 101


@pytest.mark.parametrize("status", [307, 308])
async def test_max_body_length_holds_on_every_hop(api: Api, client: Any, origin: Origin, status: int) -> None:
    """Each hop counts anew, and what fits is not too large for the second one."""
    origin.routes["/here"] = lambda _: Answer(b"", status, [("Location", "/echo")])
    for data in (b"0123456789", streams(api)["iterable"]([b"01234", b"56789"])):
        response = await client.post(f"{origin.url}/here", data, maxBodyLength=10)
        assert response.data["body"] == "0123456789"


async def test_a_body_that_auth_wants_to_see_is_limited_too(api: Api, client: Any, origin: Origin) -> None:
    class Signing:
        requires_body = True
        seen: bytes | None = None

        def auth_flow(self, request: Any) -> Iterator[Any]:
            self.seen = request.body
            yield request

    signing = Signing()
    await client.post(f"{origin.url}/echo", api.iterator([b"01234", b"56789"]), maxBodyLength=10, auth=signing)
    assert (signing.seen, origin.requests[0].body) == (b"0123456789", b"0123456789")
    call = client.post(f"{origin.url}/echo", api.iterator([b"01234", b"56789"]), maxBodyLength=9, auth=signing)
    check(await limit_error(call), "ERR_MAX_BODY_LENGTH", 9, 10)
    assert len(origin.requests) == 1


async def test_max_body_length_holds_on_every_adapter(api: Api) -> None:
    class Adapter:
        sent: bytes = b""

        async def send(self, request: Any) -> AdapterResponse:
            self.sent = request.body if isinstance(request.body, bytes) else b""
            if not isinstance(request.body, bytes):
                async for piece in request.body:
                    self.sent += piece
            return AdapterResponse(200)

        async def close(self) -> None:
            pass

    adapter = Adapter()
    client = api.client(adapter=adapter, baseURL="http://service.test")
    for data in (b"01234", api.iterator([b"012", b"34"])):
        await client.post("/", data, maxBodyLength=5)
        assert adapter.sent == b"01234"
    for data in (b"012345", api.iterator([b"012", b"345"])):
        check(await limit_error(client.post("/", data, maxBodyLength=5)), "ERR_MAX_BODY_LENGTH", 5, 6)


async def test_both_limits_at_once_are_two(client: Any, origin: Origin) -> None:
    def ten(request: Received) -> Answer:
        return Answer(b"x" * 10)

    origin.routes["/ten"] = ten
    response = await client.post(f"{origin.url}/ten", b"12345", maxBodyLength=5, maxContentLength=10)
    assert response.content == b"x" * 10
    error = await limit_error(client.post(f"{origin.url}/ten", b"123456", maxBodyLength=5, maxContentLength=9))
    assert error.code == "ERR_MAX_BODY_LENGTH"
    error = await limit_error(client.post(f"{origin.url}/ten", b"12345", maxBodyLength=5, maxContentLength=9))
    assert error.code == "ERR_MAX_CONTENT_LENGTH"


async def test_an_answer_that_comes_before_the_upload_is_done_is_limited(client: Any) -> None:
    answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 20\r\n\r\n" + b"x" * 20
    with Peer([expect_head(), send(answer), expect_body(), drain()]) as peer:
        error = await limit_error(client.post(peer.url, b"x" * 1000, maxContentLength=19))
        await client.close()
    check(error, "ERR_MAX_CONTENT_LENGTH", 19, 20)


async def test_an_error_of_a_stream_knows_its_call(client: Any, origin: Origin) -> None:
    stream = (await client.get(f"{origin.url}/chunked/100", maxContentLength=10, response_type="stream")).data
    with pytest.raises(AtomHTTPLimitError) as caught:
        await wait(stream.read())
    assert caught.value.config.url == f"{origin.url}/chunked/100"
    assert caught.value.request.method == "GET"


async def test_limits_are_on_errors_that_are_shown_and_sent_again(client: Any, origin: Origin) -> None:
    error = await limit_error(client.get(f"{origin.url}/bytes/100", maxContentLength=10))
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (twin.code, twin.limit, twin.size, str(twin)) == (error.code, error.limit, error.size, str(error))
    response = await client.request(error.config, maxContentLength=100)
    assert len(response.content) == 100
