"""A user's code, for type checkers only; it never runs.

What a call gives is held by `assert_type`. A line that ends in `type: ignore` must be an error: mypy reports an ignore
that ignores nothing.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict, assert_type

import atomhttp
from atomhttp import (
    AtomHTTP,
    Headers,
    RequestConfig,
    Response,
    ResponseStream,
    SyncAtomHTTP,
    SyncResponseStream,
    Timeout,
)
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
    async with await client.get("/", response_type="stream") as response:
        assert_type(response, Response[ResponseStream])
        async for piece in response.data:
            assert_type(piece, bytes)
        assert_type(response.data.iter_lines(), AsyncIterator[str])
    with sync_client.get("/", response_type="stream") as sync_response:
        for piece in sync_response.data:
            assert_type(piece, bytes)
    assert_type(sync_client.get("/", response_type="text").raise_for_status(), Response[str])
    assert_type(response.timings.total, float)
    assert_type(response.headers, Headers)


async def clients() -> None:
    async with AtomHTTP(baseURL="http://a", timeout=Timeout(5, connect=1), maxConnections=5) as client:
        assert_type(client, AtomHTTP)
        assert_type(client.create(keepAlive=False), AtomHTTP)
        assert_type(client.get_uri({"url": "/"}), str)
    with SyncAtomHTTP({"base_url": "http://a"}, headers={"common": {"X-A": "1"}, "X-B": "2"}) as sync_client:
        assert_type(sync_client, SyncAtomHTTP)
        assert_type(SyncAtomHTTP.create(sync_client.get("/").config), SyncAtomHTTP)


# Both spellings, and every kind of value


def options(client: SyncAtomHTTP, given: Mapping[str, Any], config: RequestConfig) -> None:
    client.get("/", {"q": ["a", "b"]}, headers={"X-A": "1", "X-B": 2, "X-C": None, "X-D": ["1", "2"]})
    client.get("/", params=[("a", 1), ("a", 2)], timeout=timedelta(seconds=1), max_content_length=10)
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


# What must not pass


async def mistakes(client: AtomHTTP, sync_client: SyncAtomHTTP) -> None:
    AtomHTTP(time_out=3)  # type: ignore[call-arg]
    SyncAtomHTTP(base_URL="http://a")  # type: ignore[call-arg]
    SyncAtomHTTP(url="/")  # type: ignore[call-arg]
    AtomHTTP.create(timeouts=3)  # type: ignore[call-arg]
    client.create(timeouts=3)  # type: ignore[call-arg]
    client.get_uri(parms={})  # type: ignore[call-arg]
    await client.get("/", time_out=3)  # type: ignore[call-overload]
    await client.post("/", {}, allow_redirects=True)  # type: ignore[call-overload]
    await client.request("GET", "/", stream=True)  # type: ignore[call-overload]
    sync_client.get("/", header={})  # type: ignore[call-overload]
    sync_client.post("/", {}, maxConnections=3)  # type: ignore[call-overload]  # an option of clients
    sync_client.request("GET", "/", jsn={})  # type: ignore[call-overload]
    atomhttp.get("/", timeOut=3)  # type: ignore[call-overload]
    sync_client.get("/", timeout="3")  # type: ignore[call-overload]
    sync_client.get("/", response_type="jsn")  # type: ignore[call-overload]
    sync_client.get("/", {}, {"headers": {}})  # type: ignore[call-overload]  # axios's config as the last argument
    sync_client.get(None)  # type: ignore[call-overload]
    sync_client.get(b"/")  # type: ignore[call-overload]
    sync_client.get()  # type: ignore[call-overload]


# Subclasses


class Counting(AtomHTTP):
    """`request` sees every call."""

    calls = 0

    async def request(self, method: Any = None, url: Any = None, **options: Any) -> Any:
        self.calls += 1
        return await super().request(method, url, **options)


class SyncCounting(SyncAtomHTTP):
    def request(self, *arguments: Any, **options: Any) -> Any:
        return super().request(*arguments, **options)


async def subclasses(client: Counting, sync_client: SyncCounting) -> None:
    assert_type(client.create(), Counting)
    assert_type(await client.get("/", response_type="text"), Response[str])
    assert_type(sync_client.get("/", response_type="text"), Response[str])
