from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomhttp._model.checksum import Checksum
from atomhttp._pipeline import partial_file
from atomhttp._pipeline.partial_file import Note, PartialFile, find_target
from atomhttp.errors import AtomHTTPChecksumError, AtomHTTPOptionError
from support.server import PATIENCE

NOTE = Note("digest", '"v1"', 10)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


def opened(file: Path, note: Note | None = None, content: bytes = b"") -> PartialFile:
    part = PartialFile(file)
    part.open()
    if note is not None:
        part.begin(note)
    part.write([content])
    return part


def names(file: Path) -> list[str]:
    return sorted(each.name.removeprefix("file") for each in file.parent.iterdir())


PART, JSON = ".atomhttp.part", ".atomhttp.json"


# Life


def test_it_becomes_its_target(file: Path) -> None:
    part = opened(file, NOTE, b"01234")
    assert names(file) == [JSON, PART]
    part.write([b"5", b"", b"6789"])
    assert part.position == 10
    part.finish()
    part.close()
    assert names(file) == [""]
    assert file.read_bytes() == b"0123456789"


def test_what_can_be_gone_on_with_stays(file: Path) -> None:
    opened(file, NOTE, b"01234").close()
    assert names(file) == [JSON, PART]
    part = opened(file)
    assert (part.position, part.note) == (5, NOTE)
    part.write([b"56789"])
    part.finish()
    part.close()
    assert file.read_bytes() == b"0123456789"


@pytest.mark.parametrize(("note", "content"), [(None, b""), (None, b"01234"), (NOTE, b"")])
def test_what_cannot_is_removed(file: Path, note: Note | None, content: bytes) -> None:
    opened(file, note, content).close()
    assert names(file) == []


def test_closing_twice_and_closing_what_was_never_opened(file: Path) -> None:
    part = opened(file, NOTE, b"01234")
    part.close()
    part.close()
    PartialFile(file).close()
    assert names(file) == [JSON, PART]


def test_beginning_anew(file: Path) -> None:
    part = opened(file, NOTE, b"01234")
    part.begin(Note("digest", '"v2"', None))
    assert (part.position, part.note) == (0, Note("digest", '"v2"', None))
    part.write([b"abc"])
    part.close()
    again = opened(file)
    assert (again.position, again.note) == (3, Note("digest", '"v2"', None))
    again.close()


def test_rewinding(file: Path) -> None:
    part = opened(file, NOTE, b"0123456789")
    part.rewind(4)
    assert part.position == 4
    part.write([b"abc"])
    part.close()
    assert Path(f"{file}{PART}").read_bytes() == b"0123abc"


