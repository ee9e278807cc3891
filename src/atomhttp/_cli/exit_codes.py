"""How the program ends: one table, for the code, the help and the documentation."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from atomhttp import errors


class ExitCode(IntEnum):
    """What the program returns. Of several failures the highest counts: they stand in the order of their weight."""

    OK = 0
    FAULT = 1
    USAGE = 2
    CLIENT_ERROR = 4
    SERVER_ERROR = 5
    TIMEOUT = 6
    NETWORK = 7
    TLS = 8
    ANSWER = 9
    FILE = 10
    CHECKSUM = 11
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS: Final = {
    ExitCode.OK: "it went well",
    ExitCode.FAULT: "a fault of this program; --debug shows where",
    ExitCode.USAGE: "a wrong command line (or no extra 'cli'); nothing was sent",
    ExitCode.CLIENT_ERROR: "the server answered with a status of 400 to 499",
    ExitCode.SERVER_ERROR: "the server answered with a status of 500 or more",
    ExitCode.TIMEOUT: "it took too long",
    ExitCode.NETWORK: "no connection, or it broke; a proxy refused; no HTTP came",
    ExitCode.TLS: "no secure connection: a certificate that is not trusted, say",
    ExitCode.ANSWER: "the answer is of no use: too many redirects, damaged content",
    ExitCode.FILE: "a file cannot be read or written, or is there already",
    ExitCode.CHECKSUM: "what was downloaded does not have the checksum given",
    ExitCode.INTERRUPTED: "interrupted by Ctrl+C",
    ExitCode.BROKEN_PIPE: "whoever read the output has closed it, as 'head' does",
}


class UsageError(Exception):
    """The command line was wrong.

    Args:
        message: the option, what was given, what was expected.
        command: whose `--help` says more.
    """

    def __init__(self, message: str, command: str = "atomhttp") -> None:
        super().__init__(message)
        self.command = command


class FileError(Exception):
    """A file that is in the way, or cannot be used."""


# The first that fits: a TLS error is a network error too, and that an OSError.
_BY_CLASS: Final[tuple[tuple[type[BaseException], ExitCode], ...]] = (
    (UsageError, ExitCode.USAGE),
    (FileError, ExitCode.FILE),
    (errors.AtomHTTPChecksumError, ExitCode.CHECKSUM),
    (errors.AtomHTTPCanceledError, ExitCode.INTERRUPTED),
    (errors.AtomHTTPTimeoutError, ExitCode.TIMEOUT),
    (errors.AtomHTTPTLSError, ExitCode.TLS),
    (errors.AtomHTTPNetworkError, ExitCode.NETWORK),
    (errors.AtomHTTPOptionError, ExitCode.USAGE),
    (errors.AtomHTTPURLError, ExitCode.USAGE),
    (errors.AtomHTTPRequestError, ExitCode.ANSWER),
    (OSError, ExitCode.FILE),
)


def exit_code_of_status(status: int) -> ExitCode:
    """How the program ends after an answer of that status."""
    if status >= 500:
        return ExitCode.SERVER_ERROR
    return ExitCode.CLIENT_ERROR if status >= 400 else ExitCode.OK


def exit_code_of(error: BaseException) -> ExitCode:
    """How the program ends after that error."""
    if isinstance(error, errors.AtomHTTPStatusError):
        # A download takes 2xx only: a redirect that leads nowhere is an answer of no use.
        return exit_code_of_status(error.status or 0) or ExitCode.ANSWER
    if isinstance(error, errors.AtomHTTPOptionError) and isinstance(error.__cause__, OSError):
        return ExitCode.FILE
    if isinstance(error, errors.AtomHTTPNetworkError) and error.code == "ETIMEDOUT":
        return ExitCode.TIMEOUT
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), ExitCode.FAULT)
