"""`python -m benchmarks.imports`: how long it takes to import a client, each time in a fresh interpreter.

What is imported is what its documentation begins with. Over asyncio and ssl means that those two, which a program with
a network client has anyway, are there already. Bytecode is compiled before the clock starts.
"""

import json
import subprocess
from collections.abc import Sequence

from benchmarks.environments import MissingEnvironmentError, find_environment
from benchmarks.growth import run_alone
from benchmarks.origin import Origin
from benchmarks.peers import PRODUCT, PUBLISHED
from benchmarks.table import Table

STATEMENTS = {
    PRODUCT: "from atomhttp import AtomHTTP, SyncAtomHTTP",
    "wreq": "from wreq import Client",
    "pyreqwest": "from pyreqwest.client import ClientBuilder",
    "aiohttp": "from aiohttp import ClientSession",
    "aiosonic": "from aiosonic import HTTPClient",
    "niquests": "from niquests import AsyncSession",
    "httpx2": "from httpx2 import AsyncClient",
    "curl_cffi": "from curl_cffi import AsyncSession",
    PUBLISHED: "from atomhttp import AtomHTTP",
    "urllib3": "from urllib3 import PoolManager",
    "requests": "from requests import Session",
}
BASE = "asyncio + ssl"
OVER = "import asyncio, ssl"

ROWS = ("imports", "imports-cpu", "imports-whole")

# argv: sys.path, what is there before, what is imported.
IMPORT = """
import sys, json
sys.path[:] = json.loads(sys.argv[1])
exec(sys.argv[2])
import time
wall, cpu = time.perf_counter(), time.process_time()
exec(sys.argv[3])
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def measure(origin: Origin, rounds: int, seconds: float, clients: Sequence[str]) -> list[Table]:
    """Milliseconds by the clock and of CPU over asyncio and ssl, and by the clock in an interpreter with nothing."""
    tables = [
        build_table("imports", "Import of a client, over asyncio and ssl"),
        build_table("imports-cpu", "Import of a client, over asyncio and ssl, CPU time"),
        build_table("imports-whole", "Import of a client, in an interpreter that has imported nothing"),
    ]
    over, cpu, whole = tables
    statements = {client: statement for client, statement in STATEMENTS.items() if client in clients}
    # The first time only compiles and fills the system's caches. More than the rounds of others: each takes so little.
    for number in range(-1, max(5 * rounds if seconds >= 0.3 else rounds, 1)):
        if number >= 0:
            whole.samples.setdefault(BASE, []).append(run_import(PRODUCT, "", OVER)[0])
        for client, statement in statements.items():
            try:
                clock, spent = run_import(client, OVER, statement)
                alone, _ = run_import(client, "", statement)
            except (MissingEnvironmentError, subprocess.CalledProcessError) as error:
                for table in tables:
                    table.failures[client] = getattr(error, "stderr", None) or str(error)
                continue
            if number >= 0:
                over.samples.setdefault(client, []).append(clock)
                cpu.samples.setdefault(client, []).append(spent)
                whole.samples.setdefault(client, []).append(alone)
    return tables


def build_table(name: str, title: str) -> Table:
    return Table(name, title, "ms", "less", "aiohttp", samples={}, cpu={}, memory={})


def run_import(client: str, before: str, statement: str) -> tuple[float, float]:
    """Milliseconds by the clock and of CPU.

    Raises:
        MissingEnvironmentError, CalledProcessError.
    """
    environment = find_environment(client)
    command = [environment.python, "-I", "-c", IMPORT, json.dumps(environment.path), before, statement]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    clock, cpu = map(float, told.split())
    return clock * 1e3, cpu * 1e3


if __name__ == "__main__":
    run_alone("imports", "import time of each client", measure, list(STATEMENTS), 1.0)
