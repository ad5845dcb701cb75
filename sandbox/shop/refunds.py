"""Refunds of an order, in: an order dict and what is taken back; out: the dict with a refund and its agreement.

Knows no store and no GraphQL.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandbox.shop import ledger, parts
from sandbox.shop.goods import Payment, Reversal
from sandbox.shop.money import ZERO, shop_amount
from sandbox.shop.orders import touch
from sandbox.shop.practice import USUAL
from sandbox.shop.totals import duties

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from sandbox.shop.ledger import Sale
    from sandbox.shop.orders import Order
    from sandbox.shop.practice import Practice

    Node = dict[str, Any]


def refund(order: Order, ids: Iterator[int], at: str, back: Reversal, practice: Practice = USUAL) -> Node:
    """Add a refund and the transaction that pays it; returns the refund."""
    if practice.shipping_is_adjusted and back.shipping and not (back.quantities or back.adjustment):
        back = _as_adjustment(order, back)
    number = next(ids)
    lines = [
        parts.refund_line(order, order["lineItems"][place], count, back.restock_type, ids)
        for place, count in back.quantities.items()
    ]
    sales = list(taken_back(order, back))
    amount = back.adjustment - ledger.summed(sales) if back.money is None else back.money
    one: Node = {
        "id": parts.gid("Refund", number),
        "legacyResourceId": str(number),
        **dict.fromkeys(("createdAt", "processedAt", "updatedAt"), at),
        "note": back.note,
        "order": order,
        "return": None,
        "totalRefundedSet": order["_currencies"].bag(amount),
        "refundLineItems": lines,
        **_beside_lines(order, sales, back, ids),
        "orderAdjustments": [
            parts.order_adjustment(order, *each, ids) for each in _adjustments(back, amount) if each[0]
        ],
        "transactions": [payment(order, ids, at, amount, back.status)] if amount else [],
    }
    order["transactions"].extend(one["transactions"])
    order["refunds"].append(one)
    adjusted = [ledger.adjustment(*each[:2]) for each in _adjustments(back, amount) if each[0]]
    order["_adjusted"] += ledger.summed(adjusted)
    ledger.write(order, "RefundAgreement", at, [*sales, *adjusted], one)
    order["_deeds"].append((at, back))
    touch(order, at)
    return one


def _as_adjustment(order: Order, back: Reversal) -> Reversal:
    """Return a refund of shipping alone as REST had it: an adjustment of the kind `shipping_refund`."""
    line = order["shippingLines"][0]
    before, after = (ledger.of_shipping(order, line, line["_left"] - amount) for amount in (ZERO, back.shipping))
    gone = before.less(after)
    return replace(back, shipping=ZERO, adjustment=gone.total, adjustment_tax=gone.tax)


def _adjustments(back: Reversal, amount: Decimal) -> list[tuple[Decimal, Decimal, str]]:
    """Return amount, tax and reason of the adjustments.

    While the money is PENDING, two more say that it isn't paid yet; they add up to nothing (community.shopify.com
    859492: "refund discrepancy" and "pending refund discrepancy").
    """
    found = [(back.adjustment, back.adjustment_tax, "REFUND_DISCREPANCY")]
    if back.status == "PENDING":
        found += [(-amount, ZERO, "REFUND_DISCREPANCY"), (amount, ZERO, "PENDING_REFUND_DISCREPANCY")]
    return found


def _beside_lines(order: Order, sales: list[Sale], back: Reversal, ids: Iterator[int]) -> Node:
    """Return what a refund says of shipping and duties."""
    bag = order["_currencies"].bag
    tax = -sum((one.worth.tax for one in sales if one.line_type == "SHIPPING"), ZERO)
    return {
        "refundShippingLines": [parts.refund_shipping_line(order, back.shipping, tax, ids)] if back.shipping else [],
        "duties": [
            {"amountSet": bag(-one.worth.total), "originalDuty": one.link} for one in sales if one.line_type == "DUTY"
        ],
    }


def taken_back(order: Order, back: Reversal) -> Iterator[Sale]:
    """Yield the sales that take back goods, shipping and duties; the order has them no longer afterwards."""
    for place, count in back.quantities.items():
        line = order["lineItems"][place]
        if not 0 < count <= line["_count"]:
            raise ValueError(f"of line {place} there are {line['_count']} to take back, not {count}")
        yield ledger.goods(order, line, -count)
    left = back.shipping
    for line in order["shippingLines"]:
        amount = min(left, line["_left"])
        if amount:
            left -= amount
            yield ledger.unship(order, line, amount)
    if left:
        raise ValueError(f"of the shipping there are {left} less to take back than {back.shipping}")
    if back.duties:
        for line in order["lineItems"]:
            for duty in line["duties"]:
                yield ledger.plain("DUTY", -duty["_amount"], duty, "RETURN")
                duty["_amount"] = ZERO


def value(order: Order, back: Reversal) -> Decimal:
    """Return what goods, shipping and duties come to that would be taken back; nothing changes."""
    worth = duties(order, "_amount") if back.duties else ZERO
    for place, count in back.quantities.items():
        line = order["lineItems"][place]
        before, after = (ledger.of_line(order, line, line["_count"] - gone).total for gone in (0, count))
        worth += before - after
    left = back.shipping
    for line in order["shippingLines"]:
        amount = min(left, line["_left"])
        before, after = (ledger.of_shipping(order, line, line["_left"] - gone).total for gone in (ZERO, amount))
        left, worth = left - amount, worth + before - after
    return worth


def everything_left(order: Order, restock_type: str = "RETURN") -> Reversal:
    """Return what takes back all that isn't taken back yet, a tip and duties as well, and gives back all that was paid.

    Afterwards the ledger comes to nothing.
    """
    quantities = {place: line["_count"] for place, line in enumerate(order["lineItems"]) if line["_count"]}
    shipping = sum((line["_left"] for line in order["shippingLines"]), ZERO)
    back = Reversal(quantities, shipping, duties=True, restock_type=restock_type)
    paid, owed = shop_amount(order["netPaymentSet"]), shop_amount(order["totalOutstandingSet"])
    return replace(back, money=paid, adjustment=paid + owed - value(order, back))


def payment(order: Order, ids: Iterator[int], at: str, amount: Decimal, status: str) -> Node:
    """Return the transaction that gives an amount back where it came from."""
    paid = next((one for one in order["transactions"] if one["kind"] in ("SALE", "CAPTURE")), None)
    how = Payment("REFUND", paid["gateway"] if paid else "manual", parent=paid, status=status)
    return parts.transaction(order, ids, at, how, order["_currencies"].bag(amount))
