"""A function in a process of its own, under the interpreter that a client needs."""

import multiprocessing
import os
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.environments import MissingEnvironmentError, find_environment, spawning_in
from benchmarks.job import Failure
from benchmarks.peers import UnsupportedError


def run_apart(client: str, seconds: float, function: Callable[..., Any], *arguments: Any) -> Any:
    """What `function(client, *arguments)` returns, or a Failure; the process is ended after it, whatever it holds open.

    Args:
        seconds: how long it may take.
        function: of a module, so that the other process can import it.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=answer, args=(theirs, function, client, *arguments), daemon=True)
    try:
        with spawning_in(find_environment(client)):
            process.start()
    except MissingEnvironmentError as error:
        return Failure(str(error))
    theirs.close()
    try:
        return ours.recv() if ours.poll(seconds) else Failure(f"no answer after {seconds:.0f} s")
    except EOFError:
        process.join()
        return Failure(f"the client's process ended with {process.exitcode}")
    finally:
        process.kill()
        process.join()
        ours.close()


def answer(pipe: Connection, function: Callable[..., Any], client: str, *arguments: Any) -> None:
    try:
        result = function(client, *arguments)
    except UnsupportedError:
        result = Failure(None)
    except BaseExceptionGroup as group:
        result = Failure(None if group.subgroup(UnsupportedError) else traceback.format_exc())
    except Exception:
        result = Failure(traceback.format_exc())
    pipe.send(result)
    # Not the interpreter's own end: clients that hold ten thousand connections would take leave of each.
    os._exit(0)
