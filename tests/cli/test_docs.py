"""Every console block of docs/cli.md is typed in at a terminal, and what appears is what the page says."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomhttp import __version__
from cli.program import Terminal, run
from support.origin import Answer, Origin, Received, pattern
from support.seed_origin import answer, show_parts

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
API = "https://api.example.com"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What is different every time: a bar has a rate, if there was time for one.
BAR = re.compile(r"\S+ +100% .* \S+ k?B/\S+ k?B.*")


def text(value: str) -> Answer:
    return Answer(value.encode(), headers=[("Content-Type", "text/plain")])


def users(request: Received) -> Answer:
    if request.method == "POST":
        return answer({"id": 2, **json.loads(request.body)}, 201)
    return answer([{"id": 1, "name": "Ada"}])


ROUTES = {
    "/users": users,
    "/users/2": lambda _: answer({"error": "no such user"}, 404),
    "/form": lambda request: text(request.body.decode()),
    "/upload": show_parts,
    "/whoami": lambda request: text(request.get("Authorization") or "nobody"),
    "/private": lambda _: answer({"error": "who are you?"}, 401),
    "/icon.png": lambda _: Answer(pattern(400), headers=[("Content-Type", "image/png")]),
    "/video.mp4": lambda _: Answer(pattern(300_000), headers=[("Content-Type", "video/mp4")]),
    "/files/video.mp4": lambda _: Answer(status=204),
}


@pytest.fixture
def api() -> Iterator[Origin]:
    with Origin(routes=ROUTES) as origin:
        yield origin


def read_blocks(page: str) -> list[tuple[str, list[str]]]:
    """Each command of the page, with the lines that it shows."""
    found = []
    for block in BLOCK.findall(page):
        for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = piece.splitlines()
            found.append((command, lines))
    return found


def show(command: str, api: Origin, folder: Path) -> list[str]:
    """What a person sees who types `command`, on a screen that is wide enough."""
    script = f'atomhttp() {{ {sys.executable} -W error -m atomhttp "$@"; }}\n{command.replace(API, api.url)}'
    # The colours are another test's.
    with Terminal(program=["bash", "-c", script], cwd=folder, columns=200, env={"NO_COLOR": "1"}) as terminal:
        terminal.wait()
        rows = [
            row.replace(api.url, API).replace(api.url.partition("//")[2], "api.example.com") for row in terminal.rows
        ]
    return [row for row in rows if not BAR.fullmatch(row)]


def test_the_page_shows_what_happens(api: Origin, tmp_path: Path) -> None:
    (tmp_path / "profile.jpg").write_bytes(pattern(2048))
    commands = read_blocks(PAGE.read_text())
    assert len(commands) > 15
    for command, lines in commands:
        expected = [line.replace("atomhttp/0.1.0", f"atomhttp/{__version__}").rstrip() for line in lines]
        assert show(command, api, tmp_path) == expected, command
    assert (tmp_path / "video.mp4").read_bytes() == (tmp_path / "film.mp4").read_bytes() == pattern(300_000)


def test_a_page_that_is_wrong_is_seen(api: Origin, tmp_path: Path) -> None:
    [(command, lines), second] = read_blocks(
        "```console\n$ atomhttp get https://api.example.com/form\nx\n$ true\n```\n"
    )
    assert (lines, second) == (["x"], ("true", []))
    assert show(command, api, tmp_path) != lines


def test_every_option_is_on_the_page_and_the_other_way_round() -> None:
    page = PAGE.read_text()
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", page))
    known = {"--help"}
    for command in ("get", "download", "upload"):
        known |= options_of(command)
    assert named <= known
    assert known - named <= {"--help", "--version", "--header", "--query", "--data", "--form", "--output", "--verbose",
                             "--directory", "--jobs", "--resume"}  # fmt: skip


def options_of(command: str) -> set[str]:
    shown = run(command, "--help").out.decode()
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", shown))
