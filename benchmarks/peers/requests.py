"""requests: synchronous only."""

from benchmarks.origin import Target
from benchmarks.peers.contract import Reply, SyncPeer


class RequestsPeer(SyncPeer):
    def setup(self, target: Target) -> None:
        from requests import Session

        self.client = Session()
        self.client.verify = target.ca or True

    def get(self, url: str) -> Reply:
        response = self.client.get(url)
        return response.status_code, response.json()

    def close(self) -> None:
        self.client.close()
