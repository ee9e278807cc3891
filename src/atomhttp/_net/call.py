"""One request on its way: what it waits for, until when, and what has come of it so far."""

from __future__ import annotations

from collections import deque
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from atomhttp._model.timeout import Timeout
from atomhttp._model.url import Target
from atomhttp._net.large_content import LargeContent
from atomhttp._wire.events import ResponseHead
from atomhttp.errors import AtomHTTPTimeoutError

if TYPE_CHECKING:
    from atomhttp._net.connection import Carrier
    from atomhttp._net.drivers import Driver, Waiter

# What may lead on (RFC 9110 section 15.4): then its content is nobody's.
REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))


class Call:
    """The state of one exchange. It holds the one waiter its coroutine awaits; `interrupt` is how a wait is ended.

    A call is armed on the timer wheel only while its coroutine waits, for the nearer of the deadline and the limit of
    the phase it is in.
    """

    # Defaults on the class and no __slots__: a plain call sets 7 attributes instead of 26 (0.5 µs).

    slot: Any = None
    waiter: Waiter | None = None
    wakeable: Waiter | None = None
    phase = "headers"
    phase_due: float | None = None
    phase_limit = 0.0
    error: BaseException | None = None
    connection: Carrier | None = None
    # The response so far: `streaming` wakes the coroutine for the head and every piece, else it wakes at the end.
    streaming = False
    # What is streamed is read by the caller, when and where that pleases.
    handed_on = False
    # The content of a redirect that may be followed is not collected: nobody wants it, and it may never end.
    keeps_redirects = False
    keep_alive = True
    uploading = False
    continued = False
    answered = False
    head: ResponseHead | None = None
    # Content that came whole, or the pieces that have come so far.
    content = b""
    chunks: deque[bytes] | None = None
    # Where content that came in pieces is put together, when all of it is wanted at once. BytesIO, because it grows in
    # place and gives its buffer away without a copy: fresh memory is the dear part of a large body.
    collected: BytesIO | LargeContent | None = None
    buffered = 0
    # More of a stream's content was there, the last time, than fits into a piece.
    flowing = False
    ended = False
    received_trailers: tuple[tuple[bytes, bytes], ...] = ()
    # Clock readings, for the timings
    pool_wait = 0.0
    dns = 0.0
    connect = 0.0
    tls = 0.0
    sent_at = 0.0
    first_at = 0.0
    ended_at = 0.0

    def __init__(
        self, driver: Driver, timeout: Timeout, started: float, deadline: float | None, target: Target
    ) -> None:
        self.driver = driver
        self.timeout = timeout
        self.started = started
        self.deadline = deadline
        self.target = target

    # Waiting

    async def wait(self) -> Any:
        """Waits until woken, interrupted or out of time.

        Raises:
            AtomHTTPTimeoutError: the deadline or the phase's limit passed.
        """
        waiter = self.wakeable = self.driver.waiter()
        try:
            return await self.wait_for(waiter)
        finally:
            self.wakeable = None

    async def wait_for(self, waiter: Waiter) -> Any:
        """`wait`, on a waiter that somebody else completes: `wake` leaves that alone."""
        if self.error is not None:
            raise self.error
        self.waiter = waiter
        self.arm()
        try:
            return await waiter
        finally:
            self.waiter = None
            self.disarm()

    def wake(self, result: Any = None) -> None:
        """Lets the coroutine go on; nothing happens when it is not waiting."""
        waiter = self.wakeable
        if waiter is not None and not waiter.done():
            waiter.set_result(result)

    def interrupt(self, error: BaseException) -> None:
        """Ends the call with `error`, at its wait or at the next one. The first error stays."""
        if self.error is None:
            self.error = error
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    # The response

    def take_head(self, head: ResponseHead, now: float) -> None:
        """A head has come, interim or final, and content may follow."""
        if head.status < 200:
            self.answered = True
            if head.status == 100:
                self.continued = True
                if self.uploading:
                    self.wake()
            return
        self.head = head
        self.first_at = now
        if head.status in REDIRECTS and not self.keeps_redirects and head.find(b"location"):
            self.streaming = True
        if self.streaming or self.uploading:
            self.wake()

    def take_piece(self, piece: bytes) -> None:
        """A piece of a stream's content has come."""
        if self.chunks is None:
            self.chunks = deque()
        self.chunks.append(piece)
        self.buffered += len(piece)
        self.wake()

    # Deadlines

    def enter(self, phase: str, limit: float | None = None) -> None:
        """A phase begins, which may take `limit` seconds."""
        self.phase = phase
        if limit is None:
            self.phase_due = None
        else:
            self.phase_limit = limit
            self.phase_due = self.driver.now() + limit

    def arm(self) -> None:
        """Starts the clock for a wait that begins."""
        due = self.due()
        if due is not None:
            self.driver.reactor.timers.add(self, due)

    def disarm(self) -> None:
        self.driver.reactor.timers.discard(self)

    def due(self) -> float | None:
        """When this call runs out of time, as things stand."""
        deadline, phase_due = self.deadline, self.phase_due
        if phase_due is None or (deadline is not None and deadline < phase_due):
            return deadline
        return phase_due

    def expire(self, now: float) -> float | None:
        due = self.due()
        if due is None or due > now:
            return due
        self.interrupt(self.timeout_error(now))
        return None

    def timeout_error(self, now: float) -> AtomHTTPTimeoutError:
        """The error for running out of time now."""
        by_phase = self.phase_due is not None and (self.deadline is None or self.phase_due <= self.deadline)
        limit = self.phase_limit if by_phase else (self.timeout.total or 0.0)
        # The deadline may be older than this exchange: redirects and retries share it.
        began = self.started if by_phase or self.deadline is None else min(self.started, self.deadline - limit)
        # One wait covers a whole response: what was being waited for shows in what has come.
        phase = "body" if self.phase == "headers" and self.head is not None else self.phase
        return AtomHTTPTimeoutError.passed(limit, now - began, phase, self.target.url, by_phase=by_phase)
