"""Injection on real sockets: a tenth of `test_injection`, and the words of a server that go into our next request.

The server keeps every byte, and reads them by h11: one request is one request, and behind it there is nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPError,
    AtomHTTPProtocolError,
    AtomHTTPProxyError,
    AtomHTTPRedirectError,
    BasicAuth,
    BearerAuth,
    DigestAuth,
    FormData,
    SyncAtomHTTP,
)
from atomhttp.auth import NetrcAuth
from hostile.injection import (
    BARE,
    CANARY,
    CODES,
    COOKIE_OCTETS,
    IS_FULL,
    NO_URL,
    Bench,
    Outcome,
    Recorder,
    Refused,
    Sent,
    a_tenth,
    answer,
    basic,
    chance_for,
    every_text,
    field_value,
    form_component,
    has_control,
    is_cookie_value,
    is_token,
    is_unicode,
    judge,
    on_the_wire,
    query_component,
    read_request,
    report,
    request_for,
    some_texts,
)

# A tenth of the matrix


class Position(NamedTuple):
    """Where a text stands, which options put it there, and what comes of it at `host`."""

    text: str
    options: Callable[[str, str], dict[str, Any]]
    expect: Callable[[str], Outcome]


def _field(text: str) -> Outcome:
    value = field_value(text)
    return Refused("headers") if value is None else Sent(fields=((b"X-Field", value),))


def _basic(text: str) -> Outcome:
    wrong = has_control(text) or not is_unicode(text)
    return Refused("password") if wrong else Sent(fields=(basic("user", text),))


def _bearer(text: str) -> Outcome:
    wrong = has_control(text) or not is_unicode(text)
    value = f"Bearer {text}".strip(" ")
    return Refused("token") if wrong else Sent(fields=((b"Authorization", value.encode()),))


def _param(text: str) -> Outcome:
    return Sent(target=b"/a?token=" + query_component(text)) if is_unicode(text) else Refused("params")


def _cookie(text: str) -> Outcome:
    fields = ((b"Cookie", f"name={text}".encode("utf-8", "replace")),)
    return Sent(fields=fields) if is_cookie_value(text) else Refused("cookies")


def _form(text: str) -> Outcome:
    fields = ((b"Content-Type", b"application/x-www-form-urlencoded"),)
    return Sent(b"POST", fields=fields, body=b"a=" + form_component(text)) if is_unicode(text) else Refused("form")


def _multipart(text: str) -> Outcome:
    name = text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
    head = f'--b\r\nContent-Disposition: form-data; name="a"; filename="{name}"\r\nContent-Type: a/b\r\n\r\n'
    if not is_unicode(text):
        return Refused("form")
    fields = ((b"Content-Type", b"multipart/form-data; boundary=b"),)
    return Sent(b"POST", fields=fields, body=head.encode() + b"v\r\n--b--\r\n")


def _of_url(before: str, behind: str) -> Callable[[str], Outcome]:
    """A URL of the recorder's: whatever port it has, it is expected under that of the tests without one."""
    return lambda text: request_for(f"http://h.test:8080{before}{text}{behind}")


def _method(text: str) -> Outcome:
    return Sent(text.encode()) if is_token(text) else Refused("method")


def _name(text: str) -> Outcome:
    return Sent(fields=((text.encode(), b"v"),)) if is_token(text) else Refused("headers")


POSITIONS = {
    "method": Position("PURGE", lambda text, url: {"method": text}, _method),
    "path": Position("path", lambda text, url: {"url": f"{url}/{text}/z"}, _of_url("/", "/z")),
    "query": Position("query", lambda text, url: {"url": f"{url}/a?{text}&z"}, _of_url("/a?", "&z")),
    "fragment": Position("part", lambda text, url: {"url": f"{url}/a#z{text}z"}, _of_url("/a#z", "z")),
    "params": Position(CANARY, lambda text, url: {"params": {"token": text}}, _param),
    "name": Position("X-Name", lambda text, url: {"headers": {text: "v"}}, _name),
    "value": Position(CANARY, lambda text, url: {"headers": {"X-Field": text}}, _field),
    "cookie": Position(CANARY, lambda text, url: {"cookies": {"name": text}}, _cookie),
    "basic": Position(CANARY, lambda text, url: {"auth": ("user", text)}, _basic),
    "bearer": Position(CANARY, lambda text, url: {"auth": BearerAuth(text)}, _bearer),
    "form": Position(CANARY, lambda text, url: {"method": "POST", "form": {"a": text}}, _form),
    "file": Position("name", lambda text, url: _post_file(text), _multipart),
}


