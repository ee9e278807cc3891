"""The adapter that calls an ASGI application in this process: Starlette, FastAPI, Django, Litestar, or one by hand.

Theory of operation. The application runs in an event loop: that of the caller, or, for synchronous clients, one in a
thread of the adapter's. Each request is a task there, with `receive` and `send`. The call and its application share an
`_Exchange`; whatever one of them changes there, the other is told of: the call by a waiter of its driver's, which any
thread can complete, the application by futures of its loop. Neither gets ahead of the other by more than a few pieces,
so that streams are streams both ways. A call ends when the application has returned: what that does after the response
(background tasks) is done by then, and what it raises has been seen.

A loop is all that is used of asyncio here, by its methods: the import is in `_net.drivers.aio`, as ever.
"""

from __future__ import annotations

import contextvars
import logging
import threading
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeAlias
from urllib.parse import unquote_to_bytes

from atomhttp._adapters.base import AdapterResponse, LocalResponse
from atomhttp._adapters.network_head import build_head
from atomhttp._adapters.network_response import closed_stream_error
from atomhttp._body.streamed import BYTES_LIKE
from atomhttp._model.checks import check_flag
from atomhttp._model.headers import Headers
from atomhttp._model.request import Request
from atomhttp._net.call import Call
from atomhttp._net.drivers import Waiter, aio
from atomhttp._net.pool import closed_error
from atomhttp.errors import AtomHTTPError, AtomHTTPOptionError, AtomHTTPProtocolError

_logger = logging.getLogger("atomhttp.connection")

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
SendMessage: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Any, Receive, SendMessage], Awaitable[None]]

# 2.3, as uvicorn: from 2.4 on frameworks rely on `send` failing, and do not look for a disconnect any more.
_VERSIONS: Final = {"version": "3.0", "spec_version": "2.3"}
# So much of a response may wait for its reader before the application has to, in bytes.
AHEAD: Final = 64 * 1024
# Pieces are handed out in this size at the most, in bytes.
PIECE: Final = 64 * 1024
# Seconds that an application has to heed that its client has gone, before it is cancelled.
GRACE: Final = 1.0
# Seconds that each `send` takes then: an application that does not look must not spin meanwhile.
PAUSE: Final = 0.1
_NO_CONTENT: Final = frozenset((204, 304))


