"""Floods: heads, fields, interim responses, chunk metadata, trailers and cookies without end; inputs made to be slow.

What has a limit is refused as soon as the limit is passed: a peer that stops there is answered at once, and one that
goes on has sent little more than the kernel's buffers hold. What has none must cost in proportion, and no memory.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import pickle
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from atomhttp import (
    AdapterResponse,
    AtomHTTP,
    AtomHTTPDecodeError,
    AtomHTTPError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPProtocolError,
    AtomHTTPProxyError,
    AtomHTTPStatusError,
    FormData,
    NetrcAuth,
    SyncAtomHTTP,
    form_to_json,
    merge_config,
    to_form_data,
)
from atomhttp._body.compression import parse_codings
from atomhttp._body.decode import decode_json_body, decode_text, find_charset, media_type
from atomhttp._body.multipart import encode_multipart
from atomhttp._model.cookie_parser import parse_cookie_date, parse_set_cookie
from atomhttp._model.cookies import CookieJar
from atomhttp._model.no_proxy import NoProxy
from atomhttp._model.public_suffix import is_public_suffix
from atomhttp._model.url import join_url, parse_url, resolve_reference
from atomhttp._pipeline.response import Response
from atomhttp._pipeline.retry import read_retry_after
from atomhttp._redact import redact_url
from atomhttp._wire.chunked import ChunkedDecoder
from atomhttp._wire.http1 import Http1Engine
from atomhttp._wire.http1_parser import parse_head
from atomhttp.auth.challenge import parse_challenges, parse_parameters
from contract.flavours import collect, wait
from hostile.costs import check_proportion
from net.measured_client import Job, run_jobs
from support.framing import read_head
from support.origin import Answer, Origin
from support.peer import Peer, expect_end, expect_head, reset, send
from support.server import LocalServer, send_close_notify

KIB = 1024
MIB = 1024 * KIB
# How much more a peer can send than the limit: what we read at once, and the kernel's buffers of both sides.
AHEAD = 8 * MIB
# How much memory a flood may cost.
BAR = 20 * MIB

HEAD_LIMIT = 64 * KIB
STATUS = b"HTTP/1.1 200 OK\r\n"
CHUNKED = STATUS + b"Transfer-Encoding: chunked\r\n\r\n"

both = pytest.mark.parametrize("kind", ["async", "sync"])
only_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="NO MEMORY WAS MEASURED: only Linux has a /proc that tells it"
)


@contextlib.asynccontextmanager
async def opened(kind: str, **options: Any) -> AsyncIterator[Any]:
    """A client. The synchronous one blocks the test's loop, but not the server, which has threads of its own."""
    client: Any = AtomHTTP(**options) if kind == "async" else SyncAtomHTTP(**options)
    try:
        yield client
    finally:
        await wait(client.close())


class Flood(NamedTuple):
    """What a peer sends, and what must come of it: an error's class and code, and a word of its message."""

    before: bytes
    again: bytes
    error: tuple[str, str]
    says: str
    # The most that may be sent of it before it is refused.
    limit: int = HEAD_LIMIT


OVERFLOW = ("AtomHTTPProtocolError", "HPE_HEADER_OVERFLOW")
BROKEN = ("AtomHTTPProtocolError", "ERR_BAD_RESPONSE")
LONG_FIELD = b"X: " + b"v" * 60_000 + b"\r\n\r\n"

