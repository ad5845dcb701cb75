"""What follows from an order's parts, in: an order dict; out: the same with its totals and statuses.

Knows the parts and their `prices`, not the agreements, so that a test can hold one against the other; no deeds and no
store. What the totals mean: https://shopify.dev/docs/api/admin-graphql/latest/objects/Order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.shop import prices
from sandbox.shop.money import ZERO, money, shop_amount, total
from sandbox.shop.parts import tax_lines

if TYPE_CHECKING:
    from decimal import Decimal

    from sandbox.shop.prices import Price

    Pairs = list[tuple[Decimal, Decimal]]

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
    return _before(order).total


def owed(order: Order) -> Decimal:
    """Return what the order costs now, after all that was given back beside goods: the sum of its ledger."""
    return _now(order).total + discrepancy(order)


def net_payment(order: Order) -> Decimal:
    """Return the money that came in and hasn't gone back."""
    return _received(order) - _refunded(order)


def discrepancy(order: Order) -> Decimal:
    """Return what was kept beyond what went back, negative where more was given: by refunds, and by returns alone."""
    kept = sum((one["_kept"] for one in order["returns"]), ZERO)
    given = (adjusted for one in order["refunds"] for adjusted in one["orderAdjustments"])
    return kept + total(one[key] for one in given for key in ("amountSet", "taxAmountSet"))


def shipping(order: Order) -> Decimal:
    """Return what was asked for shipping."""
    return total(line["discountedPriceSet"] for line in order["shippingLines"])


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


class _Costs(NamedTuple):
    """What the parts of an order come to."""

    goods: Price
    tips: Price
    shipping: Price
    duties: Price
    fees: Price
    return_fees: Price
    unnamed: Decimal

    @property
    def tax(self) -> Decimal:
        """All tax."""
        return sum((one.tax for one in self[:6]), ZERO)

    @property
    def total(self) -> Decimal:
        """All of it, with tax."""
        return sum((one.total for one in self[:6]), self.unnamed)


def _before(order: Order) -> _Costs:
    """Return the costs before anything went back; edits are in them."""
    duties = [(duty["_price"], duty["_rate"]) for line in order["lineItems"] for duty in line["duties"]]
    return _costs(order, "_bought", "_price", duties)


def _now(order: Order) -> _Costs:
    """Return the costs after all that went back."""
    duties = [(duty["_amount"], duty["_rate"]) for line in order["lineItems"] for duty in line["duties"]]
    costs = _costs(order, "_count", "_left", duties)
    return costs._replace(return_fees=_of(order, order["_return_fees"]), unnamed=order["_unnamed"])


def _costs(order: Order, units: str, carriage: str, duties: Pairs) -> _Costs:
    """Sum up so many units of the lines, so much of the shipping, and the duties."""
    goods, tips = (
        prices.summed(prices.of_units(order, line, line[units]) for line in _lines(order, tips=tips))
        for tips in (False, True)
    )
    asked = prices.summed(prices.of_shipping(order, line, line[carriage]) for line in order["shippingLines"])
    fees = _of(order, [(fee["_amount"], fee["_rate"]) for fee in order["additionalFees"]])
    return _Costs(goods, tips, asked, _of(order, duties), fees, prices.Price(), ZERO)


def _lines(order: Order, *, tips: bool) -> list[Order]:
    return [line for line in order["lineItems"] if (line["_type"] == "TIP") == tips]


def _of(order: Order, pairs: Pairs) -> Price:
    """Sum up amounts, each with the rate of its tax."""
    return prices.summed(prices.of_amount(order, amount, rate) for amount, rate in pairs)


