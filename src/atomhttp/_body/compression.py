"""Content codings without I/O: gzip, deflate, br and zstd, alone and in chains (RFC 9110 section 8.4).

Decoding is **pulled**: `Decoder.feed` is a generator whose pieces are at most 64 KiB, and nothing is decompressed
before it is asked for. In a chain each stage pulls from the one before, so a bomb inside a bomb costs one piece a
stage, and whoever counts the pieces can stop at any limit. Input is taken in slices of 16 KiB, because what a library
does not use of its input it copies, once a step.

After an error a decoder is spent: a zlib object must not be used again after a MemoryError (CPython CVE-2026-6100).
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Final, Protocol

from atomhttp.errors import AtomHTTPDecodeError

MAX_PIECE: Final = 65_536  # bytes that `Decoder.feed` gives at a time, whatever the ratio
# A step costs three times its size at its height: the piece before it, the library's blocks, and the piece they make.
_STEP: Final = 32_768
_SLICE: Final = 16_384
MAX_CODINGS: Final = 5  # nobody sends more than two; curl and urllib3, once attacked through chains, allow 5
_ZSTD_WINDOW_LOG: Final = 23  # 8 MiB, the most that the HTTP coding allows (RFC 9659)
# Windows add up in a chain, and nobody needs large ones twice: all together, and one of zstd's.
_MAX_WINDOWS: Final = 2**24
_CHAINED_WINDOW_LOG: Final = 22
# A member or frame costs microseconds to set up, however little is in it. BGZF files end in one that is empty.
_MAX_EMPTY_MEMBERS: Final = 100
# brotli overshoots its limit by the size of its blocks: 32,752 bytes, then 65,520 more. This one gets the first alone.
_BROTLI_LIMIT: Final = 32_000

_GZIP_BITS: Final = 16 + zlib.MAX_WBITS
_RAW_BITS: Final = -zlib.MAX_WBITS

_KNOWN: Final = frozenset(("gzip", "deflate", "br", "zstd"))
_ALIASES: Final = {"x-gzip": "gzip"}  # RFC 9110 section 8.4.1.3


class UnknownCodingError(LookupError):
    """A coding that nobody here can decode: the body is handed on as it came.

    Attributes:
        codings: all codings that are still on that body, in the order they were applied.
    """

    def __init__(self, codings: Sequence[str]) -> None:
        super().__init__(f"unknown content coding in {', '.join(codings)}")
        self.codings = tuple(codings)


# What is installed


@lru_cache(maxsize=1)
def accept_encoding() -> str:
    """The Accept-Encoding value for what is installed, e.g. "gzip, deflate, br"."""
    installed = ["gzip", "deflate"]
    if _brotli() is not None:
        installed.append("br")
    if _has_zstd():
        installed.append("zstd")
    return ", ".join(installed)


@lru_cache(maxsize=1)
def _brotli() -> Any:
    """The brotli module, if it can bound its output (1.2 and newer); None otherwise.

    It is imported to find that out (0.7 ms): reading its version from its metadata takes 50 ms.
    """
    if find_spec("brotli") is None:
        return None
    import brotli  # pyright: ignore[reportMissingTypeStubs]  # it has none

    decompressor = getattr(brotli, "Decompressor", None)
    return brotli if hasattr(decompressor, "can_accept_more_data") else None


@lru_cache(maxsize=1)
def _has_zstd() -> bool:
    if sys.version_info >= (3, 14):
        return find_spec("_zstd") is not None  # a Python may be built without it
    try:
        return find_spec("backports.zstd") is not None
    except ModuleNotFoundError:  # no backports at all
        return False


def _zstd() -> Any:
    if not _has_zstd():
        return None
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd  # pyright: ignore[reportMissingTypeStubs]  # others of that namespace have none
    return zstd


# Codings and decoders


def parse_codings(header_value: str) -> list[str]:
    """The codings of a Content-Encoding value (repeated fields joined by ", "), lower-cased, in the order applied.

    "identity" and empty elements are left out; x-gzip is gzip.
    """
    codings: list[str] = []
    for element in header_value.lower().split(","):
        coding = element.strip(" \t")
        if coding and coding != "identity":
            codings.append(_ALIASES.get(coding, coding))
    return codings


def build_decoder(codings: Sequence[str]) -> Decoder | None:
    """A decoder for a body with these codings (as `parse_codings` gives them); None when there are none.

    Raises:
        UnknownCodingError: one of them is unknown; the body is to be handed on undecoded.
        AtomHTTPDecodeError: more than 5, or one that needs an extra which is not installed.
    """
    if not codings:
        return None
    if len(codings) > MAX_CODINGS:
        raise AtomHTTPDecodeError(f"the body has {len(codings)} content codings; at most {MAX_CODINGS} are decoded")
    if not _KNOWN.issuperset(codings):
        raise UnknownCodingError(codings)
    # The last one applied is the first to come off.
    windows = _Windows() if len(codings) > 1 else None
    return Decoder([_build_stage(coding, windows) for coding in reversed(codings)])


def decode_content(content: bytes, codings: Sequence[str]) -> bytes:
    """A whole body decoded, without a limit on its size: a limited one is fed to `build_decoder`'s piece by piece.

    Raises:
        UnknownCodingError: see `build_decoder`.
        AtomHTTPDecodeError: see `build_decoder`; also bad data, a truncated body, or data after its end.
    """
    if len(codings) == 1 and codings[0] == "gzip":
        # One member and nothing behind it, nearly always: one call into zlib (2 µs for a small body).
        try:
            member = zlib.decompressobj(_GZIP_BITS)
            decoded = member.decompress(content)
            if member.eof and not member.unused_data:
                return decoded
        except zlib.error:
            pass  # the stage below says what is wrong, in its words
    decoder = build_decoder(codings)
    if decoder is None:
        return content
    decoded = b"".join(decoder.feed(content))
    decoder.finish()
    return decoded


class Decoder:
    """Takes the codings off one body.

    Each `feed` must be exhausted before the next; `finish` after the last.
    """

    __slots__ = ("_spent", "_stages")

    def __init__(self, stages: list[_Stage]) -> None:
        self._stages = stages
        self._spent = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decoded bytes of the next piece of body, lazily, at most 64 KiB at a time and never empty.

        Raises:
            AtomHTTPDecodeError: while iterating: bad data, or data after the end.
        """
        if self._spent:
            raise AtomHTTPDecodeError("the body could not be decoded: an earlier part of it was bad")
        self._spent = True
        pieces = self._stages[0].feed(data)
        for stage in self._stages[1:]:
            pieces = _through(stage, pieces)
        yield from pieces
        self._spent = False

    def finish(self) -> None:
        """Says that the body is complete. A body of no bytes at all is, too.

        Raises:
            AtomHTTPDecodeError: the body ended in the middle.
        """
        if self._spent:
            raise AtomHTTPDecodeError("the body could not be decoded: a part of it was bad, or was not read")
        for stage in self._stages:
            stage.finish()


