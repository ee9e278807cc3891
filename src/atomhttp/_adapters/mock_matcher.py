"""What a registered request looks like, and why another one is not it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from atomhttp._adapters.mock_request import MockRequest
from atomhttp._body.streamed import BYTES_LIKE
from atomhttp._model.params import serialize_params
from atomhttp._model.url import is_absolute, parse_url
from atomhttp._redact import is_secret_name, redact_url, redact_value
from atomhttp._wire.http1_writer import encode_method
from atomhttp.errors import AtomHTTPOptionError, AtomHTTPURLError

ANY: Final = "*"
# As much of a value as a message shows.
SHOWN: Final = 200
# For isinstance. What passes stays Any (Final would undo that): of a bare `list` pyright would not know the items.
LIST: type[Any] = list
TUPLE: type[Any] = tuple
MAPPING: type[Any] = Mapping
PATTERN: type[Any] = re.Pattern


class Matcher:
    """Matches requests; `MockAdapter.on` says how.

    Attributes:
        method: upper case; "*" for any.
    """

    def __init__(self, method: str | None, url: Any, params: Any, headers: Any, data: Any) -> None:
        self.method = _read_method(method)
        self._url = UrlMatcher(url)
        self._query = _read_query(self._url.query, params)
        self._headers = _read_headers(headers)
        self._data = _read_data(data)
        self._key = (self.method, url, params, headers, data)

    def refusal(self, request: MockRequest) -> tuple[int, str] | None:
        """None when `request` matches; else how near it came (0 to 4), and why it does not match."""
        if self.method not in (ANY, request.method.upper()):
            return 0, f"the method is {request.method}"
        checks = (self._url.refusal, self._refuse_query, self._refuse_headers, self._refuse_data)
        for nearness, refuse in enumerate(checks, 1):
            if reason := refuse(request):
                return nearness, reason
        return None

    def is_same(self, other: Matcher) -> bool:
        """Whether both were given the same conditions."""
        return bool(self._key == other._key)

    def _refuse_query(self, request: MockRequest) -> str:
        if self._query is None:
            return ""
        given: dict[str, list[str]] = {}
        for name, value in request.query:
            given.setdefault(name, []).append(value)
        for name, expected in self._query.items():
            if name not in given:
                return f"the parameter {name!r} is missing"
            values = given.pop(name)
            if len(values) != len(expected) or not all(map(_value_matches, expected, values)):
                wanted = expected if len(expected) > 1 else expected[0]
                return (
                    f"the parameter {name!r} is {_shown(name, values if len(values) > 1 else values[0])}, expected "
                    + (_shown(name, wanted))
                )
        return f"the parameter {next(iter(given))!r} was not expected" if given else ""

    def _refuse_headers(self, request: MockRequest) -> str:
        for name, expected in self._headers.items():
            value = request.headers.get(name)
            if expected is None:
                if value is not None:
                    return f"the header {name!r} was not expected"
            elif value is None:
                return f"the header {name!r} is missing"
            elif isinstance(expected, LIST):
                if request.headers.get_all(name) != [_text_of(item) for item in expected]:
                    return f"the header {name!r} is {_shown(name, value)}, expected {_shown(name, expected)}"
            elif not _value_matches(expected, value):
                if is_secret_name(name):
                    return f"the header {name!r} is not what was expected"
                return f"the header {name!r} is {_shown(name, value)}, expected {_shown(name, expected)}"
        return ""

    def _refuse_data(self, request: MockRequest) -> str:
        expected = self._data
        if expected is None:
            return ""
        if isinstance(expected, (bytes, str)):
            body: Any = request.body if isinstance(expected, bytes) else request.text
            return "" if body == expected else f"the content is {_shown('', body)}, expected {_shown('', expected)}"
        if isinstance(expected, PATTERN):
            body = request.body if isinstance(expected.pattern, bytes) else request.text
            return "" if expected.search(body) else f"the content does not match {expected.pattern!r}"
        actual = request.data
        if callable(expected):
            return "" if expected(actual) else f"match_data, {_name_of(expected)}, said no to the content"
        if not isinstance(actual, (dict, list, int, float)) and actual is not None:
            # Sent by somebody who did not say that it is JSON.
            try:
                actual = request.json()
            except ValueError:
                return f"the content is neither JSON nor a form: {_shown('', actual)}"
        is_form = "form" in (request.content_type or "")
        return find_difference(_as_form(expected) if is_form else expected, actual)

    def __str__(self) -> str:
        conditions: list[str] = []
        if self._query is not None and not self._url.query:
            conditions.append(f"params={_shown('params', self._query)}")
        if self._headers:
            conditions.append(f"match_headers={_shown('headers', self._headers)}")
        if self._data is not None:
            conditions.append(f"match_data={_shown('data', self._data)}")
        return f"{self.method} {self._url}{' with ' if conditions else ''}{', '.join(conditions)}"


class UrlMatcher:
    """Matches URLs; see `MockAdapter.on`.

    Attributes:
        query: the query that it asks for, "" when it leaves that open.
    """

    def __init__(self, url: Any) -> None:
        self.query = ""
        self._origin: tuple[str | None, re.Pattern[str], int | None] | None = None
        self._path: re.Pattern[str] | None = None
        self._pattern: re.Pattern[str] | None = None
        self._shown = ANY
        if isinstance(url, PATTERN):
            if not isinstance(url.pattern, str):
                raise bad_mock("url", "a pattern for text, and not for bytes, was expected")
            self._pattern, self._shown = url, f"re.compile({url.pattern!r})"
        elif url is not None and not isinstance(url, str) and "://" not in str(url):
            raise bad_mock("url", f"expected a path, a URL, a pattern or None, got {url!r}")
        elif url is not None and url != ANY:
            self._read(str(url))

    def _read(self, url: str) -> None:
        """Takes a path or a URL apart, by the parser that clients use: both sides then spell it the same."""
        self._shown = redact_url(url)
        absolute = is_absolute(url)
        has_scheme = absolute and not url.startswith("//")
        whole = url if has_scheme else f"http:{url}" if absolute else f"http://mock/{url.removeprefix('/')}"
        try:
            target = parse_url(whole)
        except AtomHTTPURLError as error:
            raise bad_mock("url", error.message) from None
        path, _, self.query = target.path.partition("?")
        self._path = _glob(path)
        if absolute:
            port = target.port if has_scheme or target.port != 80 else None
            self._origin = (target.scheme if has_scheme else None, _glob(target.host, separator="."), port)

    def refusal(self, request: MockRequest) -> str:
        """Why it does not match; "" when it does."""
        if self._pattern is not None:
            below = request.path_below_base
            mark, query = request.target.path.partition("?")[1:]
            texts = [request.url, request.target.path, *([f"{below}{mark}{query}"] if below is not None else [])]
            return "" if any(map(self._pattern.search, texts)) else "the URL does not match"
        if self._origin is not None:
            scheme, host, port = self._origin
            target = request.target
            if (
                scheme not in (None, target.scheme)
                or port not in (None, target.port)
                or not host.fullmatch(target.host)
            ):
                return f"the origin is {target.scheme}://{target.authority}"
        if self._path is None or self._path.fullmatch(request.path):
            return ""
        if self._origin is None and self._path.fullmatch(request.path_below_base or ""):
            return ""
        return f"the path is {request.path}"

    def __str__(self) -> str:
        return self._shown


def _glob(text: str, separator: str = "/") -> re.Pattern[str]:
    """`*` is any text up to the next separator, `**` any text."""
    kinds = {"**": ".*", "*": f"[^{separator}]*"}
    return re.compile("".join(kinds.get(part, re.escape(part)) for part in re.split(r"(\*\*?)", text)), re.DOTALL)


# Reading the arguments


def _read_method(method: Any) -> str:
    if method is None:
        return ANY
    try:
        # A path is none, and a forgotten method would match nothing for ever.
        return encode_method(method).upper()
    except AtomHTTPOptionError:
        raise bad_mock("method", f"expected a method, '*' or None, got {method!r}") from None


def _read_query(query: str, params: Any) -> dict[str, list[Any]] | None:
    """What the query has to be, by name; None: anything."""
    expected: dict[str, list[Any]] = {}
    _add_pairs(expected, query)
    if params is None:
        return expected if query else None
    if isinstance(params, MAPPING):
        for name, value in params.items():
            values = value if isinstance(value, (LIST, TUPLE)) else [value]
            if any(_is_condition(each) for each in values):
                expected.setdefault(str(name), []).extend(
                    each if _is_condition(each) else _text_of(each) for each in values
                )
            else:
                _add_pairs(expected, _serialize({name: value}))
    else:
        _add_pairs(expected, _serialize(params))
    return expected


def _serialize(params: Any) -> str:
    try:
        return serialize_params(params)
    except AtomHTTPOptionError as error:
        raise bad_mock("params", error.message) from None


def _add_pairs(expected: dict[str, list[Any]], query: str) -> None:
    for name, value in parse_qsl(query, keep_blank_values=True):
        expected.setdefault(name, []).append(value)


def _read_headers(headers: Any) -> dict[str, Any]:
    if headers is None:
        return {}
    if not isinstance(headers, MAPPING):
        raise bad_mock("match_headers", f"expected a mapping, got {type(headers).__name__}")
    for name, value in headers.items():
        known = value is None or isinstance(value, (str, bytes, int, float, LIST)) or _is_condition(value)
        if not isinstance(name, str) or not known or isinstance(value, bool):
            message = f"{name!r}: expected text, a list, a pattern, a function or None, got {type(value).__name__}"
            raise bad_mock("match_headers", message)
    return dict(headers)


def _read_data(data: Any) -> Any:
    if isinstance(data, BYTES_LIKE):
        return bytes(data)
    if isinstance(data, TUPLE):
        return list(data)
    if data is None or isinstance(data, (str, bytes, int, float, LIST, MAPPING)) or _is_condition(data):
        return data
    hint = (
        "; a form is matched by a dict, or by a function that is given one" if type(data).__name__ == "FormData" else ""
    )
    raise bad_mock(
        "match_data", f"expected a dict, a list, text, bytes, a pattern or a function, got {type(data).__name__}{hint}"
    )


def _is_condition(value: object) -> bool:
    return isinstance(value, PATTERN) or (callable(value) and not isinstance(value, type))


def _value_matches(expected: Any, value: str) -> bool:
    if isinstance(expected, PATTERN):
        return expected.search(value) is not None
    return bool(expected(value)) if callable(expected) else _text_of(expected) == value


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.decode() if isinstance(value, bytes) else str(value)


def _as_form(value: Any) -> Any:
    """`value` as it comes out of a form: all texts."""
    if isinstance(value, MAPPING):
        return {str(key): _as_form(item) for key, item in value.items()}
    if isinstance(value, LIST):
        return [_as_form(item) for item in value]
    return _text_of(value) if isinstance(value, (bool, int, float)) else value


# What messages say

_NUMBERS: Final = (bool, int, float)


def find_difference(expected: Any, actual: Any, path: str = "data") -> str:
    """Where `actual` is not what was expected; "" when it is. Values that go by a secret name are not shown."""
    if isinstance(expected, MAPPING) and isinstance(actual, MAPPING):
        for key, value in expected.items():
            if key not in actual:
                return f"{path}.{key} is missing"
            if found := find_difference(value, actual[key], f"{path}.{key}"):
                return found
        extra = [key for key in actual if key not in expected]
        return f"{path}.{extra[0]} was not expected" if extra else ""
    if isinstance(expected, LIST) and isinstance(actual, LIST):
        for place, (value, item) in enumerate(zip(expected, actual, strict=False)):
            if found := find_difference(value, item, f"{path}[{place}]"):
                return found
        return "" if len(expected) == len(actual) else f"{path} has {len(actual)} items, expected {len(expected)}"
    if _is_condition(expected):
        condition: Any = expected
        matches = condition.search(str(actual)) if isinstance(condition, PATTERN) else condition(actual)
    else:
        # JSON's true is no 1.
        matches = expected == actual and (
            type(expected) not in _NUMBERS
            or type(expected) is type(actual)
            or not (isinstance(expected, bool) or isinstance(actual, bool))
        )
    if matches:
        return ""
    if any(is_secret_name(part) for part in re.split(r"[.\[]", path)):
        return f"{path} is not what was expected"
    return f"{path} is {_shown('', actual)}, expected {_shown('', expected)}"


def _shown(name: str, value: Any) -> str:
    """`value` as a message may show it."""
    text = repr(redact_value(name, _plain(value)))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _plain(value: Any) -> Any:
    if isinstance(value, MAPPING):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, LIST):
        return [_plain(item) for item in value]
    if isinstance(value, PATTERN):
        return value
    return _Name(_name_of(value)) if callable(value) else value


class _Name(str):
    """Text that a repr shows as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def bad_mock(name: str, message: str) -> AtomHTTPOptionError:
    """The error for an argument of `MockAdapter.on` that makes no sense."""
    return AtomHTTPOptionError(f"MockAdapter.on: {name}: {message}", "ERR_BAD_OPTION_VALUE")


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", function))
