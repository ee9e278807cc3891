"""The options `verify` and `cert` as an SSLContext: whom we trust, and who we are.

Equal options share one context in the process, as one costs 21-40 ms, most of it for the system's authorities. What
the environment names (SSL_CERT_FILE, SSL_CERT_DIR, SSLKEYLOGFILE) is read here and not left to OpenSSL, which would
read it for callers too who do not trust their environment, and would say nothing of a file that it cannot use.
"""

from __future__ import annotations

import errno
import os
import ssl
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final, NamedTuple

from atomhttp._lazy_pattern import lazy_pattern
from atomhttp.errors import AtomHTTPOptionError, AtomHTTPTLSError

Verify = bool | str | ssl.SSLContext
Cert = tuple[str, ...] | None

# What we offer by ALPN (RFC 7301), where nothing else is asked for.
PROTOCOLS: Final = ("http/1.1",)
HTTP2: Final = "h2"
MAX_CONTEXTS: Final = 100

# How OpenSSL names the certificates of a directory: the hash of the subject, and a number.
_HASHED = lazy_pattern(r"[0-9a-f]{8}\.[0-9]+\Z")

_contexts: dict[tuple[Any, ...], ssl.SSLContext] = {}
_contexts_lock = threading.Lock()


class _Environment(NamedTuple):
    """What the environment says of TLS; an empty value is none."""

    cert_file: str | None = None
    cert_dir: str | None = None
    key_log: str | None = None

    @classmethod
    def read(cls, verify: Verify) -> _Environment:
        find = os.environ.get
        # As Python does it: nothing that `python -E` was told to ignore has the session keys written to a file.
        key_log = None if sys.flags.ignore_environment else find("SSLKEYLOGFILE") or None
        if verify is not True:
            return cls(key_log=key_log)
        return cls(find("SSL_CERT_FILE") or None, find("SSL_CERT_DIR") or None, key_log)


class _UnusableFileError(OSError):
    """A file that an option names cannot be used; not an error of a connection, which might be better the next time."""

    def __init__(self, option: str, path: str, what: str) -> None:
        super().__init__(errno.EINVAL, what, path)
        self.option = option


def choose_protocols(http2: bool | str) -> tuple[str, ...]:
    """What to offer where the option `http2` says so: see it."""
    if http2 == "only":
        return (HTTP2,)
    return (HTTP2, *PROTOCOLS) if http2 else PROTOCOLS


def build_context(
    verify: Verify, cert: Cert, trust_env: bool = True, protocols: tuple[str, ...] = PROTOCOLS
) -> ssl.SSLContext:
    """The SSLContext for these options.

    A file that has changed since (its time or size), or an environment that names another one, makes a new one.

    Args:
        verify: True (the system's authorities), False (nobody is verified), a PEM file of authorities, a directory of
            them under their hashes, or an SSLContext, which is used as it is.
        cert: files with our certificate and its key, and the key's password: (both,), (certificate, key), or
            (certificate, key, password).
        trust_env: whether SSL_CERT_FILE and SSL_CERT_DIR (for `verify=True`) and SSLKEYLOGFILE are looked at.
        protocols: what to offer by ALPN (RFC 7301), the best first. A context of the caller's offers what it offers.

    Raises:
        AtomHTTPTLSError: a file that cannot be read or used, or a system without authorities.
        AtomHTTPOptionError: an SSLContext that cannot be used, or not with `cert`.
    """
    if isinstance(verify, ssl.SSLContext):
        return _check_own_context(verify, cert)
    environment = _Environment.read(verify) if trust_env else _Environment()
    key = (verify, cert, environment, protocols, *map(_stamp, _files(verify, cert, environment)))
    with _contexts_lock:
        context = _contexts.get(key)
        if context is None:
            if len(_contexts) >= MAX_CONTEXTS:
                # Rotated files leave contexts behind that nobody will ask for again: the oldest goes.
                del _contexts[next(iter(_contexts))]
            try:
                context = _make_context(verify, cert, environment, protocols)
            except _UnusableFileError as error:
                raise AtomHTTPTLSError(f"{error.option}: {error.filename!r} {error.strerror}") from error
            _contexts[key] = context
        return context


def _check_own_context(context: ssl.SSLContext, cert: Cert) -> ssl.SSLContext:
    if cert is not None:
        # The caller's own context would keep our certificate for everybody else who uses it.
        raise AtomHTTPOptionError(
            "cert cannot be combined with an SSLContext as verify: load the certificate into the context",
            "ERR_BAD_OPTION_VALUE",
        )
    if context.protocol == ssl.PROTOCOL_TLS_SERVER:
        raise AtomHTTPOptionError(
            "verify: this SSLContext is for servers; ssl.create_default_context() makes one for clients",
            "ERR_BAD_OPTION_VALUE",
        )
    return context


def _files(verify: Verify, cert: Cert, environment: _Environment) -> Iterator[str]:
    """The files that a context depends on."""
    if isinstance(verify, str):
        yield verify
    if environment.cert_file is not None:
        yield environment.cert_file
    if cert is not None:
        yield from cert[:2]


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size)


