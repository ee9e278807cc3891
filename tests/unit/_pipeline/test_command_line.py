"""Quoting, judged by the shells that read it."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atomhttp._pipeline.command_line import MAX_ARGUMENT, CommandLine, quote, to_bytes


def a_shell(*command: str) -> Any:
    name = command[0]
    missing = pytest.mark.skipif(
        shutil.which(name) is None, reason=f"NO {name.upper()}: what is quoted was not read by it"
    )
    return pytest.param(command, marks=missing, id=name)


in_every_shell = pytest.mark.parametrize(
    "shell", [a_shell("bash"), a_shell("zsh"), a_shell("ksh"), a_shell("busybox", "sh")]
)

# All that a shell has a meaning for, between any other characters; bytes that are no UTF-8 by `surrogateescape`.
SPECIAL = "'\"\\$`!&|;<>()[]{}*?~#=%^@ \n\r\t\x00\x1b\x7f\x85\u2028\u202e\u00a0é€😀\udc80\udcff0a"
WORDS = st.text(st.one_of(st.sampled_from(SPECIAL), st.characters(exclude_categories=["Cs"]))).map(
    lambda text: text.replace("\0", "")
)


def run(shell: tuple[str, ...], script: str) -> bytes:
    return subprocess.run([*shell, "-c", to_bytes(script)], check=True, capture_output=True, timeout=30).stdout


@in_every_shell
@given(words=st.lists(WORDS, min_size=1, max_size=20))
@example(words=["", "-", "it's", "a'b\n", "\\", "\n\n", "\x1b[31m", "$(id)", "!!", "\u202e", "\udcff1", "\x01" + "23"])
@settings(deadline=None, max_examples=60)
def test_a_shell_gets_what_was_quoted(shell: tuple[str, ...], words: list[str]) -> None:
    script = f"printf '%s\\0' {' '.join(map(quote, words))}"
    assert run(shell, script) == b"".join(to_bytes(word) + b"\0" for word in words)


@given(WORDS)
def test_what_is_shown_is_printable(text: str) -> None:
    assert quote(text).isprintable()


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        *(("plain", "plain"), ("two words", "'two words'"), ("", "''"), ("it's", "'it'\"'\"'s'")),
        *(
            ("a\nb", "$'a\\nb'"),
            ("\x1b", "$'\\033'"),
            ("it's\n!", "$'it\\047s\\n\\041'"),
            ("\u202e", "$'\\342\\200\\256'"),
        ),
        ("é", "'é'"),
    ],
)
def test_a_person_can_read_it(text: str, quoted: str) -> None:
    assert quote(text) == quoted


def test_the_surrogate_of_no_byte_is_quoted_too() -> None:
    assert quote("\ud800") == "$'\\355\\240\\200'"


@in_every_shell
@given(content=st.binary(max_size=500))
@example(content=bytes(range(256)))
@example(content=b"-n %s \\0 'x'\n")
@settings(deadline=None, max_examples=40)
def test_standard_input_arrives_byte_for_byte(shell: tuple[str, ...], content: bytes) -> None:
    command = CommandLine("cat")
    command.standard_input = content
    assert run(shell, str(command)) == content


def test_lines_and_remarks() -> None:
    command = CommandLine("curl", "http://h/")
    command.add("-H", "A: b c")
    command.remark("it's `this`; $(that)\nand more")
    command.remark("it's `this`; $(that)\nand more")
    assert str(command) == "# it_s _this__ __that__and more\ncurl http://h/ \\\n  -H 'A: b c'"


def test_the_lines_of_another_one_are_added() -> None:
    command, other = CommandLine("curl"), CommandLine("")
    other.add("-d", "@-")
    other.remark("piped")
    other.standard_input = b"x"
    command.take(other)
    assert str(command) == "# piped\nprintf 'x' | curl \\\n  -d @-"


def test_an_argument_is_no_longer_than_a_system_takes() -> None:
    assert subprocess.run(["true", "x" * MAX_ARGUMENT], check=True).returncode == 0
