"""What holds for every program of examples/: it says how to run it, helps, and stands in the table."""

from __future__ import annotations

import ast
import re
import shlex
import signal
from pathlib import Path

import pytest

from examples.programs.program import EXAMPLES, finish, run, start
from support.origin import Origin

FILES = sorted(path.name for path in EXAMPLES.glob("*.py"))
PROGRAMS = [name for name in FILES if not name.startswith("test_")]
README = (EXAMPLES / "README.md").read_text()


def docstring(name: str) -> str:
    return ast.get_docstring(ast.parse((EXAMPLES / name).read_text())) or ""


@pytest.mark.parametrize("name", FILES)
def test_it_says_how_to_run_it(name: str) -> None:
    command = f"python examples/{name}" if name in PROGRAMS else f"python -m pytest examples/{name}"
    assert f"\n    {command}" in docstring(name)
    # The table has it, and so has the list of commands.
    assert README.count(f"[{name}]({name})") == 1
    assert re.search(rf"(?m)^    {re.escape(command)}", README)


@pytest.mark.parametrize("name", PROGRAMS)
def test_without_arguments_it_says_what_is_missing(name: str, tmp_path: Path) -> None:
    done = run(name, folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert re.match(rf"{name}: error: the following arguments are required: ", done.err.splitlines()[-1])


@pytest.mark.parametrize("name", FILES)
def test_it_has_a_test(name: str) -> None:
    assert (Path(__file__).parent / f"test_{name.removeprefix('test_')}").exists()


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_commands_that_are_shown_can_be_given(name: str, tmp_path: Path) -> None:
    lines = run(name, "--help", folder=tmp_path).lines
    assert lines[0].startswith(f"usage: {name} ")
    shown = "\n".join(lines)
    for arguments in re.findall(rf"(?m)^    python examples/{re.escape(name)} (.*)$", README + docstring(name)):
        for option in (word for word in shlex.split(arguments) if word.startswith("--")):
            if option not in shown:
                # One of a command's own.
                shown += run(name, *shlex.split(arguments), "--help", folder=tmp_path).out
            assert re.search(rf"(?m)^  {option}\b", shown)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("pagination.py", "{url}/delay/60"),
        ("upload.py", "file {url}/delay/60"),
        ("oauth.py", "--token-url {url}/delay/60 {url} /echo"),
    ],
)
def test_ctrl_c(name: str, arguments: str, origin: Origin, tmp_path: Path) -> None:
    """The others, which do something about it, have tests of their own."""
    (tmp_path / "file").write_text("x")
    variables = {"CLIENT_ID": "id", "CLIENT_SECRET": "secret"}
    with start(name, *arguments.format(url=origin.url).split(), folder=tmp_path, **variables) as process:
        origin.wait_for_requests(1)
        process.send_signal(signal.SIGINT)
        done = finish(process)
    assert (done.code, done.out) == (130, "")
    assert "Traceback" not in done.err
