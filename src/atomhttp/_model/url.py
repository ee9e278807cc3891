"""URLs as requests need them. The only importer of `can_ada` (Ada, the WHATWG parser that Node uses).

A URL is parsed once, by one parser, into a `Target`; pool key, Host field, TLS name and connect all take their parts
from it and never look at the text again: two parsers that disagree are how filters are tricked (CVE-2021-41945's kind).
"""

from __future__ import annotations

import re
from typing import Final

import can_ada

from atomhttp._lazy_pattern import lazy_pattern
from atomhttp._redact import redact_url, show_url
from atomhttp.errors import AtomHTTPURLError

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_SCHEME: Final = lazy_pattern(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_ABSOLUTE: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.\-]*:)?//")
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\\]|^ | $")
_PORT: Final = lazy_pattern(r"[^/]*//(?:[^/?#]*@)?(?:\[[^/?#\]]*\]|[^/?#:@\[\]]+):([^/?#:@\[\]]+)(?:[/?#]|$)")
_ZONE_ID: Final = re.compile(r"[^/]*//[^/?#\[]*\[[^\]/?#%]*%")
_AUTHORITY_END: Final = lazy_pattern(r"[/?#]")
_HALF_ABSOLUTE: Final = lazy_pattern(r"https?:(?!//)", re.IGNORECASE)
# RFC 1035 section 2.3.4; resolvers that got more have overflowed (CVE-2023-38545).
MAX_HOST: Final = 255
MAX_PORT: Final = 65_535


