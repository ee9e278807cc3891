"""The yardstick. Requests are bytes made once, which is the point: it shows the engine alone."""

import asyncio
import zlib
from typing import Any
from urllib.parse import urlsplit

from benchmarks.origin import Target
from benchmarks.peers.contract import AsyncPeer, Reply, Sink, SyncPeer, UnsupportedError, trust


class BarePeer(AsyncPeer):
    async def setup(self, target: Target, connections: int) -> None:
        from msgspec import json

        from benchmarks.bare import AsyncClient, Client, build_request

        self.json = json
        self.build_request: Any = build_request
        self.context = trust(target)
        self.client: Any
        if target.http2:
            from benchmarks.bare_http2 import Http2Client, build_fields

            self.client = Http2Client((target.host, target.port), self.context)
            self.build_request = build_fields
        else:
            self.client = AsyncClient(target.unix or (target.host, target.port), self.context)
        self.create_client = Client
        self.clients: dict[str, Any] = {target.origin: self.client}
        self.requests: dict[str, tuple[Any, Any]] = {}

    def prepare(self, url: str) -> Any:
        """The client of the URL's origin, and the request."""
        prepared = self.requests.get(url)
        if prepared is None:
            client, host, path = self.locate(url)
            prepared = self.requests[url] = client, self.build_request("GET", host, path)
        return prepared

    def locate(self, url: str) -> Any:
        parts = urlsplit(url)
        if parts.path == "/close":
            # It keeps every connection, and takes it for an error when one ends.
            raise UnsupportedError
        host, origin = parts.hostname or "", f"{parts.scheme}://{parts.netloc}"
        client = self.clients.get(origin)
        if client is None:
            create_waiter = asyncio.get_running_loop().create_future
            client = self.create_client(self.client.reactor, create_waiter, (host, parts.port or 80), self.context)
            self.clients[origin] = client
        return client, host, parts.path

    async def get(self, url: str) -> Reply:
        client, request = self.prepare(url)
        status, body = await client.exchange(request)
        if url.endswith("-gzip"):
            body = zlib.decompress(body, 31)
        return status, self.json.decode(body)

    async def post(self, url: str, value: Any) -> Reply:
        client, host, path = self.locate(url)
        status, body = await client.exchange(self.build_request("POST", host, path, self.json.encode(value)))
        return status, self.json.decode(body)

    async def stream(self, url: str, sink: Sink) -> int:
        client, request = self.prepare(url)
        return int(await client.drain(request, sink))

    async def blob(self, url: str) -> Reply:
        client, request = self.prepare(url)
        status, body = await client.exchange(request)
        return status, body

    async def close(self) -> None:
        for client in self.clients.values():
            if client is not self.client:
                client.close()
        self.client.close()


class SyncBarePeer(SyncPeer):
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
