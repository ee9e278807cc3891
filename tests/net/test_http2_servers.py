"""HTTP/2 with servers that others wrote: nginx, haproxy, caddy, nghttpd, hypercorn; straight and through proxies."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPNetworkError,
    AtomHTTPProtocolError,
    AtomHTTPTLSError,
    InsecureRequestWarning,
    SyncAtomHTTP,
)
from contract.flavours import Api, close, each, wait
from net.measured_client import Memory
from support.certificates import Certificates
from support.forks import run_in_fork
from support.http2_content import BIG, BLOB, GZIP_JSON, JSON, TEXT
from support.http2_servers import KINDS, SECURE, Http2Server, find_program, run_http2_server
from support.nginx import Nginx
from support.origin import Origin
from support.peer import Peer, expect_head, send
from support.proxies import RealProxy

# For a whole call, in seconds: the machine may be busy, and what hangs is to fail as itself.
TIMEOUT = 25

RECORD = json.loads(JSON)
TEN_KB = BLOB[:10_000]
THREE_MB = BIG[:3_000_000]
MIB = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

APPLYING = [kind for kind in KINDS if KINDS[kind].applies]
RELOADING = [kind for kind in KINDS if KINDS[kind].reloads]
# Those that have a huge file.
FILING = ["nginx", "caddy", "nghttpd"]

StartServer = Callable[[str], Http2Server]
StartProxy = Callable[[str], RealProxy]


def need_program(kind: str) -> str:
    if (program := find_program(kind)) is None:
        pytest.skip(f"NO {kind.upper()}: no HTTP/2 with it (Debian: apt-get install {KINDS[kind].package})")
    return program


@contextlib.contextmanager
def one_of_each(certificates: Certificates) -> Iterator[StartServer]:
    """Starts a server of a kind when it is asked for first; all of them end together."""
    with contextlib.ExitStack() as running:

        @functools.cache
        def start(kind: str) -> Http2Server:
            return running.enter_context(run_http2_server(kind, need_program(kind), certificates))

        yield start


@pytest.fixture(scope="session")
def http2_server(certificates: Certificates) -> Iterator[StartServer]:
    """Starts a real server for the run: `http2_server("nginx").urls["tls"]`."""
    with one_of_each(certificates) as start:
        yield start


@pytest.fixture(params=list(KINDS))
def server(request: pytest.FixtureRequest, http2_server: StartServer) -> Http2Server:
    """Each of them; a test that not all can serve says by `indirect` which."""
    return http2_server(request.param)


@pytest.fixture
def nginx2(http2_server: StartServer) -> Http2Server:
    """The one for what does not depend on the server."""
    return http2_server("nginx")


@pytest.fixture(scope="session")
def mortal_server(certificates: Certificates) -> Iterator[StartServer]:
    """As `http2_server`, but for tests that kill theirs."""
    with one_of_each(certificates) as start:
        yield start


@pytest.fixture
def own_server(request: pytest.FixtureRequest, mortal_server: StartServer) -> Iterator[Http2Server]:
    """One that the test may kill: it runs again for the next test."""
    server = mortal_server(request.param)
    yield server
    if not server.is_running:
        server.start()


@pytest.fixture(params=["asyncio", "uvloop", "sync"])
def api(request: pytest.FixtureRequest) -> Api:
    return Api(request.param)


def only(kinds: Iterable[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("server", list(kinds), indirect=True)


def options_for(server: Http2Server, certificates: Certificates, door: str = "tls", **more: Any) -> dict[str, Any]:
    version = True if door in SECURE else "only"
    return {"baseURL": server.urls[door], "http2": version, "verify": certificates.ca, "timeout": TIMEOUT, **more}


def blob(client: Any, path: str, **more: Any) -> Any:
    return client.get(path, response_type="blob", **more)


# One after the other


@pytest.mark.parametrize("door", ["tls", "clear"])
def test_small_answers(server: Http2Server, certificates: Certificates, api: Api, door: str) -> None:
    async def main() -> None:
        client = api.client(**options_for(server, certificates, door))
        response = await client.get("/json")
        assert (response.status, response.status_text, response.http_version) == (200, "OK", "2")
        assert response.data == RECORD
        response = await client.head("/json")
        assert (response.status, response.data, response.headers["content-length"]) == (200, None, str(len(JSON)))
        assert (await client.get("/text", response_type="text")).text == TEXT.decode()
        response = await client.get("/missing")
        assert (response.status, response.status_text) == (404, "Not Found")
        if server.features.applies:
            response = await client.get("/empty")
            assert (response.status, response.data, response.content) == (204, None, b"")
        statistics = client.pool_stats()
        assert (statistics.open, statistics.idle) == (1, 1)

    api.run(main())


@pytest.mark.parametrize("door", ["tls", "clear"])
def test_large_answers(server: Http2Server, certificates: Certificates, api: Api, door: str) -> None:
    async def main() -> None:
        client = api.client(**options_for(server, certificates, door))
        for path, content in (("/blob", BLOB), ("/big", BIG), ("/blob", BLOB)):
            response = await blob(client, path)
            assert response.data == content
            assert response.http_version == "2"
        assert client.pool_stats().open == 1

    api.run(main())


@pytest.mark.parametrize("door", ["tls", "clear"])
def test_what_is_sent_comes_back(server: Http2Server, certificates: Certificates, api: Api, door: str) -> None:
    async def main() -> None:
        client = api.client(**options_for(server, certificates, door, response_type="blob"))
        for content in (b"", TEN_KB, THREE_MB, b"x"):
            # nghttpd sends files back only under a name that it has.
            response = await client.post("/echo" if server.features.applies else "/text", content)
            assert (response.status, response.data == content) == (200, True), len(content)
        pieces = [THREE_MB[start : start + 99_991] for start in range(0, len(THREE_MB), 99_991)]
        response = await client.put("/echo" if server.features.applies else "/text", api.iterator(pieces))
        assert response.data == THREE_MB
        assert client.pool_stats().open == 1

    api.run(main())


@only(APPLYING)
def test_a_large_upload(server: Http2Server, certificates: Certificates, api: Api) -> None:
    """A server says thousands of times that it takes more."""

    async def main() -> None:
        client = api.client(**options_for(server, certificates))
        assert (await client.post("/count", BIG * 3)).data == 3 * len(BIG)
        assert (await client.get("/json")).data == RECORD
        assert client.pool_stats().open == 1

    api.run(main())


@only(APPLYING)
def test_how_a_request_arrives(server: Http2Server, certificates: Certificates, api: Api) -> None:
    async def main() -> None:
        client = api.client(**options_for(server, certificates))
        head = (await client.post("/head", {"a": 1}, headers={"X-Name": "ä", "X-Empty": ""})).data
        fields = {name: value.encode("latin-1").decode() for name, value in head["fields"]}
        assert (head["method"], head["path"]) == ("POST", "/head")
        assert fields["content-type"] == "application/json"
        assert fields["content-length"] == "7"
        assert fields["x-name"] == "ä"
        assert fields["x-empty"] == ""
        if server.kind == "hypercorn":
            # Nobody stands in between.
            assert head["version"] == "2"
            assert not {"connection", "transfer-encoding", "keep-alive", "upgrade"} & set(fields)
            assert all(name == name.lower() for name, _ in head["fields"])

    api.run(main())


@only(APPLYING)
def test_compressed_content_redirects_and_cookies(server: Http2Server, certificates: Certificates, api: Api) -> None:
    async def main() -> None:
        client = api.client(**options_for(server, certificates))
        response = await client.get("/gzip")
        assert response.headers["content-encoding"] == "gzip"
        assert response.data == json.loads(GZIP_JSON)
        response = await client.get("/redirect")
        assert (response.url, response.data) == (server.urls["tls"] + "/json", RECORD)
        assert [hop.status for hop in response.history] == [302]
        response = await client.post("/see-other", b"not along")
        assert (response.request.method, response.data) == ("GET", RECORD)
        assert (await client.post("/keep", b"along", response_type="text")).data == "along"
        await client.get("/cookies/set")
        assert (await client.get("/cookies")).data == ["a=1", "b=2"]
        assert set(client.cookies) == {"a", "b"}
        assert client.pool_stats().open == 1

    api.run(main())


@only(["nghttpd"])
def test_trailers_and_a_redirect_of_nghttpd(server: Http2Server, certificates: Certificates, api: Api) -> None:
    async def main() -> None:
        client = api.client(**options_for(server, certificates))
        response = await blob(client, "/blob")
        assert (response.data == BLOB, response.trailers["checked"]) == (True, "yes")
        response = await client.get("/directory", response_type="text")
        assert (response.url, response.data) == (server.urls["tls"] + "/directory/", TEXT.decode())

    api.run(main())


@pytest.mark.parametrize(("server", "path"), [("nginx", "/limited"), ("caddy", "/json")], indirect=["server"])
def test_an_answer_that_does_not_wait_for_the_content(
    server: Http2Server, certificates: Certificates, api: Api, path: str
) -> None:
    """nginx refuses by 413; caddy's file server gives what was not asked for. Both reset the stream behind it."""

    async def main() -> None:
        client = api.client(**options_for(server, certificates))
        for _ in range(3):
            response = await client.post(path, BIG, response_type="text")
            assert response.status == {"nginx": 413, "caddy": 200}[server.kind]
        assert (await client.get("/json")).data == RECORD
        # No connection was lost by it.
        assert client.pool_stats().open == 1
        assert client.pool_stats().reused == 3

    api.run(main())


