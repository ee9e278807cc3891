"""What the caller gives as a body, as content with a type and, where it is known, a length.

`StreamedBody` and its kinds live in `streamed`, multipart forms in `multipart`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from atomhttp._body.json_codec import dumps, loads
from atomhttp._body.multipart import MultipartBody, encode_multipart
from atomhttp._body.streamed import (
    BLOCK,
    BYTES_LIKE,
    OCTETS,
    BodyReader,
    FileBody,
    IteratorBody,
    LimitedBody,
    StreamedBody,
    check_piece,
    guess_type,
)
from atomhttp._model.form_serializer import urlencode, walk_form
from atomhttp._model.params import encode_form_component
from atomhttp._model.walker import describe_path, leaf_text
from atomhttp.errors import AtomHTTPOptionError
from atomhttp.form_data import FormData

__all__ = [
    "BLOCK",
    "JSON",
    "OCTETS",
    "TEXT",
    "URLENCODED",
    "BodyReader",
    "FileBody",
    "IteratorBody",
    "LimitedBody",
    "MultipartBody",
    "StreamedBody",
    "check_piece",
    "choose_content_type",
    "encode_data",
    "encode_form",
    "encode_json",
    "encode_text",
    "guess_type",
]

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
URLENCODED: Final = "application/x-www-form-urlencoded"

# For isinstance. What passes stays Any (Final would undo that): of a bare `list` pyright would not know the items.
_ASYNC_ITERABLE: type[Any] = AsyncIterable
_ITERABLE: type[Any] = Iterable
_FIELDS: tuple[type[Any], ...] = (dict, list, tuple, Mapping)


def encode_data(
    data: Any,
    content_type: str | None,
    json_encoder: Callable[[Any], Any] | None,
    form_serializer: Mapping[str, Any] | None = None,
) -> tuple[Any, str]:
    """`data` as content, and the Content-Type it suggests.

    Args:
        data: what the caller gave.
        content_type: the Content-Type that the caller set, None when there is none. It decides what becomes of forms
            and structures; text, bytes and streams are sent as they are whatever it says.
        json_encoder: the caller's own (`jsonEncoder`), in place of ours.
        form_serializer: `formSerializer`, for structures that are sent as forms.

    Returns:
        bytes or a StreamedBody, and a Content-Type. `choose_content_type` says which of the two types is to be sent:
        the suggested one if none was set, or if it is a multipart one, which alone has the right boundary.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, when it is nothing that can be sent.
    """
    if type(data) is dict or type(data) is list:
        return _encode_structure(data, content_type, json_encoder, form_serializer)
    if isinstance(data, str):
        return encode_text(data), TEXT
    if isinstance(data, BYTES_LIKE):
        return bytes(data), OCTETS
    if isinstance(data, FormData):
        return _encode_form_data(data, content_type, json_encoder)
    if (stream := _find_stream(data)) is not None:
        return stream
    return _encode_structure(data, content_type, json_encoder, form_serializer)


def choose_content_type(declared: str | None, suggested: str) -> str:
    """The Content-Type to send: what the caller set, else what `encode_data` suggests; a multipart one has its way."""
    return suggested if declared is None or suggested.startswith("multipart/") else declared


def _find_stream(data: Any) -> tuple[StreamedBody, str] | None:
    if isinstance(data, Path):
        return FileBody.from_path(data), guess_type(data.name)
    # Before `read`: what is both reads asynchronously.
    if isinstance(data, _ASYNC_ITERABLE):
        return IteratorBody(data), OCTETS
    if hasattr(data, "read"):
        return FileBody.from_file(data), guess_type(getattr(data, "name", None))
    if (
        isinstance(data, _ITERABLE)
        and not isinstance(data, (Mapping, list, tuple, set, frozenset))
        and not _is_model(data)
    ):
        return IteratorBody(data), OCTETS
    return None


def _encode_structure(
    data: Any,
    content_type: str | None,
    json_encoder: Callable[[Any], Any] | None,
    form_serializer: Mapping[str, Any] | None,
) -> tuple[bytes | MultipartBody, str]:
    if content_type is not None:
        media_type = _media_type(content_type)
        is_multipart = media_type.startswith("multipart/")
        fields = _read_fields(data) if is_multipart or media_type == URLENCODED else None
        if fields is not None and is_multipart:
            return encode_multipart(FormData.from_dict(fields, form_serializer), content_type)
        if fields is not None:
            return encode_form(fields, form_serializer), URLENCODED
    return encode_json(data, json_encoder), JSON


def _encode_form_data(
    form: FormData, content_type: str | None, json_encoder: Callable[[Any], Any] | None
) -> tuple[bytes | MultipartBody, str]:
    media_type = _media_type(content_type)
    if media_type == JSON or media_type.endswith("+json"):
        return encode_json(form, json_encoder), JSON
    if media_type == URLENCODED:
        return encode_form(form), URLENCODED
    return encode_multipart(form, content_type)


def _media_type(content_type: str | None) -> str:
    return "" if content_type is None else content_type.partition(";")[0].strip().lower()


def _read_fields(data: Any) -> Any:
    """`data` as what a form can be made of, or None when it is a single value."""
    if isinstance(data, _FIELDS):
        return data
    if not _is_model(data):
        return None
    fields = loads(dumps(data))
    return fields if isinstance(fields, _FIELDS) else None


def _is_model(data: object) -> bool:
    """Whether it is a structure (pydantic models can be iterated, and are not streams)."""
    return (
        hasattr(type(data), "__struct_fields__")
        or hasattr(type(data), "__dataclass_fields__")
        or hasattr(type(data), "__attrs_attrs__")
        or hasattr(data, "model_dump")
    )


def encode_json(data: Any, json_encoder: Callable[[Any], Any] | None = None, option: str = "data") -> bytes:
    """`data` as JSON text; a FormData as `to_json()` gives it. Errors name the `option` that gave it.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, naming the path of what JSON cannot hold.
    """
    if isinstance(data, FormData):
        data = data.to_json()
    if json_encoder is None:
        return dumps(data, option)
    encoded = json_encoder(data)
    if isinstance(encoded, str):
        return encode_text(encoded, "jsonEncoder")
    if not isinstance(encoded, (bytes, bytearray)):
        raise AtomHTTPOptionError(
            f"jsonEncoder: expected it to return bytes or str, got {type(encoded).__name__}", "ERR_BAD_OPTION_VALUE"
        )
    return bytes(encoded)


def encode_text(text: str, option: str = "data") -> bytes:
    """`text` as UTF-8. Errors name the `option` that gave it.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: lone surrogates.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise AtomHTTPOptionError(f"{option}: not Unicode text: {error.reason}", "ERR_BAD_OPTION_VALUE") from None


