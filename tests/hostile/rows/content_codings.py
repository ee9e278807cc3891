"""Content codings (RFC 9110 section 8.4): gzip, deflate, br and zstd, alone and in chains, in every form that their
specifications allow, and damaged in every place.

What is whole is decoded; what is damaged, cut short, or followed by something else is an error; a body whose coding
nobody knows is handed on as it came (Fetch, "handle content codings").
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Mapping

import brotli
from backports import zstd

from atomhttp import AtomHTTPDecodeError
from hostile.row import Answer, Refused, Row, UntilEnd

TEXT = b"hello, " * 8
# Large and uneven enough for compressors to make tables for it.
VARIED = b"".join(b"%d, " % number for number in range(700))


def reply(codings: str, content: bytes, status: str = "200 OK", *more: str, length: int | None = None) -> bytes:
    """A reply whose fields say `codings`, one a line, and `length` where that is not the content's."""
    fields = [f"Content-Encoding: {coding}" for coding in codings.split("\n")] if codings else []
    size = len(content) if length is None else length
    head = "\r\n".join([f"HTTP/1.1 {status}", *fields, *more, f"Content-Length: {size}", "", ""])
    return head.encode("latin-1") + content


def decoded(name: str, codings: str, content: bytes, source: str, body: bytes = TEXT) -> Row:
    return Row(f"content codings: {name}", reply(codings, content), Answer(200, body), source)


def refused(name: str, codings: str, content: bytes, why: str, source: str) -> Row:
    # The message itself is whole, so its connection could be kept: not asked here, but answered for all by closing.
    says = reply(codings, content, "200 OK", "Connection: close")
    return Row(f"content codings: {name}", says, Refused(why, AtomHTTPDecodeError), source)


# gzip (RFC 1952)

FHCRC, FEXTRA, FNAME, FCOMMENT = 2, 4, 8, 16


def gzip_head(flags: int = 0, more: bytes = b"", *, time: int = 0, extra_flags: int = 0, system: int = 255) -> bytes:
    head = struct.pack("<4BLBB", 0x1F, 0x8B, 8, flags, time, extra_flags, system) + more
    return head + struct.pack("<H", zlib.crc32(head) & 0xFFFF) if flags & FHCRC else head


def gzip_member(data: bytes = TEXT, head: bytes = gzip_head(), *, level: int = 6, size: int | None = None) -> bytes:
    trailer = struct.pack("<LL", zlib.crc32(data), len(data) if size is None else size)
    return head + raw_deflate(data, level) + trailer


def raw_deflate(data: bytes = TEXT, level: int = 6) -> bytes:
    packer = zlib.compressobj(level, wbits=-15)
    return packer.compress(data) + packer.flush()


GZIP = gzip_member()
EMPTY_GZIP = gzip_member(b"")
EXTRA = struct.pack("<H", 6) + b"AB" + struct.pack("<H", 2) + b"xy"
ALL_FLAGS = EXTRA + b"a.txt\0caf\xe9\0"
# What bgzip writes: the size of each member in an extra field, and an empty one as the end of the file.
BGZF_HEAD = gzip_head(FEXTRA, struct.pack("<H", 6) + b"BC" + struct.pack("<HH", 2, 0))


