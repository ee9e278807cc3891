"""The table of certificates: which are accepted for which name, and what is said of those that are not.

Modelled on the hosts of badssl.com, on RFC 9525 (names) and RFC 5280 (chains). Names lead to the test's server by the
option `hosts`; both clients go through the whole table.
"""

from __future__ import annotations

import copy
import datetime
import pickle
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from atomhttp import AtomHTTP, AtomHTTPTLSError, SyncAtomHTTP
from support.certificates import CLIENT_AUTH, SERVER_AUTH, Certificates, Issued
from support.origin import Origin

HOST = "api.example.test"
MISMATCH = "ERR_TLS_CERT_ALTNAME_INVALID"
# OpenSSL says the one or the other, depending on where it stops.
NO_ISSUER = ("UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_GET_ISSUER_CERT")


@dataclass(frozen=True)
class World:
    """Who is trusted, and who is not."""

    root: Issued
    other_root: Issued
    file: Path

    @classmethod
    def make(cls, directory: Path) -> World:
        root = Issued.make(ca=True, common_name="trusted root", days=(-3000, 3000))
        other_root = Issued.make(ca=True, common_name="unknown root")
        file = directory / "root.pem"
        file.write_bytes(root.pem)
        return cls(root, other_root, file)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.make(tmp_path_factory.mktemp("world"))


Chain = Sequence[Issued]


@dataclass(frozen=True)
class Row:
    """One case: what the server sends (its own certificate first), the name in the URL, and what comes of it.

    `code`: None where the certificate is accepted; `says`: parts of the message.
    """

    name: str
    chain: Callable[[World], Chain]
    code: str | tuple[str, ...] | None = None
    says: Sequence[str] = field(default=())
    host: str = HOST


def leaf(*names: str, **options: Any) -> Callable[[World], Chain]:
    """A certificate for these names from the trusted root."""
    return lambda world: [world.root.issue(*names, **options)]


def below(intermediate: dict[str, Any], *names: str, send: bool = True, **options: Any) -> Callable[[World], Chain]:
    """A certificate from an authority between the root and it."""

    def chain(world: World) -> Chain:
        between = world.root.issue(**{"ca": True, "common_name": "the one between", **intermediate})
        return [between.issue(*(names or (HOST,)), **options), *([between] if send else [])]

    return chain


def unknown_root(*, send: bool) -> Callable[[World], Chain]:
    return lambda world: [world.other_root.issue(HOST), *([world.other_root] if send else [])]


def impostor(world: World) -> Chain:
    """From somebody who only has the name of the trusted root."""
    return [world.root.issue(HOST, signer=world.other_root)]


def long_chain(world: World) -> Chain:
    first = world.root.issue(ca=True, path_length=0, common_name="the last authority")
    second = first.issue(ca=True, common_name="one too many")
    return [second.issue(HOST), second, first]


def by_no_authority(world: World) -> Chain:
    customer = world.root.issue("customer.test", common_name="a customer")
    return [customer.issue(HOST), customer]


def with_a_stranger(world: World) -> Chain:
    between = world.root.issue(ca=True, common_name="the one between")
    return [between.issue(HOST), world.other_root, world.root, between]


def constrained(*, permitted: str | None = None, excluded: str | None = None) -> dict[str, Any]:
    def tree(name: str | None) -> list[x509.GeneralName] | None:
        return None if name is None else [x509.DNSName(name)]

    return {"extensions": [x509.NameConstraints(tree(permitted), tree(excluded))]}


def weak_authority(world: World) -> Chain:
    return below({"key": short_key()})(world)


def signed_by_sha1(world: World) -> Chain:
    """`cryptography` makes none any more: another algorithm is written into one of SHA-256, and that is signed."""
    between = world.root.issue(ca=True, common_name="careless", key=rsa.generate_private_key(65537, 2048))
    own = between.issue(HOST)
    sha256_with_rsa, sha1_with_rsa = (bytes.fromhex(f"06092a864886f70d0101{last}") for last in ("0b", "05"))
    content = own.certificate.public_bytes(serialization.Encoding.DER).replace(sha256_with_rsa, sha1_with_rsa)
    signed = x509.load_der_x509_certificate(content).tbs_certificate_bytes
    signature = between.key.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    return [Issued(x509.load_der_x509_certificate(content[:-256] + signature), own.key), between]


