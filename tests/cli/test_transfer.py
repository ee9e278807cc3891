"""Downloads and uploads, with their bars, as a person and a script see them."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.program import Terminal, at_terminal, run
from support.origin import Answer, Origin, Received, pattern
from support.peer import Peer, drain, end, expect_head, hold, send
from support.seed_origin import parts

FILE = pattern(300_000)
DIGEST = hashlib.sha256(FILE).hexdigest()


def ranged(content: bytes, tag: str = '"one"') -> Callable[[Received], Answer]:
    """A file as a server has it that answers to Range with If-Range."""

    def serve(request: Received) -> Answer:
        found = re.fullmatch(r"bytes=(\d+)-", request.get("Range") or "")
        if found is None or request.get("If-Range") != tag:
            return Answer(content, headers=[("ETag", tag)])
        first = int(found[1])
        held = f"bytes {first}-{len(content) - 1}/{len(content)}"
        return Answer(content[first:], status=206, headers=[("ETag", tag), ("Content-Range", held)])

    return serve


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.fixture
def files() -> Iterator[Origin]:
    routes = {"/a.bin": ranged(FILE), "/b.bin": ranged(FILE[:1000]), "/dir/%C3%A9%20x.txt": ranged(b"text")}
    with Origin(routes=routes) as origin:
        yield origin


# One file


def test_a_file_has_the_name_that_its_url_ends_in(files: Origin, tmp_path: Path) -> None:
    done = run("download", f"{files.url}/a.bin?version=2#top", cwd=tmp_path)
    assert done == (0, b"", "saved a.bin (300,000 bytes)\n")
    assert (tmp_path / "a.bin").read_bytes() == FILE
    assert names(tmp_path) == ["a.bin"]
    assert run("download", f"{files.url}/dir/%C3%A9%20x.txt", cwd=tmp_path).err == "saved é x.txt (4 bytes)\n"


def test_a_file_has_the_name_that_it_is_given(files: Origin, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"before")
    assert run("download", f"{files.url}/a.bin", "mine", cwd=tmp_path).err == "saved mine (300,000 bytes)\n"
    assert (tmp_path / "mine").read_bytes() == FILE


def test_a_directory_as_file_is_where_it_goes(files: Origin, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert run("download", f"{files.url}/a.bin", "there", cwd=tmp_path).code == 0
    assert names(tmp_path / "there") == ["a.bin"]
    again = run("download", f"{files.url}/a.bin", "there", cwd=tmp_path)
    assert again.code == 10


def test_a_name_that_was_not_given_replaces_nothing(files: Origin, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"mine")
    done = run("download", f"{files.url}/a.bin", cwd=tmp_path)
    assert done.code == 10
    assert done.err == "atomhttp: 'a.bin' is there already; --overwrite replaces it, FILE gives another name\n"
    assert (tmp_path / "a.bin").read_bytes() == b"mine"
    assert files.requests == []
    assert run("download", f"{files.url}/a.bin", "--overwrite", cwd=tmp_path).code == 0
    assert (tmp_path / "a.bin").read_bytes() == FILE


@pytest.mark.parametrize("path", ["", "/", "/..", "/dir/", "/%2e%2e", "/a%2Fb", "/a%00b", "/%1B%5B2J", "/a%5Cb"])
def test_a_url_that_ends_in_no_name(files: Origin, tmp_path: Path, path: str) -> None:
    done = run("download", f"{files.url}{path}", cwd=tmp_path)
    assert done.code == 2
    assert done.err.startswith("atomhttp: ")
    assert done.err.count("\n") == 1
    assert "\x1b" not in done.err
    assert names(tmp_path) == []


def test_the_checksum(files: Origin, tmp_path: Path) -> None:
    url = f"{files.url}/a.bin"
    assert run("download", url, "--sha256", DIGEST.upper(), cwd=tmp_path).code == 0
    done = run("download", url, "other", "--sha256", "0" * 64, cwd=tmp_path)
    assert done.code == 11
    assert re.fullmatch(r"atomhttp: .*expected 0+, got [0-9a-f]{64} \(ERR_CHECKSUM\)\n", done.err)
    assert names(tmp_path) == ["a.bin"]


def test_a_status_that_is_no_success(tmp_path: Path) -> None:
    with Origin() as origin:
        assert run("download", f"{origin.url}/missing", cwd=tmp_path).code == 4
        assert run("download", f"{origin.url}/status/503", cwd=tmp_path).code == 5
        assert run("download", f"{origin.url}/status/304", cwd=tmp_path).code == 9
    assert names(tmp_path) == []


def test_options_of_a_request(files: Origin, tmp_path: Path) -> None:
    done = run(
        "download", f"{files.url}/a.bin", "-H", "X-One: 1", "-q", "a=b", "--bearer", "t0k3n", "-v", "--timings",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0
    request = files.requests[0]
    assert (request.target, request.get("X-One"), request.get("Authorization")) == ("/a.bin?a=b", "1", "Bearer t0k3n")
    assert "> Authorization: [redacted]\n" in done.err
    assert "\ntotal " in done.err


# Going on


def half(tag: bytes = b'ETag: "one"\r\n') -> list[Callable[..., None]]:
    head = b"HTTP/1.1 200 OK\r\n%bContent-Length: 300000\r\n\r\n" % tag
    return [expect_head(), send(head + FILE[:100_000])]


REST = (
    b'HTTP/1.1 206 Partial Content\r\nETag: "one"\r\nContent-Length: 200000\r\n'
    b"Content-Range: bytes 100000-299999/300000\r\n\r\n" + FILE[100_000:]
)


def test_a_lost_connection_is_gone_on_with(tmp_path: Path) -> None:
    with Peer([[*half(), end(), drain()], [expect_head(), send(REST), drain()]]) as peer:
        done = run("download", f"{peer.url}/a.bin", cwd=tmp_path)
        assert done.code == 7
        assert done.err.endswith("; what has come is kept, and the same command goes on from there\n")
        assert "a.bin.atomhttp.part" in names(tmp_path)
        done = run("download", f"{peer.url}/a.bin", cwd=tmp_path)
        assert done == (0, b"", "saved a.bin (300,000 bytes)\n")
        assert peer.heads[1].get("range") == "bytes=100000-"
    assert (tmp_path / "a.bin").read_bytes() == FILE
    assert names(tmp_path) == ["a.bin"]


def test_what_is_refused_is_not_gone_on_with(files: Origin, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"mine")
    (tmp_path / "a.bin.atomhttp.part").write_bytes(b"of another time")
    done = run("download", f"{files.url}/a.bin", cwd=tmp_path)
    assert done.err == "atomhttp: 'a.bin' is there already; --overwrite replaces it, FILE gives another name\n"


def test_without_resume_it_begins_anew(files: Origin, tmp_path: Path) -> None:
    (tmp_path / "a.bin.atomhttp.part").write_bytes(FILE[:1000])
    assert run("download", f"{files.url}/a.bin", "--no-resume", cwd=tmp_path).code == 0
    assert files.requests[0].get("Range") is None
    assert names(tmp_path) == ["a.bin"]


def test_retry_goes_on_by_itself(tmp_path: Path) -> None:
    with Peer([[*half(), end(), drain()], [expect_head(), send(REST), drain()]]) as peer:
        done = run("download", f"{peer.url}/a.bin", "--retry", "1", "--sha256", DIGEST, cwd=tmp_path)
    assert done == (0, b"", "saved a.bin (300,000 bytes)\n")


def test_retry_goes_on_after_silence_too(tmp_path: Path) -> None:
    with Peer([[*half(), drain()], [expect_head(), send(REST), drain()]]) as peer:
        done = run("download", f"{peer.url}/a.bin", "--retry", "1", "--timeout", "1.5", cwd=tmp_path)
    assert done == (0, b"", "saved a.bin (300,000 bytes)\n")


def test_silence_is_given_up(tmp_path: Path) -> None:
    with Peer([*half(), drain()]) as peer:
        done = run("download", f"{peer.url}/a.bin", "--timeout", "0.5", cwd=tmp_path)
    assert done.code == 6
    assert done.err.endswith("; what has come is kept, and the same command goes on from there\n")


@pytest.mark.parametrize("several", [False, True])
def test_ctrl_c_keeps_what_has_come(tmp_path: Path, several: bool) -> None:
    with Peer([[*half(), hold()]] * (2 if several else 1)) as peer:
        urls = [f"{peer.url}/a.bin", f"{peer.url}/b.bin"][: 1 + several]
        with Terminal("download", *urls, cwd=tmp_path) as terminal:
            for each in urls:
                _wait_for_size(tmp_path / f"{each.rpartition('/')[2]}.atomhttp.part", 100_000)
            terminal.interrupt()
            assert terminal.wait() == 130
            text = " ".join(terminal.rows)
            assert "Traceback" not in text
            said = text.count("interrupted; what has come is kept, and the same command goes on from there")
            assert said == len(urls)
    parts_there = [name for name in names(tmp_path) if name.endswith(".part")]
    assert [(tmp_path / name).stat().st_size for name in parts_there] == [100_000] * len(urls)


def test_ctrl_c_says_when_nothing_is_kept(tmp_path: Path) -> None:
    with Peer([*half(b""), hold()]) as peer, Terminal("download", f"{peer.url}/a.bin", cwd=tmp_path) as terminal:
        _wait_for_size(tmp_path / "a.bin.atomhttp.part", 100_000)
        terminal.interrupt()
        assert terminal.wait() == 130
        assert "interrupted; nothing that could be gone on with was kept" in " ".join(terminal.rows)
    assert names(tmp_path) == []


def _wait_for_size(path: Path, size: int) -> None:
    deadline = time.monotonic() + 10
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < deadline, path
        time.sleep(0.01)  # the file is all that shows how far another process has come


# Several


def test_several_at_once(files: Origin, tmp_path: Path) -> None:
    urls = [f"{files.url}/a.bin", f"{files.url}/b.bin", f"{files.url}/missing", f"{files.url}/status/500"]
    done = run("download", "-O", "new/there", *urls, cwd=tmp_path)
    assert done.code == 5
    lines = done.err.splitlines()
    assert lines[0] == "saved a.bin (300,000 bytes)"
    assert lines[1] == "saved b.bin (1,000 bytes)"
    assert lines[2].startswith("atomhttp: missing: request failed with status 404 ")
    assert lines[3].startswith("atomhttp: 500: request failed with status 500 ")
    assert lines[4:] == ["2 of 4 saved"]
    assert names(tmp_path / "new" / "there") == ["a.bin", "b.bin"]


def test_several_urls_need_no_directory(files: Origin, tmp_path: Path) -> None:
    assert run("download", f"{files.url}/a.bin", f"{files.url}/b.bin", cwd=tmp_path).code == 0
    assert names(tmp_path) == ["a.bin", "b.bin"]


def test_several_urls_of_one_name(files: Origin, tmp_path: Path) -> None:
    done = run("download", f"{files.url}/b.bin", f"{files.url}/b.bin?2", cwd=tmp_path)
    assert done.code == 10
    assert "several URLs end in the name 'b.bin'" in done.err
    assert names(tmp_path) == ["b.bin"]


def test_no_more_than_jobs_at_once(tmp_path: Path) -> None:
    with Origin() as origin:
        urls = [f"{origin.url}/bytes/{size}" for size in range(1, 9)]
        assert run("download", "-j", "2", *urls, cwd=tmp_path).code == 0
        assert origin.high_water <= 2
    assert names(tmp_path) == [str(size) for size in range(1, 9)]


def test_a_directory_that_is_a_file(files: Origin, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = run("download", "-O", "file", f"{files.url}/b.bin", cwd=tmp_path)
    assert done.code == 10
    assert done.err == "atomhttp: file: File exists (EEXIST)\n"


# Bars


def test_a_download_has_a_bar(files: Origin, tmp_path: Path) -> None:
    code, terminal = at_terminal("download", f"{files.url}/a.bin", cwd=tmp_path)
    assert code == 0
    assert re.match(r"a\.bin 100% .* 300\.0 kB", terminal.rows[0])
    assert terminal.rows[1:] == ["saved a.bin (300,000 bytes)"]


def test_each_of_several_has_a_bar(files: Origin, tmp_path: Path) -> None:
    code, terminal = at_terminal("download", f"{files.url}/a.bin", f"{files.url}/b.bin", cwd=tmp_path)
    assert code == 0
    assert sorted(row.split()[0] for row in terminal.rows[:2]) == ["a.bin", "b.bin"]
    assert all("100%" in row for row in terminal.rows[:2])
    assert terminal.rows[2:] == ["saved a.bin (300,000 bytes)", "saved b.bin (1,000 bytes)", "2 of 2 saved"]


def test_bars_without_colours(files: Origin, tmp_path: Path) -> None:
    with Terminal("download", f"{files.url}/a.bin", "--color", "never", cwd=tmp_path) as terminal:
        assert terminal.wait() == 0
    assert not re.search(rb"\x1b\[[\d;]*[1-9][\d;]*m", terminal.written)


# Upload


@pytest.fixture
def sink() -> Iterator[Origin]:
    def take(request: Received) -> Answer:
        return Answer(b'{"taken": %d}' % len(request.body), headers=[("Content-Type", "application/json")])

    with Origin(routes={"/up": take, "/refuse": lambda _: Answer(b"no", status=413)}) as origin:
        yield origin


def test_an_upload(sink: Origin, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(FILE)
    done = run("upload", "a.bin", f"{sink.url}/up", cwd=tmp_path)
    assert done == (0, b'{"taken": 300000}', "")
    request = sink.requests[0]
    assert (request.method, request.body, request.get("Content-Length")) == ("PUT", FILE, "300000")
    assert run("upload", "a.bin", f"{sink.url}/up", "--method", "post", cwd=tmp_path).code == 0
    assert sink.requests[1].method == "POST"


def test_an_upload_as_a_form(sink: Origin, tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"cat")
    assert run("upload", "cat.jpg", f"{sink.url}/up", "--field", "photo", cwd=tmp_path).code == 0
    assert sink.requests[0].method == "POST"
    [part] = parts(sink.requests[0])
    assert (part.name, part.filename, part.content_type, part.content) == ("photo", "cat.jpg", "image/jpeg", b"cat")


def test_an_upload_that_is_refused(sink: Origin, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    done = run("upload", "a", f"{sink.url}/refuse", "-o", "out", cwd=tmp_path)
    assert (done.code, done.out) == (4, b"no")
    assert names(tmp_path) == ["a"]
    assert run("upload", "a", f"{sink.url}/refuse", "-o", "out", "--no-fail", "--raw", cwd=tmp_path).code == 0
    assert (tmp_path / "out").read_bytes() == b"no"


def test_an_upload_has_a_bar(sink: Origin, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(FILE)
    code, terminal = at_terminal("upload", "a.bin", f"{sink.url}/up", cwd=tmp_path)
    assert code == 0
    assert terminal.rows[0].startswith("a.bin 100%")
    assert terminal.rows[1:] == ["{", '  "taken": 300000', "}"]


def test_an_upload_without_anybody(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with Peer([expect_head(), hold()]) as peer:
        done = run("upload", "a", peer.url, "--timeout", "0.3", "-v", cwd=tmp_path)
    assert done.code == 6
    assert done.err.startswith("> PUT / HTTP/1.1\n")


def test_a_name_of_a_file_gives_no_orders(sink: Origin, tmp_path: Path) -> None:
    name = "a\x1b[2Jb"
    (tmp_path / name).write_bytes(b"x")
    code, terminal = at_terminal("upload", name, f"{sink.url}/up", "--color", "never", cwd=tmp_path)
    assert code == 0
    assert b"\x1b[2J" not in terminal.written
