"""`response_type="stream"` (contract: Response types)."""

from __future__ import annotations

import asyncio
import gc
import linecache
import re
import threading
import warnings
from typing import Any

import pytest

import atomhttp
from atomhttp import AtomHTTP, AtomHTTPClosedError, AtomHTTPLimitError, AtomHTTPNetworkError, AtomHTTPOptionError
from contract.flavours import Api, close, collect, each, entered, wait
from support.nginx import BIG_SIZE, BLOB, Nginx
from support.origin import Origin, pattern
from support.peer import Peer, drain, expect_end, expect_head, hold, send
from support.peer import close as close_step
from support.peer import wait as wait_step

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


async def test_a_stream_is_an_iterator_of_bytes(client: Any, nginx: Nginx) -> None:
    response = await client.get(f"{nginx.url}/blob", response_type="stream")
    pieces = await collect(response.data)
    assert b"".join(pieces) == BLOB
    assert all(type(piece) is bytes and piece for piece in pieces)
    assert response.content == b""


async def test_the_head_is_there_before_the_content(client: Any) -> None:
    go_on = threading.Event()
    with Peer([expect_head(), send(HEAD + b"01234"), wait_step(go_on), send(b"56789"), expect_end()]) as peer:
        response = await client.get(peer.url, response_type="stream")
        assert response.status == 200
        pieces = each(response.data)
        assert await anext(pieces) == b"01234"
        go_on.set()
        assert await anext(pieces) == b"56789"
        assert [piece async for piece in pieces] == []
        await client.close()


async def test_read_gives_n_bytes_and_the_rest(client: Any, origin: Origin) -> None:
    stream = (await client.get(f"{origin.url}/chunked/5000", response_type="stream")).data
    assert await wait(stream.read(10)) == pattern(5000)[:10]
    assert await wait(stream.read(2500)) == pattern(5000)[10:2510]
    assert await wait(stream.read(0)) == b""
    assert await wait(stream.read()) == pattern(5000)[2510:]


@pytest.mark.parametrize("size", [1000, 999])
async def test_read_n_until_it_is_empty_is_a_loop_that_ends(client: Any, origin: Origin, size: int) -> None:
    stream = (await client.get(f"{origin.url}/chunked/5000", response_type="stream")).data
    pieces = []
    while piece := await wait(stream.read(size)):
        pieces.append(piece)
    assert b"".join(pieces) == pattern(5000)


@pytest.mark.parametrize("size", [1000, 999, 5000, 70_000])
async def test_iter_bytes_gives_pieces_of_that_size(client: Any, origin: Origin, size: int) -> None:
    stream = (await client.get(f"{origin.url}/chunked/5000", response_type="stream")).data
    pieces = await collect(stream.iter_bytes(size))
    assert b"".join(pieces) == pattern(5000)
    assert {len(piece) for piece in pieces[:-1]} <= {size}
    assert 0 < len(pieces[-1]) <= size


async def test_iter_bytes_without_size_gives_what_arrives(client: Any, origin: Origin) -> None:
    stream = (await client.get(f"{origin.url}/chunked/5000", response_type="stream")).data
    assert b"".join(await collect(stream.iter_bytes())) == pattern(5000)


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"one\ntwo\r\n\nlast", ["one", "two", "", "last"]),
        (b"one\n", ["one"]),
        (b"", []),
        ("grün\n".encode(), ["grün"]),
        (b"a\rb\n", ["a\rb"]),
    ],
)
async def test_iter_lines_gives_text_without_ends(client: Any, answer: Any, body: bytes, lines: list[str]) -> None:
    stream = (await client.get(answer(body), response_type="stream")).data
    assert await collect(stream.iter_lines()) == lines


@pytest.mark.parametrize("body", [b"x" * 30 + b"\n", b"x" * 30])
async def test_a_line_longer_than_max_line_is_a_limit_error(client: Any, answer: Any, body: bytes) -> None:
    stream = (await client.get(answer(b"short\n" + body), response_type="stream")).data
    lines = each(stream.iter_lines(max_line=20))
    assert await anext(lines) == "short"
    with pytest.raises(AtomHTTPLimitError) as caught:
        await anext(lines)
    assert caught.value.limit == 20


async def test_many_lines_in_one_piece_are_no_long_line(client: Any, answer: Any) -> None:
    stream = (await client.get(answer(b"0123456789\n" * 1000), response_type="stream")).data
    assert await collect(stream.iter_lines(max_line=10)) == ["0123456789"] * 1000


# Its end


async def test_at_the_end_the_connection_returns_to_the_pool(client: Any, origin: Origin) -> None:
    for _ in range(3):
        response = await client.get(f"{origin.url}/chunked/5000", response_type="stream")
        await collect(response.data)
        assert response.data.closed
    assert origin.connections == 1


