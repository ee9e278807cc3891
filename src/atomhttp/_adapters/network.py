"""The adapter that talks to the network: a request, a connection from the pool, an exchange on it."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Final, Protocol

from atomhttp._adapters.base import AdapterResponse
from atomhttp._model.checks import bad_value
from atomhttp._model.dialing import Dialing
from atomhttp._model.headers import Headers, decode_value
from atomhttp._model.options import BY_NAME, OPTIONS, check_options
from atomhttp._model.request import Outline, Request
from atomhttp._model.route import Route
from atomhttp._net.call import Call
from atomhttp._net.drivers import Driver
from atomhttp._net.http1 import Http1Connection
from atomhttp._net.pool import FOR_EVER, Pool, PoolLimits, PoolStats, closed_error
from atomhttp._net.reactor import Reactor
from atomhttp._wire.events import ResponseHead
from atomhttp._wire.http1_writer import LAST_CHUNK, encode_chunk, encode_fields, encode_request_line
from atomhttp.errors import AtomHTTPError, AtomHTTPNetworkError, AtomHTTPOptionError

# Content up to this size is joined to its head: one write, one packet train.
JOINED: Final = 256 * 1024
# How long a server may think about Expect: 100-continue before the content goes out all the same (RFC 9110 10.1.1).
CONTINUE_DELAY: Final = 1.0

# Content that may go out before somebody else has a turn.
BREATH: Final = 512 * 1024

_ADAPTER_OPTIONS: Final = {
    spelling: option
    for option in OPTIONS
    if option.scope == "client" or option.name in ("verify", "cert")
    for spelling in (option.name, option.alias)
}
_LIMITS: Final = (
    "max_connections",
    "max_connections_per_origin",
    "keep_alive_timeout",
    "connection_lifetime",
    "max_header_size",
)

_WANTS_LENGTH: Final = frozenset(("POST", "PUT", "PATCH"))


class OptionValues(Protocol):
    """Options by item: a mapping, or a client's defaults."""

    def __getitem__(self, name: str, /) -> Any: ...