def gzips() -> list[Row]:
    forms: Mapping[str, bytes] = {
        "a name": gzip_member(head=gzip_head(FNAME, b"a.txt\0")),
        "an empty name": gzip_member(head=gzip_head(FNAME, b"\0")),
        "a comment": gzip_member(head=gzip_head(FCOMMENT, b"caf\xe9\0")),
        "an extra field": gzip_member(head=gzip_head(FEXTRA, EXTRA)),
        "a checked head": gzip_member(head=gzip_head(FHCRC)),
        "a text flag": gzip_member(head=gzip_head(1)),
        "all flags": gzip_member(head=gzip_head(31, ALL_FLAGS)),
        "a time": gzip_member(head=gzip_head(time=2**32 - 1)),
        "an unknown system": gzip_member(head=gzip_head(system=200)),
        "unknown extra flags": gzip_member(head=gzip_head(extra_flags=77)),
        "no compression": gzip_member(level=0),
        "two members": gzip_member(TEXT[:9]) + gzip_member(TEXT[9:]),
        "a member for every byte": b"".join(gzip_member(TEXT[at : at + 1]) for at in range(len(TEXT))),
        "an empty first member": EMPTY_GZIP + GZIP,
        "an empty last member": GZIP + EMPTY_GZIP,
        "empty members in between": gzip_member(TEXT[:9]) + EMPTY_GZIP * 3 + gzip_member(TEXT[9:]),
        "a hundred empty members": EMPTY_GZIP * 100 + GZIP,
        "blocks and their end": gzip_member(head=BGZF_HEAD) + gzip_member(b"", BGZF_HEAD),
        "zeros behind it": GZIP + bytes(1),
        "many zeros behind it": GZIP + bytes(512),
        "zeros behind two members": gzip_member(TEXT[:9]) + gzip_member(TEXT[9:]) + bytes(7),
    }
    damaged: Mapping[str, tuple[bytes, str]] = {
        "text instead": (TEXT, "not valid gzip"),
        "JSON instead": (b'{"a": 1}', "not valid gzip"),
        "deflate instead": (zlib.compress(TEXT), "not valid gzip"),
        "zeros instead": (bytes(32), "not valid gzip"),
        "a wrong second byte": (b"\x1f\x9d" + GZIP[2:], "not valid gzip"),
        "an unknown method": (GZIP[:2] + b"\x09" + GZIP[3:], "not valid gzip"),
        "a reserved flag": (GZIP[:3] + b"\x20" + GZIP[4:], "not valid gzip"),
        "a wrong check of the head": (gzip_member(head=gzip_head(FHCRC)[:-1] + b"\xff"), "not valid gzip"),
        "an unknown kind of block": (gzip_head() + b"\x07" + GZIP[11:], "not valid gzip"),
        "a distance to before the beginning": (gzip_head() + b"\x4b\x04\x41\x00" + bytes(8), "not valid gzip"),
        "a wrong checksum": (GZIP[:-8] + b"\0\0\0\0" + GZIP[-4:], "not valid gzip"),
        "a wrong size": (gzip_member(size=len(TEXT) + 1), "not valid gzip"),
        "a byte behind it": (GZIP + b"x", "gzip"),
        "a line end behind it": (GZIP + b"\r\n", "gzip"),
        "text behind it": (GZIP + TEXT, "gzip"),
        "a byte behind zeros": (GZIP + bytes(3) + b"x", "data after the end of the gzip body"),
        "a member behind zeros": (GZIP + bytes(3) + GZIP, "data after the end of the gzip body"),
        "half a second member": (GZIP + GZIP[:20], "gzip body is truncated"),
        "a damaged second member": (GZIP + GZIP[:-8] + bytes(8), "not valid gzip"),
        "too many empty members": (EMPTY_GZIP * 102 + GZIP, "empty parts in a row"),
    }
    # Inside the magic number, the head, the data, before and inside the trailer.
    cuts = (1, 2, 9, 10, 12, len(GZIP) - 9, len(GZIP) - 8, len(GZIP) - 4, len(GZIP) - 1)
    flagged = gzip_head(31, ALL_FLAGS)
    return [
        decoded("gzip", "gzip", GZIP, "RFC 1952 2.3"),
        decoded("gzip with codes of its own", "gzip", gzip_member(VARIED), "RFC 1951 3.2.7", VARIED),
        *(decoded(f"gzip with {name}", "gzip", data, gzip_clause(name)) for name, data in forms.items()),
        decoded("gzip of nothing", "gzip", EMPTY_GZIP, "RFC 1952 2.3", b""),
        decoded("gzip of NULs", "gzip", gzip_member(bytes(100)), "RFC 1952 2.3", bytes(100)),
        decoded("gzip of gzip, said once", "gzip", gzip_member(GZIP), "RFC 9110 8.4", GZIP),
        *(refused(f"gzip: {name}", "gzip", data, why, gzip_clause(name)) for name, (data, why) in damaged.items()),
        *(
            refused(f"gzip, {size} bytes of it", "gzip", GZIP[:size], "gzip body is truncated", "RFC 1952 2.3")
            for size in cuts
        ),
        refused("gzip, cut in its extra field", "gzip", flagged[:14], "gzip body is truncated", "RFC 1952 2.3.1"),
        refused("gzip, cut in its name", "gzip", flagged[:21], "gzip body is truncated", "RFC 1952 2.3.1"),
    ]


