"""The examples are programs: `python examples/seed/progress.py`, in a process of its own, prints what it should.

Warnings are errors there, too, so this also shows that a client which nobody closed ends without one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import atomhttp
from examples.page import SECTIONS
from examples.playing import API, HTTPBIN, synchronous, text_of
from support.certificates import Certificates
from support.httpbin import Httpbin
from support.seed_origin import LARGE_FILE, SeedOrigin
from support.server import PATIENCE

OUTPUTS = {
    "interceptors": r"",
    "progress": r"(Uploading: \d+\.\d% \(\d+/1000000 bytes\)\n)*"
    r"Uploading: 100\.0% \(1000000/1000000 bytes\)\n"
    r"(Downloading: \d+\.\d%\n)*Downloading: 100\.0%\n",
    "form_data": r"",
    "concurrent_requests": r"Post 1: 200\nPost 2: 200\nPost 3: 200\n",
    "transformers": r"\{'timestamp': \d+\.\d+, 'content': \{.*'data': 'HELLO WORLD'.*\}, 'version': 'v2'\}\n",
    "authentication": r"",
    "blob_and_arraybuffer": r"(\d+ bytes\n)+",
    "limits_and_timeouts": r"",
}
# The page opens the files of its form and leaves them open.
WARNINGS = {"form_data": ["-W", "ignore:unclosed file:ResourceWarning"]}


@pytest.fixture
def places(httpbin: Httpbin, seed_origin: SeedOrigin, tmp_path: Path) -> dict[str, str]:
    """The page's hosts and paths, and where they are in this test."""
    return {
        HTTPBIN: httpbin.url,
        **dict.fromkeys((API, "https://jsonplaceholder.typicode.com", "https://example.com"), seed_origin.url),
        "/var/run/docker.sock": str(tmp_path / "s"),
        "https://slow-api.com": "http://127.0.0.1:9",
    }


def run(name: str, text: str, folder: Path, **environment: str) -> str:
    """What the example prints. It has to end well and without a word on stderr."""
    script = folder / f"{name}.py"
    script.write_text(text)
    command = [sys.executable, "-W", "error", *WARNINGS.get(name, []), str(script)]
    environment = {**os.environ, "PYTHONPATH": str(Path(atomhttp.__file__).parents[1]), **environment}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=6 * PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("is_sync", [False, True], ids=["AtomHTTP", "SyncAtomHTTP"])
@pytest.mark.parametrize("name", SECTIONS.values())
def test_a_script(name: str, is_sync: bool, places: dict[str, str], tmp_path: Path) -> None:
    if is_sync and name == "concurrent_requests":
        return  # its twin is written by hand: test_seed_sync.py
    folder = tmp_path / "empty"
    folder.mkdir()
    whole = text_of(name, {}, is_local=False)
    text = text_of(name, {theirs: ours for theirs, ours in places.items() if theirs in whole})
    with SeedOrigin(unix=tmp_path / "s"):
        output = run(name, synchronous(text) if is_sync else text, folder)
    assert re.fullmatch(OUTPUTS[name], output), output
    if name == "blob_and_arraybuffer":
        assert sum(int(line.split()[0]) for line in output.splitlines()) == len(LARGE_FILE)
    # Files are made in a folder that is gone again.
    assert [path.name for path in folder.iterdir()] == [f"{name}.py"]


@pytest.mark.parametrize("is_sync", [False, True], ids=["AtomHTTP", "SyncAtomHTTP"])
def test_https_over_a_unix_socket(is_sync: bool, certificates: Certificates, tmp_path: Path) -> None:
    """As the page has it, to the letter: only the socket's path is another, and who vouches for slow-api.com."""
    text = text_of("limits_and_timeouts", {"/var/run/docker.sock": str(tmp_path / "s")}, is_local=False)
    tls = certificates.server_context(certificates.issue("slow-api.com"))
    with SeedOrigin(unix=tmp_path / "s", tls=tls) as origin:
        code = synchronous(text) if is_sync else text
        assert run("limits_and_timeouts", code, tmp_path, SSL_CERT_FILE=str(certificates.ca)) == ""
    assert origin.server_names == ["slow-api.com"]
    assert [(request.target, request.get("Host")) for request in origin.requests] == [("/", "slow-api.com")]
