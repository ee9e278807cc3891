"""urllib3: synchronous only."""

from benchmarks.origin import Target
from benchmarks.peers.contract import Reply, SyncPeer


class Urllib3Peer(SyncPeer):
    def setup(self, target: Target) -> None:
        from urllib3 import PoolManager

        self.client = PoolManager(ca_certs=target.ca)

    def get(self, url: str) -> Reply:
        response = self.client.request("GET", url)
        return response.status, response.json()

    def close(self) -> None:
        self.client.clear()
