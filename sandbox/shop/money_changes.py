"""What can happen to an order's money and parcels, in: a store, an order and a moment; out: the order afterwards.

None of it is in the ledger: value isn't cash. Knows nothing of GraphQL or HTTP.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.shop import orders
from sandbox.shop.goods import Payment
from sandbox.shop.moments import instant
from sandbox.shop.money import shop_amount
from sandbox.shop.store_data import StoreData

if TYPE_CHECKING:
    from datetime import datetime

    Node = dict[str, Any]


class MoneyChanges(StoreData):
    """Changes to payments and parcels."""

    def pay_order(
        self,
        order_id: int | str,
        at: datetime | str,
        amount: str | None = None,
        **payment: Any,  # noqa: ANN401  # further fields of Payment
    ) -> Node:
        """Pay what is open, or an amount: by a gift card, at once, by a capture, or so that it is pending first.

        Cash may be `tendered` beyond the amount; "the money returned to the customer when they've paid too much during
        a cash transaction" is a transaction of the kind CHANGE (OrderTransactionKind).
        """
        with self.lock:
            one = self.order(order_id)
            left = Decimal(amount or one["totalOutstandingSet"]["shopMoney"]["amount"])
            unprocessed = not self.practice.pending_is_processed
            if payment.get("kind") in ("CAPTURE", "VOID"):
                authorized = [each for each in one["transactions"] if each["kind"] == "AUTHORIZATION"]
                if not authorized:
                    raise ValueError(f"order {one['name']} has no authorization")
                payment["parent"] = authorized[0]
                _check_capturable(one, left)
            how = Payment(**payment, amount=left, unprocessed=unprocessed)
            orders.pay(one, self.ids, instant(at), how, self.practice)
            return self._settled(one)

    def complete_payment(self, order_id: int | str, at: datetime | str, status: str = "SUCCESS") -> Node:
        """Let the newest pending transaction, a payment's or a refund's, succeed or fail."""
        with self.lock:
            one = self.order(order_id)
            orders.complete(one, instant(at), status, self.practice)
            return self._settled(one)

    def expire_authorization(self, order_id: int | str, at: datetime | str) -> Node:
        """Let what was authorized lapse: the order says so, no transaction comes (OrderDisplayFinancialStatus)."""
        with self.lock:
            one = self.order(order_id)
            one["_expired"] = True
            orders.touch(one, instant(at))
            return self._settled(one)

    def charge_back(self, order_id: int | str, at: datetime | str) -> Node:
        """Let the bank take a payment back: the order moves, its transactions and its ledger stay (sales.md 1.4)."""
        with self.lock:
            one = self.order(order_id)
            orders.touch(one, instant(at))
            return self._settled(one)

    def fulfill_order(
        self, order_id: int | str, at: datetime | str, delivered_at: datetime | str | None = None
    ) -> Node:
        """Send what is still to be sent."""
        with self.lock:
            one = self.order(order_id)
            lines = [line for line in one["lineItems"] if line["unfulfilledQuantity"]]
            if not lines:
                raise ValueError(f"order {one['name']} has nothing to send")
            orders.fulfill(
                one, self.ids, instant(at), lines=lines, delivered_at=instant(delivered_at) if delivered_at else None
            )
            return self._settled(one)

    def cancel_fulfillment(self, order_id: int | str, at: datetime | str, place: int = -1) -> Node:
        """Cancel a parcel."""
        with self.lock:
            one = self.order(order_id)
            orders.cancel_fulfillment(one, instant(at), place)
            return self._settled(one)

    def deliver(self, order_id: int | str, at: datetime | str, place: int = -1) -> Node:
        """Let a parcel arrive; fulfillments are known to change without their order (estuary/connectors #4338)."""
        with self.lock:
            one = self.order(order_id)
            orders.deliver(one, instant(at), place, moves="delivery" in self.practice.moves)
            return self._settled(one)


def _check_capturable(order: Node, amount: Decimal) -> None:
    """Raise ValueError where no more is authorized than was captured already, or it was voided or has expired."""
    left = shop_amount(order["totalCapturableSet"])
    if amount > left:
        raise ValueError(f"of order {order['name']} {left} can be captured, not {amount}")
