"""The one place that names concrete parts: which adapter, which built-in defaults, which driver."""

from __future__ import annotations

from atomhttp._adapters.network import HTTPAdapter
from atomhttp._model.config import Defaults
from atomhttp._net.drivers import aio
from atomhttp._net.drivers.blocking import BlockingDriver, Units, run_awaitable
from atomhttp._net.drivers.together import check_callback, close_coroutines, collect_tasks, refusal
from atomhttp._net.pool import PoolStats, closed_error
from atomhttp._pipeline.built_in import built_in_headers

__all__ = [
    "BlockingDriver",
    "PoolStats",
    "Units",
    "build_adapter",
    "built_in_headers",
    "check_callback",
    "close_coroutines",
    "closed_error",
    "collect_tasks",
    "configure_adapter",
    "refusal",
    "run_all",
    "run_awaitable",
    "running_driver",
]

running_driver = aio.current
run_all = aio.run_all


def build_adapter(defaults: Defaults) -> HTTPAdapter:
    """The network, with the limits that `defaults` set."""
    adapter = HTTPAdapter()
    configure_adapter(adapter, defaults)
    return adapter


def configure_adapter(adapter: HTTPAdapter, defaults: Defaults) -> None:
    """Applies limits that have changed; connections there are stay."""
    adapter.set_limits(defaults)
