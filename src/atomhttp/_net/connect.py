"""From a route to a stream that requests can go out on: resolved, connected, through its proxy, encrypted."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING

from atomhttp._model.dialing import Dialing
from atomhttp._model.route import Route
from atomhttp._net.call import Call
from atomhttp._net.conversation import Conversation
from atomhttp._net.race import Race
from atomhttp._net.resolve import Address, is_literal, resolve
from atomhttp._net.socks import import_socksio, open_socks_tunnel
from atomhttp._net.stream import SocketStream, Stream
from atomhttp._net.tls_context import HTTP2, PROTOCOLS, build_context, choose_protocols
from atomhttp._net.tls_session import TLSSession
from atomhttp._net.tunnel import open_tunnel
from atomhttp.errors import AtomHTTPNetworkError, AtomHTTPOptionError, AtomHTTPProxyError

if TYPE_CHECKING:
    from atomhttp._model.proxies import Proxy

_logger = logging.getLogger("atomhttp.connection")
_PLAIN = Dialing()


async def connect(route: Route, call: Call, session: TLSSession | None = None) -> Stream:
    """A stream to where `route` leads.

    Args:
        session: of an earlier connection of this route, to take up again.

    Raises:
        AtomHTTPNetworkError, AtomHTTPProxyError, AtomHTTPTLSError, AtomHTTPTimeoutError, AtomHTTPOptionError.
    """
    began = call.driver.now()
    # Made first: a file that cannot be read should not cost a connection.
    protocols = choose_protocols(route.http2)
    context = None
    if route.scheme == "https":
        context = build_context(route.verify, route.cert, route.trust_env, protocols)
    steps = _Steps(call, route)
    if route.socket_path is not None:
        conversation = await steps.dial([_unix_address(route.socket_path)], route.name)
    elif route.proxy is None:
        conversation = await steps.dial(await steps.find_addresses(route.host, route.port), route.name)
    else:
        conversation = await steps.go_through(route.proxy)
    if context is not None:
        where = (route.host, route.port)
        await steps.encrypt(conversation, context, route.server_hostname, where, session, protocols)
    speaks = "HTTP/2" if speaks_http2(conversation.stream, route) else "HTTP/1.1"
    _logger.debug("connected to %s in %.1f ms, by %s", route.name, (call.driver.now() - began) * 1e3, speaks)
    return conversation.stream


def speaks_http2(stream: Stream, route: Route) -> bool:
    """Whether HTTP/2 goes over it: the server chose it (ALPN), or, in clear, it is all that may be spoken."""
    return stream.protocol == HTTP2 or (route.http2 == "only" and stream.protocol is None)


class _Steps:
    """The steps to a connection. Each adds to the time of its phase; all of them share the limit `connect`."""

    def __init__(self, call: Call, route: Route) -> None:
        self._call = call
        self._route = route
        self._dialing = route.dialing or _PLAIN
        self._now = call.driver.now
        self._limit = call.timeout.connect
        self._due = None if self._limit is None else self._now() + self._limit

    def _enter(self, phase: str) -> float:
        self._call.enter(phase, self._limit)
        self._call.phase_due = self._due
        return self._now()

    async def find_addresses(self, host: str, port: int, guarded: bool = True) -> Sequence[Address]:
        """Where `host` is; of its addresses those that may be connected to."""
        began = self._enter("dns")
        addresses = await resolve(self._call, host, port, self._dialing)
        self._call.dns += self._now() - began
        if guarded and self._dialing.guard is not None:
            addresses = self._ask_guard(host, port, addresses)
        return addresses

    def _ask_guard(self, host: str, port: int, addresses: Sequence[Address]) -> Sequence[Address]:
        """What is allowed here is what connect() is given: no name is looked up again in between."""
        from atomhttp._model.address_guard import allows  # with `ipaddress`, 4 ms of every start

        allowed = [each for each in addresses if allows(self._dialing.guard, str(each[1][0]), port, host)]
        if not allowed:
            shown = ", ".join(str(address[0]) for _, address in addresses)
            where = host if shown == host else f"{host} ({shown})"
            raise AtomHTTPNetworkError(f"addressGuard refuses {where}", "ERR_ADDRESS_REFUSED")
        return allowed

    async def dial(self, addresses: Sequence[Address], name: str) -> Conversation:
        """The first of `addresses` that accepts."""
        began = self._enter("connect")
        local = self._dialing.local_address if self._route.socket_path is None else None
        if local is not None:
            addresses = _of_family(addresses, local[0], name)
        sock = await Race(self._call, addresses, name, local).run()
        self._call.connect += self._now() - began
        return Conversation(self._call, SocketStream(sock))

    async def go_through(self, proxy: Proxy) -> Conversation:
        """A way to the route's end that leads through `proxy`."""
        context = build_context(self._route.verify, None, self._route.trust_env) if proxy.scheme == "https" else None
        if proxy.is_socks:
            # As with files: what is missing should not cost a connection.
            import_socksio(proxy)
        target = await self._find_target(proxy)
        # The message has its scheme already.
        authority = proxy.name.partition("://")[2]
        try:
            conversation = await self.dial(await self.find_addresses(proxy.host, proxy.port, guarded=False), authority)
        except AtomHTTPNetworkError as error:
            raise AtomHTTPProxyError(f"the proxy {proxy.name} cannot be reached: {error.message}") from error
        if context is not None:
            await self.encrypt(conversation, context, proxy.host.rstrip("."), (proxy.host, proxy.port))
        if self._route.is_forwarded:
            return conversation
        began = self._enter("connect")
        try:
            if proxy.is_socks:
                await open_socks_tunnel(conversation, proxy, target, self._route.port)
            else:
                await open_tunnel(conversation, proxy, self._route.authority)
        except BaseException:
            conversation.drop()
            raise
        self._call.connect += self._now() - began
        return conversation

    async def _find_target(self, proxy: Proxy) -> str:
        """What the proxy is told: the route's host, or, by `socks5`, its address."""
        host, port = self._route.host, self._route.port
        if proxy.scheme == "socks5":
            addresses = await self.find_addresses(host, port)
            # Only one can be named: there are more proxies without IPv6 than origins without IPv4.
            best = next((each for each in addresses if each[0] == socket.AF_INET), addresses[0])
            return str(best[1][0])
        if self._dialing.guard is not None:
            if not is_literal(host):
                raise AtomHTTPNetworkError(
                    f"addressGuard refuses {host}: the proxy {proxy.name} would resolve it, so nobody here can see its "
                    "address; a socks5:// proxy is given addresses, and proxy=False uses none",
                    "ERR_ADDRESS_REFUSED",
                )
            await self.find_addresses(host, port)
        return host

    async def encrypt(
        self,
        conversation: Conversation,
        context: ssl.SSLContext,
        name: str,
        where: tuple[str, int],
        session: TLSSession | None = None,
        protocols: tuple[str, ...] = PROTOCOLS,
    ) -> None:
        """TLS with whoever is at the other end."""
        began = self._enter("tls")
        await conversation.encrypt(context, name, where, session, protocols)
        self._call.tls += self._now() - began


def _unix_address(path: str) -> Address:
    if not hasattr(socket, "AF_UNIX"):
        raise AtomHTTPOptionError("socketPath: this system has no unix sockets", "ERR_NOT_SUPPORT")
    return (socket.AF_UNIX, path)


def _of_family(addresses: Sequence[Address], local: str, name: str) -> Sequence[Address]:
    """Those of `addresses` that can be reached from the address `local`."""
    family = socket.AF_INET6 if ":" in local else socket.AF_INET
    same = [each for each in addresses if each[0] == family]
    if not same:
        raise AtomHTTPNetworkError(
            f"cannot connect to {name} from {local} (localAddress): no address of that family", "EADDRNOTAVAIL"
        )
    return same
