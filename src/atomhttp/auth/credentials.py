"""What credentials have in common: checked text, in objects that are values."""

from __future__ import annotations

from typing import Any, NoReturn

from atomhttp.errors import AtomHTTPOptionError


def bad_value(message: str) -> AtomHTTPOptionError:
    """The error for what cannot be used; `message` begins with the name of the argument, and holds no secret."""
    return AtomHTTPOptionError(message, "ERR_BAD_OPTION_VALUE")


def check_text(what: str, value: object) -> str:
    """`value` as something that a header field can carry."""
    if not isinstance(value, str):
        raise bad_value(f"{what}: expected str, got {type(value).__name__}")
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise bad_value(f"{what}: control characters are not allowed")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise bad_value(f"{what}: lone surrogates are no Unicode text")
    # A plain str: that of an Enum is not its value when it is formatted.
    return str.__str__(value)


def check_username(value: object) -> str:
    """A name that a colon can end: Basic and Digest both put the password behind one."""
    name = check_text("username", value)
    if ":" in name:
        raise bad_value("username: must not contain ':' (RFC 7617 section 2, RFC 7616 section 3.4.2)")
    return name


def check_token(what: str, value: object, scheme: str = "Bearer") -> str:
    """A token, without the scheme that goes in front of it."""
    token = check_text(what, value)
    first, _, rest = token.strip().partition(" ")
    if not first or (first.lower() == scheme.lower() and not rest.strip()):
        # An empty environment variable, more often than not.
        raise bad_value(f"{what}: it is empty")
    if rest and first.lower() == scheme.lower():
        raise bad_value(f"{what}: leave out {first!r}, it is put in front of the token by itself")
    return token


class Credentials:
    """A value: equal to its copies, and unchangeable. A subclass has `__slots__`, and sets them by `_set`."""

    __slots__ = ()

    def _values(self) -> tuple[str, ...]:
        """The arguments that make it anew."""
        raise NotImplementedError

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise self._unchangeable()

    def __delattr__(self, name: str) -> NoReturn:
        raise self._unchangeable()

    def _unchangeable(self) -> AttributeError:
        # Clients keep the header field they make of it.
        return AttributeError(f"{type(self).__name__} does not change: make a new one and set it as auth")

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), self._values())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Credentials) or not (isinstance(other, type(self)) or isinstance(self, type(other))):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())
