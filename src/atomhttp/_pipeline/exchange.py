"""One request, one response: the innermost step of the chain, around which the policies stand.

It hands the request to the adapter, repeats it where that is safe, meters what goes out, and reads what comes back:
whole, decoded and under its limits, or left open for a consumer who wants it piece by piece.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from atomhttp._adapters.base import Adapter, AdapterResponse
from atomhttp._model.request import Request
from atomhttp._pipeline.attempt import Attempt
from atomhttp._pipeline.content import Codings, ContentReader, read_all, too_large
from atomhttp._pipeline.redirects import leads_on
from atomhttp._pipeline.resend import check_resend
from atomhttp._pipeline.response import Response, is_accepted
from atomhttp._pipeline.response_state import received
from atomhttp._redact import redact_url
from atomhttp.errors import AtomHTTPError, AtomHTTPNetworkError, AtomHTTPTimeoutError

if TYPE_CHECKING:
    from atomhttp._body.meter import Meter, Throttle

# What the policies wrap: sends a request, brings back its response. Content that is not to be streamed has been read.
Send: TypeAlias = Callable[[Request], Awaitable[Response[Any]]]

# As much of a response that nobody will read is read to keep its connection; what is longer is cut off with it.
DRAINED: Final = 64 * 1024
# For so many seconds: a new connection takes no longer.
PATIENCE: Final = 1.0
# Gzip of which nobody notices the decoding, however much comes of it (at most 1,032 times as much).
SMALL: Final = 16 * 1024
# How much of a refused response is read for its error, unless maxContentLength says otherwise.
REFUSED: Final = 1024 * 1024


class Exchange:
    """What the sends of one call share: the adapter, and the record of its attempts.

    Attributes:
        wait: seconds that the next attempt was waited for.
        fresh: the next attempt is to have a new connection.
    """

    __slots__ = ("_adapter", "_attempts", "_driver", "fresh", "wait")

    def __init__(self, adapter: Adapter, driver: Any) -> None:
        self._adapter = adapter
        self._driver = driver
        self._attempts: list[Attempt] = []
        self.wait = 0.0
        self.fresh = False

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """What has been sent so far."""
        return tuple(self._attempts)

    def record(self, request: Request, began: float, status: int | None, code: str | None) -> None:
        """One more attempt has come to its end: by this status, or by an error of this code."""
        number, url, elapsed = len(self._attempts) + 1, redact_url(request.url), self._driver.now() - began
        self._attempts.append(Attempt(number, url, status, code, self.wait, elapsed))
        self.wait = 0.0

    def record_failure(self, request: Request, began: float, error: AtomHTTPError) -> None:
        """One more attempt has failed."""
        if error.request is None:
            error.request = request
        self.record(request, began, None, error.code)

    async def send(self, request: Request) -> Response[Any]:
        """Sends `request` once; see `Send`."""
        self._prepare_body(request)
        if self.fresh:
            # Not on the request that was given to the policies: auth makes others of it.
            request.fresh, self.fresh = True, False
        began = self._driver.now()
        if self._attempts:
            # Neither what was waited for nor what was sent before is part of this one: its timings begin here, and what
            # has expired meanwhile has.
            request.started = began
        try:
            raw = await self._adapter.send(request)
        except AtomHTTPError as error:
            if request.fresh and isinstance(error, AtomHTTPNetworkError) and error.request_sent == "no":
                # The attempt before this one may have been.
                error.request_sent = "maybe"
            self.record_failure(request, began, error)
            check_resend(request, error)
            return await self.send(request)
        return await self.receive(raw, request, began)

    async def receive(self, raw: AdapterResponse, request: Request, began: float) -> Response[Any]:
        """The response that the adapter has brought for `request`."""
        cookies = request.outline.cookies
        if cookies is not None:
            cookies.keep(raw, request.target)
        try:
            response = await self._take_in(raw, request)
        except AtomHTTPError as error:
            self.record_failure(request, began, error)
            raise
        self.record(request, began, response.status, None)
        return response

    def _prepare_body(self, request: Request) -> None:
        outline = request.outline
        body: Any = request.body
        if not request.has_body:
            return
        is_metered = outline.on_upload_progress is not None or outline.upload_rate is not None
        if is_metered:
            from atomhttp._body.meter import MeteredBody  # with `progress`, 3 ms of every start

            if not isinstance(body, MeteredBody):
                request.body = body = MeteredBody(body, outline.on_upload_progress, outline.upload_rate)
        if not isinstance(body, bytes):
            # Each time: an attempt may have a deadline of its own.
            body.bind(self._driver, request.deadline)

    async def _take_in(self, raw: AdapterResponse, request: Request) -> Response[Any]:
        response: Response[Any] = received(Response, raw, raw.status, request, b"")
        try:
            if leads_on(response, request.outline):
                await self._discard_redirect(raw, request)
            elif not self._take(raw, request, response):
                await self._read(raw, request, response)
        except BaseException:
            # What is left of it will not be read.
            getattr(raw.body, "close", _nothing)()
            raise
        return response

    def _take(self, raw: AdapterResponse, request: Request, response: Response[Any]) -> bool:
        """Content that is there, taken at once; False where it comes in pieces, or could take long to decode."""
        if type(raw.body) is not bytes or request.outline.streaming:
            return False
        codings = Codings(raw, request.outline.method, request.outline.decompress)
        if codings.decoded and (codings.decoded != ["gzip"] or len(raw.body) > SMALL):
            return False
        response.content = codings.decode(raw.body)
        response.undecoded = codings.unknown
        return True

    async def _read(self, raw: AdapterResponse, request: Request, response: Response[Any]) -> None:
        """Content that comes in pieces: read under the limit, or made ready to be handed on as a stream."""
        outline = request.outline
        codings = Codings(raw, outline.method, outline.decompress)
        limit = outline.max_content_length
        meters = self._build_meters(raw, request, codings)
        reader = ContentReader(raw, codings, -1, *meters, partial(_passed, outline.timeout.total or 0.0, request.url))
        reader.request = request
        response.undecoded = codings.unknown
        if outline.response_type == "stream":
            # A plain timeout bounds the gaps of a stream, and ends where the consumer begins.
            reader.due = None if outline.timeout.stream_gap is not None else request.deadline
            response.unread = reader
            return
        # Asked before its content is waited for: it may never end.
        response.accepted = is_accepted(outline.validate_status, raw.status)
        reader.bind(request.deadline)
        if not response.accepted:
            await self.read_refused(reader, response)
            return
        if reader.exceeds(limit):
            raise too_large(limit, raw.content_length or 0)
        response.content, truncated = await read_all(reader, self._driver, limit)
        if truncated:
            raise too_large(limit, limit + 1)

    def _build_meters(
        self, raw: AdapterResponse, request: Request, codings: Codings
    ) -> tuple[Meter | None, Throttle | None]:
        outline, meter, throttle = request.outline, None, None
        if outline.on_download_progress is None and outline.download_rate is None:
            return None, None
        from atomhttp._body.meter import Meter, Throttle  # see `_prepare_body`

        # A stream's plain timeout bounds the gaps, and ends where the consumer begins.
        is_open = outline.response_type == "stream" and outline.timeout.stream_gap is not None
        due = None if is_open else request.deadline
        if outline.on_download_progress is not None:
            total = (raw.content_length or 0) if codings.has_content else 0
            meter = Meter(outline.on_download_progress, total, self._driver, due, upload=False)
        if outline.download_rate is not None:
            throttle = Throttle(outline.download_rate, self._driver, due)
        return meter, throttle

    async def _discard_redirect(self, raw: AdapterResponse, request: Request) -> None:
        """The content of a redirect is nobody's; it is limited all the same, and never decoded."""
        limit = request.outline.max_content_length
        codings = Codings(raw, request.outline.method, decompress=False)
        reader = ContentReader(raw, codings, limit)
        size = await self._drain(reader, request.deadline)
        if 0 <= limit < size:
            raise too_large(limit, size)

    async def discard(self, response: Response[Any]) -> None:
        """Nobody will read `response`: lets go of what it holds."""
        if response.unread is not None:
            with contextlib.suppress(AtomHTTPTimeoutError):
                await self._drain(response.unread, response.request.deadline)

    async def _drain(self, reader: ContentReader, deadline: float | None) -> int:
        """Reads what little may be left of content that nobody wants, so that its connection can go on; how much."""
        due = self._driver.now() + PATIENCE
        ends_call = deadline is not None and deadline <= due
        reader.bind(deadline if ends_call else due)
        try:
            return await reader.drain(self._driver, DRAINED)
        except AtomHTTPTimeoutError:
            if ends_call:
                raise
            # Nothing is lost when it does not come: its connection is closed.
            return 0

    async def read_refused(self, reader: ContentReader, response: Response[Any]) -> None:
        """The beginning of a response whose status is refused: it says why."""
        limit = response.request.outline.max_content_length
        reader.bind(response.request.deadline)
        most = limit if limit >= 0 else REFUSED
        response.content, response.truncated = await read_all(reader, self._driver, most)


def _passed(limit: float, url: str, due: float, now: float) -> AtomHTTPTimeoutError:
    """The error for a deadline that came while a callback of the caller's, or maxRate, made the content wait."""
    return AtomHTTPTimeoutError.passed(limit, now - (due - limit), "body", url)


def _nothing() -> None:
    """For bodies that hold nothing."""
