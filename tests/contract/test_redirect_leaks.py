"""What a redirect may tell another origin (contract: Redirects; hazards: A1-A9, A12).

Most of it is asked of an adapter that remembers what it was given: then any host may be named, and any scheme.
"""

from __future__ import annotations

import base64
import logging
import pickle
import ssl
import traceback
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp import (
    AdapterResponse,
    AtomHTTPRedirectError,
    AtomHTTPStatusError,
    AtomHTTPTLSError,
    BasicAuth,
    BearerAuth,
    Request,
    SyncAtomHTTP,
)
from contract.flavours import Api
from support.certificates import Certificates
from support.origin import Answer, Origin, Received

STATUSES = (301, 302, 303, 307, 308)
CANARY = "c4n4ry"
BASIC = base64.b64encode(f"user:{CANARY}".encode()).decode()
HOME = "https://home.test/start"


class Recorder:
    """An adapter that answers each request with the next status and Location of its list, then with 200."""

    def __init__(self, *answers: tuple[int, str], last: int = 200) -> None:
        self.answers = list(answers)
        self.last = last
        self.requests: list[Request] = []

    async def send(self, request: Request) -> AdapterResponse:
        number = len(self.requests)
        self.requests.append(request)
        if number < len(self.answers):
            status, location = self.answers[number]
            return AdapterResponse(status, {"Location": location})
        return AdapterResponse(self.last, {}, b"{}")

    async def close(self) -> None:
        """Nothing is open."""


def seen(request: Request) -> str:
    """Everything of a request that reaches its server, or decides who answers for the client."""
    fields = "\n".join(f"{name}: {value}" for name, value in request.headers.multi_items())
    return f"{request.method} {request.url}\n{fields}\n{request.outline.route.cert}\n{request.target.userinfo}"


def tells(request: Request) -> bool:
    text = seen(request)
    return CANARY in text or BASIC in text


# Who carries a secret, and who may not see it


class FieldAuth:
    def get_header(self) -> Mapping[str, str]:
        return {"X-Signature": CANARY}


class Flow:
    def auth_flow(self, request: Request) -> Generator[Request, Any, None]:
        request.headers["X-Signature"] = CANARY
        yield request


def sign(request: Request) -> Request:
    request.headers["X-Signature"] = CANARY
    return request


CARRIERS: dict[str, dict[str, Any]] = {
    "Authorization": {"headers": {"Authorization": f"Bearer {CANARY}"}},
    "its name in capitals": {"headers": {"AUTHORIZATION": CANARY}},
    "its name in both": {"headers": {"aUtHoRiZaTiOn": CANARY}},
    "twice": {"headers": {"Authorization": ["Bearer first", f"Bearer {CANARY}"]}},
    "twice, as pairs": {"headers": [("Authorization", "Bearer first"), ("authorization", CANARY)]},
    "as bytes": {"headers": {"Authorization": CANARY.encode()}},
    "Cookie": {"headers": {"Cookie": f"session={CANARY}"}},
    "two Cookies": {"headers": [("Cookie", "a=b"), ("cookie", f"session={CANARY}")]},
    "X-API-Key": {"headers": {"X-API-Key": CANARY}},
    "Api-Key": {"headers": {"api-key": CANARY}},
    "X-Auth-Token": {"headers": {"X-Auth-Token": CANARY}},
    "Private-Token": {"headers": {"Private-Token": CANARY}},
    "a name nobody knows": {"headers": {"X-Whatever": CANARY}},
    "Referer": {"headers": {"Referer": f"https://home.test/?token={CANARY}"}},
    "Origin": {"headers": {"Origin": f"https://{CANARY}.test"}},
    "From": {"headers": {"From": CANARY}},
    "Forwarded": {"headers": {"Forwarded": f"for={CANARY}"}},
    "Idempotency-Key": {"headers": {"Idempotency-Key": CANARY}},
    "Host": {"headers": {"Host": f"{CANARY}.test"}},
    "names that begin like harmless ones": {"headers": {"X-Accept": CANARY, "Range-Key": CANARY, "Iffy": CANARY}},
    "BasicAuth": {"auth": BasicAuth("user", CANARY)},
    "BearerAuth": {"auth": BearerAuth(CANARY)},
    "pair": {"auth": ("user", CANARY)},
    "dict": {"auth": {"username": "user", "password": CANARY}},
    "fields of an auth object": {"auth": FieldAuth()},
    "flow": {"auth": Flow()},
    "function": {"auth": sign},
    "userinfo": {"url": f"https://user:{CANARY}@home.test/start"},
    "client certificate": {"cert": f"/{CANARY}.pem"},
}

