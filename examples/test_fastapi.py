"""A FastAPI application that calls another service, and its tests: no server runs, and nothing reaches the network.

    python -m pytest examples/test_fastapi.py

runs the tests, in milliseconds. `ASGIAdapter` has the application answer in process: its startup and shutdown run, its
validation, its errors. `atomhttp_mock`, a fixture that comes with the package, answers what the application itself asks
of others: its stock service at https://stock.example.com.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

from atomhttp import AtomHTTP, AtomHTTPError, SyncAtomHTTP
from atomhttp.testing import ASGIAdapter, MockAdapter

# The application


@dataclass
class Stock:
    """What the stock service says of an item."""

    left: int


class Order(BaseModel):
    item: str
    quantity: int = Field(gt=0)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with AtomHTTP(
        baseURL="https://stock.example.com",
        timeout=5,
        retryConfig={"max_retries": 1, "backoff_factor": 0.01},
        validateStatus=lambda status: status < 300 or status == 404,
    ) as stock:
        yield {"stock": stock}  # the application's state while it runs


app = FastAPI(lifespan=lifespan)


@app.post("/orders", status_code=201)
async def take_order(order: Order, request: Request) -> Order:
    try:
        answer = await request.state.stock.get(f"/items/{quote(order.item, safe='')}", response_type=Stock)
    except AtomHTTPError as error:
        raise HTTPException(503, "the stock service does not answer") from error
    if answer.status == 404:
        raise HTTPException(404, f"there is no {order.item}")
    if answer.data.left < order.quantity:
        raise HTTPException(409, f"only {answer.data.left} left")
    return order


# Its tests


@pytest.fixture
def shop() -> Iterator[SyncAtomHTTP]:
    """A client of the application. A synchronous one: the tests are plain functions."""
    with ASGIAdapter(app) as adapter, SyncAtomHTTP(baseURL="https://shop.test", adapter=adapter) as client:
        yield client


def test_an_order_is_taken(shop: SyncAtomHTTP, atomhttp_mock: MockAdapter) -> None:
    atomhttp_mock.on("GET", "https://stock.example.com/items/tea", {"left": 5})
    response = shop.post("/orders", {"item": "tea", "quantity": 2})
    assert (response.status, response.data) == (201, {"item": "tea", "quantity": 2})


@pytest.mark.parametrize(
    ("stock", "status", "detail"),
    [
        ({"status": 404}, 404, "there is no tea"),
        ({"data": {"left": 1}}, 409, "only 1 left"),
        ({"error": "refused"}, 503, "the stock service does not answer"),
        ({"status": 500}, 503, "the stock service does not answer"),
        ({"data": "<html>"}, 503, "the stock service does not answer"),
    ],
)
def test_an_order_is_not_taken(
    stock: dict[str, Any], status: int, detail: str, shop: SyncAtomHTTP, atomhttp_mock: MockAdapter
) -> None:
    atomhttp_mock.on("GET", "/items/tea", **stock)
    response = shop.post("/orders", {"item": "tea", "quantity": 2})
    assert (response.status, response.data) == (status, {"detail": detail})


def test_the_stock_service_is_asked_twice(shop: SyncAtomHTTP, atomhttp_mock: MockAdapter) -> None:
    route = atomhttp_mock.on("GET", "/items/tea", reply=[(503, None), {"left": 5}])
    assert shop.post("/orders", {"item": "tea", "quantity": 2}).status == 201
    assert route.call_count == 2


def test_an_order_of_nothing_is_refused_by_itself(shop: SyncAtomHTTP, atomhttp_mock: MockAdapter) -> None:
    response = shop.post("/orders", {"item": "tea", "quantity": 0})
    assert response.status == 422
    assert response.data["detail"][0]["loc"] == ["body", "quantity"]
    assert atomhttp_mock.calls == []


@pytest.mark.anyio  # the plugin of anyio, which comes with FastAPI
async def test_orders_at_the_same_time(atomhttp_mock: MockAdapter) -> None:
    atomhttp_mock.on("GET", "/items/*", {"left": 1})
    async with ASGIAdapter(app) as adapter, AtomHTTP(baseURL="https://shop.test", adapter=adapter) as shop:
        orders = [shop.post("/orders", {"item": item, "quantity": 1}) for item in ("tea", "milk", "sugar")]
        assert [response.status for response in await AtomHTTP.all(orders)] == [201, 201, 201]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
