"""`client.download`: a file that is there whole or not at all, and goes on where it broke off."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import gzip
import hashlib
import io
import json
import logging
import os
import pickle
import random
import re
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from atomhttp import (
    AbortController,
    AdapterResponse,
    AtomHTTP,
    AtomHTTPCanceledError,
    AtomHTTPChecksumError,
    AtomHTTPClosedError,
    AtomHTTPDecodeError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPProtocolError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    AtomHTTPURLError,
    ProgressBar,
    ProgressEvent,
    RequestConfig,
    Response,
    SyncAtomHTTP,
    Timeout,
)
from atomhttp._pipeline import partial_file
from atomhttp._pipeline.partial_file import Note, PartialFile
from atomhttp.adapters import ASGIAdapter
from atomhttp.testing import MockAdapter
from contract.flavours import Api, wait
from support.nginx import BIG_SIZE, BLOB, Nginx
from support.origin import Answer, Origin, Received
from support.peer import Peer, Script, expect_head, hold, reset, send
from support.peer import signal as signal_step
from support.peer import wait as wait_step
from support.server import PATIENCE

CONTENT = random.Random(1).randbytes(700_001)
OTHER = random.Random(2).randbytes(700_001)
SIZE = len(CONTENT)
CUT = 300_000
TAG = '"v1"'
# A date that proves something, as it had been a while ago when the response was made.
DATES = ("Last-Modified: Mon, 01 Jan 2024 10:00:00 GMT", "Date: Tue, 02 Jan 2024 10:00:00 GMT")
# Tries again at once.
FAST = {"backoff_factor": 0}


# What servers answer


class Resource:
    """A representation, served as RFC 9110 section 14 has it."""

    def __init__(self, content: bytes, tag: str | None = TAG) -> None:
        self.content = content
        self.tag = tag

    def __call__(self, request: Received) -> Answer:
        fields = [("ETag", self.tag)] if self.tag is not None else []
        wanted, condition = request.get("range"), request.get("if-range")
        if wanted is None or condition not in (None, self.tag):
            return Answer(self.content, headers=fields)
        start, size = int(wanted.removeprefix("bytes=").removesuffix("-")), len(self.content)
        if start >= size:
            return Answer(b"", 416, [("Content-Range", f"bytes */{size}")])
        return Answer(self.content[start:], 206, [*fields, ("Content-Range", f"bytes {start}-{size - 1}/{size}")])


def head(status: int, length: int | None, *fields: str) -> bytes:
    """The head of a response."""
    framing = [] if length is None else [f"Content-Length: {length}"]
    return "\r\n".join([f"HTTP/1.1 {status} Said", *framing, *fields, "\r\n"]).encode()


def reply(*data: bytes) -> Script:
    """A peer that answers so, and closes."""
    return [expect_head(), *(send(each) for each in data)]


def cut(size: int = CUT, content: bytes = CONTENT, *fields: str, tag: str | None = TAG) -> Script:
    """All of it is announced, and `size` bytes of it come."""
    tags = () if tag is None else (f"ETag: {tag}",)
    return reply(head(200, len(content), *tags, *fields), content[:size])


def rest(start: int = CUT, content: bytes = CONTENT, *, end: int | None = None, came: int | None = None) -> Script:
    """The range from `start` to `end`, of which `came` bytes come (None: all of it)."""
    last = (len(content) if end is None else end) - 1
    piece = content[start : last + 1]
    ranged = f"Content-Range: bytes {start}-{last}/{len(content)}"
    return reply(head(206, len(piece), f"ETag: {TAG}", ranged), piece[:came])


def partial_content(content_range: str | None, content: bytes, *fields: str, tag: str | None = TAG) -> Script:
    """A 206 that says of itself what the test wants."""
    ranged = () if content_range is None else (f"Content-Range: {content_range}",)
    tags = () if tag is None else (f"ETag: {tag}",)
    return reply(head(206, len(content), *ranged, *tags, *fields), content)


def whole(content: bytes = CONTENT, *fields: str, tag: str | None = TAG) -> Script:
    return cut(len(content), content, *fields, tag=tag)


# What is on the disk


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def size_of(path: Path) -> int:
    return path.stat().st_size


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def is_there(path: Path) -> bool:
    return path.exists()


def part_of(path: Path) -> Path:
    return Path(f"{path}.atomhttp.part")


def note_of(path: Path) -> Path:
    return Path(f"{path}.atomhttp.json")


def names(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def leave(
    path: Path,
    url: str,
    content: bytes = CONTENT[:CUT],
    tag: str = TAG,
    total: int | None = SIZE,
    place: str | None = None,
) -> None:
    """What a download of `url`, found at `place`, leaves when it breaks off."""
    part = PartialFile(path)
    part.open()
    part.begin(Note(digest_of(url), tag, total, digest_of((place or url).partition("?")[0])))
    part.write([content])
    part.close()
    assert part_of(path).read_bytes() == content


def asked(server: Peer | Origin) -> list[tuple[str | None, str | None]]:
    """Range and If-Range of each request."""
    if isinstance(server, Origin):
        return [(each.get("range"), each.get("if-range")) for each in server.requests]
    return [(each.get("range") or None, each.get("if-range") or None) for each in server.heads]


FROM_CUT = (f"bytes={CUT}-", TAG)


async def fails(call: Callable[[], Any], kind: type[BaseException]) -> Any:
    with pytest.raises(kind) as caught:
        await wait(call())
    return caught.value


class Calls(list[tuple[int, int]]):
    """A progress callback that remembers what it was told."""

    def __call__(self, loaded: int, total: int) -> None:
        self.append((loaded, total))


class StopError(Exception):
    """An error that is not atomhttp's."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


# All of it


async def test_it_is_there_whole_and_nothing_else_is(client: Any, origin: Origin, file: Path) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    response = await client.download(f"{origin.url}/file", file)
    assert isinstance(response, Response)
    assert (response.status, response.data, response.url) == (200, file, f"{origin.url}/file")
    assert read(file) == CONTENT
    assert names(file.parent) == ["file"]
    assert asked(origin) == [(None, None)]
    assert origin.requests[0].get("accept-encoding") == "identity"


@pytest.mark.parametrize("tag", [TAG, None])
@pytest.mark.parametrize("size", [0, 1, 2])
async def test_files_of_few_bytes(client: Any, origin: Origin, file: Path, tag: str | None, size: int) -> None:
    origin.routes["/file"] = Resource(CONTENT[:size], tag)
    await client.download(f"{origin.url}/file", file)
    assert read(file) == CONTENT[:size]
    assert names(file.parent) == ["file"]
    assert len(origin.requests) == 1


async def test_chunked_content(client: Any, origin: Origin, file: Path) -> None:
    origin.routes["/file"] = lambda _: Answer(CONTENT, headers=[("ETag", TAG)], chunked=True)
    await client.download(f"{origin.url}/file", file)
    assert read(file) == CONTENT


async def test_content_that_ends_with_the_connection(client: Any, file: Path) -> None:
    with Origin(version="HTTP/1.0", routes={"/file": Resource(CONTENT)}) as old:
        await client.download(f"{old.url}/file", file)
    assert read(file) == CONTENT


async def test_a_file_that_is_there_is_replaced_at_the_end(client: Any, file: Path) -> None:
    write(file, b"of old")
    with Peer([cut(), rest()]) as peer:
        await fails(lambda: client.download(f"{peer.url}/file", file), AtomHTTPNetworkError)
        assert read(file) == b"of old"
        await client.download(f"{peer.url}/file", file)
    assert read(file) == CONTENT


async def test_the_connection_is_used_again(client: Any, origin: Origin, tmp_path: Path) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    for name in "abc":
        await client.download(f"{origin.url}/file", tmp_path / name)
    assert {each.connection for each in origin.requests} == {0}


async def test_the_mode_is_that_of_any_new_file(client: Any, origin: Origin, file: Path) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    another = file.parent / "another"
    write(another, b"")
    await client.download(f"{origin.url}/file", file)
    assert mode_of(file) == mode_of(another)


# Going on


async def test_it_goes_on_where_it_broke_off(client: Any, file: Path) -> None:
    with Peer([cut(), rest()]) as peer:
        await fails(lambda: client.download(f"{peer.url}/file", file), AtomHTTPNetworkError)
        assert part_of(file).read_bytes() == CONTENT[:CUT]
        response = await client.download(f"{peer.url}/file", file)
        assert asked(peer) == [(None, None), FROM_CUT]
    assert response.status == 206
    assert read(file) == CONTENT
    assert names(file.parent) == ["file"]


async def test_it_goes_on_after_a_reset(client: Any, file: Path) -> None:
    with Peer([[*cut(), reset()], rest()]) as peer:
        await fails(lambda: client.download(f"{peer.url}/file", file), AtomHTTPNetworkError)
        await client.download(f"{peer.url}/file", file)
        assert asked(peer)[1] == FROM_CUT
    assert read(file) == CONTENT


