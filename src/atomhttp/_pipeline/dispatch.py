"""The life of a request, from its config to its response."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from atomhttp._adapters.base import Adapter, AdapterResponse
from atomhttp._body.decode import decode_json_body, decode_text, decode_typed
from atomhttp._body.json_codec import loads
from atomhttp._model.config import RequestConfig
from atomhttp._model.request import Outline, Request
from atomhttp._pipeline.content import Codings, ContentReader, read_all
from atomhttp._pipeline.plan import Plan
from atomhttp._pipeline.resend import check_resend
from atomhttp._pipeline.response import Response, status_error
from atomhttp._redact import redact_url
from atomhttp.errors import AtomHTTPError, AtomHTTPNetworkError

_logger = logging.getLogger("atomhttp.request")

# How much of a refused response is read for its error, in bytes.
ERROR_CONTENT: Final = 1024 * 1024

_OPENING: Final = (b"{", b"[")
_BYTES: Final = ("blob", "arraybuffer")
_AS_JSON: Final = ("json", "stream")

OpenStream = Callable[[ContentReader, Any], Any]


async def dispatch(
    plan: Plan,
    method: str | None,
    url: Any,
    config: Any,
    options: Mapping[str, Any],
    adapter: Adapter,
    driver: Any,
    open_stream: OpenStream,
) -> Response[Any]:
    """Sends what the arguments describe, over the plan's defaults, and returns what came back.

    Raises:
        AtomHTTPError: with the config, and the request and response as far as they existed.
    """
    started = driver.now()
    built: RequestConfig | None = None
    request: Request | None = None
    try:
        request = plan.recall_request(method, url, config, options, driver, started)
        if request is None:
            built = plan.build_config(method, url, config, options)
            request = plan.build_request(built, driver, started)
            if config is None:
                plan.remember(request, options)
        adapter = request.outline.adapter or adapter
        try:
            raw = await adapter.send(request)
        except AtomHTTPNetworkError as error:
            check_resend(request, error)
            raw = await adapter.send(request)
        if request.outline.streaming or type(raw.body) is not bytes:
            try:
                response = await _read(raw, request, driver, open_stream)
            except BaseException:
                # Whoever stopped it (validateStatus, a coding nobody knows): what is left will not be read.
                getattr(raw.body, "close", _nothing)()
                raise
        else:
            response = _take_whole(raw, request)
            request.driver = None
    except AtomHTTPError as error:
        if error.config is None:
            error.config, error.request = built if request is None else request.config, request
        if _logger.isEnabledFor(logging.DEBUG):
            _logger.debug("%s failed: %r (%.1f ms)", request or method, error, (driver.now() - started) * 1e3)
        raise
    if _logger.isEnabledFor(logging.DEBUG):
        elapsed = (driver.now() - started) * 1e3
        _logger.debug("%s %s %d (%.1f ms)", request.method, redact_url(request.url), response.status, elapsed)
    return response


def _nothing() -> None:
    """For bodies that hold nothing."""


def _take_whole(raw: AdapterResponse, request: Request) -> Response[Any]:
    """A response whose content is there, whole and unlimited: the way of nearly every one."""
    outline = request.outline
    content: bytes = raw.body
    unknown: tuple[str, ...] = ()
    if raw.content_encoding:
        codings = Codings(raw, outline.method, outline.decompress)
        content = codings.decode(content)
        unknown = codings.unknown
    response = Response.received(raw, request, content)
    if unknown:
        response.undecoded = unknown
    response.data = _decode(raw, outline, content)
    validate = outline.validate_status
    if validate is not None and not _is_accepted(validate, raw.status):
        raise status_error(response)
    return response


async def _read(raw: AdapterResponse, request: Request, driver: Any, open_stream: OpenStream) -> Response[Any]:
    """A response whose content comes in pieces: handed on as a stream, or collected under a limit."""
    outline = request.outline
    validate = outline.validate_status
    refused = validate is not None and not _is_accepted(validate, raw.status)
    codings = Codings(raw, outline.method, outline.decompress)
    limit, most = outline.max_content_length, -1
    if refused:
        # Cut off at the limit and shown all the same: what it says is why it was refused.
        most, limit = limit if limit >= 0 else ERROR_CONTENT, -1
    reader = ContentReader(raw, codings, limit)
    if outline.response_type == "stream" and not refused:
        response = Response.received(raw, request, b"")
        response.data = open_stream(reader, driver)
    else:
        bound = getattr(raw.body, "bound", None)
        if bound is not None:
            bound(request.deadline)
        content, truncated = await read_all(reader, driver, most)
        response = Response.received(raw, request, content)
        response.data = _decode(raw, outline, content)
        response.truncated = truncated
    response.undecoded = codings.unknown
    if refused:
        raise status_error(response)
    return response


def _is_accepted(validate: Any, status: int) -> bool:
    return 200 <= status <= 299 if validate is True else bool(validate(status))


def _decode(raw: AdapterResponse, outline: Outline, content: bytes) -> Any:
    """`response.data`, as `response_type` says."""
    kind = outline.response_type
    if kind == "json" and content[:1] in _OPENING and raw.status != 205 and outline.json_decoder is None:
        # An object or array, nearly always: then its Content-Type does not matter, and need not be looked for.
        try:
            return loads(content)
        except ValueError:
            return _decode_json(raw, outline, content)
    if kind in _BYTES:
        return content
    if kind == "text":
        return decode_text(content, raw.content_type, outline.response_encoding)
    if kind in _AS_JSON or not 200 <= raw.status <= 299:
        # A type is for what was asked for: an error's content is decoded as JSON, so that it can be read.
        return _decode_json(raw, outline, content)
    return decode_typed(content, kind, raw.content_type)


def _decode_json(raw: AdapterResponse, outline: Outline, content: bytes) -> Any:
    if raw.status == 205:
        # It must not have content (RFC 9110 section 15.3.6), though it is framed as if it might.
        return None
    strict = outline.strict_json and 200 <= raw.status <= 299
    return decode_json_body(content, raw.content_type, strict=strict, decoder=outline.json_decoder)
