"""`retryConfig`: trying again what failed for a moment.

Before a byte was sent anything may be tried again; after that only what is harmless twice. Never: what would fail again
the same way (limits, decoding, certificates, names that do not exist), what the caller ended, what the deadline ended,
and content that cannot be sent a second time.
"""

from __future__ import annotations

import logging
import ssl
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from atomhttp._model.http_date import parse_http_date
from atomhttp._model.request import Request
from atomhttp._model.retry_config import RetryPolicy
from atomhttp._pipeline.attempt import Attempt
from atomhttp._pipeline.deadline import ask
from atomhttp._pipeline.resend import USED_UP, can_replay, may_repeat
from atomhttp._pipeline.response import Response
from atomhttp.errors import (
    AtomHTTPError,
    AtomHTTPNetworkError,
    AtomHTTPProxyError,
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


async def retry(
    send: Send, exchange: Exchange, driver: Any, request: Request, tried: Send | None = None
) -> Response[Any]:
    """Sends `request`, again and again as its policy says; what comes of the last attempt is returned or raised.

    `tried` stands for the first `send`, where that has been done already.
    """
    policy = request.outline.retry
    if policy is None:
        return await send(request)
    retries, started = 0, request.started
    while True:
        outcome = await _attempt(send if tried is None else tried, driver, request, policy, started)
        tried = None
        try:
            wait = await _find_wait(outcome, request, policy, retries, exchange, driver)
        except BaseException:
            if isinstance(outcome, Response) and outcome.unread is not None:
                outcome.unread.close()
            raise
        if wait is None:
            if isinstance(outcome, Response):
                return outcome
            raise outcome
        # From here on: what has to be done in between is part of the wait.
        due = driver.now() + wait
        retries += 1
        if isinstance(outcome, Response):
            await exchange.discard(outcome)
        elif isinstance(outcome, AtomHTTPNetworkError) and outcome.reused:
            # Where one idle connection has died, others have: do not try them one after the other.
            exchange.fresh = True
        _logger.debug("retry %d of %s in %.2f s: %r", retries, request, wait, outcome)
        if policy.on_retry is not None:
            info = RetryInfo(exchange.attempts[-1], wait, outcome, request.config)
            await ask(driver, request, policy.on_retry, info)
        # A traceback that nobody will see holds on to every frame that it passed.
        outcome = None  # type: ignore[assignment]  # not needed while waiting
        await driver.sleep(due - driver.now())
        exchange.wait = wait


async def _attempt(
    send: Send, driver: Any, request: Request, policy: RetryPolicy, started: float
) -> Response[Any] | AtomHTTPError:
    deadline, limit = request.deadline, policy.attempt_timeout
    if limit is not None:
        due = driver.now() + limit
        request.deadline = due if deadline is None else min(due, deadline)
    try:
        response = await send(request)
    except AtomHTTPError as error:
        if error.from_caller or error.request is None or not error.request.is_of(request):
            # A function of the caller's has failed (auth, a body), and not this request.
            raise
        if isinstance(error, AtomHTTPTimeoutError) and request.deadline != deadline:
            _blame_attempt(error, request, deadline, driver.now(), limit, started)
        return error
    finally:
        request.deadline = deadline
    # Auth may have made another request of it.
    response.request.deadline = deadline
    if limit is not None and response.unread is not None and request.outline.timeout.stream_gap is None:
        # The attempt is over. Its content has the time of the call.
        response.unread.bind(deadline)
    return response


def _blame_attempt(
    error: AtomHTTPTimeoutError,
    request: Request,
    deadline: float | None,
    now: float,
    limit: float | None,
    started: float,
) -> None:
    """Has `error` name `attempt_timeout`, unless it is about the limit of a phase."""
    if limit is None or request.deadline is None or now < request.deadline:
        return
    total = request.outline.timeout.total
    began = started if deadline is None or total is None else deadline - total
    error.limit, error.elapsed = limit, now - began
    error.message = (
        f"timeout of {limit:g} s exceeded (attempt_timeout) after {error.elapsed:.3f} s in phase {error.phase!r}: "
        f"{error.url}"
    )


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
        wanted = await ask(driver, request, policy.condition, outcome, attempt)
    else:
        wanted = _is_transient(outcome, request, policy)
    if not wanted:
        return None
    if request.has_body and not can_replay(request):
        if isinstance(outcome, AtomHTTPError):
            outcome.message += USED_UP
        else:
            outcome.remark = USED_UP.removeprefix("; ")
        return None
    from random import random  # 2 ms of every start, for a wait that is hardly ever drawn

    wait = policy.backoff(retries + 1, random())
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
        # Certificates do not get better, nor do their files; a handshake that was cut off may.
        cause = outcome.__cause__
        is_file = isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError)
        return outcome.code == "ERR_TLS" and not is_file and not isinstance(cause, ssl.SSLCertVerificationError)
    if isinstance(outcome, AtomHTTPProxyError):
        # It has said no, or has no address itself.
        is_refusal = outcome.proxy_status is not None and 400 <= outcome.proxy_status < 500
        return not is_refusal and getattr(outcome.__cause__, "code", None) != "ENOTFOUND"
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
    then = parse_http_date(field)
    if then is None:
        return 0.0
    # By the server's own clock where it tells: ours may be wrong.
    now = parse_http_date(response.headers.get("date", ""))
    return max(0.0, then - (time.time() if now is None else now))
