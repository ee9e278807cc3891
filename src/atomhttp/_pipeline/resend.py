"""The one safe resend: a request that met a dead connection, sent once more on a new one.

A server may close an idle connection while a request is on its way to it (RFC 9112 section 9.3.1). Only where the
connection had been used before, not a byte of response came, doing it twice is harmless, and the content can be sent
again, is that put right without a word. An HTTP/2 server may say that it did nothing with a request (RFC 9113 section
8.7): then it is harmless whatever the request asks for. Where that is because the connection has had its time (nginx
and others say goodbye after 1,000 requests), it may take several: what has to move meets others as old.
"""

from __future__ import annotations

import logging
from typing import Final

from atomhttp._model.request import Request
from atomhttp._model.retry_config import IDEMPOTENT
from atomhttp.errors import AtomHTTPError, AtomHTTPNetworkError

_logger = logging.getLogger("atomhttp.retry")

# Connections that may say goodbye to one request before that is an error.
MAX_FAREWELLS: Final = 10
# What is added to an error that a second attempt might have put right.
USED_UP: Final = "; not tried again: the body is a stream that can be read once"


def check_resend(request: Request, error: AtomHTTPError) -> None:
    """Returns when `request`, which met `error`, may be sent once more, and marks it for that.

    Raises:
        AtomHTTPError: `error`, when it must not; then it says why.
    """
    if not isinstance(error, AtomHTTPNetworkError) or error.from_caller or not request.outline.resend:
        raise error
    if error.request is not request:
        # Another call's, made by a function of the caller's in the middle of this one.
        raise error
    if error.elsewhere:
        may_go_on = request.farewells < MAX_FAREWELLS
    else:
        may_go_on = not request.resent and (error.reused or error.unprocessed)
    if not may_go_on:
        raise error
    if not error.unprocessed and not may_repeat(request, IDEMPOTENT):
        error.message += "; the request may have been sent, and a second time might do it twice"
        raise error
    if not can_replay(request):
        error.message += USED_UP
        raise error
    # A connection whose server refuses streams is alive, and one that is going away is not taken again.
    if error.elsewhere:
        request.farewells += 1
    else:
        request.resent = True
    request.fresh = not error.unprocessed
    _logger.debug("%s is sent again: %s", request, error.message)


def may_repeat(request: Request, methods: frozenset[str]) -> bool:
    """Whether doing it twice is harmless: by its method, or by its Idempotency-Key."""
    fields = request.outline.block.fields
    return request.method.upper() in methods or any(name.lower() == "idempotency-key" for name, _ in fields)


def can_replay(request: Request) -> bool:
    """Whether its content can be sent (again)."""
    body = request.body
    return isinstance(body, bytes) or body.replayable or not body.opened