async def test_it_goes_on_several_times(client: Any, file: Path) -> None:
    with Peer([cut(1), rest(1, came=0), rest(1, came=CUT - 1), rest()]) as peer:
        for _ in range(3):
            await fails(lambda: client.download(f"{peer.url}/file", file), AtomHTTPNetworkError)
        await client.download(f"{peer.url}/file", file)
        assert asked(peer) == [(None, None), ("bytes=1-", TAG), ("bytes=1-", TAG), FROM_CUT]
    assert read(file) == CONTENT


async def test_an_old_enough_last_modified_is_proof_too(client: Any, file: Path) -> None:
    date = DATES[0].partition(": ")[2]
    going_on = partial_content(f"bytes {CUT}-{SIZE - 1}/{SIZE}", CONTENT[CUT:], tag=None)
    with Peer([cut(CUT, CONTENT, *DATES, tag=None), going_on]) as peer:
        await fails(lambda: client.download(f"{peer.url}/file", file), AtomHTTPNetworkError)
        await client.download(f"{peer.url}/file", file)
        assert asked(peer)[1] == (f"bytes={CUT}-", date)
    assert read(file) == CONTENT


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param((), id="none"),
        pytest.param(('ETag: W/"v1"',), id="a weak tag"),
        pytest.param(('ETag: W/"v1"', *DATES), id="a weak tag, and a date"),
        pytest.param(("ETag: v1",), id="a tag without quotes"),
        pytest.param(('ETag: "a", "b"',), id="two tags"),
        pytest.param((DATES[0],), id="a date without a clock"),
        pytest.param((DATES[0], "Date: Mon, 01 Jan 2024 10:00:59 GMT"), id="a date of just now"),
        pytest.param((TAG and f"ETag: {TAG}", "Content-Encoding: br-unknown"), id="coded content"),
    ],
)
async def test_without_proof_nothing_stays(client: Any, file: Path, proof: tuple[str, ...]) -> None:
    with Peer([cut(CUT, CONTENT, *proof, tag=None), whole()]) as peer:
        await fails(lambda: client.download(f"{peer.url}/file", file), AtomHTTPNetworkError)
        assert names(file.parent) == []
        await client.download(f"{peer.url}/file", file)
        assert asked(peer) == [(None, None), (None, None)]
    assert read(file) == CONTENT


async def test_a_file_that_has_changed_is_downloaded_anew(client: Any, origin: Origin, file: Path) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(OTHER, '"v2"')
    leave(file, url)
    await client.download(url, file)
    assert asked(origin) == [FROM_CUT]
    assert read(file) == OTHER


@pytest.mark.parametrize("size", [0, 1, CUT - 1, CUT, CUT + 1])
@pytest.mark.parametrize("tag", ['"v2"', None])
async def test_whatever_its_size_is_now(client: Any, origin: Origin, file: Path, size: int, tag: str | None) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(OTHER[:size], tag)
    leave(file, url)
    await client.download(url, file)
    assert read(file) == OTHER[:size]
    assert names(file.parent) == ["file"]


async def test_a_server_that_knows_no_ranges(client: Any, origin: Origin, file: Path) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = lambda _: Answer(CONTENT, headers=[("ETag", TAG)])
    leave(file, url)
    await client.download(url, file)
    assert read(file) == CONTENT


LAST = SIZE - 1


@pytest.mark.parametrize(
    ("content_range", "fields", "tag"),
    [
        pytest.param(f"bytes {CUT - 1}-{LAST}/{SIZE}", (), TAG, id="begins too early"),
        pytest.param(f"bytes {CUT + 1}-{LAST}/{SIZE}", (), TAG, id="begins too late"),
        pytest.param(f"bytes 0-{LAST}/{SIZE}", (), TAG, id="begins at the beginning"),
        pytest.param(f"bytes {CUT}-{LAST}/{SIZE + 1}", (), TAG, id="another total"),
        pytest.param(f"bytes {CUT}-{LAST}/{CUT}", (), TAG, id="a total that it is beyond"),
        pytest.param(f"bytes {CUT}-{LAST}/*", (), TAG, id="an unknown total"),
        pytest.param(f"bytes */{SIZE}", (), TAG, id="no range"),
        pytest.param(f"bytes {LAST}-{CUT}/{SIZE}", (), TAG, id="backwards"),
        pytest.param(f"items {CUT}-{LAST}/{SIZE}", (), TAG, id="another unit"),
        pytest.param("nonsense", (), TAG, id="nonsense"),
        pytest.param(None, (), TAG, id="no Content-Range"),
        pytest.param(None, ("Content-Type: multipart/byteranges; boundary=x",), TAG, id="multipart"),
        pytest.param(f"bytes {CUT}-{LAST}/{SIZE}", (), '"v2"', id="another tag"),
        pytest.param(f"bytes {CUT}-{LAST}/{SIZE}", (), f"W/{TAG}", id="a weak tag"),
        pytest.param(f"bytes {CUT}-{LAST}/{SIZE}", (), None, id="no tag"),
        pytest.param(f"bytes {CUT}-{LAST}/{SIZE}", ("Content-Encoding: br-unknown",), TAG, id="coded"),
    ],
)
async def test_what_does_not_prove_to_be_the_rest_is_not_taken(
    client: Any, file: Path, content_range: str | None, fields: tuple[str, ...], tag: str | None
) -> None:
    with Peer([partial_content(content_range, OTHER[CUT:], *fields, tag=tag), whole()]) as peer:
        leave(file, f"{peer.url}/file")
        await client.download(f"{peer.url}/file", file)
        assert asked(peer) == [FROM_CUT, (None, None)]
    assert read(file) == CONTENT
    assert names(file.parent) == ["file"]


async def test_a_date_that_has_changed_is_another_file(client: Any, file: Path) -> None:
    date = DATES[0].partition(": ")[2]
    ranged = f"bytes {CUT}-{LAST}/{SIZE}"
    for said in (("Last-Modified: Tue, 02 Jan 2024 10:00:00 GMT",), (f"ETag: {TAG}", DATES[0])):
        with Peer([partial_content(ranged, OTHER[CUT:], *said, tag=None), whole()]) as peer:
            leave(file, f"{peer.url}/file", tag=date)
            await client.download(f"{peer.url}/file", file)
            assert asked(peer) == [(f"bytes={CUT}-", date), (None, None)]
        assert read(file) == CONTENT


async def test_out_of_range_begins_anew(client: Any, file: Path) -> None:
    with Peer([reply(head(416, 0, f"Content-Range: bytes */{CUT - 1}")), whole()]) as peer:
        leave(file, f"{peer.url}/file")
        await client.download(f"{peer.url}/file", file)
        assert asked(peer) == [FROM_CUT, (None, None)]
    assert read(file) == CONTENT


async def test_out_of_range_for_all_of_it_is_an_error_of_status(client: Any, origin: Origin, file: Path) -> None:
    origin.routes["/file"] = lambda _: Answer(b"", 416)
    error = await fails(lambda: client.download(f"{origin.url}/file", file), AtomHTTPStatusError)
    assert error.response.status == 416
    assert len(origin.requests) == 1


async def test_shorter_ranges_than_asked_for_are_put_together(client: Any, file: Path) -> None:
    with Peer([rest(end=CUT + 1), rest(CUT + 1, end=CUT + 50_000), rest(CUT + 50_000)]) as peer:
        leave(file, f"{peer.url}/file")
        await client.download(f"{peer.url}/file", file)
        assert [each for each, _ in asked(peer)] == [f"bytes={CUT}-", f"bytes={CUT + 1}-", f"bytes={CUT + 50_000}-"]
    assert read(file) == CONTENT


async def test_of_unknown_size_until_now_it_is_whole_when_all_is_there(client: Any, file: Path) -> None:
    """Chunked content has no size; its first range tells it, and may hold less than the rest."""
    beginning = reply(
        head(200, None, f"ETag: {TAG}", "Transfer-Encoding: chunked"), b"%x\r\n%b\r\n" % (CUT, CONTENT[:CUT])
    )
    with Peer([beginning, rest(end=CUT + 10), rest(CUT + 10)]) as peer:
        await fails(lambda: client.download(f"{peer.url}/file", file), AtomHTTPNetworkError)
        await client.download(f"{peer.url}/file", file)
        assert [each for each, _ in asked(peer)] == [None, f"bytes={CUT}-", f"bytes={CUT + 10}-"]
    assert read(file) == CONTENT


async def test_a_range_of_unknown_total_cannot_make_it_whole(client: Any, file: Path) -> None:
    with Peer([partial_content(f"bytes {CUT}-{CUT + 9}/*", CONTENT[CUT : CUT + 10]), whole()]) as peer:
        leave(file, f"{peer.url}/file", total=None)
        await client.download(f"{peer.url}/file", file)
    assert read(file) == CONTENT


async def test_a_range_without_content_ends_in_an_error(client: Any, file: Path) -> None:
    with Peer(partial_content(f"bytes {CUT}-{LAST}/{SIZE}", b"")) as peer:
        leave(file, f"{peer.url}/file")
        await fails(lambda: client.download(f"{peer.url}/file", file), AtomHTTPProtocolError)
    assert names(file.parent) == []


