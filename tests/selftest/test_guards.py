"""The guards: a test that leaks, or that reaches outside, does not pass."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
import threading
import types
from collections.abc import Iterator

import pytest

from support import leaks, network
from support.async_tests import loop_factory, run_test
from support.leaks import Snapshot
from support.server import PATIENCE


@pytest.fixture
def before() -> Snapshot:
    return Snapshot.take()


def test_nothing_left_is_nothing_found(before: Snapshot) -> None:
    for end in socket.socketpair():
        end.close()
    assert before.leaks() == []


def test_descriptors(before: Snapshot) -> None:
    left, right = socket.socketpair()
    poller = select.epoll()
    wakeup = os.eventfd(0)
    found = before.leaks()
    left.close()
    right.close()
    poller.close()
    os.close(wakeup)
    assert [line.split(":")[0].split()[-1] for line in found] == ["socket", "socket", "anon_inode", "anon_inode"]
    assert before.leaks() == []


def test_owned_descriptors_are_no_leak(before: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "_owned", set())
    with socket.socket() as listener:
        leaks.own(listener.fileno())
        assert before.leaks() == []


def test_threads(before: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "GRACE", 0.01)
    stop = threading.Event()
    threads = [
        threading.Thread(target=stop.wait, name="forgotten"),
        threading.Thread(target=stop.wait, name="atomhttp-blocking-1", daemon=True),
    ]
    for thread in threads:
        thread.start()
    found = before.leaks()
    stop.set()
    for thread in threads:
        thread.join()
    assert found == ["thread forgotten"]


def test_tasks_of_an_abandoned_loop(before: Snapshot) -> None:
    async def forget() -> asyncio.Task[None]:
        return asyncio.create_task(asyncio.sleep(60), name="forgotten")

    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(forget())
    found = [line for line in before.leaks() if line.startswith("task")]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    assert len(found) == 1
    assert "name='forgotten'" in found[0]
    assert before.leaks() == []


def test_reactors(before: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = types.SimpleNamespace(handler_count=1, timer_count=2)
    idle = types.SimpleNamespace(handler_count=0, timer_count=0)
    module = types.SimpleNamespace(live_reactors=lambda: [busy, idle])
    monkeypatch.setitem(sys.modules, "atomhttp._net.live", module)  # type: ignore[arg-type]  # a stand-in with all that is asked of it
    assert [line.rpartition(":")[2] for line in before.leaks()] == [" 1 handlers, 2 timers"]


# The end of an asynchronous test


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_forgotten_tasks_fail(kind: str) -> None:
    async def forget() -> None:
        forget.task = asyncio.create_task(asyncio.sleep(60))  # type: ignore[attr-defined]

    with pytest.raises(AssertionError, match="left behind on the event loop:\n<Task pending"):
        run_test(forget(), loop_factory(kind))


def test_armed_timers_fail() -> None:
    async def arm() -> None:
        asyncio.get_running_loop().call_later(60, print)

    with pytest.raises(AssertionError, match="left behind on the event loop:\n<TimerHandle"):
        run_test(arm(), loop_factory("asyncio"))


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_errors_that_nobody_saw_fail(kind: str) -> None:
    async def in_a_callback() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)

    async def in_a_task() -> None:
        async def broken() -> None:
            raise KeyError("lost")

        await asyncio.wait([asyncio.ensure_future(broken())])

    for test, message in ((in_a_callback(), "ZeroDivisionError"), (in_a_task(), "KeyError")):
        with pytest.raises(AssertionError, match=message):
            run_test(test, loop_factory(kind))


async def test_async_tests_run_without_a_plugin(loop_kind: str) -> None:
    assert type(asyncio.get_running_loop()).__module__.startswith(loop_kind)


# The outside network


@pytest.fixture
def attempts() -> Iterator[list[str]]:
    """What was refused; forgotten again, since these tests mean it."""
    yield network.attempts
    network.attempts.clear()


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80), ("::ffff:192.0.2.1", 80)])
def test_connect_to_the_outside_is_refused(attempts: list[str], address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as client, pytest.raises(network.OutsideNetworkError):
        client.connect(address)
    assert attempts == [f"socket.connect {address[0]!r}"]


def test_lookups_of_the_outside_are_refused(attempts: list[str]) -> None:
    with pytest.raises(network.OutsideNetworkError):
        socket.getaddrinfo("example.com", 80)
    with pytest.raises(network.OutsideNetworkError):
        socket.create_connection(("example.com", 80), PATIENCE)
    assert len(attempts) == 2


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.8.0.1", True),
        ("::1", True),
        ("::1%lo", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True),
        ("localhost", True),
        ("Localhost.", True),
        ("name.test", True),
        (b"localhost", True),
        (None, True),
        ("10.0.0.1", False),
        ("test", False),
        ("localhost.example.com", False),
        (b"example.com", False),
    ],
)
def test_what_is_local(host: object, local: bool) -> None:
    assert network.is_local(host) is local


def test_the_environment_is_scrubbed() -> None:
    assert not {"HTTP_PROXY", "https_proxy", "SSL_CERT_FILE", "NO_PROXY"} & set(os.environ)
