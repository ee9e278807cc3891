"""One exchange over the network: a connection from the pool, a request on it, its response."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, Protocol

from atomhttp._adapters.base import AdapterResponse
from atomhttp._adapters.network_head import build_field_list, build_head
from atomhttp._adapters.network_response import NetworkResponse
from atomhttp._model.outline import Outline
from atomhttp._model.request import Request
from atomhttp._model.route import Route
from atomhttp._net.call import Call
from atomhttp._net.connection import BREATH, Carrier
from atomhttp._net.drivers import BrokenOff, Driver
from atomhttp._net.drivers.aio_waiter import create_waiter
from atomhttp._net.pool import Pool, closed_error
from atomhttp.errors import AtomHTTPError, AtomHTTPNetworkError, AtomHTTPOptionError

# Content up to this size is joined to its head: one write, one packet train.
JOINED: Final = 256 * 1024
# How long a server may think about Expect: 100-continue before the content goes out all the same (RFC 9110 10.1.1).
CONTINUE_DELAY: Final = 1.0


class Router(Protocol):
    """Has a say in where requests go (an adapter with options of its own)."""

    def _find_route(self, outline: Outline, /) -> Route:
        """The route for a request."""
        ...


class PoolKeeper(Protocol):
    """Opens pools, and closes those of event loops that are gone (the adapter)."""

    def _open_pool(self, driver: Driver, /) -> Pool:
        """The pool of a driver that has none yet."""
        ...

    def _sweep(self) -> None:
        """Closes the pools that nobody will use again."""


def exchange(
    request: Request, pools: dict[Any, Pool], router: Router | None, keeper: PoolKeeper
) -> Coroutine[Any, Any, AdapterResponse]:
    """Sends `request` over the network and waits for what comes back; whole, unless it is to be streamed.

    Args:
        pools: the keeper's, by their drivers' scopes.
        router: who is asked for the route; None: it is the request's own.

    Raises:
        AtomHTTPNetworkError, AtomHTTPTimeoutError, AtomHTTPClosedError.
    """
    driver: Driver = request.driver
    pool = pools.get(driver.pool_scope)
    if pool is None:
        pool = keeper._open_pool(driver)
    route: Route = request.outline.route if router is None else router._find_route(request.outline)
    return _exchange(request, pool, route, keeper if len(pools) > 1 else None)


async def _exchange(request: Request, pool: Pool, route: Route, keeper: PoolKeeper | None) -> AdapterResponse:
    driver: Driver = request.driver
    outline = request.outline
    call = NetworkResponse(driver, outline.timeout, request.started, request.deadline, outline.target)
    if outline.streaming or not outline.keep_alive:
        call.streaming, call.keep_alive = outline.streaming, outline.keep_alive
        call.handed_on = outline.response_type == "stream"
    if not outline.max_redirects:
        call.keeps_redirects = True
    # Before a connection is taken: what is wrong with the head must not cost one.
    head: Any = build_head(request) if request.has_body else outline.head or build_head(request)
    field_list = build_field_list(request) if route.http2 else None
    connection = None if request.fresh else pool.take(route, driver.reactor, request.started, call)
    if connection is None:
        if keeper is not None:
            keeper._sweep()
        connection = await pool.acquire(route, call, request.fresh)
        call.enter("headers", outline.timeout.read)
    if field_list is not None and connection.multiplexes:
        head = field_list
    try:
        if request.has_body or outline.timeout.has_phases:
            await _send_content(connection, call, request, head)
        else:
            connection.start(call, outline.method, head)
        call.sent_at = driver.now()
        if call.head is None and not call.phase_due and call.error is None:
            # The common case, written out: one wait, for the whole response (0.4 µs less than Call.wait).
            waiter = call.waiter = call.wakeable = create_waiter(driver)
            if request.deadline is not None:
                driver.reactor.timers.add(call, request.deadline)
            await waiter
            slot = call.slot
            if slot is not None:
                slot.discard(call)
                call.slot = None
        while not call.ended and (call.head is None or not call.streaming):
            await call.wait()
    except BaseException as error:
        _give_up(call, driver, pool, error)
        raise
    return call.complete(pool)  # type: ignore[return-value]  # it is one, though it does not inherit from it


def _is_interrupt(error: BaseException) -> bool:
    """Whether `error` ends the unit of a synchronous client: not what breaks off one call of it."""
    return not isinstance(error, (Exception, GeneratorExit, BrokenOff))


def _give_up(call: NetworkResponse, driver: Driver, pool: Pool, error: BaseException) -> None:
    """An exchange has failed, or nobody waits for it any more: its connection goes with it."""
    call.disarm()
    carrier = call.connection
    if carrier is not None:
        if pool.driver is None and carrier.multiplexes and (driver.interrupted or _is_interrupt(error)):
            # Who knows what was broken off: nobody is to use it again, and what the unit had is dropped next.
            carrier.abandon()
        else:
            carrier.close()
    if call.head is not None and isinstance(error, AtomHTTPError) and error.received is None:
        error.received = call.break_off()
    if pool.closed and isinstance(error, AtomHTTPNetworkError):
        raise closed_error() from error


# Sending content


async def _send_content(connection: Carrier, call: Call, request: Request, head: Any) -> None:
    """Sends head and content. Small content goes out with its head; the response is waited for by the caller."""
    outline = request.outline
    body: Any = request.body
    phases = outline.timeout.has_phases
    if isinstance(body, bytes) and len(body) < JOINED and not outline.block.expects_continue and not phases:
        connection.start_whole(call, outline.method, head, body)
        return
    call.uploading = True
    ready = [body] if isinstance(body, bytes) else body.ready
    if ready is not None and not outline.block.expects_continue:
        connection.start(call, outline.method, head, ready)
        went_out = await _drain(connection, call)
    else:
        connection.start(call, outline.method, head)
        expects = outline.block.expects_continue and request.has_body
        wanted = await _await_continue(connection, call) if expects else True
        went_out = wanted and await _drain(connection, call) and await _send_rest(connection, call, body)
    if went_out:
        call.uploading = False
    call.enter("headers", outline.timeout.read)


async def _send_rest(connection: Carrier, call: Call, body: Any) -> bool:
    """Sends content, until the response is there or writing fails. Whether it went out whole."""
    if isinstance(body, bytes):
        return await _send_bytes(connection, call, body)
    return await _send_pieces(connection, call, body)


async def _send_bytes(connection: Carrier, call: Call, body: bytes) -> bool:
    if body and _wanted(connection, call):
        connection.write_piece(body, True)
    connection.end_content(True)
    return await _drain(connection, call)


async def _send_pieces(connection: Carrier, call: Call, body: Any) -> bool:
    """Whether the content went out whole."""
    length: int | None = body.length
    sent = unwatched = 0
    reader = body.open()
    try:
        while _wanted(connection, call):
            try:
                piece = await reader.lend()
            except TimeoutError:
                # The caller's own, or the deadline's, which has ended the wait for the caller's iterator.
                now = call.driver.now()
                if call.deadline is None or now < call.deadline:
                    raise
                call.enter("write")
                raise call.timeout_error(now) from None
            if not piece:
                break
            sent += len(piece)
            if length is not None and sent > length:
                raise AtomHTTPOptionError(
                    f"data: longer than its Content-Length of {length} bytes", "ERR_BAD_OPTION_VALUE"
                )
            if _wanted(connection, call):
                connection.write_piece(piece, length is not None)
            if not await _drain(connection, call):
                return False
            unwatched += len(piece)
            if unwatched >= BREATH:
                # A peer as fast as we are would never make us wait, nor let us hear its answer. After the waiting: an
                # answer to all of it must not hide that the last piece has left.
                unwatched = 0
                await call.driver.breathe()
        else:
            # The answer came early. What was read has left all the same, and a meter wants to know.
            await reader.settle()
            return sent == length
    finally:
        reader.close()
    if length is not None:
        if sent != length:
            raise AtomHTTPOptionError(
                f"data: {sent} bytes, shorter than its Content-Length of {length}", "ERR_BAD_OPTION_VALUE"
            )
        connection.end_content(True)
        return True
    connection.end_content(False)
    return await _drain(connection, call)


def _wanted(connection: Carrier, call: Call) -> bool:
    """Whether the peer still listens, and the connection takes bytes."""
    if call.error is not None:
        raise call.error
    return (call.head is None or _answers_as_it_reads(call)) and not connection.closed and not connection.write_failed


def _answers_as_it_reads(call: Call) -> bool:
    """Whether a response that has come before the content went out whole wants the rest of it.

    A success does, while it goes on: a server that converts or echoes what it gets would wait for the end for ever. But
    what is taken by pieces (a stream, limits, progress) is not taken before somebody reads it.
    """
    assert call.head is not None
    return 200 <= call.head.status <= 299 and not call.ended and not call.streaming


async def _drain(connection: Carrier, call: Call) -> bool:
    """Waits until all that was written has left; False when the peer does not want it any more."""
    while _wanted(connection, call):
        if connection.writable:
            return True
        limit = call.timeout.write
        if limit is None and call.head is not None:
            # It answers as it reads, and is held to what it was held to as it answered.
            limit = call.timeout.read
        call.enter("write", limit)
        await call.wait()
    return False


async def _await_continue(connection: Carrier, call: Call) -> bool:
    """Whether the content is to go out: a final response without a "100 Continue" before it says that it is not."""
    call.enter("headers", call.timeout.read)
    timers = call.driver.reactor.timers
    alarm = _Alarm(call)
    timers.add(alarm, call.driver.now() + CONTINUE_DELAY)
    try:
        while call.head is None and not call.continued and not alarm.rung and _wanted(connection, call):
            await call.wait()
    finally:
        timers.discard(alarm)
    return call.continued or call.head is None


class _Alarm:
    """Wakes a call after a while."""

    __slots__ = ("_call", "rung", "slot")

    def __init__(self, call: Call) -> None:
        self._call = call
        self.slot: Any = None
        self.rung = False

    def expire(self, now: float) -> None:
        self.rung = True
        self._call.wake()
