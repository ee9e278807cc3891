"""examples/upload.py, against servers that receive, refuse, or lose what they are sent."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from examples.programs.program import Done, finish, run, start, watch
from support.origin import Answer, Origin, Received, pattern
from support.seed_origin import Part, answer, parts
from support.terminal import Pty

CONTENT = pattern(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "video.mp4"
    path.write_bytes(CONTENT)
    return path


def upload(origin: Origin, file: Path, *options: object, **environment: str) -> Done:
    return run("upload.py", file, f"{origin.url}/files", *options, folder=file.parent, **environment)


def receipt(request: Received) -> Answer:
    """An honest server's."""
    content = parts(request)[0].content if "multipart" in (request.get("Content-Type") or "") else request.body
    return answer({"id": 7, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}, 201)


def test_a_form(origin: Origin, file: Path) -> None:
    origin.routes["/files"] = receipt
    assert upload(origin, file, "--field", "file").lines == ["video.mp4 has arrived"]
    [request] = origin.requests
    assert request.method == "POST"
    assert parts(request) == [Part("file", "video.mp4", "video/mp4", CONTENT)]
    assert request.get("Authorization") is None


def test_no_form(origin: Origin, file: Path) -> None:
    origin.routes["/files"] = receipt
    assert upload(origin, file, API_TOKEN="s3cret").lines == ["video.mp4 has arrived"]
    [request] = origin.requests
    assert (request.method, request.get("Content-Type"), request.get("Content-Length")) == (
        "PUT",
        "video/mp4",
        "3000000",
    )
    assert request.body == CONTENT
    assert request.get("Authorization") == "Bearer s3cret"


@pytest.mark.parametrize("options", [(), ("--field", "file")])
def test_its_bar(options: tuple[str, ...], origin: Origin, file: Path) -> None:
    origin.routes["/files"] = receipt
    with (
        Pty() as terminal,
        start("upload.py", file, f"{origin.url}/files", *options, folder=file.parent, terminal=terminal) as process,
    ):
        rows = watch(process, terminal)
        assert finish(process) == (0, "video.mp4 has arrived\n", "")
    assert len([row for row in rows if re.match(r"video\.mp4 +100%.* 3\.0 MB/3\.0 MB", row)]) == 1, rows


def test_a_server_that_does_not_tell_a_digest(origin: Origin, file: Path) -> None:
    origin.routes["/files"] = lambda _: answer({"size": 3_000_000})
    assert upload(origin, file).lines == ["video.mp4 has arrived"]


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"size": 2_999_999}, "the server received 2999999 bytes, 3000000 were sent"),
        ({"size": 3_000_000, "sha256": "0" * 64}, "the server received something else than was sent"),
        ({"bytes": 3_000_000}, "the body does not fit .*Receipt.*size"),
    ],
)
def test_what_was_received_is_not_what_was_sent(told: Any, line: str, origin: Origin, file: Path) -> None:
    origin.routes["/files"] = lambda _: answer(told)
    done = upload(origin, file, "--field", "file")
    done.check_failure(f"^upload.py: {line}")
    assert done.out == ""


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (Answer(json.dumps({"error": "not yours"}).encode(), 403), "status 403 Forbidden: .*/files"),
        (Answer(status=500), "status 500 Internal Server Error: .*/files"),
        (Answer(b"<html>"), "the body does not fit Receipt"),
    ],
)
def test_a_server_that_fails(reply: Answer, line: str, origin: Origin, file: Path) -> None:
    origin.routes["/files"] = lambda _: reply
    upload(origin, file).check_failure(f"^upload.py: .*{line}")


def test_a_server_that_is_not_there(file: Path) -> None:
    with Origin() as gone:
        pass
    upload(gone, file).check_failure("^upload.py: .*refused")


def test_a_file_that_is_not_there(origin: Origin, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        upload(origin, path, "--field", "file").check_failure(f"^upload.py: path: '{path}': ")
    assert origin.connections == 0
