"""Proxies that are real, and proxies that break off, fall silent or dawdle at every point of the way through them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPClosedError,
    AtomHTTPError,
    AtomHTTPProxyError,
    AtomHTTPTimeoutError,
    AtomHTTPTLSError,
    SyncAtomHTTP,
    Timeout,
)
from atomhttp._net.call import Call
from contract.flavours import Api, collect
from support.certificates import Certificates
from support.clock import VirtualClockLoop
from support.origin import Answer, Origin, Received, pattern
from support.peer import (
    Peer,
    Step,
    close,
    drain,
    expect,
    expect_head,
    hold,
    reset,
    send,
    send_bytewise,
    signal,
    start_tls,
    wait,
)
from support.proxies import PASSWORD, USERNAME, RealProxy
from support.scripted_proxy import Reply, ScriptedProxy
from support.server import PATIENCE, silent_address
from support.socks import SocksServer, socks_address

REAL = (
    *("squid", "squid-auth", "squid-tls", "tinyproxy", "tinyproxy-auth"),
    *("microsocks", "microsocks-auth"),
)
SCHEMES = ("http", "https")
KINDS = ("http", "https", "socks5", "socks5h")
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MEGABYTES = pattern(3_000_000)

StartProxy = Callable[[str], RealProxy]


@contextlib.contextmanager
def origin_of(scheme: str, certificates: Certificates, **options: Any) -> Iterator[Origin]:
    with Origin(tls=certificates.server_context() if scheme == "https" else None, **options) as origin:
        yield origin


@contextlib.contextmanager
def proxy_of(kind: str, certificates: Certificates, **options: Any) -> Iterator[Any]:
    if kind.startswith("socks"):
        with SocksServer(**options) as server:
            yield server
    else:
        with ScriptedProxy(tls=certificates.server_context() if kind == "https" else None, **options) as proxy:
            yield proxy


def url_of(kind: str, proxy: Any) -> str:
    return f"{kind}://127.0.0.1:{proxy.port}"


def received(request: Received) -> Answer:
    """Cheaper than an echo of megabytes."""
    is_same = request.body == MEGABYTES[: len(request.body)]
    return Answer(f"{len(request.body)} {'the same' if is_same else 'others'}".encode())


# Real ones


@pytest.mark.parametrize("flavour", ["asyncio", "sync"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("kind", REAL)
def test_everything_through_a_real_proxy(
    certificates: Certificates, real_proxy: StartProxy, kind: str, scheme: str, flavour: str
) -> None:
    proxy, api = real_proxy(kind), Api(flavour)

    async def main() -> None:
        with origin_of(scheme, certificates) as origin, origin_of("https", certificates) as other:
            origin.routes["/up"] = received
            origin.routes["/down"] = lambda _: Answer(MEGABYTES)
            origin.routes["/chunks"] = lambda _: Answer(MEGABYTES, chunked=True)
            origin.routes["/away"] = lambda _: Answer(status=307, headers=[("Location", f"{other.url}/echo")])
            origin.routes["/flaky"] = lambda _: Answer(status=200 if len(origin.requests) % 2 else 503)
            # tinyproxy closes after every response it forwards, and says so to nobody: a POST might run into that.
            options = {"proxy": proxy.url, "keepAlive": not (kind.startswith("tinyproxy") and scheme == "http")}
            client = api.client(baseURL=origin.url, verify=certificates.ca, timeout=PATIENCE, **options)
            assert (await client.get("/echo", params={"a": 1})).data["target"] == "/echo?a=1"
            assert (await client.post("/echo", {"a": 1})).data["body"] == '{"a":1}'
            response = await client.get("/down", response_type="blob")
            assert response.data == MEGABYTES
            assert (await client.put("/up", MEGABYTES)).data == "3000000 the same"
            stream = await client.get("/chunks", response_type="stream")
            assert b"".join(await collect(stream.data)) == MEGABYTES
            pieces = [MEGABYTES[start : start + 70_000] for start in range(0, 700_000, 70_000)]
            assert (await client.post("/up", api.iterator(pieces))).data == "700000 the same"
            response = await client.head("/bytes/500")
            assert (response.headers["content-length"], response.content) == ("500", b"")
            assert (await client.get("/status/204")).data is None
            assert (await client.get("/status/404")).status == 404
            response = await client.post("/away", b"along")
            assert (response.url, response.data["body"]) == (f"{other.url}/echo", "along")
            assert (await client.get("/flaky", retryConfig={"backoff_factor": 0})).status == 200
            assert {each.get("proxy-authorization") for each in [*origin.requests, *other.requests]} == {None}
            if scheme == "https" or kind.startswith("microsocks"):
                # The tunnel has carried all of it.
                assert origin.connections == 1
            # An unread stream ends with its connection.
            if flavour == "asyncio":
                stream = await client.get("/down", response_type="stream")
                await stream.data.aclose()
            await client.close()
            assert proxy.requests_seen(f"127.0.0.1:{origin.port}")
            assert proxy.requests_seen(f"127.0.0.1:{other.port}")

    api.run(main())


@pytest.mark.parametrize("kind", REAL)
async def test_many_at_once_through_a_real_proxy(certificates: Certificates, real_proxy: StartProxy, kind: str) -> None:
    proxy = real_proxy(kind)
    with origin_of("http", certificates) as plain, origin_of("https", certificates) as secure:
        async with AtomHTTP(verify=certificates.ca, proxy=proxy.url, maxConnections=6) as client:
            calls = [
                client.get(f"{origin.url}/bytes/{size}", response_type="blob")
                for origin in (plain, secure)
                for size in range(0, 60_000, 4_000)
            ]
            answers = await asyncio.gather(*calls)
            assert [each.data for each in answers] == [pattern(size) for size in range(0, 60_000, 4_000)] * 2
            assert client.pool_stats().open <= 6


async def test_a_proxy_that_closes_without_a_word_fails_no_get(
    loop_kind: str, certificates: Certificates, real_proxy: StartProxy
) -> None:
    with origin_of("http", certificates) as origin:
        async with AtomHTTP(baseURL=origin.url, proxy=real_proxy("tinyproxy").url) as client:
            for _ in range(30):
                assert (await client.get("/bytes/10", response_type="blob")).data == pattern(10)


@pytest.mark.parametrize("kind", ["squid-auth", "tinyproxy-auth", "microsocks-auth"])
@pytest.mark.parametrize("userinfo", ["", "user:wrong@"])
def test_a_real_proxy_refuses_strangers(
    certificates: Certificates, real_proxy: StartProxy, kind: str, userinfo: str
) -> None:
    proxy = real_proxy(kind)
    url = proxy.url.replace(f"{USERNAME}:{PASSWORD}@", userinfo)
    with origin_of("http", certificates) as plain, origin_of("https", certificates) as secure:
        with SyncAtomHTTP(verify=certificates.ca, proxy=url) as client:
            with pytest.raises(AtomHTTPProxyError) as caught:
                client.get(f"{secure.url}/echo")
            if kind.startswith("microsocks"):
                assert caught.value.proxy_status is None
                with pytest.raises(AtomHTTPProxyError):
                    client.get(f"{plain.url}/echo")
            else:
                # tinyproxy says 401 to who gives nothing, or what is wrong.
                assert caught.value.proxy_status in (401, 407)
                assert client.get(f"{plain.url}/echo").status == caught.value.proxy_status
        assert plain.requests == secure.requests == []


@pytest.mark.parametrize("kind", ["squid", "squid-tls", "tinyproxy", "microsocks"])
def test_a_real_proxy_cannot_reach_the_origin(certificates: Certificates, real_proxy: StartProxy, kind: str) -> None:
    with SyncAtomHTTP(verify=certificates.ca, proxy=real_proxy(kind).url, timeout=PATIENCE) as client:
        with pytest.raises(AtomHTTPProxyError) as caught:
            client.get("https://127.0.0.1:1/")
        if kind == "microsocks":
            assert "connection refused" in str(caught.value)
            with pytest.raises(AtomHTTPProxyError):
                client.get("http://127.0.0.1:1/")
        else:
            assert caught.value.proxy_status in (500, 502, 503)
            assert client.get("http://127.0.0.1:1/").status == caught.value.proxy_status


def test_a_real_proxy_looks_names_up_where_it_is_told_to(certificates: Certificates, real_proxy: StartProxy) -> None:
    proxy = real_proxy("microsocks")
    with origin_of("https", certificates) as origin:
        hosts = {"localhost": ["127.0.0.1"], "alias.test": ["127.0.0.1"]}
        with SyncAtomHTTP(verify=certificates.ca, hosts=hosts) as client:
            url = f"https://localhost:{origin.port}/echo"
            assert client.get(url, proxy=proxy.url).status == 200
            assert client.get(url, proxy=proxy.url.replace("socks5", "socks5h")).status == 200
            # A name that only we know.
            plain = f"https://alias.test:{origin.port}/echo"
            with pytest.raises(AtomHTTPTLSError):
                client.get(plain, proxy=proxy.url)
            with pytest.raises(AtomHTTPProxyError):
                client.get(plain, proxy=proxy.url.replace("socks5", "socks5h"))
    assert origin.server_names == ["localhost", "localhost", "alias.test"]


@pytest.mark.parametrize("kind", ["squid", "squid-tls", "microsocks"])
def test_threads_share_a_client_with_a_proxy(certificates: Certificates, real_proxy: StartProxy, kind: str) -> None:
    with (
        origin_of("https", certificates) as origin,
        SyncAtomHTTP(baseURL=origin.url, verify=certificates.ca, proxy=real_proxy(kind).url) as client,
        ThreadPoolExecutor(6) as threads,
    ):
        sizes = [size * 3_000 for size in range(30)]
        contents = threads.map(lambda size: client.get(f"/bytes/{size}", response_type="blob").data, sizes)
        assert list(contents) == [pattern(size) for size in sizes]
        assert origin.connections <= 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_fork_does_not_share_tunnels(certificates: Certificates, kind: str) -> None:
    with origin_of("https", certificates) as origin, proxy_of(kind, certificates) as proxy:
        with SyncAtomHTTP(baseURL=origin.url, verify=certificates.ca, proxy=url_of(kind, proxy)) as client:
            assert client.get("/echo").status == 200
            child = os.fork()
            if not child:
                # Whatever happens, the child must not go on as a second pytest.
                status = 1
                with contextlib.suppress(BaseException):
                    status = 0 if client.get("/bytes/70000", response_type="blob").data == pattern(70_000) else 2
                os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert client.get("/echo").status == 200
        assert (proxy.connections, origin.connections) == (2, 2)


# A conversation, byte by byte


def truncations(script: list[bytes | int], ending: Step) -> Iterator[list[Step]]:
    """Scripts that break off before each byte of what they send; numbers are how many bytes come in between."""
    for position, part in enumerate(script):
        if isinstance(part, bytes):
            before = [expect(each) if isinstance(each, int) else send(each) for each in script[:position]]
            for size in range(len(part)):
                yield [*before, *([send(part[:size])] if size else []), ending]


SOCKS_REPLIES = {
    "ipv4": b"\x05\x00\x00" + socks_address("127.0.0.1", 9),
    "ipv6": b"\x05\x00\x00" + socks_address("::1", 9),
    "name": b"\x05\x00\x00" + socks_address("bound.test", 9),
}
# Ours: the methods, "u" and "p", where to (127.0.0.1 and a port).
SOCKS_STEPS = (4, 5, 10)


@pytest.mark.parametrize("reply", SOCKS_REPLIES)
@pytest.mark.parametrize("ending", ["end", "reset"])
def test_socks_that_breaks_off_before_any_byte(reply: str, ending: str) -> None:
    methods, credentials, where = SOCKS_STEPS
    said: list[bytes | int] = [methods, b"\x05\x02", credentials, b"\x01\x00", where, SOCKS_REPLIES[reply]]
    scripts = list(truncations(said, reset() if ending == "reset" else close()))
    with Peer(scripts) as peer, SyncAtomHTTP(proxy=f"socks5://u:p@127.0.0.1:{peer.port}") as client:
        for number, _ in enumerate(scripts):
            with pytest.raises(AtomHTTPProxyError) as caught:
                client.post("http://127.0.0.1:1/", b"secret")
            assert (caught.value.code, caught.value.request_sent) == ("ERR_PROXY", "no"), number
            assert client.pool_stats().open == 0
        assert b"POST" not in b"".join(peer.received(number) for number in range(len(scripts)))


@pytest.mark.parametrize("reply", SOCKS_REPLIES)
async def test_socks_one_byte_at_a_time(loop_kind: str, reply: str) -> None:
    methods, credentials, where = SOCKS_STEPS
    script = [expect(methods), send_bytewise(b"\x05\x02"), expect(credentials), send_bytewise(b"\x01\x00")]
    script += [expect(where), send_bytewise(SOCKS_REPLIES[reply]), expect_head(), send_bytewise(OK)]
    with Peer(script) as peer:
        async with AtomHTTP(proxy=f"socks5://u:p@127.0.0.1:{peer.port}") as client:
            assert (await client.get("http://127.0.0.1:1/")).data == "ok"
    assert peer.received().startswith(
        b"\x05\x02\x00\x02\x01\x01u\x01p\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x01GET / HTTP/1.1"
    )


@pytest.mark.parametrize("ending", ["end", "reset"])
def test_connect_that_breaks_off_before_any_byte(ending: str) -> None:
    sizes = range(len(ESTABLISHED))
    last = reset() if ending == "reset" else close()
    scripts = [[expect_head(), *([send(ESTABLISHED[:size])] if size else []), last] for size in sizes]
    with Peer(scripts) as peer, SyncAtomHTTP(proxy=peer.url) as client:
        for size in sizes:
            with pytest.raises(AtomHTTPProxyError) as caught:
                client.post("https://127.0.0.1:1/", b"secret")
            assert (caught.value.code, caught.value.request_sent) == ("ERR_PROXY", "no"), size
            assert client.pool_stats().open == 0
        assert {peer.received(number) for number in sizes} == {peer.heads[0].raw}


async def test_connect_one_byte_at_a_time(loop_kind: str, certificates: Certificates) -> None:
    welcome = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\nVia: x\r\n\r\n"
    tls = certificates.server_context()
    script = [expect_head(), send_bytewise(welcome), start_tls(tls), expect_head(), send_bytewise(OK)]
    with Peer(script) as peer:
        async with AtomHTTP(proxy=peer.url, verify=certificates.ca) as client:
            assert (await client.get("https://127.0.0.1:1/")).data == "ok"


# TLS in TLS


async def test_bytes_one_at_a_time_in_both_layers(loop_kind: str, certificates: Certificates) -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + pattern(200_000)
    script = [expect_head(), send_bytewise(OK), expect_head(), send(large), expect_head(), send_bytewise(OK)]
    with (
        Peer(script, tls=certificates.server_context()) as peer,
        ScriptedProxy(tls=certificates.server_context()) as proxy,
    ):
        async with AtomHTTP(verify=certificates.ca, proxy=url_of("https", proxy)) as client:
            assert (await client.get(peer.url)).data == "ok"
            assert (await client.get(peer.url, response_type="blob")).data == pattern(200_000)
            assert (await client.get(peer.url)).data == "ok"


async def test_large_uploads_and_downloads_at_once(loop_kind: str, certificates: Certificates) -> None:
    async def content() -> AsyncIterator[bytes]:
        for start in range(0, len(MEGABYTES), 1_000_000):
            yield MEGABYTES[start : start + 1_000_000]

    with origin_of("https", certificates) as origin, ScriptedProxy(tls=certificates.server_context()) as proxy:
        origin.routes["/up"] = received
        origin.routes["/down"] = lambda _: Answer(MEGABYTES)
        async with AtomHTTP(baseURL=origin.url, verify=certificates.ca, proxy=url_of("https", proxy)) as client:
            up = [client.post("/up", data) for data in (content(), MEGABYTES)]
            down = [client.get("/down", response_type="blob") for _ in range(2)]
            answers = await asyncio.gather(*up, *down)
            assert [each.data for each in answers] == ["3000000 the same"] * 2 + [MEGABYTES] * 2


async def test_a_slow_reader_holds_the_origin_back(loop_kind: str, certificates: Certificates) -> None:
    go, full = threading.Event(), threading.Event()
    content = MEGABYTES * 7
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content)
    script = [expect_head(), send(head), send(content), signal(full), wait(go)]
    with (
        Peer(script, tls=certificates.server_context()) as peer,
        ScriptedProxy(tls=certificates.server_context()) as proxy,
    ):
        async with AtomHTTP(verify=certificates.ca, proxy=url_of("https", proxy)) as client:
            response = await client.get(peer.url, response_type="stream")
            await response.data.read(10)
            for _ in range(200):
                await asyncio.sleep(0)
            assert not full.is_set()
            assert await response.data.read() == content[10:]
            go.set()


@pytest.mark.parametrize("notify", [True, False])
async def test_the_end_of_either_layer_ends_an_idle_tunnel(
    loop_kind: str, certificates: Certificates, notify: bool
) -> None:
    script = [expect_head(), send(OK), close(notify=notify)]
    with (
        Peer([script, script], tls=certificates.server_context()) as peer,
        ScriptedProxy(tls=certificates.server_context()) as proxy,
    ):
        async with AtomHTTP(verify=certificates.ca, proxy=url_of("https", proxy)) as client:
            assert (await client.get(peer.url)).data == "ok"
            assert (await client.post(peer.url, b"x" * 10, retryConfig={"methods": ["POST"]})).data == "ok"
            assert proxy.connections == 2


async def test_a_body_without_length_needs_the_origins_own_end(loop_kind: str, certificates: Certificates) -> None:
    """The proxy's close_notify proves nothing about what the origin had to say."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    for notify in (True, False):
        with (
            Peer([expect_head(), send(head + b"all"), close(notify=notify)], tls=certificates.server_context()) as peer,
            ScriptedProxy(tls=certificates.server_context()) as proxy,
        ):
            async with AtomHTTP(verify=certificates.ca, proxy=url_of("https", proxy)) as client:
                if notify:
                    assert (await client.get(peer.url)).data == "all"
                else:
                    with pytest.raises(AtomHTTPError) as caught:
                        await client.get(peer.url)
                    assert caught.value.code == "ERR_BAD_RESPONSE"


