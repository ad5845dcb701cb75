"""Connections: pages, cursors, sort keys, nested ones, nodes by id."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.shop import Shop


def pages(ask: Callable[..., Any], shop: Shop, arguments: str, size: int = 7, name: str = "orders") -> list[list[str]]:
    """Read a connection to its end and return the ids, page by page."""
    query = f"""query Q($after: String) {{
      {name}(first: {size}, after: $after, {arguments}) {{nodes {{id}} pageInfo {{hasNextPage endCursor}}}}
    }}"""
    after, found = None, []
    for _ in range(100):
        connection = ask(shop, query, after=after)["data"][name]
        found.append([one["id"] for one in connection["nodes"]])
        if not connection["pageInfo"]["hasNextPage"]:
            return found
        after = connection["pageInfo"]["endCursor"]
    raise AssertionError("the connection has no end")


@pytest.mark.parametrize("reverse", ["false", "true"])
@pytest.mark.parametrize(
    ("sort_key", "key"),
    [
        ("UPDATED_AT", "updatedAt"),
        ("CREATED_AT", "createdAt"),
        ("PROCESSED_AT", "processedAt"),
        ("ID", "id"),
        ("ORDER_NUMBER", "number"),
    ],
)
def test_pages_hold_every_order_once_in_the_order_of_the_sort_key(
    shop: Shop, ask: Callable[..., Any], sort_key: str, key: str, reverse: str
) -> None:
    found = pages(ask, shop, f"sortKey: {sort_key}, reverse: {reverse}")
    expected = sorted(shop.store.orders, key=lambda one: (one[key], one["id"]), reverse=reverse == "true")
    assert [one for page in found for one in page] == [one["id"] for one in expected]
    assert [len(page) for page in found[:-1]] == [7] * (len(found) - 1)


def test_orders_that_share_an_instant_are_told_apart_by_their_ids(shop: Shop, ask: Callable[..., Any]) -> None:
    instants = [one["updatedAt"] for one in shop.store.orders]
    assert len(set(instants)) < len(instants)
    found = [one for page in pages(ask, shop, "sortKey: UPDATED_AT", size=1) for one in page]
    assert sorted(found) == sorted(one["id"] for one in shop.store.orders)


def test_orders_come_by_processed_at_unless_told_otherwise_and_customers_by_id(
    shop: Shop, ask: Callable[..., Any]
) -> None:
    assert pages(ask, shop, "reverse: false") == pages(ask, shop, "sortKey: PROCESSED_AT")
    assert pages(ask, shop, "reverse: false", name="customers") == pages(ask, shop, "sortKey: ID", name="customers")


def test_last_and_before_read_backwards(shop: Shop, ask: Callable[..., Any]) -> None:
    everything = [one for page in pages(ask, shop, "sortKey: ID", size=250) for one in page]
    page = ask(shop, "{orders(last: 3, sortKey: ID){nodes{id} pageInfo{hasPreviousPage startCursor}}}")["data"][
        "orders"
    ]
    assert [one["id"] for one in page["nodes"]] == everything[-3:]
    before = ask(
        shop,
        "query Q($before: String){orders(last: 3, before: $before, sortKey: ID){nodes{id} pageInfo{hasNextPage}}}",
        before=page["pageInfo"]["startCursor"],
    )["data"]["orders"]
    assert [one["id"] for one in before["nodes"]] == everything[-6:-3]
    assert (page["pageInfo"]["hasPreviousPage"], before["pageInfo"]["hasNextPage"]) == (True, True)


def test_a_cursor_is_a_keyset_of_id_and_sort_value(shop: Shop, ask: Callable[..., Any]) -> None:
    edge = ask(shop, "{orders(first: 1, sortKey: UPDATED_AT){edges{cursor node{legacyResourceId}}}}")["data"]["orders"][
        "edges"
    ][0]
    inside = json.loads(base64.b64decode(edge["cursor"]))
    order = shop.store.order(int(edge["node"]["legacyResourceId"]))
    assert inside == {"last_id": int(order["legacyResourceId"]), "last_value": order["updatedAt"]}


def test_a_row_that_changes_while_it_is_read_moves_to_the_tail(shop: Shop, ask: Callable[..., Any]) -> None:
    query = (
        "query Q($after: String){orders(first: 5, after: $after, sortKey: UPDATED_AT){nodes{id} pageInfo{endCursor}}}"
    )
    first = ask(shop, query)["data"]["orders"]
    seen = first["nodes"][0]["id"]
    shop.store.change_order(int(seen.rsplit("/", 1)[1]), "2026-11-01T00:00:00Z", note="changed")
    rest = ask(
        shop,
        "query Q($after: String){orders(first: 250, after: $after, sortKey: UPDATED_AT){nodes{id}}}",
        after=first["pageInfo"]["endCursor"],
    )
    assert rest["data"]["orders"]["nodes"][-1]["id"] == seen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "you must provide one of first or last"),
        ("(first: 251)", "first must be between 0 and 250"),
        ("(last: -1)", "last must be between 0 and 250"),
        ('(first: 1, after: "rubbish")', "Invalid cursor for current pagination sort."),
    ],
)
def test_a_page_that_cannot_be_is_refused(shop: Shop, ask: Callable[..., Any], arguments: str, message: str) -> None:
    body = ask(shop, f"{{orders{arguments}{{nodes{{id}}}}}}")
    assert [one["message"] for one in body["errors"]] == [message]


def test_a_cursor_of_another_sort_key_is_refused(shop: Shop, ask: Callable[..., Any]) -> None:
    cursor = ask(shop, "{orders(first: 1, sortKey: ID){pageInfo{endCursor}}}")["data"]["orders"]["pageInfo"][
        "endCursor"
    ]
    body = ask(
        shop, "query Q($after: String){orders(first: 1, after: $after, sortKey: UPDATED_AT){nodes{id}}}", after=cursor
    )
    assert body["errors"][0]["message"] == "Invalid cursor for current pagination sort."


def test_an_order_with_300_lines_is_read_in_pages_through_its_node(shop: Shop, ask: Callable[..., Any]) -> None:
    big = max(shop.store.orders, key=lambda one: len(one["lineItems"]))
    query = """query Q($id: ID!, $after: String) {
      node(id: $id) {... on Order {
        lineItems(first: 250, after: $after) {nodes {id} pageInfo {hasNextPage endCursor}}
      }}
    }"""
    first = ask(shop, query, id=big["id"])["data"]["node"]["lineItems"]
    second = ask(shop, query, id=big["id"], after=first["pageInfo"]["endCursor"])["data"]["node"]["lineItems"]
    assert (len(first["nodes"]), len(second["nodes"]), second["pageInfo"]["hasNextPage"]) == (250, 50, False)
    assert [one["id"] for one in first["nodes"] + second["nodes"]] == [one["id"] for one in big["lineItems"]]


def test_nodes_by_ids_keep_their_places_and_hold_null_for_what_is_not_there(
    shop: Shop, ask: Callable[..., Any]
) -> None:
    order = next(one for one in shop.store.orders if one["refunds"] and one["refunds"][0]["refundLineItems"])
    ids = [order["refunds"][0]["id"], "gid://shopify/Order/1", order["id"], order["lineItems"][0]["id"]]
    query = """query Q($ids: [ID!]!) {
      nodes(ids: $ids) {__typename id ... on Refund {refundLineItems(first: 5) {nodes {id}}}}
    }"""
    found = ask(shop, query, ids=ids)["data"]["nodes"]
    assert [one and one["__typename"] for one in found] == ["Refund", None, "Order", "LineItem"]
    assert found[0]["refundLineItems"]["nodes"]


def test_an_id_that_is_none_is_an_error(shop: Shop, ask: Callable[..., Any]) -> None:
    assert ask(shop, '{node(id: "12"){id}}')["errors"][0]["message"] == "Invalid global id '12'"


def test_a_list_is_cut_to_its_first(shop: Shop, ask: Callable[..., Any]) -> None:
    order = next(one for one in shop.store.orders if len(one["transactions"]) > 1)
    query = (
        "query Q($id: ID!){order(id: $id){transactions(first: 1){id} all: transactions{id} transactionsCount{count}}}"
    )
    found = ask(shop, query, id=order["id"])["data"]["order"]
    assert len(found["transactions"]) == 1
    assert len(found["all"]) == found["transactionsCount"]["count"] == len(order["transactions"])


def test_counts_are_exact_up_to_their_limit(shop: Shop, ask: Callable[..., Any]) -> None:
    count = len(shop.store.orders)
    body = ask(
        shop,
        """{all: ordersCount {count precision} few: ordersCount(limit: 3) {count precision}
            any: ordersCount(limit: null) {count}}""",
    )
    assert body["data"] == {
        "all": {"count": count, "precision": "EXACT"},
        "few": {"count": 3, "precision": "AT_LEAST"},
        "any": {"count": count},
    }


def test_a_customers_orders_are_theirs(shop: Shop, ask: Callable[..., Any]) -> None:
    customer = max(shop.store.customers, key=lambda one: int(one["numberOfOrders"]))
    query = """query Q($id: ID!) {customer(id: $id) {
      numberOfOrders lastOrder {id} orders(first: 250, sortKey: PROCESSED_AT) {nodes {id customer {id}}}
    }}"""
    found = ask(shop, query, id=customer["id"])["data"]["customer"]
    assert len(found["orders"]["nodes"]) == int(found["numberOfOrders"])
    assert {one["customer"]["id"] for one in found["orders"]["nodes"]} == {customer["id"]}
    assert found["lastOrder"]["id"] == found["orders"]["nodes"][-1]["id"]


@pytest.mark.parametrize("tells", [True, False])
def test_pages_and_counts_may_end_as_if_that_were_all(
    shop_with: Callable[..., Shop], ask: Callable[..., Any], *, tells: bool
) -> None:
    shop = shop_with(most_paged=7, most_counted=7, counts_tell=tells)
    count = ask(shop, "{ordersCount(limit: null){count precision}}")["data"]["ordersCount"]
    assert count == {"count": 8, "precision": "AT_LEAST" if tells else "EXACT"}
    query = "query Q($after: String) {orders(first: 5, after: $after) {pageInfo {hasNextPage endCursor} nodes {id}}}"
    first = ask(shop, query, after=None)["data"]["orders"]
    second = ask(shop, query, after=first["pageInfo"]["endCursor"])["data"]["orders"]
    assert (len(second["nodes"]), second["pageInfo"]["hasNextPage"]) == (2, False)
