"""Bodies that are read while they are sent: iterators, files, and whatever else is a `StreamedBody`."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from atomhttp.errors import AtomHTTPLimitError, AtomHTTPOptionError
from atomhttp.form_data import check_file, find_position

OCTETS: Final = "application/octet-stream"

# What is read from a file at once.
BLOCK: Final = 512 * 1024

# For isinstance. What passes stays Any (Final would undo that): of a bare `memoryview` pyright knows no items.
BYTES_LIKE: tuple[type[Any], ...] = (bytes, bytearray, memoryview)


def guess_type(name: object) -> str:
    """The media type that a file's name suggests."""
    if isinstance(name, (str, os.PathLike)):
        import mimetypes  # with `urllib.parse`, 4 ms of every start

        # Without "./" a file called "data:text/html,x" would be taken for a URL, and name its type itself.
        guessed, coding = mimetypes.guess_type(f"./{os.fspath(name)}")
        if guessed is not None and coding is None:
            return guessed
    return OCTETS


class StreamedBody:
    """Content that is read while it is sent. Iterate over it, or `open` it; one reader at a time.

    Attributes:
        length: in bytes, None when unknown.
        replayable: whether it can be opened a second time.
        opened: whether it has been opened.
        ready: all of it, when all of it is in memory: it may be sent from there instead of being read.
    """

    ready: list[bytes] | None = None

    def __init__(self, length: int | None, replayable: bool, what: str = "data") -> None:
        self.length = length
        self.replayable = replayable
        self.opened = False
        # What messages call it.
        self._what = what
        self._driver: Any = None
        self._due: float | None = None

    def bind(self, driver: Any, due: float | None) -> None:
        """Says who waits for what is read, and until when."""
        self._driver = driver
        self._due = due

    def open(self) -> BodyReader:
        """A reader from the start.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: it has been used up, or cannot be opened.
        """
        if self.opened and not self.replayable:
            raise bad_content(f"{self._what}: it has been used up and cannot be sent again")
        self.opened = True
        return self._start(self._driver, self._due)

    def _start(self, driver: Any, due: float | None) -> BodyReader:
        raise NotImplementedError

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.open()


class BodyReader:
    """Reads a body once. A class and no async generator: it can be closed without awaiting."""

    async def read(self) -> bytes:
        """The next piece; b"" at the end. A piece is never empty."""
        raise NotImplementedError

    async def lend(self) -> bytes | memoryview:
        """`read`, for who is done with a piece when asking for the next one: until then it is good, and not copied."""
        return await self.read()

    async def settle(self) -> None:
        """Told, where nobody will ask for another piece, that the last one has been taken."""

    def close(self) -> None:
        """Lets go of what was opened for reading."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self.read()
        except BaseException:
            # Who iterates has nothing to close.
            self.close()
            raise
        if not piece:
            self.close()
            raise StopAsyncIteration
        return piece


class IteratorBody(StreamedBody):
    """Pieces of bytes from an iterator or async iterator; one-shot when it is its own iterator."""

    def __init__(
        self, pieces: Iterable[bytes] | AsyncIterable[bytes], length: int | None = None, what: str = "data"
    ) -> None:
        super().__init__(length, replayable=not isinstance(pieces, (Iterator, AsyncIterator)), what=what)
        if getattr(pieces, "gi_frame", pieces) is None or getattr(pieces, "ag_frame", pieces) is None:
            # Nothing would come of it, and an empty body is a body too.
            raise bad_content(f"{what}: it is a generator that has been used up; make a new one")
        self._pieces = pieces

    def _start(self, driver: Any, due: float | None) -> BodyReader:
        if isinstance(self._pieces, AsyncIterable):
            return _AsyncPieces(aiter(self._pieces), self._what, driver, due)
        return _Pieces(iter(self._pieces), self._what)


class _Pieces(BodyReader):
    """Runs in the caller's own task and context."""

    def __init__(self, pieces: Iterator[bytes], what: str) -> None:
        self._pieces = pieces
        self._what = what

    async def read(self) -> bytes:
        for piece in self._pieces:
            if piece := check_piece(piece, self._what):
                return piece
        return b""


class _AsyncPieces(BodyReader):
    def __init__(self, pieces: AsyncIterator[bytes], what: str, driver: Any, due: float | None) -> None:
        self._pieces = pieces
        self._what = what
        self._driver = driver
        self._due = due

    async def read(self) -> bytes:
        while True:
            try:
                piece = check_piece(await self._driver.foreign(anext(self._pieces), self._due), self._what)
            except StopAsyncIteration:
                return b""
            if piece:
                return piece


