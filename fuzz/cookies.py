"""Set-Cookie fields, the jar that keeps them, and files of cookies."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from atomhttp._model.cookie import MAX_LIFETIME, MAX_PAIR, Cookie
from atomhttp._model.cookie_files import read_cookies, write_cookies
from atomhttp._model.cookie_store import MAX_COOKIES, MAX_PER_DOMAIN
from atomhttp._model.cookies import MAX_FIELD, CookieJar
from atomhttp._model.url import Target, parse_url
from atomhttp.errors import AtomHTTPOptionError
from fuzz.promises import check_field, check_message
from fuzz.reader import Reader, received_text
from fuzz.scratch import scratch_path

NOW: Final = 1_700_000_000.0
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ADDRESS: Final = re.compile(r"[0-9.]+|.*:.*")

# Who sets them, and who is asked about afterwards.
PLACES: Final = tuple(
    map(
        parse_url,
        (
            "https://www.example.com/a/b",
            "http://www.example.com/a/b",
            "https://example.com/",
            "https://deep.www.example.com/a",
            "https://notexample.com/a/b",
            "https://example.co.uk/",
            "http://other.co.uk/",
            "http://192.0.2.1/a",
            "http://192.0.2.10/a",
            "http://[2001:db8::1]/",
            "http://localhost/a/b/c",
            "https://me.github.io/",
        ),
    )
)


def run_cookie(data: bytes) -> None:
    """Lines, each with a control byte (who sets it) in front of a Set-Cookie value."""
    jar = CookieJar()
    for line in data.split(b"\n"):
        reader = Reader(line)
        setter = reader.pick(PLACES)
        field = received_text(reader.rest())
        version = jar.version
        jar.store(setter, [field], NOW)
        if jar.version != version:
            alone = CookieJar()
            alone.store(setter, [field], NOW)
            for cookie in alone.cookies:
                _check_right(cookie, setter)
    _check_limits(jar)
    for place in PLACES:
        _check_sent(jar, place)
    assert jar.copy() == jar


def _check_right(cookie: Cookie, setter: Target) -> None:
    """Nobody sets cookies for others (RFC 6265bis section 5.7)."""
    host = setter.host
    assert _belongs(cookie, host), f"{host} set a cookie for {cookie.domain}"
    assert cookie.host_only or cookie.domain not in ("com", "co.uk", "uk", "github.io", "io", "localhost")
    assert cookie.path.startswith("/")
    assert not cookie.secure or setter.scheme == "https"
    assert cookie.expires is None or cookie.expires <= NOW + MAX_LIFETIME
    assert len(cookie.name.encode()) + len(cookie.value.encode()) <= MAX_PAIR
    if cookie.name.lower().startswith(("__host-", "__secure-")):
        assert cookie.secure
    if cookie.name.lower().startswith("__host-"):
        assert cookie.host_only
        assert cookie.path == "/"


def _belongs(cookie: Cookie, host: str) -> bool:
    if cookie.domain == host:
        return True
    return not cookie.host_only and host.endswith(f".{cookie.domain}") and not _ADDRESS.fullmatch(host)


def _check_limits(jar: CookieJar) -> None:
    domains = Counter(cookie.domain for cookie in jar.cookies)
    assert domains.total() <= MAX_COOKIES
    assert max(domains.values(), default=0) <= MAX_PER_DOMAIN


def _check_sent(jar: CookieJar, place: Target) -> None:
    field = jar.header_for(place, NOW)
    check_field("Cookie", field)
    assert _CONTROL.search(field) is None
    assert len(field.encode()) <= MAX_FIELD
    matching = jar.matching(place, NOW)
    path = place.path.partition("?")[0]
    for cookie in matching:
        assert _belongs(cookie, place.host), f"{place.host} gets a cookie of {cookie.domain}"
        assert not cookie.secure or place.scheme == "https"
        assert path == cookie.path or path.startswith(cookie.path.rstrip("/") + "/"), (path, cookie.path)
        assert ";" not in cookie.name + cookie.value
        assert cookie.expires is None or cookie.expires > NOW
    pairs = [f"{cookie.name}={cookie.value}" if cookie.name else cookie.value for cookie in matching]
    sent = field.split("; ") if field else []
    assert [pair for pair in pairs if pair in sent] == sent, (pairs, sent)


def run_cookie_file(data: bytes) -> None:
    """A file in whichever format, as somebody else wrote it."""
    path = scratch_path("cookies")
    with open(path, "wb") as file:
        file.write(data)
    try:
        cookies = read_cookies(path, NOW)
    except AtomHTTPOptionError as error:
        check_message(error, "sesame" if _is_value(data, b"sesame") else None)
        return
    for cookie in cookies:
        assert cookie.value in ("", cookie.name, cookie.domain, cookie.path) or f"value={cookie.value!r}" not in repr(
            cookie
        )
    write_cookies(cookies, path)
    assert read_cookies(path, NOW) == cookies
    write_cookies(cookies, path, "netscape")
    for written in read_cookies(path, NOW):
        assert any(
            (written.name, written.value, written.domain) == (each.name, each.value, each.domain) for each in cookies
        )
    jar = CookieJar()
    jar.load(path)
    _check_limits(jar)


def _is_value(data: bytes, secret: bytes) -> bool:
    """Whether `secret` stands nowhere but in the last field of a line."""
    lines = [line for line in data.split(b"\n") if secret in line]
    return all(line.count(b"\t", 0, line.index(secret)) >= 6 for line in lines)


_FIELDS: Final = (
    b"a=b",
    b"a=b; Domain=example.com; Path=/a; Secure; HttpOnly; SameSite=Lax; Max-Age=60",
    b"__Host-a=b; Path=/; Secure",
    b"__Secure-=x; secure",
    b"a=b; expires=Wed, 21 Oct 2099 07:28:00 GMT",
    b"=v; domain=.com",
    b'a="b c"; domain=co.uk',
    b"a; Domain=192.0.2.1",
    b"a=b; Domain=[2001:db8::1]; Path=",
    b"a\xe4=\xff; max-age=-1",
    b"a=b;;;=;Path==/; Domain",
)
COOKIE_SEEDS: Final = (
    *(b"\0" + field for field in _FIELDS),
    b"\n".join(bytes([number]) + b"a%d=b; domain=example.com" % number for number in range(12)),
    b"\n".join(b"\0a%d=b" % number for number in range(60)),
    b"\x05a=b; domain=co.uk\n\x06a=b\n\x07a=b; domain=2.1\n\x0bx=y; domain=github.io",
)
FILE_SEEDS: Final = (
    b"# Netscape HTTP Cookie File\nexample.com\tFALSE\t/\tTRUE\t0\ta\tsesame\n",
    b"#HttpOnly_.example.com\tTRUE\t/a\tFALSE\t1999999999\ta\n",
    b'{"format": "atomhttp cookies", "version": 1, "cookies": [\n{"name": "a", "value": "sesame", "domain": "h"}]}',
    b'{"format": "atomhttp cookies", "version": 1, "cookies": [{"name": "", "expires": 1e9, "same_site": "Lax"}]}',
    b"[]",
    b"\xef\xbb\xbf[::1]\tfalse\t/\tfalse\tinf\ta\tb",
)
