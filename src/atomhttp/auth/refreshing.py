"""RefreshingAuth: a token that is replaced when the server refuses it, once for all who hold it.

Tokens are numbered. A request remembers which one it was sent with; refused, it asks for a later one (`Renewal`), and
there are three cases. There is one already: it goes on with that. Nobody is getting one: it calls the caller's
function itself. Somebody is: it waits. Whoever gets a token, or fails, wakes all who wait, and each of them looks
again: if the one who was getting it has been cancelled, or ran out of time, the first to look takes over. So nothing
is handed on that could be lost, and no thread or event loop depends on a particular other one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, NamedTuple

from atomhttp._model.callables import call_user, required_positionals
from atomhttp._model.headers import Headers
from atomhttp._redact import declare_secret
from atomhttp.auth.credentials import bad_value, check_text, check_token
from atomhttp.errors import AtomHTTPCanceledError

# For moments only, so one for all: a fork has one to renew.
# Not a plain one: the garbage collector may close a forgotten call's coroutine, whose end takes it, at any line.
_lock = threading.RLock()


class Token(NamedTuple):
    """A token, and how many there were before it; None before the first."""

    number: int
    text: str | None


class Refresh:
    """A call of the caller's function, under way: who waits for its end, and the process that makes it."""

    def __init__(self, driver: Any) -> None:
        self._process = os.getpid()
        self._driver = driver
        self._thread = driver.thread
        # In order; a dict, so that leaving does not look through all.
        self._waiting: dict[Wait, None] = {}

    def can_end_for(self, driver: Any) -> bool:
        """Whether it goes on while `driver` waits: not in another process, nor in a loop that its thread has left."""
        return self._process == os.getpid() and (self._driver is driver or self._thread != driver.thread)

    def join(self, driver: Any) -> Wait:
        """A new place among those who wait. Called with the lock."""
        wait = Wait(self, driver)
        self._waiting[wait] = None
        return wait

    def leave(self, wait: Wait) -> bool:
        """Takes `wait` out; False when its turn has come already."""
        with _lock:
            if wait not in self._waiting:
                return False
            del self._waiting[wait]
        return True

    def wake_all(self, error: Exception | None) -> None:
        """Ends all waits, by `error` where there is one. To be called again where it was interrupted."""
        while self._waiting:
            wait = next(iter(self._waiting), None)
            if wait is not None and self.leave(wait):
                wait.delivery.deliver(None, error)


class Wait:
    """One who waits for a refresh, and an entry on the driver's timers until then."""

    def __init__(self, refresh: Refresh, driver: Any) -> None:
        self.delivery = driver.delivery()
        self.slot: Any = None
        self._refresh = refresh
        self._driver = driver

    async def finish(self, due: float | None) -> None:
        """Waits for the end of the refresh.

        Raises:
            TimeoutError: `due` came first.
        """
        timers = self._driver.reactor.timers
        try:
            if due is not None:
                timers.add(self, due)
            await self.delivery.waiter
        finally:
            timers.discard(self)
            if timers.next_due() is None:
                self._driver.disarm()
            if self._refresh.leave(self):
                # Out of time, or cancelled. The driver counts what is yet to be delivered.
                self.delivery.deliver(None, None)

    def expire(self, now: float) -> None:
        """Called by the driver when `due` has come."""
        if not self.delivery.waiter.done():
            self.delivery.waiter.set_exception(TimeoutError())


# The refreshes in whose middle this code runs: requests made there must not wait for them.
_inside: Final[ContextVar[tuple[Refresh, ...]]] = ContextVar("atomhttp-refreshing", default=())