# Silence


class Silence:
    """A way to `url` through `proxy` that ends in silence, for so many calls as there are `tries`.

    `reached(n)`: whether the n-th call has come as far as that.
    """

    def __init__(self, certificates: Certificates, stack: contextlib.ExitStack, tries: int) -> None:
        self.certificates = certificates
        self.tries = tries
        self.proxy = ""
        self.url = "https://127.0.0.1:1/"
        self.reached: Callable[[int], bool] = bool
        self._stack = stack

    def enter(self, kind: str, server: Any, userinfo: str = "") -> Any:
        self.proxy = url_of(kind, server).replace("//", f"//{userinfo}")
        return self._stack.enter_context(server)

    def accepting(self) -> None:
        host, port = self._stack.enter_context(silent_address())
        self.proxy = f"http://{host}:{port}"

    def proxy_tls(self) -> None:
        peer = self.enter("https", Peer([[hold()]] * self.tries))
        self.url, self.reached = "http://127.0.0.1:1/", lambda count: peer.connections >= count

    def connect(self, data: bytes = b"", tls: bool = False) -> None:
        context = self.certificates.server_context() if tls else None
        server = ScriptedProxy(tls=context, replies=[Reply(data, "hold")])
        proxy = self.enter("https" if tls else "http", server)
        self.reached = lambda count: len(proxy.requests) >= count

    def socks(self, stage: Any, data: bytes) -> None:
        proxy = self.enter("socks5", SocksServer(credentials=("u", "p"), instead={stage: data}), "u:p@")
        # What we have said by then.
        size = {"method": 4, "auth": 9, "request": 19}[stage]
        self.url = "http://127.0.0.1:1/"
        self.reached = lambda count: len(proxy.received.get(count - 1, b"")) >= size

    def origin_tls(self) -> None:
        self.enter("https", ScriptedProxy(tls=self.certificates.server_context()))
        origin = self._stack.enter_context(Peer([[hold()]] * self.tries))
        self.url, self.reached = f"https://127.0.0.1:{origin.port}/", lambda count: origin.connections >= count

    def answer(self) -> None:
        peer = self.enter("http", Peer([[expect_head(), hold()]] * self.tries))
        self.url, self.reached = "http://127.0.0.1:1/", lambda count: len(peer.heads) >= count


