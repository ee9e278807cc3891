"""SyncAtomHTTP: the same client without an event loop, and the one-shot functions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from inspect import isawaitable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, overload

from atomhttp._assembly import BlockingDriver, Units, check_callback, run_awaitable
from atomhttp._deferred import Defer, Deferred, run_deferred
from atomhttp._model.abort import AbortSignal
from atomhttp._pipeline.content import ContentReader
from atomhttp._pipeline.dispatch import dispatch
from atomhttp._pipeline.response import Response
from atomhttp._pipeline.stream import SyncResponseStream
from atomhttp.client import (
    KNOWN_METHODS,
    ClientBase,
    call_arguments,
    data_options,
    form_options,
    params_options,
    upload_config,
)

if TYPE_CHECKING:
    from atomhttp._verbs import URL, AnyPath, ClientOptions, ConfigInput, DownloadOptions, SyncVerbs, UploadOptions
else:
    SyncVerbs = object

T = TypeVar("T")


class SyncAtomHTTP(ClientBase, SyncVerbs):
    """A synchronous HTTP client: AtomHTTP's verbs and options, without await.

    No thread and no event loop runs behind it: the calling thread waits for its own sockets. It may be shared by
    threads, and used inside a running event loop (which it blocks meanwhile). Bodies and callbacks must not await
    anything that needs an event loop.

    Args:
        config: options, as a mapping or a RequestConfig.
        options: options by keyword, in either spelling; they win.

    Raises:
        AtomHTTPOptionError: an unknown option, or a value of the wrong kind.
    """

    def __init__(self, config: ConfigInput = None, /, **options: Unpack[ClientOptions]) -> None:
        super().__init__(config, **options)
        self.__dict__["_units"] = Units(getattr(self._adapter, "drop", _drop_nothing))

    _units: Units

    if not TYPE_CHECKING:  # their types are those of SyncVerbs

        def request(self, method=None, url=None, /, *extra, config=None, **options):
            """Sends a request: `request(config)`, or `request(method, url, **options)`. Every verb comes through here.

            Raises:
                AtomHTTPError: see `atomhttp.errors`; no status raises unless `validateStatus` refuses it.
            """
            plan = self._settings["_plan"] or self._current_plan()
            if extra or type(method) is not str:
                method, url, config = call_arguments(method, url, extra, config)
            if method is not None and method not in KNOWN_METHODS:
                options["method"], method = method, None
            return self._units.run(lambda unit: dispatch(plan, method, url, config, options, self._adapter, unit, self))

        def get(self, url, params=None, *extra, **options):
            """GET: retrieve (RFC 9110 section 9.3.1)."""
            if params is not None or extra:
                params_options("get", params, extra, options)
            if not options:
                # Nothing to unpack and to pack again: a third of what it costs to pass a call on.
                return self.request("GET", url)
            return self.request("GET", url, **options)

        def delete(self, url, params=None, *extra, **options):
            """DELETE: remove (RFC 9110 section 9.3.5)."""
            return self.request("DELETE", url, **params_options("delete", params, extra, options))

        def head(self, url, params=None, *extra, **options):
            """HEAD: GET without content (RFC 9110 section 9.3.2)."""
            return self.request("HEAD", url, **params_options("head", params, extra, options))

        def options(self, url, params=None, *extra, **options):
            """OPTIONS: what can be done here (RFC 9110 section 9.3.7)."""
            return self.request("OPTIONS", url, **params_options("options", params, extra, options))

        def post(self, url, data=None, *extra, **options):
            """POST: process the content (RFC 9110 section 9.3.3)."""
            return self.request("POST", url, **data_options("post", data, extra, options))

        def put(self, url, data=None, *extra, **options):
            """PUT: replace (RFC 9110 section 9.3.4)."""
            return self.request("PUT", url, **data_options("put", data, extra, options))

        def patch(self, url, data=None, *extra, **options):
            """PATCH: change in part (RFC 5789)."""
            return self.request("PATCH", url, **data_options("patch", data, extra, options))

        def query(self, url, data=None, *extra, **options):
            """QUERY: a safe request with content (RFC 10008)."""
            return self.request("QUERY", url, **data_options("query", data, extra, options))

        def post_form(self, url, data=None, *extra, **options):
            """POST of a multipart form: a FormData, or what `to_form_data` makes one of."""
            return self.request("POST", url, **form_options("post_form", data, extra, options))

        def put_form(self, url, data=None, *extra, **options):
            """PUT of a multipart form."""
            return self.request("PUT", url, **form_options("put_form", data, extra, options))

        def patch_form(self, url, data=None, *extra, **options):
            """PATCH of a multipart form."""
            return self.request("PATCH", url, **form_options("patch_form", data, extra, options))

    def _open_stream(self, reader: ContentReader, driver: BlockingDriver) -> SyncResponseStream:
        # The stream holds on to the client: one that was dropped would close the connection under it.
        stream = SyncResponseStream(reader, self._run)
        # In this order: somebody closes it, whatever comes in between.
        reader.hand_over()
        return stream

    def _run(self, start: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        return self._units.run(start)

    # Files

    def download(
        self,
        url: URL,
        path: AnyPath,
        *,
        resume: bool = True,
        checksum: str | None = None,
        **options: Unpack[DownloadOptions],
    ) -> Response[Path]:
        """Downloads into a file, whole or not at all: it gets its name when everything is there.

        Arguments, result and errors are those of `AtomHTTP.download`. For several files at once let threads share the
        client.
        """
        from atomhttp._pipeline.download import download  # with hashlib and json, 10 ms of every start

        return run_awaitable(download(_SyncHands(self), self.get_uri, url, path, resume, checksum, {**options}))

    def upload(
        self,
        url: URL,
        path: AnyPath,
        *,
        method: str | None = None,
        field: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Response[Any]:
        """Uploads a file: as the content of a PUT, or as a field of a multipart form that is POSTed.

        Arguments, result and errors are those of `AtomHTTP.upload`.
        """
        return self.request(upload_config(self, url, path, method, field, {**options}))

    # Together

    defer = Defer()

    @overload
    def all(
        self, tasks: Iterable[Deferred[T]], limit: int | None = None, return_exceptions: Literal[False] = False
    ) -> list[T]: ...
    @overload
    def all(
        self, tasks: Iterable[Deferred[T]], limit: int | None = None, *, return_exceptions: bool
    ) -> list[T | Exception]: ...
    def all(self, tasks: Iterable[Any], limit: int | None = None, return_exceptions: bool = False) -> list[Any]:
        """Sends deferred calls together, on this thread: `client.all([client.defer.get('/a'), …])`.

        Returns their results, in order. The first error ends it: the other calls are broken off, those that were not
        sent never are; then that error is raised.

        A subclass that overrides `request`, or another verb, sees every call; but its code has to have the response
        before it goes on, so its calls are made one after the other, in order. Interceptors do not cost that.

        Args:
            tasks: any iterable of what `client.defer` gives, each sent anew every time, and of values.
            limit: how many calls are under way at once, at most; None for all. `maxConnections` holds all the same.
            return_exceptions: errors are results, and do not end the others. A KeyboardInterrupt always does.

        Raises:
            AtomHTTPOptionError: an argument is of the wrong kind, or a call was deferred by another client.
        """
        return run_deferred(self, tasks, limit, return_exceptions)

    @overload
    @staticmethod
    def spread(callback: Callable[..., Awaitable[T]], *responses: Any) -> T: ...
    @overload
    @staticmethod
    def spread(callback: Callable[..., T], *responses: Any) -> T: ...
    @staticmethod
    def spread(callback: Callable[..., Any], *responses: Any) -> Any:
        """`callback(*responses)`, run to its end if it is asynchronous: its result.

        Raises:
            AtomHTTPOptionError: `callback` cannot be called.
            RuntimeError: it awaited something that needs an event loop.
        """
        check_callback(callback)
        result = callback(*responses)
        return run_awaitable(result) if isawaitable(result) else result

    # Life

    def close(self) -> None:
        """Closes the client's connections. Calls in other threads and later ones raise AtomHTTPClosedError."""
        if not self._closed:
            self._closed = True
            self.defaults.__dict__["_plan"] = None
            if self._owns_adapter:
                self._units.run(lambda _: self._adapter.close())
            self._units.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    if not TYPE_CHECKING:  # to a type checker there is no such `with` either

        async def __aenter__(self):
            raise TypeError("SyncAtomHTTP is synchronous: use 'with', or AtomHTTP with 'async with'")

        async def __aexit__(self, *exc_info):
            """Never reached; `async with` looks for it before it enters."""


