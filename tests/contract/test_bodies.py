"""Bodies sent (contract: Bodies sent; JSON out)."""

from __future__ import annotations

import enum
import io
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

from atomhttp import AtomHTTPOptionError
from contract.flavours import Api
from support.naming import described
from support.origin import Origin

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
OCTETS = "application/octet-stream"
FORM = "application/x-www-form-urlencoded"
IDENTITY = uuid.UUID("12345678-1234-5678-1234-567812345678")


@dataclass
class Point:
    x: int
    y: float


class Struct(msgspec.Struct):
    name: str


@attrs.define
class Attrs:
    name: str


class Colour(enum.Enum):
    RED = "red"


# What the kind of data decides


@pytest.mark.parametrize(
    ("data", "body", "content_type"),
    [
        ({"a": 1, "b": [None, True]}, b'{"a":1,"b":[null,true]}', JSON),
        ([1, 2], b"[1,2]", JSON),
        ((1, "2"), b'[1,"2"]', JSON),
        (5, b"5", JSON),
        (1.5, b"1.5", JSON),
        (True, b"true", JSON),
        ({}, b"{}", JSON),
        (Point(1, 2.5), b'{"x":1,"y":2.5}', JSON),
        (Struct("n"), b'{"name":"n"}', JSON),
        (Attrs("n"), b'{"name":"n"}', JSON),
        ([Point(1, 2.0)], b'[{"x":1,"y":2.0}]', JSON),
        ({"big": 2**100}, b'{"big":%d}' % 2**100, JSON),
        ({"at": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)}, b'{"at":"2024-01-02T03:04:05Z"}', JSON),
        ({"on": date(2024, 1, 2)}, b'{"on":"2024-01-02"}', JSON),
        ({"id": IDENTITY}, b'{"id":"12345678-1234-5678-1234-567812345678"}', JSON),
        ({"sum": Decimal("1.10")}, b'{"sum":"1.10"}', JSON),
        ({"colour": Colour.RED}, b'{"colour":"red"}', JSON),
        ({"text": "grüße \u2028"}, '{"text":"grüße \u2028"}'.encode(), JSON),
        ('{"a" : 1}', b'{"a" : 1}', TEXT),
        ("grüße", "grüße".encode(), TEXT),
        ("", b"", TEXT),
        (b"\x00\xff", b"\x00\xff", OCTETS),
        (bytearray(b"ab"), b"ab", OCTETS),
        (memoryview(b"abc")[1:], b"bc", OCTETS),
        (b"", b"", OCTETS),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_data_is_sent_as_its_kind_says(
    client: Any, origin: Origin, data: Any, body: bytes, content_type: str
) -> None:
    await client.post(f"{origin.url}/echo", data)
    request = origin.requests[0]
    assert request.body == body
    assert request.get("content-type") == content_type
    assert request.get("content-length") == str(len(body))
    assert request.get("transfer-encoding") is None


@pytest.mark.parametrize("verb", ["post", "put", "patch"])
async def test_no_body_where_one_is_usual_has_length_0(client: Any, origin: Origin, verb: str) -> None:
    await getattr(client, verb)(f"{origin.url}/echo")
    assert origin.requests[0].get("content-length") == "0"
    assert origin.requests[0].get("content-type") is None


@pytest.mark.parametrize("verb", ["get", "delete", "head", "options"])
async def test_no_body_where_none_is_usual_has_no_length(client: Any, origin: Origin, verb: str) -> None:
    await getattr(client, verb)(f"{origin.url}/echo")
    assert origin.requests[0].get("content-length") is None


async def test_a_str_goes_byte_for_byte_whatever_the_content_type(client: Any, origin: Origin) -> None:
    await client.post(f"{origin.url}/echo", " not json ", headers={"Content-Type": JSON})
    assert origin.requests[0].body == b" not json "
    assert [value for name, value in origin.requests[0].headers if name.lower() == "content-type"] == [JSON]


async def test_an_empty_body_that_was_given_is_sent(client: Any, origin: Origin) -> None:
    await client.get(f"{origin.url}/echo", data=b"")
    assert origin.requests[0].get("content-length") == "0"


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"a": [1, float("nan")]}, r"a\[1\]"),
        ({"a": {"b": float("inf")}}, r"a\.b"),
        ([{"a": b"bytes"}], r"\[0\]\.a"),
        ({"a": {1, 2}}, "a"),
        ({"a": {("odd",): 1}}, "a"),
        ({"a": object()}, "a"),
        ({"a": 1j}, "a"),
    ],
    ids=described,
)
@pytest.mark.parametrize("option", ["data", "json"])
async def test_what_json_cannot_hold_is_refused_with_its_path(client: Any, data: Any, path: str, option: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=rf"^{option}\.?{path} ") as caught:
        await client.post("http://service.test/", **{option: data})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


