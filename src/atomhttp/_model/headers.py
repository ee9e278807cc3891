"""Header fields: a case-insensitive multi-mapping of str to str (RFC 9110 section 5; axios's AxiosHeaders)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Final, cast

from multidict import CIMultiDict

from atomhttp._redact import redact_fields, show_some, show_value
from atomhttp.errors import AtomHTTPOptionError
from atomhttp.types import HeadersInput, HeaderValue

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_Matcher = str | re.Pattern[str] | Callable[[str, str], bool] | None


def check_plain_fields(headers: Mapping[Any, Any]) -> tuple[tuple[str, str, str], ...] | None:
    """(name, its lower case, value) of each field; None where one is no plain text, a name stands there twice, or a
    field is wrong: then `Headers` knows what to do."""
    fields: list[tuple[str, str, str]] = []
    seen: set[str] = set()
    for name, value in headers.items():
        if type(name) is not str or type(value) is not str or _NAME.fullmatch(name) is None:
            return None
        key = name.lower()
        text = value.strip(" \t")
        if key in seen or _VALUE.fullmatch(text) is None:
            return None
        seen.add(key)
        fields.append((name, key, text))
    return tuple(fields)


class Headers(MutableMapping[str, str]):
    """Header fields in order. Names match whatever their case and keep the spelling that came first.

    `headers[name]` joins several values by ", " (Set-Cookie: the first); `get_all(name)` lists them. Setting a list
    sets one field line an item; None removes the field; False removes it and keeps it removed until it is set with
    `rewrite=True`. Values may be str, int, float or bytes.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE for CR, LF, NUL and other control characters, and for other types.
    """

    __slots__ = ("_fields", "_locked", "_on_change", "_removed")

    def __init__(self, headers: HeadersInput | None = None) -> None:
        self._fields: CIMultiDict[str] = CIMultiDict()
        self._locked: frozenset[str] = frozenset()
        # Set to None: absent here, and taken out of what these fields are merged over.
        self._removed: frozenset[str] = frozenset()
        self._on_change: Callable[[], None] | None = None
        if headers is not None:
            self.update(headers)

    @classmethod
    def from_raw(cls, fields: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Received fields: UTF-8 where they are, else Latin-1 (which never fails)."""
        headers = cls.__new__(cls)
        headers._fields = CIMultiDict([(name.decode("ascii"), decode_value(value)) for name, value in fields])
        headers._locked = headers._removed = frozenset()
        headers._on_change = None
        return headers

    # Reading

    def __getitem__(self, name: str) -> str:
        values = self._fields.getall(name)
        return values[0] if len(values) == 1 or name.lower() == "set-cookie" else ", ".join(values)

    def get(self, name: str, default: Any = None) -> Any:
        """The value as `headers[name]` gives it, or `default`."""
        return self[name] if name in self._fields else default

    def get_all(self, name: str) -> list[str]:
        """Every value of `name`, one a field line; an empty list when there is none."""
        return self._fields.getall(name, [])

    def get_set_cookie(self) -> list[str]:
        """Every Set-Cookie value: they cannot be joined (RFC 9110 section 5.3)."""
        return self.get_all("set-cookie")

    def has(self, name: str, matcher: _Matcher = None) -> bool:
        """Whether the field is there (and its value matches: a substring, a pattern, a function of value and name)."""
        return name in self._fields and _matches(matcher, self[name], name)

    @property
    def locked(self) -> frozenset[str]:
        """The names, in lower case, of fields that were set to False: they stay away."""
        return self._locked

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(_first_spellings(self._fields.keys())))

    def __len__(self) -> int:
        return len({name.lower() for name in self._fields})

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return self._fields == other._fields
        if isinstance(other, Mapping):
            return self == Headers(cast("Mapping[str, Any]", other))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable

    def multi_items(self) -> list[tuple[str, str]]:
        """Every field line as (name, value), in order."""
        return list(self._fields.items())

    def to_json(self) -> dict[str, str | list[str]]:
        """A plain dict; a field of several lines becomes a list (axios's `toJSON`)."""
        plain: dict[str, str | list[str]] = {}
        for name in self:
            values = self._fields.getall(name)
            plain[name] = values[0] if len(values) == 1 else values
        return plain

    def __repr__(self) -> str:
        return f"Headers([{show_some([show_value(field) for field in redact_fields(self._fields.items())])}])"

    # Writing

    def __setitem__(self, name: str, value: HeaderValue) -> None:
        self.set(name, value)

    def set(self, name: str, value: HeaderValue, rewrite: bool | None = None) -> Headers:
        """Sets a field. `rewrite`: None overwrites unless the field is locked, False only if absent, True always."""
        name = _check_name(name)
        self._set(name, name.lower(), value, rewrite)
        return self

    def _set(self, name: str, key: str, value: HeaderValue, rewrite: bool | None) -> None:
        fields = self._fields
        if (key in self._locked and rewrite is not True) or (rewrite is False and name in fields):
            return
        if value is None or value is False:
            fields.popall(name, None)
            self._removed |= {key}
            if value is False:
                self._locked |= {key}
        else:
            values = _check_values(name, value)
            if self._locked or self._removed:
                self._locked -= {key}
                self._removed -= {key}
            if name in fields:
                name = next(known for known in fields if known.lower() == key)
            if len(values) == 1:
                fields[name] = values[0]
            else:
                fields.popall(name, None)
                fields.extend([(name, item) for item in values])
        self._changed()

    def append(self, name: str, value: HeaderValue) -> None:
        """Adds a field line without touching those there."""
        if value is not None and value is not False:
            self._fields.extend([(_check_name(name), item) for item in _check_values(name, value)])
            self._changed()

    def update(self, headers: HeadersInput | None = None, /, **more: HeaderValue) -> None:  # type: ignore[override]  # more values
        """Sets every field of `headers`: what is there under the same name is replaced, repeated pairs are kept."""
        seen: set[str] = set()
        pairs = () if headers is None else _pairs(headers)
        for name, value in [*pairs, *more.items()] if more else pairs:
            name = _check_name(name)  # noqa: PLW2901  # a plain str from here on
            key = name.lower()
            if key in seen and value is not None and value is not False:
                self.append(name, value)
            else:
                seen.add(key)
                self._set(name, key, value, None)

    def __delitem__(self, name: str) -> None:
        del self._fields[name]
        self._changed()

    def delete(self, name: str | Iterable[str], matcher: _Matcher = None) -> bool:
        """Removes a field, or several; True when something was removed (axios's `delete`)."""
        names = [name] if isinstance(name, str) else list(name)
        found = [item for item in names if self.has(item, matcher)]
        for item in found:
            del self[item]
        return bool(found)

    def clear(self, matcher: _Matcher = None) -> bool:  # type: ignore[override]  # axios's returns whether it did
        """Removes every field, or those whose name matches; True when something was removed."""
        return self.delete([name for name in self if _matches(matcher, name, name)])

    def concat(self, *others: HeadersInput | None) -> Headers:
        """A new Headers: this one, updated by each of `others`."""
        joined = self.copy()
        for other in others:
            joined.update(other)
        return joined

    def normalize(self, format: bool = False) -> Headers:
        """Joins repeated fields under one spelling each; with `format`, names become Like-This."""
        for name in list(self):
            values = self._fields.popall(name)
            spelling = "-".join(part.capitalize() for part in name.split("-")) if format else name
            separate = name.lower() == "set-cookie"
            self._fields.extend([(spelling, item) for item in (values if separate else [", ".join(values)])])
        self._changed()
        return self

    def copy(self) -> Headers:
        """An independent copy."""
        twin = Headers.__new__(Headers)
        twin._fields = self._fields.copy()
        twin._locked, twin._removed = self._locked, self._removed
        twin._on_change = None
        return twin

    __copy__ = copy

    def __deepcopy__(self, memo: object) -> Headers:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (list(self._fields.items()), self._locked, self._removed))

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change()


