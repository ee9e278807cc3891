"""What curl, wrk and h2load reach against the same server: the ceiling that a row is seen under."""

import math
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from resource import RUSAGE_CHILDREN, getrusage

from benchmarks.job import Failure, Job, Outcome, Sample
from benchmarks.payloads import FILE_SIZE

# The server's own limit for one connection, nginx's default.
STREAMS = 128


def run_curl(job: Job) -> Outcome:
    """Transfer the big file with curl until the time is over; the seconds are curl's own count."""
    count, seconds = 0, 0.0
    begin_cpu, deadline = cpu_seconds(), time.perf_counter() + job.seconds
    while not count or time.perf_counter() < deadline:
        elapsed = upload(job) if job.task == "upload" else download(job)
        if isinstance(elapsed, Failure):
            return elapsed
        count, seconds = count + 1, seconds + elapsed
    return Sample(count, seconds, cpu_seconds() - begin_cpu)


def download(job: Job) -> float | Failure:
    told = curl(job, "-o", "/dev/null", "-w", "%{http_code} %{size_download} %{time_total}", job.url)
    status, size, elapsed = told.split()
    if (int(status), int(size)) != (200, FILE_SIZE):
        return Failure(f"WrongReplyError: curl got {status} and {size} bytes")
    return float(elapsed)


def upload(job: Job) -> float | Failure:
    # Not `--data-binary`: that reads the file before the clock starts. Nor does it wait for a "100 Continue".
    told = curl(
        job, "-H", "Expect:", "-T", job.target.file, "-w", "\n%{http_code} %{time_total}", job.target.sink + "/count"
    )
    receipt, _, rest = told.partition("\n")
    status, elapsed = rest.split()
    if (int(status), receipt) != (200, f'{{"received": {FILE_SIZE}}}'):
        return Failure(f"WrongReplyError: curl got {status} and {receipt}")
    return float(elapsed)


def curl(job: Job, *arguments: str) -> str:
    authority = ["--cacert", job.target.ca] if job.target.ca else []
    return run("curl", "-s", "--http2" if job.target.http2 else "--http1.1", *authority, *arguments)


def run_wrk(job: Job) -> Outcome:
    """Ask for the JSON with wrk; it counts whole seconds only and reports errors, but checks no body."""
    begin_cpu = cpu_seconds()
    duration = max(1, round(job.seconds))
    output = run("wrk", "-t1", f"-c{job.in_flight}", f"-d{duration}s", job.url)
    cpu = cpu_seconds() - begin_cpu
    found = re.search(r"(\d+) requests in ([\d.]+)s", output)
    if found is None or "Non-2xx" in output or "Socket errors" in output:
        return Failure(f"wrk said:\n{output}")
    return Sample(int(found[1]), float(found[2]), cpu)


def run_h2load(job: Job) -> Outcome:
    """The same by HTTP/2 with h2load, which keeps as many connections as the server's limit of streams demands."""
    begin_cpu = cpu_seconds()
    connections = math.ceil(job.in_flight / STREAMS)
    shape = "-t1", f"-c{connections}", f"-m{job.in_flight // connections}", "-D", str(max(1, round(job.seconds)))
    output = run("h2load", *shape, job.url)
    cpu = cpu_seconds() - begin_cpu
    found = re.search(r"finished in ([\d.]+)s.*\nrequests: .* (\d+) succeeded, 0 failed, 0 errored, 0 timeout", output)
    if found is None or f"status codes: {found[2]} 2xx" not in output or "Application protocol: h2\n" not in output:
        return Failure(f"h2load said:\n{output}")
    return Sample(int(found[2]), float(found[1]), cpu)


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def cpu_seconds() -> float:
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


LIMITS: dict[str, Callable[[Job], Outcome]] = {
    name: runner
    for name, runner in {"curl": run_curl, "wrk": run_wrk, "h2load": run_h2load}.items()
    if shutil.which(name)
}
