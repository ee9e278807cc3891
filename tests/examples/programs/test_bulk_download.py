"""examples/bulk_download.py: files from a server that stops, breaks off, or has other ones."""

from __future__ import annotations

import hashlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.programs.file_server import FileServer
from examples.programs.program import Done, finish, run, start, watch
from support.origin import Answer, Origin, Received, pattern
from support.terminal import Pty

FILES = {"one.bin": pattern(1_000_000), "two.txt": b"two\n", "empty": b"", "four.zip": pattern(300_000)}


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer(dict(FILES)) as running:
        yield running


def write_list(folder: Path, *lines: str) -> None:
    (folder / "urls.txt").write_text("\n".join(lines))


def list_all(server: FileServer, folder: Path) -> None:
    write_list(folder, *(f"{server.url}/{name}" for name in FILES))


def download(folder: Path, *options: object) -> Done:
    return run("bulk_download.py", "urls.txt", "into/files", *options, folder=folder)


def check_files(folder: Path, *names: str) -> None:
    """These files are there, whole, and nothing else."""
    there = {path.name: path.read_bytes() for path in (folder / "into" / "files").iterdir()}
    assert there.keys() == set(names)
    for name, content in there.items():
        assert content == FILES[name], name


def has_come(folder: Path, size: int) -> bool:
    """Whether there are so many bytes of one.bin."""
    return any(path.stat().st_size == size for path in (folder / "into").glob("files/one.bin*.part"))


def test_a_list(server: FileServer, tmp_path: Path) -> None:
    digest = hashlib.sha256(FILES["one.bin"]).hexdigest()
    write_list(
        tmp_path,
        "# what we need",
        f"{server.url}/one.bin   sha256:{digest}",
        "",
        f"  {server.url}/two.txt?version=2#top  ",
        f"{server.url}/empty\tmd5:{hashlib.md5(b'').hexdigest()}",
        f"#{server.url}/four.zip",
    )
    server.files["two.txt?version=2"] = server.files.pop("two.txt")
    assert download(tmp_path).lines == ["3 of 3 files are in into/files"]
    check_files(tmp_path, "one.bin", "two.txt", "empty")
    # What is there is not asked for again.
    asked = len(server.asked)
    assert download(tmp_path).lines == ["3 of 3 files are in into/files"]
    assert len(server.asked) == asked == 3


def test_each_has_a_bar(server: FileServer, tmp_path: Path) -> None:
    list_all(server, tmp_path)
    server.stall = {"one.bin": 600_000, "four.zip": 150_000}
    with (
        Pty() as terminal,
        start("bulk_download.py", "urls.txt", "into/files", folder=tmp_path, terminal=terminal) as process,
    ):
        # Both are under way: a line each.
        watch(
            process, terminal, lambda shown: {"one.bin", "four.zip"} <= set(re.findall(r"(?m)^(\S+) +\d\d?% ", shown))
        )
        server.release.set()
        rows = watch(process, terminal)
        assert finish(process) == (0, "4 of 4 files are in into/files\n", "")
    for name, size in (("one.bin", "1.0 MB/1.0 MB"), ("two.txt", "4 B/4 B"), ("four.zip", "300.0 kB/300.0 kB")):
        assert len([row for row in rows if re.match(rf"{name} +100%.* {size}", row)]) == 1, rows
    check_files(tmp_path, *FILES)


def test_so_many_at_once(origin: Origin, tmp_path: Path) -> None:
    def reply(_: Received) -> Answer:
        # Nobody gets anything before three have asked.
        origin.wait_for_requests(3)
        return Answer(b"x")

    origin.routes = {f"/{number}": reply for number in range(9)}
    write_list(tmp_path, *(f"{origin.url}/{number}" for number in range(9)))
    assert download(tmp_path, "--at-once", 3).lines == ["9 of 9 files are in into/files"]
    assert origin.high_water == 3


def test_one_that_is_missing(server: FileServer, tmp_path: Path) -> None:
    list_all(server, tmp_path)
    del server.files["two.txt"]
    done = download(tmp_path)
    done.check_failure(rf"^bulk_download.py: two.txt: request failed with status 404 Not Found: {server.url}/two.txt$")
    assert done.out == "3 of 4 files are in into/files\n"
    check_files(tmp_path, *FILES.keys() - {"two.txt"})

    server.files["two.txt"] = FILES["two.txt"]
    server.asked.clear()
    assert download(tmp_path).lines == ["4 of 4 files are in into/files"]
    assert server.asked == [("two.txt", "")]
    check_files(tmp_path, *FILES)