def check_piece(piece: Any, what: str = "data") -> bytes:
    """A piece of a streamed body, as bytes."""
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, BYTES_LIKE):
        return bytes(piece)
    raise bad_content(f"{what}: an iterator must give bytes, not {type(piece).__name__}")


def bad_content(message: str) -> AtomHTTPOptionError:
    """The error for content that cannot be sent."""
    return AtomHTTPOptionError(message, "ERR_BAD_OPTION_VALUE")


class FileBody(StreamedBody):
    """The rest of a binary file, from a position. See `from_path`, `from_file`, `from_position`.

    Args:
        open_file: gives the file.
        start: where to read from; None: from where it stands, and once.
        length: how many bytes to read; None: up to the end.
        close: whether to close the file afterwards.
        exact: whether a file that has become longer since is an error, and not sent as long as it was.
    """

    def __init__(
        self,
        open_file: Callable[[], Any],
        start: int | None,
        length: int | None,
        close: bool,
        *,
        what: str = "data",
        exact: bool = False,
    ) -> None:
        super().__init__(length, replayable=start is not None, what=what)
        self._open_file = open_file
        self._from = start
        self._close = close
        self._exact = exact

    @classmethod
    def from_path(cls, path: Path, what: str = "data", exact: bool = False) -> FileBody:
        """A file that we open when it is sent, and close."""
        try:
            found = path.stat()
        except OSError as error:
            raise bad_content(f"{what}: {str(path)!r}: {error.strerror}") from error
        except ValueError as error:
            # NUL, or half of a character.
            raise bad_content(f"{what}: {str(path)!r} is no path: {error}") from error
        if stat.S_ISDIR(found.st_mode):
            raise bad_content(f"{what}: {str(path)!r} is a directory")
        if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
            raise bad_content(f"{what}: {str(path)!r}: no permission to read it")
        if stat.S_ISREG(found.st_mode):
            return cls(lambda: path.open("rb"), 0, found.st_size, close=True, what=what, exact=exact)
        return cls(lambda: _LateFile(path, what), None, None, close=True, what=what, exact=exact)

    @classmethod
    def from_file(cls, file: Any) -> FileBody:
        """The caller's file: sent from where it stands, left open."""
        try:
            check_file(file)
        except ValueError as error:
            raise bad_content(f"data: it {error}") from None
        return cls.from_position(file, find_position(file))

    @classmethod
    def from_position(cls, file: Any, start: int | None, what: str = "data", exact: bool = False) -> FileBody:
        """The caller's file from `start` to its end, left open; None: from where it stands, as far as it goes."""
        length = None if start is None else _measure(file, start)
        return cls(lambda: file, start, length, close=False, what=what, exact=exact)

    def _start(self, driver: Any, due: float | None) -> BodyReader:
        try:
            file = self._open_file()
        except OSError as error:
            raise bad_content(f"{self._what}: {error.filename!r}: {error.strerror}") from error
        if getattr(file, "closed", False):
            raise bad_content(f"{self._what}: the file has been closed")
        return _FileBlocks(self, file, driver)


class _LateFile:
    """A FIFO, or a device. To open it may mean to wait for whoever writes to it: its reader does that, on a thread."""

    def __init__(self, path: Path, what: str) -> None:
        self.closed = False
        self._path = path
        self._what = what
        self._file: io.FileIO | None = None

    def read(self, size: int) -> bytes:
        """What is there, at most `size` bytes; b"" at the end."""
        if self._file is None:
            try:
                # Without a buffer: that would wait until it is full.
                self._file = io.FileIO(self._path)
            except OSError as error:
                raise bad_content(f"{self._what}: {str(self._path)!r}: {error.strerror}") from error
        if self.closed:
            # Meanwhile, by somebody who has stopped waiting.
            self._file.close()
        return self._file.read(size) or b""

    def close(self) -> None:
        """Nobody reads it any more."""
        self.closed = True
        if self._file is not None:
            self._file.close()


def _measure(file: Any, start: int) -> int | None:
    """How many bytes there are from `start` on; None when the file does not know its end."""
    try:
        here = file.tell()
        file.seek(0, os.SEEK_END)
        end: int = file.tell()
        file.seek(here)
    except OSError:
        return None
    return max(0, end - start)


