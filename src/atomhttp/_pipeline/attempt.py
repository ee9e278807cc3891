"""Attempt: one time that something was sent for a call."""

from __future__ import annotations

from typing import NamedTuple

from atomhttp._redact import show_url


class Attempt(NamedTuple):
    """One time that something was sent.

    Attributes:
        number: counted from 1, over the whole call.
        url: where to, redacted.
        status: the status that came back, None when none did.
        error: the code of the error that came instead, None when none did.
        wait: seconds waited before, for this attempt's sake.
        elapsed: seconds from sending to the response (its content included, unless that is streamed) or the error.
    """

    number: int
    url: str
    status: int | None
    error: str | None
    wait: float
    elapsed: float

    def __repr__(self) -> str:
        rest = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields[2:], self[2:], strict=True))
        return f"Attempt(number={self.number}, url={show_url(self.url, 200)!r}, {rest})"
