"""`client.download`: a GET whose content ends as a file, whole or not at all, and gone on with where it broke off.

What has come stays beside the target (`partial_file.py`) as long as the server has given proof of which representation
it is of. The next request asks for the rest under that condition, `Range` with `If-Range`; a server that has another
representation by now answers with all of it, and then it starts anew. An answer that does not prove itself to be the
rest of the same thing is not taken as such.

The same coroutine serves both clients: what it needs from them are its `Hands`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import unquote

from atomhttp._model.abort import AbortSignal
from atomhttp._model.byte_ranges import ContentRange, is_of, parse_content_range, strong_validator
from atomhttp._model.callables import required_positionals
from atomhttp._model.checksum import Checksum, parse_checksum
from atomhttp._model.config import Defaults, RequestConfig, given_options
from atomhttp._model.headers import Headers
from atomhttp._pipeline.partial_file import Note, PartialFile, find_target
from atomhttp._pipeline.response import Response
from atomhttp._pipeline.stream import ResponseStream, SyncResponseStream
from atomhttp._redact import redact_url
from atomhttp.errors import (
    AtomHTTPChecksumError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPProtocolError,
    AtomHTTPTimeoutError,
)
from atomhttp.progress import ProgressBar, ProgressEvent

T = TypeVar("T")

# Bytes written at once, if so many have come: 100 MB are then some 200 journeys to a thread.
BLOCK: Final = 512 * 1024
_PARTIAL: Final = 206
_OUT_OF_RANGE: Final = 416
_STREAMS: Final = (ResponseStream, SyncResponseStream)

_logger = logging.getLogger("atomhttp.request")


class Hands(Protocol):
    """What a download needs to have done, in its client's way of waiting."""

    @property
    def defaults(self) -> Defaults:
        """The client's."""
        ...

    async def fetch(self, url: Any, options: Mapping[str, Any]) -> Response[Any]:
        """A GET by the client."""
        ...

    async def read(self, stream: Any, most: int) -> list[bytes]:
        """The stream's next pieces; none at the end."""
        ...

    async def close(self, stream: Any) -> None:
        """Gives up the rest of the stream."""

    async def work(self, function: Callable[..., T], *arguments: Any) -> T:
        """`function(*arguments)`, which waits for a disk."""
        ...

    async def sleep(self, seconds: float, signal: AbortSignal | None) -> None:
        """Waits, until `signal` gives the call up at the latest."""


async def download(
    hands: Hands,
    find_uri: Callable[[Mapping[str, Any]], str],
    url: Any,
    path: Any,
    resume: bool,
    checksum: Any,
    options: dict[str, Any],
) -> Response[Path]:
    """What `AtomHTTP.download` says. `find_uri` gives the absolute URL of a config."""
    if not isinstance(resume, bool):
        raise AtomHTTPOptionError(f"resume: expected True or False, got {repr(resume)[:80]}", "ERR_BAD_OPTION_VALUE")
    wanted = parse_checksum(checksum)
    given = _check_options(options)
    uri = find_uri({**given, "url": url})
    target = await hands.work(find_target, path, lambda: last_segment(uri))
    part = PartialFile(target)
    progress = _Progress(given.get("on_download_progress", hands.defaults.on_download_progress))
    given["on_download_progress"] = progress.callback
    try:
        await hands.work(part.open)
        transfer = _Transfer(hands, part, url, given, _digest(uri), progress)
        response = await transfer.run(resume)
        # What it was is in the file.
        response.data = None
        if wanted is not None:
            await _verify(hands, part, wanted, response)
        await hands.work(part.finish)
    finally:
        # Without waiting: nobody may be there to wait any more. It closes a file, and removes two at the most.
        part.close()
        progress.finish()
    response.data = target
    return response


async def _verify(hands: Hands, part: PartialFile, wanted: Checksum, response: Response[Any]) -> None:
    try:
        await hands.work(part.verify, wanted)
    except AtomHTTPChecksumError as error:
        error.config, error.request, error.response = response.config, response.request, response
        raise


