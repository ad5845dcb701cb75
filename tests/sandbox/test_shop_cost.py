"""What queries cost, and what happens when the bucket is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Clock
    from sandbox.shop import Shop


ORDERS = "query Q($first: Int!) {orders(first: $first){nodes{id lineItems(first: 100){nodes{id}}}}}"


def cost(body: dict[str, Any]) -> dict[str, Any]:
    return body["extensions"]["cost"]


@pytest.mark.parametrize(
    ("query", "points"),
    [
        ("{shop{name}}", 1),
        ("{shop{name plan{publicDisplayName}}}", 2),
        ("{orders(first: 1){edges{node{name}}}}", 3),  # as the documented `products(first: 1){edges{node{title}}}`
        ("{orders(first: 1){nodes{name} pageInfo{hasNextPage endCursor}}}", 3),
        ("{orders(first: 1){nodes{totalPriceSet{shopMoney{amount} presentmentMoney{amount}}}}}", 6),
        ('mutation{bulkOperationCancel(id: "gid://shopify/BulkOperation/1"){userErrors{message}}}', 11),
    ],
)
def test_a_query_costs_what_the_published_rules_say(
    shop: Shop, ask: Callable[..., Any], points: int, query: str
) -> None:
    assert cost(ask(shop, query))["requestedQueryCost"] == points


def test_connections_are_sized_sub_linearly_as_measured(shop: Shop, ask: Callable[..., Any]) -> None:
    assert cost(ask(shop, ORDERS, first=250))["requestedQueryCost"] == 464


def test_the_actual_cost_counts_what_came_back_and_the_rest_is_refunded(
    shop_with: Callable[..., Shop], ask: Callable[..., Any]
) -> None:
    shop = shop_with(maximum_available=1_000, restore_rate=50)
    found = cost(ask(shop, ORDERS, first=250))
    assert found["actualQueryCost"] < found["requestedQueryCost"]
    assert found["throttleStatus"] == {
        "maximumAvailable": 1000.0,
        "currentlyAvailable": 1000 - found["actualQueryCost"],
        "restoreRate": 50.0,
    }


def test_an_empty_bucket_throttles_with_200_and_no_data_until_it_has_refilled(
    shop_with: Callable[..., Shop], post: Callable[..., Any], clock: Clock
) -> None:
    shop = shop_with(maximum_available=500, restore_rate=50)
    body = {}
    for _ in range(20):
        response = post(shop, ORDERS, first=250)
        body = response.json()
        if "errors" in body:
            break
    assert response.status_code == 200
    assert "data" not in body
    assert body["errors"] == [
        {
            "message": "Throttled",
            "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"},
        }
    ]
    asked = cost(body)
    assert asked["actualQueryCost"] is None
    missing = asked["requestedQueryCost"] - asked["throttleStatus"]["currentlyAvailable"]
    clock.tick(seconds=missing / 50 - 0.05)
    assert "errors" in post(shop, ORDERS, first=250).json()
    clock.tick(seconds=0.05)
    assert "data" in post(shop, ORDERS, first=250).json()


def test_a_query_over_1000_points_is_refused_whatever_the_bucket_holds(shop: Shop, post: Callable[..., Any]) -> None:
    money = "totalPriceSet{shopMoney{amount} presentmentMoney{amount}}"
    line = f"lineItems(first: 250){{nodes{{a: {money.replace('totalPriceSet', 'originalTotalSet')}}}}}"
    response = post(shop, f"{{orders(first: 250){{nodes{{{money} {line}}}}}}}")
    (error,) = response.json()["errors"]
    assert (response.status_code, error["extensions"]["code"]) == (200, "MAX_COST_EXCEEDED")
    assert error["extensions"]["maxCost"] == 1000
    assert error["message"].startswith(f"Query cost is {error['extensions']['cost']}, which exceeds")
    assert "data" in post(shop, f"{{orders(first: 2){{nodes{{{money} {line}}}}}}}").json()
