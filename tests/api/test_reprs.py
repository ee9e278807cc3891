"""What a person sees of an object, at a prompt or in a log: what it is, never much, never a secret, and nothing that a
terminal would obey."""

from __future__ import annotations

import inspect
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import atomhttp
import atomhttp.adapters
import atomhttp.testing
from atomhttp import (
    AbortController,
    AdapterResponse,
    AtomHTTP,
    AtomHTTPCanceledError,
    AtomHTTPError,
    Attempt,
    BasicAuth,
    BearerAuth,
    Cookie,
    CookieJar,
    DigestAuth,
    FormData,
    Headers,
    HTTPAdapter,
    HttpStatusCode,
    InterceptorManager,
    MockAdapter,
    NetrcAuth,
    PoolStats,
    ProgressBar,
    ProgressEvent,
    Proxy,
    RefreshingAuth,
    Request,
    RequestConfig,
    Response,
    ResponseStream,
    RetryInfo,
    SyncAtomHTTP,
    SyncResponseStream,
    Timeout,
    Timings,
)
from atomhttp.testing import ASGIAdapter, MockCall, MockRequest, MockRoute, UnexpectedRequestError
from hostile.canaries import CORE, find

# What no repr is longer than, whatever is in the object. Two of these make a RetryInfo.
LONGEST = 500
LONG = "long " * 2_000
# Colours, a C1 control character, a bidirectional one, a line break.
UNPRINTABLE = "\x1b[31m\x9b\u202e\n"
AWKWARD = f"{UNPRINTABLE}{LONG}"
URL = f"http://ada:{CORE}@h.test/{'long/' * 1_000}?token={CORE}&a=1"

OPTIONS: dict[str, Any] = {
    "headers": {"Authorization": f"Bearer {CORE}", "X-Long": LONG, **{f"X-{index}": "1" for index in range(200)}},
    "params": {"token": CORE, "q": LONG},
    "cookies": {"session": CORE},
    "auth": ("ada", CORE),
    "cert": ("a.pem", "a.key", CORE),
    "proxy": f"http://ada:{CORE}@proxy.test",
}


def exchange(**options: Any) -> Response[Any]:
    """A call that a mock answers."""
    mock = MockAdapter()
    mock.on("POST", None, {"token": CORE, "text": LONG}, headers={"Set-Cookie": f"id={CORE}", "X-Long": LONG})
    with SyncAtomHTTP(adapter=mock) as client:
        return client.post(URL, {"password": CORE}, headers=OPTIONS["headers"], **options)


def open_stream() -> SyncResponseStream:
    stream = exchange(response_type="stream").data
    stream.close()
    return stream  # type: ignore[no-any-return]  # as it was asked for


def mock() -> MockAdapter:
    mock = MockAdapter(strict=False)
    mock.on("POST", f"/{'long/' * 1_000}", match_data={"password": CORE}, match_headers={"X-Api-Key": CORE})
    return mock


def canceled() -> AbortController:
    controller = AbortController()
    controller.abort(AWKWARD)
    return controller


def form() -> FormData:
    return FormData({f"{AWKWARD}{index}": CORE for index in range(200)})


def jar() -> CookieJar:
    return CookieJar({f"n{index}": CORE for index in range(40)}, url="http://h.test/")


def attempt() -> Attempt:
    return exchange().attempts[0]


def call() -> MockCall:
    adapter = mock()
    with SyncAtomHTTP(adapter=adapter) as client:
        client.post(URL, {"password": CORE}, headers=OPTIONS["headers"])
    return adapter.calls[0]


async def application(scope: Any, receive: Any, send: Any) -> None: ...


