"""Content on its way in: content codings, charsets, JSON; and forms on their way out."""

from __future__ import annotations

import codecs
import email.message
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import brotli
from backports import zstd

from atomhttp._body import json_codec
from atomhttp._body.compression import (
    MAX_CODINGS,
    MAX_PIECE,
    UnknownCodingError,
    build_decoder,
    decode_content,
    parse_codings,
)
from atomhttp._body.decode import decode_json_body, decode_text, decode_typed, find_charset
from atomhttp._body.multipart import encode_multipart
from atomhttp._model.headers import Headers
from atomhttp.errors import AtomHTTPDecodeError, AtomHTTPOptionError
from atomhttp.form_data import FormData
from fuzz.promises import check_message
from fuzz.reader import Reader, cut, received_text, split, text_of

# Nothing is decoded beyond this: whether a bomb is stopped is seen by its pieces.
ENOUGH: Final = 1024 * 1024

# Content codings


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


ENCODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": _gzip,
    "deflate": lambda data: zlib.compress(data, 1),
    "br": lambda data: brotli.compress(data, quality=1),
    "zstd": lambda data: zstd.compress(data, 1),
    "x-gzip": _gzip,
}
FIELDS: Final = (
    *ENCODERS, "gzip, br", "GZIP,identity ,, Deflate", "zstd, zstd", "br, gzip, zstd, deflate, gzip", "gzip," * 6,
    "compress", "identity", "",
)  # fmt: skip


def run_compression(data: bytes) -> None:
    """Control bytes: the codings, how often the content is repeated, what is broken in it, cuts."""
    reader = Reader(data)
    field = reader.pick(FIELDS)
    repeats, mutation, where, places = (
        reader.byte(),
        reader.byte() % 6,
        reader.byte() << 8 | reader.byte(),
        reader.cuts(),
    )
    content = reader.rest()
    codings = parse_codings(field)
    plain = content * (repeats * 16 if repeats > 200 else 1)
    # As it is, or as some server would have coded it, whole or broken.
    coded = content if mutation == 0 else _encode(plain, codings)
    if mutation > 1:
        coded = _broken(coded, mutation, where)
    whole, pieces = decode([coded], codings), decode(cut(coded, places), codings)
    # libzstd compares the Frame_Content_Size with what came before an empty last block only where it has all of the
    # frame at once: lenient, and nothing that a connection that breaks could do.
    assert pieces == whole or ("zstd" in codings and "refused" in (whole, pieces))
    if mutation == 1 and codings and len(codings) <= MAX_CODINGS and whole != "unknown" and len(plain) < ENOUGH:
        assert whole == plain
    if isinstance(whole, bytes) and len(whole) < ENOUGH:
        assert decode_content(coded, codings) == whole


def decode(pieces: list[bytes], codings: list[str]) -> bytes | str:
    """The content, or what is wrong with it."""
    try:
        decoder = build_decoder(codings)
    except UnknownCodingError:
        return "unknown"
    except AtomHTTPDecodeError as error:
        check_message(error)
        return "refused"
    if decoder is None:
        return b"".join(pieces)
    taken = bytearray()
    try:
        for piece in pieces:
            for decoded in decoder.feed(piece):
                assert 0 < len(decoded) <= MAX_PIECE
                taken += decoded
                if len(taken) >= ENOUGH:
                    # Which pieces there are depends on the cuts; what is in them does not.
                    return bytes(taken[:ENOUGH])
        decoder.finish()
    except AtomHTTPDecodeError as error:
        check_message(error)
        return "refused"
    return bytes(taken)


def _encode(data: bytes, codings: list[str]) -> bytes:
    for coding in codings[:MAX_CODINGS]:
        data = ENCODERS.get(coding, bytes)(data)
    return data


def _broken(coded: bytes, mutation: int, where: int) -> bytes:
    place = where % (len(coded) + 1)
    if mutation == 2:
        return coded[:place]
    if mutation == 3:
        return coded[:place] + bytes([where % 256]) + coded[place:]
    if mutation == 4:
        return coded[:place] + bytes(byte ^ 1 << where % 8 for byte in coded[place : place + 1]) + coded[place + 1 :]
    # Twice, with something in between: members, padding, surplus.
    return coded + bytes(where % 4) + coded


