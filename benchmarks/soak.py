"""`python -m benchmarks.soak [N]`: N requests, one in a hundred of them a fault, and what is left behind: nothing.

The server, in a process of its own, does what the path of a request asks for, so that each call knows what must come
of it: its own number in the reply, or one certain error. The calls come in rounds. After each round, when nothing is in
flight, memory, objects, sockets, tasks and timers are counted; a line is fitted through what comes behind the warm-up,
and its slope is what a request leaves behind.

Exit status 0: every reply was right, every line is flat, and nothing was left when the client had been closed.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import gc
import gzip
import importlib
import inspect
import json
import multiprocessing
import os
import platform
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from atomhttp import AbortController, AtomHTTP, AtomHTTPError, SyncAtomHTTP
from atomhttp._net.reactor import live_reactors
from benchmarks.origin import HOST, forget_proxies

ROUNDS = 100
# The share of the rounds in which caches fill and connections open.
WARM_UP = 0.2
# One request in so many is a fault.
FAULTS_IN = 100
# Seconds: how long the server holds back what it is slow with; a call that gives up; any other call.
SLOW, IMPATIENCE, PATIENCE = 0.02, 0.05, 30.0

PAGE = os.sysconf("SC_PAGE_SIZE")
PAD = "x" * 1000
PIECE = b"%08d|" % 0 + b"y" * 2000
PIECES = 8


# What is flat. Counts move without growing: a client remembers what it made of 1,000 URLs, and then forgets them all.


class Bound(NamedTuple):
    """A line is flat when a request adds no more than `slope`, as far as the scatter of the samples lets one tell.

    In a short run, which sees too little of the ups and downs, also when it rises by no more than `rise` in all.
    """

    slope: float
    rise: float
    unit: str


MIB = 1024 * 1024
BOUNDS = {
    "memory": Bound(1.0, 2 * MIB, "bytes"),
    "objects": Bound(0.001, 6000, "objects"),
    "sockets": Bound(0.0001, 40, "descriptors"),
    "tasks": Bound(0.0, 0.5, "tasks"),
    "timers": Bound(0.0, 2, "timers"),
}
# Requests.
SHORT = 20_000
# A slope is told from none when it is so many times its standard error.
CERTAIN = 3.0


# The server


class Speaker(asyncio.Protocol):
    """One connection of the server. A path is `/what/number`."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._requests = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while (end := buffer.find(b"\r\n\r\n") + 4) > 3:
            head = bytes(buffer[:end])
            size = 0
            if head.startswith(b"POST"):
                size = int(head[head.lower().index(b"content-length:") + 15 :].split(b"\r\n", 1)[0])
            if len(buffer) < end + size:
                return
            body = bytes(buffer[end : end + size])
            del buffer[: end + size]
            self._requests += 1
            _, what, number = head.split(b" ", 2)[1].split(b"/")
            self._ways[what.decode()](self, int(number), body)
            if self._transport.is_closing():
                return

    # Replies

    def _send(self, content: bytes, fields: str = "", status: int = 200, more: bytes = b"") -> None:
        head = f"HTTP/1.1 {status} X\r\n{fields}Content-Length: {len(content)}\r\n\r\n"
        self._transport.write(head.encode() + content + more)

    def _get(self, number: int, _body: bytes) -> None:
        self._send(b'{"n": %d}' % number, "Content-Type: application/json\r\n")

    def _post(self, _number: int, body: bytes) -> None:
        self._send(body, "Content-Type: application/json\r\n")

    def _page(self, number: int, _body: bytes) -> None:
        self._send(b"<p>%d</p>" % number + PAD.encode(), "Content-Type: text/html\r\n")

    def _gzip(self, number: int, _body: bytes) -> None:
        self._send(gzip.compress(b'{"n": %d, "pad": "%b"}' % (number, PAD.encode()), 1), "Content-Encoding: gzip\r\n")

    def _stream(self, number: int, _body: bytes) -> None:
        chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces_of(number)]
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        self._transport.write(head + b"".join(chunks) + b"0\r\nX-Number: %d\r\n\r\n" % number)

    def _redirect(self, number: int, _body: bytes) -> None:
        self._send(b"elsewhere", f"Location: /get/{number}\r\n", 302)

    def _cookie(self, number: int, _body: bytes) -> None:
        self._send(b'{"n": %d}' % number, f"Set-Cookie: c{number % 3}={number}; Path=/get\r\n")

    # Faults

    def _loop(self, number: int, _body: bytes) -> None:
        self._send(b"", f"Location: /loop/{number}\r\n", 302)

    def _unavailable(self, number: int, _body: bytes) -> None:
        self._send(b'{"n": %d}' % number, "", 503)

    def _surplus(self, number: int, _body: bytes) -> None:
        self._send(b'{"n": %d}' % number, more=b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"evil"')

    def _reset_head(self, _number: int, _body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Le")
        self._reset()

    def _cut_head(self, _number: int, _body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Le")
        self._transport.close()

    def _reset_body(self, _number: int, _body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + PAD.encode())
        # The kernel would take back what it has not delivered yet.
        self._later(self._reset)

    def _short_body(self, _number: int, _body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + PAD.encode())
        self._transport.close()

    def _short_chunks(self, _number: int, _body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        self._transport.close()

    def _garbage(self, _number: int, _body: bytes) -> None:
        self._transport.write(b"\x16\x03\x01 this is not HTTP\r\n\r\n")

    def _bad_gzip(self, _number: int, _body: bytes) -> None:
        self._send(b"not compressed", "Content-Encoding: gzip\r\n")

    def _close_idle(self, number: int, _body: bytes) -> None:
        self._get(number, b"")
        self._later(self._transport.close, only_when_idle=True)

    def _reset_idle(self, number: int, _body: bytes) -> None:
        self._get(number, b"")
        self._later(self._reset, only_when_idle=True)

    def _slow(self, number: int, _body: bytes) -> None:
        self._later(lambda: self._get(number, b""))

    def _stall(self, _number: int, _body: bytes) -> None:
        pass

    def _later(self, action: Callable[[], object], only_when_idle: bool = False) -> None:
        requests = self._requests

        def act() -> None:
            if not self._transport.is_closing() and (requests == self._requests or not only_when_idle):
                action()

        asyncio.get_running_loop().call_later(SLOW, act)

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()

    _ways: ClassVar[dict[str, Callable[[Speaker, int, bytes], None]]] = {
        "get": _get,
        "post": _post,
        "page": _page,
        "gzip": _gzip,
        "stream": _stream,
        "redirect": _redirect,
        "cookie": _cookie,
        "loop": _loop,
        "unavailable": _unavailable,
        "surplus": _surplus,
        "reset-head": _reset_head,
        "cut-head": _cut_head,
        "reset-body": _reset_body,
        "short-body": _short_body,
        "short-chunks": _short_chunks,
        "garbage": _garbage,
        "bad-gzip": _bad_gzip,
        "close-idle": _close_idle,
        "reset-idle": _reset_idle,
        "slow": _slow,
        "stall": _stall,
    }


def pieces_of(number: int) -> list[bytes]:
    return [b"%08d|" % number + PIECE[9:]] * PIECES


@dataclass(frozen=True)
class Origins:
    """Where the server listens, whom to trust, and a port where nobody does."""

    plain: str
    tls: str
    ca: str
    refused: str


@contextlib.contextmanager
def run_server() -> Iterator[Origins]:
    """The server for the time of the block."""
    import trustme  # not in the server's process, which imports this file too

    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="atomhttp-soak-") as name:
        directory = Path(name)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(directory / "ca.pem")
        authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(directory / "server.pem")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, str(directory / "server.pem")), daemon=True)
        process.start()
        theirs.close()
        try:
            plain, tls = ours.recv()
            with socket.socket() as nobody:
                # Bound and not listening: nobody else gets that port, and whoever dials it is refused.
                nobody.bind((HOST, 0))
                refused = f"http://{HOST}:{nobody.getsockname()[1]}"
                yield Origins(f"http://{HOST}:{plain}", f"https://{HOST}:{tls}", str(directory / "ca.pem"), refused)
        finally:
            ours.close()
            process.join(5)
            process.kill()


def serve(pipe: Connection, certificate: str) -> None:
    """The server's process: ends when the pipe does."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        plain = await loop.create_server(Speaker, HOST, 0, backlog=1024)
        tls = await loop.create_server(Speaker, HOST, 0, backlog=1024, ssl=context)
        # What a client does that breaks off is nothing to talk about.
        loop.set_exception_handler(lambda _loop, _context: None)
        pipe.send([server.sockets[0].getsockname()[1] for server in (plain, tls)])
        with contextlib.suppress(EOFError):
            await loop.run_in_executor(None, pipe.recv)

    with asyncio.Runner(loop_factory=find_loop("uvloop", required=False)) as runner:
        runner.run(run())


def find_loop(mode: str, required: bool = True) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes loops of that kind; None for asyncio's own."""
    if mode != "uvloop":
        return None
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ModuleNotFoundError:
        if required:
            raise SystemExit("soak: uvloop is not installed") from None
        return None
    return factory


# The calls. The text is the same for both clients: what the synchronous one gives needs no waiting for.


class WrongReplyError(Exception):
    """A call gave something else than what the server was asked for."""


async def settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


async def each(items: Any) -> AsyncIterator[Any]:
    if hasattr(items, "__aiter__"):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


class Calls:
    """What can be asked of the server, by a client of either kind. Each call checks what comes of it."""

    def __init__(self, client: Any, origins: Origins) -> None:
        self._client = client
        self._origins = origins
        self._is_sync = isinstance(client, SyncAtomHTTP)

    async def make(self, what: str, number: int, tls: bool) -> None:
        origin = self._origins.tls if tls else self._origins.plain
        await self._ways[what](self, f"{origin}/{what}/{number}", number)

    async def _number(self, url: str, number: int, **options: Any) -> None:
        response = await settled(self._client.get(url, **options))
        expect(response.status == 200 and response.data["n"] == number, response.data)

    async def _post(self, url: str, number: int) -> None:
        # With the key it may be sent again, when its connection turns out to have been closed.
        sent = {"n": number, "pad": PAD}
        response = await settled(self._client.post(url, sent, headers={"Idempotency-Key": str(number)}))
        expect(response.status == 200 and response.data == sent, response.data)

    async def _page(self, url: str, number: int) -> None:
        response = await settled(self._client.get(url))
        expect(response.data == f"<p>{number}</p>{PAD}", response.data)

    async def _stream(self, url: str, number: int) -> None:
        response = await settled(self._client.get(url, response_type="stream"))
        content = b"".join([piece async for piece in each(response.data)])
        expect(content == b"".join(pieces_of(number)), content)
        expect(response.trailers["x-number"] == str(number), response.trailers)

    async def _params(self, url: str, number: int) -> None:
        origin = url.partition("/params/")[0]
        await self._number(f"{origin}/get/{number}", number, headers={"X-Number": str(number)}, timeout=PATIENCE - 1)

    # Faults

    async def _unavailable(self, url: str, number: int) -> None:
        response = await settled(self._client.get(url))
        expect(response.status == 503 and response.data["n"] == number, response.data)

    async def _abandon(self, url: str, number: int) -> None:
        url = url.replace("/abandon/", "/stream/")
        response = await settled(self._client.get(url, response_type="stream"))
        piece = await settled(response.data.read(9))
        expect(piece == b"%08d|" % number, piece)
        await settled(response.data.close() if self._is_sync else response.data.aclose())

    async def _cancel(self, url: str, number: int) -> None:
        url = url.replace("/cancel/", "/slow/")
        if self._is_sync:
            # Nobody cancels a thread.
            await self._number(url, number)
            return
        task = asyncio.ensure_future(self._client.get(url))
        await asyncio.wait([task], timeout=SLOW * (number % 8) / 8)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _abort(self, url: str, number: int) -> None:
        controller = AbortController()
        url = url.replace("/abort/", "/stall/")
        if self._is_sync:
            timer = threading.Timer(SLOW, controller.abort)
            timer.start()
        else:
            asyncio.get_running_loop().call_later(SLOW, controller.abort)
        await self._fails("ERR_CANCELED", url, signal=controller.signal)

    async def _refused(self, _url: str, number: int) -> None:
        await self._fails("ECONNREFUSED", f"{self._origins.refused}/get/{number}")

    async def _limit(self, url: str, _number: int) -> None:
        await self._fails("ERR_MAX_CONTENT_LENGTH", url.replace("/limit/", "/gzip/"), maxContentLength=10)

    async def _fails(self, code: str, url: str, **options: Any) -> None:
        try:
            response = await settled(self._client.get(url, **options))
        except AtomHTTPError as error:
            if error.code != code:
                raise WrongReplyError(f"{url}: {code} was expected, not {error!r}") from error
        else:
            raise WrongReplyError(f"{url}: {code} was expected, not {response!r}")

    @staticmethod
    def _failing(code: str, **options: Any) -> Callable[[Calls, str, int], Any]:
        return lambda calls, url, _number: calls._fails(code, url, **options)

    _ways: ClassVar[dict[str, Callable[[Calls, str, int], Any]]] = {
        "get": _number,
        "post": _post,
        "page": _page,
        "gzip": _number,
        "stream": _stream,
        "redirect": _number,
        "cookie": _number,
        "params": _params,
        "unavailable": _unavailable,
        "surplus": _number,
        "close-idle": _number,
        "reset-idle": _number,
        "slow": _number,
        "loop": _failing("ERR_FR_TOO_MANY_REDIRECTS"),
        "reset-head": _failing("ECONNRESET"),
        "cut-head": _failing("ERR_BAD_RESPONSE"),
        "reset-body": _failing("ECONNRESET"),
        "short-body": _failing("ERR_BAD_RESPONSE"),
        "short-chunks": _failing("ERR_BAD_RESPONSE"),
        "garbage": _failing("ERR_BAD_RESPONSE"),
        "bad-gzip": _failing("ERR_BAD_RESPONSE"),
        "stall": _failing("ECONNABORTED", timeout=IMPATIENCE),
        "limit": _limit,
        "abandon": _abandon,
        "cancel": _cancel,
        "abort": _abort,
        "refused": _refused,
    }


# What is asked for how often, out of 20; an asterisk: over TLS.
USUAL = (
    *("get", "get", "get", "get", "get", "get", "params", "get*", "get*", "get*"),
    *("post", "post", "post*", "stream", "stream*", "gzip", "gzip*", "redirect", "cookie", "page"),
)
FAULTS = (
    *("reset-head", "cut-head", "reset-body", "short-body", "short-chunks", "garbage", "bad-gzip", "surplus"),
    *("close-idle", "reset-idle", "slow", "stall", "unavailable", "loop", "limit", "abandon", "cancel", "abort"),
    *("refused", "reset-head*", "reset-body*", "short-body*", "garbage*", "surplus*", "close-idle*", "abandon*"),
)


def choose(number: int, seed: int) -> tuple[str, bool]:
    """What request `number` asks for, and whether it is a fault: by its number alone, whoever makes it."""
    draw = zlib.crc32(b"%d" % number, seed)
    is_fault = draw % FAULTS_IN == 0
    names = FAULTS if is_fault else USUAL
    return names[draw // FAULTS_IN % len(names)], is_fault


def expect(is_right: bool, found: object) -> None:
    if not is_right:
        raise WrongReplyError(repr(found)[:500])


# Counting


@dataclass(frozen=True)
class Sample:
    """What there is after so many requests, while nothing is in flight."""

    requests: int
    memory: int
    objects: int
    sockets: int
    tasks: int
    timers: int


def take_sample(requests: int, tasks: int) -> Sample:
    gc.collect()
    reactors = list(live_reactors())
    return Sample(
        requests,
        memory=int(Path("/proc/self/statm").read_text().split()[1]) * PAGE,
        objects=len(gc.get_objects()),
        sockets=len(os.listdir("/proc/self/fd")),
        tasks=tasks,
        timers=sum(reactor.timer_count for reactor in reactors),
    )


@dataclass
class Settings:
    requests: int
    in_flight: int = 64
    mode: str = "asyncio"
    seed: int = 1


class Soak:
    """One run. `samples` and `faults` fill while it goes on; `left` has what was there after the client was closed."""

    def __init__(self, settings: Settings, origins: Origins) -> None:
        self.settings = settings
        self.origins = origins
        self.samples: list[Sample] = []
        self.faults: collections.Counter[str] = collections.Counter()
        self.left: dict[str, int] = {}
        self.seconds = 0.0

    def run(self) -> None:
        """Raises WrongReplyError, and whatever a call raises that it should not have raised."""
        if self.settings.mode == "sync":
            self._run_sync()
            return
        with asyncio.Runner(loop_factory=find_loop(self.settings.mode)) as runner:
            runner.run(self._run_async())

    def _rounds(self) -> Iterator[range]:
        requests = self.settings.requests
        rounds = min(ROUNDS, max(1, requests // 200))
        for number in range(rounds):
            yield range(requests * number // rounds, requests * (number + 1) // rounds)

    def _options(self) -> dict[str, Any]:
        return {"verify": self.origins.ca, "timeout": PATIENCE}

    async def _repeat(self, calls: Calls, numbers: Iterator[int]) -> None:
        for number in numbers:
            name, is_fault = choose(number, self.settings.seed)
            if is_fault:
                self.faults[name] += 1
            what = name.rstrip("*")
            try:
                await calls.make(what, number, tls=what != name)
            except AtomHTTPError as error:
                raise WrongReplyError(f"request {number}, {name}: {error!r}") from error

    async def _run_async(self) -> None:
        before = take_sample(0, len(asyncio.all_tasks()))
        async with AtomHTTP(**self._options()) as client:
            calls = Calls(client, self.origins)
            began = time.perf_counter()
            for numbers in self._rounds():
                shared = iter(numbers)
                async with asyncio.TaskGroup() as group:
                    for _ in range(self.settings.in_flight):
                        group.create_task(self._repeat(calls, shared))
                self.samples.append(take_sample(numbers.stop, len(asyncio.all_tasks())))
            self.seconds = time.perf_counter() - began
        # What was closed is let go of in the loop's next turns.
        await asyncio.sleep(SLOW)
        self._compare(before, take_sample(self.settings.requests, len(asyncio.all_tasks())))

    def _run_sync(self) -> None:
        with ThreadPoolExecutor(self.settings.in_flight) as threads:
            # So that all of them are there before anything is counted.
            barrier = threading.Barrier(self.settings.in_flight)
            list(threads.map(lambda _: barrier.wait(), range(self.settings.in_flight)))
            before = take_sample(0, threading.active_count())
            with SyncAtomHTTP(**self._options()) as client:
                calls = Calls(client, self.origins)
                began = time.perf_counter()
                for numbers in self._rounds():
                    shared = Shared(numbers)
                    made = [
                        threads.submit(run_by_hand, self._repeat(calls, shared)) for _ in range(self.settings.in_flight)
                    ]
                    for each_made in made:
                        each_made.result()
                    made.clear()
                    self.samples.append(take_sample(numbers.stop, threading.active_count()))
                self.seconds = time.perf_counter() - began
            self._compare(before, take_sample(self.settings.requests, threading.active_count()))

    def _compare(self, before: Sample, after: Sample) -> None:
        self.left = {
            name: getattr(after, name) - getattr(before, name)
            for name in ("sockets", "tasks", "timers")
            if getattr(after, name) > getattr(before, name)
        }


class Shared:
    """Numbers that several threads take turns at."""

    def __init__(self, numbers: range) -> None:
        self._numbers = iter(numbers)
        self._lock = threading.Lock()

    def __iter__(self) -> Shared:
        return self

    def __next__(self) -> int:
        with self._lock:
            return next(self._numbers)


def run_by_hand(coroutine: Any) -> None:
    """Runs what uses the synchronous client, which never makes it wait."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise AssertionError("the synchronous client made its caller wait")


# Judging


@dataclass(frozen=True)
class Line:
    """What became of one count: where the fitted line begins and ends, what a request adds, and how sure that is."""

    name: str
    first: float
    last: float
    slope: float
    error: float
    requests: float

    @property
    def is_flat(self) -> bool:
        bound = BOUNDS[self.name]
        if self.requests <= SHORT and self.last - self.first <= bound.rise:
            return True
        return self.slope - CERTAIN * self.error <= bound.slope


def fit_lines(samples: Sequence[Sample]) -> list[Line]:
    """A line for each count through the samples behind the warm-up: least squares."""
    measured = samples[int(len(samples) * WARM_UP) :]
    if len(measured) < 4:
        raise SystemExit(f"soak: {samples[-1].requests} requests are too few: nothing can be told from them")
    xs = [float(sample.requests) for sample in measured]
    return [fit_line(name, xs, [float(getattr(sample, name)) for sample in measured]) for name in BOUNDS]


def fit_line(name: str, xs: Sequence[float], ys: Sequence[float]) -> Line:
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    slope = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread
    fitted = [y_mean + slope * (x - x_mean) for x in xs]
    scatter = sum((y - z) ** 2 for y, z in zip(ys, fitted, strict=True)) / (len(xs) - 2)
    return Line(name, fitted[0], fitted[-1], slope, (scatter / spread) ** 0.5, xs[-1] - xs[0])


def problems_of(soak: Soak) -> list[str]:
    """What is wrong with a run whose replies were right."""
    found = [f"{line.name}: not flat" for line in fit_lines(soak.samples) if not line.is_flat]
    found += [f"{count} {name} left after the client was closed" for name, count in soak.left.items()]
    return found


def print_report(soak: Soak, problems: Sequence[str]) -> None:
    settings = soak.settings
    faults = sum(soak.faults.values())
    print(
        f"{settings.requests:,} requests, {settings.in_flight} in flight, {settings.mode}, seed {settings.seed}: "
        f"{soak.seconds:.1f} s, {settings.requests / soak.seconds:,.0f} a second, every reply right"
    )
    print(f"{faults:,} faults ({faults / settings.requests:.2%}): {', '.join(sorted(soak.faults))}")
    print(f"\n  {'':<10}{'begin':>14}{'end':>14}{'a request':>14}{'±':>10}{'flat below':>14}")
    for line in fit_lines(soak.samples):
        bound = BOUNDS[line.name]
        print(
            f"  {line.name:<10}{line.first:>14,.0f}{line.last:>14,.0f}{line.slope:>14.5f}"
            f"{line.error:>10.5f}{bound.slope:>14.5f} "
            f"{bound.unit}{'' if line.is_flat else '  NOT FLAT'}"
        )
    print("\n" + ("\n".join(problems) or "flat; nothing left after close"))


def as_document(soak: Soak, problems: Sequence[str]) -> dict[str, Any]:
    return {
        "machine": {"python": platform.python_version(), "system": platform.system(), "cpus": os.cpu_count()},
        "settings": asdict(soak.settings),
        "seconds": soak.seconds,
        "faults": dict(soak.faults),
        "lines": {line.name: {**asdict(line), "flat": line.is_flat} for line in fit_lines(soak.samples)},
        "left": soak.left,
        "problems": list(problems),
        "samples": [asdict(sample) for sample in soak.samples],
    }


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak", description="many requests, 1 % faults, and nothing left behind")
    parser.add_argument("requests", type=int, nargs="?", default=1_000_000, help="how many (default 1,000,000)")
    parser.add_argument("--mode", choices=("asyncio", "uvloop", "sync"), default="asyncio", help="default asyncio")
    parser.add_argument("--in-flight", type=int, help="requests at a time (default 64; sync: 8 threads)")
    parser.add_argument("--seed", type=int, default=1, help="which request does what (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample and line there")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 for a wrong reply, for what is not flat, and for what was left."""
    given = parse_arguments(arguments)
    settings = Settings(given.requests, given.in_flight or (8 if given.mode == "sync" else 64), given.mode, given.seed)
    forget_proxies()
    with run_server() as origins:
        soak = Soak(settings, origins)
        try:
            soak.run()
        except (WrongReplyError, ExceptionGroup) as error:
            # One task has failed, or all of them for the same reason: the first one says it.
            first = next(flatten(error))
            if not isinstance(first, WrongReplyError):
                raise first from None
            print(f"wrong: {first}", file=sys.stderr)
            return 1
    problems = problems_of(soak)
    print_report(soak, problems)
    if given.json:
        given.json.write_text(json.dumps(as_document(soak, problems), indent=1) + "\n")
    return 1 if problems else 0


def flatten(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from flatten(inner)
    else:
        yield error


if __name__ == "__main__":
    sys.exit(main())