def gzip_clause(name: str) -> str:
    if "zeros behind" in name or "behind zeros" in name:
        return "CPython's gzip"
    return "RFC 1952 2.2" if "member" in name or "behind" in name or "blocks" in name else "RFC 1952 2.3"


# deflate (RFC 1950 and, by mistake, RFC 1951)

ZLIB = zlib.compress(TEXT)


def zlib_of(bits: int, level: int = 6) -> bytes:
    packer = zlib.compressobj(level, wbits=bits)
    return packer.compress(TEXT) + packer.flush()


def with_dictionary() -> bytes:
    packer = zlib.compressobj(zdict=TEXT)
    return packer.compress(TEXT) + packer.flush()


def deflates() -> list[Row]:
    bare = "RFC 9110 8.4.1.2"
    damaged: Mapping[str, tuple[bytes, str]] = {
        "text instead": (TEXT, "not valid deflate"),
        "gzip instead": (GZIP, "not valid deflate"),
        "a wrong checksum": (ZLIB[:-4] + bytes(4), "not valid deflate"),
        "a dictionary that nobody has": (with_dictionary(), "not valid deflate"),
        "a window beyond 32 KiB": (b"\x88\x1c" + ZLIB[2:], "not valid deflate"),
        "a byte behind it": (ZLIB + b"x", "data after the end of the deflate body"),
        "a zero behind it": (ZLIB + b"\0", "data after the end of the deflate body"),
        "another behind it": (ZLIB + ZLIB, "data after the end of the deflate body"),
        "an unknown kind of block": (b"\x07\x00", "not valid deflate"),
        "a byte behind the bare kind": (raw_deflate() + b"x", "data after the end of the deflate body"),
        "a stored block whose sizes differ": (b"\x01\x05\x00\x00\x00hello", "not valid deflate"),
    }
    return [
        decoded("deflate", "deflate", ZLIB, "RFC 1950 2.2"),
        decoded("deflate with codes of its own", "deflate", zlib.compress(VARIED), "RFC 1951 3.2.7", VARIED),
        *(decoded(f"deflate, a window of 2^{bits}", "deflate", zlib_of(bits), "RFC 1950 2.2") for bits in (9, 12)),
        *(decoded(f"deflate, level {level}", "deflate", zlib_of(15, level), "RFC 1950 2.2") for level in (0, 1, 9)),
        decoded("deflate of nothing", "deflate", zlib.compress(b""), "RFC 1950 2.2", b""),
        decoded("deflate without its wrapper", "deflate", raw_deflate(), bare),
        decoded("deflate without its wrapper, stored", "deflate", raw_deflate(level=0), bare),
        decoded("deflate without its wrapper, of nothing", "deflate", raw_deflate(b""), bare, b""),
        decoded("deflate without its wrapper, of one byte", "deflate", raw_deflate(b"x"), bare, b"x"),
        *(refused(f"deflate: {name}", "deflate", data, why, "RFC 1950 2.3") for name, (data, why) in damaged.items()),
        *(
            refused(f"deflate, {size} bytes of it", "deflate", ZLIB[:size], "deflate body is truncated", "RFC 1950 2.2")
            for size in (1, 2, 5, len(ZLIB) - 4, len(ZLIB) - 1)
        ),
        refused("deflate, the bare kind cut", "deflate", raw_deflate()[:-1], "deflate body is truncated", "RFC 1951 3"),
    ]


# br (RFC 7932)

BROTLI = brotli.compress(TEXT)
# A block of three bytes that are no content, one that is not compressed, and the end.
METADATA = b"\x2c\x01abc"
STORED = b"\x20\x00\x08hello"


