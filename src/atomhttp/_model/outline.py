"""Outline: what equal requests have in common, and the block of header fields that they share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from atomhttp._model.abort import AbortSignal
from atomhttp._model.retry_config import build_retry_policy
from atomhttp._model.route import Route
from atomhttp._model.timeout import Timeout
from atomhttp._model.url import Target
from atomhttp.errors import AtomHTTPOptionError


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

    def updated(self, fields: Iterable[tuple[str, str, str]]) -> FieldBlock | None:
        """A copy with other `fields` (name, its lower case, value) in the place of its own, or behind them.

        None where that is not all there is to do: for fields that frame or route, `Range`, and what is locked.
        """
        twin = self.with_fields(())
        names = self.names
        for name, key, value in fields:
            if key in self.locked or key in _LONG_WAY:
                return None
            if key == "content-type":
                twin.content_type = value
            elif key not in names:
                twin.fields.append((name, value))
            else:
                places = [at for at, (known, _) in enumerate(twin.fields) if known.lower() == key]
                if len(places) > 1:
                    return None
                twin.fields[places[0]] = (twin.fields[places[0]][0], value)
        return twin

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


# What a field means for others, or for the message, takes more than putting it among them.
_LONG_WAY: Final = (_FRAMING | {"range"}) - {"content-type"}

_OUTLINE_FIELDS: Final = (
    "_extended",
    "_varied",
    "adapter",
    "auth",
    "block",
    "cookies",
    "decompress",
    "download_rate",
    "field_list",
    "form_serializer",
    "head",
    "is_direct",
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
        is_direct: what else is asked for has no say before the response is there: the plain way is tried first.
        adapter: what sends it, when the call or the defaults say so.
        head, field_list: the network adapter's caches of its head, for a request without content: as bytes, and as
            HTTP/2 has it.
    """

    __slots__ = _OUTLINE_FIELDS

    # Filled in one by one, by `build_outline` and `derive`.
    method: str
    target: Target
    route: Route
    block: FieldBlock
    timeout: Timeout
    keep_alive: bool
    streaming: bool
    response_type: Any
    validate_status: Any
    decompress: bool
    max_content_length: int
    max_body_length: int
    response_encoding: Any
    json_encoder: Any
    json_decoder: Any
    strict_json: bool
    form_serializer: Any
    adapter: Any
    auth: Any
    router: Any
    left_home: bool
    cookies: Any
    signal: Any
    max_redirects: int
    retry: Any
    resend: bool
    on_download_progress: Any
    on_upload_progress: Any
    transform_response: Any
    upload_rate: float | None
    download_rate: float | None
    is_direct: bool
    is_plain: bool
    head: bytes | None
    field_list: list[tuple[bytes, bytes]] | None
    _extended: tuple[tuple[tuple[str, str], ...], Outline] | None
    _varied: tuple[object, Outline] | None

    def read_timeout(self, timeout: Timeout) -> Timeout:
        """What `timeout` means here."""
        if self.streaming and self.response_type != "stream" and timeout.stream_gap is not None:
            # In pieces for their counting alone: a plain number is the total, as for any whole response.
            return Timeout(timeout.total)
        return timeout

    def with_fields(self, fields: tuple[tuple[str, str], ...]) -> Outline:
        """A copy with more fields. The last one is kept: requests like each other mostly add the same (cookies)."""
        last = self._extended
        if last is None or last[0] != fields:
            last = self._extended = (fields, self.derive(self.block.with_fields(fields)))
        return last[1]

    def recall_variant(self, key: object) -> Outline | None:
        """The copy that was last made of it for `key`: calls like each other mostly differ from it in the same."""
        varied = self._varied
        return varied[1] if varied is not None and varied[0] == key else None

    def remember_variant(self, key: object, variant: Outline) -> None:
        """See `recall_variant`."""
        self._varied = (key, variant)

    def with_timeout(self, timeout: Timeout) -> Outline:
        """A copy that may take so long."""
        return self.derive(self.block, timeout=self.read_timeout(timeout))

    def with_signal(self, signal: AbortSignal) -> Outline:
        """A copy that `signal` gives up."""
        # A transformer that waits is broken off as well: that takes the chain.
        direct = self.is_direct and self.transform_response is None
        return self.derive(self.block, signal=signal, is_plain=False, is_direct=direct)

    def derive(self, block: FieldBlock, **changes: Any) -> Outline:
        """A copy with other header fields, and whatever else changes: of a request that is sent in another shape."""
        twin = Outline()
        # One by one: a loop over their names takes five times as long (5 µs).
        twin.method = self.method
        twin.target = self.target
        twin.route = self.route
        twin.block = block
        twin.timeout = self.timeout
        twin.keep_alive = self.keep_alive and block.keep_alive
        twin.streaming = self.streaming
        twin.response_type = self.response_type
        twin.validate_status = self.validate_status
        twin.decompress = self.decompress
        twin.max_content_length = self.max_content_length
        twin.max_body_length = self.max_body_length
        twin.response_encoding = self.response_encoding
        twin.json_encoder = self.json_encoder
        twin.json_decoder = self.json_decoder
        twin.strict_json = self.strict_json
        twin.form_serializer = self.form_serializer
        twin.adapter = self.adapter
        twin.auth = self.auth
        twin.router = self.router
        twin.left_home = self.left_home
        twin.cookies = self.cookies
        twin.signal = self.signal
        twin.max_redirects = self.max_redirects
        twin.retry = self.retry
        twin.resend = self.resend
        twin.on_download_progress = self.on_download_progress
        twin.on_upload_progress = self.on_upload_progress
        twin.transform_response = self.transform_response
        twin.upload_rate = self.upload_rate
        twin.download_rate = self.download_rate
        twin.is_direct = self.is_direct
        twin.is_plain = self.is_plain
        twin.head = twin.field_list = None
        twin._extended = None
        twin._varied = None
        for name, value in changes.items():
            setattr(twin, name, value)
        return twin


