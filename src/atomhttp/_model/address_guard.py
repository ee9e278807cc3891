"""The `addressGuard` option: which addresses may be connected to, whatever name led there.

A program that fetches URLs of strangers must not be led to the machine's own network (SSRF). The guard is asked about
the address that connect() is given, so a name that resolves otherwise a second time (DNS rebinding) gains nothing.

The table is our own: `ipaddress.is_global` changed its mind between 3.11.2 and 3.13 (CVE-2024-4032), and does not look
into the IPv6 addresses that a gateway translates into IPv4.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, Literal, TypeAlias

from atomhttp._model.callables import required_positionals
from atomhttp.errors import AtomHTTPError, AtomHTTPOptionError

AddressGuard: TypeAlias = Literal["public"] | Callable[..., Any] | None

_MAX_ARGUMENTS: Final = 3

# IANA's IPv4 Special-Purpose Address Registry, but for what is globally reachable there.
_REFUSED_V4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # "this network"; Linux connects 0.0.0.0 to itself
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT, and the metadata service of one cloud
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # looks public, but on Azure it is the host's own service
            "169.254.0.0/16",  # link-local: the metadata services of most clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # IETF protocol assignments
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays, withdrawn by RFC 7526
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
# All that IANA has given out for hosts. What is outside has no business on the open internet: `::`, `::1`, 100::/64
# (discard), 64:ff9b:1::/48 (a NAT64 of one's own), 5f00::/16, fc00::/7 (private), fe80::/10, fec0::/10, ff00::/8, …
_UNICAST_V6: Final = IPv6Network("2000::/3")
_REFUSED_V6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # IETF protocol assignments: benchmarks, ORCHID, anycast; Teredo is looked into before
            "2001:db8::/32",  # documentation
            "3fff::/20",  # documentation
        ),
    )
)

_TEREDO: Final = IPv6Network("2001::/32")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
# The IPv4 address is in the last 32 bits.
_EMBEDDING: Final = tuple(
    map(
        IPv6Network,
        (
            "::/96",  # IPv4-compatible, RFC 4291; `::` and `::1` with it, as 0.0.0.0 and 0.0.0.1
            "::ffff:0:0/96",  # IPv4-mapped, RFC 4291
            "::ffff:0:0:0/96",  # IPv4-translated, RFC 2765
            "64:ff9b::/96",  # NAT64, RFC 6052
        ),
    )
)
# The middle of an ISATAP address, RFC 5214 section 6.1; the bit that is masked out says "globally unique".
_ISATAP: Final = 0x00005EFE
_ISATAP_MASK: Final = 0xFDFFFFFF


def check_address_guard(name: str, value: Any) -> AddressGuard:
    """The `addressGuard` option as it is kept.

    Args:
        name: the option's name, for the error.
        value: None: every address is allowed; "public": those of the open internet (`is_public`); or a synchronous
            callable of (address), (address, port) or (address, port, host) that says whether an address is allowed.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: anything else.
    """
    if value is None or value == "public":
        return "public" if value else None
    if not callable(value) or isinstance(value, type):
        shown = repr(value)[:80] if isinstance(value, (str, int, float)) else type(value).__name__
        raise _bad(name, f"'public', a callable(address, port, host) -> bool or None, got {shown}")
    if inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(getattr(value, "__call__", None)):  # noqa: B004  # asked whether it is async, not whether it is there
        raise _bad(name, "a callable that is not async: it is asked while a connection is made")
    if required_positionals(value, 1) > _MAX_ARGUMENTS:
        raise _bad(name, "a callable of (address, port, host), or of the first of them; it requires more")
    return value  # type: ignore[no-any-return]  # narrowed to a callable above


def allows(guard: AddressGuard, address: str, port: int, host: str) -> bool:
    """Whether `guard` allows a connection to `address`. What is no address is allowed by None only.

    Args:
        guard: what `check_address_guard` returned. A callable gets as many of (address as an `ipaddress` object, port,
            host) as it requires, one at least; what it raises passes through.
        address: as `getaddrinfo` gives it, an IPv6 zone included.
        port: where it is to be connected to.
        host: the name that led to the address, or the address.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: the callable returned something that is true without being True.
    """
    if guard is None:
        return True
    if guard == "public":
        return is_public(address)
    parsed = _parse(address)
    if parsed is None:
        return False
    count = max(1, required_positionals(guard, 1))
    try:
        verdict = guard(*(parsed, port, host)[:count])
    except AtomHTTPError as error:
        # Of another call, or made by hand: it says nothing about the request under way.
        error.from_caller = True
        raise
    if inspect.isawaitable(verdict):
        if inspect.iscoroutine(verdict):
            verdict.close()
        raise _bad("addressGuard", "a callable that returns True or False, got something to be awaited")
    if verdict and verdict is not True:
        # A word, a list or a generator is true, whatever it was meant to say.
        raise _bad("addressGuard", f"a callable that returns True or False, got {type(verdict).__name__}")
    return bool(verdict)


def is_public(address: str) -> bool:
    """Whether `address` is one of the open internet, and not of a network of one's own or of no use for a connection.

    Refused are private, shared, loopback, link-local, site-local, multicast, reserved, documentation and benchmarking
    addresses, those with an IPv6 zone, and those that carry such an IPv4 address inside (mapped, NAT64, 6to4, Teredo,
    ISATAP). Text that is no address is refused.
    """
    parsed = _parse(address)
    if parsed is None:
        return False
    if isinstance(parsed, IPv4Address):
        return _is_public_v4(parsed)
    return parsed.scope_id is None and _is_public_v6(parsed)


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None


def _is_public_v4(address: IPv4Address) -> bool:
    return not any(address in network for network in _REFUSED_V4)


def _is_public_v6(address: IPv6Address) -> bool:
    embedded = _embedded_v4(address)
    if not all(map(_is_public_v4, embedded)):
        return False
    if any(address in network for network in (*_EMBEDDING, _SIX_TO_FOUR, _TEREDO)):
        return True
    return address in _UNICAST_V6 and not any(address in network for network in _REFUSED_V6)


def _embedded_v4(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that a gateway or tunnel on the way would take out of `address`."""
    bits = int(address)
    last = bits & 0xFFFFFFFF
    if any(address in network for network in _EMBEDDING):
        return [IPv4Address(last)]
    if address in _TEREDO:  # the server, and the client with every bit turned over (RFC 4380 section 4)
        return [IPv4Address(bits >> 64 & 0xFFFFFFFF), IPv4Address(last ^ 0xFFFFFFFF)]
    found: list[IPv4Address] = []
    if address in _SIX_TO_FOUR:
        found.append(IPv4Address(bits >> 80 & 0xFFFFFFFF))
    if bits >> 32 & _ISATAP_MASK == _ISATAP:
        found.append(IPv4Address(last))
    return found


def _bad(name: str, expected: str) -> AtomHTTPOptionError:
    return AtomHTTPOptionError(f"{name}: expected {expected}", "ERR_BAD_OPTION_VALUE")
