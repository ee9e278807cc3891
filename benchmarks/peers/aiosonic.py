"""aiosonic. Its pool takes a connection out of use after 1,000 requests unless told not to."""

from io import BytesIO
from typing import Any

from benchmarks.origin import Target
from benchmarks.peers.contract import AsyncPeer, Reply, Sink, read_file, trust


class AiosonicPeer(AsyncPeer):
    async def setup(self, target: Target, connections: int) -> None:
        from aiosonic import HTTPClient, TCPConnector
        from aiosonic.pools import PoolConfig

        pool = PoolConfig(size=connections, max_conn_requests=None)
        connector = TCPConnector(pool_configs={":default": pool}, uds=target.unix, http2=target.http2)
        self.client: Any = HTTPClient(connector, http2=target.http2)
        self.tls = trust(target)
        self.is_http2 = target.http2

    async def get(self, url: str) -> Reply:
        response = await self.client.get(url, ssl=self.tls)
        return response.status_code, await response.json()

    async def post(self, url: str, value: Any) -> Reply:
        response = await self.client.post(url, json=value, ssl=self.tls)
        return response.status_code, await response.json()

    async def form(self, url: str, title: str, content: bytes) -> Reply:
        from aiosonic.multipart import MultipartFile, MultipartForm

        form = MultipartForm()
        form.add_field("title", title)
        form.add_field("file", MultipartFile(BytesIO(content), filename="file.bin"))
        response = await self.client.post(url, data=form, ssl=self.tls)
        return response.status_code, await response.json()

    async def upload(self, url: str, path: str) -> Reply:
        # Iterators it sends in chunks, which it writes without waiting: all of the file is in memory anyway.
        response = await self.client.put(url, data=read_file(path), ssl=self.tls)
        return response.status_code, await response.json()

    async def stream(self, url: str, sink: Sink) -> int:
        async with self.client.stream("GET", url, ssl=self.tls) as response:
            async for chunk in response.read_chunks():
                sink(chunk)
            return int(response.status_code)

    async def blob(self, url: str) -> Reply:
        if self.is_http2:
            # Its content() never tells the server to go on, and waits for ever for what is beyond 4 MB (1.3.3).
            pieces: list[bytes] = []
            return await self.stream(url, pieces.append), b"".join(pieces)
        response = await self.client.get(url, ssl=self.tls)
        return response.status_code, await response.content()

    async def close(self) -> None:
        await self.client.connector.cleanup()
