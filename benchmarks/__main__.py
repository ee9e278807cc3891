"""`python -m benchmarks`: run the rows, print the tables; the exit code is 1 if any reply was wrong."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import charts, features, growth, imports, latency, memory
from benchmarks.machine import describe_machine
from benchmarks.measure import measure_row
from benchmarks.origin import Origin, run_origin
from benchmarks.peers import CLIENTS, PRODUCT, YARDSTICK
from benchmarks.report import print_summary, print_table, write_json
from benchmarks.rows import ROWS
from benchmarks.table import Table

# Everything that is not requests a second: each has ROWS, the names of its tables, and measure().
MODULES = (latency, memory, imports, features, growth)
ALL_ROWS = [*ROWS, *(name for module in MODULES for name in module.ROWS)]

# One for each kind of work; of every other module all.
SMOKE_ROWS = [
    "get-64",
    "tls-uvloop-64",
    "http2-64",
    "upload-http2",
    "sync-one-core",
    "post-64",
    "gzip-16",
    "form-8",
    "stream",
    "upload-tls",
    "origins-64",
]
SMOKE_ROWS += ALL_ROWS[len(ROWS) :]

WHOLE = {"rounds": 7, "seconds": 1.0, "rows": ALL_ROWS, "clients": CLIENTS}
SMOKE = {"rounds": 1, "seconds": 0.1, "rows": SMOKE_ROWS, "clients": [PRODUCT, YARDSTICK]}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="atomhttp beside its peers, against a local nginx")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (default 7)")
    parser.add_argument("--seconds", type=float, help="time of one client on one row in one round (default 1)")
    parser.add_argument("--rows", nargs="+", choices=ALL_ROWS, metavar="ROW", help=", ".join(ALL_ROWS))
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, metavar="CLIENT", help=", ".join(CLIENTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample and result there")
    parser.add_argument("--charts", type=Path, metavar="DIRECTORY", help="draw the tables there")
    parser.add_argument(
        "--smoke", action="store_true", help="does it all run? one short round, atomhttp and bare; any failure counts"
    )
    arguments = parser.parse_args()
    for name, value in (SMOKE if arguments.smoke else WHOLE).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


def measure(origin: Origin, arguments: argparse.Namespace) -> Iterator[Table]:
    """The tables that were asked for, each as soon as it is whole."""
    settings = arguments.rounds, arguments.seconds, arguments.clients
    for name in ROWS:
        if name in arguments.rows:
            yield measure_row(origin, ROWS[name], *settings)
    for module in MODULES:
        yield from measure_module(module, origin, arguments)


def measure_module(module: ModuleType, origin: Origin, arguments: argparse.Namespace) -> list[Table]:
    if not set(module.ROWS) & set(arguments.rows):
        return []
    print(f"{module.__name__} ...", file=sys.stderr)
    tables = module.measure(origin, arguments.rounds, arguments.seconds, arguments.clients)
    return [table for table in tables if table.name in arguments.rows]


def report_failures(tables: Sequence[Table], any_counts: bool) -> int:
    """Tell what failed. A wrong reply of anyone fails the run, and so does the product; a peer may break alone."""
    status = 0
    for table in tables:
        for client, reason in table.failures.items():
            print(f"\n{client} failed on {table.name}:\n{reason}", file=sys.stderr)
            if any_counts or client in (PRODUCT, YARDSTICK) or "WrongReplyError" in reason:
                status = 1
    return status


def draw(tables: Sequence[Table], machine: dict[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.charts:
        charts.draw(tables, machine, arguments.charts)
    elif arguments.smoke:
        with tempfile.TemporaryDirectory() as directory:
            charts.draw(tables, machine, Path(directory))


def main() -> int:
    arguments = parse_arguments()
    machine = describe_machine()
    tables: list[Table] = []
    with run_origin() as origin:
        for table in measure(origin, arguments):
            print_table(table)
            tables.append(table)
            # After each: a run takes long, and may be stopped.
            if arguments.json:
                write_json(arguments.json, tables, machine, {"rounds": arguments.rounds, "seconds": arguments.seconds})
    print_summary(tables)
    draw(tables, machine, arguments)
    return report_failures(tables, any_counts=arguments.smoke)


if __name__ == "__main__":
    sys.exit(main())
