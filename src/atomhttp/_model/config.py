"""RequestConfig: all options of one call. Defaults: the options of a client, live and checked."""

from __future__ import annotations

import copy
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn, Protocol, TypeAlias, TypeGuard

from atomhttp._model.cookies import CookieJar
from atomhttp._model.headers import Headers
from atomhttp._model.options import BY_NAME, CALL_OPTIONS, CLIENT_OPTIONS, Option, check_options, find_option
from atomhttp._model.params import merge_params
from atomhttp._model.proxy_choice import ProxyEnvironment, read_environment
from atomhttp._redact import REDACTED, redact_url, redact_value, show_some, show_value
from atomhttp.errors import AtomHTTPOptionError, InsecureRequestWarning

# Methods that may have header defaults of their own (axios's `defaults.headers.post`, …).
HEADER_LAYERS: Final = ("common", "get", "head", "post", "put", "patch", "delete", "options", "query")
_logger = logging.getLogger("atomhttp.request")
_BODIES: Final = ("data", "json", "form")
_ESSENTIAL: Final = (*_BODIES, "url", "method", "params", "headers", "meta")
# With these None is no value, as it is with all others: it means "not given".
_NONE_IS_NOT_GIVEN: Final = frozenset((*_BODIES, "params", "headers", "cookies", "meta"))
# A `retryConfig` that has been checked.
_RetryConfig: TypeAlias = Mapping[str, Any] | bool | None


class HeaderLayers(Protocol):
    """A client's defaults, where its calls begin."""

    def build_headers(self, method: str) -> Headers: ...

    def restore(self, fields: dict[str, Any], name: str) -> None:
        """The option `name` as it is when a call does not give it."""


class _Options:
    """Options by attribute or item, in either spelling, checked when set. Kept in `__dict__` under snake_case names."""

    _table: Mapping[str, Option] = CALL_OPTIONS
    _where = "a call"

    def __getattr__(self, name: str) -> Any:
        # Only reached when `__dict__` has no such name: the other spelling, or an option that was not given.
        option = BY_NAME.get(name)
        if option is None or option.name not in self._table:
            _no_such(self, name)
        if option.name != name:
            return getattr(self, option.name)
        return self._absent(option)

    def _absent(self, option: Option) -> Any:
        if option.name == "meta":
            return self.__dict__.setdefault("meta", {})
        return option.default

    def __setattr__(self, name: str, value: Any) -> None:
        option = find_option(name, self._table, self._where)
        self.__dict__[option.name] = option.check(name, value)
        self.touch()

    def __delattr__(self, name: str) -> None:
        option = find_option(name, self._table, self._where)
        self.__dict__.pop(option.name, None)
        self.touch()

    def touch(self) -> None:
        """Something was set."""

    def __getitem__(self, name: str) -> Any:
        find_option(name, self._table, self._where)
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def __contains__(self, name: object) -> bool:
        option = self._table.get(name) if isinstance(name, str) else None
        return option is not None and option.name in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def get(self, name: str, default: Any = None) -> Any:
        """The option if it was given, else `default`."""
        return self[name] if name in self else default  # noqa: SIM401  # this is that method

    def keys(self) -> list[str]:
        """The options that are set, in snake_case."""
        return [name for name in self.__dict__ if not name.startswith("_")]

    def items(self) -> list[tuple[str, Any]]:
        """(name, value) of the options that are set."""
        return [(name, getattr(self, name)) for name in self.keys()]

    def to_dict(self) -> dict[str, Any]:
        """The options that are set, secrets redacted; of a body, its kind only."""
        return {
            name: f"<{type(value).__name__}>" if name in _BODIES else redact_value(name, value)
            for name, value in self.items()
            if value is not None
        }

    def __repr__(self) -> str:
        # What everybody has is no news: of a call that was sent, all options are set.
        shown = [
            f"{name}={show_value(value)}"
            for name, value in self.to_dict().items()
            if not _is_default(BY_NAME[name], self.__dict__.get(name))
        ]
        return f"{type(self).__name__}({show_some(shown)})"


def _is_default(option: Option, value: Any) -> bool:
    default = option.default
    # By value only where that is a plain one: what else it is equal to, is said by the caller's own code.
    return value is default or (type(value) in (bool, int, float, str, tuple) and bool(value == default))