def _post_file(name: str) -> dict[str, Any]:
    form = FormData()
    form.append("a", b"v", name, "a/b")
    return {"method": "POST", "data": form, "headers": {"Content-Type": "multipart/form-data; boundary=b"}}


def prepared(name: str, text: str, url: str) -> dict[str, Any]:
    """The options of a call; it may be refused here already."""
    return {"method": "GET", "url": f"{url}/a", **POSITIONS[name].options(text, url)}


def texts_of(name: str) -> list[str]:
    chance = chance_for("wire", name)
    return a_tenth(every_text(POSITIONS[name].text, chance), chance)


class Ledger:
    """Judges what a recorder got for each text; at the end no request is left over."""

    def __init__(self, recorder: Recorder, url: str) -> None:
        self._recorder = recorder
        self._host = url.partition("://")[2].encode()
        self._cells = 0
        self._complaints: list[str] = []

    def judge(self, name: str, text: str, error: AtomHTTPError | None) -> None:
        self._cells += 1
        raw = [each.replace(b"Host: " + self._host, b"Host: h.test:8080", 1) for each in self._recorder.take()]
        complaint = judge(POSITIONS[name].expect(text), raw, error, by_h11=False)
        if complaint:
            self._complaints.append(f"{name} {text!a}: {complaint}")

    def done(self) -> None:
        assert self._cells >= 20
        assert self._recorder.take() == []
        assert self._recorder.broken == []
        # What was refused did not cost a connection, what was sent left a clean one.
        assert self._recorder.connections == 1
        report(self._complaints, self._cells)


@pytest.mark.parametrize("name", POSITIONS)
def test_a_tenth_of_it_synchronously(name: str) -> None:
    with on_the_wire() as (recorder, client, _):
        url = f"http://h.test:{recorder.port}"
        ledger = Ledger(recorder, url)
        for text in texts_of(name):
            error = None
            try:
                client.request(prepared(name, text, url))
            except AtomHTTPError as caught:
                error = caught
            ledger.judge(name, text, error)
        ledger.done()


@pytest.mark.parametrize("name", POSITIONS)
async def test_a_tenth_of_it_asynchronously(name: str) -> None:
    with Recorder() as recorder:
        url = f"http://h.test:{recorder.port}"
        ledger = Ledger(recorder, url)
        options = {"timeout": 10, "trust_env": False, "headers": BARE, "resolver": lambda host, port: ["127.0.0.1"]}
        async with AtomHTTP(**options) as client:
            for text in texts_of(name):
                error = None
                try:
                    await client.request(prepared(name, text, url))
                except AtomHTTPError as caught:
                    error = caught
                ledger.judge(name, text, error)
        ledger.done()


async def test_all_at_once_on_few_connections() -> None:
    """Requests that stand behind each other on a connection, in whatever order: as many as were not refused."""
    with Recorder() as recorder:
        url = f"http://h.test:{recorder.port}"
        chance = chance_for("at once")
        texts = [text for text in every_text(CANARY, chance) if chance.random() < 0.5]
        options = {"timeout": 10, "trust_env": False, "headers": BARE, "resolver": lambda host, port: ["127.0.0.1"]}
        async with AtomHTTP(maxConnections=5, **options) as client:
            calls = [client.get(f"{url}/a", headers={"X-Field": text}) for text in texts]
            results = await client.all(calls, return_exceptions=True)
        sent = sorted(read_request(raw).fields[0][1] for raw in recorder.take())
        assert sent == sorted(value for text in texts if (value := field_value(text)) is not None)
        assert [isinstance(result, AtomHTTPError) for result in results] == [
            field_value(text) is None for text in texts
        ]
        assert recorder.connections <= 5