def brotlis() -> list[Row]:
    damaged: Mapping[str, tuple[bytes, str]] = {
        "text instead": (TEXT, "br"),
        "gzip instead": (GZIP, "br"),
        "a window beyond the standard": (b"\x11" + BROTLI, "not valid br"),
        "a byte behind it": (BROTLI + b"x", "br"),
        "another behind it": (BROTLI + BROTLI, "br"),
        "a reserved bit": (b"\x3c\x01abc\x03", "not valid br"),
    }
    return [
        decoded("br", "br", BROTLI, "RFC 7932 9"),
        decoded("br with codes of its own", "br", brotli.compress(VARIED), "RFC 7932 3.5", VARIED),
        *(
            decoded(f"br, quality {quality}", "br", brotli.compress(TEXT, quality=quality), "RFC 7932 9")
            for quality in (0, 1, 5)
        ),
        *(
            decoded(f"br, a window of 2^{bits}", "br", brotli.compress(TEXT, lgwin=bits), "RFC 7932 9.1")
            for bits in (10, 16, 17, 24)
        ),
        decoded("br of nothing", "br", brotli.compress(b""), "RFC 7932 9.2", b""),
        decoded("br of metadata", "br", METADATA + b"\x03", "RFC 7932 9.2", b""),
        decoded("br with metadata", "br", METADATA + STORED + b"\x03", "RFC 7932 9.2", b"hello"),
        *(refused(f"br: {name}", "br", data, why, "RFC 7932 9") for name, (data, why) in damaged.items()),
        *(
            refused(f"br, {size} bytes of it", "br", BROTLI[:size], "br body is truncated", "RFC 7932 9")
            for size in (1, 5, len(BROTLI) - 1)
        ),
        refused("br, without its last block", "br", METADATA + STORED, "br body is truncated", "RFC 7932 9.2"),
    ]


# zstd (RFC 8878, RFC 9659)

MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD = zstd.compress(TEXT)
CHECKED = zstd.compress(TEXT, options={zstd.CompressionParameter.checksum_flag: 1})
HELLO = b"\x29\x00\x00hello"
"""A last block of five bytes, as they are."""


def windowed(log: int) -> bytes:
    """A frame that wants a window of 2**log bytes for its "hello"."""
    return MAGIC + bytes([0, (log - 10) << 3]) + HELLO


def skippable(number: int = 0, data: bytes = b"skip me") -> bytes:
    return struct.pack("<LL", 0x184D2A50 + number, len(data)) + data