# Streams


def test_a_stream_that_is_read_slowly(server: Http2Server, certificates: Certificates, api: Api) -> None:
    async def main() -> None:
        client = api.client(**options_for(server, certificates))
        response = await client.get("/big", response_type="stream")
        pieces = []
        while piece := await wait(response.data.read(len(BIG) // 7)):
            pieces.append(piece)
            assert (await client.get("/json")).data == RECORD
        assert b"".join(pieces) == BIG
        # The synchronous client leaves a stream its connection for itself.
        assert client.pool_stats().open == (2 if api.is_sync else 1)

    api.run(main())


def test_a_stream_that_is_closed_early(server: Http2Server, certificates: Certificates, api: Api) -> None:
    async def main() -> None:
        client = api.client(**options_for(server, certificates))
        for _ in range(5):
            response = await client.get("/big", response_type="stream")
            assert await wait(response.data.read(1_000)) == BIG[:1_000]
            await close(response.data)
            assert (await client.get("/json")).data == RECORD
        if not api.is_sync:
            assert client.pool_stats().open == 1
            assert client.pool_stats().reused == 9
        # What was reset has given its share of the connection's window back.
        assert (await blob(client, "/big")).data == BIG

    api.run(main())


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_streams_that_nobody_reads_hold_up_nobody(server: Http2Server, certificates: Certificates, kind: str) -> None:
    api = Api(kind)

    async def main() -> None:
        client = api.client(**options_for(server, certificates))
        unread = [await client.get("/big", response_type="stream") for _ in range(20)]
        assert (await blob(client, "/big")).data == BIG
        for _ in range(20):
            assert (await client.get("/json")).data == RECORD
        assert client.pool_stats().open == 1
        assert b"".join([piece async for piece in each(unread[0].data)]) == BIG
        for response in unread:
            await close(response.data)

    api.run(main())


# Many at once


@only(APPLYING)
async def test_two_hundred_at_the_same_time(server: Http2Server, certificates: Certificates, loop_kind: str) -> None:
    async with AtomHTTP(**options_for(server, certificates)) as client:
        # None of them is answered before all of them are there.
        answers = await asyncio.gather(*(client.get("/together/200") for _ in range(200)))
        assert {(answer.status, answer.text, answer.http_version) for answer in answers} == {(200, "all here", "2")}
        # A hundred are sent to who has not said yet how many it takes.
        fewest = math.ceil(200 / server.features.streams)
        assert fewest <= client.pool_stats().open <= 2


def test_two_hundred_at_the_same_time_on_one_thread(server: Http2Server, certificates: Certificates) -> None:
    with SyncAtomHTTP(**options_for(server, certificates)) as client:
        path, text = ("/together/200", "all here") if server.features.applies else ("/text", TEXT.decode())
        answers = client.all([client.defer.get(path, response_type="text") for _ in range(200)])
        assert {(answer.status, answer.text, answer.http_version) for answer in answers} == {(200, text, "2")}
        assert client.pool_stats().open <= 2


@only(["nginx", "nghttpd"])
async def test_more_at_once_than_a_server_takes(
    server: Http2Server, certificates: Certificates, loop_kind: str
) -> None:
    async def count(size: int) -> int:
        path = "/count" if server.features.applies else "/text"
        response = await client.post(path, TEN_KB[:size], response_type="blob")
        return int(response.data) if server.features.applies else len(response.data)

    async with AtomHTTP(**options_for(server, certificates, "few")) as client:
        answers = asyncio.gather(*(client.get("/json") for _ in range(200)))
        counted = asyncio.gather(*(count(size) for size in range(1, 101)))
        assert {(answer.status, answer.http_version) for answer in await answers} == {(200, "2")}
        assert await counted == list(range(1, 101))
        assert client.pool_stats().open <= 30
    async with AtomHTTP(**options_for(server, certificates, "few", maxConnections=1)) as client:
        answers = asyncio.gather(*(client.get("/json") for _ in range(200)))
        assert {(answer.status, answer.http_version) for answer in await answers} == {(200, "2")}


@only(["nginx", "nghttpd"])
def test_more_at_once_on_one_thread_than_a_server_takes(server: Http2Server, certificates: Certificates) -> None:
    with SyncAtomHTTP(**options_for(server, certificates, "few")) as client:
        answers = client.all([client.defer.get("/json") for _ in range(300)])
        assert {(answer.status, answer.http_version) for answer in answers} == {(200, "2")}


async def test_large_and_small_answers_together(
    server: Http2Server, certificates: Certificates, loop_kind: str
) -> None:
    async with AtomHTTP(**options_for(server, certificates, response_type="blob")) as client:
        paths = {"/big": BIG, "/blob": BLOB, "/json": JSON}
        wanted = ["/big", *(["/blob", *["/json"] * 8] * 10)] * 2
        answers = await asyncio.gather(*(client.get(path) for path in wanted))
        assert all(answer.data == paths[path] for answer, path in zip(answers, wanted, strict=True))
        assert client.pool_stats().open <= 2


async def test_uploads_at_the_same_time(server: Http2Server, certificates: Certificates, loop_kind: str) -> None:
    async with AtomHTTP(**options_for(server, certificates, response_type="blob")) as client:
        path = "/echo" if server.features.applies else "/text"
        contents = [THREE_MB[: number * 100_000] for number in range(1, 21)]
        answers = await asyncio.gather(*(client.post(path, content) for content in contents))
        assert all(answer.data == content for answer, content in zip(answers, contents, strict=True))
        assert client.pool_stats().open == 1


def test_threads_share_a_client(server: Http2Server, certificates: Certificates) -> None:
    def ask(thread: int) -> None:
        for number in range(200):
            if number % 50:
                assert client.get("/json").data == RECORD
            else:
                assert blob(client, "/blob").data == BLOB

    with SyncAtomHTTP(**options_for(server, certificates)) as client, ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(8)))
        # One thread at a time has a connection.
        assert 1 <= client.pool_stats().open <= 8


