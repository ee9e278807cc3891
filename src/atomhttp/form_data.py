"""FormData: the fields and files of a form, in the manner of a browser's `FormData`.

A form only collects; what it becomes is decided when it is sent: multipart, unless the Content-Type asks for JSON or
urlencoded content. Nothing is read before that.
"""

from __future__ import annotations

import inspect
import io
import os
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Literal, TypeAlias

from atomhttp._lazy_pattern import lazy_pattern
from atomhttp._model.form_serializer import urlencode, walk_form
from atomhttp._model.params import read_pairs
from atomhttp._model.walker import MAX_DEPTH, describe_path, is_mapping, kind_of, leaf_text
from atomhttp._redact import show_some, show_value
from atomhttp.errors import AtomHTTPOptionError

if TYPE_CHECKING:
    from datetime import date, time
    from decimal import Decimal
    from enum import Enum
    from uuid import UUID

Kind: TypeAlias = Literal["text", "bytes", "path", "file", "stream"]
FormText: TypeAlias = "str | int | float | Decimal | date | time | UUID | Enum"
FormContent: TypeAlias = "bytes | bytearray | memoryview | os.PathLike[str] | IO[bytes] | AsyncIterable[bytes]"
FormValue: TypeAlias = "FormText | FormContent | Iterable[bytes]"
FormInput: TypeAlias = "Mapping[str, Any] | Iterable[tuple[str, Any]] | FormData"

# What browsers call content without a name of its own: without one, a server takes it for a text field.
UNNAMED: Final = "blob"

_FIELD_CONTENT: Final = lazy_pattern(r"[\x20-\x7e]+")


class FormPart:
    """One value of a form, with what is sent along with it.

    Attributes:
        name: the field's name.
        value: what was appended; bytes-like values as bytes, paths as Path.
        kind: "text", "bytes", "path" (of a file that we open and close), "file" (the caller's), "stream".
        filename: what the server is told; None for a plain field.
        content_type: as the caller gave it; None when the file name decides.
        start: where a file stood when it was appended; None when it has no position.
        spent: whether a value that can be read only once has been.
    """

    __slots__ = ("content_type", "filename", "kind", "name", "spent", "start", "value")

    def __init__(self, name: str, value: Any, filename: str | None, content_type: str | None) -> None:
        self.name = name
        self.kind, self.value = _keep_value(value)
        self.filename = _default_filename(self.kind, self.value) if filename is None else filename
        self.content_type = content_type
        self.start = find_position(value) if self.kind == "file" else None
        self.spent = False

    @property
    def is_file(self) -> bool:
        """Whether it is sent as a file: whatever has a file name."""
        return self.filename is not None

    @property
    def is_one_shot(self) -> bool:
        """Whether reading it once uses it up."""
        if self.kind == "stream":
            return isinstance(self.value, (Iterator, AsyncIterator))
        return self.kind == "file" and self.start is None

    def _key(self) -> tuple[Any, ...]:
        return (self.name, self.value, self.filename, self.content_type, self.start)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FormPart) and self._key() == other._key()

    __hash__ = None  # type: ignore[assignment]  # the way to say that it has none, as equality is by value

    def __repr__(self) -> str:
        return f"<FormPart {show_value(self.name)}: {self.kind}>"


