from __future__ import annotations

import copy
import pickle
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._model.proxies import Proxy, ProxyTable, check_proxy
from atomhttp._model.proxy_choice import ProxyEnvironment, choose_proxy, read_environment
from atomhttp._model.url import parse_url
from atomhttp.auth import BasicAuth, BearerAuth
from atomhttp.errors import AtomHTTPOptionError
from support.naming import described

USER_PASS = "Basic dXNlcjpwYXNz"  # user:pass
SECRET = "hunter2"


def checked(value: Any) -> Proxy:
    proxy = check_proxy("proxy", value)
    assert isinstance(proxy, Proxy)
    return proxy


def refused(value: Any) -> str:
    with pytest.raises(AtomHTTPOptionError) as caught:
        check_proxy("proxy", value)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"
    return str(caught.value)


def choose(option: Any, url: str, environ: dict[str, str] | None = None) -> str | None:
    environment = None if environ is None else read_environment(environ)
    proxy = choose_proxy(check_proxy("proxy", option), parse_url(url), environment)
    return None if proxy is None else proxy.name


# URLs


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://proxy.test:3128", ("http", "proxy.test", 3128)),
        ("http://proxy.test:3128/", ("http", "proxy.test", 3128)),
        ("HTTP://PROXY.test:3128", ("http", "proxy.test", 3128)),
        # Without a scheme: http, as curl has it.
        ("proxy.test:3128", ("http", "proxy.test", 3128)),
        ("proxy.test", ("http", "proxy.test", 80)),
        ("localhost:1", ("http", "localhost", 1)),
        ("127.0.0.1:3128", ("http", "127.0.0.1", 3128)),
        ("[::1]:3128", ("http", "::1", 3128)),
        # The schemes' own ports, and the same port in the URL.
        ("http://proxy.test", ("http", "proxy.test", 80)),
        ("http://proxy.test:80", ("http", "proxy.test", 80)),
        ("http://proxy.test:443", ("http", "proxy.test", 443)),
        ("https://proxy.test", ("https", "proxy.test", 443)),
        ("https://proxy.test:80", ("https", "proxy.test", 80)),
        ("https://proxy.test:443", ("https", "proxy.test", 443)),
        ("socks5://proxy.test", ("socks5", "proxy.test", 1080)),
        ("socks5://proxy.test:80", ("socks5", "proxy.test", 80)),
        ("socks5h://proxy.test:443", ("socks5h", "proxy.test", 443)),
        ("SOCKS5H://proxy.test:9050/", ("socks5h", "proxy.test", 9050)),
        # Hosts come from the one parser.
        ("http://bücher.test:1", ("http", "xn--bcher-kva.test", 1)),
        ("http://0x7f.1:1", ("http", "127.0.0.1", 1)),
        ("http://[2001:DB8::0:1]", ("http", "2001:db8::1", 80)),
        ("socks5://[::1]:1080", ("socks5", "::1", 1080)),
        ("http://proxy.test.:1", ("http", "proxy.test.", 1)),
        ("http://@proxy.test:1", ("http", "proxy.test", 1)),
    ],
)
def test_urls(url: str, kept: tuple[str, str, int]) -> None:
    proxy = checked(url)
    assert (proxy.scheme, proxy.host, proxy.port) == kept
    assert (proxy.username, proxy.password, proxy.authorization) == (None, None, None)
    assert check_proxy("proxy", proxy) is proxy


