"""What a user does first, with an installed atomhttp: import it, send a request, run the program.

`python scripts/package_smoke.py EXTRA pure` in an environment that has nothing but atomhttp and that extra; "compiled"
where it is to be the compiled build.
"""

from __future__ import annotations

import asyncio
import json
import platform
import subprocess
import sys
import sysconfig
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import atomhttp
import atomhttp._net.http1

# What an extra brings: the module, and the content coding that a request offers then.
MODULES = {
    "br": "brotli",
    "zstd": "backports.zstd",
    "http2": "ngh2",
    "socks": "socksio",
    "speed": "uvloop",
    "cli": "click",
}
CODINGS = {"br": "br", "zstd": "zstd"}


class Echo(BaseHTTPRequestHandler):
    """Answers with the fields of the request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Every request of ours."""
        content = json.dumps(dict(self.headers.items())).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Silence."""


async def get(url: str) -> dict[str, str]:
    """A request by the asynchronous client."""
    async with atomhttp.AtomHTTP() as client:
        response = await client.get(url)
        return response.data


def find_extras(name: str) -> set[str]:
    """The extras that are to be there."""
    return set(MODULES) if name == "all" else {name} & set(MODULES)


def check_installed(extras: set[str], build: str) -> None:
    """Their modules are there, those of the others are not, and it is the installed package that was imported."""
    place = sysconfig.get_path("purelib" if build == "pure" else "platlib")
    assert Path(atomhttp.__file__).is_relative_to(place), atomhttp.__file__
    engine = Path(str(atomhttp._net.http1.__file__))
    assert (engine.suffix == ".py") == (build == "pure"), engine
    assert Path(atomhttp.__file__).with_name("py.typed").exists()
    assert atomhttp.__version__ == version("atomhttp")
    for extra, module in MODULES.items():
        # From 3.14 on the standard library has zstd.
        if extra != "zstd" or sys.version_info < (3, 14):
            top = module.partition(".")[0]
            assert (find_spec(top) is not None) == (extra in extras), f"{module} by the extra {extra}"
    # The public names that are loaded when somebody asks.
    for name in atomhttp.__all__:
        getattr(atomhttp, name)


def check_request(extras: set[str], url: str) -> None:
    """Both clients reach a server, and offer the codings that they can take."""
    with atomhttp.SyncAtomHTTP() as client:
        fields = client.get(url).data
    assert fields == asyncio.run(get(url)), fields
    assert fields["User-Agent"] == f"atomhttp/{atomhttp.__version__}"
    if sys.version_info < (3, 14):
        offered = set(fields["Accept-Encoding"].split(", ")) - {"gzip", "deflate"}
        assert offered == {CODINGS[each] for each in extras & set(CODINGS)}, fields["Accept-Encoding"]
    if "speed" in extras:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            assert runner.run(get(url)) == fields


def check_program(extras: set[str]) -> None:
    """The program says its version, or what it needs."""
    scripts = Path(sysconfig.get_path("scripts"))
    for command in ([scripts / "atomhttp"], [sys.executable, "-m", "atomhttp"]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False, timeout=60)
        if "cli" in extras:
            assert done.returncode == 0, done.stderr
            assert atomhttp.__version__ in done.stdout, done.stdout
        else:
            assert done.returncode == 2, done
            assert "pip install 'atomhttp[cli]'" in done.stderr, done.stderr
            assert "Traceback" not in done.stderr, done.stderr


def main(name: str, build: str) -> None:
    """Checks the environment that has the extra `name`, "all", or none."""
    extras = find_extras(name)
    check_installed(extras, build)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        check_request(extras, f"http://127.0.0.1:{server.server_port}/")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    check_program(extras)
    print(f"Python {platform.python_version()}, {name}, {build}: atomhttp {atomhttp.__version__} works")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
