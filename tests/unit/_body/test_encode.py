from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from atomhttp._body.encode import (
    BLOCK,
    FileBody,
    IteratorBody,
    LimitedBody,
    encode_data,
    encode_form,
    encode_json,
    guess_type,
)
from atomhttp.errors import AtomHTTPLimitError, AtomHTTPOptionError

T = TypeVar("T")
JSON, TEXT = "application/json", "text/plain; charset=utf-8"
URLENCODED, OCTETS = "application/x-www-form-urlencoded", "application/octet-stream"


class FakeDriver:
    """Waits for nothing: every function runs at once. Remembers what it was asked for."""

    def __init__(self) -> None:
        self.dues: list[float | None] = []
        self.blocking = 0

    async def run_blocking(self, function: Any, *arguments: Any) -> Any:
        self.blocking += 1
        return function(*arguments)

    async def foreign(self, awaitable: Awaitable[T], due: float | None) -> T:
        self.dues.append(due)
        return await awaitable


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs what never has to wait."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise AssertionError("it waited")


async def _pieces(body: Any) -> list[bytes]:
    return [piece async for piece in body]


def pieces_of(body: Any, driver: FakeDriver | None = None, due: float | None = None) -> list[bytes]:
    body.bind(driver or FakeDriver(), due)
    return run(_pieces(body))


# In memory


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("data", "declared", "content", "content_type"),
    [
        ({"a": 1}, None, b'{"a":1}', JSON),
        ({}, None, b"{}", JSON),
        ([1, "é"], None, '[1,"é"]'.encode(), JSON),
        ((1, 2), None, b"[1,2]", JSON),
        (5, None, b"5", JSON),
        (1.5, None, b"1.5", JSON),
        (True, None, b"true", JSON),
        (Point(1), None, b'{"x":1}', JSON),
        ([Point(1)], None, b'[{"x":1}]', JSON),
        ({"a": 1}, "application/vnd.api+json", b'{"a":1}', JSON),
        ({"a": 1, "b": "x y"}, URLENCODED, b"a=1&b=x+y", URLENCODED),
        ([("a", 1), ("a", 2)], URLENCODED, b"a=1&a=2", URLENCODED),
        ({"a": "x y"}, "Application/X-WWW-Form-Urlencoded; charset=utf-8", b"a=x+y", URLENCODED),
        ("text é", None, "text é".encode(), TEXT),
        ("", None, b"", TEXT),
        ('{"a": 1}', JSON, b'{"a": 1}', TEXT),
        (b"bytes", None, b"bytes", OCTETS),
        (b"", None, b"", OCTETS),
        (bytearray(b"bytes"), None, b"bytes", OCTETS),
        (memoryview(b"-bytes-")[1:-1], None, b"bytes", OCTETS),
        (memoryview(b"b-y-t-e-s")[::2], None, b"bytes", OCTETS),
    ],
)
def test_content_in_memory(data: Any, declared: str | None, content: bytes, content_type: str) -> None:
    encoded, suggested = encode_data(data, declared, None)
    assert (encoded, type(encoded), suggested) == (content, bytes, content_type)


def test_what_is_sent_later_is_not_what_the_caller_changes_meanwhile() -> None:
    buffer = bytearray(b"before")
    encoded, _ = encode_data(buffer, None, None)
    buffer[:] = b"after!"
    assert encoded == b"before"


@pytest.mark.parametrize(
    "data", [{"a": b"x"}, {"a": float("nan")}, [float("inf")], {1, 2}, {"a": {"b": object()}}, object()]
)
def test_what_json_cannot_hold_is_refused(data: Any) -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        encode_data(data, None, None)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


@pytest.mark.parametrize("encode", [lambda text: encode_data(text, None, None), encode_form])
def test_lone_surrogates_are_refused(encode: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="not Unicode text") as caught:
        encode("\ud800")
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


@pytest.mark.parametrize(("encoded", "content"), [("é", "é".encode()), (b"x", b"x"), (bytearray(b"x"), b"x")])
def test_a_json_encoder_of_the_caller_s(encoded: Any, content: bytes) -> None:
    assert encode_json({"a": {1}}, lambda data: encoded) == content
    assert encode_data([1], None, lambda data: encoded)[0] == content


@pytest.mark.parametrize("encoded", [None, 5, {"a": 1}])
def test_a_json_encoder_must_return_text(encoded: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="jsonEncoder: expected") as caught:
        encode_json({}, lambda data: encoded)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ({"a": "1", "b": "x y&=é"}, b"a=1&b=x+y%26%3D%C3%A9"),
        ({"a": 1, "b": True, "c": None}, b"a=1&b=true"),
        ({"a": [1, 2]}, b"a=1&a=2"),
        ([("a", 1), ("a", "2")], b"a=1&a=2"),
        ({"a": {"b": 1}}, b"a%5Bb%5D=1"),
        ("a=1&b=%20", b"a=1&b=%20"),
        ({}, b""),
    ],
)
def test_forms(form: Any, content: bytes) -> None:
    assert encode_form(form) == content


