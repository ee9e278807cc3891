from __future__ import annotations

import pickle
from http import HTTPStatus

import pytest

from atomhttp._model.reason_phrase import reason_phrase
from atomhttp._model.status_code import HttpStatusCode

# The codes of axios 1.21.1.
AXIOS_CODES = {
    *range(100, 104),
    *range(200, 209),
    226,
    *range(300, 309),
    *range(400, 419),
    *range(421, 427),
    *(428, 429, 431, 451),
    *range(500, 509),
    *(510, 511),
    *range(520, 527),
}


def test_has_the_codes_of_axios() -> None:
    assert {int(code) for code in HttpStatusCode} == AXIOS_CODES


def test_is_an_int_and_looks_up_by_number() -> None:
    assert HttpStatusCode.NotFound == 404
    assert HttpStatusCode(404) is HttpStatusCode.NotFound
    assert HttpStatusCode(404).name == "NotFound"
    assert pickle.loads(pickle.dumps(HttpStatusCode.Ok)) is HttpStatusCode.Ok


def test_two_names_for_413_and_422() -> None:
    assert HttpStatusCode.PayloadTooLarge is HttpStatusCode.ContentTooLarge
    assert HttpStatusCode.UnprocessableEntity is HttpStatusCode.UnprocessableContent
    # axios's reverse lookup gives the first.
    assert HttpStatusCode(413).name == "PayloadTooLarge"
    assert HttpStatusCode(422).name == "UnprocessableEntity"


def test_every_code_has_a_python_spelling() -> None:
    members = HttpStatusCode.__members__
    spelled = {int(member) for name, member in members.items() if name.isupper()}
    assert spelled == AXIOS_CODES
    assert members["IM_A_TEAPOT"] == 418
    assert members["URI_TOO_LONG"] == 414


@pytest.mark.parametrize("status", [100, 200, 204, 301, 400, 404, 418, 429, 500, 503])
def test_reason_phrase_agrees_with_the_standard_library(status: int) -> None:
    assert reason_phrase(status).lower() == HTTPStatus(status).phrase.lower()


def test_reason_phrase() -> None:
    assert all(reason_phrase(code) for code in AXIOS_CODES)
    assert reason_phrase(422) == "Unprocessable Content"
    assert reason_phrase(299) == reason_phrase(999) == ""
