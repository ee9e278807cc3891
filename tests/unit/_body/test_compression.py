from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from atomhttp._body import compression
from atomhttp._body.compression import (
    MAX_PIECE,
    UnknownCodingError,
    accept_encoding,
    build_decoder,
    decode_content,
    parse_codings,
)
from atomhttp.errors import AtomHTTPDecodeError

brotli = pytest.importorskip("brotli")
try:
    from backports import zstd
except ModuleNotFoundError:
    zstd = pytest.importorskip("compression.zstd")


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "raw deflate": raw_deflate,
    "br": lambda data: bytes(brotli.compress(data, quality=4)),
    "zstd": lambda data: bytes(zstd.compress(data)),
}
TEXT = b"".join(b"line %d of a body that compresses well\n" % number for number in range(400))
BODIES = [b"", b"x", b"hello world", TEXT, random.Random(1).randbytes(100_000)]


def coding(coder: str) -> str:
    return coder.removeprefix("raw ")


def decode_in(pieces: Sequence[bytes], codings: Sequence[str]) -> bytes:
    decoder = build_decoder(codings)
    assert decoder is not None
    decoded = []
    for piece in pieces:
        for part in decoder.feed(piece):
            assert 0 < len(part) <= MAX_PIECE
            decoded.append(part)
    decoder.finish()
    return b"".join(decoded)


# What is offered, and what is understood


def test_accept_encoding_offers_what_is_installed() -> None:
    assert accept_encoding() == "gzip, deflate, br, zstd"


@pytest.fixture
def fresh() -> Iterator[None]:
    caches: list[Any] = [compression._brotli, compression._has_zstd, compression.accept_encoding]
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_what_is_not_installed_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "find_spec", lambda name: None)
    assert accept_encoding() == "gzip, deflate"
    for name in ("br", "zstd"):
        with pytest.raises(AtomHTTPDecodeError, match=rf"pip install atomhttp\[{name}\]"):
            build_decoder([name])


@pytest.mark.usefixtures("fresh")
def test_no_backports_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(compression, "_brotli", lambda: None)
    monkeypatch.setattr(compression, "find_spec", find_spec)
    monkeypatch.setattr(compression.sys, "version_info", (3, 11, 0))
    assert accept_encoding() == "gzip, deflate"


@pytest.mark.usefixtures("fresh")
def test_an_old_brotli_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brotli, "Decompressor", object)
    assert "br" not in accept_encoding()


@pytest.mark.parametrize(
    ("value", "codings"),
    [
        ("", []),
        ("gzip", ["gzip"]),
        ("GZip", ["gzip"]),
        ("x-gzip", ["gzip"]),
        ("identity", []),
        ("identity, gzip ,\tbr", ["gzip", "br"]),
        (",, ,gzip,", ["gzip"]),
        ("gzip, identity, zstd, Deflate", ["gzip", "zstd", "deflate"]),
        ("aws-chunked", ["aws-chunked"]),
    ],
)
def test_parse_codings(value: str, codings: list[str]) -> None:
    assert parse_codings(value) == codings


def test_nothing_to_decode() -> None:
    assert build_decoder([]) is None
    assert decode_content(b"abc", []) == b"abc"


def test_an_unknown_coding_is_for_the_caller_to_hand_on() -> None:
    with pytest.raises(UnknownCodingError) as caught:
        build_decoder(["gzip", "aws-chunked"])
    assert caught.value.codings == ("gzip", "aws-chunked")
    with pytest.raises(UnknownCodingError):
        decode_content(b"abc", ["compress"])


def test_at_most_five_codings() -> None:
    body = TEXT
    for _ in range(5):
        body = gzip.compress(body)
    assert decode_content(body, ["gzip"] * 5) == TEXT
    for codings in (["gzip"] * 6, ["unknown"] * 6, ["gzip"] * 10_000):
        with pytest.raises(AtomHTTPDecodeError, match="at most 5"):
            build_decoder(codings)


# Decoding


@pytest.mark.parametrize("coder", CODERS)
@pytest.mark.parametrize("body", BODIES, ids=len)
def test_whole(coder: str, body: bytes) -> None:
    coded = CODERS[coder](body)
    assert decode_content(coded, [coding(coder)]) == body
    assert decode_in([coded], [coding(coder)]) == body


@pytest.mark.parametrize("coder", CODERS)
def test_byte_by_byte(coder: str) -> None:
    coded = CODERS[coder](TEXT)
    assert decode_in([coded[i : i + 1] for i in range(len(coded))], [coding(coder)]) == TEXT


@pytest.mark.parametrize("coder", CODERS)
def test_no_bytes_at_all_are_an_empty_body(coder: str) -> None:
    assert decode_content(b"", [coding(coder)]) == b""
    assert decode_in([], [coding(coder)]) == b""
    assert decode_in([b"", b""], [coding(coder), "gzip"]) == b""