def _settle_prices(order: Order) -> None:
    order.update(_money_before(order, _before(order)))
    order.update(_money_now(order, _now(order)))
    lines = order["lineItems"]
    order.update(
        subtotalLineItemsQuantity=sum(line["quantity"] for line in lines if line["_type"] != "TIP"),
        currentSubtotalLineItemsQuantity=sum(line["currentQuantity"] for line in lines if line["_type"] != "TIP"),
        totalWeight=str(round(sum(line["weight"]["value"] * line["quantity"] for line in lines))),
        currentTotalWeight=str(round(sum(line["weight"]["value"] * line["currentQuantity"] for line in lines))),
        requiresShipping=any(line["requiresShipping"] for line in lines),
    )


def _money_before(order: Order, costs: _Costs) -> dict[str, Any]:
    bag, off = order["_currencies"].bag, costs.goods.off + costs.shipping.off
    zero = bag(ZERO)
    first_duties, first_fees = sum(order["_duties"], ZERO), costs.fees.asked
    return {
        "subtotalPriceSet": bag(costs.goods.asked),
        "totalTaxSet": bag(costs.tax),
        "taxLines": tax_lines(bag(costs.tax), order["_tax_rate"]) if costs.tax else [],
        "totalDiscountsSet": bag(off),
        "cartDiscountAmountSet": bag(off) if off else None,
        "totalShippingPriceSet": bag(costs.shipping.asked),
        "totalTipReceivedSet": bag(costs.tips.total),
        "totalPriceSet": bag(costs.total),
        "totalPrice": money(costs.total, order["currencyCode"])["amount"],
        "originalTotalPriceSet": bag(order["_original"]),
        "originalTotalDutiesSet": bag(first_duties) if first_duties else None,
        "originalTotalAdditionalFeesSet": bag(first_fees) if first_fees else None,
        "totalCashRoundingAdjustment": {"paymentSet": zero, "refundSet": zero},
    }


def _money_now(order: Order, costs: _Costs) -> dict[str, Any]:
    bag, off = order["_currencies"].bag, costs.goods.off + costs.shipping.off
    returned_shipping = (part["subtotalAmountSet"] for one in order["refunds"] for part in one["refundShippingLines"])
    return {
        "totalRefundedSet": bag(_refunded(order)),
        "totalRefundedShippingSet": bag(total(returned_shipping)),
        "refundDiscrepancySet": bag(discrepancy(order)),
        "currentSubtotalPriceSet": bag(costs.goods.asked),
        "currentTotalTaxSet": bag(costs.tax),
        "currentTaxLines": tax_lines(bag(costs.tax), order["_tax_rate"]) if costs.tax else [],
        "currentTotalDiscountsSet": bag(off),
        "currentCartDiscountAmountSet": bag(off),
        "currentShippingPriceSet": bag(costs.shipping.asked),
        "currentTotalPriceSet": bag(costs.total),
        "currentTotalDutiesSet": bag(costs.duties.asked) if costs.duties.asked else None,
        "currentTotalAdditionalFeesSet": bag(costs.fees.asked) if costs.fees.asked else None,
    }


def _received(order: Order) -> Decimal:
    paid = [one for one in _paid(order["transactions"]) if one["kind"] in ("SALE", "CAPTURE")]
    return total(one["amountSet"] for one in paid) - sum((one.get("_change", ZERO) for one in paid), ZERO)


def _refunded(order: Order) -> Decimal:
    return total(part["amountSet"] for one in order["refunds"] for part in _paid(one["transactions"]))


def _paid(transactions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in transactions if one["status"] == "SUCCESS"]


def _settle_payment(order: Order) -> None:
    bag, done = order["_currencies"].bag, _paid(order["transactions"])
    received = _received(order)
    authorized = total(one["amountSet"] for one in done if one["kind"] == "AUTHORIZATION")
    voided = order["cancelledAt"] or any(one["kind"] == "VOID" for one in done)
    expired = order.get("_expired", False)
    may_capture = authorized and not voided and not expired
    refunded = shop_amount(order["totalRefundedSet"])
    costs = shop_amount(order["currentTotalPriceSet"]) + shop_amount(order["refundDiscrepancySet"])
    due = max(costs + refunded, ZERO)
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
        totalOutstandingSet=bag(costs - received + refunded),
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
