"""The proxies that the tests lead requests through do forward, tunnel, ask for credentials, and tell what they saw."""

from __future__ import annotations

import contextlib
import socket
from base64 import b64encode
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from support.certificates import Certificates
from support.origin import Origin
from support.peer import Peer, expect_head, hold, send
from support.proxies import PASSWORD, USERNAME, RealProxy, run_proxy
from support.scripted_proxy import Reply, ScriptedProxy
from support.server import PATIENCE
from support.socks import Asked, SocksServer, Stage, socks_address

StartProxy = Callable[[str], RealProxy]

HTTP_PROXIES = ["squid", "squid-auth", "squid-tls", "tinyproxy", "tinyproxy-auth"]
CREDENTIALS = f"Proxy-Authorization: Basic {b64encode(f'{USERNAME}:{PASSWORD}'.encode()).decode()}\r\n"


def dial(url: str, certificates: Certificates) -> socket.socket:
    """A connection to a proxy, TLS included."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), PATIENCE)
    if parts.scheme != "https":
        return connection
    return certificates.client_context().wrap_socket(connection, server_hostname=parts.hostname)


def read_head(connection: socket.socket) -> bytes:
    """One response head, and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, f"the connection ended inside the head {head!r}"
        head += byte
    return head


def exactly(connection: socket.socket, size: int) -> bytes:
    with connection.makefile("rb", buffering=0) as stream:
        data = b""
        while len(data) < size and (more := stream.read(size - len(data))):
            data += more
    return data


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def get(target: str, host: str, fields: str = "", close: bool = True) -> bytes:
    ending = "Connection: close\r\n" if close else ""
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{fields}{ending}\r\n".encode()


def connect(authority: str, fields: str = "") -> bytes:
    return f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n".encode()


# Real ones


@pytest.mark.parametrize("kind", HTTP_PROXIES)
def test_a_real_proxy_forwards(real_proxy: StartProxy, kind: str, origin: Origin, certificates: Certificates) -> None:
    proxy, authority = real_proxy(kind), f"127.0.0.1:{origin.port}"
    fields = CREDENTIALS if kind.endswith("-auth") else ""
    with dial(proxy.url, certificates) as connection:
        connection.sendall(get(f"{origin.url}/bytes/8", authority, fields))
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.")
    assert b" 200 " in answer
    assert answer.endswith(b"\x00\x00\x00\x00\x00\x00\x00\x04")
    assert [request.target for request in origin.requests] == ["/bytes/8"]
    assert origin.requests[0].get("Proxy-Authorization") is None
    assert origin.requests[0].get("Via") is not None
    seen = proxy.requests_seen(authority)
    assert [each.removesuffix(" 200") for each in seen] == [f"GET {origin.url}/bytes/8"]


@pytest.mark.parametrize("kind", ["squid", "squid-auth", "tinyproxy", "tinyproxy-auth"])
def test_a_real_proxy_tunnels(
    real_proxy: StartProxy, kind: str, tls_origin: Origin, certificates: Certificates
) -> None:
    proxy, authority = real_proxy(kind), f"127.0.0.1:{tls_origin.port}"
    with dial(proxy.url, certificates) as connection:
        connection.sendall(connect(authority, CREDENTIALS if kind.endswith("-auth") else ""))
        assert b" 200 " in read_head(connection)
        with certificates.client_context().wrap_socket(connection, server_hostname="127.0.0.1") as inner:
            inner.sendall(get("/bytes/4", authority))
            assert read_all(inner).endswith(b"\r\n\r\n\x00\x00\x00\x00")
    assert [request.target for request in tls_origin.requests] == ["/bytes/4"]
    assert tls_origin.requests[0].get("Via") is None
    assert [each.removesuffix(" 200") for each in proxy.requests_seen(authority)] == [f"CONNECT {authority}"]


def test_a_real_https_proxy_tunnels(real_proxy: StartProxy, origin: Origin, certificates: Certificates) -> None:
    # To a plain origin: the ssl module cannot wrap a connection twice.
    proxy, authority = real_proxy("squid-tls"), f"127.0.0.1:{origin.port}"
    assert proxy.url == f"https://localhost:{proxy.port}"
    with dial(proxy.url, certificates) as connection:
        connection.sendall(connect(authority))
        assert b" 200 " in read_head(connection)
        connection.sendall(get("/bytes/4", authority))
        assert read_all(connection).endswith(b"\r\n\r\n\x00\x00\x00\x00")
    assert proxy.requests_seen(authority) == [f"CONNECT {authority} 200"]


