from __future__ import annotations

import pickle

import pytest

from atomhttp._model.cookie import Cookie
from atomhttp._model.cookie_store import MAX_COOKIES, MAX_PER_DOMAIN, CookieStore
from atomhttp._model.url import parse_url


def cookie(name: str, domain: str = "example.com", **attributes: object) -> Cookie:
    return Cookie(**{"name": name, "value": "v", "domain": domain, "created": 0.0, "last_used": 0.0} | attributes)  # type: ignore[arg-type]  # of every type


def names(store: CookieStore) -> list[str]:
    return sorted(entry.cookie.name for entry in store.entries())


def sent(store: CookieStore, url: str, now: float = 1.0) -> list[str]:
    return [entry.pair for entry in store.matching(parse_url(url), now)]


def test_a_cookie_replaces_the_same_one_and_inherits_its_age() -> None:
    store = CookieStore()
    store.put(cookie("a", created=1.0), 1.0)
    store.put(cookie("b", created=2.0), 2.0)
    store.put(cookie("a", value="w", created=3.0), 3.0)
    assert sent(store, "https://example.com/") == ["a=w", "b=v"]
    assert [entry.as_cookie().created for entry in store.matching(parse_url("https://example.com"), 4.0)] == [1.0, 2.0]


@pytest.mark.parametrize("other", [{"path": "/x"}, {"host_only": False}, {"domain": "www.example.com"}, {"name": "A"}])
def test_what_makes_another_cookie(other: dict[str, object]) -> None:
    store = CookieStore()
    store.put(cookie("a"), 1.0)
    store.put(cookie(**{"name": "a"} | other), 1.0)  # type: ignore[arg-type]  # as above
    assert store.count == 2
    # And what does not.
    store.put(cookie("a", secure=True, http_only=True, same_site="Lax", value="w"), 1.0)
    assert store.count == 2


def test_the_order_of_sending() -> None:
    store = CookieStore()
    for name, path, created in (
        ("a", "/", 3.0),
        ("b", "/x/y", 9.0),
        ("c", "/x", 1.0),
        ("d", "/", 2.0),
        ("e", "/x", 1.0),
    ):
        store.put(cookie(name, path=path, created=created), 1.0)
    store.put(cookie("f", "com", host_only=False, path="/x", created=1.0), 1.0)
    assert sent(store, "https://example.com/x/y/z") == ["b=v", "c=v", "e=v", "f=v", "d=v", "a=v"]


def test_an_expired_cookie_removes_what_it_replaces_and_is_not_kept() -> None:
    store = CookieStore()
    store.put(cookie("a"), 1.0)
    version = store.version
    store.put(cookie("b", expires=5.0), 5.0)
    assert (names(store), store.version) == (["a"], version)
    store.put(cookie("a", expires=4.0), 5.0)
    assert (names(store), store.count) == ([], 0)
    assert store.version > version


def test_what_has_expired_is_passed_over() -> None:
    store = CookieStore()
    store.put(cookie("a", expires=5.0), 1.0)
    version = store.version
    assert sent(store, "https://example.com", 4.999) == ["a=v"]
    assert sent(store, "https://example.com", 5.0) == []
    # Reading changes nothing.
    assert (store.count, store.version) == (1, version)


