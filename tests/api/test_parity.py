"""AtomHTTP and SyncAtomHTTP are one client: the same names, the same arguments, the same documentation."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import atomhttp
from atomhttp import AtomHTTP, ResponseStream, SyncAtomHTTP, SyncResponseStream

VERBS = ("request", "get", "delete", "head", "options", "post", "put", "patch", "query")
# What each has for its own way of waiting.
ONLY_ASYNC = {"aclose", "__aiter__", "__anext__", "__aenter__", "__aexit__"}
ONLY_SYNC = {"close", "__iter__", "__next__", "__enter__", "__exit__"}


def public(cls: type) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]


def test_the_clients_have_the_same_names() -> None:
    # `defer` is what `all` needs where calling a verb sends at once.
    assert public(AtomHTTP) - ONLY_ASYNC == public(SyncAtomHTTP) - {"defer"}


def test_the_streams_have_the_same_names() -> None:
    assert public(ResponseStream) - ONLY_ASYNC == public(SyncResponseStream) - ONLY_SYNC


@pytest.mark.parametrize("verb", [*VERBS, "close", "get_uri", "__init__"])
def test_every_verb_has_the_same_signature_and_documentation(verb: str) -> None:
    ours, theirs = getattr(AtomHTTP, verb), getattr(SyncAtomHTTP, verb)
    assert parameters(ours) == parameters(theirs)
    if verb in VERBS:
        assert inspect.getdoc(ours).partition("\n")[0] == inspect.getdoc(theirs).partition("\n")[0]


@pytest.mark.parametrize("name", ["read", "iter_bytes", "iter_lines"])
def test_streams_read_alike(name: str) -> None:
    assert parameters(getattr(ResponseStream, name)) == parameters(getattr(SyncResponseStream, name))


@pytest.mark.parametrize("verb", VERBS)
def test_the_verbs_are_coroutine_functions_and_plain_ones(verb: str) -> None:
    assert inspect.iscoroutinefunction(getattr(AtomHTTP, verb))
    assert not inspect.iscoroutinefunction(getattr(SyncAtomHTTP, verb))


@pytest.mark.parametrize("verb", VERBS)
def test_there_is_a_one_shot_for_every_verb(verb: str) -> None:
    assert getattr(atomhttp, verb).__name__ == verb
    assert inspect.getdoc(getattr(atomhttp, verb))
