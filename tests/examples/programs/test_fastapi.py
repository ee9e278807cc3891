"""examples/test_fastapi.py is a test file itself: it passes, and fails when the application is another one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import atomhttp
from examples.programs.program import EXAMPLES, LONGEST

NAME = "test_fastapi.py"


def run_pytest(file: Path, *options: str) -> tuple[int, str]:
    # Once, whether or not it also comes by its entry point.
    plugins = ["-p", "no:atomhttp", "-p", "atomhttp_pytest", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *plugins, "-q", *options]
    variables = {**os.environ, "PYTHONPATH": str(Path(atomhttp.__file__).parents[1])}
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        variables.pop(name, None)
    done = subprocess.run(
        [*command, str(file)], env=variables, capture_output=True, text=True, timeout=LONGEST, check=False
    )
    return done.returncode, done.stdout


def test_it_passes() -> None:
    """In this project, with its settings: every warning is an error."""
    code, shown = run_pytest(EXAMPLES / NAME)
    assert (code, shown.splitlines()[-1].partition(" in ")[0]) == (0, "9 passed"), shown


def test_it_fails_with_another_application(tmp_path: Path) -> None:
    text = (EXAMPLES / NAME).read_text()
    application, heading, tests = text.partition("# Its tests\n")
    changes = {
        "answer.data.left < order.quantity": "False",
        '"max_retries": 1': '"max_retries": 0',
        "Field(gt=0)": "Field()",
        'baseURL="https://stock': 'baseURL="https://other',
    }
    for good, bad in changes.items():
        assert application.count(good) == 1
        application = application.replace(good, bad)
    (tmp_path / NAME).write_text(application + heading + tests)
    # Without the settings of this project: anybody's own.
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    code, shown = run_pytest(tmp_path / NAME, "-c", str(tmp_path / "pytest.ini"))
    assert code == 1, shown
    assert set(re.findall(r"(?m)^FAILED \S+::(\w+)", shown)) == {
        "test_an_order_is_taken",
        "test_an_order_is_not_taken",
        "test_the_stock_service_is_asked_twice",
        "test_an_order_of_nothing_is_refused_by_itself",
    }