@pytest.mark.parametrize(
    ("name", "guessed"),
    [
        ("a.txt", "text/plain"),
        ("a.PNG", "image/png"),
        (Path("dir.json/a.json"), "application/json"),
        ("a.tar.gz", OCTETS),
        ("a.unknown-thing", OCTETS),
        ("a", OCTETS),
        (None, OCTETS),
        (5, OCTETS),
    ],
)
def test_types_of_names(name: object, guessed: str) -> None:
    assert guess_type(name) == guessed


# Iterators


def generate() -> Iterator[bytes]:
    yield b"a"
    yield b""
    yield bytearray(b"b")  # type: ignore[misc]
    yield memoryview(b"c")  # type: ignore[misc]


async def generate_async() -> AsyncIterator[bytes]:
    for piece in generate():
        yield piece


class Replayable:
    def __iter__(self) -> Iterator[bytes]:
        return generate()


class AsyncReplayable:
    def __aiter__(self) -> AsyncIterator[bytes]:
        return generate_async()


@pytest.mark.parametrize(
    ("data", "replayable"),
    [
        (generate, False),
        (generate_async, False),
        (Replayable, True),
        (AsyncReplayable, True),
        (lambda: iter([b"a", b"bc"]), False),
        (lambda: map(bytes, [b"a", b"bc"]), False),
        ({b"abc": 1}.keys, True),
    ],
)
def test_iterators_are_streamed(data: Any, replayable: bool) -> None:
    body, content_type = encode_data(data(), None, None)
    assert (body.length, body.replayable, content_type) == (None, replayable, OCTETS)
    pieces = pieces_of(body)
    assert b"".join(pieces) == b"abc"
    assert all(type(piece) is bytes and piece for piece in pieces)
    if replayable:
        assert b"".join(pieces_of(body)) == b"abc"
    else:
        with pytest.raises(AtomHTTPOptionError, match="used up") as caught:
            body.open()
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_the_caller_s_awaitables_are_awaited_until_the_deadline() -> None:
    driver = FakeDriver()
    assert pieces_of(IteratorBody(generate_async()), driver, due=7.5) == [b"a", b"b", b"c"]
    assert set(driver.dues) == {7.5}


@pytest.mark.parametrize("bad", ["text", 5, None, ["x"]])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_pieces_of_other_types_are_refused(bad: Any, kind: str) -> None:
    async def later() -> AsyncIterator[Any]:
        yield b"good"
        yield bad

    body = IteratorBody(iter([b"good", bad]) if kind == "sync" else later())
    body.bind(FakeDriver(), None)
    reader = body.open()
    assert run(reader.read()) == b"good"
    with pytest.raises(AtomHTTPOptionError, match=f"must give bytes, not {type(bad).__name__}") as caught:
        run(reader.read())
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_errors_of_the_caller_s_iterator_pass_through(kind: str) -> None:
    def fail() -> Iterator[bytes]:
        yield b"a"
        raise ZeroDivisionError

    async def fail_later() -> AsyncIterator[bytes]:
        for piece in fail():
            yield piece

    with pytest.raises(ZeroDivisionError):
        pieces_of(IteratorBody(fail() if kind == "sync" else fail_later()))


# Files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "name.txt"
    path.write_bytes(b"0123456789")
    return path


def test_a_path_is_opened_when_sent_and_closed_by_us(path: Path) -> None:
    body, content_type = encode_data(path, None, None)
    assert (body.length, body.replayable, content_type) == (10, True, "text/plain")
    reader = body.open()
    file = reader._file
    assert run(_pieces(reader)) == [b"0123456789"]
    assert file.closed


def test_a_path_can_be_sent_again(path: Path) -> None:
    body, _ = encode_data(path, None, None)
    assert pieces_of(body) == pieces_of(body) == [b"0123456789"]


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_path_that_cannot_be_sent_is_refused_before_anything_is_sent(tmp_path: Path, name: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match="data: ") as caught:
        encode_data(tmp_path / name, None, None)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_a_path_that_has_gone_when_it_is_sent(path: Path) -> None:
    body, _ = encode_data(path, None, None)
    path.unlink()
    with pytest.raises(AtomHTTPOptionError, match=r"name\.txt.*No such file"):
        body.open()


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("start", [0, 4, 10, 15])
def test_a_file_is_sent_from_its_position_and_left_open(path: Path, buffering: int, start: int) -> None:
    with path.open("rb", buffering=buffering) as file:
        file.seek(start)
        body, content_type = encode_data(file, None, None)
        assert (body.length, body.replayable, content_type) == (max(0, 10 - start), True, "text/plain")
        for _ in range(2):
            assert b"".join(pieces_of(body)) == b"0123456789"[start:]
            assert not file.closed


