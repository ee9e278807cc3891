"""What `retryConfig` may hold, and the policy it describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from atomhttp._model.checks import bad_value, camel_case, check_callable, check_count, check_flag, check_seconds
from atomhttp.errors import AtomHTTPOptionError

# RFC 9110 section 9.2.2, and QUERY (RFC 10008).
IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"))


class RetryPolicy(NamedTuple):
    """When a request is tried again, and how long is waited before.

    Attributes:
        max_retries: attempts after the first.
        backoff_factor: the first wait, in seconds; it doubles each time.
        max_backoff: the longest wait, in seconds.
        jitter: draw each wait evenly between 0 and its length ("full jitter"), so that clients do not return
            together.
        status_forcelist: statuses that are tried again.
        methods: methods that may be tried again once something was sent; an Idempotency-Key lets any method.
        on_timeout: whether a phase or an attempt that ran out of time is tried again.
        on_connect_error: whether a connection that could not be made is.
        respect_retry_after: whether the server's Retry-After is the shortest wait.
        max_retry_after: a server that wants more patience than this is not asked again; seconds.
        attempt_timeout: how long one attempt may take (a stream's: until its headers), in seconds; None or 0: as long
            as the call.
        condition: called with (outcome, attempt), a Response or an exception: whether to try again, in place of the
            lists above.
        on_retry: called with a RetryInfo before each wait.
    """

    max_retries: int = 3
    backoff_factor: float = 0.3
    max_backoff: float = 30.0
    jitter: bool = True
    status_forcelist: frozenset[int] = frozenset((408, 425, 429, 500, 502, 503, 504))
    methods: frozenset[str] = IDEMPOTENT
    on_timeout: bool = True
    on_connect_error: bool = True
    respect_retry_after: bool = True
    max_retry_after: float = 60.0
    attempt_timeout: float | None = None
    condition: Callable[..., Any] | None = None
    on_retry: Callable[..., Any] | None = None

    def backoff(self, retries: int, fraction: float) -> float:
        """Seconds to wait before retry number `retries` (from 1); `fraction`, 0 to 1, is the draw of the jitter."""
        # The exponent is bounded: 2.0 ** 1024 is an error, and so many retries are allowed.
        wait = min(self.max_backoff, self.backoff_factor * 2.0 ** min(retries - 1, 64))
        return wait * fraction if self.jitter else wait


def check_retry_config(name: str, value: Mapping[str, Any] | int | None) -> Mapping[str, Any] | bool | None:
    """`retryConfig` as it is kept: None, False, or a read-only mapping under snake_case names.

    Raises:
        AtomHTTPOptionError: an unknown key (ERR_BAD_OPTION) or a wrong value (ERR_BAD_OPTION_VALUE).
    """
    if value is None or value is False:
        return value
    if value is True:
        return MappingProxyType({})
    if isinstance(value, int):
        value = {"max_retries": value}
    if not isinstance(value, Mapping):
        raise bad_value(name, value, "True, False, None, a number of retries or a mapping")
    kept: dict[str, Any] = {}
    for spelling, item in value.items():
        key = _SPELLINGS.get(spelling)
        if key is None:
            known = ", ".join(_CHECKS)
            raise AtomHTTPOptionError(
                f"{name}: unknown key {str(spelling)[:40]!r}; it may hold {known}", "ERR_BAD_OPTION"
            )
        checked = _CHECKS[key](f"{name}.{spelling}", item)
        if key in kept and kept[key] != checked:
            raise AtomHTTPOptionError(f"{name}: {key} is given twice, with different values", "ERR_BAD_OPTION")
        kept[key] = checked
    return MappingProxyType(kept)


def build_retry_policy(config: Mapping[str, Any] | bool | None) -> RetryPolicy | None:
    """The policy of a checked `retryConfig`; None when nothing is to be retried."""
    return RetryPolicy(**config) if isinstance(config, Mapping) else None


# Checks: each returns the value to keep, or raises.


def _seconds_or_none(name: str, value: Any) -> float | None:
    # 0 is no limit, as for `timeout`.
    return None if value is None else check_seconds(name, value) or None


def _statuses(name: str, value: Any) -> frozenset[int]:
    given: Any = [value] if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(given, (str, bytes, Mapping)) or not hasattr(given, "__iter__"):
        raise bad_value(name, value, "a list of status codes")
    statuses: list[Any] = list(given)
    if not all(isinstance(status, int) and 100 <= status <= 999 for status in statuses):
        raise bad_value(name, value, "status codes from 100 to 999")
    return frozenset(map(int, statuses))


def _methods(name: str, value: Any) -> frozenset[str]:
    given: Any = [value] if isinstance(value, str) else value
    if isinstance(given, (bytes, Mapping)) or not hasattr(given, "__iter__"):
        raise bad_value(name, value, "a list of methods")
    methods: list[Any] = list(given)
    if not all(isinstance(method, str) and method for method in methods):
        raise bad_value(name, value, "a list of methods")
    return frozenset(method.upper() for method in methods)


_CHECKS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "max_retries": check_count,
    "backoff_factor": check_seconds,
    "max_backoff": check_seconds,
    "jitter": check_flag,
    "status_forcelist": _statuses,
    "methods": _methods,
    "on_timeout": check_flag,
    "on_connect_error": check_flag,
    "respect_retry_after": check_flag,
    "max_retry_after": check_seconds,
    "attempt_timeout": _seconds_or_none,
    "condition": check_callable,
    "on_retry": check_callable,
}
# Other words for the same: axios-retry's, urllib3's, and our own in camelCase.
_OTHER_WORDS: Final = {
    "total": "max_retries",
    "retries": "max_retries",
    "delay": "backoff_factor",
    "statuses": "status_forcelist",
    "allowed_methods": "methods",
    "allowedMethods": "methods",
    "method_whitelist": "methods",
    "methodWhitelist": "methods",
    "retry_condition": "condition",
    "retryCondition": "condition",
}


_SPELLINGS: Final = {**_OTHER_WORDS, **{camel_case(key): key for key in _CHECKS}, **{key: key for key in _CHECKS}}
