"""`addressGuard`: which addresses may be connected to, whatever led there (contract: SSRF guard; hazards B7, B8)."""

from __future__ import annotations

import contextlib
import functools
import select
import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from atomhttp import AtomHTTPNetworkError, AtomHTTPOptionError, AtomHTTPProxyError, HTTPAdapter
from atomhttp._model.address_guard import is_public
from contract.flavours import Api, collect
from support.naming import described
from support.origin import Answer, Origin
from support.scripted_proxy import ScriptedProxy
from support.socks import SocksServer

PUBLIC = "93.184.216.34"
PROXIES = ("http", "socks5", "socks5h")


async def refused(call: Any) -> AtomHTTPNetworkError:
    with pytest.raises(AtomHTTPNetworkError) as caught:
        await call
    error = caught.value
    assert error.code == "ERR_ADDRESS_REFUSED", error
    assert not isinstance(error, AtomHTTPProxyError)
    assert error.request_sent == "no"
    assert "addressGuard refuses" in str(error)
    return error


def almost_public(address: Any) -> bool:
    """As "public", but one address of this machine is let through: what stands for the open internet here."""
    return str(address) == "127.0.0.2" or is_public(str(address))


@contextlib.contextmanager
def inside_and_outside() -> Iterator[tuple[Origin, socket.socket]]:
    """An origin at 127.0.0.2, and at 127.0.0.1, on the same port, a listener that must never see a connection."""
    for _ in range(50):
        with Origin(host="127.0.0.2") as origin, socket.socket() as inside:
            try:
                inside.bind(("127.0.0.1", origin.port))
            except OSError:
                continue
            inside.listen()
            yield origin, inside
            assert not select.select([inside], [], [], 0)[0], "it was connected to"
            return
    pytest.fail("no port is free on both addresses")


# "public"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "100.127.255.255", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1"),
        *("::", "::1", "fc00::1", "fd12::1", "fe80::1", "ff02::1", "2001:db8::1", "fe80::1%lo"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1"),
        *("64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::", "2001::"),
    ],
)
async def test_public_refuses_what_is_not(api: Api, address: str) -> None:
    client = api.client(addressGuard="public", resolver=lambda host, port: [address])
    error = await refused(client.get("http://evil.test:8000/"))
    assert f"addressGuard refuses evil.test ({address})" in str(error)
    assert client.pool_stats() == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0x7f.1", "2130706433", "017700000001", "0x7f000001", "127.0.0.1.", "0", "0.0.0.0"),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:a00:1]", "[64:ff9b::7f00:1]"),
        *("169.254.169.254", "0xa9fea9fe", "2852039166", "１２７.0.0.1", "127。0。0。1"),
    ],
)
async def test_public_refuses_literal_addresses_in_every_spelling(api: Api, host: str) -> None:
    await refused(api.client(addressGuard="public").get(f"http://{host}:1/"))


async def test_public_refuses_names_of_this_machine(api: Api, origin: Origin) -> None:
    """By the system's own lookup."""
    await refused(api.client().get(f"http://localhost:{origin.port}/", addressGuard="public"))
    await refused(api.client(addressGuard="public", hosts={"a.test": "127.0.0.1"}).get(f"http://a.test:{origin.port}/"))
    assert origin.connections == 0


async def test_what_is_refused_is_not_tried_again(api: Api) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["10.0.0.1"]

    client = api.client(addressGuard="public", resolver=resolve, retryConfig={"backoff_factor": 0})
    error = await refused(client.get("http://evil.test/"))
    assert asked == ["evil.test"]
    assert len(error.attempts) == 1


# Only what is allowed is dialled


@pytest.mark.parametrize("answer", [["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"]], ids=["last", "first"])
async def test_of_several_addresses_only_the_allowed_are_dialled(api: Api, answer: list[str]) -> None:
    with inside_and_outside() as (origin, _):
        client = api.client(addressGuard=almost_public, resolver=lambda host, port: answer)
        assert (await client.get(f"http://mixed.test:{origin.port}/echo")).status == 200
        # Also when the allowed one does not answer.
        origin.close()
        client = api.client(addressGuard=almost_public, resolver=lambda host, port: answer)
        with pytest.raises(AtomHTTPNetworkError) as caught:
            await client.get(f"http://mixed.test:{origin.port}/echo")
        assert caught.value.code == "ECONNREFUSED"


