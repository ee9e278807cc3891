from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from atomhttp._model.config import HEADER_LAYERS, DefaultHeaders, Defaults, RequestConfig, given_options
from atomhttp._model.headers import Headers
from atomhttp._model.timeout import Timeout
from atomhttp._pipeline.plan import Plan
from atomhttp.errors import AtomHTTPOptionError

BUILT_IN = {"Accept": "*/*", "User-Agent": "test"}


def defaults(**options: Any) -> Defaults:
    return Defaults(BUILT_IN, options)


def config_of(client: Defaults, **options: Any) -> RequestConfig:
    return Plan(client).build_config("GET", "/a", None, options)


# RequestConfig


def test_options_by_attribute_and_item_in_both_spellings() -> None:
    config = RequestConfig({"baseURL": "http://h"}, response_type="text")
    assert config.base_url == config.baseURL == config["base_url"] == config["baseURL"] == "http://h"
    assert config.responseType == "text"
    config.baseURL = "http://i"
    config["maxBodyLength"] = 5
    assert (config.base_url, config.max_body_length) == ("http://i", 5)
    assert set(config) == set(config.keys()) == {"base_url", "response_type", "max_body_length"}
    assert dict(config.items()) == {"base_url": "http://i", "response_type": "text", "max_body_length": 5}
    assert ("baseURL" in config, "base_url" in config, "timeout" in config, 5 in config) == (True, True, False, False)
    assert len(config) == 3
    del config.baseURL
    assert "base_url" not in config


def test_what_was_not_given_reads_as_its_default_and_is_not_set() -> None:
    config = RequestConfig()
    assert (config.timeout, config.method, config.url, config.validate_status, config.decompress) == (
        30,
        "GET",
        None,
        None,
        True,
    )
    assert (config.get("timeout"), config.get("timeout", 5), len(config)) == (None, 5, 0)


def test_keywords_win_over_the_mapping() -> None:
    assert RequestConfig({"timeout": 5, "url": "/a"}, timeout=6).timeout == 6
    assert RequestConfig({"baseURL": "http://a"}, base_url="http://b").base_url == "http://b"
    assert RequestConfig(RequestConfig(timeout=5), url="/b").timeout == 5


@pytest.mark.parametrize("write", [setattr, RequestConfig.__setitem__])
def test_what_is_set_is_checked(write: Any) -> None:
    config = RequestConfig(timeout=5)
    for name, value, code in [
        ("timeout", -1, "ERR_BAD_OPTION_VALUE"),
        ("timeOut", 1, "ERR_BAD_OPTION"),
        ("maxConnections", 1, "ERR_BAD_OPTION"),
    ]:
        with pytest.raises(AtomHTTPOptionError) as caught:
            write(config, name, value)
        assert caught.value.code == code
    assert dict(config.items()) == {"timeout": 5}


def test_what_does_not_exist() -> None:
    config = RequestConfig()
    with pytest.raises(AttributeError, match="did you mean timeout"):
        config.timeuot  # noqa: B018
    with pytest.raises(AttributeError, match="no option"):
        config.max_connections  # noqa: B018
    with pytest.raises(AtomHTTPOptionError, match="did you mean timeout"):
        config["timeuot"]
    with pytest.raises(AtomHTTPOptionError):
        del config.timeuot
    assert not hasattr(config, "__len_hint__")


@pytest.mark.parametrize("given", [5, "url", [("url", "/a")], True])
def test_a_config_is_a_mapping_or_a_config(given: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="config: expected a mapping") as caught:
        RequestConfig(given)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_meta_is_a_dict_for_the_caller_s_marks() -> None:
    config = RequestConfig()
    config.meta["mark"] = 1
    assert (config.meta, config["meta"]) == ({"mark": 1}, {"mark": 1})
    assert RequestConfig().meta == {}


def test_headers_are_built_when_they_are_asked_for() -> None:
    config = config_of(defaults(headers={"X-Own": "1"}), headers={"accept": "text/html"})
    assert "headers" not in config.__dict__
    assert "headers" in config
    assert config.headers.to_json() == {"Accept": "text/html", "User-Agent": "test", "X-Own": "1"}
    assert config.headers is config.headers
    config.headers["X-More"] = "2"
    assert config.headers["x-more"] == "2"


