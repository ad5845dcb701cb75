"""What PostHog counts a shipped event by never changes: a change would make every user's events a second time."""

from __future__ import annotations

import pytest

from target_posthog.mapping.document import active, load
from target_posthog.mapping.meanings import StreamMapping

CUSTOMER = {
    "shop": "my-store.myshopify.com",
    "id": 7,
    "email": "Jane@Example.com ",
    "created_at": "2026-01-15T10:00:00Z",
    "updated_at": "2026-11-02T10:00:00Z",
}
ORDER = {
    "shop": "my-store.myshopify.com",
    "id": 5001,
    "email": "jane@example.com",
    "created_at": "2026-11-01T12:00:05Z",
    "processed_at": "2026-11-01T12:00:00Z",
    "cancelled_at": "2026-11-06T09:00:00Z",
    "customer": {"id": 7, "email": "new@example.com"},
    "note_attributes": [{"name": "_posthog_distinct_id", "value": "0190a0b8-71f4-7c21-b3b5-0242ac120002"}],
    "transactions": [{"id": 2, "kind": "sale", "status": "success", "processed_at": "2026-11-02T12:00:01Z"}],
    "fulfillments": [{"id": 3, "status": "success", "created_at": "2026-11-01T16:30:00Z"}],
    "refunds": [{"id": 4, "created_at": "2026-11-05T00:00:00Z", "processed_at": None}],
}
TRANSACTION = {"order_id": 5001, "id": 2, "kind": "sale", "status": "success", "processed_at": "2026-11-02T12:00:01Z"}
PINNED = {
    ("ecommerce", "customers"): [
        ("$identify", "jane@example.com", "2026-11-02T10:00:00Z", "ae894e79-866d-5dbf-b4b0-36475146095f"),
        ("Customer Created", "shopify:customer:7", "2026-01-15T10:00:00Z", "09517296-50a3-52e2-954f-0891c0f5017f"),
    ],
    ("ecommerce", "orders"): [
        ("$identify", "new@example.com", "2026-11-01T12:00:00Z", "4d390c5d-4ecf-5c86-ad39-c74406f2038b"),
        ("$identify", "new@example.com", "2026-11-01T12:00:00Z", "dc0642f4-a967-5f0d-af57-836dab5e4230"),
        ("$identify", "new@example.com", "2026-11-01T12:00:00Z", "a978dce2-e9ee-59c2-9516-dc5a2ce506d7"),
        ("Order Completed", "jane@example.com", "2026-11-01T12:00:00Z", "0a19c7a4-c932-52ce-a2db-d6219f4586f3"),
        ("Order Paid", "jane@example.com", "2026-11-02T12:00:01Z", "2d8d83d2-ea26-5bf3-b780-c631298aa875"),
        ("Order Fulfilled", "jane@example.com", "2026-11-01T16:30:00Z", "c73e6599-7732-5b2c-a74b-4eb06dd9973a"),
        ("Order Refunded", "jane@example.com", "2026-11-05T00:00:00Z", "aae25150-ba60-5750-ad50-16d4a8ffaf59"),
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
ECOMMERCE = PINNED["ecommerce", "orders"]
# The same facts from another tap are the same events.
PINNED["shopify-singer-io", "customers"] = PINNED["ecommerce", "customers"]
PINNED["shopify-singer-io", "orders"] = [one for one in ECOMMERCE if one[0] not in {"Order Paid", "Order Refunded"}]
PINNED["shopify-singer-io", "transactions"] = [
    ("Order Paid", "shopify:order:5001", time, uuid) for name, _, time, uuid in ECOMMERCE if name == "Order Paid"
]


@pytest.mark.parametrize(("mapping", "stream"), PINNED)
def test_an_event_is_counted_by_the_same_four_facts_as_ever(mapping: str, stream: str) -> None:
    record = {"customers": CUSTOMER, "orders": ORDER, "transactions": TRANSACTION}[stream]
    record = {**record, "_sdc_shop_myshopify_domain": CUSTOMER["shop"]}
    events = StreamMapping(stream, active(load(mapping)["streams"][stream]), identity="email").events(record)
    facts = [(one["event"], one["distinct_id"], one["timestamp"], one["uuid"]) for one in events]
    assert facts == PINNED[mapping, stream]
