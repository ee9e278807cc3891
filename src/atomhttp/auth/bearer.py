"""BearerAuth: a token (RFC 6750)."""

from __future__ import annotations

from atomhttp.auth.credentials import Credentials, check_token


class BearerAuth(Credentials):
    """A bearer token (RFC 6750). One that expires is for `RefreshingAuth`.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: an empty token, one with "Bearer" in front, or control characters.
    """

    __slots__ = ("token",)

    token: str

    def __init__(self, token: str) -> None:
        self._set(token=check_token("token", token))

    def _values(self) -> tuple[str, ...]:
        return (self.token,)

    def get_header(self) -> dict[str, str]:
        """A new dict, ready to be merged into `headers`."""
        return {"Authorization": f"Bearer {self.token}"}

    def __repr__(self) -> str:
        return "BearerAuth([redacted])"
