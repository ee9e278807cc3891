from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar as StandardJar
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._model.cookie import Cookie
from atomhttp._model.cookies import MAX_FIELD, CookieJar, merge_cookie_header
from atomhttp._model.url import Target, parse_url
from atomhttp.errors import AtomHTTPOptionError, AtomHTTPURLError
from support.naming import described

SECRET = "sEcReT-canary"
NOW = 1_000_000_000.0
DAYS_400 = 400 * 86400.0


def jar_of(*fields: str, url: str = "https://www.example.com/", now: float | None = None) -> CookieJar:
    jar = CookieJar()
    jar.store(parse_url(url), fields, now)
    return jar


def header(jar: CookieJar, url: str, now: float | None = None) -> str:
    return jar.header_for(parse_url(url), now)


# What goes where


@pytest.mark.parametrize(
    ("field", "url", "expected"),
    [
        *(("a=b", "https://www.example.com/x?y", "a=b"), ("a=b", "http://www.example.com:8080/", "a=b")),
        *(
            ("a=b", "https://example.com/", ""),
            ("a=b", "https://x.www.example.com/", ""),
            ("a", "https://www.example.com", "a"),
        ),
        *(
            ("a=b; Domain=example.com", "https://other.example.com/", "a=b"),
            ("a=b; Domain=example.com", "https://example.com/", "a=b"),
        ),
        *(
            ("a=b; Domain=example.com", "https://badexample.com/", ""),
            ("a=b; Domain=example.com", "https://example.com./", ""),
        ),
        *(("a=b; Secure", "https://www.example.com:444/", "a=b"), ("a=b; Secure", "http://www.example.com/", "")),
        *(
            ("a=b; Path=/x", "https://www.example.com/x", "a=b"),
            ("a=b; Path=/x", "https://www.example.com/x/y?z", "a=b"),
        ),
        *(("a=b; Path=/x", "https://www.example.com/xy", ""), ("a=b; Path=/x", "https://www.example.com/?/x", "")),
        *(("a=b; Path=/x", "https://www.example.com/x?/../", "a=b"), ("a=b; Path=/X", "https://www.example.com/x", "")),
        *(
            ("a=b; HttpOnly; SameSite=Strict", "http://www.example.com/", "a=b"),
            ("a=b", "https://WWW.example.com/", "a=b"),
        ),
        # Byte for byte.
        *(('a="b, c"', "https://www.example.com/", 'a="b, c"'), ("é=ü", "https://www.example.com/", "é=ü")),
        *(("a=%0d%0a%3B", "https://www.example.com/", "a=%0d%0a%3B"), ("=b=c", "https://www.example.com/", "b=c")),
    ],
)
def test_where_a_cookie_goes(field: str, url: str, expected: str) -> None:
    assert header(jar_of(field), url) == expected


def test_addresses() -> None:
    jar = jar_of("a=b; Domain=127.0.0.1", url="http://127.0.0.1:8000/")
    jar.store(parse_url("http://[::1]/"), ["c=d"])
    assert header(jar, "http://127.0.0.1:9/") == "a=b"
    assert header(jar, "http://[0:0::1]/") == "c=d"
    assert header(jar, "http://0.127.0.0.1.example/") == ""


def test_http_to_the_own_machine_is_not_secure() -> None:
    for url in ("http://localhost/", "http://127.0.0.1/", "http://[::1]/"):
        jar = jar_of("a=b; Secure", "c=d", url=url)
        assert list(jar) == ["c"]


def test_lifetimes() -> None:
    jar = jar_of("a=1; Max-Age=10", "b=2; Expires=Sun, 09 Sep 2001 01:47:00 GMT", "c=3", now=NOW)
    assert header(jar, "https://www.example.com", NOW) == "a=1; b=2; c=3"
    assert header(jar, "https://www.example.com", NOW + 10) == "b=2; c=3"
    assert header(jar, "https://www.example.com", NOW + 20) == "c=3"
    assert header(jar, "https://www.example.com", NOW + 1e9) == "c=3"


