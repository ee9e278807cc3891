"""The cookie jar (RFC 6265bis sections 5.7 and 5.8): what servers set, kept for the requests that it belongs to.

One lock serves every jar of the process. It is held for microseconds and never while the caller's code runs, it needs
no care when a jar is copied or pickled, and a fork waits for it, so that no child finds a jar half changed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from time import time
from typing import Any, Final, NoReturn, TypeVar, cast, overload

from atomhttp._model.checks import bad_value, check_flag
from atomhttp._model.cookie import (
    MAX_LIFETIME,
    Cookie,
    SameSite,
    check_pair,
    check_path,
    check_same_site,
    is_time,
    octets,
)
from atomhttp._model.cookie_files import FileFormat, read_cookies, write_cookies
from atomhttp._model.cookie_parser import parse_set_cookie
from atomhttp._model.cookie_rules import accept_cookie, canonical_domain, is_address
from atomhttp._model.cookie_store import CookieStore, Entry, by_order, by_set_order
from atomhttp._model.public_suffix import is_public_suffix
from atomhttp._model.url import Target, parse_url
from atomhttp.errors import AtomHTTPOptionError

__all__ = ["Cookie", "CookieJar", "merge_cookie_header"]

# Apache takes header lines of 8,190 bytes, nginx of 8 KiB; beyond that the whole site answers 400.
MAX_FIELD: Final = 8190 - len("Cookie: ")

_T = TypeVar("_T")

_lock = threading.RLock()  # a signal handler or a finalizer may read too
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class CookieJar(Mapping[str, str]):
    """Cookies, kept and given out by the rules of RFC 6265bis. Safe to share between threads.

    To read, it is a mapping of names to values, each name once (of several cookies with a name, the one that was set
    last); `cookies` lists them all. An empty jar is false: ask `jar is None` for "no jar". A cookie that has expired
    is as good as gone. At most 50 cookies a domain and 3,000 in all are kept, those used last; none for longer than
    400 days. Everything but https counts as not secure, http to the own machine included.

    Args:
        cookies: names and values (`url` says whose they are), cookies, or another jar to copy.
        url: whose the names and values are: they go to its host only, to every path, and over https only when it is
            an https URL.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, a cookie that cannot be sent, or a mapping without `url`.
        AtomHTTPURLError: ERR_INVALID_URL.
    """

    # `stored`: the store's cookies by domain, where each call looks whether there are any, without a call (0.1 µs).
    __slots__ = ("__weakref__", "_store", "stored")

    def __init__(self, cookies: Mapping[str, str] | Iterable[Cookie] | None = None, *, url: str | None = None) -> None:
        self._store = CookieStore()
        is_mapping = isinstance(cookies, Mapping) and not isinstance(cookies, CookieJar)
        if is_mapping != (url is not None):
            raise AtomHTTPOptionError(
                "cookies: names and values need url= to say whose they are, and nothing else takes it",
                "ERR_BAD_OPTION_VALUE",
            )
        if isinstance(cookies, CookieJar):
            with _lock:
                self._store = cookies._store.copy()
        elif isinstance(cookies, Mapping):
            for name, value in cast("Mapping[str, str]", cookies).items():
                self.set(name, value, url=url)
        elif cookies is not None:
            self._adopt(list(cookies), time())
        self.stored: Mapping[str, object] = self._store.domains

    # Reading

    @property
    def is_empty(self) -> bool:
        """Whether nothing is stored, not even a cookie that has expired."""
        return not self._store.domains

    @property
    def version(self) -> int:
        """Grows whenever a cookie is set or removed; not when one expires."""
        return self._store.version

    def __getitem__(self, name: str) -> str:
        found = self._last_set(name, None, None)
        if found is None:
            raise KeyError(name)
        return found.value

    @overload
    def get(
        self, name: str, default: None = None, *, domain: str | None = None, path: str | None = None
    ) -> str | None: ...
    @overload
    def get(self, name: str, default: str, *, domain: str | None = None, path: str | None = None) -> str: ...
    @overload
    def get(self, name: str, default: _T, *, domain: str | None = None, path: str | None = None) -> str | _T: ...
    def get(self, name: str, default: Any = None, *, domain: str | None = None, path: str | None = None) -> Any:
        """The value of the cookie `name` that was set last, of exactly this domain and path where they are given."""
        found = self._last_set(name, domain, path)
        return default if found is None else found.value

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(cookie.name for cookie in self.cookies))

    def __len__(self) -> int:
        return len({entry.cookie.name for entry in self._living()})

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CookieJar):
            return set(self.cookies) == set(other.cookies)
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]  # mutable

    @property
    def cookies(self) -> list[Cookie]:
        """Every cookie, in the order in which they were first set."""
        return [entry.as_cookie() for entry in sorted(self._living(), key=by_order)]

    def __repr__(self) -> str:
        living = sorted(self._living(), key=by_order)
        shown = [f"{entry.cookie.name[:40]!r} of {entry.cookie.domain}" for entry in living[:10]]
        if len(living) > 10:
            shown.append("…")
        count = f"{len(living)} cookie{'' if len(living) == 1 else 's'}"
        return f"<CookieJar, {count}{': ' if shown else ''}{', '.join(shown)}>"

    def _living(self) -> list[Entry]:
        now = time()
        with _lock:
            entries = self._store.entries()
        return [entry for entry in entries if not entry.is_expired(now)]

    def _last_set(self, name: str, domain: str | None, path: str | None) -> Cookie | None:
        chosen = self._chosen(name, domain, path)
        return max(chosen, key=by_set_order).cookie if chosen else None

    def _chosen(self, name: str, domain: str | None, path: str | None) -> list[Entry]:
        domain = canonical_domain(domain) if domain is not None else None
        return [
            entry
            for entry in self._living()
            if entry.cookie.name == name and domain in (None, entry.cookie.domain) and path in (None, entry.cookie.path)
        ]

    # Changing

    def __setitem__(self, name: str, value: str) -> NoReturn:
        raise TypeError(f"whose is it? use set({name!r}, value, url=…), or domain=…")

    def __delitem__(self, name: str) -> None:
        """Removes every cookie with that name."""
        if not self.delete(name):
            raise KeyError(name)

    def update(self, *arguments: object, **cookies: object) -> NoReturn:
        """Not here: a cookie belongs to somebody, and names and values do not say to whom."""
        raise TypeError("whose are they? use set(name, value, url=…) for each, or the option cookies={…}")

    def set(  # noqa: PLR0913  # a cookie has that many attributes
        self,
        name: str,
        value: str,
        *,
        url: str | None = None,
        domain: str | None = None,
        path: str = "/",
        expires: float | datetime | timedelta | None = None,
        secure: bool | None = None,
        http_only: bool = False,
        same_site: SameSite | None = None,
    ) -> None:
        """Sets a cookie of the caller's own.

        Args:
            name, value: what RFC 6265bis section 4.1.1 lets a program send: visible ASCII characters other than
                `"`, `,`, `;`, `\\` and, in a name, `=`; a value may stand in double quotes. Nothing is encoded.
            url: it goes to the host of this URL only; or
            domain: it goes to this domain and those below. To an address, and to a name without dots, only to itself.
            path: the path it goes to, with those below.
            expires: seconds since the epoch, a datetime with a timezone, or a timedelta from now; at most 400 days
                from now. None: with the session. A time that has passed removes the cookie.
            secure: only over https; by default where `url` is an https URL.
            http_only, same_site: kept, without a meaning for a client.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE; a domain that is a public suffix (`co.uk`) is refused too.
            AtomHTTPURLError: ERR_INVALID_URL.
        """
        check_pair(name, value)
        if (url is None) == (domain is None):
            raise AtomHTTPOptionError(
                f"cookies: {name[:80]!r} needs one of url and domain, to say whose it is", "ERR_BAD_OPTION_VALUE"
            )
        now = time()
        if domain is None:
            target = parse_url(str(url))
            host, host_only = target.host, True
            secure = target.scheme == "https" if secure is None else secure
        else:
            host, host_only = _domain_for(domain)
        check_same_site(same_site)
        cookie = Cookie(
            name=name,
            value=value,
            domain=host,
            path=check_path(path),
            expires=_expiry(expires, now),
            secure=check_flag("secure", False if secure is None else secure),
            http_only=check_flag("http_only", http_only),
            same_site=same_site,
            host_only=host_only,
            created=now,
            last_used=now,
        )
        with _lock:
            self._store.put(cookie, now)

    def delete(self, name: str, *, domain: str | None = None, path: str | None = None) -> int:
        """Removes the cookies with a name, of exactly this domain and path where they are given; how many there were.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, `domain` is none.
        """
        with _lock:
            chosen = self._chosen(name, domain, path)
            for entry in chosen:
                self._store.remove(entry)
        return len(chosen)

    def clear(self, domain: str | None = None) -> None:
        """Removes every cookie, or every cookie of exactly this domain.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, `domain` is none.
        """
        domain = canonical_domain(domain) if domain is not None else None
        with _lock:
            for entry in self._store.entries():
                if domain in (None, entry.cookie.domain):
                    self._store.remove(entry)

    # Responses and requests

    def store(self, target: Target, fields: Iterable[str], now: float | None = None) -> None:
        """Keeps what a response from `target` sets. What it may not set is ignored, as user agents do.

        Args:
            fields: the values of its Set-Cookie fields, in order.
            now: seconds since the epoch; by default the clock's.
        """
        now = time() if now is None else now
        for field in (fields,) if isinstance(fields, str) else fields:
            parsed = parse_set_cookie(field)
            cookie = accept_cookie(parsed, target, now) if parsed is not None else None
            if cookie is None:
                continue
            with _lock:
                if target.scheme == "https" or not self._store.overlays_secure(cookie, now):
                    self._store.put(cookie, now)

    def matching(self, target: Target, now: float | None = None) -> list[Cookie]:
        """The cookies for a request to `target`, in the order in which they are sent; they count as used."""
        if not self._store.domains:
            return []
        with _lock:
            return [entry.as_cookie() for entry in self._store.matching(target, time() if now is None else now)]

    def header_for(self, target: Target, now: float | None = None) -> str:
        """The value of the Cookie field for a request to `target`; "" when there is none.

        Longer paths first, then older cookies. What would make the field longer than servers take (8 KiB) is left out.
        """
        if not self._store.domains:
            return ""
        with _lock:
            found = self._store.matching(target, time() if now is None else now)
        return _joined([entry.pair for entry in found], MAX_FIELD)

    # Files

    def save(self, path: str | os.PathLike[str], format: FileFormat = "json", *, include_session: bool = True) -> None:
        """Writes the cookies to a file, with mode 0600, and as a whole or not at all. Blocks while the disk does.

        Args:
            path: of the file. A symbolic link there is replaced, not followed.
            format: "json" keeps everything. "netscape" is the format of curl, wget and yt-dlp; it has no place for
                `same_site` and the times of use, and leaves out cookies with a tab in their name.
            include_session: also those that end with the session, as curl does: most logins are such.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, an unknown format, or `path` is something else than a file.
            OSError: the file cannot be written; what was there is untouched.
        """
        entries = [entry for entry in self._living() if include_session or entry.cookie.expires is not None]
        write_cookies([entry.as_cookie() for entry in sorted(entries, key=by_order)], path, format)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Adds the cookies of a file that `save`, curl, wget or a browser's export wrote; the format is recognised.

        They replace those here of the same name, domain and path. Cookies that have expired are left out, and those of
        a whole public suffix (`co.uk`) become cookies of that host alone. When the file is malformed, nothing is
        added. Blocks while the disk does.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, naming the file and the line or the cookie, not its value.
            OSError: the file cannot be read.
        """
        now = time()
        self._adopt(read_cookies(path, now), now)

    # Copying

    def copy(self) -> CookieJar:
        """A jar of its own with the same cookies."""
        with _lock:
            return _rebuilt(type(self), self._store.copy())

    def __copy__(self) -> CookieJar:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> CookieJar:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        with _lock:
            return (_rebuilt, (type(self), self._store.copy()))

    # What no response brought

    def _adopt(self, cookies: list[Cookie], now: float) -> None:
        for cookie in cookies:
            if not isinstance(cookie, Cookie):
                raise AtomHTTPOptionError(
                    f"cookies: expected a mapping of names to values, or Cookie objects, got {type(cookie).__name__}",
                    "ERR_BAD_OPTION_VALUE",
                )
        kept = [_within_the_rules(cookie, now) for cookie in cookies]
        with _lock:
            for cookie in kept:
                self._store.put(cookie, now)


