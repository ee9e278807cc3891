"""The XSRF token (contract: `withXSRFToken`; part 2: XSRF; hazards: A1, A4, A13)."""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from atomhttp import AtomHTTPOptionError, AtomHTTPStatusError, CookieJar, Request, RequestConfig, Response
from contract.flavours import Api, collect
from support.certificates import Certificates
from support.origin import Answer, Origin, Received

CANARY = "c4n4ry"
BAD = "ERR_BAD_OPTION_VALUE"
HOSTS = {"a.example.com": "127.0.0.1", "example.com": "127.0.0.1"}
REDIRECTS = (301, 302, 303, 307, 308)

Route = Callable[[Received], Answer]


def to(location: str, status: int = 302, *cookies: str) -> Route:
    """A route that redirects there."""
    return lambda _request: Answer(b"", status, [("Location", location), *(("Set-Cookie", each) for each in cookies)])


def tokens(origin: Origin, field: str = "X-XSRF-TOKEN") -> list[str | None]:
    """The token of every request that `origin` got."""
    return [request.get(field) for request in origin.requests]


def with_token(api: Api, origin: Origin, token: str = "tok", **options: Any) -> Any:
    """A client whose jar holds a token of `origin`, which is its base."""
    client = api.client(**{"base_url": origin.url, "withXSRFToken": True} | options)
    client.cookies.set("XSRF-TOKEN", token, url=origin.url)
    return client


@pytest.fixture
def away() -> Iterator[Origin]:
    """Another origin: the same host, so that the jar's cookies go there, and another port."""
    with Origin() as running:
        yield running


# What is sent


async def test_the_cookie_is_sent_as_the_field(api: Api, origin: Origin) -> None:
    origin.routes["/login"] = lambda _request: Answer(headers=[("Set-Cookie", "XSRF-TOKEN=tok; Path=/")])
    client = api.client(base_url=origin.url, withXSRFToken=True)
    await client.get("/login")
    for method in ("GET", "HEAD", "POST", "DELETE"):
        await client.request(method, "/echo")
    assert tokens(origin) == [None, "tok", "tok", "tok", "tok"]
    assert [request.get("cookie") for request in origin.requests] == [None, *["XSRF-TOKEN=tok"] * 4]


async def test_it_is_off_by_default(api: Api, origin: Origin) -> None:
    client = with_token(api, origin, withXSRFToken=False)
    await client.get("/echo")
    client.defaults.with_xsrf_token = True
    await client.get("/echo")
    await client.get("/echo", withXSRFToken=False)
    del client.defaults.withXSRFToken
    await client.get("/echo")
    await client.get("/echo", with_xsrf_token=True)
    assert tokens(origin) == [None, "tok", None, None, "tok"]


@pytest.mark.parametrize("value", [1, 0, "true", "", None, (), lambda config: True, 1.0])
@pytest.mark.parametrize("where", ["call", "client", "defaults", "interceptor"])
async def test_nothing_but_a_bool_will_do(api: Api, origin: Origin, where: str, value: Any) -> None:
    """CVE-2023-45857 and CVE-2026-42042: what is only true sends the token everywhere."""
    client = with_token(api, origin, withXSRFToken=False)

    def intercept(config: RequestConfig) -> None:
        config.with_xsrf_token = value

    with pytest.raises(AtomHTTPOptionError, match=r"(?i)with_?xsrf_?token: expected True or False") as caught:
        match where:
            case "call":
                await client.get("/echo", withXSRFToken=value)
            case "client":
                api.client(withXSRFToken=value)
            case "defaults":
                client.defaults.withXSRFToken = value
            case "interceptor":
                client.interceptors.use(intercept)
                await client.get("/echo")
    assert caught.value.code == BAD
    assert origin.requests == []


WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stream": {"response_type": "stream"},
    "retried": {"retryConfig": True},
    "authenticated": {"auth": lambda request: request},
}


@pytest.mark.parametrize("way", WAYS)
async def test_any_way_sends_it(api: Api, origin: Origin, way: str) -> None:
    client = with_token(api, origin, **WAYS[way])
    for _ in range(2):
        response = await client.post("/echo", {"a": 1})
        assert response.request.headers["X-XSRF-TOKEN"] == "tok"
        assert "x-xsrf-token" not in response.config.headers
        if way == "stream":
            await collect(response.data)
    assert tokens(origin) == ["tok", "tok"]


async def test_without_the_cookie_there_is_no_field(api: Api, origin: Origin) -> None:
    for options in ({}, {"cookies": False}, {"cookies": {"xsrf-token": "other", "XSRF-TOKEN2": "other"}}):
        await api.client(base_url=origin.url, withXSRFToken=True, **options).get("/echo")
    client = with_token(api, origin, "")
    await client.get("/echo")
    client.cookies.set("XSRF-TOKEN", "elsewhere", url=origin.url, path="/elsewhere")
    client.cookies.delete("XSRF-TOKEN", path="/")
    await client.get("/echo")
    assert tokens(origin) == [None] * 5


