"""Redirects (contract: Redirects, `maxRedirects`, `socketPath`; hazards: A8, A11, A12).

What may be told to another origin has a file of its own, `test_redirect_leaks`.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gzip
import io
import logging
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from atomhttp import (
    AdapterResponse,
    AtomHTTP,
    AtomHTTPDecodeError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPRedirectError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    AtomHTTPURLError,
    FormData,
    Response,
    SyncAtomHTTP,
)
from contract.flavours import Api, collect
from support.clock import VirtualClockLoop
from support.origin import Answer, Origin, Received, pattern
from support.peer import Conversation, Peer, drain, expect_body, expect_end, expect_head, hold, send
from support.peer import close as close_step

STATUSES = (301, 302, 303, 307, 308)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "QUERY", "OPTIONS", "PURGE")
KEEPING = (307, 308)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Route = Callable[[Received], Answer]


def to(location: str | bytes, status: int = 302, body: bytes = b"", *fields: tuple[str, str], **more: Any) -> Route:
    """A route that redirects there."""
    text = location.decode("latin-1") if isinstance(location, bytes) else location
    return lambda _request: Answer(body, status, [("Location", text), *fields], **more)


def chain(origin: Origin, length: int, status: int = 302) -> str:
    """The URL of the first of `length` redirects; the last leads to /echo."""
    for number in range(length):
        origin.routes[f"/hop{number}"] = to(f"/hop{number + 1}" if number + 1 < length else "/echo", status)
    return f"{origin.url}/hop0" if length else f"{origin.url}/echo"


def paths(origin: Origin) -> list[str]:
    return [request.path for request in origin.requests]


# Methods


@pytest.mark.parametrize("status", STATUSES)
async def test_which_method_follows(client: Any, origin: Origin, status: int) -> None:
    origin.routes["/"] = to("/end", status)
    origin.routes["/end"] = lambda _request: Answer(b"")
    followed = {}
    for method in METHODS:
        data = {} if method == "HEAD" else {"data": b"content"}
        response = await client.request(method, f"{origin.url}/", **data)
        request = origin.requests[-1]
        assert (response.status, request.path) == (200, "/end")
        assert response.request.method == request.method
        followed[method] = (request.method, request.body)
    kept: dict[str, Any] = {method: (method, b"" if method == "HEAD" else b"content") for method in METHODS}
    if status in (301, 302):
        assert followed == {**kept, "POST": ("GET", b"")}
    elif status == 303:
        assert followed == {**dict.fromkeys(METHODS, ("GET", b"")), "HEAD": ("HEAD", b"")}
    else:
        assert followed == kept


async def test_a_method_of_the_callers_own_keeps_its_case(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/echo", 307)
    await client.request("Purge", f"{origin.url}/")
    assert [request.method for request in origin.requests] == ["Purge", "Purge"]


@pytest.mark.parametrize("status", [201, 300, 304, 305, 306, 309, 399, 400])
async def test_other_statuses_lead_nowhere(client: Any, origin: Origin, status: int) -> None:
    origin.routes["/"] = to("/echo", status)
    response = await client.get(f"{origin.url}/")
    assert (response.status, response.history, paths(origin)) == (status, (), ["/"])


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("fields", [[], [("Location", "")], [("Location", "  ")]])
async def test_without_a_location_it_is_returned_as_it_is(
    client: Any, origin: Origin, status: int, fields: list[tuple[str, str]]
) -> None:
    origin.routes["/"] = lambda _request: Answer(b'{"a": 1}', status, fields)
    response = await client.get(f"{origin.url}/")
    assert (response.status, response.data, response.history) == (status, {"a": 1}, ())


# Content


CONTENT_FIELDS = {
    "Content-Type": "text/x-special",
    "content-language": "de",
    "CONTENT-ENCODING": "identity",
    "Content-Location": "/c",
    "Content-Disposition": "inline",
    "Content-MD5": "x",
    "Expect": "100-continue",
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("length", [None, 7])
async def test_content_fields_go_with_the_content(
    api: Api, client: Any, origin: Origin, status: int, length: int | None
) -> None:
    origin.routes["/"] = to("/end", status)
    origin.routes["/end"] = lambda _request: Answer(b"")
    headers: dict[str, Any] = {**CONTENT_FIELDS, "X-Own": "stays"}
    if length is not None:
        headers["Content-Length"] = length
    await client.post(f"{origin.url}/", b"content", headers=headers)
    first, second = origin.requests
    assert second.get("x-own") == "stays"
    names = {name.lower() for name, _ in second.headers}
    expected = {name.lower() for name in CONTENT_FIELDS} | {"content-length"}
    if status in KEEPING:
        assert names >= expected
        assert [second.get(name) for name in expected] == [first.get(name) for name in expected]
    else:
        assert names.isdisjoint({*expected, "transfer-encoding"})


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_content_type_set_by_the_client_goes_too(api: Api, origin: Origin, status: int) -> None:
    origin.routes["/"] = to("/end", status)
    client = api.client(headers={"post": {"Content-Type": "text/csv"}, "Content-Language": "de"})
    response = await client.post(f"{origin.url}/", "a,b")
    assert origin.requests[1].get("content-type") is None
    assert origin.requests[1].get("content-language") is None
    assert "content-type" not in response.request.headers


class Pieces:
    """An iterable that can be gone through again and again."""

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"con", b"", b"tent"])


def build_form(folder: Path) -> FormData:
    (folder / "part.txt").write_bytes(b"a file")
    form = FormData()
    form.append("text", "grün")
    form.append("bytes", b"\x00\xff", filename="b.bin")
    form.append("path", folder / "part.txt")
    form.append("file", io.BytesIO(b"in memory"), filename="c.bin")
    return form


def build_file(folder: Path) -> Any:
    (folder / "whole.bin").write_bytes(b"skipped" + pattern(200_000))
    file = (folder / "whole.bin").open("rb")
    file.seek(7)
    return file


BODIES: dict[str, tuple[Callable[[Path], Any], dict[str, Any]]] = {
    "bytes": (lambda _folder: b"\x00\xff", {}),
    "no bytes": (lambda _folder: b"", {}),
    "big bytes": (lambda _folder: pattern(2_000_000), {}),
    "text": (lambda _folder: "grün", {}),
    "json": (lambda _folder: {"a": [1, None, "ü"]}, {}),
    "form": (build_form, {}),
    "multipart by its type": (lambda _folder: {"a": "1"}, {"headers": {"Content-Type": "multipart/form-data"}}),
    "urlencoded": (
        lambda _folder: {"a": "1 2"},
        {"headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    ),
    "file from its position": (build_file, {}),
    "file in memory": (lambda _folder: io.BytesIO(pattern(70_000)), {}),
    "path": (lambda folder: Path(build_file(folder).name), {}),
    "iterable": (lambda _folder: Pieces(), {}),
    "iterable with a length": (lambda _folder: Pieces(), {"headers": {"Content-Length": 7}}),
    "iterable under a limit": (lambda _folder: Pieces(), {"maxBodyLength": 7}),
}


@pytest.mark.parametrize("status", KEEPING)
@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # `path` opens one to have its name
async def test_307_and_308_send_the_same_content_again(
    client: Any, origin: Origin, tmp_path: Path, kind: str, status: int
) -> None:
    build, options = BODIES[kind]
    data = build(tmp_path)
    origin.routes["/"] = to("/again", status)
    origin.routes["/again"] = to("/end", status)
    origin.routes["/end"] = lambda _request: Answer(b"")
    await client.post(f"{origin.url}/", data, **options)
    first, *later = origin.requests
    assert [request.path for request in later] == ["/again", "/end"]
    for request in later:
        assert request.method == "POST"
        assert request.body == first.body
        for name in ("content-type", "content-length", "transfer-encoding"):
            assert request.get(name) == first.get(name)
    if hasattr(data, "close"):
        # The caller's file stays open.
        assert not data.closed
        data.close()


async def test_a_file_is_sent_again_from_where_it_stood(client: Any, origin: Origin, tmp_path: Path) -> None:
    origin.routes["/"] = to("/end", 307)
    with build_file(tmp_path) as file:
        await client.put(f"{origin.url}/", file)
    assert [request.body for request in origin.requests] == [pattern(200_000)] * 2


@pytest.mark.parametrize("options", [{"json": [1]}, {"form": {"a": "b"}}])
async def test_json_and_form_are_sent_again_too(client: Any, origin: Origin, options: dict[str, Any]) -> None:
    origin.routes["/"] = to("/end", 308)
    await client.request("PATCH", f"{origin.url}/", **options)
    first, second = origin.requests
    assert (second.body, second.get("content-type")) == (first.body, first.get("content-type"))


def unseekable() -> Any:
    reader, writer = os.pipe()
    os.write(writer, b"content")
    os.close(writer)
    return os.fdopen(reader, "rb")


@pytest.mark.parametrize("status", KEEPING)
@pytest.mark.parametrize("kind", ["iterator", "iterator with a length", "unseekable file", "part of a form"])
async def test_content_that_can_be_read_once_is_an_error_and_no_empty_request(
    api: Api, client: Any, origin: Origin, kind: str, status: int
) -> None:
    origin.routes["/"] = to("/end", status)
    options: dict[str, Any] = {}
    data: Any
    if kind == "unseekable file":
        data = unseekable()
    elif kind == "part of a form":
        data = FormData()
        data.append("part", api.iterator([b"content"]))
    else:
        data = api.iterator([b"con", b"tent"])
        if kind == "iterator with a length":
            options["headers"] = {"Content-Length": 7}
    with pytest.raises(AtomHTTPRedirectError, match="cannot be sent a second time") as caught:
        await client.post(f"{origin.url}/", data, **options)
    if kind == "unseekable file":
        data.close()
    error = caught.value
    assert error.code == "ERR_BAD_REDIRECT"
    assert paths(origin) == ["/"]
    assert (error.response.status, error.status) == (status, status)
    assert error.request.url == f"{origin.url}/"
    assert error.config.data is data
    assert [attempt.status for attempt in error.attempts] == [status]


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_content_that_can_be_read_once_may_be_left_behind(
    api: Api, client: Any, origin: Origin, status: int
) -> None:
    origin.routes["/"] = to("/echo", status)
    response = await client.post(f"{origin.url}/", api.iterator([b"con", b"tent"]))
    assert (response.data["method"], response.data["body"]) == ("GET", "")
    assert origin.requests[0].body == b"content"


async def test_a_server_may_redirect_before_it_has_read_the_content(client: Any) -> None:
    body = pattern(3_000_000)
    early = b"HTTP/1.1 307 Go\r\nLocation: /end\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    first = [expect_head(), send(early), drain()]
    with Peer([first, [expect_head(), expect_body(), send(OK), expect_end()]]) as peer:
        response = await client.post(peer.url, body)
        assert response.data == "ok"
        assert peer.received(1).endswith(body)
        await client.close()


async def test_upload_progress_starts_again(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/end", 307)
    seen: list[tuple[int, int]] = []
    await client.post(f"{origin.url}/", pattern(600_000), on_upload_progress=lambda *told: seen.append(told))
    assert seen.count((600_000, 600_000)) == 2
    assert [request.body for request in origin.requests] == [pattern(600_000)] * 2


async def test_content_left_behind_has_no_upload_progress(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/end", 303)
    seen: list[tuple[int, int]] = []
    await client.post(f"{origin.url}/", b"content", on_upload_progress=lambda *told: seen.append(told))
    assert seen == [(7, 7)]


# Location


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b", "/b"),
        ("c", "/dir/c"),
        ("./c", "/dir/c"),
        ("../c", "/c"),
        ("../../../c", "/c"),
        ("/x/./y/../z", "/x/z"),
        ("c/..", "/dir/"),
        (".", "/dir/"),
        ("?d=1", "/dir/a?d=1"),
        ("#part", "/dir/a?q=1"),
        ("c#part", "/dir/c"),
        ("{own}", "/"),
        ("{own}/b?c=%2F", "/b?c=%2F"),
        ("{own}?c", "/?c"),
        ("//{host}/b", "/b"),
        ("HTTP://{host}/b", "/b"),
        ("/..//evil.test/b", "//evil.test/b"),
        ("/@evil.test/b", "/@evil.test/b"),
        ("/b c", "/b%20c"),
        ("/b%zz%", "/b%zz%"),
        ("/a:b", "/a:b"),
        ("/%2e%2e/b", "/b"),
        ("/gr\u00fcn?\u00fc".encode(), "/gr%C3%BCn?%C3%BC"),
        ("/gr\u00fcn".encode("latin-1"), "/gr%C3%BCn"),
        ("/\u65e5\u672c".encode(), "/%E6%97%A5%E6%9C%AC"),
    ],
)
async def test_where_a_location_leads(client: Any, origin: Origin, location: str | bytes, target: str) -> None:
    if isinstance(location, str):
        location = location.format(own=origin.url, host=f"127.0.0.1:{origin.port}")
    # A Location that leads back is followed once.
    origin.routes["/dir/a"] = lambda request: (
        to(location)(request) if len(origin.requests) == 1 else Answer(b"here again")
    )
    response = await client.get(f"{origin.url}/dir/a?q=1")
    assert [request.target for request in origin.requests] == ["/dir/a?q=1", target]
    assert response.url.partition("#")[0] == f"{origin.url}{target}"
    assert response.request.url == response.url


async def test_location_may_name_another_host(client: Any, origin: Origin) -> None:
    with Origin(host="127.0.0.2") as other:
        for location in (f"{other.url}/echo", f"//127.0.0.2:{other.port}/echo", f"HTTP://127.2:{other.port}/echo"):
            origin.routes["/"] = to(location)
            response = await client.get(f"{origin.url}/")
            assert response.url == f"{other.url}/echo"
            assert dict(response.data["headers"])["Host"] == f"127.0.0.2:{other.port}"


async def test_a_long_location_is_followed(client: Any, origin: Origin) -> None:
    target = "/" + "a" * 30_000
    origin.routes["/"] = to(target)
    assert (await client.get(f"{origin.url}/")).status == 404
    assert origin.requests[1].target == target


async def test_a_location_beyond_the_limit_of_heads_is_an_error(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/" + "a" * 70_000)
    with pytest.raises(AtomHTTPNetworkError) as caught:
        await client.get(f"{origin.url}/")
    assert caught.value.code == "HPE_HEADER_OVERFLOW"


UNFOLLOWABLE = {
    "scheme": "ftp://service.test/",
    "file": "file:///etc/passwd",
    "data": "data:text/plain,x",
    "script": "javascript:alert(1)",
    "mail": "mailto:somebody@service.test",
    "web socket": "ws://service.test/",
    "unix socket": "http+unix://%2Frun%2Fx.sock/",
    "unix socket, loud": "HTTP+UNIX://%2Frun%2Fx.sock/",
    "unix socket over tls": "https+unix://%2Frun%2Fx.sock/",
    "no slashes": "http:service.test",
    "one slash": "http:/service.test",
    "no host": "http://",
    "no host, a path": "///path",
    "port": "http://service.test:99999/",
    "host": "http://a b.test/",
    "brackets": "http://[::1]evil/",
    "zone id": "http://[fe80::1%25eth0]/",
    "backslashes": "\\\\evil.test\\",
    "backslash": "/\\evil.test",
    "backslash before the host": "http:\\\\evil.test",
    "backslash in the userinfo": "http://service.test\\@evil.test/",
    "tab": "/\t/evil.test",
    "too long a host": f"http://{'a' * 300}.test/",
    "user name that Basic cannot have": "http://a%3Ab:c4n4ry@service.test/",
    "control character in the userinfo": "http://a%0Db:c4n4ry@service.test/",
}


@pytest.mark.parametrize("kind", UNFOLLOWABLE)
async def test_a_location_that_cannot_be_followed_is_an_error(client: Any, origin: Origin, kind: str) -> None:
    origin.routes["/"] = to(UNFOLLOWABLE[kind])
    with pytest.raises(AtomHTTPRedirectError) as caught:
        await client.get(f"{origin.url}/", meta={"mine": 1})
    error = caught.value
    assert error.code == "ERR_BAD_REDIRECT"
    assert error.response.status == error.status == 302
    assert error.response.headers["location"] == UNFOLLOWABLE[kind]
    assert error.request.url == f"{origin.url}/"
    assert error.config.meta == {"mine": 1}
    assert [(attempt.url, attempt.status) for attempt in error.attempts] == [(f"{origin.url}/", 302)]
    assert isinstance(error.__cause__, (AtomHTTPURLError, AtomHTTPOptionError))
    assert f"{origin.url}/" in str(error)
    assert "c4n4ry" not in f"{error} {error.to_dict()}"
    assert paths(origin) == ["/"]


async def test_several_locations_that_agree_are_one(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/end", 302, b"", ("Location", "/end"))
    await client.get(f"{origin.url}/")
    assert paths(origin) == ["/", "/end"]


@pytest.mark.parametrize("other", ["/other", "http://evil.test/", ""])
async def test_several_locations_that_differ_are_an_error(client: Any, origin: Origin, other: str) -> None:
    origin.routes["/"] = to("/end", 302, b"", ("location", other))
    with pytest.raises(AtomHTTPRedirectError, match="several Locations") as caught:
        await client.get(f"{origin.url}/")
    assert caught.value.code == "ERR_BAD_REDIRECT"
    assert caught.value.response.status == 302
    assert paths(origin) == ["/"]


@pytest.mark.parametrize(
    ("location", "fragment"), [("/end", "#mine"), ("/end#theirs", "#theirs"), ("{other}/end", "#mine")]
)
async def test_the_fragment_is_inherited(client: Any, origin: Origin, location: str, fragment: str) -> None:
    with Origin() as other:
        origin.routes["/"] = to(location.format(other=other.url))
        response = await client.get(f"{origin.url}/#mine")
        assert response.url.endswith(f"/end{fragment}")
        assert not any("#" in request.target for request in (*origin.requests, *other.requests))


async def test_userinfo_in_a_location_becomes_basic_and_leaves_the_url(
    client: Any, origin: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    origin.routes["/"] = to(f"http://user:c4n4ry%40@127.0.0.1:{origin.port}/next")
    origin.routes["/next"] = to("/echo")
    response = await client.get(f"{origin.url}/")
    assert response.url == f"{origin.url}/echo"
    assert origin.requests[0].get("authorization") is None
    assert origin.requests[1].get("authorization") == "Basic dXNlcjpjNG40cnlA"
    assert "c4n4ry" not in f"{caplog.text} {response!r} {response.history!r} {response.attempts!r}"
    assert all(request.get("referer") is None for request in origin.requests)


# How many


@pytest.mark.parametrize("where", ["client", "call"])
@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_max_redirects(api: Api, origin: Origin, where: str, limit: int) -> None:
    client = api.client(**({"maxRedirects": limit} if where == "client" else {}))
    options = {"max_redirects": limit} if where == "call" else {}
    response = await client.get(chain(origin, limit), **options)
    assert (response.status, len(response.history)) == (200, limit)
    origin.requests.clear()
    with pytest.raises(AtomHTTPRedirectError) as caught:
        await client.get(chain(origin, limit + 1), **options)
    error = caught.value
    assert error.code == "ERR_FR_TOO_MANY_REDIRECTS"
    assert f"maxRedirects, {limit}" in str(error)
    assert len(origin.requests) == limit + 1
    # With the last response, and all that came before it.
    assert error.response.status == error.status == 302
    assert error.response.url == error.request.url == f"{origin.url}/hop{limit}"
    assert [earlier.url for earlier in error.response.history] == [f"{origin.url}/hop{n}" for n in range(limit)]
    assert error.response.data is None
    assert error.config.url == f"{origin.url}/hop0"
    assert [attempt.number for attempt in error.attempts] == list(range(1, limit + 2))


async def test_five_are_followed_by_default(client: Any, origin: Origin) -> None:
    assert len((await client.get(chain(origin, 5))).history) == 5
    with pytest.raises(AtomHTTPRedirectError):
        await client.get(chain(origin, 6))
    assert len(origin.requests) == 6 + 6


async def test_a_loop_ends(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/")
    with pytest.raises(AtomHTTPRedirectError) as caught:
        await client.get(f"{origin.url}/")
    assert caught.value.code == "ERR_FR_TOO_MANY_REDIRECTS"
    assert len(origin.requests) == 6


@pytest.mark.parametrize("where", ["client", "call"])
async def test_0_follows_none_and_returns_the_redirect(api: Api, origin: Origin, where: str) -> None:
    client = api.client(**({"maxRedirects": 0} if where == "client" else {}))
    options = {"maxRedirects": 0} if where == "call" else {}
    origin.routes["/"] = to("not a URL: \\", 302, b'{"a": 1}')
    response = await client.get(f"{origin.url}/", **options)
    assert (response.status, response.data, response.history) == (302, {"a": 1}, ())
    assert response.headers["location"] == "not a URL: \\"
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get(f"{origin.url}/", validateStatus=True, **options)
    assert (caught.value.code, caught.value.response.data) == ("ERR_BAD_RESPONSE", {"a": 1})


async def test_0_gives_the_redirects_content_as_a_stream(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/end", 302, pattern(3000), chunked=True)
    response = await client.get(f"{origin.url}/", maxRedirects=0, response_type="stream")
    assert b"".join(await collect(response.data)) == pattern(3000)


@pytest.mark.parametrize("status", STATUSES)
async def test_0_holds_the_limits(client: Any, origin: Origin, status: int) -> None:
    origin.routes["/"] = to("/end", status, b"x" * 100)
    with pytest.raises(AtomHTTPLimitError):
        await client.get(f"{origin.url}/", maxRedirects=0, maxContentLength=99)
    with pytest.raises(AtomHTTPLimitError):
        await client.post(f"{origin.url}/", b"x" * 100, maxRedirects=0, maxBodyLength=99)


@pytest.mark.parametrize("value", [-1, 1.5, True, "5", None])
async def test_max_redirects_is_a_whole_number(client: Any, value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="maxRedirects") as caught:
        await client.get("http://service.test/", maxRedirects=value)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


# History


async def test_history_tells_each_step_without_its_data(client: Any, origin: Origin) -> None:
    origin.routes["/a"] = to("/b", 301, b'{"a": 1}', ("X-Step", "one"))
    origin.routes["/b"] = to("/echo", 307, b"two", ("Set-Cookie", "k=v"))
    response = await client.post(f"{origin.url}/a", {"x": 1})
    first, second = response.history
    assert isinstance(response.history, tuple)
    assert [type(each) for each in response.history] == [Response, Response]
    assert [(each.status, each.url, each.data) for each in response.history] == [
        (301, f"{origin.url}/a", None),
        (307, f"{origin.url}/b", None),
    ]
    assert (first.request.method, second.request.method, response.request.method) == ("POST", "GET", "GET")
    assert (first.headers["x-step"], second.headers.get_set_cookie()) == ("one", ["k=v"])
    assert (first.content, first.history, first.stripped, second.stripped) == (b"", (), (), ())
    assert response.status == 200
    assert [attempt.status for attempt in response.attempts] == [301, 307, 200]
    assert [attempt.url for attempt in response.attempts] == [f"{origin.url}{path}" for path in ("/a", "/b", "/echo")]


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda response: pickle.loads(pickle.dumps(response))])
async def test_a_response_with_a_history_survives_copies(client: Any, origin: Origin, twin: Any) -> None:
    response = twin(await client.get(chain(origin, 2), headers={"X-Key": "1"}))
    assert [(each.status, each.url, each.data) for each in response.history] == [
        (302, f"{origin.url}/hop0", None),
        (302, f"{origin.url}/hop1", None),
    ]
    assert response.data["target"] == "/echo"


async def test_no_redirect_no_history(client: Any, origin: Origin) -> None:
    response = await client.get(f"{origin.url}/echo")
    assert response.history == ()
    assert response.stripped == ()


async def test_the_config_is_the_callers_and_sends_the_call_again_whole(client: Any, origin: Origin) -> None:
    origin.routes["/a"] = to("/echo", 303)
    response = await client.post("/a", {"x": 1}, baseURL=origin.url, params={"p": 1})
    assert (response.config.url, response.config.method, response.config.data) == ("/a", "POST", {"x": 1})
    assert response.history[0].config is response.config
    again = await client.request(response.config)
    assert again.data["method"] == "GET"
    assert [(each.method, each.target) for each in origin.requests] == [("POST", "/a?p=1"), ("GET", "/echo")] * 2


async def test_interceptors_and_transformers_run_once_a_call(api: Api, origin: Origin) -> None:
    ran: list[Any] = []
    client = api.client(
        transformRequest=lambda data: ran.append("request") or data,
        transformResponse=lambda data, headers, status: ran.append(status) or data,
    )
    client.interceptors.use(lambda config: ran.append("before"))
    client.interceptors.use(lambda response: ran.append(("after", response.status)), is_response=True)
    await client.post(chain(origin, 3), b"x")
    assert ran == ["before", "request", 200, ("after", 200)]


async def test_the_last_status_is_the_one_that_is_judged(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/status/404")
    asked: list[int] = []
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get(f"{origin.url}/", validateStatus=lambda status: bool(asked.append(status)))
    assert caught.value.status == 404
    assert {*asked} == {404}
    assert [each.status for each in caught.value.response.history] == [302]
    assert [attempt.status for attempt in caught.value.attempts] == [302, 404]


# Content of the redirect itself


async def test_redirects_are_followed_for_a_stream(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/chunked/5000", 302, pattern(2000), chunked=True)
    response = await client.get(f"{origin.url}/", response_type="stream")
    assert (response.status, len(response.history)) == (200, 1)
    assert b"".join(await collect(response.data)) == pattern(5000)
    assert origin.connections == 1


async def test_too_many_for_a_stream_leaves_nothing_open(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/", 302, pattern(2000))
    with pytest.raises(AtomHTTPRedirectError) as caught:
        await client.get(f"{origin.url}/", response_type="stream", maxRedirects=1)
    assert caught.value.response.data is None
    assert origin.connections == 1


@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_hops_on_one_origin_share_a_connection(client: Any, origin: Origin, response_type: str) -> None:
    origin.routes["/hop"] = to("/echo", 307, pattern(10_000))
    for _ in range(2):
        response = await client.post(f"{origin.url}/hop", b"content", response_type=response_type)
        if response_type == "stream":
            await collect(response.data)
    assert origin.connections == 1


async def test_ten_megabytes_in_a_redirect_do_no_harm(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/echo", 302, pattern(10_000_000))
    assert (await client.get(f"{origin.url}/")).data["target"] == "/echo"
    assert (await client.get(f"{origin.url}/bytes/10")).content == pattern(10)


async def test_what_a_redirect_says_at_length_is_not_read_for_a_stream(client: Any) -> None:
    endless = b"HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 10000000\r\n\r\n" + pattern(200_000)
    with Peer([[expect_head(), send(endless), drain()], [expect_head(), send(OK), expect_end()]]) as peer:
        response = await client.get(f"{peer.url}/", response_type="stream")
        assert await collect(response.data) == [b"ok"]
        assert [head.target for head in peer.heads] == ["/", "/end"]
        await client.close()


@pytest.mark.parametrize("length", [b"Content-Length: 10\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_a_stream_follows_a_redirect_whose_content_is_cut_off(client: Any, length: bytes) -> None:
    cut = b"HTTP/1.1 302 Found\r\nLocation: /end\r\n%s\r\n5\r\nab" % length
    with Peer([[expect_head(), send(cut), close_step()], [expect_head(), send(OK), expect_end()]]) as peer:
        response = await client.get(f"{peer.url}/", response_type="stream")
        assert await collect(response.data) == [b"ok"]
        await client.close()


@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_of_an_adapters_endless_redirect_little_is_read(api: Api, response_type: str) -> None:
    given: list[int] = []

    class Endless:
        async def send(self, request: Any) -> AdapterResponse:
            if request.target.path == "/end":
                return AdapterResponse(200, {}, [b"o", b"k"])
            return AdapterResponse(302, {"Location": "/end"}, self.pieces())

        def pieces(self) -> Iterator[bytes]:
            try:
                while True:
                    given.append(1)
                    yield bytes(10_000)
            finally:
                given.append(-1)

        async def close(self) -> None:
            """Nothing is open."""

    response = await api.client(adapter=Endless()).get("http://service.test/", response_type=response_type)
    data = b"".join(await collect(response.data)) if response_type == "stream" else response.content
    assert data == b"ok"
    assert given.pop() == -1
    assert len(given) <= 8


BOMB = gzip.compress(bytes(20_000_000), mtime=0)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", BOMB),
        ("gzip", b"this is no gzip"),
        ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-9]),
        ("br", b"\xff\xff\xff"),
        ("gzip, " * 20 + "gzip", b"x"),
        ("nobody-knows", b"x"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"response_type": "stream"}, {"maxContentLength": 50_000}])
async def test_the_content_of_a_redirect_is_never_decoded(
    client: Any, origin: Origin, coding: str, body: bytes, options: dict[str, Any]
) -> None:
    origin.routes["/"] = to("/bytes/10", 302, body, ("Content-Encoding", coding))
    response = await client.get(f"{origin.url}/", **options)
    content = b"".join(await collect(response.data)) if options.get("response_type") == "stream" else response.content
    assert content == pattern(10)
    assert response.undecoded == ()
    assert origin.connections == 1


async def test_the_last_content_is_decoded_as_ever(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/end", 302, gzip.compress(b"no", mtime=0), ("Content-Encoding", "gzip"))
    origin.routes["/end"] = lambda _request: Answer(gzip.compress(b"yes", mtime=0), 200, [("Content-Encoding", "gzip")])
    assert (await client.get(f"{origin.url}/")).data == "yes"
    origin.routes["/end"] = lambda _request: Answer(b"broken", 200, [("Content-Encoding", "gzip")])
    with pytest.raises(AtomHTTPDecodeError) as caught:
        await client.get(f"{origin.url}/")
    assert [attempt.status for attempt in caught.value.attempts[:1]] == [302]


@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_download_progress_is_never_about_a_redirect(client: Any, origin: Origin, response_type: str) -> None:
    seen: list[tuple[int, int]] = []
    origin.routes["/"] = to("/bytes/70000", 302, pattern(300_000))
    response = await client.get(
        f"{origin.url}/", on_download_progress=lambda *told: seen.append(told), response_type=response_type
    )
    if response_type == "stream":
        assert seen == []
        await collect(response.data)
    assert seen[-1] == (70_000, 70_000)
    assert {total for _, total in seen} == {70_000}
    assert [loaded for loaded, _ in seen] == sorted({loaded for loaded, _ in seen})


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("response_type", ["json", "blob", "stream"])
async def test_max_content_length_holds_on_every_hop(
    client: Any, origin: Origin, chunked: bool, response_type: str
) -> None:
    origin.routes["/"] = to("/bytes/10", 302, b"x" * 101, chunked=chunked)
    with pytest.raises(AtomHTTPLimitError) as caught:
        await client.get(f"{origin.url}/", maxContentLength=100, response_type=response_type)
    assert (caught.value.code, caught.value.limit) == ("ERR_MAX_CONTENT_LENGTH", 100)
    assert caught.value.size > 100
    assert caught.value.request.url == f"{origin.url}/"
    assert paths(origin) == ["/"]
    origin.routes["/"] = to("/bytes/10", 302, b"x" * 100, chunked=chunked)
    response = await client.get(f"{origin.url}/", maxContentLength=100, response_type=response_type)
    if response_type == "stream":
        await collect(response.data)
    assert response.status == 200


async def test_a_head_may_be_redirected_whatever_it_says_of_its_size(client: Any) -> None:
    huge = b"HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 1000000\r\n\r\n"
    with Peer([expect_head(), send(huge), expect_head(), send(OK[:-2]), expect_end()]) as peer:
        response = await client.head(f"{peer.url}/", maxContentLength=100)
        assert (response.status, response.request.method) == (200, "HEAD")
        await client.close()


async def test_max_body_length_holds_for_the_call(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/end", 307)
    with pytest.raises(AtomHTTPLimitError):
        await client.post(f"{origin.url}/", b"x" * 11, maxBodyLength=10)
    assert origin.requests == []
    await client.post(f"{origin.url}/", b"x" * 10, maxBodyLength=10)
    assert len(origin.requests) == 2


# Connections


@pytest.mark.parametrize("how", ["option", "field"])
async def test_without_keep_alive_no_hop_reuses_a_connection(api: Api, origin: Origin, how: str) -> None:
    options: dict[str, Any] = {"keepAlive": False} if how == "option" else {"headers": {"Connection": "close"}}
    await api.client().get(chain(origin, 2), **options)
    assert [request.get("connection") for request in origin.requests] == ["close"] * 3
    assert origin.connections == 3


async def test_an_origin_may_close_after_its_redirect(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/echo", 302, b"bye", close=True)
    assert (await client.get(f"{origin.url}/")).status == 200
    assert origin.connections == 2


async def test_an_http_1_0_origin_may_redirect(client: Any) -> None:
    with Origin(version="HTTP/1.0") as origin:
        origin.routes["/"] = to("/echo", 302, b"until the end")
        assert (await client.get(f"{origin.url}/")).status == 200


@pytest.mark.parametrize("status", [302, 303])
async def test_a_hop_that_meets_a_dead_connection_is_judged_by_its_own_method(client: Any, status: int) -> None:
    found = b"HTTP/1.1 %d Go\r\nLocation: /end\r\nContent-Length: 0\r\n\r\n" % status
    first = [expect_head(), expect_body(), send(found), expect_head(), close_step()]
    with Peer([first, [expect_head(), send(OK), expect_end()]]) as peer:
        response = await client.post(f"{peer.url}/", b"content")
        assert (response.data, response.request.method) == ("ok", "GET")
        assert [head.method for head in peer.heads] == ["POST", "GET", "GET"]
        assert [(attempt.status, attempt.error is None) for attempt in response.attempts] == [
            (status, True),
            (None, False),
            (200, True),
        ]
        await client.close()


async def test_a_post_that_meets_a_dead_connection_is_not_sent_again(client: Any) -> None:
    found = b"HTTP/1.1 307 Go\r\nLocation: /end\r\nContent-Length: 0\r\n\r\n"
    with Peer([expect_head(), expect_body(), send(found), expect_head(), expect_body(), close_step()]) as peer:
        with pytest.raises(AtomHTTPNetworkError, match="may have been sent") as caught:
            await client.post(f"{peer.url}/", b"content")
        assert caught.value.request.url == f"{peer.url}/end"
        assert [attempt.status for attempt in caught.value.attempts] == [307, None]


async def test_a_retry_resends_the_hop_that_failed(client: Any, origin: Origin) -> None:
    answers = iter([503, 503, 200])
    origin.routes["/"] = to("/end", 303)
    origin.routes["/end"] = lambda _request: Answer(b"", next(answers))
    response = await client.post(f"{origin.url}/", b"x", retryConfig={"max_retries": 2, "backoff_factor": 0})
    assert response.status == 200
    # By that hop's method: a POST would not have been tried again.
    assert [(each.method, each.path) for each in origin.requests] == [("POST", "/"), *[("GET", "/end")] * 3]
    assert [attempt.status for attempt in response.attempts] == [303, 503, 503, 200]
    assert [each.status for each in response.history] == [303]


async def test_an_error_on_a_later_hop_says_which(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("http://127.0.0.1:1/gone")
    with pytest.raises(AtomHTTPNetworkError) as caught:
        await client.get(f"{origin.url}/")
    error = caught.value
    assert error.code == "ECONNREFUSED"
    assert error.request.url == "http://127.0.0.1:1/gone"
    assert error.config.url == f"{origin.url}/"
    assert error.response is None
    assert [(attempt.url, attempt.status, attempt.error) for attempt in error.attempts] == [
        (f"{origin.url}/", 302, None),
        ("http://127.0.0.1:1/gone", None, "ECONNREFUSED"),
    ]


# socketPath


async def test_socket_path_serves_the_redirects_of_its_origin(client: Any, tmp_path: Path) -> None:
    with Origin(unix=tmp_path / "s") as there:
        for location in ("/echo", "echo", "http://service.test/echo", "//service.test:80/echo"):
            there.routes["/"] = to(location)
            response = await client.get("http://service.test/", socketPath=tmp_path / "s")
            assert response.data["target"] == "/echo"
        assert there.connections == 1


@pytest.mark.parametrize("name", ["socketPath", "http+unix"])
async def test_socket_path_never_applies_to_a_redirect_that_leaves_the_origin(
    client: Any, origin: Origin, tmp_path: Path, name: str
) -> None:
    with Origin(unix=tmp_path / "s") as there:
        there.routes["/"] = to(f"{origin.url}/back")
        origin.routes["/back"] = to("http://127.0.0.1:1/")
        url, options = "http://127.0.0.1:1/", {"socketPath": tmp_path / "s"}
        if name == "http+unix":
            url, options = f"http+unix://{quote(str(tmp_path / 's'), safe='')}/", {}
        # Nor on the way back: that is TCP's now.
        with pytest.raises(AtomHTTPNetworkError) as caught:
            await client.get(url, **options)
        assert caught.value.code == "ECONNREFUSED"
        assert (paths(there), paths(origin)) == (["/"], ["/back"])


async def test_an_http_unix_url_serves_the_redirects_of_its_socket(client: Any, tmp_path: Path) -> None:
    with Origin(unix=tmp_path / "s") as there:
        for location in ("/echo", "echo", "http://localhost/echo"):
            there.routes["/"] = to(location, 307)
            url = f"http+unix://{quote(str(tmp_path / 's'), safe='')}/"
            response = await client.post(url, b"x", headers={"Authorization": "Bearer mine"})
            assert response.data["target"] == "/echo"
            assert response.history[0].stripped == ()
        assert {request.get("authorization") for request in there.requests} == {"Bearer mine"}


async def test_a_server_never_chooses_a_socket(client: Any, origin: Origin, tmp_path: Path) -> None:
    with Origin(unix=tmp_path / "s") as there:
        socket = quote(str(tmp_path / "s"), safe="")
        for scheme in ("http+unix", "HTTP+unix", "https+unix", "unix"):
            origin.routes["/"] = to(f"{scheme}://{socket}/echo")
            with pytest.raises(AtomHTTPRedirectError):
                await client.get(f"{origin.url}/", allowedSocketPaths=[tmp_path / "s"])
        assert there.connections == 0


# Time


async def test_the_timeout_is_for_all_hops_together(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async def think(_request: Any, _response: Any) -> None:
        await asyncio.sleep(4)

    async with AtomHTTP(timeout=10) as client:
        assert len((await client.get(chain(origin, 2), beforeRedirect=think)).history) == 2
        began = virtual_clock.time()
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.get(chain(origin, 3), beforeRedirect=think)
        assert virtual_clock.time() - began == pytest.approx(10, abs=0.1)
    error = caught.value
    assert (error.limit, error.code) == (10, "ECONNABORTED")
    # Of the whole call, not of its last hop; and never early.
    assert 10 <= error.elapsed < 10.1
    assert [attempt.status for attempt in error.attempts] == [302, 302, 302]


@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_waiting_for_a_later_hop_is_bounded_by_what_is_left(
    virtual_clock: VirtualClockLoop, origin: Origin, response_type: str
) -> None:
    async def think(_request: Any, _response: Any) -> None:
        await asyncio.sleep(6)

    with Peer([expect_head(), hold()]) as peer:
        origin.routes["/"] = to(f"{peer.url}/late?token=c4n4ry")
        async with AtomHTTP(timeout=10, beforeRedirect=think) as client:
            began = virtual_clock.time()
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.get(f"{origin.url}/", response_type=response_type)
            assert virtual_clock.time() - began == pytest.approx(10, abs=0.1)
        assert (caught.value.limit, caught.value.phase) == (10, "headers")
        assert 10 <= caught.value.elapsed < 10.1
        assert caught.value.url == f"{peer.url}/late?token=[redacted]"
        assert caught.value.request.url == f"{peer.url}/late?token=c4n4ry"


ENDLESS = b"HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 10000000000\r\n\r\n"
END = [expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), drain()]


@pytest.mark.parametrize("response_type", ["text", "stream"])
async def test_the_content_of_a_redirect_is_waited_for_no_longer_than_a_second(
    virtual_clock: VirtualClockLoop, response_type: str
) -> None:
    """It is nobody's: what does not come costs its connection."""
    with Peer([[expect_head(), send(ENDLESS + b"0"), drain()], END]) as peer:
        async with AtomHTTP(timeout=10) as client:
            async with await client.get(peer.url, response_type=response_type) as response:
                assert response.status == 200
            assert 1 <= virtual_clock.time() < 1.1


