"""What a client's process is asked to do, and what comes back."""

from dataclasses import dataclass
from typing import Literal

from benchmarks.origin import Target

Mode = Literal["asyncio", "uvloop", "sync"]
Task = Literal["get", "large", "gzip", "close", "origins", "post", "form", "upload", "stream", "blob"]

# Of the tasks that are a GET of JSON, where it is.
PATHS = {
    "get": "/json",
    "large": "/100kb",
    "gzip": "/100kb-gzip",
    "close": "/close",
    "stream": "/100mb",
    "blob": "/100mb",
}


@dataclass(frozen=True)
class Job:
    """Do `task` against `target`, `in_flight` at a time, for so many seconds."""

    task: Task
    target: Target
    in_flight: int
    seconds: float

    @property
    def connections(self) -> int:
        """How many may be open: those in flight, and where there are many origins the idle ones of the others too."""
        return 10 * len(self.target.origins) if self.task == "origins" else self.in_flight

    @property
    def url(self) -> str:
        return self.target.origin + PATHS.get(self.task, "")


@dataclass(frozen=True)
class Sample:
    """What one job came to; `cpu` is that of the whole process, all threads, in seconds; `memory` its peak in MiB."""

    requests: int
    seconds: float
    cpu: float
    memory: float = 0.0


@dataclass(frozen=True)
class Failure:
    """Why there is no sample: a reason, or None where the client does not offer what the row asks for."""

    reason: str | None


Outcome = Sample | Failure