def zstds() -> list[Row]:
    forms: Mapping[str, tuple[bytes, str]] = {
        "a checksum": (CHECKED, "RFC 8878 3.1.1"),
        "no size": (zstd.compress(TEXT, options={zstd.CompressionParameter.content_size_flag: 0}), "RFC 8878 3.1.1.1"),
        "the best compression": (zstd.compress(TEXT, level=19), "RFC 8878 3.1.1"),
        "two frames": (zstd.compress(TEXT[:9]) + zstd.compress(TEXT[9:]), "RFC 8878 3"),
        "an empty frame first": (zstd.compress(b"") + ZSTD, "RFC 8878 3"),
        "an empty frame last": (ZSTD + zstd.compress(b""), "RFC 8878 3"),
        "a frame to skip first": (skippable() + ZSTD, "RFC 8878 3.1.2"),
        "a frame to skip last": (ZSTD + skippable(15), "RFC 8878 3.1.2"),
        "a frame to skip in between": (
            zstd.compress(TEXT[:9]) + skippable(7) + zstd.compress(TEXT[9:]),
            "RFC 8878 3.1.2",
        ),
        "an empty frame to skip": (skippable(data=b"") + ZSTD, "RFC 8878 3.1.2"),
    }
    damaged: Mapping[str, tuple[bytes, str, str]] = {
        "text instead": (TEXT, "not valid zstd", "RFC 8878 3.1.1"),
        "gzip instead": (GZIP, "not valid zstd", "RFC 8878 3.1.1"),
        "a wrong checksum": (CHECKED[:-4] + bytes(4), "not valid zstd", "RFC 8878 3.1.1"),
        "a dictionary that nobody has": (MAGIC + b"\x21\x07\x05" + HELLO, "not valid zstd", "RFC 8878 3.1.1.1.3"),
        "a reserved bit": (MAGIC + b"\x28\x05" + HELLO, "not valid zstd", "RFC 8878 3.1.1.1.1.4"),
        "a reserved kind of block": (MAGIC + b"\x20\x05\x2f\x00\x00hello", "not valid zstd", "RFC 8878 3.1.1.2.2"),
        "a size that is wrong": (MAGIC + b"\x20\x06" + HELLO, "not valid zstd", "RFC 8878 3.1.1.1.4"),
        "a window of 16 MiB": (windowed(24), "not valid zstd", "RFC 9659 3"),
        "a window of 2 TiB": (windowed(41), "not valid zstd", "RFC 9659 3"),
        "a byte behind it": (ZSTD + b"x", "zstd", "RFC 8878 3"),
        "zeros behind it": (ZSTD + bytes(4), "not valid zstd", "RFC 8878 3"),
        "text behind it": (ZSTD + TEXT, "not valid zstd", "RFC 8878 3"),
        "half a second frame": (ZSTD + ZSTD[:8], "zstd body is truncated", "RFC 8878 3"),
        "half a frame to skip": (ZSTD + skippable()[:10], "zstd body is truncated", "RFC 8878 3.1.2"),
        "a frame to skip that is endless": (
            skippable()[:4] + b"\xff\xff\xff\xff",
            "zstd body is truncated",
            "RFC 8878 3.1.2",
        ),
        "too many frames to skip": (skippable(data=b"") * 102 + ZSTD, "empty parts in a row", "RFC 8878 3.1.2"),
    }
    return [
        decoded("zstd", "zstd", ZSTD, "RFC 8878 3.1.1"),
        decoded("zstd with tables of its own", "zstd", zstd.compress(VARIED), "RFC 8878 3.1.1.3", VARIED),
        *(decoded(f"zstd with {name}", "zstd", data, source) for name, (data, source) in forms.items()),
        *(
            decoded(f"zstd with a window of 2^{log}", "zstd", windowed(log), "RFC 9659 3", b"hello")
            for log in (10, 17, 23)
        ),
        decoded("zstd of nothing", "zstd", zstd.compress(b""), "RFC 8878 3.1.1", b""),
        decoded("zstd of a frame to skip", "zstd", skippable(), "RFC 8878 3.1.2", b""),
        *(refused(f"zstd: {name}", "zstd", data, why, source) for name, (data, why, source) in damaged.items()),
        *(
            refused(f"zstd, {size} bytes of it", "zstd", ZSTD[:size], "zstd body is truncated", "RFC 8878 3.1.1")
            for size in (1, 3, 4, 5, 8, len(ZSTD) - 1)
        ),
        refused("zstd, without its checksum", "zstd", CHECKED[:-4], "zstd body is truncated", "RFC 8878 3.1.1"),
    ]


# Names, chains, and content that is not there


def names() -> list[Row]:
    clause = "RFC 9110 8.4.1"
    unknown = (
        *("compress", "x-compress", "pack200-gzip", "aws-chunked", "dcb", "exi", "none", "utf-8", "*", "x-zstd"),
        *('"gzip"', "gzip;q=1", "gzip foo", "gzip/1", "g zip", "x-gzip-", "gzip;"),
    )
    return [
        *(decoded(f"the name {name}", name, GZIP, clause) for name in ("GZIP", "Gzip", "gzIP")),
        *(decoded(f"the name {name}", name, GZIP, "RFC 9110 8.4.1.3") for name in ("x-gzip", "X-GZip")),
        decoded("the name DEFLATE", "DEFLATE", ZLIB, clause),
        decoded("the name BR", "BR", BROTLI, clause),
        decoded("the name ZSTD", "ZSTD", ZSTD, clause),
        decoded("a name between blanks", "  gzip \t", GZIP, "RFC 9110 5.5"),
        decoded("identity", "identity", TEXT, "RFC 9110 8.4"),
        decoded("identity of gzip", "identity", GZIP, "RFC 9110 8.4", GZIP),
        decoded("no name", "", TEXT, "RFC 9110 8.4"),
        decoded("a field without names", " ", TEXT, "RFC 9110 5.6.1.2"),
        *(decoded(f"the unknown {name}", name, GZIP, "Fetch", GZIP) for name in unknown),
    ]