@pytest.mark.parametrize("response_type", ["text", "stream"])
async def test_the_content_of_a_redirect_is_not_collected(response_type: str) -> None:
    """However much of it comes."""

    def flood(on: Conversation) -> None:
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 100_000_000:
                sent += on.socket.send(b"x" * 65_536)
        assert sent < 20_000_000  # what the kernel's buffers take

    with Peer([[expect_head(), send(ENDLESS), flood], END]) as peer:
        async with AtomHTTP() as client, await client.get(peer.url, response_type=response_type) as response:
            assert response.status == 200


async def test_a_deadline_in_the_content_of_a_redirect_ends_the_call(virtual_clock: VirtualClockLoop) -> None:
    """And nothing is sent after it."""
    with Peer([expect_head(), expect_body(), send(ENDLESS.replace(b"302", b"307") + b"0"), drain()]) as peer:
        async with AtomHTTP(timeout=0.4) as client:
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.post(peer.url, data=b"x")
    assert caught.value.phase == "body"
    assert caught.value.limit == 0.4
    assert peer.connections == 1


async def test_content_beside_a_status_that_leads_nowhere_is_whole() -> None:
    whole = b"HTTP/1.1 302 Found\r\nContent-Length: 2000000\r\n\r\n"
    with Peer([expect_head(), send(whole), send(b"x" * 2_000_000), drain()]) as peer:
        async with AtomHTTP(response_type="text") as client:
            with pytest.raises(AtomHTTPStatusError) as caught:
                await client.get(peer.url, validate_status=True)
    assert caught.value.response is not None
    assert not caught.value.response.truncated
    assert len(caught.value.response.data) == 2_000_000


