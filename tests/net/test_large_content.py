"""Large bodies down: whole and as a stream, plain and over TLS, and what a peer gains by announcing one."""

from __future__ import annotations

import random
import resource
import threading
from io import BytesIO

import pytest

from atomhttp import AtomHTTP, AtomHTTPError, SyncAtomHTTP
from atomhttp._net.large_content import EARNED, LARGE, TRUST, LargeContent
from support.certificates import Certificates
from support.peer import Peer, Step, drain, end, expect_end, expect_head, send, wait

SIZE = LARGE + 123_457
CONTENT = random.Random(1).randbytes(SIZE)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, certificates: Certificates) -> dict[str, object]:
    return {} if request.param == "plain" else {"tls": certificates.server_context()}


@pytest.mark.parametrize("kind", ["blob", "stream"])
async def test_every_byte_arrives_and_the_connection_is_kept(
    loop_kind: str, tls: dict[str, object], certificates: Certificates, kind: str
) -> None:
    script = [expect_head(), send(HEAD), send(CONTENT), expect_head(), send(OK), expect_end()]
    with Peer(script, **tls) as peer:  # type: ignore[arg-type]  # one option, or none
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            data = (await client.get(peer.url, response_type=kind)).data
            assert (data if kind == "blob" else b"".join([piece async for piece in data])) == CONTENT
            assert (await client.get(peer.url)).text == "ok"
        assert peer.connections == 1


def test_every_byte_arrives_without_a_loop(tls: dict[str, object], certificates: Certificates) -> None:
    client = SyncAtomHTTP(verify=str(certificates.ca))
    with Peer([expect_head(), send(HEAD), send(CONTENT), expect_end()], **tls) as peer, client:  # type: ignore[arg-type]  # as above
        assert client.get(peer.url, response_type="blob").data == CONTENT


@pytest.mark.parametrize("kind", ["blob", "stream"])
async def test_a_byte_behind_the_end_is_seen(tls: dict[str, object], certificates: Certificates, kind: str) -> None:
    """It might begin an answer to a request that nobody has sent yet."""
    first: list[Step] = [expect_head(), send(HEAD), send(CONTENT + b"H"), drain()]
    with Peer([first, [expect_head(), send(OK), drain()]], **tls) as peer:  # type: ignore[arg-type]  # as above
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            data = (await client.get(peer.url, response_type=kind)).data
            assert (data if kind == "blob" else b"".join([piece async for piece in data])) == CONTENT
            assert (await client.get(peer.url)).text == "ok"
        assert peer.connections == 2


async def test_an_end_in_the_middle(tls: dict[str, object], certificates: Certificates) -> None:
    with Peer([expect_head(), send(HEAD), send(CONTENT[: SIZE // 2]), end(), drain()], **tls) as peer:  # type: ignore[arg-type]  # as above
        async with AtomHTTP(verify=str(certificates.ca)) as client:
            with pytest.raises(AtomHTTPError, match=f"{SIZE - SIZE // 2} bytes before the end"):
                await client.get(peer.url, response_type="blob")


async def test_what_is_announced_costs_nothing_until_it_comes() -> None:
    """Five megabytes and a promise of 64 terabytes: the five are what it costs."""
    go = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 2**46
    with Peer([expect_head(), send(head), send(CONTENT[: EARNED + 1024 * 1024]), wait(go), end(), drain()]) as peer:
        async with AtomHTTP() as client:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            go.set()
            with pytest.raises(AtomHTTPError):
                await client.get(peer.url, response_type="blob")
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Besides what has come: a page of 2 MiB, and what was held before it was moved.
    assert (after - before) * 1024 < 6 * EARNED


def test_room_is_reserved_by_what_has_come() -> None:
    content = LargeContent(BytesIO(b"0123"), 1_000_000)
    assert len(content.window(1_000_000)) == 4 * TRUST - 4
    content.write(b"x" * (4 * TRUST - 4))
    # All of it has come, so more is believed.
    assert len(content.window(1_000_000)) == 4 * TRUST * TRUST - 4 * TRUST
    content = LargeContent(BytesIO(b"0123"), 10)
    window = content.window(2)
    window[:] = b"45"
    content.received(2)
    del window
    content.write(b"6789")
    assert content.getvalue() == b"0123456789"
