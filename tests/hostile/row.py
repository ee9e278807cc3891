"""A row: what a peer does, and exactly what comes of it.

A row says its bytes and one outcome. How the outcome depends on the way the connection ends follows from its kind:

    kind        the peer's EOF          RST                 silence
    Answer      the answer              the answer          the answer
    UntilEnd    the answer              ECONNRESET          the timeout
    Refused     the error               the error           the error
    CutShort    the response is cut     ECONNRESET          the timeout

Over TLS there is a fourth end, a FIN without close_notify, which is a truncation: it turns UntilEnd into CutShort.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import hostile.case
from atomhttp import (
    AtomHTTPError,
    AtomHTTPNetworkError,
    AtomHTTPProtocolError,
    AtomHTTPTimeoutError,
)
from hostile.case import BYTEWISE, EOF, FEEDS, RST, SILENCE, WHOLE

# One more way to end: a FIN without close_notify
TRUNCATED = "truncated"
PLAIN_ENDS = (EOF, RST, SILENCE)
TLS_ENDS = (EOF, RST, SILENCE, TRUNCATED)


@dataclass(frozen=True, slots=True)
class Answer:
    """The message is complete by itself."""

    status: int = 200
    body: bytes = b""
    """What `response.content` holds: decoded, where there is a content coding."""
    fields: tuple[tuple[str, str], ...] = ()
    """Some fields of the head, in any order: `headers.get_all(name)` holds the value."""
    reason: str | None = None
    trailers: tuple[tuple[str, str], ...] = ()
    kept: bool = True
    """Whether the connection may carry another exchange, as long as its peer leaves it open."""


@dataclass(frozen=True, slots=True)
class UntilEnd(Answer):
    """The message ends where the connection ends (RFC 9112 section 6.3, rule 8)."""

    kept: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """An error of exactly this class and code, however the connection goes on; `why` is a part of its message."""

    why: str
    kind: type[AtomHTTPError] = AtomHTTPProtocolError
    code: str = "ERR_BAD_RESPONSE"


@dataclass(frozen=True, slots=True)
class CutShort:
    """Not wrong so far, but unfinished."""


Outcome = Answer | Refused | CutShort

CUT = Refused("", AtomHTTPProtocolError, "ERR_BAD_RESPONSE")
RESET = Refused("", AtomHTTPNetworkError, "ECONNRESET")
TIMED_OUT = Refused("", AtomHTTPTimeoutError, "ECONNABORTED")


@dataclass(frozen=True, slots=True)
class Row:
    """One reply of a peer to one request."""

    name: str
    says: bytes
    outcome: Outcome
    source: str
    """The clause that decides ("RFC 9112 6.3"), or the client it agrees with ("curl", "h11", "llhttp", "Fetch")."""
    method: str = "GET"
    options: Mapping[str, Any] = field(default_factory=dict)
    """More options of the request."""

    @property
    def is_odd_but_legal(self) -> bool:
        return isinstance(self.outcome, Answer)

    def expected(self, ending: str) -> Answer | Refused:
        outcome = self.outcome
        if isinstance(outcome, Refused) or type(outcome) is Answer:
            return outcome
        if ending == RST:
            return RESET
        if ending == SILENCE:
            return TIMED_OUT
        return outcome if isinstance(outcome, Answer) and ending == EOF else CUT


class Case(hostile.case.Case[Row]):
    """One way to play a row."""

    __slots__ = ()


def every_case(row: Row) -> Iterator[Case]:
    """All ways to play it. Silence is played on the virtual clock, which the synchronous client has not."""
    for tls, endings in ((False, PLAIN_ENDS), (True, TLS_ENDS)):
        for feed in FEEDS:
            for ending in endings:
                yield Case(row, feed, ending, tls)
                if ending != SILENCE:
                    yield Case(row, feed, ending, tls, is_sync=True)


def is_always_played(case: Case) -> bool:
    return case.feed in (WHOLE, BYTEWISE) and case.ending == EOF and not case.tls and not case.is_sync
