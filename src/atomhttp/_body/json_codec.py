"""JSON, in and out: the one file that imports msgspec.

**In.** msgspec decodes 9 times as fast as the standard library and keeps big integers exact. It refuses some legal JSON
on purpose (a lone surrogate escape, 1e400); what it refuses goes through the standard library, so a body is "not JSON"
only when both say so. NaN and Infinity are not JSON.

**Out.** msgspec encodes some things without a word that JSON has no form for: NaN as null, a set as a list, bytes as
base64. Finding them by a walk in Python costs four times the encoding; refusing unknown types beforehand would refuse
dataclasses. So a value is encoded first, and then `_is_plain` looks at it in C: `gc.get_referents` gives everything a
list of containers holds in one call, and a set of the types of it all shows whether there is anything but plain values.
Encoding and check together take three times as long as the encoding alone, for 10 KB. Only a value that holds something
else is walked (`_Inspection`), which is where an error gets its path from.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from gc import get_referents
from typing import Any, Final, get_args
from uuid import UUID

import msgspec

from atomhttp._lazy_pattern import lazy_pattern
from atomhttp._model.walker import describe_path, kind_of
from atomhttp.errors import AtomHTTPOptionError

# Decoding

# The value of a JSON text, as long as nothing about it is unusual: where it raises, `loads` has the last word. For who
# decodes every response: no function of ours is in between.
decode_usual: Final = msgspec.json.Decoder().decode
_may_be_json: Final = re.compile(rb'(?:\xef\xbb\xbf)?[ \t\r\n]*["{\[\-0-9tfn]').match


def loads(content: bytes) -> Any:
    """The value of a JSON text in UTF-8, with or without a byte order mark.

    Raises:
        ValueError: it is not JSON; also for nesting and for integers beyond what Python converts.
    """
    try:
        return decode_usual(content)
    except UnicodeDecodeError:
        raise
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    except msgspec.DecodeError:
        if not _may_be_json(content):  # most bodies that come here are text, and need not be copied to find out
            raise
    return _load_leniently(content)


def _load_leniently(content: bytes) -> Any:
    import json

    try:
        return json.loads(content.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class UnsupportedTypeError(TypeError):
    """A type that nothing can be decoded into."""


def loads_as(content: bytes, type_: Any) -> Any:
    """The value of a JSON text as `type_`: what msgspec supports, and pydantic's models once pydantic is imported.

    Raises:
        ValueError: it is not JSON, or does not fit the type; the message has the path and no values.
        UnsupportedTypeError: `type_` is no type to decode into.
    """
    adapter = _pydantic_adapter(type_)
    if adapter is not None:
        return _load_by_pydantic(adapter.validate_json, content.removeprefix(b"\xef\xbb\xbf"))
    decode = _typed_decoder(type_)
    try:
        return _load_into(type_, decode, content)
    except msgspec.ValidationError as error:
        # Not its own text: that quotes the value that is none of an enumeration, or no tag.
        raise ValueError(_QUOTED_VALUE.sub(r"\1\2", str(error))) from None


def _load_into(type_: Any, decode: Callable[[bytes], Any], content: bytes) -> Any:
    try:
        return decode(content)
    except msgspec.ValidationError:
        raise
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    except ValueError:
        # What only the standard library reads. JSON's keys are all text, hence str_keys.
        return msgspec.convert(_load_leniently(content), type_, str_keys=True, dec_hook=_convert_custom)


_QUOTED_VALUE: Final = lazy_pattern(r"\A(Invalid (?:enum )?value) .*?( - at `[^`]*`)?\Z", re.DOTALL)


def _typed_decoder(type_: Any) -> Callable[[bytes], Any]:
    try:
        return _cached_decoder(type_)
    except TypeError as error:
        if isinstance(error, UnsupportedTypeError):
            raise
        return _build_typed_decoder(type_)  # unhashable, e.g. Annotated[int, []]


def _build_typed_decoder(type_: Any) -> Callable[[bytes], Any]:
    try:
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(type_, dec_hook=_convert_custom)
    except (TypeError, NameError, AttributeError) as error:  # the latter two: annotations that name nothing
        raise UnsupportedTypeError(str(error)) from error
    return decoder.decode


# Building a decoder costs some 10 µs and decoding a small body 1.
_cached_decoder: Final = lru_cache(maxsize=256)(_build_typed_decoder)


def _convert_custom(type_: type, value: Any) -> Any:
    """msgspec's `dec_hook`: a pydantic model inside a dataclass, a Struct, a list."""
    if _is_pydantic_model(type_):
        return _load_by_pydantic(type_.model_validate, value)  # type: ignore[attr-defined]  # pydantic's own
    if isinstance(value, type_):
        return value
    raise ValueError(f"Expected `{type_.__name__}`, got `{kind_of(value)}`")


