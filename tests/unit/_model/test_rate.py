from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from atomhttp._model.rate import check_rate
from atomhttp.errors import AtomHTTPOptionError
from support.naming import described


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        *((1000, (1000.0, 1000.0)), (0.5, (0.5, 0.5)), ([1000, 2000], (1000.0, 2000.0)), ((1, 2.5), (1.0, 2.5))),
        *(([1000, None], (1000.0, None)), ([0, 1000], (None, 1000.0)), ([float("inf"), 5], (None, 5.0))),
        *((None, None), (0, None), (0.0, None), ([0, None], None), (float("inf"), None), (10**400, None)),
    ],
)
def test_what_is_kept(value: Any, kept: Any) -> None:
    assert check_rate("max_rate", value) == kept
    assert check_rate("max_rate", kept) == kept


@pytest.mark.parametrize(
    "value",
    [
        *(-1, [-1, 5], [5, -0.1], float("nan"), [1, float("nan")], True, [True, 1], "1000", ["1", "2"], b"10"),
        *([], [1], [1, 2, 3], {"up": 1}, {1, 2}, object(), Decimal(5), [[1, 2], 3], 1j),
    ],
    ids=described,
)
def test_what_is_refused(value: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^max_rate: expected bytes per second or \[up, down\]") as caught:
        check_rate("max_rate", value)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert repr(value)[:80] in str(caught.value)
