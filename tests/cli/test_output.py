"""What is shown of an answer: to a person, to a pipe, to a file."""

from __future__ import annotations

import gzip
import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from cli.program import COMMAND, Terminal, at_terminal, environment, run
from support.origin import Answer, Origin, pattern
from support.peer import Peer, close, drain, end, expect_head, hold, send, wait

JSON = b'{"name": "Ad\\u00e1", "n": 1.10, "list": [], "deep": {"a": [true, null]}, "name": "again"}'
SHOWN = """\
{
  "name": "Adá",
  "n": 1.10,
  "list": [],
  "deep": {
    "a": [
      true,
      null
    ]
  },
  "name": "again"
}"""


def serve(body: bytes, content_type: str = "text/plain", *more: tuple[str, str], status: int = 200) -> Origin:
    fields = [("Content-Type", content_type)] if content_type else []
    return Origin(routes={"/": lambda _: Answer(body, status=status, headers=[*fields, *more])})


# At a terminal


@pytest.mark.parametrize("content_type", ["application/json", "application/problem+json", "text/plain", ""])
def test_json_is_indented_and_coloured(content_type: str) -> None:
    with serve(JSON, content_type) as origin:
        code, terminal = at_terminal("get", origin.url)
    assert (code, terminal.text) == (0, SHOWN)
    assert terminal.color_of('"name"') == "cyan"
    assert terminal.color_of('"Adá"') == "green"
    assert terminal.color_of("1.10") == "brown"
    assert terminal.color_of("true") == "magenta"


