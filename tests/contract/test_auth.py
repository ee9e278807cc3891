"""`auth` (contract: Auth; part 2: `auth`, credentials; hazards: A6, A9, A14, B1)."""

from __future__ import annotations

import asyncio
import base64
import copy
import functools
import hashlib
import hmac
import io
import itertools
import logging
import pickle
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from atomhttp import (
    AdapterResponse,
    AtomHTTP,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    BasicAuth,
    BearerAuth,
    FormData,
    Request,
    RequestConfig,
    Response,
    SyncAtomHTTP,
)
from contract.flavours import Api, collect, wait
from support.clock import VirtualClockLoop
from support.origin import Answer, Origin, Received, pattern
from support.peer import Peer, expect_body, expect_end, expect_head, hold, send
from support.peer import close as close_step

CANARY = "c4n4ry"
BAD = "ERR_BAD_OPTION_VALUE"


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


class Recorder:
    """An adapter that remembers what it was given; any host may be named."""

    def __init__(self, *answers: AdapterResponse) -> None:
        self.answers = iter(answers)
        self.requests: list[Request] = []

    async def send(self, request: Request) -> AdapterResponse:
        self.requests.append(request)
        return next(self.answers, None) or AdapterResponse(200, {}, b"{}")

    async def close(self) -> None:
        """Nothing is open."""

    @property
    def last(self) -> str | None:
        """The Authorization sent last."""
        return self.requests[-1].headers.get("authorization")


class Fields:
    """Credentials of the caller's own, as fields."""

    def __init__(self, fields: Any) -> None:
        self.fields = fields
        self.asked = 0

    def get_header(self) -> Any:
        self.asked += 1
        return self.fields() if callable(self.fields) else self.fields


# What `auth` takes


@pytest.mark.parametrize(
    ("auth", "sent"),
    [
        (BasicAuth("user", "pass"), basic("user", "pass")),
        (("user", "pass"), basic("user", "pass")),
        (["user", "pass"], basic("user", "pass")),
        ({"username": "user", "password": "pass"}, basic("user", "pass")),
        (("\u00fcser", "p\u00e4ss\u20ac\U0001f600"), basic("\u00fcser", "p\u00e4ss\u20ac\U0001f600")),
        (("", ""), "Basic Og=="),
        (("user", "a:b:c"), basic("user", "a:b:c")),
        (("user", "p" * 5000), basic("user", "p" * 5000)),
        (BearerAuth("tok.en"), "Bearer tok.en"),
        (Fields({"Authorization": "Own scheme"}), "Own scheme"),
    ],
)
@pytest.mark.parametrize("where", ["client", "call", "defaults"])
async def test_what_is_sent(api: Api, origin: Origin, where: str, auth: Any, sent: str) -> None:
    client = api.client(**({"auth": auth} if where == "client" else {}))
    if where == "defaults":
        client.defaults.auth = auth
    options = {"auth": auth} if where == "call" else {}
    for _ in range(2):
        response = await client.get(f"{origin.url}/echo", **options)
        assert response.request.headers["Authorization"] == sent
    assert [request.get("authorization") for request in origin.requests] == [sent, sent]


@pytest.mark.parametrize(
    "auth",
    [
        f"user:{CANARY}",
        CANARY.encode(),
        5,
        True,
        (),
        ("user",),
        ("user", "pass", CANARY),
        {"username": "user"},
        {"username": "user", "password": CANARY, "realm": "x"},
        {"user": "user", "pass": CANARY},
        BasicAuth,
        BearerAuth,
        object(),
        {CANARY},
    ],
)
def test_anything_else_is_refused_where_it_is_given(api: Api, auth: Any) -> None:
    client = api.client_class()
    for give in (
        lambda: api.client_class(auth=auth),
        lambda: setattr(client.defaults, "auth", auth),
        lambda: RequestConfig(auth=auth),
        lambda: client.create({"auth": auth}),
    ):
        with pytest.raises(AtomHTTPOptionError, match="auth: expected BasicAuth") as caught:
            give()
        assert caught.value.code == BAD
        assert CANARY not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        (("us:er", CANARY), "username: must not contain ':'"),
        ({"username": "us:er", "password": CANARY}, "username: must not contain ':'"),
        (("user\n", CANARY), "username: control characters"),
        (("user", f"{CANARY}\r\nX: 1"), "password: control characters"),
        (("user", f"{CANARY}\x00"), "password: control characters"),
        (("user", f"{CANARY}\x7f"), "password: control characters"),
        (("user", None), "password: expected str, got NoneType"),
        ((b"user", CANARY), "username: expected str, got bytes"),
        ((5, CANARY), "username: expected str, got int"),
    ],
)
async def test_wrong_names_and_passwords_are_refused(api: Api, auth: Any, message: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=message) as caught:
        await api.client().get("http://service.test/", auth=auth)
    assert caught.value.code == BAD
    assert CANARY not in f"{caught.value} {caught.value.to_dict()}"


async def test_lone_surrogates_are_our_error(api: Api) -> None:
    for auth in (("user", "\ud800"), ("\ud800", "x")):
        with pytest.raises(AtomHTTPOptionError) as caught:
            await api.client(adapter=Recorder()).get("http://service.test/", auth=auth)
        assert caught.value.code == BAD
    with pytest.raises(AtomHTTPOptionError):
        await api.client(adapter=Recorder()).get("http://service.test/", auth=BearerAuth("\ud800"))


async def test_fields_that_change_are_asked_for_each_time(api: Api) -> None:
    count = itertools.count(1)
    recorder = Recorder()
    auth = Fields(lambda: {"Authorization": f"Nonce {next(count)}", "X-Date": "today"})
    client = api.client(adapter=recorder, auth=auth)
    for number in (1, 2, 3):
        await client.get("http://service.test/")
        assert (recorder.last, recorder.requests[-1].headers["X-Date"]) == (f"Nonce {number}", "today")
    assert auth.asked == 3


async def test_a_subclass_may_have_fields_of_its_own(api: Api) -> None:
    class Counting(BasicAuth):
        asked = 0

        def get_header(self) -> dict[str, str]:
            type(self).asked += 1
            return {**super().get_header(), "X-Asked": str(self.asked)}

    recorder = Recorder()
    client = api.client(adapter=recorder, auth=Counting("user", "pass"))
    for number in ("1", "2"):
        await client.get("http://service.test/")
        assert (recorder.last, recorder.requests[-1].headers["X-Asked"]) == (basic("user", "pass"), number)


class MineError(Exception):
    """The caller's own."""


def fail(*_: Any) -> Any:
    raise MineError


async def test_what_get_header_raises_passes_through(api: Api) -> None:
    with pytest.raises(MineError):
        await api.client(adapter=Recorder()).get("http://service.test/", auth=Fields(fail))