class FormData:
    """The fields and files of a form, in order; a name may come several times.

    Args:
        data: a mapping or (name, value) pairs to begin with, or another form. A list gives its field several values; a
            tuple is a file, `(filename, content)` or `(filename, content, content_type)`, as in httpx's `files`. For
            nested values see `from_dict`.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: a value that cannot be sent (see `append`).

    `len` and iteration go over the (name, value) pairs, `name in form` asks for a name. A form of values and paths can
    be copied, pickled, and sent as often as one likes; so can one of files that have a position.
    """

    __slots__ = ("_parts",)

    def __init__(self, data: FormInput | None = None) -> None:
        self._parts: list[FormPart] = []
        if isinstance(data, FormData):
            self._parts += data._parts
        elif data is not None:
            given: Any = data
            for name, value in given.items() if is_mapping(given) else read_pairs(given, "form"):
                self._append_given(name, value)

    def _append_given(self, name: str, value: Any) -> None:
        items: Iterable[Any] = value
        for item in items if isinstance(value, list) else [value]:
            if isinstance(item, tuple):
                self._append_file(name, item)
            else:
                self.append(name, item)

    def _append_file(self, name: str, file: Any) -> None:
        # Text is no content here: ("red", "green") would else be a file called "red".
        if len(file) not in (2, 3) or isinstance(file[1], (str, int, float, type(None))):
            where = describe_path("form", (name,))
            raise AtomHTTPOptionError(
                f"{where}: a tuple is a file, (filename, content) or (filename, content, content_type) with bytes, "
                "a file or a Path as content; several values are a list",
                "ERR_BAD_OPTION_VALUE",
            )
        filename, content, *content_type = file
        self.append(name, content, filename, *content_type)

    @classmethod
    def from_dict(cls, obj: Any, serializer: Mapping[str, Any] | None = None, /, **options: Any) -> FormData:
        """A form of nested values, by axios's walk (axios: `toFormData`).

        `{"user": {"name": "x"}, "tags": [1, 2]}` gives `user[name]`, `tags[]`, `tags[]`; a list that is nested or holds
        mappings or lists is numbered, `a[b][0]`; None is left out; a key that ends in `{}` sends its value as JSON.

        Args:
            obj: a mapping, (name, value) pairs, or a list (its items are called "0", "1", …). What it holds besides
                mappings and lists is anything that `append` takes.
            serializer, options: axios's `formSerializer`, both spellings. `indexes` (False): the names of a flat list
                at the top, False `a[]`, True `a[0]`, None `a`. `dots` (False): `a.b` instead of `a[b]`. `meta_tokens`
                (True): keep the `{}` of a key. `visitor`: `visitor(value, key, path, walker)` in place of the default.
                `max_depth` (100): levels below the top.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION: no such option. ERR_BAD_OPTION_VALUE: a value or key that has no form,
                or a value that holds itself. ERR_FORM_DATA_DEPTH_EXCEEDED: nested too deeply. Both name the place.
        """
        return to_form_data(obj, cls(), **{**(serializer or {}), **options})

    # Changing

    def append(self, name: str, value: FormValue, filename: str | None = None, content_type: str | None = None) -> None:
        """Adds a value; others of that name stay.

        Args:
            name: the field's name.
            value: str, int, float, bool (sent as `true`, `false`), date, UUID, Decimal, Enum; bytes, a plain field
                unless `filename` is given; a Path, opened when it is sent and closed by us; a binary file, sent from
                where it stands now and left open; an iterator or async iterator of bytes.
            filename: the file's name for the server; by default the path's or file's own, without its directory,
                else "blob". None for a plain field.
            content_type: by default what the file name's extension suggests, else `application/octet-stream`; plain
                fields have none.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: None, a dict, a list (`from_dict` takes them) and whatever else
                cannot be sent, a file that is closed or in text mode, a file name or content type that is none.
        """
        self._parts.append(_build_part(name, value, filename, content_type))

    def set(self, name: str, value: FormValue, filename: str | None = None, content_type: str | None = None) -> None:
        """Puts a value in the place of all values of that name; arguments and errors as for `append`."""
        part = _build_part(name, value, filename, content_type)
        for index, known in enumerate(self._parts):
            if known.name == name:
                rest = [each for each in self._parts[index + 1 :] if each.name != name]
                self._parts[index:] = [part, *rest]
                return
        self._parts.append(part)

    def delete(self, name: str) -> None:
        """Removes all values of a name; silent when there is none."""
        self._parts = [part for part in self._parts if part.name != name]

    # Reading

    def get(self, name: str, default: Any = None) -> Any:
        """The first value of a name as it was given, else `default`."""
        return next((part.value for part in self._parts if part.name == name), default)

    def get_all(self, name: str) -> list[Any]:
        """All values of a name; [] when there is none."""
        return [part.value for part in self._parts if part.name == name]

    def has(self, name: str) -> bool:
        """Whether there is a value of that name."""
        return any(part.name == name for part in self._parts)

    def keys(self) -> list[str]:
        """The names, each once, in the order of their first values."""
        return list(dict.fromkeys(part.name for part in self._parts))

    def values(self) -> list[Any]:
        """All values, in order."""
        return [part.value for part in self._parts]

    def items(self) -> list[tuple[str, Any]]:
        """All (name, value) pairs, in order."""
        return [(part.name, part.value) for part in self._parts]

    @property
    def parts(self) -> tuple[FormPart, ...]:
        """All values with their file names and content types."""
        return tuple(self._parts)

    def __getitem__(self, name: str) -> Any:
        for part in self._parts:
            if part.name == name:
                return part.value
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(part.name == name for part in self._parts)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self.items())

    def __len__(self) -> int:
        return len(self._parts)

    def __eq__(self, other: object) -> bool:
        return self._parts == other._parts if isinstance(other, FormData) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # the way to say that it has none, as it can be changed

    def __repr__(self) -> str:
        # Names and kinds: what users type into forms is nobody else's business.
        shown = show_some([f"{show_value(part.name)}: {part.kind}" for part in self._parts])
        return f"<FormData {shown}>" if shown else "<FormData>"

    # Other forms of it

    def to_json(self) -> dict[str, Any]:
        """The form as a nested dict (axios: `formToJSON`); see `form_to_json`."""
        return form_to_json(self)

    def to_urlencoded(self) -> str:
        """The form as application/x-www-form-urlencoded, every pair of it.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: it holds a file.
        """
        for part in self._parts:
            if part.is_file:
                raise _refused(part.name, "is a file, and urlencoded content holds none; send the form as multipart")
        return urlencode(
            (part.name, part.value if part.kind == "bytes" else leaf_text(part.value)) for part in self._parts
        )

    # Copies

    def copy(self) -> FormData:
        """A form with the same values; files and iterators are shared with it."""
        twin = type(self).__new__(type(self))
        twin._parts = list(self._parts)
        return twin

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> FormData:
        import copy

        self._check_portable("copied deeply; use copy(), which shares it,")
        twin = self.copy()
        twin._parts = [copy.deepcopy(part, memo) for part in self._parts]
        return twin

    def __getstate__(self) -> list[FormPart]:
        self._check_portable("pickled; append its Path")
        return self._parts

    def __setstate__(self, state: list[FormPart]) -> None:
        self._parts = state

    def _check_portable(self, what: str) -> None:
        for part in self._parts:
            if part.is_one_shot or (part.kind == "file" and type(part.value) is not io.BytesIO):
                where = describe_path("form", (part.name,))
                kind = "an open file" if part.kind == "file" else "a stream"
                raise TypeError(f"{where} is {kind}, which cannot be {what} or its content as bytes")