async def test_data_that_holds_itself_is_refused(client: Any) -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(AtomHTTPOptionError):
        await client.post("http://service.test/", circle)


# json= and form=


@pytest.mark.parametrize(
    ("value", "body"), [("text", b'"text"'), ({"a": 1}, b'{"a":1}'), ([], b"[]"), (0, b"0"), (False, b"false")]
)
async def test_json_forces_json(client: Any, origin: Origin, value: Any, body: bytes) -> None:
    await client.post(f"{origin.url}/echo", json=value)
    assert (origin.requests[0].body, origin.requests[0].get("content-type")) == (body, JSON)


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ({"a": "1", "b": "x y"}, b"a=1&b=x+y"),
        ({"a": [1, 2], "b": True}, b"a=1&a=2&b=true"),
        ({"a": {"b": 1}}, b"a%5Bb%5D=1"),
        ([("a", "1"), ("a", "ü")], b"a=1&a=%C3%BC"),
        ({"a": "&="}, b"a=%26%3D"),
    ],
    ids=described,
)
async def test_form_is_sent_urlencoded(client: Any, origin: Origin, form: Any, body: bytes) -> None:
    await client.post(f"{origin.url}/echo", form=form)
    assert (origin.requests[0].body, origin.requests[0].get("content-type")) == (body, FORM)


async def test_data_with_content_type_urlencoded_is_that_form(client: Any, origin: Origin) -> None:
    await client.post(f"{origin.url}/echo", {"a": "x y"}, headers={"content-type": FORM})
    assert origin.requests[0].body == b"a=x+y"


@pytest.mark.parametrize("names", [("data", "json"), ("data", "form"), ("json", "form"), ("data", "json", "form")])
async def test_more_than_one_of_data_json_form_is_an_error(client: Any, names: tuple[str, ...]) -> None:
    with pytest.raises(AtomHTTPOptionError, match=" and ") as caught:
        await client.post("http://service.test/", **{name: {"a": 1} for name in names})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


async def test_json_encoder_encodes_json(api: Api, origin: Origin) -> None:
    client = api.client(jsonEncoder=lambda value: json.dumps(value, indent=1))
    await client.post(f"{origin.url}/echo", {"a": 1})
    await client.post(f"{origin.url}/echo", json=[1], jsonEncoder=lambda value: b"bytes")
    assert [each.body for each in origin.requests] == [b'{\n "a": 1\n}', b"bytes"]
    with pytest.raises(AtomHTTPOptionError, match="jsonEncoder"):
        await client.post(f"{origin.url}/echo", json=[1], jsonEncoder=lambda value: 5)


# Files


async def test_a_path_is_streamed_with_length_and_type(client: Any, origin: Origin, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"x" * 700_000)
    await client.put(f"{origin.url}/echo", path)
    request = origin.requests[0]
    assert request.body == b"x" * 700_000
    assert (request.get("content-type"), request.get("content-length")) == ("text/html", "700000")


