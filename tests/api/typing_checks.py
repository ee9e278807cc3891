# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""A user's code, for type checkers only; it never runs.

What a call gives is held by `assert_type`. A line that ends in `type: ignore[…]` must be an error, to mypy and to
pyright: both report an ignore that ignores nothing.
"""

from __future__ import annotations

import asyncio
import datetime
import re
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypedDict, assert_type

import atomhttp
from atomhttp import (
    AbortController,
    AtomHTTP,
    AtomHTTPCanceledError,
    AtomHTTPError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPProxyError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    Attempt,
    BasicAuth,
    BearerAuth,
    CookieJar,
    DigestAuth,
    FormData,
    Headers,
    HTTPAdapter,
    HttpStatusCode,
    MockAdapter,
    PoolStats,
    ProgressBar,
    ProgressEvent,
    Proxy,
    RefreshingAuth,
    Request,
    RequestConfig,
    Response,
    ResponseStream,
    RetryInfo,
    SyncAtomHTTP,
    SyncResponseStream,
    Timeout,
    Timings,
)
from atomhttp.testing import ASGIAdapter, MockCall, MockRequest, MockRoute
from atomhttp.types import ResponseType


@dataclass
class User:
    name: str


class Item(TypedDict):
    id: int


# What `response.data` is


async def every_async_verb(client: AtomHTTP) -> None:
    assert_type(await client.get("/"), Response[Any])
    assert_type(await client.delete("/", response_type="json"), Response[Any])
    assert_type(await client.head("/", response_type="text"), Response[str])
    assert_type(await client.options("/", response_type="blob"), Response[bytes])
    assert_type(await client.post("/", response_type="arraybuffer"), Response[bytes])
    assert_type(await client.put("/", {}, response_type="stream"), Response[ResponseStream])
    assert_type(await client.patch("/", data=b"", response_type=User), Response[User])
    assert_type(await client.query("/", json=[], response_type=list[Item]), Response[list[Item]])
    assert_type(await client.post_form("/", {"a": 1}), Response[Any])
    assert_type(await client.put_form("/", FormData(), response_type="text"), Response[str])
    assert_type(await client.patch_form("/", {"a": 1}, response_type=User), Response[User])
    assert_type(await client.request("GET", "/"), Response[Any])
    assert_type(await client.request("GET", "/", response_type="text"), Response[str])
    assert_type(await client.request("GET", "/", response_type="blob"), Response[bytes])
    assert_type(await client.request("GET", "/", response_type="stream"), Response[ResponseStream])
    assert_type(await client.request(method="GET", url="/", response_type=User), Response[User])


def every_sync_verb(client: SyncAtomHTTP) -> None:
    assert_type(client.get("/"), Response[Any])
    assert_type(client.delete("/", response_type="json"), Response[Any])
    assert_type(client.head("/", response_type="text"), Response[str])
    assert_type(client.options("/", response_type="blob"), Response[bytes])
    assert_type(client.post("/", response_type="arraybuffer"), Response[bytes])
    assert_type(client.put("/", {}, response_type="stream"), Response[SyncResponseStream])
    assert_type(client.patch("/", data=b"", response_type=User), Response[User])
    assert_type(client.query("/", json=[], response_type=list[Item]), Response[list[Item]])
    assert_type(client.post_form("/", {"a": 1}), Response[Any])
    assert_type(client.put_form("/", FormData(), response_type="text"), Response[str])
    assert_type(client.patch_form("/", {"a": 1}, response_type=User), Response[User])
    assert_type(client.request("GET", "/"), Response[Any])
    assert_type(client.request("GET", "/", response_type="text"), Response[str])
    assert_type(client.request("GET", "/", response_type="blob"), Response[bytes])
    assert_type(client.request("GET", "/", response_type="stream"), Response[SyncResponseStream])
    assert_type(client.request(method="GET", url="/", response_type=User), Response[User])


def every_one_shot() -> None:
    assert_type(atomhttp.get("/"), Response[Any])
    assert_type(atomhttp.post("/", {}, response_type="text"), Response[str])
    assert_type(atomhttp.query("/", response_type="stream"), Response[SyncResponseStream])
    assert_type(atomhttp.request("GET", "/", response_type=User), Response[User])


def only_known_when_it_runs(client: SyncAtomHTTP, kind: ResponseType) -> None:
    assert_type(client.get("/", response_type=kind), Response[Any])
    client.get("/", response_type=User | None)  # mypy and pyright do not agree on what a union of classes is
    client.get("/", response_type=list[User] | None)
    assert_type(client.get("/", responseType="text"), Response[Any])


async def down_to_the_data(client: AtomHTTP, sync_client: SyncAtomHTTP) -> None:
    assert_type((await client.get("/", response_type=User)).data.name, str)
    assert_type((await client.get("/", response_type=list[Item])).data[0]["id"], int)
    assert_type(sync_client.get("/", response_type="text").raise_for_status(), Response[str])


def a_response(response: Response[Any]) -> None:
    assert_type(response.status, int)
    assert_type(response.status_text, str)
    assert_type(response.ok, bool)
    assert_type(response.url, str)
    assert_type(response.text, str)
    assert_type(response.content, bytes)
    assert_type(response.headers, Headers)
    assert_type(response.headers["X-A"], str)
    assert_type(response.headers.get_all("X-A"), list[str])
    assert_type(response.cookies, CookieJar)
    assert_type(response.config, RequestConfig)
    assert_type(response.request, Request)
    assert_type(response.history, tuple[Response[Any], ...])
    assert_type(response.attempts, tuple[Attempt, ...])
    assert_type(response.timings, Timings)
    assert_type(response.timings.total, float)
    assert_type(response.status == HttpStatusCode.NotFound, bool)


def decoded_later(response: Response[Any], kind: Any) -> None:
    assert_type(response.json(), Any)
    assert_type(response.json(User), User)
    assert_type(response.json(list[Item]), list[Item])
    assert_type(response.json(type=User).name, str)
    assert_type(response.json(kind), Any)


# Streams


async def async_streams(client: AtomHTTP) -> None:
    async with await client.get("/", response_type="stream") as response:
        assert_type(response, Response[ResponseStream])
        async for piece in response.data:
            assert_type(piece, bytes)
        assert_type(await response.data.read(10), bytes)
        assert_type(response.data.iter_bytes(1024), AsyncIterator[bytes])
        assert_type(response.data.iter_lines(), AsyncIterator[str])
        assert_type([line async for line in response.data.iter_lines()], list[str])


def sync_streams(client: SyncAtomHTTP) -> None:
    with client.get("/", response_type="stream") as response:
        assert_type(response, Response[SyncResponseStream])
        for piece in response.data:
            assert_type(piece, bytes)
        assert_type(response.data.read(10), bytes)
        assert_type(response.data.iter_bytes(1024), Iterator[bytes])
        assert_type(response.data.iter_lines(), Iterator[str])
        assert_type(b"".join(response.data), bytes)


# Clients


async def clients() -> None:
    async with AtomHTTP(baseURL="http://a", timeout=Timeout(5, connect=1), maxConnections=5) as client:
        assert_type(client, AtomHTTP)
        assert_type(client.create(keepAlive=False), AtomHTTP)
        assert_type(client.get_uri({"url": "/"}), str)
        assert_type(client.cookies, CookieJar)
        assert_type(client.pool_stats(), PoolStats)
        assert_type(client.is_atomhttp_error(ValueError()), bool)
    with SyncAtomHTTP({"base_url": "http://a"}, headers={"common": {"X-A": "1"}, "X-B": "2"}) as sync_client:
        assert_type(sync_client, SyncAtomHTTP)
        assert_type(SyncAtomHTTP.create(sync_client.get("/").config), SyncAtomHTTP)
    assert_type(AtomHTTP.create(), AtomHTTP)
    assert_type(AtomHTTP.FormData(), FormData)
    assert_type(atomhttp.AsyncAtomHTTP(), AtomHTTP)
    assert_type(atomhttp.merge_config({"url": "/"}, None), RequestConfig)


async def together(client: AtomHTTP, sync_client: SyncAtomHTTP) -> None:
    calls = [client.get("/a", response_type="text"), client.get("/b", response_type="text")]
    assert_type(await AtomHTTP.all(calls), list[Response[str]])
    assert_type(
        await client.all([client.get("/")], limit=2, return_exceptions=True), list[Response[Any] | BaseException]
    )
    first, second = await AtomHTTP.all([client.get("/a"), client.get("/b")])
    assert_type(await AtomHTTP.spread(add, first, second), int)
    later: int = await AtomHTTP.spread(add_later, first, second)  # to mypy any coroutine function gives Any here
    assert_type(sync_client.all([sync_client.defer.get("/"), sync_client.defer.post("/", {})]), list[Response[Any]])
    assert_type(sync_client.all([sync_client.defer.get("/", response_type=User)])[0].data, User)
    assert_type(
        sync_client.all([sync_client.defer.request("GET", "/")], return_exceptions=True),
        list[Response[Any] | Exception],
    )
    assert_type(sync_client.spread(add, first, second), int)
    later = sync_client.spread(add_later, first, second)
    assert_type(later, int)
    tasks = [asyncio.create_task(client.get("/", response_type="blob"))]
    assert_type(await client.all(tasks), list[Response[bytes]])
    # Who calls a verb for the caller knows only its plainest form.
    assert_type(list(map(sync_client.get, ["/a", "/b"])), list[Response[Any]])
    assert_type(partial(sync_client.post, "/")(), Response[Any])


# Files


async def files(client: AtomHTTP, sync_client: SyncAtomHTTP) -> None:
    got = await client.download("/", "a.bin", checksum="sha256:00", on_download_progress=ProgressBar("a.bin"))
    assert_type(got, Response[Path])
    assert_type(got.data, Path)
    assert_type(await client.upload("/", Path("a.bin"), timeout=60), Response[Any])
    assert_type(await client.upload("/", "a.bin", method="POST", field="file"), Response[Any])
    assert_type(sync_client.download("/", Path("downloads"), resume=False, headers={"A": "1"}), Response[Path])
    assert_type(sync_client.upload("/", "a.bin", response_type="text"), Response[Any])
    assert_type(sync_client.all([sync_client.defer.upload("/", "a.bin")]), list[Response[Any]])


def add(first: Response[Any], second: Response[Any]) -> int:
    return first.status + second.status


async def add_later(first: Response[Any], second: Response[Any]) -> int:
    return first.status + second.status


# Both spellings, and every kind of value


def options(client: SyncAtomHTTP, given: Mapping[str, Any], config: RequestConfig) -> None:
    client.get("/", {"q": ["a", "b"]}, headers={"X-A": "1", "X-B": 2, "X-C": None, "X-D": ["1", "2"]})
    client.get("/", params=[("a", 1), ("a", 2)], timeout=datetime.timedelta(seconds=1), max_content_length=10)
    client.get(
        "/", params="a=1", timeout={"total": 5, "read": 1}, maxContentLength=10, headers=[("A", "1"), ("A", "2")]
    )
    client.get(url="/", timeout=None, validate_status=lambda status: status < 500, json_decoder=bytes.decode)
    client.get("/", verify=ssl.create_default_context(), validateStatus=True, meta={"mark": object()})
    client.get(
        "/", verify=Path("ca.pem"), cert=("a.pem", "a.key"), socketPath=Path("/run/x"), allowedSocketPaths=["/run/x"]
    )
    client.post("/", {"a": 1}, params={"b": 2}, config=config)
    client.post("/", form={"a": 1}, config=given)
    client.request(config)
    client.request({"url": "/"}, timeout=3)
    client.request("GET", "/", **given)
    client.get("/", **given)
    client.get("/", signal=AbortController().signal, retry_config={"max_retries": 3}, max_rate=(1e6, None))
    client.get("/", cookies={"a": "b"}, proxy=False, transform_response=[str, len], adapter=HTTPAdapter())


async def authentication(client: AtomHTTP) -> None:
    await client.get("/", auth=("user", "password"))
    await client.get("/", auth={"username": "user", "password": "password"})
    await client.get("/", auth=BasicAuth("user", "password"))
    await client.get("/", auth=DigestAuth("user", "password"))
    await client.get("/", auth=RefreshingAuth(new_token, token="first"))
    await client.get("/", auth=lambda request: request)
    assert_type(BearerAuth("token").get_header(), dict[str, str])
    assert_type(RefreshingAuth(new_token).token, str | None)


async def new_token() -> str:
    return "token"


# Callbacks


def on_progress(loaded: int, total: int) -> None: ...


async def on_event(event: ProgressEvent) -> None:
    assert_type(event.loaded, int)
    assert_type(event.progress, float | None)
    assert_type(event.rate, float | None)


def on_retry(info: RetryInfo) -> None:
    assert_type(info.attempt, Attempt)
    assert_type(info.outcome, Response[Any] | AtomHTTPError)


def progress(client: SyncAtomHTTP) -> None:
    client.get("/", on_download_progress=on_progress, onUploadProgress=on_event)
    client.get("/", on_download_progress=ProgressBar("file"), retry_config={"on_retry": on_retry})


def sign(config: RequestConfig) -> RequestConfig:
    config.headers["X-A"] = "1"
    return config


def nothing() -> None: ...


async def sign_later(config: RequestConfig) -> None:
    config.headers["X-A"] = "1"


def only_data(response: Response[Any]) -> Any:
    return response.data


def recover(error: AtomHTTPError) -> Response[Any]:
    raise error


def interceptors(client: AtomHTTP) -> None:
    assert_type(client.interceptors.use(sign), int)
    assert_type(client.interceptors.use(sign_later, run_when=lambda config: config.method == "GET"), int)
    assert_type(client.interceptors.use(only_data, is_response=True), int)
    assert_type(client.interceptors.request.use(sign, recover), int)
    assert_type(client.interceptors.response.use(only_data, recover), int)
    client.interceptors.request.use(lambda config: {"timeout": 3})
    client.interceptors.request.use(lambda config: Response("from memory", config=config))
    client.interceptors.response.use(lambda response: response.data, None)
    client.interceptors.response.use(None, lambda error: None)
    assert_type(client.interceptors.eject(0), bool)


# Values


def forms() -> None:
    form = FormData({"a": 1, "b": ["1", "2"]})
    form.append("file", Path("a.txt"), "b.txt", "text/plain")
    form.append("file", b"content", filename="b.txt")
    with Path("a.txt").open("rb") as file:
        form.append("file", file)
    assert_type(form.get_all("file"), list[Any])
    assert_type(form.has("file"), bool)
    assert_type(form.keys(), list[str])
    assert_type(list(form), list[tuple[str, Any]])
    assert_type(FormData.from_dict({"user": {"name": "x"}}), FormData)
    assert_type(atomhttp.to_form_data({"a": 1}), FormData)
    assert_type(atomhttp.form_to_json(form), dict[str, Any])


def values() -> None:
    assert_type(Timeout(5).total, float | None)
    assert_type(AbortController().signal.aborted, bool)
    assert_type(Headers({"A": "1"}).concat({"B": "2"}), Headers)
    assert_type(CookieJar().get("a"), str | None)
    assert_type([cookie.name for cookie in CookieJar().cookies], list[str])
    assert_type(Proxy("http", "localhost", 3128).name, str)


def errors(error: AtomHTTPError) -> None:
    assert_type(error.code, str)
    assert_type(error.message, str)
    assert_type(error.status, int | None)
    assert_type(error.response, Response[Any] | None)
    assert_type(error.config, RequestConfig | None)
    assert_type(error.to_dict(), dict[str, Any])
    if isinstance(error, AtomHTTPTimeoutError):
        assert_type((error.phase, error.limit, error.elapsed), tuple[str, float, float])
    elif isinstance(error, AtomHTTPLimitError):
        assert_type((error.limit, error.size), tuple[int, int])
    elif isinstance(error, AtomHTTPProxyError):
        assert_type(error.proxy_status, int | None)
    elif isinstance(error, AtomHTTPNetworkError):
        assert_type((error.request_sent, error.reused), tuple[str, bool])
    elif isinstance(error, AtomHTTPCanceledError):
        assert_type(error.reason, Any)
    elif isinstance(error, AtomHTTPStatusError):
        assert_type(error.response, Response[Any])


# Testing


def answer(request: MockRequest) -> tuple[int, Any]:
    assert_type(request.body, bytes)
    assert_type(request.params, dict[str, str | list[str]])
    return 200, request.json()


async def mock() -> None:
    adapter = MockAdapter()
    assert_type(adapter.on("GET", "/users", [{"id": 1}], headers={"X-A": "1"}), MockRoute)
    assert_type(adapter.on("GET", re.compile("/users/"), status=404).then({"id": 2}), MockRoute)
    adapter.on("POST", "/users", reply=answer, times=2)
    adapter.on("*", error="timeout", delay=1.5)
    assert_type(adapter.assert_called_once("GET"), MockCall)
    assert_type(adapter.calls[0].content, bytes)
    with adapter.intercept() as intercepting:
        assert_type(intercepting, MockAdapter)
    async with AtomHTTP(adapter=adapter) as client:
        await client.get("/users")


async def application(scope: Any, receive: Any, send: Any) -> None: ...


async def in_process() -> None:
    async with ASGIAdapter(application) as adapter, AtomHTTP(adapter=adapter, base_url="http://app") as client:
        assert_type(await client.get("/"), Response[Any])


# What must not pass


async def unknown_options(client: AtomHTTP, sync_client: SyncAtomHTTP) -> None:
    AtomHTTP(time_out=3)  # type: ignore[call-arg]
    SyncAtomHTTP(base_URL="http://a")  # type: ignore[call-arg]
    AtomHTTP.create(timeouts=3)  # type: ignore[call-arg]
    client.create(timeouts=3)  # type: ignore[call-arg]
    client.get_uri(parms={})  # type: ignore[call-arg]
    await client.get("/", time_out=3)  # type: ignore[call-overload]
    await client.post("/", {}, allow_redirects=True)  # type: ignore[call-overload]
    await client.request("GET", "/", stream=True)  # type: ignore[call-overload]
    sync_client.get("/", header={})  # type: ignore[call-overload]
    sync_client.request("GET", "/", jsn={})  # type: ignore[call-overload]
    atomhttp.get("/", timeOut=3)  # type: ignore[call-overload]
    atomhttp.post("/", {}, files={})  # type: ignore[call-overload]
    sync_client.defer.get("/", time_out=3)  # type: ignore[call-overload]


def options_in_the_wrong_scope(client: SyncAtomHTTP) -> None:
    SyncAtomHTTP(url="/")  # type: ignore[call-arg]
    AtomHTTP(json={})  # type: ignore[call-arg]
    client.post("/", {}, maxConnections=3)  # type: ignore[call-overload]
    client.get("/", keep_alive_timeout=3)  # type: ignore[call-overload]


async def values_of_the_wrong_kind(client: SyncAtomHTTP) -> None:
    client.get("/", timeout="3")  # type: ignore[call-overload]
    client.get("/", verify=3)  # type: ignore[call-overload]
    client.get("/", max_redirects="5")  # type: ignore[call-overload]
    client.get("/", validate_status=200)  # type: ignore[call-overload]
    client.get("/", headers="X-A: 1")  # type: ignore[arg-type]
    client.get("/", params=3)  # type: ignore[call-overload]
    client.get("/", cookies="a=b")  # type: ignore[call-overload]
    client.get("/", proxy=3128)  # type: ignore[call-overload]
    client.get("/", signal=AbortController())  # type: ignore[call-overload]
    client.get("/", retry_config="3")  # type: ignore[call-overload]
    client.get("/", {}, {"headers": {}})  # type: ignore[call-overload]  # axios's config as the last argument
    client.get(None)  # type: ignore[call-overload]
    client.get(b"/")  # type: ignore[call-overload]
    client.get()  # type: ignore[call-overload]
    Timeout("3")  # type: ignore[arg-type]
    Timeout(5, conect=1)  # type: ignore[call-arg]
    AtomHTTP(maxConnections="5")  # type: ignore[arg-type]
    AtomHTTP(hosts=["example.com"])  # type: ignore[arg-type]


def response_types(client: SyncAtomHTTP) -> None:
    client.get("/", response_type="jsn")  # type: ignore[call-overload]
    client.get("/", response_type=5)  # type: ignore[call-overload]
    client.get("/", response_type=User("x"))  # type: ignore[call-overload]
    _ = client.get("/", response_type=User).data.nam  # type: ignore[attr-defined]
    client.get("/", response_type="text").data.read()  # type: ignore[attr-defined]
    _ = client.get("/").json(User).nam  # type: ignore[attr-defined]


async def awaiting(client: AtomHTTP, sync_client: SyncAtomHTTP) -> None:
    client.get("/")  # type: ignore[unused-coroutine]
    _ = client.get("/").data  # type: ignore[attr-defined]
    await sync_client.get("/")  # type: ignore[misc]
    await sync_client.defer.get("/")  # type: ignore[misc]
    client.close()  # type: ignore[unused-coroutine]
    with client:  # type: ignore[attr-defined]
        pass
    async with sync_client:  # type: ignore[attr-defined]
        pass
    async with client.get("/", response_type="stream"):  # type: ignore[attr-defined]
        pass
    for _ in (await client.get("/", response_type="stream")).data:  # type: ignore[attr-defined]
        pass
    async for _ in sync_client.get("/", response_type="stream").data:  # type: ignore[attr-defined]
        pass


async def no_such_thing(client: AtomHTTP, sync_client: SyncAtomHTTP, error: AtomHTTPError) -> None:
    await client.gte("/")  # type: ignore[attr-defined]
    sync_client.defer.gte("/")  # type: ignore[attr-defined]
    sync_client.defer.download("/", "a.bin")  # type: ignore[attr-defined]
    _ = sync_client.get("/").status_code  # type: ignore[attr-defined]
    _ = error.phase  # type: ignore[attr-defined]
    _ = error.status_code  # type: ignore[attr-defined]
    await AtomHTTP.all([sync_client.get("/")])  # type: ignore[arg-type]
    sync_client.all([sync_client.get("/")])  # type: ignore[arg-type]
    await AtomHTTP.spread("callback", 1)  # type: ignore[call-overload]
    await AtomHTTP.all([client.get("/")], limit="2")  # type: ignore[call-overload]


async def wrong_files(client: AtomHTTP, sync_client: SyncAtomHTTP, file: BinaryIO) -> None:
    await client.download("/")  # type: ignore[call-arg]
    await client.download("/", "a.bin", False)  # type: ignore[call-arg]
    await client.download("/", b"a.bin")  # type: ignore[arg-type]
    await client.download("/", "a.bin", sha256="00")  # type: ignore[call-arg]
    await client.download("/", "a.bin", response_type="text")  # type: ignore[call-arg]
    await client.download("/", "a.bin", validate_status=True)  # type: ignore[call-arg]
    client.download("/", "a.bin")  # type: ignore[unused-coroutine]
    await sync_client.download("/", "a.bin")  # type: ignore[misc]
    sync_client.upload("/")  # type: ignore[call-arg]
    sync_client.upload("/", "a.bin", file="file")  # type: ignore[call-arg]
    sync_client.upload("/", file)  # type: ignore[arg-type]


def wrong_forms(form: FormData) -> None:
    form.append("a")  # type: ignore[call-arg]
    form.append("a", None)  # type: ignore[arg-type]
    form.append("a", {"b": 1})  # type: ignore[dict-item]
    form.append(1, "x")  # type: ignore[arg-type]
    form.append("a", "x", filname="b.txt")  # type: ignore[call-arg]
    form.has()  # type: ignore[call-arg]
    FormData(3)  # type: ignore[arg-type]


def wrong_callbacks(client: AtomHTTP, sync_client: SyncAtomHTTP) -> None:
    client.interceptors.use("sign")  # type: ignore[call-overload]
    client.interceptors.use(nothing)  # type: ignore[arg-type]
    client.interceptors.use(only_data)  # type: ignore[arg-type]
    client.interceptors.use(only_data, is_response=True, run_when=bool)  # type: ignore[call-overload]
    client.interceptors.request.use(add)  # type: ignore[arg-type]
    client.interceptors.response.use(add)  # type: ignore[arg-type]
    client.interceptors.response.use(only_data, is_response=True)  # type: ignore[call-arg]
    sync_client.get("/", on_download_progress=ProgressBar)  # type: ignore[arg-type]
    sync_client.get("/", on_download_progress=nothing)  # type: ignore[arg-type]
    ProgressBar(3)  # type: ignore[arg-type]
    ProgressBar(filename="x")  # type: ignore[call-arg]


def wrong_auth(client: SyncAtomHTTP) -> None:
    BasicAuth("user")  # type: ignore[call-arg]
    BearerAuth(None)  # type: ignore[arg-type]
    client.get("/", auth="token")  # type: ignore[call-overload]
    client.get("/", auth=BasicAuth)  # type: ignore[arg-type]
    client.get("/", auth=("user", "password", "realm"))  # type: ignore[arg-type]


def wrong_mocks(adapter: MockAdapter) -> None:
    adapter.on("GET", "/", tims=2)  # type: ignore[call-arg]
    adapter.on("GET", "/", status="200")  # type: ignore[arg-type]
    adapter.on()  # type: ignore[call-arg]
    _ = adapter.calls[0].respnse  # type: ignore[attr-defined]
    SyncAtomHTTP(adapter=MockAdapter)  # type: ignore[arg-type]
    SyncAtomHTTP(adapter=object())  # type: ignore[arg-type]


# Subclasses


class Counting(AtomHTTP):
    """`request` sees every call."""

    calls = 0

    async def request(self, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        return await super().request(*arguments, **options)


class SyncCounting(SyncAtomHTTP):
    def request(self, *arguments: Any, **options: Any) -> Any:
        return super().request(*arguments, **options)


async def subclasses(client: Counting, sync_client: SyncCounting) -> None:
    assert_type(client.create(), Counting)
    assert_type(await client.get("/", response_type="text"), Response[str])
    assert_type(sync_client.get("/", response_type="text"), Response[str])
