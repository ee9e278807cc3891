"""Secrets in what is refused: the value of an option, of a wrong type or in the wrong place, and a URL that is none.

The error names the option and what was expected. What was given it shows only as far as that cannot be the secret: a
slip with a password in it is still a password.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPError,
    AtomHTTPOptionError,
    AtomHTTPURLError,
    BasicAuth,
    BearerAuth,
    CookieJar,
    DigestAuth,
    FormData,
    Headers,
    NetrcAuth,
    RefreshingAuth,
    SyncAtomHTTP,
)
from hostile.canaries import CORE, everything_logged, leaks, views

# Nobody listens there.
CLOSED = "http://127.0.0.1:1/"
WITH_USERINFO = f"http://ada:{CORE}@127.0.0.1:1/"
PEM = f"-----BEGIN PRIVATE KEY-----\n{CORE}\n{'A' * 64}\n-----END PRIVATE KEY-----\n"


class URLObject:
    """A URL of another library: `str` is the text, `repr` shows it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"URL({self._text!r})"


VALUES: dict[str, dict[str, Any]] = {
    "misspelt": {"pasword": CORE},
    "misspelt in a mapping": {"config": {"tokn": CORE}},
    "of another client": {"api_key": CORE},
    # Where URLs are expected
    "baseURL: bytes": {"baseURL": WITH_USERINFO.encode()},
    "baseURL: an object": {"baseURL": URLObject(WITH_USERINFO)},
    "baseURL: a list": {"baseURL": [WITH_USERINFO]},
    "proxy: bytes": {"proxy": WITH_USERINFO.encode()},
    "proxy: an object": {"proxy": URLObject(WITH_USERINFO)},
    "proxy: a port that is none": {"proxy": f"ada:{CORE}@h:x"},
    "proxy: a port too large": {"proxy": f"http://ada:{CORE}@h:99999"},
    "proxy: another scheme": {"proxy": f"ftp://ada:{CORE}@h"},
    "proxy: a slash in the password": {"proxy": f"http://ada:{CORE}/x@h:1"},
    "proxy: a path": {"proxy": f"http://ada:{CORE}@h/path"},
    "proxy: a query": {"proxy": f"http://h?token={CORE}"},
    "proxy: no host": {"proxy": f"ada:{CORE}@"},
    "proxy: one slash": {"proxy": f"http:/ada:{CORE}@h"},
    "proxy: requests' keys": {"proxy": {"http": WITH_USERINFO}},
    "proxy: auth is no pair": {"proxy": {"host": "h", "auth": CORE}},
    "proxy: a key of auth": {"proxy": {"host": "h", "auth": {"username": "ada", "passwd": CORE}}},
    "proxy: a control character": {"proxy": {"host": "h", "auth": ("ada", f"{CORE}\n")}},
    "proxy: twice": {"proxy": {"host": f"ada:{CORE}@h", "auth": ("ada", CORE)}},
    "proxy: two ports": {"proxy": {"host": f"ada:{CORE}@h:1", "port": 2}},
    "proxy: two schemes": {"proxy": {"host": f"http://ada:{CORE}@h", "protocol": "https"}},
    "proxy: misspelt": {"proxy": {"host": "h", "pasword": CORE}},
    "proxy: in a key": {"proxy": {f"http://ada:{CORE}@h": "p"}},
    "proxy: by target": {"proxy": {"http://": f"ada:{CORE}@h:x"}},
    "proxy: long for SOCKS": {"proxy": f"socks5://ada:{CORE * 30}@h"},
    # Credentials
    "auth: text": {"auth": f"ada:{CORE}"},
    "auth: bytes": {"auth": CORE.encode()},
    "auth: three": {"auth": ("ada", CORE, 1)},
    "auth: one": {"auth": [CORE]},
    "auth: a key": {"auth": {"username": "ada", "passwd": CORE}},
    "auth: a control character": {"auth": ("ada", f"{CORE}\n")},
    "auth: a password of bytes": {"auth": ("ada", CORE.encode())},
    "auth: a colon in the name": {"auth": (f"{CORE}:x", "y")},
    "cookies: text": {"cookies": f"session={CORE}"},
    "cookies: pairs": {"cookies": [("session", CORE)]},
    "cookies: a semicolon": {"cookies": {"session": f"{CORE}; x"}},
    "cookies: a line break": {"cookies": {"session": f"{CORE}\r\nX: y"}},
    "cookies: bytes": {"cookies": {"session": CORE.encode()}},
    "cookies: too long": {"cookies": {"session": CORE * 500}},
    "cookies: all of it as the name": {"cookies": {f"session={CORE}": ""}},
    "cert: four": {"cert": ("a.pem", "a.key", CORE, "x")},
    "cert: a mapping": {"cert": {"password": CORE}},
    "cert: a password of bytes": {"cert": ("a.pem", "a.key", CORE.encode())},
    "cert: bytes of a PEM file": {"cert": PEM.encode()},
    "cert: a pair and a password": {"cert": (("a.pem", "a.key"), CORE)},
    # Header fields
    "headers: text": {"headers": f"Authorization: {CORE}"},
    "headers: bytes": {"headers": f"Authorization: {CORE}".encode()},
    "headers: lines": {"headers": [f"Authorization: {CORE}"]},
    "headers: all of it as the name": {"headers": {f"Authorization: Bearer {CORE}": ""}},
    "headers: another all of it": {"headers": [(f"Cookie: session={CORE}", "")]},
    "headers: a set": {"headers": {"Authorization": {CORE}}},
    "headers: a list of sets": {"headers": {"Authorization": [{CORE}]}},
    "headers: a line break": {"headers": {"Authorization": f"{CORE}\r\nX: y"}},
    "headers: a line break for the proxy": {"headers": {"Proxy-Authorization": f"{CORE}\n"}},
    # Parameters
    "params: bytes": {"params": f"token={CORE}".encode()},
    "params: a bytearray": {"params": bytearray(f"token={CORE}".encode())},
    "params: a set": {"params": {f"token={CORE}"}},
    "params: a list of text": {"params": [f"token={CORE}"]},
    "params: a flat tuple": {"params": ("token", CORE, "page", "1")},
    "params: a flat pair": {"params": ("token", CORE)},
    "params: triples": {"params": [("token", CORE, 1)]},
    "params: a set within": {"params": {"token": {CORE}}},
    "params: bytes within": {"params": {"token": CORE.encode()}},
    # Bodies
    "json: bytes": {"json": {"password": CORE.encode()}},
    "json: a set": {"json": {"password": {CORE}}},
    "json: NaN beside it": {"json": {"password": CORE, "x": math.nan}},
    "json: a key of bytes": {"json": {CORE.encode(): 1}},
    "json: half a character": {"json": {"password": f"{CORE}\ud800"}},
    "json: and data": {"json": {"password": CORE}, "data": {"password": CORE}},
    "data: a set": {"data": {CORE}},
    "data: a set within": {"data": {"password": {CORE}}},
    "data: half a character": {"data": f"{CORE}\ud800"},
    "data: an object": {"data": {"password": object(), "text": CORE}},
    "form: a set": {"form": {"password": {CORE}}},
    "form: bytes": {"form": CORE.encode()},
    "form: half a character": {"form": {"password": f"{CORE}\ud800"}},
    # Options whose value is of no secret kind, beside one that is
    "timeout: a mapping": {"timeout": {"token": CORE}},
    "retryConfig: a mapping": {"retryConfig": {"token": CORE}},
    "signal: a mapping": {"signal": {"token": CORE}},
    "adapter: a mapping": {"adapter": {"token": CORE}},
    "verify: a mapping": {"verify": {"password": CORE}},
    "responseType: a mapping": {"responseType": {"token": CORE}},
    "meta: pairs": {"meta": [("token", CORE)]},
    "maxRedirects: text, and a token": {"maxRedirects": "many", "headers": {"Authorization": CORE}},
}


