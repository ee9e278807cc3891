from __future__ import annotations

import codecs
import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._body.decode import (
    decode_json_body,
    decode_text,
    decode_typed,
    find_charset,
    is_binary_type,
    is_json_type,
    lookup_charset,
    media_type,
)
from atomhttp.errors import AtomHTTPDecodeError, AtomHTTPOptionError

JSON = "application/json"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


# response type "json"


@pytest.mark.parametrize("content_type", ["", JSON, "text/plain", "text/html; charset=utf-8", "image/png", "nonsense"])
@pytest.mark.parametrize("content", [b'{"a": 1}', b"[1, 2]", b' \n{"a": [1.5]}\n', b"\xef\xbb\xbf[1]", b'"text"'])
def test_json_is_parsed_whatever_the_content_type(content: bytes, content_type: str) -> None:
    assert decode_json_body(content, content_type) == json.loads(content)


@pytest.mark.parametrize("content", [b"123", b"-1.5", b"true", b"false", b"null", b" 7 "])
def test_bare_values_need_a_json_content_type(content: bytes) -> None:
    for content_type in (JSON, "application/json; charset=utf-8", "Application/Problem+JSON", "text/json", ""):
        assert decode_json_body(content, content_type) == json.loads(content)
    for content_type in ("text/plain", "text/html; charset=utf-8", "application/xml"):
        assert decode_json_body(content, content_type) == content.decode()
        assert decode_json_body(content, content_type, strict=True) == content.decode()
    assert decode_json_body(content, "application/octet-stream") == content


def test_empty_is_none() -> None:
    assert decode_json_body(b"", JSON) is None
    assert decode_json_body(b"", "text/plain", strict=True) is None
    assert decode_json_body(b"", "image/png", decoder=json.loads) is None


@pytest.mark.parametrize(
    ("content", "content_type", "data"),
    [
        (b"hello", "text/plain", "hello"),
        (b"hello", "", "hello"),
        (b"hello", JSON, "hello"),
        (b"<html></html>", "text/html", "<html></html>"),
        (b"   ", JSON, "   "),
        ("é".encode(), "text/plain", "é"),
        ("é".encode("latin-1"), "text/plain; charset=iso-8859-1", "é"),
        ("é".encode("utf-16"), "text/plain; charset=utf-16", "é"),
        (codecs.BOM_UTF8 + b"hello", "text/plain", "hello"),
        ("é".encode("utf-16"), "", "é"),
        (b"NaN", JSON, "NaN"),
        (b"[Infinity]", JSON, "[Infinity]"),
        (b'{"a": 1', JSON, '{"a": 1'),
        (b"[" * 100_000, JSON, "[" * 100_000),
        (b"9" * 5000, JSON, "9" * 5000),
        (b"\xff\xfe\xfd\xfc\xfb", "text/plain; charset=utf-8", b"\xff\xfe\xfd\xfc\xfb"),
        (b"\xe9", "text/plain", b"\xe9"),
        (b"\xe9", "text/plain; charset=nonsense", b"\xe9"),
        (b"\xe9", JSON, b"\xe9"),
        (PNG, "", PNG),
        (PNG, "image/png", PNG),
        (b"abc", "image/svg+xml", b"abc"),
        (b"abc", "audio/mpeg", b"abc"),
        (b"abc", "video/mp4; codecs=x", b"abc"),
        (b"abc", "font/woff2", b"abc"),
        (b"abc", "Application/Octet-Stream", b"abc"),
        (b"PK", "application/zip", b"PK"),
        (b"PK", "application/epub+zip", b"PK"),
        (b"%PDF", "application/pdf", b"%PDF"),
    ],
)
def test_what_is_not_json(content: bytes, content_type: str, data: Any) -> None:
    assert decode_json_body(content, content_type) == data
    with pytest.raises(AtomHTTPDecodeError, match="the body is not JSON") as caught:
        decode_json_body(content, content_type, strict=True)
    assert caught.value.code == "ERR_BAD_RESPONSE"
    assert isinstance(caught.value.__cause__, ValueError)


def test_big_integers_are_exact() -> None:
    assert decode_json_body(b'{"id": 123456789012345678901234567890}', JSON) == {"id": 123456789012345678901234567890}


