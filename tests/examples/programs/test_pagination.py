"""examples/pagination.py, against APIs of both kinds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from examples.programs.program import run
from support.origin import Answer, Origin, Received
from support.seed_origin import answer

PAGES = [
    [{"id": 1, "name": "ada", "born": 1815}, {"id": 2, "name": "grace", "born": 1906}],
    [{"id": 3, "name": "alan", "born": 1912}],
    [{"id": 4, "name": "edsger", "born": 1930}],
]
ALL = ["1 ada", "2 grace", "3 alan", "4 edsger", "4 items on 3 pages"]


def query(request: Received) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(request.target).query))


def linked(link: Callable[[int], str]) -> Callable[[Received], Answer]:
    """An API whose pages are numbered, and linked by what `link` makes of the next one's number."""

    def reply(request: Received) -> Answer:
        number = int(query(request).get("page", 1))
        page = answer(PAGES[number - 1])
        if number < len(PAGES):
            page.headers.append(("Link", link(number + 1)))
        return page

    return reply


@pytest.mark.parametrize(
    "link",
    [
        '</items?page=1>; rel="first", </items?page={}>; rel="next", </items?page=3>; rel="last"',
        "<?page={}>; rel=next",
        '</items?page={}&sort=a,b>; title="a, b; c"; REL="next"; type="application/json", </next>; rel=last',
    ],
)
def test_pages_that_are_linked(link: str, origin: Origin, tmp_path: Path) -> None:
    origin.routes["/items"] = linked(link.format)
    assert run("pagination.py", f"{origin.url}/items", folder=tmp_path).lines == ALL
    assert [query(request).get("page") for request in origin.requests] == [None, "2", "3"]
    # One client, one connection.
    assert origin.connections == 1


def test_a_link_that_is_not_to_the_next_page(origin: Origin, tmp_path: Path) -> None:
    origin.routes["/items"] = linked(lambda _: '</items?page=1>; rel="prev", </x>; rel="last"; title="next"')
    assert run("pagination.py", f"{origin.url}/items", folder=tmp_path).lines[-1] == "2 items on 1 pages"


def test_pages_with_a_cursor(origin: Origin, tmp_path: Path) -> None:
    def reply(request: Received) -> Answer:
        cursors = {"": "b+/=", "b+/=": "c", "c": None}
        cursor = query(request).get("after", "")
        return answer({"items": PAGES[list(cursors).index(cursor)], "next_cursor": cursors[cursor]})

    origin.routes["/items"] = reply
    done = run("pagination.py", f"{origin.url}/items?size=2", "--cursor", "after", folder=tmp_path)
    assert done.lines == ALL
    assert [query(request) for request in origin.requests] == [
        {"size": "2"},
        {"size": "2", "after": "b+/="},
        {"size": "2", "after": "c"},
    ]


def test_it_stops_after_the_pages_that_were_asked_for(origin: Origin, tmp_path: Path) -> None:
    origin.routes["/items"] = linked("</items?page={}>; rel=next".format)
    done = run("pagination.py", f"{origin.url}/items", "--max-pages", 2, folder=tmp_path)
    assert done.lines == [*ALL[:3], "3 items on 2 pages"]
    assert len(origin.requests) == 2


def test_a_page_that_fails_for_a_moment_is_asked_for_again(origin: Origin, tmp_path: Path) -> None:
    good = linked("</items?page={}>; rel=next".format)
    failures = iter([429, 503])

    def reply(request: Received) -> Answer:
        is_second = query(request).get("page") == "2"
        status = next(failures, None) if is_second else None
        return good(request) if status is None else Answer(status=status, headers=[("Retry-After", "0")])

    origin.routes["/items"] = reply
    assert run("pagination.py", f"{origin.url}/items", folder=tmp_path).lines == ALL
    assert [query(request).get("page") for request in origin.requests] == [None, "2", "2", "2", "3"]


def test_the_token_stays_with_its_origin(origin: Origin, tmp_path: Path) -> None:
    with Origin() as other:
        origin.routes["/items"] = linked(f"<{other.url}/items?page={{}}>; rel=next".format)
        other.routes["/items"] = linked("<?page={}>; rel=next".format)
        done = run("pagination.py", f"{origin.url}/items", folder=tmp_path, API_TOKEN="s3cret")
        assert done.lines == ALL
        assert [request.get("Authorization") for request in origin.requests] == ["Bearer s3cret"]
        assert [request.get("Authorization") for request in other.requests] == [None, None]


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (
            Answer(b"not here", 404),
            r"pagination.py: request failed with status 404 Not Found: http://127.0.0.1:\d+/items",
        ),
        (answer([{"id": 1, "name": "ada"}, {"id": "two", "name": "grace"}]), r"pagination.py: .*\b1\b.*id"),
        (Answer(b"<html>"), r"pagination.py: the body does not fit list\[__main__.Item\]"),
        (Answer(b"[" + b" " * 10_000_000 + b"]"), r"pagination.py: .*10000000"),
    ],
    ids=["status", "shape", "no JSON", "size"],
)
def test_an_api_that_fails(reply: Answer, line: str, origin: Origin, tmp_path: Path) -> None:
    origin.routes["/items"] = lambda _: reply
    done = run("pagination.py", f"{origin.url}/items", folder=tmp_path)
    done.check_failure(f"^{line}")
    assert done.out == ""


def test_an_api_that_is_not_there(tmp_path: Path) -> None:
    with Origin() as gone:
        url = gone.url
    done = run("pagination.py", f"{url}/items", folder=tmp_path)
    done.check_failure(r"^pagination.py: .*refused")


@pytest.mark.parametrize("url", ["items", "http://[::1/"])
def test_a_url_that_is_none(url: str, tmp_path: Path) -> None:
    run("pagination.py", url, folder=tmp_path).check_failure(rf"^pagination.py: .*'{re.escape(url)}'")


def test_a_token_that_is_none(origin: Origin, tmp_path: Path) -> None:
    done = run("pagination.py", f"{origin.url}/items", folder=tmp_path, API_TOKEN="two\nlines")
    done.check_failure("^pagination.py: .*token")
    assert "two" not in done.err