def build_outline(
    target: Target, route: Route, block: FieldBlock, timeout: Timeout, options: Mapping[str, Any]
) -> Outline:
    """The outline of requests to `target` with these options, which are complete."""
    outline = Outline()
    outline.method = options["method"]
    outline.target = target
    outline.route = route
    outline.block = block
    outline.keep_alive = options["keep_alive"] and block.keep_alive
    outline.response_type = options["response_type"]
    outline.validate_status = options["validate_status"]
    outline.decompress = options["decompress"]
    outline.max_content_length = options["max_content_length"]
    outline.max_body_length = options["max_body_length"]
    outline.response_encoding = options["response_encoding"]
    outline.json_encoder = options["json_encoder"]
    outline.json_decoder = options["json_decoder"]
    transitional: Any = options["transitional"] or {}
    outline.strict_json = transitional.get("silentJSONParsing") is False
    outline.form_serializer = options["form_serializer"]
    outline.adapter = options["adapter"]
    outline.auth = outline.router = outline.cookies = None
    outline.left_home = False
    outline.signal = options["signal"]
    outline.max_redirects = options["max_redirects"]
    retry = options["retry_config"]
    outline.retry = build_retry_policy(retry)
    outline.resend = retry is None
    outline.on_download_progress = options["on_download_progress"]
    outline.transform_response = options["transform_response"]
    outline.on_upload_progress = options["on_upload_progress"]
    outline.upload_rate, outline.download_rate = options["max_rate"] or (None, None)
    # Whole responses are cheaper than pieces; a limit needs pieces, to stop at the right one.
    outline.streaming = (
        outline.response_type == "stream"
        or outline.max_content_length >= 0
        or outline.on_download_progress is not None
        or outline.download_rate is not None
    )
    outline.is_direct = (
        not outline.streaming
        and outline.on_upload_progress is None
        and outline.upload_rate is None
        and (outline.retry is None or outline.retry.attempt_timeout is None)
        # A transformer that waits is broken off by a signal as well: that takes the chain.
        and (outline.signal is None or outline.transform_response is None)
        # While any other one works, nothing but the chain tells the driver that it is needed.
        and (outline.adapter is None or getattr(outline.adapter, "joins_driver", False))
    )
    outline.is_plain = (
        outline.is_direct and outline.retry is None and outline.transform_response is None and outline.signal is None
    )
    outline.timeout = outline.read_timeout(timeout)
    outline.head = outline.field_list = None
    outline._extended = outline._varied = None
    return outline
