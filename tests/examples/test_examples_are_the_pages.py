"""The examples are the page's code: every line of it, in its order, and nothing else but what makes it run.

The page lost its indentation, so that is free. What a file may add is listed in `ADDITIONS`: imports, `async def main`,
the names that the page uses and never defines, and how the file is started. Every other character is the page's.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

import pytest

from examples.page import EXAMPLES, PAGE, SECTIONS, sections

PARTS = sections()

# What the page uses and never defines.
UNDEFINED = {
    "interceptors": {"client", "some_interceptor"},
    "progress": {"client"},
    "form_data": {"client"},
    "concurrent_requests": {"client"},
    "transformers": {"client"},
    "authentication": {"client", "get_oauth_token"},
    "blob_and_arraybuffer": {"client", "process_chunk"},
    "limits_and_timeouts": set(),
}

# What may be called to start an example: in a folder of its own, with the files that the page takes for granted.
STARTING = {"asyncio.run", "main", "TemporaryDirectory", "chdir", "Path", "write_bytes", "bytes"}


class NotThePageError(AssertionError):
    """An example differs from the page."""


def compare(code: tuple[str, ...], example: str, undefined: set[str]) -> list[int]:
    """The numbers, from 0, of the lines of `example` that are the page's `code`.

    Raises:
        NotThePageError: `example` is not `code` plus permitted additions.
    """
    ours = example.splitlines()
    found: list[int] = []
    for line in code:
        start = found[-1] + 1 if found else 0
        number = next((number for number in range(start, len(ours)) if ours[number].lstrip() == line), None)
        if number is None:
            raise NotThePageError(f"this line of the page is missing, changed or out of order: {line}")
        found.append(number)
    permitted = {*found, *(number - 1 for number in permitted_lines(ast.parse(example), undefined))}
    for number, line in enumerate(ours):
        if line and number not in permitted:
            raise NotThePageError(f"line {number + 1} is not on the page: {line}")
    return found


def permitted_lines(tree: ast.Module, undefined: set[str]) -> Iterator[int]:
    """The numbers, from 1, of the lines of an example that need not be on the page."""
    if ast.get_docstring(tree):
        yield from lines(tree.body[0])
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef) and node.name == "main":
            yield node.lineno  # its first line; what is in it has to be on the page
        elif any(is_permitted(node, undefined) for is_permitted in ADDITIONS):
            yield from lines(node)


def lines(node: ast.AST) -> range:
    return range(node.lineno, node.end_lineno + 1)  # type: ignore[attr-defined]  # statements have both


def is_import(node: ast.AST, _undefined: set[str]) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def is_definition(node: ast.AST, undefined: set[str]) -> bool:
    """Of a name that the page uses and does not define."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name in undefined
    return (
        isinstance(node, ast.Assign)
        and all(isinstance(target, ast.Name) for target in node.targets)
        and {target.id for target in node.targets if isinstance(target, ast.Name)} <= undefined
    )


def is_start(node: ast.AST, _undefined: set[str]) -> bool:
    """`if __name__ == "__main__":`, which runs `main`, and may make a temporary folder with the page's files."""
    return (
        isinstance(node, ast.If)
        and ast.unparse(node.test) == "__name__ == '__main__'"
        and not node.orelse
        and ast.unparse(node).endswith("asyncio.run(main())")
        and {called(call) for call in ast.walk(node) if isinstance(call, ast.Call)} <= STARTING
        and all(isinstance(each, ast.If | ast.With | ast.Expr) for each in ast.walk(node) if isinstance(each, ast.stmt))
    )


def called(call: ast.Call) -> str:
    """The name of what is called; of a method of a call's result, only its own."""
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) and function.attr != "run" else ast.unparse(function)


ADDITIONS: tuple[Callable[[ast.AST, set[str]], bool], ...] = (is_import, is_definition, is_start)


def example_text(name: str) -> str:
    return (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SECTIONS.values())
def test_an_example_is_the_pages_code(name: str) -> None:
    compare(PARTS[name].code, example_text(name), UNDEFINED[name])


def test_every_section_of_the_page_has_an_example_and_every_example_a_section() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SECTIONS.values()) == set(UNDEFINED)
    assert PAGE.count("Example\n") == len(SECTIONS)
    assert sum(len(part.code) for part in PARTS.values()) == 121


@pytest.mark.parametrize("name", SECTIONS.values())
def test_a_name_that_the_page_defines_is_not_defined_again(name: str) -> None:
    for undefined in UNDEFINED[name]:
        for line in PARTS[name].code:
            assert not line.startswith((f"{undefined} =", f"def {undefined}(", f"async def {undefined}(")), line


# The comparison itself


@pytest.mark.parametrize("name", SECTIONS.values())
def test_one_changed_character_is_found(name: str) -> None:
    text = example_text(name)
    ours = text.splitlines()
    for number in compare(PARTS[name].code, text, UNDEFINED[name]):
        changed = f"{ours[number][:-1]}{chr(ord(ours[number][-1]) ^ 1)}"
        with pytest.raises((NotThePageError, SyntaxError)):
            compare(PARTS[name].code, "\n".join([*ours[:number], changed, *ours[number + 1 :]]), UNDEFINED[name])


@pytest.mark.parametrize("name", SECTIONS.values())
def test_a_line_that_is_missing_or_moved_is_found(name: str) -> None:
    text = example_text(name)
    ours = text.splitlines()
    found = compare(PARTS[name].code, text, UNDEFINED[name])
    for number in found:
        with pytest.raises((NotThePageError, SyntaxError)):
            compare(PARTS[name].code, "\n".join([*ours[:number], *ours[number + 1 :]]), UNDEFINED[name])
    first, last = found[0], found[-1]
    moved = [*ours[:first], *ours[first + 1 : last + 1], ours[first], *ours[last + 1 :]]
    with pytest.raises(NotThePageError, match="missing"):
        compare(PARTS[name].code, "\n".join(moved), UNDEFINED[name])


@pytest.mark.parametrize(
    "addition",
    [
        "    client.defaults.timeout = 1",
        "    print('more')",
        "    # a comment",
        "    response = None",
        "client, response = None, None",
        "async def helper():\n    pass",
        "if __name__ == '__main__':\n    client.get('/')\n    asyncio.run(main())",
        "if __name__ == '__main__':\n    import os\n    os.system('true')\n    asyncio.run(main())",
        "if True:\n    pass",
    ],
)
@pytest.mark.parametrize("name", SECTIONS.values())
def test_a_line_too_many_is_found(name: str, addition: str) -> None:
    text = example_text(name)
    where = text.index("\n\nif __name__")
    with pytest.raises(NotThePageError, match="is not on the page"):
        compare(PARTS[name].code, f"{text[:where]}\n{addition}\n{text[where:]}", UNDEFINED[name])
