"""What a mock answers with: data turned into a response as a server sends it, or an error as the network gives it."""

from __future__ import annotations

import copy
import inspect
import mimetypes
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from atomhttp._adapters.base import AdapterResponse, LocalResponse
from atomhttp._adapters.mock_matcher import LIST, TUPLE, bad_mock
from atomhttp._adapters.mock_request import MockRequest
from atomhttp._adapters.network_response import closed_stream_error
from atomhttp._body.json_codec import dumps
from atomhttp._body.streamed import BYTES_LIKE
from atomhttp._model.callables import required_positionals
from atomhttp._model.headers import Headers
from atomhttp._net.call import Call
from atomhttp.errors import (
    AtomHTTPError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPProtocolError,
    AtomHTTPTimeoutError,
)
from atomhttp.form_data import FormData

# Content is handed out in pieces of this size at the most, as a socket would.
PIECE: Final = 64 * 1024
# Answers that have no content (RFC 9110 sections 15.3.5, 15.4.5).
_NO_CONTENT: Final = frozenset((204, 304))
_OCTETS: Final = "application/octet-stream"

# The words for `error=`: how the network fails most often.
ERRORS: Final = ("timeout", "network", "refused", "reset")


class Reply:
    """One answer of a registered request: data with its status and fields, a function that gives them, or an error."""

    def __init__(self, value: Any, status: int, headers: Any, error: Any, delay: float) -> None:
        self.status = _check_status("status", status)
        self.error = _check_error(error)
        self.delay = _check_delay(delay)
        self._headers = headers
        Headers(headers)
        self._value = value
        # Encoded now: what cannot be is the test's mistake, and what changes later is not what was registered.
        self._content = None if error is not None or callable(value) else Encoded(value)

    @classmethod
    def of(cls, given: Any, delay: float = 0) -> Reply:
        """From what `reply=` takes: data, (status, data), (status, data, headers), an AdapterResponse, an exception
        or a function that returns one of them."""
        if _is_error(given):
            return cls(None, 200, None, given, delay)
        status, data, headers = _split(given)
        return cls(data, status, headers, None, delay)

    async def send(self, request: MockRequest, call: Call) -> AdapterResponse:
        """The response to `request`. `call` bounds what is waited for.

        Raises:
            AtomHTTPError: the reply is an error. Anything else that a function raises passes through.
        """
        if self.delay:
            await _wait(self.delay, call)
        if self.error is not None:
            raise _build_error(self.error, request, call)
        if self._content is not None:
            return self._content.respond(self.status, self._headers, request, call)
        given = await _ask(self._value, request, call)
        if _is_error(given):
            raise _build_error(given, request, call)
        status, data, headers = _split(given)
        return Encoded(data).respond(status, headers, request, call)

    def __str__(self) -> str:
        if self.error is not None:
            return f"error {self.error!r}"
        return (
            f"reply by {getattr(self._value, '__name__', self._value)}" if self._content is None else str(self.status)
        )


async def _wait(seconds: float, call: Call) -> None:
    """As a server that takes so long to answer; the call's limits hold meanwhile."""
    due = call.due()
    left = seconds if due is None else min(seconds, due - call.driver.now())
    await call.driver.sleep(left)
    if left < seconds:
        raise call.timeout_error(call.driver.now())


async def _ask(function: Any, request: MockRequest, call: Call) -> Any:
    """What the test's function gives. AtomHTTPErrors of its are the network's: they may be retried."""
    given = function(request) if required_positionals(function, 1) else function()
    if not inspect.isawaitable(given):
        return given
    try:
        return await call.driver.foreign(given, call.due())
    except TimeoutError as error:
        due, now = call.due(), call.driver.now()
        if type(error) is not TimeoutError or due is None or now < due:
            raise
        raise call.timeout_error(now) from error


def _split(given: Any) -> tuple[int, Any, Any]:
    """(status, data, headers) of what a function or a sequence of replies gave."""
    if isinstance(given, TUPLE) and given and isinstance(given[0], int) and not isinstance(given[0], bool):
        if len(given) > 3:
            raise bad_mock("reply", f"expected (status, data, headers), got {len(given)} values")
        status, data, headers = (*given, None, None)[:3]
        return _check_status("reply", status), data, headers
    if isinstance(given, int) and not isinstance(given, bool):
        raise bad_mock("reply", f"{given} may be a status or data; give ({int(given)}, None) or (200, {int(given)})")
    return 200, given, None


# Data and what it is sent as