@pytest.mark.parametrize(
    ("url", "username", "password", "authorization"),
    [
        ("http://user:pass@h:1", "user", "pass", USER_PASS),
        ("https://user:pass@h:1", "user", "pass", USER_PASS),
        ("user:pass@h:1", "user", "pass", USER_PASS),
        ("http://user:p%40ss@h:1", "user", "p@ss", "Basic dXNlcjpwQHNz"),
        ("http://user:p@ss@h:1", "user", "p@ss", "Basic dXNlcjpwQHNz"),
        ("http://user:a:b@h:1", "user", "a:b", "Basic dXNlcjphOmI="),
        ("http://user:%25%2F%3f@h:1", "user", "%/?", "Basic dXNlcjolLz8="),
        ("http://user@h:1", "user", "", "Basic dXNlcjo="),
        ("http://:pass@h:1", "", "pass", "Basic OnBhc3M="),
        # UTF-8, whatever RFC 7617's charset was said to be.
        ("http://user:pä€@h:1", "user", "pä€", "Basic dXNlcjpww6Tigqw="),
        ("http://user:p%C3%A4@h:1", "user", "pä", "Basic dXNlcjpww6Q="),
        # SOCKS has its own exchange, without a header field.
        ("socks5://user:pass@h:1", "user", "pass", None),
        ("socks5h://user:p%40ss@h:1", "user", "p@ss", None),
    ],
)
def test_credentials_of_a_url(url: str, username: str, password: str, authorization: str | None) -> None:
    proxy = checked(url)
    assert (proxy.host, proxy.port) == ("h", 1)
    assert (proxy.username, proxy.password, proxy.authorization) == (username, password, authorization)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        *(("", "got ''"), (" ", "got ' '"), ("http://", "got 'http://'"), ("//h:1", "got '//h:1'")),
        *((" http://h", "got ' http://h'"), ("http://h\r\nX: y", "got 'http://h"), ("http://h ", "'http://h '")),
        *(("http:h", "got 'http:h'"), ("http:\\\\h", "got"), ("http://h:0", "1 to 65535"), ("http://h:65536", "got")),
        *(("http://h:x", "got 'http://h:x'"), ("h:-1", "got 'h:-1'"), ("http://[::1", "got"), ("::1", "got '::1'")),
        *(("http://[fe80::1%eth0]:1", "got"), ("http://a b:1", "got"), (f"http://{'a' * 300}:1", "got")),
        *(("http://h:1/path", "without a path"), ("h/path", "without a path"), ("http://h:1/?q", "without a path")),
        *(("http://h:1?q=1", "without a path"), ("http://h:1/#part", "without a path")),
        *(("socks4://h:1", "socks4 is not supported"), ("socks4a://h:1", "socks4a is not supported")),
        *(("socks://h:1", "socks is not supported"), ("ftp://h:1", "ftp is not supported")),
        *(("http+unix://%2Frun%2Fx", "http+unix is not supported"), ("HTTPS5://h", "https5 is not supported")),
        *((True, "got True"), (1, "got 1"), (0, "got 0"), (b"http://h:1", "<bytes>"), (3.5, "got 3.5")),
        *(
            (["http://h:1"], "<list>"),
            (("h", 1), "<tuple>"),
            (object(), "<object>"),
            (BasicAuth("u", "p"), "BasicAuth"),
        ),
    ],
    ids=described,
)
def test_what_is_refused(value: Any, told: str) -> None:
    message = refused(value)
    assert message.startswith("proxy: expected a ")
    assert told in message


@pytest.mark.parametrize(
    "value",
    [
        *(f"http://user:{SECRET}@h:x", f"user:{SECRET}@h:x", f"socks4://user:{SECRET}@h", f"http://user:{SECRET}@h/x"),
        *(f"http://user:a#{SECRET}@h", f"http://user:a/{SECRET}@h:1", f"http://user:a?{SECRET}@h:1/x"),
        *(f"http://us%3Aer:{SECRET}@h", f"http://user:{SECRET}%0d%0a@h", f"http://user:{SECRET}%00@h:1"),
        *(f"http://user:a//{SECRET}@h:x", f"a@b://{SECRET}@h:x", f"http://h:1/?token={SECRET}"),
        *({"host": f"user:{SECRET}@h:x"}, {"host": "h", "auth": f"user:{SECRET}"}, {"host": "h", "password": SECRET}),
        *({"host": "", "auth": ("user", SECRET)}, {"host": f"http://user:{SECRET}@h/p"}, ("h", "user", SECRET)),
        *({"host": "h", f"//user:{SECRET}@h": 1}, {"host": f"http://user:{SECRET}@h:1", "port": 2}),
        *({f"ftp://user:{SECRET}@h": None}, {f"http://user:{SECRET}@h": None}, {"http://h": f"u:{SECRET}@h:x"}),
        *({"host": "h", "auth": BearerAuth(SECRET)}, {"host": f"http://u:{SECRET}@h", "auth": ("user", SECRET)}),
        {"host": "h", "auth": {"username": "user", "password": f"{SECRET}\n"}},
    ],
    ids=described,
)
def test_a_refusal_never_shows_credentials(value: Any) -> None:
    assert refused(value).startswith("proxy")