@pytest.mark.parametrize(
    "fields", ["Authorization: x", 5, [1], {"Authorization": "a\r\nX: 1"}, {"A": object()}, {"a b": "c"}]
)
async def test_get_header_must_return_fields(api: Api, fields: Any) -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        await api.client(adapter=Recorder()).get("http://service.test/", auth=Fields(fields))
    assert caught.value.code == BAD


# Which wins


LAYERS = ("call auth", "call header", "call userinfo", "client auth", "client header", "base userinfo")


@pytest.mark.parametrize("off", [False, True])
async def test_the_nearer_layer_wins_and_within_one_auth_then_header_then_userinfo(api: Api, off: bool) -> None:
    for chosen in itertools.chain.from_iterable(itertools.combinations(LAYERS, size) for size in range(7)):
        given = set(chosen)
        if off and "call auth" in given:
            continue
        recorder = Recorder()
        defaults: dict[str, Any] = {"baseURL": "https://base:pw@home.test/v1/"}
        if "base userinfo" not in given:
            defaults["baseURL"] = "https://home.test/v1/"
        if "client auth" in given:
            defaults["auth"] = ("client", "pw")
        if "client header" in given:
            defaults["headers"] = {"authorization": "client header"}
        call: dict[str, Any] = {"auth": None} if off else {}
        if "call auth" in given:
            call["auth"] = ("call", "pw")
        if "call header" in given:
            call["headers"] = {"AUTHORIZATION": "call header"}
        url = "https://url:pw@home.test/v1/a" if "call userinfo" in given else "a"
        await api.client(adapter=recorder, **defaults).get(url, **call)

        # What the call switches off, or an absolute URL goes around, is not there.
        given -= {"client auth"} if off else set()
        given -= {"base userinfo"} if "call userinfo" in given else set()
        winner = next((layer for layer in LAYERS if layer in given), None)
        expected = {
            "call auth": basic("call", "pw"),
            "call header": "call header",
            "call userinfo": basic("url", "pw"),
            "client auth": basic("client", "pw"),
            "client header": "client header",
            "base userinfo": basic("base", "pw"),
            None: None,
        }[winner]
        assert recorder.last == expected, (chosen, off)
        assert recorder.requests[0].url == "https://home.test/v1/a"


async def test_a_flow_stands_in_the_same_order(api: Api) -> None:
    class Flow:
        def auth_flow(self, request: Request) -> Generator[Request, Any, None]:
            request.headers["Authorization"] = "flow"
            yield request

    recorder = Recorder()
    client = api.client(adapter=recorder, auth=Flow(), headers={"Authorization": "client header"})
    for options, expected in [
        ({}, "flow"),
        ({"auth": None}, "client header"),
        ({"headers": {"Authorization": "call header"}}, "call header"),
        ({"auth": ("call", "pw")}, basic("call", "pw")),
        ({"auth": ("call", "pw"), "headers": {"Authorization": "call header"}}, basic("call", "pw")),
        ({"auth": Flow(), "headers": {"Authorization": "call header"}}, "flow"),
    ]:
        await client.get("http://service.test/", **options)
        assert recorder.last == expected, options
    await client.get("http://url:pw@service.test/")
    assert recorder.last == basic("url", "pw")


async def test_a_calls_auth_replaces_the_clients_and_is_never_half_merged(api: Api) -> None:
    client = api.client(adapter=Recorder(), auth={"username": "user", "password": CANARY})
    with pytest.raises(AtomHTTPOptionError):
        await client.get("http://service.test/", auth={"username": "other"})


async def test_defaults_are_live(api: Api) -> None:
    recorder = Recorder()
    client = api.client(adapter=recorder)
    for auth, sent in [(("a", "b"), basic("a", "b")), (BearerAuth("t"), "Bearer t"), (None, None), (Flow(), "Flow 1")]:
        client.defaults.auth = auth
        await client.get("http://service.test/")
        assert recorder.last == sent


async def test_an_interceptor_may_set_it(api: Api) -> None:
    recorder = Recorder()
    client = api.client(adapter=recorder, auth=("client", "pw"))
    client.interceptors.use(lambda config: setattr(config, "auth", BearerAuth("mine")))
    await client.get("http://service.test/")
    assert recorder.last == "Bearer mine"


# Userinfo


@pytest.mark.parametrize(
    ("userinfo", "sent"),
    [
        ("user:pass", basic("user", "pass")),
        ("us%65r:p%40ss%3A%2F", basic("user", "p@ss:/")),
        ("user", basic("user", "")),
        ("user:", basic("user", "")),
        (":pass", basic("", "pass")),
        ("%C3%BC:%E2%82%AC", basic("\u00fc", "\u20ac")),
        ("\u00fc:\u20ac", basic("\u00fc", "\u20ac")),
        ("", None),
        ("a:b:c", basic("a", "b:c")),
    ],
)
async def test_userinfo_becomes_basic_and_leaves_the_url(
    client: Any, origin: Origin, caplog: pytest.LogCaptureFixture, userinfo: str, sent: str | None
) -> None:
    caplog.set_level(logging.DEBUG)
    response = await client.get(f"http://{userinfo}@127.0.0.1:{origin.port}/echo")
    [received] = origin.requests
    assert received.get("authorization") == sent
    assert (received.target, received.get("host")) == ("/echo", f"127.0.0.1:{origin.port}")
    assert response.url == response.request.url == f"{origin.url}/echo"
    assert "@" not in f"{caplog.text} {response!r} {response.config!r} {response.config.to_dict()}"


@pytest.mark.parametrize("userinfo", ["a%3Ab:p", "a%0D%0AX:p", "a:%00", "a:p%7f"])
async def test_userinfo_that_basic_cannot_say_is_an_error(client: Any, origin: Origin, userinfo: str) -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        await client.get(f"http://{userinfo}@127.0.0.1:{origin.port}/")
    assert caught.value.code == BAD
    assert origin.connections == 0


# Flows


