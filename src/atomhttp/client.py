"""AtomHTTP: the asynchronous client, and what it shares with the synchronous one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from errno import EISDIR
from inspect import isawaitable
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, TypeVar, Unpack, overload

from atomhttp._assembly import (
    PoolStats,
    build_adapter,
    built_in_headers,
    check_callback,
    closed_error,
    configure_adapter,
    run_all,
    running_driver,
)
from atomhttp._model.abort import AbortSignal
from atomhttp._model.config import Defaults, RequestConfig, given_options, merge_option
from atomhttp._model.cookies import CookieJar
from atomhttp._model.headers import Headers
from atomhttp._model.options import BY_NAME, CLIENT_OPTIONS, ELSEWHERE, check_options
from atomhttp._pipeline.content import ContentReader
from atomhttp._pipeline.dispatch import dispatch
from atomhttp._pipeline.interceptors import InterceptorManager
from atomhttp._pipeline.plan import Plan
from atomhttp._pipeline.response import Response
from atomhttp._pipeline.stream import ResponseStream
from atomhttp._redact import show_url
from atomhttp.errors import AtomHTTPOptionError, is_atomhttp_error
from atomhttp.form_data import FormData

if TYPE_CHECKING:
    from atomhttp._verbs import (
        URL,
        AnyPath,
        AsyncVerbs,
        CallOptions,
        ClientOptions,
        ConfigInput,
        Create,
        DownloadOptions,
        UploadOptions,
    )
else:
    AsyncVerbs = object

C = TypeVar("C", bound="ClientBase")
T = TypeVar("T")

# For isinstance. What passes stays Any (Final would undo that): of a bare `Mapping` pyright would not know the items.
_MAPPING: type[Any] = Mapping
_PATHS: tuple[type[Any], ...] = (str, PathLike)


class _Create:
    """`create`, on a client and on its class."""

    def __get__(self, client: C | None, cls: type[C]) -> Create[C]:
        def create(config: ConfigInput = None, /, **options: Unpack[ClientOptions]) -> C:
            """A new client with these options; of a client, over a copy of its defaults and on its adapter."""
            if client is None:
                return cls(config, **options)
            return client._derive(config, options)

        return create


class ClientBase:
    """Options, plan and adapter of a client. No I/O."""

    create = _Create()
    FormData = FormData
    is_atomhttp_error = staticmethod(is_atomhttp_error)

    def __init__(self, config: ConfigInput = None, /, **options: Unpack[ClientOptions]) -> None:
        state = self.__dict__
        self._set_defaults(Defaults(built_in_headers(), client_options(config, options)))
        state["_adapter"] = self.defaults.adapter or build_adapter(self.defaults)
        state["_owns_adapter"] = self.defaults.adapter is None
        state["_closed"] = False
        state["interceptors"] = InterceptorManager(self.defaults.touch)
        self._current_plan()

    defaults: Defaults
    # What the defaults are kept in: a plan is found here without asking for it by the other spelling first (0.1 µs).
    _settings: dict[str, Any]
    interceptors: InterceptorManager
    _closed: bool
    _owns_adapter: bool
    _adapter: Any

    def _set_defaults(self, defaults: Defaults) -> None:
        self.__dict__.update(defaults=defaults, _settings=defaults.__dict__)

    def _derive(self, config: Mapping[str, Any] | RequestConfig | None, options: Mapping[str, Any]) -> Self:
        child = type(self)()
        state = child.__dict__
        child._set_defaults(self.defaults.copied())
        state["interceptors"] = InterceptorManager(child.defaults.touch)
        for name, value in client_options(config, options).items():
            if name == "headers":
                child.defaults.headers.update(value)
            else:
                setattr(child.defaults, name, merge_option(name, getattr(child.defaults, name), value))
        if child.defaults.adapter is None:
            state["_adapter"], state["_owns_adapter"] = self._adapter, False
        child._current_plan()
        return child

    def _current_plan(self) -> Plan:
        """The plan for the defaults as they stand now.

        Raises:
            AtomHTTPClosedError: the client has been closed.
        """
        if self._closed:
            raise closed_error()
        plan: Plan | None = self.defaults._plan
        if plan is None:
            state = self.defaults.__dict__
            changes = state["_changes"]
            plan = state["_plan"] = Plan(self.defaults, self.interceptors.snapshot())
            if state["_changes"] != changes:
                # Another thread has set a default meanwhile: good for this call, not for the next.
                state["_plan"] = None
            if self._owns_adapter:
                configure_adapter(self._adapter, self.defaults)
        return plan

    @property
    def cookies(self) -> CookieJar:
        """The client's cookies; with `cookies=False` a jar that nothing is put in or taken from."""
        jar = self.defaults.jar
        return CookieJar() if jar is None else jar

    def pool_stats(self) -> PoolStats:
        """How the client's connections are doing: open, idle, waiting, reused; over all its event loops and threads.

        Clients that share an adapter share its connections. An adapter that keeps no such count says nothing but zeros.
        """
        stats = getattr(self.defaults.adapter or self._adapter, "pool_stats", None)
        return stats() if stats is not None else PoolStats()

    def get_uri(self, config: ConfigInput = None, /, **options: Unpack[CallOptions]) -> str:
        """The absolute URL that a request with these options would go to; nothing is sent.

        Raises:
            AtomHTTPURLError, AtomHTTPOptionError.
        """
        plan = self._current_plan()
        return plan.find_target(plan.build_config(None, None, config, options)).url

    def __setattr__(self, name: str, value: Any) -> None:
        if name in BY_NAME:
            raise AttributeError(f"a client has no {name!r}; did you mean client.defaults.{name}?")
        if name in ("defaults", "interceptors"):
            example = "client.defaults.timeout = 5" if name == "defaults" else "client.interceptors.request.use(…)"
            raise AttributeError(f"{name}: is changed, and not replaced: {example}")
        if name in ELSEWHERE and type(self).__module__.partition(".")[0] == "atomhttp":
            # A habit from another library, and without effect here. A subclass may call its own things what it likes.
            raise AttributeError(f"a client has no {name!r}; did you mean {ELSEWHERE[name]}? (client.defaults)")
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        base = show_url(self.defaults.base_url or "", 300)
        return f"<{type(self).__name__}{' ' + base if base else ''}{', closed' if self._closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a client holds connections and cannot be copied or pickled: use {type(self).__name__}.create()"
        )


