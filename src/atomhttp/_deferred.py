"""Calls of a synchronous client that are described now and sent later, many at once: `client.defer`, `client.all`.

How a verb, which blocks, becomes a coroutine among others: the verb's own code runs with a stand-in for its client, on
which sending gives back what would have been run. Nothing of the client itself is touched, so threads may share it, and
a plain call costs what it cost before.

That would show in a verb that somebody has overridden: its code wants a response, and what stands around
`super().request(…)` (a `try`, a lock, a clock) wants to stand around the whole of the call. So a client with any verb
of its own is called as it is, one call after the other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from inspect import isawaitable
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast, overload

from atomhttp._assembly import BlockingDriver, close_coroutines, collect_tasks, refusal
from atomhttp._pipeline.response import Response
from atomhttp._pipeline.stream import SyncResponseStream
from atomhttp._redact import show_url

if TYPE_CHECKING:
    from atomhttp._deferred_verbs import DeferredVerbs
    from atomhttp.sync import SyncAtomHTTP
else:
    DeferredVerbs = object

T_co = TypeVar("T_co", covariant=True)

_logger = logging.getLogger("atomhttp.request")

Verbs = Mapping[str, FunctionType]


class Deferred(Generic[T_co]):
    """A call that has not been sent: `client.defer.get(…)` gives it, `client.all([…])` sends it, each time anew.

    Its arguments are the verb's, and are checked when it is sent.
    """

    __slots__ = ("_arguments", "_client", "_options", "verb")

    def __init__(self, client: SyncAtomHTTP, verb: str, /, *arguments: Any, **options: Any) -> None:
        self._client = client
        self._arguments = arguments
        self._options = options
        self.verb = verb

    def is_of(self, client: SyncAtomHTTP) -> bool:
        """Whether `client` deferred it."""
        return self._client is client

    def apply(self, verb: Callable[..., Any]) -> Any:
        """`verb(…)`, with the arguments of this call."""
        return verb(*self._arguments, **self._options)

    def __repr__(self) -> str:
        url = self._find_url()
        return f"<Deferred {self.verb}{'' if url is None else ' ' + show_url(str(url), 300)}>"

    def _find_url(self) -> Any:
        names = ("method", "url") if self.verb == "request" else ("url",)
        given: dict[str, Any] = dict(zip(names, self._arguments, strict=False))
        given.update(self._options)
        if given.get("url") is not None:
            return given["url"]
        # `request(config)`, or `config=`.
        method = given.get("method")
        config = given.get("config") if isinstance(method, str) or method is None else method
        if isinstance(config, Mapping):
            return cast("Mapping[str, Any]", config).get("url")
        return getattr(config, "url", None)

    if not TYPE_CHECKING:  # to a type checker it cannot be awaited either

        def __await__(self):
            raise TypeError(f"{self!r} belongs to a synchronous client, whose all([…]) sends it; it cannot be awaited")


class Defer:
    """`SyncAtomHTTP.defer`."""

    def __set_name__(self, owner: type, name: str) -> None:
        # Kept from the start: whoever replaces one of them later has overridden it.
        self.verbs: Verbs = {verb: function for verb in dir(owner) if _is_verb(verb, function := getattr(owner, verb))}

    @overload
    def __get__(self, client: None, owner: type) -> Defer: ...
    @overload
    def __get__(self, client: SyncAtomHTTP, owner: type) -> DeferringVerbs: ...
    def __get__(self, client: SyncAtomHTTP | None, owner: type) -> Defer | DeferringVerbs:
        return self if client is None else DeferringVerbs(client, self.verbs)


# As many requests as it takes, and files between them: no call to be sent among others. Threads do that.
_NOT_ONE_CALL: Final = ("download",)


def _is_verb(name: str, function: Any) -> bool:
    """A verb is what is public and takes a URL."""
    if name.startswith("_") or name in _NOT_ONE_CALL or not isinstance(function, FunctionType):
        return False
    code = function.__code__
    return "url" in code.co_varnames[: code.co_argcount]


class DeferringVerbs(DeferredVerbs):
    """`client.defer`: every verb of the client, to be called alike; what it gives is a `Deferred`."""

    __slots__ = ("_client", "_verbs")

    def __init__(self, client: SyncAtomHTTP, verbs: Verbs) -> None:
        self._client = client
        self._verbs = verbs

    def __repr__(self) -> str:
        return f"<defer of {self._client!r}>"

    if not TYPE_CHECKING:  # their types are those of DeferredVerbs

        def __getattr__(self, verb):
            if verb.startswith("_"):
                # Asked for by copy and pickle, before there are any verbs.
                raise AttributeError(verb)
            if verb not in self._verbs:
                raise AttributeError(f"client.defer has no {verb!r}; it has {', '.join(self._verbs)}")
            return partial(Deferred, self._client, verb)

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *self._verbs]


def run_deferred(client: SyncAtomHTTP, tasks: Iterable[Any], limit: int | None, return_exceptions: bool) -> list[Any]:
    """`client.all(…)`."""
    results = collect_tasks(tasks, limit, return_exceptions)
    try:
        _check_all(client, results)
    except BaseException:
        close_coroutines(results)
        raise
    calls: dict[int, Deferred[Any]] = {place: item for place, item in enumerate(results) if isinstance(item, Deferred)}
    if not calls:
        return results
    verbs = client.defer._verbs
    overridden = next((verb for verb, function in verbs.items() if not _is_bound(client, verb, function)), None)
    if overridden is None:
        starts = [partial(_start, client, verbs, call) for call in calls.values()]
        outcomes = client._units.run_many(starts, limit, return_exceptions, _give_up)
    else:
        _logger.debug("%r has its own %s(): its deferred calls are made one after the other", client, overridden)
        outcomes = _run_in_turn(client, calls.values(), return_exceptions)
    for place, outcome in zip(calls, outcomes, strict=True):
        results[place] = outcome
    return results


def _check_all(client: SyncAtomHTTP, items: Sequence[Any]) -> None:
    for place, item in enumerate(items):
        if isinstance(item, Deferred):
            if not item.is_of(client):
                raise refusal(f"all: tasks[{place}]", "a call that this client has deferred, and no other", item)
        elif isawaitable(item):
            raise refusal(f"all: tasks[{place}]", "a deferred call such as client.defer.get(url), or a value", item)


def _is_bound(client: SyncAtomHTTP, verb: str, function: FunctionType) -> bool:
    """Whether `client.verb` is `function`, and nothing that only looks like it."""
    method = getattr(client, verb)
    return type(method) is MethodType and method.__func__ is function


def _start(client: SyncAtomHTTP, verbs: Verbs, call: Deferred[Any], unit: BlockingDriver) -> Coroutine[Any, Any, Any]:
    start = call.apply(getattr(_StandIn(client, verbs), call.verb))
    coroutine: Coroutine[Any, Any, Any] = start(unit)
    return coroutine


class _StandIn:
    """A client to the code of its verbs, except that sending gives back what would have been run."""

    def __init__(self, client: SyncAtomHTTP, verbs: Verbs) -> None:
        self._client = client
        self._verbs = verbs
        self._units = self

    def run(self, start: Callable[[BlockingDriver], Coroutine[Any, Any, Any]]) -> Any:
        """In place of `Units.run`."""
        return start

    def __getattr__(self, name: str) -> Any:
        # A verb may be made of another one.
        verb = self._verbs.get(name)
        return getattr(self._client, name) if verb is None else MethodType(verb, self)


def _run_in_turn(client: SyncAtomHTTP, calls: Iterable[Deferred[Any]], return_exceptions: bool) -> list[Any]:
    results: list[Any] = []
    try:
        for call in calls:
            try:
                results.append(call.apply(getattr(client, call.verb)))
            except Exception as error:
                if not return_exceptions:
                    raise
                results.append(error)
    except BaseException:
        for result in results:
            _give_up(result)
        raise
    return results


def _give_up(result: Any) -> None:
    """Of an `all` that fails nobody sees what else came of it: an open stream would keep its connection."""
    match result:
        case Response(data=SyncResponseStream() as stream):
            stream.close()
        case _:
            pass
