"""Shopify's search syntax as a table, and how the shop reports what it ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.shop.search import Filter, search

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.shop import Shop


FILTERS = {
    "updated_at": Filter("time", lambda node: node["at"]),
    "id": Filter("number", lambda node: node["id"]),
    "name": Filter("text", lambda node: node["name"]),
    "tag": Filter("text", lambda node: node["tags"]),
    "test": Filter("flag", lambda node: node["test"]),
}
NODES = [
    {"id": 1, "at": "2026-09-14T23:59:59.000000Z", "name": "#1001", "tags": ["VIP"], "test": False},
    {"id": 2, "at": "2026-09-15T12:00:02.000000Z", "name": "#1002", "tags": [], "test": False},
    {"id": 3, "at": "2026-09-15T12:00:02.500000Z", "name": "#1003", "tags": ["vip", "gift"], "test": True},
    {"id": 4, "at": "2026-09-15T12:00:03.000000Z", "name": "it's", "tags": [], "test": False},
]


def matching(query: str, version: str = "2026-10") -> list[int]:
    return [node["id"] for node in NODES if search(query, FILTERS, version).matches(node)]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("updated_at:>='2026-09-15T12:00:02Z'", [2, 3, 4]),
        ("updated_at:<'2026-09-15T12:00:02Z'", [1]),
        ("updated_at:<='2026-09-15T12:00:02Z'", [1, 2]),
        ("updated_at:>'2026-09-15T12:00:02Z'", [4]),  # the whole second is out
        ("updated_at:>'2026-09-15T12:00:02.250Z'", [3, 4]),  # with a fraction nothing changed
        ("updated_at:'2026-09-15T12:00:02Z'", [2, 3]),
        ('updated_at:>="2026-09-15T12:00:03Z"', [4]),
        ("updated_at:>='2026-09-15T12:00:02Z' AND updated_at:<'2026-09-15T12:00:03Z'", [2, 3]),
        ("updated_at:>='2026-09-15T12:00:02Z' updated_at:<'2026-09-15T12:00:03Z'", [2, 3]),
        ("updated_at:>='2026-09-15T12:00:03-07:00'", [4]),  # the offset is ignored
        ("updated_at:>=2026-09-15T12:00:03Z", [2, 3, 4]),  # without quotes the date counts alone
        ("updated_at:<2026-09-15T12:00:03Z", [1]),
        ("updated_at:2026-09-15", [2, 3, 4]),
        ("updated_at:>2026-09-15", [2, 3, 4]),
        ("updated_at:>='yesterday'", []),
        ("id:2", [2]),
        ("id:>=3", [3, 4]),
        ("id:x", []),
        ("name:#1002", [2]),
        ("name:'#1002'", [2]),
        ("name:'it\\'s'", [4]),
        ("name:#100*", [1, 2, 3]),
        ("tag:VIP", [1, 3]),
        ("-tag:vip", [2, 4]),
        ("NOT tag:vip", [2, 4]),
        ("test:true", [3]),
        ("test:false", [1, 2, 4]),
        ("id:1 OR id:4", [1, 4]),
        ("(id:1 OR id:3) AND test:true", [3]),
        ("id:1 OR id:3 test:true", [1, 3]),
        ("", [1, 2, 3, 4]),
    ],
)
def test_a_query_finds_what_shopify_would_find(query: str, ids: list[int]) -> None:
    assert matching(query) == ids


def test_before_2026_10_an_exclusive_bound_lets_later_parts_of_its_second_in() -> None:
    assert matching("updated_at:>'2026-09-15T12:00:02Z'", "2026-07") == [3, 4]


def test_an_unknown_field_is_ignored_with_a_warning() -> None:
    found = search("colour:red AND id:2", FILTERS, "2026-10")
    assert [node["id"] for node in NODES if found.matches(node)] == [2]
    assert found.warnings == [
        {"field": "colour", "message": "Invalid search field for this query.", "code": "invalid_field"}
    ]


def test_an_unquoted_time_warns_of_the_field_that_its_colon_makes() -> None:
    found = search("updated_at:>=2026-09-15T12:30:03Z", FILTERS, "2026-10")
    assert [one["field"] for one in found.warnings] == ["30"]


def test_the_shop_returns_all_rows_for_an_unknown_filter_and_reports_it_under_the_alias(
    shop: Shop, ask: Callable[..., Any]
) -> None:
    body = ask(shop, '{mine: orders(first: 250, query: "colour:red"){nodes{id}}}')
    assert len(body["data"]["mine"]["nodes"]) == len(shop.store.orders)
    assert body["extensions"]["search"] == [
        {
            "path": ["mine"],
            "query": "colour:red",
            "parsed": {"field": "colour", "match_all": "red"},
            "warnings": [
                {"field": "colour", "message": "Invalid search field for this query.", "code": "invalid_field"}
            ],
        }
    ]


def test_a_valid_search_is_reported_only_when_asked_for(shop: Shop, ask: Callable[..., Any]) -> None:
    query = "{orders(first: 1, query: \"updated_at:>='2026-01-01T00:00:00Z' AND test:false\"){nodes{id}}}"
    assert "search" not in ask(shop, query)["extensions"]
    response = requests.post(
        f"{shop.url}/admin/api/2026-10/graphql.json",
        json={"query": query},
        headers={"X-Shopify-Access-Token": "shpat_sandbox", "Shopify-Search-Query-Debug": "1"},
        timeout=30,
    )
    (report,) = response.json()["extensions"]["search"]
    assert report["warnings"] == []
    assert report["parsed"]["and"][0] == {"field": "updated_at", "range": {"gte": "2026-01-01T00:00:00Z"}}


@pytest.mark.parametrize("field", ["email", "state", "tag"])
def test_customers_count_knows_fewer_filters_than_customers(shop: Shop, ask: Callable[..., Any], field: str) -> None:
    body = ask(
        shop, f'{{customersCount(query: "{field}:x"){{count}} customers(first: 1, query: "{field}:x"){{nodes{{id}}}}}}'
    )
    assert [one["path"] for one in body["extensions"]["search"]] == [["customersCount"]]


@pytest.mark.parametrize(
    ("query", "test"),
    [
        ("status:closed", lambda one: one["closed"] and not one["cancelledAt"]),
        ("status:cancelled", lambda one: one["cancelledAt"] is not None),
        ("status:open", lambda one: not one["closed"]),
        ("test:true", lambda one: one["test"]),
        ("tag:gift", lambda one: "gift" in one["tags"]),
        ("financial_status:refunded", lambda one: one["displayFinancialStatus"] == "REFUNDED"),
        ("name:#1003", lambda one: one["name"] == "#1003"),
        ("source_name:pos", lambda one: one["sourceName"] == "pos"),
    ],
)
def test_orders_are_filtered_as_asked(
    shop: Shop, ask: Callable[..., Any], query: str, test: Callable[[Any], object]
) -> None:
    found = ask(shop, f'{{orders(first: 250, query: "{query}"){{nodes{{id}}}}}}')["data"]["orders"]["nodes"]
    assert {one["id"] for one in found} == {one["id"] for one in shop.store.orders if test(one)}


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, 1),
        ({"customers_by_day": "UTC"}, 0),
        ({"customers_by_day": "UTC", "customers_whole_days": True}, 2),
        ({"customers_by_day": "Pacific/Kiritimati", "customers_whole_days": True}, 1),
    ],
    ids=str,
)
def test_customers_may_be_found_by_the_day_alone(
    shop_with: Callable[..., Shop], ask: Callable[..., Any], settings: dict[str, Any], found: int
) -> None:
    shop = shop_with(**settings)
    numbers = [int(one["legacyResourceId"]) for one in shop.store.customers[:2]]
    for number, at in zip(numbers, ("2026-11-20T08:00:00Z", "2026-11-20T11:00:00Z"), strict=True):
        shop.store.change_customer(number, at, firstName="changed")
    search = "updated_at:>='2026-11-20T07:30:00Z' AND updated_at:<'2026-11-20T08:30:00Z'"
    query = """query Q($search: String!) {
      customers(first: 9, query: $search) {nodes {id}} customersCount(query: $search) {count}
    }"""
    data = ask(shop, query, search=search)["data"]
    assert (len(data["customers"]["nodes"]), data["customersCount"]["count"]) == (found, found)
