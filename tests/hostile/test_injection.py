"""Injection: every code point at every position of a request, brought in by every carrier (hazards C1, C2, C5, C6, A9).

What must come of each is written down by the grammars in `hostile.injection`. The bytes are those of the network's
writer, caught in its place; `test_injection_wire` sends a tenth of the same over sockets, to h11.

A value given by the call holds every code point of the alphabet; one that another carrier brings, all of ASCII that is
no letter or digit, and a tenth of the rest. HOSTILE=full tries everything in three places, by every carrier.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import pytest

from atomhttp import AtomHTTPURLError, BasicAuth, BearerAuth, DigestAuth, RequestConfig, SyncAtomHTTP
from atomhttp.adapters import AdapterResponse
from hostile.injection import (
    BAD_URL,
    BARE,
    CANARY,
    COOKIE_OCTETS,
    TOKEN,
    Bench,
    Outcome,
    Refused,
    Sent,
    basic,
    chance_for,
    every_text,
    field_value,
    has_control,
    is_cookie_value,
    is_token,
    is_unicode,
    query_component,
    read_request,
    request_for,
    some_texts,
)

URL = "http://h.test:8080/a"


# How a value gets into a call


def by_call(bench: Bench, options: dict[str, Any]) -> None:
    bench.client.request(options.pop("method", "GET"), options.pop("url", URL), **options)


def by_mapping(bench: Bench, options: dict[str, Any]) -> None:
    bench.client.request({"method": "GET", "url": URL, **options})


def by_config(bench: Bench, options: dict[str, Any]) -> None:
    bench.client.request(RequestConfig({"method": "GET", "url": URL}, **options))


def by_client(bench: Bench, options: dict[str, Any]) -> None:
    headers = {**BARE, **options.pop("headers", {})}
    SyncAtomHTTP(**{**bench.options, **options, "headers": headers}).get(URL)


def by_defaults(bench: Bench, options: dict[str, Any]) -> None:
    headers = options.pop("headers", {})
    defaults = bench.client.defaults
    try:
        for name, value in headers.items():
            defaults.headers[name] = value
        for name, value in options.items():
            setattr(defaults, name, value)
        bench.client.get(URL)
    finally:
        for name in headers:
            if name in defaults.headers:
                del defaults.headers[name]
        for name in options:
            delattr(defaults, name)


def by_interceptor(bench: Bench, options: dict[str, Any]) -> None:
    def change(config: RequestConfig) -> None:
        config.headers.update(options.pop("headers", {}))
        for name, value in options.items():
            setattr(config, name, value)

    with_interceptor(bench, change)


def by_returning_interceptor(bench: Bench, options: dict[str, Any]) -> None:
    with_interceptor(bench, lambda config: options)


def with_interceptor(bench: Bench, function: Callable[[RequestConfig], Any]) -> None:
    bench.intercept = function
    bench.intercepted.get(URL)


CARRIERS = {
    "call": by_call,
    "mapping": by_mapping,
    "config": by_config,
    "client": by_client,
    "defaults": by_defaults,
    "interceptor": by_interceptor,
    "returned": by_returning_interceptor,
}
# What only a call has.
OF_CALLS = ("call", "mapping", "config", "interceptor", "returned")


# Carriers of header fields alone


def by_layer(bench: Bench, headers: dict[str, Any]) -> None:
    layer = bench.client.defaults.headers.common
    try:
        layer.update(headers)
        bench.client.get(URL)
    finally:
        for name in headers:
            if name in layer:
                del layer[name]


def by_transformer(bench: Bench, headers: dict[str, Any]) -> None:
    bench.client.get(URL, transformRequest=lambda data, fields: fields.update(headers))


def by_redirect(bench: Bench, headers: dict[str, Any]) -> None:
    def before_redirect(request: Any, response: Any) -> dict[str, Any]:
        bench.tap.raw.clear()  # it is the second request that is looked at
        return headers

    bench.tap.answers.append(AdapterResponse(302, {"Location": "/a"}))
    bench.client.get("http://h.test:8080/first", before_redirect=before_redirect)


class Flow:
    def __init__(self, headers: dict[str, Any]) -> None:
        self._headers = headers

    def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        request.headers.update(self._headers)
        yield request


class HeaderAuth:
    def __init__(self, headers: dict[str, Any]) -> None:
        self._headers = headers

    def get_header(self) -> dict[str, Any]:
        return self._headers


def by_flow(bench: Bench, headers: dict[str, Any]) -> None:
    bench.client.get(URL, auth=Flow(headers))


def by_function(bench: Bench, headers: dict[str, Any]) -> None:
    bench.client.get(URL, auth=lambda request: request.headers.update(headers))


def by_header_auth(bench: Bench, headers: dict[str, Any]) -> None:
    bench.client.get(URL, auth=HeaderAuth(headers))


def with_options(carrier: Callable[[Bench, dict[str, Any]], None]) -> Callable[[Bench, dict[str, Any]], None]:
    return lambda bench, headers: carrier(bench, {"headers": headers})


HEADER_CARRIERS = {
    **{name: with_options(carrier) for name, carrier in CARRIERS.items()},
    "layer": by_layer,
    "transformer": by_transformer,
    "redirect": by_redirect,
    "flow": by_flow,
    "function": by_function,
    "header auth": by_header_auth,
}


def texts_for(carrier: str, text: str, *name: object) -> Iterable[str]:
    chance = chance_for(carrier, *name)
    texts = every_text(text, chance) if carrier == "call" else some_texts(text, chance)
    # Ada does not hold host names to all of the Bidi rule (RFC 5893); that sends no byte more or less.
    return (each for each in texts if name != ("host",) or "\u05d0" not in each)


# Header fields


def a_field(name: str, value: str) -> Outcome:
    sent = field_value(value)
    return Refused("headers") if sent is None else Sent(fields=((name.encode(), sent),))


@pytest.mark.parametrize("carrier", HEADER_CARRIERS)
def test_field_values(carrier: str) -> None:
    bench = Bench(carrier)
    for text in texts_for(carrier, CANARY, "value"):
        bench.try_cell(text, a_field("X-Field", text), HEADER_CARRIERS[carrier], bench, {"X-Field": text})
    bench.done(at_least=80)


@pytest.mark.parametrize("carrier", HEADER_CARRIERS)
def test_field_names(carrier: str) -> None:
    bench = Bench(carrier)
    for name in texts_for(carrier, "X-Name", "name"):
        expected = Sent(fields=((name.encode(), b"v"),)) if is_token(name) else Refused("headers")
        bench.try_cell(name, expected, HEADER_CARRIERS[carrier], bench, {name: "v"})
    bench.done(at_least=80)


@pytest.mark.parametrize(
    "name", ["Cookie", "Authorization", "Content-Type", "User-Agent", "Referer", "Idempotency-Key"]
)
def test_fields_that_mean_something(name: str) -> None:
    """They take ways of their own: credentials by origin, cookies by the jar, content types by the content."""
    bench = Bench(name)
    carriers = [HEADER_CARRIERS[each] for each in ("call", "returned", "interceptor", "flow")]
    for text in every_text(CANARY, bench.chance):
        bench.try_cell(text, a_field(name, text), bench.chance.choice(carriers), bench, {name: text})
    bench.done(at_least=400)


def test_host() -> None:
    bench = Bench("host")
    for text in every_text("other.test", bench.chance):
        sent = field_value(text)
        expected = Refused("headers") if sent is None else Sent(host=sent)
        bench.try_cell(text, expected, bench.client.get, URL, headers={"Host": text})
    bench.done(at_least=80)


def test_field_values_as_bytes() -> None:
    """They are text as well: what is no UTF-8 is taken for Latin-1, and all of it is sent as UTF-8."""
    bench = Bench("bytes")
    for code in range(0x100):
        for value in (bytes([code]) + b"val", b"va" + bytes([code]) + b"l", b"val" + bytes([code])):
            expected = a_field("X-Field", value.decode("latin-1"))
            bench.try_cell(repr(value), expected, bench.client.get, URL, headers={"X-Field": value})
    bench.done(at_least=80)


def test_field_values_in_lists() -> None:
    bench = Bench("list")
    for text in every_text(CANARY, bench.chance):
        sent = field_value(text)
        expected: Outcome = Refused("headers")
        if sent is not None:
            expected = Sent(fields=((b"X-Field", b"first"), (b"X-Field", sent), (b"X-Field", b"7")))
        bench.try_cell(text, expected, bench.client.get, URL, headers={"X-Field": ["first", text, 7]})
    bench.done(at_least=80)


# Fields that frame the message: refused, or said by the engine alone, and once


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("TE", "trailers"),
        ("Trailer", "X-Sum"),
        ("transfer-encoding", "identity"),
    ],
)
def test_what_frames_a_message_is_nobodys_to_set(name: str, value: str) -> None:
    bench = Bench(name)
    for text in every_text(value, bench.chance):
        bench.try_cell(text, Refused("headers"), bench.client.post, URL, b"abc", headers={name: text})
    bench.done(at_least=80)


OCTETS = (b"Content-Type", b"application/octet-stream")


def framed(name: str, value: str) -> Outcome:
    """A POST of three bytes with that field of the caller's."""
    plain = value.strip(" \t")
    said: dict[str, tuple[tuple[bytes, bytes], ...] | None] = {
        "Content-Length": () if re.fullmatch("0*3", plain) else None,
        "Connection": {
            "close": ((b"Connection", b"close"),),
            "keep-alive": ((b"Connection", b"keep-alive"),),
        }.get(plain),
        "Expect": ((b"Expect", b"100-continue"),) if plain == "100-continue" else None,
    }
    fields = said[name]
    return Refused("headers") if fields is None else Sent(b"POST", body=b"abc", fields=(OCTETS, *fields))


