"""What the real HTTP/2 servers answer that have no content of their own: an ASGI application, served by hypercorn.

/json /text /gzip /blob /big     as in `support.http2_servers`
/empty, /status/N                204, that status
/redirect                        302 to /json; any method
/see-other, /keep                303 to /json, 307 to /echo
/cookies/set, /cookies           sets two, says which came
/echo, /count                    the content itself, or how many bytes it had
/head                            method, path, version and fields as JSON
/together/N                      answers when N of these requests are in the application at the same time
"""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from support.http2_content import BIG, BLOB, GZIP_JSON, JSON, TEXT

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Fields = list[tuple[bytes, bytes]]
Answer = tuple[int, Fields, bytes]

PIECE = 65_536
# Seconds. Nobody who waits in /together has to wait longer than a test does.
PATIENCE = 20

PLAIN = [(b"content-type", b"text/plain")]
OF_JSON = [(b"content-type", b"application/json")]
OF_BYTES = [(b"content-type", b"application/octet-stream")]

FIXED: dict[str, Answer] = {
    "/json": (200, OF_JSON, JSON),
    "/text": (200, PLAIN, TEXT),
    "/blob": (200, OF_BYTES, BLOB),
    "/big": (200, OF_BYTES, BIG),
    "/empty": (204, [], b""),
    "/redirect": (302, [(b"location", b"/json")], b""),
    "/see-other": (303, [(b"location", b"/json")], b""),
    "/keep": (307, [(b"location", b"/echo")], b""),
    "/cookies/set": (200, [*PLAIN, (b"set-cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2; Path=/")], b"set"),
}

_together: dict[int, tuple[list[None], asyncio.Event]] = {}


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI 3."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    path = scope["path"]
    content = await _read(receive)
    answer = FIXED.get(path) or await _answer(scope, path, content)
    await _send(send, answer, with_content=scope["method"] != "HEAD")


async def _live(receive: Receive, send: Send) -> None:
    for stage in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{stage}.complete"})


async def _answer(scope: Scope, path: str, content: bytes) -> Answer:
    name, _, argument = path.removeprefix("/").partition("/")
    match name:
        case "echo":
            return 200, OF_BYTES, content
        case "count":
            return 200, OF_JSON, str(len(content)).encode()
        case "status":
            return int(argument), PLAIN, b"no\n"
        case "gzip":
            return _gzip(scope)
        case "head":
            return 200, OF_JSON, json.dumps(_head(scope)).encode()
        case "cookies":
            return 200, OF_JSON, json.dumps(sorted(_cookies(scope))).encode()
        case "together":
            await _meet(int(argument))
            return 200, PLAIN, b"all here"
    return 404, PLAIN, b"no\n"


def _head(scope: Scope) -> dict[str, Any]:
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    return {"method": scope["method"], "path": scope["path"], "version": scope["http_version"], "fields": fields}


def _gzip(scope: Scope) -> Answer:
    if b"gzip" not in dict(scope["headers"]).get(b"accept-encoding", b""):
        return 200, OF_JSON, GZIP_JSON
    return 200, [*OF_JSON, (b"content-encoding", b"gzip")], gzip.compress(GZIP_JSON, mtime=0)


def _cookies(scope: Scope) -> Iterator[str]:
    # One field or several: RFC 9113 8.2.3 leaves it to the client, and servers differ in whether they join them.
    for name, value in scope["headers"]:
        if name == b"cookie":
            yield from value.decode("latin-1").split("; ")


async def _meet(count: int) -> None:
    present, complete = _together.setdefault(count, ([], asyncio.Event()))
    present.append(None)
    if len(present) == count:
        complete.set()
        del _together[count]
    await asyncio.wait_for(complete.wait(), PATIENCE)


async def _read(receive: Receive) -> bytes:
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
    return b"".join(pieces)


async def _send(send: Send, answer: Answer, with_content: bool) -> None:
    status, fields, content = answer
    length = [] if status == 204 else [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*fields, *length]})
    if with_content:
        for start in range(0, len(content), PIECE):
            piece = content[start : start + PIECE]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


# The program: its argument is a list of hypercorn's settings as JSON, one for each door of a different kind


async def serve(doors: list[dict[str, Any]]) -> None:
    """All of them, until SIGTERM: connections that are busy have a moment to finish."""
    from hypercorn.asyncio import serve as serve_door  # only the program needs it
    from hypercorn.config import Config

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    configs = [Config.from_mapping(door) for door in doors]
    app: Any = application
    await asyncio.gather(*(serve_door(app, config, shutdown_trigger=stopped.wait) for config in configs))


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
