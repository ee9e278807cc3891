"""`response.data` of a stream: content as it arrives, for one consumer, once."""

from __future__ import annotations

import sys
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Final, NoReturn, TypeVar

from atomhttp._model.checks import bad_value
from atomhttp._pipeline.content import ContentReader
from atomhttp.errors import AtomHTTPClosedError, AtomHTTPLimitError

T = TypeVar("T")

MAX_LINE: Final = 1024 * 1024


class _Stream:
    """What both kinds share: the reader, a buffer for sized reads, and the one pass that is allowed."""

    def __init__(self, reader: ContentReader) -> None:
        self._reader = reader
        # What was received and not asked for yet begins at `_offset`: small reads must not copy the rest each time.
        self._buffer = b""
        self._offset = 0
        self._reading = False
        self._started = False
        self._ended = False
        # The caller has been told of the end: reading on is a second pass.
        self._end_told = self._iterated = False
        self._opened_at = _caller()

    @property
    def closed(self) -> bool:
        """Whether nothing more can be read."""
        return self._reader.finished

    def _begin(self) -> None:
        if self._started or self._end_told:
            raise AtomHTTPClosedError("this stream has been read already: it can be read once", "ERR_STREAM_CONSUMED")
        self._started = self._iterated = True

    def _check(self) -> None:
        if self._end_told or (self._iterated and self._ended and not self._has_rest):
            raise AtomHTTPClosedError("this stream has been read to its end, or closed", "ERR_STREAM_CONSUMED")

    @property
    def _has_rest(self) -> bool:
        return self._offset < len(self._buffer)

    def _take(self, size: int) -> bytes:
        """At most `size` bytes of what is there; -1 for all of it."""
        start = self._offset
        end = len(self._buffer) if size < 0 else min(len(self._buffer), start + size)
        piece = self._buffer[start:end]
        self._offset = end
        return piece

    async def _fill(self, driver: Any) -> bool:
        """Waits until there is something to take; False at the end."""
        if self._has_rest:
            return True
        if self._ended:
            return False
        # Before anything that would close it: a stream of another event loop is not ours to touch.
        driver.check()
        if self._reading:
            raise RuntimeError("this stream is already being read, by another task or thread")
        self._reading = True
        try:
            self._buffer, self._offset = await self._reader.read(driver), 0
        except BaseException:
            self._close()
            raise
        finally:
            self._reading = False
        if not self._buffer:
            self._ended = True
        return not self._ended

    def _take_now(self) -> bytes:
        """A piece that is there already, b"" when none is: most pieces of a fast peer need nobody to wait."""
        return b"" if self._ended or self._has_rest else self._reader.take()

    def _skip(self, count: int) -> None:
        """Counts from `count` on: so much of the content was had before.

        Raises:
            AtomHTTPLimitError: with it, it is more than `maxContentLength`.
        """
        self._reader.skip(count)

    async def _read_available(self, driver: Any, most: int) -> list[bytes]:
        """What has come in, in pieces, waiting for the first one only; none at the end. Hardly more than `most`."""
        pieces: list[bytes] = []
        size = 0
        piece = self._take_now() or await self._read_piece(driver)
        while piece:
            pieces.append(piece)
            size += len(piece)
            piece = self._take_now() if size < most else b""
        return pieces

    async def _read_piece(self, driver: Any) -> bytes:
        return self._take(-1) if await self._fill(driver) else b""

    async def _read_exactly(self, driver: Any, size: int) -> bytes:
        """`size` bytes, fewer only at the end; -1 for all."""
        self._check()
        self._started = True
        pieces: list[bytes] = []
        left = size
        while left and await self._fill(driver):
            piece = self._take(left)
            pieces.append(piece)
            if left > 0:
                left -= len(piece)
        if self._ended and not self._has_rest and (size < 0 or not pieces):
            self._end_told = True
        return b"".join(pieces)

    async def _read_line(self, driver: Any, max_line: int) -> bytes:
        """A line with its end; b"" at the end of the stream."""
        pieces: list[bytes] = []
        size = 0
        while await self._fill(driver):
            end = self._buffer.find(b"\n", self._offset) + 1
            piece = self._take(end - self._offset if end else -1)
            pieces.append(piece)
            size += len(piece)
            # Put together once, however small the pieces: here and there for the limit's sake.
            if size > max_line and len(_without_end(b"".join(pieces))) > max_line:
                self._close()
                raise AtomHTTPLimitError(
                    f"a line is longer than max_line, {max_line} bytes",
                    "ERR_MAX_CONTENT_LENGTH",
                    limit=max_line,
                    size=size,
                )
            if end:
                break
        return b"".join(pieces)

    def _close(self) -> None:
        self._ended = self._end_told = True
        self._buffer, self._offset = b"", 0
        self._reader.close()

    def __del__(self) -> None:
        reader = getattr(self, "_reader", None)
        if reader is not None and reader.is_open:
            reader.close_soon()
            warnings.warn(
                f"a response's stream was neither read to its end nor closed; opened at {self._opened_at}",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    def __reduce__(self) -> NoReturn:
        raise TypeError("an open stream cannot be copied or pickled: read it first")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'ended' if self._ended else 'open'}>"