def test_lone_surrogates_are_json() -> None:
    assert decode_json_body(b'{"a": "\\ud800"}', JSON, strict=True) == {"a": "\ud800"}


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-32", "iso-8859-1", "windows-1252", "shift_jis"])
def test_json_in_other_charsets(charset: str) -> None:
    value = {"a": "日本" if charset == "shift_jis" or charset.startswith("utf") else "é"}
    content = json.dumps(value, ensure_ascii=False).encode(charset)
    for content_type in (f"application/json; charset={charset}", f'application/x+json; charset="{charset.upper()}"'):
        assert decode_json_body(content, content_type, strict=True) == value
        assert decode_json_body(content, content_type, strict=True, decoder=json.loads) == value


def test_json_in_utf_8_under_another_charset_is_read_as_it_is() -> None:
    assert decode_json_body('{"a": "é"}'.encode(), "application/json; charset=iso-8859-1") == {"a": "é"}


def test_json_with_the_mark_of_utf_16() -> None:
    assert decode_json_body(codecs.BOM_UTF16_BE + '{"a": 1}'.encode("utf-16-be"), JSON) == {"a": 1}


def test_a_decoder_of_the_callers() -> None:
    seen = []

    def decoder(content: bytes) -> Any:
        seen.append(content)
        return json.loads(content, parse_float=str)

    assert decode_json_body(b"\xef\xbb\xbf[1.50]", JSON, decoder=decoder) == ["1.50"]
    assert seen == [b"[1.50]"]
    assert decode_json_body(b"5", "text/plain", decoder=decoder) == "5"
    assert decode_json_body(b"hello", JSON, decoder=decoder) == "hello"
    assert decode_json_body(PNG, "image/png", decoder=decoder) == PNG
    with pytest.raises(AtomHTTPDecodeError):
        decode_json_body(b"hello", JSON, strict=True, decoder=decoder)


def test_exceptions_of_a_decoder_pass_unwrapped() -> None:
    def decoder(content: bytes) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        decode_json_body(b"{}", JSON, decoder=decoder)


content_types = st.sampled_from(
    [
        "",
        JSON,
        "text/html; charset=utf-16",
        "image/png",
        "a/b;charset=idna",
        "a/b;charset=\ud800",
        f"{JSON};charset=utf-7",
    ]
)


@given(st.binary(), content_types | st.text())
def test_any_bytes_give_something(content: bytes, content_type: str) -> None:
    data = decode_json_body(content, content_type)
    assert data is not None or content.strip() in (b"", b"null", codecs.BOM_UTF8 + b"null")
    assert isinstance(decode_text(content, content_type), str)


# Text


@pytest.mark.parametrize(
    ("content", "content_type", "text"),
    [
        (b"hello", "", "hello"),
        ("é".encode(), "", "é"),
        (b"a\xffb", "", "a\ufffdb"),
        (b"a\xffb", "text/plain; charset=utf-8", "a\ufffdb"),
        (b"\xe9", "text/plain; charset=latin1", "é"),
        (b"\xe9", 'text/plain; x=y; CHARSET="ISO-8859-1"; z', "é"),
        (b"\x80", "text/plain; charset=windows-1252", "€"),
        ("日本".encode("shift_jis"), "text/html;charset=Shift_JIS", "日本"),
        ("й".encode("koi8-r"), "text/html;charset=koi8-r", "й"),
        (codecs.BOM_UTF8 + b"x", "", "x"),
        (codecs.BOM_UTF8 + b"x", "text/plain; charset=utf-8", "x"),
        ("x".encode("utf-16"), "", "x"),
        (codecs.BOM_UTF16_BE + "x".encode("utf-16-be"), "", "x"),
        ("x".encode("utf-32"), "", "x"),
        ("x".encode("utf-16-le"), "text/plain; charset=utf-16le", "x"),
        (codecs.BOM_UTF16_LE + "x".encode("utf-16-le"), "text/plain; charset=utf-16le", "x"),
        (b"x\xff", "text/plain; charset=nonsense", "x\ufffd"),
        (b"x", "text/plain; charset=", "x"),
        (b"x", "text/plain; charset", "x"),
        (b"x", "charset=utf-16", "x"),
        (b"", "text/plain; charset=utf-16", ""),
        (b"x", "text/plain; charset=utf-16", "\ufffd"),
        (b"\xff\xff", "text/plain; charset=ascii", "\ufffd\ufffd"),
    ],
)
def test_text(content: bytes, content_type: str, text: str) -> None:
    assert decode_text(content, content_type) == text


