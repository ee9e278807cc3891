"""Query parameters: from what the caller gives to the text behind the `?` (axios: `params`, `paramsSerializer`).

A flat dict of plain values, which nearly every call has, takes a short cut through `flat_query`; everything else goes
through the walk that forms use as well. The one difference to axios's default: a flat list repeats its key (`a=1&a=2`),
axios writes `a[]=1&a[]=2`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard

from atomhttp._lazy_pattern import lazy_pattern
from atomhttp._model.walker import (
    MAX_DEPTH,
    Indexes,
    Path,
    Visitor,
    Walker,
    WalkOptions,
    describe_path,
    is_listed,
    is_mapping,
    kind_of,
    leaf_text,
)
from atomhttp.errors import AtomHTTPOptionError

if TYPE_CHECKING:
    from atomhttp.types import ParamsInput  # `types` imports ssl, which what serves `_body` must not

Encode: TypeAlias = "Callable[[str, Callable[[str], str]], str] | Callable[[str], str]"
Serialize: TypeAlias = "Callable[[Any, ParamsSerializer], str] | Callable[[Any], str]"
SerializerInput: TypeAlias = "ParamsSerializer | Mapping[str, Any] | Serialize | None"

# axios keeps what JavaScript's encodeURIComponent keeps, plus ":", "$" and ","; a space becomes "+".
_PLAIN_TEXT: Final = lazy_pattern(r"[A-Za-z0-9\-_.!~*'():$,]*")
_PLAIN_FORM_TEXT: Final = lazy_pattern(r"[A-Za-z0-9\-_.*]*")
_ASCII_QUERY: Final = lazy_pattern(r"[\x21\x22\x24-\x7e]*")


def _percent_table(marks: str) -> list[str]:
    """What each byte becomes: ASCII letters, digits and `marks` stay."""
    table = [chr(byte) if byte < 128 and chr(byte).isalnum() else f"%{byte:02X}" for byte in range(256)]
    for mark in marks:
        table[ord(mark)] = mark
    table[0x20] = "+"
    return table


_COMPONENT_TABLE: Final = _percent_table("-_.!~*'():$,")
_FORM_TABLE: Final = _percent_table("-_.*")
_QUERY_TABLE: Final = [chr(byte) if 0x20 < byte < 0x7F and byte != 0x23 else f"%{byte:02X}" for byte in range(256)]


def encode_component(text: str) -> str:
    """`text` percent-encoded as axios does in a query: `:`, `$`, `,` stay and a space becomes `+`.

    Raises:
        UnicodeEncodeError: a lone surrogate, which has no UTF-8.
    """
    return text if _PLAIN_TEXT.fullmatch(text) else "".join([_COMPONENT_TABLE[byte] for byte in text.encode()])


def encode_form_component(text: str) -> str:
    """`text` percent-encoded as in application/x-www-form-urlencoded (WHATWG URL, section 5.2).

    Raises:
        UnicodeEncodeError: a lone surrogate, which has no UTF-8.
    """
    return text if _PLAIN_FORM_TEXT.fullmatch(text) else encode_form_bytes(text.encode())


def encode_form_bytes(value: bytes) -> str:
    """The same of bytes, whatever they stand for."""
    return "".join([_FORM_TABLE[byte] for byte in value])


class RawQuery(str):
    """A piece of query that is already encoded, among pairs: what becomes of a str that was merged with others."""

    __slots__ = ()


# The serializer's options


class ParamsSerializer:
    """How params become text (axios: `paramsSerializer`). Every option takes axios's spelling too.

    Args:
        encode: `encode(text, default)` or `encode(text)` in place of `encode_component`, for names and values;
            `default` is the stricter encoding of urlencoded forms, as in axios.
        serialize: `serialize(params, serializer)` or `serialize(params)`: the whole text; the rest is then unused.
        indexes: a flat list's names: False `a[]`, True `a[0]`, None `a`; not given: the key as it is written, repeated.
        dots: `a.b` instead of `a[b]`; False.
        meta_tokens: keep the `{}` of a key that sent JSON text; True.
        visitor: `visitor(value, key, path, walker)` in place of the default; True means "walk into it".
        max_depth: nested levels, 100; `math.inf` for no limit.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION for an unknown name or two spellings that differ, ERR_BAD_OPTION_VALUE for
            a value of the wrong kind.
    """

    __slots__ = ("dots", "encode", "indexes", "max_depth", "meta_tokens", "serialize", "visitor")

    encode: Encode | None
    serialize: Serialize | None
    indexes: Indexes
    dots: bool
    meta_tokens: bool
    visitor: Visitor | None
    max_depth: float

    def __init__(self, **options: Any) -> None:
        given = read_serializer_options(options, _DEFAULTS, "paramsSerializer")
        for name, default in _DEFAULTS.items():
            object.__setattr__(self, name, given.get(name, default))

    @property
    def metaTokens(self) -> bool:
        """`meta_tokens` in axios's spelling."""
        return self.meta_tokens

    @property
    def maxDepth(self) -> float:
        """`max_depth` in axios's spelling."""
        return self.max_depth

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a ParamsSerializer cannot be changed: make a new one to set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a ParamsSerializer cannot be changed")

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _DEFAULTS}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParamsSerializer) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(tuple(self._values().values()))

    def __repr__(self) -> str:
        return f"ParamsSerializer({', '.join(f'{name}={value!r}' for name, value in self._values().items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_build_serializer, (self._values(),))