async def test_the_content_of_a_redirect_that_is_not_followed_is_whole() -> None:
    whole = b"HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000
    with Peer([expect_head(), send(whole), drain()]) as peer:
        async with AtomHTTP(maxRedirects=0, response_type="text") as client:
            assert (await client.get(peer.url)).data == "x" * 200_000


async def test_the_timeout_holds_over_hops_that_take_real_time(client: Any, origin: Origin) -> None:
    stop = threading.Event()

    def think(request: Received) -> Answer:
        stop.wait(0.2)
        return to("/")(request)

    origin.routes["/"] = think
    with pytest.raises(AtomHTTPTimeoutError) as caught:
        await client.get(f"{origin.url}/", timeout=0.5, maxRedirects=100)
    stop.set()
    assert caught.value.elapsed >= 0.5
    assert len(caught.value.attempts) == len(origin.requests)


# beforeRedirect


async def test_before_redirect_sees_each_hop_before_it_is_sent(api: Api, origin: Origin) -> None:
    seen: list[Any] = []

    def look(request: Any, response: Any) -> None:
        seen.append((request.method, request.url, request.headers.get("content-type"), response.status, response.url))
        assert len(origin.requests) == len(seen)

    origin.routes["/"] = to("/b", 307)
    origin.routes["/b"] = to("/end", 303)
    client = api.client(beforeRedirect=look)
    await client.post(f"{origin.url}/", {"a": 1})
    assert seen == [
        ("POST", f"{origin.url}/b", "application/json", 307, f"{origin.url}/"),
        ("GET", f"{origin.url}/end", None, 303, f"{origin.url}/b"),
    ]
    await client.get(f"{origin.url}/end")
    assert len(seen) == 2


