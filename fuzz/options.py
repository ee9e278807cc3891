"""Options of callers: whatever they are, what comes of them is a config or a clear error."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from atomhttp import AtomHTTP, BasicAuth, CookieJar, Headers, RequestConfig, Timeout, merge_config
from atomhttp._model.options import BY_NAME, CALL_OPTIONS, CLIENT_OPTIONS, ELSEWHERE, OPTIONS, Option
from atomhttp.errors import AtomHTTPError, AtomHTTPOptionError, AtomHTTPURLError
from fuzz.promises import check_message
from fuzz.reader import Reader, text_of

# Where secrets stand. Elsewhere (`cert`, `meta`, …) a caller has put them by mistake, and a message may show it.
_SECRET_PLACES: Final = frozenset(("url", "base_url", "baseURL", "proxy", "auth", "headers", "cookies", "timeout"))


def _function(*_: Any) -> None:
    """A callback."""


class Odd:
    """An object that is nothing that an option could be, with a text of its own."""

    def __str__(self) -> str:
        return "http://odd.example/\r\n"


TEXTS: Final = (
    "", "a", "http://h.example/x", "//h", "GET", "text", "utf-8", "/run/x.sock", "public", "x\r\ny", "\ud800", "\x00",
    "Wed", "-1", "a=b;c", "é", "None", "127.0.0.1", "::1", "all://", "*", "10" * 40,
)  # fmt: skip
VALUES: Final = (
    "http://u:sesame@p:1",
    None, True, False, 0, 1, -1, 2**63, 10**400, 1.5, float("nan"), float("inf"), -0.0, b"", b"\xff", Decimal("NaN"),
    timedelta(seconds=-1), timedelta(seconds=1), Path("/tmp"), _function, Odd(), Odd, Timeout(total=3), object(), ...,
    BasicAuth("u", "sesame"), 1j, range(3), frozenset((1,)),
)  # fmt: skip
KEYS: Final = (
    "total", "connect", "read", "max_retries", "maxRetries", "methods", "backoff", "http://", "all://h", "host", "port",
    "auth", "username", "password", "encode", "indexes", "common", "post", "X-A", "silentJSONParsing", "up", "a",
)  # fmt: skip
NAMES: Final = (*(option.name for option in OPTIONS), *(option.alias for option in OPTIONS))
UNKNOWN: Final = (*sorted(ELSEWHERE), "", "_plan", "__class__", "keys", "http2", "a\nb", "\ud800")


def run(data: bytes) -> None:
    """Control bytes: what to build; then options, each a name and a value."""
    reader = Reader(data)
    shape = reader.byte() % 4
    first, second = _mapping(reader), _mapping(reader)
    before = _picture(first), _picture(second)
    try:
        if shape == 0:
            _check_config(first)
        elif shape == 1:
            _check_merge(first, second)
        elif shape == 2:
            _check_client(first, second)
        else:
            _check_spellings(first)
    finally:
        assert (_picture(first), _picture(second)) == before, "an option that was given has been changed"


def _mapping(reader: Reader) -> dict[str, Any]:
    given = {}
    for _ in range(reader.byte() % 4 + 1):
        number = reader.byte()
        name = NAMES[number % len(NAMES)] if number < 250 else reader.pick(UNKNOWN)
        given[name] = _value(reader, BY_NAME.get(name))
    return given


def _value(reader: Reader, option: Option | None, depth: int = 0) -> Any:
    kind = reader.byte() % 12
    if kind == 0 and option is not None:
        return copy.copy(option.default)
    if kind < 4:
        return reader.pick(VALUES)
    if kind < 6:
        return reader.pick(TEXTS)
    if kind == 6:
        return text_of(reader.take(reader.byte() % 32))
    if kind == 7 or depth > 3:
        return reader.byte() << 8 | reader.byte()
    items = [_value(reader, None, depth + 1) for _ in range(reader.byte() % 4)]
    if kind < 10:
        return items if kind == 8 else tuple(items)
    keys = [reader.pick(KEYS) if reader.flag() else reader.pick(TEXTS) for _ in items]
    mapping = dict(zip(keys, items, strict=True))
    return _special(option, mapping) if kind == 10 and option is not None else mapping


def _special(option: Option, mapping: dict[str, Any]) -> Any:
    """What some options take besides mappings."""
    try:
        if option.name == "headers":
            return Headers(mapping)
        if option.name == "cookies":
            return CookieJar(mapping, url="https://h.example/")
        if option.name == "timeout":
            return Timeout(**mapping)
    except (AtomHTTPOptionError, TypeError):
        pass  # as a mapping, then
    return mapping


def _check_config(given: dict[str, Any]) -> None:
    config = _attempt(lambda: RequestConfig(given), given)
    if config is None:
        return
    for name, value in config.items():
        assert config[BY_NAME[name].alias] is value
    _check_shown(config)
    for twin in (copy.copy(config), copy.deepcopy(config), RequestConfig(config)):
        assert list(twin.keys()) == list(config.keys()) or set(twin.keys()) == {*config.keys(), "headers"}
    # Once kept, a value is taken again: `client.request(response.config)`.
    again = RequestConfig(dict(config.items()))
    assert set(again.keys()) == set(config.keys())


def _check_merge(first: dict[str, Any], second: dict[str, Any]) -> None:
    merged = _attempt(lambda: merge_config(first, second), {**first, **second})
    if merged is None:
        return
    kept = [_attempt(lambda each=each: RequestConfig(each), each) for each in (first, second)]
    assert None not in kept, "each by itself is refused, and both together are not"
    given = {BY_NAME[name].name for name in (*first, *second)}
    assert set(merged.keys()) - {"headers"} <= given
    _check_unshared(merged, first, second)
    _check_unshared(merge_config(*kept), *kept)


def _check_unshared(merged: RequestConfig, *sources: Any) -> None:
    """What is put into a merged config must not turn up in what it was made of."""
    for source in sources:
        for name in ("params", "meta", "headers"):
            held, kept = source.get(name), merged.__dict__.get(name)
            assert kept is not held or not isinstance(kept, (dict, list, Headers)), f"{name} is shared"


def _check_client(first: dict[str, Any], second: dict[str, Any]) -> None:
    """A client makes no request, and needs no closing then."""
    client = _attempt(lambda: AtomHTTP(first), first, CLIENT_OPTIONS)
    if client is None:
        return
    assert repr(client).isprintable()
    assert "sesame" not in repr(client) + repr(client.defaults) or not _SECRET_PLACES.issuperset(first)
    for call in (second, {"url": "/x", **second}):
        # What is wrong may be the client's: what one by itself would have been told may only be seen together.
        _attempt(lambda call=call: client.get_uri(call), {**first, **call})
    child = _attempt(lambda: client.create(second), second, CLIENT_OPTIONS)
    if child is not None:
        child.defaults.headers["X-Child"] = "1"
        assert "x-child" not in client.defaults.headers


def _check_spellings(given: dict[str, Any]) -> None:
    """An option's two names mean the same."""
    python = {BY_NAME[name].name if name in BY_NAME else name: value for name, value in given.items()}
    axios = {BY_NAME[name].alias if name in BY_NAME else name: value for name, value in given.items()}
    ours = _attempt(lambda: RequestConfig(python), python)
    theirs = _attempt(lambda: RequestConfig(axios), axios)
    assert (ours is None) == (theirs is None)
    if ours is not None and theirs is not None:
        assert set(ours.keys()) == set(theirs.keys())
        assert ours.to_dict().keys() == theirs.to_dict().keys()


