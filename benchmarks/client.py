"""A client in a process of its own, which sleeps while the others run."""

import multiprocessing
from contextlib import suppress

from benchmarks.environments import find_environment, spawning_in
from benchmarks.job import Failure, Job, Mode, Outcome
from benchmarks.worker import serve

# A client that has not answered so long after its time was over never will.
GRACE = 60.0


class ClientProcess:
    """The process, and the pipe that gives it jobs."""

    def __init__(self, client: str, mode: Mode) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, client, mode), daemon=True)
        with spawning_in(find_environment(client)):
            self.process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self.process.pid or 0

    def run(self, job: Job) -> Outcome:
        try:
            self.pipe.send(job)
            if self.pipe.poll(job.seconds + GRACE):
                outcome: Outcome = self.pipe.recv()
                return outcome
        except (EOFError, OSError):
            self.process.join()
            return Failure(f"the client's process ended with {self.process.exitcode}")
        self.process.kill()
        return Failure("no answer")

    def stop(self) -> None:
        with suppress(OSError):
            self.pipe.send(None)
        self.process.join(5)
        self.process.kill()
        self.process.join()
