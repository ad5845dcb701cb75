"""What can happen to a customer, in: a store, a customer and a moment; out: the node, and what else it changes.

Knows nothing of GraphQL or HTTP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.shop import customers, orders
from sandbox.shop.moments import instant
from sandbox.shop.store_data import StoreData

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.shop.people import Person

    Node = dict[str, Any]

_NOBODY: Node = {
    **dict.fromkeys(("firstName", "lastName", "defaultEmailAddress", "defaultPhoneNumber", "defaultAddress", "note")),
    "displayName": "",
    "addressesV2": [],
    "multipassIdentifier": None,
}
_NOBODYS: Node = dict.fromkeys(
    ("email", "phone", "billingAddress", "shippingAddress", "displayAddress", "clientIp", "note")
)


class CustomerChanges(StoreData):
    """Changes to customers."""

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
                if "merge" in self.practice.moves:
                    orders.touch(one, instant(at))
            kept["tags"] = sorted({*kept["tags"], *gone["tags"]})
            del self.by_type["Customer"][gone_id]
            self.forget()
            self._settle_customer(kept, instant(at))
            return kept

    def erase_customer(self, customer_id: int, at: datetime | str) -> Node:
        """Erase a customer's personal data, on their orders as well; the orders and their money stay (INFERRED).

        Whether that moves `updatedAt`, of the orders or of the customer, is unknown.
        """
        with self.lock:
            one, moves = self.customer(customer_id), "erasure" in self.practice.moves
            one.update(_NOBODY)
            for order in self.orders_of(one):
                order.update(_NOBODYS, customAttributes=[], billingAddressMatchesShippingAddress=False)
                if moves:
                    orders.touch(order, instant(at))
            self._touch_customer(one, instant(at) if moves else one["updatedAt"])
            return one