def _make_context(
    verify: bool | str, cert: Cert, environment: _Environment, protocols: tuple[str, ...]
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # A system's own policy may ask for more.
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    # RFC 9525 section 6.3: names are those of subjectAltName.
    context.hostname_checks_common_name = False
    # An authority need not be a root to be trusted. Python 3.13 sets both, and what it finds too lax it refuses.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    # Some builds let a cut pass for an end; nothing would tell truncation then.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.set_alpn_protocols(list(protocols))
    if environment.key_log is not None:
        try:
            context.keylog_filename = environment.key_log
        except OSError as error:
            raise _UnusableFileError(
                "SSLKEYLOGFILE", environment.key_log, f"cannot be written: {_reason(error)}"
            ) from error
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif verify is True:
        _trust_system(context, environment)
    else:
        _trust(context, "verify", verify)
    if cert is None:
        # A server has but one reason to renegotiate: to ask for a certificate after all, as TLS 1.3 does in a message.
        context.options |= getattr(ssl, "OP_NO_RENEGOTIATION", 0)
    else:
        context.post_handshake_auth = True
        _identify(context, *cert)
    return context


# Whom we trust


def _trust(context: ssl.SSLContext, option: str, path: str) -> None:
    if os.path.isdir(path):
        if not _has_certificates(path):
            raise _UnusableFileError(
                option, path, "is a directory without a certificate under its hash; `openssl rehash` names them"
            )
        context.load_verify_locations(capath=path)
        return
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise _UnusableFileError(
            option, path, f"holds no certificates in PEM form that can be used: {_reason(error)}"
        ) from error
    except OSError as error:
        raise _UnusableFileError(option, path, f"cannot be read: {_reason(error)}") from error


def _trust_system(context: ssl.SSLContext, environment: _Environment) -> None:
    """The authorities of the system, in the place of which the environment may name others."""
    paths = ssl.get_default_verify_paths()
    directory = environment.cert_dir or paths.openssl_capath
    if environment.cert_file is not None:
        _trust(context, "SSL_CERT_FILE", environment.cert_file)
    elif os.access(paths.openssl_cafile, os.R_OK):
        _trust(context, "verify", paths.openssl_cafile)
    if sys.platform == "win32":
        _trust_windows(context)
    # Looked into when a certificate is needed; it need not be there.
    context.load_verify_locations(capath=directory)
    if not context.cert_store_stats()["x509"] and not any(map(_has_certificates, directory.split(os.pathsep))):
        _trust_certifi(context, f"{environment.cert_file or paths.openssl_cafile} and {directory}")


if sys.platform == "win32":

    def _trust_windows(context: ssl.SSLContext) -> None:
        for store in ("CA", "ROOT"):
            for certificate, encoding, trust in ssl.enum_certificates(store):
                if encoding == "x509_asn" and (trust is True or ssl.Purpose.SERVER_AUTH.oid in trust):
                    try:
                        context.load_verify_locations(cadata=certificate)
                    except ssl.SSLError:
                        # Expected: stores hold what OpenSSL cannot read. It is not trusted then.
                        continue


def _trust_certifi(context: ssl.SSLContext, looked_at: str) -> None:
    """The authorities of the package certifi, where the system has none."""
    try:
        certifi = import_module("certifi")
    except ImportError:
        raise _UnusableFileError(
            "verify",
            looked_at,
            "hold no authorities: install the system's ca-certificates or Python's certifi, or name a file by verify",
        ) from None
    _trust(context, "verify", certifi.where())


def _has_certificates(directory: str) -> bool:
    try:
        with os.scandir(directory) as entries:
            return any(_HASHED.match(each.name) for each in entries)
    except OSError:
        # As for OpenSSL: one that cannot be read is empty.
        return False


# Who we are


class _Password:
    """Gives the password when OpenSSL asks for it, which would ask at the terminal otherwise."""

    def __init__(self, password: str | None) -> None:
        self.asked = False
        self._password = password

    def __call__(self) -> str:
        self.asked = True
        if self._password is None:
            raise LookupError
        return self._password


def _identify(context: ssl.SSLContext, certificate: str, key: str | None = None, password: str | None = None) -> None:
    secret = _Password(password)
    where = certificate if key is None else key
    try:
        context.load_cert_chain(certificate, key, secret)
    except LookupError:
        raise _UnusableFileError(
            "cert", where, "is encrypted, and cert=(certificate, key, password) gives no password"
        ) from None
    except ValueError:
        raise _UnusableFileError("cert", where, "cannot have a password of more than 1024 bytes") from None
    except ssl.SSLError as error:
        raise _why_not_ours(error, certificate, where, secret.asked) from error
    except OSError as error:
        # It does not say which of the two it is.
        missing = certificate if not os.access(certificate, os.R_OK) or os.path.isdir(certificate) else where
        raise _UnusableFileError("cert", missing, f"cannot be read: {_reason(error)}") from error


def _why_not_ours(error: ssl.SSLError, certificate: str, key: str, asked: bool) -> _UnusableFileError:
    """OpenSSL says "PEM lib" of most of what can be wrong with a certificate of ours and its key."""
    if error.reason == "KEY_VALUES_MISMATCH":
        return _UnusableFileError("cert", key, f"is not the key of the certificate {certificate!r}")
    if not _contains(certificate, b"CERTIFICATE-----"):
        return _UnusableFileError("cert", certificate, "holds no certificate in PEM form")
    if not _contains(key, b"PRIVATE KEY-----"):
        hint = "; a key in a file of its own is named by cert=(certificate, key)" if key == certificate else ""
        return _UnusableFileError("cert", key, f"holds no private key in PEM form{hint}")
    if asked:
        return _UnusableFileError("cert", key, "cannot be opened with the password that was given")
    return _UnusableFileError("cert", certificate, f"cannot be used: {_reason(error)}")


def _contains(path: str, text: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return text in file.read()
    except OSError:
        # It could be read a moment ago; what OpenSSL said is told then.
        return True


# Errors


def _reason(error: OSError) -> str:
    """The words of OpenSSL or of the operating system."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or error.args[-1]).replace("_", " ").lower()
    return (error.strerror or str(error)).lower()


def _renew_lock() -> None:
    # Another thread of the parent may have held it when the process forked.
    global _contexts_lock
    _contexts_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
