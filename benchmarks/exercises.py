"""What is asked for a task, and the test that every reply has to pass.

Each task has two exercises. The proof is done once, before the clock starts, and looks at every byte that came or
went. The measured one looks at JSON as a whole, and counts the bytes of what is large: a sum takes as long as the work.
"""

import itertools
import zlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from benchmarks.job import Job
from benchmarks.payloads import (
    FILE_SIZE,
    FORM_FILE,
    FORM_OVERHEAD,
    FORM_TITLE,
    LARGE,
    SMALL,
    UPLOAD,
    UPLOAD_SIZES,
)
from benchmarks.peers.contract import AsyncPeer, Reply

IsRight = Callable[[Any], bool]
Exercise = tuple[Callable[[], Awaitable[Any]], IsRight]


class WrongReplyError(Exception):
    """A client handed out something else than the server sent, or sent something else than it was given."""


def build_proof(peer: AsyncPeer, job: Job) -> Exercise:
    """One call of the task that shows whether every byte is right."""
    sink, checksum = job.target.sink, job.target.file_checksum
    match job.task:
        case "post":
            return partial(peer.post, f"{sink}/echo", UPLOAD), is_upload
        case "form":
            return partial(peer.form, f"{sink}/form", FORM_TITLE, FORM_FILE), is_form
        case "upload":
            return partial(peer.upload, f"{sink}/digest", job.target.file), partial(is_digest, checksum)
        case "stream":
            return partial(drain, peer, job.url, True), partial(is_drained, checksum)
        case "blob":
            return partial(peer.blob, job.url), partial(is_file, checksum)
        case _:
            return build_exercise(peer, job)


def build_exercise(peer: AsyncPeer, job: Job) -> Exercise:
    """The call to repeat."""
    origin, sink = job.target.origin, job.target.sink
    match job.task:
        case "get" | "close":
            return partial(peer.get, job.url), is_small
        case "large" | "gzip":
            return partial(peer.get, job.url), is_large
        case "origins":
            urls = itertools.cycle([f"{each}/json" for each in job.target.origins])
            return lambda: peer.get(next(urls)), is_small
        case "post":
            return partial(peer.post, f"{origin}/upload", UPLOAD), is_upload_receipt
        case "form":
            return partial(peer.form, f"{sink}/count", FORM_TITLE, FORM_FILE), is_form_receipt
        case "upload":
            return partial(peer.upload, f"{sink}/count", job.target.file), is_file_receipt
        case "stream":
            return partial(drain, peer, job.url, False), partial(is_drained, 0)
        case "blob":
            return partial(peer.blob, job.url), is_file_size


async def drain(peer: AsyncPeer, url: str, thorough: bool) -> Reply:
    """The status, and size and CRC-32 (or 0) of a body that comes in pieces."""
    size = checksum = 0

    def sink(chunk: Any) -> None:
        nonlocal size, checksum
        size += len(chunk)
        if thorough:
            checksum = zlib.crc32(chunk, checksum)

    status = await peer.stream(url, sink)
    return status, (size, checksum)


# What came


def is_small(reply: Reply) -> bool:
    return reply == (200, SMALL)


def is_large(reply: Reply) -> bool:
    return reply == (200, LARGE)


def is_drained(checksum: int, reply: Reply) -> bool:
    return reply == (200, (FILE_SIZE, checksum))


def is_file(checksum: int, reply: Reply) -> bool:
    return is_file_size(reply) and zlib.crc32(reply[1]) == checksum


def is_file_size(reply: Reply) -> bool:
    status, body = reply
    return status == 200 and len(body) == FILE_SIZE


# What went


def is_upload(reply: Reply) -> bool:
    return reply == (200, UPLOAD)


def is_upload_receipt(reply: Reply) -> bool:
    return reply[0] == 200 and reply[1]["received"] in UPLOAD_SIZES


def is_form(reply: Reply) -> bool:
    title = FORM_TITLE.encode()
    parts = {"title": [len(title), zlib.crc32(title)], "file": [len(FORM_FILE), zlib.crc32(FORM_FILE)]}
    return reply == (200, parts)


def is_form_receipt(reply: Reply) -> bool:
    return reply[0] == 200 and 0 < reply[1]["received"] - len(FORM_FILE) < FORM_OVERHEAD


def is_digest(checksum: int, reply: Reply) -> bool:
    return reply == (200, {"received": FILE_SIZE, "crc32": checksum})


def is_file_receipt(reply: Reply) -> bool:
    return reply == (200, {"received": FILE_SIZE})
