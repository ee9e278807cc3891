"""What atomhttp does, to look at: real requests against a small origin of this program's own, or against a URL.

    python demo/main.py
    python demo/main.py https://example.org/

Every line of code that is shown is the code that runs, and every figure is measured in this run.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import os
import platform
import shutil
import sys
import textwrap
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import atomhttp
from atomhttp import AtomHTTP, AtomHTTPError, Response, SyncAtomHTTP

SECONDS = 2.0  # of each measurement
IN_FLIGHT = 64
AT_ONCE = 100

# The examples. Their bodies are what the reader sees.


@dataclass
class Greeting:
    greeting: str
    target: str


def get(client: SyncAtomHTTP) -> Response[Any]:
    return client.get("/echo", params={"name": "Ada", "tag": ["a", "b"]}, headers={"X-Demo": "1"})


async def post(client: AtomHTTP) -> Response[Any]:
    return await client.post("/echo", {"name": "Ada", "born": 1815})


async def get_typed(client: AtomHTTP) -> Response[Greeting]:
    return await client.get("/hello", response_type=Greeting)


def get_by_unix_socket(client: SyncAtomHTTP, socket_path: str) -> Response[Any]:
    return client.get("/hello", socketPath=socket_path)


def get_trusted(client: SyncAtomHTTP, tls_url: str, ca: str) -> Response[Any]:
    return client.get(tls_url + "/hello", verify=ca)


def get_untrusted(client: SyncAtomHTTP, tls_url: str) -> Response[Any]:
    return client.get(tls_url + "/hello")


def get_late(client: SyncAtomHTTP) -> Response[Any]:
    return client.get("/after/5", timeout=0.25)


def get_refused(client: SyncAtomHTTP) -> Response[Any]:
    return client.get("/nowhere", validateStatus=True)


def get_misspelt(client: SyncAtomHTTP) -> Response[Any]:
    return client.get("/hello", time_out=5)  # type: ignore[call-overload, no-any-return]


async def get_many(client: AtomHTTP) -> list[Response[Any]]:
    return await asyncio.gather(*(client.get("/after/0.2") for _ in range(AT_ONCE)))


async def download(client: AtomHTTP, url: str, show: Callable[[int, int], None]) -> tuple[Response[Any], str]:
    loaded, digest = 0, hashlib.sha256()
    async with await client.get(url, response_type="stream") as response:
        total = int(response.headers.get("content-length", 0))
        async for piece in response.data:
            loaded += len(piece)
            digest.update(piece)
            show(loaded, total)
    return response, digest.hexdigest()


# The tours


def show_everything() -> bool:
    """All of it, against an origin that is started for it; whether everything was as it should be."""
    from origin import run_origin

    with run_origin() as origin, SyncAtomHTTP(baseURL=origin.url) as client:
        print(f"An origin of this program's own listens at {origin.url}, {origin.tls_url}", end="")
        print(f" and {origin.socket_path}" if origin.socket_path else "")
        print(f"client = SyncAtomHTTP(baseURL={origin.url!r}), and AtomHTTP with the same where there is an await")

        title("A request")
        code(get)
        show_response(get(client))

        is_intact = asyncio.run(show_async(origin.url))

        if origin.socket_path:
            title("Over a unix socket")
            code(get_by_unix_socket)
            show_response(get_by_unix_socket(client, origin.socket_path))

        title("TLS, trusting one private authority")
        code(get_trusted)
        first = get_trusted(client, origin.tls_url, origin.ca)
        show_response(first)

        title("Where the time went")
        show_timings("the request above", first)
        show_timings("the same again", get_trusted(client, origin.tls_url, origin.ca))

        title("Errors")
        for function, arguments in (
            (get_untrusted, (origin.tls_url,)),
            (get_late, ()),
            (get_refused, ()),
            (get_misspelt, ()),
        ):
            code(function)
            show_error(function, client, *arguments)

    # With new connections only: what was left open above is none of the measurement's business.
    with run_origin() as origin:
        show_throughput(origin.url + "/hello")
        print("    (client and origin share one Python process here; ./scripts/bench measures the client alone)")
    return is_intact


async def show_async(url: str) -> bool:
    """Returns whether the download was the one that was announced."""
    async with AtomHTTP(baseURL=url) as client:
        title("JSON, asynchronously")
        code(post)
        show_response(await post(client))

        title("Data of a type of yours")
        code(get_typed)
        print(f"    response.data  {(await get_typed(client)).data!r}")

        title("A download, as it arrives")
        code(download)
        bar = Bar()
        response, digest = await download(client, "/download", bar.show)
        bar.finish()
        is_intact = digest == response.headers["x-sha256"]
        print(f"    its SHA-256 is {'' if is_intact else 'NOT '}the one that was announced")

        title("Many at once")
        code(get_many)
        started = time.perf_counter()
        responses = await get_many(client)
        elapsed = time.perf_counter() - started
        alone = 0.2 * len(responses)
        print(
            f"    {len(responses)} answers that take 0.2 s each, in {elapsed:.2f} s ({alone:.1f} s one after the other)"
        )
    return is_intact


def show_url(url: str) -> None:
    """What can be shown of any server. Errors are the caller's."""
    with SyncAtomHTTP() as client:
        title("A request")
        print(f"    {paint('client.get(' + repr(url) + ')', CODE)}")
        first = client.get(url)
        show_response(first)
        title("Where the time went")
        show_timings("the request above", first)
        show_timings("the same again", client.get(url))
        title("Errors")
        code(get_misspelt)
        show_error(get_misspelt, client)
    asyncio.run(show_url_async(url))
    if urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1"):
        show_throughput(url)
    else:
        print("\n(The throughput is measured against this machine's own servers only.)")


