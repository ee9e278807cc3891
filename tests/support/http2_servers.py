"""Real servers that speak HTTP/2, each on free ports of 127.0.0.1 and in a directory of its own.

nginx       files of its own; the rest by `support.http2_application`, through its proxy module
haproxy     all of it by that application
caddy       files of its own; the rest by that application
nghttpd     files, and uploads sent back; each answer with content has a trailer
hypercorn   the application itself

A server has doors, each at a URL of its own; not every server has all of them:

tls         TLS, for HTTP/2 or HTTP/1.1, as ALPN has it
clear       HTTP/2 at once (prior knowledge)
http1       TLS, for HTTP/1.1 only
client      as `tls`, for those with a certificate of the run's authority
brief       as `tls`, but a connection that is idle for a second is closed; nginx closes it after 50 requests, too
few         as `tls`, but a connection takes ten requests at a time

What there is to ask for is listed in `support.http2_application` and, of files, in `support.http2_content`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from support import leaks
from support.certificates import Certificates
from support.http2_content import write_files
from support.proxies import reserve_port
from support.server import BACKLOG, PATIENCE

# How often something is looked at while it is waited for, in seconds.
TICK = 0.01

# They end with the run, even if that is killed.
TIED = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []

TESTS = Path(__file__).parent.parent
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
SETTINGS = 4

DOORS = ("tls", "clear", "http1", "client", "brief", "few")
SECURE = ("tls", "http1", "client", "brief", "few")
# Without "few": haproxy cannot tell its doors apart in this, caddy (2.6) knows no such thing.
MOST = DOORS[:-1]

NGINX = """
daemon off;
worker_processes 1;
{user}
pid {root}/nginx.pid;
error_log {root}/output warn;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    default_type application/octet-stream;
    sendfile on;
    keepalive_requests 1000000;
    keepalive_timeout 65s;
    client_max_body_size 64m;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    gzip_types application/json;
    ssl_certificate {leaf};
    ssl_certificate_key {leaf};
    upstream application {{ server unix:{root}/application; keepalive 64; }}
    server {{
        listen 127.0.0.1:{tls} ssl http2;
        listen 127.0.0.1:{clear} http2;
        listen 127.0.0.1:{http1} ssl;
        listen unix:{root}/socket http2;
        include {root}/locations;
    }}
    server {{
        listen 127.0.0.1:{client} ssl http2;
        ssl_verify_client on;
        ssl_client_certificate {ca};
        include {root}/locations;
    }}
    server {{
        listen 127.0.0.1:{brief} ssl http2;
        keepalive_requests 50;
        keepalive_timeout 1s;
        include {root}/locations;
    }}
    server {{
        listen 127.0.0.1:{few} ssl http2;
        http2_max_concurrent_streams 10;
        include {root}/locations;
    }}
}}
"""
NGINX_LOCATIONS = """
root {root}/files;
location = /json {{ default_type application/json; }}
location = /text {{ default_type text/plain; }}
location = /blob {{ }}
location = /big {{ }}
location = /huge {{ }}
location = /gzip {{ default_type application/json; gzip on; }}
location = /empty {{ return 204; }}
location = /redirect {{ return 302 /json; }}
location = /limited {{ client_max_body_size 1m; proxy_pass http://application; }}
location / {{
    proxy_pass http://application;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_read_timeout 20s;
}}
"""

HAPROXY = """
global
    maxconn 2000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    default_backend application
frontend tls
    bind fd@{tls} ssl crt {leaf} alpn h2,http/1.1
frontend clear
    bind fd@{clear} proto h2
frontend unix
    bind fd@{socket} proto h2
frontend http1
    bind fd@{http1} ssl crt {leaf} alpn http/1.1
frontend client
    bind fd@{client} ssl crt {leaf} alpn h2,http/1.1 ca-file {ca} verify required
frontend brief
    bind fd@{brief} ssl crt {leaf} alpn h2,http/1.1
    timeout client 1s
    timeout http-keep-alive 1s
backend application
    # Not by HTTP/2: what one client does not read would hold up the others on that connection.
    server application 127.0.0.1:{port}
"""

CADDY = """
{{
    admin unix/{root}/admin
    auto_https off
    servers {{
        protocols h1 h2 h2c
    }}
    servers 127.0.0.1:{http1} {{
        protocols h1
    }}
    servers 127.0.0.1:{brief} {{
        protocols h1 h2
        timeouts {{
            idle 1s
        }}
    }}
}}
(content) {{
    bind {{args.0}}
    root * {root}/files
    @files path /json /text /blob /big /huge
    handle @files {{
        file_server
    }}
    handle /gzip {{
        encode {{
            gzip
            match {{
                status 2xx
            }}
        }}
        file_server
    }}
    handle /empty {{
        respond 204
    }}
    handle /redirect {{
        redir * /json 302
    }}
    handle {{
        reverse_proxy unix/{root}/application
    }}
}}
https://localhost:{tls}, https://127.0.0.1:{tls}, https://localhost:{http1}, https://localhost:{brief} {{
    tls {leaf} {leaf}
    import content 127.0.0.1
}}
https://localhost:{client} {{
    tls {leaf} {leaf} {{
        client_auth {{
            mode require_and_verify
            trusted_ca_cert_file {ca}
        }}
    }}
    import content 127.0.0.1
}}
http://127.0.0.1:{clear} {{
    import content 127.0.0.1
}}
http://localhost {{
    import content unix/{root}/socket
}}
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """What there is to know of a server before it runs.

    Attributes:
        program: its name.
        package: Debian's package of it.
        streams: how many requests it takes at a time on one connection.
        applies: whether `support.http2_application` answers what it has no content for.
        reloads: whether it can take its configuration anew without that a request fails.
        huge_size: how many bytes the file at /huge has. One server has a gigabyte; a quarter of it is several times as
            much as a client may hold, and shows the same of the others.
    """

    program: str
    package: str
    streams: int
    applies: bool = True
    reloads: bool = False
    huge_size: int = 1 << 28