def test_socks_credentials_have_a_length() -> None:
    assert checked(f"socks5://{'u' * 255}:{'p' * 255}@h").password == "p" * 255
    assert "at most 255 bytes" in refused(f"socks5://{'u' * 256}:p@h")
    assert "at most 255 bytes" in refused(f"socks5h://u:{'ä' * 128}@h")
    assert checked(f"http://{'u' * 256}:{'p' * 999}@h").username == "u" * 256


# axios's object


@pytest.mark.parametrize(
    ("given", "same_as"),
    [
        ({"host": "h"}, "http://h"),
        ({"hostname": "h", "port": 3128}, "http://h:3128"),
        ({"host": "h", "hostname": "h", "port": "3128"}, "http://h:3128"),
        ({"protocol": "https", "host": "h", "port": 3128}, "https://h:3128"),
        ({"protocol": "https:", "host": "h"}, "https://h"),
        ({"protocol": "HTTPS://", "host": "h"}, "https://h"),
        ({"protocol": "socks5", "host": "h"}, "socks5://h"),
        ({"protocol": None, "host": "h", "hostname": None, "port": None, "auth": None}, "http://h"),
        # As in the published 1.x: the host is a URL.
        ({"host": "http://h", "port": 8080}, "http://h:8080"),
        ({"host": "https://h/", "port": 8080}, "https://h:8080"),
        ({"host": "http://h:8080"}, "http://h:8080"),
        ({"host": "http://h:8080/", "port": 8080, "protocol": "http:"}, "http://h:8080"),
        ({"host": "socks5h://h", "port": 9050}, "socks5h://h:9050"),
        ({"host": "http://user:p%40ss@h", "port": 8080}, "http://user:p%40ss@h:8080"),
        ({"host": "h:8080"}, "http://h:8080"),
        ({"host": "h", "port": 80, "protocol": "socks5"}, "socks5://h:80"),
        # IPv6, with brackets or without.
        ({"host": "::1", "port": 8080}, "http://[::1]:8080"),
        ({"host": "[::1]", "port": 8080}, "http://[::1]:8080"),
        ({"host": "http://[::1]", "port": 8080}, "http://[::1]:8080"),
        # Credentials, which are no URL: nothing is decoded.
        ({"host": "h", "auth": {"username": "user", "password": "p@s%20s"}}, "http://user:p%40s%2520s@h"),
        ({"host": "h", "auth": ("user", "pass")}, "http://user:pass@h"),
        ({"host": "h", "auth": ["user", "pass"]}, "http://user:pass@h"),
        ({"host": "h", "auth": BasicAuth("user", "pass")}, "http://user:pass@h"),
        ({"host": "h", "protocol": "socks5", "auth": ("user", "pass")}, "socks5://user:pass@h"),
    ],
)
def test_axios_object(given: dict[str, Any], same_as: str) -> None:
    assert checked(given) == checked(same_as)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "expected a mapping with a host, got {}"),
        ({"port": 3128}, "expected a mapping with a host"),
        ({"host": ""}, "expected a mapping with a host"),
        ({"host": 1}, "expected a mapping with a host"),
        ({"host": "h", "hostname": "other"}, "host or hostname"),
        ({"host": "h", "port": 0}, "proxy.port: expected a port from 1 to 65535, got 0"),
        ({"host": "h", "port": 65536}, "proxy.port"),
        ({"host": "h", "port": True}, "proxy.port"),
        ({"host": "h", "port": "http"}, "proxy.port"),
        ({"host": "h", "port": 3128.0}, "proxy.port"),
        ({"host": "http://h:1", "port": 2}, "the same port in port and host"),
        ({"host": "http://h", "protocol": "https"}, "the same scheme in protocol and host"),
        ({"host": "h", "protocol": 1}, "proxy.protocol"),
        ({"host": "h", "protocol": "socks4:"}, "socks4 is not supported"),
        ({"host": "h", "protocol": ""}, "got"),
        ({"host": "http://h/path"}, "without a path"),
        ({"host": "h", "auth": BearerAuth("t")}, "proxy.auth: expected BasicAuth"),
        ({"host": "h", "auth": lambda request: request}, "proxy.auth: expected BasicAuth"),
        ({"host": "http://u:p@h", "auth": ("u", "p")}, "both in the host and in auth"),
        ({"host": "h", "auth": ("us:er", "p")}, "must not contain ':'"),
        ({"host": "h", "auth": ("user", None)}, "password: expected str"),
        ({"host": "h", "user": "u"}, "unknown key 'user'; it may hold protocol, host, hostname, port, auth"),
        ({"host": "h", 1: 2}, "unknown key '1'"),
        ({"http": "http://h", "https": "http://h"}, "the keys are 'http://', 'https://' and 'all://'"),
    ],
    ids=described,
)
def test_axios_object_refused(given: dict[Any, Any], told: str) -> None:
    assert told in refused(given)


