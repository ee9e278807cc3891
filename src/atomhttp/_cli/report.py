"""What went wrong, in one line."""

from __future__ import annotations

import errno
import os

from atomhttp._cli.exit_codes import ExitCode, FileError, UsageError, exit_code_of
from atomhttp._cli.terminal import defuse_line, say
from atomhttp._redact import redact_value
from atomhttp.errors import AtomHTTPError


def report(error: BaseException, *, debug: bool = False, before: str = "", after: str = "") -> ExitCode:
    """Says what went wrong, to standard error.

    Args:
        error: what was raised.
        debug: with its traceback.
        before, after: what the line says besides.

    Returns:
        How the program ends for it.
    """
    if debug:
        import traceback

        say("\n".join(map(defuse_line, "".join(traceback.format_exception(error)).splitlines())))
    say(f"atomhttp: {defuse_line(before + explain(error) + after)}")
    return exit_code_of(error)


def explain(error: BaseException) -> str:
    """`error` for a person, with the code by which the documentation has it."""
    if isinstance(error, UsageError):
        # It may quote what was typed.
        return f"{redact_value('', str(error))} (try '{error.command} --help')"
    if isinstance(error, FileError):
        return str(error)
    if isinstance(error, AtomHTTPError):
        return _with_code(error.message, error.code)
    if isinstance(error, OSError) and error.errno is not None:
        # A path as it was given, or a descriptor.
        name: object = error.filename
        where = f"{os.fsdecode(name)}: " if isinstance(name, (str, bytes)) else ""
        return _with_code(f"{where}{error.strerror}", errno.errorcode.get(error.errno, str(error.errno)))
    return f"a fault of this program: {type(error).__name__}: {error} (--debug shows where)"


def _with_code(message: str, code: str) -> str:
    return message if f"({code})" in message else f"{message} ({code})"
