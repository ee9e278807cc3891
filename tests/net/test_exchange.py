"""One exchange on the wire: resending, early answers, Expect: 100-continue, and what a lost connection is called."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import fcntl
import functools
import re
import socket
import struct
import termios
import threading
from typing import Any

import pytest

from atomhttp import (
    AtomHTTP,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPProtocolError,
    AtomHTTPTimeoutError,
    FormData,
    SyncAtomHTTP,
    Timeout,
)
from support.certificates import Certificates
from support.clock import VirtualClockLoop
from support.origin import Origin, pattern
from support.peer import (
    Conversation,
    Peer,
    close,
    drain,
    end,
    expect,
    expect_body,
    expect_end,
    expect_head,
    hold,
    reset,
    send,
    wait,
)
from support.server import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge"


def open_count(client: AtomHTTP) -> int:
    return sum(each.open_count for each in client._adapter.pools)


# The one safe resend


def idle_close(ending: Any) -> list[list[Any]]:
    """Answers once, and ends when the second request has come: what an idle close that crossed it looks like."""
    return [[expect_head(), send(OK), expect_head(), ending], [expect_head(), expect_body(), send(OK), drain()]]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "QUERY"])
async def test_an_idempotent_request_is_sent_once_more(method: str) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + (b"" if method == "HEAD" else b"ok")
    scripts = [[expect_head(), send(OK), expect_head(), close()], [expect_head(), send(answer), drain()]]
    with Peer(scripts) as peer:
        async with AtomHTTP() as client:
            await client.get(peer.url)
            response = await client.request(method, peer.url)
            assert response.status == 200
    assert [each.method for each in peer.heads] == ["GET", method, method]


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_however_the_connection_ended(loop_kind: str, ending: str) -> None:
    with Peer(idle_close(close() if ending == "close" else reset())) as peer:
        async with AtomHTTP() as client:
            await client.get(peer.url)
            assert (await client.put(peer.url, data=b"whole")).text == "ok"
    assert peer.received(1).endswith(b"whole")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_request_that_may_have_been_done_is_not_sent_again(loop_kind: str, method: str) -> None:
    with Peer([[expect_head(), send(OK), expect_head(), close()]]) as peer:
        async with AtomHTTP() as client:
            await client.get(peer.url)
            with pytest.raises(AtomHTTPNetworkError, match="may have been sent") as caught:
                await client.request(method, peer.url, data=b"x")
            assert caught.value.request_sent == "maybe"
            assert caught.value.reused
            assert open_count(client) == 0
    assert peer.connections == 1


async def test_an_idempotency_key_makes_it_safe() -> None:
    with Peer(idle_close(close())) as peer:
        async with AtomHTTP() as client:
            await client.get(peer.url)
            response = await client.post(peer.url, data=b"once", headers={"idempotency-key": "k"})
            assert response.text == "ok"
    assert peer.received(1).endswith(b"once")


@pytest.mark.parametrize("kind", ["iterator", "async iterator"])
async def test_a_body_that_is_spent_is_not_sent_again(kind: str) -> None:
    async def pieces() -> Any:
        yield b"once"

    script = [expect_head(), send(OK), expect_head(), expect_body(), close()]
    with Peer([script]) as peer:
        async with AtomHTTP() as client:
            await client.get(peer.url)
            with pytest.raises(AtomHTTPNetworkError):
                await client.put(peer.url, data=iter([b"once"]) if kind == "iterator" else pieces())
    assert peer.connections == 1


async def test_a_file_is_sent_again_from_where_it_began(tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(pattern(100_000))
    with Peer(idle_close(close())) as peer:
        async with AtomHTTP() as client:
            await client.get(peer.url)
            assert (await client.put(peer.url, data=path)).text == "ok"
    assert peer.received(1).endswith(pattern(100_000))


async def test_a_fresh_connection_gets_no_second_chance() -> None:
    """The server ended what was never idle: it has seen the request, and will end the next one too."""
    with Peer([expect_head(), close()]) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPNetworkError) as caught:
                await client.get(peer.url)
            assert not caught.value.reused
            assert "before a response came" in str(caught.value)
    assert peer.connections == 1


async def test_it_is_sent_again_only_once_and_on_a_new_connection() -> None:
    """Other idle connections are as old as the one that died: the second try must not land on one of them."""
    pairs = [[expect_head(), send(OK), expect_head(), close()] for _ in range(2)]
    with Peer([*pairs, [expect_head(), close()]]) as peer:
        async with AtomHTTP() as client:
            await asyncio.gather(client.get(peer.url), client.get(peer.url))
            with pytest.raises(AtomHTTPNetworkError):
                await client.get(peer.url)
            assert peer.connections == 3
            # The other one of the first two.
            with pytest.raises(AtomHTTPNetworkError):
                await client.post(peer.url, data=b"x")
            assert peer.connections == 3


@pytest.mark.parametrize("partial", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome"])
async def test_after_one_byte_of_response_nothing_is_sent_again(partial: bytes) -> None:
    with Peer([[expect_head(), send(OK), expect_head(), send(partial), end(), drain()]]) as peer:
        async with AtomHTTP() as client:
            await client.get(peer.url)
            with pytest.raises(AtomHTTPNetworkError):
                await client.get(peer.url)
            assert open_count(client) == 0
    assert peer.connections == 1


async def test_an_interim_response_is_a_response_too() -> None:
    script = [expect_head(), send(OK), expect_head(), send(b"HTTP/1.1 103 Early\r\n\r\n"), end(), drain()]
    with Peer([script]) as peer:
        async with AtomHTTP() as client:
            await client.get(peer.url)
            with pytest.raises(AtomHTTPNetworkError):
                await client.get(peer.url)
    assert peer.connections == 1


def test_without_a_loop_it_is_the_same() -> None:
    with Peer(idle_close(close())) as peer, SyncAtomHTTP() as client:
        client.get(peer.url)
        assert client.put(peer.url, data=b"whole").text == "ok"
    with Peer([[expect_head(), send(OK), expect_head(), close()]]) as peer, SyncAtomHTTP() as client:
        client.get(peer.url)
        with pytest.raises(AtomHTTPNetworkError, match="may have been sent"):
            client.post(peer.url, data=b"x")


async def test_a_408_that_crossed_a_request_is_an_answer() -> None:
    """RFC 9110 15.5.9: the server may say it when it closes an idle connection. It came after our request was sent."""
    farewell = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with Peer([[expect_head(), send(OK), expect_head(), send(farewell)]]) as peer:
        async with AtomHTTP() as client:
            await client.get(peer.url)
            assert (await client.get(peer.url)).status == 408
            assert open_count(client) == 0


# Early answers


@functools.cache
def endless() -> bytes:
    """More than any kernel buffers."""
    return b"x" * 50_000_000


def large(kind: str, given: list[int]) -> Any:
    if kind == "bytes":
        return endless()

    async def pieces() -> Any:
        block = b"x" * 65_536
        for _ in range(1_000):
            given.append(len(block))
            yield block

    return pieces()


@pytest.mark.parametrize("ending", ["close", "reset", "polite"])
@pytest.mark.parametrize("kind", ["bytes", "iterator"])
async def test_a_413_after_64_kilobytes_is_delivered(loop_kind: str, kind: str, ending: str) -> None:
    """The rest of the body is not sent; and unread bytes make the server's kernel answer with RST."""
    given: list[int] = []
    # Linux keeps what was received before the RST only until that comes: give the answer a moment of its own.
    endings: dict[str, list[Any]] = {
        "close": [_until_read, close()],
        "reset": [_until_read, reset()],
        "polite": [end(), drain()],
    }
    with Peer([expect_head(), expect(65_536), send(TOO_LARGE), *endings[ending]]) as peer:
        async with AtomHTTP() as client:
            response = await client.post(peer.url, data=large(kind, given))
            assert response.status == 413
            assert response.text == "large"
            assert open_count(client) == 0
    # A peer that goes on reading takes what is on its way; what counts is that it does not get the whole.
    assert sum(given) < 65_536_000
    assert len(peer.received(0)) < (50_000_000 if kind == "bytes" else 65_536_000)


