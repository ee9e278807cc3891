"""Compression bombs: a few kilobytes that become gigabytes. What they cost, where they end, who else gets a turn.

Everything that has to do with memory runs in a process of its own (`net.measured_client`), where the peak is measured;
the bombs are served from here. They are made of one compressed block again and again, so that they cost us nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import gzip
import itertools
import socket
import sys
import weakref
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import brotli
import pytest
from backports import zstd

from atomhttp import (
    AbortController,
    AdapterResponse,
    AtomHTTP,
    AtomHTTPCanceledError,
    AtomHTTPDecodeError,
    AtomHTTPLimitError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    DigestAuth,
    SyncAtomHTTP,
    Timeout,
)
from contract.flavours import collect, wait
from hostile.costs import check_proportion
from net.measured_client import READ_ON, Job, Outcome, run_jobs
from support.framing import read_head
from support.server import LocalServer, send_close_notify

MIB = 1024 * 1024
GIB = 1024 * MIB
# What a bomb may cost; brotli's window alone is 16 MiB, and decoded into before a byte of it is given away.
BAR = 20 * MIB
# What an error's megabyte of content, or a line of that length, may cost besides: received, joined, and read as text.
KEPT = 4 * MIB

BLOCK = 16 * MIB
ZEROS = bytes(BLOCK)
# The checksums of 1 GiB of zeros, which take longer to find than everything else here.
CRC_OF_GIB = 0x5B64C2B0
ADLER_OF_GIB = 0xC02D0001


# Bombs: each function gives the coded form of so many zeros, a multiple of 16 MiB


@functools.cache
def deflated() -> bytes:
    """`BLOCK` zeros, such that it may stand anywhere in a deflate stream, any number of times."""
    compressor = zlib.compressobj(9, wbits=-15)
    return compressor.compress(ZEROS) + compressor.flush(zlib.Z_FULL_FLUSH)


LAST_BLOCK = b"\x03\x00"


def raw_deflate_bomb(size: int) -> bytes:
    return deflated() * (size // BLOCK) + LAST_BLOCK


def deflate_bomb(size: int) -> bytes:
    adler = ADLER_OF_GIB if size == GIB else zlib.adler32(bytes(size))
    return b"\x78\xda" + raw_deflate_bomb(size) + adler.to_bytes(4, "big")


def gzip_bomb(size: int) -> bytes:
    crc = CRC_OF_GIB if size == GIB else zlib.crc32(bytes(size))
    trailer = crc.to_bytes(4, "little") + size.to_bytes(4, "little")
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + raw_deflate_bomb(size) + trailer


def many_members_bomb(size: int) -> bytes:
    return gzip_bomb(BLOCK) * (size // BLOCK)


@functools.cache
def brotli_parts() -> tuple[bytes, bytes, bytes]:
    """The beginning with the largest window there is (16 MiB), the block that may be repeated, and the end."""
    compressor = brotli.Compressor(quality=5, lgwin=24)
    first, second = (compressor.process(ZEROS) + compressor.flush() for _ in range(2))
    return first, second, compressor.finish()


def brotli_bomb(size: int) -> bytes:
    first, again, end = brotli_parts()
    return first + again * (size // BLOCK - 1) + end


@functools.cache
def zstd_frame() -> bytes:
    """`BLOCK` zeros in a frame of the largest window that HTTP allows (8 MiB)."""
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 23})
    return compressor.compress(ZEROS) + compressor.flush()


def zstd_bomb(size: int) -> bytes:
    """Frame after frame."""
    return zstd_frame() * (size // BLOCK)


def zstd_single_bomb(size: int) -> bytes:
    """One frame."""
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 23})
    return b"".join(compressor.compress(ZEROS) for _ in range(size // BLOCK)) + compressor.flush()


BOMBS: dict[str, Callable[[int], bytes]] = {
    "gzip": gzip_bomb,
    "deflate": deflate_bomb,
    "br": brotli_bomb,
    "zstd": zstd_bomb,
}

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "br": lambda data: bytes(brotli.compress(data, quality=4)),
    "zstd": zstd.compress,
}


def chain_of(codings: Sequence[str], content: bytes) -> bytes:
    """`content` with these codings on, the last one outermost."""
    for coding in codings:
        content = ENCODERS[coding](content)
    return content


# Chains in which every stage has a large window, and is made to fill it: what is stored, not compressed, keeps its size


def stored_brotli(data: bytes) -> bytes:
    """`data` in uncompressed meta-blocks (RFC 7932 section 9.2) of a stream with a window of 16 MiB."""
    # WBITS 24 in 4 bits. Then each meta-block: not the last one, 4 nibbles of length, uncompressed, padding.
    out, bits, held = bytearray(), 0b1111, 4
    for start in range(0, len(data), 65_536):
        piece = data[start : start + 65_536]
        bits |= ((len(piece) - 1) << 3 | 1 << 19) << held
        out += bits.to_bytes((held + 20 + 7) // 8, "little") + piece
        bits, held = 0, 0
    return bytes(out) + b"\x03"


def stored_zstd(data: bytes) -> bytes:
    """`data` in raw blocks (RFC 8878 section 3.1.1.2) of a frame with a window of 8 MiB."""
    out = bytearray(b"\x28\xb5\x2f\xfd\0\x68")
    for start in range(0, len(data), 131_072):
        piece = data[start : start + 131_072]
        out += (len(piece) << 3).to_bytes(3, "little") + piece
    return bytes(out + b"\x01\0\0")


STORED = {"br": stored_brotli, "zstd": stored_zstd}
OUTERMOST = {"br": functools.partial(brotli.compress, quality=5, lgwin=24), "zstd": zstd.compress}


@functools.cache
def windows(*codings: str) -> bytes:
    """32 MiB that pass every window of the chain, one after the other."""
    content = bytes(2 * BLOCK)
    for coding in codings[:-1]:
        content = STORED[coding](content)
    return bytes(OUTERMOST[codings[-1]](content))


# The server


class Reply(NamedTuple):
    """A response: its codings, each a field of its own, and its content, which may be endless."""

    codings: Sequence[str]
    content: Callable[[], Iterable[bytes]]
    status: int = 200
    fields: Sequence[str] = ()
    framing: str = "length"


class BombServer(LocalServer):
    """Serves `replies` by path, an iterator's one after the other.

    Attributes:
        sent: how many bytes of content the socket has accepted, by path.
        asked: the paths, in the order of their requests.
    """

    def __init__(self, replies: Mapping[str, Reply | Iterator[Reply]]) -> None:
        super().__init__()
        self.replies = dict(replies)
        self.sent: dict[str, int] = {}
        self.asked: list[str] = []

    def serve(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as stream:
            while (head := read_head(stream)) is not None:
                path = head.target[1:]
                self.asked.append(path)
                reply = self.replies[path]
                if not isinstance(reply, Reply):
                    reply = next(reply)
                if not self._answer(connection, path, reply, head.method):
                    break
        send_close_notify(connection)

    def _answer(self, connection: socket.socket, path: str, reply: Reply, method: str) -> bool:
        content = reply.content()
        fields = [f"Content-Encoding: {coding}" for coding in reply.codings]
        if reply.framing == "length":
            content = [b"".join(content)]
            fields.append(f"Content-Length: {len(content[0])}")
        elif reply.framing == "chunked":
            fields.append("Transfer-Encoding: chunked")
            content = chunked(content)
        head = "\r\n".join([f"HTTP/1.1 {reply.status} X", *fields, *reply.fields, "", ""])
        connection.sendall(head.encode())
        self.sent[path] = 0
        for piece in content if method != "HEAD" else ():
            connection.sendall(piece)
            self.sent[path] += len(piece)
        return reply.framing != "close"


def chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def once(build: Callable[..., bytes], *arguments: Any) -> Callable[[], Iterable[bytes]]:
    """Content that is built when it is first asked for, and kept."""
    kept = functools.cache(build)
    return lambda: [kept(*arguments)]


def endless(block: Callable[[], bytes], before: bytes = b"") -> Callable[[], Iterable[bytes]]:
    return lambda: itertools.chain([before] if before else (), itertools.repeat(block()))


def repeated(block: bytes) -> Callable[[], bytes]:
    return lambda: block * (65_536 // len(block))


@contextlib.asynccontextmanager
async def opened(kind: str, **options: Any) -> AsyncIterator[Any]:
    """A client. The synchronous one blocks the test's loop, but not the server, which has threads of its own."""
    client: Any = AtomHTTP(**options) if kind == "async" else SyncAtomHTTP(**options)
    try:
        yield client
    finally:
        await wait(client.close())


