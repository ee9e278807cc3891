"""Authentication that takes part in the exchange: an `auth_flow`, or a function over the request.

It runs for every hop on the call's own origin, after encoding; a redirect elsewhere goes without it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from atomhttp._model.request import Request
from atomhttp._pipeline.deadline import ask, in_time
from atomhttp._pipeline.resend import can_replay
from atomhttp._pipeline.response import Response
from atomhttp.auth.flow import Step
from atomhttp.errors import AtomHTTPOptionError

if TYPE_CHECKING:
    from atomhttp._pipeline.exchange import Exchange, Send


async def authenticate(send: Send, exchange: Exchange, driver: Any, request: Request) -> Response[Any]:
    """Sends `request` as its `auth` wants it."""
    auth = request.outline.auth
    if auth is None:
        return await send(request)
    if getattr(auth, "requires_body", False):
        with in_time(driver, request):
            await _load_body(request)
    request = request.editable()
    if not hasattr(auth, "auth_flow"):
        changed = await ask(driver, request, auth, request)
        return await send(_check_request(request if changed is None else changed, auth))
    flow = _start_flow(auth, request)
    try:
        return await _run_flow(flow, send, exchange, driver, request)
    finally:
        flow.close()


def _start_flow(auth: Any, request: Request) -> Generator[Any, Any, None]:
    flow = auth.auth_flow(request)
    if not hasattr(flow, "send") or not hasattr(flow, "throw") or hasattr(flow, "cr_frame"):
        # A coroutine that nobody will await says so when it is forgotten.
        getattr(flow, "close", _nothing)()
        raise AtomHTTPOptionError(
            f"auth: {type(auth).__name__}.auth_flow must be a generator function, it returned {type(flow).__name__}",
            "ERR_BAD_OPTION_VALUE",
        )
    return flow  # type: ignore[no-any-return]  # duck-typed: what can be sent to and thrown into


async def _run_flow(
    flow: Generator[Any, Any, None], send: Send, exchange: Exchange, driver: Any, request: Request
) -> Response[Any]:
    response: Response[Any] | None = None
    while True:
        try:
            hop = await _next_request(flow, response, exchange, driver, request)
        except BaseException:
            if response is not None and response.unread is not None:
                response.unread.close()
            raise
        if hop is None:
            # Before a first request: it has changed this one, perhaps, and wants no say in the response.
            return await send(request.sealed()) if response is None else response
        if response is not None:
            await exchange.discard(response)
        response = await send(hop)


async def _next_request(
    flow: Generator[Any, Any, None], response: Response[Any] | None, exchange: Exchange, driver: Any, request: Request
) -> Request | None:
    """What `flow` makes of `response`, None at its start; None: it is content."""
    try:
        given = flow.send(response)
        while isinstance(given, Step):
            if response is not None:
                # Waited for without its connection: the step may need one.
                await exchange.discard(response)
            given = await _run_step(given, flow, driver, request)
    except StopIteration:
        return None
    hop = _check_request(given, flow)
    if response is not None and hop.has_body and not can_replay(hop):
        raise AtomHTTPOptionError(
            "auth: the server asks for more, and the body cannot be sent again (a stream, read once)",
            "ERR_BAD_OPTION_VALUE",
            response=response,
        )
    return hop


async def _run_step(step: Step, flow: Generator[Any, Any, None], driver: Any, request: Request) -> Any:
    """What `flow` yields next, told of what came of `step`."""
    try:
        with in_time(driver, request):
            result = await step.run(driver, request.deadline)
    except Exception as error:
        return flow.throw(error)
    return flow.send(result)


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
        pieces: list[bytes] = []
        while piece := await reader.read():
            pieces.append(piece)
    finally:
        reader.close()
    body, declared = b"".join(pieces), request.outline.block.content_length
    if declared not in (None, len(body)):
        raise AtomHTTPOptionError(
            f"headers: Content-Length is {declared}, the body has {len(body)} bytes", "ERR_BAD_OPTION_VALUE"
        )
    request.body = body


def _nothing() -> None:
    """For what has nothing to close."""
