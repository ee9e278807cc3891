"""Redirects (RFC 9110 section 15.4): which are followed, as which request, and what stays behind.

To another origin an allow-list of fields travels. Everything else stays home, and does not come back on a later hop:
the next request is made of the one before, not of the first.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from atomhttp._model.outline import FieldBlock, Outline
from atomhttp._model.request import Request
from atomhttp._model.url import Target, resolve_reference
from atomhttp._pipeline.cookies import place
from atomhttp._pipeline.deadline import ask
from atomhttp._pipeline.resend import can_replay
from atomhttp._pipeline.response import Response
from atomhttp._redact import is_secret_name, show_url
from atomhttp.auth import BasicAuth
from atomhttp.errors import AtomHTTPOptionError, AtomHTTPRedirectError, AtomHTTPURLError

if TYPE_CHECKING:
    from atomhttp._pipeline.exchange import Exchange, Send

_logger = logging.getLogger("atomhttp.redirect")

STATUSES: Final = frozenset((301, 302, 303, 307, 308))
# What says nothing about who asks: content negotiation, conditions, ranges, trace context (W3C), and what the engine
# lets a Connection field say.
_HARMLESS: Final = frozenset(("user-agent", "range", "traceparent", "tracestate", "connection"))
_HARMLESS_PREFIXES: Final = ("accept", "if-")
# Fields of the content go where it goes.
_CONTENT_PREFIX: Final = "content-"


def leads_on(response: Response[Any], outline: Outline) -> bool:
    """Whether `response` is a redirect that is to be followed."""
    return response.status in STATUSES and outline.max_redirects > 0 and bool(response.headers.get("location"))


async def follow_redirects(
    send: Send, exchange: Exchange, driver: Any, request: Request, first: Response[Any] | None = None
) -> Response[Any]:
    """Sends `request` and goes where the responses lead; `first` is its response where it has been sent already.

    Raises:
        AtomHTTPRedirectError: ERR_FR_TOO_MANY_REDIRECTS, or ERR_BAD_REDIRECT: it leads where a request cannot go.
    """
    history: list[Response[Any]] = []
    response = await send(request) if first is None else first
    while leads_on(response, request.outline):
        response.data = None
        history.append(response)
        if len(history) > request.outline.max_redirects:
            response.history = tuple(history[:-1])
            raise AtomHTTPRedirectError(
                f"more redirects than maxRedirects, {request.outline.max_redirects}: the last was at "
                f"{show_url(response.url)}",
                "ERR_FR_TOO_MANY_REDIRECTS",
                request=request,
                response=response,
            )
        try:
            request = await _next_request(request, response, driver)
        except AtomHTTPRedirectError as error:
            error.request, error.response = request, response
            raise
        _logger.debug("%d from %s to %s", response.status, show_url(response.url), show_url(request.url))
        response = await send(request)
    response.history = tuple(history)
    return response


async def _next_request(request: Request, response: Response[Any], driver: Any) -> Request:
    target = _find_target(request, response)
    outline = request.outline
    method, drops_content = _redirect_method(outline.method, response.status)
    goes_home = place(target) == place(request.target)
    _check_downgrade(request, target, drops_content)
    keeps_content_fields = not drops_content and (goes_home or request.has_body)
    fields, response.stripped = _split_fields(request, goes_home, drops_content)
    block = FieldBlock(fields)
    # What the engine adds, or has to know, goes with the content; a Host field of the caller's stays on its origin.
    block.content_length = None if drops_content else outline.block.content_length
    block.expects_continue = outline.block.expects_continue and not drops_content
    block.content_type = outline.block.content_type if keeps_content_fields else None
    block.host = outline.block.host if goes_home else None
    route = outline.route
    if not goes_home:
        route = outline.router.follow(route, target, request.config)
    outline = outline.derive(
        block,
        method=method,
        target=target,
        route=route,
        auth=outline.auth if goes_home else None,
        left_home=outline.left_home or not goes_home,
    )
    hop = request.derive(outline, driver.now())
    if drops_content:
        hop.body, hop.has_body, hop.content_type = b"", False, None
    elif hop.has_body and not can_replay(hop):
        raise _refused(response, target, "its body cannot be sent a second time (a stream, read once)")
    return await _ask(hop, response, driver)


def _find_target(request: Request, response: Response[Any]) -> Target:
    locations = set(response.headers.get_all("location"))
    if len(locations) > 1:
        raise AtomHTTPRedirectError(f"{show_url(response.url)}: several Locations that differ", "ERR_BAD_REDIRECT")
    location = locations.pop()
    try:
        return resolve_reference(request.target, location)
    except AtomHTTPURLError as error:
        raise AtomHTTPRedirectError(
            f"{show_url(response.url)}: a Location that cannot be followed: {error.message}", "ERR_BAD_REDIRECT"
        ) from error


def _redirect_method(method: str, status: int) -> tuple[str, bool]:
    """The method of the next request, and whether it leaves the content behind."""
    if (status in (301, 302) and method == "POST") or (status == 303 and method != "HEAD"):
        return "GET", True
    return method, False


def _check_downgrade(request: Request, target: Target, drops_content: bool) -> None:
    if request.target.scheme != "https" or target.scheme == "https" or request.config.allow_insecure_redirect:
        return
    cookies = request.outline.cookies
    credentials = (
        request.outline.auth is not None
        or any(is_secret_name(name) for name, _ in request.outline.block.fields)
        or (cookies is not None and bool(cookies.given))
    )
    if credentials or (request.has_body and not drops_content):
        what = "credentials" if credentials else "a body"
        raise AtomHTTPRedirectError(
            f"from https to http with {what}: {show_url(request.url)} leads to {show_url(target.url)}; "
            "allowInsecureRedirect=True would follow",
            "ERR_BAD_REDIRECT",
        )


def _split_fields(
    request: Request, goes_home: bool, drops_content: bool
) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """The fields that go along, and the names of those that another origin must not see."""
    allowed: Iterable[str] = request.config.cross_origin_headers
    kept: list[tuple[str, str]] = []
    stripped: dict[str, str] = {}
    for name, value in request.outline.block.fields:
        key = name.lower()
        if key.startswith(_CONTENT_PREFIX) and (drops_content or request.has_body):
            if not drops_content:
                kept.append((name, value))
        elif goes_home or key in _HARMLESS or key.startswith(_HARMLESS_PREFIXES) or key in allowed:
            kept.append((name, value))
        else:
            stripped.setdefault(key, name)
    if not goes_home:
        if request.outline.auth is not None:
            stripped["auth"] = "auth"
        if request.outline.block.host not in (None, request.target.authority):
            stripped["host"] = "Host"
        if request.outline.route.cert is not None:
            stripped["cert"] = "cert"
        cookies = request.outline.cookies
        if cookies is not None and cookies.given and cookies.place == place(request.target):
            stripped.setdefault("cookie", "Cookie")
    return kept, tuple(stripped.values())


async def _ask(hop: Request, response: Response[Any], driver: Any) -> Request:
    """`beforeRedirect` sees what will be sent, and may set fields."""
    if hop.target.userinfo is not None:
        # The server's own words, for the place that it names.
        try:
            auth = BasicAuth(*hop.target.userinfo)
        except AtomHTTPOptionError as error:
            raise _refused(response, hop.target, error.message) from error
        hop = _with_headers(hop, auth.get_header())
    before_redirect = hop.config.before_redirect
    if before_redirect is None:
        return hop
    headers: Mapping[str, Any] | None = await ask(driver, hop, before_redirect, hop, response)
    if headers is None:
        return hop
    if not isinstance(headers, Mapping):
        raise AtomHTTPOptionError(
            f"beforeRedirect returned {type(headers).__name__}: expected a mapping of header fields or None",
            "ERR_BAD_OPTION_VALUE",
        )
    return _with_headers(hop, headers)


def _with_headers(hop: Request, headers: Mapping[str, Any]) -> Request:
    changed = hop.editable()
    changed.headers.update(headers)
    return changed.sealed()


def _refused(response: Response[Any], target: Target, why: str) -> AtomHTTPRedirectError:
    return AtomHTTPRedirectError(
        f"{response.status} from {show_url(response.url)} to {show_url(target.url)} cannot be followed: {why}",
        "ERR_BAD_REDIRECT",
    )
