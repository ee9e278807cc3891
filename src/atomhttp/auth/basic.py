"""BasicAuth: a user name and a password, as they are (RFC 7617)."""

from __future__ import annotations

from base64 import b64encode

from atomhttp._redact import show_value
from atomhttp.auth.credentials import Credentials, check_text, check_username


class BasicAuth(Credentials):
    """Basic authentication (RFC 7617), user name and password in UTF-8.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: a colon in the user name, or control characters.
    """

    __slots__ = ("password", "username")

    username: str
    password: str

    def __init__(self, username: str, password: str) -> None:
        self._set(username=check_username(username), password=check_text("password", password))

    def _values(self) -> tuple[str, ...]:
        return (self.username, self.password)

    def get_header(self) -> dict[str, str]:
        """A new dict, ready to be merged into `headers`."""
        credentials = b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")
        return {"Authorization": f"Basic {credentials}"}

    def __repr__(self) -> str:
        return f"BasicAuth({show_value(self.username)}, [redacted])"