def to_form_data(obj: Any, form: FormData | None = None, **options: Any) -> FormData:
    """Appends nested values to `form`, or to a new one, and returns it (axios: `toFormData`).

    Args:
        obj, options: see `FormData.from_dict`.
        form: the form to append to; unchanged when there is an error.

    Raises:
        AtomHTTPOptionError: see `FormData.from_dict`.
    """
    if form is None:
        form = FormData()
    elif not isinstance(form, FormData):
        raise AtomHTTPOptionError(f"form: expected a FormData, got {kind_of(form)}", "ERR_BAD_OPTION_VALUE")
    if isinstance(obj, FormData):
        raise AtomHTTPOptionError("form: it is a FormData already; FormData(form) copies it", "ERR_BAD_OPTION_VALUE")
    pairs = walk_form(obj, options, lambda value: _keep_value(value)[1], indexes=False)
    form._parts += [_build_part(name, value, None, None) for name, value in pairs]
    return form


# Values


def _build_part(name: Any, value: Any, filename: Any, content_type: Any) -> FormPart:
    if not isinstance(name, str):
        raise AtomHTTPOptionError(f"form: a name must be a str, not {kind_of(name)}", "ERR_BAD_OPTION_VALUE")
    # Plain text: what a subclass's methods say later must not matter (and an Enum's str is not its value).
    name, filename, content_type = _plain(name), _plain(filename), _plain(content_type)
    try:
        _check_text(name)
        _check_filename(filename)
        _check_content_type(content_type)
        return FormPart(name, value, filename, content_type)
    except ValueError as error:
        raise _refused(name, str(error)) from None


def _plain(text: Any) -> Any:
    return str.__str__(text) if type(text) is not str and isinstance(text, str) else text


