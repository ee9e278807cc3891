"""Logging, and contexts (contract: Logging, Client)."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
from typing import Any

import pytest

from atomhttp import AtomHTTPError
from contract.flavours import Api, collect
from support.origin import Origin

LOGGERS = (
    "atomhttp.request",
    "atomhttp.retry",
    "atomhttp.redirect",
    "atomhttp.pool",
    "atomhttp.connection",
    "atomhttp.tls",
)


def lines_of(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == name]


async def test_one_line_a_call_at_debug(client: Any, origin: Origin, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "atomhttp")
    await client.get(f"http://user:s3cret@127.0.0.1:{origin.port}/echo?token=s3cret&a=1")
    [line] = lines_of(caplog, "atomhttp.request")
    assert re.fullmatch(rf"GET {re.escape(origin.url)}/echo\?token=\[redacted\]&a=1 200 \(\d+\.\d ms.*\)", line), line


async def test_one_line_a_call_that_fails_at_debug(
    client: Any, origin: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "atomhttp")
    with pytest.raises(AtomHTTPError):
        await client.get(f"{origin.url}/status/500?token=s3cret", validateStatus=True)
    [line] = lines_of(caplog, "atomhttp.request")
    assert "500" in line
    assert "s3cret" not in caplog.text


async def test_nothing_is_logged_at_info(client: Any, origin: Origin, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "atomhttp")
    await client.get(f"{origin.url}/echo")
    with pytest.raises(AtomHTTPError):
        await client.get("http://127.0.0.1:1/")
    assert [record for record in caplog.records if record.name.startswith("atomhttp")] == []


async def test_only_the_named_loggers_are_used(client: Any, origin: Origin, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "atomhttp")
    response = await client.get(f"{origin.url}/chunked/5000", response_type="stream")
    await collect(response.data)
    await client.close()
    assert {record.name for record in caplog.records if record.name.startswith("atomhttp")} <= {*LOGGERS}


async def test_no_header_values_and_no_bodies_are_logged(
    client: Any, origin: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await client.post(f"{origin.url}/echo", "body-canary", headers={"X-Plain": "header-canary"})
    assert "canary" not in caplog.text


def test_there_is_a_null_handler() -> None:
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("atomhttp").handlers)


# Contexts

mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="none")


async def test_body_iterators_run_in_the_callers_task_and_context(api: Api, client: Any, origin: Origin) -> None:
    seen: list[Any] = []

    def where() -> Any:
        return (mark.get(), None if api.is_sync else asyncio.current_task())

    def plain() -> Any:
        seen.append(where())
        yield b"a"
        seen.append(where())

    async def asynchronous() -> Any:
        seen.append(where())
        mark.set("changed")
        yield b"a"
        seen.append(where())

    mark.set("caller")
    await client.post(f"{origin.url}/echo", plain())
    assert seen == [where()] * 2
    seen.clear()
    await client.post(f"{origin.url}/echo", asynchronous())
    # What it sets, its caller sees: it is the same context, and no copy.
    assert mark.get() == "changed"
    assert [task for _, task in seen] == [where()[1]] * 2


async def test_validators_encoders_and_decoders_run_in_the_callers_context(client: Any, origin: Origin) -> None:
    seen: list[str] = []

    def spy(result: Any) -> Any:
        def call(*_arguments: Any) -> Any:
            seen.append(mark.get())
            return result

        return call

    mark.set("caller")
    await client.post(
        f"{origin.url}/echo", {"a": 1}, jsonEncoder=spy(b"{}"), jsonDecoder=spy(1), validateStatus=spy(True)
    )
    assert seen == ["caller"] * 3


async def test_the_reactor_keeps_no_callers_context(origin: Origin, loop_kind: str) -> None:
    from atomhttp import AtomHTTP

    class Precious:
        pass

    import gc
    import weakref

    precious = Precious()
    reference = weakref.ref(precious)
    holder: contextvars.ContextVar[Any] = contextvars.ContextVar("holder")
    client = AtomHTTP()

    async def call(value: Any) -> None:
        holder.set(value)
        await client.get(f"{origin.url}/echo")

    task = asyncio.create_task(call(precious))
    await task
    del task, precious
    await asyncio.sleep(0)
    gc.collect()
    assert reference() is None
    await client.close()
