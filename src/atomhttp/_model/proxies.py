"""The `proxy` option. Only loaded where there is one; `proxy_choice` says which proxy a request goes through."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from atomhttp._lazy_pattern import lazy_pattern
from atomhttp._model.url import Target, parse_url
from atomhttp._redact import REDACTED, is_secret_name, redact_url
from atomhttp.auth import BasicAuth, check_auth
from atomhttp.errors import AtomHTTPOptionError, AtomHTTPURLError

ProxyScheme: TypeAlias = Literal["http", "https", "socks5", "socks5h"]

# The schemes' own ports, as requests, Go and axios have them (curl takes 1080 for all but https); 1080 is RFC 1928's.
DEFAULT_PROXY_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
# RFC 1929 section 2: their lengths are sent in one byte each.
_MAX_SOCKS_CREDENTIAL: Final = 255

_EXPECTED: Final = "a URL such as 'http://user:password@host:3128'"
_SCHEME: Final = lazy_pattern(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
_CONTROL: Final = lazy_pattern(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and what it is told about who asks. Part of the pool's key: connections through unequal ones never mix.

    Attributes:
        scheme: how the proxy itself is spoken to. `socks5` looks the origin's name up here, `socks5h` lets the proxy.
        host: an A-label or an address, IPv6 without brackets.
        port: by default 80 for http, 443 for https, 1080 for socks.
        username, password: what SOCKS asks for; for http and https they are in `authorization`.
        authorization: the value of Proxy-Authorization (RFC 9110 section 11.7.2), or None; http and https only.
    """

    scheme: ProxyScheme
    host: str
    port: int
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    authorization: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Where it is, for a person; without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_socks(self) -> bool:
        """Whether it is spoken to by SOCKS, of whatever kind, and not by HTTP."""
        return self.scheme in ("socks5", "socks5h")

    def with_authorization(self, value: str | None) -> Proxy:
        """A copy that sends `value` as Proxy-Authorization.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: control characters.
        """
        if value is not None and _CONTROL.search(value):
            raise AtomHTTPOptionError("Proxy-Authorization: control characters are not allowed", "ERR_BAD_OPTION_VALUE")
        return replace(self, authorization=value)

    def choose(self, target: Target) -> Proxy:
        """Itself, whatever the target; see `ProxyTable.choose`."""
        return self

    def __str__(self) -> str:
        return self.name


class ProxyTable:
    """Proxies by target, the most specific first. What no row matches goes without a proxy."""

    __slots__ = ("_rows",)

    def __init__(self, proxies: Mapping[_Pattern, Proxy | None]) -> None:
        self._rows = tuple(sorted(proxies.items(), key=lambda row: row[0].weight, reverse=True))

    def choose(self, target: Target) -> Proxy | None:
        """The proxy of the first row that matches `target`; None: none."""
        host = target.host.rstrip(".")
        for pattern, proxy in self._rows:
            if pattern.matches(target.scheme, host, target.port):
                return proxy
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProxyTable) and self._rows == other._rows

    def __hash__(self) -> int:
        return hash(self._rows)

    def __repr__(self) -> str:
        rows = (f"{pattern}: {proxy.name if proxy else None}" for pattern, proxy in self._rows)
        return f"ProxyTable({', '.join(rows)})"


class _Pattern(NamedTuple):
    """A key of a table: `scheme` None is any, `host` "" is any, `port` None is any; `below`: sub-domains of `host`."""

    scheme: str | None
    host: str
    port: int | None
    below: bool

    @property
    def weight(self) -> tuple[bool, int, bool, bool]:
        """What is more specific weighs more: the host (one host, then the longest domain), the port, the scheme."""
        return (bool(self.host) and not self.below, len(self.host), self.port is not None, self.scheme is not None)

    def matches(self, scheme: str, host: str, port: int) -> bool:
        if self.scheme not in (None, scheme) or self.port not in (None, port):
            return False
        return host.endswith(f".{self.host}") if self.below else self.host in ("", host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme or 'all'}://{'*.' if self.below else ''}{host}{port}"


ProxyOption: TypeAlias = Proxy | ProxyTable | Literal[False] | None