def test_a_config_shares_nothing_with_what_it_was_made_from() -> None:
    headers, params, meta = Headers({"A": "1"}), {"a": 1}, {"m": 1}
    config = RequestConfig(headers=headers, params=params)
    config.headers["A"] = "2"
    config.params["a"] = 2
    assert (headers["A"], params) == ("1", {"a": 1})
    config = config_of(defaults(), headers=headers, params=params, meta=meta)
    config.headers["A"] = "2"
    config.params["a"] = 2
    config.meta["m"] = 2
    assert (headers["A"], params, meta) == ("1", {"a": 1}, {"m": 1})
    other = RequestConfig(config)
    other.headers["A"] = "3"
    assert config.headers["A"] == "2"


def test_two_calls_never_see_each_other_s_changes() -> None:
    client = defaults(headers={"A": "1"}, params={"p": 1}, meta={"m": 1})
    one, other = config_of(client), config_of(client)
    one.headers["A"] = "2"
    one.params["p"] = 2
    one.meta["m"] = 2
    for config in (other, config_of(client)):
        assert (config.headers["A"], config.params, config.meta) == ("1", {"p": 1}, {"m": 1})
    assert (client.headers["A"], client.params, client.meta) == ("1", {"p": 1}, {"m": 1})


DUPLICATES = [copy.copy, copy.deepcopy, lambda config: pickle.loads(pickle.dumps(config))]


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_copies_are_equal_and_independent(duplicate: Any) -> None:
    config = RequestConfig(
        url="/a",
        method="post",
        timeout=Timeout(5),
        headers={"A": ["1", "2"]},
        params={"a": [1]},
        meta={"m": 1},
        data={"d": 1},
    )
    twin = duplicate(config)
    assert dict(twin.items()) == dict(config.items())
    twin.headers["A"] = "3"
    twin.timeout = 6
    assert (config.headers.get_all("A"), config.timeout) == (["1", "2"], Timeout(5))


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_copies_of_a_call_s_config_hold_the_client_s_defaults(duplicate: Any) -> None:
    client = defaults(base_url="http://h", validate_status=True, headers={"A": "1"}, params={"p": 1})
    config = config_of(client, validate_status=None, timeout=None, headers={"B": "2"})
    twin = duplicate(config)
    assert (twin.base_url, twin.headers.to_json()["A"], twin.headers["B"], twin.params) == (
        "http://h",
        "1",
        "2",
        {"p": 1},
    )
    assert dict(twin.items()) == dict(config.items())
    # Sent again, it is the same call: what the call switched off stays off, and nothing is applied twice.
    again = Plan(client).build_config(None, None, twin, {})
    assert (again.validate_status, again.timeout, again.params, again.url) == (None, None, {"p": 1}, "/a")
    assert again.headers == config.headers


def test_deepcopy_reaches_nested_values_and_shares_what_cannot_be_copied() -> None:
    adapter = open(__file__, "rb")  # noqa: SIM115
    with adapter:
        config = RequestConfig(data={"file": adapter}, params={"a": {"b": 1}})
        twin = copy.deepcopy(config)
        twin.params["a"]["b"] = 2
        assert config.params == {"a": {"b": 1}}
        assert twin.data["file"] is adapter


def test_repr_and_to_dict_hide_secrets() -> None:
    config = RequestConfig(
        url="http://u:canary@h/?token=canary",
        headers={"Authorization": "canary", "Accept": "shown"},
        params=[("api_key", "canary")],
        data={"password": "canary"},
        cert=("shown.pem", "key.pem", "canary"),
    )
    for shown in (repr(config), repr(config.to_dict()), repr(config.redacted())):
        assert "canary" not in shown
    assert config.to_dict()["headers"] == {"Authorization": "[redacted]", "Accept": "shown"}
    assert (config.headers["Authorization"], config.data) == ("canary", {"password": "canary"})


def test_given_options_merge_by_each_option_s_rule() -> None:
    given = given_options(
        {"params": {"a": 1}, "headers": {"A": "1"}, "meta": {"m": 1}, "timeout": 5},
        {"params": {"b": 2}, "headers": {"B": "2"}, "meta": {"n": 2}, "timeout": None},
    )
    assert given["params"] == {"a": 1, "b": 2}
    assert given["headers"].to_json() == {"A": "1", "B": "2"}
    assert (given["meta"], given["timeout"]) == ({"m": 1, "n": 2}, None)


# Defaults


