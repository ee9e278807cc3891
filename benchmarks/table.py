"""The seam between what measures and what reports: one question, and every client's samples for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Table:
    """One question and every client's samples for it: the same work, measured `rounds` times."""

    name: str
    """The row's name on the command line: "get-64"."""
    title: str
    """What was asked: "GET of 102 bytes of JSON, 64 in flight, asyncio"."""
    unit: str
    """Of the samples: "req/s", "MB/s", "ms", "µs", "KiB"."""
    better: Literal["more", "less"]
    baseline: str
    """The client that a column of ratios refers to; "" for none."""
    samples: dict[str, list[float]]
    """By client (or by case, e.g. "interceptor"): one value a round."""
    cpu: dict[str, list[float]]
    """CPU µs a request of the whole process, where it was measured."""
    memory: dict[str, float]
    """Peak RSS of the process in MiB, where it was measured."""
    x: str = ""
    """Growth tables: what the keys of `samples` count ("requests in flight", "origins")."""
    connections: dict[str, int] = field(default_factory=dict)
    """How many connections the client has opened to nginx, where they were counted; from the warm-up to the end."""
    failures: dict[str, str] = field(default_factory=dict)
    """By client, the reason."""
    unsupported: list[str] = field(default_factory=list)
    """Clients that do not offer what the row asks for."""
