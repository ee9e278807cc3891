"""Wrong words: every option says what it expected, and nothing is sent."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from atomhttp import __version__
from atomhttp._cli.run import main
from cli.program import COMMAND, Terminal, environment, run_apart
from support.origin import Origin

GET, POST, DOWNLOAD, UPLOAD = ("get", "h.test"), ("post", "h.test"), ("download", "http://h.test/f"), ("upload",)
HERE = __file__

WRONG = [
    ((), "Usage: atomhttp"),
    (("gett", "h.test"), "No such command 'gett'. Did you mean 'get'?"),
    (("https://u:s3cret@h.test/",), "expected a command before the URL, as in 'atomhttp get https://h.test/'"),
    (("get",), "Missing argument 'URL'"),
    (("get", ""), "URL: expected one such as https://example.com/path, got an empty text"),
    (("get", "/path"), "URL: expected a host, got the path '/path'; --unix-socket PATH takes paths"),
    (("get", "a.test", "https://u:s3cret@b.test"), "Got unexpected extra argument (https://b.test)"),
    (("get", "http:/h"), "(ERR_INVALID_URL)"),
    (("get", "h.test", "--headr", "a: b"), "--headr"),
    (("localhost",), "expected a command before the URL, as in 'atomhttp get localhost'"),
    (("-X", "POST", "h.test"), "No such option '-X'; the method is the command, as in 'atomhttp post URL'"),
    ((*GET, "-kL"), "No such option '-k'; here it is --insecure, or better --cacert FILE"),
    ((*GET, "-u", "ada:s3cret"), "No such option '-u'; here it is --auth USER[:PASSWORD]"),
    ((*DOWNLOAD, "-o", "file"), "No such option '-o'; FILE stands behind the URL"),
    (("-v", *GET), "No such option '-v'; options stand behind the command, as in 'atomhttp get URL -v'"),
    (
        (*POST, "name=s3cret"),
        "extra argument (name=…); -q KEY=VALUE is for the query, -F NAME=VALUE for a form, --json",
    ),
    ((*POST, "X-Key:s3cret", "a:=1"), "extra arguments (X-Key:… a:=…); -q KEY=VALUE is for the query"),
    ((*POST, "a", "b"), "Got unexpected extra arguments (a b) (try"),
    ((*GET, "-H", "Authorization s3cret"), "-H: expected 'Name: value', got no colon after 'Authorization'"),
    ((*GET, "-H", "a b: s3cret"), "-H: expected 'Name: value', got 'a b', which is no field's name"),
    ((*GET, "-H", ": s3cret"), "-H: expected 'Name: value', got '', which is no field's name"),
    ((*GET, "-H", "X-A: a\nb"), "X-A"),
    ((*GET, "-H", "Content-Length: 5"), "(ERR_BAD_OPTION_VALUE)"),
    ((*GET, "-q", "page"), "-q: expected key=value, got 'page'"),
    ((*GET, "-q", "=page"), "-q: expected key=value, got '=page'"),
    ((*POST, "-d", "a", "--json", "1"), "-d and --json: a request has one content; give one of them"),
    ((*POST, "--json", "1", "-F", "a=b"), "--json and -F: a request has one content; give one of them"),
    ((*POST, "-d", "a", "-d", "b"), "-d: given 2 times; a request has one content"),
    ((*POST, "--json", "{s3cret}"), "--json: expected JSON, and it is not: Expecting property name"),
    ((*POST, "--json", "NaN"), "--json: expected JSON, and it is not: NaN is not JSON"),
    ((*POST, "--json", "[" * 100_000), "--json: expected JSON, and it is not: it is nested too deeply"),
    ((*POST, "--json", f"@{HERE}"), "--json: expected JSON, and it is not: Extra data"),
    ((*POST, "-F", "photo"), "-F: expected name=value or name=@file, got 'photo'"),
    ((*POST, "-F", f"a=@{HERE};type=no\ntype"), "-F: form"),
    ((*POST, "-F", "a=@-", "-F", "b=@-"), "-F: standard input is given twice, and can be read once"),
    ((*GET, "--cacert", ""), "--cacert: expected the name of a file, got an empty text"),
    ((*GET, "--cert", ""), "--cert: expected the name of a file, got an empty text"),
    ((*GET, "--cert", HERE, "--key", ""), "--key: expected the name of a file, got an empty text"),
    ((*GET, "--auth", "a:b", "--bearer", "s3cret"), "--bearer and --auth: give one of them"),
    ((*GET, "--digest", "--bearer", "s3cret"), "--bearer and --digest: give one of them"),
    ((*GET, "--digest"), "--digest: expected --auth user:password with it"),
    ((*GET, "--auth", "a\x1b[2Jb:s3cret"), "--auth: "),
    ((*GET, "--bearer", ""), "--bearer: "),
    ((*GET, "--bearer", "Bearer s3cret"), "--bearer: "),
    ((*GET, "--proxy", "nonsense://p"), "proxy"),
    ((*GET, "--insecure", "--cacert", HERE), "--insecure and --cacert: certificates are verified, or they are not"),
    ((*GET, "--key", HERE), "--key: expected --cert FILE with it"),
    ((*GET, "--timeout", "soon"), "Invalid value for '--timeout': 'soon' is not a valid float"),
    ((*GET, "--timeout", "-1"), "Invalid value for '--timeout': -1.0 is not in the range x>=0"),
    ((*GET, "--timeout", "nan"), "timeout"),
    ((*GET, "--max-redirects", "-1"), "Invalid value for '--max-redirects': -1 is not in the range x>=0"),
    ((*GET, "--retry", "x"), "Invalid value for '--retry': 'x' is not a valid int"),
    ((*GET, "-o", ""), "-o: expected the name of a file, got an empty text"),
    (("head", "h.test", "-o", "x"), "-o: the answer to HEAD has no content to write"),
    ((*GET, "--color", "blue"), "Invalid value for '--color': 'blue' is not one of 'auto', 'always', 'never'"),
    (("download",), "Missing argument"),
    ((*DOWNLOAD, ""), "FILE: expected the name of a file, got an empty text"),
    ((*DOWNLOAD, "-"), "FILE: expected the name of a file, got '-'; 'atomhttp get URL' writes to standard output"),
    (("upload", "-", "h.test"), "FILE: expected the name of a file, got '-'; 'atomhttp put URL -d -' sends standard"),
    ((*DOWNLOAD, "http://h.test/g", "file"), "FILE: expected one URL with it, or URLs that begin with https://"),
    ((*DOWNLOAD, "-O", ""), "-O: expected the name of a directory, got an empty text"),
    (("upload", HERE, "h.test", "--field", ""), "--field: expected the name of a field, got an empty text"),
    ((*DOWNLOAD, "--sha256", "12"), "--sha256: expected 64 hexadecimal digits, got '12'"),
    ((*DOWNLOAD, "http://h.test/g", "--sha256", "a" * 64), "--sha256: expected one URL with it, got several"),
    ((*DOWNLOAD, "-j", "0"), "Invalid value for '-j' / '--jobs': 0 is not in the range 1<=x<=64"),
    ((*DOWNLOAD, "-H", "Range: bytes=1-"), "Range is not for a download"),
    (("upload", HERE), "Missing argument 'URL'"),
    (("upload", HERE, "h.test", "--method", "a b"), "(ERR_BAD_OPTION_VALUE)"),
]


@pytest.mark.parametrize(("words", "expected"), WRONG)
def test_a_wrong_word(
    words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    assert main(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert expected in shown.err
    assert "s3cret" not in shown.err
    if words:
        assert shown.err.startswith("atomhttp: ")
        assert shown.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


UNREADABLE = [
    (*POST, "-d", "@no\x1bfile"),
    (*POST, "--json", "@no\x1bfile"),
    (*POST, "-F", "a=@no\x1bfile"),
    (*GET, "--cacert", "no\x1bfile"),
    (*GET, "--cert", "no\x1bfile"),
    (*GET, "--cert", HERE, "--key", "no\x1bfile"),
    ("upload", "no\x1bfile", "h.test"),
]


@pytest.mark.parametrize("words", UNREADABLE, ids=lambda words: words[-2])
def test_a_file_that_is_not_there(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 10
    assert capsys.readouterr().err == "atomhttp: no\\x1bfile: No such file or directory (ENOENT)\n"


@pytest.mark.parametrize("words", [(*POST, "-d", "@."), ("upload", ".", "h.test"), (*POST, "-F", "a=@.")])
def test_a_directory_is_no_file(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 10
    assert capsys.readouterr().err == "atomhttp: .: Is a directory (EISDIR)\n"


def test_nothing_is_sent_when_something_is_wrong(origin: Origin, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["post", origin.url, "--json", "{"]) == 2
    assert main(["post", origin.url, "-F", "a=@missing"]) == 10
    assert origin.requests == []
    assert origin.connections == 0
    capsys.readouterr()


# Help


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"atomhttp {__version__}\n"


COMMANDS = ["get", "post", "put", "patch", "delete", "head", "options", "download", "upload"]


@pytest.mark.parametrize("words", [[], *([each] for each in COMMANDS)], ids=str)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(words: list[str], option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, option]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: {' '.join(['atomhttp', *words])} ")
    assert max(map(len, shown.splitlines())) <= 80
    if not words:
        assert all(f"\n  {each} " in shown for each in COMMANDS)
        assert "\n    atomhttp get https://api.example.com/users -q page=2\n" in shown


def test_every_option_of_the_help_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    main(["get", "--help"])
    shown = capsys.readouterr().out
    sections = [line for line in shown.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert sections == ["Request:", "Content:", "Connection:", "Output:", "Help:"]


def test_help_is_shown_on_what_has_not_all_letters_and_to_whom_does_not_read_it() -> None:
    done = run_apart("download", "--help", env={"PYTHONIOENCODING": "ascii"})
    assert (done.code, done.err) == (0, "")
    assert b"--sha256 9f86d0\\u2026" in done.out
    script = '("$@"; echo "$?" >&2) | true'
    done = subprocess.run(
        ["sh", "-c", script, "-", *COMMAND, "--help"], capture_output=True, env=environment(), check=True
    )
    assert done.stderr == b"141\n"


def test_completion() -> None:
    done = run_apart(env={"_ATOMHTTP_COMPLETE": "bash_complete", "COMP_WORDS": "atomhttp get --ti", "COMP_CWORD": "2"})
    assert (done.code, set(done.out.split())) == (0, {b"plain,--timings", b"plain,--timeout"})
    done = run_apart(env={"_ATOMHTTP_COMPLETE": "bash_source"})
    assert (done.code, done.err) == (0, "")
    assert b"_atomhttp_completion" in done.out


# Without what it needs


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['click'] = None\n")
    env = environment({"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])})
    for words in (["--version"], ["get", "h.test"], []):
        done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, env=env, check=False, timeout=30)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == ("atomhttp: the command line is an extra; install it by: pip install 'atomhttp[cli]'\n")


def test_it_imports_nothing_that_a_call_does_not_need(origin: Origin) -> None:
    program = (
        "import json, sys; from atomhttp._cli.run import main;"
        "code = main(['get', sys.argv[1]]); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, f"{origin.url}/echo"],
        capture_output=True, text=True, env=environment(), check=True, timeout=30,
    )  # fmt: skip
    assert json.loads(done.stdout)["method"] == "GET"
    later = ("transfer", "heads", "waterfall")
    unwanted = {"rich", "getpass", "atomhttp.progress", *(f"atomhttp._cli.{name}" for name in later)}
    assert unwanted & set(done.stderr.split()) == set()


# A password


def test_a_password_is_asked_for_and_not_shown(origin: Origin) -> None:
    with Terminal("get", f"{origin.url}/echo", "--auth", "ada") as terminal:
        terminal.wait_for("Password of ada: ")
        terminal.type("s3cret\r")
        assert terminal.wait() == 0
        assert "Basic YWRhOnMzY3JldA==" in terminal.text
        assert "s3cret" not in terminal.text


def test_a_password_is_asked_for_although_content_comes_from_a_pipe(origin: Origin) -> None:
    program = ["sh", "-c", 'echo content | "$@"', "-", *COMMAND]
    with Terminal("post", f"{origin.url}/echo", "-d", "-", "--auth", "ada", program=program) as terminal:
        terminal.wait_for("Password of ada: ")
        terminal.type("s3cret\r")
        assert terminal.wait() == 0
    assert origin.requests[-1].body == b"content\n"
    assert origin.requests[-1].get("Authorization") == "Basic YWRhOnMzY3JldA=="


def test_ctrl_c_at_the_password(origin: Origin) -> None:
    with Terminal("get", f"{origin.url}/echo", "--auth", "ada") as terminal:
        terminal.wait_for("Password of ada: ")
        terminal.interrupt()
        assert terminal.wait(interrupt=True) == 130
        assert "Traceback" not in terminal.text
    assert origin.requests == []


def test_without_a_terminal_a_password_has_to_be_given() -> None:
    done = subprocess.run(
        [*COMMAND, "get", "h.test", "--auth", "ada"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env=environment(), check=False, timeout=30, start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "atomhttp: --auth: expected user:password, as there is no terminal to ask for a password on"
        " (try 'atomhttp get --help')\n"
    )
