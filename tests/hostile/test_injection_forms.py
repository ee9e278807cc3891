"""Injection into content: forms, their names, file names and types, boundaries; JSON (hazards C3, C4)."""

from __future__ import annotations

import email.policy
import io
import json
import re
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest

from atomhttp import AtomHTTPOptionError, FormData
from hostile.injection import (
    CANARY,
    CODES,
    Bench,
    Outcome,
    Refused,
    Sent,
    every_text,
    form_component,
    has_control,
    is_token,
    is_unicode,
    put,
    read_by_h11,
    read_request,
    some_texts,
)

URL = "http://h.test:8080/a"
BOUNDARY = "AaB03x"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


# What browsers write (HTML, "multipart/form-data encoding algorithm")


def escaped_name(name: str) -> str:
    return escaped_filename(re.sub(r"\r\n|\r|\n", "\r\n", name))


def escaped_filename(name: str) -> str:
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def one_part(name: str, content: bytes, *more: str) -> Sent:
    """A form of one part: its escaped name, its content, and the rest of its head."""
    head = f'Content-Disposition: form-data; name="{name}"' + "".join(more)
    body = f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    return Sent(b"POST", body=body, fields=((b"Content-Type", MULTIPART.encode()),))


def post(bench: Bench, *part: Any) -> None:
    form = FormData()
    form.append(*part)
    bench.client.post(URL, form, headers={"Content-Type": MULTIPART})


def test_names_of_fields() -> None:
    bench = Bench("name")
    for text in every_text("name", bench.chance):
        expected: Outcome = one_part(escaped_name(text), b"v") if is_unicode(text) else Refused("form")
        bench.try_cell(text, expected, post, bench, text, "v")
    bench.done(at_least=400)


def test_names_of_files() -> None:
    bench = Bench("filename")
    for text in every_text("name", bench.chance):
        expected: Outcome = Refused("form")
        if is_unicode(text):
            more = f'; filename="{escaped_filename(text)}"\r\nContent-Type: a/b'
            expected = one_part("file", b"v", more)
        bench.try_cell(text, expected, post, bench, "file", b"v", text, "a/b")
    bench.done(at_least=400)


def test_content_types_of_parts() -> None:
    """GHSA-445q-vr5w-6q77: they are field content, and ASCII at that."""
    bench = Bench("type")
    for text in every_text("image/png", bench.chance):
        expected: Outcome = Refused("content_type")
        if text.isascii() and not has_control(text):
            expected = one_part("file", b"v", f'; filename="f"\r\nContent-Type: {text}')
        bench.try_cell(text, expected, post, bench, "file", b"v", "f", text)
    bench.done(at_least=400)


def test_values_of_fields() -> None:
    bench = Bench("value")
    for text in every_text("value", bench.chance):
        expected: Outcome = Refused("form")
        if is_unicode(text):
            expected = one_part("name", re.sub(r"\r\n|\r|\n", "\r\n", text).encode())
        bench.try_cell(text, expected, post, bench, "name", text)
    bench.done(at_least=400)


def test_names_by_mappings() -> None:
    """What becomes a form by its Content-Type takes another way to the same words; axios trims names."""
    bench = Bench("mapping")
    for text in some_texts("name", bench.chance):
        headers = {"Content-Type": MULTIPART}
        expected: Outcome = one_part(escaped_name(text.strip()), b"v") if is_unicode(text) else Refused("form")
        bench.try_cell(text, expected, bench.client.post, URL, {text: "v"}, headers=headers)
    bench.done(at_least=80)


def test_names_of_files_on_the_disk(tmp_path: Path) -> None:
    """All that Linux lets a file be called: but for / and NUL every byte."""
    bench = Bench("disk")
    for code in (*range(1, 0x2F), *range(0x30, 0x180), 0x2028, 0x560A, 0x1F60A):
        path = tmp_path / f"a{chr(code)}bqz"
        path.write_bytes(b"v")
        expected = one_part(
            "file", b"v", f'; filename="{escaped_filename(path.name)}"\r\nContent-Type: application/octet-stream'
        )
        value: Any = path if bench.chance.random() < 0.9 else io.BytesIO(b"v")
        if isinstance(value, io.BytesIO):
            value.name = str(path)  # type: ignore[attr-defined]  # a file-like object's may have one
        bench.try_cell(path.name, expected, post, bench, "file", value)
        path.unlink()
    bench.done(at_least=380)


