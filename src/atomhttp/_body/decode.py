"""From the bytes of a response to `response.data` (axios: `responseType`, `responseEncoding`, `transitional`).

What each response type means is the table of the contract; the order of the questions for "json" is: is it JSON? then
it is parsed, whatever the Content-Type says — except for a bare number, true, false or null, which any text might be;
is it a picture, an archive, …? then bytes; can it be read as text? then text; else bytes.
"""

from __future__ import annotations

import codecs
import encodings
import re
from collections.abc import Callable
from encodings.aliases import aliases
from functools import lru_cache
from typing import Any, Final

from atomhttp._body import json_codec
from atomhttp.errors import AtomHTTPDecodeError, AtomHTTPOptionError

_BOM_UTF8: Final = codecs.BOM_UTF8
# Longest first: UTF-32's little-endian mark begins with UTF-16's.
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf_8"),
    (codecs.BOM_UTF32_LE, "utf_32"),
    (codecs.BOM_UTF32_BE, "utf_32"),
    (codecs.BOM_UTF16_LE, "utf_16"),
    (codecs.BOM_UTF16_BE, "utf_16"),
)

_BINARY_TYPES: Final = ("image/", "audio/", "video/", "font/")
_BINARY: Final = frozenset((
    "application/octet-stream",
    "application/zip",
    "application/x-zip-compressed",
    "application/gzip",
    "application/x-gzip",
    "application/pdf",
))  # fmt: skip

# `charset=utf-8`, `charset="utf-8"`. Each part consumes what the next cannot match, so it is linear.
_charset_parameter: Final = re.compile(r';[ \t]*charset[ \t]*=[ \t]*"?([^\s";,]*)', re.IGNORECASE).search


# Content-Type


def media_type(content_type: str) -> str:
    """The type without its parameters, lower-cased; "" when there is none (RFC 9110 section 8.3.1)."""
    return content_type.partition(";")[0].strip().lower()


def is_json_type(content_type: str) -> bool:
    """Whether this Content-Type announces one JSON value: application/json, text/json, and `+json` (RFC 6839)."""
    kind = media_type(content_type)
    return kind in ("application/json", "text/json", "application/x-json") or kind.endswith("+json")


def is_binary_type(content_type: str) -> bool:
    """Whether this Content-Type announces what is not to be read as text."""
    kind = media_type(content_type)
    return kind in _BINARY or kind.startswith(_BINARY_TYPES) or kind.endswith("+zip")


def find_charset(content_type: str) -> str | None:
    """The Python codec for the Content-Type's charset; None when it has none, or none that is known."""
    found = _charset_parameter(content_type)
    return lookup_charset(found[1]) if found else None


# What Python's table of codecs holds besides charsets; mbcs differs from one Windows to the next.
_NO_CHARSETS: Final = frozenset((
    "base64_codec",
    "bz2_codec",
    "hex_codec",
    "mbcs",
    "quopri_codec",
    "rot_13",
    "utf_7",
    "uu_codec",
    "zlib_codec",
))  # fmt: skip
_LONGEST_CHARSET: Final = 40


def lookup_charset(name: str) -> str | None:
    """The Python codec that decodes the charset `name`; None for an unknown one and for codecs that are no charsets.

    Only names in Python's own table reach the codec registry, which would import a module by that name and remember
    every name for ever. UTF-7 is left out, as in the WHATWG Encoding standard: it hides markup from filters.
    """
    return _lookup_charset(name) if len(name) <= _LONGEST_CHARSET and name.isascii() else None


@lru_cache(maxsize=256)
def _lookup_charset(name: str) -> str | None:
    normal = encodings.normalize_encoding(name).lower()
    codec = aliases.get(normal, normal)
    if codec in _NO_CHARSETS or codec not in _text_codecs():
        return None
    return codec


@lru_cache(maxsize=1)
def _text_codecs() -> frozenset[str]:
    # The table of aliases leaves out the codecs without any; idna, punycode and the escapes are not added on purpose.
    return frozenset((*aliases.values(), "utf_8_sig", "koi8_t", "koi8_u", "cp720", "cp737", "cp874", "mac_arabic"))


# Text


def decode_text(content: bytes, content_type: str, encoding: str | None = None) -> str:
    """`content` as text: the charset of its Content-Type, else its byte order mark, else UTF-8; never an error.

    Args:
        content: the bytes.
        content_type: the Content-Type field, "" for none.
        encoding: a charset that overrules both (axios's `responseEncoding`).

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE for an `encoding` that is unknown.
    """
    return _decode_text(content, _pick_charset(content, content_type, encoding), "replace")