async def test_read_to_the_end_returns_the_connection_too(client: Any, origin: Origin) -> None:
    for _ in range(3):
        assert (
            len(await wait((await client.get(f"{origin.url}/bytes/5000", response_type="stream")).data.read())) == 5000
        )
    assert origin.connections == 1


async def test_closed_early_the_connection_is_closed(client: Any) -> None:
    with Peer(
        [[expect_head(), send(HEAD + b"0"), expect_end()], [expect_head(), send(HEAD + b"0123456789"), drain()]]
    ) as peer:
        response = await client.get(peer.url, response_type="stream")
        await close(response.data)
        await close(response.data)
        assert response.data.closed
        assert (await client.get(peer.url)).content == b"0123456789"
        await client.close()


async def test_closing_the_client_closes_the_connection_of_a_stream_that_nobody_is_reading(client: Any) -> None:
    with Peer([expect_head(), send(HEAD + b"0"), expect_end()]) as peer:
        stream = (await client.get(peer.url, response_type="stream")).data
        assert await wait(stream.read(1)) == b"0"
        await client.close()
    # The peer has seen its end by now.
    for _ in range(2):
        with pytest.raises(AtomHTTPClosedError):
            await wait(stream.read(1))
    assert stream.closed


@pytest.mark.parametrize(
    ("method", "value"),
    [
        *(("read", value) for value in ("x", 1.5, b"1", True)),
        *(("iter_bytes", value) for value in (0, -1, "x", 1.5, b"1", True)),
        *(("iter_lines", value) for value in (0, -1, "x", 1.5, None, True)),
    ],
)
async def test_a_size_that_is_none_is_an_option_error(client: Any, origin: Origin, method: str, value: Any) -> None:
    stream = (await client.get(f"{origin.url}/chunked/5000", response_type="stream")).data
    name = {"read": "n", "iter_bytes": "size", "iter_lines": "max_line"}[method]
    with pytest.raises(AtomHTTPOptionError, match=f"^{name}: expected a number of bytes, .*, got ") as caught:
        await wait(getattr(stream, method)(value))
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    # Nothing of it is lost.
    assert await wait(stream.read()) == pattern(5000)


@pytest.mark.parametrize("count", [-1, -2, None])
async def test_read_all_in_every_way_that_files_have(client: Any, origin: Origin, count: Any) -> None:
    stream = (await client.get(f"{origin.url}/chunked/5000", response_type="stream")).data
    assert await wait(stream.read(count)) == pattern(5000)


@pytest.mark.parametrize("what", ["stream", "response"])
async def test_with_closes_it(api: Api, client: Any, what: str) -> None:
    with Peer([expect_head(), send(HEAD + b"0"), expect_end()]) as peer:
        response = await client.get(peer.url, response_type="stream")
        async with entered(response if what == "response" else response.data, api) as entry:
            assert entry is (response if what == "response" else response.data)
            assert await wait(response.data.read(1)) == b"0"
        assert response.data.closed


async def test_a_second_pass_is_err_stream_consumed(client: Any, origin: Origin) -> None:
    stream = (await client.get(f"{origin.url}/chunked/2000", response_type="stream")).data
    await collect(stream)
    for again in (lambda: stream, stream.iter_bytes, stream.iter_lines):
        with pytest.raises(AtomHTTPClosedError) as caught:
            await collect(again())
        assert caught.value.code == "ERR_STREAM_CONSUMED"
    with pytest.raises(AtomHTTPClosedError) as caught:
        await wait(stream.read())
    assert caught.value.code == "ERR_STREAM_CONSUMED"


async def test_a_closed_stream_is_err_stream_consumed(client: Any, origin: Origin) -> None:
    stream = (await client.get(f"{origin.url}/bytes/2000", response_type="stream")).data
    await close(stream)
    with pytest.raises(AtomHTTPClosedError) as caught:
        await wait(stream.read())
    assert caught.value.code == "ERR_STREAM_CONSUMED"
    with pytest.raises(AtomHTTPClosedError) as caught:
        await collect(stream)
    assert caught.value.code == "ERR_STREAM_CONSUMED"


async def test_a_forgotten_stream_is_closed_with_a_resource_warning_that_names_where_it_was_opened(
    api: Api, client: Any
) -> None:
    with Peer([expect_head(), send(HEAD + b"0"), expect_end()]) as peer:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if api.is_sync:
                client.real.get(peer.url, response_type="stream")
            else:
                await client.get(peer.url, response_type="stream")
            gc.collect()
        await client.close()
    [warning] = [each.message for each in caught if each.category is ResourceWarning]
    place = re.search(rf"{re.escape(__file__)}:(\d+)", str(warning))
    assert place is not None, warning
    assert ".get(peer.url, response_type=" in linecache.getline(__file__, int(place[1]))