def client_options(config: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """A client's options from a mapping (or RequestConfig) and keywords; keywords win."""
    given: dict[str, Any] = {}
    if isinstance(config, RequestConfig):
        given = {name: value for name, value in config.items() if name in CLIENT_OPTIONS}
    elif isinstance(config, _MAPPING):
        given = _without_layers(check_options(_with_layers(config), CLIENT_OPTIONS, "a client"), config)
    elif config is not None:
        raise AtomHTTPOptionError(
            f"config: expected a mapping or a RequestConfig, got {type(config).__name__}", "ERR_BAD_OPTION_VALUE"
        )
    given.update(_without_layers(check_options(_with_layers(options), CLIENT_OPTIONS, "a client"), options))
    return given


def _with_layers(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Header defaults may hold layers (`{'common': {…}}`), which no Headers could: checked when they are set."""
    return {**options, "headers": None} if isinstance(options.get("headers"), Mapping) else options


def _without_layers(checked: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(options.get("headers"), Mapping):
        checked["headers"] = options["headers"]
    return checked


def call_arguments(method: Any, url: Any, extra: tuple[Any, ...], config: Any) -> tuple[str | None, Any, Any]:
    """(method, url, config) from what `request` was given: a config, or a method and a url.

    Raises:
        AtomHTTPOptionError: anything else.
    """
    if extra:
        raise too_many("request(method, url)")
    if isinstance(method, (_MAPPING, RequestConfig)):
        if config is not None or isinstance(url, (Mapping, RequestConfig)):
            raise AtomHTTPOptionError(
                "request(config) takes one config; give more options as keywords", "ERR_BAD_OPTION"
            )
        return None, url, method
    return method, url, config


def too_many(call: str) -> AtomHTTPOptionError:
    """The error for axios's habit of a config as the last argument."""
    return AtomHTTPOptionError(f"{call}: one positional argument too many; did you mean config=?", "ERR_BAD_OPTION")


def check_params(params: Any) -> None:
    """`get(url, {'headers': {…}})` is axios's call; here it would become a query string, secrets and all.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION.
    """
    if isinstance(params, _MAPPING):
        for name in ("params", "headers", "data"):
            if isinstance(params.get(name), Mapping):
                raise AtomHTTPOptionError(
                    f"params: holds {name!r}, which looks like a config; did you mean config=?", "ERR_BAD_OPTION"
                )


class AtomHTTP(ClientBase, AsyncVerbs):
    """An asynchronous HTTP client.

    Args:
        config: options, as a mapping or a RequestConfig.
        options: options by keyword, in either spelling (`baseURL` or `base_url`); they win.

    Raises:
        AtomHTTPOptionError: an unknown option, or a value of the wrong kind.

    It works from any event loop and any thread, each with a pool of its own. Close it with `await client.close()` or
    `async with`; a client that is simply dropped closes its connections by itself.
    """

    if not TYPE_CHECKING:  # their types are those of AsyncVerbs

        async def request(self, method=None, url=None, /, *extra, config=None, **options):
            """Sends a request: `request(config)`, or `request(method, url, **options)`. Every verb comes through here.

            Raises:
                AtomHTTPError: see `atomhttp.errors`; no status raises unless `validateStatus` refuses it.
                RuntimeError: no event loop is running.
            """
            driver = running_driver()
            plan = self._settings["_plan"] or self._current_plan()
            if extra or type(method) is not str:
                method, url, config = call_arguments(method, url, extra, config)
            if method is not None and method not in KNOWN_METHODS:
                options["method"], method = method, None
            return await dispatch(plan, method, url, config, options, self._adapter, driver, self)

        async def get(self, url, params=None, *extra, **options):
            """GET: retrieve (RFC 9110 section 9.3.1)."""
            if params is not None or extra:
                params_options("get", params, extra, options)
            if not options:
                # Nothing to unpack and to pack again: a third of what it costs to pass a call on.
                return await self.request("GET", url)
            return await self.request("GET", url, **options)

        async def delete(self, url, params=None, *extra, **options):
            """DELETE: remove (RFC 9110 section 9.3.5)."""
            return await self.request("DELETE", url, **params_options("delete", params, extra, options))

        async def head(self, url, params=None, *extra, **options):
            """HEAD: GET without content (RFC 9110 section 9.3.2)."""
            return await self.request("HEAD", url, **params_options("head", params, extra, options))

        async def options(self, url, params=None, *extra, **options):
            """OPTIONS: what can be done here (RFC 9110 section 9.3.7)."""
            return await self.request("OPTIONS", url, **params_options("options", params, extra, options))

        async def post(self, url, data=None, *extra, **options):
            """POST: process the content (RFC 9110 section 9.3.3)."""
            return await self.request("POST", url, **data_options("post", data, extra, options))

        async def put(self, url, data=None, *extra, **options):
            """PUT: replace (RFC 9110 section 9.3.4)."""
            return await self.request("PUT", url, **data_options("put", data, extra, options))

        async def patch(self, url, data=None, *extra, **options):
            """PATCH: change in part (RFC 5789)."""
            return await self.request("PATCH", url, **data_options("patch", data, extra, options))

        async def query(self, url, data=None, *extra, **options):
            """QUERY: a safe request with content (RFC 10008)."""
            return await self.request("QUERY", url, **data_options("query", data, extra, options))

        async def post_form(self, url, data=None, *extra, **options):
            """POST of a multipart form: a FormData, or what `to_form_data` makes one of."""
            return await self.request("POST", url, **form_options("post_form", data, extra, options))

        async def put_form(self, url, data=None, *extra, **options):
            """PUT of a multipart form."""
            return await self.request("PUT", url, **form_options("put_form", data, extra, options))

        async def patch_form(self, url, data=None, *extra, **options):
            """PATCH of a multipart form."""
            return await self.request("PATCH", url, **form_options("patch_form", data, extra, options))

    def _open_stream(self, reader: ContentReader, driver: Any) -> ResponseStream:
        return ResponseStream(reader, driver, self)

    # Files

    async def download(
        self,
        url: URL,
        path: AnyPath,
        *,
        resume: bool = True,
        checksum: str | None = None,
        **options: Unpack[DownloadOptions],
    ) -> Response[Path]:
        """Downloads into a file, whole or not at all: it gets its name when everything is there.

        What has come of an interrupted download stays beside it, as `NAME.atomhttp.part`, when the server has told by
        a strong validator (an ETag, or an old enough Last-Modified) of what it is; then the next call asks for the rest
        of exactly that (Range with If-Range, RFC 9110 section 14), and begins anew if it has changed. A `retryConfig`
        goes on by itself where a connection breaks off. Progress is counted from what was there.

        Args:
            url: as for `get`.
            path: the file, which is replaced if it is there; or a directory, and then the last segment of the URL is
                the file's name.
            resume: go on with what an earlier call has left; False begins anew.
            checksum: `"sha256:…"`, in hexadecimal, or another algorithm of `hashlib`: what the file has to come to.
            options: those of `get`, without `response_type` and `validate_status`.

        Returns:
            The (last) response. Its `data` is the path of the file.

        Raises:
            AtomHTTPStatusError: the status was not 2xx. Nothing is written then.
            AtomHTTPChecksumError: the file is not what it should be. Nothing of it stays.
            AtomHTTPOptionError: the path cannot be written to, or is being downloaded to already.
            AtomHTTPError: whatever interrupts the transfer.
            OSError: the disk is full, or fails.
        """
        from atomhttp._pipeline.download import download  # with hashlib and json, 10 ms of every start

        driver = running_driver()
        # While a thread writes, nothing else may tell the driver that it is needed.
        driver.join()
        try:
            hands = _AsyncHands(self, driver)
            return await download(hands, self.get_uri, url, path, resume, checksum, {**options})
        finally:
            driver.leave()

    async def upload(
        self,
        url: URL,
        path: AnyPath,
        *,
        method: str | None = None,
        field: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Response[Any]:
        """Uploads a file: as the content of a PUT, or as a field of a multipart form that is POSTed.

        Args:
            url: as for `put`.
            path: the file. It is streamed, and its name tells its Content-Type.
            method: instead of PUT or POST.
            field: the name of the form's field; None: no form.
            options: those of `put`.

        Raises:
            AtomHTTPStatusError: the status was not 2xx, unless `validate_status`, the call's or the client's, says
                which are good.
            AtomHTTPOptionError: there is no such file, or it cannot be read.
            AtomHTTPError: whatever interrupts the transfer.
        """
        config = upload_config(self, url, path, method, field, {**options})
        response: Response[Any] = await self.request(config)
        return response

    # Together

    @overload
    @staticmethod
    async def all(
        tasks: Iterable[Awaitable[T]], limit: int | None = None, return_exceptions: Literal[False] = False
    ) -> list[T]: ...
    @overload
    @staticmethod
    async def all(
        tasks: Iterable[Awaitable[T]], limit: int | None = None, *, return_exceptions: bool
    ) -> list[T | BaseException]: ...
    @staticmethod
    async def all(tasks: Iterable[Any], limit: int | None = None, return_exceptions: bool = False) -> list[Any]:
        """Awaits `tasks` together: coroutines, futures, other awaitables, or values; returns their results, in order.

        The first error ends it: what was started here is cancelled and waited for, what was not started is closed,
        tasks of the caller's own go on; then that error is raised. A cancellation ends it in the same way.

        Args:
            tasks: any iterable. Each coroutine runs in a task and a context of its own.
            limit: how many of them run at once, at most; None for all. Tasks of the caller's own do not count.
            return_exceptions: errors are results, and do not end the others (as with `asyncio.gather`).

        Raises:
            AtomHTTPOptionError: an argument is of the wrong kind. The coroutines given have been closed.
        """
        return await run_all(tasks, limit, return_exceptions, _give_up)

    @overload
    @staticmethod
    async def spread(callback: Callable[..., Awaitable[T]], *responses: Any) -> T: ...
    @overload
    @staticmethod
    async def spread(callback: Callable[..., T], *responses: Any) -> T: ...
    @staticmethod
    async def spread(callback: Callable[..., Any], *responses: Any) -> Any:
        """`callback(*responses)`, awaited where it has to be: its result.

        Raises:
            AtomHTTPOptionError: `callback` cannot be called.
        """
        check_callback(callback)
        result = callback(*responses)
        return await result if isawaitable(result) else result

    # Life

    async def close(self) -> None:
        """Closes the client's connections. Calls in flight and later ones raise AtomHTTPClosedError; twice is fine."""
        if not self._closed:
            self._closed = True
            self.defaults.__dict__["_plan"] = None
            if self._owns_adapter:
                await self._adapter.close()

    async def aclose(self) -> None:
        """Another name for `close`."""
        await self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    if not TYPE_CHECKING:  # to a type checker there is no such `with` either

        def __enter__(self):
            raise TypeError("AtomHTTP is asynchronous: use 'async with', or SyncAtomHTTP with 'with'")

        def __exit__(self, *exc_info):
            """Never reached; `with` looks for it before it enters."""


class _AsyncHands:
    """What a download needs to have done, on an event loop."""

    def __init__(self, client: AtomHTTP, driver: Any) -> None:
        self._get: Callable[..., Awaitable[Response[Any]]] = client.get
        self.defaults = client.defaults
        self._driver = driver

    async def fetch(self, url: Any, options: Mapping[str, Any]) -> Response[Any]:
        return await self._get(url, **options)

    async def read(self, stream: ResponseStream, most: int) -> list[bytes]:
        return await stream._read_available(self._driver, most)

    async def close(self, stream: ResponseStream) -> None:
        await stream.aclose()

    async def work(self, function: Callable[..., T], *arguments: Any) -> T:
        return await self._driver.run_blocking(function, *arguments)  # type: ignore[no-any-return]  # what it returned

    async def sleep(self, seconds: float, signal: AbortSignal | None) -> None:
        sleeping = self._driver.sleep(seconds)
        await (sleeping if signal is None else self._driver.abortable(sleeping, signal))


async def _give_up(result: Any) -> None:
    """Of an `all` that fails nobody sees what else came of it: an open stream would keep its connection."""
    match result:
        case Response(data=ResponseStream() as stream):
            await stream.aclose()
        case _:
            pass


KNOWN_METHODS = frozenset(("GET", "DELETE", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "QUERY", "TRACE"))


def params_options(verb: str, params: Any, extra: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """The options of a verb whose second argument is `params`."""
    if extra:
        raise too_many(f"{verb}(url, params)")
    if params is not None:
        check_params(params)
        options["params"] = params
    return options


def data_options(verb: str, data: Any, extra: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """The options of a verb whose second argument is `data`."""
    if extra:
        raise too_many(f"{verb}(url, data)")
    if data is not None:
        options["data"] = data
    return options


def form_options(verb: str, data: Any, extra: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """The options of a verb that sends a multipart form, unless its headers say otherwise (axios's `postForm`)."""
    headers = Headers(options.get("headers"))
    headers.set("Content-Type", "multipart/form-data", rewrite=False)
    if isinstance(data, (str, bytes)) and "boundary=" not in headers.get("content-type", ""):
        raise AtomHTTPOptionError(
            f"data: {verb} sends a FormData, or a mapping that becomes one, not {type(data).__name__}",
            "ERR_BAD_OPTION_VALUE",
        )
    options["headers"] = headers
    if data is None and not {"json", "form"} & options.keys():
        data = {}
    return data_options(verb, data, extra, options)


def upload_config(
    client: ClientBase, url: Any, path: Any, method: str | None, field: str | None, options: dict[str, Any]
) -> RequestConfig:
    """What `upload` gives to `request`.

    Raises:
        AtomHTTPOptionError: an argument is of the wrong kind, or there is no such file.
    """
    given = given_options(options.pop("config", None), options)
    if {"data", "json", "form"} & given.keys():
        raise AtomHTTPOptionError("upload(url, path) sends the file, and no data, json or form", "ERR_BAD_OPTION")
    if not isinstance(path, _PATHS) or not isinstance(fspath(path), str):
        raise AtomHTTPOptionError(f"path: expected the path of a file, got {repr(path)[:80]}", "ERR_BAD_OPTION_VALUE")
    if field is not None and not isinstance(field, str):
        raise AtomHTTPOptionError(f"field: expected a name or None, got {type(field).__name__}", "ERR_BAD_OPTION_VALUE")
    file = Path(path)
    try:
        if file.is_dir():
            raise IsADirectoryError(EISDIR, "it is a directory")
        file.stat()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise AtomHTTPOptionError(f"path: {str(file)!r}: {why}", "ERR_BAD_OPTION_VALUE") from error
    if client.defaults.validate_status is None:
        given.setdefault("validate_status", True)
    given["url"] = url
    if method is not None:
        given["method"] = method
    given.setdefault("method", "PUT" if field is None else "POST")
    given["data"] = file if field is None else FormData({field: file})
    return RequestConfig(given)


AsyncAtomHTTP = AtomHTTP