def test_a_server_removes_its_cookies() -> None:
    jar = jar_of("a=1", "b=2", "c=3; Path=/x")
    jar.store(
        parse_url("https://www.example.com"),
        ["a=; Max-Age=0", "b=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "c=; Max-Age=-1"],
    )
    assert [(cookie.name, cookie.path) for cookie in jar.cookies] == [("c", "/x")]


def test_nothing_lives_longer_than_400_days() -> None:
    jar = jar_of("a=1; Expires=Fri, 31 Dec 9999 23:59:59 GMT", "b=2; Max-Age=99999999999", now=NOW)
    assert header(jar, "https://www.example.com", NOW + DAYS_400 - 1) == "a=1; b=2"
    assert header(jar, "https://www.example.com", NOW + DAYS_400) == ""


def test_http_leaves_secure_cookies_alone() -> None:
    jar = jar_of("sid=good; Secure", "free=1")
    http = parse_url("http://www.example.com/")
    evil = ["sid=evil", "sid=; Max-Age=0", "sid=evil; Domain=example.com", "sid=evil; Path=/x", "sid=evil; Secure"]
    for field in evil:
        jar.store(http, [field])
    assert header(jar, "https://www.example.com/x") == "sid=good; free=1"
    jar.store(parse_url("http://evil.example.com"), ["sid=evil; Domain=example.com"])
    assert header(jar, "https://www.example.com/x") == "sid=good; free=1"
    jar.store(http, ["free=2"])
    jar.store(parse_url("https://www.example.com"), ["sid=better; Secure"])
    assert header(jar, "https://www.example.com/x") == "sid=better; free=2"


def test_one_field_instead_of_a_list() -> None:
    jar = CookieJar()
    jar.store(parse_url("https://a.b"), "name=value")
    assert dict(jar) == {"name": "value"}


# How much


def test_too_much_for_a_field_is_left_out() -> None:
    jar = jar_of(*(f"n{number:02}={'x' * 996}" for number in range(20)), "small=1")
    sent = header(jar, "https://www.example.com")
    assert [pair.partition("=")[0] for pair in sent.split("; ")] == [*(f"n{number:02}" for number in range(8)), "small"]
    assert len(sent) <= MAX_FIELD
    # With its name and its line end, within what nginx and Apache take.
    assert len(f"Cookie: {sent}\r\n") <= 8192


def test_the_limit_counts_octets() -> None:
    jar = jar_of(*(f"n{number}={'é' * 2000}" for number in range(4)))
    assert len(header(jar, "https://www.example.com").encode()) == 2 * 4003 + 2


def test_longer_paths_come_first_when_there_is_too_much() -> None:
    jar = jar_of(*(f"n{number}={'x' * 4000}" for number in range(3)), f"deep={'x' * 4000}; Path=/a")
    assert [pair[:4] for pair in header(jar, "https://www.example.com/a").split("; ")] == ["deep", "n0=x"]


@pytest.mark.parametrize("size", [8182, 8183])
def test_the_limit_itself(size: int) -> None:
    jar = jar_of(f"a={'x' * 4000}", f"b={'x' * 4000}", f"c={'x' * (size - 8010)}")
    assert len(header(jar, "https://www.example.com")) == (size if size <= MAX_FIELD else 8006)


def test_a_flood_leaves_fifty() -> None:
    jar = jar_of("before=1; Secure")
    jar.store(parse_url("https://www.example.com"), (f"n{number}=1" for number in range(10_000)))
    jar.store(parse_url("https://example.org"), ["other=1"])
    assert len(jar.cookies) == 51
    assert jar["before"] == "1"
    assert [cookie.name for cookie in jar.cookies if cookie.domain == "www.example.com"] == [
        *("before", *(f"n{number}" for number in range(9951, 10_000))),
    ]


def test_a_flood_of_hosts_leaves_three_thousand() -> None:
    jar = CookieJar()
    for number in range(4000):
        jar.store(parse_url(f"https://h{number}.example.com"), ["a=1", "b=2"], NOW + number)
    assert 2700 <= len(jar.cookies) <= 3000
    assert header(jar, "https://h3999.example.com", NOW + 4000) == "a=1; b=2"
    assert header(jar, "https://h0.example.com", NOW + 4000) == ""


# The mapping


def test_an_empty_jar() -> None:
    jar = CookieJar()
    assert (jar.is_empty, len(jar), list(jar), jar.cookies, dict(jar)) == (True, 0, [], [], {})
    assert (header(jar, "https://a.b"), jar.matching(parse_url("https://a.b"))) == ("", [])
    assert repr(jar) == "<CookieJar, 0 cookies>"
    assert jar.get("a") is None
    assert "a" not in jar
    with pytest.raises(KeyError, match="a"):
        jar["a"]
    with pytest.raises(TypeError):
        jar["a"] = "b"  # type: ignore[index]  # that it cannot is the test
    with pytest.raises(TypeError):
        hash(jar)


def test_it_reads_like_a_mapping() -> None:
    jar = jar_of("a=1", "b=2; Path=/x", "a=3; Domain=example.com", "c=")
    jar.store(parse_url("https://example.org"), ["a=4"])
    assert isinstance(jar, Mapping)
    assert list(jar) == list(jar.keys()) == ["a", "b", "c"]
    assert len(jar) == 3
    assert len(jar.cookies) == 5
    assert dict(jar) == {"a": "4", "b": "2", "c": ""}
    assert "a" in jar
    assert 5 not in jar
    jar.store(parse_url("https://www.example.com"), ["a=5"])
    assert jar["a"] == "5"
    assert [cookie.value for cookie in jar.cookies] == ["5", "2", "3", "", "4"]


def test_get_by_domain_and_path() -> None:
    jar = jar_of("a=1", "a=2; Path=/x", "a=3; Domain=example.com")
    assert jar.get("a") == "3"
    assert jar.get("a", domain="www.example.com") == "2"
    assert jar.get("a", domain="WWW.Example.com", path="/") == "1"
    assert jar.get("a", domain=".example.com") == "3"
    assert jar.get("a", path="/x") == "2"
    assert jar.get("a", "none", domain="com") == "none"
    assert jar.get("b", 5) == 5
    with pytest.raises(AtomHTTPOptionError, match=r"^domain: "):
        jar.get("a", domain="https://example.com")


def test_what_has_expired_is_not_there() -> None:
    jar = jar_of("a=1; Max-Age=10", "b=2; Max-Age=99999999", now=time.time() - 100)
    assert dict(jar) == {"b": "2"}
    assert (len(jar), jar.get("a"), "a" in jar, [cookie.name for cookie in jar.cookies]) == (1, None, False, ["b"])
    assert jar.delete("a") == 0
    assert repr(jar) == "<CookieJar, 1 cookie: 'b' of www.example.com>"


def test_equality() -> None:
    assert jar_of("a=1", "b=2") == jar_of("b=2", "a=1")
    assert jar_of("a=1") != jar_of("a=1; Domain=example.com")
    assert jar_of("a=1") != jar_of("a=1", url="https://other.org")
    assert jar_of("a=1", "b=2") == {"a": "1", "b": "2"}
    assert jar_of("a=1") != {"a": "2"}
    assert CookieJar() == {}
    assert jar_of("a=1") != [("a", "1")]


def test_repr_shows_no_values() -> None:
    jar = jar_of(f"a={SECRET}", f"{'n' * 100}={SECRET}", f"q'={SECRET}; Domain=example.com")
    assert (
        repr(jar)
        == f"<CookieJar, 3 cookies: 'a' of www.example.com, '{'n' * 40}' of www.example.com, \"q'\" of example.com>"
    )
    jar = jar_of(*(f"n{number}={SECRET}" for number in range(40)))
    assert repr(jar).startswith("<CookieJar, 40 cookies: 'n0' of ")
    assert repr(jar).endswith("'n9' of www.example.com, …>")
    assert SECRET not in repr(jar) + repr(jar.cookies)


def test_version_grows_with_every_change() -> None:
    jar = CookieJar()
    seen = [jar.version]

    def changed(change: Callable[[], object]) -> bool:
        change()
        seen.append(jar.version)
        return seen[-1] > seen[-2]

    target = parse_url("https://a.b")
    assert changed(lambda: jar.store(target, ["a=1"]))
    assert changed(lambda: jar.store(target, ["a=2"]))
    assert changed(lambda: jar.set("b", "1", url="https://a.b"))
    assert not jar.is_empty
    assert not changed(
        lambda: (jar.header_for(target), jar.matching(target), dict(jar), jar.delete("z"), copy.copy(jar))
    )
    assert not changed(lambda: jar.store(target, ["c=1; Domain=example.com", "c=; Max-Age=0"]))
    assert changed(lambda: jar.delete("a"))
    assert changed(jar.clear)
    assert jar.is_empty
    assert changed(lambda: jar.store(target, ["a=1; Max-Age=5"], NOW))
    # Time alone changes nothing.
    assert not changed(lambda: jar.header_for(target, NOW + 5))
    assert (jar.is_empty, jar.cookies) == (False, [])


def test_matching_uses() -> None:
    jar = jar_of("a=1", "b=2; Path=/x", now=NOW)
    (cookie,) = jar.matching(parse_url("https://www.example.com/"), NOW + 7)
    assert (cookie.name, cookie.created, cookie.last_used) == ("a", NOW, NOW + 7)
    assert [(cookie.name, cookie.last_used) for cookie in jar.cookies] == [("a", NOW + 7), ("b", NOW)]


# Cookies of the caller's own


def test_set_for_a_url() -> None:
    jar = CookieJar()
    jar.set("a", "1", url="https://www.example.com/x/y")
    jar.set("b", "2", url="http://www.example.com")
    jar.set("c", "3", url="https://www.example.com", secure=False)
    assert header(jar, "https://www.example.com/") == "a=1; b=2; c=3"
    assert header(jar, "http://www.example.com/") == "b=2; c=3"
    assert header(jar, "https://x.www.example.com/") == ""


def test_set_for_a_domain() -> None:
    jar = CookieJar()
    jar.set("a", "1", domain=".Example.com")
    jar.set("b", "2", domain="bücher.example", path="/x", secure=True, http_only=True, same_site="Lax")
    jar.set("c", "3", domain="localhost")
    jar.set("d", "4", domain="127.0.0.1")
    jar.set("e", "5", domain="::1")
    assert [(cookie.domain, cookie.host_only) for cookie in jar.cookies] == [
        *(
            ("example.com", False),
            ("xn--bcher-kva.example", False),
            ("localhost", True),
            ("127.0.0.1", True),
            ("::1", True),
        ),
    ]
    second = jar.cookies[1]
    assert (second.path, second.secure, second.http_only, second.same_site) == ("/x", True, True, "Lax")
    assert header(jar, "http://www.example.com") == "a=1"
    assert header(jar, "http://x.localhost") == ""


def test_set_replaces_what_a_server_set_and_http_cannot_replace_it() -> None:
    jar = jar_of("a=1")
    jar.set("a", "2", url="https://www.example.com")
    assert header(jar, "https://www.example.com") == "a=2"
    jar.store(parse_url("http://www.example.com"), ["a=3"])
    assert header(jar, "https://www.example.com") == "a=2"


@pytest.mark.parametrize(
    ("expires", "lives"),
    [
        *((None, True), (timedelta(hours=1), True), (timedelta(0), False), (timedelta(days=-1), False), (0, False)),
        *((0.0, False), (-1e300, False), (4e9, True), (float("inf"), True), (float("-inf"), False)),
        *((datetime(9999, 12, 31, tzinfo=UTC), True), (datetime(1970, 1, 1, tzinfo=UTC), False), (timedelta.max, True)),
    ],
    ids=described,
)
def test_expires(expires: Any, lives: bool) -> None:
    jar = jar_of("a=0")
    before = time.time()
    jar.set("a", "1", url="https://www.example.com", expires=expires)
    assert ("a" in jar) is lives
    if lives:
        (cookie,) = jar.cookies
        assert (cookie.expires is None) is (expires is None)
        assert cookie.expires is None or before < cookie.expires <= time.time() + DAYS_400


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("expires", "tomorrow"), ("expires", True), ("expires", float("nan")), ("expires", datetime(2030, 1, 1))),  # noqa: DTZ001  # this is refused
        *(("expires", 10**400), ("path", "x"), ("path", ""), ("path", "/\n"), ("path", None), ("secure", 1)),
        *(("http_only", None), ("same_site", "none"), ("same_site", "LaxStrict"), ("same_site", 1)),
        *(("domain", ""), ("domain", "https://a.b"), ("domain", "a.b:80"), ("domain", 5), ("domain", "a\r\nb")),
        *(("domain", "co.uk"), ("domain", ".Co.UK."), ("domain", "github.io"), ("domain", "a.b..")),
    ],
    ids=described,
)
def test_options_of_set_that_are_refused(option: str, value: Any) -> None:
    jar = CookieJar()
    options = {"domain": "example.com"} | {option: value}
    with pytest.raises(AtomHTTPOptionError, match=f"^{option}: expected ") as caught:
        jar.set("a", SECRET, **options)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert SECRET not in str(caught.value)
    assert jar.is_empty


