"""NetrcAuth: the passwords in `~/.netrc`, for who asks for them. Nothing else ever looks there."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

from atomhttp.auth.basic import BasicAuth
from atomhttp.auth.credentials import Credentials, bad_value, check_text
from atomhttp.errors import AtomHTTPOptionError


class NetrcAuth(Credentials):
    """Basic authentication with the login and password that a netrc file has for the host of the URL.

    The host is that of the request as it is sent, letter for letter but for case: `machine` names neither port nor
    scheme, and IPv6 addresses stand without brackets. A redirect to another origin goes without. An entry `default` is
    for no host: it would send a password to whoever is asked for anything. The file is read again when it has changed.

    Args:
        path: the file; None: what the environment's NETRC names, else `~/.netrc`, and there may be none. Of
            `~/.netrc` Python wants that nobody else may read it.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: `path` cannot be read, or a file cannot be parsed; where it is
            given, and before each request.
    """

    __slots__ = ("_read", "path")

    path: str | None
    # The file that was read, by name and by state, and the credentials in it.
    _read: tuple[object, dict[str, BasicAuth]]

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        if path is not None:
            try:
                path = os.path.expanduser(check_text("path", os.fspath(path)))
            except TypeError:
                raise bad_value(f"path: expected str or PathLike, got {type(path).__name__}") from None
        self._set(path=path, _read=(None, {}))
        if path is not None:
            self._load()

    def _values(self) -> tuple[Any, ...]:
        return (self.path,)

    def __repr__(self) -> str:
        return f"NetrcAuth({'' if self.path is None else repr(self.path)})"

    def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """See `AuthFlow`. Has no say in the response."""
        target = request.target
        # Behind a unix socket every host is called localhost.
        found = None if request.outline.route.socket_path is not None else self._load().get(target.host.lower())
        if found is not None:
            request.headers.update(found.get_header())
        yield request

    def _load(self) -> dict[str, BasicAuth]:
        path, is_default = self.path, False
        if path is None:
            path = os.environ.get("NETRC")
            is_default = not path
            path = path or os.path.join(os.path.expanduser("~"), ".netrc")
        try:
            state = os.stat(path)
            stamp = (path, state.st_mtime_ns, state.st_size, state.st_ino)
            if self._read[0] != stamp:
                self._set(_read=(stamp, _parse(path, is_default)))
        except OSError as error:
            if self.path is None and isinstance(error, (FileNotFoundError, NotADirectoryError)):
                return {}
            raise bad_value(f"NetrcAuth: {path!r}: {error.strerror or error}") from error
        return self._read[1]


def _parse(path: str, is_default: bool) -> dict[str, BasicAuth]:
    import netrc  # with shlex, 3 ms of every start

    try:
        # Without a name it looks at who may read the file.
        hosts = netrc.netrc(None if is_default else path).hosts
    except netrc.NetrcParseError as error:
        if error.lineno is None:
            raise bad_value(f"NetrcAuth: {path!r}: {error.msg}") from None
        # Its own words, and a traceback, would show what it stumbled over: a password, as likely as not.
        raise bad_value(f"NetrcAuth: {path!r}, line {error.lineno}: not the form of a netrc file") from None
    except UnicodeDecodeError:
        raise bad_value(f"NetrcAuth: {path!r}: neither UTF-8 nor the encoding of the locale") from None
    return {host.lower(): _credentials(path, host, *entry) for host, entry in hosts.items() if host != "default"}


def _credentials(path: str, host: str, login: str, account: str, password: str) -> BasicAuth:
    try:
        return BasicAuth(login or account, password)
    except AtomHTTPOptionError as error:
        raise bad_value(f"NetrcAuth: {path!r}: machine {host!r}: {error.message}") from None
