from __future__ import annotations

import email.policy
import io
import os
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import date
from email.parser import BytesParser
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._body.multipart import SMALL, MultipartBody, encode_multipart
from atomhttp._body.streamed import BLOCK
from atomhttp.errors import AtomHTTPOptionError
from atomhttp.form_data import FormData

T = TypeVar("T")
OCTETS = "application/octet-stream"


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


def content_of(body: Any, driver: FakeDriver | None = None, due: float | None = None) -> bytes:
    if isinstance(body, bytes):
        return body
    body.bind(driver or FakeDriver(), due)
    pieces = run(_pieces(body))
    assert all(type(piece) is bytes and piece for piece in pieces)
    return b"".join(pieces)


# A parser that takes nothing but what a browser writes


@dataclass
class Part:
    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None


_HEAD = re.compile(
    rb'Content-Disposition: form-data; name="([^"\r\n]*)"(?:; filename="([^"\r\n]*)")?\r\n'
    rb"(?:Content-Type: ([^\r\n]+)\r\n)?\r\n"
)


def parse(content: bytes, content_type: str) -> list[Part]:
    found = re.fullmatch(r"multipart/form-data; boundary=([-A-Za-z0-9]+)", content_type)
    assert found is not None, content_type
    delimiter = f"--{found[1]}".encode()
    parts = []
    place = 0
    while True:
        assert content.startswith(delimiter, place)
        place += len(delimiter)
        if content[place:] == b"--\r\n":
            return parts
        assert content.startswith(b"\r\n", place)
        head = _HEAD.match(content, place + 2)
        assert head is not None, content[place : place + 200]
        end = content.index(b"\r\n" + delimiter, head.end() - 2)
        name, filename, kind = (None if each is None else each.decode() for each in head.groups())
        assert name is not None
        parts.append(Part(name, content[head.end() : end], filename, kind))
        place = end + 2


def send(form: FormData) -> list[Part]:
    body, content_type = encode_multipart(form)
    content = content_of(body)
    length = len(body) if isinstance(body, bytes) else body.length
    assert length in (None, len(content))
    return parse(content, content_type)


def refusal(function: Any, *arguments: Any) -> AtomHTTPOptionError:
    with pytest.raises(AtomHTTPOptionError) as caught:
        function(*arguments)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    return caught.value


def form_of(value: Any, *arguments: Any, name: str = "a") -> FormData:
    form = FormData()
    form.append(name, value, *arguments)
    return form


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "name.txt"
    path.write_bytes(b"0123456789")
    return path


# What is written


def test_a_form_byte_by_byte(path: Path) -> None:
    form = FormData({"user": "jö", "n": 5, "ok": True, "raw": b"\x00\r\n\xff"})
    form.append("avatar", b"\x89PNG", "me.png")
    form.append("meta", '{"a":\n1}', content_type="application/json")
    form.append("doc", path)
    body, content_type = encode_multipart(form, "multipart/form-data; boundary=xyz")
    assert content_type == "multipart/form-data; boundary=xyz"
    assert content_of(body) == (
        b'--xyz\r\nContent-Disposition: form-data; name="user"\r\n\r\nj\xc3\xb6\r\n'
        b'--xyz\r\nContent-Disposition: form-data; name="n"\r\n\r\n5\r\n'
        b'--xyz\r\nContent-Disposition: form-data; name="ok"\r\n\r\ntrue\r\n'
        b'--xyz\r\nContent-Disposition: form-data; name="raw"\r\n\r\n\x00\r\n\xff\r\n'
        b'--xyz\r\nContent-Disposition: form-data; name="avatar"; filename="me.png"\r\n'
        b"Content-Type: image/png\r\n\r\n\x89PNG\r\n"
        b'--xyz\r\nContent-Disposition: form-data; name="meta"\r\nContent-Type: application/json\r\n\r\n{"a":\n1}\r\n'
        b'--xyz\r\nContent-Disposition: form-data; name="doc"; filename="name.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\n0123456789\r\n"
        b"--xyz--\r\n"
    )


def test_an_empty_form_is_its_last_delimiter() -> None:
    body, content_type = encode_multipart(FormData())
    assert body == f"--{content_type.partition('=')[2]}--\r\n".encode()


