"""What is published holds what is tracked and nothing else, as far as that shows without building it.

`scripts/package` builds it, checks the same of the archives, and installs them.
"""

from __future__ import annotations

import importlib.util
import shutil
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def contents() -> ModuleType:
    """`scripts/package_contents.py`, which is no package's."""
    specification = importlib.util.spec_from_file_location("package_contents", ROOT / "scripts/package_contents.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tracked(contents: ModuleType) -> set[str]:
    """The files that git has, or would have."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("NO GIT CHECKOUT: what is published was not compared with what is tracked")
    return contents.tracked_files()  # type: ignore[no-any-return]  # the module's own annotation


def chosen(kind: str) -> set[str]:
    """The files that the build would put in: where they stand there."""
    builders = pytest.importorskip("hatchling.builders", reason="NO HATCHLING: no list of files was made")
    module = importlib.import_module(f"{builders.__name__}.{kind}")
    builder: Any = getattr(module, f"{kind.capitalize()}Builder")(str(ROOT))
    return {Path(each.distribution_path).as_posix() for each in builder.recurse_included_files()}


def test_the_source_archive(contents: ModuleType, tracked: set[str]) -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = configuration["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    # These the build puts in by itself.
    later = contents.ADDED | contents.ALWAYS
    expected = contents.expected_sdist(tracked, included) - later
    assert contents.compare("sdist", chosen("sdist") - later, expected) == []


def test_the_wheel(contents: ModuleType, tracked: set[str]) -> None:
    expected = {name for name in contents.expected_wheel(tracked, "0") if ".dist-info/" not in name}
    assert contents.compare("wheel", chosen("wheel"), expected) == []
    assert {"atomhttp/py.typed", "atomhttp/__init__.py", "atomhttp_pytest.py"} <= expected
    assert {name.partition("/")[0] for name in expected} == {"atomhttp", "atomhttp_command.py", "atomhttp_pytest.py"}


def test_what_differs_is_named(contents: ModuleType) -> None:
    assert contents.compare("x", {"a", "b"}, {"b", "c"}) == ["x: c is missing", "x: a does not belong there"]