# An origin is scheme, host and port: no other is home, however much it looks like it.
AWAY = {
    "host": "https://away.test/",
    "port": "https://home.test:8443/",
    "port of the other scheme": "https://home.test:80/",
    "scheme": "http://home.test/",
    "scheme on the same port": "http://home.test:443/",
    "sub-domain": "https://www.home.test/",
    "parent": "https://test/",
    "trailing dot": "https://home.test./",
    "longer": "https://home.test.away.test/",
    "prefix": "https://nothome.test/",
    "userinfo that looks like home": "https://home.test@away.test/",
    "userinfo with a port": "https://home.test:443@away.test/",
    "without a scheme": "//away.test/",
    "home in the query": "https://away.test/?https://home.test/",
    "address": "https://127.0.0.1/",
    "IPv6": "https://[::1]/",
    "IDN": "https://h\u00f6me.test/",
    "full-width, another host": "https://\uff48ome.test.\uff41way.test/",
}
SAME = {
    "path": "/there",
    "whole": "https://home.test/there",
    "capitals": "HTTPS://HOME.TEST/there",
    "default port": "https://home.test:443/there",
    "without a scheme": "//home.test/there",
    "full-width": "https://\uff48\uff4f\uff4d\uff45.test/there",
    "encoded": "https://h%6fme.test/there",
}


async def follow(api: Api, recorder: Recorder, method: str = "GET", **options: Any) -> Any:
    client = api.client(adapter=recorder)
    return await client.request(method, options.pop("url", HOME), allowInsecureRedirect=True, **options)


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("status", STATUSES)
async def test_nothing_secret_reaches_another_origin(api: Api, carrier: str, status: int) -> None:
    for name, location in AWAY.items():
        recorder = Recorder((status, location))
        response = await follow(api, recorder, "POST", data=b"x", **CARRIERS[carrier])
        first, second = recorder.requests
        assert tells(first), name
        assert not tells(second), name
        assert response.history[0].stripped or carrier == "client certificate", name
        assert CANARY not in f"{response.history} {response.history[0].stripped} {response!r}"


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_on_its_own_origin_everything_goes_along(api: Api, carrier: str) -> None:
    for name, location in SAME.items():
        recorder = Recorder((307, location), (302, "/more"))
        response = await follow(api, recorder, **CARRIERS[carrier])
        assert len(recorder.requests) == 3
        assert all(tells(request) for request in recorder.requests), name
        assert [each.stripped for each in response.history] == [(), ()]


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("status", STATUSES)
async def test_once_stripped_always_stripped(api: Api, carrier: str, status: int) -> None:
    recorder = Recorder(
        (status, "/same"), (status, "https://away.test/"), (status, "https://home.test/back"), (status, "/again")
    )
    response = await follow(api, recorder, **CARRIERS[carrier])
    assert [tells(request) for request in recorder.requests] == [True, True, False, False, False]
    assert [request.url for request in recorder.requests[-2:]] == ["https://home.test/back", "https://home.test/again"]
    if carrier != "client certificate":
        assert [bool(each.stripped) for each in response.history] == [False, True, False, False]


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_what_the_client_gives_is_stripped_like_what_the_call_gives(api: Api, carrier: str) -> None:
    options = dict(CARRIERS[carrier])
    url = options.pop("url", HOME)
    recorder = Recorder((302, "https://away.test/"), (302, "https://home.test/back"))
    for base in ({}, {"baseURL": "https://home.test/"}, {"baseURL": "https://away.test/"}):
        client = api.client(adapter=recorder, **options, **base)
        recorder.requests.clear()
        await client.get(url)
        # Of a base elsewhere, some do not even set out.
        assert [tells(request) for request in recorder.requests][1:] == [False, False]


# The flow of a chain, whatever it is: one home, and no way back in.

PLACES = ("https://home.test/", "https://away.test/", "https://home.test:444/", "http://home.test/", "/same", "same")


