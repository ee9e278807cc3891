"""Whether a source archive and the wheels hold what they should: all that is tracked of it, and nothing else.

`python scripts/package_contents.py dist`; `scripts/package` calls it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).parent.parent
# The project's own description, which every archive has; the build adds PKG-INFO, and .gitignore by which it chose.
ALWAYS = {"LICENSE", "README.md", "pyproject.toml"}
ADDED = {"PKG-INFO", ".gitignore"}


def tracked_files() -> set[str]:
    """What git has, or would have: new files that it does not ignore, without those that have been deleted."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return {name for name in names if name and (ROOT / name).is_file()}


def expected_sdist(tracked: set[str], included: list[str]) -> set[str]:
    """The files of the archive; `included` as pyproject.toml has it."""
    wanted = [each.removeprefix("/") for each in included]
    chosen = {name for name in tracked if any(name == each or name.startswith(f"{each}/") for each in wanted)}
    return chosen | ALWAYS | ADDED


def expected_wheel(tracked: set[str], version: str) -> set[str]:
    """The files of the wheel: the package with py.typed, the plugin beside it, and what says what it is."""
    info = f"atomhttp-{version}.dist-info"
    described = {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")}
    return {name.removeprefix("src/") for name in tracked if name.startswith("src/")} | described


def expected_compiled(pure: set[str], compiled: list[str], found: set[str]) -> set[str]:
    """The files of a compiled wheel: a module for each of `compiled`, and one of mypyc's that holds what they do."""
    kinds = {name.partition(".")[2] for name in found if name.endswith((".so", ".pyd"))}
    modules = {name.removeprefix("/src/").removesuffix(".py") for name in compiled}
    together = {name for name in found if re.fullmatch(r"[0-9a-f]{20}__mypyc\.[^/]+", name)}
    return pure | {f"{module}.{kind}" for module in modules for kind in kinds} | together


def compare(what: str, found: set[str], expected: set[str]) -> list[str]:
    """What is wrong about the files of `what`, a line each."""
    missing = [f"{what}: {name} is missing" for name in sorted(expected - found)]
    return missing + [f"{what}: {name} does not belong there" for name in sorted(found - expected)]


def read_version() -> str:
    """The version that the source says."""
    found = re.search(r'__version__ = "(.+)"', (ROOT / "src/atomhttp/_version.py").read_text())
    if found is None:
        raise SystemExit("src/atomhttp/_version.py: no __version__")
    return found[1]


def check_metadata(text: str, project: dict[str, object], version: str) -> list[str]:
    """What is wrong about the wheel's METADATA."""
    metadata = HeaderParser().parsestr(text)
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    wanted = {
        "Name": "atomhttp",
        "Version": version,
        "License-Expression": "MIT",
        "Requires-Python": project["requires-python"],
        "Description-Content-Type": "text/markdown",
    }
    wrong = [
        f"METADATA: {name}: {metadata[name]}, expected {value}"
        for name, value in wanted.items()
        if metadata[name] != value
    ]
    if set(metadata.get_all("Provides-Extra", [])) != set(extras):
        wrong.append(f"METADATA: extras {metadata.get_all('Provides-Extra')}, expected {sorted(extras)}")
    if f"## [{version}]" not in (ROOT / "CHANGELOG.md").read_text():
        wrong.append(f"CHANGELOG.md: no section [{version}]")
    return wrong


def check_archives(directory: Path) -> list[str]:
    """What is wrong about the archives in `directory`."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = configuration["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    modules = configuration["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["include"]
    version, tracked = read_version(), tracked_files()
    sdist, wheel = directory / f"atomhttp-{version}.tar.gz", directory / f"atomhttp-{version}-py3-none-any.whl"
    compiled = sorted(directory.glob(f"atomhttp-{version}-cp3*.whl"))
    if sorted(directory.iterdir()) != sorted((sdist, wheel, *compiled)):
        return [f"{directory}: {[each.name for each in directory.iterdir()]}, expected {sdist.name} and {wheel.name}"]
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
        prefix = f"atomhttp-{version}/"
        wrong = compare(
            sdist.name, {each.name.removeprefix(prefix) for each in members}, expected_sdist(tracked, included)
        )
        wrong += [f"{sdist.name}: {each.name} is no file" for each in members if not each.isfile()]
    with zipfile.ZipFile(wheel) as archived:
        wrong += compare(wheel.name, set(archived.namelist()), expected_wheel(tracked, version))
        metadata = archived.read(f"atomhttp-{version}.dist-info/METADATA").decode()
    wrong += check_metadata(metadata, configuration["project"], version)
    for each in compiled:
        with zipfile.ZipFile(each) as archived:
            # auditwheel names folders as well.
            found = {name for name in archived.namelist() if not name.endswith("/")}
        wrong += compare(each.name, found, expected_compiled(expected_wheel(tracked, version), modules, found))
        if not any(name.endswith((".so", ".pyd")) for name in found):
            wrong.append(f"{each.name}: nothing in it is compiled")
    for each in (sdist, wheel, *compiled):
        print(f"{each.name}: {each.stat().st_size / 1024:.0f} KiB")
    return wrong


if __name__ == "__main__":
    sys.exit("\n".join(check_archives(Path(sys.argv[1]))) or None)