def chains() -> list[Row]:
    of_gzip: Mapping[str, bytes] = {
        "gzip, br": brotli.compress(GZIP),
        "gzip, zstd": zstd.compress(GZIP),
        "gzip, deflate": zlib.compress(GZIP),
        "gzip, gzip": gzip_member(GZIP),
        "gzip, x-gzip": gzip_member(GZIP),
        "gzip, identity": GZIP,
        "identity, gzip": GZIP,
        "identity, gzip, identity, identity, identity, identity": GZIP,
        "gzip,br": brotli.compress(GZIP),
        "gzip\t,\tbr": brotli.compress(GZIP),
        "gzip, deflate, br": brotli.compress(zlib.compress(GZIP)),
        "gzip, deflate, br, zstd": zstd.compress(brotli.compress(zlib.compress(GZIP))),
        "gzip, deflate, br, zstd, gzip": gzip_member(zstd.compress(brotli.compress(zlib.compress(GZIP)))),
    }
    empty_elements = (",gzip", "gzip,", ", gzip ,", ",,gzip,,", " , \t, gzip")
    inside: Mapping[str, tuple[str, bytes, str]] = {
        "in the wrong order": ("br, gzip", brotli.compress(GZIP), "not valid gzip"),
        "of a cut gzip": ("gzip, br", brotli.compress(GZIP[:-1]), "gzip body is truncated"),
        "of text": ("gzip, br", brotli.compress(TEXT), "not valid gzip"),
        "with the outer one cut": ("gzip, br", brotli.compress(GZIP)[:-1], "truncated"),
        "with a byte behind the inner one": ("gzip, br", brotli.compress(GZIP + b"x"), "gzip"),
        "with a byte behind the outer one": ("gzip, br", brotli.compress(GZIP) + b"x", "br"),
        "whose outer one is missing": ("gzip, br", GZIP, "br"),
    }
    six = GZIP
    for _ in range(5):
        six = gzip_member(six)
    return [
        *(decoded(f"chain {codings!r}", codings, data, "RFC 9110 8.4") for codings, data in of_gzip.items()),
        *(decoded(f"empty elements {codings!r}", codings, GZIP, "RFC 9110 5.6.1.2") for codings in empty_elements),
        decoded("two fields", "gzip\nbr", brotli.compress(GZIP), "RFC 9110 5.3"),
        decoded("two fields, one of them empty", " \ngzip", GZIP, "RFC 9110 5.6.1.2"),
        decoded("the same field twice, for two layers", "gzip\ngzip", gzip_member(GZIP), "RFC 9110 5.3"),
        decoded("chain with the unknown last", "gzip, foo", GZIP, "Fetch", GZIP),
        decoded("chain with the unknown first", "foo, gzip", GZIP, "Fetch", GZIP),
        decoded("chain with the unknown in another field", "gzip\nfoo", GZIP, "Fetch", GZIP),
        decoded("a chain of nothing", "gzip, br", brotli.compress(EMPTY_GZIP), "RFC 9110 8.4", b""),
        *(
            refused(f"chain {name}", codings, data, why, "RFC 9110 8.4")
            for name, (codings, data, why) in inside.items()
        ),
        # A server that names it twice and applies it once cannot be told from one whose content is damaged.
        refused("the same field twice, for one layer", "gzip\ngzip", GZIP, "not valid gzip", "RFC 9110 5.3"),
        refused("six of them", ", ".join(["gzip"] * 6), six, "6 content codings", "curl CVE-2023-23916"),
        refused("six of them in six fields", "\n".join(["gzip"] * 6), six, "6 content codings", "curl CVE-2023-23916"),
        refused("very many of them", ", ".join(["gzip"] * 500), GZIP, "500 content codings", "curl CVE-2023-23916"),
    ]


