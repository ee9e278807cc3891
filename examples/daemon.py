"""Talks to a daemon on a unix socket: Docker, or another one with its API.

    python examples/daemon.py list
    python examples/daemon.py events --count 10
    python examples/daemon.py stop web
    python examples/daemon.py --socket $XDG_RUNTIME_DIR/podman/podman.sock list

`list` prints a container a line. `events` prints what happens as it happens, until Ctrl+C. When the daemon refuses
something, the user is told why in the daemon's own words.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import islice
from typing import TypedDict
from urllib.parse import quote

from atomhttp import AtomHTTPError, AtomHTTPStatusError, SyncAtomHTTP, Timeout


class Container(TypedDict):
    """What is wanted of a container, in the daemon's spelling."""

    Image: str
    Names: list[str]
    Status: str


class Docker:
    """The daemon's API, as far as it is needed. A URL is only a path here: there is no host to name."""

    def __init__(self, socket: str) -> None:
        self._client = SyncAtomHTTP(socketPath=socket, validateStatus=lambda status: status < 400)

    def __enter__(self) -> Docker:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._client.close()

    def containers(self) -> list[Container]:
        """All containers, stopped ones included."""
        return self._client.get("/containers/json", {"all": True}, response_type=list[Container]).data

    def events(self) -> Iterator[str]:
        """What happens, in words. There may be hours between two, and no end: only connecting is timed."""
        with self._client.get("/events", response_type="stream", timeout=Timeout(connect=5)) as response:
            for line in response.data.iter_lines():
                yield describe(line)

    def stop(self, name: str) -> bool:
        """Stops a container; False when that had been done already."""
        # It may take the daemon ten seconds to lose its patience with the container.
        return self._client.post(f"/containers/{quote(name, safe='')}/stop", timeout=30).status != 304


def describe(line: str) -> str:
    try:
        event = json.loads(line)
        return f"{event['Type']} {event['Action']} {event['Actor']['ID'][:12]}"
    except (ValueError, LookupError, TypeError):
        raise ValueError(f"this is no event: {line[:80]!r}") from None


def run(docker: Docker, arguments: argparse.Namespace) -> None:
    match arguments.command:
        case "list":
            for container in docker.containers():
                names = ",".join(name.lstrip("/") for name in container["Names"])
                print(names, container["Image"], container["Status"], sep="\t")
        case "events":
            for event in islice(docker.events(), arguments.count):
                print(event, flush=True)
        case "stop":
            print(arguments.name, "stopped" if docker.stop(arguments.name) else "was not running")


def explain(error: Exception) -> str:
    """What the daemon says about it; where it has not said anything, what has happened."""
    answer = error.response.data if isinstance(error, AtomHTTPStatusError) else None
    return str(answer["message"] if isinstance(answer, dict) and "message" in answer else error)


def main() -> None:
    parser = argparse.ArgumentParser(description="Talk to Docker, on its unix socket.")
    parser.add_argument("--socket", default="/var/run/docker.sock", help="the daemon's socket (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="all containers")
    events = commands.add_parser("events", help="what happens, as it happens")
    events.add_argument("--count", type=int, help="stop after so many")
    commands.add_parser("stop", help="stop a container").add_argument("name")
    arguments = parser.parse_args()
    try:
        with Docker(arguments.socket) as docker:
            run(docker, arguments)
    except (AtomHTTPError, ValueError) as error:
        sys.exit(f"{parser.prog}: {explain(error)}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
