"""Dates in header fields (RFC 9110 section 5.6.7)."""

from __future__ import annotations

from datetime import UTC


def parse_http_date(field: str) -> float | None:
    """A date field's value as seconds since the epoch; None when it is no date."""
    try:
        from email.utils import parsedate_to_datetime  # 7 ms of every start

        date = parsedate_to_datetime(field)
        # Every date in HTTP is in UTC; asctime's form does not say so.
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        # Not a date: the field says nothing.
        return None