# A gigabyte, or a quarter of it, beside a thousand requests


# All but so much is read of it before the small requests are answered, at the most.
HELD_BACK = 64 * MIB
# How much more memory there may be meanwhile.
BAR = 64 * MIB


@only(FILING)
async def test_a_huge_answer_beside_small_requests(server: Http2Server, certificates: Certificates) -> None:
    async with AtomHTTP(**options_for(server, certificates, timeout=80)) as client:
        assert (await client.get("/json")).data == RECORD
        memory = Memory()
        answered = asyncio.Event()

        async def download() -> int:
            size = 0
            async with await client.get("/huge", response_type="stream") as response:
                async for piece in response.data:
                    size += len(piece)
                    memory.sample()
                    if size >= server.features.huge_size - HELD_BACK:
                        # They must not have to wait for its end.
                        await answered.wait()
            return size

        async def ask() -> None:
            for _ in range(100):
                assert (await client.get("/json")).data == RECORD

        async def ask_all() -> None:
            await asyncio.gather(*(ask() for _ in range(10)))
            answered.set()

        size, _ = await asyncio.gather(download(), ask_all())
        assert size == server.features.huge_size
        assert client.pool_stats().open == 1
        assert memory.growth < BAR


def test_a_huge_answer_beside_small_requests_of_another_thread(nginx2: Http2Server, certificates: Certificates) -> None:
    answered = threading.Event()

    def download() -> int:
        size = 0
        with client.get("/huge", response_type="stream") as response:
            for piece in response.data:
                size += len(piece)
                memory.sample()
                if size >= nginx2.features.huge_size - HELD_BACK:
                    answered.wait(TIMEOUT)
        return size

    with SyncAtomHTTP(**options_for(nginx2, certificates, timeout=80)) as client, ThreadPoolExecutor(1) as threads:
        assert client.get("/json").data == RECORD
        memory = Memory()
        size = threads.submit(download)
        try:
            for _ in range(1_000):
                assert client.get("/json").data == RECORD
        finally:
            answered.set()
        assert size.result() == nginx2.features.huge_size
        assert memory.growth < BAR


