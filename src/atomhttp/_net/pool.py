"""The connections of one client in one event loop, or of one synchronous client in all its threads.

Theory of operation. Every connection is a member of its route's bucket until it is closed; before that, from the
moment it is decided upon, the call that makes it is. An idle one also lies in the bucket's `idle`, newest last (the
newest is the least likely to have been closed by the peer). Who cannot be served waits as a `Ticket` in the bucket's
queue; whenever a connection comes free or is closed, `_serve_waiters` gives what there is to the oldest ticket that can
use it (`Turns`; where nobody waits for a place among all, that can only be one of the same route). A connection, or a
place to open one, belongs to the ticket the moment it is given: a ticket whose call has meanwhile been cancelled passes
it on.

A connection of HTTP/2 takes many calls. While it has any it lies in the bucket's `busy`, and whoever finds room on one
is given a stream of it. Since one will do for many, calls that find none wait for one that is being made, as long as it
can be expected to take them all.

Decisions are in `pool_policy`; here is the bookkeeping. One lock guards it all, held for microseconds and never across
an await.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from atomhttp._model.route import Route
from atomhttp._net.call import Call
from atomhttp._net.connect import connect, speaks_http2
from atomhttp._net.connection import Connection, Owner
from atomhttp._net.http1 import Http1Connection, SharedHttp1Connection
from atomhttp._net.pool_policy import Decision, Facts, Turns, decide
from atomhttp._net.stream import Stream
from atomhttp._net.tls_session import TLSSession
from atomhttp.errors import AtomHTTPClosedError, AtomHTTPNetworkError, AtomHTTPTimeoutError

if TYPE_CHECKING:
    from atomhttp._net.drivers import Driver
    from atomhttp._net.http2 import Http2Connection
    from atomhttp._net.http2_stream import Http2Stream
    from atomhttp._net.reactor import Reactor

_logger: Final = logging.getLogger("atomhttp.pool")

# Seconds by which we stop using a connection before the server says that it will close it.
KEEP_ALIVE_MARGIN: Final = 1.0
# How many routes' TLS sessions are kept.
MAX_SESSIONS: Final = 100
# Seconds after which statistics are taken in the middle of whatever goes on.
STATS_PATIENCE: Final = 1.0
# Streams that a connection of HTTP/2 is expected to take before its server has said so: most take more.
EXPECTED_STREAMS: Final = 100
# In seconds; a timer wheel has no place for infinity.
FOR_EVER: Final = 1e9

Pooled: TypeAlias = "Http1Connection | Http2Connection"
# What carries an exchange. By name, and not `Carrier`: that is what a compiled caller can call directly.
Taken: TypeAlias = "Http1Connection | Http2Stream"


class PoolLimits:
    """How many connections, how large a head, how long idle. Sizes in bytes, times in seconds."""

    __slots__ = (
        "connections",
        "connections_per_origin",
        "keep_alive_timeout",
        "lifetime",
        "max_header_size",
        "ping_interval",
    )

    def __init__(
        self,
        connections: int = 100,
        connections_per_origin: int = 0,
        keep_alive_timeout: float | None = 4.0,
        lifetime: float | None = None,
        max_header_size: int = 64 * 1024,
    ) -> None:
        self.connections = connections
        self.connections_per_origin = connections_per_origin
        self.keep_alive_timeout = FOR_EVER if keep_alive_timeout is None else min(keep_alive_timeout, FOR_EVER)
        self.lifetime = lifetime
        self.max_header_size = max_header_size
        self.ping_interval: float | None = None


class PoolStats(NamedTuple):
    """How the connections of a client are doing.

    Attributes:
        open: connections there are, those included that are being made.
        idle: those of them that wait for a request.
        waiting: requests that wait for a connection.
        reused: requests that found a connection ready, so far.
    """

    open: int = 0
    idle: int = 0
    waiting: int = 0
    reused: int = 0


class Bucket:
    """The connections of one route.

    `members` are its connections and the calls that are making one: one set, so that an interrupt between any two
    steps of the bookkeeping cannot make a count wrong.

    Attributes:
        busy: connections of HTTP/2 that serve calls, and may have room for more.
        multiplexes: a connection that is being made is expected to take many calls.
        streams: how many it is expected to take.
        turn: the number by which it stands among the pool's `Turns`, -1 when it does not.
    """

    __slots__ = ("busy", "idle", "members", "multiplexes", "route", "streams", "turn", "waiting")

    def __init__(self, route: Route) -> None:
        self.route = route
        self.idle: deque[Pooled] = deque()
        self.busy: list[Http2Connection] = []
        self.multiplexes = route.may_multiplex
        self.streams = EXPECTED_STREAMS
        self.members: set[Pooled | Call] = set()
        self.waiting: deque[Ticket] = deque()
        self.turn = -1


class Ticket:
    """A place in a queue, and what was given for it: a connection, or (None) the right to open one."""

    __slots__ = ("call", "connection", "given", "number")

    def __init__(self, number: int, call: Call) -> None:
        self.number = number
        self.call = call
        self.given = False
        self.connection: Taken | None = None


class Pool(Owner):
    """See the module's docstring.

    Args:
        limits: what it may hold.
        driver: the driver whose reactor watches idle connections; None for the units of a synchronous client, which
            take connections along.
    """

    def __init__(
        self,
        limits: PoolLimits,
        driver: Driver | None,
        connect: Callable[[Route, Call, TLSSession | None], Awaitable[Stream]] = connect,
    ) -> None:
        self.limits = limits
        self.driver = driver
        self._connect = connect
        self._numbers = itertools.count()
        self.slot: Any = None
        # What the timer is armed for, at most.
        self._due = 0.0
        self._reset()
        if driver is not None:
            driver.join()

    def _reset(self) -> None:
        self.closed = False
        self._lock = threading.Lock()
        self._buckets: dict[Route, Bucket] = {}
        # The members of all buckets, to be counted. They come in here last and leave first: an interrupt between two
        # lines can leave one out while it lives, and none in for ever.
        self._members: set[Pooled | Call] = set()
        # Those with members (others may be among them still), and those where somebody waits.
        self._peopled: dict[Bucket, None] = {}
        self._queues: dict[Bucket, None] = {}
        self._turns = Turns()
        # Somebody may be waiting for what any route could give up, not only for one of their own.
        self._scarce = False
        self._route_limit = self.limits.connections_per_origin
        self._deferred: deque[Callable[[], None]] = deque()
        # TLS sessions of connections that have closed, for the next one of the same route.
        self._sessions: dict[Route, TLSSession] = {}
        # Requests that found a connection ready, of connections that are closed by now.
        self._reused = 0

    # Taking

    def take(self, route: Route, reactor: Reactor, now: float, call: Call) -> Taken | None:
        """A connection of `route` that is free for `call`, or a stream of one, at once; or None."""
        bucket = self._buckets.get(route)
        if bucket is None:
            return None
        shared = self.driver is None
        if bucket.busy:
            stream = self._share(bucket, call) if not shared else self._share_locked(bucket, call)
            if stream is not None:
                return stream
        idle = bucket.idle
        while idle:
            connection = self._claim(bucket, reactor) if shared else idle.pop()
            if connection is None:
                return None
            # Between the calls of a synchronous client nobody watches: there it is always looked at.
            if (not shared and connection.is_quiet(reactor, now)) or connection.is_usable(now):
                if shared:
                    connection.attach(reactor)
                return connection if not connection.multiplexes else self._use(bucket, connection, call)  # type: ignore[return-value]  # see `_use`
        return None

    def _use(self, bucket: Bucket, connection: Pooled, call: Call) -> Taken:
        """What carries `call` on a connection that was idle."""
        if not connection.multiplexes:
            return connection  # type: ignore[return-value]  # one of HTTP/1.1 is a carrier
        return self._open_stream(bucket, connection, call)  # type: ignore[arg-type]  # and this is of HTTP/2

    def _open_stream(self, bucket: Bucket, connection: Http2Connection, call: Call) -> Taken:
        """The first stream of a connection."""
        # What a synchronous client hands on may be read in another thread than the connection's other calls.
        alone = self.driver is None and call.handed_on
        if not alone:
            bucket.busy.append(connection)
        return connection.open_stream(alone)

    def _share(self, bucket: Bucket, call: Call) -> Taken | None:
        """A stream of a connection that serves others as well; None where none has room."""
        connection = self._find_room(bucket, call)
        return None if connection is None else connection.open_stream()

    def _share_locked(self, bucket: Bucket, call: Call) -> Taken | None:
        """`_share`, where another thread may be promising a stream as well, or making the connection an idle one."""
        with self._lock:
            return self._share(bucket, call)

    def _find_room(self, bucket: Bucket, call: Call) -> Http2Connection | None:
        # Each unit of a synchronous client uses its connections alone: its thread is the only one that watches them.
        reactor = call.driver.reactor if self.driver is None else None
        if reactor is not None and call.handed_on:
            return None
        lifetime = self.limits.lifetime
        now = call.driver.now() if lifetime is not None else 0.0
        for connection in bucket.busy:
            # One that is too old closes when it has become idle.
            is_young = lifetime is None or now < connection.created + lifetime
            if is_young and connection.room and (reactor is None or connection.reactor is reactor):
                return connection
        return None

    def _claim(self, bucket: Bucket, reactor: Reactor) -> Pooled | None:
        """Takes an idle connection for a unit. Marked before it is taken: a broken unit's connections can be found."""
        with self._lock:
            if not bucket.idle:
                return None
            connection = bucket.idle[-1]
            connection.move(reactor)
            bucket.idle.pop()
            return connection

    async def acquire(self, route: Route, call: Call, fresh: bool = False) -> Taken:
        """A connection of `route` for `call`; `fresh` asks for a new one, or one that others are waiting for.

        Raises:
            AtomHTTPClosedError, AtomHTTPNetworkError, AtomHTTPTimeoutError.
        """
        began = call.driver.now()
        while self._deferred:
            self._deferred.popleft()()
        number = -1
        while True:
            connection = None if fresh else self.take(route, call.driver.reactor, call.driver.now(), call)
            if connection is None:
                bucket, ticket, evicted = self._admit(route, call, number)
                if evicted is not None:
                    self._evict(evicted, bucket, call)
                if ticket is not None:
                    number = ticket.number
                    connection = await self._wait(bucket, ticket)
                call.pool_wait = call.driver.now() - began
                if connection is None:
                    return await self._open_connection(bucket, call)
            # It may have been closed between the grant and now; then nothing is held, and it waits in its old place.
            if connection.is_usable(call.driver.now()):
                connection.attach(call.driver.reactor)
                return connection

    def _admit(self, route: Route, call: Call, number: int) -> tuple[Bucket, Ticket | None, Pooled | None]:
        """Decides for a call that found nothing idle: it has a place to open (no ticket), or it queues.

        Args:
            number: that of the ticket which it had before; -1: it is the first time.
        """
        with self._lock:
            if self.closed:
                raise closed_error()
            bucket = self._buckets.get(route)
            if bucket is None:
                bucket = self._buckets[route] = Bucket(route)
            facts = self._facts(bucket, 0, call, len(bucket.waiting))
            decision = decide(facts)
            if decision is Decision.OPEN:
                self._join(bucket, call)
                return bucket, None, None
            if decision is Decision.EVICT_THEN_OPEN:
                victim = self._pop_oldest_idle()
                if victim is not None:
                    self._join(bucket, call)
                    return bucket, None, victim
            if facts.open_total >= facts.limit:
                self._scarce = True
            ticket = Ticket(next(self._numbers) if number < 0 else number, call)
            self._queue_up(bucket, ticket)
        # What came free in between belongs to whoever is first.
        try:
            self._serve_waiters(bucket)
        except BaseException:
            self._withdraw(bucket, ticket)
            raise
        return bucket, ticket, None

    def _join(self, bucket: Bucket, member: Pooled | Call) -> None:
        self._peopled[bucket] = None
        bucket.members.add(member)
        self._members.add(member)

    def _part(self, bucket: Bucket, member: Pooled | Call) -> None:
        self._members.discard(member)
        bucket.members.discard(member)

    def _queue_up(self, bucket: Bucket, ticket: Ticket) -> None:
        waiting = bucket.waiting
        place = len(waiting)
        # Behind all the others, but for one that has waited before.
        while place and waiting[place - 1].number > ticket.number:
            place -= 1
        waiting.insert(place, ticket)
        self._queues[bucket] = None
        self._keep_turn(bucket)

    def _keep_turn(self, bucket: Bucket) -> None:
        """Has the bucket stand among the others by the number of whoever is first in it now."""
        number = bucket.waiting[0].number if bucket.waiting else -1
        # In this order, and offered each time: whatever an interrupt leaves undone, the next one does.
        if number != bucket.turn:
            if bucket.turn >= 0:
                self._turns.withdraw(bucket.turn)
            bucket.turn = number
        if number >= 0:
            self._turns.offer(number, bucket)

    def _withdraw(self, bucket: Bucket, ticket: Ticket) -> None:
        """Nobody waits by it any more."""
        with self._lock:
            if not ticket.given:
                if ticket in bucket.waiting:
                    bucket.waiting.remove(ticket)
                self._tidy(bucket)
        if ticket.given:
            self._pass_on(bucket, ticket)

    def _evict(self, victim: Pooled, bucket: Bucket, call: Call) -> None:
        """Closes a connection in whose place `call` has one by now."""
        try:
            victim.close()
        except BaseException:
            # Its goodbye may raise; nobody else would give the place back.
            self._leave(bucket, call)
            raise

    async def _wait(self, bucket: Bucket, ticket: Ticket) -> Taken | None:
        call = ticket.call
        reactor = call.driver.reactor
        shared = self.driver is None
        call.enter("pool", call.timeout.pool)
        if shared:
            reactor.expect_calls()
        try:
            while not ticket.given:
                await call.wait()
        except BaseException as error:
            self._withdraw(bucket, ticket)
            if isinstance(error, AtomHTTPTimeoutError):
                error.message += f" ({self._describe()})"
            raise
        finally:
            if shared:
                reactor.calls_done()
        return ticket.connection

    def _describe(self) -> str:
        streams = sum(1 for item in self.connections if any(call.streaming for call in item.calls))
        busy = self.open_count - self.idle_count
        return f"{busy} connections busy of {self.limits.connections}, {streams} of them unread streams"

    async def _open_connection(self, bucket: Bucket, call: Call) -> Taken:
        reactor = call.driver.reactor
        if self.driver is None:
            reactor.expect_calls()
        try:
            session = self._find_session(bucket) if bucket.route.scheme == "https" else None
            try:
                stream = await self._connect(bucket.route, call, session)
            except AtomHTTPNetworkError:
                # Whatever it was, the next attempt had better owe nothing to this one.
                self._sessions.pop(bucket.route, None)
                # Nor to each other: who has waited for this one is to find out for itself.
                bucket.multiplexes = False
                raise
            connection = self._build_connection(stream, bucket, call.driver.now())
            connection.reactor = reactor
            with self._lock:
                # In this order, and at once for whoever counts.
                self._join(bucket, connection)
                self._part(bucket, call)
                carrier = self._use(bucket, connection, call)
        finally:
            if self.driver is None:
                reactor.calls_done()
            self._leave(bucket, call)
        if self.closed:
            connection.close()
            raise closed_error()
        connection.attach(reactor)
        return carrier

    def _build_connection(self, stream: Stream, bucket: Bucket, now: float) -> Pooled:
        limits, shared = self.limits, self.driver is None
        connection: Pooled
        bucket.multiplexes = speaks_http2(stream, bucket.route)
        if bucket.multiplexes:
            from atomhttp._net.http2 import Http2Connection, SharedHttp2Connection  # an extra, for those who ask for it

            kind = SharedHttp2Connection if shared else Http2Connection
            connection = kind(stream, self, bucket, limits.max_header_size, now, limits.ping_interval)
        else:
            usual = SharedHttp1Connection if shared else Http1Connection
            connection = usual(stream, self, bucket, limits.max_header_size, now)
        connection.expires = now + 1
        return connection

    def take_up(self, carrier: Any, reactor: Reactor) -> None:
        """Has `reactor` watch what carries a stream that is read on (in whatever unit of a synchronous client).

        Raises:
            AtomHTTPClosedError: the client has been closed meanwhile, and the stream with it.
        """
        with self._lock:
            if self.closed:
                raise closed_error()
            carrier.attach(reactor)

    def run_unlocked(self, action: Callable[[], None]) -> None:
        """Runs `action`, which will take the lock: now, or, when this very thread may hold it, at the next call.

        For what the garbage collector does: it comes between any two lines, those under the lock included.
        """
        if self._lock.acquire(blocking=False):
            self._lock.release()
            action()
        else:
            self._deferred.append(action)

    # Giving back (the connection's side)

    def release(self, connection: Pooled) -> None:
        """The connection has finished its exchanges and can take another."""
        now = connection.idle_since
        limits = self.limits
        expires = now + limits.keep_alive_timeout
        if connection.keep_alive_timeout is not None:
            expires = now + connection.keep_alive_timeout - KEEP_ALIVE_MARGIN
        if limits.lifetime is not None:
            expires = min(expires, connection.created + limits.lifetime)
        # More than the limit there are when it has been lowered.
        if expires <= now or self.closed or len(self._members) > limits.connections:
            connection.close()
            return
        any_kind: Connection = connection  # where this is compiled, it cannot set what belongs to one of two classes
        any_kind.expires = expires
        bucket: Bucket = connection.bucket
        driver = self.driver
        if driver is None:
            # Under the lock: `_claim` looks at the newest one first and takes it then.
            with self._lock:
                if connection.calls_expected:
                    # Another thread has promised a stream of it meanwhile: it is not idle after all.
                    return
                self._leave_busy(bucket, connection)
                bucket.idle.append(connection)
                expired = bucket.idle[0].expires <= now
            if expired:
                self._close_expired(now)
        else:
            if bucket.busy:
                self._leave_busy(bucket, connection)
            bucket.idle.append(connection)
            if self.slot is None or expires < self._due:
                driver.reactor.timers.discard(self)
                driver.reactor.timers.add(self, expires)
                self._due = expires
        # After the append: whoever queues looks for idle connections after it has queued.
        if self._queues:
            self._serve_waiters(bucket)

    @staticmethod
    def _leave_busy(bucket: Bucket, connection: Pooled) -> None:
        """It serves nobody any more, if it was one of those that serve many."""
        if connection.multiplexes and connection in bucket.busy:
            bucket.busy.remove(connection)

    def serve_waiters(self, connection: Http2Connection) -> None:
        """A connection that serves many has room."""
        if self._queues:
            self._serve_waiters(connection.bucket)

    def limit_changed(self, connection: Http2Connection) -> None:
        """Its server has said how many streams it allows."""
        connection.bucket.streams = max(1, connection.limit)
        self.serve_waiters(connection)

    def drop_idle(self, connection: Pooled) -> None:
        """Closes a connection, if it is idle still."""
        if self._take_idle(connection):
            connection.close()

    def check_idle(self, connection: Pooled) -> None:
        """An idle connection is said to have something to read: if it is idle still, and has, it is closed."""
        # The event may be a stale one, of an exchange that has ended in another thread meanwhile.
        if self._take_idle(connection) and connection.is_usable(connection.idle_since):
            self.release(connection)

    def _take_idle(self, connection: Pooled) -> bool:
        with self._lock:
            try:
                connection.bucket.idle.remove(connection)
            except ValueError:
                return False
        return True

    def forget(self, connection: Pooled) -> None:
        """The connection has closed."""
        bucket: Bucket = connection.bucket
        session = connection.session
        with self._lock:
            if connection in bucket.idle:
                bucket.idle.remove(connection)
            self._leave_busy(bucket, connection)
            if connection in bucket.members:
                self._reused += max(0, connection.served - 1)
                self._part(bucket, connection)
            if session is not None:
                self._keep_session(bucket.route, session)
        self._leave(bucket, connection)

    def _keep_session(self, route: Route, session: TLSSession) -> None:
        # The newest last: a ticket is good for hours, and the oldest goes first.
        known = self._sessions.pop(route, None)
        self._sessions[route] = known if known is not None and known.is_kept else session
        if len(self._sessions) > MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]

    def _find_session(self, bucket: Bucket) -> TLSSession | None:
        """A TLS session to take up again: of a connection that is open, or of the last one that was."""
        known = self._sessions.get(bucket.route)
        if known is not None and known.is_kept:
            return known
        if self.driver is not None:
            # Synchronously another thread may be reading from an open one, and OpenSSL's objects are not to be shared.
            for member in list(bucket.members):
                # What has served has had the time for a ticket to come.
                if isinstance(member, Connection) and member.served and (session := member.session) is not None:
                    with self._lock:
                        self._keep_session(bucket.route, session)
                    return session
        return known

    def _leave(self, bucket: Bucket, member: Pooled | Call) -> None:
        """There is a place free."""
        with self._lock:
            self._part(bucket, member)
            self._tidy(bucket)
        if self._queues:
            self._serve_waiters(bucket)

    def _tidy(self, bucket: Bucket) -> None:
        """Forgets a bucket that nobody uses, or is in; and whoever is first in it now has a turn."""
        self._keep_turn(bucket)
        if not bucket.members:
            self._peopled.pop(bucket, None)
        if not bucket.waiting:
            self._queues.pop(bucket, None)
            if not bucket.members:
                self._buckets.pop(bucket.route, None)

    def _pass_on(self, bucket: Bucket, ticket: Ticket) -> None:
        """A grant that met a cancellation in the same tick."""
        connection = ticket.connection
        if connection is None:
            self._leave(bucket, ticket.call)
        elif connection.multiplexes:
            connection.close()
        elif not connection.closed:
            with self._lock:
                bucket.idle.append(connection)  # type: ignore[arg-type]  # one of HTTP/1.1 carries one call by itself
            self._serve_waiters(bucket)

    # Waiters

    def _serve_waiters(self, bucket: Bucket | None) -> None:
        """Gives away what there is, oldest ticket first. `bucket` is where something has changed; None: anywhere."""
        while True:
            with self._lock:
                ticket, victim = self._grant(bucket)
            if ticket is None:
                return
            try:
                if victim is not None:
                    victim.close()
            finally:
                self._tell(ticket.call, ticket.call.wake)

    def _grant(self, changed: Bucket | None) -> tuple[Ticket | None, Pooled | None]:
        """The oldest ticket that can be served, with what was given to it, and what has to be closed for that."""
        while True:
            turn = self._find_turn(changed)
            if turn is None:
                return None, None
            bucket: Bucket = turn[0]
            decision = turn[1]
            # It leaves the queue last: an interrupt must not leave it nowhere.
            ticket = bucket.waiting[0]
            victim = None
            if decision is Decision.REUSE:
                try:
                    ticket.connection = self._reuse(bucket, ticket.call)
                except IndexError:
                    # Another thread was faster; the facts have changed.
                    continue
            else:
                if decision is Decision.EVICT_THEN_OPEN:
                    victim = self._pop_oldest_idle()
                    if victim is None:
                        continue
                self._join(bucket, ticket.call)
            ticket.given = True
            bucket.waiting.popleft()
            self._tidy(bucket)
            return ticket, victim

    def _find_turn(self, changed: Bucket | None) -> tuple[Bucket, Decision] | None:
        """Whose turn it is, and what its first gets."""
        limits = self.limits
        if limits.connections_per_origin != self._route_limit:
            self._route_limit = limits.connections_per_origin
            self._scarce = True
        is_full = len(self._members) >= limits.connections
        if is_full:
            # Whoever cannot be served now may be by what any route gives up later.
            self._scarce = True
        if changed is not None and not (self._has_idle() if is_full else self._scarce):
            # Nothing is to be had but what this route has of its own.
            decision = self._judge(changed)
            return None if decision is Decision.WAIT else (changed, decision)
        turn = self._turns.find(self._judge)
        if turn is None and not is_full:
            # What a connection of HTTP/2 will take is a guess: who waits for one is asked about at every change.
            self._scarce = any(bucket.multiplexes for bucket in self._queues)
        return turn

    def _judge(self, bucket: Bucket) -> Decision:
        """What the first who waits in `bucket` gets."""
        if not bucket.waiting:
            return Decision.WAIT
        call = bucket.waiting[0].call
        free = len(bucket.idle) + (1 if bucket.busy and self._find_room(bucket, call) is not None else 0)
        return decide(self._facts(bucket, free, call, len(bucket.waiting) - 1))

    def _reuse(self, bucket: Bucket, call: Call) -> Taken:
        """What is free for `call`. Raises IndexError when it is gone."""
        stream = self._share(bucket, call) if bucket.busy else None
        if stream is not None:
            return stream
        connection = bucket.idle[-1]
        connection.move(call.driver.reactor)
        bucket.idle.pop()
        return self._use(bucket, connection, call)

    def _tell(self, call: Call, message: Callable[[], None]) -> None:
        """Has `message` heard where `call` waits: at once, or in the other thread, when that comes to look."""
        if self.driver is None:
            call.driver.reactor.call_soon_threadsafe(message)
        else:
            message()

    def _facts(self, bucket: Bucket, idle: int, call: Call, waiting: int) -> Facts:
        limits = self.limits
        total = len(self._members)
        # Only where the limit is reached: nobody asks before.
        any_idle = total >= limits.connections and self._has_idle()
        coming = self._count_coming(bucket, call) if bucket.multiplexes else 0
        return Facts(
            idle,
            len(bucket.members),
            any_idle,
            total,
            limits.connections,
            limits.connections_per_origin,
            coming,
            waiting,
        )

    def _count_coming(self, bucket: Bucket, call: Call) -> int:
        """How many calls can be expected to find room on connections that are being made."""
        # See `_find_room`.
        reactor = call.driver.reactor if self.driver is None else None
        if reactor is not None and call.handed_on:
            return 0
        makers = [each for each in bucket.members if isinstance(each, Call)]
        made = sum(reactor is None or (each.driver.reactor is reactor and not each.handed_on) for each in makers)
        # Until the peer has said how many streams it takes, it may well be more.
        made += sum(not each.settled and (reactor is None or each.reactor is reactor) for each in bucket.busy)
        return made * bucket.streams

    # Idle connections

    def _has_idle(self) -> bool:
        return any(bucket.idle for bucket in self._peopled)

    def _pop_oldest_idle(self) -> Pooled | None:
        """The connection that has been idle longest, or None when other threads have taken them all."""
        oldest: Bucket | None = None
        since = 0.0
        for bucket in self._peopled:
            try:
                first = bucket.idle[0].idle_since
            except IndexError:
                continue
            if oldest is None or first < since:
                oldest, since = bucket, first
        try:
            return oldest.idle.popleft() if oldest is not None else None
        except IndexError:
            return None

    def expire(self, now: float) -> float | None:
        """The timer: closes what has been idle too long; returns when to look again."""
        self._close_expired(now)
        self._due = min((item.expires for item in self._idle_connections()), default=0.0)
        return self._due or None

    def _close_expired(self, now: float) -> None:
        for connection in self._idle_connections():
            if connection.expires <= now:
                # Not `close`: another thread may be taking it, and would wait on it for ever.
                self.drop_idle(connection)

    def _idle_connections(self) -> Iterator[Pooled]:
        with self._lock:
            return iter([connection for bucket in self._buckets.values() for connection in bucket.idle])

    # Ends

    def close(self) -> None:
        """Closes every connection; calls in flight and waiting get AtomHTTPClosedError. Twice is fine."""
        with self._lock:
            again, self.closed = self.closed, True
            waiting = [ticket.call for bucket in self._queues for ticket in bucket.waiting]
            members = [member for bucket in self._buckets.values() for member in bucket.members]
            # Streams of a synchronous client that nobody is reading; from here on nobody will (`take_up`).
            unread = {each for each in members if not isinstance(each, Call) and each.reactor is None}
            for connection in unread:
                for call in connection.calls:
                    # Before it loses its connection: who begins to read meanwhile must not wait for anything.
                    call.error = call.error or closed_error()
        for call in [*waiting, *(member for member in members if isinstance(member, Call))]:
            self._disarm(call)
            self._tell(call, partial(call.interrupt, closed_error()))
        for connection in self.connections:
            calls = connection.calls
            if not calls or self.driver is not None or connection in unread:
                for call in calls:
                    self._disarm(call)
                connection.fail(closed_error())
            else:
                # Another thread is waiting on it: it finds the end of the stream, and this pool closed.
                connection.shut()
        if self.driver is not None:
            self.driver.reactor.timers.discard(self)
            if again:
                self.driver.retire_unused()
            else:
                self.driver.leave()

    def _disarm(self, call: Call) -> None:
        """An interrupted call disarms itself only when its coroutine goes on; the loop's timer should end with us."""
        if self.driver is not None:
            self.driver.reactor.timers.discard(call)

    def drop(self, reactor: Reactor) -> None:
        """The unit of `reactor` was broken off by an interrupt, who knows where: whatever it used is closed."""
        with self._lock:
            for bucket in list(self._buckets.values()):
                for ticket in list(bucket.waiting):
                    # One that has been given what it waits for was about to leave the queue, and to be told.
                    if ticket.given:
                        self._tell(ticket.call, ticket.call.wake)
                    if ticket.given or ticket.call.driver.reactor is reactor:
                        bucket.waiting.remove(ticket)
                for member in list(bucket.members):
                    if isinstance(member, Call) and member.driver.reactor is reactor:
                        self._part(bucket, member)
                self._tidy(bucket)
        for connection in self.connections:
            if connection.reactor is reactor:
                # Not `close`: that may be what was interrupted.
                connection.abandon()
                self.forget(connection)
        self._serve_waiters(None)

    def abandon(self) -> None:
        """The loop is gone, or the process forked: closes descriptors and starts anew."""
        for connection in self.connections:
            connection.abandon()
        if self.driver is not None:
            self.driver.reactor.close_all()
        self.slot = None
        self._reset()

    @property
    def stats(self) -> PoolStats:
        """How its connections are doing."""
        # Not for ever: a handler of the system's signals may ask in the middle of this very thread's bookkeeping.
        locked = self._lock.acquire(timeout=STATS_PATIENCE)
        try:
            waiting = sum(len(bucket.waiting) for bucket in list(self._buckets.values()))
            reused = self._reused + sum(max(0, item.served - 1) for item in self.connections)
            return PoolStats(self.open_count, self.idle_count, waiting, reused)
        finally:
            if locked:
                self._lock.release()

    @property
    def open_count(self) -> int:
        """Connections open or being made."""
        return sum(len(bucket.members) for bucket in list(self._peopled))

    @property
    def connections(self) -> list[Pooled]:
        """The connections that are open, idle or not."""
        members = [member for bucket in list(self._buckets.values()) for member in list(bucket.members)]
        return [member for member in members if not isinstance(member, Call)]

    @property
    def idle_count(self) -> int:
        """Connections that wait for a call."""
        return sum(len(bucket.idle) for bucket in list(self._buckets.values()))


def closed_error() -> AtomHTTPClosedError:
    """For calls that meet a closed client."""
    return AtomHTTPClosedError("the client has been closed")
