"""What axios does and we do too (contract, part 2): the rows that no other file has. A comment names each row."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

import atomhttp
from atomhttp import (
    AdapterResponse,
    AtomHTTP,
    AtomHTTPCanceledError,
    AtomHTTPError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPStatusError,
    AtomHTTPURLError,
    BasicAuth,
    BearerAuth,
    FormData,
    Headers,
    HttpStatusCode,
    RequestConfig,
    Response,
    SyncAtomHTTP,
    form_to_json,
    is_atomhttp_error,
    is_cancel,
    merge_config,
    to_form_data,
)
from contract.flavours import Api, wait
from support.naming import described
from support.origin import Answer, Origin
from support.peer import Peer, expect_head, send
from support.peer import close as close_step


async def refusal(call: Any, kind: type[AtomHTTPError] = AtomHTTPOptionError) -> Any:
    with pytest.raises(kind) as caught:
        await call
    return caught.value


class Canned:
    """An adapter that answers every request the same, and remembers the requests."""

    def __init__(self, status: int = 200, headers: Any = None, body: Any = b"") -> None:
        self.answer = (status, headers, body)
        self.requests: list[Any] = []

    async def send(self, request: Any) -> AdapterResponse:
        self.requests.append(request)
        return AdapterResponse(*self.answer)

    async def close(self) -> None:
        pass


# a1. call shapes: postForm, putForm, patchForm


def form_method(client: Any, verb: str) -> Any:
    """`post_form` and its kin, awaitable in every flavour."""
    method = getattr(getattr(client, "real", client), verb)

    async def call(*arguments: Any, **options: Any) -> Any:
        return await wait(method(*arguments, **options))

    return call


@pytest.mark.parametrize(("verb", "method"), [("post_form", "POST"), ("put_form", "PUT"), ("patch_form", "PATCH")])
async def test_post_form_put_form_and_patch_form_send_multipart(
    client: Any, origin: Origin, verb: str, method: str
) -> None:
    send_form = form_method(client, verb)
    form = FormData({"a": "1"})
    for data in ({"a": 1}, form):
        await send_form(f"{origin.url}/echo", data, params={"q": 1}, headers={"X-One": "1"})
    for request in origin.requests:
        assert (request.method, request.target, request.get("x-one")) == (method, "/echo?q=1", "1")
        assert (request.get("content-type") or "").startswith("multipart/form-data; boundary=")
        assert b'Content-Disposition: form-data; name="a"\r\n\r\n1\r\n' in request.body


async def test_post_form_presets_the_content_type_and_no_more(client: Any, origin: Origin) -> None:
    post_form = form_method(client, "post_form")
    await post_form(f"{origin.url}/echo", {"a": [1]}, headers={"content-type": "application/x-www-form-urlencoded"})
    assert origin.requests[0].body == b"a=1"
    error = await refusal(post_form(f"{origin.url}/echo", {"a": 1}, {"headers": {}}))
    assert "did you mean config=" in str(error)
    assert not hasattr(client, "query_form")


# a1. other known options: arrays are replaced


async def test_arrays_of_options_are_replaced_and_not_joined(api: Api) -> None:
    seen: list[str] = []

    def note(name: str) -> Any:
        return lambda data: seen.append(name) or data

    adapter = Canned()
    client = api.client(
        adapter=adapter,
        baseURL="http://h.test",
        transformRequest=[note("client")],
        transformResponse=[note("client")],
        crossOriginHeaders=["X-Client"],
        allowedSocketPaths=["/client"],
        params={"list": [1, 2, 3]},
    )
    response = await client.get(
        "/",
        transformRequest=[note("call")],
        transformResponse=note("call"),
        crossOriginHeaders="X-Call",
        allowedSocketPaths=["/call"],
        params={"list": [4]},
    )
    assert seen == ["call", "call"]
    assert response.config.cross_origin_headers == ("x-call",)
    assert response.config.allowed_socket_paths == ("/call",)
    assert adapter.requests[0].url == "http://h.test/?list=4"


# a1. deep-merged options


async def test_auth_is_replaced_and_never_half_merged(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, auth={"username": "client", "password": "s3cret"})
    await client.get("/echo", auth={"username": "call", "password": "other"})
    await client.get("/echo", auth=BearerAuth("token"))
    await client.get("/echo", auth=None)
    fields = [each.get("authorization") for each in origin.requests]
    assert fields == [BasicAuth("call", "other").get_header()["Authorization"], "Bearer token", None]
    error = await refusal(client.get("/echo", auth={"username": "call"}))
    assert error.code == "ERR_BAD_OPTION_VALUE"
    assert "s3cret" not in str(error)


async def test_mappings_without_a_rule_of_their_own_are_replaced(api: Api) -> None:
    client = api.client(
        adapter=Canned(),
        transitional={"silentJSONParsing": False},
        formSerializer={"dots": True},
        paramsSerializer={"indexes": True},
        timeout={"read": 5},
    )
    response = await client.get(
        "http://h.test/",
        transitional={"clarifyTimeoutError": True},
        formSerializer={"indexes": None},
        paramsSerializer={"dots": True},
        timeout={"total": 3},
    )
    config = response.config
    assert dict(config.transitional) == {"clarifyTimeoutError": True}
    assert config.form_serializer == {"indexes": None}
    assert dict(config.params_serializer) == {"dots": True}
    assert config.timeout == {"total": 3}


async def test_params_are_merged_recursively_and_circular_ones_are_refused(api: Api) -> None:
    adapter = Canned()
    client = api.client(adapter=adapter, params={"a": {"b": {"c": 1, "d": 2}}, "e": 1})
    await client.get("http://h.test/", params={"a": {"b": {"c": 3}}, "f": 4})
    assert adapter.requests[0].url == "http://h.test/?a%5Bb%5D%5Bc%5D=3&a%5Bb%5D%5Bd%5D=2&e=1&f=4"
    circular: dict[str, Any] = {}
    circular["a"] = circular
    error = await refusal(client.get("http://h.test/", params=circular))
    assert error.code == "ERR_BAD_OPTION_VALUE"
    assert "circular" in str(error)


def test_merge_config_merges_by_each_options_rule() -> None:
    first = {"baseURL": "http://a.test", "headers": {"X-A": "1", "X-B": "1"}, "params": {"a": {"b": 1}}, "timeout": 3}
    second = {"headers": {"x-b": "2"}, "params": {"a": {"c": 2}}, "meta": {"m": 1}, "retryConfig": 2, "timeout": None}
    merged = merge_config(first, second)
    assert isinstance(merged, RequestConfig)
    assert (merged.base_url, merged.timeout, merged.meta) == ("http://a.test", None, {"m": 1})
    assert merged.headers == {"X-A": "1", "X-B": "2"}
    assert merged.params == {"a": {"b": 1, "c": 2}}
    assert merged.retry_config == {"max_retries": 2}
    assert first["params"] == {"a": {"b": 1}}
    assert merge_config(None, None).keys() == []
    with pytest.raises(AtomHTTPOptionError):
        merge_config({"nonsense": 1}, None)


# a1. validateStatus


async def test_validate_status_none_accepts_every_status(api: Api, origin: Origin) -> None:
    client = api.client(validateStatus=lambda status: status == 418)
    for status in (200, 304, 404, 500, 599):
        assert (await client.get(f"{origin.url}/status/{status}", validateStatus=None)).status == status
    await refusal(client.get(f"{origin.url}/status/200"), kind=AtomHTTPStatusError)


# a1. defaults


async def test_create_copies_defaults_as_they_stand_and_no_interceptors(api: Api, origin: Origin) -> None:
    parent = api.client(baseURL=origin.url, headers={"X-One": "1"})
    parent.defaults.headers["X-Two"] = "2"
    parent.interceptors.use(lambda config: config.headers.set("X-Parent", "1") and None)
    child = api.keep(getattr(parent, "real", parent).create(headers={"X-Three": "3"}))
    parent.defaults.headers["X-One"] = "changed"
    await child.get("/echo")
    [request] = origin.requests
    assert [request.get(f"x-{name}") for name in ("one", "two", "three", "parent")] == ["1", "2", "3", None]


# a1. header layers


async def test_header_layers_are_reached_by_attribute_and_by_item(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url)
    headers = client.defaults.headers
    for method in ("post", "put", "patch", "head", "options"):
        assert getattr(headers, method) is headers[method]
        getattr(headers, method)["X-Layer"] = method
    for method in ("get", "delete"):
        # By attribute these are the mapping's own methods.
        assert callable(getattr(headers, method))
        headers[method]["X-Layer"] = method
    assert headers.common is headers["common"]
    headers.common["X-Common"] = "1"
    for method in ("get", "delete", "post", "put", "patch", "head", "options"):
        await getattr(client, method)("/echo")
    assert [each.get("x-layer") for each in origin.requests] == [
        "get",
        "delete",
        "post",
        "put",
        "patch",
        "head",
        "options",
    ]
    assert {each.get("x-common") for each in origin.requests} == {"1"}
    assert headers.get("X-None") is None


# a1. baseURL join


@pytest.mark.parametrize(
    ("base", "url", "joined"),
    [
        ("http://h.test", "a", "http://h.test/a"),
        ("http://h.test/", "/a", "http://h.test/a"),
        ("http://h.test/b", "a", "http://h.test/b/a"),
        ("http://h.test/b/", "//a.test/x", "http://a.test/x"),
        ("http://h.test/b///", "a", "http://h.test/b/a"),
        # A string join, and no RFC 3986: "b" is not replaced.
        ("http://h.test/b/c", "a", "http://h.test/b/c/a"),
        ("http://h.test/b", "", "http://h.test/b"),
        ("http://h.test/b/", "", "http://h.test/b/"),
        ("http://h.test/b", "?q=1", "http://h.test/b/?q=1"),
        ("http://h.test/b", "https://other.test/a", "https://other.test/a"),
    ],
)
async def test_base_url_is_joined_by_string(api: Api, base: str, url: str, joined: str) -> None:
    adapter = Canned()
    client = api.client(baseURL=base, adapter=adapter)
    assert client.get_uri(url=url) == joined
    await client.get(url)
    assert adapter.requests[0].url == joined


# a1. URL sanity


@pytest.mark.parametrize(
    "url",
    ["http:/h.test/", "https:h.test", "/relative", "relative", "", "ftp://h.test/", "file:///etc/passwd", "http://"],
)
async def test_a_url_that_cannot_be_requested_is_refused(client: Any, url: str) -> None:
    error = await refusal(client.get(url), kind=AtomHTTPURLError)
    assert error.code == "ERR_INVALID_URL"


async def test_the_message_about_a_url_hides_userinfo_and_query_values(client: Any) -> None:
    error = await refusal(client.get("ftp://user:s3cret@h.test/x?token=s3cret&a=1#key=s3cret"), kind=AtomHTTPURLError)
    assert "s3cret" not in f"{error} {error!r} {error.to_dict()}"


async def test_the_message_about_a_url_hides_the_fragment(client: Any) -> None:
    error = await refusal(client.get("ftp://h.test/x#s3cret"), kind=AtomHTTPURLError)
    assert "s3cret" not in str(error)


# a1. params default encoding

WALKS: list[tuple[Any, str]] = [
    ({"a": {"b": 1}}, "a[b]=1"),
    ({"a": {"b": {"c": [1, 2]}}}, "a[b][c][0]=1&a[b][c][1]=2"),
    # A flat list at the top repeats its key: the one change.
    ({"a": [1, 2]}, "a=1&a=2"),
    ({"a": {"b": [1, 2]}}, "a[b][0]=1&a[b][1]=2"),
    ({"a": [1, [2, 3]]}, "a[0]=1&a[1][0]=2&a[1][1]=3"),
    ({"a": [{"b": 1}, {"b": 2}]}, "a[0][b]=1&a[1][b]=2"),
    ({"a": None, "b": [1, None, 2], "c": {"d": None, "e": 1}}, "b=1&b=2&c[e]=1"),
    ({"a": True, "b": False}, "a=true&b=false"),
    ({"a": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)}, "a=2024-01-02T03:04:05%2B00:00"),
    ({"a": [], "b": {}}, ""),
    ({"a": ""}, "a="),
    ({"a": 0, "b": 1.5}, "a=0&b=1.5"),
]


def unescaped(query: str) -> str:
    return query.replace("%5B", "[").replace("%5D", "]")


@pytest.mark.parametrize(("params", "query"), WALKS, ids=lambda value: described(value)[:40])
async def test_params_are_walked_as_axios_does(client: Any, params: Any, query: str) -> None:
    uri = client.get_uri(url="http://h.test/", params=params)
    assert unescaped(uri) == f"http://h.test/{'?' if query else ''}{query}"


# a1. encoder


async def test_the_encoder_restores_what_axios_restores(client: Any) -> None:
    uri = client.get_uri(url="http://h.test/", params={"a:$,": "b:$, c[d]&e=f+g/ü@;"})
    assert uri == "http://h.test/?a:$,=b:$,+c%5Bd%5D%26e%3Df%2Bg%2F%C3%BC%40%3B"


# a1. paramsSerializer

LIST = {"a": [1, 2]}
NESTED = {"a": {"b": [1, 2]}}


@pytest.mark.parametrize(
    ("serializer", "params", "query"),
    [
        ({"indexes": None}, LIST, "a=1&a=2"),
        ({"indexes": False}, LIST, "a[]=1&a[]=2"),
        ({"indexes": True}, LIST, "a[0]=1&a[1]=2"),
        # For flat lists at the top only.
        ({"indexes": None}, NESTED, "a[b][0]=1&a[b][1]=2"),
        ({"dots": True}, {"a": {"b": {"c": 1}}}, "a.b.c=1"),
        ({"dots": True}, NESTED, "a.b.0=1&a.b.1=2"),
        ({"metaTokens": False}, {"a{}": {"b": 1}}, 'a={"b":1}'),
        ({"meta_tokens": True}, {"a{}": {"b": 1}}, 'a{}={"b":1}'),
        ({"encode": lambda text: text.upper()}, {"a": "b"}, "A=B"),
        ({"encode": lambda text, default: f"<{default(text)}>"}, {"a": "b c"}, "<a>=<b+c>"),
        ({"serialize": lambda params: "&".join(sorted(params))}, {"b": 1, "a": 2}, "a&b"),
        ({"serialize": lambda params, options: f"dots={options.dots}", "dots": True}, {"b": 1}, "dots=True"),
        (lambda params: "whole", {"b": 1}, "whole"),
        ({"visitor": lambda value, key, path, walker: walker.default_visitor(value, key, path)}, {"a": 1}, "a=1"),
        ({"maxDepth": 1}, {"a": {"b": 1}}, "a[b]=1"),
    ],
    ids=lambda value: described(value)[:40],
)
async def test_params_serializer(api: Api, serializer: Any, params: Any, query: str) -> None:
    client = api.client(paramsSerializer=serializer)

    def plain(uri: str) -> str:
        return (
            unescaped(uri)
            .replace("%7B", "{")
            .replace("%7D", "}")
            .replace("%22", '"')
            .replace("%3C", "<")
            .replace("%3E", ">")
        )

    assert plain(client.get_uri(url="http://h.test/", params=params)) == f"http://h.test/?{query}"
    other = api.client(paramsSerializer=lambda params: "never")
    assert plain(other.get_uri(url="http://h.test/", params=params, params_serializer=serializer)).endswith(query)
    adapter = Canned()
    await api.client(adapter=adapter).get("http://h.test/", params=params, paramsSerializer=serializer)
    assert plain(adapter.requests[0].url) == f"http://h.test/?{query}"


async def test_params_deeper_than_max_depth_are_refused(client: Any) -> None:
    call = client.get("http://h.test/", params={"a": {"b": {"c": 1}}}, paramsSerializer={"maxDepth": 1})
    assert (await refusal(call)).code == "ERR_FORM_DATA_DEPTH_EXCEEDED"


@pytest.mark.parametrize("wrong", [5, "dots", [], {"nonsense": 1}, {"dots": 1}, {"indexes": "x"}, {"encode": 5}])
async def test_a_params_serializer_of_the_wrong_kind_is_raised_where_it_was_given(api: Api, wrong: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="paramsSerializer"):
        api.client(paramsSerializer=wrong)
    with pytest.raises(AtomHTTPOptionError, match="paramsSerializer"):
        RequestConfig(params_serializer=wrong)


# a1. appending


@pytest.mark.parametrize(
    ("url", "params", "uri"),
    [
        ("http://h.test/a#part", {"x": 1}, "http://h.test/a?x=1"),
        ("http://h.test/a#part", None, "http://h.test/a#part"),
        ("http://h.test/a?y=0#part", {"x": 1}, "http://h.test/a?y=0&x=1"),
        ("http://h.test/a?y=0", {"y": 1}, "http://h.test/a?y=0&y=1"),
        ("http://h.test/a?", {"x": 1}, "http://h.test/a?&x=1"),
        ("http://h.test/a?y=0", {}, "http://h.test/a?y=0"),
    ],
)
async def test_params_are_appended_and_drop_the_fragment(client: Any, url: str, params: Any, uri: str) -> None:
    assert client.get_uri(url=url, params=params) == uri


# a1. key{} and key[]


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"a{}": {"b": [1, "ü"]}}, 'a{}={"b":[1,"ü"]}'),
        ({"a[]": [1, 2]}, "a[]=1&a[]=2"),
        ({"a[]": (1, 2)}, "a[]=1&a[]=2"),
    ],
)
async def test_keys_that_end_in_braces_or_brackets(client: Any, origin: Origin, params: Any, query: str) -> None:
    await client.get(f"{origin.url}/echo", params=params)
    assert unquote_plus(origin.requests[0].target) == f"/echo?{query}"


# a2. special values


async def test_false_removes_a_header_and_locks_it(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, headers={"X-Locked": False, "User-Agent": False, "X-Gone": None})
    await client.get("/echo", headers={"x-locked": "1", "user-agent": "mine", "x-gone": "back"})
    [request] = origin.requests
    assert (request.get("x-locked"), request.get("user-agent"), request.get("x-gone")) == (None, None, "back")


async def test_a_list_is_one_field_line_an_item(client: Any, origin: Origin) -> None:
    await client.get(f"{origin.url}/echo", headers={"X-List": ["1", 2]})
    assert [value for name, value in origin.requests[0].headers if name == "X-List"] == ["1", "2"]


# a2. number and bool bodies; null and absent bodies


@pytest.mark.parametrize(("data", "body"), [(1, b"1"), (0, b"0"), (1.5, b"1.5"), (True, b"true"), (False, b"false")])
@pytest.mark.parametrize("headers", [None, {"Content-Type": "application/json"}])
async def test_numbers_and_bools_are_json(client: Any, origin: Origin, data: Any, body: bytes, headers: Any) -> None:
    await client.post(f"{origin.url}/echo", data, headers=headers)
    assert (origin.requests[0].body, origin.requests[0].get("content-type")) == (body, "application/json")


@pytest.mark.parametrize("headers", [None, {"Content-Type": "application/json"}])
@pytest.mark.parametrize("method", ["post", "put", "patch"])
async def test_no_body_is_empty_and_has_length_0(client: Any, origin: Origin, method: str, headers: Any) -> None:
    """`data=None` is not given (part 1), so it is not JSON's null either; `data=b"null"` is."""
    await getattr(client, method)(f"{origin.url}/echo", None, headers=headers)
    assert (origin.requests[0].body, origin.requests[0].get("content-length")) == (b"", "0")


