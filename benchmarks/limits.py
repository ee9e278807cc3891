"""What C programs reach against the same server: the ceiling that a row is seen under."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from resource import RUSAGE_CHILDREN, getrusage

from benchmarks.origin import FILE_SIZE
from benchmarks.worker import Failure, Job, Outcome, Sample


def run_curl(job: Job) -> Outcome:
    """Download the big file with curl until the time is over; the seconds are curl's own count."""
    count, seconds = 0, 0.0
    begin_cpu, deadline = cpu_seconds(), time.perf_counter() + job.seconds
    while not count or time.perf_counter() < deadline:
        output = run(
            "curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{size_download} %{time_total}", url(job, "/100mb")
        )
        status, size, elapsed = output.split()
        if (int(status), int(size)) != (200, FILE_SIZE):
            return Failure(f"curl got {status} and {size} bytes")
        count, seconds = count + 1, seconds + float(elapsed)
    return Sample(count, seconds, cpu_seconds() - begin_cpu)


def run_wrk(job: Job) -> Outcome:
    """Ask for the small JSON with wrk; it counts whole seconds only and reports errors, but checks no body."""
    begin_cpu = cpu_seconds()
    duration = max(1, round(job.seconds))
    output = run("wrk", "-t1", f"-c{job.in_flight}", f"-d{duration}s", url(job, "/json"))
    cpu = cpu_seconds() - begin_cpu
    found = re.search(r"(\d+) requests in ([\d.]+)s", output)
    if found is None or "Non-2xx" in output or "Socket errors" in output:
        return Failure(f"wrk said:\n{output}")
    return Sample(int(found[1]), float(found[2]), cpu)


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def url(job: Job, path: str) -> str:
    return job.target.origin + path


def cpu_seconds() -> float:
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


LIMITS: dict[str, Callable[[Job], Outcome]] = {
    name: runner for name, runner in {"curl": run_curl, "wrk": run_wrk}.items() if shutil.which(name)
}
