"""The README's examples do what it says they do."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from support.origin import Answer, Origin, Received

README = Path(__file__).parents[2] / "README.md"
HOST = "https://api.example.com"
EXAMPLES = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


def answer(value: Any, status: int = 200) -> Answer:
    return Answer(json.dumps(value).encode(), status, [("Content-Type", "application/json")])


def users(request: Received) -> Answer:
    if request.method == "POST":
        assert json.loads(request.body) == {"name": "Grace"}
        return answer({"id": 2, "name": "Grace"}, 201)
    assert request.target in ("/users", "/users?born=1815")
    return answer([{"id": 1, "name": "Ada"}])


ROUTES = {
    "/users": users,
    "/users/1": lambda _: Answer(status=204),
    "/users/2": lambda _: answer({"error": "no such user"}, 404),
    "/log": lambda _: Answer(b"started\nstopped\n", chunked=True),
}


def test_every_example_is_run():
    assert len(EXAMPLES) == README.read_text().count("```python") == 3


@pytest.mark.parametrize(("code", "output"), EXAMPLES)
def test_an_example_prints_what_the_readme_says(code, output, tmp_path, capsys):
    assert HOST in code
    with Origin(routes=ROUTES) as origin:
        script = tmp_path / "example.py"
        script.write_text(code.replace(HOST, origin.url))
        runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out == output


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text()):
        assert (README.parent / target).exists(), target
