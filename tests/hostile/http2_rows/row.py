"""A row of HTTP/2: what a peer says once it was asked, and exactly what comes of it.

It is said on stream 1, on which it was asked for `/row`; on stream 3 the same client has asked for `/neighbour`. The
outcome says how far the harm goes:

    kind               `/row`         `/neighbour`   the next request goes to
    Answer             the answer     its answer     the same connection
    LastAnswer         the answer     anything       whatever connection
    StreamRefused      the error      its answer     the same connection
    ConnectionRefused  the error      an error       another connection
    CutShort           the timeout    the timeout    the same one, where the peer goes on after the reset

That is while the peer goes on as a decent server does. Where the connection ends instead, what was complete stays what
it is, and CutShort is an error of the connection's, or of a response that was cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import hostile.case
from atomhttp import AtomHTTPError, AtomHTTPProtocolError
from hostile.case import BYTEWISE, EOF, FEEDS, RST, SILENCE, WHOLE
from support.http2_peer import Code, Field

# How its connection goes on: as a decent server, or as `hostile.case` has it
DECENT = "decent"
ENDS = (DECENT, EOF, RST, SILENCE)

OK: Field = (b":status", b"200")


@dataclass(frozen=True, slots=True)
class Answer:
    """The response is complete, and nothing is wrong with it."""

    status: int = 200
    body: bytes = b""
    fields: tuple[tuple[str, str], ...] = ()
    """Some fields of the head: `headers.get_all(name)` holds the value."""
    trailers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LastAnswer(Answer):
    """The response is good; what came behind it was not, or says that there is nothing more to get here."""


@dataclass(frozen=True, slots=True)
class StreamRefused:
    """An error of this class and code; the connection lives."""

    why: str = ""
    """A part of the error's message."""
    kind: type[AtomHTTPError] = AtomHTTPProtocolError
    code: str = "ERR_BAD_RESPONSE"


@dataclass(frozen=True, slots=True)
class ConnectionRefused(StreamRefused):
    """An error of this class and code, and GOAWAY with one of these codes."""

    goaway: tuple[Code, ...] = (Code.PROTOCOL_ERROR,)


@dataclass(frozen=True, slots=True)
class CutShort:
    """Not wrong so far, but unfinished.

    Attributes:
        between_frames: a peer can go on from here with another stream's frames.
        begun: the head has come; an end of the connection then cuts the response, as in HTTP/1.1.
    """

    between_frames: bool = True
    begun: bool = False


Outcome = Answer | StreamRefused | CutShort


@dataclass(frozen=True, slots=True)
class Row:
    """One reply of a peer."""

    name: str
    says: bytes
    outcome: Outcome
    source: str
    """The clause that decides; of RFC 9113 where only its number stands."""
    method: str = "GET"
    instead_of_settings: bool = False
    """Whether it is said in the place of the peer's preface."""


class Case(hostile.case.Case[Row]):
    """Played bytewise, a large row is so in its first and its last bytes, which is where heads of frames are."""

    __slots__ = ()

    def _every_byte(self, size: int) -> list[int]:
        return [at for at in range(1, size) if at <= 400 or at >= size - 100]


def every_case(row: Row) -> Iterator[Case]:
    """All ways to play it. Silence is played on the virtual clock, which the synchronous client has not."""
    for tls in (False, True):
        for feed in FEEDS:
            for ending in ENDS:
                if ending == DECENT and isinstance(row.outcome, CutShort):
                    continue  # that is its silence
                yield Case(row, feed, ending, tls)
                if ending != SILENCE:
                    yield Case(row, feed, ending, tls, is_sync=True)


def is_always_played(case: Case) -> bool:
    ending = EOF if isinstance(case.row.outcome, CutShort) else DECENT
    if case.tls or case.ending != ending:
        return False
    return case.feed == WHOLE or (case.feed == BYTEWISE and not case.is_sync)
