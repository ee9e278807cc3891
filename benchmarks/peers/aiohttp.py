"""aiohttp."""

from typing import Any

from benchmarks.origin import Target
from benchmarks.peers.contract import AsyncPeer, Reply, Sink, trust, without_http2


class AiohttpPeer(AsyncPeer):
    async def setup(self, target: Target, connections: int) -> None:
        from aiohttp import BaseConnector, ClientSession, TCPConnector, UnixConnector

        connector: BaseConnector
        if without_http2(target).unix:
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

    async def form(self, url: str, title: str, content: bytes) -> Reply:
        from aiohttp import FormData

        form = FormData()
        form.add_field("title", title)
        form.add_field("file", content, filename="file.bin")
        async with self.client.post(url, data=form) as response:
            return response.status, await response.json()

    async def upload(self, url: str, path: str) -> Reply:
        with open(path, "rb") as file:  # noqa: ASYNC230  # as its documentation has it ("Streaming uploads")
            async with self.client.put(url, data=file) as response:
                return response.status, await response.json()

    async def stream(self, url: str, sink: Sink) -> int:
        async with self.client.get(url) as response:
            async for chunk in response.content.iter_any():
                sink(chunk)
            return int(response.status)

    async def blob(self, url: str) -> Reply:
        async with self.client.get(url) as response:
            return response.status, await response.read()

    async def close(self) -> None:
        await self.client.close()
