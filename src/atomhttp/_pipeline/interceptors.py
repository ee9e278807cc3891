"""Interceptors: functions of the caller's that see every call of a client, before and after.

Two lists, both run in the order added, once a call: not per redirect or retry. What is in hand on the way, a config, a
response or an error, is passed on from one to the next; what is in hand at the end is returned or raised. axios's pairs
(`ok`, `err`) and the plain functions of `interceptors.use` stand in the same lists.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar, overload

from atomhttp._model.callables import call_user
from atomhttp._model.config import RequestConfig, merge_given
from atomhttp._pipeline.response import Response, is_accepted, status_error
from atomhttp._pipeline.stream import ResponseStream, SyncResponseStream
from atomhttp.errors import AtomHTTPOptionError, AtomHTTPStatusError

# What an interceptor of requests may return, or an async one give.
Change: TypeAlias = RequestConfig | Mapping[str, Any] | Response[Any] | None
RequestInterceptor: TypeAlias = Callable[[RequestConfig], Change | Awaitable[Change]]
# What comes to it is what the one before has returned, and that may be anything.
ResponseInterceptor: TypeAlias = Callable[[Any], Any]
ErrorInterceptor: TypeAlias = Callable[[Any], Any]
RunWhen: TypeAlias = Callable[[RequestConfig], Any]

F = TypeVar("F", bound=Callable[..., Any])


class Interceptor(NamedTuple):
    """One entry of a list."""

    number: int
    ok: Callable[..., Any] | None = None
    err: Callable[..., Any] | None = None
    # Of the response list: sees every response that was received, refused or not.
    received: Callable[..., Any] | None = None
    run_when: Callable[[RequestConfig], Any] | None = None


class Interceptors(NamedTuple):
    """Both lists as they stood when a call began."""

    request: tuple[Interceptor, ...]
    response: tuple[Interceptor, ...]


class InterceptorManager:
    """`client.interceptors`.

    `use` adds a function; `.request.use(ok, err)` and `.response.use(ok, err)` add axios's pairs.
    """

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()
        self._next = 0
        # Replaced, never changed in place: a call keeps the lists that it began with.
        self._lists: dict[str, tuple[Interceptor, ...]] = {"request": (), "response": ()}
        self.request: InterceptorList[RequestInterceptor] = InterceptorList(self, "request")
        self.response: InterceptorList[ResponseInterceptor] = InterceptorList(self, "response")

    @overload
    def use(
        self, interceptor: RequestInterceptor, is_response: Literal[False] = False, *, run_when: RunWhen | None = None
    ) -> int: ...
    @overload
    def use(self, interceptor: ResponseInterceptor, is_response: bool) -> int: ...
    def use(
        self, interceptor: Callable[..., Any], is_response: bool = False, *, run_when: RunWhen | None = None
    ) -> int:
        """Adds an interceptor at the end of its list.

        Args:
            interceptor: called with the RequestConfig, or with the Response; may be async. For requests it returns a
                RequestConfig, a mapping (merged over the config), None (it changed the config in place) or a Response,
                which answers the call; for responses anything, None keeps the response.
            is_response: it sees responses, every one that was received.
            run_when: called with the config before any interceptor runs; False skips this one (requests only). May be
                async too.

        Returns:
            Its index, for `eject`. Indices are never used twice.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE.
        """
        _check_function("interceptor", interceptor, optional=False)
        if not isinstance(is_response, bool):
            raise AtomHTTPOptionError(
                f"is_response: expected True or False, got {is_response!r}"
                + ("; did you mean interceptors.response.use(ok, err)?" if callable(is_response) else ""),
                "ERR_BAD_OPTION_VALUE",
            )
        if is_response:
            if run_when is not None:
                raise AtomHTTPOptionError("run_when: is for request interceptors", "ERR_BAD_OPTION_VALUE")
            return self._add("response", received=interceptor)
        _check_function("run_when", run_when)
        return self._add("request", ok=interceptor, run_when=run_when)

    def eject(self, index: int | str, is_response: bool | None = None) -> bool:
        """Removes the interceptor with this index; False when there is none. Other indices stay valid.

        Args:
            index: what `use` returned.
            is_response: look in this list only; None: in both.
        """
        names = ("request", "response") if is_response is None else ("response" if is_response else "request",)
        with self._lock:
            found = False
            for name in names:
                # By their text, as axios: an index may have been kept as the key of something.
                kept = tuple(entry for entry in self._lists[name] if str(entry.number) != str(index))
                found = found or len(kept) < len(self._lists[name])
                self._lists[name] = kept
        if found:
            self._on_change()
        return found

    def clear(self) -> None:
        """Removes all of them."""
        for name in ("request", "response"):
            self._clear(name)

    def snapshot(self) -> Interceptors | None:
        """The lists as they stand; None when both are empty."""
        with self._lock:
            request, response = self._lists["request"], self._lists["response"]
        return Interceptors(request, response) if request or response else None

    def _add(self, name: str, **functions: Any) -> int:
        with self._lock:
            index = self._next
            self._next += 1
            self._lists[name] += (Interceptor(index, **functions),)
        self._on_change()
        return index

    def _clear(self, name: str) -> None:
        with self._lock:
            self._lists[name] = ()
        self._on_change()

    def __len__(self) -> int:
        return sum(map(len, self._lists.values()))

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(entries)} {name}" for name, entries in self._lists.items())
        return f"<InterceptorManager {counts}>"


class InterceptorList(Generic[F]):
    """One list, in axios's terms: `interceptors.request`, `interceptors.response`."""

    def __init__(self, manager: InterceptorManager, name: str) -> None:
        self._manager = manager
        self._name = name

    def __repr__(self) -> str:
        return f"<InterceptorList {self._name}: {len(self._manager._lists[self._name])}>"

    def use(self, ok: F | None = None, err: ErrorInterceptor | None = None, run_when: RunWhen | None = None) -> int:
        """Adds a pair: `ok` runs when no error is in hand, `err` when one is; an `err` that returns recovers.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE.
        """
        _check_function("ok", ok)
        _check_function("err", err)
        _check_function("run_when", run_when)
        if run_when is not None and self._name == "response":
            raise AtomHTTPOptionError("run_when: is for request interceptors", "ERR_BAD_OPTION_VALUE")
        return self._manager._add(self._name, ok=ok, err=err, run_when=run_when)

    def eject(self, index: int | str) -> bool:
        """Removes the pair with this index; False when there is none."""
        return self._manager.eject(index, self._name == "response")

    def clear(self) -> None:
        """Removes all of this list."""
        self._manager._clear(self._name)

    def __len__(self) -> int:
        return len(self._manager._lists[self._name])