class _SyncHands:
    """What a download needs to have done, by the calling thread: its coroutine never has to wait."""

    def __init__(self, client: SyncAtomHTTP) -> None:
        self._client = client
        self._get: Callable[..., Response[Any]] = client.get
        self.defaults = client.defaults

    async def fetch(self, url: Any, options: Mapping[str, Any]) -> Response[Any]:
        return self._get(url, **options)

    async def read(self, stream: SyncResponseStream, most: int) -> list[bytes]:
        return self._client._run(lambda unit: stream._read_available(unit, most))

    async def close(self, stream: SyncResponseStream) -> None:
        stream.close()

    async def work(self, function: Callable[..., T], *arguments: Any) -> T:
        return function(*arguments)

    async def sleep(self, seconds: float, signal: AbortSignal | None) -> None:
        if signal is None:
            self._client._run(lambda unit: unit.sleep(seconds))
        else:
            self._client._run(lambda unit: unit.abortable(unit.sleep(seconds), signal))


def _drop_nothing(reactor: Any) -> None:
    """For adapters that hold nothing of a unit's."""


# One-shots: a client for one call. Its connection is closed with it, or, for a stream, with the stream.

if TYPE_CHECKING:
    _client = SyncAtomHTTP()
    request, get, delete, head = _client.request, _client.get, _client.delete, _client.head
    options, post, put, patch, query = _client.options, _client.post, _client.put, _client.patch, _client.query
else:

    def _one_shot(verb):
        def send(*arguments, **options):
            client = SyncAtomHTTP()
            response = getattr(client, verb)(*arguments, **options)
            if not isinstance(response.data, SyncResponseStream):
                client.close()
            return response

        send.__name__ = send.__qualname__ = verb
        send.__doc__ = f"`SyncAtomHTTP().{verb}(…)`: one call with a client of its own."
        return send

    request, get, delete, head = map(_one_shot, ("request", "get", "delete", "head"))
    options, post, put, patch, query = map(_one_shot, ("options", "post", "put", "patch", "query"))
