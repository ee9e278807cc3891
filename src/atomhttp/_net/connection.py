"""What every connection is to the pool and to the reactor: where it is watched, whether it can be used, how it ends."""

from __future__ import annotations

import socket
from abc import ABCMeta, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Protocol

from atomhttp._compiled import mypyc_attr
from atomhttp._net.call import Call
from atomhttp._net.pollers import IN, build_probe
from atomhttp._net.reactor import RECENT, Handler
from atomhttp._net.stream import Stream
from atomhttp._net.tls_session import TLSSession

if TYPE_CHECKING:
    from atomhttp._net.reactor import Reactor


# What is sent before others have a turn: a peer as fast as we are always takes more.
BREATH: Final = 512 * 1024


@mypyc_attr(allow_interpreted_subclasses=True)
class Owner(metaclass=ABCMeta):
    """Who keeps the connection when it is idle (the pool)."""

    @abstractmethod
    def release(self, connection: Any, /) -> None:
        """It has become idle."""

    @abstractmethod
    def forget(self, connection: Any, /) -> None:
        """It has closed."""

    @abstractmethod
    def check_idle(self, connection: Any, /) -> None:
        """It is idle, as far as it knows, and something has come."""

    @abstractmethod
    def serve_waiters(self, connection: Any, /) -> None:
        """There is room on it."""

    @abstractmethod
    def limit_changed(self, connection: Any, /) -> None:
        """It takes another number of streams than before."""


class Carrier(Protocol):
    """What carries one exchange: an HTTP/1.1 connection, or a stream of an HTTP/2 one.

    Attributes:
        multiplexes: other exchanges go on beside it (HTTP/2).
        reactor: what watches it; None between two reads of a synchronous stream.
        closed: it carries nothing any more.
    """

    @property
    def multiplexes(self) -> bool: ...
    @property
    def reactor(self) -> Reactor | None: ...
    @property
    def closed(self) -> bool: ...

    @property
    def writable(self) -> bool:
        """Whether all that was written has left."""
        ...

    @property
    def write_failed(self) -> bool:
        """Whether the peer takes no more."""
        ...

    def is_usable(self, now: float, /) -> bool:
        """Whether an exchange can begin on it."""
        ...

    def attach(self, reactor: Reactor, /) -> None:
        """Has `reactor` watch it."""

    def detach(self) -> None:
        """Nobody watches it until it is attached again."""

    def start(self, call: Call, method: str, head: Any, content: list[bytes] | None = None, /) -> None:
        """Begins an exchange. Without `content` there is none, unless `call` is uploading: then it follows."""

    def start_whole(self, call: Call, method: str, head: Any, content: bytes, /) -> None:
        """Begins an exchange whose content is small: it goes out with the head."""

    def write_piece(self, piece: bytes | memoryview, sized: bool, /) -> None:
        """Sends content, as far as it goes; the rest follows. `sized`: its length has been announced."""

    def end_content(self, sized: bool, /) -> None:
        """There is no more content."""

    def resume(self) -> None:
        """The consumer has caught up."""

    def consumed(self) -> None:
        """The consumer has taken a piece."""

    def close(self) -> None:
        """Gives the exchange up."""

    def abandon(self) -> None:
        """The loop is gone or the process forked: only our copy of the descriptor is closed."""


class Connection(Handler):
    """One socket. Owned by a pool, driven by a reactor."""

    __slots__ = (
        "_fd",
        "_mask",
        "_owner",
        "_probe",
        "_stream",
        "bucket",
        "closed",
        "created",
        "drained_at",
        "expires",
        "idle_since",
        "keep_alive_timeout",
        "reactor",
        "served",
    )

    def __init__(self, stream: Stream, owner: Owner, bucket: Any, now: float) -> None:
        self._stream = stream
        # Asks whether there is anything to look at, without the exception that an empty socket costs (2 µs).
        self._probe = build_probe(stream.fileno())
        self._owner = owner
        self._fd = stream.fileno()
        self._mask = 0
        self.reactor: Reactor | None = None
        self.bucket = bucket
        self.closed = False
        self.created = now
        self.idle_since = now
        # When it was known last that nothing more had come.
        self.drained_at = 0.0
        self.expires = now
        self.keep_alive_timeout: float | None = None
        self.served: int = 0

    @property
    def session(self) -> TLSSession | None:
        """Its TLS session, once there is one to take up again."""
        return self._stream.session

    @property
    @abstractmethod
    def calls(self) -> list[Call]:
        """What is under way on it."""

    @property
    def calls_expected(self) -> bool:
        """Whether something is going to happen on it (HTTP/2: a stream has been promised)."""
        return False

    # Where it is watched

    def attach(self, reactor: Reactor) -> None:
        """Has `reactor` watch it."""
        if self.reactor is not reactor:
            self.move(reactor)
        if self._mask != IN:
            self._watch(IN)

    def move(self, reactor: Reactor) -> None:
        """It belongs to `reactor` from now on, not watched yet (a synchronous client's units pass connections on)."""
        if self.reactor is not reactor:
            self.detach()
            self.reactor = reactor

    def detach(self) -> None:
        """Nobody watches it."""
        self._watch(0)
        self.reactor = None

    def _watch(self, mask: int) -> None:
        if mask == self._mask:
            return
        reactor = self.reactor
        assert reactor is not None
        if not mask:
            reactor.unregister(self._fd)
        elif self._mask:
            reactor.modify(self._fd, mask)
        else:
            reactor.register(self._fd, mask, self)
        self._mask = mask

    # Whether it can be used

    def is_quiet(self, reactor: Reactor, now: float) -> bool:
        """Whether nothing had come a moment ago: then `is_usable` need not be asked.

        It was drained then, or the reactor has looked at everything that is idle. (To look at each single one, each
        time, costs 2 to 5 µs a request.)
        """
        if now - self.drained_at >= RECENT:
            if now - reactor.polled_at >= RECENT and not reactor.look(now):
                return False
            if self._fd in reactor.readable:
                return False
        return not self.closed and now < self.expires

    def is_usable(self, now: float) -> bool:
        """Whether an idle connection can take a call: alive, not too old, and nothing came that nobody asked for."""
        if self.closed:
            return False
        if self.expires <= now:
            self.close()
        elif self._probe is None or self._probe(0):
            self._look()
        return not self.closed

    @abstractmethod
    def _look(self) -> None:
        """Reads what the reactor may not have come to yet."""

    # The reactor's side

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """Closes the connection; what is under way on it ends with `error`."""

    def abandon(self) -> None:
        """The loop is gone or the process forked: only our copy of the descriptor is closed."""
        self.closed = True
        self._mask = 0
        self._stream.sock.close()

    # Ends

    def shut(self) -> None:
        """Ends it from another thread: whoever waits on it finds the end of the stream, and not a clean one."""
        self._stream.clean_eof = False
        try:
            self._stream.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            # Expected: it has ended already.
            return

    @abstractmethod
    def close(self) -> None:
        """Closes for good, without a word to what is under way on it: that is `fail`."""

    def _close_socket(self) -> None:
        reactor = self.reactor
        sock = self._stream.sock
        if reactor is not None:
            self._watch(0)
            reactor.close(sock)
        else:
            sock.close()
        self._owner.forget(self)
