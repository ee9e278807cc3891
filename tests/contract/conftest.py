"""Every test here that asks for `api` or `client` runs in each flavour: see `flavours`."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from contract.flavours import FLAVOURS, Api
from support.origin import Answer, Origin, Received

# Policies stand above the drivers and know no event loop: a second one would run the same lines once more.
ABOVE_THE_LOOPS = frozenset(
    (
        "test_auth",
        "test_interceptors",
        "test_limits",
        "test_part_two",
        "test_redirect_leaks",
        "test_redirects",
        "test_retry",
        "test_transformers",
    )
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "api" in metafunc.fixturenames:
        above = metafunc.module.__name__.rpartition(".")[2] in ABOVE_THE_LOOPS
        flavours = [flavour for flavour in FLAVOURS if not above or flavour != "uvloop"]
        metafunc.parametrize("api", flavours, indirect=True)


@pytest.fixture
def api(request: pytest.FixtureRequest) -> Api:
    """Clients of one flavour, and how its tests run."""
    return Api(request.param)


@pytest.fixture
def client(api: Api) -> Any:
    """A client without options."""
    return api.client()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    api = pyfuncitem.funcargs.get("api")
    if api is None or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    api.run(
        pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters})
    )
    return True


@pytest.fixture
def answer(origin: Origin) -> Any:
    """`answer(body, content_type=None, status=200, **more)` sets what `origin` answers at a URL, and returns that."""

    def set_answer(body: bytes, content_type: str | None = None, status: int = 200, **more: Any) -> str:
        fields = [*more.pop("headers", []), *([("Content-Type", content_type)] if content_type is not None else [])]

        def reply(_request: Received) -> Answer:
            return Answer(body, status, list(fields), **more)

        origin.routes["/answer"] = reply
        return f"{origin.url}/answer"

    return set_answer
