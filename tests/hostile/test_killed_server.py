"""The server's process dies, or stands still, after every byte of its answer, in five framings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from atomhttp import AtomHTTP, AtomHTTPError, AtomHTTPNetworkError, AtomHTTPProtocolError, AtomHTTPTimeoutError
from hostile import killed_server
from hostile.killed_server import CONTENT, FRAMINGS
from support.clock import run_virtual


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    program = [sys.executable, killed_server.__file__]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.stdin.close()


def outcome_of(framing: str, size: int) -> bytes | type[AtomHTTPError]:
    """What comes of the first `size` bytes and the end of the connection."""
    whole = FRAMINGS[framing]
    head = whole.index(b"\r\n\r\n") + 4
    if size == len(whole):
        return CONTENT
    if framing == "until-eof" and size >= head:
        return whole[head:size]  # nothing tells how much was missing
    return AtomHTTPProtocolError if size else AtomHTTPNetworkError


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_killed_after_every_byte(framing: str, url: str) -> None:
    async with AtomHTTP(response_type="blob", retryConfig=False) as client:
        for size in range(len(FRAMINGS[framing]) + 1):
            expected = outcome_of(framing, size)
            try:
                got: object = (await client.get(f"{url}/{framing}/{size}/KILL")).data
            except AtomHTTPError as error:
                got = type(error)
            assert got == expected, f"after {size} bytes"


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_server_that_stands_still(framing: str, url: str) -> None:
    """SIGSTOP: its kernel keeps the connection alive, and only the timeout ends the wait."""

    async def play() -> None:
        async with AtomHTTP(response_type="blob", timeout=30) as client:
            for size in (0, 9, 30, len(FRAMINGS[framing]) - 1):
                with pytest.raises(AtomHTTPTimeoutError):
                    await client.get(f"{url}/{framing}/{size}/STOP")
            assert client.pool_stats().open == 0

    run_virtual(play())
