"""The asyncio driver under asyncio, uvloop and a loop that cannot watch descriptors; and a driver for trio."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel

import atomhttp
from atomhttp import AtomHTTP, AtomHTTPClosedError, AtomHTTPNetworkError, AtomHTTPTimeoutError
from atomhttp._net.drivers import Driver, Waiter, aio
from atomhttp._net.drivers.blocking import BlockingDriver
from atomhttp._net.pollers import build_nested_poller
from atomhttp._net.reactor import Reactor
from atomhttp._pipeline.content import ContentReader
from atomhttp._pipeline.dispatch import dispatch
from atomhttp._pipeline.stream import ResponseStream
from atomhttp.client import ClientBase
from support.certificates import Certificates
from support.clock import VirtualClockLoop
from support.nginx import BLOB, Nginx
from support.origin import Origin, pattern
from support.peer import Peer, expect_head, hold
from support.server import PATIENCE

# asyncio and uvloop


async def test_requests_one_by_one_and_together(loop_kind: str, nginx: Nginx) -> None:
    async with AtomHTTP(base_url=nginx.url) as client:
        for _ in range(20):
            assert (await client.get("/json")).data["id"] == 1
        responses = await asyncio.gather(*(client.get("/json") for _ in range(300)))
        assert all(each.data["name"] == "atomhttp" for each in responses)
        (pool,) = client._adapter.pools
        assert pool.open_count == pool.idle_count <= 100


async def test_uploads_downloads_and_streams(loop_kind: str, nginx: Nginx, origin: Origin) -> None:
    async with AtomHTTP() as client:
        assert (await client.get(nginx.url + "/blob", response_type="blob")).data == BLOB
        body = pattern(3_000_000)
        response = await client.post(origin.url + "/echo", data=body)
        assert response.data["body"].encode("latin-1") == body
        stream = (await client.get(nginx.url + "/blob", response_type="stream")).data
        assert b"".join([piece async for piece in stream]) == BLOB


# A loop without add_reader: Windows' proactor, in effect


class NoReaderLoop(asyncio.SelectorEventLoop):
    """Refuses to watch descriptors for anybody but itself."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        raise NotImplementedError

    def remove_reader(self, fd: Any) -> bool:
        raise NotImplementedError


def run_without_readers(main: Callable[[], Any]) -> Any:
    with asyncio.Runner(loop_factory=NoReaderLoop) as runner:
        return runner.run(main())


def poller_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "atomhttp-poller"]


def test_a_thread_waits_where_the_loop_cannot(nginx: Nginx) -> None:
    async def main() -> None:
        assert not poller_threads()
        async with AtomHTTP(base_url=nginx.url) as client:
            for _ in range(30):
                assert (await client.get("/json")).data["ok"]
            assert len(poller_threads()) == 1
            responses = await asyncio.gather(*(client.get("/json") for _ in range(500)))
            assert all(each.data["ok"] for each in responses)
            assert (await client.get("/blob", response_type="blob")).data == BLOB
            assert len(poller_threads()) == 1
        assert not poller_threads(), "close() ends it"

    run_without_readers(main)


def test_the_thread_comes_and_goes_with_the_connections(nginx: Nginx) -> None:
    """It is stopped from inside a pass that it asked for: neither may wait for the other."""

    async def main() -> None:
        async with AtomHTTP(base_url=nginx.url, keep_alive=False) as client:
            for number in range(300):
                await asyncio.gather(*(client.get("/json") for _ in range(1 + number % 3)))
            assert not poller_threads()

    run_without_readers(main)


def test_the_thread_does_not_spin_while_nothing_happens(origin: Origin) -> None:
    async def main() -> None:
        async with AtomHTTP(base_url=origin.url) as client:
            await client.get("/bytes/1")
            reactor, passes = aio.current().reactor, 0
            run_ready = reactor.run_ready

            def counted() -> None:
                nonlocal passes
                passes += 1
                run_ready()

            reactor.run_ready = counted  # type: ignore[method-assign]
            for _ in range(100):
                await asyncio.sleep(0.0005)
            assert passes <= 1
            await client.get("/bytes/1")
            assert passes >= 1

    run_without_readers(main)


