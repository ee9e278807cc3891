"""The head of an HTTP/1.1 response, judged by llhttp (Node's own parser). The only importer of `httptools`.

A whole head is parsed in one call, by a parser that is thrown away: what a parser remembers of one response can then
never touch the next. llhttp hands each field to the head itself (`ResponseHead.on_header`), which keeps those that
frame the message; the rest is split when somebody asks. (One regular expression over the head costs as much, three
times as much where this is compiled, and would be a second opinion on what a field is.)
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

from atomhttp._wire.digits import read_digits
from atomhttp._wire.events import ResponseHead
from atomhttp.errors import AtomHTTPProtocolError

MAX_FIELDS: Final = 200

# A head of this many bytes cannot hold more fields than that ("x:" and the line end, each): no need to count them.
_FEW_FIELDS: Final = 4 * MAX_FIELDS

_USUAL_LINE: Final = b"HTTP/1.1 200 OK\r\n"
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9](?: [\t\x20-\x7e\x80-\xff]*)?\r\n")
_KEEP_ALIVE_TIMEOUT: Final = re.compile(rb"(?:^|[ ,;])timeout=\"?([0-9]{1,6})", re.IGNORECASE)


def parse_head(block: bytes) -> ResponseHead:
    """The head in `block`, which ends with its empty line.

    Raises:
        AtomHTTPProtocolError: the head breaks RFC 9112, or what this client asks of it.
    """
    head = ResponseHead(block)
    parser = HttpResponseParser(head)
    try:
        parser.feed_data(block)
    except HttpParserCallbackError as error:
        # A KeyboardInterrupt came while a field was handed over: httptools makes an ordinary exception of it.
        raise error.__context__ or error from None
    except (HttpParserUpgrade, HttpParserError) as error:
        raise AtomHTTPProtocolError(_explain(block, error)) from error
    usual = block.startswith(_USUAL_LINE)
    if not usual and _STATUS_LINE.match(block) is None:
        raise AtomHTTPProtocolError(f"not an HTTP/1.1 response: {shown(block)}")
    if len(block) > _FEW_FIELDS and block.count(b"\r\n") - 2 > MAX_FIELDS:
        raise AtomHTTPProtocolError(f"more than {MAX_FIELDS} fields in the response head", "HPE_HEADER_OVERFLOW")
    head.status = parser.get_status_code()
    options = b""
    for name, value in head.framing:
        size = len(name)
        if size == 14 and (name == b"Content-Length" or name.lower() == b"content-length"):
            # llhttp has refused lists, signs and repetitions; this holds it to that.
            head.content_length = _strict_length(value, head)
        elif size == 17 and name.lower() == b"transfer-encoding":
            # Repeated fields are one list; no list of two codings is accepted anyway.
            head.transfer_encoding = value if head.transfer_encoding is None else head.transfer_encoding + b"," + value
        elif size == 16 and name.lower() == b"content-encoding":
            head.content_encoding = head.content_encoding + b"," + value if head.content_encoding else value
        elif size == 10:
            options = _take_rarer(head, name.lower(), value, options)
    if not usual and block.startswith(b"HTTP/1.0"):
        head.keep_alive = _is_kept_alive(head.find(b"connection").encode("latin-1"), "1.0")
    elif options and options != b"keep-alive":
        # What many servers say says nothing new in HTTP/1.1.
        head.keep_alive = _is_kept_alive(options, "1.1")
    return head


def _explain(block: bytes, error: Exception) -> str:
    """What is wrong with the head, in the words that the engine has for it when it comes in pieces."""
    if not block.startswith(b"HTTP/1."):
        return f"not an HTTP/1.1 response: {shown(block)}"
    if block.count(b"\n") != block.count(b"\r\n"):
        return f"a line of the response head ends without CR: {shown(block)}"
    if block[9:12] == b"101":
        # The answer to an Upgrade that this client never sends (RFC 9110 section 15.2.2).
        return "the server switched protocols (101) without having been asked"
    return f"broken response head: {error}: {shown(block)}"


def _take_rarer(head: ResponseHead, name: bytes, value: bytes, options: bytes) -> bytes:
    """Fields that most responses do not have; what is known of Connection so far."""
    if name == b"connection":
        return options + b"," + value if options else value
    if name == b"set-cookie":
        head.sets_cookies = True
    elif name == b"keep-alive":
        head.keep_alive_timeout = _keep_alive_timeout(value)
    return options


def _strict_length(value: bytes, head: ResponseHead) -> int:
    """The only Content-Length of a head; white space around it is fine, nothing else is."""
    length = read_digits(value)
    if length < 0:
        length = read_digits(value.rstrip(b" \t"))
    if length < 0 or head.content_length is not None:
        raise AtomHTTPProtocolError(f"not a Content-Length: {value[:80]!r}")
    return length


# Servers send the same few values again and again (cached: 0.06 µs instead of 1.1).
@lru_cache(maxsize=64)
def _is_kept_alive(options: bytes, version: str) -> bool:
    """Whether the connection persists: RFC 9112 section 9.3."""
    tokens = {token.strip(b" \t") for token in options.lower().split(b",")}
    return b"close" not in tokens and (version == "1.1" or b"keep-alive" in tokens)


@lru_cache(maxsize=64)
def _keep_alive_timeout(value: bytes) -> float | None:
    timeout = _KEEP_ALIVE_TIMEOUT.search(value)
    return float(timeout[1]) if timeout else None


# What stands behind these may be a value, and a secret.
_SHOWN: Final = re.compile(rb"[^\r\n:=;\"{]{0,80}")


def shown(data: bytes) -> str:
    """The first line of what a peer sent, escaped and cut, for a message."""
    line = _SHOWN.match(data)
    assert line is not None
    return repr(line[0])[1:] if len(line[0]) == len(data) else repr(line[0])[1:-1] + "…'"
