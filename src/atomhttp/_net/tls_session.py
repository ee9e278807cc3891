"""What a TLS connection leaves behind for the next one to the same peer."""

from __future__ import annotations

import ssl
import sys
import time
from typing import Any, Final

# Seconds after which a peer has to show its certificate again, which may have expired by then. Every connection
# brings a new ticket: without a limit one handshake could do for ever (RFC 8446 section 4.6.1 has one of 7 days).
MAX_SESSION_AGE: Final = 3600.0

# Until Python 3.12.8, and in 3.13.0, each question for a session leaks 7 KB (gh-116810).
LEAKS: Final = sys.version_info < (3, 12, 8) or sys.version_info[:3] == (3, 13, 0)
# Seconds for which, there, one answer has to do: 10 MB a day for a peer, however many connections.
RENEWAL: Final = 60.0


class TLSSession:
    """What the next connection to the same peer may take up (RFC 8446 section 2.2, RFC 5077); opaque.

    Attributes:
        since: when, by the monotonic clock, its certificate was last verified.

    It keeps OpenSSL's side of its connection and asks it when the session is needed: in TLS 1.3 the ticket comes after
    the handshake, better ones may follow, and Python copies all of it each time (0.1-0.3 ms).
    """

    __slots__ = ("_found", "_found_at", "_tls", "_verified", "since")

    def __init__(self, tls: ssl.SSLObject, verified: tuple[Any, ...], since: float) -> None:
        self.since = since
        self._tls = tls
        self._verified = verified
        self._found: ssl.SSLSession | None = None
        self._found_at = 0.0

    @property
    def is_kept(self) -> bool:
        """Whether it is to be used again although there may be a newer one, because asking that would leak."""
        return LEAKS and self._found is not None and time.monotonic() - self._found_at < RENEWAL

    def find(self, verified: tuple[Any, ...]) -> ssl.SSLSession | None:
        """OpenSSL's session, where there is one for a connection that would verify just what this one did."""
        if verified != self._verified or time.monotonic() - self.since > MAX_SESSION_AGE:
            return None
        if self.is_kept:
            return self._found
        session = self._tls.session
        # Without an id there is nothing to resume: no ticket has come yet.
        self._found = session if session is not None and session.id else None
        self._found_at = time.monotonic()
        return self._found