async def test_a_file_is_sent_from_its_position_and_left_open(client: Any, origin: Origin, tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.seek(4)
        await client.post(f"{origin.url}/echo", file)
        assert not file.closed
    assert origin.requests[0].body == b"456789"
    assert origin.requests[0].get("content-length") == "6"
    assert origin.requests[0].get("content-type") == OCTETS


async def test_a_file_in_memory_is_sent_from_its_position(client: Any, origin: Origin) -> None:
    file = io.BytesIO(b"0123456789")
    file.read(8)
    await client.post(f"{origin.url}/echo", file)
    assert (origin.requests[0].body, origin.requests[0].get("content-length")) == (b"89", "2")


async def test_a_file_without_position_is_sent_chunked(client: Any, origin: Origin) -> None:
    class Pipe(io.RawIOBase):
        rest = b"through a pipe"

        def read(self, size: int = -1) -> bytes:
            piece, self.rest = self.rest[:5], self.rest[5:]
            return piece

        def seekable(self) -> bool:
            return False

    await client.post(f"{origin.url}/echo", Pipe())
    assert origin.requests[0].body == b"through a pipe"
    assert origin.requests[0].get("transfer-encoding") == "chunked"


@pytest.mark.parametrize("kind", ["text", "closed", "missing", "directory"])
async def test_a_file_that_cannot_be_sent_is_an_error_before_anything_is_sent(
    client: Any, origin: Origin, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "file.txt"
    path.write_text("text")
    with path.open() as text, path.open("rb") as closed:
        closed.close()
        data = {"text": text, "closed": closed, "missing": tmp_path / "none", "directory": tmp_path}[kind]
        with pytest.raises(AtomHTTPOptionError) as caught:
            await client.post(f"{origin.url}/echo", data)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert origin.connections == 0


# Iterators


async def test_an_iterator_is_sent_chunked(api: Api, client: Any, origin: Origin) -> None:
    await client.post(f"{origin.url}/echo", api.iterator([b"one ", b"", bytearray(b"two "), memoryview(b"three")]))
    request = origin.requests[0]
    assert request.body == b"one two three"
    assert (request.get("transfer-encoding"), request.get("content-length")) == ("chunked", None)
    assert request.get("content-type") == OCTETS


async def test_an_empty_iterator_is_an_empty_body(api: Api, client: Any, origin: Origin) -> None:
    await client.post(f"{origin.url}/echo", api.iterator([]))
    assert origin.requests[0].body == b""


async def test_a_plain_iterator_works_everywhere(client: Any, origin: Origin) -> None:
    await client.post(f"{origin.url}/echo", (piece for piece in [b"a", b"b"]))
    assert origin.requests[0].body == b"ab"


async def test_an_iterable_can_be_sent_twice_and_an_iterator_cannot(api: Api, client: Any, origin: Origin) -> None:
    class Pieces:
        def __iter__(self) -> Any:
            return iter([b"a", b"b"])

    again = (await client.post(f"{origin.url}/echo", Pieces())).config
    await client.request(again)
    assert [each.body for each in origin.requests] == [b"ab", b"ab"]


async def test_an_iterator_is_framed_by_a_content_length_the_caller_gives(
    api: Api, client: Any, origin: Origin
) -> None:
    await client.post(f"{origin.url}/echo", api.iterator([b"abc", b"de"]), headers={"Content-Length": "5"})
    request = origin.requests[0]
    assert (request.body, request.get("content-length"), request.get("transfer-encoding")) == (b"abcde", "5", None)


@pytest.mark.parametrize(("length", "problem"), [(4, "longer"), (6, "shorter"), (0, "longer")])
async def test_a_byte_more_or_less_than_the_content_length_aborts(
    api: Api, client: Any, origin: Origin, length: int, problem: str
) -> None:
    with pytest.raises(AtomHTTPOptionError, match=problem) as caught:
        await client.post(f"{origin.url}/echo", api.iterator([b"abc", b"de"]), headers={"Content-Length": length})
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    if length:
        # The message was never completed: the origin has no such request.
        assert origin.requests == []
    await client.get(f"{origin.url}/echo")
    assert origin.connections == 2


@pytest.mark.parametrize("item", ["str", 5, None, {"a": 1}])
async def test_items_that_are_no_bytes_are_errors(api: Api, client: Any, origin: Origin, item: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="must give bytes") as caught:
        await client.post(f"{origin.url}/echo", api.iterator([b"a", item]))
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


async def test_an_exception_of_the_iterator_reaches_the_caller_as_it_is(api: Api, client: Any, origin: Origin) -> None:
    class OwnError(Exception):
        pass

    def fail() -> Any:
        yield b"a"
        raise OwnError

    async def fail_async() -> Any:
        yield b"a"
        raise OwnError

    with pytest.raises(OwnError):
        await client.post(f"{origin.url}/echo", fail() if api.is_sync else fail_async())
    assert (await client.get(f"{origin.url}/echo")).status == 200


async def test_expect_100_continue_sends_the_body_after_the_interim_response(client: Any, origin: Origin) -> None:
    await client.post(f"{origin.url}/echo", b"body", headers={"Expect": "100-continue"})
    assert origin.requests[0].body == b"body"
    assert origin.requests[0].get("expect") == "100-continue"


async def test_data_of_no_known_kind_is_refused(client: Any) -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        await client.post("http://service.test/", object())
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


async def test_a_set_is_no_body(client: Any) -> None:
    with pytest.raises(AtomHTTPOptionError):
        await client.post("http://service.test/", {b"a", b"b"})
