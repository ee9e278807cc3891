"""Options: spellings, mistakes, scopes, what None means, live defaults."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from atomhttp import AtomHTTPOptionError, RequestConfig, Timeout
from atomhttp._model.options import OPTIONS
from contract.flavours import Api
from support.origin import Origin

BOTH_SPELLINGS = [option for option in OPTIONS if option.name != option.alias]
IN_BOTH_SCOPES = [option for option in BOTH_SPELLINGS if option.scope == "both"]
SAMPLES: dict[str, Any] = {
    "on_upload_progress": print,
    "on_download_progress": print,
    "transform_request": str,
    "transform_response": str,
    "max_redirects": 1,
    "before_redirect": print,
    "cross_origin_headers": ("x-one",),
    "allow_insecure_redirect": True,
    "retry_config": {"max_retries": 1},
    "max_rate": (1000.0, 2000.0),
    "form_serializer": {"dots": True},
    "with_credentials": True,
    "base_url": "http://service.test",
    "response_type": "text",
    "validate_status": True,
    "max_body_length": 5,
    "max_content_length": 5,
    "response_encoding": "latin-1",
    "socket_path": "/run/x",
    "allowed_socket_paths": ("/run/x",),
    "keep_alive": False,
    "allow_absolute_urls": False,
    "params_serializer": str,
    "json_encoder": str,
    "json_decoder": bytes,
    "max_connections": 3,
    "max_connections_per_origin": 3,
    "keep_alive_timeout": 3,
    "connection_lifetime": 3,
    "max_header_size": 3000,
    "ping_interval": 3,
    "xsrf_cookie_name": "csrf",
    "xsrf_header_name": "X-CSRF",
    "with_xsrf_token": True,
    "trust_env": False,
    "address_guard": "public",
    "local_address": ("127.0.0.1", 0),
}


# Two spellings


@pytest.mark.parametrize("option", BOTH_SPELLINGS, ids=lambda option: option.name)
async def test_both_spellings_work_in_constructor_and_defaults(api: Api, option: Any) -> None:
    if option.scope == "call":
        pytest.skip("an option of calls only")
    value = SAMPLES[option.name]
    for client in (api.client(**{option.name: value}), api.client({option.alias: value})):
        assert getattr(client.defaults, option.name) == getattr(client.defaults, option.alias) == value
        assert client.defaults[option.name] == client.defaults[option.alias] == value
    setattr(client.defaults, option.alias, option.default)
    assert getattr(client.defaults, option.name) == option.default
    client.defaults[option.alias] = value
    assert client.defaults[option.name] == value


@pytest.mark.parametrize("option", IN_BOTH_SCOPES, ids=lambda option: option.name)
def test_both_spellings_work_in_a_config(option: Any) -> None:
    value = SAMPLES[option.name]
    for config in (RequestConfig({option.alias: value}), RequestConfig(**{option.name: value})):
        assert getattr(config, option.name) == getattr(config, option.alias) == value
        assert config[option.name] == config[option.alias] == value
        assert option.name in config
        assert option.alias in config


async def test_both_spellings_work_in_a_call(client: Any, origin: Origin) -> None:
    for spelling in ("response_type", "responseType"):
        response = await client.get(f"{origin.url}/bytes/3", **{spelling: "text"})
        assert isinstance(response.data, str)
        response = await client.get(f"{origin.url}/bytes/3", config={spelling: "text"})
        assert isinstance(response.data, str)


async def test_both_spellings_with_different_values_are_an_error(client: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="response_type and responseType") as caught:
        await client.get("http://service.test/", response_type="text", responseType="blob")
    assert caught.value.code == "ERR_BAD_OPTION"


async def test_both_spellings_with_one_value_are_fine(client: Any, origin: Origin) -> None:
    response = await client.get(f"{origin.url}/bytes/3", response_type="text", responseType="text")
    assert isinstance(response.data, str)


# Names that do not exist, or not here


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("allow_redirects", "maxRedirects"),
        ("follow_redirects", "maxRedirects"),
        ("proxies", "proxy"),
        ("files", "FormData"),
        ("content", "data"),
        ("stream", "response_type='stream'"),
        ("ssl", "verify"),
        ("raise_for_status", "validateStatus=True"),
        ("tiemout", "timeout"),
        ("responsetype", "response_?[tT]ype"),
        ("baseUrl", "baseURL"),
        ("validate_statuses", "validate_?[sS]tatus"),
    ],
)
async def test_an_unknown_option_asks_did_you_mean(api: Api, client: Any, name: str, hint: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=f"did you mean {hint}") as caught:
        await client.get("http://service.test/", **{name: 1})
    assert caught.value.code == "ERR_BAD_OPTION"
    with pytest.raises(AtomHTTPOptionError, match=f"did you mean {hint}"):
        await client.get("http://service.test/", config={name: 1})
    with pytest.raises(AtomHTTPOptionError, match=f"did you mean {hint}"):
        api.client(**{name: 1})
    with pytest.raises(AtomHTTPOptionError, match=f"did you mean {hint}"):
        setattr(client.defaults, name, 1)


async def test_an_unknown_option_like_nothing_is_named(client: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="'zzzzzz'") as caught:
        await client.get("http://service.test/", zzzzzz=1)
    assert caught.value.code == "ERR_BAD_OPTION"


@pytest.mark.parametrize("name", ["max_connections", "maxConnectionsPerOrigin", "keepAliveTimeout", "max_header_size"])
async def test_an_option_of_the_client_on_a_call_says_where_it_belongs(client: Any, name: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match="belongs to a client") as caught:
        await client.get("http://service.test/", **{name: 5})
    assert caught.value.code == "ERR_BAD_OPTION"


@pytest.mark.parametrize("name", ["url", "method", "data", "json", "form"])
async def test_an_option_of_a_call_on_the_client_says_where_it_belongs(api: Api, client: Any, name: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match="belongs to a call") as caught:
        api.client(**{name: "x"})
    assert caught.value.code == "ERR_BAD_OPTION"
    with pytest.raises(AtomHTTPOptionError, match="belongs to a call"):
        client.defaults[name] = "x"


async def test_client_timeout_asks_for_client_defaults_timeout(client: Any) -> None:
    with pytest.raises(AttributeError, match=r"did you mean client\.defaults\.timeout"):
        client.timeout = 5
    with pytest.raises(AttributeError, match=r"did you mean client\.defaults\.baseURL"):
        client.baseURL = "http://service.test"


@pytest.mark.parametrize("name", ["defaults", "interceptors"])
async def test_what_is_changed_in_place_cannot_be_replaced(client: Any, name: str) -> None:
    kept = getattr(client, name)
    with pytest.raises(AttributeError, match=rf"^{name}: is changed, and not replaced: client\.{name}\."):
        setattr(client, name, {"timeout": 5})
    assert getattr(client, name) is kept


# Values of the wrong kind

WRONG: list[tuple[str, Any]] = [
    ("timeout", "5"),
    ("timeout", -1),
    ("timeout", True),
    ("timeout", float("nan")),
    ("baseURL", 5),
    ("responseType", "xml"),
    ("responseType", None),
    ("validateStatus", 200),
    ("validateStatus", False),
    ("maxContentLength", "5"),
    ("maxContentLength", -2),
    ("maxBodyLength", 1.5),
    ("decompress", 1),
    ("keepAlive", "no"),
    ("verify", None),
    ("verify", 1),
    ("cert", 5),
    ("params", 5),
    ("headers", 5),
    ("headers", {"X": {}}),
    ("socketPath", ""),
    ("allowedSocketPaths", 5),
    ("adapter", object()),
    ("meta", 5),
    ("jsonEncoder", 5),
    ("jsonDecoder", "x"),
    ("transitional", 5),
    ("transitional", {"silentJSONParsing": 1}),
    ("responseEncoding", 5),
    ("allowAbsoluteUrls", None),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
async def test_a_value_of_the_wrong_kind_is_raised_where_it_was_given(
    api: Api, client: Any, name: str, value: Any
) -> None:
    places: list[Callable[[], Any]] = [
        lambda: api.client(**{name: value}),
        lambda: setattr(client.defaults, name, value),
        lambda: RequestConfig({name: value}),
    ]
    for place in places:
        with pytest.raises(AtomHTTPOptionError) as caught:
            place()
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    with pytest.raises(AtomHTTPOptionError) as caught:
        await client.get("http://service.test/", **{name: value})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(("name", "value"), [("maxConnections", 0), ("maxHeaderSize", 0), ("keepAliveTimeout", -1)])
async def test_a_clients_own_value_of_the_wrong_kind_is_refused(api: Api, client: Any, name: str, value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=name):
        api.client(**{name: value})
    with pytest.raises(AtomHTTPOptionError, match=name):
        client.defaults[name] = value


async def test_a_config_that_is_no_mapping_is_refused(api: Api, client: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="mapping or a RequestConfig"):
        api.client(5)
    with pytest.raises(AtomHTTPOptionError, match="mapping or a RequestConfig"):
        await client.get("http://service.test/", config=5)


@pytest.mark.parametrize(
    "timeout", [5, 0.5, timedelta(seconds=5), Timeout(5, connect=1), {"total": 5, "read": 1}, None, 0]
)
async def test_every_kind_of_timeout_is_taken(client: Any, origin: Origin, timeout: Any) -> None:
    assert (await client.get(f"{origin.url}/echo", timeout=timeout)).status == 200
    client.defaults.timeout = timeout
    assert (await client.get(f"{origin.url}/echo")).status == 200


# Inheriting


async def test_not_given_inherits_and_none_is_a_value(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, validateStatus=True, timeout=7)
    with pytest.raises(Exception, match="404"):
        await client.get("/status/404")
    response = await client.get("/status/404", validateStatus=None)
    assert response.status == 404
    assert response.config.timeout == 7
    assert (await client.get("/echo", timeout=None)).config.timeout is None


async def test_none_for_base_url_switches_it_off(api: Api, origin: Origin) -> None:
    client = api.client(baseURL="http://service.test/x")
    assert (await client.get(f"{origin.url}/echo", baseURL=None)).status == 200
    with pytest.raises(ValueError, match="not an absolute URL"):
        await client.get("/echo", baseURL=None)


@pytest.mark.parametrize("base", ["example.com", "127.0.0.1:8000", "/api", "http//x", "localhost:80/x"])
async def test_a_base_url_without_a_scheme_is_named_in_the_error(api: Api, base: str) -> None:
    expected = f"baseURL: expected an absolute URL such as .*, got '{re.escape(base)}'"
    with pytest.raises(ValueError, match=expected):
        api.client(baseURL=base)
    client = api.client()
    with pytest.raises(ValueError, match=expected):
        await client.get("/echo", baseURL=base)


@pytest.mark.parametrize("given", [print, object(), AtomHTTPOptionError, lambda: "http://h/"])
async def test_what_is_no_url_is_not_sent(api: Api, origin: Origin, given: Any) -> None:
    client = api.client(baseURL=origin.url)
    for _ in range(2):
        with pytest.raises(AtomHTTPOptionError, match=r"^url: expected a URL"):
            await client.get(given)
    assert origin.requests == []


@pytest.mark.parametrize("name", ["params", "headers", "data", "json", "form", "meta"])
async def test_none_means_not_given_for_params_headers_bodies_and_meta(api: Api, origin: Origin, name: str) -> None:
    client = api.client(baseURL=origin.url, params={"k": 1}, headers={"X-K": "1"}, meta={"k": 1})
    response = await client.post("/echo", **{name: None})
    assert origin.requests[0].target == "/echo?k=1"
    assert origin.requests[0].get("x-k") == "1"
    assert origin.requests[0].body == b""
    assert response.config.meta == {"k": 1}


async def test_meta_is_a_dict_for_the_callers_marks(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, meta={"a": 1, "b": 1})
    response = await client.get("/echo", meta={"b": 2, "c": 3})
    assert response.config.meta == {"a": 1, "b": 2, "c": 3}
    response.config.meta["d"] = 4
    assert client.defaults.meta == {"a": 1, "b": 1}
    assert RequestConfig().meta == {}


# Live defaults


async def test_defaults_are_live(client: Any, origin: Origin) -> None:
    client.defaults.baseURL = origin.url
    await client.get("/echo")
    client.defaults.params = {"a": 1}
    client.defaults["headers"]["X-Flat"] = "1"
    client.defaults.headers.common["X-Common"] = "2"
    client.defaults.response_type = "blob"
    response = await client.get("/echo")
    assert isinstance(response.data, bytes)
    assert origin.requests[1].target == "/echo?a=1"
    assert (origin.requests[1].get("x-flat"), origin.requests[1].get("x-common")) == ("1", "2")
    assert origin.requests[0].get("x-flat") is None


async def test_a_wrong_default_is_refused_and_changes_nothing(client: Any) -> None:
    with pytest.raises(AtomHTTPOptionError):
        client.defaults.timeout = "soon"
    assert client.defaults.timeout == 30


async def test_a_mapping_in_the_defaults_is_live_too(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, params={"a": 1})
    await client.get("/echo")
    client.defaults.params["b"] = 2
    await client.get("/echo")
    assert [each.target for each in origin.requests] == ["/echo?a=1", "/echo?a=1&b=2"]


async def test_the_callers_mapping_is_copied(api: Api, origin: Origin) -> None:
    params, headers = {"a": {"b": 1}}, {"X-One": "1"}
    config = {"params": params, "headers": headers}
    client = api.client(config, baseURL=origin.url)
    params["a"]["b"] = 2
    headers["X-One"] = "2"
    await client.get("/echo")
    assert origin.requests[0].target == "/echo?a%5Bb%5D=1"
    assert origin.requests[0].get("x-one") == "1"
    assert config == {"params": {"a": {"b": 2}}, "headers": {"X-One": "2"}}


async def test_a_request_config_may_configure_a_client(api: Api, origin: Origin) -> None:
    config = RequestConfig(baseURL=origin.url, timeout=7, headers={"X-One": "1"})
    client = api.client(config, timeout=8)
    await client.get("/echo")
    assert client.defaults.timeout == 8
    assert origin.requests[0].get("x-one") == "1"
    assert config.timeout == 7


async def test_a_call_changes_no_defaults(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, headers={"X-One": "1"}, params={"a": 1})
    response = await client.get("/echo", headers={"X-One": "2"}, params={"a": 2}, timeout=3)
    response.config.headers["X-One"] = "3"
    response.config.params["a"] = 3
    await client.get("/echo")
    assert (origin.requests[1].target, origin.requests[1].get("x-one")) == ("/echo?a=1", "1")
    assert client.defaults.timeout == 30


def test_paths_may_be_str_or_path() -> None:
    assert RequestConfig(socketPath=Path("/run/x")).socket_path == "/run/x"
    assert RequestConfig(cert="a.pem").cert == ("a.pem",)


@pytest.mark.parametrize("name", ["proxies", "allow_redirects", "event_hooks"])
async def test_a_client_has_no_attributes_of_other_libraries(client: Any, name: str) -> None:
    with pytest.raises(AttributeError, match=f"a client has no '{name}'; did you mean"):
        setattr(getattr(client, "real", client), name, {})


async def test_a_subclass_calls_its_own_things_what_it_likes(api: Api) -> None:
    class Mine(api.client_class):  # type: ignore[misc, name-defined]  # either client
        pass

    made = Mine()
    made.limits = 5
    assert made.limits == 5
    api.keep(made)
