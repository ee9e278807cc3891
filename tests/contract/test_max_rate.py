"""`maxRate` (contract: Options; part 2: a4): bytes per second, at once what half a second lets pass."""

from __future__ import annotations

import asyncio
import gzip
import io
import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPClosedError,
    AtomHTTPLimitError,
    AtomHTTPOptionError,
    AtomHTTPTimeoutError,
    FormData,
    Timeout,
)
from contract.flavours import Api, collect, wait
from support.origin import Answer, Origin, pattern
from support.peer import Peer, expect_end, expect_head, send

# Each half second of virtual time costs the tests 50 ms of real time: few of them.
RATE = 20_000
SIZE = 50_000
BODY = random.Random(1).randbytes(SIZE)
# What may pass at once, in seconds, and how late the engine's timers may be.
WINDOW, LATE = 0.5, 1 / 32


class Clocked:
    """A callback that remembers when how much had passed, on the virtual clock."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.began = clock.time()
        self.seen: list[tuple[float, int]] = []

    def __call__(self, loaded: int, _total: int) -> None:
        self.seen.append((self._clock.time() - self.began, loaded))

    def check(self, size: int, rate: float, since: float = 0.0) -> None:
        """Never too fast, never standing still, and no slower than it has to be. `since`: when it could begin."""
        assert self.seen[-1][1] == size
        for passed, loaded in self.seen:
            assert loaded <= rate * (passed - since + WINDOW) + 1, (passed, loaded)
        times = [since, *(passed for passed, _ in self.seen)]
        assert max(after - before for before, after in itertools.pairwise(times)) <= WINDOW + 2 * LATE
        assert times[-1] - since <= max(0.0, size / rate - WINDOW) + 2 * LATE


def pieces(size: int = 15_000) -> Iterator[bytes]:
    return (BODY[start : start + size] for start in range(0, SIZE, size))


def form_of_body() -> FormData:
    form = FormData()
    form.append("file", BODY, "file.bin")
    return form


def options_for(direction: str, callback: Any, **more: Any) -> dict[str, Any]:
    return {"maxRate": RATE, "timeout": None, f"on_{direction}_progress": callback, **more}


# What it may be


@pytest.mark.parametrize("value", [-1, True, "fast", float("nan"), [1], [1, 2, 3], [1, "fast"], {"up": 1}, [True, 1]])
async def test_what_is_no_rate_is_refused_by_name(api: Api, client: Any, value: Any) -> None:
    for spelling in ("maxRate", "max_rate"):
        with pytest.raises(AtomHTTPOptionError, match=f"{spelling}: expected bytes per second") as caught:
            api.client({spelling: value})
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
        with pytest.raises(AtomHTTPOptionError, match=spelling):
            await client.get("http://never.sent.invalid/", **{spelling: value})


@pytest.mark.parametrize("value", [None, 0, float("inf"), [None, None], [0, 0], (None, 0), 10**400])
async def test_none_0_and_infinity_are_no_limit(virtual_clock: Any, origin: Origin, value: Any) -> None:
    async with AtomHTTP(maxRate=value) as client:
        response = await client.post(f"{origin.url}/bytes/{SIZE}", BODY)
    assert response.content == pattern(SIZE)
    assert origin.requests[0].body == BODY
    assert virtual_clock.time() == 0


# It holds


@pytest.mark.parametrize(
    "kind", ["bytes", "str", "JSON", "FormData", "Path", "BytesIO", "iterator", "one piece", "async iterator"]
)
async def test_an_upload_keeps_to_it(virtual_clock: Any, origin: Origin, tmp_path: Path, kind: str) -> None:
    async def later() -> Any:
        for piece in pieces():
            yield piece

    path = tmp_path / "file.bin"
    path.write_bytes(BODY)
    data = {
        "bytes": BODY,
        "str": "x" * SIZE,
        "JSON": ["x" * 1000] * 50,
        "FormData": form_of_body(),
        "Path": path,
        "BytesIO": io.BytesIO(BODY),
        "iterator": pieces(),
        "one piece": iter([BODY]),
        "async iterator": later(),
    }[kind]
    async with AtomHTTP() as client:
        clocked = Clocked(virtual_clock)
        await client.post(f"{origin.url}/bytes/1", data, **options_for("upload", clocked))
    clocked.check(len(origin.requests[0].body), RATE)


@pytest.mark.parametrize(
    ("kind", "response_type"),
    [
        ("Content-Length", "blob"),
        ("Content-Length", "json"),
        ("Content-Length", "stream"),
        ("chunked", "stream"),
        ("EOF", "blob"),
        ("gzip", "blob"),
        ("gzip", "stream"),
    ],
)
async def test_a_download_keeps_to_it(virtual_clock: Any, origin: Origin, kind: str, response_type: str) -> None:
    packed = gzip.compress(BODY)
    origin.routes["/gzip"] = lambda _: Answer(packed, headers=[("Content-Encoding", "gzip")])
    path, size = {"chunked": ("/chunked", SIZE), "gzip": ("/gzip", len(packed))}.get(kind, ("/bytes", SIZE))
    with Origin(version="HTTP/1.0") as old:
        url = f"{old.url if kind == 'EOF' else origin.url}{path}{'' if kind == 'gzip' else f'/{SIZE}'}"
        async with AtomHTTP() as client:
            clocked = Clocked(virtual_clock)
            options = options_for("download", clocked, response_type=response_type)
            response = await client.get(url, **options)
            content = await response.data.read() if response_type == "stream" else response.content
    assert content == (BODY if kind == "gzip" else pattern(SIZE))
    # Bytes are those that travel: compressed ones.
    clocked.check(size, RATE)


async def test_a_consumer_of_a_stream_gets_a_steady_flow(virtual_clock: Any, origin: Origin) -> None:
    async with AtomHTTP() as client:
        clocked = Clocked(virtual_clock)
        stream = (await client.get(f"{origin.url}/bytes/{SIZE}", response_type="stream", maxRate=RATE)).data
        size = 0
        async for piece in stream:
            size += len(piece)
            clocked(size, SIZE)
    clocked.check(SIZE, RATE)


@pytest.mark.parametrize("rate", [1, 3, 0.5, 1000.5])
async def test_a_small_rate_is_kept_too(virtual_clock: Any, origin: Origin, rate: float) -> None:
    async with AtomHTTP() as client:
        for direction, path, data in (("upload", "/bytes/0", b"12345"), ("download", "/bytes/5", None)):
            clocked = Clocked(virtual_clock)
            options = options_for(direction, clocked, maxRate=rate)
            await client.post(f"{origin.url}{path}", data, **options)
            times = [passed for passed, _ in clocked.seen]
            assert all(loaded <= rate * (passed + WINDOW) + 1e-6 for passed, loaded in clocked.seen)
            assert times[-1] == pytest.approx(max(0.0, 5 / rate - WINDOW), abs=5 * LATE)


async def test_what_half_a_second_lets_pass_goes_at_once(virtual_clock: Any, origin: Origin) -> None:
    async with AtomHTTP(maxRate=3 * SIZE) as client:
        response = await client.post(f"{origin.url}/bytes/{SIZE}", BODY)
    assert response.content == pattern(SIZE)
    assert virtual_clock.time() == 0


@pytest.mark.parametrize(
    ("rate", "seconds"),
    [
        ([RATE, None], (SIZE / RATE - WINDOW, 0)),
        ([None, RATE], (0, SIZE / RATE - WINDOW)),
        ((RATE, 2 * RATE), (SIZE / RATE - WINDOW, SIZE / RATE / 2 - WINDOW)),
        (RATE, (SIZE / RATE - WINDOW, SIZE / RATE - WINDOW)),
    ],
)
async def test_up_and_down_are_limited_by_themselves(
    virtual_clock: Any, origin: Origin, rate: Any, seconds: tuple[float, float]
) -> None:
    async with AtomHTTP(maxRate=rate, timeout=None) as client:
        for (data, path), expected in zip(((BODY, "/bytes/0"), (None, f"/bytes/{SIZE}")), seconds, strict=True):
            began = virtual_clock.time()
            await client.post(f"{origin.url}{path}", data)
            assert virtual_clock.time() - began == pytest.approx(expected, abs=2 * LATE)


async def test_a_call_sets_another_one_or_none(virtual_clock: Any, origin: Origin) -> None:
    async with AtomHTTP(maxRate=RATE, timeout=None) as client:
        for options, expected in (
            ({}, SIZE / RATE - WINDOW),
            ({"maxRate": 4 * RATE}, SIZE / RATE / 4 - WINDOW),
            ({"max_rate": None}, 0),
            ({"maxRate": 0}, 0),
        ):
            began = virtual_clock.time()
            await client.get(f"{origin.url}/bytes/{SIZE}", **options)
            assert virtual_clock.time() - began == pytest.approx(expected, abs=2 * LATE)


async def test_it_is_that_of_a_call_not_of_the_client(virtual_clock: Any, origin: Origin) -> None:
    async with AtomHTTP(maxRate=RATE, timeout=None) as client:
        await AtomHTTP.all([client.get(f"{origin.url}/bytes/{SIZE}") for _ in range(3)])
    assert virtual_clock.time() == pytest.approx(SIZE / RATE - WINDOW, abs=3 * LATE)


async def test_a_resend_has_it_anew(virtual_clock: Any, origin: Origin) -> None:
    statuses = iter([503, 307])
    origin.routes["/old"] = lambda _: Answer(status=next(statuses), headers=[("Location", "/bytes/0")])
    clocked = Clocked(virtual_clock)
    async with AtomHTTP(timeout=None) as client:
        options = options_for("upload", clocked, retryConfig={"max_retries": 1, "backoff_factor": 0})
        await client.put(f"{origin.url}/old", BODY, **options)
    assert [each.body for each in origin.requests] == [BODY] * 3
    assert virtual_clock.time() == pytest.approx(3 * (SIZE / RATE - WINDOW), abs=6 * LATE)


async def test_what_was_not_used_is_saved_up_for_half_a_second_only(virtual_clock: Any, origin: Origin) -> None:
    async with AtomHTTP(timeout=None) as client:
        stream = (await client.get(f"{origin.url}/bytes/{SIZE}", response_type="stream", maxRate=RATE)).data
        first = len(await stream.read(RATE))
        await asyncio.sleep(1000)
        began = virtual_clock.time()
        rest = len(await stream.read())
        assert first + rest == SIZE
        # Half a second's worth was let pass before the pause already, and handed on after it.
        assert virtual_clock.time() - began >= rest / RATE - 2 * WINDOW


async def test_the_server_is_held_back(client: Any, nginx: Any) -> None:
    response = await client.get(f"{nginx.url}/big", response_type="stream", maxRate=1_000_000)
    await wait(response.data.read(1000))
    assert response._raw.body._call.buffered < 4 * 1024 * 1024
    await wait(response.data.aclose() if hasattr(response.data, "aclose") else response.data.close())


async def test_no_flavour_is_faster(client: Any, origin: Origin) -> None:
    for options in ({"data": BODY, "url": f"{origin.url}/bytes/0"}, {"url": f"{origin.url}/bytes/{SIZE}"}):
        began = time.monotonic()
        response = await client.request({"method": "PUT", "maxRate": 2 * SIZE / 1.2, **options})
        assert response.status == 200
        assert time.monotonic() - began >= 1.2 / 2 - WINDOW
    assert origin.requests[0].body == BODY
    assert response.content == pattern(SIZE)


async def test_several_at_once_are_whole(api: Api, client: Any, origin: Origin) -> None:
    urls = [f"{origin.url}/bytes/{size}" for size in (1, 1000, SIZE)]
    if api.is_sync:
        responses = client.real.all([client.real.defer.get(url, maxRate=4 * SIZE) for url in urls])
    else:
        responses = await AtomHTTP.all([client.get(url, maxRate=4 * SIZE) for url in urls])
    assert [each.content for each in responses] == [pattern(1), pattern(1000), pattern(SIZE)]


# Limits, time and other ends


@pytest.mark.parametrize(
    ("options", "phase"),
    [
        ({"data": BODY}, "write"),
        ({"data": BODY, "timeout": Timeout(1, write=90)}, "write"),
        ({}, "body"),
        ({"response_type": "stream", "timeout": Timeout(1)}, "body"),
        ({"response_type": "stream", "validateStatus": lambda _status: False}, "body"),
    ],
)
async def test_the_deadline_holds(virtual_clock: Any, origin: Origin, options: dict[str, Any], phase: str) -> None:
    async with AtomHTTP(timeout=1, maxRate=RATE) as client:
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            response = await client.request("PUT", f"{origin.url}/bytes/{SIZE}", **options)
            await collect(response.data)
        error = caught.value
        assert (error.phase, error.limit, error.url) == (phase, 1, f"{origin.url}/bytes/{SIZE}")
        assert 1 <= error.elapsed < 1 + 2 * LATE
        assert 1 <= virtual_clock.time() < 1 + 2 * LATE
        assert (await client.get(f"{origin.url}/bytes/3")).content == pattern(3)


async def test_it_makes_no_gap_of_a_stream(virtual_clock: Any, origin: Origin) -> None:
    async with AtomHTTP(timeout=0.3, maxRate=RATE) as client:
        response = await client.get(f"{origin.url}/bytes/{SIZE}", response_type="stream")
        assert await response.data.read() == pattern(SIZE)
    assert virtual_clock.time() >= SIZE / RATE - WINDOW


async def test_size_limits_hold(client: Any, origin: Origin) -> None:
    with pytest.raises(AtomHTTPLimitError):
        await client.get(f"{origin.url}/chunked/3000", maxRate=10**6, maxContentLength=2000)
    with pytest.raises(AtomHTTPLimitError):
        await client.post(f"{origin.url}/bytes/1", pieces(), maxRate=10**9, maxBodyLength=2000)


async def test_a_task_cancelled_while_it_is_held_back_leaves_nothing_behind(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP() as client:
        for data, path in ((BODY, "/bytes/0"), (None, f"/bytes/{SIZE}")):
            held_back = asyncio.Event()
            told = {
                "on_upload_progress": lambda _loaded, _total, event=held_back: event.set(),
                "on_download_progress": lambda _loaded, _total, event=held_back: event.set(),
            }
            call = asyncio.create_task(client.post(f"{origin.url}{path}", data, maxRate=1000, **told))
            await held_back.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert (await client.get(f"{origin.url}/bytes/3")).content == pattern(3)


async def test_a_client_that_is_closed_ends_what_is_held_back(loop_kind: str, origin: Origin) -> None:
    origin.routes["/large"] = lambda request: Answer(b"" if request.body else bytes(8_000_000))
    for data, rate in ((BODY, SIZE), (None, 4_000_000)):
        held_back = asyncio.Event()
        told = {
            "on_upload_progress": lambda _loaded, _total, event=held_back: event.set(),
            "on_download_progress": lambda _loaded, _total, event=held_back: event.set(),
        }
        client = AtomHTTP()
        call = asyncio.create_task(client.post(f"{origin.url}/large", data, maxRate=rate, **told))
        await held_back.wait()
        await client.close()
        with pytest.raises(AtomHTTPClosedError):
            await call


async def test_a_stream_closed_early_closes_its_connection(client: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    with Peer([expect_head(), send(head + b"x" * 50), expect_end()]) as peer:
        stream = (await client.get(peer.url, response_type="stream", maxRate=20)).data
        assert await wait(stream.read(10)) == b"x" * 10
        await wait(stream.aclose() if hasattr(stream, "aclose") else stream.close())
        await client.close()


async def test_a_body_with_less_than_its_length_is_an_error_all_the_same(client: Any, origin: Origin) -> None:
    with pytest.raises(AtomHTTPOptionError, match="shorter"):
        await client.post(
            f"{origin.url}/bytes/1", iter([b"12"]), headers={"Content-Length": "3"}, maxRate=10**6, retryConfig=False
        )