@pytest.mark.parametrize("end", [CUT + 10, SIZE])
async def test_more_than_the_range_that_was_announced(client: Any, file: Path, end: int) -> None:
    surplus = CONTENT[CUT:end] + OTHER[:10]
    with Peer(partial_content(f"bytes {CUT}-{end - 1}/{SIZE}", surplus)) as peer:
        leave(file, f"{peer.url}/file")
        error = await fails(lambda: client.download(f"{peer.url}/file", file), AtomHTTPProtocolError)
        assert peer.url in str(error)
    assert names(file.parent) == []


async def test_a_part_that_nobody_asked_for(client: Any, file: Path) -> None:
    with Peer(partial_content(f"bytes 0-{CUT - 1}/{SIZE}", CONTENT[:CUT])) as peer:
        error = await fails(lambda: client.download(f"{peer.url}/file", file), AtomHTTPProtocolError)
    assert "206" in str(error)
    assert names(file.parent) == []


async def test_only_the_end_was_missed(client: Any, origin: Origin, file: Path) -> None:
    """All bytes are there, and the last one is fetched again: it proves that the file is still the same."""
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT)
    leave(file, url, CONTENT)
    await client.download(url, file)
    assert asked(origin) == [(f"bytes={SIZE - 1}-", TAG)]
    assert read(file) == CONTENT


async def test_resume_false_is_about_earlier_calls(api: Api, file: Path) -> None:
    with Peer([cut(), rest()]) as peer:
        leave(file, f"{peer.url}/file", OTHER[:CUT])
        await api.client(retry_config=FAST).download(f"{peer.url}/file", file, resume=False)
        assert asked(peer) == [(None, None), FROM_CUT]
    assert read(file) == CONTENT


async def test_resume_false_begins_anew(client: Any, origin: Origin, file: Path) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT)
    leave(file, url, OTHER[:CUT])
    await client.download(url, file, resume=False)
    assert asked(origin) == [(None, None)]
    assert read(file) == CONTENT


@pytest.mark.parametrize("other", ["/another", "/file?version=2"])
async def test_a_part_of_another_url_is_not_gone_on_with(client: Any, origin: Origin, file: Path, other: str) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    leave(file, f"{origin.url}{other}", OTHER[:CUT])
    await client.download(f"{origin.url}/file", file)
    assert asked(origin) == [(None, None)]
    assert read(file) == CONTENT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"url": 1}',
        "\udcff",
        "[" * 100_000,
        '{"url": "DIGEST", "validator": 5, "total": 700001}',
        '{"url": "DIGEST", "validator": "\\"v1\\"", "total": "700001"}',
        '{"url": "DIGEST", "validator": "\\"v1\\"", "total": 10}',
        '{"url": "DIGEST", "validator": "\\"v1\\"", "total": -1}',
        '{"url": "DIGEST", "validator": "\\"v1\\"", "total": 1e6}',
        '{"url": "DIGEST", "validator": "", "total": 700001}',
        '{"url": "DIGEST", "validator": "\\"v1\\"\\r\\nX-Evil: 1", "total": 700001}',
    ],
)
async def test_a_note_that_is_broken_proves_nothing(client: Any, origin: Origin, file: Path, text: str) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT)
    leave(file, url, OTHER[:CUT])
    named = text.replace('"DIGEST"', f'"{digest_of(url)}", "place": "{digest_of(url)}"')
    note_of(file).write_bytes(named.encode(errors="surrogateescape"))
    await client.download(url, file)
    assert asked(origin) == [(None, None)]
    assert read(file) == CONTENT
    assert names(file.parent) == ["file"]


async def test_a_part_without_its_note_proves_nothing(client: Any, origin: Origin, file: Path) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    part_of(file).write_bytes(OTHER)
    await client.download(f"{origin.url}/file", file)
    assert read(file) == CONTENT


async def test_the_note_holds_no_secrets(client: Any, file: Path) -> None:
    with Peer(cut()) as peer:
        url = peer.url.replace("://", "://user:pass-word@")
        call = partial(client.download, f"{url}/file?token=to-ken", file, headers={"Cookie": "a=coo-kie"})
        await fails(call, AtomHTTPNetworkError)
    assert sorted(json.loads(note_of(file).read_text())) == ["place", "total", "url", "validator"]
    assert not {"pass-word", "to-ken", "coo-kie"} & {word for word in note_of(file).read_text().split('"') if word}


async def test_nginx_goes_on(client: Any, nginx: Nginx, file: Path) -> None:
    """Its own ETag, Last-Modified and ranges, of a download that its client has given up."""
    seen = Calls()

    def stop(loaded: int, total: int) -> None:
        seen(loaded, total)
        if loaded >= 10_000_000:
            raise StopError

    await fails(lambda: client.download(f"{nginx.url}/big", file, on_download_progress=stop), StopError)
    size = part_of(file).stat().st_size
    assert 0 < size <= seen[-1][0]
    told = Calls()
    response = await client.download(f"{nginx.url}/big", file, on_download_progress=told)
    assert response.status == 206
    assert response.headers["content-range"] == f"bytes {size}-{BIG_SIZE - 1}/{BIG_SIZE}"
    assert size_of(file) == BIG_SIZE
    assert size < told[0][0] <= size + 256 * 1024
    assert told[-1] == (BIG_SIZE, BIG_SIZE)


async def test_nginx_answers_for_a_truncated_part(client: Any, nginx: Nginx, file: Path) -> None:
    url = f"{nginx.url}/blob"
    tag = (await client.head(url)).headers["etag"]
    digest = hashlib.sha256(BLOB).hexdigest()
    for content in (BLOB[:1], BLOB[:-1], BLOB):
        leave(file, url, content, tag, len(BLOB))
        response = await client.download(url, file, checksum=f"sha256:{digest}")
        assert response.status == 206
        assert read(file) == BLOB
    leave(file, url, OTHER[:CUT], '"another"', len(BLOB))
    assert (await client.download(url, file)).status == 200
    assert read(file) == BLOB


# Statuses, redirects, credentials


@pytest.mark.parametrize("status", [304, 400, 401, 404, 410, 429, 500, 503])
async def test_other_statuses_are_errors_and_leave_things_as_they_were(
    client: Any, origin: Origin, file: Path, status: int
) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = lambda _: Answer(b"why", status, [("ETag", TAG)])
    write(file, b"of old")
    error = await fails(lambda: client.download(url, file), AtomHTTPStatusError)
    assert error.response.status == status
    assert names(file.parent) == ["file"]
    leave(file, url)
    await fails(lambda: client.download(url, file), AtomHTTPStatusError)
    assert read(file) == b"of old"
    # What was there can be gone on with.
    origin.routes["/file"] = Resource(CONTENT)
    assert (await client.download(url, file)).status == 206
    assert read(file) == CONTENT


async def test_the_client_cannot_be_told_to_take_other_statuses(api: Api, origin: Origin, file: Path) -> None:
    client = api.client(validate_status=None, response_type="text")
    await fails(lambda: client.download(f"{origin.url}/status/404", file), AtomHTTPStatusError)
    origin.routes["/file"] = Resource(CONTENT)
    await client.download(f"{origin.url}/file", file)
    assert read(file) == CONTENT


async def test_no_content_is_an_empty_file(client: Any, origin: Origin, file: Path) -> None:
    assert (await client.download(f"{origin.url}/status/204", file)).status == 204
    assert read(file) == b""


async def test_redirects_are_followed_and_gone_on_with(client: Any, origin: Origin, tmp_path: Path) -> None:
    origin.routes["/there"] = Resource(CONTENT)
    origin.routes["/here.bin"] = lambda _: Answer(b"", 302, [("Location", "/there")])
    leave(tmp_path / "here.bin", f"{origin.url}/here.bin", place=f"{origin.url}/there")
    response = await client.download(f"{origin.url}/here.bin", tmp_path)
    assert (response.status, response.url) == (206, f"{origin.url}/there")
    assert asked(origin) == [FROM_CUT] * 2
    # The name is that of the URL that was asked for: a redirect does not choose it.
    assert names(tmp_path) == ["here.bin"]
    assert (tmp_path / "here.bin").read_bytes() == CONTENT


async def test_a_redirect_that_leads_elsewhere_by_now_is_another_file(client: Any, origin: Origin, file: Path) -> None:
    """A validator is one URL's: here two files of one size have the same."""
    origin.routes["/latest"] = lambda _: Answer(b"", 302, [("Location", "/2.0")])
    origin.routes["/2.0"] = Resource(CONTENT)
    leave(file, f"{origin.url}/latest", OTHER[:CUT], place=f"{origin.url}/1.0")
    response = await client.download(f"{origin.url}/latest", file)
    assert (response.status, response.url) == (200, f"{origin.url}/2.0")
    assert read(file) == CONTENT


async def test_a_redirect_to_a_signed_url_is_gone_on_with(client: Any, origin: Origin, file: Path) -> None:
    """It is signed anew each time."""
    origin.routes["/file"] = lambda _: Answer(b"", 302, [("Location", "/there?signature=2")])
    origin.routes["/there?signature=2"] = origin.routes["/there"] = Resource(CONTENT)
    leave(file, f"{origin.url}/file", place=f"{origin.url}/there?signature=1")
    response = await client.download(f"{origin.url}/file", file)
    assert response.status == 206
    assert read(file) == CONTENT


