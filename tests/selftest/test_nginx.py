"""nginx answers on all three doors, with the bytes the tests count on."""

from __future__ import annotations

import gzip
import http.client
import socket
from urllib.parse import urlsplit

import pytest

from support.certificates import Certificates
from support.nginx import BIG_SIZE, BLOB, GZIP_JSON, JSON, TEXT, Nginx
from support.server import PATIENCE


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/json", 200, JSON),
        ("/text", 200, TEXT),
        ("/gzip", 200, GZIP_JSON),
        ("/empty", 204, b""),
        ("/status/404", 404, b"no\n"),
        ("/status/500", 500, b"broken\n"),
        ("/blob", 200, BLOB),
        ("/short-lived", 200, b"short\n"),
        ("/close", 200, b"bye\n"),
    ],
)
def test_plain(nginx: Nginx, path: str, status: int, body: bytes) -> None:
    connection = http.client.HTTPConnection(urlsplit(nginx.url).netloc, timeout=PATIENCE)
    connection.request("GET", path)
    response = connection.getresponse()
    assert (response.status, response.read()) == (status, body)
    assert response.getheader("Keep-Alive") == ("timeout=2" if path == "/short-lived" else None)
    connection.close()


def test_big_redirect_and_gzip(nginx: Nginx) -> None:
    connection = http.client.HTTPConnection(urlsplit(nginx.url).netloc, timeout=PATIENCE)
    connection.request("HEAD", "/big")
    response = connection.getresponse()
    response.read()
    assert response.getheader("Content-Length") == str(BIG_SIZE)
    connection.request("GET", "/redirect")
    response = connection.getresponse()
    response.read()
    assert (response.status, response.getheader("Location")) == (302, f"{nginx.url}/json")
    connection.request("GET", "/gzip", headers={"Accept-Encoding": "gzip"})
    response = connection.getresponse()
    assert gzip.decompress(response.read()) == GZIP_JSON
    connection.close()


def test_tls(nginx: Nginx, certificates: Certificates) -> None:
    context = certificates.client_context()
    connection = http.client.HTTPSConnection(urlsplit(nginx.tls_url).netloc, context=context, timeout=PATIENCE)
    connection.request("GET", "/json")
    assert connection.getresponse().read() == JSON
    connection.close()


def test_unix_socket(nginx: Nginx) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(nginx.socket_path))
        client.sendall(b"GET /json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"".join(iter(lambda: client.recv(999), b"")).endswith(JSON)