class RefreshingAuth:
    """A token that expires: sent with each request, and replaced by `refresh` when the server refuses it.

    However many requests are refused at once, `refresh` is called once; all of them are then sent again with the new
    token, once. What is refused again is the call's response. A request that was sent with an older token than there
    is now goes again without a refresh. Content that can be read once cannot be sent again: that is an error.

    What `refresh` raises reaches every call that waits for it, and the next call tries anew. When the call that runs it
    is cancelled or out of time, another of those that wait runs it again. Requests made inside of `refresh`, by this
    client or another, go without this auth (not in threads that it starts: they would wait for it).

    One object may serve many clients, threads and event loops; copies of it are it. A pickle holds `refresh` and the
    token.

    Args:
        refresh: gives the new token, a str; sync or async. Called with the old token (None before the first) if it
            takes an argument, else with nothing. Runs in the task or thread of one of the calls, within its timeout.
        token: the first token; None: the first request asks `refresh` for it.
        statuses: what the server says to a token that it does not take any more.
        header: the field that carries the token.
        scheme: stands in front of it; None or "": nothing does.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: an argument of the wrong kind; later: what `refresh` returned is no
            token.
    """

    def __init__(
        self,
        refresh: Callable[[], str | Awaitable[str]] | Callable[[str | None], str | Awaitable[str]],
        token: str | None = None,
        *,
        statuses: Iterable[int] = (401,),
        header: str = "Authorization",
        scheme: str | None = "Bearer",
    ) -> None:
        if not callable(refresh):
            raise bad_value(f"refresh: expected a function that returns a token, got {type(refresh).__name__}")
        arguments = required_positionals(refresh, 0)
        if arguments > 1:
            raise bad_value(f"refresh: expected a function of nothing or of the old token, it takes {arguments}")
        self._refresh = refresh
        self._takes_token = arguments == 1
        self._statuses = _check_statuses(statuses)
        self._scheme = check_text("scheme", "" if scheme is None else scheme).strip()
        # It checks the name.
        Headers({header: "x"})
        declare_secret(header)
        self._header = header
        self._token = Token(0, None if token is None else check_token("token", token, self._scheme))
        self._running: Refresh | None = None

    @property
    def token(self) -> str | None:
        """The token as it is now; None before the first."""
        return self._token.text

    def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """See `AuthFlow`. At most two requests."""
        if self._running is not None and self._running in _inside.get():
            yield request
            return
        token = self._token
        if token.text is None:
            token = yield Renewal(self, token)
        response = yield self._signed(request, token)
        if response.status in self._statuses:
            token = yield Renewal(self, token)
            yield self._signed(request, token)

    def _signed(self, request: Any, token: Token) -> Any:
        request.headers[self._header] = f"{self._scheme} {token.text}" if self._scheme else token.text
        return request

    # Refreshing

    async def renew(self, old: Token, driver: Any, due: float | None) -> Token:
        """A later token than `old`: there is one, or somebody is getting one, or this call gets it."""
        mine = Refresh(driver)
        try:
            while self._token.number == old.number:
                wait = self._begin_or_join(mine, old, driver)
                if wait is not None:
                    await wait.finish(due)
                elif self._running is mine:
                    await self._run(mine, driver, due)
            return self._token
        finally:
            self._end(mine)

    def _begin_or_join(self, mine: Refresh, old: Token, driver: Any) -> Wait | None:
        """A place to wait in, when another refresh is under way; else `mine` is, unless there is a token by now."""
        with _lock:
            if self._token.number != old.number:
                return None
            running = self._running
            if running is not None and running.can_end_for(driver):
                wait = running.join(driver)
                if self._running is not running:
                    # It has ended in between: the garbage collector has closed the call that made it.
                    running.wake_all(None)
                return wait
            self._running = mine
            return None

    async def _run(self, mine: Refresh, driver: Any, due: float | None) -> None:
        try:
            text = await self._ask(mine, driver, due)
        except Exception as error:
            is_out_of_time = type(error) is TimeoutError and due is not None and driver.now() >= due
            if not is_out_of_time and not isinstance(error, AtomHTTPCanceledError):
                # Else it is this call that has ended, and not the refresh that has failed.
                self._end(mine, error=error)
            raise
        self._end(mine, text)

    async def _ask(self, mine: Refresh, driver: Any, due: float | None) -> str:
        arguments = (self._token.text,) if self._takes_token else ()
        inside = _inside.get()
        _inside.set((*inside, mine))
        try:
            text = await call_user(driver, due, self._refresh, *arguments)
        finally:
            # Not by what set() gave: a coroutine may be closed in another context than its own.
            _inside.set(inside)
        if not isinstance(text, str):
            raise bad_value(f"refresh: {_name(self._refresh)} must return a token, a str, not {type(text).__name__}")
        return check_token(f"refresh: what {_name(self._refresh)} returned", text, self._scheme)

    def _end(self, mine: Refresh, text: str | None = None, error: Exception | None = None) -> None:
        """`mine` is over: by a new token, by an error for all, or by neither. Twice is fine."""
        with _lock:
            if self._running is mine:
                self._running = None
                if text is not None:
                    self._token = Token(self._token.number + 1, text)
        mine.wake_all(error)

    # A value that is shared

    def __copy__(self) -> RefreshingAuth:
        return self

    def __deepcopy__(self, memo: object) -> RefreshingAuth:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        build = partial(type(self), statuses=self._statuses, header=self._header, scheme=self._scheme)
        return (build, (self._refresh, self._token.text))

    def __repr__(self) -> str:
        return f"RefreshingAuth({_name(self._refresh)}, [redacted])"


class Renewal:
    """The step from a token that is no good to a later one."""

    def __init__(self, auth: RefreshingAuth, old: Token) -> None:
        self._auth = auth
        self._old = old

    async def run(self, driver: Any, due: float | None) -> Token:
        """See `RefreshingAuth.renew`."""
        return await self._auth.renew(self._old, driver, due)


def _check_statuses(statuses: Any) -> tuple[int, ...]:
    try:
        found = tuple(statuses)
    except TypeError:
        found = ()
    if not found or any(type(each) is not int or not 100 <= each <= 599 for each in found):
        raise bad_value("statuses: expected statuses such as (401, 403)")
    return found


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _forget_after_fork() -> None:
    global _lock  # another thread of the parent may have held it
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
