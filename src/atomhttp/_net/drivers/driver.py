"""What a driver is to everything else, and what its coroutines wait for."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

from atomhttp._compiled import mypyc_attr
from atomhttp._model.abort import AbortSignal
from atomhttp._net.drivers.abortable import Abortable
from atomhttp._net.reactor import Reactor
from atomhttp._net.threads import Delivery, run_blocking

T = TypeVar("T")


@mypyc_attr(allow_interpreted_subclasses=True)
class Waiter(metaclass=ABCMeta):
    """Something one coroutine awaits and somebody else completes, once."""

    @abstractmethod
    def done(self) -> bool: ...

    @abstractmethod
    def cancelled(self) -> bool: ...

    @abstractmethod
    def set_result(self, result: Any, /) -> None: ...

    @abstractmethod
    def set_exception(self, error: BaseException, /) -> None: ...

    @abstractmethod
    def exception(self) -> BaseException | None: ...

    @abstractmethod
    def __await__(self) -> Generator[Any, Any, Any]: ...


@mypyc_attr(allow_interpreted_subclasses=True)
class Driver(metaclass=ABCMeta):
    """How one event loop, or one synchronous unit, waits.

    Attributes:
        reactor: its sockets and timers.
        now: the clock, in seconds; every time in the engine is read from it.
        pool_scope: drivers with the same scope may hand connections to each other (synchronous units do).
        users: how many pools are open on it, and calls that may open one.
        thread: the identifier of the thread that it waits in.
    """

    reactor: Reactor
    now: Callable[[], float]
    pool_scope: object
    thread: int
    users: int = 0
    # An interrupt (Ctrl+C) has passed through: it will be thrown away with all that it uses.
    interrupted: bool = False

    @abstractmethod
    def waiter(self) -> Waiter:
        """A new Waiter, for a coroutine that waits here."""

    @abstractmethod
    def watch(self) -> None:
        """The reactor holds a descriptor: call its `run_ready` when its poller is ready."""

    @abstractmethod
    def unwatch(self) -> None:
        """The reactor holds no descriptor any more."""

    @abstractmethod
    def arm(self, due: float) -> None:
        """Call the reactor's `run_timers` at `due`; replaces what was armed."""

    @abstractmethod
    def disarm(self) -> None:
        """No timer is left."""

    def flush_soon(self) -> None:
        """Call the reactor's `flush` at the end of this turn; at once, where a turn has no end."""
        self.reactor.flush()

    def join(self) -> None:
        """Somebody relies on it; pairs with `leave`."""
        self.users += 1

    def leave(self, stay: bool = False) -> None:
        """One user fewer. Retires with the last one, unless it is to `stay` for who comes next."""
        self.users -= 1
        if not stay:
            self.retire_unused()

    def retire_unused(self) -> None:
        """Retires when nobody relies on it and nothing is registered."""
        if not self.users and not self.reactor.handler_count:
            self.retire()

    def retire(self) -> None:
        """No pool uses it any more, and nothing is registered: let go of what the system gave."""
        return

    @abstractmethod
    def is_closed(self) -> bool:
        """Whether nothing will ever be served here again."""

    @abstractmethod
    def check(self) -> None:
        """Raises RuntimeError when the caller does not run where this driver waits."""

    @abstractmethod
    def run_soon(self, function: Callable[[], None]) -> None:
        """Calls `function` at once when the caller runs where this driver waits, else by `call_soon`."""

    @abstractmethod
    def call_soon(self, function: Callable[[], None]) -> None:
        """Calls `function` in the thread that serves the reactor, from any thread."""

    def delivery(self) -> Delivery:
        """Where any thread leaves something for one coroutine that waits here. To be delivered, come what may."""
        return Delivery(self)

    async def run_blocking(self, function: Callable[..., T], *arguments: Any) -> T:
        """`function(*arguments)` on a daemon thread of ours."""
        return await run_blocking(self, function, *arguments)

    async def breathe(self) -> None:
        """Serves what is ready, and lets others run, in the middle of work that never has to wait."""
        self.reactor.run_ready()

    async def sleep(self, seconds: float) -> None:
        """Waits `seconds` by the driver's clock: never less, and up to 1/32 s more. 0 or less: not at all."""
        if seconds <= 0:
            return
        alarm = _Alarm(self.waiter())
        timers = self.reactor.timers
        # A driver whose last pool is closed meanwhile must not retire: nobody would serve its timers.
        self.join()
        try:
            timers.add(alarm, self.now() + seconds)
            await alarm.waiter
        finally:
            timers.discard(alarm)
            if timers.next_due() is None:
                self.disarm()
            self.leave()

    async def abortable(self, coroutine: Coroutine[Any, Any, T], signal: AbortSignal) -> T:
        """What `coroutine` gives, unless `signal` is aborted first: then it is broken off where it waits.

        Raises:
            AtomHTTPCanceledError: the signal was aborted.
        """
        return await Abortable(self, coroutine, signal)

    @abstractmethod
    async def foreign(self, awaitable: Awaitable[T], due: float | None) -> T:
        """Awaits what belongs to the caller, until `due` at the latest (then: the built-in TimeoutError)."""


class _Alarm:
    """Completes a waiter when its time has come."""

    __slots__ = ("slot", "waiter")

    def __init__(self, waiter: Waiter) -> None:
        self.waiter = waiter
        self.slot: Any = None

    def expire(self, now: float) -> None:
        if not self.waiter.done():
            self.waiter.set_result(None)
