"""What atomhttp has to reach, as data."""

from dataclasses import dataclass
from typing import Literal

from benchmarks.peers import OVER_HTTP1

FASTEST_PEER = ""


@dataclass(frozen=True)
class Bar:
    """`factor` times as good as `against`, FASTEST_PEER or a name in the row; or at most `factor` of its unit."""

    row: str
    factor: float
    against: str = FASTEST_PEER
    kind: Literal["at least", "more than", "at most"] = "at least"


BARS = (
    Bar("get-1", 2.0),
    Bar("get-64", 1.4),
    Bar("get-64", 6.0, "aiohttp"),
    Bar("get-512", 1.2),
    Bar("uvloop-64", 1.5),
    Bar("tls-64", 2.5),
    Bar("tls-uvloop-64", 1.3),
    Bar("http2-64", 2.0),
    Bar("sync-one-core", 1.4),
    Bar("post-64", 1.0, kind="more than"),
    Bar("unix-64", 1.0, kind="more than"),
    Bar("imports", 60.0, kind="at most"),
    *(Bar(row + tls, 0.95, "curl") for row in ("stream", "blob", "upload") for tls in ("", "-tls")),
    *(Bar(f"{row}-http2", 0.9, OVER_HTTP1) for row in ("stream", "blob", "upload")),
)
