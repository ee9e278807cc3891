from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

from atomhttp._model.callables import call_user, required_positionals
from support.naming import described

# Counting parameters


def none() -> None: ...
def one(event: Any) -> None: ...
def two(loaded: int, total: int) -> None: ...
def one_by_default(loaded: int, total: int = 0) -> None: ...
def none_by_default(loaded: int = 0, total: int = 0) -> None: ...
def anything(*arguments: Any, **options: Any) -> None: ...
def one_and_more(first: Any, *rest: Any) -> None: ...
def one_and_keywords(first: Any, *, flag: bool, other: int = 0) -> None: ...
def positional_only(first: Any, second: Any, /, third: Any, fourth: Any = None) -> None: ...
async def asynchronous(loaded: int, total: int) -> None: ...


async def generating(first: Any) -> Any:
    yield first


class Owner:
    def __init__(self, first: Any = None, second: Any = None) -> None: ...
    def method(self, event: Any) -> None: ...
    async def async_method(self, loaded: int, total: int, extra: int = 0) -> None: ...
    def loose(*arguments: Any) -> None: ...  # a method may be written so

    @classmethod
    def of_class(cls, event: Any) -> None: ...

    @staticmethod
    def of_nobody(loaded: int, total: int) -> None: ...

    def __call__(self, event: Any, extra: int = 0) -> None: ...


class Pair:
    def __init__(self, first: Any, second: Any, third: Any = None) -> None: ...


def log(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    return wrapper


def inject(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(event: Any) -> Any:
        return function(event, "injected")

    return wrapper


class Decorated:
    @log
    def method(self, event: Any) -> None: ...


def signed(*arguments: Any) -> None: ...


signed.__signature__ = inspect.signature(two)  # type: ignore[attr-defined]


def endless(*arguments: Any) -> None: ...


endless.__wrapped__ = endless  # type: ignore[attr-defined]


def marked(first: Any) -> None: ...


marked.note = "any attribute"  # type: ignore[attr-defined]

owner = Owner()


@pytest.mark.parametrize(
    ("function", "count"),
    [
        *((none, 0), (one, 1), (two, 2), (one_by_default, 1), (none_by_default, 0), (anything, 0)),
        *((one_and_more, 1), (one_and_keywords, 1), (positional_only, 3), (asynchronous, 2), (generating, 1)),
        *((lambda: None, 0), (lambda event: None, 1), (lambda loaded, total=0: None, 1), (lambda *given: None, 0)),
        *((owner.method, 1), (owner.async_method, 2), (owner.loose, 0), (Owner.method, 2)),
        *((Owner.of_class, 1), (owner.of_class, 1), (Owner.of_nobody, 2), (owner.of_nobody, 2)),
        *((owner, 1), (Owner, 0), (Pair, 2)),
        *((functools.partial(two, 1), 1), (functools.partial(two, 1, 2), 0), (functools.partial(two, total=1), 1)),
        *((functools.partial(owner.method), 1), (functools.partial(asynchronous, 1), 1)),
        # A wrapper of *arguments speaks for what it wraps; one that lists its parameters for itself.
        *((log(one), 1), (log(two), 2), (log(log(one_by_default)), 1), (Decorated().method, 1)),
        *((inject(two), 1), (functools.cache(one), 1)),
        *((signed, 2), (marked, 1)),
        *((print, 0), ([].append, 1), (len, 1), ({}.get, 1)),
    ],
    ids=described,
)
def test_only_required_positional_parameters_count(function: Any, count: int) -> None:
    assert required_positionals(function, 77) == count


@pytest.mark.parametrize("function", [{}.update, max, endless, type("Odd", (), {"__signature__": 5})()], ids=described)
def test_what_does_not_tell_has_the_default(function: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        inspect.signature(function)
    assert required_positionals(function, 77) == 77


# Calling


class Driver:
    """Remembers what it was asked to wait for, and until when."""

    def __init__(self) -> None:
        self.dues: list[float | None] = []

    async def foreign(self, awaitable: Awaitable[Any], due: float | None) -> Any:
        self.dues.append(due)
        return await awaitable


def run(coroutine: Any) -> Any:
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


class Promise:
    def __await__(self) -> Generator[Any, Any, str]:
        return "kept"
        yield


@pytest.mark.parametrize("result", [None, 0, b"", {"a": 1}, [1], one, (n for n in ())], ids=described)
def test_a_result_is_handed_on(result: Any) -> None:
    driver = Driver()
    assert run(call_user(driver, 5.0, lambda: result)) is result
    assert driver.dues == []


def test_arguments_are_handed_over() -> None:
    assert run(call_user(Driver(), None, lambda *given: given, 1, "b", None)) == (1, "b", None)


@pytest.mark.parametrize("due", [None, 5.0])
def test_an_awaitable_is_awaited_by_the_driver(due: float | None) -> None:
    async def plus(one: int, other: int) -> int:
        return one + other

    driver = Driver()
    assert run(call_user(driver, due, plus, 1, 2)) == 3
    assert run(call_user(driver, due, Promise)) == "kept"
    assert run(call_user(driver, due, functools.partial(plus, 1), 3)) == 4
    assert driver.dues == [due] * 3


def test_an_async_function_may_give_none() -> None:
    driver = Driver()
    assert run(call_user(driver, None, asynchronous, 1, 2)) is None
    assert driver.dues == [None]


@pytest.mark.parametrize("error", [ValueError("theirs"), TimeoutError("theirs"), KeyboardInterrupt()])
def test_what_it_raises_passes_through(error: BaseException) -> None:
    def fails() -> None:
        raise error

    async def fails_later() -> None:
        raise error

    for function in (fails, fails_later):
        with pytest.raises(type(error)) as caught:
            call_user(Driver(), None, function).send(None)
        assert caught.value is error
        assert caught.value.__cause__ is None
