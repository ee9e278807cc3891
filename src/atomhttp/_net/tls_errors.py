"""What went wrong in TLS, for a person: which name, which certificate, and why."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from atomhttp._lazy_pattern import lazy_pattern
from atomhttp.errors import AtomHTTPTLSError

if TYPE_CHECKING:
    from atomhttp._net.tls import TLSStream

# OpenSSL's verification results under the names that Node gives them.
_VERIFY_CODES: Final = {
    2: "UNABLE_TO_GET_ISSUER_CERT",
    7: "CERT_SIGNATURE_FAILURE",
    9: "CERT_NOT_YET_VALID",
    10: "CERT_HAS_EXPIRED",
    18: "DEPTH_ZERO_SELF_SIGNED_CERT",
    19: "SELF_SIGNED_CERT_IN_CHAIN",
    20: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    21: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    23: "CERT_REVOKED",
    25: "PATH_LENGTH_EXCEEDED",
    26: "INVALID_PURPOSE",
    27: "CERT_UNTRUSTED",
    28: "CERT_REJECTED",
    62: "ERR_TLS_CERT_ALTNAME_INVALID",
    64: "ERR_TLS_CERT_ALTNAME_INVALID",
    # 24 until OpenSSL 3, where that number means something else.
    79: "INVALID_CA",
}
_DATES: Final = ("CERT_NOT_YET_VALID", "CERT_HAS_EXPIRED")
# Codes of certificates whose issuer is not among those that are trusted.
_UNKNOWN_ISSUER: Final = (
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "UNABLE_TO_GET_ISSUER_CERT",
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
)

_PLAIN_PORT: Final = "what came is not TLS (is it a plain HTTP port?)"
_NO_VERSION: Final = "no version of TLS in common"
_NO_PROTOCOL: Final = "the server speaks nothing that it is offered (ALPN)"
_OUR_CERTIFICATE: Final = "the server refuses our certificate (cert)"
# What OpenSSL's reasons mean to somebody who makes requests. An alert is what the other side said.
_MEANINGS: Final = {
    "WRONG_VERSION_NUMBER": _PLAIN_PORT,
    "HTTP_REQUEST": _PLAIN_PORT,
    "PACKET_LENGTH_TOO_LONG": _PLAIN_PORT,
    "RECORD_LAYER_FAILURE": _PLAIN_PORT,
    "UNSUPPORTED_PROTOCOL": _NO_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": _NO_VERSION,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": "the server asks for stronger ciphers than we offer",
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": _NO_PROTOCOL,
    "TLSV1_UNRECOGNIZED_NAME": "the server does not know that name",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server requires a client certificate (cert)",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "the server refuses what we offer: no cipher in common, or it requires a client certificate (cert)"
    ),
    # Some say that of a certificate which they did not get.
    "SSLV3_ALERT_BAD_CERTIFICATE": "the server refuses our certificate, or requires one (cert)",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _OUR_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _OUR_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _OUR_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _OUR_CERTIFICATE,
    "TLSV1_ALERT_UNKNOWN_CA": _OUR_CERTIFICATE,
    "TLSV1_ALERT_ACCESS_DENIED": _OUR_CERTIFICATE,
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": (
        "the server knows only the old renegotiation, which is unsafe (RFC 5746); an SSLContext as verify may allow it"
    ),
}

_AROUND_REASON = lazy_pattern(r"\A\[[^]]*\] | \(_ssl\.c:\d+\)\Z")

# What a certificate says may be as long as its server likes.
_MAX_NAMES: Final = 5
_MAX_TEXT: Final = 100

_SHORT: Final = {
    "commonName": "CN",
    "countryName": "C",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
}


def tls_error(error: ssl.SSLError, host: str, port: int, stream: TLSStream | None = None) -> AtomHTTPTLSError:
    """What OpenSSL's error in a handshake means, with the name that was asked for.

    Args:
        stream: where it happened; it may still have the certificates that were refused.

    Returns:
        The error. Its attribute `certificate` is None, or what is known of the refused one: `subject`, `issuer`,
        `names` (a tuple), `not_before`, `not_after` (ISO 8601, UTC) and `serial_number`, as the server wrote it.
    """
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_error(error, where, None if stream is None else stream.tls)
    if is_cut(error) or isinstance(error, ssl.SSLZeroReturnError):
        return AtomHTTPTLSError(f"{where} ended the connection during the TLS handshake")
    shown = explain(error)
    if stream is not None and shown.startswith(_NO_VERSION):
        shown = f"{_NO_VERSION}; we offer {_versions(stream.tls.context)}{shown.removeprefix(_NO_VERSION)}"
    if stream is not None and shown.startswith(_NO_PROTOCOL):
        shown = (
            f"the server does not speak {_protocols(stream.protocols)} here (ALPN){shown.removeprefix(_NO_PROTOCOL)}"
        )
    return AtomHTTPTLSError(f"TLS with {where} failed: {shown}")


def is_cut(error: ssl.SSLError) -> bool:
    """Whether the stream ended without close_notify; a class of its own only since Python 3.11.4."""
    return isinstance(error, ssl.SSLEOFError) or _name(error) == "UNEXPECTED_EOF_WHILE_READING"


def explain(error: ssl.SSLError) -> str:
    """OpenSSL's reason, after what it means where that is known."""
    reason = _name(error)
    shown = reason.replace("_", " ").lower()
    meaning = _MEANINGS.get(reason)
    return shown if meaning is None else f"{meaning}: {shown}"


