"""Names, addresses, and where connections come from: `hosts`, `resolver`, `localAddress`, HTTPAdapter's options."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from atomhttp import (
    AtomHTTPError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPTLSError,
    HTTPAdapter,
    is_atomhttp_error,
)
from atomhttp._net.race import ATTEMPT_DELAY
from contract.flavours import Api
from support.certificates import Certificates
from support.origin import Answer, Origin
from support.peer import Conversation, Peer, drain, expect_head, send
from support.scripted_proxy import ScriptedProxy
from support.socks import SocksServer


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


IPV6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


class Names:
    """A resolver that remembers what it was asked."""

    def __init__(self, *addresses: Any, **table: Any) -> None:
        self.asked: list[tuple[str, int]] = []
        self._addresses = list(addresses) or ["127.0.0.1"]
        self._table = table

    def __call__(self, host: str, port: int) -> Any:
        self.asked.append((host, port))
        return self._table.get(host.partition(".")[0], self._addresses)


# hosts


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("api.test", "api.test"),
        ("API.Test", "api.test"),
        ("api.test", "API.TEST"),
        ("api.test.", "api.test"),
        ("api.test", "api.test."),
        ("münchen.test", "münchen.test"),
        ("xn--mnchen-3ya.test", "MÜNCHEN.test"),
        ("münchen.test", "xn--mnchen-3ya.test"),
        ("localhost", "localhost"),
        ("server1", "server1"),
    ],
)
async def test_hosts_say_where_a_name_is(api: Api, origin: Origin, name: str, asked: str) -> None:
    client = api.client(hosts={name: "127.0.0.1", "other.test": "127.0.0.9"})
    response = await client.get(f"http://{asked}:{origin.port}/echo")
    assert response.status == 200
    # The URL, and what the origin is told, remain what they were.
    assert origin.requests[0].get("host") == response.url.removeprefix("http://").partition("/")[0]


@IPV6
async def test_hosts_may_lead_to_ipv6(api: Api) -> None:
    with Origin(host="::1") as origin:
        assert (await api.client(hosts={"six.test": "::1"}).get(f"http://six.test:{origin.port}/echo")).status == 200


async def test_hosts_are_tried_in_their_order(api: Api, origin: Origin) -> None:
    """Nobody listens at the first: the second is next, at once."""
    client = api.client(hosts={"two.test": ["127.0.0.9", "127.0.0.1"]})
    response = await client.get(f"http://two.test:{origin.port}/echo")
    assert response.status == 200
    assert response.timings.connect < ATTEMPT_DELAY
    client = api.client(hosts={"none.test": ["127.0.0.9", "127.0.0.8"]})
    with pytest.raises(AtomHTTPNetworkError) as caught:
        await client.get(f"http://none.test:{origin.port}/echo")
    assert caught.value.code == "ECONNREFUSED"
    message = str(caught.value)
    assert message.index(f"127.0.0.9:{origin.port}") < message.index(f"127.0.0.8:{origin.port}")


async def test_hosts_come_before_the_resolver_and_the_resolver_before_the_system(api: Api, origin: Origin) -> None:
    names = Names()
    client = api.client(hosts={"table.test": "127.0.0.1"}, resolver=names)
    for name in ("table.test", "other.test"):
        assert (await client.get(f"http://{name}:{origin.port}/echo")).status == 200
    assert names.asked == [("other.test", origin.port)]
    client = api.client(hosts={"table.test": "127.0.0.1"})
    with pytest.raises(AtomHTTPNetworkError) as caught:
        await client.get(f"http://nobody.test:{origin.port}/")
    assert caught.value.code == "ENOTFOUND"


async def test_defaults_are_live(api: Api, origin: Origin) -> None:
    client = api.client()
    client.defaults.hosts = {"a.test": "127.0.0.1"}
    assert (await client.get(f"http://a.test:{origin.port}/echo")).status == 200
    client.defaults.hosts = {"a.test": "127.0.0.9"}
    with pytest.raises(AtomHTTPNetworkError, match=r"127\.0\.0\.9"):  # not the connection that was kept
        await client.get(f"http://a.test:{origin.port}/echo")
    client.defaults.hosts = None
    client.defaults.resolver = Names("127.0.0.1")
    assert (await client.get(f"http://a.test:{origin.port}/echo")).status == 200
    assert origin.connections == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hosts", [("a.test", "127.0.0.1")]),
        ("hosts", {"a.test": "b.test"}),
        ("hosts", {"http://a.test": "127.0.0.1"}),
        ("hosts", {"a.test": 1}),
        ("hosts", {"127.0.0.1": "127.0.0.2"}),
        ("resolver", "8.8.8.8"),
        ("resolver", ["127.0.0.1"]),
        ("localAddress", "localhost"),
        ("localAddress", ("127.0.0.1", 99_999)),
        ("localAddress", 1),
    ],
)
async def test_wrong_values_are_refused_where_they_are_given(api: Api, name: str, value: Any) -> None:
    for make in (
        lambda: api.client_class(**{name: value}),
        lambda: setattr(api.client_class().defaults, name, value),
        lambda: HTTPAdapter(**{name: value}),
    ):
        with pytest.raises(AtomHTTPOptionError, match=name) as caught:
            make()
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"


@pytest.mark.parametrize("name", ["hosts", "resolver", "localAddress", "local_address"])
async def test_they_belong_to_a_client(api: Api, origin: Origin, name: str) -> None:
    with pytest.raises(AtomHTTPOptionError, match="belongs to a client") as caught:
        await api.client().get(origin.url, **{name: None})
    assert caught.value.code == "ERR_BAD_OPTION"


# resolver


async def test_a_resolver_is_asked_for_every_new_connection(api: Api, origin: Origin) -> None:
    names = Names()
    client = api.client(resolver=names)
    url = f"http://API.test:{origin.port}/echo"
    for _ in range(3):
        await client.get(url)
    assert names.asked == [("api.test", origin.port)]
    await client.get(url, keepAlive=False)
    await client.get(url)
    # The first of the two went out on the connection there was, and ended it.
    assert len(names.asked) == origin.connections == 2
    await client.get(f"http://other.test:{origin.port}/echo")
    assert names.asked[-1] == ("other.test", origin.port)


async def test_a_resolver_may_be_async(api: Api, origin: Origin) -> None:
    names = Names()

    async def resolve(host: str, port: int) -> Any:
        return names(host, port)

    assert (await api.client(resolver=resolve).get(f"http://a.test:{origin.port}/echo")).status == 200
    assert names.asked == [("a.test", origin.port)]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ("127.0.0.1",),
        {"127.0.0.1": "a key"},
        [ipaddress.ip_address("127.0.0.1")],
        ["127.0.0.9", "127.0.0.1"],
        ["::ffff:127.0.0.1"],
    ],
    ids=["list", "tuple", "mapping", "object", "several", "mapped"],
)
async def test_what_a_resolver_may_return(api: Api, origin: Origin, addresses: Any) -> None:
    client = api.client(resolver=lambda host, port: addresses)
    assert (await client.get(f"http://a.test:{origin.port}/echo")).status == 200


async def test_a_resolver_may_be_a_generator(api: Api, origin: Origin) -> None:
    def resolve(host: str, port: int) -> Iterator[str]:
        yield "127.0.0.9"
        yield "127.0.0.1"

    assert (await api.client(resolver=resolve).get(f"http://a.test:{origin.port}/echo")).status == 200


@pytest.mark.parametrize(
    "found",
    [
        None,
        "127.0.0.1",
        b"127.0.0.1",
        5,
        [None],
        [""],
        [5],
        ["a.test"],
        ["127.0.0.1:80"],
        [("127.0.0.1", 80)],
        ["127.1"],
    ],
    ids=repr,
)
async def test_what_a_resolver_may_not_return(api: Api, found: Any) -> None:
    client = api.client(resolver=lambda host, port: found, retryConfig={"backoff_factor": 0})
    with pytest.raises(AtomHTTPOptionError, match="resolver: expected an") as caught:
        await client.get("http://a.test/")
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert client.pool_stats() == (0, 0, 0, 0)


async def test_a_resolver_that_finds_nothing(api: Api) -> None:
    client = api.client(resolver=lambda host, port: ())
    with pytest.raises(AtomHTTPNetworkError, match="the resolver knows no address") as caught:
        await client.get("http://a.test/")
    assert (caught.value.code, caught.value.request_sent) == ("ENOTFOUND", "no")


@pytest.mark.parametrize(
    "error",
    [
        OSError("the file of names is gone"),
        TimeoutError("of its own"),
        ConnectionRefusedError("of its own"),
        UnicodeError("bad label"),
        KeyError("name"),
        AtomHTTPNetworkError("of its own client", "ECONNRESET"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_a_resolver_raises_passes_through(api: Api, error: Exception) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> Any:
        asked.append(host)
        raise error

    client = api.client(resolver=resolve, retryConfig={"backoff_factor": 0})
    with pytest.raises(type(error)) as caught:
        await client.get("http://a.test/")
    assert caught.value is error
    assert asked == ["a.test"], "what is not ours is not tried again"
    assert client.pool_stats() == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("number", "code"), [(socket.EAI_NONAME, "ENOTFOUND"), (socket.EAI_AGAIN, "EAI_AGAIN"), (None, "ENOTFOUND")]
)
async def test_a_resolver_may_say_it_as_the_system_does(api: Api, number: int | None, code: str) -> None:
    error = socket.gaierror(number, "it says") if number is not None else socket.gaierror("it says")

    def resolve(host: str, port: int) -> Any:
        raise error

    with pytest.raises(AtomHTTPNetworkError, match=r"a\.test: cannot be resolved: it says") as caught:
        await api.client(resolver=resolve).get("http://a.test/")
    assert caught.value.code == code
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "017700000001", "127.0.0.1."])
async def test_addresses_are_never_asked_about(api: Api, origin: Origin, host: str) -> None:
    names = Names("127.0.0.9")
    client = api.client(resolver=names, hosts={"localhost": "127.0.0.9"})
    assert (await client.get(f"http://{host}:{origin.port}/echo")).status == 200
    assert names.asked == []


@IPV6
async def test_ipv6_addresses_are_never_asked_about(api: Api) -> None:
    names = Names("127.0.0.9")
    with Origin(host="::1") as origin:
        assert (await api.client(resolver=names).get(f"http://[0::1]:{origin.port}/echo")).status == 200
    assert names.asked == []


async def test_redirects_and_retries_ask_as_well(api: Api, origin: Origin) -> None:
    names = Names()
    origin.routes["/moved"] = lambda request: Answer(
        status=302, headers=[("Location", f"http://next.test:{origin.port}/echo")]
    )
    client = api.client(resolver=names)
    assert (await client.get(f"http://first.test:{origin.port}/moved")).status == 200
    assert [host for host, _ in names.asked] == ["first.test", "next.test"]

    answers = [["127.0.0.9"], ["127.0.0.9"], ["127.0.0.1"]]
    client = api.client(resolver=lambda host, port: answers.pop(0), retryConfig={"backoff_factor": 0})
    response = await client.get(f"http://flaky.test:{origin.port}/echo")
    assert (response.status, len(response.attempts), answers) == (200, 3, [])


async def test_tls_names_remain_those_of_the_url(api: Api, certificates: Certificates) -> None:
    with Origin(tls=certificates.server_context()) as origin:
        client = api.client(hosts={"localhost": "127.0.0.1", "wrong.test": "127.0.0.1"}, verify=certificates.ca)
        assert (await client.get(f"https://localhost:{origin.port}/echo")).status == 200
        with pytest.raises(AtomHTTPTLSError) as caught:
            await client.get(f"https://wrong.test:{origin.port}/echo")
        assert caught.value.code == "ERR_TLS_CERT_ALTNAME_INVALID"
        client = api.client(resolver=Names(), verify=certificates.ca)
        assert (await client.get(f"https://localhost:{origin.port}/echo")).status == 200
        assert origin.server_names == ["localhost", "wrong.test", "localhost"]


async def test_a_callable_object_will_do(api: Api, origin: Origin) -> None:
    class Resolver:
        """Compared by what it holds, as a dataclass would be: without a hash."""

        __hash__ = None  # type: ignore[assignment]  # on purpose

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Resolver)

        def __call__(self, host: str, port: int) -> Any:
            return ["127.0.0.1"]

    client = api.client(resolver=Resolver())
    for _ in range(2):
        assert (await client.get(f"http://a.test:{origin.port}/echo")).status == 200
    assert origin.connections == 1


# Proxies


async def test_an_http_proxy_is_looked_up_here_and_the_target_is_not(api: Api, origin: Origin) -> None:
    names = Names()
    with ScriptedProxy(destinations={"target.test": origin.port}) as proxy:
        client = api.client(resolver=names, proxy=f"http://proxy.test:{proxy.port}")
        assert (await client.get("http://target.test/echo")).status == 200
        assert names.asked == [("proxy.test", proxy.port)]
        client = api.client(hosts={"proxy.test": "127.0.0.1"}, proxy=f"http://proxy.test:{proxy.port}")
        assert (await client.get("http://target.test/echo")).status == 200


@pytest.mark.parametrize(("kind", "asked"), [("socks5", "ipv4"), ("socks5h", "name")])
async def test_a_socks_proxy_is_told_what_its_scheme_says(api: Api, origin: Origin, kind: str, asked: str) -> None:
    with SocksServer(destinations={"10.1.2.3": origin.port, "target.test": origin.port}) as socks:
        client = api.client(hosts={"target.test": ["10.1.2.3"]}, proxy=f"{kind}://127.0.0.1:{socks.port}")
        assert (await client.get("http://target.test/echo")).status == 200
        [request] = socks.asked
        assert (request.kind, request.host) == (asked, "10.1.2.3" if kind == "socks5" else "target.test")


# localAddress


def note_into(seen: list[tuple[str, int]]) -> Callable[[Conversation], None]:
    """A step that notes where its connection comes from."""
    return lambda on: seen.append(on.socket.getpeername()[:2])


@contextlib.contextmanager
def caller_recorder(host: str = "127.0.0.1") -> Iterator[tuple[Peer, list[tuple[str, int]]]]:
    """A peer that notes where its connection comes from, and sees it closed by the client."""
    seen: list[tuple[str, int]] = []
    answer = send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    with Peer([note_into(seen), expect_head(), answer, drain()], host=host) as peer:
        yield peer, seen


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("spelling", ["localAddress", "local_address"])
async def test_connections_come_from_the_local_address(api: Api, spelling: str) -> None:
    with caller_recorder() as (peer, seen):
        client = api.client(**{spelling: "127.0.0.2"})
        assert (await client.get(peer.url)).status == 200
        await client.close()
    assert [host for host, _ in seen] == ["127.0.0.2"]


async def test_a_local_port_may_be_given_and_used_again(api: Api) -> None:
    """Although the connection before has been closed from here, and the system still remembers it."""
    port = free_port("127.0.0.2")
    for _ in range(3):
        with caller_recorder() as (peer, seen):
            client = api.client(localAddress=("127.0.0.2", port))
            assert (await client.get(peer.url)).status == 200
            await client.close()
        assert seen == [("127.0.0.2", port)]


@IPV6
async def test_a_local_ipv6_address(api: Api) -> None:
    with caller_recorder("::1") as (peer, seen):
        client = api.client(localAddress="::1")
        assert (await client.get(peer.url)).status == 200
        await client.close()
    assert [host for host, _ in seen] == ["::1"]


@IPV6
async def test_only_addresses_of_its_family_are_tried(api: Api) -> None:
    with caller_recorder() as (peer, seen):
        client = api.client(hosts={"both.test": ["::1", "127.0.0.1"]}, localAddress="127.0.0.2")
        assert (await client.get(f"http://both.test:{peer.port}/")).status == 200
        await client.close()
    assert [host for host, _ in seen] == ["127.0.0.2"]


async def test_a_local_address_of_the_wrong_family(api: Api, origin: Origin) -> None:
    with pytest.raises(AtomHTTPNetworkError, match=r"from ::1 \(localAddress\): no address of that family") as caught:
        await api.client(localAddress="::1").get(f"{origin.url}/echo")
    assert (caught.value.code, caught.value.request_sent) == ("EADDRNOTAVAIL", "no")
    assert origin.connections == 0


async def test_a_local_address_that_is_not_this_machines(api: Api, origin: Origin) -> None:
    client = api.client(localAddress="203.0.113.7")
    with pytest.raises(AtomHTTPNetworkError, match=r"127\.0\.0\.1:\d+ from 203\.0\.113\.7") as caught:
        await client.get(f"{origin.url}/echo")
    assert caught.value.code == "EADDRNOTAVAIL"
    assert isinstance(caught.value.__cause__, OSError)
    assert client.pool_stats() == (0, 0, 0, 0)


async def test_a_local_port_that_is_taken(api: Api, origin: Origin) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        taken.listen()
        with pytest.raises(AtomHTTPNetworkError) as caught:
            await api.client(localAddress=taken.getsockname()).get(f"{origin.url}/echo")
    assert caught.value.code == "EADDRINUSE"


async def test_a_local_address_is_nothing_to_a_unix_socket(api: Api, tmp_path: Any) -> None:
    with Origin(unix=tmp_path / "s") as there:
        client = api.client(localAddress="203.0.113.7", socketPath=tmp_path / "s")
        assert (await client.get("/echo")).status == 200
        assert len(there.requests) == 1


# Shared adapters


async def test_they_are_part_of_what_connections_are_kept_by(api: Api, origin: Origin) -> None:
    adapter = HTTPAdapter()
    url = f"http://shared.test:{origin.port}/echo"
    resolver = Names()
    one = api.client(adapter=adapter, hosts={"shared.test": "127.0.0.1"})
    assert (await one.get(url)).data["connection"] == 0
    # Another table: the connection of the first is not for it.
    other = api.client(adapter=adapter, hosts={"shared.test": "127.0.0.9"})
    with pytest.raises(AtomHTTPNetworkError):
        await other.get(url)
    with pytest.raises(AtomHTTPNetworkError):
        await api.client(adapter=adapter).get(url)
    # The same resolver is the same way; another local address is not.
    assert (await api.client(adapter=adapter, resolver=resolver).get(url)).data["connection"] == 1
    assert (await api.client(adapter=adapter, resolver=resolver).get(url)).data["connection"] == 1
    local = {"localAddress": "127.0.0.2"}
    assert (await api.client(adapter=adapter, resolver=resolver, **local).get(url)).data["connection"] == 2
    assert (await api.client(adapter=adapter, resolver=resolver, **local).get(url)).data["connection"] == 2
    assert (await one.get(url)).data["connection"] == 0
    assert adapter.pool_stats() == one.pool_stats() == (3, 3, 0, 3)
    await adapter.close()


async def test_a_created_client_shares_its_parents_connections(api: Api, origin: Origin) -> None:
    parent = api.client(hosts={"a.test": "127.0.0.1"}, baseURL=f"http://a.test:{origin.port}")
    made = parent.create()
    child = made if api.is_sync else api.keep(made)
    await parent.get("/echo")
    await child.get("/echo")
    assert origin.connections == 1
    if api.is_sync:
        child.real.close()


async def test_an_adapter_has_options_of_its_own(api: Api, origin: Origin) -> None:
    adapter = HTTPAdapter(
        maxConnections=1,
        hosts={"a.test": "127.0.0.1"},
        resolver=Names("127.0.0.1"),
        local_address="127.0.0.2",
        keepAliveTimeout=60,
    )
    client = api.client(adapter=adapter)
    for name in ("a.test", "b.test"):
        assert (await client.get(f"http://{name}:{origin.port}/echo")).status == 200
    assert client.pool_stats()[:2] == (1, 1)
    await adapter.close()


async def test_what_a_client_says_itself_wins_over_its_adapter(api: Api, origin: Origin) -> None:
    adapter = HTTPAdapter(hosts={"a.test": "127.0.0.9"}, resolver=Names("127.0.0.9"))
    client = api.client(adapter=adapter, hosts={"a.test": "127.0.0.1"})
    assert (await client.get(f"http://a.test:{origin.port}/echo")).status == 200
    with pytest.raises(AtomHTTPNetworkError, match=r"127\.0\.0\.9"):  # of the rest the adapter's holds
        await client.get(f"http://b.test:{origin.port}/echo")
    await adapter.close()


async def test_limits_are_the_adapters_alone(api: Api, origin: Origin) -> None:
    adapter = HTTPAdapter(maxConnections=1)
    client = api.client(adapter=adapter, maxConnections=50, keepAliveTimeout=9, maxHeaderSize=10)
    assert (await client.get(f"{origin.url}/echo")).status == 200
    assert adapter.limits.connections == 1
    client.defaults.maxConnections = 7
    assert (await client.get(f"http://localhost:{origin.port}/echo")).status == 200
    assert client.pool_stats().open == 1
    await adapter.close()


async def test_an_adapters_verify_is_for_who_says_nothing(
    api: Api, tls_origin: Origin, certificates: Certificates
) -> None:
    adapter = HTTPAdapter(verify=certificates.ca)
    url = f"{tls_origin.url}/echo"
    assert (await api.client(adapter=adapter).get(url)).status == 200
    with pytest.raises(AtomHTTPTLSError):
        await api.client(adapter=adapter, verify=ssl.create_default_context()).get(url)
    await adapter.close()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"timeout": 5}, "ERR_BAD_OPTION", "timeout: belongs to"),
        ({"addressGuard": "public"}, "ERR_BAD_OPTION", "addressGuard: belongs to"),
        ({"max_conections": 5}, "ERR_BAD_OPTION", "did you mean max_connections?"),
        ({"limits": 5}, "ERR_BAD_OPTION", "did you mean maxConnections?"),
        ({"maxConnections": 0}, "ERR_BAD_OPTION_VALUE", "maxConnections: expected"),
        ({"maxConnections": 1, "max_connections": 2}, "ERR_BAD_OPTION", "given twice"),
        ({"hosts": 5}, "ERR_BAD_OPTION_VALUE", "hosts: expected"),
        ({"verify": 5}, "ERR_BAD_OPTION_VALUE", "verify: expected"),
        # It would overrule what its clients say.
        ({"verify": False}, "ERR_BAD_OPTION_VALUE", "verify: expected a path or an SSLContext"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_options_of_an_adapter(options: Any, code: str, words: str) -> None:
    with pytest.raises(AtomHTTPOptionError) as caught:
        HTTPAdapter(**options)
    assert caught.value.code == code
    assert words in str(caught.value)
    assert is_atomhttp_error(caught.value)


async def test_an_adapter_that_was_closed_says_so(api: Api, origin: Origin) -> None:
    adapter = HTTPAdapter()
    client = api.client(adapter=adapter)
    await client.get(f"{origin.url}/echo")
    await adapter.close()
    with pytest.raises(AtomHTTPError) as caught:
        await client.get(f"{origin.url}/echo")
    assert caught.value.code == "ERR_CLIENT_CLOSED"
    assert client.pool_stats()[:3] == (0, 0, 0)
