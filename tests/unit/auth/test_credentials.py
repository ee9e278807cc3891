from __future__ import annotations

import copy
import pickle
from collections.abc import Generator
from typing import Any

import pytest

from atomhttp.auth import AuthFlow, BasicAuth, BearerAuth, DigestAuth, check_auth, is_flow
from atomhttp.errors import AtomHTTPOptionError

BUILDERS: tuple[Any, ...] = (
    lambda text: BasicAuth(text, "p"),
    lambda text: BasicAuth("u", text),
    lambda text: DigestAuth(text, "p"),
    lambda text: DigestAuth("u", text),
    BearerAuth,
)


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


@pytest.mark.parametrize("token", ["Bearer canary", "bearer canary", "  BEARER  canary"])
def test_a_bearer_token_with_its_scheme_is_refused(token: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"token: leave out '(?i:bearer)'") as caught:
        BearerAuth(token)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("token", ["", " ", "Bearer", "bearer  "])
def test_an_empty_bearer_token_is_refused(token: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match="token: it is empty"):
        BearerAuth(token)


@pytest.mark.parametrize("token", ["Bearertoken", "Basic x", "bearer-of-news", "two words"])
def test_what_only_looks_like_a_scheme_is_a_token(token: str) -> None:
    assert BearerAuth(token).get_header() == {"Authorization": f"Bearer {token}"}


def test_the_header_is_a_new_dict_each_time() -> None:
    for auth in (BasicAuth("u", "p"), BearerAuth("t")):
        header = auth.get_header()
        header["Authorization"] = "changed"
        assert auth.get_header() != header


@pytest.mark.parametrize("kind", [BasicAuth, DigestAuth])
def test_a_colon_in_a_user_name_is_refused(kind: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match="username: must not contain ':'") as caught:
        kind("u:v", "canary")
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("code", [*range(32), 127])
def test_control_characters_are_refused(code: int) -> None:
    for build in BUILDERS:
        with pytest.raises(AtomHTTPOptionError, match="control characters") as caught:
            build(f"canary{chr(code)}")
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize("value", [None, b"x", 5])
def test_other_types_are_refused(value: Any) -> None:
    for build in BUILDERS:
        with pytest.raises(AtomHTTPOptionError, match="expected str") as caught:
            build(value)
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"


@pytest.mark.parametrize("auth", [BasicAuth("user", "canary"), DigestAuth("user", "canary"), BearerAuth("canary")])
def test_copies_are_equal_and_reprs_hide_secrets(auth: Any) -> None:
    for twin in (copy.copy(auth), copy.deepcopy(auth), pickle.loads(pickle.dumps(auth))):
        assert twin == auth
        assert hash(twin) == hash(auth)
    assert "canary" not in repr(auth)
    assert auth != type(auth)(*["other"] * (1 if isinstance(auth, BearerAuth) else 2))
    assert auth != "canary"


@pytest.mark.parametrize("text", ["\ud800canary", "canary\udfff"])
def test_lone_surrogates_are_refused(text: str) -> None:
    for build in BUILDERS:
        with pytest.raises(AtomHTTPOptionError, match="surrogates") as caught:
            build(text)
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize("auth", [BasicAuth("user", "p"), BearerAuth("t")])
def test_they_do_not_change(auth: Any) -> None:
    name = type(auth).__slots__[0]
    for change in (lambda: setattr(auth, name, "x"), lambda: delattr(auth, name), lambda: setattr(auth, "new", "x")):
        with pytest.raises(AttributeError, match="does not change"):
            change()
    assert auth == type(auth)(*(getattr(auth, name) for name in reversed(type(auth).__slots__)))


def test_kinds_are_not_equal() -> None:
    assert BasicAuth("u", "p") != DigestAuth("u", "p")


class Named(BasicAuth):
    """A kind of the caller's own."""


def test_a_subclass_stays_one_in_a_pickle() -> None:
    twin = pickle.loads(pickle.dumps(Named("u", "p")))
    assert (type(twin), twin) == (Named, Named("u", "p"))


class Flow:
    def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        yield request


class Fields:
    def get_header(self) -> dict[str, str]:
        return {}


def function(request: Any) -> Any:
    return request


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        (("u", "p"), BasicAuth("u", "p")),
        (["u", "p"], BasicAuth("u", "p")),
        ({"username": "u", "password": "p"}, BasicAuth("u", "p")),
        ({"password": "p", "username": "u"}, BasicAuth("u", "p")),
    ],
)
def test_what_the_option_becomes(given: Any, kept: Any) -> None:
    assert check_auth("auth", given) == kept


@pytest.mark.parametrize(
    "given", [BasicAuth("u", "p"), BearerAuth("t"), DigestAuth("u", "p"), Flow(), Fields(), function]
)
def test_objects_and_functions_are_kept_as_they_are(given: Any) -> None:
    assert check_auth("auth", given) is given


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("u:canary", "str"),
        (b"canary", "bytes"),
        (5, "int"),
        ((), "tuple"),
        (("u",), "tuple"),
        (("u", "p", "canary"), "tuple"),
        ({"username": "canary"}, "dict"),
        ({"username": "u", "password": "canary", "more": "x"}, "dict"),
        (BasicAuth, "the class BasicAuth"),
        (Flow, "the class Flow"),
        (object(), "object"),
    ],
)
def test_what_the_option_refuses(given: Any, named: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=f"auth: expected BasicAuth.*got {named}$") as caught:
        check_auth("auth", given)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert "canary" not in str(caught.value)


def test_what_takes_part_in_the_exchange() -> None:
    assert all(map(is_flow, (Flow(), function, Flow().auth_flow, DigestAuth("u", "p"))))
    assert not any(map(is_flow, (None, BasicAuth("u", "p"), BearerAuth("t"), Fields())))
    assert isinstance(Flow(), AuthFlow)
    assert not isinstance(BasicAuth("u", "p"), AuthFlow)