SILENT: dict[str, tuple[Callable[[Silence], None], str]] = {
    "accepting": (Silence.accepting, "connect"),
    "TLS with the proxy": (Silence.proxy_tls, "tls"),
    "CONNECT": (Silence.connect, "connect"),
    "half an answer to CONNECT": (lambda silence: silence.connect(ESTABLISHED[:-2], tls=True), "connect"),
    "SOCKS method": (lambda silence: silence.socks("method", b"\x05"), "connect"),
    "SOCKS authentication": (lambda silence: silence.socks("auth", b"\x01"), "connect"),
    "SOCKS reply": (lambda silence: silence.socks("request", b"\x05\x00\x00\x01\x7f"), "connect"),
    "SOCKS reply with a name": (lambda silence: silence.socks("request", b"\x05\x00\x00\x03\x09x"), "connect"),
    "TLS with the origin": (Silence.origin_tls, "tls"),
    "the answer": (Silence.answer, "headers"),
}


@pytest.mark.parametrize("stage", SILENT)
async def test_silence_times_out_in_its_phase(
    virtual_clock: VirtualClockLoop, certificates: Certificates, stage: str
) -> None:
    fall_silent, phase = SILENT[stage]
    with contextlib.ExitStack() as stack:
        silence = Silence(certificates, stack, tries=2)
        fall_silent(silence)
        async with AtomHTTP(verify=certificates.ca, proxy=silence.proxy) as client:
            limits = Timeout(read=3) if phase == "headers" else Timeout(connect=3)
            for timeout, limit in ((limits, 3), (7, 7)):
                began = virtual_clock.time()
                with pytest.raises(AtomHTTPTimeoutError) as caught:
                    await client.get(silence.url, timeout=timeout)
                assert (caught.value.phase, caught.value.limit) == (phase, limit)
                assert limit <= virtual_clock.time() - began <= limit + 0.2
                assert client.pool_stats().open == 0