def test_set_says_whose() -> None:
    jar = CookieJar()
    for whose in ({}, {"url": "https://a.b", "domain": "a.b"}):
        with pytest.raises(AtomHTTPOptionError, match="'a' needs one of url and domain") as caught:
            jar.set("a", SECRET, **whose)
        assert SECRET not in str(caught.value)
    with pytest.raises(AtomHTTPURLError):
        jar.set("a", "b", url="example.com")


@pytest.mark.parametrize(
    "value", ["a b", "a,b", "a;b", "a\r\nX: y", 'a"b', "a\\b", "é", "a\x00", 5, None, b"a"], ids=described
)
def test_set_refuses_what_could_break_a_field(value: Any) -> None:
    jar = CookieJar()
    with pytest.raises(AtomHTTPOptionError, match=r"^cookies: ") as caught:
        jar.set("a", value, url="https://a.b")
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    with pytest.raises(AtomHTTPOptionError, match=r"^cookies: "):
        merge_cookie_header("", {"a": value})
    with pytest.raises(AtomHTTPOptionError, match=r"^cookies: "):
        CookieJar({"a": value}, url="https://a.b")


def test_delete_and_clear() -> None:
    jar = jar_of("a=1", "a=2; Path=/x", "a=3; Domain=example.com", "b=4")
    assert jar.delete("nothing") == 0
    assert jar.delete("a", domain="example.org") == 0
    assert jar.delete("a", domain="www.example.com", path="/x") == 1
    assert jar.delete("a") == 2
    assert dict(jar) == {"b": "4"}
    jar.store(parse_url("https://example.org"), ["c=5"])
    jar.clear("WWW.example.com")
    assert dict(jar) == {"c": "5"}
    jar.clear("example.com")
    assert dict(jar) == {"c": "5"}
    jar.clear()
    assert jar.is_empty
    for refused in (lambda: jar.clear("a/b"), lambda: jar.delete("a", domain="a/b")):
        with pytest.raises(AtomHTTPOptionError, match=r"^domain: "):
            refused()


