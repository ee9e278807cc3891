"""`python -m benchmarks`: run the rows, print the tables; the exit code is 1 if any reply was wrong."""

import argparse
import sys
from pathlib import Path

from benchmarks.measure import ROWS, Measurement
from benchmarks.origin import run_origin
from benchmarks.peers import ASYNC_PEERS, PRODUCT, SYNC_PEERS, YARDSTICK
from benchmarks.report import build_results, print_table, write_json

SMOKE_ROWS = ["get-64", "tls-64", "sync", "stream"]
CLIENTS = list(dict.fromkeys([*ASYNC_PEERS, *SYNC_PEERS]))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="atomhttp beside its peers, against a local nginx")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds (default 7)")
    parser.add_argument("--seconds", type=float, default=1.0, help="time of one client on one row in one round")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument(
        "--clients", nargs="+", choices=CLIENTS, default=CLIENTS, metavar="CLIENT", help=", ".join(CLIENTS)
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample and result there")
    parser.add_argument("--smoke", action="store_true", help="one short round, few rows: does it run at all?")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.rounds, arguments.seconds = 1, 0.2
        arguments.rows, arguments.clients = SMOKE_ROWS, [PRODUCT, YARDSTICK]
    return arguments


def main() -> int:
    arguments = parse_arguments()
    rows = [ROWS[name] for name in arguments.rows]
    with run_origin() as origin:
        measurement = Measurement(origin, rows, arguments.clients, arguments.seconds)
        measurement.run(arguments.rounds)
    for row in rows:
        print_table(row, build_results(row, measurement.samples))
    if arguments.json:
        settings = {"rounds": arguments.rounds, "seconds": arguments.seconds}
        write_json(arguments.json, rows, measurement.samples, measurement.failures, settings)
    for (row_name, client), reason in measurement.failures.items():
        print(f"\n{client} failed on {row_name}:\n{reason}", file=sys.stderr)
    return 1 if measurement.failures else 0


if __name__ == "__main__":
    sys.exit(main())
