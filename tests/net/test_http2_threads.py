"""HTTP/2 without an event loop: what one thread leaves behind must not be another one's undoing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from atomhttp import SyncAtomHTTP
from atomhttp._net import pool as pools
from atomhttp._net.http2 import Http2Connection, SharedHttp2Connection
from contract.flavours import wait
from support.http2_only import opened
from support.http2_peer import (
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    Code,
    Http2Peer,
    expect_content,
    expect_request,
    expect_rst,
    greet,
    ping,
    read_on,
    respond,
    response,
    serve,
)
from support.origin import Origin
from support.peer import Conversation, send
from support.server import PATIENCE


def test_a_ping_to_an_idle_connection_in_the_middle_of_another_call_is_answered_there() -> None:
    """Else it would wait for a turn of a unit that has ended, and whoever takes the connection next with it."""
    pinged, go, answered = threading.Event(), threading.Event(), threading.Event()

    def poke(on: Conversation) -> None:
        assert go.wait(PATIENCE)
        on.socket.sendall(ping())
        pinged.set()

    def answer_early(on: Conversation) -> None:
        on.socket.sendall(response(1, 200, (), b"2"))
        answered.set()

    def body() -> Iterator[bytes]:
        yield b"x" * 10
        assert answered.wait(PATIENCE)
        go.set()
        assert pinged.wait(PATIENCE)
        yield b"y"

    first = [greet(), expect_request(), respond(200, body=b"1"), poke, serve()]
    second = [greet(), expect_request(whole=False), expect_content(1), answer_early, read_on()]
    with (
        Http2Peer([first]) as one,
        Http2Peer([second]) as two,
        SyncAtomHTTP(http2="only", timeout=PATIENCE) as client,
    ):
        assert client.get(one.url).data == 1
        assert client.post(two.url, body()).data == 2
        # In another unit.
        [answer] = client.all([client.defer.get(one.url)])
        assert answer.status == 200


def test_nothing_is_left_to_send_in_a_unit_that_has_ended() -> None:
    script = [greet(), expect_request(), send(ping() + response(1, 200, (), b"1")), read_on()]
    with Http2Peer([script]) as peer, SyncAtomHTTP(http2="only", timeout=PATIENCE) as client:
        assert client.get(peer.url).data == 1
        [unit] = client._units._free
        assert not unit.reactor.dirty


@pytest.mark.parametrize("lifetime", [None, 0.05])
def test_another_thread_serves_waiters_while_a_connection_becomes_idle(
    monkeypatch: pytest.MonkeyPatch, lifetime: float | None
) -> None:
    """It may promise a stream, and must not close a connection under the lock that closing takes."""
    mixed: list[Any] = []
    usual = SharedHttp2Connection._become_idle

    def become_idle(self: SharedHttp2Connection, now: float) -> None:
        threading.Event().wait(lifetime or 0.0)
        other = threading.Thread(target=self._owner._serve_waiters, args=(self.bucket,), daemon=True)
        other.start()
        other.join(PATIENCE)
        assert not other.is_alive()
        usual(self, now)
        if self in self.bucket.idle and self.streams:
            mixed.append(self)

    monkeypatch.setattr(SharedHttp2Connection, "_become_idle", become_idle)
    with Http2Peer([greet({MAX_CONCURRENT_STREAMS: 1}), serve()], repeat=True) as peer:
        options = {"maxConnections": 1, "connectionLifetime": lifetime, "timeout": PATIENCE}
        with SyncAtomHTTP(http2="only", **options) as client:
            client.get(peer.url)
            assert len(client.all([client.defer.get(peer.url) for _ in range(3)])) == 3
    assert mixed == []


@pytest.mark.parametrize("together", [False, True])
def test_a_connection_that_was_interrupted_is_nobody_elses(monkeypatch: pytest.MonkeyPatch, together: bool) -> None:
    """Ctrl+C behind a send: nobody knows what has gone."""
    idle: list[int] = []
    armed: list[bool] = []
    usual, usual_drop = Http2Connection._note_sent, pools.Pool.drop

    def note_sent(self: Http2Connection) -> None:
        usual(self)
        if armed and self.streams and self._produced and self._unsent is None:
            armed.clear()
            raise KeyboardInterrupt

    def drop(self: pools.Pool, reactor: Any) -> None:
        # What another thread could take now.
        idle.append(self.idle_count)
        usual_drop(self, reactor)

    monkeypatch.setattr(Http2Connection, "_note_sent", note_sent)
    monkeypatch.setattr(pools.Pool, "drop", drop)
    with Origin() as origin, SyncAtomHTTP(http2="only", timeout=PATIENCE) as client:
        url = f"{origin.url}/echo"
        client.get(url)
        armed.append(True)
        with pytest.raises(KeyboardInterrupt):
            if together:
                client.all([client.defer.get(url) for _ in range(5)])
            else:
                client.get(url)
        assert idle == [0]
        assert client.get(url).status == 200


def test_threads_that_send_alone_and_together(origin: Origin) -> None:
    def work(name: int) -> None:
        for turn in range(20):
            urls = [f"{origin.url}/echo?{name}.{turn}.{number}" for number in range(6)]
            if (name + turn) % 2:
                answers = client.all([client.defer.get(url) for url in urls])
            else:
                answers = [client.get(url) for url in urls[:2]]
            assert [f"{origin.url}{answer.data['target']}" for answer in answers] == urls[: len(answers)]

    options = {"maxConnections": 4, "connectionLifetime": 0.05}
    with SyncAtomHTTP(http2="only", timeout=PATIENCE, **options) as client, ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_an_answer_to_content_that_never_left_takes_no_stream_away(kind: str) -> None:
    """The server answers without reading (its window is 0) and takes one stream: nghttp2 would count that for ever."""
    settings = greet({INITIAL_WINDOW_SIZE: 0, MAX_CONCURRENT_STREAMS: 1})
    early = [expect_request(whole=False), respond(200, body=b"2"), expect_rst(code=Code.NO_ERROR)]
    script = [settings, expect_request(), respond(200, body=b"1"), *early, expect_request(), respond(200, body=b"3")]
    with Http2Peer([*script, read_on()]) as peer:
        async with opened(kind, maxConnections=1) as client:
            assert (await wait(client.get(peer.url))).data == 1
            assert (await wait(client.post(peer.url, b"x" * 1_000))).data == 2
            assert (await wait(client.get(peer.url))).data == 3
