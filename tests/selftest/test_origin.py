"""The recording origin, seen by the standard library's client."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from pathlib import Path

import pytest

from support.certificates import Certificates
from support.origin import Answer, Origin, pattern
from support.server import PATIENCE, silent_address


def dial(origin: Origin) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(origin.host, origin.port, timeout=PATIENCE)


def get(connection: http.client.HTTPConnection, path: str, **options: object) -> tuple[http.client.HTTPResponse, bytes]:
    connection.request(options.pop("method", "GET"), path, **options)  # type: ignore[arg-type]
    response = connection.getresponse()
    return response, response.read()


def test_echo_tells_and_records_everything(origin: Origin) -> None:
    connection = dial(origin)
    _, body = get(connection, "/echo?q=1", method="POST", body=b"\x00\xff", headers={"X-Twice": "a"})
    connection.close()
    told = json.loads(body)
    assert (told["method"], told["target"], told["body"]) == ("POST", "/echo?q=1", "\x00\xff")
    assert ["X-Twice", "a"] in told["headers"]
    (seen,) = origin.requests
    assert (seen.method, seen.path, seen.body, seen.connection) == ("POST", "/echo", b"\x00\xff", 0)
    assert seen.get("x-twice") == "a"
    assert seen.get("x-none") is None


def test_connection_is_kept_until_someone_says_close(origin: Origin) -> None:
    connection = dial(origin)
    for path in ("/bytes/3", "/status/404", "/status/204", "/chunked/2500", "/close"):
        get(connection, path)
    assert [request.connection for request in origin.requests] == [0] * 5
    assert connection.sock is None  # closed after /close
    assert origin.connections == 1


@pytest.mark.parametrize("path", ["/bytes/5001", "/chunked/5001"])
def test_bodies_are_known(origin: Origin, path: str) -> None:
    connection = dial(origin)
    response, body = get(connection, path)
    connection.close()
    assert body == pattern(5001)
    assert (response.getheader("Transfer-Encoding") == "chunked") == path.startswith("/chunked")


def test_head_and_bodiless_answers_send_no_body(origin: Origin) -> None:
    connection = dial(origin)
    response, body = get(connection, "/bytes/7", method="HEAD")
    assert (response.getheader("Content-Length"), body) == ("7", b"")
    for status in (204, 304, 599):
        response, body = get(connection, f"/status/{status}")
        assert (response.status, body) == (status, b"")
    connection.close()


def test_chunked_upload_and_expect_continue(origin: Origin) -> None:
    with socket.create_connection((origin.host, origin.port), PATIENCE) as client:
        client.sendall(b"PUT /echo HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"2\r\nhi\r\n0\r\n\r\n")
        assert client.recv(15) == b"HTTP/1.1 200 OK"
    assert origin.requests[0].body == b"hi"


def test_http_1_0_ends_bodies_by_closing() -> None:
    with Origin(version="HTTP/1.0", keep_alive=False) as origin:
        response, body = get(dial(origin), "/chunked/3000")
        assert (response.version, response.getheader("Content-Length"), body) == (10, None, pattern(3000))


def test_http_1_0_keep_alive_is_agreed_upon() -> None:
    with Origin(version="HTTP/1.0") as origin:
        connection = dial(origin)
        for _ in range(2):
            response, body = get(connection, "/bytes/4", headers={"Connection": "keep-alive"})
            assert (response.getheader("Connection"), body) == ("keep-alive", pattern(4))
        response, _ = get(connection, "/bytes/4")
        assert response.getheader("Content-Length") is None
        assert origin.connections == 1


def test_delay_counts_and_releases(origin: Origin) -> None:
    bodies: list[bytes] = []

    def call() -> None:
        connection = dial(origin)
        bodies.append(get(connection, "/delay/60")[1])
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    origin.wait_for_requests(3)
    assert origin.concurrent == 3
    origin.release.set()
    for thread in threads:
        thread.join()
    assert bodies == [b"late"] * 3
    assert (origin.high_water, origin.concurrent, origin.connections) == (3, 0, 3)
    with pytest.raises(AssertionError, match="3 of 4 requests"):
        origin.wait_for_requests(4, timeout=0)


def test_routes_are_the_tests_own() -> None:
    route = {"/moved": lambda request: Answer(status=302, headers=[("Location", request.target + "/on")])}
    with Origin(routes=route) as origin:
        connection = dial(origin)
        response, _ = get(connection, "/moved")
        connection.close()
        assert (response.status, response.getheader("Location")) == (302, "/moved/on")


def test_tls_origin(tls_origin: Origin, certificates: Certificates) -> None:
    context = certificates.client_context()
    connection = http.client.HTTPSConnection("127.0.0.1", tls_origin.port, context=context, timeout=PATIENCE)
    assert get(connection, "/bytes/5")[1] == pattern(5)
    connection.close()


def test_client_certificates(certificates: Certificates) -> None:
    context = certificates.client_context()
    context.load_cert_chain(certificates.client)
    with Origin(tls=certificates.server_context(ask_client=True)) as origin:
        connection = http.client.HTTPSConnection("localhost", origin.port, context=context, timeout=PATIENCE)
        assert get(connection, "/bytes/5")[1] == pattern(5)
        connection.close()
        assert origin.server_names == ["localhost"]


def test_unix_origin(tmp_path: Path) -> None:
    with Origin(unix=tmp_path / "s") as origin, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(origin.socket_path))
        client.sendall(b"GET /bytes/4 HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert b"".join(iter(lambda: client.recv(999), b"")).endswith(b"\r\n\r\n" + pattern(4))


def test_garbage_from_the_client_fails_the_test() -> None:
    with (
        pytest.raises(AssertionError, match="ValueError"),
        Origin() as origin,
        socket.create_connection((origin.host, origin.port), PATIENCE) as client,
    ):
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(1) == b""


def test_breaking_off_is_only_noted(origin: Origin) -> None:
    with socket.create_connection((origin.host, origin.port), PATIENCE) as client:
        client.sendall(b"GET / HT")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert "closed inside the head" in origin.broken[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_silent_address_neither_accepts_nor_refuses(host: str) -> None:
    with silent_address(host) as address, pytest.raises(TimeoutError):
        socket.create_connection(address, timeout=0.2).close()