# The cases of the web platform tests, multipart-formdata.window.js, in UTF-8.
@pytest.mark.parametrize(
    ("name", "value", "written", "content"),
    [
        ("basic", "test", "basic", b"test"),
        ("a\0b", "c", "a\0b", b"c"),
        ("a", "b\0c", "a", b"b\0c"),
        ("a\nb", "c", "a%0D%0Ab", b"c"),
        ("a\rb", "c", "a%0D%0Ab", b"c"),
        ("a\r\nb", "c", "a%0D%0Ab", b"c"),
        ("a\n\rb", "c", "a%0D%0A%0D%0Ab", b"c"),
        ("a", "b\nc", "a", b"b\r\nc"),
        ("a", "b\rc", "a", b"b\r\nc"),
        ("a", "b\r\nc", "a", b"b\r\nc"),
        ("a", "b\n\rc", "a", b"b\r\n\r\nc"),
        ('a"b', "c", "a%22b", b"c"),
        ("a", 'b"c', "a", b'b"c'),
        ("a'b", "c", "a'b", b"c"),
        ("a", "b'c", "a", b"b'c"),
        ("a\\b", "c", "a\\b", b"c"),
        ("a", "b\\c", "a", b"b\\c"),
        ("áb", "ç", "áb", "ç".encode()),
        ("a%0Db", "b%0Dc", "a%0Db", b"b%0Dc"),
        ("", "", "", b""),
    ],
)
def test_names_and_texts_are_written_as_browsers_write_them(
    name: str, value: str, written: str, content: bytes
) -> None:
    assert send(form_of(value, name=name)) == [Part(written, content)]


@pytest.mark.parametrize(
    ("filename", "written"),
    [
        ("file-test.txt", "file-test.txt"),
        ("b\0c", "b\0c"),
        ("b\nc", "b%0Ac"),
        ("b\rc", "b%0Dc"),
        ("b\r\nc", "b%0D%0Ac"),
        ("b\n\rc", "b%0A%0Dc"),
        ('b"c', "b%22c"),
        ("b'c", "b'c"),
        ("b\\c", "b\\c"),
        ("ə.txt", "ə.txt"),
        ("💩", "💩"),
        ("", ""),
    ],
)
def test_file_names_are_written_as_browsers_write_them(filename: str, written: str) -> None:
    assert send(form_of(b"", filename, "text/plain")) == [Part("a", b"", written, "text/plain")]


@pytest.mark.parametrize(
    ("filename", "given", "content_type"),
    [
        ("a.txt", None, "text/plain"),
        ("a.JPG", None, "image/jpeg"),
        ("a.tar.gz", None, OCTETS),
        ("a", None, OCTETS),
        ("", None, OCTETS),
        ("a.txt", "text/x; charset=utf-8", "text/x; charset=utf-8"),
        # Not taken for URLs, which would name their type themselves.
        ("data:text/html,x", None, OCTETS),
        ("data:a/b\r\nX-Injected: y,z", None, OCTETS),
        ("http://host/a.png", None, "image/png"),
    ],
)
def test_content_types_of_files(filename: str, given: str | None, content_type: str) -> None:
    (part,) = send(form_of(b"x", filename, given))
    assert part.content_type == content_type


def test_only_plain_fields_have_their_line_breaks_changed() -> None:
    form = form_of("a\nb")
    form.append("a", "a\nb", "a.txt")
    form.append("a", "a\nb", content_type="text/plain")
    form.append("a", b"a\nb")
    form.append("a", b"a\nb", "a.txt")
    assert [part.content for part in send(form)] == [b"a\r\nb", b"a\nb", b"a\nb", b"a\nb", b"a\nb"]


def test_other_single_values() -> None:
    parts = send(FormData({"f": 1.5, "big": 2**70, "no": False, "on": date(2024, 1, 2)}))
    assert [part.content for part in parts] == [b"1.5", b"1180591620717411303424", b"false", b"2024-01-02"]


TEXTS = st.text(max_size=30)


@given(
    st.lists(
        st.tuples(TEXTS, st.one_of(TEXTS, st.binary(max_size=40)), st.none() | TEXTS),
        max_size=5,
    )
)
def test_any_names_and_values_come_out_again(fields: list[tuple[str, Any, str | None]]) -> None:
    form = FormData()
    for name, value, filename in fields:
        form.append(name, value, filename)
    for part, (name, value, filename) in zip(send(form), fields, strict=True):
        assert part.name == _escaped(re.sub("\r\n|\r|\n", "\r\n", name))
        assert part.filename == (None if filename is None else _escaped(filename))
        if isinstance(value, str):
            text = value if filename is not None else re.sub("\r\n|\r|\n", "\r\n", value)
            assert part.content == text.encode()
        else:
            assert part.content == value


def _escaped(text: str) -> str:
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