def _name(error: ssl.SSLError) -> str:
    """OpenSSL's name of the reason. Python does not know all; then it is in the text: "[SSL] reason (_ssl.c:1006)"."""
    return getattr(error, "reason", None) or _AROUND_REASON.sub("", str(error)).replace(" ", "_").upper()


def _protocols(offered: tuple[str, ...]) -> str:
    return " or ".join("HTTP/2" if each == "h2" else each.upper() for each in offered)


def _versions(context: ssl.SSLContext) -> str:
    first, last = context.minimum_version, context.maximum_version
    if first == last:
        return _version(first)
    return f"{_version(first)} and newer" if last < 0 else f"{_version(first)} to {_version(last)}"


def _version(version: ssl.TLSVersion) -> str:
    """ "TLS 1.2" for TLSv1_2."""
    return version.name.replace("v", " ").replace("_", ".")


# Certificates


def _certificate_error(error: ssl.SSLCertVerificationError, where: str, tls: ssl.SSLObject | None) -> AtomHTTPTLSError:
    code = _VERIFY_CODES.get(error.verify_code, "ERR_TLS")
    now = datetime.now(UTC)
    sent = _read_chain(tls, "get_unverified_chain")
    # The one that OpenSSL built may end in an authority of ours, which was not sent.
    chain = [*sent, *_read_chain(tls, "get_verified_chain")]
    refused = _find_refused(code, chain, now.isoformat())
    parts = [f"the certificate of {where} was refused: {error.verify_message.rstrip('.')}"]
    if refused is not None:
        is_leaf = refused is chain[0]
        if not is_leaf:
            parts.append("that is not its own, but one that vouches for it")
        parts.append(_describe(refused, is_leaf))
    if code in _DATES:
        parts.append(f"the clock here says {_minute(now.isoformat())} UTC")
    if code in _UNKNOWN_ISSUER:
        if len(sent) == 1 and sent[0]["subject"] != sent[0]["issuer"]:
            parts.append("the server sent no intermediate certificate with it")
        parts.append("to trust another authority, give its certificate: verify='ca.pem'")
    problem = AtomHTTPTLSError("; ".join(parts), code)
    problem.certificate = refused
    return problem


def _read_chain(tls: ssl.SSLObject | None, method: str) -> list[dict[str, Any]]:
    """Certificates that OpenSSL still has, the server's own first.

    Python shows nothing of them after a failed handshake, except where it hides it: without that there are just none.
    """
    try:
        chain = getattr(tls, "_sslobj")  # noqa: B009  # the stubs do not know it, and mypy would object
        return [_read_certificate(each.get_info()) for each in getattr(chain, method)() or ()]
    except (AttributeError, KeyError, TypeError, ValueError, ssl.SSLError):
        # Nothing promises that it is there, or that a certificate which was refused can be read at all.
        return []


def _read_certificate(info: dict[str, Any]) -> dict[str, Any]:
    names = [
        _plain_name(kind, value) for kind, value in info.get("subjectAltName", ()) if kind in ("DNS", "IP Address")
    ]
    return {
        "subject": _plain_subject(info["subject"]),
        "issuer": _plain_subject(info["issuer"]),
        "names": tuple(names),
        "not_before": _plain_time(info["notBefore"]),
        "not_after": _plain_time(info["notAfter"]),
        "serial_number": info["serialNumber"],
    }


def _plain_name(kind: str, value: str) -> str:
    # OpenSSL writes 0:0:0:0:0:0:0:1 where everybody else has ::1.
    if kind != "IP Address" or ":" not in value:
        return value
    from ipaddress import ip_address  # 2 ms of every start

    return str(ip_address(value))


def _plain_subject(subject: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    return ", ".join(f"{_SHORT.get(name, name)}={value}" for part in subject for name, value in part)


def _plain_time(text: str) -> str:
    """From "Jan  1 00:00:00 2024 GMT"."""
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC).isoformat()


def _find_refused(code: str, chain: list[dict[str, Any]], now: str) -> dict[str, Any] | None:
    """The one that `code` is about: OpenSSL knows, but Python does not tell. The server's own, unless another fits."""
    if code in _DATES:
        found: Iterator[dict[str, Any]] = (each for each in chain if not each["not_before"] <= now <= each["not_after"])
    elif code == "SELF_SIGNED_CERT_IN_CHAIN":
        found = (each for each in chain if each["subject"] == each["issuer"])
    else:
        found = iter(())
    return next(found, chain[0] if chain else None)


def _describe(certificate: dict[str, Any], is_leaf: bool) -> str:
    names = certificate["names"]
    shown = ", ".join(map(_printable, names[:_MAX_NAMES]))
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    purpose = f"it is for {shown}{more}; " if names else "it names no host in subjectAltName; " if is_leaf else ""
    return (
        f"{purpose}subject {_printable(certificate['subject']) or 'empty'}; "
        f"issuer {_printable(certificate['issuer']) or 'empty'}; "
        f"valid {_minute(certificate['not_before'])} to {_minute(certificate['not_after'])} UTC"
    )


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


def _printable(text: str) -> str:
    """`text` of a server's, safe in a terminal or a log."""
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text[:_MAX_TEXT])
    return shown + "…" if len(text) > _MAX_TEXT else shown
