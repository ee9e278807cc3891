"""The guards as a run of pytest sees them: a small suite with this one's conftest, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

SUITE = """
import asyncio, socket, pytest

kept = []

def test_leaks_a_socket():
    kept.append(socket.socket())

def test_swallows_a_refusal():
    try:
        socket.getaddrinfo("example.com", 80)
    except Exception:
        pass

async def test_forgets_a_task():
    kept.append(asyncio.create_task(asyncio.sleep(60)))

async def test_warns():
    async def never(): pass
    never()

async def test_fails(virtual_clock):
    await asyncio.sleep(1000)
    assert virtual_clock.time() == 1

async def test_passes(loop_kind):
    await asyncio.sleep(0)
"""


def test_every_guard_reaches_the_report(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {TESTS}\nfilterwarnings = error\naddopts = -ra\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)]
    wide = os.environ | {"COLUMNS": "200"}  # the summary's lines are cut to the terminal's width
    run = subprocess.run(command, cwd=tmp_path, env=wide, capture_output=True, text=True, timeout=60, check=False)

    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout
    assert "3 failed, 4 passed, 2 errors" in run.stdout.splitlines()[-1], run.stdout
    for line in (
        "ERROR test_suite.py::test_leaks_a_socket - Failed: the test left behind:",
        "ERROR test_suite.py::test_swallows_a_refusal - Failed: the test tried to leave this machine",
        "FAILED test_suite.py::test_forgets_a_task - AssertionError: left behind on the event loop:",
        "FAILED test_suite.py::test_warns",
        "FAILED test_suite.py::test_fails - assert 1000.",
    ):
        assert line in run.stdout, run.stdout
