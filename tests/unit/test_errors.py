from __future__ import annotations

import copy
import inspect
import pickle
import re
import traceback
from typing import Any

import pytest

import atomhttp
from atomhttp import errors
from atomhttp._model.config import RequestConfig
from atomhttp._pipeline.response import Response
from atomhttp.errors import AtomHTTPError, AtomHTTPWarning, is_atomhttp_error, is_cancel

CLASSES = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, AtomHTTPError)]
ERRORS = sorted(set(CLASSES), key=lambda each: each.__name__)
WARNINGS = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, AtomHTTPWarning)]
NEEDED: dict[type, dict[str, Any]] = {
    errors.AtomHTTPLimitError: {"limit": 5, "size": 6},
    errors.AtomHTTPChecksumError: {"expected": "0" * 64, "actual": "1" * 64},
    errors.AtomHTTPTimeoutError: {
        "phase": "connect",
        "limit": 5.0,
        "elapsed": 5.1,
        "url": "http://u:canary@h/?token=canary",
    },
    errors.AtomHTTPProtocolError: {"request_sent": "yes", "reused": True},
}
SECRETS = {
    "url": "http://canary:canary@h/?token=canary",
    "headers": {"Authorization": "canary", "Cookie": "canary", "X-Api-Key": "canary", "Accept": "shown"},
    "params": {"api_key": "canary", "q": "shown"},
    "data": {"password": "canary"},
}


def build(
    cls: type[AtomHTTPError], message: str = "it broke", code: str | None = None, **context: Any
) -> AtomHTTPError:
    return cls(message, code, **NEEDED.get(cls, {}), **context)