async def test_before_redirect_sees_what_was_stripped(client: Any, origin: Origin) -> None:
    seen: list[Any] = []
    with Origin() as other:
        origin.routes["/"] = to(f"{other.url}/echo")
        await client.get(
            f"{origin.url}/",
            auth=("u", "p"),
            headers={"X-Key": "1", "Accept-Language": "de"},
            before_redirect=lambda request, response: seen.append((dict(request.headers), response.stripped)),
        )
    [(headers, stripped)] = seen
    assert headers["Accept-Language"] == "de"
    assert not {"Authorization", "X-Key"} & {*headers}
    assert {*stripped} == {"Authorization", "X-Key"}


@pytest.mark.parametrize("is_async", [False, True])
async def test_before_redirect_may_set_fields(client: Any, origin: Origin, is_async: bool) -> None:
    given = {"X-Added": "1", "user-agent": "other", "Accept": None, "X-List": ["a", "b"]}

    async def later(_request: Any, _response: Any) -> Any:
        return given

    with Origin() as other:
        origin.routes["/"] = to(f"{other.url}/mid")
        other.routes["/mid"] = to("/echo")
        before = later if is_async else lambda _request, _response: given
        response = await client.get(f"{origin.url}/", beforeRedirect=before, headers={"X-Key": "1"})
        assert len(other.requests) == 2
        for request in other.requests:
            assert (request.get("x-added"), request.get("user-agent")) == ("1", "other")
            assert (request.get("accept"), request.get("x-list"), request.get("x-key")) == (None, "a, b", None)
            assert request.get("host") == f"127.0.0.1:{other.port}"
    assert response.request.headers["X-Added"] == "1"
    assert origin.requests[0].get("x-added") is None
    assert [each.stripped for each in response.history] == [("X-Key",), ()]


