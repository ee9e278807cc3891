"""The life of a request, from its config to its response."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from atomhttp._adapters.base import Adapter, AdapterResponse
from atomhttp._body.decode import decode_json_body, decode_text, decode_typed
from atomhttp._body.json_codec import loads
from atomhttp._model.config import RequestConfig
from atomhttp._model.request import Request
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

OpenStream = Callable[[ContentReader, Any], Any]


async def dispatch(plan: Plan, config: RequestConfig, adapter: Adapter, driver: Any, open_stream: OpenStream) -> Response[Any]:
    """Sends what `config` describes and returns what came back.

    Raises:
        AtomHTTPError: with the config, and the request and response as far as they existed.
    """
    started = driver.now()
    request: Request | None = None
    try:
        request = plan.build_request(config, driver, started)
        try:
            raw = await adapter.send(request)
        except AtomHTTPNetworkError as error:
            check_resend(request, error)
            raw = await adapter.send(request)
        if request.outline.streaming or type(raw.body) is not bytes:
            response = await _read(raw, request, driver, open_stream)
        else:
            response = _take_whole(raw, request)
    except AtomHTTPError as error:
        if error.config is None:
            error.config, error.request = config, request
        if _logger.isEnabledFor(logging.DEBUG):
            _logger.debug("%s failed: %r (%.1f ms)", request or config.method, error, (driver.now() - started) * 1e3)
        raise
    if _logger.isEnabledFor(logging.DEBUG):
        elapsed = (driver.now() - started) * 1e3
        _logger.debug("%s %s %d (%.1f ms)", request.method, redact_url(request.url), response.status, elapsed)
    return response


def _take_whole(raw: AdapterResponse, request: Request) -> Response[Any]:
    """A response whose content is there, whole and unlimited: the way of nearly every one."""
    fields = request.config.__dict__
    content: bytes = raw.body
    unknown: tuple[str, ...] = ()
    if raw.content_encoding:
        codings = Codings(raw, request.method, fields["decompress"])
        content = codings.decode(content)
        unknown = codings.unknown
    response = Response.received(raw, request, content)
    if unknown:
        response.undecoded = unknown
    response.data = _decode(raw, fields, content)
    validate = fields["validate_status"]
    if validate is not None and not _is_accepted(validate, raw.status):
        raise status_error(response)
    return response


async def _read(raw: AdapterResponse, request: Request, driver: Any, open_stream: OpenStream) -> Response[Any]:
    """A response whose content comes in pieces: handed on as a stream, or collected under a limit."""
    fields = request.config.__dict__
    validate = fields["validate_status"]
    refused = validate is not None and not _is_accepted(validate, raw.status)
    codings = Codings(raw, request.method, fields["decompress"])
    limit: int = fields["max_content_length"]
    most = -1
    if refused:
        # Cut off at the limit and shown all the same: what it says is why it was refused.
        most, limit = limit if limit >= 0 else ERROR_CONTENT, -1
    reader = ContentReader(raw, codings, limit)
    if fields["response_type"] == "stream" and not refused:
        response = Response.received(raw, request, b"")
        response.data = open_stream(reader, driver)
    else:
        content, truncated = await read_all(reader, driver, most)
        response = Response.received(raw, request, content)
        response.data = _decode(raw, fields, content)
        response.truncated = truncated
    response.undecoded = codings.unknown
    if refused:
        raise status_error(response)
    return response


def _is_accepted(validate: Any, status: int) -> bool:
    return 200 <= status <= 299 if validate is True else bool(validate(status))


def _decode(raw: AdapterResponse, fields: dict[str, Any], content: bytes) -> Any:
    """`response.data`, as `response_type` says."""
    kind = fields["response_type"]
    decoder = fields["json_decoder"]
    if kind == "json" and decoder is None and content[:1] in _OPENING:
        # An object or array, nearly always: then its Content-Type does not matter, and need not be looked for.
        try:
            return loads(content)
        except ValueError:
            return _decode_json(raw, fields, content)
    if kind == "blob" or kind == "arraybuffer":
        return content
    if kind == "text":
        return decode_text(content, raw.content_type, fields["response_encoding"])
    if kind == "json" or kind == "stream" or not 200 <= raw.status <= 299:
        # A type is for what was asked for: an error's content is decoded as JSON, so that it can be read.
        return _decode_json(raw, fields, content)
    return decode_typed(content, kind, raw.content_type)


def _decode_json(raw: AdapterResponse, fields: dict[str, Any], content: bytes) -> Any:
    strict = (fields["transitional"] or {}).get("silentJSONParsing") is False and 200 <= raw.status <= 299
    return decode_json_body(content, raw.content_type, strict=strict, decoder=fields["json_decoder"])
