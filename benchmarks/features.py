"""`python -m benchmarks.features`: what a feature of atomhttp costs a request, in µs of CPU.

A client without and one with the feature take turns in slices of 50 ms, in one process, as in versus_bare.py: both meet
the same speeds of the machine. What counts is the median of the differences between neighbours; the difference of the
cheapest slices stands beside it. A client that differs in nothing shows how much of all this is noise.
"""

import asyncio
import gc
import itertools
import statistics
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.apart import run_apart
from benchmarks.growth import run_alone
from benchmarks.job import Failure, Sample
from benchmarks.origin import Origin, Target
from benchmarks.payloads import SMALL, SMALL_BYTES
from benchmarks.peers import PRODUCT
from benchmarks.table import Table
from benchmarks.worker import WARM_UP, drive, drive_sync

SLICE = 0.05
IN_FLIGHT = 64

ROWS = ("features", "features-least")

Call = Callable[[], Awaitable[Any]]
Turn = Callable[[], Sample]


@dataclass(frozen=True)
class Feature:
    """Two clients: the options of both, of each, and of the calls of the one with the feature."""

    without: dict[str, Any]
    options: dict[str, Any]
    call: Callable[[], dict[str, Any]] | None = None
    prepare: Callable[[Any, str], object] | None = None
    """Called with the client that has the feature, and the origin."""
    data: Any = None
    """What the response's data is, where it is not the JSON."""


# What a user would write


def give_back(value: Any) -> Any:
    return value


async def give_back_later(value: Any) -> Any:
    return value


def on_progress(loaded: int, total: int) -> None:
    pass


def is_success(status: int) -> bool:
    return 200 <= status < 300


def build_features() -> dict[str, Feature]:
    from atomhttp import AbortController, BearerAuth, Timeout

    numbers = itertools.count()
    signal = AbortController().signal
    return {
        "nothing (the noise)": Feature({}, {}),
        "request interceptor": Feature({}, {}, prepare=lambda client, _: client.interceptors.use(give_back)),
        "request interceptor, async": Feature(
            {}, {}, prepare=lambda client, _: client.interceptors.use(give_back_later)
        ),
        "response interceptor": Feature(
            {}, {}, prepare=lambda client, _: client.interceptors.use(give_back, is_response=True)
        ),
        "transformRequest": Feature({}, {"transformRequest": give_back}),
        "transformResponse": Feature({}, {"transformResponse": give_back}),
        "download progress": Feature({}, {"onDownloadProgress": on_progress}),
        "retry, armed": Feature({}, {"retryConfig": {"max_retries": 3}}),
        "cookie jar, empty": Feature({"cookies": False}, {"cookies": None}),
        "cookie jar, one cookie sent": Feature(
            {}, {}, prepare=lambda client, origin: client.cookies.set("session", "abc", url=origin)
        ),
        "timeout, a number": Feature({"timeout": None}, {"timeout": 30}),
        "timeout, phases": Feature({"timeout": None}, {"timeout": Timeout(total=30, connect=2, read=10)}),
        "auth, bearer": Feature({}, {"auth": BearerAuth("a-token")}),
        "params, new ones each call": Feature({}, {}, call=lambda: {"params": {"page": next(numbers)}}),
        "header, a new value each call": Feature(
            {}, {}, call=lambda: {"headers": {"X-Request-Id": str(next(numbers))}}
        ),
        "maxContentLength": Feature({}, {"maxContentLength": 1_000_000}),
        "validateStatus": Feature({}, {"validateStatus": is_success}),
        "AbortSignal": Feature({}, {}, call=lambda: {"signal": signal}),
        'response_type="text"': Feature({}, {"response_type": "text"}, data=SMALL_BYTES.decode()),
    }


ALL = "AtomHTTP.all over asyncio.gather"
SYNC_ALL = "SyncAtomHTTP.all over one by one"


# In a process of its own


def measure_features(client: str, target: Target, rounds: int, seconds: float) -> dict[str, tuple[list[float], float]]:
    """By case: the median difference of each round, and the difference of the cheapest slices of all rounds."""
    with asyncio.Runner() as runner:
        pairs = dict(build_pairs(runner, target))
        for name, pair in pairs.items():
            for turn in pair:
                repeat_turn(name, turn, WARM_UP if seconds >= 0.3 else SLICE)
        gc.collect()
        medians: dict[str, list[float]] = {name: [] for name in pairs}
        least = {name: (float("inf"), float("inf")) for name in pairs}
        for _ in range(rounds):
            for name, (without, featured) in pairs.items():
                costs = [(micros(without()), micros(featured())) for _ in range(max(2, round(seconds / SLICE / 2)))]
                medians[name].append(statistics.median(one - other for other, one in costs))
                least[name] = tuple(map(min, *costs, least[name]))
        return {name: (medians[name], least[name][1] - least[name][0]) for name in pairs}


