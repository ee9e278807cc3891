"""Header fields sent and received."""

from __future__ import annotations

from typing import Any

import pytest

import atomhttp
from atomhttp import AtomHTTPOptionError, Headers
from contract.flavours import Api
from support.naming import described
from support.origin import Origin


async def test_default_headers_are_accept_user_agent_and_what_is_installed(client: Any, origin: Origin) -> None:
    await client.get(f"{origin.url}/echo")
    sent = dict(origin.requests[0].headers)
    assert sent == {
        "Host": f"127.0.0.1:{origin.port}",
        "Accept": "application/json, text/plain, */*",
        "User-Agent": f"atomhttp/{atomhttp.__version__}",
        "Accept-Encoding": "gzip, deflate, br, zstd",
    }


# Layers


async def test_layers_are_common_then_method_then_flat_then_call(api: Api, origin: Origin) -> None:
    names = ("X-1", "X-2", "X-3", "X-4")
    client = api.client(
        baseURL=origin.url,
        headers={
            "common": dict.fromkeys(names, "common"),
            "post": dict.fromkeys(names[1:], "method"),
            **dict.fromkeys(names[2:], "flat"),
        },
    )
    await client.post("/echo", headers={"X-4": "call"})
    await client.get("/echo")
    assert [origin.requests[0].get(name) for name in names] == ["common", "method", "flat", "call"]
    assert [origin.requests[1].get(name) for name in names] == ["common", "common", "flat", "flat"]


@pytest.mark.parametrize("method", ["get", "head", "post", "put", "patch", "delete", "options", "query"])
async def test_each_method_has_a_layer_by_item(client: Any, origin: Origin, method: str) -> None:
    client.defaults.headers[method]["X-Method"] = method
    await client.request(method, f"{origin.url}/echo")
    await client.request("PURGE", f"{origin.url}/echo")
    assert origin.requests[0].get("x-method") == method
    assert origin.requests[1].get("x-method") is None


async def test_layers_given_to_the_constructor_keep_the_built_in_headers(api: Api, origin: Origin) -> None:
    client = api.client(headers={"common": {"X-Common": "1"}})
    await client.get(f"{origin.url}/echo")
    assert origin.requests[0].get("x-common") == "1"
    assert origin.requests[0].get("user-agent") is not None


async def test_names_match_whatever_their_case(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, headers={"x-one": "client", "ACCEPT": "text/x"})
    await client.get("/echo", headers={"X-ONE": "call"})
    assert [value for name, value in origin.requests[0].headers if name.lower() == "x-one"] == ["call"]
    assert origin.requests[0].get("accept") == "text/x"


@pytest.mark.parametrize("nothing", [None, False])
async def test_none_removes_a_header(api: Api, origin: Origin, nothing: Any) -> None:
    client = api.client(baseURL=origin.url, headers={"X-One": "1", "X-Two": "2"})
    await client.get("/echo", headers={"x-one": nothing, "User-Agent": nothing, "accept": nothing})
    await client.get("/echo")
    assert [name for name, _ in origin.requests[0].headers] == ["Host", "Accept-Encoding", "X-Two"]
    assert origin.requests[1].get("x-one") == "1"
    assert origin.requests[1].get("user-agent") is not None


async def test_a_removed_header_stays_removed_when_the_call_is_sent_again(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, headers={"X-One": "1"}, params={"a": 1, "b": 2})
    response = await client.get("/echo", headers={"X-One": None}, params={"a": None})
    await client.request(response.config)
    assert [each.get("x-one") for each in origin.requests] == [None, None]
    assert [each.target for each in origin.requests] == ["/echo?b=2", "/echo?b=2"]


async def test_headers_of_config_and_keywords_are_merged_by_name(client: Any, origin: Origin) -> None:
    await client.get(f"{origin.url}/echo", config={"headers": {"X-1": "a", "X-2": "a"}}, headers={"X-2": "b"})
    assert (origin.requests[0].get("x-1"), origin.requests[0].get("x-2")) == ("a", "b")


# Values


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("text", ["text"]),
        (5, ["5"]),
        (1.5, ["1.5"]),
        (b"bytes", ["bytes"]),
        (["a", 1, b"c"], ["a", "1", "c"]),
        ("grüße", ["grüße"]),
        ("", [""]),
    ],
)
async def test_sent_values_are_str_int_float_bytes_or_lists_of_those(
    client: Any, origin: Origin, value: Any, sent: list[str]
) -> None:
    await client.get(f"{origin.url}/echo", headers={"X-Value": value})
    received = [item for name, item in origin.requests[0].headers if name == "X-Value"]
    assert [item.encode("latin-1").decode() for item in received] == sent


async def test_headers_may_be_pairs(client: Any, origin: Origin) -> None:
    await client.get(f"{origin.url}/echo", headers=[("X-One", "1"), ("x-one", "2")])
    assert origin.requests[0].get("x-one") == "1, 2"


@pytest.mark.parametrize("character", ["\r", "\n", "\r\nX-Evil: 1", "\0", "\x01", "\x7f"])
@pytest.mark.parametrize("kind", [str, str.encode])
async def test_control_characters_are_refused(client: Any, origin: Origin, character: str, kind: Any) -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        await client.get(f"{origin.url}/echo", headers={"X-Value": kind(f"a{character}b")})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    with pytest.raises(AtomHTTPOptionError):
        client.defaults.headers["X-Value"] = kind(f"a{character}b")
    assert origin.connections == 0


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\n", "ä", "a\0", 5])
async def test_what_is_no_field_name_is_refused(client: Any, origin: Origin, name: Any) -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        await client.get(f"{origin.url}/echo", headers={name: "1"})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert origin.connections == 0