KINDS = {
    "nginx": Kind("nginx", "nginx", 128, reloads=True, huge_size=1 << 30),
    "haproxy": Kind("haproxy", "haproxy", 100, reloads=True),
    "caddy": Kind("caddy", "caddy", 250, reloads=True),
    "nghttpd": Kind("nghttpd", "nghttp2-server", 100, applies=False),
    "hypercorn": Kind(sys.executable, "", 100),
}


def find_program(kind: str) -> str | None:
    """The path of the program behind `kind`; None when it is not installed."""
    # Debian keeps some in a directory that is on root's PATH only.
    return shutil.which(KINDS[kind].program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin")


@dataclass(slots=True)
class Http2Server:
    """A server that runs, and how to reach it.

    Attributes:
        kind: its name, and what is known of it in `KINDS`.
        urls: by door; those in TLS are at localhost, as the certificate says.
        socket_path: where it speaks HTTP/2 in clear (prior knowledge) on a unix socket; None where it cannot.
        root: its directory.
    """

    kind: str
    urls: Mapping[str, str]
    socket_path: Path | None
    root: Path
    _commands: Sequence[Sequence[str]]
    _environment: Mapping[str, str]
    _listeners: Sequence[socket.socket]
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def features(self) -> Kind:
        """Of its kind."""
        return KINDS[self.kind]

    def port(self, door: str) -> int:
        """Of that door."""
        port = urlsplit(self.urls[door]).port
        assert port is not None
        return port

    # Life

    def start(self) -> None:
        """It has taken an HTTP/2 connection when this returns. Those that it is handed down wait meanwhile."""
        with (self.root / "output").open("ab") as output:
            for command in self._commands:
                process = subprocess.Popen(
                    [*TIED, *command],
                    cwd=self.root,
                    env=dict(self._environment),
                    pass_fds=[each.fileno() for each in self._listeners],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    process_group=0,
                )
                self._processes.append(process)
        self.wait_until(lambda: all(self._sockets(door, LISTEN) for door in self.urls), "opened not all of its ports")
        self.wait_until(lambda: speaks_http2("127.0.0.1", self.port("clear")), "did not start")

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not killed since."""
        return bool(self._processes)

    def kill(self) -> None:
        """At once, in the middle of whatever it does (SIGKILL)."""
        # What its clients speak to first: they are not to hear from it how the other one has ended.
        for process in reversed(self._processes):
            # A helper or a worker of it is in the same group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)
        self._processes.clear()

    def reload(self) -> None:
        """Have it take its configuration anew: what is under way is finished, and then the connections are closed."""
        if self.kind == "caddy":
            address = f"unix/{self.root}/admin"
            command = [*self._commands[-1][:1], "reload", "--force", "--config", f"{self.root}/config"]
            output = subprocess.run(
                [*command, "--adapter", "caddyfile", "--address", address],
                env=dict(self._environment),
                timeout=PATIENCE,
                capture_output=True,
                check=False,
            )
            assert output.returncode == 0, output.stderr.decode()
        else:
            how = {"nginx": signal.SIGHUP, "haproxy": signal.SIGUSR2}[self.kind]
            self._processes[-1].send_signal(how)

    # What it does

    def connections(self, door: str) -> int:
        """How many clients are connected there, or were and have not closed their side yet."""
        return self._sockets(door, ESTABLISHED, CLOSE_WAIT)

    def _sockets(self, door: str, *states: str) -> int:
        own = f":{self.port(door):04X}"
        with open("/proc/net/tcp") as table:
            # Thousands of lines are there, of connections that have ended.
            rows = [line.split() for line in table if own in line]
        return sum(row[1].endswith(own) and row[3] in states for row in rows)

    def wait_until(self, is_so: Callable[[], bool], complaint: str) -> None:
        """RuntimeError with what it has written, when it ends or time runs out before."""
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            time.sleep(TICK)
            ended = [process.args for process in self._processes if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                output = (self.root / "output").read_text(errors="replace")
                raise RuntimeError(f"{self.kind} {complaint} (ended: {ended}):\n{output}")


# /proc/net/tcp's names of states
ESTABLISHED = "01"
CLOSE_WAIT = "08"
LISTEN = "0A"


def speaks_http2(host: str, port: int, context: ssl.SSLContext | None = None) -> bool:
    """Whether the peer answers HTTP/2's preface by its settings."""
    try:
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection((host, port), PATIENCE))
            if context is not None:
                connection = stack.enter_context(context.wrap_socket(connection, server_hostname=host))
            connection.sendall(PREFACE)
            head = connection.recv(4)
            return len(head) == 4 and head[3] == SETTINGS
    except (ConnectionRefusedError, ConnectionResetError):
        return False


