"""Names to addresses, and addresses to a connection: lookups off the loop, and the race of RFC 8305."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from atomhttp import AtomHTTP, AtomHTTPNetworkError, AtomHTTPTimeoutError, SyncAtomHTTP, Timeout
from atomhttp._net import resolve, threads
from atomhttp._net.drivers import aio
from atomhttp._net.race import ATTEMPT_DELAY, interleave
from support.clock import VirtualClockLoop
from support.origin import Origin
from support.server import PATIENCE, silent_address


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


class Names:
    """What `*.test` names lead to: (address, port) pairs, an exception, or nothing until `release`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.table: dict[str, Any] = {}
        self.asked: list[str] = []
        self.threads: list[str] = []
        self.release = threading.Event()
        self._system = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if not str(host).endswith(".test"):
            return self._system(host, port, *rest, **more)
        self.asked.append(host)
        self.threads.append(threading.current_thread().name)
        found = self.table.get(host)
        if found == "hangs":
            self.release.wait(PATIENCE)
            found = self.table["answer"]
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if isinstance(found, BaseException):
            raise found
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, number, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, number))
            for address, number in found
        ]


def closed_port(host: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


IPV6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


# The race


def test_families_alternate_and_the_systems_first_choice_stays_first() -> None:
    four, six = socket.AF_INET, socket.AF_INET6
    mixed = interleave([(six, "a"), (six, "b"), (six, "c"), (four, "d"), (four, "e")])
    assert [address for _, address in mixed] == ["a", "d", "b", "e", "c"]
    assert [address for _, address in interleave([(four, "x"), (four, "y")])] == ["x", "y"]


@IPV6
async def test_a_black_hole_costs_250_ms(virtual_clock: VirtualClockLoop, names: Names, origin: Origin) -> None:
    with silent_address("::1") as (host, port):
        names.table["dual.test"] = [(host, port), ("127.0.0.1", origin.port)]
        async with AtomHTTP() as client:
            response = await client.get("http://dual.test/bytes/1")
        assert response.ok
        assert ATTEMPT_DELAY == 0.25
        assert 0.25 <= virtual_clock.time() <= 0.25 + 2 / 32
        assert response.timings.connect >= 0.25


async def test_many_black_holes_are_tried_in_turn(
    virtual_clock: VirtualClockLoop, names: Names, origin: Origin
) -> None:
    with contextlib.ExitStack() as stack:
        holes = [stack.enter_context(silent_address()) for _ in range(3)]
        names.table["four.test"] = [*holes, ("127.0.0.1", origin.port)]
        async with AtomHTTP() as client:
            assert (await client.get("http://four.test/bytes/1")).ok
            assert 0.75 <= virtual_clock.time() <= 0.75 + 4 / 32
            # The losers are closed with the race, not with the client.
            assert aio.current().reactor.handler_count == 1


@IPV6
async def test_a_refusal_moves_on_at_once(virtual_clock: VirtualClockLoop, names: Names, origin: Origin) -> None:
    names.table["dual.test"] = [("::1", closed_port("::1")), ("127.0.0.1", origin.port)]
    async with AtomHTTP() as client:
        assert (await client.get("http://dual.test/bytes/1")).ok
    assert virtual_clock.time() == 0


async def test_the_first_may_still_win_after_the_second_has_begun(
    virtual_clock: VirtualClockLoop, names: Names, origin: Origin
) -> None:
    """A refusal of the second does not end the first, and the error, if all fail, is the first one's."""
    with silent_address() as hole:
        names.table["slow.test"] = [hole, ("127.0.0.1", closed_port())]
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                await client.get("http://slow.test/", timeout=Timeout(connect=2))
    assert caught.value.phase == "connect"
    assert caught.value.limit == 2
    assert 2 <= virtual_clock.time() <= 2.1


async def test_all_refused_names_them_all(names: Names) -> None:
    ports = [closed_port(), closed_port()]
    names.table["gone.test"] = [("127.0.0.1", port) for port in ports]
    async with AtomHTTP() as client:
        with pytest.raises(AtomHTTPNetworkError) as caught:
            await client.get("http://gone.test/")
        assert caught.value.code == "ECONNREFUSED"
        assert caught.value.request_sent == "no"
        assert all(f"127.0.0.1:{port}" in str(caught.value) for port in ports)
        assert isinstance(caught.value.__cause__, OSError)
        assert client._adapter.pools[0].open_count == 0


async def test_thousands_of_refusals_leave_nothing(names: Names) -> None:
    port = closed_port()
    async with AtomHTTP() as client:
        for _ in range(20):
            results = await asyncio.gather(
                *(client.get(f"http://127.0.0.1:{port}/") for _ in range(100)), return_exceptions=True
            )
            assert {getattr(each, "code", None) for each in results} == {"ECONNREFUSED"}
        pool = client._adapter.pools[0]
        assert (pool.open_count, len(pool._buckets)) == (0, 0)
        assert aio.current().reactor.handler_count == 0


# Unix sockets


async def test_a_unix_listener_whose_queue_is_full_is_tried_again(
    virtual_clock: VirtualClockLoop, tmp_path: Path
) -> None:
    """connect() says EAGAIN there, and nothing ever reports that there is room again."""
    path = str(tmp_path / "s")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(0)
        filler = stack.enter_context(socket.socket(socket.AF_UNIX))
        filler.connect(path)

        async with AtomHTTP(socket_path=path) as client:
            task = asyncio.create_task(client.get("http://localhost/"))
            await asyncio.sleep(1)
            assert not task.done()
            listener.accept()[0].close()
            await asyncio.sleep(0.2)
            connection = stack.enter_context(listener.accept()[0])
            assert connection.recv(3) == b"GET"
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            assert (await task).text == "ok"


async def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    async with AtomHTTP(socket_path=str(tmp_path / "nothing")) as client:
        with pytest.raises(AtomHTTPNetworkError) as caught:
            await client.get("http://localhost/")
        assert caught.value.code == "ENOENT"
        assert "nothing" in str(caught.value)


# Lookups


async def test_lookups_run_on_threads_of_ours(names: Names, origin: Origin) -> None:
    names.table["here.test"] = [("127.0.0.1", origin.port)]
    async with AtomHTTP() as client:
        assert (await client.get("http://here.test/bytes/1")).ok
    assert names.threads[0].startswith("atomhttp-blocking-")
    assert all(each.daemon for each in threading.enumerate() if each.name.startswith("atomhttp-"))


async def test_the_loop_runs_on_during_a_lookup(loop_kind: str, names: Names, origin: Origin) -> None:
    names.table["slow.test"] = "hangs"
    names.table["answer"] = [("127.0.0.1", origin.port)]
    async with AtomHTTP() as client:
        task = asyncio.create_task(client.get("http://slow.test/bytes/1"))
        while not names.asked:
            await asyncio.sleep(0.001)
        assert (await client.get(origin.url + "/bytes/1")).ok
        assert not task.done()
        names.release.set()
        assert (await task).ok


async def test_equal_lookups_in_flight_are_one(names: Names, origin: Origin) -> None:
    names.table["slow.test"] = "hangs"
    names.table["answer"] = [("127.0.0.1", origin.port)]
    async with AtomHTTP() as client:
        tasks = [asyncio.create_task(client.get("http://slow.test/bytes/1")) for _ in range(10)]
        while not names.asked:
            await asyncio.sleep(0.001)
        tasks[0].cancel()  # who leaves does not end it for the others
        names.release.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert all(getattr(each, "status", None) == 200 for each in results[1:])
    assert names.asked == ["slow.test"]
    assert not resolve._in_flight


def test_lookups_are_joined_across_threads(names: Names, origin: Origin) -> None:
    names.table["slow.test"] = "hangs"
    names.table["answer"] = [("127.0.0.1", origin.port)]
    seen: list[int] = []
    with SyncAtomHTTP() as client:

        def get() -> None:
            seen.append(client.get("http://slow.test/bytes/1").status)

        workers = [threading.Thread(target=get) for _ in range(4)]
        for each in workers:
            each.start()
        while not resolve._in_flight or len(next(iter(resolve._in_flight.values()))) < 4:
            threading.Event().wait(0.001)
        names.release.set()
        for each in workers:
            each.join(PATIENCE)
    assert seen == [200] * 4
    assert names.asked == ["slow.test"]


async def test_addresses_are_never_looked_up(monkeypatch: pytest.MonkeyPatch, origin: Origin) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("looked up")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    async with AtomHTTP() as client:
        assert (await client.get(f"http://127.0.0.1:{origin.port}/bytes/1")).ok
        # Spellings that the URL parser turns into the same address.
        assert (await client.get(f"http://127.1:{origin.port}/bytes/1")).ok
        assert (await client.get(f"http://0x7f000001:{origin.port}/bytes/1")).ok
    assert origin.connections == 1


@IPV6
async def test_an_ipv6_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    with Origin(host="::1") as origin:
        async with AtomHTTP() as client:
            response = await client.get(origin.url + "/echo")
        assert ["Host", f"[::1]:{origin.port}"] in response.data["headers"]


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "ENOTFOUND"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "EAI_AGAIN"),
        (UnicodeError("label too long"), "ENOTFOUND"),
    ],
    ids=["unknown", "again", "not a name"],
)
async def test_names_that_lead_nowhere(names: Names, problem: BaseException, code: str) -> None:
    names.table["bad.test"] = problem
    async with AtomHTTP() as client:
        with pytest.raises(AtomHTTPNetworkError) as caught:
            await client.get("http://bad.test/")
        assert caught.value.code == code
        assert "bad.test" in str(caught.value)
        assert caught.value.request_sent == "no"
        assert client._adapter.pools[0].open_count == 0
        assert aio.current().reactor.handler_count == 0