def _restore(items: list[tuple[str, str]], locked: frozenset[str], removed: frozenset[str]) -> Headers:
    headers = Headers()
    headers._fields.extend(items)
    headers._locked, headers._removed = locked, removed
    return headers


def _pairs(headers: Any) -> Iterable[tuple[str, HeaderValue]]:
    given = headers  # tested under another name, so that its own type stays
    # A dict first: asking it whether it is a Mapping takes longer than all the rest.
    if type(given) is dict:
        return list(headers.items())
    if isinstance(given, Headers):
        gone = [(name, False if name in given._locked else None) for name in given._removed]
        return [*gone, *given._fields.items()]
    if isinstance(given, Mapping):
        items: Iterable[tuple[str, HeaderValue]] = headers.items()
        return items
    try:
        return [(name, value) for name, value in headers]
    except (TypeError, ValueError):
        raise AtomHTTPOptionError(
            f"headers: expected a mapping or (name, value) pairs, got {type(headers).__name__}", "ERR_BAD_OPTION_VALUE"
        ) from None


def _check_name(name: object) -> str:
    if type(name) is str and _NAME.fullmatch(name) is not None:
        return name
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        # As far as it is one: behind a colon that was meant to separate them would be the value.
        begun = _NAME.match(name) if isinstance(name, str) else None
        what = type(name).__name__ if not isinstance(name, str) else repr(begun[0][:80] + "…" if begun else name[:1])
        raise AtomHTTPOptionError(f"headers: not a field name: {what}", "ERR_BAD_OPTION_VALUE")
    return str.__str__(name)


def _check_values(name: str, value: HeaderValue) -> list[str]:
    if type(value) is str:
        return [_check_value(name, value)]
    items = value if isinstance(value, (list, tuple)) else [value]
    return [_check_value(name, item) for item in items]


def _check_value(name: str, value: object) -> str:
    if type(value) is not str:
        value = _as_text(name, value)
    # Outer white space is not part of a value.
    text = value.strip(" \t")
    if _VALUE.fullmatch(text) is None:
        raise AtomHTTPOptionError(
            f"headers: control character or lone surrogate in the value of {name!r}", "ERR_BAD_OPTION_VALUE"
        )
    return text


def _as_text(name: str, value: object) -> str:
    if isinstance(value, bytes):
        value = decode_value(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise AtomHTTPOptionError(
            f"headers: {name!r} must be str, int, float, bytes or a list of those, got {type(value).__name__}",
            "ERR_BAD_OPTION_VALUE",
        )
    # A plain str: what a subclass's methods say later must not matter.
    return str.__str__(value)


def _matches(matcher: _Matcher, value: str, name: str) -> bool:
    if matcher is None:
        return True
    if isinstance(matcher, str):
        return matcher.lower() in value.lower()
    if isinstance(matcher, re.Pattern):
        return matcher.search(value) is not None
    return bool(matcher(value, name))


def _first_spellings(names: Iterable[str]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name in names:
        yield seen.setdefault(name.lower(), name)


def decode_value(value: bytes) -> str:
    """What a peer sent as text: UTF-8, else Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
