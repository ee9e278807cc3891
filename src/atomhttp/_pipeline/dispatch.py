"""The life of a request, from its config to its response."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Coroutine, Mapping
from functools import partial
from typing import Any, Final, Protocol

from atomhttp._adapters.base import Adapter, AdapterResponse
from atomhttp._body.decode import decode_json_body, decode_text, decode_typed
from atomhttp._body.json_codec import decode_usual, loads
from atomhttp._model.abort import AbortSignal
from atomhttp._model.config import RequestConfig
from atomhttp._model.outline import Outline
from atomhttp._model.request import Request
from atomhttp._pipeline.attempt import Attempt
from atomhttp._pipeline.auth import authenticate
from atomhttp._pipeline.content import Codings, ContentReader
from atomhttp._pipeline.cookies import CookieCarrier
from atomhttp._pipeline.deadline import in_time
from atomhttp._pipeline.exchange import Exchange, Send
from atomhttp._pipeline.interceptors import intercept
from atomhttp._pipeline.plan import Plan
from atomhttp._pipeline.redirects import STATUSES, follow_redirects
from atomhttp._pipeline.resend import check_resend
from atomhttp._pipeline.response import Response, is_accepted, status_error
from atomhttp._pipeline.response_state import ResponseState, received
from atomhttp._pipeline.retry import retry
from atomhttp._pipeline.transforms import transform_request, transform_response
from atomhttp._redact import redact_url, show_url
from atomhttp.errors import AtomHTTPCanceledError, AtomHTTPDecodeError, AtomHTTPError

_logger: Final = logging.getLogger("atomhttp.request")
# Where a Logger keeps what it has said of its levels, until somebody changes one. Looked at first: where nothing is to
# be logged, that saves a call (0.1 µs).
_known_levels: Final[dict[int, bool]] = getattr(_logger, "_cache", {}) if type(_logger) is logging.Logger else {}
_DEBUG: Final = logging.DEBUG

REDIRECTS: Final = STATUSES
_OPENING: Final = (b"{", b"[")
_BYTES: Final = ("blob", "arraybuffer")
_AS_JSON: Final = ("json", "stream")


class StreamOpener(Protocol):
    """Makes what a caller reads a stream by (the client)."""

    def _open_stream(self, reader: ContentReader, driver: Any, /) -> Any:
        """The caller's stream over content that is to be read by pieces."""
        ...


async def dispatch(
    plan: Plan,
    method: str | None,
    url: Any,
    config: Any,
    options: Mapping[str, Any] | None,
    adapter: Adapter,
    driver: Any,
    opener: StreamOpener,
) -> Any:
    """Sends what the arguments describe, over the plan's defaults, and returns what came back.

    Without `options`, `config` is complete: interceptors have seen it.

    Raises:
        AtomHTTPError: with the config, and the request and response as far as they existed.
    """
    if plan.interceptors is not None and options is not None:
        return await _intercept(plan, method, url, config, options, adapter, driver, opener)
    started = driver.now()
    request: Request | None = None
    try:
        if options is not None:
            request = plan.recall_request(method, url, config, options, driver, started)
        if request is None:
            request = await _build_request(plan, method, url, config, options, driver)
        outline = request.outline
        adapter = outline.adapter or adapter
        if outline.is_plain:
            # The way of nearly every request, written out: no policy has anything to say until it is back.
            cookies = outline.cookies
            sent: Request = request if cookies is None or not cookies.jar.stored else cookies.add_to(request)
            try:
                raw = await adapter.send(sent)
            except AtomHTTPError as error:
                response = await _send_by_policies(request, adapter, driver, opener, sent, failure=error)
            else:
                body, status = raw.body, raw.status
                if type(body) is bytes and status not in REDIRECTS:
                    response = _take_whole(raw, body, status, sent)
                    request.driver = sent.driver = None
                else:
                    response = await _send_by_policies(request, adapter, driver, opener, sent, raw)
        else:
            send = _send_directly if outline.is_direct else _send_by_policies
            response = await send(request, adapter, driver, opener)
    except AtomHTTPError as error:
        _complete_error(error, request)
        if _logger.isEnabledFor(logging.DEBUG):
            _log_error(error, request or method, (driver.now() - started) * 1e3)
        raise
    if _known_levels.get(_DEBUG) is not False and _logger.isEnabledFor(_DEBUG):
        _log_response(response, (driver.now() - started) * 1e3)
    return response