WALK_DEFAULTS: Final[Mapping[str, Any]] = {
    "indexes": "repeat",
    "dots": False,
    "meta_tokens": True,
    "visitor": None,
    "max_depth": MAX_DEPTH,
}
_DEFAULTS: Final[Mapping[str, Any]] = {"encode": None, "serialize": None, **WALK_DEFAULTS}
_SPELLINGS: Final = {"metaTokens": "meta_tokens", "maxDepth": "max_depth"}


def _build_serializer(options: dict[str, Any]) -> ParamsSerializer:
    return ParamsSerializer(**options)


def read_serializer_options(given: Mapping[str, Any], known: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The options of a serializer under Python's names, checked.

    Args:
        given: options by name, in either spelling.
        known: the names that may be given, snake_case.
        what: the option they belong to, for messages.

    Raises:
        AtomHTTPOptionError: see `ParamsSerializer`.
    """
    read: dict[str, Any] = {}
    for spelled, value in given.items():
        name = _SPELLINGS.get(spelled, spelled)
        if name not in known:
            raise _unknown_option(spelled, known, what)
        if name in read and read[name] != value:
            raise AtomHTTPOptionError(f"{what}: {name} is given twice, with different values", "ERR_BAD_OPTION")
        _check_option(name, value, what)
        read[name] = value
    return read


def _unknown_option(spelled: object, known: Mapping[str, Any], what: str) -> AtomHTTPOptionError:
    from difflib import get_close_matches  # only a mistake needs it

    close = get_close_matches(str(spelled), [*known, *_SPELLINGS], n=1)
    hint = f": did you mean {close[0]}?" if close else f"; it takes {', '.join(known)}"
    return AtomHTTPOptionError(f"{what} has no option {str(spelled)[:40]!r}{hint}", "ERR_BAD_OPTION")


def _check_option(name: str, value: Any, what: str) -> None:
    if name in ("encode", "serialize", "visitor"):
        good, wanted = value is None or callable(value), "a function"
    elif name == "max_depth":
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
        wanted = "a number of levels, 0 or more"
    elif name == "indexes":
        good, wanted = value is None or value == "repeat" or isinstance(value, bool), "None, False or True"
    else:
        good, wanted = isinstance(value, bool), "True or False"
    if not good:
        raise AtomHTTPOptionError(f"{what}.{name} must be {wanted}, not {kind_of(value)}", "ERR_BAD_OPTION_VALUE")


def build_params_serializer(given: SerializerInput) -> ParamsSerializer | None:
    """The `paramsSerializer` option in its one form: a ParamsSerializer, or None for the default.

    Raises:
        AtomHTTPOptionError: see `ParamsSerializer`; ERR_BAD_OPTION_VALUE for something that is no serializer at all.
    """
    if given is None or isinstance(given, ParamsSerializer):
        return given
    if is_mapping(given):
        return ParamsSerializer(**{str(name): value for name, value in given.items()})
    if callable(given):
        return ParamsSerializer(serialize=given)
    raise AtomHTTPOptionError(
        f"paramsSerializer must be a ParamsSerializer, a mapping or a function, not {kind_of(given)}",
        "ERR_BAD_OPTION_VALUE",
    )


# Serializing


def serialize_params(params: ParamsInput | None, serializer: SerializerInput = None) -> str:
    """`params` as the text behind the `?`, without it; "" when there is nothing to send (axios: `buildURL`).

    Args:
        params: a mapping or (key, value) pairs, nested as one likes; a str is a query that is encoded already. Values
            are str, int, float, bool, date, datetime, UUID, Decimal, Enum; None is left out.
        serializer: `paramsSerializer`: a ParamsSerializer, a mapping of its options, or a function.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE for a value without a text form (bytes, sets, NaN, lone surrogates,
            objects) and for one that holds itself, ERR_FORM_DATA_DEPTH_EXCEEDED beyond 100 levels; both name the place.
    """
    if params is None:
        return ""
    if serializer is None:
        if type(params) is dict:
            query = flat_query(params)
            if query is not None:
                return query
        return _query(params, _DEFAULT_WALK, None)
    built = build_params_serializer(serializer)
    assert built is not None
    if built.serialize is not None:
        return _serialize_by(built.serialize, params, built)
    options = WalkOptions(built.indexes, built.dots, built.meta_tokens, built.visitor, built.max_depth)
    return _query(params, options, built.encode)


_DEFAULT_WALK: Final = WalkOptions()


def flat_query(params: Any) -> str | None:
    """The query of a dict of plain values, or None when it holds anything that needs the walk (1 µs for 3 keys)."""
    pieces: list[str] = []
    try:
        for key, value in params.items():
            # The str methods answer for most texts in a fifth of the time that a regular expression takes.
            if type(key) is not str or not ((key.isidentifier() and key.isascii()) or _PLAIN_TEXT.fullmatch(key)):
                return None
            if type(value) is str:
                text = value if value.isalnum() and value.isascii() else encode_component(value)
            elif type(value) is int:
                text = str(value)
            elif value is None:
                continue
            else:
                return None
            pieces.append(f"{key}={text}")
    except ValueError:  # a lone surrogate, an int beyond the digits Python converts: the walk says so in our words
        return None
    return "&".join(pieces)


def _query(params: Any, options: WalkOptions, encode: Encode | None) -> str:
    if isinstance(params, str):
        return _encoded_query(params)
    encode_piece = _encoder(encode)
    pieces: list[str] = []
    # A merged query is raw among pairs: the walk is run over the stretches between.
    for entries in _stretches(params):
        if isinstance(entries, str):
            pieces.append(_encoded_query(entries))
            continue
        for name, text in Walker(options, leaf_text, "params").walk(entries):
            pieces.append(f"{_encode(encode_piece, name, name)}={_encode(encode_piece, text, name)}")
    return "&".join([piece for piece in pieces if piece])


def _stretches(params: Any) -> Iterable[Any]:
    if isinstance(params, Mapping):
        return [params]
    return _split_raw(read_pairs(params))


def _split_raw(entries: list[Any]) -> list[Any]:
    stretches: list[Any] = []
    pairs: list[tuple[Any, Any]] = []
    for entry in entries:
        if isinstance(entry, RawQuery):
            stretches += (pairs, entry)
            pairs = []
        else:
            pairs.append(entry)
    stretches.append(pairs)
    return stretches


def _encoder(encode: Encode | None) -> Callable[[str], str]:
    if encode is None:
        return encode_component
    by_name: Any = encode
    if _takes_two(by_name):
        return lambda text: by_name(text, encode_form_component)
    return by_name  # type: ignore[no-any-return]  # a caller's function, checked above


def _encode(encode: Callable[[str], str], text: Any, name: Any) -> str:
    if not isinstance(text, str):
        text = _visitor_text(text, name)
    try:
        encoded = encode(text)
    except UnicodeEncodeError:
        where = describe_path("params", (name,))
        raise AtomHTTPOptionError(f"{where} has a lone surrogate, which has no UTF-8", "ERR_BAD_OPTION_VALUE") from None
    if not isinstance(encoded, str):
        raise AtomHTTPOptionError(
            f"paramsSerializer.encode must return str, not {kind_of(encoded)}", "ERR_BAD_OPTION_VALUE"
        )
    return encoded


def _visitor_text(value: Any, name: Any) -> str:
    """What a visitor appended as it was, as text."""
    try:
        return leaf_text(value)
    except ValueError as error:
        raise AtomHTTPOptionError(f"{describe_path('params', (name,))} {error}", "ERR_BAD_OPTION_VALUE") from None


def _encoded_query(text: str) -> str:
    """A query that the caller wrote: kept, except for what would end it (`#`) or is not ASCII."""
    query = text.removeprefix("?")
    if _ASCII_QUERY.fullmatch(query):
        return str(query)
    try:
        return "".join([_QUERY_TABLE[byte] for byte in query.encode()])
    except UnicodeEncodeError:
        raise AtomHTTPOptionError("params has a lone surrogate, which has no UTF-8", "ERR_BAD_OPTION_VALUE") from None


def _serialize_by(serialize: Any, params: Any, serializer: ParamsSerializer) -> str:
    query = serialize(params, serializer) if _takes_two(serialize) else serialize(params)
    if not isinstance(query, str):
        raise AtomHTTPOptionError(
            f"paramsSerializer.serialize must return str, not {kind_of(query)}", "ERR_BAD_OPTION_VALUE"
        )
    return _encoded_query(query)


def _takes_two(function: Callable[..., Any]) -> bool:
    """Whether `function` requires two positional arguments; optional ones (`quote(text, safe)`) have other meanings."""
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional and each.default is Parameter.empty for each in parameters) >= 2


def append_query(query: str, extra: str) -> str:
    """Two query texts joined with `&`; neither is changed (axios keeps the url's own query and adds params)."""
    if not query or not extra:
        return query or extra
    return f"{query}{extra}" if query.endswith("&") else f"{query}&{extra}"


# Reading and merging


def read_pairs(params: Any, option: str = "params") -> list[Any]:
    """The (key, value) pairs of an iterable; `RawQuery` pieces stay as they are.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, when it holds something else.
    """
    entries: Iterable[Any] = params
    if isinstance(params, (bytes, bytearray, set, frozenset)) or not isinstance(params, Iterable):
        raise AtomHTTPOptionError(
            f"{option} must be a mapping, (key, value) pairs or a str, not {kind_of(params)}", "ERR_BAD_OPTION_VALUE"
        )
    pairs: list[Any] = []
    for index, entry in enumerate(entries):
        # A str of two letters unpacks as a pair too, and is never meant as one.
        if isinstance(entry, RawQuery) or (is_listed(entry) and len(entry) == 2):
            pairs.append(entry)
        else:
            raise AtomHTTPOptionError(
                f"{option}[{index}] must be a (key, value) pair, not {kind_of(entry)}", "ERR_BAD_OPTION_VALUE"
            )
    return pairs


def merge_params(base: ParamsInput | None, extra: ParamsInput | None) -> Any:
    """`extra` over `base`, as new values that share no container with either.

    Two mappings merge key by key, recursively; pairs and strs are appended; a None in `extra` removes that key.

    Returns:
        A dict, a list of pairs, a str, or None when both are None.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE for a value that holds itself, ERR_FORM_DATA_DEPTH_EXCEEDED beyond
            100 levels.
    """
    if extra is None:
        return _copy_params(base)
    if base is None:
        return _copy_params(extra)
    if _is_flat(base) and _is_flat(extra):
        return {**base, **extra}
    if isinstance(base, str) and isinstance(extra, str):
        return append_query(base.removeprefix("?"), extra.removeprefix("?"))
    if _is_keyed(base) and _is_keyed(extra):
        return _merge_mappings(base, extra, ())
    return _append_pairs(base, extra)


def _copy_params(params: Any) -> Any:
    if params is None or isinstance(params, str):
        return params
    if _is_flat(params):
        return dict(params)
    if _is_keyed(params):
        return _merge_mappings({}, params, ())
    return _append_pairs((), params)


def _is_flat(params: Any) -> TypeGuard[dict[Any, Any]]:
    """Whether a plain copy will do, as it will for nearly every call (0.6 µs; the merge below takes 3)."""
    given: Any = params
    return type(params) is dict and _PLAIN.issuperset(map(type, given.values()))


def _is_keyed(params: Any) -> bool:
    """Whether `params` is a mapping without repeated keys (a multi-dict is a mapping by type only)."""
    if type(params) is dict:
        return True
    if not is_mapping(params):
        return False
    entries = list(params.items())
    return len(entries) == len(dict(entries))


def _append_pairs(base: Any, extra: Any) -> list[Any]:
    added = _as_pairs(extra)
    removed = {entry[0] for entry in added if not isinstance(entry, RawQuery) and entry[1] is None}
    kept = [entry for entry in _as_pairs(base) if isinstance(entry, RawQuery) or entry[0] not in removed]
    return [
        entry if isinstance(entry, RawQuery) else (entry[0], _copied(entry[1], (), (entry[0],)))
        for entry in kept + added
        if isinstance(entry, RawQuery) or entry[1] is not None
    ]


def _as_pairs(params: Any) -> list[Any]:
    if isinstance(params, str):
        return [RawQuery(params.removeprefix("?"))] if params else []
    return list(params.items()) if is_mapping(params) else read_pairs(params)


_PLAIN: Final = frozenset((str, int, float, bool))


def _merge_mappings(base: Any, extra: Any, ancestors: tuple[int, ...], place: Path = ()) -> dict[Any, Any]:
    below = _descend(ancestors, place, base, extra)
    merged: dict[Any, Any] = {}
    for key, value in base.items():
        if key not in extra and value is not None:
            merged[key] = value if type(value) in _PLAIN else _copied(value, below, (*place, key))
        elif value is not None:
            merged[key] = value  # keeps the place in the order; replaced or removed below
    for key, value in extra.items():
        if value is None:
            merged.pop(key, None)
        elif type(value) in _PLAIN:
            merged[key] = value
        else:
            under = merged.get(key)
            both = isinstance(value, Mapping) and isinstance(under, Mapping)
            deeper = (*place, key)
            merged[key] = _merge_mappings(under, value, below, deeper) if both else _copied(value, below, deeper)
    return merged


def _copied(value: Any, ancestors: tuple[int, ...], place: Path) -> Any:
    if isinstance(value, Mapping):
        return _merge_mappings({}, value, ancestors, place)
    if is_listed(value) and not hasattr(value, "_fields"):
        below = _descend(ancestors, place, value)
        items = [item if type(item) in _PLAIN else _copied(item, below, (*place, i)) for i, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    return value


def _descend(ancestors: tuple[int, ...], place: Path, *values: Any) -> tuple[int, ...]:
    """The ids of the values that are being copied, with `values` added."""
    # The empty dict that a copy is merged into has an id of its own each time, and is no ancestor of anything.
    ids = tuple(id(value) for value in values if value)
    if any(each in ancestors for each in ids):
        where = describe_path("params", place)
        raise AtomHTTPOptionError(f"{where} holds itself (circular reference)", "ERR_BAD_OPTION_VALUE")
    if len(place) > MAX_DEPTH:
        raise AtomHTTPOptionError(
            f"params is too deeply nested (more than {MAX_DEPTH} levels), below {describe_path('params', place[:3])}",
            "ERR_FORM_DATA_DEPTH_EXCEEDED",
        )
    return ancestors + ids
