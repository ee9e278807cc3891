"""Authentication: what the `auth` option takes.

Two kinds: credentials that are a header field (`get_header()`), and exchanges (`auth_flow(request)`), which see each
request of a call on its way and the response to it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Generator, Mapping
from typing import Any, NoReturn, Protocol, runtime_checkable

from atomhttp.errors import AtomHTTPOptionError


@runtime_checkable
class AuthFlow(Protocol):
    """An exchange with the server, as a generator without I/O (httpx's shape).

    `auth_flow(request)` may change `request.headers`, yields the request to send, is given the response (its content
    read, unless it is to be streamed), and may yield another request. What it returns without yielding again, the last
    response, is the call's. It runs on the origin that the call names; a redirect to another origin goes without.

    An attribute `requires_body = True` asks for the content as bytes in `request.body`, whatever the caller gave.
    """

    def auth_flow(self, request: Any) -> Generator[Any, Any, None]: ...


class HeaderAuth(Protocol):
    """Credentials that are header fields: asked for them before each request."""

    def get_header(self) -> Mapping[str, str]: ...


def _check(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise AtomHTTPOptionError(f"{what}: expected str, got {type(value).__name__}", "ERR_BAD_OPTION_VALUE")
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise AtomHTTPOptionError(f"{what}: control characters are not allowed", "ERR_BAD_OPTION_VALUE")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise AtomHTTPOptionError(f"{what}: lone surrogates are no Unicode text", "ERR_BAD_OPTION_VALUE")
    return value


class BasicAuth:
    """Basic authentication (RFC 7617), user name and password in UTF-8.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: a colon in the user name, or control characters.
    """

    __slots__ = ("password", "username")

    username: str
    password: str

    def __init__(self, username: str, password: str) -> None:
        _check("username", username)
        if ":" in username:
            raise AtomHTTPOptionError("username: must not contain ':' (RFC 7617 section 2)", "ERR_BAD_OPTION_VALUE")
        object.__setattr__(self, "username", username)
        object.__setattr__(self, "password", _check("password", password))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise _unchangeable(self)

    def __delattr__(self, name: str) -> NoReturn:
        raise _unchangeable(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.username, self.password))

    def get_header(self) -> dict[str, str]:
        """A new dict, ready to be merged into `headers`."""
        credentials = b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")
        return {"Authorization": f"Basic {credentials}"}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BasicAuth) and (self.username, self.password) == (other.username, other.password)

    def __hash__(self) -> int:
        return hash((self.username, self.password))

    def __repr__(self) -> str:
        return f"BasicAuth({self.username!r}, [redacted])"


class BearerAuth:
    """A bearer token (RFC 6750).

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: an empty token, or control characters.
    """

    __slots__ = ("token",)

    token: str

    def __init__(self, token: str) -> None:
        if _check("token", token).strip().lower() in ("", "bearer"):
            # An empty environment variable, more often than not.
            raise AtomHTTPOptionError("token: it is empty", "ERR_BAD_OPTION_VALUE")
        object.__setattr__(self, "token", token)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise _unchangeable(self)

    def __delattr__(self, name: str) -> NoReturn:
        raise _unchangeable(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.token,))

    def get_header(self) -> dict[str, str]:
        """A new dict, ready to be merged into `headers`."""
        return {"Authorization": f"Bearer {self.token}"}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BearerAuth) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)

    def __repr__(self) -> str:
        return "BearerAuth([redacted])"


def _unchangeable(auth: object) -> AttributeError:
    # Clients keep the header field they make of it.
    return AttributeError(f"{type(auth).__name__} does not change: make a new one and set it as auth")


def check_auth(name: str, value: Any) -> Any:
    """The `auth` option as it is kept: an object with `get_header` or `auth_flow`, a callable, or None.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: anything else.
    """
    if value is None:
        return None
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return BasicAuth(*value)
    if isinstance(value, Mapping) and set(value) == {"username", "password"}:
        return BasicAuth(value["username"], value["password"])
    if not isinstance(value, type) and (hasattr(value, "auth_flow") or hasattr(value, "get_header") or callable(value)):
        return value
    kind = value.__name__ if isinstance(value, type) else type(value).__name__
    raise AtomHTTPOptionError(
        f"{name}: expected BasicAuth, BearerAuth, (username, password), {{'username': …, 'password': …}}, an object "
        f"with auth_flow(request), or a callable, got {'the class ' if isinstance(value, type) else ''}{kind}",
        "ERR_BAD_OPTION_VALUE",
    )


def is_flow(auth: object) -> bool:
    """Whether `auth` takes part in the exchange, and is not just a header field."""
    return auth is not None and (hasattr(auth, "auth_flow") or not hasattr(auth, "get_header"))
