"""What the shop itself says of an order, in: the shop's address and an order's number; out: its money and its state.

The one place of the PostHog side that knows Shopify: the page shows both sides beside each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import requests

PATH = "/admin/api/2026-10/graphql.json"
TIMEOUT_SECONDS = 5.0
QUERY = """
query OrderBesideItsEvents($id: ID!) {
  order(id: $id) {
    name
    test
    cancelledAt
    displayFinancialStatus
    displayFulfillmentStatus
    totalPriceSet { shopMoney { amount currencyCode } }
    totalRefundedSet { shopMoney { amount } }
    currentTotalPriceSet { shopMoney { amount } }
  }
}
"""


@dataclass(frozen=True)
class ShopOrder:
    """An order as the shop has it now; `left` is what it comes to after edits and refunds."""

    name: str
    test: bool
    cancelled_at: str | None
    financial_status: str
    fulfillment_status: str
    currency: str
    total: Decimal
    refunded: Decimal
    left: Decimal


@dataclass(frozen=True)
class ShopSide:
    """A shop's Admin API at `url`, such as `http://127.0.0.1:8461`."""

    url: str
    access_token: str = "shpat_sandbox"  # noqa: S105  # the sandbox's well-known token

    def order(self, order_id: str) -> ShopOrder | None:
        """Ask for an order by its number, None if the shop has none; raises requests.RequestException, ValueError."""
        if not (order_id.isascii() and order_id.isdecimal()):
            return None
        answer = requests.post(
            f"{self.url}{PATH}",
            json={"query": QUERY, "variables": {"id": f"gid://shopify/Order/{order_id}"}},
            headers={"X-Shopify-Access-Token": self.access_token},
            timeout=TIMEOUT_SECONDS,
        )
        answer.raise_for_status()
        body = answer.json()
        if "errors" in body:
            raise ValueError("the shop refused the question")
        node = body["data"]["order"]
        return node and _order(node)


def _order(node: dict[str, Any]) -> ShopOrder:
    money = {name: node[f"{name}Set"]["shopMoney"] for name in ("totalPrice", "totalRefunded", "currentTotalPrice")}
    return ShopOrder(
        name=node["name"],
        test=node["test"],
        cancelled_at=node["cancelledAt"],
        financial_status=str(node["displayFinancialStatus"] or "").lower(),
        fulfillment_status=str(node["displayFulfillmentStatus"] or "").lower(),
        currency=money["totalPrice"]["currencyCode"],
        total=Decimal(money["totalPrice"]["amount"]),
        refunded=Decimal(money["totalRefunded"]["amount"]),
        left=Decimal(money["currentTotalPrice"]["amount"]),
    )