# Building one


def test_names_and_values_belong_to_a_host() -> None:
    jar = CookieJar({"a": "1", "b": '"2"'}, url="https://api.example.com:8443/v1")
    assert header(jar, "https://api.example.com/") == 'a=1; b="2"'
    for url in ("http://api.example.com/", "https://example.com/", "https://x.api.example.com/"):
        assert header(jar, url) == ""
    assert header(CookieJar({"a": "1"}, url="http://localhost:80"), "http://localhost:90/x") == "a=1"


def test_cookies_and_jars_are_copied() -> None:
    cookie = Cookie("a", "b, c", "example.com", host_only=False)
    jar = CookieJar([cookie, Cookie("x", "y", "127.0.0.1", expires=5.0)])
    assert jar.cookies == [cookie]
    twin = CookieJar(jar)
    assert twin == jar
    twin.clear()
    assert jar.cookies == [cookie]
    assert CookieJar(iter([cookie])).cookies == [cookie]
    assert CookieJar([]).is_empty
    assert CookieJar({}, url="https://a.b").is_empty


def test_no_cookie_reaches_further_or_lives_longer_than_it_may() -> None:
    wide = [
        Cookie("a", "b", domain, host_only=False) for domain in ("co.uk", "127.0.0.1", "::1", "localhost", "github.io")
    ]
    assert all(cookie.host_only for cookie in CookieJar(wide).cookies)
    (cookie,) = CookieJar([Cookie("a", "b", "example.com", expires=float("inf"))]).cookies
    assert cookie.expires is not None
    assert cookie.expires <= time.time() + DAYS_400


