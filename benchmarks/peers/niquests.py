"""niquests. It brings its own urllib3, which takes the place of the other one: hence an environment of its own.

Certificates are not asked about with their authority (OCSP), which no other client here does.
"""

from typing import Any
from urllib.parse import quote, urlsplit

from benchmarks.origin import Target
from benchmarks.peers.contract import AsyncPeer, Reply, Sink, SyncPeer, without_unix


class NiquestsPeer(AsyncPeer):
    async def setup(self, target: Target, connections: int) -> None:
        from niquests import AsyncSession

        self.client: Any = AsyncSession(
            pool_connections=connections,
            pool_maxsize=connections,
            verify=target.ca or True,
            revocation_configuration=None,
            # Not `multiplexed=True`: responses are then fetched by a second call, and no more of them a second.
            disable_http1=target.http2,
        )
        self.unix = quote(target.unix, safe="") if target.unix else ""

    def address(self, url: str) -> str:
        return f"http+unix://{self.unix}{urlsplit(url).path}" if self.unix else url

    async def get(self, url: str) -> Reply:
        response = await self.client.get(self.address(url))
        return response.status_code, response.json()

    async def post(self, url: str, value: Any) -> Reply:
        response = await self.client.post(url, json=value)
        return response.status_code, response.json()

    async def form(self, url: str, title: str, content: bytes) -> Reply:
        response = await self.client.post(url, data={"title": title}, files={"file": ("file.bin", content)})
        return response.status_code, response.json()

    async def upload(self, url: str, path: str) -> Reply:
        with open(path, "rb") as file:  # noqa: ASYNC230  # as its documentation has it ("Streaming Uploads")
            response = await self.client.put(url, data=file)
        return response.status_code, response.json()

    async def stream(self, url: str, sink: Sink) -> int:
        response = await self.client.get(url, stream=True)
        # -1: pieces as they arrive; by default it cuts them anew.
        async for chunk in await response.iter_content(-1):
            sink(chunk)
        return int(response.status_code)

    async def blob(self, url: str) -> Reply:
        response = await self.client.get(url)
        return response.status_code, response.content

    async def close(self) -> None:
        await self.client.close()


class SyncNiquestsPeer(SyncPeer):
    def setup(self, target: Target) -> None:
        from niquests import Session

        self.client: Any = Session(verify=without_unix(target).ca or True, revocation_configuration=None)

    def get(self, url: str) -> Reply:
        response = self.client.get(url)
        return response.status_code, response.json()

    def close(self) -> None:
        self.client.close()