class HTTPAdapter:
    """The network. Give one to several clients to have them share connections.

    Args:
        options: those of a client that are about connections. The limits (`maxConnections`,
            `maxConnectionsPerOrigin`, `keepAliveTimeout`, `connectionLifetime`, `maxHeaderSize`) are this adapter's
            alone: what a client that is given it says about them is without effect. `resolver`, `hosts`,
            `localAddress`, `verify` and `cert` are for requests whose client leaves them at their defaults.

    Raises:
        AtomHTTPOptionError: another option, or a wrong value.
    """

    # Its pools rely on the driver, and say so to it.
    joins_driver = True

    def __init__(self, **options: Any) -> None:
        given = check_options(options, _ADAPTER_OPTIONS, "an HTTPAdapter")
        if given.get("verify") is False:
            # It would overrule every client's verify=True, which cannot be told from none.
            raise bad_value("verify", False, "a path or an SSLContext; False is for a client or a call to say")
        self.limits = PoolLimits()
        self.set_limits({name: given.get(name, BY_NAME[name].default) for name in _LIMITS})
        # What its routes have that the requests' own have not.
        self._ways: dict[str, Any] = {name: given[name] for name in ("verify", "cert") if name in given}
        dialing = Dialing(given.get("hosts"), given.get("resolver"), given.get("local_address"))
        if any(item is not None for item in dialing):
            self._ways["dialing"] = dialing
        self.closed = False
        # Requests that found a connection ready, of pools that are gone.
        self._reused = 0
        # By driver; all units of synchronous clients share one scope. Never refers to this adapter.
        self._pools: dict[Any, Pool] = {}
        self._finalizer = weakref.finalize(self, _release_pools, self._pools)

    def set_limits(self, options: OptionValues) -> None:
        """Applies limits that have changed; connections there are stay."""
        limits = self.limits
        limits.connections = options["max_connections"]
        limits.connections_per_origin = options["max_connections_per_origin"]
        keep_alive_timeout = options["keep_alive_timeout"]
        limits.keep_alive_timeout = FOR_EVER if keep_alive_timeout is None else keep_alive_timeout
        limits.lifetime = options["connection_lifetime"]
        limits.max_header_size = options["max_header_size"]

    def pool_stats(self) -> PoolStats:
        """How its connections are doing, in all event loops and threads."""
        self._sweep()
        so_far = PoolStats(reused=self._reused)
        return PoolStats(*map(sum, zip(so_far, *(pool.stats for pool in self.pools), strict=True)))

    def _find_route(self, outline: Outline) -> Route:
        """The request's route with what was said to this adapter, where the request says nothing."""
        ways, route = self._ways, outline.route
        changes: dict[str, Any] = {}
        if route.verify is True and "verify" in ways:
            changes["verify"] = ways["verify"]
        # No more than a client's own does it follow a redirect to another origin.
        if route.cert is None and "cert" in ways and not outline.left_home:
            changes["cert"] = ways["cert"]
        if "dialing" in ways:
            own, asked = ways["dialing"], route.dialing or Dialing()
            changes["dialing"] = Dialing(
                *(theirs if theirs is not None else ours for theirs, ours in zip(asked, own, strict=True))
            )
        return route._replace(**changes)

    async def send(self, request: Request) -> AdapterResponse:
        """See `Adapter`.

        Raises:
            AtomHTTPNetworkError, AtomHTTPTimeoutError, AtomHTTPClosedError.
        """
        driver: Driver = request.driver
        outline = request.outline
        pool = self._pools.get(driver.pool_scope) or self._open_pool(driver)
        route = outline.route if not self._ways else self._find_route(outline)
        call = NetworkResponse(driver, outline.timeout, request.started, request.deadline, outline.target)
        if outline.streaming or not outline.keep_alive:
            call.streaming, call.keep_alive = outline.streaming, outline.keep_alive
        if not outline.max_redirects:
            call.keeps_redirects = True
        # Before a connection is taken: what is wrong with the head must not cost one.
        head = build_head(request) if request.has_body else outline.head or build_head(request)
        connection = None if request.fresh else pool.take(route, driver.reactor, request.started)
        if connection is None:
            if len(self._pools) > 1:
                self._sweep()
            connection = await pool.acquire(route, call, request.fresh)
            call.enter("headers", outline.timeout.read)
        try:
            if request.has_body or outline.timeout.has_phases:
                await _send_content(connection, call, request, head)
            else:
                connection.start(call, outline.method, head)
            call.sent_at = driver.now()
            if call.head is None and not call.phase_due and call.error is None:
                # The common case, written out: one wait, for the whole response (0.4 µs less than Call.wait).
                waiter = call.waiter = call.wakeable = driver.waiter()
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
            _give_up(call, pool, error)
            raise
        return call.complete(pool)

    async def close(self) -> None:
        """Closes every connection; calls in flight get AtomHTTPClosedError."""
        with _pools_lock:
            self.closed = True
            self._reused += sum(pool.stats.reused for pool in self.pools)
        self._finalizer()

    def _sweep(self) -> None:
        """Closes the pools of event loops that are gone."""
        with _pools_lock:
            for scope, pool in list(self._pools.items()):
                if pool.driver is not None and pool.driver.is_closed():
                    del self._pools[scope]
                    self._reused += pool.stats.reused
                    pool.abandon()

    def _open_pool(self, driver: Driver) -> Pool:
        self._sweep()
        with _pools_lock:
            if self.closed:
                raise closed_error()
            if driver.pool_scope not in self._pools:
                watcher = driver if driver.pool_scope is driver else None
                self._pools[driver.pool_scope] = Pool(self.limits, watcher)
            return self._pools[driver.pool_scope]

    def drop(self, reactor: Reactor) -> None:
        """A synchronous unit has been broken off: whatever it was using goes with it."""
        for pool in self.pools:
            pool.drop(reactor)

    @property
    def pools(self) -> list[Pool]:
        """The pools in use."""
        return list(self._pools.values())

    def __reduce__(self) -> Any:
        raise TypeError("an adapter holds connections and cannot be copied or pickled: build one where it is needed")


