"""A real httpbin for the run, the one that httpbin.org is made of: under gunicorn, on a free port, without a network.

It knows nothing of this project, so it cannot share its mistakes: /post says what a parser that is not ours has made of
the body, /basic-auth what it thinks of the credentials.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.server import BACKLOG, PATIENCE

NEEDED = ("httpbin", "gunicorn")

# Seconds that a start may take. Usually it is half of one, but the worker has Flask to import, and on a machine that
# has much else to do that was seen to take twelve. A start that fails does not wait for this.
STARTING = 60.0

# A run that is killed, or ended by its own watchdog, stops nothing in order: then the kernel does (PR_SET_PDEATHSIG).
SERVE = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv.pop(1)):
    sys.exit("whoever wanted a server has gone")
from gunicorn.app.wsgiapp import run
run()
"""


@dataclass(frozen=True, slots=True)
class Httpbin:
    """A running one."""

    url: str
    """The origin, without a trailing slash."""
    log: Path
    """What gunicorn and httpbin had to say."""
    process: subprocess.Popen[bytes]


def missing() -> list[str]:
    """The packages that are needed here and not installed."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def png() -> bytes:
    """What /image/png answers, byte for byte."""
    # Found without importing httpbin, which would bring Flask and a landing page's log line into the tests' process.
    spec = importlib.util.find_spec("httpbin")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "templates" / "images" / "pig_icon.png").read_bytes()


@contextlib.contextmanager
def run_httpbin(root: Path) -> Iterator[Httpbin]:
    """Start it in `root`, an empty directory, and stop it at the end. It is ready when this yields.

    The listener is opened here and inherited, as with nginx: the port is free for certain, and a connect succeeds
    before the worker is up.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener, (root / "log").open("ab") as log:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", SERVE, str(os.getpid()), "httpbin:app", f"--bind=fd://{listener.fileno()}"),
                # One process and threads: enough for the page, where three requests are in flight at most.
                *("--worker-class=gthread", "--workers=1", "--threads=8", f"--worker-tmp-dir={root}"),
                # A server that hung up after its usual two seconds would make some run fail, some day.
                *("--keep-alive=600", "--graceful-timeout=1", "--no-control-socket"),
            ],
            cwd=root,
            # Its own interpreter settings: the warnings of its dependencies are not ours to turn into errors.
            env={name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GUNICORN"))},
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A group of its own: a Ctrl-C in the terminal is for pytest, which then stops it in order.
            process_group=0,
        )
    # Our copy of the listener is closed: if gunicorn could not start, this fails at once instead of waiting.
    try:
        _await_answer(port, root / "log")
        yield Httpbin(f"http://127.0.0.1:{port}", root / "log", process)
    finally:
        _stop(process)


def _await_answer(port: int, log: Path) -> None:
    try:
        with socket.create_connection(("127.0.0.1", port), STARTING) as probe:
            probe.sendall(b"GET /status/204 HTTP/1.0\r\n\r\n")
            with probe.makefile("rb") as reply:
                if reply.readline().split()[1:2] == [b"204"]:
                    return
    except OSError:
        pass  # the log says more than this exception does
    raise RuntimeError(f"httpbin did not start:\n{log.read_text()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        # Master and worker: the group is theirs alone. A worker whose master has ended goes by itself.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
