"""Downloads many files, some at a time, each with its bar; run again, it goes on where it was.

    python examples/bulk_download.py urls.txt downloads/ --at-once 4

`urls.txt` has a URL a line and behind it, if you like, what the file has to come to: `sha256:9f86d0…`. Files that are
there already are left alone. A connection that breaks off is gone on with, and so is, by the next run, what Ctrl+C or a
failure has left. The exit status is 0 when all files are there, and 1 when one is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from atomhttp import AtomHTTP, AtomHTTPError
from atomhttp.progress import ProgressBar


@dataclass(frozen=True)
class Job:
    """One line of the list."""

    url: str
    path: Path
    checksum: str | None = None


def read_jobs(source: Path, folder: Path) -> list[Job]:
    """The jobs of a list. Empty lines, and those that begin with #, are none.

    Raises:
        ValueError: a line is no job, or its file would have the name of another's.
    """
    jobs: dict[str, Job] = {}
    for number, line in enumerate(source.read_text().splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        name = Path(unquote(urlsplit(words[0]).path)).name
        if len(words) > 2 or name in ("", ".."):
            raise ValueError(f"{source}:{number}: expected the URL of a file, and perhaps a checksum, got {line!r}")
        if name in jobs:
            raise ValueError(f"{source}:{number}: another file is called {name!r}, too: {jobs[name].url}")
        jobs[name] = Job(words[0], folder / name, *words[1:])
    return list(jobs.values())


async def fetch_all(jobs: list[Job], at_once: int, retries: int) -> list[str]:
    """Downloads what is not there; says what has failed."""
    # The default timeout suits files of any size: 30 seconds to the first byte, and then between two pieces.
    async with AtomHTTP(retryConfig=retries) as client:
        missing = [fetch(client, job) for job in jobs if not job.path.exists()]
        return [failure for failure in await AtomHTTP.all(missing, limit=at_once) if failure is not None]


async def fetch(client: AtomHTTP, job: Job) -> str | None:
    """Downloads a file; None, or why that has failed: the others go on."""
    bar = ProgressBar(job.path.name)
    try:
        await client.download(job.url, job.path, checksum=job.checksum, on_download_progress=bar)
    except (AtomHTTPError, OSError) as error:
        return f"{job.path.name}: {error}"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description="Download many files.")
    parser.add_argument("list", type=Path, help="a file with a URL a line")
    parser.add_argument("folder", type=Path, help="where the files go")
    parser.add_argument("--at-once", type=int, default=4, help="how many at the same time (default: %(default)s)")
    parser.add_argument("--retries", type=int, default=5, help="of each file (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        jobs = read_jobs(arguments.list, arguments.folder)
        arguments.folder.mkdir(parents=True, exist_ok=True)
        failures = asyncio.run(fetch_all(jobs, arguments.at_once, arguments.retries))
    except (AtomHTTPError, OSError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:
        print(f"{parser.prog}: stopped; run it again to go on", file=sys.stderr)
        sys.exit(130)
    for failure in failures:
        print(f"{parser.prog}: {failure}", file=sys.stderr)
    print(f"{len(jobs) - len(failures)} of {len(jobs)} files are in {arguments.folder}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