async def show_url_async(url: str) -> None:
    async with AtomHTTP() as client:
        title("As it arrives")
        code(download)
        bar = Bar()
        await download(client, url, bar.show)
        bar.finish()
        title("Eight at once")
        started = time.perf_counter()
        responses = await asyncio.gather(*(client.get(url) for _ in range(8)))
        elapsed = time.perf_counter() - started
        statuses = ", ".join(str(response.status) for response in responses)
        print(f"    {statuses} in {elapsed * 1e3:.0f} ms")


def show_throughput(url: str) -> None:
    title("Throughput on this machine")
    show_rate("sync, one at a time", count_sync(url))
    show_rate(f"async, {IN_FLIGHT} in flight", asyncio.run(count_async(url)))


class Tally:
    """Requests sent in `SECONDS`, and those that failed: a small server may not take so many at once."""

    def __init__(self) -> None:
        self.sent = self.failed = 0
        self.seconds = 0.0
        self._started = time.perf_counter()

    def is_running(self) -> bool:
        self.seconds = time.perf_counter() - self._started
        return self.seconds < SECONDS


def count_sync(url: str) -> Tally:
    with SyncAtomHTTP(timeout=3) as client:
        tally = Tally()
        while tally.is_running():
            try:
                client.get(url)
                tally.sent += 1
            except AtomHTTPError:
                tally.failed += 1
        return tally


async def count_async(url: str) -> Tally:
    async def send() -> None:
        while tally.is_running():
            try:
                await client.get(url)
                tally.sent += 1
            except AtomHTTPError:
                tally.failed += 1

    async with AtomHTTP(timeout=3) as client:
        tally = Tally()
        await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))
        return tally


# What it looks like

IS_TERMINAL = sys.stdout.isatty()
HAS_COLOUR = IS_TERMINAL and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
WIDTH = min(shutil.get_terminal_size().columns, 100)
TITLE, CODE, GOOD, BAD, FAINT = "1", "36", "32", "31", "2"
PHASES = ("blocked", "dns", "connect", "ssl", "send", "wait", "receive")