class _Stage(Protocol):
    """One coding."""

    def feed(self, data: bytes) -> Iterator[bytes]: ...

    def finish(self) -> None: ...


def _through(stage: _Stage, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield from stage.feed(piece)


def _slices(data: bytes) -> Iterator[bytes | memoryview]:
    if len(data) <= _SLICE:
        yield data
        return
    view = memoryview(data)
    for start in range(0, len(view), _SLICE):
        yield view[start : start + _SLICE]


class _Windows:
    """How much of their output the stages of a chain may keep to refer back to."""

    def __init__(self) -> None:
        self._left = _MAX_WINDOWS

    def take(self, log: int) -> None:
        """2**log bytes, for a stage."""
        self._left -= 1 << log
        if self._left < 0:
            raise AtomHTTPDecodeError(f"the body's codings ask for windows of more than {_MAX_WINDOWS} bytes together")


def _build_stage(coding: str, windows: _Windows | None) -> _Stage:
    if coding == "gzip":
        return _MembersStage("gzip", lambda: _ZlibMember(_GZIP_BITS), zlib.error, padded=True)
    if coding == "deflate":
        return _DeflateStage()
    if coding == "br":
        brotli = _installed(_brotli(), "br")
        return _MembersStage("br", lambda: _BrotliMember(brotli.Decompressor(), windows), brotli.error, several=False)
    zstd = _installed(_zstd(), "zstd")
    log = _ZSTD_WINDOW_LOG
    if windows is not None:
        log = _CHAINED_WINDOW_LOG
        windows.take(log)
    options = {zstd.DecompressionParameter.window_log_max: log}
    return _MembersStage("zstd", lambda: _ZstdMember(zstd.ZstdDecompressor(options=options)), zstd.ZstdError)


def _installed(found: Any, extra: str) -> Any:
    if found is None:
        raise AtomHTTPDecodeError(f"the body is coded with {extra}, which needs: pip install atomhttp[{extra}]")
    return found


# Members: what has a beginning and an end inside a coding (a gzip member, a zstd frame, a whole br or deflate stream)


class _Member(Protocol):
    eof: bool
    has_content: bool

    def decompress(self, data: bytes | memoryview) -> Iterator[bytes]:
        """The decoded bytes of `data`, a bounded step at a time."""
        ...

    def surplus(self) -> bytes:
        """What was given beyond the end."""
        ...


class _MembersStage:
    """A coding as a series of members.

    Args:
        coding: its name, for messages.
        build_member: makes the state for the next member.
        bad_data: what the library raises for bad data.
        several: whether a member may follow on another.
        padded: whether NULs may follow the last member, as gzip bodies that come from tapes and block devices have.
    """

    def __init__(
        self,
        coding: str,
        build_member: Callable[[], _Member],
        bad_data: type[Exception],
        *,
        several: bool = True,
        padded: bool = False,
    ) -> None:
        self._coding = coding
        self._build_member = build_member
        self._bad_data = bad_data
        self._several = several
        self._padded = padded
        self._member: _Member | None = None
        self._ended = False  # at least one member is complete
        self._in_padding = False
        self._empty = 0  # members without content, in a row

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            for part in _slices(data):
                rest: bytes | memoryview = part
                while rest and not (self._member is None and self._is_padding(rest)):
                    member = self._member or self._begin()
                    yield from member.decompress(rest)
                    if not member.eof:
                        break
                    rest = member.surplus()
                    self._end(member)
        except self._bad_data as error:
            raise AtomHTTPDecodeError(f"the body is not valid {self._coding}: {error}") from error

    def finish(self) -> None:
        if self._member is not None:
            raise AtomHTTPDecodeError(f"the {self._coding} body is truncated")

    def _begin(self) -> _Member:
        if self._ended and not self._several:
            raise self._surplus_error()
        self._member = self._build_member()
        return self._member

    def _end(self, member: _Member) -> None:
        self._member = None
        self._ended = True
        self._empty = 0 if member.has_content else self._empty + 1
        if self._empty > _MAX_EMPTY_MEMBERS:
            raise AtomHTTPDecodeError(f"the {self._coding} body has over {_MAX_EMPTY_MEMBERS} empty parts in a row")

    def _is_padding(self, rest: bytes | memoryview) -> bool:
        if not (self._padded and self._ended and (self._in_padding or rest[0] == 0)):
            return False
        if bytes(rest).strip(b"\0"):
            raise self._surplus_error()
        self._in_padding = True
        return True

    def _surplus_error(self) -> AtomHTTPDecodeError:
        return AtomHTTPDecodeError(f"there is data after the end of the {self._coding} body")


class _ZlibMember:
    __slots__ = ("_object", "eof", "has_content")

    def __init__(self, window_bits: int) -> None:
        self._object = zlib.decompressobj(window_bits)
        self.eof = False
        self.has_content = False

    def decompress(self, data: bytes | memoryview) -> Iterator[bytes]:
        while True:
            piece = self._object.decompress(data, _STEP)
            self.eof = self._object.eof
            if piece:
                self.has_content = True
                yield piece
            data = self._object.unconsumed_tail
            # A full piece may leave output inside zlib although all input is used.
            if self.eof or not (data or len(piece) == _STEP):
                return

    def surplus(self) -> bytes:
        return self._object.unused_data


class _BrotliMember:
    __slots__ = ("_object", "_windows", "eof", "has_content")

    def __init__(self, decompressor: Any, windows: _Windows | None) -> None:
        self._object = decompressor
        self._windows = windows
        self.eof = False
        self.has_content = False

    def decompress(self, data: bytes | memoryview) -> Iterator[bytes]:
        if self._windows is not None:
            self._windows.take(_brotli_window_log(data[0]))
            self._windows = None
        while True:
            piece = self._object.process(data, output_buffer_limit=_BROTLI_LIMIT)
            self.eof = self._object.is_finished()
            if piece:
                self.has_content = True
                yield piece
            if self.eof or not piece:
                return
            data = b""

    def surplus(self) -> bytes:
        return b""  # brotli refuses data beyond its end itself


def _brotli_window_log(first: int) -> int:
    """What the first byte of a brotli stream says: RFC 7932 section 9.1."""
    if not first & 1:
        return 16
    if large := first >> 1 & 7:
        return 17 + large
    small = first >> 4 & 7
    return 8 + small if small else 17


class _ZstdMember:
    __slots__ = ("_object", "eof", "has_content")

    def __init__(self, decompressor: Any) -> None:
        self._object = decompressor
        self.eof = False
        self.has_content = False

    def decompress(self, data: bytes | memoryview) -> Iterator[bytes]:
        while True:
            piece: bytes = self._object.decompress(data, _STEP)
            self.eof = self._object.eof
            if piece:
                self.has_content = True
                yield piece
            if self.eof or self._object.needs_input:
                return
            data = b""

    def surplus(self) -> bytes:
        unused: bytes = self._object.unused_data
        return unused


class _DeflateStage:
    """deflate is zlib's format (RFC 9110 section 8.4.1.2); some servers send the bare one, which the first bytes tell.

    The two are never confused: a zlib header begins with the bits of a stored block whose padding is not zero, which no
    compressor writes.
    """

    __slots__ = ("_first", "_inner")

    def __init__(self) -> None:
        self._first = b""
        self._inner: _MembersStage | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inner is None:
            data = self._first + data
            if len(data) < 2:
                self._first = data
                return
            bits = zlib.MAX_WBITS if _has_zlib_header(data) else _RAW_BITS
            self._inner = _MembersStage("deflate", lambda: _ZlibMember(bits), zlib.error, several=False)
        yield from self._inner.feed(data)

    def finish(self) -> None:
        if self._inner is not None:
            self._inner.finish()
        elif self._first:
            raise AtomHTTPDecodeError("the deflate body is truncated")


def _has_zlib_header(data: bytes) -> bool:
    """RFC 1950 section 2.2: method 8, a window of at most 32 KiB, and a check that makes a multiple of 31."""
    return data[0] & 0x0F == 8 and data[0] >> 4 <= 7 and int.from_bytes(data[:2]) % 31 == 0