FLOODS = {
    "one line": Flood(STATUS + b"X: ", b"v" * 1024, OVERFLOW, "maxHeaderSize"),
    "the reason": Flood(b"HTTP/1.1 200 ", b"v" * 1024, OVERFLOW, "maxHeaderSize"),
    "a name": Flood(STATUS, b"v" * 1024, OVERFLOW, "maxHeaderSize"),
    "fields": Flood(STATUS, b"X-Field: and its value\r\n", OVERFLOW, "maxHeaderSize"),
    "short fields": Flood(STATUS, b"x:\r\n", OVERFLOW, "maxHeaderSize"),
    "cookies": Flood(STATUS, b"Set-Cookie: a=b\r\n", OVERFLOW, "maxHeaderSize"),
    "no HTTP at all": Flood(b"", b"v" * 1024, BROKEN, "not an HTTP/1.1 response"),
    "100": Flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n", BROKEN, "more than 20 interim responses"),
    "103": Flood(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", BROKEN, "more than 20 interim responses"),
    "long 103": Flood(b"", b"HTTP/1.1 103 Early Hints\r\n" + LONG_FIELD, OVERFLOW, "maxHeaderSize"),
    "chunk size": Flood(CHUNKED, b"0" * 1024, OVERFLOW, "chunk metadata"),
    "one extension": Flood(CHUNKED + b"1;", b"e" * 1024, OVERFLOW, "chunk metadata"),
    "a quoted extension": Flood(CHUNKED + b'1;a="', b"e" * 1024, OVERFLOW, "chunk metadata"),
    "extensions": Flood(CHUNKED, b"1;extension=value\r\nx\r\n", OVERFLOW, "chunk metadata", 512 * KIB),
    "long extensions": Flood(CHUNKED, b"1;a=" + b"v" * 4000 + b"\r\nx\r\n", OVERFLOW, "chunk metadata"),
    "one trailer": Flood(CHUNKED + b"0\r\nX: ", b"v" * 1024, OVERFLOW, "trailers"),
    "trailers": Flood(CHUNKED + b"0\r\n", b"X-Field: and its value\r\n", OVERFLOW, "more than 200"),
    "short trailers": Flood(CHUNKED + b"0\r\n", b"x:\r\n", OVERFLOW, "more than 200"),
    "trailers that are dropped": Flood(CHUNKED + b"0\r\n", b"Cookie: a=b\r\n", OVERFLOW, "trailers"),
}


class FloodServer(LocalServer):
    """Sends `floods[path]`, for ever; `sent` has how many bytes the socket has accepted, by path."""

    def __init__(self, floods: dict[str, Flood]) -> None:
        super().__init__()
        self.floods = floods
        self.sent: dict[str, int] = {}

    def serve(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as stream:
            while (head := read_head(stream)) is not None:
                path = head.target[1:]
                if path not in self.floods:
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                    continue
                flood = self.floods[path]
                again = flood.again * max(1, 4096 // len(flood.again))
                self.sent[path] = 0
                for piece in itertools.chain([flood.before] if flood.before else (), itertools.repeat(again)):
                    connection.sendall(piece)
                    self.sent[path] += len(piece)
        send_close_notify(connection)


@both
@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_floods_are_refused_early(kind: str, response_type: str) -> None:
    floods = {f"case{number}": flood for number, flood in enumerate(FLOODS.values())}
    seen = {}
    with FloodServer(floods) as server:
        async with opened(kind, response_type=response_type) as client:
            for path, flood in floods.items():
                with pytest.raises(AtomHTTPProtocolError, match=flood.says) as caught:
                    await collect((await wait(client.get(f"{server.url}/{path}"))).data)
                seen[path] = (type(caught.value).__name__, caught.value.code)
                # Server bytes in a message are few, and escaped.
                assert len(str(caught.value)) < 400
                assert str(caught.value).isprintable()
    assert seen == {path: flood.error for path, flood in floods.items()}
    assert not {path: sent for path, sent in server.sent.items() if sent > floods[path].limit + AHEAD}


@only_linux
def test_floods_cost_little() -> None:
    floods = {f"case{number}": flood for number, flood in enumerate(FLOODS.values())}
    with FloodServer(floods) as server:
        jobs = [
            Job("async", kind, f"{server.url}/{path}", f"{server.url}/", options={"decompress": True})
            for path in floods
            for kind in ("whole", "pieces")
        ]
        outcomes = run_jobs(jobs)
    for job, outcome in zip(jobs, outcomes, strict=True):
        flood = floods[job.url.rpartition("/")[2]]
        assert outcome.error is not None
        assert tuple(outcome.error[:2]) == flood.error, flood.says
        assert outcome.growth < BAR, flood.says


def filled(before: bytes, size: int, after: bytes = b"") -> bytes:
    return before + b"v" * (size - len(before) - len(after)) + after


AT_LIMIT = {
    "head": (filled(STATUS + b"X: ", HEAD_LIMIT), OVERFLOW),
    "complete head": (filled(STATUS + b"X: ", HEAD_LIMIT, b"\r\n\r"), OVERFLOW),
    "fields": (STATUS + b"x:\r\n" * 201 + b"\r", OVERFLOW),
    "interim heads": (filled(b"HTTP/1.1 100 C\r\nX: ", HEAD_LIMIT - 10, b"\r\n\r\n") + b"HTTP/1.1 1", OVERFLOW),
    "chunk metadata": (CHUNKED + filled(b"1;", 16 * KIB + 16), OVERFLOW),
    "trailers": (CHUNKED + b"0\r\n" + filled(b"X: ", 16 * KIB), OVERFLOW),
}


@both
@pytest.mark.parametrize("name", AT_LIMIT)
async def test_the_first_byte_beyond_a_limit_is_refused_without_waiting_for_more(kind: str, name: str) -> None:
    """The peer sends that byte, and then nothing: it waits for us to close."""
    data, (_, code) = AT_LIMIT[name]
    with Peer([expect_head(), send(data + b"\n"), expect_end()]) as peer:
        async with opened(kind) as client:
            with pytest.raises(AtomHTTPProtocolError) as caught:
                await wait(client.get(peer.url))
    assert caught.value.code == code


WITHIN = {
    "head": filled(STATUS + b"Content-Length: 2\r\nX: ", HEAD_LIMIT, b"\r\n\r\n") + b"ok",
    "fields": STATUS + b"Content-Length: 2\r\n" + b"x:\r\n" * 199 + b"\r\nok",
    "interim": b"HTTP/1.1 100 C\r\n\r\n" * 20 + STATUS + b"Content-Length: 2\r\n\r\nok",
    "chunk metadata": CHUNKED + filled(b"2;", 16 * KIB + 14) + b"\r\nok\r\n0\r\n\r\n",
    "trailers": CHUNKED + b"2\r\nok\r\n0\r\n" + filled(b"X: ", 16 * KIB - 4, b"\r\n") + b"\r\n",
    "forbidden trailers": CHUNKED + b"2\r\nok\r\n0\r\n" + b"Cookie: x\r\n" * 200 + b"\r\n",
}


@both
@pytest.mark.parametrize("name", WITHIN)
async def test_what_is_just_within_the_limits_is_fine(kind: str, name: str) -> None:
    with Peer([expect_head(), send(WITHIN[name]), expect_end()]) as peer:
        async with opened(kind) as client:
            assert (await wait(client.get(peer.url))).data == "ok"


@both
async def test_max_header_size_moves_the_limit(kind: str) -> None:
    data = filled(STATUS + b"Content-Length: 2\r\nX: ", 300_000, b"\r\n\r\n") + b"ok"
    for limit, fits in ((299_999, False), (300_000, True)):
        with Peer([expect_head(), send(data), expect_end()]) as peer:
            async with opened(kind, maxHeaderSize=limit) as client:
                if fits:
                    assert (await wait(client.get(peer.url))).data == "ok"
                else:
                    with pytest.raises(AtomHTTPProtocolError, match="299999"):
                        await wait(client.get(peer.url))


@both
@pytest.mark.parametrize("before", [b"HTTP/1.1 200 ", b"HTTP/1.1 407 X\r\nX: ", b"HTTP/1.1 100 C\r\n\r\n" * 30, b""])
async def test_a_proxy_cannot_flood_either(kind: str, before: bytes) -> None:
    flood = Flood(before, b"v" * 1024, OVERFLOW, "")
    with FloodServer({"": flood, "443": flood}) as server:
        server.floods = ProxyFloods(flood)
        async with opened(kind, proxy=server.url) as client:
            with pytest.raises(AtomHTTPProxyError) as caught:
                await wait(client.get("https://service.test/"))
    assert caught.value.code == "ERR_PROXY"
    assert sum(server.sent.values()) < HEAD_LIMIT + AHEAD


class ProxyFloods(dict[str, Flood]):
    """One flood for whatever is asked."""

    def __init__(self, flood: Flood) -> None:
        super().__init__()
        self._flood = flood

    def __contains__(self, path: object) -> bool:
        return True

    def __getitem__(self, path: str) -> Flood:
        return self._flood


@both
async def test_a_request_is_not_sent_again_once_a_byte_of_its_response_has_come(kind: str) -> None:
    """RFC 9112 section 9.3.1 lets a client repeat what failed *before* that; the second peer sees a second request."""
    answer = STATUS + b"Content-Length: 2\r\n\r\nok"
    first = [expect_head(), send(answer), expect_head(), send(b"HTTP/1.1 2"), reset()]
    with Peer([first, []]) as peer:
        async with opened(kind) as client:
            await wait(client.get(peer.url))
            with pytest.raises(AtomHTTPNetworkError) as caught:
                await wait(client.get(peer.url))
        assert caught.value.code == "ECONNRESET"
        assert peer.connections == 1


# What is legal, and must succeed: at a fair price


SINGLES = 25_000


class ChunkServer(LocalServer):
    """`/COUNT` sends so many chunks of one byte; anything else is 204."""

    def serve(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as stream:
            while (head := read_head(stream)) is not None:
                if not head.target[1:]:
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                    continue
                connection.sendall(CHUNKED)
                for _ in range(int(head.target[1:]) // 1000):
                    connection.sendall(b"1\r\nx\r\n" * 1000)
                connection.sendall(b"0\r\n\r\n")


@only_linux
@pytest.mark.parametrize("client", ["async", "sync"])
def test_a_flood_of_small_chunks_is_content_and_costs_no_memory(client: str) -> None:
    with ChunkServer() as server:
        jobs = [
            Job(client, kind, f"{server.url}/{size}", f"{server.url}/", piece=65_536, options={"decompress": True})
            for kind, size in (("pieces", 1000), ("read", 2 * SINGLES), ("whole", SINGLES))
        ]
        for job, outcome in zip(jobs, run_jobs(jobs), strict=True):
            assert (outcome.error, outcome.size) == (None, int(job.url.rpartition("/")[2]))
            assert outcome.growth < BAR
            assert outcome.progress.largest_gap <= 256 * KIB


def engine_work(size: int) -> None:
    """A head of `size` bytes, byte by byte."""
    engine = Http1Engine(2 * size)
    engine.expect("GET")
    fields = b"".join(b"X-%04d: %s\r\n" % (number, b"v" * (size // 100 - 10)) for number in range(100))
    for byte in STATUS + fields + b"Content-Length: 0\r\n\r\n":
        engine.receive(bytes([byte]))
    assert engine.reusable


def chunk_work(data: bytes) -> Callable[[int], None]:
    def work(size: int) -> None:
        decoder = ChunkedDecoder()
        for byte in data + b"v" * size:
            decoder.feed(bytes([byte]))

    return work


def test_heads_and_lines_that_come_byte_by_byte_cost_in_proportion() -> None:
    check_proportion(engine_work, HEAD_LIMIT // 4)
    check_proportion(chunk_work(b"1;"), 4000)
    check_proportion(chunk_work(b"0\r\nX: "), 4000)


def test_small_chunks_cost_in_proportion() -> None:
    def work(count: int) -> None:
        decoder = ChunkedDecoder()
        assert len(decoder.feed(b"1\r\nx\r\n" * count)) == count

    check_proportion(work, 5_000)


# Cookies


@both
async def test_a_flood_of_cookies_fills_no_jar(kind: str) -> None:
    """RFC 6265bis section 6.1, curl's CVE-2022-32205: 50 a host, 4 KiB each, and what is sent back stays small."""
    rounds = iter(range(1_000))

    def flood(_request: Any) -> Answer:
        number = next(rounds)
        fields = [("Set-Cookie", f"c{number}-{each}={'v' * 200}; Path=/") for each in range(100)]
        return Answer(b"{}", 200, [*fields, ("Set-Cookie", f"large{number}={'v' * 4100}")])

    with Origin(routes={"/": flood}) as origin:
        async with opened(kind) as client:
            for _ in range(5):
                await wait(client.get(f"{origin.url}/"))
            assert len(client.cookies) == 50
            assert not any(name.startswith("large") for name in client.cookies)
            await wait(client.get(f"{origin.url}/echo"))
        sent = origin.requests[-1].get("cookie")
        assert sent is not None
        assert len(sent) <= 8 * KIB


@both
async def test_large_cookies_do_not_make_a_site_unusable(kind: str) -> None:
    """50 of 4 KiB would be 200 KiB in each request, which every server refuses."""

    def flood(_request: Any) -> Answer:
        return Answer(b"{}", 200, [("Set-Cookie", f"c{each}={'v' * 4000}") for each in range(15)])

    with Origin(routes={"/": flood}) as origin:
        async with opened(kind) as client:
            await wait(client.get(f"{origin.url}/"))
            await wait(client.get(f"{origin.url}/echo"))
        sent = origin.requests[-1].get("cookie")
        assert sent is not None
        assert 4 * KIB < len(sent) <= 8 * KIB


def test_many_hosts_fill_no_jar() -> None:
    jar = CookieJar()

    def work(count: int) -> None:
        for number in range(count):
            jar.store(parse_url(f"http://host{number}.test/"), [f"a{each}=b" for each in range(5)])
            assert len(jar) <= 3_000

    check_proportion(work, 200)


# Inputs made to be slow: each parser of what a peer, or a user's input, may say

BASE = parse_url("http://service.test/a/b?c#d")


def latin(text: str) -> bytes:
    return text.encode("latin-1", "replace")


def chunk_lines(before: str) -> Callable[[str], object]:
    return lambda text: ChunkedDecoder().feed(latin(before + text))


def retry_after(text: str) -> float:
    return read_retry_after(Response(headers={"Retry-After": text, "Date": text}))


def store_cookie(text: str) -> None:
    CookieJar().store(BASE, [text])


PARSERS: dict[str, Callable[[str], object]] = {
    "url": parse_url,
    "host": lambda text: parse_url(f"http://{text}"),
    "port": lambda text: parse_url(f"http://a:{text}"),
    "userinfo": lambda text: parse_url(f"http://{text}@a/"),
    "path": lambda text: parse_url(f"http://a/{text}"),
    "query": lambda text: parse_url(f"http://a/?{text}"),
    "baseURL": lambda text: join_url("http://a/b", text, allow_absolute=False),
    "location": lambda text: resolve_reference(BASE, text),
    "location's host": lambda text: resolve_reference(BASE, f"//{text}"),
    "redacted url": redact_url,
    "redacted query": lambda text: redact_url(f"http://{text}?{text}"),
    "params": lambda text: SyncAtomHTTP().get_uri(url="http://a/", params=text),
    "challenge": parse_challenges,
    "realm": lambda text: parse_challenges(f'Digest realm="{text}'),
    "parameters": parse_parameters,
    "set-cookie": store_cookie,
    "cookie's attributes": lambda text: store_cookie(f"a=b;{text}"),
    "cookie's value": lambda text: parse_set_cookie(f"a={text}"),
    "cookie's date": parse_cookie_date,
    "public suffix": is_public_suffix.__wrapped__,
    "NO_PROXY": lambda text: NoProxy(text).matches("a.test", 80),
    "NO_PROXY entry": lambda text: NoProxy(f"a{text}").matches("a.test", 80),
    "charset": lambda text: find_charset(f"text/html; charset={text}"),
    "content type": lambda text: (media_type(text), find_charset(text)),
    "text": lambda text: decode_text(text.encode("utf-8", "replace"), text),
    "json": lambda text: decode_json_body(text.encode("utf-8", "replace"), text),
    "json text": lambda text: decode_json_body(b'"' + text.encode("utf-8", "replace"), "application/json"),
    "content coding": parse_codings,
    "multipart type": lambda text: encode_multipart(FormData(), f"multipart/form-data{text}"),
    "multipart parameter": lambda text: encode_multipart(FormData(), f"multipart/form-data; a={text}"),
    "retry-after": retry_after,
    "field": lambda text: parse_head(STATUS + b"X: " + latin(text) + b"\r\n\r\n"),
    "fields": lambda text: parse_head(STATUS + latin(text) + b"\r\n\r\n"),
    "reason": lambda text: parse_head(b"HTTP/1.1 200 " + latin(text) + b"\r\n\r\n"),
    "connection": lambda text: parse_head(STATUS + b"Connection: " + latin(text) + b"\r\n\r\n"),
    "keep-alive": lambda text: parse_head(STATUS + b"Keep-Alive: " + latin(text) + b"\r\n\r\n"),
    "chunk line": chunk_lines(""),
    "chunk extension": chunk_lines("1;"),
    "quoted extension": chunk_lines('1;a="'),
    "trailer": chunk_lines("0\r\n"),
}
WORDS = (
    *map(chr, [0, 9, 10, 13, *range(32, 48), *range(58, 65), *range(91, 97), *range(123, 128)]),
    *("0", "9", "a", "ü", "ß", "İ", "\u200d", "。", "中", "\ud800", "xn--", "a.", "%", "%00", "%25", "../", "./"),
    *(
        '\\"',
        '"\\',
        "a=",
        "a,",
        "a;",
        "a=b;",
        'a="b",',
        " ,",
        "=,",
        "//",
        "[",
        "[]",
        '{"a":',
        "\r\n",
        "\r\n ",
        "a:b\r\n",
    ),
    *(
        " ;a",
        ";a ",
        "?a=%3f",
        "a:b\r\n",
        "timeout=",
        "charset=",
        "; charset=",
        "a@",
        "http://",
        "1:",
        "::",
        "1.",
        "0x",
        "Mon, ",
        "1 ",
        "jan ",
    ),
)


@pytest.mark.parametrize("name", PARSERS)
def test_no_parser_takes_more_than_in_proportion(name: str) -> None:
    """12 KiB of every special character: quadratic work would be noticed (urllib3 CVE-2021-33503 and many others)."""
    parse = PARSERS[name]
    # A list of a variable of the environment: each entry is a host, read by the URL parser.
    most = KIB // 2 if name.startswith("NO_PROXY") else 3 * KIB
    for word in WORDS:

        def work(size: int, word: str = word) -> None:
            text = (word * (size // len(word) + 1))[:size]
            with contextlib.suppress(AtomHTTPError):
                parse(text)

        check_proportion(work, most)


# Files


@pytest.mark.parametrize("word", ["machine a login b ", "machine ", "#", '"', "\\", "macdef a\n", "\n", "a"])
def test_a_netrc_file_costs_in_proportion(word: str, tmp_path: Path) -> None:
    path = tmp_path / "netrc"

    def work(size: int) -> None:
        path.write_text(word * (size // len(word)))
        with contextlib.suppress(AtomHTTPOptionError):
            NetrcAuth(path)

    check_proportion(work, 16 * KIB)


@pytest.mark.parametrize(
    "word", ["[", "{", '{"cookies": [', "a.test\tTRUE\t/\tFALSE\t0\ta\tb\n", "\t", "#HttpOnly_", "\n", "a"]
)
def test_a_cookie_file_costs_in_proportion(word: str, tmp_path: Path) -> None:
    path = tmp_path / "cookies"

    def work(size: int) -> None:
        path.write_text(word * (size // len(word)))
        with contextlib.suppress(AtomHTTPError):
            CookieJar().load(path)

    check_proportion(work, 16 * KIB)


# Nesting: no RecursionError, whoever made the value

DEPTH = 100_000


class Canned:
    """An adapter that answers with this content."""

    def __init__(self, content: bytes = b"{}", status: int = 200) -> None:
        self.content = content
        self.status = status

    async def send(self, _request: Any) -> AdapterResponse:
        return AdapterResponse(self.status, {"Content-Type": "application/json"}, self.content)

    async def close(self) -> None: ...


@both
@pytest.mark.parametrize("content", [b"[" * DEPTH, b'{"a":' * DEPTH, b"[" * DEPTH + b"]" * DEPTH], ids=["[", "{", "[]"])
@pytest.mark.parametrize("response_type", ["json", "text", dict, list[Any], Any])
async def test_nested_json_is_text_or_an_error_of_ours(kind: str, content: bytes, response_type: Any) -> None:
    async with opened(kind, adapter=Canned(content)) as client:
        for strict in (False, True):
            options = {"transitional": {"silentJSONParsing": not strict}, "response_type": response_type}
            try:
                response = await wait(client.get("http://service.test/", **options))
            except AtomHTTPDecodeError:
                continue
            assert response.data == content.decode()


def nested(shape: str, depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if shape == "list" else {"a": value}
    return value


def flatten(value: Any) -> None:
    """Takes a nested value apart from outside: its own destructor may go deeper than the stack."""
    while isinstance(value, (list, dict)) and value:
        value = value.pop() if isinstance(value, list) else value.popitem()[1]


USES: dict[str, Callable[[Any, Any], object]] = {
    "params": lambda client, value: client.get("http://a.test/", params={"a": value}),
    "params itself": lambda client, value: client.get("http://a.test/", params=value),
    "params as JSON": lambda client, value: client.get("http://a.test/", params={"a{}": value}),
    "client's params": lambda client, value: SyncAtomHTTP(params={"a": value}).close(),
    "merged params": lambda client, value: merge_config({"params": {"a": value}}, {"params": {"a": value}}),
    "get_uri": lambda client, value: client.get_uri(url="http://a.test/", params={"a": value}),
    "json": lambda client, value: client.post("http://a.test/", json=value),
    "data": lambda client, value: client.post("http://a.test/", value),
    "form": lambda client, value: client.post("http://a.test/", form={"a": value}),
    "form as JSON": lambda client, value: client.post("http://a.test/", form={"a{}": value}),
    "multipart": lambda client, value: client.post_form("http://a.test/", {"a": value}),
    "to_form_data": lambda client, value: to_form_data({"a": value}),
    "from_dict": lambda client, value: FormData.from_dict({"a": value}),
    "headers": lambda client, value: client.get("http://a.test/", headers={"a": value}),
    "cookies": lambda client, value: client.get("http://a.test/", cookies={"a": value}),
    "meta": lambda client, value: repr(client.get("http://a.test/", meta={"a": value}).config),
}


# 600 is more than Python's stack has room for two frames a level, and less than what msgspec reads of a response.
@pytest.mark.parametrize("depth", [600, DEPTH])
@pytest.mark.parametrize("shape", ["list", "dict"])
@pytest.mark.parametrize("use", USES)
def test_nested_values_are_sent_or_refused_by_an_error_of_ours(use: str, shape: str, depth: int) -> None:
    """axios GHSA-62hf-57xw-28j9. What is given may be what another server sent; the error is shown, logged, pickled."""
    value = nested(shape, depth)
    try:
        with SyncAtomHTTP(adapter=Canned()) as client:
            try:
                USES[use](client, value)
            except AtomHTTPError as error:
                for show in SHOWN:
                    show(error)
    finally:
        flatten(value)


SHOWN: Iterable[Callable[[AtomHTTPError], object]] = (str, repr, AtomHTTPError.to_dict, pickle.dumps, copy.copy)


@both
@pytest.mark.parametrize("depth", [150, 400, 900])
@pytest.mark.parametrize("ends", [(b"[", b"]"), (b'{"a":', b"}")], ids=["list", "dict"])
async def test_a_status_error_with_nested_data_can_be_shown(kind: str, depth: int, ends: Any) -> None:
    """The server chooses how deep; whoever logs the error must not fall over it."""
    content = ends[0] * depth + b"1" + ends[1] * depth
    async with opened(kind, adapter=Canned(content, 404), validateStatus=True) as client:
        with pytest.raises(AtomHTTPStatusError) as caught:
            await wait(client.get("http://service.test/"))
    for show in SHOWN:
        show(caught.value)


def test_names_of_nested_fields_are_refused() -> None:
    for name in ("a" + "[b]" * DEPTH, "a" + ".b" * DEPTH, "[]" * DEPTH):
        form = FormData()
        form.append(name, "1")
        with pytest.raises(AtomHTTPOptionError) as caught:
            form_to_json(form)
        assert caught.value.code == "ERR_FORM_DATA_DEPTH_EXCEEDED"
