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
REFUND = {"id": 4, "order_id": 5001, "created_at": "2026-11-05T00:00:00Z"}
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
    ("shopify-singer-io", "customers"): [
        ("$identify", "jane@example.com", "2026-11-02T10:00:00Z", "49558d52-d0d3-564e-805c-e1e13837139a"),
        ("Customer Created", "shopify:customer:7", "2026-01-15T10:00:00Z", "41c2036f-cc08-5085-ab3e-5bfb1e1a8754"),
    ],
    ("shopify-singer-io", "orders"): [
        ("Order Completed", "jane@example.com", "2026-11-01T12:00:00Z", "5cdf3439-68fb-5e41-965a-0df6dc9ec467"),
        ("Order Cancelled", "jane@example.com", "2026-11-06T09:00:00Z", "173e77e9-2ece-5546-88c5-87def6b361fe"),
    ],
    ("shopify-singer-io", "order_refunds"): [
        ("Order Refunded", "shopify:order:5001", "2026-11-05T00:00:00Z", "764c8101-c2f7-5e5f-86ba-214d5c125963"),
    ],
}


@pytest.mark.parametrize(("mapping", "stream"), PINNED)
def test_an_event_is_counted_by_the_same_four_facts_as_ever(mapping: str, stream: str) -> None:
    record = {"customers": CUSTOMER, "orders": ORDER, "order_refunds": REFUND}[stream]
    events = StreamMapping(stream, active(load(mapping)["streams"][stream]), identity="email").events(record)
    facts = [(one["event"], one["distinct_id"], one["timestamp"], one["uuid"]) for one in events]
    assert facts == PINNED[mapping, stream]
