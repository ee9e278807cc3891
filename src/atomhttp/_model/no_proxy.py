"""NO_PROXY: which hosts are spoken to directly although the environment names a proxy.

There is no standard, and curl, Go, requests, undici and axios differ. What is kept here is what they agree on, and
where they do not, what most of their users rely on:

| Entry | Matches |
|---|---|
| `*` | everything |
| `example.com`, `.example.com` | that host and its sub-domains, at a dot only: not `notexample.com` (curl, requests) |
| `*.example.com` | the sub-domains only (Go, axios) |
| `192.0.2.1`, `0xc0.0.2.1`, `::1`, `[::1]` | that address, however it is spelt; `::ffff:192.0.2.1` is `192.0.2.1` |
| `10.0.0.0/8`, `fd00::/8` | the addresses of that network; a name is not looked up for it |
| `localhost`, `127.x.x.x`, `0.0.0.0`, `::1`, `::`, a network in `127.0.0.0/8` | all these, and `*.localhost` (axios) |
| any but a network, and `:8080` behind it (`[::1]:8080`) | the same, on that port only |

Entries stand between commas, blanks or both; case and a final dot do not matter; names may be in Unicode. What is none
of these is ignored, as everybody does: a slip in a variable of the machine must not break every program on it.

Hosts go through the one URL parser on both sides: two readings of one host are how such lists are got around
(CVE-2025-62718, CVE-2026-42038, CVE-2026-44492, CVE-2025-22870).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple

from atomhttp._lazy_pattern import lazy_pattern
from atomhttp._model.url import MAX_HOST, parse_url
from atomhttp.errors import AtomHTTPURLError

# No host is longer, even with every character percent-encoded and a port: so no entry costs more than that to read.
_MAX_ENTRY: Final = 3 * MAX_HOST + 6
_ENTRY: Final = lazy_pattern(r"(\[[^\[\]]*\]|[^\[\]:@?#\\]+)(?::([0-9]{1,5}))?")
_NETWORK: Final = lazy_pattern(r"\[?([0-9a-f.:]+)\]?/([0-9]{1,3})", re.IGNORECASE)
# The first 96 bits of an IPv4 address in IPv6 clothes (RFC 4291 section 2.5.5.2).
_MAPPED_PREFIX: Final = 96


class NoProxy:
    """The hosts of a NO_PROXY variable.

    Args:
        text: the variable's value.
    """

    __slots__ = ("_rules", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        rules = (_read_entry(entry) for entry in text.replace(",", " ").split())
        self._rules = tuple(rule for rule in rules if rule is not None)

    def matches(self, host: str, port: int) -> bool:
        """Whether `host`, as `Target.host` has it, is to be reached directly at `port`."""
        if not self._rules:
            return False
        place = _Place.of(host, port)
        return any(rule.covers(place) for rule in self._rules)

    def __repr__(self) -> str:
        return f"NoProxy({self._text[:200]!r})"


class _Place(NamedTuple):
    """Where a request goes, as rules look at it. `name` is empty for an address."""

    name: str
    address: IPv4Address | IPv6Address | None
    is_loopback: bool
    port: int

    @classmethod
    def of(cls, host: str, port: int) -> _Place:
        address = _read_address(host)
        if address is not None:
            return cls("", address, _is_this_machine(address), port)
        name = host.rstrip(".")
        # RFC 6761 section 6.3: every name below localhost is one.
        return cls(name, None, name == "localhost" or name.endswith(".localhost"), port)


class _Rule(NamedTuple):
    """One entry; `port` None is any port."""

    port: int | None = None
    everything: bool = False
    loopback: bool = False
    network: IPv4Network | IPv6Network | None = None
    domain: str = ""
    itself: bool = True

    def covers(self, place: _Place) -> bool:
        if self.port is not None and self.port != place.port:
            return False
        if self.everything or (self.loopback and place.is_loopback):
            return True
        if self.network is not None:
            return place.address is not None and place.address in self.network
        # Sub-domains are a matter of names: `.0.0.1` says nothing about 127.0.0.1.
        return (self.itself and place.name == self.domain) or place.name.endswith(f".{self.domain}")


def _read_entry(entry: str) -> _Rule | None:
    """The rule of one entry; None when it is none."""
    if len(entry) > _MAX_ENTRY:
        return None
    if "/" in entry:
        return _read_network(entry)
    if entry.count(":") > 1 and "[" not in entry:
        entry = f"[{entry}]"
    match = _ENTRY.fullmatch(entry)
    if match is None:
        return None
    host, port = match[1], int(match[2]) if match[2] else None
    if host == "*":
        return _Rule(port, everything=True)
    return _read_host(host, port)


def _read_network(entry: str) -> _Rule | None:
    match = _NETWORK.fullmatch(entry)
    if match is None:
        return None
    try:
        network = ip_network(f"{match[1]}/{match[2]}", strict=False)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_PREFIX:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            network = IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX))
    return _Rule(network=network, loopback=network.is_loopback)


def _read_host(host: str, port: int | None) -> _Rule | None:
    below_only = host.startswith("*.")
    bare = host[2:] if below_only else host.removeprefix(".")
    try:
        name = parse_url(f"http://{bare}/").host.rstrip(".")
    except AtomHTTPURLError:
        return None
    if not name or "*" in name:
        return None
    address = _read_address(name)
    if address is None:
        return _Rule(port, domain=name, itself=not below_only, loopback=name == "localhost" and not below_only)
    if bare is not host:
        return None
    return _Rule(port, network=ip_network(address), loopback=_is_this_machine(address))


def _is_this_machine(address: IPv4Address | IPv6Address) -> bool:
    """Loopback, or unspecified, which leads to the same place when it is connected to."""
    return address.is_loopback or address.is_unspecified


def _read_address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that `host` is, in the spelling of the URL parser; IPv4 in IPv6 clothes is IPv4. None for a name."""
    # What the parser takes for an address ends in a digit or has a colon; the rest is spared an exception.
    if not host or not (":" in host or host[-1].isdigit()):
        return None
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