async def test_a_lookup_that_hangs_runs_into_the_limit(
    virtual_clock: VirtualClockLoop, names: Names, origin: Origin
) -> None:
    names.table["slow.test"] = "hangs"
    names.table["answer"] = [("127.0.0.1", origin.port)]
    async with AtomHTTP() as client:
        with pytest.raises(AtomHTTPTimeoutError) as caught:
            await client.get("http://slow.test/", timeout=Timeout(connect=5))
        assert caught.value.phase == "dns"
        assert 5 <= virtual_clock.time() <= 5.1
        assert client._adapter.pools[0].open_count == 0
        names.release.set()
        async with asyncio.timeout(PATIENCE):
            while aio.current().reactor.handler_count:
                await asyncio.sleep(0.001)


def test_a_hung_lookup_does_not_hold_the_exit() -> None:
    program = """
        import asyncio, socket, time
        from atomhttp import AtomHTTP, AtomHTTPTimeoutError, SyncAtomHTTP
        socket.getaddrinfo = lambda *_, **__: time.sleep(60)
        async def main():
            try:
                await AtomHTTP(timeout=0.05).get("http://slow.test/")
            except AtomHTTPTimeoutError:
                print("timed out")
        asyncio.run(main())
        try:
            SyncAtomHTTP(timeout=0.05).get("http://slower.test/")
        except AtomHTTPTimeoutError:
            print("timed out")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={"PYTHONPATH": ":".join(each for each in sys.path if each)},
        timeout=20,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "timed out\n" * 2, done.stderr
    assert done.returncode == 0, done.stderr


async def test_blocking_work_has_threads_enough_and_not_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_threads", threads._Threads())
    driver = aio.current()
    go = threading.Event()
    running = threading.Semaphore(0)

    def work(number: int) -> int:
        running.release()
        go.wait(PATIENCE)
        return number

    tasks = [asyncio.create_task(driver.run_blocking(work, number)) for number in range(50)]
    for _ in range(threads.MAX_THREADS):
        while not running.acquire(blocking=False):
            await asyncio.sleep(0.001)
    assert not running.acquire(blocking=False)
    go.set()
    assert await asyncio.gather(*tasks) == list(range(50))
    assert driver.reactor.handler_count == 0


async def test_what_blocking_work_raises_reaches_its_caller() -> None:
    def fail() -> None:
        raise LookupError("in the thread")

    with pytest.raises(LookupError, match="in the thread"):
        await aio.current().run_blocking(fail)
