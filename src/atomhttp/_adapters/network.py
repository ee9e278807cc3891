"""The adapter that talks to the network: a request, a connection from the pool, an exchange on it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from atomhttp._adapters.base import AdapterResponse
from atomhttp._adapters.network_exchange import exchange
from atomhttp._model.checks import bad_value
from atomhttp._model.dialing import Dialing
from atomhttp._model.options import BY_NAME, OPTIONS, check_options
from atomhttp._model.outline import Outline
from atomhttp._model.request import Request
from atomhttp._model.route import Route
from atomhttp._net.drivers import Driver
from atomhttp._net.pool import FOR_EVER, Pool, PoolLimits, PoolStats, closed_error
from atomhttp._net.reactor import Reactor

_ADAPTER_OPTIONS: Final = {
    spelling: option
    for option in OPTIONS
    if option.scope == "client" or option.name in ("verify", "cert")
    for spelling in (option.name, option.alias)
}
_LIMITS: Final = (
    "max_connections",
    "max_connections_per_origin",
    "keep_alive_timeout",
    "connection_lifetime",
    "max_header_size",
    "ping_interval",
)


class OptionValues(Protocol):
    """Options by item: a mapping, or a client's defaults."""

    def __getitem__(self, name: str, /) -> Any: ...


class HTTPAdapter:
    """The network. Give one to several clients to have them share connections.

    Args:
        options: those of a client that are about connections. The limits (`maxConnections`,
            `maxConnectionsPerOrigin`, `keepAliveTimeout`, `connectionLifetime`, `maxHeaderSize`, `pingInterval`) are
            this adapter's alone: what a client that is given it says about them is without effect. `resolver`, `hosts`,
            `localAddress`, `http2`, `verify` and `cert` are for requests whose client leaves them at their defaults.

    Raises:
        AtomHTTPOptionError: another option, or a wrong value.
    """

    # Its pools rely on the driver, and say so to it.
    joins_driver = True

    def __init__(self, **options: Any) -> None:
        given = check_options(options, _ADAPTER_OPTIONS, "an HTTPAdapter")
        if given.get("verify") is False:
            # It would overrule every client's verify=True, which cannot be told from none.
            raise bad_value("verify", False, "a path or an SSLContext; False is for a client or a call to say")
        self.limits = PoolLimits()
        self.set_limits({name: given.get(name, BY_NAME[name].default) for name in _LIMITS})
        # What its routes have that the requests' own have not.
        self._ways: dict[str, Any] = {name: given[name] for name in ("verify", "cert", "http2") if name in given}
        dialing = Dialing(given.get("hosts"), given.get("resolver"), given.get("local_address"))
        if any(item is not None for item in dialing):
            self._ways["dialing"] = dialing
        self.closed = False
        # Requests that found a connection ready, of pools that are gone.
        self._reused = 0
        # By driver; all units of synchronous clients share one scope. Never refers to this adapter.
        self._pools: dict[Any, Pool] = {}
        self._finalizer = weakref.finalize(self, _release_pools, self._pools)
        _adapters.add(self)

    def set_limits(self, options: OptionValues) -> None:
        """Applies limits that have changed; connections there are stay."""
        limits = self.limits
        limits.connections = options["max_connections"]
        limits.connections_per_origin = options["max_connections_per_origin"]
        keep_alive_timeout = options["keep_alive_timeout"]
        limits.keep_alive_timeout = FOR_EVER if keep_alive_timeout is None else min(keep_alive_timeout, FOR_EVER)
        limits.lifetime = options["connection_lifetime"]
        limits.max_header_size = options["max_header_size"]
        limits.ping_interval = options["ping_interval"]

    def pool_stats(self) -> PoolStats:
        """How its connections are doing, in all event loops and threads."""
        self._sweep()
        so_far = PoolStats(reused=self._reused)
        return PoolStats(*map(sum, zip(so_far, *(pool.stats for pool in self.pools), strict=True)))

    def __repr__(self) -> str:
        # Not by `pool_stats`, which closes what belongs to nobody any more.
        count = sum(pool.stats.open for pool in self.pools)
        return f"<HTTPAdapter {'closed' if self.closed else f'{count} open'}>"

    def _find_route(self, outline: Outline) -> Route:
        """The request's route with what was said to this adapter, where the request says nothing."""
        ways, route = self._ways, outline.route
        changes: dict[str, Any] = {}
        if route.verify is True and "verify" in ways:
            changes["verify"] = ways["verify"]
        # No more than a client's own does it follow a redirect to another origin.
        if route.cert is None and "cert" in ways and not outline.left_home:
            changes["cert"] = ways["cert"]
        if not route.http2 and "http2" in ways:
            changes["http2"] = ways["http2"]
        if "dialing" in ways:
            own = ways["dialing"]
            asked: Any = route.dialing or Dialing()
            changes["dialing"] = Dialing(
                *(theirs if theirs is not None else ours for theirs, ours in zip(asked, own, strict=True))
            )
        return route._replace(**changes)

    def send(self, request: Request) -> Coroutine[Any, Any, AdapterResponse]:
        """See `Adapter`.

        Raises:
            AtomHTTPNetworkError, AtomHTTPTimeoutError, AtomHTTPClosedError.
        """
        return exchange(request, self._pools, self if self._ways else None, self)

    async def close(self) -> None:
        """Closes every connection; calls in flight get AtomHTTPClosedError."""
        with _pools_lock:
            self.closed = True
            self._reused += sum(pool.stats.reused for pool in self.pools)
        self._finalizer()

    def _sweep(self) -> None:
        """Closes the pools of event loops that are gone."""
        with _pools_lock:
            for scope, pool in list(self._pools.items()):
                if pool.driver is not None and pool.driver.is_closed():
                    del self._pools[scope]
                    self._reused += pool.stats.reused
                    pool.abandon()

    def _open_pool(self, driver: Driver) -> Pool:
        """The pool of a driver that has none here yet.

        Raises:
            AtomHTTPClosedError: the adapter is closed.
        """
        self._sweep()
        with _pools_lock:
            if self.closed:
                raise closed_error()
            if driver.pool_scope not in self._pools:
                watcher = driver if driver.pool_scope is driver else None
                self._pools[driver.pool_scope] = Pool(self.limits, watcher)
            return self._pools[driver.pool_scope]

    def drop(self, reactor: Reactor) -> None:
        """A synchronous unit has been broken off: whatever it was using goes with it."""
        for pool in self.pools:
            pool.drop(reactor)

    @property
    def pools(self) -> list[Pool]:
        """The pools in use."""
        return list(self._pools.values())

    def __reduce__(self) -> Any:
        raise TypeError("an adapter holds connections and cannot be copied or pickled: build one where it is needed")


_adapters: weakref.WeakSet[HTTPAdapter] = weakref.WeakSet()
# Taken when a pool is opened or swept, hardly ever: one for all adapters.
_pools_lock = threading.Lock()


def _forget_after_fork() -> None:
    # Another thread of the parent may have held it when the process forked.
    global _pools_lock
    _pools_lock = threading.Lock()
    for adapter in list(_adapters):
        for pool in adapter.pools:
            pool.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def _release_pools(pools: dict[Any, Pool]) -> None:
    """For a closed client and for one that nobody refers to any more, from any thread."""
    while pools:
        _, pool = pools.popitem()
        driver = pool.driver
        if driver is None:
            pool.close()
        elif driver.is_closed():
            pool.abandon()
        else:
            driver.run_soon(pool.close)
