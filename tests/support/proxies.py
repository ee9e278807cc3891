"""Real proxies for the run, each on a free port of 127.0.0.1 and in a directory of its own, as nobody when run by root.

squid               an http proxy
squid-auth          the same, for `USERNAME` and `PASSWORD` only
squid-tls           the same as `squid`, behind TLS (an https proxy)
tinyproxy           another http proxy, that speaks HTTP/1.0 to origins
tinyproxy-auth      the same, for `USERNAME` and `PASSWORD` only
microsocks          a SOCKS5 proxy
microsocks-auth     the same, for `USERNAME` and `PASSWORD` only

All of them forward and tunnel to any port of any address, this machine's too.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from support.certificates import Certificates
from support.server import PATIENCE

USERNAME = "user"
PASSWORD = "pa55-w0rd"

# How often a process is looked at while it is waited for.
TICK = 0.01

PACKAGES = {"squid": "squid-openssl", "tinyproxy": "tinyproxy-bin", "microsocks": "microsocks"}

SQUID = """
{door}
{rules}
visible_hostname squid.test
pid_filename none
logformat seen %rm %ru %>Hs
access_log stdio:{root}/access.log seen
cache_log {root}/cache.log
netdb_filename none
coredump_dir {root}
cache deny all
pinger_enable off
max_filedescriptors 4096
shutdown_lifetime 0 seconds
"""
SQUID_RULES = "http_access allow all"
SQUID_AUTH_RULES = """
auth_param basic program /bin/sh {root}/authenticate
auth_param basic children 1 startup=1
auth_param basic realm squid
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
"""
# Squid's helper protocol: a line with both, percent-encoded, and a line with the verdict.
SQUID_HELPER = 'while read -r line; do if [ "$line" = {expected} ]; then echo OK; else echo ERR; fi; done\n'

TINYPROXY = """
Listen 127.0.0.1
Port {port}
Timeout 60
MaxClients 200
LogLevel Connect
Allow 127.0.0.1
{rules}
"""


@dataclass(frozen=True, slots=True)
class RealProxy:
    """A proxy that runs, and how to reach it."""

    kind: str
    scheme: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """With credentials where they are asked for; `https` is at localhost, as its certificate says."""
        userinfo = f"{USERNAME}:{PASSWORD}@" if self.kind.endswith("-auth") else ""
        return f"{self.scheme}://{userinfo}{'localhost' if self.scheme == 'https' else '127.0.0.1'}:{self.port}"

    def requests_seen(self, about: str, at_least: int = 1) -> list[str]:
        """What it has logged of requests that name `about`, such as an origin's `host:port`; in order.

        Waits until there are `at_least` so many: squid logs a tunnel when it ends. As "CONNECT 127.0.0.1:443 200" from
        squid, "CONNECT 127.0.0.1:443" from tinyproxy, "127.0.0.1:443" from microsocks.
        """
        # Not in the middle of a longer number or name.
        wanted = re.compile(rf"(?<![\w.]){re.escape(about)}(?![\w.])")

        def found() -> list[str]:
            return [request for request in self._logged() if wanted.search(request)]

        _wait(self.process, lambda: len(found()) >= at_least, f"{self.kind} logged no {at_least} of {about}", self.log)
        return found()

    def _logged(self) -> list[str]:
        return _REQUEST_LINE[self.kind.partition("-")[0]].findall(self.log.read_text(errors="replace"))


_REQUEST_LINE = {
    "squid": re.compile(r"^([A-Z]+ \S+ \d+)$", re.MULTILINE),
    "tinyproxy": re.compile(r"Request \(file descriptor \d+\): (\S+ \S+)"),
    "microsocks": re.compile(r"connected to (\S+)"),
}


def find_program(kind: str) -> str | None:
    """The path of the program behind `kind`; None when it is not installed."""
    # Debian keeps some in a directory that is on root's PATH only.
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
    return shutil.which(kind.partition("-")[0], path=path)


def package(kind: str) -> str:
    """Debian's package of it."""
    return PACKAGES[kind.partition("-")[0]]


