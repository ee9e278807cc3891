"""What the compiled build asks of the classes in it, and does not check by itself."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOOK = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
FILES = [ROOT / name.removeprefix("/") for name in HOOK["custom"]["include"]]


def _declared(cls: ast.ClassDef) -> Iterator[str]:
    """The attributes that a class says it has: those of its body, and those that a method annotates."""
    for node in cls.body:
        if isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and "ClassVar" not in ast.unparse(node.annotation)
        ):
            yield node.target.id
    for node in ast.walk(cls):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute):
            yield node.target.attr


def _find_repetitions(sources: list[str]) -> list[str]:
    classes = {
        cls.name: cls for source in sources for cls in ast.walk(ast.parse(source)) if isinstance(cls, ast.ClassDef)
    }

    def above(cls: ast.ClassDef) -> Iterator[ast.ClassDef]:
        for base in cls.bases:
            if isinstance(base, ast.Name) and base.id in classes:
                yield classes[base.id]
                yield from above(classes[base.id])

    return [
        f"{cls.name}.{name} is {base.name}'s"
        for cls in classes.values()
        for base in above(cls)
        for name in sorted(set(_declared(cls)) & set(_declared(base)) - {"__slots__"})
    ]


def test_an_attribute_is_declared_by_one_class_of_a_line() -> None:
    """Declared again, mypyc has one field visited twice: the garbage collector clears what is still in use."""
    assert _find_repetitions([path.read_text() for path in FILES]) == []


@pytest.mark.parametrize("again", ["x = 2", "x: int", "def __init__(self) -> None:\n        self.x: int = 2"])
def test_the_check_finds_a_repetition(again: str) -> None:
    source = f"class A:\n    x: int = 1\n\nclass B(A):\n    pass\n\nclass C(B):\n    {again}\n"
    assert _find_repetitions([source]) == ["C.x is A's"]
