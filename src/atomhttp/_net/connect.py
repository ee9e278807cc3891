"""From a route to a connected, encrypted stream."""

from __future__ import annotations

import errno
import logging
import os
import socket
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from atomhttp._model.route import Route
from atomhttp._net.call import Call
from atomhttp._net.pollers import IN, OUT
from atomhttp._net.resolve import Address, resolve
from atomhttp._net.stream import SocketStream, Stream
from atomhttp._net.tls import TLSStream, build_context, tls_error
from atomhttp.errors import AtomHTTPError, AtomHTTPNetworkError, AtomHTTPOptionError

if TYPE_CHECKING:
    from atomhttp._net.reactor import Reactor

_logger = logging.getLogger("atomhttp.connection")
_tls_logger = logging.getLogger("atomhttp.tls")

# RFC 8305 section 5: the Connection Attempt Delay, in seconds.
ATTEMPT_DELAY: Final = 0.25
_UNDER_WAY: Final = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY)


async def connect(route: Route, call: Call) -> Stream:
    """A connected stream to where `route` leads.

    Raises:
        AtomHTTPNetworkError, AtomHTTPTLSError, AtomHTTPTimeoutError.
    """
    now = call.driver.now
    began = now()
    limit = call.timeout.connect
    due = None if limit is None else began + limit

    def enter(phase: str) -> None:
        call.enter(phase, limit)
        call.phase_due = due

    # Made first: a file that cannot be read should not cost a connection.
    context = build_context(route.verify, route.cert) if route.scheme == "https" else None
    if route.socket_path is not None:
        enter("connect")
        addresses: Sequence[Address] = [_unix_address(route.socket_path)]
    else:
        enter("dns")
        addresses = await resolve(call, route.host, route.port)
        enter("connect")
    resolved = now()
    call.dns = resolved - began
    sock = await _Race(call, addresses, route).run()
    connected = now()
    call.connect = connected - resolved
    stream: Stream = SocketStream(sock)
    if context is not None:
        enter("tls")
        stream = await _Handshake(call, stream, context, route).run()
        call.tls = now() - connected
    _logger.debug("connected to %s in %.1f ms", route.name, (now() - began) * 1e3)
    return stream


def _unix_address(path: str) -> Address:
    if not hasattr(socket, "AF_UNIX"):
        raise AtomHTTPOptionError("socketPath: this system has no unix sockets", "ERR_NOT_SUPPORT")
    return (socket.AF_UNIX, path)


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """The addresses with their families alternating, the first one's first (RFC 8305 section 4)."""
    first = [item for item in addresses if item[0] == addresses[0][0]]
    other = [item for item in addresses if item[0] != addresses[0][0]]
    mixed = []
    while first or other:
        mixed += first[:1] + other[:1]
        first, other = first[1:], other[1:]
    return mixed


class _Race:
    """Happy eyeballs (RFC 8305): attempts start 250 ms apart, or as soon as one fails; the first to connect wins."""

    def __init__(self, call: Call, addresses: Sequence[Address], route: Route) -> None:
        self.slot: Any = None
        self._call = call
        self._reactor = call.driver.reactor
        self._waiting = interleave(addresses)
        self._attempts: list[_Attempt] = []
        self._errors: list[OSError] = []
        self._route = route
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
        self._start_next()
        if self._winner is not None or not (self._attempts or self._waiting):
            # Unix sockets connect, or fail, at once: there is no event to come.
            self._call.wake()
        return None

    def _start_next(self) -> None:
        """Begins attempts until one is under way."""
        while self._waiting and self._winner is None:
            family, address = self._waiting.pop(0)
            self._tried.append(
                str(address) if family == getattr(socket, "AF_UNIX", None) else f"{address[0]}:{address[1]}"
            )
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
            if family != getattr(socket, "AF_UNIX", None):
                # Requests are written whole: waiting for more to send would only cost time.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = sock.connect_ex(address)
        except OSError as error:
            sock.close()
            self._errors.append(error)
            return False
        if code == 0:
            self._winner = sock
            return True
        if code == errno.EAGAIN and family == getattr(socket, "AF_UNIX", None):
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
        name, tried = self._route.name, ", ".join(self._tried)
        where = name if tried == name else f"{name} ({tried})"
        reason = os.strerror(first.errno).lower() if first.errno else str(first)
        problem = AtomHTTPNetworkError(f"cannot connect to {where}: {reason} ({code})", code)
        problem.__cause__ = first
        return problem


class _Attempt:
    """One connect under way, judged by SO_ERROR."""

    def __init__(self, race: _Race, sock: socket.socket, reactor: Reactor) -> None:
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


class _Handshake:
    """A TLS handshake, moved on by the reactor."""

    def __init__(self, call: Call, inner: Stream, context: ssl.SSLContext, route: Route) -> None:
        self._call = call
        self._route = route
        self._reactor = call.driver.reactor
        self._sock = inner.sock
        self._fd = inner.fileno()
        self._mask = 0
        # Set by the reactor between two looks at it.
        self._done: Any = False
        try:
            self._stream = TLSStream(inner, context, route.server_hostname)
        except (ValueError, ssl.SSLError) as error:
            self._sock.close()
            raise AtomHTTPOptionError(f"{route.name}: not a name for TLS: {error}", "ERR_BAD_OPTION_VALUE") from error

    async def run(self) -> Stream:
        try:
            self._step()
            while not self._done:
                await self._call.wait()
        except ssl.SSLError as error:
            self._drop()
            raise tls_error(error, self._route.host, self._route.port) from error
        except OSError as error:
            self._drop()
            if isinstance(error, AtomHTTPError):
                raise
            code = errno.errorcode.get(error.errno or 0, "ECONNRESET")
            raise AtomHTTPNetworkError(
                f"{self._route.name}: the connection was lost during the TLS handshake", code
            ) from error
        except BaseException:
            self._drop()
            raise
        self._watch(0)
        if _tls_logger.isEnabledFor(logging.DEBUG):
            tls = self._stream.tls
            _tls_logger.debug("%s: %s %s", self._route.name, tls.version(), (tls.cipher() or ("?",))[0])
        return self._stream

    def _step(self) -> None:
        self._done = self._stream.handshake(self._reactor.buffer)
        self._watch(IN | OUT if self._stream.unflushed else IN)

    def on_ready(self, mask: int) -> None:
        if self._done:
            return
        self._step()
        if self._done:
            self._call.wake()

    def fail(self, error: BaseException) -> None:
        self._watch(0)
        self._call.interrupt(error)

    def abandon(self) -> None:
        self._sock.close()

    def _watch(self, mask: int) -> None:
        if mask == self._mask:
            return
        if not mask:
            self._reactor.unregister(self._fd)
        elif self._mask:
            self._reactor.modify(self._fd, mask)
        else:
            self._reactor.register(self._fd, mask, self)
        self._mask = mask

    def _drop(self) -> None:
        self._watch(0)
        self._reactor.close(self._sock)
