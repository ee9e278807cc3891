"""The demonstration, as `./scripts/demo` starts it: against its own origin, and against a URL."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import atomhttp
from support.origin import Origin
from support.server import PATIENCE

DEMO = Path(__file__).resolve().parents[2] / "demo"

pytestmark = pytest.mark.skipif(not DEMO.exists(), reason="this copy of the tests has no demonstration")

# What is downloaded is announced by another digest than the one that is looked at. The rest is made quick.
SPOILT = """
import hashlib, sys, types
import main, origin

main.SECONDS = 0.01
origin.DOWNLOAD_RATE = 1_000_000_000
origin.hashlib = types.SimpleNamespace(sha256=hashlib.sha512)
sys.exit(main.main([]))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with these arguments."""
    paths = os.pathsep.join([str(Path(atomhttp.__file__).parents[1]), str(DEMO)])
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": paths, "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"},
        capture_output=True,
        encoding="utf-8",
        timeout=6 * PATIENCE,
        check=False,
    )


def titles(output: str) -> list[str]:
    return re.findall(r"^(\w.*?) ─+$", output, re.MULTILINE)


def test_the_whole_of_it() -> None:
    done = run(str(DEMO / "main.py"))
    assert (done.returncode, done.stderr) == (0, "")
    assert titles(done.stdout) == [
        "A request",
        "JSON, asynchronously",
        "Data of a type of yours",
        "A download, as it arrives",
        "Many at once",
        "Over a unix socket",
        "TLS, trusting one private authority",
        "Where the time went",
        "Errors",
        "Throughput on this machine",
    ]
    # Two that answer what they were sent, by a unix socket, by TLS; the download is not shown as a response.
    assert len(re.findall(r"^    200 OK  http", done.stdout, re.MULTILINE)) == 4
    for part in (
        "response.data  Greeting(greeting=",
        "100%   33.55 MB",
        "its SHA-256 is the one that was announced",
        "100 answers that take 0.2 s each",
        "the same again: ",
    ):
        assert part in done.stdout, part
    assert re.findall(r"code='(\w+)'", done.stdout) == [
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        "ECONNABORTED",
        "ERR_BAD_REQUEST",
        "ERR_BAD_OPTION",
    ]
    rates = re.findall(r"^    (sync|async), .* requests/s   \(([\d,]+) in", done.stdout, re.MULTILINE)
    assert [name for name, sent in rates if int(sent.replace(",", ""))] == ["sync", "async"]


def test_a_download_that_is_not_the_announced_one_is_a_failure() -> None:
    done = run("-c", SPOILT)
    assert "its SHA-256 is NOT the one that was announced" in done.stdout, done.stderr
    assert (done.returncode, done.stderr) == (1, "")


def test_a_url() -> None:
    # By this address it is not one whose throughput would be measured, which takes seconds.
    with Origin(host="127.0.0.2") as origin:
        done = run("-W", "error", str(DEMO / "main.py"), origin.url + "/echo")
    assert (done.returncode, done.stderr) == (0, "")
    assert titles(done.stdout) == ["A request", "Where the time went", "Errors", "As it arrives", "Eight at once"]
    assert f"    200 OK  {origin.url}/echo\n" in done.stdout
    assert f"    {', '.join(8 * ['200'])} in " in done.stdout
    assert len(origin.requests) == 11


def test_a_url_that_cannot_be_reached() -> None:
    with socket.socket() as nobody:
        # Taken, and nobody listens there.
        nobody.bind(("127.0.0.1", 0))
        done = run("-W", "error", str(DEMO / "main.py"), f"http://127.0.0.1:{nobody.getsockname()[1]}/")
    assert done.returncode == 1
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("This URL cannot be shown, ECONNREFUSED: ")
