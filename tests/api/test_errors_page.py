"""docs/errors.md says of every class, and of every code that it may have, what to do about it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from atomhttp import errors
from atomhttp.errors import AtomHTTPError

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
CLASSES = [
    kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, AtomHTTPError) and kind.__name__ == name
]


def section_of(name: str) -> str:
    """What stands under the heading of a class."""
    found = re.search(rf"^### {name}\n(.*?)(?=^##)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, f"errors.md has no section on {name}"
    return found[1]


def codes_in(section: str) -> list[str]:
    """The codes in the first column of its table."""
    rows = re.findall(r"^\| (`[A-Z].*?) \| .+? \| .+? \|$", section, re.MULTILINE)
    return [code for row in rows for code in re.findall(r"`([A-Z_]+)`", row)]


def test_all_classes_are_here() -> None:
    assert len(CLASSES) >= 15


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_code_of_a_class_has_a_row_and_no_other_has(kind: type[AtomHTTPError]) -> None:
    assert sorted(codes_in(section_of(kind.__name__))) == sorted(kind.codes)


def test_no_section_is_of_a_class_that_is_not_there() -> None:
    headings = re.findall(r"^### (AtomHTTP\w+)$", PAGE.read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(kind.__name__ for kind in CLASSES)


def test_every_phase_of_a_timeout_has_a_row() -> None:
    phases = re.findall(r'"(\w+)"', (errors.AtomHTTPTimeoutError.__doc__ or "").partition("phase:")[2])
    assert len(phases) == 7
    section = section_of("AtomHTTPTimeoutError")
    for phase in phases:
        assert re.search(rf'^\| .*"{phase}"', section, re.MULTILINE), phase