# a2. FormData to JSON


async def test_a_form_with_a_json_content_type_is_sent_as_json(client: Any, origin: Origin) -> None:
    form = FormData()
    for name, value in [("a.b", "1"), ("a[c]", "2"), ("d[]", "3"), ("e", "4"), ("e", "5"), ("f[0][g]", "6")]:
        form.append(name, value)
    for content_type in ("application/json", "application/vnd.api+json"):
        await client.post(f"{origin.url}/echo", form, headers={"Content-Type": content_type})
    expected = {"a": {"b": "1", "c": "2"}, "d": ["3"], "e": ["4", "5"], "f": [{"g": "6"}]}
    for request in origin.requests:
        assert json.loads(request.body) == expected
    assert form.to_json() == form_to_json(form) == expected
    assert [each.get("content-type") for each in origin.requests] == ["application/json", "application/vnd.api+json"]


# a2. object to FormData


def parts_of(request: Any) -> list[tuple[str, bytes]]:
    boundary = re.search('boundary="?([^";]+)', request.get("content-type"))
    assert boundary is not None
    pieces = request.body.split(b"--" + boundary[1].encode())[1:-1]
    return [(head.decode(), body[:-2]) for head, _, body in (piece[2:].partition(b"\r\n\r\n") for piece in pieces)]