async def test_fields_of_before_redirect_stay_on_the_origin_that_they_were_set_for(client: Any, origin: Origin) -> None:
    given = iter([{"Authorization": "Bearer for the second"}, None])
    with Origin() as second, Origin() as third:
        origin.routes["/"] = to(f"{second.url}/")
        second.routes["/"] = to(f"{third.url}/echo")
        response = await client.get(f"{origin.url}/", beforeRedirect=lambda *_: next(given))
        assert second.requests[0].get("authorization") == "Bearer for the second"
        assert third.requests[0].get("authorization") is None
    assert [each.stripped for each in response.history] == [(), ("Authorization",)]


async def test_before_redirect_keeps_the_content(client: Any, origin: Origin) -> None:
    origin.routes["/"] = to("/end", 307)
    await client.post(f"{origin.url}/", {"a": 1}, beforeRedirect=lambda *_: {"X-Added": "1"})
    first, second = origin.requests
    assert (second.body, second.get("content-type"), second.get("content-length")) == (
        first.body,
        first.get("content-type"),
        first.get("content-length"),
    )
    await client.post(f"{origin.url}/", {"a": 1}, beforeRedirect=lambda *_: {"Content-Type": "text/x"})
    assert origin.requests[-1].get("content-type") == "text/x"


class TooFarError(Exception):
    """The caller's own."""


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_an_exception_in_before_redirect_ends_the_call_unwrapped(
    client: Any, origin: Origin, is_async: bool, response_type: str
) -> None:
    def refuse(_request: Any, _response: Any) -> Any:
        raise TooFarError

    async def refuse_later(_request: Any, _response: Any) -> Any:
        raise TooFarError

    with pytest.raises(TooFarError):
        await client.get(
            chain(origin, 1), beforeRedirect=refuse_later if is_async else refuse, response_type=response_type
        )
    assert paths(origin) == ["/hop0"]
    # The connection is as good as before.
    await client.get(f"{origin.url}/echo")
    assert origin.connections == 1


