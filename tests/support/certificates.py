"""One certificate authority for the whole run, and the TLS contexts that trust it or are trusted by it."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Certificates:
    """A throw-away CA, a server leaf for the loopback names, and a client leaf; all of them also as PEM files."""

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        self._server = self.issue("localhost", "127.0.0.1", "::1")
        client = self._authority.issue_cert("client@atomhttp.test")

        self.ca = directory / "ca.pem"
        self.server = directory / "server.pem"
        self.client = directory / "client.pem"
        self._authority.cert_pem.write_to_path(self.ca)
        # Key and chain in one file: what nginx, `SSLContext.load_cert_chain` and the `cert` option all accept.
        self._server.private_key_and_cert_chain_pem.write_to_path(self.server)
        client.private_key_and_cert_chain_pem.write_to_path(self.client)

    def issue(self, *names: str) -> trustme.LeafCert:
        """Another leaf of this CA, for tests about names (`names` may hold addresses and wildcards)."""
        return self._authority.issue_cert(*names)

    def server_context(self, leaf: trustme.LeafCert | None = None, *, ask_client: bool = False) -> ssl.SSLContext:
        """A fresh server context; with `ask_client` the handshake fails without a certificate of this CA."""
        context = _context(ssl.PROTOCOL_TLS_SERVER)
        (leaf or self._server).configure_cert(context)
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            self._authority.configure_trust(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """A fresh client context that trusts this CA and nothing else."""
        context = _context(ssl.PROTOCOL_TLS_CLIENT)
        self._authority.configure_trust(context)
        return context


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    # Python 3.11.2, Debian's, sets this by default, and then a truncation looks like a proper end.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return context