def test_the_standard_library_finds_one_part_with_that_name() -> None:
    bench = Bench("email")
    for code in CODES:
        text = put("middle", "name", chr(code))
        if not is_unicode(text):
            continue
        bench.tap.raw.clear()
        post(bench, text, b"v", text, "a/b")
        read_by_h11(bench.tap.raw[0])
        request = read_request(bench.tap.raw[0])
        message = BytesParser(policy=email.policy.compat32).parsebytes(
            f"Content-Type: {MULTIPART}\r\n\r\n".encode() + request.body
        )
        (part,) = message.get_payload()  # type: ignore[misc]  # a multipart message's is a list
        assert part.keys() == ["Content-Disposition", "Content-Type"], ascii(text)  # type: ignore[union-attr]  # so it is
        assert part.get_payload(decode=True) == b"v", ascii(text)  # type: ignore[union-attr]  # so it is


# The cases of WPT's FileAPI/file/send-file-formdata-*.html and html's form-submission, multipart-formdata.window.js: in
# UTF-8 and with the characters that have another meaning somewhere.
AS_THEY_ARE = (
    *("a\0b", "a'b", "a\\b", "áb", "a%0Db", "a%22b", "a%b", "a&b", "a;b", "a=b", "a\tb", "a\x0bb", "a\x0cb", "a\x7fb"),
    *(
        "ab",
        "a\u2028b",
        "a\x85b",
        "☺",
        "😂",
        "★星★",
        "file-for-upload-in-form-NUL-[\0].txt",
        "a/b",
        "../b",
        "",
        " a ",
        "--",
    ),
    *("~‾¥≈¤･・•∙·☼★星🌟星★☼·∙•・･¤≈¥‾~", "ABC~‾¥≈¤･・•∙·☼★星🌟星★☼·∙•・･¤≈¥‾~XYZ", "ABC~\\XYZ", "{\ufeff}", "<b>"),
)


ESCAPED = (
    ("a\nb", "a%0D%0Ab", "a%0Ab"),
    ("a\rb", "a%0D%0Ab", "a%0Db"),
    ("a\r\nb", "a%0D%0Ab", "a%0D%0Ab"),
    ("a\n\rb", "a%0D%0A%0D%0Ab", "a%0A%0Db"),
    ('a"b', "a%22b", "a%22b"),
    ('"', "%22", "%22"),
    ('a"\r\n', "a%22%0D%0A", "a%22%0D%0A"),
    ('x"; filename="evil', "x%22; filename=%22evil", "x%22; filename=%22evil"),
    ('x"\r\nX-Evil: 1', "x%22%0D%0AX-Evil: 1", "x%22%0D%0AX-Evil: 1"),
    (f"x\r\n--{BOUNDARY}--\r\n", f"x%0D%0A--{BOUNDARY}--%0D%0A", f"x%0D%0A--{BOUNDARY}--%0D%0A"),
)


def test_names_of_the_web_platform_tests() -> None:
    bench = Bench("wpt")
    assert len(AS_THEY_ARE) + len(ESCAPED) >= 30
    for text, name, filename in (*((text, text, text) for text in AS_THEY_ARE), *ESCAPED):
        expected = one_part(name, b"v", f'; filename="{filename}"\r\nContent-Type: text/plain')
        bench.try_cell(text, expected, post, bench, text, b"v", text, "text/plain")
    bench.done()


# Boundaries of the caller's


_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
# The URL Standard's neighbour, MIME Sniffing section 4.4: a quoted string, whatever is behind it up to the semicolon;
# else all up to the semicolon. Blanks around it are taken off, as Python's email does.
_PARAMETER = re.compile(r'[ \t]*;[ \t]*([^\s=;"]+)=[ \t]*(?:"((?:[^"\\]|\\.)*)"[^;]*|([^;]*))')


def parameter(content_type: str, name: str) -> str | None:
    """What a reader finds for a parameter."""
    place = content_type.index(";")
    while place < len(content_type):
        match = _PARAMETER.match(content_type, place)
        if match is None:
            return None
        if match[1].lower() == name:
            return match[3].strip(" \t") if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
        place = match.end()
    return None


@pytest.mark.parametrize("quoted", [True, False])
def test_boundaries_are_what_the_field_says(quoted: bool) -> None:
    """What separates the parts is the boundary that a reader of the sent Content-Type finds in it, or it is refused."""
    bench = Bench("boundary", quoted)
    for text in (*every_text("boundary", bench.chance), 'boun"dary', 'boundary"', '"boundary', "bound\\ary", "b\\"):
        bench.cells += 1
        bench.tap.raw.clear()
        complaint = check_boundary(bench, text, quoted)
        if complaint:
            bench.complaints.append(complaint)
    bench.done(at_least=400)


