from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._model.http_date import parse_http_date

# RFC 9110 section 5.6.7: the same moment in its three forms.
MOMENT = 784111777.0


@pytest.mark.parametrize(
    "field",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 09:49:37 +0100",
        "Sun, 06 Nov 1994 08:49:37 -0000",
    ],
)
def test_a_date_is_seconds_since_the_epoch(field: str) -> None:
    assert parse_http_date(field) == MOMENT


@pytest.mark.parametrize(
    "field",
    [
        "",
        " ",
        "now",
        "0",
        "-1",
        "784111777",
        "1994-11-06T08:49:37Z",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 06 Nov 99999999999 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +9999999999",
        "Sun, 06 Foo 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_date_is_none(field: str) -> None:
    assert parse_http_date(field) is None


@given(st.text())
def test_no_text_is_too_odd(field: str) -> None:
    assert parse_http_date(field) is None or isinstance(parse_http_date(field), float)


@given(st.from_regex(r"\A[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,12} [0-9:]{1,10}( [+-]?[0-9A-Z]{1,12})?\Z"))
def test_nothing_like_a_date_is_too_odd(field: str) -> None:
    assert parse_http_date(field) is None or isinstance(parse_http_date(field), float)
