from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from atomhttp.auth import BasicAuth, BearerAuth
from atomhttp.errors import AtomHTTPOptionError


@pytest.mark.parametrize(
    ("username", "password", "header"),
    [
        ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("test", "123\u00a3", "Basic dGVzdDoxMjPCow=="),
        ("", "", "Basic Og=="),
        ("u", "p:q", "Basic dTpwOnE="),
        ("ü", "€", "Basic w7w64oKs"),
        # However long, it is one line.
        ("u" * 100, "p", f"Basic {'dXV1' * 33}dTpw"),
    ],
)
def test_basic(username: str, password: str, header: str) -> None:
    assert BasicAuth(username, password).get_header() == {"Authorization": header}


def test_bearer() -> None:
    assert BearerAuth("abc.def").get_header() == {"Authorization": "Bearer abc.def"}


def test_the_header_is_a_new_dict_each_time() -> None:
    for auth in (BasicAuth("u", "p"), BearerAuth("t")):
        header = auth.get_header()
        header["Authorization"] = "changed"
        assert auth.get_header() != header


def test_a_colon_in_a_user_name_is_refused() -> None:
    with pytest.raises(AtomHTTPOptionError, match="username: must not contain ':'") as caught:
        BasicAuth("u:v", "canary")
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("code", [*range(32), 127])
def test_control_characters_are_refused(code: int) -> None:
    for build in (lambda text: BasicAuth(text, "p"), lambda text: BasicAuth("u", text), BearerAuth):
        with pytest.raises(AtomHTTPOptionError, match="control characters") as caught:
            build(f"canary{chr(code)}")
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize("value", [None, b"x", 5])
def test_other_types_are_refused(value: Any) -> None:
    for build in (lambda text: BasicAuth(text, "p"), lambda text: BasicAuth("u", text), BearerAuth):
        with pytest.raises(AtomHTTPOptionError, match="expected str") as caught:
            build(value)
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"


@pytest.mark.parametrize("auth", [BasicAuth("user", "canary"), BearerAuth("canary")])
def test_copies_are_equal_and_reprs_hide_secrets(auth: Any) -> None:
    for twin in (copy.copy(auth), copy.deepcopy(auth), pickle.loads(pickle.dumps(auth))):
        assert twin == auth
        assert hash(twin) == hash(auth)
    assert "canary" not in repr(auth)
    assert auth != type(auth)(*["other"] * (2 if isinstance(auth, BasicAuth) else 1))
    assert auth != "canary"