@pytest.mark.parametrize("name", VALUES)
async def test_a_refused_value_shows_no_secret(name: str) -> None:
    options = VALUES[name]
    with everything_logged() as lines:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPOptionError) as caught:
                await client.post(CLOSED, **options)
    assert leaks({**views(caught.value), "log": "\n".join(lines)}) == []


OF_A_CALL = (
    "json",
    "data",
    "form",
    "misspelt in a mapping",
    "params: a set within",
    "params: bytes within",
    "headers: ",
)
OF_A_CLIENT = [name for name in VALUES if not name.startswith(OF_A_CALL)]


@pytest.mark.parametrize("name", OF_A_CLIENT)
def test_a_client_that_is_refused_shows_no_secret(name: str) -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        SyncAtomHTTP(**VALUES[name])
    assert leaks(views(caught.value)) == []


@pytest.mark.parametrize("cert", [PEM, (PEM, PEM), ("own.pem", PEM)], ids=["alone", "both", "the key"])
async def test_a_key_in_the_place_of_its_path_is_not_shown(cert: Any, tmp_path: Path) -> None:
    """The mistake of everybody who has read it from a vault: the text of the file, and not its name."""
    async with AtomHTTP() as client:
        with everything_logged() as lines, pytest.raises(AtomHTTPError) as caught:
            await client.get("https://127.0.0.1:1/", cert=cert)
    assert leaks({**views(caught.value), "log": "\n".join(lines)}) == []


