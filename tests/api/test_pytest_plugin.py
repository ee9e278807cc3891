"""The fixtures that come with the package, in test suites of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
CLIENT = """
import pytest
from atomhttp import AtomHTTP, AtomHTTPError, SyncAtomHTTP

URL = "https://api.example.com/users"

def load():
    with SyncAtomHTTP() as client:
        return client.get(URL).data
"""


def run(folder: Path, tests: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs `tests` in a pytest of its own, which knows the plugin and nothing of this suite."""
    (folder / "pytest.ini").write_text(
        "[pytest]\naddopts = --strict-markers -p no:cacheprovider\nfilterwarnings = error\n"
    )
    (folder / "test_it.py").write_text(tests)
    # Once by its entry point where the package is installed, and never twice.
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "atomhttp_pytest", "-q", *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def outcome(done: subprocess.CompletedProcess[str]) -> str:
    """What the last line counts: "1 passed"."""
    found = re.findall(r"(.+) in [\d.]+s", done.stdout)
    assert found, done.stdout + done.stderr
    return found[-1].strip("= ")


def test_every_client_of_the_test_is_answered(tmp_path: Path) -> None:
    tests = (
        CLIENT
        + """
import asyncio

def test_sync(atomhttp_mock):
    route = atomhttp_mock.on("GET", URL, [{"id": 1}])
    assert load() == [{"id": 1}]
    assert route.call_count == 1

def test_async(atomhttp_mock):
    atomhttp_mock.on("GET", "/users", [{"id": 2}])

    async def main():
        async with AtomHTTP() as client:
            return (await client.get(URL)).data

    assert asyncio.run(main()) == [{"id": 2}]

def test_the_next_test_starts_anew(atomhttp_mock):
    assert (atomhttp_mock.routes, atomhttp_mock.calls) == ([], [])

def test_without_it_the_network_is_there():
    with SyncAtomHTTP() as client, pytest.raises(AtomHTTPError, match="ECONNREFUSED|refused"):
        client.get("http://127.0.0.1:9/")
"""
    )
    assert outcome(run(tmp_path, tests)) == "4 passed"


def test_an_unexpected_request_fails_the_test_even_where_it_was_caught(tmp_path: Path) -> None:
    tests = (
        CLIENT
        + """
def test_swallowed(atomhttp_mock):
    atomhttp_mock.on("GET", "/user", [])
    try:
        load()
    except BaseException:
        pass
    atomhttp_mock.clear()

@pytest.mark.atomhttp_mock(assert_no_unexpected=False)
def test_relaxed(atomhttp_mock):
    with pytest.raises(AssertionError):
        load()

@pytest.mark.atomhttp_mock(strict=False)
def test_not_strict(atomhttp_mock):
    assert load() is None
"""
    )
    done = run(tmp_path, tests)
    assert outcome(done) == "3 passed, 1 error"
    assert "unexpected request: GET https://api.example.com/users" in done.stdout
    assert "GET /user -> 200: the path is /users" in done.stdout
    # The message, and no source of ours.
    assert "atomhttp_pytest.py" not in done.stdout


def test_a_registered_request_that_is_never_sent_fails_the_test(tmp_path: Path) -> None:
    tests = (
        CLIENT
        + """
def test_never_sent(atomhttp_mock):
    atomhttp_mock.on("GET", URL, [])

def test_not_often_enough(atomhttp_mock):
    atomhttp_mock.on("GET", URL, [], times=2)
    load()

def test_optional(atomhttp_mock):
    atomhttp_mock.on("GET", URL, [], optional=True)

@pytest.mark.atomhttp_mock(assert_all_called=False)
class TestRelaxed:
    def test_never_sent(self, atomhttp_mock):
        atomhttp_mock.on("GET", URL, [])

    @pytest.mark.atomhttp_mock(assert_all_called=True)
    def test_the_nearest_marker_wins(self, atomhttp_mock):
        atomhttp_mock.on("GET", URL, [])

def test_a_failed_test_has_said_enough(atomhttp_mock):
    atomhttp_mock.on("GET", URL, [])
    assert False, "its own"
"""
    )
    done = run(tmp_path, tests)
    assert outcome(done) == "1 failed, 5 passed, 3 errors"
    assert "GET https://api.example.com/users -> 200: used not at all" in done.stdout
    assert "used 1 of 2 times" in done.stdout


def test_clients_with_an_adapter_of_their_own_are_left_alone(tmp_path: Path) -> None:
    tests = (
        CLIENT
        + """
from atomhttp.testing import MockAdapter

def test_other(atomhttp_mock):
    other = MockAdapter()
    other.on("GET", URL, "other")
    assert SyncAtomHTTP(adapter=other).get(URL).data == "other"
    assert atomhttp_mock.calls == []

@pytest.mark.atomhttp_mock(intercept=False)
def test_given_by_hand(atomhttp_mock):
    atomhttp_mock.on("GET", URL, "by hand")
    assert SyncAtomHTTP(adapter=atomhttp_mock).get(URL).data == "by hand"
    with SyncAtomHTTP() as client, pytest.raises(AtomHTTPError):
        client.get("http://127.0.0.1:9/")
"""
    )
    assert outcome(run(tmp_path, tests)) == "2 passed"


@pytest.mark.parametrize("arguments", ["asert_all_called=False", "False"])
def test_a_wrong_marker_says_what_is_right(tmp_path: Path, arguments: str) -> None:
    tests = CLIENT + f"\n@pytest.mark.atomhttp_mock({arguments})\ndef test_it(atomhttp_mock): pass\n"
    done = run(tmp_path, tests)
    assert outcome(done) == "1 error"
    assert "assert_all_called" in done.stdout
    assert "is not one of its keywords" in done.stdout


def test_the_marker_and_the_fixture_are_documented(tmp_path: Path) -> None:
    assert "@pytest.mark.atomhttp_mock(" in run(tmp_path, "", "--markers").stdout
    assert "A MockAdapter that answers every atomhttp client" in run(tmp_path, "", "--fixtures").stdout


def test_a_suite_that_does_not_use_it_does_not_import_the_package(tmp_path: Path) -> None:
    tests = """
import sys

def test_it():
    assert not [name for name in sys.modules if name.partition(".")[0] == "atomhttp"]
"""
    assert outcome(run(tmp_path, tests)) == "1 passed"
