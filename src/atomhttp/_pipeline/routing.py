"""Which way a request goes: through which proxy, or over which socket, from where, trusting whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from atomhttp._model.config import Defaults
from atomhttp._model.dialing import Dialing
from atomhttp._model.options import real_socket_path
from atomhttp._model.proxy_choice import choose_proxy
from atomhttp._model.route import Route
from atomhttp._model.url import Target
from atomhttp.errors import AtomHTTPNetworkError, AtomHTTPOptionError

if TYPE_CHECKING:
    from atomhttp._model.proxies import Proxy


class Router:
    """Finds routes with the options of a client: what those of a call do not say."""

    __slots__ = ("_defaults", "_dialing", "_http2")

    def __init__(self, defaults: Defaults) -> None:
        self._defaults = defaults
        self._dialing = Dialing(defaults.hosts, defaults.resolver, defaults.local_address)
        self._http2 = defaults.http2

    def find_route(self, target: Target, options: Mapping[str, Any], authorization: str | None) -> Route:
        """The route to `target`.

        Args:
            options: those of the call.
            authorization: a Proxy-Authorization field that the caller gave: only the proxy is to see it.

        Raises:
            AtomHTTPOptionError, AtomHTTPNetworkError (ERR_ADDRESS_REFUSED).
        """
        socket_path = target.socket_path or options["socket_path"]
        if socket_path is not None:
            _check_socket(socket_path, options)
        proxy = None if socket_path is not None else self._choose_proxy(target, options)
        if proxy is not None and authorization is not None:
            proxy = proxy.with_authorization(authorization)
        return Route(
            target.scheme,
            target.host,
            target.port,
            socket_path,
            options["verify"],
            options["cert"],
            proxy,
            self._find_dialing(options["address_guard"]),
            options["trust_env"],
            self._http2,
        )

    def follow(self, route: Route, target: Target, options: Mapping[str, Any]) -> Route:
        """The route of a redirect to another origin: neither a unix socket nor a client certificate goes along."""
        proxy = self._choose_proxy(target, options)
        last = route.proxy
        if proxy is not None and last is not None and proxy == last.with_authorization(proxy.authorization):
            # The same one, and the same account there: the caller's own Proxy-Authorization, if there was one, goes on.
            proxy = last
        return route._replace(
            scheme=target.scheme, host=target.host, port=target.port, socket_path=None, cert=None, proxy=proxy
        )

    def _choose_proxy(self, target: Target, options: Mapping[str, Any]) -> Proxy | None:
        environment = self._defaults.environment if options["trust_env"] else None
        return choose_proxy(options["proxy"], target, environment)

    def _find_dialing(self, guard: Any) -> Dialing | None:
        dialing = self._dialing if guard is None else self._dialing._replace(guard=guard)
        return dialing if any(item is not None for item in dialing) else None


def _check_socket(path: str, options: Mapping[str, Any]) -> None:
    allowed = options["allowed_socket_paths"]
    if allowed is None:
        if options["address_guard"] is not None:
            raise AtomHTTPNetworkError(
                f"addressGuard refuses the unix socket {path!r}: it has no address; allowedSocketPaths would let it",
                "ERR_ADDRESS_REFUSED",
            )
    elif real_socket_path(path) not in allowed:
        raise AtomHTTPOptionError(f"socketPath: {path!r} is not among allowedSocketPaths", "ERR_BAD_OPTION_VALUE")
