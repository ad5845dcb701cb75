"""What follows from an order's parts, in: an order dict; out: the same with its totals and statuses.

Knows the parts and their prices, not the agreements, so that a test can hold one against the other; no deeds and no
store. What the totals mean: https://shopify.dev/docs/api/admin-graphql/latest/objects/Order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.shop.ledger import of_line, of_shipping, taken_off
from sandbox.shop.money import ZERO, money, shop_amount, total
from sandbox.shop.parts import tax_lines

if TYPE_CHECKING:
    from decimal import Decimal

    from sandbox.shop.ledger import Worth

Order = dict[str, Any]


def settle(order: Order) -> Order:
    """Derive totals and statuses from the order's parts."""
    for line in order["lineItems"]:
        _settle_line(order, line)
    _settle_prices(order)
    _settle_payment(order)
    _settle_fulfillment(order)
    return order


def whole(order: Order) -> Decimal:
    """Return what the order costs, before anything was given back."""
    lines = sum((of_line(order, line, line["_bought"]).total for line in order["lineItems"]), ZERO)
    carriage = sum((of_shipping(order, line, line["_price"]).total for line in order["shippingLines"]), ZERO)
    return lines + carriage + duties(order, "price") + _fees(order)


def shipping(order: Order) -> Decimal:
    """Return what was asked for shipping."""
    return total(line["discountedPriceSet"] for line in order["shippingLines"])


def duties(order: Order, key: str) -> Decimal:
    """Return the duties as they were at first (`price`), or as they are now (`_amount`)."""
    each = (duty[key] for line in order["lineItems"] for duty in line["duties"])
    return total(each) if key == "price" else sum(each, ZERO)


def _fees(order: Order) -> Decimal:
    return total(fee["price"] for fee in order["additionalFees"])


def _settle_line(order: Order, line: dict[str, Any]) -> None:
    bag = order["_currencies"].bag
    sent = sum(
        part["quantity"]
        for one in order["fulfillments"]
        if one["status"] == "SUCCESS"
        for part in one["fulfillmentLineItems"]
        if part["lineItem"] is line
    )
    current = line["_count"]
    waiting = max(current - sent, 0) if line["requiresShipping"] else 0
    line.update(
        currentQuantity=current,
        refundableQuantity=current,
        unfulfilledQuantity=waiting,
        unfulfilledDiscountedTotalSet=bag(shop_amount(line["discountedUnitPriceSet"]) * waiting),
        unfulfilledOriginalTotalSet=bag(shop_amount(line["originalUnitPriceSet"]) * waiting),
    )


@dataclass
class _Sums:
    """What lines or shipping come to: as priced, its tax, the discount on it as priced."""

    price: Decimal = ZERO
    tax: Decimal = ZERO
    off: Decimal = ZERO
    total: Decimal = ZERO

    def add(self, price: Decimal, off: Decimal, worth: Worth) -> None:
        self.price, self.off = self.price + price, self.off + off
        self.tax, self.total = self.tax + worth.tax, self.total + worth.total


def _of_goods(order: Order, key: str, *, tips: bool = False) -> _Sums:
    """Sum up the lines at so many units: `_bought` before anything went back, `_count` after it."""
    sums = _Sums()
    for line in order["lineItems"]:
        if (line["_type"] == "TIP") == tips:
            count = line[key]
            off = taken_off(order, line, count)
            sums.add(line["_list"] * count - off, off, of_line(order, line, count))
    return sums


def _of_shipping(order: Order, key: str) -> _Sums:
    """Sum up shipping: `_price` before anything went back, `_left` after it."""
    sums = _Sums()
    for line in order["shippingLines"]:
        worth = of_shipping(order, line, line[key])
        sums.add(line[key], line["_off"] if line[key] == line["_price"] else worth.discount, worth)
    return sums


def _settle_prices(order: Order) -> None:
    goods, carriage, tips = (
        _of_goods(order, "_bought"),
        _of_shipping(order, "_price"),
        _of_goods(order, "_bought", tips=True),
    )
    order.update(_money_before(order, goods, carriage, tips))
    now = _of_goods(order, "_count"), _of_shipping(order, "_left"), _of_goods(order, "_count", tips=True)
    order.update(_money_now(order, *now))
    lines = order["lineItems"]
    order.update(
        subtotalLineItemsQuantity=sum(line["quantity"] for line in lines if line["_type"] != "TIP"),
        currentSubtotalLineItemsQuantity=sum(line["currentQuantity"] for line in lines if line["_type"] != "TIP"),
        totalWeight=str(round(sum(line["weight"]["value"] * line["quantity"] for line in lines))),
        currentTotalWeight=str(round(sum(line["weight"]["value"] * line["currentQuantity"] for line in lines))),
        requiresShipping=any(line["requiresShipping"] for line in lines),
    )


