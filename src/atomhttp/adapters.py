"""What may stand between a client and the world: the seam, the network, the mock, and applications in process.

An adapter has `async send(request: Request) -> AdapterResponse` and `async close()`. Policies (redirects, retries,
limits, cookies, decoding, progress) are the client's and not the adapter's, so that they hold for all of them.
"""

from __future__ import annotations

from atomhttp._adapters.asgi import ASGIAdapter
from atomhttp._adapters.base import Adapter, AdapterResponse, Content
from atomhttp._adapters.mock import MockAdapter
from atomhttp._adapters.network import HTTPAdapter
from atomhttp._model.request import Body, Request

__all__ = ["ASGIAdapter", "Adapter", "AdapterResponse", "Body", "Content", "HTTPAdapter", "MockAdapter", "Request"]