def test_a_connection_that_breaks_off_is_gone_on_with(server: FileServer, tmp_path: Path) -> None:
    list_all(server, tmp_path)
    server.cut["one.bin"] = 700_000
    assert download(tmp_path).lines == ["4 of 4 files are in into/files"]
    assert [field for name, field in server.asked if name == "one.bin"] == ["", "bytes=700000-"]
    check_files(tmp_path, *FILES)


def test_ctrl_c_and_another_run(server: FileServer, tmp_path: Path) -> None:
    list_all(server, tmp_path)
    server.stall["one.bin"] = 600_000
    with (
        Pty() as terminal,
        start("bulk_download.py", "urls.txt", "into/files", folder=tmp_path, terminal=terminal) as process,
    ):
        watch(process, terminal, lambda shown: has_come(tmp_path, 600_000) and re.search(r"four\.zip +100%", shown))
        process.send_signal(signal.SIGINT)
        rows = watch(process, terminal)
        assert finish(process) == (130, "", "")
    assert "bulk_download.py: stopped; run it again to go on" in rows
    assert "Traceback" not in "\n".join(rows)
    assert not (tmp_path / "into" / "files" / "one.bin").exists()

    server.release.set()
    server.asked.clear()
    assert download(tmp_path).lines == ["4 of 4 files are in into/files"]
    [(name, field)] = server.asked
    assert name == "one.bin"
    assert field == "bytes=600000-"
    check_files(tmp_path, *FILES)


def test_a_file_that_has_changed_in_between_is_not_mixed(server: FileServer, tmp_path: Path) -> None:
    write_list(tmp_path, f"{server.url}/one.bin")
    server.stall["one.bin"] = 600_000
    with (
        Pty() as terminal,
        start("bulk_download.py", "urls.txt", "into/files", folder=tmp_path, terminal=terminal) as process,
    ):
        watch(process, terminal, lambda _: has_come(tmp_path, 600_000))
        process.send_signal(signal.SIGINT)
        watch(process, terminal)
    server.release.set()
    server.files["one.bin"] = b"another one"
    assert download(tmp_path).lines == ["1 of 1 files are in into/files"]
    assert (tmp_path / "into" / "files" / "one.bin").read_bytes() == b"another one"


def test_a_file_that_is_another_one(server: FileServer, tmp_path: Path) -> None:
    write_list(tmp_path, f"{server.url}/two.txt sha256:{'0' * 64}", f"{server.url}/four.zip")
    download(tmp_path).check_failure("^bulk_download.py: two.txt: .*sha256")
    check_files(tmp_path, "four.zip")


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with FileServer({}) as gone:
        list_all(gone, tmp_path)
    # A port that nobody listens at: nothing to wait for.
    done = download(tmp_path, "--retries", 0)
    assert done.code == 1
    assert done.out == "0 of 4 files are in into/files\n"
    assert [line.split(":")[1] for line in done.err.splitlines()] == [f" {name}" for name in FILES]
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("http://x.test/", r"urls.txt:2: expected the URL of a file, and perhaps a checksum, got 'http://x.test/'"),
        ("http://x.test/a%2F..", r"urls.txt:2: expected the URL of a file"),
        ("http://x.test/a sha256:0 more", r"urls.txt:2: expected the URL of a file"),
        ("http://y.test/one?x", r"urls.txt:2: another file is called 'one', too: http://x.test/one$"),
    ],
)
def test_a_list_that_is_none(line: str, message: str, tmp_path: Path) -> None:
    write_list(tmp_path, "http://x.test/one", line)
    download(tmp_path).check_failure(f"^bulk_download.py: {message}")
    assert [path.name for path in tmp_path.iterdir()] == ["urls.txt"]


def test_lines_that_the_client_refuses(tmp_path: Path) -> None:
    write_list(tmp_path, "ftp://x.test/a", "/b", "http://x.test/c crc:0")
    done = download(tmp_path)
    assert done.code == 1
    assert [line.split(":")[1] for line in done.err.splitlines()] == [" a", " b", " c"]


def test_no_list(tmp_path: Path) -> None:
    download(tmp_path).check_failure("^bulk_download.py: .*No such file or directory: 'urls.txt'$")


def test_none_at_once(server: FileServer, tmp_path: Path) -> None:
    list_all(server, tmp_path)
    download(tmp_path, "--at-once", 0).check_failure("^bulk_download.py: .*limit: expected a whole number of 1 or more")