@pytest.mark.parametrize(
    ("words", "env"),
    [(("--color", "never"), {}), ((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"})],
    ids=["option", "NO_COLOR", "dumb"],
)
def test_json_without_colours(words: tuple[str, ...], env: dict[str, str]) -> None:
    with serve(JSON, "application/json") as origin:
        code, terminal = at_terminal("get", origin.url, *words, env=env)
    assert (code, terminal.text) == (0, SHOWN)
    assert b"\x1b" not in terminal.written


def test_an_option_is_stronger_than_the_environment() -> None:
    with serve(JSON, "application/json") as origin:
        _, terminal = at_terminal("get", origin.url, "--color", "always", env={"NO_COLOR": "1"})
    assert terminal.color_of("1.10") == "brown"


def test_an_empty_no_color_is_none() -> None:
    with serve(JSON, "application/json") as origin:
        _, terminal = at_terminal("get", origin.url, env={"NO_COLOR": ""})
    assert terminal.color_of("1.10") == "brown"


@pytest.mark.parametrize("body", [b'{"a": 1', b"{'a': 1}", b'{"a": NaN}', b'{"a": 1}\n{"a": 2}', b"[" * 5000])
def test_what_only_looks_like_json_is_shown_as_it_is(body: bytes) -> None:
    with serve(body, "application/json") as origin:
        code, terminal = at_terminal("get", origin.url, env={"TERM": "dumb"})
    assert code == 0
    assert terminal.written.replace(b"\r\n", b"\n") == body + b"\n"


def test_text_of_another_charset_and_with_other_line_ends() -> None:
    with serve("naïve\r\nend".encode("utf-16"), "text/plain; charset=utf-16") as origin:
        assert at_terminal("get", origin.url)[1].rows == ["naïve", "end"]
    with serve("\ufeffnaïve\r\n".encode(), "text/html") as origin:
        assert at_terminal("get", origin.url)[1].written == "naïve\r\n".encode()


@pytest.mark.parametrize("charset", ["utf-16", "utf-32"])
@pytest.mark.parametrize("size", [1, 1000])
def test_a_byte_order_mark_may_be_missing(charset: str, size: int) -> None:
    for codec, mark in ((charset, ""), (f"{charset}-be", "\ufeff"), (f"{charset}-le", "")):
        body = f"{mark}naïve".encode(codec)
        pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in _cut(body, size)]
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset={charset}\r\nTransfer-Encoding: chunked\r\n\r\n"
        with Peer([expect_head(), send(head.encode()), *map(send, pieces), send(b"0\r\n\r\n"), drain()]) as peer:
            assert at_terminal("get", peer.url)[1].rows == ["naïve"]


def _cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_what_has_come_before_it_broke_off_is_shown(content_type: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: 9\r\n\r\n"
    with Peer([expect_head(), send(head.encode() + b'{"a"'), end(), drain()]) as peer:
        code, terminal = at_terminal("get", peer.url)
    assert code == 7
    assert terminal.rows[0] == '{"a"'
    assert terminal.rows[1].startswith("atomhttp: the connection ended 5 bytes before the end")


@pytest.mark.parametrize(
    ("body", "content_type", "what"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "image/png", "image/png, 264 bytes"),
        (b"only text", "application/zip", "application/zip, 9 bytes"),
        (b"a\0b", "text/plain", "text/plain, 3 bytes"),
        (bytes(range(128, 256)), "", "of no type, 128 bytes"),
        (b"\xff\xfe\x00\x01", "application/octet-stream", "application/octet-stream, 4 bytes"),
        (b"\0", "x/\x9b[31m", r"x/\x9b[31m, 1 bytes"),
    ],
)
def test_what_is_no_text_is_not_shown(body: bytes, content_type: str, what: str) -> None:
    with Peer([expect_head(), send(_wire(body, content_type)), close()]) as peer:
        code, terminal = at_terminal("get", peer.url)
    assert code == 0
    assert "".join(terminal.rows) == (
        f"atomhttp: the content is not text ({what}) and was not written to the terminal; "
        "-o FILE stores it, --raw writes it all the same"
    )


def _wire(body: bytes, content_type: str) -> bytes:
    # A peer that sends what no server would.
    field = f"Content-Type: {content_type}\r\n".encode() if content_type.isprintable() and content_type else b""
    if "\x9b" in content_type:
        field = b"Content-Type: x/\x9b[31m\r\n"
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (field, len(body), body)


def test_text_without_a_type_and_svg_are_text() -> None:
    for body, kind in ((b"plain \xc3\xa9", ""), (b"<svg/>", "image/svg+xml"), (b"text", "application/octet-stream")):
        with serve(body, kind) as origin:
            assert at_terminal("get", origin.url)[1].text == body.decode()


def test_an_unknown_coding_is_no_text() -> None:
    with serve(b"who knows", "text/plain", ("Content-Encoding", "x-secret")) as origin:
        assert "not text (x-secret, 9 bytes)" in at_terminal("get", origin.url)[1].text


def test_text_is_shown_as_it_comes() -> None:
    more = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    script = [expect_head(), send(head + b"5\r\nfirst\r\n"), wait(more), send(b"7\r\n second\r\n0\r\n\r\n"), drain()]
    with Peer(script) as peer, Terminal("get", peer.url) as terminal:
        terminal.wait_for("first")
        more.set()
        assert terminal.wait() == 0
        assert terminal.text == "first second"


# What a server says gives no orders

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b31m\r\x08\x7f\u202eevil\u2066\U000e0041"
SPELLED = r"\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b31m\r\x08\x7f\u202eevil\u2066\U000e0041"


def test_control_characters_of_text_are_spelled_out() -> None:
    with serve(f"a\t{ESCAPES}\nb".encode(), "text/plain; charset=utf-8") as origin:
        _, terminal = at_terminal("get", origin.url)
    assert terminal.written.decode() == f"a\t{SPELLED}\r\nb\r\n"


def test_control_characters_of_json_are_written_as_json() -> None:
    with serve('{"\\u001b[2J": "\x9b\u202e\U000e0041 \\u0007 \x7f"}'.encode(), "application/json") as origin:
        _, terminal = at_terminal("get", origin.url, "--color", "never")
    assert terminal.rows[1] == r'  "\u001b[2J": "\u009b\u202e\udb40\udc41 \u0007 \u007f"'


def test_control_characters_of_a_head_are_spelled_out() -> None:
    wire = b"HTTP/1.1 404 N\xc2\x9b31mo\r\nX-One: a\xc2\x9b31m\xe2\x80\xae\tb\r\nContent-Length: 0\r\n\r\n"
    for words in (("get", "-v"), ("head",), ("options",)):
        with Peer([expect_head(), send(wire), close()]) as peer:
            code, terminal = at_terminal(*words, peer.url, "--color", "never")
        assert code == 4
        assert not set(terminal.written.decode()) & set("\x1b\x9b\u202e")
        assert r"N\x9b31mo" in terminal.text
        assert r"X-One: a\x9b31m\u202e\tb" in terminal.text


def test_urls_of_a_server_are_spelled_out() -> None:
    wire = b"HTTP/1.1 302 Found\r\nLocation: ftp://x/\xc2\x9b31m\r\nContent-Length: 0\r\n\r\n"
    with Peer([expect_head(), send(wire), close()]) as peer:
        code, terminal = at_terminal("get", peer.url, "-v", "--color", "never")
    assert code == 9
    assert "\x9b" not in terminal.written.decode()


def test_colour_into_a_pipe_is_as_safe() -> None:
    with serve(f"{ESCAPES}".encode(), "text/plain") as origin:
        done = run("get", origin.url, "--color", "always")
    assert done.out.decode() == SPELLED + "\n"


def test_raw_goes_to_the_terminal_as_it_is() -> None:
    with serve(b"\x1b[31m\0\xff", "image/png") as origin:
        code, terminal = at_terminal("get", origin.url, "--raw")
    assert (code, terminal.written) == (0, b"\x1b[31m\0\xff")


# Into a pipe


@pytest.mark.parametrize("body", [JSON, ESCAPES.encode(), bytes(range(256)) * 1000, b"", b"\r\n\xff"])
def test_a_pipe_gets_the_content_byte_for_byte(body: bytes) -> None:
    with serve(body, "application/json") as origin:
        assert run("get", origin.url).out == body


def test_a_pipe_gets_decoded_content_and_raw_gets_it_plain() -> None:
    packed = gzip.compress(b"plain")
    with serve(packed, "text/plain", ("Content-Encoding", "gzip")) as origin:
        assert run("get", origin.url).out == b"plain"
        assert "gzip" in (origin.requests[-1].get("Accept-Encoding") or "")
        assert run("get", origin.url, "--raw").out == packed
        assert origin.requests[-1].get("Accept-Encoding") == "identity"
        run("get", origin.url, "--raw", "-H", "accept-encoding: br")
        assert origin.requests[-1].get("Accept-Encoding") == "br"


def test_a_pipe_gets_every_piece_when_it_comes() -> None:
    more = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    script = [expect_head(), send(head + b"5\r\nfirst\r\n"), wait(more), send(b"3\r\nend\r\n0\r\n\r\n"), drain()]
    with (
        Peer(script) as peer,
        subprocess.Popen([*COMMAND, "get", peer.url], stdout=subprocess.PIPE, env=environment()) as process,
    ):
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 100) == b"first"
        more.set()
        assert process.stdout.read() == b"end"


def test_large_content_is_not_held_in_memory() -> None:
    size, block = 100_000_000, b"x" * 1_000_000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    program = (
        "import pathlib, sys; from atomhttp._cli.run import main; code = main();"
        # Not getrusage, which counts what its parent had before it became this program.
        "lines = pathlib.Path('/proc/self/status').read_text().splitlines();"
        "print(*[line for line in lines if line.startswith('VmHWM')], file=sys.stderr); sys.exit(code)"
    )
    with Peer([expect_head(), send(head), *[send(block)] * (size // len(block)), drain()]) as peer:
        done = subprocess.run(
            [*COMMAND[:3], "-c", program, "get", peer.url],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(), check=True,
        )  # fmt: skip
    assert int(done.stderr.split()[1]) < 90_000, "KiB"


# Heads


def test_head_and_options_show_the_head() -> None:
    fields = [("Allow", "GET"), ("Set-Cookie", "session=s3cret"), ("X-Long", "1")]
    with Origin(routes={"/": lambda _: Answer(b"", headers=fields)}) as origin:
        lines = ["HTTP/1.1 200 OK", "Allow: GET", "Set-Cookie: [redacted]", "X-Long: 1", "Content-Length: 0"]
        assert run("head", origin.url).out.decode().splitlines() == lines
        assert run("options", origin.url).out.decode().splitlines() == [*lines, ""]
        assert "session=s3cret" in run("head", origin.url, "--raw").out.decode()


def test_verbose_shows_both_heads_without_secrets() -> None:
    moved = Answer(status=302, headers=[("Location", "/end?token=s3cret"), ("Set-Cookie", "id=s3cret")])
    with Origin(routes={"/": lambda _: moved, "/end": lambda _: Answer(b"content")}) as origin:
        done = run(
            *("get", f"{origin.url}?api_key=s3cret", "-v", "-q", "password=s3cret", "--auth", "ada:s3cret"),
            *("-H", "X-Api-Key: s3cret", "-H", "X-Plain: shown"),
        )
        assert len(origin.requests) == 2
    assert (done.code, done.out) == (0, b"content")
    assert "s3cret" not in done.err
    assert "czNjcmV0" not in done.err
    lines = done.err.splitlines()
    assert lines[0] == "> GET /?api_key=[redacted]&password=[redacted] HTTP/1.1"
    assert "> X-Plain: shown" in lines
    assert "> X-Api-Key: [redacted]" in lines
    assert "> Authorization: [redacted]" in lines
    assert "< Set-Cookie: [redacted]" in lines
    assert "< Location: /end?token=[redacted]" in lines
    assert "> GET /end?token=[redacted] HTTP/1.1" in lines
    assert lines.count(">") == lines.count("<") == 2


def test_verbose_shows_what_was_sent_in_vain() -> None:
    with Peer([expect_head(), close()]) as peer:
        done = run("post", peer.url, "-v", "-d", "x")
    assert done.code == 7
    assert done.err.startswith("> POST / HTTP/1.1\n")


def test_verbose_does_not_touch_the_content_of_a_terminal() -> None:
    with serve(JSON, "application/json") as origin:
        _, terminal = at_terminal("get", origin.url, "-v")
    assert terminal.text.endswith("\n" + SHOWN)
    assert terminal.color_of("200 OK") == "green"


def test_timings_are_a_waterfall(origin: Origin) -> None:
    done = run("get", f"{origin.url}/bytes/100000", "--timings", "--timeout", "20")
    assert len(done.out) == 100_000
    lines = done.err.splitlines()
    assert lines[-1].startswith("total ")
    words = [line.split()[0] for line in lines]
    assert "connect" in words
    # Which of them take long enough to be shown depends on who had the processor meanwhile.
    assert {"send", "wait", "receive"} & set(words)
    assert words == [
        word for word in ("queue", "dns", "connect", "tls", "send", "wait", "receive", "total") if word in words
    ]
    assert all("ms" in line for line in lines)
    starts = [line.index("█") for line in lines[:-1]]
    assert starts == sorted(starts)


# Into a file


def test_a_file_is_written_whole(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"before")
    done = run("get", f"{origin.url}/chunked/70000", "-o", "out", cwd=tmp_path)
    assert done == (0, b"", "")
    assert (tmp_path / "out").read_bytes() == pattern(70_000)
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_a_file_stays_as_it_was_when_the_content_breaks_off(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"before")
    with Peer([expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), end(), drain()]) as peer:
        done = run("get", peer.url, "-o", "out", cwd=tmp_path)
    assert done.code == 7
    assert (tmp_path / "out").read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_an_error_page_is_no_content_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"before")
    with serve(b"not here", status=404) as origin:
        done = run("get", origin.url, "-o", "out", cwd=tmp_path)
        assert (done.code, done.out) == (4, b"not here")
        assert (tmp_path / "out").read_bytes() == b"before"
        assert run("get", origin.url, "-o", "out", "--no-fail", cwd=tmp_path) == (0, b"", "")
        assert (tmp_path / "out").read_bytes() == b"not here"


def test_a_device_is_written_to_and_not_replaced(origin: Origin, tmp_path: Path) -> None:
    assert run("get", f"{origin.url}/bytes/9", "-o", "/dev/null").code == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert len(run("get", f"{origin.url}/bytes/9", "-o", "-").out) == 9
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "link").symlink_to("real")
    assert run("get", f"{origin.url}/bytes/9", "-o", "link", cwd=tmp_path).code == 0
    assert (tmp_path / "link").is_symlink()
    assert len((tmp_path / "real").read_bytes()) == 9


# Without anywhere to write to


def test_a_reader_that_has_enough_is_no_error() -> None:
    with serve(b"line\n" * 400_000) as origin:
        script = '"$@" | head -n 1; echo "${PIPESTATUS[0]}"'
        done = subprocess.run(
            ["bash", "-c", script, "-", *COMMAND, "get", origin.url], capture_output=True, env=environment(), check=True
        )
    assert (done.stdout, done.stderr) == (b"line\n141\n", b"")


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-"])
def test_a_closed_output_is_no_fault(origin: Origin, closed: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f'"$@" {closed}; echo $?', "-", *COMMAND, "get", f"{origin.url}/bytes/9"],
        capture_output=True, env=environment(), check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (b"0\n", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
def test_what_cannot_be_said_changes_no_exit_code(origin: Origin) -> None:
    for words, code in ((("get", f"{origin.url}/status/404"), 4), (("get", f"{origin.url}/bytes/0", "-v"), 0)):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [*COMMAND, *words], stdout=subprocess.DEVNULL, stderr=full, env=environment(), check=False
            )
        assert done.returncode == code


def test_an_ascii_terminal_gets_what_it_can_show() -> None:
    with serve("é\n".encode(), "text/plain") as origin:
        _, terminal = at_terminal("get", origin.url, "--timings", env={"PYTHONIOENCODING": "ascii"})
    assert terminal.rows[0] == r"\xe9"
    assert "#" in terminal.rows[1]


def test_ctrl_c_ends_a_call_in_one_line() -> None:
    with Peer([expect_head(), hold()]) as peer, Terminal("get", peer.url) as terminal:
        with peer.change:
            assert peer.change.wait_for(lambda: peer.connections, 10)
        while not peer.heads:
            terminal._read(0.01)
        terminal.interrupt()
        assert terminal.wait() == 130
        assert terminal.text.removeprefix("^C") == "atomhttp: interrupted"