class ASGIAdapter:
    """Has an ASGI application answer in this process, for AtomHTTP and SyncAtomHTTP alike.

    For a synchronous client the application runs in an event loop of its own, in a thread that ends with `close`. Close
    it by `async with`, `await adapter.close()`, or, with a synchronous client, by `with`: that is when the
    application's shutdown runs, and what it still does is ended. Clients do not close it.

    Args:
        app: the application.
        lifespan: whether the application's startup and shutdown are run: once an event loop, before its first request
            and by `close`. One that knows nothing of them does without.
        raise_app_exceptions: whether what the application raises is raised by the call, as it is. Otherwise it is a
            500, as a server's, or, once the response has begun, a connection that was cut off.
        client: the address that requests seem to come from.
        root_path: the path that the application is mounted at; part of the URL's path.
        state: what the application finds in its `state`, besides what its startup puts there.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: `app` is no application.
    """

    def __init__(
        self,
        app: Application,
        *,
        lifespan: bool = True,
        raise_app_exceptions: bool = True,
        client: tuple[str, int] = ("127.0.0.1", 123),
        root_path: str = "",
        state: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(app) or hasattr(app, "wsgi_app"):
            kind = "WSGI application" if hasattr(app, "wsgi_app") else type(app).__name__
            message = f"ASGIAdapter: app: expected an ASGI application, got a {kind}"
            raise AtomHTTPOptionError(message, "ERR_BAD_OPTION_VALUE")
        check_flag("ASGIAdapter: lifespan", lifespan)
        check_flag("ASGIAdapter: raise_app_exceptions", raise_app_exceptions)
        self.app = app
        self.raise_app_exceptions = raise_app_exceptions
        self._lifespan = lifespan
        scope = {"type": "http", "asgi": _VERSIONS, "http_version": "1.1", "root_path": root_path}
        self._scope: dict[str, Any] = {**scope, "client": tuple(client)}
        self._state = dict(state) if state is not None else None
        self._lock = threading.Lock()
        self._closed = False
        self._hosts: dict[Any, _Host] = {}
        self._threads: list[aio.LoopThread] = []
        self._finalizer = weakref.finalize(self, _stop_threads, self._threads)

    async def send(self, request: Request, /) -> AdapterResponse:
        """See `Adapter`.

        Raises:
            AtomHTTPTimeoutError, AtomHTTPClosedError; with `raise_app_exceptions`, whatever the application raises.
            RuntimeError: the application broke the rules of ASGI, or its startup failed.
        """
        # What the network would refuse to send is refused here as well.
        head = build_head(request)
        driver = request.driver
        host = self._find_host(driver)
        scope = {**self._scope, **_describe(request, head)}
        exchange = _Exchange(host, request, scope, self.raise_app_exceptions)
        # It must not retire between two waits.
        driver.join()
        try:
            return await exchange.run()
        finally:
            driver.leave(stay=True)

    def _find_host(self, driver: Any) -> _Host:
        """The application in the event loop of `driver`, or in that of our thread."""
        with self._lock:
            if self._closed:
                raise closed_error()
            for loop in [loop for loop in self._hosts if loop.is_closed()]:
                del self._hosts[loop]
            loop = getattr(driver, "loop", None) or self._thread_loop()
            host = self._hosts.get(loop)
            if host is None:
                host = self._hosts[loop] = _Host(self.app, loop, self._lifespan, self._state)
            return host

    def _thread_loop(self) -> Any:
        if not self._threads or not self._threads[-1].is_alive:
            self._threads.append(aio.LoopThread())
        return self._threads[-1].loop

    async def close(self) -> None:
        """Ends what the application still does, and runs its shutdown. Calls in flight get AtomHTTPClosedError; twice
        is fine.

        Raises:
            RuntimeError: the application's shutdown failed.
        """
        await self._close(blocking=False)

    async def _close(self, blocking: bool) -> None:
        with self._lock:
            self._closed = True
            if blocking and any(map(aio.runs_here, self._hosts)):
                raise RuntimeError("this application runs in the event loop of this thread: await adapter.close()")
            hosts, self._hosts = self._hosts, {}
        try:
            for loop, host in hosts.items():
                await aio.run_in_loop(loop, host.close, blocking)
        finally:
            self._finalizer()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            # It blocks where it waits: there is nothing to come back to.
            self._close(blocking=True).send(None)
        except StopIteration:
            return

    def __repr__(self) -> str:
        return f"<ASGIAdapter of {getattr(self.app, '__name__', type(self.app).__name__)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an ASGIAdapter holds a running application, and cannot be copied or pickled")


def _stop_threads(threads: list[aio.LoopThread]) -> None:
    while threads:
        threads.pop().stop()


def _describe(request: Request, head: bytes) -> dict[str, Any]:
    """What the scope says of one request."""
    target = request.target
    raw_path, _, query = target.path.partition("?")
    lines = (line.partition(b": ") for line in head.split(b"\r\n")[1:-2])
    return {
        "method": request.method,
        "scheme": target.scheme,
        "path": unquote_to_bytes(raw_path).decode(errors="replace"),
        "raw_path": raw_path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "headers": [(name.lower(), value) for name, _, value in lines],
        "server": (target.host, target.port),
    }


class _Changes:
    """Where coroutines of one event loop wait for something to change."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._waiting: set[Any] = set()

    async def until(self, condition: Callable[[], Any]) -> None:
        """Waits until `condition()` holds."""
        while not condition():
            future = self._loop.create_future()
            self._waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)

    def tell(self) -> None:
        """Something has changed. In the loop's own thread."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)


# The application in one event loop


