"""The synchronous client runs the page's code: without async and await, and for concurrent requests with `defer`.

`synchronous` makes the twins that test_seed.py runs. Here: that it changes no more than it says, and the one section
where more has to change. A call of the synchronous client is a response, so what `all` gets has to be a call put off.
"""

from __future__ import annotations

import difflib
import re

import pytest

from atomhttp import SyncAtomHTTP
from examples.page import SECTIONS
from examples.playing import synchronous, text_of
from support.seed_origin import SeedOrigin


@pytest.mark.parametrize("name", SECTIONS.values())
def test_a_twin_differs_by_async_and_await_and_the_clients_name(name: str) -> None:
    ours = text_of(name, {}, is_local=False)
    for line in difflib.ndiff(ours.splitlines(), synchronous(ours).splitlines()):
        if line.startswith("- "):
            assert re.search(r"\basync |\bawait |AtomHTTP|asyncio", line), line
        if line.startswith("+ "):
            assert not re.search(r"\basync\b.*(def|for)|\bawait\b", line), line


def test_concurrent_requests(capsys: pytest.CaptureFixture[str]) -> None:
    # No answer before the third request: one after the other would never get there.
    with SeedOrigin(together=3) as origin, SyncAtomHTTP(baseURL=origin.url) as client:
        tasks = [
            client.defer.get("/posts/1"),
            client.defer.get("/posts/2"),
            client.defer.get("/posts/3"),
        ]
        responses = client.all(tasks)

        for resp in responses:
            print(f"Post {resp.data['id']}: {resp.status}")

        def process_results(res1, res2, res3):
            return {"first": res1.data["title"], "second": res2.data["title"], "third": res3.data["title"]}

        result = SyncAtomHTTP.spread(process_results, *responses)

    assert capsys.readouterr().out.splitlines() == ["Post 1: 200", "Post 2: 200", "Post 3: 200"]
    assert result == {"first": "one", "second": "two", "third": "three"}
    assert origin.high_water == 3