def _refused(name: str, reason: str) -> AtomHTTPOptionError:
    return AtomHTTPOptionError(f"{describe_path('form', (name,))} {reason}", "ERR_BAD_OPTION_VALUE")


def _check_text(text: str) -> None:
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        raise ValueError("has a lone surrogate, which has no UTF-8") from None


def _check_filename(filename: Any) -> None:
    if filename is None:
        return
    if not isinstance(filename, str):
        raise ValueError(f"has a filename of type {kind_of(filename)}; it must be a str")
    _check_text(filename)


def _check_content_type(content_type: Any) -> None:
    # A line break in here would be a header field of the caller's input (GHSA-445q-vr5w-6q77).
    if content_type is not None and not (isinstance(content_type, str) and _FIELD_CONTENT.fullmatch(content_type)):
        raise ValueError(f"has a content_type that is none: {ascii(content_type)[:60]}; expected e.g. 'image/png'")


def _keep_value(value: Any) -> tuple[Kind, Any]:
    """The kind of a value, and the value as it is kept.

    Raises:
        ValueError: it cannot be sent; the reason.
    """
    if type(value) is str:
        # Before the questions below, five of which ask an abstract class (0.1 µs; 1.6 with them).
        _check_text(value)
        return "text", value
    given: Any = value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes", bytes(given)
    if isinstance(value, os.PathLike):
        return "path", Path(os.fsdecode(given))
    if isinstance(value, AsyncIterable):
        return _keep_stream(value)
    if callable(getattr(value, "read", None)):
        check_file(value)
        return "file", value
    if _is_iterable_of_pieces(value):
        return _keep_stream(value)
    if value is None:
        raise ValueError("is None; leave the field out, or send ''")
    if isinstance(value, Collection) and not isinstance(value, str):
        raise ValueError(f"is of type {kind_of(value)}, no single value; FormData.from_dict takes nested ones")
    _check_text(leaf_text(value))
    return "text", value


def _is_iterable_of_pieces(value: Any) -> bool:
    # What has a length is a collection of something else; pydantic's models can be iterated.
    model: Any = value
    return isinstance(value, Iterable) and not isinstance(value, Collection) and not hasattr(model, "model_dump")


def _keep_stream(value: Any) -> tuple[Kind, Any]:
    if inspect.isgenerator(value):
        finished = inspect.getgeneratorstate(value) == inspect.GEN_CLOSED
    else:
        finished = inspect.isasyncgen(value) and value.ag_frame is None
    if finished:
        raise ValueError("is a generator that has been used up")
    return "stream", value


def check_file(file: Any) -> None:
    """Checks that `file`, which has a `read`, can be sent.

    Raises:
        ValueError: it is closed, in text mode, not readable or asynchronous; the reason.
    """
    if getattr(file, "closed", False):
        raise ValueError("is a closed file")
    # The wrappers of `tempfile` and `codecs` are no TextIOBase, but have its attribute.
    if isinstance(file, io.TextIOBase) or hasattr(file, "encoding"):
        raise ValueError("is a file opened in text mode; open it with 'rb'")
    if inspect.iscoroutinefunction(file.read):
        raise ValueError("has a read() that is a coroutine; pass the file beneath, or an async iterator of bytes")
    # Of these only: a subclass of io.RawIOBase that has just a `read` says that it is not readable.
    if isinstance(file, (io.BufferedWriter, io.FileIO)) and not file.readable():
        raise ValueError("is a file that is not open for reading")


def find_position(file: Any) -> int | None:
    """Where `file` stands, or None when it cannot be put back there."""
    try:
        if not file.seekable():
            return None
    except AttributeError:
        pass  # not every file-like object has it
    try:
        position = file.tell()
        file.seek(position)
    except (AttributeError, OSError):
        return None
    return position if isinstance(position, int) else None


def _default_filename(kind: Kind, value: Any) -> str | None:
    if kind in ("text", "bytes"):
        return None
    name = value.name if kind == "path" else getattr(value, "name", None) if kind == "file" else None
    # The name of a file made from a descriptor is its number, that of sys.stdin "<stdin>".
    if not isinstance(name, (str, bytes)) or not name:
        return UNNAMED
    base = os.path.basename(os.fsdecode(name))
    if not base or (base[0] == "<" and base[-1] == ">"):
        return UNNAMED
    # A name on disk may be no UTF-8; browsers too send U+FFFD then.
    return base.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


