"""AbortSignals under event loops: whose cancellation is whose, callbacks that wait, many calls, trio."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.lowlevel

from atomhttp import (
    AbortController,
    AbortSignal,
    AdapterResponse,
    AtomHTTP,
    AtomHTTPCanceledError,
    AtomHTTPClosedError,
    AtomHTTPTimeoutError,
    Request,
    SyncAtomHTTP,
    is_cancel,
)
from atomhttp._net.drivers import aio
from net.test_drivers import TrioDriver, TrioHTTP
from support.clock import VirtualClockLoop
from support.origin import Answer, Origin
from support.peer import Peer, drain, expect_head, hold, send
from support.server import PATIENCE

EAGER = pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks are never eager before Python 3.12")


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


async def started(origin: Origin, client: AtomHTTP, **options: Any) -> asyncio.Task[Any]:
    """A call that waits for its response."""
    count = len(origin.requests)
    task = asyncio.create_task(client.get("/delay/60", **options))
    await until(lambda: len(origin.requests) > count)
    return task


# Who aborts


async def test_another_task_a_callback_and_another_thread_may_abort(loop_kind: str, origin: Origin) -> None:
    loop = asyncio.get_running_loop()
    async with AtomHTTP(base_url=origin.url) as client:
        for abort in (
            lambda controller: controller.abort(),
            lambda controller: loop.call_soon(controller.abort),
            lambda controller: loop.call_later(0.01, controller.abort),
            lambda controller: loop.call_soon_threadsafe(controller.abort),
            lambda controller: threading.Thread(target=controller.abort).start(),
        ):
            controller = AbortController()
            task = await started(origin, client, signal=controller.signal)
            abort(controller)
            with pytest.raises(AtomHTTPCanceledError):
                await task
            assert task.cancelling() == 0
            assert client.pool_stats()[:3] == (0, 0, 0)
        assert (await client.get("/bytes/1")).ok


async def test_it_may_be_aborted_before_its_task_has_begun(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        controller = AbortController()
        task = asyncio.create_task(client.get("/bytes/1", signal=controller.signal))
        controller.abort()
        with pytest.raises(AtomHTTPCanceledError):
            await task
        assert origin.connections == 0


async def test_one_signal_serves_several_loops_and_threads(origin: Origin) -> None:
    controller = AbortController()
    ends: list[Any] = []

    async def call() -> None:
        async with AtomHTTP(base_url=origin.url) as client:
            try:
                await client.get("/delay/60", signal=controller.signal)
            except AtomHTTPCanceledError as error:
                ends.append(error.reason)

    def call_synchronously() -> None:
        with SyncAtomHTTP(base_url=origin.url) as client:
            try:
                client.get("/delay/60", signal=controller.signal)
            except AtomHTTPCanceledError as error:
                ends.append(error.reason)

    threads = [threading.Thread(target=lambda: asyncio.run(call())) for _ in range(3)]
    threads += [threading.Thread(target=call_synchronously) for _ in range(3)]
    for thread in threads:
        thread.start()
    task = asyncio.create_task(call())
    await until(lambda: len(origin.requests) == 7)
    controller.abort("everybody")
    await task
    for thread in threads:
        await asyncio.to_thread(thread.join, PATIENCE)
    assert ends == ["everybody"] * 7
    await asyncio.get_running_loop().shutdown_default_executor()


# Cancellation of tasks


@pytest.mark.parametrize("order", ["abort, cancel", "cancel, abort"])
async def test_a_cancellation_in_the_same_tick_stays_one(loop_kind: str, origin: Origin, order: str) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        controller = AbortController()
        task = await started(origin, client, signal=controller.signal)
        for word in order.split(", "):
            controller.abort() if word == "abort" else task.cancel("by hand")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert task.cancelling() == 1
        assert client.pool_stats()[:3] == (0, 0, 0)


async def test_a_cancellation_right_behind_an_abort_stays_one(loop_kind: str, origin: Origin) -> None:
    """The loop has cancelled the task for the signal, and it has not run yet."""
    async with AtomHTTP(base_url=origin.url) as client:
        controller = AbortController()
        task = await started(origin, client, signal=controller.signal)
        controller.abort()
        asyncio.get_running_loop().call_soon(task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelling() == 1


async def test_an_abort_is_over_when_the_call_is(loop_kind: str, origin: Origin) -> None:
    """What the task does afterwards is not cancelled, and what cancels it then is no abort."""
    async with AtomHTTP(base_url=origin.url) as client:
        seen: list[Any] = []

        async def several() -> str:
            controller = AbortController()
            for _ in range(3):
                with pytest.raises(AtomHTTPCanceledError):
                    await client.get(
                        "/delay/60", signal=AbortSignal.any([controller.signal, AbortSignal.timeout(0.01)])
                    )
                current = asyncio.current_task()
                assert current is not None
                seen.append(current.cancelling())
            # Aborted between two calls: nobody is there to be broken off.
            controller.abort()
            await asyncio.sleep(0.01)
            await client.get("/bytes/1")
            await asyncio.sleep(PATIENCE)
            return "never"

        task = asyncio.create_task(several())
        await until(lambda: any(request.path == "/bytes/1" for request in origin.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == [0, 0, 0]


async def test_a_timeout_around_the_call(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        current = asyncio.current_task()
        assert current is not None
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.02):
                await client.get("/delay/60", signal=AbortController().signal)
        assert not is_cancel(caught.value)
        with pytest.raises(AtomHTTPCanceledError):
            async with asyncio.timeout(PATIENCE):
                await client.get("/delay/60", signal=AbortSignal.timeout(0.02))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await client.get("/delay/60", signal=AbortController().signal)
        assert current.cancelling() == 0
        assert client.pool_stats()[:3] == (0, 0, 0)


async def test_a_timeout_and_an_abort_in_the_same_tick(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        for early, late in (("abort", "timeout"), ("timeout", "abort")):
            controller = AbortController()
            scope = asyncio.timeout(None)

            async def call(controller: AbortController = controller, scope: asyncio.Timeout = scope) -> None:
                async with scope:
                    await client.get("/delay/60", signal=controller.signal)

            count = len(origin.requests)
            task = asyncio.create_task(call())
            await until(lambda count=count: len(origin.requests) > count)
            now = asyncio.get_running_loop().time()
            for word in (early, late):
                controller.abort() if word == "abort" else scope.reschedule(now)
            with pytest.raises((TimeoutError, AtomHTTPCanceledError)):
                await task
            assert task.cancelling() == 0
            assert client.pool_stats()[:3] == (0, 0, 0)


async def test_a_task_group_sees_an_error_like_any_other(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        controller = AbortController()
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(client.get("/delay/60", signal=controller.signal))
                group.create_task(client.get("/delay/60"))
                await until(lambda: len(origin.requests) == 2)
                controller.abort()
        assert [type(error) for error in caught.value.exceptions] == [AtomHTTPCanceledError]
        assert client.pool_stats()[:3] == (0, 0, 0)


async def test_calls_within_calls_have_signals_of_their_own(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        for words, expected in ((["inner"], "inner"), (["outer"], "outer"), (["inner", "outer"], "outer")):
            controllers = {"inner": AbortController(), "outer": AbortController()}

            async def change(data: Any, controllers: dict[str, AbortController] = controllers) -> Any:
                await client.get("/delay/60", signal=controllers["inner"].signal)

            count = len(origin.requests)
            signal = controllers["outer"].signal
            task = asyncio.create_task(client.post("/echo", 1, transformRequest=change, signal=signal))
            await until(lambda count=count: len(origin.requests) > count)
            for word in words:
                controllers[word].abort(word)
            with pytest.raises(AtomHTTPCanceledError) as caught:
                await task
            assert caught.value.reason == expected
            assert task.cancelling() == 0


@EAGER
async def test_eager_tasks(loop_kind: str, origin: Origin) -> None:
    def create(call: Any) -> asyncio.Task[Any]:
        return asyncio.Task(call, loop=asyncio.get_running_loop(), eager_start=True)  # type: ignore[call-arg]  # of 3.12

    async with AtomHTTP(base_url=origin.url) as client:
        assert (await create(client.get("/bytes/1", signal=AbortController().signal))).ok
        controller = AbortController()
        tasks = [create(client.get("/delay/60", signal=controller.signal)) for _ in range(3)]
        controller.abort()
        assert [type(end) for end in await asyncio.gather(*tasks, return_exceptions=True)] == [
            AtomHTTPCanceledError
        ] * 3
        assert [task.cancelling() for task in tasks] == [0, 0, 0]
        aborted = create(client.get("/delay/60", signal=controller.signal))
        assert aborted.done()
        assert is_cancel(aborted.exception())


# Callbacks that wait


class Waits:
    """Callbacks that wait for ever, and know how that ended."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.ended: list[str] = []

    async def __call__(self, *_: Any) -> Any:
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise

    async def pieces(self) -> Any:
        yield b"a"
        await self()