def names_of(request: Any) -> list[tuple[str, bytes]]:
    names = [(re.search('name="([^"]*)"', head), body) for head, body in parts_of(request)]
    return [(found[1], body) for found, body in names if found is not None]


async def test_an_object_with_a_multipart_content_type_is_sent_as_a_form(client: Any, origin: Origin) -> None:
    data = {"a": {"b": 1}, "c": [1, 2], "d": {"e": [True]}, "f{}": {"g": 1}, "h": None}
    await client.post(f"{origin.url}/echo", data, headers={"Content-Type": "multipart/form-data"})
    [request] = origin.requests
    assert names_of(request) == [
        ("a[b]", b"1"),
        ("c[]", b"1"),
        ("c[]", b"2"),
        ("d[e][0]", b"true"),
        ("f{}", b'{"g":1}'),
    ]
    assert request.get("content-length") == str(len(request.body))
    assert request.get("transfer-encoding") is None


async def test_a_boundary_that_the_caller_set_is_respected(client: Any, origin: Origin) -> None:
    content_type = 'multipart/form-data; boundary="mine"'
    await client.post(f"{origin.url}/echo", {"a": 1}, headers={"Content-Type": content_type})
    [request] = origin.requests
    assert request.get("content-type") == content_type
    assert request.body.startswith(b"--mine\r\n")
    assert request.body.endswith(b"--mine--\r\n")


