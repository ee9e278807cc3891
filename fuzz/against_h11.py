"""The engine beside h11, which reads the same grammar in other words: who takes what, and what is in it.

Where the two differ, one of the tables below must know why. h11 is imported, and nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

import h11

from atomhttp._wire.chunked import _CHUNK_LINE, FORBIDDEN_TRAILERS, MAX_METADATA, MAX_TRAILERS
from atomhttp._wire.digits import MAX_DIGITS
from atomhttp._wire.http1 import DEFAULT_MAX_HEADER_SIZE, MAX_INTERIM_RESPONSES
from atomhttp._wire.http1_parser import MAX_FIELDS
from fuzz.engine import CLEAN, METHODS, WIRES, Outcome, receive
from fuzz.reader import Reader

_BLANK_LINE: Final = re.compile(rb"\n\r?\n")


class Difference(NamedTuple):
    """A deliberate one.

    Attributes:
        reason: why atomhttp does it, with the clause.
        applies: whether a message that was read differently may have been for this reason, by its bytes; of what h11
            took, without the content.
    """

    reason: str
    applies: Callable[[bytes], object]


def _pattern(pattern: bytes) -> Callable[[bytes], object]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL).search


def _repeated(name: bytes) -> Callable[[bytes], object]:
    return _pattern(rb"\n" + name + rb"[ \t]*:.*\n" + name + rb"[ \t]*:")


# What h11 takes and atomhttp refuses.
STRICTER: Final = (
    Difference(
        "a bare LF ends no line, and a bare CR stands in none: RFC 9112 section 2.2 lets a recipient take LF, and two "
        "that read it differently are how responses are split (CVE-2025-22871's kind); llhttp, Node",
        _pattern(rb"(?<!\r)\n|\r(?!\n)"),
    ),
    Difference(
        "obs-fold: RFC 9112 section 5.2 lets a user agent replace it by blanks; browsers and llhttp refuse it",
        _pattern(rb"\n[ \t]"),
    ),
    Difference(
        "control characters: RFC 9110 section 5.5 (field values), RFC 9112 section 4 (reason); h11 lets them pass for "
        "the sake of cookies with \\x01 in them",
        _pattern(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"),
    ),
    Difference(
        "Content-Length repeated, also with the same value: RFC 9110 section 8.6 lets a recipient refuse it; llhttp",
        _repeated(rb"content-length"),
    ),
    Difference(
        "Content-Length as a list of equal values: RFC 9110 section 8.6, as above",
        _pattern(rb"\ncontent-length:[^\n]*,"),
    ),
    Difference(
        f"Content-Length of more than {MAX_DIGITS} digits, leading zeros included: no length is that long",
        _pattern(rb"\ncontent-length:[ \t]*[0-9]{%d}" % (MAX_DIGITS + 1)),
    ),
    Difference(
        "Content-Length and Transfer-Encoding together: RFC 9112 section 6.3 rule 3 calls it an attempt at smuggling; "
        "llhttp",
        lambda wire: b"\ncontent-length" in wire.lower() and b"\ntransfer-encoding" in wire.lower(),
    ),
    Difference(
        "Transfer-Encoding in HTTP/1.0: RFC 9112 section 6.1 calls its framing faulty",
        _pattern(rb"HTTP/1\.0 .*\ntransfer-encoding"),
    ),
    Difference(
        "a tab behind `chunked`: legal (RFC 9112 section 5.1), but llhttp took that for another coding",
        _pattern(rb"\ntransfer-encoding:[^\n]*\t[ \t]*\r\n"),
    ),
    Difference("an HTTP version other than 1.0 and 1.1", _pattern(rb"HTTP/(?!1\.[01] )")),
    Difference("a status of 600 and more: RFC 9110 section 15", _pattern(rb"HTTP/1\.[01] [06-9][0-9][0-9]")),
    Difference(
        "what stands in a chunk line behind the size: h11 reads over everything behind a `;`, where atomhttp takes "
        "RFC 9112 section 7.1.1's grammar",
        lambda wire: any(
            not _CHUNK_LINE.fullmatch(line) for line in re.findall(rb"\n([0-9A-Fa-f]+[ \t;][^\n]*)\r\n", wire)
        ),
    ),
    Difference(
        "a chunk size of more than 16 digits: more than 64 bits",
        _pattern(rb"\n[0-9a-f]{17}"),
    ),
    Difference(f"more than {MAX_INTERIM_RESPONSES} interim responses", _pattern(rb"(HTTP/1\.[01] 1.*){21}")),
    Difference(f"more than {MAX_FIELDS} fields", lambda wire: wire.count(b"\n") > MAX_FIELDS),
    Difference("a head larger than maxHeaderSize", lambda wire: len(wire) > DEFAULT_MAX_HEADER_SIZE),
    Difference("more metadata of chunks, or more trailers", lambda wire: len(wire) > min(MAX_METADATA, MAX_TRAILERS)),
)

# What atomhttp takes and h11 refuses.
LAXER: Final = (
    Difference(
        "framing fields of an interim response are not looked at: it ends with its head, whatever they say (RFC 9112 "
        "section 6.3 rule 1)",
        _pattern(rb"HTTP/1\.[01] 1[0-9][0-9][^\n]*\n([^\r\n]+\r\n)*(transfer-encoding|content-length):"),
    ),
    Difference(
        "framing fields among the trailers, whatever they say, are dropped (RFC 9110 section 6.5.1)",
        _pattern(rb"\n0+[;\r].*\n(transfer-encoding|content-length):"),
    ),
    Difference(
        "bad white space in chunk lines, which recipients must take (RFC 9110 section 5.6.3): h11 not before a `;`",
        _pattern(rb"\n[0-9a-f]+[ \t]+;"),
    ),
)


class Theirs(NamedTuple):
    """What h11 makes of an exchange; `refused` is its error."""

    statuses: tuple[int, ...]
    fields: tuple[tuple[bytes, bytes], ...]
    pieces: tuple[bytes, ...]
    trailers: tuple[tuple[bytes, bytes], ...]
    completed: bool
    reusable: bool
    is_tunnel: bool
    refused: str | None

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)


def run(data: bytes) -> None:
    """Control byte: the method."""
    reader = Reader(data)
    method = reader.pick(METHODS)
    wire = reader.rest()
    ours = receive([wire] if wire else [], method, CLEAN, DEFAULT_MAX_HEADER_SIZE)
    theirs = read_by_h11(wire, method)
    if ours.completed and theirs.completed:
        _check_agreement(wire, ours, theirs)
    elif ours.completed or theirs.completed:
        _check_difference(wire, ours, theirs)


def read_by_h11(wire: bytes, method: str) -> Theirs:
    """The wire, and the end of the stream."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=DEFAULT_MAX_HEADER_SIZE)
    connection.send(h11.Request(method=method, target="a:1" if method == "CONNECT" else "/", headers=[("Host", "a:1")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(wire)
    statuses: list[int] = []
    fields: tuple[tuple[bytes, bytes], ...] = ()
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    pieces: list[bytes] = []
    completed = at_end = False
    try:
        while not completed:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                if at_end:
                    break
                at_end = True
                connection.receive_data(b"")
            elif isinstance(event, (h11.Response, h11.InformationalResponse)):
                statuses.append(event.status_code)
                fields = tuple(event.headers)
            elif isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                trailers = tuple(event.headers)
                completed = True
            else:
                # PAUSED: a tunnel begins.
                completed = connection.their_state is h11.SWITCHED_PROTOCOL
                break
    except h11.RemoteProtocolError as error:
        return Theirs(tuple(statuses), fields, tuple(pieces), (), False, False, False, str(error))
    reusable = completed and not at_end and connection.their_state is h11.DONE and not connection.trailing_data[0]
    is_tunnel = connection.their_state is h11.SWITCHED_PROTOCOL
    return Theirs(tuple(statuses), fields, tuple(pieces), trailers, completed, reusable, is_tunnel, None)


def _check_difference(wire: bytes, ours: Outcome, theirs: Theirs) -> None:
    table, about = (LAXER, wire) if ours.completed else (STRICTER, _without_content(wire, theirs))
    if not any(difference.applies(about) for difference in table):
        raise AssertionError(f"{wire!r}\natomhttp: {ours}\nh11: {theirs}")


def _without_content(wire: bytes, theirs: Theirs) -> bytes:
    """The heads, chunk lines and trailers. Content begins behind a line end, wherever it stands."""
    position = 0
    for _ in theirs.statuses:
        end = _BLANK_LINE.search(wire, position)
        assert end is not None, "h11 found a head that ends nowhere"
        position = end.end()
    # The line end belongs to both sides.
    kept, position = [wire[: position - 1]], position - 1
    for piece in theirs.pieces:
        found = wire.find(b"\n" + piece, position) + 1
        kept.append(wire[position:found])
        position = found + len(piece)
    return b"".join([*kept, wire[position:]])


def _check_agreement(wire: bytes, ours: Outcome, theirs: Theirs) -> None:
    about = f"{wire!r}\natomhttp: {ours}\nh11: {theirs}"
    assert tuple(head[0] for head in ours.heads) == theirs.statuses, about
    assert ours.content == theirs.content, about
    assert _without_coding_case(ours.heads[-1][3] if ours.heads else ()) == theirs.fields, about
    kept = tuple((name.lower(), value) for name, value in ours.trailers)
    assert kept == tuple(pair for pair in theirs.trailers if pair[0] not in FORBIDDEN_TRAILERS), about
    # h11 keeps no HTTP/1.0 connection; and what a tunnel goes through is never used for a second request.
    if ours.reusable != theirs.reusable:
        assert ours.heads[-1][1] == "1.0" or theirs.is_tunnel, about


def _without_coding_case(fields: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
    """h11 gives names, and the transfer coding, in lower case."""
    return tuple(
        (name.lower(), value.lower() if name.lower() == b"transfer-encoding" else value) for name, value in fields
    )


SEEDS: Final = tuple(bytes([number]) + wire for wire in WIRES for number in range(len(METHODS)))