# By target


EVERY_LEVEL = {
    "all://": "http://all",
    "http://": "http://for-http",
    "https://": "http://for-https",
    "all://host.test": "http://all-host",
    "https://host.test": "http://https-host",
    "all://host.test:8443": "http://all-host-port",
    "https://host.test:8443": "http://https-host-port",
    "all://*.host.test": "http://all-below",
    "https://*.host.test": "http://https-below",
    "all://*.deep.host.test": "http://all-deep",
    "https://plain.host.test": None,
    "http://plain.host.test": False,
    "https://[2001:db8::1]": "http://six",
    "http://bücher.test": "http://books",
    "http://eighty.test:80": "http://eighty",
}


@pytest.mark.parametrize(
    ("url", "chosen"),
    [
        ("http://other.test", "for-http"),
        ("https://other.test", "for-https"),
        ("https://host.test", "https-host"),
        ("http://host.test", "all-host"),
        ("http://HOST.test.", "all-host"),
        ("https://host.test:8443", "https-host-port"),
        ("http://host.test:8443", "all-host-port"),
        ("https://host.test:9443", "https-host"),
        ("https://a.host.test", "https-below"),
        ("http://a.host.test", "all-below"),
        ("https://a.deep.host.test", "all-deep"),
        ("https://deep.host.test", "https-below"),
        ("https://nothost.test", "for-https"),
        ("https://plain.host.test", None),
        ("http://plain.host.test:99", None),
        ("https://[2001:db8:0::1]:99", "six"),
        ("http://[2001:db8::1]", "for-http"),
        ("http://xn--bcher-kva.test", "books"),
        ("http://eighty.test", "eighty"),
        ("http://eighty.test:81", "for-http"),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_most_specific_key_wins_whatever_the_order(url: str, chosen: str | None, backwards: bool) -> None:
    rows = list(EVERY_LEVEL.items())
    option = dict(reversed(rows) if backwards else rows)
    assert choose(option, url, {"all_proxy": "http://environment"}) == (chosen and f"http://{chosen}:80")


def test_what_no_key_matches_goes_without_a_proxy() -> None:
    option = {"https://host.test": "http://h"}
    assert choose(option, "http://host.test", {"http_proxy": "http://environment"}) is None
    assert choose({"all://*": "http://h"}, "http://host.test") == "http://h:80"


def test_a_value_by_target_is_whatever_the_option_itself_may_be() -> None:
    option = {"http://": {"host": "http://h", "port": 8080}, "https://": checked("socks5://h"), "all://a": "h:1"}
    assert choose(option, "http://x") == "http://h:8080"
    assert choose(option, "https://x") == "socks5://h:1080"
    assert choose(option, "https://a") == "http://h:1"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"http://": "http://h", "https": "http://h"}, "proxy['https']: expected a key such as 'http://'"),
        ({"http://": "http://h", 1: "http://h"}, "proxy[1]: expected a key"),
        ({"ftp://": "http://h"}, "proxy['ftp://']: expected a key"),
        ({"socks5://h": "http://h"}, "expected a key"),
        ({"://h": "http://h"}, "expected a key"),
        ({"http://h/path": "http://h"}, "nothing more"),
        ({"http://u:p@h": "http://h"}, "nothing more"),
        ({"http://h?q": "http://h"}, "nothing more"),
        ({"http://h#f": "http://h"}, "nothing more"),
        ({"http://*h": "http://h"}, "nothing more"),
        ({"http://a.*.h": "http://h"}, "nothing more"),
        ({"http://*.": "http://h"}, "expected a key"),
        ({"http://h:x": "http://h"}, "expected a key"),
        ({"http://": "ftp://h"}, "proxy['http://']: expected a proxy of"),
        ({"http://": True}, "proxy['http://']: expected a URL"),
        ({"http://": {"https://": "http://h"}}, "proxy['http://']: unknown key 'https://'"),
        ({"http://h": "http://a", "http://H": "http://b"}, "keys that differ in what they match"),
        ({"http://h": "http://a", "http://h:80": "http://b", "HTTP://h": "http://b"}, "keys that differ"),
    ],
    ids=described,
)
def test_by_target_refused(given: dict[Any, Any], told: str) -> None:
    assert told in refused(given)


