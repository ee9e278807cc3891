"""The server that every client asks: one nginx worker on loopback, plain, TLS and unix socket.

One worker, because the machines this runs on are small: the client under test and its server should not be
fighting over the same core, and one worker is faster than any client here.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

HOST = "127.0.0.1"
FILE_SIZE = 100_000_000
START_TIMEOUT = 10.0

SMALL: dict[str, Any] = {
    "id": 4711815,
    "name": "Ada Lovelace",
    "email": "ada@example.org",
    "active": True,
    "tags": ["analyst", "poet"],
}
SMALL_BYTES = json.dumps(SMALL, separators=(",", ":")).encode()
assert len(SMALL_BYTES) == 102

UPLOAD: list[dict[str, Any]] = [{"id": number, "name": f"item {number}", "price": number / 4} for number in range(240)]
# Some clients write JSON compactly and some with a blank after each comma and colon; both are right.
UPLOAD_SIZES = {len(json.dumps(UPLOAD)), len(json.dumps(UPLOAD, separators=(",", ":")))}

CONFIGURATION = """
{user}
worker_processes 1;
daemon off;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    default_type application/json;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    client_body_buffer_size 64k;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    ssl_certificate server.pem;
    ssl_certificate_key server.key;
    server {{
        listen {host}:{port} backlog=4096;
        listen {host}:{tls_port} ssl backlog=4096;
        listen unix:{unix} backlog=4096;
        location = /json {{ return 200 '{small}'; }}
        location = /upload {{ return 200 '{{"received":$content_length}}'; }}
        location = /100mb {{ root .; default_type application/octet-stream; }}
    }}
}}
"""


@dataclass(frozen=True)
class Target:
    """One way to reach the origin, and what its big file must add up to."""

    host: str
    port: int
    file_checksum: int
    ca: str | None = None
    unix: str | None = None

    @property
    def origin(self) -> str:
        return f"{'https' if self.ca else 'http'}://{self.host}:{self.port}"


@dataclass(frozen=True)
class Origin:
    """A running server: how to reach it, and the processes it consists of."""

    targets: dict[str, Target]
    pids: list[int]


@contextlib.contextmanager
def run_origin() -> Iterator[Origin]:
    """Start nginx in a directory of its own; stop it and remove the directory at the end."""
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise SystemExit("benchmarks: nginx is needed and was not found")
    forget_proxies()
    with tempfile.TemporaryDirectory(prefix="atomhttp-bench-") as name:
        directory = Path(name)
        targets = write_site(directory)
        process = subprocess.Popen([nginx, "-p", name, "-c", "nginx.conf", "-e", "error.log"])
        try:
            wait_until_ready(process, targets["plain"], directory)
            yield Origin(targets, [process.pid, *child_pids(process.pid)])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def forget_proxies() -> None:
    """Every client asks the origin itself, whatever the shell that started us is set up for."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]


def write_site(directory: Path) -> dict[str, Target]:
    port, tls_port = free_ports(2)
    unix = directory / "nginx.sock"
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", HOST)
    authority.cert_pem.write_to_path(directory / "ca.pem")
    certificate.private_key_pem.write_to_path(directory / "server.key")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(directory / "server.pem", append=True)
    checksum = write_big_file(directory / "100mb")
    (directory / "nginx.conf").write_text(
        CONFIGURATION.format(
            # Workers of a root master become "nobody", who may not look into our directory.
            user="user root;" if os.geteuid() == 0 else "",
            host=HOST,
            port=port,
            tls_port=tls_port,
            unix=unix,
            small=SMALL_BYTES.decode(),
        )
    )
    return {
        "plain": Target(HOST, port, checksum),
        "tls": Target(HOST, tls_port, checksum, ca=str(directory / "ca.pem")),
        "unix": Target(HOST, port, checksum, unix=str(unix)),
    }


def write_big_file(path: Path) -> int:
    """Write bytes that differ everywhere, so that lost or swapped pieces show; return their CRC-32."""
    noise = random.Random(1)
    checksum = 0
    with path.open("wb") as file:
        for _ in range(FILE_SIZE // 1_000_000):
            block = noise.randbytes(1_000_000)
            checksum = zlib.crc32(block, checksum)
            file.write(block)
    return checksum


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in sockets]


def wait_until_ready(process: subprocess.Popen[bytes], target: Target, directory: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((target.host, target.port), 1):
            return
        time.sleep(0.02)
    log = directory / "error.log"
    raise SystemExit(f"benchmarks: nginx did not start\n{log.read_text() if log.exists() else ''}")


def child_pids(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
