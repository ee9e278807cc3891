"""The one table of options: names, types, defaults, scopes, merge rules. Everything else about options reads it.

Every option has two spellings, Python's snake_case (its `name` in here) and axios's camelCase (`alias`).
"""

from __future__ import annotations

import codecs
import os
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, TypeGuard

from atomhttp._lazy_pattern import lazy_pattern
from atomhttp._model.abort import check_signal
from atomhttp._model.checks import bad_kind, bad_value, camel_case, check_callable, check_count, check_flag
from atomhttp._model.cookie import check_pair
from atomhttp._model.cookies import CookieJar
from atomhttp._model.dialing import check_hosts, check_local_address
from atomhttp._model.form_serializer import check_form_serializer
from atomhttp._model.headers import Headers
from atomhttp._model.params import build_params_serializer
from atomhttp._model.rate import check_rate
from atomhttp._model.retry_config import check_retry_config
from atomhttp._model.timeout import Timeout
from atomhttp._model.walker import is_listed, is_mapping
from atomhttp.auth import check_auth
from atomhttp.errors import AtomHTTPOptionError

Scope: TypeAlias = Literal["call", "client", "both"]
Merge: TypeAlias = Literal["replace", "deep", "headers"]
Check: TypeAlias = Callable[[str, Any], Any]


class Option:
    """One option: how it is spelt, where it may stand, what it may be, how a call's value meets the client's."""

    __slots__ = ("alias", "check", "default", "doc", "merge", "name", "scope", "type", "unit")

    def __init__(  # noqa: PLR0913  # a row of the table has that many columns
        self,
        name: str,
        type: str,
        default: Any,
        check: Check,
        doc: str,
        *,
        alias: str | None = None,
        scope: Scope = "both",
        merge: Merge = "replace",
        unit: str = "",
    ) -> None:
        self.name = name
        self.alias = alias or camel_case(name)
        self.type = type
        self.default = default
        self.check = check
        self.scope = scope
        self.merge = merge
        self.unit = unit
        self.doc = doc

    def __repr__(self) -> str:
        return f"<Option {self.name} ({self.alias})>"


# Checks: each returns the value to keep, or raises.


def _anything(name: str, value: Any) -> Any:
    return value


def _method(name: str, value: Any) -> str:
    if not isinstance(value, str) or _TOKEN.fullmatch(value) is None:
        raise bad_value(name, value, "an HTTP method such as 'GET'")
    upper = value.upper()
    if upper == "CONNECT":
        raise AtomHTTPOptionError("method: CONNECT is made by the proxy option only", "ERR_BAD_OPTION_VALUE")
    return upper if upper in STANDARD_METHODS else value


def _url(name: str, value: Any) -> Any:
    given: Any = value
    if (
        given is None
        or isinstance(given, (int, float, bytes, bytearray, Mapping, list, tuple, set, frozenset))
        or not _speaks_for_itself(value)
    ):
        hint = "; a config is given to request(config)" if isinstance(given, Mapping) else ""
        if isinstance(given, Awaitable):
            hint = "; this has not been awaited"
        raise bad_value(name, value, f"a URL (str, or an object whose str() is one{hint})")
    return value


def _speaks_for_itself(value: object) -> bool:
    """Whether `str(value)` is its own idea: what it says of a coroutine, a function, a class is no URL."""
    describe: Any = type(value).__str__
    return describe is not object.__str__


def _text_or_none(name: str, value: Any) -> Any:
    if value is not None and not isinstance(value, str):
        raise bad_value(name, value, "str or None")
    return value


def _charset_or_none(name: str, value: Any) -> Any:
    try:
        return None if value is None else codecs.lookup(value) and value
    except (LookupError, TypeError, ValueError):
        raise bad_value(name, value, "the name of a charset, such as 'latin-1', or None") from None


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise bad_value(name, value, "a whole number, 1 or more")
    return value


def _size_limit(name: str, value: Any) -> int:
    if value is None:
        return -1
    if isinstance(value, bool) or not isinstance(value, int) or value < -1:
        raise bad_value(name, value, "a number of bytes, or -1 for no limit")
    return value


def _seconds(name: str, value: Any) -> float | None:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0):
        raise bad_value(name, value, "seconds, a timedelta or None")
    # An int may be more than a float can hold.
    return value if value is None or value <= 1e300 else float("inf")


