"""What the caller gives as a body, as content with a type and, where it is known, a length."""

from __future__ import annotations

import io
import mimetypes
import os
import stat
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from atomhttp._body.json_codec import dumps
from atomhttp._model.params import serialize_params
from atomhttp.errors import AtomHTTPLimitError, AtomHTTPOptionError

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
URLENCODED: Final = "application/x-www-form-urlencoded"
OCTETS: Final = "application/octet-stream"

# What is read from a file at once.
BLOCK: Final = 512 * 1024


def encode_data(
    data: Any, content_type: str | None, json_encoder: Callable[[Any], Any] | None
) -> tuple[Any, str | None]:
    """`data` as (bytes or a Body, the Content-Type it should have if none is set).

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, when it is nothing that can be sent.
    """
    kind = type(data)
    if kind is dict or kind is list:
        return _encode_structure(data, content_type, json_encoder)
    if isinstance(data, str):
        return encode_text(data), TEXT
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data), OCTETS
    if isinstance(data, Path):
        return FileBody.from_path(data), guess_type(data.name)
    if hasattr(data, "read"):
        return FileBody.from_file(data), guess_type(getattr(data, "name", None))
    if isinstance(data, AsyncIterable):
        return IteratorBody(data), OCTETS
    if (
        isinstance(data, (Iterator, Iterable))
        and not isinstance(data, (Mapping, list, tuple, set, frozenset))
        and not _is_model(data)
    ):
        return IteratorBody(data), OCTETS
    return _encode_structure(data, content_type, json_encoder)


def _encode_structure(
    data: Any, content_type: str | None, json_encoder: Callable[[Any], Any] | None
) -> tuple[bytes, str]:
    if (
        content_type is not None
        and content_type.lower().startswith(URLENCODED)
        and isinstance(data, (Mapping, list, tuple))
    ):
        return encode_form(data), URLENCODED
    return encode_json(data, json_encoder), JSON


def _is_model(data: Any) -> bool:
    """Whether it is a structure (pydantic models can be iterated, and are not streams)."""
    return (
        hasattr(type(data), "__struct_fields__")
        or hasattr(type(data), "__dataclass_fields__")
        or hasattr(data, "model_dump")
    )


def encode_json(data: Any, json_encoder: Callable[[Any], Any] | None = None) -> bytes:
    """`data` as JSON text.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, naming the path of what JSON cannot hold.
    """
    if json_encoder is None:
        return dumps(data)
    encoded = json_encoder(data)
    if isinstance(encoded, str):
        return encode_text(encoded)
    if not isinstance(encoded, (bytes, bytearray)):
        raise AtomHTTPOptionError(
            f"jsonEncoder: expected it to return bytes or str, got {type(encoded).__name__}", "ERR_BAD_OPTION_VALUE"
        )
    return bytes(encoded)


def encode_text(text: str) -> bytes:
    """`text` as UTF-8.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: lone surrogates.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise AtomHTTPOptionError(f"data: not Unicode text: {error.reason}", "ERR_BAD_OPTION_VALUE") from None


def encode_form(form: Any) -> bytes:
    """A mapping or pairs as `application/x-www-form-urlencoded`, nested values as axios writes them."""
    if isinstance(form, str):
        return encode_text(form)
    if isinstance(form, Mapping) and all(type(value) is str for value in form.values()):
        return urlencode(list(form.items())).encode("ascii")
    return serialize_params(form).encode("ascii")


def guess_type(name: object) -> str:
    """The media type that a file's name suggests."""
    if isinstance(name, (str, os.PathLike)):
        guessed, coding = mimetypes.guess_type(os.fspath(name))
        if guessed is not None and coding is None:
            return guessed
    return OCTETS


class StreamedBody:
    """Content that is read while it is sent. Iterate over it, or `open` it; one reader at a time.

    Attributes:
        length: in bytes, None when unknown.
        replayable: whether it can be opened a second time.
    """

    def __init__(self, length: int | None, replayable: bool) -> None:
        self.length = length
        self.replayable = replayable
        self._opened = False
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
        if self._opened and not self.replayable:
            raise AtomHTTPOptionError("data: it has been used up and cannot be sent again", "ERR_BAD_OPTION_VALUE")
        self._opened = True
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

    def close(self) -> None:
        """Lets go of what was opened for reading."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.read()
        if not piece:
            self.close()
            raise StopAsyncIteration
        return piece


class IteratorBody(StreamedBody):
    """Pieces of bytes from an iterator or async iterator; one-shot when it is its own iterator."""

    def __init__(self, pieces: Iterable[bytes] | AsyncIterable[bytes], length: int | None = None) -> None:
        super().__init__(length, replayable=not isinstance(pieces, (Iterator, AsyncIterator)))
        self._pieces = pieces

    def _start(self, driver: Any, due: float | None) -> BodyReader:
        if isinstance(self._pieces, AsyncIterable):
            return _AsyncPieces(aiter(self._pieces), driver, due)
        return _Pieces(iter(self._pieces))


class _Pieces(BodyReader):
    """Runs in the caller's own task and context."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    async def read(self) -> bytes:
        for piece in self._pieces:
            if piece := check_piece(piece):
                return piece
        return b""


