"""The options `verify` and `cert`: which files and variables are looked at, and what is said of bad ones."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from atomhttp import AtomHTTP, AtomHTTPOptionError, AtomHTTPTLSError, InsecureRequestWarning, SyncAtomHTTP
from atomhttp._net.tls_context import build_context
from support.certificates import CLIENT_AUTH, Certificates, Issued
from support.origin import Origin


def unusable(verify: Any = False, cert: tuple[str, ...] | None = None, *, trust_env: bool = True) -> str:
    """What is said of these options."""
    with pytest.raises(AtomHTTPTLSError) as caught:
        build_context(verify, cert, trust_env)
    assert caught.value.code == "ERR_TLS"
    # An error of a file, for which nothing is sent again.
    assert isinstance(caught.value.__cause__, OSError)
    assert not isinstance(caught.value.__cause__, ssl.SSLError)
    return str(caught.value)


def authorities(context: ssl.SSLContext) -> list[str]:
    """The common names of who is trusted."""
    subjects = [dict(part[0] for part in each["subject"]) for each in context.get_ca_certs()]
    return [str(each.get("commonName")) for each in subjects]


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return write_ca(tmp_path / "ca.pem", "one")


def write_ca(path: Path, name: str) -> Path:
    path.write_bytes(Issued.make(ca=True, common_name=name).pem)
    return path


# What every context has


@pytest.mark.parametrize("verify", [True, False, "file"])
def test_what_we_ask_of_every_server(verify: Any, ca: Path) -> None:
    context = build_context(str(ca) if verify == "file" else verify, None)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.maximum_version == ssl.TLSVersion.MAXIMUM_SUPPORTED
    assert not context.hostname_checks_common_name
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert not context.options & getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    assert context.check_hostname is (verify is not False)
    assert context.verify_mode == (ssl.CERT_NONE if verify is False else ssl.CERT_REQUIRED)


def test_it_is_as_strict_as_pythons_own(ca: Path) -> None:
    python = ssl.create_default_context(cafile=str(ca))
    ours = build_context(str(ca), None)
    assert ours.verify_flags & python.verify_flags == python.verify_flags
    assert ours.options & python.options == python.options
    assert [each["name"] for each in ours.get_ciphers()] == [each["name"] for each in python.get_ciphers()]


# Files and directories to trust


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = str(tmp_path / "no such.pem")
    assert unusable(path) == f"verify: {path!r} cannot be read: no such file or directory"


def test_files_without_a_certificate(tmp_path: Path) -> None:
    own = Issued.make("a.test")
    contents = {"empty": b"", "words": b"words", "key": own.key_pem(), "half": own.pem[: len(own.pem) // 2]}
    for name, content in contents.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert unusable(str(path)).startswith(f"verify: {str(path)!r} holds no certificates in PEM form")


def test_a_file_of_many_authorities(tmp_path: Path) -> None:
    both = b"# a comment\n" + b"\n".join(Issued.make(ca=True, common_name=name).pem for name in ("one", "two"))
    (tmp_path / "both.pem").write_bytes(both)
    assert sorted(authorities(build_context(str(tmp_path / "both.pem"), None))) == ["one", "two"]


def test_a_directory_whose_certificates_openssl_cannot_find(tmp_path: Path, ca: Path) -> None:
    """Without the hashes as names it would trust nobody, and say so only of each server."""
    assert ca.parent == tmp_path
    text = unusable(str(tmp_path))
    assert text.startswith(f"verify: {str(tmp_path)!r} is a directory without")
    assert "openssl rehash" in text


def test_a_file_that_changes_is_read_again(ca: Path) -> None:
    before = build_context(str(ca), None)
    assert authorities(before) == ["one"]
    write_ca(ca, "a longer name")
    after = build_context(str(ca), None)
    assert authorities(after) == ["a longer name"]
    assert authorities(before) == ["one"]
    assert build_context(str(ca), None) is after
    ca.unlink()
    assert "no such file" in unusable(str(ca))


# An SSLContext


def test_a_context_of_the_callers_is_taken_as_it_is() -> None:
    mine = ssl.create_default_context()
    before = (mine.options, mine.verify_flags, mine.minimum_version, mine.hostname_checks_common_name)
    assert build_context(mine, None) is mine
    assert (mine.options, mine.verify_flags, mine.minimum_version, mine.hostname_checks_common_name) == before


def test_a_context_and_a_certificate(certificates: Certificates) -> None:
    with pytest.raises(AtomHTTPOptionError, match="cert cannot be combined with an SSLContext") as caught:
        build_context(ssl.create_default_context(), (str(certificates.client),))
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


def test_a_context_for_servers() -> None:
    with pytest.raises(AtomHTTPOptionError, match="verify: this SSLContext is for servers") as caught:
        build_context(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), None)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


# The environment


def test_ssl_cert_file_is_looked_at_each_time(ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = build_context(True, None)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    first = build_context(True, None)
    assert authorities(first) == ["one"]
    assert build_context(True, None) is first
    monkeypatch.setenv("SSL_CERT_FILE", str(write_ca(tmp_path / "other.pem", "two")))
    assert authorities(build_context(True, None)) == ["two"]
    write_ca(tmp_path / "other.pem", "number three")
    assert authorities(build_context(True, None)) == ["number three"]
    monkeypatch.setenv("SSL_CERT_FILE", "")
    assert build_context(True, None) is system
    monkeypatch.delenv("SSL_CERT_FILE")
    assert build_context(True, None) is system


def test_ssl_cert_file_is_not_for_who_names_a_file(ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = build_context(str(ca), None)
    monkeypatch.setenv("SSL_CERT_FILE", str(write_ca(tmp_path / "other.pem", "two")))
    assert build_context(str(ca), None) is context
    assert authorities(context) == ["one"]


def test_an_environment_that_is_not_trusted(ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = authorities(build_context(True, None, trust_env=False))
    log = tmp_path / "keys"
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    context = build_context(True, None, trust_env=False)
    assert authorities(context) == expected
    assert "one" not in expected
    assert context.keylog_filename is None
    assert not log.exists()


@pytest.mark.parametrize("content", [None, b"words"])
def test_an_ssl_cert_file_that_is_no_good(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    assert unusable(True).startswith(f"SSL_CERT_FILE: {str(path)!r} ")


def subject_hash(certificate: Path) -> str:
    """The name under which OpenSSL looks for an authority in a directory."""
    command = ["openssl", "x509", "-subject_hash", "-noout", "-in", str(certificate)]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except FileNotFoundError:
        pytest.skip("the openssl program is not installed")


async def test_ssl_cert_dir(
    tls_origin: Origin, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{subject_hash(certificates.ca)}.0").write_bytes(certificates.ca.read_bytes())
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'none'}{os.pathsep}{tmp_path}")
    async with AtomHTTP() as client:
        assert (await client.get(tls_origin.url + "/bytes/1")).ok
    async with AtomHTTP(trust_env=False) as client:
        with pytest.raises(AtomHTTPTLSError):
            await client.get(tls_origin.url + "/bytes/1")


def test_the_environment_is_seen_by_a_client_that_is_running(
    tls_origin: Origin, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = tls_origin.url + "/bytes/1"
    with SyncAtomHTTP(keep_alive=False) as client:
        with pytest.raises(AtomHTTPTLSError):
            client.get(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
        assert client.get(url).ok
        with pytest.raises(AtomHTTPTLSError):
            client.get(url, trust_env=False)


@pytest.mark.parametrize("verify", [True, False, "file"])
def test_sslkeylogfile(
    tls_origin: Origin, certificates: Certificates, tmp_path: Path, verify: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    chosen = str(certificates.ca) if verify == "file" else verify
    with (
        pytest.warns(InsecureRequestWarning) if verify is False else nullcontext(),
        SyncAtomHTTP(verify=chosen) as client,
    ):
        assert client.get(tls_origin.url + "/bytes/1").ok
    assert "CLIENT_TRAFFIC_SECRET_0 " in log.read_text(encoding="ascii")


def test_an_sslkeylogfile_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "no" / "keys")
    monkeypatch.setenv("SSLKEYLOGFILE", path)
    assert unusable(False) == f"SSLKEYLOGFILE: {path!r} cannot be written: no such file or directory"


# A system without authorities


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system on which nobody has installed any."""
    known = ssl.get_default_verify_paths()
    there = known._replace(openssl_cafile=str(tmp_path / "cert.pem"), openssl_capath=str(tmp_path / "certs"))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: there)
    # Nothing of what was made before is taken for this one.
    monkeypatch.setattr("atomhttp._net.tls_context._contexts", {})
    return tmp_path


