from __future__ import annotations

import math
import pickle
from typing import Any

import pytest

from atomhttp._model.form_serializer import check_form_serializer, urlencode, walk_form
from atomhttp._model.walker import leaf_text
from atomhttp.errors import AtomHTTPOptionError
from support.naming import described


def visitor(*_: Any) -> bool:
    return False


def test_what_was_given_is_kept_under_python_s_names() -> None:
    given = {"metaTokens": False, "maxDepth": 5, "dots": True, "indexes": None, "visitor": visitor}
    kept = check_form_serializer("formSerializer", given)
    assert kept == {"meta_tokens": False, "max_depth": 5, "dots": True, "indexes": None, "visitor": visitor}
    assert check_form_serializer("formSerializer", kept) == kept
    given["dots"] = False
    assert kept is not None
    assert kept["dots"] is True
    assert pickle.loads(pickle.dumps(check_form_serializer("x", {"dots": True}))) == {"dots": True}


@pytest.mark.parametrize("value", [None, {}, {"max_depth": math.inf}, {"indexes": "repeat"}, {"visitor": None}])
def test_good_values(value: Any) -> None:
    assert check_form_serializer("formSerializer", value) == value


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ({"dot": True}, "ERR_BAD_OPTION", r"form_serializer has no option 'dot': did you mean dots\?"),
        ({"encode": str}, "ERR_BAD_OPTION", "no option 'encode'"),
        ({"Blob": None}, "ERR_BAD_OPTION", "no option 'Blob'"),
        ({5: None}, "ERR_BAD_OPTION", "no option '5'"),
        ({"metaTokens": True, "meta_tokens": False}, "ERR_BAD_OPTION", "given twice"),
        ({"dots": 1}, "ERR_BAD_OPTION_VALUE", r"form_serializer\.dots must be True or False, not int"),
        ({"indexes": "yes"}, "ERR_BAD_OPTION_VALUE", "indexes"),
        ({"visitor": 5}, "ERR_BAD_OPTION_VALUE", "visitor must be a function"),
        ({"maxDepth": -1}, "ERR_BAD_OPTION_VALUE", "max_depth"),
        (visitor, "ERR_BAD_OPTION_VALUE", "form_serializer must be a mapping of .*dots.* not function"),
        ("dots", "ERR_BAD_OPTION_VALUE", "not str"),
        (True, "ERR_BAD_OPTION_VALUE", "not bool"),
    ],
    ids=described,
)
def test_bad_values(value: Any, code: str, message: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match=message) as caught:
        check_form_serializer("form_serializer", value)
    assert caught.value.code == code


def test_indexes_hold_unless_the_serializer_says_otherwise() -> None:
    data = {"a": [1, 2]}
    assert walk_form(data, None, leaf_text, indexes=False) == [("a[]", "1"), ("a[]", "2")]
    assert walk_form(data, {"dots": True}, leaf_text, indexes="repeat") == [("a", "1"), ("a", "2")]
    assert walk_form(data, {"indexes": True}, leaf_text, indexes="repeat") == [("a[0]", "1"), ("a[1]", "2")]


def test_a_list_of_pairs_is_not_numbered_and_a_slip_in_it_is_found() -> None:
    assert walk_form([["a", 1], ("b", 2)], None, leaf_text, indexes=False) == [("a", "1"), ("b", "2")]
    with pytest.raises(AtomHTTPOptionError, match=r"form\[1\] must be a \(key, value\) pair, not str"):
        walk_form([("a", 1), "b2"], None, leaf_text, indexes=False)
    assert walk_form([], None, leaf_text, indexes=False) == []


def test_the_encoding_is_whatwg_s() -> None:
    assert urlencode([("a*-._", "~ +&=%:$,é\r\n"), ("b", b"~*\xff\x00")]) == (
        "a*-._=%7E+%2B%26%3D%25%3A%24%2C%C3%A9%0D%0A&b=%7E*%FF%00"
    )
    with pytest.raises(AtomHTTPOptionError, match=r"form\.a has a lone surrogate"):
        urlencode([("a", "\ud800")])