# Values


def test_name_repr_and_str_hide_credentials() -> None:
    for url, name in [
        (f"http://user:{SECRET}@proxy.test:3128", "http://proxy.test:3128"),
        (f"https://user:{SECRET}@[::1]", "https://[::1]:443"),
        (f"socks5h://user:{SECRET}@proxy.test", "socks5h://proxy.test:1080"),
    ]:
        proxy = checked(url)
        table = check_proxy("proxy", {"https://host.test:1": url, "all://": None})
        assert proxy.name == str(proxy) == name
        for shown in (repr(proxy), repr(table), repr(read_environment({"http_proxy": url, "no_proxy": "a.test"}))):
            assert SECRET not in shown
            assert "user" not in shown.replace("username", "")
        assert name in repr(table)
    assert repr(checked("http://h")) == "Proxy(scheme='http', host='h', port=80)"


def test_table_repr() -> None:
    table = check_proxy("proxy", {"all://": None, "https://*.a.test:1": "h:2", "http://[::1]": "http://h:3"})
    assert repr(table) == "ProxyTable(http://[::1]: http://h:3, https://*.a.test:1: http://h:2, all://: None)"


def test_proxies_are_equal_when_nothing_about_them_differs() -> None:
    alike = "http://user:pass@h:1"
    differing = ["https://user:pass@h:1", "http://user:pass@i:1", "http://user:pass@h:2", "http://user:p@h:1"]
    differing += ["http://u:pass@h:1", "http://h:1", "socks5://user:pass@h:1", "socks5h://user:pass@h:1"]
    assert checked(alike) == checked("HTTP://user:pass@H:1/")
    assert hash(checked(alike)) == hash(checked("HTTP://user:pass@H:1/"))
    assert len({checked(each) for each in [alike, *differing]}) == 1 + len(differing)
    assert checked(alike) != checked(alike).with_authorization("Bearer x")