@given(st.lists(st.binary(max_size=200), max_size=4), st.data())
def test_contents_that_look_like_delimiters(contents: list[bytes], data: st.DataObject) -> None:
    form = FormData({f"f{index}": io.BytesIO(content) for index, content in enumerate(contents)})
    form.append("tail", data.draw(st.sampled_from([b"\r\n--", b"--", b"\r\n--atomhttp-", b"\r", b"--\r\n"])))
    assert [part.content for part in send(form)][:-1] == contents


def test_the_standard_library_reads_it(path: Path) -> None:
    form = FormData([("user", "jö"), ("tag", "x"), ("tag", "y"), ("doc", path)])
    form.append("raw", bytes(range(33, 127)), "r.bin")
    body, content_type = encode_multipart(form)
    message = BytesParser(policy=email.policy.HTTP).parsebytes(
        f"Content-Type: {content_type}\r\n\r\n".encode() + content_of(body)
    )
    assert not message.defects
    assert message.is_multipart()
    read = [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()  # type: ignore[attr-defined]  # the policy's message has it
    ]
    assert read == [
        ("user", None, "text/plain", "jö".encode()),
        ("tag", None, "text/plain", b"x"),
        ("tag", None, "text/plain", b"y"),
        ("doc", "name.txt", "text/plain", b"0123456789"),
        ("raw", "r.bin", OCTETS, bytes(range(33, 127))),
    ]


# Boundaries


def test_a_boundary_is_random_and_new_for_every_form_sent() -> None:
    form = FormData({"a": "x"})
    boundaries = {encode_multipart(form)[1].partition("; boundary=")[2] for _ in range(50)}
    assert len(boundaries) == 50
    assert all(re.fullmatch(r"atomhttp-[0-9a-f]{32}", boundary) for boundary in boundaries)  # 128 bits


@pytest.mark.parametrize(
    ("declared", "boundary"),
    [
        ("multipart/form-data; boundary=abc", "abc"),
        ('multipart/form-data; boundary="a b:c"', "a b:c"),
        (r'multipart/form-data; boundary="a\b"', "ab"),
        ("Multipart/Form-Data;charset=utf-8;BOUNDARY=a=b ", "a=b"),
        ("multipart/mixed; boundary=" + "x" * 70, "x" * 70),
        ('multipart/related; type="a; boundary=no"; boundary=yes', "yes"),
    ],
)
def test_a_boundary_of_the_caller_s(declared: str, boundary: str) -> None:
    body, content_type = encode_multipart(FormData({"a": "x"}), declared)
    assert content_type == declared
    assert isinstance(body, bytes)
    assert body.startswith(f"--{boundary}\r\n".encode())
    assert body.endswith(f"\r\n--{boundary}--\r\n".encode())


@pytest.mark.parametrize(
    ("declared", "beginning"),
    [
        ("multipart/form-data", "multipart/form-data; boundary=atomhttp-"),
        ("multipart/form-data;", "multipart/form-data; boundary=atomhttp-"),
        ("Multipart/Mixed; charset=utf-8", "Multipart/Mixed; charset=utf-8; boundary=atomhttp-"),
        ("text/plain", "multipart/form-data; boundary=atomhttp-"),
        (None, "multipart/form-data; boundary=atomhttp-"),
    ],
)
def test_a_content_type_without_boundary_gets_one(declared: str | None, beginning: str) -> None:
    body, content_type = encode_multipart(FormData({"a": "x"}), declared)
    assert content_type.startswith(beginning)
    assert isinstance(body, bytes)
    assert body.startswith(f"--{content_type.rpartition('=')[2]}\r\n".encode())


@pytest.mark.parametrize("boundary", ["", '""', "x" * 71, "ä", '"x "', "a;b"[1:], "a\tb", "a{b"])
def test_boundaries_that_are_none(boundary: str) -> None:
    error = refusal(encode_multipart, FormData(), f"multipart/form-data; boundary={boundary}")
    assert error.message.startswith("headers: Content-Type: ")
    assert "boundary" in error.message


@pytest.mark.parametrize("content", [b"x\r\n--abc", b"--abc", b"x\r\n--abcdef"])
def test_a_boundary_of_the_caller_s_that_occurs_in_a_value(content: bytes) -> None:
    declared = "multipart/form-data; boundary=abc"
    error = refusal(encode_multipart, FormData({"field": content}), declared)
    assert "form.field" in error.message
    encode_multipart(FormData({"field": b"x--abc\n--abc\r--abc"}), declared)


