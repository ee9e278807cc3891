from __future__ import annotations

import math
import os
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from atomhttp._model.headers import Headers
from atomhttp._model.options import BY_NAME, CALL_OPTIONS, CLIENT_OPTIONS, OPTIONS, check_options, find_option
from atomhttp._model.timeout import Timeout
from atomhttp.errors import AtomHTTPOptionError

CALL, CLIENT = (CALL_OPTIONS, "a call"), (CLIENT_OPTIONS, "a client")
SPELLINGS = [(option.name, option.alias) for option in OPTIONS]


def check(spelling: str, value: Any) -> Any:
    option = BY_NAME[spelling]
    table, where = CLIENT if option.scope == "client" else CALL
    return check_options({spelling: value}, table, where)[option.name]


class Adapter:
    async def send(self, request: object) -> None: ...

    async def close(self) -> None: ...


class URLObject:
    def __str__(self) -> str:
        return "http://h/"


def function(*_: Any) -> None: ...


# A value of every option that is taken, and what it is kept as.
GOOD: list[tuple[str, Any, Any]] = [
    ("url", "/a", "/a"),
    ("method", "get", "GET"),
    ("method", "Post", "POST"),
    ("method", "query", "QUERY"),
    ("method", "PURGE", "PURGE"),
    ("method", "purge", "purge"),
    ("data", 0, 0),
    ("json", None, None),
    ("form", {"a": 1}, {"a": 1}),
    ("base_url", "http://h", "http://h"),
    ("base_url", None, None),
    ("params", {"a": 1}, {"a": 1}),
    ("params", "a=1", "a=1"),
    ("params", [("a", 1), ["b", 2]], [("a", 1), ("b", 2)]),
    ("params", (pair for pair in [("a", 1)]), [("a", 1)]),
    ("params", None, None),
    ("headers", {"A": "1"}, Headers({"A": "1"})),
    ("headers", [("A", "1")], Headers({"A": "1"})),
    ("headers", None, None),
    ("timeout", 5, 5),
    ("timeout", None, None),
    ("timeout", 0, 0),
    ("timeout", {"read": 1}, {"read": 1}),
    ("timeout", Timeout(5), Timeout(5)),
    ("timeout", timedelta(1), timedelta(1)),
    *(
        ("response_type", kind, kind)
        for kind in ("json", "text", "blob", "arraybuffer", "stream", dict, list[int], int | str)
    ),
    ("validate_status", None, None),
    ("validate_status", True, True),
    ("validate_status", function, function),
    ("max_body_length", 0, 0),
    ("max_body_length", -1, -1),
    ("max_body_length", None, -1),
    ("max_content_length", 10**12, 10**12),
    ("decompress", False, False),
    ("response_encoding", "latin-1", "latin-1"),
    ("transitional", {"silentJSONParsing": False}, {"silentJSONParsing": False}),
    ("transitional", None, None),
    ("socket_path", "/run/x.sock", "/run/x.sock"),
    ("socket_path", Path("/run/x.sock"), "/run/x.sock"),
    ("socket_path", "\x00abstract", "\x00abstract"),
    ("socket_path", None, None),
    ("allowed_socket_paths", "/x/../y", (os.path.realpath("/y"),)),
    ("allowed_socket_paths", [Path("/x"), "/y"], (os.path.realpath("/x"), os.path.realpath("/y"))),
    ("allowed_socket_paths", [], ()),
    ("allowed_socket_paths", "\x00abstract", ("\x00abstract",)),
    ("verify", False, False),
    ("verify", Path("/ca.pem"), "/ca.pem"),
    ("verify", "/ca.pem", "/ca.pem"),
    ("cert", None, None),
    ("cert", "/c.pem", ("/c.pem",)),
    ("cert", Path("/c.pem"), ("/c.pem",)),
    ("cert", ["/c.pem", Path("/k.pem")], ("/c.pem", "/k.pem")),
    ("cert", ("/c.pem", "/k.pem", "pw"), ("/c.pem", "/k.pem", "pw")),
    ("keep_alive", False, False),
    ("adapter", None, None),
    ("meta", {"a": 1}, {"a": 1}),
    ("allow_absolute_urls", False, False),
    ("json_encoder", function, function),
    ("json_decoder", None, None),
    ("max_connections", 1, 1),
    ("max_connections_per_origin", 0, 0),
    ("keep_alive_timeout", 0, 0),
    ("keep_alive_timeout", timedelta(seconds=2), 2.0),
    ("keep_alive_timeout", None, None),
    ("connection_lifetime", 60, 60),
    ("connection_lifetime", 10**400, math.inf),
    ("keep_alive_timeout", 10**400, math.inf),
    ("max_header_size", 1, 1),
]

