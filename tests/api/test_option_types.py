"""The TypedDicts of `_verbs` name every option of the table, in both spellings, and no other."""

from __future__ import annotations

import inspect
from typing import Any, get_overloads

import pytest

from atomhttp import _deferred_verbs, _verbs
from atomhttp._model.options import CALL_OPTIONS, CLIENT_OPTIONS, OPTIONS

NAMED = {
    "get": ({"url", "params"}, _verbs.ParamsOptions),
    "post": ({"url", "data"}, _verbs.DataOptions),
    "request": ({"url", "method"}, _verbs.RequestOptions),
}


def keys(options: Any) -> set[str]:
    return set(options.__annotations__)


def test_a_client_takes_the_options_of_clients():
    assert keys(_verbs.ClientOptions) == set(CLIENT_OPTIONS)


def test_a_call_takes_the_options_of_calls():
    assert keys(_verbs.CallOptions) == set(CALL_OPTIONS)


@pytest.mark.parametrize("verb", NAMED)
def test_a_verb_takes_each_option_of_calls_once(verb):
    named, options = NAMED[verb]
    assert not named & keys(options)
    # A verb has its method already.
    assert named | keys(options) | {"method", "response_type"} == set(CALL_OPTIONS) | {"config"}


@pytest.mark.parametrize("verbs", [_verbs.AsyncVerbs, _verbs.SyncVerbs, _deferred_verbs.DeferredVerbs])
@pytest.mark.parametrize("verb", NAMED)
def test_every_overload_of_a_verb_has_its_parameters_and_options(verbs, verb):
    named, options = NAMED[verb]
    overloads = get_overloads(getattr(verbs, verb))
    assert len(overloads) == 6
    for each in overloads:
        parameters = inspect.signature(each).parameters
        # The plainest comes first: it is the one that is seen by whoever takes the verb as any function.
        kind = set() if each is overloads[0] else {"response_type"}
        assert set(parameters) == {"self", *named, *kind, "options"}
        assert options.__name__ in parameters["options"].annotation


def test_both_spellings_have_one_type():
    for options in (_verbs.ClientOptions, _verbs.CallOptions):
        types = options.__annotations__
        for option in OPTIONS:
            assert types.get(option.name) == types.get(option.alias), option
