"""Promises that several targets hold."""

from __future__ import annotations

import re
from typing import Final

from atomhttp._wire.http1_writer import encode_fields, encode_request_line
from atomhttp.errors import AtomHTTPError

_RAW_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check_message(error: AtomHTTPError, secret: str | None = None) -> None:
    """What a peer or a caller sent is escaped in a message: it must not forge lines of a log, and can be printed.

    Args:
        error: what was raised.
        secret: what must not be in it.
    """
    found = _RAW_CONTROL.search(str(error))
    assert found is None, f"a raw {found[0]!r} in the message {str(error)!r}"
    assert secret is None or secret not in str(error), f"a secret in the message {str(error)!r}"
    assert error.code in type(error).codes, f"{type(error).__name__} with the code {error.code!r}"


def check_field(name: str, value: str) -> None:
    """It can be sent, as one line."""
    line = encode_fields([(name, value)])
    assert line.count(b"\n") == line.count(b"\r") == 1


def check_target(path: str) -> None:
    """It can be sent, as one request line."""
    line = encode_request_line("GET", path)
    assert line.count(b" ") == 2
    assert line.count(b"\n") == line.count(b"\r") == 1
