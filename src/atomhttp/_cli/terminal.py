"""What may reach a terminal, and in which colours.

A terminal obeys what it is sent: it moves, erases, changes its title, answers with keystrokes. So whatever a peer said
is shown with its control characters spelled out, those that turn the direction of writing too, as they make one text
look like another.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TextIO

from atomhttp._cli.jobs import ColorChoice

# C0, DEL, C1, what turns directions and breaks lines without being seen, tags, and halves of surrogate pairs.
_DIRECTIONS: Final = "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_OBEYED: Final = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_DIRECTIONS}\ud800-\udfff]")
_OBEYED_IN_LINE: Final = re.compile(f"[\x00-\x1f\x7f-\x9f{_DIRECTIONS}\ud800-\udfff]")


def defuse(text: str) -> str:
    """`text` of several lines, for a terminal: what it would obey is spelled out."""
    return _OBEYED.sub(_spell, text)


def defuse_line(text: str) -> str:
    """`text` that is to stay in one line."""
    return _OBEYED_IN_LINE.sub(_spell, text)


def _spell(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


class Color(StrEnum):
    """What is coloured, and the parameter of the terminal's escape sequence for it."""

    NAME = "36"  # cyan
    TEXT = "32"  # green
    NUMBER = "33"  # yellow
    WORD = "35"  # magenta
    GOOD = "1;32"
    BAD = "1;31"
    WEAK = "2"


class Paint:
    """Colours text, or leaves it alone where there are no colours."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled

    def __call__(self, color: Color, text: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self.enabled and text else text


def has_colors(choice: ColorChoice, stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Whether to write in colours to `stream`. NO_COLOR, if it is anything but empty, is a wish (https://no-color.org);
    an option is an order."""
    if choice != "auto":
        return choice == "always"
    environment = os.environ if environment is None else environment
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def write_text(text: str, stream: TextIO) -> None:
    """Writes `text`; what the stream's encoding has no characters for is spelled out."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def say(text: str) -> None:
    """A line to standard error, behind what has been written to standard output so far. Where it cannot be written
    there is nobody to tell, and how the program ends says the rest.

    Raises:
        BrokenPipeError: nobody reads.
    """
    sys.stdout.flush()
    try:
        write_text(f"{text}\n", sys.stderr)
        sys.stderr.flush()
    except BrokenPipeError:
        raise
    except OSError:
        # As it says above.
        return


def complete_streams() -> None:
    """A program may be started without standard output or error; then what it says goes nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            # As Python's own: nobody closes it, and nobody is warned of that.
            stream = open(nowhere, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # it stays open to the end
            setattr(sys, name, stream)