# Content-Type


def run_content_type(data: bytes) -> None:
    """Control byte: responseEncoding. A line that is a Content-Type, then the content."""
    reader = Reader(data)
    encoding = reader.pick((None, "latin-1", "utf-16", "shift_jis"))
    line, _, content = reader.rest().partition(b"\n")
    content_type = received_text(line)
    codec = find_charset(content_type)
    if codec is not None:
        assert codecs.lookup(codec)._is_text_encoding  # type: ignore[attr-defined]  # codecs.py's own mark
    assert isinstance(decode_text(content, content_type, encoding), str)
    value = decode_json_body(content, content_type, encoding=encoding)
    try:
        strict = decode_json_body(content, content_type, strict=True, encoding=encoding)
    except AtomHTTPDecodeError as error:
        check_message(error)
        assert isinstance(value, (str, bytes))
    else:
        assert repr(strict) == repr(value)
    assert decode_typed(content, bytes, content_type) == content
    assert isinstance(decode_typed(content, str, content_type), str)


# JSON


@dataclass
class Shape:
    name: str
    when: datetime | None = None
    tags: list[int] | None = None


TYPES: Final[tuple[Any, ...]] = (dict[str, int], list[float], Shape, datetime, UUID, int | str | None, tuple[int, ...])


def run_json(data: bytes) -> None:
    """JSON, in and out, beside the standard library's."""
    try:
        value = json_codec.loads(data)
    except ValueError:
        _check_refused(data)
        value = None
    else:
        assert repr(value) == repr(_load_by_standard(data))
        _check_written(value)
    for type_ in TYPES:
        try:
            decode_typed(data, type_, "application/json")
        except AtomHTTPDecodeError as error:
            check_message(error)
        else:
            # Fields that a type has not are passed over by msgspec, whether they are UTF-8 or not.
            assert value is not None or not data or not _is_text(data) or _load_by_standard(data) is None


def _load_by_standard(data: bytes) -> Any:
    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    return json.loads(data.decode("utf-8-sig"), parse_constant=refuse)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_refused(data: bytes) -> None:
    """What is called "not JSON" is none for the standard library either."""
    try:
        value = _load_by_standard(data)
    except (ValueError, RecursionError):
        return
    raise AssertionError(f"{data!r} is {value!r}")


def _check_written(value: Any) -> None:
    try:
        written = json_codec.dumps(value)
    except AtomHTTPOptionError as error:
        # What only the standard library reads, JSON has no form for: 1e400, a lone surrogate.
        check_message(error)
        assert "inf" in repr(value) or "\\ud" in repr(value), value
        return
    assert repr(json_codec.loads(written)) == repr(value)


# Forms

_HEAD: Final = re.compile(
    rb'Content-Disposition: form-data; name="([^"\r\n]*)"(?:; filename="([^"\r\n]*)")?\r\n'
    rb"(?:Content-Type: ([\x20-\x7e]+)\r\n)?\r\n"
)


def run_multipart(data: bytes) -> None:
    """A line that is a declared Content-Type; then lines: a control byte, a name, a file name, a type and a value."""
    first, _, rest = data.partition(b"\n")
    try:
        declared = Headers({"Content-Type": first})["content-type"] or None
    except AtomHTTPOptionError:
        declared = None
    form = FormData()
    for line in rest.split(b"\n"):
        reader = Reader(line)
        kind = reader.byte()
        name, filename, content_type, value = split(reader.rest(), 4, b"\t")
        try:
            form.append(
                text_of(name),
                value.replace(b"\v", b"\r\n") if kind & 1 else text_of(value).replace("\v", "\r\n"),
                text_of(filename).replace("\v", "\r\n") if kind & 2 else None,
                text_of(content_type) if kind & 4 else None,
            )
        except AtomHTTPOptionError as error:
            check_message(error)
    try:
        body, sent_type = encode_multipart(form, declared)
    except AtomHTTPOptionError as error:
        check_message(error)
        return
    assert isinstance(body, bytes)
    _check_parts(form, body, sent_type)