MADE: dict[str, Callable[[], Any]] = {
    "BasicAuth": lambda: BasicAuth("ada", f"{CORE}\n"),
    "BasicAuth of bytes": lambda: BasicAuth("ada", CORE.encode()),  # type: ignore[arg-type]  # that is the mistake
    "BearerAuth with its scheme": lambda: BearerAuth(f"Bearer {CORE}"),
    "BearerAuth of bytes": lambda: BearerAuth(CORE.encode()),  # type: ignore[arg-type]  # that is the mistake
    "DigestAuth": lambda: DigestAuth("ada", f"{CORE}\x00"),
    "RefreshingAuth": lambda: RefreshingAuth(lambda: "x", f"{CORE}\n"),
    "RefreshingAuth of a token": lambda: RefreshingAuth(CORE),  # type: ignore[arg-type]  # that is the mistake
    "CookieJar": lambda: CookieJar({"session": f"{CORE};"}, url=CLOSED),
    "CookieJar.set": lambda: CookieJar().set("session", f"{CORE}\n", url=CLOSED),
    "Headers": lambda: Headers({"Authorization": f"{CORE}\n"}),
    "FormData: None": lambda: FormData().append("password", None),
    "FormData: a mapping": lambda: FormData().append("password", {"secret": CORE}),
    "FormData: half a character": lambda: FormData().append("password", f"{CORE}\ud800"),
    "FormData.from_dict": lambda: FormData.from_dict({"password": {CORE}}),
}


@pytest.mark.parametrize("name", MADE)
def test_what_cannot_be_made_shows_no_secret(name: str) -> None:
    with pytest.raises((AtomHTTPOptionError, TypeError)) as caught:
        MADE[name]()
    assert leaks(views(caught.value)) == []


