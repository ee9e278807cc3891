"""What options have in common: checks of their values, each of which returns the value to keep or raises."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from atomhttp._redact import redact_value
from atomhttp.errors import AtomHTTPOptionError


def bad_value(name: str, value: object, expected: str) -> AtomHTTPOptionError:
    """The error for a value of the wrong kind: it names the option, what was given and what was expected."""
    shown = repr(redact_value(name, value))
    return AtomHTTPOptionError(f"{name}: expected {expected}, got {shown[:80]}", "ERR_BAD_OPTION_VALUE")


def bad_kind(name: str, value: object, expected: str) -> AtomHTTPOptionError:
    """The same for a value that is not shown, because nobody can tell what in it is a secret: by its type."""
    return AtomHTTPOptionError(f"{name}: expected {expected}, got {type(value).__name__}", "ERR_BAD_OPTION_VALUE")


def check_flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise bad_value(name, value, "True or False")
    return value


def check_count(name: str, value: Any) -> int:
    """A whole number, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise bad_value(name, value, "a whole number, 0 or more")
    return value


def check_seconds(name: str, value: Any) -> float:
    """A time in seconds, 0 or more, or a timedelta."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    # An int beyond that may be more than a float can hold.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e300:
        raise bad_value(name, value, "seconds, 0 or more, or a timedelta")
    return float(value)


def check_callable(name: str, value: Any) -> Any:
    """A callable, or None."""
    if value is not None and not callable(value):
        raise bad_value(name, value, "a callable or None")
    return value


def camel_case(name: str) -> str:
    """axios's spelling of a name: `max_retries` as `maxRetries`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