# Servers that end connections


async def test_nginx_takes_fifty_requests_a_connection(
    nginx2: Http2Server, certificates: Certificates, loop_kind: str
) -> None:
    async def ask() -> None:
        for number in range(50):
            assert (await client.get("/json")).data == RECORD
            assert (await client.post("/count", TEN_KB[: number * 100])).data == number * 100

    async with AtomHTTP(**options_for(nginx2, certificates, "brief")) as client:
        await asyncio.gather(*(ask() for _ in range(20)))


async def test_nginx_takes_fifty_requests_a_connection_of_three_hundred_at_once(
    nginx2: Http2Server, certificates: Certificates
) -> None:
    """They move together, and meet connections that are as old."""
    async with AtomHTTP(**options_for(nginx2, certificates, "brief")) as client:
        answers = await asyncio.gather(*(client.post("/count", TEN_KB[:size]) for size in range(300)))
        assert [answer.data for answer in answers] == list(range(300))


def test_nginx_takes_fifty_requests_a_connection_of_threads(nginx2: Http2Server, certificates: Certificates) -> None:
    def ask(_: int) -> None:
        for number in range(125):
            assert client.get("/json").data == RECORD
            assert client.post("/count", TEN_KB[:number]).data == number

    with SyncAtomHTTP(**options_for(nginx2, certificates, "brief")) as client, ThreadPoolExecutor(4) as threads:
        list(threads.map(ask, range(4)))


