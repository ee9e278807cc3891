"""axios's walk over nested values, which turns them into a flat list of (name, value) pairs.

Query parameters, urlencoded bodies and multipart forms share it (axios: `toFormData`). How names come about:

* `{"a": {"b": 1}}` gives `a[b]`, or `a.b` with `dots`;
* a flat list at the top repeats its key, or gives `a[]`, `a[0]` (see `WalkOptions.indexes`); any other list is
  numbered: `a[0][b]`, `a[b][0]`;
* None is skipped, also in lists; an empty list or mapping gives nothing;
* a top-level key that ends in `{}` sends its mapping or list as JSON text; one that ends in `[]` is unwrapped as a
  flat list whatever it holds.

The walk keeps its own stack: what a caller nests (by mistake, or because an attacker's JSON was passed on) ends at
`max_depth` with an error of ours and never with a RecursionError (axios GHSA-62hf-57xw-28j9).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeGuard
from uuid import UUID

from atomhttp.errors import AtomHTTPOptionError

MAX_DEPTH: Final = 100  # axios's DEFAULT_FORM_DATA_MAX_DEPTH; deeper than any form a server reads.

Key: TypeAlias = "str | int"
Path: TypeAlias = "tuple[Key, ...]"
Visitor: TypeAlias = "Callable[[Any, Key, Path, Walker], bool | None]"
Indexes: TypeAlias = 'bool | Literal["repeat"] | None'


class WalkOptions(NamedTuple):
    """How nested values become names (axios: `paramsSerializer`, `formSerializer`).

    Args:
        indexes: names of the items of a flat list at the top: "repeat" (the key as it is written, again and again),
            False `a[]`, True `a[0]`, None `a` (brackets that the key itself ends in are cut off).
        dots: `a.b` instead of `a[b]`.
        meta_tokens: keep the `{}` of a key whose value went as JSON text.
        visitor: called as (value, key, path, walker) in place of the default; True means "walk into it".
        max_depth: levels below the top; `math.inf` for no limit.
    """

    indexes: Indexes = "repeat"
    dots: bool = False
    meta_tokens: bool = True
    visitor: Visitor | None = None
    max_depth: float = MAX_DEPTH


class Walker:
    """One walk. A visitor gets it as its `helpers`, under axios's names and Python's.

    Args:
        options: how names are built.
        convert: turns a leaf into what the pairs hold; a ValueError says why it cannot.
        root: what errors call the whole value, e.g. "params".
    """

    __slots__ = ("_ancestors", "_convert", "_here", "_options", "_root", "pairs")

    def __init__(self, options: WalkOptions, convert: Callable[[Any], Any], root: str) -> None:
        self.pairs: list[tuple[str, Any]] = []
        self._options = options
        self._convert = convert
        self._root = root
        self._ancestors: list[int] = []
        self._here: Path = ()

    # The walk

    def walk(self, data: Any) -> list[tuple[str, Any]]:
        """The pairs of `data`, a mapping or an iterable of (key, value) pairs.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE for a key or value that has no form, and for a value that holds
                itself; ERR_FORM_DATA_DEPTH_EXCEEDED beyond `max_depth`. Both name the place.
        """
        visit: Visitor = self._options.visitor or _visit_by_default
        top: Iterable[Any] = data.items() if is_mapping(data) else data
        frames: list[tuple[Iterator[tuple[Any, Any]], Path]] = [(iter(top), ())]
        self._ancestors = [id(data)]
        while frames:
            entries, path = frames[-1]
            for given, value in entries:
                if value is None:
                    continue
                key = self._key(given, path)
                self._here = (*path, key)
                trimmed = key.strip() if isinstance(key, str) else key
                if visit(value, trimmed, path, self) is True:
                    frames.append((iter(self._enter(value)), self._here))
                    break
            else:
                frames.pop()
                self._ancestors.pop()
        return self.pairs

    def _enter(self, value: Any) -> Iterable[tuple[Any, Any]]:
        if not self.is_visitable(value):
            raise self._error("is no mapping, list or tuple, so there is nothing to walk into")
        self._check_depth(len(self._ancestors))
        if id(value) in self._ancestors:
            raise self._error("holds itself (circular reference)")
        self._ancestors.append(id(value))
        return _entries(value)

    def _check_depth(self, depth: int) -> None:
        if depth > self._options.max_depth:
            raise self._too_deep(depth)

    def _too_deep(self, depth: int) -> AtomHTTPOptionError:
        return AtomHTTPOptionError(
            f"{self._root} is too deeply nested ({depth} levels, max_depth is {self._options.max_depth}), "
            f"below {describe_path(self._root, self._here[:3])}",
            "ERR_FORM_DATA_DEPTH_EXCEEDED",
        )

    def _key(self, key: Any, path: Path) -> Key:
        if isinstance(key, Enum):
            key = key.value
        if isinstance(key, str):
            return key
        if isinstance(key, int) and not isinstance(key, bool):
            return key
        where = describe_path(self._root, path)
        reason = f"has a key of type {kind_of(key)}; keys are str or int"
        raise AtomHTTPOptionError(f"{where} {reason}", "ERR_BAD_OPTION_VALUE")

    def _error(self, reason: str) -> AtomHTTPOptionError:
        return AtomHTTPOptionError(f"{describe_path(self._root, self._here)} {reason}", "ERR_BAD_OPTION_VALUE")

    # What a visitor may use

    def append(self, name: str, value: Any) -> None:
        """Adds one pair to the result."""
        self.pairs.append((name, value))

    def is_visitable(self, value: Any) -> bool:
        """Whether the walk can go into `value`: a mapping, a list or a tuple."""
        return isinstance(value, (dict, list, tuple, Mapping))

    def convert_value(self, value: Any) -> Any:
        """A leaf as the pairs hold it; None becomes "" (axios's `convertValue`).

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, when it has no such form; names the place.
        """
        if value is None:
            return ""
        try:
            return self._convert(value)
        except ValueError as error:
            raise self._error(str(error)) from None

    def default_visitor(self, value: Any, key: Key, path: Path) -> bool:
        """What happens without a visitor; returns whether to walk into `value` (axios's `defaultVisitor`)."""
        if not path and isinstance(key, str):
            items: Iterable[Any] = value
            if key.endswith("{}") and isinstance(value, (dict, list, tuple, Mapping, date)):
                self.append(key if self._options.meta_tokens else key[:-2], self._json_text(value))
                return False
            if isinstance(value, (list, tuple)) and (key.endswith("[]") or not any(map(self.is_visitable, items))):
                self._append_flat(key, items)
                return False
        if self.is_visitable(value):
            return True
        self.append(render_key(path, key, self._options.dots), self.convert_value(value))
        return False

    def _append_flat(self, key: str, values: Iterable[Any]) -> None:
        indexes, place = self._options.indexes, self._here
        bare = _without_brackets(key)
        for index, value in enumerate(values):
            if value is None:
                continue
            self._here = (*place, index)
            if indexes is True:
                name = render_key((bare,), index, self._options.dots)
            elif indexes is False:
                name = f"{bare}[]"
            else:
                name = bare if indexes is None else key
            self.append(name, self.convert_value(value))

    # `key{}`: JavaScript's JSON.stringify within the walk's depth limit. The codec of bodies lies a layer above, and
    # encodes more than a form may hold.

    def _json_text(self, value: Any) -> str:
        import json  # only `key{}` needs the stdlib's

        try:
            return json.dumps(self._plain(value, [], self._here), ensure_ascii=False, separators=(",", ":"))
        except RecursionError:  # with a max_depth beyond Python's own
            raise self._too_deep(sys.getrecursionlimit()) from None

    def _plain(self, value: Any, ancestors: list[int], place: Path) -> Any:
        if not self.is_visitable(value):
            self._here = place
            return self._plain_leaf(value)
        self._here = place
        if id(value) in ancestors:
            raise self._error("holds itself (circular reference)")
        self._check_depth(len(ancestors) + 1)
        below = [*ancestors, id(value)]
        if is_mapping(value):
            named = [(self._key(key, place), item) for key, item in value.items()]
            return {str(key): self._plain(item, below, (*place, key)) for key, item in named}
        return [self._plain(item, below, (*place, index)) for index, item in enumerate(value)]

    def _plain_leaf(self, value: Any) -> Any:
        if isinstance(value, Enum):
            return self._plain_leaf(value.value)
        if value is None or isinstance(value, bool):
            return value
        try:
            text = leaf_text(value)
        except ValueError as error:
            raise self._error(str(error)) from None
        return value if isinstance(value, (int, float)) else text

    # axios's spellings.
    isVisitable = is_visitable
    convertValue = convert_value
    defaultVisitor = default_visitor


def _visit_by_default(value: Any, key: Key, path: Path, walker: Walker) -> bool:
    return walker.default_visitor(value, key, path)


def leaf_text(value: Any) -> str:
    """A single value as text: what params send, and text fields of forms.

    str as it is, int and float as Python writes them, `true`/`false`, ISO 8601 for dates and times, UUID and Decimal
    as text, an Enum as its value.

    Raises:
        ValueError: with the reason, for anything else.
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        text = str.__str__(value)
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, (int, float, Decimal)):
        text = _number_text(value)
    elif isinstance(value, (date, time)):
        text = value.isoformat()
    elif isinstance(value, UUID):
        text = str(value)
    else:
        raise ValueError(f"is of type {kind_of(value)}, which cannot be sent{_hint(value)}")
    return text


def _number_text(value: int | float | Decimal) -> str:
    if isinstance(value, int):
        # Not str(): a subclass may print itself in another way.
        return int.__repr__(value)
    if not math.isfinite(value):
        raise ValueError("is NaN or infinite, which has no agreed spelling; pass a str")
    return float.__repr__(value) if isinstance(value, float) else str(value)


def _hint(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "; decode it to str"
    if isinstance(value, (set, frozenset)):
        return ": a set has no order; pass a list"
    return ""


def render_key(path: Path, key: Key, dots: bool) -> str:
    """The name of what lies at `key` below `path`: `a[b][0]`, or `a.b.0` with `dots`; brackets of keys are cut off."""
    if not path:
        return str(key)
    first, *rest = [_without_brackets(str(token)) for token in (*path, key)]
    if dots:
        return ".".join([first, *rest])
    return first + "".join([f"[{token}]" for token in rest])


def describe_path(root: str, path: Iterable[Key]) -> str:
    """A place inside a value, for messages: `params.items[2].price`."""
    return root + "".join(f"[{key}]" if isinstance(key, int) else f".{_printable(str(key))}" for key in path)


def kind_of(value: Any) -> str:
    """The type's name as a message shows it; the value itself never appears in messages, it may be a secret."""
    given: object = value
    kind = type(given)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


# To a type checker `isinstance(value, Mapping)` leaves open what is inside, and strict ones object to its use. Where
# every request passes, a second name for the value, of type Any, spares these calls.


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether `value` is a mapping."""
    return isinstance(value, Mapping)


def is_listed(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether `value` is a list or a tuple."""
    return isinstance(value, (list, tuple))


def _printable(key: str) -> str:
    shown = key if len(key) <= 40 else f"{key[:40]}…"
    return shown if shown.isprintable() else ascii(shown)[1:-1]


def _without_brackets(key: str) -> str:
    return key.removesuffix("[]")


def _entries(value: Mapping[Any, Any] | list[Any] | tuple[Any, ...]) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return value.items()
    return enumerate(value)
