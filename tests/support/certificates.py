"""One certificate authority for the whole run, and the TLS contexts that trust it or are trusted by it.

`Issued` makes the certificates that no decent authority gives out, for tests about what is refused.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


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
        if leaf is None:
            context.load_cert_chain(self.server)  # trustme would write the same file anew
        else:
            leaf.configure_cert(context)
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


PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
SERVER_AUTH = x509.ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = x509.ExtendedKeyUsageOID.CLIENT_AUTH
# Signatures only: what Python 3.13 and newer (VERIFY_X509_STRICT) want an authority to say.
_CA_USAGE = x509.KeyUsage(False, False, False, False, False, True, True, False, False)


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey

    @classmethod
    def make(
        cls,
        *names: str,
        issuer: Issued | None = None,
        signer: Issued | None = None,
        common_name: str | None = "the test's own",
        days: tuple[float, float] = (-30, 30),
        key: PrivateKey | None = None,
        ca: bool = False,
        path_length: int | None = None,
        usages: Sequence[x509.ObjectIdentifier] = (SERVER_AUTH,),
        extensions: Sequence[x509.ExtensionType] = (),
    ) -> Issued:
        """A certificate, self-signed without an `issuer`.

        Args:
            names: of subjectAltName: DNS names, also impossible ones, or ipaddress's addresses as "IP:127.0.0.1".
            issuer: who it says that it is from.
            signer: who signs it, if not the issuer.
            common_name: None leaves the subject empty.
            days: from when to when it is valid, counted from now.
            path_length: of a CA: how many CAs may follow.
            usages: of extendedKeyUsage; none leaves it out.
            extensions: more of them; critical.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        parts = [] if common_name is None else [x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)]
        subject = x509.Name(parts)
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        first, last = (now + datetime.timedelta(days=each) for each in days)
        authority = issuer.certificate.subject if issuer is not None else subject
        builder = x509.CertificateBuilder(
            authority, subject, key.public_key(), x509.random_serial_number(), first, last
        )
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        known = (issuer.key if issuer is not None else key).public_key()
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(known), critical=False)
        if ca:
            builder = builder.add_extension(_CA_USAGE, critical=True)
        elif usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=common_name is None
            )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        signs = (signer or issuer).key if signer or issuer else key
        return cls(builder.sign(signs, hashes.SHA256()), key)

    def issue(self, *names: str, **options: Any) -> Issued:
        """A certificate from this one; see `make`."""
        return self.make(*names, issuer=self, **options)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, password: str | None = None) -> bytes:
        protection = (
            serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        )
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)

    def server_context(self, *chain: Issued) -> ssl.SSLContext:
        """A server that shows this certificate, and `chain` with it. It takes what a server should refuse to show."""
        context = _context(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        with TemporaryDirectory() as directory:
            file = Path(directory) / "server.pem"
            file.write_bytes(self.key_pem() + self.pem + b"".join(each.pem for each in chain))
            context.load_cert_chain(file)
        return context


def _general_name(name: str) -> x509.GeneralName:
    kind, _, rest = name.partition(":")
    if kind == "IP":
        return x509.IPAddress(ipaddress.ip_address(rest))
    return x509.RFC822Name(rest) if kind == "email" else x509.DNSName(name)