async def test_names_are_escaped_and_newlines_become_crlf(client: Any, origin: Origin) -> None:
    form = FormData()
    form.append('a"\r\nb', "one\ntwo\rthree\r\n")
    form.append("file", b"one\ntwo", 'c"\r\nd.txt')
    await client.post(f"{origin.url}/echo", form)
    (first, text), (second, content) = parts_of(origin.requests[0])
    assert 'name="a%22%0D%0Ab"' in first
    assert text == b"one\r\ntwo\r\nthree\r\n"
    assert 'filename="c%22%0D%0Ad.txt"' in second
    assert content == b"one\ntwo"


# a2. formSerializer


@pytest.mark.parametrize(
    ("serializer", "names"),
    [
        (None, ["a[b]", "c[]", "c[]"]),
        ({"dots": True}, ["a.b", "c[]", "c[]"]),
        ({"indexes": None}, ["a[b]", "c", "c"]),
        ({"indexes": True}, ["a[b]", "c[0]", "c[1]"]),
    ],
)
async def test_form_serializer_names_the_fields_of_forms(
    api: Api, origin: Origin, serializer: Any, names: list[str]
) -> None:
    data = {"a": {"b": 1}, "c": [1, 2]}
    multipart = {"Content-Type": "multipart/form-data"}
    await api.client(formSerializer=serializer).post(f"{origin.url}/echo", data, headers=multipart)
    await api.client().post(f"{origin.url}/echo", data, headers=multipart, formSerializer=serializer)
    assert [[name for name, _ in names_of(each)] for each in origin.requests] == [names, names]
    origin.requests.clear()
    urlencoded = {"Content-Type": "application/x-www-form-urlencoded"}
    client = api.client(formSerializer=serializer)
    await client.post(f"{origin.url}/echo", form=data)
    await client.post(f"{origin.url}/echo", data, headers=urlencoded)
    repeated = ["a[b]", "c", "c"] if serializer is None else ["a.b", "c", "c"] if "dots" in serializer else names
    for request in origin.requests:
        pairs = [piece.split("=")[0] for piece in unescaped(request.body.decode()).split("&")]
        assert pairs == repeated


