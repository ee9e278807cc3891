"""`retryConfig`: trying again what failed for a moment.

Before a byte was sent anything may be tried again; after that only what is harmless twice. Never: what would fail again
the same way (limits, decoding, certificates, names that do not exist), what the caller ended, what the deadline ended,
and content that cannot be sent a second time.
"""

from __future__ import annotations

import logging
import random
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from atomhttp._model.callables import call_user
from atomhttp._model.request import Request
from atomhttp._model.retry_config import RetryPolicy
from atomhttp._pipeline.attempt import Attempt
from atomhttp._pipeline.resend import can_replay, may_repeat
from atomhttp._pipeline.response import Response
from atomhttp.errors import (
    AtomHTTPError,
    AtomHTTPNetworkError,
    AtomHTTPTimeoutError,
    AtomHTTPTLSError,
)

if TYPE_CHECKING:
    from atomhttp._model.config import RequestConfig
    from atomhttp._pipeline.exchange import Exchange, Send

_logger = logging.getLogger("atomhttp.retry")

# Phases that end before a byte of the request is written.
_BEFORE_SENDING: Final = ("pool", "dns", "connect", "tls")


class RetryInfo(NamedTuple):
    """What `on_retry` is told.

    Attributes:
        attempt: the attempt that failed.
        wait: seconds until the next one.
        outcome: the response (its content read, unless it is a stream), or the error.
        config: the options of the call.
    """

    attempt: Attempt
    wait: float
    outcome: Response[Any] | AtomHTTPError
    config: RequestConfig


async def retry(send: Send, exchange: Exchange, driver: Any, request: Request) -> Response[Any]:
    """Sends `request`, again and again as its policy says; what comes of the last attempt is returned or raised."""
    policy = request.outline.retry
    if policy is None:
        return await send(request)
    retries = 0
    while True:
        outcome = await _attempt(send, driver, request, policy)
        wait = await _find_wait(outcome, request, policy, retries, exchange, driver)
        if wait is None:
            if isinstance(outcome, Response):
                return outcome
            raise outcome
        retries += 1
        if isinstance(outcome, Response):
            await exchange.discard(outcome)
        elif isinstance(outcome, AtomHTTPNetworkError) and outcome.reused:
            # Where one idle connection has died, others have: do not try them one after the other.
            request.fresh = True
        _logger.debug("retry %d of %s in %.2f s: %r", retries, request, wait, outcome)
        if policy.on_retry is not None:
            info = RetryInfo(exchange.attempts[-1], wait, outcome, request.config)
            await call_user(driver, request.deadline, policy.on_retry, info)
        # A traceback that nobody will see holds on to every frame that it passed.
        outcome = None  # type: ignore[assignment]  # not needed while waiting
        await driver.sleep(wait)
        exchange.wait = wait


async def _attempt(send: Send, driver: Any, request: Request, policy: RetryPolicy) -> Response[Any] | AtomHTTPError:
    deadline = request.deadline
    if policy.attempt_timeout is not None:
        due = driver.now() + policy.attempt_timeout
        request.deadline = due if deadline is None else min(due, deadline)
    try:
        return await send(request)
    except AtomHTTPError as error:
        return error
    finally:
        request.deadline = deadline


async def _find_wait(
    outcome: Response[Any] | AtomHTTPError,
    request: Request,
    policy: RetryPolicy,
    retries: int,
    exchange: Exchange,
    driver: Any,
) -> float | None:
    """Seconds until the next attempt; None when there is none."""
    now = driver.now()
    if retries >= policy.max_retries or (request.deadline is not None and now >= request.deadline):
        return None
    if not _may_ever(outcome):
        return None
    if policy.condition is not None:
        attempt = exchange.attempts[-1]
        wanted = await call_user(driver, request.deadline, policy.condition, outcome, attempt)
    else:
        wanted = _is_transient(outcome, request, policy)
    if not wanted:
        return None
    if request.has_body and not can_replay(request):
        if isinstance(outcome, AtomHTTPError):
            outcome.message += "; not tried again: the body is a stream that can be read once"
        return None
    wait = policy.backoff(retries + 1, random.random())
    if isinstance(outcome, Response) and policy.respect_retry_after:
        asked = read_retry_after(outcome)
        if asked > policy.max_retry_after:
            return None
        wait = max(wait, asked)
    if request.deadline is not None and driver.now() + wait >= request.deadline:
        return None
    return wait


def _may_ever(outcome: Response[Any] | AtomHTTPError) -> bool:
    """Whether a second attempt could differ: the condition is asked about nothing else."""
    if isinstance(outcome, AtomHTTPTLSError):
        # Certificates do not get better; a handshake that was cut off may.
        return outcome.code == "ERR_TLS"
    return isinstance(outcome, (Response, AtomHTTPNetworkError, AtomHTTPTimeoutError)) and (
        getattr(outcome, "code", None) not in ("ENOTFOUND", "ERR_ADDRESS_REFUSED")
    )


def _is_transient(outcome: Response[Any] | AtomHTTPError, request: Request, policy: RetryPolicy) -> bool:
    harmless = may_repeat(request, policy.methods)
    if isinstance(outcome, Response):
        return harmless and outcome.status in policy.status_forcelist
    if isinstance(outcome, AtomHTTPTimeoutError):
        return policy.on_timeout and (harmless or outcome.phase in _BEFORE_SENDING)
    if isinstance(outcome, AtomHTTPNetworkError) and outcome.request_sent == "no":
        return policy.on_connect_error
    return harmless


def read_retry_after(response: Response[Any]) -> float:
    """The response's Retry-After (RFC 9110 section 10.2.3) in seconds from now; 0 when there is none."""
    field = response.headers.get("retry-after", "").strip()
    if field.isascii() and field.isdigit():
        return float(field)
    then = _read_date(field)
    if then is None:
        return 0.0
    # By the server's own clock where it tells: ours may be wrong.
    now = _read_date(response.headers.get("date", ""))
    return max(0.0, then - (time.time() if now is None else now))


def _read_date(field: str) -> float | None:
    try:
        return parsedate_to_datetime(field).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        # Not a date: the field says nothing.
        return None
