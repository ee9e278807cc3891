"""What a TLS connection leaves behind for the next one to the same peer."""

from __future__ import annotations

import ssl
import time
from typing import Any, Final

# Seconds after which a peer has to show its certificate again, which may have expired by then. Every connection
# brings a new ticket: without a limit one handshake could do for ever (RFC 8446 section 4.6.1 has one of 7 days).
MAX_SESSION_AGE: Final = 3600.0


class TLSSession:
    """What the next connection to the same peer may take up (RFC 8446 section 2.2, RFC 5077); opaque.

    Attributes:
        since: when, by the monotonic clock, its certificate was last verified.

    It keeps OpenSSL's side of its connection and asks it when the session is needed: in TLS 1.3 the ticket comes after
    the handshake, better ones may follow, and Python copies all of it each time (0.1-0.3 ms).
    """

    __slots__ = ("_tls", "_verified", "since")

    def __init__(self, tls: ssl.SSLObject, verified: tuple[Any, ...], since: float) -> None:
        self.since = since
        self._tls = tls
        self._verified = verified

    def find(self, verified: tuple[Any, ...]) -> ssl.SSLSession | None:
        """OpenSSL's session, where there is one for a connection that would verify just what this one did."""
        if verified != self._verified or time.monotonic() - self.since > MAX_SESSION_AGE:
            return None
        session = self._tls.session
        # Without an id there is nothing to resume: no ticket has come yet.
        return session if session is not None and session.id else None
