"""Credentials for the Authorization field."""

from __future__ import annotations

from base64 import b64encode

from atomhttp.errors import AtomHTTPOptionError


def _check(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise AtomHTTPOptionError(f"{what}: expected str, got {type(value).__name__}", "ERR_BAD_OPTION_VALUE")
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise AtomHTTPOptionError(f"{what}: control characters are not allowed", "ERR_BAD_OPTION_VALUE")
    return value


class BasicAuth:
    """Basic authentication (RFC 7617), user name and password in UTF-8.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: a colon in the user name, or control characters.
    """

    __slots__ = ("password", "username")

    def __init__(self, username: str, password: str) -> None:
        self.username = _check("username", username)
        self.password = _check("password", password)
        if ":" in username:
            raise AtomHTTPOptionError("username: must not contain ':' (RFC 7617 section 2)", "ERR_BAD_OPTION_VALUE")

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
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: control characters.
    """

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = _check("token", token)

    def get_header(self) -> dict[str, str]:
        """A new dict, ready to be merged into `headers`."""
        return {"Authorization": f"Bearer {self.token}"}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BearerAuth) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)

    def __repr__(self) -> str:
        return "BearerAuth([redacted])"
