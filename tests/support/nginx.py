"""A real nginx for the run: plain, TLS and unix socket, in a directory of its own, as whoever runs the tests.

/json               `JSON`, 102 bytes
/text               `TEXT`
/gzip               `GZIP_JSON`, compressed when asked for
/empty              204
/status/404, /500   that status
/redirect           302 to /json
/blob               `BLOB`, 1 MiB
/big                `BIG_SIZE` zero bytes, 100 MiB
/short-lived        keep-alive for 2 s, and says so in `Keep-Alive: timeout=2`
/close              `Connection: close`
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.certificates import Certificates
from support.server import BACKLOG, PATIENCE

JSON = json.dumps({"id": 1, "name": "atomhttp", "tags": ["fast", "small"], "ok": True, "note": "x" * 22}).encode()
assert len(JSON) == 102
TEXT = b"Hello from nginx.\n"
GZIP_JSON = json.dumps([{"id": number, "name": f"item {number}"} for number in range(500)]).encode()
BLOB = random.Random(1).randbytes(1 << 20)
BIG_SIZE = 100 << 20

CONFIG = """
daemon off;
worker_processes 1;
{user}
pid {root}/nginx.pid;
error_log {root}/error.log warn;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    default_type text/plain;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 1000000;
    keepalive_timeout 65s;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    gzip_types application/json;
    ssl_certificate {leaf};
    ssl_certificate_key {leaf};
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        listen unix:{socket};
        root {root}/files;
        location = /json {{ default_type application/json; return 200 '{json}'; }}
        location = /text {{ }}
        location = /gzip {{ default_type application/json; gzip on; }}
        location = /empty {{ return 204; }}
        location = /status/404 {{ return 404 "no\\n"; }}
        location = /status/500 {{ return 500 "broken\\n"; }}
        location = /redirect {{ return 302 /json; }}
        location = /blob {{ default_type application/octet-stream; }}
        location = /big {{ default_type application/octet-stream; }}
        location = /short-lived {{ keepalive_timeout 2s 2s; return 200 "short\\n"; }}
        location = /close {{ keepalive_timeout 0; return 200 "bye\\n"; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """Where to reach it. Over the unix socket the URL's host is only a name."""

    url: str
    tls_url: str
    socket_path: Path
    process: subprocess.Popen[bytes]


def find_nginx() -> str | None:
    # Debian keeps it in a directory that is on root's PATH only.
    return shutil.which("nginx", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def run_nginx(program: str, root: Path, certificates: Certificates) -> Iterator[Nginx]:
    """Start it, and stop it at the end. It is ready when this yields.

    The listeners are opened here and handed down as nginx hands them to its own successor in a binary upgrade (the
    NGINX variable). So the ports are free for certain, and a connect succeeds before the worker is up.
    """
    socket_path = root / "socket"
    with contextlib.ExitStack() as stack:
        plain, secure = (stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)) for _ in "12")
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(socket_path))
        unix.listen(BACKLOG)
        port, tls_port = plain.getsockname()[1], secure.getsockname()[1]
        descriptors = [each.fileno() for each in (plain, secure, unix)]

        _write_files(root / "files")
        config = root / "nginx.conf"
        config.write_text(
            CONFIG.format(
                # A master run by root gives its worker another user, who could not read the temporary directory.
                user="user root;" if os.geteuid() == 0 else "",
                root=root,
                leaf=certificates.server,
                port=port,
                tls_port=tls_port,
                socket=socket_path,
                json=JSON.decode(),
            )
        )
        with (root / "error.log").open("ab") as log:
            process = subprocess.Popen(
                [program, "-p", str(root), "-e", str(root / "error.log"), "-c", str(config)],
                env={"NGINX": "".join(f"{each};" for each in descriptors)},
                pass_fds=descriptors,
                stdout=log,
                stderr=log,
            )
    # Our copies of the listeners are closed: if nginx could not start, this fails at once instead of waiting.
    try:
        _await_answer(port, root / "error.log")
        yield Nginx(f"http://127.0.0.1:{port}", f"https://localhost:{tls_port}", socket_path, process)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _write_files(directory: Path) -> None:
    directory.mkdir()
    (directory / "text").write_bytes(TEXT)
    (directory / "gzip").write_bytes(GZIP_JSON)
    (directory / "blob").write_bytes(BLOB)
    (directory / "big").touch()
    os.truncate(directory / "big", BIG_SIZE)  # sparse: no block of it is on the disk


def _await_answer(port: int, log: Path) -> None:
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as probe:
            probe.sendall(b"GET /text HTTP/1.0\r\n\r\n")
            if probe.recv(4) == b"HTTP":
                return
    except OSError:
        pass
    raise RuntimeError(f"nginx did not start:\n{log.read_text()}")
