"""Cookies and the XSRF token: what is added to each request on its way, and kept of each response.

Innermost of the policies: every hop and every attempt gets what is right for its own target at its own time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from atomhttp._lazy_pattern import lazy_pattern
from atomhttp._model.cookies import CookieJar, merge_cookie_header
from atomhttp._model.outline import FieldBlock
from atomhttp._model.request import Request
from atomhttp._model.url import Target
from atomhttp._pipeline.response import Response

if TYPE_CHECKING:
    from atomhttp._adapters.base import AdapterResponse
    from atomhttp._pipeline.exchange import Send

Place = tuple[object, ...]

# What a token may be once it is decoded; anything else goes as the cookie has it.
_VISIBLE: Final = lazy_pattern(r"[\x21-\x7e]+")


class XSRF(NamedTuple):
    """The token of double-submit protection: a cookie that is sent as a header field too, to one origin only."""

    cookie: str
    header: str
    place: Place


class Home(NamedTuple):
    """The cookies that a client was given as a mapping, as they are sent, and the one origin that they go to."""

    place: Place
    pairs: frozenset[str]

    def __repr__(self) -> str:
        return f"<Home of {len(self.pairs)} cookies: {self.place}>"


class Cookies(NamedTuple):
    """What a call has to do with cookies.

    Attributes:
        jar: where they come from and go to; None: they do neither.
        given: the call's own, not stored.
        place: where those belong: the origin that the call names.
        xsrf: what is to be known for the token, None when none is sent.
        home: which of the jar's stay at one origin, where a cookie by itself would know of no port.
        locked: names of fields that the caller wants nobody to add.
    """

    jar: CookieJar | None
    given: Mapping[str, str] | None = None
    place: Place | None = None
    xsrf: XSRF | None = None
    home: Home | None = None
    locked: frozenset[str] = frozenset()

    def narrowed(self, target: Target) -> Cookies:
        """Without what does not belong to `target`; the jar finds out by itself."""
        here = place(target)
        given = self.given if here == self.place else None
        xsrf = self.xsrf if self.xsrf is not None and here == self.xsrf.place else None
        return self if given is self.given and xsrf is self.xsrf else self._replace(given=given, xsrf=xsrf)

    def add_to(self, request: Request) -> Request:
        """`request` with the fields that belong to it; itself when there are none."""
        outline = request.outline
        fields = self._find_fields(outline.target, outline.block)
        return request.with_fields(fields) if fields else request

    def _find_fields(self, target: Target, block: FieldBlock) -> tuple[tuple[str, str], ...]:
        fields: tuple[tuple[str, str], ...] = ()
        if "cookie" in block.names:
            # What the caller has written goes as it is, and alone.
            value = "; ".join(value for name, value in block.fields if name.lower() == "cookie")
        else:
            value = self._find_cookies(target) if "cookie" not in self.locked else ""
            if value:
                fields = (("Cookie", value),)
        xsrf = self.xsrf
        if xsrf is not None and xsrf.header.lower() not in (block.names | self.locked):
            token = find_token(value, xsrf.cookie)
            if token:
                fields = (*fields, (xsrf.header, token))
        return fields

    def _find_cookies(self, target: Target) -> str:
        value = self.jar.header_for(target) if self.jar is not None else ""
        if self.home is not None and value and place(target) != self.home.place:
            value = "; ".join(pair for pair in value.split("; ") if pair not in self.home.pairs)
        return value if self.given is None else merge_cookie_header(value, self.given)

    def keep(self, response: Response[Any] | AdapterResponse, target: Target) -> None:
        """Stores what a response from `target` sets."""
        if self.jar is not None and response.sets_cookies:
            self.jar.store(target, response.headers.get_set_cookie())

    def __repr__(self) -> str:
        # Whatever shows it, values are secrets.
        return f"<Cookies of {self.jar!r}{', and of the call' if self.given else ''}>"


class CookieCarrier:
    """Sends the requests of one call with the cookies that belong to them.

    Those that come back are kept as soon as their response is there (`Exchange.receive`), whatever becomes of its
    content.

    Once a redirect has left the origin that the call named, the call's own cookies and the token stay at home for good:
    where another origin leads back to theirs, it is the other that chose what to ask for (CVE-2024-45336).
    """

    __slots__ = ("_cookies", "_send")

    def __init__(self, cookies: Cookies, send: Send) -> None:
        self._cookies = cookies
        self._send = send

    async def send(self, request: Request) -> Response[Any]:
        """See `Send`."""
        cookies = self._cookies = self._cookies.narrowed(request.target)
        return await self._send(cookies.add_to(request))


def find_token(cookies: str, name: str) -> str:
    """The value of the cookie `name` in a Cookie field, percent-decoded as axios does it; "" when there is none.

    What would not be visible ASCII then, a line break above all, is not decoded.
    """
    for pair in cookies.split(";"):
        key, equals, value = pair.strip(" ").partition("=")
        if equals and key == name:
            from urllib.parse import unquote  # 5 ms of every start

            decoded = unquote(value)
            return decoded if _VISIBLE.fullmatch(decoded) else value
    return ""


def place(target: Target) -> Place:
    """Whose secrets may go there: the origin, and the socket where the URL names one (all those are localhost)."""
    return (*target.origin, target.socket_path)
