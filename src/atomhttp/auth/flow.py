"""The shapes of what authenticates: a header field, an exchange, and what an exchange may wait for."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class AuthFlow(Protocol):
    """An exchange with the server, as a generator without I/O (httpx's shape).

    `auth_flow(request)` may change `request.headers`, yields the request to send, is given the response (its content
    read, unless it is to be streamed), and may yield another request. What it returns without yielding again, the last
    response, is the call's. It runs on the origin that the call names; a redirect to another origin goes without.

    An attribute `requires_body = True` asks for the content as bytes in `request.body`, whatever the caller gave.
    """

    def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """The exchange for one `Request`: yields requests, is sent a `Response` for each; ends when it is content."""
        ...


class HeaderAuth(Protocol):
    """Credentials that are header fields: asked for them before each request."""

    def get_header(self) -> Mapping[str, str]:
        """The fields to send, by name: asked for once a request, so that they may change with time."""
        ...


@runtime_checkable
class Step(Protocol):
    """Something to be waited for, which a flow yields where it could yield a request. Internal: it may change.

    What `run` returns is sent into the flow, what it raises is thrown into it. A response that the flow was given
    before has been let go of by then: another request must follow.
    """

    async def run(self, driver: Any, due: float | None) -> Any:
        """Waits by `driver`, until `due` on its clock at the latest (then: the built-in TimeoutError)."""
