"""What type checkers make of a user's code (A35: typing is part of the interface)."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKS = "tests/api/typing_checks.py"

needs_mypy = pytest.mark.skipif(
    importlib.util.find_spec("mypy") is None,
    reason="MYPY IS NOT INSTALLED: the types were not checked here (./scripts/check does; or install atomhttp[check])",
)


def run_mypy(path: str, cache: Path) -> str:
    """What mypy says of `path` alone, under the project's own settings."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--follow-imports=silent",
        f"--cache-dir={cache}",
        "--no-error-summary",
        path,
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stdout + run.stderr


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("mypy")


@needs_mypy
def test_a_users_code_has_the_types_that_it_says(cache):
    assert run_mypy(CHECKS, cache) == ""


@needs_mypy
def test_a_missing_error_would_be_seen(cache, tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from typing import assert_type\n"
        "import atomhttp\n"
        "assert_type(atomhttp.get('/', response_type='text').data, bytes)\n"
        "atomhttp.get('/', timeout=3)  # type: ignore[call-overload]\n"
        "atomhttp.get('/', time_out=3)\n"
    )
    found = run_mypy(str(wrong), cache)
    assert 'wrong.py:3: error: Expression is of type "str", not "bytes"' in found
    assert 'wrong.py:4: error: Unused "type: ignore" comment' in found
    assert 'wrong.py:5: error: Unexpected keyword argument "time_out"' in found