def short_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 1024)


LONG = [f"{number}{'a' * 62}.{'b' * 63}.{'c' * 63}.test" for number in range(5)]
MANY = [f"host-{number}.example.test" for number in range(1_000)]
UNKNOWN_EXTENSION = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")

ROWS = [
    # Names
    Row("the right name", leaf(HOST)),
    Row("another name", leaf("www.example.test"), MISMATCH, [HOST, "it is for www.example.test", "trusted root"]),
    Row("one of several", leaf("www.example.test", HOST, "example.test")),
    Row("none of several", leaf("a.test", "b.test"), MISMATCH, ["it is for a.test, b.test;"]),
    Row("the domain does not cover what is below it", leaf("example.test"), MISMATCH),
    Row("nor the other way round", leaf(HOST), MISMATCH, host="example.test"),
    Row("upper case in the certificate", leaf("API.Example.TEST")),
    Row("upper case in the URL", leaf(HOST), host="API.Example.TEST"),
    Row("a trailing dot in the URL", leaf(HOST), host=f"{HOST}."),
    Row("a trailing dot in the certificate", leaf(f"{HOST}."), MISMATCH),
    Row("a name that only begins alike", leaf(f"{HOST}.evil.test"), MISMATCH),
    Row("a name that only ends alike", leaf("evil-api.example.test"), MISMATCH),
    Row("NUL cuts nothing off", leaf(f"{HOST}\x00.evil.test"), MISMATCH, [f"{HOST}\\x00.evil.test"]),
    Row("many names", leaf(*MANY, HOST)),
    Row("many names and none of them", leaf(*MANY), MISMATCH, ["host-4.example.test and 995 more;"]),
    Row("long names", leaf(*LONG), MISMATCH, ["0aaa", "4aaa", "bbb…;"]),
    # Who has no such name
    Row("a common name is none", leaf(common_name=HOST), MISMATCH, ["it names no host", f"CN={HOST}"]),
    Row("a common name beside others", leaf("www.example.test", common_name=HOST), MISMATCH),
    Row("an address for e-mail is none", leaf(f"email:root@{HOST}", common_name=HOST), MISMATCH, ["names no host"]),
    Row("an empty subject", leaf(HOST, common_name=None)),
    Row("an empty subject and another name", leaf("a.test", common_name=None), MISMATCH, ["subject empty"]),
    Row("a terminal's escapes", leaf("a.test", common_name="\x1b[31mX\u202e"), MISMATCH, ["CN=\\x1b[31mX\\u202e;"]),
    # Wildcards (RFC 9525 section 6.3: a whole label, the first one)
    Row("a wildcard for one label", leaf("*.example.test")),
    Row("a wildcard is not for two", leaf("*.example.test"), MISMATCH, host="v1.api.example.test"),
    Row("a wildcard is not for none", leaf("*.example.test"), MISMATCH, ["it is for *.example.test"], "example.test"),
    Row("a wildcard for the beginning of a label", leaf("a*.example.test"), MISMATCH),
    Row("a wildcard for the end of a label", leaf("*i.example.test"), MISMATCH),
    Row("a wildcard in the middle of a label", leaf("a*i.example.test"), MISMATCH),
    Row("a wildcard that is not first", leaf("api.*.test"), MISMATCH),
    Row("two wildcards", leaf("*.*.test"), MISMATCH),
    Row("a wildcard over a whole top-level domain", leaf("*.test"), MISMATCH, host="example.test"),
    Row("a wildcard for everything", leaf("*"), MISMATCH, host="intranet"),
    Row("a wildcard for an address", leaf("*.0.0.1"), MISMATCH, host="127.0.0.1"),
    # Names that are not ASCII
    Row("an international name", leaf("xn--bcher-kva.example.test"), host="bücher.example.test"),
    Row("another international name", leaf("xn--bcher-kva.example.test"), MISMATCH, host="bucher.example.test"),
    Row("a wildcard for an international label", leaf("*.example.test"), host="bücher.example.test"),
    Row("a wildcard inside of one", leaf("xn--*.example.test"), MISMATCH, host="bücher.example.test"),
    # Addresses
    Row("an address", leaf("IP:127.0.0.1"), host="127.0.0.1"),
    Row("another address", leaf("IP:127.0.0.2"), MISMATCH, ["127.0.0.1", "it is for 127.0.0.2"], "127.0.0.1"),
    Row("an address is no DNS name", leaf("127.0.0.1"), MISMATCH, ["127.0.0.1"], "127.0.0.1"),
    Row("nor a common name", leaf(common_name="127.0.0.1"), MISMATCH, ["it names no host"], "127.0.0.1"),
    Row("a name is no address", leaf("localhost"), MISMATCH, ["it is for localhost"], "127.0.0.1"),
    Row("an address of IPv6", leaf("IP:::1"), host="[::1]"),
    Row("another one", leaf("IP:2001:db8::1"), MISMATCH, ["of [::1]:", "it is for 2001:db8::1;"], "[::1]"),
    # Dates
    Row("expired", leaf(HOST, days=(-30, -1)), "CERT_HAS_EXPIRED", ["has expired", "UTC; the clock here says 20"]),
    Row("not yet valid", leaf(HOST, days=(1, 30)), "CERT_NOT_YET_VALID", ["not yet valid", "the clock here says 20"]),
    Row("for thousands of years", leaf(HOST, days=(-9_000, 2_900_000))),
    Row(
        "an authority that has expired", below({"days": (-30, -1)}), "CERT_HAS_EXPIRED", ["vouches", "the one between"]
    ),
    # Who vouches for it
    Row("an authority between", below({})),
    Row(
        "an authority between that is not sent",
        below({}, send=False),
        NO_ISSUER,
        ["no intermediate", "verify='ca.pem'"],
    ),
    Row("more in the chain than belongs there", with_a_stranger),
    Row("an unknown authority", unknown_root(send=False), NO_ISSUER, ["unknown root"]),
    Row("an unknown authority that is sent", unknown_root(send=True), "SELF_SIGNED_CERT_IN_CHAIN", ["unknown root"]),
    Row("nobody", lambda world: [Issued.make(HOST)], "DEPTH_ZERO_SELF_SIGNED_CERT", [f"it is for {HOST}"]),
    Row("the name of an authority, not its key", impostor, "CERT_SIGNATURE_FAILURE"),
    Row("a customer of the authority", by_no_authority, "INVALID_CA", ["invalid CA certificate"]),
    Row("more authorities than are allowed", long_chain, "PATH_LENGTH_EXCEEDED"),
    Row("an authority for other names", below(constrained(permitted="other.test")), "ERR_TLS", ["permitted subtree"]),
    Row("an authority for all names but these", below(constrained(excluded="example.test")), "ERR_TLS", ["excluded"]),
    Row("an authority for these names", below(constrained(permitted="example.test"))),
    # What it is good for
    Row("for clients only", leaf(HOST, usages=[CLIENT_AUTH]), "INVALID_PURPOSE", ["unsuitable certificate purpose"]),
    Row("for clients and servers", leaf(HOST, usages=[CLIENT_AUTH, SERVER_AUTH])),
    Row("for anything", leaf(HOST, usages=[])),
    Row("for signing certificates", leaf(HOST, ca=True), "INVALID_PURPOSE"),
    Row("with an extension that nobody knows", leaf(HOST, extensions=[UNKNOWN_EXTENSION]), "ERR_TLS", ["critical"]),
    # Cryptography of yesterday
    Row("a short key", lambda world: [world.root.issue(HOST, key=short_key())], "ERR_TLS", ["key too weak"]),
    Row("an authority's short key", weak_authority, "ERR_TLS", ["key too weak"]),
    Row("a weak signature", signed_by_sha1, "ERR_TLS", ["too weak"]),
]