class Target:
    """Where a request goes: an absolute http or https URL, taken apart.

    Attributes:
        url: the URL in ASCII, with its fragment, without userinfo.
        scheme, host, port: `host` is an A-label or an address, IPv6 without brackets.
        authority: the value of the Host field (RFC 9110 section 7.2).
        path: the origin form of the request target, path and query (RFC 9112 section 3.2.1).
        userinfo: (user name, password) from the URL, decoded, or None.
        socket_path: the unix socket named by an `http+unix:` URL, or None.
    """

    __slots__ = ("authority", "host", "path", "port", "scheme", "socket_path", "url", "userinfo")

    def __init__(
        self,
        url: str,
        scheme: str,
        host: str,
        port: int,
        path: str,
        userinfo: tuple[str, str] | None = None,
        socket_path: str | None = None,
    ) -> None:
        self.url = url
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = path
        self.userinfo = userinfo
        self.socket_path = socket_path
        name = f"[{host}]" if ":" in host else host
        self.authority = name if port == DEFAULT_PORTS[scheme] else f"{name}:{port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """(scheme, host, port): RFC 9110 section 4.3.1."""
        return (self.scheme, self.host, self.port)

    def with_query(self, query: str) -> Target:
        """This URL, which has neither query nor fragment, with a query of letters, digits, %XX and `-_.!~*():$,+=&`.

        Those the parser leaves as they are: what it made of the rest need not be done again (2 µs instead of 9).
        """
        twin = Target.__new__(Target)
        twin.url = f"{self.url}?{query}"
        twin.path = f"{self.path}?{query}"
        twin.scheme, twin.host, twin.port, twin.authority = self.scheme, self.host, self.port, self.authority
        twin.userinfo, twin.socket_path = self.userinfo, self.socket_path
        return twin

    def __repr__(self) -> str:
        return f"<Target {show_url(self.url, 300)}>"


def is_absolute(url: str) -> bool:
    """Whether `url` names its own host: `scheme://…` or `//…`."""
    return _ABSOLUTE.match(url) is not None


def join_url(base: str | None, url: str, allow_absolute: bool = True) -> str:
    """`url` behind `base`, as axios joins them: by string, with one slash between (not RFC 3986 resolution).

    The base's query stays in front of the url's. `//host` takes the base's scheme.

    Raises:
        AtomHTTPURLError: ERR_INVALID_URL, when an absolute `url` leaves the base and `allow_absolute` is False.
    """
    if is_absolute(url):
        if url.startswith("//"):
            url = f"{base.partition('://')[0] if base else 'http'}:{url}"
        if base and not allow_absolute and not _is_below(base, url):
            raise AtomHTTPURLError(f"{_shown(url)}: outside the baseURL, and allowAbsoluteUrls is False")
        return url
    if not base:
        return url
    if not is_absolute(base):
        raise AtomHTTPURLError(f"baseURL: expected an absolute URL such as 'https://example.com', got {_shown(base)}")
    if not url:
        return base
    if _HALF_ABSOLUTE.match(url):
        raise AtomHTTPURLError(f"{_shown(url)}: a scheme must be followed by // and a host")
    base = base.partition("#")[0]
    url, hash_mark, fragment = url.partition("#")
    path, mark, query = url.partition("?")
    base, _, base_query = base.partition("?")
    joined = f"{base.rstrip('/')}/{path.lstrip('/')}" if path or mark else base
    if not allow_absolute and not _is_below(base, joined):
        raise AtomHTTPURLError(f"{_shown(url)}: outside the baseURL, and allowAbsoluteUrls is False")
    queries = "&".join(part for part in (base_query, query) if part)
    return f"{joined}?{queries}{hash_mark}{fragment}" if queries else f"{joined}{hash_mark}{fragment}"


def _is_below(base: str, url: str) -> bool:
    """Same origin, and the same path prefix once dot segments are gone."""
    inner, outer = parse_url(url), parse_url(base)
    prefix = outer.path.partition("?")[0].rstrip("/") + "/"
    if (inner.origin, inner.socket_path) != (outer.origin, outer.socket_path):
        return False
    return f"{inner.path.partition('?')[0]}/".startswith(prefix)


def append_query(url: str, query: str) -> str:
    """`url` with `query` added to what it has; its fragment goes (it is never sent, and axios drops it here)."""
    if not query:
        return url
    url = url.partition("#")[0]
    return f"{url}{'&' if '?' in url else '?'}{query}"


def resolve_reference(base: Target, reference: str) -> Target:
    """Where a Location leads from `base` (RFC 9110 section 10.2.2); a fragment is inherited.

    By string, as RFC 3986 section 5.2 joins; dot segments are left to the one parser. What stays on the origin of an
    `http+unix:` URL stays on its socket.

    Raises:
        AtomHTTPURLError: ERR_INVALID_URL.
    """
    if _FORBIDDEN.search(reference) or _HALF_ABSOLUTE.match(reference):
        raise AtomHTTPURLError(f"not a URL: {_shown(reference)}")
    here, _, fragment = base.url.partition("#")
    if not is_absolute(reference) and not _SCHEME.match(reference):
        root = here.partition("?")[0]
        if reference.startswith("/"):
            root = here[: len(base.scheme) + 3] + base.authority
        elif not reference or reference.startswith("#"):
            root = here
        elif not reference.startswith("?"):
            root = root[: root.rindex("/") + 1]
        reference = root + reference
    elif reference.startswith("//"):
        reference = f"{base.scheme}:{reference}"
    if fragment and "#" not in reference:
        reference += f"#{fragment}"
    if reference[:10].lower().startswith("http+unix"):
        raise AtomHTTPURLError(f"{_shown(reference)}: only the caller may name a unix socket")
    target = parse_url(reference)
    if target.origin == base.origin:
        target.socket_path = base.socket_path
    return target


def parse_url(url: str) -> Target:
    """Takes an absolute URL apart.

    Raises:
        AtomHTTPURLError: ERR_INVALID_URL; the message says why and hides userinfo and secrets.
    """
    _check_spelling(url)
    socket_path = None
    if url[:10].lower() in ("http+unix:", "http+unix/"):
        socket_path, url = _split_unix_url(url)
    try:
        parsed = can_ada.parse(url)
    except (ValueError, TypeError):
        # TypeError: a lone surrogate.
        why = f": the port is no number from 0 to {MAX_PORT}" if _names_bad_port(url) else ""
        raise AtomHTTPURLError(f"not a URL: {_shown(url)}{why}") from None
    scheme = parsed.protocol[:-1]
    if scheme not in DEFAULT_PORTS:
        raise AtomHTTPURLError(f"{_shown(url)}: the scheme {scheme[:40]!r} is not supported, only http and https are")
    host = parsed.hostname
    if not host or len(host) > MAX_HOST:
        raise AtomHTTPURLError(f"{_shown(url)}: {'no host' if not host else 'the host is too long'}")
    userinfo = _decode_userinfo(url, parsed.username, parsed.password) if parsed.has_credentials() else None
    path = parsed.pathname + parsed.search
    return Target(
        url=f"{scheme}://{parsed.host}{path}{parsed.hash}",
        scheme=scheme,
        host=host[1:-1] if host[0] == "[" else host,
        port=int(parsed.port) if parsed.port else DEFAULT_PORTS[scheme],
        path=path,
        userinfo=userinfo,
        socket_path=socket_path,
    )


def _decode_userinfo(url: str, username: str, password: str) -> tuple[str, str]:
    from urllib.parse import unquote  # 5 ms of every start

    try:
        return unquote(username, errors="strict"), unquote(password, errors="strict")
    except UnicodeDecodeError:
        raise AtomHTTPURLError(f"{_shown(url)}: its user name or password is no percent-encoded UTF-8") from None


def _check_spelling(url: str) -> None:
    """What a WHATWG parser would quietly mend and a person, a filter or a log would read otherwise is refused."""
    if _FORBIDDEN.search(url):
        raise AtomHTTPURLError(
            f"{_shown(url)}: control characters, outer blanks and backslashes are not allowed in a URL"
        )
    if not is_absolute(url):
        if _SCHEME.match(url):
            raise AtomHTTPURLError(f"{_shown(url)}: a scheme must be followed by // and a host")
        raise AtomHTTPURLError(f"{_shown(url)}: not an absolute URL; give one (https://…), or set baseURL")
    if url.startswith("//"):
        raise AtomHTTPURLError(f"{_shown(url)}: the scheme is missing")
    if url[url.index("//") + 2 :][:1] in ("/", "?", "#", ""):
        raise AtomHTTPURLError(f"{_shown(url)}: the host is missing")
    if _ZONE_ID.match(url):
        raise AtomHTTPURLError(
            f"{_shown(url)}: zone ids cannot stand in a URL; connect by localAddress or a name instead"
        )


def _names_bad_port(url: str) -> bool:
    named = _PORT.match(url)
    if named is None:
        return False
    digits = named.group(1).lstrip("0") or "0"
    return not (digits.isascii() and digits.isdecimal() and len(digits) <= 5 and int(digits) <= MAX_PORT)


def _shown(url: str) -> str:
    """A URL that was refused, as a message may show it."""
    return repr(redact_url(url)[:200])


def _split_unix_url(url: str) -> tuple[str, str]:
    """`http+unix://%2Frun%2Fx.sock/path` as the socket's path and an ordinary URL."""
    rest = url.partition("://")[2]
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    from urllib.parse import unquote  # see `_decode_userinfo`

    path = unquote(authority)
    if not path.startswith(("/", "\x00")) or "\x00" in path[1:]:
        raise AtomHTTPURLError(f"{_shown(url)}: expected http+unix:// and the socket's absolute path, percent-encoded")
    return path, f"http://localhost{rest[len(authority) :]}"