@contextlib.contextmanager
def run_http2_server(kind: str, program: str, certificates: Certificates) -> Iterator[Http2Server]:
    """Start one, and stop it at the end."""
    with contextlib.ExitStack() as stack:
        # Not pytest's own directory: its path may be longer than a unix socket's may be.
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{kind}-")))
        write_files(root / "files", KINDS[kind].huge_size)
        server = _PREPARE[kind](program, root, certificates, stack)
        stack.callback(server.kill)
        server.start()
        yield server


# How each is set up

Listeners = Mapping[str, socket.socket]


def _prepare_nginx(program: str, root: Path, certificates: Certificates, stack: contextlib.ExitStack) -> Http2Server:
    listeners = _listen(stack, root, DOORS, ("socket", "application"))
    places = _places(root, certificates) | _ports(listeners)
    # A master run by root gives its worker another user, who could not read the temporary directory.
    user = "user root;" if os.geteuid() == 0 else ""
    (root / "locations").write_text(NGINX_LOCATIONS.format(root=root))
    (root / "config").write_text(NGINX.format(user=user, **places))
    command = [program, "-p", str(root), "-e", str(root / "output"), "-c", str(root / "config")]
    # As nginx hands listeners to its own successor in a binary upgrade. What it is not told to serve it would unlink.
    own = [each.fileno() for name, each in listeners.items() if name != "application"]
    environment = {"NGINX": "".join(f"{each};" for each in own)}
    return _server("nginx", root, listeners, [_application(listeners["application"]), command], environment)


def _prepare_haproxy(program: str, root: Path, certificates: Certificates, stack: contextlib.ExitStack) -> Http2Server:
    # By TCP: from a unix socket it (2.6) forgets to read on, when a client has made it wait.
    listeners = _listen(stack, root, (*MOST, "application"), ("socket",))
    places = _places(root, certificates) | {"port": _ports(listeners)["application"]}
    descriptors = {door: str(each.fileno()) for door, each in listeners.items()}
    (root / "config").write_text(HAPROXY.format(**places, **descriptors))
    command = [program, "-W", "-q", "-f", str(root / "config")]
    return _server("haproxy", root, listeners, [_application(listeners["application"]), command])


def _prepare_caddy(program: str, root: Path, certificates: Certificates, stack: contextlib.ExitStack) -> Http2Server:
    # It cannot be handed a listener; its application can.
    listeners = _listen(stack, root, (), ("application",))
    ports = {door: str(reserve_port()) for door in MOST}
    (root / "config").write_text(CADDY.format(**_places(root, certificates), **ports))
    command = [program, "run", "--config", str(root / "config"), "--adapter", "caddyfile"]
    # Where it would keep what it was told last, and certificates.
    environment = {"HOME": str(root), "XDG_DATA_HOME": str(root), "XDG_CONFIG_HOME": str(root)}
    server = _server("caddy", root, listeners, [_application(listeners["application"]), command], environment, ports)
    server.socket_path = root / "socket"  # It makes that itself.
    return server


