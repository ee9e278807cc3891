"""The one place that names concrete parts: which adapter, which built-in defaults, which driver."""

from __future__ import annotations

from atomhttp._adapters.network import HTTPAdapter
from atomhttp._body.compression import accept_encoding
from atomhttp._model.config import Defaults
from atomhttp._net.drivers import aio
from atomhttp._net.drivers.blocking import BlockingDriver, Units
from atomhttp._net.pool import FOR_EVER, closed_error
from atomhttp._version import __version__

__all__ = [
    "BlockingDriver",
    "Units",
    "build_adapter",
    "built_in_headers",
    "closed_error",
    "configure_adapter",
    "running_driver",
]

running_driver = aio.current


def built_in_headers() -> dict[str, str]:
    """What every request says of its client unless told otherwise."""
    return {
        "Accept": "application/json, text/plain, */*",
        "User-Agent": f"atomhttp/{__version__}",
        "Accept-Encoding": accept_encoding(),
    }


def build_adapter(defaults: Defaults) -> HTTPAdapter:
    """The network, with the limits that `defaults` set."""
    adapter = HTTPAdapter()
    configure_adapter(adapter, defaults)
    return adapter


def configure_adapter(adapter: HTTPAdapter, defaults: Defaults) -> None:
    """Applies limits that have changed; connections there are stay."""
    limits = adapter.limits
    limits.connections = defaults.max_connections
    limits.connections_per_origin = defaults.max_connections_per_origin
    limits.keep_alive_timeout = FOR_EVER if defaults.keep_alive_timeout is None else defaults.keep_alive_timeout
    limits.lifetime = defaults.connection_lifetime
    limits.max_header_size = defaults.max_header_size
