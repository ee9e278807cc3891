"""How the program ends, and the one line that says why."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from atomhttp import errors
from atomhttp._cli.exit_codes import MEANINGS, ExitCode, exit_code_of
from cli.program import Done, run, run_apart
from support.origin import Answer, Origin
from support.peer import Peer, close, drain, end, expect_head, hold, send


def check_failure(done: Done, code: ExitCode, line: str) -> None:
    """It ended with `code` and said `line`, a pattern, and nothing else."""
    assert done.code == code, done.err
    assert re.fullmatch(f"atomhttp: {line}\n", done.err), done.err


def test_a_process_ends_like_that_and_says_nothing_else(origin: Origin) -> None:
    assert run_apart("get", f"{origin.url}/bytes/0") == (0, b"", "")
    check_failure(run_apart("get", f"{origin.url}/missing"), ExitCode.CLIENT_ERROR, r"request failed .* \(\w+\)")
    check_failure(run_apart("get", "/x"), ExitCode.USAGE, r"URL: expected a host, .*")


@pytest.mark.parametrize("status", [200, 204, 304, 399])
def test_good_answers(origin: Origin, status: int) -> None:
    assert run("get", f"{origin.url}/status/{status}") == (0, b"", "")


@pytest.mark.parametrize("status", [400, 404, 499, 500, 503, 599])
def test_refusals(origin: Origin, status: int) -> None:
    origin.routes["/"] = lambda _: Answer(b"because", status=status)
    code = ExitCode.CLIENT_ERROR if status < 500 else ExitCode.SERVER_ERROR
    done = run("get", f"{origin.url}/?token=s3cret")
    name = "ERR_BAD_REQUEST" if status < 500 else "ERR_BAD_RESPONSE"
    url = rf"http://127\.0\.0\.1:{origin.port}/\?token=\[redacted\]"
    check_failure(done, code, rf"request failed with status {status} .*: {url} \({name}\)")
    assert done.out == b"because"
    assert run("get", origin.url, "--no-fail") == (0, b"because", "")


def test_nobody_there() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        check_failure(run("get", url), ExitCode.NETWORK, r"cannot connect .* \(ECONNREFUSED\)")


def test_a_connection_that_breaks() -> None:
    with Peer([expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), end(), drain()]) as peer:
        done = run("get", peer.url)
    assert done.out == b"half"
    check_failure(done, ExitCode.NETWORK, r".* \(\w+\)")


def test_no_http() -> None:
    with Peer([expect_head(), send(b"SSH-2.0-x\r\n\x1b[2J\r\n"), close()]) as peer:
        done = run("get", peer.url)
    check_failure(done, ExitCode.NETWORK, r".* \(ERR_BAD_RESPONSE\)")
    assert "\x1b" not in done.err


def test_a_refusing_proxy(origin: Origin) -> None:
    done = run("get", "https://far.test/", "--proxy", origin.url)
    check_failure(done, ExitCode.NETWORK, r".* \(ERR_PROXY\)")


def test_an_untrusted_certificate(tls_origin: Origin) -> None:
    check_failure(run("get", tls_origin.url), ExitCode.TLS, r".*certificate.* \([A-Z_]+\)")


def test_a_timeout() -> None:
    with Peer([expect_head(), hold()]) as peer:
        done = run("get", peer.url, "--timeout", "0.3")
    check_failure(done, ExitCode.TIMEOUT, r"timeout of 0\.3 s exceeded .* \(ECONNABORTED\)")


def test_a_timeout_is_for_the_whole_call() -> None:
    with Peer([expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), hold()]) as peer:
        done = run("get", peer.url, "--timeout", "0.3")
    assert done.out == b"half"
    check_failure(done, ExitCode.TIMEOUT, r"timeout of 0\.3 s exceeded \(total limit\) .*")


def test_too_many_redirects() -> None:
    with Origin(routes={"/": lambda _: Answer(status=302, headers=[("Location", "/")])}) as origin:
        check_failure(run("get", origin.url), ExitCode.ANSWER, r".* \(ERR_FR_TOO_MANY_REDIRECTS\)")


def test_damaged_content() -> None:
    with Origin(routes={"/": lambda _: Answer(b"no gzip", headers=[("Content-Encoding", "gzip")])}) as origin:
        check_failure(run("get", origin.url), ExitCode.ANSWER, r".* \(ERR_BAD_RESPONSE\)")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
def test_a_full_disk(origin: Origin) -> None:
    check_failure(run("get", f"{origin.url}/bytes/9", "-o", "/dev/full"), ExitCode.FILE, r".*[Nn]o space left.*")


def test_a_place_that_is_not_there_is_noticed_before_anything_is_sent(origin: Origin, tmp_path: Path) -> None:
    done = run("post", f"{origin.url}/bytes/9", "-o", tmp_path / "no" / "file")
    check_failure(done, ExitCode.FILE, r".*No such file or directory.*")
    done = run("post", f"{origin.url}/bytes/9", "-o", tmp_path)
    check_failure(done, ExitCode.FILE, r"-o: '.*' is a directory; .*")
    assert origin.requests == []


def test_a_wrong_url_is_usage() -> None:
    check_failure(run("get", "http://user:s3cret@"), ExitCode.USAGE, r"(?!.*s3cret).* \(ERR_INVALID_URL\)")
    check_failure(run("get", "ftp://host/x"), ExitCode.USAGE, r".* \(ERR_INVALID_URL\)")


def test_a_traceback_is_shown_when_asked_for() -> None:
    with Origin(routes={"/": lambda _: Answer(status=404)}) as origin:
        done = run("get", f"{origin.url}/?token=s3cret", "--debug", "--auth", "ada:s3cret")
    assert done.code == 4
    assert done.err.startswith("Traceback (most recent call last):\n")
    assert done.err.splitlines()[-1].startswith("atomhttp: request failed with status 404")
    assert "s3cret" not in done.err


# The table


def test_every_error_has_its_code() -> None:
    def made(kind: type[errors.AtomHTTPError], **more: object) -> errors.AtomHTTPError:
        error = kind.__new__(kind)
        errors.AtomHTTPError.__init__(error, "it broke", **more)
        return error

    expected = {
        errors.AtomHTTPError: ExitCode.FAULT,
        errors.AtomHTTPRequestError: ExitCode.ANSWER,
        errors.AtomHTTPOptionError: ExitCode.USAGE,
        errors.AtomHTTPURLError: ExitCode.USAGE,
        errors.AtomHTTPStatusError: ExitCode.ANSWER,
        errors.AtomHTTPRedirectError: ExitCode.ANSWER,
        errors.AtomHTTPLimitError: ExitCode.ANSWER,
        errors.AtomHTTPDecodeError: ExitCode.ANSWER,
        errors.AtomHTTPChecksumError: ExitCode.CHECKSUM,
        errors.AtomHTTPClosedError: ExitCode.ANSWER,
        errors.AtomHTTPNetworkError: ExitCode.NETWORK,
        errors.AtomHTTPTLSError: ExitCode.TLS,
        errors.AtomHTTPProxyError: ExitCode.NETWORK,
        errors.AtomHTTPProtocolError: ExitCode.NETWORK,
        errors.AtomHTTPTimeoutError: ExitCode.TIMEOUT,
        errors.AtomHTTPCanceledError: ExitCode.INTERRUPTED,
    }
    all_errors = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)}
    assert {each for each in all_errors if issubclass(each, errors.AtomHTTPError)} == set(expected)
    assert {kind: exit_code_of(made(kind)) for kind in expected} == expected
    assert exit_code_of(made(errors.AtomHTTPNetworkError, code="ETIMEDOUT")) == ExitCode.TIMEOUT
    assert exit_code_of(PermissionError()) == ExitCode.FILE
    assert exit_code_of(ZeroDivisionError()) == ExitCode.FAULT


def test_every_code_has_a_meaning_in_the_help_and_in_the_docs() -> None:
    assert set(MEANINGS) == set(ExitCode)
    shown = run("--help").out.decode()
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    table = page.partition("<!-- exit codes: begin -->")[2].partition("<!-- exit codes: end -->")[0]
    rows = [f"| {code:d} | {meaning} |" for code, meaning in MEANINGS.items()]
    assert table.strip().splitlines() == ["| Code | Meaning |", "|---|---|", *rows]
    for code, meaning in MEANINGS.items():
        assert f"  {code:<5d}{meaning}\n" in shown
    assert max(map(len, shown.splitlines())) < 80