class RequestConfig(_Options):
    """The options of one call: what interceptors see and change, and what `response.config` keeps.

    Args:
        config: a mapping or another RequestConfig, copied.
        options: options by keyword; they win.

    Raises:
        AtomHTTPOptionError: an unknown option, or a value of the wrong kind.

    `client.request(config)` sends the same call again: `url` and `data` are what the caller gave.
    """

    def __init__(self, config: Mapping[str, Any] | RequestConfig | None = None, /, **options: Any) -> None:
        given = given_options(config, options)
        self.__dict__.update(given)
        self.carry_note(config)

    def __setattr__(self, name: str, value: Any) -> None:
        option = find_option(name, self._table, self._where)
        if value is None and option.name in _NONE_IS_NOT_GIVEN:
            delattr(self, name)
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        layers: HeaderLayers | None = self.__dict__.get("_layers")
        if layers is not None:
            layers.restore(self.__dict__, BY_NAME[name].name)

    def touch(self) -> None:
        # It is no longer what a call has given (see `Plan.build_config`).
        self.__dict__.pop("_call", None)

    def _absent(self, option: Option) -> Any:
        if option.name == "headers":
            state = self.__dict__
            layers: HeaderLayers | None = state.get("_layers")
            own: Headers | None = state.get("_call_headers")
            built = layers.build_headers(state["method"]) if layers is not None else Headers()
            headers = state["headers"] = built if own is None else built.concat(own)
            return headers
        return super()._absent(option)

    def keys(self) -> list[str]:
        names = super().keys()
        return names if "headers" in names or "_layers" not in self.__dict__ else [*names, "headers"]

    def carry_note(self, *sources: Any) -> None:
        """Keeps in mind which credentials were a client's own: they do not become the call's by being copied."""
        for source in sources:
            note = source.__dict__.get("_own") if isinstance(source, RequestConfig) else None
            if note is not None:
                self.__dict__["_own"] = note
                return

    @property
    def is_complete(self) -> bool:
        """Whether a client's defaults are in it already, as in `response.config`: they are not applied again."""
        return "_layers" in self.__dict__ or "_complete" in self.__dict__

    def to_curl(self, *, show_secrets: bool = False) -> str:
        """The call as a command line for curl that sends the same request; nothing is sent or read here.

        For a shell that knows `$'…'`: bash, zsh, ksh, busybox. URL, fields and body are those that the client would
        send, with `response.config` its cookies and its proxy too; remarks in front of the command say what no command
        line can. curl follows redirects by rules of its own: to another origin it takes along more fields than we do.

        Args:
            show_secrets: credentials, tokens, cookies and passwords as they are, not as `[redacted]`.

        Raises:
            AtomHTTPURLError, AtomHTTPOptionError: as a call with these options would.
        """
        # Upwards, and only when somebody asks: what a request is made of lies above the options.
        from atomhttp._pipeline.curl import render_curl

        return render_curl(self, show_secrets)

    def redacted(self) -> RequestConfig:
        """A copy that may leave the process in an error: secrets, bodies and functions are gone."""
        plain = RequestConfig.__new__(RequestConfig)
        for name, value in self.to_dict().items():
            if name not in ("data", "json", "form", "headers", "auth") and value != REDACTED and _is_plain(value):
                plain.__dict__[name] = value
        return plain

    def __copy__(self) -> RequestConfig:
        twin = RequestConfig.__new__(RequestConfig)
        twin.__dict__.update(self._state())
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> RequestConfig:
        twin = RequestConfig.__new__(RequestConfig)
        # What cannot be copied (an adapter, an open file) is shared.
        twin.__dict__.update({name: _deep_copy(value, memo) for name, value in self._state().items()})
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        # What belongs to this process (an adapter, an SSLContext, a function without a name) stays in it: the option is
        # not given then. Without what the call itself says, it would be another call.
        state = {name: value for name, value in self._state().items() if name in _ESSENTIAL or _can_be_pickled(value)}
        return (_restore, (state,))

    def _state(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in self.keys()}
        for name, value in state.items():
            if isinstance(value, MappingProxyType):
                state[name] = dict(state[name])
        state["headers"] = self.headers.copy()
        if "_own" in self.__dict__:
            state["_own"] = self.__dict__["_own"]
        # What equals a default matters too where a client's defaults are in it already: they may be others.
        return {**state, "_complete": True} if self.is_complete else state


