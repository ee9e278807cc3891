"""One test body for every way of using the client: under asyncio, under uvloop, synchronously, by HTTP/2, and without a
network.

A test is an `async def`. For the synchronous client nothing in it ever waits, so it is run by hand, without an event
loop: a body that needed one would fail. `wait`, `each` and `entered` bridge what cannot be spelt the same in both.

The flavour "mock" is asyncio with a MockAdapter in the network's place, which asks the test's origin for its answers in
process. Policies are in no adapter, so they hold there as well: that is what it shows.

The flavours "h2" and "h2-sync" are "asyncio" and "sync" with `http2="only"`. An origin that is spoken to in HTTP/1.1
fails their tests, so none of them can be about that unnoticed. Before each `Peer` stands a gateway from HTTP/2.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any

from atomhttp import AtomHTTP, SyncAtomHTTP
from atomhttp._net.drivers import aio
from contract.mocked import mock_of_origins
from support.async_tests import loop_factory, run_test
from support.http2_gateway import Http2Gateway
from support.origin import Origin

FLAVOURS = ("asyncio", "uvloop", "sync", "mock", "h2", "h2-sync")
HTTP2_FLAVOURS = ("h2", "h2-sync")
VERBS = (
    *("request", "get", "delete", "head", "options", "post", "put", "patch", "query"),
    *("download", "upload", "close"),
)


class AwaitableClient:
    """A SyncAtomHTTP whose verbs can be awaited, like AtomHTTP's; everything else is the client's own."""

    def __init__(self, real: SyncAtomHTTP) -> None:
        object.__setattr__(self, "real", real)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if name == "create":
            return lambda *arguments, **options: AwaitableClient(found(*arguments, **options))
        if name in ("aclose", *VERBS):
            return _awaitable(found)
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.real, name, value)


def _awaitable(verb: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*arguments: Any, **options: Any) -> Any:
        return verb(*arguments, **options)

    return call


class Api:
    """What a test asks for as `api`: clients of one flavour, closed when the test has ended."""

    def __init__(self, flavour: str) -> None:
        self.flavour = flavour
        self.is_sync = flavour in ("sync", "h2-sync")
        self.is_http2 = flavour in HTTP2_FLAVOURS
        self.client_class: Any = SyncAtomHTTP if self.is_sync else AtomHTTP
        self._clients: list[Any] = []

    def client(self, *arguments: Any, of: Any = None, **options: Any) -> Any:
        """A client with these options; `of`: a subclass (or another factory) to make it with."""
        if self.is_http2:
            options.setdefault("http2", "only")
        return self.keep((of or self.client_class)(*arguments, **options))

    def keep(self, made: Any) -> Any:
        """Have `made`, a client that the test built itself, closed at the end."""
        client = AwaitableClient(made) if isinstance(made, SyncAtomHTTP) else made
        self._clients.append(client)
        return client

    def iterator(self, items: Iterable[Any]) -> Any:
        """A one-shot body: an async generator, or a plain one for the synchronous client."""
        if self.is_sync:
            return (item for item in items)

        async def generate() -> AsyncIterator[Any]:
            for item in items:
                yield item

        return generate()

    def run(self, body: Coroutine[Any, Any, None]) -> None:
        """Run a test's coroutine in this flavour's way."""
        with contextlib.ExitStack() as stack:
            if self.is_http2:
                stack.enter_context(Origin.require_http2())
                stack.enter_context(Http2Gateway.before_every_peer(*(() if self.is_sync else (_flush,))))
            elif self.flavour == "mock":
                stack.enter_context(mock_of_origins().intercept())
            if self.is_sync:
                run_by_hand(self._closing(body))
            else:
                run_test(self._closing(body), loop_factory("uvloop" if self.flavour == "uvloop" else "asyncio"))

    async def _closing(self, body: Coroutine[Any, Any, None]) -> None:
        try:
            await body
        finally:
            while self._clients:
                await self._clients.pop().close()


def _flush() -> None:
    aio.current().reactor.flush()


def run_by_hand(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never has to wait."""
    try:
        waited_for = coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise AssertionError(f"the synchronous client made its caller wait for {waited_for!r}")


async def wait(value: Any) -> Any:
    """The value, awaited where it has to be: `await wait(stream.read(5))`."""
    return await value if inspect.isawaitable(value) else value


async def each(items: Any) -> AsyncIterator[Any]:
    """Iterates over what is an iterator here and an async iterator there."""
    if hasattr(items, "__aiter__"):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


async def collect(items: Any) -> list[Any]:
    """All of `each`."""
    return [item async for item in each(items)]


@contextlib.asynccontextmanager
async def entered(manager: Any, api: Api) -> AsyncIterator[Any]:
    """`with manager` for the synchronous client, `async with manager` for the other."""
    if api.is_sync:
        with getattr(manager, "real", manager) as value:
            yield value
    else:
        async with manager as value:
            yield value


async def close(stream: Any) -> None:
    """`stream.close()` here, `await stream.aclose()` there."""
    await wait(stream.close() if hasattr(stream, "close") else stream.aclose())
