"""The product."""

from pathlib import Path
from typing import Any

from benchmarks.origin import Target
from benchmarks.peers.contract import AsyncPeer, Reply, Sink, SyncPeer


def build_options(target: Target) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if target.ca:
        options["verify"] = target.ca
    if target.http2:
        options["http2"] = "only"
    if target.unix:
        options["socketPath"] = target.unix
    return options


class AtomHTTPPeer(AsyncPeer):
    async def setup(self, target: Target, connections: int) -> None:
        from atomhttp import AtomHTTP

        self.client = AtomHTTP(maxConnections=max(100, connections), **build_options(target))

    async def get(self, url: str) -> Reply:
        response = await self.client.get(url)
        return response.status, response.data

    async def post(self, url: str, value: Any) -> Reply:
        response = await self.client.post(url, data=value)
        return response.status, response.data

    async def form(self, url: str, title: str, content: bytes) -> Reply:
        form = self.client.FormData()
        form.append("title", title)
        form.append("file", content, filename="file.bin")
        response = await self.client.post(url, data=form)
        return response.status, response.data

    async def upload(self, url: str, path: str) -> Reply:
        response = await self.client.put(url, data=Path(path))
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


class SyncAtomHTTPPeer(SyncPeer):
    def setup(self, target: Target) -> None:
        from atomhttp import SyncAtomHTTP

        self.client = SyncAtomHTTP(**build_options(target))

    def get(self, url: str) -> Reply:
        response = self.client.get(url)
        return response.status, response.data

    def close(self) -> None:
        self.client.close()
