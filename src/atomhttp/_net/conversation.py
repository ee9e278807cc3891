"""A stream while it is being set up: what is said to the peer, or to a proxy, before requests can go out on it.

The reactor moves the bytes; the coroutine that connects waits, and is woken when a step is done.
"""

from __future__ import annotations

import errno
import logging
import ssl
from collections.abc import Callable
from typing import Any

from atomhttp._net.call import Call
from atomhttp._net.pollers import IN, OUT
from atomhttp._net.reactor import Handler
from atomhttp._net.stream import SocketStream, Stream
from atomhttp._net.tls import TLSStream
from atomhttp._net.tls_context import PROTOCOLS
from atomhttp._net.tls_errors import tls_error
from atomhttp._net.tls_in_tls import NestedTLSStream
from atomhttp._net.tls_session import TLSSession
from atomhttp.errors import AtomHTTPError, AtomHTTPNetworkError, AtomHTTPOptionError

_logger = logging.getLogger("atomhttp.tls")


class Conversation(Handler):
    """See the module's docstring. Whatever goes wrong in it, the socket is closed.

    Attributes:
        stream: what has been set up so far.
    """

    def __init__(self, call: Call, stream: Stream) -> None:
        self.stream = stream
        self._call = call
        self._reactor = call.driver.reactor
        self._fd = stream.fileno()
        self._mask = 0
        self._dropped = False
        self._wanted = IN
        self._step: Callable[[], bool] = bool
        # Set by the reactor between two looks at it.
        self._done: Any = True

    async def send(self, data: bytes) -> None:
        """Sends all of `data`."""
        unsent = memoryview(data)

        def step() -> bool:
            nonlocal unsent
            try:
                while self.stream.flush() and unsent:
                    unsent = unsent[self.stream.send(unsent) :]
            except BlockingIOError:
                return False
            return not unsent and not self.stream.unflushed

        await self._finish(step, OUT)

    async def receive(self) -> bytes:
        """What comes next, at least a byte; b"" when the peer has ended it."""
        received = b""

        def step() -> bool:
            nonlocal received
            buffer = self._reactor.buffer
            try:
                received = bytes(buffer[: self.stream.receive(buffer)])
            except BlockingIOError:
                return False
            return True

        await self._finish(step, IN)
        return received

    async def encrypt(
        self,
        context: ssl.SSLContext,
        name: str,
        where: tuple[str, int],
        session: TLSSession | None = None,
        protocols: tuple[str, ...] = PROTOCOLS,
    ) -> None:
        """TLS over what there is, with the peer called `name`; `where` (host and port) is for messages.

        `protocols` are what may be spoken over it.

        Raises:
            AtomHTTPTLSError, AtomHTTPNetworkError, AtomHTTPOptionError.
        """
        host, port = where
        kind = TLSStream if isinstance(self.stream, SocketStream) else NestedTLSStream
        try:
            tls = kind(self.stream, context, name, session, protocols)
        except (ValueError, ssl.SSLError) as error:
            self.drop()
            raise AtomHTTPOptionError(f"{host}:{port}: not a name for TLS: {error}", "ERR_BAD_OPTION_VALUE") from error
        self.stream = tls
        try:
            await self._finish(lambda: tls.handshake(self._reactor.buffer), IN)
        except ssl.SSLError as error:
            raise tls_error(error, host, port, tls) from error
        except OSError as error:
            if isinstance(error, AtomHTTPError):
                raise
            code = errno.errorcode.get(error.errno or 0, "ECONNRESET")
            raise AtomHTTPNetworkError(
                f"{host}:{port}: the connection was lost during the TLS handshake", code
            ) from error
        if _logger.isEnabledFor(logging.DEBUG):
            _logger.debug("%s:%d: %s %s", host, port, tls.tls.version(), (tls.tls.cipher() or ("?",))[0])

    # Steps

    async def _finish(self, step: Callable[[], bool], wanted: int) -> None:
        """Takes `step`, again whenever the stream is ready for `wanted`, until it says that it is done."""
        self._step, self._wanted, self._done = step, wanted, False
        try:
            self._take_step()
            while not self._done:
                await self._call.wait()
        except BaseException:
            self.drop()
            raise
        finally:
            # It refers to this conversation, and so to the call: a cycle with all that the call is going to receive.
            self._step = bool

    def _take_step(self) -> None:
        self._done = self._step()
        if self._done:
            self._watch(0)
        else:
            self._watch(IN | OUT if self.stream.unflushed and self._wanted == IN else self._wanted)

    def on_ready(self, mask: int) -> None:
        if not self._done:
            self._take_step()
            if self._done:
                self._call.wake()

    def fail(self, error: BaseException) -> None:
        self._watch(0)
        self._call.interrupt(error)

    def abandon(self) -> None:
        self.stream.sock.close()

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

    def drop(self) -> None:
        """It has failed. Twice is fine."""
        if not self._dropped:
            self._dropped = True
            self._watch(0)
            self._reactor.close(self.stream.sock)