async def test_a_timeout_error_of_before_redirects_own_is_the_callers(client: Any, origin: Origin) -> None:
    def give_up(_request: Any, _response: Any) -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine") as caught:
        await client.get(chain(origin, 1), beforeRedirect=give_up)
    assert type(caught.value) is TimeoutError


@pytest.mark.parametrize("nonsense", ["X: 1", 5, True, ["X"], object()])
async def test_before_redirect_must_return_headers(client: Any, origin: Origin, nonsense: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="beforeRedirect") as caught:
        await client.get(chain(origin, 1), beforeRedirect=lambda *_: nonsense)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert caught.value.config is not None
    assert paths(origin) == ["/hop0"]


@pytest.mark.parametrize("value", ["a\r\nEvil: 1", "a\x00", "a\n"])
async def test_before_redirect_cannot_inject(client: Any, origin: Origin, value: str) -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        await client.get(chain(origin, 1), beforeRedirect=lambda *_: {"X": value})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert paths(origin) == ["/hop0"]


async def test_before_redirect_none_on_a_call_switches_the_clients_off(api: Api, origin: Origin) -> None:
    client = api.client(beforeRedirect=lambda *_: {"X-Added": "1"})
    await client.get(chain(origin, 1), beforeRedirect=None)
    assert origin.requests[1].get("x-added") is None