def encode_form(form: Any, form_serializer: Mapping[str, Any] | None = None) -> bytes:
    """A form as `application/x-www-form-urlencoded`.

    Args:
        form: a mapping, pairs or a list, nested values as axios writes them (a flat list at the top repeats its key); a
            FormData without files; a str is sent as it is.
        form_serializer: `formSerializer`, for nested values.

    Raises:
        AtomHTTPOptionError: see `serialize_params`; ERR_BAD_OPTION_VALUE for a FormData that holds a file.
    """
    if isinstance(form, str):
        return encode_text(form, "form")
    if isinstance(form, FormData):
        return form.to_urlencoded().encode("ascii")
    if form_serializer is None and type(form) is dict and (text := _encode_flat(form)) is not None:
        return text
    pairs = walk_form(form, form_serializer, leaf_text, indexes="repeat")
    return urlencode([(name, _visited_text(name, value)) for name, value in pairs]).encode("ascii")


def _encode_flat(form: Any) -> bytes | None:
    """A dict of texts, which most forms are, without the walk; None when it holds anything else."""
    pieces: list[str] = []
    try:
        for name, value in form.items():
            if type(name) is not str or type(value) is not str or not (name.isidentifier() and name.isascii()):
                return None
            pieces.append(f"{name}={encode_form_component(value)}")
    except UnicodeEncodeError:  # a lone surrogate: the walk says so in our words
        return None
    return "&".join(pieces).encode("ascii")


def _visited_text(name: str, value: Any) -> str:
    """What a visitor appended as it was, as text."""
    try:
        return leaf_text(value)
    except ValueError as error:
        raise AtomHTTPOptionError(f"{describe_path('form', (name,))} {error}", "ERR_BAD_OPTION_VALUE") from None