class Encoded:
    """Data ready to be sent, any number of times: see `MockAdapter.on`."""

    def __init__(self, data: Any) -> None:
        self._response: AdapterResponse | None = None
        self._pieces: Any = None
        self._used = False
        self._path: Path | None = None
        self._content = b""
        self._type: str | None = None
        if isinstance(data, AdapterResponse):
            self._response = data
        elif isinstance(data, BYTES_LIKE):
            self._content, self._type = bytes(data), _OCTETS
        elif isinstance(data, str):
            self._content, self._type = data.encode(), "text/plain; charset=utf-8"
        elif isinstance(data, Path):
            self._path, self._type = data, mimetypes.guess_type(data.name)[0] or _OCTETS
            if not data.is_file():
                raise bad_mock("response_data", f"there is no file {str(data)!r}")
        elif isinstance(data, (Iterator, AsyncIterable)) or _are_pieces(data):
            self._pieces, self._type = data, _OCTETS
        elif isinstance(data, FormData):
            raise bad_mock("response_data", "a FormData is sent by clients; give what the server answers")
        elif data is not None:
            self._content, self._type = dumps(data, "response_data"), "application/json"

    def respond(self, status: int, headers: Any, request: MockRequest, call: Call) -> AdapterResponse:
        """A response with this data, framed as a server does it."""
        given = self._response
        if given is not None and hasattr(given.body, "read"):
            # Of another adapter, with content that reads itself.
            return given
        if given is not None:
            response = LocalResponse(given.status, given.headers.copy(), b"", given.reason, given.http_version)
            body, length = given.body, len(given.body) if isinstance(given.body, bytes) else None
        else:
            response = LocalResponse(status, headers)
            body, length = self._open()
            removed = {name.lower() for name, value in headers.items() if value is None} if _is_mapping(headers) else ()
            if self._type is not None and "content-type" not in response.headers and "content-type" not in removed:
                response.headers.set("Content-Type", self._type)
        response.waited = call.driver.now() - call.started
        if status_has_content(response.status):
            _frame(response.headers, length)
        if request.method == "HEAD" or not status_has_content(response.status):
            _let_go(body)
        elif body != b"":
            response.body = MockContent(body, response, call)
        return response

    def _open(self) -> tuple[Any, int | None]:
        """The data, and its length in bytes where that is known."""
        if self._path is not None:
            return _read_file(self._path), self._path.stat().st_size
        if self._pieces is None:
            return self._content, len(self._content)
        if self._used and isinstance(self._pieces, (Iterator, AsyncIterator)):
            raise bad_mock(
                "response_data", "the iterator has been used up by an earlier request; give a list, or reply="
            )
        self._used = True
        return self._pieces, None


def status_has_content(status: int) -> bool:
    """Whether a response of this status has content."""
    return status not in _NO_CONTENT


def _frame(headers: Headers, length: int | None) -> None:
    if "content-length" not in headers and "transfer-encoding" not in headers:
        headers.set(*(("Transfer-Encoding", "chunked") if length is None else ("Content-Length", length)))


def _are_pieces(data: Any) -> bool:
    return isinstance(data, (LIST, TUPLE)) and bool(data) and all(isinstance(each, bytes) for each in data)


def _is_mapping(headers: Any) -> bool:
    return isinstance(headers, Mapping) and not isinstance(headers, Headers)


def _read_file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _let_go(body: Any) -> None:
    """Closes an iterable that nobody is going to read."""
    close = getattr(body, "close", None)
    if close is not None:
        close()
    elif inspect.isasyncgen(body):
        ending = body.aclose()
        try:
            ending.send(None)
        except StopIteration:
            return
        except RuntimeError:
            # It is running at this moment: what waits for it is being cancelled, and ends it.
            return
        # It awaits in its `finally`, and nobody can wait for that: its loop closes it when it is freed.
        ending.close()


