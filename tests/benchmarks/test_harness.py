"""The benchmarks run as a whole, and would notice a client that hands out something else."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from benchmarks.exercises import WrongReplyError
from benchmarks.job import PATHS, Job
from benchmarks.origin import HOST, Origin, Target, run_origin
from benchmarks.payloads import SMALL
from benchmarks.peers import OVER_HTTP1, AsyncPeer
from benchmarks.peers.contract import Reply
from benchmarks.worker import measure_async

from support.nginx import find_nginx

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NOTHING WAS MEASURED: it needs Linux's /proc")
needs_nginx = pytest.mark.skipif(find_nginx() is None, reason="NOTHING WAS MEASURED: nginx is not there")


class Liar(AsyncPeer):
    """Right for a while, and then not."""

    def __init__(self, right: int) -> None:
        self.right = right

    async def setup(self, target: Target, connections: int) -> None:
        pass

    async def get(self, url: str) -> Reply:
        assert url.endswith(PATHS["get"])
        self.right -= 1
        return 200, {**SMALL, "id": SMALL["id"] if self.right >= 0 else 0}

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("right", [0, 1, 500])
async def test_one_wrong_reply_is_enough(right: int) -> None:
    job = Job("get", Target(HOST, 80, 0), in_flight=1, seconds=5)
    with pytest.raises(ExceptionGroup) as raised:
        await measure_async(Liar(right), job)
    assert raised.group_contains(WrongReplyError)


def run(tmp_path: Path, *arguments: str) -> tuple[str, Any]:
    """What a short run prints, and what it writes."""
    file = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", "--rounds", "1", "--seconds", "0.01", "--json", str(file)]
    done = subprocess.run([*command, *arguments], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_text())


@needs_nginx
def test_a_run_from_end_to_end(tmp_path: Path) -> None:
    printed, results = run(tmp_path, "--rows", "form-8", "--clients", "atomhttp", "bare")
    assert "form-8: POST of a form" in printed
    (table,) = results["tables"]
    assert table["samples"]["atomhttp"][0] > 0
    assert table["unsupported"] == ["bare"]
    assert results["machine"]["versions"]["nginx"]


@needs_nginx
def test_a_run_over_http2(tmp_path: Path) -> None:
    _, results = run(tmp_path, "--rows", "http2-64", "upload-http2", "--clients", "atomhttp", OVER_HTTP1, "bare")
    small, upload = results["tables"]
    assert small["connections"].pop(OVER_HTTP1) > 1
    assert small["connections"] == {"atomhttp": 1, "bare": 1}
    assert {*upload["samples"], "curl"} == {"atomhttp", OVER_HTTP1, "curl"}


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    # It has this process forget whom its environment would trust, and through which proxy it would go.
    with mock.patch.dict(os.environ), run_origin() as running:
        yield running


@needs_nginx
def test_who_speaks_another_version_than_the_row_says_gets_no_right_reply(origin: Origin) -> None:
    only_http2, only_http1 = origin.targets["http2"], origin.targets["tls"]
    context = ssl.create_default_context(cafile=only_http2.ca)
    with closing(HTTPSConnection(only_http2.host, only_http2.port, context=context)) as connection:
        connection.request("GET", "/json")
        assert connection.getresponse().status == 505
    context.set_alpn_protocols(["h2", "http/1.1"])
    address = only_http1.host, only_http1.port
    with socket.create_connection(address) as plain, context.wrap_socket(plain, server_hostname=HOST) as tls:
        assert tls.selected_alpn_protocol() == "http/1.1"


@needs_nginx
def test_the_server_tells_how_many_connections_there_were(origin: Origin) -> None:
    target = origin.targets["plain"]
    before = origin.count_connections()
    for _ in range(3):
        with socket.create_connection((target.host, target.port)) as sock:
            sock.sendall(b"GET /json HTTP/1.0\r\n\r\n")
            assert sock.recv(1)
    assert origin.count_connections() - before - 1 == 3