# pydantic, when the caller imported it: never imported here


def _is_pydantic_model(type_: Any) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(type_, type) and issubclass(type_, pydantic.BaseModel)


def _pydantic_adapter(type_: Any) -> Any:
    """pydantic's own decoder for a type that names one of its models; None for every other type."""
    if "pydantic" not in sys.modules or not _names_model(type_):
        return None
    try:
        return _build_adapter(type_)
    except (TypeError, NameError, RuntimeError) as error:  # the last: pydantic's "cannot make a schema"
        raise UnsupportedTypeError(str(error)) from error


def _names_model(type_: Any) -> bool:
    return _is_pydantic_model(type_) or any(_names_model(part) for part in get_args(type_))


@lru_cache(maxsize=256)
def _build_adapter(type_: Any) -> Any:
    return sys.modules["pydantic"].TypeAdapter(type_)


def _load_by_pydantic(validate: Callable[[Any], Any], value: Any) -> Any:
    try:
        return validate(value)
    except sys.modules["pydantic"].ValidationError as error:
        # Not its own text: that quotes the input.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise ValueError(f"{first['msg']} - at `{describe_path('$', first['loc'])}`") from None


# Encoding


def dumps(value: Any, root: str = "data") -> bytes:
    """`value` as JSON in UTF-8, without blanks.

    dict (and other mappings), list, tuple, str, int of any size, float, bool, None, dataclasses, attrs classes, msgspec
    Structs, pydantic models (as `model_dump(mode="json")` gives them); datetime, date, time, timedelta, UUID and
    Decimal as text, an Enum as its value. Keys are str, int, float, or such that are sent as text.

    Args:
        value: what to encode.
        root: what errors call it.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, with the path (`data.items[2].price`), for what JSON has no form for:
            NaN, Infinity, bytes, sets, other objects and keys, lone surrogates, a value that holds itself or is nested
            beyond Python's recursion limit.
    """
    if type(value) not in _PLAIN and _is_pydantic_model(type(value)):
        value = value.model_dump(mode="json")
    try:
        content = _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        _Inspection(root).run(value)
        message = f"{root} has no JSON form ({type(error).__name__})"
        raise AtomHTTPOptionError(message, "ERR_BAD_OPTION_VALUE") from error
    if not _is_plain(value):
        _Inspection(root).run(value)
    return content


_PLAIN: Final = frozenset((str, int, float, bool, type(None), dict, list, tuple, date, datetime))


def _is_plain(value: Any) -> bool:
    """Whether `value` holds nothing but plain values, found out without a Python step a value.

    Level by level: all that the containers of one level hold is the next level. Texts and numbers hold nothing. Of a
    dict with text keys alone the keys are left out; of any other they come too. The value was encoded before, so it
    does not hold itself.
    """
    level: tuple[Any, ...] | list[Any] = (value,)
    while level:
        kinds = set(map(type, level))
        if not kinds <= _PLAIN:
            return False
        # Looking for "null" in what was encoded first would save nothing: that search takes half as long as this one.
        if float in kinds and not all(map(math.isfinite, [number for number in level if type(number) is float])):
            return False
        level = get_referents(*level)
    return True


# For isinstance. What passes stays Any (Final would undo that): of a bare `list` pyright would not know the items.
_MAPPING: type[Any] = Mapping
_LISTS: tuple[type[Any], ...] = (list, tuple)


def _convert_unsupported(value: Any) -> Any:
    """msgspec's `enc_hook`: one step towards something that it knows.

    Raises:
        TypeError: for what has no JSON form.
    """
    if _is_pydantic_model(type(value)):
        return value.model_dump(mode="json")
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):  # it comes here as a key
        raise TypeError("bool has no JSON form")
    if isinstance(value, int):
        return int.__index__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, _MAPPING):
        return dict(value.items())
    raise TypeError(f"{kind_of(value)} has no JSON form")


_encode: Final = msgspec.json.Encoder(enc_hook=_convert_unsupported).encode


