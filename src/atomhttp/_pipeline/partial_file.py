"""A file on its way: `NAME.atomhttp.part` beside `NAME`, and `NAME.atomhttp.json`, a note of what it is a part.

Its bytes are all of one representation, whatever happens. What is in the file and what is in the note are changed in
an order that leaves no note for bytes of anything else: the note goes first, then the bytes; new bytes come after the
new note. A lock keeps a second download of the same file away. `NAME` itself is only ever replaced, whole, at the end.

All of it may wait for a disk: an event loop has it done on a thread, and may give up waiting. A thread that comes to
its turn, or to the end of it, after that leaves everything to whoever has the file next. Nothing here knows HTTP.

In a directory where everybody may put files (`/tmp`) what lies there already may be a trap: neither a part nor a note
of somebody else's is gone on with, nor is a link of theirs followed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from atomhttp._model.checksum import Checksum
from atomhttp.errors import AtomHTTPChecksumError, AtomHTTPOptionError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# File systems that know no locks; there the second download is not noticed.
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
# Seconds that whoever gives up waits for a thread that writes: it mostly takes some milliseconds, and then the next
# download of the file finds it free. A disk that hangs is not to hold up an event loop.
_PATIENCE: Final = 0.25
# Bytes read at once for a checksum: some milliseconds.
_STRIDE: Final = 4 * 1024 * 1024
# A validator is a header field, and six characters of JSON a byte at the most.
_LARGEST_NOTE: Final = 1024 * 1024
# A directory like `/tmp`: everybody may put files there, and nobody may take away those of others.
_SHARED: Final = stat.S_ISVTX | stat.S_IWOTH


if sys.platform == "win32":
    # Nobody else can read or write a byte that is locked: one that few files have. No larger place can be told.
    _LOCKED: Final = 0x7FFF_FFFE

    def _lock(file: int) -> None:
        os.lseek(file, _LOCKED, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(errno.EAGAIN, error.strerror) from None

    def _unlock(file: int) -> None:
        os.lseek(file, _LOCKED, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

    def _write_at(file: int, data: memoryview, position: int) -> int:
        os.lseek(file, position, os.SEEK_SET)
        return os.write(file, data)

    def _read_at(file: int, size: int, position: int) -> bytes:
        os.lseek(file, position, os.SEEK_SET)
        return os.read(file, size)
else:

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)

    def _write_at(file: int, data: memoryview, position: int) -> int:
        return os.pwrite(file, data, position)

    def _read_at(file: int, size: int, position: int) -> bytes:
        return os.pread(file, size, position)


class Note(NamedTuple):
    """What a partial file is a part of.

    Attributes:
        url: a digest of the URL: a URL may hold secrets.
        validator: what proves that the rest is of the same representation.
        total: its size in bytes; None when unknown.
        place: a digest of where it was found, which redirects may have led to: a validator proves nothing of what
            another place holds.
    """

    url: str
    validator: str
    total: int | None
    place: str = ""


class PartialFile:
    """The part of `target` that is there. Open it, write to it, `finish` it; `close` it in any case.

    Attributes:
        position: how many bytes there are.
        note: what they are a part of; None: nothing that could be gone on with.
    """

    def __init__(self, target: Path) -> None:
        self.position = 0
        self.note: Note | None = None
        self._target = target
        self._path = part_of(target)
        self._note_path = Path(f"{target}.atomhttp.json")
        self._file: int | None = None
        # Nobody closes the file under a thread that writes.
        self._lock = threading.Lock()
        # Set by whoever gives up while a thread works.
        self._given_up: Any = False
        # A child that is forked meanwhile has all of this too, and must leave it to its parent.
        self._process = os.getpid()

    def open(self) -> None:
        """Opens what there is, or makes it.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: it cannot be written there, or somebody else is writing it.
        """
        with self._turn():
            if self._given_up:
                return
            try:
                _check_target(self._target)
                self._file = self._open_locked()
                self.position = os.fstat(self._file).st_size
                self.note = self._read_note()
            except OSError as error:
                if self._file is not None and not self.position:
                    self._path.unlink(missing_ok=True)
                self._close_file()
                raise _bad_path(self._target, _explain(error, self._target)) from error

    def _open_locked(self) -> int:
        while True:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
            try:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise OSError(errno.EINVAL, "it is there, and is no file", str(self._path))
                self._take_lock(file)
                # Whoever had the lock may have renamed or removed it meanwhile.
                if self._is_still(file):
                    if self._is_ours_alone(file):
                        return file
                    self._path.unlink()
            except BaseException:
                os.close(file)
                raise
            os.close(file)

    def _is_still(self, file: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(file))
        except FileNotFoundError:
            return False

    def _is_ours_alone(self, file: int) -> bool:
        """Whether to write to it changes nothing else, and nobody else can write to it."""
        found = os.fstat(file)
        return found.st_nlink <= 1 and not _is_planted(found, self._path.parent)

    def _take_lock(self, file: int) -> None:
        try:
            _lock(file)
        except BlockingIOError:
            raise OSError(errno.EBUSY, "it is being downloaded already, by another call or process") from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise

    def _read_note(self) -> Note | None:
        try:
            fields: Any = json.loads(self._load_note())
            note = Note(fields["url"], fields["validator"], fields["total"], fields["place"])
        except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):
            # None, or half of one.
            return None
        total = note.total
        is_good = isinstance(note.url, str) and isinstance(note.place, str) and _is_field(note.validator)
        is_good = is_good and isinstance(total, (int, type(None)))
        # More than all of it is not a part of it.
        return note if is_good and (total is None or self.position <= total) else None

    def _load_note(self) -> bytes:
        """What it says; b"" for what we have not made: to open a FIFO would be to wait for whoever writes to it."""
        found = os.lstat(self._note_path)
        is_odd = found.st_size > _LARGEST_NOTE or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
        return b"" if is_odd or _is_planted(found, self._path.parent) else self._note_path.read_bytes()

    def begin(self, note: Note | None) -> None:
        """Starts anew, with what `note` describes; None: with what cannot be gone on with."""
        with self._turn():
            file = self._check_open()
            self._note_path.unlink(missing_ok=True)
            os.ftruncate(file, 0)
            self.position = 0
            self.note = note
            if note is not None:
                # Never into what somebody has put there since.
                self._note_path.touch(exist_ok=False)
                self._note_path.write_text(json.dumps(note._asdict()))

    def rewind(self, position: int) -> None:
        """Forgets what comes after the first `position` bytes."""
        with self._turn():
            file = self._check_open()
            os.ftruncate(file, position)
            self.position = position

    def write(self, pieces: Iterable[bytes]) -> None:
        """Appends. What a full disk does not take is not counted."""
        with self._turn():
            file = self._check_open()
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    count = _write_at(file, rest, self.position)
                    self.position += count
                    rest = rest[count:]

    def verify(self, checksum: Checksum) -> None:
        """Reads all of it.

        Raises:
            AtomHTTPChecksumError: it is not what it should be. It can no longer be gone on with.
        """
        found = hashlib.new(checksum.algorithm, usedforsecurity=False)
        place = 0
        # A turn for each piece: all of a large file takes seconds, for which whoever gives up must not wait.
        while piece := self._read(place):
            found.update(piece)
            place += len(piece)
        if (actual := found.hexdigest()) != checksum.digest:
            self.note = None
            raise AtomHTTPChecksumError(
                f"{checksum.algorithm} of {self._target.name!r}: expected {checksum.digest}, got {actual}",
                expected=checksum.digest,
                actual=actual,
            )

    def _read(self, position: int) -> bytes:
        with self._turn():
            return _read_at(self._check_open(), _STRIDE, position)

    def finish(self) -> None:
        """It is whole: it takes the place of its target."""
        with self._turn():
            # Not when it has been given up: by now it may be somebody else's.
            file = self._check_open()
            if not self._is_still(file):
                raise OSError(errno.ENOENT, "it has been removed, or replaced, during the download", str(self._path))
            # A file that others may not read stays such a one.
            with suppress(FileNotFoundError):
                os.chmod(self._path, stat.S_IMODE(os.stat(self._target).st_mode))
            if sys.platform == "win32":
                self._close_file()
            os.replace(self._path, self._target)
            self._note_path.unlink(missing_ok=True)
            self._close_file()

    def close(self) -> None:
        """Lets go of it. What can be gone on with stays; what cannot is removed."""
        self._given_up = True
        # Where a thread still has it, that lets go of it when its turn is over.
        if self._lock.acquire(timeout=_PATIENCE):
            try:
                self._let_go()
            finally:
                self._lock.release()

    @contextmanager
    def _turn(self) -> Generator[None, None, None]:
        """Has it for itself, and lets go of it at the end if it has been given up meanwhile."""
        try:
            with self._lock:
                yield
        finally:
            if self._given_up:
                self.close()

    def _let_go(self) -> None:
        is_useless = self._file is not None and (self.note is None or not self.position) and self._is_ours_still()
        if sys.platform == "win32":
            self._close_file()
        try:
            if is_useless:
                self._note_path.unlink(missing_ok=True)
                self._path.unlink(missing_ok=True)
        finally:
            self._close_file()

    def _is_ours_still(self) -> bool:
        return self._process == os.getpid() and self._file is not None and self._is_still(self._file)

    def _check_open(self) -> int:
        if self._file is None:
            # Somebody has given it up while this was waiting for its turn.
            raise OSError(errno.EBADF, "the download has been given up", str(self._path))
        return self._file

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        if self._process == os.getpid():
            # Closing alone leaves the lock to a child that was forked meanwhile.
            with suppress(OSError):
                _unlock(file)
        os.close(file)


# A link in the place of the part could lead anywhere.
_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def part_of(target: Path) -> Path:
    """Where the part of `target` lies."""
    return Path(f"{target}.atomhttp.part")


def find_target(path: str | os.PathLike[str], segment: Callable[[], str]) -> Path:
    """Where a download is to end: `path`, or, where that is a directory, a file in it called by the last segment of
    the URL, for which `segment()` is asked.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE.
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str) or not os.fspath(path):
        raise AtomHTTPOptionError(
            f"path: expected the path of a file or directory, got {repr(path)[:80]}", "ERR_BAD_OPTION_VALUE"
        )
    given = os.fspath(path)
    if "\0" in given:
        raise _bad_path(given, "a path cannot hold a NUL character")
    try:
        os.fsencode(given)
    except UnicodeEncodeError:
        raise _bad_path(given, "a path cannot hold half of a character") from None
    # Where it is a link, what it leads to is replaced, and not the link.
    _check_link(Path(given))
    target = Path(os.path.realpath(given))
    # Unlike `Path.is_dir` it says no where it cannot look: opening the file will say why.
    if os.path.isdir(target):
        name = segment()
        if name in ("", ".", "..") or not name.isprintable() or set(name) & set('/\\:*?"<>|'):
            raise _bad_path(given, f"is a directory, and the URL does not end in the name of a file: {name!r}")
        return target / name
    if given.endswith(("/", os.sep)):
        raise _bad_path(given, "there is no such directory")
    return target


