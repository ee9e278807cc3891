"""URLs and query strings (contract: URLs)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from atomhttp import AtomHTTPOptionError, AtomHTTPURLError
from contract.flavours import Api
from support.naming import described
from support.origin import Origin


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"a": 1, "b": "x y"}, "a=1&b=x+y"),
        ({"a": [1, 2]}, "a=1&a=2"),
        ({"a": {"b": {"c": 1}}}, "a%5Bb%5D%5Bc%5D=1"),
        ({"a": True, "b": False}, "a=true&b=false"),
        ({"a": None, "b": 1}, "b=1"),
        ({"a": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)}, "a=2024-01-02T03:04:05"),
        ({"a": []}, ""),
        ([("a", 1), ("b", 2), ("a", 3)], "a=1&b=2&a=3"),
        ("a=1&b=%20", "a=1&b=%20"),
        ({"a": "ü&=+"}, "a=%C3%BC%26%3D%2B"),
        ({}, ""),
    ],
    ids=described,
)
async def test_params_become_a_query(client: Any, origin: Origin, params: Any, query: str) -> None:
    await client.get(f"{origin.url}/echo", params=params)
    assert origin.requests[0].target.partition("?")[2].startswith(query)
    assert bool(query) == ("?" in origin.requests[0].target)


async def test_params_are_merged_deep_and_none_removes_a_key(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, params={"a": {"x": 1, "y": 2}, "b": 1, "c": [1]})
    await client.get("/echo", params={"a": {"y": 3}, "b": None, "c": [2]})
    assert origin.requests[0].target == "/echo?a%5Bx%5D=1&a%5By%5D=3&c=2"


async def test_params_pairs_append(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=origin.url, params=[("a", 1)])
    await client.get("/echo", params=[("a", 2)])
    assert origin.requests[0].target == "/echo?a=1&a=2"


async def test_the_bases_query_comes_first_then_the_urls_then_params(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=f"{origin.url}/echo?base=1")
    await client.get("x?url=2", params={"p": 3})
    assert origin.requests[0].target == "/echo/x?base=1&url=2&p=3"


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({"indexes": False}, "a%5B%5D=1&a%5B%5D=2"),
        ({"indexes": True}, "a%5B0%5D=1&a%5B1%5D=2"),
        ({"serialize": lambda params, options: "custom=1"}, "custom=1"),
        (lambda params: "function=1", "function=1"),
    ],
)
async def test_params_serializer_gives_axioss_styles(api: Api, origin: Origin, options: Any, query: str) -> None:
    await api.client(paramsSerializer=options).get(f"{origin.url}/echo", {"a": [1, 2]})
    assert origin.requests[0].target == f"/echo?{query}"


async def test_params_deeper_than_100_are_refused(client: Any) -> None:
    deep: dict[str, Any] = {}
    for _ in range(102):
        deep = {"a": deep or 1}
    with pytest.raises(AtomHTTPOptionError) as caught:
        await client.get("http://service.test/", params=deep)
    assert caught.value.code == "ERR_FORM_DATA_DEPTH_EXCEEDED"


# URLs


@pytest.mark.parametrize("path", ["/a%2Fb", "/a%20b?x=%2f%E4&sig=a%2Bb", "/~a;b=c,d:@", "/a//b", "/a/?x=1/2?3"])
async def test_percent_encoding_already_there_is_sent_byte_for_byte(client: Any, origin: Origin, path: str) -> None:
    await client.get(f"{origin.url}{path}")
    assert origin.requests[0].target == path


async def test_a_fragment_is_never_sent_and_kept_in_the_url(client: Any, origin: Origin) -> None:
    response = await client.get(f"{origin.url}/echo?a=1#part")
    assert origin.requests[0].target == "/echo?a=1"
    assert response.url == f"{origin.url}/echo?a=1#part"


async def test_the_paths_trailing_slash_is_kept(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=f"{origin.url}/echo/")
    for url in ("/a/", "a", ""):
        await client.get(url)
    assert [each.target for each in origin.requests] == ["/echo/a/", "/echo/a", "/echo/"]


async def test_an_absolute_url_ignores_the_base(api: Api, origin: Origin) -> None:
    client = api.client(baseURL="http://service.test/base")
    await client.get(f"{origin.url}/echo")
    await client.get(f"//127.0.0.1:{origin.port}/echo")
    assert len(origin.requests) == 2


@pytest.mark.parametrize(
    "url", ["http://other.test/", "//other.test/", "http://api.test/other", "/../other", "http://api.test:81/v1/x"]
)
async def test_allow_absolute_urls_false_refuses_another_origin_or_prefix(api: Api, url: str) -> None:
    client = api.client(baseURL="http://api.test/v1", allowAbsoluteUrls=False)
    with pytest.raises(AtomHTTPURLError, match="allowAbsoluteUrls") as caught:
        await client.get(url)
    assert caught.value.code == "ERR_INVALID_URL"


async def test_allow_absolute_urls_false_allows_what_is_below_the_base(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=f"{origin.url}/echo", allowAbsoluteUrls=False)
    await client.get(f"{origin.url}/echo/a")
    await client.get("/a")
    assert [each.target for each in origin.requests] == ["/echo/a", "/echo/a"]


@pytest.mark.parametrize(
    "url",
    [
        "http:evil.test",
        "http:/evil.test",
        "https:x",
        "/relative",
        "",
        "http://a.test/\tb",
        "http://a.test/\nb",
        "http://a.test\\b",
        "http://",
        "http:///path",
        "ftp://a.test/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://[fe80::1%25eth0]/",
        "http://[::1",
        "http://a.test:99999/",
        "http://a b.test/",
        " http://a.test/",
        f"http://{'a' * 300}.test/",
    ],
)
async def test_a_url_that_cannot_be_requested_is_err_invalid_url(client: Any, url: str) -> None:
    with pytest.raises(AtomHTTPURLError) as caught:
        await client.get(url)
    assert caught.value.code == "ERR_INVALID_URL"
    assert isinstance(caught.value, ValueError)


async def test_a_zone_id_gets_a_hint(client: Any) -> None:
    with pytest.raises(AtomHTTPURLError, match="zone id"):
        await client.get("http://[fe80::1%eth0]/")


async def test_a_host_in_unicode_becomes_an_a_label(api: Api, origin: Origin, tmp_path: Any) -> None:
    with Origin(unix=tmp_path / "s") as there:
        response = await api.client(socketPath=tmp_path / "s").get("http://bücher.test/echo")
    assert there.requests[0].get("host") == "xn--bcher-kva.test"
    assert response.url == "http://xn--bcher-kva.test/echo"


async def test_ipv6_literals_work(client: Any) -> None:
    with Origin(host="::1") as there:
        response = await client.get(f"{there.url}/echo")
    assert there.requests[0].get("host") == f"[::1]:{there.port}"
    assert response.url == f"http://[::1]:{there.port}/echo"


async def test_the_message_of_a_url_error_hides_userinfo_and_secrets(client: Any) -> None:
    with pytest.raises(AtomHTTPURLError) as caught:
        await client.get("ftp://user:s3cret@a.test/?token=s3cret")
    assert "s3cret" not in str(caught.value)


# Userinfo


async def test_userinfo_becomes_basic_and_leaves_the_url(client: Any, origin: Origin) -> None:
    response = await client.get(f"http://us%40er:p%3Ass@127.0.0.1:{origin.port}/echo")
    assert origin.requests[0].get("authorization") == "Basic dXNAZXI6cDpzcw=="
    assert response.url == response.request.url == f"{origin.url}/echo"


async def test_an_authorization_header_wins_over_userinfo(client: Any, origin: Origin) -> None:
    await client.get(f"http://user:pw@127.0.0.1:{origin.port}/echo", headers={"Authorization": "Bearer x"})
    assert origin.requests[0].get("authorization") == "Bearer x"


async def test_the_clients_own_credentials_stay_on_the_origin_of_the_base_url(api: Api, origin: Origin) -> None:
    client = api.client(
        baseURL="http://api.test/", headers={"Authorization": "Bearer s3cret", "Cookie": "a=b", "X-Mine": "1"}
    )
    await client.get(f"{origin.url}/echo")
    assert origin.requests[0].get("authorization") is None
    assert origin.requests[0].get("cookie") is None
    assert origin.requests[0].get("x-mine") == "1"
    await client.get(f"{origin.url}/echo", headers={"Authorization": "Bearer s3cret"})
    assert origin.requests[1].get("authorization") == "Bearer s3cret"


async def test_the_clients_own_credentials_go_to_the_origin_of_the_base_url(api: Api, origin: Origin) -> None:
    client = api.client(baseURL=f"{origin.url}/x", headers={"Authorization": "Bearer s3cret"})
    await client.get(f"{origin.url}/echo")
    assert origin.requests[0].get("authorization") == "Bearer s3cret"
