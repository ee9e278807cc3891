"""One request, and what is shown of its answer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from atomhttp._cli.exit_codes import ExitCode, exit_code_of_status
from atomhttp._cli.jobs import Call, Display, Upload
from atomhttp._cli.render import pass_content, show_content, store_content
from atomhttp._cli.terminal import Paint, has_colors, say, write_text
from atomhttp._pipeline.response import Response
from atomhttp.errors import AtomHTTPError
from atomhttp.sync import SyncAtomHTTP

# Their answer is its head.
_ABOUT_THE_HEAD: Final = ("HEAD", "OPTIONS")


def run_call(call: Call) -> ExitCode:
    """Sends it and shows what comes.

    Raises:
        AtomHTTPError: whatever went wrong; also a status of 400 or more, once it has been shown, if that is a failure.
        OSError: the content cannot be written.
    """
    with SyncAtomHTTP(http2=call.http2) as client:
        return show_answer(lambda: client.request(call.method, call.url, response_type="stream", **call.options), call)


def show_answer(send: Callable[[], Response[Any]], job: Call | Upload) -> ExitCode:
    """Shows or stores the streamed response that `send` gets, as the job says.

    Raises:
        AtomHTTPError, OSError: as `run_call`.
    """
    try:
        response = send()
    except AtomHTTPError as error:
        show_attempt(error, job.display)
        raise
    with response:
        show_heads(response, job.display)
        _deliver(response, job.output, job.fail, job.display)
        show_phases(response, job.display)
        if job.fail:
            response.raise_for_status()
    return ExitCode.OK


def _deliver(response: Response[Any], output: str | None, fail: bool, display: Display) -> None:
    """Writes the content where it belongs: to the file, unless it is no more than the news of a failure."""
    on_terminal = not display.raw and (sys.stdout.isatty() or display.color == "always")
    paint = Paint(on_terminal and has_colors(display.color, sys.stdout))
    if response.request.method in _ABOUT_THE_HEAD:
        _show_head(response, paint, display.raw)
    if output is not None and not (fail and exit_code_of_status(response.status)):
        store_content(response, output)
    elif on_terminal:
        show_content(response, paint)
    else:
        pass_content(response)


def _show_head(response: Response[Any], paint: Paint, raw: bool) -> None:
    from atomhttp._cli.heads import show_response

    lines = [*show_response(response, paint, "", redacted=not raw), ""]
    write_text("\n".join([*lines, ""] if response.request.method != "HEAD" else lines), sys.stdout)
    sys.stdout.flush()


# To standard error


def show_heads(response: Response[Any], display: Display) -> None:
    """With --verbose: what was sent and received."""
    if display.verbose:
        from atomhttp._cli.heads import show_exchange

        say("\n".join(show_exchange(response, _paint(display))))


def show_attempt(error: AtomHTTPError, display: Display) -> None:
    """With --verbose: what was sent, where nothing came back."""
    if display.verbose and error.request is not None:
        from atomhttp._cli.heads import show_attempts, show_request

        paint = _paint(display)
        # Over TLS the server would have chosen.
        version = "2" if error.request.outline.route.http2 == "only" else "1.1"
        say("\n".join([*show_request(error.request, paint, version=version), *show_attempts(error, paint)]))


def show_phases(response: Response[Any], display: Display) -> None:
    """With --timings: how long each phase took."""
    if display.timings:
        from atomhttp._cli.waterfall import show_timings

        say("\n".join(show_timings(response.timings, _paint(display), sys.stderr.encoding)))


def _paint(display: Display) -> Paint:
    return Paint(has_colors(display.color, sys.stderr))
