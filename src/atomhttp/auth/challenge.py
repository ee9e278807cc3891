"""Challenges: what WWW-Authenticate and Authentication-Info say (RFC 9110 section 11).

A list of challenges, each with a list of parameters, and a comma between all of them: which of the two a comma ends is
known only from what follows. Read from left to right, each character once; what cannot be read ends the field.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from atomhttp._lazy_pattern import lazy_pattern

# What one field line may offer: a server has a handful of ways.
MAX_CHALLENGES: Final = 50

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_SEPARATOR: Final = lazy_pattern(r"[ \t,]*+")
_END: Final = lazy_pattern(r"[ \t]*+(?:,|\Z)")
_SCHEME: Final = lazy_pattern(rf"({_TOKEN})(?=[ \t,]|\Z)[ \t]*+")
_TOKEN68: Final = lazy_pattern(r"[A-Za-z0-9\-._~+/]++=*+(?=[ \t]*+(?:,|\Z))")
_PARAMETER: Final = lazy_pattern(
    rf'({_TOKEN})[ \t]*+=[ \t]*+(?:"(?P<quoted>(?:[^"\\]++|\\.)*+)"|(?P<token>{_TOKEN}))', re.DOTALL
)
_QUOTED_PAIR: Final = lazy_pattern(r"\\(.)", re.DOTALL)


class Challenge(NamedTuple):
    """One way to authenticate that a server offers: names in lower case, values without quotes and escapes."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(field: str) -> list[Challenge]:
    """The challenges of one field line, in order, up to the first that is not well-formed; at most `MAX_CHALLENGES`."""
    challenges: list[Challenge] = []
    position = _skip(field, 0)
    while position < len(field) and len(challenges) <= MAX_CHALLENGES:
        if found := _PARAMETER.match(field, position):
            name = found[1].lower()
            if not challenges or name in challenges[-1].parameters or not _END.match(field, found.end()):
                # No scheme; said twice; or something behind it. Nobody can tell what the last challenge was to be.
                return challenges[:-1]
            challenges[-1].parameters[name] = _value(found)
        elif found := _SCHEME.match(field, position):
            challenges.append(Challenge(found[1].lower(), {}))
            found = _TOKEN68.match(field, found.end()) or found
        else:
            return challenges[:-1]
        position = _skip(field, found.end())
    return challenges[:MAX_CHALLENGES]


def parse_parameters(field: str) -> dict[str, str]:
    """A list of parameters alone, up to the first that is not well-formed."""
    parameters: dict[str, str] = {}
    position = _skip(field, 0)
    while (found := _PARAMETER.match(field, position)) and _END.match(field, found.end()):
        parameters.setdefault(found[1].lower(), _value(found))
        position = _skip(field, found.end())
    return parameters


def quote(value: str) -> str:
    """`value` as a quoted string (RFC 9110 section 5.6.4)."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _skip(field: str, position: int) -> int:
    separator = _SEPARATOR.match(field, position)
    return position if separator is None else separator.end()


def _value(parameter: re.Match[str]) -> str:
    quoted = parameter["quoted"]
    return parameter["token"] if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted)
