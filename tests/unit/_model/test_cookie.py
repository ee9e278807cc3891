from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from atomhttp._model.cookie import Cookie, check_pair
from atomhttp.errors import AtomHTTPOptionError
from support.naming import described

SECRET = "sEcReT-canary"


def test_what_a_plain_cookie_is() -> None:
    cookie = Cookie("sid", "1", "example.com")
    assert (cookie.path, cookie.expires, cookie.secure, cookie.http_only, cookie.same_site, cookie.host_only) == (
        *("/", None, False, False, None, True),
    )
    assert 0 <= cookie.last_used - cookie.created < 60


def test_immutable_and_equal_by_value() -> None:
    cookie = Cookie("sid", "1", "example.com", created=1.0, last_used=2.0)
    with pytest.raises(FrozenInstanceError):
        cookie.value = "2"  # type: ignore[misc]  # that it cannot is the test
    with pytest.raises((AttributeError, TypeError)):
        cookie.more = 1  # type: ignore[attr-defined]  # as above
    assert cookie == Cookie("sid", "1", "example.com", created=5.0)
    assert len({cookie, Cookie("sid", "1", "example.com", last_used=9.0)}) == 1
    for other in ("value", "name", "domain"):
        assert replace(cookie, **{other: "x"}) != cookie
    assert replace(cookie, host_only=False) != cookie


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda cookie: pickle.loads(pickle.dumps(cookie))])
def test_copies(twin: Any) -> None:
    cookie = Cookie("sid", "1", "example.com", "/a", 5.0, True, True, "Lax", False, 1.0, 2.0)
    again = twin(cookie)
    assert again == cookie
    assert (again.created, again.last_used) == (1.0, 2.0)


def test_repr_hides_the_value() -> None:
    assert repr(Cookie("sid", SECRET, "example.com")) == (
        "Cookie(name='sid', value='[redacted]', domain='example.com', path='/', host_only=True)"
    )
    assert repr(Cookie("sid", SECRET, "example.com", "/a", 5.0, True, True, "Lax", False)) == (
        "Cookie(name='sid', value='[redacted]', domain='example.com', path='/a', expires=5.0, secure=True, "
        "http_only=True, same_site='Lax')"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("a", ""), ("", "b"), ("a b", "c d"), ("a,b", 'c,"d"'), ("é", "ü €"), ("a", "b=c=d"), ("a\tb", "c\td")),
        *(("$a", "\\"), ("a", "%3B%00"), ("a", "x" * 4095), ("é" * 2048, ""), ('"', '"')),
    ],
)
def test_what_a_server_may_have_sent(name: str, value: str) -> None:
    cookie = Cookie(name, value, "example.com")
    assert (cookie.name, cookie.value) == (name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("", ""), ("a=b", "c"), ("a;b", "c"), ("a", "b;c"), ("a", "b\r\nX: y"), ("a\n", "b"), ("a", "b\x00")),
        *((" a", "b"), ("a ", "b"), ("a", " b"), ("a", "b\t"), ("a", "\x7f"), ("a", "\x1f"), ("a", "\ud800")),
        *(("\udfff", "b"), ("a", "x" * 4096), ("é" * 2048, "x"), ("a", b"b"), (b"a", "b"), ("a", 1), (None, "b")),
    ],
    ids=described,
)
def test_what_no_server_can_have_sent(name: Any, value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="cookie") as caught:
        Cookie(name, value, "example.com")
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        *(("domain", ".example.com"), ("domain", "Example.com"), ("domain", ""), ("domain", "exämple.com")),
        *(
            ("domain", "a b"),
            ("domain", "a/b"),
            ("domain", "a\n"),
            ("domain", "[::1]"),
            ("domain", None),
            ("domain", 5),
        ),
        *(("path", "a"), ("path", ""), ("path", "/\n"), ("path", "/\x00"), ("path", None), ("path", "/\ud800")),
        *(("expires", float("nan")), ("expires", "soon"), ("expires", True), ("expires", 10**400)),
        *(("created", None), ("last_used", float("nan"))),
        *(("secure", 1), ("http_only", None), ("host_only", "yes")),
        *(("same_site", "lax"), ("same_site", "xLaxx"), ("same_site", "Strict, None"), ("same_site", "")),
    ],
    ids=described,
)
def test_attributes_that_are_refused(attribute: str, value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=f"^{attribute}: expected ") as caught:
        Cookie(**{"name": "a", "value": SECRET, "domain": "example.com", attribute: value})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "domain", ["localhost", "127.0.0.1", "::1", "a_b.example.com", "xn--bcher-kva.example", "example.com.", "a(b).c"]
)
def test_domains_that_urls_may_have(domain: str) -> None:
    assert Cookie("a", "b", domain).domain == domain


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("a", ""), ("a", "b"), ("a[b]", "c"), ("__Host-a", "b=c=="), ("a.b/c:d", "!#$%&'()*+-./:<=>?@[]^_`{|}~")),
        *(("a", '"b"'), ("a", '""'), ("a", "x" * 4095)),
    ],
)
def test_what_a_program_may_send(name: str, value: str) -> None:
    check_pair(name, value)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        *(("a b", SECRET, "' '"), ("a,b", SECRET, "','"), ("a;b", SECRET, "';'"), ("a=b", SECRET, "'='")),
        *(('a"', SECRET, "'\"'"), ("a\\", SECRET, "'\\\\\\\\'"), ("é", SECRET, "'é'"), ("a\tb", SECRET, r"'\\t'")),
        *(("a\r\nX: y", SECRET, r"'\\r'"), ("a\x00", SECRET, r"'\\x00'"), ("", SECRET, "needs a name")),
        *(("a", f"{SECRET} c", "' '"), ("a", f"{SECRET},c", "','"), ("a", f"{SECRET};c", "';'")),
        *(("a", f'{SECRET}"', "'\"'"), ("a", f"{SECRET}\\", "'\\\\\\\\'"), ("a", f"{SECRET}é", "'é'")),
        *(("a", f"{SECRET}\r\n", r"'\\r'"), ("a", f"{SECRET}\x00", r"'\\x00'"), ("a", f"{SECRET}\x7f", r"'\\x7f'")),
        *(("a", f"{SECRET}\ud800", "ud800"), ("a", '"', "'\"'"), ("a", f'"{SECRET}"x', "'\"'"), ("a", '"""', "'\"'")),
        *(("a", SECRET + "x" * 4096, "4096"), ("a" * 4097, "", "4096")),
        *((1, SECRET, "int and str"), ("a", 1, "str and int"), (None, None, "NoneType"), ("a", b"b", "bytes")),
    ],
    ids=described,
)
def test_what_a_program_may_not_send(name: Any, value: Any, shown: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=shown) as caught:
        check_pair(name, value, "jar.cookies")
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert str(caught.value).startswith("jar.cookies: ")
    assert SECRET not in str(caught.value)
