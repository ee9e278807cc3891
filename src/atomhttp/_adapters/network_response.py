"""What the network brings back, and its content while that is still arriving."""

from __future__ import annotations

from typing import Any

from atomhttp._adapters.base import AdapterResponse
from atomhttp._compiled import mypyc_attr
from atomhttp._model.headers import Headers, decode_value
from atomhttp._net.call import Call
from atomhttp._net.drivers import Driver
from atomhttp._net.pool import Pool, closed_error
from atomhttp._wire.events import ResponseHead
from atomhttp.errors import AtomHTTPNetworkError


@mypyc_attr(free_list_len=1)
class NetworkResponse(Call):
    """A call that becomes its own response: its fields are taken apart when somebody asks.

    It is an AdapterResponse by what it offers, and says so to `isinstance`. To inherit from both would keep this class
    from being compiled.
    """

    status = 0
    body: Any = b""
    sets_cookies = False  # known with the head: no call to find out (0.1 µs)
    _headers: Headers | None = None

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
        return self

    def break_off(self) -> AdapterResponse:
        """What had come of a response when it ended in an error: its head."""
        return AdapterResponse(self._head.status, self.headers, b"", self.reason, self.http_version)

    @property
    def http_version(self) -> str:
        return self._head.http_version

    @property
    def _head(self) -> ResponseHead:
        assert self.head is not None
        return self.head

    @property
    def headers(self) -> Headers:
        if self._headers is None:
            self._headers = Headers.from_raw(self._head.fields)
        return self._headers

    @property
    def reason(self) -> str:
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

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status}>"


AdapterResponse.register(NetworkResponse)


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
            return self._pop(call)
        return b""

    def take(self) -> bytes:
        """A piece that is there already, b"" when none is."""
        call = self._call
        if not call.chunks or call.content or call.error is not None:
            return b""
        return self._pop(call)

    def _pop(self, call: Call) -> bytes:
        assert call.chunks is not None
        piece = call.chunks.popleft()
        call.buffered -= len(piece)
        if call.connection is not None and call.connection.multiplexes:
            call.connection.consumed()
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
                    self._pool.take_up(connection, driver.reactor)
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

    def hand_over(self) -> None:
        """A caller has it now, and closes it. Until then it is its unit's, and an interrupt there ends it as well."""
        if self._pool.driver is None and self._call.connection is not None:
            # Between two reads it belongs to no unit: this one may be interrupted, or run in another thread.
            self._call.connection.detach()

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
