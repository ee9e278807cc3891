"""Many at once: what runs `AtomHTTP.all` on an event loop, and `SyncAtomHTTP.all` on one thread without any."""

from __future__ import annotations

import asyncio
import contextvars
import dis
import gc
import logging
import signal
import threading
import types
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterator
from types import FrameType
from typing import Any

import pytest

from atomhttp import AtomHTTP, AtomHTTPClosedError, AtomHTTPDecodeError, AtomHTTPOptionError, SyncAtomHTTP
from atomhttp._net.drivers.blocking import BlockingDriver, ManyDriver, Units
from atomhttp._net.drivers.together import collect_tasks
from net.test_blocking import the_pool
from support.interrupts import EXPECTED, Stepper
from support.origin import Answer, Origin, Received, pattern
from support.server import PATIENCE

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


async def value(result: Any) -> Any:
    return result


async def fail(error: BaseException) -> None:
    raise error


class Log:
    """What coroutines did, and how many of them were under way at once."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self.now = self.most = 0

    async def stay(self, name: str, event: asyncio.Event | None = None, steps: int = 1) -> str:
        self.now += 1
        self.most = max(self.most, self.now)
        self.entries.append(f"{name} began")
        try:
            for _ in range(steps):
                await asyncio.sleep(0)
            if event is not None:
                await event.wait()
        except BaseException as error:
            self.entries.append(f"{name} {type(error).__name__}")
            raise
        finally:
            self.now -= 1
        self.entries.append(f"{name} ended")
        return name


# On an event loop: results


async def test_results_in_order_of_everything_that_can_be_given(loop_kind: str) -> None:
    class Awaitable:
        def __await__(self) -> Generator[Any, Any, str]:
            yield from asyncio.sleep(0).__await__()
            return "awaitable"

    @types.coroutine
    def old() -> Generator[Any, Any, str]:
        yield
        return "generator"

    loop = asyncio.get_running_loop()
    future: asyncio.Future[str] = loop.create_future()
    loop.call_soon(future.set_result, "future")
    tasks = [value("coroutine"), asyncio.create_task(value("task")), future, Awaitable(), old(), "plain", None]
    expected = ["coroutine", "task", "future", "awaitable", "generator", "plain", None]
    assert await AtomHTTP.all(tasks) == expected


@pytest.mark.parametrize("make", [list, tuple, iter, set, lambda items: dict(enumerate(items)).values()])
async def test_any_iterable_and_none_at_all(make: Callable[[Any], Any]) -> None:
    assert sorted(await AtomHTTP.all(make([value(1), value(2)]))) == [1, 2]
    assert await AtomHTTP.all(make([])) == []


async def test_a_generator_is_an_iterable() -> None:
    assert await AtomHTTP.all(value(number) for number in range(5)) == list(range(5))


async def test_the_same_thing_twice_runs_once() -> None:
    ran: list[int] = []

    async def run() -> object:
        ran.append(1)
        return object()

    coroutine, task = run(), asyncio.create_task(run())
    first, second, third, fourth = await AtomHTTP.all([coroutine, task, coroutine, task])
    assert first is third
    assert second is fourth
    assert len(ran) == 2


async def test_what_is_done_already_is_a_result(loop_kind: str) -> None:
    done = asyncio.create_task(value(1))
    await done
    assert await AtomHTTP.all([done, 2]) == [1, 2]


# On an event loop: the limit


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_the_limit_is_reached_and_held(loop_kind: str, limit: int) -> None:
    log = Log()
    names = [str(number) for number in range(20)]
    # Of different lengths, so that places come free one by one.
    assert await AtomHTTP.all([log.stay(name, steps=1 + int(name) % 3) for name in names], limit=limit) == names
    assert log.most == limit
    began = [entry.split()[0] for entry in log.entries if entry.endswith("began")]
    assert began == names


async def test_without_a_limit_all_of_them_are_under_way() -> None:
    log = Log()
    await AtomHTTP.all([log.stay(str(number)) for number in range(500)])
    assert log.most == 500


async def test_the_callers_tasks_count_for_no_limit() -> None:
    log = Log()
    tasks = [asyncio.create_task(log.stay(f"task {number}", steps=9)) for number in range(5)]
    await AtomHTTP.all([*tasks, *(log.stay(str(number), steps=9) for number in range(5))], limit=1)
    assert log.most == 6


async def test_a_limit_does_not_wait_for_the_callers_tasks() -> None:
    event = asyncio.Event()
    task = asyncio.create_task(value(None))

    async def release() -> None:
        event.set()

    task = asyncio.create_task(event.wait())  # ends only when what comes after it has run
    assert await AtomHTTP.all([task, value(1), release()], limit=1) == [True, 1, None]


# On an event loop: failure


async def test_the_first_failure_ends_what_was_started_and_is_raised(loop_kind: str) -> None:
    log, event = Log(), asyncio.Event()
    unstarted = [log.stay("never"), log.stay("never")]
    failure = ValueError("this one")

    async def fail_later() -> None:
        await asyncio.sleep(0)
        raise failure

    with pytest.raises(ValueError, match="this one") as caught:
        await AtomHTTP.all([log.stay("slow", event), fail_later(), *unstarted], limit=2)
    assert caught.value is failure
    # By now, not some time later.
    assert log.entries == ["slow began", "slow CancelledError"]
    assert [coroutine.cr_frame for coroutine in unstarted] == [None, None]


async def test_the_first_failure_in_time_not_in_order() -> None:
    async def fail_after(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)
        raise ValueError(count)

    with pytest.raises(ValueError, match="2"):
        await AtomHTTP.all([fail_after(5), fail_after(2), fail_after(9)])


async def test_the_callers_tasks_are_left_alone(loop_kind: str) -> None:
    log, event = Log(), asyncio.Event()
    future = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(log.stay("mine", event))
    with pytest.raises(ValueError, match="no"):
        await AtomHTTP.all([task, future, fail(ValueError("no"))])
    assert not task.done()
    assert not future.done()
    assert not future._callbacks, "and nothing of it holds on to them"
    event.set()
    assert await task == "mine"


async def test_a_failed_task_of_the_caller_ends_it_as_well() -> None:
    log, event = Log(), asyncio.Event()
    task = asyncio.create_task(fail(ValueError("mine")))
    with pytest.raises(ValueError, match="mine"):
        await AtomHTTP.all([log.stay("slow", event), task])
    assert log.entries[-1] == "slow CancelledError"


async def test_a_task_that_failed_before_starts_nothing() -> None:
    task = asyncio.create_task(fail(ValueError("mine")))
    await asyncio.wait([task])
    log = Log()
    with pytest.raises(ValueError, match="mine"):
        await AtomHTTP.all([log.stay("never"), task])
    assert log.entries == []


async def test_a_cancelled_task_of_the_caller_is_a_failure() -> None:
    log, event = Log(), asyncio.Event()
    task = asyncio.create_task(event.wait())
    together = asyncio.create_task(AtomHTTP.all([log.stay("slow", event), task]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await together
    assert log.entries == ["slow began", "slow CancelledError"]


async def test_the_failures_of_the_others_are_not_reported_to_nobody(loop_kind: str) -> None:
    """Nobody will ask for them: asyncio would say "Task exception was never retrieved", which fails this test."""

    async def fail_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("while ending")

    with pytest.raises(ValueError, match="first"):
        await AtomHTTP.all([fail_when_cancelled(), fail(ValueError("first")), fail(KeyError("second"))])
    gc.collect()


async def test_ending_waits_for_those_that_take_their_time() -> None:
    log, event = Log(), asyncio.Event()

    async def reluctant() -> None:
        try:
            await event.wait()
        except asyncio.CancelledError:
            for _ in range(20):
                await asyncio.sleep(0)
            log.entries.append("tidied up")
            raise

    with pytest.raises(ValueError, match="no"):
        await AtomHTTP.all([reluctant(), fail(ValueError("no"))])
    assert log.entries == ["tidied up"]


@pytest.mark.parametrize("kind", [BaseException, GeneratorExit])
async def test_any_base_exception_is_a_failure(kind: type[BaseException]) -> None:
    log, event = Log(), asyncio.Event()
    unstarted = value(1)
    with pytest.raises(kind):
        await AtomHTTP.all([log.stay("slow", event), fail(kind()), unstarted], limit=2)
    assert log.entries == ["slow began", "slow CancelledError"]
    assert unstarted.cr_frame is None


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_one_of_them_leaves_nothing(kind: type[BaseException]) -> None:
    log = Log()
    unstarted = value(1)

    async def interrupted() -> None:
        await asyncio.sleep(0)
        raise kind

    async def main() -> None:
        await AtomHTTP.all([log.stay("slow", asyncio.Event()), interrupted(), unstarted], limit=2)

    with pytest.raises(kind):
        asyncio.run(main())
    assert log.entries == ["slow began", "slow CancelledError"]
    assert unstarted.cr_frame is None


async def test_an_error_takes_nothing_along() -> None:
    """No reference cycle: an error that is dropped is gone at once, with all that its frames held."""

    class Kept:
        pass

    async def hold(kept: Kept) -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    kept = Kept()
    watched = weakref.ref(kept)
    gc.disable()
    try:
        for return_exceptions in (False, True):
            with pytest.raises(ValueError, match="no"):
                for result in await AtomHTTP.all([hold(kept)], return_exceptions=return_exceptions):
                    raise result
        del kept, result
        assert watched() is None
    finally:
        gc.enable()


# On an event loop: cancellation


async def test_cancelling_it_ends_what_was_started(loop_kind: str) -> None:
    log, event = Log(), asyncio.Event()
    unstarted, mine = value(1), asyncio.create_task(log.stay("mine", event))
    together = asyncio.create_task(AtomHTTP.all([mine, log.stay("a", event), log.stay("b", event), unstarted], limit=2))
    for _ in range(3):
        await asyncio.sleep(0)
    together.cancel()
    with pytest.raises(asyncio.CancelledError):
        await together
    assert together.cancelled()
    assert {"a CancelledError", "b CancelledError"} <= set(log.entries)
    assert unstarted.cr_frame is None
    assert not mine.done()
    event.set()
    assert await mine == "mine"


async def test_cancelling_it_before_it_began_closes_nothing_it_was_not_given() -> None:
    coroutine = value(1)
    together = asyncio.create_task(AtomHTTP.all([coroutine]))
    together.cancel()
    with pytest.raises(asyncio.CancelledError):
        await together
    # Not a line of `all` has run: as with any coroutine, its arguments are the caller's.
    assert coroutine.cr_frame is not None
    coroutine.close()


async def test_a_timeout_around_it(virtual_clock: Any) -> None:
    log, event = Log(), asyncio.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await AtomHTTP.all([log.stay("slow", event)])
    assert log.entries[-1] == "slow CancelledError"


async def test_cancelling_it_again_is_handed_on_and_leaves_nobody_behind() -> None:
    log = Log()

    async def stubborn() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                log.entries.append("cancelled")
        await asyncio.Event().wait()

    together = asyncio.create_task(AtomHTTP.all([stubborn()]))
    for number in range(3):
        for _ in range(5):
            await asyncio.sleep(0)
        assert log.entries == ["cancelled"] * number
        assert not together.done()
        together.cancel()
    with pytest.raises(asyncio.CancelledError):
        await together


async def test_a_cancellation_while_it_ends_after_a_failure_is_not_lost() -> None:
    event = asyncio.Event()

    async def reluctant() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            while not event.is_set():
                try:
                    await event.wait()
                except asyncio.CancelledError:
                    pass
            raise

    together = asyncio.create_task(AtomHTTP.all([reluctant(), fail(ValueError("first"))]))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not together.done()
    together.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not together.done()
    event.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await together
    context: BaseException | None = caught.value
    seen = []
    while context is not None:
        seen.append(type(context))
        context = context.__context__
    assert ValueError in seen


async def test_a_cancellation_that_meets_the_last_result() -> None:
    event = asyncio.Event()

    async def last() -> None:
        await event.wait()
        together.cancel()

    together = asyncio.create_task(AtomHTTP.all([last(), value(1)]))
    await asyncio.sleep(0)
    event.set()
    with pytest.raises(asyncio.CancelledError):
        await together


def test_a_coroutine_that_is_closed_closes_what_it_was_given() -> None:
    """As when its loop goes away under it."""
    log = Log()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        await AtomHTTP.all([log.stay("a", asyncio.Event()), unstarted], limit=1)

    unstarted = value(1)
    coroutine = main()
    loop.call_soon(lambda: coroutine.send(None))
    loop.run_until_complete(asyncio.sleep(0.001))
    coroutine.close()
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.close()
    assert log.entries == ["a began", "a CancelledError"]
    assert unstarted.cr_frame is None


# On an event loop: errors as results


async def test_errors_as_results(loop_kind: str) -> None:
    log = Log()
    cancelled = asyncio.create_task(asyncio.Event().wait())
    cancelled.cancel()
    error, mine = ValueError("no"), asyncio.create_task(fail(KeyError("mine")))
    results = await AtomHTTP.all(
        [fail(error), log.stay("a", steps=5), cancelled, mine, fail(BaseException("base")), 7], return_exceptions=True
    )
    assert results[0] is error
    assert results[1] == "a"
    assert [type(result) for result in results[2:5]] == [asyncio.CancelledError, KeyError, BaseException]
    assert results[5] == 7


async def test_errors_as_results_with_a_limit_do_not_stop_what_comes_after() -> None:
    results = await AtomHTTP.all(
        (fail(ValueError(str(number))) if number % 2 else value(number) for number in range(10)), 2, True
    )
    assert [str(result) for result in results] == [str(number) for number in range(10)]


async def test_cancelling_it_is_no_result() -> None:
    together = asyncio.create_task(AtomHTTP.all([asyncio.Event().wait()], return_exceptions=True))
    await asyncio.sleep(0)
    together.cancel()
    with pytest.raises(asyncio.CancelledError):
        await together


# On an event loop: contexts


async def test_each_runs_in_a_copy_of_the_callers_context(loop_kind: str) -> None:
    variable.set("caller's")

    async def look_and_set(name: str) -> str:
        seen = variable.get()
        variable.set(name)
        await asyncio.sleep(0)
        assert variable.get() == name
        return seen

    # With the limit most of them are started after others have ended.
    results = await AtomHTTP.all([look_and_set(str(number)) for number in range(6)], limit=2)
    assert results == ["caller's"] * 6
    assert variable.get() == "caller's"


# On an event loop: task factories


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="Python 3.12 has eager tasks")
async def test_eager_tasks() -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]  # see above
    log = Log()
    assert await AtomHTTP.all([value(1), log.stay("a"), value(2)], limit=1) == [1, "a", 2]
    with pytest.raises(ValueError, match="at once"):
        await AtomHTTP.all([fail(ValueError("at once")), log.stay("never")])
    assert log.entries == ["a began", "a ended"]


async def test_a_factory_that_runs_tasks_to_their_end_at_once() -> None:
    """What an eager task looks like from outside, on any Python: done before there is anything to wait for."""
    loop = asyncio.get_running_loop()

    class Done(asyncio.Future[Any]):
        def set_name(self, name: object) -> None:
            """Some releases of Python 3.13 name what a factory returns."""

    def run_at_once(loop: Any, coroutine: Any, **options: Any) -> Any:
        future = Done(loop=loop)
        try:
            coroutine.send(None)
        except StopIteration as stop:
            future.set_result(stop.value)
        except Exception as error:
            future.set_exception(error)
        return future

    loop.set_task_factory(run_at_once)
    try:
        assert await AtomHTTP.all([value(1), value(2)], limit=1) == [1, 2]
        log = Log()
        with pytest.raises(ValueError, match="at once"):
            await AtomHTTP.all([value(1), fail(ValueError("at once")), log.stay("never")])
        assert log.entries == []
    finally:
        loop.set_task_factory(None)


async def test_a_factory_that_fails_leaves_nothing() -> None:
    loop = asyncio.get_running_loop()
    log, event = Log(), asyncio.Event()

    class Awaitable:
        def __await__(self) -> Generator[Any, Any, None]:
            yield from event.wait().__await__()

    def refuse(loop: Any, coroutine: Any, **options: Any) -> Any:
        if coroutine is not first:
            raise OSError("no more tasks")
        return asyncio.Task(coroutine, loop=loop)

    # What is refused is a coroutine of the caller's, or one that was made to await something else of the caller's.
    for refused in (value(1), Awaitable()):
        first, unstarted = log.stay("a", event), value(2)
        loop.set_task_factory(refuse)
        try:
            with pytest.raises(OSError, match="no more tasks"):
                await AtomHTTP.all([first, refused, unstarted])
        finally:
            loop.set_task_factory(None)
        assert getattr(refused, "cr_frame", None) is None
        assert unstarted.cr_frame is None


# What is given


async def test_a_failure_while_the_tasks_are_made_closes_those_there_were() -> None:
    made = []

    def tasks() -> Iterator[Any]:
        made.append(value(1))
        yield made[0]
        raise KeyError("while iterating")

    with pytest.raises(KeyError, match="while iterating"):
        await AtomHTTP.all(tasks())
    assert made[0].cr_frame is None


@pytest.mark.parametrize("limit", [0, -1, 1.0, "3", True, [1]])
async def test_a_limit_must_be_a_whole_number_of_one_or_more(limit: Any) -> None:
    coroutine = value(1)
    with pytest.raises(
        AtomHTTPOptionError, match="all: limit: expected a whole number of 1 or more, or None"
    ) as caught:
        await AtomHTTP.all([coroutine], limit=limit)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert coroutine.cr_frame is None


async def test_what_is_not_an_iterable_of_tasks_is_refused_and_closed() -> None:
    async def generate() -> Any:
        yield value(1)

    task = asyncio.create_task(value(1))
    for wrong, hint in [
        (3, "got 3"),
        (None, "got NoneType"),
        (value(1), r"such as \[task\], got coroutine"),
        (task, r"such as \[task\], got Task"),
        (generate(), r"\[task async for task in tasks\], got async_generator"),
        ({"a": value(1)}, r"such as tasks.values\(\), got dict"),
        ("abc", "got str"),
    ]:
        with pytest.raises(AtomHTTPOptionError, match=f"all: tasks: expected an iterable.*{hint}") as caught:
            await AtomHTTP.all(wrong)
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert await task == 1


async def test_tasks_one_by_one_as_for_gather_are_refused_and_closed() -> None:
    coroutines = [value(1), value(2), value(3)]
    with pytest.raises(AtomHTTPOptionError, match="all: tasks"):
        await AtomHTTP.all(*coroutines)  # type: ignore[call-overload]  # it is the wrong call that is tested
    assert [coroutine.cr_frame for coroutine in coroutines] == [None] * 3
    given = value(1)
    with pytest.raises(AtomHTTPOptionError, match="all: return_exceptions: expected True or False, got str"):
        await AtomHTTP.all([given], return_exceptions="yes")  # type: ignore[call-overload]  # the same
    assert given.cr_frame is None


async def test_a_future_of_another_loop_is_refused() -> None:
    other = asyncio.new_event_loop()
    coroutine = value(1)
    with pytest.raises(AtomHTTPOptionError, match="futures of the running event loop"):
        await AtomHTTP.all([coroutine, other.create_future()])
    other.close()
    assert coroutine.cr_frame is None


def test_without_a_loop_it_names_the_synchronous_client() -> None:
    coroutine = value(1)
    with pytest.raises(RuntimeError, match="SyncAtomHTTP"):
        AtomHTTP.all([coroutine]).send(None)
    assert coroutine.cr_frame is None


def test_collecting_takes_the_tasks_once() -> None:
    assert collect_tasks(iter([1, 2]), None, False) == [1, 2]
    assert collect_tasks(iter([1, 2]), 1, True) == [1, 2]


# Without a loop: the scheduler


@pytest.fixture
def driver() -> Iterator[ManyDriver]:
    made = ManyDriver()
    yield made
    made.reactor.close_all()


def starts(*functions: Callable[..., Coroutine[Any, Any, Any]]) -> list[Callable[[BlockingDriver], Any]]:
    return [lambda _, function=function: function() for function in functions]


class Journal:
    """Coroutines for the scheduler, and what they did."""

    def __init__(self, driver: ManyDriver) -> None:
        self.driver = driver
        self.entries: list[str] = []
        self.waiters: dict[str, Any] = {}
        self.now = self.most = 0

    def waiting(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        """Waits until somebody completes `waiters[name]`."""

        async def wait() -> Any:
            self.entries.append(f"{name} began")
            self.waiters[name] = waiter = self.driver.waiter()
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                return await waiter
            except BaseException as error:
                self.entries.append(f"{name} {type(error).__name__}")
                raise
            finally:
                self.now -= 1

        return wait

    def completing(self, *names: str, error: BaseException | None = None) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def complete() -> None:
            for name in names:
                await asyncio.sleep(0)
                if error is None:
                    self.waiters[name].set_result(name)
                else:
                    self.waiters[name].set_exception(error)

        return complete


def test_results_in_order_whoever_ends_first(driver: ManyDriver) -> None:
    journal = Journal(driver)
    results = driver.run_many(
        starts(journal.waiting("a"), journal.waiting("b"), lambda: value(3), journal.completing("b", "a"))
    )
    assert results == ["a", "b", 3, None]
    assert driver.run_many([]) == []


def test_the_scheduler_holds_the_limit(driver: ManyDriver) -> None:
    """Those under way are ended by the reactor, a timer each, so that places come free one by one."""
    log: dict[str, int] = {"now": 0, "most": 0}

    async def stay(number: int) -> int:
        log["now"] += 1
        log["most"] = max(log["most"], log["now"])
        await driver.sleep(0.001 * (number % 3))
        log["now"] -= 1
        return number

    results = driver.run_many(starts(*(lambda number=number: stay(number) for number in range(30))), limit=4)
    assert results == list(range(30))
    assert log == {"now": 0, "most": 4}


def test_a_bare_yield_lets_the_others_go_first(driver: ManyDriver) -> None:
    order = []

    async def step(name: str) -> None:
        for number in range(3):
            order.append(f"{name}{number}")
            await asyncio.sleep(0)

    driver.run_many(starts(lambda: step("a"), lambda: step("b")))
    assert order == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_those_that_only_yield_do_not_starve_those_that_wait(driver: ManyDriver) -> None:
    """The poller is asked between two rounds: a timer rings though there is always somebody who can go on."""
    rung = []

    async def spin() -> None:
        while not rung:
            await asyncio.sleep(0)

    async def wait() -> None:
        await driver.sleep(0.001)
        rung.append(True)

    driver.run_many(starts(spin, spin, wait))
    assert rung == [True]


def test_breathing_lets_the_others_run(driver: ManyDriver) -> None:
    order = []

    async def breathe() -> None:
        order.append("before")
        await driver.breathe()
        order.append("after")

    async def other() -> None:
        order.append("other")

    driver.run_many(starts(breathe, other))
    assert order == ["before", "other", "after"]


def test_a_waiter_wakes_its_coroutine_once(driver: ManyDriver) -> None:
    async def wait() -> list[Any]:
        first = driver.waiter()
        first.set_result("ready before it is awaited")
        seen = [await first]
        waiters.append(driver.waiter())
        seen.append(await waiters[0])
        waiters.append(driver.waiter())
        return [*seen, await waiters[1]]

    async def complete() -> None:
        waiters[0].set_result(1)
        waiters[0].set_result("late")  # must not count for the wait after it
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiters[1].set_result(2)

    waiters: list[Any] = []
    assert driver.run_many(starts(wait, complete))[0] == ["ready before it is awaited", "late", 2]


def test_a_completed_waiter_costs_the_same_among_many(driver: ManyDriver) -> None:
    """Nobody goes through those that wait: only what was completed is touched."""
    journal = Journal(driver)
    touched = []
    names = [str(number) for number in range(1_000)]

    async def complete() -> None:
        await asyncio.sleep(0)
        for name in names:
            journal.waiters[name].set_result(None)
            touched.append(len(driver.ready))
            while driver.ready:
                await asyncio.sleep(0)

    # 1,000 coroutines and the one that completes them.
    driver.run_many(starts(*map(journal.waiting, names), complete))
    assert touched == [1] * 1_000


def test_a_foreign_awaitable_is_refused_at_its_await_and_the_others_go_on(driver: ManyDriver) -> None:
    class Foreign:
        def __await__(self) -> Generator[Any, Any, None]:
            yield self

    async def try_it() -> str:
        try:
            await Foreign()
        except RuntimeError as error:
            return str(error)
        return "not refused"

    message, other = driver.run_many(starts(try_it, lambda: value(1)))
    assert "Foreign" in message
    assert "no event loop" in message
    assert other == 1


def test_the_first_failure_closes_the_others(driver: ManyDriver) -> None:
    journal = Journal(driver)
    failure = ValueError("first")
    given_up: list[Any] = []

    async def fail_later() -> None:
        await asyncio.sleep(0)
        raise failure

    functions = [
        lambda: value("done"),
        journal.waiting("a"),
        fail_later,
        journal.waiting("b"),
        journal.waiting("never"),
    ]
    with pytest.raises(ValueError, match="first") as caught:
        driver.run_many(starts(*functions), limit=3, give_up=given_up.append)
    assert caught.value is failure
    assert journal.entries == ["a began", "b began", "a GeneratorExit", "b GeneratorExit"]
    assert "done" in given_up
    # It can be used again.
    assert driver.run_many(starts(lambda: value(1))) == [1]


def test_what_is_answered_too_late_is_nobodys_business(driver: ManyDriver) -> None:
    """A name that a thread looks up may be found when the call that wanted it has long been broken off."""
    journal = Journal(driver)

    async def ready_too_late() -> None:
        await asyncio.sleep(0)

    with pytest.raises(ValueError, match="first"):
        driver.run_many(starts(journal.waiting("a"), ready_too_late, lambda: fail(ValueError("first"))))
    assert not driver.ready
    assert driver.run_many(starts(journal.completing("a"), lambda: value(1))) == [None, 1]
    assert journal.entries == ["a began", "a GeneratorExit"]


def test_a_failure_to_start_is_a_failure_of_that_one(driver: ManyDriver) -> None:
    journal = Journal(driver)

    def start(_: BlockingDriver) -> Any:
        raise KeyError("start")

    with pytest.raises(KeyError, match="start"):
        driver.run_many([*starts(journal.waiting("a")), start])
    assert journal.entries == ["a began", "a GeneratorExit"]
    results = driver.run_many([start, *starts(lambda: value(1))], return_exceptions=True)
    assert [type(result) for result in results] == [KeyError, int]


def test_errors_as_results_without_a_loop(driver: ManyDriver) -> None:
    journal = Journal(driver)
    error = ValueError("no")
    results = driver.run_many(
        starts(lambda: fail(error), journal.waiting("a"), journal.completing("a", error=OSError("a"))),
        return_exceptions=True,
    )
    assert results[0] is error
    assert type(results[1]) is OSError


def test_a_failure_while_ending_is_logged_and_the_rest_is_closed(
    driver: ManyDriver, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(driver)

    async def awkward() -> None:
        try:
            await driver.waiter()
        finally:
            raise OSError("while ending")

    caplog.set_level(logging.DEBUG, "atomhttp")
    with pytest.raises(ValueError, match="first"):
        driver.run_many(starts(awkward, journal.waiting("a"), lambda: fail(ValueError("first"))))
    assert journal.entries[-1] == "a GeneratorExit"
    assert "while ending" in caplog.text


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, BaseException])
@pytest.mark.parametrize("return_exceptions", [False, True])
def test_a_base_exception_always_ends_it(
    driver: ManyDriver, kind: type[BaseException], return_exceptions: bool
) -> None:
    journal = Journal(driver)
    with pytest.raises(kind):
        driver.run_many(starts(journal.waiting("a"), lambda: fail(kind())), return_exceptions=return_exceptions)
    assert journal.entries == ["a began", "a GeneratorExit"]


def test_an_interrupt_while_ending_does_not_keep_the_rest_open(driver: ManyDriver) -> None:
    journal = Journal(driver)

    async def interrupted() -> None:
        try:
            await driver.waiter()
        finally:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        driver.run_many(starts(interrupted, journal.waiting("a"), lambda: fail(ValueError("first"))))
    assert journal.entries[-1] == "a GeneratorExit"


def test_contexts_without_a_loop(driver: ManyDriver) -> None:
    ended = []

    async def look_and_set(name: str) -> str:
        seen = variable.get()
        token = variable.set(name)
        try:
            await asyncio.sleep(0)
            assert variable.get() == name
            await driver.waiter() if name == "closed" else None
        finally:
            # Only in the context in which it was set: so that is where it is closed, too.
            variable.reset(token)
            ended.append(name)
        return seen

    def main() -> None:
        variable.set("caller's")
        names = ["a", "b", "c"]
        assert driver.run_many(starts(*(lambda name=name: look_and_set(name) for name in names))) == ["caller's"] * 3
        assert variable.get() == "caller's"
        with pytest.raises(ValueError, match="first"):
            driver.run_many(starts(lambda: look_and_set("closed"), fail_later))
        assert ended == ["a", "b", "c", "closed"]

    async def fail_later() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        raise ValueError("first")

    contextvars.copy_context().run(main)


def test_an_error_takes_nothing_along_without_a_loop(driver: ManyDriver) -> None:
    class Kept:
        pass

    async def hold(kept: Kept) -> None:
        raise ValueError("no")

    def main() -> weakref.ref[Kept]:
        kept = Kept()
        for return_exceptions in (False, True):
            try:
                driver.run_many([lambda _: hold(kept)], return_exceptions=return_exceptions)
            except ValueError:
                pass
        return weakref.ref(kept)

    gc.disable()
    try:
        assert main()() is None
    finally:
        gc.enable()


def test_units_for_many_are_kept_and_thrown_away_like_others() -> None:
    dropped: list[Any] = []
    units = Units(dropped.append)
    used: list[BlockingDriver] = []

    def run(result: Any = None, error: BaseException | None = None) -> Any:
        async def one(unit: BlockingDriver) -> Any:
            used.append(unit)
            if error is not None:
                raise error
            return result

        return units.run_many([one], None, False, lambda _: None)

    assert run(1) == [1]
    with pytest.raises(ValueError, match="no"):
        run(error=ValueError("no"))
    with pytest.raises(KeyboardInterrupt):
        run(error=KeyboardInterrupt())
    run()
    assert used[0] is used[1] is used[2]
    assert dropped == [used[0].reactor]
    assert used[0].reactor.closed
    assert used[3] is not used[0]
    units.close()
    assert used[3].reactor.closed


# Without a loop: over the network


def test_a_thousand_calls_over_a_hundred_connections(origin: Origin) -> None:
    threads: set[int] = set()

    def read(number: int) -> Iterator[bytes]:
        threads.add(threading.get_ident())
        yield b"%d" % number

    with SyncAtomHTTP(base_url=origin.url, max_connections=100) as client:
        results = client.all([client.defer.post("/echo", data=read(number)) for number in range(1_000)])
        assert [result.data["body"] for result in results] == [str(number) for number in range(1_000)]
        assert threads == {threading.get_ident()}
        pool = the_pool(client)
        assert pool.open_count == pool.idle_count <= 100
        assert origin.connections <= 100
        # What lies idle with the unit of `all` is there for plain calls, and the other way round.
        before = origin.connections
        client.get("/bytes/1")
        client.all([client.defer.get("/bytes/1")])
        assert origin.connections == before


def test_a_failure_gives_back_or_closes_every_connection(origin: Origin) -> None:
    """Some under way, some waiting for a connection, one open stream that nobody will see: nothing of it remains."""

    def fail_now(_request: Received) -> Answer:
        origin.wait_for_requests(5)
        return Answer(b"{", close=True)

    origin.routes["/bad"] = fail_now
    with SyncAtomHTTP(base_url=origin.url, max_connections=5, validate_status=None) as client:
        defer = client.defer
        calls = [
            defer.get("/bytes/3000000", response_type="stream"),
            *(defer.get("/delay/60") for _ in range(3)),
            defer.get("/bad", response_type=dict),
            *(defer.get("/delay/60") for _ in range(20)),
        ]
        with pytest.raises(AtomHTTPDecodeError):
            client.all(calls)
        pool = the_pool(client)
        assert pool.open_count == pool.idle_count
        origin.release.set()
        assert [result.data for result in client.all([defer.get("/bytes/2", response_type="text")] * 7)] == [
            pattern(2).decode()
        ] * 7


@pytest.mark.filterwarnings(*EXPECTED)
def test_a_signal_while_many_wait(origin: Origin) -> None:
    """Control-C during the wait for many responses."""
    interrupted = threading.Event()

    def interrupt(*_: Any) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    previous = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with SyncAtomHTTP(base_url=origin.url, max_connections=10) as client:
            stream = client.get("/bytes/1000000", response_type="stream").data
            for return_exceptions in (False, True):
                requests = len(origin.requests)
                interrupted.clear()

                def knock(requests: int = requests) -> None:
                    origin.wait_for_requests(requests + 9)
                    # Again, until it is noticed: Python does not look between its last line and a system call.
                    while not interrupted.wait(0.01):
                        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

                thread = threading.Thread(target=knock)
                thread.start()
                with pytest.raises(KeyboardInterrupt):
                    client.all([client.defer.get("/delay/60")] * 30, return_exceptions=return_exceptions)
                thread.join()
                assert client.get("/bytes/3").ok
                assert client.all([client.defer.get("/bytes/3")] * 30)[29].ok
            # What somebody else had open is not touched by it.
            assert stream.read() == pattern(1_000_000)
            assert the_pool(client).open_count == the_pool(client).idle_count
    finally:
        signal.signal(signal.SIGUSR1, previous)


class LineStepper(Stepper):
    """Leaves out `try:` lines: the instruction that stands for one is under no handler, and no signal comes there."""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line" and dis.opname[frame.f_code.co_code[frame.f_lasti]] == "NOP":
            return self
        return super().__call__(frame, event, argument)


@pytest.mark.filterwarnings(*EXPECTED)
def test_an_interrupt_at_any_line_of_many_leaves_the_counts_true(origin: Origin) -> None:
    """Two at once over one connection: a call under way, and one that waits for it."""
    with SyncAtomHTTP(base_url=origin.url, max_connections=1) as client:
        client.get("/bytes/1")
        problems = []
        number = 1
        while True:
            stepper = LineStepper(number)
            calls = [client.defer.get("/bytes/9"), client.defer.post("/echo", data=iter([b"one"]))]
            if not stepper.run(lambda calls=calls: client.all(calls)) and stepper.countdown > 0:
                break
            assert client.get("/bytes/3", response_type="blob").data == pattern(3), stepper.where
            pool = the_pool(client)
            alive = sum(not each.closed for each in pool.connections)
            if not pool.open_count == pool.idle_count == alive == 1:
                problems.append(f"line {number}, {stepper.where}: open {pool.open_count}, {alive} alive")
                pool.abandon()
            number += 5
        gc.collect()
        assert number > 300
        assert not problems, "\n".join(problems)


def test_threads_share_a_client_and_each_runs_many(origin: Origin) -> None:
    with SyncAtomHTTP(base_url=origin.url, max_connections=6) as client:
        found: dict[int, list[Any]] = {}

        def work(number: int) -> None:
            calls = [client.defer.get(f"/bytes/{number * 50 + turn}", response_type="blob") for turn in range(50)]
            found[number] = [result.data for _ in range(3) for result in client.all(calls, limit=7)]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        for number in range(4):
            assert found[number] == [pattern(number * 50 + turn) for turn in range(50)] * 3
        assert origin.high_water <= 6
        pool = the_pool(client)
        assert pool.open_count == pool.idle_count <= 6


def test_close_from_another_thread_ends_many(origin: Origin) -> None:
    client = SyncAtomHTTP(base_url=origin.url, max_connections=3)
    results: list[Any] = []
    thread = threading.Thread(
        target=lambda: results.extend(client.all([client.defer.get("/delay/60")] * 8, return_exceptions=True))
    )
    thread.start()
    origin.wait_for_requests(3)
    client.close()
    thread.join(PATIENCE)
    assert [type(result) for result in results] == [AtomHTTPClosedError] * 8


def test_a_callback_may_use_the_client_meanwhile(origin: Origin) -> None:
    """Another unit serves it, while those of the `all` wait."""
    with SyncAtomHTTP(base_url=origin.url) as client:

        def body() -> Iterator[bytes]:
            yield client.get("/bytes/4").content
            yield b"".join(each.content for each in client.all([client.defer.get("/bytes/8")] * 2))

        results = client.all([client.defer.post("/echo", data=body()) for _ in range(3)])
        assert [each.data["body"].encode("latin-1") for each in results] == [pattern(4) + pattern(8) * 2] * 3