# Resent requests


def test_a_retry_sends_the_same_bytes() -> None:
    with on_the_wire(retryConfig={"max_retries": 2, "backoff_factor": 0}) as (recorder, client, _):
        for code in (0x09, 0x20, 0x22, 0x2C, 0x3A, 0x5C, 0x80, 0x85, 0xA0, 0xFF, 0x10A, 0x10D, 0x17F, 0x2028, 0x560A):
            recorder.answers[:] = [answer(503), answer(503)]
            key = f"k{chr(code)}k"
            url = f"http://h.test:{recorder.port}/a"
            client.post(url, FormData({key: key}), headers={"Idempotency-Key": key}, params={key: key})
            sent = recorder.take()
            assert len(sent) == 3
            assert sent[0] == sent[1] == sent[2]


# What a server says, in our next request


def bytes_in(before: bytes, behind: bytes, *, every: bool = False) -> Iterator[tuple[bytes, bytes]]:
    """Every byte of ASCII, and of the others, and of the code points beyond it in UTF-8, a tenth or `every` one."""
    beyond = [chr(code) for code in CODES if code >= 0x80 and is_unicode(chr(code))]
    chance = chance_for(before, behind)
    chars = [bytes([code]) for code in range(0x100) if code < 0x80 or every or IS_FULL or chance.random() < 0.1]
    for char in chars + [char.encode() for char in a_tenth(beyond, chance)]:
        yield char, before + char + behind


def is_head(said: bytes) -> bool:
    """Whether it may stand in a field (RFC 9110 section 5.5)."""
    return not any(byte == 0x7F or (byte < 0x20 and byte != 9) for byte in said)


def decoded(said: bytes) -> str:
    """As received fields are read (contract: Response)."""
    try:
        return said.decode()
    except UnicodeDecodeError:
        return said.decode("latin-1")


def following(client: SyncAtomHTTP, recorder: Recorder, said: bytes, **options: Any) -> tuple[list[bytes], Any]:
    """What was sent behind a first request that was answered by `said`, and what came of the call."""
    recorder.answers[:] = [said]
    outcome: Any
    try:
        outcome = client.get(f"http://h.test:{recorder.port}/first", **options)
    except AtomHTTPError as error:
        outcome = error
    recorder.answers.clear()
    sent = recorder.take()
    assert sent[0].startswith(b"GET /first HTTP/1.1\r\n")
    return sent[1:], outcome


LOCATIONS = {
    "path": (b"/b", b"c"),
    "start": (b"", b"/b"),
    "end": (b"/b", b""),
    "query": (b"/b?c", b"d"),
    "fragment": (b"/b#c", b"d"),
    "host": (b"http://x", b"y.test:PORT/b"),
    "user": (b"http://u", b":p@h.test:PORT/b"),
    "port": (b"http://h.test:PORT", b"/b"),
    "scheme": (b"http", b"://h.test:PORT/b"),
}


@pytest.mark.parametrize("place", LOCATIONS)
def test_locations(place: str) -> None:
    """One more request, for the URL that it is, or ERR_BAD_REDIRECT; a broken head is the end before."""
    complaints = []
    cells = 0
    with on_the_wire() as (recorder, client, _):
        port = str(recorder.port).encode()
        before, behind = (part.replace(b"PORT", port) for part in LOCATIONS[place])
        for char, location in bytes_in(before, behind, every=place == "path"):
            if len(char) == 1 and char in b"/?#@0123456789" and place in ("host", "user", "port", "scheme"):
                continue  # it leads to another port, where nobody is
            if place == "host" and char == "\u05d0".encode():
                continue  # as in test_injection
            if (place == "start" and char in (b"/", b".", b"?", b"#")) or (place == "scheme" and char in (b"s", b"S")):
                continue  # those have a meaning of their own there
            cells += 1
            sent, outcome = following(client, recorder, answer(302, (b"Location", location)))
            complaint = judge_redirect(location, sent, outcome, f"http://h.test:{recorder.port}")
            if complaint:
                complaints.append(f"{location!r}: {complaint}")
    report(complaints, cells)