# a2. auth


async def test_auth_overwrites_the_authorization_of_its_own_layer(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, headers={"Authorization": "client's"})
    basic = BasicAuth("ü", "p:w").get_header()["Authorization"]
    assert basic == "Basic w7w6cDp3"
    await client.get("/echo", auth=("ü", "p:w"))
    await client.get("/echo", auth=("ü", "p:w"), headers={"authorization": "call's"})
    assert [each.get("authorization") for each in origin.requests] == [basic, basic]


async def test_userinfo_is_used_when_there_is_no_auth_and_is_decoded(client: Any, origin: Origin) -> None:
    await client.get(f"http://us%40er:p%3Aw@127.0.0.1:{origin.port}/echo")
    await client.get(f"http://us%40er:p%3Aw@127.0.0.1:{origin.port}/echo", auth=("other", "x"))
    assert [each.get("authorization") for each in origin.requests] == [
        BasicAuth("us@er", "p:w").get_header()["Authorization"],
        BasicAuth("other", "x").get_header()["Authorization"],
    ]


# a3. dispatch


async def test_dispatch_goes_in_its_order(api: Api, origin: Origin) -> None:
    order: list[str] = []

    def note(name: str) -> Any:
        def function(*arguments: Any) -> Any:
            order.append(name)
            return arguments[0]

        return function

    class Adapter(Canned):
        async def send(self, request: Any) -> AdapterResponse:
            order.append("adapter")
            return await super().send(request)

    client = api.client(adapter=Adapter(), transformRequest=note("transformRequest"))
    client.interceptors.use(note("request"))
    client.interceptors.use(note("response"), is_response=True)
    await client.post("http://h.test/", "x", transformResponse=note("transformResponse"))
    assert order == ["request", "transformRequest", "adapter", "transformResponse", "response"]


