"""What a client's defaults mean, worked out once. A plan never changes: when a default does, a new plan is made.

That is what makes a plain request cheap: the config is a copied dict, the header block is bytes already, and a URL that
was requested before is a look-up.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from atomhttp._body.encode import (
    JSON,
    URLENCODED,
    IteratorBody,
    LimitedBody,
    choose_content_type,
    encode_data,
    encode_form,
    encode_json,
)
from atomhttp._model.abort import AbortSignal
from atomhttp._model.config import HEADER_LAYERS, Defaults, RequestConfig, given_options, merge_retry_config
from atomhttp._model.cookies import CookieJar
from atomhttp._model.headers import Headers, check_plain_fields
from atomhttp._model.options import BY_NAME, OPTIONS
from atomhttp._model.outline import FieldBlock, Outline, build_outline
from atomhttp._model.params import flat_query, merge_params, serialize_params
from atomhttp._model.request import Request
from atomhttp._model.route import Route
from atomhttp._model.timeout import Timeout
from atomhttp._model.url import Target, append_query, is_absolute, join_url, parse_url
from atomhttp._pipeline.cookies import XSRF, Cookies, Home, place
from atomhttp._pipeline.interceptors import Interceptors
from atomhttp._pipeline.routing import Router
from atomhttp.auth import BasicAuth, BearerAuth, is_flow
from atomhttp.errors import AtomHTTPError, AtomHTTPLimitError, AtomHTTPOptionError

# How many URLs a plan remembers, and how long one may be: what is longer is hardly ever asked for twice.
MAX_TARGETS: Final = 1000
MAX_REMEMBERED_URL: Final = 2048

_CONTENT: Final = frozenset(("data", "json", "form"))
_TEXT: Final = frozenset((str,))
# What many calls give, each one something else.
_COMPOSED: Final = _CONTENT | {"headers", "params", "timeout", "signal"}
# What a URL means depends on.
_URL_OPTIONS: Final = ("base_url", "socket_path", "allow_absolute_urls")
# What a route depends on, besides its target.
_ROUTE_OPTIONS: Final = ("socket_path", "verify", "cert", "proxy", "address_guard", "trust_env")
# Default header fields that say who the caller is: they stay on the origin of the baseURL.
_CREDENTIALS: Final = frozenset(("authorization", "cookie"))


class OwnCredentials(NamedTuple):
    """What a client says of itself, and where that may go. Noted on every config: it never becomes the call's own."""

    origin: tuple[object, ...] | None
    fields: dict[str, frozenset[str]]
    auth: Any

    def is_foreign(self, target: Target) -> bool:
        """Whether they have no business there: not at the origin of the client's baseURL."""
        return self.origin is not None and place(target) != self.origin

    def __repr__(self) -> str:
        return f"<OwnCredentials of {self.origin}>"