def _timeout(name: str, value: Any) -> Any:
    Timeout.of(value)
    return read_only(value)


def read_only(value: Any) -> Any:
    """A mapping that cannot be changed: configs share their client's, and a change in place would reach other calls."""
    given: Any = value
    return MappingProxyType(dict(given)) if isinstance(value, Mapping) else value


def _headers(name: str, value: Any) -> Any:
    # A copy: an interceptor that changes the config's headers must not change the caller's.
    return value if value is None else Headers(value) if not isinstance(value, Headers) else value.copy()


def _params(name: str, value: Any) -> Any:
    given: Any = value
    if type(value) is dict:
        return given.copy()
    if value is None or isinstance(value, (str, Mapping)):
        return given
    try:
        return [(key, item) for key, item in value]
    except (TypeError, ValueError):
        raise bad_kind(name, value, "a mapping, (name, value) pairs or str") from None


def _params_serializer(name: str, value: Any) -> Any:
    build_params_serializer(value)
    return read_only(value)


def _form_serializer(name: str, value: Any) -> Any:
    return read_only(check_form_serializer(name, value))


def _mapping_or_none(name: str, value: Any) -> Any:
    if value is not None and not is_mapping(value):
        raise bad_value(name, value, "a mapping")
    return value


def _meta(name: str, value: Any) -> Any:
    # A copy: what an interceptor marks in it must not turn up with the caller, nor in another call.
    return value if value is None else dict(_mapping_or_none(name, value))


def _response_type(name: str, value: Any) -> Any:
    given: Any = value
    if isinstance(value, str):
        if value not in ("json", "text", "blob", "arraybuffer", "stream"):
            raise bad_value(name, value, "'json', 'text', 'blob', 'arraybuffer', 'stream' or a type")
    elif value is None or isinstance(value, (int, float, bytes, Mapping, list, tuple)):
        raise bad_value(name, given, "'json', 'text', 'blob', 'arraybuffer', 'stream' or a type")
    return value


def _validate_status(name: str, value: Any) -> Any:
    if value is None or value is True or (callable(value) and not isinstance(value, bool)):
        return value
    raise bad_value(name, value, "a callable(status) -> bool, True (200-299) or None (every status is returned)")


def _path_or_none(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, (str, Path)):
        raise bad_value(name, value, "a path (str or Path) or None")
    return os.fspath(value)


def _socket_path(name: str, value: Any) -> str | None:
    path = _path_or_none(name, value)
    if path is not None and not _is_socket_path(path):
        raise bad_value(name, value, "the path of a unix socket")
    return path


