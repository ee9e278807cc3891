"""A server of HTTP/2 that goes wrong behind each of its frames: what its calls come to, and how their client goes on.

Whatever it does, and wherever: a call ends with its whole answer or with an error of the right kind, in its time; and
the next one is served, by another connection if need be. By default a part of the kinds comes behind each frame, which
goes round; ``HOSTILE=full`` does everything everywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import pytest

from atomhttp import AtomHTTP, AtomHTTPError, AtomHTTPNetworkError, AtomHTTPProtocolError, AtomHTTPTimeoutError
from hostile.http2_suspension_peers import Break, http2_origin, middling
from hostile.http2_suspension_scenarios import HTTP2, SCENARIOS
from hostile.suspension_network import Network
from hostile.suspension_peers import expected
from hostile.suspension_scenarios import HOSTS, LARGE, stream
from hostile.suspensions import Stage, Theatre
from hostile.test_every_suspension import IS_FULL, SEED

TIMEOUT = 5.0
# What is left over for the events that come before and behind: each takes a millisecond.
SLACK = 0.5

LOST = (AtomHTTPNetworkError,)
# How a server goes wrong, and what a call may come to besides its answer. AtomHTTPTimeoutError is none of a network.
KINDS: dict[str, tuple[type[AtomHTTPError], ...]] = {
    "end": LOST,
    "reset": LOST,
    "half": LOST,
    "silence": (AtomHTTPTimeoutError,),
    # All that was begun is answered, and what comes later goes elsewhere.
    "goaway": (),
    "goaway, nothing done": LOST,
    "rst INTERNAL_ERROR": LOST,
    "rst REFUSED_STREAM": LOST,
    "rst NO_ERROR": LOST,
}
# Those that say that nothing was done: what had not been answered at all is sent again.
REPEATED = ("goaway", "goaway, nothing done", "rst REFUSED_STREAM")

Conversation = Callable[[Stage], Coroutine[Any, Any, None]]


async def get(stage: Stage) -> None:
    response = await stage.client.get(f"{HTTP2}/trailers/a", timeout=TIMEOUT)
    assert response.data == expected("GET", "/trailers/a")
    assert dict(response.trailers) == {"x-trailer": "yes"}


async def download(stage: Stage) -> None:
    assert await stream(stage, f"{HTTP2}/middling/a", timeout=TIMEOUT) == middling("GET /middling/a")


async def upload(stage: Stage) -> None:
    response = await stage.client.post(f"{HTTP2}/plain/a", bytes(LARGE), timeout=TIMEOUT)
    assert response.data == expected("POST", "/plain/a", LARGE)


async def together(stage: Stage) -> None:
    """Each by itself ends as it should; what comes out is the first error."""
    paths = ("/trailers/b", "/middling/b", "/plain/b")
    if stage.is_sync:
        starts = [stage.client.defer.get(HTTP2 + path, timeout=TIMEOUT, response_type="blob") for path in paths]
        results = stage.client.all(starts, return_exceptions=True)
    else:
        calls = [stage.client.get(HTTP2 + path, timeout=TIMEOUT, response_type="blob") for path in paths]
        results = await AtomHTTP.all(calls, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    for path, result in zip(paths, results, strict=True):
        if result not in errors:
            content = middling(f"GET {path}") if "middling" in path else expected("GET", path).encode()
            assert result.data == content
    assert len({id(error) for error in errors}) == len(errors), "two calls have one error"
    for error in errors:
        raise error


CONVERSATIONS: dict[str, Conversation] = {
    "GET": get,
    "download": download,
    "upload": upload,
    "together": together,
}


@pytest.fixture
def theatre() -> Iterator[Theatre]:
    with Theatre(Network, {"trust_env": False}) as running:
        yield running


def play(theatre: Theatre, conversation: Conversation, broken: Break, is_sync: bool) -> BaseException | None:
    """One conversation, judged, and what it came to; whether the client is as it should be is the theatre's to say."""
    outcomes: list[BaseException | None] = []

    async def act(stage: Stage) -> None:
        began = stage.network.now
        outcome: BaseException | None = None
        try:
            await stage.step(conversation(stage))
        except AtomHTTPError as error:
            outcome = error
            judge(error, broken.kind)
        outcomes.append(outcome)
        assert stage.network.now - began < TIMEOUT + SLACK
        # What it meets from here on is not the conversation's.
        broken.at = -1
        if broken.kind == "silence":
            # Nobody can tell a silent connection from one that has nothing to say: see below.
            for wire in stage.network.wires:
                wire.end()
        most = 2 if broken.kind in REPEATED else 1
        assert stage.network.requests.count("POST /plain/a") <= most, "it may have been done twice"

    names = {name: [address] for name, address in HOSTS.items()}
    theatre.build_network = lambda: Network(peers={("10.0.0.1", 81): http2_origin(broken=broken)}, names=names)
    try:
        theatre.count(replace(SCENARIOS["HTTP/2"], act=act), is_sync)
    except BaseException as error:
        error.add_note(f"{broken}, {outcomes}")
        raise
    return outcomes[0]