def test_nginx_takes_fifty_requests_a_connection_of_one_thread(nginx2: Http2Server, certificates: Certificates) -> None:
    with SyncAtomHTTP(**options_for(nginx2, certificates, "brief")) as client:
        sizes = list(range(1_000))
        answers = client.all([client.defer.post("/count", TEN_KB[:size]) for size in sizes], limit=30)
        assert [answer.data for answer in answers] == sizes


@pytest.mark.parametrize("own_server", RELOADING, indirect=True)
async def test_a_server_that_reloads_fails_no_get(
    own_server: Http2Server, certificates: Certificates, loop_kind: str
) -> None:
    reloaded = asyncio.Event()
    asked = 0

    async def ask() -> None:
        nonlocal asked
        while not reloaded.is_set():
            assert (await client.get("/json")).data == RECORD
            asked += 1

    async def reload() -> None:
        try:
            for _ in range(3):
                before = asked
                await asyncio.to_thread(own_server.reload)
                while asked < before + 100:
                    await client.get("/json")
        finally:
            reloaded.set()

    async with AtomHTTP(**options_for(own_server, certificates)) as client:
        await asyncio.gather(reload(), *(ask() for _ in range(10)))


@pytest.mark.parametrize("own_server", list(KINDS), indirect=True)
def test_a_server_that_is_killed(own_server: Http2Server, certificates: Certificates, api: Api) -> None:
    async def main() -> None:
        client = api.client(**options_for(own_server, certificates))
        for _ in range(2):
            streams = [await client.get("/big", response_type="stream") for _ in range(3)]
            assert [await wait(each.data.read(1_000)) for each in streams] == [BIG[:1_000]] * 3
            own_server.kill()
            for stream in streams:
                with pytest.raises(AtomHTTPNetworkError) as caught:
                    while await wait(stream.data.read(100_000)):
                        pass
                assert caught.value.code in ("ECONNRESET", "EPIPE", "ERR_BAD_RESPONSE"), caught.value
            own_server.start()
            assert (await client.get("/json")).data == RECORD
            assert (await client.post("/text", b"content")).status in (200, 404, 405)

    api.run(main())


