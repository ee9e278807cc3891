"""Every row of the tables, played to a real client over a real socket.

By default each row is played whole and byte by byte over plain TCP, ended by EOF, and of all other ways (cut at
random, ended by RST or by silence, without close_notify, over TLS, to the synchronous client) a seeded tenth.
``HOSTILE=full`` (`./scripts/hostile --full`) plays all of it; ``HOSTILE_SEED`` chooses another tenth.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from typing import Any

import pytest

from atomhttp import AtomHTTP, AtomHTTPError, SyncAtomHTTP
from hostile.case import EOF, RST, SILENCE, play_chosen
from hostile.row import TRUNCATED, Answer, Case, Refused, Row, every_case, is_always_played
from hostile.table import ROWS
from support.async_tests import run_test
from support.certificates import Certificates
from support.clock import VirtualClockLoop, engine_clock
from support.peer import Conversation, Peer, Script, Step, drain, end, expect_body, expect_head, reset, unless_gone
from support.server import PATIENCE

# Of the virtual clock's seconds; a real one is only waited out where a test fails.
TIMEOUT = 5.0


def test_the_table_is_as_large_as_promised() -> None:
    assert len(ROWS) >= 400
    assert sum(row.is_odd_but_legal for row in ROWS) >= 120
    assert all(row.source for row in ROWS)


def test_no_two_rows_are_one() -> None:
    names = [row.name for row in ROWS]
    assert sorted(names) == sorted(set(names))
    replies = [(row.method, row.says, tuple(row.options)) for row in ROWS]
    assert len(replies) == len(set(replies))


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_row(row: Row, certificates: Certificates) -> None:
    play_chosen(every_case(row), is_always_played, 0.1, lambda case: play(case, certificates))


def play(case: Case, certificates: Certificates) -> None:
    tls = server_context(certificates) if case.tls else None
    with Peer(script(case), tls=tls) as peer:
        options = {
            "timeout": TIMEOUT if case.ending == SILENCE else PATIENCE,
            "response_type": "blob",
            "verify": str(certificates.ca),
            **case.row.options,
        }
        if case.is_sync:
            talk(case, peer.url, options)
        else:
            call = converse(case, peer.url, options)
            if case.ending == SILENCE:
                run_on_virtual_clock(call)
            else:
                run_test(call, asyncio.SelectorEventLoop)
    assert peer.connections == 1, "it was asked again"


# The peer's side


@functools.cache
def server_context(certificates: Certificates) -> ssl.SSLContext:
    """One for all cases: the key costs more to load than most of them to play."""
    return certificates.server_context()


def script(case: Case) -> Script:
    ends = {
        EOF: [end(), drain()],
        TRUNCATED: [end(notify=False), drain()],
        RST: [reset()],
        SILENCE: [drain()],
    }
    return [expect_head(), expect_body(), *map(unless_gone, [say(case), *ends[case.ending]])]


def say(case: Case) -> Step:
    def say(on: Conversation) -> None:
        # Else the kernel would hold small writes back, and RST would overtake them.
        on.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in case.pieces():
            on.socket.sendall(piece)

    return say


# The client's side


async def converse(case: Case, url: str, options: dict[str, Any]) -> None:
    async with AtomHTTP() as client:
        try:
            got: Any = await client.request(case.row.method, url, **options)
        except AtomHTTPError as error:
            got = error
        judge(case, got)
        if case.ending == SILENCE:
            rest(case, client)


def talk(case: Case, url: str, options: dict[str, Any]) -> None:
    with SyncAtomHTTP() as client:
        try:
            got: Any = client.request(case.row.method, url, **options)
        except AtomHTTPError as error:
            got = error
        judge(case, got)


def run_on_virtual_clock(call: Any) -> None:
    loop = VirtualClockLoop()
    with engine_clock(loop):
        run_test(call, lambda: loop)


def judge(case: Case, got: Any) -> None:
    expected = case.row.expected(case.ending)
    if isinstance(expected, Refused):
        assert isinstance(got, AtomHTTPError), f"expected {expected}, got {got.status} {got.content!r}"
        assert (type(got), got.code) == (expected.kind, expected.code), repr(got)
        assert expected.why in str(got)
        return
    if isinstance(got, AtomHTTPError):
        raise AssertionError(f"expected {expected}, got {got!r}") from got
    assert (got.status, got.content) == (expected.status, expected.body)
    assert expected.reason is None or got.status_text == expected.reason
    for name, value in expected.fields:
        assert value in got.headers.get_all(name), got.headers
    assert tuple(got.trailers.multi_items()) == expected.trailers


def rest(case: Case, client: AtomHTTP) -> None:
    """The peer keeps the connection open: it is kept exactly where nothing was wrong with it."""
    expected = case.row.expected(case.ending)
    kept = isinstance(expected, Answer) and expected.kept
    stats = client.pool_stats()
    assert (stats.open, stats.idle, stats.waiting) == (int(kept), int(kept), 0)
