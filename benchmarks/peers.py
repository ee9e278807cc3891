"""One small adapter a client: how each of them is set up, asked and closed.

Every client is used as its own documentation shows it, with its own JSON, and told only what the row needs:
whom to trust, which socket, and that so many requests may be in flight. A client is imported when its adapter
is set up, so that a process holds nobody else's code or threads.
"""

import ssl
from collections.abc import Callable
from typing import Any, Protocol

from benchmarks.origin import Target

Reply = tuple[int, Any]
Sink = Callable[[Any], object]


class UnsupportedError(Exception):
    """The client cannot do what the row asks for."""


class AsyncPeer(Protocol):
    async def setup(self, target: Target, in_flight: int) -> None: ...
    async def get(self, url: str) -> Reply: ...
    async def post(self, url: str, value: Any) -> Reply: ...
    async def stream(self, url: str, sink: Sink) -> int: ...
    async def blob(self, url: str) -> Reply: ...
    async def close(self) -> None: ...


class SyncPeer(Protocol):
    def setup(self, target: Target) -> None: ...
    def get(self, url: str) -> Reply: ...
    def close(self) -> None: ...


def trust(target: Target) -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=target.ca) if target.ca else None


def without_unix(target: Target) -> Target:
    if target.unix:
        raise UnsupportedError
    return target


# atomhttp


def atomhttp_options(target: Target) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if target.ca:
        options["verify"] = target.ca
    if target.unix:
        options["socketPath"] = target.unix
    return options


class AtomHTTPPeer:
    async def setup(self, target: Target, in_flight: int) -> None:
        from atomhttp import AtomHTTP

        self.client = AtomHTTP(maxConnections=max(100, in_flight), **atomhttp_options(target))

    async def get(self, url: str) -> Reply:
        response = await self.client.get(url)
        return response.status, response.data

    async def post(self, url: str, value: Any) -> Reply:
        response = await self.client.post(url, data=value)
        return response.status, response.data

    async def stream(self, url: str, sink: Sink) -> int:
        response = await self.client.get(url, response_type="stream")
        async for chunk in response.data:
            sink(chunk)
        return int(response.status)

    async def blob(self, url: str) -> Reply:
        response = await self.client.get(url, response_type="blob")
        return response.status, response.data

    async def close(self) -> None:
        await self.client.close()


class SyncAtomHTTPPeer:
    def setup(self, target: Target) -> None:
        from atomhttp import SyncAtomHTTP

        self.client = SyncAtomHTTP(**atomhttp_options(target))

    def get(self, url: str) -> Reply:
        response = self.client.get(url)
        return response.status, response.data

    def close(self) -> None:
        self.client.close()


# The yardstick


class BarePeer:
    """Requests are bytes made once, which is the point: it shows the engine alone."""

    async def setup(self, target: Target, in_flight: int) -> None:
        from msgspec import json

        from benchmarks.bare import AsyncClient, build_request

        self.client = AsyncClient(target.unix or (target.host, target.port), trust(target))
        self.json = json
        self.target = target
        self.build_request = build_request
        self.requests: dict[str, bytes] = {}

    def request(self, url: str) -> bytes:
        request = self.requests.get(url)
        if request is None:
            path = url.removeprefix(self.target.origin)
            request = self.requests[url] = self.build_request("GET", self.target.host, path)
        return request

    async def get(self, url: str) -> Reply:
        status, body = await self.client.exchange(self.request(url))
        return status, self.json.decode(body)

    async def post(self, url: str, value: Any) -> Reply:
        path = url.removeprefix(self.target.origin)
        request = self.build_request("POST", self.target.host, path, self.json.encode(value))
        status, body = await self.client.exchange(request)
        return status, self.json.decode(body)

    async def stream(self, url: str, sink: Sink) -> int:
        return await self.client.drain(self.request(url), sink)

    async def blob(self, url: str) -> Reply:
        return await self.client.exchange(self.request(url))

    async def close(self) -> None:
        self.client.close()


class SyncBarePeer:
    def setup(self, target: Target) -> None:
        from msgspec import json

        from benchmarks.bare import SyncClient, build_request

        self.client = SyncClient((target.host, target.port), trust(target))
        self.decode = json.decode
        self.request = build_request("GET", target.host, "/json")

    def get(self, url: str) -> Reply:
        status, body = self.client.run(self.client.exchange(self.request))
        return status, self.decode(body)

    def close(self) -> None:
        self.client.close()


# wreq


def wreq_options(target: Target) -> dict[str, Any]:
    from pathlib import Path

    from wreq import Proxy

    options: dict[str, Any] = {}
    if target.ca:
        options["tls_verify"] = Path(target.ca)
    if target.unix:
        options["proxies"] = [Proxy.unix(target.unix)]
    return options


class WreqPeer:
    async def setup(self, target: Target, in_flight: int) -> None:
        from wreq import Client

        self.client = Client(**wreq_options(target))

    async def get(self, url: str) -> Reply:
        response = await self.client.get(url)
        return response.status.as_int(), await response.json()

    async def post(self, url: str, value: Any) -> Reply:
        # Its JSON encoder takes most of the time here (6 ms for 10 KB, in 0.13); bytes it sends as fast as any.
        response = await self.client.post(url, json=value)
        return response.status.as_int(), await response.json()

    async def stream(self, url: str, sink: Sink) -> int:
        response = await self.client.get(url)
        async with response.stream() as chunks:
            async for chunk in chunks:
                sink(chunk)
        return int(response.status.as_int())

    async def blob(self, url: str) -> Reply:
        response = await self.client.get(url)
        return response.status.as_int(), await response.bytes()

    async def close(self) -> None:
        self.client.close()