# By option; what `Waits` stands for has to be a function of as many arguments as it is called with.
CALLBACKS: dict[str, Callable[[Waits], dict[str, Any]]] = {
    "transformRequest": lambda wait: {"transformRequest": lambda data: wait()},
    "transformResponse": lambda wait: {"transformResponse": lambda data: wait()},
    "upload progress": lambda wait: {"onUploadProgress": lambda loaded, total: wait()},
    "progress": lambda wait: {"onDownloadProgress": lambda loaded, total: wait()},
    "auth": lambda wait: {"auth": lambda request: wait()},
    "beforeRedirect": lambda wait: {"url": "/moved", "beforeRedirect": lambda request, response: wait()},
    "on_retry": lambda wait: {"url": "/status/503", "retryConfig": {"on_retry": lambda info: wait()}},
    "condition": lambda wait: {"url": "/status/503", "retryConfig": {"condition": lambda outcome, attempt: wait()}},
    "body": lambda wait: {"data": wait.pieces()},
}


@pytest.mark.parametrize("callback", CALLBACKS)
async def test_callbacks_are_broken_off_where_they_wait(loop_kind: str, origin: Origin, callback: str) -> None:
    origin.routes["/moved"] = lambda request: Answer(status=307, headers=[("Location", "/echo")])
    async with AtomHTTP(base_url=origin.url) as client:
        wait, controller = Waits(), AbortController()
        options = {"url": "/echo", "method": "PUT", "data": "abc", **CALLBACKS[callback](wait)}
        task = asyncio.create_task(client.request(options, signal=controller.signal))
        async with asyncio.timeout(PATIENCE):
            await wait.waiting.wait()
        controller.abort("enough")
        with pytest.raises(AtomHTTPCanceledError) as caught:
            await task
        assert (caught.value.reason, task.cancelling()) == ("enough", 0)
        assert wait.ended == ["CancelledError"]
        assert client.pool_stats().waiting == 0
        assert client.pool_stats().open == client.pool_stats().idle
        assert (await client.get("/bytes/1")).ok


