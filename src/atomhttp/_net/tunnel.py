"""CONNECT: a tunnel through an HTTP proxy (RFC 9110 section 9.3.6).

Nothing of the request is said before the tunnel stands. What a proxy answers instead of opening it is the proxy's word,
never the origin's: it becomes an error, not a response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomhttp._net.conversation import Conversation
from atomhttp._wire.events import ResponseHead
from atomhttp._wire.http1 import Http1Engine
from atomhttp._wire.http1_writer import encode_fields, encode_request_line
from atomhttp.errors import AtomHTTPError, AtomHTTPProtocolError, AtomHTTPProxyError

if TYPE_CHECKING:
    from atomhttp._model.proxies import Proxy


async def open_tunnel(conversation: Conversation, proxy: Proxy, authority: str) -> None:
    """Has `proxy`, at the other end, connect to `authority` (host and port).

    Raises:
        AtomHTTPProxyError: it would not, or did not speak HTTP.
        AtomHTTPTimeoutError.
    """
    fields = [("Host", authority)]
    if proxy.authorization is not None:
        fields.append(("Proxy-Authorization", proxy.authorization))
    try:
        await conversation.send(encode_request_line("CONNECT", authority) + encode_fields(fields) + b"\r\n")
        head, surplus = await _receive_head(conversation)
    except AtomHTTPProtocolError as error:
        raise AtomHTTPProxyError(f"the proxy {proxy.name} did not answer CONNECT properly: {error.message}") from error
    except OSError as error:
        if isinstance(error, AtomHTTPError):
            raise
        raise AtomHTTPProxyError(f"the proxy {proxy.name} broke the connection off during CONNECT") from error
    if head is None:
        raise AtomHTTPProxyError(f"the proxy {proxy.name} ended the connection without an answer to CONNECT")
    if head.status >= 300:
        raise refusal(proxy, authority, head)
    if surplus:
        # Who speaks first in a tunnel is the client: what is there already, somebody else has said.
        raise AtomHTTPProxyError(f"the proxy {proxy.name} sent {surplus} bytes behind its answer to CONNECT")


async def _receive_head(conversation: Conversation) -> tuple[ResponseHead | None, int]:
    """The head of the answer, None when there is none, and how many bytes came behind it."""
    engine = Http1Engine()
    engine.expect("CONNECT")
    size = 0
    while True:
        data = await conversation.receive()
        if not data:
            engine.receive_eof()
            return None, 0
        size += len(data)
        for event in engine.receive(data):
            if isinstance(event, ResponseHead):
                size -= len(event.block)
                if not event.interim:
                    return event, size


def refusal(proxy: Proxy, authority: str, head: ResponseHead) -> AtomHTTPProxyError:
    """The error for a proxy that answers CONNECT with anything but 2xx."""
    reason = head.reason.decode("latin-1").encode("unicode_escape").decode("ascii")[:80]
    hint = ""
    if head.status == 407:
        hint = "; it wants credentials: http://user:password@host:port"
        if proxy.authorization is not None:
            hint = "; it does not accept the credentials"
    return AtomHTTPProxyError(
        f"the proxy {proxy.name} refused to connect to {authority}: {head.status} {reason}".rstrip() + hint,
        proxy_status=head.status,
    )
