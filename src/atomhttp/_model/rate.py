"""What `maxRate` may hold."""

from __future__ import annotations

from typing import Any

from atomhttp._model.walker import is_listed
from atomhttp.errors import AtomHTTPOptionError


def check_rate(name: str, value: Any) -> tuple[float | None, float | None] | None:
    """`maxRate` as it is kept: bytes per second (up, down), each None for no limit; None when there is none at all.

    Args:
        name: the option's name, for the error.
        value: a number for both directions, or `[up, down]`; None, 0 and infinity: no limit.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE.
    """
    both = value if is_listed(value) else (value, value)
    if len(both) != 2 or not all(map(_is_rate, both)):
        raise AtomHTTPOptionError(
            f"{name}: expected bytes per second or [up, down], each a positive number, or None or 0 for no limit, "
            f"got {repr(value)[:80]}",
            "ERR_BAD_OPTION_VALUE",
        )
    up, down = map(_limit, both)
    return None if up is None and down is None else (up, down)


def _is_rate(value: object) -> bool:
    # NaN is not 0 or more.
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0)


def _limit(value: float | None) -> float | None:
    # Infinity, or an int that no float holds.
    return float(value) if value and value < 1e300 else None