class _Host:
    """The application in one event loop: its lifespan, and the tasks of its requests. Everything runs in that loop,
    except what says otherwise."""

    def __init__(self, app: Application, loop: Any, lifespan: bool, state: dict[str, Any] | None) -> None:
        self.app = app
        self.loop = loop
        self.closed = False
        self._tasks: set[Any] = set()
        self._changes = _Changes(loop)
        self._lifespan = _Lifespan(app, loop, state or {}) if lifespan else None
        self._state = state

    async def prepare(self) -> dict[str, Any]:
        """Runs the startup, unless that has been done. What it adds to the scope of a request.

        Raises:
            RuntimeError: the startup failed.
        """
        if self._lifespan is None:
            return {} if self._state is None else {"state": dict(self._state)}
        await self._lifespan.start()
        return {"state": dict(self._lifespan.state)}

    def start(self, coroutine: Coroutine[Any, Any, None], context: contextvars.Context, done: Any) -> Any:
        """Starts a task; `done(task)` is called when it has ended."""
        task = self.loop.create_task(coroutine, context=context)
        self._tasks.add(task)

        def on_done(task: Any) -> None:
            self._tasks.discard(task)
            self._changes.tell()
            done(task)

        task.add_done_callback(on_done, context=contextvars.Context())
        return task

    async def close(self) -> None:
        """Ends everything."""
        self.closed = True
        for task in self._tasks:
            task.cancel()
        await self._changes.until(lambda: not self._tasks)
        if self._lifespan is not None:
            await self._lifespan.stop()


class _Lifespan:
    """The application's startup and shutdown (ASGI: lifespan protocol)."""

    def __init__(self, app: Application, loop: Any, state: dict[str, Any]) -> None:
        self.state = dict(state)
        self._app = app
        self._loop = loop
        self._changes = _Changes(loop)
        self._task: Any = None
        # The messages that have been received from the application, by type.
        self._said: dict[str, Message] = {}
        self._asked: list[str] = []
        self._told = 0
        self._ended = False
        self._error: BaseException | None = None

    async def start(self) -> None:
        """Runs the startup once, however many wait for it.

        Raises:
            RuntimeError: it failed.
        """
        if self._task is None:
            self._ask("lifespan.startup")
            # No caller's context: it stands for as long as the application does.
            self._task = self._loop.create_task(self._run(), context=contextvars.Context())
        await self._changes.until(lambda: self._ended or self._said)
        self._check("startup")

    async def stop(self) -> None:
        """Runs the shutdown, if there was a startup.

        Raises:
            RuntimeError: it failed.
        """
        if self._task is None:
            return
        if "lifespan.startup.complete" in self._said and not self._ended:
            self._ask("lifespan.shutdown")
            outcomes = ("lifespan.shutdown.complete", "lifespan.shutdown.failed")
            await self._changes.until(lambda: self._ended or any(each in self._said for each in outcomes))
        timer = self._loop.call_later(GRACE, self._task.cancel)
        await self._changes.until(lambda: self._ended)
        timer.cancel()
        if "lifespan.startup.complete" in self._said:
            self._check("shutdown")

    def _check(self, phase: str) -> None:
        failed = self._said.get(f"lifespan.{phase}.failed")
        if failed is not None:
            message = str(failed.get("message", "")).strip() or "without a word"
            raise RuntimeError(f"the application's {phase} failed: {message}") from self._error
        if self._error is not None and f"lifespan.{phase}.complete" not in self._said:
            if phase == "shutdown":
                raise RuntimeError(f"the application's shutdown failed: {self._error!r}") from self._error
            # As servers do: one that knows nothing of it may refuse it.
            _logger.debug("the application has no lifespan: %r", self._error)

    def _ask(self, message: str) -> None:
        self._asked.append(message)
        self._changes.tell()

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": _VERSIONS, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:
            self._error = error
        finally:
            self._ended = True
            self._changes.tell()

    async def _receive(self) -> Message:
        await self._changes.until(lambda: len(self._asked) > self._told)
        self._told += 1
        return {"type": self._asked[self._told - 1]}

    async def _send(self, message: Message) -> None:
        kind = str(message["type"])
        phase = self._asked[-1].rpartition(".")[2]
        if kind not in (f"lifespan.{phase}.complete", f"lifespan.{phase}.failed") or kind in self._said:
            raise RuntimeError(f"ASGI: {kind!r} was sent where {phase} is under way")
        self._said[kind] = message
        self._changes.tell()


# One request