def test_the_thread_ends_when_the_loop_was_closed_without_a_word(origin: Origin) -> None:
    async def main() -> AtomHTTP:
        client = AtomHTTP(base_url=origin.url)
        await client.get("/bytes/1")
        return client

    client = run_without_readers(main)
    assert poller_threads()
    asyncio.run(client.get("/bytes/1"))  # another loop: what the closed one left is swept
    for each in poller_threads():
        each.join(PATIENCE)
    assert not poller_threads()
    asyncio.run(client.close())


def test_cancellation_and_close_without_readers(origin: Origin) -> None:
    async def main() -> None:
        client = AtomHTTP(base_url=origin.url)
        calls = [asyncio.create_task(client.get("/delay/60")) for _ in range(4)]
        while len(origin.requests) < 4:
            await asyncio.sleep(0.001)
        calls[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await calls[0]
        await client.close()
        assert [type(each) for each in await asyncio.gather(*calls[1:], return_exceptions=True)] == (
            [AtomHTTPClosedError] * 3
        )

    run_without_readers(main)


# trio: the proof that asyncio stands in one file


class TrioWaiter(Waiter):
    """What one coroutine awaits, on a trio.Event."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self._result: Any = None
        self._error: BaseException | None = None

    def done(self) -> bool:
        return self._event.is_set()

    def cancelled(self) -> bool:
        return False

    def exception(self) -> BaseException | None:
        return self._error

    def set_result(self, result: Any) -> None:
        self._result = result
        self._event.set()

    def set_exception(self, error: BaseException) -> None:
        self._error = error
        self._event.set()

    def __await__(self) -> Generator[Any, Any, Any]:
        yield from self._event.wait().__await__()
        if self._error is not None:
            raise self._error
        return self._result


class TrioDriver(Driver):
    """`serve` is a task: it waits for the poller's descriptor, or for the nearest timer."""

    def __init__(self) -> None:
        self.now = trio.current_time
        self.pool_scope: object = self
        self._poller = build_nested_poller()
        self._alarm = trio.CancelScope()
        self._watching = False
        self.reactor = Reactor(self._poller, self)
        self._token = trio.lowlevel.current_trio_token()

    async def serve(self) -> None:
        try:
            while True:
                due = self.reactor.timers.next_due()
                self._alarm = trio.CancelScope(deadline=float("inf") if due is None else due)
                with self._alarm:
                    await trio.lowlevel.wait_readable(self._poller.fileno())  # type: ignore[arg-type]
                self.reactor.run_ready()
                self.reactor.run_timers()
        finally:
            self.reactor.close_all()

    def waiter(self) -> TrioWaiter:
        return TrioWaiter()

    def watch(self) -> None:
        self._watching = True

    def unwatch(self) -> None:
        self._watching = False

    def arm(self, due: float) -> None:
        self._alarm.deadline = min(self._alarm.deadline, due)

    def disarm(self) -> None:
        self._alarm.deadline = float("inf")

    def is_closed(self) -> bool:
        return self.reactor.closed

    def check(self) -> None:
        trio.lowlevel.current_task()

    def run_soon(self, function: Callable[[], None]) -> None:
        function()

    def call_soon(self, function: Callable[[], None]) -> None:
        self._token.run_sync_soon(function)

    async def foreign(self, awaitable: Awaitable[Any], due: float | None) -> Any:
        with trio.fail_at(float("inf") if due is None else due):
            return await awaitable


class TrioHTTP(ClientBase):
    """A client's options, dispatched by another driver."""

    def __init__(self, driver: TrioDriver, **options: Any) -> None:
        super().__init__(**options)
        self.__dict__["_driver"] = driver

    async def request(self, method: str, url: str, **options: Any) -> Any:
        plan = self._current_plan()
        return await dispatch(plan, method, url, None, options, self._adapter, self._driver, self)

    def _open_stream(self, reader: ContentReader, driver: Any) -> ResponseStream:
        return ResponseStream(reader, driver)


def run_trio(main: Callable[[TrioHTTP], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        async with trio.open_nursery() as nursery:
            driver = TrioDriver()
            nursery.start_soon(driver.serve)
            client = TrioHTTP(driver, **options)
            await main(client)
            await client._adapter.close()
            assert not driver._watching
            assert driver.reactor.handler_count == 0
            assert driver.reactor.timer_count == 0
            nursery.cancel_scope.cancel()

    trio.run(run)


def test_trio_makes_requests(nginx: Nginx, certificates: Certificates) -> None:
    async def main(client: TrioHTTP) -> None:
        response = await client.request("GET", nginx.url + "/json")
        assert response.data["name"] == "atomhttp"
        seen: list[Any] = []

        async def one(path: str) -> None:
            seen.append((await client.request("GET", nginx.tls_url + path)).status)

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(one, "/json")
        assert seen == [200] * 50
        blob = await client.request("GET", nginx.url + "/blob", response_type="stream")
        assert b"".join([piece async for piece in blob.data]) == BLOB

    run_trio(main, verify=str(certificates.ca))


def test_trio_uploads_from_an_iterator(origin: Origin) -> None:
    async def body() -> Any:
        for _ in range(10):
            await trio.lowlevel.checkpoint()
            yield b"0123456789" * 1000

    async def main(client: TrioHTTP) -> None:
        response = await client.request("POST", origin.url + "/echo", data=body())
        assert response.data["body"] == "0123456789" * 10_000

    run_trio(main)


def test_trio_cancels_and_times_out(origin: Origin) -> None:
    async def main(client: TrioHTTP) -> None:
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.request("GET", origin.url + "/delay/60", timeout=0.1)
        assert caught.value.elapsed >= 0.1
        with trio.move_on_after(0.05) as scope:
            await client.request("GET", origin.url + "/delay/60")
        assert scope.cancelled_caught
        (pool,) = client._adapter.pools
        assert pool.open_count == 0
        with pytest.raises(AtomHTTPNetworkError, match="cannot connect"):
            await client.request("GET", "http://127.0.0.1:1/")
        assert (await client.request("GET", origin.url + "/bytes/3")).ok

    run_trio(main)


def test_asyncio_is_imported_in_one_file() -> None:
    importers = []
    root = Path(atomhttp.__file__).parent
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.partition(".")[0] == "asyncio" for name in names):
                importers.append(str(path.relative_to(root)))
    assert importers == ["_net/drivers/aio.py"]


# Ends of calls


async def test_cancelling_a_call_closes_its_connection(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        task = asyncio.create_task(client.get("/delay/60"))
        while not origin.requests:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (pool,) = client._adapter.pools
        assert pool.open_count == 0
        assert aio.current().reactor.handler_count == 0


async def test_a_stream_belongs_to_its_loop(origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        response = await client.get("/bytes/3000000", response_type="stream")
        problems: list[BaseException] = []

        async def read_elsewhere() -> None:
            while True:
                await response.data.read(100_000)

        def other_thread() -> None:
            try:
                asyncio.run(read_elsewhere())
            except RuntimeError as error:
                problems.append(error)

        thread = threading.Thread(target=other_thread)
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.001)
        assert "another event loop" in str(problems[0])
        with contextlib.suppress(AtomHTTPNetworkError):
            await response.data.aclose()


def test_without_a_loop_the_error_names_the_other_client(origin: Origin) -> None:
    coroutine = AtomHTTP(base_url=origin.url).get("/bytes/1")
    with pytest.raises(RuntimeError, match="SyncAtomHTTP"):
        coroutine.send(None)


async def test_close_while_a_peer_holds(loop_kind: str) -> None:
    with Peer([expect_head(), hold()]) as peer:
        client = AtomHTTP()
        task = asyncio.create_task(client.get(peer.url))
        while not peer.heads:
            await asyncio.sleep(0.001)
        await client.close()
        with pytest.raises(AtomHTTPClosedError):
            await task


# Sleeping


async def test_sleeping_takes_its_time_by_the_drivers_clock(virtual_clock: VirtualClockLoop) -> None:
    driver = aio.current()
    slept = []

    async def sleep(seconds: float) -> None:
        await driver.sleep(seconds)
        slept.append((seconds, driver.now()))

    wanted = [3600, 0.5, 0.001, 30, 0.5, 1 / 32]
    await asyncio.gather(*map(sleep, wanted))
    assert [seconds for seconds, _ in slept] == sorted(wanted)
    for seconds, now in slept:
        # The wheel's slot, and what the loop's own arithmetic adds.
        assert seconds <= now <= seconds + 1 / 32 + 1e-6
    assert driver.reactor.timer_count == 0


async def test_sleeping_is_never_early(loop_kind: str) -> None:
    driver = aio.current()
    for seconds in (0.0001, 0.01, 0.05):
        due = driver.now() + seconds
        await driver.sleep(seconds)
        assert driver.now() >= due
    assert driver.reactor.timer_count == 0


async def test_no_time_is_no_wait() -> None:
    for seconds in (0, 0.0, -1.0):
        with pytest.raises(StopIteration):
            aio.current().sleep(seconds).send(None)


async def test_a_cancelled_sleep_leaves_no_timer(loop_kind: str) -> None:
    driver = aio.current()
    sleepers = [asyncio.create_task(driver.sleep(3600)) for _ in range(3)]
    await asyncio.sleep(0)
    assert driver.reactor.timer_count == 3
    sleepers[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleepers[0]
    assert driver.reactor.timer_count == 2
    for each in sleepers[1:]:
        each.cancel()
    await asyncio.gather(*sleepers, return_exceptions=True)
    assert driver.reactor.timer_count == 0
    # The others' timer is the loop's as well: a sleep that begins now has one of its own.
    assert driver._timer is None
    await asyncio.wait_for(driver.sleep(0.001), PATIENCE)


async def test_a_cancelled_sleep_does_not_take_the_timer_of_others(virtual_clock: VirtualClockLoop) -> None:
    driver = aio.current()
    first, second = (asyncio.create_task(driver.sleep(seconds)) for seconds in (1, 2))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert virtual_clock.time() == pytest.approx(2, abs=0.1)
    assert first.cancelled()


async def test_a_sleep_may_be_cancelled_in_the_moment_of_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = aio.current()
    # Stricter than the driver's own: completed twice, it raises.
    monkeypatch.setattr(driver, "waiter", asyncio.get_running_loop().create_future)
    sleeper = asyncio.create_task(driver.sleep(10))
    await asyncio.sleep(0)
    sleeper.cancel()
    driver.reactor.timers.run(driver.now() + 20)
    with pytest.raises(asyncio.CancelledError):
        await sleeper


async def test_a_sleeper_outlasts_the_last_client(loop_kind: str, origin: Origin) -> None:
    client = AtomHTTP(base_url=origin.url)
    await client.get("/bytes/1")
    driver = aio.current()
    sleeper = asyncio.create_task(driver.sleep(0.01))
    await asyncio.sleep(0)
    await client.close()
    assert not driver.is_closed()
    await asyncio.wait_for(sleeper, PATIENCE)
    assert driver.is_closed(), "it was the last one that needed it"


@pytest.mark.parametrize("place", ["interceptor", "transformer", "auth"])
async def test_a_call_that_waits_for_the_callers_code_outlasts_the_last_client(
    loop_kind: str, origin: Origin, place: str
) -> None:
    """The driver was chosen before that code ran, and no pool of the call's own was open yet."""
    other, waiting, go_on = AtomHTTP(base_url=origin.url), asyncio.Event(), asyncio.Event()
    await other.get("/bytes/1")

    async def wait(given: Any) -> Any:
        waiting.set()
        await go_on.wait()
        return given

    options: Any = {"transformer": {"transform_request": wait}, "auth": {"auth": wait}}
    async with AtomHTTP(base_url=origin.url) as client:
        if place == "interceptor":
            client.interceptors.use(wait)
        call = asyncio.create_task(client.get("/bytes/1", **options.get(place, {})))
        await waiting.wait()
        await other.close()
        go_on.set()
        assert (await asyncio.wait_for(call, PATIENCE)).ok


def test_sleeping_without_a_loop() -> None:
    driver = BlockingDriver()

    async def main() -> float:
        due = driver.now() + 0.01
        await driver.sleep(0.01)
        return driver.now() - due

    try:
        assert driver.run(main()) >= 0
        assert driver.reactor.timer_count == 0
    finally:
        driver.reactor.close_all()


def test_an_interrupted_sleep_leaves_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = BlockingDriver()
    armed = []

    def interrupt(timeout: float) -> None:
        armed.append(driver.reactor.timer_count)
        raise KeyboardInterrupt

    monkeypatch.setattr(driver.reactor, "wait", interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            driver.run(driver.sleep(3600))
        assert armed == [1]
        assert driver.reactor.timer_count == 0
    finally:
        driver.reactor.close_all()


def test_trio_sleeps() -> None:
    async def main(client: TrioHTTP) -> None:
        driver = client._driver
        due = driver.now() + 0.01
        await driver.sleep(0.01)
        assert driver.now() >= due
        with trio.move_on_after(0.01) as scope:
            await driver.sleep(3600)
        assert scope.cancelled_caught
        assert driver.reactor.timer_count == 0

    run_trio(main)