@pytest.mark.parametrize("coder", CODERS)
def test_truncated_at_every_byte(coder: str) -> None:
    coded = CODERS[coder](TEXT[:3000])
    for length in range(1, len(coded)):
        with pytest.raises(AtomHTTPDecodeError):
            decode_content(coded[:length], [coding(coder)])
        with pytest.raises(AtomHTTPDecodeError):
            decode_in([coded[:length]], [coding(coder)])


@pytest.mark.parametrize("coder", CODERS)
def test_data_after_the_end(coder: str) -> None:
    coded = CODERS[coder](b"hello")
    for surplus in (b"x", b"\r\n", b"garbage that is longer", b"\0x"):
        with pytest.raises(AtomHTTPDecodeError):
            decode_content(coded + surplus, [coding(coder)])
        with pytest.raises(AtomHTTPDecodeError):
            decode_in([coded, surplus], [coding(coder)])
        with pytest.raises(AtomHTTPDecodeError):
            decode_in([coded, *(surplus[i : i + 1] for i in range(len(surplus)))], [coding(coder)])


@pytest.mark.parametrize("coder", CODERS)
@pytest.mark.parametrize("body", [b"\xff" * 40, b"<html>not compressed</html>", b"\0" * 40])
def test_not_compressed_at_all(coder: str, body: bytes) -> None:
    if coder == "raw deflate":
        pytest.skip("the same coding as deflate")
    with pytest.raises(AtomHTTPDecodeError):
        decode_content(body, [coding(coder)])


def test_a_changed_checksum() -> None:
    coded = bytearray(gzip.compress(b"hello"))
    coded[-6] ^= 1
    with pytest.raises(AtomHTTPDecodeError, match="not valid gzip") as caught:
        decode_content(bytes(coded), ["gzip"])
    assert isinstance(caught.value.__cause__, zlib.error)
    assert caught.value.code == "ERR_BAD_RESPONSE"


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_several_members(name: str) -> None:
    coder = CODERS[name]
    coded = coder(b"one ") + coder(b"") + coder(b"two ") + coder(TEXT)
    assert decode_content(coded, [name]) == b"one two " + TEXT
    assert decode_in([coded[i : i + 1] for i in range(len(coded))], [name]) == b"one two " + TEXT
    with pytest.raises(AtomHTTPDecodeError):
        decode_content(coded[:-1], [name])


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_body_of_empty_members_is_refused(name: str) -> None:
    empty = CODERS[name](b"")
    assert decode_content(empty * 100, [name]) == b""
    with pytest.raises(AtomHTTPDecodeError, match="empty parts"):
        decode_content(empty * 102, [name])
    # With something between them, as many as one likes; however they are split.
    mixed = (empty * 50 + CODERS[name](b"x")) * 5
    assert decode_in([mixed[i : i + 1] for i in range(len(mixed))], [name]) == b"xxxxx"


def test_gzip_may_be_padded_with_nul() -> None:
    coded = gzip.compress(b"hello")
    for padding in (1, 7, 512, 70_000):
        assert decode_content(coded + bytes(padding), ["gzip"]) == b"hello"
        assert decode_in([coded, bytes(padding), b"\0"], ["gzip"]) == b"hello"
    for pieces in ([coded, b"\0", b"x"], [coded, b"\0", coded], [coded + b"\0" + coded]):
        with pytest.raises(AtomHTTPDecodeError, match="after the end"):
            decode_in(pieces, ["gzip"])


def test_deflate_is_told_from_its_first_bytes() -> None:
    for level in range(10):
        for body in (b"", b"x", TEXT):
            assert decode_content(zlib.compress(body, level), ["deflate"]) == body
            compressor = zlib.compressobj(level, wbits=-15)
            assert decode_content(compressor.compress(body) + compressor.flush(), ["deflate"]) == body
    with pytest.raises(AtomHTTPDecodeError, match="truncated"):
        decode_content(b"\x78", ["deflate"])


def test_zstd_window_is_limited_to_8_mib() -> None:
    options = {zstd.CompressionParameter.window_log: 24}
    compressor = zstd.ZstdCompressor(options=options)
    with pytest.raises(AtomHTTPDecodeError, match="too much memory"):
        decode_content(compressor.compress(b"x" * 100) + compressor.flush(), ["zstd"])
    options = {zstd.CompressionParameter.window_log: 23}
    compressor = zstd.ZstdCompressor(options=options)
    assert decode_content(compressor.compress(b"x" * 100) + compressor.flush(), ["zstd"]) == b"x" * 100


def test_zstd_skippable_frames() -> None:
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    assert decode_content(skippable + CODERS["zstd"](b"hello") + skippable, ["zstd"]) == b"hello"


def test_a_spent_decoder_stays_spent() -> None:
    decoder = build_decoder(["gzip"])
    assert decoder is not None
    with pytest.raises(AtomHTTPDecodeError):
        list(decoder.feed(b"not gzip at all"))
    with pytest.raises(AtomHTTPDecodeError):
        list(decoder.feed(gzip.compress(b"x")))
    with pytest.raises(AtomHTTPDecodeError):
        decoder.finish()


