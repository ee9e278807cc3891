"""What is added to a request, and kept of a response: `Cookies` and its parts, without a client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atomhttp import AdapterResponse, CookieJar, Headers, Request, Response
from atomhttp._model.config import Defaults
from atomhttp._model.url import parse_url
from atomhttp._pipeline.cookies import XSRF, CookieCarrier, Cookies, Home, find_token, place
from atomhttp._pipeline.plan import Plan
from atomhttp._pipeline.response_state import received

HOME, AWAY = "http://home.test/a", "http://away.test/a"
HERE, THERE = place(parse_url(HOME)), place(parse_url(AWAY))
TOKEN = XSRF("XSRF-TOKEN", "X-XSRF-TOKEN", HERE)


def request_to(url: str = HOME, **options: Any) -> Request:
    plan = Plan(Defaults({}))
    return plan.build_request(plan.build_config("GET", url, None, options), None, 0.0)


def jar_of(url: str = HOME, **cookies: str) -> CookieJar:
    return CookieJar(cookies, url=url)


def added(cookies: Cookies, request: Request) -> dict[str, str]:
    fields = cookies.add_to(request).outline.block.fields
    assert fields[: len(request.outline.block.fields)] == request.outline.block.fields
    return dict(fields[len(request.outline.block.fields) :])


def answer(*cookies: str, status: int = 200) -> AdapterResponse:
    return AdapterResponse(status, Headers([("Set-Cookie", each) for each in cookies]))


# Adding


def test_a_request_that_nothing_belongs_to_stays_as_it_is() -> None:
    request = request_to()
    for cookies in (Cookies(None), Cookies(CookieJar()), Cookies(jar_of(AWAY, a="1")), Cookies(None, given={})):
        assert cookies.add_to(request) is request


def test_a_request_with_cookies_is_another_and_the_same_in_everything_else() -> None:
    request = request_to(headers={"X-A": "1"})
    request.fresh, request.deadline = True, 7.0
    changed = Cookies(jar_of(a="1")).add_to(request)
    assert changed is not request
    assert changed.headers["Cookie"] == "a=1"
    assert (changed.fresh, changed.deadline, changed.config) == (True, 7.0, request.config)
    assert changed.outline.route is request.outline.route
    assert "cookie" not in request.headers


def test_what_was_worked_out_is_used_again_while_it_holds() -> None:
    request, jar = request_to(), jar_of(a="1")
    cookies = Cookies(jar)
    first = cookies.add_to(request).outline
    assert cookies.add_to(request).outline is first
    jar.set("a", "2", url=HOME)
    second = cookies.add_to(request).outline
    assert second is not first
    assert second.block.fields[-1] == ("Cookie", "a=2")
    assert cookies.add_to(request).outline is second
    jar.clear()
    assert cookies.add_to(request) is request


def test_a_derived_request_does_not_inherit_what_was_added_to_another() -> None:
    request = request_to()
    cookies = Cookies(jar_of(a="1"))
    cookies.add_to(request)
    elsewhere = request.outline.derive(request.outline.block, target=parse_url(AWAY))
    assert cookies.add_to(request.derive(elsewhere, 0.0)).outline is elsewhere


def test_the_calls_own_are_laid_over_the_jars() -> None:
    cookies = Cookies(jar_of(a="1", b="2"), given={"a": "mine"}, place=HERE)
    assert added(cookies, request_to()) == {"Cookie": "b=2; a=mine"}


def test_a_field_of_the_callers_goes_alone() -> None:
    cookies = Cookies(jar_of(a="1"), given={"b": "2"}, place=HERE)
    assert added(cookies, request_to(headers={"cOOKIE": "x"})) == {}


def test_locked_fields_are_not_added() -> None:
    cookies = Cookies(jar_of(**{"XSRF-TOKEN": "t"}), xsrf=TOKEN)
    assert added(cookies, request_to()) == {"Cookie": "XSRF-TOKEN=t", "X-XSRF-TOKEN": "t"}
    assert added(cookies._replace(locked=frozenset({"x-xsrf-token"})), request_to()) == {"Cookie": "XSRF-TOKEN=t"}
    assert added(cookies._replace(locked=frozenset({"cookie"})), request_to()) == {}


def test_a_clients_mapping_keeps_to_its_origin_where_a_cookie_would_not() -> None:
    jar = jar_of(own="1", other="2")
    cookies = Cookies(jar, home=Home(HERE, frozenset({"own=1"})))
    port = HOME.replace("home.test", "home.test:81")
    assert added(cookies, request_to()) == {"Cookie": "own=1; other=2"}
    assert added(cookies, request_to(port)) == {"Cookie": "other=2"}
    jar.set("own", "from the server".replace(" ", "-"), url=HOME)
    assert added(cookies, request_to(port)) == {"Cookie": "own=from-the-server; other=2"}


def test_the_token_is_that_of_the_cookie_that_is_sent() -> None:
    cookies = Cookies(jar_of(**{"XSRF-TOKEN": "jar"}), given={"XSRF-TOKEN": "call"}, place=HERE, xsrf=TOKEN)
    assert added(cookies, request_to())["X-XSRF-TOKEN"] == "call"
    assert added(cookies, request_to(headers={"Cookie": "XSRF-TOKEN=field"})) == {"X-XSRF-TOKEN": "field"}
    assert "X-XSRF-TOKEN" not in added(cookies, request_to(headers={"x-xsrf-token": "mine"}))


@pytest.mark.parametrize(
    ("field", "token"),
    [
        ("t=1", "1"),
        ("a=0; t=1; t=2", "1"),
        ("a=0;t=1;b=2", "1"),
        ("T=1", ""),
        ("at=1; t", ""),
        ("t=", ""),
        ("", ""),
        ("t=a=b", "a=b"),
        ("t=a%3D%2F", "a=/"),
        ("t=%", "%"),
        ("t=%0d%0a", "%0d%0a"),
        ("t=%41%0a", "%41%0a"),
        ("t=%20", "%20"),
        ("t=%c3%a9", "%c3%a9"),
    ],
)
def test_find_token(field: str, token: str) -> None:
    assert find_token(field, "t") == token


# Places


@pytest.mark.parametrize(
    ("url", "is_home"),
    [
        ("http://home.test", True),
        ("HTTP://Home.Test:80/b?c#d", True),
        ("http://user:secret@home.test/", True),
        ("https://home.test/", False),
        ("http://home.test:8080/", False),
        ("http://home.test./", False),
        ("http://www.home.test/", False),
        ("http://home.test.evil.test/", False),
        ("http+unix://%2Frun%2Fa/", False),
    ],
)
def test_narrowed_leaves_what_is_for_another_place(url: str, is_home: bool) -> None:
    cookies = Cookies(jar_of(a="1"), given={"b": "2"}, place=HERE, xsrf=TOKEN)
    narrowed = cookies.narrowed(parse_url(url))
    assert (narrowed is cookies) == is_home
    assert (narrowed.given, narrowed.xsrf) == (({"b": "2"}, TOKEN) if is_home else (None, None))
    assert narrowed.jar is cookies.jar


def test_sockets_are_places_of_their_own() -> None:
    places = {place(parse_url(url)) for url in ("http+unix://%2Fa/", "http+unix://%2Fb/", "http://localhost/")}
    assert len(places) == 3


# Keeping


def test_keep_stores_what_the_target_may_set() -> None:
    jar = CookieJar()
    cookies = Cookies(jar)
    cookies.keep(answer("a=1", "b=2; Domain=away.test"), parse_url(HOME))
    assert [(cookie.name, cookie.domain) for cookie in jar.cookies] == [("a", "home.test")]
    Cookies(None).keep(answer("c=3"), parse_url(HOME))
    cookies.keep(answer(), parse_url(HOME))
    assert jar == {"a": "1"}


# From hop to hop


def carry(cookies: Cookies, *urls: str) -> list[dict[str, str]]:
    """What is added to requests to `urls`, one after the other, of one call."""
    seen = []

    async def send(request: Request) -> Response[Any]:
        seen.append(dict(request.outline.block.fields))
        raw = answer(f"n={len(seen)}")
        # As the exchange does, which is what the carrier sends by.
        cookies.keep(raw, request.target)
        return received(Response, raw, raw.status, request, b"")

    async def run() -> None:
        carrier = CookieCarrier(cookies, send)
        for url in urls:
            await carrier.send(request_to(url))

    asyncio.run(run())
    return seen


def test_each_hop_brings_cookies_for_the_next() -> None:
    jar = CookieJar()
    assert carry(Cookies(jar), HOME, HOME, AWAY, HOME) == [{}, {"Cookie": "n=1"}, {}, {"Cookie": "n=2"}]
    assert {(cookie.domain, cookie.value) for cookie in jar.cookies} == {("home.test", "4"), ("away.test", "3")}


def test_what_is_the_calls_own_does_not_come_back() -> None:
    own = Cookies(None, given={"XSRF-TOKEN": "t"}, place=HERE, xsrf=TOKEN)
    both = {"Cookie": "XSRF-TOKEN=t", "X-XSRF-TOKEN": "t"}
    assert carry(own, HOME, HOME, AWAY, HOME) == [both, both, {}, {}]
    assert carry(own, AWAY, HOME) == [{}, {}]
    assert carry(own._replace(place=THERE), AWAY, HOME) == [{"Cookie": "XSRF-TOKEN=t"}, {}]


def test_nothing_shows_a_value() -> None:
    cookies = Cookies(jar_of(a="c4n4ry"), given={"b": "c4n4ry"}, place=HERE, home=Home(HERE, frozenset({"a=c4n4ry"})))
    for shown in (repr(cookies), str(cookies), f"{cookies}"):
        assert "c4n4ry" not in shown
        assert "home.test" in shown
    assert "c4n4ry" not in repr(cookies.home)
