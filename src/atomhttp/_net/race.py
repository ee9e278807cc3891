"""From addresses to a connected socket: happy eyeballs (RFC 8305)."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final

from atomhttp._net.call import Call
from atomhttp._net.pollers import OUT
from atomhttp._net.reactor import Handler, Reactor
from atomhttp._net.resolve import Address
from atomhttp.errors import AtomHTTPNetworkError

# RFC 8305 section 5: the Connection Attempt Delay, in seconds.
ATTEMPT_DELAY: Final = 0.25
_UNDER_WAY: Final = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY)
_UNIX: Final = getattr(socket, "AF_UNIX", None)
# Linux chooses the local port when it knows the peer: many more connections fit on one address.
_BIND_WITHOUT_PORT: Final = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24 if sys.platform == "linux" else None)


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """The addresses with their families alternating, the first one's first (RFC 8305 section 4)."""
    first = [item for item in addresses if item[0] == addresses[0][0]]
    other = [item for item in addresses if item[0] != addresses[0][0]]
    mixed: list[Address] = []
    while first or other:
        mixed += first[:1] + other[:1]
        first, other = first[1:], other[1:]
    return mixed


class Race:
    """Happy eyeballs (RFC 8305): attempts start 250 ms apart, or as soon as one fails; the first to connect wins.

    Args:
        name: where the addresses lead, for messages.
        local: the address and port to connect from.
    """

    def __init__(
        self, call: Call, addresses: Sequence[Address], name: str, local: tuple[str, int] | None = None
    ) -> None:
        self.slot: Any = None
        self._call = call
        self._reactor = call.driver.reactor
        self._waiting = interleave(addresses)
        self._attempts: list[_Attempt] = []
        self._errors: list[OSError] = []
        self._name = name
        self._local = local
        self._tried: list[str] = []
        self._winner: socket.socket | None = None

    async def run(self) -> socket.socket:
        try:
            self._start_next()
            while self._winner is None and (self._attempts or self._waiting):
                await self._call.wait()
            if self._winner is None:
                raise self._error()
        except BaseException:
            if self._winner is not None:
                self._winner.close()
            raise
        finally:
            self._reactor.timers.discard(self)
            for attempt in self._attempts:
                attempt.close()
        return self._winner

    def expire(self, now: float) -> float | None:
        try:
            self._start_next()
        except Exception as error:
            # The call is told, and not the event loop.
            self._call.interrupt(error)
            return None
        if self._winner is not None or not (self._attempts or self._waiting):
            # Unix sockets connect, or fail, at once: there is no event to come.
            self._call.wake()
        return None

    def _start_next(self) -> None:
        """Begins attempts until one is under way."""
        while self._waiting and self._winner is None:
            family, address = self._waiting.pop(0)
            self._tried.append(str(address) if family == _UNIX else f"{address[0]}:{address[1]}")
            if self._begin(family, address):
                break
        if self._waiting and self._winner is None and self.slot is None:
            self._reactor.timers.add(self, self._reactor.now() + ATTEMPT_DELAY)

    def _begin(self, family: int, address: Any) -> bool:
        """Whether the attempt goes on (or has won at once)."""
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            self._errors.append(error)
            return False
        try:
            sock.setblocking(False)
            if family != _UNIX:
                # Requests are written whole: waiting for more to send would only cost time.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._local is not None:
                    _bind(sock, self._local)
            code = sock.connect_ex(address)
        except OSError as error:
            sock.close()
            self._errors.append(error)
            return False
        except BaseException:
            sock.close()
            raise
        if code == 0:
            self._winner = sock
            return True
        if code == errno.EAGAIN and family == _UNIX:
            # The listener's queue is full, and nothing will report when it is not: try again at the next slot.
            sock.close()
            self._waiting.append((family, address))
            if self.slot is None:
                self._reactor.timers.add(self, self._reactor.now())
            return True
        if code not in _UNDER_WAY:
            sock.close()
            self._errors.append(OSError(code, errno.errorcode.get(code, str(code))))
            return False
        self._attempts.append(_Attempt(self, sock, self._reactor))
        return True

    def attempt_ended(self, attempt: _Attempt, code: int) -> None:
        self._attempts.remove(attempt)
        if code == 0 and self._winner is None:
            self._winner = attempt.release()
        else:
            attempt.close()
            if code:
                self._errors.append(OSError(code, errno.errorcode.get(code, str(code))))
                self._reactor.timers.discard(self)
                self._start_next()
        if self._winner is not None or not self._attempts:
            self._call.wake()

    def _error(self) -> AtomHTTPNetworkError:
        first = self._errors[0]
        code = errno.errorcode.get(first.errno or 0, "ERR_NETWORK")
        # A name is shown with the addresses that it led to; an address says it all by itself.
        name, tried = self._name, ", ".join(self._tried)
        where = name if tried == name else f"{name} ({tried})"
        if self._local is not None:
            where += f" from {self._local[0]}"
        reason = os.strerror(first.errno).lower() if first.errno else str(first)
        problem = AtomHTTPNetworkError(f"cannot connect to {where}: {reason} ({code})", code)
        problem.__cause__ = first
        return problem


class _Attempt(Handler):
    """One connect under way, judged by SO_ERROR."""

    def __init__(self, race: Race, sock: socket.socket, reactor: Reactor) -> None:
        self._race = race
        self._sock = sock
        self._reactor = reactor
        reactor.register(sock.fileno(), OUT, self)

    def on_ready(self, mask: int) -> None:
        self._race.attempt_ended(self, self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def fail(self, error: BaseException) -> None:
        self.close()
        self._race._call.interrupt(error)

    def release(self) -> socket.socket:
        self._reactor.unregister(self._sock.fileno())
        return self._sock

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            self._reactor.unregister(self._sock.fileno())
            self._reactor.close(self._sock)

    def abandon(self) -> None:
        self._sock.close()


def _bind(sock: socket.socket, local: tuple[str, int]) -> None:
    """Has `sock` connect from `local`. Raises OSError."""
    if local[1]:
        # Else the port could not be used again for a minute after the connection before.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    elif _BIND_WITHOUT_PORT is not None:
        sock.setsockopt(socket.IPPROTO_IP, _BIND_WITHOUT_PORT, 1)
    sock.bind(local)
