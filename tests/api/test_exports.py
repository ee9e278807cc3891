"""What `import atomhttp` offers is what `__all__` says, and nothing else."""

from __future__ import annotations

import importlib
import inspect
import re
import types

import pytest

import atomhttp
from atomhttp import errors


def test_all_is_sorted_complete_and_there() -> None:
    assert len(set(atomhttp.__all__)) == len(atomhttp.__all__)
    for name in atomhttp.__all__:
        assert hasattr(atomhttp, name), name


def test_every_public_name_is_in_all() -> None:
    public = {
        name
        for name, value in vars(atomhttp).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public - {"annotations"} <= set(atomhttp.__all__)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "AtomHTTP",
            "SyncAtomHTTP",
            "AsyncAtomHTTP",
            "Response",
            "RequestConfig",
            "Headers",
            "Timeout",
            "BasicAuth",
            "BearerAuth",
        ),
        *("HTTPAdapter", "HttpStatusCode", "is_cancel", "is_atomhttp_error", "__version__"),
        *("get", "post", "put", "patch", "delete", "head", "options", "query", "request"),
    ],
)
def test_the_contracts_names_are_there(name: str) -> None:
    assert name in atomhttp.__all__


def test_every_error_and_warning_is_exported() -> None:
    ours = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, (Exception, Warning)) and value.__module__ == errors.__name__
    }
    assert ours <= set(atomhttp.__all__)


@pytest.mark.parametrize("name", ["auth", "errors"])
def test_public_modules(name: str) -> None:
    assert importlib.import_module(f"atomhttp.{name}").__doc__


def test_public_things_are_documented() -> None:
    undocumented = [
        name for name in atomhttp.__all__ if name != "__version__" and not inspect.getdoc(getattr(atomhttp, name))
    ]
    assert undocumented == []


def test_the_drawn_tree_is_the_tree_of_classes_and_codes() -> None:
    drawn: dict[str, tuple[str | None, list[str]]] = {}
    path: list[str] = []
    assert errors.__doc__ is not None
    for line in errors.__doc__.splitlines():
        if match := re.match(r"([│ ]*(?:[├└]─ )?)(AtomHTTP\w*Error)\b(?: \((\w+)\))?(.*)", line):
            depth = len(match[1]) // 3
            path[depth:] = [match[2]]
            drawn[match[2]] = (
                path[depth - 1] if depth else None,
                re.findall(r"\b(?:ERR_\w+|E[A-Z]{4,}|HPE_\w+|CERT_\w+)\b", match[4]),
            )
            if match[3]:
                assert match[3] in {base.__name__ for base in getattr(errors, match[2]).__mro__}, match[2]
    classes = {
        value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.AtomHTTPError)
    }
    assert {cls.__name__ for cls in classes} == set(drawn)
    for cls in classes:
        parent, codes = drawn[cls.__name__]
        assert (cls.__bases__[0].__name__ if parent else None) == parent
        assert set(codes) <= set(cls.codes), cls.__name__


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        *(("AtomHTTPOptionError", ValueError), ("AtomHTTPURLError", ValueError), ("AtomHTTPClosedError", RuntimeError)),
        *(("AtomHTTPNetworkError", ConnectionError), ("AtomHTTPTimeoutError", TimeoutError)),
    ],
)
def test_errors_are_also_built_ins_where_callers_expect_one(name: str, builtin: type) -> None:
    assert issubclass(getattr(atomhttp, name), builtin)


def test_is_cancel_and_is_atomhttp_error() -> None:
    assert atomhttp.is_cancel(atomhttp.AtomHTTPCanceledError())
    assert not atomhttp.is_cancel(atomhttp.AtomHTTPError())
    assert atomhttp.is_atomhttp_error(atomhttp.AtomHTTPError())
    assert not atomhttp.is_atomhttp_error(ValueError())
    assert atomhttp.AtomHTTPCancelError is atomhttp.AtomHTTPCanceledError
    assert atomhttp.AtomHTTPCanceledError().code == "ERR_CANCELED"