def test_proxies_do_not_change() -> None:
    proxy = checked("http://user:pass@h:1")
    with pytest.raises(AttributeError):
        proxy.host = "evil"  # type: ignore[misc]  # what is tested
    other = proxy.with_authorization("Bearer x")
    assert (other.name, other.authorization, proxy.authorization) == (proxy.name, "Bearer x", USER_PASS)
    assert other.with_authorization(None).authorization is None
    for bad in ("a\r\nHost: evil", "a\x00", "\x7f"):
        with pytest.raises(AtomHTTPOptionError, match="control characters"):
            proxy.with_authorization(bad)


def test_proxies_are_copied_and_pickled() -> None:
    for value in ("http://user:pass@h:1", {"http://": "h:1", "all://*.a.test": None}):
        kept = check_proxy("proxy", value)
        assert copy.deepcopy(kept) == kept
        assert pickle.loads(pickle.dumps(kept)) == kept


def test_tables_are_values() -> None:
    rows = {"http://": "h:1", "all://*.a.test": None}
    table = check_proxy("proxy", rows)
    assert isinstance(table, ProxyTable)
    assert check_proxy("proxy", table) is table
    assert table == check_proxy("proxy", dict(reversed(rows.items())))
    assert hash(table) == hash(check_proxy("proxy", rows))
    assert table != check_proxy("proxy", {"http://": "h:2", "all://*.a.test": None})
    assert table != "table"


# The environment


@pytest.mark.parametrize(
    ("environ", "http", "https"),
    [
        ({}, None, None),
        ({"http_proxy": "http://h:1"}, "http://h:1", None),
        ({"https_proxy": "http://h:2"}, None, "http://h:2"),
        ({"HTTP_PROXY": "h:1", "HTTPS_PROXY": "https://h:2"}, "http://h:1", "https://h:2"),
        ({"all_proxy": "socks5://h"}, "socks5://h:1080", "socks5://h:1080"),
        ({"ALL_PROXY": "socks5h://h", "http_proxy": "h:1"}, "http://h:1", "socks5h://h:1080"),
        # The lower case wins.
        ({"http_proxy": "lower:1", "HTTP_PROXY": "upper:1"}, "http://lower:1", None),
        ({"HTTPS_PROXY": "upper:1", "https_proxy": "lower:1"}, None, "http://lower:1"),
        ({"all_proxy": "lower:1", "ALL_PROXY": "upper:1"}, "http://lower:1", "http://lower:1"),
        # Empty is unset, blank as well; outer blanks are nobody's intention.
        ({"http_proxy": "", "HTTP_PROXY": "upper:1"}, "http://upper:1", None),
        ({"https_proxy": "", "all_proxy": "h:3"}, "http://h:3", "http://h:3"),
        ({"http_proxy": "", "HTTP_PROXY": " "}, None, None),
        ({"http_proxy": " http://h:1\n"}, "http://h:1", None),
        # Other spellings are other variables.
        ({"Http_Proxy": "h:1", "ftp_proxy": "h:1", "proxy": "h:1"}, None, None),
        # CGI: HTTP_PROXY came from the client (CVE-2016-5386), the others cannot.
        ({"REQUEST_METHOD": "GET", "HTTP_PROXY": "evil:1"}, None, None),
        ({"REQUEST_METHOD": "", "HTTP_PROXY": "evil:1"}, None, None),
        ({"REQUEST_METHOD": "GET", "HTTP_PROXY": "evil:1", "http_proxy": "h:1"}, "http://h:1", None),
        ({"REQUEST_METHOD": "GET", "HTTP_PROXY": "evil:1", "ALL_PROXY": "h:3"}, "http://h:3", "http://h:3"),
        ({"REQUEST_METHOD": "GET", "HTTPS_PROXY": "h:2"}, None, "http://h:2"),
    ],
)
def test_environment(environ: dict[str, str], http: str | None, https: str | None) -> None:
    assert choose(None, "http://host.test", environ) == http
    assert choose(None, "https://host.test", environ) == https


