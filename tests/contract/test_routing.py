"""Where a request goes: unix sockets, TLS, adapters, connections."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from atomhttp import (
    AdapterResponse,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPTLSError,
    HTTPAdapter,
    InsecureRequestWarning,
    Request,
)
from contract.flavours import Api, collect
from support.nginx import JSON, Nginx
from support.origin import Origin

# socketPath


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("spelling", ["socketPath", "socket_path"])
async def test_socket_path_is_where_it_connects(client: Any, nginx: Nginx, kind: Any, spelling: str) -> None:
    response = await client.get("http://service.test/json", **{spelling: kind(nginx.socket_path)})
    assert response.content == JSON
    assert response.url == "http://service.test/json"


async def test_a_path_alone_has_host_localhost(api: Api, tmp_path: Path) -> None:
    with Origin(unix=tmp_path / "s") as there:
        response = await api.client(socketPath=tmp_path / "s").get("/echo", params={"a": 1})
    assert there.requests[0].get("host") == "localhost"
    assert there.requests[0].target == "/echo?a=1"
    assert response.url == "http://localhost/echo?a=1"


async def test_an_http_unix_url_names_its_socket(client: Any, tmp_path: Path) -> None:
    with Origin(unix=tmp_path / "s") as there:
        response = await client.get(f"http+unix://{quote(str(tmp_path / 's'), safe='')}/echo?a=1")
    assert response.data["target"] == "/echo?a=1"
    assert there.requests[0].get("host") == "localhost"


async def test_https_speaks_tls_on_the_socket(client: Any, tmp_path: Path, certificates: Any) -> None:
    with Origin(unix=tmp_path / "s", tls=certificates.server_context()) as there:
        response = await client.get("https://localhost/echo", socketPath=tmp_path / "s", verify=str(certificates.ca))
    assert response.status == 200
    assert there.server_names == ["localhost"]


async def test_none_on_a_call_uses_tcp(api: Api, origin: Origin) -> None:
    client = api.client(socketPath="/nowhere")
    assert (await client.get(f"{origin.url}/echo", socketPath=None)).status == 200


async def test_a_socket_that_is_not_there_is_a_network_error(client: Any, tmp_path: Path) -> None:
    with pytest.raises(AtomHTTPNetworkError) as caught:
        await client.get("/x", socketPath=tmp_path / "none")
    assert caught.value.code == "ENOENT"


async def test_allowed_socket_paths_are_the_only_ones(api: Api, nginx: Nginx, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(nginx.socket_path)
    client = api.client(allowedSocketPaths=[nginx.socket_path])
    for path in (nginx.socket_path, link):
        assert (await client.get("/json", socketPath=path)).content == JSON
    for options in ({"url": "/json", "socketPath": "/other"}, {"url": f"http+unix://{quote('/other', safe='')}/json"}):
        with pytest.raises(AtomHTTPOptionError, match="allowedSocketPaths") as caught:
            await client.request(options)
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"


async def test_no_socket_path_is_allowed_where_none_is_listed(api: Api, nginx: Nginx) -> None:
    with pytest.raises(AtomHTTPOptionError):
        await api.client(allowedSocketPaths=[]).get("/json", socketPath=nginx.socket_path)


# TLS


async def test_verify_takes_a_ca_file_or_a_context(client: Any, nginx: Nginx, certificates: Any) -> None:
    for verify in (certificates.ca, str(certificates.ca), certificates.client_context()):
        assert (await client.get(f"{nginx.tls_url}/json", verify=verify)).content == JSON


async def test_a_certificate_nobody_vouches_for_is_refused(client: Any, nginx: Nginx) -> None:
    with pytest.raises(AtomHTTPTLSError) as caught:
        await client.get(f"{nginx.tls_url}/json")
    assert caught.value.code in ("UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "UNABLE_TO_VERIFY_LEAF_SIGNATURE")
    assert isinstance(caught.value.__cause__, ssl.SSLError)


async def test_verify_false_warns_once_a_client(api: Api, nginx: Nginx) -> None:
    for _ in range(2):
        client = api.client(verify=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2):
                assert (await client.get(f"{nginx.tls_url}/json")).content == JSON
        assert [each.category for each in caught] == [InsecureRequestWarning]
        # It points at the caller's line, not at ours.
        assert Path(caught[0].filename).parent == Path(__file__).parent


async def test_verify_is_part_of_the_pool_key(api: Api, tls_origin: Origin, certificates: Any) -> None:
    client = api.client(verify=certificates.ca)
    await client.get(f"{tls_origin.url}/echo")
    with pytest.raises(AtomHTTPTLSError):
        await client.get(f"{tls_origin.url}/echo", verify=True)


async def test_cert_shows_a_client_certificate(client: Any, certificates: Any) -> None:
    with Origin(tls=certificates.server_context(ask_client=True)) as there:
        response = await client.get(f"{there.url}/echo", verify=certificates.ca, cert=certificates.client)
        assert response.status == 200


# Connections


async def test_connections_are_kept_and_keep_alive_false_keeps_none(api: Api, origin: Origin) -> None:
    client = api.client()
    for _ in range(3):
        await client.get(f"{origin.url}/echo")
    assert origin.connections == 1
    await client.get(f"{origin.url}/echo", keepAlive=False)
    assert origin.requests[3].get("connection") == "close"
    await client.get(f"{origin.url}/echo")
    assert origin.connections in (2, 3)


async def test_keep_alive_false_sends_connection_close_and_reuses_nothing(api: Api, origin: Origin) -> None:
    client = api.client(keepAlive=False)
    for _ in range(3):
        await client.get(f"{origin.url}/echo")
    assert origin.connections == 3
    assert {each.get("connection") for each in origin.requests} == {"close"}


@pytest.mark.parametrize(
    ("host", "code"), [("127.0.0.1:1", "ECONNREFUSED"), ("nowhere.test", "ENOTFOUND"), ("localhost:1", "ECONNREFUSED")]
)
async def test_errors_of_the_network_have_nodes_codes(client: Any, host: str, code: str) -> None:
    with pytest.raises(AtomHTTPNetworkError) as caught:
        await client.get(f"http://{host}/")
    assert caught.value.code == code
    assert isinstance(caught.value, ConnectionError)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.request_sent == "no"
    assert caught.value.config.url == f"http://{host}/"


# Adapters


class Canned:
    """An adapter that answers by itself."""

    def __init__(self, *answers: AdapterResponse) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.closed = False

    async def send(self, request: Request) -> AdapterResponse:
        self.requests.append(request)
        return self.answers.pop(0)

    async def close(self) -> None:
        self.closed = True


async def test_an_adapter_gets_the_request_and_its_answer_is_decoded(api: Api) -> None:
    adapter = Canned(AdapterResponse(201, {"Content-Type": "application/json"}, b'{"a": 1}', "Made", "2"))
    client = api.client(adapter=adapter, baseURL="http://service.test")
    response = await client.put("/x", {"b": 2}, params={"c": 3}, headers={"X-One": "1"})
    assert (response.status, response.status_text, response.data, response.http_version) == (201, "Made", {"a": 1}, "2")
    [request] = adapter.requests
    assert (request.method, request.url, request.body) == ("PUT", "http://service.test/x?c=3", b'{"b":2}')
    assert (request.headers["x-one"], request.headers["content-type"]) == ("1", "application/json")
    assert request.config is response.config
    assert request.deadline is not None
    assert response.timings.total == 0


async def test_an_adapters_body_may_be_an_iterable(api: Api) -> None:
    async def pieces() -> Any:
        yield b"a"
        yield b"b"

    for body in ([b"a", b"b"], pieces()):
        client = api.client(adapter=Canned(AdapterResponse(200, None, body)))
        assert (await client.get("http://service.test/")).data == "ab"
    client = api.client(adapter=Canned(AdapterResponse(200, None, [b"a", b"b"])))
    response = await client.get("http://service.test/", response_type="stream")
    assert await collect(response.data) == [b"a", b"b"]


async def test_an_adapter_may_be_given_to_a_call(client: Any) -> None:
    adapter = Canned(AdapterResponse(204))
    assert (await client.get("http://service.test/", adapter=adapter)).status == 204


async def test_a_given_adapter_is_not_closed_with_the_client(api: Api) -> None:
    adapter = Canned()
    await api.client(adapter=adapter).close()
    assert not adapter.closed


async def test_two_clients_may_share_an_http_adapter(api: Api, origin: Origin) -> None:
    adapter = HTTPAdapter()
    for client in (api.client(adapter=adapter), api.client(adapter=adapter)):
        await client.get(f"{origin.url}/echo")
    assert origin.connections == 1
    await adapter.close()


async def test_policies_hold_on_every_adapter(api: Api) -> None:
    adapter = Canned(*(AdapterResponse(404, None, [b"x" * 50]) for _ in range(2)))
    client = api.client(adapter=adapter)
    with pytest.raises(Exception, match="maxContentLength"):
        await client.get("http://service.test/", maxContentLength=10)
    with pytest.raises(Exception, match="404"):
        await client.get("http://service.test/", validateStatus=True)
