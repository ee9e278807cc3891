"""Which interpreter a client lives under. Two peers cannot share an environment with the others.

The published atomhttp has the product's import name, as the product's own compiled build has, and niquests brings a
package that takes the place of urllib3.
Their environments stand beside the one that runs this, with a name of their own: .venv-bench-published. All of them are
made by scripts/bench.
"""

import json
import multiprocessing.spawn
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.peers import COMPILED, PUBLISHED

SUFFIXES = {COMPILED: "-compiled", PUBLISHED: "-published", "niquests": "-niquests"}
PROJECT = str(Path(__file__).parent.parent)


class MissingEnvironmentError(Exception):
    """An interpreter that a client needs is not there."""


@dataclass(frozen=True)
class Environment:
    python: str
    path: list[str]
    """What its `sys.path` has to be."""


def find_environment(client: str) -> Environment:
    suffix = SUFFIXES.get(client)
    return ask_environment(suffix) if suffix else Environment(sys.executable, sys.path)


@cache
def ask_environment(suffix: str) -> Environment:
    python = Path(sys.prefix + suffix, "bin", "python")
    if not python.exists():
        raise MissingEnvironmentError(f"{python} is not there; scripts/bench makes it")
    # -I: neither PYTHONPATH nor the current directory, in which this project's own atomhttp may be.
    command = [str(python), "-I", "-c", "import sys, json; print(json.dumps(sys.path))"]
    path = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Environment(str(python), [PROJECT, *path])


@contextmanager
def spawning_in(environment: Environment) -> Iterator[None]:
    """Whatever multiprocessing spawns meanwhile runs under that interpreter, and imports from there only."""
    python, path = multiprocessing.spawn.get_executable(), sys.path
    multiprocessing.spawn.set_executable(environment.python)
    sys.path = environment.path
    try:
        yield
    finally:
        multiprocessing.spawn.set_executable(python)
        sys.path = path
