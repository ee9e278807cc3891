from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._model.no_proxy import NoProxy
from atomhttp._model.url import parse_url


def bypasses(entries: str, url: str) -> bool:
    target = parse_url(url)
    return NoProxy(entries).matches(target.host, target.port)


# The reference: (NO_PROXY, the URLs that are reached directly, those that go through the proxy).
VERDICTS = [
    # Nothing, and everything.
    ("", [], ["http://example.com", "http://localhost", "http://127.0.0.1"]),
    (" , ,, \t ", [], ["http://example.com", "http://localhost"]),
    ("*", ["http://example.com", "https://127.0.0.1:99", "http://[2001:db8::1]"], []),
    ("other.test, *", ["http://example.com"], []),
    ("*:8080", ["http://example.com:8080", "http://[::1]:8080"], ["http://example.com", "http://localhost"]),
    # Names: the host and what is below it, at a dot only.
    (
        "example.com",
        ["http://example.com", "http://www.example.com", "http://a.b.example.com:8080", "http://EXAMPLE.com."],
        ["http://notexample.com", "http://example.com.evil.test", "http://example.org", "http://com", "http://example"],
    ),
    (".example.com", ["http://example.com", "http://www.example.com"], ["http://notexample.com"]),
    (
        "*.example.com",
        ["http://www.example.com", "http://a.b.example.com", "http://www.example.com."],
        ["http://example.com", "http://notexample.com"],
    ),
    ("EXAMPLE.Com.", ["http://example.com", "http://www.example.com."], ["http://example.net"]),
    ("example.com...", ["http://example.com"], []),
    ("com", ["http://example.com", "http://com"], ["http://example.org"]),
    ("internal", ["http://internal", "http://a.internal"], ["http://internal.test"]),
    ("under_score.test", ["http://under_score.test"], []),
    # IDN, in either spelling.
    ("bücher.example", ["http://xn--bcher-kva.example", "http://shop.bücher.example"], ["http://bucher.example"]),
    ("XN--BCHER-KVA.example", ["http://bücher.example"], []),
    (".BÜCHER.example", ["http://www.bücher.example"], []),
    ("example。com", ["http://example.com"], []),
    # Lists: commas, blanks, both; all entries count.
    ("a.test,b.test", ["http://a.test", "http://b.test"], ["http://c.test"]),
    ("a.test b.test\tc.test\n", ["http://a.test", "http://b.test", "http://c.test"], ["http://d.test"]),
    (" a.test , b.test ,", ["http://a.test", "http://b.test"], ["http://c.test"]),
    # Ports: of the URL, or of its scheme.
    ("example.com:8080", ["http://example.com:8080", "http://www.example.com:8080"], ["http://example.com"]),
    ("example.com:443", ["https://example.com"], ["http://example.com", "https://example.com:8443"]),
    ("example.com:80", ["http://example.com"], ["https://example.com"]),
    (".example.com:8080", ["http://www.example.com:8080"], ["http://www.example.com:8081"]),
    ("*.example.com:8080", ["http://www.example.com:8080"], ["http://www.example.com", "http://example.com:8080"]),
    ("10.1.2.3:8080", ["http://10.1.2.3:8080"], ["http://10.1.2.3"]),
    ("[2001:db8::1]:8080", ["http://[2001:db8::1]:8080"], ["http://[2001:db8::1]"]),
    # Addresses have no sub-domains, and are no suffixes of each other.
    ("10.1.2.3", ["http://10.1.2.3", "https://10.1.2.3:8443"], ["http://10.1.2.30", "http://110.1.2.3"]),
    (".2.3", [], ["http://10.1.2.3"]),
    ("2.3", ["http://2.0.0.3"], ["http://10.1.2.3"]),
    ("*.10.1.2.3", [], ["http://10.1.2.3"]),
    (".10.1.2.3", [], ["http://10.1.2.3"]),
    ("3", ["http://0.0.0.3"], ["http://10.1.2.3", "http://3.test"]),
    # IPv4, however it is spelt, on both sides.
    ("0xa.1.2.3", ["http://10.1.2.3"], []),
    ("012.1.2.3", ["http://10.1.2.3"], ["http://12.1.2.3"]),
    ("167838211", ["http://10.1.2.3"], []),
    ("10.66051", ["http://10.1.2.3"], []),
    ("10.1.2.3.", ["http://10.1.2.3", "http://10.1.2.3."], []),
    ("１０.1.2.3", ["http://10.1.2.3"], []),
    ("10.1.2.3", ["http://0xa010203", "http://167838211", "http://012.1.2.3", "http://10.1.515"], []),
    # IPv6: with brackets or without, however it is spelt; IPv4 in it is IPv4.
    ("2001:db8::1", ["http://[2001:db8::1]", "http://[2001:DB8:0:0::0:1]:99"], ["http://[2001:db8::2]"]),
    ("[2001:DB8::0001]", ["http://[2001:db8::1]"], ["http://[2001:db8::11]"]),
    ("::ffff:10.1.2.3", ["http://10.1.2.3", "http://[::ffff:a01:203]"], ["http://10.1.2.4"]),
    ("[::ffff:a01:203]:80", ["http://10.1.2.3"], ["https://10.1.2.3"]),
    ("10.1.2.3", ["http://[::ffff:10.1.2.3]", "http://[::ffff:a01:203]"], ["http://[::10.1.2.3]"]),
    # Networks.
    ("10.0.0.0/8", ["http://10.0.0.0", "http://10.255.255.255:99"], ["http://9.255.255.255", "http://11.0.0.0"]),
    ("10.1.2.3/8", ["http://10.9.9.9"], ["http://11.1.2.3"]),
    ("192.0.2.128/25", ["http://192.0.2.128", "http://192.0.2.255"], ["http://192.0.2.127", "http://192.0.3.0"]),
    ("192.0.2.1/32", ["http://192.0.2.1"], ["http://192.0.2.0"]),
    ("0.0.0.0/0", ["http://10.1.2.3", "http://[::ffff:1.2.3.4]"], ["http://name.test", "http://[2001:db8::1]"]),
    ("10.0.0.0/8", ["http://[::ffff:10.9.9.9]"], ["http://10.example.com", "http://10"]),
    ("2001:db8::/32", ["http://[2001:db8:ffff::1]"], ["http://[2001:db9::1]", "http://32.1.13.184"]),
    ("[2001:db8::]/32", ["http://[2001:db8::1]"], []),
    ("::/0", ["http://[2001:db8::1]"], ["http://10.1.2.3", "http://name.test"]),
    ("::ffff:10.0.0.0/104", ["http://10.9.9.9", "http://[::ffff:a09:909]"], ["http://11.0.0.1"]),
    # Loopbacks are one place, whatever they are called.
    *(
        (
            entry,
            [
                *("http://localhost", "http://LOCALHOST.", "http://127.0.0.1", "http://127.9.9.9", "http://[::1]"),
                *("http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]", "http://0x7f.1", "http://2130706433"),
                *("http://017700000001", "http://127.1", "http://１２７.0.0.1", "http://app.localhost"),
                *("http://0.0.0.0", "http://0", "http://[::]", "http://[::ffff:0.0.0.0]"),
            ],
            ["http://128.0.0.1", "http://126.255.255.255", "http://[::2]", "http://localhost.test", "http://0.0.0.1"],
        )
        for entry in (
            *("localhost", "LocalHost.", ".localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]", "0:0::1", "127.1"),
            *("0x7f.1", "0177.0.0.1", "2130706433", "::ffff:127.0.0.1", "127.0.0.0/8", "::1/128", "127.0.0.1/32"),
            *("0.0.0.0", "::", "[::]", "0"),
        )
    ),
    ("localhost:3000", ["http://127.0.0.1:3000", "http://[::1]:3000"], ["http://localhost", "http://127.0.0.1:3001"]),
    ("[::1]:3000", ["http://localhost:3000"], ["http://[::1]"]),
    # Networks that merely contain a loopback say nothing about names; nor does one name below localhost.
    ("0.0.0.0/0", ["http://127.0.0.1"], ["http://localhost", "http://[::1]"]),
    ("app.localhost", ["http://app.localhost", "http://x.app.localhost"], ["http://localhost", "http://127.0.0.1"]),
    ("*.localhost", ["http://app.localhost"], ["http://localhost", "http://127.0.0.1"]),
    ("localhost.localdomain", ["http://localhost.localdomain"], ["http://localhost"]),
]


