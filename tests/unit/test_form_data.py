from __future__ import annotations

import copy
import enum
import io
import math
import os
import pickle
import tempfile
import uuid
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp.errors import AtomHTTPOptionError
from atomhttp.form_data import FormData, FormPart, form_to_json, to_form_data
from support.naming import described


class Colour(enum.Enum):
    RED = "red"


def generate() -> Iterator[bytes]:
    yield b"a"


async def generate_async() -> AsyncIterator[bytes]:
    yield b"a"


class Pieces:
    def __iter__(self) -> Iterator[bytes]:
        return generate()


class Pipe(io.RawIOBase):
    """A file without a position."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "avatar.png"
    path.write_bytes(b"0123456789")
    return path


@pytest.fixture
def form() -> FormData:
    form = FormData()
    form.append("user", "jo")
    form.append("tag", "x")
    form.append("age", 30)
    form.append("tag", "y")
    return form


def part_of(value: Any, *arguments: Any) -> FormPart:
    form = FormData()
    form.append("field", value, *arguments)
    return form.parts[0]


def refusal(function: Any, *arguments: Any, **options: Any) -> AtomHTTPOptionError:
    with pytest.raises(AtomHTTPOptionError) as caught:
        function(*arguments, **options)
    return caught.value


# The collection


def test_reading(form: FormData) -> None:
    assert form.get("user") == "jo"
    assert form.get("tag") == "x"
    assert form.get("age") == 30
    assert form.get("none") is None
    assert form.get("none", "else") == "else"
    assert form.get_all("tag") == ["x", "y"]
    assert form.get_all("none") == []
    assert form.has("user")
    assert not form.has("none")
    assert form["tag"] == "x"
    with pytest.raises(KeyError, match="none"):
        form["none"]


def test_names_and_values_are_lists_in_order(form: FormData) -> None:
    assert form.keys() == ["user", "tag", "age"]
    assert form.values() == ["jo", "x", 30, "y"]
    assert form.items() == [("user", "jo"), ("tag", "x"), ("age", 30), ("tag", "y")]
    assert list(form) == form.items()
    assert len(form) == 4
    assert "tag" in form
    assert "none" not in form
    assert len(FormData()) == 0
    assert FormData().keys() == FormData().values() == FormData().items() == []


def test_what_is_returned_can_be_changed_without_harm(form: FormData) -> None:
    form.keys().clear()
    form.values().clear()
    form.items().clear()
    form.get_all("tag").clear()
    assert len(form) == 4


def test_delete_is_silent_when_there_is_nothing(form: FormData) -> None:
    form.delete("none")
    form.delete("tag")
    assert form.items() == [("user", "jo"), ("age", 30)]


def test_set_takes_the_place_of_the_first(form: FormData) -> None:
    form.set("tag", b"z", "z.txt", "text/x")
    form.set("new", 1)
    assert form.items() == [("user", "jo"), ("tag", b"z"), ("age", 30), ("new", 1)]
    assert (form.parts[1].filename, form.parts[1].content_type) == ("z.txt", "text/x")


def test_a_set_that_is_refused_changes_nothing(form: FormData) -> None:
    refusal(form.set, "tag", None)
    assert form.get_all("tag") == ["x", "y"]


def test_equality(form: FormData) -> None:
    assert form == form.copy()
    assert form != FormData()
    assert FormData({"a": "1"}) != {"a": "1"}
    with pytest.raises(TypeError, match="unhashable"):
        hash(form)


def test_repr_has_names_and_kinds_and_no_values(path: Path) -> None:
    form = FormData()
    with path.open("rb") as file:
        for name, value in {"password": "s3cret", "n": 5, "raw": b"s3cret", "p": path, "f": file}.items():
            form.append(name, value)
        form.append("s\r\n", generate_async(), "s3cret")
    shown = repr(form)
    assert shown == ("<FormData 'password': text, 'n': text, 'raw': bytes, 'p': path, 'f': file, 's\\r\\n': stream>")
    assert repr(FormData()) == "<FormData>"
    assert repr(form.parts[0]) == "<FormPart 'password': text>"


# Values


@pytest.mark.parametrize(
    "value",
    [
        *("text", "", 5, 2.5, True, False, 2**100, Decimal("1.10"), Colour.RED),
        *(date(2024, 1, 2), datetime(2024, 1, 2, tzinfo=UTC), uuid.UUID(int=1)),
    ],
    ids=described,
)
def test_single_values_are_plain_fields(value: Any) -> None:
    part = part_of(value)
    assert (part.kind, part.value, part.filename, part.content_type) == ("text", value, None, None)
    assert type(part.value) is type(value)


@pytest.mark.parametrize("value", [b"ab", bytearray(b"ab"), memoryview(b"-ab-")[1:3]], ids=lambda v: type(v).__name__)
def test_bytes_are_plain_fields_without_a_filename(value: Any) -> None:
    part = part_of(value)
    assert (part.kind, part.value, type(part.value), part.filename) == ("bytes", b"ab", bytes, None)
    assert part_of(value, "a.bin").filename == "a.bin"


def test_a_value_that_changes_afterwards_is_sent_as_it_was() -> None:
    buffer = bytearray(b"before")
    form = FormData({"a": buffer})
    buffer[:] = b"after!"
    assert form["a"] == b"before"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "is None"),
        ({"a": 1}, r"is of type dict, no single value; FormData\.from_dict"),
        (OrderedDict(a=1), r"OrderedDict.*FormData\.from_dict"),
        ([1], r"is of type list.*FormData\.from_dict"),
        ((1, 2), r"is of type tuple.*FormData\.from_dict"),
        ({1}, "is of type set"),
        (deque([b"a"]), "deque"),
        (range(3), "range"),
        (FormData(), "FormData"),
        (object(), "is of type object, which cannot be sent"),
        (1j, "complex"),
        (math.nan, "NaN"),
        (math.inf, "NaN or infinite"),
        ("\ud800", "lone surrogate"),
        (open, "cannot be sent"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_refused(value: Any, reason: str) -> None:
    form = FormData()
    with pytest.raises(AtomHTTPOptionError, match=rf"form\.field .*{reason}") as caught:
        form.append("field", value)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert len(form) == 0


def test_messages_hold_no_values() -> None:
    for value in ("s3cret\ud800", {"s3cret": "s3cret"}, ["s3cret"]):
        assert "s3cret" not in refusal(FormData().append, "field", value).message


@pytest.mark.parametrize("name", [None, 5, b"a", ("a",)])
def test_names_are_texts(name: Any) -> None:
    assert "a name must be a str" in refusal(FormData().append, name, "x").message
    assert "lone surrogate" in refusal(FormData().append, "\udfff", "x").message


@pytest.mark.parametrize("filename", [5, b"a", Path("a"), True])
def test_file_names_are_texts(filename: Any) -> None:
    assert "filename" in refusal(FormData().append, "a", b"x", filename).message
    assert "lone surrogate" in refusal(FormData().append, "a", b"x", "\udfff").message


@pytest.mark.parametrize(
    "content_type",
    ["a/b\r\nX: y", "a/b\rX", "a/b\nX", "a/b\0", "a/b\x7f", "a/b\x85", "a/b\u2028", "ä/b", "", 5, b"a/b", True],
    ids=ascii,
)
def test_content_types_with_line_breaks_and_the_like_are_refused(content_type: Any) -> None:
    error = refusal(FormData().append, "a", b"x", "f", content_type)
    assert error.code == "ERR_BAD_OPTION_VALUE"
    assert "content_type" in error.message
    assert error.message.isprintable()


# Files


def test_a_path_is_not_looked_at_before_it_is_sent(tmp_path: Path) -> None:
    part = part_of(tmp_path / "later.txt")
    assert (part.kind, part.filename) == ("path", "later.txt")


def test_other_path_like_objects_are_paths(path: Path) -> None:
    with os.scandir(path.parent) as entries:
        part = part_of(next(entries))
    assert (part.kind, part.value, part.filename) == ("path", path, "avatar.png")


def test_a_file_has_its_path_s_last_name_and_keeps_its_position(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(4)
        part = part_of(file)
        assert (part.kind, part.value, part.filename, part.start) == ("file", file, "avatar.png", 4)
        assert file.tell() == 4
        assert part_of(file, "other.jpg").filename == "other.jpg"
        assert part_of(file, "").filename == ""


def test_a_file_name_has_no_directory(path: Path) -> None:
    with open(os.fsencode(path), "rb") as file:  # whose name is bytes
        assert part_of(file).filename == "avatar.png"
    with open(path, "rb") as file:  # str, the one of pathlib too
        assert part_of(file).filename == "avatar.png"


def test_a_file_name_that_is_no_utf_8(tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.bin")
    Path(odd).write_bytes(b"x")
    assert part_of(Path(odd)).filename == "a\ufffd.bin"
    with open(odd, "rb") as file:
        assert part_of(file).filename == "a\ufffd.bin"


class Named(io.BytesIO):
    def __init__(self, name: Any) -> None:
        super().__init__(b"x")
        self.name = name


@pytest.mark.parametrize("name", [5, None, "", "<stdin>", "directory/", object()], ids=described)
def test_files_without_a_name_of_their_own(name: Any) -> None:
    assert part_of(Named(name)).filename == "blob"
    assert part_of(io.BytesIO(b"x")).filename == "blob"


def test_a_file_opened_by_descriptor_is_not_called_by_its_number(path: Path) -> None:
    with os.fdopen(os.open(path, os.O_RDONLY), "rb") as file:
        assert isinstance(file.name, int)
        assert part_of(file).filename == "blob"


def test_temporary_files() -> None:
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(b"0123456789")
        file.seek(2)
        part = part_of(file)
        assert (part.kind, part.start) == ("file", 2)
        assert part.filename == os.path.basename(file.name)
    with tempfile.SpooledTemporaryFile() as spooled:
        assert part_of(spooled).kind == "file"


@pytest.mark.parametrize("mode", ["r", "w+"])
def test_files_in_text_mode_are_refused(path: Path, mode: str) -> None:
    with path.open("r") as file:
        assert "open it with 'rb'" in refusal(FormData().append, "a", file).message
    with tempfile.NamedTemporaryFile(mode="w+") as wrapped:
        assert "text mode" in refusal(FormData().append, "a", wrapped).message
    assert "text mode" in refusal(FormData().append, "a", io.StringIO("x")).message


def test_files_that_cannot_be_read_are_refused(path: Path) -> None:
    with path.open("rb") as file:
        pass
    assert "form.a is a closed file" in refusal(FormData().append, "a", file).message
    with path.open("wb") as file:
        assert "not open for reading" in refusal(FormData().append, "a", file).message

    class Asynchronous:
        async def read(self, size: int = -1) -> bytes:
            return b""

    assert "coroutine" in refusal(FormData().append, "a", Asynchronous()).message


@pytest.mark.parametrize(
    ("make", "one_shot"),
    [(generate, True), (generate_async, True), (Pieces, False), (lambda: iter([b"a"]), True), (Pipe, True)],
)
def test_streams(make: Any, one_shot: bool) -> None:
    part = part_of(make())
    assert part.kind == ("file" if make is Pipe else "stream")
    assert (part.filename, part.is_one_shot, part.start) == ("blob", one_shot, None)


def test_what_reads_asynchronously_and_is_iterable_is_a_stream() -> None:
    class Both:
        async def read(self, size: int = -1) -> bytes:
            return b""

        def __aiter__(self) -> AsyncIterator[bytes]:
            return generate_async()

    assert part_of(Both()).kind == "stream"


def test_a_generator_that_has_been_used_up_is_refused() -> None:
    pieces = generate()
    list(pieces)
    assert "used up" in refusal(FormData().append, "a", pieces).message
    later = generate_async()
    with pytest.raises(StopIteration):
        anext(later).send(None)  # type: ignore[attr-defined]  # it never waits
    with pytest.raises(StopAsyncIteration):
        anext(later).send(None)  # type: ignore[attr-defined]  # it never waits
    assert "used up" in refusal(FormData().append, "a", later).message


# The constructor


def test_a_form_of_a_mapping_or_pairs() -> None:
    pairs = [("a", "1"), ("b", 2), ("a", b"3")]
    assert FormData(pairs).items() == pairs
    assert FormData(iter(pairs)).items() == pairs
    assert FormData(FormData(pairs)).items() == pairs
    assert FormData({"a": "1", "tags": ["x", "y"], "none": []}).items() == [("a", "1"), ("tags", "x"), ("tags", "y")]
    assert FormData(None).items() == FormData({}).items() == []


def test_tuples_are_files_as_in_httpx() -> None:
    form = FormData({"a": ("a.txt", b"x"), "b": [("b.txt", io.BytesIO(b"y"), "text/y"), "plain"], "c": (None, b"z")})
    assert [(part.name, part.filename, part.content_type) for part in form.parts] == [
        ("a", "a.txt", None),
        ("b", "b.txt", "text/y"),
        ("b", None, None),
        ("c", None, None),
    ]


@pytest.mark.parametrize("value", [("red", "green"), ("a",), (), ("a", b"b", "c/d", {}), ("n", 5), ("n", None)])
def test_other_tuples_are_refused(value: Any) -> None:
    error = refusal(FormData, {"a": value} if value != () else [("a", ())])
    assert error.message.startswith("form.a")


@pytest.mark.parametrize("data", [5, "text", b"ab", ["ab"], [("a", "b", "c")], {"a": None}, {"a": {"b": 1}}, {1, 2}])
def test_other_beginnings_are_refused(data: Any) -> None:
    assert refusal(FormData, data).code == "ERR_BAD_OPTION_VALUE"


def test_a_copy_is_independent() -> None:
    first = FormData({"a": "1"})
    second = FormData(first)
    third = first.copy()
    first.append("b", "2")
    assert second.items() == third.items() == [("a", "1")]


# Copies and pickles


@pytest.fixture
def values(path: Path) -> FormData:
    form = FormData({"a": "1", "n": 5, "raw": b"\xff", "path": path, "when": date(2024, 1, 2), "empty": ""})
    form.append("named", b"x", "x.txt", "text/x")
    return form


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, *(lambda f, p=p: pickle.loads(pickle.dumps(f, p)) for p in range(2, 6))]
)
def test_a_form_of_values_survives_copy_and_pickle(values: FormData, duplicate: Any) -> None:
    for form in (values, FormData()):
        twin = duplicate(form)
        assert twin == form
        assert twin.items() == form.items()
        twin.append("more", 1)
        assert not form.has("more")


def test_a_file_in_memory_survives_with_its_position() -> None:
    file = io.BytesIO(b"0123456789")
    file.seek(3)
    form = FormData({"file": file})
    for twin in (copy.deepcopy(form), pickle.loads(pickle.dumps(form))):
        assert twin["file"] is not file
        assert (twin["file"].getvalue(), twin.parts[0].start) == (b"0123456789", 3)


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_a_form_of_streams_cannot_be_pickled_and_says_what_to_do(path: Path, kind: str) -> None:
    with path.open("rb") as file:
        form = FormData({"a": "1", "avatar": file if kind == "file" else generate_async()})
        with pytest.raises(TypeError, match=r"form\.avatar is (an open file|a stream).*append its Path or its content"):
            pickle.dumps(form)
        with pytest.raises(TypeError, match=r"form\.avatar.*use copy\(\)"):
            copy.deepcopy(form)
        assert copy.copy(form)["avatar"] is form["avatar"]


# from_dict, to_form_data


@pytest.mark.parametrize(
    ("obj", "options", "items"),
    [
        ({"a": 1, "b": "x"}, {}, [("a", 1), ("b", "x")]),
        ({"a": {"b": {"c": 1}}}, {}, [("a[b][c]", 1)]),
        ({"tags": ["x", "y"]}, {}, [("tags[]", "x"), ("tags[]", "y")]),
        ({"tags": ["x", "y"]}, {"indexes": True}, [("tags[0]", "x"), ("tags[1]", "y")]),
        ({"tags[]": ["x", "y"]}, {"indexes": None}, [("tags", "x"), ("tags", "y")]),
        ({"a": {"b": [1, 2]}}, {}, [("a[b][0]", 1), ("a[b][1]", 2)]),
        ({"a": [{"b": 1}, 2]}, {}, [("a[0][b]", 1), ("a[1]", 2)]),
        ({"a": {"b": [1]}}, {"dots": True}, [("a.b.0", 1)]),
        ({"a{}": {"b": [1, None]}}, {}, [("a{}", '{"b":[1,null]}')]),
        ({"a{}": {"b": 1}}, {"metaTokens": False}, [("a", '{"b":1}')]),
        ({"a{}": {"b": 1}}, {"meta_tokens": False}, [("a", '{"b":1}')]),
        ({"a": None, "b": [None], "c": [], "d": {}}, {}, []),
        ([("a", 1), ("a", {"b": 2})], {}, [("a", 1), ("a[b]", 2)]),
        ([1, {"a": 2}, None, [3]], {}, [("0", 1), ("1[a]", 2), ("3[]", 3)]),
        (["ab", "cd"], {}, [("0", "ab"), ("1", "cd")]),
        ({"raw": b"x", "on": date(2024, 1, 2)}, {}, [("raw", b"x"), ("on", date(2024, 1, 2))]),
    ],
    ids=described,
)
def test_nested_values(obj: Any, options: dict[str, Any], items: Any) -> None:
    assert FormData.from_dict(obj, **options).items() == items
    assert FormData.from_dict(obj, options).items() == items
    assert to_form_data(obj, **options).items() == items


def test_nested_files_and_streams(path: Path) -> None:
    stream = generate_async()
    form = FormData.from_dict({"a": {"path": path, "stream": stream}, "files": [path, path]})
    assert form.items() == [("a[path]", path), ("a[stream]", stream), ("files[]", path), ("files[]", path)]
    assert [part.filename for part in form.parts] == ["avatar.png", "blob", "avatar.png", "avatar.png"]


def test_nested_values_into_a_form_of_the_caller_s(form: FormData) -> None:
    assert to_form_data({"a": {"b": 1}}, form) is form
    assert form.items()[-1] == ("a[b]", 1)
    refusal(to_form_data, {"c": 1, "d": object()}, form)
    assert not form.has("c")
    assert "expected a FormData" in refusal(to_form_data, {}, {}).message


def test_a_subclass_makes_its_own() -> None:
    class Mine(FormData):
        pass

    assert type(Mine.from_dict({"a": 1})) is Mine
    assert type(Mine({"a": 1}).copy()) is Mine


def test_a_visitor() -> None:
    def visitor(value: Any, key: Any, path: Any, walker: Any) -> Any:
        if isinstance(value, set):
            walker.append(f"{key}!", ",".join(sorted(value)))
            return False
        return walker.default_visitor(value, key, path)

    form = FormData.from_dict({"a": {"x", "y"}, "b": {"c": 1}}, visitor=visitor)
    assert form.items() == [("a!", "x,y"), ("b[c]", 1)]
    bad = refusal(FormData.from_dict, {"a": 1}, visitor=lambda value, key, path, walker: walker.append("b", [value]))
    assert "form.b" in bad.message


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ({"a": {"b": object()}}, r"form\.a\.b is of type object"),
        ({"a": [1, {2}]}, r"form\.a\[1\] is of type set"),
        ({"a": {1.5: 2}}, r"form\.a has a key of type float"),
        ({"a": "\ud800"}, r"form\.a has a lone surrogate"),
        ("text", "not str"),
        (5, "not int"),
        (FormData(), "FormData already"),
    ],
)
def test_nested_values_that_have_no_form(obj: Any, message: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=message) as caught:
        FormData.from_dict(obj)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_a_value_that_holds_itself() -> None:
    loop: list[Any] = []
    loop.append(loop)
    for obj in (loop, {"a": loop}, {"a{}": loop}):
        assert "holds itself" in refusal(FormData.from_dict, obj).message


def test_depth_is_limited() -> None:
    deep: Any = 1
    for _ in range(102):
        deep = {"a": deep}
    assert refusal(FormData.from_dict, deep).code == "ERR_FORM_DATA_DEPTH_EXCEEDED"
    assert len(FormData.from_dict(deep["a"])) == 1
    assert refusal(FormData.from_dict, {"a": {"b": 1}}, maxDepth=0).code == "ERR_FORM_DATA_DEPTH_EXCEEDED"
    assert len(FormData.from_dict(deep, max_depth=math.inf)) == 1


def test_unknown_serializer_options() -> None:
    error = refusal(FormData.from_dict, {}, dot=True)
    assert (error.code, "did you mean dots?" in error.message) == ("ERR_BAD_OPTION", True)


# form_to_json


@pytest.mark.parametrize(
    ("pairs", "nested"),
    [
        ([], {}),
        ([("a", "1")], {"a": "1"}),
        ([("a", 1), ("b", True), ("c", 1.5)], {"a": "1", "b": "true", "c": "1.5"}),
        ([("a", "1"), ("a", "2")], {"a": ["1", "2"]}),
        ([("a", "1"), ("a", "2"), ("a", "3")], {"a": ["1", "2", "3"]}),
        ([("a[]", "1")], {"a": ["1"]}),
        ([("a[]", "1"), ("a[]", "2")], {"a": ["1", "2"]}),
        ([("a", "1"), ("a", "2"), ("a[]", "3")], {"a": ["1", "2", "3"]}),
        ([("a.b", "1")], {"a": {"b": "1"}}),
        ([("a[b]", "1")], {"a": {"b": "1"}}),
        ([("a[b][c]", "1"), ("a.b.d", "2")], {"a": {"b": {"c": "1", "d": "2"}}}),
        ([("a[0]", "1"), ("a[1]", "2")], {"a": ["1", "2"]}),
        ([("a[1]", "2"), ("a[0]", "1")], {"a": ["1", "2"]}),
        ([("a[1]", "2")], {"a": {"1": "2"}}),
        ([("a[4294967296]", "2")], {"a": {"4294967296": "2"}}),
        ([("a[0][x]", "1"), ("a[0][y]", "2"), ("a[1][x]", "3")], {"a": [{"x": "1", "y": "2"}, {"x": "3"}]}),
        ([("a[][x]", "1"), ("a[][y]", "2")], {"a": [{"x": "1"}, {"y": "2"}]}),
        ([("a[b]", "1"), ("a[]", "2")], {"a": {"b": "1", "": "2"}}),
        ([("a[]", "1"), ("a[b]", "2")], {"a": {"0": "1", "b": "2"}}),
        ([("a[b]", "1"), ("a", "2")], {"a": [{"b": "1"}, "2"]}),
        ([("a", "1"), ("a[b]", "2")], {"a": {"b": "2"}}),
        ([("a[1]", "1"), ("a", "2")], {"a": [{"1": "1"}, "2"]}),
        ([("a[01]", "1")], {"a": {"01": "1"}}),
        ([("0", "1"), ("1", "2")], {"0": "1", "1": "2"}),
        ([("user-name x", "1"), ("a[b c]", "2")], {"user-name x": "1", "a": {"b c": "2"}}),
        ([("a[b", "1"), ("c]d", "2")], {"a": {"b": "1"}, "c": {"d": "2"}}),
        ([("", "1"), ("[]", "2"), (".", "3")], {"": ["1", "2"], ".": "3"}),
        ([("__proto__[x]", "1"), ("__class__", "2")], {"__proto__": {"x": "1"}, "__class__": "2"}),
        ([("a[length]", "1"), ("a[__proto__]", "2")], {"a": {"length": "1", "__proto__": "2"}}),
    ],
    ids=described,
)
def test_a_form_as_nested_values(pairs: Any, nested: Any) -> None:
    form = FormData(pairs)
    assert form.to_json() == form_to_json(form) == nested


def test_what_is_no_text_stays_what_it_is(path: Path) -> None:
    form = FormData({"raw": b"x", "path": path})
    assert form.to_json() == {"raw": b"x", "path": path}


def test_depth_of_names_is_limited() -> None:
    def nest(levels: int) -> FormData:
        return FormData({"a" + "[a]" * levels: "1"})

    nested = nest(100).to_json()
    for _ in range(100):
        nested = nested["a"]
    assert nested == {"a": "1"}
    for levels in (101, 100_000):
        error = refusal(nest(levels).to_json)
        assert error.code == "ERR_FORM_DATA_DEPTH_EXCEEDED"
        assert len(error.message) < 200


def test_repeats_that_nest_ever_deeper_are_no_recursion_error() -> None:
    form = FormData([("a[b]", "1"), ("a", "2")] * 20_000)
    assert refusal(form.to_json).code == "ERR_FORM_DATA_DEPTH_EXCEEDED"


def test_many_repeats_are_one_list() -> None:
    assert FormData([("a", "x")] * 100_000).to_json() == {"a": ["x"] * 100_000}


def test_only_forms_are_forms() -> None:
    for form in ({}, None, [("a", "b")]):
        assert refusal(form_to_json, form).code == "ERR_BAD_OPTION_VALUE"


KEYS = st.text("abc", min_size=1, max_size=3)
TEXTS = st.text(max_size=5)
NESTED = st.dictionaries(
    KEYS,
    st.recursive(
        TEXTS,
        lambda below: st.lists(below, min_size=1, max_size=3) | st.dictionaries(KEYS, below, min_size=1, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(NESTED, st.booleans())
def test_there_and_back(nested: Any, dots: bool) -> None:
    assert FormData.from_dict(nested, indexes=True, dots=dots).to_json() == nested
    assert FormData.from_dict(nested).to_json() == nested


@given(st.lists(st.tuples(st.text("ab.[]01", max_size=8), TEXTS), max_size=6))
def test_any_names_make_some_json(pairs: list[tuple[str, str]]) -> None:
    nested = FormData(pairs).to_json()
    assert bool(nested) == bool(pairs)


# to_urlencoded


def test_urlencoded() -> None:
    form = FormData([("a", "x y"), ("a", "&=é~"), ("n", 5), ("t", True), ("raw", b"\xff ~"), ("é[]", "")])
    assert form.to_urlencoded() == "a=x+y&a=%26%3D%C3%A9%7E&n=5&t=true&raw=%FF+%7E&%C3%A9%5B%5D="
    assert FormData().to_urlencoded() == ""


def test_urlencoded_holds_no_files(path: Path) -> None:
    with path.open("rb") as file:
        for value in (path, file, generate(), generate_async()):
            error = refusal(FormData({"avatar": value}).to_urlencoded)
            assert "form.avatar is a file" in error.message
    form = FormData()
    form.append("avatar", "text", "a.txt")
    assert refusal(form.to_urlencoded).code == "ERR_BAD_OPTION_VALUE"


@given(st.lists(st.tuples(st.text(), st.text() | st.binary())))
def test_urlencoded_is_read_back_by_the_standard_library(pairs: list[tuple[str, Any]]) -> None:
    from urllib.parse import parse_qsl

    read = parse_qsl(FormData(pairs).to_urlencoded(), keep_blank_values=True, encoding="latin-1")
    assert [(name.encode("latin-1"), value.encode("latin-1")) for name, value in read] == [
        (name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in pairs
    ]
