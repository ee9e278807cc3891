"""A cookie: an immutable value, and what its parts may hold (RFC 6265bis sections 4.1.1 and 5.7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan
from time import time
from typing import Final, Literal, TypeAlias

from atomhttp._lazy_pattern import lazy_pattern
from atomhttp._model.checks import bad_value, check_flag
from atomhttp._redact import REDACTED, show_value
from atomhttp.errors import AtomHTTPOptionError

SameSite: TypeAlias = Literal["Strict", "Lax", "None"]

# Octets of name and value together (section 5.7 step 4).
MAX_PAIR: Final = 4096
# Section 5.5: nobody is remembered longer than 400 days.
MAX_LIFETIME: Final = 400 * 86400.0

# What a server may have sent: anything but controls (HTAB excepted), and what ends a name or a value.
_RECEIVED_NAME: Final = lazy_pattern(r"(?![ \t])[^\x00-\x08\x0a-\x1f\x7f;=]*(?<![ \t])")
_RECEIVED_VALUE: Final = lazy_pattern(r"(?![ \t])[^\x00-\x08\x0a-\x1f\x7f;]*(?<![ \t])")
_PATH: Final = lazy_pattern(r"/[^\x00-\x08\x0a-\x1f\x7f]*")
# The characters that the WHATWG's parser lets through in a host, and IPv6's colons.
_DOMAIN: Final = lazy_pattern(r"(?!\.)[!\"$&'()*+,\-.0-9:;=_`a-z{}~]+")

# What a program should send (section 4.1.1). Some servers take a comma or a blank for the end of a cookie, so that a
# value that a user typed could bring another cookie along.
_NOT_IN_NAME: Final = lazy_pattern(r"[^!#$%&'()*+\-./0-9:<>?@A-Z\[\]^_`a-z{|}~]")
_NOT_IN_VALUE: Final = lazy_pattern(r"[^!#$%&'()*+\-./0-9:<=>?@A-Z\[\]^_`a-z{|}~]")


@dataclass(frozen=True, slots=True, repr=False)
class Cookie:
    """One cookie. Immutable; equal to another that differs in nothing but its times.

    Its name and value may be whatever a server may have sent; `CookieJar.set` is stricter.

    Args:
        name: may be empty.
        value: as it was received: nothing is decoded, quotes are kept.
        domain: the host it belongs to, or the domain; in lower case, A-labels, without a leading dot; IPv6 without
            brackets.
        path: the path it is sent to, with everything below.
        expires: seconds since the epoch; None when it ends with the session.
        secure: only sent over https.
        http_only: not for scripts; kept, without a meaning for a client.
        same_site: "Strict", "Lax", "None", or None when the server said nothing; kept, without a meaning for a client.
        host_only: not sent to the domains below `domain`.
        created: when it was first set, in seconds since the epoch; by default now.
        last_used: when it was last sent or set; by default now.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE; the message does not show the value.
    """

    name: str
    value: str
    domain: str
    path: str = "/"
    expires: float | None = None
    secure: bool = False
    http_only: bool = False
    same_site: SameSite | None = None
    host_only: bool = True
    created: float = field(default_factory=time, compare=False)
    last_used: float = field(default_factory=time, compare=False)

    def __post_init__(self) -> None:
        _check_received_pair(self.name, self.value)
        _check_domain(self.domain)
        check_path(self.path)
        for name in ("secure", "http_only", "host_only"):
            check_flag(name, getattr(self, name))
        check_same_site(self.same_site)
        if self.expires is not None:
            _check_time("expires", self.expires)
        _check_time("created", self.created)
        _check_time("last_used", self.last_used)

    def __repr__(self) -> str:
        shown = [f"name={show_value(self.name)}", f"value={REDACTED!r}", f"domain={self.domain!r}"]
        shown.append(f"path={show_value(self.path)}")
        if self.expires is not None:
            shown.append(f"expires={self.expires!r}")
        shown += [f"{flag}=True" for flag in ("secure", "http_only", "host_only") if getattr(self, flag)]
        if self.same_site is not None:
            shown.append(f"same_site={self.same_site!r}")
        return f"Cookie({', '.join(shown)})"


def check_pair(name: object, value: object, option: str = "cookies") -> None:
    """Refuses a name or a value of the caller's that RFC 6265bis section 4.1.1 does not let a program send.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, naming `option` and the cookie, never the value.
    """
    if not isinstance(name, str) or not isinstance(value, str):
        raise _refused(f"{option}: expected str for a name and its value, got {_kind(name)} and {_kind(value)}")
    if not name:
        raise _refused(f"{option}: a cookie needs a name")
    if found := _NOT_IN_NAME.search(name):
        raise _refused(
            f'{option}: a name holds visible ASCII characters other than " , ; = \\ (RFC 6265bis section 4.1.1), '
            f"got {found[0]!r} after {name[: found.start()][:80]!r}"
        )
    inner = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    if found := _NOT_IN_VALUE.search(inner):
        raise _refused(
            f'{option}: a value holds visible ASCII characters other than " , ; \\ (RFC 6265bis section 4.1.1), '
            f"got {found[0]!r} in that of {name[:80]!r}: percent-encode it, or give a Cookie header"
        )
    if len(name) + len(value) > MAX_PAIR:
        raise _refused(f"{option}: {name[:80]!r} and its value are longer than {MAX_PAIR} bytes")


def check_path(path: object) -> str:
    """The path of a cookie."""
    if not isinstance(path, str) or _PATH.fullmatch(path) is None or not is_encodable(path):
        raise bad_value("path", path, "a path that begins with /, without control characters")
    return path


def check_same_site(value: object) -> None:
    """One of the three values, in the RFC's spelling: part of one, or one among others, is none (CVE-2026-11525)."""
    if value not in (None, "Strict", "Lax", "None"):
        raise bad_value("same_site", value, "'Strict', 'Lax', 'None' or None")


def is_time(value: object) -> bool:
    """Whether `value` is a number of seconds: infinity is one, NaN is not, nor is what a float cannot hold."""
    if isinstance(value, float):
        return not isnan(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**300


def is_encodable(text: str) -> bool:
    """Whether `text` has a UTF-8 form: a lone surrogate has none."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def octets(text: str) -> int:
    """How many bytes `text` has when it is sent."""
    return len(text) if text.isascii() else len(text.encode())


def _check_domain(domain: object) -> None:
    if not isinstance(domain, str) or _DOMAIN.fullmatch(domain) is None:
        expected = "a host name in lower case and ASCII, or an address, without a leading dot (see host_only)"
        raise bad_value("domain", domain, expected)


def _check_time(name: str, value: object) -> None:
    if not is_time(value):
        raise bad_value(name, value, "seconds since the epoch")


def _check_received_pair(name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise _refused("a cookie's name and value: expected str")
    if _RECEIVED_NAME.fullmatch(name) is None or not is_encodable(name):
        raise _refused(f"a cookie's name: controls, outer blanks, ; and = cannot be in it, got {name[:80]!r}")
    if _RECEIVED_VALUE.fullmatch(value) is None or not is_encodable(value):
        raise _refused(f"the value of the cookie {name[:80]!r}: controls, outer blanks and ; cannot be in it")
    if not name and not value:
        raise _refused("a cookie needs a name or a value")
    if octets(name) + octets(value) > MAX_PAIR:
        raise _refused(f"the cookie {name[:80]!r}: name and value are longer than {MAX_PAIR} bytes")


def _kind(value: object) -> str:
    return type(value).__name__


def _refused(message: str) -> AtomHTTPOptionError:
    return AtomHTTPOptionError(message, "ERR_BAD_OPTION_VALUE")
