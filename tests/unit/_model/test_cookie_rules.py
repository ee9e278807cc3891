from __future__ import annotations

from typing import Any

import pytest

from atomhttp._model.cookie import Cookie
from atomhttp._model.cookie_parser import parse_set_cookie
from atomhttp._model.cookie_rules import (
    accept_cookie,
    canonical_domain,
    default_path,
    domain_matches,
    domains_of,
    is_address,
    path_matches,
)
from atomhttp._model.url import parse_url
from atomhttp.errors import AtomHTTPOptionError
from support.naming import described

NOW = 1_000_000_000.0
DAYS_400 = 400 * 86400.0


def accepted(url: str, field: str) -> Cookie | None:
    parsed = parse_set_cookie(field)
    assert parsed is not None
    return accept_cookie(parsed, parse_url(url), NOW)


@pytest.mark.parametrize(
    ("host", "domain", "expected"),
    [
        *(("example.com", "example.com", True), ("www.example.com", "example.com", True), ("a.b.c", "c", True)),
        *(("example.com", "www.example.com", False), ("badexample.com", "example.com", False), ("com", "com", True)),
        *(("1.2.3.4", "1.2.3.4", True), ("1.2.3.4", "3.4", False), ("1.2.3.4", "4", False), ("::1", "::1", True)),
        *(("example.com.", "example.com", False), ("www.example.com.", "example.com.", True)),
    ],
)
def test_domain_matches(host: str, domain: str, expected: bool) -> None:
    assert domain_matches(host, domain) is expected


@pytest.mark.parametrize(
    ("path", "cookie_path", "expected"),
    [
        *(("/", "/", True), ("/a", "/", True), ("/a/b", "/a", True), ("/a/b", "/a/", True), ("/a", "/a", True)),
        *(("/a/", "/a", True), ("/a", "/a/", False), ("/ab", "/a", False), ("/", "/a", False), ("/A", "/a", False)),
        *(("/a//b", "/a/", True), ("/a%2Fb", "/a", False), ("//", "/", True), ("/a;b", "/a", False)),
    ],
)
def test_path_matches(path: str, cookie_path: str, expected: bool) -> None:
    assert path_matches(path, cookie_path) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *(("/", "/"), ("/a", "/"), ("/a/", "/a"), ("/a/b", "/a"), ("/a/b/", "/a/b"), ("/a/b?c=/d/e", "/a"), ("", "/")),
        *(("/?a/b", "/"), ("//", "/"), ("//a", "/"), ("*", "/"), ("/a%2Fb/c", "/a%2Fb")),
    ],
)
def test_default_path(path: str, expected: str) -> None:
    assert default_path(path) == expected