@pytest.mark.parametrize(
    ("name", "value"),
    [("Content-Length", "3"), ("Connection", "close"), ("Connection", "keep-alive"), ("Expect", "100-continue")],
)
def test_what_may_be_said_about_framing_is_said_once(name: str, value: str) -> None:
    bench = Bench(name, value)
    for text in every_text(value, bench.chance):
        bench.try_cell(text, framed(name, text), bench.client.post, URL, b"abc", headers={name: text})
    bench.done(at_least=80)


@pytest.mark.parametrize("carrier", ["flow", "function", "redirect"])
def test_framing_from_inside_the_exchange(carrier: str) -> None:
    """What auth and beforeRedirect say of framing is refused, or is not what is sent."""
    bench = Bench(carrier)
    for name in ("Host", "Content-Length", "Transfer-Encoding", "Upgrade", "TE", "Trailer"):
        for value in (["a.test", "b.test"], ["3", "4"], "chunked"):
            expected: Outcome = Refused("headers")
            if name in ("Content-Length", "Transfer-Encoding"):
                expected = Sent()  # the engine's own word counts
            elif name == "Host" and value == "chunked":
                expected = Sent(host=b"chunked")
            bench.try_cell(f"{name} {value}", expected, HEADER_CARRIERS[carrier], bench, {name: value})
    bench.done(at_least=18)


