"""SOCKS5 (RFC 1928, RFC 1929): a tunnel through a SOCKS proxy. The only importer of `socksio`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from atomhttp._net.conversation import Conversation
from atomhttp.errors import AtomHTTPError, AtomHTTPOptionError, AtomHTTPProxyError

if TYPE_CHECKING:
    from atomhttp._model.proxies import Proxy

# What one octet can count.
MAX_FIELD: Final = 255
# By the type of the address in a reply: how long that is. A name says so in its first octet.
_ADDRESS_LENGTHS: Final = {1: 4, 4: 16}
_NAME: Final = 3
# 0.0.0.0, port 0.
_NO_ADDRESS: Final = b"\x01" + bytes(6)


def import_socksio(proxy: Proxy) -> tuple[type[Exception], Any]:
    """What it raises, and its version 5.

    Raises:
        AtomHTTPOptionError: ERR_NOT_SUPPORT: it is not installed.
    """
    try:
        from socksio import ProtocolError, socks5
    except ImportError as error:
        raise AtomHTTPOptionError(
            f"proxy: {proxy.scheme} needs the extra: pip install 'atomhttp[socks]'", "ERR_NOT_SUPPORT"
        ) from error
    return ProtocolError, socks5


async def open_socks_tunnel(conversation: Conversation, proxy: Proxy, host: str, port: int) -> None:
    """Has `proxy`, at the other end, connect to `host`: a name, which it resolves, or an address.

    Raises:
        AtomHTTPOptionError: ERR_NOT_SUPPORT: socksio is not installed.
        AtomHTTPProxyError: it would not, or did not speak SOCKS5.
        AtomHTTPTimeoutError.
    """
    ProtocolError, socks5 = import_socksio(proxy)  # noqa: N806  # a class
    if len(host) > MAX_FIELD:
        raise AtomHTTPOptionError(f"url: a SOCKS proxy takes names of {MAX_FIELD} octets", "ERR_BAD_OPTION_VALUE")
    exchange = _Exchange(conversation, socks5.SOCKS5Connection())
    try:
        await _authenticate(exchange, proxy, socks5)
        command = socks5.SOCKS5CommandRequest.from_address(socks5.SOCKS5Command.CONNECT, (host, port))
        reply = await exchange.ask(command, whole_reply=True)
    except (ProtocolError, ValueError) as error:
        if isinstance(error, AtomHTTPError):
            raise
        raise AtomHTTPProxyError(f"the proxy {proxy.name} does not speak SOCKS5 properly: {error}") from error
    except EOFError as error:
        raise AtomHTTPProxyError(f"the proxy {proxy.name} ended the connection in the middle of SOCKS") from error
    except OSError as error:
        if isinstance(error, AtomHTTPError):
            raise
        raise AtomHTTPProxyError(f"the proxy {proxy.name} broke the connection off in the middle of SOCKS") from error
    if reply.reply_code != socks5.SOCKS5ReplyCode.SUCCEEDED:
        why = reply.reply_code.name.replace("_", " ").lower()
        where = f"[{host}]" if ":" in host else host
        raise AtomHTTPProxyError(f"the proxy {proxy.name} refused to connect to {where}:{port}: {why}")
    if exchange.surplus:
        # Who speaks first in a tunnel is the client: what is there already, somebody else has said.
        raise AtomHTTPProxyError(f"the proxy {proxy.name} sent {exchange.surplus} bytes behind its answer")


async def _authenticate(exchange: _Exchange, proxy: Proxy, socks5: Any) -> None:
    method = socks5.SOCKS5AuthMethod
    offered = [method.NO_AUTH_REQUIRED]
    username, password = (proxy.username or "").encode(), (proxy.password or "").encode()
    if proxy.username is not None:
        if not 0 < len(username) <= MAX_FIELD or not 0 < len(password) <= MAX_FIELD:
            raise AtomHTTPOptionError(
                f"proxy: SOCKS5 takes a user name and a password of 1 to {MAX_FIELD} octets", "ERR_BAD_OPTION_VALUE"
            )
        offered.append(method.USERNAME_PASSWORD)
    chosen = (await exchange.ask(socks5.SOCKS5AuthMethodsRequest(offered))).method
    if chosen not in offered:
        wanted = "credentials" if chosen in (method.NO_ACCEPTABLE_METHODS, method.USERNAME_PASSWORD) else chosen.name
        raise AtomHTTPProxyError(f"the proxy {proxy.name} refused us: it wants {wanted}")
    if chosen == method.USERNAME_PASSWORD:
        accepted = await exchange.ask(socks5.SOCKS5UsernamePasswordRequest(username, password), version=1)
        if not accepted.success:
            raise AtomHTTPProxyError(f"the proxy {proxy.name} refused the user name or the password")


class _Exchange:
    """Messages of `socksio`, which wants each of them whole and by itself."""

    def __init__(self, conversation: Conversation, connection: Any) -> None:
        self._conversation = conversation
        self._connection = connection
        self._received = b""

    @property
    def surplus(self) -> int:
        """How many bytes came behind the last answer."""
        return len(self._received)

    async def ask(self, request: Any, version: int = 5, whole_reply: bool = False) -> Any:
        """Sends `request`; the answer to it, which is of that version of its protocol.

        Raises:
            ValueError, ProtocolError: it is no answer.
        """
        if self._received:
            raise ValueError("it answers before it is asked")
        self._connection.send(request)
        await self._conversation.send(self._connection.data_to_send())
        reply = await (self._receive_reply() if whole_reply else self._receive(2))
        # socksio looks at that of the last reply only.
        if reply[0] != version:
            raise ValueError(f"an answer of version {reply[0]}, not {version}")
        return self._connection.receive_data(reply)

    async def _receive_reply(self) -> bytes:
        """RFC 1928 section 6: four octets, an address as long as its type says, a port."""
        start = await self._receive(4)
        if start[3] == _NAME:
            length = (await self._receive(1))[0]
        elif start[3] in _ADDRESS_LENGTHS:
            length = _ADDRESS_LENGTHS[start[3]]
        else:
            raise ValueError(f"an address of the unknown type {start[3]}")
        await self._receive(length + 2)
        # Where the proxy connects from is nobody's business, and socksio reads no names of more than 127 octets.
        return start[:3] + _NO_ADDRESS

    async def _receive(self, size: int) -> bytes:
        while len(self._received) < size:
            piece = await self._conversation.receive()
            if not piece:
                raise EOFError
            self._received += piece
        taken, self._received = self._received[:size], self._received[size:]
        return taken
