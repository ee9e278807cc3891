"""HTTP/2 as a user meets it: what the client says, and asks of its peer, before and beside the exchanges."""

from __future__ import annotations

import asyncio

import pytest

from atomhttp import AtomHTTP, AtomHTTPNetworkError, AtomHTTPOptionError, AtomHTTPProtocolError, AtomHTTPTLSError
from support.certificates import Certificates
from support.http2_peer import Http2Peer, expect_request, greet, ping, read_on, respond
from support.http2_servers import find_program, run_http2_server
from support.origin import Origin
from support.peer import Peer, expect_head, send, unless_gone


async def test_a_first_burst_asks_for_no_more_than_the_server_allows(certificates: Certificates) -> None:
    """nginx, ten streams a connection: nothing is refused, so that nothing has to be sent again."""
    if (program := find_program("nginx")) is None:
        pytest.skip("NGINX IS NOT INSTALLED (Debian: apt-get install nginx)")
    with run_http2_server("nginx", program, certificates) as server:
        async with AtomHTTP(http2=True, verify=certificates.ca, baseURL=server.urls["few"], timeout=20) as client:
            responses = await asyncio.gather(*(client.get("/json") for _ in range(50)))
    assert [len(response.attempts) for response in responses] == [1] * 50


async def test_a_server_of_http1_in_clear_is_named_as_that() -> None:
    answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with Peer([[expect_head(), send(answer)]]) as peer:
        async with AtomHTTP(http2="only", timeout=5) as client:
            with pytest.raises(AtomHTTPProtocolError, match="does not speak HTTP/2"):
                await client.get(peer.url)


async def test_answers_to_pings_that_nobody_sent_are_paid_for() -> None:
    says = map(unless_gone, [send(ping(ack=True) * 20_000), respond(200)])
    with Http2Peer([[greet(), expect_request(), *says, read_on()]]) as peer:
        async with AtomHTTP(http2="only", timeout=5) as client:
            with pytest.raises(AtomHTTPProtocolError, match="bring nothing"):
                await client.get(peer.url)


async def test_a_callers_context_has_to_offer_it(certificates: Certificates) -> None:
    server, mine = certificates.server_context(), certificates.client_context()
    with Origin(tls=server) as origin:
        async with AtomHTTP(http2=True, verify=mine) as client:
            assert (await client.get(f"{origin.url}/echo")).http_version == "1.1"
        async with AtomHTTP(http2="only", verify=mine) as client:
            with pytest.raises(AtomHTTPTLSError, match="was not offered it"):
                await client.get(f"{origin.url}/echo")
        offering = certificates.client_context()
        offering.set_alpn_protocols(["h2", "http/1.1"])
        async with AtomHTTP(http2=True, verify=offering) as client:
            assert (await client.get(f"{origin.url}/echo")).http_version == "2"
        async with AtomHTTP(verify=offering) as client:
            with pytest.raises(AtomHTTPTLSError, match="http2=True speaks it"):
                await client.get(f"{origin.url}/echo")


@pytest.mark.parametrize("value", ["yes", "h2", 2, None, 1.0])
def test_a_wrong_value(value: object) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r'http2.*False, True or "only"'):
        AtomHTTP(http2=value)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize("value", [0, -1, "1", True, float("inf")])
def test_a_wrong_interval(value: object) -> None:
    with pytest.raises(AtomHTTPOptionError, match="pingInterval"):
        AtomHTTP(pingInterval=value)  # type: ignore[arg-type]  # that is the test


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    for value in (True, "only"):
        with pytest.raises(
            AtomHTTPOptionError, match=r"http2: needs the extra: pip install 'atomhttp\[http2\]'"
        ) as error:
            AtomHTTP(http2=value)
        assert error.value.code == "ERR_NOT_SUPPORT"
    assert AtomHTTP(http2=False).defaults.http2 is False


async def test_an_idle_connection_may_be_kept_for_ever(origin: Origin) -> None:
    for http2 in (False, "only"):
        async with AtomHTTP(http2=http2, keepAliveTimeout=float("inf"), timeout=5) as client:
            assert (await client.get(f"{origin.url}/echo")).status == 200
            assert client.pool_stats().idle == 1


async def test_what_was_made_in_http1_is_not_taken_for_http2(tls_origin: Origin, certificates: Certificates) -> None:
    """The option is part of the pool's key."""
    async with AtomHTTP(verify=certificates.ca) as client:
        assert (await client.get(f"{tls_origin.url}/echo")).http_version == "1.1"
        client.defaults.http2 = True
        assert (await client.get(f"{tls_origin.url}/echo")).http_version == "2"
        assert client.pool_stats().open == 2
        client.defaults.http2 = False
        assert (await client.get(f"{tls_origin.url}/echo")).http_version == "1.1"
        assert client.pool_stats().open == 2


async def test_tls_fails_before_anything_is_asked_of_the_pool(certificates: Certificates) -> None:
    """Each who has waited for a connection that failed finds out for itself, and none is left behind."""
    with Origin(tls=certificates.server_context()) as origin:
        async with AtomHTTP(http2=True, timeout=10) as client:
            outcomes = await asyncio.gather(*(client.get(origin.url) for _ in range(20)), return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {AtomHTTPTLSError}
            assert client.pool_stats()[:3] == (0, 0, 0)


async def test_a_cancelled_connect_leaves_its_place_to_the_next(origin: Origin) -> None:
    async with AtomHTTP(http2="only", timeout=10) as client:
        first = asyncio.ensure_future(client.get(f"{origin.url}/echo"))
        others = [asyncio.ensure_future(client.get(f"{origin.url}/echo")) for _ in range(5)]
        await asyncio.sleep(0)
        first.cancel()
        responses = await asyncio.gather(*others)
        assert [response.http_version for response in responses] == ["2"] * 5
        with pytest.raises(asyncio.CancelledError):
            await first
        assert client.pool_stats().open <= 2


async def test_closing_the_client_ends_every_exchange_with_an_error_of_its_own(origin: Origin) -> None:
    client = AtomHTTP(http2="only", timeout=10)
    calls = [asyncio.ensure_future(client.get(f"{origin.url}/delay/5")) for _ in range(10)]
    while client.pool_stats().waiting or not client.pool_stats().open:
        await asyncio.sleep(0)
    await client.close()
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert {getattr(error, "code", None) for error in errors} == {"ERR_CLIENT_CLOSED"}
    assert len({id(error) for error in errors}) == 10
    assert not any(isinstance(error, AtomHTTPNetworkError) for error in errors)


async def test_what_is_sent_in_one_turn_leaves_in_one_write(origin: Origin) -> None:
    async with AtomHTTP(http2="only", timeout=10) as client:
        await client.get(f"{origin.url}/echo")
        [pool] = client._adapter.pools
        [connection] = pool.connections
        writes: list[int] = []
        send = connection._stream.send

        def count(data: bytes | memoryview) -> int:
            writes.append(len(data))
            return send(data)

        connection._stream.send = count
        responses = await asyncio.gather(*(client.get(f"{origin.url}/echo") for _ in range(60)))
    assert [response.status for response in responses] == [200] * 60
    # Nine octets before each head, and more than ten in it. The others answer the server.
    assert max(writes) > 60 * 19
    assert len(writes) < 60