@pytest.mark.parametrize("kind", ["squid-auth", "tinyproxy-auth"])
@pytest.mark.parametrize("fields", ["", "Proxy-Authorization: Basic eDp5\r\n"])
def test_a_real_proxy_asks_for_credentials(
    real_proxy: StartProxy, kind: str, fields: str, origin: Origin, certificates: Certificates
) -> None:
    proxy, authority = real_proxy(kind), f"127.0.0.1:{origin.port}"
    assert proxy.url == f"http://{USERNAME}:{PASSWORD}@127.0.0.1:{proxy.port}"
    for request in (get(f"{origin.url}/", authority, fields), connect(authority, fields)):
        with dial(proxy.url, certificates) as connection:
            connection.sendall(request)
            head = read_head(connection)
        assert head.split(b" ")[1] in (b"407", b"401")  # tinyproxy's answer to wrong ones
    assert origin.requests == []


@pytest.mark.parametrize("kind", ["microsocks", "microsocks-auth"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_real_socks_proxy_tunnels(real_proxy: StartProxy, kind: str, host: str, origin: Origin) -> None:
    proxy = real_proxy(kind)
    assert proxy.scheme == "socks5"
    with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as connection:
        if kind == "microsocks-auth":
            connection.sendall(b"\x05\x01\x02")
            assert exactly(connection, 2) == b"\x05\x02"
            connection.sendall(bytes([1, len(USERNAME)]) + f"{USERNAME}{chr(len(PASSWORD))}{PASSWORD}".encode())
            assert exactly(connection, 2) == b"\x01\x00"
        else:
            connection.sendall(b"\x05\x01\x00")
            assert exactly(connection, 2) == b"\x05\x00"
        connection.sendall(b"\x05\x01\x00" + socks_address(host, origin.port))
        assert exactly(connection, 10)[:2] == b"\x05\x00"
        connection.sendall(get("/bytes/4", host))
        assert read_all(connection).endswith(b"\r\n\r\n\x00\x00\x00\x00")
    assert len(origin.requests) == 1
    # A name stays a name: what tells socks5 from socks5h.
    assert proxy.requests_seen(f"{host}:{origin.port}") == [f"{host}:{origin.port}"]


def test_a_real_socks_proxy_refuses_wrong_credentials(real_proxy: StartProxy) -> None:
    proxy = real_proxy("microsocks-auth")
    with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as connection:
        connection.sendall(b"\x05\x01\x02")
        assert exactly(connection, 2) == b"\x05\x02"
        connection.sendall(b"\x01\x01x\x01y")
        answer = exactly(connection, 2)
        assert answer[:1] == b"\x01"
        assert answer[1:] != b"\x00"


def test_a_real_proxy_is_started_once_and_is_nobody(real_proxy: StartProxy) -> None:
    proxy = real_proxy("tinyproxy")
    assert real_proxy("tinyproxy") is proxy
    with open(f"/proc/{proxy.process.pid}/status", encoding="ascii") as status:
        user = next(line.split()[1] for line in status if line.startswith("Uid:"))
    assert user != "0"


def test_a_proxy_that_cannot_start_says_why(certificates: Certificates) -> None:
    # A shell knows no -d.
    with (
        pytest.raises(RuntimeError, match=r"tinyproxy did not start \(it ended with \d\):\n.*-d"),
        run_proxy("tinyproxy", "/bin/sh", certificates),
    ):
        pass


# The scripted one


@pytest.mark.parametrize("secure", [False, True])
def test_the_scripted_proxy_forwards(secure: bool, certificates: Certificates) -> None:
    tls = certificates.server_context() if secure else None
    first = get("http://origin.test/bytes/4?q=1", "origin.test", "X-Mine: 1\r\nProxy-Connection: x\r\n", close=False)
    second = b"POST http://origin.test:81/echo HTTP/1.1\r\nHost: origin.test:81\r\nTransfer-Encoding: chunked\r\n\r\n"
    second += b"3\r\nabc\r\n0\r\n\r\n"
    with (
        Origin() as origin,
        ScriptedProxy(tls=tls, destinations={"origin.test": origin.port}) as proxy,
        dial(proxy.url, certificates) as connection,
    ):
        connection.sendall(first)
        assert b"Content-Length: 4\r\n" in read_head(connection)
        assert exactly(connection, 4) == b"\x00\x00\x00\x00"
        connection.sendall(second)
        assert b" 200 " in read_head(connection)
    assert proxy.connections == 1
    assert proxy.forwarded == ["GET http://origin.test/bytes/4?q=1", "POST http://origin.test:81/echo"]
    assert proxy.requests[0].raw == first
    assert proxy.received[0] == first + second
    assert [(each.method, each.target, each.body) for each in origin.requests] == [
        ("GET", "/bytes/4?q=1", b""),
        ("POST", "/echo", b"abc"),
    ]
    assert origin.requests[0].get("X-Mine") == "1"
    assert origin.requests[0].get("Proxy-Connection") is None


@pytest.mark.parametrize("secure", [False, True])
def test_the_scripted_proxy_tunnels(secure: bool, certificates: Certificates) -> None:
    tls = certificates.server_context() if secure else None
    asking = connect("origin.test:443")
    with (
        Origin() as origin,
        ScriptedProxy(tls=tls, destinations={"origin.test:443": origin.port}) as proxy,
        dial(proxy.url, certificates) as connection,
    ):
        connection.sendall(asking)
        assert read_head(connection) == b"HTTP/1.1 200 Connection established\r\n\r\n"
        inside = get("/bytes/200000", "origin.test")
        connection.sendall(inside)
        assert len(read_all(connection).partition(b"\r\n\r\n")[2]) == 200_000
    assert proxy.tunnels == ["origin.test:443"]
    assert (proxy.received[0], proxy.tunnelled[0]) == (asking, inside)
    assert proxy.server_names == ([None] if secure else [])


def test_the_scripted_proxy_asks_for_credentials(origin: Origin, certificates: Certificates) -> None:
    authority = f"127.0.0.1:{origin.port}"
    with ScriptedProxy(credentials=(USERNAME, PASSWORD)) as proxy, dial(proxy.url, certificates) as connection:
        for fields in ("", "Proxy-Authorization: Basic eDp5\r\n"):
            connection.sendall(connect(authority, fields))
            assert read_head(connection).startswith(b"HTTP/1.1 407 ")
            assert exactly(connection, 6) == b"who?\r\n"
        connection.sendall(connect(authority, CREDENTIALS))
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")
        connection.sendall(get("/bytes/4", authority))
        assert read_all(connection).endswith(b"\x00\x00\x00\x00")
    assert proxy.tunnels == [authority] * 3


def test_the_scripted_proxy_misbehaves(origin: Origin, certificates: Certificates) -> None:
    authority = f"127.0.0.1:{origin.port}"
    replies = [Reply(), Reply(b"garbage"), Reply(b"HTTP/1.1 407 No\r\n\r\n", "again"), Reply(b"HTTP/1.1 200 OK\r\n")]
    replies += [Reply(b"HTTP/1.1 200 OK\r\n\r\nsurplus", "tunnel"), Reply(b"half", "hold")]
    with ScriptedProxy(replies=replies) as proxy:
        for expected in (b"", b"garbage", b"HTTP/1.1 407 No\r\n\r\nHTTP/1.1 200 OK\r\n"):
            with dial(proxy.url, certificates) as connection:
                connection.sendall(connect(authority))
                if b"407" in expected:
                    connection.sendall(connect(authority))
                assert read_all(connection) == expected
        with dial(proxy.url, certificates) as connection:
            connection.sendall(connect(authority))
            assert read_head(connection) == b"HTTP/1.1 200 OK\r\n\r\n"
            connection.sendall(get("/status/204", authority))
            assert read_all(connection).startswith(b"surplusHTTP/1.1 204 ")
        for _ in range(2):  # the last reply stays
            with dial(proxy.url, certificates) as connection:
                connection.sendall(connect(authority))
                assert connection.recv(99) == b"half"
    assert proxy.tunnels == [authority] * 7


def test_the_scripted_proxy_cannot_reach_what_is_not_there(certificates: Certificates) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with ScriptedProxy() as proxy, dial(proxy.url, certificates) as connection:
        for request in (connect(f"127.0.0.1:{port}"), get(f"http://127.0.0.1:{port}/", "x", close=False)):
            connection.sendall(request)
            assert read_head(connection).startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize("kind", ["proxy", "socks"])
def test_closing_a_scripted_proxy_ends_a_tunnel_to_an_origin_that_does_not_end(kind: str) -> None:
    with Peer([expect_head(), send(b"HTTP/1.1 200 OK\r\n\r\n"), hold()]) as peer, contextlib.ExitStack() as stack:
        # Entered before the client's connection: closed after it.
        server = stack.enter_context(ScriptedProxy() if kind == "proxy" else SocksServer())
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as connection:
            if kind == "proxy":
                connection.sendall(connect(f"127.0.0.1:{peer.port}"))
                read_head(connection)
            else:
                connection.sendall(b"\x05\x01\x00\x05\x01\x00" + socks_address("127.0.0.1", peer.port))
                assert len(exactly(connection, 12)) == 12
            connection.sendall(get("/", "peer"))
            read_head(connection)
        server.close()
        assert not any(thread.is_alive() for thread in server.threads)


# SOCKS


def greet(connection: socket.socket, server: SocksServer, methods: bytes = b"\x00") -> None:
    connection.sendall(bytes([5, len(methods)]) + methods)
    expected = 2 if server.credentials else 0
    assert exactly(connection, 2) == bytes([5, expected])


@pytest.mark.parametrize(
    ("host", "kind"), [("origin.test", "name"), ("192.0.2.1", "ipv4"), ("2001:db8::1", "ipv6"), ("127.0.0.1", "ipv4")]
)
def test_the_socks_server_tells_names_from_addresses(host: str, kind: str, origin: Origin) -> None:
    with (
        SocksServer(destinations={host: origin.port}) as socks,
        socket.create_connection(("127.0.0.1", socks.port), PATIENCE) as connection,
    ):
        greet(connection, socks)
        connection.sendall(b"\x05\x01\x00" + socks_address(host, 8080))
        assert exactly(connection, 10) == b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
        inside = get("/bytes/4", host)
        connection.sendall(inside)
        assert read_all(connection).endswith(b"\x00\x00\x00\x00")
    assert [(each.kind, each.host, each.port) for each in socks.asked] == [(kind, host, 8080)]
    assert socks.offered == [b"\x00"]
    assert socks.tunnelled[0] == inside
    assert socks.received[0] == b"\x05\x01\x00\x05\x01\x00" + socks_address(host, 8080)


@pytest.mark.parametrize(("password", "verdict"), [("right", b"\x01\x00"), ("wrong", b"\x01\x01")])
def test_the_socks_server_asks_for_credentials(password: str, verdict: bytes, origin: Origin) -> None:
    with (
        SocksServer(credentials=("user", "right"), bound=socks_address("bound.test", 9)) as socks,
        socket.create_connection(("127.0.0.1", socks.port), PATIENCE) as connection,
    ):
        greet(connection, socks, b"\x00\x02")
        connection.sendall(b"\x01\x04user\x05" + password.encode())
        assert exactly(connection, 2) == verdict
        if password == "wrong":
            assert connection.recv(1) == b""
        else:
            connection.sendall(b"\x05\x01\x00" + socks_address("127.0.0.1", origin.port))
            assert exactly(connection, 17) == b"\x05\x00\x00\x03\x0abound.test\x00\x09"
    known = [Asked("ipv4", "127.0.0.1", origin.port, ("user", "right"), 0)]
    assert socks.asked == (known if password == "right" else [])


def test_the_socks_server_wants_credentials_that_the_client_does_not_offer() -> None:
    with (
        SocksServer(credentials=("user", "right")) as socks,
        socket.create_connection(("127.0.0.1", socks.port), PATIENCE) as connection,
    ):
        connection.sendall(b"\x05\x01\x00")
        assert read_all(connection) == b"\x05\xff"


@pytest.mark.parametrize("code", [1, 2, 5, 8, 0x99])
def test_the_socks_server_refuses(code: int) -> None:
    with (
        SocksServer(refusal=code) as socks,
        socket.create_connection(("127.0.0.1", socks.port), PATIENCE) as connection,
    ):
        greet(connection, socks)
        connection.sendall(b"\x05\x01\x00" + socks_address("origin.test", 80))
        assert read_all(connection) == bytes([5, code]) + b"\x00\x01\x00\x00\x00\x00\x00\x00"
    assert [each.host for each in socks.asked] == ["origin.test"]


def test_the_socks_server_says_what_it_could_not_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with SocksServer() as socks, socket.create_connection(("127.0.0.1", socks.port), PATIENCE) as connection:
        greet(connection, socks)
        connection.sendall(b"\x05\x01\x00" + socks_address("127.0.0.1", port))
        assert exactly(connection, 2) == b"\x05\x05"


@pytest.mark.parametrize("stage", ["method", "auth", "request"])
@pytest.mark.parametrize("said", [b"", b"\x04garbage"])
def test_the_socks_server_misbehaves(stage: Stage, said: bytes, origin: Origin) -> None:
    with (
        SocksServer(credentials=("u", "p"), instead={stage: said}) as socks,
        socket.create_connection(("127.0.0.1", socks.port), PATIENCE) as connection,
    ):
        answers = {"method": b"\x05\x02", "auth": b"\x01\x00"}
        messages = {"method": b"\x05\x01\x02", "auth": b"\x01\x01u\x01p"}
        messages["request"] = b"\x05\x01\x00" + socks_address("127.0.0.1", origin.port)
        for name, message in messages.items():
            connection.sendall(message)
            if name == stage:
                break
            assert exactly(connection, 2) == answers[name]
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == said
    assert origin.requests == []


def test_a_client_that_speaks_something_else_fails_the_test() -> None:
    with (
        pytest.raises(AssertionError, match=r"the client speaks version b'G', not 5"),
        SocksServer() as socks,
        socket.create_connection(("127.0.0.1", socks.port), PATIENCE) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            read_all(connection)
