"""The servers behind the tests of the page."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import support
from examples.playing import Example, synchronous, text_of
from support.httpbin import STARTING, Httpbin, missing, run_httpbin
from support.origin import Received
from support.seed_origin import Part, parts

needs_httpbin = pytest.mark.skipif(bool(missing()), reason=f"NOT INSTALLED: {', '.join(missing())}")


@needs_httpbin
def test_httpbin_ends_with_its_block(tmp_path: Path) -> None:
    with run_httpbin(tmp_path) as running:
        port = int(running.url.rpartition(":")[2])
        # A connection that nobody closed does not keep it.
        left_open = socket.create_connection(("127.0.0.1", port))
    with left_open:
        assert running.process.returncode == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


@needs_httpbin
def test_an_httpbin_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "httpbin.py").write_text("raise RuntimeError('broken on purpose')")
    with pytest.raises(RuntimeError, match=r"(?s)httpbin did not start:.*broken on purpose"), run_httpbin(tmp_path):
        pass


@needs_httpbin
def test_httpbin_ends_with_a_run_that_is_killed(tmp_path: Path) -> None:
    program = """if True:
        import os, pathlib, signal, sys
        from support.httpbin import run_httpbin
        with run_httpbin(pathlib.Path(sys.argv[1])) as running:
            print(running.url.rpartition(":")[2], running.process.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", program, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(support.__file__).parents[1])}
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=STARTING, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    port, master = map(int, killed.stdout.split())
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        descriptor = os.pidfd_open(master)
        try:
            assert select.select([descriptor], [], [], STARTING)[0]
        finally:
            os.close(descriptor)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_httpbin_has_nothing_to_complain_of(httpbin: Httpbin) -> None:
    assert "error" not in httpbin.log.read_text().lower()


# All bytes there are, and what looks like the end of a line or of a part and is none.
HARD = bytes(range(256)) + b"\r\n--c\r\n-- b\r\n \n\n\r\r\n\x0b\x0c\x1c\x85\r"


def test_parts_finds_what_is_in_a_multipart_body() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xc3\xbc\r\n'
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="x.bin"\r\nContent-Type: image/png\r\n\r\n'
        + HARD
        + b"\r\n--b--\r\n"
    )
    request = Received("POST", "/", "HTTP/1.1", [("Content-Type", 'multipart/form-data; boundary="b"')], body, 0)
    assert parts(request) == [Part("a", None, None, b"\xc3\xbc"), Part("f", "x.bin", "image/png", HARD)]
    for broken in (body.replace(b"--b--", b""), body[5:]):
        with pytest.raises(AssertionError):
            parts(Received("POST", "/", "HTTP/1.1", request.headers, broken, 0))


def test_every_value_of_a_name_is_noted() -> None:
    example = Example("x = 1\ndef main():\n    x = 2\n    y = x + 1\n    if True:\n        x = 3\n", "an example")
    example.names["main"]()
    assert example.values == {"x": [1, 2, 3], "y": [3]}


def test_a_place_that_the_example_does_not_mention_is_an_error() -> None:
    with pytest.raises(AssertionError, match="does not mention"):
        text_of("progress", {"https://example.org": "http://127.0.0.1:1"})
    with pytest.raises(AssertionError, match=r"httpbin\.org"):
        text_of("progress", {})


def test_synchronous_takes_async_and_await_away() -> None:
    ours = "async def f():\n    async with a as b:\n        async for c in await AtomHTTP.all(awaited):\n"
    assert synchronous(ours) == "def f():\n    with a as b:\n        for c in SyncAtomHTTP.all(awaited):\n"
