from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._model.cookie_parser import SetCookie, parse_cookie_date, parse_set_cookie
from support.naming import described

DAYS_400 = 400 * 86400.0


def parsed(field: str) -> SetCookie:
    cookie = parse_set_cookie(field)
    assert cookie is not None
    return cookie


@pytest.mark.parametrize(
    ("field", "name", "value"),
    [
        *(("a=b", "a", "b"), ("a=", "a", ""), ("a=b;", "a", "b"), ("a=b; Path=/", "a", "b"), ("a=;b=c", "a", "")),
        *((" \ta\t = \tb c\t ; x", "a", "b c"), ("a=b=c==", "a", "b=c=="), ("a b=c", "a b", "c")),
        # Without a name.
        *(("a", "", "a"), ("=a", "", "a"), (" = a ", "", "a"), ("==a", "", "=a"), ("a b;c=d", "", "a b")),
        # As they came: quotes, commas, escapes, other scripts.
        *(('a="b"', "a", '"b"'), ('a="b', "a", '"b'), ("a=b,c", "a", "b,c"), ("a=%20%0d%3B", "a", "%20%0d%3B")),
        *(("a=b, c=d", "a", "b, c=d"), ("é=ü", "é", "ü"), ("a=b\tc", "a", "b\tc"), ("a\tb=c", "a\tb", "c")),
        *(("$Version=1", "$Version", "1"), ('a="b;c"', "a", '"b'), ("a=\xa0b\xa0", "a", "\xa0b\xa0")),
        *(("a=" + "x" * 4095, "a", "x" * 4095), ("x" * 4096 + "=", "x" * 4096, ""), ("x" * 4096, "", "x" * 4096)),
        ("a=" + "é" * 2047, "a", "é" * 2047),
        (" " * 5000 + "a=b", "a", "b"),
    ],
    ids=described,
)
def test_name_and_value(field: str, name: str, value: str) -> None:
    cookie = parsed(field)
    assert (cookie.name, cookie.value) == (name, value)


@pytest.mark.parametrize(
    "field",
    [
        *("", " ", "\t", ";", "=", " = ", ";a=b", "=;a=b", " ; Path=/"),
        *("a=" + "x" * 4096, "x" * 4097, "x" * 2049 + "=" + "x" * 2048, "a=" + "é" * 2048),
        *("a=b\ud800", "\udfff=b"),
        *(f"a=b{chr(code)}c" for code in (*range(9), *range(10, 32), 127)),
        *("a\x00=b", "a=b; Path=/\x01", "a=b\r\nSet-Cookie: c=d", "a=b\n", "\x00a=b", "a=b; unknown=\x7f"),
    ],
    ids=described,
)
def test_fields_that_are_ignored(field: str) -> None:
    assert parse_set_cookie(field) is None