@pytest.mark.parametrize(
    ("cookies", "url", "problem"),
    [
        *(({"a": "1"}, None, "need url="), (None, "https://a.b", "need url="), ([], "https://a.b", "need url=")),
        *(
            (["a=b"], None, "Cookie objects, got str"),
            ("a=b", None, "Cookie objects, got str"),
            ([("a", "b")], None, "got tuple"),
        ),
        *(({"a b": "1"}, "https://a.b", "a name holds"), ({1: "1"}, "https://a.b", "got int and str")),
    ],
    ids=described,
)
def test_what_is_no_jar(cookies: Any, url: str | None, problem: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=problem) as caught:
        CookieJar(cookies, url=url)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_other_libraries_cookies_are_refused_by_name() -> None:
    from http.cookiejar import Cookie as StandardCookie

    standard = StandardJar()
    cookie: Any = StandardCookie(
        0, "a", "b", None, False, "a.b", True, False, "/", True, False, None, False, None, None, {}
    )
    standard.set_cookie(cookie)
    with pytest.raises(AtomHTTPOptionError, match="Cookie objects, got Cookie"):
        CookieJar(standard)  # type: ignore[arg-type]  # that it is refused is the test


# Files


def everything() -> CookieJar:
    jar = jar_of("sid=1; Secure; HttpOnly", "wide=2; Domain=example.com; SameSite=Lax", "kept=3; Max-Age=1000; Path=/x")
    jar.store(parse_url("http://127.0.0.1/"), ["a=4", "nameless"])
    jar.store(parse_url("https://www.example.com/"), ["sid=5; Secure; HttpOnly"])
    return jar


