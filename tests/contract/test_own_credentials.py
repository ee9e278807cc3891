"""A client's own credentials stay at the origin of its baseURL, by whatever way its configs travel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from atomhttp import BearerAuth, RequestConfig, merge_config
from contract.flavours import Api
from support.origin import Answer, Origin

SECRETS: dict[str, dict[str, Any]] = {
    "header": {"headers": {"Authorization": "Bearer c4n4ry"}},
    "cookie of every method": {"headers": {"common": {"Cookie": "session=c4n4ry"}}},
    "header of one method": {"headers": {"get": {"Authorization": "Bearer c4n4ry"}}},
    "auth": {"auth": BearerAuth("c4n4ry")},
}
REBUILT: dict[str, Callable[[RequestConfig], Any]] = {
    "RequestConfig": RequestConfig,
    "merge_config": lambda config: merge_config(config, {"meta": {"a": 1}}),
    "merged into": lambda config: merge_config({"meta": {"a": 1}}, config),
    "mapping": dict,
}


def assert_clean(away: Origin, count: int = 1) -> None:
    assert len(away.requests) == count
    for request in away.requests:
        assert "c4n4ry" not in repr(request.headers)


@pytest.fixture
def away() -> Any:
    with Origin() as running:
        yield running


@pytest.mark.parametrize("rebuild", REBUILT)
@pytest.mark.parametrize("secret", SECRETS)
async def test_an_interceptor_may_rebuild_the_config(
    api: Api, origin: Origin, away: Origin, secret: str, rebuild: str
) -> None:
    client = api.client(base_url=origin.url, **SECRETS[secret])
    client.interceptors.use(REBUILT[rebuild])
    await client.get(f"{away.url}/echo")
    await client.get("/echo")
    assert_clean(away)
    assert "c4n4ry" in repr(origin.requests[0].headers), "and at home it goes along"


@pytest.mark.parametrize("renewed", [{"headers": {"Authorization": "Bearer new"}}, {"auth": BearerAuth("new")}])
async def test_renewing_a_token_and_sending_the_call_again(
    api: Api, origin: Origin, away: Origin, renewed: dict[str, Any]
) -> None:
    """The usual interceptor for a 401: a foreign server must not harvest the old token by answering so."""
    away.routes["/"] = lambda request: Answer(status=401 if len(away.requests) < 2 else 200)
    client = api.client(base_url=origin.url, headers={"Authorization": "Bearer c4n4ry"}, validate_status=True)

    def renew(error: Any) -> Any:
        for name, value in renewed.items():
            setattr(client.defaults, name, value)
        real = getattr(client, "real", client)
        return real.request(error.config)

    client.interceptors.response.use(None, renew)
    await client.get(f"{away.url}/")
    assert_clean(away, 2)


@pytest.mark.parametrize("rebuild", ["RequestConfig", "merge_config", "merged into"])
@pytest.mark.parametrize("secret", SECRETS)
async def test_a_config_of_an_earlier_call_may_be_rebuilt_and_sent(
    api: Api, origin: Origin, away: Origin, secret: str, rebuild: str
) -> None:
    client = api.client(base_url=origin.url, **SECRETS[secret])
    config = (await client.get("/echo")).config
    _ = config.headers
    foreign = f"{away.url}/echo"
    for sender in (client, api.client(), client.create(headers={"Authorization": "Bearer other"})):
        await sender.request(REBUILT[rebuild](config), url=foreign)
        await sender.request(config, url=foreign, method="POST")
    client.defaults.base_url = None
    await client.request(config, url=foreign)
    assert_clean(away, 7)


async def test_a_header_of_one_method_stays_when_the_method_changes(api: Api, origin: Origin, away: Origin) -> None:
    client = api.client(base_url=origin.url, headers={"get": {"Authorization": "Bearer c4n4ry"}})

    def change(config: Any) -> None:
        _ = config.headers
        config.method, config.url = "POST", f"{away.url}/echo"

    client.interceptors.use(change)
    await client.get("/echo")
    assert_clean(away)


async def test_what_the_call_says_itself_goes_along(api: Api, origin: Origin, away: Origin) -> None:
    client = api.client(base_url=origin.url, headers={"Authorization": "Bearer c4n4ry"})
    config = (await client.get("/echo")).config
    await client.get(f"{away.url}/echo", headers={"Authorization": "Bearer c4n4ry"})
    await client.request(config, url=f"{away.url}/echo", headers={"Authorization": "Bearer mine"})
    await client.request(config, url=f"{away.url}/echo", auth=("me", "mine"))
    assert [request.get("authorization") for request in away.requests] == [
        "Bearer c4n4ry",
        "Bearer mine",
        "Basic bWU6bWluZQ==",
    ]