def _until_read(on: Conversation) -> None:
    """Until the client's kernel has the answer (SIOCOUTQ counts what is not acknowledged)."""
    while struct.unpack("i", fcntl.ioctl(on.socket.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]:
        threading.Event().wait(0.001)


async def test_an_early_answer_while_the_client_writes_into_a_dead_connection(loop_kind: str) -> None:
    """The error of a failed send is not the end of the story: the whole answer may still be there to read."""
    go = threading.Event()

    async def pieces() -> Any:
        yield b"x" * 1_000
        go.set()
        while True:
            await asyncio.sleep(0.002)
            yield b"x" * 1_000

    with Peer([expect_head(), wait(go), send(TOO_LARGE), _until_read, reset()]) as peer:
        async with AtomHTTP() as client:
            response = await client.post(peer.url, data=pieces())
            assert (response.status, response.text) == (413, "large")


async def test_an_early_answer_ends_the_upload_and_the_connection(origin: Origin) -> None:
    """A success that came early leaves half a request on the wire: never reused, however the server sees it."""
    given: list[int] = []
    scripts = [[expect_head(), expect(1_000), send(OK), drain()], [expect_head(), send(OK), drain()]]
    with Peer(scripts) as peer:
        async with AtomHTTP() as client:
            assert (await client.post(peer.url, data=large("iterator", given))).text == "ok"
            assert open_count(client) == 0
            assert (await client.get(peer.url)).text == "ok"
    assert len(given) < 900


@pytest.mark.parametrize("kind", ["bytes", "iterator"])
async def test_a_server_that_answers_as_it_reads_gets_all_of_it(loop_kind: str, kind: str) -> None:
    begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
    with Peer([expect_head(), send(begun), expect_body(), send(b"5\r\n last\r\n0\r\n\r\n"), drain()]) as peer:
        async with AtomHTTP() as client:
            response = await client.post(peer.url, data=large(kind, []))
            assert response.text == "first last"
    assert len(peer.received(0)) > 50_000_000


async def test_a_server_that_begins_to_answer_and_then_does_nothing_is_held_to_the_read_limit() -> None:
    begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
    with Peer([expect_head(), send(begun), hold()]) as peer:
        async with AtomHTTP(timeout=Timeout(read=0.2)) as client:
            with pytest.raises(AtomHTTPTimeoutError):
                await client.post(peer.url, data=endless())


async def test_an_early_answer_whose_body_comes_slowly(loop_kind: str) -> None:
    go = threading.Event()
    head = b"HTTP/1.1 413 Too Large\r\nContent-Length: 10\r\n\r\nfirst"
    with Peer([expect_head(), expect(1_000), send(head), wait(go), send(b"after"), drain()]) as peer:
        async with AtomHTTP() as client:
            stream = (await client.post(peer.url, data=large("bytes", []), response_type="stream")).data
            assert await stream.read(5) == b"first"
            go.set()
            assert await stream.read() == b"after"


async def test_an_early_answer_that_nobody_reads_holds_its_sender_back(loop_kind: str) -> None:
    """The request was cut short; that is no reason to take the response without bounds."""
    sent = 0

    def pour(on: Conversation) -> None:
        nonlocal sent
        on.socket.setblocking(True)
        while sent < 40_000_000:
            on.socket.sendall(b"y" * 100_000)
            sent += 100_000

    head = b"HTTP/1.1 413 Too Large\r\nContent-Length: 40000000\r\n\r\n"
    with Peer([expect_head(), expect(1_000), send(head), pour, drain()]) as peer:
        async with AtomHTTP() as client:
            stream = (await client.post(peer.url, data=large("bytes", []), response_type="stream")).data
            previous = -1
            while sent != previous:
                previous = sent
                await asyncio.sleep(0.05)
            assert sent < 20_000_000
            assert len(await stream.read()) == 40_000_000


@pytest.mark.parametrize("kind", ["bytes", "iterator"])
async def test_a_connection_that_dies_during_an_upload(loop_kind: str, kind: str) -> None:
    with Peer([expect_head(), expect(65_536), reset()]) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPNetworkError) as caught:
                await client.post(peer.url, data=large(kind, []))
            assert caught.value.code in ("ECONNRESET", "EPIPE")
            assert open_count(client) == 0