URLS = (
    "https://www.example.com/x",
    "http://www.example.com/",
    "https://example.com/",
    "https://o.example.com/x",
    "http://127.0.0.1/",
)


@pytest.mark.parametrize("format", ["json", "netscape"])
def test_save_and_load(tmp_path: Path, format: Any) -> None:
    jar, again = everything(), CookieJar()
    jar.save(tmp_path / "cookies", format)
    assert (tmp_path / "cookies").stat().st_mode & 0o777 == 0o600
    assert again.load(tmp_path / "cookies") is None  # type: ignore[func-returns-value]  # that it returns none is the test
    for url in URLS:
        assert sorted(header(again, url).split("; ")) == sorted(header(jar, url).split("; "))
    if format == "json":
        assert again == jar
        assert [header(again, url) for url in URLS] == [header(jar, url) for url in URLS]
        assert [cookie.created for cookie in again.cookies] == sorted(cookie.created for cookie in jar.cookies)
        assert dict(again) == dict(jar)


@pytest.mark.parametrize("format", ["json", "netscape"])
def test_host_only_survives(tmp_path: Path, format: Any) -> None:
    jar = jar_of("a=1", url="https://example.com")
    jar.save(tmp_path / "cookies", format)
    again = CookieJar()
    again.load(str(tmp_path / "cookies"))
    assert header(again, "https://example.com") == "a=1"
    assert header(again, "https://evil.example.com") == ""


def test_without_the_sessions(tmp_path: Path) -> None:
    everything().save(tmp_path / "cookies", include_session=False)
    again = CookieJar()
    again.load(tmp_path / "cookies")
    assert dict(again) == {"kept": "3"}


def test_what_has_expired_is_not_written(tmp_path: Path) -> None:
    jar = jar_of(f"a={SECRET}; Max-Age=10", now=time.time() - 100)
    jar.save(tmp_path / "cookies")
    assert SECRET not in (tmp_path / "cookies").read_text()


def test_loading_adds_and_replaces(tmp_path: Path) -> None:
    jar_of("a=1", "b=2").save(tmp_path / "cookies")
    jar = jar_of("b=old", "c=3")
    jar.load(tmp_path / "cookies")
    assert dict(jar) == {"a": "1", "b": "2", "c": "3"}
    version = jar.version
    (tmp_path / "cookies").write_text("www.example.com\tFALSE\t/\tFALSE\t0\tz\t1\nbroken\n")
    with pytest.raises(AtomHTTPOptionError, match="line 2"):
        jar.load(tmp_path / "cookies")
    assert (dict(jar), jar.version) == ({"a": "1", "b": "2", "c": "3"}, version)


def test_a_file_brings_no_cookie_of_a_public_suffix(tmp_path: Path) -> None:
    path = tmp_path / "cookies.txt"
    path.write_text(
        ".co.uk\tTRUE\t/\tFALSE\t0\ta\t1\n.Com.\tTRUE\t/\tFALSE\t0\tb\t2\n.example.co.uk\tTRUE\t/\tFALSE\t4000000000\tc\t3\n"
        "example.co.uk\tFALSE\t/\tFALSE\t1\tgone\t4\n"
    )
    jar = CookieJar()
    jar.load(path)
    assert header(jar, "https://www.example.co.uk") == "c=3"
    assert header(jar, "https://www.example.com.") == ""
    assert header(jar, "https://co.uk") == "a=1"
    assert "gone" not in jar
    assert [cookie.expires is not None and cookie.expires < time.time() + DAYS_400 + 1 for cookie in jar.cookies][-1]


def test_saving_bad_formats(tmp_path: Path) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^format: "):
        everything().save(tmp_path / "cookies", "xml")  # type: ignore[arg-type]  # that it is refused is the test


# Copies


