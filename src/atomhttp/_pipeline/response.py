"""Response: what the caller gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from atomhttp._adapters.base import AdapterResponse
from atomhttp._body.decode import decode_json_body, decode_text, decode_typed
from atomhttp._body.json_codec import dumps
from atomhttp._model.cookies import CookieJar
from atomhttp._model.headers import Headers
from atomhttp._model.reason_phrase import reason_phrase
from atomhttp._model.request import Request
from atomhttp._pipeline.attempt import Attempt
from atomhttp._pipeline.response_state import HELD, ResponseState
from atomhttp._pipeline.stream import ResponseStream, SyncResponseStream
from atomhttp._redact import quote_peer, redact_fields, redact_url, redact_value, show_url
from atomhttp.errors import AtomHTTPOptionError, AtomHTTPStatusError

if TYPE_CHECKING:
    from atomhttp._model.config import RequestConfig

T = TypeVar("T")
D = TypeVar("D")


class Timings(NamedTuple):
    """Seconds spent in each phase of the last hop, by HAR's names; 0 for what did not happen."""

    blocked: float = 0.0
    dns: float = 0.0
    connect: float = 0.0
    ssl: float = 0.0
    send: float = 0.0
    wait: float = 0.0
    receive: float = 0.0
    total: float = 0.0


