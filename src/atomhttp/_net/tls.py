"""TLS over any stream, by `ssl.MemoryBIO`: TLS inside TLS is the same code.

Theory of operation. OpenSSL works between two memory buffers. Ciphertext that the inner stream received is written to
`incoming`; whatever OpenSSL wants to send appears in `outgoing` and is sent from there, after every read as well
(alerts, key updates). `outgoing` has no limit and never shrinks, so at most 64 KiB of plaintext are encrypted at a
time, and more only when all ciphertext has left. A read that finds a whole record asks `pending` whether there is more
instead of running into SSLWantReadError, which costs more than a small record does.

`incoming.write_eof()` is called when the inner stream ends: OpenSSL then tells close_notify (a clean end) from a cut.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, Final, cast

from atomhttp._net.stream import Stream
from atomhttp.errors import AtomHTTPTLSError

MAX_PLAINTEXT: Final = 64 * 1024

# OpenSSL's verification results under the names that Node gives them.
_VERIFY_CODES: Final = {
    2: "UNABLE_TO_GET_ISSUER_CERT",
    7: "CERT_SIGNATURE_FAILURE",
    9: "CERT_NOT_YET_VALID",
    10: "CERT_HAS_EXPIRED",
    18: "DEPTH_ZERO_SELF_SIGNED_CERT",
    19: "SELF_SIGNED_CERT_IN_CHAIN",
    20: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    21: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    23: "CERT_REVOKED",
    24: "INVALID_CA",
    25: "PATH_LENGTH_EXCEEDED",
    26: "INVALID_PURPOSE",
    27: "CERT_UNTRUSTED",
    28: "CERT_REJECTED",
    62: "ERR_TLS_CERT_ALTNAME_INVALID",
    64: "ERR_TLS_CERT_ALTNAME_INVALID",
}


class TLSStream:
    """A stream that encrypts what goes through another one."""

    __slots__ = (
        "_ciphertext",
        "_incoming",
        "_inner",
        "_outgoing",
        "_read",
        "_tls",
        "clean_eof",
        "pending",
        "unflushed",
    )

    receive_bytes: Callable[[int], bytes] | None = None

    def __init__(self, inner: Stream, context: ssl.SSLContext, server_hostname: str) -> None:
        self._inner = inner
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self._read = self._tls.read
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

    def fileno(self) -> int:
        return self._inner.fileno()

    def handshake(self, buffer: memoryview) -> bool:
        """One step; True when done. After False: wait until readable (or writable while `unflushed`).

        Raises:
            OSError: the stream failed.
            ssl.SSLError: TLS failed; the alert that says why has been sent.
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
                self.flush()
                raise
            else:
                self.flush()
                self.pending = bool(self._incoming.pending)
                return not self.unflushed

    def _feed(self, buffer: memoryview) -> bool:
        """Moves ciphertext from the inner stream to OpenSSL; False when there is none now."""
        try:
            size = self._inner.receive(buffer)
        except BlockingIOError:
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
            # With a buffer it gives a count; the stubs know only the other form.
            size = cast(int, self._read(MAX_PLAINTEXT, buffer))
        except ssl.SSLWantReadError:
            # Part of a record, or one that holds no content (a session ticket).
            self.pending = False
            self.flush()
            raise BlockingIOError from None
        except ssl.SSLZeroReturnError:
            size = 0
        except ssl.SSLError as error:
            # Cut off without close_notify; a class of its own only since 3.11.4.
            if not isinstance(error, ssl.SSLEOFError) and error.reason != "UNEXPECTED_EOF_WHILE_READING":
                raise
            self.clean_eof = False
            size = 0
        else:
            # More plaintext of this record, or the beginning of another one.
            self.pending = bool(self._tls.pending() or incoming.pending)
        if self._outgoing.pending:
            self.flush()
        return size

    def send(self, data: bytes | memoryview) -> int:
        if self.unflushed and not self.flush():
            return 0
        try:
            taken = self._tls.write(data if len(data) <= MAX_PLAINTEXT else memoryview(data)[:MAX_PLAINTEXT])
        except ssl.SSLWantReadError:
            # A renegotiation or key update is under way; the caller keeps its bytes and tries again after a read.
            taken = 0
        self.flush()
        return taken

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


# Contexts


_contexts: dict[tuple[Any, ...], ssl.SSLContext] = {}
_contexts_lock = threading.Lock()
MAX_CONTEXTS: Final = 100


def build_context(verify: bool | str | ssl.SSLContext, cert: tuple[str, ...] | None) -> ssl.SSLContext:
    """The SSLContext for these options, shared in the process: one costs 21-40 ms.

    A file that has changed since (its time or size) is read again.

    Raises:
        AtomHTTPTLSError: a file that cannot be read or used.
    """
    if isinstance(verify, ssl.SSLContext) and cert is None:
        return verify
    key = (verify, cert, *(_stamp(path) for path in ((verify,) if isinstance(verify, str) else ()) + (cert or ())[:2]))
    with _contexts_lock:
        context = _contexts.get(key)
        if context is None:
            if len(_contexts) >= MAX_CONTEXTS:
                # Rotated files leave contexts behind that nobody will ask for again: the oldest goes.
                del _contexts[next(iter(_contexts))]
            context = _contexts[key] = _make_context(verify, cert)
        return context


def _make_context(verify: bool | str | ssl.SSLContext, cert: tuple[str, ...] | None) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        # The caller's own context would keep our certificate for everybody else who uses it.
        raise AtomHTTPTLSError("cert cannot be combined with an SSLContext: load the certificate into the context")
    try:
        if verify is True:
            context = ssl.create_default_context()
        elif verify is False:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif os.path.isdir(verify):
            context = ssl.create_default_context(capath=verify)
        else:
            context = ssl.create_default_context(cafile=verify)
        if cert is not None:
            certificate, key, password = (*cert, None, None)[:3]
            context.load_cert_chain(certificate or "", key, password)
    except (OSError, ssl.SSLError) as error:
        what = "verify" if cert is None else "verify or cert"
        raise AtomHTTPTLSError(
            f"{what}: cannot load {verify if isinstance(verify, str) else (cert or ())[:2]!r}: {error}"
        ) from error
    # Some builds let a cut pass for an end; nothing would tell truncation then.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size)


# Codes of certificates whose issuer is not among those that are trusted.
_UNKNOWN_ISSUER: Final = (
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "UNABLE_TO_GET_ISSUER_CERT",
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
)


def tls_error(error: ssl.SSLError, host: str, port: int) -> AtomHTTPTLSError:
    """What OpenSSL's error means, with the name that was asked for."""
    where = f"{host}:{port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        code = _VERIFY_CODES.get(error.verify_code, "ERR_TLS")
        hint = "; verify='ca.pem' trusts another authority" if code in _UNKNOWN_ISSUER else ""
        return AtomHTTPTLSError(f"the certificate of {where} was refused: {error.verify_message}{hint}", code)
    if isinstance(error, ssl.SSLEOFError):
        return AtomHTTPTLSError(f"{where} ended the connection during the TLS handshake")
    reason = (error.reason or str(error)).replace("_", " ").lower()
    hint = " (is it a plain HTTP port?)" if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST") else ""
    return AtomHTTPTLSError(f"TLS with {where} failed: {reason}{hint}")


def _renew_lock() -> None:
    # Another thread of the parent may have held it when the process forked.
    global _contexts_lock
    _contexts_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