def _give_up(call: NetworkResponse, pool: Pool, error: BaseException) -> None:
    """An exchange has failed, or nobody waits for it any more: its connection goes with it."""
    call.disarm()
    if call.connection is not None:
        call.connection.close()
    if call.head is not None and isinstance(error, AtomHTTPError) and error.received is None:
        error.received = call.break_off()
    if pool.closed and isinstance(error, AtomHTTPNetworkError):
        raise closed_error() from error


# Taken when a pool is opened or swept, hardly ever: one for all adapters.
_pools_lock = threading.Lock()


def _renew_lock() -> None:
    # Another thread of the parent may have held it when the process forked.
    global _pools_lock
    _pools_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _release_pools(pools: dict[Any, Pool]) -> None:
    """For a closed client and for one that nobody refers to any more, from any thread."""
    while pools:
        _, pool = pools.popitem()
        driver = pool.driver
        if driver is None:
            pool.close()
        elif driver.is_closed():
            pool.abandon()
        else:
            driver.run_soon(pool.close)


def build_head(request: Request) -> bytes:
    """The request's head, validated; what equal requests share is built once."""
    outline = request.outline
    head = outline.head
    if head is None:
        head = outline.head = _build_lines(outline) + _end_of_head(outline)
    return head if not request.has_body else head[: -len(_end_of_head(outline))] + _content_fields(request)


def _build_lines(outline: Outline) -> bytes:
    block = outline.block
    if block.encoded is None:
        block.encoded = encode_fields(block.fields)
    host = encode_fields([("Host", block.host or outline.target.authority)])
    content_type = [("Content-Type", block.content_type)] if block.content_type is not None else []
    target, more = outline.target.path, b""
    proxy = outline.route.proxy
    if proxy is not None and outline.route.is_forwarded:
        # RFC 9112 section 3.2.2. In a tunnel the proxy has been told by CONNECT.
        target = f"http://{outline.target.authority}{target}"
        if proxy.authorization is not None:
            more = encode_fields([("Proxy-Authorization", proxy.authorization)])
    line = encode_request_line(outline.method, target)
    return line + host + block.encoded + more + encode_fields(content_type)


def _end_of_head(outline: Outline) -> bytes:
    """What ends a head without content."""
    length = b"Content-Length: 0\r\n" if outline.method in _WANTS_LENGTH else b""
    return length + (b"\r\n" if outline.keep_alive else b"Connection: close\r\n\r\n")


_type_lines: dict[str, bytes] = {}


def _content_fields(request: Request) -> bytes:
    """The fields that describe the content, and the end of the head."""
    lines = b""
    content_type = request.content_type
    if content_type is not None and request.outline.block.content_type is None:
        known = _type_lines.get(content_type)
        if known is None:
            known = encode_fields([("Content-Type", content_type)])
            if len(_type_lines) < 100:  # multipart boundaries never repeat: do not keep them all
                _type_lines[content_type] = known
        lines = known
    length = request.content_length
    lines += b"Transfer-Encoding: chunked\r\n" if length is None else b"Content-Length: %d\r\n" % length
    if request.outline.block.expects_continue:
        lines += b"Expect: 100-continue\r\n"
    if not request.outline.keep_alive:
        lines += b"Connection: close\r\n"
    return lines + b"\r\n"


# Sending content


async def _send_content(connection: Http1Connection, call: Call, request: Request, head: bytes) -> None:
    """Sends head and content. Small content goes out with its head; the response is waited for by the caller."""
    outline = request.outline
    body = request.body
    phases = outline.timeout.has_phases
    if isinstance(body, bytes) and len(body) < JOINED and not outline.block.expects_continue and not phases:
        connection.start(call, outline.method, head + body)
        return
    call.uploading = True
    connection.start(call, outline.method, head)
    if outline.block.expects_continue and request.has_body:
        await _await_continue(connection, call)
    if await _drain(connection, call) and await _send_rest(connection, call, body):
        call.uploading = False
    call.enter("headers", outline.timeout.read)


