"""`response_type` (contract: Response types), except for streams."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import attrs
import msgspec
import pytest

from atomhttp import AtomHTTPDecodeError
from contract.flavours import Api
from support.naming import described
from support.nginx import BLOB, JSON, TEXT, Nginx
from support.origin import Origin

JSON_TYPE = "application/json"


# json


@pytest.mark.parametrize(
    ("body", "content_type", "data"),
    [
        (b'{"a": 1}', JSON_TYPE, {"a": 1}),
        (b"[1, 2]", "application/problem+json; charset=utf-8", [1, 2]),
        (b'{"a": 1}', "text/plain", {"a": 1}),
        (b"[1]", "text/html", [1]),
        (b'{"a": 1}', None, {"a": 1}),
        (b"5", JSON_TYPE, 5),
        (b"null", JSON_TYPE, None),
        (b"true", JSON_TYPE, True),
        (b"5", "text/plain", "5"),
        (b"1.5", "text/html", "1.5"),
        (b"true", "text/plain", "true"),
        (b"null", "text/plain", "null"),
        (b"\xef\xbb\xbf[1]", JSON_TYPE, [1]),
        (b'{"n": 123456789012345678901234567890}', JSON_TYPE, {"n": 123456789012345678901234567890}),
        (b'{"n": -9007199254740993}', JSON_TYPE, {"n": -9007199254740993}),
        (b"NaN", JSON_TYPE, "NaN"),
        (b"[Infinity]", JSON_TYPE, "[Infinity]"),
        (b"<p>no json</p>", "text/html", "<p>no json</p>"),
        (b"no json", JSON_TYPE, "no json"),
        ("grün".encode("latin-1"), "text/plain; charset=iso-8859-1", "grün"),
        (b"\x89PNG", "image/png", b"\x89PNG"),
        (b"text", "image/svg+xml", b"text"),
        (b"text", "audio/x", b"text"),
        (b"text", "video/mp4", b"text"),
        (b"text", "font/woff2", b"text"),
        (b"text", "application/octet-stream", b"text"),
        (b"text", "application/zip", b"text"),
        (b"text", "application/pdf", b"text"),
        (b"\xff\xfe\xfa", "text/plain", b"\xff\xfe\xfa"),
        (b"\xff\xff", None, b"\xff\xff"),
        (b"", JSON_TYPE, None),
        (b"", "text/plain", None),
    ],
)
async def test_json_is_the_default(client: Any, answer: Any, body: bytes, content_type: str | None, data: Any) -> None:
    response = await client.get(answer(body, content_type))
    assert response.data == data
    assert type(response.data) is type(data)
    assert response.content == body


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_data_of_no_content_is_none(client: Any, origin: Origin, status: int) -> None:
    assert (await client.get(f"{origin.url}/status/{status}")).data is None


async def test_data_of_205_is_none_whatever_comes_with_it(client: Any, answer: Any) -> None:
    assert (await client.get(answer(b"surplus", "text/plain", 205))).data is None


async def test_data_of_head_is_none(client: Any, origin: Origin) -> None:
    response = await client.head(f"{origin.url}/bytes/100")
    assert response.data is None
    assert response.headers["content-length"] == "100"


async def test_silent_json_parsing_false_raises_on_a_2xx_that_is_not_json(api: Api, answer: Any) -> None:
    client = api.client(transitional={"silentJSONParsing": False})
    with pytest.raises(AtomHTTPDecodeError) as caught:
        await client.get(answer(b"no json", "text/plain"))
    assert caught.value.code == "ERR_BAD_RESPONSE"
    assert (await client.get(answer(b"no json", "text/plain", 404))).data == "no json"
    assert (await client.get(answer(b"", JSON_TYPE))).data is None
    assert (await client.get(answer(b"{}", JSON_TYPE))).data == {}


async def test_json_decoder_decodes_json(client: Any, answer: Any) -> None:
    seen: list[bytes] = []

    def decode(content: bytes) -> Any:
        seen.append(content)
        return {"mine": True}

    response = await client.get(answer(b'{"a": 1}', JSON_TYPE), jsonDecoder=decode)
    assert response.data == {"mine": True}
    assert response.json() == {"mine": True}
    assert seen[0] == b'{"a": 1}'


# text, blob, arraybuffer


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("grün".encode(), "text/plain; charset=utf-8", "grün"),
        ("grün".encode("latin-1"), 'text/plain; charset="ISO-8859-1"', "grün"),
        ("grün".encode("utf-16"), "text/plain", "grün"),
        (b"\xef\xbb\xbfgr\xc3\xbcn", "text/plain", "grün"),
        ("grün".encode(), None, "grün"),
        (b"gr\xfcn", "text/plain", "gr\ufffdn"),
        (b"gr\xfcn", "text/plain; charset=made-up", "gr\ufffdn"),
        ("日本".encode("shift_jis"), "text/plain; charset=Shift_JIS", "日本"),
        (b'{"a": 1}', JSON_TYPE, '{"a": 1}'),
        (b"", None, ""),
    ],
)
async def test_text_is_decoded_by_charset_bom_or_utf_8_with_replacement(
    client: Any, answer: Any, body: bytes, content_type: str | None, text: str
) -> None:
    response = await client.get(answer(body, content_type), response_type="text")
    assert response.data == response.text == text


async def test_response_encoding_overrules_the_charset(client: Any, answer: Any) -> None:
    url = answer("grün".encode("latin-1"), "text/plain; charset=utf-8")
    response = await client.get(url, response_type="text", responseEncoding="latin-1")
    assert response.data == response.text == "grün"


@pytest.mark.parametrize("response_type", ["blob", "arraybuffer", bytes])
async def test_blob_and_arraybuffer_are_bytes(client: Any, nginx: Nginx, response_type: Any) -> None:
    assert (await client.get(f"{nginx.url}/blob", response_type=response_type)).data == BLOB
    assert (await client.get(f"{nginx.url}/json", response_type=response_type)).data == JSON


async def test_nginx_is_read_as_what_it_says(client: Any, nginx: Nginx) -> None:
    assert (await client.get(f"{nginx.url}/json")).data["name"] == "atomhttp"
    assert (await client.get(f"{nginx.url}/text")).data == TEXT.decode()
    assert (await client.get(f"{nginx.url}/empty")).data is None
    assert (await client.get(f"{nginx.url}/blob")).data == BLOB
    assert len((await client.get(f"{nginx.url}/gzip")).data) == 500


# Types


@dataclass
class Item:
    id: int
    at: datetime
    key: UUID
    price: Decimal
    tags: list[str]


class ItemDict(TypedDict):
    id: int


class ItemStruct(msgspec.Struct):
    id: int


class ItemTuple(NamedTuple):
    id: int


@attrs.define
class ItemAttrs:
    id: int


ITEM = (
    b'{"id": 1, "at": "2024-01-02T03:04:05Z", "key": "12345678-1234-5678-1234-567812345678",'
    b' "price": "1.10", "tags": ["a"]}'
)


async def test_a_type_decodes_dates_uuids_and_decimals(client: Any, answer: Any) -> None:
    response = await client.get(answer(ITEM, JSON_TYPE), response_type=Item)
    expected = Item(
        1,
        datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
        UUID(int=0x12345678123456781234567812345678),
        Decimal("1.10"),
        ["a"],
    )
    assert response.data == expected


@pytest.mark.parametrize(
    ("type_", "body", "data"),
    [
        (ItemDict, b'{"id": 1}', {"id": 1}),
        (ItemStruct, b'{"id": 1}', ItemStruct(1)),
        (ItemAttrs, b'{"id": 1}', ItemAttrs(1)),
        (ItemTuple, b"[1]", ItemTuple(1)),
        (list[ItemStruct], b'[{"id": 1}]', [ItemStruct(1)]),
        (dict[str, int], b'{"a": 1}', {"a": 1}),
        (int | str, b'"x"', "x"),
        (ItemStruct | None, b"null", None),
        (int, b"12345678901234567890123", 12345678901234567890123),
        (str, b'{"id": 1}', '{"id": 1}'),
    ],
    ids=described,
)
async def test_a_type_decodes_2xx_bodies_into_it(client: Any, answer: Any, type_: Any, body: bytes, data: Any) -> None:
    response = await client.get(answer(body, JSON_TYPE), response_type=type_)
    assert response.data == data
    assert type(response.data) is type(data)


@pytest.mark.parametrize(
    ("type_", "body", "path"),
    [
        (list[ItemStruct], b'[{"id": 1}, {"id": "x"}]', r"\$\[1\]\.id"),
        (Item, b'{"id": 1}', "at"),
        (dict[str, int], b"[1]", "dict"),
        (ItemStruct, b"no json", "ItemStruct"),
        (ItemStruct, b"", "empty"),
    ],
    ids=described,
)
async def test_a_mismatch_names_the_path(client: Any, answer: Any, type_: Any, body: bytes, path: str) -> None:
    with pytest.raises(AtomHTTPDecodeError, match=path) as caught:
        await client.get(answer(body, JSON_TYPE), response_type=type_)
    assert caught.value.code == "ERR_BAD_RESPONSE"


async def test_a_404_never_hides_behind_a_decode_error(client: Any, answer: Any) -> None:
    response = await client.get(answer(b'{"error": "none"}', JSON_TYPE, 404), response_type=list[ItemStruct])
    assert (response.status, response.data) == (404, {"error": "none"})
    response = await client.get(answer(b"<p>", "text/html", 502), response_type=bytes)
    assert response.data == "<p>"


async def test_a_decode_error_leaves_the_connection_usable(client: Any, answer: Any, origin: Origin) -> None:
    url = answer(b"no json", JSON_TYPE)
    for _ in range(2):
        with pytest.raises(AtomHTTPDecodeError):
            await client.get(url, response_type=ItemStruct)
    assert origin.connections == 1
