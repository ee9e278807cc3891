"""Secrets never appear in a message, repr, to_dict, log, pickle or traceback text (contract: Errors), in any flavour.

`hostile/test_canaries.py` has every class and code with every carrier, under asyncio; what follows is what could differ
with who waits for a call: the errors of the engine, of a deadline, of a stream, and of what comes before a request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from atomhttp import AtomHTTPError, Timeout
from contract.flavours import Api, wait
from hostile.canaries import CORE, everything_logged, leaks, parts, views
from support.origin import Origin
from support.peer import Peer, close, expect_body, expect_head, reset, send

SECRETS: dict[str, Any] = {
    "params": {"token": CORE, "api_key": CORE, "nested": {"password": CORE}, "plain": "1"},
    "headers": {
        "Authorization": f"Bearer {CORE}",
        "Cookie": f"session={CORE}",
        "Proxy-Authorization": CORE,
        "X-Api-Key": CORE,
        "X-Auth-Token": CORE,
    },
    "data": {"password": CORE, "nested": [{"token": CORE}], "text": CORE},
}


def secret_url(url: str) -> str:
    """`url` with userinfo, and with a query of secrets."""
    return f"{url.replace('://', f'://user:{CORE}@')}?token={CORE}&access_token={CORE}&a=1"


class Struct(msgspec.Struct):
    id: int


Options = dict[str, Any]


FAILURES: dict[str, Callable[[Origin], tuple[str, Options]]] = {
    "status": lambda origin: (f"{origin.url}/status/401", {"validateStatus": True}),
    "timeout": lambda origin: (f"{origin.url}/delay/9", {"timeout": 0.05}),
    "phase timeout": lambda origin: (f"{origin.url}/delay/9", {"timeout": Timeout(read=0.05)}),
    "connection refused": lambda origin: ("http://127.0.0.1:1/", {}),
    "name": lambda origin: ("http://nowhere.test/", {}),
    "tls": lambda origin: (origin.url.replace("http:", "https:"), {}),
    "content limit": lambda origin: (f"{origin.url}/bytes/100", {"maxContentLength": 5}),
    "body limit": lambda origin: (f"{origin.url}/echo", {"maxBodyLength": 5}),
    "decode": lambda origin: (f"{origin.url}/echo", {"response_type": Struct}),
    "url": lambda origin: ("ftp://service.test/", {}),
    "option value": lambda origin: (f"{origin.url}/echo", {"timeout": "soon"}),
    "option": lambda origin: (f"{origin.url}/echo", {"tokn": CORE}),
    "framing": lambda origin: (f"{origin.url}/echo", {"headers": {"Authorization": CORE, "TE": "x"}}),
    "json": lambda origin: (f"{origin.url}/echo", {"data": {"password": CORE, "bad": {CORE}}}),
    "socket": lambda origin: (f"{origin.url}/echo", {"socketPath": "/nowhere"}),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_no_error_shows_a_secret(api: Api, origin: Origin, failure: str) -> None:
    client = api.client()
    url, options = FAILURES[failure](origin)
    # Not written out in the call: traceback text shows source lines.
    merged = {**SECRETS, **options, "headers": {**SECRETS["headers"], **options.get("headers", {})}}
    with everything_logged() as lines, pytest.raises(AtomHTTPError) as caught:
        await client.post(secret_url(url), **merged)
    assert leaks({**views(caught.value), "log": "\n".join(lines)}) == []


BROKEN = {
    "nothing": [close()],
    "a reset": [reset()],
    "a head that is cut": [send(b"HTTP/1.1 200 OK\r\nContent-Le"), close()],
    "content that is cut": [send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01"), close()],
    "no HTTP": [send(b"not http at all\r\n\r\n"), close()],
    "a bad chunk": [
        send(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=%b\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" % CORE.encode()),
        close(),
    ],
}


@pytest.mark.parametrize("name", BROKEN)
async def test_no_error_of_a_broken_peer_shows_a_secret(client: Any, name: str) -> None:
    with Peer([expect_head(), expect_body(), *BROKEN[name]], repeat=True) as peer:
        with everything_logged() as lines, pytest.raises(AtomHTTPError) as caught:
            await client.post(secret_url(peer.url), **SECRETS)
        assert leaks({**views(caught.value), "log": "\n".join(lines)}) == []


async def test_an_error_in_the_process_is_live(api: Api, origin: Origin) -> None:
    client = api.client(validateStatus=True)
    with pytest.raises(AtomHTTPError) as caught:
        await client.post(secret_url(f"{origin.url}/status/500"), **SECRETS)
    error = caught.value
    assert error.config.headers["Authorization"] == f"Bearer {CORE}"
    assert error.config.data is SECRETS["data"]


async def test_an_error_of_a_stream_shows_no_secret(client: Any, origin: Origin) -> None:
    response = await client.get(
        secret_url(f"{origin.url}/bytes/50"), headers=SECRETS["headers"], response_type="stream", maxContentLength=60
    )
    await wait(response.data.read())
    with pytest.raises(AtomHTTPError) as caught:
        await wait(response.data.read())
    assert leaks(views(caught.value)) == []


async def test_what_there_is_to_see_of_a_call_shows_no_secret(api: Api, origin: Origin) -> None:
    client = api.client(
        baseURL=f"{origin.url.replace('://', f'://user:{CORE}@')}/?token={CORE}",
        headers={"X-Api-Key": CORE, "common": {"X-Auth-Token": CORE}},
        params=SECRETS["params"],
    )
    with everything_logged() as lines:
        response = await client.post("/echo", SECRETS["data"])
    shown = {"client": repr(getattr(client, "real", client)), "defaults": repr(client.defaults)}
    shown |= {"dict": repr(client.defaults.to_dict()), "fields": repr(client.defaults.headers)}
    shown |= {**parts("its", response), "response": repr(response), "log": "\n".join(lines)}
    assert leaks(shown) == []


async def test_a_closed_client_shows_no_secret(api: Api) -> None:
    client = api.client()
    await client.close()
    with pytest.raises(AtomHTTPError) as caught:
        await client.post(secret_url("http://service.test/"), **SECRETS)
    assert leaks(views(caught.value)) == []
