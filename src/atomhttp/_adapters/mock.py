"""The adapter that answers from what a test has registered.

It is an adapter as the network's is, and no more: redirects, retries, limits, cookies, decoding and progress happen
around it as they always do, because none of them is in an adapter.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from re import Pattern
from typing import Any, Final, NoReturn, Self

from atomhttp._adapters.base import Adapter, AdapterResponse
from atomhttp._adapters.mock_matcher import Matcher, bad_mock
from atomhttp._adapters.mock_reply import MockContent, Reply, read_replies
from atomhttp._adapters.mock_request import MockRequest
from atomhttp._adapters.network import HTTPAdapter
from atomhttp._adapters.network_head import build_head
from atomhttp._model.checks import check_flag
from atomhttp._model.headers import Headers
from atomhttp._model.request import Request
from atomhttp._net.call import Call
from atomhttp._net.pool import closed_error
from atomhttp._redact import quote_peer, redact_url, show_url
from atomhttp.errors import AtomHTTPOptionError
from atomhttp.types import HeadersInput, ParamsInput

# So many registered requests are listed by a message about one that matches none.
LISTED: Final = 20


class UnexpectedRequestError(AssertionError):
    """A request that no registered one matches.

    An AssertionError, and no AtomHTTPError: it is the test's business, so nothing retries it, and code that handles
    failing requests does not take it for one.

    Attributes:
        request: what was sent; None in a copy from another process.
    """

    def __init__(self, message: str, request: MockRequest | None = None) -> None:
        super().__init__(message)
        self.request = request

    def __reduce__(self) -> tuple[Any, ...]:
        # What a test has put into its request need not be picklable, and may be secret.
        return (UnexpectedRequestError, self.args)


class MockCall:
    """One request that a MockAdapter was sent, and what came of it.

    Attributes:
        request: the request, its content included.
        route: the registered request that answered it; None when it was unexpected.
        response: the head of the answer, None when there was none (yet).
        error: what was raised instead.
    """

    def __init__(self, request: MockRequest, route: MockRoute | None) -> None:
        self.request = request
        self.route = route
        self.response: AdapterResponse | None = None
        self.error: BaseException | None = None

    @property
    def method(self) -> str:
        """The method, upper case where it is a standard one."""
        return self.request.method

    @property
    def url(self) -> str:
        """The absolute URL."""
        return self.request.url

    @property
    def params(self) -> dict[str, str | list[str]]:
        """The query by name."""
        return self.request.params

    @property
    def headers(self) -> Headers:
        """Every field that was sent."""
        return self.request.headers

    @property
    def content(self) -> bytes:
        """The content that was sent."""
        return self.request.body

    @property
    def text(self) -> str:
        """The content as text."""
        return self.request.text

    def json(self) -> Any:
        """The content as JSON; ValueError when it is none."""
        return self.request.json()

    def form(self) -> Any:
        """The content as a FormData; ValueError when it is no form."""
        return self.request.form()

    @property
    def status(self) -> int | None:
        """The status of the answer, None when there was none."""
        return None if self.response is None else self.response.status

    def __repr__(self) -> str:
        outcome = self.status if self.error is None else type(self.error).__name__
        return f"<MockCall {self.method} {show_url(self.url, 300)} -> {outcome}>"


class MockRoute:
    """A registered request with its replies. Made by `MockAdapter.on`.

    Attributes:
        calls: the requests that it has answered.
        times: how often it may be used, None for any number.
        optional: whether it may as well never be used.
    """

    def __init__(self, matcher: Matcher, replies: list[Reply], times: int | None, optional: bool) -> None:
        self._matcher = matcher
        self._replies = replies
        self.times = times
        self.optional = optional
        self.calls: list[MockCall] = []

    @property
    def called(self) -> bool:
        """Whether it has answered a request."""
        return bool(self.calls)

    @property
    def call_count(self) -> int:
        """How many requests it has answered."""
        return len(self.calls)

    @property
    def last_call(self) -> MockCall:
        """The latest of its calls.

        Raises:
            AssertionError: it was not called.
        """
        if not self.calls:
            raise AssertionError(f"never called: {self}")
        return self.calls[-1]

    def then(
        self,
        response_data: Any = None,
        status: int = 200,
        headers: HeadersInput | None = None,
        *,
        data: Any = None,
        reply: Any = None,
        delay: float = 0,
        error: Any = None,
    ) -> Self:
        """Adds the reply to the next request, as `on` takes it; the last one repeats. Returns the route."""
        self._replies += _read_answer(_either(response_data, data), status, headers, reply, error, delay)
        return self

    @property
    def is_used_up(self) -> bool:
        """Whether it answers nothing any more."""
        return self.times is not None and len(self.calls) >= self.times

    @property
    def is_satisfied(self) -> bool:
        """Whether it was used as often as it was registered for: `times`, or at least once."""
        return self.optional or (len(self.calls) == self.times if self.times is not None else self.called)

    def take(self, call: MockCall) -> Reply:
        """The reply to one more call."""
        self.calls.append(call)
        return self._replies[min(len(self.calls), len(self._replies)) - 1]

    def refusal(self, request: MockRequest) -> tuple[int, str] | None:
        """Why it does not answer `request`, and how near it came; None when it does."""
        refusal = self._matcher.refusal(request)
        if refusal is None and self.is_used_up:
            return 5, f"it has been used {_times(self.times or 0)}, as often as it was registered for"
        return refusal

    def replaces(self, other: MockRoute) -> bool:
        """Whether `other` could never be reached because of this one, or this one because of it."""
        return other.times is None and self._matcher.is_same(other._matcher)

    def __str__(self) -> str:
        return f"{self._matcher} -> {', then '.join(map(str, self._replies))}"

    def __repr__(self) -> str:
        limit = f" of {self.times}" if self.times is not None else ""
        return f"<MockRoute {quote_peer(str(self), 300)}; used {len(self.calls)}{limit}>"


class MockAdapter:
    """Answers requests from what a test has registered, without a network; for AtomHTTP and SyncAtomHTTP alike.

    Args:
        strict: whether a request that matches nothing is an UnexpectedRequestError; else its answer is an empty 404.
        passthrough: another adapter for the requests that match nothing (`HTTPAdapter()` is the network). It is the
            caller's to close.

    Attributes:
        calls: every request it was sent, in order, as `MockCall`s.
        unexpected: those of them that matched nothing.
        routes: what is registered.

    Several threads and event loops may share it.
    """

    def __init__(self, *, strict: bool = True, passthrough: Adapter | None = None) -> None:
        if passthrough is not None and not callable(getattr(passthrough, "send", None)):
            raise AtomHTTPOptionError(
                f"MockAdapter: passthrough: expected an adapter, got {type(passthrough).__name__}",
                "ERR_BAD_OPTION_VALUE",
            )
        self._strict = check_flag("MockAdapter: strict", strict)
        self._passthrough = passthrough
        self._lock = threading.Lock()
        self._closed = False
        self.routes: list[MockRoute] = []
        self.calls: list[MockCall] = []
        self.unexpected: list[MockCall] = []

    # Registering

    def on(  # noqa: PLR0913  # a mock's every word is here; all but the first five are keywords
        self,
        method: str | None,
        url: str | Pattern[str] | None = None,
        response_data: Any = None,
        status: int = 200,
        headers: HeadersInput | None = None,
        *,
        data: Any = None,
        params: ParamsInput | Mapping[str, Any] | None = None,
        match_headers: Mapping[str, Any] | None = None,
        match_data: Any = None,
        reply: Any = None,
        times: int | None = None,
        delay: float = 0,
        error: BaseException | type[BaseException] | str | None = None,
        optional: bool = False,
    ) -> MockRoute:
        """Registers a request and its answer.

        Of the registered requests that match, the first one that is not used up answers. One with the same conditions
        as an earlier one without `times` takes its place.

        Args:
            method: in any case; "*" or None for any.
            url: a path ("/users"), matched against the whole path of the URL and against the path below the client's
                baseURL, at any host; an absolute URL, of which scheme, host and port have to match as well; either may
                hold `*` (any text up to the next slash) and `**` (any text). A compiled pattern is searched for in
                the absolute URL, in the path with its query, and in that below baseURL. "*" or None for any. A query
                in it has to be the request's query, in any order.
            response_data: the content of the answer: None (nothing), a dict, list, tuple, number, bool, dataclass,
                msgspec, attrs or pydantic value (JSON; for JSON's null give the text "null" and its Content-Type), a
                str (UTF-8), bytes, a Path (the file's content), an iterator or async iterator of bytes or a list of
                bytes (streamed).
            status: 200 to 999.
            headers: of the answer. They override the Content-Type that the data suggests; a list repeats a field.
            data: another word for `response_data`.
            params: the query, exactly: each parameter with its values, in any order of names. A value may be a
                compiled pattern or a function that is given the text. Not given: any query, unless `url` has one.
            match_headers: fields that have to be among those sent: text, a list (one item a field line), a compiled
                pattern, a function that is given the text, or None for a field that must be missing.
            match_data: what the content has to be. A dict or list: the parsed JSON, or the form (as nested dicts, all
                values texts); values inside may be patterns, functions, or `unittest.mock.ANY`. A str or bytes: the
                content itself. A pattern: searched for in the content. A function: given the decoded content, says
                whether it matches.
            reply: a function of the request that returns the answer: data, (status, data), (status, data, headers), an
                `AdapterResponse` or an exception; sync or async. It is given a `MockRequest` (`.json()`, `.params`,
                `.headers`, `.body`), or nothing when it takes no argument. A list of such answers is given one after
                the other; the last one repeats.
            times: how often it may be used. Not given: any number of times.
            delay: seconds before the answer, by the client's clock and within its timeouts.
            error: raised instead of an answer: an exception, its class, or a word for how the network fails:
                "timeout", "network", "refused" or "reset".
            optional: `assert_all_called` does not mind if it is never used.

        Returns:
            The registered request: its `calls`, `called`, `call_count`, and `then` for a sequence of answers.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: an argument is of the wrong kind; the message says which.
        """
        if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
            raise bad_mock("times", f"expected 1 or more, or None for any number, got {times!r}")
        matcher = Matcher(method, url, params, match_headers, match_data)
        replies = _read_answer(_either(response_data, data), status, headers, reply, error, delay)
        route = MockRoute(matcher, replies, times, optional)
        with self._lock:
            for place, earlier in enumerate(self.routes):
                if route.replaces(earlier):
                    self.routes[place] = route
                    return route
            self.routes.append(route)
        return route

    def reset(self) -> None:
        """Forgets what is registered, and what was sent."""
        self.clear()
        self.reset_history()

    def clear(self) -> None:
        """Forgets what is registered."""
        with self._lock:
            self.routes = []

    def reset_history(self) -> None:
        """Forgets what was sent; what `times` allows is there again."""
        with self._lock:
            self.calls, self.unexpected = [], []
            for route in self.routes:
                route.calls = []

    # Answering

    async def send(self, request: Request, /) -> AdapterResponse:
        """See `Adapter`.

        Raises:
            UnexpectedRequestError: nothing that is registered matches.
        """
        if self._closed:
            raise closed_error()
        # What the network would refuse to send is refused here as well.
        head = build_head(request)
        driver = request.driver
        # It must not retire between two waits.
        driver.join()
        try:
            return await self._send(request, head)
        finally:
            driver.leave(stay=True)

    async def _send(self, request: Request, head: bytes) -> AdapterResponse:
        outline, driver = request.outline, request.driver
        waiting = Call(driver, outline.timeout, request.started, request.deadline, outline.target)
        content = await _read_content(request, waiting)
        call, reply = self._record(MockRequest.of(request, head, content))
        waiting.enter("headers", outline.timeout.read)
        try:
            if reply is not None:
                response = await reply.send(call.request, waiting)
            else:
                response = await self._answer_unexpected(request, call)
        except BaseException as error:
            call.error = error
            raise
        call.response = AdapterResponse(response.status, response.headers, b"", response.reason, response.http_version)
        if isinstance(response.body, MockContent):
            if outline.streaming:
                response.body.open()
            else:
                # As the network: a whole response is brought back when all of it is there.
                await _complete(response, call, driver)
        return response

    def _record(self, request: MockRequest) -> tuple[MockCall, Reply | None]:
        with self._lock:
            route = next((each for each in self.routes if each.refusal(request) is None), None)
            call = MockCall(request, route)
            self.calls.append(call)
            if route is None:
                if self._strict and self._passthrough is None:
                    self.unexpected.append(call)
                return call, None
            return call, route.take(call)

    async def _answer_unexpected(self, request: Request, call: MockCall) -> AdapterResponse:
        passthrough = self._passthrough
        if passthrough is not None:
            if request.has_body:
                # Its content has been read, and may not be there a second time.
                forwarded = request.derive(request.outline, request.started)
                forwarded.body, forwarded.farewells = call.content, request.farewells
                forwarded.fresh, forwarded.resent = request.fresh, request.resent
                request = forwarded
            if isinstance(passthrough, HTTPAdapter) and type(passthrough).send is HTTPAdapter.send:
                # The network's own, also while `intercept` has us stand in for it.
                return await _network_send(passthrough, request)
            return await passthrough.send(request)
        if not self._strict:
            return AdapterResponse(404, {"Content-Length": "0"})
        raise UnexpectedRequestError(self._describe_unexpected(call.request), call.request)

    def _describe_unexpected(self, request: MockRequest) -> str:
        """What was sent, and why nothing that is registered matches it: the nearest first."""
        lines = [f"unexpected request: {describe_request(request)}"]
        refusals = [(route.refusal(request) or (0, "it matches"), route) for route in self.routes]
        refusals.sort(key=lambda refused: -refused[0][0])
        lines.append("registered:" if refusals else "nothing is registered")
        lines += [f"  {route}: {reason}" for (_, reason), route in refusals[:LISTED]]
        if len(refusals) > LISTED:
            lines.append(f"  and {len(refusals) - LISTED} more")
        return "\n".join(lines)

    async def close(self) -> None:
        """Requests after this raise AtomHTTPClosedError. What was sent can still be asked for; twice is fine."""
        self._closed = True

    @contextmanager
    def intercept(self) -> Generator[Self, None, None]:
        """`with adapter.intercept():` has it answer every client of this process that would use the network.

        For code that makes its own clients. Clients with another `adapter` are left alone; of several, the innermost
        answers.
        """
        from unittest.mock import patch  # only who intercepts has to load it

        async def send(_adapter: HTTPAdapter, request: Request) -> AdapterResponse:
            return await self.send(request)

        with patch.object(HTTPAdapter, "send", send):
            yield self

    # Asserting

    def find_calls(
        self,
        method: str | None = None,
        url: str | Pattern[str] | None = None,
        *,
        params: ParamsInput | Mapping[str, Any] | None = None,
        match_headers: Mapping[str, Any] | None = None,
        match_data: Any = None,
    ) -> list[MockCall]:
        """The calls that match, in order; the arguments are those of `on`."""
        matcher = Matcher(method, url, params, match_headers, match_data)
        return [call for call in list(self.calls) if matcher.refusal(call.request) is None]

    def assert_called(
        self,
        method: str | None = None,
        url: str | Pattern[str] | None = None,
        *,
        times: int | None = None,
        **conditions: Any,
    ) -> MockCall:
        """Such a request was sent: `times` times, or at least once. Returns the last one.

        Args:
            method, url: as for `on`.
            conditions: `params`, `match_headers`, `match_data`, as for `on`.

        Raises:
            AssertionError: it was not; the message lists what was sent.
        """
        found = self.find_calls(method, url, **conditions)
        if not found or times not in (None, len(found)):
            wanted = Matcher(method, url, *(conditions.get(name) for name in ("params", "match_headers", "match_data")))
            expected = "at least once" if times is None else _times(times)
            self._fail(f"expected {wanted} to be sent {expected}, it was sent {_times(len(found))}", wanted)
        return found[-1]

    def assert_called_once(
        self, method: str | None = None, url: str | Pattern[str] | None = None, **conditions: Any
    ) -> MockCall:
        """Such a request was sent once; see `assert_called`."""
        return self.assert_called(method, url, times=1, **conditions)

    def assert_not_called(
        self, method: str | None = None, url: str | Pattern[str] | None = None, **conditions: Any
    ) -> None:
        """No such request was sent; see `assert_called`. Without arguments: none at all."""
        found = self.find_calls(method, url, **conditions)
        if found:
            self._fail(f"expected no such request, it was sent {_times(len(found))}: {found[0]!r}", None)

    def assert_all_called(self) -> None:
        """Every registered request was sent: as often as `times` says, or at least once.

        Raises:
            AssertionError: the message lists those that were not.
        """
        missing = [route for route in self.routes if not route.is_satisfied]
        if missing:
            used = [f"  {route}: used {_of(route)}" for route in missing]
            self._fail("\n".join(["registered and not sent as often as that:", *used]), None)

    def assert_no_unexpected(self) -> None:
        """Every request matched: for code that catches whatever a request raises.

        Raises:
            AssertionError: the message tells of the first that did not.
        """
        if self.unexpected:
            more = f"\nand {len(self.unexpected) - 1} more" if len(self.unexpected) > 1 else ""
            raise AssertionError(f"{self.unexpected[0].error}{more}")

    def _fail(self, message: str, wanted: Matcher | None) -> NoReturn:
        lines = [message, "sent:" if self.calls else "nothing was sent"]
        for call in self.calls[:LISTED]:
            refused = wanted.refusal(call.request) if wanted is not None else None
            lines.append(f"  {describe_request(call.request)}{f': {refused[1]}' if refused is not None else ''}")
        if len(self.calls) > LISTED:
            lines.append(f"  and {len(self.calls) - LISTED} more")
        raise AssertionError("\n".join(lines))

    def __repr__(self) -> str:
        unexpected = f", {len(self.unexpected)} unexpected" if self.unexpected else ""
        return f"<MockAdapter {len(self.routes)} registered, {len(self.calls)} calls{unexpected}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a MockAdapter is shared by the clients it serves, and cannot be copied or pickled")


# The network's own, before anybody intercepts it.
_network_send: Callable[[HTTPAdapter, Request], Awaitable[AdapterResponse]] = HTTPAdapter.send


def describe_request(request: MockRequest) -> str:
    """One line on a request, without secrets."""
    content = ""
    if request.has_body:
        kind = f" of {request.content_type.partition(';')[0]}" if request.content_type else ""
        content = f" with {len(request.body)} bytes{kind}"
    return f"{request.method} {redact_url(request.url)}{content}"


def _read_answer(data: Any, status: int, headers: Any, reply: Any, error: Any, delay: float) -> list[Reply]:
    """The replies that the arguments of `on` and `then` mean."""
    if reply is None:
        if error is not None and data is not None:
            raise bad_mock("error", "there is either an error or data")
        return [Reply(data, status, headers, error, delay)]
    if data is not None or error is not None or status != 200 or headers is not None:
        raise bad_mock("reply", "it gives status, headers and data itself; expected none of them besides")
    return read_replies(reply, delay)


def _either(response_data: Any, data: Any) -> Any:
    if response_data is not None and data is not None:
        raise bad_mock("data", "it is another word for response_data; give one of them")
    return response_data if data is None else data


async def _read_content(request: Request, waiting: Call) -> bytes:
    """The request's content, read as the network reads it: piece by piece, so that meters and limits see them."""
    body = request.body
    if isinstance(body, bytes):
        return body
    waiting.enter("write", waiting.timeout.write)
    pieces: list[bytes] = []
    length, size = body.length, 0
    reader = body.open()
    try:
        while piece := await reader.read():
            pieces.append(piece)
            size += len(piece)
            if length is not None and size > length:
                raise _bad_length(f"longer than its Content-Length of {length} bytes")
    except TimeoutError as error:
        now = waiting.driver.now()
        if type(error) is not TimeoutError or waiting.deadline is None or now < waiting.deadline:
            raise
        raise waiting.timeout_error(now) from None
    finally:
        reader.close()
    if length is not None and size != length:
        raise _bad_length(f"{size} bytes, shorter than its Content-Length of {length}")
    return b"".join(pieces)


def _bad_length(message: str) -> AtomHTTPOptionError:
    return AtomHTTPOptionError(f"data: {message}", "ERR_BAD_OPTION_VALUE")


async def _complete(response: AdapterResponse, call: MockCall, driver: Any) -> None:
    try:
        response.body = await response.body.read_all(driver)
    except BaseException as error:
        call.error = error
        failure: Any = error
        if hasattr(failure, "received"):
            # It had begun: what it said so far may explain why it broke off.
            failure.received = call.response
        raise


def _times(count: int) -> str:
    return {0: "not at all", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _of(route: MockRoute) -> str:
    return f"{route.call_count} of {route.times} times" if route.times is not None else _times(route.call_count)
