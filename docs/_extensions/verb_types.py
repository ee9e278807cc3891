"""What only the source says: the verbs' signatures, the type aliases, the types of the options.

The verbs have no annotations when they run, and an alias is no more than its value then. Read from the syntax tree; no
Sphinx is needed for it.
"""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

VERBS: Final = "atomhttp._verbs"
# By the name of a client, the class that has the types of its verbs.
VERB_CLASSES: Final = {"AtomHTTP": "AsyncVerbs", "SyncAtomHTTP": "SyncVerbs"}
# The overloads of a verb differ in this parameter and in what they return; one signature stands for all of them.
_RESPONSE_TYPE: Final = "ResponseTypeInput"

Function = ast.FunctionDef | ast.AsyncFunctionDef


class VerbSignature(NamedTuple):
    parameters: str
    returns: str


class Alias(NamedTuple):
    name: str
    value: str
    comment: str


@cache
def _read(module: str) -> tuple[ast.Module, list[str]]:
    found = importlib.util.find_spec(module)
    assert found is not None, module
    assert found.origin is not None, module
    text = Path(found.origin).read_text()
    return ast.parse(text), text.splitlines()


def verb_signatures(client: str) -> dict[str, VerbSignature]:
    """The verbs of the client class `client`, each with one signature for all of its overloads."""
    body = _class_body(VERB_CLASSES[client])
    # The last but one is the overload for everything; the last is the implementation, which says nothing.
    functions: dict[str, list[Function]] = {}
    for statement in body:
        if isinstance(statement, Function):
            functions.setdefault(statement.name, []).append(statement)
    signatures = {name: _signature(each) for name, each in functions.items()}
    for statement in body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Name):
            for target in statement.targets:
                signatures[ast.unparse(target)] = signatures[statement.value.id]
    return signatures


def type_aliases(module: str) -> list[Alias]:
    """The type aliases of a module, with the comments above them."""
    tree, lines = _read(module)
    return [
        Alias(ast.unparse(each.target), _expression(each.value), _comment_above(lines, each.lineno))
        for each in tree.body
        if isinstance(each, ast.AnnAssign) and each.value is not None and ast.unparse(each.annotation) == "TypeAlias"
    ]


def option_types() -> dict[str, str]:
    """The type of every option, by each of its spellings."""
    tree, _ = _read(VERBS)
    return {
        ast.unparse(field.target): ast.unparse(field.annotation)
        for each in tree.body
        if isinstance(each, ast.ClassDef)
        for field in each.body
        if isinstance(field, ast.AnnAssign)
    }


def _class_body(name: str) -> list[ast.stmt]:
    tree, _ = _read(VERBS)
    return next(each.body for each in tree.body if isinstance(each, ast.ClassDef) and each.name == name)


def _signature(overloads: list[Function]) -> VerbSignature:
    shown = overloads[-2] if len(overloads) > 1 else overloads[0]
    arguments = shown.args
    arguments.args = [each for each in arguments.args if each.arg != "self"]
    for each in arguments.kwonlyargs:
        if each.arg == "response_type":
            each.annotation = ast.Name(_RESPONSE_TYPE)
    return VerbSignature(ast.unparse(arguments), ast.unparse(shown.returns) if shown.returns else "None")


def _expression(value: ast.expr) -> str:
    """Of an alias that is written as a string, what is in the string."""
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ast.unparse(value)


def _comment_above(lines: list[str], line: int) -> str:
    comment: list[str] = []
    for text in reversed(lines[: line - 1]):
        if not text.startswith("# "):
            break
        comment.insert(0, text[2:])
    return " ".join(comment)