# Methods


@pytest.mark.parametrize("carrier", OF_CALLS)
def test_methods(carrier: str) -> None:
    bench = Bench(carrier)
    for text in texts_for(carrier, "PURGE", "method"):
        expected = Sent(text.encode()) if is_token(text) else Refused("method")
        bench.try_cell(text, expected, CARRIERS[carrier], bench, {"method": text})
    bench.done(at_least=80)


@pytest.mark.parametrize("text", ["po\u017ft", "opt\u0131ons", "\uff27\uff25\uff34", "get\u0130", "pa\u1d57ch"])
def test_no_method_becomes_one_by_its_case(text: str) -> None:
    """U+017F is an S in upper case, U+0131 an I."""
    bench = Bench("case")
    bench.try_cell(text, Refused("method"), bench.client.request, text, URL)
    bench.done()


# URLs


class Part(NamedTuple):
    """A part of a URL: what stands before it, in it, behind it."""

    before: str
    text: str
    behind: str


PARTS = {
    "scheme": Part("", "http", "://h.test:8080/a"),
    "user": Part("http://", "user", ":pass@h.test:8080/a"),
    "password": Part("http://user:", CANARY, "@h.test:8080/a"),
    "host": Part("http://", "exam.test", ":8080/a"),
    "port": Part("http://h.test:", "80", "/a"),
    "path": Part("http://h.test:8080/", "path", "/z"),
    "query": Part("http://h.test:8080/a?token=", CANARY, "&z"),
    "fragment": Part("http://h.test:8080/a#", "part", ""),
}