async def test_the_names_are_options(api: Api, origin: Origin) -> None:
    client = api.client(
        base_url=origin.url, withXSRFToken=True, xsrfCookieName="csrftoken", xsrfHeaderName="X-CSRFToken"
    )
    for name in ("csrftoken", "XSRF-TOKEN", "other"):
        client.cookies.set(name, f"of-{name}", url=origin.url)
    await client.get("/echo")
    await client.get("/echo", xsrf_cookie_name="other", xsrf_header_name="X-Other")
    assert tokens(origin, "X-CSRFToken") == ["of-csrftoken", None]
    assert tokens(origin, "X-Other") == [None, "of-other"]
    assert tokens(origin) == [None, None]


@pytest.mark.parametrize("name", ["xsrfCookieName", "xsrfHeaderName"])
@pytest.mark.parametrize("value", ["", "a b", "a\r\nb", "a:b", "\u00e9", None, 5, True, b"x"])
async def test_the_names_are_names(api: Api, name: str, value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=f"^{name}: expected") as caught:
        api.client(**{name: value})
    assert caught.value.code == BAD


@pytest.mark.parametrize(
    "field",
    ["Host", "content-length", "Transfer-Encoding", "Cookie", "Authorization", "Connection", "TE", "Content-Type"],
)
async def test_the_field_is_none_of_the_engines_own(api: Api, field: str) -> None:
    """The server chooses its value."""
    with pytest.raises(AtomHTTPOptionError, match=r"^xsrfHeaderName: expected"):
        api.client(xsrfHeaderName=field)


# Which cookie


async def test_a_calls_own_cookie_goes_before_the_jars(api: Api, origin: Origin) -> None:
    client = with_token(api, origin)
    await client.get("/echo", cookies={"XSRF-TOKEN": "mine"})
    await client.get("/echo", cookies={"other": "1"})
    await client.get("/echo", cookies=False)
    await client.get("/echo", cookies=CookieJar({"XSRF-TOKEN": "jars"}, url=origin.url))
    assert tokens(origin) == ["mine", "tok", None, "jars"]


async def test_a_clients_mapping_holds_it_too(api: Api, origin: Origin) -> None:
    client = api.client(base_url=origin.url, withXSRFToken=True, cookies={"XSRF-TOKEN": "mapped"})
    await client.get("/echo")
    assert tokens(origin) == ["mapped"]


async def test_of_several_it_is_the_one_that_is_sent_first(api: Api, origin: Origin) -> None:
    client = with_token(api, origin, "wide")
    client.cookies.set("XSRF-TOKEN", "deep", url=origin.url, path="/echo")
    await client.get("/echo")
    assert (tokens(origin), origin.requests[0].get("cookie")) == (["deep"], "XSRF-TOKEN=deep; XSRF-TOKEN=wide")


async def test_a_cookie_field_of_the_callers_says_what_it_is(api: Api, origin: Origin) -> None:
    """The server compares the field with the cookie that it gets."""
    client = with_token(api, origin)
    for field in ("a=1;XSRF-TOKEN=explicit ; b=2", "a=1", "XSRF-TOKEN", ""):
        await client.get("/echo", headers={"Cookie": field})
    assert tokens(origin) == ["explicit", None, None, None]


async def test_an_explicit_field_wins(api: Api, origin: Origin) -> None:
    client = with_token(api, origin)
    await client.get("/echo", headers={"x-xsrf-token": "mine"})
    client.defaults.headers["X-Xsrf-Token"] = "default"
    await client.get("/echo")
    await client.get("/echo", headers={"X-XSRF-TOKEN": None})
    await client.get("/echo", headers={"X-XSRF-TOKEN": False})
    assert tokens(origin) == ["mine", "default", "tok", None]


