"""`retryConfig`, and the one safe resend without it (contract: Retry).

What needs a clock is in `net/test_retry_clock`; the shape of the option in `unit/_model/test_retry_config`.
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import io
import os
import pickle
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atomhttp import (
    AdapterResponse,
    AtomHTTP,
    AtomHTTPClosedError,
    AtomHTTPDecodeError,
    AtomHTTPError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPProtocolError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    AtomHTTPTLSError,
    Attempt,
    FormData,
    Response,
    RetryInfo,
    Timeout,
)
from contract.flavours import Api, collect, each, wait
from support.framing import read_body, read_head
from support.origin import Answer, Origin, Received, pattern
from support.peer import Peer, drain, expect_body, expect_end, expect_head, send
from support.peer import close as close_step
from support.peer import wait as wait_step
from support.server import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"

# Tries again at once.
FAST = {"backoff_factor": 0}

LISTED = (408, 425, 429, 500, 502, 503, 504)
IDEMPOTENT = ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY")
OTHERS = ("POST", "PATCH", "PURGE")


def flaky(origin: Origin, *answers: int | Answer, path: str = "/flaky", status: int = 200) -> str:
    """A URL that gives these answers, one a request, and then `status` for ever."""
    left = [each if isinstance(each, Answer) else Answer(b"failed", each) for each in answers]

    def reply(_request: Received) -> Answer:
        return left.pop(0) if left else Answer(b"fine", status)

    origin.routes[path] = reply
    return f"{origin.url}{path}"


def outcomes(answered: Response[Any] | AtomHTTPError) -> list[int | str | None]:
    """What each attempt came to."""
    return [each.status if each.error is None else each.error for each in answered.attempts]


async def failure(call: Any, kind: type[BaseException] = AtomHTTPError) -> Any:
    with pytest.raises(kind) as caught:
        await call
    return caught.value


# retryConfig: None, True, {}, an int, False


async def test_retry_config_none_retries_nothing(api: Api, origin: Origin) -> None:
    url = flaky(origin, 503)
    response = await api.client().get(url)
    assert (response.status, outcomes(response)) == (503, [503])
    url = flaky(origin, 503)
    response = await api.client(retryConfig=FAST).get(url, retryConfig=None)
    assert (response.status, outcomes(response)) == (503, [503])


@pytest.mark.parametrize("given", [True, {}])
async def test_true_and_an_empty_mapping_are_the_defaults(client: Any, origin: Origin, given: Any) -> None:
    response = await client.get(flaky(origin, 503), retryConfig=given)
    assert (response.status, outcomes(response)) == (200, [503, 200])
    # Full jitter on 0.3 s.
    assert 0 <= response.attempts[1].wait <= 0.3


@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_an_int_is_attempts_after_the_first(api: Api, origin: Origin, retries: int) -> None:
    response = await api.client(retryConfig=FAST).get(flaky(origin, status=503), retryConfig=retries)
    assert outcomes(response) == [503] * (1 + retries)
    assert len(origin.requests) == 1 + retries


async def test_max_retries_is_3_by_default(client: Any, origin: Origin) -> None:
    response = await client.get(flaky(origin, status=503), retryConfig=FAST)
    assert (response.status, response.text) == (503, "fine")
    assert outcomes(response) == [503] * 4


@pytest.mark.parametrize("word", ["max_retries", "maxRetries", "retries", "total"])
async def test_the_number_of_retries_has_these_names(client: Any, origin: Origin, word: str) -> None:
    response = await client.get(flaky(origin, status=500), retryConfig={**FAST, word: 1})
    assert len(response.attempts) == 2


@pytest.mark.parametrize("status", LISTED)
async def test_the_listed_statuses_are_retried(client: Any, origin: Origin, status: int) -> None:
    response = await client.get(flaky(origin, status), retryConfig=FAST)
    assert outcomes(response) == [status, 200]


@pytest.mark.parametrize("status", [200, 204, 400, 401, 404, 409, 418, 422, 501, 505, 507, 599])
async def test_other_statuses_are_not_retried(client: Any, origin: Origin, status: int) -> None:
    response = await client.get(flaky(origin, status=status), retryConfig=FAST)
    assert outcomes(response) == [status]


@pytest.mark.parametrize("word", ["status_forcelist", "statusForcelist", "statuses"])
async def test_status_forcelist_says_which_statuses_are_retried(client: Any, origin: Origin, word: str) -> None:
    response = await client.get(flaky(origin, 404, 503), retryConfig={**FAST, word: [404]})
    assert outcomes(response) == [404, 503]


@pytest.mark.parametrize("method", IDEMPOTENT)
async def test_idempotent_methods_are_retried(client: Any, origin: Origin, method: str) -> None:
    response = await client.request(method, flaky(origin, 503), retryConfig=FAST)
    assert outcomes(response) == [503, 200]
    assert [each.method for each in origin.requests] == [method] * 2


@pytest.mark.parametrize("method", OTHERS)
async def test_other_methods_are_not_retried(client: Any, origin: Origin, method: str) -> None:
    response = await client.request(method, flaky(origin, 503), retryConfig=FAST)
    assert outcomes(response) == [503]


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.parametrize("word", ["methods", "allowed_methods", "allowedMethods", "method_whitelist"])
async def test_post_and_patch_are_retried_when_listed(client: Any, origin: Origin, method: str, word: str) -> None:
    response = await client.request(method, flaky(origin, 503), retryConfig={**FAST, word: [method.lower()]})
    assert outcomes(response) == [503, 200]


async def test_methods_replace_the_list(client: Any, origin: Origin) -> None:
    response = await client.get(flaky(origin, 503), retryConfig={**FAST, "methods": ["POST"]})
    assert outcomes(response) == [503]


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key"])
async def test_any_method_is_retried_with_an_idempotency_key(
    client: Any, origin: Origin, method: str, name: str
) -> None:
    response = await client.request(method, flaky(origin, 503), retryConfig=FAST, headers={name: "k1"})
    assert outcomes(response) == [503, 200]
    assert [each.get(name) for each in origin.requests] == ["k1", "k1"]


# A flaky server, and what it saw


async def test_what_was_sent_before_is_sent_again(client: Any, origin: Origin) -> None:
    url = flaky(origin, 503, 500, 429)
    response = await client.put(f"{url}?a=1", {"b": 2}, headers={"X-One": "1"}, params={"c": 3}, retryConfig=FAST)
    assert (response.status, response.text) == (200, "fine")
    first, *others = origin.requests
    assert len(others) == 3
    for other in others:
        assert (other.method, other.target, other.headers, other.body) == (
            first.method,
            first.target,
            first.headers,
            first.body,
        )
    assert (first.target, first.body) == ("/flaky?a=1&c=3", b'{"b":2}')


def file_at(tmp_path: Path, position: int) -> Any:
    path = tmp_path / "at.bin"
    path.write_bytes(b"0123456789" * 10)
    file = path.open("rb")
    file.seek(position)
    return file


BODIES: dict[str, tuple[dict[str, Any], bytes]] = {
    "bytes": ({"data": b"\0\1\2"}, b"\0\1\2"),
    "empty": ({"data": b""}, b""),
    "str": ({"data": "grün"}, "grün".encode()),
    "json": ({"json": {"a": [1, None]}}, b'{"a":[1,null]}'),
    "form": ({"form": {"a": "b c"}}, b"a=b+c"),
    "large": ({"data": pattern(1_000_000)}, pattern(1_000_000)),
    "list of pieces": ({"data": type("Pieces", (), {"__iter__": lambda self: iter([b"ab", b"c"])})()}, b"abc"),
    "BytesIO": ({"data": io.BytesIO(b"memory")}, b"memory"),
}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("progress", [False, True])
async def test_bodies_are_rewound(client: Any, origin: Origin, kind: str, progress: bool) -> None:
    options, content = BODIES[kind]
    seen: list[tuple[int, int]] = []
    more = {"on_upload_progress": lambda loaded, total: seen.append((loaded, total))} if progress else {}
    response = await client.put(flaky(origin, 503, 500), retryConfig=FAST, **options, **more)
    assert outcomes(response) == [503, 500, 200]
    assert [each.body for each in origin.requests] == [content] * 3
    if progress:
        # A resend starts again from 0, and each one ends with the whole.
        ends = [loaded for loaded, _ in seen if loaded == len(content)]
        assert len(ends) == 3


async def test_files_and_paths_are_rewound(client: Any, origin: Origin, tmp_path: Path) -> None:
    with file_at(tmp_path, 95) as file:
        response = await client.put(flaky(origin, 503, 503), file, retryConfig=FAST)
        assert outcomes(response) == [503, 503, 200]
        assert [each.body for each in origin.requests] == [b"56789"] * 3
        assert not file.closed
    origin.requests.clear()
    await client.put(flaky(origin, 503, 503), tmp_path / "at.bin", retryConfig=FAST)
    assert [each.body for each in origin.requests] == [b"0123456789" * 10] * 3


@pytest.mark.parametrize("size", [10, 400_000])
async def test_a_form_with_files_is_rewound(client: Any, origin: Origin, tmp_path: Path, size: int) -> None:
    path = tmp_path / "upload.txt"
    path.write_bytes(pattern(size))
    with file_at(tmp_path, 90) as file:
        form = FormData({"field": "value"})
        form.append("path", path)
        form.append("file", file)
        form.append("memory", io.BytesIO(pattern(size)), "memory.bin")
        response = await client.put(flaky(origin, 503, 503), form, retryConfig=FAST)
    assert outcomes(response) == [503, 503, 200]
    bodies = [each.body for each in origin.requests]
    assert bodies[0] == bodies[1] == bodies[2]
    for content in (b"value", pattern(size), b"0123456789"):
        assert content in bodies[0]
    assert {each.get("content-type") for each in origin.requests} == {origin.requests[0].get("content-type")}


async def test_a_body_that_cannot_be_rewound_is_not_retried_and_the_error_says_so(api: Api, client: Any) -> None:
    scripts = [[expect_head(), expect_body(), close_step()]]
    with Peer(scripts) as peer:
        error = await failure(
            client.put(peer.url, api.iterator([b"ab", b"c"]), retryConfig=FAST), kind=AtomHTTPNetworkError
        )
        assert peer.connections == 1
    assert re.search("not tried again.*read once", str(error))
    assert len(error.attempts) == 1


async def test_a_status_is_no_reason_to_send_a_body_that_is_used_up(api: Api, client: Any, origin: Origin) -> None:
    response = await client.put(flaky(origin, 503), api.iterator([b"ab", b"c"]), retryConfig=FAST)
    assert (response.status, outcomes(response)) == (503, [503])
    assert [each.body for each in origin.requests] == [b"abc"]


async def test_a_refused_status_too_says_that_the_body_is_used_up(api: Api, client: Any, origin: Origin) -> None:
    error = await failure(
        client.put(flaky(origin, 503), api.iterator([b"a"]), retryConfig=FAST, validateStatus=True),
        kind=AtomHTTPStatusError,
    )
    assert re.search("not tried again.*read once", str(error))
    assert error.response.status == 503


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_a_one_shot_body_is_retried_when_nothing_was_read_of_it(
    api: Api, client: Any, tmp_path: Path, method: str
) -> None:
    place = tmp_path / "socket"
    started: list[Origin] = []

    def start(info: RetryInfo) -> None:
        assert isinstance(info.outcome, AtomHTTPNetworkError)
        assert info.outcome.code == "ENOENT"
        started.append(Origin(unix=place).__enter__())

    try:
        body = api.iterator([b"ab", b"c"])
        config = {**FAST, "on_retry": start}
        response = await client.request(method, "/echo", data=body, socketPath=place, retryConfig=config)
        assert response.status == 200
        assert [each.body for each in started[0].requests] == [b"abc"]
    finally:
        for server in started:
            server.__exit__(None, None, None)
    assert outcomes(response) == ["ENOENT", 200]


# Anything before a byte was sent


@pytest.mark.parametrize("method", IDEMPOTENT + OTHERS)
async def test_a_refused_connection_is_retried_with_any_method(client: Any, method: str) -> None:
    with socket.socket() as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{placeholder.getsockname()[1]}/"
        error = await failure(
            client.request(method, url, data=b"x", retryConfig={**FAST, "max_retries": 2}), kind=AtomHTTPNetworkError
        )
    assert outcomes(error) == ["ECONNREFUSED"] * 3
    assert error.code == "ECONNREFUSED"


async def test_on_connect_error_false_leaves_refused_connections(client: Any, tmp_path: Path) -> None:
    for method in ("GET", "POST"):
        config = {**FAST, "on_connect_error": False}
        error = await failure(client.request(method, "/", socketPath=tmp_path / "none", retryConfig=config))
        assert outcomes(error) == ["ENOENT"]


async def test_a_certificate_is_not_tried_again(client: Any, tls_origin: Origin) -> None:
    error = await failure(client.get(f"{tls_origin.url}/echo", retryConfig=FAST), kind=AtomHTTPTLSError)
    assert len(error.attempts) == 1
    assert tls_origin.connections == 1


async def test_a_name_that_does_not_match_is_not_tried_again(client: Any, certificates: Any) -> None:
    with Origin(tls=certificates.server_context(certificates.issue("other.test"))) as there:
        error = await failure(client.get(f"{there.url}/echo", retryConfig=FAST, verify=certificates.ca))
    assert error.code == "ERR_TLS_CERT_ALTNAME_INVALID"
    assert outcomes(error) == ["ERR_TLS_CERT_ALTNAME_INVALID"]


async def test_a_certificate_file_that_is_not_there_is_not_tried_again(client: Any, tmp_path: Path) -> None:
    error = await failure(
        client.get("https://localhost:1/", retryConfig=FAST, verify=tmp_path / "none.pem"), kind=AtomHTTPTLSError
    )
    assert len(error.attempts) == 1


async def test_a_name_that_does_not_exist_is_not_tried_again(client: Any) -> None:
    error = await failure(client.post("http://nowhere.test/", b"x", retryConfig=FAST))
    assert outcomes(error) == ["ENOTFOUND"]
    assert error.code == "ENOTFOUND"


async def test_a_handshake_that_was_cut_off_is_retried_with_any_method(client: Any, certificates: Any) -> None:
    config = {**FAST, "max_retries": 1}
    with Peer([[close_step()], [close_step()]]) as peer:
        url = peer.url.replace("http:", "https:")
        error = await failure(client.post(url, b"x", retryConfig=config, verify=certificates.ca))
        assert peer.connections == 2
    assert len(error.attempts) == 2


# After that: what is harmless twice

LOST = {
    "closed": [expect_head(), close_step()],
    "half a head": [expect_head(), send(b"HTTP/1.1 200 O"), close_step()],
    "half a body": [expect_head(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), close_step()],
    "not HTTP": [expect_head(), send(b"SSH-2.0-OpenSSH\r\n\r\n"), close_step()],
}


@pytest.mark.parametrize("how", LOST)
async def test_lost_connections_and_broken_http_are_retried(client: Any, how: str) -> None:
    with Peer([LOST[how], LOST[how], [expect_head(), send(OK), drain()]]) as peer:
        response = await client.get(peer.url, retryConfig=FAST)
        await client.close()
    assert response.text == "ok"
    assert [each.status for each in response.attempts] == [None, None, 200]
    assert all(each.error for each in response.attempts[:2])


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_lost_connections_and_broken_http_are_not_retried_where_twice_may_harm(
    client: Any, how: str, method: str
) -> None:
    with Peer([LOST[how]]) as peer:
        error = await failure(client.request(method, peer.url, retryConfig=FAST), kind=AtomHTTPNetworkError)
        assert peer.connections == 1
    assert len(error.attempts) == 1


async def test_tls_that_breaks_after_the_request_is_no_reason_to_send_a_post_twice(
    client: Any, certificates: Any
) -> None:
    """Not a byte was sent, says an error of the handshake; one of a record that comes later cannot."""

    def garbage(on: Any) -> None:
        # Past OpenSSL: a record that nobody has encrypted.
        os.write(on.socket.fileno(), b"\x17\x03\x03\x00\x20" + b"\xff" * 32)

    script = [expect_head(), expect_body(), garbage, drain()]
    with Peer([script], tls=certificates.server_context(), repeat=True) as peer:
        error = await failure(client.post(peer.url, b"pay 5", retryConfig=FAST, verify=certificates.ca))
        await client.close()
    assert len(error.attempts) == 1
    assert isinstance(error, AtomHTTPTLSError)
    assert error.request_sent != "no"


async def test_half_a_compressed_body_is_a_lost_connection(client: Any) -> None:
    whole = gzip.compress(pattern(10_000), mtime=0)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(whole)
    with Peer(
        [[expect_head(), send(head + whole[:100]), close_step()], [expect_head(), send(head + whole), drain()]]
    ) as peer:
        response = await client.get(peer.url, retryConfig=FAST)
        await client.close()
    assert response.content == pattern(10_000)


async def test_a_phase_timeout_is_retried(client: Any) -> None:
    with Peer([[expect_head(), drain()], [expect_head(), send(OK), drain()]]) as peer:
        response = await client.get(peer.url, timeout=Timeout(9, read=0.1), retryConfig=FAST)
        await client.close()
    assert outcomes(response) == ["ECONNABORTED", 200]


async def test_an_attempt_timeout_is_retried(client: Any) -> None:
    with Peer([[expect_head(), drain()], [expect_head(), send(OK), drain()]]) as peer:
        response = await client.get(peer.url, retryConfig={**FAST, "attempt_timeout": 0.1})
        await client.close()
    assert outcomes(response) == ["ECONNABORTED", 200]
    assert response.attempts[0].elapsed >= 0.1


async def test_on_timeout_false_leaves_timeouts(client: Any) -> None:
    with Peer([[expect_head(), drain()]]) as peer:
        config = {**FAST, "attempt_timeout": 0.1, "on_timeout": False}
        error = await failure(client.get(peer.url, retryConfig=config), kind=AtomHTTPTimeoutError)
    assert outcomes(error) == ["ECONNABORTED"]


async def test_a_timeout_after_sending_is_no_reason_to_send_a_post_twice(client: Any) -> None:
    with Peer([[expect_head(), drain()]]) as peer:
        error = await failure(client.post(peer.url, b"x", retryConfig={**FAST, "attempt_timeout": 0.1}))
    assert outcomes(error) == ["ECONNABORTED"]


async def test_the_total_deadline_is_never_retried(client: Any) -> None:
    with Peer([[expect_head(), drain()]]) as peer:
        error = await failure(client.get(peer.url, timeout=0.1, retryConfig=FAST), kind=AtomHTTPTimeoutError)
    assert outcomes(error) == ["ECONNABORTED"]
    assert error.limit == 0.1


# Never


@pytest.mark.parametrize("path", ["/bytes/100", "/chunked/100"])
async def test_limits_are_never_retried(client: Any, origin: Origin, path: str) -> None:
    config = {**FAST, "condition": lambda outcome, attempt: True}
    error = await failure(
        client.get(f"{origin.url}{path}", maxContentLength=10, retryConfig=config), kind=AtomHTTPLimitError
    )
    assert outcomes(error) == ["ERR_MAX_CONTENT_LENGTH"]
    assert len(origin.requests) == 1


async def test_a_body_beyond_its_limit_is_never_retried(client: Any) -> None:
    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x" * 6] * 3)

    with Peer([[expect_head(), drain()]]) as peer:
        # A second connection would have no script.
        error = await failure(client.put(peer.url, Endless(), maxBodyLength=10, retryConfig=FAST))
    assert (error.code, error.limit, error.size) == ("ERR_MAX_BODY_LENGTH", 10, 12)


async def test_a_body_of_known_size_beyond_its_limit_is_not_even_tried(client: Any) -> None:
    error = await failure(client.put("http://nowhere.test/", b"12345", maxBodyLength=4, retryConfig=FAST))
    assert (error.code, error.attempts) == ("ERR_MAX_BODY_LENGTH", ())


async def test_decode_errors_are_never_retried(client: Any, origin: Origin) -> None:
    garbage = Answer(b"\x7fnot it", headers=[("Content-Encoding", "gzip")])
    error = await failure(client.get(flaky(origin, garbage), retryConfig=FAST), kind=AtomHTTPDecodeError)
    assert len(origin.requests) == 1
    assert outcomes(error) == ["ERR_BAD_RESPONSE"]
    strict = {"silentJSONParsing": False}
    error = await failure(client.get(flaky(origin), retryConfig=FAST, transitional=strict), kind=AtomHTTPDecodeError)
    assert len(origin.requests) == 2
    # It was received well; what it says is another matter.
    assert outcomes(error) == [200]


class UsersError(Exception):
    """Nobody else raises it."""


def raising(*_arguments: Any) -> Any:
    raise UsersError


@pytest.mark.parametrize(
    "option", ["on_upload_progress", "on_download_progress", "transformRequest", "transformResponse", "auth"]
)
async def test_errors_of_users_functions_are_never_retried(client: Any, origin: Origin, option: str) -> None:
    config = {**FAST, "condition": lambda outcome, attempt: isinstance(outcome, Exception)}
    await failure(client.put(f"{origin.url}/echo", b"x", retryConfig=config, **{option: raising}), kind=UsersError)
    assert len(origin.requests) <= 1


async def test_errors_of_body_iterators_are_never_retried(client: Any) -> None:
    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield b"ab"
            raise UsersError

    with Peer([[expect_head(), drain()]]) as peer:
        # A second connection would have no script.
        await failure(client.put(peer.url, Body(), retryConfig=FAST), kind=UsersError)


async def test_an_error_of_ours_that_a_users_function_raises_is_the_users(client: Any, origin: Origin) -> None:
    """A token that could not be fetched: `auth` has failed, not this request."""

    def fetch_token(_request: Any) -> Any:
        raise AtomHTTPNetworkError("no token", "ECONNREFUSED")

    calls: list[Any] = []
    config = {**FAST, "on_retry": calls.append}
    error = await failure(client.get(f"{origin.url}/echo", auth=fetch_token, retryConfig=config))
    assert str(error) == "no token"
    assert calls == []
    config = {**FAST, "condition": lambda outcome, attempt: True}
    assert str(await failure(client.get(f"{origin.url}/echo", auth=fetch_token, retryConfig=config))) == "no token"
    assert origin.requests == []


async def test_an_error_of_another_call_that_a_body_raises_is_the_users(api: Api, client: Any, origin: Origin) -> None:
    other = api.client()

    class Relayed:
        """Its content comes from where nobody is."""

        if api.is_sync:

            def __iter__(self) -> Iterator[bytes]:
                yield b"ab"
                yield other.real.get("http://127.0.0.1:1/").content

        else:

            async def __aiter__(self) -> Any:
                yield b"ab"
                yield (await other.get("http://127.0.0.1:1/")).content

    with Peer([[expect_head(), drain()]]) as peer:
        # A second connection would have no script.
        error = await failure(client.put(peer.url, Relayed(), retryConfig=FAST))
    assert error.code == "ECONNREFUSED"
    assert error.request.url == "http://127.0.0.1:1/"


async def test_a_closed_client_is_never_retried(api: Api, origin: Origin) -> None:
    client = api.client(retryConfig=FAST)
    await client.close()
    await failure(client.get(f"{origin.url}/echo"), kind=AtomHTTPClosedError)


# attempts


async def test_attempts_are_on_the_response(client: Any, origin: Origin) -> None:
    url = flaky(origin, 503, 500)
    response = await client.get(f"{url}?token=s3cret&a=1", retryConfig={"backoff_factor": 0.02, "jitter": False})
    assert all(type(each) is Attempt for each in response.attempts)
    assert isinstance(response.attempts, tuple)
    shown = f"{url}?token=[redacted]&a=1"
    assert [tuple(each)[:5] for each in response.attempts] == [
        (1, shown, 503, None, 0.0),
        (2, shown, 500, None, 0.02),
        (3, shown, 200, None, 0.04),
    ]
    assert all(0 < each.elapsed < 10 for each in response.attempts)


async def test_attempts_are_on_the_error(client: Any) -> None:
    with Peer([[expect_head(), close_step()], [expect_head(), send(b"?\r\n\r\n"), close_step()]]) as peer:
        config = {"max_retries": 1, "backoff_factor": 0.02, "jitter": False}
        error = await failure(client.get(f"{peer.url}/x", retryConfig=config), kind=AtomHTTPProtocolError)
        assert [tuple(each)[:5] for each in error.attempts] == [
            (1, f"{peer.url}/x", None, "ECONNRESET", 0.0),
            (2, f"{peer.url}/x", None, "ERR_BAD_RESPONSE", 0.02),
        ]
    assert error.config.url == f"{peer.url}/x"
    assert error.request.method == "GET"


async def test_attempts_are_on_the_error_of_a_refused_status(client: Any, origin: Origin) -> None:
    error = await failure(
        client.get(flaky(origin, 503, status=404), validateStatus=True, retryConfig=FAST), kind=AtomHTTPStatusError
    )
    assert (error.code, error.status, outcomes(error)) == ("ERR_BAD_REQUEST", 404, [503, 404])
    assert outcomes(error.response) == [503, 404]


async def test_a_plain_call_has_one_attempt(client: Any, origin: Origin) -> None:
    response = await client.get(f"{origin.url}/echo")
    [attempt] = response.attempts
    assert tuple(attempt)[:5] == (1, f"{origin.url}/echo", 200, None, 0.0)
    error = await failure(client.get("http://127.0.0.1:1/"))
    assert [tuple(each)[:5] for each in error.attempts] == [(1, "http://127.0.0.1:1/", None, "ECONNREFUSED", 0.0)]
    error = await failure(client.get("no url"))
    assert error.attempts == ()


async def test_attempts_survive_a_pickle(client: Any, origin: Origin) -> None:
    config = {**FAST, "condition": lambda outcome, attempt: True}
    error = await failure(client.get(flaky(origin, 503, status=500), validateStatus=True, retryConfig=config))
    twin = pickle.loads(pickle.dumps(error))
    assert twin.attempts == error.attempts
    assert outcomes(twin) == [503, 500, 500, 500]


# Retry-After


async def test_retry_after_is_a_floor(client: Any, origin: Origin) -> None:
    busy = Answer(b"", 429, [("Retry-After", "1")])
    response = await client.get(flaky(origin, busy), retryConfig=FAST)
    assert [each.wait for each in response.attempts] == [0.0, 1.0]


async def test_retry_after_may_be_ignored(client: Any, origin: Origin) -> None:
    busy = Answer(b"", 503, [("Retry-After", "1000")])
    response = await client.get(flaky(origin, busy), retryConfig={**FAST, "respect_retry_after": False})
    assert [each.wait for each in response.attempts] == [0.0, 0.0]


@pytest.mark.parametrize(("asked", "most"), [("61", 60), ("3", 2.5), ("99999999999999999999", 60), ("9" * 400, 60)])
async def test_a_retry_after_longer_than_max_retry_after_gives_up_now(
    client: Any, origin: Origin, asked: str, most: float
) -> None:
    busy = Answer(b"busy", 503, [("Retry-After", asked)])
    response = await client.get(flaky(origin, busy), retryConfig={**FAST, "max_retry_after": most}, timeout=None)
    assert (response.status, response.text, outcomes(response)) == (503, "busy", [503])


@pytest.mark.parametrize("field", ["", "soon", "-1", "1.5", "١", "Fri, 99 Foo 2024", "1, 2"])
async def test_a_retry_after_that_says_nothing_is_ignored(client: Any, origin: Origin, field: str) -> None:
    busy = Answer(b"", 503, [("Retry-After", field.encode().decode("latin-1"))])
    response = await client.get(flaky(origin, busy), retryConfig=FAST)
    assert [each.wait for each in response.attempts] == [0.0, 0.0]


async def test_no_wait_outlasts_the_deadline(client: Any, origin: Origin) -> None:
    busy = Answer(b"", 503, [("Retry-After", "9")])
    response = await client.get(flaky(origin, busy), retryConfig=FAST, timeout=5)
    assert outcomes(response) == [503]
    response = await client.get(flaky(origin, 503), retryConfig={"backoff_factor": 9, "jitter": False}, timeout=5)
    assert outcomes(response) == [503]


# condition, on_retry


@pytest.mark.parametrize("word", ["condition", "retry_condition", "retryCondition"])
@pytest.mark.parametrize("is_async", [False, True])
async def test_condition_is_asked_in_place_of_the_lists(client: Any, origin: Origin, word: str, is_async: bool) -> None:
    asked: list[tuple[Any, Any]] = []

    def wants_more(outcome: Any, attempt: Any) -> bool:
        asked.append((outcome, attempt))
        return outcome.status == 404

    async def wants_more_later(outcome: Any, attempt: Any) -> bool:
        return wants_more(outcome, attempt)

    condition = wants_more_later if is_async else wants_more
    url = flaky(origin, 404, status=503)
    response = await client.post(url, b"x", retryConfig={**FAST, word: condition})
    assert outcomes(response) == [404, 503]
    assert [attempt for _, attempt in asked] == list(response.attempts)
    assert [outcome.status for outcome, _ in asked] == [404, 503]
    assert (asked[0][0].text, asked[0][0].headers["content-length"]) == ("failed", "6")


async def test_condition_sees_errors_too(client: Any) -> None:
    asked: list[Any] = []

    def wants_more(outcome: Any, attempt: Any) -> bool:
        asked.append(outcome)
        return True

    with Peer([[expect_head(), close_step()], [expect_head(), send(OK), drain()]]) as peer:
        response = await client.post(peer.url, b"x", retryConfig={**FAST, "condition": wants_more, "max_retries": 1})
        await client.close()
    assert outcomes(response) == ["ECONNRESET", 200]
    [error] = asked
    assert isinstance(error, AtomHTTPNetworkError)


async def test_condition_is_not_asked_when_no_retry_is_left(client: Any, origin: Origin) -> None:
    asked: list[Any] = []
    config = {**FAST, "max_retries": 1, "condition": lambda outcome, attempt: asked.append(attempt.number) or True}
    response = await client.get(flaky(origin, status=503), retryConfig=config)
    assert len(response.attempts) == 2
    assert asked == [1]


async def test_condition_may_end_it(client: Any, origin: Origin) -> None:
    config = {**FAST, "condition": lambda outcome, attempt: attempt.number < 2}
    response = await client.get(flaky(origin, status=503), retryConfig=config)
    assert outcomes(response) == [503, 503]


async def test_on_retry_is_told_before_each_wait(client: Any, origin: Origin) -> None:
    told: list[RetryInfo] = []
    config = {"backoff_factor": 0.02, "jitter": False, "on_retry": told.append}
    response = await client.get(flaky(origin, 503, 500), retryConfig=config, meta={"mark": 1})
    assert [(info.attempt, info.wait) for info in told] == [
        (response.attempts[0], 0.02),
        (response.attempts[1], 0.04),
    ]
    assert [info.outcome.status for info in told] == [503, 500]
    assert told[0].outcome.content == b"failed"
    assert {info.config.meta["mark"] for info in told} == {1}


async def test_on_retry_may_be_async(client: Any, origin: Origin) -> None:
    told: list[int] = []

    async def tell(info: RetryInfo) -> None:
        told.append(info.attempt.number)

    await client.get(flaky(origin, 503, 500), retryConfig={**FAST, "on_retry": tell})
    assert told == [1, 2]


@pytest.mark.parametrize("option", ["condition", "on_retry"])
@pytest.mark.parametrize("is_async", [False, True])
async def test_what_condition_and_on_retry_raise_passes_through(
    client: Any, origin: Origin, option: str, is_async: bool
) -> None:
    async def raising_later(*_arguments: Any) -> Any:
        raise UsersError

    config = {**FAST, option: raising_later if is_async else raising}
    await failure(client.get(flaky(origin, 503), retryConfig=config), kind=UsersError)
    assert len(origin.requests) == 1
    assert (await client.get(f"{origin.url}/echo")).status == 200


@pytest.mark.parametrize("option", ["condition", "on_retry"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_an_interrupt_in_them_passes_through_and_leaves_the_client_usable(
    client: Any, origin: Origin, option: str, kind: type[BaseException]
) -> None:
    def interrupt(*_arguments: Any) -> Any:
        raise kind

    for response_type in ("json", "stream"):
        url = flaky(origin, Answer(pattern(1_000_000), 503))
        call = client.get(url, retryConfig={**FAST, option: interrupt}, response_type=response_type)
        await failure(call, kind=kind)
    assert (await client.get(f"{origin.url}/echo")).status == 200


@pytest.mark.parametrize("option", ["condition", "on_retry"])
async def test_what_condition_and_on_retry_raise_leaves_no_stream_open(client: Any, option: str) -> None:
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 400000\r\n\r\nbusy"
    with Peer([[expect_head(), send(busy), expect_end()]]) as peer:
        call = client.get(peer.url, response_type="stream", retryConfig={**FAST, option: raising}, timeout=5)
        await failure(call, kind=UsersError)
        # `expect_end`: the connection is closed while the client is not.


async def test_a_function_of_the_users_that_takes_too_long_is_a_timeout(api: Api, origin: Origin) -> None:
    if api.is_sync:
        pytest.skip("a synchronous client waits for nobody else's coroutines")

    async def dawdle(*_arguments: Any) -> bool:
        await asyncio.sleep(60)
        return True

    for option in ("condition", "on_retry"):
        client = api.client(retryConfig={**FAST, option: dawdle})
        error = await failure(client.get(flaky(origin, 503), timeout=0.1), kind=AtomHTTPTimeoutError)
        assert error.limit == 0.1
        assert outcomes(error) == [503]


# Streams


async def test_a_stream_is_retried_until_its_status_will_do(client: Any, origin: Origin) -> None:
    response = await client.get(flaky(origin, 503, 500), response_type="stream", retryConfig=FAST)
    assert outcomes(response) == [503, 500, 200]
    assert b"".join(await collect(response.data)) == b"fine"
    # What was refused has been drained.
    assert origin.connections == 1


async def test_a_stream_that_stays_refused_is_given_to_the_caller(client: Any, origin: Origin) -> None:
    response = await client.get(flaky(origin, status=503), response_type="stream", retryConfig={**FAST, "total": 1})
    assert outcomes(response) == [503, 503]
    assert await wait(response.data.read()) == b"fine"
    assert origin.connections == 1


@pytest.mark.parametrize("connections", [1, 100])
async def test_a_long_refused_stream_is_closed(api: Api, origin: Origin, connections: int) -> None:
    client = api.client(max_connections=connections)
    long = Answer(pattern(4_000_000), 503)
    response = await client.get(flaky(origin, long), response_type="stream", retryConfig=FAST)
    assert await wait(response.data.read()) == b"fine"
    assert origin.connections == 2
    await client.get(f"{origin.url}/echo")
    assert origin.connections == 2


async def test_a_refused_stream_that_stalls_holds_nobody_up(client: Any) -> None:
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 40\r\n\r\nbusy"
    with Peer([[expect_head(), send(busy), expect_end()], [expect_head(), send(OK), drain()]]) as peer:
        response = await client.get(peer.url, response_type="stream", retryConfig=FAST, timeout=4)
        assert outcomes(response) == [503, 200]
        assert await wait(response.data.read()) == b"ok"
        await client.close()


async def test_a_refused_stream_that_breaks_off_is_retried(client: Any) -> None:
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 40\r\n\r\nbusy"
    with Peer([[expect_head(), send(busy), close_step()], [expect_head(), send(OK), drain()]]) as peer:
        response = await client.get(peer.url, response_type="stream", retryConfig=FAST, timeout=4)
        assert await wait(response.data.read()) == b"ok"
        await client.close()


async def test_a_stream_that_was_handed_over_is_not_retried(client: Any) -> None:
    """The caller has its head already: what breaks off afterwards is theirs."""
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
    with Peer([[expect_head(), send(half), close_step()]]) as peer:
        response = await client.get(peer.url, response_type="stream", retryConfig=FAST)
        pieces = each(response.data)
        assert await anext(pieces) == b"half"
        await failure(anext(pieces), kind=AtomHTTPNetworkError)
        assert peer.connections == 1


@pytest.mark.parametrize("timeout", [30, None, Timeout(30)])
async def test_attempt_timeout_ends_with_the_head_of_a_stream(api: Api, origin: Origin, timeout: Any) -> None:
    """An attempt that has succeeded is over: its content has the time of the call."""
    go_on = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"
    client = api.client(retryConfig={"attempt_timeout": 0.2}, timeout=timeout)
    with Peer([expect_head(), send(head), wait_step(go_on), send(b"cd"), drain()]) as peer:
        stream = (await client.get(peer.url, response_type="stream")).data
        assert await wait(stream.read(2)) == b"ab"
        timer = threading.Timer(0.4, go_on.set)
        timer.start()
        try:
            assert await wait(stream.read()) == b"cd"
        finally:
            timer.join()
        await client.close()


async def test_download_progress_starts_again_from_0(client: Any, origin: Origin) -> None:
    seen: list[tuple[int, int]] = []
    await client.get(
        flaky(origin, 503),
        retryConfig=FAST,
        on_download_progress=lambda loaded, total: seen.append((loaded, total)),
    )
    assert seen == [(6, 6), (4, 4)]


# Redirects


async def test_a_retry_resends_the_hop_that_failed(client: Any, origin: Origin) -> None:
    flaky(origin, 503, 503, path="/there")
    origin.routes["/here"] = lambda _: Answer(b"", 302, [("Location", "/there")])
    response = await client.get(f"{origin.url}/here", retryConfig=FAST)
    assert [each.path for each in origin.requests] == ["/here", "/there", "/there", "/there"]
    assert outcomes(response) == [302, 503, 503, 200]
    assert [each.number for each in response.attempts] == [1, 2, 3, 4]
    assert [each.url for each in response.attempts] == [f"{origin.url}/here"] + [f"{origin.url}/there"] * 3
    assert [each.status for each in response.history] == [302]


async def test_a_hop_is_judged_by_its_own_method(client: Any, origin: Origin) -> None:
    flaky(origin, 503, path="/there")
    origin.routes["/here"] = lambda _: Answer(b"", 303, [("Location", "/there")])
    response = await client.post(f"{origin.url}/here", b"x", retryConfig=FAST)
    assert [each.method for each in origin.requests] == ["POST", "GET", "GET"]
    assert outcomes(response) == [303, 503, 200]


async def test_a_post_that_stays_a_post_is_not_retried_behind_a_redirect(client: Any, origin: Origin) -> None:
    flaky(origin, 503, path="/there")
    origin.routes["/here"] = lambda _: Answer(b"", 307, [("Location", "/there")])
    response = await client.post(f"{origin.url}/here", b"x", retryConfig=FAST)
    assert [(each.method, each.body) for each in origin.requests] == [("POST", b"x"), ("POST", b"x")]
    assert outcomes(response) == [307, 503]


async def test_the_first_hop_may_fail_too(client: Any, origin: Origin) -> None:
    there = Answer(b"", 302, [("Location", "/echo")])
    response = await client.put(flaky(origin, 503, there), b"body", retryConfig=FAST)
    assert [(each.path, each.body) for each in origin.requests] == [
        ("/flaky", b"body"),
        ("/flaky", b"body"),
        ("/echo", b"body"),
    ]
    assert outcomes(response) == [503, 302, 200]


# The one safe resend without retryConfig

AGAIN = [expect_head(), send(OK), expect_head(), close_step()]
ONCE = [expect_head(), send(OK), drain()]


async def kept_alive(client: Any, peer: Peer) -> None:
    """One request, whose connection is kept."""
    assert (await client.get(f"{peer.url}/first")).text == "ok"


@pytest.mark.parametrize("method", IDEMPOTENT)
async def test_an_idempotent_request_on_a_dead_reused_connection_is_resent_once(client: Any, method: str) -> None:
    with Peer([AGAIN, ONCE]) as peer:
        await kept_alive(client, peer)
        response = await client.request(method, f"{peer.url}/second")
        await client.close()
        assert [head.target for head in peer.heads] == ["/first", "/second", "/second"]
    assert response.status == 200
    assert outcomes(response) == ["ECONNRESET", 200]
    assert [each.wait for each in response.attempts] == [0.0, 0.0]


@pytest.mark.parametrize("kind", [kind for kind in BODIES if kind != "large"])
async def test_a_body_that_can_be_replayed_is_resent(client: Any, kind: str) -> None:
    options, content = BODIES[kind]
    received: list[bytes] = []

    def take_body(on: Any) -> None:
        received.append(read_body(on.stream, on.heads[-1]))

    first = [expect_head(), send(OK), expect_head(), take_body, close_step()]
    with Peer([first, [expect_head(), take_body, send(OK), drain()]]) as peer:
        await kept_alive(client, peer)
        response = await client.put(peer.url, **options)
        await client.close()
    assert response.text == "ok"
    assert received == [content, content]


async def test_a_post_on_a_dead_reused_connection_may_have_been_sent(client: Any) -> None:
    with Peer([AGAIN]) as peer:
        await kept_alive(client, peer)
        error = await failure(client.post(peer.url, b"pay 5"), kind=AtomHTTPNetworkError)
    assert "may have been sent" in str(error)
    assert outcomes(error) == ["ECONNRESET"]


async def test_a_post_with_an_idempotency_key_is_resent(client: Any) -> None:
    with Peer([AGAIN, ONCE]) as peer:
        await kept_alive(client, peer)
        response = await client.post(peer.url, b"pay 5", headers={"Idempotency-Key": "1"})
        await client.close()
    assert outcomes(response) == ["ECONNRESET", 200]


async def test_a_body_that_cannot_be_replayed_is_not_resent(api: Api, client: Any) -> None:
    first = [expect_head(), send(OK), expect_head(), expect_body(), close_step()]
    with Peer([first]) as peer:
        await kept_alive(client, peer)
        error = await failure(client.put(peer.url, api.iterator([b"ab"])), kind=AtomHTTPNetworkError)
    assert re.search("not tried again.*read once", str(error))


async def test_a_new_connection_that_dies_is_no_reason_to_resend(client: Any) -> None:
    with Peer([[expect_head(), close_step()]]) as peer:
        error = await failure(client.get(peer.url), kind=AtomHTTPNetworkError)
        assert peer.connections == 1
    assert outcomes(error) == ["ECONNRESET"]
    # Nothing was there to die: what is said of reused connections does not fit.
    assert "may have been sent" not in str(error)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 2", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
async def test_after_a_byte_of_response_nothing_is_resent(client: Any, answer: bytes) -> None:
    with Peer([[expect_head(), send(OK), expect_head(), send(answer), close_step()]]) as peer:
        await kept_alive(client, peer)
        error = await failure(client.get(peer.url), kind=AtomHTTPNetworkError)
        assert peer.connections == 1
    assert len(error.attempts) == 1


async def test_it_is_resent_once_and_not_twice(client: Any) -> None:
    with Peer([AGAIN, [expect_head(), close_step()]]) as peer:
        await kept_alive(client, peer)
        error = await failure(client.get(peer.url), kind=AtomHTTPNetworkError)
        assert peer.connections == 2
    assert outcomes(error) == ["ECONNRESET", "ECONNRESET"]


async def test_false_switches_off_the_safe_resend_too(api: Api) -> None:
    for options in ({"retryConfig": False}, {}):
        client = api.client(**options)
        with Peer([AGAIN]) as peer:
            await kept_alive(client, peer)
            call_options = {} if options else {"retryConfig": False}
            error = await failure(client.get(peer.url, **call_options), kind=AtomHTTPNetworkError)
            assert peer.connections == 1
        assert outcomes(error) == ["ECONNRESET"]


async def test_false_retries_nothing(client: Any, origin: Origin) -> None:
    response = await client.get(flaky(origin, 503), retryConfig=False)
    assert outcomes(response) == [503]


async def test_with_retry_config_a_dead_reused_connection_is_an_attempt_like_any_other(api: Api, client: Any) -> None:
    with Peer([AGAIN, ONCE]) as peer:
        await kept_alive(client, peer)
        response = await client.get(peer.url, retryConfig=FAST)
        await client.close()
    assert outcomes(response) == ["ECONNRESET", 200]
    other = api.client()
    with Peer([AGAIN]) as peer:
        await kept_alive(other, peer)
        error = await failure(other.get(peer.url, retryConfig=0), kind=AtomHTTPNetworkError)
    assert outcomes(error) == ["ECONNRESET"]


def die(on: Any) -> None:
    """Closes on the next request, if one comes."""
    read_head(on.stream)


@pytest.mark.parametrize("auth", [False, True])
async def test_a_retry_does_not_try_one_dead_connection_after_the_other(api: Api, auth: bool) -> None:
    """Two kept connections, both dead: one retry is enough, for it goes out on a new one."""
    both = threading.Barrier(2)
    dying = [expect_head(), lambda on: both.wait(PATIENCE), send(OK), die, close_step()]
    options: dict[str, Any] = {"auth": lambda request: None} if auth else {}
    client = api.client(retryConfig={**FAST, "max_retries": 1}, **options)
    with Peer([dying, dying, ONCE]) as peer:
        if api.is_sync:
            client.all([client.defer.get(peer.url) for _ in range(2)])
        else:
            await AtomHTTP.all([client.get(peer.url) for _ in range(2)])
        assert peer.connections == 2
        assert outcomes(await client.get(peer.url)) == ["ECONNRESET", 200]
        await client.close()


# The option


async def test_keys_meet_deeply_call_over_client_over_create(api: Api, origin: Origin) -> None:
    parent = api.client(retryConfig={"backoff_factor": 0, "retries": 5, "statuses": [404, 503]})
    child = api.keep(getattr(parent, "real", parent).create(retryConfig={"maxRetries": 1}))
    assert len((await child.get(flaky(origin, status=404))).attempts) == 2
    assert len((await child.get(flaky(origin, status=404), retryConfig={"total": 2})).attempts) == 3
    assert len((await child.get(flaky(origin, status=404), config={"retryConfig": {"total": 3}})).attempts) == 4
    assert len((await child.get(flaky(origin, status=500))).attempts) == 1
    assert len((await parent.get(flaky(origin, status=404))).attempts) == 6
    # True adds nothing to what is there, None and False switch off.
    assert len((await child.get(flaky(origin, status=404), retryConfig=True)).attempts) == 2
    for off in (None, False):
        assert len((await child.get(flaky(origin, status=404), retryConfig=off)).attempts) == 1


async def test_config_and_keywords_meet_too(client: Any, origin: Origin) -> None:
    response = await client.get(
        flaky(origin, status=404),
        config={"retryConfig": {"statuses": [404], "retries": 5}},
        retryConfig={"max_retries": 1, "delay": 0},
    )
    assert outcomes(response) == [404, 404]


async def test_a_call_may_switch_on_what_the_client_switched_off(api: Api, origin: Origin) -> None:
    for off in (None, False):
        response = await api.client(retryConfig=off).get(flaky(origin, 503), retryConfig=FAST)
        assert outcomes(response) == [503, 200]


async def test_defaults_are_live_and_checked(client: Any, origin: Origin) -> None:
    client.defaults.retryConfig = {**FAST, "total": 1}
    assert len((await client.get(flaky(origin, status=503))).attempts) == 2
    client.defaults.retry_config = None
    assert len((await client.get(flaky(origin, status=503))).attempts) == 1
    with pytest.raises(AtomHTTPOptionError, match=r"retryConfig\.total"):
        client.defaults.retryConfig = {"total": -1}
    assert client.defaults.retry_config is None


@pytest.mark.parametrize(
    ("given", "code", "match"),
    [
        ({"tries": 3}, "ERR_BAD_OPTION", r"retryConfig: unknown key 'tries'.*max_retries"),
        ({"max_retries": -1}, "ERR_BAD_OPTION_VALUE", r"retryConfig\.max_retries: expected .*-1"),
        ({"delay": "1s"}, "ERR_BAD_OPTION_VALUE", r"retryConfig\.delay: expected seconds.*'1s'"),
        ({"retries": 1, "total": 2}, "ERR_BAD_OPTION", "twice"),
        ("always", "ERR_BAD_OPTION_VALUE", "retryConfig: expected .*'always'"),
        (-1, "ERR_BAD_OPTION_VALUE", "retryConfig.*-1"),
        (1.5, "ERR_BAD_OPTION_VALUE", "retryConfig: expected"),
    ],
)
async def test_a_wrong_retry_config_is_refused_where_it_is_given(
    api: Api, client: Any, origin: Origin, given: Any, code: str, match: str
) -> None:
    error = await failure(client.get(f"{origin.url}/echo", retryConfig=given), kind=AtomHTTPOptionError)
    assert error.code == code
    assert re.search(match, str(error))
    with pytest.raises(AtomHTTPOptionError):
        api.client(retryConfig=given)
    assert origin.requests == []


async def test_an_interceptor_cannot_change_the_clients_retry_config(api: Api, origin: Origin) -> None:
    client = api.client(retryConfig={**FAST, "max_retries": 1, "status_forcelist": [503]})
    refused: list[type[BaseException]] = []

    def meddle(config: Any) -> None:
        try:
            config.retry_config["max_retries"] = 9
        except TypeError as error:
            refused.append(type(error))
        config.retryConfig = {**config.retry_config, "max_retries": 2}

    number = client.interceptors.use(meddle)
    assert len((await client.get(flaky(origin, status=503))).attempts) == 3
    assert refused == [TypeError]
    client.interceptors.eject(number)
    assert len((await client.get(flaky(origin, status=503))).attempts) == 2


async def test_interceptors_run_once_a_call_and_not_once_a_retry(api: Api, origin: Origin) -> None:
    client = api.client(retryConfig=FAST)
    seen: list[Any] = []
    client.interceptors.use(lambda config: seen.append("request"))
    client.interceptors.use(lambda response: seen.append(response.status), is_response=True)
    await client.get(flaky(origin, 503, 500))
    assert seen == ["request", 200]


async def test_transformers_run_once_a_call_and_not_once_a_retry(client: Any, origin: Origin) -> None:
    seen: list[str] = []

    def note(data: str) -> str:
        seen.append(data)
        return data

    await client.put(flaky(origin, 503, 500), "x", transformRequest=note, transformResponse=note, retryConfig=FAST)
    assert seen == ["x", "fine"]


async def test_the_callers_mapping_is_copied(api: Api, origin: Origin) -> None:
    config: dict[str, Any] = {**FAST, "total": 1}
    client = api.client(retryConfig=config)
    config["total"] = 9
    assert len((await client.get(flaky(origin, status=503))).attempts) == 2


async def test_a_call_sent_again_is_retried_again(api: Api, origin: Origin) -> None:
    client = api.client(retryConfig=FAST)
    first = await client.get(flaky(origin, status=503), retryConfig={"max_retries": 1})
    assert len((await client.request(first.config)).attempts) == 2
    assert len((await client.request(first.config, retryConfig=2)).attempts) == 3
    without = await client.get(flaky(origin, status=503), retryConfig=None)
    assert len((await client.request(without.config)).attempts) == 1


async def test_a_config_with_retry_config_survives(client: Any, origin: Origin) -> None:
    first = await client.get(flaky(origin, status=503), retryConfig={**FAST, "max_retries": 1})
    for twin in (copy.copy(first.config), copy.deepcopy(first.config), pickle.loads(pickle.dumps(first.config))):
        assert len((await client.request(twin)).attempts) == 2


async def test_retries_happen_on_every_adapter(api: Api) -> None:
    class Flaky:
        def __init__(self) -> None:
            self.outcomes: list[Any] = [
                AtomHTTPNetworkError("gone", "ECONNRESET", request_sent="maybe"),
                AdapterResponse(503, None, [b"bu", b"sy"]),
                AdapterResponse(200, {"Content-Type": "application/json"}, b"[1]"),
            ]

        async def send(self, _request: Any) -> Any:
            outcome = self.outcomes.pop(0)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        async def close(self) -> None:
            pass

    response = await api.client(adapter=Flaky()).get("http://service.test/", retryConfig=FAST)
    assert response.data == [1]
    assert outcomes(response) == ["ECONNRESET", 503, 200]


async def test_retries_are_logged_at_debug_without_secrets(
    client: Any, origin: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "atomhttp")
    await client.get(f"{flaky(origin, 503)}?token=s3cret", headers={"X-Token": "s3cret"}, retryConfig=FAST)
    lines = [record.getMessage() for record in caplog.records if record.name == "atomhttp.retry"]
    assert len(lines) == 1
    assert re.search(r"retry 1 .*/flaky.* in 0\.00 s.*503", lines[0])
    assert "s3cret" not in caplog.text
    calls = [record.getMessage() for record in caplog.records if record.name == "atomhttp.request"]
    assert len(calls) == 1
    assert "attempts: 2" in calls[0]


async def test_validate_status_is_asked_about_the_last_one_only(client: Any, origin: Origin) -> None:
    asked: list[int] = []

    def accept(status: int) -> bool:
        asked.append(status)
        return True

    await client.get(flaky(origin, 503, 500), validateStatus=accept, retryConfig=FAST)
    assert set(asked) == {200}


@pytest.mark.xfail(reason="with a limit or progress it is asked about every attempt")
async def test_validate_status_is_asked_about_the_last_one_only_whatever_else_is_set(
    client: Any, origin: Origin
) -> None:
    asked: list[int] = []

    def accept(status: int) -> bool:
        asked.append(status)
        return True

    await client.get(flaky(origin, 503, 500), validateStatus=accept, retryConfig=FAST, maxContentLength=100)
    assert set(asked) == {200}


async def test_an_auth_flow_begins_anew(client: Any, origin: Origin) -> None:
    class Challenged:
        def auth_flow(self, request: Any) -> Iterator[Any]:
            response = yield request
            if response.status == 401:
                request.headers["Authorization"] = "Proof"
                yield request

    answers = [401, 503, 401, 200]
    origin.routes["/"] = lambda _: Answer(b"", answers.pop(0))
    response = await client.put(origin.url, b"body", auth=Challenged(), retryConfig=FAST)
    assert outcomes(response) == [401, 503, 401, 200]
    assert [each.get("authorization") for each in origin.requests] == [None, "Proof", None, "Proof"]
    assert {each.body for each in origin.requests} == {b"body"}


async def test_calls_of_all_are_retried_each_for_itself(api: Api, client: Any, origin: Origin) -> None:
    seen: dict[str, int] = {}

    def fail_twice(request: Received) -> Answer:
        seen[request.target] = seen.get(request.target, 0) + 1
        return Answer(b"", 503 if seen[request.target] < 3 else 200)

    origin.routes["/"] = fail_twice
    config = {"backoff_factor": 0.02}
    if api.is_sync:
        responses = client.all([client.defer.get(f"{origin.url}/?{n}", retryConfig=config) for n in range(9)])
    else:
        responses = await AtomHTTP.all([client.get(f"{origin.url}/?{n}", retryConfig=config) for n in range(9)])
    assert [outcomes(response) for response in responses] == [[503, 503, 200]] * 9


async def test_many_retries_leave_one_connection(client: Any, origin: Origin) -> None:
    response = await client.get(flaky(origin, *[503] * 30), retryConfig={**FAST, "max_retries": 30})
    assert len(response.attempts) == 31
    assert origin.connections == 1
