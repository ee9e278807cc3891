"""Where the cookies of a jar stand: found by domain, few enough, and taken out when there are too many.

Cookies stand in one dict a domain, so a request looks at those of its host and of the domains above it only, and a
response that sets thousands costs as much for each as one that sets two. No method waits, locks or runs code of the
caller's: the jar around it has the lock. Nothing that reads removes anything, so a signal handler or a finalizer may
read in the middle of a change. What has expired is passed over, and is the first to go when there are too many.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from typing import Any, Final

from atomhttp._model.cookie import Cookie
from atomhttp._model.cookie_rules import domain_matches, domains_of, path_matches
from atomhttp._model.url import Target

# Section 6.1's figures.
MAX_PER_DOMAIN: Final = 50
MAX_COOKIES: Final = 3000
# What a full store keeps: room is made for many at once, since finding the least used means looking at all.
_KEPT_WHEN_FULL: Final = MAX_COOKIES - MAX_COOKIES // 10

_Key = tuple[str, str, bool]


class Entry:
    """A stored cookie, with what changes about it.

    Attributes:
        created, used: seconds since the epoch.
        order: of creation; tells apart what was created at the same time.
        set_order: of the last time it was set.
        key: what makes it the same cookie as another of its domain (section 5.7 step 23).
        pair: what is sent.
    """

    __slots__ = ("cookie", "created", "key", "order", "pair", "set_order", "used")

    def __init__(self, cookie: Cookie, order: int) -> None:
        self.cookie = cookie
        self.created = cookie.created
        self.used = cookie.last_used
        self.order = self.set_order = order
        self.key = (cookie.name, cookie.path, cookie.host_only)
        self.pair = f"{cookie.name}={cookie.value}" if cookie.name else cookie.value

    def is_expired(self, now: float) -> bool:
        return self.cookie.expires is not None and self.cookie.expires <= now

    def as_cookie(self) -> Cookie:
        """The cookie with its times as they are now."""
        if self.created == self.cookie.created and self.used == self.cookie.last_used:
            return self.cookie
        return replace(self.cookie, created=self.created, last_used=self.used)


class CookieStore:
    """At most 50 cookies a domain and 3,000 in all.

    Attributes:
        domains: by domain; empty when there is no cookie.
        count: how many there are, expired ones among them.
        version: grows with every change.
    """

    __slots__ = ("_orders", "_secure", "count", "domains", "version")

    def __init__(self) -> None:
        self.domains: dict[str, dict[_Key, Entry]] = {}
        # Secure cookies by name: those that a response over http must not overlay.
        self._secure: dict[str, dict[tuple[str, _Key], Entry]] = {}
        self._orders = 0
        self.count = 0
        self.version = 0

    def entries(self) -> list[Entry]:
        return [entry for bucket in self.domains.values() for entry in bucket.values()]

    def matching(self, target: Target, now: float) -> list[Entry]:
        """What belongs to a request to `target`, in the order in which it is sent; all of it counts as used."""
        path = target.path.partition("?")[0]
        is_secure = target.scheme == "https"
        found: list[Entry] = []
        host = target.host
        for domain in domains_of(host):
            for entry in self.domains.get(domain, {}).values():
                cookie = entry.cookie
                if (
                    (cookie.expires is None or cookie.expires > now)
                    and (is_secure or not cookie.secure)
                    and (domain == host or not cookie.host_only)
                    and path_matches(path, cookie.path)
                ):
                    entry.used = now
                    found.append(entry)
        if len(found) > 1:
            found.sort(key=_by_send_order)
        return found

    def put(self, cookie: Cookie, now: float) -> None:
        """Stores `cookie` in the place of the one it replaces, whose age it inherits (section 5.7 steps 23 and 24)."""
        self._orders += 1
        entry = Entry(cookie, self._orders)
        old = self.domains.get(cookie.domain, {}).get(entry.key)
        if old is not None:
            entry.created, entry.order = old.created, old.order
            self.remove(old)
        if entry.is_expired(now):
            return
        bucket = self._add(entry)
        if len(bucket) > MAX_PER_DOMAIN:
            self.remove(min(bucket.values(), key=lambda entry: (not entry.is_expired(now), *_by_worth(entry))))
        if self.count > MAX_COOKIES:
            self._make_room(now)

    def remove(self, entry: Entry) -> None:
        cookie = entry.cookie
        bucket = self.domains[cookie.domain]
        del bucket[entry.key]
        if not bucket:
            del self.domains[cookie.domain]
        if cookie.secure:
            same_name = self._secure[cookie.name]
            del same_name[cookie.domain, entry.key]
            if not same_name:
                del self._secure[cookie.name]
        self.count -= 1
        self.version += 1

    def overlays_secure(self, cookie: Cookie, now: float) -> bool:
        """Whether `cookie`, which came over http, would shadow one that came over https (section 5.7 step 16)."""
        return any(
            path_matches(cookie.path, other.path)
            and not entry.is_expired(now)
            and (domain_matches(other.domain, cookie.domain) or domain_matches(cookie.domain, other.domain))
            for entry in self._secure.get(cookie.name, {}).values()
            for other in (entry.cookie,)
        )

    def copy(self) -> CookieStore:
        return _rebuilt(*self._state())

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuilt, self._state())

    def _state(self) -> tuple[int, int, list[tuple[Cookie, int, int]]]:
        plain = [(entry.as_cookie(), entry.order, entry.set_order) for entry in self.entries()]
        return self.version, self._orders, plain

    def _add(self, entry: Entry) -> dict[_Key, Entry]:
        cookie = entry.cookie
        bucket = self.domains.setdefault(cookie.domain, {})
        bucket[entry.key] = entry
        if cookie.secure:
            self._secure.setdefault(cookie.name, {})[cookie.domain, entry.key] = entry
        self.count += 1
        self.version += 1
        return bucket

    def _make_room(self, now: float) -> None:
        for entry in heapq.nsmallest(
            self.count - _KEPT_WHEN_FULL,
            self.entries(),
            key=lambda entry: (not entry.is_expired(now), entry.used, entry.set_order),
        ):
            self.remove(entry)


def by_order(entry: Entry) -> int:
    return entry.order


def by_set_order(entry: Entry) -> int:
    return entry.set_order


def _by_send_order(entry: Entry) -> tuple[int, float, int]:
    """Section 5.8.3: longer paths first, then what was created earlier."""
    return (-len(entry.cookie.path), entry.created, entry.order)


def _by_worth(entry: Entry) -> tuple[bool, float, int]:
    """What a domain with too many cookies loses first (section 5.7): those not secure, then those used longest ago."""
    return (entry.cookie.secure, entry.used, entry.set_order)


def _rebuilt(version: int, orders: int, plain: list[tuple[Cookie, int, int]]) -> CookieStore:
    store = CookieStore()
    for cookie, order, set_order in plain:
        entry = Entry(cookie, order)
        entry.set_order = set_order
        store._add(entry)
    store._orders, store.version = orders, version
    return store
