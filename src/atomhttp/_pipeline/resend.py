"""The one safe resend: a request that met a dead connection, sent once more on a new one.

A server may close an idle connection while a request is on its way to it (RFC 9112 section 9.3.1). Only where the
connection had been used before, not a byte of response came, doing it twice is harmless, and the content can be sent
again, is that put right without a word.
"""

from __future__ import annotations

from typing import Final

from atomhttp._adapters.base import Adapter, AdapterResponse
from atomhttp._model.request import Request
from atomhttp.errors import AtomHTTPNetworkError

# RFC 9110 section 9.2.2, and QUERY (RFC 10008).
IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"))


async def send(adapter: Adapter, request: Request) -> AdapterResponse:
    """Sends `request`, a second time where that is safe.

    Raises:
        AtomHTTPNetworkError: also when it must not be sent again; the message says that it may have been received.
    """
    try:
        return await adapter.send(request)
    except AtomHTTPNetworkError as error:
        if not error.reused:
            raise
        if not _is_repeatable(request):
            error.message += "; the request may have been sent, and a second time might do it twice"
            raise
    request.fresh = True
    return await adapter.send(request)


def _is_repeatable(request: Request) -> bool:
    if request.method not in IDEMPOTENT and not any(name.lower() == "idempotency-key" for name, _ in request.block.fields):
        return False
    return isinstance(request.body, bytes) or request.body.replayable
