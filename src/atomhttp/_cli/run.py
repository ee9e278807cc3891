"""Does what the command line asks for, and says in one line why it could not."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from atomhttp._cli.args import parse
from atomhttp._cli.exit_codes import ExitCode
from atomhttp._cli.jobs import Call, Job
from atomhttp._cli.report import report
from atomhttp._cli.terminal import complete_streams, defuse_line, say
from atomhttp.errors import AtomHTTPWarning


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program.

    Args:
        arguments: the words after the program's name; those that it was started with by default.

    Returns:
        The exit code; `exit_codes` has all of them.
    """
    words = sys.argv[1:] if arguments is None else arguments
    complete_streams()
    try:
        code = _perform_or_explain(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # What Python still holds for it must not fail a second time when it ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        code = ExitCode.BROKEN_PIPE
    return int(code)


def _perform_or_explain(words: Sequence[str]) -> int:
    try:
        return _perform(words)
    except KeyboardInterrupt:
        say("atomhttp: interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        return report(error, debug="--debug" in words)


def _perform(words: Sequence[str]) -> int:
    parsed = parse(words)
    if isinstance(parsed, int):
        return parsed
    with warnings.catch_warnings():
        warnings.simplefilter("always", AtomHTTPWarning)
        warnings.showwarning = _show_warning
        return _run(parsed())


def _run(job: Job) -> ExitCode:
    if job.display.color == "never":
        # Also for those who draw the bars.
        os.environ["NO_COLOR"] = "1"
    if isinstance(job, Call):
        from atomhttp._cli.calls import run_call

        return run_call(job)
    from atomhttp._cli.transfer import run_transfer

    return run_transfer(job)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, AtomHTTPWarning):
        say(f"atomhttp: warning: {defuse_line(str(message))}")
