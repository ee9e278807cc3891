"""Reads a paginated API to its end, however it says where the next page is.

    python examples/pagination.py https://api.github.com/orgs/python/repos
    python examples/pagination.py https://api.example.com/items --cursor cursor --max-pages 5

prints an item a line, as its page arrives, and then how many there were. Some APIs name the next page in a Link field
(GitHub, GitLab; RFC 8288): that is the default. Others put a cursor into their JSON, `{"items": […], "next_cursor":
"…"}`, and want it back as a parameter of the next request: `--cursor` is that parameter's name. A token in API_TOKEN,
an environment variable, goes to the API's own origin only, wherever a Link points.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from atomhttp import AtomHTTP, AtomHTTPError, BearerAuth, Response


@dataclass
class Item:
    """What is wanted of an item; whatever else the API sends is left aside."""

    id: int
    name: str


@dataclass
class Page:
    """The answer of an API with cursors. The last page has none."""

    items: list[Item]
    next_cursor: str | None = None


async def linked_pages(client: AtomHTTP, url: str) -> AsyncIterator[list[Item]]:
    """The pages of an API that names the next one in a Link field."""
    following: str | None = url
    while following is not None:
        response = await client.get(following, response_type=list[Item])
        yield response.data
        following = find_next(response)


async def cursor_pages(client: AtomHTTP, url: str, parameter: str) -> AsyncIterator[list[Item]]:
    """The pages of an API that wants its cursor back in `parameter`."""
    cursor: str | None = None
    while True:
        # None is not sent: the first request has no cursor.
        page = (await client.get(url, {parameter: cursor}, response_type=Page)).data
        yield page.items
        cursor = page.next_cursor
        if not cursor:
            return


def find_next(response: Response[Any]) -> str | None:
    """The URL of the page after this one; None after the last."""
    for url, parameters in re.findall(r"<([^>]*)>([^<]*)", response.headers.get("Link", "")):
        if re.search(r';\s*rel="?next"?\s*(;|,|$)', parameters, re.IGNORECASE):
            return urljoin(response.url, str(url))
    return None


async def print_all(url: str, cursor: str | None, max_pages: int) -> None:
    token = os.environ.get("API_TOKEN")
    client = AtomHTTP(
        baseURL=url,  # what the client's `auth` is for: no other origin gets it
        auth=BearerAuth(token) if token else None,
        validateStatus=True,  # 404 is an error here
        retryConfig=3,
        maxContentLength=10_000_000,  # bytes, of one page
    )
    async with client:
        pages = items = 0
        async for page in cursor_pages(client, url, cursor) if cursor else linked_pages(client, url):
            for item in page:
                print(item.id, item.name)
            pages += 1
            items += len(page)
            if pages == max_pages:
                break
    print(f"{items} items on {pages} pages")


def main() -> None:
    parser = argparse.ArgumentParser(description="Read a paginated API to its end.")
    parser.add_argument("url", help="the first page")
    parser.add_argument("--cursor", metavar="NAME", help="the parameter that takes the cursor; without it: Link fields")
    parser.add_argument("--max-pages", type=int, default=1000, help="stop after so many (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        asyncio.run(print_all(arguments.url, arguments.cursor, arguments.max_pages))
    except AtomHTTPError as error:
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