@given(st.lists(st.sampled_from(PLACES), max_size=5), st.sampled_from(STATUSES), st.sampled_from(sorted(CARRIERS)))
def test_a_secret_is_told_until_the_first_step_away_and_never_after(
    places: list[str], status: int, carrier: str
) -> None:
    recorder = Recorder(*((status, place) for place in places))
    options = dict(CARRIERS[carrier])
    with SyncAtomHTTP(adapter=recorder) as client:
        response = client.get(options.pop("url", HOME), allowInsecureRedirect=True, **options)
    home = True
    for request, place in zip(recorder.requests, ["/", *places], strict=True):
        home = home and place in ("/", "/same", "same", "https://home.test/")
        assert tells(request) == home
    assert len(response.history) == len(places)


# The allow-list


HARMLESS = {
    "Accept": "text/x",
    "accept-language": "de",
    "Accept-Encoding": "gzip",
    "Accept-Charset": "utf-8",
    "User-Agent": "mine",
    "RANGE": "bytes=0-5",
    "If-None-Match": '"x"',
    "If-Modified-Since": "Sat, 29 Oct 1994 19:43:31 GMT",
    "If-Range": '"x"',
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "a=b",
}


@pytest.mark.parametrize("status", STATUSES)
async def test_an_allow_list_travels(api: Api, status: int) -> None:
    recorder = Recorder((status, "https://away.test/"))
    response = await follow(api, recorder, headers=HARMLESS)
    sent = recorder.requests[1].headers
    assert {name: sent[name] for name in HARMLESS} == HARMLESS
    assert response.history[0].stripped == ()
    assert sent["Host"] == "away.test"


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("location", ["https://away.test/", "/same"])
async def test_content_fields_travel_while_the_content_goes_along(api: Api, status: int, location: str) -> None:
    fields = {"Content-Type": "text/x", "Content-Language": "de", "content-disposition": "inline"}
    recorder = Recorder((status, location))
    await follow(api, recorder, "POST", data=b"content", headers=fields)
    sent = recorder.requests[1]
    if status in (307, 308):
        assert {name: sent.headers[name] for name in fields} == fields
        assert (sent.body, sent.headers["Content-Length"]) == (b"content", "7")
    else:
        assert {name.lower() for name in sent.headers}.isdisjoint({*map(str.lower, fields), "content-length"})
        assert (sent.body, sent.has_body) == (b"", False)


async def test_content_fields_without_content_stay_at_home(api: Api) -> None:
    fields = {"Content-Type": "text/x", "Content-Key": CANARY}
    recorder = Recorder((307, "/same"), (307, "https://away.test/"))
    response = await follow(api, recorder, headers=fields)
    assert [tells(request) for request in recorder.requests] == [True, True, False]
    assert "content-type" not in recorder.requests[2].headers
    assert "Content-Key" in response.history[1].stripped


async def test_stripped_names_what_stayed(api: Api) -> None:
    recorder = Recorder((302, "/same"), (302, "https://away.test/"), (302, "https://third.test/"))
    headers = [("X-B", "1"), ("x-a", "2"), ("X-A", "3"), ("Accept", "x"), ("Host", "virtual.test")]
    response = await follow(api, recorder, headers=headers, auth=Flow())
    assert [each.stripped for each in response.history] == [(), ("X-B", "x-a", "auth", "Host"), ()]
    assert response.stripped == ()


@pytest.mark.parametrize("keep_alive", ["keep-alive", "close"])
async def test_connection_is_no_secret_and_not_named(api: Api, keep_alive: str) -> None:
    recorder = Recorder((302, "https://away.test/"))
    response = await follow(api, recorder, headers={"Connection": keep_alive})
    assert response.history[0].stripped == ()


@pytest.mark.parametrize("where", ["client", "call"])
@pytest.mark.parametrize("status", STATUSES)
async def test_cross_origin_headers_travel_too(api: Api, where: str, status: int) -> None:
    recorder = Recorder((status, "https://away.test/"), (status, "https://third.test/"))
    allowed = {"crossOriginHeaders": ["x-tenant", "AUTHORIZATION"]}
    client = api.client(adapter=recorder, **(allowed if where == "client" else {}))
    response = await client.get(
        HOME,
        headers={"X-Tenant": "t", "X-Other": CANARY},
        auth=("user", "password"),
        **(allowed if where == "call" else {}),
    )
    for request in recorder.requests:
        assert (request.headers["x-tenant"], request.headers["authorization"][:6]) == ("t", "Basic ")
    assert [each.stripped for each in response.history] == [("X-Other",), ()]


async def test_cross_origin_headers_do_not_bring_the_content_fields_along(api: Api) -> None:
    recorder = Recorder((303, "https://away.test/"))
    await follow(api, recorder, "POST", data=b"x", crossOriginHeaders=["Content-Type", "Content-Length"])
    assert {"content-type", "content-length"}.isdisjoint({name.lower() for name in recorder.requests[1].headers})