TEXT_OR_NONE = [5, b"x", True, ["x"]]
FLAG = [None, 0, 1, "true", "False", []]
CALLABLE = [5, "json.dumps", {}, True]
SIZE = [True, -2, 1.5, "5", math.inf]
BAD: dict[str, tuple[str, list[Any]]] = {
    "url": ("a URL", [None, 5, b"http://h/", {}, True, object(), print, URLObject, Adapter()]),
    "method": (
        "an HTTP method",
        [None, "", 5, b"GET", "G ET", "GET\r\nX: 1", "po\u017ft", "opt\u0131ons", "G\x00", "GET "],
    ),
    "base_url": ("str or None", TEXT_OR_NONE),
    "params": ("a mapping", [5, [1], True, ["abc"], [("a", 1, 2)]]),
    "headers": ("a mapping", [5, "A: 1", [1]]),
    "timeout": ("seconds", [True, "5", -1, math.nan, []]),
    "response_type": ("'json'", ["xml", "JSON", "", None, 5, b"json", {}, []]),
    "validate_status": ("a callable", [False, 5, "200", []]),
    "max_body_length": ("a number of bytes", SIZE),
    "max_content_length": ("a number of bytes", SIZE),
    "decompress": ("True or False", FLAG),
    "response_encoding": ("the name of a charset", TEXT_OR_NONE),
    "transitional": ("a mapping", [5, "x", []]),
    "socket_path": ("path", [5, b"/x", "", "/x\x00y", True]),
    "allowed_socket_paths": ("path", [5, b"/x", {}, True]),
    "verify": ("path", [None, 5, b"/ca", [], "/\x00", "/\ud800", Path("/\x00")]),
    "cert": ("path", [5, [], ("a", "b", "c", "d"), ("a", None), b"x", True, "/\x00", ("a", "\ud800")]),
    "keep_alive": ("True or False", FLAG),
    "adapter": ("an adapter", [5, function, object(), "http"]),
    "meta": ("a mapping", [5, [], "x"]),
    "allow_absolute_urls": ("True or False", FLAG),
    "json_encoder": ("a callable", CALLABLE),
    "json_decoder": ("a callable", CALLABLE),
    "max_connections": ("1 or more", [0, -1, True, 1.5, None, "5"]),
    "max_connections_per_origin": ("0 or more", [-1, True, 1.5, None]),
    "keep_alive_timeout": ("seconds", [-1, True, "5", math.nan]),
    "connection_lifetime": ("seconds", [-1, True, "5", math.nan]),
    "max_header_size": ("1 or more", [0, -1, True, 1.5, None]),
}
UNCHECKED = {"data", "json", "form", "params_serializer"}  # what they are is judged when they are used


@pytest.mark.parametrize(("spelling", "value", "kept"), GOOD)
def test_good_values(spelling: str, value: Any, kept: Any) -> None:
    assert check(spelling, value) == kept


def test_objects_are_kept_as_they_are() -> None:
    context, adapter, url = ssl.create_default_context(), Adapter(), URLObject()
    assert check("verify", context) is context
    assert check("adapter", adapter) is adapter
    assert check("url", url) is url


@pytest.mark.parametrize(
    ("name", "expected", "value"),
    [(name, expected, value) for name, (expected, values) in BAD.items() for value in values],
)
def test_bad_values_name_the_option_what_was_given_and_what_is_expected(name: str, expected: str, value: Any) -> None:
    for spelling in {name, BY_NAME[name].alias}:
        with pytest.raises(AtomHTTPOptionError) as caught:
            check(spelling, value)
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
        assert str(caught.value).startswith(spelling)
        assert expected in str(caught.value)


def test_every_option_has_bad_values_here() -> None:
    # Options that are being added bring their own tests.
    assert set(BAD) <= {option.name for option in OPTIONS}
    assert UNCHECKED.isdisjoint(BAD)


async def test_a_url_that_has_not_been_awaited() -> None:
    async def find_url() -> str:
        return "http://h/"

    given = find_url()
    with pytest.raises(AtomHTTPOptionError, match="this has not been awaited"):
        check("url", given)
    assert await given == "http://h/"


def test_connect_is_not_for_callers() -> None:
    for method in ("CONNECT", "connect"):
        with pytest.raises(AtomHTTPOptionError, match="proxy option") as caught:
            check("method", method)
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_switches_of_axios() -> None:
    with pytest.raises(AtomHTTPOptionError, match="unknown key 'silentJsonParsing'") as caught:
        check("transitional", {"silentJsonParsing": True})
    assert caught.value.code == "ERR_BAD_OPTION"
    with pytest.raises(AtomHTTPOptionError, match=r"transitional\.silentJSONParsing") as caught:
        check("transitional", {"silentJSONParsing": 1})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


