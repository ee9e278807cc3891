"""The soak (`benchmarks/soak.py`) runs, finds nothing, and would find what it is for. The long run is for people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import atomhttp

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 85

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="NOTHING WAS COUNTED: only Linux has a /proc that tells it"),
    pytest.mark.skipif(
        not (ROOT / "benchmarks" / "soak.py").exists(), reason="NO SOAK WAS RUN: this copy of the tests has none"
    ),
]

# What goes wrong in the client, once a request or once in a while.
LEAKS = """
    kept.append(response)
    if len(kept) % 20 == 0:
        sockets.append(socket.socket())
    if len(kept) % 300 == 0:
        tasks.append(asyncio.ensure_future(asyncio.sleep(3600)))
        timers.append(Timer())
        live_reactors()[0].timers.add(timers[-1], time.monotonic() + 3600)
"""
LEAKING = """
import asyncio, socket, sys, time
from atomhttp import AtomHTTP
from atomhttp._net.live import live_reactors
from benchmarks import soak

kept, sockets, tasks, timers = [], [], [], []
request = AtomHTTP.request

class Timer:
    slot = None
    def expire(self, now): ...

async def leaking(self, *arguments, **options):
    response = await request(self, *arguments, **options)
    # the leak
    return response

if __name__ == "__main__":
    AtomHTTP.request = leaking
    sys.exit(soak.main(sys.argv[1:]))
"""
TLS_ALONE = """
import sys
from benchmarks import soak

if __name__ == "__main__":
    soak.choose = lambda number, seed: ("surplus*", False)
    sys.exit(soak.main(sys.argv[1:]))
"""
WRONG = """
    kept.append(None)
    if len(kept) >= 700 and isinstance(response.data, dict):
        response.data["n"] = -1
"""


def run(
    tmp_path: Path, *arguments: str, program: Sequence[str] = ("-m", "benchmarks.soak")
) -> tuple[subprocess.CompletedProcess[str], Any]:
    """What the program said, and the document that it wrote, if it did."""
    document = tmp_path / "soak.json"
    done = subprocess.run(
        [sys.executable, *program, *arguments, "--json", str(document)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(atomhttp.__file__).parent.parent)])},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return done, json.loads(document.read_text()) if document.exists() else None


def with_client_that(does: str, tmp_path: Path) -> list[str]:
    """The program with a client that does this behind each of its responses."""
    path = tmp_path / "leaking.py"
    path.write_text(LEAKING.replace("    # the leak\n", does))
    return [str(path)]


@pytest.mark.parametrize(("mode", "requests"), [("asyncio", 3000), ("sync", 1000)])
def test_a_short_soak_leaves_nothing_behind(mode: str, requests: int, tmp_path: Path) -> None:
    done, document = run(tmp_path, str(requests), "--mode", mode, "--seed", "7")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    assert "every reply right" in done.stdout
    assert (document["problems"], document["left"]) == ([], {})
    assert sum(document["faults"].values()) >= requests / 200
    assert {line["name"] for line in document["lines"].values()} == {"memory", "objects", "sockets", "tasks", "timers"}


def test_leaks_are_found(tmp_path: Path) -> None:
    done, document = run(tmp_path, "2000", program=with_client_that(LEAKS, tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    assert {name for name, line in document["lines"].items() if not line["flat"]} == set(document["lines"])
    # The timers went with the event loop's reactor.
    assert set(document["left"]) == {"sockets", "tasks"}
    assert "NOT FLAT" in done.stdout


def test_new_tls_connections_leave_nothing_behind(tmp_path: Path) -> None:
    """Each call costs a connection. (`SSLObject.session` leaks 7 KB before Python 3.12.8, and in 3.13.0: gh-116810.)"""
    path = tmp_path / "tls.py"
    path.write_text(TLS_ALONE)
    done, document = run(tmp_path, "800", "--in-flight", "4", program=[str(path)])
    assert document["lines"]["memory"]["flat"], done.stdout
    assert (done.returncode, document["problems"]) == (0, [])


def test_a_wrong_reply_is_found(tmp_path: Path) -> None:
    done, document = run(tmp_path, "1000", program=with_client_that(WRONG, tmp_path))
    assert (done.returncode, document) == (1, None)
    assert "wrong: {'n': -1" in done.stderr