class MockContent:
    """The content of a mocked response: pieces as a socket would give them, under the limits of time that hold there.

    Less than Content-Length announces is the protocol error of a connection that was cut off; more is never looked at.
    """

    def __init__(self, body: Any, response: AdapterResponse, call: Call) -> None:
        self._body = (body,) if isinstance(body, bytes) else body
        self._is_async = isinstance(body, AsyncIterable)
        self._iterator: Any = None
        self._held = b""
        self._left = response.content_length
        self._call = call
        # The longest gap between two pieces.
        self._gap = call.timeout.read
        self.exhausted = self.broken = False

    def open(self) -> None:
        """It is read when the call has ended."""
        gap = self._call.timeout.stream_gap
        if gap is not None:
            # A plain number bounds what comes before the content; from here on it is the longest gap.
            self._call.deadline = None
            self._gap = gap if self._gap is None else self._gap

    async def read(self, driver: Any, /) -> bytes:
        """See `Content`."""
        call = self._call
        call.driver = driver
        if self.exhausted:
            return b""
        if self.broken:
            raise closed_stream_error()
        call.enter("body", self._gap)
        try:
            if self._left != 0 and not self._held:
                self._held = await self._next(driver)
            piece, self._held = self._held[:PIECE], self._held[PIECE:]
            piece = piece if self._left is None else piece[: self._left]
            self._account(piece)
        except BaseException:
            self.close()
            raise
        return piece

    def _account(self, piece: bytes) -> None:
        if self._left is not None:
            if not piece and self._left:
                raise AtomHTTPProtocolError(
                    f"the connection ended {self._left} bytes before the end of the response", request_sent="yes"
                )
            self._left -= len(piece)
        if not piece:
            _let_go(self._iterator)
            self.exhausted = True

    async def _next(self, driver: Any) -> bytes:
        """The next piece of the test's iterable, b"" at its end."""
        body, call = self._body, self._call
        if self._iterator is None:
            iterate: Callable[[Any], Any] = aiter if self._is_async else iter
            self._iterator = iterate(body)
        now, due = driver.now(), call.due()
        if due is not None and now >= due:
            raise call.timeout_error(now)
        while True:
            try:
                if self._is_async:
                    piece = await driver.foreign(anext(self._iterator), due)
                else:
                    piece = next(self._iterator)
            except (StopIteration, StopAsyncIteration):
                return b""
            except TimeoutError as error:
                if type(error) is not TimeoutError or due is None or driver.now() < due:
                    raise
                raise call.timeout_error(driver.now()) from error
            if not isinstance(piece, BYTES_LIKE):
                raise bad_mock("response_data", f"an iterable must give bytes, not {type(piece).__name__}")
            if piece:
                return bytes(piece)

    async def read_all(self, driver: Any) -> bytes:
        """All of it."""
        pieces: list[bytes] = []
        while piece := await self.read(driver):
            pieces.append(piece)
        return b"".join(pieces)

    def bound(self, deadline: float | None) -> None:
        """See `Content`."""
        self._call.deadline = deadline

    def close(self) -> None:
        """See `Content`."""
        if not self.exhausted:
            self.broken = True
        self._held = b""
        _let_go(self._iterator if self._iterator is not None else self._body)

    def close_soon(self) -> None:
        """See `Content`. What the test made of it goes when it is freed, in whatever thread that is."""
        self.broken = True


# Errors


def _is_error(value: Any) -> bool:
    return isinstance(value, BaseException) or (isinstance(value, type) and issubclass(value, BaseException))


def _build_error(given: Any, request: MockRequest, call: Call) -> BaseException:
    """The error to raise: made anew each time, because an error tells of its call."""
    if isinstance(given, AtomHTTPError):
        return copy.copy(given)
    if isinstance(given, BaseException):
        return given
    if given == "timeout" or (isinstance(given, type) and issubclass(given, AtomHTTPTimeoutError)):
        limit = call.timeout.total or 0.0
        return AtomHTTPTimeoutError.passed(limit, limit, "headers", request.url)
    if isinstance(given, type):
        return _instantiate(given)
    if given == "refused":
        message = f"cannot connect to {request.target.authority}: [Errno 111] Connection refused"
        return AtomHTTPNetworkError(message, "ECONNREFUSED", request_sent="no")
    if given == "reset":
        message = "[Errno 104] Connection reset by peer"
        return AtomHTTPNetworkError(message, "ECONNRESET", request_sent="yes")
    return AtomHTTPNetworkError("the network failed", "ERR_NETWORK", request_sent="yes")


def _instantiate(kind: type[BaseException]) -> BaseException:
    message = "an error that a mock was told to give"
    if issubclass(kind, AtomHTTPLimitError):
        return kind(message, limit=0, size=0)
    return kind(message, request_sent="yes") if issubclass(kind, AtomHTTPNetworkError) else kind(message)


# Checks


def _check_status(name: str, status: Any) -> int:
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 999:
        raise bad_mock(name, f"expected a final status, from 200 to 999, got {status!r}")
    return int(status)


def _check_delay(delay: Any) -> float:
    if isinstance(delay, bool) or not isinstance(delay, (int, float)) or not 0 <= delay < 1e9:
        raise bad_mock("delay", f"expected seconds, 0 or more, got {delay!r}")
    return float(delay)


def _check_error(error: Any) -> Any:
    if error is None or _is_error(error) or error in ERRORS:
        return error
    raise bad_mock("error", f"expected an exception or one of {', '.join(ERRORS)}, got {error!r}")


def read_replies(reply: Any, delay: float) -> list[Reply]:
    """The replies that `reply=` means: one, or a sequence of them."""
    if isinstance(reply, LIST):
        if not reply:
            raise bad_mock("reply", "an empty list answers nothing")
        return [Reply.of(each, delay) for each in reply]
    if not callable(reply) and not isinstance(reply, (tuple, AdapterResponse)):
        raise bad_mock("reply", f"expected a function, or a list of replies, got {type(reply).__name__}")
    return [Reply.of(reply, delay)]
