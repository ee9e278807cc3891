"""Runs a scenario, and breaks it off, or makes its network fail, at one place of many.

A scenario is a coroutine function that gets a `Stage`: it prepares what it needs, and then has `Stage.step` await what
is to be broken off. `Stage.step` drives that coroutine by hand, so that every suspension is seen and counted. Run once
undisturbed, a scenario has a number of suspensions and of operations on its network; it is then run once more for each
of them and each `Injection`, each time with a new client and a new network, and judged by the same rules (`_Trial`).
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock
from urllib.parse import urlsplit

from atomhttp import (
    AbortController,
    AtomHTTP,
    AtomHTTPCanceledError,
    AtomHTTPError,
    AtomHTTPNetworkError,
    SyncAtomHTTP,
)
from atomhttp._net.drivers import aio
from atomhttp._net.http2 import Http2Connection
from atomhttp._net.live import live_reactors
from atomhttp._net.pool import PoolStats
from atomhttp._wire import http2
from atomhttp._wire.http2 import SPARE_WINDOW
from contract.flavours import AwaitableClient, run_by_hand
from hostile.suspension_network import Fault, HangError, MemoryPoller, Network, NetworkLoop, installed
from hostile.suspension_peers import expected

T = TypeVar("T")

# How a coroutine is broken off at a suspension:
#   throw    CancelledError, thrown into it before anything has happened
#   late     the same when what it waits for has happened: a task cancelled in the tick in which it was woken
#   again    as throw, and once more at the next suspension, which is one of the cleaning up
#   cancel   its task is cancelled, by the event loop
#   abort    its AbortSignal is aborted
#   close    the coroutine is closed where it waits (GeneratorExit)
BREAKS = ("throw", "late", "again", "cancel", "abort", "close")
# How an operation fails: ECONNRESET, EPIPE, the end of the stream, bytes that are neither TLS nor HTTP, half of what
# had arrived and then the end (over TLS: half a record), MemoryError.
FAULTS = ("reset", "pipe", "eof", "garbage", "truncated", "memory")

SAFE = ("GET", "HEAD", "PUT", "CONNECT", "SOCKS")


@dataclass(frozen=True, eq=False)
class Scenario:
    """One row of the table.

    Attributes:
        act: what is done.
        options: of the client.
        suspensions, operations: how many there are at least. A scenario that never waits would show nothing.
        origins: who is asked again afterwards.
        is_sync: whether a SyncAtomHTTP can do it.
        may_fail: what may come out, besides AtomHTTPNetworkError, when the network fails.
        repeats: whether sending a request again is what the scenario is about.
        outlasts_abort: whether the call may end well although its signal was aborted: an interceptor is not broken off.
        ends_connections: whether a connection of HTTP/2 is to close when its calls have ended.
    """

    name: str
    act: Callable[[Stage], Coroutine[Any, Any, Any]]
    options: dict[str, Any]
    suspensions: int
    operations: int
    origins: tuple[str, ...]
    is_sync: bool
    may_fail: tuple[type[AtomHTTPError], ...]
    repeats: bool
    outlasts_abort: bool
    ends_connections: bool = False


@dataclass(frozen=True)
class Injection:
    """What is done to a run, and at which suspension or operation, counted from 0."""

    kind: str
    at: int


@dataclass
class Count:
    """What an undisturbed run came to."""

    suspensions: int
    first_operation: int
    operations: int
    requests: Counter[str]


class ClosedError(Exception):
    """What a run ends with whose coroutine was closed."""


class Stage:
    """What a scenario works with.

    Attributes:
        client: an AtomHTTP, or a SyncAtomHTTP whose verbs can be awaited.
        network: see `Network`.
    """

    def __init__(
        self, network: Network, client: Any, scenario: Scenario, injection: Injection | None, is_sync: bool
    ) -> None:
        self.network = network
        self.client = client
        self.is_sync = is_sync
        self.is_encrypted = any(origin.startswith("https:") for origin in scenario.origins)
        self.suspensions = 0
        self.first_operation: int | None = None
        self.controller = AbortController()
        # Whether it was accepted: the task had not ended.
        self.cancelled = False
        self.broken = False
        self.over = False
        self.helpers: list[asyncio.Task[Any]] = []
        self.files: list[Any] = []
        self.calls_after_the_end: list[Any] = []
        # Those of HTTP/2 that there were when it was broken off.
        self.shared: list[Http2Connection] = []
        self.task: asyncio.Task[Any] | None = None
        self._injection = injection

    # For scenarios

    async def step(self, coroutine: Awaitable[T]) -> T:
        """Awaits `coroutine`, and breaks it off where that is wanted."""
        if self.first_operation is None:
            self.first_operation = len(self.network.operations)
        if not self.is_sync:
            return await _Stepped(self, coroutine)
        self.network.on_wait = self._interrupt
        try:
            return await coroutine
        finally:
            self.network.on_wait = lambda: None

    def beside(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Runs `coroutine` in a task of its own; it has to end well, and does when the network is released."""
        self.helpers.append(asyncio.create_task(coroutine))

    async def hold(self, path: str, origin: str = "http://origin.test", **options: Any) -> None:
        """Has another call wait for the answer to `path`: it has a connection by now."""
        self.beside(self.client.get(f"{origin}{path}", signal=None, **options))
        while f"GET {path}" not in self.network.requests:
            await asyncio.sleep(0.01)

    def callback(self, result: Callable[..., Any] = lambda *_: None) -> Callable[..., Any]:
        """A function for the client to call: asynchronous, where that can be, and then it waits twice."""

        def called(arguments: tuple[Any, ...]) -> Any:
            if self.over:
                self.calls_after_the_end.append(arguments)
            return result(*arguments)

        async def wait(*arguments: Any) -> Any:
            found = called(arguments)
            await asyncio.sleep(0)
            await asyncio.sleep(0.01)
            return found

        return (lambda *arguments: called(arguments)) if self.is_sync else wait

    def compare(self, data: Any, wanted: Any, *, may_be_cut: bool = False) -> None:
        """`data` is what came, and must be `wanted`, or its beginning where nothing says where it ends.

        Garbage inside of plain content cannot be told from that.
        """
        fault = self.network.fault
        if fault is None or fault.kind != "garbage" or self.is_encrypted:
            assert data == wanted or (may_be_cut and wanted.startswith(data or type(wanted)()))

    def path(self, path: Path) -> Path:
        """`path`, and whoever opens it must close it."""
        watched = _WatchedPath(path)
        watched.files = self.files
        return watched

    # For runs

    def reaction(self) -> str | None:
        """One more suspension: how the coroutine is broken off there."""
        number, self.suspensions = self.suspensions, self.suspensions + 1
        wanted = self._injection
        if self.over or wanted is None or wanted.kind not in BREAKS:
            return None
        if number == wanted.at or (number == wanted.at + 1 and wanted.kind == "again"):
            self.broken = True
            self.shared = shared_connections(self.client)
            return wanted.kind
        return None

    def _interrupt(self) -> None:
        number, self.suspensions = self.suspensions, self.suspensions + 1
        if self._injection == Injection("wait", number):
            self.broken = True
            raise KeyboardInterrupt

    def cancel(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.cancelled = task.cancel()


def shared_connections(client: Any) -> list[Http2Connection]:
    """Those of HTTP/2 that are open."""
    pooled = [connection for pool in client._adapter.pools for connection in pool.connections]
    return [each for each in pooled if isinstance(each, Http2Connection) and each.can_open]


class CountingEngine:
    """nghttp2, and how much content it has given out and been told of as consumed. One byte more or less a call would
    show only after half of a window of a gigabyte."""

    build = staticmethod(http2.ngh2.Connection)

    def __init__(self, *arguments: Any) -> None:
        self._engine = self.build(*arguments)
        self.received = self.acknowledged = 0

    def events(self) -> list[Any]:
        found: list[Any] = self._engine.events()
        self.received += sum(len(each.data) for each in found if isinstance(each, http2.ngh2.DataReceived))
        return found

    def acknowledge_received_data(self, size: int, stream_id: int) -> None:
        self.acknowledged += size
        self._engine.acknowledge_received_data(size, stream_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


class _WatchedPath(type(Path())):  # type: ignore[misc]  # the class for this system's paths
    """A path whose files are remembered."""

    files: list[Any]

    def open(self, *arguments: Any, **options: Any) -> Any:
        file = Path(str(self)).open(*arguments, **options)  # noqa: SIM115  # whether it is closed is the question
        self.files.append(file)
        return file


class _Stepped:
    """Awaits a coroutine by hand."""

    def __init__(self, stage: Stage, coroutine: Awaitable[Any]) -> None:
        self._stage = stage
        self._coroutine: Any = coroutine if inspect.iscoroutine(coroutine) else _await(coroutine)

    def __await__(self) -> Generator[Any, Any, Any]:
        stage, coroutine = self._stage, self._coroutine
        error: BaseException | None = None
        while True:
            try:
                awaited = coroutine.send(None) if error is None else coroutine.throw(error)
            except StopIteration as stop:
                return stop.value
            error = None
            reaction = stage.reaction()
            if reaction in ("throw", "again"):
                error = asyncio.CancelledError()
                continue
            if reaction == "close":
                coroutine.close()
                raise ClosedError
            if reaction == "cancel":
                asyncio.get_running_loop().call_soon(stage.cancel, asyncio.current_task())
            elif reaction == "abort":
                stage.task = asyncio.current_task()
                stage.controller.abort("by the scenario")
            try:
                yield awaited
            except BaseException as thrown:
                error = thrown
            if reaction == "late":
                error = asyncio.CancelledError()


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


# Running


@dataclass
class Theatre:
    """Where scenarios are run: one event loop, and a new network for each run.

    Args:
        build_network: gives one with its peers.
        options: of every client.
    """

    build_network: Callable[[], Network]
    options: dict[str, Any]
    loop: NetworkLoop = field(default_factory=NetworkLoop)

    def __enter__(self) -> Theatre:
        self._reports: list[str] = []
        self.loop.set_exception_handler(
            lambda _, context: self._reports.append(f"{context['message']}: {context.get('exception')!r}")
        )
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(contextlib.closing(self.loop))
        self._stack.enter_context(installed(lambda: self.loop.network, self.loop))
        self._stack.enter_context(mock.patch.object(http2.ngh2, "Connection", CountingEngine))
        return self

    def __exit__(self, *_: object) -> None:
        self._clear_up()
        self._stack.close()

    def _clear_up(self) -> None:
        """What a run that broke a rule has left is its own failure, and not that of the tests after it."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        for _ in range(10):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
        for each in live_reactors():
            if isinstance(each.poller, MemoryPoller):
                each.close_all()

    def count(self, scenario: Scenario, is_sync: bool = False) -> Count:
        """Runs `scenario` undisturbed."""
        # Once before, for what happens the first time only: such as a file that is read by a thread.
        self._play(_Trial(scenario, self._network(), self.options, None, is_sync))
        trial = _Trial(scenario, self._network(), self.options, None, is_sync)
        stage = self._play(trial)
        first = stage.first_operation
        assert first is not None, "the scenario steps nothing"
        return Count(stage.suspensions, first, trial.last_operation - first, Counter(trial.requests))

    def run(self, scenario: Scenario, injection: Injection, count: Count, is_sync: bool = False) -> None:
        """Runs `scenario` with `injection`; AssertionError when a rule is broken."""
        trial = _Trial(scenario, self._network(), self.options, injection, is_sync, count)
        self._play(trial)

    def _network(self) -> Network:
        network = self.build_network()
        # A loop's time goes one way.
        network.now = self.loop.network.now
        self.loop.network = network
        return network

    def _play(self, trial: _Trial) -> Stage:
        try:
            stage = trial.play_synchronously() if trial.is_sync else self.loop.run_until_complete(trial.play())
            reports, self._reports = self._reports, []
            assert not reports, f"told to the event loop, and to nobody else: {reports}"
            return stage
        except BaseException as error:
            error.add_note(f"{trial.scenario.name}: {trial.injection}, {'sync' if trial.is_sync else 'asyncio'}")
            error.add_note(f"operations: {' '.join(trial.network.operations)}")
            error.add_note(f"requests: {trial.network.requests}")
            raise


class _Trial:
    """One run, and the rules.

    1. A cancellation comes out as that, and a failure of the network as an error of ours; or the call succeeds.
    2. Then nothing is in use: no place in the pool, no socket but those that are idle and clean, no timer, no task.
    3. The next requests get their own answers.
    4. close() leaves nothing.
    5. Files that we have opened are closed, and no callback is called any more.
    6. What is not idempotent is not sent twice; what has been sent is not said not to have been.
    7. Who breaks off a call costs no connection of HTTP/2; it has all its room again, and all of its window.
    """

    def __init__(
        self,
        scenario: Scenario,
        network: Network,
        options: dict[str, Any],
        injection: Injection | None,
        is_sync: bool,
        count: Count | None = None,
    ) -> None:
        self.scenario = scenario
        self.network = network
        self.injection = injection
        self.is_sync = is_sync
        self.last_operation = 0
        self.requests: list[str] = []
        self._count = count
        self._options = {**options, **scenario.options}
        if injection is not None and injection.kind in (*FAULTS, "interrupt"):
            network.fault = Fault(injection.kind, injection.at)

    @property
    def _kind(self) -> str:
        return "" if self.injection is None else self.injection.kind

    # Under an event loop

    async def play(self) -> Stage:
        client = AtomHTTP(**self._options)
        stage = Stage(self.network, client, self.scenario, self.injection, is_sync=False)
        if self._kind == "abort":
            client.defaults.signal = stage.controller.signal
        task = asyncio.get_running_loop().create_task(self.scenario.act(stage))
        await asyncio.wait([task])
        self._end(stage)
        outcome = asyncio.CancelledError() if task.cancelled() else task.exception()
        self._judge(stage, outcome)
        if outcome is not None:
            # It knows the frames that it has passed through, and with them what the scenario held.
            outcome.__traceback__ = None
        del task
        if not stage.helpers:
            # At once, and not only when the peers have come to an end.
            self._check_pool(client)
            await self._settle()
            # A peer that holds its answer back is told that nobody waits for it any more.
            assert not any(wire.busy for wire in self.network.wires if not wire.gone)
        self.network.release()
        for helper in stage.helpers:
            (end,) = await asyncio.gather(helper, return_exceptions=True)
            if isinstance(end, BaseException):
                # Not what is stepped, but the network may have failed for it.
                assert self.network.fault is not None
                self._judge_failure(end)
        await self._settle()
        if self._kind == "abort":
            client.defaults.signal = None
        if not client._closed:
            self._check_rest(client)
            self._check_survivors(stage)
            for line, request in self._next_requests(client):
                response = await request()
                assert response.data == line, "it got somebody else's answer"
            await self._settle()
            self._check_rest(client)
        await client.close()
        await self._settle()
        self._check_nothing_left(stage)
        assert asyncio.get_running_loop() not in aio._drivers, "the driver has not retired"
        return stage

    async def _settle(self) -> None:
        """Lets what is under way end: threads finish what nobody waits for any more, peers see that they are alone."""
        more = True
        while more:
            for _ in range(3):
                await asyncio.sleep(0)
            more = self.network.advance()
            while self.network.advance():
                await asyncio.sleep(0)

    # Without one

    def play_synchronously(self) -> Stage:
        real = SyncAtomHTTP(**self._options)
        client = AwaitableClient(real)
        stage = Stage(self.network, client, self.scenario, self.injection, is_sync=True)
        outcome: BaseException | None = None
        try:
            run_by_hand(self.scenario.act(stage))
        except (Exception, KeyboardInterrupt) as error:
            outcome = error
        self._end(stage)
        self._judge(stage, outcome)
        if outcome is not None:
            outcome.__traceback__ = None
        self._check_pool(real)
        while self.network.advance():
            pass
        if not real._closed:
            self._check_rest(real)
            for line, request in self._next_requests(real):
                assert request().data == line, "it got somebody else's answer"
            while self.network.advance():
                pass
            self._check_rest(real)
        real.close()
        while self.network.advance():
            pass
        self._check_nothing_left(stage)
        return stage

    # Rules

    def _end(self, stage: Stage) -> None:
        stage.over = True
        self.last_operation = len(self.network.operations)
        self.requests = list(self.network.requests)

    def _judge(self, stage: Stage, outcome: BaseException | None) -> None:
        if isinstance(outcome, (AssertionError, HangError)):
            raise outcome
        fault = self.network.fault
        if fault is not None:
            assert fault.hit is not None, "the fault met no operation: the run was not the same as before"
            self._judge_failure(outcome)
        elif self._kind:
            assert stage.broken, "the suspension was never reached: the run was not the same as before"
            self._judge_break(stage, outcome)
        elif outcome is not None:
            raise outcome
        self._check_requests(outcome)

    def _judge_break(self, stage: Stage, outcome: BaseException | None) -> None:
        """Rule 1, for whoever breaks off."""
        if self._kind == "close":
            wanted: type[BaseException] = ClosedError
        elif self._kind == "wait":
            wanted = KeyboardInterrupt
        elif self._kind == "abort":
            wanted = AtomHTTPCanceledError
            assert stage.task is not None
            assert stage.task.cancelling() == 0, "an abort has left a cancellation behind"
            if outcome is None and self.scenario.outlasts_abort:
                return
        else:
            wanted = asyncio.CancelledError
        if self._kind == "cancel" and not stage.cancelled:
            # It had ended before the event loop came to that.
            assert outcome is None
            return
        if type(outcome) is not wanted:
            raise AssertionError(f"{self._kind} came out as {outcome!r}") from outcome
        if self._kind == "cancel":
            assert stage.task is not None
            assert stage.task.cancelling() == 1

    def _judge_failure(self, outcome: BaseException | None) -> None:
        """Rule 1, for the network."""
        if outcome is None:
            return
        if self._kind == "memory" and isinstance(outcome, MemoryError):
            return
        if self._kind == "interrupt" and isinstance(outcome, KeyboardInterrupt):
            return
        if not isinstance(outcome, (AtomHTTPNetworkError, *self.scenario.may_fail)):
            raise AssertionError(f"{self.network.fault} came out as {outcome!r}") from outcome
        assert isinstance(outcome, AtomHTTPError)
        assert outcome.code in type(outcome).codes, f"{outcome!r} has a code that its class does not have"
        assert outcome.config is not None
        assert outcome.request is not None

    def _check_requests(self, outcome: BaseException | None) -> None:
        """Rule 6."""
        if self._count is None or self.scenario.repeats:
            return
        for line, times in Counter(self.requests).items():
            most = self._count.requests[line] + (line.startswith(SAFE) and self.network.fault is not None)
            assert times <= most, f"{line} was sent {times} times"
        if isinstance(outcome, AtomHTTPNetworkError) and outcome.request_sent == "no":
            target = urlsplit(outcome.request.url)
            line = f"{outcome.request.method} {target.path}"
            assert line not in self.requests, f"{outcome!r} says that it was not sent"

    def _check_rest(self, client: Any) -> None:
        """Rule 2."""
        stats = self._check_pool(client)
        assert len(self.network.open) == stats.idle, f"{stats}, and {len(self.network.open)} sockets"
        for sock in self.network.open.values():
            assert sock.wire is not None
            if self.is_sync and sock.wire.is_talkative:
                # HTTP/2 may have something to say, or be cut off, at any time. It is looked at when it is taken.
                assert not sock.wire.busy or sock.wire.gone, (
                    "kept a connection whose peer is in the middle of a request"
                )
                continue
            assert not sock.wire.busy, "kept a connection whose peer is in the middle of a request"
            assert not sock.wire.undelivered, "kept a connection with something unread"
        self._check_room(client)
        if self.is_sync:
            for unit in client._units._free:
                assert unit.reactor.timer_count == 0
                assert unit.reactor._waker is None
            return
        loop = asyncio.get_running_loop()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        driver = aio._drivers.get(loop)
        pools = client._adapter.pools
        if driver is None:
            assert not pools
            return
        assert driver.users == len(pools), f"{driver.users} rely on the driver, and there are {len(pools)} pools"
        assert driver.reactor._waker is None, "a thread is said to owe an answer"
        assert driver.reactor.handler_count == stats.idle
        # The pool's own, for what is idle.
        assert driver.reactor.timer_count <= len(pools), f"{driver.reactor.timer_count} timers"
        assert sum(not timer.cancelled() for timer in loop._scheduled) <= len(pools)  # type: ignore[attr-defined]  # CPython's own

    def _check_room(self, client: Any) -> None:
        """Rule 7, for the room."""
        for each in shared_connections(client):
            assert not each.streams, f"{each!r} has a stream of nobody's"
            assert not each._feeders
            assert each.room == each.limit > 0
            assert not each.engine.open_streams
            assert each.engine._spare_window == SPARE_WINDOW
            counted = each.engine._connection
            assert isinstance(counted, CountingEngine)
            assert counted.received == counted.acknowledged, "a part of the connection's window is lost"

    def _check_survivors(self, stage: Stage) -> None:
        """Rule 7, for the connections."""
        if not self.scenario.ends_connections:
            assert not [each for each in stage.shared if each.closed], (
                "a connection was lost, and with it all its calls"
            )

    def _check_pool(self, client: Any) -> PoolStats:
        stats: PoolStats = client.pool_stats()
        assert stats.waiting == 0, stats
        assert stats.open == stats.idle, stats
        return stats

    def _next_requests(self, client: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
        """Rule 3: each is called, and its data is compared."""
        for origin in self.scenario.origins:
            yield expected("GET", "/next/1"), lambda where=origin: client.get(f"{where}/next/1")

    def _check_nothing_left(self, stage: Stage) -> None:
        """Rules 4 and 5."""
        assert not self.network.open, f"{len(self.network.open)} sockets are left"
        assert not stage.calls_after_the_end, f"called after the end: {stage.calls_after_the_end}"
        assert all(file.closed for file in stage.files), "a file is left open"
        if not self.is_sync:
            loop = asyncio.get_running_loop()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert all(timer.cancelled() for timer in loop._scheduled)  # type: ignore[attr-defined]  # CPython's own
