"""Authentication that takes part in the exchange: an `auth_flow`, or a function over the request.

It runs for every hop on the call's own origin, after encoding; a redirect elsewhere goes without it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from atomhttp._model.callables import call_user
from atomhttp._model.request import Request
from atomhttp._pipeline.resend import can_replay
from atomhttp._pipeline.response import Response
from atomhttp.errors import AtomHTTPOptionError

if TYPE_CHECKING:
    from atomhttp._pipeline.exchange import Exchange, Send


async def authenticate(send: Send, exchange: Exchange, driver: Any, request: Request) -> Response[Any]:
    """Sends `request` as its `auth` wants it."""
    auth = request.outline.auth
    if auth is None:
        return await send(request)
    if getattr(auth, "requires_body", False):
        await _load_body(request)
    request = request.editable()
    if not hasattr(auth, "auth_flow"):
        changed = await call_user(driver, request.deadline, auth, request)
        return await send(_check_request(request if changed is None else changed, auth))
    return await _run_flow(_start_flow(auth, request), send, exchange, request)


def _start_flow(auth: Any, request: Request) -> Generator[Any, Any, None]:
    flow = auth.auth_flow(request)
    if not hasattr(flow, "send") or not hasattr(flow, "throw") or hasattr(flow, "cr_frame"):
        raise AtomHTTPOptionError(
            f"auth: {type(auth).__name__}.auth_flow must be a generator function, it returned {type(flow).__name__}",
            "ERR_BAD_OPTION_VALUE",
        )
    return flow  # type: ignore[no-any-return]  # duck-typed: what can be sent to and thrown into


async def _run_flow(flow: Generator[Any, Any, None], send: Send, exchange: Exchange, request: Request) -> Response[Any]:
    try:
        try:
            hop = next(flow)
        except StopIteration:
            # It changed the request, perhaps, and wants no say in the response.
            return await send(request.sealed())
        while True:
            response = await send(_check_request(hop, flow))
            try:
                hop = flow.send(response)
            except StopIteration:
                return response
            if hop.has_body and not can_replay(hop):
                raise AtomHTTPOptionError(
                    "auth: the server asks for more, and the body cannot be sent again (a stream, read once)",
                    "ERR_BAD_OPTION_VALUE",
                    response=response,
                )
            await exchange.discard(response)
    finally:
        flow.close()


def _check_request(given: Any, source: Any) -> Request:
    if not isinstance(given, Request):
        name = getattr(source, "__qualname__", type(source).__name__)
        raise AtomHTTPOptionError(
            f"auth: {name} gave {type(given).__name__}: expected the Request that it was given", "ERR_BAD_OPTION_VALUE"
        )
    return given.sealed()


async def _load_body(request: Request) -> None:
    """The content as bytes: whoever signs it must see it."""
    if isinstance(request.body, bytes):
        return
    reader = request.body.open()
    try:
        pieces = []
        while piece := await reader.read():
            pieces.append(piece)
    finally:
        reader.close()
    request.body = b"".join(pieces)
