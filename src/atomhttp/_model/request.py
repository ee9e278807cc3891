"""Request: what is sent, once every option has had its say. An adapter's argument and `response.request`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from atomhttp._compiled import mypyc_attr
from atomhttp._model.headers import Headers
from atomhttp._model.options import OPTIONS
from atomhttp._model.outline import FieldBlock, Outline, build_outline
from atomhttp._model.route import Route
from atomhttp._model.timeout import Timeout
from atomhttp._model.url import Target, parse_url
from atomhttp._redact import quote_peer, show_url

if TYPE_CHECKING:
    from atomhttp._model.config import RequestConfig


class Body(Protocol):
    """Content that is not in memory: an async iterable of bytes.

    Attributes:
        length: its length in bytes, or None when unknown (then it is sent chunked).
        replayable: whether it can be iterated a second time.
        opened: whether it has been iterated, or has begun to be.
    """

    length: int | None
    replayable: bool
    opened: bool

    def open(self) -> Any:
        """A reader: `await read()` gives the next piece, b"" at the end; `close()`."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class ConfigBuilder(Protocol):
    """Makes the config of a request that could be sent without one (the plan)."""

    def build_config(self, method: str | None, url: Any, config: Any, options: Mapping[str, Any]) -> RequestConfig: ...


@mypyc_attr(allow_interpreted_subclasses=True)
class Request:
    """One request, ready to be sent: encoded, validated, not changed afterwards.

    Attributes:
        body: the content: bytes (b"" when there is none), or a Body.
        has_body: whether there is content, be it empty.
        content_type: the Content-Type, None when there is none.
        deadline: when the call runs out of time, on the driver's clock; None for never.
    """

    # Defaults on the class and no __slots__: most requests set five of these.
    body: bytes | Body = b""
    has_body = False
    content_type: str | None = None
    # Asks for a connection that has served nobody yet.
    fresh = False
    # It is the second time that it is sent, by itself: there is no third.
    resent = False
    # How many connections have said goodbye instead of taking it.
    farewells = 0
    # Its outline is its own: its content has a boundary, say, that no other request may get.
    reshaped = False
    _config: RequestConfig | None = None
    _headers: Headers | None = None

    def __init__(self, outline: Outline, driver: Any, started: float, recipe: Any) -> None:
        self.outline = outline
        self.driver = driver
        self.started = started
        # What the config can be made of: (ConfigBuilder, URL, options). Any: a tuple that is known as one is taken
        # apart where this is compiled, and no longer the same.
        self._recipe = recipe
        total = outline.timeout.total
        self.deadline = None if total is None else started + total

    @property
    def config(self) -> RequestConfig:
        """The options it was made from. Built when somebody asks: a plain call never does (0.9 µs)."""
        if self._config is None:
            plan: ConfigBuilder
            plan, url, options = self._recipe
            self._config = plan.build_config(self.outline.method, url, None, options)
        return self._config

    @config.setter
    def config(self, config: RequestConfig) -> None:
        self._config = config

    @property
    def method(self) -> str:
        """The method, upper case where it is a standard one."""
        return self.outline.method

    @property
    def target(self) -> Target:
        """The URL, parsed."""
        return self.outline.target

    @property
    def url(self) -> str:
        """The absolute URL, ASCII, without userinfo."""
        return self.target.url

    @property
    def content_length(self) -> int | None:
        """The length of the content in bytes, or None when it is unknown or there is none."""
        if not self.has_body:
            return None
        return len(self.body) if isinstance(self.body, bytes) else self.body.length

    @property
    def headers(self) -> Headers:
        """Every field that is sent, those of the content and its framing included."""
        if self._headers is not None:
            return self._headers
        headers = Headers([("Host", self.outline.block.host or self.target.authority)])
        for name, value in self.outline.block.fields:
            headers.append(name, value)
        if self.content_type is not None:
            headers.set("Content-Type", self.content_type)
        if self.content_length is not None:
            headers.set("Content-Length", self.content_length)
        elif self.has_body:
            headers.set("Transfer-Encoding", "chunked")
        return headers

    def is_of(self, other: Request) -> bool:
        """Whether both belong to one call: made of the same, as a redirect's and an `auth_flow`'s are."""
        return self._recipe is other._recipe

    def derive(self, outline: Outline, started: float) -> Request:
        """This request in another outline: a redirect's, or one with other fields. Same content, same deadline."""
        twin = Request(outline, self.driver, started, self._recipe)
        twin.deadline = self.deadline
        twin.config = self.config
        twin.body, twin.has_body, twin.content_type = self.body, self.has_body, self.content_type
        return twin

    def with_fields(self, fields: tuple[tuple[str, str], ...]) -> Request:
        """This request with more fields, of which none frames or routes; the same in everything else."""
        twin = Request(self.outline.with_fields(fields), self.driver, self.started, self._recipe)
        twin.deadline, twin.body, twin.has_body = self.deadline, self.body, self.has_body
        twin.content_type, twin.fresh, twin.resent = self.content_type, self.fresh, self.resent
        twin.farewells, twin.reshaped = self.farewells, self.reshaped
        # Not by way of the config, which nobody may ever ask for.
        twin._config, twin._headers = self._config, self._headers
        return twin

    def editable(self) -> Request:
        """A copy whose `headers` may be changed, until it is `sealed`: what an `auth_flow` is given."""
        twin = self.derive(self.outline, self.started)
        twin._headers = self.headers
        return twin

    def sealed(self) -> Request:
        """The request that an editable one has become, checked."""
        if self._headers is None:
            return self
        # What the engine adds by itself, and what belongs to the content, is said where it was said before.
        own = ("content-length", "transfer-encoding", "expect")
        fields = [(name, value) for name, value in self._headers.multi_items() if name.lower() not in own]
        block = FieldBlock(fields)
        before = self.outline.block
        block.content_length, block.expects_continue = before.content_length, before.expects_continue
        block.keep_alive = block.keep_alive and before.keep_alive
        twin = self.derive(self.outline.derive(block), self.started)
        if twin.has_body:
            twin.content_type = block.content_type
        return twin

    def __repr__(self) -> str:
        return f"<Request {quote_peer(self.method)} {show_url(self.url, 300)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # A response is picklable with the description of its request, without the connection to this process.
        outline = self.outline
        state = (
            outline.method,
            outline.target.url,
            outline.block.fields,
            self.content_type,
            self.has_body,
            self.config,
        )
        return (_restore, state)


def _restore(
    method: str, url: str, fields: list[tuple[str, str]], content_type: str | None, has_body: bool, config: Any
) -> Request:
    target = parse_url(url)
    route = Route(target.scheme, target.host, target.port, None, True, None)
    outline = build_outline(target, route, FieldBlock(fields), Timeout(), _PLAIN_OPTIONS | {"method": method})
    request = Request(outline, None, 0.0, (None, None, None))  # no recipe: it has its config
    request.config = config
    request.content_type = content_type
    request.has_body = has_body
    return request


_PLAIN_OPTIONS = {option.name: option.default for option in OPTIONS}
