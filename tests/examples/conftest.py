"""What the tests of the page ask for: a real httpbin, the servers that the page only names, a player of examples."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from examples.playing import Player
from support.httpbin import Httpbin, missing, run_httpbin
from support.seed_origin import SeedOrigin


@pytest.fixture(scope="session")
def httpbin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Httpbin]:
    """A real httpbin: `.url`."""
    if absent := missing():
        pytest.skip(f"{' AND '.join(absent).upper()} NOT INSTALLED: no test against a real httpbin was run")
    with run_httpbin(tmp_path_factory.mktemp("httpbin")) as running:
        yield running


@pytest.fixture
def seed_origin() -> Iterator[SeedOrigin]:
    """The page's other servers, in one."""
    with SeedOrigin() as running:
        yield running


@pytest.fixture(params=["AtomHTTP", "SyncAtomHTTP"])
def player(request: pytest.FixtureRequest) -> Player:
    """Runs examples as they are on the page, and once more without async and await."""
    return Player(is_sync=request.param == "SyncAtomHTTP")