def _money_before(order: Order, goods: _Sums, carriage: _Sums, tips: _Sums) -> dict[str, Any]:
    """Return the amounts before anything went back; edits are in them."""
    bag = order["_currencies"].bag
    tax, off, zero = goods.tax + carriage.tax, goods.off + carriage.off, bag(ZERO)
    costs = goods.total + carriage.total + tips.total + duties(order, "price") + _fees(order)
    first_duties, first_fees = total(order["_duties"]), _fees(order)
    return {
        "subtotalPriceSet": bag(goods.price),
        "totalTaxSet": bag(tax),
        "taxLines": tax_lines(bag(tax), order["_tax_rate"]) if tax else [],
        "totalDiscountsSet": bag(off),
        "cartDiscountAmountSet": bag(off) if off else None,
        "totalShippingPriceSet": bag(carriage.price),
        "totalTipReceivedSet": bag(tips.total),
        "totalPriceSet": bag(costs),
        "totalPrice": money(costs, order["currencyCode"])["amount"],
        "originalTotalPriceSet": bag(order["_original"]),
        "originalTotalDutiesSet": bag(first_duties) if first_duties else None,
        "originalTotalAdditionalFeesSet": bag(first_fees) if first_fees else None,
        "totalCashRoundingAdjustment": {"paymentSet": zero, "refundSet": zero},
    }


def _money_now(order: Order, goods: _Sums, carriage: _Sums, tips: _Sums) -> dict[str, Any]:
    """Return the amounts after all that went back."""
    bag, refunds = order["_currencies"].bag, order["refunds"]
    tax, off = goods.tax + carriage.tax, goods.off + carriage.off
    duty, fees = duties(order, "_amount"), _fees(order)
    returned_shipping = total(part["subtotalAmountSet"] for one in refunds for part in one["refundShippingLines"])
    costs = goods.total + carriage.total + tips.total + duty + fees + order["_return_fees"] + order["_unnamed"]
    return {
        "totalRefundedSet": bag(total(part["amountSet"] for one in refunds for part in _paid(one["transactions"]))),
        "totalRefundedShippingSet": bag(returned_shipping),
        "refundDiscrepancySet": bag(order["_adjusted"]),
        "currentSubtotalPriceSet": bag(goods.price),
        "currentTotalTaxSet": bag(tax),
        "currentTaxLines": tax_lines(bag(tax), order["_tax_rate"]) if tax else [],
        "currentTotalDiscountsSet": bag(off),
        "currentCartDiscountAmountSet": bag(off),
        "currentShippingPriceSet": bag(carriage.price),
        "currentTotalPriceSet": bag(costs),
        "currentTotalDutiesSet": bag(duty) if duty else None,
        "currentTotalAdditionalFeesSet": bag(fees) if fees else None,
    }


def _paid(transactions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in transactions if one["status"] == "SUCCESS"]


def _settle_payment(order: Order) -> None:
    bag, done = order["_currencies"].bag, _paid(order["transactions"])
    paid = [one for one in done if one["kind"] in ("SALE", "CAPTURE")]
    received = total(one["amountSet"] for one in paid) - sum((one.get("_change", ZERO) for one in paid), ZERO)
    authorized = total(one["amountSet"] for one in done if one["kind"] == "AUTHORIZATION")
    voided = order["cancelledAt"] or any(one["kind"] == "VOID" for one in done)
    expired = order.get("_expired", False)
    may_capture = authorized and not voided and not expired
    refunded = shop_amount(order["totalRefundedSet"])
    # What all agreements come to: the sum of the ledger.
    owed = shop_amount(order["currentTotalPriceSet"]) + shop_amount(order["refundDiscrepancySet"])
    due = max(owed + refunded, ZERO)
    if not received and shop_amount(order["totalPriceSet"]):
        status = "VOIDED" if voided else "EXPIRED" if expired else "AUTHORIZED" if authorized else "PENDING"
    elif received < due:
        status = "PARTIALLY_PAID"
    else:
        status = "PAID" if not refunded else "REFUNDED" if refunded >= received else "PARTIALLY_REFUNDED"
    order.update(
        displayFinancialStatus=status,
        totalReceivedSet=bag(received),
        netPaymentSet=bag(received - refunded),
        totalOutstandingSet=bag(owed - received + refunded),
        totalCapturableSet=bag(max(authorized - received, ZERO) if may_capture else ZERO),
        capturable=bool(may_capture and authorized > received),
        canMarkAsPaid=status == "PENDING",
        fullyPaid=received >= due,
        unpaid=not received and bool(due),
        refundable=received > refunded,
        transactionsCount={"count": len(order["transactions"]), "precision": "EXACT"},
    )


def _settle_fulfillment(order: Order) -> None:
    goods = [line for line in order["lineItems"] if line["requiresShipping"]]
    waiting = sum(line["unfulfilledQuantity"] for line in goods)
    sent = [one for one in order["fulfillments"] if one["status"] == "SUCCESS"]
    if not goods:
        status = "FULFILLMENT_NOT_REQUIRED"
    elif not waiting and sent:
        status = "FULFILLED"
    else:
        status = "PARTIALLY_FULFILLED" if sent else "UNFULFILLED"
    returned = any(part["restockType"] == "RETURN" for one in order["refunds"] for part in one["refundLineItems"])
    returned = returned or any(one["status"] == "CLOSED" for one in order["returns"])
    under_way = any(one["status"] == "OPEN" for one in order["returns"])
    order.update(
        displayFulfillmentStatus=status,
        fulfillable=bool(waiting),
        fulfillmentsCount={"count": len(order["fulfillments"]), "precision": "EXACT"},
        restockable=any(line["currentQuantity"] for line in goods),
        returnStatus="IN_PROGRESS" if under_way else "RETURNED" if returned else "NO_RETURN",
    )
