"""Who may set a cookie for whom, and where it goes (RFC 6265bis sections 5.1 and 5.7), as pure functions.

The parts of a request come from its parsed `Target`, so no two readings of a host can disagree.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from atomhttp._lazy_pattern import lazy_pattern
from atomhttp._model.checks import bad_value
from atomhttp._model.cookie import MAX_LIFETIME, Cookie
from atomhttp._model.cookie_parser import SetCookie
from atomhttp._model.public_suffix import is_public_suffix
from atomhttp._model.url import Target, parse_url
from atomhttp.errors import AtomHTTPURLError

_IPV4: Final = lazy_pattern(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_NOT_IN_HOST: Final = lazy_pattern(r"[/?#@%]")


def accept_cookie(field: SetCookie, target: Target, now: float) -> Cookie | None:
    """The cookie as a response from `target` may set it; None when it may not.

    All of section 5.7 but what depends on the cookies already there. Only https counts as secure: http to the own
    machine does not, as its ports belong to many.
    """
    if field.secure and target.scheme != "https":
        return None
    if field.same_site == "None" and not field.secure:
        return None
    scope = _scope(field.domain, target.host)
    if scope is None:
        return None
    domain, host_only = scope
    path = field.path or default_path(target.path)
    if not _keeps_its_promise(field, host_only, path):
        return None
    return Cookie(
        name=field.name,
        value=field.value,
        domain=domain,
        path=path,
        expires=_expiry(field, now),
        secure=field.secure,
        http_only=field.http_only,
        same_site=field.same_site,
        host_only=host_only,
        created=now,
        last_used=now,
    )


def domain_matches(host: str, domain: str) -> bool:
    """Whether `host` is `domain` or below it (section 5.1.3); an address is below nothing."""
    return host == domain or (host.endswith(f".{domain}") and not is_address(host))


def path_matches(path: str, cookie_path: str) -> bool:
    """Whether `path`, without its query, is `cookie_path` or below it (section 5.1.4)."""
    if not path.startswith(cookie_path):
        return False
    return cookie_path[-1] == "/" or len(path) == len(cookie_path) or path[len(cookie_path)] == "/"


def default_path(path: str) -> str:
    """The path of a cookie that names none (section 5.1.4): the folder of the request's.

    Args:
        path: of the request, with or without its query.
    """
    path = path.partition("?")[0]
    return path[: path.rfind("/")] or "/" if path.startswith("/") else "/"


def is_address(host: str) -> bool:
    """Whether a canonical host is an IPv4 or IPv6 address."""
    return ":" in host or _IPV4.fullmatch(host) is not None


@lru_cache(maxsize=1024)
def domains_of(host: str) -> tuple[str, ...]:
    """`host`, then the domains above it, nearest first; an address has none. Asked for every request of a client."""
    if is_address(host):
        return (host,)
    labels = host.split(".")
    return tuple(".".join(labels[start:]) for start in range(len(labels)))


def canonical_domain(domain: str) -> str:
    """A host name or address of the caller's as a Target holds it; a leading dot goes.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE.
    """
    if isinstance(domain, str):
        host = domain.removeprefix(".")
        if host and _NOT_IN_HOST.search(host) is None:
            try:
                return parse_url(f"http://[{host.strip('[]')}]/" if ":" in host else f"http://{host}/").host
            except AtomHTTPURLError:
                pass
    raise bad_value("domain", domain, "a host name or an address, without port and path")


def _scope(attribute: str, host: str) -> tuple[str, bool] | None:
    """(domain, host_only) for what a Domain attribute asks for, or None when `host` cannot have that."""
    if host.startswith("."):
        # A URL's host may begin so, but nobody has such a name.
        return None
    if not attribute:
        return host, True
    if is_address(host):
        return (host, True) if attribute in (host, f"[{host}]") else None
    if not domain_matches(host, attribute):
        return None
    if is_public_suffix(attribute):
        return (host, True) if attribute == host else None
    return attribute, False


def _expiry(field: SetCookie, now: float) -> float | None:
    """When it ends; Max-Age wins over Expires."""
    if field.max_age is not None:
        return now + field.max_age if field.max_age > 0 else float("-inf")
    return None if field.expires is None else min(field.expires, now + MAX_LIFETIME)


def _keeps_its_promise(field: SetCookie, host_only: bool, path: str) -> bool:
    """Whether a name that promises something (section 5.7 steps 20 to 22) is kept to.

    Without a name the value is what a server reads as the name, so it may promise nothing. The prefixes of HttpOnly
    cookies are from draft-ietf-httpbis-layered-cookies, and browsers have them.
    """
    name = (field.name or field.value).lower()
    if not name.startswith(("__secure-", "__host-", "__http-")):
        return True
    if not field.name or not field.secure:
        return False
    if name.startswith("__host-") and not (host_only and field.path is not None and path == "/"):
        return False
    return field.http_only or not name.startswith(("__http-", "__host-http-"))
