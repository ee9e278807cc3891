"""What `to_curl` makes of a body: curl's options for it, and its secrets masked.

Only what is in memory is encoded. Files are named, and neither they nor iterators are read: they need not be there any
more.
"""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from atomhttp._body.encode import (
    JSON,
    OCTETS,
    URLENCODED,
    choose_content_type,
    encode_data,
    encode_form,
    encode_json,
    guess_type,
)
from atomhttp._body.json_codec import dumps, loads
from atomhttp._lazy_pattern import lazy_pattern
from atomhttp._model.walker import leaf_text
from atomhttp._pipeline.command_line import MAX_ARGUMENT, CommandLine
from atomhttp._redact import DEEPER, MAX_DEPTH, REDACTED, is_secret_name, is_secret_parameter, redact_value
from atomhttp.errors import AtomHTTPOptionError
from atomhttp.form_data import FormData, FormPart

if TYPE_CHECKING:
    from atomhttp._model.config import RequestConfig

MULTIPART: Final = "multipart/form-data"
# Older curls ask for leave with `Expect` from here on.
_EXPECTS: Final = 1024

_NEWLINE: Final = lazy_pattern(r"\r\n|\r|\n")
_FIELD_NAME: Final = lazy_pattern(r'name="([^"]*)"')
# What curl's -F takes for the type of a part.
_PART_TYPE: Final = lazy_pattern(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(; *[\w-]+=[\w.+-]+)*", re.ASCII)
_USERINFO: Final = lazy_pattern(r"(?<=://)[^/?#\s\"'<>]*@")
# In text of no known form: `name=value`, `name: value`, `"name": "value"`.
_ASSIGNED: Final = lazy_pattern(
    r"""(?<![\w.\-])([A-Za-z_][\w.\-]*+)(["']?[ \t]*+[=:][ \t]*+)"""
    r"""("[^"]*+"?|'[^']*+'?|(?<==)[^\s"'<>&,;]++|[^\r\n"'<>&,;]++)"""
)
# `<prefix:name attribute="…">value<`.
_ELEMENT: Final = lazy_pattern(
    r"(<(?:[\w.\-]++:)?+([A-Za-z_][\w.\-]*+)(?:\s[^<>]*+)?>)(?:<!\[CDATA\[(?:(?!\]\]>).)*+(?:\]\]>)?|[^<]++)++",
    re.DOTALL,
)


class CurlContent(NamedTuple):
    """What a body means for the rest of the command.

    Attributes:
        content_type: what its Content-Type says; None: curl says it, which has chosen the boundary.
        is_chunked: it is sent without a length.
        is_large: curl would ask for leave to send it.
    """

    content_type: str | None
    is_chunked: bool = False
    is_large: bool = False


def add_content(
    command: CommandLine, config: RequestConfig, declared: str | None, length: str | None, show_secrets: bool
) -> CurlContent | None:
    """Adds the body of `config` to `command`; None when there is none.

    Args:
        declared: the Content-Type that the caller set.
        length: the Content-Length that the caller set.

    Raises:
        AtomHTTPOptionError: several bodies, or one that cannot be encoded.
    """
    given = [name for name in ("data", "json", "form") if getattr(config, name) is not None]
    if not given:
        return None
    if len(given) > 1:
        raise AtomHTTPOptionError(f"{' and '.join(given)}: give one of them, not both", "ERR_BAD_OPTION_VALUE")
    name, value = given[0], getattr(config, given[0])
    writer = _ContentWriter(command, show_secrets, length)
    if name == "json":
        return writer.add_bytes(encode_json(value, config.json_encoder, "json"), declared, JSON)
    if name == "form":
        return writer.add_bytes(encode_form(value, config.form_serializer), declared, URLENCODED)
    form = _find_form(value, declared, config.form_serializer)
    return writer.add_form(form, declared) if form is not None else _add_data(writer, config, declared)


def _add_data(writer: _ContentWriter, config: RequestConfig, declared: str | None) -> CurlContent:
    value = config.data
    if isinstance(value, Path):
        return writer.add_path(value, declared)
    if type(value) is io.BytesIO and not value.closed:
        return writer.add_bytes(value.getvalue()[value.tell() :], declared, OCTETS)
    if _is_stream(value):
        return writer.add_stream(value, declared)
    content, suggested = encode_data(value, declared, config.json_encoder, config.form_serializer)
    if not isinstance(content, bytes):
        return writer.add_stream(value, choose_content_type(declared, suggested))
    return writer.add_bytes(content, declared, suggested)


def _find_form(data: Any, declared: str | None, serializer: Mapping[str, Any] | None) -> FormData | None:
    """The form that is sent as multipart content, None where it is something else."""
    media_type = _media_type(declared)
    is_multipart = media_type.startswith("multipart/")
    if isinstance(data, FormData):
        is_other = media_type in (JSON, URLENCODED) or media_type.endswith("+json")
        return None if is_other else data
    if is_multipart and isinstance(data, (Mapping, list, tuple)):
        return FormData.from_dict(data, serializer)
    return None


def _is_stream(data: Any) -> bool:
    """Whether it is read while it is sent, and may be used up or closed by now."""
    if isinstance(data, (str, bytes, bytearray, memoryview, dict, list)):
        return False
    return isinstance(data, (AsyncIterable, Iterator)) or hasattr(data, "read")


def _media_type(content_type: str | None) -> str:
    return "" if content_type is None else content_type.partition(";")[0].strip().lower()


class _ContentWriter:
    """Adds a body to a command line, by the option that fits it."""

    def __init__(self, command: CommandLine, show_secrets: bool, length: str | None) -> None:
        self._command = command
        self._show_secrets = show_secrets
        self._length = length

    def add_bytes(self, content: bytes, declared: str | None, suggested: str) -> CurlContent:
        content_type = choose_content_type(declared, suggested)
        size = len(content)
        if not self._show_secrets:
            content = mask_content(content, content_type)
        if len(content) > MAX_ARGUMENT:
            self._command.remark(
                f"the content, {size} bytes, is too long for a command line: give it as standard input"
            )
            self._command.add("--data-binary", "@-")
        elif b"\0" in content:
            # No argument can hold it.
            self._command.standard_input = content
            self._command.add("--data-binary", "@-")
        else:
            self._command.add("--data-raw", content.decode("utf-8", "surrogateescape"))
        return CurlContent(content_type, is_large=size >= _EXPECTS)

    def add_path(self, path: Path, declared: str | None) -> CurlContent:
        self._command.add("--data-binary", f"@{_file_argument(path)}")
        return CurlContent(declared or guess_type(path.name), is_large=True)

    def add_stream(self, data: Any, declared: str | None) -> CurlContent:
        name = _name_on_disk(data)
        if name is not None:
            self._command.remark("data is an open file: what is sent here is all of it, wherever it stood")
            self._command.add("--data-binary", f"@{_file_argument(name)}")
            return CurlContent(declared or guess_type(name), is_large=True)
        self._command.remark(f"data is a {type(data).__name__}, which cannot be shown: give it as standard input")
        self._command.add("--data-binary", "@-")
        content_type = declared or (guess_type(getattr(data, "name", None)) if hasattr(data, "read") else OCTETS)
        # What can be read is measured before it is sent, mostly.
        is_chunked = self._length is None and not hasattr(data, "read")
        return CurlContent(content_type, is_chunked=is_chunked, is_large=True)

    # Forms

    def add_form(self, form: FormData, declared: str | None) -> CurlContent:
        arguments = [self._part_argument(part) for part in form.parts]
        if _is_curls(declared) and arguments and None not in arguments:
            for argument in filter(None, arguments):
                self._command.add(*argument)
            return CurlContent(None, is_large=True)
        if all(_content_of(part) is not None for part in form.parts):
            masked = form if self._show_secrets else _mask_form(form)
            content, content_type = encode_data(masked, declared, None)
            content = content if isinstance(content, bytes) else b"".join(content.ready or ())
            shown = _ContentWriter(self._command, True, None)
            return shown.add_bytes(content, content_type, content_type)
        self._command.remark("data is a form that curl cannot write: give it as standard input")
        self._command.add("--data-binary", "@-")
        return CurlContent(declared or MULTIPART, is_large=True)

    def _part_argument(self, part: FormPart) -> tuple[str, str] | None:
        """curl's option for a part, None where it has none."""
        name = _NEWLINE.sub("\r\n", part.name)
        if "=" in name or "\0" in name or (part.filename is not None and "\0" in part.filename):
            return None
        if part.content_type is not None and _PART_TYPE.fullmatch(part.content_type) is None:
            return None
        content = _content_of(part)
        if content is not None:
            return _text_argument(part, name, content if self._show_secrets else _mask_part(part, content))
        # The names of files are no secrets; what would come from somewhere else is not shown.
        source = _name_on_disk(part.value) if part.kind == "file" else part.value if part.kind == "path" else None
        if source is not None and part.start in (None, 0):
            return ("-F", f"{name}=@{_quoted(_file_argument(source))}{_describe(part)}")
        self._command.remark(f"{part.name} is a {type(part.value).__name__}: give it as standard input")
        return ("-F", f"{name}=@-{_describe(part)}")


def _is_curls(declared: str | None) -> bool:
    """Whether curl can say such a Content-Type: it adds a boundary of its own."""
    return declared is None or (_media_type(declared) == MULTIPART and ";" not in declared)


def _content_of(part: FormPart) -> bytes | None:
    """The content, if it is in memory."""
    if part.kind == "text":
        return leaf_text(part.value).encode()
    if part.kind == "bytes":
        return part.value  # type: ignore[no-any-return]  # a part's kind says what its value is
    if type(part.value) is io.BytesIO and not part.value.closed:
        return part.value.getvalue()[part.start :]
    return None


def _text_argument(part: FormPart, name: str, content: bytes) -> tuple[str, str] | None:
    if b"\0" in content or len(content) > MAX_ARGUMENT // 2:
        return None
    text = content.decode("utf-8", "surrogateescape")
    if part.filename is None and part.content_type is None:
        # A plain field's line breaks are those of a form.
        return ("--form-string", f"{name}={_NEWLINE.sub(chr(13) + chr(10), text) if part.kind == 'text' else text}")
    return ("-F", f"{name}={_quoted(text, always=True)}{_describe(part)}")


def _describe(part: FormPart) -> str:
    """How a part is described, behind its content."""
    filename = "" if part.filename is None else f";filename={_quoted(part.filename, always=True)}"
    content_type = part.content_type or (guess_type(part.filename) if part.is_file else None)
    return filename if content_type is None else f"{filename};type={content_type}"


def _quoted(text: str, always: bool = False) -> str:
    """`text` as curl's -F reads it."""
    if not always and re.fullmatch(r"[\w./@+-]+", text, re.ASCII):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _name_on_disk(file: Any) -> str | None:
    name = getattr(file, "name", None)
    return name if isinstance(name, str) and name and not (name[0] == "<" and name[-1] == ">") else None


def _file_argument(path: Path | str) -> str:
    """The path of a file; what curl takes for standard input is not the name of one."""
    return f"./{path}" if str(path) == "-" else str(path)


# Secrets


def mask_content(content: bytes, content_type: str | None) -> bytes:
    """`content` without what goes by secret names in it; the same bytes where there is nothing of that kind."""
    media_type = _media_type(content_type)
    text = content.decode("utf-8", "surrogateescape")
    if media_type.startswith("multipart/"):
        masked = REDACTED if any(map(is_secret_name, _FIELD_NAME.findall(text))) else text
    elif media_type == URLENCODED:
        masked = "&".join(map(_mask_pair, text.split("&")))
    else:
        try:
            value = loads(content)
        except ValueError:
            masked = _mask_text(text)
        else:
            plain = _mask_json("", value, MAX_DEPTH)
            return content if plain == value else dumps(plain)
    return content if masked == text else masked.encode("utf-8", "surrogateescape")


def _mask_json(name: str, value: dict[str, Any] | list[Any] | str | float | None, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if is_secret_name(name):
        return REDACTED
    if isinstance(value, str):
        return _mask_leaf(name, value)
    if not isinstance(value, (dict, list)):
        return value
    if not depth:
        return DEEPER
    if isinstance(value, dict):
        return {key: _mask_json(key, item, depth - 1) for key, item in value.items()}
    if len(value) == 2 and isinstance(value[0], str) and is_secret_name(value[0]):
        return [value[0], REDACTED]
    return [_mask_json("", item, depth - 1) for item in value]


def _mask_pair(pair: str) -> str:
    """A pair of urlencoded content."""
    from urllib.parse import unquote_plus  # with `ipaddress`, 5 ms of every start

    name, _, value = pair.partition("=")
    plain_name, plain = unquote_plus(name), unquote_plus(value)
    is_secret = value and (is_secret_parameter(plain_name) or _mask_leaf(plain_name, plain) != plain)
    return f"{name}={REDACTED}" if is_secret else pair


def _mask_leaf(name: str, text: str) -> Any:
    """A text that goes by `name`, and may be JSON, a query or a document in itself."""
    masked = redact_value(name, text)
    return _mask_text(text) if masked == text else masked


def _mask_text(text: str) -> str:
    if redact_value("", text) == REDACTED:
        return REDACTED
    return _ASSIGNED.sub(_mask_assigned, _ELEMENT.sub(_mask_element, _USERINFO.sub("", text)))


def _mask_element(found: re.Match[str]) -> str:
    return f"{found[1]}{REDACTED}" if is_secret_name(found[2]) else found[0]


def _mask_assigned(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}{REDACTED}" if is_secret_name(found[1]) else found[0]


def _mask_form(form: FormData) -> FormData:
    masked = FormData()
    for part in form.parts:
        content = _content_of(part) or b""
        shown = _mask_part(part, content)
        changed = shown.decode("utf-8", "surrogateescape") if part.kind == "text" else shown
        masked.append(part.name, part.value if shown == content else changed, part.filename, part.content_type)
    return masked


def _mask_part(part: FormPart, content: bytes) -> bytes:
    return REDACTED.encode() if is_secret_name(part.name) else mask_content(content, part.content_type)