async def _send_rest(connection: Http1Connection, call: Call, body: Any) -> bool:
    """Sends content, until the response is there or writing fails. Whether it went out whole."""
    if isinstance(body, bytes):
        return await _send_bytes(connection, call, body)
    return await _send_pieces(connection, call, body)


async def _send_bytes(connection: Http1Connection, call: Call, body: bytes) -> bool:
    if body and _wanted(connection, call):
        connection.write(body)
    return await _drain(connection, call)


async def _send_pieces(connection: Http1Connection, call: Call, body: Any) -> bool:
    """Whether the content went out whole."""
    length: int | None = body.length
    sent = unwatched = 0
    reader = body.open()
    try:
        while _wanted(connection, call):
            try:
                piece = await reader.read()
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
                connection.write(piece if length is not None else encode_chunk(piece))
            unwatched += len(piece)
            if unwatched >= BREATH:
                # A peer as fast as we are would never make us wait, nor let us hear its answer.
                unwatched = 0
                await call.driver.breathe()
            if not await _drain(connection, call):
                return False
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
        return True
    connection.write(LAST_CHUNK)
    return await _drain(connection, call)


def _wanted(connection: Http1Connection, call: Call) -> bool:
    """Whether the peer still listens: no final response yet, and the connection takes bytes."""
    if call.error is not None:
        raise call.error
    return call.head is None and not connection.closed and not connection.write_failed


async def _drain(connection: Http1Connection, call: Call) -> bool:
    """Waits until all that was written has left; False when the peer does not want it any more."""
    while _wanted(connection, call):
        if connection.writable:
            return True
        call.enter("write", call.timeout.write)
        await call.wait()
    return False


async def _await_continue(connection: Http1Connection, call: Call) -> None:
    call.enter("headers", call.timeout.read)
    timers = call.driver.reactor.timers
    alarm = _Alarm(call)
    timers.add(alarm, call.driver.now() + CONTINUE_DELAY)
    try:
        while not call.continued and not alarm.rung and _wanted(connection, call):
            await call.wait()
    finally:
        timers.discard(alarm)


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


# Receiving


class NetworkResponse(Call, AdapterResponse):
    """A call that becomes its own response: its fields are taken apart when somebody asks."""

    _headers: Headers | None = None
    sets_cookies = False  # known with the head: no call to find out (0.1 µs)

    def complete(self, pool: Pool) -> NetworkResponse:
        """The response has ended, or, for a stream, begun."""
        head: ResponseHead = self.head  # type: ignore[assignment]  # there is one, or this would have raised
        self.status = head.status
        if head.sets_cookies:
            self.sets_cookies = True
        if not self.streaming:
            self.body = self.content if self.collected is None else self.collected.getvalue()
            # A response that is kept must not keep the event loop and its buffers.
            self.driver = self.waiter = self.wakeable = self.collected = None  # type: ignore[assignment]  # it is over
            return self
        self.body = NetworkBody(self, pool)
        if pool.driver is None and self.connection is not None:
            # Between two reads it belongs to no unit: this one may be interrupted, or run in another thread.
            self.connection.detach()
        return self

    def break_off(self) -> AdapterResponse:
        """What had come of a response when it ended in an error: its head."""
        return AdapterResponse(self._head.status, self.headers, b"", self.reason, self.http_version)

    @property
    def http_version(self) -> str:  # type: ignore[override]  # read from the head when asked
        return self._head.http_version

    @property
    def _head(self) -> ResponseHead:
        assert self.head is not None
        return self.head

    @property
    def headers(self) -> Headers:  # type: ignore[override]  # built on demand
        if self._headers is None:
            self._headers = Headers.from_raw(self._head.fields)
        return self._headers

    @property
    def reason(self) -> str:  # type: ignore[override]  # read from the head when asked
        return decode_value(self._head.reason)

    @property
    def content_type(self) -> str:
        return self._head.find(b"content-type")

    @property
    def content_encoding(self) -> str:
        coding = self.head.content_encoding  # type: ignore[union-attr]  # complete: 0.1 µs a request less than _head
        return coding.decode("latin-1") if coding else ""

    @property
    def content_length(self) -> int | None:
        return self._head.content_length

    @property
    def trailers(self) -> Headers:
        return Headers.from_raw(self.received_trailers)

    @property
    def times(self) -> dict[str, float]:
        end = self.ended_at or self.first_at
        began = self.started + self.pool_wait + self.dns + self.connect + self.tls
        return {
            "blocked": self.pool_wait,
            "dns": self.dns,
            "connect": self.connect,
            "ssl": self.tls,
            "send": max(0.0, self.sent_at - began),
            "wait": max(0.0, self.first_at - self.sent_at),
            "receive": max(0.0, end - self.first_at),
            "total": end - self.started,
        }