@pytest.mark.parametrize(
    ("name", "value"), [("params", {"a": 1}), ("headers", Headers({"A": "1"})), ("params", [("a", 1)])]
)
def test_what_the_caller_gave_is_not_shared(name: str, value: Any) -> None:
    kept = check(name, value)
    assert kept == value
    assert kept is not value


@pytest.mark.parametrize("value", ["canary", ["canary"], {"password": "canary"}])
def test_a_secret_does_not_stand_in_the_message(value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        check("verify", {"token": value})
    assert "canary" not in str(caught.value)
    with pytest.raises(AtomHTTPOptionError) as caught:
        check("base_url", ["http://u:canary@h/?token=canary"])
    assert "canary" not in str(caught.value)


# Names


@pytest.mark.parametrize(("name", "alias"), SPELLINGS)
def test_both_spellings_are_one_option(name: str, alias: str) -> None:
    assert BY_NAME[name] is BY_NAME[alias]
    option = BY_NAME[name]
    assert name.islower()
    assert "_" not in alias
    for spelling in (name, alias):
        assert (spelling in CALL_OPTIONS) == (option.scope in ("call", "both"))
        assert (spelling in CLIENT_OPTIONS) == (option.scope in ("client", "both"))


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("baseURL", "base_url"),
        ("responseType", "response_type"),
        ("validateStatus", "validate_status"),
        ("maxBodyLength", "max_body_length"),
        ("maxContentLength", "max_content_length"),
        ("allowAbsoluteUrls", "allow_absolute_urls"),
        ("socketPath", "socket_path"),
        ("paramsSerializer", "params_serializer"),
        ("keepAlive", "keep_alive"),
        ("maxConnectionsPerOrigin", "max_connections_per_origin"),
    ],
)
def test_axios_spellings(alias: str, name: str) -> None:
    assert find_option(alias, BY_NAME, "here").name == name


def test_every_default_is_a_value_the_option_takes() -> None:
    for option in OPTIONS:
        if option.name not in ("url", *UNCHECKED):
            assert option.check(option.name, option.default) == option.default


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("allow_redirects", "maxRedirects"),
        ("follow_redirects", "maxRedirects"),
        ("proxies", "proxy"),
        ("files", "FormData"),
        ("content", "data"),
        ("body", "data"),
        ("stream", "response_type='stream'"),
        ("ssl", "verify"),
        ("raise_for_status", "validateStatus=True"),
        ("baseUrl", "baseURL"),
        ("timeOut", "timeout"),
        ("header", "headers"),
        ("param", "params"),
        ("respons_type", "response_type"),
    ],
)
def test_unknown_names_get_a_suggestion(given: str, hint: str) -> None:
    for table, where in (CALL, CLIENT):
        with pytest.raises(AtomHTTPOptionError) as caught:
            check_options({given: 1}, table, where)
        assert caught.value.code == "ERR_BAD_OPTION"
        assert str(caught.value).startswith(f"unknown option {given!r}; did you mean {hint}")


@pytest.mark.parametrize("given", ["qqqqqq", "", "x" * 10_000, 5, None, ("a",), b"url"])
def test_unknown_names_without_a_suggestion(given: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="unknown option") as caught:
        check_options({given: 1}, *CALL)
    assert "did you mean" not in str(caught.value) or given == b"url"
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("name", [option.name for option in OPTIONS if option.scope != "both"])
def test_an_option_in_the_wrong_place_is_told_where_it_belongs(name: str) -> None:
    option = BY_NAME[name]
    (table, where), place = (CALL, "a client") if option.scope == "client" else (CLIENT, "a call")
    for spelling in (name, option.alias):
        with pytest.raises(AtomHTTPOptionError, match=f"^{spelling}: belongs to {place}.*not to {where}") as caught:
            check_options({spelling: 1}, table, where)
        assert caught.value.code == "ERR_BAD_OPTION"


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [("base_url", "http://a", "http://b"), ("max_body_length", 0, None), ("keep_alive", True, False)],
)
def test_two_spellings_with_different_values_clash(name: str, one: Any, other: Any) -> None:
    alias = BY_NAME[name].alias
    with pytest.raises(AtomHTTPOptionError, match=f"{name} and {alias} are one option") as caught:
        check_options({name: one, alias: other}, *CALL)
    assert caught.value.code == "ERR_BAD_OPTION"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_body_length", 5),
        ("response_type", "text"),
        ("socket_path", Path("/run/x")),
        ("allowed_socket_paths", "/run/x"),
        ("max_content_length", None),
    ],
)
def test_two_spellings_with_one_value_are_fine(name: str, value: Any) -> None:
    assert check_options({name: value, BY_NAME[name].alias: value}, *CALL) == {name: check(name, value)}