def _pick_charset(content: bytes, content_type: str, encoding: str | None) -> str:
    if encoding is not None:
        codec = lookup_charset(encoding)
        if codec is None:
            raise AtomHTTPOptionError(f"responseEncoding {encoding[:40]!r} is unknown", "ERR_BAD_OPTION_VALUE")
        return codec
    return find_charset(content_type) or _charset_of_mark(content) or "utf_8"


def _charset_of_mark(content: bytes) -> str | None:
    for mark, codec in _BOMS:
        if content.startswith(mark):
            return codec
    return None


def _decode_text(content: bytes, codec: str, errors: str) -> str:
    return content.decode(codec, errors).removeprefix("\ufeff")


# Response types


def decode_json_body(
    content: bytes,
    content_type: str,
    *,
    strict: bool = False,
    decoder: Callable[[bytes], Any] | None = None,
    encoding: str | None = None,
) -> Any:
    """`response.data` of the response type "json", the default one.

    Args:
        content: the bytes; none give None.
        content_type: the Content-Type field, "" for none.
        strict: raise when it is not JSON (axios's `transitional.silentJSONParsing: false`).
        decoder: the `jsonDecoder` option, called with the bytes; a ValueError from it means "not JSON".
        encoding: the `responseEncoding` option, for what is not JSON in UTF-8.

    Returns:
        The value; for what is not JSON the text, or the bytes where the Content-Type or the bytes themselves say that
        it is no text.

    Raises:
        AtomHTTPDecodeError: with `strict`, when it is not JSON.
    """
    if not content:
        return None
    value: object
    try:
        value = json_codec.loads(content) if decoder is None else decoder(content.removeprefix(_BOM_UTF8))
    except ValueError as error:
        problem = _detached(error)
    else:
        kind = type(value)
        if kind is dict or kind is list:
            return value
        if not _is_bare(value) or is_json_type(content_type) or not content_type:
            return value
        return _decode_other(content, content_type, encoding)
    return _decode_refused(content, content_type, strict, decoder, encoding, problem)


def _is_bare(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float))


def _decode_refused(
    content: bytes,
    content_type: str,
    strict: bool,
    decoder: Callable[[bytes], Any] | None,
    encoding: str | None,
    problem: ValueError,
) -> Any:
    """JSON in another charset (RFC 7159 still allowed UTF-16; servers say Latin-1), else not JSON."""
    codec = _pick_charset(content, content_type, encoding)
    if codec != "utf_8" and is_json_type(content_type):
        try:
            recoded = _decode_text(content, codec, "strict").encode()
            return json_codec.loads(recoded) if decoder is None else decoder(recoded)
        except ValueError as error:
            problem = _detached(error)
    if strict:
        raise AtomHTTPDecodeError(f"the body is not JSON: {problem}") from problem
    return _decode_other(content, content_type, encoding)


def _detached(error: ValueError) -> ValueError:
    """`error` without tracebacks: they would hold on to the frame that holds it, and with it to the response."""
    error.__context__ = None
    return error.with_traceback(None)


def _decode_other(content: bytes, content_type: str, encoding: str | None) -> str | bytes:
    if is_binary_type(content_type):
        return content
    try:
        return _decode_text(content, _pick_charset(content, content_type, encoding), "strict")
    except ValueError:
        return content


def decode_typed(content: bytes, type_: Any, content_type: str = "") -> Any:
    """`response.data` of a response type that is a type.

    Args:
        content: the bytes.
        type_: `bytes`, `str`, or what JSON decodes into: dataclasses, TypedDict, NamedTuple, msgspec Structs, attrs
            classes, `list[…]`, `dict[…]`, unions, datetime, UUID, Decimal, Enum; pydantic models (alone, in a list, in
            a union, in a dataclass) when the caller imported pydantic.
        content_type: the Content-Type field, for `str`.

    Raises:
        AtomHTTPDecodeError: the body is not JSON, or does not fit; the message names the path.
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE for a type that nothing can be decoded into.
    """
    if type_ is bytes:
        return content
    if type_ is str:
        return decode_text(content, content_type)
    try:
        return json_codec.loads_as(content or b"null", type_)
    except json_codec.UnsupportedTypeError as error:
        raise AtomHTTPOptionError(f"response_type cannot be decoded into: {error}", "ERR_BAD_OPTION_VALUE") from error
    except ValueError as error:
        body = "the body" if content else "the empty body"
        raise AtomHTTPDecodeError(f"{body} does not fit {_type_name(type_)}: {error}") from error


def _type_name(type_: Any) -> str:
    return type_.__name__ if isinstance(type_, type) and not hasattr(type_, "__args__") else str(type_)
