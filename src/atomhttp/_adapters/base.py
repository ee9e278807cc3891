"""The seam between policies and whatever brings the bytes."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import AsyncIterable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from atomhttp._model.headers import Headers
from atomhttp.types import HeadersInput

if TYPE_CHECKING:
    from atomhttp._model.request import Request


class Content(Protocol):
    """Content that an adapter reads for whoever wants it: what an iterable cannot be, closed and bounded in time.

    It may also have `bound(deadline)` (the call's deadline holds from now on, None: none), `close_soon()` (`close`,
    from any thread), `hand_over()` (a synchronous caller reads it from now on, in any thread), and the attributes
    `exhausted` and `broken` (there is nothing left to close).
    """

    async def read(self, driver: Any, /) -> bytes:
        """The next piece; b"" at the end. `driver` is what waits: `request.driver`, or another one for a stream."""
        ...

    def close(self) -> None:
        """Gives up what has not been read, without awaiting."""


ContentInput: TypeAlias = "bytes | Iterable[bytes] | AsyncIterable[bytes] | Content"


class AdapterResponse(metaclass=ABCMeta):  # noqa: B024  # not abstract: the network's registers as one
    """What an adapter brings back: raw, content coding and all.

    Args:
        status: the final status.
        headers: the fields as received.
        body: bytes, an iterable or async iterable of bytes, or a `Content`.
        reason: the reason phrase; "" stands for the usual one.
        http_version: "1.1", "1.0" or "2".
    """

    def __init__(
        self,
        status: int,
        headers: HeadersInput | None = None,
        body: ContentInput = b"",
        reason: str = "",
        http_version: str = "1.1",
    ) -> None:
        self.status = status
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body: Any = body
        self.reason = reason
        self.http_version = http_version

    @property
    def content_type(self) -> str:
        """The Content-Type field, "" when there is none."""
        return str(self.headers.get("content-type", ""))

    @property
    def content_encoding(self) -> str:
        """The Content-Encoding field, "" when there is none."""
        return str(self.headers.get("content-encoding", ""))

    @property
    def content_length(self) -> int | None:
        """The Content-Length field, None when there is none."""
        value = self.headers.get("content-length")
        return int(value) if value is not None else None

    @property
    def sets_cookies(self) -> bool:
        """Whether there is a Set-Cookie field."""
        return "set-cookie" in self.headers

    @property
    def trailers(self) -> Headers:
        """Fields that came after the content; complete once that has been read."""
        return Headers()

    @property
    def times(self) -> dict[str, float]:
        """How long the phases took, in seconds, by HAR's names."""
        return {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status}>"


class LocalResponse(AdapterResponse):
    """A response that was made in this process, by a mock or an application.

    Attributes:
        waited: seconds from the request to the head of the response.
    """

    waited = 0.0

    @property
    def times(self) -> dict[str, float]:
        return {"wait": self.waited, "total": self.waited}


@runtime_checkable
class Adapter(Protocol):
    """Sends requests. The same object serves asynchronous and synchronous clients if it awaits nothing of asyncio's:
    `request.driver.sleep(seconds)` waits in both."""

    # What `async def` makes, told so that a function that hands on another one's coroutine is right too.
    def send(self, request: Request, /) -> Coroutine[Any, Any, AdapterResponse]:
        """Sends `request`, whole, and brings back the response.

        Limits, redirects, retries, cookies and decoding are not its business: what it brings back is raw. It keeps to
        `request.deadline` (seconds, on the clock `request.driver.now()`; None: there is none).

        Raises:
            AtomHTTPError: the request could not be sent, or no response came. Anything else passes through untouched.
        """
        ...

    async def close(self) -> None:
        """Lets go of everything; twice is fine. Called by whoever made the adapter, not by the clients it serves."""
