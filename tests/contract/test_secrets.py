"""Secrets never appear in a message, repr, to_dict, log, pickle or traceback text (contract: Errors)."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from atomhttp import AtomHTTPError, Timeout
from contract.flavours import Api, wait
from support.origin import Origin
from support.peer import Peer, close, expect_head, send

CANARY = "c4n4ry"

SECRETS: dict[str, Any] = {
    "params": {"token": CANARY, "api_key": CANARY, "nested": {"password": CANARY}, "plain": "1"},
    "headers": {
        "Authorization": f"Bearer {CANARY}",
        "Cookie": f"session={CANARY}",
        "Proxy-Authorization": CANARY,
        "X-Api-Key": CANARY,
        "X-Auth-Token": CANARY,
    },
    "data": {"password": CANARY, "nested": [{"token": CANARY}], "text": CANARY},
}


def secret_url(url: str) -> str:
    """`url` with userinfo, and with a query of secrets."""
    return f"{url.replace('://', f'://user:{CANARY}@')}?token={CANARY}&access_token={CANARY}&a=1"


class Struct(msgspec.Struct):
    id: int


Options = dict[str, Any]
Provoked = dict[str, Callable[[Origin], tuple[str, Options]]]


FAILURES: Provoked = {
    "status": lambda origin: (f"{origin.url}/status/401", {"validateStatus": True}),
    "timeout": lambda origin: (f"{origin.url}/delay/9", {"timeout": 0.05}),
    "phase timeout": lambda origin: (f"{origin.url}/delay/9", {"timeout": Timeout(read=0.05)}),
    "connection refused": lambda origin: ("http://127.0.0.1:1/", {}),
    "name": lambda origin: ("http://nowhere.test/", {}),
    "tls": lambda origin: (origin.url.replace("http:", "https:"), {}),
    "content limit": lambda origin: (f"{origin.url}/bytes/100", {"maxContentLength": 5}),
    "body limit": lambda origin: (f"{origin.url}/echo", {"maxBodyLength": 5}),
    "decode": lambda origin: (f"{origin.url}/bytes/100", {"response_type": Struct}),
    "echoed decode": lambda origin: (f"{origin.url}/echo", {"response_type": Struct}),
    "url": lambda origin: ("ftp://service.test/", {}),
    "url without host": lambda origin: ("http:///path", {}),
    "url with blank": lambda origin: ("http://a b/", {}),
    "option value": lambda origin: (f"{origin.url}/echo", {"timeout": "soon"}),
    "option": lambda origin: (f"{origin.url}/echo", {"tokn": CANARY}),
    "header value": lambda origin: (f"{origin.url}/echo", {"headers": {"Authorization": f"{CANARY}\n"}}),
    "header type": lambda origin: (f"{origin.url}/echo", {"headers": {"Authorization": {"v": CANARY}}}),
    "framing": lambda origin: (f"{origin.url}/echo", {"headers": {"Authorization": CANARY, "TE": "x"}}),
    "json": lambda origin: (f"{origin.url}/echo", {"data": {"password": CANARY, "bad": {CANARY}}}),
    "two bodies": lambda origin: (f"{origin.url}/echo", {"json": {"password": CANARY}}),
    "params": lambda origin: (f"{origin.url}/echo", {"params": {"token": {"list": {CANARY}}}}),
    "socket": lambda origin: (f"{origin.url}/echo", {"socketPath": "/nowhere"}),
}


def everything_about(error: BaseException) -> str:
    """All that a person or a file may get to see of an error."""
    shown = [str(error), repr(error), "".join(traceback.format_exception(error))]
    if isinstance(error, AtomHTTPError):
        pickled = pickle.dumps(error)
        revived = pickle.loads(pickled)
        shown += [repr(error.to_dict()), pickled.decode("latin-1"), str(revived), repr(revived.to_dict())]
        shown += [repr(error.config), repr(error.request), repr(error.response)]
    return "\n".join(shown)


@pytest.mark.parametrize("failure", FAILURES)
async def test_no_error_shows_a_secret(
    api: Api, origin: Origin, caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    caplog.set_level(logging.DEBUG)
    client = api.client()
    url, options = FAILURES[failure](origin)
    # Not written out in the call: traceback text shows source lines.
    merged = {**SECRETS, **options, "headers": {**SECRETS["headers"], **options.get("headers", {})}}
    with pytest.raises((AtomHTTPError, ValueError)) as caught:
        await client.post(secret_url(url), **merged)
    assert CANARY not in everything_about(caught.value)
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01",
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nbad",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: %s\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" % CANARY.encode(),
    ],
)
async def test_no_error_of_a_broken_peer_shows_a_secret(
    client: Any, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Peer([expect_head(), send(answer), close()], repeat=True) as peer:
        with pytest.raises(AtomHTTPError) as caught:
            await client.get(secret_url(peer.url), headers=SECRETS["headers"], params=SECRETS["params"])
        assert CANARY not in everything_about(caught.value)
        assert CANARY not in caplog.text


async def test_a_status_error_in_a_pickle_shows_no_secret_of_its_response(
    api: Api, origin: Origin, answer: Any
) -> None:
    url = answer(b"{}", "application/json", 401, headers=[("Set-Cookie", f"session={CANARY}")])
    client = api.client(headers=SECRETS["headers"])
    with pytest.raises(AtomHTTPError) as caught:
        await client.get(url, validateStatus=True)
    assert CANARY not in everything_about(caught.value)


async def test_an_error_in_the_process_is_live(api: Api, origin: Origin) -> None:
    client = api.client(validateStatus=True)
    with pytest.raises(AtomHTTPError) as caught:
        await client.post(secret_url(f"{origin.url}/status/500"), **SECRETS)
    error = caught.value
    assert error.config.headers["Authorization"] == f"Bearer {CANARY}"
    assert error.config.data is SECRETS["data"]


async def test_an_error_of_a_stream_shows_no_secret(client: Any, origin: Origin) -> None:
    response = await client.get(
        secret_url(f"{origin.url}/bytes/50"), headers=SECRETS["headers"], response_type="stream", maxContentLength=60
    )
    await wait(response.data.read())
    with pytest.raises(AtomHTTPError) as caught:
        await wait(response.data.read())
    assert CANARY not in everything_about(caught.value)


def test_reprs_of_clients_and_configs_show_no_secret(api: Api) -> None:
    client = api.client_class(
        baseURL=f"http://user:{CANARY}@service.test/?token={CANARY}",
        headers=SECRETS["headers"],
        params=SECRETS["params"],
    )
    shown = repr(client) + repr(client.defaults) + repr(client.defaults.headers) + repr(client.defaults.to_dict())
    assert CANARY not in shown


async def test_a_closed_client_shows_no_secret(api: Api) -> None:
    client = api.client()
    await client.close()
    with pytest.raises(AtomHTTPError) as caught:
        await client.post(secret_url("http://service.test/"), **SECRETS)
    assert CANARY not in everything_about(caught.value)