@pytest.mark.parametrize(
    "twin",
    [copy.copy, copy.deepcopy, CookieJar.copy, CookieJar, lambda jar: pickle.loads(pickle.dumps(jar))],
    ids=described,
)
def test_copies_are_alike_and_apart(twin: Any) -> None:
    jar = everything()
    again = twin(jar)
    assert again == jar
    assert again.version == jar.version
    assert [header(again, url) for url in URLS] == [header(jar, url) for url in URLS]
    assert dict(again) == dict(jar)
    again.set("new", "1", url="https://example.com")
    again.store(parse_url("http://www.example.com"), ["sid=evil"])
    assert again["sid"] == "5"
    assert "new" not in jar
    jar.clear()
    assert len(again.cookies) == 6


class Special(CookieJar):
    pass


def test_copies_keep_the_class() -> None:
    jar = Special({"a": "1"}, url="https://a.b")
    for again in (copy.copy(jar), copy.deepcopy(jar), jar.copy(), pickle.loads(pickle.dumps(jar))):
        assert type(again) is Special
        assert again == jar


# A call's own


@pytest.mark.parametrize(
    ("kept", "extra", "expected"),
    [
        *(("", {}, ""), ("a=1", {}, "a=1"), ("", {"a": "1"}, "a=1"), ("", {"a": "1", "b": ""}, "a=1; b=")),
        *(("a=1; b=2", {"c": "3"}, "a=1; b=2; c=3"), ("a=1; b=2; a=3", {"a": "4"}, "b=2; a=4")),
        *(
            ("a; b=2", {"a": "4"}, "a; b=2; a=4"),
            ("a=1", {"A": "4"}, "a=1; A=4"),
            ("a=b=c; d=a=1", {"a": "x"}, "d=a=1; a=x"),
        ),
    ],
)
def test_merging(kept: str, extra: dict[str, str], expected: str) -> None:
    assert merge_cookie_header(kept, extra) == expected


def test_a_calls_own_cookies_have_the_right_of_way() -> None:
    kept = header(jar_of(*(f"n{number}={'x' * 1000}" for number in range(8))), "https://www.example.com")
    merged = merge_cookie_header(kept, {"own": "y" * 4000})
    assert merged.endswith(f"; own={'y' * 4000}")
    assert [pair.partition("=")[0] for pair in merged.split("; ")] == ["n0", "n1", "n2", "n3", "own"]
    assert len(merged) <= MAX_FIELD
    many = {f"own{number}": "y" * 4000 for number in range(3)}
    assert merge_cookie_header("a=1", many) == "; ".join(f"{name}={value}" for name, value in many.items())


# Anything at all

HOSTS = (
    "https://www.example.com/a/b",
    "http://www.example.com/a",
    "https://example.com",
    "http://127.0.0.1/",
    "http://a.co.uk/",
)
FIELDS = st.text() | st.builds(
    "".join,
    st.lists(
        st.sampled_from(
            [
                *(
                    "a",
                    "b",
                    "=",
                    ";",
                    " ",
                    "\t",
                    "\r\n",
                    "\x00",
                    "\x7f",
                    '"',
                    ",",
                    "é",
                    "\ud800",
                    "/",
                    ".",
                    "__Host-",
                    "; Path=",
                ),
                *(
                    "; Domain=",
                    "example.com",
                    "co.uk",
                    "127.0.0.1",
                    "; Secure",
                    "; HttpOnly",
                    "; SameSite=",
                    "None",
                    "Lax",
                ),
                *("; Max-Age=", "1", "-", "; Expires=", "Wed, 21 Oct 2065 07:28:00 GMT", "x" * 1025, "y" * 4090),
            ]
        ),
        max_size=12,
    ),
)


@given(st.lists(st.tuples(st.sampled_from(HOSTS), FIELDS), max_size=12))
def test_nothing_a_server_sends_raises_or_breaks_a_field(responses: list[tuple[str, str]]) -> None:
    jar = CookieJar()
    for url, field in responses:
        jar.store(parse_url(url), [field])
    for url in HOSTS:
        sent = header(jar, url)
        assert not any((char < " " and char != "\t") or char == "\x7f" for char in sent)
        assert len(sent.encode()) <= MAX_FIELD
        assert sent == sent.strip(" \t")
        merged = merge_cookie_header(sent, {"a": "1"})
        assert merged == "a=1" or merged.endswith("; a=1")
    assert pickle.loads(pickle.dumps(jar)) == jar


@given(st.lists(st.sampled_from(HOSTS), min_size=1, max_size=4), FIELDS)
def test_no_cookie_reaches_a_stranger(urls: list[str], field: str) -> None:
    jar = CookieJar()
    for url in urls:
        jar.store(parse_url(url), [field])
    for stranger in (
        "https://example.org",
        "https://badexample.com",
        "http://b.co.uk/",
        "http://127.0.0.2/",
        "https://com/",
    ):
        assert header(jar, stranger) == ""