def content_elsewhere() -> list[Row]:
    """Content that is framed otherwise, or is not there; and codings that nobody wants to be taken off."""
    chunked = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    until_end = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    bytewise = b"".join(b"1\r\n%c\r\n" % byte for byte in GZIP)
    raw = {"decompress": False}
    rows = [
        Row("chunked", chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(GZIP), GZIP), Answer(200, TEXT), "RFC 9112 7.1"),
        Row("chunked, a byte each", chunked + bytewise + b"0\r\n\r\n", Answer(200, TEXT), "RFC 9112 7.1"),
        Row("chunked, but empty", chunked + b"0\r\n\r\n", Answer(200, b""), "curl"),
        Row("until the connection ends", until_end + GZIP, UntilEnd(200, TEXT), "RFC 9112 6.3"),
        Row("nothing until the connection ends", until_end, UntilEnd(200, b""), "RFC 9112 6.3"),
        *(
            Row(f"{coding} of no content", reply(coding, b""), Answer(200, b""), "curl")
            for coding in ("gzip", "deflate", "br", "zstd", "gzip, br")
        ),
        Row("of a 404", reply("gzip", GZIP, "404 Not Found"), Answer(404, TEXT), "RFC 9110 8.4"),
        Row("of a redirect that leads nowhere", reply("gzip", GZIP, "302 Found"), Answer(302, TEXT), "RFC 9110 15.4"),
        Row(
            "of a whole range",
            reply("gzip", GZIP, "206 Partial Content", f"Content-Range: bytes 0-{len(GZIP) - 1}/{len(GZIP)}"),
            Answer(206, TEXT),
            "RFC 9110 14.4",
        ),
        Row("in the answer to HEAD", reply("gzip", b"", length=100), Answer(), "RFC 9110 9.3.2", "HEAD"),
        Row("unknown, in the answer to HEAD", reply("foo", b""), Answer(), "RFC 9110 9.3.2", "HEAD"),
        Row("too many, in the answer to HEAD", reply(", ".join(["gzip"] * 6), b""), Answer(), "RFC 9110 9.3.2", "HEAD"),
        Row(
            "in a 304",
            reply("gzip", b"", "304 Not Modified", length=100),
            Answer(304),
            "RFC 9110 15.4.5",
        ),
        Row("in a 204", b"HTTP/1.1 204 No\r\nContent-Encoding: gzip\r\n\r\n", Answer(204), "RFC 9110 15.3.5"),
        Row("in a 205", reply("gzip", b"", "205 Reset"), Answer(205), "RFC 9110 15.3.6"),
        Row("not to be taken off", reply("gzip", GZIP), Answer(200, GZIP), "axios", options=raw),
        Row("damaged, not to be taken off", reply("gzip", GZIP[:9]), Answer(200, GZIP[:9]), "axios", options=raw),
        Row("six, not to be taken off", reply(", ".join(["br"] * 6), TEXT), Answer(200, TEXT), "axios", options=raw),
        Row(
            "in the fields, as received",
            reply("x-gzip", GZIP, "200 OK", "ETag: a"),
            Answer(200, TEXT, (("content-encoding", "x-gzip"), ("content-length", str(len(GZIP))))),
            "RFC 9110 8.4.1.3",
        ),
        Row(
            "of a gzip file, none",
            reply("", gzip.compress(TEXT, mtime=0), "200 OK", "Content-Type: application/gzip"),
            Answer(200, gzip.compress(TEXT, mtime=0)),
            "RFC 9110 8.3",
        ),
    ]
    return [
        Row(f"content codings: {row.name}", row.says, row.outcome, row.source, row.method, row.options) for row in rows
    ]


ROWS: list[Row] = [
    *names(),
    *gzips(),
    *deflates(),
    *brotlis(),
    *zstds(),
    *chains(),
    *content_elsewhere(),
]