async def test_timings_are_of_each_phase(client: Any, origin: Origin) -> None:
    timings = (await client.get(f"{origin.url}/echo")).timings
    assert timings._fields == ("blocked", "dns", "connect", "ssl", "send", "wait", "receive", "total")
    assert 0 < timings.total < 10
    assert sum(timings[:-1]) <= timings.total * 1.01


async def test_duration_is_the_milliseconds_of_the_adapter(client: Any, origin: Origin) -> None:
    response = await client.get(f"{origin.url}/echo")
    assert 0 < response.duration < 10_000


# a3. settle


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (300, "ERR_BAD_RESPONSE"),
        (304, "ERR_BAD_RESPONSE"),
        (400, "ERR_BAD_REQUEST"),
        (404, "ERR_BAD_REQUEST"),
        (499, "ERR_BAD_REQUEST"),
        (500, "ERR_BAD_RESPONSE"),
        (599, "ERR_BAD_RESPONSE"),
        (201, "ERR_BAD_RESPONSE"),
    ],
)
async def test_a_refused_status_has_axioss_codes(client: Any, origin: Origin, status: int, code: str) -> None:
    error = await refusal(
        client.get(f"{origin.url}/status/{status}", validateStatus=lambda given: given == 200), kind=AtomHTTPStatusError
    )
    assert (error.code, error.status, error.response.status) == (code, status, status)


async def test_a_redirect_that_is_not_followed_is_settled_like_any_status(client: Any, origin: Origin) -> None:
    origin.routes["/here"] = lambda _: Answer(b"", 302, [("Location", "/there")])
    assert (await client.get(f"{origin.url}/here", maxRedirects=0)).status == 302
    error = await refusal(client.get(f"{origin.url}/here", maxRedirects=0, validateStatus=True), AtomHTTPStatusError)
    assert (error.code, error.status) == ("ERR_BAD_RESPONSE", 302)


# a3. response


async def test_a_response_has_axioss_fields_and_more(client: Any, origin: Origin) -> None:
    response = await client.post(f"{origin.url}/echo#part", {"a": 1})
    assert response.data["body"] == '{"a":1}'
    assert (response.status, response.status_text, response.statusText) == (200, "OK", "OK")
    assert response.headers["content-type"] == "application/json"
    assert (response.config.method, response.config.data) == ("POST", {"a": 1})
    assert (response.request.method, response.request.body) == ("POST", b'{"a":1}')
    assert (response.url, response.history, response.http_version) == (f"{origin.url}/echo#part", (), "1.1")
    assert json.loads(response.content) == json.loads(response.text) == response.json() == response.data


# a4. responseEncoding


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ({"response_type": "text", "responseEncoding": "latin-1"}, "grün"),
        ({"response_type": "text", "response_encoding": "ISO-8859-1"}, "grün"),
        ({"response_type": "text"}, "gr\ufffdn"),
        ({"response_type": "blob", "responseEncoding": "latin-1"}, b"gr\xfcn"),
    ],
)
async def test_response_encoding_is_the_charset_of_text(api: Api, answer: Any, options: Any, data: Any) -> None:
    url = answer(b"gr\xfcn", "text/plain")
    assert (await api.client(**options).get(url)).data == data
    response = await api.client().get(url, **options)
    assert response.data == data
    assert response.text == (data if isinstance(data, str) else "grün")


async def test_response_encoding_is_the_charset_of_text_that_is_not_json(client: Any, answer: Any) -> None:
    assert (await client.get(answer(b"gr\xfcn", "text/plain"), responseEncoding="latin-1")).data == "grün"


async def test_a_response_encoding_that_is_unknown_is_raised_where_it_was_given(api: Api) -> None:
    with pytest.raises(AtomHTTPOptionError, match="responseEncoding"):
        api.client(responseEncoding="nonsense")


# a4. socketPath, and the list of those that are allowed


async def test_allowed_socket_paths_of_a_call_replace_the_clients(api: Api, tmp_path: Path) -> None:
    with Origin(unix=tmp_path / "s") as there:
        client = api.client(allowedSocketPaths=["/nowhere"], socketPath=tmp_path / "s")
        error = await refusal(client.get("/echo"))
        assert error.code == "ERR_BAD_OPTION_VALUE"
        assert "allowedSocketPaths" in str(error)
        for allowed in (None, tmp_path / "s", [str(tmp_path / "s"), "/other"]):
            assert (await client.get("/echo", allowedSocketPaths=allowed)).status == 200
        assert len(there.requests) == 3