@contextlib.contextmanager
def run_proxy(kind: str, program: str, certificates: Certificates) -> Iterator[RealProxy]:
    """Start one, and stop it at the end. It accepts connections when this yields."""
    # Not in pytest's directory: nobody but its owner can enter that.
    with tempfile.TemporaryDirectory(prefix=f"{kind}-") as directory:
        root = Path(directory)
        port = reserve_port()
        scheme, command, log = _PREPARE[kind.partition("-")[0]](kind, program, root, port, certificates)
        log.touch()
        identity = _hand_over(root)
        with (root / "output").open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
                **identity,
            )
        try:
            _wait(process, lambda: _accepts(port), f"{kind} did not start", root / "output", root / "cache.log")
            yield RealProxy(kind, scheme, port, process, log)
        finally:
            if process.poll() is None:
                # Asked politely, squid takes two seconds. Its helper is in the same group.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(PATIENCE)


# How each is set up: its scheme, its command, its log


def _prepare_squid(
    kind: str, program: str, root: Path, port: int, certificates: Certificates
) -> tuple[str, list[str], Path]:
    door, rules = f"http_port 127.0.0.1:{port}", SQUID_RULES
    if kind == "squid-tls":
        shutil.copy(certificates.server, root / "server.pem")
        door = f"https_port 127.0.0.1:{port} tls-cert={root}/server.pem tls-key={root}/server.pem"
    elif kind == "squid-auth":
        expected = shlex.quote(f"{quote(USERNAME)} {quote(PASSWORD)}")
        (root / "authenticate").write_text(SQUID_HELPER.format(expected=expected))
        rules = SQUID_AUTH_RULES.format(root=root)
    (root / "squid.conf").write_text(SQUID.format(door=door, rules=rules, root=root))
    # In the foreground, with its complaints on stderr.
    command = [program, "-N", "-d", "1", "-f", str(root / "squid.conf")]
    return ("https" if kind == "squid-tls" else "http"), command, root / "access.log"


def _prepare_tinyproxy(
    kind: str, program: str, root: Path, port: int, certificates: Certificates
) -> tuple[str, list[str], Path]:
    rules = f"BasicAuth {USERNAME} {PASSWORD}" if kind.endswith("-auth") else ""
    (root / "tinyproxy.conf").write_text(TINYPROXY.format(port=port, rules=rules))
    return "http", [program, "-d", "-c", str(root / "tinyproxy.conf")], root / "output"


def _prepare_microsocks(
    kind: str, program: str, root: Path, port: int, certificates: Certificates
) -> tuple[str, list[str], Path]:
    credentials = ["-u", USERNAME, "-P", PASSWORD] if kind.endswith("-auth") else []
    return "socks5", [program, "-i", "127.0.0.1", "-p", str(port), *credentials], root / "output"


_PREPARE: dict[str, Callable[[str, str, Path, int, Certificates], tuple[str, list[str], Path]]] = {
    "squid": _prepare_squid,
    "tinyproxy": _prepare_tinyproxy,
    "microsocks": _prepare_microsocks,
}


# Processes


def reserve_port() -> int:
    """A port that the kernel gives to nobody for a minute, but to who asks for it by number with SO_REUSEADDR.

    A connection that was closed by the side of the listener lingers there (TIME_WAIT): such a port is taken for all
    who do not care which one they get. None of the proxies can be handed a listener, as nginx can.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            listener.accept()[0].close()
            client.recv(1)
    return port


def _hand_over(root: Path) -> dict[str, Any]:
    """Give the directory to whoever the proxy runs as; how `Popen` is told who that is."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    for path in (root, *root.iterdir()):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True


def _wait(process: subprocess.Popen[bytes], is_so: Callable[[], bool], complaint: str, *logs: Path) -> None:
    """Until `is_so()`; RuntimeError with what the process has written, when it ends or time runs out before."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TICK)
        if process.returncode is not None or time.monotonic() > deadline:
            output = "\n".join(log.read_text(errors="replace") for log in logs if log.exists())
            state = "it runs" if process.returncode is None else f"it ended with {process.returncode}"
            raise RuntimeError(f"{complaint} ({state}):\n{output}")
