"""What there is to do, as values: nothing of the command line's words is left in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

ColorChoice: TypeAlias = Literal["auto", "always", "never"]
# The option of a client.
Http2: TypeAlias = bool | Literal["only"]


@dataclass(frozen=True, slots=True)
class Display:
    """What is shown, and how.

    Attributes:
        color: whether in colours; "auto": on a terminal.
        verbose: both heads, to stderr.
        timings: the phases of the call, to stderr.
        raw: the content as it was received, even to a terminal.
        debug: errors with their tracebacks.
    """

    color: ColorChoice = "auto"
    verbose: bool = False
    timings: bool = False
    raw: bool = False
    debug: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One request, its answer shown or stored.

    Attributes:
        options: the client's, for this call.
        output: the file to write the content to; None: standard output.
        fail: whether an answer of 400 or more is a failure.
        http2: the client's option of that name.
    """

    method: str
    url: str
    options: dict[str, Any]
    output: str | None
    fail: bool
    http2: Http2
    display: Display


@dataclass(frozen=True, slots=True)
class Download:
    """URLs that become files.

    Attributes:
        file: where the only one goes; None: into `directory`, by the name that its URL ends in.
        jobs: how many at once.
        checksum: as `client.download` takes it.
    """

    urls: tuple[str, ...]
    file: Path | None
    directory: Path
    options: dict[str, Any]
    resume: bool
    overwrite: bool
    jobs: int
    checksum: str | None
    http2: Http2
    display: Display


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is sent.

    Attributes:
        method: PUT for its content, POST for a form, if None.
        field: the form's field; None: the content is the file's.
    """

    file: Path
    url: str
    method: str | None
    field: str | None
    options: dict[str, Any]
    output: str | None
    fail: bool
    http2: Http2
    display: Display


Job: TypeAlias = Call | Download | Upload
