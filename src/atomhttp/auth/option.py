"""The `auth` option: what is taken, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atomhttp.auth.basic import BasicAuth
from atomhttp.auth.credentials import bad_value
from atomhttp.errors import AtomHTTPOptionError

# For isinstance. What passes stays Any (Final would undo that): of a bare `list` pyright would not know the items.
_LISTS: tuple[type[Any], ...] = (tuple, list)
_MAPPING: type[Any] = Mapping


def check_auth(name: str, value: Any) -> Any:
    """The `auth` option as it is kept: an object with `get_header` or `auth_flow`, a callable, or None.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: anything else.
    """
    if value is None:
        return None
    if isinstance(value, _LISTS) and len(value) == 2:
        return _basic(name, *value)
    if isinstance(value, _MAPPING) and set(value) == {"username", "password"}:
        return _basic(name, **value)
    if not isinstance(value, type) and (hasattr(value, "auth_flow") or hasattr(value, "get_header") or callable(value)):
        return value
    kind = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
    raise bad_value(
        f"{name}: expected BasicAuth, BearerAuth, DigestAuth, RefreshingAuth, NetrcAuth, (username, password), "
        "{'username': …, 'password': …}, an object with auth_flow(request) or get_header(), or a callable; "
        f"got {kind}"
    )


def _basic(name: str, username: Any, password: Any) -> BasicAuth:
    try:
        return BasicAuth(username, password)
    except AtomHTTPOptionError as error:
        raise bad_value(f"{name}: {error.message}") from None


def is_flow(auth: object) -> bool:
    """Whether `auth` takes part in the exchange, and is not just a header field."""
    return auth is not None and (hasattr(auth, "auth_flow") or not hasattr(auth, "get_header"))