async def test_it_is_the_one_that_the_server_has_set_last(api: Api, origin: Origin) -> None:
    origin.routes["/"] = lambda _request: Answer(
        headers=[("Set-Cookie", f"XSRF-TOKEN=t{len(origin.requests)}; Path=/")]
    )
    client = with_token(api, origin, "t0")
    for _ in range(3):
        await client.post("/", {"a": 1})
    assert tokens(origin) == ["t0", "t1", "t2"]


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        ("plain-._~token", "plain-._~token"),
        ("eyJpdiI6IjEi+/%3D%3D", "eyJpdiI6IjEi+/=="),
        ("100%", "100%"),
        ("%zz%41", "%zzA"),
        ('"quoted"', '"quoted"'),
        ("a=b", "a=b"),
        ("%0d%0aX-Evil:1", "%0d%0aX-Evil:1"),
        ("a%0Ab", "a%0Ab"),
        ("a%00b", "a%00b"),
        ("a%7Fb", "a%7Fb"),
        ("%20a%20", "%20a%20"),
        ("%C3%A9", "%C3%A9"),
        ("%ED%A0%80", "%ED%A0%80"),
        ("a\tb", "a\tb"),
        ("a b", "a b"),
    ],
)
async def test_it_is_decoded_as_axios_does_it_and_never_breaks_the_field(
    api: Api, origin: Origin, cookie: str, expected: str
) -> None:
    origin.routes["/login"] = lambda _request: Answer(headers=[("Set-Cookie", f"XSRF-TOKEN={cookie}; Path=/")])
    client = api.client(base_url=origin.url, withXSRFToken=True)
    await client.get("/login")
    response = await client.get("/echo")
    assert response.status == 200
    assert tokens(origin) == [None, expected]
    assert origin.requests[1].get("cookie") == f"XSRF-TOKEN={cookie}", "and the cookie goes as it came"
    assert origin.requests[1].get("x-evil") is None


# Where it goes


@pytest.mark.parametrize("path", ["", "/api", "/api/"])
async def test_it_goes_to_the_origin_of_the_base_however_it_is_named(api: Api, origin: Origin, path: str) -> None:
    client = with_token(api, origin, base_url=f"{origin.url}{path}")
    urls = ("x", "/y", "", f"{origin.url}/z", origin.url.replace("http", "HTTP"), f"//127.0.0.1:{origin.port}/w")
    for url in urls:
        await client.get(url)
    assert tokens(origin) == ["tok"] * len(urls)


async def test_without_a_base_it_goes_nowhere(api: Api, origin: Origin) -> None:
    for base in ({}, {"base_url": None}, {"base_url": ""}):
        client = api.client(withXSRFToken=True, **base)
        client.cookies.set("XSRF-TOKEN", "tok", url=origin.url)
        await client.get(f"{origin.url}/echo")
    await client.get("/echo", baseURL=origin.url)
    assert tokens(origin) == [None, None, None, "tok"]


async def test_a_calls_base_counts_for_the_call(api: Api, origin: Origin, away: Origin) -> None:
    client = with_token(api, origin)
    await client.get("/echo", baseURL=away.url)
    await client.get(f"{origin.url}/echo", baseURL=away.url)
    await client.get(f"{origin.url}/echo", baseURL=None)
    assert (tokens(away), tokens(origin)) == (["tok"], [None, None])


@pytest.mark.parametrize("host", ["a.example.com", "EXAMPLE.COM", "example.com.", "127.0.0.1"])
async def test_another_host_or_port_never_gets_it(api: Api, origin: Origin, away: Origin, host: str) -> None:
    base = f"http://example.com:{origin.port}"
    client = api.client(base_url=base, withXSRFToken=True, hosts=HOSTS | {"example.com.": "127.0.0.1"})
    for name in ("example.com", "127.0.0.1"):
        client.cookies.set("XSRF-TOKEN", CANARY, domain=name)
    await client.get(f"http://{host}:{away.port}/echo")
    assert tokens(away) == [None], "another port"
    await client.get(f"http://{host}:{origin.port}/echo")
    assert tokens(origin) == [CANARY if host == "EXAMPLE.COM" else None]


async def test_another_scheme_never_gets_it(api: Api, certificates: Certificates) -> None:
    with Origin(tls=certificates.server_context()) as secure:
        base = f"http://127.0.0.1:{secure.port}"
        client = api.client(base_url=base, withXSRFToken=True, verify=str(certificates.ca))
        client.cookies.set("XSRF-TOKEN", CANARY, url=base)
        await client.get(f"{secure.url}/echo")
        await client.get(f"{secure.url}/echo", baseURL=secure.url)
    assert tokens(secure) == [None, CANARY]


async def test_a_url_that_pretends_never_gets_it(api: Api, origin: Origin, away: Origin) -> None:
    client = with_token(api, origin, CANARY)
    own = f"127.0.0.1:{origin.port}"
    for url in (f"http://{own}@127.0.0.1:{away.port}/echo", f"//127.0.0.1:{away.port}/{own}"):
        await client.get(url)
    assert tokens(away) == [None, None]
    assert len(away.requests) == 2


async def test_sockets_are_told_apart(api: Api, tmp_path: Path) -> None:
    with Origin(unix=tmp_path / "a") as one, Origin(unix=tmp_path / "b") as two:
        urls = [f"http+unix://{str(tmp_path / name).replace('/', '%2F')}" for name in "ab"]
        client = api.client(base_url=urls[0], withXSRFToken=True)
        client.cookies.set("XSRF-TOKEN", CANARY, domain="localhost")
        await client.get("/echo")
        await client.get(f"{urls[1]}/echo")
    assert (tokens(one), tokens(two)) == ([CANARY], [None])