@pytest.mark.parametrize(("entries", "direct", "proxied"), VERDICTS, ids=[each[0] or "nothing" for each in VERDICTS])
def test_verdicts(entries: str, direct: list[str], proxied: list[str]) -> None:
    assert [url for url in [*direct, *proxied] if bypasses(entries, url)] == direct


MALFORMED = [
    *("http://example.com", "example.com/", "example.com/24", "user@example.com", "example.com?", "example.com#x"),
    *("example.com:", "example.com:http", "example.com:-1", "example.com:999999", ":80", ":", "[", "]", "[]", "[]:80"),
    *("[::1", "::1]", "[::1]x", "[::1]:", "::1%eth0", "[::1%25eth0]", "fe80::%eth0/64", "[example.com]", "<local>"),
    *(".", "..", "*.", "*.*", "**", "*example.com", "ex*mple.com", "www.*.com", "-", "%", "%zz", "\\", "a\\b", "\x00"),
    *("10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "/8", "10/8", "192.168/16", "10.0.0.0/255.0.0.0", "10.0.0.0/8:80"),
    *("010.0.0.0/8", "0xa.0.0.0/8", "2001:db8::/129", "1.2.3.4.5", "256.1.1.1", "1..2", "\ud800.test", "::1::", "1:2"),
]


@pytest.mark.parametrize("entry", MALFORMED)
def test_malformed_entries_are_ignored(entry: str) -> None:
    urls = ["http://example.com", "http://10.1.2.3", "http://localhost", "http://[fe80::1]", "http://192.168.1.1"]
    assert [url for url in urls if bypasses(entry, url)] == []
    # They do not spoil their neighbours.
    assert bypasses(f"{entry},example.com {entry}", "http://example.com")


@given(st.text(max_size=60), st.sampled_from(["example.com", "127.0.0.1", "::1", "a.b.c.", "1.2.3.4"]))
def test_any_text_gives_a_verdict(entries: str, host: str) -> None:
    assert NoProxy(entries).matches(host, 80) in (True, False)


@given(st.lists(st.sampled_from([*MALFORMED, *(entries for entries, _, _ in VERDICTS)]), max_size=6))
def test_a_list_is_the_sum_of_its_entries(entries: list[str]) -> None:
    for url in ("http://www.example.com:8080", "http://127.0.0.1", "http://[2001:db8::1]", "http://10.1.2.3"):
        assert bypasses(",".join(entries), url) is any(bypasses(each, url) for each in entries)


HOSTILE = [
    *".,:*[]%/-1af",
    " ",
    "1.",
    "::",
    "a.",
    "*.",
    "ß",
    "。",
    "[::",
    "f:",
    "0x",
    "1/",
    "\u0301",
    "xn--",
    "\ud800",
    "a,",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_long_value_costs_no_more_than_reading_it(unit: str) -> None:
    began = time.process_time()
    NoProxy(unit * (50_000 // len(unit))).matches("a." * 120 + "test", 80)
    NoProxy(("." * 10_000 + ",") * 10 + "example.com" + "." * 10_000).matches("example.com", 80)
    assert time.process_time() - began < 2


def test_repr_is_short() -> None:
    assert repr(NoProxy("a.test, b.test")) == "NoProxy('a.test, b.test')"
    assert len(repr(NoProxy("x" * 9999))) < 250
