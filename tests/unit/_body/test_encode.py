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
    MultipartBody,
    choose_content_type,
    encode_data,
    encode_form,
    encode_json,
    guess_type,
)
from atomhttp.errors import AtomHTTPLimitError, AtomHTTPOptionError
from atomhttp.form_data import FormData

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


@pytest.mark.parametrize(
    ("option", "encode"),
    [
        ("data", lambda text: encode_data(text, None, None)),
        ("form", encode_form),
        ("jsonEncoder", lambda text: encode_json({}, lambda data: text, "json")),
    ],
)
def test_lone_surrogates_are_refused(option: str, encode: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=f"^{option}: not Unicode text") as caught:
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
        ({"a": "~*:$,", "~": "x"}, b"a=%7E*%3A%24%2C&%7E=x"),
        ({"a": 1, "b": "~*:$,"}, b"a=1&b=%7E*%3A%24%2C"),
        ({" a ": "x"}, b"a=x"),
        ({"a": {"b": [1, {"c": 2}]}}, b"a%5Bb%5D%5B0%5D=1&a%5Bb%5D%5B1%5D%5Bc%5D=2"),
        ({"a{}": {"b": 1}}, b"a%7B%7D=%7B%22b%22%3A1%7D"),
        (FormData([("a", "x y"), ("a[]", 5), ("raw", b"\xff")]), b"a=x+y&a%5B%5D=5&raw=%FF"),
    ],
)
def test_forms(form: Any, content: bytes) -> None:
    assert encode_form(form) == content


@pytest.mark.parametrize(
    ("serializer", "content"),
    [
        ({"indexes": False}, b"a%5B%5D=1&a%5B%5D=2&b%5Bc%5D=3"),
        ({"indexes": True}, b"a%5B0%5D=1&a%5B1%5D=2&b%5Bc%5D=3"),
        ({"dots": True}, b"a=1&a=2&b.c=3"),
        ({"visitor": lambda value, key, path, walker: walker.append(key, len(str(value)))}, b"a=6&b=8"),
    ],
)
def test_forms_by_a_serializer(serializer: Any, content: bytes) -> None:
    form = {"a": [1, 2], "b": {"c": 3}}
    assert encode_form(form, serializer) == content
    assert encode_data(form, URLENCODED, None, serializer) == (content, URLENCODED)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"a": "\ud800"}, r"form\.a has a lone surrogate"),
        ({"a": [1, b"x"]}, r"form\.a\[1\] is of type bytes"),
        ([("a", 1), "b"], r"form\[1\] must be a \(key, value\) pair"),
        (5, "form must be a mapping"),
        (FormData({"doc": iter([b"x"])}), r"form\.doc is a file"),
    ],
)
def test_what_no_form_can_hold_is_refused(form: Any, message: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=message) as caught:
        encode_form(form)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_a_visitor_that_appends_what_has_no_text_form() -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"form\.b is of type set"):
        encode_form({"a": 1}, {"visitor": lambda value, key, path, walker: walker.append("b", {1})})


# Forms


@pytest.mark.parametrize(
    ("declared", "content", "sent"),
    [
        (JSON, b'{"a":{"b":["1","true"]}}', JSON),
        ("Application/JSON; charset=utf-8", b'{"a":{"b":["1","true"]}}', "Application/JSON; charset=utf-8"),
        ("application/vnd.api+json", b'{"a":{"b":["1","true"]}}', "application/vnd.api+json"),
        (URLENCODED, b"a%5Bb%5D=1&a%5Bb%5D=true", URLENCODED),
        (f"{URLENCODED};charset=utf-8", b"a%5Bb%5D=1&a%5Bb%5D=true", f"{URLENCODED};charset=utf-8"),
    ],
)
def test_a_form_is_what_its_content_type_says(declared: str, content: bytes, sent: str) -> None:
    encoded, suggested = encode_data(FormData([("a[b]", 1), ("a[b]", True)]), declared, None)
    assert (encoded, choose_content_type(declared, suggested)) == (content, sent)