class Plan:
    """The defaults of a client as they stood when it was made."""

    __slots__ = (
        "_adds_nothing",
        "_auth",
        "_auth_changes",
        "_base_origin",
        "_bases",
        "_blocks",
        "_by_origin",
        "_cookies",
        "_defaults",
        "_headers",
        "_is_base_bare",
        "_meta",
        "_method_headers",
        "_outlines",
        "_own",
        "_params",
        "_router",
        "_routes",
        "_targets",
        "_template",
        "_timeout",
        "interceptors",
    )

    def __init__(self, defaults: Defaults, interceptors: Interceptors | None = None) -> None:
        self.interceptors = interceptors
        self._defaults = defaults
        self._headers = defaults.headers.layered_copy(None)
        self._auth = defaults.auth
        # Header fields that may be others each time: no two requests can share them.
        self._auth_changes = (
            self._auth is not None and not is_flow(self._auth) and type(self._auth) not in (BasicAuth, BearerAuth)
        )
        self._params = defaults.params
        self._meta = defaults.meta
        self._timeout = Timeout.of(defaults.timeout)
        self._router = Router(defaults)
        self._cookies = _find_cookies(defaults)
        self._targets: dict[str, Target] = {}
        self._method_headers: dict[str, Headers] = {}
        self._routes: dict[tuple[object, ...], Route] = {}
        self._blocks: dict[str, FieldBlock] = {}
        self._outlines: dict[tuple[str, str], Outline] = {}
        # The same where they are not all there is to a request: without the client's params, before transformRequest.
        self._bases: dict[tuple[str, str], Outline] = {}
        self._adds_nothing = interceptors is None and defaults.params is None and defaults.transform_request is None
        self._by_origin: dict[tuple[str, tuple[str, str, int]], Outline] = {}
        self._template: dict[str, Any] = {"_layers": self}
        for option in OPTIONS:
            if option.scope == "call":
                self._template[option.name] = option.default
            elif option.scope == "both" and option.name not in ("headers", "meta", "cookies"):
                self._template[option.name] = getattr(defaults, option.name)
        self._template["params"] = self._template["cookies"] = None
        base = defaults.base_url
        self._is_base_bare = _is_bare(base or "")
        self._base_origin = place(parse_url(join_url(base, ""))) if base else None
        layers = [self._headers.for_method(method) for method in HEADER_LAYERS]
        own = {name: frozenset(layer[name] for layer in layers if name in layer) for name in _CREDENTIALS}
        self._own = self._template["_own"] = OwnCredentials(self._base_origin, own, self._auth)

    def build_headers(self, method: str) -> Headers:
        """The default headers of a request with `method`, as a new object."""
        headers = self._find_headers(method)
        return headers.copy()

    def _find_headers(self, method: str) -> Headers:
        """The same, worked out once (4 µs), and not to be changed."""
        layer = method.lower()
        if layer not in HEADER_LAYERS:
            layer = "common"
        headers = self._method_headers.get(layer)
        if headers is None:
            headers = self._method_headers[layer] = self._headers.for_method(method)
        return headers

    # Config

    def build_config(self, method: str | None, url: Any, config: Any, options: Mapping[str, Any]) -> RequestConfig:
        """The options of one call: what was given, over the defaults.

        Raises:
            AtomHTTPOptionError: an unknown option or a wrong value.
        """
        built = RequestConfig.__new__(RequestConfig)
        fields = built.__dict__
        fields.update(self._template)
        if config is not None or options:
            is_complete = isinstance(config, RequestConfig) and config.is_complete
            given = given_options(config, options)
            self._merge(fields, given, is_complete)
            note = config.__dict__.get("_own") if isinstance(config, RequestConfig) else None
            # What the call itself says; of a config that a client has completed, only what stands beside it.
            said = given if note is None else options
            if said.get("headers"):
                headers = said["headers"]
                given_fields = (headers if isinstance(headers, Headers) else Headers(headers)).multi_items()
                fields["_said"] = frozenset([name.lower() for name, _ in given_fields])
            if "auth" in said or (note is not None and "_has_own_auth" in config.__dict__):
                fields["_has_own_auth"] = True
            if note is not None:
                fields["_own"] = note
        if method is not None:
            _check_once("method", options)
            fields["method"] = method
        if url is not None:
            _check_once("url", options)
            fields["url"] = url if type(url) is str else BY_NAME["url"].check("url", url)
        if isinstance(config, RequestConfig) and config.is_complete:
            fields["headers"] = fields.pop("_call_headers")
            fields["params"] = merge_params(None, fields["params"])
            return built
        if self._params is not None or self.interceptors is not None:
            # A copy, all the way down: what an interceptor changes must be this call's own.
            fields["params"] = merge_params(self._params, fields["params"])
        if config is None:
            # Until an option is set: what is known of such calls holds for this one.
            fields["_call"] = (method, url, options)
        if self._meta is not None:
            fields["meta"] = {**copy.deepcopy(self._meta), **fields.get("meta", {})}
        return built

    def _merge(self, fields: dict[str, Any], given: dict[str, Any], is_complete: bool) -> None:
        for name, value in given.items():
            if name == "headers":
                fields["_call_headers"] = value
            elif name == "meta":
                fields["meta"] = value
            elif name == "retry_config" and not is_complete:
                fields[name] = merge_retry_config(fields[name], value)
            else:
                fields[name] = value

    def restore(self, fields: dict[str, Any], name: str) -> None:
        """See `HeaderLayers`."""
        if name in self._template:
            fields[name] = self._template[name]

    def complete(self, config: RequestConfig) -> RequestConfig:
        """A config that an interceptor has made, over the defaults."""
        return self.build_config(None, None, config, {})

    # Request

    def recall_request(
        self, method: str | None, url: Any, config: Any, options: Mapping[str, Any], driver: Any, started: float
    ) -> Request | None:
        """The request for a call like an earlier one that gave nothing but a URL and content; None for any other."""
        if config is not None:
            return None
        if options and not _CONTENT.issuperset(options):
            return self._compose_request(method, url, options, driver, started)
        try:
            outline = self._outlines.get((method, url))  # type: ignore[arg-type]  # others are not found
        except TypeError:
            return None
        if outline is None:
            if not self._adds_nothing:
                return self._compose_request(method, url, options, driver, started)
            outline = self._find_outline(method, url)
            if outline is None:
                return None
        request = Request(outline, driver, started, (self, url, options))
        if options:
            self._add_known_body(request, options)
        return request

    def _add_known_body(self, request: Request, options: Mapping[str, Any]) -> None:
        try:
            self._add_body(request, options)
        except AtomHTTPError as error:
            error.request, error.config = request, request.config
            raise

    def _compose_request(
        self, method: str | None, url: Any, options: Mapping[str, Any], driver: Any, started: float
    ) -> Request | None:
        """The request for a call that differs from earlier ones in what many calls give (_COMPOSED), made of these.

        None where that is not all: whatever is unusual about a value, the long way knows what it means, or how to say
        what is wrong with it. A header field that is new each time costs 12 µs by this way, 50 by the long one.
        """
        if self._template["transform_request"] is not None or not _COMPOSED.issuperset(options):
            return None
        outline = self._find_outline(method, url)
        if outline is None:
            return None
        params, headers, timeout = options.get("params"), options.get("headers"), options.get("timeout")
        query = self._find_query(url, params)
        if query is None or not (headers is None or _is_plain_text(headers)):
            return None
        if "timeout" in options and type(timeout) is not int and type(timeout) is not float:
            return None
        key = (query, timeout, tuple(headers.items()) if headers else None)
        variant = outline.recall_variant(key)
        if variant is None:
            variant = self._vary_outline(outline, query, headers, timeout)
            if variant is None:
                return None
            outline.remember_variant(key, variant)
        if "signal" in options:
            signal = options["signal"]
            if type(signal) is not AbortSignal or signal.aborted:
                return None
            variant = variant.with_signal(signal)
        given = dict(options)
        # The caller may change them while the call is under way.
        if headers is not None:
            given["headers"] = headers.copy()
        if type(params) is dict:
            given["params"] = params.copy()
        request = Request(variant, driver, started, (self, url, given))
        if not _CONTENT.isdisjoint(options):
            self._add_known_body(request, options)
        return request

    def _find_outline(self, method: str | None, url: Any) -> Outline | None:
        """The outline of a call that gives nothing else; None where there was no call to the same origin yet."""
        if type(url) is not str or method is None:
            return None
        outlines = self._outlines if self._adds_nothing else self._bases
        outline = outlines.get((method, url))
        if outline is not None:
            return outline
        try:
            target = self._find_url(url)
        except AtomHTTPError:
            return None  # the long way says so, with the config
        known = self._by_origin.get((method, target.origin))
        if known is None or target.userinfo is not None or target.socket_path is not None:
            return None
        outline = known.derive(known.block, target=target)
        if len(url) <= MAX_REMEMBERED_URL:
            if len(outlines) >= MAX_TARGETS:
                outlines.clear()
            outlines[(method, url)] = outline
        return outline

    def _find_query(self, url: str, params: Any) -> str | None:
        """The query that `params` are, "" for none; None where there is more to it than to put it behind the URL."""
        if self._params is None:
            return "" if params is None else self._read_query(url, params)
        try:
            return self._read_query(url, merge_params(self._params, params))
        except AtomHTTPError:
            return None  # as above

    def _read_query(self, url: str, params: Any) -> str | None:
        if (
            type(params) is not dict
            or self._template["params_serializer"] is not None
            or not (self._is_base_bare and _is_bare(url))
        ):
            return None
        query = flat_query(params)
        # The one character that the parser would change.
        return None if query is None or "'" in query else query

    def _vary_outline(
        self, outline: Outline, query: str, headers: dict[Any, Any] | None, timeout: float | None
    ) -> Outline | None:
        block: FieldBlock | None = outline.block
        if headers:
            fields = check_plain_fields(headers)
            if fields is None:
                return None
            for _, name, _ in fields:
                # Which credentials count takes a look at all of them.
                if name in _CREDENTIALS and (self._auth is not None or self._own.fields[name]):
                    return None
            block = outline.block.updated(fields)
            if block is None:
                return None
        assert block is not None
        target = outline.target
        if query:
            target = target.with_query(query)
        variant = outline.derive(block, target=target)
        if timeout is not None:
            try:
                variant = variant.with_timeout(Timeout.of(timeout))
            except AtomHTTPError:
                return None  # as above
        return variant

    def build_request(
        self, config: RequestConfig, driver: Any, started: float, content: Mapping[str, Any] | None = None
    ) -> Request:
        """The request that `config` describes, encoded and checked; `content` replaces its data, json or form.

        Raises:
            AtomHTTPURLError, AtomHTTPOptionError, AtomHTTPLimitError.
        """
        fields = config.__dict__
        if "_call" in fields and not self._auth_changes:
            known = self._rebuild_request(config, driver, started, content)
            if known is not None:
                return known
        target = self.find_target(config)
        given = fields["timeout"]
        timeout = self._timeout if given is self._template["timeout"] else Timeout.of(given)
        block = self._find_block(config, fields["method"], target)
        if fields["verify"] is False and target.scheme == "https":
            self._defaults.warn_insecure()
        route = self._find_route(target, fields, block.proxy_authorization)
        outline = build_outline(target, route, block, timeout, fields)
        outline.router = self._router
        self._choose_cookies(outline, fields)
        auth = fields["auth"]
        if auth is not None and is_flow(auth) and self._chooses(auth, config, target):
            outline.auth = auth
            outline.is_plain = outline.is_direct = False
        if "_call" in fields:
            self._keep_origin(config, outline)
        request = Request(outline, driver, started, (self, fields["url"], {}))
        request.config = config
        self._add_body(request, fields if content is None else content)
        return request

    def _rebuild_request(
        self, config: RequestConfig, driver: Any, started: float, content: Mapping[str, Any] | None
    ) -> Request | None:
        """`build_request` for a config whose options are as a call has given them, in half the time.

        Interceptors and transformers may have changed what can be changed in place: header fields and params. None: see
        `_compose_request`.
        """
        fields = config.__dict__
        method, url, options = fields["_call"]
        if not _COMPOSED.issuperset(options):
            return None
        outline = self._find_outline(method, url)
        if outline is None:
            return None
        block, target = outline.block, outline.target
        if "headers" in fields or "_call_headers" in fields:
            block = self._build_block(config, method, target)
            if outline.auth is not None or block.proxy_authorization is not None:
                return None
            if block.locked != outline.block.locked or block.keep_alive != outline.block.keep_alive:
                # What an outline has made of these is not made anew by deriving from it.
                return None
        params = fields["params"]
        if params is not None:
            query = self._read_query(url, params)
            if query is None:
                return None
            target = target.with_query(query) if query else target
        if block is not outline.block or target is not outline.target:
            outline = outline.derive(block, target=target)
        if "timeout" in options:
            outline = outline.with_timeout(Timeout.of(fields["timeout"]))
        if "signal" in options:
            if fields["signal"] is None:
                return None
            outline = outline.with_signal(fields["signal"])
        request = Request(outline, driver, started, (self, url, {}))
        request.config = config
        self._add_body(request, fields if content is None else content)
        return request

    def _find_route(self, target: Target, fields: Mapping[str, Any], authorization: str | None) -> Route:
        if authorization is not None or target.socket_path is not None:
            return self._router.find_route(target, fields, authorization)
        for name in _ROUTE_OPTIONS:
            if fields[name] is not self._template[name]:
                return self._router.find_route(target, fields, None)
        # An origin that was met before, by the client's own options (4 µs).
        route = self._routes.get(target.origin)
        if route is None:
            route = self._router.find_route(target, fields, None)
            if route.socket_path is None:
                # Not a socket's: what stands behind its path is looked at each time.
                if len(self._routes) >= MAX_TARGETS:
                    self._routes.clear()
                self._routes[target.origin] = route
        return route

    def _choose_cookies(self, outline: Outline, fields: Mapping[str, Any]) -> None:
        """The jar is the call's, or the client's; what else there is to know stands beside it."""
        cookies, given = self._cookies, fields["cookies"]
        if given is False:
            cookies, given = None, None
        elif isinstance(given, CookieJar):
            if cookies is None or given is not cookies.jar:
                cookies = Cookies(given)
            given = None
        xsrf = self._find_xsrf(fields)
        if given is not None or xsrf is not None:
            # Not for every hop: whether one is for them is asked by the chain.
            outline.is_plain = False
            cookies = (cookies or Cookies(None))._replace(given=given, place=place(outline.target), xsrf=xsrf)
        if cookies is not None and outline.block.locked:
            cookies = cookies._replace(locked=outline.block.locked)
        outline.cookies = cookies

    def _find_xsrf(self, fields: Mapping[str, Any]) -> XSRF | None:
        base = fields["base_url"]
        if not base or fields["with_xsrf_token"] is not True:
            return None
        origin = self._base_origin
        if origin is None or base != self._template["base_url"]:
            origin = place(parse_url(join_url(base, "")))
        return XSRF(fields["xsrf_cookie_name"], fields["xsrf_header_name"], origin)

    def remember(self, request: Request, options: Mapping[str, Any]) -> None:
        """Keeps the outline of a request that was made from a URL and these `options`, if others will be like it."""
        url = request.config.url
        if (
            self._params is not None
            or self.interceptors is not None
            or type(url) is not str
            or len(url) > MAX_REMEMBERED_URL
            or request.reshaped
        ):
            return
        if (
            request.target.userinfo is None
            and not self._auth_changes
            and "headers" not in request.config.__dict__
            and _CONTENT.issuperset(options)
        ):
            if len(self._outlines) >= MAX_TARGETS:
                self._outlines.clear()
            self._outlines[(request.method, url)] = request.outline

    def _keep_origin(self, config: RequestConfig, outline: Outline) -> None:
        """Keeps the outline of a call that gives nothing but a URL, for all that lead to the same origin."""
        method, url, options = config.__dict__["_call"]
        target = outline.target
        if (
            type(url) is not str
            or method is None
            or self._auth_changes
            or target.userinfo is not None
            or target.socket_path is not None
            or outline.route.socket_path is not None
            or (method, target.origin) in self._by_origin
        ):
            return
        if "headers" not in config.__dict__ and _CONTENT.issuperset(options):
            if len(self._by_origin) >= MAX_TARGETS:
                self._by_origin.clear()
            self._by_origin[(method, target.origin)] = outline
        elif options and _COMPOSED.issuperset(options) and not self._own.is_foreign(target):
            # Abroad, it would be told that the client's credentials stay behind, where those of the call went.
            try:
                # By way of which it comes here again, without its own options.
                self.build_request(self.build_config(method, url, None, {}), None, 0.0)
            except AtomHTTPError:
                return  # it is those options that make it right

    def find_target(self, config: RequestConfig) -> Target:
        """Where `config` leads: its url behind its base, with its params."""
        fields = config.__dict__
        url = fields["url"]
        if fields["params"] is None and type(url) is str:
            for name in _URL_OPTIONS:
                if fields[name] is not self._template[name]:
                    break
            else:
                return self._find_url(url)
        return self._parse(url, fields, serialize_params(fields["params"], fields["params_serializer"]))

    def _find_url(self, url: str) -> Target:
        """Where `url` leads by the client's own options."""
        target = self._targets.get(url)
        if target is None:
            target = self._parse(url, self._template, "")
            if len(url) <= MAX_REMEMBERED_URL and target.userinfo is None:
                if len(self._targets) >= MAX_TARGETS:
                    self._targets.clear()
                self._targets[url] = target
        return target

    def _parse(self, given: Any, fields: Mapping[str, Any], query: str) -> Target:
        url = "" if given is None else str(given)
        base = fields["base_url"]
        if base is None and fields["socket_path"] is not None and url.startswith("/") and not url.startswith("//"):
            base = "http://localhost"
        return parse_url(append_query(join_url(base, url, fields["allow_absolute_urls"]), query))

    def _find_block(self, config: RequestConfig, method: str, target: Target) -> FieldBlock:
        fields = config.__dict__
        foreign = self._own.is_foreign(target)
        shared = "headers" not in fields and "_call_headers" not in fields and fields["auth"] is self._auth
        if not shared or foreign or target.userinfo is not None or self._auth_changes:
            return self._build_block(config, method, target)
        block = self._blocks.get(method)
        if block is None:
            block = self._blocks[method] = self._build_block(config, method, target)
        return block

    def _build_block(self, config: RequestConfig, method: str, target: Target) -> FieldBlock:
        headers = self._merge_headers(config, method)
        auth = self._choose_auth(config, target, headers)
        self._leave_credentials(headers, config, target, auth)
        if auth is not None and not is_flow(auth):
            headers.update(auth.get_header())
        own = self._find_headers(method)
        if "range" in headers and headers.get("accept-encoding") == own.get("accept-encoding"):
            # Ranges of coded content cannot be decoded by themselves (RFC 9110 section 14.2).
            headers["Accept-Encoding"] = "identity"
        return FieldBlock(headers.multi_items(), headers.locked)

    def _merge_headers(self, config: RequestConfig, method: str) -> Headers:
        """`config.headers` as a new object: it is not made for the config where nobody has asked for it."""
        fields = config.__dict__
        if "headers" in fields or fields.get("_layers") is not self:
            own: Headers = config.headers
            return own.copy()
        headers: Headers = self.build_headers(method)
        given: Headers | None = fields.get("_call_headers")
        if given is not None:
            headers.update(given)
        return headers

    # Credentials

    def _choose_auth(self, config: RequestConfig, target: Target, headers: Headers) -> Any:
        """What says who the caller is, None for an Authorization field or nothing.

        The nearer layer wins, the call's (an interceptor's) before the client's; within one `auth`, then the field,
        then the URL's userinfo.
        """
        auth = config.auth
        # A copy of the client's is the client's, unless it is the call that gives it.
        owners = (
            [] if "_has_own_auth" in config.__dict__ else [own for own in self._find_own(config) if own.auth == auth]
        )
        if auth is not None and not owners:
            return auth
        given = headers.get("authorization")
        if given is not None and not any(given in own.fields["authorization"] for own in self._find_own(config)):
            return None
        userinfo = target.userinfo
        if userinfo is not None and is_absolute(str(config.url)):
            return BasicAuth(*userinfo)
        if auth is not None:
            foreign = any(own.is_foreign(target) for own in owners)
            if not foreign or "authorization" in config.cross_origin_headers:
                return auth
            self._defaults.tell_foreign(target.url)
            return None
        return BasicAuth(*userinfo) if userinfo is not None and given is None else None

    def _chooses(self, auth: Any, config: RequestConfig, target: Target) -> bool:
        return self._choose_auth(config, target, self._merge_headers(config, config.__dict__["method"])) is auth

    def _find_own(self, config: RequestConfig) -> list[OwnCredentials]:
        """The credentials of this client as they are, and those of the client or the time that `config` comes from."""
        note: OwnCredentials = config.__dict__.get("_own", self._own)
        return [self._own] if note is self._own else [self._own, note]

    def _leave_credentials(self, headers: Headers, config: RequestConfig, target: Target, auth: Any) -> None:
        """A client's own fields stay at home, unless the call gives or allows them."""
        for own in self._find_own(config):
            if not own.is_foreign(target):
                continue
            allowed = (*config.__dict__.get("_said", ()), *config.cross_origin_headers)
            for name, values in own.fields.items():
                if headers.get(name) in values and name not in allowed:
                    del headers[name]
                    if name != "authorization" or auth is None:
                        self._defaults.tell_foreign(target.url)

    # Content

    def _add_body(self, request: Request, fields: Mapping[str, Any]) -> None:
        given = [name for name in ("data", "json", "form") if fields.get(name) is not None]
        if not given:
            if request.outline.block.content_length:
                raise AtomHTTPOptionError(
                    f"headers: Content-Length is {request.outline.block.content_length}, and there is no body",
                    "ERR_BAD_OPTION_VALUE",
                )
            return
        if len(given) > 1:
            raise AtomHTTPOptionError(f"{' and '.join(given)}: give one of them, not both", "ERR_BAD_OPTION_VALUE")
        outline = request.outline
        declared = outline.block.content_type
        value = fields[given[0]]
        body: Any
        if given[0] == "data":
            body, suggested = encode_data(value, declared, outline.json_encoder, outline.form_serializer)
        elif given[0] == "json":
            body, suggested = encode_json(value, outline.json_encoder, "json"), JSON
        else:
            body, suggested = encode_form(value, outline.form_serializer), URLENCODED
        request.body = body
        request.has_body = True
        request.content_type = content_type = choose_content_type(declared, suggested)
        if declared is not None and content_type != declared:
            # The form's own boundary. The block may be shared: this request gets one of its own.
            outline = request.outline = outline.derive(outline.block.with_content_type(content_type))
            request.reshaped = True
        self._check_length(request, outline.max_body_length)

    def _check_length(self, request: Request, limit: int) -> None:
        body, declared = request.body, request.outline.block.content_length
        length = request.content_length
        if declared is not None and length != declared:
            if length is not None or not isinstance(body, IteratorBody):
                raise AtomHTTPOptionError(
                    f"headers: Content-Length is {declared}, the body has {length} bytes", "ERR_BAD_OPTION_VALUE"
                )
            body.length = length = declared
        if limit >= 0:
            if length is not None and length > limit:
                raise AtomHTTPLimitError(
                    f"the request body has {length} bytes, maxBodyLength is {limit}",
                    "ERR_MAX_BODY_LENGTH",
                    limit=limit,
                    size=length,
                )
            if length is None:
                request.body = body = LimitedBody(body, limit)
        if not isinstance(body, bytes):
            body.bind(request.driver, request.deadline)  # type: ignore[attr-defined]  # every Body of ours has it


