"""Request heads for HTTP/2 (RFC 9113 section 8): a list of fields, names in lower case.

As in HTTP/1.1, every name and value is validated here, last of all: nothing touches a head after this file has built
it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from atomhttp._wire.http1_writer import check_fields, check_target, encode_method, encode_text

Field: TypeAlias = tuple[bytes, bytes]

# About one connection of HTTP/1.1 (section 8.2.2); what of these a caller may set at all says nothing here.
_CONNECTION_SPECIFIC: Final = frozenset(
    (b"connection", b"host", b"http2-settings", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)


def encode_pseudo_fields(method: str, scheme: str, authority: str, target: str) -> list[Field]:
    """What HTTP/1.1 says in its request line and in Host.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE.
    """
    encode_method(method)
    check_target(target)
    check_fields([("Host", authority)])
    return [
        (b":method", str.encode(method)),
        (b":scheme", str.encode(scheme)),
        (b":authority", encode_text(authority)),
        (b":path", str.encode(target)),
    ]


def encode_field_list(fields: Iterable[tuple[str, str]]) -> list[Field]:
    """Fields, validated, without those that concern a connection of HTTP/1.1.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE; the message names the field, never its value (it may be a secret).
    """
    checked = list(fields)
    check_fields(checked)
    # By str's own methods: a subclass may become something else than what has been validated. Blanks around a value are
    # no part of it, and HTTP/2, unlike HTTP/1.1, does not let them pass (section 8.2.1).
    pairs = [(str.encode(str.lower(name)), encode_text(value).strip(b" \t")) for name, value in checked]
    return [pair for pair in pairs if pair[0] not in _CONNECTION_SPECIFIC]