@pytest.mark.parametrize("stage", [stage for stage in SILENT if stage != "accepting"])
async def test_what_ends_a_silent_stage_leaves_nothing(certificates: Certificates, stage: str) -> None:
    fall_silent, _ = SILENT[stage]
    with contextlib.ExitStack() as stack:
        silence = Silence(certificates, stack, tries=3)
        fall_silent(silence)
        async with AtomHTTP(verify=certificates.ca, proxy=silence.proxy) as client:
            for number in (1, 2):
                task = asyncio.create_task(client.get(silence.url))
                while not silence.reached(number):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert client.pool_stats().open == 0
            task = asyncio.create_task(client.get(silence.url))
            while not silence.reached(3):
                await asyncio.sleep(0)
            await client.close()
            with pytest.raises(AtomHTTPClosedError):
                await task


# At every point


class AtTheNthWait:
    """Does something just before a call begins to wait for the n-th time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = 0
        self._action: Callable[[], None] = bool
        self.done = False
        really_wait = Call.wait_for

        async def wait_for(call: Call, waiter: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                self.done = True
                self._action()
            return await really_wait(call, waiter)

        monkeypatch.setattr(Call, "wait_for", wait_for)

    def prepare(self, number: int, action: Callable[[], None]) -> None:
        self._left, self._action, self.done = number, action, False


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("kind", KINDS)
async def test_cancelled_at_every_wait(
    monkeypatch: pytest.MonkeyPatch, certificates: Certificates, kind: str, scheme: str
) -> None:
    point = AtTheNthWait(monkeypatch)
    with origin_of(scheme, certificates) as origin, proxy_of(kind, certificates) as proxy:
        async with AtomHTTP(verify=certificates.ca, proxy=url_of(kind, proxy)) as client:
            for number in range(1, 100):
                task = asyncio.create_task(client.post(f"{origin.url}/echo", pattern(300_000), keepAlive=False))
                point.prepare(number, task.cancel)
                if not (await asyncio.gather(task, return_exceptions=True) and point.done):
                    break
                assert task.cancelled()
                assert client.pool_stats().open == 0
            assert number > 1
            assert (await client.get(f"{origin.url}/echo")).status == 200


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("kind", KINDS)
async def test_closed_at_every_wait(
    monkeypatch: pytest.MonkeyPatch, certificates: Certificates, kind: str, scheme: str
) -> None:
    point = AtTheNthWait(monkeypatch)
    loop = asyncio.get_running_loop()
    with origin_of(scheme, certificates) as origin, proxy_of(kind, certificates) as proxy:
        for number in range(1, 100):
            async with AtomHTTP(verify=certificates.ca, proxy=url_of(kind, proxy)) as client:
                closing: list[asyncio.Task[None]] = []
                call = asyncio.ensure_future(client.post(f"{origin.url}/echo", pattern(300_000)))
                point.prepare(number, lambda c=client, t=closing: t.append(loop.create_task(c.close())))  # type: ignore[misc]  # bound now
                [outcome] = await asyncio.gather(call, return_exceptions=True)
                if not point.done:
                    assert outcome.status == 200  # type: ignore[union-attr]  # or this fails, as it should
                    break
                assert isinstance(outcome, AtomHTTPClosedError), (number, outcome)
                await closing[0]
        assert number > 1


def test_without_socksio_nothing_is_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    with Peer([[]]) as peer, SyncAtomHTTP(proxy=f"socks5h://127.0.0.1:{peer.port}") as client:
        with pytest.raises(ValueError, match="pip install") as caught:
            client.get("http://127.0.0.1:1/")
        assert getattr(caught.value, "code", None) == "ERR_NOT_SUPPORT"
        assert peer.connections == 0


# Answers while we still send


@pytest.mark.parametrize("kind", KINDS)
async def test_an_early_answer_stops_the_upload(loop_kind: str, certificates: Certificates, kind: str) -> None:
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    script = [expect_head(), send(early), drain()]
    tls = certificates.server_context()
    with Peer(script, tls=tls) as peer, proxy_of(kind, certificates) as proxy:
        async with AtomHTTP(verify=certificates.ca, proxy=url_of(kind, proxy)) as client:
            response = await client.post(peer.url, b"x" * 20_000_000)
            assert (response.status, response.text) == (413, "no")
