from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp import Headers
from atomhttp._model.byte_ranges import ContentRange, is_of, parse_content_range, strong_validator

OLD = "Mon, 01 Jan 2024 10:00:00 GMT"
A_MINUTE_LATER = "Mon, 01 Jan 2024 10:01:00 GMT"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes 0-0/1", ContentRange(0, 0, 1)),
        ("bytes 5-9/10", ContentRange(5, 9, 10)),
        ("Bytes 5-9/10", ContentRange(5, 9, 10)),
        (" bytes 5-9/10 ", ContentRange(5, 9, 10)),
        ("bytes 5-9/*", ContentRange(5, 9, None)),
        ("bytes 005-009/010", ContentRange(5, 9, 10)),
        (f"bytes 0-{2**62}/{2**62 + 1}", ContentRange(0, 2**62, 2**62 + 1)),
    ],
)
def test_a_content_range_is_read(field: str, expected: ContentRange) -> None:
    assert parse_content_range(field) == expected


@pytest.mark.parametrize(
    "field",
    [
        "",
        "bytes",
        "bytes */10",
        "bytes */*",
        "bytes 5-9",
        "bytes 5-9/",
        "bytes 5/10",
        "bytes 9-5/10",
        "bytes 5-10/10",
        "bytes -5-9/10",
        "bytes=5-9/10",
        "bytes 5 - 9/10",
        "bytes  5-9/10",
        "bytes\t5-9/10",
        "bytes 5-9/10, bytes 5-9/10",
        "bytes 5-9/10\n",
        "items 5-9/10",
        "xbytes 5-9/10",
        "bytes 0x5-9/10",
        "bytes +5-9/10",
        "bytes 5_0-99/100",
        "bytes \u0665-9/10",
        f"bytes 0-{'9' * 20}/{'9' * 21}",
    ],
)
def test_what_makes_no_sense_is_none(field: str) -> None:
    if field.endswith("\n"):
        # Around it blanks are no part of a field's value.
        assert parse_content_range(field) == ContentRange(5, 9, 10)
    else:
        assert parse_content_range(field) is None


@given(st.integers(0, 10**18), st.integers(0, 10**18), st.one_of(st.none(), st.integers(0, 10**18)))
def test_what_is_read_lies_in_its_total(first: int, last: int, total: int | None) -> None:
    held = parse_content_range(f"bytes {first}-{last}/{'*' if total is None else total}")
    if first <= last and (total is None or last < total):
        assert held == ContentRange(first, last, total)
    else:
        assert held is None


@given(st.text())
def test_no_text_is_too_odd(field: str) -> None:
    held = parse_content_range(field)
    assert held is None or held.first <= held.last


@pytest.mark.parametrize("tag", ['"v1"', '""', '"W/x"', '"a,b"', '"\xe9"', '"it\'s"'])
def test_a_strong_tag_is_a_validator(tag: str) -> None:
    assert strong_validator(Headers({"ETag": tag})) == tag
    assert strong_validator(Headers({"ETag": f" {tag} "})) == tag


@pytest.mark.parametrize("tag", ['W/"v1"', 'w/"v1"', "v1", '"v1', 'v1"', '"a" "b"', '"a"b"', '"a", "b"', "*"])
def test_another_tag_is_none_and_the_date_does_not_stand_in_for_it(tag: str) -> None:
    fields = {"Last-Modified": OLD, "Date": A_MINUTE_LATER}
    assert strong_validator(Headers(fields)) == OLD
    assert strong_validator(Headers({**fields, "ETag": tag})) is None


def test_two_tags_prove_nothing() -> None:
    assert strong_validator(Headers([("ETag", '"a"'), ("ETag", '"a"')])) is None


@pytest.mark.parametrize(
    ("date", "is_proof"),
    [
        (A_MINUTE_LATER, True),
        ("Mon, 01 Jan 2024 10:00:59 GMT", False),
        (OLD, False),
        ("Mon, 01 Jan 2024 09:00:00 GMT", False),
        ("Mon Jan  1 10:01:00 2024", True),
        ("now", False),
        (None, False),
    ],
)
def test_a_date_is_a_validator_when_it_had_been_true_for_a_minute(date: str | None, is_proof: bool) -> None:
    fields = {"Last-Modified": OLD} if date is None else {"Last-Modified": OLD, "Date": date}
    assert strong_validator(Headers(fields)) == (OLD if is_proof else None)


def test_without_fields_there_is_none() -> None:
    assert strong_validator(Headers()) is None
    assert strong_validator(Headers({"ETag": "", "Last-Modified": "", "Date": ""})) is None
    assert strong_validator(Headers({"Last-Modified": "long ago", "Date": OLD})) is None


def test_a_tag_has_to_be_repeated() -> None:
    assert is_of(Headers({"ETag": '"v1"'}), '"v1"')
    for tag, modified in product((None, '"v2"', 'W/"v1"', "v1"), (None, OLD)):
        fields = {"ETag": tag, "Last-Modified": modified}
        assert not is_of(Headers({name: value for name, value in fields.items() if value is not None}), '"v1"')


def test_a_date_may_be_left_out_but_nothing_else_may_be_said() -> None:
    assert is_of(Headers(), OLD)
    assert is_of(Headers({"Last-Modified": OLD}), OLD)
    assert not is_of(Headers({"Last-Modified": A_MINUTE_LATER}), OLD)
    assert not is_of(Headers({"ETag": '"v1"', "Last-Modified": OLD}), OLD)
