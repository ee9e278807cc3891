"""The seam between policies and whatever brings the bytes."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from atomhttp._model.headers import Headers
from atomhttp.types import HeadersInput

if TYPE_CHECKING:
    from atomhttp._model.request import Request


class AdapterResponse:
    """What an adapter brings back: raw, content coding and all.

    Args:
        status: the final status.
        headers: the fields as received.
        body: bytes, or an iterable or async iterable of bytes.
        reason: the reason phrase.
        http_version: "1.1", "1.0" or "2".
    """

    def __init__(
        self,
        status: int,
        headers: HeadersInput | None = None,
        body: bytes | Iterable[bytes] | AsyncIterable[bytes] = b"",
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
    def trailers(self) -> Headers:
        """Fields that came after the content; complete once that has been read."""
        return Headers()

    @property
    def times(self) -> dict[str, float]:
        """How long the phases took, in seconds, by HAR's names."""
        return {}


class Adapter(Protocol):
    """Sends requests. The same object serves asynchronous and synchronous clients if it awaits nothing of asyncio's."""

    async def send(self, request: Request) -> AdapterResponse:
        """Sends `request`, whole, and brings back the response. Raises AtomHTTPError."""

    async def close(self) -> None:
        """Lets go of everything."""