def test_a_feed_that_was_not_read_to_its_end_is_no_end() -> None:
    decoder = build_decoder(["gzip"])
    assert decoder is not None
    pieces = decoder.feed(gzip.compress(bytes(1_000_000)))
    next(pieces)
    with pytest.raises(AtomHTTPDecodeError, match="not read"):
        decoder.finish()


def test_a_memory_error_passes_through_and_spends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        eof = has_content = False

        def decompress(self, data: bytes) -> Iterator[bytes]:
            raise MemoryError

    decoder = build_decoder(["gzip"])
    assert decoder is not None
    monkeypatch.setattr(decoder._stages[0], "_build_member", Broken)
    with pytest.raises(MemoryError):
        list(decoder.feed(b"\x1f\x8b"))
    with pytest.raises(AtomHTTPDecodeError):
        list(decoder.feed(b""))


# Chains


@given(st.lists(st.sampled_from(list(CODERS)), min_size=1, max_size=5), st.binary(max_size=2000), st.data())
@settings(deadline=None)
def test_any_chain_split_anywhere_gives_the_same_bytes(chain: list[str], body: bytes, data: st.DataObject) -> None:
    # Five windows of 4 MiB are refused, whatever is in them.
    assume(chain.count("br") + chain.count("zstd") < 5)
    coded = body
    for coder in chain:
        coded = CODERS[coder](coded)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(coded)), max_size=8)))
    pieces = [coded[start:end] for start, end in zip([0, *cuts], [*cuts, len(coded)], strict=True)]
    codings = [coding(coder) for coder in chain]
    assert decode_in(pieces, codings) == decode_content(coded, codings) == body


@given(st.sampled_from(list(CODERS)), st.binary(max_size=200), st.data())
@settings(deadline=None)
def test_garbled_bodies_give_our_error_or_a_body(coder: str, body: bytes, data: st.DataObject) -> None:
    coded = bytearray(CODERS[coder](body))
    for _ in range(data.draw(st.integers(1, 3))):
        coded[data.draw(st.integers(0, len(coded) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_content(bytes(coded), [coding(coder)])
    except AtomHTTPDecodeError:
        pass


@given(st.sampled_from(["gzip", "deflate", "br", "zstd"]), st.binary(max_size=200))
@settings(deadline=None)
def test_arbitrary_bytes_give_our_error_or_a_body(name: str, content: bytes) -> None:
    try:
        decode_content(content, [name])
    except AtomHTTPDecodeError:
        pass


# Bombs


def zeros(size: int, coder: str) -> bytes:
    """`size` zeros, compressed without ever being in memory at once."""
    block = bytes(1 << 20)
    compressor: Any
    if coder == "br":
        compressor = brotli.Compressor(quality=4)
        return b"".join(compressor.process(block) for _ in range(size >> 20)) + bytes(compressor.finish())
    if coder == "zstd":
        compressor = zstd.ZstdCompressor()
    else:
        compressor = zlib.compressobj(wbits={"gzip": 31, "deflate": 15, "raw deflate": -15}[coder])
    return b"".join(compressor.compress(block) for _ in range(size >> 20)) + bytes(compressor.flush())


def peak_of_reading(coded: bytes, codings: Sequence[str], size: int) -> int:
    """The most memory that Python objects took while `coded` was read piece by piece."""
    decoder = build_decoder(codings)
    assert decoder is not None
    total = 0
    tracemalloc.start()
    try:
        for piece in decoder.feed(coded):
            total += len(piece)
            assert len(piece) <= MAX_PIECE
        decoder.finish()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        assert total == size


# A hundred times what it may cost would show it as well; a gigabyte passes the whole client in `hostile/test_bombs.py`.
@pytest.mark.parametrize(
    ("coder", "size"),
    [("gzip", 1 << 28), ("deflate", 1 << 26), ("raw deflate", 1 << 26), ("br", 1 << 28), ("zstd", 1 << 28)],
)
def test_a_bomb_costs_a_few_pieces(coder: str, size: int) -> None:
    assert peak_of_reading(zeros(size, coder), [coding(coder)], size) < 200 * 1024


def test_a_bomb_in_a_bomb() -> None:
    size = 1 << 27
    coded = gzip.compress(gzip.compress(zeros(size, "gzip")))
    assert len(coded) < 5_000
    assert peak_of_reading(coded, ["gzip"] * 3, size) < 320 * 1024


def test_a_chain_of_different_bombs() -> None:
    size = 1 << 27
    coded = bytes(zstd.compress(brotli.compress(zlib.compress(zeros(size, "gzip")), quality=4)))
    assert peak_of_reading(coded, ["gzip", "deflate", "br", "zstd"], size) < 320 * 1024


def test_nothing_is_decompressed_before_it_is_asked_for() -> None:
    decoder = build_decoder(["gzip"])
    assert decoder is not None
    decoder.feed(b"not gzip at all")
    pieces = build_decoder(["gzip"] * 2)
    assert pieces is not None
    assert len(next(pieces.feed(gzip.compress(zeros(1 << 26, "gzip"))))) <= MAX_PIECE
