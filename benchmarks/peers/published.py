"""atomhttp 1.2.4 as it is on PyPI: aiohttp with axios's interface; in an environment of its own, for its name."""

import os
from typing import Any

from benchmarks.origin import Target
from benchmarks.peers.contract import AsyncPeer, Reply, Sink, read_file, without_http2, without_unix


class PublishedPeer(AsyncPeer):
    """Without forms: its FormData sends two bytes more, a line break, than each value has."""

    async def setup(self, target: Target, connections: int) -> None:
        # Its socketPath ends in a TypeError, and its 100 connections cannot be made more.
        if without_unix(without_http2(target)).ca:
            # It has no option for an authority: OpenSSL's own is read when aiohttp is imported.
            os.environ["SSL_CERT_FILE"] = target.ca or ""
        from atomhttp import AtomHTTP

        self.client: Any = AtomHTTP()

    async def get(self, url: str) -> Reply:
        response = await self.client.get(url)
        return response.status, response.data

    async def post(self, url: str, value: Any) -> Reply:
        # What it calls decompress, and has switched on, compresses the request.
        response = await self.client.post(url, data=value, decompress=False)
        return response.status, response.data

    async def upload(self, url: str, path: str) -> Reply:
        # Of anything but bytes it would send what str() makes of it.
        response = await self.client.put(url, data=read_file(path), decompress=False)
        return response.status, response.data

    async def stream(self, url: str, sink: Sink) -> int:
        response = await self.client.get(url, response_type="stream")
        async for chunk in response.data.iter_any():
            sink(chunk)
        return int(response.status)

    async def blob(self, url: str) -> Reply:
        response = await self.client.get(url, response_type="blob")
        return response.status, response.data

    async def close(self) -> None:
        await self.client.close()