@pytest.mark.parametrize("carrier", ["call", "interceptor"])
@pytest.mark.parametrize("part", PARTS)
def test_urls(part: str, carrier: str) -> None:
    bench = Bench(part, carrier)
    before, value, behind = PARTS[part]
    for text in texts_for(carrier, value, part):
        url = before + text + behind
        bench.try_cell(url, request_for(url), CARRIERS[carrier], bench, {"url": url})
    bench.done(at_least=80)


@pytest.mark.parametrize("carrier", ["client", "defaults", "interceptor"])
@pytest.mark.parametrize("part", [part for part in PARTS if part not in ("scheme", "port", "fragment")])
def test_base_urls(part: str, carrier: str) -> None:
    bench = Bench(part, carrier)
    before, value, behind = PARTS[part]
    for text in texts_for(carrier, value, part):
        base = before + text + behind
        bench.try_cell(base, request_for(base), with_base, CARRIERS[carrier], bench, base)
    bench.done(at_least=80)


def with_base(carrier: Callable[[Bench, dict[str, Any]], None], bench: Bench, base: str) -> None:
    if carrier is by_client:
        SyncAtomHTTP(**bench.options, baseURL=base).get("")
    elif carrier is by_defaults:
        try:
            bench.client.defaults.baseURL = base
            bench.client.get("")
        finally:
            del bench.client.defaults.baseURL
    else:
        carrier(bench, {"baseURL": base, "url": ""})


@pytest.mark.parametrize("part", PARTS)
def test_encoded_line_ends_stay_encoded(part: str) -> None:
    bench = Bench(part)
    for text in ("\r\n", "\n", "\r", "\0", "\t", " ", "%0d%0a", "%0D%0AX: 1", "\u560d\u560a", "\x85"):
        check_line_end(bench, part, text)
    bench.done(at_least=10)


def check_line_end(bench: Bench, part: str, text: str) -> None:
    before, value, behind = PARTS[part]
    url = before + value[:2] + text + value[2:] + behind
    expected = request_for(url)
    if part in ("user", "password", "host") and "%" in text:
        # Decoded, it is a control character, which neither a host nor Basic can hold.
        expected = Refused("username" if part == "user" else "password")
        if part == "host":
            expected = Refused("", AtomHTTPURLError, BAD_URL)
    bench.try_cell(url, expected, bench.client.get, url)


# Parameters


@pytest.mark.parametrize(
    ("where", "carrier"),
    [
        *((where, carrier) for where in ("name", "value") for carrier in ("call", "client", "defaults", "interceptor")),
        *(("pairs", "call"), ("pairs", "returned"), ("nested", "call"), ("nested", "returned")),
    ],
)
def test_params(where: str, carrier: str) -> None:
    bench = Bench(where, carrier)
    for text in texts_for(carrier, "token", where):
        params: Any = {
            "name": {text: CANARY},
            "value": {"token": text},
            "pairs": [(text, text)],
            "nested": {"a": {text: text}},
        }[where]
        # axios trims names.
        name, value = text.strip(), text
        if where == "name":
            value = CANARY
        elif where == "value":
            name = "token"
        elif where == "nested":
            name = f"a[{name}]"
        expected: Outcome = Refused("params")
        if is_unicode(text):
            expected = Sent(target=b"/a?" + query_component(name) + b"=" + query_component(value))
        bench.try_cell(text, expected, CARRIERS[carrier], bench, {"params": params})
    bench.done(at_least=80)