def _prepare_nghttpd(program: str, root: Path, certificates: Certificates, stack: contextlib.ExitStack) -> Http2Server:
    # It cannot be handed a listener either.
    ports = {door: str(reserve_port()) for door in ("tls", "clear", "few")}
    options = ["--address=127.0.0.1", f"--htdocs={root}/files", "--echo-upload", "--trailer=checked: yes"]
    leaf = str(certificates.server)
    secure = [program, *options, ports["tls"], leaf, leaf]
    clear = [program, *options, "--no-tls", ports["clear"]]
    few = [program, *options, "--max-concurrent-streams=10", ports["few"], leaf, leaf]
    return _server("nghttpd", root, {}, [secure, clear, few], ports=ports)


def _prepare_hypercorn(
    program: str, root: Path, certificates: Certificates, stack: contextlib.ExitStack
) -> Http2Server:
    listeners = _listen(stack, root, DOORS, ("socket",))
    at = {door: [f"fd://{each.fileno()}"] for door, each in listeners.items()}
    leaf = str(certificates.server)
    # None of its connections is to end by itself: what is under way it would not finish.
    common: dict[str, object] = {"keep_alive_timeout": 65, "keep_alive_max_requests": 10**9}
    secure = common | {"certfile": leaf, "keyfile": leaf}
    client = {"ca_certs": str(certificates.ca), "verify_mode": ssl.CERT_REQUIRED}
    doors: list[dict[str, object]] = [
        secure | {"bind": at["tls"]},
        common | {"bind": [*at["clear"], *at["socket"]]},
        secure | {"bind": at["http1"], "alpn_protocols": ["http/1.1"]},
        secure | {"bind": at["client"], **client},
        secure | {"bind": at["brief"], "keep_alive_timeout": 1},
        secure | {"bind": at["few"], "h2_max_concurrent_streams": 10},
    ]
    return _server("hypercorn", root, listeners, [_hypercorn(doors)])


_PREPARE: dict[str, Callable[[str, Path, Certificates, contextlib.ExitStack], Http2Server]] = {
    "nginx": _prepare_nginx,
    "haproxy": _prepare_haproxy,
    "caddy": _prepare_caddy,
    "nghttpd": _prepare_nghttpd,
    "hypercorn": _prepare_hypercorn,
}


def _server(
    kind: str,
    root: Path,
    listeners: Listeners,
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str] | None = None,
    ports: Mapping[str, str] | None = None,
) -> Http2Server:
    known = ports or _ports(listeners)
    urls = {
        door: f"https://localhost:{known[door]}" if door in SECURE else f"http://127.0.0.1:{known[door]}"
        for door in DOORS
        if door in known
    }
    socket_path = root / "socket" if "socket" in listeners else None
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(TESTS), **(environment or {})}
    return Http2Server(kind, urls, socket_path, root, commands, environment, list(listeners.values()))


def _listen(stack: contextlib.ExitStack, root: Path, doors: Sequence[str], sockets: Sequence[str]) -> Listeners:
    """Listeners on free ports and on unix sockets; all of them are handed down, and to a successor as well."""
    listeners: dict[str, socket.socket] = {
        door: stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)) for door in doors
    }
    for name in sockets:
        listener = listeners[name] = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(root / name))
        listener.listen(BACKLOG)
    # They may outlive the test that has started the server.
    for each in listeners.values():
        leaks.own(each.fileno())
    return listeners


def _ports(listeners: Listeners) -> dict[str, str]:
    return {door: str(each.getsockname()[1]) for door, each in listeners.items() if each.family == socket.AF_INET}


def _places(root: Path, certificates: Certificates) -> dict[str, str]:
    return {"root": str(root), "leaf": str(certificates.server), "ca": str(certificates.ca)}


def _application(listener: socket.socket) -> list[str]:
    """The application behind a server, which connects to it; what comes before it is up waits at the listener."""
    endless = {"keep_alive_timeout": 600, "keep_alive_max_requests": 10**9}
    return _hypercorn([{"bind": [f"fd://{listener.fileno()}"], "backlog": BACKLOG, **endless}])


def _hypercorn(doors: Sequence[Mapping[str, object]]) -> list[str]:
    return [sys.executable, "-m", "support.http2_application", json.dumps(list(doors))]