# Threads and processes


@pytest.fixture
def _busy_threads() -> Iterator[None]:
    """Threads take turns within microseconds, so that what is not locked goes wrong soon."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_busy_threads")
def test_threads_share_a_jar() -> None:
    jar = CookieJar()
    targets = [parse_url(f"https://h{number}.example.com/") for number in range(4)]
    barrier = threading.Barrier(8)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        target = targets[number % 4]
        barrier.wait()
        try:
            for turn in range(60):
                jar.store(
                    target,
                    [f"n{number}-{turn % 55}={turn}; Secure", f"x{number}=1; Domain=example.com", "gone=; Max-Age=0"],
                )
                jar.header_for(target)
                jar.set(f"s{number}", str(turn), url=target.url, expires=timedelta(seconds=turn % 2))
                assert len(list(jar)) <= 250
                jar.delete(f"s{number}")
                if turn % 20 == 0:
                    pickle.loads(pickle.dumps(jar))
                    jar.clear(target.host)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    # The indexes agree with each other.
    entries = jar._store.entries()
    assert jar._store.count == len(entries)
    assert sum(map(len, jar._store._secure.values())) == sum(entry.cookie.secure for entry in entries)
    assert all(len(bucket) <= 50 for bucket in jar._store.domains.values())
    assert jar.get("x0") == "1"


@pytest.mark.usefixtures("_busy_threads")
def test_each_thread_finds_what_it_set() -> None:
    jar = CookieJar()

    def work(number: int) -> None:
        for turn in range(300):
            target: Target = parse_url(f"https://t{number}.example.org/")
            jar.store(target, [f"a={turn}"])
            found.append(jar.header_for(target) == f"a={turn}")

    found: list[bool] = []
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 1200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_can_use_the_jar_whatever_the_parents_threads_do() -> None:
    program = """
        import os, signal, sys, threading
        from atomhttp._model.cookies import CookieJar
        from atomhttp._model.url import parse_url
        jar, stop = CookieJar(), threading.Event()
        target = parse_url("https://example.org/")
        fields = [f"n{number}=1; Secure" for number in range(80)]
        def work():
            while not stop.is_set():
                jar.store(target, fields)
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads: thread.start()
        for _ in range(30):
            child = os.fork()
            if not child:
                signal.alarm(20)
                jar.store(target, fields)
                good = jar._store.count == len(jar._store.entries()) == 50 and jar.header_for(target).count("=1") == 50
                os._exit(0 if good else 1)
            status = os.waitpid(child, 0)[1]
            if status:
                stop.set()
                sys.exit(f"a child ended with {status}")
        stop.set()
        for thread in threads: thread.join()
    """
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=80, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_signal_handler_or_finalizer_may_read_the_jar_at_any_moment() -> None:
    jar = CookieJar()
    target, plain = parse_url("https://example.org/"), parse_url("http://example.org/")
    seen = set()

    def interrupt(frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.endswith(("cookies.py", "cookie_store.py")):
            return None
        if event == "line":
            seen.add((jar.header_for(target), len(jar.cookies)))
        return interrupt

    before = sys.gettrace()
    sys.settrace(interrupt)
    try:
        jar.store(target, ["a=1; Secure", "a=2; Secure"])
        jar.store(target, [f"b{number}=1; Secure; Max-Age=5" for number in range(60)], NOW)
        jar.store(plain, ["a=evil", "c=1"])
        jar.set("d", "1", url="https://example.org")
        jar.delete("d")
        copied = jar.copy()
        jar.clear()
    finally:
        sys.settrace(before)
    assert {sent for sent, _ in seen} == {"", "a=1", "a=2", "a=2; c=1", "a=2; c=1; d=1", "c=1"}
    assert (jar.is_empty, jar._store.domains, jar._store._secure, jar._store.count) == (True, {}, {}, 0)
    assert dict(copied) == {"a": "2", "c": "1"}


def test_habits_from_elsewhere_are_led_on() -> None:
    jar = CookieJar({"a": "1"}, url="https://a.test/")
    with pytest.raises(TypeError, match=r"set\('b', value, url="):
        jar["b"] = "2"
    with pytest.raises(TypeError, match="set"):
        jar.update({"b": "2"})
    del jar["a"]
    assert dict(jar) == {}
    with pytest.raises(KeyError):
        del jar["a"]