async def test_a_host_field_stays_on_its_origin(api: Api) -> None:
    for location, host in [
        ("/same", "virtual.test"),
        ("https://away.test/", "away.test"),
        ("https://home.test:8443/", "home.test:8443"),
    ]:
        recorder = Recorder((307, location))
        await follow(api, recorder, headers={"Host": "virtual.test"})
        assert recorder.requests[0].headers["Host"] == "virtual.test"
        assert recorder.requests[1].headers["Host"] == host


# A status that says so


@pytest.mark.parametrize("status", [401, 403])
async def test_a_later_401_or_403_says_what_stayed_behind(api: Api, status: int) -> None:
    recorder = Recorder((302, "https://away.test/?token=c4n4ry"), (302, "/same"), last=status)
    with pytest.raises(AtomHTTPStatusError) as caught:
        await follow(
            api,
            recorder,
            url="https://home.test/start?token=c4n4ry",
            headers={"X-Api-Key": CANARY, "Authorization": CANARY},
            validateStatus=True,
        )
    message = str(caught.value)
    assert "https://home.test/start" in message
    assert "X-Api-Key" in message
    assert "Authorization" in message
    assert CANARY not in f"{message} {caught.value.to_dict()} {caught.value.response!r}"
    response = await follow(api, Recorder((302, "https://away.test/"), last=status), headers={"X-Key": "1"})
    with pytest.raises(AtomHTTPStatusError, match=r"left behind.*X-Key"):
        response.raise_for_status()


@pytest.mark.parametrize("last", [400, 401, 404, 500])
async def test_where_nothing_stayed_behind_or_it_does_not_matter_nothing_is_said(api: Api, last: int) -> None:
    location = "/same" if last == 401 else "https://away.test/"
    with pytest.raises(AtomHTTPStatusError) as caught:
        await follow(api, Recorder((302, location), last=last), headers={"X-Key": "1"}, validateStatus=True)
    assert "left behind" not in str(caught.value)


# From https to http


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Authorization": CANARY}},
        {"headers": {"Cookie": CANARY}},
        {"headers": {"x-api-key": CANARY}},
        {"headers": {"X-Auth-Token": CANARY}},
        {"auth": ("user", CANARY)},
        {"auth": BearerAuth(CANARY)},
        {"auth": Flow()},
        {"auth": sign},
        {"url": f"https://user:{CANARY}@home.test/"},
        {"data": CANARY, "method": "PUT"},
        {"json": {"password": CANARY}, "method": "PATCH"},
        {"data": CANARY, "method": "POST"},
        {"data": b"", "method": "DELETE"},
    ],
)
async def test_a_downgrade_with_a_body_or_credentials_is_refused(
    api: Api, status: int, options: dict[str, Any]
) -> None:
    method = options.get("method", "GET")
    drops = status == 303 or (status in (301, 302) and method == "POST")
    recorder = Recorder((status, "http://home.test/end?token=c4n4ry"))
    client = api.client(adapter=recorder)
    call = {"url": HOME, "method": method, **options}
    if drops and method != "GET":
        # The body is left behind: nothing is left to be overheard.
        await client.request(**call)
        assert recorder.requests[1].url == "http://home.test/end?token=c4n4ry"
        return
    with pytest.raises(AtomHTTPRedirectError, match="allowInsecureRedirect") as caught:
        await client.request(**call)
    error = caught.value
    assert error.code == "ERR_BAD_REDIRECT"
    assert (error.status, error.response.status, len(recorder.requests)) == (status, status, 1)
    assert error.request is recorder.requests[0] or error.request.url == recorder.requests[0].url
    assert error.config.method == method
    assert [attempt.status for attempt in error.attempts] == [status]
    assert ("a body" if method != "GET" else "credentials") in str(error)
    assert CANARY not in f"{error} {error!r} {error.to_dict()}"


async def test_a_downgrade_without_either_is_followed(api: Api) -> None:
    recorder = Recorder((307, "http://home.test/"))
    client = api.client(adapter=recorder)
    await client.get(HOME, headers={"Accept": "text/x", "X-Tenant": "t"})
    assert "X-Tenant" not in recorder.requests[1].headers