def test_the_position_counts_that_the_file_had_when_it_was_given(path: Path) -> None:
    with path.open("rb") as file:
        file.read(4)
        body, _ = encode_data(file, None, None)
        assert file.tell() == 4
        file.seek(9)
        assert pieces_of(body) == [b"456789"]


def test_files_in_memory(path: Path) -> None:
    file = io.BytesIO(b"0123456789")
    file.seek(3)
    body, content_type = encode_data(file, None, None)
    driver = FakeDriver()
    assert (body.length, body.replayable, content_type) == (7, True, OCTETS)
    assert pieces_of(body, driver) == pieces_of(body) == [b"3456789"]


def test_a_large_file_comes_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "large"
    content = bytes(range(256)) * (BLOCK // 256) * 2 + b"rest"
    path.write_bytes(content)
    body, _ = encode_data(path, None, None)
    pieces = pieces_of(body)
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= BLOCK


def test_a_file_that_grows_is_sent_as_long_as_it_was(path: Path) -> None:
    body, _ = encode_data(path, None, None)
    with path.open("ab") as file:
        file.write(b"more")
    assert b"".join(pieces_of(body)) == b"0123456789"


class Pipe(io.RawIOBase):
    """A file without a position."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._content.readinto(buffer)


class OnlyRead:
    def __init__(self, content: Any) -> None:
        self._content = content

    def read(self, size: int = -1) -> Any:
        content, self._content = self._content[:size], self._content[size:]
        return content


@pytest.mark.parametrize("file", [Pipe(b"content"), OnlyRead(b"content")])
def test_a_file_without_a_position_is_sent_once(file: Any) -> None:
    body, _ = encode_data(file, None, None)
    assert (body.length, body.replayable) == (None, False)
    driver = FakeDriver()
    assert b"".join(pieces_of(body, driver)) == b"content"
    assert driver.blocking
    with pytest.raises(AtomHTTPOptionError, match="used up"):
        body.open()


def test_files_in_text_mode_are_refused(path: Path) -> None:
    with path.open() as file, pytest.raises(AtomHTTPOptionError, match="open it with 'rb'"):
        encode_data(file, None, None)
    with pytest.raises(AtomHTTPOptionError, match="text mode"):
        encode_data(io.StringIO("text"), None, None)
    with pytest.raises(AtomHTTPOptionError, match="not str"):
        pieces_of(encode_data(OnlyRead("text"), None, None)[0])


def test_a_closed_file_is_refused(path: Path) -> None:
    file = path.open("rb")
    file.close()
    with pytest.raises(AtomHTTPOptionError, match="closed"):
        encode_data(file, None, None)


def test_closing_a_reader_closes_what_we_opened_only(path: Path) -> None:
    ours = FileBody.from_path(path).open()
    ours.close()
    assert ours._file.closed  # type: ignore[attr-defined]
    with path.open("rb") as file:
        FileBody.from_file(file).open().close()
        assert not file.closed


# maxBodyLength


@pytest.mark.parametrize(("limit", "sent"), [(3, [b"a", b"b", b"c"]), (100, [b"a", b"b", b"c"])])
def test_a_body_up_to_the_limit_passes(limit: int, sent: list[bytes]) -> None:
    body = LimitedBody(IteratorBody(generate()), limit)
    assert (body.length, body.replayable) == (None, False)
    assert pieces_of(body) == sent


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_a_body_beyond_the_limit_fails_at_the_piece_that_crosses_it(limit: int) -> None:
    body = LimitedBody(IteratorBody(Replayable()), limit)
    assert body.replayable
    body.bind(FakeDriver(), None)
    reader = body.open()
    assert [run(reader.read()) for _ in range(limit)] == [b"a", b"b", b"c"][:limit]
    with pytest.raises(AtomHTTPLimitError, match=f"maxBodyLength, {limit} bytes") as caught:
        run(reader.read())
    assert (caught.value.code, caught.value.limit, caught.value.size) == ("ERR_MAX_BODY_LENGTH", limit, limit + 1)


def test_a_limited_body_is_counted_anew_when_it_is_sent_again() -> None:
    body = LimitedBody(IteratorBody(Replayable()), 3)
    assert pieces_of(body) == pieces_of(body) == [b"a", b"b", b"c"]


def test_a_limited_body_passes_on_who_waits_and_until_when() -> None:
    driver = FakeDriver()
    pieces_of(LimitedBody(IteratorBody(generate_async()), 10), driver, due=3.0)
    assert set(driver.dues) == {3.0}
