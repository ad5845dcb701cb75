"""The data of a shop, in: customers, orders and changes to them; out: their nodes, as they are after them.

Knows nothing of GraphQL or HTTP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.shop import orders
from sandbox.shop.customer_changes import CustomerChanges
from sandbox.shop.money_changes import MoneyChanges
from sandbox.shop.order_changes import OrderChanges

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.shop.goods import Placed

    Node = dict[str, Any]


class Store(OrderChanges, MoneyChanges, CustomerChanges):
    """Customers and orders of one shop. Hold `lock` while reading nodes that somebody else may change."""

    def add_order(self, placed: Placed, *, paid: bool = True) -> Node:
        """Add an order, paid at once by default; returns the node."""
        with self.lock:
            one = orders.place(placed, self.ids, self.practice)
            if paid:
                orders.pay(one, self.ids, placed.at)
            self.fill([], [one])
            return self._settled(one)

    def rename_shop(self, domain: str, at: datetime | str = "") -> Node:  # noqa: ARG002  # all changes have a time
        """Give the shop another address; its id stays. `Shop.redirect` lets the old address lead to the new one."""
        with self.lock:
            self.shop.update(myshopifyDomain=domain, url=f"https://{domain}")
            return self.shop