class _AsyncPieces(BodyReader):
    def __init__(self, pieces: AsyncIterator[bytes], driver: Any, due: float | None) -> None:
        self._pieces = pieces
        self._driver = driver
        self._due = due

    async def read(self) -> bytes:
        while True:
            try:
                piece = check_piece(await self._driver.foreign(anext(self._pieces), self._due))
            except StopAsyncIteration:
                return b""
            if piece:
                return piece


def check_piece(piece: Any) -> bytes:
    """A piece of a streamed body, as bytes."""
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, (bytearray, memoryview)):
        return bytes(piece)
    raise AtomHTTPOptionError(f"data: an iterator must give bytes, not {type(piece).__name__}", "ERR_BAD_OPTION_VALUE")


class FileBody(StreamedBody):
    """The rest of a binary file, from its position."""

    def __init__(self, open_file: Callable[[], Any], start: int | None, length: int | None, close: bool) -> None:
        super().__init__(length, replayable=start is not None)
        self._open_file = open_file
        self._from = start
        self._close = close

    @classmethod
    def from_path(cls, path: Path) -> FileBody:
        """A file that we open when it is sent, and close."""
        try:
            found = path.stat()
        except OSError as error:
            raise AtomHTTPOptionError(f"data: {str(path)!r}: {error.strerror}", "ERR_BAD_OPTION_VALUE") from error
        if stat.S_ISDIR(found.st_mode):
            raise AtomHTTPOptionError(f"data: {str(path)!r} is a directory", "ERR_BAD_OPTION_VALUE")
        regular = stat.S_ISREG(found.st_mode)
        return cls(lambda: path.open("rb"), 0 if regular else None, found.st_size if regular else None, close=True)

    @classmethod
    def from_file(cls, file: Any) -> FileBody:
        """The caller's file: sent from where it stands, left open."""
        if isinstance(file, io.TextIOBase):
            raise AtomHTTPOptionError("data: a file opened in text mode; open it with 'rb'", "ERR_BAD_OPTION_VALUE")
        if getattr(file, "closed", False):
            raise AtomHTTPOptionError("data: the file is closed", "ERR_BAD_OPTION_VALUE")
        try:
            start = file.tell()
            end = file.seek(0, os.SEEK_END)
            file.seek(start)
        except (AttributeError, OSError):
            return cls(lambda: file, None, None, close=False)
        return cls(lambda: file, start, max(0, end - start), close=False)

    def _start(self, driver: Any, due: float | None) -> BodyReader:
        try:
            file = self._open_file()
        except OSError as error:
            raise AtomHTTPOptionError(f"data: {error.filename!r}: {error.strerror}", "ERR_BAD_OPTION_VALUE") from error
        if self._from is not None:
            file.seek(self._from)
        return _FileBlocks(file, self.length, self._close, driver)


class _FileBlocks(BodyReader):
    """Blocks of a file, read on a thread: a cold page must not hold the event loop."""

    def __init__(self, file: Any, length: int | None, close: bool, driver: Any) -> None:
        self._file = file
        self._left = length
        self._close = close
        self._driver = driver
        self._position = (
            file.tell() if length is not None and hasattr(os, "preadv") and isinstance(file, _REAL_FILES) else None
        )

    async def read(self) -> bytes:
        size = BLOCK if self._left is None else min(BLOCK, self._left)
        if not size:
            return b""
        block = self._read_cached(size) or check_piece(await self._driver.run_blocking(self._read_cold, size))
        if self._left is not None:
            self._left -= len(block)
        if self._position is not None:
            self._position += len(block)
        return block

    def _read_cached(self, size: int) -> bytes:
        """What the page cache holds of the next block, without waiting for a disk: 12 ms per 100 MB, on the loop."""
        if self._position is None:
            return b""
        buffer = bytearray(size)
        try:
            count = os.preadv(self._file.fileno(), [buffer], self._position, os.RWF_NOWAIT)
        except OSError:
            # Expected: the page is cold, or the file system does not know the flag.
            return b""
        return bytes(memoryview(buffer)[:count])

    def _read_cold(self, size: int) -> bytes:
        if self._position is not None:
            return os.pread(self._file.fileno(), size, self._position)
        return self._file.read(size)  # type: ignore[no-any-return]

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
