"""Attempt: one time that something was sent for a call."""

from __future__ import annotations

from typing import NamedTuple


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