def test_params_that_are_text() -> None:
    """A query that the caller has encoded: kept, but for what would end it or is no ASCII."""
    bench = Bench("query")
    for text in every_text("a=b", bench.chance):
        expected: Outcome = Refused("params")
        if is_unicode(text):
            url = URL + "?" + text.removeprefix("?").replace("#", "%23")
            escaped = "".join(f"%{ord(char):02X}" if has_control(char) or char in " \\" else char for char in url)
            expected = request_for(escaped)
            if isinstance(expected, Sent) and "\\" in text:
                # Not in the URL's set: only the bare URL must not hold it.
                expected = Refused("", AtomHTTPURLError, BAD_URL)
        bench.try_cell(text, expected, bench.client.get, URL, params=text)
    bench.done(at_least=80)


@pytest.mark.parametrize("function", ["encode", "serialize"])
def test_params_by_the_callers_serializer(function: str) -> None:
    """What it returns is taken for encoded; it is read as a URL's query all the same."""
    bench = Bench(function)
    for text in some_texts("value", bench.chance):
        serializer = {function: partial(give, f"k={text}" if function == "serialize" else text)}
        written = f"k={text}" if function == "serialize" else f"{text}={text}"
        if function == "serialize" and is_unicode(text):
            written = written.replace("#", "%23")
            written = "".join(f"%{ord(char):02X}" if has_control(char) or char == " " else char for char in written)
        expected = request_for(f"{URL}?{written}")
        if function == "serialize" and not is_unicode(text):
            expected = Refused("params")
        bench.try_cell(text, expected, bench.client.get, URL, params={"k": "v"}, paramsSerializer=serializer)
    bench.done(at_least=80)


def give(text: str, given: object) -> str:
    return text


# Cookies


@pytest.mark.parametrize("carrier", ["call", "client", "defaults", "interceptor", "jar"])
@pytest.mark.parametrize("where", ["name", "value"])
def test_cookies(where: str, carrier: str) -> None:
    bench = Bench(where, carrier, baseURL="http://h.test:8080")
    for text in texts_for(carrier, CANARY if where == "value" else "name", where):
        name, value = (text, CANARY) if where == "name" else ("name", text)
        expected: Outcome = Refused("cookies" if carrier != "jar" else "cookie")
        if COOKIE_OCTETS.issuperset(name) and "=" not in name and is_cookie_value(value):
            expected = Sent(fields=((b"Cookie", f"{name}={value}".encode()),))
        if carrier == "jar":
            bench.try_cell(text, expected, by_jar, bench, name, value)
        else:
            bench.try_cell(text, expected, CARRIERS[carrier], bench, {"cookies": {name: value}})
    bench.done(at_least=80)


def by_jar(bench: Bench, name: str, value: str) -> None:
    bench.client.cookies.set(name, value, url=URL)
    try:
        bench.client.get(URL)
    finally:
        bench.client.cookies.clear()


@pytest.mark.parametrize("option", ["xsrfCookieName", "xsrfHeaderName"])
def test_names_of_the_xsrf_token(option: str) -> None:
    bench = Bench(option, baseURL="http://h.test:8080")
    for text in every_text("token", bench.chance):
        names = {"xsrfCookieName": "c", "xsrfHeaderName": "h", option: text}
        expected: Outcome = Refused(option)
        if is_token(text):
            cookie, header = names["xsrfCookieName"], names["xsrfHeaderName"]
            expected = Sent(fields=((b"Cookie", f"{cookie}=v".encode()), (header.encode(), b"v")))
        cookies = {names["xsrfCookieName"]: "v"} if isinstance(expected, Sent) else {"c": "v"}
        bench.try_cell(text, expected, bench.client.get, "/a", cookies=cookies, withXSRFToken=True, **names)
    bench.done(at_least=80)


# Credentials


def check_credentials(text: str, what: str) -> Outcome | None:
    if has_control(text) or not is_unicode(text) or (what == "username" and ":" in text):
        return Refused(what)
    return None