@pytest.mark.parametrize("trust_env", [True, False])
def test_a_system_without_authorities(bare: Path, trust_env: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "certifi", None)
    text = unusable(True, trust_env=trust_env)
    for part in ("verify: ", str(bare / "cert.pem"), str(bare / "certs"), "ca-certificates", "certifi"):
        assert part in text


def test_certifi_is_for_a_system_without_authorities(bare: Path, ca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "certifi", SimpleNamespace(where=lambda: str(ca)))
    assert authorities(build_context(True, None)) == ["one"]


def test_certifi_adds_nothing_to_what_there_is(bare: Path, ca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "certifi", SimpleNamespace(where=lambda: str(ca)))
    write_ca(bare / "cert.pem", "the system's")
    assert authorities(build_context(True, None)) == ["the system's"]
    (bare / "cert.pem").unlink()
    (bare / "certs").mkdir()
    write_ca(bare / "certs" / "0123abcd.0", "the system's")
    monkeypatch.setattr("atomhttp._net.tls_context._contexts", {})
    assert authorities(build_context(True, None)) == []


# cert


@pytest.fixture
def own() -> Issued:
    return Issued.make("client.test", usages=[CLIENT_AUTH])


def written(directory: Path, **files: bytes) -> Callable[[str], str]:
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return lambda name: str(directory / name)


