"""examples/daemon.py, against a daemon on a unix socket."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.programs.program import finish, run, start
from support.origin import Answer, Origin, Received
from support.peer import Peer, expect_head, hold, send, wait
from support.seed_origin import answer
from support.server import PATIENCE

CONTAINERS = [
    {"Id": "0a1b", "Image": "nginx:1.29", "Names": ["/web"], "Status": "Up 2 hours", "Ports": []},
    {"Id": "2c3d", "Image": "postgres", "Names": ["/db", "/web/db"], "Status": "Exited (0) 3 days ago", "Ports": []},
]
EVENTS = [
    {"Type": "container", "Action": action, "Actor": {"ID": "0a1b2c3d4e5f60718293", "Attributes": {}}, "time": 1}
    for action in ("create", "start", "die")
]
LINES = [f"container {action} 0a1b2c3d4e5f" for action in ("create", "start", "die")]
EVENTS_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.fixture
def daemon(socket: Path) -> Iterator[Origin]:
    with Origin(unix=socket) as running:
        running.routes["/containers/json"] = lambda _: answer(CONTAINERS)
        yield running


def chunk(*events: object) -> bytes:
    """Lines of JSON, in one chunk."""
    content = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    return b"%x\r\n%b\r\n" % (len(content), content)


def test_all_containers(daemon: Origin, socket: Path, tmp_path: Path) -> None:
    done = run("daemon.py", "--socket", socket, "list", folder=tmp_path)
    assert done.lines == ["web\tnginx:1.29\tUp 2 hours", "db,web/db\tpostgres\tExited (0) 3 days ago"]
    [request] = daemon.requests
    assert (request.method, request.target, request.get("Host")) == ("GET", "/containers/json?all=true", "localhost")


def test_stopping_a_container(daemon: Origin, socket: Path, tmp_path: Path) -> None:
    running = {"web"}

    def stop(request: Received) -> Answer:
        name = request.path.split("/")[2]
        if name not in running:
            return Answer(status=304)
        running.discard(name)
        return Answer(status=204)

    daemon.routes["/containers/web/stop"] = stop
    assert run("daemon.py", "--socket", socket, "stop", "web", folder=tmp_path).lines == ["web stopped"]
    assert run("daemon.py", "--socket", socket, "stop", "web", folder=tmp_path).lines == ["web was not running"]
    assert [request.method for request in daemon.requests] == ["POST", "POST"]


def test_events_are_printed_as_they_happen(socket: Path, tmp_path: Path) -> None:
    happening = [threading.Event() for _ in EVENTS]
    script = [expect_head(), send(EVENTS_HEAD)]
    for event, happens in zip(EVENTS, happening, strict=True):
        # A line may come in two pieces, and must not be taken for two.
        content = chunk(event)
        script += [wait(happens), send(content[:20]), send(content[20:])]
    with (
        Peer([*script, hold()], unix=socket),
        start("daemon.py", "--socket", socket, "events", "--count", 3, folder=tmp_path) as process,
    ):
        assert process.stdout is not None
        for happens, line in zip(happening, LINES, strict=True):
            happens.set()
            assert process.stdout.readline() == f"{line}\n"
        # The third was the last one wanted, although the daemon could go on.
        assert finish(process) == (0, "", "")


def test_events_end_with_the_daemon(socket: Path, tmp_path: Path) -> None:
    with Peer([expect_head(), send(EVENTS_HEAD + chunk(*EVENTS) + b"0\r\n\r\n")], unix=socket):
        assert run("daemon.py", "--socket", socket, "events", folder=tmp_path).lines == LINES


@pytest.mark.parametrize("line", [b"oops\n", b'{"Type": "container", "Actor": null}\n'])
def test_a_line_that_is_no_event(line: bytes, socket: Path, tmp_path: Path) -> None:
    with Peer([expect_head(), send(EVENTS_HEAD + b"%x\r\n%b\r\n0\r\n\r\n" % (len(line), line))], unix=socket):
        done = run("daemon.py", "--socket", socket, "events", folder=tmp_path)
    done.check_failure("^daemon.py: this is no event: ")


def test_ctrl_c_ends_the_events(socket: Path, tmp_path: Path) -> None:
    with (
        Peer([expect_head(), send(EVENTS_HEAD + chunk(EVENTS[0])), hold()], unix=socket),
        start("daemon.py", "--socket", socket, "events", folder=tmp_path) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == f"{LINES[0]}\n"
        process.send_signal(signal.SIGINT)
        assert finish(process) == (130, "", "")


def test_a_daemon_that_dies_in_between(socket: Path, tmp_path: Path) -> None:
    with Peer([expect_head(), send(EVENTS_HEAD + chunk(*EVENTS[:2]))], unix=socket):
        done = run("daemon.py", "--socket", socket, "events", folder=tmp_path)
    done.check_failure("^daemon.py: the connection ended")
    assert done.out.splitlines() == LINES[:2]


@pytest.mark.parametrize(
    ("refusal", "line"),
    [
        (answer({"message": "No such container: ghost"}, 404), "No such container: ghost"),
        (answer({"message": "driver failed"}, 500), "driver failed"),
        (Answer(b"<html>out of order", 503), "request failed with status 503 Service Unavailable: .*/stop"),
    ],
)
def test_the_user_reads_what_the_daemon_says(
    refusal: Answer, line: str, daemon: Origin, socket: Path, tmp_path: Path
) -> None:
    daemon.routes["/containers/ghost/stop"] = lambda _: refusal
    done = run("daemon.py", "--socket", socket, "stop", "ghost", folder=tmp_path)
    done.check_failure(f"^daemon.py: {line}$")


def test_a_name_is_a_name_and_no_path(daemon: Origin, socket: Path, tmp_path: Path) -> None:
    run("daemon.py", "--socket", socket, "stop", "../x?y", folder=tmp_path).check_failure("404 Not Found")
    assert [request.target for request in daemon.requests] == ["/containers/..%2Fx%3Fy/stop"]


def test_no_daemon(socket: Path, tmp_path: Path) -> None:
    done = run("daemon.py", "--socket", socket, "list", folder=tmp_path)
    done.check_failure(f"^daemon.py: .*{socket}")


def test_ctrl_c_while_the_daemon_takes_its_time(daemon: Origin, socket: Path, tmp_path: Path) -> None:
    def stop(_: Received) -> Answer:
        daemon.release.wait(PATIENCE)
        return Answer(status=204)

    daemon.routes["/containers/web/stop"] = stop
    with start("daemon.py", "--socket", socket, "stop", "web", folder=tmp_path) as process:
        daemon.wait_for_requests(1)
        process.send_signal(signal.SIGINT)
        assert finish(process) == (130, "", "")