class _Transfer:
    """The requests that it takes to make a partial file whole."""

    def __init__(
        self,
        hands: Hands,
        part: PartialFile,
        url: Any,
        options: dict[str, Any],
        digest: str,
        progress: _Progress,
    ) -> None:
        self._hands = hands
        self._part = part
        self._url = url
        self._options = options
        # What stands for the URL in the note.
        self._digest = digest
        self._progress = progress
        self._retries = 0

    async def run(self, resume: bool) -> Response[Any]:
        """Fills the file; the last response."""
        note = self._part.note
        if not resume or note is None or note.url != self._digest:
            await self._hands.work(self._part.begin, None)
        while True:
            position = await self._hands.work(self._find_position)
            response = await self._fetch(position)
            if await self._take(response, position):
                # A response that is kept must not keep the event loop.
                response.request.driver = None
                return response

    def _find_position(self) -> int:
        """Where to go on; 0: with all of it."""
        part, note = self._part, self._part.note
        if note is None:
            return 0
        if part.position and part.position == note.total:
            # Only the end was missed. The last byte is fetched again: to the range behind it some servers have no
            # answer that says whether it is still the same.
            part.rewind(part.position - 1)
        return part.position

    async def _fetch(self, position: int) -> Response[Any]:
        headers = Headers(self._options.get("headers"))
        # What is counted, compared and gone on with is the content as it will be in the file.
        headers.set("Accept-Encoding", "identity", rewrite=False)
        note = self._part.note
        if position and note is not None:
            headers.update({"Range": f"bytes={position}-", "If-Range": note.validator})
        judge = _is_good_or_out_of_range if position else _is_good
        asked = {"headers": headers, "response_type": "stream", "validate_status": judge}
        response = await self._hands.fetch(self._url, self._options | asked)
        if isinstance(response, Response) and isinstance(response.data, _STREAMS) and response.request is not None:
            return response
        left = getattr(response, "data", response)
        if isinstance(left, _STREAMS):
            await self._hands.close(left)
        raise AtomHTTPOptionError(
            "download: an interceptor or a transformer has put something in the place of the response or its stream",
            "ERR_BAD_OPTION_VALUE",
        )

    async def _take(self, response: Response[Any], position: int) -> bool:
        """Writes what the response holds. Whether the file is whole then."""
        part, stream = self._part, response.data
        try:
            self._progress.is_shown = response.status != _OUT_OF_RANGE
            if position and response.status in (_PARTIAL, _OUT_OF_RANGE):
                held = self._find_rest(response, position)
                if held is None:
                    _logger.debug("%s: what was there is not a part of this: from the start", response.request)
                    await self._hands.work(part.begin, None)
                    return False
                stream._skip(position)
                end: int | None = held.last + 1
            else:
                await self._hands.work(part.begin, self._describe(response))
                position, end = 0, part.note.total if part.note is not None else None
            while pieces := await self._hands.read(stream, BLOCK):
                await self._hands.work(part.write, pieces)
        except (AtomHTTPNetworkError, AtomHTTPTimeoutError) as error:
            await self._wait_for_another(error, response)
            return False
        finally:
            self._progress.is_shown = False
            await self._hands.close(stream)
        total = part.note.total if part.note is not None else None
        if total is None or end is None:
            return True
        # A range may end early, and the next request asks for what is still missing; but it has to hold something.
        least = position + 1 if position else end
        if not least <= part.position <= end:
            await self._hands.work(part.begin, None)
            raise _broken("it did not hold what it announced", response)
        return part.position == total

    def _describe(self, response: Response[Any]) -> Note | None:
        """What can be gone on with; None: nothing, because the server gives no proof of what it is."""
        if response.status == _PARTIAL:
            raise _broken("it was asked for all, and answered with a part (206)", response)
        fields = response.headers
        validator = strong_validator(fields)
        if validator is None or not _is_identity(fields):
            return None
        length = fields.get("content-length", "")
        total = int(length) if length.isascii() and length.isdigit() else None
        return Note(self._digest, validator, total, _find_place(response))

    def _find_rest(self, response: Response[Any], position: int) -> ContentRange | None:
        """What of the rest the response holds; None: it does not prove to be that. The first one may tell the total."""
        note, fields = self._part.note, response.headers
        held = parse_content_range(fields.get("content-range", "")) if response.status == _PARTIAL else None
        if held is None or held.first != position or held.total is None or note is None:
            return None
        if note.total not in (None, held.total) or not _is_identity(fields) or not is_of(fields, note.validator):
            return None
        # Of what another URL has, the same validator may stand for something else (RFC 9110 section 8.8.1).
        if note.place != _find_place(response):
            return None
        self._part.note = note._replace(total=held.total)
        return held

    async def _wait_for_another(self, error: AtomHTTPNetworkError | AtomHTTPTimeoutError, response: Any) -> None:
        """A connection has broken off in the middle: as after any other attempt that failed, `retryConfig` decides."""
        outline = response.request.outline
        policy = outline.retry
        # A timeout between two pieces is one attempt's, unless there was a limit for the whole of it.
        is_for_a_gap = outline.timeout.stream_gap is not None or outline.timeout.total is None
        is_over = isinstance(error, AtomHTTPTimeoutError) and not (
            policy is not None and policy.on_timeout and is_for_a_gap
        )
        # Of another call that a callback has made, it says nothing about this one.
        if error.from_caller or policy is None or is_over or policy.condition is not None:
            raise error
        if "GET" not in policy.methods or self._retries >= policy.max_retries:
            raise error
        from random import random  # 2 ms of every start

        self._retries += 1
        wait = policy.backoff(self._retries, random())
        _logger.debug("download of %s goes on in %.2f s after: %r", response.request, wait, error)
        await self._hands.sleep(wait, outline.signal)


