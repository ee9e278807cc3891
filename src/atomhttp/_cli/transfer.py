"""Downloads into files, several at once, and an upload, with bars."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from atomhttp._cli.calls import show_answer, show_attempt, show_heads, show_phases
from atomhttp._cli.exit_codes import ExitCode, FileError
from atomhttp._cli.jobs import Download, Upload
from atomhttp._cli.report import report
from atomhttp._cli.terminal import defuse_line, say
from atomhttp._model.abort import AbortController
from atomhttp._pipeline.download import last_segment
from atomhttp._pipeline.partial_file import find_target, part_of
from atomhttp._pipeline.response import Response
from atomhttp.errors import AtomHTTPError, AtomHTTPOptionError
from atomhttp.progress import ProgressBar
from atomhttp.sync import SyncAtomHTTP

_KEPT: Final = "; what has come is kept, and the same command goes on from there"


def run_transfer(job: Download | Upload) -> ExitCode:
    """Does it.

    Raises:
        AtomHTTPError, OSError: what went wrong with an upload. Downloads report their own failures.
    """
    return _upload(job) if isinstance(job, Upload) else _download_all(job)


# Upload


def _upload(job: Upload) -> ExitCode:
    with SyncAtomHTTP(http2=job.http2) as client:
        return show_answer(
            lambda: client.upload(
                job.url,
                job.file,
                method=job.method,
                field=job.field,
                response_type="stream",
                validate_status=_accept_all,
                on_upload_progress=ProgressBar(job.file.name),
                **job.options,
            ),
            job,
        )


def _accept_all(_: int) -> bool:
    """Also what is a failure is shown first."""
    return True


# Downloads


@dataclass(slots=True)
class _Item:
    """One of the downloads, and what became of it."""

    url: str
    target: Path | None = None
    response: Response[Path] | None = None
    error: BaseException | None = None

    @property
    def name(self) -> str:
        """What it is called to the user."""
        return self.target.name if self.target is not None else self.url

    @property
    def is_kept(self) -> bool:
        """Whether there is a part that the same command can go on with; what was refused before anything was asked for
        would be refused again, whatever lies there."""
        is_refused = isinstance(self.error, (FileError, AtomHTTPOptionError))
        return self.target is not None and not is_refused and part_of(self.target).exists()


def _download_all(job: Download) -> ExitCode:
    items = _plan(job)
    controller = AbortController()
    with SyncAtomHTTP(http2=job.http2) as client:

        def download(item: _Item) -> None:
            _download(client, job, item, controller.signal)

        waiting = [item for item in items if item.error is None]
        try:
            _run_all(waiting, download, job.jobs, controller.abort)
        except KeyboardInterrupt as interrupt:
            for item in waiting:
                # Those that had not begun have no part, and are as little there.
                if item.response is None and not _has_failed(item):
                    item.error = interrupt
    return _summarize(items, job)


def _has_failed(item: _Item) -> bool:
    return isinstance(item.error, Exception) and getattr(item.error, "code", "") != "ERR_CANCELED"


def _plan(job: Download) -> list[_Item]:
    """All of them with their targets, or why there is none."""
    items: list[_Item] = []
    for url in job.urls:
        item = _Item(url)
        try:
            item.target = _find_target(job, url)
            if any(item.target == each.target for each in items):
                raise FileError(f"several URLs end in the name {item.target.name!r}; give each a FILE of its own")
        except (AtomHTTPError, OSError, FileError) as error:
            item.error = error
        items.append(item)
    return items


def _find_target(job: Download, url: str) -> Path:
    if job.file is None:
        job.directory.mkdir(parents=True, exist_ok=True)
    place = job.directory if job.file is None else job.file
    is_named = not place.is_dir()
    target = find_target(place, lambda: last_segment(url))
    if target.exists() and not is_named and not job.overwrite:
        raise FileError(f"{target.name!r} is there already; --overwrite replaces it, FILE gives another name")
    return target


def _run_all(items: list[_Item], download: Callable[[_Item], None], jobs: int, give_up: Callable[[], object]) -> None:
    """Downloads all of them, so many at once.

    Raises:
        KeyboardInterrupt: Ctrl+C; those under way have been given up.
    """
    if len(items) == 1:
        # By this thread, which Ctrl+C reaches wherever it is.
        download(items[0])
        return
    with ThreadPoolExecutor(min(jobs, len(items) or 1)) as pool:
        futures: list[Future[None]] = []
        try:
            futures += [pool.submit(download, item) for item in items]
            wait(futures)
        except KeyboardInterrupt:
            give_up()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    for future in futures:
        future.result()


def _download(client: SyncAtomHTTP, job: Download, item: _Item, signal: Any) -> None:
    assert item.target is not None
    try:
        item.response = client.download(
            item.url,
            item.target,
            resume=job.resume,
            checksum=job.checksum,
            on_download_progress=ProgressBar(item.target.name),
            signal=signal,
            **job.options,
        )
    except Exception as error:  # whatever it is, the others go on; it is reported with them
        item.error = error


# What became of them


def _summarize(items: list[_Item], job: Download) -> ExitCode:
    codes = [_report(item, job, len(items) > 1) for item in items]
    if len(items) > 1:
        saved = codes.count(ExitCode.OK)
        say(f"{saved} of {len(items)} saved")
    return max(codes)


def _report(item: _Item, job: Download, is_one_of_several: bool) -> ExitCode:
    if item.response is not None:
        show_heads(item.response, job.display)
        show_phases(item.response, job.display)
        say(f"saved {defuse_line(item.name)} ({item.response.data.stat().st_size:,} bytes)")
        return ExitCode.OK
    assert item.error is not None
    before = f"{item.name}: " if is_one_of_several else ""
    after = _KEPT if item.is_kept else ""
    if isinstance(item.error, KeyboardInterrupt):
        say(f"atomhttp: {defuse_line(before)}interrupted{after or '; nothing that could be gone on with was kept'}")
        return ExitCode.INTERRUPTED
    if isinstance(item.error, AtomHTTPError):
        show_attempt(item.error, job.display)
    return report(item.error, debug=job.display.debug, before=before, after=after)