@pytest.mark.parametrize("value", [True, "f", 5])
async def test_before_redirect_must_be_callable(client: Any, value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="beforeRedirect"):
        await client.get("http://service.test/", beforeRedirect=value)


async def test_before_redirect_is_not_asked_where_nothing_is_followed(client: Any, origin: Origin) -> None:
    asked: list[Any] = []
    options = {"beforeRedirect": lambda *given: asked.append(given)}
    await client.get(chain(origin, 1), maxRedirects=0, **options)
    origin.routes["/"] = to("ftp://service.test/")
    with pytest.raises(AtomHTTPRedirectError):
        await client.get(f"{origin.url}/", **options)
    assert asked == []
    with pytest.raises(AtomHTTPRedirectError):
        await client.get(chain(origin, 2), maxRedirects=1, **options)
    assert len(asked) == 1


async def test_canceling_the_task_between_two_hops_leaves_nothing(origin: Origin) -> None:
    entered = asyncio.Event()

    async def think(_request: Any, _response: Any) -> None:
        entered.set()
        await asyncio.Event().wait()

    async with AtomHTTP(beforeRedirect=think) as client:
        task = asyncio.create_task(client.get(chain(origin, 1), response_type="stream"))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert paths(origin) == ["/hop0"]
        assert (await client.get(f"{origin.url}/echo")).status == 200