@pytest.mark.parametrize("carrier", ["call", "defaults", "interceptor"])
@pytest.mark.parametrize("what", ["username", "password"])
def test_basic_auth(what: str, carrier: str) -> None:
    bench = Bench(what, carrier)
    shapes: list[Callable[[str, str], Any]] = [
        BasicAuth,
        lambda user, password: (user, password),
        lambda user, password: {"username": user, "password": password},
    ]
    for text in texts_for(carrier, CANARY, what):
        user, password = (text, CANARY) if what == "username" else ("user", text)
        shape = bench.chance.choice(shapes)
        expected = check_credentials(text, what) or Sent(fields=(basic(user, password),))
        bench.try_cell(text, expected, by_shape, CARRIERS[carrier], bench, shape, user, password)
    bench.done(at_least=80)


def by_shape(
    carrier: Callable[[Bench, dict[str, Any]], None],
    bench: Bench,
    shape: Callable[[str, str], Any],
    user: str,
    password: str,
) -> None:
    carrier(bench, {"auth": shape(user, password)})


def test_bearer_auth() -> None:
    bench = Bench("bearer")
    for text in every_text(CANARY, bench.chance):
        expected = check_credentials(text, "token")
        if expected is None:
            expected = Sent(fields=((b"Authorization", f"Bearer {text}".strip(" ").encode()),))
        bench.try_cell(text, expected, by_bearer, bench, text)
    bench.done(at_least=80)


def by_bearer(bench: Bench, token: str) -> None:
    bench.client.get(URL, auth=BearerAuth(token))


_PARAMETER = re.compile(rb'([a-z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))(?:, |\Z)')


def digest_parameters(value: bytes) -> dict[bytes, bytes]:
    """RFC 7616 section 3.4, quoted pairs undone; AssertionError when a byte is left over."""
    assert value.startswith(b"Digest ")
    place, read = len(b"Digest "), {}
    while place < len(value):
        found = _PARAMETER.match(value, place)
        assert found is not None, value[place:]
        assert found[1] not in read, found[1]
        read[found[1]] = found[3] if found[2] is None else re.sub(rb"\\(.)", rb"\1", found[2])
        place = found.end()
    return read


@pytest.mark.parametrize("charset", ["", ', charset="UTF-8"'], ids=["plain", "utf-8"])
def test_digest_usernames(charset: str) -> None:
    """RFC 7616 section 3.4; with a charset, what is not ASCII goes as RFC 8187 has it."""
    bench = Bench("digest", charset)
    challenge = AdapterResponse(401, {"WWW-Authenticate": f'Digest realm="r", nonce="n"{charset}'})
    for text in every_text(CANARY, bench.chance):
        name = unicodedata.normalize("NFC", text) if charset else text  # RFC 7616 section 4
        response = hash_of(f"{hash_of(f'{name}:r:{CANARY}')}:n:{hash_of('GET:/a')}")  # RFC 2069 section 2.1.2
        said = f'Digest username="{name}" realm="r" uri="/a" nonce="n" response="{response}"'
        expected = check_credentials(text, "username") or Sent(fields=((b"Authorization", said.encode()),))
        bench.try_cell(text, expected, by_digest, bench, challenge, text)
    bench.done(at_least=400)


def by_digest(bench: Bench, challenge: AdapterResponse, username: str) -> None:
    bench.tap.answers[:] = [challenge]
    bench.client.get(URL, auth=DigestAuth(username, CANARY))
    assert bench.tap.raw.pop(0) == b"GET /a HTTP/1.1\r\nHost: h.test:8080\r\n\r\n"
    bench.tap.raw[0] = rewritten(bench.tap.raw[0])


def hash_of(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogatepass")).hexdigest()


def rewritten(raw: bytes) -> bytes:
    """The request with its digest as plain as can be, every parameter between quotes that nothing escapes."""
    ((_, value),) = read_request(raw).fields
    said = digest_parameters(value)
    if (user := said.pop(b"username*", None)) is not None:
        said = {b"username": unquote_to_bytes(user.removeprefix(b"UTF-8''")), **said}
    plain = b" ".join(b'%b="%b"' % pair for pair in said.items())
    assert raw.count(value) == 1
    return raw.replace(value, b"Digest " + plain)


def test_the_token_alphabet_is_that_of_the_rfc() -> None:
    """RFC 9110 section 5.6.2, counted."""
    assert len(TOKEN) == 15 + 10 + 52
    assert len(COOKIE_OCTETS) == 0x7F - 0x21 - 4