# Every public class, by an object of it that holds much, and secrets.
OBJECTS: dict[type, Callable[[], Any]] = {
    AbortController: canceled,
    type(AbortController().signal): lambda: canceled().signal,
    AdapterResponse: lambda: AdapterResponse(200, {"Set-Cookie": CORE}, CORE.encode()),
    ASGIAdapter: lambda: ASGIAdapter(application),
    AtomHTTP: lambda: AtomHTTP(OPTIONS, baseURL=URL),
    Attempt: attempt,
    BasicAuth: lambda: BasicAuth(LONG, CORE),
    BearerAuth: lambda: BearerAuth(CORE),
    Cookie: lambda: Cookie("n" * 2_000, CORE, "h.test", f"/{'p' * 1_000}"),
    CookieJar: jar,
    DigestAuth: lambda: DigestAuth(LONG, CORE),
    FormData: form,
    HTTPAdapter: lambda: HTTPAdapter(cert=OPTIONS["cert"]),
    Headers: lambda: Headers(OPTIONS["headers"]),
    HttpStatusCode: lambda: HttpStatusCode(200),
    InterceptorManager: InterceptorManager,
    MockAdapter: mock,
    MockCall: call,
    MockRequest: lambda: call().request,
    MockRoute: lambda: mock().routes[0],
    NetrcAuth: NetrcAuth,
    PoolStats: PoolStats,
    ProgressBar: lambda: ProgressBar(AWKWARD),
    ProgressEvent: lambda: ProgressEvent(1, 2),
    Proxy: lambda: Proxy("http", "h" * 250, 1, "ada", CORE, CORE),
    RefreshingAuth: lambda: RefreshingAuth(lambda: CORE, CORE),
    Request: lambda: exchange().request,
    RequestConfig: lambda: RequestConfig({**OPTIONS, "url": URL, "data": {"password": CORE}}),
    Response: exchange,
    RetryInfo: lambda: RetryInfo(attempt(), 1.0, exchange(), exchange().config),
    SyncAtomHTTP: lambda: SyncAtomHTTP(OPTIONS, baseURL=URL),
    SyncResponseStream: open_stream,
    Timeout: lambda: Timeout(1, 2, 3, 4, 5),
    Timings: lambda: exchange().timings,
    UnexpectedRequestError: lambda: UnexpectedRequestError("POST /"),
}
MORE: dict[str, Callable[[], Any]] = {
    "the config of a response": lambda: exchange().config,
    "the header fields of a response": lambda: exchange().headers,
    "the header fields of a request": lambda: exchange().request.headers,
    "the target": lambda: exchange().request.target,
    "the defaults": lambda: SyncAtomHTTP(OPTIONS, baseURL=URL).defaults,
    "their header fields": lambda: SyncAtomHTTP(headers=OPTIONS["headers"]).defaults.headers,
    "a list of interceptors": lambda: SyncAtomHTTP().interceptors.request,
    "defer": lambda: SyncAtomHTTP(baseURL=URL).defer,
    "a deferred call": lambda: SyncAtomHTTP().defer.get(URL, headers=OPTIONS["headers"]),
    "a part of a form": lambda: form().parts[0],
    "a proxy of an option": lambda: RequestConfig(OPTIONS).proxy,
    "proxies by target": lambda: RequestConfig(proxy={"http://": OPTIONS["proxy"], "https://h.test": None}).proxy,
    "the option of cookies": lambda: SyncAtomHTTP(OPTIONS, baseURL="http://h.test").cookies,
}


def public_classes() -> Iterator[type]:
    for module in (atomhttp, atomhttp.adapters, atomhttp.testing):
        for name in module.__all__:
            value = getattr(module, name)
            # Shapes have no objects of their own, and of warnings Python makes what is seen.
            if inspect.isclass(value) and not getattr(value, "_is_protocol", False) and not issubclass(value, Warning):
                yield value


def check(value: object, longest: int = LONGEST) -> None:
    shown = repr(value)
    assert " object at 0x" not in shown
    assert shown.isprintable()
    assert len(shown) <= longest
    assert find(shown) == ""


def test_no_public_class_is_forgotten() -> None:
    errors = {cls for cls in public_classes() if issubclass(cls, AtomHTTPError)}
    # The one that needs an event loop has a test of its own.
    assert set(public_classes()) - errors - {ResponseStream} == set(OBJECTS)


