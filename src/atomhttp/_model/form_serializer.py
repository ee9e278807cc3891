"""Nested values as the flat pairs of a form (axios: `toFormData`, `formSerializer`), and such pairs as urlencoded text.

Multipart forms and urlencoded bodies share the walk with params. They differ in the names of a flat list at the top:
a multipart form has axios's `a[]`, urlencoded content repeats the key as a query does; `indexes` sets it for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from atomhttp._model.params import (
    WALK_DEFAULTS,
    encode_form_bytes,
    encode_form_component,
    read_pairs,
    read_serializer_options,
)
from atomhttp._model.walker import Indexes, Walker, WalkOptions, describe_path, is_listed, is_mapping, kind_of
from atomhttp.errors import AtomHTTPOptionError


def check_form_serializer(name: str, value: Any) -> dict[str, Any] | None:
    """The `formSerializer` option as it is kept: what was given, checked, under Python's names.

    Args:
        name: what the caller called the option, for messages.
        value: None, or a mapping of `visitor`, `dots`, `meta_tokens` (`metaTokens`), `indexes` and `max_depth`
            (`maxDepth`); see `FormData.from_dict`.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION for an unknown key or two spellings that differ, ERR_BAD_OPTION_VALUE for
            a value of the wrong kind.
    """
    if value is None:
        return None
    if not is_mapping(value):
        raise AtomHTTPOptionError(
            f"{name} must be a mapping of {', '.join(WALK_DEFAULTS)} or None, not {kind_of(value)}",
            "ERR_BAD_OPTION_VALUE",
        )
    return read_serializer_options(value, WALK_DEFAULTS, name)


def walk_form(
    data: Any, serializer: Mapping[str, Any] | None, convert: Callable[[Any], Any], indexes: Indexes
) -> list[tuple[str, Any]]:
    """The pairs of a nested value.

    Args:
        data: a mapping, (name, value) pairs, or a list, whose items get the names "0", "1", … (axios).
        serializer: `formSerializer`, checked here.
        convert: turns a leaf into what the pairs hold; a ValueError says why it cannot.
        indexes: the names of a flat list at the top when the serializer does not say.

    Raises:
        AtomHTTPOptionError: see `Walker.walk` and `check_form_serializer`.
    """
    given = check_form_serializer("formSerializer", serializer) or {}
    chosen: dict[str, Any] = {**WALK_DEFAULTS, "indexes": indexes, **given}
    options = WalkOptions(**chosen)
    return Walker(options, convert, "form").walk(_read_entries(data))


def _read_entries(data: Any) -> Any:
    if is_mapping(data):
        return data
    if isinstance(data, str):
        raise AtomHTTPOptionError("form must be a mapping or (key, value) pairs, not str", "ERR_BAD_OPTION_VALUE")
    if is_listed(data) and not (data and _is_pair(data[0])):
        return {str(index): item for index, item in enumerate(data)}
    return read_pairs(data, "form")


def _is_pair(entry: Any) -> bool:
    return is_listed(entry) and len(entry) == 2 and isinstance(entry[0], str)


def urlencode(pairs: Iterable[tuple[str, str | bytes]]) -> str:
    """`pairs` as application/x-www-form-urlencoded (WHATWG URL, section 5.2); bytes are escaped as they are.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: a lone surrogate.
    """
    pieces: list[str] = []
    for name, value in pairs:
        try:
            text = encode_form_bytes(value) if isinstance(value, bytes) else encode_form_component(value)
            pieces.append(f"{encode_form_component(name)}={text}")
        except UnicodeEncodeError:
            where = describe_path("form", (name,))
            reason = "has a lone surrogate, which has no UTF-8"
            raise AtomHTTPOptionError(f"{where} {reason}", "ERR_BAD_OPTION_VALUE") from None
    return "&".join(pieces)