@pytest.mark.parametrize("declared", [None, "multipart/form-data", "text/plain", OCTETS])
@pytest.mark.parametrize("make", [lambda: FormData({"a": "x"}), lambda: {"a": "x"}, lambda: [("a", "x")]])
def test_a_form_is_multipart_otherwise(declared: str | None, make: Any) -> None:
    data = make()
    encoded, suggested = encode_data(data, declared, None)
    if not isinstance(data, FormData) and declared != "multipart/form-data":
        assert suggested == JSON
        return
    sent = choose_content_type(declared, suggested)
    start, _, boundary = sent.partition("; boundary=")
    assert start == "multipart/form-data"
    assert encoded == (
        f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--{boundary}--\r\n'.encode()
    )


def test_a_declared_boundary_is_used_and_its_content_type_sent() -> None:
    declared = 'multipart/form-data; charset=utf-8; boundary="b 1"'
    for data in (FormData({"a": "x"}), {"a": "x"}):
        encoded, suggested = encode_data(data, declared, None)
        assert encoded.startswith(b"--b 1\r\n")
        assert choose_content_type(declared, suggested) == declared


def test_structures_become_forms_by_axios_s_walk(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"content")
    declared = "multipart/form-data; boundary=x"

    def names_of(content: bytes) -> list[bytes]:
        return [line.split(b'"')[1] for line in content.split(b"\r\n") if line.startswith(b"Content-Disposition")]

    data = {"a": {"b": [1, 2]}, "tags": ["x", "y"], "none": None}
    assert names_of(encode_data(data, declared, None)[0]) == [b"a[b][0]", b"a[b][1]", b"tags[]", b"tags[]"]
    assert names_of(encode_data(data, declared, None, {"dots": True, "indexes": None})[0]) == [
        *(b"a.b.0", b"a.b.1", b"tags", b"tags")
    ]
    assert names_of(encode_data([{"a": 1}, "x"], declared, None)[0]) == [b"0[a]", b"1"]
    assert names_of(encode_data(Line(Point(1), "é"), declared, None)[0]) == [b"start[x]", b"label"]
    assert encode_data(Line(Point(1), "é"), URLENCODED, None)[0] == b"start%5Bx%5D=1&label=%C3%A9"
    body, _ = encode_data({"file": path}, declared, None)
    assert isinstance(body, MultipartBody)
    assert b"content\r\n--x--\r\n" in b"".join(pieces_of(body))


@dataclass
class Line:
    start: Point
    label: str


@pytest.mark.parametrize("declared", [URLENCODED, "multipart/form-data"])
def test_what_is_no_structure_is_sent_as_ever_whatever_form_is_declared(declared: str) -> None:
    for data, content, suggested in [(5, b"5", JSON), ("a=1", b"a=1", TEXT), (b"--x", b"--x", OCTETS)]:
        assert encode_data(data, declared, None) == (content, suggested)
        assert choose_content_type(declared, suggested) == declared


@pytest.mark.parametrize(("declared", "message"), [(JSON, r"data\.doc.*no JSON form"), (URLENCODED, r"form\.doc is a")])
def test_files_in_a_form_that_is_not_multipart_are_refused(tmp_path: Path, declared: str, message: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=message) as caught:
        encode_data(FormData({"doc": tmp_path / "a"}), declared, None)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_a_form_as_json() -> None:
    form = FormData({"a[]": "1"})
    assert encode_json(form) == b'{"a":["1"]}'
    assert encode_json(form, repr) == b"{'a': ['1']}"
    assert encode_data(form, JSON, repr) == (b"{'a': ['1']}", JSON)


def test_an_unknown_serializer_option_is_refused() -> None:
    for data in ({"a": [1]}, {"a": "x"}):
        with pytest.raises(AtomHTTPOptionError, match="did you mean dots") as caught:
            encode_form(data, {"dot": True})
        assert caught.value.code == "ERR_BAD_OPTION"


