"""The rows that count requests a second: the same work for every client."""

from dataclasses import dataclass

from benchmarks.job import Mode, Task
from benchmarks.limits import LIMITS
from benchmarks.payloads import FILE_SIZE
from benchmarks.peers import ASYNC_PEERS, HTTP2_PEERS, OVER_HTTP1, SYNC_PEERS


@dataclass(frozen=True)
class Row:
    """One question, whose answers are compared with `baseline`; `limit` is the C program that shows the ceiling."""

    name: str
    title: str
    mode: Mode = "asyncio"
    task: Task = "get"
    target: str = "plain"
    in_flight: int = 1
    one_core: bool = False
    baseline: str = "aiohttp"
    limit: str = ""

    @property
    def clients(self) -> list[str]:
        peers = list(SYNC_PEERS if self.mode == "sync" else HTTP2_PEERS if self.is_http2 else ASYNC_PEERS)
        return [*peers, self.limit] if self.limit in LIMITS else peers

    @property
    def is_http2(self) -> bool:
        return self.target == "http2"

    @property
    def is_transfer(self) -> bool:
        """Whether megabytes are counted, not requests."""
        return self.task in ("stream", "blob", "upload")

    @property
    def unit(self) -> str:
        return "MB/s" if self.is_transfer else "req/s"

    @property
    def scale(self) -> float:
        """How many units a request is."""
        return FILE_SIZE / 1e6 if self.is_transfer else 1.0

    def find_target(self, client: str) -> str:
        return "http1" if client == OVER_HTTP1 else self.target


def build_transfers(target: str, suffix: str, over: str, baseline: str = "curl") -> list[Row]:
    def build(name: str, title: str, task: Task) -> Row:
        return Row(name + suffix, title + over, task=task, target=target, baseline=baseline, limit="curl")

    return [
        build("stream", "100 MB download by chunks", "stream"),
        build("blob", "100 MB download as one value", "blob"),
        build("upload", "100 MB upload of a file", "upload"),
    ]


def build_http2(name: str, how: str, in_flight: int, mode: Mode = "asyncio") -> Row:
    title = f"{SMALL_JSON} over TLS by HTTP/2, {how}"
    return Row(name, title, mode, target="http2", in_flight=in_flight, baseline=OVER_HTTP1, limit="h2load")


SMALL_JSON = "GET of 102 bytes of JSON"

ROWS = {
    row.name: row
    for row in (
        Row("get-1", f"{SMALL_JSON}, 1 in flight, asyncio", limit="wrk"),
        Row("get-64", f"{SMALL_JSON}, 64 in flight, asyncio", in_flight=64, limit="wrk"),
        Row("get-512", f"{SMALL_JSON}, 512 in flight, asyncio", in_flight=512, limit="wrk"),
        Row("uvloop-64", f"{SMALL_JSON}, 64 in flight, uvloop", mode="uvloop", in_flight=64, limit="wrk"),
        Row("tls-64", f"{SMALL_JSON} over TLS, 64 in flight, asyncio", target="tls", in_flight=64, limit="wrk"),
        Row(
            "tls-uvloop-64",
            f"{SMALL_JSON} over TLS, 64 in flight, uvloop",
            mode="uvloop",
            target="tls",
            in_flight=64,
            limit="wrk",
        ),
        Row("unix-64", f"{SMALL_JSON} over a unix socket, 64 in flight, asyncio", target="unix", in_flight=64),
        Row(
            "sync-one-core",
            f"{SMALL_JSON}, synchronously, client and server on one core",
            mode="sync",
            one_core=True,
            baseline="requests",
        ),
        Row("sync", f"{SMALL_JSON}, synchronously, client and server free", mode="sync", baseline="requests"),
        Row("post-64", "POST of 10 KB of JSON, 64 in flight, asyncio", task="post", in_flight=64),
        Row("large-16", "GET of 100 KB of JSON, 16 in flight, asyncio", task="large", in_flight=16, limit="wrk"),
        Row("gzip-16", "GET of the same 100 KB, as 16 KB of gzip, 16 in flight, asyncio", task="gzip", in_flight=16),
        Row("form-8", "POST of a form with a file of 1 MB, 8 in flight, asyncio", task="form", in_flight=8),
        *build_transfers("plain", "", ", asyncio"),
        *build_transfers("tls", "-tls", " over TLS, asyncio"),
        build_http2("http2-64", "64 in flight, asyncio", 64),
        build_http2("http2-uvloop-64", "64 in flight, uvloop", 64, "uvloop"),
        build_http2("http2-512", "512 in flight, asyncio", 512),
        *build_transfers("http2", "-http2", " over TLS by HTTP/2, asyncio", OVER_HTTP1),
        Row("origins-64", f"{SMALL_JSON}, from 100 origins in turn, 64 in flight", task="origins", in_flight=64),
        Row(
            "connect-16",
            f"{SMALL_JSON}, a connection each, 16 in flight, asyncio",
            task="close",
            in_flight=16,
            limit="wrk",
        ),
        Row(
            "connect-tls-16",
            f"{SMALL_JSON} over TLS, a connection each, 16 in flight, asyncio",
            task="close",
            target="tls",
            in_flight=16,
            limit="wrk",
        ),
    )
}
