"""Cookies and the XSRF token: what is added to each request on its way, and kept of each response.

Innermost of the policies: every hop and every attempt gets what is right for its own target at its own time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from atomhttp._model.cookies import CookieJar, merge_cookie_header
from atomhttp._model.headers import Headers
from atomhttp._model.request import Request
from atomhttp._model.url import Target
from atomhttp._pipeline.response import Response

if TYPE_CHECKING:
    from atomhttp._pipeline.exchange import Send

Place = tuple[object, ...]


class XSRF(NamedTuple):
    """The token of double-submit protection: a cookie that is sent as a header field too, to one origin only."""

    cookie: str
    header: str
    place: Place


class Cookies(NamedTuple):
    """What a call has to do with cookies.

    Attributes:
        jar: where they come from and go to; None: they do neither.
        given: the call's own, not stored.
        place: where those belong: the origin that the call names.
        xsrf: what is to be known for the token, None when none is sent.
    """

    jar: CookieJar | None
    given: Mapping[str, str] | None = None
    place: Place | None = None
    xsrf: XSRF | None = None

    def add_to(self, request: Request) -> Request:
        """`request` with the fields that belong to it; itself when there are none."""
        here = place(request.target)
        names = {name.lower() for name, _ in request.outline.block.fields}
        fields: list[tuple[str, str]] = []
        given = self.given if self.given is not None and here == self.place else None
        if "cookie" not in names:
            # What the caller has written goes as it is, and alone.
            value = self.jar.header_for(request.target) if self.jar is not None else ""
            if given is not None:
                value = merge_cookie_header(value, given)
            if value:
                fields.append(("Cookie", value))
        xsrf = self.xsrf
        if xsrf is not None and here == xsrf.place and xsrf.header.lower() not in names:
            token = (given or {}).get(xsrf.cookie) or self._find(xsrf.cookie, request.target)
            if token:
                fields.append((xsrf.header, token))
        if not fields:
            return request
        outline = request.outline
        return request.derive(outline.derive(outline.block.with_fields(fields)), request.started)

    def _find(self, name: str, target: Target) -> str | None:
        if self.jar is None:
            return None
        return next((cookie.value for cookie in self.jar.matching(target) if cookie.name == name), None)

    def keep(self, headers: Headers, target: Target) -> None:
        """Stores what a response from `target` sets."""
        if self.jar is not None:
            fields = headers.get_set_cookie()
            if fields:
                self.jar.store(target, fields)


async def carry_cookies(send: Send, request: Request) -> Response[Any]:
    """Sends `request` with the cookies that belong to it, and keeps those that come back."""
    cookies: Cookies = request.outline.cookies
    response = await send(cookies.add_to(request))
    cookies.keep(response.headers, request.target)
    return response


def place(target: Target) -> Place:
    """Whose secrets may go there: the origin, and the socket where the URL names one (all those are localhost)."""
    return (*target.origin, target.socket_path)
