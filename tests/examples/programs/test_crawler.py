"""examples/crawler.py, on sites of its own."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.programs.program import Done, finish, run, start
from support.origin import Answer, Origin
from support.server import PATIENCE

# So fast that the tests need not wait.
FAST = ("--gap", 0)


def page(*links: str, status: int = 200) -> Answer:
    anchors = "\n".join(f'<li><a class=x href="{link}">{link}</a>' for link in links)
    return Answer(f"<!doctype html><ul>{anchors}</ul>".encode(), status, [("Content-Type", "text/html; charset=utf-8")])


class Site(Origin):
    """Pages, by their paths. Everything else is not found."""

    def __init__(self, pages: dict[str, Answer], robots: str | None = None) -> None:
        super().__init__()
        self.pages = pages
        if robots is not None:
            pages["/robots.txt"] = Answer(robots.encode(), headers=[("Content-Type", "text/plain")])
        self.routes = {path: lambda request: pages[request.path] for path in pages}

    @property
    def asked(self) -> list[str]:
        return [request.target for request in self.requests]


@pytest.fixture
def site() -> Iterator[Site]:
    pages = {
        "/": page("/a", "b?q=1&amp;r=2", "/a#part", "#top", "mailto:x@y.test", "http://other.test/", "/private/x"),
        "/a": page("/", "/moved", "/missing", "/file.zip"),
        "/b": page("/deep", "http://[broken", "/sp ace", "/é", "javascript:void(0)", ""),
        "/deep": page("/deeper"),
        "/deeper": page("/deepest"),
        "/moved": Answer(status=302, headers=[("Location", "/target")]),
        "/target": page(),
        "/sp%20ace": page(),
        "/%C3%A9": page(),
        "/file.zip": Answer(b"PK" * 5_000_000, headers=[("Content-Type", "application/zip")]),
    }
    with Site(pages, "User-agent: *\nDisallow: /private/\n") as running:
        yield running


def crawl(site: Origin, folder: Path, *options: object) -> Done:
    return run("crawler.py", site.url, *FAST, *options, folder=folder)


def found(done: Done, site: Origin) -> dict[str, str]:
    """What came of each page, and its depth, by its path."""
    lines = [line.split() for line in done.out.splitlines()[:-1]]
    assert len({url for _, _, url in lines}) == len(lines), "a page was visited twice"
    return {url.removeprefix(site.url): f"{outcome} {depth}" for outcome, depth, url in lines}


def test_a_site(site: Site, tmp_path: Path) -> None:
    done = crawl(site, tmp_path)
    assert found(done, site) == {
        "/": "200 0",
        "/a": "200 1",
        "/b?q=1&r=2": "200 1",
        "/private/x": "robots 1",
        "/moved": "302 2",
        "/missing": "404 2",
        "/file.zip": "200 2",
        "/deep": "200 2",
        "/sp%20ace": "200 2",
        "/%C3%A9": "200 2",
    }
    assert done.out.splitlines()[-1] == "9 pages, 1 broken"
    assert (done.code, done.err) == (1, "")
    assert site.asked[0] == "/robots.txt"
    assert "/private/x" not in site.asked
    assert {request.get("User-Agent") for request in site.requests} == {"atomhttp-crawler"}


def test_a_site_without_a_broken_link(site: Site, tmp_path: Path) -> None:
    site.pages["/a"] = page("/moved")
    done = crawl(site, tmp_path, "--depth", 3)
    assert (done.code, done.err) == (0, "")
    assert found(done, site)["/target"] == "200 3"
    assert found(done, site)["/deeper"] == "200 3"


def test_it_begins_where_it_is_told(site: Site, tmp_path: Path) -> None:
    done = run("crawler.py", f"{site.url}/deep#x", *FAST, "--depth", 0, folder=tmp_path)
    assert done.lines == [f"200 0 {site.url}/deep", "1 pages, 0 broken"]


def test_it_remembers_no_more_than_it_may(tmp_path: Path) -> None:
    with Site({"/": page(*(f"/{number}" for number in range(100)))}) as site:
        done = crawl(site, tmp_path, "--max-pages", 7)
    assert done.out.splitlines()[-1] == "7 pages, 6 broken"


def test_no_more_than_the_beginning_of_a_page_is_read(tmp_path: Path) -> None:
    large = page("/near")
    large.body += b" " * 3_000_000 + b'<a href="/far">'
    with Site({"/": large, "/near": page()}) as site:
        done = crawl(site, tmp_path)
    assert found(done, site) == {"/": "200 0", "/near": "200 1"}


def test_a_page_that_the_parser_cannot_read_to_its_end(tmp_path: Path) -> None:
    odd = page("/near")
    odd.body += b"<![odd[x]]><a href='/far'>"
    with Site({"/": odd, "/near": page()}) as site:
        done = crawl(site, tmp_path)
    assert found(done, site) == {"/": "200 0", "/near": "200 1"}


@pytest.mark.parametrize(
    ("robots", "outcome"),
    [
        (Answer(b"User-agent: *\nDisallow: /"), "robots"),
        (Answer(b"User-agent: atomhttp-crawler\nDisallow: /\n\nUser-agent: *\nAllow: /"), "robots"),
        (Answer(b"User-agent: another\nDisallow: /"), "200"),
        (Answer(status=404), "200"),
        (Answer(status=301, headers=[("Location", "/r")]), "robots"),
        (Answer(status=503, headers=[("Retry-After", "0")]), "robots"),
    ],
)
def test_robots(robots: Answer, outcome: str, tmp_path: Path) -> None:
    pages = {"/": page(), "/robots.txt": robots, "/r": Answer(b"User-agent: *\nDisallow: /")}
    with Site(pages) as site:
        assert found(crawl(site, tmp_path), site) == {"/": f"{outcome} 0"}


def test_requests_keep_their_distance(tmp_path: Path) -> None:
    """Retries, too."""
    times: list[float] = []

    def note(answer: Answer) -> Answer:
        times.append(time.monotonic())
        return answer

    answers = iter([page(status=503), page("/1", "/2", "/3", "/4")])
    with Site({}, "") as site:
        site.routes["/"] = lambda _: note(next(answers))
        for number in range(1, 5):
            site.routes[f"/{number}"] = lambda _: note(page())
        done = run("crawler.py", site.url, "--gap", 0.25, folder=tmp_path)
    assert done.lines[-1] == "5 pages, 0 broken"
    assert len(times) == 6
    # Five gaps of 0.25 s; the first of them may have been noted late.
    assert times[-1] - times[0] > 1.1


def test_what_robots_txt_wants_is_slower(tmp_path: Path) -> None:
    with Site({"/": page("/1"), "/1": page()}, "User-agent: *\nCrawl-delay: 1") as site:
        began = time.monotonic()
        assert crawl(site, tmp_path).code == 0
        assert time.monotonic() - began > 1


def test_a_stranger_does_not_lead_into_our_network(site: Site, tmp_path: Path) -> None:
    crawl(site, tmp_path, "--public").check_failure("^crawler.py: .*addressGuard refuses 127.0.0.1")
    assert site.connections == 0


def test_a_page_that_cannot_be_had(tmp_path: Path) -> None:
    """An error of one page is a line, and ends nothing."""

    def cut(_: object) -> Answer:
        return Answer(b"x" * 10, headers=[("Content-Type", "text/html"), ("Content-Encoding", "gzip")])

    with Site({"/": page("/cut", "/good"), "/good": page()}) as site:
        site.routes["/cut"] = cut
        done = crawl(site, tmp_path)
    assert found(done, site) == {"/": "200 0", "/cut": "ERR_BAD_RESPONSE 1", "/good": "200 1"}
    assert (done.code, done.err) == (1, "")


def test_ctrl_c(tmp_path: Path) -> None:
    with Site({"/": page(*(f"/{number}" for number in range(9)))}) as site:

        def hold(_: object) -> Answer:
            site.release.wait(PATIENCE)
            return page()

        for number in range(9):
            site.routes[f"/{number}"] = hold
        with start("crawler.py", site.url, *FAST, folder=tmp_path) as process:
            # robots.txt, the first page, and as many at once as there may be.
            site.wait_for_requests(6)
            process.send_signal(signal.SIGINT)
            done = finish(process)
        assert len(site.requests) == 6
    assert (done.code, done.err) == (130, "")
    assert done.out.splitlines() == [f"200 0 {site.url}/", "5 pages, 0 broken"]


def test_a_page_that_draws_on_the_terminal(tmp_path: Path) -> None:
    with Site({"/": page("/&#27;[2J&#10;&#7;x")}) as site:
        done = crawl(site, tmp_path)
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", done.out)


def test_an_option_that_makes_no_sense(tmp_path: Path) -> None:
    done = run("crawler.py", "http://127.0.0.1/", "--gap", "x", folder=tmp_path)
    assert done.code == 2
    assert re.search("error: argument --gap: ", done.err.splitlines()[-1])


def test_a_url_that_is_none(tmp_path: Path) -> None:
    run("crawler.py", "ftp://127.0.0.1/", folder=tmp_path).check_failure("^crawler.py: 'ftp://127.0.0.1/'")


def test_a_site_that_is_not_there(tmp_path: Path) -> None:
    with Origin() as gone:
        pass
    crawl(gone, tmp_path).check_failure("^crawler.py: .*refused")


def test_pages_come_level_by_level(site: Site, tmp_path: Path) -> None:
    depths = [int(line.split()[1]) for line in crawl(site, tmp_path).out.splitlines()[:-1]]
    assert depths == sorted(depths)