def table(function: Any) -> Any:
    return pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)(function)


def serve(row: Row, world: World) -> Origin:
    own, *chain = row.chain(world)
    return Origin(tls=own.server_context(*chain), host="::1" if row.host == "[::1]" else "127.0.0.1")


def options(row: Row, world: World) -> dict[str, Any]:
    known = "xn--bcher-kva.example.test" if row.host.startswith("bü") else row.host.lower().rstrip(".")
    hosts = {} if known[-1] in "1]" else {known: "127.0.0.1", f"{known}.": "127.0.0.1"}
    return {"verify": world.file, "hosts": hosts}


def check(row: Row, error: AtomHTTPTLSError, world: World, port: int) -> None:
    assert row.code is not None
    assert error.code in ((row.code,) if isinstance(row.code, str) else row.code), str(error)
    assert error.code in AtomHTTPTLSError.codes
    shown = {"bücher.example.test": "xn--bcher-kva.example.test"}.get(row.host, row.host.lower())
    assert str(error).startswith(f"the certificate of {shown}:{port} was refused: ")
    for part in [*row.says, "subject ", "issuer ", "valid "]:
        assert part in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 1_100
    assert error.request_sent == "no"


@table
async def test_the_table(row: Row, world: World) -> None:
    with serve(row, world) as origin:
        async with AtomHTTP(**options(row, world)) as client:
            url = f"https://{row.host}:{origin.port}/bytes/3"
            if row.code is None:
                assert (await client.get(url)).ok
            else:
                with pytest.raises(AtomHTTPTLSError) as caught:
                    await client.get(url)
                check(row, caught.value, world, origin.port)
                (pool,) = client._adapter.pools
                assert pool.open_count == 0
                assert origin.requests == []