class _Inspection:
    """A walk through a value that was encoded, or could not be, in search of what JSON has no form for."""

    __slots__ = ("_ancestors", "_path", "_root")

    def __init__(self, root: str) -> None:
        self._root = root
        self._path: list[str | int] = []
        self._ancestors: set[int] = set()

    def run(self, value: Any) -> None:
        """Raises the error of `dumps`, or returns when everything is fine."""
        try:
            self._inspect(value)
        except RecursionError:
            raise self._error("is nested too deeply", self._path[:3]) from None

    def _inspect(self, value: Any) -> None:
        kind = type(value)  # pyright: ignore[reportUnknownVariableType]  # of Any it knows no type
        if kind is str:
            self._check_text(value)
        elif kind is float or kind is int:
            self._check_number(value)
        elif kind in _HARMLESS:
            pass
        elif kind is dict:
            self._inspect_mapping(value)
        elif kind is list or kind is tuple:
            self._inspect_below(value, enumerate(value))
        else:
            self._inspect_other(value)

    def _inspect_other(self, value: Any) -> None:
        if isinstance(value, Enum):
            self._inspect(value.value)
        elif isinstance(value, str):
            self._check_text(str.__str__(value))
        elif isinstance(value, (int, float, Decimal)):
            self._check_number(value)
        elif isinstance(value, (date, time, timedelta, UUID, msgspec.Raw)):
            pass
        elif _is_pydantic_model(type(value)):
            self._inspect_below(value, [(None, self._dump_model(value))])
        elif isinstance(value, _MAPPING):
            self._inspect_mapping(value)
        elif isinstance(value, _LISTS):
            self._inspect_below(value, enumerate(value))
        elif (names := _field_names(value)) is not None:
            fields = [(name, getattr(value, name, None)) for name in names]
            self._inspect_below(value, [(name, field) for name, field in fields if field is not msgspec.UNSET])
        else:
            raise self._error(f"is of type {kind_of(value)}, which has no JSON form{_hint(value)}")

    def _inspect_mapping(self, value: Any) -> None:
        for key in value:
            if type(key) is not str:
                self._check_key(key)
            elif not key.isascii():
                self._check_text(key, "has a key with a lone surrogate, which has no UTF-8")
        self._inspect_below(value, value.items())

    def _inspect_below(self, value: Any, parts: Any) -> None:
        """`parts` are pairs of a key, None for what is `value` itself, and what goes by it."""
        if id(value) in self._ancestors:
            raise self._error("holds itself (circular reference)")
        self._ancestors.add(id(value))
        for key, part in parts:
            if key is None:
                self._inspect(part)
                continue
            self._path.append(key if isinstance(key, int) else str(key))
            self._inspect(part)
            self._path.pop()
        self._ancestors.discard(id(value))

    def _dump_model(self, value: Any) -> Any:
        try:
            return value.model_dump(mode="json")
        except (TypeError, ValueError) as error:  # pydantic's own error is a ValueError
            raise self._error(f"could not be dumped by pydantic: {type(error).__name__}") from error

    def _check_key(self, key: Any) -> None:
        if isinstance(key, Enum):
            key = key.value
        if isinstance(key, bool) or not isinstance(key, (str, int, float, date, UUID, Decimal)):
            raise self._error(f"has a key of type {kind_of(key)}; JSON's keys are text")
        if isinstance(key, (float, Decimal)) and not math.isfinite(key):
            raise self._error("has NaN or Infinity as a key")
        if isinstance(key, str):
            self._check_text(str.__str__(key), "has a key with a lone surrogate, which has no UTF-8")

    def _check_text(self, text: str, reason: str = "has a lone surrogate, which has no UTF-8") -> None:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self._error(reason) from None

    def _check_number(self, number: float | Decimal) -> None:
        if isinstance(number, int):
            self._check_digits(number)
        elif not math.isfinite(number):
            raise self._error("is NaN or Infinity, which JSON has not; pass None or a str")

    def _check_digits(self, number: int) -> None:
        try:
            int.__repr__(number)
        except ValueError:  # sys.set_int_max_str_digits
            raise self._error("is an integer of more digits than Python converts") from None

    def _error(self, reason: str, path: list[str | int] | None = None) -> AtomHTTPOptionError:
        where = describe_path(self._root, self._path if path is None else path)
        return AtomHTTPOptionError(f"{where} {reason}", "ERR_BAD_OPTION_VALUE")


_HARMLESS: Final = frozenset((bool, type(None), date, datetime, UUID))


def _field_names(value: object) -> list[str] | None:
    """The names of the fields that msgspec encodes of a Struct, dataclass or attrs object; None for other objects."""
    kind = type(value)
    if isinstance(value, msgspec.Struct):
        return list(value.__struct_fields__)
    fields = getattr(kind, "__dataclass_fields__", None)
    if fields is not None:
        return list(fields)
    attributes = getattr(kind, "__attrs_attrs__", None)
    return None if attributes is None else [each.name for each in attributes if not each.name.startswith("_")]


def _hint(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "; decode it to str, or base64"
    if isinstance(value, (set, frozenset)):
        return "; pass a list"
    return ""