async def test_credentials_go_along_with_each_request(api: Api, file: Path) -> None:
    with Peer([cut(), rest()]) as peer:
        client = api.client(auth=("user", "pass"), retry_config=FAST)
        await client.download(f"{peer.url}/file", file)
        assert [each.get("authorization") for each in peer.heads] == ["Basic dXNlcjpwYXNz"] * 2
    assert read(file) == CONTENT


async def test_base_url_params_and_headers_are_the_requests(api: Api, origin: Origin, file: Path) -> None:
    origin.routes["/api/file"] = Resource(CONTENT)
    client = api.client(base_url=f"{origin.url}/api", params={"a": 1})
    leave(file, f"{origin.url}/api/file?a=1&b=2")
    await client.download("file", file, params={"b": 2}, headers={"X-Mine": "1"})
    request = origin.requests[0]
    assert (request.target, request.get("x-mine")) == ("/api/file?a=1&b=2", "1")
    assert asked(origin) == [FROM_CUT]
    assert read(file) == CONTENT


# Going on by itself


async def test_retry_config_goes_on_after_a_cut(api: Api, file: Path) -> None:
    told = Calls()
    with Peer([cut(), rest(came=50_000), rest(CUT + 50_000)]) as peer:
        await api.client(retry_config=FAST).download(f"{peer.url}/file", file, on_download_progress=told)
        assert [each for each, _ in asked(peer)] == [None, f"bytes={CUT}-", f"bytes={CUT + 50_000}-"]
    assert read(file) == CONTENT
    assert told == sorted(told)
    assert told[-1] == (SIZE, SIZE)


async def test_without_proof_it_begins_anew_by_itself(api: Api, file: Path) -> None:
    with Peer([cut(tag=None), whole(OTHER, tag=None)]) as peer:
        await api.client(retry_config=FAST).download(f"{peer.url}/file", file)
        assert asked(peer) == [(None, None)] * 2
    assert read(file) == OTHER


async def test_a_file_that_changes_in_between_is_never_mixed(api: Api, file: Path) -> None:
    with Peer([cut(), whole(OTHER, tag='"v2"')]) as peer:
        await api.client(retry_config=FAST).download(f"{peer.url}/file", file)
    assert read(file) == OTHER


@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_not_beyond_max_retries(api: Api, file: Path, retries: int) -> None:
    scripts = [cut(1), *(rest(place, came=1) for place in range(1, retries + 1))]
    with Peer(scripts) as peer:
        client = api.client(retry_config={**FAST, "max_retries": retries})
        await fails(lambda: client.download(f"{peer.url}/file", file), AtomHTTPNetworkError)
        assert len(peer.heads) == 1 + retries
    assert part_of(file).read_bytes() == CONTENT[: 1 + retries]


@pytest.mark.parametrize("options", [{}, {"retry_config": None}, {"retry_config": {**FAST, "methods": ["PUT"]}}])
async def test_without_a_policy_for_it_a_cut_is_an_error(client: Any, file: Path, options: dict[str, Any]) -> None:
    with Peer(cut()) as peer:
        error = await fails(lambda: client.download(f"{peer.url}/file", file, **options), AtomHTTPNetworkError)
        assert len(peer.heads) == 1
    assert error.request is not None
    assert error.request.url == f"{peer.url}/file"


async def test_an_unasked_part_is_no_reason_to_ask_for_ever(api: Api, file: Path) -> None:
    scripts = [partial_content("bytes 0-9/10", b"0123456789")] * 3
    with Peer(scripts) as peer:
        client = api.client(retry_config={**FAST, "max_retries": 2})
        await fails(lambda: client.download(f"{peer.url}/file", file), AtomHTTPProtocolError)
    assert names(file.parent) == []


async def test_the_waits_are_those_of_the_policy(virtual_clock: Any, file: Path) -> None:
    policy = {"backoff_factor": 8, "jitter": False}
    with Peer([cut(1), rest(1, came=1), rest(2)]) as peer:
        async with AtomHTTP(retry_config=policy) as client:
            await client.download(f"{peer.url}/file", file)
    assert read(file) == CONTENT
    assert virtual_clock.time() == pytest.approx(8 + 16, abs=1)


@pytest.mark.parametrize("timeout", [5, {"read": 5}])
async def test_a_gap_that_is_too_long_is_one_attempts(virtual_clock: Any, file: Path, timeout: Any) -> None:
    with Peer([[*cut(), hold()], rest()]) as peer:
        async with AtomHTTP(retry_config=FAST, timeout=timeout) as client:
            await client.download(f"{peer.url}/file", file)
        assert asked(peer)[1] == FROM_CUT
    assert read(file) == CONTENT
    assert virtual_clock.time() == pytest.approx(5, abs=0.5)


@pytest.mark.parametrize("policy", [None, {**FAST, "on_timeout": False}])
async def test_a_gap_without_a_policy_for_it_is_the_end(virtual_clock: Any, file: Path, policy: Any) -> None:
    with Peer([[*cut(), hold()], rest()]) as peer:
        async with AtomHTTP(retry_config=policy, timeout=5) as client:
            with pytest.raises(AtomHTTPTimeoutError):
                await client.download(f"{peer.url}/file", file)
            await client.download(f"{peer.url}/file", file)
    assert read(file) == CONTENT


async def test_a_total_that_has_passed_is_the_end(virtual_clock: Any, file: Path) -> None:
    with Peer([[*cut(), hold()]]) as peer:
        async with AtomHTTP(retry_config=FAST, timeout=Timeout(total=5)) as client:
            with pytest.raises(AtomHTTPTimeoutError):
                await client.download(f"{peer.url}/file", file)
        assert len(peer.heads) == 1
    assert part_of(file).read_bytes() == CONTENT[:CUT]


# Progress, limits, rate


async def test_a_file_that_others_may_not_read_stays_such_a_one(client: Any, origin: Origin, file: Path) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    write(file, b"what was there before")
    os.chmod(file, 0o600)
    await client.download(f"{origin.url}/file", file)
    assert read(file) == CONTENT
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600


async def test_progress_goes_on_from_what_was_there(client: Any, origin: Origin, file: Path) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT)
    leave(file, url)
    told = Calls()
    await client.download(url, file, onDownloadProgress=told)
    counts = [loaded for loaded, _ in told]
    assert CUT < counts[0] <= CUT + 256 * 1024
    assert counts == sorted(set(counts))
    assert {total for _, total in told} == {SIZE}
    assert counts[-1] == SIZE


async def test_an_event_says_the_same(client: Any, origin: Origin, file: Path) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT)
    leave(file, url)
    told: list[ProgressEvent] = []

    def callback(event: ProgressEvent) -> None:
        told.append(event)

    await client.download(url, file, on_download_progress=callback)
    assert sum(each.bytes for each in told) == SIZE - CUT
    assert (told[-1].loaded, told[-1].total, told[-1].progress) == (SIZE, SIZE, 1.0)
    # The rate is that of what comes now, and not of what was there.
    assert all(each.rate is None or each.loaded - CUT >= each.bytes for each in told)


async def test_callbacks_may_be_asynchronous(client: Any, origin: Origin, file: Path) -> None:
    told = Calls()
    origin.routes["/file"] = Resource(CONTENT)

    async def callback(loaded: int, total: int) -> None:
        told(loaded, total)

    await client.download(f"{origin.url}/file", file, on_download_progress=callback)
    assert told[-1] == (SIZE, SIZE)


class Terminal(io.StringIO):
    """A file that says it is one."""

    def isatty(self) -> bool:
        return True


async def test_a_bar_has_one_line_however_often_it_is_gone_on_with(client: Any, file: Path) -> None:
    terminal = Terminal()
    with Peer([cut(), rest()]) as peer:
        bar = ProgressBar("file", terminal)
        await client.download(f"{peer.url}/file", file, on_download_progress=bar, retry_config=FAST)
    assert read(file) == CONTENT
    assert terminal.getvalue().count("\n") == 1
    assert "100%" in terminal.getvalue()


@pytest.mark.parametrize("parameters", [1, 2])
async def test_what_is_read_for_an_error_is_no_progress(
    client: Any, origin: Origin, file: Path, parameters: int
) -> None:
    told: list[Any] = []
    callback = told.append if parameters == 1 else lambda *counts: told.append(counts)
    origin.routes["/file"] = lambda _: Answer(b"nothing here", 404)
    url = f"{origin.url}/file"
    await fails(partial(client.download, url, file, on_download_progress=callback), AtomHTTPStatusError)
    assert told == []


async def test_progress_may_be_the_clients(api: Api, origin: Origin, file: Path) -> None:
    told = Calls()
    origin.routes["/file"] = Resource(CONTENT)
    await api.client(on_download_progress=told).download(f"{origin.url}/file", file)
    assert told[-1] == (SIZE, SIZE)


async def test_the_config_of_a_download_can_be_used_again(client: Any, origin: Origin, file: Path) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT)
    leave(file, url)
    response = await client.download(url, file)
    assert asked(origin)[-1] == (f"bytes={CUT}-", TAG)
    await client.download(url, file, config=response.config)
    assert asked(origin)[-1] == (None, None)
    assert read(file) == CONTENT