@pytest.mark.parametrize("where", ["client", "call"])
async def test_allow_insecure_redirect_follows_without_the_credentials(api: Api, where: str) -> None:
    recorder = Recorder((307, "http://home.test/"))
    allowed = {"allowInsecureRedirect": True}
    client = api.client(adapter=recorder, **(allowed if where == "client" else {}))
    await client.post(
        HOME, b"content", auth=("user", CANARY), headers={"Cookie": CANARY}, **(allowed if where == "call" else {})
    )
    assert recorder.requests[1].body == b"content"
    assert not tells(recorder.requests[1])


async def test_http_to_https_to_http_is_a_downgrade_all_the_same(api: Api) -> None:
    recorder = Recorder((307, "https://home.test/"), (307, "http://home.test/"))
    client = api.client(adapter=recorder)
    with pytest.raises(AtomHTTPRedirectError, match="from https to http"):
        await client.post("http://home.test/", b"content")
    assert [request.url for request in recorder.requests] == ["http://home.test/", "https://home.test/"]


async def test_what_was_given_for_the_secure_hop_counts_too(api: Api) -> None:
    recorder = Recorder((307, "https://away.test/"), (307, "http://away.test/"))
    client = api.client(adapter=recorder, beforeRedirect=lambda *_: {"Authorization": CANARY})
    with pytest.raises(AtomHTTPRedirectError, match="credentials"):
        await client.get("http://home.test/")
    recorder = Recorder((307, f"https://user:{CANARY}@away.test/"), (307, "http://away.test/"))
    with pytest.raises(AtomHTTPRedirectError, match="credentials") as caught:
        await api.client(adapter=recorder).get("http://home.test/")
    assert CANARY not in str(caught.value)


# Userinfo of a Location is for the place that it names, and for no other