class _Exchange:
    """One request and its application: what either tells the other.

    The call's side runs where its driver waits, the application's in its loop; these may be two threads. What both
    touch is changed under the lock.
    """

    def __init__(self, host: _Host, request: Request, scope: dict[str, Any], raises: bool) -> None:
        outline = request.outline
        self.call = Call(request.driver, outline.timeout, request.started, request.deadline, outline.target)
        self.host = host
        self._request = request
        self._scope = scope
        self._raises = raises
        self._in_thread = getattr(request.driver, "loop", None) is not host.loop
        self._lock = threading.Lock()
        # Tells the call that something has changed, when it waits.
        self._alarm: Callable[[], None] | None = None
        self._changes = _Changes(host.loop)
        self._task: Any = None
        # The request
        self._sent: deque[bytes] = deque()
        self._sent_all = False
        self._all_received = False
        # The response
        self._head: LocalResponse | None = None
        self._pieces: deque[bytes] = deque()
        self._buffered = 0
        self._left: int | None = None
        self._complete = False
        self._has_content = True
        # The ends
        self._ended = False
        self._error: BaseException | None = None
        self._gone = False

    # The call's side

    async def run(self) -> AdapterResponse:
        """The response, whole, or with content to be read."""
        context = contextvars.copy_context()
        if self._in_thread:
            self.host.loop.call_soon_threadsafe(self._start, context)
        else:
            self._start(context)
        try:
            await self._send_content()
            self.call.enter("headers", self.call.timeout.read)
            await self._until(lambda: self._head is not None or self._ended)
            response = self._head or self._respond_without_head()
            response.waited = self.call.driver.now() - self.call.started
            content = _Content(self)
            if self._request.outline.streaming:
                response.body = content
                content.open()
            else:
                response.body = await self._read_all(content, response)
        except BaseException:
            self.leave()
            raise
        return response

    async def _read_all(self, content: _Content, response: AdapterResponse) -> bytes:
        pieces: list[bytes] = []
        try:
            while piece := await content.read(self.call.driver):
                pieces.append(piece)
        except BaseException as error:
            failure: Any = error
            if hasattr(failure, "received"):
                # It had begun: what it said so far may explain why it broke off.
                failure.received = AdapterResponse(response.status, response.headers)
            raise
        return b"".join(pieces)

    async def _send_content(self) -> None:
        """Hands the content to the application as that takes it, until it is all there or the answer has begun."""
        body = self._request.body
        if isinstance(body, bytes):
            self._sent.append(body)
            self._sent_all = True
            self._tell_app()
            return
        self.call.enter("write", self.call.timeout.write)
        length, size = body.length, 0
        reader = body.open()
        try:
            while not self._is_answered:
                piece = await reader.read()
                if not piece:
                    break
                size += len(piece)
                if length is not None and size > length:
                    raise _bad_length(f"longer than its Content-Length of {length} bytes")
                with self._lock:
                    self._sent.append(piece)
                self._tell_app()
                await self._until(lambda: not self._sent or self._is_answered)
            else:
                await reader.settle()
                return
        except TimeoutError as error:
            now = self.call.driver.now()
            if type(error) is not TimeoutError or self.call.deadline is None or now < self.call.deadline:
                raise
            raise self.call.timeout_error(now) from None
        finally:
            reader.close()
        if length is not None and size != length:
            raise _bad_length(f"{size} bytes, shorter than its Content-Length of {length}")
        self._sent_all = True
        self._tell_app()

    @property
    def _is_answered(self) -> bool:
        return self._head is not None or self._ended

    def _respond_without_head(self) -> LocalResponse:
        """The application has ended before it began to answer."""
        self._raise_error()
        if self._error is None:
            error = RuntimeError("ASGI: the application has ended without a response")
            if self._raises:
                raise error
            self._error = error
        _logger.debug("the application failed", exc_info=self._error)
        text = b"Internal Server Error"
        self._pieces.append(text)
        self._complete = True
        return LocalResponse(
            500, {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(text))}, http_version="1.1"
        )

    def _raise_error(self) -> None:
        error = self._error
        if error is not None and (self._raises or isinstance(error, _StartupError) or self.host.closed):
            if isinstance(error, AtomHTTPError):
                # Of a client inside the application: it says nothing about this request, and nothing is retried for it.
                error.from_caller = True
            raise error.reason if isinstance(error, _StartupError) else error

    async def read(self) -> bytes:
        """The next piece of the response's content; b"" when the application has ended."""
        await self._until(lambda: self._pieces or self._ended)
        piece = self._take()
        if piece:
            self._tell_app()
            return piece
        self._raise_error()
        if not self._complete:
            raise AtomHTTPProtocolError("the application ended inside its response", request_sent="yes")
        if self._left:
            message = f"the application ended {self._left} bytes before the end of the response"
            raise AtomHTTPProtocolError(message, request_sent="yes")
        return b""

    def _take(self) -> bytes:
        with self._lock:
            if not self._pieces:
                return b""
            piece = self._pieces.popleft()
            if len(piece) > PIECE:
                self._pieces.appendleft(piece[PIECE:])
                piece = piece[:PIECE]
            self._buffered -= len(piece)
            return piece

    async def _until(self, condition: Callable[[], Any]) -> None:
        """Waits until `condition()` holds, which the application changes.

        Raises:
            AtomHTTPTimeoutError.
        """
        driver = self.call.driver
        while True:
            with self._lock:
                if condition():
                    return
                waiter, alarm, disarm = self._build_alarm(driver)
                self._alarm = alarm
            try:
                await self.call.wait_for(waiter)
            finally:
                with self._lock:
                    unused = self._alarm is alarm
                    if unused:
                        self._alarm = None
                if unused:
                    disarm()

    def _build_alarm(self, driver: Any) -> tuple[Waiter, Callable[[], None], Callable[[], None]]:
        """A waiter, what completes it from the application's thread, and what is to be done if nobody does."""
        if self._in_thread:
            delivery = driver.delivery()
            return delivery.waiter, lambda: delivery.deliver(None, None), driver.reactor.calls_done
        waiter = driver.waiter()

        def ring() -> None:
            if not waiter.done():
                waiter.set_result(None)

        return waiter, ring, lambda: None

    def _tell_app(self) -> None:
        if not self._in_thread:
            self._changes.tell()
            return
        try:
            self.host.loop.call_soon_threadsafe(self._changes.tell)
        except RuntimeError:
            # The loop has closed, and with it the application.
            return

    def leave(self) -> None:
        """The call has gone, be it that it has all it wanted. From the call's side."""
        if self._gone:
            return
        self._gone = True
        if self._in_thread:
            try:
                self.host.loop.call_soon_threadsafe(self._on_leave)
            except RuntimeError:
                # The loop has closed, and with it the application.
                return
        else:
            self._on_leave()

    # The application's side

    def _start(self, context: contextvars.Context) -> None:
        if self.host.closed:
            self._end(closed_error())
            return
        self._task = self.host.start(self._run_app(), context, self._on_done)

    async def _run_app(self) -> None:
        try:
            self._scope.update(await self.host.prepare())
        except RuntimeError as error:
            raise _StartupError(error) from error
        await self.host.app(self._scope, self._receive, self._send)

    def _on_done(self, task: Any) -> None:
        error: BaseException | None
        if task.cancelled():
            error = closed_error() if self.host.closed else RuntimeError("the application was cancelled")
        else:
            error = task.exception()
            if error is not None and self._gone:
                _logger.warning("an application failed after its client had gone: %r", error)
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        with self._lock:
            self._error, self._ended = error, True
        self._ring()

    def _on_leave(self) -> None:
        """Tells the application, and cancels it if it does not heed that."""
        self._changes.tell()
        task = self._task
        if task is not None and not task.done():
            timer = self.host.loop.call_later(GRACE, task.cancel)

            def cancel(_: Any) -> None:
                timer.cancel()

            task.add_done_callback(cancel, context=contextvars.Context())

    def _ring(self) -> None:
        with self._lock:
            alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm()

    async def _receive(self) -> Message:
        """ASGI's receive."""
        await self._changes.until(
            lambda: self._gone or self._complete or (not self._all_received and (self._sent or self._sent_all))
        )
        if self._gone or self._complete or self._all_received:
            return {"type": "http.disconnect"}
        with self._lock:
            piece = self._sent.popleft() if self._sent else b""
            more = not self._sent_all or bool(self._sent)
        self._all_received = not more
        self._ring()
        return {"type": "http.request", "body": piece, "more_body": more}

    async def _send(self, message: Message) -> None:
        """ASGI's send."""
        kind = message["type"]
        if kind == "http.response.start":
            self._take_head(message)
        elif kind == "http.response.body":
            self._take_piece(message)
        else:
            raise RuntimeError(f"ASGI: {kind!r} is no message of an HTTP response")
        self._ring()
        if self._gone:
            # As for a server whose client has gone: nothing happens.
            pause = self.host.loop.create_future()
            timer = self.host.loop.call_later(PAUSE, _finish, pause)
            try:
                await pause
            finally:
                timer.cancel()
        else:
            await self._changes.until(lambda: self._buffered < AHEAD or self._gone)

    def _take_head(self, message: Message) -> None:
        if self._head is not None:
            raise RuntimeError("ASGI: http.response.start was sent a second time")
        status, headers = message["status"], _read_headers(message.get("headers", ()))
        if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 999:
            raise RuntimeError(f"ASGI: status: expected an int from 200 to 999, got {status!r}")
        head = LocalResponse(int(status), headers)
        self._has_content = self._request.method != "HEAD" and status not in _NO_CONTENT
        if self._has_content:
            self._left = head.content_length
        if self._left is None and status not in _NO_CONTENT and "content-length" not in headers:
            headers.set("Transfer-Encoding", "chunked")
        self._head = head

    def _take_piece(self, message: Message) -> None:
        if self._head is None:
            raise RuntimeError("ASGI: http.response.body was sent before http.response.start")
        if self._complete:
            raise RuntimeError("ASGI: http.response.body was sent after the end of the response")
        piece = message.get("body", b"")
        if not isinstance(piece, BYTES_LIKE):
            raise RuntimeError(f"ASGI: body: expected bytes, got {type(piece).__name__}")
        if self._left is not None:
            self._left -= len(piece)
            if self._left < 0:
                raise RuntimeError(f"ASGI: the response is {-self._left} bytes longer than its Content-Length")
        with self._lock:
            if piece and self._has_content and not self._gone:
                self._pieces.append(bytes(piece))
                self._buffered += len(piece)
            self._complete = not message.get("more_body", False)
        if self._complete:
            self._changes.tell()


