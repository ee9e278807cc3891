"""Strategies of hypothesis: responses that are nearly right, and inputs of any target that nearly are.

What is random all the way is refused at its first byte, and reaches nothing.
"""

from __future__ import annotations

import re
from ast import literal_eval
from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from fuzz.targets import TARGETS

WORDS: Final = tuple(
    literal_eval(f"b{line}")
    for line in Path(__file__).with_name("words.dict").read_text().splitlines()
    if line.startswith('"')
)

# Responses

NAMES: Final = tuple(
    b"Content-Type Set-Cookie Connection Keep-Alive Content-Encoding connection X-Connection Upgrade Trailer ETag "
    b"content-length2 !#$%&'*+-.^_`|~ Date".split(b" ")
)
VALUES: Final = tuple(
    b'|close|keep-alive|Keep-Alive, close|upgrade,\tCLOSE |timeout=5, max=3|timeout="7"|gzip|a=b; c|"close"'.split(b"|")
)


@st.composite
def _mostly(draw: st.DrawFn, usual: st.SearchStrategy[bytes], odd: st.SearchStrategy[bytes]) -> bytes:
    """A message of ten parts, each of them odd half of the time, is never right."""
    return draw(odd if draw(st.integers(0, 11)) == 11 else usual)


_status_lines = _mostly(
    st.sampled_from(
        [
            *(b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found", b"HTTP/1.0 200 OK", b"HTTP/1.1 500", b"HTTP/1.1 204 "),
            *(b"HTTP/1.1 304 \xe9\t", b"HTTP/1.1 599 a b"),
        ]
    ),
    st.builds(
        lambda version, status, reason: b"HTTP/%s %d%s" % (version, status, reason),
        st.sampled_from([b"1.1", b"1.0", b"2.0", b"1.2", b"11"]),
        st.integers(99, 600),
        st.sampled_from([b" OK", b"", b" a\x01", b"x"]),
    ),
)
_field_names = _mostly(st.sampled_from(NAMES), st.from_regex(rb"[!-~]{0,6}", fullmatch=True))
_field_values = _mostly(
    st.one_of(st.sampled_from(VALUES), st.from_regex(rb"[\t\x20-\x7e\x80-\xff]{0,12}", fullmatch=True)),
    st.binary(max_size=4),
)
_blanks = st.sampled_from([b" ", b"", b"\t", b"  "])
_fields = st.builds(lambda *parts: b"".join(parts), _field_names, st.just(b":"), _blanks, _field_values, _blanks)
_lengths = _mostly(
    st.integers(0, 40).map(b"%d".__mod__),
    st.sampled_from([b"05", b"5, 5", b"+5", b"-1", b"0x5", b"5 5", b"", b"9" * 19, b"1_0", b"\xb2"]),
)
_codings = _mostly(
    st.sampled_from([b"chunked", b"Chunked", b"\tchunked "]),
    st.sampled_from([b"gzip, chunked", b"chunked, chunked", b"chunked;q=1", b"identity", b"xchunked", b""]),
)
_length_fields = _lengths.map(b"Content-Length: ".__add__)
_coding_fields = _codings.map(b"transfer-encoding:".__add__)
_sizes = _mostly(st.sampled_from([b"%x", b"%X", b"0%x"]), st.sampled_from([b"%d", b"0x%x", b"%x0", b" %x", b"-%x"]))
_extensions = _mostly(
    st.sampled_from([b"", b"", b"", b";a", b";a=b", b';a="b;c\\""']),
    st.sampled_from([b" ", b" ;a", b";", b";a= b", b";\x01", b"\t"]),
)


@st.composite
def _chunked_contents(draw: st.DrawFn) -> bytes:
    lines = []
    for content in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=3)):
        lines += [draw(_sizes) % len(content) + draw(_extensions), content]
    lines += [draw(st.sampled_from([b"0", b"000"])) + draw(_extensions), *draw(st.lists(_fields, max_size=2)), b"", b""]
    return b"\r\n".join(lines)


@st.composite
def _messages(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(0, 9))
    framing, content = [], draw(st.binary(max_size=40))
    if kind < 4:
        length = draw(_lengths)
        framing = [b"Content-Length: " + length]
        if re.fullmatch(rb"[0-9]{1,2}", length):
            content = content.ljust(int(length), b".")[: int(length)]
    elif kind < 8:
        framing, content = [draw(_coding_fields)], draw(_chunked_contents())
    elif kind == 8:
        framing = draw(st.lists(st.one_of(_length_fields, _coding_fields), min_size=2, max_size=3))
    fields = draw(st.permutations([*draw(st.lists(_fields, max_size=4)), *framing]))
    return b"\r\n".join([draw(_status_lines), *fields, b"", b""]) + content


_interim = _mostly(
    st.sampled_from([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 x\r\nLink: </a>\r\n\r\n"]),
    st.sampled_from([b"HTTP/1.1 102\r\nContent-Length: 3\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"]),
)
_surplus = _mostly(st.just(b""), st.sampled_from([b"\r\n", b"\0", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]))


@st.composite
def edited(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """One of `originals`, as it is or with a few edits."""
    data = bytearray(draw(originals))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 3]))):
        place = draw(st.integers(0, len(data)))
        size = draw(st.sampled_from([0, 0, 1, 1, 2, 9]))
        data[place : place + size] = draw(
            st.one_of(st.sampled_from(WORDS), st.binary(max_size=3), st.just(bytes(data[place : place + size]) * 2))
        )
    return bytes(data)


def responses() -> st.SearchStrategy[bytes]:
    """What a server may send: right, nearly right, or right with something too much."""
    whole = st.builds(
        lambda interim, message, surplus: b"".join([*interim, message, surplus]),
        st.lists(_interim, max_size=2),
        _messages(),
        _surplus,
    )
    return edited(whole)


def inputs(target: str) -> st.SearchStrategy[bytes]:
    """Inputs of a target: its seeds, edited; words that parsers know; and anything."""
    seeds = st.sampled_from(TARGETS[target].seeds)
    words = st.builds(
        lambda control, parts: control + b"".join(parts), st.binary(max_size=3), st.lists(st.sampled_from(WORDS))
    )
    return st.one_of(edited(seeds), edited(seeds), edited(words), st.binary(max_size=64))