class SyncWreqPeer:
    def setup(self, target: Target) -> None:
        from wreq.blocking import Client

        self.client = Client(**wreq_options(target))

    def get(self, url: str) -> Reply:
        response = self.client.get(url)
        return response.status.as_int(), response.json()

    def close(self) -> None:
        self.client.close()


# pyreqwest


def pyreqwest_client(builder: Any, target: Target) -> Any:
    from pathlib import Path

    if without_unix(target).ca:
        builder = builder.add_root_certificate_pem(Path(target.ca or "").read_bytes())
    return builder.build()


class PyreqwestPeer:
    async def setup(self, target: Target, in_flight: int) -> None:
        from pyreqwest.client import ClientBuilder

        self.client = pyreqwest_client(ClientBuilder(), target)

    async def get(self, url: str) -> Reply:
        response = await self.client.get(url).build().send()
        return response.status, await response.json()

    async def post(self, url: str, value: Any) -> Reply:
        response = await self.client.post(url).body_json(value).build().send()
        return response.status, await response.json()

    async def stream(self, url: str, sink: Sink) -> int:
        async with self.client.get(url).build_streamed() as response:
            while (chunk := await response.body_reader.read_chunk()) is not None:
                sink(chunk)
            return int(response.status)

    async def blob(self, url: str) -> Reply:
        response = await self.client.get(url).build().send()
        return response.status, await response.bytes()

    async def close(self) -> None:
        await self.client.close()


class SyncPyreqwestPeer:
    def setup(self, target: Target) -> None:
        from pyreqwest.client import SyncClientBuilder

        self.client = pyreqwest_client(SyncClientBuilder(), target)

    def get(self, url: str) -> Reply:
        response = self.client.get(url).build().send()
        return response.status, response.json()

    def close(self) -> None:
        self.client.close()


# aiohttp


class AiohttpPeer:
    async def setup(self, target: Target, in_flight: int) -> None:
        from aiohttp import BaseConnector, ClientSession, TCPConnector, UnixConnector

        connector: BaseConnector
        if target.unix:
            connector = UnixConnector(target.unix, limit=0)
        else:
            connector = TCPConnector(limit=0, ssl=trust(target) or True)
        self.client = ClientSession(connector=connector)

    async def get(self, url: str) -> Reply:
        async with self.client.get(url) as response:
            return response.status, await response.json()

    async def post(self, url: str, value: Any) -> Reply:
        async with self.client.post(url, json=value) as response:
            return response.status, await response.json()

    async def stream(self, url: str, sink: Sink) -> int:
        async with self.client.get(url) as response:
            async for chunk in response.content.iter_any():
                sink(chunk)
            return response.status

    async def blob(self, url: str) -> Reply:
        async with self.client.get(url) as response:
            return response.status, await response.read()

    async def close(self) -> None:
        await self.client.close()


# httpx2


class Httpx2Peer:
    async def setup(self, target: Target, in_flight: int) -> None:
        from httpx2 import AsyncClient, AsyncHTTPTransport, Limits

        limits = Limits(max_connections=None, max_keepalive_connections=None)
        transport = AsyncHTTPTransport(verify=trust(target) or True, limits=limits, uds=target.unix)
        self.client = AsyncClient(transport=transport)

    async def get(self, url: str) -> Reply:
        response = await self.client.get(url)
        return response.status_code, response.json()

    async def post(self, url: str, value: Any) -> Reply:
        response = await self.client.post(url, json=value)
        return response.status_code, response.json()

    async def stream(self, url: str, sink: Sink) -> int:
        async with self.client.stream("GET", url) as response:
            async for chunk in response.aiter_bytes():
                sink(chunk)
            return int(response.status_code)

    async def blob(self, url: str) -> Reply:
        response = await self.client.get(url)
        return response.status_code, response.content

    async def close(self) -> None:
        await self.client.aclose()


class SyncHttpx2Peer:
    def setup(self, target: Target) -> None:
        from httpx2 import Client

        self.client = Client(verify=trust(target) or True)

    def get(self, url: str) -> Reply:
        response = self.client.get(url)
        return response.status_code, response.json()

    def close(self) -> None:
        self.client.close()


# requests and urllib3 (synchronous only)


class RequestsPeer:
    def setup(self, target: Target) -> None:
        from requests import Session

        self.client = Session()
        self.client.verify = target.ca or True

    def get(self, url: str) -> Reply:
        response = self.client.get(url)
        return response.status_code, response.json()

    def close(self) -> None:
        self.client.close()


class Urllib3Peer:
    def setup(self, target: Target) -> None:
        from urllib3 import PoolManager

        self.client = PoolManager(ca_certs=target.ca)

    def get(self, url: str) -> Reply:
        response = self.client.request("GET", url)
        return response.status, response.json()

    def close(self) -> None:
        self.client.clear()


PRODUCT = "atomhttp"
YARDSTICK = "bare"

ASYNC_PEERS: dict[str, type[AsyncPeer]] = {
    PRODUCT: AtomHTTPPeer,
    YARDSTICK: BarePeer,
    "wreq": WreqPeer,
    "pyreqwest": PyreqwestPeer,
    "aiohttp": AiohttpPeer,
    "httpx2": Httpx2Peer,
}

SYNC_PEERS: dict[str, type[SyncPeer]] = {
    PRODUCT: SyncAtomHTTPPeer,
    YARDSTICK: SyncBarePeer,
    "wreq": SyncWreqPeer,
    "pyreqwest": SyncPyreqwestPeer,
    "httpx2": SyncHttpx2Peer,
    "urllib3": Urllib3Peer,
    "requests": RequestsPeer,
}
