"""What decides who a connection talks to: the key of the pool."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple

from atomhttp._model.dialing import Dialing

if TYPE_CHECKING:
    from atomhttp._model.proxies import Proxy


class Route(NamedTuple):
    """Connections with equal routes are interchangeable; nothing that changes the peer may be missing here."""

    scheme: str
    host: str
    port: int
    socket_path: str | None
    verify: bool | str | ssl.SSLContext
    cert: tuple[str, ...] | None
    proxy: Proxy | None = None
    dialing: Dialing | None = None
    # Whether the environment says whom to trust (SSL_CERT_FILE, SSL_CERT_DIR).
    trust_env: bool = True
    # Whether HTTP/2 may be spoken, and whether it must ("only").
    http2: bool | str = False

    def __repr__(self) -> str:
        # A certificate's password stands in `cert`, a proxy's in `proxy`.
        way = f" by {self.proxy.name}" if self.proxy is not None else ""
        return f"<Route {self.scheme} {self.name}{way}>"

    @property
    def name(self) -> str:
        """Where it leads, for a person."""
        return self.socket_path if self.socket_path is not None else self.authority

    @property
    def authority(self) -> str:
        """Host and port, as CONNECT names them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def server_hostname(self) -> str:
        """The name that TLS sends and verifies; a trailing dot is DNS's, not the certificate's."""
        return self.host.rstrip(".")

    @property
    def is_forwarded(self) -> bool:
        """Whether a proxy reads the request and makes it its own (RFC 9112 section 3.2.2), and no tunnel leads on."""
        return (
            self.proxy is not None
            and self.scheme == "http"
            and self.proxy.scheme in ("http", "https")
            # To a proxy we speak HTTP/1.1; what must be HTTP/2 takes a tunnel.
            and self.http2 != "only"
        )

    @property
    def may_multiplex(self) -> bool:
        """Whether its connections may speak HTTP/2. In clear nobody is asked: there it must be known beforehand."""
        return self.http2 == "only" or (self.http2 is True and self.scheme == "https")
