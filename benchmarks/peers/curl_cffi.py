"""curl_cffi: libcurl (with BoringSSL), without a browser to impersonate."""

from typing import Any

from benchmarks.origin import Target
from benchmarks.peers.contract import AsyncPeer, Reply, Sink, SyncPeer, read_file


def build_options(target: Target) -> dict[str, Any]:
    from curl_cffi import CurlOpt

    options: dict[str, Any] = {"verify": target.ca or True}
    if target.http2:
        options["http_version"] = "v2"
    if target.unix:
        options["curl_options"] = {CurlOpt.UNIX_SOCKET_PATH: target.unix}
    return options


class CurlCffiPeer(AsyncPeer):
    async def setup(self, target: Target, connections: int) -> None:
        from curl_cffi import AsyncSession

        self.client: Any = AsyncSession(max_clients=connections, **build_options(target))

    async def get(self, url: str) -> Reply:
        response = await self.client.get(url)
        return response.status_code, response.json()

    async def post(self, url: str, value: Any) -> Reply:
        response = await self.client.post(url, json=value)
        return response.status_code, response.json()

    async def form(self, url: str, title: str, content: bytes) -> Reply:
        from curl_cffi import CurlMime

        form = CurlMime()
        form.addpart("title", data=title.encode())
        form.addpart("file", filename="file.bin", data=content)
        try:
            response = await self.client.post(url, multipart=form)
        finally:
            form.close()
        return response.status_code, response.json()

    async def upload(self, url: str, path: str) -> Reply:
        response = await self.client.put(url, data=read_file(path))
        return response.status_code, response.json()

    async def stream(self, url: str, sink: Sink) -> int:
        async with self.client.stream("GET", url) as response:
            async for chunk in response.aiter_content():
                sink(chunk)
            return int(response.status_code)

    async def blob(self, url: str) -> Reply:
        response = await self.client.get(url)
        return response.status_code, response.content

    async def close(self) -> None:
        await self.client.close()


class SyncCurlCffiPeer(SyncPeer):
    def setup(self, target: Target) -> None:
        from curl_cffi import Session

        self.client: Any = Session(**build_options(target))

    def get(self, url: str) -> Reply:
        response = self.client.get(url)
        return response.status_code, response.json()

    def close(self) -> None:
        self.client.close()