async def test_what_a_callback_raises_ends_it_and_what_has_come_stays(client: Any, origin: Origin, file: Path) -> None:
    url = f"{origin.url}/file"
    # In two pieces at the least.
    origin.routes["/file"] = Resource(CONTENT * 4)

    def stop(loaded: int, _total: int) -> None:
        if loaded > 2 * SIZE:
            raise StopError

    await fails(lambda: client.download(url, file, on_download_progress=stop, retry_config=FAST), StopError)
    size = part_of(file).stat().st_size
    assert 0 < size <= 2 * SIZE
    await client.download(url, file)
    assert asked(origin)[-1] == (f"bytes={size}-", TAG)
    assert read(file) == CONTENT * 4


async def test_an_error_of_another_call_that_a_callback_raises_is_the_users(
    client: Any, origin: Origin, file: Path
) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    mine = AtomHTTPNetworkError("of another call", "ECONNRESET")

    def callback(_loaded: int, _total: int) -> None:
        raise mine

    call = partial(client.download, f"{origin.url}/file", file, on_download_progress=callback, retry_config=FAST)
    assert await fails(call, AtomHTTPNetworkError) is mine
    assert len(origin.requests) == 1


async def test_max_content_length_is_for_all_of_it(client: Any, origin: Origin, file: Path) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT)
    for limit in (SIZE - 1, CUT, 0):
        error = await fails(partial(client.download, url, file, maxContentLength=limit), AtomHTTPLimitError)
        assert error.limit == limit
        assert names(file.parent) == []
        leave(file, url)
        await fails(partial(client.download, url, file, maxContentLength=limit), AtomHTTPLimitError)
        part_of(file).unlink()
        note_of(file).unlink()
    leave(file, url)
    await client.download(url, file, maxContentLength=SIZE)
    assert read(file) == CONTENT


async def test_max_content_length_where_nothing_is_announced(client: Any, origin: Origin, file: Path) -> None:
    origin.routes["/file"] = lambda _: Answer(CONTENT, headers=[("ETag", TAG)], chunked=True)
    await fails(lambda: client.download(f"{origin.url}/file", file, maxContentLength=CUT), AtomHTTPLimitError)
    assert not is_there(file)


async def test_max_rate_is_held(virtual_clock: Any, file: Path) -> None:
    with Peer(whole()) as peer:
        async with AtomHTTP(max_rate=100_000) as client:
            await client.download(f"{peer.url}/file", file)
    assert virtual_clock.time() == pytest.approx(7 - 0.5, abs=0.1)
    assert read(file) == CONTENT


# Content codings


async def test_content_that_is_coded_all_the_same_is_decoded(client: Any, origin: Origin, file: Path) -> None:
    coded = gzip.compress(CONTENT)
    origin.routes["/file"] = lambda _: Answer(coded, headers=[("ETag", TAG), ("Content-Encoding", "gzip")])
    await client.download(f"{origin.url}/file", file)
    assert read(file) == CONTENT
    await client.download(f"{origin.url}/file", file, decompress=False)
    assert read(file) == coded


async def test_half_of_coded_content_does_not_stay(client: Any, origin: Origin, file: Path) -> None:
    coded = gzip.compress(CONTENT)[:CUT]
    origin.routes["/file"] = lambda _: Answer(coded, headers=[("ETag", TAG), ("Content-Encoding", "gzip")])
    await fails(lambda: client.download(f"{origin.url}/file", file), (AtomHTTPNetworkError, AtomHTTPDecodeError))  # type: ignore[arg-type]  # either
    assert names(file.parent) == []


async def test_the_caller_may_ask_for_another_coding(client: Any, origin: Origin, file: Path) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    await client.download(f"{origin.url}/file", file, headers={"Accept-Encoding": "gzip"})
    assert origin.requests[0].get("accept-encoding") == "gzip"


# Checksums


@pytest.mark.parametrize("name", ["sha256", "SHA256", "sha-256", "md5", "sha512", "blake2b"])
async def test_a_checksum_that_is_right(client: Any, origin: Origin, file: Path, name: str) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT)
    digest = hashlib.new(name.lower().replace("-", ""), CONTENT).hexdigest()
    leave(file, url)
    await client.download(url, file, checksum=f"{name}:{digest.upper()}")
    assert read(file) == CONTENT


async def test_a_checksum_that_is_wrong(client: Any, origin: Origin, file: Path) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    write(file, b"of old")
    wanted = hashlib.sha256(OTHER).hexdigest()
    error = await fails(
        lambda: client.download(f"{origin.url}/file", file, checksum=f"sha256:{wanted}"), AtomHTTPChecksumError
    )
    found = hashlib.sha256(CONTENT).hexdigest()
    assert (error.code, error.expected, error.actual) == ("ERR_CHECKSUM", wanted, found)
    assert all(each in str(error) for each in ("sha256", "file", wanted, found))
    assert (error.config.url, error.request.url) == (f"{origin.url}/file",) * 2
    assert (error.response.status, error.response.data) == (200, None)
    assert pickle.loads(pickle.dumps(error)).actual == found
    assert names(file.parent) == ["file"]
    assert read(file) == b"of old"


async def test_a_checksum_finds_a_part_of_something_else(client: Any, origin: Origin, file: Path) -> None:
    """Whoever changes the part on the disk is found out, and the next call begins anew."""
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT)
    leave(file, url, OTHER[:CUT])
    checksum = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    await fails(lambda: client.download(url, file, checksum=checksum), AtomHTTPChecksumError)
    assert names(file.parent) == []
    await client.download(url, file, checksum=checksum)
    assert read(file) == CONTENT


@pytest.mark.parametrize("checksum", ["", "sha256", "abc", "sha256:", "sha256:12", b"sha256:", 5, True])
async def test_odd_checksums_are_refused_before_anything_happens(
    client: Any, origin: Origin, file: Path, checksum: Any
) -> None:
    call = partial(client.download, f"{origin.url}/file", file, checksum=checksum)
    error = await fails(call, AtomHTTPOptionError)
    assert (error.code, str(error).partition(":")[0]) == ("ERR_BAD_OPTION_VALUE", "checksum")
    assert origin.requests == []
    assert names(file.parent) == []


# Paths


@pytest.mark.parametrize("kind", [str, Path, lambda path: f"{path.parent}/../{path.parent.name}/./file"])
async def test_kinds_of_paths(client: Any, origin: Origin, file: Path, kind: Callable[[Path], Any]) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    response = await client.download(f"{origin.url}/file", kind(file))
    assert response.data == file
    assert read(file) == CONTENT


async def test_a_relative_path(client: Any, origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    origin.routes["/file"] = Resource(CONTENT)
    response = await client.download(f"{origin.url}/file", "here")
    assert response.data == tmp_path / "here"
    assert (await client.download(f"{origin.url}/file", ".")).data == tmp_path / "file"


@pytest.mark.parametrize(
    ("end", "name"),
    [
        ("/file.bin", "file.bin"),
        ("/a/b/file.bin?query=/x#frag/ment", "file.bin"),
        ("/a%20b%c3%bc.txt", "a bü.txt"),
        ("/...", "..."),
        ("/.hidden", ".hidden"),
    ],
)
async def test_into_a_directory_it_is_called_by_the_url(
    client: Any, origin: Origin, tmp_path: Path, end: str, name: str
) -> None:
    origin.routes[end.partition("?")[0].partition("#")[0]] = Resource(CONTENT)
    response = await client.download(f"{origin.url}{end}", f"{tmp_path}/")
    assert response.data == tmp_path / name
    assert names(tmp_path) == [name]


@pytest.mark.parametrize(
    "end",
    [
        *("", "/", "/a/", "/?q=name", "/%2e%2e", "/%2e", "/%2e%2e%2f", "/%2e%2e%2fname", "/..%5cname", "/a%2fb"),
        *("/%00", "/a%0ab", "/a%1bb", "/%7f", "/c:name", "/a%7cb", "/%3f", "/a*", "/%e2%80%ae"),
    ],
)
async def test_names_that_are_none(client: Any, origin: Origin, tmp_path: Path, end: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    error = await fails(lambda: client.download(f"{origin.url}{end}", inner), AtomHTTPOptionError)
    assert str(error).startswith(f"path: '{inner}': ")
    assert names(tmp_path) == ["inner"]
    assert names(inner) == []
    assert origin.requests == []


@pytest.mark.parametrize("path", [None, 5, b"bytes", "", ["a"], object()])
async def test_what_is_no_path(client: Any, origin: Origin, path: Any) -> None:
    error = await fails(lambda: client.download(f"{origin.url}/file", path), AtomHTTPOptionError)
    assert error.code == "ERR_BAD_OPTION_VALUE"
    assert str(error).startswith("path: ")
    assert origin.requests == []


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(lambda root: root / "missing" / "file", "No such file or directory", id="missing directory"),
        pytest.param(lambda root: f"{root}/missing/", "no such directory", id="missing directory, and a slash"),
        pytest.param(lambda root: root / "plain" / "file", "Not a directory", id="below a file"),
        pytest.param(lambda root: f"{root}/plain/", "no such directory", id="a file, and a slash"),
        pytest.param(lambda _root: "/dev/null", "no file", id="device"),
        pytest.param(lambda root: root / "fifo", "no file", id="fifo"),
        pytest.param(lambda root: root / "loop", "Too many levels", id="loop of links"),
        pytest.param(lambda root: root / ("n" * 256), "File name too long", id="name too long"),
        pytest.param(lambda root: root / ("n" * 250), "File name too long", id="no room for the part's name"),
        pytest.param(lambda root: f"{root}/a\0b", "NUL", id="nul"),
        pytest.param(lambda root: f"{root}/\ud800", "half of a character", id="half of a character"),
        pytest.param(lambda root: root / "taken", "taken.atomhttp.part", id="a directory in the part's place"),
        pytest.param(lambda root: root / "linked", "linked.atomhttp.part", id="a link in the part's place"),
        pytest.param(lambda root: root / "piped", "piped.atomhttp.part", id="a fifo in the part's place"),
        pytest.param(lambda root: root / "noted", "noted", id="a directory in the note's place"),
    ],
)
async def test_paths_that_cannot_be_written(
    client: Any, origin: Origin, tmp_path: Path, make: Callable[[Path], Any], says: str
) -> None:
    (tmp_path / "plain").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    part_of(tmp_path / "taken").mkdir()
    part_of(tmp_path / "linked").symlink_to("plain")
    os.mkfifo(part_of(tmp_path / "piped"))
    note_of(tmp_path / "noted").mkdir()
    before = names(tmp_path)
    origin.routes["/file"] = Resource(CONTENT)
    path = make(tmp_path)
    error = await fails(lambda: client.download(f"{origin.url}/file", path), AtomHTTPOptionError)
    assert error.code == "ERR_BAD_OPTION_VALUE"
    assert str(error).startswith(f"path: {str(path).rstrip('/')!r}"[:-1].removesuffix("/"))
    assert says in str(error)
    assert names(tmp_path) == before
    assert origin.requests == []


