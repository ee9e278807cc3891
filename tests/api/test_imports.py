"""Every module imports alone: no order of imports is needed, and no cycle hides."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import atomhttp

MODULES = sorted(each.name for each in pkgutil.walk_packages(atomhttp.__path__, "atomhttp."))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_alone(module: str) -> None:
    # Without the package's own __init__, which would import everything else first.
    program = (
        "import importlib, sys, types\n"
        "package = types.ModuleType('atomhttp')\n"
        f"package.__path__ = {list(atomhttp.__path__)!r}\n"
        "sys.modules['atomhttp'] = package\n"
        f"importlib.import_module({module!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_package_imports_nothing_that_is_dear_or_optional() -> None:
    program = "import sys, atomhttp; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    unwanted = {"uvloop", "brotli", "backports.zstd", "socksio", "pydantic", "attrs", "trio", "rich", "pytest"}
    assert unwanted.isdisjoint(done.stdout.split())
