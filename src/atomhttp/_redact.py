"""Keeps secrets out of everything a person might read: messages, reprs, logs, dictionaries, pickles.

One list of names decides, for header fields, query parameters and options alike. May import nothing of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

REDACTED: Final = "[redacted]"

# Matched anywhere in a name, case and separators ignored: "X-Api-Key", "apiKey" and "api_key" are one name.
_SECRET_WORDS: Final = re.compile(
    r"authorization|cookie|passw(or)?d|passphrase|secret|token|apikey|credential|signature|session|^auth$|^sig$|^key$"
)
# Options that are about secrets, and hold none.
_PLAIN_NAMES: Final = frozenset(("xsrfcookiename", "xsrfheadername", "withxsrftoken", "withcredentials"))
_NOT_LETTERS: Final = re.compile(r"[^a-z0-9]")
_USERINFO: Final = re.compile(r"(?<=//)[^/?#]*@")
_QUERY_PAIR: Final = re.compile(r"(?<=[?&;#])([^=&;#?\s]+)=([^&;#\s]*)")


def is_secret_name(name: str) -> bool:
    """Whether the value that goes by `name` (a header field, a parameter, an option) must not be shown."""
    letters = _NOT_LETTERS.sub("", name.lower())
    return _SECRET_WORDS.search(letters) is not None and letters not in _PLAIN_NAMES


def redact_url(url: str) -> str:
    """`url` without userinfo, without fragment (it is never sent, and OAuth's tokens stand there), and without the
    values of query parameters that have secret names."""

    def mask(pair: re.Match[str]) -> str:
        return f"{pair[1]}={REDACTED}" if is_secret_name(unquote_plus(pair[1])) else pair[0]

    return _QUERY_PAIR.sub(mask, _USERINFO.sub("", url.partition("#")[0]))


def redact_fields(fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Header fields with secret values masked, those in URLs (Location, Link, Referer) too."""
    return [(name, redact_value(name, value)) for name, value in fields]


def redact_value(name: str, value: Any) -> Any:  # noqa: PLR0911  # one return a kind of value
    """`value` as it may be shown for the option or key `name`; mappings and lists are walked."""
    if value is None or isinstance(value, bool):
        return value
    if is_secret_name(name):
        return REDACTED
    if name in ("url", "proxy") and not isinstance(value, (Mapping, list, tuple)):
        # Objects whose `str()` is one.
        value = str(value)
    if isinstance(value, str):
        if name == "params":
            return redact_url(f"?{value}")[1:]
        return redact_url(value) if "//" in value or "?" in value else value
    if name == "cert" and isinstance(value, (list, tuple)):
        # A certificate, a key, and the key's password.
        return [*value[:2], *([REDACTED] if len(value) > 2 else [])]
    if isinstance(value, Mapping):
        return {str(key): redact_value(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        if len(value) == 2 and isinstance(value[0], str) and is_secret_name(value[0]):
            return (value[0], REDACTED)
        return [redact_value("", item) for item in value]
    return value
