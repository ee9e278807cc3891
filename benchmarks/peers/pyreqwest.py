"""pyreqwest: Rust's reqwest; its own thread beside the event loop."""

from pathlib import Path
from typing import Any

from benchmarks.origin import Target
from benchmarks.peers.contract import AsyncPeer, Reply, Sink, SyncPeer, read_file, without_unix


def build_client(builder: Any, target: Target) -> Any:
    if without_unix(target).ca:
        builder = builder.add_root_certificate_pem(Path(target.ca or "").read_bytes())
    if target.http2:
        builder = builder.http2(True)
    return builder.build()


class PyreqwestPeer(AsyncPeer):
    async def setup(self, target: Target, connections: int) -> None:
        from pyreqwest.client import ClientBuilder

        self.client = build_client(ClientBuilder(), target)

    async def get(self, url: str) -> Reply:
        response = await self.client.get(url).build().send()
        return response.status, await response.json()

    async def post(self, url: str, value: Any) -> Reply:
        response = await self.client.post(url).body_json(value).build().send()
        return response.status, await response.json()

    async def form(self, url: str, title: str, content: bytes) -> Reply:
        from pyreqwest.multipart import FormBuilder, PartBuilder

        form = FormBuilder().text("title", title).part("file", PartBuilder.from_bytes(content).file_name("file.bin"))
        response = await self.client.post(url).multipart(form).build().send()
        return response.status, await response.json()

    async def upload(self, url: str, path: str) -> Reply:
        response = await self.client.put(url).body_bytes(read_file(path)).build().send()
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


class SyncPyreqwestPeer(SyncPeer):
    def setup(self, target: Target) -> None:
        from pyreqwest.client import SyncClientBuilder

        self.client = build_client(SyncClientBuilder(), target)

    def get(self, url: str) -> Reply:
        response = self.client.get(url).build().send()
        return response.status, response.json()

    def close(self) -> None:
        self.client.close()