# Sizes, memory


def test_a_small_form_in_memory_is_bytes() -> None:
    form = FormData({"a": "x", "b": b"y" * 100_000, "c": io.BytesIO(b"z" * 100_000)})
    assert isinstance(encode_multipart(form)[0], bytes)
    assert [len(part.content) for part in send(form)] == [1, 100_000, 100_000]


@pytest.mark.parametrize("surplus", [0, 1])
def test_the_limit_of_what_is_small(surplus: int) -> None:
    declared = "multipart/form-data; boundary=abc"
    empty = len(content_of(encode_multipart(FormData({"a": b""}), declared)[0]))
    body, _ = encode_multipart(FormData({"a": b"x" * (SMALL - empty + surplus)}), declared)
    assert isinstance(body, MultipartBody if surplus else bytes)
    assert len(content_of(body)) == SMALL + surplus
    if not isinstance(body, bytes):
        assert (body.length, body.replayable) == (SMALL + 1, True)


def test_a_large_value_is_not_copied() -> None:
    large = b"x" * 1_000_000
    body, _ = encode_multipart(FormData({"a": large, "b": "y"}))
    assert isinstance(body, MultipartBody)
    body.bind(FakeDriver(), None)
    assert any(piece is large for piece in run(_pieces(body)))


def test_a_large_file_comes_in_blocks_with_an_exact_length(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    content = bytes(range(256)) * (BLOCK // 256) * 2 + b"rest"
    path.write_bytes(content)
    body, content_type = encode_multipart(FormData({"a": path, "b": "y"}))
    assert isinstance(body, MultipartBody)
    body.bind(FakeDriver(), None)
    pieces = run(_pieces(body))
    assert max(map(len, pieces)) <= BLOCK
    assert sum(map(len, pieces)) == body.length
    assert [part.content for part in parse(b"".join(pieces), content_type)] == [content, b"y"]


def test_a_sparse_file_of_two_gigabytes_never_enters_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(2 << 30)
    body, content_type = encode_multipart(FormData({"a": path}))
    assert isinstance(body, MultipartBody)
    assert body.length is not None
    assert body.length > 2 << 30
    body.bind(FakeDriver(), None)
    reader = body.open()
    assert [len(run(reader.read())) <= BLOCK for _ in range(5)] == [True] * 5
    reader.close()
    assert content_type.startswith("multipart/")


# Files


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("start", [0, 4, 10, 15])
def test_a_file_is_sent_from_where_it_stood_when_it_was_appended(path: Path, buffering: int, start: int) -> None:
    with path.open("rb", buffering=buffering) as file:
        file.seek(start)
        form = FormData({"a": file})
        file.seek(7)
        for _ in range(2):
            assert [part.content for part in send(form)] == [b"0123456789"[start:]]
            assert not file.closed
            file.read()


def test_a_form_of_files_is_sent_twice_identically(path: Path) -> None:
    with path.open("rb") as file, tempfile.NamedTemporaryFile() as temporary:
        temporary.write(b"temporary")
        temporary.seek(2)
        memory = io.BytesIO(b"m" * (SMALL + 1))
        memory.seek(1)
        body, content_type = encode_multipart(FormData({"f": file, "t": temporary, "m": memory, "p": path, "x": "y"}))
        assert isinstance(body, MultipartBody)
        assert body.replayable
        first = content_of(body)
        assert content_of(body) == first
        assert len(first) == body.length
        assert [part.content for part in parse(first, content_type)] == [
            *(b"0123456789", b"mporary", b"m" * SMALL, b"0123456789", b"y")
        ]


def test_one_file_twice_in_a_form_and_in_two_forms_at_a_time(path: Path) -> None:
    for file in (path.open("rb"), path.open("r+b"), io.BytesIO(path.read_bytes())):
        with file:
            form = FormData({"a": file})
            file.seek(5)
            form.append("b", file)
            assert [part.content for part in send(form)] == [b"0123456789", b"56789"]
            bodies = [MultipartBody(form), MultipartBody(form)]
            for body in bodies:
                body.bind(FakeDriver(), None)
            readers = [body.open() for body in bodies]
            contents = [b"", b""]
            for _ in range(8):
                for index, reader in enumerate(readers):
                    contents[index] += run(reader.read())
            for body, content in zip(bodies, contents, strict=True):
                sent = parse(content, f"multipart/form-data; boundary={body.boundary}")
                assert [part.content for part in sent] == [b"0123456789", b"56789"]


def test_a_file_in_memory_takes_no_thread() -> None:
    driver = FakeDriver()
    body = MultipartBody(FormData({"a": io.BytesIO(b"x" * (SMALL + 1))}))
    content_of(body, driver)
    assert driver.blocking == 0


def test_a_path_is_opened_when_its_turn_comes_and_closed_by_us(path: Path, tmp_path: Path) -> None:
    descriptors = set(os.listdir("/proc/self/fd"))
    later = tmp_path / "later.txt"
    form = FormData({"a": path, "b": later})
    later.write_bytes(b"later")
    body = MultipartBody(form)
    body.bind(FakeDriver(), None)
    reader = body.open()
    assert set(os.listdir("/proc/self/fd")) == descriptors
    run(reader.read())
    assert run(reader.read()) == b"0123456789"
    assert set(os.listdir("/proc/self/fd")) != descriptors
    rest = run(_pieces(reader))
    assert b"later" in b"".join(rest)
    assert set(os.listdir("/proc/self/fd")) == descriptors


def test_what_we_opened_is_closed_when_the_upload_is_broken_off(path: Path) -> None:
    descriptors = set(os.listdir("/proc/self/fd"))
    with path.open("rb") as file:
        for value in (path, file):
            body = MultipartBody(FormData({"a": value}))
            body.bind(FakeDriver(), None)
            reader = body.open()
            run(reader.read())
            run(reader.read())
            reader.close()
            reader.close()
            assert not file.closed
    assert set(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.parametrize("kind", ["missing", "directory"])
def test_a_path_that_cannot_be_sent(tmp_path: Path, kind: str) -> None:
    form = FormData({"avatar": tmp_path if kind == "directory" else tmp_path / "none"})
    error = refusal(encode_multipart, form)
    assert re.search(r"form\.avatar: '.*'.*(No such file|is a directory)", error.message)


def test_a_path_without_permission() -> None:
    as_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        os.chmod(directory, 0o755)
        path = Path(directory) / "secret"
        path.write_bytes(b"x")
        path.chmod(0)
        if as_root:
            os.seteuid(65534)
        try:
            error = refusal(encode_multipart, FormData({"a": path}))
        finally:
            if as_root:
                os.seteuid(0)
        assert "no permission" in error.message


def test_a_file_that_was_closed_meanwhile(path: Path) -> None:
    file = path.open("rb")
    form = FormData({"avatar": file})
    body = MultipartBody(form)
    body.bind(FakeDriver(), None)
    reader = body.open()
    run(reader.read())
    file.close()
    assert "form.avatar is a closed file" in refusal(encode_multipart, form).message
    assert "form.avatar: the file has been closed" in refusal(run, reader.read()).message


@pytest.mark.parametrize("open_file", [lambda path: path.open("rb"), lambda path: path.open("r+b"), "memory"])
def test_a_file_that_is_closed_while_it_is_read(tmp_path: Path, open_file: Any) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * (BLOCK + 1))
    file = io.BytesIO(path.read_bytes()) if open_file == "memory" else open_file(path)
    body = MultipartBody(FormData({"avatar": file}))
    body.bind(FakeDriver(), None)
    reader = body.open()
    run(reader.read())
    assert len(run(reader.read())) == BLOCK
    file.close()
    assert "form.avatar: the file was closed while it was being sent" in refusal(run, reader.read()).message


@pytest.mark.parametrize("kind", ["path", "file", "buffered", "memory"])
@pytest.mark.parametrize(("size", "problem"), [(9, "1 bytes less"), (0, "10 bytes less"), (11, "become longer")])
def test_a_file_that_does_not_keep_to_its_length_is_an_error(path: Path, kind: str, size: int, problem: str) -> None:
    contents = io.BytesIO(b"0123456789" * SMALL)
    contents.seek(10 * SMALL - 10)
    opened = {"path": lambda: path, "file": lambda: path.open("rb"), "buffered": lambda: path.open("r+b")}
    value = opened.get(kind, lambda: contents)()
    try:
        # Large enough to be no plain bytes.
        body, _ = encode_multipart(FormData({"x": b"x" * SMALL, "avatar": value, "z": "z"}))
        assert isinstance(body, MultipartBody)
        if kind == "memory":
            # Small enough that it was copied when the form was encoded: nothing can happen to it.
            contents.truncate(10 * SMALL - 10 + size)
            assert b"0123456789\r\n" in content_of(body)
        else:
            os.truncate(path, size)
            error = refusal(content_of, body)
            assert f"form.avatar: the file has {problem}" in error.message
    finally:
        if kind in ("file", "buffered"):
            value.close()


def test_a_file_moved_by_somebody_else_is_an_error_and_no_other_content(tmp_path: Path) -> None:
    class Restless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            block = super().read(size)
            self.seek(0)
            return block

    body = MultipartBody(FormData({"avatar": Restless(b"0123456789")}))
    assert "form.avatar: the file was moved" in refusal(content_of, body).message


def test_a_file_that_gives_text_is_an_error() -> None:
    class Text:
        def read(self, size: int = -1) -> str:
            return "text"

    body, _ = encode_multipart(FormData({"avatar": Text()}))
    assert "form.avatar: " in refusal(content_of, body).message


# Iterators


def generate() -> Iterator[bytes]:
    yield b"a"
    yield b""
    yield bytearray(b"b")  # type: ignore[misc]  # bytes-like is as good
    yield memoryview(b"c")  # type: ignore[misc]  # bytes-like is as good


async def generate_async() -> AsyncIterator[bytes]:
    for piece in generate():
        yield piece


class Replayable:
    def __iter__(self) -> Iterator[bytes]:
        return generate()


class AsyncReplayable:
    def __aiter__(self) -> AsyncIterator[bytes]:
        return generate_async()


class Pipe(io.RawIOBase):
    """A file without a position."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._content.readinto(buffer)


@pytest.mark.parametrize("make", [generate, generate_async, lambda: Pipe(b"abc")])
def test_what_can_be_read_once_is_sent_once(make: Any) -> None:
    form = FormData([("x", "y"), ("stream", make()), ("z", "z")])
    body, content_type = encode_multipart(form)
    assert isinstance(body, MultipartBody)
    assert (body.length, body.replayable, body.opened) == (None, False, False)
    sent = parse(content_of(body), content_type)
    assert [(part.content, part.filename) for part in sent] == [(b"y", None), (b"abc", "blob"), (b"z", None)]
    assert body.opened
    assert "used up" in refusal(body.open).message
    # Nor by another body of the same form, or of a copy.
    for again in (form, form.copy(), FormData(form)):
        error = refusal(encode_multipart, again)
        assert "form.stream: it has been used up" in error.message


def test_a_body_made_before_another_used_its_value_up() -> None:
    form = FormData({"stream": iter([b"a"])})
    first, second = MultipartBody(form), MultipartBody(form)
    content_of(first)
    second.bind(FakeDriver(), None)
    assert "form.stream: it has been used up" in refusal(content_of, second).message


def test_a_value_that_was_not_reached_is_not_used_up() -> None:
    form = FormData([("x", "y"), ("stream", generate_async())])
    body = MultipartBody(form)
    body.bind(FakeDriver(), None)
    reader = body.open()
    run(reader.read())
    reader.close()
    assert [part.content for part in send(form)] == [b"y", b"abc"]


def test_a_value_that_can_be_read_once_is_in_a_form_once() -> None:
    stream = iter([b"a"])
    error = refusal(encode_multipart, FormData([("a", stream), ("b", stream)]))
    assert "form.b: it is in the form twice" in error.message


@pytest.mark.parametrize("make", [Replayable, AsyncReplayable])
def test_what_can_be_read_again_is_sent_again(make: Any) -> None:
    form = FormData({"stream": make()})
    body = MultipartBody(form)
    assert (body.length, body.replayable) == (None, True)
    assert content_of(body) == content_of(body)
    assert [part.content for part in send(form)] == [b"abc"]


def test_the_caller_s_awaitables_are_awaited_until_the_deadline() -> None:
    driver = FakeDriver()
    content_of(MultipartBody(FormData({"a": generate_async()})), driver, due=7.5)
    assert set(driver.dues) == {7.5}


@pytest.mark.parametrize("bad", ["text", 5, None])
def test_pieces_of_other_types_are_refused(bad: Any) -> None:
    body = MultipartBody(FormData({"stream": iter([b"good", bad])}))
    assert f"form.stream: an iterator must give bytes, not {type(bad).__name__}" in refusal(content_of, body).message


def test_errors_of_the_caller_s_iterator_pass_through() -> None:
    async def fail() -> AsyncIterator[bytes]:
        yield b"a"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        content_of(MultipartBody(FormData({"a": fail()})))


def test_a_form_changed_after_it_was_encoded_is_sent_as_it_was() -> None:
    form = FormData({"a": Replayable()})
    body = MultipartBody(form)
    form.append("b", "late")
    assert b"late" not in content_of(body)