@pytest.mark.parametrize("cls", OBJECTS, ids=lambda cls: cls.__name__)
def test_objects(cls: type) -> None:
    made = OBJECTS[cls]()
    assert isinstance(made, cls)
    check(made, 2 * LONGEST if cls is RetryInfo else LONGEST)


async def test_a_stream() -> None:
    answering = MockAdapter()
    answering.on("GET", "/a", b"content")
    async with AtomHTTP(adapter=answering) as client:
        stream = (await client.get("http://h.test/a", response_type="stream")).data
        assert isinstance(stream, ResponseStream)
        assert repr(stream) == "<ResponseStream open>"
        await stream.read()
        assert repr(stream) == "<ResponseStream ended>"


@pytest.mark.parametrize("name", MORE)
def test_what_leads_on_from_them(name: str) -> None:
    check(MORE[name]())


@pytest.mark.parametrize(
    "cls", [cls for cls in public_classes() if issubclass(cls, AtomHTTPError)], ids=lambda cls: cls.__name__
)
def test_errors(cls: type[AtomHTTPError]) -> None:
    required = [
        name
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    ]
    arguments: dict[str, Any] = dict.fromkeys(required, 1)
    check(cls(AWKWARD, **arguments))


def test_what_they_say() -> None:
    config = RequestConfig(url="http://h.test/", method="POST", json={"a": 1}, timeout=5)
    assert repr(config) == "RequestConfig(url='http://h.test/', method='POST', json='<dict>', timeout=5)"
    assert repr(Headers({"A": "1", "Cookie": "x"})) == "Headers([('A', '1'), ('Cookie', '[redacted]')])"
    many = repr(Headers({f"X-{index}": "1" for index in range(100)}))
    assert many.startswith("Headers([('X-0', '1'), ('X-1', '1'), ")
    assert many.endswith(" more])")
    client = SyncAtomHTTP(baseURL="http://h.test", timeout=5)
    assert repr(client.defaults).startswith("Defaults(base_url='http://h.test', ")
    assert "timeout=5" in repr(client.defaults)
    assert repr(client.interceptors.request) == "<InterceptorList request: 0>"
    assert repr(client.defer) == "<defer of <SyncAtomHTTP http://h.test>>"
    assert repr(HTTPAdapter()) == "<HTTPAdapter 0 open>"
    assert repr(Attempt(1, "http://h.test/", 200, None, 0.0, 0.5)) == (
        "Attempt(number=1, url='http://h.test/', status=200, error=None, wait=0.0, elapsed=0.5)"
    )
    assert repr(AtomHTTPCanceledError("it's over")) == "AtomHTTPCanceledError(\"it's over\", code='ERR_CANCELED')"


def test_the_config_of_a_call_shows_what_is_not_as_everywhere() -> None:
    shown = repr(exchange().config)
    assert shown.startswith("RequestConfig(url=")
    assert "max_redirects" not in shown


# Tracebacks


def test_nothing_is_installed_that_shows_errors() -> None:
    script = (
        "import sys, threading, atomhttp, atomhttp.progress, atomhttp.testing\n"
        "for name in atomhttp.__all__: getattr(atomhttp, name)\n"
        "assert sys.excepthook is sys.__excepthook__\n"
        "assert threading.excepthook is threading.__excepthook__\n"
        "assert not any(name.partition('.')[0] == 'rich' for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_traceback_with_local_variables_can_leave_ours_out() -> None:
    console = pytest.importorskip("rich.console", reason="NO RICH: no traceback was drawn")
    traceback = pytest.importorskip("rich.traceback")
    output = console.Console(file=io.StringIO(), width=200)
    with SyncAtomHTTP() as client, pytest.raises(AtomHTTPError) as caught:
        client.post("http://127.0.0.1:1/", **OPTIONS | {"proxy": False, "cert": None})
    error = caught.value
    # From the first frame of ours on: the one above is the caller's, and what it holds is shown.
    own = error.__traceback__.tb_next if error.__traceback__ is not None else None
    shown = traceback.Traceback.from_exception(type(error), error, own, show_locals=True, suppress=[atomhttp])
    output.print(shown)
    assert find(output.file.getvalue()) == ""
