"""`decompress`, and the size limits (contract: Limits and timeouts)."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import brotli
import pytest
from backports import zstd

from atomhttp import AtomHTTPDecodeError, AtomHTTPLimitError
from contract.flavours import Api, collect, wait
from support.nginx import GZIP_JSON, Nginx
from support.origin import Origin, pattern

PLAIN = b'{"compressed": true, "text": "%s"}' % (b"x" * 300_000)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


CODED = {
    "gzip": gzip.compress(PLAIN),
    "x-gzip": gzip.compress(PLAIN),
    "GZIP": gzip.compress(PLAIN),
    "deflate": zlib.compress(PLAIN),
    "deflate ": raw_deflate(PLAIN),
    "br": brotli.compress(PLAIN),
    "zstd": zstd.compress(PLAIN),
    "gzip, br": brotli.compress(gzip.compress(PLAIN)),
    "identity": PLAIN,
}


def coded(coding: str) -> dict[str, Any]:
    return {"headers": [("Content-Encoding", coding)], "content_type": "application/json"}


@pytest.mark.parametrize("coding", CODED)
@pytest.mark.parametrize("how", ["whole", "limited", "stream"])
async def test_content_is_decoded(client: Any, answer: Any, coding: str, how: str) -> None:
    url = answer(CODED[coding], **coded(coding))
    if how == "stream":
        response = await client.get(url, response_type="stream")
        pieces = await collect(response.data)
        assert b"".join(pieces) == PLAIN
    else:
        response = await client.get(url, maxContentLength=len(PLAIN) if how == "limited" else -1)
        assert response.content == PLAIN
        assert response.data["compressed"] is True
    # Headers stay as received.
    assert response.headers["content-encoding"] == coding.strip()
    assert response.undecoded == ()


async def test_nginx_compresses_and_we_decode(client: Any, nginx: Nginx) -> None:
    response = await client.get(f"{nginx.url}/gzip")
    assert response.headers["content-encoding"] == "gzip"
    assert response.content == GZIP_JSON


async def test_several_gzip_members_and_nul_padding_are_one_content(client: Any, answer: Any) -> None:
    body = gzip.compress(b"one ") + gzip.compress(b"two") + b"\0" * 100
    assert (await client.get(answer(body, **coded("gzip")))).data == "one two"


@pytest.mark.parametrize("how", ["json", "stream", "blob"])
async def test_decompress_false_gives_raw_bytes(client: Any, answer: Any, how: str) -> None:
    response = await client.get(answer(CODED["gzip"], **coded("gzip")), decompress=False, response_type=how)
    content = await wait(response.data.read()) if how == "stream" else response.content
    assert content == CODED["gzip"]
    assert response.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("how", ["whole", "limited", "stream"])
async def test_an_unknown_coding_leaves_the_body_as_received_and_is_listed(client: Any, answer: Any, how: str) -> None:
    url = answer(b"\x01made up", headers=[("Content-Encoding", "gzip, made-up")])
    response = await client.get(
        url, response_type="stream" if how == "stream" else "blob", maxContentLength=100 if how == "limited" else -1
    )
    content = await wait(response.data.read()) if how == "stream" else response.data
    assert content == b"\x01made up"
    assert response.undecoded == ("gzip", "made-up")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "deflate ", "br", "zstd"])
@pytest.mark.parametrize("damage", ["truncated", "garbage", "surplus"])
@pytest.mark.parametrize("how", ["whole", "stream"])
async def test_truncation_bad_data_and_garbage_are_decode_errors(
    client: Any, answer: Any, coding: str, damage: str, how: str
) -> None:
    body = {"truncated": CODED[coding][:-5], "garbage": b"\x7fnot it at all", "surplus": CODED[coding] + b"surplus"}[
        damage
    ]
    url = answer(body, **coded(coding))
    with pytest.raises(AtomHTTPDecodeError) as caught:
        response = await client.get(url, response_type="stream" if how == "stream" else "json")
        await collect(response.data)
    assert caught.value.code == "ERR_BAD_RESPONSE"


async def test_more_than_5_codings_are_refused(client: Any, answer: Any) -> None:
    with pytest.raises(AtomHTTPDecodeError, match="5"):
        await client.get(answer(b"x", headers=[("Content-Encoding", ", ".join(["gzip"] * 6))]))


async def test_a_coding_of_nothing_is_nothing(client: Any, answer: Any, origin: Origin) -> None:
    url = answer(b"", **coded("gzip"))
    assert (await client.head(url)).data is None
    assert (await client.get(answer(b"", status=204, **coded("gzip")))).data is None
    assert (await client.get(answer(b"", status=304, **coded("gzip")))).data is None


async def test_a_range_request_asks_for_identity(client: Any, origin: Origin) -> None:
    await client.get(f"{origin.url}/echo", headers={"Range": "bytes=0-9"})
    await client.get(f"{origin.url}/echo", headers={"Range": "bytes=0-9", "Accept-Encoding": "gzip"})
    assert [each.get("accept-encoding") for each in origin.requests] == ["identity", "gzip"]


# maxContentLength


@pytest.mark.parametrize(("limit", "fits"), [(0, False), (999, False), (1000, True), (1001, True), (-1, True)])
@pytest.mark.parametrize("path", ["/bytes/1000", "/chunked/1000"])
@pytest.mark.parametrize("response_type", ["blob", "stream"])
async def test_max_content_length_is_a_limit_to_the_byte(
    client: Any, origin: Origin, limit: int, fits: bool, path: str, response_type: str
) -> None:
    async def fetch() -> bytes:
        response = await client.get(f"{origin.url}{path}", maxContentLength=limit, response_type=response_type)
        return await wait(response.data.read()) if response_type == "stream" else response.data

    if fits:
        assert await fetch() == pattern(1000)
        return
    with pytest.raises(AtomHTTPLimitError) as caught:
        await fetch()
    assert caught.value.code == "ERR_MAX_CONTENT_LENGTH"
    assert caught.value.limit == limit
    assert caught.value.size > limit


@pytest.mark.parametrize("path", ["/bytes/0", "/chunked/0", "/status/204"])
async def test_nothing_fits_into_a_limit_of_0(client: Any, origin: Origin, path: str) -> None:
    assert (await client.get(f"{origin.url}{path}", maxContentLength=0)).data is None


async def test_head_is_no_content_however_long_it_says_it_is(client: Any, origin: Origin) -> None:
    assert (await client.head(f"{origin.url}/bytes/1000", maxContentLength=10)).status == 200


async def test_content_is_counted_decompressed(client: Any, answer: Any) -> None:
    url = answer(gzip.compress(b"x" * 1000), **coded("gzip"))
    assert len((await client.get(url, maxContentLength=1000)).content) == 1000
    with pytest.raises(AtomHTTPLimitError):
        await client.get(url, maxContentLength=999)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
@pytest.mark.parametrize("how", ["blob", "stream"])
async def test_a_bomb_costs_no_more_than_the_limit_and_256_kib(client: Any, answer: Any, coding: str, how: str) -> None:
    zeros = b"\0" * (50 * 1024 * 1024)
    pack = {"gzip": gzip.compress, "br": lambda data: brotli.compress(data, quality=1), "zstd": zstd.compress}[coding]
    url = answer(pack(zeros), **coded(coding))
    with pytest.raises(AtomHTTPLimitError) as caught:
        response = await client.get(url, maxContentLength=1_000_000, response_type=how)
        await collect(response.data)
    assert 1_000_000 < caught.value.size <= 1_000_000 + 256 * 1024


async def test_a_limit_passed_leaves_the_client_usable(client: Any, origin: Origin) -> None:
    with pytest.raises(AtomHTTPLimitError):
        await client.get(f"{origin.url}/bytes/100000", maxContentLength=10)
    assert (await client.get(f"{origin.url}/bytes/10", maxContentLength=10)).content == pattern(10)


# maxBodyLength


@pytest.mark.parametrize("data", [b"12345", "12345", [123], {"a": 1}])
@pytest.mark.parametrize("under", [0, 1, 5])
async def test_a_body_of_known_size_fails_before_a_byte_is_sent(
    client: Any, origin: Origin, data: Any, under: int
) -> None:
    size = 7 if isinstance(data, dict) else 5
    await client.post(f"{origin.url}/echo", data, maxBodyLength=size)
    with pytest.raises(AtomHTTPLimitError) as caught:
        await client.post("http://service.test/", data, maxBodyLength=max(0, size - 1 - under))
    assert caught.value.code == "ERR_MAX_BODY_LENGTH"
    assert (caught.value.limit, caught.value.size) == (max(0, size - 1 - under), size)


async def test_a_file_too_large_fails_before_a_byte_is_sent(client: Any, tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    with pytest.raises(AtomHTTPLimitError):
        await client.post("http://service.test/", path, maxBodyLength=4)


async def test_a_streamed_body_fails_when_it_crosses(api: Api, client: Any, origin: Origin) -> None:
    await client.post(f"{origin.url}/echo", api.iterator([b"abc", b"de"]), maxBodyLength=5)
    assert origin.requests[0].body == b"abcde"
    with pytest.raises(AtomHTTPLimitError) as caught:
        await client.post(f"{origin.url}/echo", api.iterator([b"abc", b"def"]), maxBodyLength=5)
    assert caught.value.code == "ERR_MAX_BODY_LENGTH"
    assert len(origin.requests) == 1


async def test_a_length_the_caller_declares_is_a_known_size(api: Api, client: Any) -> None:
    with pytest.raises(AtomHTTPLimitError):
        await client.post(
            "http://service.test/", api.iterator([b"abcdef"]), maxBodyLength=5, headers={"Content-Length": "6"}
        )


async def test_no_body_fits_into_a_limit_of_0(client: Any, origin: Origin) -> None:
    assert (await client.get(f"{origin.url}/echo", maxBodyLength=0)).status == 200
    assert (await client.post(f"{origin.url}/echo", maxBodyLength=0)).status == 200
    assert (await client.post(f"{origin.url}/echo", b"", maxBodyLength=0)).status == 200