@pytest.mark.parametrize(
    "content",
    [
        f"machine 127.0.0.1 login ada password {CORE} surplus\n",
        f"machine 127.0.0.1 login ada passwrd {CORE}\n",
        f"{CORE}\n",
        f'machine 127.0.0.1 login ada password "{CORE}\n',
        f"machine 127.0.0.1 login a:da password {CORE}\n",
    ],
)
def test_a_broken_netrc_shows_no_secret(content: str, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(content)
    with pytest.raises(AtomHTTPOptionError) as caught:
        client = SyncAtomHTTP(auth=NetrcAuth(tmp_path / "netrc"))
        with client:
            client.get(CLOSED)
    assert leaks(views(caught.value)) == []


REFUSED_URLS = {
    "blank in the host": f"http://ada:{CORE}@a b/",
    "blank in the name": f"http://a da:{CORE}@h:x/",
    "no port": f"http://ada:{CORE}@h:x/",
    "port too large": f"http://ada:{CORE}@h:99999/",
    "no host": f"http://ada:{CORE}@/path",
    "nothing behind": f"http://ada:{CORE}@",
    "zone id": f"http://ada:{CORE}@[fe80::1%25eth0]/",
    "another scheme": f"ftp://ada:{CORE}@h/",
    "upper case": f"HTTP://ada:{CORE}@h:x/",
    "line break": f"http://ada:{CORE}@h/\n",
    "tab": f"http://ada\t:{CORE}@h/",
    "outer blank": f" http://ada:{CORE}@h/",
    "two at signs": f"http://ada:{CORE}@h@i:x/",
    "long name": f"http://{'a' * 300}:{CORE}@h:x/",
    "long host": f"http://ada:{CORE}@{'h' * 300}/",
    "slash in the password": f"http://ada:{CORE}/x@h/",
    "slash before the rest of it": f"http://ada:x/{CORE}@h/",
    "question mark in the password": f"http://ada:x?{CORE}@h/",
    "number sign in the password": f"http://ada:x#{CORE}@h/",
    "encoded at sign": f"http://ada:{CORE}%40h:x/",
    "one slash": f"http:/ada:{CORE}@h/",
    "no slash": f"http:ada:{CORE}@h/",
    "three slashes": f"http:///ada:{CORE}@h/",
    "backslashes": f"http:\\\\ada:{CORE}@h",
    "no scheme": f"ada:{CORE}@h/path",
    "no scheme, no path": f"ada:{CORE}@h",
    "no colon": f"https//ada:{CORE}@h/",
    "mail": f"mailto:ada:{CORE}@h",
    "socket": f"http+unix://ada:{CORE}@%2Frun%2Fx/",
    "token": f"http://h:x/?token={CORE}",
    "token in second place": f"http://h:x/?a=1&access_token={CORE}&b=2",
    "token behind a semicolon": f"http://h:x/?a=1;token={CORE}",
    "token behind HTML's": f"http://h:x/?a=1&amp;token={CORE}",
    "encoded name": f"http://h:x/?%74oken={CORE}",
    "nested name": f"http://h:x/?filter[password]={CORE}",
    "token in the fragment": f"http://h:x/#access_token={CORE}",
    "blank before the token": f"http://h:x/?token= {CORE}",
    "blank in the token": f"http://h:x/?password=correct {CORE}&a=1",
    "semicolon in the token": f"http://h:x/?password=correct;{CORE}&a=1",
    "userinfo in the query": f"http://h:x/?next=http://ada:{CORE}@i/",
    "userinfo in the query, encoded": f"http://h:x/?next=http%3A%2F%2Fada%3A{CORE}%40i%2F",
    "token in a URL in the query": f"http://h:x/?next=/a?token={CORE}",
    "token in a URL in the query, encoded": f"http://h:x/?next=%2Fa%3Ftoken%3D{CORE}",
    "relative, and no base": f"/path?token={CORE}",
    "query alone": f"?token={CORE}",
}


@pytest.mark.parametrize("name", REFUSED_URLS)
@pytest.mark.parametrize("place", ["url", "baseURL"])
async def test_a_refused_url_shows_no_secret(name: str, place: str) -> None:
    options = {"url": REFUSED_URLS[name]} if place == "url" else {"url": "x", "baseURL": REFUSED_URLS[name]}
    async with AtomHTTP() as client:
        with everything_logged() as lines, pytest.raises(AtomHTTPURLError) as caught:
            await client.get(**options)
    assert leaks({**views(caught.value), "log": "\n".join(lines)}) == []


@pytest.mark.parametrize(
    "params",
    [
        {"token": CORE},
        {"deep": {"er": {"password": [CORE, CORE]}}},
        [("a", 1), ("token", CORE), ("api_key", CORE)],
        f"?token={CORE}&a=1",
        f"password=correct {CORE}&a=1",
        f"password=correct;{CORE}&a=1",
        f"password=correct#{CORE}",
        {"next": f"http://ada:{CORE}@h/"},
        {"next": f"https://h/back?token={CORE}"},
        {"next": f"/back?token={CORE}"},
    ],
    ids=repr,
)
async def test_a_parameter_that_is_sent_shows_no_secret(params: Any) -> None:
    """What is said of a URL that was sent is said of its encoded form."""
    async with AtomHTTP() as client:
        with everything_logged() as lines, pytest.raises(AtomHTTPError) as caught:
            await client.get(CLOSED, params=params)
    assert leaks({**views(caught.value), "log": "\n".join(lines)}) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, CORE) for name in ("Authorization", "cookie", "X-API-KEY", "x-auth-token", "Proxy-Authorization")),
        *((name, CORE) for name in ("Ocp-Apim-Subscription-Key", "X-Functions-Key", "X-Access-Key", "X-Auth-Key")),
        *((name, CORE) for name in ("X-Auth", "Authentication", "X-JWT-Assertion", "X-CSRF")),
        *(("X-Custom", f"{scheme} {CORE}") for scheme in ("Bearer", "basic", "Token")),
        *(("Referer", f"{text}{CORE}") for text in ("http://h/?token=", "http://h/#token=", "/a?token=", "/a#token=")),
        ("Referer", f"http://ada:{CORE}@h/"),
    ],
)
async def test_a_field_that_is_sent_shows_no_secret(name: str, value: str) -> None:
    async with AtomHTTP() as client:
        with everything_logged() as lines, pytest.raises(AtomHTTPError) as caught:
            await client.get(CLOSED, headers={name: value})
    assert leaks({**views(caught.value), "log": "\n".join(lines)}) == []


async def test_a_field_of_an_auth_shows_no_secret() -> None:
    """Whatever it is called: who says in which field a token travels says that it is one."""
    auth = RefreshingAuth(lambda: "another", CORE, header="X-Ticket", scheme=None)
    async with AtomHTTP(auth=auth) as client:
        with everything_logged() as lines, pytest.raises(AtomHTTPError) as caught:
            await client.get(CLOSED)
    assert leaks({**views(caught.value), "log": "\n".join(lines)}) == []