def _check_function(name: str, value: object, optional: bool = True) -> None:
    if not callable(value) and not (optional and value is None):
        raise AtomHTTPOptionError(f"{name}: expected a callable, got {type(value).__name__}", "ERR_BAD_OPTION_VALUE")


# The walk


async def intercept(
    interceptors: Interceptors,
    config: RequestConfig,
    complete: Callable[[Any], RequestConfig],
    send: Callable[[RequestConfig], Awaitable[Response[Any]]],
    driver: Any,
) -> Any:
    """One call with its interceptors around `send`.

    Args:
        interceptors: the lists as they stood when it began.
        config: the merged options.
        complete: puts the client's defaults under a config that an interceptor has made.
        send: sends what a config describes; raises for a refused status.
        driver: waits for interceptors that are async.
    """
    walk = _Walk(config, complete, driver)
    error: Exception | None = None
    applying = [entry for entry in interceptors.request if await _applies(entry, config, driver)]
    try:
        await walk.before(applying)
        if walk.error is None and walk.value is walk.config:
            await walk.take(send(walk.config))
        elif walk.error is None:
            walk.judge(walk.value)
        await walk.after(interceptors.response)
        error, walk.error = walk.error, None
        if error is not None:
            raise error
        return walk.value
    except BaseException:
        await walk.give_up()
        raise
    finally:
        # The error knows this frame, and the walk's: together they would wait for the garbage collector.
        del error, walk


