"""The data of a shop, in: customers, orders and changes to them; out: their nodes, as they are after them.

Times are kept with six digits of a fraction, as Shopify keeps them
(https://shopify.dev/changelog/exclusive-timestamp-filters). Knows nothing of GraphQL or HTTP.
"""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING

from sandbox.shop import customers, orders, refunds, totals
from sandbox.shop.goods import Payment, Reversal
from sandbox.shop.nodes import Node, Nodes, number_of
from sandbox.shop.parts import gid
from sandbox.shop.practice import USUAL, Practice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox.shop.goods import Placed
    from sandbox.shop.people import Person

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


def instant(at: datetime | str) -> str:
    """Return a time as the store keeps it, `2026-11-01T12:00:00.250000Z`; raises ValueError for one without a zone."""
    moment = datetime.fromisoformat(at.replace("Z", "+00:00")) if isinstance(at, str) else at
    if moment.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Store(Nodes):
    """Customers and orders of one shop. Hold `lock` while reading nodes that somebody else may change."""

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

    def add_customer(self, at: datetime | str, person: Person, **fields: object) -> Node:
        """Add a customer; returns the node."""
        with self.lock:
            one = customers.customer(next(self.ids), person, instant(at), self.shop["currencyCode"], **fields)
            self.fill([one], [])
            return one

    def change_customer(self, customer_id: int, at: datetime | str, **fields: object) -> Node:
        """Replace plain fields of a customer; `email` and `phone` replace the default ones."""
        with self.lock:
            one = self.customer(customer_id)
            if "email" in fields:
                address = fields.pop("email")
                one["defaultEmailAddress"] = customers.email_address(str(address)) if address else None
            if "phone" in fields:
                phone = fields.pop("phone")
                one["defaultPhoneNumber"] = customers.phone_number(str(phone)) if phone else None
            one.update(fields)
            self._touch_customer(one, instant(at))
            return one

    def add_order(self, placed: Placed, *, paid: bool = True) -> Node:
        """Add an order, paid at once by default; returns the node."""
        with self.lock:
            one = orders.place(placed, self.ids, self.practice)
            if paid:
                orders.pay(one, self.ids, placed.at)
            self.fill([], [one])
            return self._settled(one)

    def change_order(self, order_id: int | str, at: datetime | str, **fields: object) -> Node:
        """Replace plain fields of an order."""
        with self.lock:
            one = self.order(order_id)
            one.update(fields)
            orders.touch(one, instant(at))
            return self._settled(one)

    def pay_order(self, order_id: int | str, at: datetime | str) -> Node:
        """Pay what is open."""
        with self.lock:
            one = self.order(order_id)
            left = Decimal(one["totalOutstandingSet"]["shopMoney"]["amount"])
            orders.pay(one, self.ids, instant(at), Payment(amount=left))
            return self._settled(one)

    def fulfill_order(
        self, order_id: int | str, at: datetime | str, delivered_at: datetime | str | None = None
    ) -> Node:
        """Send what is still to be sent."""
        with self.lock:
            one = self.order(order_id)
            lines = [line for line in one["lineItems"] if line["unfulfilledQuantity"]]
            orders.fulfill(
                one, self.ids, instant(at), lines=lines, delivered_at=instant(delivered_at) if delivered_at else None
            )
            return self._settled(one)

    def refund_order(
        self,
        order_id: int | str,
        at: datetime | str,
        quantities: dict[int, int] | None = None,
        amount: str | None = None,
    ) -> Node:
        """Refund an amount, or so many of some lines (by place), or by default everything that is left."""
        with self.lock:
            one = self.order(order_id)
            if amount is not None:
                back = Reversal(adjustment=Decimal(amount))
            elif quantities is not None:
                back = Reversal({int(place): quantity for place, quantity in quantities.items()})
            else:
                back = refunds.everything_left(one)
            refunds.refund(one, self.ids, instant(at), back, self.practice)
            return self._settled(one)

    def cancel_order(self, order_id: int | str, at: datetime | str, reason: str = "CUSTOMER") -> Node:
        """Cancel an order."""
        with self.lock:
            one = self.order(order_id)
            orders.cancel(one, instant(at), reason)
            return self._settled(one)

    def cut_ledger(self, order_id: int | str, times: int = 1, at: datetime | str = "") -> Node:  # noqa: ARG002  # all changes have a time
        """Let so many of the next answers with an order's ledger lack a sale; nothing about the order changes."""
        with self.lock:
            one = self.order(order_id)
            one["_cuts"] = times
            return one

    def delete_order(self, order_id: int | str, at: datetime | str) -> Node:
        """Delete an order, which leaves an event; returns the event."""
        with self.lock:
            one = self.order(order_id)
            del self.by_type["Order"][number_of(one)]
            self._settle_customer(one["customer"], instant(at))
            return self._record_destroy(one, "ORDER", instant(at))

    def delete_customer(self, customer_id: int, at: datetime | str) -> Node:
        """Delete a customer, which leaves an event; raises ValueError where orders keep it alive.

        https://shopify.dev/docs/api/admin-graphql/latest/mutations/customerDelete: only customers without orders.
        """
        with self.lock:
            one = self.customer(customer_id)
            if self.orders_of(one):
                raise ValueError("a customer with orders can't be deleted")
            del self.by_type["Customer"][customer_id]
            return self._record_destroy(one, "CUSTOMER", instant(at))

    def merge_customers(self, kept_id: int, gone_id: int, at: datetime | str) -> Node:
        """Merge two customers: the orders of one move to the other, and nothing on the kept one points at the gone one.

        https://shopify.dev/docs/api/admin-graphql/latest/mutations/customerMerge
        """
        with self.lock:
            kept, gone = self.customer(kept_id), self.customer(gone_id)
            for one in self.orders_of(gone):
                one["customer"] = kept
                orders.touch(one, instant(at))
            kept["tags"] = sorted({*kept["tags"], *gone["tags"]})
            del self.by_type["Customer"][gone_id]
            self._settle_customer(kept, instant(at))
            return kept

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