def check_proxy(name: str, value: ProxyOption | str | Mapping[Any, Any]) -> ProxyOption:
    """The `proxy` option as it is kept.

    Args:
        name: the option's name, for the error.
        value: None: the environment decides; False: none, whatever the environment says; a URL, `host:port` without a
            scheme being http; axios's mapping (`protocol`, `host` or `hostname`, `port`, `auth`), whose host may be a
            URL; a Proxy; or a mapping by target, such as `{"https://": …, "all://*.example.com": None}`. Among its
            keys the more exact host wins, then the one with a port, then the one with a scheme; a target that no key
            matches goes without a proxy.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE; the message says what was given, without credentials.
    """
    if value is None or value is False or isinstance(value, (Proxy, ProxyTable)):
        return value
    if isinstance(value, Mapping) and any("://" in key for key in value if isinstance(key, str)):
        rows = dict(_read_row(name, key, item) for key, item in value.items())
        if len(rows) < len(value):
            raise _bad(name, "keys that differ in what they match", value)
        return ProxyTable(rows)
    return _read_proxy(name, value)


# Reading


def _read_proxy(name: str, value: Proxy | str | Mapping[Any, Any]) -> Proxy:
    if isinstance(value, Proxy):
        return value
    if isinstance(value, str):
        return read_proxy_url(name, value)
    if isinstance(value, Mapping):
        return _read_mapping(name, value)
    raise _bad(name, f"{_EXPECTED}, a mapping with a host, a mapping by target, False or None", value)


def read_proxy_url(name: str, url: str) -> Proxy:
    """The proxy of a URL that stands in the option or the variable `name`.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE.
    """
    match = _SCHEME.match(url)
    scheme = match[1].lower() if match else "http"
    if scheme not in DEFAULT_PROXY_PORTS:
        raise _bad(name, f"a proxy of {', '.join(DEFAULT_PROXY_PORTS)} ({scheme} is not supported)", url)
    rest = url[match.end() :] if match else url
    try:
        # The parser knows the ports of http and https and drops them: only one that is given is the same in both.
        target, other = parse_url(f"http://{rest}"), parse_url(f"https://{rest}")
    except AtomHTTPURLError as error:
        raise _bad(name, _EXPECTED, url) from error
    if target.path != "/" or "#" in target.url:
        raise _bad(name, f"{_EXPECTED}, without a path, query or fragment", url)
    if target.port == 0:
        raise _bad(name, f"{_EXPECTED}, with a port from 1 to 65535", url)
    port = target.port if target.port == other.port else DEFAULT_PROXY_PORTS[scheme]
    return _build(name, cast("ProxyScheme", scheme), target.host, port, target.userinfo)


def _build(name: str, scheme: ProxyScheme, host: str, port: int, userinfo: tuple[str, str] | None) -> Proxy:
    if userinfo is None:
        return Proxy(scheme, host, port)
    username, password = userinfo
    try:
        # The check is right for SOCKS too, where a colon could be sent but is a slip.
        authorization = BasicAuth(username, password).get_header()["Authorization"]
    except AtomHTTPOptionError as error:
        raise AtomHTTPOptionError(f"{name}: {error.message}", "ERR_BAD_OPTION_VALUE") from None
    if scheme in ("http", "https"):
        return Proxy(scheme, host, port, username, password, authorization)
    if max(len(username.encode()), len(password.encode())) > _MAX_SOCKS_CREDENTIAL:
        raise AtomHTTPOptionError(
            f"{name}: SOCKS5 takes at most {_MAX_SOCKS_CREDENTIAL} bytes for the user name and for the password "
            "(RFC 1929)",
            "ERR_BAD_OPTION_VALUE",
        )
    return Proxy(scheme, host, port, username, password)


_KEYS: Final = ("protocol", "host", "hostname", "port", "auth")


def _read_mapping(name: str, given: Mapping[Any, Any]) -> Proxy:
    """axios's object."""
    unknown = [key for key in given if key not in _KEYS]
    if unknown:
        by_target = {"http", "https", "all"}.intersection(map(str, unknown))
        hint = "; by target, the keys are 'http://', 'https://' and 'all://'" if by_target else ""
        raise AtomHTTPOptionError(
            f"{name}: unknown key {show_proxy(str(unknown[0]))[:60]!r}; it may hold {', '.join(_KEYS)}{hint}",
            "ERR_BAD_OPTION_VALUE",
        )
    proxy = read_proxy_url(name, _build_url(name, given))
    if given.get("auth") is None:
        return proxy
    if proxy.username is not None:
        raise AtomHTTPOptionError(f"{name}: credentials stand both in the host and in auth", "ERR_BAD_OPTION_VALUE")
    return _build(name, proxy.scheme, proxy.host, proxy.port, _read_auth(f"{name}.auth", given["auth"]))


