"""How long a call and its phases may take."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from atomhttp._model.checks import bad_value
from atomhttp.errors import AtomHTTPOptionError


class Timeout:
    """Limits in seconds; None means no limit of that kind. Immutable.

    Args:
        total: the whole call: waiting for a connection, DNS, connect, TLS, request, response, redirects and retries.
            Bounds a stream's body too.
        connect: resolving the name, connecting and the TLS handshake of one connection.
        read: the longest gap between two pieces of the response.
        write: the longest time in which the peer takes no byte of the request.
        pool: waiting for a free connection.

    A plain number as the `timeout` option is `Timeout(total=number)`, except that for a stream it is the total until
    the headers and then the longest gap.
    """

    __slots__ = ("connect", "has_phases", "pool", "read", "stream_gap", "total", "write")

    total: float | None
    connect: float | None
    read: float | None
    write: float | None
    pool: float | None
    stream_gap: float | None
    has_phases: bool

    def __init__(
        self,
        total: float | timedelta | None = None,
        connect: float | timedelta | None = None,
        read: float | timedelta | None = None,
        write: float | timedelta | None = None,
        pool: float | timedelta | None = None,
    ) -> None:
        given = {"total": total, "connect": connect, "read": read, "write": write, "pool": pool}
        for name, value in given.items():
            object.__setattr__(self, name, _seconds(f"timeout.{name}", value))
        object.__setattr__(self, "stream_gap", None)
        phases = (self.connect, self.read, self.write, self.pool)
        object.__setattr__(self, "has_phases", any(value is not None for value in phases))

    @classmethod
    def of(cls, value: Any) -> Timeout:
        """The Timeout that a value of the `timeout` option means.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE.
        """
        if isinstance(value, Timeout):
            return value
        given: Any = value
        if isinstance(value, Mapping):
            unknown = set(given) - {"total", "connect", "read", "write", "pool"}
            if unknown:
                raise AtomHTTPOptionError(
                    f"timeout: unknown key {min(map(str, unknown))!r}; known: total, connect, read, write, pool",
                    "ERR_BAD_OPTION",
                )
            return cls(**given)
        timeout = cls(_seconds("timeout", value))
        object.__setattr__(timeout, "stream_gap", timeout.total)
        return timeout

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Timeout cannot be changed: make a new one to set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Timeout cannot be changed")

    def _values(self) -> tuple[float | None, ...]:
        return (self.total, self.connect, self.read, self.write, self.pool)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timeout) and self._values() == other._values() and self.stream_gap == other.stream_gap

    def __hash__(self) -> int:
        return hash(self._values())

    def __reduce__(self) -> tuple[Any, ...]:
        return (Timeout.of, (self.total,)) if self.stream_gap is not None else (Timeout, self._values())

    def __repr__(self) -> str:
        names = ("total", "connect", "read", "write", "pool")
        given = [f"{name}={value:g}" for name, value in zip(names, self._values(), strict=True) if value is not None]
        return f"Timeout({', '.join(given)})"


def _seconds(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise bad_value(name, value, "seconds, a timedelta, a Timeout, a mapping or None")
    if not value >= 0:
        raise bad_value(name, value, "0 or more seconds")
    # Infinity, or an int that no float holds.
    return None if value == 0 or value > 1e300 else float(value)
