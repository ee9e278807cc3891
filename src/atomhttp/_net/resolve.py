"""Names to addresses: by the caller's table or resolver, or by the system, off the loop.

Equal lookups in flight are one; literal addresses are never looked up.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from atomhttp._model.callables import call_user
from atomhttp._model.dialing import Dialing
from atomhttp._net.call import Call
from atomhttp._net.threads import Delivery, submit
from atomhttp.errors import AtomHTTPError, AtomHTTPNetworkError, AtomHTTPOptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

# (family, socket address): what connect() takes.
Address = tuple[int, Any]

_lock = threading.Lock()
_in_flight: dict[tuple[str, int], list[Delivery]] = {}

_CODES = {socket.EAI_AGAIN: "EAI_AGAIN", socket.EAI_NONAME: "ENOTFOUND"}
if hasattr(socket, "EAI_NODATA"):
    _CODES[socket.EAI_NODATA] = "ENOTFOUND"


async def resolve(call: Call, host: str, port: int, dialing: Dialing | None = None) -> Sequence[Address]:
    """The addresses of `host`, at least one, in the order preferred by whoever knows them.

    Raises:
        AtomHTTPNetworkError: ENOTFOUND, EAI_AGAIN.
        AtomHTTPTimeoutError: it took too long; the lookup goes on without us.
        AtomHTTPOptionError: the resolver gave something else than addresses.
    """
    literal = _literal(host, port)
    if literal is not None:
        return [literal]
    if dialing is not None:
        name = host.rstrip(".").lower()
        if dialing.hosts is not None and name in dialing.hosts:
            return [_parse(address, port, "hosts") for address in dialing.hosts[name]]
        if dialing.resolver is not None:
            return await _ask_resolver(call, dialing.resolver, host, port)
    return await _ask_system(call, host, port)


async def _ask_resolver(call: Call, resolver: Any, host: str, port: int) -> Sequence[Address]:
    due = call.due()
    try:
        found: Iterable[Any] | None = await call_user(call.driver, due, resolver, host, port)
    except TimeoutError as error:
        if isinstance(error, AtomHTTPError) or due is None or call.driver.now() < due:
            raise
        raise call.timeout_error(call.driver.now()) from error
    except socket.gaierror as error:
        raise _not_found(host, error) from error
    if isinstance(found, (str, bytes)) or not isinstance(found, Iterable):
        raise AtomHTTPOptionError(
            f"resolver: expected an iterable of IP addresses for {host}, got {type(found).__name__}",
            "ERR_BAD_OPTION_VALUE",
        )
    addresses = [_parse(address, port, "resolver") for address in found]
    if not addresses:
        raise AtomHTTPNetworkError(f"{host}: cannot be resolved: the resolver knows no address", "ENOTFOUND")
    return addresses


def _parse(address: object, port: int, option: str) -> Address:
    literal = _literal(text, port) if (text := str(address)) else None
    if literal is None:
        raise AtomHTTPOptionError(
            f"{option}: expected an IP address, got {text[:80]!r} ({type(address).__name__})", "ERR_BAD_OPTION_VALUE"
        )
    return literal


async def _ask_system(call: Call, host: str, port: int) -> Sequence[Address]:
    delivery = Delivery(call.driver)
    key = (host, port)
    with _lock:
        joined = _in_flight.get(key)
        if joined is not None:
            joined.append(delivery)
        else:
            # In this order: an interrupt in between must not leave a lookup that nobody makes and others join.
            submit(lambda: _look_up(key))
            _in_flight[key] = [delivery]
    try:
        return await call.wait_for(delivery.waiter)  # type: ignore[no-any-return]  # what `function` returned
    except socket.gaierror as error:
        raise _not_found(host, error) from error
    except (OSError, UnicodeError) as error:
        if isinstance(error, AtomHTTPError):
            raise
        raise AtomHTTPNetworkError(f"{host}: cannot be resolved: {error}", "ENOTFOUND") from error


def _not_found(host: str, error: socket.gaierror) -> AtomHTTPNetworkError:
    code = _CODES.get(error.errno or 0, "ENOTFOUND")
    return AtomHTTPNetworkError(f"{host}: cannot be resolved: {error.strerror or error}", code)


def _look_up(key: tuple[str, int]) -> None:
    """On a thread."""
    found: Sequence[Address] | None = None
    problem: BaseException | None = None
    try:
        infos = socket.getaddrinfo(*key, type=socket.SOCK_STREAM)
        found = [(int(family), address) for family, _, _, _, address in infos]
    except BaseException as error:
        problem = error
    with _lock:
        waiting = _in_flight.pop(key, [])
    for delivery in waiting:
        delivery.deliver(found, problem)


def is_literal(host: str) -> bool:
    """Whether `host` is an address."""
    return _literal(host, 0) is not None


def _literal(host: str, port: int) -> Address | None:
    return _parse_literal(host, port) if host[-1].isdigit() or ":" in host else None


@lru_cache(256)  # 4 µs of each connect, and a client goes to few addresses
def _parse_literal(host: str, port: int) -> Address | None:
    from ipaddress import ip_address  # 2 ms of every start, and few hosts are addresses

    try:
        address = ip_address(host)
    except ValueError:
        return None
    return (socket.AF_INET, (host, port)) if address.version == 4 else (socket.AF_INET6, (host, port, 0, 0))


def _forget_after_fork() -> None:
    global _lock, _in_flight  # the threads that look up do not exist here: nobody would answer
    _lock, _in_flight = threading.Lock(), {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
