"""Request: what is sent, once every option has had its say. An adapter's argument and `response.request`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from atomhttp._model.headers import Headers
from atomhttp._model.options import OPTIONS
from atomhttp._model.retry_config import build_retry_policy
from atomhttp._model.route import Route
from atomhttp._model.timeout import Timeout
from atomhttp._model.url import Target, parse_url
from atomhttp._redact import show_url
from atomhttp.errors import AtomHTTPOptionError

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


class FieldBlock:
    """Header fields that will not change any more, with what they say about framing taken out.

    Shared by all requests that send the same fields; `encoded` is the network adapter's cache of their bytes.

    Attributes:
        locked: names, in lower case, that the caller has set to False: nobody is to add them.
    """

    __slots__ = (
        "_names",
        "content_length",
        "content_type",
        "encoded",
        "expects_continue",
        "fields",
        "host",
        "keep_alive",
        "locked",
        "proxy_authorization",
    )

    def __init__(self, fields: Iterable[tuple[str, str]], locked: frozenset[str] = frozenset()) -> None:
        self.fields: list[tuple[str, str]] = []
        self.host: str | None = None
        self.content_type: str | None = None
        self.content_length: int | None = None
        # For the proxy's eyes only: it becomes part of the route.
        self.proxy_authorization: str | None = None
        self.keep_alive = True
        self.expects_continue = False
        self.encoded: bytes | None = None
        self.locked = locked
        self._names: frozenset[str] | None = None
        for name, value in fields:
            if name.lower() in _FRAMING:
                self._take_framing(name.lower(), value)
            else:
                self.fields.append((name, value))

    @property
    def names(self) -> frozenset[str]:
        """Which fields there are, in lower case; those that frame or route are not among them."""
        if self._names is None:
            self._names = frozenset(name.lower() for name, _ in self.fields)
        return self._names

    def with_content_type(self, content_type: str) -> FieldBlock:
        """A copy that says so."""
        twin = self.with_fields(())
        twin.content_type = content_type
        return twin

    def with_fields(self, fields: Iterable[tuple[str, str]]) -> FieldBlock:
        """A copy with more fields; none of them may be one that frames or routes."""
        twin = FieldBlock(())
        twin.fields = [*self.fields, *fields]
        twin.host, twin.content_length, twin.content_type = self.host, self.content_length, self.content_type
        twin.keep_alive, twin.expects_continue = self.keep_alive, self.expects_continue
        twin.locked = self.locked
        return twin

    def _take_framing(self, name: str, value: str) -> None:
        """Fields by which the caller would frame or route the message: owned by the engine, or refused."""
        if name == "host" and self.host is None:
            self.host = value
        elif name == "content-type":
            self.content_type = value
        elif name == "proxy-authorization":
            self.proxy_authorization = value
        elif name == "content-length" and _LENGTH.fullmatch(value) and self.content_length in (None, int(value)):
            self.content_length = int(value)
        elif name == "connection" and value.isascii() and value.lower() in ("close", "keep-alive"):
            if value.lower() == "close":
                self.keep_alive = False
            else:
                # Says nothing to HTTP/1.1, but a server of HTTP/1.0 waits for it.
                self.fields.append(("Connection", "keep-alive"))
        elif name == "expect" and value.lower() == "100-continue":
            self.expects_continue = True
        else:
            raise AtomHTTPOptionError(
                f"headers: {name}: {value[:40]!r} is not for the caller to set here: framing belongs to the engine",
                "ERR_BAD_OPTION_VALUE",
            )


_LENGTH = re.compile(r"[0-9]{1,18}")
_FRAMING = frozenset(
    (
        "host",
        "content-type",
        "content-length",
        "connection",
        "expect",
        "proxy-authorization",
        "transfer-encoding",
        "upgrade",
        "te",
        "trailer",
    )
)


_OUTLINE_FIELDS: Final = (
    "_extended",
    "adapter",
    "auth",
    "block",
    "cookies",
    "decompress",
    "download_rate",
    "form_serializer",
    "head",
    "is_plain",
    "json_decoder",
    "json_encoder",
    "keep_alive",
    "left_home",
    "max_body_length",
    "max_content_length",
    "max_redirects",
    "method",
    "on_download_progress",
    "on_upload_progress",
    "resend",
    "response_encoding",
    "response_type",
    "retry",
    "route",
    "router",
    "signal",
    "streaming",
    "strict_json",
    "target",
    "timeout",
    "transform_response",
    "upload_rate",
    "validate_status",
)


class Outline:
    """What equal requests have in common, worked out once: everything but content, config and time.

    Attributes:
        method: the method, upper case where it is a standard one.
        target: the URL, parsed.
        route: the key of the connections it may use.
        block: the header fields.
        timeout: how long it may take.
        keep_alive: whether the connection may be used again.
        streaming: the content is wanted piece by piece.
        response_type, validate_status, decompress, max_content_length, response_encoding, json_decoder, strict_json:
            how the response is to be read.
        json_encoder, form_serializer, max_body_length: how content is to be encoded.
        auth: an exchange with the server (see `atomhttp.auth`), None when credentials are header fields or missing.
        router: finds the routes of redirects.
        left_home: whether a redirect has led it to another origin than the caller's.
        cookies: what the call has to do with cookies, None for nothing (`atomhttp._pipeline.cookies`).
        signal: gives the call up when it is aborted.
        retry: when to try again.
        resend: whether the one safe resend is allowed.
        max_redirects: how many redirects are followed.
        on_upload_progress, on_download_progress, transform_response: functions of the caller's.
        upload_rate, download_rate: bytes per second at the most, None for no limit.
        is_plain: nothing but the network and the built-in decoding is asked for, redirects aside.
        adapter: what sends it, when the call or the defaults say so.
        head: the network adapter's cache of its head as bytes, for a request without content.
    """

    __slots__ = _OUTLINE_FIELDS

    def __init__(
        self, target: Target, route: Route, block: FieldBlock, timeout: Timeout, options: Mapping[str, Any]
    ) -> None:
        self.method: str = options["method"]
        self.target = target
        self.route = route
        self.block = block
        self.timeout = timeout
        self.keep_alive: bool = options["keep_alive"] and block.keep_alive
        self.response_type = options["response_type"]
        self.validate_status = options["validate_status"]
        self.decompress: bool = options["decompress"]
        self.max_content_length: int = options["max_content_length"]
        self.max_body_length: int = options["max_body_length"]
        self.response_encoding = options["response_encoding"]
        self.json_encoder = options["json_encoder"]
        self.json_decoder = options["json_decoder"]
        self.strict_json = (options["transitional"] or {}).get("silentJSONParsing") is False
        self.form_serializer = options["form_serializer"]
        self.adapter = options["adapter"]
        self.auth: Any = None
        self.router: Any = None
        self.left_home = False
        self.cookies: Any = None
        self.signal = options["signal"]
        self.max_redirects: int = options["max_redirects"]
        retry = options["retry_config"]
        self.retry = build_retry_policy(retry)
        self.resend = retry is None
        self.on_download_progress = options["on_download_progress"]
        self.transform_response = options["transform_response"]
        self.on_upload_progress = options["on_upload_progress"]
        self.upload_rate: float | None
        self.download_rate: float | None
        self.upload_rate, self.download_rate = options["max_rate"] or (None, None)
        # Whole responses are cheaper than pieces; a limit needs pieces, to stop at the right one.
        self.streaming: bool = (
            self.response_type == "stream"
            or self.max_content_length >= 0
            or self.on_download_progress is not None
            or self.download_rate is not None
        )
        self.is_plain = (
            not self.streaming
            and self.retry is None
            and self.transform_response is None
            and self.on_upload_progress is None
            and self.upload_rate is None
            and self.signal is None
            # While any other one works, nothing but the chain tells the driver that it is needed.
            and (self.adapter is None or getattr(self.adapter, "joins_driver", False))
        )
        if self.streaming and self.response_type != "stream" and timeout.stream_gap is not None:
            # In pieces for their counting alone: a plain number is the total, as for any whole response.
            self.timeout = Timeout(timeout.total)
        self.head: bytes | None = None
        self._extended: tuple[tuple[tuple[str, str], ...], Outline] | None = None

    def with_fields(self, fields: tuple[tuple[str, str], ...]) -> Outline:
        """A copy with more fields. The last one is kept: requests like each other mostly add the same (cookies)."""
        last = self._extended
        if last is None or last[0] != fields:
            last = self._extended = (fields, self.derive(self.block.with_fields(fields)))
        return last[1]

    def derive(self, block: FieldBlock, **changes: Any) -> Outline:
        """A copy with other header fields, and whatever else changes: of a request that is sent in another shape."""
        twin = Outline.__new__(Outline)
        for name in _OUTLINE_FIELDS:
            setattr(twin, name, getattr(self, name))
        twin.block = block
        twin.keep_alive = twin.keep_alive and block.keep_alive
        twin.head = twin._extended = None
        for name, value in changes.items():
            setattr(twin, name, value)
        return twin


class ConfigBuilder(Protocol):
    """Makes the config of a request that could be sent without one (the plan)."""

    def build_config(self, method: str | None, url: Any, config: Any, options: Mapping[str, Any]) -> RequestConfig: ...


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
    _config: RequestConfig | None = None
    _headers: Headers | None = None

    def __init__(self, outline: Outline, driver: Any, started: float, recipe: tuple[ConfigBuilder, Any, Any]) -> None:
        self.outline = outline
        self.driver = driver
        self.started = started
        # What the config can be made of: a plan, a URL and options.
        self._recipe = recipe
        total = outline.timeout.total
        self.deadline = None if total is None else started + total

    @property
    def config(self) -> RequestConfig:
        """The options it was made from. Built when somebody asks: a plain call never does (0.9 µs)."""
        if self._config is None:
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

    def derive(self, outline: Outline, started: float) -> Request:
        """This request in another outline: a redirect's, or one with other fields. Same content, same deadline."""
        twin = Request(outline, self.driver, started, self._recipe)
        twin.deadline = self.deadline
        twin.config = self.config
        twin.body, twin.has_body, twin.content_type = self.body, self.has_body, self.content_type
        return twin

    def with_fields(self, fields: tuple[tuple[str, str], ...]) -> Request:
        """This request with more fields, of which none frames or routes; the same in everything else."""
        twin = Request.__new__(Request)
        # Not by way of its config, which nobody may ever ask for.
        twin.__dict__.update(self.__dict__)
        twin.outline = self.outline.with_fields(fields)
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
        return f"<Request {self.method} {show_url(self.url)}>"

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
    outline = Outline(target, route, FieldBlock(fields), Timeout(), _PLAIN_OPTIONS | {"method": method})
    request = Request(outline, None, 0.0, (None, None, None))  # type: ignore[arg-type]  # it has its config
    request.config = config
    request.content_type = content_type
    request.has_body = has_body
    return request


_PLAIN_OPTIONS = {option.name: option.default for option in OPTIONS}
