"""What an HTTPAdapter is told, and what its clients say besides."""

from __future__ import annotations

import copy
import pickle
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atomhttp import AtomHTTPOptionError, HTTPAdapter, MockAdapter
from contract.flavours import Api
from support.certificates import Certificates
from support.origin import Answer, Origin


class Asking(Origin):
    """An origin that remembers whether it was shown a client certificate."""

    def __init__(self, certificates: Certificates) -> None:
        context = certificates.server_context(ask_client=True)
        context.verify_mode = ssl.CERT_OPTIONAL
        super().__init__(tls=context)
        self.shown: list[bool] = []

    def serve(self, connection: Any, number: int) -> None:
        self.shown.append(bool(connection.getpeercert()))
        super().serve(connection, number)


@pytest.fixture
def pair(certificates: Certificates) -> Iterator[tuple[Asking, Asking]]:
    with Asking(certificates) as home, Asking(certificates) as away:
        home.routes["/go"] = lambda _: Answer(status=302, headers=[("Location", f"{away.url}/echo")])
        home.routes["/near"] = lambda _: Answer(status=302, headers=[("Location", "/echo")])
        yield home, away


@pytest.mark.parametrize("owner", ["client", "call", "adapter"])
async def test_a_client_certificate_follows_no_redirect_to_another_origin(
    api: Api, pair: tuple[Asking, Asking], certificates: Certificates, owner: str
) -> None:
    home, away = pair
    trust = {"verify": str(certificates.ca), "cert": str(certificates.client)}
    adapter = HTTPAdapter(**trust) if owner == "adapter" else None
    client = api.client(adapter=adapter, **(trust if owner == "client" else {}))
    options = trust if owner == "call" else {}
    near = await client.get(f"{home.url}/near", **options)
    assert (near.status, home.shown, near.history[0].stripped) == (200, [True], ())
    far = await client.get(f"{home.url}/go", **options)
    assert (far.status, away.shown) == (200, [False])
    if owner != "adapter":
        assert far.history[0].stripped == ("cert",)
    if adapter is not None:
        await adapter.close()


async def test_a_call_says_more_than_the_adapter(api: Api, certificates: Certificates, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    adapter = HTTPAdapter(verify=str(certificates.ca))
    with Origin(tls=certificates.server_context()) as origin:
        client = api.client(adapter=adapter)
        assert (await client.get(origin.url + "/echo")).status == 200
        with pytest.raises(Exception, match=r"missing\.pem"):
            await client.get(origin.url + "/echo", verify=str(missing))
        await adapter.close()


def test_an_adapter_cannot_switch_verification_off() -> None:
    with pytest.raises(AtomHTTPOptionError, match="verify: expected a path or an SSLContext"):
        HTTPAdapter(verify=False)


@pytest.mark.parametrize("kind", [HTTPAdapter, MockAdapter], ids=["HTTPAdapter", "MockAdapter"])
def test_a_class_is_no_adapter(api: Api, kind: type) -> None:
    with pytest.raises(AtomHTTPOptionError, match=f"adapter: expected an adapter, not the class: {kind.__name__}"):
        api.client(adapter=kind)


async def test_statistics_are_those_of_the_adapter_in_use(api: Api, origin: Origin) -> None:
    client, adapter = api.client(), HTTPAdapter()
    client.defaults.adapter = adapter
    await client.get(f"{origin.url}/echo")
    assert client.pool_stats().open == adapter.pool_stats().open == 1
    await adapter.close()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"])
async def test_a_response_is_copied_whatever_its_call_was_made_with(
    api: Api, origin: Origin, certificates: Certificates, copied: Any
) -> None:
    mock = MockAdapter()
    mock.on("GET", "/x", {"a": 1})
    client = api.client(baseURL="http://service.test", adapter=mock, verify=certificates.client_context())
    response = await client.get("/x", validateStatus=lambda status: True, timeout=5)
    twin = copied(response)
    if isinstance(twin, bytes):
        twin = pickle.loads(twin)
        # Never False, and never what another process cannot know.
        assert (twin.config.verify, twin.config.adapter, twin.config.validate_status) == (True, None, None)
    assert (twin.data, twin.config.timeout, twin.config.url) == ({"a": 1}, 5, "/x")
