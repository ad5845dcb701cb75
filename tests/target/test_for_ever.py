"""What makes a shipped event the same fact never changes: a change would make every user's events a second time.

A fact's uuid comes of its rule's name and of Shopify's ids alone. PostHog also counts by name, distinct id and day.
"""

from __future__ import annotations

from typing import Any

import pytest

from target_posthog.mapping.document import active, combined, load
from target_posthog.mapping.meanings import StreamMapping
from target_posthog.mapping.rule import rule_name

CUSTOMER = {
    "shop": "my-store.myshopify.com",
    "shop_id": 60,
    "id": 7,
    "email": "Jane@Example.com ",
    "created_at": "2026-01-15T10:00:00Z",
    "updated_at": "2026-11-02T10:00:00Z",
}
ORDER = {
    "shop": "my-store.myshopify.com",
    "shop_id": 60,
    "id": 5001,
    "email": "jane@example.com",
    "created_at": "2026-11-01T12:00:05Z",
    "processed_at": "2026-11-01T12:00:00Z",
    "cancelled_at": "2026-11-06T09:00:00Z",
    "customer": {"id": 7, "email": "new@example.com"},
    "customer_journey": {"ready": True, "customer_order_index": 1},
    "note_attributes": [{"name": "_posthog_distinct_id", "value": "0190a0b8-71f4-7c21-b3b5-0242ac120002"}],
    "agreements": [
        {"id": 11, "kind": "OrderAgreement", "happened_at": "2026-11-01T12:00:05Z", "sales": []},
        {"id": 12, "kind": "OrderEditAgreement", "happened_at": "2026-11-02T00:00:00Z", "sales": []},
        {"id": 13, "kind": "ReturnAgreement", "happened_at": "2026-11-03T00:00:00Z", "sales": []},
        {"id": 14, "kind": "RefundAgreement", "happened_at": "2026-11-05T00:00:00Z", "refund_id": 4, "sales": []},
        {"id": 15, "kind": "RefundAgreement", "happened_at": "2026-11-05T01:00:00Z", "refund_id": 4, "sales": []},
        {"id": 16, "kind": "TradeAgreement", "happened_at": "2026-11-05T02:00:00Z", "sales": []},
    ],
    "transactions": [
        {"id": 2, "kind": "sale", "status": "success", "processed_at": "2026-11-02T12:00:01Z", "amount": "20"},
        {"id": 5, "kind": "refund", "status": "success", "processed_at": "2026-11-05T12:00:01Z"},
        {"id": 6, "kind": "change", "status": "success", "processed_at": "2026-11-02T12:00:01Z", "amount": "5"},
    ],
    "total_received": "15",
    "fulfillments": [
        {
            "id": 3,
            "status": "cancelled",
            "created_at": "2026-11-01T16:30:00Z",
            "delivered_at": "2026-11-04T10:00:00Z",
            "deliveredAt": "2026-11-04T10:00:00Z",
        },
    ],
}
TRANSACTIONS = [{"order_id": 5001, **one} for one in ORDER["transactions"]]
PINNED = {
    ("ecommerce", "customers"): [
        ("Customer Created", "shopify:customer:7", "2026-01-15T10:00:00Z", "09517296-50a3-52e2-954f-0891c0f5017f"),
        ("$identify", "jane@example.com", "2026-11-02T10:00:00Z", "ae894e79-866d-5dbf-b4b0-36475146095f"),
    ],
    ("ecommerce", "orders"): [
        ("$identify", "new@example.com", "2026-11-01T12:00:00Z", "4d390c5d-4ecf-5c86-ad39-c74406f2038b"),
        ("$identify", "new@example.com", "2026-11-01T12:00:00Z", "dc0642f4-a967-5f0d-af57-836dab5e4230"),
        ("$identify", "new@example.com", "2026-11-01T12:00:00Z", "a978dce2-e9ee-59c2-9516-dc5a2ce506d7"),
        ("$set", "new@example.com", "2026-11-01T12:00:00Z", "740899e3-a92b-5159-831f-30041f8bb3ec"),
        ("Order Completed", "jane@example.com", "2026-11-01T12:00:00Z", "0a19c7a4-c932-52ce-a2db-d6219f4586f3"),
        ("Order Attributed", "jane@example.com", "2026-11-01T12:00:00Z", "f27cc0a5-76d4-5ad7-9403-9938ac84efd6"),
        ("Order Updated", "jane@example.com", "2026-11-02T00:00:00Z", "67b7fca5-8977-531c-aa07-a7f9cd7f1c96"),
        ("Order Updated", "jane@example.com", "2026-11-05T02:00:00Z", "335f8b9e-ded8-5088-8b08-13adcd45e6ad"),
        ("Order Returned", "jane@example.com", "2026-11-03T00:00:00Z", "2287fdf8-daeb-571c-a14a-36c057fd41dc"),
        ("Order Refunded", "jane@example.com", "2026-11-05T00:00:00Z", "aae25150-ba60-5750-ad50-16d4a8ffaf59"),
        ("Order Refunded", "jane@example.com", "2026-11-05T01:00:00Z", "4e13555c-4988-5977-b135-17d23045a1bf"),
        ("Order Paid", "jane@example.com", "2026-11-02T12:00:01Z", "2d8d83d2-ea26-5bf3-b780-c631298aa875"),
        ("Payment Refunded", "jane@example.com", "2026-11-05T12:00:01Z", "409c63db-69b7-55c4-a2c4-9a8e4f8d3cac"),
        ("Change Given", "jane@example.com", "2026-11-02T12:00:01Z", "d41935c6-7c67-55bf-914f-8c4f20eb89f5"),
        ("Order Fulfilled", "jane@example.com", "2026-11-01T16:30:00Z", "c73e6599-7732-5b2c-a74b-4eb06dd9973a"),
        ("Order Delivered", "jane@example.com", "2026-11-04T10:00:00Z", "537088c5-19aa-57a7-8b7d-3a0cd4ce7e35"),
        ("Order Cancelled", "jane@example.com", "2026-11-06T09:00:00Z", "0ed90283-1147-5789-8db0-c6b65774892a"),
    ],
    ("shopify-connector", "customers"): [
        (
            "Created Shopify Customer",
            "jane@example.com",
            "2026-01-15T10:00:00Z",
            "7adb022c-53d5-5f90-b4d2-8d7ae05e73cb",
        ),
    ],
    ("shopify-connector", "orders"): [
        ("Created Shopify Order", "jane@example.com", "2026-11-01T12:00:05Z", "c1391b08-33b8-5277-8b4e-4cef6a482072"),
    ],
}
LEDGERS = {"Order Attributed", "Order Updated", "Order Returned", "Order Refunded"}
PAYMENTS = {"Order Paid", "Payment Refunded"}
NOT_KNOWN = {"$set", "Change Given"}  # to singer-io's tap
ECOMMERCE = PINNED["ecommerce", "orders"]
# The same facts from another tap are the same events.
PINNED["shopify-singer-io", "customers"] = PINNED["ecommerce", "customers"]
PINNED["shopify-singer-io", "orders"] = [one for one in ECOMMERCE if one[0] not in {*NOT_KNOWN, *LEDGERS, *PAYMENTS}]
PINNED["shopify-singer-io", "transactions"] = [
    (name, "shopify:order:5001", time, uuid) for name, _, time, uuid in ECOMMERCE if name in PAYMENTS
]


