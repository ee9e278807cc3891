"""What a plan makes of options: the request that goes to an adapter. Nothing here sends anything."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from atomhttp._adapters.network_head import build_head
from atomhttp._body.encode import IteratorBody, LimitedBody
from atomhttp._model.abort import AbortController, AbortSignal
from atomhttp._model.config import Defaults, RequestConfig
from atomhttp._model.outline import _OUTLINE_FIELDS, FieldBlock
from atomhttp._model.request import Request
from atomhttp._model.url import Target
from atomhttp._pipeline import plan as module
from atomhttp._pipeline.plan import Plan
from atomhttp.errors import AtomHTTPError, AtomHTTPLimitError, AtomHTTPOptionError, AtomHTTPURLError

BUILT_IN = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "test"}
DRIVER: Any = object()
OWN, OTHER = "https://own.example", "https://other.example"


def plan_of(**defaults: Any) -> Plan:
    return Plan(Defaults(BUILT_IN, defaults))


def build(plan: Plan, url: Any = "/a", method: str = "GET", **options: Any) -> Request:
    return plan.build_request(plan.build_config(method, url, None, options), DRIVER, 100.0)


def generate() -> Iterator[bytes]:
    yield b"abc"


# Config


def test_what_is_not_given_inherits_and_none_is_a_value() -> None:
    plan = plan_of(base_url=OWN, timeout=5, validate_status=True, max_body_length=7)
    config = plan.build_config("GET", "/a", None, {})
    assert (config.timeout, config.validate_status, config.max_body_length, config.base_url) == (5, True, 7, OWN)
    config = plan.build_config(
        "GET", "/a", None, {"timeout": None, "validateStatus": None, "maxBodyLength": None, "baseURL": None}
    )
    assert (config.timeout, config.validate_status, config.max_body_length, config.base_url) == (None, None, -1, None)


@pytest.mark.parametrize("name", ["params", "headers", "data", "json", "form", "meta"])
def test_none_means_not_given_for_what_is_merged_or_sent(name: str) -> None:
    plan = plan_of(base_url=OWN, params={"p": 1}, headers={"A": "1"}, meta={"m": 1})
    plain = plan.build_config("GET", "/a", None, {})
    with_none = plan.build_config("GET", "/a", None, {name: None})
    assert dict(with_none.items()) == dict(plain.items())
    assert build(plan, **{name: None}).url == f"{OWN}/a?p=1"


def test_call_options_come_from_the_call_only() -> None:
    plan = plan_of(base_url=OWN)
    config = plan.build_config("POST", "/a", {"data": 1, "timeout": 3}, {"timeout": 4})
    assert (config.method, config.url, config.data, config.timeout) == ("POST", "/a", 1, 4)
    fresh = plan.build_config(None, None, None, {})
    assert (fresh.method, fresh.url, fresh.data) == ("GET", None, None)


def test_meta_is_merged_by_key() -> None:
    assert plan_of(meta={"a": 1, "b": 1}).build_config("GET", "/", None, {"meta": {"b": 2}}).meta == {"a": 1, "b": 2}


# URL and params


@pytest.mark.parametrize(
    ("base", "defaults", "url", "params", "sent"),
    [
        (OWN, None, "/a", None, "/a"),
        (OWN, None, "", None, "/"),
        (OWN, None, None, None, "/"),
        (OWN, None, "/a?x=1", {"y": 2}, "/a?x=1&y=2"),
        (f"{OWN}/v1?k=1", None, "/a?x=1", {"y": 2}, "/v1/a?k=1&x=1&y=2"),
        (f"{OWN}/v1?k=1", {"d": 0}, "/a", {"y": 2}, "/v1/a?k=1&d=0&y=2"),
        (OWN, {"a": 1, "b": 2}, "/p", {"b": 3, "c": 4}, "/p?a=1&b=3&c=4"),
        (OWN, {"a": 1, "b": 2}, "/p", {"b": None}, "/p?a=1"),
        (OWN, {"a": {"b": 1, "c": 2}}, "/p", {"a": {"b": 3}}, "/p?a%5Bb%5D=3&a%5Bc%5D=2"),
        (OWN, [("a", 1)], "/p", [("a", 2)], "/p?a=1&a=2"),
        (OWN, None, "/p", {"a": [1, 2]}, "/p?a=1&a=2"),
        (OWN, None, "/p", "x=%20&y", "/p?x=%20&y"),
        (OWN, None, "/p#part", {"a": 1}, "/p?a=1"),
        (OWN, None, "/p", {}, "/p"),
    ],
)
def test_where_a_request_leads(base: str, defaults: Any, url: Any, params: Any, sent: str) -> None:
    plan = plan_of(base_url=base, params=defaults)
    assert build(plan, url, params=params).target.path == sent


def test_a_url_may_be_an_object() -> None:
    class URL:
        def __str__(self) -> str:
            return f"{OTHER}/x"

    assert build(plan_of(), URL()).url == f"{OTHER}/x"


def test_a_url_that_was_requested_before_is_not_parsed_again() -> None:
    plan = plan_of(base_url=OWN)
    first = build(plan, "/a").target
    assert build(plan, "/a", "POST", timeout=3, data=b"x").target is first
    assert build(plan, "/a", base_url=OTHER).url == f"{OTHER}/a"
    assert build(plan, "/a", params={"q": 1}).url == f"{OWN}/a?q=1"
    assert build(plan, "/a").url == f"{OWN}/a"


def test_what_a_plan_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TARGETS", 10)
    plan = plan_of(base_url=OWN)
    for number in range(35):
        assert build(plan, f"/{number}").target.path == f"/{number}"
        assert len(plan._targets) <= 10
    before = len(plan._targets)
    build(plan, "/" + "a" * module.MAX_REMEMBERED_URL)
    build(plan, "https://u:p@own.example/")
    assert len(plan._targets) == before


def test_allow_absolute_urls_off() -> None:
    plan = plan_of(base_url=f"{OWN}/v1", allow_absolute_urls=False)
    assert build(plan, f"{OWN}/v1/a").url == f"{OWN}/v1/a"
    for url in (OTHER, "//other.example/v1/", "../a", f"{OWN}/v2"):
        with pytest.raises(AtomHTTPURLError):
            build(plan, url)


@pytest.mark.parametrize("base", ["/relative", "ftp://h", "http:h", "h", "http://h:bad"])
def test_a_bad_base_is_refused(base: str) -> None:
    with pytest.raises(AtomHTTPURLError):
        build(plan_of(base_url=base))


# Sockets


def test_a_path_is_url_enough_for_a_unix_socket() -> None:
    request = build(plan_of(socket_path="/run/x.sock"), "/v1")
    assert (request.url, request.outline.route.socket_path) == ("http://localhost/v1", "/run/x.sock")
    request = build(plan_of(), "http+unix://%2Frun%2Fy.sock/v1")
    assert (request.url, request.outline.route.socket_path) == ("http://localhost/v1", "/run/y.sock")
    with pytest.raises(AtomHTTPURLError):
        build(plan_of(socket_path="/run/x.sock"), "/v1", socket_path=None)


@pytest.mark.parametrize("path", ["/run/other.sock", "/run/allowed.sock/../other.sock", "\x00abstract"])
def test_only_allowed_sockets_are_used(path: str) -> None:
    plan = plan_of(allowed_socket_paths=["/run/allowed.sock"])
    assert build(plan, "http://h/", socket_path="/run/x/../allowed.sock").outline.route.socket_path is not None
    with pytest.raises(AtomHTTPOptionError, match="allowedSocketPaths") as caught:
        build(plan, "http://h/", socket_path=path)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    with pytest.raises(AtomHTTPOptionError, match="allowedSocketPaths"):
        build(plan, "http+unix://%2Frun%2Fother.sock/")


def test_abstract_sockets_are_compared_by_name() -> None:
    plan = plan_of(allowed_socket_paths=["\x00abstract"])
    assert build(plan, "http://h/", socket_path="\x00abstract").outline.route.socket_path == "\x00abstract"
    with pytest.raises(AtomHTTPOptionError, match="allowedSocketPaths"):
        build(plan, "http://h/", socket_path="\x00abstract2")


def test_whatever_changes_the_peer_is_in_the_route() -> None:
    plan = plan_of()
    routes = {
        build(plan, url, **options).outline.route
        for url, options in [
            ("http://h/", {}),
            ("http://h:81/", {}),
            ("https://h/", {}),
            ("http://i/", {}),
            ("https://h/", {"verify": "/ca.pem"}),
            ("https://h/", {"cert": "/c.pem"}),
            ("http://h/", {"socket_path": "/run/x"}),
            ("http://h/", {"socket_path": "/run/y"}),
        ]
    }
    assert len(routes) == 8
    assert build(plan, "http://h/a").outline.route == build(plan, "http://h/b?c", "POST").outline.route


# Header fields


def test_requests_with_equal_fields_share_a_block() -> None:
    plan = plan_of(base_url=OWN, headers={"post": {"X": "1"}})
    block = build(plan, "/a").outline.block
    assert build(plan, "/b", timeout=3).outline.block is block
    assert build(plan, "/a", "POST").outline.block is not block
    assert build(plan, "/a", headers={"A": "1"}).outline.block is not block
    assert dict(build(plan, "/a", "POST").outline.block.fields)["X"] == "1"


def test_a_call_s_headers_stay_its_own() -> None:
    plan = plan_of(base_url=OWN)
    assert build(plan, headers={"A": "1", "accept": None}).headers.to_json().keys() == {
        *("Host", "Accept-Encoding", "User-Agent", "A")
    }
    assert "A" not in build(plan).headers
    assert build(plan).headers["Accept"] == "*/*"


def test_what_an_interceptor_changes_is_sent() -> None:
    plan = plan_of(base_url=OWN)
    config = plan.build_config("GET", "/a", None, {})
    config.headers["X"] = "1"
    config.url = "/b"
    request = plan.build_request(config, DRIVER, 0.0)
    assert (request.headers["X"], request.url) == ("1", f"{OWN}/b")


def test_request_headers_show_host_content_and_framing() -> None:
    plan = plan_of(base_url="http://h:81")
    assert build(plan).headers["Host"] == "h:81"
    assert build(plan, headers={"Host": "virtual"}).headers["Host"] == "virtual"
    sent = build(plan, "/", "POST", data={"a": 1}).headers
    assert (sent["Content-Type"], sent["Content-Length"], "Transfer-Encoding" in sent) == (
        "application/json",
        "7",
        False,
    )
    sent = build(plan, "/", "POST", data=generate()).headers
    assert (sent["Transfer-Encoding"], "Content-Length" in sent) == ("chunked", False)
    assert "Content-Length" not in build(plan).headers


CREDENTIALS = {"Authorization": "canary", "Cookie": "canary"}


@pytest.mark.parametrize(
    "url",
    [
        OTHER,
        "//other.example/a",
        "http://own.example/a",
        "https://own.example:8443/a",
        "https://own.example./a",
        "https://sub.own.example/a",
        "https://own.example@other.example/a",
    ],
)
@pytest.mark.parametrize("layer", ["flat", "common", "get"])
def test_a_client_s_credentials_stay_on_the_origin_of_its_base(url: str, layer: str) -> None:
    headers = {"X-Other": "1", **CREDENTIALS} if layer == "flat" else {layer: CREDENTIALS, "X-Other": "1"}
    plan = plan_of(base_url=f"{OWN}/v1", headers=headers)
    sent = build(plan, url).headers
    assert "canary" not in sent.values()
    assert sent["X-Other"] == "1"
    for own in ("/a", f"{OWN}/elsewhere", "//OWN.example:443/a"):
        assert list(build(plan, own).headers.values()).count("canary") == 2


def test_without_a_base_there_is_no_origin_to_stay_on() -> None:
    assert build(plan_of(headers=CREDENTIALS), OTHER).headers["Authorization"] == "canary"


def test_credentials_that_the_call_or_an_interceptor_gives_travel() -> None:
    plan = plan_of(base_url=OWN, headers=CREDENTIALS)
    sent = build(plan, OTHER, headers={"authorization": "mine"}).headers
    assert (sent["Authorization"], "Cookie" in sent) == ("mine", False)
    assert build(plan, OTHER, headers={"authorization": "canary"}).headers["Authorization"] == "canary"
    config = plan.build_config("GET", OTHER, None, {})
    config.headers["Authorization"] = "from an interceptor"
    assert plan.build_request(config, DRIVER, 0.0).headers["Authorization"] == "from an interceptor"


def test_an_interceptor_that_only_looks_at_the_headers_lets_no_credentials_out() -> None:
    plan = plan_of(base_url=OWN, headers=CREDENTIALS)
    config = plan.build_config("GET", OTHER, None, {})
    assert config.headers["Authorization"] == "canary"
    assert "canary" not in plan.build_request(config, DRIVER, 0.0).headers.values()


@pytest.mark.parametrize("looked", [True, False])
def test_sending_a_call_again_lets_no_credentials_out(looked: bool) -> None:
    plan = plan_of(base_url=OWN, headers=CREDENTIALS)
    config = plan.build_config("GET", OTHER, None, {})
    if looked:
        assert "Cookie" in config.headers
    again = plan.build_config(None, None, config, {})
    assert "canary" not in plan.build_request(again, DRIVER, 0.0).headers.values()


def test_credentials_for_one_socket_do_not_go_to_another() -> None:
    plan = plan_of(base_url="http+unix://%2Frun%2Fone.sock", headers=CREDENTIALS)
    assert build(plan, "/a").headers["Authorization"] == "canary"
    for url in ("http+unix://%2Frun%2Ftwo.sock/a", "http://localhost/a"):
        assert "canary" not in build(plan, url).headers.values()


def test_userinfo_becomes_basic_unless_there_is_authorization() -> None:
    plan = plan_of()
    request = build(plan, "http://u:p%40@h/")
    assert (request.headers["Authorization"], request.url) == ("Basic dTpwQA==", "http://h/")
    assert build(plan, "http://u:p@h/", headers={"Authorization": "x"}).headers["Authorization"] == "x"
    assert "Authorization" not in build(plan, "http://h/").headers
    # Nor does it stick to a base's client defaults of another origin.
    foreign = build(plan_of(base_url=OWN, headers=CREDENTIALS), "https://u:p@other.example/")
    assert foreign.headers["Authorization"] == "Basic dTpw"


@pytest.mark.parametrize("userinfo", ["u%0D%0AX:p", "u:p%0A", "u%00:p"])
def test_userinfo_cannot_inject(userinfo: str) -> None:
    with pytest.raises(AtomHTTPOptionError):
        build(plan_of(), f"http://{userinfo}@h/")


def test_a_range_asks_for_content_without_coding() -> None:
    plan = plan_of(base_url=OWN)
    assert build(plan, headers={"range": "bytes=0-9"}).headers["Accept-Encoding"] == "identity"
    assert build(plan, headers={"Range": "bytes=0-9", "Accept-Encoding": "br"}).headers["Accept-Encoding"] == "br"
    assert build(plan).headers["Accept-Encoding"] == "gzip, deflate"


# Content


@pytest.mark.parametrize(
    ("options", "body", "content_type"),
    [
        ({"data": {"a": 1}}, b'{"a":1}', "application/json"),
        ({"data": "x"}, b"x", "text/plain; charset=utf-8"),
        ({"data": ""}, b"", "text/plain; charset=utf-8"),
        ({"data": 0}, b"0", "application/json"),
        ({"data": False}, b"false", "application/json"),
        ({"data": b""}, b"", "application/octet-stream"),
        ({"json": "x"}, b'"x"', "application/json"),
        ({"json": 0}, b"0", "application/json"),
        ({"form": {"a": 1}}, b"a=1", "application/x-www-form-urlencoded"),
        ({"form": {}}, b"", "application/x-www-form-urlencoded"),
        ({"data": "x", "headers": {"content-type": "text/csv"}}, b"x", "text/csv"),
        ({"json": {}, "headers": {"Content-Type": "application/x+json"}}, b"{}", "application/x+json"),
        (
            {"data": {"a": 1}, "headers": {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}},
            b"a=1",
            "application/x-www-form-urlencoded; charset=utf-8",
        ),
        ({"data": b"x", "headers": {"Content-Length": 1}}, b"x", "application/octet-stream"),
        ({"json": [1], "json_encoder": lambda value: b"encoded"}, b"encoded", "application/json"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_content(options: dict[str, Any], body: bytes, content_type: str, method: str) -> None:
    request = build(plan_of(base_url=OWN), "/", method, **options)
    assert (request.body, request.has_body, request.content_type) == (body, True, content_type)
    assert request.content_length == len(body)


def test_without_content() -> None:
    request = build(plan_of(base_url=OWN), "/", "POST")
    assert (request.body, request.has_body, request.content_type, request.content_length) == (b"", False, None, None)


@pytest.mark.parametrize("names", [("data", "json"), ("json", "form"), ("data", "form"), ("data", "json", "form")])
def test_more_than_one_body_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(AtomHTTPOptionError, match=" and ".join(names)) as caught:
        build(plan_of(base_url=OWN), **{name: {} for name in names})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


@pytest.mark.parametrize("declared", [0, 2, 4])
@pytest.mark.parametrize("data", [b"abc", "abc", {"a": 1}])
def test_a_content_length_that_contradicts_the_body_is_refused(declared: int, data: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=f"Content-Length is {declared}") as caught:
        build(plan_of(base_url=OWN), "/", "POST", data=data, headers={"Content-Length": declared})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_a_content_length_without_content_is_refused() -> None:
    with pytest.raises(AtomHTTPOptionError, match="Content-Length"):
        build(plan_of(base_url=OWN), "/", "POST", headers={"Content-Length": 5})
    assert not build(plan_of(base_url=OWN), "/", "POST", headers={"Content-Length": 0}).has_body


def test_a_content_length_frames_an_iterator() -> None:
    request = build(plan_of(base_url=OWN), "/", "POST", data=generate(), headers={"Content-Length": 3})
    assert isinstance(request.body, IteratorBody)
    assert (request.content_length, request.body.length) == (3, 3)


def test_a_content_length_that_contradicts_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert build(plan_of(base_url=OWN), data=path, headers={"Content-Length": 3}).content_length == 3
    with pytest.raises(AtomHTTPOptionError, match="Content-Length is 4"):
        build(plan_of(base_url=OWN), data=path, headers={"Content-Length": 4})


@pytest.mark.parametrize("name", ["Transfer-Encoding", "Upgrade", "TE", "Trailer"])
def test_framing_set_by_the_caller_is_refused(name: str) -> None:
    for plan, headers in [(plan_of(base_url=OWN), {name: "x"}), (plan_of(base_url=OWN, headers={name: "x"}), {})]:
        with pytest.raises(AtomHTTPOptionError) as caught:
            build(plan, headers=headers)
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_streamed_content_knows_who_waits_for_it_and_until_when() -> None:
    request = build(plan_of(base_url=OWN, timeout=7), "/", "POST", data=generate())
    assert isinstance(request.body, IteratorBody)
    assert (request.body._driver, request.body._due, request.deadline) == (DRIVER, 107.0, 107.0)


# Limits and time


@pytest.mark.parametrize("limit", [0, 2, 3, 4, -1])
@pytest.mark.parametrize("framed", [False, True])
def test_content_of_known_size_is_held_against_the_limit_before_it_is_sent(limit: int, framed: bool) -> None:
    options = {"data": generate(), "headers": {"Content-Length": 3}} if framed else {"data": b"abc"}
    plan = plan_of(base_url=OWN, max_body_length=limit)
    if 0 <= limit < 3:
        with pytest.raises(AtomHTTPLimitError) as caught:
            build(plan, **options)
        assert (caught.value.code, caught.value.limit, caught.value.size) == ("ERR_MAX_BODY_LENGTH", limit, 3)
    else:
        assert build(plan, **options).content_length == 3


def test_content_of_unknown_size_is_counted_while_it_is_sent() -> None:
    request = build(plan_of(base_url=OWN, max_body_length=0), data=generate())
    assert isinstance(request.body, LimitedBody)
    assert request.content_length is None
    assert not isinstance(build(plan_of(base_url=OWN), data=generate()).body, LimitedBody)


def test_no_content_passes_a_limit_of_0() -> None:
    assert build(plan_of(base_url=OWN, max_body_length=0)).body == b""
    assert build(plan_of(base_url=OWN, max_body_length=0), data=b"").body == b""


@pytest.mark.parametrize(("given", "deadline"), [(5, 105.0), (None, None), (0, None), ({"connect": 1}, None)])
def test_deadlines(given: Any, deadline: float | None) -> None:
    assert build(plan_of(base_url=OWN, timeout=given)).deadline == deadline
    assert build(plan_of(base_url=OWN, timeout=99), timeout=given).deadline == deadline


def test_keep_alive_needs_the_option_and_the_field() -> None:
    assert build(plan_of(base_url=OWN)).outline.keep_alive
    assert not build(plan_of(base_url=OWN, keep_alive=False)).outline.keep_alive
    assert not build(plan_of(base_url=OWN), headers={"Connection": "close"}).outline.keep_alive


# Requests


def test_the_repr_of_a_request_hides_secrets() -> None:
    assert repr(build(plan_of(), "http://u:canary@h/?token=canary")) == "<Request GET http://h/?token=[redacted]>"


def test_a_request_is_pickled_as_a_description() -> None:
    config = RequestConfig(url="/a")
    request = build(plan_of(base_url="http://h:81"), "/a?b", "POST", data=b"x", headers={"A": "1"})
    request.config = config
    twin = pickle.loads(pickle.dumps(request))
    assert (twin.method, twin.url, twin.content_type, twin.has_body) == (
        "POST",
        "http://h:81/a?b",
        "application/octet-stream",
        True,
    )
    assert (twin.headers["A"], twin.config.url) == ("1", "/a")


# The short way


LIKE: list[tuple[str, dict[str, Any]]] = [
    ("/a", {}),
    ("/a", {"headers": {"X-Id": "1"}}),
    ("/a", {"headers": {"x-id": " 1 ", "ACCEPT": "text/html", "Cookie": "a=b"}}),
    ("/a", {"headers": {"Authorization": "Bearer abc"}}),
    ("/a", {"headers": {}}),
    ("/a", {"headers": None, "params": None}),
    ("/a", {"params": {"page": 1, "q": "a b&c", "empty": "", "none": None}}),
    ("/a", {"params": {"none": None}}),
    ("/a", {"params": {}}),
    ("", {"params": {"page": 1}}),
    ("/a", {"timeout": 3}),
    ("/a", {"timeout": 0.5, "params": {"a": "ü"}, "headers": {"X-Id": "2"}}),
    ("/a", {"timeout": 0}),
    ("/a", {"signal": AbortController().signal}),
    ("/a", {"json": {"a": 1}, "headers": {"X-Id": "1"}}),
    ("/a", {"json": {"a": 1}, "headers": {"content-type": "application/vnd.api+json"}}),
    ("/a", {"data": {"a": 1}, "headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
    ("/a", {"form": {"a": "1"}, "params": {"b": 2}}),
    ("/other?x=1", {"headers": {"X-Id": "1"}}),
    (f"{OTHER}/b", {"headers": {"X-Id": "1"}, "params": {"a": 1}}),
]
# What is not for the short way; it may not notice, but then it must come to the same.
UNLIKE: list[tuple[str, dict[str, Any]]] = [
    ("/a", {"headers": {"Range": "bytes=0-1"}}),
    ("/a", {"headers": {"Host": "x.example"}}),
    ("/a", {"headers": {"Connection": "close"}}),
    ("/a", {"headers": {"Proxy-Authorization": "Basic x"}}),
    ("/a", {"headers": {"X-Id": None}}),
    ("/a", {"headers": {"Accept": None}}),
    ("/a", {"headers": {"Accept": False}}),
    ("/a", {"headers": {"X-Id": ["1", "2"]}}),
    ("/a", {"headers": {"X-Id": 1}}),
    ("/a", {"headers": {"X-Id": "1", "x-id": "2"}}),
    ("/a", {"headers": [("X-Id", "1"), ("X-Id", "2")]}),
    ("/a", {"headers": {"X-Id": "a\r\nb: c"}}),
    ("/a", {"headers": {"X Id": "1"}}),
    ("/a", {"headers": {"X-Id": True}}),
    ("/a", {"params": {"list": [1, 2]}}),
    ("/a", {"params": "x=1"}),
    ("/a", {"params": {"it's": "it's"}}),
    ("/a", {"params": {"float": 0.5, "flag": True}}),
    ("/a?", {"params": {"x": 1}}),
    ("/a?x=1", {"params": {"y": 1}}),
    ("/a#part", {"params": {"y": 1}}),
    ("/a#part", {"headers": {"X-Id": "1"}}),
    ("/a", {"timeout": True}),
    ("/a", {"timeout": -1}),
    ("/a", {"timeout": None}),
    ("/a", {"timeout": {"connect": 1}}),
    ("/a", {"signal": None}),
    ("/a", {"signal": "x"}),
    ("/a", {"response_type": "text"}),
    ("/a", {"json": {"a": 1}, "data": "x", "headers": {"X-Id": "1"}}),
    ("/a", {"headers": {"Content-Length": "3"}}),
    ("https://user:secret@own.example/", {"headers": {"X-Id": "1"}}),
    ("no host://", {"headers": {"X-Id": "1"}}),
]
CLIENTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "base with a query": {"base_url": f"{OWN}/v1?k=1"},
    "fields": {"headers": {"X-Id": "0", "Accept": ["a", "b"], "Content-Type": "text/plain"}},
    "locked": {"headers": {"X-Id": False, "Accept": False}},
    "credentials": {"headers": {"Authorization": "Bearer own", "Cookie": "own=1"}},
    "auth": {"auth": ("user", "secret")},
    "params": {"params": {"v": 1, "page": 0}},
    "nested params": {"params": {"v": [1, 2]}},
    "params as text": {"params": "v=1"},
    "limited": {"max_content_length": 5, "timeout": 7},
    "retry": {"retry_config": 2},
    "strict URLs": {"allow_absolute_urls": False},
    "no cookies": {"cookies": False},
    "xsrf": {"with_xsrf_token": True},
    "own serializer": {"params_serializer": {"indexes": None}},
}


def describe(request: Request) -> dict[str, Any]:
    """All that can be told of a request, and of what it was made from."""
    outline, block = request.outline, request.outline.block
    own = ("head", "target", "block", "router", "_extended", "_varied")
    apart = ("fields", "_names", "encoded")
    return {
        **{name: getattr(outline, name) for name in _OUTLINE_FIELDS if name not in own},
        "target": {name: getattr(outline.target, name) for name in Target.__slots__},
        "block": {name: getattr(block, name) for name in FieldBlock.__slots__ if name not in apart},
        # Only the order of fields of one name has a meaning.
        "fields": sorted(block.fields, key=itemgetter(0)),
        "headers": sorted(request.headers.multi_items(), key=itemgetter(0)),
        "head": sorted(build_head(request).split(b"\r\n"), key=lambda line: line.partition(b":")[0]),
        "names": block.names,
        "content": (request.body, request.has_body, request.content_type, request.content_length),
        "deadline": request.deadline,
        "config": dict(request.config.items()),
    }


def outcome(make: Callable[[], Request | None]) -> Any:
    """What `make` makes, None, or the error it raises."""
    try:
        request = make()
    except AtomHTTPError as error:
        return (type(error), error.code, error.message)
    return None if request is None else describe(request)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("url", "options"), [*LIKE, *UNLIKE], ids=str)
def test_the_short_way_makes_the_same_request_as_the_long_one(client: str, url: str, options: dict[str, Any]) -> None:
    plan = plan_of(**{"base_url": OWN, **CLIENTS[client]})
    method = "POST" if {"json", "data", "form"} & options.keys() else "GET"
    for known in (f"{OWN}/known", f"{OTHER}/known"):
        with contextlib.suppress(AtomHTTPError):
            plan.remember(build(plan, known, method), {})
    long = outcome(lambda: build(plan, url, method, **options))
    # Twice: the second time it may be remembered.
    for _ in range(2):
        short = outcome(lambda: plan.recall_request(method, url, None, options, DRIVER, 100.0))
        assert short is None or short == long
    if (url, options) in LIKE and client == "plain":
        assert short is not None


def test_the_first_call_to_an_origin_may_be_one_with_options() -> None:
    plan = plan_of()
    options = {"headers": {"X-Id": "1"}, "params": {"page": 1}}
    assert plan.recall_request("GET", f"{OWN}/a", None, options, DRIVER, 0.0) is None
    plan.remember(build(plan, f"{OWN}/a", **options), options)
    others = {"headers": {"X-Id": "2"}, "params": {"page": 2}}
    request = plan.recall_request("GET", f"{OWN}/b", None, others, DRIVER, 0.0)
    assert request is not None
    assert (request.url, request.headers["x-id"]) == (f"{OWN}/b?page=2", "2")
    plain = plan.recall_request("GET", f"{OWN}/b", None, {}, DRIVER, 0.0)
    assert plain is not None
    assert (plain.url, "x-id" in plain.headers) == (f"{OWN}/b", False)


def test_what_the_short_way_remembers_is_plain_text_and_numbers() -> None:
    plan = plan_of(base_url=OWN)
    plan.remember(build(plan), {})
    for options in ({"timeout": 1}, {"headers": {"X-Id": "1"}}):
        assert plan.recall_request("GET", "/a", None, options, DRIVER, 0.0) is not None
    for same, options in ((True, {"timeout": True}), (1, {"headers": {"X-Id": 1}})):
        assert plan.recall_request("GET", "/a", None, options, DRIVER, 0.0) is None, same


def test_the_config_of_the_short_way_is_of_the_time_of_the_call() -> None:
    plan = plan_of(base_url=OWN)
    plan.remember(build(plan), {})
    headers, params = {"X-Id": "1"}, {"page": 1}
    request = plan.recall_request("GET", "/a", None, {"headers": headers, "params": params}, DRIVER, 0.0)
    headers["X-Id"], params["page"] = "2", 2
    assert request is not None
    assert (request.config.headers["x-id"], request.config.params) == ("1", {"page": 1})
    assert (request.headers["x-id"], request.target.path) == ("1", "/a?page=1")


def test_an_aborted_signal_is_not_for_the_short_way() -> None:
    plan = plan_of(base_url=OWN)
    plan.remember(build(plan), {})
    assert plan.recall_request("GET", "/a", None, {"signal": AbortSignal.abort()}, DRIVER, 0.0) is None


def test_what_transform_request_has_to_see_is_not_for_the_short_way() -> None:
    plan = plan_of(base_url=OWN, transform_request=[lambda data: data])
    for options in ({}, {"headers": {"X-Id": "1"}}, {"data": "x"}):
        for _ in range(2):
            build(plan, **options)
            assert plan.recall_request("GET", "/a", None, options, DRIVER, 0.0) is None
