from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from atomhttp import AtomHTTPOptionError
from atomhttp._model.dialing import Dialing, HostTable, check_hosts, check_local_address
from support.naming import described


def hosts(value: Any) -> dict[str, tuple[str, ...]]:
    table = check_hosts("hosts", value)
    assert table is not None
    return dict(table)


# hosts


def test_names_are_kept_as_a_urls_host_is_spelt() -> None:
    assert hosts({"API.Test": "127.0.0.1", "dotted.test.": "127.0.0.2", "münchen.test": "127.0.0.3"}) == {
        "api.test": ("127.0.0.1",),
        "dotted.test": ("127.0.0.2",),
        "xn--mnchen-3ya.test": ("127.0.0.3",),
    }
    # A digit at the end makes no address of it.
    assert hosts({"server1": "10.0.0.1", "a.s3": "10.0.0.2", "under_score": "10.0.0.3"}) == {
        "server1": ("10.0.0.1",),
        "a.s3": ("10.0.0.2",),
        "under_score": ("10.0.0.3",),
    }


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("127.0.0.1", ("127.0.0.1",)),
        ("::1", ("::1",)),
        ("0:0::0:1", ("::1",)),
        (IPv4Address("10.0.0.1"), ("10.0.0.1",)),
        (IPv6Address("fd00::1"), ("fd00::1",)),
        (["127.0.0.2", "::1"], ("127.0.0.2", "::1")),
        (("127.0.0.2", IPv4Address("127.0.0.3")), ("127.0.0.2", "127.0.0.3")),
        (iter(["127.0.0.2"]), ("127.0.0.2",)),
        ("fe80::1%lo", ("fe80::1%lo",)),
    ],
    ids=["IPv4", "IPv6", "long IPv6", "IPv4Address", "IPv6Address", "list", "tuple", "iterator", "zone"],
)
def test_addresses(given: Any, kept: Any) -> None:
    assert hosts({"a.test": given}) == {"a.test": kept}


@pytest.mark.parametrize(
    "value",
    [
        *([("a", "127.0.0.1")], "a=127.0.0.1", 1, {"a"}),
        *({1: "::1"}, {None: "::1"}, {"": "::1"}, {".": "::1"}, {b"a": "::1"}),
        *({"a b": "::1"}, {"a%zz": "::1"}, {"x" * 300: "::1"}, {"a..b\x00": "::1"}),
        *({"http://a": "::1"}, {"a:80": "::1"}, {"a/b": "::1"}, {"u@a": "::1"}, {"[::1]": "::1"}, {"::1": "::1"}),
        *({"127.0.0.1": "::1"}, {"127.1": "::1"}, {"0x7f000001": "::1"}, {"2130706433.": "::1"}),
        *({"a": None}, {"a": []}, {"a": ""}, {"a": "b"}, {"a": "127.0.0.1:80"}, {"a": "[::1]"}, {"a": "127.1"}),
        *({"a": 1}, {"a": True}, {"a": b"\x7f\0\0\1"}, {"a": [1]}, {"a": ["127.0.0.1", None]}, {"a": {"::1": 1}}),
        {"a": ("127.0.0.1", 80)},
    ],
    ids=described,
)
def test_wrong_tables(value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^hosts") as caught:
        check_hosts("hosts", value)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert "expected" in str(caught.value)


def test_no_table_is_none_and_a_table_stays_itself() -> None:
    assert check_hosts("hosts", None) is None
    table = check_hosts("hosts", {"a": "::1"})
    assert check_hosts("hosts", table) is table
    assert hosts({}) == {}


def test_a_table_does_not_change() -> None:
    """It is part of what connections are kept by."""
    given = {"a.test": ["127.0.0.1"]}
    table = check_hosts("hosts", given)
    assert table is not None
    given["a.test"].append("10.0.0.1")
    given["b.test"] = ["10.0.0.1"]
    assert dict(table) == {"a.test": ("127.0.0.1",)}
    with pytest.raises((TypeError, AttributeError)):
        table["b.test"] = ("x",)  # type: ignore[index]  # on purpose
    for name in ("update", "clear", "pop", "setdefault"):
        assert not hasattr(table, name)
    assert repr(table) == "{'a.test': ('127.0.0.1',)}"


def test_tables_equal_nothing_but_themselves() -> None:
    one, other = HostTable({"a": ("::1",)}), HostTable({"a": ("::1",)})
    assert one == one  # noqa: PLR0124  # that is what is asked
    assert one != other
    assert len({one, other, one}) == 2


# localAddress


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        ("127.0.0.2", ("127.0.0.2", 0)),
        ("::1", ("::1", 0)),
        (IPv4Address("127.0.0.2"), ("127.0.0.2", 0)),
        (("127.0.0.2", 0), ("127.0.0.2", 0)),
        (["127.0.0.2", 65535], ("127.0.0.2", 65535)),
        ((IPv6Address("::1"), 80), ("::1", 80)),
    ],
    ids=["None", "IPv4", "IPv6", "IPv4Address", "any port", "last port", "IPv6 and port"],
)
def test_local_addresses(given: Any, kept: Any) -> None:
    assert check_local_address("localAddress", given) == kept


@pytest.mark.parametrize(
    "value",
    [
        *("", "localhost", "127.0.0.1:80", "[::1]", 127, 2130706433, True, b"\x7f\0\0\1", [], {}, {"a": 1}),
        *(("127.0.0.1",), ("127.0.0.1", 80, 1), ("127.0.0.1", "80"), ("127.0.0.1", -1), ("127.0.0.1", 65536)),
        *(("127.0.0.1", True), ("127.0.0.1", 1.0), (None, 80), (1, 80), (b"\x7f\0\0\1", 80), ("a", 80)),
    ],
    ids=described,
)
def test_wrong_local_addresses(value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^localAddress: expected an IP address") as caught:
        check_local_address("localAddress", value)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


# As part of a pool's key


def test_equal_dialings_are_one_key_and_others_are_not() -> None:
    def one(*_: Any) -> Any: ...

    def other(*_: Any) -> Any: ...

    table = HostTable({"a": ("::1",)})
    assert Dialing(table, one, ("::1", 0), "public") == Dialing(table, one, ("::1", 0), "public")
    assert hash(Dialing(table, one)) == hash(Dialing(table, one))
    different = {
        Dialing(),
        Dialing(table),
        Dialing(HostTable({"a": ("::1",)})),
        Dialing(resolver=one),
        Dialing(resolver=other),
        Dialing(local_address=("::1", 0)),
        Dialing(local_address=("::1", 1)),
        Dialing(guard="public"),
        Dialing(guard=one),
    }
    assert len(different) == 9


def test_functions_need_no_hash() -> None:
    @dataclasses.dataclass
    class Guard:
        allowed: list[str]

        def __call__(self, address: Any) -> bool:
            return str(address) in self.allowed

    assert len({Dialing(guard=Guard(["::1"])), Dialing(guard=Guard(["::1"])), Dialing(guard=Guard([]))}) == 2