def _is_plain_text(headers: Any) -> bool:
    """Whether these are compared with others as text is: whatever else it may be says itself what it is equal to."""
    if type(headers) is not dict:
        return False
    # For pyright its keys and values are of no known type; it is compiled as the dict that it is.
    return {
        *map(type, headers),  # pyright: ignore[reportUnknownArgumentType]  # see above
        *map(type, headers.values()),  # pyright: ignore[reportUnknownArgumentType]  # see above
    } <= _TEXT


def _find_cookies(defaults: Defaults) -> Cookies | None:
    """What a client has to do with cookies where its calls say nothing."""
    jar, own = defaults.jar, defaults.own_cookies
    if jar is None or own is None:
        return None if jar is None else Cookies(jar)
    base, given = own
    pairs = frozenset(f"{name}={value}" for name, value in given.items())
    return Cookies(jar, home=Home(place(parse_url(join_url(base, ""))), pairs))


def _is_bare(url: str) -> bool:
    """Whether it has neither query nor fragment, nor the mark of an empty one."""
    return "?" not in url and "#" not in url


def _check_once(name: str, options: Mapping[str, Any]) -> None:
    """A verb has its method, and its URL in front.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION: it is among the options as well.
    """
    if name in options:
        raise AtomHTTPOptionError(f"{name}: given twice, by the verb and as an option; use request()", "ERR_BAD_OPTION")