async def _applies(entry: Interceptor, config: RequestConfig, driver: Any) -> bool:
    return entry.run_when is None or await call_user(driver, None, entry.run_when, config) is not False


class _Walk:
    """What is in hand: a value, or an error."""

    def __init__(self, config: RequestConfig, complete: Callable[[Any], RequestConfig], driver: Any) -> None:
        self.config = config
        self.value: Any = config
        self.error: Exception | None = None
        self._complete = complete
        self._driver = driver

    async def take(self, result: Awaitable[Any]) -> bool:
        """Takes in hand what comes of `result`: its value (then True), or its error."""
        try:
            self.value = await result
        except Exception as error:
            self.error = error
            return False
        self.error = None
        return True

    async def hold(self, function: Callable[..., Any], argument: Any) -> bool:
        """Takes in hand what the caller's `function` returns (then True) or raises."""
        return await self.take(call_user(self._driver, None, function, argument))

    async def before(self, entries: list[Interceptor]) -> None:
        for entry in entries:
            function = entry.ok if self.error is None else entry.err
            if function is None:
                continue
            if await self.hold(function, self.config if self.error is None else self.error):
                self._take_config(function)
            if isinstance(self.value, Response):
                # It answers the call: there is nothing left for the others to change.
                return

    def _take_config(self, function: Callable[..., Any]) -> None:
        value = self.value
        if isinstance(value, Response):
            return
        try:
            if value is None or value is self.config:
                pass
            elif isinstance(value, RequestConfig):
                self.config = self._complete(value)
            elif isinstance(value, Mapping):
                merge_given(self.config, self.value)
            else:
                raise AtomHTTPOptionError(
                    f"the request interceptor {_name(function)} returned {type(value).__name__}: expected a "
                    "RequestConfig, a mapping, None or a Response",
                    "ERR_BAD_OPTION",
                    config=self.config,
                )
        except Exception as error:
            self.error = error
        self.value = self.config

    async def after(self, entries: tuple[Interceptor, ...]) -> None:
        for entry in entries:
            if entry.received is not None:
                await self._show(entry.received)
            elif self.error is None and entry.ok is not None:
                before = self.value
                if await self.hold(entry.ok, before) and self.value is None:
                    self.value = before
            elif self.error is not None and entry.err is not None:
                await self.hold(entry.err, self.error)

    async def _show(self, function: Callable[..., Any]) -> None:
        """For a function that sees every response: a refused status is its response to it, asked about again after."""
        refusal = self.error if isinstance(self.error, AtomHTTPStatusError) else None
        if self.error is not None and refusal is None:
            return
        shown: Any = self.value if refusal is None else refusal.response
        if shown is None:
            # There is none: an interceptor made this error, or returned this.
            return
        if await self.hold(function, shown):
            self.judge(shown if self.value is None else self.value)
            if refusal is not None and self.has_failed and self.value is shown:
                # Refused as before: by the same error.
                self.error = refusal

    async def give_up(self) -> None:
        """The call ends by an error: nobody will read the stream of the response that is in hand."""
        value = self.value
        data = value.data if isinstance(self.value, Response) else None
        if isinstance(data, ResponseStream):
            await data.aclose()
        elif isinstance(data, SyncResponseStream):
            data.close()

    @property
    def has_failed(self) -> bool:
        """Whether an error is in hand."""
        return self.error is not None

    def judge(self, value: Any) -> None:
        """Takes `value` in hand; a response whose status validateStatus refuses as its error."""
        self.value, self.error = value, None
        if not isinstance(value, Response):
            return
        config: RequestConfig | None = value.config
        if config is None:
            value.config = self.config
        try:
            if not is_accepted(self.config.validate_status, value.status):
                self.error = status_error(self.value)
        except Exception as error:
            self.error = error


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", repr(function)))