def _read_auth(name: str, given: Any) -> tuple[str, str]:
    try:
        auth = check_auth(name, given)
    except AtomHTTPOptionError as error:
        message = error.message if error.message.startswith(name) else f"{name}: {error.message}"
        raise AtomHTTPOptionError(message, "ERR_BAD_OPTION_VALUE") from None
    if not isinstance(auth, BasicAuth):
        raise AtomHTTPOptionError(
            f"{name}: expected BasicAuth, (username, password) or {{'username': …, 'password': …}}, "
            f"got {type(auth).__name__}",
            "ERR_BAD_OPTION_VALUE",
        )
    return auth.username, auth.password


def _build_url(name: str, given: Mapping[str, Any]) -> str:
    """The URL that axios's object stands for, without `auth`. What is said twice must be the same."""
    host, protocol, port = given.get("host"), given.get("protocol"), given.get("port")
    if host is None:
        host = given.get("hostname")
    elif given.get("hostname") not in (None, host):
        raise _bad(name, "host or hostname, or the same in both", given)
    if not isinstance(host, str) or not host:
        raise _bad(name, "a mapping with a host", given)
    match = _SCHEME.match(host)
    scheme = match[1].lower() if match else None
    rest = (host[match.end() :] if match else host).removesuffix("/")
    if protocol is not None:
        if not isinstance(protocol, str):
            raise _bad(f"{name}.protocol", f"one of {', '.join(DEFAULT_PROXY_PORTS)}", protocol)
        protocol = protocol.lower().removesuffix("//").removesuffix(":")
        if scheme not in (None, protocol):
            raise _bad(name, "the same scheme in protocol and host", given)
        scheme = protocol
    if rest.count(":") > 1 and "[" not in rest and "@" not in rest:
        rest = f"[{rest}]"
    return f"{'http' if scheme is None else scheme}://{_with_port(name, rest, port)}"


def _with_port(name: str, rest: str, port: Any) -> str:
    if port is None:
        return rest
    number = int(port) if isinstance(port, str) and re.fullmatch(r"[0-9]{1,5}", port) else port
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 65535:
        raise _bad(f"{name}.port", "a port from 1 to 65535", port)
    given = re.search(r":([0-9]*)$", rest)
    if given is None:
        return f"{rest}:{number}"
    if given[1] != str(number):
        raise _bad(name, "the same port in port and host", f"{rest} and {number}")
    return rest


def _read_row(name: str, key: Any, value: Any) -> tuple[_Pattern, Proxy | None]:
    where = f"{name}[{show_proxy(key)!r:.80}]"
    pattern = _read_pattern(where, key)
    return pattern, None if value is None or value is False else _read_proxy(where, value)


def _read_pattern(where: str, key: Any) -> _Pattern:
    """`https://`, `all://*.example.com`, `http://host:8080` as a pattern."""
    expected = "a key such as 'http://', 'https://host', 'all://*.example.com' or 'https://host:8443'"
    match = _SCHEME.match(key) if isinstance(key, str) else None
    scheme = match[1].lower() if match else ""
    if match is None or scheme not in ("http", "https", "all"):
        raise AtomHTTPOptionError(f"{where}: expected {expected}", "ERR_BAD_OPTION_VALUE")
    kept = None if scheme == "all" else scheme
    rest = key[match.end() :]
    if rest in ("", "*"):
        return _Pattern(kept, "", None, below=False)
    bare = rest.removeprefix("*.")
    try:
        target, other = parse_url(f"http://{bare}"), parse_url(f"https://{bare}")
    except AtomHTTPURLError as error:
        raise AtomHTTPOptionError(f"{where}: expected {expected}", "ERR_BAD_OPTION_VALUE") from error
    if target.path != "/" or "#" in target.url or target.userinfo or "*" in target.host:
        raise AtomHTTPOptionError(f"{where}: expected {expected}, and nothing more", "ERR_BAD_OPTION_VALUE")
    port = target.port if target.port == other.port else None
    return _Pattern(kept, target.host.rstrip("."), port, below=bare is not rest)


# What was given, for a message


def _bad(name: str, expected: str, value: Any) -> AtomHTTPOptionError:
    return AtomHTTPOptionError(f"{name}: expected {expected}, got {show_proxy(value)!r:.200}", "ERR_BAD_OPTION_VALUE")


def show_proxy(value: Proxy | str | Mapping[Any, Any] | float | None) -> Any:
    """`value` without credentials, even where it is no URL: all that stands before an `@` may be one."""
    if isinstance(value, str):
        match = _SCHEME.match(value)
        scheme = match[0] if match else ""
        return redact_url(scheme + value[len(scheme) :].rpartition("@")[2])
    if isinstance(value, Mapping):
        return {
            show_proxy(key): REDACTED if is_secret_name(str(key)) else show_proxy(item) for key, item in value.items()
        }
    if value is None or isinstance(value, (int, float)):
        return value
    return f"<{type(value).__name__}>"