async def test_a_redirect_to_a_private_address_is_refused(api: Api) -> None:
    with inside_and_outside() as (origin, inside):
        port = inside.getsockname()[1]
        for location in (
            f"http://127.0.0.1:{port}/",
            f"http://2130706433:{port}/",
            f"http://localhost:{port}/",
            f"http://inner.test:{port}/",
            f"//[::ffff:127.0.0.1]:{port}/",
        ):
            origin.routes["/moved"] = lambda request, to=location: Answer(status=302, headers=[("Location", to)])
            client = api.client(addressGuard=almost_public, hosts={"inner.test": "127.0.0.1"})
            error = await refused(client.get(f"{origin.url}/moved"))
            assert error.config.url == f"{origin.url}/moved"
            assert [attempt.status for attempt in error.attempts] == [302, None]


async def test_a_redirect_on_the_same_origin_is_guarded_as_well(api: Api) -> None:
    """The name leads elsewhere when it is asked for a second time."""
    with inside_and_outside() as (origin, _):
        answers = [["127.0.0.2"], ["127.0.0.1"]]
        origin.routes["/moved"] = lambda request: Answer(
            status=302, headers=[("Location", "/secret"), ("Connection", "close")], close=True
        )
        client = api.client(addressGuard=almost_public, resolver=lambda host, port: answers.pop(0))
        await refused(client.get(f"http://rebinding.test:{origin.port}/moved"))
        assert answers == []


async def test_a_name_that_is_rebound_gains_nothing(api: Api) -> None:
    with inside_and_outside() as (origin, _):
        answers = [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]]
        client = api.client(addressGuard=almost_public, resolver=lambda host, port: answers.pop(0))
        url = f"http://rebinding.test:{origin.port}/echo"
        assert (await client.get(url, keepAlive=False)).status == 200
        await refused(client.get(url))
        assert (await client.get(url)).status == 200
        assert answers == []


async def test_a_retry_is_guarded_as_well(api: Api) -> None:
    with inside_and_outside() as (origin, _):
        origin.close()
        answers = [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1"]]
        client = api.client(
            addressGuard=almost_public,
            resolver=lambda host, port: answers.pop(0),
            retryConfig={"backoff_factor": 0},
        )
        error = await refused(client.get(f"http://rebinding.test:{origin.port}/"))
        assert [attempt.error for attempt in error.attempts] == ["ECONNREFUSED", "ERR_ADDRESS_REFUSED"]


async def test_streams_and_uploads_are_guarded_as_any_call(api: Api, origin: Origin) -> None:
    client = api.client(addressGuard="public")
    await refused(client.get(origin.url, response_type="stream"))
    await refused(client.post(origin.url, api.iterator([b"x"])))
    assert origin.connections == 0


# Functions


async def test_a_function_gets_as_much_as_it_requires(api: Api, origin: Origin) -> None:
    seen: list[Any] = []

    class Guard:
        def method(self, address: Any, port: int) -> bool:
            seen.append((address, port))
            return True

    def one(address: Any) -> bool:
        seen.append((address,))
        return True

    def three(address: Any, port: int, host: str) -> bool:
        seen.append((address, port, host))
        return True

    def optional(address: Any, port: int = 0) -> bool:
        seen.append((address, port))
        return True

    address, port = IPv4Address("127.0.0.1"), origin.port
    client = api.client(hosts={"a.test": "127.0.0.1"})
    for guard, expected in (
        (one, (address,)),
        (Guard().method, (address, port)),
        (three, (address, port, "a.test")),
        (optional, (address, 0)),
        (functools.partial(three, host="fixed"), (address, port, "fixed")),
        (lambda *rest: three(*rest, 0, ""), (address, 0, "")),
    ):
        assert (await client.get(f"http://a.test:{port}/echo", addressGuard=guard)).status == 200
        assert seen.pop() == expected
        assert seen == []


async def test_a_function_is_asked_about_every_address(api: Api) -> None:
    seen: list[Any] = []

    def guard(address: Any) -> bool:
        seen.append(address)
        return False

    client = api.client(addressGuard=guard, hosts={"a.test": ["127.0.0.1", "::ffff:127.0.0.1", "fe80::1%lo"]})
    error = await refused(client.get("http://a.test/"))
    assert seen == [IPv4Address("127.0.0.1"), IPv6Address("::ffff:127.0.0.1"), IPv6Address("fe80::1%lo")]
    assert "a.test (127.0.0.1, ::ffff:" in str(error)


@pytest.mark.parametrize("verdict", [False, None, 0, "", []], ids=described)
async def test_what_is_not_true_refuses(api: Api, origin: Origin, verdict: Any) -> None:
    error = await refused(api.client(addressGuard=lambda address: verdict).get(origin.url))
    assert str(error) == "addressGuard refuses 127.0.0.1"
    assert origin.connections == 0


@pytest.mark.parametrize(
    "error",
    [ValueError("mine"), OSError("mine"), ConnectionError("mine"), AtomHTTPNetworkError("mine"), TimeoutError("mine")],
    ids=lambda error: type(error).__name__,
)
async def test_what_a_function_raises_passes_through(api: Api, origin: Origin, error: Exception) -> None:
    asked: list[Any] = []

    def guard(address: Any) -> bool:
        asked.append(address)
        raise error

    client = api.client(addressGuard=guard, retryConfig={"backoff_factor": 0})
    with pytest.raises(type(error)) as caught:
        await client.get(origin.url)
    assert caught.value is error
    assert len(asked) == 1
    assert client.pool_stats() == (0, 0, 0, 0)
    assert origin.connections == 0


async def test_a_function_may_not_return_something_to_be_awaited(api: Api, origin: Origin) -> None:
    async def verdict() -> bool:
        return True

    with pytest.raises(AtomHTTPOptionError, match="True or False, got something to be awaited") as caught:
        await api.client(addressGuard=lambda address: verdict()).get(origin.url)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert origin.connections == 0


async def test_a_function_without_a_hash_will_do(api: Api, origin: Origin) -> None:
    class Guard:
        __hash__ = None  # type: ignore[assignment]  # as of an instance of a dataclass

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Guard)

        def __call__(self, address: Any) -> bool:
            return True

    client = api.client()
    for _ in range(2):
        assert (await client.get(f"{origin.url}/echo", addressGuard=Guard())).status == 200
    assert origin.connections == 1


