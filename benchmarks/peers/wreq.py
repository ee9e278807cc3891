"""wreq: Rust's HTTP (hyper's family) and BoringSSL; its own threads beside the event loop."""

from pathlib import Path
from typing import Any

from benchmarks.origin import Target
from benchmarks.peers.contract import AsyncPeer, Reply, Sink, SyncPeer, read_file


def build_options(target: Target) -> dict[str, Any]:
    from wreq import Proxy

    options: dict[str, Any] = {"gzip": True}
    if target.ca:
        options["tls_verify"] = Path(target.ca)
    if target.http2:
        options["http2_only"] = True
    if target.unix:
        options["proxies"] = [Proxy.unix(target.unix)]
    return options


class WreqPeer(AsyncPeer):
    async def setup(self, target: Target, connections: int) -> None:
        from wreq import Client

        self.client: Any = Client(**build_options(target))

    async def get(self, url: str) -> Reply:
        response = await self.client.get(url)
        return response.status.as_int(), await response.json()

    async def post(self, url: str, value: Any) -> Reply:
        # Its JSON encoder takes most of the time here (6 ms for 10 KB, in 0.13); bytes it sends as fast as any.
        response = await self.client.post(url, json=value)
        return response.status.as_int(), await response.json()

    async def form(self, url: str, title: str, content: bytes) -> Reply:
        from wreq import Multipart, Part

        form = Multipart(Part("title", title), Part("file", content, filename="file.bin"))
        response = await self.client.post(url, multipart=form)
        return response.status.as_int(), await response.json()

    async def upload(self, url: str, path: str) -> Reply:
        # A generator is the other way it has; its pieces cross into Rust one by one, which takes longer.
        response = await self.client.put(url, body=read_file(path))
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


class SyncWreqPeer(SyncPeer):
    def setup(self, target: Target) -> None:
        from wreq.blocking import Client

        self.client: Any = Client(**build_options(target))

    def get(self, url: str) -> Reply:
        response = self.client.get(url)
        return response.status.as_int(), response.json()

    def close(self) -> None:
        self.client.close()
