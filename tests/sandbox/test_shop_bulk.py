"""Bulk operations: rules, lives and files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.shop.bulk import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Clock
    from sandbox.shop import Shop


RUN = """mutation Run($query: String!, $grouped: Boolean! = false) {
  bulkOperationRunQuery(query: $query, groupObjects: $grouped) {
    bulkOperation { id status } userErrors { code field message }
  }
}"""
POLL = """query Poll($id: ID!) {
  bulkOperation(id: $id) { id status errorCode objectCount rootObjectCount fileSize url partialDataUrl completedAt }
}"""
CANCEL = "mutation C($id: ID!) {bulkOperationCancel(id: $id) {bulkOperation {status} userErrors {field message}}}"
ORDERS = """{ orders(query: "test:false", sortKey: UPDATED_AT) { edges { node { id __typename name updatedAt
  transactions { id amountSet { shopMoney { amount } } }
  lineItems { edges { node { id __typename sku } } }
  shippingLines { edges { node { __typename title } } }
} } } }"""


def run(ask: Callable[..., Any], shop: Shop, query: str = ORDERS, *, grouped: bool = False) -> dict[str, Any]:
    return ask(shop, RUN, query=query, grouped=grouped)["data"]["bulkOperationRunQuery"]


def poll(ask: Callable[..., Any], shop: Shop, operation_id: str) -> dict[str, Any]:
    return ask(shop, POLL, id=operation_id)["data"]["bulkOperation"]


def finished(ask: Callable[..., Any], shop: Shop, query: str = ORDERS, *, grouped: bool = False) -> dict[str, Any]:
    return poll(ask, shop, run(ask, shop, query, grouped=grouped)["bulkOperation"]["id"])


def lines(operation: dict[str, Any], link: str = "url") -> list[dict[str, Any]]:
    response = requests.get(operation[link], timeout=30)
    response.raise_for_status()
    return [json.loads(line) for line in response.text.splitlines()]


def test_an_operation_is_created_then_completed_with_a_file_that_holds_every_object(
    shop: Shop, ask: Callable[..., Any]
) -> None:
    started = run(ask, shop)
    assert (started["bulkOperation"]["status"], started["userErrors"]) == ("CREATED", [])
    operation = poll(ask, shop, started["bulkOperation"]["id"])
    assert (operation["status"], operation["errorCode"], operation["partialDataUrl"]) == ("COMPLETED", None, None)
    found = lines(operation)
    orders = [one for one in shop.store.orders if not one["test"]]
    assert operation["rootObjectCount"] == str(len(orders))
    assert operation["objectCount"] == str(len(found))
    assert operation["fileSize"] == str(len(requests.get(operation["url"], timeout=30).content))
    assert {one["id"] for one in found if one.get("__typename") == "Order"} == {one["id"] for one in orders}


def test_a_line_holds_what_a_page_would_hold_and_children_name_their_parent(
    shop: Shop, ask: Callable[..., Any]
) -> None:
    own: dict[str | None, list[dict[str, Any]]] = {}
    for line in lines(finished(ask, shop)):
        own.setdefault(line.pop("__parentId", None), []).append(line)
    paged = ORDERS.replace("sortKey", "first: 250, sortKey")
    for name in ("lineItems", "shippingLines"):
        paged = paged.replace(name, f"{name}(first: 30)")
    for edge in ask(shop, paged)["data"]["orders"]["edges"]:
        node = edge["node"]
        children = [child["node"] for name in ("lineItems", "shippingLines") for child in node.pop(name)["edges"]]
        assert node in own[None]
        assert own[node["id"]][: len(children)] == children or len(own[node["id"]]) == 300


def test_flat_files_keep_children_apart_from_their_parents(shop: Shop, ask: Callable[..., Any]) -> None:
    found = lines(finished(ask, shop))
    assert "__parentId" not in found[1], "the second line is another order, not a child of the first"
    seen = set()
    for one in found:
        assert one.get("__parentId") in {None, *seen}, "children come after their parents"
        seen.add(one.get("id"))


def test_grouped_files_hold_children_right_after_their_parent(shop: Shop, ask: Callable[..., Any]) -> None:
    parent = None
    for one in lines(finished(ask, shop, grouped=True)):
        if "__parentId" in one:
            assert one["__parentId"] == parent
        else:
            parent = one["id"]


def test_both_groupings_hold_the_same_lines(shop: Shop, ask: Callable[..., Any]) -> None:
    found = [
        sorted(json.dumps(one) for one in lines(finished(ask, shop, grouped=grouped))) for grouped in (False, True)
    ]
    assert found[0] == found[1]


def test_an_operation_without_rows_has_no_file(shop: Shop, ask: Callable[..., Any]) -> None:
    operation = finished(ask, shop, '{orders(query: "name:nobody"){edges{node{id}}}}')
    assert (operation["status"], operation["objectCount"], operation["url"]) == ("COMPLETED", "0", None)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{shop{name}}", "Bulk queries must contain at least one connection."),
        ("{orders{nodes{id}}}", "Selecting via 'nodes' is not supported."),
        ('{node(id: "gid://shopify/Order/1"){id}}', "Bulk queries can't use the top-level 'node' or 'nodes' fields."),
        (
            "{orders{edges{node{id refunds{refundLineItems{edges{node{id}}}}}}}}",
            "Queries that contain a connection field within a list field are not currently supported.",
        ),
        (
            "{orders{edges{node{name lineItems{edges{node{id}}}}}}}",
            "The parent 'node' field for a nested connection must select the 'id' field without an alias",
        ),
        (
            "{orders{edges{node{key: id lineItems{edges{node{id}}}}}}}",
            "The parent 'node' field for a nested connection must select the 'id' field without an alias",
        ),
        (
            """{customers{edges{node{id orders{edges{node{id
              a: lineItems{edges{node{id}}} b: lineItems{edges{node{id}}}
              c: lineItems{edges{node{id}}} d: lineItems{edges{node{id}}}
            }}}}}}}""",
            "Bulk queries cannot contain more than 5 connections.",
        ),
        (
            """{customers{edges{node{id orders{edges{node{id
              customer{id orders{edges{node{id lineItems{edges{node{id}}}}}}}
            }}}}}}}""",
            "Bulk queries cannot contain connections with a nesting depth greater than 2.",
        ),
        ("{orders{edges{node{colour}}}}", "Invalid bulk query: Cannot query field 'colour' on type 'Order'."),
        ("mutation{bulkOperationCancel(id: 1){userErrors{message}}}", "Bulk queries can't contain mutations."),
    ],
)
def test_a_query_against_the_rules_is_a_user_error(
    shop: Shop, ask: Callable[..., Any], query: str, message: str
) -> None:
    payload = run(ask, shop, query)
    assert payload["bulkOperation"] is None
    (error,) = payload["userErrors"]
    assert (error["code"], error["field"]) == ("INVALID", ["query"])
    assert error["message"].startswith(message)


def test_two_levels_of_nesting_are_allowed(shop: Shop, ask: Callable[..., Any]) -> None:
    query = "{customers{edges{node{id orders{edges{node{id lineItems{edges{node{id}}}}}}}}}}"
    found = lines(finished(ask, shop, query))
    line_item = next(one for one in found if "/LineItem/" in one["id"])
    order = next(one for one in found if one["id"] == line_item["__parentId"])
    assert any(one["id"] == order["__parentId"] and "/Customer/" in one["id"] for one in found)


def test_a_connection_inside_an_object_belongs_to_that_object(shop: Shop, ask: Callable[..., Any]) -> None:
    query = '{orders(query: "name:#1001"){edges{node{id customer{id addressesV2{edges{node{id}}}}}}}}'
    order, address = lines(finished(ask, shop, query))
    assert set(order["customer"]) == {"id"}
    assert address["__parentId"] == order["customer"]["id"]


def test_five_run_at_once_and_the_sixth_is_told_which(
    shop_with: Callable[..., Shop], ask: Callable[..., Any], clock: Clock
) -> None:
    shop = shop_with(bulk_seconds=60)
    started = [run(ask, shop)["bulkOperation"]["id"] for _ in range(5)]
    payload = run(ask, shop)
    (error,) = payload["userErrors"]
    assert (payload["bulkOperation"], error["code"], error["field"]) == (None, "OPERATION_IN_PROGRESS", None)
    assert all(one in error["message"] for one in started)
    clock.tick(seconds=61)
    assert run(ask, shop)["bulkOperation"]


def test_a_limit_can_be_reached(shop: Shop, ask: Callable[..., Any]) -> None:
    shop.bulk.reach_limit()
    assert [one["code"] for one in run(ask, shop)["userErrors"]] == ["LIMIT_REACHED"]
    assert run(ask, shop)["bulkOperation"]


def test_an_operation_runs_as_long_as_it_was_told(
    shop_with: Callable[..., Shop], ask: Callable[..., Any], clock: Clock
) -> None:
    shop = shop_with(bulk_seconds=60)
    started = run(ask, shop)["bulkOperation"]["id"]
    assert poll(ask, shop, started)["status"] == "RUNNING"
    clock.tick(seconds=60)
    assert poll(ask, shop, started)["status"] == "COMPLETED"


def test_a_failed_operation_has_an_error_code_and_a_partial_file(shop: Shop, ask: Callable[..., Any]) -> None:
    shop.bulk.next(Outcome("FAILED", "INTERNAL_SERVER_ERROR", rows=3))
    operation = finished(ask, shop)
    assert (operation["status"], operation["errorCode"], operation["url"]) == ("FAILED", "INTERNAL_SERVER_ERROR", None)
    assert len(lines(operation, "partialDataUrl")) == int(operation["objectCount"]) == 3


def test_a_stalled_operation_runs_until_it_is_canceled_and_not_for_more_than_ten_days(
    shop: Shop, ask: Callable[..., Any], clock: Clock
) -> None:
    shop.bulk.next(Outcome(stalls=True, rows=2), Outcome(stalls=True))
    first, second = (run(ask, shop)["bulkOperation"]["id"] for _ in range(2))
    clock.tick(days=9)
    assert poll(ask, shop, first)["status"] == "RUNNING"
    canceled = ask(shop, CANCEL, id=first)["data"]["bulkOperationCancel"]
    assert canceled == {"bulkOperation": {"status": "CANCELING"}, "userErrors": []}
    ended = poll(ask, shop, first)
    assert (ended["status"], len(lines(ended, "partialDataUrl"))) == ("CANCELED", 2)
    clock.tick(days=1, seconds=1)
    late = poll(ask, shop, second)
    assert (late["status"], late["errorCode"]) == ("FAILED", "TIMEOUT")


def test_an_ended_operation_cannot_be_canceled(shop: Shop, ask: Callable[..., Any]) -> None:
    operation = finished(ask, shop)
    (error,) = ask(shop, CANCEL, id=operation["id"])["data"]["bulkOperationCancel"]["userErrors"]
    assert error == {"field": None, "message": "A bulk operation cannot be canceled when it is completed"}


def test_a_link_is_signed_and_expires_after_seven_days(shop: Shop, ask: Callable[..., Any], clock: Clock) -> None:
    operation = finished(ask, shop)
    assert requests.get(operation["url"] + "x", timeout=30).status_code == 400
    clock.tick(days=7, seconds=1)
    late = requests.get(operation["url"], timeout=30)
    assert (late.status_code, "ExpiredToken" in late.text) == (400, True)
    assert (poll(ask, shop, operation["id"])["status"], poll(ask, shop, operation["id"])["url"]) == ("EXPIRED", None)


def test_a_download_goes_on_where_it_broke_off(shop: Shop, ask: Callable[..., Any]) -> None:
    url = finished(ask, shop)["url"]
    whole = requests.get(url, timeout=30)
    assert whole.headers["Accept-Ranges"] == "bytes"
    rest = requests.get(url, headers={"Range": "bytes=1000-"}, timeout=30)
    assert (rest.status_code, rest.content) == (206, whole.content[1000:])
    assert rest.headers["Content-Range"] == f"bytes 1000-{len(whole.content) - 1}/{len(whole.content)}"


def test_a_missing_scope_lets_the_operation_fail(shop_with: Callable[..., Shop], ask: Callable[..., Any]) -> None:
    shop = shop_with(scopes=("read_all_orders", "read_orders"))
    operation = finished(ask, shop, "{orders{edges{node{id customer{id}}}}}")
    assert (operation["status"], operation["errorCode"], operation["url"]) == ("FAILED", "ACCESS_DENIED", None)


def test_an_app_without_the_permission_is_denied_bulk_operations_alone(
    shop_with: Callable[..., Shop], ask: Callable[..., Any]
) -> None:
    shop = shop_with(bulk_refusal="ACCESS_DENIED")
    body = ask(shop, RUN, query=ORDERS)
    assert body["data"] == {"bulkOperationRunQuery": None}
    assert body["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert ask(shop, POLL, id="gid://shopify/BulkOperation/1")["errors"]
    assert "data" in ask(shop, "{orders(first: 1){nodes{id}}}")


def test_nobody_has_seen_how_an_app_without_the_permission_is_refused(
    shop_with: Callable[..., Shop], ask: Callable[..., Any], post: Callable[..., requests.Response]
) -> None:
    (error,) = ask(shop_with(bulk_refusal="no code"), RUN, query=ORDERS)["errors"]
    assert "code" not in error.get("extensions", {})
    payload = run(ask, shop_with(bulk_refusal="user error"))
    assert (payload["bulkOperation"], payload["userErrors"][0]["code"]) == (None, None)
    forbids = shop_with(bulk_refusal="status 403")
    assert post(forbids, RUN, query=ORDERS).status_code == 403
    assert post(forbids, "{orders(first: 1){nodes{id}}}").status_code == 200


def test_operations_are_listed_searched_and_found_as_nodes(
    shop_with: Callable[..., Shop], ask: Callable[..., Any], clock: Clock
) -> None:
    shop = shop_with(bulk_seconds=60)
    first = run(ask, shop)["bulkOperation"]["id"]
    clock.tick(seconds=61)
    second = run(ask, shop)["bulkOperation"]["id"]
    query = """query Q($id: ID!) {
      bulkOperations(first: 5, query: "status:RUNNING operation_type:query") {nodes {id}}
      node(id: $id) {... on BulkOperation {status}}
      currentBulkOperation {id}
    }"""
    body = ask(shop, query, id=first)
    assert body["data"] == {
        "bulkOperations": {"nodes": [{"id": second}]},
        "node": {"status": "COMPLETED"},
        "currentBulkOperation": {"id": second},
    }


def test_the_60_day_window_holds_for_bulk_operations(shop_with: Callable[..., Shop], ask: Callable[..., Any]) -> None:
    shop = shop_with(scopes=("read_customers", "read_orders", "read_products"))
    assert 0 < int(finished(ask, shop)["rootObjectCount"]) < len(shop.store.orders)


def test_the_documented_rule_about_nodes_can_be_enforced(
    shop_with: Callable[..., Shop], ask: Callable[..., Any]
) -> None:
    lines = "{orders{edges{node{id lineItems{edges{node{id}}}}}}}"
    shipping = "{orders{edges{node{id shippingLines{edges{node{id}}}}}}}"
    strict = shop_with(bulk_nodes_only=True)
    assert run(ask, strict, lines)["bulkOperation"]
    (error,) = run(ask, strict, shipping)["userErrors"]
    assert error["message"] == "Connections in bulk queries must implement Node: ShippingLine don't."
    assert run(ask, shop_with(), shipping)["bulkOperation"]
