"""Verbs, `request`, `get_uri`: how a call is made, and what of it arrives."""

from __future__ import annotations

from typing import Any

import pytest

from atomhttp import AtomHTTPError, AtomHTTPOptionError, RequestConfig
from contract.flavours import Api
from support.origin import Origin

PARAMS_VERBS = ("get", "delete", "head", "options")
DATA_VERBS = ("post", "put", "patch", "query")


@pytest.mark.parametrize("verb", PARAMS_VERBS + DATA_VERBS)
async def test_a_verb_sends_its_method(client: Any, origin: Origin, verb: str) -> None:
    response = await getattr(client, verb)(f"{origin.url}/echo")
    assert response.status == 200
    assert [each.method for each in origin.requests] == [verb.upper()]


@pytest.mark.parametrize("verb", PARAMS_VERBS)
async def test_the_second_argument_of_get_delete_head_options_is_params(client: Any, origin: Origin, verb: str) -> None:
    await getattr(client, verb)(f"{origin.url}/echo", {"a": 1})
    assert origin.requests[0].target == "/echo?a=1"
    assert origin.requests[0].body == b""


@pytest.mark.parametrize("verb", DATA_VERBS)
async def test_the_second_argument_of_post_put_patch_query_is_data(client: Any, origin: Origin, verb: str) -> None:
    await getattr(client, verb)(f"{origin.url}/echo", {"a": 1})
    assert origin.requests[0].target == "/echo"
    assert origin.requests[0].body == b'{"a":1}'


@pytest.mark.parametrize("verb", PARAMS_VERBS + DATA_VERBS)
async def test_every_verb_takes_params_and_config(client: Any, origin: Origin, verb: str) -> None:
    await getattr(client, verb)(f"{origin.url}/echo", params={"a": 1}, config={"headers": {"X-One": "1"}})
    assert origin.requests[0].target == "/echo?a=1"
    assert origin.requests[0].get("x-one") == "1"


@pytest.mark.parametrize("verb", ["get", "delete", "options"])
async def test_get_and_delete_may_have_a_body(client: Any, origin: Origin, verb: str) -> None:
    await getattr(client, verb)(f"{origin.url}/echo", data=b"body")
    assert origin.requests[0].body == b"body"


async def test_keywords_win_over_config(client: Any, origin: Origin) -> None:
    config = {"params": {"a": 1}, "headers": {"X-One": "config"}, "response_type": "blob"}
    response = await client.get(f"{origin.url}/bytes/3", config=config, responseType="text")
    assert isinstance(response.data, str)
    assert origin.requests[0].target == "/bytes/3?a=1"


# request


async def test_request_takes_a_config(client: Any, origin: Origin) -> None:
    await client.request({"url": f"{origin.url}/echo", "method": "put", "data": {"a": 1}})
    assert (origin.requests[0].method, origin.requests[0].body) == ("PUT", b'{"a":1}')


async def test_request_takes_a_request_config(client: Any, origin: Origin) -> None:
    await client.request(RequestConfig(url=f"{origin.url}/echo", method="PATCH", data="x"))
    assert (origin.requests[0].method, origin.requests[0].body) == ("PATCH", b"x")


async def test_request_takes_a_method_and_a_url(client: Any, origin: Origin) -> None:
    await client.request("DELETE", f"{origin.url}/echo", params={"a": 1})
    assert (origin.requests[0].method, origin.requests[0].target) == ("DELETE", "/echo?a=1")


async def test_request_takes_keywords(client: Any, origin: Origin) -> None:
    await client.request(method="POST", url=f"{origin.url}/echo", data=b"x")
    assert (origin.requests[0].method, origin.requests[0].body) == ("POST", b"x")


async def test_the_method_is_get_by_default(client: Any, origin: Origin) -> None:
    await client.request({"url": f"{origin.url}/echo"})
    await client.request(url=f"{origin.url}/echo")
    assert [each.method for each in origin.requests] == ["GET", "GET"]


@pytest.mark.parametrize(
    ("given", "sent"), [("get", "GET"), ("Query", "QUERY"), ("PURGE", "PURGE"), ("m-Search", "m-Search")]
)
async def test_standard_methods_are_upper_cased_and_other_tokens_go_as_given(
    client: Any, origin: Origin, given: str, sent: str
) -> None:
    response = await client.request(given, f"{origin.url}/echo")
    assert origin.requests[0].method == sent
    assert response.config.method == sent


@pytest.mark.parametrize("method", ["CONNECT", "connect", "", "GET /x HTTP/1.1\r\n", "BAD METHOD", 5])
async def test_connect_and_what_is_no_token_are_refused(client: Any, origin: Origin, method: Any) -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        await client.request(method, f"{origin.url}/echo")
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert origin.connections == 0


async def test_the_url_may_be_any_object_whose_str_is_one(client: Any, origin: Origin) -> None:
    class Url:
        def __str__(self) -> str:
            return f"{origin.url}/echo"

    await client.get(Url())
    await client.get(Url(), params={"a": 1})
    assert [each.target for each in origin.requests] == ["/echo", "/echo?a=1"]


# Sending a call again