def merge_cookie_header(header: str, extra: Mapping[str, str]) -> str:
    """The value of the Cookie field that sends a jar's cookies and a call's own, which replace those of their names.

    Args:
        header: what `CookieJar.header_for` gave.
        extra: names and values. They are sent however many they are; what then goes beyond 8 KiB is left out of
            `header`.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, as for `CookieJar.set`.
    """
    for name, value in extra.items():
        check_pair(name, value)
    own = "; ".join(f"{name}={value}" for name, value in extra.items())
    kept = [pair for pair in header.split("; ") if "=" not in pair or pair.partition("=")[0] not in extra]
    others = _joined(kept, MAX_FIELD - len(own) - 2) if header else ""
    return "; ".join(part for part in (others, own) if part)


def _joined(pairs: list[str], room: int) -> str:
    """As many of `pairs` as fit into `room` bytes, the first ones first."""
    value = "; ".join(pairs)
    if octets(value) <= room:
        return value
    kept: list[str] = []
    for pair in pairs:
        size = octets(pair)
        if size <= room:
            kept.append(pair)
            room -= size + 2
    return "; ".join(kept)


def _within_the_rules(cookie: Cookie, now: float) -> Cookie:
    """`cookie` with the reach and the lifetime that it may have."""
    if not cookie.host_only and (is_address(cookie.domain) or is_public_suffix(cookie.domain)):
        cookie = replace(cookie, host_only=True)
    if cookie.expires is not None and cookie.expires > now + MAX_LIFETIME:
        cookie = replace(cookie, expires=now + MAX_LIFETIME)
    return cookie


def _domain_for(domain: str) -> tuple[str, bool]:
    """(domain, host_only) for a domain that the caller named."""
    host = canonical_domain(domain)
    if is_address(host) or "." not in host:
        return host, True
    if is_public_suffix(host):
        raise bad_value("domain", domain, "a domain of somebody's own (this is a public suffix; url= sets for a host)")
    return host, False


def _expiry(expires: float | datetime | timedelta | None, now: float) -> float | None:
    if expires is None:
        return None
    if isinstance(expires, timedelta):
        expires = now + expires.total_seconds()
    elif isinstance(expires, datetime) and expires.tzinfo is not None:
        expires = expires.timestamp()
    elif isinstance(expires, datetime) or not is_time(expires):
        raise bad_value("expires", expires, "seconds since the epoch, a datetime with a timezone, or a timedelta")
    return min(expires, now + MAX_LIFETIME)


def _rebuilt(cls: type[CookieJar], store: CookieStore) -> CookieJar:
    jar = cls.__new__(cls)
    jar._store = store
    jar.stored = store.domains
    return jar