def test_defaults_are_checked_and_a_change_undoes_what_was_worked_out_of_them() -> None:
    client = defaults(timeout=5)
    for change in (
        lambda: setattr(client, "timeout", 6),
        lambda: client.__setitem__("maxConnections", 5),
        lambda: client.headers.__setitem__("A", "1"),
        lambda: client.headers.common.__setitem__("A", "1"),
        lambda: client.headers.post.__setitem__("A", "1"),
        lambda: client.headers["get"].append("A", "1"),
        lambda: client.headers.delete("A"),
        lambda: setattr(client, "headers", {"B": "1"}),
        lambda: client.headers.__setitem__("B", "2"),
    ):
        client.__dict__["_plan"] = "worked out before"
        change()
        assert client.__dict__["_plan"] is None
    assert (client.timeout, client.max_connections) == (6, 5)
    client.__dict__["_plan"] = "worked out before"
    for name, value in [("timeout", -1), ("url", "/a"), ("timeuot", 5)]:
        with pytest.raises(AtomHTTPOptionError):
            setattr(client, name, value)
    assert client.__dict__["_plan"] == "worked out before"


def test_a_changed_default_holds_for_later_calls_only() -> None:
    client = defaults(timeout=5)
    before = config_of(client)
    client.timeout = 6
    assert (before.timeout, config_of(client).timeout) == (5, 6)


def test_header_layers_come_in_order() -> None:
    client = defaults()
    layers = [client.headers.common, client.headers.post, client.headers]
    for depth, _ in enumerate(layers):
        for number, layer in enumerate(layers[: depth + 1]):
            layer[f"X-{depth}"] = str(number)
    merged = client.headers.for_method("POST")
    assert [merged[f"X-{depth}"] for depth in range(3)] == ["0", "1", "2"]
    config = Plan(client).build_config("POST", "/", None, {"headers": {"x-2": "3"}})
    assert config.headers["X-2"] == "3"
    assert client.headers.for_method("GET").to_json().keys() >= {"X-0", "X-2", "Accept"}
    assert "X-1" not in client.headers.for_method("GET") or client.headers.for_method("GET")["X-1"] == "0"


def test_removals_work_between_the_layers() -> None:
    client = defaults(headers={"common": {"A": "1", "B": "1"}, "post": {"A": None}, "C": "1"})
    assert client.headers.for_method("POST").to_json().keys() == {"Accept", "User-Agent", "B", "C"}
    assert "A" in client.headers.for_method("GET")
    config = config_of(client, headers={"user-agent": None, "C": False})
    assert config.headers.to_json().keys() == {"Accept", "A", "B"}


def test_layers_by_attribute_and_item() -> None:
    headers = DefaultHeaders()
    for name in HEADER_LAYERS:
        assert isinstance(headers[name], Headers)
    for name in ("common", "post", "put", "patch", "head", "options"):
        assert getattr(headers, name) is headers[name]
    assert headers.get("missing") is None
    headers.set("post", {"A": "1"})
    assert headers.for_method("post").to_json() == {"A": "1"}
    assert (len(headers), list(headers)) == (0, [])


def test_a_mapping_given_at_construction_adds_to_the_built_in_headers() -> None:
    client = defaults(headers={"X": "1", "get": {"Y": "2"}})
    assert client.headers.for_method("GET").to_json() == {**BUILT_IN, "Y": "2", "X": "1"}
    assert client.headers.for_method("PUT").to_json() == {**BUILT_IN, "X": "1"}


def test_a_copy_stands_on_its_own() -> None:
    client = defaults(params={"p": {"q": 1}}, meta={"m": 1}, headers={"A": "1", "post": {"B": "1"}}, timeout=5)
    twin = client.copied()
    twin.timeout = 6
    twin.params["p"]["q"] = 2
    twin.meta["m"] = 2
    twin.headers["A"] = "2"
    twin.headers.post["B"] = "2"
    assert (client.timeout, client.params, client.meta) == (5, {"p": {"q": 1}}, {"m": 1})
    assert (client.headers["A"], client.headers.post["B"]) == ("1", "1")
    client.__dict__["_plan"] = twin.__dict__["_plan"] = "worked out before"
    twin.headers["A"] = "3"
    assert (client.__dict__["_plan"], twin.__dict__["_plan"]) == ("worked out before", None)


def test_a_client_keeps_nothing_of_the_mapping_it_was_given() -> None:
    options = {"params": {"a": {"b": 1}}, "meta": {"m": 1}, "headers": {"A": "1"}}
    client = Defaults(BUILT_IN, options)
    options["params"]["a"]["b"] = 2
    options["meta"]["m"] = 2
    options["headers"]["A"] = "2"
    assert (client.params, client.meta, client.headers["A"]) == ({"a": {"b": 1}}, {"m": 1}, "1")


def test_defaults_are_not_pickled() -> None:
    with pytest.raises(TypeError, match="build a client"):
        pickle.dumps(defaults())


def test_defaults_hide_secrets() -> None:
    client = defaults(base_url="http://u:canary@h", headers={"Authorization": "canary"}, params={"token": "canary"})
    assert "canary" not in repr(client)
