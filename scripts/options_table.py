"""Writes the tables of docs/options.md anew, from the tables that the code itself reads.

    python scripts/options_table.py

They stand between marks; the rest of the page is written by hand. `tests/api/test_options_table.py` fails when the page
is not what this would write.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from atomhttp._model import retry_config
from atomhttp._model.checks import camel_case
from atomhttp._model.options import OPTIONS, Option

PAGE = Path(__file__).parents[1] / "docs" / "options.md"

# What a reader may give for a field of RetryPolicy. A field of another type has to be described here first.
RETRY_TYPES = {
    "int": "int",
    "float": "number or timedelta",
    "float | None": "number, timedelta or None",
    "bool": "bool",
    "frozenset[int]": "list of int",
    "frozenset[str]": "list of str",
    "Callable[..., Any] | None": "callable or None",
}
MERGE = {"replace": "replace", "deep": "deep", "headers": "by name"}


def option_table() -> str:
    """Every option, one a line."""
    head = ("Option", "Type", "Default", "Unit", "Scope", "Merge", "What it does")
    return _table(head, map(_option_row, OPTIONS))


def retry_table() -> str:
    """Every key of `retryConfig`, one a line."""
    head = ("Key", "Other words for it", "Type", "Default", "What it does")
    return _table(head, _retry_rows())


TABLES = {"options": option_table, "retry": retry_table}


def render(page: str) -> str:
    """`page` with what stands between its marks written anew."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise SystemExit(f"docs/options.md: needs one line {begin.strip()!r} and one line {end.strip()!r}")
        before, _, rest = page.partition(begin)
        page = before + begin + table() + end + rest.partition(end)[2]
    return page


def _option_row(option: Option) -> tuple[str, ...]:
    scope = {"both": "client, call"}.get(option.scope, option.scope)
    return (
        _spellings(option.alias, option.name),
        option.type,
        _code(option.default),
        option.unit,
        scope,
        MERGE[option.merge],
        option.doc,
    )


def _retry_rows() -> Iterable[tuple[str, ...]]:
    described = _attributes(inspect.getdoc(retry_config.RetryPolicy) or "")
    policy = retry_config.RetryPolicy
    for name in policy._fields:
        # A NamedTuple keeps what stands there as a forward reference.
        annotation = policy.__annotations__[name]
        others = [word for word, key in retry_config._OTHER_WORDS.items() if key == name]
        yield (
            _spellings(camel_case(name), name),
            ", ".join(map(_code_text, others)),
            RETRY_TYPES[getattr(annotation, "__forward_arg__", annotation)],
            _code(policy._field_defaults[name]),
            described[name],
        )


def _attributes(doc: str) -> dict[str, str]:
    """The descriptions under `Attributes:` of a docstring."""
    found: dict[str, str] = {}
    section = doc.partition("Attributes:\n")[2]
    for name, text in re.findall(r"^    (\w+): (.+\n?(?:^        .+\n?)*)", section, re.MULTILINE):
        found[name] = " ".join(text.split()).rstrip(".")
    return found


def _spellings(alias: str, name: str) -> str:
    return ", ".join(map(_code_text, dict.fromkeys((alias, name))))


def _code(value: Any) -> str:
    if isinstance(value, frozenset):
        return _code_text(" ".join(map(str, sorted(value))))
    return _code_text(f'"{value}"' if isinstance(value, str) else repr(value))


def _code_text(text: str) -> str:
    return f"`{text}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    # A bar would begin another cell, in code as well.
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


def main() -> None:
    """Writes the page, if it is to be another one."""
    before = PAGE.read_text()
    after = render(before)
    if after != before:
        PAGE.write_text(after)
    print(f"{PAGE}: {'as it was' if after == before else 'written anew'}", file=sys.stderr)


if __name__ == "__main__":
    main()
