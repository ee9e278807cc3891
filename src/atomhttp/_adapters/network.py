"""The adapter that talks to the network: a request, a connection from the pool, an exchange on it."""

from __future__ import annotations

import threading
import weakref
from typing import Any, Final

from atomhttp._adapters.base import AdapterResponse
from atomhttp._model.headers import Headers
from atomhttp._model.request import Request
from atomhttp._net.call import Call
from atomhttp._net.drivers import Driver
from atomhttp._net.http1 import Http1Connection
from atomhttp._net.pool import Pool, PoolLimits, closed_error
from atomhttp._wire.events import ResponseHead
from atomhttp._wire.http1_writer import LAST_CHUNK, encode_chunk, encode_fields, encode_method, encode_request_line
from atomhttp.errors import AtomHTTPNetworkError, AtomHTTPOptionError

# Content up to this size is joined to its head: one write, one packet train.
JOINED: Final = 256 * 1024
# How long a server may think about Expect: 100-continue before the content goes out all the same (RFC 9110 10.1.1).
CONTINUE_DELAY: Final = 1.0

_WANTS_LENGTH: Final = frozenset(("POST", "PUT", "PATCH"))


class HTTPAdapter:
    """The network. Give one to several clients to have them share connections.

    Args:
        limits: connections, sizes and idle times.
    """

    def __init__(self, limits: PoolLimits | None = None) -> None:
        self.limits = limits or PoolLimits()
        self.closed = False
        self._lock = threading.Lock()
        # By driver; all units of synchronous clients share one scope. Never refers to this adapter.
        self._pools: dict[Any, Pool] = {}
        self._finalizer = weakref.finalize(self, _release_pools, self._pools)

    async def send(self, request: Request) -> AdapterResponse:
        """See `Adapter`.

        Raises:
            AtomHTTPNetworkError, AtomHTTPTimeoutError, AtomHTTPClosedError.
        """
        driver: Driver = request.driver
        pool = self._pools.get(driver.pool_scope)
        if pool is None:
            pool = self._open_pool(driver)
        call = Call(driver, request.timeout, request.started, request.deadline, request.target.url)
        call.streaming = request.streaming
        call.keep_alive = request.keep_alive
        connection = None if request.fresh else pool.take(request.route, driver.reactor, driver.now())
        if connection is None:
            connection = await pool.acquire(request.route, call, request.fresh)
        head = build_head(request)
        body = request.body
        try:
            if type(body) is bytes and len(body) < JOINED and not request.block.expects_continue and not call.timeout.has_phases:
                connection.start(call, request.method, head + body if body else head)
            else:
                await _upload(connection, call, request, head)
            call.sent_at = driver.now()
            if not call.timeout.has_phases:
                # The common case, written out: one wait, for the whole response (0.4 µs less than Call.wait).
                if not call.ended and (call.head is None or not call.streaming):
                    if call.error is not None:
                        raise call.error
                    timers = driver.reactor.timers
                    waiter = call.waiter = driver.waiter()
                    if call.deadline is not None:
                        timers.add(call, call.deadline)
                    try:
                        await waiter
                    finally:
                        call.waiter = None
                        if call.slot is not None:
                            timers.discard(call)
            else:
                call.enter("headers", call.timeout.read)
            while not call.ended and (call.head is None or not call.streaming):
                await call.wait()
        except BaseException as error:
            if call.connection is not None:
                call.connection.close()
            if pool.closed and isinstance(error, AtomHTTPNetworkError):
                raise closed_error() from error
            raise
        return NetworkResponse(call, pool)

    async def close(self) -> None:
        """Closes every connection; calls in flight get AtomHTTPClosedError."""
        self.closed = True
        self._finalizer()

    def _open_pool(self, driver: Driver) -> Pool:
        if self.closed:
            raise closed_error()
        with self._lock:
            for scope, pool in list(self._pools.items()):
                if pool.driver is not None and pool.driver.is_closed():
                    del self._pools[scope]
                    pool.abandon()
            pool = self._pools.get(driver.pool_scope)  # type: ignore[assignment]  # None is replaced just below
            if pool is None:
                watcher = driver if driver.pool_scope is driver else None
                pool = self._pools[driver.pool_scope] = Pool(self.limits, watcher)
            return pool

    @property
    def pools(self) -> list[Pool]:
        """The pools in use."""
        return list(self._pools.values())

    def __reduce__(self) -> Any:
        raise TypeError("an adapter holds connections and cannot be copied or pickled: build one where it is needed")


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
    """The request's head, validated; what does not change between requests to the same URL is built once."""
    target, block, method = request.target, request.block, request.method
    known = target.heads.get(method)
    if known is not None and known[0] is block:
        head = known[1]
    else:
        head = _build_lines(request)
        target.heads[method] = (block, head)
    if request.has_body:
        return head[:-2] + _content_fields(request)
    if method in _WANTS_LENGTH:
        head = head[:-2] + b"Content-Length: 0\r\n\r\n"
    return head if request.keep_alive else head[:-2] + b"Connection: close\r\n\r\n"


