"""Programs that fork, each in a process of its own: a fork of the tests' process would carry its threads' locks."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

TIMEOUT = 60.0


def run_in_fork(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """What came of `program`, which sees the packages that the tests see."""
    # Python 3.12 warns of every fork beside threads.
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
        timeout=TIMEOUT,
        capture_output=True,
        text=True,
        check=False,
    )
