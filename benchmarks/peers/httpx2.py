"""httpx2."""

from typing import Any

from benchmarks.origin import Target
from benchmarks.peers.contract import AsyncPeer, Reply, Sink, SyncPeer, read_file, trust


class Httpx2Peer(AsyncPeer):
    async def setup(self, target: Target, connections: int) -> None:
        from httpx2 import AsyncClient, AsyncHTTPTransport, Limits

        limits = Limits(max_connections=None, max_keepalive_connections=None)
        transport = AsyncHTTPTransport(
            verify=trust(target) or True,
            http1=not target.http2,
            http2=target.http2,
            limits=limits,
            uds=target.unix,
        )
        # Its pool limits are the transport's, its timeouts the client's: five seconds are few where 512 wait at once.
        self.client = AsyncClient(transport=transport, timeout=30)

    async def get(self, url: str) -> Reply:
        response = await self.client.get(url)
        return response.status_code, response.json()

    async def post(self, url: str, value: Any) -> Reply:
        response = await self.client.post(url, json=value)
        return response.status_code, response.json()

    async def form(self, url: str, title: str, content: bytes) -> Reply:
        response = await self.client.post(url, data={"title": title}, files={"file": ("file.bin", content)})
        return response.status_code, response.json()

    async def upload(self, url: str, path: str) -> Reply:
        # Its asynchronous client takes no open file: bytes, or an asynchronous generator, which takes longer.
        response = await self.client.put(url, content=read_file(path))
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


class SyncHttpx2Peer(SyncPeer):
    def setup(self, target: Target) -> None:
        from httpx2 import Client

        self.client = Client(verify=trust(target) or True)

    def get(self, url: str) -> Reply:
        response = self.client.get(url)
        return response.status_code, response.json()

    def close(self) -> None:
        self.client.close()