def test_addresses_have_no_domains_above_them() -> None:
    assert domains_of("a.b.example.com") == ("a.b.example.com", "b.example.com", "example.com", "com")
    assert domains_of("localhost") == ("localhost",)
    assert domains_of("10.0.0.1") == ("10.0.0.1",)
    assert domains_of("::1") == ("::1",)
    assert [is_address(host) for host in ("1.2.3.4", "::1", "1.2.3.4.example", "a.b.c.d", "localhost")] == [
        *(True, True, False, False, False),
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        *(("example.com", "example.com"), (".Example.COM", "example.com"), ("bücher.example", "xn--bcher-kva.example")),
        *(("127.0.0.1", "127.0.0.1"), ("0x7f.1", "127.0.0.1"), ("::1", "::1"), ("[0:0::1]", "::1")),
        *(("localhost", "localhost"), ("example.com.", "example.com.")),
    ],
)
def test_domains_of_the_caller(given: str, expected: str) -> None:
    assert canonical_domain(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        *(
            "",
            ".",
            "a b",
            "a/b",
            "https://a",
            "a:80",
            "user@a",
            "a?b",
            "a#b",
            "a\\b",
            "a\n",
            "%41",
            "[::1]:80",
            "a" * 300,
        ),
        *(None, 5, b"a"),
    ],
    ids=described,
)
def test_what_is_no_domain(given: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^domain: expected a host name or an address") as caught:
        canonical_domain(given)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


@pytest.mark.parametrize(
    ("url", "attributes", "domain", "host_only"),
    [
        # Without a domain: the host alone.
        *(("https://www.example.com", "", "www.example.com", True), ("https://a.b", "; Domain=", "a.b", True)),
        *(("https://a.b", "; Domain=.", "a.b", True), ("https://www.Example.COM", "", "www.example.com", True)),
        ("https://www.example.com", "; Domain=x.example.com; Domain", "www.example.com", True),
        # The host itself and what stands above it.
        ("https://example.com", "; Domain=example.com", "example.com", False),
        ("https://www.example.com", "; Domain=example.com", "example.com", False),
        ("https://www.example.com", "; Domain=.EXAMPLE.com", "example.com", False),
        ("https://a.b.example.co.uk", "; Domain=Example.Co.Uk", "example.co.uk", False),
        ("https://x.someone.github.io", "; Domain=someone.github.io", "someone.github.io", False),
        ("https://www.bücher.example", "; Domain=XN--bcher-kva.example", "xn--bcher-kva.example", False),
        # A public suffix is only its own.
        *(("https://github.io", "; Domain=github.io", "github.io", True), ("https://com", "; Domain=com", "com", True)),
        *(("http://localhost:8080", "; Domain=localhost", "localhost", True),),
        ("https://co.uk", "; Domain=CO.UK", "co.uk", True),
        # Addresses.
        ("http://127.0.0.1", "; Domain=127.0.0.1", "127.0.0.1", True),
        ("http://0x7f.1", "; Domain=127.0.0.1", "127.0.0.1", True),
        ("http://[::1]", "; Domain=[::1]", "::1", True),
        ("http://[::1]", "; Domain=::1", "::1", True),
        ("http://[0:0::1]", "", "::1", True),
        # A final dot is a part of the name.
        ("https://www.example.com.", "", "www.example.com.", True),
        ("https://www.example.com.", "; Domain=example.com.", "example.com.", False),
    ],
)
def test_whose_a_cookie_is(url: str, attributes: str, domain: str, host_only: bool) -> None:
    cookie = accepted(url, f"a=b{attributes}")
    assert cookie is not None
    assert (cookie.domain, cookie.host_only) == (domain, host_only)


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        # Somebody else's.
        *(("https://example.com", "www.example.com"), ("https://example.com", "other.org")),
        *(("https://badexample.com", "example.com"), ("https://www.example.com", "w.example.com")),
        *(("https://www.example.com", "..example.com"), ("https://www.example.com", "*.example.com")),
        *(("https://www.example.com", "example.com:443"), ("https://www.example.com", "https://example.com")),
        *(("https://www.example.com", "example.com/"), ("https://www.example.com", '"example.com"')),
        *(("https://www.example.com", "example.com, www.example.com"), ("https://www.example.com", "www example.com")),
        # Everybody's: whatever the case, with a final dot, in A-labels.
        *(("https://www.example.com", "com"), ("https://www.example.com", ".com"), ("https://a.co.uk", "co.uk")),
        *(("https://a.co.uk", "Co.UK"), ("https://A.CO.UK", "CO.UK"), ("https://a.co.uk.", "co.uk.")),
        *(("https://a.co.uk.", "uk."), ("https://evil.github.io", "github.io")),
        *(
            ("https://a.xn--55qx5d.cn", "xn--55qx5d.cn"),
            ("https://foo.bar.ck", "bar.ck"),
            ("http://app.localhost", "localhost"),
        ),
        # Never decoded, never converted.
        *(("https://www.bücher.example", "bücher.example"), ("https://www.kelvin.com", "\u212aelvin.com")),
        *(("https://www.example.com", "example%2ecom"), ("https://www.example.com", "example\u3002com")),
        # Final dots.
        *(("https://www.example.com", "example.com."), ("https://www.example.com.", "example.com")),
        *(("https://a.co.uk..", "co.uk.."), ("https://a..b", ".b"), ("https://.example.com", "example.com")),
        # Addresses are below nothing.
        *(("http://127.0.0.1", "0.0.1"), ("http://127.0.0.1", "1"), ("http://127.0.0.1", "127.0.0.2")),
        *(("http://[::1]", "::2"), ("http://127.0.0.1", "0x7f.1"), ("http://127.0.0.1", "localhost")),
    ],
)
def test_domains_that_a_host_may_not_speak_for(url: str, domain: str) -> None:
    assert accepted(url, f"a=b; Domain={domain}") is None


def test_a_host_that_begins_with_a_dot_sets_nothing() -> None:
    assert accepted("https://.example.com", "a=b") is None


@pytest.mark.parametrize(
    ("url", "attributes", "path"),
    [
        *(("https://a.b", "", "/"), ("https://a.b/x/y?z=/w", "", "/x"), ("https://a.b/x/", "; Path", "/x")),
        *(
            ("https://a.b/x/y", "; Path=/", "/"),
            ("https://a.b/", "; Path=/other", "/other"),
            ("https://a.b/x/y", "; Path=q", "/x"),
        ),
        *(
            ("https://a.b/x/y", "; Path=/a; Path=", "/x"),
            ("https://a.b/%2Fx/y", "", "/%2Fx"),
            ("https://a.b/a;b/c", "", "/a;b"),
        ),
    ],
)
def test_paths(url: str, attributes: str, path: str) -> None:
    cookie = accepted(url, f"a=b{attributes}")
    assert cookie is not None
    assert cookie.path == path