@pytest.mark.parametrize(
    ("name", "guessed"),
    [
        ("a.txt", "text/plain"),
        ("a.PNG", "image/png"),
        (Path("dir.json/a.json"), "application/json"),
        ("a.tar.gz", OCTETS),
        ("a.unknown-thing", OCTETS),
        ("a", OCTETS),
        ("data:text/html,x", OCTETS),
        ("data:a/b\r\nX-Injected: y,z", OCTETS),
        ("/dir/a.png", "image/png"),
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


class Asynchronous:
    """Can be read and iterated over, both asynchronously: as streams of aiohttp and anyio are."""

    async def read(self, size: int = -1) -> bytes:
        raise AssertionError("not asked for")

    def __aiter__(self) -> AsyncIterator[bytes]:
        return generate_async()


def test_what_reads_asynchronously_is_iterated_over() -> None:
    body, content_type = encode_data(Asynchronous(), None, None)
    assert (body.length, content_type) == (None, OCTETS)
    assert b"".join(pieces_of(body)) == b"abc"


def test_what_is_read_is_the_reader_s_and_what_is_lent_lies_in_one_buffer(path: Path) -> None:
    content = bytes(range(256)) * (BLOCK // 256) + b"rest"
    path.write_bytes(content)
    body = FileBody.from_path(path)
    body.bind(FakeDriver(), None)
    reader = body.open()
    first, rest = run(reader.read()), run(reader.read())
    assert type(first) is bytes
    assert first + rest == content
    reader.close()
    reader = body.open()
    lent = run(reader.lend())
    assert lent == content[:BLOCK]
    assert run(reader.lend()) == b"rest"
    if isinstance(lent, memoryview):
        # Where the page cache can be asked (Linux): overwritten, not copied.
        assert lent[:4] == b"rest"
    assert not run(reader.lend())
    reader.close()


def test_a_buffered_file_of_the_caller_s_is_read_block_by_block_at_its_own_position(tmp_path: Path) -> None:
    path = tmp_path / "large"
    content = bytes(range(256)) * (BLOCK // 256) + b"rest"
    path.write_bytes(content)
    with path.open("r+b") as file:
        file.seek(3)
        body, _ = encode_data(file, None, None)
        first, second = body.open(), body.open()
        for reader in (first, second):
            reader._driver = FakeDriver()
        mixed = [run(reader.read()) for _ in range(3) for reader in (first, second)]
    assert b"".join(mixed[0::2]) == b"".join(mixed[1::2]) == content[3:]


def test_a_file_in_memory_is_read_without_a_thread() -> None:
    driver = FakeDriver()
    body, _ = encode_data(io.BytesIO(b"x" * (BLOCK + 1)), None, None)
    assert [len(piece) for piece in pieces_of(body, driver)] == [BLOCK, 1]
    assert driver.blocking == 0


@pytest.mark.parametrize("mode", ["rb", "r+b"])
def test_a_file_that_was_closed_before_or_while_it_is_sent(path: Path, mode: str) -> None:
    file = path.open(mode)
    body, _ = encode_data(file, None, None)
    body.bind(FakeDriver(), None)
    reader = body.open()
    file.close()
    with pytest.raises(AtomHTTPOptionError, match="data: the file was closed while it was being sent"):
        run(reader.read())
    with pytest.raises(AtomHTTPOptionError, match="data: the file has been closed"):
        body.open()


def test_an_error_closes_what_we_opened_for_who_iterates(path: Path) -> None:
    body = FileBody.from_path(path, exact=True)
    path.write_bytes(b"short")
    body.bind(FakeDriver(), None)
    reader = body.open()
    with pytest.raises(AtomHTTPOptionError, match="5 bytes less"):
        run(_pieces(reader))
    assert reader._file.closed  # type: ignore[attr-defined]


def test_a_file_that_cannot_seek_to_its_end_is_read_as_far_as_it_goes() -> None:
    class Endless(io.BytesIO):
        def seek(self, position: int, whence: int = 0) -> int:
            if whence:
                raise io.UnsupportedOperation
            return super().seek(position)

    body, _ = encode_data(Endless(b"content"), None, None)
    assert (body.length, body.replayable) == (None, True)
    assert pieces_of(body) == pieces_of(body) == [b"content"]


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