class TestLimits:
    """Section 5.7: expired ones go first, then in a crowded domain those not secure, always the longest unused."""

    def fill(self, store: CookieStore, **attributes: object) -> None:
        for number in range(MAX_PER_DOMAIN):
            store.put(cookie(f"n{number:02}", last_used=float(number), **attributes), 1.0)

    def test_a_domain_keeps_fifty(self) -> None:
        store = CookieStore()
        self.fill(store)
        store.put(cookie("new", last_used=100.0), 1.0)
        assert store.count == MAX_PER_DOMAIN
        assert "n00" not in names(store)
        assert "new" in names(store)
        store.put(cookie("elsewhere", "example.org"), 1.0)
        assert store.count == MAX_PER_DOMAIN + 1

    def test_replacing_costs_nobody_a_place(self) -> None:
        store = CookieStore()
        self.fill(store)
        store.put(cookie("n07", value="w"), 1.0)
        assert len(names(store)) == MAX_PER_DOMAIN

    def test_sending_is_using(self) -> None:
        store = CookieStore()
        self.fill(store)
        store.put(cookie("n00", path="/used", last_used=0.0), 1.0)
        assert "n01" in names(store)
        # The only ones that this request takes.
        for entry in store.entries():
            if entry.cookie.name != "n00":
                store.remove(entry)
        assert sent(store, "https://example.com/used", 200.0) == ["n00=v"]
        for number in range(MAX_PER_DOMAIN):
            store.put(cookie(f"m{number:02}", last_used=100.0 + number), 200.0)
        assert "n00" in names(store)
        assert "m00" not in names(store)

    def test_host_only_and_domain_cookies_share_the_limit(self) -> None:
        store = CookieStore()
        self.fill(store)
        self.fill(store, host_only=False)
        assert store.count == MAX_PER_DOMAIN

    def test_secure_ones_stay_longer(self) -> None:
        store = CookieStore()
        store.put(cookie("plain", last_used=1000.0), 1.0)
        self.fill(store, secure=True)
        assert "plain" not in names(store)
        store.put(cookie("flood", last_used=2000.0), 1.0)
        assert "flood" not in names(store)
        store.put(cookie("mine", secure=True, last_used=2000.0), 1.0)
        assert "mine" in names(store)
        assert "n00" not in names(store)

    def test_expired_ones_go_first(self) -> None:
        store = CookieStore()
        store.put(cookie("expired", expires=5.0, secure=True, last_used=1000.0), 1.0)
        for number in range(MAX_PER_DOMAIN):
            store.put(cookie(f"n{number}"), 6.0)
        assert "expired" not in names(store)
        assert store.count == MAX_PER_DOMAIN

    def test_all_domains_together(self) -> None:
        store = CookieStore()
        for number in range(MAX_COOKIES):
            store.put(cookie(f"n{number:04}", f"h{number % 100}.example.com", last_used=float(number)), 1.0)
        assert store.count == MAX_COOKIES
        store.put(cookie("expired", "other.example.org", expires=7.0, last_used=9999.0), 1.0)
        left = names(store)
        # A tenth goes at once: the longest unused.
        assert len(left) == store.count == MAX_COOKIES - MAX_COOKIES // 10
        assert left == ["expired", *(f"n{number:04}" for number in range(301, MAX_COOKIES))]

    def test_what_has_expired_makes_room_for_all(self) -> None:
        store = CookieStore()
        for number in range(MAX_COOKIES):
            last = number >= MAX_COOKIES - 301
            expires = 5.0 if last else None
            store.put(
                cookie(f"n{number:04}", f"h{number % 100}.example.com", last_used=float(number), expires=expires), 1.0
            )
        store.put(cookie("new", "other.example.org", last_used=9999.0), 6.0)
        assert names(store) == [*(f"n{number:04}" for number in range(MAX_COOKIES - 301)), "new"]


class TestOverlay:
    def store(self) -> CookieStore:
        store = CookieStore()
        store.put(cookie("sid", "login.example.com", secure=True, path="/account", expires=50.0), 1.0)
        return store

    @pytest.mark.parametrize(
        "plain",
        [
            {"domain": "login.example.com"},
            {"domain": "example.com", "host_only": False},
            {"domain": "x.login.example.com"},
            {"path": "/account/x"},
            {"path": "/account/"},
        ],
    )
    def test_what_would_shadow_a_secure_cookie(self, plain: dict[str, object]) -> None:
        new = cookie(**{"name": "sid", "domain": "login.example.com", "path": "/account"} | plain)  # type: ignore[arg-type]  # as above
        assert self.store().overlays_secure(new, 2.0)
        assert not self.store().overlays_secure(new, 50.0)

    @pytest.mark.parametrize(
        "plain",
        [
            {"name": "SID"},
            {"path": "/"},
            {"path": "/accounts"},
            {"domain": "other.example.com"},
            {"domain": "in.example.com"},
        ],
    )
    def test_what_would_not(self, plain: dict[str, object]) -> None:
        new = cookie(**{"name": "sid", "domain": "login.example.com", "path": "/account"} | plain)  # type: ignore[arg-type]  # as above
        assert not self.store().overlays_secure(new, 2.0)

    def test_one_that_is_gone_protects_nothing(self) -> None:
        store = self.store()
        for entry in store.entries():
            store.remove(entry)
        assert not store.overlays_secure(cookie("sid", "login.example.com", path="/account"), 2.0)


@pytest.mark.parametrize("twin", [CookieStore.copy, lambda store: pickle.loads(pickle.dumps(store))])
def test_copies_are_alike_and_apart(twin: object) -> None:
    store = CookieStore()
    for number in range(5):
        store.put(cookie(f"n{number}", secure=True), 1.0)
    store.put(cookie("n2", value="again"), 2.0)
    store.matching(parse_url("https://example.com"), 7.0)
    again: CookieStore = twin(store)  # type: ignore[operator]  # either function
    assert (again.count, again.version) == (store.count, store.version)
    assert sent(again, "https://example.com") == sent(store, "https://example.com")
    by_set = [max(one.entries(), key=lambda entry: entry.set_order).cookie.name for one in (store, again)]
    assert by_set == ["n2", "n2"]
    again.put(cookie("more"), 1.0)
    assert max(again.entries(), key=lambda entry: entry.set_order).cookie.name == "more"
    assert again.overlays_secure(cookie("n0"), 1.0)
    assert store.count == 5