class AnswersForEitherCase(dict[str, str]):
    """As `os.environ` on Windows."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.upper())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.upper(), default)


def test_cgi_where_variables_have_no_case() -> None:
    environ = AnswersForEitherCase({"HTTP_PROXY": "evil:1", "REQUEST_METHOD": "GET", "HTTPS_PROXY": "h:1"})
    assert environ["http_proxy"] == "evil:1"
    assert choose(None, "http://host.test", environ) is None
    assert choose(None, "https://host.test", environ) == "http://h:1"


def test_no_proxy() -> None:
    environ = {"all_proxy": "h:1", "no_proxy": "a.test, b.test:8080", "NO_PROXY": "c.test"}
    through = ["http://b.test", "http://c.test"]
    direct = ["http://a.test", "https://www.a.test:99", "http://b.test:8080"]
    assert [choose(None, url, environ) for url in through] == ["http://h:1"] * 2
    assert [choose(None, url, environ) for url in direct] == [None] * 3
    assert choose(None, "http://c.test", {"http_proxy": "h:1", "no_proxy": "", "NO_PROXY": "c.test"}) is None


def test_the_option_stands_above_the_environment() -> None:
    environ = {"all_proxy": "environment:1", "no_proxy": "a.test"}
    assert choose(False, "http://b.test", environ) is None
    assert choose("option:1", "http://b.test", environ) == "http://option:1"
    # NO_PROXY is about the environment's proxies.
    assert choose("option:1", "http://a.test", environ) == "http://option:1"
    assert choose(None, "http://b.test", environ) == "http://environment:1"
    assert choose(None, "http://b.test") is None


def test_a_unix_socket_is_reached_without_a_proxy() -> None:
    for option in ("h:1", {"all://": "h:1"}, None):
        assert choose(option, "http+unix://%2Frun%2Fx.sock/path", {"all_proxy": "h:1"}) is None


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_malformed_variable_fails_where_it_is_used(variable: str) -> None:
    environment = read_environment({variable: f"ftp://user:{SECRET}@h", "https_proxy": "h:1", "no_proxy": "a.test"})
    assert choose_proxy(False, parse_url("http://b.test"), environment) is None
    assert choose_proxy(None, parse_url("http://a.test"), environment) is None
    assert choose_proxy(None, parse_url("https://b.test"), environment) == checked("h:1")
    for _ in range(2):
        with pytest.raises(AtomHTTPOptionError, match=f"^{variable}: expected a proxy of http, https") as caught:
            choose_proxy(None, parse_url("http://b.test"), environment)
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
        assert SECRET not in str(caught.value)


def test_a_variable_is_read_once() -> None:
    environment = read_environment({"http_proxy": "http://user:pass@h:1"})
    assert isinstance(environment, ProxyEnvironment)
    first = environment.choose(parse_url("http://a.test"))
    assert first is environment.choose(parse_url("http://b.test"))
    assert first is not None
    assert first.authorization == USER_PASS


# Anything


@given(st.text(max_size=40) | st.dictionaries(st.text(max_size=12), st.text(max_size=12) | st.integers(), max_size=3))
def test_any_value_is_kept_or_refused_by_our_error(value: Any) -> None:
    try:
        kept = check_proxy("proxy", value)
    except AtomHTTPOptionError:
        return
    if isinstance(kept, Proxy):
        assert checked(kept.name).name == kept.name


@pytest.mark.parametrize("char", list("/?#&;@:[]%. a<ü*"))
def test_a_long_value_costs_no_more_than_reading_it(char: str) -> None:
    long = char * 50_000
    began = time.process_time()
    for value in (f"http://{long}x:y", f"{long}:y", {"host": f"{long}:y"}, {f"http://{long}:y": None}, {long: 1}):
        assert len(refused(value)) < 500
    assert time.process_time() - began < 2