# a4. adapter: what axios calls it with and what comes back


async def test_an_adapter_of_a_call_replaces_the_clients(api: Api) -> None:
    first, second = Canned(201), Canned(202)
    client = api.client(adapter=first)
    assert (await client.get("http://h.test/", adapter=second)).status == 202
    assert (await client.get("http://h.test/")).status == 201
    assert (len(first.requests), len(second.requests)) == (1, 1)


# a5. codes and fields of errors


async def test_an_error_has_axioss_fields(client: Any, origin: Origin) -> None:
    error = await refusal(
        client.get(f"{origin.url}/status/404", validateStatus=True, headers={"X-One": "1"}), AtomHTTPStatusError
    )
    assert error.message == str(error)
    assert "404" in error.message
    assert (error.code, error.status) == ("ERR_BAD_REQUEST", 404)
    assert error.config.headers["x-one"] == "1"
    assert error.request.url == f"{origin.url}/status/404"
    assert error.response.status == 404
    assert is_atomhttp_error(error)


async def test_codes_of_the_system_pass_through_and_the_cause_is_kept(client: Any) -> None:
    for host, code in (("127.0.0.1:1", "ECONNREFUSED"), ("nowhere.test", "ENOTFOUND")):
        error = await refusal(client.get(f"http://{host}/"), AtomHTTPNetworkError)
        assert (error.code, error.response, error.status) == (code, None, None)
        assert isinstance(error.__cause__, OSError)
    with Peer([[expect_head(), close_step()]]) as peer:
        error = await refusal(client.get(peer.url), AtomHTTPNetworkError)
        assert error.code == "ECONNRESET"


async def test_a_body_cut_short_is_err_bad_response(client: Any) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
    with Peer([[expect_head(), send(half), close_step()]]) as peer:
        error = await refusal(client.get(peer.url), AtomHTTPNetworkError)
    assert error.code == "ERR_BAD_RESPONSE"


async def test_a_body_cut_short_comes_with_its_response(client: Any) -> None:
    half = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 9\r\n\r\nhalf"
    with Peer([[expect_head(), send(half), close_step()]]) as peer:
        error = await refusal(client.get(peer.url), AtomHTTPNetworkError)
    assert error.response is not None
    assert error.status == 206


# a5. toJSON


async def test_to_dict_is_to_json_without_the_browsers_fields(client: Any, origin: Origin) -> None:
    error = await refusal(
        client.get(f"{origin.url}/status/500", validateStatus=True, timeout=7), kind=AtomHTTPStatusError
    )
    described = error.to_dict()
    assert {"message", "name", "code", "status", "config"} <= set(described)
    assert (described["name"], described["code"], described["status"]) == (
        "AtomHTTPStatusError",
        "ERR_BAD_RESPONSE",
        500,
    )
    assert described["message"] == str(error)
    assert (described["config"]["url"], described["config"]["timeout"]) == (f"{origin.url}/status/500", 7)
    assert not set(described) & {"fileName", "lineNumber", "columnNumber", "description", "number"}


# a5. statics


def test_the_statics_have_their_names() -> None:
    for client_class in (AtomHTTP, SyncAtomHTTP):
        assert client_class.FormData is FormData
        assert callable(client_class.spread)
        assert client_class.is_atomhttp_error is is_atomhttp_error
    assert callable(AtomHTTP.all)
    assert callable(SyncAtomHTTP().all)
    for name in (
        *("Headers", "HttpStatusCode", "is_cancel", "is_atomhttp_error", "to_form_data", "form_to_json"),
        *("merge_config", "__version__"),
    ):
        assert name in atomhttp.__all__
        assert hasattr(atomhttp, name)
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", atomhttp.__version__)


async def test_all_and_spread(api: Api, client: Any, origin: Origin) -> None:
    if api.is_sync:
        responses = client.all([client.defer.get(f"{origin.url}/bytes/{n}") for n in (1, 2)])
        assert client.spread(lambda one, two: (len(one.content), len(two.content)), *responses) == (1, 2)
    else:
        responses = await AtomHTTP.all([client.get(f"{origin.url}/bytes/{n}") for n in (1, 2)])
        assert await AtomHTTP.spread(lambda one, two: (len(one.content), len(two.content)), *responses) == (1, 2)


@pytest.mark.parametrize("value", [None, "canceled", ValueError(), AtomHTTPError("x"), Response()])
def test_is_cancel_and_is_atomhttp_error_are_true_of_their_errors_only(value: Any) -> None:
    assert not is_cancel(value)
    assert is_atomhttp_error(value) == isinstance(value, AtomHTTPError)
    assert is_cancel(AtomHTTPCanceledError("canceled"))
    assert is_atomhttp_error(AtomHTTPCanceledError("canceled"))


def test_to_form_data_and_form_to_json_are_each_others_reverse() -> None:
    data = {"a": {"b": "1", "c": ["2", "3"]}, "d": ["4", "5"], "e": "6"}
    form = to_form_data(data)
    assert isinstance(form, FormData)
    assert form.keys() == ["a[b]", "a[c][0]", "a[c][1]", "d[]", "e"]
    assert form_to_json(form) == data
    assert to_form_data({"f": 7}, form) is form
    assert form.get("f") == 7
    assert to_form_data({"a": {"b": 1}}, dots=True).keys() == ["a.b"]


