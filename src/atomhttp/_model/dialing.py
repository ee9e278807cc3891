"""How names become addresses, and addresses connections, where the caller has ideas of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from atomhttp._model.checks import bad_value
from atomhttp._model.url import parse_url
from atomhttp.errors import AtomHTTPURLError


class HostTable(Mapping[str, tuple[str, ...]]):
    """Names, in lower case, with the addresses that they stand for (the `hosts` option).

    Part of a pool's key, so it has a hash: it does not change once it has been made, and equals nothing but itself.
    """

    __slots__ = ("_addresses",)

    def __init__(self, addresses: dict[str, tuple[str, ...]]) -> None:
        self._addresses = addresses

    def __getitem__(self, host: str) -> tuple[str, ...]:
        return self._addresses[host]

    def __iter__(self) -> Iterator[str]:
        return iter(self._addresses)

    def __len__(self) -> int:
        return len(self._addresses)

    def __repr__(self) -> str:
        return repr(self._addresses)

    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]  # a Mapping has none; this one is never changed
    __eq__ = object.__eq__


class Dialing(NamedTuple):
    """What a client, or a call, says about connecting.

    Attributes:
        hosts: a table that is looked into first.
        resolver: asked instead of the system: (host, port) -> addresses.
        local_address: (address, port) to connect from.
        guard: which addresses may be connected to: "public" or a function.
    """

    hosts: HostTable | None = None
    resolver: Callable[..., Any] | None = None
    local_address: tuple[str, int] | None = None
    guard: Any = None

    def __hash__(self) -> int:
        # Functions are compared, and need not have a hash (an instance of a dataclass has none).
        return hash((self.hosts, self.local_address))


def check_hosts(name: str, value: Mapping[Any, Any] | None) -> HostTable | None:
    """The `hosts` option: names with an address, or several in the order of preference."""
    if value is None or isinstance(value, HostTable):
        return value
    if not isinstance(value, Mapping):
        raise bad_value(name, value, "a mapping of host names to IP addresses, or None")
    table: dict[str, tuple[str, ...]] = {}
    for host, given in value.items():
        if not isinstance(host, str) or not host.strip("."):
            raise bad_value(name, host, "host names as keys")
        addresses = _as_list(given)
        if not addresses:
            raise bad_value(f"{name}[{host!r}]", given, "an IP address or a list of them")
        table[_ascii(name, host)] = tuple(_address(f"{name}[{host!r}]", item) for item in addresses)
    return HostTable(table)


def _as_list(given: Any) -> list[Any]:
    single = isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable)
    return [given] if single else [*given]


def _ascii(name: str, host: str) -> str:
    """The name as a URL's host is spelt."""
    if any(char in host for char in "/:@?#[]*"):
        raise bad_value(name, host, "plain host names as keys, without scheme, port or *")
    try:
        found = parse_url(f"http://{host}/").host.rstrip(".")
    except AtomHTTPURLError as error:
        raise bad_value(name, host, "host names as keys") from error
    if found.rpartition(".")[2].isdigit():
        # The URL parser has made an IPv4 address of it, in whatever spelling it was.
        raise bad_value(name, host, "host names as keys: an address is never looked up")
    return found


def _address(name: str, value: object) -> str:
    from ipaddress import IPv4Address, IPv6Address, ip_address  # 2 ms of every start

    # A number is an address to `ipaddress`, and so are four bytes; here they are mistakes.
    if not isinstance(value, (str, IPv4Address, IPv6Address)):
        raise bad_value(name, value, "an IP address")
    try:
        return str(ip_address(value))
    except ValueError:
        raise bad_value(name, value, "an IP address") from None


def check_local_address(name: str, value: str | tuple[Any, ...] | list[Any] | None) -> tuple[str, int] | None:
    """The `localAddress` option: an address, or an address and a port."""
    if value is None:
        return None
    pair = value if isinstance(value, (tuple, list)) else (value, 0)
    if len(pair) != 2 or not isinstance(pair[1], int) or isinstance(pair[1], bool) or not 0 <= pair[1] <= 65535:
        raise bad_value(name, value, "an IP address of this machine, or (address, port)")
    return (_address(name, pair[0]), pair[1])