async def _async_guard(address: Any) -> bool:
    return True


@pytest.mark.parametrize(
    "value", ["private", "", True, 1, ["127.0.0.1"], str, _async_guard, lambda a, b, c, d: True], ids=described
)
async def test_wrong_guards(api: Api, value: Any) -> None:
    for make in (
        lambda: api.client_class(addressGuard=value),
        lambda: setattr(api.client_class().defaults, "address_guard", value),
    ):
        with pytest.raises(AtomHTTPOptionError, match="address") as caught:
            make()
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    with pytest.raises(AtomHTTPOptionError):
        await api.client().get("http://127.0.0.1:1/", addressGuard=value)


# Connections that are kept


async def test_a_kept_connection_is_no_way_around_it(api: Api, origin: Origin) -> None:
    client = api.client()
    await client.get(f"{origin.url}/echo")
    assert client.pool_stats().idle == 1
    await refused(client.get(f"{origin.url}/echo", addressGuard="public"))
    await refused(client.get(f"{origin.url}/echo", addressGuard=lambda address: False))
    client.defaults.address_guard = "public"
    await refused(client.get(f"{origin.url}/echo"))
    assert (await client.get(f"{origin.url}/echo", addressGuard=None)).data["connection"] == 0
    assert len(origin.requests) == 2


async def test_connections_are_shared_by_calls_with_the_same_guard_only(api: Api, origin: Origin) -> None:
    client = api.client()

    def one(address: Any) -> bool:
        return True

    def other(address: Any) -> bool:
        return True

    used = [
        (await client.get(f"{origin.url}/echo", addressGuard=guard)).data["connection"]
        for guard in (None, one, other, one, other, None)
    ]
    assert used == [0, 1, 2, 1, 2, 0]


async def test_a_shared_adapter_is_no_way_around_it(api: Api, origin: Origin) -> None:
    adapter = HTTPAdapter()
    await api.client(adapter=adapter).get(f"{origin.url}/echo")
    await refused(api.client(adapter=adapter, addressGuard="public").get(f"{origin.url}/echo"))
    assert len(origin.requests) == 1
    await adapter.close()


# Proxies: who resolves the name is the question


def proxy_server(kind: str, destinations: dict[str, int]) -> Any:
    return (ScriptedProxy if kind == "http" else SocksServer)(destinations=destinations)


