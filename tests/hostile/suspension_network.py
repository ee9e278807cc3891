"""A network in memory: sockets, pollers, lookups and threads that move only when everybody waits.

Theory of operation. The engine gets at the system in a handful of places: `socket.socket`, `socket.socketpair`,
`socket.getaddrinfo`, a poller, a probe of one descriptor, daemon threads, a clock. `installed` puts a `Network` behind
all of them. The network's events (a connect ends, a peer reads, a piece of its answer arrives, a thread has finished)
lie in one queue, and the next one happens only when the client has nothing left to do; time jumps to the next timer
when there are no events either. So a run is the same each time, and ends at once where it would have waited for ever.

Every call of `connect_ex`, `getsockopt` (for how a connect ended), `recv`, `send` and `getaddrinfo` is counted as one
operation, and a `Fault` makes one of them fail. Not counted is a `recv` that finds nothing: that a connection fails
just then is no other case than that it fails at the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import selectors
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

from atomhttp._net import connection, race, reactor, resolve, threads
from atomhttp._net.drivers import aio, blocking
from atomhttp._net.pollers import ERROR, HANGUP, IN, OUT

# No real descriptor has such a number, and none is used twice.
FIRST_DESCRIPTOR = 1 << 20
# What a socket takes before its peer has read.
WINDOW = 64 * 1024
# Seconds that one event takes: more than the 5 ms for which the engine trusts its last look at what is idle would hide
# the second look, less hides nothing.
TICK = 0.001
# No scenario needs a tenth of it: events in all, and looks at the pollers between two of them.
MOST_EVENTS = 20_000
MOST_LOOKS = 2_000

Peer = Callable[["Wire"], Generator[None, None, None]]


class HangError(AssertionError):
    """Somebody waits, and nothing will ever happen."""


@dataclass
class Fault:
    """What happens at the operation number `at`, counted from 0.

    Attributes:
        kind: "reset", "pipe", "eof", "garbage", "truncated", "memory" or "interrupt".
        hit: the operation that it met, None before.
    """

    kind: str
    at: int
    hit: str | None = None


@dataclass(eq=False)
class Network:
    """Peers by their address, and everything that is under way.

    Attributes:
        now: the clock, in seconds.
        peers: (address, port), or the path of a unix socket, to who serves there; None: nobody ever answers.
        names: what a lookup finds.
        operations: the names of the operations so far.
        open: the client's sockets that are open.
        wires: the peers' ends of all connections there were.
        on_wait: called before a synchronous caller waits.
        released: whether peers that hold their answer back may go on.
        requests: what the peers have been asked, one line each, as they saw it.
    """

    now: float = 1000.0
    peers: dict[Any, Peer | None] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    fault: Fault | None = None
    operations: list[str] = field(default_factory=list)
    open: dict[int, MemorySocket] = field(default_factory=dict)
    wires: list[Wire] = field(default_factory=list)
    events: deque[Callable[[], None]] = field(default_factory=deque)
    on_wait: Callable[[], None] = lambda: None
    released: bool = False
    requests: list[str] = field(default_factory=list)
    _next: int = FIRST_DESCRIPTOR
    _count: int = 0
    _looks: int = 0

    def time(self) -> float:
        return self.now

    def number(self) -> int:
        self._next += 1
        return self._next

    # What happens

    def post(self, event: Callable[[], None]) -> None:
        """Has `event` happen when its turn has come, and nobody has anything else to do."""
        self.events.append(event)

    def advance(self) -> bool:
        """The next event; False when there is none."""
        if not self.events:
            return False
        self._count += 1
        if self._count > MOST_EVENTS:
            raise HangError(f"{MOST_EVENTS} events, and no end")
        self.now += TICK
        self._looks = 0
        self.events.popleft()()
        return True

    def look(self) -> None:
        """Somebody looks whether there is anything to do."""
        self._looks += 1
        if self._looks > MOST_LOOKS:
            raise HangError("somebody is told again and again of something, and does nothing about it")

    def release(self) -> None:
        """Peers that hold their answer back go on."""
        self.released = True
        for wire in self.wires:
            wire.wake()

    def submit(self, job: Callable[[], None]) -> None:
        """In the place of the engine's daemon threads."""
        self.post(job)

    # Operations

    def operate(self, name: str) -> str | None:
        """One more operation: what is to go wrong with it."""
        self.operations.append(name)
        fault = self.fault
        if fault is None or len(self.operations) - 1 != fault.at:
            return None
        fault.hit = name
        if fault.kind == "interrupt":
            raise KeyboardInterrupt
        return fault.kind

    def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        if self.operate("lookup") is not None:
            raise socket.gaierror(socket.EAI_AGAIN, "temporary failure in name resolution")
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "name or service not known")
        found = self.names[host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    def socket(self, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> MemorySocket:
        return MemorySocket(self, family)

    def socketpair(self) -> tuple[MemorySocket, MemorySocket]:
        """For the engine's wake-up: what goes into one is in the other at once. No operations of the network."""
        one, other = MemorySocket(self), MemorySocket(self)
        one.twin, other.twin = other, one
        one.state = other.state = "open"
        return one, other

    def probe(self, descriptor: int) -> Callable[[int], Sequence[tuple[int, int]]]:
        def poll(_: int) -> Sequence[tuple[int, int]]:
            found = self.open.get(descriptor)
            return [(descriptor, IN)] if found is not None and found.ready(IN) else []

        return poll


# The client's side


class MemorySocket:
    """The client's end of a connection."""

    def __init__(self, network: Network, family: int = socket.AF_INET) -> None:
        self.family = family
        self.state = "new"
        self.incoming = bytearray()
        self.ended = False
        self.error = 0
        self.address: Any = None
        self.wire: Wire | None = None
        self.twin: MemorySocket | None = None
        self._network = network
        self._number = network.number()
        network.open[self._number] = self

    def fileno(self) -> int:
        return -1 if self.state == "closed" else self._number

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def setsockopt(self, *_: Any) -> None:
        """Nothing here depends on it."""

    def ready(self, mask: int) -> int:
        """What a poller says of it."""
        if self.state == "connecting":
            return 0
        found = 0
        if mask & IN and (self.incoming or self.ended or self.error):
            found = IN
        if mask & OUT and (self.error or self._room):
            found |= OUT
        return found | ERROR | HANGUP if self.error else found

    @property
    def _room(self) -> int:
        return WINDOW if self.wire is None else max(0, WINDOW - len(self.wire.inbox))

    # Operations

    def connect_ex(self, address: Any) -> int:
        kind = self._network.operate("connect")
        if kind == "memory":
            raise MemoryError
        if kind is not None:
            return {"reset": errno.ECONNRESET, "pipe": errno.EPIPE}.get(kind, errno.ECONNREFUSED)
        self.address = address
        if self.family == socket.AF_UNIX:
            if address not in self._network.peers:
                return errno.ENOENT
            self._establish()
            return 0
        self.state = "connecting"
        if self._network.peers.get(address[:2], self) is not None:
            self._network.post(self._establish)
        return errno.EINPROGRESS

    def _establish(self) -> None:
        if self.state == "closed":
            return
        address = self.address if self.family == socket.AF_UNIX else self.address[:2]
        peer = self._network.peers.get(address)
        self.state = "open"
        if peer is None:
            self.error = errno.ECONNREFUSED
        else:
            self.wire = Wire(self._network, self, peer)

    def getsockopt(self, *_: Any) -> int:
        kind = self._network.operate("connected")
        if kind == "memory":
            raise MemoryError
        if kind is not None:
            self._cut()
            return {"reset": errno.ECONNRESET, "pipe": errno.EPIPE}.get(kind, errno.ECONNREFUSED)
        return self.error

    def recv_into(self, buffer: memoryview) -> int:
        received = self.recv(len(buffer))
        buffer[: len(received)] = received
        return len(received)

    def recv(self, size: int) -> bytes:
        if not (self.incoming or self.ended or self.error):
            raise BlockingIOError
        if self.twin is None and (kind := self._network.operate("recv")) is not None:
            self._break(kind)
            if kind == "pipe":
                raise BrokenPipeError(errno.EPIPE, "broken pipe")
        if self.error:
            raise OSError(self._take_error(), "as the peer, or the fault, wants it")
        received = bytes(self.incoming[:size])
        del self.incoming[:size]
        return received

    def sendmsg(self, buffers: Iterable[bytes | memoryview]) -> int:
        return self.send(b"".join(buffers))

    def send(self, data: bytes | memoryview) -> int:
        if self.twin is not None:
            self.twin.incoming += data
            return len(data)
        kind = self._network.operate("send")
        if kind is not None:
            self._break(kind)
            if kind != "reset":
                if kind == "pipe":
                    raise BrokenPipeError(errno.EPIPE, "broken pipe")
                # It has left, and nobody is there any more who would get it.
                return len(data)
        if self.error:
            raise OSError(self._take_error(), "as the peer, or the fault, wants it")
        if self.ended and (self.wire is None or self.wire.gone):
            raise BrokenPipeError(errno.EPIPE, "broken pipe")
        assert self.wire is not None
        taken = min(len(data), self._room)
        if not taken:
            raise BlockingIOError
        self.wire.inbox += data[:taken]
        self.wire.wake()
        return taken

    def _break(self, kind: str) -> None:
        """From here on the connection is as the fault wants it."""
        incoming = bytes(self.incoming)
        self._cut()
        if kind == "memory":
            raise MemoryError
        if kind == "reset":
            self.error = errno.ECONNRESET
        elif kind == "garbage":
            # No TLS record, no HTTP, no SOCKS.
            self.incoming += b"\x00\xff\r\n\r\ngarbage \x80\r\n\r\n" * 3
        elif kind == "truncated":
            self.incoming += incoming[: (len(incoming) + 1) // 2]
        elif kind == "pipe":
            # What has arrived can still be read: a peer may say why it listens no more.
            self.incoming += incoming

    def _take_error(self) -> int:
        found, self.error = self.error, 0
        self.ended = True
        return found

    def _cut(self) -> None:
        self.incoming.clear()
        self.ended = True
        if self.wire is not None:
            self.wire.cut()

    def shutdown(self, how: int) -> None:
        self._cut()

    def close(self) -> None:
        if self.state == "closed":
            return
        self.state = "closed"
        del self._network.open[self._number]
        if self.wire is not None:
            self.wire.cut()


class MemoryPoller:
    """What an event loop, or a synchronous unit, waits on."""

    def __init__(self, network: Callable[[], Network]) -> None:
        self._find_network = network
        self._number = network().number()
        self.masks: dict[int, int] = {}

    def register(self, descriptor: int, mask: int) -> None:
        assert descriptor not in self.masks
        self.masks[descriptor] = mask

    def modify(self, descriptor: int, mask: int) -> None:
        assert descriptor in self.masks
        self.masks[descriptor] = mask

    def unregister(self, descriptor: int) -> None:
        del self.masks[descriptor]

    def fileno(self) -> int:
        return self._number

    def close(self) -> None:
        self.masks.clear()

    def ready(self) -> list[tuple[int, int]]:
        sockets = self._find_network().open
        found = ((each, sockets[each].ready(mask)) for each, mask in self.masks.items() if each in sockets)
        return [(each, mask) for each, mask in found if mask]

    def poll(self, timeout: float, most: int) -> Sequence[tuple[int, int]]:
        if timeout == 0:
            return self.ready()[:most]
        network = self._find_network()
        network.look()
        network.on_wait()
        while not (found := self.ready()):
            if not network.advance():
                if timeout < 0:
                    raise HangError("a synchronous caller waits, and nothing will ever happen")
                network.now += timeout
                break
        return found[:most]


# The peers' side


class Wire:
    """The peer's end of a connection. A peer is a generator: it yields where it waits for bytes, or to be released.

    Attributes:
        inbox: what has arrived and was not read yet.
        gone: whether the client has left.
        busy: whether the peer is in the middle of a request: a client must not keep such a connection.
        is_talkative: whether the peer may say something at any time, also to a client that asks nothing (HTTP/2).
    """

    def __init__(self, network: Network, client: MemorySocket, peer: Peer) -> None:
        self.network = network
        self.inbox = bytearray()
        self.gone = False
        self.busy = False
        self.is_talkative = False
        self._client = client
        self._awake = False
        self._over = False
        self._peer = peer(self)
        network.wires.append(self)
        self.wake()

    # For peers

    def poll(self) -> bytes | None:
        """What has come by now, None when nothing has; b"" when the client has left."""
        if not self.inbox and not self.gone:
            return None
        received = bytes(self.inbox)
        self.inbox.clear()
        return received

    def has_its_say(self) -> None:
        """It speaks HTTP/2; see `is_talkative`."""
        self.is_talkative = True

    def receive(self) -> Generator[None, None, bytes]:
        """What comes next; b"" when the client has left."""
        while (received := self.poll()) is None:
            yield
        return received

    def send(self, data: bytes) -> None:
        """`data` arrives in one piece, when its turn has come."""
        self.network.post(lambda: self._deliver(data))

    def end(self) -> None:
        """The peer closes its side, behind what it has sent."""
        self.network.post(self._end)

    def reset(self) -> None:
        """The peer resets the connection, at once."""
        self._over = True
        if not self.gone:
            self.cut()
            self._client.incoming.clear()
            self._client.error = errno.ECONNRESET

    def _deliver(self, data: bytes) -> None:
        if not self.gone and not self._over:
            self._client.incoming += data

    def _end(self) -> None:
        self._over = True
        if not self.gone:
            self._client.ended = True

    # For the network

    @property
    def undelivered(self) -> bool:
        """Whether something has arrived at the client that it has not read."""
        return bool(self._client.incoming or self._client.ended or self._client.error)

    def wake(self) -> None:
        """The peer looks again what there is."""
        if not self._awake:
            self._awake = True
            self.network.post(self._run)

    def _run(self) -> None:
        self._awake = False
        if next(self._peer, self) is self and not self._over:
            self.end()

    def cut(self) -> None:
        """Nothing goes either way any more."""
        if not self.gone:
            self.gone = True
            self.wake()


# Where the engine finds it


class NetworkLoop(asyncio.SelectorEventLoop):
    """An event loop that waits for a network in memory. Give it another network for each run."""

    def __init__(self) -> None:
        self.network = Network()
        super().__init__(_NetworkSelector(self))

    def time(self) -> float:
        return self.network.now


class _NetworkSelector(selectors.BaseSelector):
    """Serves the engine's pollers; real is only the pipe by which an event loop wakes itself."""

    def __init__(self, loop: NetworkLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()
        self._keys: dict[int, selectors.SelectorKey] = {}
        self.pollers: dict[int, MemoryPoller] = {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        network = self._loop.network
        if timeout is None or timeout > 0:
            network.look()
        while True:
            found = [(key, 1) for number, key in self._keys.items() if self.pollers[number].ready()]
            if found or (timeout is not None and timeout <= 0):
                return found
            if not network.advance():
                if found := self._real.select(0):
                    return found
                if timeout is None:
                    raise HangError("the event loop waits, and nothing will ever happen")
                network.now += timeout
                return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if not isinstance(fileobj, int) or fileobj < FIRST_DESCRIPTOR:
            return self._real.register(fileobj, events, data)
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, fileobj, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj) if fileobj in self._keys else self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        self.unregister(fileobj)
        return self.register(fileobj, events, data)

    def get_map(self) -> Any:
        return {**self._real.get_map(), **self._keys}

    def close(self) -> None:
        self._real.close()


def _module(network: Callable[[], Network]) -> Any:
    """The module `socket`, as far as it touches the system."""
    replaced = SimpleNamespace(**{name: getattr(socket, name) for name in dir(socket) if not name.startswith("__")})
    replaced.socket = lambda *arguments: network().socket(*arguments)
    replaced.socketpair = lambda: network().socketpair()
    replaced.getaddrinfo = lambda *arguments, **options: network().getaddrinfo(*arguments, **options)
    return replaced


@contextlib.contextmanager
def installed(network: Callable[[], Network], loop: NetworkLoop | None = None) -> Iterator[None]:
    """Puts the network that `network` gives in the system's place, and under `loop` where there is one."""

    def build_poller() -> MemoryPoller:
        poller = MemoryPoller(network)
        if loop is not None:
            loop._selector.pollers[poller.fileno()] = poller  # type: ignore[attr-defined]  # ours
        return poller

    def clock() -> float:
        return network().now

    module = _module(network)
    with contextlib.ExitStack() as stack:
        for place, name, value in (
            (race, "socket", module),
            (reactor, "socket", module),
            (resolve, "socket", module),
            (threads, "_threads", SimpleNamespace(submit=lambda job: network().submit(job))),
            (connection, "build_probe", lambda descriptor: network().probe(descriptor)),
            (aio, "build_nested_poller", build_poller),
            (blocking, "build_nested_poller", build_poller),
            (blocking, "build_plain_poller", build_poller),
            (aio.AsyncioDriver, "clock", staticmethod(clock)),
            (blocking.BlockingDriver, "clock", staticmethod(clock)),
        ):
            stack.enter_context(mock.patch.object(place, name, value))
        yield