def repeat_turn(name: str, turn: Turn, seconds: float) -> None:
    while seconds > 0:
        sample = turn()
        seconds -= sample.seconds


def micros(sample: Sample) -> float:
    return sample.cpu / sample.requests * 1e6


def build_pairs(runner: asyncio.Runner, target: Target) -> Iterator[tuple[str, tuple[Turn, Turn]]]:
    """Each case with the turn of the client without it, and that of the client with it."""
    for name, feature in build_features().items():
        # Two clients each, made anew: nobody begins with connections that another one has warmed.
        plain, special = runner.run(build_calls(feature, target))
        is_special = partial(is_right, SMALL if feature.data is None else feature.data)
        without = partial(take_turn, runner, plain, partial(is_right, SMALL))
        yield name, (without, partial(take_turn, runner, special, is_special))
    yield ALL, runner.run(build_all(runner, target))
    yield SYNC_ALL, build_sync_all(target)


async def build_calls(feature: Feature, target: Target) -> tuple[Call, Call]:
    from atomhttp import AtomHTTP

    url = f"{target.origin}/json"
    plain, special = AtomHTTP(**feature.without), AtomHTTP(**feature.options)
    if feature.prepare is not None:
        feature.prepare(special, target.origin)
    options = feature.call
    if options is None:
        return partial(plain.get, url), partial(special.get, url)
    return partial(plain.get, url), lambda: special.get(url, **options())


def is_right(data: Any, response: Any) -> bool:
    return bool((response.status, response.data) == (200, data))


def take_turn(runner: asyncio.Runner, call: Call, is_right: Callable[[Any], bool]) -> Sample:
    return runner.run(drive(call, is_right, IN_FLIGHT, SLICE))


async def build_all(runner: asyncio.Runner, target: Target) -> tuple[Turn, Turn]:
    """Batches, one after the other; each counts for as many requests as there are in it."""
    from atomhttp import AtomHTTP

    client, url = AtomHTTP(), f"{target.origin}/json"

    def gather() -> Awaitable[Any]:
        return asyncio.gather(*[client.get(url) for _ in range(IN_FLIGHT)])

    def together() -> Awaitable[Any]:
        return AtomHTTP.all([client.get(url) for _ in range(IN_FLIGHT)])

    def take(call: Call) -> Sample:
        return by_batch(runner.run(drive(call, are_right, 1, SLICE)))

    return partial(take, gather), partial(take, together)


def build_sync_all(target: Target) -> tuple[Turn, Turn]:
    from atomhttp import SyncAtomHTTP

    client, url = SyncAtomHTTP(), f"{target.origin}/json"

    def one_by_one() -> Any:
        return [client.get(url) for _ in range(IN_FLIGHT)]

    def together() -> Any:
        return client.all([client.defer.get(url) for _ in range(IN_FLIGHT)])

    def take(call: Callable[[], Any]) -> Sample:
        return by_batch(drive_sync(call, are_right, SLICE))

    return partial(take, one_by_one), partial(take, together)


def are_right(responses: list[Any]) -> bool:
    return len(responses) == IN_FLIGHT and all(is_right(SMALL, response) for response in responses)


def by_batch(sample: Sample) -> Sample:
    return Sample(sample.requests * IN_FLIGHT, sample.seconds, sample.cpu)


# The tables


def measure(origin: Origin, rounds: int, seconds: float, clients: Sequence[str]) -> list[Table]:
    """CPU that each feature adds to a request."""
    title = f"CPU that a feature adds to a request of {PRODUCT}, {IN_FLIGHT} in flight, asyncio"
    median = build_table("features", f"{title}: median difference of neighbouring slices")
    least = build_table("features-least", f"{title}: difference of the cheapest slices")
    if PRODUCT in clients:
        limit = 60 + 60 * rounds * (seconds + 1)
        costs = run_apart(PRODUCT, limit, measure_features, origin.targets["plain"], rounds, seconds)
        if isinstance(costs, Failure):
            median.failures[PRODUCT] = least.failures[PRODUCT] = costs.reason or "not offered"
        else:
            for name, (medians, cheapest) in costs.items():
                median.samples[name] = medians
                least.samples[name] = [cheapest]
    return [median, least]


def build_table(name: str, title: str) -> Table:
    return Table(name, title, "µs", "less", "", samples={}, cpu={}, memory={})


if __name__ == "__main__":
    run_alone("features", "what each feature costs", measure, [PRODUCT], 2.0)
