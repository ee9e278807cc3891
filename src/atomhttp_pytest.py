"""The pytest plugin: fixtures for tests of code that uses atomhttp. pytest loads it with every run, by entry point.

A module beside the package and not in it: importing what is in a package imports the package, and a suite that does not
use the fixtures is not to pay for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from atomhttp.testing import MockAdapter

MARKER: Final = "atomhttp_mock"
# The marker's keywords and what holds without them.
SETTINGS: Final = {"intercept": True, "assert_all_called": True, "assert_no_unexpected": True, "strict": True}


def pytest_configure(config: pytest.Config) -> None:
    """pytest's hook: makes the marker known to `--strict-markers` and `pytest --markers`."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(*, intercept=True, assert_all_called=True, assert_no_unexpected=True, strict=True, "
        "passthrough=None): what the fixture atomhttp_mock does, and checks when the test has ended.",
    )


@pytest.fixture
def atomhttp_mock(request: pytest.FixtureRequest) -> Iterator[MockAdapter]:
    """A MockAdapter that answers every atomhttp client of the test; nothing reaches the network.

    When the test has ended, a request that was not registered fails it, even if the code under test caught the error;
    so does a registered request that was not sent, if the test has passed until then. The marker `atomhttp_mock`
    relaxes that for a test, a class or a module: `@pytest.mark.atomhttp_mock(assert_all_called=False)`.
    """
    from atomhttp.testing import MockAdapter

    settings = _read_settings(request)
    adapter = MockAdapter(strict=settings["strict"], passthrough=settings["passthrough"])
    failed_before = request.session.testsfailed
    if settings["intercept"]:
        with adapter.intercept():
            yield adapter
    else:
        yield adapter
    if settings["assert_no_unexpected"]:
        _check(adapter.assert_no_unexpected)
    # A test that broke off has not come to send them all.
    if settings["assert_all_called"] and request.session.testsfailed == failed_before:
        _check(adapter.assert_all_called)


def _check(assertion: Callable[[], None]) -> None:
    """Fails the test with the assertion's message, without a traceback through this file."""
    try:
        assertion()
    except AssertionError as error:
        message = str(error)
    else:
        return
    pytest.fail(message, pytrace=False)


def _read_settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    settings: dict[str, Any] = {**SETTINGS, "passthrough": None}
    # The nearest last: it wins.
    for marker in reversed(list(request.node.iter_markers(MARKER))):
        unknown = set(marker.kwargs) - set(settings)
        if unknown or marker.args:
            given = repr(min(unknown)) if unknown else "a positional argument"
            raise pytest.UsageError(f"@pytest.mark.{MARKER}: {given} is not one of its keywords: {', '.join(settings)}")
        settings.update(marker.kwargs)
    return settings
