"""Keeps secrets out of everything a person might read: messages, reprs, logs, dictionaries, pickles.

One list of names decides, for header fields, query parameters and options alike. May import nothing of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeGuard

from atomhttp._lazy_pattern import lazy_pattern

REDACTED: Final = "[redacted]"
# In the place of what is nested deeper than anybody reads: a server may have chosen how deep.
DEEPER: Final = "…"
MAX_DEPTH: Final = 50

# Matched anywhere in a name, case and separators ignored: "X-Api-Key", "apiKey" and "api_key" are one name.
_SECRET_WORDS: Final = lazy_pattern(
    r"authorization|authentication$|cookie|passw(or)?d|passphrase|^pass$|^pwd$|secret|token|apikey|credential|signature"
    r"|session|(access|auth|functions|private|subscription)key$|assertion|csrf|xsrf|jwt|bearer|hmac|^x?(auth|sig|otp|pin|pw|sid)$"
    r"|samlresponse|^key$"
)
# What OAuth calls its authorisation code; in anything but a query, a code is an everyday thing.
_SECRET_PARAMETERS: Final = frozenset(("code",))
# Options that are about secrets, and hold none.
_PLAIN_NAMES: Final = frozenset(
    ("xsrfcookiename", "xsrfheadername", "withxsrftoken", "withcredentials", "accesscontrolallowcredentials")
)
_URL_FIELDS: Final = frozenset(("location", "contentlocation", "referer", "link", "refresh"))
_NOT_LETTERS: Final = lazy_pattern(r"[^a-z0-9]")
_USERINFO: Final = lazy_pattern(r"(?<=//)[^/?#]*@")
# What a parser takes for a URL with a host, or for a path: there an `@` behind the host is part of the path.
_WELL_FORMED: Final = lazy_pattern(
    r"(?:https?:|http\+unix:)?//(?:[^/?#\\@]*@)?(?:\[[0-9A-Fa-f:.]*\]|[^/?#\\:@\s]+)(?::[0-9]*)?(?:[/?#]|\Z)"
    r"|(?![A-Za-z][A-Za-z0-9+.\-]*:|//)[^\\]*\Z",
    re.IGNORECASE | re.DOTALL,
)
# As much of anything else as may be its userinfo, wherever a lenient reader would look for it.
_ANY_USERINFO: Final = lazy_pattern(r"([A-Za-z][A-Za-z0-9+.\-]*:)?[/\\]*.*(?:@|%40)", re.DOTALL)
_QUERY_NAME: Final = lazy_pattern(r"(?<=[?&;#])([^=&;#?\s]+)=")
_VALUE_END: Final = lazy_pattern(r"[&#]")
# A URL in a query is encoded; what is not, is looked through as part of the whole.
_ENCODED_VALUE_END: Final = lazy_pattern(r"[&#?;]")
_ENCODED_MARK: Final = lazy_pattern("%2f|%3f", re.IGNORECASE)
# Credentials by their form, in a field of any name (RFC 9110 section 11.4).
_CREDENTIALS: Final = lazy_pattern(
    r"(?:basic|bearer|negotiate|token|apikey)[ \t]+[\w.~+/-]{8,}=*\s*\Z|digest[ \t].*response=",
    re.IGNORECASE | re.ASCII,
)
_CHALLENGES: Final = frozenset(("wwwauthenticate", "proxyauthenticate"))
_USERINFO_IN_TEXT: Final = lazy_pattern(r"(?<=//)[^/?#\s]*@")


def is_secret_name(name: str) -> bool:
    """Whether the value that goes by `name` (a header field, a parameter, an option) must not be shown."""
    letters = _NOT_LETTERS.sub("", name.lower())
    return letters in _declared or (_SECRET_WORDS.search(letters) is not None and letters not in _PLAIN_NAMES)


def is_secret_parameter(name: str) -> bool:
    """The same for the parameters of a URL."""
    return is_secret_name(name) or name.lower() in _SECRET_PARAMETERS


def declare_secret(name: str) -> None:
    """From now on what goes by `name` is not shown: somebody has said that a credential travels in it."""
    if letters := _NOT_LETTERS.sub("", name.lower()):
        _declared.add(letters)


_declared: Final[set[str]] = set()


def redact_url(url: str) -> str:
    """`url` without userinfo, without fragment (it is never sent, and OAuth's tokens stand there), and without the
    values of query parameters that have secret names, or that are URLs with any of these."""
    if ("@" in url or "%40" in url) and _WELL_FORMED.match(url) is None:
        url = _ANY_USERINFO.sub(r"\1//", url, count=1)
    return _mask_query(_USERINFO.sub("", url.partition("#")[0]))


def show_url(url: str, most: int = 500) -> str:
    """`redact_url`, cut: a server may have chosen the URL."""
    shown = redact_url(url)
    return shown if len(shown) <= most else f"{shown[:most]}…"


def quote_peer(text: str, most: int = 100) -> str:
    """What a peer said, for a message: nothing that a terminal or a log would obey, and not much."""
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text[:most])
    return shown if len(text) <= most else f"{shown}…"


def show_value(value: object, most: int = 100) -> str:
    """The repr of `value` as a part of another one: cut, and on one line."""
    return quote_peer(repr(value), most)


def show_some(items: Sequence[str], most: int = 300) -> str:
    """`items` with commas between them, as many as there is room for, and how many are left out."""
    size = 0
    for index, item in enumerate(items):
        size += len(item) + 2
        if index and size > most:
            return ", ".join([*items[:index], f"… {len(items) - index} more"])
    return ", ".join(items)


def _mask_query(text: str) -> str:
    pieces: list[str] = []
    position = 0
    while found := _QUERY_NAME.search(text, position):
        pieces.append(text[position : found.end()])
        position = found.end()
        is_secret = is_secret_parameter(_unquote(found[1]))
        stop = (_VALUE_END if is_secret else _ENCODED_VALUE_END).search(text, position)
        end = stop.start() if stop else len(text)
        if is_secret or _hides_secret(text[position:end]):
            pieces.append(REDACTED)
            position = end
    return "".join([*pieces, text[position:]])


def _hides_secret(value: str) -> bool:
    """Whether an encoded value is a URL with secrets of its own."""
    if _ENCODED_MARK.search(value) is None:
        return False
    plain = _unquote(value)
    if "//" not in plain and "?" not in plain:
        return False
    return _USERINFO.search(plain) is not None or any(
        is_secret_parameter(_unquote(each[1])) for each in _QUERY_NAME.finditer(plain)
    )


def _unquote(text: str) -> str:
    """`text` of a query, decoded."""
    if "%" not in text and "+" not in text:
        return text
    from urllib.parse import unquote_plus  # with `ipaddress`, 5 ms of every start

    return unquote_plus(text)


def redact_fields(fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Header fields with secret values masked, those in URLs (Location, Link, Referer) too."""
    return [(name, redact_value(name, value)) for name, value in fields]


def redact_value(name: str, value: Any, depth: int = MAX_DEPTH) -> Any:
    """`value` as it may be shown for the option or key `name`; mappings and lists are walked, `depth` levels."""
    if value is None or isinstance(value, bool):
        return value
    if is_secret_name(name):
        return REDACTED
    letters = _NOT_LETTERS.sub("", name.lower())
    if letters in ("url", "proxy", "baseurl") and not _is_nested(value):
        # Objects whose `str()` is one.
        return redact_url(str(value))
    if isinstance(value, str):
        return redact_url(f"?{value}")[1:] if name == "params" else _redact_text(letters, value)
    return _redact_items(name, value, depth) if _is_nested(value) else value


def _is_nested(value: object) -> TypeGuard[Mapping[Any, Any] | list[Any] | tuple[Any, ...]]:
    return isinstance(value, (Mapping, list, tuple))


def _redact_items(name: str, value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], depth: int) -> Any:
    if name == "cert" and not isinstance(value, Mapping):
        # A certificate, a key, and the key's password.
        return [*value[:2], *([REDACTED] if len(value) > 2 else [])]
    if not depth:
        return DEEPER
    if isinstance(value, Mapping):
        return {str(key): redact_value(str(key), item, depth - 1) for key, item in value.items()}
    if len(value) == 2 and isinstance(value[0], str) and is_secret_name(value[0]):
        return [value[0], REDACTED] if isinstance(value, list) else (value[0], REDACTED)
    return [redact_value("", item, depth - 1) for item in value]


def _redact_text(letters: str, value: str) -> str:
    if _CREDENTIALS.match(value) and letters not in _CHALLENGES:
        return REDACTED
    if letters in _URL_FIELDS:
        return redact_url(value)
    if "//" not in value and "?" not in value:
        return value
    # A sentence may hold URLs, and marks that mean nothing.
    is_prose = any(map(str.isspace, value))
    return _mask_query(_USERINFO_IN_TEXT.sub("", value)) if is_prose else redact_url(value)
