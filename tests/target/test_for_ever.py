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
        ("$identify", "jane@example.com", "2026-11-02T10:00:00Z", "76f0a799-1b68-5a03-acdd-4041dda28fc5"),
        ("Customer Created", "shopify:customer:7", "2026-01-15T10:00:00Z", "396a9943-4277-5d17-aa39-264790152f5d"),
    ],
    ("ecommerce", "orders"): [
        ("$identify", "shopify:customer:7", "2026-11-01T12:00:00Z", "85164d6c-e971-5ad0-bd76-c6ad0e84235f"),
        ("$identify", "jane@example.com", "2026-11-01T12:00:00Z", "3972b9ed-b406-565c-a93c-fec5bc8de605"),
        ("Order Completed", "jane@example.com", "2026-11-01T12:00:00Z", "df38a79f-4087-5cf7-8a7b-59e9b9937966"),
        ("Order Paid", "jane@example.com", "2026-11-02T12:00:01Z", "642bc61d-997a-5a8c-9a18-0993e7e0646e"),
        ("Order Fulfilled", "jane@example.com", "2026-11-01T16:30:00Z", "3bc4a185-7244-5517-97af-8a2079383168"),
        ("Order Refunded", "jane@example.com", "2026-11-05T00:00:00Z", "69fae314-f1fa-51ec-8048-c695906e0106"),
        ("Order Cancelled", "jane@example.com", "2026-11-06T09:00:00Z", "791ad59c-3534-5738-9a98-78928ad5437f"),
    ],
    ("shopify-connector", "customers"): [
        (
            "Created Shopify Customer",
            "jane@example.com",
            "2026-01-15T10:00:00Z",
            "d2e28071-1d21-5a97-b428-99c2c6b9c4ca",
        ),
    ],
    ("shopify-connector", "orders"): [
        ("Created Shopify Order", "jane@example.com", "2026-11-01T12:00:05Z", "b92228fc-4480-5d86-941f-8cc21f015eeb"),
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