# Expect: 100-continue

EXPECT = {"Expect": "100-continue"}


def nothing_yet(on: Conversation) -> None:
    on.socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        on.socket.recv(1)
    on.socket.settimeout(PATIENCE)


async def test_the_body_waits_for_100(loop_kind: str) -> None:
    script = [
        expect_head(),
        nothing_yet,
        send(b"HTTP/1.1 100 Continue\r\n\r\n"),
        expect_body(),
        send(OK),
        expect_head(),
        send(OK),
        drain(),
    ]
    with Peer(script) as peer:
        async with AtomHTTP() as client:
            assert (await client.post(peer.url, data=b"body", headers=EXPECT)).text == "ok"
            assert (await client.get(peer.url)).text == "ok"
    assert peer.heads[0].get("expect") == "100-continue"
    assert peer.connections == 1


async def test_a_final_answer_instead_of_100_spares_the_body(loop_kind: str) -> None:
    with Peer([expect_head(), send(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"), expect_end()]) as peer:
        async with AtomHTTP() as client:
            assert (await client.post(peer.url, data=b"body", headers=EXPECT)).status == 417
            # The server may still wait for the body that the head announced.
            assert open_count(client) == 0
    assert not peer.received(0).endswith(b"body")


async def test_a_success_instead_of_100_spares_the_body_too(virtual_clock: VirtualClockLoop) -> None:
    """However long it takes: the second after which the body would go all the same is for servers that say nothing."""
    begun, go = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", threading.Event()
    with Peer([expect_head(), send(begun), wait(go), send(b"k"), expect_end()]) as peer:
        async with AtomHTTP() as client:
            posted = asyncio.create_task(client.post(peer.url, data=b"body", headers=EXPECT))
            await asyncio.sleep(2)
            go.set()
            assert (await posted).text == "ok"
            assert open_count(client) == 0
    assert not peer.received(0).endswith(b"body")


async def test_100_and_the_beginning_of_a_success_at_once_ask_for_the_body() -> None:
    said = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"
    with Peer([expect_head(), send(said), expect_body(), send(b"k"), drain()]) as peer:
        async with AtomHTTP() as client:
            assert (await client.post(peer.url, data=b"body", headers=EXPECT)).text == "ok"


async def test_no_answer_at_all_costs_one_second(virtual_clock: VirtualClockLoop) -> None:
    with Peer([expect_head(), expect_body(), send(OK), drain()]) as peer:
        async with AtomHTTP() as client:
            assert (await client.post(peer.url, data=b"body", headers=EXPECT)).text == "ok"
    assert 1 <= virtual_clock.time() <= 1.1
    assert peer.received(0).endswith(b"body")


async def test_other_interim_responses_are_not_what_was_waited_for(virtual_clock: VirtualClockLoop) -> None:
    script = [expect_head(), send(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), expect_body(), send(OK), drain()]
    with Peer(script) as peer:
        async with AtomHTTP() as client:
            assert (await client.post(peer.url, data=b"body", headers=EXPECT)).text == "ok"
    assert 1 <= virtual_clock.time() <= 1.1


async def test_100_after_the_body_has_gone_is_harmless(virtual_clock: VirtualClockLoop) -> None:
    script = [
        expect_head(),
        expect_body(),
        send(b"HTTP/1.1 100 Continue\r\n\r\n" + OK),
        expect_head(),
        send(OK),
        drain(),
    ]
    with Peer(script) as peer:
        async with AtomHTTP() as client:
            assert (await client.post(peer.url, data=b"body", headers=EXPECT)).text == "ok"
            assert (await client.get(peer.url)).text == "ok"
    assert peer.connections == 1


async def test_expect_with_a_streamed_body(loop_kind: str, origin: Origin) -> None:
    async def pieces() -> Any:
        for number in range(10):
            yield b"%d" % number

    async with AtomHTTP(base_url=origin.url) as client:
        response = await client.post("/echo", data=pieces(), headers=EXPECT)
        assert response.data["body"] == "0123456789"


# Interim responses


async def test_interim_responses_are_passed_over(loop_kind: str) -> None:
    interim = b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    with Peer([expect_head(), send(interim), send(OK), expect_head(), send(interim + OK), drain()]) as peer:
        async with AtomHTTP() as client:
            for _ in range(2):
                response = await client.get(peer.url)
                assert (response.status, response.text) == (200, "ok")
                assert "link" not in response.headers
    assert peer.connections == 1


async def test_a_flood_of_them_is_refused() -> None:
    def flood(on: Conversation) -> None:
        with contextlib.suppress(ConnectionError):  # the client has seen enough
            on.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000)

    with Peer([expect_head(), flood, drain()]) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPProtocolError, match="interim"):
                await client.get(peer.url)
            assert open_count(client) == 0


# Bodies that do not keep their word


@pytest.mark.parametrize("pieces", [[b"short"], [b"much too long", b"for that"]], ids=["short", "long"])
async def test_a_body_that_does_not_match_its_length_ends_the_connection(loop_kind: str, pieces: list[bytes]) -> None:
    with Peer([expect_head(), drain()]) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPOptionError, match="Content-Length"):
                await client.post(peer.url, data=iter(pieces), headers={"Content-Length": "10"})
            assert open_count(client) == 0
    head, _, body = peer.received(0).partition(b"\r\n\r\n")
    assert b"Content-Length: 10" in head
    assert len(body) < 10 or body == b"much too l"[: len(body)]