# Redirects


@pytest.mark.parametrize("status", REDIRECTS)
async def test_it_goes_along_on_its_origin(api: Api, origin: Origin, status: int) -> None:
    origin.routes["/1"] = to("/2", status, "XSRF-TOKEN=new; Path=/")
    origin.routes["/2"] = to(f"{origin.url}/echo", status)
    client = with_token(api, origin, "old")
    response = await client.post("/1", {"a": 1})
    assert response.status == 200
    assert tokens(origin) == ["old", "new", "new"]


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("way", ["plain", "stream", "retried"])
async def test_it_does_not_leave_its_origin_and_does_not_come_back(
    api: Api, origin: Origin, away: Origin, way: str, status: int
) -> None:
    """On the way back it is another origin that chose what to ask for: what the token is there to prevent."""
    origin.routes["/"] = to(f"{away.url}/", status)
    away.routes["/"] = to(f"{origin.url}/transfer", status)
    origin.routes["/transfer"] = to("/echo", status)
    client = with_token(api, origin, **WAYS[way])
    response = await client.post("/", {"a": 1})
    if way == "stream":
        await collect(response.data)
    assert tokens(away) == [None]
    assert tokens(origin) == ["tok", None, None]
    await client.get("/echo", response_type="json", maxRedirects=5)
    assert tokens(origin)[-1] == "tok", "and the next call has it again"


async def test_a_call_elsewhere_does_not_bring_it_home(api: Api, origin: Origin, away: Origin) -> None:
    away.routes["/"] = to(f"{origin.url}/transfer", 307)
    client = with_token(api, origin)
    await client.post(f"{away.url}/", {"a": 1})
    assert (tokens(away), tokens(origin)) == ([None], [None])


async def test_cross_origin_headers_do_not_send_it_along(api: Api, origin: Origin, away: Origin) -> None:
    """That is for fields of the caller's; this one is for one origin."""
    origin.routes["/"] = to(f"{away.url}/echo")
    client = with_token(api, origin, crossOriginHeaders=["X-XSRF-TOKEN"])
    await client.get("/")
    assert tokens(away) == [None]
    await client.get("/", headers={"X-XSRF-TOKEN": "own"})
    assert tokens(away) == [None, "own"]


# With the rest


async def test_every_attempt_has_the_token_of_its_time(api: Api, origin: Origin) -> None:
    statuses = iter([503, 503, 200])
    origin.routes["/"] = lambda _request: Answer(
        status=next(statuses), headers=[("Set-Cookie", f"XSRF-TOKEN=t{len(origin.requests)}; Path=/")]
    )
    client = with_token(api, origin, "t0", retryConfig={"backoff_factor": 0})
    await client.get("/")
    assert tokens(origin) == ["t0", "t1", "t2"]


class Challenged:
    """Answers a 401, as Digest and others do."""

    def auth_flow(self, request: Request) -> Generator[Request, Response[Any], None]:
        response = yield request
        if response.status == 401:
            yield request


async def test_an_answer_to_a_challenge_has_it(api: Api, origin: Origin) -> None:
    origin.routes["/"] = lambda request: Answer(
        status=401 if len(origin.requests) == 1 else 200, headers=[("Set-Cookie", "XSRF-TOKEN=new; Path=/")]
    )
    client = with_token(api, origin, "old", auth=Challenged())
    assert (await client.get("/")).status == 200
    assert tokens(origin) == ["old", "new"]


async def test_a_child_has_the_option_and_not_the_token(api: Api, origin: Origin) -> None:
    child = with_token(api, origin).create()
    await child.get("/echo")
    child.cookies.set("XSRF-TOKEN", "childs", url=origin.url)
    await child.get("/echo")
    assert tokens(origin) == [None, "childs"]


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
async def test_a_config_is_sent_again_with_the_token_of_its_client(api: Api, origin: Origin, how: Any) -> None:
    response = await with_token(api, origin, "one").get("/echo")
    assert response.config.with_xsrf_token is True
    config = how(response.config)
    await with_token(api, origin, "two").request(config)
    await api.client().request(config)
    assert tokens(origin) == ["one", "two", None]


async def test_it_is_shown_nowhere(api: Api, origin: Origin, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = with_token(api, origin, CANARY, validateStatus=True, xsrfHeaderName="X-Plain")
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get("/status/500", cookies={"a": CANARY})
    error = caught.value
    assert tokens(origin, "X-Plain") == [CANARY]
    shown = [str(error), repr(error), repr(error.to_dict()), repr(error.config), repr(error.request), caplog.text]
    shown += [repr(error.request.outline.cookies), pickle.dumps(error).decode("latin-1")]
    assert [text for text in shown if CANARY in text] == []