# Back to nested values


class _Branch:
    """A list or mapping that is being filled: which of the two it is shows when all of it is there."""

    __slots__ = ("_has_keys", "_length", "is_list", "nodes")

    def __init__(self, is_list: bool) -> None:
        self.nodes: dict[str, Any] = {}
        self.is_list = is_list
        self._has_keys = False
        self._length = 0

    @property
    def is_complete_list(self) -> bool:
        """Whether it is a list without a gap: as many indexes as it is long."""
        return self.is_list and not self._has_keys and len(self.nodes) == self._length

    def resolve(self, segment: str) -> str:
        """`segment` as a name in here: an empty one is the next place of a list."""
        return str(self._length) if not segment and self.is_list else segment

    def put(self, name: str, node: Any) -> None:
        self.nodes[name] = node
        if _INDEX.fullmatch(name):
            self._length = max(self._length, int(name) + 1)
        else:
            self._has_keys = True

    def add(self, name: str, value: Any) -> None:
        """Puts `value` behind what has that name already."""
        if name not in self.nodes:
            self.put(name, value)
            return
        known = self.nodes[name]
        if not (isinstance(known, _Branch) and known.is_complete_list):
            if isinstance(known, _Branch):
                known.is_list = False
            self.nodes[name] = _Branch(is_list=True)
            self.nodes[name].put("0", known)
        self.nodes[name].put(self.nodes[name].resolve(""), value)

    def descend(self, name: str, towards: str) -> _Branch:
        """What is nested under `name`, which will get `towards`; axios: it takes the place of a plain value."""
        below = self.nodes.get(name)
        if not isinstance(below, _Branch):
            below = _Branch(is_list=True)
            self.put(name, below)
        if not _INDEX_OR_EMPTY.fullmatch(towards):
            below.is_list = False
        return below

    def build(self) -> Any:
        built = {name: node.build() if isinstance(node, _Branch) else node for name, node in self.nodes.items()}
        return [built[str(index)] for index in range(self._length)] if self.is_complete_list else built


_INDEX: Final = lazy_pattern(r"0|[1-9][0-9]{0,8}")
_INDEX_OR_EMPTY: Final = lazy_pattern(r"[0-9]*")
_SEGMENT: Final = lazy_pattern(r"[^.\[\]]+|\[([^.\[\]]*)\]")


def form_to_json(form: FormData) -> dict[str, Any]:
    """The form as nested dicts and lists (axios: `formToJSON`).

    `a.b` and `a[b]` are nested, `a[]` and names that come again are lists, and so is `a[0]`, `a[1]` without a gap. Text
    fields are str, as a server would get them; bytes, files and paths stay what they are.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: no FormData. ERR_FORM_DATA_DEPTH_EXCEEDED: a name of more than 100
            levels.
    """
    if not isinstance(form, FormData):
        raise AtomHTTPOptionError(f"form: expected a FormData, got {kind_of(form)}", "ERR_BAD_OPTION_VALUE")
    root = _Branch(is_list=False)
    for part in form.parts:
        branch, segments = root, _split_name(part.name)
        for segment, towards in pairwise(segments):
            branch = branch.descend(branch.resolve(segment), towards)
        branch.add(branch.resolve(segments[-1]), leaf_text(part.value) if part.kind == "text" else part.value)
    try:
        return root.build()  # type: ignore[no-any-return]  # the root is no list
    except RecursionError:
        # `a[b]` and `a` in turns: each pair adds a level.
        raise _too_deep("form") from None


def _split_name(name: str) -> list[str]:
    segments: list[str] = []
    for match in _SEGMENT.finditer(name):
        if len(segments) > MAX_DEPTH:
            raise _too_deep(describe_path("form", segments[:1]))
        segments.append(match[0] if match[1] is None else match[1])
    return segments or [name]


def _too_deep(where: str) -> AtomHTTPOptionError:
    return AtomHTTPOptionError(
        f"{where} is too deeply nested (more than {MAX_DEPTH} levels)", "ERR_FORM_DATA_DEPTH_EXCEEDED"
    )
