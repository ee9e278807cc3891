"""Every test here that asks for `api` or `client` runs in each flavour: see `flavours`."""

from __future__ import annotations

import inspect
from collections import Counter
from typing import Any

import pytest

from contract import http1_only, mocked
from contract.flavours import FLAVOURS, HTTP2_FLAVOURS, Api
from support.origin import Answer, Origin, Received

# Policies, and what is said to a proxy, stand above the drivers and know no event loop: a second one would run the same
# lines once more.
ABOVE_THE_LOOPS = frozenset(
    (
        "test_address_guard",
        "test_auth",
        "test_cookies",
        "test_digest_auth",
        "test_download",
        "test_interceptors",
        "test_limits",
        "test_mock_adapter",
        "test_netrc_auth",
        "test_part_two",
        "test_pool_stats",
        "test_proxies",
        "test_redirect_leaks",
        "test_redirects",
        "test_resolution",
        "test_retry",
        "test_transformers",
        "test_xsrf",
    )
)

# As many parameter sets of a test are run in these flavours: the others go through all of them.
SETS: dict[str | None, int] = {"mock": mocked.SETS, **dict.fromkeys(HTTP2_FLAVOURS, http1_only.SETS)}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "api" in metafunc.fixturenames:
        module = metafunc.module.__name__.rpartition(".")[2]
        unwanted = {"uvloop"} if module in ABOVE_THE_LOOPS else set()
        if mocked.reason_to_leave_out(module, metafunc.function.__name__, metafunc.fixturenames):
            unwanted.add("mock")
        if http1_only.reason_to_leave_out(module, metafunc.function, metafunc.fixturenames):
            unwanted.update(HTTP2_FLAVOURS)
        flavours = [flavour for flavour in FLAVOURS if flavour not in unwanted]
        metafunc.parametrize("api", flavours, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    counts: Counter[Any] = Counter()
    items[:] = [each for each in items if not isinstance(each, pytest.Function) or _is_wanted(each, counts)]


def _is_wanted(item: pytest.Function, counts: Counter[Any]) -> bool:
    """Whether its parameter set is run in its flavour; `counts` has how many came before."""
    flavour = _flavour(item)
    if flavour not in SETS:
        return True
    module = item.module.__name__.rpartition(".")[2]
    chosen = http1_only.CHOSEN_SETS.get((module, item.originalname)) if flavour in HTTP2_FLAVOURS else None
    if chosen is not None:
        return item.callspec.id.removeprefix(f"{flavour}-") in chosen
    counts[item.parent, item.originalname, flavour] += 1
    return counts[item.parent, item.originalname, flavour] <= SETS[flavour]


def _flavour(item: pytest.Function) -> str | None:
    spec = getattr(item, "callspec", None)
    return None if spec is None else spec.params.get("api")


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
