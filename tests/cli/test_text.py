"""What text becomes on its way to a terminal: `terminal`, `json_text`, `waterfall`; and `inputs`, what words become."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp import Timings
from atomhttp._cli.exit_codes import UsageError
from atomhttp._cli.inputs import expand_url
from atomhttp._cli.json_text import format_json
from atomhttp._cli.terminal import Color, Paint, defuse, defuse_line, has_colors, write_text
from atomhttp._cli.waterfall import show_timings

PLAIN, COLORED = Paint(False), Paint(True)

# Terminal


@given(st.text())
def test_nothing_that_is_obeyed_is_left(text: str) -> None:
    assert not any(char < " " or "\x7f" <= char <= "\x9f" for char in defuse_line(text))
    assert not any(char < " " and char not in "\t\n" for char in defuse(text))
    assert text.isprintable() is False or defuse_line(text) == text
    defuse_line(text).encode()


def test_letters_of_every_kind_stay() -> None:
    for text in ("naïve ÿ", "日本語", "👩\u200d👩\u200d👧", "क्\u200dष", "a\u00a0b", "e\u0301", "עברית"):
        assert defuse(text) == defuse_line(text) == text


def test_an_encoding_without_the_letter_spells_it() -> None:
    out = io.TextIOWrapper(io.BytesIO(), "latin-1")
    write_text("é€", out)
    out.flush()
    assert out.buffer.getvalue() == b"\xe9\\u20ac"


@pytest.mark.parametrize(
    ("choice", "tty", "environment", "expected"),
    [
        ("auto", True, {}, True),
        ("auto", False, {}, False),
        ("auto", True, {"NO_COLOR": "0"}, False),
        ("auto", True, {"NO_COLOR": ""}, True),
        ("auto", True, {"TERM": "dumb"}, False),
        ("always", False, {"NO_COLOR": "1", "TERM": "dumb"}, True),
        ("never", True, {}, False),
    ],
)
def test_colours(choice: str, tty: bool, environment: dict[str, str], expected: bool) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return tty

    assert has_colors(choice, Stream(), environment) is expected


def test_paint() -> None:
    assert COLORED(Color.BAD, "x") == "\x1b[1;31mx\x1b[0m"
    assert COLORED(Color.BAD, "") == PLAIN(Color.BAD, "") == ""
    assert PLAIN(Color.BAD, "x") == "x"


# JSON

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(VALUES, st.booleans())
def test_it_is_the_same_json(value: object, as_ascii: bool) -> None:
    shown = "".join(format_json(json.dumps(value, ensure_ascii=as_ascii), PLAIN))
    assert json.loads(shown) == value
    assert defuse(shown) == shown


@given(VALUES)
def test_it_is_laid_out_as_python_does(value: object) -> None:
    expected = json.dumps(value, indent=2, ensure_ascii=False)
    if defuse_line(expected.replace("\n", "")) == expected.replace("\n", ""):
        assert "".join(format_json(json.dumps(value), PLAIN)) == expected


def test_numbers_and_keys_stay_as_they_are_written() -> None:
    text = '{"a": 1.10, "a": 1E400, "b": 123456789012345678901234567890, "\\u0061": "\\/\\ud83d\\ude00"}'
    shown = "".join(format_json(text, PLAIN))
    assert shown.split("\n") == [
        "{", '  "a": 1.10,', '  "a": 1E400,', '  "b": 123456789012345678901234567890,', '  "a": "/😀"', "}",
    ]  # fmt: skip


def test_half_of_a_pair_is_written_as_json() -> None:
    assert "".join(format_json('"\\ud83d"', PLAIN)) == '"\\ud83d"'


def test_depth_does_not_make_much_of_little() -> None:
    text = "[" * 900 + "0," * 1000 + "0" + "]" * 900
    assert len("".join(format_json(text, PLAIN))) < 300_000


# Timings


def test_a_waterfall() -> None:
    timings = Timings(dns=0.010, connect=0.010, ssl=0.020, send=0.00001, wait=0.040, receive=20.0, total=20.08001)
    assert [line.rstrip() for line in show_timings(timings, PLAIN, "ascii")] == [
        "dns     #                                            10.0 ms  looking up the name",
        "connect #                                            10.0 ms  connecting",
        "tls     #                                            20.0 ms  agreeing on TLS",
        "wait    #                                            40.0 ms  waiting for the answer",
        "receive ########################################    20.00 s   receiving its content",
        "total                                               20.08 s",
    ]


def test_a_waterfall_of_nothing() -> None:
    assert [*show_timings(Timings(), PLAIN, "utf-8")] == [f"total   {'':40}      0.0 ms"]
    [line, _] = show_timings(Timings(wait=1.0, total=1.0), COLORED, "utf-8")
    assert "█" * 40 in line
    assert "\x1b[36m" in line
    assert "#" in next(iter(show_timings(Timings(wait=1.0, total=1.0), PLAIN, "no such encoding")))


# URLs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://a.test", "https://a.test"),
        ("HTTP://a.test", "HTTP://a.test"),
        ("http+unix://%2Fs/x", "http+unix://%2Fs/x"),
        ("http:a", "http:a"),
        ("a.test/x?u=http://b", "https://a.test/x?u=http://b"),
        ("a.test:8080", "https://a.test:8080"),
        ("user:pass@a.test", "https://user:pass@a.test"),
        ("//a.test/x", "https://a.test/x"),
        ("localhost", "http://localhost"),
        ("LOCALHOST:8000/x", "http://LOCALHOST:8000/x"),
        ("user:pass@localhost/x", "http://user:pass@localhost/x"),
        ("api.localhost?x", "http://api.localhost?x"),
        ("localhost.evil.test", "https://localhost.evil.test"),
        ("evil.test/@localhost", "https://evil.test/@localhost"),
        ("evil.test#localhost", "https://evil.test#localhost"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("127.1", "http://127.1"),
        ("127.evil.test", "https://127.evil.test"),
        ("[::1]:80/x", "http://[::1]:80/x"),
        ("[::2]/x", "https://[::2]/x"),
        ("10.0.0.1", "https://10.0.0.1"),
        (":8000/x?y#z", "http://localhost:8000/x?y#z"),
        (":8000", "http://localhost:8000"),
        (":/x", "http://localhost/x"),
        (":80x", "https://:80x"),
    ],
)
def test_a_url_gets_its_scheme(text: str, expected: str) -> None:
    assert expand_url(text) == expected


def test_a_url_on_a_socket() -> None:
    assert expand_url("/v1/x", unix_socket=True) == "http://localhost/v1/x"
    assert expand_url("docker/v1", unix_socket=True) == "http://docker/v1"
    assert expand_url("https://h/x", unix_socket=True) == "https://h/x"
    with pytest.raises(UsageError, match="--unix-socket PATH takes paths"):
        expand_url("/v1/x")