class NetworkBody:
    """Content as it arrives. Holds its connection until the end, or until it is closed."""

    __slots__ = ("_call", "_pool")

    def __init__(self, call: Call, pool: Pool) -> None:
        self._call = call
        self._pool = pool
        gap = call.timeout.stream_gap
        if gap is not None:
            # A plain number bounds what comes before the content; from here on it is the longest gap.
            call.deadline = None
        call.enter("body")

    async def read(self, driver: Driver) -> bytes:
        """The next piece; b"" at the end. `driver` waits for it: a synchronous stream may be read in any unit.

        Raises:
            AtomHTTPNetworkError, AtomHTTPTimeoutError.
        """
        call = self._call
        if call.content:
            piece, call.content = call.content, b""
            return piece
        if not call.chunks and not call.ended:
            await self._wait(driver)
        if call.chunks:
            piece = call.chunks.popleft()
            call.buffered -= len(piece)
            return piece
        return b""

    def take(self) -> bytes:
        """A piece that is there already, b"" when none is."""
        call = self._call
        if not call.chunks or call.content or call.error is not None:
            return b""
        piece = call.chunks.popleft()
        call.buffered -= len(piece)
        return piece

    async def _wait(self, driver: Driver) -> None:
        call = self._call
        driver.check()
        call.driver = driver
        gap = call.timeout.read if call.timeout.read is not None else call.timeout.stream_gap
        connection = call.connection
        try:
            if connection is not None:
                if connection.reactor is not driver.reactor:
                    connection.attach(driver.reactor)
                connection.resume()
            while not call.chunks and not call.ended:
                call.enter("body", gap)
                await call.wait()
        except BaseException as error:
            self.close()
            if self._pool.closed and isinstance(error, AtomHTTPNetworkError):
                raise closed_error() from error
            raise
        if self._pool.driver is None and call.connection is not None:
            call.connection.detach()

    def close(self) -> None:
        """Gives up what has not been read; the connection goes with it."""
        connection = self._call.connection
        if connection is not None:
            # A task that waits for the next piece is told.
            self._call.interrupt(closed_stream_error())
            connection.close()

    def bound(self, deadline: float | None) -> None:
        """It is read for a call that waits for all of it: the call's deadline holds."""
        self._call.deadline = deadline

    @property
    def broken(self) -> bool:
        """Whether it has ended by an error, or with its client: there is nothing left to close."""
        return self._call.error is not None

    @property
    def exhausted(self) -> bool:
        """Whether all of it has been read, or there was none: its connection has been given back."""
        call = self._call
        return call.ended and not call.chunks and not call.content

    def close_soon(self) -> None:
        """`close`, from whatever thread the garbage collector runs in."""
        driver = self._pool.driver
        if driver is None:
            self._pool.run_unlocked(self.close)
        elif driver.is_closed():
            if self._call.connection is not None:
                self._call.connection.abandon()
        else:
            driver.call_soon(self.close)


def closed_stream_error() -> AtomHTTPNetworkError:
    """For reads of a stream that was closed before its end."""
    return AtomHTTPNetworkError("the stream was closed before its end", "ERR_NETWORK", request_sent="yes")