async def _intercept(
    plan: Plan,
    method: str | None,
    url: Any,
    config: Any,
    options: Mapping[str, Any],
    adapter: Adapter,
    driver: Any,
    opener: StreamOpener,
) -> Any:
    """The call with the client's interceptors around it."""

    def send(built: RequestConfig) -> Coroutine[Any, Any, Response[Any]]:
        return dispatch(plan, None, None, built, None, adapter, driver, opener)

    assert plan.interceptors is not None
    built = plan.build_config(method, url, config, options)
    # While the caller's functions are waited for, nothing of this call is open by which the driver would know of it.
    driver.join()
    try:
        return await intercept(plan.interceptors, built, plan.complete, send, driver)
    finally:
        driver.leave()


def _log_response(response: Response[Any], milliseconds: float) -> None:
    method, url = response.request.method, show_url(response.url)
    _logger.debug(
        "%s %s %d (%.1f ms, attempts: %d)", method, url, response.status, milliseconds, len(response.attempts)
    )


def _log_error(error: AtomHTTPError, request: object, milliseconds: float) -> None:
    _logger.debug("%s failed: %r (%.1f ms, attempts: %d)", request, error, milliseconds, len(error.attempts))


def _complete_error(error: AtomHTTPError, request: Request | None) -> None:
    """What an error can tell of its call."""
    if request is not None:
        answered = None if error.response is None else error.response.request
        # A redirect's, where there was one.
        error.request = error.request or answered or request
        error.config = error.config or request.config
        if error.received is not None and error.response is None:
            # It had begun: what it said so far may explain why it broke off.
            answer: Response[Any] = received(Response, error.received, error.received.status, error.request, b"")
            error.response = answer
        for each in (request, error.request, answered):
            if each is not None:
                # An error that is kept must not keep the event loop.
                each.driver = None
    error.received = None
    if not error.attempts and error.response is not None:
        error.attempts = error.response.attempts


async def _build_request(
    plan: Plan, method: str | None, url: Any, config: Any, options: Mapping[str, Any] | None, driver: Any
) -> Request:
    """A request that is not like an earlier one; transformRequest has its say before the clock starts."""
    built: RequestConfig = config if options is None else plan.build_config(method, url, config, options)
    try:
        if built.signal is not None:
            built.signal.throw_if_aborted()
        if built.transform_request is not None:
            transform = _transform(plan, built, driver)
            return await (transform if built.signal is None else driver.abortable(transform, built.signal))
        request = plan.build_request(built, driver, driver.now())
    except AtomHTTPError as error:
        error.config = error.config or built
        raise
    if config is None and options is not None:
        plan.remember(request, options)
    return request


async def _transform(plan: Plan, built: RequestConfig, driver: Any) -> Request:
    driver.join()
    try:
        content = await transform_request(built, driver)
        request = plan.build_request(built, driver, driver.now(), content)
    except BaseException:
        driver.leave()
        raise
    # It stays: the adapter relies on it next, before anything is waited for.
    driver.leave(stay=True)
    return request


async def _send_directly(request: Request, adapter: Adapter, driver: Any, opener: StreamOpener) -> Response[Any]:
    """The plain way for a call whose policies have nothing to say before there is a response, and seldom then.

    Armed retries cost 3 µs by it, transformResponse 10; by the chain it is 25.
    """
    outline = request.outline
    cookies, signal = outline.cookies, outline.signal
    sent = request if cookies is None else cookies.narrowed(outline.target).add_to(request)
    try:
        if signal is None:
            raw = await adapter.send(sent)
        else:
            signal.throw_if_aborted()
            raw = await driver.abortable(adapter.send(sent), signal)
    except AtomHTTPError as error:
        if isinstance(error, AtomHTTPCanceledError) and signal is not None and signal.aborted:
            raise
        return await _send_by_policies(request, adapter, driver, opener, sent, failure=error)
    if _needs_policies(raw, outline):
        try:
            return await _send_by_policies(request, adapter, driver, opener, sent, raw)
        except AtomHTTPCanceledError:
            # It may have been aborted just before the chain could take the content over.
            getattr(raw.body, "close", _nothing)()
            raise
    response = _take_whole(raw, raw.body, raw.status, sent, judges=False)
    request.driver = sent.driver = None
    response.accepted = is_accepted(outline.validate_status, raw.status)
    try:
        if outline.transform_response is not None:
            # While the caller's function is waited for, nothing of this call is open.
            driver.join()
            try:
                await _transform_data(response, driver)
            finally:
                driver.leave()
        if signal is not None:
            # By a callback that was not waited for.
            signal.throw_if_aborted()
    except AtomHTTPError as error:
        if not error.from_caller:
            error.attempts = response.attempts
        raise
    if not response.accepted:
        raise status_error(response)
    return response