@pytest.mark.parametrize("own_server", APPLYING, indirect=True)
async def test_calls_under_way_when_a_server_is_killed(own_server: Http2Server, certificates: Certificates) -> None:
    async with AtomHTTP(**options_for(own_server, certificates)) as client:
        assert (await client.get("/json")).data == RECORD
        # Not answered before three times as many are there; and a POST is not sent again by itself.
        calls = [asyncio.create_task(client.post("/together/60", b"content")) for _ in range(20)]
        watched = await client.get("/big", response_type="stream")
        await watched.data.read(1_000)
        own_server.kill()
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in errors} == {AtomHTTPNetworkError}, errors
        with pytest.raises(AtomHTTPNetworkError):
            await watched.data.read()
        own_server.start()
        assert (await client.post("/count", TEN_KB)).data == len(TEN_KB)


@only(["nginx", "haproxy", "caddy"])
def test_a_server_that_closes_what_is_idle(server: Http2Server, certificates: Certificates, api: Api) -> None:
    async def until_closed() -> None:
        waiting = functools.partial(server.wait_until, lambda: not server.connections("brief"), "closed nothing")
        await (wait(waiting()) if api.is_sync else asyncio.to_thread(waiting))

    async def main() -> None:
        client = api.client(**options_for(server, certificates, "brief", keepAliveTimeout=None))
        assert (await client.get("/json")).data == RECORD
        assert server.connections("brief") == 1
        await until_closed()
        # A POST, which nobody may send twice: it is sent where somebody listens, and nowhere else before.
        assert (await client.post("/count", TEN_KB)).data == len(TEN_KB)

    api.run(main())


def test_connections_that_are_not_kept(server: Http2Server, certificates: Certificates, api: Api) -> None:
    async def main() -> None:
        client = api.client(**options_for(server, certificates, keepAlive=False))
        for _ in range(3):
            response = await client.get("/json")
            assert (response.data, response.http_version) == (RECORD, "2")
            assert client.pool_stats().open == 0
        assert (await blob(client, "/big")).data == BIG
        assert client.pool_stats().reused == 0

    api.run(main())


# Which version


@only(APPLYING)
def test_a_server_that_has_only_the_older_version(server: Http2Server, certificates: Certificates, api: Api) -> None:
    async def main() -> None:
        client = api.client(**options_for(server, certificates, "http1"))
        response = await client.get("/json")
        assert (response.data, response.http_version) == (RECORD, "1.1")
        # As many connections as there are requests at the same time.
        assert (await client.post("/count", THREE_MB)).data == len(THREE_MB)
        assert (await api.client(**options_for(server, certificates, http2=False)).get("/json")).http_version == "1.1"

    api.run(main())


