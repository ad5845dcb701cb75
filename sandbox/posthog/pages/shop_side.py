"""What the shop itself says of an order, in: the shop's address or a preview, and an order's number; out: its money.

The one place of the PostHog side that knows Shopify: the page shows both sides beside each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import requests

if TYPE_CHECKING:
    from sandbox.posthog.preview_file import PreviewFile

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
    originalTotalPriceSet { shopMoney { amount currencyCode } }
    totalRefundedSet { shopMoney { amount } }
    currentTotalPriceSet { shopMoney { amount } }
    refundDiscrepancySet { shopMoney { amount } }
  }
}
"""


@dataclass(frozen=True)
class ShopOrder:
    """An order as the shop has it now: what it came to when it was placed, and after edits, returns and refunds."""

    name: str
    test: bool
    cancelled_at: str | None
    financial_status: str
    fulfillment_status: str
    currency: str
    placed: Decimal
    refunded: Decimal
    left: Decimal


class Side(Protocol):
    """Somebody who knows orders; `when` says of which moment."""

    @property
    def when(self) -> str:
        """The moment, in words."""

    def order(self, order_id: str) -> ShopOrder | None:
        """Return an order by its number, None if there is none."""


@dataclass(frozen=True)
class RecordSide:
    """The orders of a preview, as they were read."""

    preview: PreviewFile
    when: str = "as read"

    def order(self, order_id: str) -> ShopOrder | None:
        """Find an order's record, None if there is none; raises KeyError if it lacks a field."""
        heads = [one for one in self.preview.named(order_id) if one.stream == "orders"]
        record = self.preview.record(heads[-1].number) if heads else None
        return _order_read(record.body) if record else None


@dataclass(frozen=True)
class ShopSide:
    """A shop's Admin API at `url`, such as `http://127.0.0.1:8461`."""

    url: str
    when: str = "now"
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
    names = ("originalTotalPrice", "totalRefunded", "currentTotalPrice", "refundDiscrepancy")
    money = {name: node[f"{name}Set"]["shopMoney"] for name in names}
    return ShopOrder(
        name=node["name"],
        test=node["test"],
        cancelled_at=node["cancelledAt"],
        financial_status=str(node["displayFinancialStatus"] or "").lower(),
        fulfillment_status=str(node["displayFulfillmentStatus"] or "").lower(),
        currency=money["originalTotalPrice"]["currencyCode"],
        placed=Decimal(money["originalTotalPrice"]["amount"]),
        refunded=Decimal(money["totalRefunded"]["amount"]),
        left=Decimal(money["currentTotalPrice"]["amount"]) + Decimal(money["refundDiscrepancy"]["amount"]),
    )


def _order_read(record: dict[str, Any]) -> ShopOrder:
    return ShopOrder(
        name=record["name"],
        test=record["test"],
        cancelled_at=record["cancelled_at"],
        financial_status=str(record["financial_status"] or ""),
        fulfillment_status=str(record["fulfillment_status"] or ""),
        currency=record["currency"],
        placed=Decimal(record["original_total_price"]),
        refunded=Decimal(record["total_refunded"]),
        left=Decimal(record["current_total_price"]) + Decimal(record["refund_discrepancy"]),
    )
