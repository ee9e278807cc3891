"""One small adapter a client, one file each: how it is set up, asked and closed.

Every client is used as its own documentation shows it, with its own JSON, and told only what the row needs:
whom to trust, which socket, and that so many connections may be open. A client is imported when its adapter
is set up, so that a process holds nobody else's code or threads.
"""

from benchmarks.peers.aiohttp import AiohttpPeer
from benchmarks.peers.aiosonic import AiosonicPeer
from benchmarks.peers.atomhttp import AtomHTTPPeer, SyncAtomHTTPPeer
from benchmarks.peers.bare import BarePeer, SyncBarePeer
from benchmarks.peers.contract import AsyncPeer, SyncPeer, UnsupportedError, trust
from benchmarks.peers.curl_cffi import CurlCffiPeer, SyncCurlCffiPeer
from benchmarks.peers.httpx2 import Httpx2Peer, SyncHttpx2Peer
from benchmarks.peers.niquests import NiquestsPeer, SyncNiquestsPeer
from benchmarks.peers.published import PublishedPeer
from benchmarks.peers.pyreqwest import PyreqwestPeer, SyncPyreqwestPeer
from benchmarks.peers.requests import RequestsPeer
from benchmarks.peers.urllib3 import Urllib3Peer
from benchmarks.peers.wreq import SyncWreqPeer, WreqPeer

__all__ = [
    "ASYNC_PEERS",
    "CLIENTS",
    "COMPILED",
    "HTTP2_PEERS",
    "OVER_HTTP1",
    "PRODUCT",
    "PUBLISHED",
    "SYNC_PEERS",
    "YARDSTICK",
    "AsyncPeer",
    "SyncPeer",
    "UnsupportedError",
    "trust",
]

PRODUCT = "atomhttp"
YARDSTICK = "bare"
# The same source, made into extension modules by mypyc.
COMPILED = "atomhttp compiled"
PUBLISHED = "atomhttp 1.2.4"
# In the rows of HTTP/2: the product asking the same server by HTTP/1.1.
OVER_HTTP1 = "atomhttp HTTP/1.1"

ASYNC_PEERS: dict[str, type[AsyncPeer]] = {
    PRODUCT: AtomHTTPPeer,
    COMPILED: AtomHTTPPeer,
    YARDSTICK: BarePeer,
    "wreq": WreqPeer,
    "pyreqwest": PyreqwestPeer,
    "aiohttp": AiohttpPeer,
    "aiosonic": AiosonicPeer,
    "niquests": NiquestsPeer,
    "httpx2": Httpx2Peer,
    "curl_cffi": CurlCffiPeer,
    PUBLISHED: PublishedPeer,
}

# Of the rows of HTTP/2.
HTTP2_PEERS: dict[str, type[AsyncPeer]] = {**ASYNC_PEERS, OVER_HTTP1: AtomHTTPPeer}

SYNC_PEERS: dict[str, type[SyncPeer]] = {
    PRODUCT: SyncAtomHTTPPeer,
    COMPILED: SyncAtomHTTPPeer,
    YARDSTICK: SyncBarePeer,
    "wreq": SyncWreqPeer,
    "pyreqwest": SyncPyreqwestPeer,
    "httpx2": SyncHttpx2Peer,
    "niquests": SyncNiquestsPeer,
    "curl_cffi": SyncCurlCffiPeer,
    "urllib3": Urllib3Peer,
    "requests": RequestsPeer,
}

CLIENTS = list(dict.fromkeys([*HTTP2_PEERS, *SYNC_PEERS]))
