"""The virtual clock: it jumps when nothing happens, and stands still for real I/O."""

from __future__ import annotations

import asyncio
import importlib.machinery
import sys
import time
import types

import pytest

from support import clock
from support.clock import VirtualClockLoop, engine_clock, run_virtual
from support.origin import Origin


async def test_an_hour_takes_no_time(virtual_clock: VirtualClockLoop) -> None:
    started = time.monotonic()
    await asyncio.sleep(3600)
    assert virtual_clock.time() == pytest.approx(3600)
    assert time.monotonic() - started < 60


async def test_timers_fire_in_order_and_on_time(virtual_clock: VirtualClockLoop) -> None:
    fired: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        fired.append((name, virtual_clock.time()))

    await asyncio.gather(sleeper("c", 30), sleeper("a", 0.5), sleeper("b", 7))
    assert fired == [("a", pytest.approx(0.5)), ("b", pytest.approx(7)), ("c", pytest.approx(30))]


async def test_real_io_comes_before_the_jump(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(origin.host, origin.port)
        for _ in range(20):
            writer.write(b"GET /bytes/8 HTTP/1.1\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(8)
        writer.close()
        await writer.wait_closed()
    assert virtual_clock.time() == 0


async def test_a_silent_server_runs_into_the_deadline(virtual_clock: VirtualClockLoop, origin: Origin) -> None:
    reader, writer = await asyncio.open_connection(origin.host, origin.port)
    writer.write(b"GET /delay/60 HTTP/1.1\r\n\r\n")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 30)
    assert virtual_clock.time() == pytest.approx(30)
    writer.close()
    await writer.wait_closed()


async def test_threads_are_waited_for_in_real_time(virtual_clock: VirtualClockLoop) -> None:
    assert await asyncio.to_thread(lambda: "from a thread") == "from a thread"
    assert virtual_clock.time() == 0


def test_a_deadlock_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "PATIENCE", 0.01)

    async def wait_for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(TimeoutError, match="no timer is armed"):
        run_virtual(wait_for_ever())


def test_run_virtual_gives_the_result() -> None:
    async def sleep() -> float:
        await asyncio.sleep(2)
        return asyncio.get_running_loop().time()

    assert run_virtual(sleep()) == pytest.approx(2)


def test_the_engine_reads_the_virtual_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    class AsyncioDriver:
        clock = staticmethod(time.monotonic)

    module = types.SimpleNamespace(AsyncioDriver=AsyncioDriver)
    for name in ("atomhttp", "atomhttp._net", "atomhttp._net.drivers"):
        package = types.ModuleType(name)
        package.__spec__ = importlib.machinery.ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, package)
    monkeypatch.setitem(sys.modules, "atomhttp._net.drivers.aio", module)  # type: ignore[arg-type]
    loop = VirtualClockLoop()
    loop.jump(5)
    with engine_clock(loop):
        assert AsyncioDriver().clock() == 5
    assert AsyncioDriver().clock() > 5
    loop.close()