async def test_userinfo_of_a_location_stays_where_it_leads(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    recorder = Recorder(
        (302, f"https://user:{CANARY}@away.test/a"), (302, "/b"), (302, "https://third.test/c"), (302, HOME)
    )
    response = await follow(api, recorder, headers={"Authorization": "Bearer mine"})
    assert [request.headers.get("authorization") for request in recorder.requests] == [
        "Bearer mine",
        f"Basic {BASIC}",
        f"Basic {BASIC}",
        None,
        None,
    ]
    assert all(CANARY not in request.url and "Referer" not in request.headers for request in recorder.requests)
    assert CANARY not in f"{caplog.text} {response.url} {response!r} {response.history!r} {response.attempts!r}"
    assert [each.stripped for each in response.history] == [("Authorization",), (), ("Authorization",), ()]


# Over the network


@pytest.mark.parametrize("status", STATUSES)
async def test_no_secret_on_the_wire_of_another_port_host_or_scheme(
    api: Api, status: int, certificates: Certificates
) -> None:
    with ExitStack() as stack:
        tls = certificates.server_context()
        home = stack.enter_context(Origin(tls=tls))
        others = [
            stack.enter_context(Origin(tls=certificates.server_context())),
            stack.enter_context(Origin()),
            stack.enter_context(Origin(host="::1", tls=certificates.server_context())),
        ]
        client = api.client(verify=certificates.ca)
        places = [*[f"{other.url}/echo" for other in others], f"https://localhost:{home.port}/echo"]
        for place in places:
            home.routes["/"] = lambda _request, place=place: Answer(b"", status, [("Location", place)])
            home.requests.clear()
            response = await client.post(
                f"{home.url.replace('//', f'//user:{CANARY}@')}/",
                b"content",
                headers={"Cookie": f"a={CANARY}", "X-Api-Key": CANARY},
                allowInsecureRedirect=True,
            )
            assert CANARY in str(home.requests[0].headers)
            last = next(server for server in (home, *others) if str(server.port) in place).requests[-1]
            assert last.path == "/echo"
            assert CANARY not in str(last.headers)
            assert BASIC not in str(last.headers)
            assert response.history[0].stripped == ("Cookie", "X-Api-Key", "Authorization")
        assert home.server_names[-1] == "localhost"


async def test_a_real_downgrade_is_refused(api: Api, tls_origin: Origin, origin: Origin, certificates: Any) -> None:
    client = api.client(verify=certificates.ca)
    tls_origin.routes["/"] = lambda _request: Answer(b"", 307, [("Location", f"{origin.url}/echo")])
    with pytest.raises(AtomHTTPRedirectError, match="a body"):
        await client.post(f"{tls_origin.url}/", b"content")
    with pytest.raises(AtomHTTPRedirectError, match="credentials"):
        await client.get(f"{tls_origin.url}/", auth=("user", "password"))
    assert origin.connections == 0
    assert (await client.get(f"{tls_origin.url}/")).url == f"{origin.url}/echo"
    response = await client.post(f"{tls_origin.url}/", b"content", allowInsecureRedirect=True)
    assert response.data["body"] == "content"


async def test_from_http_to_https_the_content_goes_and_the_credentials_stay(
    api: Api, tls_origin: Origin, origin: Origin, certificates: Any
) -> None:
    client = api.client(verify=certificates.ca, auth=("user", CANARY))
    origin.routes["/"] = lambda _request: Answer(b"", 308, [("Location", f"{tls_origin.url}/echo")])
    response = await client.put(f"{origin.url}/", b"content")
    assert response.data["body"] == "content"
    assert tls_origin.requests[0].get("authorization") is None


async def test_the_client_certificate_is_shown_to_its_own_origin_only(api: Api, certificates: Certificates) -> None:
    shown: list[bool] = []

    class Asking(Origin):
        """Asks for a certificate, and notes whether there was one."""

        def serve(self, connection: Any, number: int) -> None:
            shown.append(bool(connection.getpeercert()))
            super().serve(connection, number)

    def context() -> Any:
        made = certificates.server_context(ask_client=True)
        made.verify_mode = ssl.CERT_OPTIONAL
        return made

    with Asking(tls=context()) as home, Asking(tls=context()) as away:
        client = api.client(verify=certificates.ca, cert=certificates.client)

        def answer(request: Received) -> Answer:
            place = {"/": f"{away.url}/", "/back": "/end"}.get(request.path)
            return Answer(b"", 302, [("Location", place)]) if place else Answer(b"")

        home.routes.update(dict.fromkeys(("/", "/back", "/end"), answer))
        away.routes["/"] = lambda _request: Answer(b"", 302, [("Location", f"{home.url}/back")])
        response = await client.get(f"{home.url}/")
        assert [request.path for request in home.requests] == ["/", "/back", "/end"]
        # Home again, it is a stranger's request: not on the connection that the certificate has opened.
        assert shown == [True, False, False]
        assert [request.connection for request in home.requests] == [0, 1, 1]
        assert response.status == 200


async def test_verification_holds_on_every_hop(api: Api, origin: Origin, tls_origin: Origin) -> None:
    origin.routes["/"] = lambda _request: Answer(b"", 302, [("Location", f"{tls_origin.url}/echo")])
    with pytest.raises(AtomHTTPTLSError):
        await api.client().get(f"{origin.url}/")
    assert tls_origin.requests == []


# Errors


def failing(api: Api, location: str) -> Any:
    return follow(
        api,
        Recorder(*[(307, location)] * 9),
        "POST",
        url=f"https://user:{CANARY}@home.test/?access_token={CANARY}",
        headers={"X-Api-Key": CANARY, "Cookie": CANARY},
        data={"password": CANARY},
        params={"token": CANARY},
    )


UNFOLLOWABLE = [f"https://user:{CANARY}@away.test/\\", f"ftp://user:{CANARY}@away.test/", f"/loop?token={CANARY}"]


@pytest.mark.parametrize("location", UNFOLLOWABLE)
async def test_errors_of_redirects_hide_secrets(api: Api, location: str) -> None:
    with pytest.raises(AtomHTTPRedirectError) as caught:
        await failing(api, location)
    error = caught.value
    revived = pickle.loads(pickle.dumps(error))
    shown = {
        "message": f"{error} {error!r} {traceback.format_exception_only(error)} {error.__cause__}",
        "dict": f"{error.to_dict()} {revived.to_dict()}",
        "parts": f"{error.response!r} {error.request!r} {error.config!r} {error.attempts!r}",
    }
    assert [name for name, text in shown.items() if CANARY in text] == []
    assert (revived.code, revived.status) == (error.code, 307)
    # In the process it is live, so that it can be sent again.
    assert error.config.headers["X-Api-Key"] == CANARY
    assert error.response.headers["location"] == location


@pytest.mark.parametrize("location", UNFOLLOWABLE)
async def test_secrets_of_a_location_are_in_no_pickle_and_no_repr(api: Api, location: str) -> None:
    with pytest.raises(AtomHTTPRedirectError) as caught:
        await failing(api, location)
    shown = {"pickle": ascii(pickle.dumps(caught.value)), "fields": repr(caught.value.response.headers)}
    assert [name for name, text in shown.items() if CANARY in text] == []
