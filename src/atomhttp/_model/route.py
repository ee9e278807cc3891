"""What decides who a connection talks to: the key of the pool."""

from __future__ import annotations

import ssl
from typing import NamedTuple


class Route(NamedTuple):
    """Connections with equal routes are interchangeable; nothing that changes the peer may be missing here."""

    scheme: str
    host: str
    port: int
    socket_path: str | None
    verify: bool | str | ssl.SSLContext
    cert: tuple[str, ...] | None

    @property
    def name(self) -> str:
        """Where it leads, for a person."""
        return self.socket_path if self.socket_path is not None else f"{self.host}:{self.port}"

    @property
    def server_hostname(self) -> str:
        """The name that TLS sends and verifies; a trailing dot is DNS's, not the certificate's."""
        return self.host.rstrip(".")