class Response(ResponseState, Generic[T]):
    """A response. Fields and texts are taken apart when asked for.

    Args:
        data: the content as `response_type` says: parsed JSON by default.
        status: the status code.
        status_text: the reason phrase; by default the standard one.
        headers: the fields.
        config: the options of the call.
        request: what was sent.

    Attributes:
        content: the content as bytes, its content codings taken off; empty for a stream.
        history: the responses of the redirects followed, without data.
        stripped: the header fields that a redirect to another origin left behind (on entries of `history`).
        truncated: the data was cut off (only on errors of status).
        undecoded: content codings that nobody here knows and that are still on `data`.
    """

    def __init__(
        self,
        data: T | None = None,
        status: int = 200,
        status_text: str | None = None,
        headers: Any = None,
        config: RequestConfig | None = None,
        request: Request | None = None,
    ) -> None:
        self.data: T = data  # type: ignore[assignment]  # a response made by hand may well have none
        self.status = status
        self._config = config
        self.request: Request = request  # type: ignore[assignment]  # one made by hand may have none
        self.history: tuple[Response[Any], ...] = ()
        self.stripped: tuple[str, ...] = ()
        self.truncated = False
        self.undecoded: tuple[str, ...] = ()
        self._status_text = status_text
        self._headers: Headers | None = headers if isinstance(headers, Headers) else Headers(headers)
        self.content = b""
        self._raw: AdapterResponse | None = None

    data: T
    status: int
    request: Request
    history: tuple[Response[Any], ...]
    stripped: tuple[str, ...]
    truncated: bool
    undecoded: tuple[str, ...]
    content: bytes
    _status_text: str | None
    _attempts: tuple[Attempt, ...] | None

    @property
    def config(self) -> RequestConfig:
        """The options of the call: `client.request(response.config)` sends it again."""
        if self._config is None and self.request is not None:
            self._config = self.request.config
        return self._config  # pyright: ignore[reportReturnType]  # one made by hand may have none

    @config.setter
    def config(self, config: RequestConfig) -> None:
        self._config = config

    @property
    def status_text(self) -> str:
        """The reason phrase as received; the standard one where the server sent none."""
        if self._status_text is None:
            self._status_text = (self._raw.reason if self._raw is not None else "") or reason_phrase(self.status)
        return self._status_text

    @status_text.setter
    def status_text(self, value: str) -> None:
        self._status_text = value

    statusText = status_text

    @property
    def headers(self) -> Headers:
        """The fields as received."""
        if self._headers is None:
            assert self._raw is not None
            self._headers = self._raw.headers
        return self._headers

    @headers.setter
    def headers(self, value: Any) -> None:
        self._headers = value if isinstance(value, Headers) else Headers(value)

    @property
    def cookies(self) -> CookieJar:
        """The cookies that this response set, as far as it may: those of another domain, for one, are not there."""
        jar = CookieJar()
        if self.request is not None:
            jar.store(self.request.target, self.headers.get_set_cookie())
        return jar

    @property
    def ok(self) -> bool:
        """Whether the status is 200-299."""
        return 200 <= self.status <= 299

    @property
    def url(self) -> str:
        """The URL that answered: ASCII, without userinfo, with its fragment."""
        return self.request.url if self.request is not None else ""

    @property
    def text(self) -> str:
        """The content as text: charset from `responseEncoding`, the Content-Type or a BOM, else UTF-8; never fails."""
        self._check_read("text")
        encoding = self.config.response_encoding if self.config is not None else None
        return decode_text(self.content, self.content_type, encoding)

    @overload
    def json(self, type: None = None) -> Any: ...
    @overload
    def json(self, type: type[D]) -> D: ...
    @overload
    def json(self, type: Any) -> Any: ...
    def json(self, type: Any = None) -> Any:
        """The content as JSON, decoded into `type` if one is given.

        Raises:
            AtomHTTPDecodeError: it is not JSON, or does not fit; the message says where.
        """
        self._check_read("json()")
        content_type = self.content_type
        if type is not None:
            return decode_typed(self.content, type, content_type)
        decoder = self.config.json_decoder if self.config is not None else None
        return decode_json_body(self.content, content_type or "application/json", strict=True, decoder=decoder)

    def _check_read(self, wanted: str) -> None:
        if hasattr(self.data, "iter_bytes"):
            raise AtomHTTPOptionError(
                f"response.{wanted}: this response is a stream; read it (response.data.read()), or ask for another "
                "response_type",
                "ERR_BAD_OPTION",
            )

    @property
    def content_type(self) -> str:
        """The Content-Type field, "" when there is none."""
        return (
            self._raw.content_type
            if self._headers is None and self._raw is not None
            else self.headers.get("content-type", "")
        )

    @property
    def sets_cookies(self) -> bool:
        """Whether there is a Set-Cookie field."""
        return self._raw.sets_cookies if self._raw is not None else "set-cookie" in self.headers

    @property
    def trailers(self) -> Headers:
        """Fields that came after the content; for a stream, once it has been read."""
        return self._raw.trailers if self._raw is not None else Headers()

    @property
    def http_version(self) -> str:
        """ "1.1", "1.0" or "2"."""
        return self._raw.http_version if self._raw is not None else "1.1"

    @property
    def timings(self) -> Timings:
        """How long each phase took, in seconds."""
        return Timings(**self._raw.times) if self._raw is not None else Timings()

    @property
    def duration(self) -> float:
        """How long the last hop took, in milliseconds (axios's `duration`); `timings` has its parts."""
        return self.timings.total * 1e3

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every time that something was sent for this call, redirects and retries included; the last brought this."""
        if self._attempts is None:
            if self._raw is None:
                return ()
            self._attempts = (Attempt(1, redact_url(self.url), self.status, None, 0.0, self.timings.total),)
        return self._attempts

    @attempts.setter
    def attempts(self, attempts: tuple[Attempt, ...]) -> None:
        self._attempts = attempts

    def raise_for_status(self) -> Response[T]:
        """Returns the response itself.

        Raises:
            AtomHTTPStatusError: the status is 400 or more.
        """
        if self.status >= 400:
            raise status_error(self)
        return self

    # A response of type "stream" can be closed by itself.

    async def __aenter__(self) -> Response[T]:
        if isinstance(self.data, SyncResponseStream):
            raise TypeError("this response's stream is synchronous: use 'with'")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if isinstance(self.data, ResponseStream):
            await self.data.aclose()

    def __enter__(self) -> Response[T]:
        if isinstance(self.data, ResponseStream):
            raise TypeError("this response's stream is asynchronous: use 'async with'")
        return self

    def __exit__(self, *exc_info: object) -> None:
        if isinstance(self.data, SyncResponseStream):
            self.data.close()

    if not TYPE_CHECKING:  # to a type checker what is not there is not there

        def __getattr__(self, name):
            if hasattr(type(self), name):
                # A property of ours failed; its own error is the one to see.
                object.__getattribute__(self, name)
            ours = {
                "status_code": "status",
                "reason": "status_text",
                "reason_phrase": "status_text",
                "is_success": "ok",
                "body": "data",
                "elapsed": "timings.total",
                "encoding": "headers['content-type'] (responseEncoding= decides)",
                "is_error": "ok, which is the opposite",
                "iter_content": "response_type='stream'",
            }
            hint = f"; did you mean {ours[name]}?" if name in ours else ""
            raise AttributeError(f"Response has no attribute {name!r}{hint}")

    def __repr__(self) -> str:
        url = show_url(self.url, 300)
        return f"<Response {self.status} {quote_peer(self.status_text)}{' ' + url if url else ''}>"

    def redacted(self, keep_content: bool = True) -> Response[T]:
        """A copy that may leave the process in an error: its secrets are masked, its request and engine left behind."""
        config = self.config.redacted() if self.config is not None else None
        # An open stream stays with its connection.
        data: Any = self.data if keep_content and not hasattr(self.data, "iter_bytes") else None
        content = self.content if keep_content else b""
        given = data  # tested under another name, so that its own type stays
        if isinstance(given, (dict, list)) and (masked := redact_value("data", data)) != data:
            # What goes by the name of a secret stays behind, also in the text that it was read from.
            data, content = masked, _write_again(masked)
        headers = Headers(redact_fields(self.headers.multi_items()))
        twin: Response[Any] = Response(data, self.status, self.status_text, headers, config)
        twin.content = content
        twin.truncated, twin.undecoded = self.truncated, self.undecoded
        twin.attempts, twin.stripped = self.attempts, self.stripped
        twin.history = tuple(earlier.redacted() for earlier in self.history)
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        # Those of a subclass whose `__new__` asks for some.
        arguments: tuple[Any, ...] = getattr(self, "__getnewargs__", tuple)()
        return (_blank, (type(self), *arguments), self.__getstate__())

    def __getstate__(self) -> dict[str, Any]:
        # What the engine still holds is turned into plain values.
        state = {name: getattr(self, name) for name in HELD} | self.__dict__
        state.update(_status_text=self.status_text, _headers=self.headers, _config=self.config, _raw=None)
        raw = self._raw
        if raw is not None:
            plain = AdapterResponse(self.status, self.headers, b"", self.status_text, self.http_version)
            state["_raw"] = _Snapshot(plain, self.trailers, raw.times)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def _blank(kind: type[Response[Any]], *arguments: Any) -> Response[Any]:
    return kind.__new__(kind, *arguments)


class _Snapshot(AdapterResponse):
    """What remains of an adapter's response in a copy of ours."""

    def __init__(self, plain: AdapterResponse, trailers: Headers, times: dict[str, float]) -> None:
        super().__init__(plain.status, plain.headers, b"", plain.reason, plain.http_version)
        self._trailers = trailers
        self._times = times

    @property
    def trailers(self) -> Headers:
        return self._trailers

    @property
    def times(self) -> dict[str, float]:
        return self._times


def is_accepted(validate: Any, status: int) -> bool:
    """Whether `validateStatus` lets `status` pass."""
    if validate is None:
        return True
    return 200 <= status <= 299 if validate is True else bool(validate(status))


def _write_again(data: Any) -> bytes:
    try:
        return dumps(data)
    except AtomHTTPOptionError:
        # A transformer has put something into it that no JSON is.
        return b""


def status_error(response: Response[Any]) -> AtomHTTPStatusError:
    """The error for a status that is refused: axios's codes."""
    code = "ERR_BAD_REQUEST" if 400 <= response.status <= 499 else "ERR_BAD_RESPONSE"
    what = f"{response.status} {quote_peer(response.status_text)}"
    message = f"request failed with status {what}: {show_url(response.url)}"
    if response.remark:
        message += f"; {response.remark}"
    if response.status in (401, 403):
        for earlier in response.history:
            if earlier.stripped:
                fields = ", ".join(earlier.stripped)
                message += f"; left behind at the redirect from {show_url(earlier.url)}: {fields}"
    return AtomHTTPStatusError(message, code, config=response.config, request=response.request, response=response)