ALL = ("max_age", "expires", "domain", "path", "secure", "http_only", "same_site")


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        *(("", {}), (";;; ;", {}), ("Unknown; x=y; Priority=High; Partitioned", {}), ("=Secure", {}), ("= ; =x", {})),
        *(("Secure", {"secure": True}), ("SECURE", {"secure": True}), (" \tsecure\t ", {"secure": True})),
        *(("Secure=", {"secure": True}), ("secure=false", {"secure": True}), ("Secure x", {}), ("xSecure", {})),
        *(("HttpOnly", {"http_only": True}), ("httponly=0", {"http_only": True}), ("http-only", {})),
        *(("Path=/", {"path": "/"}), ("path = /a/b ", {"path": "/a/b"}), ('Path="/"', {"path": ""})),
        *(("Path", {"path": ""}), ("Path=", {"path": ""}), ("Path=a", {"path": ""}), ("Path=/a=b", {"path": "/a=b"})),
        *(("Path=/a; Path=/b", {"path": "/b"}), ("Path=/a; Path", {"path": ""}), ("Path=/A%20b", {"path": "/A%20b"})),
        *(("Domain=Example.COM", {"domain": "example.com"}), ("Domain=.example.com", {"domain": "example.com"})),
        *(
            ("Domain=..example.com", {"domain": ".example.com"}),
            ("Domain", {"domain": ""}),
            ("Domain=.", {"domain": ""}),
        ),
        *(("Domain=a.com; Domain=b.com", {"domain": "b.com"}), ("Domain=a.com; Domain=", {"domain": ""})),
        *(
            ("Domain=example.com.", {"domain": "example.com."}),
            ("Domain=\u212aelvin.com", {"domain": "\u212aelvin.com"}),
        ),
        *(("SameSite=Lax", {"same_site": "Lax"}), ("samesite=sTRICT", {"same_site": "Strict"})),
        *(("SameSite=none", {"same_site": "None"}), ("SameSite", {}), ("SameSite=", {}), ('SameSite="Lax"', {})),
        # The value, not a part of it.
        *(("SameSite=Laxative", {}), ("SameSite=None,Strict", {}), ("SameSite=Not-Strict", {}), ("SameSite=La", {})),
        *(("SameSite=Lax; SameSite=Strict", {"same_site": "Strict"}), ("SameSite=Lax; SameSite=x", {})),
        *(("Max-Age=10", {"max_age": 10.0}), ("max-age = 010 ", {"max_age": 10.0}), ("Max-Age=0", {"max_age": 0.0})),
        *(("Max-Age=-1", {"max_age": 0.0}), ("Max-Age=-0", {"max_age": 0.0}), ("Max-Age=000", {"max_age": 0.0})),
        *(("Max-Age=", {}), ("Max-Age", {}), ("Max-Age=-", {}), ("Max-Age=+1", {}), ("Max-Age=1.5", {})),
        *(("Max-Age=1e3", {}), ('Max-Age="1"', {}), ("Max-Age=1 2", {}), ("Max-Age=٣", {}), ("Max-Age=--1", {})),
        *(("Max-Age=34560000", {"max_age": DAYS_400}), ("Max-Age=34560001", {"max_age": DAYS_400})),
        *(("Max-Age=" + "9" * 1024, {"max_age": DAYS_400}), ("Max-Age=-" + "9" * 1023, {"max_age": 0.0})),
        *(("Max-Age=5; Max-Age=x", {"max_age": 5.0}), ("Max-Age=5; Max-Age=0", {"max_age": 0.0})),
        *(("Expires=Thu, 01 Jan 1970 00:01:40 GMT", {"expires": 100.0}), ("Expires=never", {}), ("Expires=", {})),
        ("Expires=Thu, 01 Jan 1970 00:01:40 GMT; Expires=never", {"expires": 100.0}),
        ("expires=Thu, 01-Jan-70 00:00:01 GMT; EXPIRES=Thu, 01-Jan-70 00:00:02 GMT", {"expires": 2.0}),
        (
            "Secure; HttpOnly; Path=/x; SameSite=Lax",
            {"secure": True, "http_only": True, "path": "/x", "same_site": "Lax"},
        ),
        # Values of 1,024 octets count, longer ones do not.
        *(("Path=/" + "a" * 1023, {"path": "/" + "a" * 1023}), ("Path=/" + "a" * 1024, {})),
        *(("Path=/é; Path=/" + "é" * 512, {"path": "/é"}), ("Secure=" + "x" * 1025, {})),
        *(("Domain=a.com; Domain=" + "a" * 1025, {"domain": "a.com"}), ("Domain=" + " " * 2000 + "a", {"domain": "a"})),
    ],
    ids=described,
)
def test_attributes(attributes: str, expected: dict[str, Any]) -> None:
    cookie = parsed(f"a=b;{attributes}")
    nothing: dict[str, Any] = dict.fromkeys(ALL, None) | {"domain": "", "secure": False, "http_only": False}
    assert {name: getattr(cookie, name) for name in ALL} == nothing | expected


def test_repr_hides_the_value() -> None:
    assert repr(parsed("sid=sEcReT")) == "<SetCookie 'sid'>"