def _build_lines(request: Request) -> bytes:
    block = request.block
    if block.encoded is None:
        block.encoded = encode_fields(block.fields)
    host = encode_fields([("Host", block.host or request.target.authority)])
    return encode_request_line(encode_method(request.method), request.target.path) + host + block.encoded + b"\r\n"


_type_lines: dict[str, bytes] = {}


def _content_fields(request: Request) -> bytes:
    """The fields that describe the content, and the end of the head."""
    lines = b""
    content_type = request.content_type
    if content_type is not None:
        known = _type_lines.get(content_type)
        if known is None:
            known = encode_fields([("Content-Type", content_type)])
            if len(_type_lines) < 100:  # noqa: PLR2004  # multipart boundaries never repeat: do not keep them all
                _type_lines[content_type] = known
        lines = known
    length = request.content_length
    lines += b"Transfer-Encoding: chunked\r\n" if length is None else b"Content-Length: %d\r\n" % length
    if request.block.expects_continue:
        lines += b"Expect: 100-continue\r\n"
    if not request.keep_alive:
        lines += b"Connection: close\r\n"
    return lines + b"\r\n"


# Sending content


async def _upload(connection: Http1Connection, call: Call, request: Request, head: bytes) -> None:
    """Sends head and content piece by piece; stops early when the response is there already, or when writing fails."""
    call.uploading = True
    connection.start(call, request.method, head)
    if request.block.expects_continue and request.has_body:
        await _await_continue(connection, call)
    elif not await _drain(connection, call):
        return
    body = request.body
    if isinstance(body, bytes):
        done = await _send_bytes(connection, call, body)
    else:
        done = await _send_pieces(connection, call, body)
    if done:
        call.uploading = False


async def _send_bytes(connection: Http1Connection, call: Call, body: bytes) -> bool:
    if body and _wanted(connection, call):
        connection.write(body)
    return await _drain(connection, call)


async def _send_pieces(connection: Http1Connection, call: Call, body: Any) -> bool:
    """Whether the content went out whole."""
    length: int | None = body.length
    sent = 0
    reader = body.open()
    try:
        while _wanted(connection, call):
            piece = await reader.read()
            if not piece:
                break
            sent += len(piece)
            if length is not None and sent > length:
                raise AtomHTTPOptionError(f"data: longer than its Content-Length of {length} bytes", "ERR_BAD_OPTION_VALUE")
            if _wanted(connection, call):
                connection.write(piece if length is not None else encode_chunk(piece))
            if not await _drain(connection, call):
                return False
        else:
            return False
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


class NetworkResponse(AdapterResponse):
    """A response from a connection; its fields are taken apart when somebody asks."""

    def __init__(self, call: Call, pool: Pool) -> None:
        self._call = call
        head = call.head
        assert head is not None
        self._head: ResponseHead = head
        self.status = head.status
        self.http_version = head.http_version
        self._headers: Headers | None = None
        if call.streaming:
            self.body: Any = NetworkBody(call, pool)
        else:
            chunks = call.chunks
            self.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)

    @property
    def headers(self) -> Headers:  # type: ignore[override]  # built on demand
        if self._headers is None:
            self._headers = Headers.from_raw(self._head.fields)
        return self._headers

    @property
    def reason(self) -> str:  # type: ignore[override]
        return self._head.reason.decode("latin-1")

    @property
    def content_type(self) -> str:
        return self._head.find(b"content-type")

    @property
    def content_encoding(self) -> str:
        return self._head.find(b"content-encoding")

    @property
    def content_length(self) -> int | None:
        value = self._head.find(b"content-length")
        return int(value) if value else None

    @property
    def trailers(self) -> Headers:
        return Headers.from_raw(self._call.trailers)

    @property
    def times(self) -> dict[str, float]:
        call = self._call
        end = call.ended_at or call.first_at
        made = call.dns + call.connect + call.tls
        began = call.started + call.pool_wait + made
        return {
            "blocked": call.pool_wait,
            "dns": call.dns,
            "connect": call.connect,
            "ssl": call.tls,
            "send": max(0.0, call.sent_at - began),
            "wait": max(0.0, call.first_at - call.sent_at),
            "receive": max(0.0, end - call.first_at),
            "total": end - call.started,
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
        chunks = call.chunks
        if not chunks and not call.ended:
            await self._wait(driver)
        if chunks:
            piece = chunks.popleft()
            call.buffered -= len(piece)
            return piece
        return b""

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
            if self._call.error is None:
                self._call.error = closed_stream_error()
            connection.close()

    def close_soon(self) -> None:
        """`close`, from whatever thread the garbage collector runs in."""
        driver = self._pool.driver
        if driver is None:
            self.close()
        elif driver.is_closed():
            if self._call.connection is not None:
                self._call.connection.abandon()
        else:
            driver.call_soon(self.close)


def closed_stream_error() -> AtomHTTPNetworkError:
    """For reads of a stream that was closed before its end."""
    return AtomHTTPNetworkError("the stream was closed before its end", "ERR_NETWORK", request_sent="yes")