def test_the_note_goes_before_the_bytes_and_comes_before_the_new_ones(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is killed at whatever moment: there is no note for bytes of something else."""
    seen: list[tuple[bool, bytes]] = []
    note, content = Path(f"{file}{JSON}"), Path(f"{file}{PART}")
    part = opened(file, NOTE, b"01234")

    def spied(function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            seen.append((note.exists() and b"v1" in note.read_bytes(), content.read_bytes()))
            result = function(*arguments, **options)
            seen.append((note.exists() and b"v1" in note.read_bytes(), content.read_bytes()))
            return result

        return call

    with monkeypatch.context() as patched:
        for name in ("ftruncate", "pwrite"):
            patched.setattr(os, name, spied(getattr(os, name)))
        patched.setattr(Path, "write_text", spied(Path.write_text))
        part.begin(Note("digest", '"v2"', 10))
        part.write([b"abc"])
    assert len(seen) == 6
    assert (True, b"01234") not in seen
    part.close()


# Notes


@pytest.mark.parametrize(
    "note", [NOTE, Note("digest", '"v1"', None), Note("digest", '"\xe9\u20ac"', 10), Note("digest", "Mon, 01 Jan", 5)]
)
def test_notes_are_read_as_they_were_written(file: Path, note: Note) -> None:
    opened(file, note, b"01234").close()
    part = opened(file)
    assert part.note == note
    part.close()


@given(content=st.binary(max_size=200))
def test_no_note_is_too_odd(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("odd") / "file"
    opened(file, NOTE, b"01234").close()
    Path(f"{file}{JSON}").write_bytes(content)
    part = opened(file)
    assert part.note is None
    part.close()


@given(
    fields=st.fixed_dictionaries(
        {
            name: st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.none()))
            for name in ("url", "validator", "total")
        }
    )
)
def test_a_note_has_the_right_types_or_is_none(tmp_path_factory: pytest.TempPathFactory, fields: Any) -> None:
    file = tmp_path_factory.mktemp("odd") / "file"
    opened(file, NOTE, b"01234").close()
    Path(f"{file}{JSON}").write_text(json.dumps(fields))
    part = opened(file)
    if part.note is not None:
        assert isinstance(part.note.url, str)
        assert isinstance(part.note.validator, str)
        assert part.note.validator.isprintable()
        assert part.note.total is None or part.note.total >= 5
    part.close()


def test_more_than_all_of_it_is_no_part_of_it(file: Path) -> None:
    opened(file, NOTE, b"0123456789").close()
    Path(f"{file}{PART}").write_bytes(b"0123456789a")
    part = opened(file)
    assert part.note is None
    part.close()
    assert names(file) == []


# Locks


def test_somebody_else_has_it(file: Path) -> None:
    part = opened(file, NOTE, b"01234")
    other = PartialFile(file)
    with pytest.raises(AtomHTTPOptionError) as caught:
        other.open()
    assert str(caught.value) == f"path: '{file}': it is being downloaded already, by another call or process"
    other.close()
    part.write([b"56789"])
    part.finish()
    part.close()
    assert file.read_bytes() == b"0123456789"
    assert names(file) == [""]


@pytest.mark.parametrize("how", ["finish", "remove"])
def test_whoever_gets_the_lock_of_what_has_gone_opens_anew(
    file: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Between opening and locking the one before has finished, or removed it."""
    first = opened(file, NOTE, b"0123456789")
    real = fcntl.flock
    rounds = []

    def late(descriptor: int, operation: int) -> None:
        if operation != fcntl.LOCK_UN:
            rounds.append(descriptor)
            if len(rounds) == 1:
                first.finish() if how == "finish" else first.begin(None)
                first.close()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    second = PartialFile(file)
    second.open()
    assert len(rounds) == 2
    assert (second.position, second.note) == (0, None)
    second.write([b"new"])
    assert Path(f"{file}{PART}").read_bytes() == b"new"
    if how == "finish":
        assert file.read_bytes() == b"0123456789"
    second.close()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks(file: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_arguments: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    part = opened(file, NOTE, b"0123456789")
    part.finish()
    part.close()
    assert file.read_bytes() == b"0123456789"


def test_a_lock_that_fails_otherwise_is_an_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    part = PartialFile(file)
    with pytest.raises(AtomHTTPOptionError, match="Input/output error"):
        part.open()
    part.close()
    assert not any(f"{file}" in os.readlink(f"/proc/self/fd/{each}") for each in fds())


def fds() -> list[str]:
    return [each for each in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{each}")]


# Given up


@pytest.mark.parametrize(
    "late",
    [
        lambda part: part.begin(None),
        lambda part: part.begin(NOTE),
        lambda part: part.rewind(1),
        lambda part: part.write([b"late"]),
        lambda part: part.verify(Checksum("md5", "0" * 32)),
        lambda part: part.finish(),
    ],
)
def test_who_comes_after_it_was_given_up_does_no_harm(file: Path, late: Any) -> None:
    part = opened(file, NOTE, b"01234")
    part.close()
    other = opened(file)
    before = {each.name: each.read_bytes() for each in file.parent.iterdir()}
    with pytest.raises(OSError, match="given up"):
        late(part)
    assert {each.name: each.read_bytes() for each in file.parent.iterdir()} == before
    assert (other.position, other.note) == (5, NOTE)
    other.close()


def test_who_opens_after_it_was_given_up_does_not(file: Path) -> None:
    part = PartialFile(file)
    part.close()
    part.open()
    assert names(file) == []


@pytest.mark.parametrize("note", [NOTE, None])
def test_given_up_while_a_thread_hangs_the_thread_lets_go_of_it(
    file: Path, monkeypatch: pytest.MonkeyPatch, note: Note | None
) -> None:
    monkeypatch.setattr(partial_file, "_PATIENCE", 0.0)
    writing, go = threading.Event(), threading.Event()
    real = os.pwrite

    def hangs(*arguments: Any) -> int:
        writing.set()
        assert go.wait(PATIENCE)
        return real(*arguments)

    part = opened(file, note)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", hangs)
        thread = threading.Thread(target=part.write, args=([b"01234"],))
        thread.start()
        assert writing.wait(PATIENCE)
        part.close()
        with pytest.raises(AtomHTTPOptionError, match="being downloaded already"):
            PartialFile(file).open()
        go.set()
        thread.join()
    assert names(file) == ([JSON, PART] if note is not None else [])
    opened(file).close()


def test_given_up_in_the_middle_of_a_checksum(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial_file, "_STRIDE", 2)
    part = opened(file, NOTE, b"0123456789")
    real = os.pread
    reads = []

    def read(*arguments: Any) -> bytes:
        reads.append(arguments)
        if len(reads) == 2:
            part._given_up = True
        return real(*arguments)

    monkeypatch.setattr(os, "pread", read)
    with pytest.raises(OSError, match="given up"):
        part.verify(Checksum("md5", "0" * 32))
    assert len(reads) == 2
    # It stays: nobody knows that it is wrong.
    assert names(file) == [JSON, PART]


# Checksums


@pytest.mark.parametrize("size", [0, 1, 9, 10])
@pytest.mark.parametrize("stride", [1, 3, 10, 100])
def test_a_checksum_is_of_all_of_it(file: Path, monkeypatch: pytest.MonkeyPatch, size: int, stride: int) -> None:
    monkeypatch.setattr(partial_file, "_STRIDE", stride)
    content = b"0123456789"[:size]
    part = opened(file, NOTE, content)
    part.verify(Checksum("sha256", hashlib.sha256(content).hexdigest()))
    wrong = "0" * 64
    with pytest.raises(AtomHTTPChecksumError) as caught:
        part.verify(Checksum("sha256", wrong))
    assert (caught.value.expected, caught.value.actual) == (wrong, hashlib.sha256(content).hexdigest())
    part.close()
    assert names(file) == []


# Disks that fail


def test_what_was_written_before_it_failed_counts(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite

    def short(descriptor: int, data: Any, position: int) -> int:
        if position >= 7:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data[:3], position)

    part = opened(file, NOTE)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", short)
        with pytest.raises(OSError, match="No space left"):
            part.write([b"0123", b"456789"])
    assert part.position == 7
    part.close()
    assert Path(f"{file}{PART}").read_bytes() == b"0123456789"[: part.position]


def test_a_note_that_cannot_be_written_leaves_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(path: Path, text: str) -> None:
        path.write_bytes(text[:5].encode())
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    part = opened(file)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", half)
        with pytest.raises(OSError, match="No space left"):
            part.begin(NOTE)
    part.close()
    assert names(file) == []


def test_a_target_that_cannot_be_replaced_leaves_all_of_it(file: Path) -> None:
    part = opened(file, NOTE, b"0123456789")
    file.mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        part.finish()
    part.close()
    assert Path(f"{file}{PART}").read_bytes() == b"0123456789"
    file.rmdir()
    again = opened(file)
    assert again.note == NOTE
    again.finish()
    again.close()
    assert file.read_bytes() == b"0123456789"


def test_one_that_was_replaced_meanwhile_is_not_made_the_target(file: Path) -> None:
    first = opened(file, NOTE, b"0123456789")
    Path(f"{file}{PART}").unlink()
    second = opened(file, NOTE, b"of another")
    with pytest.raises(OSError, match="removed, or replaced"):
        first.finish()
    first.note = None
    first.close()
    assert names(file) == [JSON, PART]
    second.finish()
    second.close()
    assert file.read_bytes() == b"of another"


# Windows


class FakeMsvcrt(ModuleType):
    """Locks as Windows has them: of a byte, for as long as its file is open."""

    LK_NBLCK, LK_UNLCK = 2, 0

    def __init__(self) -> None:
        super().__init__("msvcrt")
        self.locked: dict[tuple[int, int], int] = {}

    def locking(self, file: int, mode: int, count: int) -> None:
        found = os.fstat(file)
        place = (found.st_ino, os.lseek(file, 0, os.SEEK_CUR))
        assert place[1] > 2**30
        assert count == 1
        if mode == self.LK_UNLCK:
            assert self.locked.pop(place) == file
        elif place in self.locked:
            raise PermissionError(errno.EACCES, "Permission denied")
        else:
            self.locked[place] = file


def test_on_windows_there_is_one_at_a_time_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeMsvcrt()
    assert partial_file.__file__ is not None
    spec = importlib.util.spec_from_file_location("atomhttp._pipeline.partial_file_of_windows", partial_file.__file__)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "platform", "win32")
        patched.setitem(sys.modules, "msvcrt", fake)
        spec.loader.exec_module(module)
        first = module.PartialFile(file)
        first.open()
        first.begin(module.Note("digest", '"v1"', 10))
        first.write([b"01234"])
        with pytest.raises(AtomHTTPOptionError, match="it is being downloaded already"):
            module.PartialFile(file).open()
        first.close()
        assert fake.locked == {}
        again = module.PartialFile(file)
        again.open()
        again.write([b"56789"])
        again.verify(Checksum("md5", hashlib.md5(b"0123456789", usedforsecurity=False).hexdigest()))
        again.finish()
        again.close()
    assert fake.locked == {}
    assert names(file) == [""]
    assert file.read_bytes() == b"0123456789"


# What lies there already


def test_what_has_another_name_too_is_left_alone(file: Path, tmp_path: Path) -> None:
    """A copy of hard links, as backups are made, or a trap: it is not to change with the part."""
    opened(file, NOTE, b"01234").close()
    os.link(f"{file}{PART}", tmp_path / "file.backup")
    part = opened(file)
    assert part.position == 0
    part.begin(None)
    part.write([b"new"])
    part.close()
    assert (tmp_path / "file.backup").read_bytes() == b"01234"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A file in a directory like `/tmp`."""
    if os.geteuid():
        pytest.skip("only root can make files of somebody else")
    directory = tmp_path / "tmp"
    directory.mkdir()
    directory.chmod(0o1777)
    return directory / "file"


SOMEBODY = 4711


def plant(path: Path) -> None:
    os.chown(path, SOMEBODY, SOMEBODY, follow_symlinks=False)


@pytest.mark.parametrize("suffix", [PART, JSON])
def test_what_somebody_else_has_put_there_is_not_gone_on_with(shared: Path, suffix: str) -> None:
    opened(shared, NOTE, b"01234").close()
    plant(Path(f"{shared}{suffix}"))
    part = opened(shared)
    assert part.note is None or not part.position
    part.begin(NOTE)
    part.write([b"0123456789"])
    part.finish()
    part.close()
    assert shared.stat().st_uid == os.geteuid()
    assert names(shared) == [""]


def test_what_somebody_else_has_put_there_and_cannot_be_removed_is_an_error(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(f"{shared}{PART}").write_bytes(b"01234")
    plant(Path(f"{shared}{PART}"))

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(AtomHTTPOptionError, match=r"Operation not permitted: '.*/file\.atomhttp\.part'"):
        PartialFile(shared).open()
    assert Path(f"{shared}{PART}").read_bytes() == b"01234"


def test_where_only_some_may_write_files_of_others_are_gone_on_with(shared: Path) -> None:
    """On many a mounted file system everything belongs to somebody else."""
    shared.parent.chmod(0o777)
    opened(shared, NOTE, b"01234").close()
    plant(Path(f"{shared}{PART}"))
    plant(Path(f"{shared}{JSON}"))
    part = opened(shared)
    assert (part.position, part.note) == (5, NOTE)
    part.close()


def test_a_link_of_somebody_else_is_not_followed(shared: Path) -> None:
    directory = shared.parent
    for name in ("file", "directory"):
        (directory / name).symlink_to("/")
        assert find_target(directory / name, lambda: "name") == Path("/name")
        plant(directory / name)
        for spelled in (f"{directory}/{name}", f"{directory}/{name}/"):
            with pytest.raises(AtomHTTPOptionError, match="a link of somebody else's"):
                find_target(spelled, lambda: "name")


def test_a_fifo_in_the_notes_place_is_not_waited_for(file: Path) -> None:
    opened(file, NOTE, b"01234").close()
    Path(f"{file}{JSON}").unlink()
    os.mkfifo(f"{file}{JSON}")
    part = opened(file)
    assert (part.position, part.note) == (5, None)
    part.close()
    assert names(file) == []


def test_a_note_that_is_too_long_is_none(file: Path) -> None:
    opened(file, NOTE._replace(validator="x" * 1024 * 1024), b"01234").close()
    part = opened(file)
    assert part.note is None
    part.close()


def test_a_note_is_not_written_into_what_came_in_between(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = opened(file)
    Path(f"{file}{JSON}").write_bytes(b"theirs")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", lambda path, missing_ok=False: None)
        with pytest.raises(FileExistsError):
            part.begin(NOTE)
    assert Path(f"{file}{JSON}").read_bytes() == b"theirs"
    part.close()


# A child that is forked meanwhile; in a process without threads


def run_alone(code: str, file: Path) -> None:
    given = [sys.executable, "-W", "error", "-c", f"{FORKING}{code}", str(file)]
    subprocess.run(given, check=True, timeout=PATIENCE)


FORKING = """
import os, sys
from pathlib import Path
from atomhttp._pipeline.partial_file import Note, PartialFile
from atomhttp.errors import AtomHTTPOptionError

file = Path(sys.argv[1])
part = PartialFile(file)
part.open()
note = Note("digest", '"v1"', 10)
"""


def test_a_child_leaves_it_to_its_parent(file: Path) -> None:
    code = """
part.write([b"01234"])
child = os.fork()
if not child:
    part.close()
    os._exit(0)
os.waitpid(child, 0)
try:
    PartialFile(file).open()
except AtomHTTPOptionError as error:
    assert "is being downloaded" in str(error), error
else:
    sys.exit("the lock has gone")
part.finish()
part.close()
"""
    run_alone(code, file)
    assert names(file) == [""]
    assert file.read_bytes() == b"01234"


def test_a_child_does_not_hold_on_to_what_its_parent_has_let_go_of(file: Path) -> None:
    code = """
part.begin(note)
part.write([b"01234"])
end, held = os.pipe()
child = os.fork()
if not child:
    os.close(held)
    os.read(end, 1)
    os._exit(0)
try:
    part.close()
    again = PartialFile(file)
    again.open()
    assert (again.position, again.note) == (5, note)
    again.close()
finally:
    os.close(held)
    os.waitpid(child, 0)
"""
    run_alone(code, file)
    assert names(file) == [JSON, PART]


def test_a_link_in_the_notes_place_leads_nowhere(file: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    Path(f"{file}{JSON}").symlink_to(victim)
    part = opened(file, NOTE, b"0123456789")
    part.finish()
    part.close()
    assert victim.read_bytes() == b"precious"


# Targets


def test_a_segment_is_asked_for_in_a_directory_only(tmp_path: Path) -> None:
    def never() -> str:
        raise AssertionError("it was asked for")

    assert find_target(tmp_path / "file", never) == tmp_path / "file"
    assert find_target(str(tmp_path / "file"), never) == tmp_path / "file"
    assert find_target(tmp_path, lambda: "name") == tmp_path / "name"
    assert find_target(f"{tmp_path}/", lambda: "name") == tmp_path / "name"


@given(segment=st.text(max_size=20))
def test_whatever_the_segment_is_the_file_is_in_that_directory(
    tmp_path_factory: pytest.TempPathFactory, segment: str
) -> None:
    directory = tmp_path_factory.getbasetemp()
    try:
        target = find_target(directory, lambda: segment)
    except AtomHTTPOptionError:
        return
    assert target.parent == directory.resolve()
    assert target.name == segment
    assert segment.isprintable()


def test_a_path_of_an_object_that_is_one(tmp_path: Path) -> None:
    class Mine:
        def __fspath__(self) -> str:
            return str(tmp_path / "file")

    class Bytes:
        def __fspath__(self) -> bytes:
            return bytes(tmp_path / "file")

    assert find_target(Mine(), str) == tmp_path / "file"
    with pytest.raises(AtomHTTPOptionError, match=r"^path: expected"):
        find_target(Bytes(), str)