def test_what_cert_may_be(own: Issued, tmp_path: Path) -> None:
    path = written(
        tmp_path,
        certificate=own.pem,
        key=own.key_pem(),
        both=own.key_pem() + own.pem,
        locked=own.key_pem("s3cret"),
        both_locked=own.pem + own.key_pem("s3cret"),
    )
    for cert in (
        ("both",),
        ("both", "both"),
        ("certificate", "key"),
        ("certificate", "key", "a password that nobody asks for"),
        ("certificate", "locked", "s3cret"),
        ("both_locked", "both_locked", "s3cret"),
    ):
        context = build_context(False, tuple(map(path, cert[:2])) + cert[2:])
        # It may be asked for later as well: in TLS 1.3 by a message, in 1.2 by a renegotiation.
        assert context.post_handshake_auth
        assert not context.options & ssl.OP_NO_RENEGOTIATION


def test_what_cert_may_not_be(own: Issued, tmp_path: Path) -> None:
    path = written(
        tmp_path,
        certificate=own.pem,
        key=own.key_pem(),
        other_key=Issued.make("other.test").key_pem(),
        locked=own.key_pem("s3cret"),
        both_locked=own.pem + own.key_pem("s3cret"),
        words=b"words",
        spoiled=own.pem.replace(b"M", b"N", 1),
    )
    (tmp_path / "directory").mkdir()
    cases = {
        ("none",): "'none' cannot be read: no such file or directory",
        ("certificate", "none"): "'none' cannot be read: no such file or directory",
        ("none", "key"): "'none' cannot be read: no such file or directory",
        ("directory",): "'directory' cannot be read: is a directory",
        ("certificate", "directory"): "'directory' cannot be read: is a directory",
        (
            "certificate",
        ): "'certificate' holds no private key in PEM form; a key in a file of its own is named by cert=",
        ("words",): "'words' holds no certificate in PEM form",
        ("key", "certificate"): "'key' holds no certificate in PEM form",
        ("certificate", "words"): "'words' holds no private key in PEM form",
        ("spoiled", "key"): "'spoiled' cannot be used: ",
        ("certificate", "other_key"): "'other_key' is not the key of the certificate 'certificate'",
        ("certificate", "locked"): "'locked' is encrypted, and cert=(certificate, key, password) gives no password",
        ("both_locked",): "'both_locked' is encrypted, and cert=(certificate, key, password) gives no password",
        ("certificate", "locked", "wr0ng"): "'locked' cannot be opened with the password that was given",
        ("certificate", "locked", ""): "'locked' cannot be opened with the password that was given",
        ("certificate", "locked", "wr0ng" * 300): "'locked' cannot have a password of more than 1024 bytes",
    }
    for cert, expected in cases.items():
        text = unusable(False, tuple(map(path, cert[:2])) + cert[2:])
        assert text.replace(f"{tmp_path}{os.sep}", "").startswith(f"cert: {expected}"), cert
        assert "wr0ng" not in text


def test_nobody_is_asked_for_a_password(own: Issued, tmp_path: Path) -> None:
    """OpenSSL by itself would ask at the terminal, and wait."""
    path = written(tmp_path, both=own.pem + own.key_pem("s3cret"))
    program = (
        "from atomhttp._net.tls_context import build_context\n"
        "try:\n"
        f"    build_context(False, ({path('both')!r},))\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "gives no password" in done.stdout
    assert "PEM pass phrase" not in done.stdout + done.stderr


def test_a_certificate_that_is_renewed_is_read_again(own: Issued, tmp_path: Path) -> None:
    path = written(tmp_path, both=own.key_pem() + own.pem)
    before = build_context(False, (path("both"),))
    assert build_context(False, (path("both"),)) is before
    renewed = Issued.make("client.test", "another.test", usages=[CLIENT_AUTH])
    (tmp_path / "both").write_bytes(renewed.key_pem() + renewed.pem)
    assert build_context(False, (path("both"),)) is not before


# Through the client


async def test_nothing_is_tried_again_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("words", encoding="ascii")
    async with AtomHTTP(retry_config={"max_retries": 3, "backoff_factor": 0}) as client:
        for options in ({"verify": tmp_path / "words"}, {"verify": tmp_path / "none"}, {"cert": tmp_path / "words"}):
            with pytest.raises(AtomHTTPTLSError) as caught:
                await client.get("https://localhost:1/", **options)
            assert len(caught.value.attempts) == 1
            assert str(next(iter(options.values()))) in str(caught.value)
