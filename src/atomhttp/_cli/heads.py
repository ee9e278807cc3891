"""Heads of requests and responses as text, their secrets masked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from atomhttp._adapters.network_head import build_field_list, build_head
from atomhttp._cli.exit_codes import exit_code_of_status
from atomhttp._cli.terminal import Color, Paint, defuse_line
from atomhttp._model.headers import decode_value
from atomhttp._model.request import Request
from atomhttp._pipeline.response import Response
from atomhttp._redact import redact_fields, redact_url


def show_request(request: Request, paint: Paint, mark: str = "> ", version: str = "1.1") -> Iterator[str]:
    """The lines of a request's head, as it was sent; by HTTP/2 with the authority as Host, as curl has it."""
    fields: Iterable[tuple[str, str]]
    if version == "2":
        pairs = [(decode_value(name), decode_value(value)) for name, value in build_field_list(request)]
        (_, method), _, (_, authority), (_, target) = pairs[:4]
        fields = [("Host", authority), *pairs[4:]]
    else:
        first, *rest = decode_value(build_head(request)).split("\r\n")
        method, target, _ = first.split(" ", 2)
        fields = [(name, value) for name, _, value in (line.partition(": ") for line in rest if line)]
    yield _marked(mark, f"{paint(Color.GOOD, method)} {defuse_line(redact_url(target))} HTTP/{version}", paint)
    yield from _show_fields(fields, paint, mark)


def show_response(response: Response[Any], paint: Paint, mark: str = "< ", *, redacted: bool = True) -> Iterator[str]:
    """The lines of a response's head."""
    status = f"{response.status} {defuse_line(response.status_text)}".rstrip()
    color = Color.BAD if exit_code_of_status(response.status) else Color.GOOD
    yield _marked(mark, f"HTTP/{response.http_version} {paint(color, status)}", paint)
    yield from _show_fields(response.headers.multi_items(), paint, mark, redacted=redacted)


def show_exchange(response: Response[Any], paint: Paint) -> Iterator[str]:
    """Both heads, those of the redirects on the way before them."""
    for each in (*response.history, response):
        yield from show_request(each.request, paint, version=each.http_version)
        yield _marked(">", "", paint)
        yield from show_response(each, paint)
        yield _marked("<", "", paint)
    yield from show_attempts(response, paint)


def show_attempts(outcome: Any, paint: Paint) -> Iterator[str]:
    """What was tried in vain, for a response or an error."""
    for attempt in outcome.attempts[:-1]:
        if attempt.error is not None or exit_code_of_status(attempt.status or 0):
            what = attempt.error if attempt.error is not None else attempt.status
            yield _marked("* ", f"attempt {attempt.number}: {defuse_line(str(what))} ({attempt.elapsed:.3f} s)", paint)


def _show_fields(fields: Iterable[tuple[str, str]], paint: Paint, mark: str, *, redacted: bool = True) -> Iterator[str]:
    for name, value in redact_fields(fields) if redacted else fields:
        yield _marked(mark, f"{paint(Color.NAME, defuse_line(name))}: {defuse_line(value)}", paint)


def _marked(mark: str, line: str, paint: Paint) -> str:
    return paint(Color.WEAK, mark) + line