async def test_request_with_a_responses_config_sends_that_call_again_whole(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=f"{origin.url}/echo", params={"k": "client"}, headers={"X-Client": "1"})
    first = await client.post("again", {"a": [1, 2]}, params={"p": 1}, headers={"X-Call": "2"}, timeout=9)
    second = await client.request(first.config)
    one, two = origin.requests
    assert (two.method, two.target, two.headers, two.body) == (one.method, one.target, one.headers, one.body)
    assert two.target == "/echo/again?k=client&p=1"
    assert second.config.timeout == 9


async def test_the_config_keeps_url_and_data_as_the_caller_gave_them(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url)
    data = {"a": 1}
    response = await client.post("/echo", data, params={"p": 1})
    assert response.config.url == "/echo"
    assert response.config.data is data
    assert response.request.url == f"{origin.url}/echo?p=1"


async def test_request_with_an_errors_config_sends_that_call_again_whole(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, validateStatus=True, params={"k": 1})
    with pytest.raises(AtomHTTPError) as caught:
        await client.put("/status/500", b"body", headers={"X-Call": "1"})
    assert caught.value.config.data == b"body"
    response = await client.request(caught.value.config, validateStatus=None)
    one, two = origin.requests
    assert response.status == 500
    assert (two.method, two.target, two.headers, two.body) == (one.method, one.target, one.headers, one.body)


async def test_a_config_sent_again_may_be_changed_by_keywords(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url)
    first = await client.get("/echo", headers={"X-Call": "1"})
    await client.request(first.config, url="/bytes/1", headers={"X-More": "2"})
    assert origin.requests[1].path == "/bytes/1"
    assert origin.requests[1].get("x-more") == "2"


async def test_a_call_sent_again_carries_its_query_once(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=f"{origin.url}/echo?b=0", params=[("k", "1")])
    config = (await client.get("x?u=1", params=[("k", "2")])).config
    for _ in range(2):
        config = (await client.request(config)).config
    assert {each.target for each in origin.requests} == {"/echo/x?b=0&u=1&k=1&k=2"}


# What axios users get wrong


@pytest.mark.parametrize("verb", PARAMS_VERBS + DATA_VERBS)
async def test_one_positional_too_many_asks_for_config(client: Any, verb: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match="did you mean config=") as caught:
        await getattr(client, verb)("http://service.test/", {"a": 1}, {"headers": {}})
    assert caught.value.code == "ERR_BAD_OPTION"


async def test_request_with_one_positional_too_many_asks_for_config(client: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="did you mean config="):
        await client.request("GET", "http://service.test/", {"headers": {}})


@pytest.mark.parametrize("verb", PARAMS_VERBS)
@pytest.mark.parametrize("name", ["params", "headers", "data"])
async def test_params_that_look_like_a_config_ask_for_config(client: Any, verb: str, name: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match="did you mean config=") as caught:
        await getattr(client, verb)("http://service.test/", {name: {"X-Secret": "s3cret"}})
    assert caught.value.code == "ERR_BAD_OPTION"
    assert "s3cret" not in str(caught.value)


async def test_params_called_data_that_are_no_mapping_are_params(client: Any, origin: Origin) -> None:
    await client.get(f"{origin.url}/echo", {"data": "1", "headers": "2"})
    assert origin.requests[0].target == "/echo?data=1&headers=2"


# get_uri


@pytest.mark.parametrize(
    ("options", "uri"),
    [
        ({"url": "http://h.test/a"}, "http://h.test/a"),
        ({"url": "/a", "baseURL": "http://h.test/b"}, "http://h.test/b/a"),
        ({"url": "a/", "baseURL": "http://h.test/b/"}, "http://h.test/b/a/"),
        ({"baseURL": "http://h.test/b"}, "http://h.test/b"),
        ({"url": "/a?x=0", "params": {"y": [1, 2]}}, "http://api.test/a?x=0&y=1&y=2"),
        ({"url": "//h.test/a"}, "http://h.test/a"),
        ({"url": "http://user:pw@h.test/"}, "http://h.test/"),
    ],
)
async def test_get_uri_joins_base_url_and_params_and_sends_nothing(api: Api, options: Any, uri: str) -> None:
    client = api.client(baseURL="http://api.test")
    assert client.get_uri(options) == uri
    assert client.get_uri(**options) == uri
    assert client.get_uri(RequestConfig(options)) == uri


# Overriding


def recording(client_class: Any, calls: list[Any]) -> Any:
    """A subclass that overrides `request`, as its kind does."""
    if "Sync" in client_class.__name__:

        class Recording(client_class):  # type: ignore[misc]
            def request(self, *arguments: Any, **options: Any) -> Any:
                calls.append(arguments)
                return super().request(*arguments, **options)

        return Recording

    class AsyncRecording(client_class):  # type: ignore[misc]
        async def request(self, *arguments: Any, **options: Any) -> Any:
            calls.append(arguments)
            return await super().request(*arguments, **options)

    return AsyncRecording


async def test_overriding_request_sees_every_call(api: Api, origin: Origin) -> None:
    calls: list[Any] = []
    client = api.client(of=recording(api.client_class, calls))
    for verb in PARAMS_VERBS + DATA_VERBS:
        await getattr(client, verb)(f"{origin.url}/echo")
    assert calls == [(verb.upper(), f"{origin.url}/echo") for verb in PARAMS_VERBS + DATA_VERBS]