class ResponseStream(_Stream):
    """An async iterator over the content, as it arrives. Close it, or read it to its end.

    Raises:
        AtomHTTPClosedError: ERR_STREAM_CONSUMED, on a second pass.
        AtomHTTPError: whatever interrupts the transfer.
    """

    def __init__(self, reader: ContentReader, driver: Any, client: object = None) -> None:
        super().__init__(reader)
        self._driver = driver
        # A client that was dropped would close the connection under its stream.
        self._client = client

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._begin()
        # Not `self`: who has an iterator may ask it for its iterator.
        return _AsyncPieces(lambda: self._read_piece(self._driver), self._take_now)

    async def __anext__(self) -> bytes:
        piece = self._take_now() or await self._read_piece(self._driver)
        if not piece:
            raise StopAsyncIteration
        return piece

    async def read(self, n: int | None = -1) -> bytes:
        """`n` bytes, fewer only at the end; all that is left by default (-1, None)."""
        return await self._read_exactly(self._driver, _check_count(n))

    def iter_bytes(self, size: int | None = None) -> AsyncIterator[bytes]:
        """Pieces of exactly `size` bytes (the last may be shorter), or as they arrive."""
        _check_size("size", size, or_none=True)
        self._begin()
        return _AsyncPieces(lambda: self._read_piece(self._driver) if size is None else self._sized(size))

    async def _sized(self, size: int) -> bytes:
        return b"" if self._ended and not self._has_rest else await self._read_exactly(self._driver, size)

    def iter_lines(self, max_line: int = MAX_LINE) -> AsyncIterator[str]:
        """Lines as text (UTF-8), without their ends. A line longer than `max_line` bytes is an AtomHTTPLimitError."""
        _check_size("max_line", max_line)
        self._begin()
        return _AsyncLines(lambda: self._read_line(self._driver, max_line))

    async def aclose(self) -> None:
        """Gives up what has not been read; the connection is closed with it."""
        # Where it was made: the connection belongs to that event loop.
        self._driver.run_soon(self._close)

    async def __aenter__(self) -> ResponseStream:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


class _AsyncPieces(AsyncIterator[bytes]):
    def __init__(self, read: Callable[[], Coroutine[Any, Any, bytes]], take: Callable[[], bytes] = lambda: b"") -> None:
        self._read = read
        self._take = take

    async def __anext__(self) -> bytes:
        piece = self._take() or await self._read()
        if not piece:
            raise StopAsyncIteration
        return piece


class _AsyncLines(AsyncIterator[str]):
    def __init__(self, read: Callable[[], Coroutine[Any, Any, bytes]]) -> None:
        self._read = read

    async def __anext__(self) -> str:
        line = await self._read()
        if not line:
            raise StopAsyncIteration
        return _text(line)


class SyncResponseStream(_Stream):
    """An iterator over the content, as it arrives: `ResponseStream` without await."""

    def __init__(
        self, reader: ContentReader, run: Callable[[Callable[[Any], Coroutine[Any, Any, bytes]]], bytes]
    ) -> None:
        super().__init__(reader)
        self._run = run

    def __iter__(self) -> Iterator[bytes]:
        self._begin()
        # Not `self`: who has an iterator may ask it for its iterator, and `b"".join(stream)` does.
        return iter(lambda: self._run(self._read_piece), b"")

    def __next__(self) -> bytes:
        piece = self._run(self._read_piece)
        if not piece:
            raise StopIteration
        return piece

    def read(self, n: int | None = -1) -> bytes:
        """`n` bytes, fewer only at the end; all that is left by default (-1, None)."""
        count = _check_count(n)
        return self._run(lambda driver: self._read_exactly(driver, count))

    def iter_bytes(self, size: int | None = None) -> Iterator[bytes]:
        """Pieces of exactly `size` bytes (the last may be shorter), or as they arrive."""
        _check_size("size", size, or_none=True)
        self._begin()
        return self._pieces(size)

    def _pieces(self, size: int | None) -> Iterator[bytes]:
        read: Callable[[Any], Coroutine[Any, Any, bytes]] = (
            self._read_piece if size is None else lambda driver: self._read_exactly(driver, size)
        )
        while not self._ended or self._has_rest:
            piece = self._run(read)
            if piece:
                yield piece

    def iter_lines(self, max_line: int = MAX_LINE) -> Iterator[str]:
        """Lines as text (UTF-8), without their ends. A line longer than `max_line` bytes is an AtomHTTPLimitError."""
        _check_size("max_line", max_line)
        self._begin()
        return self._lines(max_line)

    def _lines(self, max_line: int) -> Iterator[str]:
        while line := self._run(lambda driver: self._read_line(driver, max_line)):
            yield _text(line)

    def close(self) -> None:
        """Gives up what has not been read; the connection is closed with it."""
        self._close()

    def __enter__(self) -> SyncResponseStream:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._close()


def _check_count(count: Any) -> int:
    """What a sized read is asked for, -1 for all of it: as files have it, None and anything below 0 are that too."""
    if count is None:
        return -1
    if isinstance(count, bool) or not isinstance(count, int):
        raise bad_value("n", count, "a number of bytes, or -1 for all that is left")
    return max(-1, count)


def _check_size(name: str, size: Any, or_none: bool = False) -> None:
    # 0 would ask for nothing, again and again.
    if (size is None and or_none) or (isinstance(size, int) and not isinstance(size, bool) and size >= 1):
        return
    raise bad_value(name, size, "a number of bytes, 1 or more" + (", or None" if or_none else ""))


def _text(line: bytes) -> str:
    return _without_end(line).decode(errors="replace")


def _without_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _caller() -> str:
    """Where the nearest frame outside this package stands, for the warning about a forgotten stream."""
    frame: Any = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "atomhttp":
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "an unknown place"