def test_headers_are_axioss_headers() -> None:
    headers = Headers({"Content-Type": "text/plain", "X-List": ["1", "2"]})
    assert headers.set("content-type", "other", False)["Content-Type"] == "text/plain"
    assert headers.set("content-type", "other", True)["Content-Type"] == "other"
    assert headers.has("CONTENT-TYPE", "oth")
    assert headers.concat({"X-More": 1}).to_json() == {"Content-Type": "other", "X-List": ["1", "2"], "X-More": "1"}
    assert headers.delete("x-list")
    assert headers.normalize(True).get("Content-type") == "other"
    assert headers.clear()
    assert len(headers) == 0
    for bad in ("a\r\nb", "a\nb", "a\0b"):
        with pytest.raises(AtomHTTPOptionError):
            headers.set("X-Bad", bad)


# a5. HttpStatusCode


def test_http_status_code_has_names_and_numbers() -> None:
    assert HttpStatusCode.ImATeapot == HttpStatusCode.IM_A_TEAPOT == 418
    assert HttpStatusCode(503) is HttpStatusCode.ServiceUnavailable
    assert HttpStatusCode.PayloadTooLarge == HttpStatusCode.ContentTooLarge == 413
    assert HttpStatusCode.WebServerIsDown == 521


async def test_a_status_compares_with_http_status_code(client: Any, origin: Origin) -> None:
    response = await client.get(f"{origin.url}/status/404")
    assert response.status == HttpStatusCode.NotFound
    accepts = {HttpStatusCode.NotFound, HttpStatusCode.Ok}
    response = await client.get(f"{origin.url}/status/404", validateStatus=lambda status: status in accepts)
    assert response.status is not None


# Kept for users of the published 1.x


async def test_names_that_are_kept(client: Any) -> None:
    assert type(client.interceptors) is atomhttp.InterceptorManager
    assert client.is_atomhttp_error(AtomHTTPError("x"))
    assert not client.is_atomhttp_error(ValueError("x"))
    form = FormData({"a": "b c", "d": "ü"})
    assert form.to_urlencoded() == "a=b+c&d=%C3%BC"


@pytest.mark.parametrize("name", ["silentJSONParsing", "clarifyTimeoutError", "forcedJSONParsing"])
async def test_transitional_takes_its_three_switches(api: Api, name: str) -> None:
    for value in (True, False):
        client = api.client(
            adapter=Canned(200, {"Content-Type": "application/json"}, b"{}"), transitional={name: value}
        )
        assert (await client.get("http://h.test/")).data == {}
    for wrong in ({name: 1}, {"nonsense": True}):
        with pytest.raises(AtomHTTPOptionError, match="transitional"):
            api.client(transitional=wrong)


async def test_with_credentials_is_taken(api: Api) -> None:
    client = api.client(adapter=Canned(), withCredentials=True)
    assert (await client.get("http://h.test/", with_credentials=False)).status == 200


# The options of the seed page's features: a wrong value is named where it was given

WRONG: list[tuple[str, Any]] = [
    ("auth", "user:pw"),
    ("auth", ("user",)),
    ("auth", {"username": "u"}),
    ("auth", 5),
    ("onUploadProgress", "print"),
    ("onDownloadProgress", 5),
    ("transformRequest", "x"),
    ("transformRequest", [print, 5]),
    ("transformResponse", {"a": print}),
    ("maxRedirects", -1),
    ("maxRedirects", None),
    ("maxRedirects", True),
    ("maxRedirects", 1.5),
    ("beforeRedirect", "x"),
    ("crossOriginHeaders", 5),
    ("crossOriginHeaders", [5]),
    ("crossOriginHeaders", {"X": 1}),
    ("allowInsecureRedirect", 1),
    ("allowInsecureRedirect", None),
    ("retryConfig", "x"),
    ("retryConfig", 1.5),
    ("maxRate", -1),
    ("maxRate", "1k"),
    ("maxRate", [1, 2, 3]),
    ("formSerializer", 5),
    ("formSerializer", {"dots": "yes"}),
    ("paramsSerializer", 5),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
async def test_a_wrong_value_is_raised_where_it_was_given_and_names_the_option(
    api: Api, client: Any, name: str, value: Any
) -> None:
    def snake(camel: str) -> str:
        return re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", camel)

    for spelling in (name, snake(name)):
        for place in (
            lambda spelling=spelling: api.client(**{spelling: value}),
            lambda spelling=spelling: setattr(client.defaults, spelling, value),
            lambda spelling=spelling: RequestConfig({spelling: value}),
        ):
            with pytest.raises(AtomHTTPOptionError) as caught:
                place()
            assert caught.value.code == "ERR_BAD_OPTION_VALUE"
            assert name.lower() in str(caught.value).replace("_", "").lower()
        error = await refusal(client.get("http://service.test/", **{spelling: value}))
        assert error.code == "ERR_BAD_OPTION_VALUE"
