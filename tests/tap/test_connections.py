"""Connections are read to their end, in few calls, while what is there is written; or the run ends with a sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.controls import Reply
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.reading.connections import Completion
from tap_shopify_orders.reading.question import Question
from tap_shopify_orders.records import schema
from tap_shopify_orders.records.fields import select
from tests.waiting import wait_until

from .conftest import SHOP, queries, read, tap_for

if TYPE_CHECKING:
    from sandbox.shop import Shop

CHANGED = "2026-11-02T12:00:00Z"
WANTED = {("id",), ("updated_at",), ("line_items",), ("line_items", "title")}
LONG = 260  # longer than the largest page


@pytest.mark.parametrize(
    ("rest", "sentence"),
    [
        ("null", "was deleted while it was read"),
        ('{"line_items": {"pageInfo": {"hasNextPage": true, "endCursor": "c"}, "nodes": []}}', "lead nowhere"),
        ('{"line_items": {"pageInfo": {"hasNextPage": true, "endCursor": "c"}, "nodes": [{}]}}', "lead nowhere"),
        ('{"line_items": {"pageInfo": {"hasNextPage": false}, "nodes": [7]}}', "isn't of the form"),
    ],
)
def test_line_items_that_cannot_be_read_to_the_end_are_no_success(shop: Shop, rest: str, sentence: str) -> None:
    question = Question.of("orders", select(schema.ORDERS, WANTED.__contains__), SHOP)
    lines: dict[str, Any] = {"pageInfo": {"hasNextPage": True, "endCursor": "c"}, "nodes": []}
    node = {"id": "gid://shopify/Order/1", "updated_at": CHANGED, "line_items": lines}
    shop.controls.reply_next(Reply(status=200, body=f'{{"data": {{"rest0": {rest}}}}}'))
    with pytest.raises(RunError, match=sentence):
        Completion(tap_for(shop).store.client, bool).records(
            [question.reader.node(json.dumps(node).encode())], question
        )


@pytest.mark.parametrize("nodes", ["[]", "[null, null]"])
def test_owners_that_are_not_in_the_answer_are_no_success(shop: Shop, nodes: str) -> None:
    question = Question.of("orders", select(schema.ORDERS, WANTED.__contains__), SHOP)
    node = question.reader.node(json.dumps({"id": "gid://shopify/Order/1", "updated_at": CHANGED}).encode())
    shop.controls.reply_next(Reply(status=200, body=f'{{"data": {{"nodes": {nodes}}}}}'))
    with pytest.raises(RunError, match="lacks what was asked for by id"):
        Completion(tap_for(shop).store.client, bool).records([node], question)


def make_long(shop: Shop) -> tuple[str, dict[str, int]]:
    """Give one order long connections of every kind; returns its name, and how long each is."""
    discounted = next(one for one in shop.store.orders if one["discountApplications"] and one["shippingLines"])
    name = discounted["name"]
    shop.store.refund_order(name, CHANGED, quantities={0: 1})
    order = shop.store.order(name)
    refund = order["refunds"][-1]
    money = refund["totalRefundedSet"]
    (line,) = refund["refundLineItems"][:1]
    refund["refundLineItems"] = [{**line, "id": f"gid://shopify/RefundLineItem/{number}"} for number in range(LONG)]
    adjustment = {"amountSet": money, "taxAmountSet": money, "reason": "RESTOCK"}
    refund["orderAdjustments"] = [{"id": f"gid://shopify/OrderAdjustment/{one}", **adjustment} for one in range(LONG)]
    refund["refundShippingLines"] = [{"subtotalAmountSet": money, "taxAmountSet": money} for _ in range(LONG)]
    shop.store.change_order(
        name,
        CHANGED,
        shippingLines=[{**order["shippingLines"][0], "id": f"gid://shopify/ShippingLine/{one}"} for one in range(LONG)],
        discountApplications=[{**order["discountApplications"][0], "index": one} for one in range(LONG)],
    )
    return name, {"line_items": len(order["lineItems"]), "shipping_lines": LONG, "discount_applications": LONG}


@pytest.mark.parametrize("method", ["pages", "bulk"])
def test_every_connection_is_read_to_its_end(shop: Shop, method: str) -> None:
    name, lengths = make_long(shop)
    shop.controls.reset()
    order = read(shop, method=method).orders[name]
    assert {one: len(order[one]) for one in lengths} == lengths
    refund = order["refunds"][-1]
    for one in ("refund_line_items", "order_adjustments", "refund_shipping_lines"):
        assert len(refund[one]) == LONG
    assert [one["index"] for one in order["discount_applications"]] == list(range(LONG))
    assert len({one["id"] for one in order["shipping_lines"]}) == LONG
    rests = [one["query"] for one in queries(shop) if "rest0" in one["query"]]
    assert max(one.count("...on Order{") + one.count("...on Refund{") for one in rests) == 4  # several in one call


def test_the_next_page_is_fetched_while_one_is_written_and_no_more_than_that(shop: Shop) -> None:
    tap = tap_for(shop)
    records: Any = tap.streams["customers"].get_records(None)
    shop.controls.reset()
    next(records)

    def pages() -> int:
        return sum(one["query"].startswith("query Customers") for one in queries(shop))

    wait_until(lambda: pages() > 1)  # the one ahead comes by a thread
    assert pages() == 2
    assert len({"", *(one.updated_at for one in records)}) > 10