async def test_without_permission(client: Any, origin: Origin) -> None:
    # A place where nobody may make files, not even root, who may run the tests.
    error = await fails(lambda: client.download(f"{origin.url}/file", "/sys/file"), AtomHTTPOptionError)
    assert re.fullmatch(r"path: '/sys/file': (Permission denied|Read-only file system): '.*'", str(error))
    assert origin.requests == []


async def test_what_a_link_leads_to_is_replaced(client: Any, origin: Origin, tmp_path: Path) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "real").write_bytes(b"of old")
    for name, leads_to in (("link", "there/real"), ("dangling", "there/new")):
        (tmp_path / name).symlink_to(leads_to)
        response = await client.download(f"{origin.url}/file", tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert response.data == tmp_path / leads_to
        assert (tmp_path / leads_to).read_bytes() == CONTENT
    assert names(tmp_path / "there") == ["new", "real"]
    (tmp_path / "directory").symlink_to("there")
    assert (await client.download(f"{origin.url}/file", tmp_path / "directory")).data == tmp_path / "there" / "file"


# Options


@pytest.mark.parametrize(
    "options",
    [
        {"response_type": "json"},
        {"responseType": "stream"},
        {"validate_status": None},
        {"validateStatus": True},
        {"method": "POST"},
        {"headers": {"Range": "bytes=0-1"}},
        {"no_such_option": 1},
        {"pool_size": 1},
    ],
)
async def test_options_that_are_not_for_a_download(
    client: Any, origin: Origin, file: Path, options: dict[str, Any]
) -> None:
    error = await fails(lambda: client.download(f"{origin.url}/file", file, **options), AtomHTTPOptionError)
    assert error.code == "ERR_BAD_OPTION"
    assert origin.requests == []
    assert names(file.parent) == []


@pytest.mark.parametrize("resume", [None, 1, "no"])
async def test_resume_is_true_or_false(client: Any, origin: Origin, file: Path, resume: Any) -> None:
    error = await fails(lambda: client.download(f"{origin.url}/file", file, resume=resume), AtomHTTPOptionError)
    assert all(each in str(error) for each in ("resume", "True or False", repr(resume)))


async def test_bad_urls(client: Any, file: Path) -> None:
    await fails(lambda: client.download("no url", file), AtomHTTPURLError)
    await fails(lambda: client.download(None, file), AtomHTTPOptionError)
    assert names(file.parent) == []


async def test_options_may_come_in_a_config(client: Any, origin: Origin, file: Path) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    url = f"{origin.url}/file"
    leave(file, url)
    for config in ({"headers": {"X-Mine": "1"}}, RequestConfig(headers={"X-Mine": "1"})):
        await client.download(url, file, config=config)
        assert read(file) == CONTENT
        assert origin.requests[-1].get("x-mine") == "1"


async def test_a_response_config_is_a_config(client: Any, origin: Origin, file: Path) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    response = await client.get(f"{origin.url}/file", headers={"X-Mine": "1"})
    await client.download(f"{origin.url}/file", file, config=response.config)
    assert read(file) == CONTENT
    assert origin.requests[-1].get("x-mine") == "1"


async def test_a_response_that_is_kept_can_be_looked_at(client: Any, origin: Origin, file: Path) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    response = await client.download(f"{origin.url}/file", file)
    assert "200" in repr(response)
    assert response.headers["etag"] == TAG
    assert response.config.url == f"{origin.url}/file"
    assert response.content == b""
    assert response.attempts[-1].status == 200
    # It does not keep its event loop alive.
    assert response.request.driver is None


# What others have to say: interceptors, transformers, subclasses


async def test_interceptors_see_every_request(api: Api, file: Path) -> None:
    client = api.client(retry_config=FAST)
    seen: list[Any] = []
    client.interceptors.use(lambda config: seen.append(config.headers.get("range")))
    client.interceptors.use(lambda response: seen.append(response.status), True)
    with Peer([cut(), rest()]) as peer:
        await client.download(f"{peer.url}/file", file)
    assert seen == [None, 200, f"bytes={CUT}-", 206]
    assert read(file) == CONTENT


@pytest.mark.parametrize(
    "replace",
    [
        pytest.param(lambda response: response.data, id="the stream"),
        pytest.param(lambda _response: "text", id="text"),
        pytest.param(lambda response: Response(response.data, 200), id="a response made by hand"),
        pytest.param(lambda response: setattr(response, "request", None), id="no request"),
    ],
)
async def test_what_interceptors_put_in_the_place_of_a_response(
    client: Any, origin: Origin, file: Path, replace: Callable[[Any], Any]
) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    streams: list[Any] = []

    def interceptor(response: Response[Any]) -> Any:
        streams.append(response.data)
        return replace(response)

    client.interceptors.use(interceptor, True)
    error = await fails(lambda: client.download(f"{origin.url}/file", file), AtomHTTPOptionError)
    assert "interceptor" in str(error)
    assert names(file.parent) == []
    # Not by us: it is the interceptor's, which has taken it out of the response's hands.
    for stream in streams:
        await wait(stream.close() if client_is_sync(stream) else stream.aclose())


def client_is_sync(stream: Any) -> bool:
    return hasattr(stream, "close")


async def test_the_stream_itself_is_closed_when_it_comes_instead_of_the_response(
    client: Any, origin: Origin, file: Path
) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    client.interceptors.use(lambda response: response.data, True)
    await fails(lambda: client.download(f"{origin.url}/file", file), AtomHTTPOptionError)
    # A stream that was forgotten would warn now.
    gc.collect()


async def test_a_transformer_that_puts_something_in_the_streams_place(client: Any, origin: Origin, file: Path) -> None:
    origin.routes["/file"] = Resource(CONTENT)

    async def read_all(stream: Any) -> Any:
        return await wait(stream.read())

    call = partial(client.download, f"{origin.url}/file", file, transform_response=read_all)
    error = await fails(call, AtomHTTPOptionError)
    assert "transformer" in str(error)
    assert names(file.parent) == []


async def test_a_request_interceptor_that_answers(client: Any, origin: Origin, file: Path) -> None:
    client.interceptors.use(lambda _config: Response(b"content"))
    await fails(lambda: client.download(f"{origin.url}/file", file), AtomHTTPOptionError)
    assert names(file.parent) == []


async def test_a_subclass_that_overrides_request_sees_every_request(api: Api, file: Path) -> None:
    seen: list[Any] = []
    base: Any = api.client_class

    class Mine(base):  # type: ignore[misc]  # one class or the other
        def request(self, method: Any = None, url: Any = None, /, **options: Any) -> Any:
            seen.append((method, url))
            return super().request(method, url, **options)

    with Peer([cut(), rest()]) as peer:
        await api.client(of=Mine, retry_config=FAST).download(f"{peer.url}/file", file)
        assert seen == [("GET", f"{peer.url}/file")] * 2
    assert read(file) == CONTENT


async def test_a_mock_adapter_is_downloaded_from(file: Path) -> None:
    adapter = MockAdapter()
    adapter.on(
        "GET", "*", reply=lambda _request: AdapterResponse(200, {"ETag": TAG}, iter([CONTENT[:10], CONTENT[10:]]))
    )
    async with AtomHTTP(adapter=adapter) as client:
        await client.download("http://mocked/file", file)
        assert read(file) == CONTENT
    with SyncAtomHTTP(adapter=adapter) as other:
        other.download("http://mocked/file", file)
        assert read(file) == CONTENT


@pytest.mark.parametrize("announced", [CUT + 1, CUT - 1, 0])
async def test_an_adapter_that_announces_another_length(file: Path, announced: int) -> None:
    """On a network the engine sees to it; of another's adapter it would be asked for the rest for ever."""

    class Careless:
        async def send(self, _request: Any) -> AdapterResponse:
            fields = {"ETag": TAG, "Content-Length": str(announced)}
            return AdapterResponse(200, fields, iter([CONTENT[:CUT]]))

        async def close(self) -> None:
            pass

    adapter = Careless()
    async with AtomHTTP(adapter=adapter) as client:
        with pytest.raises(AtomHTTPProtocolError):
            await client.download("http://mocked/file", file)
    assert names(file.parent) == []


async def test_an_application_is_downloaded_from(file: Path) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        wanted = dict(scope["headers"]).get(b"range", b"bytes=0-")
        start = int(wanted.removeprefix(b"bytes=").removesuffix(b"-"))
        ranged = [(b"content-range", b"bytes %d-%d/%d" % (start, SIZE - 1, SIZE))] if start else []
        fields = [(b"etag", TAG.encode()), *ranged]
        await send({"type": "http.response.start", "status": 206 if start else 200, "headers": fields})
        await send({"type": "http.response.body", "body": CONTENT[start:]})

    async with AtomHTTP(adapter=ASGIAdapter(application)) as client:
        await client.download("http://application/file", file)
        assert read(file) == CONTENT
        leave(file, "http://application/file")
        assert (await client.download("http://application/file", file)).status == 206
    assert read(file) == CONTENT


async def test_another_client_that_ends_on_the_same_loop_meanwhile(origin: Origin, file: Path) -> None:
    """The loop's driver goes with its last user: a download is one also where no connection of it is open."""
    adapter = MockAdapter()
    adapter.on("GET", "*", reply=lambda _request: AdapterResponse(200, {}, iter([CONTENT[:10], CONTENT[10:]])))

    async def other(_response: Response[Any]) -> None:
        async with AtomHTTP() as passing:
            await passing.get(f"{origin.url}/bytes/5")

    async with AtomHTTP(adapter=adapter) as client:
        client.interceptors.use(other, True)
        await asyncio.wait_for(client.download("http://mocked/file", file), PATIENCE)
    assert read(file) == CONTENT


# Deferred, and together


def test_a_deferred_download_is_refused_and_says_so(origin: Origin, file: Path) -> None:
    with SyncAtomHTTP() as client:
        with pytest.raises(AttributeError, match="download"):
            getattr(client.defer, "download")  # noqa: B009  # to a type checker it is not there either
        assert "download" not in dir(client.defer)
    assert origin.requests == []


def test_a_subclass_with_a_download_of_its_own_still_sends_together(origin: Origin) -> None:
    class Mine(SyncAtomHTTP):
        def download(self, *arguments: Any, **options: Any) -> Any:
            return super().download(*arguments, **options)

    with Mine() as client:
        client.all([client.defer.get(f"{origin.url}/bytes/{size}") for size in range(4)])
    assert {each.connection for each in origin.requests} == {0, 1, 2, 3}


async def test_many_together(origin: Origin, tmp_path: Path) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    async with AtomHTTP() as client:
        calls = [client.download(f"{origin.url}/file", tmp_path / f"{number}") for number in range(20)]
        responses = await AtomHTTP.all(calls, limit=5)
    assert [each.data.read_bytes() for each in responses] == [CONTENT] * 20


# Two of the same file at once


async def test_a_second_download_of_the_same_file_is_refused_and_the_first_unharmed(api: Api, file: Path) -> None:
    going_on, second_was_refused = threading.Event(), threading.Event()
    script = [*cut(), signal_step(going_on), wait_step(second_was_refused), send(CONTENT[CUT:])]
    with Peer([script]) as peer, SyncAtomHTTP() as other:
        refused: list[Any] = []

        def second() -> None:
            try:
                going_on.wait(PATIENCE)
                with pytest.raises(AtomHTTPOptionError) as caught:
                    other.download(f"{peer.url}/file", file)
                refused.append(caught.value)
            finally:
                second_was_refused.set()

        thread = threading.Thread(target=second)
        thread.start()
        await api.client().download(f"{peer.url}/file", file)
        thread.join()
        assert len(peer.heads) == 1
    assert str(refused[0]).startswith(f"path: '{file}': it is being downloaded already")
    assert read(file) == CONTENT
    assert names(file.parent) == ["file"]


async def test_of_two_tasks_one_is_refused(origin: Origin, file: Path, loop_kind: str) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    async with AtomHTTP() as client:
        calls = [client.download(f"{origin.url}/file", file) for _ in range(5)]
        results = await AtomHTTP.all(calls, return_exceptions=True)
    # One after the other is fine as well.
    assert {type(each) for each in results} <= {Response, AtomHTTPOptionError}
    assert Response in {type(each) for each in results}
    assert read(file) == CONTENT
    assert names(file.parent) == ["file"]


IN_A_PROCESS = """
import sys
from atomhttp import SyncAtomHTTP

def started(loaded, total):
    if loaded > 100_000:
        print("started", flush=True)
        sys.stdin.readline()

with SyncAtomHTTP() as client:
    client.download(sys.argv[1], sys.argv[2], on_download_progress=started)
"""


@contextlib.contextmanager
def in_a_process(url: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A download in another process, which waits in the middle until it may go on."""
    source = Path(partial_file.__file__).parents[2]
    command = [sys.executable, "-c", IN_A_PROCESS, url, str(path)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(source)},
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            yield process
        finally:
            process.kill()


def test_another_process_is_refused_too_and_one_that_was_killed_is_gone_on_with(origin: Origin, file: Path) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT * 10)
    with SyncAtomHTTP() as client:
        with in_a_process(url, file) as process:
            with pytest.raises(AtomHTTPOptionError, match="being downloaded already"):
                client.download(url, file)
            process.send_signal(signal.SIGKILL)
            process.wait(PATIENCE)
        size = part_of(file).stat().st_size
        response = client.download(url, file)
        assert (response.status, asked(origin)[-1]) == (206, (f"bytes={size}-", TAG)) if size else (200, (None, None))
    assert read(file) == CONTENT * 10
    assert names(file.parent) == ["file"]


# Cancelled, aborted, interrupted


class Stages:
    """Has the part's methods wait, on the thread that they run on, until the test lets them go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        real = getattr(PartialFile, name)

        def slow(part: PartialFile, *arguments: Any) -> Any:
            self.reached.set()
            assert self.go.wait(PATIENCE)
            return real(part, *arguments)

        monkeypatch.setattr(PartialFile, name, slow)


@pytest.mark.parametrize("stage", ["open", "begin", "write", "verify", "finish"])
async def test_cancelled_while_a_thread_works(
    origin: Origin, file: Path, loop_kind: str, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """The thread comes to its turn when nobody waits any more, and somebody else may have the file: it does no harm."""
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT)
    checksum = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    async with AtomHTTP() as client:
        with monkeypatch.context() as patched:
            stages = Stages(patched, stage)
            task = asyncio.create_task(client.download(url, file, checksum=checksum))
            assert await asyncio.to_thread(stages.reached.wait, PATIENCE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert not is_there(file)
        left = names(file.parent)
        assert left == ([] if stage in ("open", "begin", "write") else [note_of(file).name, part_of(file).name])
        again = PartialFile(file)
        again.open()
        stages.go.set()
        await threads_are_idle()
        # What the late thread has done is nothing.
        assert not is_there(file)
        assert note_of(file).exists() == (again.note is not None)
        again.close()
        await client.download(url, file, checksum=checksum)
    assert read(file) == CONTENT
    assert names(file.parent) == ["file"]
    assert open_files(file.parent) == []


async def until_there(path: Path, size: int) -> None:
    """Waits until so much has been written: the disk gives no other sign."""
    deadline = time.monotonic() + PATIENCE
    while not is_there(path) or size_of(path) < size:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


async def threads_are_idle() -> None:
    """Waits until no thread of ours has a job: then nothing of an earlier call is left."""
    from atomhttp._net.threads import _threads

    deadline = time.monotonic() + PATIENCE
    while _threads._idle < _threads._count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


def open_files(directory: Path) -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return [each for each in found if each.startswith(f"{directory}/")]


async def test_cancelled_in_the_middle(file: Path, loop_kind: str) -> None:
    for_the_rest = rest()
    with Peer([[*cut(), hold()], for_the_rest]) as peer:
        async with AtomHTTP() as client:
            task = asyncio.create_task(client.download(f"{peer.url}/file", file))
            await until_there(part_of(file), CUT)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert open_files(file.parent) == []
            await client.download(f"{peer.url}/file", file)
            assert asked(peer)[1] == FROM_CUT
    assert read(file) == CONTENT


async def test_cancelled_before_anything_has_come(file: Path, loop_kind: str) -> None:
    was_asked = threading.Event()
    with Peer([[expect_head(), signal_step(was_asked), hold()]]) as peer:
        async with AtomHTTP() as client:
            task = asyncio.create_task(client.download(f"{peer.url}/file", file))
            assert await asyncio.to_thread(was_asked.wait, PATIENCE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert names(file.parent) == []


async def test_a_time_limit_of_the_callers_and_then_again(file: Path, virtual_clock: Any) -> None:
    with Peer([[*cut(), hold()], rest()]) as peer:
        async with AtomHTTP() as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.download(f"{peer.url}/file", file), 5)
            await client.download(f"{peer.url}/file", file)
    assert read(file) == CONTENT


async def test_aborted_before_it_began(client: Any, origin: Origin, file: Path) -> None:
    controller = AbortController()
    controller.abort()
    url = f"{origin.url}/file"
    await fails(lambda: client.download(url, file, signal=controller.signal), AtomHTTPCanceledError)
    assert names(file.parent) == []
    assert origin.requests == []


async def test_aborted_in_the_middle(client: Any, file: Path) -> None:
    controller = AbortController()
    with Peer([[*cut(), hold()], rest()]) as peer:

        def callback(loaded: int, _total: int) -> None:
            if loaded >= CUT:
                controller.abort()

        call = partial(
            client.download, f"{peer.url}/file", file, signal=controller.signal, on_download_progress=callback
        )
        await fails(call, AtomHTTPCanceledError)
        if part_of(file).exists():
            assert part_of(file).read_bytes() == CONTENT[: part_of(file).stat().st_size]
        await client.download(f"{peer.url}/file", file)
    assert read(file) == CONTENT


async def test_aborted_while_it_waits_to_go_on(api: Api, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    controller = AbortController()

    class Waits(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "goes on in" in record.getMessage():
                threading.Timer(0.01, controller.abort).start()

    handler = Waits()
    caplog.set_level(logging.DEBUG, "atomhttp.request")
    logging.getLogger("atomhttp.request").addHandler(handler)
    began = time.monotonic()
    try:
        with Peer(cut()) as peer:
            policy = {"backoff_factor": 30, "jitter": False}
            call = partial(api.client(retry_config=policy).download, f"{peer.url}/file", file, signal=controller.signal)
            await fails(call, AtomHTTPCanceledError)
    finally:
        logging.getLogger("atomhttp.request").removeHandler(handler)
    # It is over long before the wait is.
    assert time.monotonic() - began < 15
    assert read(part_of(file)) == CONTENT[:CUT]


async def test_the_client_is_closed_in_the_middle(file: Path) -> None:
    with Peer([[*cut(), hold()]]) as peer:
        client = AtomHTTP()
        task = asyncio.create_task(client.download(f"{peer.url}/file", file))
        await until_there(part_of(file), CUT)
        await client.close()
        with pytest.raises(AtomHTTPClosedError):
            await task
    assert part_of(file).read_bytes() == CONTENT[:CUT]
    with pytest.raises(AtomHTTPClosedError):
        await client.download("http://127.0.0.1:1/file", file)


@pytest.mark.parametrize("stage", ["open", "begin", "write", "verify", "finish"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_interrupted_by_the_keyboard(
    origin: Origin, file: Path, monkeypatch: pytest.MonkeyPatch, stage: str, when: str
) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT)
    checksum = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    real = getattr(PartialFile, stage)

    def interrupted(part: PartialFile, *arguments: Any) -> None:
        if when == "after":
            real(part, *arguments)
        raise KeyboardInterrupt

    with SyncAtomHTTP() as client:
        with monkeypatch.context() as patched:
            patched.setattr(PartialFile, stage, interrupted)
            with pytest.raises(KeyboardInterrupt):
                client.download(url, file, checksum=checksum)
        assert open_files(file.parent) == []
        if file.exists():
            assert (stage, when) == ("finish", "after")
        client.download(url, file, checksum=checksum)
    assert read(file) == CONTENT
    assert names(file.parent) == ["file"]


def test_interrupted_by_the_keyboard_in_a_callback(origin: Origin, file: Path) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT * 4)

    def interrupt(loaded: int, _total: int) -> None:
        if loaded > 2 * SIZE:
            raise KeyboardInterrupt

    with SyncAtomHTTP() as client:
        with pytest.raises(KeyboardInterrupt):
            client.download(url, file, on_download_progress=interrupt)
        assert 0 < part_of(file).stat().st_size <= 2 * SIZE
        assert client.download(url, file).status == 206
    assert read(file) == CONTENT * 4


# Disks


async def test_a_slow_disk_holds_up_nobody_else(origin: Origin, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin.routes["/file"] = Resource(CONTENT)
    writing, go = threading.Event(), threading.Event()
    real = os.pwrite

    def slow(*arguments: Any) -> int:
        writing.set()
        assert go.wait(PATIENCE)
        return real(*arguments)

    async with AtomHTTP() as client:
        monkeypatch.setattr(os, "pwrite", slow)
        task = asyncio.create_task(client.download(f"{origin.url}/file", file))
        assert await asyncio.to_thread(writing.wait, PATIENCE)
        # The loop goes on, and so do other calls of the same client.
        assert (await client.get(f"{origin.url}/bytes/5")).status == 200
        assert not task.done()
        go.set()
        await task
    assert read(file) == CONTENT


async def test_a_disk_that_hangs_does_not_hold_up_who_gives_up(
    origin: Origin, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT)
    writing, go = threading.Event(), threading.Event()
    real = os.pwrite

    def hangs(*arguments: Any) -> int:
        writing.set()
        assert go.wait(PATIENCE)
        return real(*arguments)

    async with AtomHTTP() as client:
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwrite", hangs)
            task = asyncio.create_task(client.download(url, file))
            assert await asyncio.to_thread(writing.wait, PATIENCE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # Here the loop runs again, and the disk hangs still: it cannot be had until that has ended.
            assert not go.is_set()
            with pytest.raises(AtomHTTPOptionError, match="being downloaded already"):
                await client.download(url, file)
            go.set()
            await threads_are_idle()
        # The thread has let go of it, as the call would have done.
        assert open_files(file.parent) == []
        await client.download(url, file)
    assert read(file) == CONTENT
    assert names(file.parent) == ["file"]


@pytest.mark.parametrize("failing", [errno.ENOSPC, errno.EIO])
async def test_a_full_disk_is_an_os_error_and_what_is_there_can_be_gone_on_with(
    client: Any, origin: Origin, file: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT)
    real = os.pwrite

    def full(descriptor: int, data: Any, position: int) -> int:
        if position >= CUT:
            raise OSError(failing, os.strerror(failing))
        return real(descriptor, data[: CUT - position], position)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        error = await fails(lambda: client.download(url, file), OSError)
        assert error.errno == failing
    assert part_of(file).read_bytes() == CONTENT[:CUT]
    await client.download(url, file)
    assert asked(origin)[-1] == FROM_CUT
    assert read(file) == CONTENT


LIMITED = """
import resource, sys
from atomhttp import SyncAtomHTTP

resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
with SyncAtomHTTP() as client:
    try:
        client.download(sys.argv[1], sys.argv[2])
    except OSError as error:
        print(type(error).__name__, error.errno)
"""


def test_a_limit_of_the_system_is_an_os_error_too(origin: Origin, file: Path) -> None:
    url = f"{origin.url}/file"
    origin.routes["/file"] = Resource(CONTENT)
    command = [sys.executable, "-c", LIMITED, url, str(file)]
    environment = {**os.environ, "PYTHONPATH": str(Path(partial_file.__file__).parents[2])}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert ended.stdout == f"OSError {errno.EFBIG}\n"
    assert part_of(file).read_bytes() == CONTENT[:CUT]
    with SyncAtomHTTP() as client:
        assert client.download(url, file).status == 206
    assert read(file) == CONTENT


async def test_a_target_that_becomes_a_directory(client: Any, origin: Origin, file: Path) -> None:
    url = f"{origin.url}/file"

    def become(_request: Received) -> Answer:
        file.mkdir(exist_ok=True)
        return Resource(CONTENT)(_request)

    origin.routes["/file"] = become
    await fails(lambda: client.download(url, file), OSError)
    # It is all there, and can be had when the place is free.
    os.rmdir(file)
    origin.routes["/file"] = Resource(CONTENT)
    assert (await client.download(url, file)).status == 206
    assert read(file) == CONTENT


MEMORY = """
import asyncio, re, sys
from pathlib import Path
from atomhttp import AtomHTTP, SyncAtomHTTP

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

async def main(url, path):
    async with AtomHTTP() as client:
        await client.download(f"{url}/blob", path)
        before = peak()
        await client.download(f"{url}/big", path)
        return before

if sys.argv[3] == "async":
    before = asyncio.run(main(*sys.argv[1:3]))
else:
    with SyncAtomHTTP() as client:
        client.download(f"{sys.argv[1]}/blob", sys.argv[2])
        before = peak()
        client.download(f"{sys.argv[1]}/big", sys.argv[2])
print(peak() - before)
"""


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_memory_does_not_grow_with_the_file(nginx: Nginx, file: Path, kind: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(MEMORY), nginx.url, str(file), kind]
    environment = {**os.environ, "PYTHONPATH": str(Path(partial_file.__file__).parents[2])}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert file.stat().st_size == BIG_SIZE
    assert int(ended.stdout) < 16 * 1024 * 1024