def _paths(name: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    items = [value] if isinstance(value, (str, Path)) else value
    if not _is_collection(items):
        raise bad_value(name, value, "a path or a list of paths")
    if not all(isinstance(item, (str, Path)) and _is_socket_path(os.fspath(item)) for item in items):
        raise bad_value(name, value, "a path or a list of paths")
    paths: Collection[str | Path] = items
    return tuple(real_socket_path(os.fspath(path)) for path in paths)


def _is_collection(value: object) -> TypeGuard[Collection[Any]]:
    return isinstance(value, (list, tuple, set, frozenset))


def _is_socket_path(path: str) -> bool:
    """NUL begins an abstract name (Linux) and stands nowhere else; a lone surrogate names no file."""
    return path != "" and "\x00" not in path[1:] and (path.isascii() or _can_be_encoded(path))


def _can_be_encoded(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def real_socket_path(path: str) -> str:
    """`path` as it is compared with others; an abstract name (Linux: it begins with NUL) is no file and stays."""
    return path if path.startswith("\x00") else os.path.realpath(path)


def _file_path(name: str, value: str | Path) -> str:
    path = os.fspath(value)
    if "\x00" in path or not _can_be_encoded(path):
        raise bad_value(name, path, "a path, which has neither NUL nor half of a character in it")
    return path


def _verify(name: str, value: Any) -> Any:
    if isinstance(value, (bool, ssl.SSLContext)):
        return value
    if isinstance(value, (str, Path)):
        return _file_path(name, value)
    raise bad_value(name, value, "True, False, the path of a CA file or directory, or an SSLContext")


def _http2(name: str, value: Any) -> bool | str:
    if value is False:
        return False
    if value is not True and value != "only":
        raise bad_value(name, value, 'False, True or "only"')
    from importlib.util import find_spec  # only who asks for HTTP/2 needs it

    # Not imported before a connection asks for it.
    if find_spec("ngh2") is None:
        raise AtomHTTPOptionError(f"{name}: needs the extra: pip install 'atomhttp[http2]'", "ERR_NOT_SUPPORT")
    return "only" if value == "only" else True


def _interval(name: str, value: Any) -> float | None:
    seconds = _seconds(name, value)
    if seconds in (0, float("inf")):
        raise bad_value(name, value, "a positive number of seconds, a timedelta or None")
    return seconds


def _cert(name: str, value: Any) -> Any:
    if value is None:
        return None
    items = value if is_listed(value) else [value]
    if any(isinstance(item, str) and "-----BEGIN " in item for item in items[:2]):
        raise AtomHTTPOptionError(f"{name}: expected paths, got the text of a PEM file", "ERR_BAD_OPTION_VALUE")
    if isinstance(value, (str, Path)):
        return (_file_path(name, value),)
    if is_listed(value) and 1 <= len(value) <= 3 and all(isinstance(item, (str, Path)) for item in value):
        return (*(_file_path(name, item) for item in value[:2]), *map(os.fspath, value[2:]))
    raise bad_kind(name, value, "a path, or (certificate, key) or (certificate, key, password)")


def _callables_or_none(name: str, value: Any) -> Any:
    """One function, or a list of them: kept as it is, or as a tuple."""
    if value is None or callable(value):
        return value
    if not is_listed(value) or not all(callable(item) for item in value):
        raise bad_value(name, value, "a callable, a list of callables or None")
    return tuple(value)


def _field_names(name: str, value: Any) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if items is None:
        return ()
    if not _is_collection(items) or not all(isinstance(item, str) for item in items):
        raise bad_value(name, value, "a list of header field names")
    return tuple(sorted(item.lower() for item in items))


def _adapter(name: str, value: Any) -> Any:
    if isinstance(value, type):
        raise bad_value(name, value, f"an adapter, not the class: {value.__name__}()")
    if value is not None and not (callable(getattr(value, "send", None)) and callable(getattr(value, "close", None))):
        raise bad_value(name, value, "an adapter: an object with async send(request) and async close()")
    return value


def _cookies(name: str, value: Any) -> Any:
    if value is None or value is False or isinstance(value, CookieJar):
        return value
    if not is_mapping(value):
        raise bad_kind(name, value, "a mapping of names to values, a CookieJar, False or None")
    for key, item in value.items():
        check_pair(key, item, name)
    return MappingProxyType({str.__str__(key): str.__str__(item) for key, item in value.items()})


def _proxy(name: str, value: Any) -> Any:
    if value is None or value is False:
        return value
    from atomhttp._model.proxies import check_proxy  # 4 ms of every start

    return check_proxy(name, value)


def _address_guard(name: str, value: Any) -> Any:
    if value is None:
        return None
    from atomhttp._model.address_guard import check_address_guard  # with `ipaddress`, 4 ms of every start

    return check_address_guard(name, value)


def _cookie_name(name: str, value: Any) -> str:
    if not isinstance(value, str) or _TOKEN.fullmatch(value) is None:
        raise bad_value(name, value, "a name (a token of RFC 9110)")
    return value


def _token_field(name: str, value: Any) -> str:
    if not isinstance(value, str) or _TOKEN.fullmatch(value) is None or value.lower() in _NO_TOKENS_FIELDS:
        raise bad_value(name, value, "the name of a header field of the caller's own")
    return value


def _transitional(name: str, value: Any) -> Any:
    given: Mapping[Any, Any] = _mapping_or_none(name, value) or {}
    for key, item in given.items():
        if key not in ("silentJSONParsing", "clarifyTimeoutError", "forcedJSONParsing"):
            raise AtomHTTPOptionError(f"transitional: unknown key {key!r}", "ERR_BAD_OPTION")
        check_flag(f"transitional.{key}", item)
    return read_only(value)


_TOKEN: Final = lazy_pattern(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# They frame or route a message, or are other credentials: a token, which the server chooses, must not be put there.
_NO_TOKENS_FIELDS: Final = frozenset(
    (
        *("authorization", "connection", "content-encoding", "content-length", "content-type", "cookie", "expect"),
        *("host", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"),
    )
)
STANDARD_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"))


OPTIONS: Final[tuple[Option, ...]] = (
    Option("url", "str", None, _url, "the URL; behind `baseURL` unless it is absolute", scope="call"),
    Option("method", "str", "GET", _method, "the HTTP method", scope="call"),
    Option("data", "any", None, _anything, "the body; what it is decides how it is sent", scope="call"),
    Option("json", "any", None, _anything, "the body, sent as JSON whatever it is", scope="call"),
    Option("form", "mapping or pairs", None, _anything, "the body, sent urlencoded", scope="call"),
    Option("base_url", "str", None, _text_or_none, "stands in front of every relative URL", alias="baseURL"),
    Option("params", "mapping, pairs or str", None, _params, "the query string's parameters", merge="deep"),
    Option("headers", "mapping or pairs", None, _headers, "header fields", merge="headers"),
    Option(
        "timeout",
        "number, timedelta, Timeout, mapping or None",
        30,
        _timeout,
        "how long the whole call may take; `Timeout` sets phases; None or 0: for ever",
        unit="seconds",
    ),
    Option(
        "response_type",
        '"json" "text" "blob" "arraybuffer" "stream" or a type',
        "json",
        _response_type,
        "what `response.data` is",
    ),
    Option(
        "validate_status",
        "callable(status) -> bool, True or None",
        None,
        _validate_status,
        "which statuses are returned and not raised; True: 200-299; None: every one",
    ),
    Option(
        "auth",
        "BasicAuth, BearerAuth, DigestAuth, pair, mapping, auth object or callable",
        None,
        check_auth,
        "who the caller is",
    ),
    Option(
        "on_upload_progress",
        "callable(loaded, total) or callable(event)",
        None,
        check_callable,
        "told as the request body leaves; may be async",
        unit="bytes",
    ),
    Option(
        "on_download_progress",
        "callable(loaded, total) or callable(event)",
        None,
        check_callable,
        "told as the response content arrives; may be async",
        unit="bytes",
    ),
    Option(
        "transform_request",
        "callable or list of them",
        None,
        _callables_or_none,
        "changes the body before it is encoded: (data) or (data, headers); may be async",
    ),
    Option(
        "transform_response",
        "callable or list of them",
        None,
        _callables_or_none,
        "changes the decoded data: (data), (data, headers) or (data, headers, status); may be async",
    ),
    Option("max_redirects", "int", 5, check_count, "redirects to follow; 0: none, the 3xx is returned"),
    Option(
        "before_redirect",
        "callable(request, response) or None",
        None,
        check_callable,
        "asked before each redirect, after stripping; returns header fields to set, or None; may be async",
    ),
    Option(
        "cross_origin_headers",
        "list of str",
        (),
        _field_names,
        "fields that go along to another origin although they are not harmless",
    ),
    Option(
        "allow_insecure_redirect",
        "bool",
        False,
        check_flag,
        "follow a redirect from https to http with a body or credentials",
    ),
    Option(
        "retry_config",
        "None, bool, int or mapping",
        None,
        check_retry_config,
        "try again what failed for a moment; False: not even the one safe resend",
        merge="deep",
    ),
    Option("max_rate", "number or [up, down]", None, check_rate, "the fastest transfer", unit="bytes per second"),
    Option("max_body_length", "int", -1, _size_limit, "the largest request body; -1: no limit", unit="bytes"),
    Option(
        "max_content_length",
        "int",
        -1,
        _size_limit,
        "the largest response content, decompressed; -1: no limit",
        unit="bytes",
    ),
    Option("decompress", "bool", True, check_flag, "decode gzip, deflate, br and zstd content"),
    Option(
        "response_encoding", "str or None", None, _charset_or_none, "the charset of text, whatever the response says"
    ),
    Option(
        "transitional", "mapping", None, _transitional, "axios's switches, of which `silentJSONParsing=False` is heeded"
    ),
    Option(
        "with_credentials",
        "bool",
        False,
        check_flag,
        "a browser's switch, accepted for users of axios and of 1.x; without effect",
    ),
    Option(
        "cookies",
        "mapping, CookieJar, False or None",
        None,
        _cookies,
        "a client's: its jar, or cookies for the origin of `baseURL`; a call's: cookies for its origin, not stored; "
        "False: none are sent or stored",
    ),
    Option("xsrf_cookie_name", "str", "XSRF-TOKEN", _cookie_name, "the cookie that holds the XSRF token"),
    Option("xsrf_header_name", "str", "X-XSRF-TOKEN", _token_field, "the header field that the XSRF token is sent in"),
    Option(
        "with_xsrf_token",
        "bool",
        False,
        check_flag,
        "send the XSRF token, to the origin of `baseURL` only",
        alias="withXSRFToken",
    ),
    Option(
        "proxy",
        "URL, mapping, False or None",
        None,
        _proxy,
        "the proxy to go through; a mapping of targets to proxies; False: none; None: as the environment says",
    ),
    Option(
        "trust_env",
        "bool",
        True,
        check_flag,
        "heed HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE",
    ),
    Option(
        "address_guard",
        '"public", callable(address, port, host) -> bool, or None',
        None,
        _address_guard,
        "which addresses may be connected to, on every hop and attempt",
    ),
    Option("signal", "AbortSignal or None", None, check_signal, "gives the call up when it is aborted"),
    Option("socket_path", "path or None", None, _socket_path, "the unix socket to connect to instead of TCP"),
    Option(
        "allowed_socket_paths", "path, list of paths or None", None, _paths, "the only unix sockets that may be used"
    ),
    Option(
        "verify",
        "bool, path or SSLContext",
        True,
        _verify,
        "verify certificates; a path: a CA file or directory to trust instead",
    ),
    Option(
        "cert", "path or paths", None, _cert, "the client certificate: file, or (file, key) or (file, key, password)"
    ),
    Option("keep_alive", "bool", True, check_flag, "keep connections for later requests"),
    Option("adapter", "adapter or None", None, _adapter, "what sends requests; None: the network"),
    Option("meta", "mapping", None, _meta, "the caller's own marks, kept on `config.meta`", merge="deep"),
    Option("allow_absolute_urls", "bool", True, check_flag, "False: refuse a URL outside `baseURL`"),
    Option(
        "params_serializer",
        "callable, mapping or None",
        None,
        _params_serializer,
        "how `params` become a query string",
    ),
    Option("form_serializer", "mapping or None", None, _form_serializer, "how nested values become form fields"),
    Option("json_encoder", "callable(value) -> bytes or str", None, check_callable, "encodes JSON bodies"),
    Option("json_decoder", "callable(bytes) -> any", None, check_callable, "decodes JSON responses"),
    Option("max_connections", "int", 100, _positive, "open connections at the most, in each pool", scope="client"),
    Option(
        "max_connections_per_origin",
        "int",
        0,
        check_count,
        "open connections to one origin; 0: no limit of its own",
        scope="client",
    ),
    Option(
        "keep_alive_timeout",
        "number",
        4.0,
        _seconds,
        "how long an idle connection is kept; a server's Keep-Alive less 1 s wins",
        scope="client",
        unit="seconds",
    ),
    Option(
        "connection_lifetime",
        "number or None",
        None,
        _seconds,
        "a connection older than this is not used again",
        scope="client",
        unit="seconds",
    ),
    Option(
        "resolver",
        "callable(host, port) -> addresses, or None",
        None,
        check_callable,
        "resolves names instead of the system; may be async",
        scope="client",
    ),
    Option(
        "hosts",
        "mapping of names to addresses, or None",
        None,
        check_hosts,
        "addresses of names that are not looked up",
        scope="client",
    ),
    Option(
        "local_address",
        "address, (address, port) or None",
        None,
        check_local_address,
        "the address of this machine to connect from",
        scope="client",
    ),
    Option(
        "max_header_size",
        "int",
        64 * 1024,
        _positive,
        "the largest response head, interim ones included",
        scope="client",
        unit="bytes",
    ),
    Option(
        "http2",
        'False, True or "only"',
        False,
        _http2,
        'HTTP/2: False never, True where a TLS server chooses it, "only" always (in clear: prior knowledge)',
        scope="client",
    ),
    Option(
        "ping_interval",
        "number or None",
        None,
        _interval,
        "an HTTP/2 connection from which nothing has come for so long is asked whether it is there",
        scope="client",
        unit="seconds",
    ),
)

BY_NAME: Final[dict[str, Option]] = {spelling: option for option in OPTIONS for spelling in (option.name, option.alias)}
CALL_OPTIONS: Final = {spelling: option for spelling, option in BY_NAME.items() if option.scope != "client"}
CLIENT_OPTIONS: Final = {spelling: option for spelling, option in BY_NAME.items() if option.scope != "call"}

# What the same thing is called elsewhere.
ELSEWHERE: Final = {
    "allow_redirects": "maxRedirects",
    "follow_redirects": "maxRedirects",
    "max_redirect": "maxRedirects",
    "proxies": "proxy",
    "files": "FormData (data=form)",
    "content": "data",
    "body": "data",
    "stream": "response_type='stream'",
    "ssl": "verify",
    "raise_for_status": "validateStatus=True",
    "query": "params",
    "baseUrl": "baseURL",
    "http_version": "http2",
    "httpVersion": "http2",
    "http2Options": "http2",
    "h2": "http2",
    "http1": "http2='only'",
    "unix_socket": "socketPath",
    "uds": "socketPath",
    "limits": "maxConnections",
    "retries": "retryConfig",
    "max_retries": "retryConfig",
    "transport": "adapter",
    "payload": "data",
    "form_data": "FormData (data=form)",
    "mounts": "proxy or adapter",
    "connector": "adapter",
    "app": "adapter=ASGIAdapter(app)",
    "ca_certs": "verify",
    "ssl_context": "verify",
    "max_tries": "retryConfig",
    "event_hooks": "client.interceptors",
    "hooks": "client.interceptors",
    "pool_size": "maxConnections",
    "pool_maxsize": "maxConnections",
    "abort": "signal",
    "cookie": "cookies",
    "cookie_jar": "cookies",
    "jar": "cookies",
    "trust_environment": "trustEnv",
    "cancel_token": "signal",
    "cancelToken": "signal",
    "abort_signal": "signal",
    "withXsrfToken": "withXSRFToken",
    "source_address": "localAddress",
    "local_addr": "localAddress",
    "httpAgent": "adapter",
    "httpsAgent": "adapter",
    "lookup": "resolver",
    "dns": "resolver",
}


def find_option(name: object, table: Mapping[str, Option], where: str) -> Option:
    """The option called `name` in either spelling.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION: no such option (with a suggestion), or it belongs elsewhere.
    """
    option = table.get(name)  # type: ignore[call-overload]  # any object may be looked up
    if option is not None:
        return option  # type: ignore[no-any-return]  # as above
    known = BY_NAME.get(name)  # type: ignore[call-overload]  # as above
    if known is not None:
        place = "a client (constructor or defaults)" if known.scope == "client" else "a call"
        raise AtomHTTPOptionError(f"{name}: belongs to {place}, not to {where}", "ERR_BAD_OPTION")
    hint = ELSEWHERE.get(str(name))
    if hint is None:
        from difflib import get_close_matches  # only a mistake needs it

        close = get_close_matches(str(name), table, n=1, cutoff=0.6)
        hint = close[0] if close else None
    suggestion = f"; did you mean {hint}?" if hint else ""
    raise AtomHTTPOptionError(f"unknown option {str(name)[:60]!r}{suggestion}", "ERR_BAD_OPTION")


def check_options(given: Mapping[str, Any], table: Mapping[str, Option], where: str) -> dict[str, Any]:
    """`given` under snake_case names, every value checked.

    Raises:
        AtomHTTPOptionError: for an unknown name, a wrong scope, a wrong value, or two spellings that disagree.
    """
    checked: dict[str, Any] = {}
    for spelling, value in given.items():
        option = find_option(spelling, table, where)
        name = option.name
        kept = option.check(spelling, value)
        if name in checked and not _same(checked[name], kept):
            raise AtomHTTPOptionError(
                f"{name} and {option.alias} are one option, given twice with different values", "ERR_BAD_OPTION"
            )
        checked[name] = kept
    return checked


def _same(one: Any, other: Any) -> bool:
    return one is other or bool(one == other)
