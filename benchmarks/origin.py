"""The servers that clients ask: one nginx worker on loopback, plain, TLS, HTTP/2 and unix socket; the sink of uploads.

One worker, because the machines this runs on are small: the client under test and its server should not be
fighting over the same core, and one worker is faster than any client here.

The listener of HTTP/2 answers whatever else it is spoken to with a 505, which is a wrong reply, and the others know
nothing of HTTP/2: who is measured has spoken what the row says. It serves 128 streams a connection at a time, nginx's
own limit. What is uploaded to it nginx hands on to the sink as it comes.
"""

import contextlib
import gzip
import multiprocessing
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.payloads import FILE_SIZE, LARGE_BYTES, SMALL_BYTES
from benchmarks.sink import serve_sink

HOST = "127.0.0.1"
# All of 127.0.0.0/8 is this machine: each address is an origin of its own.
ADDRESSES = tuple(f"127.0.0.{number}" for number in range(1, 101))
# What the "_ca_bundle" ones (REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE) mean for everyone else.
AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
START_TIMEOUT = 10.0
DESCRIPTORS = 30_000

CONFIGURATION = """
{user}
worker_processes 1;
daemon off;
pid nginx.pid;
error_log error.log;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    root .;
    default_type application/json;
    sendfile on;
    tcp_nodelay on;
    open_file_cache max=100 inactive=3600s;
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
    upstream sink {{ server {host}:{sink_port}; keepalive 64; }}
    server {{
        {listen}
        listen {host}:{tls_port} ssl backlog=4096;
        listen unix:{unix} backlog=4096;
        include locations.conf;
        location = /status {{ stub_status; }}
    }}
    server {{
        listen {host}:{http2_port} ssl http2 backlog=4096;
        if ($server_protocol != HTTP/2.0) {{ return 505; }}
        include locations.conf;
    }}
}}
"""

LOCATIONS = """
location = /json {{ return 200 '{small}'; }}
location = /close {{ keepalive_timeout 0; return 200 '{small}'; }}
location = /upload {{ return 200 '{{"received":$content_length}}'; }}
location = /100kb {{ }}
location = /100kb-gzip {{ gzip_static always; }}
location = /100mb {{ default_type application/octet-stream; }}
location ~ ^/(count|digest|form|echo)$ {{
    client_max_body_size 0;
    client_body_buffer_size 1m;
    proxy_pass http://sink;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_request_buffering off;
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
    sink_port: int = 0
    file: str = ""
    """The path of the big file, for those who send it."""
    http2: bool = False
    """Whether it is to be spoken to by HTTP/2; it takes nothing else."""

    @property
    def scheme(self) -> str:
        return "https" if self.ca else "http"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def origins(self) -> list[str]:
        """A hundred origins, which are all the same server."""
        return [f"{self.scheme}://{address}:{self.port}" for address in ADDRESSES]

    @property
    def sink(self) -> str:
        return f"{self.scheme}://{self.host}:{self.sink_port}"


@dataclass(frozen=True)
class Origin:
    """A running server: how to reach it, and the processes it consists of."""

    targets: dict[str, Target]
    pids: list[int]

    def count_connections(self) -> int:
        """How many nginx has accepted so far."""
        plain = self.targets["plain"]
        with urllib.request.urlopen(f"{plain.origin}/status") as response:
            _, _, numbers, *_ = response.read().decode().splitlines()
        return int(numbers.split()[0])


@contextlib.contextmanager
def run_origin() -> Iterator[Origin]:
    """Start the servers in a directory of their own; stop them and remove the directory at the end."""
    nginx = find_nginx()
    forget_proxies()
    raise_descriptor_limit()
    with tempfile.TemporaryDirectory(prefix="atomhttp-bench-") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        sinks = [stack.enter_context(socket.create_server((HOST, 0), backlog=4096)) for _ in range(2)]
        targets = write_site(directory, *(sock.getsockname()[1] for sock in sinks))
        stack.enter_context(run_sink(directory, *sinks))
        process = subprocess.Popen([nginx, "-p", name, "-c", "nginx.conf", "-e", "error.log"])
        try:
            for target in targets.values():
                # nginx begins to listen at one port after the other.
                wait_until_ready(process, target, directory)
            yield Origin(targets, [process.pid, *child_pids(process.pid)])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def find_nginx() -> str:
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise SystemExit("benchmarks: nginx is needed and was not found")
    return nginx


def forget_proxies() -> None:
    """Every client asks the origin itself and trusts whom it is told to, whatever the shell is set up for."""
    for name in [name for name in os.environ if name.lower().endswith(("_proxy", "_ca_bundle")) or name in AUTHORITIES]:
        del os.environ[name]


def raise_descriptor_limit() -> int:
    """Allow this process, and all that it starts, descriptors for ten thousand connections; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


@contextlib.contextmanager
def run_sink(directory: Path, plain: socket.socket, tls: socket.socket) -> Iterator[None]:
    arguments = plain, tls, str(directory / "server.pem"), str(directory / "server.key")
    process = multiprocessing.get_context("spawn").Process(target=serve_sink, args=arguments, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def write_site(directory: Path, sink_port: int, sink_tls_port: int) -> dict[str, Target]:
    port, tls_port, http2_port = free_ports(3)
    unix = directory / "nginx.sock"
    write_certificates(directory)
    file = directory / "100mb"
    checksum = write_big_file(file)
    (directory / "100kb").write_bytes(LARGE_BYTES)
    (directory / "100kb-gzip.gz").write_bytes(gzip.compress(LARGE_BYTES))
    (directory / "locations.conf").write_text(LOCATIONS.format(small=SMALL_BYTES.decode()))
    (directory / "nginx.conf").write_text(
        CONFIGURATION.format(
            # Workers of a root master become "nobody", who may not look into our directory.
            user="user root;" if os.geteuid() == 0 else "",
            connections=raise_descriptor_limit(),
            host=HOST,
            listen=" ".join(f"listen {address}:{port} backlog=4096;" for address in ADDRESSES),
            tls_port=tls_port,
            http2_port=http2_port,
            sink_port=sink_port,
            unix=unix,
        )
    )
    tls = Target(HOST, tls_port, checksum, str(directory / "ca.pem"), sink_port=sink_tls_port, file=str(file))
    return {
        "plain": Target(HOST, port, checksum, sink_port=sink_port, file=str(file)),
        "tls": tls,
        "http2": replace(tls, port=http2_port, sink_port=http2_port, http2=True),
        # The same by HTTP/1.1, uploads by the same way too.
        "http1": replace(tls, sink_port=tls_port),
        "unix": Target(HOST, port, checksum, unix=str(unix)),
    }


def write_certificates(directory: Path) -> None:
    import trustme  # the clients' processes, which share this module, may live in an environment without it

    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", HOST)
    authority.cert_pem.write_to_path(directory / "ca.pem")
    certificate.private_key_pem.write_to_path(directory / "server.key")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(directory / "server.pem", append=True)


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