def judge_redirect(location: bytes, sent: list[bytes], outcome: Any, base: str) -> str | None:
    if not is_head(location):
        refused = type(outcome) is AtomHTTPProtocolError and not sent
        return None if refused else f"a broken head, and {outcome!r}, {sent}"
    text = decoded(location.strip(b" \t"))
    # What has no scheme by the grammar (RFC 3986 section 3.1) is a path, as the URL Standard reads it too.
    has_scheme = re.match(r"[A-Za-z][A-Za-z0-9+.\-]*:", text) is not None
    expected = request_for(text if has_scheme else f"{base}/{text.removeprefix('/')}")
    if "\\" in text or (has_scheme and not text.startswith("http://")):
        expected = NO_URL
    if isinstance(expected, Refused):
        refused = type(outcome) is AtomHTTPRedirectError and outcome.code == "ERR_BAD_REDIRECT" and not sent
        return None if refused else f"expected ERR_BAD_REDIRECT, got {outcome!r}, {sent}"
    if isinstance(outcome, AtomHTTPError):
        return f"expected {expected}, got {outcome!r}"
    if len(sent) != 1 or read_request(sent[0]) != expected:
        return f"expected {expected}, got {sent}"
    return None


@pytest.mark.parametrize("where", ["name", "value"])
def test_cookies_that_a_server_sets(where: str) -> None:
    """They come back as they were, octet for octet, or not at all (RFC 6265bis section 5.6)."""
    complaints = []
    with on_the_wire() as (recorder, client, _):
        for char, text in bytes_in(b"a", b"b"):
            if len(char) == 1 and char >= b"\x80":
                continue  # no UTF-8: it is read as Latin-1, and goes back as the UTF-8 of that
            name, value = (text, b"v") if where == "name" else (b"n", text)
            client.cookies.clear()
            url = f"http://h.test:{recorder.port}/a"
            recorder.answers[:] = [answer(200, (b"Set-Cookie", name + b"=" + value + b"; Path=/"))]
            error = None
            try:
                client.get(url)
            except AtomHTTPError as caught:
                error = caught
            assert isinstance(error, AtomHTTPProtocolError) == (not is_head(text)), (text, error)
            recorder.answers.clear()
            client.get(url)
            pair = (name + b"=" + value).partition(b";")[0]
            fields = ((b"Cookie", pair),) if is_head(text) else ()
            if [read_request(raw).fields for raw in recorder.take()] != [(), fields]:
                complaints.append(repr(text))
    assert not complaints, complaints


@pytest.mark.parametrize("parameter", ["realm", "nonce", "opaque", "algorithm", "qop"])
def test_challenges_that_are_reflected(parameter: str) -> None:
    """Into one Authorization field, in which they are what they were; or there is no answer at all."""
    said = {"realm": b"r", "nonce": b"n", "opaque": b"o", "algorithm": b"MD5", "qop": b"auth"}
    answered = 0
    with on_the_wire(auth=DigestAuth("user", CANARY)) as (recorder, client, _):
        value = said[parameter]
        for char, text in bytes_in(value[:1], value[1:]):
            if len(char) == 1 and char >= b"\x80":
                continue  # no UTF-8: it is read as Latin-1, and goes back as the UTF-8 of that
            fields = b", ".join(b'%b="%b"' % (name.encode(), each) for name, each in {**said, parameter: text}.items())
            client.defaults.auth = DigestAuth("user", CANARY)
            sent, outcome = following(client, recorder, answer(401, (b"WWW-Authenticate", b"Digest " + fields)))
            assert isinstance(outcome, AtomHTTPError) == (not is_head(text)), (text, outcome)
            if not sent:
                assert outcome.status == 401 if is_head(text) else True
                continue
            answered += 1
            (raw,) = sent
            ((name, authorization),) = read_request(raw).fields
            assert name == b"Authorization"
            reflected = re.search(parameter.encode() + rb'=(?:"((?:[^"\\]|\\.)*)"|([^", ]+))', authorization)
            assert reflected is not None, authorization
            meant = re.sub(rb"\\(.)", rb"\1", text)
            found = re.sub(rb"\\(.)", rb"\1", reflected[1] or b"") or reflected[2]
            if parameter in ("realm", "nonce", "opaque"):
                assert found == meant, (text, authorization)
            else:
                assert found in (b"auth", b"MD5", b"mD5", b"Md5", b"md5", meant.strip()), (text, authorization)
    assert answered > (0 if parameter in ("algorithm", "qop") else 90)