@only(APPLYING)
def test_nothing_but_the_newer_version_is_wanted(server: Http2Server, certificates: Certificates, api: Api) -> None:
    async def main() -> None:
        options = options_for(server, certificates, http2="only")
        assert (await api.client(**options).get("/json")).http_version == "2"
        with pytest.raises(AtomHTTPNetworkError, match="HTTP/2") as caught:
            await api.client(**{**options, "baseURL": server.urls["http1"]}).get("/json")
        assert isinstance(caught.value, AtomHTTPTLSError | AtomHTTPProtocolError)

    api.run(main())


def test_tls_servers_that_agree_on_nothing(certificates: Certificates, api: Api) -> None:
    async def main() -> None:
        options = {"verify": certificates.ca, "timeout": TIMEOUT}
        with Peer([expect_head(), send(OK)], tls=certificates.server_context()) as silent:
            response = await api.client(http2=True, **options).get(silent.url)
            assert (response.data, response.http_version) == ("ok", "1.1")
        with Origin(tls=certificates.server_context(), http2=False) as older:
            with pytest.raises(AtomHTTPTLSError, match="HTTP/2"):
                await api.client(http2="only", **options).get(older.url)
            assert older.requests == []

    api.run(main())


def test_a_server_in_clear_that_knows_only_the_older_version(nginx: Nginx, api: Api) -> None:
    async def main() -> None:
        assert (await api.client(baseURL=nginx.url, http2=True).get("/json")).http_version == "1.1"
        with pytest.raises(AtomHTTPProtocolError, match="HTTP/2"):
            await api.client(baseURL=nginx.url, http2="only", timeout=TIMEOUT).get("/json")

    api.run(main())


@only(APPLYING)
def test_a_unix_socket(server: Http2Server, api: Api) -> None:
    async def main() -> None:
        client = api.client(socketPath=server.socket_path, http2="only", timeout=TIMEOUT)
        response = await client.get("http://localhost/json")
        assert (response.data, response.http_version) == (RECORD, "2")
        assert (await blob(client, "http://localhost/big")).data == BIG
        assert client.pool_stats().open == 1

    api.run(main())


# TLS


def test_a_server_that_nobody_vouches_for(server: Http2Server, api: Api) -> None:
    async def main() -> None:
        options = {"baseURL": server.urls["tls"], "http2": True, "timeout": TIMEOUT}
        client = api.client(**options)
        with pytest.raises(AtomHTTPTLSError):
            await client.get("/json")
        assert client.pool_stats().open == 0
        with pytest.warns(InsecureRequestWarning):
            response = await api.client(verify=False, **options).get("/json")
        assert (response.data, response.http_version) == (RECORD, "2")

    api.run(main())


@only(APPLYING)
def test_certificates_of_clients(server: Http2Server, certificates: Certificates, api: Api) -> None:
    async def main() -> None:
        options = options_for(server, certificates, "client")
        response = await api.client(cert=certificates.client, **options).get("/json")
        assert (response.data, response.http_version) == (RECORD, "2")
        if server.kind == "nginx":
            # It says so by HTTP.
            assert (await api.client(**options).get("/json")).status == 400
        else:
            with pytest.raises(AtomHTTPNetworkError) as caught:
                await api.client(**options).get("/json")
            if server.kind != "hypercorn":
                # That one closes without a word.
                assert "certificate" in str(caught.value).lower()

    api.run(main())


# Through proxies


