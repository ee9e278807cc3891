"""Request heads and chunk framing as bytes (RFC 9112 sections 3, 5 and 7.1).

Every name and value is validated here, last of all: nothing touches a head after this file has built it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from atomhttp.errors import AtomHTTPOptionError

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# RFC 9110 section 5.5: no CR, LF, NUL or other control character but HTAB. Non-ASCII goes out as UTF-8.
_FIELD_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
# Visible ASCII only: a target has been through the URL parser, which percent-encodes the rest.
_TARGET: Final = re.compile(r"[\x21-\x7e]+")

LAST_CHUNK: Final = b"0\r\n\r\n"


def encode_method(method: Any) -> str:
    """`method` if it is a token (RFC 9110 section 9.1).

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE.
    """
    if not isinstance(method, str) or _TOKEN.fullmatch(method) is None:
        raise AtomHTTPOptionError(f"method: not a token: {method!r}", "ERR_BAD_OPTION_VALUE")
    return method


def encode_request_line(method: str, target: str) -> bytes:
    """`METHOD target HTTP/1.1` with its line end."""
    encode_method(method)
    check_target(target)
    # Joined, not formatted: a subclass of str may format as something else than what has been validated.
    return " ".join((method, target, "HTTP/1.1\r\n")).encode("ascii")  # noqa: FLY002  # for that reason


def check_target(target: str) -> None:
    """Returns when `target` can stand in a request line.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE.
    """
    if _TARGET.fullmatch(target) is None:
        raise AtomHTTPOptionError(f"url: not a request target: {target[:80]!r}", "ERR_BAD_OPTION_VALUE")


def encode_fields(fields: Iterable[tuple[str, str]]) -> bytes:
    """Field lines, validated.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE; the message names the field, never its value (it may be a secret).
    """
    checked = list(fields)
    check_fields(checked)
    return encode_text("".join([text for name, value in checked for text in (name, ": ", value, "\r\n")]))


def check_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Returns when all of `fields` are fit to be sent; see `encode_fields`."""
    for name, value in fields:
        if _TOKEN.fullmatch(name) is None:
            raise AtomHTTPOptionError(f"headers: not a field name: {name[:80]!r}", "ERR_BAD_OPTION_VALUE")
        if _FIELD_VALUE.fullmatch(value) is None:
            raise AtomHTTPOptionError(f"headers: control character in the value of {name!r}", "ERR_BAD_OPTION_VALUE")


def encode_text(text: str) -> bytes:
    """Validated text as it is sent; see `encode_fields`. By str's own method: a subclass may have another one."""
    try:
        return str.encode(text)
    except UnicodeEncodeError:
        raise AtomHTTPOptionError("headers: a value that is not Unicode text", "ERR_BAD_OPTION_VALUE") from None


def encode_chunk(data: bytes | memoryview) -> bytes:
    """`data`, which must not be empty (an empty chunk ends the body), in the chunked coding."""
    return b"".join((b"%x\r\n" % len(data), data, b"\r\n"))