def test_the_next_nonce_is_reflected_or_forgotten() -> None:
    with on_the_wire() as (recorder, client, _):
        for char, text in bytes_in(b"n", b"x"):
            if len(char) == 1 and char >= b"\x80":
                continue  # no UTF-8: it is read as Latin-1, and goes back as the UTF-8 of that
            if not is_head(text):
                continue
            auth = DigestAuth("user", CANARY)
            url = f"http://h.test:{recorder.port}/a"
            challenge = answer(401, (b"WWW-Authenticate", b'Digest realm="r", nonce="first"'))
            recorder.answers[:] = [challenge, answer(200, (b"Authentication-Info", b'nextnonce="' + text + b'"'))]
            client.get(url, auth=auth)
            client.get(url, auth=auth)
            *_, last = recorder.take()
            ((_, authorization),) = read_request(last).fields
            found = re.search(rb' nonce="((?:[^"\\]|\\.)*)"', authorization)
            assert found is not None
            assert re.sub(rb"\\(.)", rb"\1", found[1]) in (re.sub(rb"\\(.)", rb"\1", text), b"first")


# Proxies


def test_what_a_proxy_is_told_of_a_host() -> None:
    """CPython CVE-2026-1502: CONNECT names the host of the URL and nothing else."""
    complaints = []
    cells = 0
    with on_the_wire() as (recorder, client, _):
        proxy = f"http://user:{CANARY}@127.0.0.1:{recorder.port}"
        for text in some_texts("exam.test", chance_for("connect")):
            if "\u05d0" in text:
                continue  # as in test_injection
            cells += 1
            error = None
            url = f"https://{text}:8443/a"
            try:
                client.get(url, proxy=proxy)
            except AtomHTTPError as caught:
                error = caught
            expected = request_for(url)
            sent = recorder.take()
            if isinstance(expected, Refused):
                if sent or not isinstance(error, AtomHTTPError):
                    complaints.append(f"{url!a}: {sent}")
                continue
            authority = expected.host if b":" in expected.host else expected.host + b":443"
            ((_, credentials),) = (basic("user", CANARY),)
            wanted = b"CONNECT %b HTTP/1.1\r\nHost: %b\r\nProxy-Authorization: %b\r\n\r\n" % (
                authority,
                authority,
                credentials,
            )
            if sent != [wanted] or not isinstance(error, AtomHTTPProxyError) or CANARY in str(error):
                complaints.append(f"{url!a}: {sent}, {error!r}")
    report(complaints, cells)