both = pytest.mark.parametrize("kind", ["async", "sync"])
only_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="NO MEMORY WAS MEASURED: only Linux has a /proc that tells it"
)


# Memory


class Case(NamedTuple):
    """A bomb, how it is read, and what must come of it: its size, or an error's class, code and limit."""

    reply: Reply
    expected: int | tuple[str, str, int]
    kind: str = "read"
    options: dict[str, Any] = {}  # noqa: RUF012  # never changed


LINE = b"the same line again and again\n"
LIMIT = 200_000
TOO_LARGE = ("AtomHTTPLimitError", "ERR_MAX_CONTENT_LENGTH", LIMIT)
REFUSED = ("AtomHTTPStatusError", "ERR_BAD_REQUEST", None)

ENDLESS = {
    "br": lambda: itertools.chain([brotli_parts()[0]], itertools.repeat(brotli_parts()[1] * 1000)),
    "gzip": endless(deflated, b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"),
    "deflate": endless(deflated, b"\x78\xda"),
    "zstd": endless(zstd_frame),
}


def cases_of(client: str) -> dict[str, Case]:
    # One of them is a gigabyte. The others are several times what they may cost, which shows the same: of brotli a GiB
    # takes three seconds. The synchronous client decodes by the same code: it is shown less of it.
    size = GIB if client == "async" else 4 * BLOCK
    nested = once(lambda: chain_of(("br", "zstd", "deflate", "gzip"), gzip_bomb(4 * BLOCK)))
    cases = {
        # The first one is what the process warms up with.
        "small": Case(Reply(("gzip, br", "zstd"), once(chain_of, ("gzip", "br", "zstd"), LINE)), len(LINE)),
        "gzip": Case(Reply(["gzip"], once(gzip_bomb, size)), size),
        "deflate": Case(Reply(["deflate"], once(deflate_bomb, 4 * BLOCK)), 4 * BLOCK),
        "deflate, raw": Case(Reply(["deflate"], once(raw_deflate_bomb, 4 * BLOCK), framing="close"), 4 * BLOCK),
        "gzip members": Case(Reply(["gzip"], once(many_members_bomb, 4 * BLOCK)), 4 * BLOCK, "iter_bytes"),
        "br": Case(Reply(["br"], once(brotli_bomb, 4 * BLOCK)), 4 * BLOCK),
        "zstd": Case(Reply(["zstd"], once(zstd_bomb, 4 * BLOCK), framing="close"), 4 * BLOCK),
        "zstd, one frame": Case(
            Reply(["zstd"], once(zstd_single_bomb, 4 * BLOCK), framing="chunked"), 4 * BLOCK, "sized"
        ),
        "gzip, gzip": Case(Reply(["gzip", "x-gzip"], once(lambda: gzip.compress(gzip_bomb(4 * BLOCK)))), 4 * BLOCK),
        "five": Case(Reply(("gzip, br", "zstd", "deflate,gzip"), nested), 4 * BLOCK, "pieces"),
        "five, limited": Case(
            Reply(("gzip, br", "zstd", "deflate,gzip"), nested), TOO_LARGE, "whole", {"maxContentLength": LIMIT}
        ),
    }
    for coding, content in ENDLESS.items():
        reply = Reply([coding], content, framing="chunked")
        for response_type in ("json", "blob", "stream") if client == "async" else ("json", "stream"):
            kind, options = ("pieces", {}) if response_type == "stream" else ("whole", {"response_type": response_type})
            cases[f"endless {coding} as {response_type}"] = Case(
                reply, TOO_LARGE, kind, {**options, "maxContentLength": LIMIT}
            )
        refused = Reply([coding], content, 404, framing="chunked")
        for kind in ("whole", "pieces"):
            cases[f"refused {coding}, {kind}"] = Case(refused, REFUSED, kind, {"validateStatus": True})
        if client == "async" or coding == "br":
            line = ("AtomHTTPLimitError", "ERR_MAX_CONTENT_LENGTH", MIB)
            cases[f"endless line in {coding}"] = Case(reply, line, "lines")
        if coding in ("br", "gzip"):
            cases[f"sleeping over {coding}"] = Case(reply, 2 * READ_ON, "sleeping")
    return cases


@only_linux
@pytest.mark.parametrize("client", ["async", "sync"])
def test_bombs_cost_little(client: str) -> None:
    cases = cases_of(client)
    outcomes = run_cases(client, cases)
    assert {name: ended(outcome) for name, outcome in outcomes.items()} == {
        name: case.expected for name, case in cases.items()
    }
    for name, outcome in outcomes.items():
        kept = KEPT if name.startswith(("refused", "endless line")) else 0
        assert outcome.growth < BAR + kept, name
        assert outcome.progress.growing, name
        if name.startswith("refused"):
            assert outcome.response == [404, MIB, True], name
        elif outcome.error is None and name != "small":
            assert outcome.crc32 == zeros_crc(outcome.size), name


def run_cases(client: str, cases: dict[str, Case]) -> dict[str, Outcome]:
    replies = {f"case{number}": case.reply for number, case in enumerate(cases.values())}
    with BombServer({**replies, "empty": Reply((), list)}) as server:
        jobs = [
            Job(
                client,
                case.kind,
                f"{server.url}/case{number}",
                f"{server.url}/empty",
                piece=65_536,
                options={"decompress": True, **case.options},
            )
            for number, case in enumerate(cases.values())
        ]
        return dict(zip(cases, run_jobs(jobs), strict=True))


def ended(outcome: Outcome) -> int | tuple[Any, ...]:
    return outcome.size if outcome.error is None else tuple(outcome.error)


@functools.cache
def zeros_crc(size: int) -> int:
    crc = 0
    for start in range(0, size, BLOCK):
        crc = zlib.crc32(ZEROS[: size - start], crc)
    return CRC_OF_GIB if size == GIB else crc


WINDOWS = [("br", "br"), ("br",) * 5, ("zstd", "br"), ("zstd",) * 3, ("zstd", "zstd")]


@only_linux
def test_chains_of_large_windows_cost_little() -> None:
    """A window is 16 MiB for br and 8 MiB for zstd, once a stage: whether decoded or refused, it must not add up."""
    cases = {"small": Case(Reply(("gzip, br", "zstd"), once(chain_of, ("gzip", "br", "zstd"), LINE)), len(LINE))}
    for codings in WINDOWS:
        cases[", ".join(codings)] = Case(Reply(codings, once(windows, *codings)), 2 * BLOCK)
    outcomes = run_cases("async", cases)
    for name, outcome in outcomes.items():
        assert outcome.error is None or outcome.error[:2] == ["AtomHTTPDecodeError", "ERR_BAD_RESPONSE"], name
    assert not {name: outcome.growth for name, outcome in outcomes.items() if outcome.growth >= BAR}


# Limits: the same error at the same place, whatever the type


@both
@pytest.mark.parametrize("coding", ENDLESS)
async def test_max_content_length_is_the_same_error_in_every_type(kind: str, coding: str) -> None:
    seen = []
    with BombServer({"bomb": Reply([coding], ENDLESS[coding], framing="chunked")}) as server:
        async with opened(kind, maxContentLength=LIMIT) as client:
            for response_type in ("json", "text", "blob", "arraybuffer", "stream", dict):
                calls: list[int] = []
                options = {
                    "response_type": response_type,
                    "on_download_progress": lambda loaded, total, calls=calls: calls.append(loaded),
                }
                with pytest.raises(AtomHTTPLimitError) as caught:
                    response = await wait(client.get(f"{server.url}/bomb", **options))
                    await collect(response.data)
                error = caught.value
                assert LIMIT < error.size <= LIMIT + 65_536
                assert calls == sorted(set(calls))
                seen.append((error.code, error.limit, str(error), error.response))
    assert set(seen) == {("ERR_MAX_CONTENT_LENGTH", LIMIT, str(error), None)}
    # What the kernel's buffers took, and not much more: the peer was not read on.
    assert server.sent["bomb"] < 16 * MIB


# Codings


@both
@pytest.mark.parametrize("response_type", ["json", "stream"])
@pytest.mark.parametrize(
    "fields", [["gzip"] * 6, ["gzip, gzip, gzip", "gzip, gzip, gzip"], ["br, zstd"] * 3, ["x" * 60_000 + ", gzip" * 6]]
)
async def test_more_than_five_codings_are_refused_across_fields(
    kind: str, response_type: str, fields: list[str]
) -> None:
    with BombServer({"bomb": Reply(fields, lambda: [b"never looked at"])}) as server:
        async with opened(kind) as client:
            with pytest.raises(AtomHTTPDecodeError, match="at most 5 are decoded") as caught:
                await wait(client.get(f"{server.url}/bomb", response_type=response_type))
            assert caught.value.code == "ERR_BAD_RESPONSE"
            response = await wait(client.get(f"{server.url}/bomb", decompress=False))
            assert response.content == b"never looked at"


@both
async def test_a_window_of_more_than_8_mib_is_refused(kind: str) -> None:
    """RFC 9659: the most that a client has to offer for zstd in HTTP."""
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    frame = compressor.compress(ZEROS) + compressor.flush()
    with BombServer({"bomb": Reply(["zstd"], lambda: [frame])}) as server:
        async with opened(kind) as client:
            with pytest.raises(AtomHTTPDecodeError, match="memory"):
                await wait(client.get(f"{server.url}/bomb"))


async def test_a_brotli_window_beyond_the_standard_is_refused() -> None:
    """RFC 7932 ends at 16 MiB; "large window" streams announce up to 1 GiB."""
    with BombServer({"bomb": Reply(["br"], lambda: [b"\x11\x1e" + b"\0" * 100])}) as server:
        async with AtomHTTP() as client:
            with pytest.raises(AtomHTTPDecodeError, match="not valid br"):
                await client.get(f"{server.url}/bomb")


# What nobody wants is not decoded: it is no valid coding at all, and nobody notices

BROKEN = b"this is not compressed"


@both
async def test_redirects_are_never_decoded(kind: str) -> None:
    replies = {
        "there": Reply((), lambda: [b'"here"']),
        **{
            f"from{status}": Reply(["br"] * 6, lambda: [BROKEN], status, ["Location: /there"])
            for status in (301, 302, 303, 307, 308)
        },
    }
    with BombServer(replies) as server:
        async with opened(kind) as client:
            for path in replies:
                assert (await wait(client.get(f"{server.url}/{path}"))).data == "here"


@both
@pytest.mark.parametrize("options", [{}, {"response_type": "stream"}, {"maxContentLength": 100}], ids=str)
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_the_content_of_a_redirect_is_not_waited_for(kind: str, options: dict[str, Any], framing: str) -> None:
    """Nobody wants it: more of it than a new connection costs is cut off, and none of it is kept."""
    here = Reply((), lambda: itertools.repeat(ZEROS, 4), 302, ["Location: /there"], framing)
    with BombServer({"here": here, "there": Reply((), lambda: [b"fine"])}) as server:
        async with opened(kind) as client:
            if "maxContentLength" in options:
                with pytest.raises(AtomHTTPLimitError):
                    await wait(client.get(f"{server.url}/here", **options))
            else:
                response = await wait(client.get(f"{server.url}/here", **options))
                content = await wait(response.data.read()) if options else response.content
                assert content == b"fine"
    # The kernel's buffers, and not much more.
    assert server.sent["here"] < 2 * BLOCK


@both
@pytest.mark.parametrize("response_type", ["json", "stream"])
async def test_head_204_and_304_are_never_decoded(kind: str, response_type: str) -> None:
    replies = {
        "head": Reply(["gzip"] * 6, lambda: [BROKEN]),
        "204": Reply(["br"] * 6, list, 204, framing="none"),
        "304": Reply(["zstd"] * 6, list, 304, framing="none"),
    }
    with BombServer(replies) as server:
        async with opened(kind, response_type=response_type) as client:
            for path in ("head", "204", "304", "head"):
                method = "HEAD" if path == "head" else "GET"
                response = await wait(client.request(method, f"{server.url}/{path}"))
                content = await collect(response.data) if response_type == "stream" else response.content
                assert not content


@both
async def test_a_stream_that_is_tried_again_is_not_decoded(kind: str) -> None:
    retry = {"max_retries": 1, "backoff_factor": 0}
    answers = iter([Reply(["gzip"], ENDLESS["gzip"], 503, (), "chunked"), Reply((), lambda: [b"fine"])])
    with BombServer({"endless": answers}) as server:
        async with opened(kind, retryConfig=retry, response_type="stream") as client:
            response = await wait(client.get(f"{server.url}/endless"))
            assert b"".join(await collect(response.data)) == b"fine"
    assert server.asked == ["endless", "endless"]
    assert server.sent["endless"] < 16 * MIB


@both
async def test_a_limit_is_not_tried_again(kind: str) -> None:
    with BombServer({"bomb": Reply(["gzip"], ENDLESS["gzip"], 503, (), "chunked")}) as server:
        async with opened(kind, retryConfig=True, maxContentLength=LIMIT) as client:
            with pytest.raises(AtomHTTPLimitError):
                await wait(client.get(f"{server.url}/bomb"))
    assert server.asked == ["bomb"]


@both
async def test_a_challenge_of_a_stream_is_not_decoded(kind: str) -> None:
    challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'
    answers = iter([Reply(["br"], lambda: [BROKEN], 401, [challenge]), Reply((), lambda: [b"fine"])])
    with BombServer({"private": answers}) as server:
        async with opened(kind, auth=DigestAuth("user", "password")) as client:
            response = await wait(client.get(f"{server.url}/private", response_type="stream"))
            assert b"".join(await collect(response.data)) == b"fine"


# Bombs of time: much to do, and nothing to show for it


@both
@pytest.mark.parametrize("response_type", ["json", "stream"])
@pytest.mark.parametrize("coding", ["gzip", "zstd", "zstd, skipped"])
async def test_floods_of_empty_members_are_refused_early(kind: str, response_type: str, coding: str) -> None:
    member = {
        "gzip": gzip.compress(b"", mtime=0),
        "zstd": zstd.compress(b""),
        "zstd, skipped": b"\x50\x2a\x4d\x18\x04\0\0\0skip",
    }[coding]
    flood = Reply([coding.partition(",")[0]], endless(repeated(member)), framing="chunked")
    with BombServer({"bomb": flood}) as server:
        async with opened(kind, response_type=response_type, maxContentLength=LIMIT) as client:
            with pytest.raises(AtomHTTPDecodeError, match="over 100 empty parts in a row"):
                await collect((await wait(client.get(f"{server.url}/bomb"))).data)
    assert server.sent["bomb"] < 16 * MIB


EMPTY_BLOCKS = {
    "deflate": (b"", b"\0\0\0\xff\xff", LAST_BLOCK),
    "zstd": (b"\x28\xb5\x2f\xfd\0\x68", b"\0\0\0", b"\x01\0\0"),
}


@pytest.mark.parametrize("coding", ["deflate", "zstd"])
async def test_a_million_empty_blocks_are_an_empty_body(coding: str) -> None:
    before, block, after = EMPTY_BLOCKS[coding]
    content = before + block * 1_000_000 + after
    with BombServer({"bomb": Reply([coding], lambda: [content])}) as server:
        async with AtomHTTP() as client:
            assert (await client.get(f"{server.url}/bomb")).content == b""
            assert (await client.get(f"{server.url}/bomb", maxContentLength=0)).content == b""


NOTHING = {
    "gzip": endless(repeated(b"n"), b"\x1f\x8b\x08\x08\0\0\0\0\0\xff"),
    "deflate": endless(repeated(EMPTY_BLOCKS["deflate"][1])),
    "zstd": endless(repeated(EMPTY_BLOCKS["zstd"][1]), EMPTY_BLOCKS["zstd"][0]),
    "zstd, skipped": endless(repeated(b"s"), b"\x50\x2a\x4d\x18\xff\xff\xff\xff"),
}


@only_linux
def test_coded_nothing_ends_with_the_timeout_and_costs_nothing() -> None:
    """A file name of gzip, empty blocks, what is to be skipped: bytes for ever, and never one of content."""
    cases = {
        "small": Case(Reply(("gzip, br", "zstd"), once(chain_of, ("gzip", "br", "zstd"), LINE)), len(LINE)),
        **{
            f"{coding}, {kind}": Case(
                Reply([coding.partition(",")[0]], content, framing="chunked"),
                ("AtomHTTPTimeoutError", "ECONNABORTED", 0.3),
                kind,
                {"timeout": {"total": 0.3}, "maxContentLength": LIMIT},
            )
            for coding, content in NOTHING.items()
            for kind in ("whole", "pieces")
        },
    }
    outcomes = run_cases("async", cases)
    assert {name: ended(outcome) for name, outcome in outcomes.items()} == {
        name: case.expected for name, case in cases.items()
    }
    assert not {name: outcome.growth for name, outcome in outcomes.items() if outcome.growth >= BAR}


class Canned:
    """An adapter that has this body, in these pieces."""

    def __init__(self, coding: str, pieces: Iterable[bytes]) -> None:
        self.response = AdapterResponse(200, {"Content-Encoding": coding}, pieces)

    async def send(self, _request: Any) -> AdapterResponse:
        return self.response

    async def close(self) -> None: ...


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_small_members_cost_in_proportion(coding: str) -> None:
    member = ENCODERS[coding](b"x")

    def read(count: int) -> None:
        with SyncAtomHTTP(adapter=Canned(coding, [member * count])) as client:
            assert client.get("http://service.test/", response_type="blob").content == b"x" * count

    check_proportion(read, 2_000)


# Bombs of patience: a kilobyte that takes minutes to decode must not hold the loop, or outlast a deadline

LONG = BLOCK * 16


@pytest.fixture(scope="module")
def long_bomb() -> dict[str, Reply]:
    """240 bytes that become 256 MiB, and arrive in one piece: with 7 KB for 8 GiB it would take 24 seconds."""
    return {"bomb": Reply(["br"], once(brotli_bomb, LONG))}


async def test_others_get_their_turn_while_a_bomb_is_decoded(long_bomb: dict[str, Reply]) -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    size = 4 * BLOCK
    with BombServer(long_bomb) as server:
        async with AtomHTTP() as client:
            response = await client.get(f"{server.url}/bomb", response_type="stream")
            other = asyncio.create_task(take_turns())
            await response.data.read(1)
            before = turns
            for _ in range(size // 65_536):
                await response.data.read(65_536)
            other.cancel()
            await response.data.aclose()
            await asyncio.wait([other])
    # One for each 8 MiB at the least: some 25 ms.
    assert turns - before >= size // (8 * MIB)


@both
@pytest.mark.parametrize("how", ["stream", "whole"])
async def test_a_deadline_ends_the_decoding_of_a_bomb(kind: str, how: str, long_bomb: dict[str, Reply]) -> None:
    options = {"response_type": "stream"} if how == "stream" else {"maxContentLength": LONG}
    taken = 0
    with BombServer(long_bomb) as server:
        async with opened(kind) as client:
            with pytest.raises(AtomHTTPTimeoutError) as caught:
                response = await wait(client.get(f"{server.url}/bomb", timeout=Timeout(total=0.05), **options))
                while how == "stream" and (piece := await wait(response.data.read(65_536))):
                    taken += len(piece)
    assert (caught.value.phase, caught.value.limit) == ("body", 0.05)
    assert taken < LONG


@pytest.mark.parametrize("how", ["stream", "whole"])
async def test_a_task_is_cancelled_while_it_decodes_a_bomb(how: str, long_bomb: dict[str, Reply]) -> None:
    options = {"response_type": "stream"} if how == "stream" else {"maxContentLength": LONG}

    async def fetch(client: AtomHTTP, url: str) -> None:
        response = await client.get(url, **options)
        if how == "stream":
            await collect(response.data)

    with BombServer(long_bomb) as server:
        async with AtomHTTP() as client:
            task = asyncio.create_task(fetch(client, f"{server.url}/bomb"))
            done, _ = await asyncio.wait([task], timeout=0.05)
            assert not done
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_a_signal_ends_the_decoding_of_a_bomb(long_bomb: dict[str, Reply]) -> None:
    controller = AbortController()
    asyncio.get_running_loop().call_later(0.05, controller.abort)
    with BombServer(long_bomb) as server:
        async with AtomHTTP() as client:
            response = await client.get(f"{server.url}/bomb", response_type="stream", signal=controller.signal)
            with pytest.raises(AtomHTTPCanceledError):
                await collect(response.data)


# Lines


@both
async def test_a_bomb_of_lines_comes_line_by_line(kind: str) -> None:
    bomb = Reply(["zstd"], once(lambda: zstd.compress(b"\n" * BLOCK)))
    with BombServer({"bomb": bomb}) as server:
        async with opened(kind) as client:
            stream = (await wait(client.get(f"{server.url}/bomb", response_type="stream"))).data
            lines = stream.iter_lines()
            for _ in range(1_000):
                line = await anext(lines) if kind == "async" else next(lines)
                assert line == ""
            await wait(stream.aclose() if kind == "async" else stream.close())


def test_a_line_in_small_pieces_costs_in_proportion() -> None:
    """1 MiB may come in a million chunks: what came before must not be copied for each of them."""

    def read(count: int) -> None:
        with SyncAtomHTTP(adapter=Canned("identity", [b"sixteen bytes..."] * count)) as client:
            stream = client.get("http://service.test/", response_type="stream").data
            assert [len(line) for line in stream.iter_lines()] == [16 * count]

    check_proportion(read, 15_000)


# What has been given up is freed at once, and does not wait for the garbage collector: large bodies are few objects


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@both
@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("content", [b"just text", b"<html>", b'{"broken": '], ids=["text", "html", "broken"])
@pytest.mark.parametrize("status", [200, 404])
async def test_a_response_that_is_not_json_is_freed_with_its_last_reference(
    kind: str, content: bytes, status: int
) -> None:
    with BombServer({"page": Reply((), lambda: [content], status)}) as server:
        async with opened(kind, validateStatus=lambda status: status < 400) as client:
            if status == 200:
                response = await wait(client.get(f"{server.url}/page"))
            else:
                with pytest.raises(AtomHTTPStatusError) as caught:
                    await wait(client.get(f"{server.url}/page"))
                response = caught.value.response
                del caught
            found = weakref.ref(response)
            del response
            assert found() is None