def paint(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if HAS_COLOUR else text


def title(text: str) -> None:
    print(f"\n{paint(text, TITLE)} {paint('─' * (WIDTH - len(text) - 1), FAINT)}")


def code(function: Callable[..., object]) -> None:
    """The body of an example, as it stands above; what it returns is shown if that is all it does."""
    lines = textwrap.dedent("".join(inspect.getsourcelines(function)[0][1:])).splitlines()
    for line in lines:
        if len(lines) == 1 or not line.startswith("return "):
            print(f"    {paint(line.partition('  # type: ignore')[0].removeprefix('return '), CODE)}")


def show_response(response: Response[Any]) -> None:
    status = f"{response.status} {response.status_text}"
    print(f"    {paint(status, GOOD if response.ok else BAD)}  {shorten(response.url)}")
    for name in ("server", "content-type", "content-length", "location"):
        if name in response.headers:
            print(f"    {paint(name + ':', FAINT)} {shorten(response.headers[name])}")
    print(f"    {paint('response.data', FAINT)}  {type(response.data).__name__}")
    if response.data is not None:
        show_data(response.data)


def show_data(data: object) -> None:
    text = json.dumps(data, indent=2, ensure_ascii=False) if isinstance(data, (dict, list)) else str(data)
    lines = text.splitlines()
    for line in lines[:12]:
        print(f"      {shorten(line)}")
    if len(lines) > 12:
        print(f"      … {len(lines) - 12} more lines")


def shorten(text: str) -> str:
    most = WIDTH - 12
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return printable if len(printable) <= most else printable[: most - 1] + "…"


def show_error(function: Callable[..., object], *arguments: object) -> None:
    """The last line of the traceback that the example would end with."""
    try:
        function(*arguments)
    except AtomHTTPError as error:
        line = "".join(traceback.format_exception_only(error)).strip()
        for wrapped in textwrap.wrap(line, WIDTH - 1, initial_indent="    ", subsequent_indent="      "):
            print(paint(wrapped, BAD))
        more = [f"code={error.code!r}"]
        more += [f"{name}={getattr(error, name)!r}" for name in ("phase", "status") if getattr(error, name, None)]
        print(f"      {paint(', '.join(more), FAINT)}")
    else:
        raise AssertionError(f"{function.__name__} did not fail")


def show_timings(name: str, response: Response[Any]) -> None:
    """One line a phase, each where it began and as long as it took."""
    timings = response.timings
    total = timings.total or 1e-9
    print(f"    {name}: {timings.total * 1e3:.2f} ms")
    columns = WIDTH - 32
    begin = 0.0
    for phase in PHASES:
        seconds = getattr(timings, phase)
        if seconds > 0:
            offset = min(round(begin / total * columns), columns - 1)
            length = max(1, min(round(seconds / total * columns), columns - offset))
            bar = " " * offset + "█" * length
            print(f"      {phase:<8}{seconds * 1e3:>9.2f} ms  {paint(bar, CODE)}")
            begin += seconds


def show_rate(name: str, tally: Tally) -> None:
    seconds = tally.seconds
    failed = f", {tally.failed:,} failed" if tally.failed else ""
    print(f"    {name:<22} {tally.sent / seconds:>9,.0f} requests/s   ({tally.sent:,} in {seconds:.2f} s{failed})")


class Bar:
    """A progress bar: live on a terminal, one line at the end elsewhere."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._drawn = 0.0
        self._last = (0, 0)

    def show(self, loaded: int, total: int) -> None:
        self._last = (loaded, total)
        now = time.perf_counter()
        if IS_TERMINAL and now - self._drawn > 0.05:
            self._drawn = now
            print(f"\r{self._line()}", end="", flush=True)

    def finish(self) -> None:
        print(f"\r{self._line()}" if IS_TERMINAL else self._line())

    def _line(self) -> str:
        loaded, total = self._last
        seconds = max(time.perf_counter() - self._started, 1e-9)
        figures = f"{loaded / 1e6:7.2f} MB {loaded / 1e6 / seconds:7.1f} MB/s"
        if not total or loaded > total:  # of unknown size, or compressed on its way
            return f"    {figures}"
        done = WIDTH - 40
        full = round(done * loaded / total)
        return f"    {paint('█' * full, GOOD)}{paint('░' * (done - full), FAINT)} {loaded / total:4.0%} {figures}"


def main(arguments: list[str]) -> int:
    """0; 1 when the URL is none or cannot be reached, or a download is not what was announced; 2: wrong arguments."""
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print("usage: ./scripts/demo [URL]", file=sys.stderr)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    print(f"atomhttp {atomhttp.__version__}, {platform.python_implementation()} {platform.python_version()}")
    if not arguments:
        return 0 if show_everything() else 1
    try:
        show_url(arguments[0])
    except AtomHTTPError as error:
        sys.stdout.flush()
        print(f"\nThis URL cannot be shown, {error.code}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has seen enough; nothing may be written to it any more, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