class _Progress:
    """What the caller is told of the file: nothing of what is read for an error, and one bar for all requests.

    Attributes:
        callback: what the requests are given; None: nobody wants to know.
        is_shown: whether what comes now is the file's.
    """

    def __init__(self, callback: Any) -> None:
        self.is_shown = False
        self._callback = callback
        self.callback: Any = None
        if callback is not None:
            self.callback = self._tell_event if required_positionals(callback, 2) == 1 else self._tell

    def _tell(self, loaded: int, total: int) -> Any:
        return self._callback(loaded, total) if self.is_shown else None

    def _tell_event(self, event: ProgressEvent) -> Any:
        return self._callback(event) if self.is_shown else None

    def finish(self) -> None:
        """Nothing more comes: a bar may end its line."""
        if isinstance(self._callback, ProgressBar):
            self._callback.finish()


def _check_options(options: dict[str, Any]) -> dict[str, Any]:
    """The call's options, under one spelling each."""
    config = options.pop("config", None)
    given = given_options(config, options)
    if isinstance(config, RequestConfig) and "range" not in Headers(options.get("headers")):
        # That of an earlier download, for its rest.
        for name in ("Range", "If-Range"):
            given["headers"].delete(name)
    keywords = given_options(None, options)
    for name in ("response_type", "validate_status", "method", "url"):
        if name in keywords:
            raise AtomHTTPOptionError(f"{name}: not for a download, which decides it by itself", "ERR_BAD_OPTION")
        given.pop(name, None)
    if "range" in Headers(given.get("headers")):
        raise AtomHTTPOptionError("headers: Range is not for a download, which sets it by itself", "ERR_BAD_OPTION")
    return given


def _digest(url: str) -> str:
    return sha256(url.encode()).hexdigest()


def _find_place(response: Response[Any]) -> str:
    """Where it was found, without the query: that of a signed URL, to which a redirect leads, is new each time."""
    return _digest(str(response.url).partition("#")[0].partition("?")[0])


def _is_identity(fields: Headers) -> bool:
    return str(fields.get("content-encoding", "identity")).strip().lower() == "identity"


def _is_good(status: int) -> bool:
    return 200 <= status <= 299


def _is_good_or_out_of_range(status: int) -> bool:
    return _is_good(status) or status == _OUT_OF_RANGE


def _broken(what: str, response: Response[Any]) -> AtomHTTPProtocolError:
    return AtomHTTPProtocolError(
        f"{redact_url(response.url)}: {what}", config=response.config, request=response.request, request_sent="yes"
    )


def last_segment(uri: str) -> str:
    """What a file of this URL would be called; not yet looked at."""
    path = uri.partition("#")[0].partition("?")[0].partition("://")[2].partition("/")[2]
    return unquote(path.rpartition("/")[2])