def _check_parts(form: FormData, body: bytes, sent_type: str) -> None:
    """A strict reader finds the parts that were given, and no other."""
    boundary = body.partition(b"\r\n")[0]
    header = email.message.Message()
    header["Content-Type"] = sent_type
    # It reads no quoted pairs but those of quotes (RFC 9110 section 5.6.4).
    assert "\\" in sent_type or header.get_boundary() == boundary[2:].decode().removesuffix(
        "--" if not len(form) else ""
    ), sent_type
    parts = list(_split(body, boundary))
    assert len(parts) == len(form)
    for part, given in zip(parts, form.parts, strict=True):
        match = _HEAD.match(part)
        assert match is not None, part
        assert _unescape(match[1]) == re.sub("\r\n|\r|\n", "\r\n", given.name)
        assert (match[2] is None) == (given.filename is None)
        if given.filename is not None:
            assert _unescape(match[2]) == given.filename
        if given.content_type is not None:
            assert match[3].decode() == given.content_type
        content = part[match.end() :]
        if given.kind == "bytes":
            assert content == given.value
        elif given.is_file or given.content_type is not None:
            assert content == given.value.encode()
        else:
            assert content == re.sub("\r\n|\r|\n", "\r\n", given.value).encode()


def _split(body: bytes, boundary: bytes) -> Iterator[bytes]:
    if body == boundary + b"\r\n":
        return
    head, *parts, end = (b"\r\n" + body).split(b"\r\n" + boundary)
    assert head == b""
    assert end == b"--\r\n"
    for part in parts:
        assert part.startswith(b"\r\n")
        yield part[2:]


def _unescape(name: bytes) -> str:
    return name.replace(b"%22", b'"').replace(b"%0D", b"\r").replace(b"%0A", b"\n").decode()


COMPRESSION_SEEDS: Final = tuple(
    bytes([number, repeats, mutation, 0, 9, 2, 0, 3, 0, 11]) + b"content, content, content and other content" * 3
    for number in range(len(FIELDS))
    for repeats, mutation in ((1, 1), (1, 2), (1, 4), (255, 1), (1, 5))
)
CONTENT_TYPE_SEEDS: Final = (
    b'\0application/json\n{"a": [1, 2.5, "\xc3\xa9"]}',
    b'\0text/html; charset="ISO-8859-1"\n<p>\xe9',
    b"\0application/problem+json;charset=utf-16\n\xff\xfe{\0}\0",
    b"\1text/plain; x=y; charset=utf-7\n123",
    b"\0\n\xef\xbb\xbftrue",
    b"\2image/png\n\x89PNG",
    b"\0text/plain;charset=rot13\nabc",
)
JSON_SEEDS: Final = (
    b'{"a": [1, -2.5e3, true, false, null, "\\u00e9\\ud83d\\ude00"], "b": {}}',
    b'"\\ud800"',
    b"1e400",
    b"[NaN]",
    b"123456789012345678901234567890",
    b'\xef\xbb\xbf{"name": "x", "when": "2024-01-01T00:00:00Z", "tags": [1]}',
    b'"12345678-1234-5678-1234-567812345678"',
    b"[" * 300,
    b"-0.0",
    b'{"a": 1, "a": 2}',
)
MULTIPART_SEEDS: Final = (
    b'\n\0name\t\t\tvalue\n\2file\ta"b\vc.txt\t\tcontent\v--x\n\7x\ty\ttext/plain; charset=utf-8\t\xff\0',
    b"multipart/form-data; boundary=xyz\n\1a\t\t\tb\v--xyz--\v",
    b'multipart/mixed; boundary="a b"\n\0\xc3\xa4\t\t\t\xc3\xb6',
    b"application/json\n\4a\t\ttext/x\v\tb",
    # Found: a boundary that others read otherwise.
    b'multipart/mixed; boundary= a b"\n\0a\t\t\tb',
    b'multipart/fory="\n\0a\t\t\tb',
)