def judge(error: AtomHTTPError, kind: str) -> None:
    assert isinstance(error, KINDS[kind]), f"{kind} came out as {error!r}"
    assert error.code in type(error).codes
    assert error.request is not None
    if isinstance(error, AtomHTTPTimeoutError):
        assert error.elapsed == pytest.approx(TIMEOUT, abs=SLACK)


def breaks() -> Iterator[tuple[int, tuple[str, ...]]]:
    """Behind which frame, and what; without an end."""
    kinds = itertools.cycle(KINDS)
    for _ in range(SEED):
        next(kinds)
    for at in itertools.count():
        yield at, tuple(KINDS) if IS_FULL else tuple(itertools.islice(kinds, 4))


@pytest.mark.parametrize("is_sync", [False, True], ids=["asyncio", "sync"])
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_whatever_a_server_does_behind_each_frame(theatre: Theatre, name: str, is_sync: bool) -> None:
    ends: set[bool] = set()
    for at, kinds in breaks():
        played = [Break(kind, at) for kind in kinds]
        for broken in played:
            ends.add(play(theatre, CONVERSATIONS[name], broken, is_sync) is None)
        if not any(broken.met for broken in played):
            break
    # Each frame had its turn, and both ends were seen.
    assert at >= 5
    assert ends == {True, False}


@pytest.mark.parametrize(
    ("kind", "outcomes"),
    {
        "end": [AtomHTTPNetworkError, AtomHTTPProtocolError],
        "reset": [AtomHTTPNetworkError, AtomHTTPNetworkError],
        "half": [AtomHTTPNetworkError, AtomHTTPNetworkError],
        "silence": [AtomHTTPTimeoutError, AtomHTTPTimeoutError],
        "goaway": [None, None],
        "goaway, nothing done": [None, AtomHTTPNetworkError],
        "rst INTERNAL_ERROR": [None, AtomHTTPNetworkError],
        "rst REFUSED_STREAM": [None, AtomHTTPNetworkError],
        "rst NO_ERROR": [None, AtomHTTPNetworkError],
    }.items(),
)
def test_each_kind_comes_to_what_it_should(theatre: Theatre, kind: str, outcomes: list[type | None]) -> None:
    """Behind SETTINGS, when there is no stream yet, and behind the head of the answer."""
    found = [play(theatre, get, Break(kind, at), False) for at in (0, 2)]
    assert [error and type(error) for error in found] == outcomes


def test_who_comes_after_a_timeout_does_not_wait_for_the_same_dead_peer(theatre: Theatre) -> None:
    async def act(stage: Stage) -> None:
        with pytest.raises(AtomHTTPTimeoutError):
            await stage.step(stage.client.get(f"{HTTP2}/plain/a", timeout=TIMEOUT))

    names = {name: [address] for name, address in HOSTS.items()}

    def build_network() -> Network:
        return Network(peers={("10.0.0.1", 81): http2_origin(broken=Break("silence", 1))}, names=names)

    theatre.build_network = build_network
    # What it asks next has 30 seconds.
    theatre.count(replace(SCENARIOS["HTTP/2"], act=act))