async def test_a_resolver_is_broken_off_where_it_waits(loop_kind: str, origin: Origin) -> None:
    wait, controller = Waits(), AbortController()
    async with AtomHTTP(resolver=lambda host, port: wait()) as client:
        task = asyncio.create_task(client.get("http://a.test/", signal=controller.signal))
        await wait.waiting.wait()
        assert client.pool_stats().open == 1
        controller.abort()
        with pytest.raises(AtomHTTPCanceledError):
            await task
        assert wait.ended == ["CancelledError"]
        assert client.pool_stats() == (0, 0, 0, 0)


@pytest.mark.parametrize("is_response", [False, True], ids=["request", "response"])
async def test_interceptors_are_waited_for(loop_kind: str, origin: Origin, is_response: bool) -> None:
    """An interceptor stands around the call: an abort does not break it off."""
    async with AtomHTTP(base_url=origin.url) as client:
        reached, release, controller = asyncio.Event(), asyncio.Event(), AbortController()

        async def interceptor(_: Any) -> None:
            reached.set()
            await release.wait()

        client.interceptors.use(interceptor, is_response)
        task = asyncio.create_task(client.get("/bytes/1", signal=controller.signal))
        await reached.wait()
        controller.abort()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        release.set()
        if is_response:
            assert (await task).ok, "the call itself had ended before"
        else:
            with pytest.raises(AtomHTTPCanceledError):
                await task
        assert len(origin.requests) == is_response


