"""The content of a response: to a file, to whoever reads our output, or to a person at a terminal."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

from atomhttp._body.decode import find_charset, is_binary_type, is_json_type, media_type
from atomhttp._body.json_codec import loads
from atomhttp._cli.json_text import format_json
from atomhttp._cli.terminal import Paint, defuse, say, write_text
from atomhttp._pipeline.partial_file import PartialFile, find_target
from atomhttp._pipeline.response import Response
from atomhttp._redact import quote_peer

# What is formatted has to be in memory, several times over. More of it is shown as it comes.
_FORMATTED_AT_MOST: Final = 10 * 1024 * 1024
# JSON is often called something else; what is a line of JSON after another never ends.
_PERHAPS_JSON: Final = ("", "text/plain", "text/javascript", "application/javascript", "application/octet-stream")
# Of the characters of a first piece: what has more of them that are none is no text.
_ODD: Final = 0.1

_MARKS: Final = {
    "utf_16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "utf_32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
}


# To a file


def store_content(response: Response[Any], path: str) -> None:
    """Writes the content to the file `path`, which is replaced when all of it is there, and else stays as it is.

    Raises:
        OSError, AtomHTTPOptionError: it cannot be written.
    """
    if _is_device(path):
        with open(path, "wb") as device:
            _copy(response, device.write)
        return
    # `str`: there is no other name, where it has become a directory since it was looked at.
    part = PartialFile(find_target(path, str))
    part.open()
    try:
        part.begin(None)
        _copy(response, lambda piece: part.write((piece,)))
        part.finish()
    finally:
        part.close()


def _is_device(path: str) -> bool:
    """`/dev/null`, a pipe: what can be written to and not be replaced."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def _copy(response: Response[Any], write: Callable[[bytes], object]) -> None:
    for piece in response.data:
        write(piece)


# To whoever reads our output


def pass_content(response: Response[Any]) -> None:
    """Writes the content to standard output, every piece when it arrives, byte for byte."""
    out = sys.stdout.buffer
    sys.stdout.flush()

    def write(piece: bytes) -> None:
        out.write(piece)
        out.flush()

    _copy(response, write)


# To a terminal


def show_content(response: Response[Any], paint: Paint) -> None:
    """Shows the content: JSON indented and in colours, other text as it is, and what is not text not at all. Nothing in
    it gives orders to the terminal."""
    pieces = iter(response.data)
    first = next(pieces, b"")
    if not first:
        return
    content_type = response.content_type
    if response.undecoded or _is_binary(first, content_type):
        _refuse_binary(response)
        return
    pieces = chain((first,), pieces)
    if _may_be_json(first, content_type):
        whole, pieces = _gather(pieces)
        if whole is not None and _show_json(whole, paint):
            return
    _show_text(pieces, find_charset(content_type) or "utf-8-sig")


def _is_binary(first: bytes, content_type: str) -> bool:
    kind = media_type(content_type)
    if kind.endswith("+xml") or find_charset(content_type) is not None:
        return False
    if kind != "application/octet-stream" and is_binary_type(content_type):
        return True
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(first)
    odd = sum(char == "\ufffd" or (char < " " and char not in "\t\n\r\f\x1b") for char in text)
    return "\0" in text or odd > len(text) * _ODD


def _refuse_binary(response: Response[Any]) -> None:
    kind = quote_peer(", ".join(response.undecoded) or media_type(response.content_type)) or "of no type"
    length = response.headers.get("content-length", "")
    size = f", {int(length):,} bytes" if length.isascii() and length.isdigit() and len(length) < 20 else ""
    say(
        f"atomhttp: the content is not text ({kind}{size}) and was not written to the terminal; "
        "-o FILE stores it, --raw writes it all the same"
    )


def _may_be_json(first: bytes, content_type: str) -> bool:
    if is_json_type(content_type):
        return True
    return media_type(content_type) in _PERHAPS_JSON and first.lstrip()[:1] in (b"{", b"[")


def _gather(pieces: Iterator[bytes]) -> tuple[bytes | None, Iterator[bytes]]:
    """The whole content, unless it is too much or breaks off; and the pieces once more."""
    gathered: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            gathered.append(piece)
            size += len(piece)
            if size > _FORMATTED_AT_MOST:
                return None, chain(gathered, pieces)
    except Exception as error:  # whatever it is, what has come is shown before it
        return None, _break_off(gathered, error)
    return b"".join(gathered), iter(gathered)


def _break_off(pieces: list[bytes], error: Exception) -> Iterator[bytes]:
    yield from pieces
    raise error


def _show_json(content: bytes, paint: Paint) -> bool:
    """Whether it was JSON, which has then been written."""
    try:
        loads(content)
        text = content.decode("utf-8-sig")
    except ValueError:
        return False
    for token in format_json(text, paint):
        write_text(token, sys.stdout)
    write_text("\n", sys.stdout)
    sys.stdout.flush()
    return True


def _find_byte_order(pieces: Iterator[bytes], charset: str) -> tuple[str, Iterator[bytes]]:
    """What decodes the pieces of a text in UTF-16 or UTF-32: without a mark Python refuses them, other than a whole
    text, which it takes for little-endian."""
    first = b""
    for piece in pieces:
        first += piece
        if len(first) >= 4:
            break
    return charset if first.startswith(_MARKS[charset]) else f"{charset}_le", chain((first,), pieces)


def _show_text(pieces: Iterator[bytes], charset: str) -> None:
    if charset in _MARKS:
        charset, pieces = _find_byte_order(pieces, charset)
    decoder = codecs.getincrementaldecoder(charset)("replace")
    # A line may end with CR LF, and its piece between them.
    held = ""
    last = ""
    try:
        for piece in chain(pieces, (b"",)):
            text = held + decoder.decode(piece, final=not piece)
            held = "\r" if piece and text.endswith("\r") else ""
            text = text.removesuffix(held).replace("\r\n", "\n")
            if text:
                write_text(defuse(text), sys.stdout)
                sys.stdout.flush()
                last = text[-1]
    finally:
        # Also where it broke off: what is said of that gets its own line.
        if last != "\n":
            write_text("\n", sys.stdout)
            sys.stdout.flush()