# What is remembered and logged


async def test_redirects_are_logged_without_secrets(
    client: Any, origin: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "atomhttp")
    origin.routes["/"] = to(f"http://u:c4n4ry@127.0.0.1:{origin.port}/echo?token=c4n4ry", 307, b"body-c4n4ry")
    await client.get(f"{origin.url}/?api_key=c4n4ry")
    [line] = [record for record in caplog.records if record.name == "atomhttp.redirect"]
    assert (line.levelno, line.getMessage()) == (
        logging.DEBUG,
        f"307 from {origin.url}/?api_key=[redacted] to {origin.url}/echo?token=[redacted]",
    )
    assert "c4n4ry" not in caplog.text
    # One line a call all the same.
    assert len([record for record in caplog.records if record.name == "atomhttp.request"]) == 1


def test_many_calls_of_one_thread_follow_at_once(origin: Origin) -> None:
    async def look(_request: Any, _response: Any) -> dict[str, str]:
        return {"X-Added": "1"}

    with SyncAtomHTTP(beforeRedirect=look) as client:
        url = chain(origin, 3)
        responses = client.all([client.defer.post(url, f"body {number}") for number in range(20)])
    assert [len(response.history) for response in responses] == [3] * 20
    assert {dict(response.data["headers"])["X-Added"] for response in responses} == {"1"}


async def test_many_calls_through_redirects_at_once(origin: Origin, loop_kind: str) -> None:
    with ExitStack() as stack:
        others = [stack.enter_context(Origin()) for _ in range(3)]
        for number, other in enumerate(others):
            other.routes["/go"] = lambda request, back=origin.url: to(f"{back}/end?{request.target[4:]}", 307)(request)
            origin.routes[f"/go{number}"] = lambda request, away=other.url: to(
                f"{away}/go?{request.target.partition('?')[2]}", 307
            )(request)
        origin.routes["/end"] = lambda request: Answer(request.target.encode() + b" " + request.body)
        async with AtomHTTP(maxConnections=10) as client:

            async def one(number: int) -> None:
                response = await client.post(
                    f"{origin.url}/go{number % 3}?{number}", f"body {number}", headers={"X-Key": str(number)}
                )
                assert response.text == f"/end?{number} body {number}"
                assert [each.stripped for each in response.history] == [("X-Key",), ()]

            await AtomHTTP.all([one(number) for number in range(60)])
