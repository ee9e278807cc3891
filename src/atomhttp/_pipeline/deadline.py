"""The caller's own functions run within the time of the call: what outlasts its deadline is the call's timeout."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from atomhttp._model.callables import call_user
from atomhttp._model.request import Request
from atomhttp.errors import AtomHTTPTimeoutError


@contextmanager
def in_time(driver: Any, request: Request) -> Generator[None, None, None]:
    """Here the caller's code is waited for. A TimeoutError of its own passes through; the deadline's gets its name.

    Raises:
        AtomHTTPTimeoutError: the deadline of `request` came.
    """
    try:
        yield
    except TimeoutError as error:
        due, now, limit = request.deadline, driver.now(), request.outline.timeout.total or 0.0
        if type(error) is not TimeoutError or due is None or now < due:
            raise
        passed = AtomHTTPTimeoutError.passed(limit, now - (due - limit), "headers", request.url)
        passed.request = request
        raise passed from error


async def ask(driver: Any, request: Request, function: Any, *arguments: Any) -> Any:
    """What a function of the caller's gives, in time."""
    with in_time(driver, request):
        return await call_user(driver, request.deadline, function, *arguments)