def drawn_tree() -> dict[str, tuple[str | None, str | None, list[str]]]:
    """name -> (parent, built-in base, codes), as drawn in the module's docstring."""
    tree: dict[str, tuple[str | None, str | None, list[str]]] = {}
    path: list[str] = []
    drawing = (errors.__doc__ or "").split("```")[1]
    for line in drawing.strip("\n").splitlines():
        found = re.fullmatch(r"([│├└─ ]*)(AtomHTTP\w+)(?: \((\w+)\))?\s*(.*)", line)
        assert found is not None, line
        depth = len(found[1]) // 3
        path[depth:] = [found[2]]
        parent = path[depth - 1] if depth else None
        tree[found[2]] = (parent, found[3], re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b|\bE[A-Z]{4,}\b", found[4]))
    return tree


def test_every_class_is_drawn_once() -> None:
    assert set(drawn_tree()) == {cls.__name__ for cls in ERRORS}


@pytest.mark.parametrize("cls", ERRORS)
def test_the_drawing_is_true(cls: type[AtomHTTPError]) -> None:
    parent, builtin, codes = drawn_tree()[cls.__name__]
    bases = [base.__name__ for base in cls.__bases__]
    if parent is None:
        assert bases == ["Exception"]
    else:
        assert bases == ([parent, builtin] if builtin else [parent])
    assert set(codes) <= set(cls.codes), "a code that is drawn and does not exist"
    line = next(line for line in (errors.__doc__ or "").splitlines() if cls.__name__ in line)
    if codes and "…" not in line:
        assert set(codes) == set(cls.codes), "a code that exists and is not drawn"


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (errors.AtomHTTPOptionError, ValueError),
        (errors.AtomHTTPURLError, ValueError),
        (errors.AtomHTTPClosedError, RuntimeError),
        (errors.AtomHTTPNetworkError, ConnectionError),
        (errors.AtomHTTPTLSError, ConnectionError),
        (errors.AtomHTTPTimeoutError, TimeoutError),
    ],
)
def test_errors_are_caught_by_the_built_in_that_people_expect(
    cls: type[AtomHTTPError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin):
        raise build(cls)


def test_everything_public_is_exported_by_the_package() -> None:
    for cls in {*ERRORS, *WARNINGS}:
        assert getattr(atomhttp, cls.__name__) is cls
        assert cls.__name__ in atomhttp.__all__
    assert atomhttp.AtomHTTPCancelError is errors.AtomHTTPCanceledError
    assert (atomhttp.is_cancel, atomhttp.is_atomhttp_error) == (is_cancel, is_atomhttp_error)


@pytest.mark.parametrize("cls", ERRORS)
def test_attributes_and_texts(cls: type[AtomHTTPError]) -> None:
    error = build(cls)
    assert (str(error), error.message, error.code) == ("it broke", "it broke", cls.codes[0])
    assert (error.config, error.request, error.response, error.status, error.attempts) == (None, None, None, None, ())
    assert repr(error) == f"{cls.__name__}('it broke', code={cls.codes[0]!r})"
    assert build(cls, code="X").code == "X"
    assert error.to_dict() == {"name": cls.__name__, "message": "it broke", "code": cls.codes[0], "status": None}


class FakeResponse:
    status = 404


def test_status_is_the_response_s() -> None:
    error = errors.AtomHTTPStatusError("no", response=FakeResponse())
    assert (error.status, error.to_dict()["status"]) == (404, 404)


def test_the_cause_is_named_and_not_quoted() -> None:
    error = errors.AtomHTTPDecodeError("no")
    error.__cause__ = KeyError("canary")
    assert error.to_dict()["cause"] == "KeyError"
    assert "canary" not in str(error.to_dict())


@pytest.mark.parametrize("cls", ERRORS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles(cls: type[AtomHTTPError], protocol: int) -> None:
    error = build(cls, code="X", response=None)
    error.attempts = (1, 2)
    twin = pickle.loads(pickle.dumps(error, protocol))
    assert type(twin) is cls
    assert (str(twin), twin.code, twin.attempts, twin.config, twin.request) == ("it broke", "X", (1, 2), None, None)
    for name, value in vars(error).items():
        assert getattr(twin, name) == value


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("cls", ERRORS)
def test_copies(cls: type[AtomHTTPError], duplicate: Any) -> None:
    error = build(cls)
    twin = duplicate(error)
    assert (type(twin), str(twin), twin.code) == (cls, "it broke", error.code)


@pytest.mark.parametrize("cls", ERRORS)
def test_no_secret_is_shown_or_leaves_the_process(cls: type[AtomHTTPError]) -> None:
    error = build(cls, config=RequestConfig(SECRETS))
    try:
        raise error
    except AtomHTTPError:
        shown = [traceback.format_exc()]
    shown += [str(error), repr(error), repr(error.to_dict()), repr(pickle.dumps(error))]
    assert not [text for text in shown if "canary" in text]
    assert "shown" in repr(error.to_dict()["config"])


def test_a_pickled_error_leaks_nothing_by_its_response() -> None:
    config = RequestConfig(SECRETS)
    response = Response(status=401, headers={"Set-Cookie": "canary"}, config=config)
    error = errors.AtomHTTPStatusError("no", config=config, response=response)
    assert b"canary" not in pickle.dumps(error)


def test_the_config_in_the_process_is_live_and_in_a_pickle_it_is_redacted() -> None:
    config = RequestConfig(SECRETS, timeout=5)
    error = errors.AtomHTTPNetworkError("no", config=config)
    assert error.config is config
    twin = pickle.loads(pickle.dumps(error))
    assert twin.config.url == "http://h/?token=[redacted]"
    assert twin.config.params == {"api_key": "[redacted]", "q": "shown"}
    assert twin.config.timeout == 5
    assert (twin.config.data, len(twin.config.headers)) == (None, 0)


def test_a_timeout_hides_the_secrets_of_its_url() -> None:
    error = build(errors.AtomHTTPTimeoutError)
    assert error.url == "http://h/?token=[redacted]"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("value", "ours", "cancelled"),
    [
        (errors.AtomHTTPCanceledError("x"), True, True),
        (errors.AtomHTTPNetworkError("x"), True, False),
        (ValueError("x"), False, False),
        (errors.AtomHTTPCanceledError, False, False),
        (None, False, False),
    ],
)
def test_predicates(value: object, ours: bool, cancelled: bool) -> None:
    assert (is_atomhttp_error(value), is_cancel(value)) == (ours, cancelled)
