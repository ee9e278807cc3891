"""JSON, indented and in colours, for people.

It is rewritten token by token and not from the parsed value: a number of 40 digits, `1.10` and a key that comes twice
are shown as the server wrote them. Only strings are written anew, with their letters in place of `\\u` escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from atomhttp._cli.terminal import Color, Paint, defuse_line

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]+')
_INDENT: Final = "  "
# Further in there is no room on a screen, and a hostile answer would turn 1 MB of brackets into gigabytes of blanks.
_DEEPEST: Final = 40


def format_json(text: str, paint: Paint) -> Iterator[str]:
    """The pieces of `text`, which is JSON (whoever calls has made sure), ready for a terminal."""
    depth = 0
    before = ""
    # Whether the string that comes next is a key, on every level that is open.
    objects: list[bool] = []
    at_key = False
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token in "}]":
            depth -= 1
            objects.pop()
            yield token if before in "{[" else _line(depth) + token
        else:
            # `before` is "" at the very beginning only.
            lead = _line(depth) if before and before in "{[," else ""
            if token in "{[":
                depth += 1
                objects.append(token == "{")
                yield lead + token
            elif token == ",":
                yield token
            elif token == ":":
                yield ": "
            else:
                yield lead + _show_scalar(token, at_key, paint)
        at_key = token in "{," and bool(objects) and objects[-1]
        before = token


def _line(depth: int) -> str:
    return "\n" + _INDENT * min(depth, _DEEPEST)


def _show_scalar(token: str, is_key: bool, paint: Paint) -> str:
    if token[0] == '"':
        return paint(Color.NAME if is_key else Color.TEXT, _show_string(token))
    return paint(Color.WORD if token in ("true", "false", "null") else Color.NUMBER, defuse_line(token))


def _show_string(token: str) -> str:
    import json

    if "\\" in token:
        token = json.dumps(json.loads(token, strict=False), ensure_ascii=False)
    shown = defuse_line(token)
    # Still JSON: what is spelled out is written as JSON writes it, two units beyond U+FFFF.
    return token if shown == token else "".join(_spell(each) for each in token)


def _spell(char: str) -> str:
    import json

    return char if defuse_line(char) == char else json.dumps(char)[1:-1]
