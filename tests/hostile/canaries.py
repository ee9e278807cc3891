"""Canaries: secrets that a test plants, and the places in which nobody may ever find them.

`CORE` is in every one of them, and what stands behind it says which carrier it was in. `find` looks for it as it is and
in the forms that a secret takes on its way: percent-encoded, base64 (Basic), hexadecimal, UTF-16. A canary survives
quoting and escaping, as it holds nothing that either would touch.

`views` is all that a person, a log or a file may get to see of an error: what a developer prints, what a framework logs
of it, what a task queue stores. Not among them are the values of local variables (`traceback.TracebackException` with
`capture_locals=True`, or a reporter of errors that does the same): they are the live objects, the caller's own among
them, and the error cannot know who looks.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
import pprint
import re
import warnings
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from atomhttp import AtomHTTPError

CORE = "c4n4rysecret"


def canary(carrier: str) -> str:
    """A secret for this carrier."""
    return f"{CORE}{carrier}"


def _base64_forms(text: bytes) -> Iterator[bytes]:
    """What base64 makes of `text` wherever it begins: the characters that no neighbour has a part in."""
    for before in range(3):
        encoded = b64encode(b"\0" * before + text)
        yield encoded[-(-before * 4 // 3) : (before + len(text)) * 4 // 3]


def _forms() -> dict[bytes, str]:
    raw = CORE.encode()
    forms = {
        raw: "plain",
        raw.hex().encode(): "hexadecimal",
        b"".join(b"%%%02x" % byte for byte in raw): "percent-encoded",
        CORE.encode("utf-16-le"): "UTF-16",
    }
    return {**forms, **dict.fromkeys(_base64_forms(raw), "base64")}


_FORMS = _forms()
_ANY = re.compile(b"|".join(re.escape(form) for form in sorted(_FORMS, key=len, reverse=True)), re.IGNORECASE)
_NAMES = {form.lower(): name for form, name in _FORMS.items()}


def find(shown: str | bytes) -> str:
    """Where a canary is in `shown`, with what stands around it; "" when there is none."""
    data = shown.encode("utf-8", "backslashreplace") if isinstance(shown, str) else shown
    found = _ANY.search(data)
    if found is None:
        return ""
    around = data[max(0, found.start() - 120) : found.end() + 60]
    return f"{_NAMES[found[0].lower()]}: …{around.decode('latin-1')}…"


def views(error: BaseException) -> dict[str, str | bytes]:
    """All that may be seen of `error`, by what shows it."""
    seen: dict[str, str | bytes] = {
        "str": str(error),
        "repr": repr(error),
        "args": repr(error.args),
        "notes": repr(getattr(error, "__notes__", [])),
        "group": repr(BaseExceptionGroup("several", [error])),
        "traceback, as logged": _logged(error),
        "task": _task_that_failed(error),
    }
    if isinstance(error, AtomHTTPError):
        seen |= {
            "to_dict": json.dumps(error.to_dict(), default=repr),
            # What `abort` was given is the caller's own object, and shows itself.
            "pprint": pprint.pformat({name: value for name, value in vars(error).items() if name != "reason"}),
        }
        seen |= {f"{name} copy": shown for name, shown in _copies(error).items()}
        seen |= parts("its", error)
        for protocol in (0, pickle.HIGHEST_PROTOCOL):
            pickled = pickle.dumps(error, protocol)
            revived = pickle.loads(pickled)
            seen |= {f"pickle {protocol}": pickled, "pickled again": pickle.dumps(revived)}
        seen |= {"revived": f"{revived}{revived!r}{revived.to_dict()}{vars(revived)}", **parts("revived", revived)}
    return seen


def parts(whose: str, error: Any) -> dict[str, str | bytes]:
    """The reprs of what an error, or a response, leads to."""
    seen: dict[str, str | bytes] = {}
    for name in ("config", "request", "response", "attempts", "received", "history", "cookies", "timings", "trailers"):
        part = getattr(error, name, None)
        if part is None:
            continue
        seen[f"{whose} {name}"] = repr(part)
        if name == "config":
            seen[f"{whose} config.to_dict()"] = repr(part.to_dict())
            seen[f"{whose} config.headers"] = repr(part.headers)
        elif name in ("request", "response"):
            seen[f"{whose} {name}.headers"] = repr(part.headers)
        if name == "request":
            below = (part.target, part.outline, part.outline.route, part.outline.block, part.outline.cookies)
            seen[f"{whose} request, inside"] = repr(below)
        if name == "response":
            seen |= parts(f"{whose} response's", part)
    return seen


def leaks(seen: dict[str, str | bytes]) -> list[str]:
    """What was found, and where; an empty list is what a test wants."""
    return [f"{view}: {found}" for view, shown in seen.items() if (found := find(shown))]


def _copies(error: AtomHTTPError) -> dict[str, str]:
    made = {"shallow": copy.copy(error), "deep": copy.deepcopy(error)}
    return {name: f"{twin}{twin!r}{vars(twin)}" for name, twin in made.items()}


def _logged(error: BaseException) -> str:
    """The line that `logger.exception` writes, and the traceback below it: that of the causes first."""
    record = logging.LogRecord("x", logging.ERROR, "x", 1, "%s %r", (error, error), (type(error), error, None))
    return logging.Formatter().format(record)


def _task_that_failed(error: BaseException) -> str:
    """What asyncio logs of a task whose exception nobody has asked for."""

    class Finished:
        """Shown as a task is; a real one would have to fail in a loop of its own."""

        def __repr__(self) -> str:
            return f"<Task finished name='Task-1' coro=<get()> exception={error!r}>"

    logger = logging.getLogger("asyncio")
    lines, handler = _collector()
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    context = {"message": "Task exception was never retrieved", "exception": error, "future": Finished()}
    try:
        # All that it asks of the loop is which callback is running.
        asyncio.BaseEventLoop.default_exception_handler(_NO_LOOP, context)  # type: ignore[arg-type]  # no loop is needed
    finally:
        logger.propagate = propagates
        logger.removeHandler(handler)
    return "\n".join(lines)


_NO_LOOP = SimpleNamespace(_current_handle=None)


def _collector() -> tuple[list[str], logging.Handler]:
    """A handler, and the lines that it has been given, with their tracebacks."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    return lines, Collector()


@contextmanager
def everything_logged() -> Iterator[list[str]]:
    """The lines of every logger of atomhttp at DEBUG, tracebacks included, and the warnings."""
    lines, handler = _collector()
    logger = logging.getLogger("atomhttp")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield lines
        lines += [str(each.message) for each in caught]
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
