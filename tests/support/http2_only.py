"""A client that speaks nothing but HTTP/2."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from atomhttp import AtomHTTP, SyncAtomHTTP
from support.server import PATIENCE


@contextlib.asynccontextmanager
async def opened(kind: str = "async", **options: Any) -> AsyncIterator[Any]:
    """It is closed in the end. The synchronous one blocks the test's loop, but not the peer."""
    given = {"http2": "only", "timeout": PATIENCE, **options}
    client: Any = AtomHTTP(**given) if kind == "async" else SyncAtomHTTP(**given)
    try:
        yield client
    finally:
        closing = client.close()
        if closing is not None:
            await closing