class Flow:
    """Yields once, and notes what it is given."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.closed = 0

    def auth_flow(self, request: Request) -> Generator[Request, Response[Any], None]:
        self.seen.append(request)
        request.headers["Authorization"] = f"Flow {len(self.seen)}"
        try:
            response = yield request
            self.seen.append(response)
        finally:
            self.closed += 1


class Challenged(Flow):
    """Answers a 401, as Digest does."""

    def auth_flow(self, request: Request) -> Generator[Request, Response[Any], None]:
        try:
            response = yield request
            self.seen.append((response.status, response.content))
            if response.status == 401:
                request.headers["Authorization"] = f"Answer {response.headers['www-authenticate']}"
                response = yield request
                self.seen.append((response.status, response.content))
        finally:
            self.closed += 1


def challenge(request: Received) -> Answer:
    """401 with a body until the answer is right."""
    if request.get("authorization") == "Answer nonce":
        return Answer(b"welcome " + request.body)
    return Answer(b"who are you?", 401, [("WWW-Authenticate", "nonce")])


async def test_a_flow_that_yields_once(client: Any, origin: Origin) -> None:
    auth = Flow()
    response = await client.get(f"{origin.url}/bytes/10", auth=auth)
    assert origin.requests[0].get("authorization") == "Flow 1"
    assert response.content == pattern(10)
    request, given = auth.seen
    assert isinstance(request, Request)
    assert given is response
    assert auth.closed == 1
    assert response.request.headers["Authorization"] == "Flow 1"


async def test_a_flow_that_yields_never_may_have_changed_the_request(client: Any, origin: Origin) -> None:
    class Once:
        def auth_flow(self, request: Request) -> Generator[Request, Any, None]:
            request.headers["Authorization"] = "set"
            if request is None:
                yield request

    response = await client.get(f"{origin.url}/echo", auth=Once())
    assert response.status == 200
    assert origin.requests[0].get("authorization") == "set"


@pytest.mark.parametrize("where", ["client", "call"])
async def test_a_flow_answers_a_challenge(api: Api, origin: Origin, where: str) -> None:
    origin.routes["/"] = challenge
    auth = Challenged()
    client = api.client(validateStatus=True, **({"auth": auth} if where == "client" else {}))
    response = await client.post(f"{origin.url}/", b"me", **({"auth": auth} if where == "call" else {}))
    # The status that is judged is the last one.
    assert (response.status, response.data) == (200, "welcome me")
    assert auth.seen == [(401, b"who are you?"), (200, b"welcome me")]
    assert [request.get("authorization") for request in origin.requests] == [None, "Answer nonce"]
    assert [request.body for request in origin.requests] == [b"me", b"me"]
    assert [attempt.status for attempt in response.attempts] == [401, 200]
    assert response.history == ()
    assert origin.connections == 1
    assert auth.closed == 1


async def test_the_last_response_is_the_calls_whatever_its_status(client: Any, origin: Origin) -> None:
    origin.routes["/"] = lambda _request: Answer(b"no", 401, [("WWW-Authenticate", "other")])
    response = await client.get(f"{origin.url}/", auth=Challenged())
    assert (response.status, response.data, len(origin.requests)) == (401, "no", 2)
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get(f"{origin.url}/", auth=Challenged(), validateStatus=True)
    assert caught.value.response.data == "no"
    assert [attempt.status for attempt in caught.value.attempts] == [401, 401]


async def test_a_flow_may_go_on_for_longer(client: Any, origin: Origin) -> None:
    class Long:
        def auth_flow(self, request: Request) -> Generator[Request, Response[Any], None]:
            for number in range(5):
                request.headers["X-Round"] = number
                response = yield request
                assert dict(response.json()["headers"])["X-Round"] == str(number)

    response = await client.get(f"{origin.url}/echo", auth=Long())
    assert [request.get("x-round") for request in origin.requests] == ["0", "1", "2", "3", "4"]
    assert len(response.attempts) == 5


async def test_a_flow_sees_the_request_as_it_will_be_sent(client: Any, origin: Origin) -> None:
    auth = Flow()
    await client.post(f"{origin.url}/echo?a=1", {"x": 1}, auth=auth, params={"b": 2}, headers={"X-Own": "1"})
    request = auth.seen[0]
    assert (request.method, request.url) == ("POST", f"{origin.url}/echo?a=1&b=2")
    assert request.body == b'{"x":1}'
    received = dict(origin.requests[0].headers)
    seen = dict(request.headers)
    assert seen == received
    assert {"Host", "Content-Type", "Content-Length", "User-Agent", "Accept", "X-Own"} <= {*seen}


async def test_a_flow_runs_once_a_call_for_interceptors_and_transformers(api: Api, origin: Origin) -> None:
    origin.routes["/"] = challenge
    ran: list[str] = []
    client = api.client(
        transformRequest=lambda data: ran.append("encode") or data,
        transformResponse=lambda data: ran.append("decode") or data,
    )
    client.interceptors.use(lambda config: ran.append("before"))
    client.interceptors.use(lambda response: ran.append("after"), is_response=True)
    await client.post(f"{origin.url}/", "me", auth=Challenged())
    assert ran == ["before", "encode", "decode", "after"]


async def test_the_first_answers_content_is_under_the_limits_too(client: Any, origin: Origin) -> None:
    origin.routes["/"] = lambda _request: Answer(b"x" * 101, 401, [("WWW-Authenticate", "nonce")])
    auth = Challenged()
    with pytest.raises(AtomHTTPLimitError):
        await client.get(f"{origin.url}/", auth=auth, maxContentLength=100)
    assert (len(origin.requests), auth.closed) == (1, 1)


@pytest.mark.parametrize("size", [10, 300_000])
async def test_a_flow_for_a_stream(client: Any, origin: Origin, size: int) -> None:
    origin.routes["/"] = lambda request: (
        Answer(pattern(5000), chunked=True)
        if request.get("authorization")
        else Answer(b"x" * size, 401, [("WWW-Authenticate", "nonce")])
    )
    auth = Challenged()
    response = await client.get(f"{origin.url}/", auth=auth, response_type="stream")
    assert b"".join(await collect(response.data)) == pattern(5000)
    # What nobody reads is read a little, for its connection, or cut off with it.
    assert origin.connections == (1 if size == 10 else 2)
    assert [status for status, _ in auth.seen] == [401, 200]


# Content


class Pieces:
    def __iter__(self) -> Iterator[bytes]:
        return iter([b"con", b"", b"tent"])


def build_form(folder: Path) -> FormData:
    (folder / "part.txt").write_bytes(b"a file")
    form = FormData()
    form.append("text", "gr\u00fcn")
    form.append("path", folder / "part.txt")
    form.append("file", io.BytesIO(b"in memory"), filename="c.bin")
    return form


def build_path(folder: Path) -> Path:
    (folder / "whole.bin").write_bytes(pattern(1_200_000))
    return folder / "whole.bin"


BODIES: dict[str, Callable[[Api, Path], Any]] = {
    "bytes": lambda _api, _folder: b"\x00\xff",
    "no bytes": lambda _api, _folder: b"",
    "text": lambda _api, _folder: "gr\u00fcn",
    "json": lambda _api, _folder: {"a": [1, None]},
    "form": lambda _api, folder: build_form(folder),
    "file in memory": lambda _api, _folder: io.BytesIO(pattern(70_000)),
    "path": lambda _api, folder: build_path(folder),
    "iterable": lambda _api, _folder: Pieces(),
    "iterator": lambda api, _folder: api.iterator([b"con", b"", b"tent"]),
}


class Signing:
    """Signs the content, which it must see for that."""

    requires_body = True

    def __init__(self) -> None:
        self.bodies: list[Any] = []

    def auth_flow(self, request: Request) -> Generator[Request, Response[Any], None]:
        self.bodies.append(request.body)
        request.headers["X-Signature"] = hmac.new(b"key", request.body, hashlib.sha256).hexdigest()
        response = yield request
        if response.status == 401:
            request.headers["Authorization"] = "Answer nonce"
            yield request


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("is_limited", [False, True])
async def test_requires_body_gets_the_encoded_content(
    api: Api, client: Any, origin: Origin, tmp_path: Path, kind: str, is_limited: bool
) -> None:
    origin.routes["/"] = challenge
    auth = Signing()
    options = {"maxBodyLength": 2_000_000} if is_limited else {}
    response = await client.post(f"{origin.url}/", BODIES[kind](api, tmp_path), auth=auth, **options)
    assert response.status == 200
    first, second = origin.requests
    # Also content that can be read once: it is in memory now.
    assert first.body == second.body == auth.bodies[0]
    assert type(auth.bodies[0]) is bytes
    for request in (first, second):
        assert request.get("x-signature") == hmac.new(b"key", request.body, hashlib.sha256).hexdigest()
        assert request.get("content-length") == str(len(request.body))
        assert request.get("transfer-encoding") is None
        assert request.get("content-type") == first.get("content-type") is not None
    if kind == "form":
        assert str(first.get("content-type")).partition("boundary=")[2].encode() in first.body


async def test_requires_body_without_content(client: Any, origin: Origin) -> None:
    auth = Signing()
    await client.get(f"{origin.url}/echo", auth=auth)
    assert auth.bodies == [b""]
    assert origin.requests[0].get("content-length") is None


async def test_requires_body_holds_max_body_length(api: Api, client: Any, origin: Origin) -> None:
    with pytest.raises(AtomHTTPLimitError) as caught:
        await client.post(f"{origin.url}/", api.iterator([b"x" * 6] * 2), auth=Signing(), maxBodyLength=10)
    assert caught.value.code == "ERR_MAX_BODY_LENGTH"
    assert origin.connections == 0


@pytest.mark.parametrize("length", [6, 8])
async def test_requires_body_holds_a_declared_length(api: Api, client: Any, origin: Origin, length: int) -> None:
    with pytest.raises(AtomHTTPOptionError, match="Content-Length") as caught:
        await client.post(
            f"{origin.url}/echo",
            api.iterator([b"con", b"tent"]),
            auth=Signing(),
            headers={"Content-Length": length},
        )
    assert caught.value.code == BAD
    assert origin.requests == []


@pytest.mark.parametrize("kind", BODIES)
async def test_without_it_content_is_streamed_and_sent_again_where_it_can_be(
    api: Api, client: Any, origin: Origin, tmp_path: Path, kind: str
) -> None:
    origin.routes["/"] = challenge
    auth = Challenged()
    data = BODIES[kind](api, tmp_path)
    if kind == "iterator":
        with pytest.raises(AtomHTTPOptionError, match="cannot be sent again") as caught:
            await client.post(f"{origin.url}/", data, auth=auth)
        assert (caught.value.status, caught.value.response.status) == (401, 401)
        assert [attempt.status for attempt in caught.value.attempts] == [401]
        assert len(origin.requests) == 1
    else:
        assert (await client.post(f"{origin.url}/", data, auth=auth)).status == 200
        first, second = origin.requests
        assert first.body == second.body
        assert first.get("content-type") == second.get("content-type")
    assert auth.closed == 1


async def test_content_that_can_be_read_once_is_no_error_where_it_is_read_once(
    api: Api, client: Any, origin: Origin
) -> None:
    await client.post(f"{origin.url}/echo", api.iterator([b"con", b"tent"]), auth=Flow())
    assert origin.requests[0].body == b"content"
    assert origin.requests[0].get("transfer-encoding") == "chunked"


async def test_an_error_for_a_stream_leaves_nothing_open(api: Api, client: Any) -> None:
    refusal = b"HTTP/1.1 401 No\r\nWWW-Authenticate: nonce\r\nContent-Length: 100000\r\n\r\nx"
    with (
        Peer([expect_head(), expect_body(), send(refusal), expect_end()]) as peer,
        pytest.raises(AtomHTTPOptionError, match="cannot be sent again"),
    ):
        await client.post(peer.url, api.iterator([b"x"]), auth=Challenged(), response_type="stream")


async def test_upload_progress_of_a_flow(client: Any, origin: Origin) -> None:
    origin.routes["/"] = challenge
    for auth in (Challenged(), Signing()):
        seen: list[tuple[int, int]] = []
        await client.post(
            f"{origin.url}/", pattern(600_000), auth=auth, on_upload_progress=lambda *told, seen=seen: seen.append(told)
        )
        assert seen.count((600_000, 600_000)) == 2


# What goes wrong in a flow


@pytest.mark.parametrize("response_type", ["json", "stream"])
@pytest.mark.parametrize("when", ["at once", "before the first", "after the first"])
async def test_an_exception_in_a_flow_passes_through(client: Any, when: str, response_type: str) -> None:
    class Failing:
        requires_body = False

        def auth_flow(self, request: Request) -> Generator[Request, Any, None]:
            if when == "at once":
                raise MineError
            return self._flow(request)

        def _flow(self, request: Request) -> Generator[Request, Any, None]:
            if when == "before the first":
                raise MineError
            yield request
            raise MineError

    unread = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nx"
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    answer = unread if response_type == "stream" else ok
    script = [expect_head(), send(answer), expect_end()] if when == "after the first" else []
    with Peer([script] if script else []) as peer:
        with pytest.raises(MineError):
            await client.get(f"{peer.url}/", auth=Failing(), response_type=response_type)
        assert peer.connections == len([each for each in [script] if each])
        if response_type == "json":
            await client.close()


async def test_a_flow_is_closed_when_sending_fails(client: Any) -> None:
    auth = Flow()
    with pytest.raises(AtomHTTPNetworkError) as caught:
        await client.get("http://127.0.0.1:1/", auth=auth)
    assert (auth.closed, len(auth.seen)) == (1, 1)
    assert [attempt.error for attempt in caught.value.attempts] == ["ECONNREFUSED"]
    assert caught.value.request.url == "http://127.0.0.1:1/"


@pytest.mark.parametrize("nonsense", ["text", 5, [], b"", object(), ("GET", "/")])
@pytest.mark.parametrize("response_type", ["json", "stream"])
@pytest.mark.parametrize("when", ["first", "second"])
async def test_a_flow_must_yield_the_request(
    client: Any, origin: Origin, nonsense: Any, response_type: str, when: str
) -> None:
    class Odd:
        def auth_flow(self, request: Request) -> Generator[Any, Any, None]:
            if when == "second":
                yield request
            yield nonsense

    with pytest.raises(AtomHTTPOptionError, match=r"auth: .*auth_flow gave") as caught:
        await client.get(f"{origin.url}/bytes/100000", auth=Odd(), response_type=response_type)
    assert caught.value.code == BAD
    assert len(origin.requests) == (1 if when == "second" else 0)


async def test_a_flow_must_yield_a_request_and_not_none(client: Any, origin: Origin) -> None:
    class Forgetful:
        def auth_flow(self, request: Request) -> Generator[Any, Any, None]:
            yield

    with pytest.raises(AtomHTTPOptionError, match="auth_flow gave NoneType"):
        await client.get(f"{origin.url}/echo", auth=Forgetful())


class Coroutine:
    async def auth_flow(self, request: Request) -> None:
        """Not a generator."""


class AsyncGenerator:
    async def auth_flow(self, request: Request) -> Any:
        yield request


class Plain:
    def auth_flow(self, request: Request) -> Any:
        return request


class Listed:
    def auth_flow(self, request: Request) -> Any:
        return [request]


class Nothing:
    def auth_flow(self, request: Request) -> Any:
        """Forgot to yield."""


@pytest.mark.parametrize("auth", [Coroutine(), AsyncGenerator(), Plain(), Listed(), Nothing()])
async def test_a_flow_must_be_a_generator(client: Any, origin: Origin, auth: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=rf"{type(auth).__name__}\.auth_flow must be a generator") as caught:
        await client.get(f"{origin.url}/echo", auth=auth)
    assert caught.value.code == BAD
    assert caught.value.config.auth is auth
    assert origin.connections == 0


@pytest.mark.parametrize("name", ["Transfer-Encoding", "Content-Length", "Expect"])
async def test_a_flow_cannot_change_the_framing(client: Any, origin: Origin, name: str) -> None:
    class Framing:
        def auth_flow(self, request: Request) -> Generator[Request, Any, None]:
            request.headers[name] = "chunked" if name == "Transfer-Encoding" else "3"
            yield request

    response = await client.post(f"{origin.url}/echo", b"content", auth=Framing())
    assert response.data["body"] == "content"
    assert origin.requests[0].get("content-length") == "7"
    assert origin.requests[0].get("transfer-encoding") is None


@pytest.mark.parametrize(("name", "value"), [("Upgrade", "x"), ("TE", "x"), ("X", "a\r\nY: 1"), ("a b", "c")])
async def test_what_a_flow_sets_is_checked(client: Any, origin: Origin, name: str, value: str) -> None:
    class Bad:
        def auth_flow(self, request: Request) -> Generator[Request, Any, None]:
            request.headers[name] = value
            yield request

    with pytest.raises(AtomHTTPOptionError) as caught:
        await client.get(f"{origin.url}/echo", auth=Bad())
    assert caught.value.code == BAD
    assert origin.connections == 0


async def test_a_flow_may_set_and_remove_any_other_field(client: Any, origin: Origin) -> None:
    class Changing:
        def auth_flow(self, request: Request) -> Generator[Request, Any, None]:
            request.headers.update({"Host": "virtual.test", "Accept": None, "X-Two": ["a", "b"], "Content-Type": "x/y"})
            yield request

    await client.post(f"{origin.url}/echo", b"content", auth=Changing())
    received = origin.requests[0]
    assert [received.get(name) for name in ("host", "accept", "x-two", "content-type")] == [
        "virtual.test",
        None,
        "a, b",
        "x/y",
    ]


async def test_what_a_flow_changes_is_not_the_callers_config(client: Any, origin: Origin) -> None:
    headers = {"X-Own": "1"}
    response = await client.get(f"{origin.url}/echo", auth=Flow(), headers=headers)
    assert "Authorization" not in response.config.headers
    assert headers == {"X-Own": "1"}


async def test_flows_of_calls_at_once_do_not_meet(origin: Origin, loop_kind: str) -> None:
    origin.routes["/"] = lambda request: (
        Answer(request.body)
        if request.get("authorization") == f"Answer {request.body.decode()}"
        else Answer(b"", 401, [("WWW-Authenticate", request.body.decode())])
    )
    auth = Challenged()
    async with AtomHTTP(auth=auth) as client:
        responses = await AtomHTTP.all([client.post(f"{origin.url}/", str(number)) for number in range(40)])
    assert [response.content for response in responses] == [str(number).encode() for number in range(40)]
    assert auth.closed == 40


def test_flows_of_one_thread_at_once_do_not_meet(origin: Origin) -> None:
    origin.routes["/"] = challenge
    auth = Challenged()
    with SyncAtomHTTP(auth=auth) as client:
        responses = client.all([client.defer.post(f"{origin.url}/", str(number)) for number in range(20)])
    assert [response.data for response in responses] == [f"welcome {number}" for number in range(20)]
    assert auth.closed == 20


# Functions


def in_place(request: Request) -> None:
    request.headers["Authorization"] = "by a function"


def returning(request: Request) -> Request:
    in_place(request)
    return request


async def in_place_later(request: Request) -> None:
    in_place(request)


async def returning_later(request: Request) -> Request:
    return returning(request)


class Caller:
    def __call__(self, request: Request) -> Request:
        return returning(request)


class LateCaller:
    async def __call__(self, request: Request) -> Request:
        return returning(request)


FUNCTIONS = [
    in_place,
    returning,
    in_place_later,
    returning_later,
    Caller(),
    LateCaller(),
    functools.partial(lambda _extra, request: returning(request), 1),
]


@pytest.mark.parametrize("where", ["client", "call"])
@pytest.mark.parametrize("function", FUNCTIONS)
async def test_a_function_changes_the_request(api: Api, origin: Origin, function: Any, where: str) -> None:
    client = api.client(**({"auth": function} if where == "client" else {}))
    response = await client.post(f"{origin.url}/echo", {"a": 1}, **({"auth": function} if where == "call" else {}))
    assert origin.requests[0].get("authorization") == "by a function"
    assert origin.requests[0].body == b'{"a":1}'
    assert response.request.headers["Authorization"] == "by a function"


async def test_a_function_may_ask_for_the_content(api: Api, client: Any, origin: Origin) -> None:
    class Sign:
        requires_body = True

        def __call__(self, request: Request) -> None:
            request.headers["X-Signature"] = hashlib.sha256(request.body).hexdigest()  # type: ignore[arg-type]  # asked

    await client.post(f"{origin.url}/echo", api.iterator([b"con", b"tent"]), auth=Sign())
    assert origin.requests[0].get("x-signature") == hashlib.sha256(b"content").hexdigest()


@pytest.mark.parametrize("is_async", [False, True])
async def test_what_a_function_raises_passes_through(client: Any, origin: Origin, is_async: bool) -> None:
    async def fail_later(_request: Request) -> None:
        raise MineError

    with pytest.raises(MineError):
        await client.get(f"{origin.url}/", auth=fail_later if is_async else fail)
    assert origin.connections == 0


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_timeout_error_of_a_functions_own_is_the_callers(client: Any, is_async: bool) -> None:
    def give_up(_request: Request) -> None:
        raise TimeoutError("mine")

    async def give_up_later(_request: Request) -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine") as caught:
        await client.get("http://127.0.0.1:1/", auth=give_up_later if is_async else give_up)
    assert type(caught.value) is TimeoutError


@pytest.mark.parametrize("nonsense", ["Bearer x", 5, True, {"Authorization": "x"}, ("u", "p")])
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_function_must_return_the_request(client: Any, origin: Origin, nonsense: Any, is_async: bool) -> None:
    def odd(_request: Request) -> Any:
        return nonsense

    async def odd_later(_request: Request) -> Any:
        return nonsense

    with pytest.raises(AtomHTTPOptionError, match=r"auth: .*odd.* gave") as caught:
        await client.get(f"{origin.url}/", auth=odd_later if is_async else odd)
    assert caught.value.code == BAD
    assert origin.connections == 0


async def test_a_function_that_waits_is_within_the_timeout(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async def think(request: Request) -> None:
        await asyncio.sleep(60)

    async with AtomHTTP(auth=think, timeout=10) as client:
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.get(f"{origin.url}/")
        assert virtual_clock.time() == pytest.approx(10, abs=0.1)
    assert (caught.value.limit, caught.value.code) == (10, "ECONNABORTED")
    assert 10 <= caught.value.elapsed < 10.1
    assert origin.connections == 0


async def test_a_function_that_waits_too_long_is_an_attempt_like_another(
    virtual_clock: VirtualClockLoop, origin: Origin
) -> None:
    waits = iter([60, 0])

    async def think(request: Request) -> None:
        await asyncio.sleep(next(waits))

    retry = {"max_retries": 1, "attempt_timeout": 3, "backoff_factor": 0}
    async with AtomHTTP(auth=think, timeout=20, retryConfig=retry) as client:
        assert (await client.get(f"{origin.url}/echo")).status == 200


async def test_content_that_waits_is_within_the_timeout(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async def pieces() -> Any:
        yield b"x"
        await asyncio.sleep(60)

    async with AtomHTTP(auth=Signing(), timeout=10) as client:
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.post(f"{origin.url}/", pieces())
    assert caught.value.limit == 10
    assert 10 <= caught.value.elapsed < 10.1
    assert origin.connections == 0


async def test_the_second_request_of_a_flow_is_within_the_timeout(virtual_clock: VirtualClockLoop) -> None:
    refusal = b"HTTP/1.1 401 No\r\nWWW-Authenticate: nonce\r\nContent-Length: 0\r\n\r\n"
    auth = Challenged()
    with Peer([expect_head(), send(refusal), expect_head(), hold()]) as peer:
        async with AtomHTTP(auth=auth, timeout=10) as client:
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.get(peer.url)
    assert [attempt.status for attempt in caught.value.attempts] == [401, None]
    assert 10 <= caught.value.elapsed < 10.1
    assert auth.closed == 1


async def test_canceling_while_a_function_waits_leaves_nothing(origin: Origin) -> None:
    entered = asyncio.Event()

    async def think(request: Request) -> None:
        entered.set()
        await asyncio.Event().wait()

    async with AtomHTTP(auth=think) as client:
        task = asyncio.create_task(client.get(f"{origin.url}/"))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# Each hop, each attempt


@pytest.mark.parametrize("kind", ["flow", "function"])
async def test_it_runs_for_each_hop_on_its_own_origin(client: Any, origin: Origin, kind: str) -> None:
    ran: list[str] = []

    class Counting:
        def auth_flow(self, request: Request) -> Generator[Request, Any, None]:
            yield sign(request)

    def sign(request: Request) -> Request:
        ran.append(request.url)
        request.headers["X-Signature"] = f"{request.method} {request.url.rpartition('/')[2]}"
        return request

    with Origin() as other:
        origin.routes["/a"] = lambda _request: Answer(b"", 303, [("Location", "/b")])
        origin.routes["/b"] = lambda _request: Answer(b"", 307, [("Location", f"{other.url}/c")])
        other.routes["/c"] = lambda _request: Answer(b"", 307, [("Location", f"{origin.url}/d")])
        response = await client.post(f"{origin.url}/a", b"x", auth=Counting() if kind == "flow" else sign)
        assert [request.get("x-signature") for request in origin.requests] == ["POST a", "GET b", None]
        assert [request.get("x-signature") for request in other.requests] == [None]
        assert ran == [f"{origin.url}/a", f"{origin.url}/b"]
        assert [each.stripped for each in response.history] == [(), ("auth",), ()]


async def test_no_answer_is_computed_for_another_origins_challenge(client: Any, origin: Origin) -> None:
    with Origin(routes={"/": challenge}) as other:
        origin.routes["/"] = lambda _request: Answer(b"", 302, [("Location", f"{other.url}/")])
        auth = Challenged()
        response = await client.get(f"{origin.url}/", auth=auth)
        assert (response.status, len(other.requests)) == (401, 1)
        # It has seen its own origin's answer, which was no challenge.
        assert [status for status, _ in auth.seen] == [302]


async def test_a_challenge_after_a_redirect_is_answered(client: Any, origin: Origin) -> None:
    origin.routes["/"] = challenge
    origin.routes["/start"] = lambda _request: Answer(b"", 307, [("Location", "/")])
    response = await client.post(f"{origin.url}/start", b"me", auth=Challenged())
    assert response.data == "welcome me"
    assert [each.status for each in response.history] == [307]
    assert [attempt.status for attempt in response.attempts] == [307, 401, 200]


async def test_content_in_memory_for_a_signature_can_follow_a_redirect(api: Api, client: Any, origin: Origin) -> None:
    origin.routes["/start"] = lambda _request: Answer(b"", 307, [("Location", "/")])
    origin.routes["/"] = challenge
    seen: list[tuple[int, int]] = []
    response = await client.post(
        f"{origin.url}/start",
        api.iterator([b"con", b"tent"]),
        auth=Signing(),
        on_upload_progress=lambda *told: seen.append(told),
    )
    assert response.data == "welcome content"
    assert [request.body for request in origin.requests] == [b"content"] * 3
    assert seen == [(7, 7)] * 3


@pytest.mark.parametrize("kind", ["flow", "function"])
async def test_each_attempt_is_authenticated_anew(client: Any, origin: Origin, kind: str) -> None:
    count = itertools.count(1)

    def sign(request: Request) -> Request:
        request.headers["Authorization"] = f"Nonce {next(count)}"
        return request

    class Counting:
        def auth_flow(self, request: Request) -> Generator[Request, Any, None]:
            yield sign(request)

    statuses = iter([503, 503, 200])
    origin.routes["/"] = lambda _request: Answer(b"", next(statuses))
    response = await client.put(
        f"{origin.url}/",
        pattern(1000),
        auth=Counting() if kind == "flow" else sign,
        retryConfig={"max_retries": 2, "backoff_factor": 0},
    )
    assert response.status == 200
    assert [request.get("authorization") for request in origin.requests] == ["Nonce 1", "Nonce 2", "Nonce 3"]
    assert [request.body for request in origin.requests] == [pattern(1000)] * 3


async def test_the_safe_resend_is_the_same_request(client: Any) -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    first = [expect_head(), send(ok), expect_head(), close_step()]
    auth = Flow()
    with Peer([first, [expect_head(), send(ok), expect_end()]]) as peer:
        await client.get(peer.url, auth=auth)
        response = await client.get(peer.url, auth=auth)
        assert [head.get("authorization") for head in peer.heads] == ["Flow 1", "Flow 3", "Flow 3"]
        assert [attempt.status for attempt in response.attempts] == [None, 200]
        await client.close()


async def test_a_retry_after_a_dead_connection_goes_out_on_a_new_one(client: Any) -> None:
    # Where one idle connection has died, others have.
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with Peer(
        [[expect_head(), send(ok), expect_head(), close_step()], [expect_head(), send(ok), expect_end()]]
    ) as peer:
        options = {"auth": Flow(), "retryConfig": {"max_retries": 1, "backoff_factor": 0}}
        await client.get(peer.url, **options)
        response = await client.get(peer.url, **options)
        assert [attempt.status for attempt in response.attempts] == [None, 200]
        await client.close()


# At home and abroad


HOME = "https://home.test/v1"
ABROAD = ["https://away.test/", "//away.test/", "http://home.test/", "https://home.test:444/", "https://www.home.test/"]
AT_HOME = ["a", "/a", "https://home.test/a", "https://HOME.test:443/other", "//home.test/a"]


CLIENT_CREDENTIALS: dict[str, Callable[[], dict[str, Any]]] = {
    "pair": lambda: {"auth": ("user", CANARY)},
    "bearer": lambda: {"auth": BearerAuth(CANARY)},
    "fields": lambda: {"auth": Fields({"Authorization": CANARY})},
    "flow": lambda: {"auth": Flow()},
    "function": lambda: {"auth": returning},
    "Authorization": lambda: {"headers": {"authorization": CANARY}},
    "Cookie": lambda: {"headers": {"cookie": f"a={CANARY}"}},
    "common": lambda: {"headers": {"common": {"Authorization": CANARY}}},
    "get": lambda: {"headers": {"get": {"Authorization": CANARY}}},
}


def has_credentials(request: Request) -> bool:
    return any(name in request.headers for name in ("authorization", "cookie", "proxy-authorization"))


@pytest.mark.parametrize("kind", CLIENT_CREDENTIALS)
async def test_the_clients_credentials_stay_on_the_origin_of_its_base(
    api: Api, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "atomhttp")
    recorder = Recorder()
    client = api.client(adapter=recorder, baseURL=HOME, **CLIENT_CREDENTIALS[kind]())
    for url in AT_HOME:
        await client.get(url)
        assert has_credentials(recorder.requests[-1]), url
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    for url in (f"{ABROAD[0]}?token={CANARY}", *ABROAD, *ABROAD):
        await client.get(url)
        assert not has_credentials(recorder.requests[-1]), url
    # Said once, and without secrets.
    [warning] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.name == "atomhttp.request"
    assert "https://away.test/" in warning.getMessage()
    assert "baseURL" in warning.getMessage()
    assert CANARY not in caplog.text
    await client.get("a")
    assert has_credentials(recorder.requests[-1])


@pytest.mark.parametrize("kind", CLIENT_CREDENTIALS)
async def test_without_a_base_there_is_no_abroad(api: Api, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    client = api.client(adapter=recorder, **CLIENT_CREDENTIALS[kind]())
    for url in ("https://home.test/", "https://away.test/"):
        await client.get(url)
        assert has_credentials(recorder.requests[-1])
    assert caplog.records == []


@pytest.mark.parametrize("url", ABROAD)
@pytest.mark.parametrize(
    "call",
    [
        {"auth": ("call", "pw")},
        {"auth": BearerAuth("call")},
        {"auth": in_place},
        {"auth": Flow()},
        {"headers": {"Authorization": "call"}},
        {"headers": {"Authorization": CANARY}},
    ],
)
async def test_what_the_call_gives_goes_abroad(
    api: Api, url: str, call: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()
    client = api.client(adapter=recorder, baseURL=HOME, headers={"Authorization": CANARY})
    await client.get(url, **call)
    assert recorder.last is not None
    assert caplog.records == []


@pytest.mark.parametrize("auth", [BasicAuth("user", "pw"), BearerAuth("t"), Flow(), in_place])
async def test_the_calls_own_goes_abroad_even_if_it_is_the_clients_too(api: Api, auth: Any) -> None:
    recorder = Recorder()
    client = api.client(adapter=recorder, baseURL=HOME, auth=auth)
    response = await client.get("https://away.test/", auth=auth)
    assert recorder.last is not None
    # And again, when the call is sent again.
    await client.request(response.config)
    assert recorder.last is not None
    await client.get("https://away.test/")
    assert recorder.last is None
    response = await client.get("https://home.test/")
    await client.request(response.config, url="https://away.test/")
    assert recorder.last is None


@pytest.mark.parametrize("url", ABROAD)
async def test_what_an_interceptor_gives_goes_abroad(api: Api, url: str) -> None:
    for change in (
        lambda config: setattr(config, "auth", ("interceptor", "pw")),
        lambda config: config.headers.update({"Authorization": "interceptor"}),
        lambda config: {"auth": BearerAuth("interceptor")},
    ):
        recorder = Recorder()
        client = api.client(adapter=recorder, baseURL=HOME, auth=("client", CANARY), headers={"Cookie": CANARY})
        client.interceptors.use(change)
        await client.get(url)
        assert recorder.last is not None
        assert recorder.last != basic("client", CANARY)
        assert "cookie" not in recorder.requests[-1].headers


async def test_an_interceptor_that_only_looks_lets_nothing_out(api: Api) -> None:
    recorder = Recorder()
    client = api.client(adapter=recorder, baseURL=HOME, auth=("client", CANARY), headers={"Cookie": CANARY})
    client.interceptors.use(lambda config: config.headers and config.auth and None)
    await client.get("https://away.test/")
    assert not has_credentials(recorder.requests[-1])


@pytest.mark.parametrize("where", ["client", "call"])
@pytest.mark.parametrize("kind", ["pair", "flow", "function", "Authorization"])
async def test_cross_origin_headers_let_them_go_abroad(
    api: Api, kind: str, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()
    allowed = {"crossOriginHeaders": ["Authorization"]}
    client = api.client(
        adapter=recorder, baseURL=HOME, **CLIENT_CREDENTIALS[kind](), **(allowed if where == "client" else {})
    )
    await client.get("https://away.test/", **(allowed if where == "call" else {}))
    assert recorder.last is not None
    assert caplog.records == []


async def test_userinfo_of_the_base_stays_on_its_origin(api: Api) -> None:
    recorder = Recorder()
    client = api.client(adapter=recorder, baseURL=f"https://user:{CANARY}@home.test/v1")
    await client.get("a")
    assert recorder.last == basic("user", CANARY)
    for url in [*ABROAD, "https://home.test/a"]:
        await client.get(url)
        assert recorder.last is None, url


async def test_a_base_url_of_the_call_is_no_home(api: Api) -> None:
    recorder = Recorder()
    client = api.client(adapter=recorder, baseURL=HOME, auth=("client", CANARY))
    await client.get("a", baseURL="https://away.test/")
    assert recorder.last is None
    await client.get("a", baseURL="https://home.test/v2")
    assert recorder.last == basic("client", CANARY)


async def test_from_abroad_a_redirect_home_brings_nothing_back(api: Api) -> None:
    recorder = Recorder(AdapterResponse(302, {"Location": "https://home.test/v1/a"}))
    client = api.client(adapter=recorder, baseURL=HOME, auth=Flow(), headers={"Cookie": CANARY})
    await client.get("https://away.test/")
    assert len(recorder.requests) == 2
    assert not any(has_credentials(request) for request in recorder.requests)


async def test_each_client_says_it_for_itself(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    parent = api.client(adapter=Recorder(), baseURL=HOME, auth=("user", CANARY))
    child = parent.create()
    for client in (parent, child, parent, child):
        await client.get("https://away.test/")
    assert len(caplog.records) == 2


# Objects


@pytest.mark.parametrize("auth", [BasicAuth("user", CANARY), BearerAuth(CANARY)])
def test_auth_objects_do_not_change(api: Api, auth: Any) -> None:
    before = auth.get_header()
    for name in ("username", "password", "token", "anything"):
        with pytest.raises(AttributeError):
            setattr(auth, name, "other")
    for name in ("username", "password", "token"):
        with pytest.raises(AttributeError):
            delattr(auth, name)
    header = auth.get_header()
    header["Authorization"] = "changed"
    assert auth.get_header() == before


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda auth: pickle.loads(pickle.dumps(auth))])
@pytest.mark.parametrize("auth", [BasicAuth("\u00fcser", CANARY), BearerAuth(CANARY)])
async def test_copies_authenticate_as_the_original_does(api: Api, auth: Any, twin: Any) -> None:
    recorder = Recorder()
    made = twin(auth)
    assert (made, hash(made), type(made)) == (auth, hash(auth), type(auth))
    await api.client(adapter=recorder, auth=made).get("http://service.test/")
    assert recorder.requests[0].headers["Authorization"] == auth.get_header()["Authorization"]


class Leaky:
    """An auth object with a repr that tells everything."""

    def __init__(self) -> None:
        self.secret = CANARY

    def __repr__(self) -> str:
        return f"Leaky({self.secret})"

    def auth_flow(self, request: Request) -> Generator[Request, Any, None]:
        request.headers["Authorization"] = self.secret
        yield request


@pytest.mark.parametrize("auth", [("user", CANARY), BearerAuth(CANARY), Leaky(), Leaky().auth_flow])
async def test_auth_is_redacted_everywhere(api: Api, auth: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    recorder = Recorder(AdapterResponse(401, {"WWW-Authenticate": "Basic"}))
    client = api.client(adapter=recorder, auth=Leaky() if callable(auth) else auth, validateStatus=True)
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get("http://service.test/", auth=Leaky() if callable(auth) else auth)
    error = caught.value
    shown = [
        repr(client.defaults),
        repr(client.defaults.to_dict()),
        repr(error.config),
        repr(error.config.to_dict()),
        repr(error.request),
        repr(error.request.headers),
        repr(error.response),
        f"{error} {error!r} {error.to_dict()}",
        caplog.text,
        ascii(pickle.dumps(error)),
    ]
    assert [text for text in shown if CANARY in text] == []
    # In the process it is live.
    assert error.config.auth is not None
    assert recorder.last is not None


async def test_a_call_is_sent_again_with_its_auth(api: Api) -> None:
    recorder = Recorder()
    client = api.client(adapter=recorder, auth=("client", "pw"))
    for options in ({"auth": ("call", "pw")}, {"auth": None}, {}, {"auth": Flow()}):
        first = await client.get("http://service.test/", **options)
        sent = recorder.last
        await client.request(first.config)
        assert (recorder.last or "")[:5] == (sent or "")[:5], options


async def test_auth_and_head(client: Any, origin: Origin) -> None:
    origin.routes["/"] = challenge
    response = await client.head(f"{origin.url}/", auth=Challenged())
    assert (response.status, response.data) == (200, None)
    assert [request.method for request in origin.requests] == ["HEAD", "HEAD"]


async def test_a_stream_that_a_flow_has_seen_is_still_whole(client: Any, origin: Origin) -> None:
    response = await client.get(f"{origin.url}/chunked/5000", auth=Flow(), response_type="stream")
    assert await wait(response.data.read()) == pattern(5000)
    assert origin.requests[0].get("authorization") == "Flow 1"


def test_mappings_are_any_mapping(api: Api) -> None:
    class Credentials(Mapping[str, str]):
        def __getitem__(self, name: str) -> str:
            return {"username": "user", "password": "pass"}[name]

        def __iter__(self) -> Iterator[str]:
            return iter(("username", "password"))

        def __len__(self) -> int:
            return 2

    assert RequestConfig(auth=Credentials()).auth == BasicAuth("user", "pass")