class _StartupError(Exception):
    """The application could not be started: raised by every call, whatever is done with its exceptions."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _Content:
    """The content of a response, as the application sends it."""

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange
        self._call = exchange.call
        self._opened: Any = None
        self.exhausted = False
        # The longest gap between two pieces.
        self._gap = self._call.timeout.read
        self._call.enter("body")

    def open(self) -> None:
        """It is read when the call has ended: its driver stays until then."""
        self._opened = self._call.driver
        self._opened.join()
        gap = self._call.timeout.stream_gap
        if gap is not None:
            # A plain number bounds what comes before the content; from here on it is the longest gap.
            self._call.deadline = None
            self._gap = gap if self._gap is None else self._gap

    async def read(self, driver: Any, /) -> bytes:
        """See `Content`."""
        if self.exhausted:
            return b""
        call = self._call
        call.driver = driver
        call.enter("body", self._gap)
        try:
            piece = await self._exchange.read()
        except BaseException:
            self._end()
            raise
        if not piece:
            self.exhausted = True
            self._end()
        return piece

    def bound(self, deadline: float | None) -> None:
        """See `Content`."""
        self._call.deadline = deadline

    @property
    def broken(self) -> bool:
        """See `Content`."""
        return self._call.error is not None

    def close(self) -> None:
        """See `Content`."""
        if not self.exhausted:
            # A task that waits for the next piece is told.
            self._call.interrupt(closed_stream_error())
            self._end()

    def close_soon(self) -> None:
        """See `Content`."""
        driver = self._opened
        if driver is not None and not driver.is_closed():
            driver.call_soon(self.close)

    def _end(self) -> None:
        self._exchange.leave()
        driver, self._opened = self._opened, None
        if driver is not None:
            driver.leave()


def _read_headers(fields: Iterable[tuple[Any, Any]]) -> Headers:
    given: list[tuple[bytes, bytes]] = []
    for name, value in fields:
        if not isinstance(name, bytes) or not isinstance(value, bytes):
            raise RuntimeError(f"ASGI: headers: expected pairs of bytes, got {name!r}")
        given.append((name, value))
    return Headers.from_raw(given)


def _bad_length(message: str) -> AtomHTTPOptionError:
    return AtomHTTPOptionError(f"data: {message}", "ERR_BAD_OPTION_VALUE")


def _finish(future: Any) -> None:
    if not future.done():
        future.set_result(None)
