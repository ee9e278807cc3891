"""What `all` and `spread` are given, looked through before anything starts: the same for every way of waiting."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Iterator, Mapping
from inspect import isawaitable
from typing import Any

from atomhttp.errors import AtomHTTPOptionError


def collect_tasks(tasks: Any, limit: Any, return_exceptions: Any) -> list[Any]:
    """What is in `tasks`, when all three arguments of an `all` are good.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE. Then, as when `tasks` itself raises while it is gone through, the
            coroutines that were given have been closed.
    """
    items: list[Any] = []
    try:
        for item in _iterate(tasks):
            items.append(item)  # noqa: PERF402  # one by one: those that came before an error have to be closed
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
            raise refusal("all: limit", "a whole number of 1 or more, or None", limit)
        if not isinstance(return_exceptions, bool):
            raise refusal("all: return_exceptions", "True or False", return_exceptions)
    except BaseException:
        # `all(a, b)`, as with asyncio.gather: then the other arguments are coroutines as well.
        close_coroutines([*items, tasks, limit, return_exceptions])
        given: Any = tasks  # tested under another name, so that its own type stays
        if isinstance(given, Mapping):
            close_coroutines(tasks.values())
        raise
    return items


def check_callback(callback: Any) -> None:
    """What `spread` is to call.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE.
    """
    if not callable(callback):
        raise refusal("spread: callback", "a function", callback)


def close_coroutines(tasks: Iterable[Any]) -> None:
    """Closes the coroutines among what nobody is going to run: Python warns of those that are merely dropped."""
    for task in tasks:
        if isinstance(task, Coroutine):
            task.close()


def refusal(argument: str, expected: str, given: Any) -> AtomHTTPOptionError:
    """The error for an `argument` ("all: limit") that is of the wrong kind."""
    # Of what is not a number only the kind: it may hold anything.
    shown = repr(given) if isinstance(given, (int, float)) else type(given).__name__
    return AtomHTTPOptionError(f"{argument}: expected {expected}, got {shown}", "ERR_BAD_OPTION_VALUE")


def _iterate(tasks: Any) -> Iterator[Any]:
    expected = "an iterable of what is to be done together"
    if isawaitable(tasks):
        # Asked before its iterator: a future has one, which is not meant for this.
        raise refusal("all: tasks", f"{expected}, such as [task]", tasks)
    if isinstance(tasks, Mapping):
        raise refusal("all: tasks", f"{expected}, such as tasks.values()", tasks)
    if isinstance(tasks, (str, bytes)):
        raise refusal("all: tasks", expected, tasks)
    try:
        return iter(tasks)
    except TypeError as error:
        hint = ", such as [task async for task in tasks]" if hasattr(tasks, "__aiter__") else ""
        raise refusal("all: tasks", expected + hint, tasks) from error
