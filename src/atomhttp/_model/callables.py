"""The caller's own functions: how many arguments they want, and how they are called, synchronous or not."""

from __future__ import annotations

import inspect
from types import FunctionType, MethodType
from typing import Any

from atomhttp.errors import AtomHTTPError


def required_positionals(function: Any, default: int) -> int:
    """How many positional arguments `function` cannot be called without; `default` when it does not tell (built-ins).

    Parameters with a default, `*args` and keyword-only ones do not count. A decorator's `*args` stand for the
    parameters of the function it wraps.
    """
    # What nearly everybody gives, in a fraction of the time that `inspect.signature` takes (0.5 µs instead of 19).
    plain, bound = (function.__func__, 1) if type(function) is MethodType else (function, 0)
    if type(plain) is FunctionType and not _speaks_for_another(plain):
        return max(0, plain.__code__.co_argcount - len(plain.__defaults__ or ()) - bound)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return default
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional and each.default is each.empty for each in parameters)


def _speaks_for_another(function: FunctionType) -> bool:
    """Whether its own parameters are not the whole truth."""
    marks = function.__dict__
    if not marks:
        return False
    # A wrapper that lists its parameters knows better than what it wraps: it may add or take away some.
    takes_any = function.__code__.co_flags & inspect.CO_VARARGS
    return "__signature__" in marks or bool(takes_any and "__wrapped__" in marks)


async def call_user(driver: Any, due: float | None, function: Any, *arguments: Any) -> Any:
    """What the caller's `function(*arguments)` gives, awaited if it can be. What it raises passes through untouched.

    Args:
        driver: waits for it (`Driver.foreign`).
        due: when there is no more time for it, on the driver's clock; None: it may take for ever.

    Raises:
        TimeoutError: `due` came while it was awaited.
    """
    try:
        result = function(*arguments)
        if result is not None and inspect.isawaitable(result):
            return await driver.foreign(result, due)
    except AtomHTTPError as error:
        # Of another call, or made by hand: it says nothing about the request under way.
        error.from_caller = True
        raise
    return result