def facts(rules: list[dict[str, Any]], stream: str, records: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    mapping = StreamMapping(stream, active(rules), identity="email")
    found = [one.event for record in records for one in mapping.made(record)]
    return [(one["event"], one["distinct_id"], one["timestamp"], one["uuid"]) for one in found]


@pytest.mark.parametrize(("mapping", "stream"), PINNED)
def test_an_event_is_counted_by_the_same_four_facts_as_ever(mapping: str, stream: str) -> None:
    records = {"customers": [CUSTOMER], "orders": [ORDER], "transactions": TRANSACTIONS}[stream]
    records = [{**one, "_sdc_shop_myshopify_domain": CUSTOMER["shop"]} for one in records]
    assert facts(load(mapping)["streams"][stream], stream, records) == PINNED[mapping, stream]


def test_neither_e_mail_nor_customer_nor_domain_nor_time_makes_another_fact() -> None:
    rules = load("ecommerce")["streams"]["orders"]
    other = {
        "shop": "renamed.myshopify.com",
        "email": "right@example.com",
        "customer": {"id": 8, "email": "x@example.com"},
    }
    moved = {**ORDER, **other, "processed_at": "2026-12-01T00:00:00Z"}
    assert {one[3] for one in facts(rules, "orders", [moved])} == {one[3] for one in facts(rules, "orders", [ORDER])}


def test_an_event_that_is_renamed_stays_the_same_fact() -> None:
    known = load("ecommerce")["streams"]
    names = [rule_name(rule) for rule in known["orders"] if not str(rule.get("event", "$")).startswith("$")]
    renamed = combined(known, {"orders": [{"extends": name, "event": f"My {name}"} for name in names]})["orders"]
    before, after = (facts(rules, "orders", [ORDER]) for rules in (known["orders"], renamed))
    assert [one[3] for one in after] == [one[3] for one in before]
    assert {one[0] for one in after if not one[0].startswith("$")} == {f"My {name}" for name in names}
