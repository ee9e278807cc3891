"""TLS over any stream, by `ssl.MemoryBIO`: TLS inside TLS is the same code.

Theory of operation. OpenSSL works between two memory buffers. Ciphertext that the inner stream received is written to
`incoming`; whatever OpenSSL wants to send appears in `outgoing` and is sent from there, after every read as well
(alerts, a certificate that was asked for). `outgoing` has no limit and never shrinks, so at most 64 KiB of plaintext
are encrypted at a time, and more only when all ciphertext has left. A read that finds a whole record asks `pending`
whether there is more instead of running into SSLWantReadError, which costs more than a small record does.

`incoming.write_eof()` is called when the inner stream ends: OpenSSL then tells close_notify (a clean end) from a cut.

A connection may take up the session of an earlier one to the same peer, which saves a third of the handshake's work
(and in TLS 1.2 a round trip). OpenSSL verifies nothing then: neither name nor certificate. So a session is a
`TLSSession` here, which knows what was verified when it began, and is not given to anybody who would ask for more.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn

from atomhttp._compiled import mypyc_attr
from atomhttp._net.stream import Stream
from atomhttp._net.tls_context import HTTP2, PROTOCOLS
from atomhttp._net.tls_errors import is_cut
from atomhttp._net.tls_session import TLSSession
from atomhttp.errors import AtomHTTPTLSError

MAX_PLAINTEXT: Final = 64 * 1024
# What OpenSSL is given at once: `incoming` never shrinks either.
MAX_CIPHERTEXT: Final = 256 * 1024


def _find_openssl(tls: ssl.SSLObject) -> Any:
    """OpenSSL's own object, unless somebody has put a class of theirs in between (`SSLContext.sslobject_class`).

    `SSLObject` only hands on, by a call of Python's for each of ours: three a request.
    """
    return getattr(tls, "_sslobj", tls) if type(tls) is ssl.SSLObject else tls


class _Failure:
    """Reads no more, and says why."""

    def __init__(self, error: ssl.SSLError) -> None:
        self._error = error

    def __call__(self, size: int, buffer: memoryview) -> NoReturn:
        raise self._error


@mypyc_attr(allow_interpreted_subclasses=True)
class TLSStream:
    """A stream that encrypts what goes through another one.

    Args:
        inner: where the ciphertext goes.
        context: whom to trust; ALPN, versions and ciphers.
        server_hostname: the name that is sent (SNI; never an address) and verified.
        session: of an earlier connection with the same context and name, to be taken up. One that does not fit, or that
            the server does not know any more, costs nothing: there is a full handshake then.
        protocols: what may be spoken over it, whatever `context` offers.

    Raises:
        ValueError, ssl.SSLError: `server_hostname` is no name.
    """

    __slots__ = (
        "_ciphertext",
        "_failed",
        "_fed",
        "_incoming",
        "_inner",
        "_openssl",
        "_outgoing",
        "_read",
        "_resumes",
        "_since",
        "_tls",
        "_verified",
        "clean_eof",
        "pending",
        "protocols",
        "unflushed",
    )

    receive_bytes: Callable[[int], bytes] | None = None

    def __init__(
        self,
        inner: Stream,
        context: ssl.SSLContext,
        server_hostname: str,
        session: TLSSession | None = None,
        protocols: tuple[str, ...] = PROTOCOLS,
    ) -> None:
        self._inner = inner
        self.protocols = protocols
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        # What a caller may change of a context of theirs, between one connection and the next.
        checks = (context.verify_mode, context.check_hostname, context.verify_flags)
        self._verified = (context, server_hostname.lower(), *checks)
        self._since = time.monotonic()
        found = None if session is None else session.find(self._verified)
        self._resumes = None if found is None else session
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname, session=found)
        self._failed = True
        # How much of the inner stream was moved last; see `holds_part`.
        self._fed = 0
        self._openssl = _find_openssl(self._tls)
        self._read: Callable[[int, memoryview], int] = self._openssl.read
        self._ciphertext: bytes | memoryview = b""
        self.pending = False
        self.unflushed = False
        self.clean_eof = True

    @property
    def sock(self) -> socket.socket:
        return self._inner.sock

    @property
    def tls(self) -> ssl.SSLObject:
        """OpenSSL's side, for what it negotiated."""
        return self._tls

    @property
    def resumed(self) -> bool:
        """Whether the handshake took up the session that was given."""
        return bool(self._tls.session_reused)

    @property
    def session(self) -> TLSSession | None:
        """For the next connection; None where nothing was agreed on, or TLS failed.

        It may be used in the thread that reads here, and when this stream has ended in any thread: a ticket that comes
        replaces what another thread would be copying.
        """
        if self._failed:
            return None
        since = self._resumes.since if self._resumes is not None and self.resumed else self._since
        return TLSSession(self._tls, self._verified, since)

    @property
    def protocol(self) -> str | None:
        """What was agreed on (ALPN)."""
        return self._tls.selected_alpn_protocol()

    def fileno(self) -> int:
        return self._inner.fileno()

    def handshake(self, buffer: memoryview) -> bool:
        """One step; True when done. After False: wait until readable (or writable while `unflushed`).

        Raises:
            OSError: the stream failed.
            ssl.SSLError: TLS failed; the alert that says why has been sent.
            AtomHTTPTLSError: what was agreed on is a protocol that is not ours.
        """
        if self.unflushed and not self.flush():
            return False
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                if not self._feed(buffer):
                    return False
            except ssl.SSLError:
                try:
                    self.flush()
                except OSError:
                    # Expected: the peer has gone. What it did wrong before is what is to be told.
                    pass
                raise
            else:
                self._check_protocol()
                self._failed = False
                # What we said last, where that was our part (TLS 1.3, and sessions taken up), leaves with the request:
                # one packet and one system call for both, and the server wakes once.
                self.pending = bool(self._incoming.pending)
                return True

    def _check_protocol(self) -> None:
        chosen = self._tls.selected_alpn_protocol()
        if chosen is not None and chosen not in self.protocols:
            hint = " (http2=True speaks it)" if chosen == HTTP2 else ""
            raise AtomHTTPTLSError(
                f"{self._tls.server_hostname} chose the protocol {chosen!r}, which the SSLContext offers (ALPN) and "
                f"this client does not speak: it speaks {', '.join(self.protocols)}{hint}"
            )
        if chosen is None and HTTP2 in self.protocols and len(self.protocols) == 1:
            raise AtomHTTPTLSError(
                f"{self._tls.server_hostname} does not speak HTTP/2, or was not offered it (ALPN), and http2='only' "
                "speaks nothing else"
            )

    def _feed(self, buffer: memoryview) -> bool:
        """Moves ciphertext from the inner stream to OpenSSL; False when there is none now."""
        if len(buffer) > MAX_CIPHERTEXT:
            buffer = buffer[:MAX_CIPHERTEXT]
        try:
            size = self._fed = self._inner.receive(buffer)
        except BlockingIOError:
            self._fed = 0
            return False
        if size:
            self._incoming.write(buffer[:size])
        else:
            self._incoming.write_eof()
        return True

    def receive(self, buffer: memoryview) -> int:
        incoming = self._incoming
        if not self.pending and not self._feed(buffer):
            raise BlockingIOError
        try:
            size = self._read(MAX_PLAINTEXT, buffer)
        except ssl.SSLWantReadError:
            # Part of a record, or one that holds no content (a session ticket).
            self.pending = False
            self.flush()
            raise BlockingIOError from None
        except ssl.SSLZeroReturnError:
            size = 0
        except ssl.SSLError as error:
            # A `_Failure` would keep it, and it this stream.
            self._read = self._openssl.read
            if not is_cut(error):
                # RFC 5246 section 7.2.2: nobody goes on from there.
                self._failed = True
                raise
            self.clean_eof = False
            size = 0
        else:
            # More plaintext of this record, or the beginning of another one.
            if self._openssl.pending() or incoming.pending:
                size = self._read_on(buffer, size)
            else:
                self.pending = False
        if self._outgoing.pending:
            self.flush()
        return size

    def _read_on(self, buffer: memoryview, size: int) -> int:
        """Reads the records behind one of `size` bytes as well, as far as `buffer` goes. How much it holds then.

        Records have 16 KiB at most, and to bring each of them all the way up by itself takes longer than to decrypt it
        (100 MB: 135 ms of CPU, 97 by this).
        """
        incoming, openssl = self._incoming, self._openssl
        room = len(buffer)
        self.pending = True
        while self.pending and size < room:
            try:
                count = self._read(MAX_PLAINTEXT, buffer[size:])
            except ssl.SSLWantReadError:
                # A part of a record is held: that stays pending, so that the next read looks into it. (Who is at the
                # end of a response must know: it would be taken for the beginning of the next one.)
                return size
            except ssl.SSLError as error:
                # After what came before it: the next read tells.
                self._read = _Failure(error.with_traceback(None))
                return size
            else:
                if not count:
                    # The end. The next read will find it as well.
                    return size
                size += count
                self.pending = bool(incoming.pending or openssl.pending())
        return size

    def holds_part(self, buffer: memoryview) -> bool:
        at = 0
        # RFC 8446 section 5.1: type, version, and in two octets how much follows.
        while at + 5 <= self._fed:
            at += 5 + int.from_bytes(buffer[at + 3 : at + 5])
        return at != self._fed

    def send(self, data: bytes | memoryview) -> int:
        if self.unflushed and not self.flush():
            return 0
        try:
            taken: int = self._openssl.write(data if len(data) <= MAX_PLAINTEXT else memoryview(data)[:MAX_PLAINTEXT])
        except ssl.SSLWantReadError:
            # A renegotiation or key update is under way; the caller keeps its bytes and tries again after a read.
            taken = 0
        self.flush()
        return taken

    def send_together(self, pieces: list[bytes]) -> int:
        return self.send(pieces[0])

    def flush(self) -> bool:
        while True:
            if not self._ciphertext:
                if not self._outgoing.pending:
                    self.unflushed = False
                    return True
                self._ciphertext = self._outgoing.read()
            try:
                sent = self._inner.send(self._ciphertext)
            except BlockingIOError:
                sent = 0
            if sent == len(self._ciphertext):
                self._ciphertext = b""
            elif sent:
                self._ciphertext = memoryview(self._ciphertext)[sent:]
            else:
                self.unflushed = True
                return False

    def shutdown(self) -> None:
        try:
            self._tls.unwrap()
        except (ssl.SSLError, OSError, ValueError):
            # Expected: the peer's answer is not there yet, and we do not wait for it.
            pass
        try:
            self.flush()
        except OSError:
            # Expected: the peer has gone first. Nobody is left to say goodbye to.
            return
