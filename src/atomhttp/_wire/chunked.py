"""The chunked transfer coding, received (RFC 9112 section 7.1), as strictly as llhttp reads it but for blanks.

Our own rather than llhttp's, because the engine must know to the byte where the message ends (llhttp does not tell,
and parses what follows), and must count what is not content: extensions and trailers would otherwise be unbounded.
"""

from __future__ import annotations

import re
from typing import Final

from atomhttp._wire.http1_parser import MAX_FIELDS, shown
from atomhttp.errors import AtomHTTPProtocolError

# A line of 16 bytes a chunk is what an honest peer needs; only what goes beyond it counts as metadata.
FREE_LINE: Final = 16
MAX_METADATA: Final = 16 * 1024
MAX_TRAILERS: Final = 16 * 1024

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
# Blanks around `;` and `=` are the grammar's, which recipients must take; behind the size, some servers pad with them.
_CHUNK_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[ \t]*%(token)b(?:[ \t]*=[ \t]*(?:%(token)b|%(quoted)b))?)*[ \t]*"
    % {b"token": _TOKEN, b"quoted": _QUOTED}
)
_TRAILER: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)")
# A trailer must not change how the message is framed, routed or authorised (RFC 9110 section 6.5.1).
FORBIDDEN_TRAILERS: Final = frozenset(
    b"transfer-encoding content-length host content-encoding content-type content-range trailer connection "
    b"keep-alive te upgrade authorization proxy-authorization www-authenticate proxy-authenticate cookie set-cookie "
    b"cache-control expires location".split()
)

_SIZE, _DATA, _DATA_END, _TRAILERS, _DONE = range(5)


class ChunkedDecoder:
    """Bytes of a chunked body in, its content out; `done` once the last byte of the coding has been seen."""

    __slots__ = ("_fields", "_held", "_metadata", "_remaining", "_state", "_trailer_bytes", "surplus", "trailers")

    def __init__(self) -> None:
        self._state = _SIZE
        self._held: bytes = b""
        self._remaining = 0
        self._metadata = 0
        self._trailer_bytes = 0
        self._fields = 0
        self.trailers: list[tuple[bytes, bytes]] = []
        self.surplus = 0

    @property
    def done(self) -> bool:
        return self._state == _DONE

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces of content in `data`.

        Raises:
            AtomHTTPProtocolError: the coding is broken, or its metadata is larger than allowed.
        """
        pieces: list[bytes] = []
        if self._held:
            data = self._held + data
            self._held = b""
        position, size = 0, len(data)
        while position < size:
            state = self._state
            if state == _DATA:
                piece = data[position : position + self._remaining]
                pieces.append(piece)
                position += len(piece)
                self._remaining -= len(piece)
                if not self._remaining:
                    self._state = _DATA_END
            elif state == _DATA_END:
                if data[position] != 13 or (size - position > 1 and data[position + 1] != 10):
                    raise AtomHTTPProtocolError("a chunk is longer or shorter than its size says")
                if size - position < 2:
                    self._held = data[position:]
                    break
                position += 2
                self._state = _SIZE
            elif state == _DONE:
                self.surplus += size - position
                break
            else:
                end = data.find(b"\n", position)
                line = data[position:] if end < 0 else data[position : end + 1]
                self._take_line(line, complete=end >= 0)
                if end < 0:
                    self._held = line
                    break
                position = end + 1
        return pieces

    def _take_line(self, line: bytes, complete: bool) -> None:
        """One line of metadata; an incomplete one is only measured, so that it cannot grow for ever."""
        if self._state == _SIZE:
            if self._metadata + len(line) - FREE_LINE > MAX_METADATA:
                raise AtomHTTPProtocolError(f"more than {MAX_METADATA} bytes of chunk metadata", "HPE_HEADER_OVERFLOW")
        elif self._trailer_bytes + len(line) > MAX_TRAILERS:
            raise AtomHTTPProtocolError(f"more than {MAX_TRAILERS} bytes of trailers", "HPE_HEADER_OVERFLOW")
        if not complete:
            return
        if line[-2:] != b"\r\n":
            raise AtomHTTPProtocolError("a line of the chunked coding ends without CR")
        if self._state == _SIZE:
            self._metadata += max(0, len(line) - FREE_LINE)
            self._take_size(line[:-2])
        elif line == b"\r\n":
            self._state = _DONE
        else:
            self._trailer_bytes += len(line)
            self._take_trailer(line[:-2])

    def _take_size(self, line: bytes) -> None:
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise AtomHTTPProtocolError(f"not a chunk size: a line of {len(line)} bytes")
        self._remaining = int(match[1], 16)
        self._state = _DATA if self._remaining else _TRAILERS

    def _take_trailer(self, line: bytes) -> None:
        match = _TRAILER.fullmatch(line)
        if match is None:
            raise AtomHTTPProtocolError(f"not a trailer field: {shown(line)}")
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise AtomHTTPProtocolError(f"more than {MAX_FIELDS} trailers", "HPE_HEADER_OVERFLOW")
        if match[1].lower() not in FORBIDDEN_TRAILERS:
            self.trailers.append((match[1], match[2].strip(b" \t")))
