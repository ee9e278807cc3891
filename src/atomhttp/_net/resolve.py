"""Names to addresses, off the loop. Equal lookups in flight are one; literal addresses are never looked up."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

from atomhttp._net.call import Call
from atomhttp._net.threads import Delivery, submit
from atomhttp.errors import AtomHTTPError, AtomHTTPNetworkError

if TYPE_CHECKING:
    from collections.abc import Sequence

# (family, socket address): what connect() takes.
Address = tuple[int, Any]

_lock = threading.Lock()
_in_flight: dict[tuple[str, int], list[Delivery]] = {}

_CODES = {socket.EAI_AGAIN: "EAI_AGAIN", socket.EAI_NONAME: "ENOTFOUND"}
if hasattr(socket, "EAI_NODATA"):
    _CODES[socket.EAI_NODATA] = "ENOTFOUND"


async def resolve(call: Call, host: str, port: int) -> Sequence[Address]:
    """The addresses of `host`, at least one, in the order the system prefers.

    Raises:
        AtomHTTPNetworkError: ENOTFOUND, EAI_AGAIN.
        AtomHTTPTimeoutError: it took too long; the lookup goes on without us.
    """
    literal = _literal(host, port)
    if literal is not None:
        return [literal]
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
        code = _CODES.get(error.errno or 0, "ENOTFOUND")
        raise AtomHTTPNetworkError(f"{host}: cannot be resolved: {error.strerror}", code) from error
    except (OSError, UnicodeError) as error:
        if isinstance(error, AtomHTTPError):
            raise
        raise AtomHTTPNetworkError(f"{host}: cannot be resolved: {error}", "ENOTFOUND") from error


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


def _literal(host: str, port: int) -> Address | None:
    if host[-1].isdigit() or ":" in host:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return None
        return (socket.AF_INET, (host, port)) if address.version == 4 else (socket.AF_INET6, (host, port, 0, 0))
    return None


def _forget_after_fork() -> None:
    global _lock, _in_flight  # the threads that look up do not exist here: nobody would answer
    _lock, _in_flight = threading.Lock(), {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