@table
def test_the_table_without_a_loop(row: Row, world: World) -> None:
    with serve(row, world) as origin, SyncAtomHTTP(**options(row, world)) as client:
        url = f"https://{row.host}:{origin.port}/bytes/3"
        if row.code is None:
            assert client.get(url).ok
        else:
            with pytest.raises(AtomHTTPTLSError) as caught:
                client.get(url)
            check(row, caught.value, world, origin.port)
            assert origin.requests == []


# What is trusted


def test_a_certificate_may_be_trusted_by_itself(tmp_path: Path) -> None:
    own = Issued.make(HOST)
    (tmp_path / "own.pem").write_bytes(own.pem)
    with Origin(tls=own.server_context()) as origin, SyncAtomHTTP(hosts={HOST: "127.0.0.1"}) as client:
        assert client.get(f"https://{HOST}:{origin.port}/", verify=tmp_path / "own.pem").status == 404


def test_an_authority_below_a_root_may_be_trusted_by_itself(world: World, tmp_path: Path) -> None:
    own, between = below({})(world)
    (tmp_path / "between.pem").write_bytes(between.pem)
    with Origin(tls=own.server_context()) as origin, SyncAtomHTTP(hosts={HOST: "127.0.0.1"}) as client:
        assert client.get(f"https://{HOST}:{origin.port}/", verify=tmp_path / "between.pem").status == 404