def _needs_policies(raw: AdapterResponse, outline: Outline) -> bool:
    """Whether there is more to be done about a response than to decode it."""
    if type(raw.body) is not bytes or raw.status in REDIRECTS:
        return True
    policy = outline.retry
    return policy is not None and (policy.condition is not None or raw.status in policy.status_forcelist)


def _send_by_policies(
    request: Request, adapter: Adapter, driver: Any, opener: StreamOpener, *tried: Any, **failed: Any
) -> Awaitable[Response[Any]]:
    """The chain, under the call's signal where there is one."""
    exchange = Exchange(adapter, driver)
    chain = _run_chain(request, exchange, driver, opener, *tried, **failed)
    return chain if request.outline.signal is None else _give_up_on(request.outline.signal, chain, exchange, driver)


async def _give_up_on(
    signal: AbortSignal, chain: Coroutine[Any, Any, Response[Any]], exchange: Exchange, driver: Any
) -> Response[Any]:
    try:
        return await driver.abortable(chain, signal)  # type: ignore[no-any-return]  # what `chain` gives
    except AtomHTTPCanceledError as error:
        if not error.from_caller:
            error.attempts = exchange.attempts
        raise


async def _run_chain(
    request: Request,
    exchange: Exchange,
    driver: Any,
    opener: StreamOpener,
    sent: Request | None = None,
    raw: AdapterResponse | None = None,
    failure: AtomHTTPError | None = None,
) -> Response[Any]:
    """The chain: redirects, and around each of their requests retry, auth and cookies, as far as there is use for them.

    `raw` or `failure` is what came of the request as it was `sent`, where that has been tried.
    """
    outline = request.outline
    driver.join()
    send = exchange.send
    if outline.signal is not None:
        send = partial(_send_unless_aborted, send)
    if outline.cookies is not None:
        cookies = outline.cookies if sent is None else outline.cookies.narrowed(request.target)
        send = CookieCarrier(cookies, send).send
    if outline.auth is not None:
        send = partial(authenticate, send, exchange, driver)
    once = send
    if outline.retry is not None:
        send = partial(retry, send, exchange, driver)
    first = None
    try:
        if sent is not None:
            tried, failure = _Tried(exchange, sent, raw, failure), None
            first = await _take_up(tried, once, exchange, driver, request)
        response = await follow_redirects(send, exchange, driver, request, first)
        response.attempts = exchange.attempts
        reader = response.unread
        try:
            return await _finish(response, exchange, driver, opener)
        except BaseException:
            if reader is not None:
                # Nobody will read it: what it would have been handed to has not come about.
                reader.close()
            # Until here the stream has to stay: where this is compiled, what is not used any more goes at once.
            response.unread = None
            raise
    except AtomHTTPError as error:
        if not error.from_caller:
            error.attempts = exchange.attempts
        raise
    finally:
        driver.leave()
        # An error knows this frame: together they would wait for the garbage collector.
        failure = None


class _Tried:
    """What came of a request as it was `sent`, by the plain way: a response, or a failure."""

    __slots__ = ("_exchange", "_failure", "_raw", "failed", "sent")

    def __init__(
        self, exchange: Exchange, sent: Request, raw: AdapterResponse | None, failure: AtomHTTPError | None
    ) -> None:
        self._exchange = exchange
        self.sent = sent
        self._raw = raw
        self._failure = failure
        self.failed = failure is not None

    async def send(self, request: Request) -> Response[Any]:
        """A `Send` that need not send any more."""
        # Not kept: the error will know the frames that know this object.
        failure, self._failure = self._failure, None
        if failure is None:
            assert self._raw is not None
            return await self._exchange.receive(self._raw, self.sent, request.started)
        try:
            self._exchange.record_failure(self.sent, request.started, failure)
            raise failure
        finally:
            failure = None


async def _take_up(
    tried: _Tried, send: Send, exchange: Exchange, driver: Any, request: Request
) -> Response[Any] | None:
    """The first response of a call whose first request has been `tried`; None: it is to be sent once more."""
    if request.outline.retry is not None:
        return await retry(send, exchange, driver, request, tried.send)
    if not tried.failed:
        return await tried.send(request)
    try:
        await tried.send(request)
    except AtomHTTPError as error:
        check_resend(tried.sent, error)
    sent = tried.sent
    request.resent, request.farewells, request.fresh = sent.resent, sent.farewells, sent.fresh
    return None