def _can_be_pickled(value: Any) -> bool:
    import pickle  # 3 ms of every start

    try:
        pickle.dumps(value)
    except Exception:  # whatever a foreign object's own code raises
        return False
    return True


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return _are_plain(value.values())
    if isinstance(value, (list, tuple)):
        return _are_plain(value)
    return isinstance(value, (str, int, float, bool))


def _are_plain(values: Any) -> bool:
    return all(map(_is_plain, values))


def _restore(state: dict[str, Any]) -> RequestConfig:
    config = RequestConfig.__new__(RequestConfig)
    config.__dict__.update(state)
    return config


def _deep_copy(value: Any, memo: dict[int, Any]) -> Any:
    try:
        return copy.deepcopy(value, memo)
    except TypeError:
        return value
    except RecursionError:
        raise AtomHTTPOptionError("an option is nested too deeply to be copied", "ERR_BAD_OPTION_VALUE") from None


def given_options(config: Mapping[str, Any] | RequestConfig | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a call: a config object or mapping, and keywords, which win. Checked, in snake_case."""
    given: dict[str, Any] = {}
    if config is None:
        # Nothing to merge with: most calls with options (1.5 µs less).
        given = check_options(options, CALL_OPTIONS, "a call")
        options = {}
    elif isinstance(config, RequestConfig):
        given = {name: _own_copy(name, value) for name, value in config.items()}
        given["headers"] = config.headers.copy()
    elif isinstance(config, Mapping):
        given = check_options(config, CALL_OPTIONS, "a call")
    else:
        raise AtomHTTPOptionError(
            f"config: expected a mapping or a RequestConfig, got {type(config).__name__}", "ERR_BAD_OPTION_VALUE"
        )
    if options:
        checked = check_options(options, CALL_OPTIONS, "a call")
        given = {**given, **{name: merge_option(name, given.get(name), value) for name, value in checked.items()}}
    return {name: value for name, value in given.items() if value is not None or name not in _NONE_IS_NOT_GIVEN}


def _own_copy(name: str, value: Any) -> Any:
    """What is changed in place, `params` and `meta`, belongs to one config; a body is the caller's."""
    return value.copy() if name in ("params", "meta") and type(value) in (dict, list) else value


def merge_given(config: RequestConfig, given: Mapping[str, Any]) -> None:
    """Sets the options of `given` on `config`, by each option's merge rule.

    Raises:
        AtomHTTPOptionError: an unknown option, or a value of the wrong kind.
    """
    for name, value in check_options(given, CALL_OPTIONS, "a call").items():
        setattr(config, name, merge_option(name, getattr(config, name), value))


def merge_option(name: str, base: Any, value: Any) -> Any:
    """`value` of the option `name` over `base`, by the option's rule; most replace."""
    if base is None or value is None or BY_NAME[name].merge == "replace":
        return value if value is not None or name not in _NONE_IS_NOT_GIVEN else base
    if name == "headers":
        return base.concat(value)
    if name == "params":
        return merge_params(base, value)
    if name == "retry_config":
        return merge_retry_config(base, value)
    return {**base, **value}


def merge_retry_config(base: _RetryConfig, value: _RetryConfig) -> _RetryConfig:
    """A call's `retryConfig` over its client's: keys meet by name; None and False switch off."""
    if isinstance(base, Mapping) and isinstance(value, Mapping):
        # Read-only, as each of them is: configs share the client's.
        return MappingProxyType({**base, **value})
    return value


def merge_config(
    first: Mapping[str, Any] | RequestConfig | None, second: Mapping[str, Any] | RequestConfig | None
) -> RequestConfig:
    """The options of `second` over those of `first`, each by its merge rule, as a new config (axios's `mergeConfig`).

    Raises:
        AtomHTTPOptionError: an unknown option, or a value of the wrong kind.
    """
    merged = RequestConfig(first, **given_options(second, {}))
    merged.carry_note(first, second)
    return merged


def _is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    # To `isinstance` the keys and items of a mapping are unknown, and not Any.
    return isinstance(value, Mapping)


class DefaultHeaders(Headers):
    """A client's header defaults: a Headers (the flat layer), with layers for all requests and for single methods.

    `headers.common`, `.post`, `.put`, `.patch`, `.head`, `.options` and, by item, `headers["get"]`, … are Headers of
    their own. Order of precedence: common < method < flat < the call's.
    """

    __slots__ = ("_layers",)

    def __init__(self, headers: Any = None, on_change: Callable[[], None] | None = None) -> None:
        self._layers = {name: Headers() for name in HEADER_LAYERS}
        super().__init__()
        for layer in (self, *self._layers.values()):
            layer._on_change = on_change
        if headers is not None:
            self.update(headers)

    def __getitem__(self, name: str) -> Any:
        layer = self._layers.get(name)
        return layer if layer is not None and name not in self._fields else super().__getitem__(name)

    def _set(self, name: str, key: str, value: Any, rewrite: bool | None) -> None:
        if name in self._layers and (value is None or _is_mapping(value)):
            self._layers[name].clear()
            self._layers[name].update(value or ())
            return
        super()._set(name, key, value, rewrite)

    def update(self, headers: Any = None, /, **more: Any) -> None:
        """Sets fields; `{'common': {…}}` updates that layer."""
        if _is_mapping(headers) and not isinstance(headers, Headers):
            layers: dict[str, Any] = {
                key: item for key, item in headers.items() if key in self._layers and isinstance(item, Mapping)
            }
            for name, item in layers.items():
                self._layers[name].update(item)
            headers = {name: item for name, item in headers.items() if name not in layers}
        super().update(headers, **more)

    common = property(lambda self: self._layers["common"], doc="Sent with every request.")
    post = property(lambda self: self._layers["post"], doc="Sent with POST.")
    put = property(lambda self: self._layers["put"], doc="Sent with PUT.")
    patch = property(lambda self: self._layers["patch"], doc="Sent with PATCH.")
    head = property(lambda self: self._layers["head"], doc="Sent with HEAD.")
    options = property(lambda self: self._layers["options"], doc="Sent with OPTIONS.")

    def for_method(self, method: str) -> Headers:
        """What a request with `method` sends when the call adds nothing."""
        layer = self._layers.get(method.lower())
        merged: Headers = self.common.copy()
        if layer is not None:
            merged.update(layer)
        merged.update(self)
        return merged

    def layered_copy(self, on_change: Callable[[], None] | None) -> DefaultHeaders:
        """An independent copy, layers included."""
        twin = DefaultHeaders(None, None)
        twin._fields = self._fields.copy()
        twin._locked, twin._removed = self._locked, self._removed
        twin._layers = {name: layer.copy() for name, layer in self._layers.items()}
        for layer in (twin, *twin._layers.values()):
            layer._on_change = on_change
        return twin


class _OwnJar(NamedTuple):
    """A jar that a client has made for itself; `given`, what it was made for, is what it is found by."""

    jar: CookieJar
    base: str | None
    given: Mapping[str, str] | None


class Defaults(_Options):
    """The options of a client. Live: what is set here holds for every later call; checked when it is set."""

    _table = CLIENT_OPTIONS
    _where = "a client"

    def __init__(self, built_in_headers: Mapping[str, str], given: Mapping[str, Any] | None = None) -> None:
        state = self.__dict__
        # What the client has worked out of these options; gone as soon as one changes.
        state["_plan"] = None
        state["_changes"] = 0
        state["_jars"] = {}
        for option in CLIENT_OPTIONS.values():
            state[option.name] = copy.copy(option.default)
        headers = DefaultHeaders(None, self.touch)
        headers.common.update(built_in_headers)
        state["headers"] = headers
        for name, value in (given or {}).items():
            if name == "headers":
                headers.update(value)
            else:
                setattr(self, name, _deep_copy(value, {}) if type(value) in (dict, list) else value)

    def __setattr__(self, name: str, value: Any) -> None:
        option = find_option(name, self._table, self._where)
        if option.name == "headers":
            self._set_headers(value)
            return
        if option.name == "cookies":
            # The jars of earlier mappings; that of no mapping is the client's own, and stays.
            jars = self.__dict__["_jars"]
            self.__dict__["_jars"] = {key: jars[key] for key in (id(None),) if key in jars}
        super().__setattr__(name, value)

    def _set_headers(self, value: Any) -> None:
        """A mapping may hold the layers: `{'common': {…}, 'post': {…}, 'X-Flat': '…'}`."""
        headers: DefaultHeaders = self.__dict__["headers"]
        headers.clear()
        if isinstance(value, DefaultHeaders):
            self.__dict__["headers"] = value.layered_copy(self.touch)
        elif _is_mapping(value):
            for name, item in value.items():
                headers.set(name, item)
        else:
            headers.update(value or ())
        self.touch()

    def touch(self) -> None:
        """What was worked out of these options holds no longer."""
        # In this order: a plan that is being built asks for the count when it is done.
        self.__dict__["_changes"] += 1
        self.__dict__["_plan"] = None

    @property
    def environment(self) -> ProxyEnvironment:
        """What the process's environment says about proxies; read once a client (95 µs)."""
        state = self.__dict__
        if "_environment" not in state:
            state["_environment"] = read_environment(os.environ)
        return state["_environment"]  # type: ignore[no-any-return]  # as it was put there

    @property
    def jar(self) -> CookieJar | None:
        """Where the client's cookies are; None with `cookies=False`.

        Raises:
            AtomHTTPOptionError: cookies were given as a mapping, and there is no baseURL whose they could be.
        """
        given = self.cookies
        if given is False:
            return None
        return given if isinstance(given, CookieJar) else self._find_jar(given).jar

    @property
    def own_cookies(self) -> tuple[str, Mapping[str, str]] | None:
        """The cookies that were given as a mapping, and the baseURL of then: they go to its origin only."""
        given = self.cookies
        if not given or isinstance(given, CookieJar):
            return None
        return self._find_jar(given).base or "", given

    def _find_jar(self, given: Mapping[str, str] | None) -> _OwnJar:
        jars: dict[int, _OwnJar] = self.__dict__["_jars"]
        found = jars.get(id(given))
        if found is None:
            base = self.base_url
            if given and not base:
                raise AtomHTTPOptionError(
                    "cookies: a mapping belongs to the origin of baseURL, and there is none", "ERR_BAD_OPTION_VALUE"
                )
            made = CookieJar(given, url=base) if given else CookieJar()
            # In one step: another thread may be about to do the same.
            found = jars.setdefault(id(given), _OwnJar(made, base, given))
        return found

    def warn_insecure(self) -> None:
        """Says once a client, and at the caller's line, that certificates are not verified."""
        if "_warned" in self.__dict__:
            return
        self.__dict__["_warned"] = True
        frame: Any = sys._getframe(1)
        level = 2
        while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "atomhttp":
            frame, level = frame.f_back, level + 1
        warnings.warn("certificates are not verified (verify=False)", InsecureRequestWarning, stacklevel=level)

    def tell_foreign(self, url: str) -> None:
        """Says once a client, in the log, that its own credentials do not go to `url`."""
        if "_told" not in self.__dict__:
            self.__dict__["_told"] = True
            _logger.warning(
                "%s is not at the origin of the baseURL: the client's own credentials stay behind "
                "(crossOriginHeaders, or the call's own, would go along)",
                redact_url(url),
            )

    def copied(self) -> Defaults:
        """A copy as they stand now, headers and mappings included."""
        twin = Defaults.__new__(Defaults)
        for name, value in self.__dict__.items():
            if name not in ("_warned", "_told", "_environment", "_jars"):
                is_copied = type(value) in (dict, list) or isinstance(value, CookieJar)
                twin.__dict__[name] = _deep_copy(value, {}) if is_copied else value
        twin.__dict__["_jars"] = {}
        twin.__dict__["headers"] = self.headers.layered_copy(twin.touch)
        twin.__dict__["_plan"] = None
        return twin

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client's defaults cannot be pickled: build a client where it is needed")


def _no_such(holder: object, name: str) -> NoReturn:
    if name.startswith("__"):
        raise AttributeError(name)
    try:
        find_option(name, BY_NAME, "here")
    except AtomHTTPOptionError as error:
        raise AttributeError(f"{type(holder).__name__}: {error.message}") from None
    raise AttributeError(f"{type(holder).__name__} has no option {name!r}")