def check_boundary(bench: Bench, text: str, quoted: bool) -> str | None:
    content_type = "multipart/form-data; boundary=" + (f'"{text}"' if quoted else text)
    refused = None
    try:
        bench.client.post(URL, FormData({"a": "b"}), headers={"Content-Type": content_type})
    except AtomHTTPOptionError as error:
        refused = error
    if refused is not None:
        is_good = _BOUNDARY.fullmatch(text) is not None and (quoted or is_token(text))
        return f"{content_type!a}: {refused!r}, {bench.tap.raw}" if is_good or bench.tap.raw else None
    (raw,) = bench.tap.raw
    read_by_h11(raw)
    request = read_request(raw)
    ((_, sent),) = request.fields
    found = parameter(sent.decode(), "boundary")
    written = re.fullmatch(rb"--(.*)\r\nContent-Disp.*\r\n--\1--\r\n", request.body, re.DOTALL)
    assert written is not None, request.body
    if found == written[1].decode():
        return None
    return f"{sent.decode()!a}: a reader finds {found!a}, the parts have {written[1]!r}"


def test_a_value_with_the_callers_boundary_in_it_is_refused() -> None:
    form = FormData({"a": f"x\r\n--{BOUNDARY}--\r\n"})
    bench = Bench("inside")
    bench.try_cell("inside", Refused("boundary"), bench.client.post, URL, form, headers={"Content-Type": MULTIPART})
    bench.done()


def test_boundaries_are_unpredictable_and_fresh() -> None:
    """CVE-2025-7783: 128 bits at least, another one each time, also for the same form."""
    bench = Bench("fresh")
    form = FormData({"a": "b"})
    for _ in range(50):
        bench.client.post(URL, form)
    found = {re.search(rb"boundary=\S*?([0-9a-f]+)\r\n", raw)[1] for raw in bench.tap.raw}  # type: ignore[index]  # it is there
    assert len(found) == 50
    assert {len(each) for each in found} == {32}


# Urlencoded forms, JSON, text


URLENCODED = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("way", ["form", "data", "form data"])
def test_urlencoded(way: str) -> None:
    bench = Bench("urlencoded", way)
    for text in every_text("text", bench.chance) if way == "form" else some_texts("text", bench.chance):
        name = text if way == "form data" else text.strip()  # axios trims names
        expected: Outcome = Refused("form")
        if is_unicode(text):
            body = form_component(name) + b"=" + form_component(text)
            expected = Sent(b"POST", body=body, fields=((b"Content-Type", URLENCODED.encode()),))
        bench.try_cell(text, expected, post_urlencoded, bench, way, text)
    bench.done(at_least=80)


def post_urlencoded(bench: Bench, way: str, text: str) -> None:
    headers = {"Content-Type": URLENCODED}
    if way == "form":
        bench.client.post(URL, form={text: text})
    else:
        bench.client.post(URL, {text: text} if way == "data" else FormData([(text, text)]), headers=headers)


def test_json() -> None:
    bench = Bench("json")
    for text in every_text("text", bench.chance):
        expected: Outcome = Refused("data")
        if is_unicode(text):
            # Of all ways to write it the shortest: what has to be escaped, and nothing else (RFC 8259 section 7).
            body = json.dumps({text: [text]}, ensure_ascii=False, separators=(",", ":")).encode()
            expected = Sent(b"POST", body=body, fields=((b"Content-Type", b"application/json"),))
        bench.try_cell(text, expected, bench.client.post, URL, {text: [text]})
    bench.done(at_least=400)


def test_text_goes_byte_for_byte() -> None:
    """A body is a body: nothing in it ends the request, whatever its Content-Type says."""
    bench = Bench("text")
    for text in every_text("GET / HTTP/1.1", bench.chance):
        headers = bench.chance.choice([{}, {"Content-Type": "text/plain; charset=utf-16"}])
        said = headers.get("Content-Type", "text/plain; charset=utf-8").encode()
        body = f"{text}\r\n\r\n{CANARY}"
        expected: Outcome = Refused("data")
        if is_unicode(text):
            expected = Sent(b"POST", body=body.encode(), fields=((b"Content-Type", said),))
        bench.try_cell(text, expected, bench.client.post, URL, body, headers=headers)
    bench.done(at_least=400)