@pytest.mark.parametrize(
    "name",
    [
        *("rot13", "rot_13", "zip", "zlib", "bz2", "hex", "base64", "uu", "quopri", "idna", "punycode", "undefined"),
        *("unicode_escape", "unicode-escape", "raw_unicode_escape", "charmap", "mbcs", "utf-7", "UTF7", "", "aliases"),
        *("os", "..", "x" * 10_000_000, "ütf-8"),
    ],
)
def test_what_is_no_charset(name: str) -> None:
    assert lookup_charset(name) is None
    assert decode_text(b"+ADw-\xc3\xa9\xff", f"text/plain; charset={name}") == "+ADw-é\ufffd"


@pytest.mark.parametrize(
    "name", ["utf8", "UTF-8", "us-ascii", "iso-8859-15", "cp1252", "gb18030", "big5", "euc-kr", "utf-8-sig"]
)
def test_charsets(name: str) -> None:
    codec = lookup_charset(name)
    assert codec is not None
    assert codecs.lookup(codec).name == codecs.lookup(name).name


def test_every_known_charset_decodes_anything() -> None:
    from atomhttp._body.decode import _text_codecs

    for codec in _text_codecs():
        name = lookup_charset(codec)
        if name is not None:
            assert isinstance(bytes(range(256)).decode(name, "replace"), str)


def test_unknown_charsets_leave_nothing_behind() -> None:
    import encodings

    before = len(encodings._cache)  # type: ignore[attr-defined]
    for number in range(1000):
        decode_text(b"x", f"text/plain; charset=unknown-{number}")
    assert len(encodings._cache) <= before + 1  # type: ignore[attr-defined]


def test_an_encoding_overrules() -> None:
    assert decode_text(b"\xe9", "text/plain; charset=utf-8", "latin1") == "é"
    assert decode_text(codecs.BOM_UTF8 + b"x", "", "utf8") == "x"
    with pytest.raises(AtomHTTPOptionError, match="responseEncoding 'rot13' is unknown") as caught:
        decode_text(b"x", "", "rot13")
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"


# Content-Type


def test_media_type() -> None:
    assert media_type(" Text/HTML ; charset=x") == "text/html"
    assert media_type("") == ""
    assert is_json_type("application/vnd.api+json; x=y")
    assert not is_json_type("application/jsonp")
    assert not is_json_type("application/x-ndjson")
    assert is_binary_type("image/png")
    assert not is_binary_type("text/plain; x=image/png")
    assert find_charset("text/html") is None


@pytest.mark.parametrize("part", [";", " ", ";charset", ";charset=", '"', "=", "; charset = ", ",", "\t"])
def test_a_long_content_type_takes_no_time(part: str) -> None:
    content_type = "text/plain" + part * (1_000_000 // len(part))
    start = time.perf_counter()
    find_charset(content_type)
    is_json_type(content_type)
    assert time.perf_counter() - start < 0.5


# Types


@dataclass
class Item:
    name: str
    price: float = 0


def test_typed() -> None:
    assert decode_typed(b'{"name": "x", "price": 1}', Item) == Item("x", 1)
    assert decode_typed(b'[{"name": "x"}]', list[Item]) == [Item("x")]
    assert decode_typed(b"", Item | None) is None
    assert decode_typed(b"\xe9", bytes) == b"\xe9"
    assert decode_typed(b"\xe9", str, "text/plain; charset=latin1") == "é"


def test_a_mismatch_names_the_path() -> None:
    with pytest.raises(AtomHTTPDecodeError, match=r"does not fit list\[.*Item\]: .* at `\$\[1\]\.name`") as caught:
        decode_typed(b'[{"name": "x"}, {"name": 5}]', list[Item])
    assert caught.value.code == "ERR_BAD_RESPONSE"
    with pytest.raises(AtomHTTPDecodeError, match="missing required field `name`"):
        decode_typed(b"{}", Item)


@pytest.mark.parametrize("content", [b"", b"<html>", b"null", b"[]", b"[" * 100_000, b'{"name": "\xff"}'])
def test_what_fits_no_type(content: bytes) -> None:
    with pytest.raises(AtomHTTPDecodeError, match="does not fit Item"):
        decode_typed(content, Item)


def test_what_is_no_type() -> None:
    with pytest.raises(AtomHTTPOptionError, match="response_type cannot be decoded into") as caught:
        decode_typed(b"1", 5)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