async def test_a_body_that_raises_ends_the_connection(loop_kind: str) -> None:
    async def broken() -> Any:
        yield b"some"
        raise LookupError("no more")

    with Peer([expect_head(), drain()]) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(LookupError, match="no more"):
                await client.post(peer.url, data=broken())
            assert open_count(client) == 0
    assert not peer.received(0).endswith(b"0\r\n\r\n"), "cut off, not ended"


async def test_user_code_runs_in_the_callers_task(loop_kind: str, origin: Origin) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("the caller's")
    seen: list[Any] = []

    async def body() -> Any:
        seen.append((asyncio.current_task(), variable.get()))
        yield b"x"
        await asyncio.sleep(0)
        seen.append((asyncio.current_task(), variable.get()))
        yield b"y"

    async with AtomHTTP(base_url=origin.url) as client:
        await client.get("/bytes/1")
        await client.post("/echo", data=body())
    assert seen == [(asyncio.current_task(), "the caller's")] * 2


# Ends of responses


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "6 bytes before the end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "inside a chunked response"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha", "inside a chunked response"),
        (b"HTTP/1.1 200 OK\r\nConte", "inside a response head"),
        (b"", "before a response came"),
    ],
    ids=["sized", "chunked", "inside a chunk", "head", "nothing"],
)
async def test_a_response_cut_off_is_never_passed_for_whole(loop_kind: str, response: bytes, message: str) -> None:
    with Peer([expect_head(), send(response) if response else drain_nothing, end(), drain()]) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPNetworkError, match=message):
                await client.get(peer.url)
            assert open_count(client) == 0


