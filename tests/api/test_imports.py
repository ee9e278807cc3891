"""Every module imports alone: no order of imports is needed, and no cycle hides."""

from __future__ import annotations

import ast
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

import atomhttp
from support.origin import Origin

MODULES = sorted(each.name for each in pkgutil.walk_packages(atomhttp.__path__, "atomhttp."))


# Imports each module that it is told in a child of its own, which ends as an interpreter does; says how, and with what
# complaint. Without the package's own __init__, which would import everything else first.
IMPORTER = f"""
import importlib, os, sys, types
package = types.ModuleType("atomhttp")
package.__path__ = {list(atomhttp.__path__)!r}
sys.modules["atomhttp"] = package
for line in sys.stdin:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(write, 2)
        os.close(read)
        os.close(write)
        importlib.import_module(line.strip())
        break
    os.close(write)
    with open(read) as complaint:
        said = complaint.read()
    print((os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said), flush=True)
"""


@pytest.fixture(scope="module")
def import_alone() -> Iterator[Callable[[str], tuple[int, str]]]:
    """`import_alone(module)`: the exit code and stderr of an interpreter that imports nothing else."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", IMPORTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as importer:

        def ask(module: str) -> tuple[int, str]:
            print(module, file=importer.stdin, flush=True)
            code, complaint = ast.literal_eval(importer.stdout.readline())
            return code, complaint

        yield ask


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_alone(module: str, import_alone: Callable[[str], tuple[int, str]]) -> None:
    code, complaint = import_alone(module)
    assert code == 0, complaint


def test_a_module_that_does_not_import_is_seen(import_alone: Callable[[str], tuple[int, str]]) -> None:
    code, complaint = import_alone("atomhttp.nowhere")
    assert code == 1
    assert "ModuleNotFoundError" in complaint


# Extras, and what only its own users should pay for. What multidict and msgspec import is not ours to leave out.
UNWANTED = {
    *("uvloop", "brotli", "backports.zstd", "ngh2", "socksio", "pydantic", "attrs", "trio", "rich", "pytest"),
    *("atomhttp._bars", "atomhttp._net.http2", "atomhttp._wire.http2"),
    *(
        "publicsuffixlist",
        "pickle",
        "json",
        "mimetypes",
        "hashlib",
        "secrets",
        "random",
        "netrc",
        "tempfile",
        "difflib",
    ),
    *("email", "unittest", "html", "http", "xml", "concurrent.futures.thread", "multiprocessing", "unicodedata"),
    *(
        "atomhttp.testing",
        "atomhttp._adapters.asgi",
        "atomhttp._adapters.mock",
        "atomhttp._verbs",
        "atomhttp._deferred_verbs",
    ),
    *("atomhttp.auth.digest", "atomhttp.auth.challenge", "atomhttp.auth.netrc", "atomhttp.auth.refreshing"),
    *("atomhttp.progress", "atomhttp._body.meter", "atomhttp._model.status_code"),
    *("atomhttp._model.proxies", "atomhttp._model.no_proxy", "atomhttp._model.address_guard"),
}
# A first request looks which content codings there are.
UNWANTED_AFTER_A_REQUEST = UNWANTED - {"brotli", "backports.zstd"}


def imported_by(program: str, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import sys\n{program}\nprint(*sys.modules)", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
    )
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_that_is_dear_or_optional() -> None:
    # asyncio and ssl import some of it, from one version of Python to the next others.
    there = imported_by("import asyncio, ssl")
    assert (imported_by("import asyncio, ssl, atomhttp") - there) & UNWANTED == set()


@pytest.mark.parametrize(
    "program",
    [
        "atomhttp.SyncAtomHTTP().get(sys.argv[1]).data",
        "asyncio.run(atomhttp.AtomHTTP().get(sys.argv[1])).data",
    ],
    ids=["sync", "async"],
)
def test_a_plain_request_imports_nothing_that_it_does_not_need(origin: Origin, program: str) -> None:
    there = imported_by("import asyncio, ssl")
    imported = imported_by(f"import asyncio, ssl, atomhttp\nassert {program} is not None", f"{origin.url}/bytes/3")
    assert (imported - there) & UNWANTED_AFTER_A_REQUEST == set()


def test_names_that_are_loaded_later_are_listed_and_found() -> None:
    program = (
        "import atomhttp, atomhttp.auth\n"
        "for module in (atomhttp, atomhttp.auth):\n"
        "    assert set(module.__all__) <= set(dir(module))\n"
        "    assert all(getattr(module, name) is not None for name in module.__all__)\n"
        "assert atomhttp.progress is sys.modules['atomhttp.progress']\n"
        "assert atomhttp.DigestAuth is atomhttp.auth.DigestAuth is sys.modules['atomhttp.auth.digest'].DigestAuth"
    )
    assert "atomhttp.auth.digest" in imported_by(program)
    with pytest.raises(AttributeError, match="module 'atomhttp' has no attribute 'NoSuchName'"):
        _ = atomhttp.NoSuchName
    with pytest.raises(AttributeError, match=r"module 'atomhttp\.auth' has no attribute 'NoSuchAuth'"):
        _ = atomhttp.auth.NoSuchAuth
