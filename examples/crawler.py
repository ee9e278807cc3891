"""Looks for broken links on a site, politely: no faster than you say, and only where robots.txt lets it.

    python examples/crawler.py https://docs.example.com/ --depth 3 --gap 0.2
    python examples/crawler.py "$A_STRANGERS_LINK" --public

prints a line a page: what came of it, how many clicks from the first page, its URL. It stays on the site, takes
redirects for links, tries again what fails for a moment, and reads the first 2 MB of a page. `--public` refuses the
addresses of private networks, where a stranger's link may lead. Ctrl+C ends it, and what it has seen is summed up. The
exit status is 1 when there are broken links.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from html.parser import HTMLParser
from time import monotonic
from urllib.parse import urldefrag, urljoin
from urllib.robotparser import RobotFileParser

from atomhttp import AtomHTTP, AtomHTTPError, Response, ResponseStream, Timeout

AGENT = "atomhttp-crawler"
AT_ONCE = 4  # requests under way
LARGEST_PAGE = 2_000_000  # bytes


class Pace:
    """An interceptor that keeps so many seconds between two requests. (`maxRate` is about bytes.)"""

    def __init__(self, gap: float) -> None:
        self.gap = gap
        self._last = 0.0

    async def __call__(self, _: object) -> None:
        # No other task runs before the sleep: each request has a moment of its own.
        now = monotonic()
        self._last = max(now, self._last + self.gap)
        await asyncio.sleep(self._last - now)


class Links(HTMLParser):
    """Where the links of a page point."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        try:
            self.feed(page)
        except AssertionError:
            pass  # how html.parser says that it can make nothing of what follows

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if (tag, name) == ("a", "href") and value]


class Crawler:
    """One crawl of one site. What it remembers are URLs, `max_pages` at the most."""

    def __init__(self, client: AtomHTTP, start: str, max_pages: int) -> None:
        self._client = client
        self._start = self._find_name(start)
        self._site = urljoin(self._start, "/")
        self._max_pages = max_pages
        self._robots = RobotFileParser()
        self._found = {self._start: 0}  # URLs, and their depth
        self.visited = self.broken = 0

    async def read_robots(self) -> float:
        """Learns from robots.txt which pages not to visit; returns how many seconds it wants between two requests."""
        options = {"maxRedirects": 5, "maxContentLength": 500_000}
        response = await self._client.get(f"{self._site}robots.txt", response_type="text", config=options)
        # RFC 9309 section 2.3.1: where there is none all is open, where the server cannot say nothing is.
        rules = response.data if response.ok else "User-agent: *\nDisallow: /" if response.status >= 500 else ""
        self._robots.parse(rules.splitlines())
        return float(self._robots.crawl_delay(AGENT) or 0)

    async def crawl(self, max_depth: int) -> None:
        """Visits the pages, level by level."""
        for depth in range(max_depth + 1):
            level = [url for url, found_at in self._found.items() if found_at == depth]
            await AtomHTTP.all([self._visit(url) for url in level], limit=AT_ONCE)

    async def _visit(self, url: str) -> None:
        depth = self._found[url]
        outcome = "robots"
        if self._robots.can_fetch(AGENT, url):
            self.visited += 1
            try:
                async with await self._client.get(url, response_type="stream") as response:
                    self._note(await read_links(response), url, depth + 1)
                    outcome = str(response.status)
                    self.broken += response.status >= 400
            except AtomHTTPError as error:
                outcome = str(error.code)
                self.broken += 1
        print(f"{outcome:>3} {depth} {url}", flush=True)

    def _note(self, links: list[str], base: str, depth: int) -> None:
        for link in links:
            try:
                url = self._find_name(urljoin(base, link.strip()))
            except ValueError:
                continue  # mailto: and the like
            if url.startswith(self._site) and len(self._found) < self._max_pages:
                self._found.setdefault(url, depth)

    def _find_name(self, url: str) -> str:
        """The URL as it would be sent, so that no page is visited by two names."""
        return urldefrag(self._client.get_uri(url=url)).url


async def read_links(response: Response[ResponseStream]) -> list[str]:
    """The links of a page, or where a redirect points. What is no page is not read."""
    if 300 <= response.status < 400:
        return [response.headers.get("Location", "")]
    if not response.ok or not response.headers.get("Content-Type", "").lower().startswith("text/html"):
        return []
    # The rest is left unread. UTF-8 will do: what a URL is written in looks the same in almost every charset.
    return Links((await response.data.read(LARGEST_PAGE)).decode(errors="replace")).found


async def check(arguments: argparse.Namespace) -> bool:
    """Crawls the site; whether every link is good."""
    pace = Pace(arguments.gap)
    client = AtomHTTP(
        headers={"User-Agent": AGENT},
        timeout=Timeout(total=30),  # a plain 30 would let a page drip for ever
        maxRedirects=0,
        retryConfig={"max_retries": 2, "on_retry": pace},  # interceptors run once a call, not once a retry
        addressGuard="public" if arguments.public else None,
        cookies=False,
    )
    client.interceptors.use(pace)
    async with client:
        crawler = Crawler(client, arguments.url, arguments.max_pages)
        pace.gap = max(pace.gap, await crawler.read_robots())
        try:
            await crawler.crawl(arguments.depth)
        finally:  # Ctrl+C cancels this task
            print(f"{crawler.visited} pages, {crawler.broken} broken")
    return crawler.broken == 0


def main() -> None:
    parser = argparse.ArgumentParser(description="Look for broken links on a site.")
    parser.add_argument("url", help="where to begin")
    parser.add_argument("--depth", type=int, default=2, help="how many clicks to go (default: %(default)s)")
    parser.add_argument("--gap", type=float, default=0.5, help="seconds between two requests (default: %(default)s)")
    parser.add_argument("--max-pages", type=int, default=1000, help="URLs to remember (default: %(default)s)")
    parser.add_argument("--public", action="store_true", help="refuse the addresses of private networks")
    try:
        sys.exit(0 if asyncio.run(check(parser.parse_args())) else 1)
    except AtomHTTPError as error:
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
