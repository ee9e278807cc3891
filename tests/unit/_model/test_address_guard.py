from __future__ import annotations

import functools
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._model.address_guard import allows, check_address_guard, is_public
from atomhttp.errors import AtomHTTPOptionError
from support.naming import described

REFUSED_NETWORKS = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
    *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
    *("2001:db8::/32", "3fff::/20", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "100::/64", "5f00::/16"),
    *("64:ff9b:1::/48", "4000::/2", "8000::/1"),
    # Of the protocol assignments, behind Teredo.
    *("2001:1::/32", "2001:2::/48", "2001:10::/28", "2001:20::/28", "2001:1ff::/32"),
]


@pytest.mark.parametrize("network", REFUSED_NETWORKS)
def test_a_refused_network_is_refused_from_end_to_end(network: str) -> None:
    kind = IPv6Network if ":" in network else IPv4Network
    refused = kind(network)
    first, last = refused[0], refused[-1]
    middle = refused[refused.num_addresses // 2]
    assert [is_public(str(each)) for each in (first, middle, last)] == [False] * 3
    if isinstance(first, IPv4Address):
        for wrapped in (f"::ffff:{first}", f"64:ff9b::{last}", f"::{middle}"):
            assert not is_public(wrapped)


@pytest.mark.parametrize(
    "address",
    [
        # The last before, or the first behind, a refused network.
        *("1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"),
        *("168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0"),
        *("191.255.255.255", "192.0.1.0", "192.0.1.255", "192.0.3.0", "192.88.98.255", "192.88.100.0"),
        *("192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0"),
        *("203.0.112.255", "203.0.114.0", "223.255.255.255"),
        *("2000::", "2001:200::", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::", "3ffe:ffff::1"),
        *("3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        # Well-known ones.
        *("8.8.8.8", "1.1.1.1", "93.184.216.34", "192.31.196.1", "192.52.193.1", "192.175.48.1", "223.5.5.5"),
        *("2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001:81b::200e", "2620:fe::fe", "2400:cb00::1"),
        # An open IPv4 address inside.
        *("::ffff:8.8.8.8", "::ffff:808:808", "::8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::8.8.8.8", "64:ff9b::808:808"),
        *("2002:808:808::1", "2002:808:808::", "2001:0:808:808:0:ffff:f7f7:f7f7", "2606:4700::5efe:8.8.8.8"),
        "2606:4700::200:5efe:808:808",
    ],
)
def test_addresses_of_the_open_internet(address: str) -> None:
    assert is_public(address)
    assert allows("public", address, 443, "host.test")


@pytest.mark.parametrize(
    "address",
    [
        # What an attacker would ask for.
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.0.0.1", "10.0.0.1", "172.31.255.255", "192.168.1.1"),
        *("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "255.255.255.255"),
        *("224.0.0.1", "239.255.255.255", "240.0.0.1", "198.19.255.255", "192.0.0.9", "192.0.0.170", "100.127.255.255"),
        *("::", "::1", "::2", "::ffff", "fe80::1", "febf::1", "fec0::1", "feff::1", "fc00::1", "fdff::1", "ff02::1"),
        *("fd00:ec2::254", "fd20:ce::254", "2001:db8::1", "2001:db8:ffff::1", "100::1", "100:0:0:1::1", "5f00::1"),
        *("1fff:ffff::1", "4000::1", "e000::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1::1", "2001:4:112::1"),
        # The same, in IPv6 clothes.
        *("::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0"),
        *("0:0:0:0:0:ffff:192.168.0.1", "::127.0.0.1", "::10.0.0.1", "::a9fe:a9fe", "::ffff:0:127.0.0.1"),
        *("64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b::169.254.169.254", "64:ff9b::", "64:ff9b::255.255.255.255"),
        *("64:ff9b:1::8.8.8.8", "64:ff9b:1:ffff::1", "64:ff9b:0:1::8.8.8.8", "64:ff9a::8.8.8.8"),
        *("2002:7f00:1::1", "2002:a00:1::", "2002:c0a8:101::1", "2002:a9fe:a9fe::", "2002::", "2002:e000:1::"),
        # Teredo: the client's address is turned over, the server's is not; either may be the wrong one.
        *("2001:0:808:808:0:ffff:80ff:fffe", "2001:0:808:808::f5ff:fffe", "2001:0:7f00:1::f7f7:f7f7", "2001::"),
        "2001:0:a00:1:0:ffff:f7f7:f7f7",
        # ISATAP, and ISATAP inside 6to4.
        *("2606:4700::5efe:127.0.0.1", "2606:4700::200:5efe:10.0.0.1", "fe80::5efe:8.8.8.8"),
        *("2002:808:808::5efe:127.0.0.1", "2606:4700::5efe:a9fe:a9fe"),
        # Zones.
        *("fe80::1%eth0", "fe80::1%1", "::1%lo", "2606:4700:4700::1111%eth0", "::ffff:8.8.8.8%eth0"),
        # No addresses.
        *("", " ", "localhost", "example.com", "8.8.8", "8.8.8.8.8", "08.8.8.8", "010.8.8.8", "0x8.8.8.8", "134744072"),
        *("8.8.8.8/32", "8.8.8.8:80", "[2606:4700:4700::1111]", "8.8.8.8 ", "8.8.8.8\n", "2606:::1", "/run/x.sock"),
        *("８.8.8.8", "8.8.8.8%eth0", "\x00", "2606:4700:4700::1111%"),
    ],
)
def test_addresses_that_are_refused(address: str) -> None:
    assert not is_public(address)
    assert not allows("public", address, 443, "host.test")
    assert allows(None, address, 443, "host.test")


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_wherever_an_ipv4_address_is_found_the_verdict_is_its_own(address: IPv4Address) -> None:
    verdict, bits = is_public(str(address)), int(address)
    wrapped = [
        IPv6Address(0xFFFF << 32 | bits),
        IPv6Address(bits),
        IPv6Address(0xFFFF << 48 | bits),
        IPv6Address(0x64FF9B << 96 | bits),
        IPv6Address(0x2002 << 112 | bits << 80 | 1),
        IPv6Address(0x2001 << 112 | 0x08080808 << 64 | bits ^ 0xFFFFFFFF),
        IPv6Address(0x2606 << 112 | 0x5EFE << 32 | bits),
    ]
    assert [is_public(str(each)) for each in wrapped] == [verdict] * len(wrapped)


# Global by the registry, or by no registry, but refused: there is nothing on them that a client would ask for.
STRICTER = [
    *("192.0.0.9/32", "192.0.0.10/32", "192.88.99.0/24", "224.0.0.0/4", "168.63.129.16/32"),
    *("::/3", "2001::/23", "2002::/16", "4000::/2", "8000::/1", "3fff::/20"),
]


@given(st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_nothing_is_public_that_python_holds_for_private(address: IPv4Address | IPv6Address) -> None:
    if is_public(str(address)):
        mapped = getattr(address, "ipv4_mapped", None)
        assert (mapped or address).is_global or any(address in IPv6Network(each) for each in ("::/3", "2002::/16"))
    elif address.is_global:
        assert any(address in (IPv6Network if ":" in each else IPv4Network)(each) for each in STRICTER)


# Callables


def test_a_callable_gets_as_much_as_it_asks_for() -> None:
    seen: list[tuple[Any, ...]] = []

    def one(address: Any) -> bool:
        seen.append((address,))
        return True

    def two(address: Any, port: int) -> bool:
        seen.append((address, port))
        return True

    def three(address: Any, port: int, host: str) -> bool:
        seen.append((address, port, host))
        return True

    def optional(address: Any, port: int = 7, *more: Any) -> bool:
        seen.append((address, port, *more))
        return True

    def everything(*given: Any) -> bool:
        seen.append(given)
        return True

    class Guard:
        def __call__(self, address: Any, port: int) -> bool:
            return two(address, port)

        def method(self, address: Any, port: int, host: str) -> bool:
            return three(address, port, host)

    for guard in (one, two, three, optional, everything, Guard(), Guard().method, functools.partial(two, port=9)):
        assert allows(check_address_guard("addressGuard", guard), "192.0.2.1", 443, "host.test")
    address = IPv4Address("192.0.2.1")
    whole = (address, 443, "host.test")
    assert seen == [whole[:1], whole[:2], whole, (address, 7), whole[:1], whole[:2], whole, (address, 9)]


@pytest.mark.parametrize(
    ("verdict", "allowed"),
    [(True, True), (False, False), (None, False), (0, False), ("", False)],
)
def test_what_is_not_true_refuses(verdict: object, allowed: bool) -> None:
    assert allows(lambda address: verdict, "8.8.8.8", 443, "host.test") is allowed


@pytest.mark.parametrize("verdict", ["no", 1, [1], (False,)])
def test_nothing_is_allowed_by_what_is_only_like_true(verdict: object) -> None:
    with pytest.raises(AtomHTTPOptionError, match="addressGuard: expected a callable that returns True or False, got"):
        allows(lambda address: verdict, "8.8.8.8", 443, "host.test")


def test_a_callable_sees_what_is_connected_to() -> None:
    for text in ("10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1", "fe80::1%eth0"):
        assert allows(lambda address, text=text: address == ip_address(text), text, 443, "host.test")
    asked: list[Any] = []
    assert not allows(lambda address: asked.append(address) or True, "/run/x.sock", 0, "localhost")
    assert asked == []


def test_what_a_callable_raises_passes_through() -> None:
    class MineError(Exception):
        pass

    def guard(address: Any) -> bool:
        raise MineError(address)

    with pytest.raises(MineError):
        allows(guard, "8.8.8.8", 443, "host.test")


def test_a_verdict_to_be_awaited_is_refused_and_closed() -> None:
    made: list[Any] = []

    async def verdict() -> bool:
        return False

    def guard(address: Any) -> Any:
        made.append(verdict())
        return made[0]

    class Awaitable:
        def __await__(self) -> Any:
            yield

    for each in (guard, lambda address: Awaitable()):
        with pytest.raises(AtomHTTPOptionError, match="addressGuard: expected a callable that returns") as caught:
            allows(each, "8.8.8.8", 443, "host.test")
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert made[0].cr_frame is None  # closed: nothing warns that it was never awaited


# The option


def test_what_is_kept() -> None:
    assert check_address_guard("addressGuard", None) is None
    assert check_address_guard("addressGuard", "public") == "public"
    assert check_address_guard("addressGuard", is_public) is is_public


async def asynchronous(address: Any) -> bool:
    return True


class Asynchronous:
    async def __call__(self, address: Any) -> bool:
        return True


@pytest.mark.parametrize(
    ("value", "told"),
    [
        *(("private", "got 'private'"), ("", "got ''"), (True, "got True"), (False, "got False"), (1, "got 1")),
        *((b"public", "got bytes"), (["public"], "got list"), ({}, "got dict"), (IPv4Address, "got type")),
        *((asynchronous, "not async"), (Asynchronous(), "not async"), (functools.partial(asynchronous), "not async")),
        (lambda a, b, c, d: True, "it requires more"),
    ],
    ids=described,
)
def test_what_is_refused(value: Any, told: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^addressGuard: expected") as caught:
        check_address_guard("addressGuard", value)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert told in str(caught.value)
