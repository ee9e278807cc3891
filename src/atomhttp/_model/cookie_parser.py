"""The value of a Set-Cookie field, taken apart as user agents do it (RFC 6265bis section 5.6).

Nothing is decoded, unquoted or mended: a field is kept as it is, or ignored, or one of its attributes is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from atomhttp._lazy_pattern import lazy_pattern
from atomhttp._model.cookie import MAX_LIFETIME, MAX_PAIR, SameSite, is_encodable, octets

# Section 5.6: longer attribute values are ignored.
MAX_ATTRIBUTE: Final = 1024

_CONTROL: Final = lazy_pattern(r"[\x00-\x08\x0a-\x1f\x7f]")
_BLANKS: Final = " \t"
# Only these: int() and str.isdigit() would take the digits of other scripts too.
_MAX_AGE: Final = lazy_pattern(r"-?[0-9]+")
_SAME_SITE: Final[dict[str, SameSite]] = {"strict": "Strict", "lax": "Lax", "none": "None"}

# The grammar of section 5.1.1. What is no ASCII is no delimiter.
_DATE_DELIMITERS: Final = lazy_pattern(r"[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME: Final = lazy_pattern(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_DAY: Final = lazy_pattern(r"[0-9]{1,2}(?![0-9])")
_YEAR: Final = lazy_pattern(r"[0-9]{2,4}(?![0-9])")
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}


class SetCookie:
    """What a Set-Cookie field says, before anybody asked whether its sender may say so.

    Attributes:
        name, value: without outer blanks; one of them may be empty.
        max_age: seconds from now, at most 400 days; 0 or less: gone at once.
        expires: seconds since the epoch.
        domain: in lower case, without its leading dot; empty when there is none.
        path: None when there is no such attribute; empty when it says nothing, which means the default path.
        same_site: None when it is missing or unknown.
    """

    __slots__ = ("domain", "expires", "http_only", "max_age", "name", "path", "same_site", "secure", "value")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value
        self.max_age: float | None = None
        self.expires: float | None = None
        self.domain = ""
        self.path: str | None = None
        self.secure = False
        self.http_only = False
        self.same_site: SameSite | None = None

    def __repr__(self) -> str:
        return f"<SetCookie {self.name!r}>"


def parse_set_cookie(field: str) -> SetCookie | None:
    """The cookie that a Set-Cookie field's value describes; None when it is to be ignored."""
    if _CONTROL.search(field) is not None or not is_encodable(field):
        return None
    pair, _, attributes = field.partition(";")
    name, equals, value = pair.partition("=")
    if not equals:
        name, value = "", pair
    name, value = name.strip(_BLANKS), value.strip(_BLANKS)
    if not (name or value) or octets(name) + octets(value) > MAX_PAIR:
        return None
    cookie = SetCookie(name, value)
    for attribute in attributes.split(";") if attributes else ():
        key, _, value = attribute.partition("=")
        use = _ATTRIBUTES.get(key.strip(_BLANKS).lower())
        if use is not None and octets(value := value.strip(_BLANKS)) <= MAX_ATTRIBUTE:
            use(cookie, value)
    return cookie


def parse_cookie_date(text: str) -> float | None:
    """A date as servers have written it in cookies, in seconds since the epoch; None when it is none.

    The algorithm of section 5.1.1, which looks for a time, a day, a month and a year among whatever else is there.
    """
    time = day = month = year = None
    for token in _DATE_DELIMITERS.split(text):
        if time is None and (found := _TIME.match(token)):
            time = found.groups()
        elif day is None and (found := _DAY.match(token)):
            day = int(found[0])
        elif month is None and (number := _MONTHS.get(token[:3].lower())):
            month = number
        elif year is None and (found := _YEAR.match(token)):
            year = int(found[0])
    if time is None or day is None or month is None or year is None:
        return None
    if year <= 99:
        year += 1900 if year >= 70 else 2000
    if year < 1601:
        return None
    hour, minute, second = map(int, time)
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None


# Attributes, each with its value: of several that are valid, the last one counts (section 5.7).


def _use_expires(cookie: SetCookie, value: str) -> None:
    date = parse_cookie_date(value)
    if date is not None:
        cookie.expires = date


def _use_max_age(cookie: SetCookie, value: str) -> None:
    if _MAX_AGE.fullmatch(value) is None:
        return
    digits = value.lstrip("0")
    if value[0] == "-" or not digits:
        cookie.max_age = 0.0
    else:
        cookie.max_age = MAX_LIFETIME if len(digits) > 9 else min(float(digits), MAX_LIFETIME)


def _use_domain(cookie: SetCookie, value: str) -> None:
    # Beyond ASCII, lower() would make ASCII of some characters (KELVIN SIGN); as it is, it matches no host.
    cookie.domain = value.removeprefix(".").lower() if value.isascii() else value


def _use_path(cookie: SetCookie, value: str) -> None:
    cookie.path = value if value.startswith("/") else ""


def _use_secure(cookie: SetCookie, _: str) -> None:
    cookie.secure = True


def _use_http_only(cookie: SetCookie, _: str) -> None:
    cookie.http_only = True


def _use_same_site(cookie: SetCookie, value: str) -> None:
    cookie.same_site = _SAME_SITE.get(value.lower())


_ATTRIBUTES: Final[dict[str, Callable[[SetCookie, str], None]]] = {
    "expires": _use_expires,
    "max-age": _use_max_age,
    "domain": _use_domain,
    "path": _use_path,
    "secure": _use_secure,
    "httponly": _use_http_only,
    "samesite": _use_same_site,
}
