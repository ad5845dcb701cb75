"""What a store holds, in: nodes; out: them by id, settled whenever one of them has changed.

Knows nothing of what can be done to a node (`order_changes`, `customer_changes`).
"""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING

from sandbox.shop import customers, totals
from sandbox.shop.nodes import Node, Nodes, number_of
from sandbox.shop.parts import gid
from sandbox.shop.practice import USUAL, Practice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FIRST_ID = 5_000_000_000_001  # real ids of today have thirteen digits or more
SHOP: Node = {
    "id": gid("Shop", 60_000_000_001),
    "name": "Sandbox Records",
    "myshopifyDomain": "sandbox.myshopify.com",
    "url": "https://sandbox.myshopify.com",
    "email": "owner@example.com",
    "contactEmail": "hello@example.com",
    "currencyCode": "USD",
    "enabledPresentmentCurrencies": ["USD", "EUR", "JPY", "KWD"],
    "ianaTimezone": "America/New_York",
    "timezoneAbbreviation": "EST",
    "timezoneOffset": "-0500",
    "timezoneOffsetMinutes": -300,
    "createdAt": "2015-01-01T00:00:00.000000Z",
    "plan": {"publicDisplayName": "Shopify", "shopifyPlus": False, "partnerDevelopment": False},
}


class StoreData(Nodes):
    """The nodes of one shop and the shop itself."""

    def __init__(self, *, practice: Practice = USUAL, **shop: object) -> None:
        super().__init__()
        self.practice = practice
        self.lock = threading.RLock()
        self.shop: Node = {**SHOP, **shop}
        self.ids: Iterator[int] = count(FIRST_ID)

    def fill(self, customers_: Iterable[Node], orders_: Iterable[Node]) -> None:
        """Take nodes as they are, already settled."""
        with self.lock:
            self.by_type["Customer"].update((number_of(one), one) for one in customers_)
            self.by_type["Order"].update((number_of(one), one) for one in orders_)
            self.forget()

    def _settled(self, one: Node) -> Node:
        totals.settle(one)
        self._settle_customer(one["customer"], one["updatedAt"])
        return one

    def _settle_customer(self, customer: Node | None, at: str) -> None:
        if customer is not None:
            self._touch_customer(customer, at)
        self.forget()

    def _touch_customer(self, customer: Node, at: str) -> None:
        customers.settle(customer, self.orders_of(customer))
        customer["updatedAt"] = max(customer["updatedAt"], at)
        self.forget()

    def _record_destroy(self, subject: Node, subject_type: str, at: str) -> Node:
        number = next(self.ids)
        event = {
            "id": gid("BasicEvent", number),
            "action": "destroy",
            "createdAt": at,
            "subjectId": subject["id"],
            "subjectType": subject_type,
            "message": f"{subject.get('name') or 'A customer'} was deleted.",
            "attributeToApp": False,
            "attributeToUser": True,
            "criticalAlert": False,
            "hasAdditionalContent": False,
        }
        self.by_type["BasicEvent"][number] = event
        self.forget()
        return event
