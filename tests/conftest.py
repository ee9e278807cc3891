"""Fixtures and guards of the whole suite; what they are made of is in `support`."""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import os
from collections.abc import Callable, Generator, Iterator

# Its plugin would import it when the run is over, and let trio register a random generator that the leak guard's
# gc.freeze has by then hidden from it: a warning, which is an error.
import hypothesis
import pytest

from support import leaks, network
from support.async_tests import loop_factory, run_test
from support.certificates import Certificates
from support.clock import VirtualClockLoop, engine_clock
from support.nginx import Nginx, find_nginx, run_nginx
from support.origin import Origin
from support.proxies import RealProxy, find_program, package, run_proxy

# Hypothesis would fail an example that takes longer than 200 ms: that judges the machine, and what else runs on it.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

# What a developer's shell may hold and a client reads: a test that wants one of these sets it itself.
SCRUBBED = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "WSS_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("NETRC", "REQUEST_METHOD", "PYTHONASYNCIODEBUG"),
)


def pytest_configure() -> None:
    network.install()
    for name in SCRUBBED:
        os.environ.pop(name, None)
        os.environ.pop(name.lower(), None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Tens of thousands of tests are made, and none is dropped: the collector would look through them for nothing."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    leaks.begin()


# Asynchronous tests


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests without a plugin (`support.async_tests` says why); fixtures stay synchronous."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    if virtual := pyfuncitem.funcargs.get("virtual_clock"):
        with engine_clock(virtual):
            run_test(pyfuncitem.obj(**arguments), lambda: virtual)
    else:
        kind = pyfuncitem.funcargs.get("loop_kind", "asyncio")
        run_test(pyfuncitem.obj(**arguments), loop_factory(kind))
    return True


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_kind(request: pytest.FixtureRequest) -> str:
    """Ask for this to run an `async def` test under both loops."""
    return request.param


@pytest.fixture
def virtual_clock() -> Iterator[VirtualClockLoop]:
    """Ask for this to run an `async def` test on a clock that jumps; it is the loop, and `.time()` its seconds."""
    loop = VirtualClockLoop()
    yield loop
    loop.close()


# Guards


@pytest.fixture(autouse=True)
def _no_leaks() -> Iterator[None]:
    """Fails a test that leaves sockets, threads, tasks, timers or poller registrations behind."""
    before = leaks.Snapshot.take()
    yield
    if found := before.leaks():
        pytest.fail("the test left behind:\n" + "\n".join(found), pytrace=False)


@pytest.fixture(autouse=True)
def _no_outside_network(_no_leaks: None) -> Iterator[None]:
    """Fails a test that tried to leave this machine, even if the client swallowed the refusal."""
    network.attempts.clear()
    yield
    if network.attempts:
        pytest.fail(f"the test tried to leave this machine: {network.attempts}", pytrace=False)


# Servers


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The run's certificate authority: `.ca`, `.client` are PEM paths; `.server_context()` makes contexts."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Nginx]:
    """A real nginx: `.url`, `.tls_url`, `.socket_path`; its paths are listed in `support.nginx`."""
    if (program := find_nginx()) is None:
        pytest.skip("NGINX IS NOT INSTALLED: no test against a real server was run (Debian: apt-get install nginx)")
    with run_nginx(program, tmp_path_factory.mktemp("nginx"), certificates) as running:
        yield running


@pytest.fixture(scope="session")
def real_proxy(certificates: Certificates) -> Iterator[Callable[[str], RealProxy]]:
    """Starts a real proxy for the run: `real_proxy("squid").url`; the kinds are listed in `support.proxies`."""
    with contextlib.ExitStack() as running:

        @functools.cache
        def start(kind: str) -> RealProxy:
            if (program := find_program(kind)) is None:
                pytest.skip(f"NO {kind.upper()}: nothing was sent through it (Debian: apt-get install {package(kind)})")
            return running.enter_context(run_proxy(kind, program, certificates))

        yield start


@pytest.fixture
def origin() -> Iterator[Origin]:
    """A plain recording origin; for TLS, a unix socket or HTTP/1.0 write ``with Origin(...) as origin``."""
    with Origin() as running:
        yield running


@pytest.fixture
def tls_origin(certificates: Certificates) -> Iterator[Origin]:
    """A recording origin behind TLS, at 127.0.0.1; trusted through `certificates.ca`."""
    with Origin(tls=certificates.server_context()) as running:
        yield running