async def test_a_callback_that_swallows_the_cancellation(loop_kind: str, origin: Origin) -> None:
    """It has been told. The call ends with the next thing it does, and is no cancellation for anybody else."""
    async with AtomHTTP(base_url=origin.url) as client:
        waiting, controller = asyncio.Event(), AbortController()
        swallowed: list[BaseException] = []

        async def callback(data: Any) -> Any:
            try:
                waiting.set()
                await asyncio.Event().wait()
            except BaseException as error:
                swallowed.append(error)
            await asyncio.sleep(0)  # it may wait again
            return data

        for options in ({"transformRequest": callback}, {"transformResponse": callback}):
            waiting.clear()
            swallowed.clear()
            controller = AbortController()
            task = asyncio.create_task(client.post("/echo", "x", signal=controller.signal, **options))
            await waiting.wait()
            controller.abort()
            with pytest.raises(AtomHTTPCanceledError):
                await task
            assert [type(error) for error in swallowed] == [asyncio.CancelledError]
            assert task.cancelling() == 0


async def test_a_callback_of_its_own_call_may_cancel_its_task(loop_kind: str, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:

        async def callback(data: Any) -> Any:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

        task = asyncio.create_task(client.post("/echo", 1, transformRequest=callback, signal=AbortController().signal))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()


# In the same tick as something else


async def test_an_abort_in_the_tick_of_a_grant_passes_the_connection_on(loop_kind: str, origin: Origin) -> None:
    """Of three that wait for one connection the first is aborted as it gets it: the next one has it."""
    async with AtomHTTP(base_url=origin.url, max_connections=1) as client:
        for kept in (True, False):
            holder = await started(origin, client, keep_alive=kept)
            controller = AbortController()
            first = asyncio.create_task(client.get("/bytes/1", signal=controller.signal))
            others = [asyncio.create_task(client.get("/bytes/2")) for _ in range(2)]
            await until(lambda: client.pool_stats().waiting == 3)
            holder.add_done_callback(lambda _, controller=controller: controller.abort())
            origin.release.set()
            await holder
            assert [(await other).content for other in others] == [b"\0\0"] * 2
            (end,) = await asyncio.gather(first, return_exceptions=True)
            assert is_cancel(end) or end.ok
            assert client.pool_stats()[:3] == (1, 1, 0)
            origin.release.clear()


async def test_a_response_that_is_there_when_it_is_aborted(loop_kind: str, origin: Origin) -> None:
    """Either the response or the error, and a pool that can be used."""
    async with AtomHTTP(base_url=origin.url) as client:
        for _ in range(50):
            controller = AbortController()
            task = await started(origin, client, signal=controller.signal)
            origin.release.set()
            controller.abort()
            (end,) = await asyncio.gather(task, return_exceptions=True)
            assert is_cancel(end) or end.data == "late"
            origin.release.clear()
            stats = client.pool_stats()
            assert (stats.open, stats.waiting) == (stats.idle, 0)
        assert (await client.get("/bytes/1")).ok


async def test_closing_the_client_and_aborting(loop_kind: str, origin: Origin) -> None:
    for words in (("close", "abort"), ("abort", "close")):
        client, controller = AtomHTTP(base_url=origin.url), AbortController()
        task = await started(origin, client, signal=controller.signal)
        for word in words:
            if word == "abort":
                controller.abort()
            else:
                await client.close()
        (end,) = await asyncio.gather(task, return_exceptions=True)
        assert type(end) in (AtomHTTPClosedError, AtomHTTPCanceledError)
        assert task.cancelling() == 0


def test_aborting_when_the_loop_has_been_closed(origin: Origin) -> None:
    """The task was never ended by anybody: the signal still finds its listener, and that finds no loop."""
    controller = AbortController()
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # "Task was destroyed but it is pending" is what we do on purpose
    client = AtomHTTP(base_url=origin.url)

    async def begin() -> asyncio.Task[Any]:
        return await started(origin, client, signal=controller.signal)

    task = loop.run_until_complete(begin())
    loop.close()
    controller.abort()
    thread = threading.Thread(target=controller.abort)
    thread.start()
    thread.join()
    assert not task.done()
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own name for that
    del task
    gc.collect()
    assert asyncio.run(_get_once(client)).ok
    asyncio.run(client.close())


async def _get_once(client: AtomHTTP) -> Any:
    return await client.get("/bytes/1")


# Timeouts of signals


async def test_a_signals_timeout_is_kept_by_the_loops_clock(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with AtomHTTP(base_url=origin.url) as client:
        began = virtual_clock.time()
        with pytest.raises(AtomHTTPCanceledError) as caught:
            await client.get("/delay/60", signal=AbortSignal.timeout(20), timeout=25)
        assert 19 <= virtual_clock.time() - began <= 20.1
        assert isinstance(caught.value.reason, TimeoutError)
        with pytest.raises(AtomHTTPTimeoutError):
            await client.get("/delay/60", signal=AbortSignal.timeout(20), timeout=15)
        with pytest.raises(AtomHTTPTimeoutError):
            await client.get("/delay/60", signal=AbortController().signal, timeout=15)


# Many


class Canned:
    """An adapter that answers at once."""

    async def send(self, request: Request) -> AdapterResponse:
        return AdapterResponse(200, None, b"{}")

    async def close(self) -> None:
        """Nothing is open."""


async def test_ten_thousand_calls_leave_nothing_on_their_signal() -> None:
    controller = AbortController()
    async with AtomHTTP(adapter=Canned()) as client:
        for _ in range(100):
            await client.get("http://a.test/", signal=controller.signal)
        gc.collect()
        before = len(gc.get_objects())
        for _ in range(10_000):
            await client.get("http://a.test/", signal=controller.signal)
        assert len(controller.signal._listeners) == 0
        gc.collect()
        assert len(gc.get_objects()) < before + 100


async def test_signals_made_of_a_lasting_one_leave_nothing_on_it() -> None:
    controller = AbortController()
    async with AtomHTTP(adapter=Canned()) as client:
        for _ in range(2_000):
            signal = AbortSignal.any([controller.signal, AbortSignal.timeout(60)])
            await client.get("http://a.test/", signal=signal)
        assert len(controller.signal._listeners) == 1
        gone = weakref.ref(signal)
        del signal
        assert gone() is None
        assert len(controller.signal._listeners) == 0


async def test_two_thousand_random_aborts_and_then_twenty_good_calls(loop_kind: str, origin: Origin) -> None:
    """Whatever it was that each was doing (waiting, connecting, sending, reading), ten places are ten places."""
    rng = random.Random(20260307)
    origin.routes["/slow"] = lambda request: (origin.release.wait(rng.random() / 500), Answer(b"x" * 70_000))[1]
    paths = ("/bytes/1", "/slow", "/chunked/100000")
    ends = {"aborted": 0, "answered": 0}
    async with AtomHTTP(base_url=origin.url, max_connections=10) as client:

        async def one(number: int) -> None:
            controller = AbortController()
            timer = asyncio.get_running_loop().call_later(rng.random() ** 3 / 20, controller.abort, number)
            call = client.post(rng.choice(paths), bytes(rng.choice((0, 10, 400_000))), signal=controller.signal)
            (end,) = await asyncio.gather(call, return_exceptions=True)
            timer.cancel()
            assert end.reason == number if is_cancel(end) else end.ok
            ends["aborted" if is_cancel(end) else "answered"] += 1

        for start in range(0, 2_000, 100):
            await asyncio.gather(*(one(start + number) for number in range(100)))
            stats = client.pool_stats()
            assert stats.open == stats.idle <= 10
            assert stats.waiting == 0
        assert sum(ends.values()) == 2_000
        assert ends["aborted"] > 100
        responses = await asyncio.gather(*(client.get("/bytes/5", timeout=PATIENCE) for _ in range(20)))
        assert [response.content for response in responses] == [b"\0\0\0\0\0"] * 20
        assert aio.current().reactor.timer_count <= 1  # the pool's own, for idle connections


# trio


class AbortableTrioDriver(TrioDriver):
    """What trio needs of its own: its tasks wait by its own means, and are woken by a cancel scope."""

    async def abortable(self, coroutine: Any, signal: AbortSignal) -> Any:
        if signal.aborted:
            return await super().abortable(coroutine, signal)
        token = trio.lowlevel.current_trio_token()
        seconds = signal.seconds_left
        with trio.CancelScope(deadline=trio.current_time() + (float("inf") if seconds is None else seconds)) as scope:

            def listener() -> None:
                token.run_sync_soon(scope.cancel)

            signal.add_listener(listener)
            try:
                return await coroutine
            finally:
                signal.remove_listener(listener)
        error = signal.error()
        raise error from error.__cause__


def test_trio_gives_up_what_is_aborted(origin: Origin) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            driver = AbortableTrioDriver()
            nursery.start_soon(driver.serve)
            client = TrioHTTP(driver, base_url=origin.url)
            for abort in (
                lambda controller: controller.abort("why"),
                lambda controller: threading.Thread(target=controller.abort, args=["why"]).start(),
            ):
                controller, count = AbortController(), len(origin.requests)

                async def abort_soon(
                    controller: AbortController = controller,
                    abort: Callable[[AbortController], None] = abort,
                    count: int = count,
                ) -> None:
                    while len(origin.requests) == count:
                        await trio.sleep(0.001)
                    abort(controller)

                nursery.start_soon(abort_soon)
                with pytest.raises(AtomHTTPCanceledError) as caught:
                    await client.request("GET", "/delay/60", signal=controller.signal)
                assert caught.value.reason == "why"
                assert len(controller.signal._listeners) == 0
            with pytest.raises(AtomHTTPCanceledError) as caught:
                await client.request("GET", "/delay/60", signal=AbortSignal.timeout(0.02))
            assert isinstance(caught.value.reason, TimeoutError)
            with pytest.raises(AtomHTTPCanceledError):
                await client.request("GET", "/bytes/1", signal=AbortSignal.abort())
            assert client.pool_stats() == (0, 0, 0, 0)
            with Peer([expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n01"), drain()]) as peer:
                controller = AbortController()
                response = await client.request("GET", peer.url, response_type="stream", signal=controller.signal)
                assert await response.data.read(2) == b"01"
                controller.abort()
                with pytest.raises(AtomHTTPCanceledError):
                    await response.data.read()
            assert (await client.request("GET", "/bytes/1")).ok
            # trio's own cancellation is not taken for an abort.
            with trio.move_on_after(0.02) as scope:
                await client.request("GET", "/delay/60", signal=AbortController().signal)
            assert scope.cancelled_caught
            await client._adapter.close()
            nursery.cancel_scope.cancel()

    trio.run(main)


# Without an event loop


def test_an_interrupt_wins_over_a_signal(origin: Origin) -> None:
    """A KeyboardInterrupt in a callback is that, whether or not the call has a signal."""

    def interrupt(data: Any) -> Any:
        raise KeyboardInterrupt

    with SyncAtomHTTP(base_url=origin.url) as client:
        controller = AbortController()
        with pytest.raises(KeyboardInterrupt):
            client.get("/bytes/1", signal=controller.signal, transformResponse=interrupt)
        assert len(controller.signal._listeners) == 0
        assert client.get("/bytes/1").ok


def test_random_aborts_of_a_synchronous_client_in_threads(origin: Origin) -> None:
    rng = random.Random(7)
    # Every third is not aborted at all.
    delays = [rng.random() / 100 if number % 3 else PATIENCE for number in range(300)]
    ends: list[str] = []
    with SyncAtomHTTP(base_url=origin.url, max_connections=3) as client:

        def work(mine: list[float]) -> None:
            for delay in mine:
                controller = AbortController()
                timer = threading.Timer(delay, controller.abort)
                timer.start()
                try:
                    client.get("/delay/0.005", signal=controller.signal)
                    ends.append("answered")
                except AtomHTTPCanceledError:
                    ends.append("aborted")
                timer.cancel()
                timer.join()

        threads = [threading.Thread(target=work, args=[delays[start::5]]) for start in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(ends) == 300
        assert ends.count("answered") >= 100
        assert "aborted" in ends
        stats = client.pool_stats()
        assert (stats.open, stats.waiting) == (stats.idle, 0)
        assert [client.get("/bytes/1").status for _ in range(20)] == [200] * 20


def test_an_abort_while_a_synchronous_client_holds_a_stream_elsewhere(origin: Origin) -> None:
    """One that reads is ended, another that reads at the same time is not."""
    script = [expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n01"), hold()]
    with Peer(script) as peer, SyncAtomHTTP() as client:
        controller = AbortController()
        stream = client.get(peer.url, response_type="stream", signal=controller.signal).data
        other = client.get(f"{origin.url}/bytes/500000", response_type="stream").data
        threading.Timer(0.01, controller.abort).start()
        with pytest.raises(AtomHTTPCanceledError):
            stream.read()
        assert len(other.read()) == 500_000
        assert client.pool_stats()[:3] == (1, 1, 0)