def _check_link(path: Path) -> None:
    """Asking where a link leads goes by no rule of the system about which ones to follow."""
    try:
        found = os.lstat(path)
        is_trap = stat.S_ISLNK(found.st_mode) and _is_planted(found, path.parent)
    except OSError:
        # Opening will say why.
        return
    if is_trap:
        raise _bad_path(path, "is a link of somebody else's, in a directory where everybody may put one")


def _is_planted(found: os.stat_result, directory: Path) -> bool:
    """Whether somebody may have put it there for others to fall into: the rule of Linux (`protected_regular`,
    `protected_symlinks`), which not every system has, or has switched on. In any other directory whoever can put
    something there can also replace it later."""
    if sys.platform == "win32":
        return False
    where = os.stat(directory)
    return where.st_mode & _SHARED == _SHARED and found.st_uid not in (os.geteuid(), where.st_uid)


def _check_target(target: Path) -> None:
    """Anything but a file is not ours to replace: `/dev/null` would be gone."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is there, and is no file")


def _is_field(value: object) -> bool:
    """Whether it can be sent in a header field."""
    return isinstance(value, str) and value != "" and value.isprintable()


def _explain(error: OSError, target: Path) -> str:
    why = error.strerror or str(error)
    return why if error.filename in (None, str(target), target) else f"{why}: {str(error.filename)!r}"


def _bad_path(path: object, why: str) -> AtomHTTPOptionError:
    return AtomHTTPOptionError(f"path: {str(path)!r}: {why}", "ERR_BAD_OPTION_VALUE")