async def test_a_stream_read_to_its_end_is_not_forgotten(client: Any, origin: Origin) -> None:
    response = await client.get(f"{origin.url}/bytes/100", response_type="stream")
    await collect(response.data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del response
        gc.collect()
    assert [each for each in caught if each.category is ResourceWarning] == []


async def test_streams_work_across_calls(client: Any, origin: Origin) -> None:
    first = (await client.get(f"{origin.url}/chunked/3000", response_type="stream")).data
    second = (await client.get(f"{origin.url}/chunked/4000", response_type="stream")).data
    whole = (await client.get(f"{origin.url}/bytes/10")).content
    one, other = await wait(first.read(1500)), await wait(second.read(1500))
    one += await wait(first.read())
    other += await wait(second.read())
    assert (one, other, whole) == (pattern(3000), pattern(4000), pattern(10))


async def test_a_stream_that_breaks_off_is_an_error_of_the_network(client: Any) -> None:
    with Peer([expect_head(), send(HEAD + b"01234"), close_step()]) as peer:
        stream = (await client.get(peer.url, response_type="stream")).data
        assert await wait(stream.read(5)) == b"01234"
        with pytest.raises(AtomHTTPNetworkError):
            await wait(stream.read())
        assert stream.closed
        with pytest.raises(AtomHTTPClosedError):  # and not an end that looks like a good one
            await wait(stream.read())


async def test_a_stream_of_nothing_is_empty(client: Any, origin: Origin) -> None:
    for verb, path in (("get", "/status/204"), ("head", "/bytes/10"), ("get", "/bytes/0")):
        response = await getattr(client, verb)(f"{origin.url}{path}", response_type="stream")
        assert await collect(response.data) == []
    assert origin.connections == 1


async def test_trailers_are_there_when_the_stream_has_been_read(client: Any) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 5\r\n\r\n"
    with Peer([expect_head(), send(answer), drain()]) as peer:
        response = await client.get(peer.url, response_type="stream")
        assert await wait(response.data.read()) == b"ok"
        assert response.trailers["x-sum"] == "5"
        await client.close()


async def test_back_pressure_reaches_the_server(client: Any, nginx: Nginx) -> None:
    response = await client.get(f"{nginx.url}/big", response_type="stream")
    for _ in range(3):
        await wait(response.data.read(1000))
    # 100 MiB would be here by now; what is held is a socket's and a stream's worth.
    held = response._raw.body._call.buffered
    assert held < 4 * 1024 * 1024 < BIG_SIZE
    await close(response.data)


async def test_closing_the_client_ends_its_streams(api: Api) -> None:
    client = api.client()
    with Peer([expect_head(), send(HEAD + b"0"), expect_end()]) as peer:
        stream = (await client.get(peer.url, response_type="stream")).data
        assert await wait(stream.read(1)) == b"0"
        await client.close()
        with pytest.raises(AtomHTTPClosedError) as caught:
            await wait(stream.read())
        assert caught.value.code == "ERR_CLIENT_CLOSED"


async def test_an_open_stream_can_be_neither_copied_nor_pickled(client: Any, origin: Origin) -> None:
    import copy
    import pickle

    response = await client.get(f"{origin.url}/bytes/10", response_type="stream")
    for action in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="read it first"):
            action(response.data)
    await close(response.data)


def test_a_stream_of_a_one_shot_outlives_the_call(nginx: Nginx) -> None:
    with atomhttp.get(f"{nginx.url}/blob", response_type="stream") as response:
        assert response.data.read() == BLOB


def test_a_stream_of_a_one_shot_may_be_closed_early() -> None:
    with Peer([expect_head(), send(HEAD + b"0"), expect_end()]) as peer:
        atomhttp.get(peer.url, response_type="stream").data.close()


async def test_a_stream_of_the_network_holds_no_more_after_its_end(client: Any) -> None:
    with Peer([[expect_head(), send(HEAD + b"0123456789"), expect_head(), send(HEAD + b"0123456789"), hold()]]) as peer:
        for _ in range(2):
            stream = (await client.get(peer.url, response_type="stream")).data
            assert await wait(stream.read(10)) == b"0123456789"
            # Reading exactly what there is has reached the end already.
            assert await wait(stream.read(1)) == b""
        assert peer.connections == 1


def test_a_stream_belongs_to_the_loop_that_made_it() -> None:
    client = AtomHTTP()
    with Peer([expect_head(), send(HEAD), expect_end()]) as peer, asyncio.Runner() as first, asyncio.Runner() as second:
        response = first.run(client.get(peer.url, response_type="stream"))
        with pytest.raises(RuntimeError, match="another event loop"):
            second.run(response.data.read())
        first.run(client.close())


async def test_text_and_json_of_a_stream_say_how_to_read_it(client: Any, origin: Origin) -> None:
    response = await client.get(f"{origin.url}/bytes/5", response_type="stream")
    with pytest.raises(AtomHTTPOptionError, match=r"response\.text: this response is a stream"):
        _ = response.text
    with pytest.raises(AtomHTTPOptionError, match=r"response\.json\(\)"):
        response.json()
    await wait(response.data.read())
