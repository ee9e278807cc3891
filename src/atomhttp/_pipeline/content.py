"""Content on its way to the caller: content codings taken off, `maxContentLength` held."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Callable
from typing import TYPE_CHECKING, Any, Final

from atomhttp._adapters.base import AdapterResponse
from atomhttp._body.compression import Decoder, UnknownCodingError, build_decoder, decode_content, parse_codings
from atomhttp._model.abort import AbortSignal
from atomhttp._model.request import Request
from atomhttp.errors import AtomHTTPError, AtomHTTPLimitError, AtomHTTPNetworkError, AtomHTTPTimeoutError

if TYPE_CHECKING:
    from atomhttp._body.meter import Meter, Throttle

# Answers that have no content, whatever their fields say (RFC 9110 sections 9.3.2, 15.3.5, 15.4.5).
_NO_CONTENT: Final = frozenset((204, 304))


class Codings:
    """The content codings of one response: those to take off, and those nobody knows."""

    __slots__ = ("decoded", "has_content", "unknown")

    def __init__(self, raw: AdapterResponse, method: str, decompress: bool) -> None:
        field = raw.content_encoding
        self.decoded: list[str] = []
        self.unknown: tuple[str, ...] = ()
        self.has_content = method != "HEAD" and raw.status not in _NO_CONTENT
        if field and decompress and self.has_content:
            self.decoded = parse_codings(field)

    def build_decoder(self) -> Decoder | None:
        """A decoder, or None when there is nothing to take off (or nobody knows how: `unknown` tells)."""
        try:
            return build_decoder(self.decoded)
        except UnknownCodingError:
            self.unknown, self.decoded = tuple(self.decoded), []
            return None

    def decode(self, content: bytes) -> bytes:
        """A whole body, decoded."""
        try:
            return decode_content(content, self.decoded)
        except UnknownCodingError:
            self.unknown, self.decoded = tuple(self.decoded), []
            return content


# Bytes that are decoded in one go: 5 to 10 ms of work.
UNBROKEN: Final = 4 * 1024 * 1024


class ContentReader:
    """Reads a response's content piece by piece, decoded, and never more of it than `limit`.

    `limit` is -1 for none. Pieces are at most 64 KiB of decoded content, so that a compression bomb costs no more than
    the limit and one piece. `meter` and `throttle` see the content as it was received, before decoding; `passed(due,
    now)` makes the error for a deadline that comes while they make us wait.
    """

    __slots__ = (
        "_announced",
        "_body",
        "_decoder",
        "_iterator",
        "_limit",
        "_meter",
        "_passed",
        "_pieces",
        "_rest",
        "_size",
        "_throttle",
        "_unbroken",
        "due",
        "finished",
        "request",
        "signal",
    )

    def __init__(
        self,
        raw: AdapterResponse,
        codings: Codings,
        limit: int,
        meter: Meter | None = None,
        throttle: Throttle | None = None,
        passed: Callable[[float, float], AtomHTTPTimeoutError] | None = None,
    ) -> None:
        self._decoder = codings.build_decoder()
        self._body: Any = raw.body
        self._meter = meter
        self._throttle = throttle
        self._passed = passed
        # What the content is of, for errors.
        self.request: Request | None = None
        # What gives the call up, once a consumer reads by itself.
        self.signal: AbortSignal | None = None
        # What was received and may not be handed on yet, for maxRate.
        self._rest = b""
        self._iterator: Any = None
        self._size = 0
        self._pieces: Any = iter(())
        # Content decoded since anybody else had a turn, and until when it has to be there.
        self._unbroken = 0
        self.due: float | None = None
        self.finished = False
        # What the response itself says of its size, where that is the size of what is counted.
        self._announced = raw.content_length if codings.has_content and not codings.decoded else None
        self.hold_to(limit)

    def exceeds(self, limit: int) -> bool:
        """Whether the response itself says that its content is larger than `limit` (-1: there is none)."""
        return 0 <= limit < (self._announced or 0)

    def hold_to(self, limit: int) -> None:
        """Reads no more than `limit` from now on.

        Raises:
            AtomHTTPLimitError: the response itself says that there is more.
        """
        self._limit = limit
        if self.exceeds(limit):
            self.close()
            raise too_large(limit, self._announced or 0)

    def skip(self, count: int) -> None:
        """The caller has the first `count` bytes already, and this is the rest: they count, for progress and limit.

        Raises:
            AtomHTTPLimitError: with them it is too much.
        """
        self._size = count
        if self._meter is not None:
            self._meter.skip(count)
        if 0 <= self._limit < count + (self._announced or 0):
            self.close()
            raise too_large(self._limit, count + (self._announced or 0))

    async def read(self, driver: Any) -> bytes:
        """The next piece; b"" at the end.

        Raises:
            AtomHTTPLimitError, AtomHTTPDecodeError, AtomHTTPNetworkError, AtomHTTPTimeoutError.
        """
        try:
            reading = self._next(driver)
            piece = await (reading if self.signal is None else driver.abortable(reading, self.signal))
            self._size += len(piece)
            if 0 <= self._limit < self._size:
                raise too_large(self._limit, self._size)
        except BaseException as error:
            self.close()
            if isinstance(error, AtomHTTPError) and self.request is not None:
                error.request = error.request or self.request
                error.config = error.config or self.request.config
            raise
        return piece

    def take(self) -> bytes:
        """A piece that needs no waiting, no decoding and no counting; b"" when there is none."""
        if (
            self._decoder is not None
            or self._limit >= 0
            or self.finished
            or self._meter
            or self._throttle
            or self.signal
        ):
            return b""
        take = getattr(self._body, "take", None)
        return take() if take is not None else b""

    async def _next(self, driver: Any) -> bytes:
        while True:
            for piece in self._pieces:
                if piece:
                    self._unbroken += len(piece)
                    if self._unbroken >= UNBROKEN:
                        await self._breathe(driver)
                    return bytes(piece)
            if self.finished:
                return b""
            received = self._rest or await self._receive(driver)
            if self._throttle is not None:
                # No more at once than it lets pass in half a second: what arrives in one piece must not come late.
                received, self._rest = received[: self._throttle.piece], received[self._throttle.piece :]
            if self._meter is not None or self._throttle is not None:
                await self._measure(len(received), driver)
            decoder = self._decoder
            if not received:
                self.finished = True
                if decoder is not None:
                    decoder.finish()
                return b""
            if decoder is None:
                return received
            self._pieces = decoder.feed(received)

    async def _breathe(self, driver: Any) -> None:
        """A kilobyte may take minutes to decode, in which nothing is waited for."""
        self._unbroken = 0
        await driver.breathe()
        now = driver.now()
        if self.due is not None and now >= self.due and self._passed is not None:
            raise self._passed(self.due, now)

    async def _measure(self, count: int, driver: Any) -> None:
        """Content has been received; none at the end. A synchronous stream may be read in another unit each time."""
        meter, throttle = self._meter, self._throttle
        try:
            if throttle is not None and count:
                throttle.driver = driver
                await throttle.spend(count)
            if meter is not None:
                meter.driver = driver
                await (meter.add(count) if count else meter.finish())
        except TimeoutError as error:
            due, now = (meter or throttle).due, driver.now()  # type: ignore[union-attr]  # one of them has raised it
            if type(error) is not TimeoutError or self._passed is None or due is None or now < due:
                # The caller's own.
                raise
            raise self._passed(due, now) from error

    async def _receive(self, driver: Any) -> bytes:
        """The next piece as the adapter gives it: its own kind of body, bytes, or any iterable."""
        body = self._body
        if hasattr(body, "read"):
            return await body.read(driver)  # type: ignore[no-any-return]  # duck-typed: the network's body
        if isinstance(body, bytes):
            self._body = b""
            return body
        if self._iterator is None:
            self._iterator = aiter(body) if isinstance(self._body, AsyncIterable) else iter(body)
        while True:
            try:
                if isinstance(body, AsyncIterable):
                    piece = await driver.foreign(anext(self._iterator), None)
                else:
                    piece = next(self._iterator)
            except (StopIteration, StopAsyncIteration):
                return b""
            if piece:
                return bytes(piece)

    async def drain(self, driver: Any, most: int) -> int:
        """Reads what nobody wants, undecoded, so that the connection can be kept; closes it when there is more than
        `most`. Returns how much was read."""
        size = 0
        try:
            while not self.finished and size <= most:
                received = await self._receive(driver)
                size += len(received)
                self.finished = not received
        except AtomHTTPNetworkError:
            # Nothing is lost: the content was not wanted, and the connection is closed already.
            self.finished = True
        finally:
            if not self.finished:
                self.close()
        return size

    def bind(self, deadline: float | None) -> None:
        """It is read for a call that waits for all of it: the call's deadline holds."""
        self.due = deadline
        bound = getattr(self._body, "bound", None)
        if bound is not None:
            bound(deadline)
        for each in (self._meter, self._throttle):
            if each is not None:
                each.due = deadline

    def hand_over(self) -> None:
        """The caller of a synchronous client has it now, and closes it."""
        hand_over = getattr(self._body, "hand_over", None)
        if hand_over is not None:
            hand_over()

    def close(self) -> None:
        """Gives up the rest; without awaiting."""
        self.finished = True
        self._pieces = iter(())
        if self._meter is not None:
            self._meter.close()
        close = getattr(self._body, "close", None)
        if close is not None:
            close()

    @property
    def is_open(self) -> bool:
        """Whether it still holds something that should be closed."""
        return not (self.finished or getattr(self._body, "broken", False) or getattr(self._body, "exhausted", False))

    def close_soon(self) -> None:
        """`close`, from any thread."""
        self.finished = True
        close = getattr(self._body, "close_soon", None)
        if close is not None:
            close()


def too_large(limit: int, size: int) -> AtomHTTPLimitError:
    """The error for content beyond `maxContentLength`."""
    return AtomHTTPLimitError(
        f"the response content is larger than maxContentLength, {limit} bytes",
        "ERR_MAX_CONTENT_LENGTH",
        limit=limit,
        size=size,
    )


async def read_all(reader: ContentReader, driver: Any, most: int = -1) -> tuple[bytes, bool]:
    """The content, and whether it was cut off at `most` bytes (-1: never)."""
    pieces: deque[bytes] = deque()
    size = 0
    while piece := await reader.read(driver):
        pieces.append(piece)
        size += len(piece)
        if 0 <= most < size:
            reader.close()
            return b"".join(pieces)[:most], True
    return b"".join(pieces), False