class _FileBlocks(BodyReader):
    """Blocks of a file, read on a thread: a cold page must not hold the event loop.

    Each block is read at its own position, so that a file can be in several requests at a time. What is lent lies in
    one buffer, used again for each block: 100 MB cost 19 ms of CPU so, and 36 with fresh memory and a copy for each.
    """

    def __init__(self, body: FileBody, file: Any, driver: Any) -> None:
        self._file = file
        self._what = body._what
        self._position = body._from
        self._left = body.length
        self._close = body._close
        self._exact = body._exact
        self._driver = driver
        self._buffer: memoryview | None = None
        self._has_descriptor = self._left is not None and hasattr(os, "pread") and isinstance(file, _REAL_FILES)

    async def read(self) -> bytes:
        return bytes(await self.lend())

    async def lend(self) -> bytes | memoryview:
        size = BLOCK if self._left is None else min(BLOCK, self._left)
        try:
            if not size:
                if self._exact and await self._has_more():
                    raise bad_content(f"{self._what}: the file has become longer since its length was announced")
                return b""
            block = await self._read_block(size)
        except ValueError:
            if getattr(self._file, "closed", False):
                raise bad_content(f"{self._what}: the file was closed while it was being sent") from None
            raise
        if not block and self._left and self._exact:
            raise bad_content(f"{self._what}: the file has {self._left} bytes less than were announced")
        if self._left is not None:
            self._left -= len(block)
        if self._position is not None:
            self._position += len(block)
        return block

    async def _has_more(self) -> bool:
        if self._has_descriptor:
            return os.fstat(self._file.fileno()).st_size > self._position  # type: ignore[operator]  # it has a length
        return bool(await self._read_block(1))

    async def _read_block(self, size: int) -> bytes | memoryview:
        if type(self._file) is io.BytesIO and self._position is not None:
            return self._file.getbuffer()[self._position : self._position + size].tobytes()
        return self._read_cached(size) or check_piece(
            await self._driver.run_blocking(self._read_cold, size), self._what
        )

    def _read_cached(self, size: int) -> bytes | memoryview:
        """What the page cache holds of the next block, without waiting for a disk: 12 ms per 100 MB, on the loop."""
        if not self._has_descriptor or _NOWAIT is None:
            return b""
        if self._buffer is None:
            # No later block is larger than the first.
            self._buffer = memoryview(bytearray(size))
        block = self._buffer[:size]
        try:
            count = os.preadv(self._file.fileno(), [block], self._position, _NOWAIT)  # type: ignore[arg-type]  # it has a length
        except OSError:
            # Expected: the page is cold, or the file system does not know the flag.
            return b""
        return block[:count]

    def _read_cold(self, size: int) -> bytes:
        if self._has_descriptor:
            return os.pread(self._file.fileno(), size, self._position)  # type: ignore[arg-type]  # it has a length
        if self._position is None:
            return self._file.read(size)  # type: ignore[no-any-return]  # a duck-typed file
        self._file.seek(self._position)
        block = self._file.read(size)
        if self._file.tell() != self._position + len(block):
            raise bad_content(f"{self._what}: the file was moved by somebody else while it was being sent")
        return block  # type: ignore[no-any-return]  # a duck-typed file

    def close(self) -> None:
        if self._close:
            self._file.close()


class LimitedBody(StreamedBody):
    """A body of unknown length that may not grow beyond `maxBodyLength`."""

    def __init__(self, body: Any, limit: int) -> None:
        super().__init__(None, body.replayable)
        self._body = body
        self._limit = limit

    def _start(self, driver: Any, due: float | None) -> BodyReader:
        self._body.bind(driver, due)
        return _LimitedReader(self._body.open(), self._limit)


class _LimitedReader(BodyReader):
    def __init__(self, reader: BodyReader, limit: int) -> None:
        self._reader = reader
        self._limit = limit
        self._size = 0

    async def read(self) -> bytes:
        piece = await self._reader.read()
        self._size += len(piece)
        if self._size > self._limit:
            raise AtomHTTPLimitError(
                f"the request body is larger than maxBodyLength, {self._limit} bytes",
                "ERR_MAX_BODY_LENGTH",
                limit=self._limit,
                size=self._size,
            )
        return piece

    def close(self) -> None:
        self._reader.close()


# Files whose descriptor shows what `read` would give: nothing is between the two.
_REAL_FILES: Final = (io.BufferedReader, io.FileIO)
# Linux's alone, as is the kernel's answer to it.
_NOWAIT: Final[int | None] = getattr(os, "RWF_NOWAIT", None)
