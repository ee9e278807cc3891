"""The program's own first lines, before the package is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).parents[2] / "src" / "atomhttp_command.py"
PROGRAM = "import sys, atomhttp_command; sys.exit(atomhttp_command.main())"
# In the place of the package: what is there while Ctrl+C comes.
INTERRUPTED = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
RUNS = """
import signal
def main():
    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    return 3
"""


def run(folder: Path, *, ignoring: bool = False) -> subprocess.CompletedProcess[str]:
    (folder / COMMAND.name).write_text(COMMAND.read_text())
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        # As a shell does with what it starts in the background.
        preexec_fn=(lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if ignoring else None,
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "atomhttp").mkdir()
    (tmp_path / "atomhttp" / "__init__.py").touch()
    return tmp_path / "atomhttp"


def test_ctrl_c_is_quiet_while_the_package_is_imported(package: Path) -> None:
    (package / "__init__.py").write_text(INTERRUPTED)
    done = run(package.parent)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_afterwards_it_is_the_programs_to_handle(package: Path) -> None:
    (package / "__main__.py").write_text(RUNS)
    done = run(package.parent)
    assert (done.returncode, done.stdout) == (3, "True\n")


def test_what_is_started_in_the_background_stays_deaf(package: Path) -> None:
    (package / "__init__.py").write_text(INTERRUPTED)
    (package / "__main__.py").write_text(RUNS)
    done = run(package.parent, ignoring=True)
    assert (done.returncode, done.stdout) == (3, "False\n")