async def _send_unless_aborted(send: Send, request: Request) -> Response[Any]:
    """Whoever aborts in a callback that was not waited for (beforeRedirect, auth) is not to see one more request go."""
    request.outline.signal.throw_if_aborted()
    return await send(request)


async def _finish(response: Response[Any], exchange: Exchange, driver: Any, opener: StreamOpener) -> Response[Any]:
    """Content becomes data: decoded or handed on as a stream, transformed, and its status judged."""
    outline = response.request.outline
    if response.accepted is None:
        response.accepted = is_accepted(outline.validate_status, response.status)
    refused = not response.accepted
    reader, response.unread = response.unread, None
    if reader is not None and not refused:
        reader.hold_to(outline.max_content_length)
        reader.signal = outline.signal
        response.data = opener._open_stream(reader, driver)
    else:
        if reader is not None:
            await exchange.read_refused(reader, response)
        _decode_response(response, outline, response.content)
        # A response that is kept must not keep the event loop.
        response.request.driver = None
    for earlier in response.history:
        earlier.request.driver = None
    if outline.transform_response is not None:
        await _transform_data(response, driver)
    if outline.signal is not None:
        # By a callback that was not waited for.
        outline.signal.throw_if_aborted()
    if refused:
        raise status_error(response)
    return response


async def _transform_data(response: Response[Any], driver: Any) -> None:
    request = response.request
    with in_time(driver, request):
        functions = request.outline.transform_response
        response.data = await transform_response(functions, response, driver, request.deadline)


def _take_whole(
    raw: AdapterResponse, content: bytes, status: Any, request: Request, judges: bool = True
) -> Response[Any]:
    """A response whose content is there, whole and unlimited: the way of nearly every one. Raises for a refused status,
    if it `judges`."""
    outline = request.outline
    if raw.sets_cookies and outline.cookies is not None:
        outline.cookies.keep(raw, request.target)
    unknown: tuple[str, ...] = ()
    if raw.content_encoding:
        codings = Codings(raw, outline.method, outline.decompress)
        try:
            content = codings.decode(content)
        except AtomHTTPError as error:
            seconds = raw.times.get("total", 0.0)
            error.attempts = (Attempt(1, redact_url(request.url), None, error.code, 0.0, seconds),)
            raise
        unknown = codings.unknown
    response: Response[Any] = received(Response, raw, status, request, content)
    if unknown:
        response.undecoded = unknown
    _decode_response(response, outline, content)
    if outline.validate_status is not None and judges and not is_accepted(outline.validate_status, status):
        raise status_error(response)
    return response


def _nothing() -> None:
    """For content that holds nothing."""


def _decode_response(response: ResponseState, outline: Outline, content: bytes) -> None:
    """Content becomes `response.data`, as `response_type` says."""
    if (
        outline.response_type == "json"
        and content[:1] in _OPENING
        and response.status != 205
        and outline.json_decoder is None
    ):
        # An object or array, nearly always: then its Content-Type does not matter, and need not be looked for.
        try:
            response.data = decode_usual(content)
            return
        except (ValueError, RecursionError):
            try:
                response.data = loads(content)
                return
            except ValueError:
                pass  # not JSON after all
    _decode_otherwise(response, outline, content)


def _decode_otherwise(response: Any, outline: Outline, content: bytes) -> None:
    try:
        response.data = _decode(response, outline, content)
    except AtomHTTPDecodeError as error:
        error.response = response
        raise


def _decode(response: Response[Any], outline: Outline, content: bytes) -> Any:
    kind = outline.response_type
    if kind in _BYTES:
        return content
    if kind == "text":
        return decode_text(content, response.content_type, outline.response_encoding)
    if kind in _AS_JSON or not 200 <= response.status <= 299:
        # A type is for what was asked for: an error's content is decoded as JSON, so that it can be read.
        return _decode_json(response)
    return decode_typed(content, kind, response.content_type)


def _decode_json(response: Response[Any]) -> Any:
    if response.status == 205:
        # It must not have content (RFC 9110 section 15.3.6), though it is framed as if it might.
        return None
    outline = response.request.outline
    strict = outline.strict_json and 200 <= response.status <= 299
    return decode_json_body(
        response.content,
        response.content_type,
        strict=strict,
        decoder=outline.json_decoder,
        encoding=outline.response_encoding,
    )
