"""Every target by atheris, which looks for inputs that go where none has been: a short run, the same every time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(
    find_spec("atheris") is None,
    reason="ATHERIS IS NOT INSTALLED: nothing was fuzzed by coverage (Linux, CPython 3.11 to 3.13)",
)
def test_a_short_run_of_every_target_finds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fuzz", "--findings", str(tmp_path), "--", "-seed=1", "-runs=100", "-max_len=200"]
    paths = os.pathsep.join(each for each in sys.path if each)
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "0"}
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace", timeout=300, check=False
    )
    findings = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert run.returncode == 0, f"{findings}\n{run.stderr[-6000:]}"
    assert not findings
    assert re.findall(r"^=== (\w+)$", run.stderr, re.MULTILINE) == list(TARGETS)
    runs = [int(each) for each in re.findall(r"^Done (\d+) runs", run.stderr, re.MULTILINE)]
    assert len(runs) == len(TARGETS), run.stderr[-6000:]
    assert min(runs) >= 100
