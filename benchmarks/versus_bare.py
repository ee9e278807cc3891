"""`python -m benchmarks.versus_bare`: what a request of atomhttp costs, measured against the bare engine.

Both run in one process and take turns in slices of 50 ms, and the cheapest slice of each counts. The machines
this is used on change their speed by half within seconds: taking turns makes both meet the same speeds, and the
minimum leaves out every slice that something else disturbed. It resolves a tenth of a microsecond in ten seconds.
"""

import argparse
import asyncio
import gc
import importlib
import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from msgspec import json

from atomhttp import AtomHTTP, SyncAtomHTTP
from benchmarks.bare import AsyncClient, SyncClient, build_request
from benchmarks.bare_http2 import Http2Client, build_fields
from benchmarks.job import Sample
from benchmarks.measure import pin
from benchmarks.origin import Origin, Target, run_origin
from benchmarks.payloads import SMALL
from benchmarks.peers import trust
from benchmarks.peers.atomhttp import build_options
from benchmarks.worker import drive, drive_sync

SLICE = 0.05
WARM_UP = 0.3

Turn = Callable[[float], Sample]


def is_right_response(response: Any) -> bool:
    return (response.status, response.data) == (200, SMALL)


def is_right_reply(reply: tuple[int, bytes]) -> bool:
    status, body = reply
    return (status, json.decode(body)) == (200, SMALL)


@contextmanager
def open_async(target: Target, uvloop: bool, in_flight: int) -> Iterator[tuple[Turn, Turn]]:
    loop_factory = importlib.import_module("uvloop").new_event_loop if uvloop else None
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        product, bare = runner.run(connect(target, in_flight))
        build = build_fields if target.http2 else build_request
        request = build("GET", target.host, "/json")

        def take_product(seconds: float) -> Sample:
            call = partial(product.get, f"{target.origin}/json")
            return runner.run(drive(call, is_right_response, in_flight, seconds))

        def take_bare(seconds: float) -> Sample:
            call = partial(bare.exchange, request)
            return runner.run(drive(call, is_right_reply, in_flight, seconds))

        yield take_product, take_bare
        runner.run(disconnect(product, bare))


async def connect(target: Target, in_flight: int) -> tuple[AtomHTTP, Any]:
    product = AtomHTTP(maxConnections=max(100, in_flight), **build_options(target))
    create_bare = Http2Client if target.http2 else AsyncClient
    return product, create_bare((target.host, target.port), trust(target))


async def disconnect(product: AtomHTTP, bare: Any) -> None:
    await product.close()
    bare.close()


@contextmanager
def open_sync(target: Target) -> Iterator[tuple[Turn, Turn]]:
    product = SyncAtomHTTP(verify=target.ca or True)
    bare = SyncClient((target.host, target.port), trust(target))
    request = build_request("GET", target.host, "/json")
    take_product = partial(drive_sync, partial(product.get, f"{target.origin}/json"), is_right_response)
    take_bare = partial(drive_sync, lambda: bare.run(bare.exchange(request)), is_right_reply)
    yield take_product, take_bare
    product.close()
    bare.close()


def compare(take_product: Turn, take_bare: Turn, seconds: float) -> None:
    for turn in (take_product, take_bare):
        turn(WARM_UP)
    gc.collect()
    product, bare = [], []
    for _ in range(max(1, round(seconds / SLICE / 2))):
        product.append(take_product(SLICE))
        bare.append(take_bare(SLICE))
    costs = {"atomhttp": micros(product), "bare": micros(bare)}
    print(f"{'':<10}{'least':>9}{'median':>9}   CPU µs a request")
    for name, values in costs.items():
        print(f"{name:<10}{min(values):>9.2f}{statistics.median(values):>9.2f}")
    least, median = (pick(costs["atomhttp"]) / pick(costs["bare"]) for pick in (min, statistics.median))
    # Should one of them alone have met a faster moment, the least ones mislead; neighbours hardly ever differ in that.
    neighbours = statistics.median(one / other for one, other in zip(*costs.values(), strict=True))
    print(f"{'ratio':<10}{least:>9.3f}{median:>9.3f}   {neighbours:.3f} between neighbours")


def micros(samples: list[Sample]) -> list[float]:
    return [sample.cpu / sample.requests * 1e6 for sample in samples]


def share_one_core(origin: Origin) -> None:
    """One request at a time on two cores measures how cores wake each other, and little else."""
    pin([*origin.pids, os.getpid()], {max(os.sched_getaffinity(0))})


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="versus_bare", description="CPU of atomhttp a request, against the bare engine"
    )
    parser.add_argument("--uvloop", action="store_true", help="on uvloop instead of asyncio's own loop")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--tls", action="store_true", help="over TLS")
    how.add_argument("--http2", action="store_true", help="over TLS by HTTP/2")
    parser.add_argument(
        "--sync", action="store_true", help="the synchronous client, one at a time, on the server's core"
    )
    parser.add_argument("--in-flight", type=int, default=64, help="requests at a time (default 64)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long, both together (default 10)")
    arguments = parser.parse_args()
    if arguments.sync and arguments.http2:
        parser.error("the bare engine speaks HTTP/2 on an event loop only")
    with run_origin() as origin:
        target = origin.targets["http2" if arguments.http2 else "tls" if arguments.tls else "plain"]
        if arguments.sync:
            share_one_core(origin)
            pair = open_sync(target)
        else:
            pair = open_async(target, arguments.uvloop, arguments.in_flight)
        with pair as (take_product, take_bare):
            compare(take_product, take_bare, arguments.seconds)


if __name__ == "__main__":
    main()