# Framing belongs to the engine


@pytest.mark.parametrize(
    "headers",
    [
        {"Transfer-Encoding": "chunked"},
        {"Upgrade": "websocket"},
        {"TE": "trailers"},
        {"Trailer": "X"},
        {"Host": ["a.test", "b.test"]},
        {"Content-Length": "6"},
        {"Content-Length": "+5"},
        {"Content-Length": ["5", "6"]},
        {"Connection": "upgrade"},
    ],
    ids=described,
)
async def test_framing_headers_are_refused(client: Any, origin: Origin, headers: Any) -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        await client.post(f"{origin.url}/echo", b"12345", headers=headers)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert origin.connections == 0


async def test_a_content_length_that_agrees_is_sent_once(client: Any, origin: Origin) -> None:
    await client.post(f"{origin.url}/echo", b"12345", headers={"Content-Length": 5})
    assert origin.requests[0].get("content-length") == "5"


async def test_host_is_sent_once_and_first(client: Any, origin: Origin) -> None:
    await client.get(f"{origin.url}/echo", headers={"X-A": "1", "host": "other.test"})
    names = [name.lower() for name, _ in origin.requests[0].headers]
    assert names[0] == "host"
    assert names.count("host") == 1
    assert origin.requests[0].get("host") == "other.test"


async def test_connection_close_by_the_caller_is_heeded(client: Any, origin: Origin) -> None:
    await client.get(f"{origin.url}/echo", headers={"Connection": "close"})
    await client.get(f"{origin.url}/echo")
    assert origin.connections == 2
    assert origin.requests[0].get("connection") == "close"


# Received


async def test_received_headers_are_str_and_joined_and_lists(client: Any, answer: Any) -> None:
    fields = [
        ("X-One", "1"),
        ("x-one", "2"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("X-Utf", "gr\xc3\xbc"),
        ("X-L1", "\xfc"),
    ]
    headers = (await client.get(answer(b"", headers=fields))).headers
    assert headers["X-ONE"] == headers.get("x-one") == "1, 2"
    assert headers["set-cookie"] == "a=1"
    assert headers.get_all("X-One") == ["1", "2"]
    assert headers.get_set_cookie() == headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert (headers["x-utf"], headers["x-l1"]) == ("grü", "ü")
    assert (headers.get("x-none"), headers.get("x-none", "d"), headers.get_all("x-none")) == (None, "d", [])
    assert "X-UTF" in headers


async def test_the_request_shows_what_was_sent(client: Any, origin: Origin) -> None:
    response = await client.post(f"{origin.url}/echo", {"a": 1}, headers={"X-One": ["1", "2"]})
    assert response.request.headers.multi_items() == origin.requests[0].headers
    assert response.config.headers.get_all("x-one") == ["1", "2"]


def test_headers_are_a_mapping_with_axioss_verbs() -> None:
    headers = Headers({"Accept": "a", "X-List": ["1", "2"]})
    headers.set("accept", "b", rewrite=False)
    assert headers["ACCEPT"] == "a"
    headers.set("X-No", False)
    headers.set("X-No", "1")
    assert "X-No" not in headers
    assert headers.set("X-No", "1", rewrite=True)["x-no"] == "1"
    assert headers.has("accept", "A")
    assert headers.delete("accept")
    assert not headers.delete("accept")
    assert headers.to_json() == {"X-List": ["1", "2"], "X-No": "1"}
    assert headers.concat({"A": "1"}, None)["a"] == "1"
    assert headers.normalize(format=True).get_all("x-list") == ["1, 2"]
    assert headers.clear(lambda value, name: name == "X-No")
    assert list(headers) == ["X-List"]


def test_the_repr_of_headers_hides_secrets() -> None:
    assert "s3cret" not in repr(Headers({"Authorization": "s3cret", "Cookie": "s3cret", "X-Api-Key": "s3cret"}))


# Calls like earlier ones


@pytest.mark.parametrize("value", ["keep-alive", None])
async def test_a_call_may_keep_what_the_client_closes_each_time(api: Api, origin: Origin, value: str | None) -> None:
    client = api.client(baseURL=origin.url, headers={"Connection": "close"})
    for _ in range(3):
        await client.get("/echo", headers={"Connection": value})
    sent = [[held for name, held in request.headers if name == "Connection"] for request in origin.requests]
    assert sent == [[value] if value else []] * 3


async def test_what_says_that_it_is_equal_to_everything_is_sent_as_what_it_is(api: Api, origin: Origin) -> None:
    class Both(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = str.__hash__

    client = api.client(baseURL=origin.url)
    await client.get("/echo")
    for value in ("theirs", "theirs", Both("mine")):
        await client.get("/echo", headers={"X-A": value})
    assert origin.requests[-1].get("X-A") == "mine"


async def test_no_two_forms_have_the_same_boundary(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, headers={"Content-Type": "multipart/form-data"})
    for _ in range(4):
        await client.post("/echo", data={"a": "1"})
    assert len({request.get("Content-Type") for request in origin.requests}) == 4