def test_what_is_trusted_is_in_the_place_of_the_systems_authorities(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`verify=file` replaces (urllib3's CVE-2019-11324 was that it added)."""
    own = world.root.issue(HOST)
    unrelated = world.file.with_name("unrelated.pem")
    unrelated.write_bytes(world.other_root.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(world.file))
    with Origin(tls=own.server_context()) as origin, SyncAtomHTTP(hosts={HOST: "127.0.0.1"}) as client:
        url = f"https://{HOST}:{origin.port}/"
        assert client.get(url).status == 404
        with pytest.raises(AtomHTTPTLSError):
            client.get(url, verify=unrelated)


def test_revocation_is_looked_at_where_the_callers_context_says_so(world: World, tmp_path: Path) -> None:
    """By default it is not: OpenSSL fetches no lists, and few authorities still publish them."""
    own = world.root.issue(HOST)
    now = datetime.datetime.now(datetime.UTC)
    revoked = x509.RevokedCertificateBuilder(own.certificate.serial_number, now).build()
    crl = (
        x509.CertificateRevocationListBuilder(world.root.certificate.subject)
        .last_update(now - datetime.timedelta(days=1))
        .next_update(now + datetime.timedelta(days=1))
        .add_revoked_certificate(revoked)
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(world.root.key.public_key()), critical=False)
        .sign(world.root.key, hashes.SHA256())
    )
    both = tmp_path / "both.pem"
    both.write_bytes(world.root.pem + crl.public_bytes(serialization.Encoding.PEM))
    strict = ssl.create_default_context(cafile=str(both))
    strict.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    with Origin(tls=own.server_context()) as origin, SyncAtomHTTP(hosts={HOST: "127.0.0.1"}) as client:
        url = f"https://{HOST}:{origin.port}/"
        assert client.get(url, verify=world.file).status == 404
        with pytest.raises(AtomHTTPTLSError) as caught:
            client.get(url, verify=strict)
    assert caught.value.code == "CERT_REVOKED"


# What errors tell


def failure(own: Issued, world: World) -> AtomHTTPTLSError:
    with (
        Origin(tls=own.server_context()) as origin,
        SyncAtomHTTP(hosts={HOST: "127.0.0.1"}, verify=world.file) as client,
        pytest.raises(AtomHTTPTLSError) as caught,
    ):
        client.get(f"https://{HOST}:{origin.port}/")
    return caught.value


def test_the_whole_message(world: World) -> None:
    day = datetime.timedelta(days=1)
    own = world.root.issue("a.test", "IP:10.0.0.1", common_name="a", days=(-2, 2))
    error = failure(own, world)
    first, last = (f"{each:%Y-%m-%d %H:%M}" for each in validity(own))
    assert validity(own)[1] - validity(own)[0] == 4 * day
    port = str(error).partition(f"{HOST}:")[2].partition(" ")[0]
    assert str(error) == (
        f"the certificate of {HOST}:{port} was refused: Hostname mismatch, certificate is not valid for '{HOST}'; "
        f"it is for a.test, 10.0.0.1; subject CN=a; issuer CN=trusted root; valid {first} to {last} UTC"
    )


def validity(issued: Issued) -> tuple[datetime.datetime, datetime.datetime]:
    return (issued.certificate.not_valid_before_utc, issued.certificate.not_valid_after_utc)


def test_the_certificate_is_an_attribute_and_travels(world: World) -> None:
    own = world.root.issue("a.test", common_name="a\n")
    error = failure(own, world)
    first, last = (each.isoformat() for each in validity(own))
    expected = {
        "subject": "CN=a\n",
        "issuer": "CN=trusted root",
        "names": ("a.test",),
        "not_before": first,
        "not_after": last,
        "serial_number": f"{own.certificate.serial_number:X}",
    }
    found = error.certificate
    assert found["serial_number"].lstrip("0") == expected["serial_number"]
    assert {**found, "serial_number": expected["serial_number"]} == expected
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert twin.certificate == found
        assert str(twin) == str(error)
    assert "CN=a\\n;" in str(error)


def test_a_certificate_that_cannot_be_shown_is_still_refused(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    """Python hides what was refused: where a newer one hides it better, the rest of the error is as it was."""
    from atomhttp._net import tls_errors

    for broken in (lambda info: info["nothing"], lambda info: info.missing, lambda info: int("x")):
        monkeypatch.setattr(tls_errors, "_read_certificate", broken)
        error = failure(world.root.issue("a.test"), world)
        assert error.code == MISMATCH
        assert str(error).endswith(f"certificate is not valid for '{HOST}'")
        assert error.certificate is None
