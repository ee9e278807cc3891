"""Ranges of bytes, and what proves that two of them are of the same thing (RFC 9110 sections 8.8 and 14)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from atomhttp._lazy_pattern import lazy_pattern
from atomhttp._model.headers import Headers
from atomhttp._model.http_date import parse_http_date

_CONTENT_RANGE: Final = lazy_pattern(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.IGNORECASE)
_STRONG_TAG: Final = lazy_pattern(r'"[\x21\x23-\x7e\x80-\xff]*"')
# A date proves something where it was a while ago already when the response was made: what changes twice within its
# one second would have the same (RFC 9110 section 8.8.2.2).
_SETTLED: Final = 60.0


class ContentRange(NamedTuple):
    """What a 206 holds: the bytes from `first` to `last`, both included, of `total`; None: it does not say."""

    first: int
    last: int
    total: int | None


def parse_content_range(field: str) -> ContentRange | None:
    """A Content-Range field's value; None when it is not one of bytes, or makes no sense."""
    found = _CONTENT_RANGE.fullmatch(field.strip())
    if found is None:
        return None
    first, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    return ContentRange(first, last, total) if first <= last and (total is None or last < total) else None


def strong_validator(headers: Headers) -> str | None:
    """What, sent as If-Range, gets the rest of exactly this representation and of no other; None: there is no such
    thing. An entity tag that is not weak, or a Last-Modified that had been true for a minute."""
    tag = headers.get("etag", "").strip()
    if tag:
        return tag if _STRONG_TAG.fullmatch(tag) else None
    modified = headers.get("last-modified", "").strip()
    then, now = parse_http_date(modified), parse_http_date(headers.get("date", ""))
    return modified if then is not None and now is not None and now - then >= _SETTLED else None


def is_of(headers: Headers, validator: str) -> bool:
    """Whether a 206 with these fields is of what `validator` was given for. It has to repeat an entity tag, and may
    leave out a Last-Modified, which If-Range has settled (RFC 9110 section 15.3.7)."""
    if validator.startswith('"'):
        return str(headers.get("etag", "")).strip() == validator
    return "etag" not in headers and str(headers.get("last-modified", validator)).strip() == validator
