"""The real HTTP/2 servers: every door is open, to those whom it is for, and they can be killed and started again."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from support.certificates import Certificates
from support.http2_content import BIG, BLOB, JSON
from support.http2_servers import KINDS, PREFACE, SETTINGS, Http2Server, find_program, run_http2_server, speaks_http2
from support.server import PATIENCE


def connect(server: Http2Server, door: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", server.port(door)), PATIENCE))
        secure = context.wrap_socket(plain, server_hostname="localhost")
        stack.pop_all()
    return secure


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_door(kind: str, certificates: Certificates) -> None:
    if (program := find_program(kind)) is None:
        pytest.skip(f"NO {kind.upper()} (Debian: apt-get install {KINDS[kind].package})")
    context = certificates.client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.load_cert_chain(certificates.client)
    with run_http2_server(kind, program, certificates) as server:
        for door in set(server.urls) - {"clear"}:
            with connect(server, door, context) as connection:
                assert connection.selected_alpn_protocol() == ("http/1.1" if door == "http1" else "h2")
                assert server.connections(door) == 1
        assert speaks_http2("127.0.0.1", server.port("clear"))
        if server.socket_path is not None:
            with socket.socket(socket.AF_UNIX) as unix:
                unix.connect(str(server.socket_path))
                unix.sendall(PREFACE)
                assert unix.recv(4)[3] == SETTINGS
        with connect(server, "tls", context) as connection:
            server.kill()
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(100):
                    pass
        server.start()
        if server.features.reloads:
            server.reload()
        assert speaks_http2("127.0.0.1", server.port("clear"))


@pytest.mark.skipif(shutil.which("nghttp") is None, reason="NO NGHTTP (Debian: apt-get install nghttp2-client)")
@pytest.mark.parametrize("kind", list(KINDS))
def test_another_client_gets_the_content(kind: str, certificates: Certificates, tmp_path: Path) -> None:
    if (program := find_program(kind)) is None:
        pytest.skip(f"NO {kind.upper()} (Debian: apt-get install {KINDS[kind].package})")
    with run_http2_server(kind, program, certificates) as server:
        for path, content in (("/json", JSON), ("/blob", BLOB), ("/big", BIG)):
            for door in ("tls", "clear"):
                done = subprocess.run(
                    ["nghttp", server.urls[door] + path], capture_output=True, timeout=PATIENCE, check=False
                )
                assert done.stdout == content, done.stderr
        upload = tmp_path / "upload"
        upload.write_bytes(BIG[:3_000_000])
        url = server.urls["tls"] + ("/echo" if server.features.applies else "/text")
        done = subprocess.run(["nghttp", "-d", str(upload), url], capture_output=True, timeout=PATIENCE, check=False)
        assert done.stdout == BIG[:3_000_000], done.stderr