@pytest.mark.parametrize(
    ("attributes", "expires"),
    [
        *(("", None), ("; Max-Age=60", NOW + 60), ("; Max-Age=0", float("-inf")), ("; Max-Age=x", None)),
        *(("; Expires=Sun, 09 Sep 2001 01:46:45 GMT", NOW + 5), ("; Expires=Thu, 01 Jan 1970 00:00:00 GMT", 0.0)),
        *(("; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", NOW + 60),),
        *(("; Expires=Fri, 31 Dec 9999 23:59:59 GMT; Max-Age=0", float("-inf")),),
        *(("; Expires=Fri, 31 Dec 9999 23:59:59 GMT", NOW + DAYS_400), ("; Max-Age=999999999999", NOW + DAYS_400)),
    ],
)
def test_lifetimes(attributes: str, expires: float | None) -> None:
    cookie = accepted("https://a.b", f"a=b{attributes}")
    assert cookie is not None
    assert (cookie.expires, cookie.created, cookie.last_used) == (expires, NOW, NOW)


@pytest.mark.parametrize(
    ("url", "field"),
    [
        *(("http://a.b", "a=b; Secure"), ("http://localhost", "a=b; Secure"), ("http://127.0.0.1", "a=b; secure=no")),
        *(("https://a.b", "a=b; SameSite=None"), ("http://a.b", "a=b; SameSite=None; Secure")),
        # Promises that are not kept.
        *(("https://a.b", "__Secure-a=b"), ("http://a.b", "__Secure-a=b; Secure"), ("https://a.b", "__SECURE-a=b")),
        *(("https://a.b", "__Host-a=b"), ("https://a.b", "__Host-a=b; Secure"), ("https://a.b", "__hOsT-a=b; Path=/")),
        *(("https://a.b", "__Host-a=b; Secure; Path=/x"), ("https://a.b/x/y", "__Host-a=b; Secure; Path")),
        *(("https://a.b.c", "__Host-a=b; Secure; Path=/; Domain=b.c"), ("http://a.b", "__Host-a=b; Secure; Path=/")),
        *(("https://b.c", "__Host-a=b; Secure; Path=/; Domain=b.c"),),
        *(("https://a.b", "__Http-a=b; Secure"), ("https://a.b", "__http-a=b; HttpOnly")),
        *(("https://a.b", "__Host-Http-a=b; Secure; Path=/"), ("https://a.b", "__Host-Http-a=b; Secure; HttpOnly")),
        # A value without a name is sent like a name.
        *(("https://a.b", "__Secure-a; Secure"), ("https://a.b", "=__Secure-a=b; Secure")),
        *(("https://a.b", "=__host-a=b; Secure; Path=/"), ("https://a.b", "= __Host-a=b; Secure; Path=/")),
        ("https://a.b", "=__Http-a=b; Secure; HttpOnly"),
    ],
)
def test_what_is_refused(url: str, field: str) -> None:
    assert accepted(url, field) is None


@pytest.mark.parametrize(
    ("url", "field"),
    [
        *(
            ("https://a.b", "a=b; Secure"),
            ("https://a.b", "a=b; SameSite=None; Secure"),
            ("http://a.b", "a=b; SameSite=Lax"),
        ),
        *(("https://a.b", "__Secure-a=b; Secure; Domain=a.b"), ("https://a.b", "__Host-a=b; Secure; Path=/")),
        *(("https://a.b", "__Host-a=b; Secure; Path=/; Domain="), ("https://a.b", "__Host-=b; Secure; Path=/")),
        *(("https://a.b/", "__Host-a=b; Secure; Path"), ("https://a.b", "__Http-a=b; Secure; HttpOnly")),
        *(
            ("https://a.b", "__Host-Http-a=b; Secure; HttpOnly; Path=/"),
            ("http://a.b", "x__Host-a=b"),
            ("http://a.b", "__Host=b"),
        ),
        *(("http://a.b", "a=__Host-b"), ("http://a.b", "_Secure-a=b"), ("http://a.b", "x; Path=/")),
    ],
)
def test_what_is_not_refused(url: str, field: str) -> None:
    assert accepted(url, field) is not None


def test_everything_a_server_says_is_kept() -> None:
    assert accepted(
        "https://www.example.com/a/b", "n=v; Domain=example.com; Path=/p; Max-Age=9; Secure; HttpOnly; SameSite=strict"
    ) == Cookie("n", "v", "example.com", "/p", NOW + 9, True, True, "Strict", False)
