"""The one safe resend: a request that met a dead connection, sent once more on a new one.

A server may close an idle connection while a request is on its way to it (RFC 9112 section 9.3.1). Only where the
connection had been used before, not a byte of response came, doing it twice is harmless, and the content can be sent
again, is that put right without a word.
"""

from __future__ import annotations

from typing import Final

from atomhttp._model.request import Request
from atomhttp.errors import AtomHTTPNetworkError

# RFC 9110 section 9.2.2, and QUERY (RFC 10008).
IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"))


def check_resend(request: Request, error: AtomHTTPNetworkError) -> None:
    """Returns when `request`, which met `error`, may be sent once more, and marks it to go out on a new connection.

    Raises:
        AtomHTTPNetworkError: `error`, when it must not; then it says that the request may have been received.
    """
    if not error.reused:
        raise error
    if not _is_repeatable(request):
        error.message += "; the request may have been sent, and a second time might do it twice"
        raise error
    request.fresh = True


def _is_repeatable(request: Request) -> bool:
    fields = request.outline.block.fields
    if request.method not in IDEMPOTENT and not any(name.lower() == "idempotency-key" for name, _ in fields):
        return False
    return isinstance(request.body, bytes) or request.body.replayable