@pytest.mark.parametrize("kind", ["http", "socks5h"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_name_that_the_proxy_would_resolve_is_refused(api: Api, kind: str, scheme: str) -> None:
    with proxy_server(kind, {}) as proxy:
        client = api.client(addressGuard="public", proxy=f"{kind}://127.0.0.1:{proxy.port}")
        error = await refused(client.get(f"{scheme}://name.test/"))
        assert f"addressGuard refuses name.test: the proxy {kind}://127.0.0.1:{proxy.port} would resolve it" in str(
            error
        )
        assert "socks5://" in str(error)
        assert "proxy=False" in str(error)
        assert proxy.connections == 0


@pytest.mark.parametrize("kind", PROXIES)
async def test_a_private_address_is_refused_through_a_proxy_as_well(api: Api, origin: Origin, kind: str) -> None:
    with proxy_server(kind, {}) as proxy:
        client = api.client(addressGuard="public", proxy=f"{kind}://127.0.0.1:{proxy.port}")
        for host in ("127.0.0.1", "10.0.0.1", "[::1]", "2130706433"):
            await refused(client.get(f"http://{host}:{origin.port}/"))
        assert proxy.connections == 0
    assert origin.connections == 0


@pytest.mark.parametrize("kind", PROXIES)
async def test_a_public_address_goes_through_a_proxy_wherever_that_is(api: Api, origin: Origin, kind: str) -> None:
    """The proxy's own address is the caller's choice: it is not asked about."""
    with proxy_server(kind, {PUBLIC: origin.port}) as proxy:
        client = api.client(addressGuard="public", proxy=f"{kind}://127.0.0.1:{proxy.port}")
        assert (await client.get(f"http://{PUBLIC}/echo")).status == 200
    assert len(origin.requests) == 1


async def test_a_socks5_proxy_is_given_an_allowed_address(api: Api, origin: Origin) -> None:
    with SocksServer(destinations={PUBLIC: origin.port}) as socks:
        client = api.client(
            addressGuard="public",
            proxy=f"socks5://127.0.0.1:{socks.port}",
            hosts={"good.test": ["10.0.0.1", PUBLIC], "bad.test": ["10.0.0.1", "::1"]},
        )
        assert (await client.get("http://good.test/echo")).status == 200
        await refused(client.get("http://bad.test/echo"))
        assert [(asked.kind, asked.host) for asked in socks.asked] == [("ipv4", PUBLIC)]


async def test_a_redirect_through_a_proxy_is_guarded(api: Api, origin: Origin) -> None:
    origin.routes["/moved"] = lambda request: Answer(
        status=302, headers=[("Location", "http://169.254.169.254/latest")]
    )
    with SocksServer(destinations={PUBLIC: origin.port}) as socks:
        client = api.client(
            addressGuard="public", proxy=f"socks5://127.0.0.1:{socks.port}", hosts={"good.test": PUBLIC}
        )
        await refused(client.get("http://good.test/moved"))
        assert len(socks.asked) == 1


async def test_a_proxy_of_the_environment_counts(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    client = api.client(addressGuard="public")
    error = await refused(client.get("http://name.test/"))
    assert "the proxy http://127.0.0.1:1" in str(error)
    resolved = api.client(addressGuard="public", resolver=lambda host, port: ["10.0.0.1"])
    assert "name.test (10.0.0.1)" in str(await refused(resolved.get("http://name.test/", proxy=False)))


# Unix sockets


async def test_a_unix_socket_has_no_address(api: Api, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Origin(unix=path) as there:
        client = api.client(addressGuard="public")
        for options in (
            {"url": "http://name.test/echo", "socketPath": path},
            {"url": f"http+unix://{quote(str(path), safe='')}/echo"},
        ):
            error = await refused(client.request(options))
            assert str(path) in str(error)
            assert "allowedSocketPaths would let it" in str(error)
        assert there.connections == 0
        # What is named there is allowed by name.
        client.defaults.allowed_socket_paths = [path]
        assert (await client.get("http://name.test/echo", socketPath=path)).status == 200


async def test_a_redirect_away_from_a_unix_socket_is_guarded(api: Api, tmp_path: Path, origin: Origin) -> None:
    def moved(_: Any) -> Answer:
        return Answer(status=302, headers=[("Location", f"{origin.url}/echo")])

    with Origin(unix=tmp_path / "s", routes={"/moved": moved}):
        client = api.client(addressGuard="public", socketPath=tmp_path / "s", allowedSocketPaths=[tmp_path / "s"])
        await refused(client.get("http://name.test/moved"))
    assert origin.connections == 0


# Together


async def test_many_guarded_calls_leave_nothing(api: Api, origin: Origin) -> None:
    client = api.client(addressGuard="public", maxConnections=2)
    for _ in range(50):
        await refused(client.get(origin.url))
    assert client.pool_stats() == (0, 0, 0, 0)
    response = await client.get(f"{origin.url}/bytes/10", addressGuard=None, response_type="stream")
    assert b"".join(await collect(response.data)) == b"\0\0\0\0\0\0\0\4\0\0"


def test_the_tests_of_this_file_have_a_guard_like_public() -> None:
    allowed: Callable[[Any], bool] = almost_public
    assert [allowed(each) for each in ("127.0.0.2", PUBLIC, "127.0.0.1", "10.0.0.1")] == [True, True, False, False]
