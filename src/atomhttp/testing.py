"""For tests of code that uses atomhttp: a mock of the network, and applications answered in process.

The pytest fixture `atomhttp_mock` comes with the package.
"""

from __future__ import annotations

from atomhttp._adapters.asgi import ASGIAdapter
from atomhttp._adapters.base import AdapterResponse
from atomhttp._adapters.mock import MockAdapter, MockCall, MockRoute, UnexpectedRequestError
from atomhttp._adapters.mock_request import MockRequest

__all__ = [
    "ASGIAdapter",
    "AdapterResponse",
    "MockAdapter",
    "MockCall",
    "MockRequest",
    "MockRoute",
    "UnexpectedRequestError",
]
