"""The benchmarks run as a whole, and would notice a client that hands out something else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.exercises import WrongReplyError
from benchmarks.job import PATHS, Job
from benchmarks.origin import HOST, Target
from benchmarks.payloads import SMALL
from benchmarks.peers import AsyncPeer
from benchmarks.peers.contract import Reply
from benchmarks.worker import measure_async

from support.nginx import find_nginx

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NOTHING WAS MEASURED: it needs Linux's /proc")


class Liar(AsyncPeer):
    """Right for a while, and then not."""

    def __init__(self, right: int) -> None:
        self.right = right

    async def setup(self, target: Target, connections: int) -> None:
        pass

    async def get(self, url: str) -> Reply:
        assert url.endswith(PATHS["get"])
        self.right -= 1
        return 200, {**SMALL, "id": SMALL["id"] if self.right >= 0 else 0}

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("right", [0, 1, 500])
async def test_one_wrong_reply_is_enough(right: int) -> None:
    job = Job("get", Target(HOST, 80, 0), in_flight=1, seconds=5)
    with pytest.raises(ExceptionGroup) as raised:
        await measure_async(Liar(right), job)
    assert raised.group_contains(WrongReplyError)


@pytest.mark.skipif(find_nginx() is None, reason="NOTHING WAS MEASURED: nginx is not there")
def test_a_run_from_end_to_end(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", "--rounds", "1", "--seconds", "0.01", "--json", str(file)]
    done = subprocess.run(
        [*command, "--rows", "form-8", "--clients", "atomhttp", "bare"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "form-8: POST of a form" in done.stdout
    results = json.loads(file.read_text())
    (table,) = results["tables"]
    assert table["samples"]["atomhttp"][0] > 0
    assert table["unsupported"] == ["bare"]
    assert results["machine"]["versions"]["nginx"]