def drain_nothing(_: Conversation) -> None:
    """Nothing is sent."""


async def test_a_server_that_speaks_first_is_no_http_server() -> None:
    with Peer([send(b"220 mail.test ESMTP\r\n"), drain()]) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPNetworkError):
                await client.get(peer.url)
            assert open_count(client) == 0


async def test_a_half_closed_server_is_read_to_its_end(loop_kind: str) -> None:
    body = pattern(3_000_000)
    with Peer([expect_head(), send(b"HTTP/1.1 200 OK\r\n\r\n" + body), end(), drain()]) as peer:
        async with AtomHTTP(response_type="blob") as client:
            assert (await client.get(peer.url)).data == body
            assert open_count(client) == 0


async def test_nagle_is_off_and_a_request_leaves_in_one_piece() -> None:
    received: list[int] = []

    def count(on: Conversation) -> None:
        received.append(len(on.socket.recv(1_000_000, socket.MSG_PEEK)))

    with Peer([count, expect_head(), expect_body(), send(OK), drain()]) as peer:
        async with AtomHTTP(timeout=Timeout(total=PATIENCE)) as client:
            await client.post(peer.url, data=b"x" * 10_000)
    assert received[0] > 10_000


# Large content that is in memory: head and content in one system call, the rest as the socket takes it


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("count", [1, 600], ids=["one", "more than a system call takes"])
async def test_a_large_form_in_memory_arrives_whole(
    loop_kind: str, origin: Origin, tls_origin: Origin, certificates: Certificates, scheme: str, count: int
) -> None:
    form = FormData()
    values = [f"{number:06}" * (12_000_000 // 6 // count) for number in range(count)]
    for number, value in enumerate(values):
        form.append(f"field{number}", value)
    url = (origin if scheme == "http" else tls_origin).url
    async with AtomHTTP(verify=str(certificates.ca), base_url=url, timeout=PATIENCE) as client:
        response = await client.post("/echo", data=form)
        assert re.findall(r"\r\n\r\n(.*?)\r\n--", response.data["body"]) == values
        # Not a byte too many, or too few: the connection is good for another one.
        assert (await client.post("/echo", data=b"next")).data["body"] == "next"
        assert open_count(client) == 1


async def test_large_content_waits_for_a_peer_that_reads_slowly(loop_kind: str) -> None:
    go, body = threading.Event(), pattern(30_000_000)
    received: list[bytes] = []

    def read_all(on: Conversation) -> None:
        received.append(on.stream.read(len(body)))

    with Peer([expect_head(), wait(go), read_all, send(OK), drain()]) as peer:
        async with AtomHTTP(timeout=PATIENCE) as client:
            upload = asyncio.create_task(client.post(peer.url, data=body))
            asyncio.get_running_loop().call_later(0.1, go.set)  # by then the socket is full; if not, it works as well
            assert (await upload).text == "ok"
    assert received == [body]


async def test_large_content_is_given_up_when_the_peer_does_not_read() -> None:
    with Peer([expect_head(), hold()]) as peer:
        async with AtomHTTP(timeout=Timeout(write=0.2, total=PATIENCE)) as client:
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.post(peer.url, data=pattern(60_000_000))
    assert caught.value.phase == "write"