def _attempt(build: Any, given: Mapping[str, Any], table: Mapping[str, Option] = CALL_OPTIONS) -> Any:
    """What is built, or None where it is refused, in words that name an option."""
    try:
        return build()
    except (AtomHTTPOptionError, AtomHTTPURLError) as error:
        check_message(error, "sesame" if _SECRET_PLACES.issuperset(given) else None)
        if len(given) == 1 and isinstance(error, AtomHTTPOptionError):
            (name,) = given
            _check_named(name, error)
        return None


def _check_named(name: str, error: AtomHTTPError) -> None:
    option = BY_NAME.get(name)
    names = (name,) if option is None else (option.name, option.alias)
    said = str(error)
    assert any(repr(each)[1:-1] in said for each in names), f"{name} is not named in {said!r}"


def _check_shown(config: RequestConfig) -> None:
    assert "sesame" not in repr(config) or not _SECRET_PLACES.issuperset(config.keys())
    config.to_dict()
    config.redacted()


def _picture(value: Any, depth: int = 0) -> Any:
    """`value` as it stands, for a comparison later."""
    if depth > 8:
        return "…"
    if isinstance(value, Headers):
        return ("headers", value.multi_items(), value.locked)
    if isinstance(value, CookieJar):
        return ("jar", value.cookies)
    if isinstance(value, Mapping):
        return ("mapping", [(key, _picture(item, depth + 1)) for key, item in value.items()])
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [_picture(item, depth + 1) for item in value])
    return (type(value).__name__, repr(value))


def _seed(*bytes_: int) -> bytes:
    return bytes(bytes_)


SEEDS: Final = (
    *(_seed(0, 0, number, 4, 2) for number in range(len(OPTIONS))),
    *(_seed(2, 0, number, 0) for number in range(len(OPTIONS))),
    *(_seed(shape, 0, number, 10, 2, 4, 2, 7, 0, 9, 1, 0, 1, 1) for shape in range(4) for number in range(6, 12)),
    # Found: headers that are None could not be copied; a colon in a user name, paths that are none, a shared `meta`.
    _seed(0, 0, 7, 0, 0, 0, 0),
    _seed(0, 0, 11, 8, 2, 4, 3, 4, 1),
    _seed(2, 0, 37, 8, 1, 11, 0),
    _seed(1, 0, 42, 11, 1, 1, 21, 7, 0, 1, 0, 42, 11, 1, 1, 21, 7, 0, 1),
    _seed(1, 1, 6, 10, 1, 5, 1, 1, 0, 7, 8, 1, 4, 1, 1, 6, 10, 1, 5, 2, 1, 3),
)