@pytest.mark.parametrize("what", ["username", "password"])
def test_credentials_of_a_proxy(what: str) -> None:
    bench = Bench("proxy", what)
    for text in every_text(CANARY if what == "password" else "user", bench.chance):
        user, password = (text, CANARY) if what == "username" else ("user", text)
        url = f"http://{user}:{password}@p.test:3128"
        read = request_for(f"{url}/")
        expected: Outcome = Refused("proxy")
        if isinstance(read, Sent) and (read.host, read.target) == (b"p.test:3128", b"/"):
            said = (b"Proxy-Authorization", basic(user, password)[1])
            expected = Sent(target=b"http://h.test:8080/a", fields=(said,))
        bench.try_cell(text, expected, bench.client.get, "http://h.test:8080/a", proxy=url)
        given = {"host": "p.test", "port": 3128, "auth": {"username": user, "password": password}}
        wrong = has_control(text) or not is_unicode(text) or (what == "username" and ":" in text)
        expected = Refused("proxy")
        if not wrong:
            said = (b"Proxy-Authorization", basic(user, password)[1])
            expected = Sent(target=b"http://h.test:8080/a", fields=(said,))
        bench.try_cell(f"{text} in a mapping", expected, bench.client.get, "http://h.test:8080/a", proxy=given)
    bench.done(at_least=400)


def test_the_field_for_a_proxy() -> None:
    """Proxy-Authorization by the caller: it is part of the route, and holds no tab."""
    bench = Bench("proxy field")
    for text in every_text(CANARY, bench.chance):
        value = field_value(text)
        expected: Outcome = Refused("" if value is not None else "headers")
        if value is not None and b"\t" not in value:
            expected = Sent(target=b"http://h.test:8080/a", fields=((b"Proxy-Authorization", value),))
        bench.try_cell(
            text,
            expected,
            bench.client.get,
            "http://h.test:8080/a",
            proxy="http://p.test:3128",
            headers={"Proxy-Authorization": text},
        )
    bench.done(at_least=400)


@pytest.mark.parametrize(
    ("before", "text", "behind"), [("http://h.test:8080/", "path", "/z"), ("http://", "exam.test", ":8080/a")]
)
def test_the_absolute_form(before: str, text: str, behind: str) -> None:
    """RFC 9112 section 3.2.2: the URL as a whole stands in the request line."""
    bench = Bench("absolute", text)
    for each in some_texts(text, bench.chance):
        url = f"{before}{each}{behind}"
        if "\u05d0" in url:
            continue  # as in test_injection
        expected = request_for(url)
        if isinstance(expected, Sent):
            expected = Sent(
                target=b"http://" + expected.host + expected.target, host=expected.host, fields=expected.fields
            )
        bench.try_cell(url, expected, bench.client.get, url, proxy="http://p.test:3128")
    bench.done(at_least=80)


# netrc


def test_netrc(tmp_path: Path) -> None:
    """Every character that a netrc file can hold without quotes, in a login and a password; none breaks the field."""
    path = tmp_path / "netrc"
    chars = [
        chr(code) for code in CODES if is_unicode(chr(code)) and not chr(code).isspace() and chr(code) not in '"\\#:'
    ]
    sendable = [char for char in chars if not has_control(char)]
    lines = [f"machine h{ord(char)}.test login u{char}r password p{char}w" for char in sendable]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o600)
    bench = Bench("netrc")
    auth = NetrcAuth(path)
    for char in sendable:
        host = f"h{ord(char)}.test".encode()
        expected = Sent(host=host, fields=(basic(f"u{char}r", f"p{char}w"),))
        bench.try_cell(char, expected, bench.client.get, f"http://{host.decode()}/a", auth=auth)
    for char in set(chars) - set(sendable):
        path.write_text(f"machine h.test login u{char}r password {CANARY}", encoding="utf-8")
        bench.try_cell(char, Refused("NetrcAuth"), by_netrc, bench, path)
    bench.done(at_least=380)


def by_netrc(bench: Bench, path: Path) -> None:
    bench.client.get("http://h.test/a", auth=NetrcAuth(path))


def test_cookie_octets_go_over_the_wire() -> None:
    """All of them at once."""
    value = "".join(sorted(COOKIE_OCTETS))
    with on_the_wire() as (recorder, client, _):
        client.get(f"http://h.test:{recorder.port}/a", cookies={"n": value}, auth=BasicAuth("u", "p"))
        (raw,) = recorder.take()
        assert (b"Cookie", f"n={value}".encode()) in read_request(raw).fields
