"""A command line for a shell, to be read by a person and pasted. May import nothing of ours.

Values are quoted so that a shell takes them as they are, whatever they hold, and that what shows the command line (a
terminal, a log) obeys none of it: what is not printable is escaped. `$'…'`, which can do that, is known to bash, zsh,
ksh, busybox and POSIX (2024).
"""

from __future__ import annotations

import shlex
from typing import Final

# Linux takes an argument of 128 KiB at the most.
MAX_ARGUMENT: Final = 100_000

_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
# A quote and an exclamation mark too: older shells look for both of them before they know of `$'…'`.
_AS_NUMBERS: Final = frozenset("'!")


class CommandLine:
    """A command that is being put together: its arguments, in groups of a line each, and remarks above them.

    Attributes:
        standard_input: what is piped into the command; None: nothing is.
    """

    def __init__(self, *arguments: str) -> None:
        self._groups = [arguments]
        self._remarks: list[str] = []
        self.standard_input: bytes | None = None

    def add(self, *arguments: str) -> None:
        """One more line: an option with its value, as they are meant to arrive."""
        self._groups.append(arguments)

    def remark(self, text: str) -> None:
        """Something that the command cannot say; once, however often it comes."""
        # Of one line, and nothing in it that a shell would read if it took the remark for a command.
        harmless = "".join(each if each.isalnum() or each in " .,:_-/" else "_" for each in text)
        if harmless not in self._remarks:
            self._remarks.append(harmless)

    def take(self, other: CommandLine) -> None:
        """Adds the lines of `other`, which has no command of its own, and all that comes with them."""
        self._groups += other._groups[1:]
        self._remarks += other._remarks
        self.standard_input = other.standard_input

    def __str__(self) -> str:
        command = " \\\n  ".join(" ".join(map(quote, group)) for group in self._groups)
        if self.standard_input is not None:
            command = f"printf {_quote_format(self.standard_input)} | {command}"
        return "\n".join([*(f"# {each}" for each in self._remarks), command])


def quote(text: str) -> str:
    """`text` as one word of a shell's command line. There is no word that holds NUL.

    Bytes that are no UTF-8 stand in it as `surrogateescape` has them.
    """
    return shlex.quote(text) if text.isprintable() else f"$'{''.join(map(_escape, text))}'"


def to_bytes(text: str) -> bytes:
    """What a program gets for `text`."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # A surrogate that stands for no byte: the name of nothing that there is.
        return text.encode("utf-8", "surrogatepass")


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable() and char not in _AS_NUMBERS:
        return char
    return "".join(f"\\{byte:03o}" for byte in to_bytes(char))


def _quote_format(content: bytes) -> str:
    """`content` as the format of printf: all that it would take for its own is written as numbers, NUL as well."""
    plain = frozenset(range(0x20, 0x7F)) - frozenset(b"\\%'!-")
    return "'{}'".format("".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in content))
