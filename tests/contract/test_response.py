"""Response: its attributes, statuses, and the public constructor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from atomhttp import AtomHTTPDecodeError, AtomHTTPStatusError, Headers, Response, Timeout
from contract.flavours import Api
from support.nginx import JSON, Nginx
from support.origin import Origin
from support.peer import Peer, drain, expect_head, send


async def test_a_response_says_everything(client: Any, origin: Origin) -> None:
    response = await client.get(f"{origin.url}/echo#top", params={"a": 1})
    assert response.status == 200
    assert response.status_text == response.statusText == "OK"
    assert response.ok
    assert response.url == f"{origin.url}/echo?a=1"
    assert response.data["method"] == "GET"
    assert response.json() == response.data
    assert response.text == response.content.decode()
    assert response.headers["content-type"] == "application/json"
    assert response.config.url == f"{origin.url}/echo#top"
    assert response.request.method == "GET"
    assert response.history == ()
    (attempt,) = response.attempts
    assert attempt[:5] == (1, response.url, 200, None, 0.0)
    assert attempt.elapsed == response.timings.total
    assert response.http_version == "1.1"
    assert response.truncated is False
    assert response.undecoded == ()


@pytest.mark.parametrize(
    ("status", "ok"), [(200, True), (204, True), (299, True), (300, False), (404, False), (500, False)]
)
async def test_no_status_raises_by_default_and_ok_is_200_to_299(
    client: Any, origin: Origin, status: int, ok: bool
) -> None:
    response = await client.get(f"{origin.url}/status/{status}")
    assert (response.status, response.ok) == (status, ok)


async def test_status_text_is_what_was_received_or_the_standard_one(client: Any) -> None:
    with Peer([[expect_head(), send(b"HTTP/1.1 404 Gone Fishing\r\nContent-Length: 0\r\n\r\n"), expect_head(),
                send(b"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n"), drain()]]) as peer:  # fmt: skip
        assert (await client.get(peer.url)).status_text == "Gone Fishing"
        assert (await client.get(peer.url)).status_text == "Not Found"
        await client.close()


async def test_http_1_0_is_named(client: Any) -> None:
    with Origin(version="HTTP/1.0") as origin:
        response = await client.get(f"{origin.url}/bytes/5")
    assert (response.http_version, len(response.content)) == ("1.0", 5)


async def test_trailers_are_kept(client: Any) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 5\r\n\r\n"
    with Peer([expect_head(), send(answer), drain()]) as peer:
        response = await client.get(peer.url)
        await client.close()
    assert response.data == "ok"
    assert response.trailers["x-sum"] == "5"


async def test_timings_are_seconds_of_each_phase(client: Any, nginx: Nginx) -> None:
    url = nginx.url.replace("127.0.0.1", "localhost")
    first = (await client.get(f"{url}/blob")).timings
    second = (await client.get(f"{url}/json")).timings
    for timings in (first, second):
        assert timings._fields == ("blocked", "dns", "connect", "ssl", "send", "wait", "receive", "total")
        assert all(phase >= 0 for phase in timings)
        assert sum(timings[:-1]) <= timings.total + 1e-6
        assert 0 < timings.total < 10
    assert first.connect > 0
    assert first.wait > 0
    assert (second.connect, second.dns, second.ssl) == (0, 0, 0)


async def test_timings_count_tls(api: Api, nginx: Nginx, certificates: Any) -> None:
    client = api.client(verify=str(certificates.ca))
    response = await client.get(f"{nginx.tls_url}/json")
    assert response.content == JSON
    assert response.timings.ssl > 0


async def test_data_status_status_text_and_headers_can_be_assigned(client: Any, origin: Origin) -> None:
    response = await client.get(f"{origin.url}/echo")
    response.data = 5
    response.status = 404
    response.status_text = "Mine"
    response.headers = {"X-Mine": "1"}
    assert (response.data, response.status, response.statusText, response.headers["x-mine"]) == (5, 404, "Mine", "1")
    assert not response.ok
    response.statusText = "Ours"
    assert response.status_text == "Ours"


@pytest.mark.parametrize(
    ("theirs", "ours"), [("status_code", "status"), ("reason", "status_text"), ("is_success", "ok")]
)
def test_other_libraries_names_name_ours(theirs: str, ours: str) -> None:
    with pytest.raises(AttributeError, match=rf"\b{ours}\b"):
        getattr(Response(), theirs)


async def test_raise_for_status_returns_the_response_or_raises_from_400_up(client: Any, origin: Origin) -> None:
    for status in (200, 304, 399):
        response = await client.get(f"{origin.url}/status/{status}")
        assert response.raise_for_status() is response
    for status, code in ((400, "ERR_BAD_REQUEST"), (499, "ERR_BAD_REQUEST"), (500, "ERR_BAD_RESPONSE")):
        response = await client.get(f"{origin.url}/status/{status}")
        with pytest.raises(AtomHTTPStatusError) as caught:
            response.raise_for_status()
        assert caught.value.code == code
        assert caught.value.status == status
        assert caught.value.response is response


async def test_the_repr_says_status_and_redacted_url(client: Any, origin: Origin) -> None:
    response = await client.get(f"http://u:s3cret@127.0.0.1:{origin.port}/echo?token=s3cret&a=1")
    assert repr(response).startswith("<Response 200 OK http://127.0.0.1")
    assert "s3cret" not in repr(response)
    assert "s3cret" not in repr(response.request)
    assert "s3cret" not in repr(response.config)


# With a type


@dataclass
class Item:
    id: int
    name: str


@dataclass
class Wrong:
    name: int


async def test_json_with_a_type_decodes_into_it(client: Any, nginx: Nginx) -> None:
    response = await client.get(f"{nginx.url}/json")
    assert response.json(Item) == Item(1, "atomhttp")
    with pytest.raises(AtomHTTPDecodeError, match=r"\$\.name"):
        response.json(Wrong)


async def test_json_of_what_is_none_is_a_decode_error(client: Any, nginx: Nginx) -> None:
    response = await client.get(f"{nginx.url}/text")
    with pytest.raises(AtomHTTPDecodeError) as caught:
        response.json()
    assert caught.value.code == "ERR_BAD_RESPONSE"


# The public constructor


def test_a_response_can_be_made_by_hand() -> None:
    response = Response({"a": 1}, 404, None, {"X-One": "1"})
    assert response.data == {"a": 1}
    assert (response.status, response.status_text, response.ok) == (404, "Not Found", False)
    assert isinstance(response.headers, Headers)
    assert (response.url, response.history, response.config, response.request) == ("", (), None, None)
    assert repr(response) == "<Response 404 Not Found>"


def test_a_response_by_hand_has_axioss_defaults() -> None:
    response = Response()
    assert (response.data, response.status, response.status_text) == (None, 200, "OK")
    assert dict(response.headers) == {}
    assert response.raise_for_status() is response


# validateStatus


@pytest.mark.parametrize("status", [200, 204, 299])
async def test_validate_status_true_accepts_200_to_299(client: Any, origin: Origin, status: int) -> None:
    assert (await client.get(f"{origin.url}/status/{status}", validateStatus=True)).status == status


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, "ERR_BAD_RESPONSE"),
        (304, "ERR_BAD_RESPONSE"),
        (400, "ERR_BAD_REQUEST"),
        (404, "ERR_BAD_REQUEST"),
        (503, "ERR_BAD_RESPONSE"),
    ],
)
async def test_validate_status_true_refuses_the_rest_with_axioss_codes(
    client: Any, origin: Origin, status: int, code: str
) -> None:
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get(f"{origin.url}/status/{status}", validate_status=True)
    assert (caught.value.code, caught.value.status) == (code, status)


async def test_validate_status_is_called_with_the_status(client: Any, origin: Origin) -> None:
    asked: list[int] = []

    def only_404(status: int) -> bool:
        asked.append(status)
        return status == 404

    assert (await client.get(f"{origin.url}/status/404", validateStatus=only_404)).status == 404
    with pytest.raises(AtomHTTPStatusError):
        await client.get(f"{origin.url}/status/200", validateStatus=only_404)
    assert asked == [404, 200]


@pytest.mark.parametrize("response_type", ["json", "stream", dict])
async def test_a_status_error_is_complete(client: Any, answer: Any, response_type: Any) -> None:
    url = answer(b'{"why": "nothing here"}', "application/json", 404)
    with pytest.raises(AtomHTTPStatusError, match="404 Not Found") as caught:
        await client.get(url, validateStatus=True, response_type=response_type)
    error = caught.value
    assert error.response.data == {"why": "nothing here"}
    assert error.response.headers["content-type"] == "application/json"
    assert error.response.truncated is False
    assert error.request.url == error.response.url == url
    assert error.config.url == url
    assert url in error.message


async def test_the_data_of_a_refused_stream_is_cut_off_at_1_mib(client: Any, answer: Any) -> None:
    url = answer(b"x" * (2 * 1024 * 1024), "text/plain", 500)
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get(url, validateStatus=True, response_type="stream")
    assert len(caught.value.response.data) == 1024 * 1024
    assert caught.value.response.truncated is True


async def test_the_data_of_a_refused_response_is_read_up_to_max_content_length(client: Any, answer: Any) -> None:
    url = answer(b"x" * 5000, "text/plain", 500, chunked=True)
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get(url, validateStatus=True, response_type="stream", maxContentLength=2000)
    assert caught.value.response.data == "x" * 2000
    assert caught.value.response.truncated is True


async def test_a_type_is_not_asked_of_an_error(client: Any, answer: Any) -> None:
    response = await client.get(answer(b'{"why": 1}', "application/json", 404), response_type=Item)
    assert response.data == {"why": 1}


async def test_an_exception_of_validate_status_reaches_the_caller(client: Any, origin: Origin) -> None:
    class OwnError(Exception):
        pass

    def fail(status: int) -> bool:
        raise OwnError

    with pytest.raises(OwnError):
        await client.get(f"{origin.url}/bytes/5", validateStatus=fail)
    with pytest.raises(OwnError):
        await client.get(f"{origin.url}/bytes/5", validateStatus=fail, response_type="stream")
    client.defaults.maxConnections = 1
    with pytest.raises(OwnError):
        await client.get(f"{origin.url}/bytes/5", validateStatus=fail, response_type="stream")
    # The connection of the refused stream was let go of.
    assert (await client.get(f"{origin.url}/bytes/5", timeout=Timeout(pool=1))).status == 200