@pytest.mark.parametrize("kind", ["squid", "squid-auth", "squid-tls", "tinyproxy", "microsocks", "microsocks-auth"])
def test_through_a_real_proxy(
    nginx2: Http2Server, certificates: Certificates, real_proxy: StartProxy, kind: str, api: Api
) -> None:
    proxy = real_proxy(kind)

    async def main() -> None:
        client = api.client(**options_for(nginx2, certificates, proxy=proxy.url))
        response = await client.get("/json")
        assert (response.data, response.http_version) == (RECORD, "2")
        assert (await client.get("/missing")).status == 404
        assert (await blob(client, "/big")).data == BIG
        assert (await client.post("/echo", THREE_MB, response_type="blob")).data == THREE_MB
        stream = await client.get("/big", response_type="stream")
        assert b"".join([piece async for piece in each(stream.data)]) == BIG
        assert client.pool_stats().open == 1
        await client.close()
        # A SOCKS5 proxy is given the address.
        host = "127.0.0.1" if kind.startswith("microsocks") else "localhost"
        assert proxy.requests_seen(f"{host}:{nginx2.port('tls')}")

    api.run(main())


@pytest.mark.parametrize("kind", ["squid", "squid-tls", "tinyproxy", "microsocks"])
async def test_many_at_once_through_a_real_proxy(
    nginx2: Http2Server, certificates: Certificates, real_proxy: StartProxy, kind: str, loop_kind: str
) -> None:
    async with AtomHTTP(**options_for(nginx2, certificates, proxy=real_proxy(kind).url)) as client:
        answers = await asyncio.gather(*(client.get("/together/80") for _ in range(80)))
        assert {(answer.text, answer.http_version) for answer in answers} == {("all here", "2")}
        # Those that came while the tunnel was made have waited for it.
        assert client.pool_stats().open == 1


def test_prior_knowledge_through_socks(nginx2: Http2Server, real_proxy: StartProxy, api: Api) -> None:
    async def main() -> None:
        client = api.client(
            baseURL=nginx2.urls["clear"], http2="only", proxy=real_proxy("microsocks").url, timeout=TIMEOUT
        )
        response = await client.get("/json")
        assert (response.data, response.http_version) == (RECORD, "2")
        assert (await blob(client, "/big")).data == BIG

    api.run(main())


# Loops and processes


@pytest.mark.parametrize("door", ["tls", "clear"])
def test_a_hundred_loops_one_after_the_other(nginx2: Http2Server, certificates: Certificates, door: str) -> None:
    async def main() -> None:
        answers = await asyncio.gather(*(client.get("/json") for _ in range(3)))
        assert {answer.http_version for answer in answers} == {"2"}

    client = AtomHTTP(**options_for(nginx2, certificates, door))
    for _ in range(3):
        asyncio.run(main())
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) <= before
    asyncio.run(client.close())


FORK = """
    import asyncio, json, os, sys
    from atomhttp import AtomHTTP, SyncAtomHTTP

    kind, url, ca = sys.argv[1:]
    options = {"baseURL": url, "verify": ca, "http2": True}

    def check(response):
        assert (response.status, response.http_version) == (200, "2"), response

    if kind == "sync":
        client = SyncAtomHTTP(**options)

        def run(count):
            for _ in range(count // 2):
                check(client.get("/json"))
            for response in client.all([client.defer.get("/blob", response_type="blob") for _ in range(count // 2)]):
                check(response)
    else:
        client = AtomHTTP(**options)
        runner = asyncio.Runner()

        async def ask(count):
            for response in await asyncio.gather(*(client.get("/json") for _ in range(count))):
                check(response)

        def run(count):
            runner.run(ask(count))

    run(10)
    child = os.fork()
    if not child:
        status = 1
        try:
            if kind == "async":
                # It cannot go on in the parent's loop.
                runner = asyncio.Runner()
            run(50)
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    run(50)
    before = client.pool_stats()
    assert before.open == 1, before
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child failed"
    run(10)
    # The parent's connection was not hurt.
    assert client.pool_stats().open == 1
    assert client.pool_stats().reused > before.reused
    """


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_parent_and_child_go_their_own_ways(nginx2: Http2Server, certificates: Certificates, kind: str) -> None:
    done = run_in_fork(FORK, kind, nginx2.urls["tls"], certificates.ca)
    assert done.returncode == 0, done.stderr