MOMENT = (1994, 11, 6, 8, 49, 37)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        # RFC 9110's three, and what servers make of them.
        *(("Sun, 06 Nov 1994 08:49:37 GMT", MOMENT), ("Sunday, 06-Nov-94 08:49:37 GMT", MOMENT)),
        *(("Sun Nov  6 08:49:37 1994", MOMENT), ("Sun, 06-Nov-1994 08:49:37 GMT", MOMENT)),
        *(("06 Nov 1994 08:49:37", MOMENT), ("6 nov 94 8:49:37", MOMENT), ("Sun, 6 NOVEMBER 1994 8:49:37 UTC", MOMENT)),
        # Order and punctuation do not matter; the time zone is not looked at.
        *(("1994 Nov 6 08:49:37", MOMENT), ("08:49:37 6 Nov 1994", MOMENT), ("Nov 6 1994 08:49:37", MOMENT)),
        *(("08:49:37/06/Nov/1994", MOMENT), ("06\\Nov\\1994 08:49:37", MOMENT), ("(06)[Nov]{1994}08:49:37", MOMENT)),
        *(("(06)[Nov]{1994} 08:49:37", MOMENT), ("06,Nov,1994,08:49:37", MOMENT), ("06\tNov\t1994\t08:49:37", MOMENT)),
        *(
            ("6 Nov 1994 08:49:37 +0900", MOMENT),
            ("6 Nov 1994 08:49:37 PST", MOMENT),
            ("'6 Nov 1994 08:49:37'", MOMENT),
        ),
        *(('"Sun, 06 Nov 1994 08:49:37 GMT"', MOMENT), ("6.Nov.1994.08:49:37", MOMENT)),
        # What follows the digits of a token does not matter, unless it is a digit.
        *(
            ("6th Nov 1994AD 08:49:37h", MOMENT),
            ("6x Novx 1994x 08:49:37.123Z", MOMENT),
            ("6é Nov 1994é 8:49:37é", MOMENT),
        ),
        *(("006 Nov 1994 08:49:37", None), ("6 Nov 01994 08:49:37", None), ("6 Nov 1994 008:49:37", None)),
        *(("6 Nov 1994 08:49:377", None), ("6 Nov 1994 08:049:37", None), ("6 Nov 19940 08:49:37", None)),
        # The first of each counts.
        *(
            ("6 Nov 1994 08:49:37 09:50:38", MOMENT),
            ("6 Nov Dec 1994 08:49:37", MOMENT),
            ("6 Nov 1994 1995 8:49:37", MOMENT),
        ),
        *(
            ("6 7 Nov 08:49:37", None),
            ("6 Nov 94 95 08:49:37", MOMENT),
            ("6 07 Nov 08:49:37 1994", (2007, 11, 6, 8, 49, 37)),
        ),
        # Years of two digits, and three.
        *(("6 Nov 69 08:49:37", (2069, 11, 6, 8, 49, 37)), ("6 Nov 70 08:49:37", (1970, 11, 6, 8, 49, 37))),
        *(("6 Nov 00 08:49:37", (2000, 11, 6, 8, 49, 37)), ("6 Nov 99 08:49:37", (1999, 11, 6, 8, 49, 37))),
        *(("6 Nov 070 08:49:37", (1970, 11, 6, 8, 49, 37)), ("6 Nov 0000 08:49:37", (2000, 11, 6, 8, 49, 37))),
        *(("6 Nov 4 08:49:37", None), ("6 Nov 100 08:49:37", None), ("6 Nov 1600 08:49:37", None)),
        *(("6 Nov 1601 08:49:37", (1601, 11, 6, 8, 49, 37)), ("31 Dec 9999 23:59:59", (9999, 12, 31, 23, 59, 59))),
        # Days and times that do not exist.
        *(("0 Nov 1994 08:49:37", None), ("32 Nov 1994 08:49:37", None), ("31 Nov 1994 08:49:37", None)),
        *(
            ("29 Feb 2023 00:00:00", None),
            ("29 Feb 2024 00:00:00", (2024, 2, 29, 0, 0, 0)),
            ("30 Feb 2024 00:00:00", None),
        ),
        *(("6 Nov 1994 24:00:00", None), ("6 Nov 1994 23:60:00", None), ("6 Nov 1994 23:59:60", None)),
        *(
            ("6 Nov 1994 0:0:0", (1994, 11, 6, 0, 0, 0)),
            ("6 Nov 1994 -8:49:37", MOMENT),
            ("-6 Nov 1994 8:49:37", MOMENT),
        ),
        # Something is missing.
        *(("", None), ("Nov 1994 08:49:37", None), ("6 1994 08:49:37", None), ("6 Nov 08:49:37", None)),
        *(
            ("6 Nov 1994", None),
            ("6 Nov 1994 08:49", None),
            ("6 Foo 1994 08:49:37", None),
            ("6 No 1994 08:49:37", None),
        ),
        *(("1994-11-06T08:49:37Z", None), ("784111777", None), ("6 11 1994 08:49:37", None), ("tomorrow", None)),
        *(("٦ Nov 1994 08:49:37", None), ("6 Nov 1994 08：49：37", None), ("6 Nov 1994 ０8:49:37", None)),
        ("6 Nov\xa01994 08:49:37", None),
        *(("6Nov1994 08:49:37", None), ("6 Nov1994 08:49:37", None), ("6:Nov 1994 08:49:37", None)),
    ],
    ids=described,
)
def test_dates(text: str, moment: tuple[int, int, int, int, int, int] | None) -> None:
    expected = datetime(*moment, tzinfo=UTC).timestamp() if moment is not None else None
    assert parse_cookie_date(text) == expected


@pytest.mark.parametrize("number", range(12))
def test_every_month(number: int) -> None:
    name = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")[number]
    for spelling in (name, name.upper(), name.title(), f"{name}xyz"):
        found = parse_cookie_date(f"1 {spelling} 2000 00:00:00")
        assert found == datetime(2000, number + 1, 1, tzinfo=UTC).timestamp()


@given(st.text())
def test_any_text_is_parsed_or_ignored(text: str) -> None:
    cookie = parse_set_cookie(text)
    if cookie is not None:
        for part in (cookie.name, cookie.value):
            assert part == part.strip(" \t")
            assert not any((char < " " and char != "\t") or char in ";\x7f" for char in part)
        assert "=" not in cookie.name


@given(st.text(st.sampled_from(list("0123456789: /-JanFebDecGMT,x\té")), max_size=40))
def test_any_date_is_a_date_or_none(text: str) -> None:
    found = parse_cookie_date(text)
    assert found is None or datetime(1601, 1, 1, tzinfo=UTC).timestamp() <= found < 253402300800


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1)))  # noqa: DTZ001  # hypothesis wants it so
def test_every_http_date_is_read(moment: datetime) -> None:
    text = moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert parse_cookie_date(text) == moment.replace(tzinfo=UTC, microsecond=0).timestamp()
